//! Texts that differ only in their numbers, kept once: thousands of endings say how many bytes had come.

use std::collections::BTreeMap;

use serde::Serialize;

/// Stands where a number was. What the parties say is escaped, so that it has no control characters of its own.
const HOLE: char = '\u{1}';

/// Longest number that scripts hold exactly, digits.
const DIGITS: usize = 15;

/// Number of a text without its numbers, then its numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Said(Vec<u64>);

/// Every text of a page without its numbers.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    known: BTreeMap<String, u64>,
    all: Vec<String>,
}

impl Texts {
    /// Keeps a text.
    pub(crate) fn say(&mut self, text: &str) -> Said {
        let mut bare = String::new();
        let mut numbers = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
            let (before, from) = rest.split_at(start);
            let end = from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
            let (digits, after) = from.split_at(end);
            bare.push_str(before);
            // A number with zeros in front is no number, and a very long one none for a script.
            match digits.parse::<u64>() {
                Ok(number) if digits.len() <= DIGITS && number.to_string() == digits => {
                    bare.push(HOLE);
                    numbers.push(number);
                }
                Ok(_) | Err(_) => bare.push_str(digits),
            }
            rest = after;
        }
        bare.push_str(rest);
        let next = self.all.len() as u64;
        let number = *self.known.entry(bare.clone()).or_insert(next);
        if number == next {
            self.all.push(bare);
        }
        numbers.insert(0, number);
        Said(numbers)
    }

    /// The texts, by number.
    pub(crate) fn into_all(self) -> Vec<String> {
        self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(texts: &Texts, said: &Said) -> String {
        let mut numbers = said.0[1..].iter();
        let bare = &texts.all[usize::try_from(said.0[0]).expect("small")];
        bare.chars()
            .map(|c| if c == HOLE { numbers.next().expect("one for each").to_string() } else { c.into() })
            .collect()
    }

    #[test]
    fn text_kept_without_its_numbers_is_told_with_them() {
        let mut texts = Texts::default();
        for text in ["saved 12 of 25 bytes", "saved 9 of 25 bytes", "none", "7", "007 \\x00 99999999999999999999", ""] {
            let said = texts.say(text);
            assert_eq!(told(&texts, &said), text);
        }
        assert_eq!(texts.all[0], "saved \u{1} of \u{1} bytes");
        assert_eq!(texts.all.len(), 5, "{:?}", texts.all);
    }
}
