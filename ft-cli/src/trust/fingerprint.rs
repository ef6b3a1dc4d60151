//! The name of a public key, as people compare, pin and authorise it: `ftk1…`.
//!
//! It is the SHA-256 hash of the key's SubjectPublicKeyInfo (RFC 5280 §4.1), which any other tool can work out
//! (`openssl pkey -pubin -outform der | sha256sum`), written in Bech32m (BIP 350): lower case letters and digits without
//! those that look alike, and a checksum that finds every error of up to four characters.

use std::fmt;
use std::str::FromStr;

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32m, Hrp};
use ring::digest::{SHA256, digest};

/// What a fingerprint begins with; Bech32m puts a `1` behind it.
const PREFIX: Hrp = Hrp::parse_unchecked("ftk");

/// SHA-256 of a public key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

/// Why a text is no fingerprint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadFingerprint(String);

impl Fingerprint {
    /// The fingerprint of a key in DER, as certificates carry it.
    pub fn of_spki(spki: &[u8]) -> Self {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, spki).as_ref());
        Self(hash)
    }

    /// The hash itself.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        bech32::encode_lower_to_fmt::<Bech32m, _>(f, PREFIX, &self.0).map_err(|_| fmt::Error)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = BadFingerprint;

    fn from_str(text: &str) -> Result<Self, BadFingerprint> {
        let bad = |why: &str| BadFingerprint(why.to_owned());
        if !text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("ftk1")) {
            return Err(bad("it begins with ftk1, as `ft-cli key` prints it"));
        }
        let checked = CheckedHrpstring::new::<Bech32m>(text)
            .map_err(|_| bad("a character is wrong or missing: its checksum does not match"))?;
        let bytes: Vec<u8> = checked.byte_iter().collect();
        bytes.try_into().map(Self).map_err(|_| bad("it has the wrong length"))
    }
}

impl fmt::Display for BadFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not the fingerprint of a key: {}", self.0)
    }
}

impl std::error::Error for BadFingerprint {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fingerprint_reads_back_what_it_writes_and_is_known_by_others() {
        let key = Fingerprint::of_spki(b"key");
        let text = key.to_string();
        assert!(text.starts_with("ftk1") && text.len() == 62, "{text}");
        assert_eq!(text.parse(), Ok(key));
        assert_eq!(text.to_uppercase().parse(), Ok(key));
        // What `printf key | sha256sum` says.
        assert_eq!(hex(key.bytes()), "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683");
    }

    #[test]
    fn every_single_wrong_character_is_found() {
        let text = Fingerprint::of_spki(b"key").to_string();
        for at in 4..text.len() {
            for other in "qpzry9x8gf2tvdw0s3jn54khce6mua7l".chars().filter(|&c| !text[at..].starts_with(c)) {
                let wrong = format!("{}{other}{}", &text[..at], &text[at + 1..]);
                assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
            }
        }
        for bad in ["", "ftk1", "ftk", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7k", "ftk1é"] {
            assert!(bad.parse::<Fingerprint>().is_err(), "{bad}");
        }
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
