//! Numbers, times and permissions as people read them.

use std::time::Duration;

use ft_core::frame::{Kind, Meta, Mtime};
use indicatif::HumanBytes;
use jiff::Timestamp;

/// Bytes with a binary unit, such as `12.31 MiB`.
pub fn amount(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// `1 file`, `2 files`.
pub fn files(count: u64) -> String {
    if count == 1 { "1 file".into() } else { format!("{count} files") }
}

/// Seconds with as many digits as mean something.
pub fn seconds(time: Duration) -> String {
    match time.as_secs_f64() {
        s if s < 10.0 => format!("{s:.2} s"),
        s if s < 120.0 => format!("{s:.1} s"),
        s => format!("{} min {} s", (s / 60.0).floor(), (s % 60.0).floor()),
    }
}

/// A modification time in UTC, RFC 3339, to the second; nanoseconds only where `--json` shows them.
pub fn mtime_text(mtime: Mtime) -> String {
    let nanos = i32::try_from(mtime.nanos).unwrap_or(0);
    // A peer may state any 64-bit second; what no calendar has is shown as it came.
    Timestamp::new(mtime.secs, nanos).map_or_else(|_| format!("@{}", mtime.secs), |t| t.to_string())
}

/// `-rw-r--r--`, with question marks where the peer has no permissions.
pub fn mode_text(meta: &Meta) -> String {
    let kind = match meta.kind {
        Kind::File => '-',
        Kind::Folder => 'd',
        Kind::Link => 'l',
    };
    let Some(mode) = meta.mode else { return format!("{kind}?????????") };
    let mut text = String::from(kind);
    for (i, letter) in "rwxrwxrwx".chars().enumerate() {
        text.push(if mode & (0o400 >> i) == 0 { '-' } else { letter });
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use ft_core::path::RelPath;

    #[test]
    fn mode_reads_as_ls_prints_it() {
        let mut meta = Meta {
            path: RelPath::root(),
            kind: Kind::File,
            size: None,
            mode: Some(0o640),
            mtime: None,
            target: vec![],
        };
        assert_eq!(mode_text(&meta), "-rw-r-----");
        meta.kind = Kind::Folder;
        meta.mode = Some(0o755);
        assert_eq!(mode_text(&meta), "drwxr-xr-x");
        meta.mode = None;
        assert_eq!(mode_text(&meta), "d?????????");
    }

    #[test]
    fn mtime_before_1970_and_beyond_the_calendar_has_a_text() {
        assert_eq!(mtime_text(Mtime { secs: 0, nanos: 500_000_000 }), "1970-01-01T00:00:00.5Z");
        assert_eq!(mtime_text(Mtime { secs: -1, nanos: 0 }), "1969-12-31T23:59:59Z");
        assert_eq!(mtime_text(Mtime { secs: i64::MAX, nanos: 0 }), format!("@{}", i64::MAX));
    }

    #[test]
    fn durations_keep_the_digits_that_matter() {
        assert_eq!(seconds(Duration::from_millis(1234)), "1.23 s");
        assert_eq!(seconds(Duration::from_millis(12_345)), "12.3 s");
        assert_eq!(seconds(Duration::from_secs(185)), "3 min 5 s");
    }
}
