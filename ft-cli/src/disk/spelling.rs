//! Names that some file system takes for one, and names that some system cannot store.
//!
//! macOS, Windows and some folders of ext4 look for a name without regard to case or to how its accents are written. Nobody's table
//! is used here but Unicode's: [`fold`] joins at least what each of those joins, so that two names that fold apart are apart everywhere.

use unicode_normalization::UnicodeNormalization as _;

/// What all spellings of a name have in common.
pub(super) fn fold(name: &[u8]) -> Vec<u8> {
    match std::str::from_utf8(name) {
        // Canonical caseless matching (Unicode 16, D145), with full case folding made of what there is: the small letters of the
        // capitals of the small letters. So ẞ, ß and SS end together, and so do ſ and s, and all sigmas.
        Ok(text) if !text.is_ascii() => {
            let seen = text.chars().filter(|c| !ignorable(*c)).nfd();
            let folded = seen.flat_map(char::to_lowercase).flat_map(capital).flat_map(char::to_lowercase);
            folded.nfd().collect::<String>().into_bytes()
        }
        Ok(_) | Err(_) => name.to_ascii_lowercase(),
    }
}

/// Capital letters, but for ı, whose capital is the one of i, and which Unicode does not fold to it.
fn capital(c: char) -> impl Iterator<Item = char> {
    let mapped = (c != 'ı').then(|| c.to_uppercase());
    let itself = mapped.is_none().then_some(c);
    mapped.into_iter().flatten().chain(itself)
}

/// Characters that nobody sees and that some file systems skip (Unicode's Default_Ignorable_Code_Point).
fn ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Other spellings of a name, by which a file system shows whether it folds: one in another case, one with its accents written
/// otherwise; of a name without either, one with something more that is not seen, or without its last dots.
pub(super) fn twins(name: &[u8]) -> Vec<Vec<u8>> {
    let swapped = |b: &u8| if b.is_ascii_lowercase() { b.to_ascii_uppercase() } else { b.to_ascii_lowercase() };
    let mut twins = Vec::new();
    let text = std::str::from_utf8(name).ok();
    if name.iter().any(u8::is_ascii_alphabetic) {
        twins.push(name.iter().map(swapped).collect());
    } else if let Some(text) = text {
        twins.extend(text.char_indices().find_map(|(at, c)| {
            let other = one(capital(c), c).or_else(|| one(c.to_lowercase(), c))?;
            Some([&text[..at], other.encode_utf8(&mut [0; 4]), &text[at + c.len_utf8()..]].concat().into_bytes())
        }));
    }
    if let Some(text) = text.filter(|text| !text.is_ascii()) {
        let forms = [text.nfc().collect::<String>(), text.nfd().collect()];
        twins.extend(forms.into_iter().find(|form| form != text).map(String::into_bytes));
    }
    if twins.is_empty() {
        let dots = name.iter().rev().take_while(|b| matches!(b, b'.' | b' ')).count();
        twins.extend([[name, "\u{200b}".as_bytes()].concat(), name[..name.len() - dots].to_vec()]);
        twins.retain(|twin| !twin.is_empty() && twin != name);
    }
    twins
}

/// The one character of an iterator, if it is another one than `than`.
fn one(mut mapped: impl Iterator<Item = char>, than: char) -> Option<char> {
    mapped.next().filter(|first| *first != than && mapped.next().is_none())
}

/// Why some system cannot store a name; `None` if all can. Windows takes such names for something else: paths, streams, devices,
/// or the name without its last dots.
pub(super) fn unportable(name: &[u8]) -> Option<&'static str> {
    const DEVICES: &[&str] = &["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
    let Ok(text) = std::str::from_utf8(name) else { return Some("is not UTF-8") };
    if text.contains(|c: char| c < ' ' || "<>:\"/\\|?*".contains(c)) {
        return Some("has a character that Windows allows in no name");
    }
    if text.ends_with(['.', ' ']) {
        return Some("ends in a dot or a space, which Windows drops");
    }
    let stem = text.split('.').next().unwrap_or(text).trim_end().to_ascii_uppercase();
    let number = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    let numbered =
        number.is_some_and(|n| matches!(n.chars().next(), Some('0'..='9' | '¹' | '²' | '³')) && n.chars().count() == 1);
    (DEVICES.contains(&stem.as_str()) || numbered).then_some("is the name of a device on Windows")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folded(name: &str) -> Vec<u8> {
        fold(name.as_bytes())
    }

    #[test]
    fn spellings_that_some_file_system_joins_fold_to_one() {
        for (one, other) in [
            ("README", "readme"),
            ("caf\u{e9}", "CAFE\u{301}"),
            ("stra\u{df}e", "STRASSE"),
            ("STRA\u{1e9e}E", "strasse"),
            ("\u{3a3}\u{3a3}", "\u{3c3}\u{3c2}"),
            ("\u{212a}", "k"),
            ("\u{17f}", "S"),
            ("\u{130}", "i\u{307}"),
            (".f\u{200c}t-staging", ".FT-STAGING"),
            ("\u{ac00}", "\u{1100}\u{1161}"),
            ("\u{414}\u{41e}\u{41c}", "\u{434}\u{43e}\u{43c}"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        for (one, other) in
            [("a", "b"), ("e", "\u{e9}"), ("a", "a "), ("a.", "a"), ("\u{f8}", "o"), ("\u{131}", "i"), ("\u{ff}", "y")]
        {
            assert_ne!(folded(one), folded(other), "{one} {other}");
        }
        assert_eq!(fold(b"A\xff\xe9"), b"a\xff\xe9");
    }

    #[test]
    fn twins_fold_to_the_same_and_are_spelled_otherwise() {
        for name in ["a", "README.md", "x\u{e9}", "\u{e9}", "e\u{301}", "\u{414}", "\u{1c4}", "\u{ac00}"] {
            let twins = twins(name.as_bytes());
            assert!(!twins.is_empty(), "{name}");
            for twin in twins {
                assert_ne!(twin, name.as_bytes());
                assert_eq!(fold(&twin), folded(name), "{name} {}", String::from_utf8_lossy(&twin));
            }
        }
        assert_eq!(twins(b"2024-01.7"), ["2024-01.7\u{200b}".as_bytes()]);
        assert_eq!(twins(b"7. ."), ["7. .\u{200b}".as_bytes(), b"7"]);
        assert_eq!(twins(b"\xffa"), [b"\xffA"]);
        assert_eq!(twins("\u{6f22}".as_bytes()), ["\u{6f22}\u{200b}".as_bytes()]);
    }

    /// A twin that folded otherwise would find a folder to fold that does not.
    #[test]
    fn every_letter_folds_as_its_twins_do() {
        for c in ('\u{80}'..'\u{20000}').filter(|c| c.is_alphabetic() && !('\u{4e00}'..'\u{a000}').contains(c)) {
            let name = c.to_string().into_bytes();
            for twin in twins(&name) {
                assert_eq!(fold(&twin), fold(&name), "{c} {:x} {}", u32::from(c), String::from_utf8_lossy(&twin));
            }
        }
    }

    #[test]
    fn names_that_windows_takes_for_something_else_are_told_and_their_likes_are_not() {
        for name in [
            "a:b",
            "a\\b",
            "what?",
            "tab\t",
            "end.",
            "end ",
            "NUL",
            "nul.txt",
            "Com1",
            "lpt9.tar.gz",
            "COM\u{b9}",
            "aux .c",
            "\u{1f}",
        ] {
            assert!(unportable(name.as_bytes()).is_some(), "{name}");
        }
        for name in [
            "comb",
            "combo.txt",
            "com",
            "com10",
            "null",
            "console",
            "a.b",
            ".profile",
            "lptx",
            "\u{e9}",
            "\u{7f}",
            "\u{85}",
        ] {
            assert_eq!(unportable(name.as_bytes()), None, "{name}");
        }
        assert_eq!(unportable(b"\xff"), Some("is not UTF-8"));
    }
}
