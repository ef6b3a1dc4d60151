//! `ls`: what a server has.

use ft_core::compress::Compress;
use ft_core::error::Retry;
use ft_core::event::Event;
use ft_core::frame::{Compare, Kind, Level, Links, Meta, Overwrite, Want};
use ft_core::session::{self, Options};
use tokio::sync::Notify;
use tokio::time::sleep;

use super::client::{self, Ended};
use crate::args::{Connection, LsArgs};
use crate::exit::{Exit, Stop};
use crate::net::{Backoff, Endpoint};
use crate::render::{Counts, Fact, Mode, Screen};

/// Lists one folder, or a tree.
pub(super) async fn run(args: LsArgs, screen: Screen) -> Result<Exit, Stop> {
    let depth = if args.recursive { u16::MAX } else { 1 };
    let path = args.target.path;
    let want = Want { path: path.clone(), depth, links: Links::Keep, last: true };
    let mut show = |meta: &Meta| {
        if let Some(name) = beneath(path.name(), meta) {
            screen.entry(name, meta);
        }
    };
    let (ended, counts) = list(&args.target.endpoint, vec![want], &args.connection, &screen, &mut show).await;
    conclude(&screen, ended, counts)
}

/// A listing says nothing more to people than its lines; programs get their last line.
fn conclude(screen: &Screen, ended: Ended, counts: Counts) -> Result<Exit, Stop> {
    match (ended, screen.mode()) {
        (Ok(()), Mode::Plain | Mode::Bars | Mode::Quiet) if counts.failed == 0 => Ok(Exit::Completed),
        (Ok(()), Mode::Plain | Mode::Bars | Mode::Quiet) => Ok(Exit::Refused),
        (ended, Mode::Plain | Mode::Bars | Mode::Quiet | Mode::Json) => {
            client::conclude(screen, "listed", ended, counts)
        }
    }
}

/// The name within the folder that was asked for: answers begin with that folder's own name. `None` for the folder itself.
fn beneath(asked: Option<&[u8]>, meta: &Meta) -> Option<String> {
    let parts = meta.path.components();
    let inner = match (asked, parts) {
        (_, []) => return None,
        (Some(asked), [first]) if first == asked && meta.kind == Kind::Folder => return None,
        (Some(asked), [first, rest @ ..]) if first == asked && !rest.is_empty() => rest,
        (_, parts) => parts,
    };
    Some(ft_core::path::escape(&inner.join(&b'/')))
}

/// Asks, and hands every entry to `on` as it comes. A broken session is tried again only as long as nothing came, so that
/// nothing is listed twice. When the reader of standard output is gone, so is the reason to go on.
pub(super) async fn list(
    endpoint: &Endpoint,
    wants: Vec<Want>,
    connection: &Connection,
    screen: &Screen,
    on: &mut dyn FnMut(&Meta),
) -> (Ended, Counts) {
    let mut backoff = Backoff::new(connection.retries);
    let mut counts = Counts::default();
    let mut attempt = 0;
    loop {
        let stream = match client::dial(endpoint, connection, None).await {
            Ok(stream) => stream,
            Err(text) => return (Err(text), counts),
        };
        let options = Options {
            agent: client::AGENT.into(),
            overwrite: Overwrite::Default,
            compare: Compare::None,
            level: Level::Cached,
            compress: Compress::Off,
            joins: false,
        };
        let gone = Notify::new();
        let session = session::list(stream, wants.clone(), &options, client::pulse(connection.timeout), |event| {
            tracing::debug!(?event, "event");
            if let Event::Listed(meta) = event {
                counts.completed += 1;
                on(meta);
                if screen.stdout_closed() {
                    gone.notify_one();
                }
            }
        });
        let report = tokio::select! {
            biased;
            () = gone.notified() => return (Ok(()), counts),
            report = session => report,
        };
        for (number, error) in &report.wants {
            let path = client::wanted(&wants, *number).map_or_else(String::new, |want| format!("/{}", want.path));
            screen.fact(None, &Fact::Failed { stream: 0, path, problem: error.into() });
            counts.failed += 1;
        }
        let Err(error) = report.end else { return (Ok(()), counts) };
        let wait = if counts.completed > 0 || error.retry() == Retry::Never { None } else { backoff.wait() };
        let Some(wait) = wait else { return (Err(error.to_string()), counts) };
        attempt += 1;
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        screen.fact(None, &Fact::Retry { attempt, wait_ms, reason: error.to_string() });
        sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ft_core::path::RelPath;

    fn shown(asked: &[u8], path: &str, kind: Kind) -> Option<String> {
        let path = RelPath::parse(path.as_bytes()).unwrap();
        let meta = Meta { path, kind, size: None, mode: None, mtime: None, target: vec![] };
        beneath((!asked.is_empty()).then_some(asked), &meta)
    }

    #[test]
    fn entries_of_a_folder_are_shown_without_its_name() {
        assert_eq!(shown(b"d", "d/a", Kind::File), Some("a".into()));
        assert_eq!(shown(b"d", "d/d", Kind::Folder), Some("d".into()));
        assert_eq!(shown(b"d", "d", Kind::Folder), None);
    }

    #[test]
    fn a_file_asked_for_and_the_root_are_shown_as_they_are() {
        assert_eq!(shown(b"f", "f", Kind::File), Some("f".into()));
        assert_eq!(shown(b"", "d/a", Kind::File), Some("d/a".into()));
    }
}
