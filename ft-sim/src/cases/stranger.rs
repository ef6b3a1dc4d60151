//! ft/1 against a peer that is not ours: strangers who keep to the document, use what ours never says, or break a rule.
//!
//! A network that only cuts and delays never brings what an honest peer of ours would not write. Strangers do: each is a
//! script of bytes, written from docs/PROTOCOL.md with an encoder of its own. Which of them comes is a decision named
//! `stranger`, so that a search meets them all, under every segmentation. Whatever one does: the rule that it broke is
//! named, the old file stays whole, nothing is stored but what was offered in order, and how the bytes were cut has no
//! say in any of it. What each of them is told, word for word, is in `snapshots/strangers`.

mod clients;
mod floods;
mod servers;
mod wire;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use ft_core::compress::Compress;
use ft_core::event::Report;
use ft_core::frame::{Compare, Intent, Kind, Level, Links, Mtime, Overwrite, Want};
use ft_core::limits::CONNECTION_BYTES;
use ft_core::memory::{Entry, Memory};
use ft_core::path::RelPath;
use ft_core::session::{self, NoPulse, Options};
use ft_core::storage::{Source, Storage};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::deadline::Deadline;
use super::slow::{Pace, Slow};
use super::{Outcome, Tell, broken};
use crate::explore::run;
use crate::ground::{Ground, Time};
use crate::schedule::{Pick, Schedule};
use crate::trace::NoteKind;
use crate::world::{Tracer, World};

/// The decision that says which stranger comes.
const STRANGER: &str = "stranger";

/// What lies on the disk of the side that is ours, beneath `old`.
const OLD: &[u8] = b"the old content";

/// Bytes of a file of which more waits than is read ahead.
const LONG: usize = 6 << 20;

/// Bytes of another, which together with a piece of the first leave no room to read a third ahead.
const SECOND: usize = 1 << 20;

fn long(len: usize) -> Vec<u8> {
    super::ft::content(1, len)
}

/// What a hole reads as.
const SPARSE: [u8; 100] = [0; 100];

/// Room on its disk, bytes: for a file that is longer than a sync group is patient.
const ROOM: u64 = 16 * 1024 * 1024;

/// What a report says of memory, if it says anything.
const HELD: &str = "held too much";

/// Bytes of a file that are shown.
const SHOWN: usize = 100;

/// What is ours, and so whom the stranger plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ours {
    /// A server, whose clients push, pull and list.
    Server,
    /// A server, whose clients offer as much as it bears, and more.
    Flooded,
    /// A client that pushes `f`.
    Push,
    /// A client that pushes `f`, `g` and `old`, each of which takes a second to be read.
    PushSlow,
    /// The same, and the second cannot be read.
    PushUnreadable,
    /// A client that pushes `f`, which is a hole.
    PushSparse,
    /// A client that pushes `f`, `g` and `old`, of which the first two are long.
    PushLong,
    /// A server whose disk fails: see [`Pace::BadDisk`].
    BadDisk,
    /// A client that pulls `dir/w`.
    Pull,
    /// A client that lists `dir/w`.
    List,
}

impl Ours {
    /// Our side of the session, and how it went in words.
    async fn play<S, T>(self, stream: S, time: T, memory: Memory, options: Options, links: Links) -> String
    where
        S: AsyncRead + AsyncWrite + Unpin,
        T: Time,
    {
        let path = RelPath::parse(b"dir/w").expect("a path");
        let wants = vec![Want { path, depth: 3, links, last: false }];
        let report = match self {
            Self::Server | Self::Flooded => return serve(stream, memory.storage(), memory.source(), &options).await,
            Self::BadDisk => {
                let storage = Slow::new(memory.storage(), time, Pace::BadDisk);
                return serve(stream, storage, memory.source(), &options).await;
            }
            Self::Push => session::push(stream, only_f(&memory).source(), &options, NoPulse, |_| {}).await,
            Self::PushLong => session::push(stream, memory.source(), &options, NoPulse, |_| {}).await,
            Self::PushSparse => {
                let source = Slow::new(only_f(&memory).source(), time, Pace::Sparse);
                session::push(stream, source, &options, NoPulse, |_| {}).await
            }
            Self::PushSlow | Self::PushUnreadable => {
                let pace = if self == Self::PushSlow { Pace::Reads } else { Pace::Fails };
                let source = Slow::new(memory.source(), time, pace);
                session::push(stream, source, &options, NoPulse, |_| {}).await
            }
            Self::Pull => session::pull(stream, wants, memory.storage(), &options, NoPulse, |_| {}).await,
            Self::List => session::list(stream, wants, &options, NoPulse, |_| {}).await,
        };
        words(&report)
    }
}

/// A tree with nothing else than `f`.
fn only_f(memory: &Memory) -> Memory {
    let only = Memory::new();
    only.put(memory.tree().files[&RelPath::parse(b"f").expect("a path")].clone());
    only
}

async fn serve<S>(stream: S, storage: impl Storage, source: impl Source, options: &Options) -> String
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let accepted = match session::accept(stream, &[]).await {
        Ok(accepted) => accepted,
        Err(error) => return format!("no session; {error}"),
    };
    let agent = accepted.agent().to_owned();
    let report = match accepted.intent() {
        Intent::Push => accepted.receive(storage, options, NoPulse, |_| {}).await,
        Intent::Pull | Intent::List => accepted.send(source, options, NoPulse, |_| {}).await,
    };
    format!("{}, with {agent}", words(&report))
}

/// Bytes to write, and moments to wait for.
enum Do {
    Say(Vec<u8>),
    /// Until so many frames in all have come, or the stream has ended.
    Hear(usize),
}

/// A stranger.
struct Script {
    name: &'static str,
    /// The rule that it breaks, as ours must name it; empty if the session ends in order.
    rule: &'static str,
    /// What it must hear, whatever else it hears.
    told: &'static str,
    /// What our client asks a receiver to compare.
    compare: Compare,
    /// What our client wants done about links.
    links: Links,
    /// The stream that it gives up while ours may be sending others; 0 for none.
    gives_up: u32,
    steps: Vec<Do>,
}

impl Script {
    fn new(name: &'static str, rule: &'static str) -> Self {
        Self { name, rule, told: "", compare: Compare::Quick, links: Links::Keep, gives_up: 0, steps: Vec::new() }
    }

    fn told(self, told: &'static str) -> Self {
        Self { told, ..self }
    }

    fn compared(self) -> Self {
        Self { compare: Compare::Content, ..self }
    }

    fn without_links(self) -> Self {
        Self { links: Links::Skip, ..self }
    }

    /// It gives this stream up, at a moment that is none of ours.
    fn giving_up(self, stream: u32) -> Self {
        Self { gives_up: stream, ..self }
    }

    fn say(mut self, parts: &[&[u8]]) -> Self {
        self.steps.push(Do::Say(parts.concat()));
        self
    }

    fn hear(mut self, frames: usize) -> Self {
        self.steps.push(Do::Hear(frames));
        self
    }

    /// Plays it, then ends its direction and reads to the end; what was heard.
    async fn play<S: AsyncRead + AsyncWrite + Unpin>(&self, mut stream: S, tracer: Tracer) -> Heard {
        tracer.note(NoteKind::Note, format_args!("{}", self.name));
        let mut heard = wire::Heard::default();
        let mut buffer = [0; 4096];
        let mut end = None;
        for step in &self.steps {
            match step {
                // Ours may have hung up already; what it said is read below.
                Do::Say(bytes) => drop(stream.write_all(bytes).await),
                Do::Hear(frames) => {
                    while heard.frames < *frames && end.is_none() {
                        end = read(&mut stream, &mut buffer, &mut heard).await;
                    }
                }
            }
        }
        drop(stream.shutdown().await);
        while end.is_none() {
            end = read(&mut stream, &mut buffer, &mut heard).await;
        }
        let unsaid = heard.stored.iter().any(|root| *root != [0; 32] && !self.says(root));
        Heard { words: format!("{}: {}{}", self.name, heard.into_text(), end.unwrap_or_default()), unsaid }
    }

    /// Whether these bytes are anywhere in what it says.
    fn says(&self, bytes: &[u8]) -> bool {
        self.steps.iter().any(|step| match step {
            Do::Say(said) => said.windows(bytes.len()).any(|window| window == bytes),
            Do::Hear(_) => false,
        })
    }
}

/// What a stranger has heard.
struct Heard {
    words: String,
    /// Something was acknowledged as stored that it never stated the root of.
    unsaid: bool,
}

/// The end, if it has come: empty for an end in order.
async fn read<S: AsyncRead + Unpin>(stream: &mut S, buffer: &mut [u8], heard: &mut wire::Heard) -> Option<String> {
    match stream.read(buffer).await {
        Ok(0) => Some(String::new()),
        Ok(n) => {
            heard.add(&buffer[..n]);
            None
        }
        Err(error) => Some(format!("; {error}")),
    }
}

/// Plays strangers, one a run, and remembers how each fared on a benign network.
pub(crate) struct Game {
    ours: Ours,
    scripts: Vec<Rc<Script>>,
    benign: RefCell<BTreeMap<u32, [String; 3]>>,
}

impl Game {
    pub(crate) fn new(ours: Ours) -> Self {
        let scripts = match ours {
            Ours::Server => clients::all(),
            Ours::Flooded => floods::all(),
            Ours::Push => servers::of_a_push(),
            Ours::PushSlow => servers::of_a_slow_push(),
            Ours::PushUnreadable => servers::of_an_unreadable_push(),
            Ours::PushLong => servers::of_a_long_push(),
            Ours::PushSparse => servers::of_a_sparse_push(),
            Ours::BadDisk => clients::of_a_bad_disk(),
            Ours::Pull => servers::of_a_pull(),
            Ours::List => servers::of_a_listing(),
        };
        Self { ours, scripts: scripts.into_iter().map(Rc::new).collect(), benign: RefCell::default() }
    }

    /// How many strangers there are.
    pub(crate) fn strangers(&self) -> u32 {
        u32::try_from(self.scripts.len()).expect("a page of scripts")
    }

    /// What it heard and said is part of what is asked, so that `tell` changes nothing.
    pub(crate) fn play<G: Ground>(&self, ground: &mut G, _: Tell) -> Outcome {
        let which = ground.world().branch(STRANGER, self.strangers());
        let script = &self.scripts[crate::limits::index(u64::from(which))];
        let memory = self.memory();
        let (said, heard) = self.attempt(ground, script, &memory);
        let world = ground.world();
        let mut files: Vec<String> = Vec::new();
        for (path, entry) in &memory.tree().files {
            if entry.content.len() > SHOWN {
                files.push(format!("{path} {} bytes", entry.content.len()));
            } else if let Kind::File = entry.meta.kind {
                files.push(format!("{path} {}", entry.content.escape_ascii()));
            } else {
                files.push(format!("{path} {:?}", entry.meta.kind));
            }
        }
        for (path, kept) in &memory.tree().partials {
            files.push(format!("kept {path} {}", kept.escape_ascii()));
        }
        let files = files.join(", ");
        let said = said.unwrap_or_else(|| "gone".to_owned());
        let Heard { words: heard, unsaid } = heard.unwrap_or_else(|| Heard { words: "gone".to_owned(), unsaid: false });
        world.always("HONEST: ACK2 repeats a root that END stated", !unsaid);
        let leads_out =
            |c: &Vec<u8>| c.is_empty() || c == b"." || c == b".." || c.iter().any(|b| matches!(b, b'/' | 0));
        let outside = memory.tree().files.keys().any(|path| path.components().iter().any(leads_out));
        world.always("INSIDE: no name leads out of the root", !outside);
        world.always("INTACT: the old file stays", memory.content("old").as_deref() == Some(OLD));
        let rule = if script.rule.is_empty() { "in order" } else { script.rule };
        let unnamed = (!said.contains(rule)).then(|| format!("{}: expected {rule}, got {said}", script.name));
        broken(world, "STRICT: a broken rule is named", unnamed);
        let held = said.contains(HELD).then(|| said.clone());
        broken(world, "BOUND: a connection costs 8 MiB at most, and nothing when it is over", held);
        // Behind our GOODBYE nothing may follow, not even the reason.
        let last_word = ["; ERROR ", "; GOODBYE"].iter().any(|word| heard.contains(word));
        let untold = !heard.contains(script.told) || (script.rule.starts_with("FT-") && !last_word);
        let untold = untold.then(|| format!("{}: {heard}", script.rule));
        broken(world, "STRICT: a stranger is told why", untold);
        world.sometimes("in order", said.contains("in order"));
        let told = [said, heard, files];
        self.check_split(world, which, &told);
        let [said, heard, files] = told;
        match self.ours {
            Ours::Server | Ours::Flooded | Ours::BadDisk => Outcome { client: heard, server: said, files, retry: None },
            Ours::Push
            | Ours::PushSlow
            | Ours::PushUnreadable
            | Ours::PushSparse
            | Ours::PushLong
            | Ours::Pull
            | Ours::List => Outcome { client: said, server: heard, files, retry: None },
        }
    }

    /// What is there before a stranger comes.
    fn memory(&self) -> Memory {
        let memory = Memory::new();
        let dated = |name: &str, content: &[u8]| {
            let mut entry = Entry::file(name, content);
            entry.meta.mtime = Some(Mtime { secs: 5, nanos: 7 });
            entry.meta.mode = Some(0o640);
            entry
        };
        memory.put(dated("old", OLD));
        match self.ours {
            Ours::Push => {
                memory.put(dated("f", b"local"));
                return memory;
            }
            Ours::PushSlow | Ours::PushUnreadable => {
                memory.put(dated("f", b"local"));
                memory.put(dated("g", b"hello"));
                return memory;
            }
            Ours::PushLong => {
                memory.put(dated("f", &long(LONG)));
                memory.put(dated("g", &long(SECOND)));
                return memory;
            }
            Ours::PushSparse => {
                memory.put(dated("f", &SPARSE));
                return memory;
            }
            Ours::Server | Ours::Flooded | Ours::BadDisk | Ours::Pull | Ours::List => {}
        }
        for (name, kind, content) in
            [("box/a", Kind::File, &b"abc"[..]), ("box/b", Kind::File, b""), ("box", Kind::Folder, b"")]
        {
            let mut entry = dated(name, content);
            entry.meta.kind = kind;
            memory.put(entry);
        }
        memory.tree().room = Some(ROOM);
        memory
    }

    /// What ours said, and what the stranger heard.
    fn attempt<G: Ground>(
        &self,
        ground: &mut G,
        script: &Rc<Script>,
        memory: &Memory,
    ) -> (Option<String>, Option<Heard>) {
        let (overwrite, compare, level, links) = (Overwrite::KeepBoth, script.compare, Level::Durable, script.links);
        // Only a stranger who announces that it can gets or may send content compressed.
        let compress = Compress::On;
        let options = Options { agent: "ours".to_owned(), overwrite, compare, level, compress, joins: false };
        let (time, idle, tracer) = (ground.time(), ground.idle(), ground.world().tracer());
        let (time_there, script) = (time.clone(), Rc::clone(script));
        let stranger =
            move |stream| async move { script.play(Deadline::new(stream, time_there, Some(idle)), tracer).await };
        let (ours, memory) = (self.ours, memory.clone());
        let ours_alone =
            move |stream| ours.play(Deadline::new(stream, time.clone(), Some(idle)), time, memory, options, links);
        if matches!(self.ours, Ours::Server | Ours::Flooded | Ours::BadDisk) {
            let pair = ground.pair(stranger, ours_alone);
            return (pair.server.done(), pair.client.done());
        }
        let pair = ground.pair(ours_alone, stranger);
        (pair.client.done(), pair.server.done())
    }

    /// SPLIT: what was said, heard and stored is what it is on a benign network.
    fn check_split(&self, world: &mut World, which: u32, told: &[String; 3]) {
        let schedule = world.schedule();
        if !schedule.steps().iter().all(|step| step.fault.is_segmentation()) {
            return;
        }
        let known = self.benign.borrow().get(&which).cloned();
        let benign = known.unwrap_or_else(|| {
            let picks =
                if which == 0 { Vec::new() } else { vec![Pick { name: STRANGER.into(), nth: 0, value: which }] };
            let alone = Schedule::new(Vec::new(), picks).expect("a schedule of one pick");
            if alone == schedule {
                self.benign.borrow_mut().insert(which, told.clone());
                return told.clone();
            }
            let game = Self::new(self.ours);
            run(|world| drop(game.play(world, Tell::Nothing)), &alone);
            let benign = game.benign.borrow().get(&which).cloned().unwrap_or_default();
            self.benign.borrow_mut().insert(which, benign.clone());
            benign
        });
        // To who speaks something else nothing is owed, not even a close without RST: what it hears depends on what was
        // read before it was known.
        let foreign = told[0].contains("does not speak ft/1");
        world.always_eq("SPLIT: ours ends as on a benign network", &told[0], &benign[0]);
        if !foreign {
            let promise = "SPLIT: the stranger hears what it hears on a benign network";
            match self.scripts[crate::limits::index(u64::from(which))].gives_up {
                0 => world.always_eq(promise, &told[1], &benign[1]),
                stream => check_given_up(world, promise, stream, &told[1], &benign[1]),
            }
        }
        world.always_eq("SPLIT: what is stored is what is stored on a benign network", &told[2], &benign[2]);
    }
}

/// How far a stream had come when ours read that it is given up is the network's to say. So the frames of all others must be
/// the same in the same order, and this one ends once: by ERROR, or by END if it was sent by then.
fn check_given_up(world: &mut World, promise: &str, stream: u32, heard: &str, benign: &str) {
    let (own, others) = part(heard, stream);
    let (_, others_benign) = part(benign, stream);
    world.always_eq(promise, others, others_benign);
    let ends = |frame: &&str| frame.starts_with("END ") || frame.starts_with("ERROR ");
    let ended_last = own.last().is_some_and(ends) && own.iter().filter(|frame| ends(frame)).count() == 1;
    broken(world, "SPLIT: a stream that is given up ends once", (!ended_last).then(|| own.join("; ")));
}

/// What was heard of a stream, and the rest.
fn part(heard: &str, stream: u32) -> (Vec<&str>, Vec<&str>) {
    let number = format!(" #{stream} ");
    heard.split("; ").partition(|frame| frame.contains(&number))
}

fn words(report: &Report) -> String {
    let Report { end, wants, completed, failed, unknown, most_held, left_held } = report;
    let counted = [(completed, "completed"), (failed, "failed"), (unknown, "unknown")];
    let mut text: Vec<String> =
        counted.iter().filter(|(n, _)| **n > 0).map(|(n, word)| format!("{n} {word}")).collect();
    if text.is_empty() {
        text.push("nothing moved".to_owned());
    }
    text.extend(wants.iter().take(2).map(|(number, error)| format!("want {number}: {error}")));
    if let Some(more @ 1..) = wants.len().checked_sub(2) {
        text.push(format!("{more} more wants failed"));
    }
    if *most_held > CONNECTION_BYTES || *left_held > 0 {
        text.push(format!("{HELD}: {most_held} bytes at once, {left_held} at the end"));
    }
    text.push(end.as_ref().map_or_else(ToString::to_string, |()| "in order".to_owned()));
    text.join("; ")
}
