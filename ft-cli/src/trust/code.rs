//! A one-time code, as two people say it on the phone: `7-crossover-clockwork`.
//!
//! A number up to 99 and two of the 2,048 words of BIP 39, which were chosen to be told apart by ear and by their first
//! four letters: 28.6 bits. It is worth three guesses, each of which needs a connection to the receiver.

use std::fmt;

use bip39::Language;
use ring::rand::{SecureRandom as _, SystemRandom};
use zeroize::Zeroizing;

use super::limits::CODE_MAX;

/// Largest number in a code.
const NUMBERS: u8 = 99;

/// A code. It is shown to a person, by [`Code::show`], and to nobody else: no log can print it.
#[derive(Clone)]
pub struct Code(Zeroizing<String>);

impl Code {
    /// A new one, from the system's random numbers. `None` if it has none.
    pub fn new() -> Option<Self> {
        let random = SystemRandom::new();
        let mut bytes = Zeroizing::new([0u8; 5]);
        // So that every number is as likely as any other.
        while bytes[0] < u8::MAX % NUMBERS + 1 {
            random.fill(bytes.as_mut_slice()).ok()?;
        }
        let words = Language::English.word_list();
        let word = |at: usize| words[usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]])) % words.len()];
        let mut text = Zeroizing::new(String::with_capacity(CODE_MAX));
        text.push_str(&(bytes[0] % NUMBERS + 1).to_string());
        for at in [1, 3] {
            text.push('-');
            text.push_str(word(at));
        }
        Some(Self(text))
    }

    /// What a person has typed: case, and what is between the words, does not matter. `None`: it cannot be a code.
    pub fn typed(text: &str) -> Option<Self> {
        let mut code = Zeroizing::new(String::with_capacity(CODE_MAX));
        for part in text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty()) {
            if code.len() + part.len() >= CODE_MAX {
                return None;
            }
            if !code.is_empty() {
                code.push('-');
            }
            code.extend(part.chars().map(|c| c.to_ascii_lowercase()));
        }
        let parts = code.split('-').count();
        (parts == 3).then_some(Self(code))
    }

    /// For the eyes of the person who asked for it.
    pub fn show(&self) -> &str {
        &self.0
    }

    /// What the key exchange is fed with.
    pub(super) fn secret(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Code(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_a_number_and_two_words_and_reads_back_however_it_is_typed() {
        for _ in 0..200 {
            let code = Code::new().unwrap();
            let shown = code.show().to_owned();
            let parts: Vec<&str> = shown.split('-').collect();
            assert_eq!(parts.len(), 3, "{shown}");
            assert!((1..=99).contains(&parts[0].parse::<u8>().unwrap()), "{shown}");
            assert!(parts[1..].iter().all(|word| Language::English.find_word(word).is_some()), "{shown}");
            for typed in [shown.clone(), shown.to_uppercase(), shown.replace('-', "  "), format!(" {shown}\n")] {
                assert_eq!(Code::typed(&typed).unwrap().show(), shown, "{typed:?}");
            }
        }
    }

    #[test]
    fn every_number_comes_and_codes_differ() {
        let codes: std::collections::BTreeSet<String> =
            (0..3000).map(|_| Code::new().unwrap().show().to_owned()).collect();
        assert!(codes.len() > 2990);
        let numbers: std::collections::BTreeSet<&str> =
            codes.iter().map(|code| code.split('-').next().unwrap()).collect();
        assert_eq!(numbers.len(), 99);
    }

    #[test]
    fn text_that_cannot_be_a_code_is_none_and_no_code_is_printed_by_accident() {
        for bad in ["", "7", "7-one", "7-one-two-three", &"x-".repeat(3).repeat(30)] {
            assert!(Code::typed(bad).is_none(), "{bad}");
        }
        assert_eq!(format!("{:?}", Code::typed("7-one-two").unwrap()), "Code(secret)");
    }
}
