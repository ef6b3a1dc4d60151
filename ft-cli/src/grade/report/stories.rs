//! What there is to say of each pitfall, whoever falls into it: `texts.toml`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ft_core::dialect::Pitfall;
use serde::Deserialize;

const TEXTS: &str = include_str!("texts.toml");

/// The words about one pitfall.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Story {
    /// What goes wrong.
    pub(super) story: String,
    /// A question that leads there, without the answer.
    pub(super) hint: String,
    /// What a careful program does instead.
    pub(super) fix: String,
    /// A lesson of `ft-cli demo`, from 1.
    pub(super) lesson: usize,
    /// Scenarios that are built in.
    pub(super) scenarios: Vec<String>,
    /// A file in `docs/` and a heading in it, with a colon between.
    pub(super) docs: String,
}

static STORIES: LazyLock<BTreeMap<String, Story>> =
    LazyLock::new(|| toml::from_str(TEXTS).expect("a test reads the texts"));

/// The words about `pitfall`.
///
/// # Panics
///
/// If there are none: a test asks for all.
pub(super) fn of(pitfall: Pitfall) -> &'static Story {
    STORIES.get(pitfall.id()).unwrap_or_else(|| unreachable!("no text for {pitfall}"))
}

impl Story {
    /// What to read or to run next; commands first.
    pub(super) fn read(&self) -> Vec<String> {
        let mut all = vec![format!("ft-cli demo {}", self.lesson)];
        all.extend(self.scenarios.first().map(|name| format!("ft-cli sim run {name}")));
        let (file, heading) = self.docs.split_once(": ").unwrap_or((&self.docs, ""));
        all.push(format!("docs/{file}, “{}”", heading.replace('`', "")));
        all
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::commands::demo::lesson;
    use ft_sim::scenario;

    fn root() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
    }

    #[test]
    fn every_pitfall_of_the_catalogue_has_a_text_and_no_other_has() {
        let known: Vec<&str> = STORIES.keys().map(String::as_str).collect();
        let mut catalogue: Vec<&str> = Pitfall::ALL.iter().map(|pitfall| pitfall.id()).collect();
        catalogue.sort_unstable();
        assert_eq!(known, catalogue);
        for (id, story) in STORIES.iter() {
            assert!(story.story.ends_with('.') && story.fix.ends_with('.'), "{id}: sentences");
            assert!(story.hint.ends_with('?'), "{id}: a hint is a question");
        }
    }

    #[test]
    fn lesson_that_is_named_exists_and_is_the_one_about_it_if_there_is_one() {
        let lessons = lesson::all();
        for (id, story) in STORIES.iter() {
            let about: Vec<usize> =
                lessons.iter().filter(|one| one.text.pitfalls.contains(id)).map(|one| one.number).collect();
            assert!(lessons.iter().any(|one| one.number == story.lesson), "{id}: lesson {}", story.lesson);
            assert!(about.is_empty() || about.contains(&story.lesson), "{id}: lesson {}, not {about:?}", story.lesson);
        }
    }

    #[test]
    fn scenarios_that_are_named_show_the_pitfall() {
        for (id, story) in STORIES.iter() {
            for name in &story.scenarios {
                let path = root().join(format!("scenarios/{name}.toml"));
                let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
                assert!(scenario::load(&text).expect("a scenario").shows.contains(id), "{name} shows {id}");
            }
        }
    }

    #[test]
    fn scenario_that_is_called_after_a_pitfall_is_named_first() {
        for (id, story) in STORIES.iter() {
            let name = format!("pitfall-{id}");
            if root().join(format!("scenarios/{name}.toml")).exists() {
                assert_eq!(story.scenarios.first(), Some(&name));
            }
        }
    }

    #[test]
    fn heading_that_is_named_stands_in_the_document() {
        for (id, story) in STORIES.iter() {
            let (file, heading) = story.docs.split_once(": ").expect("a file and a heading");
            let text = std::fs::read_to_string(root().join("docs").join(file)).expect("a document");
            let found = text.lines().any(|line| line.trim_start_matches('#') == format!(" {heading}"));
            assert!(found, "{id}: {file} has no heading {heading:?}");
        }
    }
}
