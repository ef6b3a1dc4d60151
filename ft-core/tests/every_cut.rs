//! A one-file session cut at every byte, in both directions, by FIN and by RST: the old file or the new one, never
//! anything else (INTACT); success only if it is there (HONEST); and the retry completes (LIVE).

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use common::{Cut, Kind, pair};
use ft_core::event::Report;
use ft_core::frame::{Intent, Links, Mtime, Want};
use ft_core::memory::{Entry, Memory};
use ft_core::path::RelPath;
use ft_core::session::{self, NoPulse, Options};

const OLD: &[u8] = b"the old content, which is whole";

fn new_content() -> Vec<u8> {
    (0..300u16).map(|i| i.to_le_bytes()[0]).collect()
}

fn dated(path: &str, content: &[u8], secs: i64) -> Entry {
    let mut entry = Entry::file(path, content);
    entry.meta.mtime = Some(Mtime { secs, nanos: 7 });
    entry
}

/// One session, push or pull, over a connection with this cut. Client's and server's reports (the server has none if it
/// never heard a HELLO) and the bytes that each side wrote.
async fn run(push: bool, from: &Memory, to: &Memory, cut: Option<Cut>) -> (Report, Option<Report>, [u64; 2]) {
    let (a, b) = pair(cut);
    let sent = [a.sent(), b.sent()];
    let options = Options::default();
    let client = async {
        if push {
            session::push(a, from.source(), &options, NoPulse, |_| {}).await
        } else {
            let path = RelPath::parse(b"f").unwrap();
            let want = Want { path, depth: 0, links: Links::Skip, last: false };
            session::pull(a, vec![want], to.storage(), &options, NoPulse, |_| {}).await
        }
    };
    let server = async {
        let accepted = session::accept(b, &[]).await.ok()?;
        Some(match accepted.intent() {
            Intent::Push => accepted.receive(to.storage(), &options, NoPulse, |_| {}).await,
            Intent::Pull | Intent::List => accepted.send(from.source(), &options, NoPulse, |_| {}).await,
        })
    };
    let both = async { tokio::join!(client, server) };
    // The clock is paused: it only moves when nobody can go on, which is a deadlock.
    let (client, server) = tokio::time::timeout(Duration::from_secs(3600), both).await.expect("no deadlock");
    (client, server, sent.map(|sent| sent()))
}

fn prepare() -> (Memory, Memory) {
    let (from, to) = (Memory::new(), Memory::new());
    from.put(dated("f", &new_content(), 2));
    to.put(dated("f", OLD, 1));
    (from, to)
}

async fn every_cut(push: bool) -> BTreeMap<&'static str, u32> {
    let (from, to) = prepare();
    let (clean, _, lengths) = run(push, &from, &to, None).await;
    assert_eq!((clean.end, clean.completed), (Ok(()), 1));
    let mut seen = BTreeMap::new();
    for kind in [Kind::Fin, Kind::Rst] {
        for (side, &length) in lengths.iter().enumerate() {
            for at in 0..=length {
                let cut = Cut { from: side, at, kind };
                let (from, to) = prepare();
                let (client, server, _) = run(push, &from, &to, Some(cut)).await;
                let landed = to.content("f").expect("one of the two is always there");
                let is_new = landed == new_content();
                assert!(is_new || landed == OLD, "INTACT at {cut:?}: {} bytes", landed.len());
                let sender = if push { Some(&client) } else { server.as_ref() };
                if let Some(sender) = sender {
                    assert!(sender.completed == 0 || is_new, "HONEST at {cut:?}: {sender:?}");
                    assert!(sender.failed == 0 || !is_new, "a sender that says failed is wrong at {cut:?}: {sender:?}");
                    let outcome = match (sender.completed, sender.unknown, is_new) {
                        (1, _, _) => "completed",
                        (_, 1, true) => "unknown, stored",
                        (_, 1, false) => "unknown, not stored",
                        (_, _, true) => "failed, stored",
                        (_, _, false) => "failed, not stored",
                    };
                    *seen.entry(outcome).or_default() += 1;
                }
                assert!(client.completed == 0 || is_new, "HONEST at {cut:?}: {client:?}");
                let (again, _, _) = run(push, &from, &to, None).await;
                assert_eq!((again.end, again.completed), (Ok(()), 1), "LIVE after {cut:?}");
                assert_eq!(to.content("f"), Some(new_content()));
            }
        }
    }
    seen
}

/// No vacuous pass: each outcome really happened, and none that should not.
fn all_outcomes_were_seen(seen: &BTreeMap<&'static str, u32>) {
    let names: Vec<_> = seen.keys().copied().collect();
    let all = ["completed", "failed, not stored", "unknown, not stored", "unknown, stored"];
    assert_eq!(names, all, "{seen:?}");
}

#[tokio::test(start_paused = true)]
async fn push_cut_at_every_byte_is_intact_honest_and_live() {
    let seen = every_cut(true).await;
    all_outcomes_were_seen(&seen);
}

#[tokio::test(start_paused = true)]
async fn pull_cut_at_every_byte_is_intact_honest_and_live() {
    let seen = every_cut(false).await;
    all_outcomes_were_seen(&seen);
}
