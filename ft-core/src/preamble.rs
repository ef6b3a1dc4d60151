//! The first 16 bytes of each side, and a name for whatever else might be there instead (PROTOCOL §3).

use crate::error::SessionError;
use crate::limits::{PREAMBLE_LEN, VERSION_MAX, VERSION_MIN};
use crate::path::escape;

/// The high bit shows 7-bit paths, CR LF and LF show translated line endings, SUB stops a careless `type`.
pub const MAGIC: [u8; 8] = *b"\x89FT/\r\n\x1a\n";

/// A version range as offered, or a chosen version twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Versions {
    /// Lowest.
    pub min: u16,
    /// Highest.
    pub max: u16,
}

impl Versions {
    /// What this code speaks.
    pub const OURS: Self = Self { min: VERSION_MIN, max: VERSION_MAX };

    /// The highest version in both ranges (PROTOCOL §3.2).
    pub fn choose(self, other: Self) -> Option<u16> {
        let max = self.max.min(other.max);
        (max >= self.min.max(other.min)).then_some(max)
    }

    /// The 16 bytes.
    pub fn encode(self) -> [u8; PREAMBLE_LEN] {
        let mut out = [0; PREAMBLE_LEN];
        out[..8].copy_from_slice(&MAGIC);
        out[8..10].copy_from_slice(&self.min.to_be_bytes());
        out[10..12].copy_from_slice(&self.max.to_be_bytes());
        let crc = crc32c::crc32c(&out[..12]);
        out[12..].copy_from_slice(&crc.to_be_bytes());
        out
    }
}

/// Judges the bytes so far. Called for every length from 1 on, so that the answer depends on the bytes alone and not on
/// how they were segmented.
///
/// # Errors
/// The bytes can no longer become a preamble (FT-1).
pub fn check(so_far: &[u8]) -> Result<Option<Versions>, SessionError> {
    let magic = so_far.len().min(MAGIC.len());
    if so_far[..magic] != MAGIC[..magic] {
        return explain(so_far);
    }
    let Some(whole) = so_far.first_chunk::<PREAMBLE_LEN>() else { return Ok(None) };
    let word = |i: usize| u16::from_be_bytes([whole[i], whole[i + 1]]);
    let crc = crc32c::crc32c(&whole[..12]);
    if whole[12..] != crc.to_be_bytes() {
        return Err(malformed(12, format!("preamble checksum {crc:08x}"), &whole[12..]));
    }
    let versions = Versions { min: word(8), max: word(10) };
    if versions.min == 0 || versions.min > versions.max {
        return Err(malformed(8, "a version range from 1 up".into(), &whole[8..12]));
    }
    Ok(Some(versions))
}

/// First words by which other protocols can be told, and what to call them.
const FOREIGN: &[(&[u8], &str)] = &[
    (b"GET ", "an HTTP client"),
    (b"HEAD ", "an HTTP client"),
    (b"POST ", "an HTTP client"),
    (b"PUT ", "an HTTP client"),
    (b"HTTP/", "an HTTP server"),
    (b"SSH-", "SSH"),
    (b"\x16\x03", "TLS"),
    (b"220", "an FTP or SMTP server"),
    (b"@RSYNCD:", "an rsync daemon"),
    (b"ACK", "a lab A server (dialect pipe)"),
    (b"file recv", "a lab B server (dialect addfile)"),
    (b"addfile", "a lab B client (dialect addfile)"),
    (b"UPLOAD", "a lab B client (dialect addfile)"),
    (b"DOWNLOAD", "a lab B client (dialect addfile)"),
    (b"\x89PNG", "a PNG image"),
];

fn explain(so_far: &[u8]) -> Result<Option<Versions>, SessionError> {
    if let Some((_, what)) = FOREIGN.iter().find(|(word, _)| so_far.starts_with(word)) {
        return Err(SessionError::Foreign { what: (*what).into() });
    }
    if FOREIGN.iter().any(|(word, _)| word.starts_with(so_far)) {
        return Ok(None);
    }
    let expected = match so_far {
        [0x09, ..] => "the ft/1 preamble; the eighth bit of each byte was stripped on the way",
        [0x89, b'F', b'T', b'/', ..] => "the ft/1 preamble; line endings were translated on the way",
        _ => "the ft/1 preamble",
    };
    let at = so_far.iter().zip(MAGIC).position(|(&got, want)| got != want).unwrap_or(0);
    Err(malformed(at, expected.into(), so_far))
}

fn malformed(at: usize, expected: String, got: &[u8]) -> SessionError {
    SessionError::Malformed { offset: at as u64, expected, got: format!("\"{}\"", escape(got)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first verdict over growing prefixes.
    fn judge(bytes: &[u8]) -> String {
        for len in 1..=bytes.len() {
            match check(&bytes[..len]) {
                Ok(None) => {}
                Ok(Some(v)) => return format!("{}..{} after {len}", v.min, v.max),
                Err(e) => return e.to_string(),
            }
        }
        "undecided".into()
    }

    #[test]
    fn preamble_round_trips_and_every_flipped_bit_is_noticed() {
        let good = Versions { min: 1, max: 3 }.encode();
        assert_eq!(judge(&good), "1..3 after 16");
        for bit in 0..128 {
            let mut bad = good;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert!(judge(&bad).contains("expected"), "bit {bit}: {}", judge(&bad));
        }
    }

    #[test]
    fn foreign_first_lines_and_manglers_are_named() {
        insta::assert_snapshot!([
            &b"HTTP/1.1 400 Bad Request"[..], b"GET / HTTP/1.1", b"SSH-2.0-OpenSSH", b"\x16\x03\x01\x02", b"220 ready", b"ACK",
            b"addfile\n", b"@RSYNCD: 31", b"\x09FT/\r\n\x1a\n", b"\x89FT/\n\x1a\n", b"\x89FT/\r\r\n", b"data.txt|10", b"A",
        ].map(judge).join("\n"), @r#"
        the peer does not speak ft/1: this looks like an HTTP server
        the peer does not speak ft/1: this looks like an HTTP client
        the peer does not speak ft/1: this looks like SSH
        the peer does not speak ft/1: this looks like TLS
        the peer does not speak ft/1: this looks like an FTP or SMTP server
        the peer does not speak ft/1: this looks like a lab A server (dialect pipe)
        the peer does not speak ft/1: this looks like a lab B client (dialect addfile)
        the peer does not speak ft/1: this looks like an rsync daemon
        peer sent malformed bytes at byte 0: expected the ft/1 preamble; the eighth bit of each byte was stripped on the way, got "\u{9}"
        peer sent malformed bytes at byte 4: expected the ft/1 preamble; line endings were translated on the way, got "\x89FT/\u{a}"
        peer sent malformed bytes at byte 5: expected the ft/1 preamble; line endings were translated on the way, got "\x89FT/\u{d}\u{d}"
        peer sent malformed bytes at byte 0: expected the ft/1 preamble, got "d"
        undecided
        "#);
    }

    #[test]
    fn highest_common_version_is_chosen() {
        let v = |min, max| Versions { min, max };
        assert_eq!(v(1, 3).choose(v(2, 9)), Some(3));
        assert_eq!(v(1, 1).choose(v(2, 2)), None);
        assert_eq!(v(2, 5).choose(v(1, 2)), Some(2));
    }
}
