//! ft/1 as a case: one attempt under the schedule's faults, then a clean retry, with every invariant asked.

mod joined;
mod log;

use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use ft_core::carry::Transport;
use ft_core::compress::Compress;
use ft_core::error::SessionError;
use ft_core::event::{Event, Report};
use ft_core::frame::{Compare, Intent, Links, Mtime, Overwrite, Want};
use ft_core::hash::Root;
use ft_core::limits::CONNECTION_BYTES;
use ft_core::memory::{Entry, Memory, MemorySource};
use ft_core::path::RelPath;
use ft_core::session::{self, Options};
use ft_core::storage::{LandOp, SourceOp};

use super::deadline::Deadline;
use super::landing::{AnyStorage, Haste, Target};
use super::slow::{Beat, Pace, Slow};
use super::{Outcome, Tell, broken};
use crate::core::HostId;
use crate::disk::{CallFault, Disk, Keeps};
use crate::exec::Ended;
use crate::explore::run;
use crate::ground::{Ground, Meeting, Time};
use crate::limits;
use crate::schedule::Schedule;
use crate::trace::NoteKind;
use crate::world::{CLIENT, HostDeath, SERVER, World};
use log::{Facts, Log};

/// The host of a second client.
const RIVAL: HostId = 2;

/// Calls of one landing that may be told to fail: create, write, sync, rename, sync of the folder.
const DISK_CALLS: u32 = 5;

/// Which way the files go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    Push,
    Pull,
}

/// The inputs of an ft/1 case.
#[derive(Clone, Debug)]
pub(crate) struct FtSetup {
    pub(crate) way: Way,
    /// What the sender has.
    pub(crate) files: Vec<(String, Vec<u8>)>,
    /// What the receiver has.
    pub(crate) old: Vec<(String, Vec<u8>)>,
    /// Bytes of the first file that the receiver kept from an earlier attempt.
    pub(crate) kept: usize,
    /// What it kept is not what it was: a byte of it has changed.
    pub(crate) torn: bool,
    /// It knows of which file that is the beginning, and states no hashes.
    pub(crate) believed: bool,
    /// Every file operation takes its time, up to more than the silence that a peer bears.
    pub(crate) slow: bool,
    /// The old files have the time of the new ones.
    pub(crate) same_time: bool,
    pub(crate) compare: Compare,
    pub(crate) overwrite: Overwrite,
    /// Both sides compress what shrinks.
    pub(crate) compress: bool,
    /// Bytes of room on the receiver's disk.
    pub(crate) room: Option<u64>,
    /// The receiver lands on a disk that may fail and forget, with this mistake in its landing.
    pub(crate) disk: Option<Haste>,
    pub(crate) window: Option<u64>,
    /// A second client sends another file of the same name at the same time.
    pub(crate) rival: bool,
    /// Two more connections join each session.
    pub(crate) joined: bool,
    /// A clean retry follows, and must complete.
    pub(crate) retry: bool,
    pub(crate) hash: ContentHash,
}

impl FtSetup {
    /// One file of 300 bytes in place of an old one.
    pub(crate) fn one(way: Way) -> Self {
        Self {
            way,
            files: vec![("f".to_owned(), content(1, 300))],
            old: vec![("f".to_owned(), b"the old content, which is whole".to_vec())],
            kept: 0,
            torn: false,
            believed: false,
            slow: false,
            same_time: false,
            compare: Compare::Quick,
            overwrite: Overwrite::Default,
            compress: false,
            room: None,
            disk: None,
            window: None,
            rival: false,
            joined: false,
            retry: true,
            hash: ContentHash::Blake3,
        }
    }

    /// What the receiver kept is believed and wrong: that fails the file once, whatever the network does.
    fn misleads(&self) -> bool {
        self.believed && self.torn
    }

    fn memory(&self) -> Memory {
        match self.hash {
            ContentHash::Blake3 => Memory::new(),
            ContentHash::Stub => Memory::new().with_hash(stub_root),
        }
    }

    /// What the sender has: nothing changes it, so that all runs share it.
    fn source(&self) -> Memory {
        let from = self.memory();
        for (name, content) in &self.files {
            from.put(dated(name, content, 2));
        }
        from
    }

    /// The receiver's files, as `old` has them, or its disk.
    fn target(&self, old: &[Entry], world: &mut World) -> Target {
        if let Some(haste) = self.disk {
            return Target::Disk(self.disk(world), haste, world.tracer());
        }
        let to = self.memory();
        old.iter().for_each(|entry| to.put(entry.clone()));
        to.tree().room = self.room;
        if self.kept > 0
            && let Some((name, content)) = self.files.first()
        {
            let mut kept = content[..self.kept.min(content.len())].to_vec();
            kept[0] ^= u8::from(self.torn);
            let mut tree = to.tree();
            tree.partials.insert(rel(name), kept);
            if let (true, Some(mtime)) = (self.believed, dated(name, b"", 2).meta.mtime) {
                tree.kept_from.insert(rel(name), mtime);
            }
        }
        Target::Memory(to)
    }

    /// The receiver's disk. What a power cut keeps, and which call fails, is for the schedule to say.
    fn disk(&self, world: &mut World) -> Disk {
        let disk = Disk::new();
        for (name, content) in &self.old {
            disk.put(name, content);
        }
        disk.set_room(self.room);
        let names = world.branch("disk-names", Keeps::KINDS);
        let bytes = world.branch("disk-bytes", Keeps::KINDS);
        disk.set_keeps(Keeps::from_choices(names, bytes));
        let calls = DISK_CALLS * u32::try_from(self.files.len()).unwrap_or(1);
        let fault = world.pick("disk-fault", 1 + 4 * calls);
        let kind = [CallFault::Error, CallFault::Full, CallFault::Short, CallFault::PowerCut];
        if let Some(fault) = fault.checked_sub(1) {
            let kind = kind[limits::index(u64::from(fault / calls))];
            disk.set_fault(u64::from(fault % calls) + 1, kind);
            if kind == CallFault::PowerCut {
                // The host that went with its disk waits for ever; its peer must not, which the retry shows.
                world.tolerate_deadlock();
            }
        }
        let receiver = if self.way == Way::Push { SERVER } else { CLIENT };
        let dying = disk.clone();
        world.on_death(move |host, death| {
            if host == receiver && death == HostDeath::Crashed {
                // The handles that matter find the new boot by themselves.
                drop(dying.power_cut());
            }
        });
        disk
    }

    fn new_content(&self, name: &str) -> Option<&[u8]> {
        // Where both are kept, the new one has a number in its name.
        let original = match (self.overwrite, name.split_once(" (")) {
            (Overwrite::KeepBoth, Some((original, _))) => original,
            (Overwrite::Default | Overwrite::Never | Overwrite::Replace | Overwrite::KeepBoth, _) => name,
        };
        self.files.iter().find(|(other, _)| other == original).map(|(_, content)| &content[..])
    }

    fn old_content(&self, name: &str) -> Option<&[u8]> {
        self.old.iter().find(|(other, _)| other == name).map(|(_, content)| &content[..])
    }
}

/// Bytes that differ at every offset for a good while, and between seeds.
pub(crate) fn content(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251).to_le_bytes()[0] ^ seed).collect()
}

fn dated(name: &str, content: &[u8], secs: i64) -> Entry {
    let mut entry = Entry::file(name, content);
    entry.meta.mtime = Some(Mtime { secs, nanos: 7 });
    entry
}

/// Which hash a case's files are known by. Content is compared byte by byte after every run whatever it is, and no link of
/// the simulator changes a byte, so that BLAKE3 has nothing to find that a checksum would not; of 64 KiB it would be most
/// of what a run costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentHash {
    Blake3,
    Stub,
}

/// As good as BLAKE3 where nobody lies: a checksum and the length.
fn stub_root(content: &[u8]) -> Root {
    let mut root = Root::default();
    root.0[..4].copy_from_slice(&crc32c::crc32c(content).to_be_bytes());
    root.0[4..12].copy_from_slice(&(content.len() as u64).to_be_bytes());
    root
}

fn rel(name: &str) -> RelPath {
    RelPath::parse(name.as_bytes()).expect("a case's names are valid")
}

/// One session, from both sides; `None` where a side was killed, or never heard a HELLO.
struct Attempt {
    client: Option<Report>,
    server: Option<Report>,
    /// Why the server met no session.
    unmet: Option<String>,
    facts: [Facts; 2],
    early: Option<&'static str>,
}

impl Attempt {
    fn sender(&self, way: Way) -> Option<&Report> {
        match way {
            Way::Push => self.client.as_ref(),
            Way::Pull => self.server.as_ref(),
        }
    }
}

/// What lies under the receiver's final names, against what was meant.
#[derive(Default)]
struct Landed {
    /// Files with the new content.
    new: u64,
    /// Those of them that had another one before.
    replaced: u64,
    /// Something that nobody meant.
    torn: Option<String>,
}

/// One side of a session: what it needs of its surroundings, owned, for a host of its own.
struct Side<T> {
    setup: Rc<FtSetup>,
    options: Rc<Options>,
    time: T,
    idle: Duration,
    log: Rc<RefCell<Log>>,
}

type SlowSource<T> = Slow<MemorySource, SourceOp, T>;
type SlowStorage<T> = Slow<AnyStorage, LandOp, T>;

impl<T: Time> Side<T> {
    fn stream<S>(&self, stream: S) -> Deadline<S, T> {
        Deadline::new(stream, self.time.clone(), Some(self.idle))
    }

    fn pace(&self) -> Pace {
        if self.setup.slow { Pace::Slow } else { Pace::AtOnce }
    }

    /// Files that take their time where the setup says so.
    fn source(&self, from: &Memory) -> SlowSource<T> {
        Slow::new(from.source(), self.time.clone(), self.pace())
    }

    fn storage(&self, to: &Target) -> SlowStorage<T> {
        Slow::new(to.storage(), self.time.clone(), self.pace())
    }

    /// A pulse that keeps the peer patient meanwhile.
    fn beat(&self) -> Beat<T> {
        Beat::new(self.time.clone(), self.setup.slow)
    }

    fn say(&self, report: Report) -> Report {
        let log = self.log.borrow();
        // The lanes' word for a report; the full sentence is in the outcome.
        let numbers = [report.completed, report.failed, report.unknown];
        log.tracer.fact(NoteKind::Verdict, numbers, b"", format_args!("{}", Counts(&report)));
        report
    }

    async fn client<S: Transport>(self, stream: S, from: Memory, to: Target) -> Report {
        let beat = self.beat();
        let hear = |event: &Event| self.log.borrow_mut().hear(event);
        let report = match self.setup.way {
            Way::Push => session::push(stream, self.source(&from), &self.options, beat, hear).await,
            Way::Pull => {
                let wants = self.setup.files.iter().map(|(name, _)| want(name)).collect();
                session::pull(stream, wants, self.storage(&to), &self.options, beat, hear).await
            }
        };
        self.say(report)
    }

    async fn server<S: Transport>(self, stream: S, from: Memory, to: Target) -> Result<Report, SessionError> {
        let beat = self.beat();
        let hear = |event: &Event| self.log.borrow_mut().hear(event);
        let accepted = match session::accept(stream, &[]).await {
            Ok(accepted) => accepted,
            Err(error) => {
                self.log.borrow().tracer.note(NoteKind::Verdict, format_args!("no session"));
                return Err(error);
            }
        };
        let report = match accepted.intent() {
            Intent::Push => accepted.receive(self.storage(&to), &self.options, beat, hear).await,
            Intent::Pull | Intent::List => accepted.send(self.source(&from), &self.options, beat, hear).await,
        };
        Ok(self.say(report))
    }
}

/// A setup, what its runs use again, and how the benign one went.
pub(crate) struct Game {
    setup: Rc<FtSetup>,
    options: Rc<Options>,
    /// The sender's files.
    from: Memory,
    /// The receiver's, before anything comes.
    old: Vec<Entry>,
    /// What the client said, and the server.
    logs: [Rc<RefCell<Log>>; 2],
    benign: OnceCell<[Facts; 2]>,
}

impl Game {
    pub(crate) fn new(setup: FtSetup) -> Self {
        Self::of(Rc::new(setup))
    }

    fn of(setup: Rc<FtSetup>) -> Self {
        let compress = if setup.compress { Compress::On } else { Compress::Off };
        let (overwrite, compare, joins) = (setup.overwrite, setup.compare, setup.joined);
        let options = Options { overwrite, compare, compress, joins, ..Options::default() };
        let secs = if setup.same_time { 2 } else { 1 };
        let old = setup.old.iter().map(|(name, content)| dated(name, content, secs)).collect();
        let logs = [Log::new(&World::new()), Log::new(&World::new())];
        Self { from: setup.source(), old, setup, options: Rc::new(options), logs, benign: OnceCell::new() }
    }

    pub(crate) fn play<G: Ground>(&self, ground: &mut G, tell: Tell) -> Outcome {
        let setup = &self.setup;
        if setup.rival {
            return self.rivals(ground);
        }
        let world = ground.world();
        let (from, to) = (&self.from, setup.target(&self.old, world));
        if let Some(window) = setup.window {
            world.window(window);
        }
        let first = self.attempt(ground, from, &to);
        let world = ground.world();
        let landed = self.look(&to);
        let sender = first.sender(setup.way);
        let all = setup.files.len() as u64;
        if !setup.misleads() {
            world.sometimes("completed", sender.is_some_and(|r| r.completed == all));
        }
        if setup.retry {
            world.sometimes("failed", sender.is_some_and(|r| r.failed > 0 || (r.end.is_err() && r.completed < all)));
            world.sometimes("unknown", sender.is_some_and(|r| r.unknown > 0));
        }
        self.check(world, &landed, &first);
        self.check_failed(world, &landed, &first);
        self.check_split(world, &first, G::REFERENCE);
        let mut outcome = match tell {
            Tell::Words => Outcome {
                client: words(first.client.as_ref()),
                server: first.unmet.clone().unwrap_or_else(|| words(first.server.as_ref())),
                files: self.files(&to),
                retry: None,
            },
            Tell::Nothing => Outcome::default(),
        };
        if setup.retry {
            world.calm();
            to.calm();
            let clean = |r: &Option<Report>| r.as_ref().is_some_and(|r| r.end.is_ok() && r.completed == all);
            let misled = setup.misleads() && to.believes();
            let mut again = self.attempt(ground, from, &to);
            if misled && !clean(&again.client) {
                // The once that it fails has come only now.
                self.check(ground.world(), &self.look(&to), &again);
                again = self.attempt(ground, from, &to);
            }
            let world = ground.world();
            let landed = self.look(&to);
            self.check(world, &landed, &again);
            let whole = landed.new == all;
            world.eventually("LIVE: a retry completes", whole && clean(&again.client) && clean(&again.server));
            outcome.retry = (tell == Tell::Words).then(|| words(again.client.as_ref()));
        }
        outcome
    }

    fn side<G: Ground>(&self, ground: &mut G, log: &Rc<RefCell<Log>>) -> Side<G::Time> {
        let (time, idle) = (ground.time(), ground.idle());
        log.borrow_mut().reset(ground.world());
        let log = Rc::clone(log);
        Side { setup: Rc::clone(&self.setup), options: Rc::clone(&self.options), time, idle, log }
    }

    fn attempt<G: Ground>(&self, ground: &mut G, from: &Memory, to: &Target) -> Attempt {
        if self.setup.joined {
            return self.attempt_joined(ground, from, to);
        }
        let [client_log, server_log] = &self.logs;
        let (client, server) = (self.side(ground, client_log), self.side(ground, server_log));
        let ends = [(from.clone(), to.clone()), (from.clone(), to.clone())];
        let [(from, to), (from_there, to_there)] = ends;
        let pair = ground.pair(
            |stream| {
                let stream = client.stream(stream);
                client.client(stream, from, to)
            },
            |stream| {
                let stream = server.stream(stream);
                server.server(stream, from_there, to_there)
            },
        );
        self.attempted(done(pair.client), done(pair.server))
    }

    /// What an attempt came to; `None` for a side that never ended.
    fn attempted(&self, client: Option<Report>, server: Option<Result<Report, SessionError>>) -> Attempt {
        let [client_log, server_log] = &self.logs;
        let (client_log, server_log) = (client_log.borrow(), server_log.borrow());
        let (server, unmet) = match server {
            Some(Ok(report)) => (Some(report), None),
            Some(Err(error)) => (None, Some(format!("no session; {error}"))),
            None => (None, None),
        };
        let facts = [client_log.facts(), server_log.facts()];
        Attempt { client, server, unmet, facts, early: client_log.early.or(server_log.early) }
    }

    /// Two clients push different files under one name, at the same time; the server's sessions share its disk.
    fn rivals<G: Ground>(&self, ground: &mut G) -> Outcome {
        let setup = &self.setup;
        let mut other = FtSetup::clone(setup);
        other.files = setup.files.iter().map(|(name, bytes)| (name.clone(), content(9, bytes.len()))).collect();
        let (from, to) = (self.from.clone(), setup.target(&self.old, ground.world()));
        let rival = Memory::new();
        for (name, content) in &other.files {
            rival.put(Entry::file(name, content));
        }
        let mut meetings: Vec<Meeting<G::Stream, Option<Report>>> = Vec::new();
        for (host, source) in [(CLIENT, from), (RIVAL, rival)] {
            let [client_log, server_log] = [Log::new(ground.world()), Log::new(ground.world())];
            let (client, server) = (self.side(ground, &client_log), self.side(ground, &server_log));
            let (storage, none) = ((to.clone(), to.clone()), Memory::new());
            meetings.push(Meeting {
                hosts: [host, SERVER],
                client: Box::new(|stream| {
                    let stream = client.stream(stream);
                    Box::pin(async { Some(client.client(stream, source, storage.0).await) })
                }),
                server: Box::new(|stream| {
                    let stream = server.stream(stream);
                    Box::pin(async { server.server(stream, none, storage.1).await.ok() })
                }),
            });
        }
        let reports: Vec<Option<Report>> =
            ground.meet(meetings).into_iter().map(|ended| done(ended).flatten()).collect();
        let world = ground.world();
        let mut words_of_files = Vec::new();
        let mut torn = None;
        let mut holds = [false; 2];
        to.each(|name, content| {
            let of = [setup.new_content(name) == Some(content), other.new_content(name) == Some(content)];
            holds = [holds[0] || of[0], holds[1] || of[1]];
            let what = match (of, setup.old_content(name) == Some(content)) {
                ([true, _], _) => "the first client's",
                ([_, true], _) => "the second client's",
                (_, true) => "old",
                (_, false) => "neither",
            };
            if what == "neither" {
                torn = Some(format!("{name} has {} bytes that nobody sent", content.len()));
            }
            words_of_files.push(format!("{name}: {what}"));
        });
        broken(world, "INTACT: the old file or the new one", torn);
        let completed = |nth: usize| reports[nth].as_ref().is_some_and(|report| report.completed == 1);
        let somebody = completed(0) || completed(2);
        world.sometimes("completed", somebody);
        // Whoever completed may since have been replaced, but only by one who does not claim to have failed.
        let may_have_landed = |nth: usize| reports[nth].as_ref().is_none_or(|it| it.completed + it.unknown > 0);
        let honest = !somebody || (holds[0] && may_have_landed(0)) || (holds[1] && may_have_landed(2));
        world.always("HONEST: completed files are there", honest);
        let both = |a: usize, b: usize| format!("{} / {}", words(reports[a].as_ref()), words(reports[b].as_ref()));
        Outcome { client: both(0, 2), server: both(1, 3), files: words_of_files.join(", "), retry: None }
    }

    /// Compares what lies under the receiver's final names with what was meant.
    fn look(&self, to: &Target) -> Landed {
        let setup = &self.setup;
        let mut landed = Landed::default();
        let mut olds = 0;
        to.each(|name, content| {
            let old = setup.old_content(name);
            olds += usize::from(old.is_some());
            let is_old = old == Some(content);
            let is_new = setup.new_content(name) == Some(content);
            landed.new += u64::from(is_new);
            landed.replaced += u64::from(is_new && !is_old);
            if !is_new && !is_old {
                let what = format!("{name} has {} bytes that are neither the old nor the new", content.len());
                landed.torn = Some(what);
            }
        });
        if olds < setup.old.len() && landed.torn.is_none() {
            let mut gone: Vec<&str> = setup.old.iter().map(|(name, _)| name.as_str()).collect();
            to.each(|name, _| gone.retain(|other| *other != name));
            landed.torn = gone.first().map(|name| format!("{name} is gone"));
        }
        landed
    }

    /// INTACT, HONEST and ORDER, after an attempt.
    fn check(&self, world: &mut World, landed: &Landed, attempt: &Attempt) {
        let setup = &self.setup;
        broken(world, "INTACT: the old file or the new one", landed.torn.clone());
        if let Some(sender) = attempt.sender(setup.way) {
            world.always("HONEST: completed files are there", sender.completed <= landed.new);
        }
        broken(world, "ORDER: ACK1, content, landed, ACK2", attempt.early.map(str::to_owned));
        let most = [&attempt.client, &attempt.server].into_iter().flatten().map(|report| report.most_held).max();
        let left = [&attempt.client, &attempt.server].into_iter().flatten().map(|report| report.left_held).max();
        let left = left.filter(|&left| left > 0);
        broken(world, "BOUND: nothing is held when all is over", left.map(|left| format!("{left} bytes")));
        let too_much = most.filter(|&most| most > CONNECTION_BYTES);
        broken(world, "BOUND: a connection costs 8 MiB at most", too_much.map(|most| format!("{most} bytes at once")));
    }

    /// HONEST, the other way round: a first attempt has stored nothing that its sender calls failed. A disk that fails
    /// behind the rename may have: the file is there, and nobody promises that it stays.
    fn check_failed(&self, world: &mut World, landed: &Landed, attempt: &Attempt) {
        let (Some(sender), None) = (attempt.sender(self.setup.way), self.setup.disk) else { return };
        world.always("HONEST: failed files are not there", landed.replaced <= sender.completed + sender.unknown);
    }

    /// SPLIT: under segmentation alone, both sides say what they say in the benign run.
    /// In every world the reference is the simulator's own link: `is_reference` says that this is it.
    fn check_split(&self, world: &mut World, attempt: &Attempt, is_reference: bool) {
        let Some(deviations) = world.deviations_that_only_cut() else {
            return;
        };
        let benign = match self.benign.get() {
            Some(benign) => benign,
            None if deviations == 0 && is_reference => self.benign.get_or_init(|| attempt.facts.clone()),
            None => {
                let game = Self::of(Rc::clone(&self.setup));
                run(|world| drop(game.play(world, Tell::Nothing)), &Schedule::benign());
                self.benign.get_or_init(|| game.benign.get().cloned().unwrap_or_default())
            }
        };
        world.always("SPLIT: the client's events are those of whole messages", attempt.facts[0] == benign[0]);
        world.always("SPLIT: the server's events are those of whole messages", attempt.facts[1] == benign[1]);
    }

    fn files(&self, to: &Target) -> String {
        let mut words = Vec::new();
        to.each(|name, content| {
            let what = if self.setup.new_content(name) == Some(content) {
                "new"
            } else if self.setup.old_content(name) == Some(content) {
                "old"
            } else {
                "neither"
            };
            words.push(format!("{name}: {what}"));
        });
        if words.is_empty() { "none".to_owned() } else { words.join(", ") }
    }
}

fn want(name: &str) -> Want {
    Want { path: rel(name), depth: 0, links: Links::Skip, last: false }
}

fn done<T>(ended: Ended<T>) -> Option<T> {
    ended.done()
}

/// What a report counted, in words.
struct Counts<'a>(&'a Report);

impl fmt::Display for Counts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report { completed, failed, unknown, .. } = self.0;
        let counted = [(completed, "completed"), (failed, "failed"), (unknown, "unknown")];
        let mut separator = "";
        for (n, word) in counted.into_iter().filter(|(n, _)| **n > 0) {
            write!(f, "{separator}{n} {word}")?;
            separator = ", ";
        }
        if separator.is_empty() { f.write_str("nothing moved") } else { Ok(()) }
    }
}

fn words(report: Option<&Report>) -> String {
    match report {
        None => "gone".to_owned(),
        Some(report) => match &report.end {
            Ok(()) => Counts(report).to_string(),
            Err(error) => format!("{}; {error}", Counts(report)),
        },
    }
}
