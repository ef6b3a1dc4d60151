//! `HOST[:PORT][/PATH]`, as people type it.

use std::ffi::OsStr;
use std::fmt;
use std::net::Ipv6Addr;

use ft_core::path::{BadPath, RelPath, escape};

use crate::limits::DEFAULT_PORT;

/// A host and a port, not resolved yet.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    /// A name or an address, without brackets.
    pub host: String,
    /// 1..=65535 to connect; 0 to listen on any free port.
    pub port: u16,
}

/// An endpoint and a path beneath what is served there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    /// Where to connect.
    pub endpoint: Endpoint,
    /// What, or into what; the root when no path was given.
    pub path: RelPath,
}

/// Why a text is not a target.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum BadTarget {
    /// Nothing before the first `:` or `/`.
    NoHost,
    /// The host part is not UTF-8.
    HostNotText,
    /// `[` without `]`, or something else than `:` or `/` behind it.
    Brackets,
    /// Several colons, but not an address.
    Colons(String),
    /// The port is not a number 1..=65535 (0 only where listening).
    Port(String),
    /// The path is not one that can be asked for.
    Path(BadPath),
    /// A path where only an address makes sense.
    UnexpectedPath,
}

impl fmt::Display for BadTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHost => f.write_str("the host is missing: expected HOST[:PORT][/PATH]"),
            Self::HostNotText => f.write_str("the host is not UTF-8"),
            Self::Brackets => f.write_str("brackets do not match: expected [IPV6][:PORT][/PATH]"),
            Self::Colons(host) => write!(
                f,
                "{} has several colons and is not an IPv6 address; with a port, write [ADDRESS]:PORT",
                escape(host.as_bytes())
            ),
            Self::Port(port) => {
                write!(f, "\"{}\" is not a port: expected a number from 1 to 65535", escape(port.as_bytes()))
            }
            Self::Path(why) => why.fmt(f),
            Self::UnexpectedPath => f.write_str("a path is not expected here: expected HOST[:PORT]"),
        }
    }
}

impl std::error::Error for BadTarget {}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = escape(self.host.as_bytes());
        if self.host.contains(':') { write!(f, "[{host}]:{}", self.port) } else { write!(f, "{host}:{}", self.port) }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)?;
        if self.path.is_root() { Ok(()) } else { write!(f, "/{}", self.path) }
    }
}

impl Endpoint {
    /// Parses `HOST[:PORT]` of something to connect to.
    ///
    /// # Errors
    /// [`BadTarget`] says what is wrong.
    pub fn parse(text: &str) -> Result<Self, BadTarget> {
        match Self::parse_listen(text)? {
            Self { port: 0, .. } => Err(BadTarget::Port("0".into())),
            endpoint => Ok(endpoint),
        }
    }

    /// Parses `HOST[:PORT]` of something to listen on: port 0 is any free one.
    ///
    /// # Errors
    /// [`BadTarget`] says what is wrong.
    pub fn parse_listen(text: &str) -> Result<Self, BadTarget> {
        if text.contains('/') {
            return Err(BadTarget::UnexpectedPath);
        }
        let (host, port) = split_host(text)?;
        if host.is_empty() {
            return Err(BadTarget::NoHost);
        }
        let port = match port {
            None => DEFAULT_PORT,
            // `u16::from_str` takes a sign; a port has none.
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => {
                digits.parse().map_err(|_| BadTarget::Port(digits.into()))?
            }
            Some(other) => return Err(BadTarget::Port(other.into())),
        };
        Ok(Self { host: host.into(), port })
    }
}

/// Host without brackets, and the text behind its colon.
fn split_host(text: &str) -> Result<(&str, Option<&str>), BadTarget> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, behind) = rest.split_once(']').ok_or(BadTarget::Brackets)?;
        return match behind.strip_prefix(':') {
            Some(port) => Ok((host, Some(port))),
            None if behind.is_empty() => Ok((host, None)),
            None => Err(BadTarget::Brackets),
        };
    }
    match text.split_once(':') {
        None => Ok((text, None)),
        Some((host, port)) if !port.contains(':') => Ok((host, Some(port))),
        // `::1` and friends need no brackets as long as no port follows.
        Some(_) if text.split('%').next().is_some_and(|a| a.parse::<Ipv6Addr>().is_ok()) => Ok((text, None)),
        Some(_) => Err(BadTarget::Colons(text.into())),
    }
}

impl Target {
    /// Parses `HOST[:PORT][/PATH]`; the path is raw bytes and need not be UTF-8.
    ///
    /// # Errors
    /// [`BadTarget`] says what is wrong.
    pub fn parse(text: &OsStr) -> Result<Self, BadTarget> {
        let bytes = text.as_encoded_bytes();
        let slash = bytes.iter().position(|&b| b == b'/').unwrap_or(bytes.len());
        let host = std::str::from_utf8(&bytes[..slash]).map_err(|_| BadTarget::HostNotText)?;
        let endpoint = Endpoint::parse(host)?;
        let path = RelPath::parse(&bytes[slash..]).map_err(BadTarget::Path)?;
        Ok(Self { endpoint, path })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match Target::parse(OsStr::new(text)) {
            Ok(t) => format!("host {} port {} path /{}", t.endpoint.host, t.endpoint.port, t.path),
            Err(e) => format!("error: {e}"),
        }
    }

    #[test]
    fn target_forms_parse_to_host_port_and_path() {
        for (text, want) in [
            ("box", "host box port 65432 path /"),
            ("box:7", "host box port 7 path /"),
            ("box/a/b", "host box port 65432 path /a/b"),
            ("box:7/a//b/", "host box port 7 path /a/b"),
            ("127.0.0.1:7", "host 127.0.0.1 port 7 path /"),
            ("[::1]", "host ::1 port 65432 path /"),
            ("[::1]:7/dir", "host ::1 port 7 path /dir"),
            ("[fe80::1%eth0]:7", "host fe80::1%eth0 port 7 path /"),
            ("::1/a:b", "host ::1 port 65432 path /a:b"),
            ("box/a:7", "host box port 65432 path /a:7"),
        ] {
            assert_eq!(shown(text), want, "{text}");
        }
    }

    #[test]
    fn target_that_makes_no_sense_is_refused_with_its_reason() {
        for (text, want) in [
            ("", "the host is missing"),
            (":7", "the host is missing"),
            ("/a", "the host is missing"),
            ("[]:7", "the host is missing"),
            ("box:0", "\"0\" is not a port"),
            ("box:", "\"\" is not a port"),
            ("box:+7", "\"+7\" is not a port"),
            ("box:65536", "\"65536\" is not a port"),
            ("[::1", "brackets do not match"),
            ("[::1]7", "brackets do not match"),
            ("a:b:c", "a:b:c has several colons"),
            ("box/../etc", "a path component is '.' or '..'"),
        ] {
            assert!(shown(text).starts_with(&format!("error: {want}")), "{text}: {}", shown(text));
        }
    }

    #[test]
    fn endpoint_displays_as_it_is_typed() {
        for text in ["box:7", "[::1]:7", "127.0.0.1:65432"] {
            assert_eq!(Endpoint::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Endpoint::parse_listen("[::]:0").unwrap().port, 0);
    }

    #[cfg(unix)]
    #[test]
    fn path_that_is_not_utf8_is_kept_and_host_that_is_not_is_refused() {
        use std::os::unix::ffi::OsStrExt;
        let target = Target::parse(OsStr::from_bytes(b"box/\xff")).unwrap();
        assert_eq!(target.path.components(), [vec![0xff]]);
        assert_eq!(Target::parse(OsStr::from_bytes(b"\xff/x")), Err(BadTarget::HostNotText));
    }
}
