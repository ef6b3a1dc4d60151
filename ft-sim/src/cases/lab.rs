//! The labs as cases: naive and careful programs against each other, and what must hold of a file transfer.
//!
//! A naive program that returns without an exception says success: it exits with 0. That is what HONEST holds it to.

mod said;

use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use ft_core::dialect::addfile::careful_server::Served;
use ft_core::dialect::addfile::{self, careful_client, careful_server};
use ft_core::dialect::event::{LabEvent, Observer};
use ft_core::dialect::pipe;
use ft_core::dialect::{Escaped, LabError, LabName, MemoryFiles, Moment, Outcome as Known, Quiet, TextEnd};
use tokio::io::{AsyncRead, AsyncWrite};

use super::deadline::Deadline;
use super::shared_files::SharedFiles;
use super::{Outcome, Tell, broken};
use crate::explore::run;
use crate::ground::{Ground, Time};
use crate::schedule::Schedule;
use crate::trace::NoteKind;
use crate::world::{CLIENT, Pair, SERVER, Tracer, World};
use said::{Said, Words};

pub(crate) use ft_core::dialect::addfile::naive::Confirmations;

/// Which exchange of which lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// Lab A's only one.
    Pipe,
    Addfile,
    Upload,
    Download,
}

/// Whose program a party runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Naive,
    Careful,
}

/// The inputs of a lab case.
#[derive(Clone, Debug)]
pub(crate) struct LabSetup {
    pub(crate) verb: Verb,
    pub(crate) client: Style,
    pub(crate) server: Style,
    pub(crate) end: TextEnd,
    pub(crate) confirmations: Confirmations,
    /// Careful: keep messages of one direction apart by a pause.
    pub(crate) pause: bool,
    pub(crate) name: String,
    pub(crate) body: Vec<u8>,
    pub(crate) old: Option<Vec<u8>>,
    pub(crate) window: Option<u64>,
    /// Largest file that the receiver's disk takes, bytes.
    pub(crate) room: Option<u64>,
    /// The server takes no pause for the end of a text, only a line feed.
    pub(crate) patient: bool,
    /// The client sends these bytes instead of its protocol, and half-closes.
    pub(crate) raw: Option<Vec<u8>>,
    /// A clean retry follows, if both are careful.
    pub(crate) retry: bool,
}

impl LabSetup {
    pub(crate) fn new(verb: Verb, style: Style) -> Self {
        Self {
            verb,
            client: style,
            server: style,
            end: TextEnd::Bare,
            confirmations: Confirmations::Awaited,
            pause: true,
            name: "data.txt".to_owned(),
            body: b"the quick brown fox jumps".to_vec(),
            old: Some(b"old".to_vec()),
            window: None,
            room: None,
            patient: false,
            raw: None,
            retry: true,
        }
    }

    /// The name under which the receiver keeps it; [`Start`] has it at hand.
    fn stored_name(&self) -> Vec<u8> {
        match self.verb {
            Verb::Addfile => format!("server_{}", self.name).into_bytes(),
            Verb::Pipe | Verb::Upload | Verb::Download => self.name.clone().into_bytes(),
        }
    }

    fn is_careful(&self) -> bool {
        self.client == Style::Careful && self.server == Style::Careful
    }
}

/// Quiet moments of the lengths that docs/LABS.md names.
pub(super) struct Times<T> {
    pub(super) clock: T,
    /// Texts do not end in a pause.
    pub(super) patient: bool,
}

impl<T: Time> Quiet for Times<T> {
    async fn quiet(&mut self, moment: Moment) {
        let millis = match moment {
            Moment::TextEnd if self.patient => return std::future::pending().await,
            Moment::TextEnd => 200,
            Moment::Separate => 300,
            Moment::DataEnd => 1_000,
            Moment::Close => 2_000,
        };
        self.clock.sleep(Duration::from_millis(millis)).await;
    }
}

/// Puts a session's log into the trace.
struct Notes(Tracer);

impl Observer for Notes {
    fn event(&mut self, event: &LabEvent) {
        let note = |kind, number, name: &[u8], text: fmt::Arguments<'_>| self.0.fact(kind, [number, 0, 0], name, text);
        match event {
            // What was sent and read is beside it on the wire; the other lines of the log add nothing to that.
            LabEvent::Progress(_)
            | LabEvent::Sent(_)
            | LabEvent::Listening(_)
            | LabEvent::Connected(_)
            | LabEvent::Creating(_)
            | LabEvent::Receiving(_)
            | LabEvent::Sending(_)
            | LabEvent::Waiting => {}
            LabEvent::Command(command) => note(NoteKind::Frame, 0, command, format_args!("{}", Escaped(command))),
            LabEvent::Metadata { name, size } => {
                note(NoteKind::Frame, *size, name.as_bytes(), format_args!("{name}, {size}"));
            }
            LabEvent::Confirmed(text) => note(NoteKind::Ack, 0, text.as_bytes(), format_args!("{text}")),
            LabEvent::Stored { len, .. } => note(NoteKind::Fs, *len, b"", format_args!("stored {len} bytes")),
            LabEvent::LateData { taken } => note(NoteKind::Note, *taken, b"", format_args!("late, after {taken}")),
        }
    }
}

/// What a party reads and writes.
trait Stream: AsyncRead + AsyncWrite + Unpin {}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream for S {}

/// One side's surroundings, owned, for a host of its own.
struct Side<T> {
    setup: Rc<LabSetup>,
    start: Rc<Start>,
    clock: T,
    idle: Duration,
    tracer: Tracer,
}

impl<T: Time> Side<T> {
    fn stream<S>(&self, stream: S, style: Style) -> Deadline<S, T> {
        // The listings have no deadline anywhere: `no-timeout`.
        Deadline::new(stream, self.clock.clone(), (style == Style::Careful).then_some(self.idle))
    }

    fn say(&self, said: Said) -> Said {
        let short = said.words.short();
        self.tracer.fact(NoteKind::Verdict, [0; 3], short.as_bytes(), format_args!("{short}"));
        said
    }

    async fn client<S: Stream>(self, stream: S, mut files: SharedFiles) -> Said {
        let files = &mut files;
        let stream = self.stream(stream, self.setup.client);
        self.say(match (&self.setup.raw, self.setup.client) {
            (Some(raw), _) => raw_client(stream, raw).await,
            (None, Style::Naive) => self.naive_client(stream, files).await,
            (None, Style::Careful) => self.careful_client(stream, files).await.unwrap_or_else(Said::error),
        })
    }

    async fn naive_client<S: Stream>(&self, stream: Deadline<S, T>, files: &mut SharedFiles) -> Said {
        let LabSetup { name, body, end, confirmations, .. } = &*self.setup;
        let sent = |n: u64| Said::success(Words::Exit(n, body.len() as u64));
        let result = match self.setup.verb {
            Verb::Pipe => pipe::naive::send(stream, name.as_bytes(), body, *end).await.map(|says| match says.acked {
                true => sent(says.body),
                false => {
                    let nothing = "exit 0: no \"ACK\" in one read, so nothing was sent";
                    Said::success(Words::Text(nothing.to_owned()))
                }
            }),
            Verb::Addfile => {
                let says = addfile::naive::addfile(stream, name, body, *end, *confirmations).await;
                says.map(|says| {
                    let mut words = Words::Exit(says.body, body.len() as u64).to_string();
                    for read in says.confirmations {
                        words += &format!(", read \"{}\"", read.escape_ascii());
                    }
                    Said::success(Words::Text(words))
                })
            }
            Verb::Upload => addfile::naive::upload(stream, name, body, *end).await.map(|says| sent(says.body)),
            Verb::Download => match addfile::naive::download(stream, name, *end).await {
                Ok(says) => {
                    let is_ok = says.status == addfile::OK;
                    if is_ok {
                        files.put(name.as_bytes(), says.data.clone());
                    }
                    let words = format!("exit 0: status {:?}, {} bytes", says.status, says.data.len());
                    Ok(Said { words: Words::Text(words), success: is_ok, crashed: false })
                }
                Err(error) => Err(error),
            },
        };
        result.unwrap_or_else(Said::error)
    }

    async fn careful_client<S: Stream>(
        &self,
        stream: Deadline<S, T>,
        files: &mut SharedFiles,
    ) -> Result<Said, LabError> {
        let LabSetup { body, end, pause, .. } = &*self.setup;
        let Some(name) = &self.start.name else {
            return Ok(Said::less("refused: not a name"));
        };
        let (mut quiet, mut notes) = (Times { clock: self.clock.clone(), patient: false }, Notes(self.tracer.clone()));
        let (quiet, notes) = (&mut quiet, &mut notes);
        let options = addfile::Options { text_end: *end, pause: *pause, ..addfile::Options::default() };
        let mut source = &body[..];
        let tell = |known: Known, sent: u64, close| match known {
            Known::Completed => Said::success(Words::Text(format!("completed: {sent} bytes, confirmed"))),
            Known::Unknown | Known::Failed => {
                Said { words: Words::Unknown(sent, close), success: false, crashed: false }
            }
        };
        Ok(match self.setup.verb {
            Verb::Pipe => {
                let options = pipe::Options { text_end: *end, ..pipe::Options::default() };
                let size = body.len() as u64;
                let sent = pipe::careful::send(stream, name, size, &mut source, quiet, notes, options).await?;
                tell(sent.outcome(), sent.body, sent.peer_close)
            }
            Verb::Addfile => {
                let sent = careful_client::addfile(stream, name, &mut source, quiet, notes, options).await?;
                tell(sent.outcome(), sent.body, sent.peer_close)
            }
            Verb::Upload => {
                let sent = careful_client::upload(stream, name, &mut source, quiet, notes, options).await?;
                tell(sent.outcome(), sent.body, sent.peer_close)
            }
            Verb::Download => {
                let got = careful_client::download(stream, name, name, files, quiet, notes, options).await?;
                Said::success(Words::Text(format!("completed: {} bytes", got.len)))
            }
        })
    }

    async fn server<S: Stream>(self, stream: S, mut files: SharedFiles) -> Said {
        let files = &mut files;
        let stream = self.stream(stream, self.setup.server);
        let mut notes = Notes(self.tracer.clone());
        let mut quiet = Times { clock: self.clock.clone(), patient: self.setup.patient };
        let result = match (self.setup.verb, self.setup.server) {
            (Verb::Pipe, Style::Naive) => pipe::naive::receive(stream, files)
                .await
                .map(|says| Said::success(Words::Saved(says.name, says.received, says.stated))),
            (Verb::Pipe, Style::Careful) => {
                let options = pipe::Options::default();
                pipe::careful::receive(stream, files, &mut quiet, &mut notes, options)
                    .await
                    .map(|got| Said::success(Words::Stored(got.stored_as, got.metadata.size)))
            }
            (_, Style::Naive) => {
                let says = addfile::naive::serve(stream, files, &mut notes, self.setup.end).await;
                says.map(|says| {
                    Said::success(Words::Text(format!("served {}: {} bytes", says.command.word(), says.body)))
                })
            }
            (_, Style::Careful) => {
                let options = addfile::Options { pause: self.setup.pause, ..addfile::Options::default() };
                let served = careful_server::serve(stream, files, &mut quiet, &mut notes, options).await;
                served.map(|served| match served {
                    Served::Stored { stored_as, len, ended_by, .. } => {
                        let stored = Words::Stored(stored_as, len);
                        Said::success(Words::Text(format!("{stored}, ended by {ended_by:?}")))
                    }
                    Served::Sent { len, .. } => Said::less(format!("sent {len} bytes")),
                    Served::NotFound { .. } => Said::less(addfile::NOT_FOUND),
                })
            }
        };
        self.say(result.unwrap_or_else(Said::error))
    }
}

/// A client that speaks nothing in particular.
async fn raw_client(mut stream: impl Stream, bytes: &[u8]) -> Said {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut answer = Vec::new();
    let result = async {
        stream.write_all(bytes).await?;
        stream.shutdown().await?;
        stream.read_to_end(&mut answer).await
    };
    match result.await {
        Ok(_) => Said::less(format!("read \"{}\"", answer.escape_ascii())),
        Err(error) => Said::less(format!("stopped: {error}")),
    }
}

/// What a setup comes to, worked out once.
struct Start {
    /// The name that a careful client sends, if it is one.
    name: Option<LabName>,
    /// The name under which the receiver keeps it.
    stored: Vec<u8>,
    /// The client's files and the server's.
    files: [MemoryFiles; 2],
}

impl Start {
    fn of(setup: &LabSetup) -> Self {
        let stored = setup.stored_name();
        let mut receiver = MemoryFiles::new();
        if let Some(room) = setup.room {
            receiver = receiver.with_capacity(room);
        }
        if let Some(old) = &setup.old {
            receiver = receiver.with(&stored[..], &old[..]);
        }
        let files = match setup.verb {
            Verb::Download => [receiver, MemoryFiles::new().with(setup.name.as_bytes(), &setup.body[..])],
            Verb::Pipe | Verb::Addfile | Verb::Upload => [MemoryFiles::new(), receiver],
        };
        Self { name: LabName::new(&setup.name).ok(), stored, files }
    }
}

/// A setup, what its runs use again, and how the benign one went.
pub(crate) struct Game {
    setup: Rc<LabSetup>,
    start: Rc<Start>,
    /// The client's files and the server's.
    files: [SharedFiles; 2],
    benign: OnceCell<[Option<Said>; 2]>,
}

impl Game {
    pub(crate) fn new(setup: LabSetup) -> Self {
        Self::of(Rc::new(setup))
    }

    fn of(setup: Rc<LabSetup>) -> Self {
        let start = Rc::new(Start::of(&setup));
        Self { setup, start, files: [SharedFiles::default(), SharedFiles::default()], benign: OnceCell::new() }
    }

    pub(crate) fn play<G: Ground>(&self, ground: &mut G, tell: Tell) -> Outcome {
        let setup = &self.setup;
        if let Some(window) = setup.window {
            ground.world().window(window);
        }
        self.files.iter().zip(&self.start.files).for_each(|(files, start)| files.reset(start));
        let [here, there] = &self.files;
        let landed = if setup.verb == Verb::Download { here } else { there };
        let said = self.attempt(ground);
        let world = ground.world();
        landed.see(|landed| self.check(world, landed, &said));
        self.check_split(world, &said, G::REFERENCE);
        let words = |said: &Option<Said>| said.as_ref().map_or("gone".to_owned(), |said| said.words.to_string());
        let mut outcome = match tell {
            Tell::Words => {
                let files = landed.see(|landed| self.words_of_files(landed));
                Outcome { client: words(&said[0]), server: words(&said[1]), files, retry: None }
            }
            Tell::Nothing => Outcome::default(),
        };
        if setup.retry && setup.is_careful() && setup.raw.is_none() {
            world.calm();
            let again = self.attempt(ground);
            let whole = landed.see(|landed| landed.get(&self.start.stored) == Some(&setup.body[..]));
            let refused = setup.room.is_some_and(|room| setup.body.len() as u64 > room);
            ground.world().eventually("LIVE: a retry completes", whole || refused);
            outcome.retry = (tell == Tell::Words).then(|| words(&again[0]));
        }
        outcome
    }

    fn side<G: Ground>(&self, ground: &mut G) -> Side<G::Time> {
        let (clock, idle, tracer) = (ground.time(), ground.idle(), ground.world().tracer());
        Side { setup: Rc::clone(&self.setup), start: Rc::clone(&self.start), clock, idle, tracer }
    }

    fn attempt<G: Ground>(&self, ground: &mut G) -> [Option<Said>; 2] {
        let (client, server) = (self.side(ground), self.side(ground));
        let [here, there] = &self.files;
        let (files_here, files_there) = (here.clone(), there.clone());
        let Pair { client, server } =
            ground.pair(|stream| client.client(stream, files_here), |stream| server.server(stream, files_there));
        // A host may lose power after its program has ended.
        for (host, files) in [(CLIENT, here), (SERVER, there)] {
            if ground.world().take_crash(host) {
                files.crash();
            }
        }
        [client.done(), server.done()]
    }

    /// INSIDE, INTACT, HONEST, and that a server outlives its client's connection.
    fn check(&self, world: &mut World, landed: &MemoryFiles, said: &[Option<Said>; 2]) {
        let setup = &self.setup;
        let name = &self.start.stored;
        let died = said[1].as_ref().filter(|said| said.crashed).map(|said| said.words.to_string());
        broken(world, "LIVE: the server outlives a connection", died);
        let outside = landed.iter().map(|(name, _)| name).find(|name| name.contains(&b'/') || *name == b"..");
        let outside = outside.map(|name| name.escape_ascii().to_string());
        broken(world, "INSIDE: nothing outside the folder", outside);
        let torn = landed.iter().find(|(stored, content)| self.meant(stored, content).is_none());
        let torn = torn.map(|(stored, content)| self.word_of_file(stored, content));
        let lost = setup.old.is_some() && landed.get(name).is_none();
        let torn = torn.or_else(|| lost.then(|| "the old file is gone".to_owned()));
        broken(world, "INTACT: the old file or the new one", torn);
        let is_new = landed.get(name) == Some(&setup.body[..]);
        world.sometimes("completed", is_new);
        let sender = if setup.verb == Verb::Download { &said[1] } else { &said[0] };
        if let Some(sender) = sender
            && sender.success
        {
            world.always("HONEST: who says success has delivered", is_new);
        }
    }

    /// Whether a file is the new one or the old one; nothing if it is neither.
    fn meant(&self, stored: &[u8], content: &[u8]) -> Option<&'static str> {
        let setup = &self.setup;
        let named = stored == self.start.stored;
        if named && content == setup.body {
            Some("new")
        } else {
            (named && setup.old.as_deref() == Some(content)).then_some("old")
        }
    }

    fn word_of_file(&self, stored: &[u8], content: &[u8]) -> String {
        let name = stored.escape_ascii();
        match self.meant(stored, content) {
            Some(word) => format!("{name}: {word}"),
            None => format!("{name}: {} bytes that nobody meant", content.len()),
        }
    }

    /// What lies under the names.
    fn words_of_files(&self, landed: &MemoryFiles) -> String {
        let words: Vec<String> = landed.iter().map(|(stored, content)| self.word_of_file(stored, content)).collect();
        if words.is_empty() { "none".to_owned() } else { words.join(", ") }
    }

    /// SPLIT: under segmentation alone, both say what they say in the benign run.
    /// In every world the reference is the simulator's own link: `is_reference` says that this is it.
    fn check_split(&self, world: &mut World, said: &[Option<Said>; 2], is_reference: bool) {
        let Some(deviations) = world.deviations_that_only_cut() else {
            return;
        };
        if deviations == 0 && is_reference {
            self.benign.get_or_init(|| said.clone());
        }
        let benign = self.benign.get_or_init(|| {
            let game = Self::of(Rc::clone(&self.setup));
            run(|world| drop(game.play(world, Tell::Nothing)), &Schedule::benign());
            game.benign.get().cloned().unwrap_or_default()
        });
        let promises = ["SPLIT: the client ends as in the benign run", "SPLIT: the server ends as in the benign run"];
        for ((promise, said), benign) in promises.into_iter().zip(said).zip(benign) {
            let same = match (said, benign) {
                (Some(said), Some(benign)) => said.words.same(&benign.words),
                (said, benign) => said.is_none() && benign.is_none(),
            };
            if !same {
                let words =
                    |said: &Option<Said>| said.as_ref().map_or("gone".to_owned(), |said| said.words.to_string());
                world.always_eq(promise, words(said), words(benign));
            }
        }
    }
}
