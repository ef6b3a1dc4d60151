//! Names for keeping both: `report.pdf`, `report (1).pdf`, `report (2).pdf` …

use ft_core::limits::MAX_COMPONENT;

/// The `n`th name for a file, 0 being its own. The number goes before the extension; a name that grows too long loses
/// the end of its stem, on a character boundary where it is UTF-8.
pub(super) fn candidate(name: &[u8], n: u32) -> Vec<u8> {
    if n == 0 {
        return name.to_vec();
    }
    let dot = name.iter().rposition(|&b| b == b'.').filter(|&at| at > 0).unwrap_or(name.len());
    let (stem, extension) = name.split_at(dot);
    let number = format!(" ({n})").into_bytes();
    // An extension that fills the name is no extension.
    let (stem, extension) =
        if extension.len() + number.len() < MAX_COMPONENT { (stem, extension) } else { (name, &[][..]) };
    let mut keep = stem.len().min(MAX_COMPONENT - number.len() - extension.len());
    while keep > 0 && keep < stem.len() && stem[keep] & 0b1100_0000 == 0b1000_0000 {
        keep -= 1;
    }
    [&stem[..keep], &number, extension].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_goes_before_the_extension_and_hidden_files_have_none() {
        assert_eq!(candidate(b"a.txt", 0), b"a.txt");
        assert_eq!(candidate(b"a.txt", 1), b"a (1).txt");
        assert_eq!(candidate(b"a.tar.gz", 12), b"a.tar (12).gz");
        assert_eq!(candidate(b".profile", 1), b".profile (1)");
        assert_eq!(candidate(b"plain", 2), b"plain (2)");
    }

    #[test]
    fn long_name_is_cut_on_a_character_boundary_and_stays_legal() {
        let long = format!("{}.txt", "é".repeat(125)).into_bytes();
        assert_eq!(long.len(), 254);
        let cut = candidate(&long, 1);
        assert!(cut.len() <= MAX_COMPONENT);
        assert_eq!(String::from_utf8(cut).unwrap(), format!("{} (1).txt", "é".repeat(123)));
        assert!(candidate(&[b'.'; 255], 999).len() <= MAX_COMPONENT);
        assert!(candidate(&[&b"a."[..], &[b'x'; 253]].concat(), 1).len() <= MAX_COMPONENT);
    }
}
