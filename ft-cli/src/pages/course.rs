//! Lessons as data of a page: their words, their runs as timelines, and every cut of the first run.

use ft_core::dialect::pitfall::{Lab, Pitfall, Whose};
use ft_core::dialect::witness::{Then, Witness, witnesses};
use ft_sim::cases;
use ft_sim::cutmap::{self, CutMap};
use ft_sim::scenario::Played;
use ft_sim::schedule::Schedule;
use ft_sim::trace::lanes;
use ft_sim::{Direction, Fault};

use super::data::{
    ChoiceData, CodeData, Counts, Cuts, CutsData, FaultData, LessonData, NamedCuts, PairData, SearchData, WildData,
    WitnessData, hex,
};
use super::texts::Texts;
use super::timeline::timeline;
use crate::commands::demo::lesson::{Lesson, Play, Survey};
use crate::commands::demo::live::{Round, Timed};
use crate::commands::demo::stage::{Library, Pair, Searched, Shown};
use crate::commands::demo::words;

/// What the lessons of a page share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub(super) maps: Vec<Cuts>,
    pub(super) texts: Texts,
}

impl Shared {
    /// Keeps a map; its number.
    fn map(&mut self, map: &CutMap) -> usize {
        let cuts = Cuts::new(map, &mut self.texts);
        let known = self.maps.iter().position(|other| *other == cuts);
        known.unwrap_or_else(|| {
            self.maps.push(cuts);
            self.maps.len() - 1
        })
    }
}

/// A lesson and what came of it.
///
/// # Errors
///
/// A scenario or case that the lesson names is not there, or its map would be too large.
pub(super) fn lesson(
    lesson: &Lesson,
    shown: &Shown,
    library: Library<'_>,
    shared: &mut Shared,
) -> Result<LessonData, String> {
    let text = &lesson.text;
    let choices = text.question.choices.iter().zip(&shown.right);
    Ok(LessonData {
        number: lesson.number,
        name: lesson.name.clone(),
        title: text.title.clone(),
        aim: text.aim.clone(),
        code: CodeData {
            from: text.code.from.clone(),
            lines: text.code.lines.lines().map(str::to_owned).collect(),
            guilty: text.code.guilty.clone(),
        },
        ask: text.question.ask.clone(),
        choices: choices
            .map(|(choice, &right)| ChoiceData {
                text: choice.text.clone(),
                why: (right == choice.expected).then(|| choice.why.clone()),
                right,
            })
            .collect(),
        counts: counts(lesson, shown),
        pairs: text
            .runs
            .iter()
            .zip(&shown.pairs)
            .map(|(run, pair)| PairData {
                shows: run.shows.clone(),
                look: is_seen(&run.seen, &pair.broken).then(|| run.look.clone()),
                how: pair.fixed.run.violation.is_none().then(|| run.how.clone()),
                schedule: pair.broken.run.schedule.to_string(),
                told: words::schedule(&pair.broken.run.schedule),
                broken: timeline(&pair.broken),
                fixed: timeline(&pair.fixed),
            })
            .collect(),
        search: shown.search.as_ref().map(search),
        cuts: cuts(lesson, shown, library, shared)?,
        faults: faults(lesson, shown),
        remember: text.remember.clone(),
        wild: WildData { title: text.wild.title.clone(), link: text.wild.link.clone(), what: text.wild.what.clone() },
    })
}

/// Whether the lanes show what an explanation speaks of.
fn is_seen(seen: &[String], broken: &Played) -> bool {
    let lanes = lanes(words::told(broken));
    seen.iter().all(|seen| lanes.contains(seen.as_str()))
}

fn counts(lesson: &Lesson, shown: &Shown) -> Vec<Counts> {
    let mut tables = Vec::new();
    let words = |heads: &[&str]| heads.iter().map(|head| (*head).to_owned()).collect::<Vec<_>>();
    if let Some(both) = &shown.localhost {
        let row = |name: &str, whole: u64| vec![name.to_owned(), format!("{whole} of {}", both.times)];
        tables.push(Counts {
            heads: words(&["the same program, the same file", "arrived whole"]),
            rows: vec![
                row("real TCP over localhost", both.loopback),
                row("simulated networks that cut and delay", both.random),
            ],
        });
    }
    if let Some(Timed { plain, nodelay, one_write }) = &shown.timed {
        let row = |name: &str, round: &Round| {
            let spans =
                [round.first, round.second, round.answer].map(|span| format!("{:.2} ms", span.as_secs_f64() * 1e3));
            [vec![name.to_owned()], spans.to_vec()].concat()
        };
        tables.push(Counts {
            heads: words(&[
                "median of a round, when this page was made",
                "server has 1st",
                "has 2nd",
                "client has answer",
            ]),
            rows: vec![
                row("send, send, recv", plain),
                row("the same with TCP_NODELAY", nodelay),
                row("one send, recv", one_write),
            ],
        });
    }
    if let Some(survey) = &lesson.text.survey {
        let row = |row: &crate::commands::demo::survey::Row| {
            let counts = row.counts.iter().map(|(fallen, all)| format!("{fallen} of {all}"));
            [vec![row.case.clone()], counts.collect()].concat()
        };
        tables.push(Counts {
            heads: [words(&["places where a promise broke, by"]), survey.faults.clone()].concat(),
            rows: shown.survey.iter().map(row).collect(),
        });
    }
    tables
}

fn search(searched: &Searched) -> SearchData {
    let Searched { runs, others, found } = searched;
    let Some(found) = found else {
        let text = format!("{runs} random schedules were tried: none broke this program.");
        return SearchData { text, schedule: None, again: None };
    };
    let broken = &found.pair.broken;
    let steps = |n: usize| if n == 1 { "one step".to_owned() } else { format!("{n} steps") };
    let others = match others {
        0 => String::new(),
        n => format!(" ({n} before it broke something else)"),
    };
    let text = format!(
        "Random schedules were tried. Number {runs} broke it{others}, with {}. Taking steps away as long as it still broke \
         left {}, after {} more runs.",
        steps(found.deviations),
        steps(broken.run.schedule.deviations()),
        found.shrink_runs
    );
    let again = &broken.replay;
    SearchData {
        text,
        schedule: Some(broken.run.schedule.to_string()),
        again: Some(format!("ft-cli sim replay '{again}'")),
    }
}

/// Every cut of the first run's programs, or of the survey's cases.
fn cuts(lesson: &Lesson, shown: &Shown, library: Library<'_>, shared: &mut Shared) -> Result<Option<CutsData>, String> {
    if let Some(survey) = &lesson.text.survey {
        return surveyed(survey, shared).map(Some);
    }
    let (Some(run), Some(Pair { broken, .. })) = (lesson.text.runs.first(), shown.pairs.first()) else {
        return Ok(None);
    };
    let schedule = &broken.run.schedule;
    let asked = schedule.steps().last().filter(|step| step.conn == 1);
    let mut kinds: Vec<Fault> = asked.map(|step| step.fault).into_iter().collect();
    kinds.extend(cutmap::FAULTS.iter().filter(|fault| !kinds.contains(fault)).copied().collect::<Vec<_>>());
    // The lesson's schedule is the first cut that the page shows: its last step is the one that is dragged.
    let steps = schedule.steps();
    let kept = steps.len().saturating_sub(usize::from(asked.is_some()));
    let base = Schedule::new(steps[..kept].to_vec(), schedule.picks().to_vec()).map_err(|error| error.to_string())?;
    let mut program = |title: &str, play: &Play| {
        let map = map(play, &base, &kinds, library)?;
        let with = if base.deviations() == 0 { String::new() } else { format!(" --with '{base}'") };
        let command = format!("ft-cli sim map {} --play {}{with}", play.scenario, play.play);
        Ok::<_, String>(NamedCuts { title: title.to_owned(), command, map: shared.map(&map) })
    };
    let begin = asked.map_or((Direction::C2s, Fault::Split, 1), |step| (step.dir, step.fault, step.at));
    Ok(Some(CutsData {
        maps: vec![program("as it is", &run.broken)?, program("done right", &run.fixed)?],
        begin: (begin.0.to_string(), begin.1.to_string(), begin.2),
    }))
}

fn surveyed(survey: &Survey, shared: &mut Shared) -> Result<CutsData, String> {
    let kinds = survey
        .faults
        .iter()
        .map(|text| {
            let schedule: Schedule = format!("c2s@1 {text}").parse().map_err(|e| format!("fault {text:?}: {e}"))?;
            schedule.steps().first().map(|step| step.fault).ok_or_else(|| format!("{text:?} is no fault"))
        })
        .collect::<Result<Vec<_>, String>>()?;
    let maps = survey.cases.iter().map(|name| {
        let case = cases::find(name).ok_or_else(|| format!("no case is named {name:?}"))?;
        let map = case.cut_map(&Schedule::benign(), &kinds).map_err(|error| error.to_string())?;
        let faults: String = kinds.iter().map(|fault| format!(" --fault '{fault}'")).collect();
        let command = format!("ft-cli sim map {name}{faults}");
        Ok(NamedCuts { title: name.clone(), command, map: shared.map(&map) })
    });
    let begin = (Direction::C2s.to_string(), kinds.first().copied().unwrap_or(Fault::Split).to_string(), 10);
    Ok(CutsData { maps: maps.collect::<Result<_, String>>()?, begin })
}

fn map(play: &Play, base: &Schedule, kinds: &[Fault], library: Library<'_>) -> Result<CutMap, String> {
    let missing = || format!("no play {} of a scenario {:?}", play.play, play.scenario);
    let scenario = library(&play.scenario).ok_or_else(missing)?;
    let map = scenario.cut_map(play.play.saturating_sub(1), base, kinds).ok_or_else(missing)?;
    map.map_err(|error| error.to_string())
}

/// Whose fault each pitfall of the lesson is, in the lab that the lesson plays.
fn faults(lesson: &Lesson, shown: &Shown) -> Vec<FaultData> {
    let lab = match shown.pairs.first() {
        Some(pair) if pair.broken.case.starts_with("lab-b") => Lab::B,
        Some(_) | None => Lab::A,
    };
    let known = lesson.text.pitfalls.iter().filter_map(|id| Pitfall::ALL.iter().find(|pitfall| pitfall.id() == id));
    known
        .filter_map(|&pitfall| {
            let whose = match pitfall.whose(lab)? {
                Whose::Implementation => "a fault of the program: a careful one stands on the same wire",
                Whose::Protocol => "a fault of the protocol: no program can repair it",
                Whose::Both => "the harm is the program’s fault; a doubt remains that is the protocol’s",
            };
            let witness = witnesses().into_iter().find(|row| row.pitfall == pitfall && row.lab == lab);
            Some(FaultData { pitfall: pitfall.id(), whose, witness: witness.as_ref().map(self::witness) })
        })
        .collect()
}

fn witness(row: &Witness) -> WitnessData {
    let intent = |intent: &ft_core::dialect::witness::Intent| {
        (intent.means, intent.sends.iter().map(|send| hex(send)).collect::<Vec<_>>())
    };
    WitnessData {
        intents: vec![intent(&row.one), intent(&row.other)],
        wire: hex(&row.one.wire()),
        then: match row.one.then {
            Then::Silence => "silence",
            Then::Fin => "the end of the stream",
        },
    }
}
