//! Pages come from runs, hold no markup of a peer, and can be read.

use std::collections::BTreeMap;

use ft_sim::scenario::{self, Scenario};
use serde_json::Value;

use super::*;
use crate::commands::demo::{lesson, stage};

const SPLIT_DIGIT: &str = include_str!("../../../scenarios/pitfall-split-digits.toml");

/// The page of lesson 3 alone, with `text` in the place of its scenario, and its data.
fn lesson_with(text: &str) -> (String, Value) {
    let library = |_: &str| -> Option<Scenario> { scenario::load(text).ok() };
    let lesson = lesson::all().into_iter().nth(2).expect("lesson 3");
    assert_eq!(lesson.name, "split-digit");
    let shown = stage::play(&lesson, &library).expect("played");
    let page = course_page(&[(lesson, shown)], &library).expect("a page");
    let data = data_of(&page);
    (page, data)
}

fn data_of(page: &str) -> Value {
    let (_, rest) = page.split_once("id=\"data\">").expect("data");
    let (data, _) = rest.split_once("</script>").expect("an end");
    serde_json::from_str(data).expect("JSON")
}

/// A dialect is changed under the lesson's feet: the careful server in the place of the listing's.
#[test]
fn lesson_played_with_another_program_is_another_page() {
    let (_, as_it_is) = lesson_with(SPLIT_DIGIT);
    let planted = SPLIT_DIGIT.replacen("breaks = \"INTACT\"", "with = { server = \"careful\" }", 1);
    assert_ne!(planted, SPLIT_DIGIT, "the first play breaks INTACT, and is changed");
    let (_, changed) = lesson_with(&planted);

    let right = |data: &Value| -> Vec<bool> {
        let choices = data["lessons"][0]["choices"].as_array().expect("choices");
        choices.iter().map(|choice| choice["right"] == true).collect()
    };
    assert_eq!(right(&as_it_is), [false, true, false]);
    assert_ne!(right(&changed), right(&as_it_is), "the answer is the run's");

    let breaks = |data: &Value| data["lessons"][0]["pairs"][0]["broken"]["outcome"]["breaks"].clone();
    assert!(breaks(&as_it_is).as_str().is_some_and(|name| name.starts_with("INTACT")));
    assert_eq!(breaks(&changed), Value::Null);

    let marks = |data: &Value| -> Vec<String> {
        let endings = data["maps"][0]["endings"].as_array().expect("endings");
        endings.iter().map(|ending| ending[0].as_str().expect("a mark").to_owned()).collect()
    };
    assert!(marks(&as_it_is).iter().any(|mark| mark == "corrupt"));
    assert!(!marks(&changed).iter().any(|mark| mark == "crash"), "{:?}", marks(&changed));
    // What the author explains is left out where it does not fit.
    let why = |data: &Value| data["lessons"][0]["choices"][1]["why"].clone();
    assert!(why(&as_it_is).is_string() && why(&changed).is_null());
}

#[test]
fn page_of_a_play_holds_no_markup_that_a_peer_could_have_sent() {
    let text = "# Is <i>this</i> markup?\n# No & never: </script>.\nshows = [\"path-traversal\"]\n[[play]]\n\
                case = \"lab-a-naive\"\nschedule = \"benign\"\nwith = { raw = \"</script><img src=x>|{{data}}\" }\n";
    let scenario = scenario::load(text).expect("a scenario");
    let verdict = scenario.run();
    let page = trace_page("mine.toml", &scenario, &verdict.plays[0]);
    assert!(!page.contains("<img"), "not in the data, not in the lanes");
    assert!(!page.contains("<i>"), "not in the title");
    assert_eq!(page.matches("</script>").count(), 2, "the data's and the script's own");
    assert_eq!(data_of(&page)["question"], "Is <i>this</i> markup?");
    // A place in what is put in is not a place.
    assert!(page.contains("{{data}}"));
}

#[test]
fn page_is_the_same_for_the_same_run_and_names_no_other_file() {
    let (page, _) = lesson_with(SPLIT_DIGIT);
    assert_eq!(page, lesson_with(SPLIT_DIGIT).0);
    let (markup, _) = page.split_once("id=\"data\">").expect("data");
    assert!(
        !markup.contains("http:") && !markup.contains("https:") && !markup.contains("url("),
        "no request to anywhere"
    );
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn page_of_every_play_of_every_scenario_stays_below_400_kb() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../scenarios");
    let mut pages = 0;
    for entry in std::fs::read_dir(folder).expect("the scenarios' folder") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|ext| ext != "toml") {
            continue;
        }
        let scenario = scenario::load(&std::fs::read_to_string(&path).expect("a scenario")).expect("a scenario");
        for played in scenario.run().plays {
            let page = trace_page("name", &scenario, &played);
            assert!(page.len() < 400_000, "{}: {} bytes", path.display(), page.len());
            pages += 1;
        }
    }
    assert!(pages > 70, "{pages} pages");
}

/// A colour, as linear light.
fn light(hex: &str) -> f64 {
    let part = |i: usize| {
        let byte = u8::from_str_radix(&hex[i..i + 2], 16).expect("hexadecimal");
        let value = f64::from(byte) / 255.0;
        if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
}

/// WCAG 2.1, contrast ratio.
fn contrast(a: &str, b: &str) -> f64 {
    let (a, b) = (light(a), light(b));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

/// `--name: #rrggbb` of one theme.
fn colours(css: &str) -> BTreeMap<&str, &str> {
    let lines = css.lines().filter_map(|line| line.trim().strip_prefix("--")?.strip_suffix(';')?.split_once(": "));
    lines.filter(|(_, value)| value.starts_with('#') && value.len() == 7).collect()
}

#[test]
fn every_text_has_the_contrast_that_wcag_asks_for_in_both_themes() {
    let (light_theme, dark_theme) = STYLE.split_once("prefers-color-scheme: dark").expect("two themes");
    let fills = ["m0", "m1", "m2", "m3", "m4", "m5", "intact", "refused", "lie", "hang", "crash", "corrupt"];
    for (theme, css) in [("light", light_theme), ("dark", dark_theme)] {
        let colours = colours(css);
        let of = |name: &str| *colours.get(name).unwrap_or_else(|| panic!("{theme} has a colour {name}"));
        let mut pairs: Vec<(&str, &str, f64)> = Vec::new();
        for paper in ["paper", "panel", "shade"] {
            pairs.extend(["ink", "soft", "accent", "good", "bad"].map(|ink| (ink, paper, 4.5)));
            // Boxes' edges are signs, not texts.
            pairs.push(("edge", paper, 3.0));
        }
        pairs.extend(fills.map(|fill| ("ink", fill, 7.0)));
        pairs.push(("on-accent", "accent", 4.5));
        for (ink, paper, least) in pairs {
            let ratio = contrast(of(ink), of(paper));
            assert!(ratio >= least, "{theme}: {ink} on {paper} is {ratio:.2}:1, at least {least}:1");
        }
    }
}

/// A picture of a map stands alone, so its colours are its own; they are the pages'.
#[test]
fn maps_as_pictures_have_the_colours_of_the_pages() {
    let (light_picture, dark_picture) = include_str!("map.css").split_once("@media").expect("two themes");
    let (light_theme, dark_theme) = STYLE.split_once("prefers-color-scheme: dark").expect("two themes");
    for (picture, css) in [(light_picture, light_theme), (dark_picture, dark_theme)] {
        let colours = colours(css);
        for mark in ["intact", "refused", "lie", "hang", "crash", "corrupt"] {
            let rule = format!(".{mark} {{ fill: {} }}", colours[mark]);
            assert!(picture.contains(&rule), "{rule}");
        }
    }
}
