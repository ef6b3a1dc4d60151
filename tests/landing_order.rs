//! Nothing is called stored before it is (PROTOCOL, ACK2): for every durable file
//!
//! ```text
//! OFFER < ACK1 <= verified < sync of its content < rename < sync of its folder and of those above it < ACK2
//! ```
//!
//! as the kernel saw it: `strace` records every system call of a real `ft-cli serve`. The bytes that it read from and wrote
//! to the socket are decoded again, so OFFER, END, ACK1 and ACK2 are placed where they crossed the border of the process;
//! only "verified" is the program's own word (`--json`), which crosses the same border. A call counts from its entry to
//! its return: "before" means that the first had returned when the second was entered.
//!
//! Without `strace` these tests fail: install it (`apt-get install strace`). The last one needs none: it holds a session's
//! own events against the disk.

#[path = "landing_order/strace.rs"]
mod strace;
mod support;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use ft_cli::disk::{DiskSource, Policy, Root, WalkOptions};
use ft_core::event::Event;
use ft_core::frame::{Frame, Kind, Level, StreamId};
use ft_core::path::RelPath;
use ft_core::session::{self, NoPulse, Options};
use ft_core::storage::Step;
use strace::{CALLS, Call, STRING_MAX, Span, frames, parse};
use support::{Server, content, event, folder, ft_cli, run};

/// What the record says about one session of a server.
#[derive(Clone)]
struct Record {
    calls: Vec<Call>,
    received: Vec<(Span, Frame)>,
    sent: Vec<(Span, Frame)>,
    /// The server's own events, each with the call that printed it.
    told: Vec<(Span, serde_json::Value)>,
    root: PathBuf,
}

impl Record {
    /// Serves `there` under strace while `paths` are put there.
    fn of(there: &Path, paths: &[PathBuf], options: &[&str]) -> Self {
        Self::of_put_into("", there, paths, options)
    }

    /// The same, put into a folder of it: `/FOLDER`.
    fn of_put_into(at: &str, there: &Path, paths: &[PathBuf], options: &[&str]) -> Self {
        let log = folder();
        let file = log.path().join("record");
        let mut command = Command::new("strace");
        command.args(["-f", "-ttt", "-yy", "-xx", "-s", STRING_MAX, "-e", CALLS, "-o"]).arg(&file);
        command.arg(env!("CARGO_BIN_EXE_ft-cli"));
        command.args(["serve", "--once", "--json", "--listen", "127.0.0.1:0"]).args(options).arg(there);
        let missing = "strace is needed for this test and does not start; install it: apt-get install strace";
        assert!(Command::new("strace").arg("-V").output().is_ok_and(|out| out.status.success()), "{missing}");
        let server = Server::run(&mut command);
        run(ft_cli(["put", "--retries", "0"]).args(paths).arg(format!("{}{at}", server.address))).expect(0);
        server.running.finish().expect(0);

        let text = std::fs::read_to_string(&file).expect("a record");
        let calls = parse(&text);
        let received = frames(&calls, &["recvfrom", "recvmsg", "read", "readv", "splice"]);
        let sent = frames(&calls, &["sendto", "sendmsg", "write", "writev"]);
        let printed = calls
            .iter()
            .filter(|call| call.name == "write" && call.texts.get(1).is_some_and(|t| t.starts_with(b"{\"event\"")));
        let told = printed.map(|call| (call.span, event(str::from_utf8(&call.texts[1]).expect("UTF-8")))).collect();
        let root = there.canonicalize().expect("a folder");
        Self { calls, received, sent, told, root }
    }

    /// The calls by which something was synced, by their place in the record.
    fn syncs(&self) -> Vec<usize> {
        let synced = |call: &Call| matches!(call.name.as_str(), "fsync" | "fdatasync" | "syncfs");
        self.calls.iter().filter(|call| synced(call)).map(|call| call.span.from).collect()
    }

    /// The same record, had the program not made these calls.
    fn without(&self, missing: &[usize]) -> Self {
        let mut record = self.clone();
        record.calls.retain(|call| !missing.contains(&call.span.from));
        record
    }

    /// Whether the order holds; what is wrong goes to the test's output.
    fn holds(&self) -> bool {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.check())).is_ok()
    }

    #[track_caller]
    fn one<T>(from: &[(Span, T)], what: &str, is: impl Fn(&T) -> bool) -> Span {
        let mut all = from.iter().filter(|(_, item)| is(item)).map(|(span, _)| *span);
        let first = all.next().unwrap_or_else(|| panic!("no {what} in the record"));
        assert!(all.next().is_none(), "more than one {what} in the record");
        first
    }

    /// Calls of these names that returned within two points.
    fn between<'a>(&'a self, names: &'a [&str], after: Span, before: Span) -> impl Iterator<Item = &'a Call> {
        let within = move |call: &&Call| call.span.from > after.to && call.span.to < before.from;
        self.calls.iter().filter(|call| names.contains(&call.name.as_str())).filter(within)
    }

    /// Whether the content of `path`, or the folder `path`, was synced within two points: by itself or with everything.
    fn synced(&self, path: &Path, after: Span, before: Span) -> bool {
        self.between(&["fsync", "fdatasync"], after, before).any(|call| call.descriptor() == path)
            || self.between(&["syncfs"], after, before).any(|call| call.descriptor().starts_with(&self.root))
    }

    /// Holds the whole order against the record for every stream, and says how many files there were.
    fn check(&self) -> usize {
        let mut files = 0;
        for (offered, frame) in &self.received {
            let Frame::Offer(stream, offer) = frame else { continue };
            assert_eq!(offer.level, Level::Durable);
            let target = self.root.join(offer.meta.path.to_string());
            let named = |step: &str| format!("{} of {}", step, offer.meta.path);
            let ack1 = Self::one(&self.sent, &named("ACK1"), |f| matches!(f, Frame::Ack1(s, ..) if s == stream));
            let ack2 = Self::one(&self.sent, &named("ACK2"), |f| matches!(f, Frame::Ack2(s, _) if s == stream));
            let verified = Self::one(&self.told, &named("verified"), |told| {
                told["event"] == "verified" && told["stream"] == u64::from(*stream)
            });
            offered.before(ack1, &named("OFFER < ACK1"));
            if offer.meta.kind == Kind::File {
                files += 1;
                self.check_file(*stream, &target, ack1, verified, ack2);
            }
            self.check_folders(&target, verified, ack2);
        }
        files
    }

    fn check_file(&self, stream: StreamId, target: &Path, ack1: Span, verified: Span, ack2: Span) {
        let shown = target.display();
        let end =
            Self::one(&self.received, &format!("END of {shown}"), |f| matches!(f, Frame::End(s, ..) if *s == stream));
        let is_data = |frame: &Frame| matches!(frame, Frame::Data { stream: s, .. } if *s == stream);
        let data: Vec<Span> = self.received.iter().filter(|(_, f)| is_data(f)).map(|(span, _)| *span).collect();
        assert!(!data.is_empty(), "{shown} had content");
        for data in data {
            ack1.before(data, &format!("ACK1 < content of {shown}"));
        }
        end.before(verified, &format!("END < verified of {shown}"));

        let renames = ["rename", "renameat", "renameat2", "link", "linkat"];
        let mut landed =
            self.calls.iter().filter(|call| renames.contains(&call.name.as_str()) && call.path(2) == target);
        let rename = landed.next().unwrap_or_else(|| panic!("{shown} was never renamed into place"));
        assert!(landed.next().is_none(), "{shown} was renamed twice");
        let staged = rename.path(0);
        assert!(
            staged.starts_with(self.root.join(".ft-staging")),
            "{} waited outside the staging folder",
            staged.display()
        );
        verified.before(rename.span, &format!("verified < rename of {shown}"));
        rename.span.before(ack2, &format!("rename < ACK2 of {shown}"));

        // What is written after a sync is not synced.
        let writes = self.calls.iter().filter(|call| match call.name.as_str() {
            "pwrite64" | "pwritev" | "write" | "writev" => call.descriptor() == staged,
            "splice" => call.spliced_into() == staged,
            _ => false,
        });
        let last = writes.map(|call| call.span).max_by_key(|span| span.to);
        let last = last.unwrap_or_else(|| panic!("{shown} was never written"));
        last.before(verified, &format!("last write < verified of {shown}"));
        assert!(self.synced(&staged, verified, rename.span), "no sync of {shown} between verified and rename");
        let folder = target.parent().expect("a folder");
        assert!(self.synced(folder, rename.span, ack2), "no sync of the folder of {shown} between rename and ACK2");
    }

    /// Every folder that was made for `target` is in a folder that was synced after that, before ACK2.
    fn check_folders(&self, target: &Path, verified: Span, ack2: Span) {
        for made in self.calls.iter().filter(|call| matches!(call.name.as_str(), "mkdir" | "mkdirat")) {
            let path = made.path(0);
            if !target.starts_with(&path) {
                continue;
            }
            verified.before(made.span, &format!("verified < making {}", path.display()));
            let above = path.parent().expect("a folder");
            assert!(self.synced(above, made.span, ack2), "{} is not in its folder before ACK2", path.display());
        }
    }

    fn calls_named(&self, name: &str) -> usize {
        self.calls.iter().filter(|call| call.name == name).count()
    }
}

#[test]
fn file_in_a_new_folder_is_acknowledged_only_when_file_name_and_folders_are_durable() {
    let (here, there) = (folder(), folder());
    std::fs::create_dir_all(here.path().join("new/deep")).expect("made");
    std::fs::write(here.path().join("new/deep/file"), content(3000, 1)).expect("written");
    let record = Record::of(there.path(), &[here.path().join("new")], &[]);
    assert_eq!(record.check(), 1);
    assert!(std::fs::read(there.path().join("new/deep/file")).expect("landed") == content(3000, 1));
    // The file, its folder, the folder above, the root: had any of these not been synced, this test would have seen it.
    assert_eq!(record.syncs().len(), 4);
    for sync in record.syncs() {
        assert!(!record.without(&[sync]).holds(), "the sync of line {sync} is not missed");
    }
}

/// Somebody made that folder and did not wait for it: its entry may be nowhere but in memory.
#[test]
fn folder_that_was_there_is_synced_into_its_own_as_well_before_a_file_in_it_is_acknowledged() {
    let (here, there) = (folder(), folder());
    std::fs::write(here.path().join("file"), content(3000, 1)).expect("written");
    std::fs::create_dir_all(there.path().join("old/deep")).expect("made");
    // The file alone: a folder that is offered is synced for its own sake.
    let record = Record::of_put_into("/old/deep", there.path(), &[here.path().join("file")], &[]);
    assert_eq!(record.check(), 1);
    let ack2 = Record::one(&record.sent, "ACK2", |f| matches!(f, Frame::Ack2(1, _)));
    let renamed = record.calls.iter().find(|call| call.name.starts_with("rename")).expect("a rename").span;
    for above in ["old/deep", "old", ""] {
        assert!(record.synced(&record.root.join(above), renamed, ack2), "{above:?} is not synced");
    }
}

#[test]
fn fifty_small_files_are_synced_together_and_none_is_acknowledged_before() {
    let (here, there) = (folder(), folder());
    for n in 0..50 {
        let at = here.path().join(format!("tree/d{}", n % 3));
        std::fs::create_dir_all(&at).expect("made");
        std::fs::write(at.join(format!("f{n}")), content(500 + n, 2)).expect("written");
    }
    let record = Record::of(there.path(), &[here.path().join("tree")], &[]);
    assert_eq!(record.check(), 50);
    // Otherwise this shows nothing that the test of one file does not.
    assert!(record.calls_named("syncfs") > 0, "a group is synced at once");
    assert!(record.syncs().len() < 50, "and not one by one");
    assert!(!record.without(&record.syncs()).holds());
}

#[test]
fn large_file_in_place_of_an_old_one_is_acknowledged_only_when_it_is_durable() {
    for (options, carried) in [(&["--copy"][..], false), (&[], true)] {
        let (here, there) = (folder(), folder());
        let bytes = content(8 << 20, 3);
        std::fs::write(here.path().join("big"), &bytes).expect("written");
        std::fs::write(there.path().join("big"), "the old file").expect("written");
        let record = Record::of(there.path(), &[here.path().join("big")], options);
        assert_eq!(record.check(), 1);
        assert_eq!(record.calls_named("splice") > 0, carried, "{options:?}");
        assert!(std::fs::read(there.path().join("big")).expect("landed") == bytes);
    }
}

/// Order of what is told about one stream.
fn rank(event: &Event) -> Option<(StreamId, u8)> {
    match event {
        Event::Offered(stream, _) => Some((*stream, 0)),
        Event::Started(stream, ..) => Some((*stream, 1)),
        Event::Verified(stream) => Some((*stream, 2)),
        Event::Landing(stream, Step::Synced) => Some((*stream, 3)),
        Event::Landing(stream, Step::Renamed) => Some((*stream, 4)),
        Event::Landing(stream, Step::DirSynced) => Some((*stream, 5)),
        Event::Frame(ft_core::event::Direction::Sent, Frame::Ack2(stream, _)) => Some((*stream, 6)),
        Event::Stored(stream, _) => Some((*stream, 7)),
        Event::Frame(..)
        | Event::Same(_)
        | Event::Progress(..)
        | Event::Failed(..)
        | Event::Unknown(_)
        | Event::Listed(_)
        | Event::WantDone(..)
        | Event::Closed(_) => None,
    }
}

#[tokio::test]
async fn events_of_a_session_on_a_real_disk_tell_every_step_of_every_file_in_order() {
    let (here, there) = (folder(), folder());
    let tree = here.path().join("tree");
    std::fs::create_dir_all(tree.join("sub/empty")).expect("made");
    for n in 0..20 {
        std::fs::write(tree.join(format!("sub/f{n}")), content(n * 1000, 4)).expect("written");
    }
    std::fs::write(tree.join("big"), content(3 << 20, 5)).expect("written");
    std::fs::create_dir(there.path().join("tree")).expect("made");
    std::fs::write(there.path().join("tree/big"), "the old file").expect("written");

    let root = Root::open(there.path()).expect("a folder");
    let walk = WalkOptions::default();
    let source = DiskSource::push(vec![tree.clone()], RelPath::root(), walk, |_: &RelPath| false);
    let events = Arc::new(Mutex::new(Vec::new()));
    let (ours, theirs) = tokio::io::duplex(64 * 1024);
    let heard = Arc::clone(&events);
    let at = there.path().to_owned();
    let mut offered = BTreeMap::new();
    let receive = async {
        let accepted = session::accept(theirs, &[]).await.expect("a client");
        let storage = root.storage(Policy::default());
        let on = |event: &Event| {
            if let Event::Offered(stream, meta) = event {
                offered.insert(*stream, meta.clone());
            }
            // Told is done: a name that is told to be in place has the whole new content.
            if let Event::Landing(stream, Step::Renamed) = event
                && let Some(meta) = offered.get(stream)
                && meta.kind == Kind::File
            {
                let len = std::fs::metadata(at.join(meta.path.to_string())).expect("under its name").len();
                assert_eq!(Some(len), meta.size, "{}", meta.path);
            }
            heard.lock().expect("no panic").push(event.clone());
        };
        accepted.receive(storage, &Options::default(), NoPulse, on).await
    };
    let options = Options { level: Level::Durable, ..Options::default() };
    let (sent, received) = tokio::join!(session::push(ours, source, &options, NoPulse, |_| {}), receive);
    assert_eq!((sent.end, received.end), (Ok(()), Ok(())));

    let mut streams: BTreeMap<StreamId, Vec<u8>> = BTreeMap::new();
    for (stream, rank) in events.lock().expect("no panic").iter().filter_map(rank) {
        streams.entry(stream).or_default().push(rank);
    }
    assert_eq!(streams.len(), 20 + 1 + 3, "files and folders");
    for (stream, ranks) in streams {
        let mut sorted = ranks.clone();
        sorted.sort_unstable();
        assert_eq!(ranks, sorted, "stream {stream}");
        for step in 2..=7 {
            assert_eq!(ranks.iter().filter(|rank| **rank == step).count(), 1, "stream {stream} has step {step} once");
        }
    }
}
