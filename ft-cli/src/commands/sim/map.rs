//! `sim map`: what each cut at each byte does to a case.

use anstream::{AutoStream, ColorChoice};
use ft_sim::cases;
use ft_sim::cutmap::{self, CutMap};

use super::quiet::quietly;
use super::scenarios;
use crate::args::{MapArgs, MapFormat};
use crate::exit::{Exit, Stop};
use crate::render::{Mode, Screen, map_hints, map_plain, map_svg, map_text};

/// `map`
pub(super) fn run(args: &MapArgs, screen: &Screen) -> Result<Exit, Stop> {
    let maps = args.cases.iter().map(|name| draw(args, name)).collect::<Result<Vec<_>, _>>()?;
    let format = match args.format {
        MapFormat::Text if screen.mode() == Mode::Json => MapFormat::Json,
        asked @ (MapFormat::Text | MapFormat::Svg | MapFormat::Json) => asked,
    };
    if args.plain && !matches!(format, MapFormat::Text) {
        return Err(Stop::usage("--plain is for maps as text"));
    }
    let bytes = match format {
        MapFormat::Text => text(args, &maps),
        MapFormat::Svg => map_svg(&maps),
        MapFormat::Json => maps.iter().map(CutMap::json_lines).collect(),
    };
    super::put(bytes.as_bytes(), args.out.as_deref())?;
    if let Some(path) = &args.out {
        screen.line(&format!("{} written to {}", super::count(maps.len() as u64, "map"), path.display()));
    }
    Ok(Exit::Completed)
}

fn draw(args: &MapArgs, name: &str) -> Result<CutMap, Stop> {
    let faults = if args.fault.is_empty() { cutmap::FAULTS } else { &args.fault };
    let map = match cases::find(name) {
        Some(case) => quietly(|| case.cut_map(&args.with, faults)),
        None => {
            let (_, scenario) = scenarios::find(name.as_ref())?;
            let drawn = quietly(|| scenario.cut_map(args.play - 1, &args.with, faults));
            match drawn.map(|found| found.ok_or(args.play)) {
                Ok(Ok(map)) => Ok(map),
                Ok(Err(play)) => return Err(Stop::usage(format_args!("{name} has no play {play}"))),
                Err(text) => Err(text),
            }
        }
    };
    let map = map.map_err(|text| Stop { exit: Exit::Unsound, text: format!("{name}: {text}"), hint: None })?;
    map.map_err(|error| Stop::usage(format_args!("{name}: {error}")).hint("--fault takes one kind of cut"))
}

fn text(args: &MapArgs, maps: &[CutMap]) -> String {
    let colour = args.out.is_none() && AutoStream::choice(&std::io::stdout()) != ColorChoice::Never;
    let pages = maps.iter().map(|map| {
        let page = if args.plain { map_plain(map) } else { map_text(map, colour) };
        let hints = map_hints(map);
        if hints.is_empty() { page } else { format!("{page}\n{hints}") }
    });
    pages.collect::<Vec<_>>().join("\n")
}
