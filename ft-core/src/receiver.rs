//! The receiver's side of a session (PROTOCOL §7): ACK1, content, landing, ACK2; a pure machine.
//!
//! It never acknowledges early: ACK1 after the storage has decided, ACK2 after the storage has landed the file. Files
//! that are complete wait for each other a little, because one sync serves thousands as well as one.

mod table;

use std::collections::BTreeMap;

pub use table::{INPUTS, Input, STATES, State, next};

use crate::compress::FEATURE;
use crate::error::{Code, FileError, Retry, SessionError};
use crate::event::Event;
use crate::frame::{Ack2, Frame, Hello, Intent, Kind, Links, Meta, Offer, StreamId, Verdict, Want};
use crate::hash::{Root, decompose};
use crate::join;
use crate::limits::{
    GROUP_BYTES, GROUP_FILES, GROUP_PATIENCE, IN_FLIGHT_BYTES, MAX_DATA, MAX_FILE, MAX_OFFER_BYTES, MAX_STREAMS,
    OPERATION, STREAM_BYTES,
};
use crate::machine::{Action, Actions, Machine, Next, Side, Tally, Violation, Window, intent_name};
use crate::payload::offer_len;
use crate::storage::{Keep, LandDone, LandOp, Prepared};

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Stream {
    state: State,
    /// Its times and mode are right only when everything in it has landed (FT-55).
    folder: bool,
    size: Option<u64>,
    offer_bytes: u32,
    /// What ACK1 stated: a prefix of so many bytes.
    claimed: u64,
    /// It stated no hashes of them, and content goes on behind them: the first to know whether they are right is the root.
    unchecked: bool,
    /// What ACK1 stated: a whole file with this root.
    same: Option<Root>,
    /// Bytes received, a used prefix included.
    position: u64,
    /// What END stated.
    root: Option<Root>,
}

/// What the client asked for and where the answer stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Wanted {
    want: Want,
    done: bool,
}

/// The DATA frame whose content is coming.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Incoming {
    stream: StreamId,
    offset: u64,
}

/// The machine. See [`Machine`] for its contract.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Receiver {
    side: Side,
    intent: Intent,
    agent: String,
    /// What we announce, and, of that, what the peer has announced too.
    features: u64,
    agreed: u64,
    greeted: bool,
    /// What the sender must keep to: the initial window until our HELLO can have reached it is not checked more strictly.
    window: Window,
    open: BTreeMap<StreamId, Stream>,
    offer_bytes: u32,
    last_stream: StreamId,
    wants: Vec<Wanted>,
    /// The stream whose content is on the wire (FT-22).
    current: Option<StreamId>,
    incoming: Option<Incoming>,
    /// SPREAD has come.
    is_spread: bool,
    /// Writes and holes under way, bytes: their length and what each costs besides. It is what reading waits for.
    held_bytes: u64,
    /// The same as memory: a hole of 16 MiB has none of its own.
    held_memory: u64,
    /// Complete files, in the order in which they will land.
    group: Vec<StreamId>,
    group_bytes: u64,
    /// Files of the group that is being landed.
    landing: usize,
    /// Streams on which the peer has still to act, or the storage before ACK1 or END is settled.
    busy: usize,
    /// Discards under way.
    discarding: usize,
    peer_left: bool,
    left: bool,
    over: bool,
    tally: Tally,
    failed_wants: Vec<(u32, FileError)>,
}

impl Receiver {
    /// A server whose client came to push.
    pub fn server(agent: &str) -> Self {
        Self { greeted: true, ..Self::new(Side::Server, Intent::Push, agent, Vec::new()) }
    }

    /// Announces these features; `theirs` is what a client announced already.
    #[must_use]
    pub fn with_features(self, ours: u64, theirs: u64) -> Self {
        Self { features: ours, agreed: ours & theirs, ..self }
    }

    /// A client that wants files (or, with [`Intent::List`], their names).
    ///
    /// # Panics
    /// If `wants` is empty or longer than [`crate::limits::MAX_WANTS`].
    pub fn client(intent: Intent, wants: Vec<Want>, agent: &str) -> Self {
        assert!(
            !wants.is_empty() && wants.len() <= crate::limits::MAX_WANTS as usize,
            "1 to MAX_WANTS wants a session"
        );
        Self::new(Side::Client, intent, agent, wants)
    }

    fn new(side: Side, intent: Intent, agent: &str, wants: Vec<Want>) -> Self {
        Self {
            side,
            intent,
            agent: agent.into(),
            features: 0,
            agreed: 0,
            greeted: false,
            window: Window { streams: MAX_STREAMS, offer_bytes: MAX_OFFER_BYTES },
            open: BTreeMap::new(),
            offer_bytes: 0,
            last_stream: 0,
            wants: wants.into_iter().map(|want| Wanted { want, done: false }).collect(),
            current: None,
            incoming: None,
            is_spread: false,
            held_bytes: 0,
            held_memory: 0,
            group: Vec::new(),
            group_bytes: 0,
            landing: 0,
            busy: 0,
            discarding: 0,
            peer_left: false,
            left: false,
            over: false,
            tally: Tally::default(),
            failed_wants: Vec::new(),
        }
    }

    /// States in which the group waits for this stream, since it may soon join.
    fn is_busy(state: State) -> bool {
        match state {
            State::Preparing
            | State::Abandoned
            | State::Ready
            | State::Receiving
            | State::Spoilt
            | State::Finishing => true,
            State::Verified | State::Landing => false,
        }
    }

    /// Applies the table to one stream.
    fn step(&mut self, id: StreamId, input: Input) -> Result<Next<State>, Violation> {
        let Some(stream) = self.open.get_mut(&id) else {
            let never = id == 0 || id > self.last_stream;
            let text =
                format!("{input:?} for stream {id}, which {}", if never { "was never offered" } else { "is closed" });
            return Err(Violation::new("FT-21", text));
        };
        let before = stream.state;
        let step = next(before, input);
        match step {
            Next::To(state) => {
                stream.state = state;
                self.busy -= usize::from(Self::is_busy(before) && !Self::is_busy(state));
            }
            Next::Close => {}
            Next::Violation(rule) => {
                return Err(Violation::new(rule, format!("{input:?} for stream {id} in state {before:?}")));
            }
            Next::Bug => debug_assert!(false, "{input:?} for stream {id} in state {before:?}"),
        }
        Ok(step)
    }

    fn close(&mut self, id: StreamId) {
        if let Some(stream) = self.open.remove(&id) {
            self.busy -= usize::from(Self::is_busy(stream.state));
            self.offer_bytes -= stream.offer_bytes;
            if self.current == Some(id) {
                self.current = None;
            }
        }
    }

    fn discard(&mut self, id: StreamId, keep: Keep, out: &mut Actions<LandOp>) {
        self.discarding += 1;
        out.push(Action::Submit(LandOp::Discard(id, keep), false));
    }

    fn fail(&mut self, id: StreamId, error: FileError, out: &mut Actions<LandOp>) {
        self.tally.failed += 1;
        out.push(Action::Tell(Event::Failed(id, error)));
    }

    /// Opens a stream for an offer that keeps the rules of numbering and windows.
    fn admit(&mut self, id: StreamId, bytes: u32) -> Result<(), Violation> {
        if self.intent == Intent::List {
            return Err(Violation::new("FT-11", "OFFER in a listing"));
        }
        if id != self.last_stream + 1 {
            return Err(Violation::new("FT-12", format!("OFFER {id} after {}", self.last_stream)));
        }
        self.last_stream = id;
        if self.open.len() >= self.window.streams as usize {
            return Err(Violation::new("FT-13", format!("OFFER {id} beyond {} open streams", self.window.streams)));
        }
        if self.offer_bytes.saturating_add(bytes) > self.window.offer_bytes {
            return Err(Violation::new(
                "FT-14",
                format!("OFFER {id} beyond {} bytes of offers", self.window.offer_bytes),
            ));
        }
        Ok(())
    }

    fn on_offer(&mut self, id: StreamId, offer: Offer, out: &mut Actions<LandOp>) -> Result<(), Violation> {
        let bytes = offer_len(&offer);
        self.admit(id, bytes)?;
        self.check_want(offer.want, &offer.meta)?;
        self.check_link(&offer)?;
        self.offer_bytes += bytes;
        self.busy += 1;
        let stream = Stream {
            state: State::Preparing,
            folder: offer.meta.kind == Kind::Folder,
            size: offer.meta.size,
            offer_bytes: bytes,
            claimed: 0,
            unchecked: false,
            same: None,
            position: 0,
            root: None,
        };
        self.open.insert(id, stream);
        out.push(Action::Tell(Event::Offered(id, offer.meta.clone())));
        out.push(Action::Submit(LandOp::Prepare(id, offer), false));
        Ok(())
    }

    /// A server may only offer or list what was asked for, under the name that was asked for: otherwise it could place
    /// files of its own choosing (FT-16).
    fn check_want(&self, want: u32, meta: &Meta) -> Result<(), Violation> {
        if self.side == Side::Server {
            let push = Violation::new("FT-16", format!("OFFER for want {want} in a push"));
            return if want == 0 { Ok(()) } else { Err(push) };
        }
        let wanted = (want as usize).checked_sub(1).and_then(|i| self.wants.get(i)).filter(|w| !w.done);
        let Some(wanted) = wanted else {
            return Err(Violation::new("FT-16", format!("an entry for want {want}, which is not open")));
        };
        let first = meta.path.components().first().map(Vec::as_slice);
        if wanted.want.path.name().is_some_and(|name| first != Some(name)) {
            let text = format!("{:?} for want {want}, which is {:?}", meta.path, wanted.want.path);
            return Err(Violation::new("FT-16", text));
        }
        Ok(())
    }

    /// A write or a hole of `len` bytes is under way.
    fn hold(&mut self, len: u64) {
        self.held_bytes += len + OPERATION;
        self.held_memory += memory(len) + OPERATION;
    }

    /// It is done, one way or the other.
    fn let_go(&mut self, len: u64) {
        self.held_bytes -= len + OPERATION;
        self.held_memory -= memory(len) + OPERATION;
    }

    /// A link leads other programs wherever its maker likes, so none is made for who did not ask for links.
    fn check_link(&self, offer: &Offer) -> Result<(), Violation> {
        let wanted = (offer.want as usize).checked_sub(1).and_then(|i| self.wants.get(i));
        match wanted {
            Some(wanted) if offer.meta.kind == Kind::Link && wanted.want.links != Links::Keep => {
                Err(Violation::new("FT-78", format!("a link for want {}, which asks for none", offer.want)))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn on_prepared(&mut self, id: StreamId, prepared: Prepared, out: &mut Actions<LandOp>) {
        let input = match &prepared {
            Prepared::Fresh | Prepared::Partial { .. } | Prepared::SameContent(_) => Input::Usable,
            Prepared::SameMeta => Input::SameMeta,
            Prepared::Refused(_) => Input::Refused,
        };
        let Ok(step) = self.step(id, input) else { return };
        let Some(stream) = self.open.get_mut(&id) else { return };
        if stream.state == State::Abandoned {
            self.close(id);
            if input != Input::Refused {
                self.discard(id, Keep::Partial, out);
            }
            return;
        }
        let size = stream.size;
        let verdict = match prepared {
            Prepared::Fresh => Verdict::Send,
            Prepared::Partial { len, subtrees } => {
                stream.claimed = len;
                stream.unchecked = subtrees.is_empty();
                Verdict::Resume(subtrees)
            }
            Prepared::SameMeta => Verdict::SameMeta,
            Prepared::SameContent(root) => {
                stream.same = Some(root);
                Verdict::SameContent(root)
            }
            Prepared::Refused(error) => Verdict::Refused(error),
        };
        let offset = match &verdict {
            Verdict::Resume(_) => stream.claimed,
            Verdict::SameMeta | Verdict::SameContent(_) => size.unwrap_or(0),
            Verdict::Send | Verdict::Refused(_) => 0,
        };
        if let Verdict::Refused(error) = &verdict {
            debug_assert_eq!(step, Next::Close);
            self.close(id);
            self.fail(id, error.clone(), out);
        } else if verdict == Verdict::SameMeta {
            self.group.push(id);
            out.push(Action::Tell(Event::Same(id)));
        }
        if !self.over {
            out.push(Action::Send(Frame::Ack1(id, offset, verdict)));
        } else if self.open.get(&id).is_some_and(|s| s.state == State::Ready) {
            self.close(id);
            self.discard(id, Keep::Partial, out);
        }
    }

    /// DATA or HOLE of `len` bytes: the rules, and what to do with it. `false`: ignore it.
    fn on_bytes(&mut self, id: StreamId, offset: u64, len: u64, out: &mut Actions<LandOp>) -> Result<bool, Violation> {
        if let Some(current) = self.current.filter(|&current| current != id) {
            return Err(Violation::new("FT-22", format!("content of stream {id} within that of stream {current}")));
        }
        let first = self.open.get(&id).is_some_and(|s| s.state == State::Ready);
        self.step(id, Input::Content)?;
        let Some(stream) = self.open.get_mut(&id) else { return Ok(false) };
        if stream.state == State::Spoilt {
            return Ok(false);
        }
        self.current = Some(id);
        if first {
            let boundary = offset == 0
                || decompose(stream.claimed)
                    .scan(0, |sum, n| {
                        *sum += n;
                        Some(*sum)
                    })
                    .any(|b| b == offset);
            if !boundary {
                let text =
                    format!("content of stream {id} begins at {offset}, the kept prefix has {} bytes", stream.claimed);
                return Err(Violation::new("FT-24", text));
            }
            stream.position = offset;
            stream.unchecked &= offset > 0;
            out.push(Action::Tell(Event::Started(id, offset, stream.size)));
        } else if offset != stream.position {
            let text = format!("content of stream {id} at {offset}, expected {}", stream.position);
            return Err(Violation::new("FT-23", text));
        }
        let end = offset.checked_add(len).filter(|&end| end <= stream.size.unwrap_or(MAX_FILE));
        if end.is_none() {
            let text =
                format!("{len} bytes at {offset} of stream {id}, past its size of {}", stream.size.unwrap_or(MAX_FILE));
            return Err(Violation::new("FT-25", text));
        }
        Ok(true)
    }

    fn on_end_frame(
        &mut self,
        id: StreamId,
        size: u64,
        root: Root,
        out: &mut Actions<LandOp>,
    ) -> Result<(), Violation> {
        if let Some(current) = self.current.filter(|&current| current != id) {
            return Err(Violation::new("FT-22", format!("END of stream {id} within the content of stream {current}")));
        }
        let Some(stream) = self.open.get(&id) else { return self.step(id, Input::End).map(drop) };
        let agrees = stream.state == State::Ready && stream.same == Some(root) && stream.size == Some(size);
        let spoilt = stream.state == State::Spoilt;
        let position = stream.position;
        let expected = stream.size.unwrap_or(position);
        // Before the transition: a stream in `Finishing` waits for the storage, which must have been asked.
        let open = matches!(stream.state, State::Ready | State::Receiving);
        if open && !agrees && (size != position || size != expected) {
            let text = format!("END of stream {id} at {size}, after {position} of {expected} bytes");
            return Err(Violation::new("FT-26", text));
        }
        self.step(id, if agrees { Input::EndSame } else { Input::End })?;
        self.current = None;
        if spoilt {
            self.close(id);
            return Ok(());
        }
        if agrees {
            self.group.push(id);
            out.push(Action::Tell(Event::Same(id)));
            return Ok(());
        }
        if let Some(stream) = self.open.get_mut(&id) {
            stream.root = Some(root);
        }
        out.push(Action::Submit(LandOp::Finish(id, size), false));
        Ok(())
    }

    fn on_finished(&mut self, id: StreamId, root: Root, out: &mut Actions<LandOp>) {
        let Some(stream) = self.open.get(&id) else { return };
        let (stated, size, unchecked) = (stream.root, stream.position, stream.unchecked);
        if stated == Some(root) {
            if self.step(id, Input::RootGood).is_ok() {
                self.group.push(id);
                self.group_bytes += size;
                out.push(Action::Tell(Event::Verified(id)));
            }
            return;
        }
        let what = if unchecked { "that were kept and came" } else { "that came" };
        let text = format!(
            "expected BLAKE3 {}, the {size} bytes {what} have {}",
            stated.unwrap_or_default().to_hex(),
            root.to_hex()
        );
        let error = FileError::new(Code::Integrity, Retry::Now, text);
        // What came is probably right where what was kept is not, and the next try finds out where.
        let keep = if unchecked { Keep::Doubted } else { Keep::Nothing };
        self.spoil(id, Input::RootBad, error, keep, out);
    }

    /// The stream failed on our side, after ACK1.
    fn spoil(&mut self, id: StreamId, input: Input, error: FileError, keep: Keep, out: &mut Actions<LandOp>) {
        let Ok(step) = self.step(id, input) else { return };
        if step == Next::Close {
            self.close(id);
        }
        if !self.over {
            out.push(Action::Send(Frame::Error(id, error.clone())));
        }
        self.fail(id, error, out);
        self.discard(id, keep, out);
    }

    fn on_storage_failed(&mut self, id: StreamId, error: FileError, out: &mut Actions<LandOp>) {
        let Some(stream) = self.open.get(&id) else { return };
        match stream.state {
            // A failed `Prepare` is a refusal.
            State::Preparing | State::Abandoned => self.on_prepared(id, Prepared::Refused(error), out),
            // Later operations on a stream that failed already.
            State::Spoilt | State::Verified => {}
            State::Ready | State::Receiving | State::Finishing => {
                self.spoil(id, Input::StorageFailed, error, Keep::Partial, out);
            }
            State::Landing => {
                self.landing -= 1;
                self.spoil(id, Input::StorageFailed, error, Keep::Nothing, out);
            }
        }
    }

    fn on_landed(&mut self, id: StreamId, ack: Ack2, out: &mut Actions<LandOp>) {
        if self.step(id, Input::Landed).is_err() {
            return;
        }
        self.landing -= 1;
        self.tally.completed += 1;
        self.close(id);
        if !self.over {
            out.push(Action::Send(Frame::Ack2(id, ack.clone())));
        }
        out.push(Action::Tell(Event::Stored(id, ack)));
    }

    fn on_peer_error(&mut self, id: StreamId, error: FileError, out: &mut Actions<LandOp>) -> Result<(), Violation> {
        if !self.open.contains_key(&id) && id <= self.last_stream {
            // It crossed our own ERROR or refusal (FT-70).
            return Ok(());
        }
        let spoilt = self.open.get(&id).is_some_and(|s| s.state == State::Spoilt);
        self.step(id, Input::PeerError)?;
        self.close(id);
        if !spoilt {
            self.discard(id, Keep::Partial, out);
            self.fail(id, error, out);
        }
        Ok(())
    }

    fn on_want_done(
        &mut self,
        number: u32,
        error: Option<FileError>,
        out: &mut Actions<LandOp>,
    ) -> Result<(), Violation> {
        let wanted = (number as usize).checked_sub(1).and_then(|i| self.wants.get_mut(i)).filter(|w| !w.done);
        let Some(wanted) = wanted else {
            return Err(Violation::new("FT-36", format!("DONE for want {number}, which is not open")));
        };
        wanted.done = true;
        if let Some(error) = &error {
            self.failed_wants.push((number, error.clone()));
        }
        out.push(Action::Tell(Event::WantDone(number, error)));
        Ok(())
    }

    fn on_goodbye(&mut self) -> Result<(), Violation> {
        let unfinished = self.open.values().filter(|s| Self::is_busy(s.state) && s.state != State::Finishing).count();
        if unfinished > 0 {
            return Err(Violation::new("FT-32", format!("GOODBYE with {unfinished} streams unfinished")));
        }
        if self.wants.iter().any(|w| !w.done) {
            return Err(Violation::new("FT-36", "GOODBYE before every want was answered"));
        }
        self.peer_left = true;
        Ok(())
    }

    /// Lands the group in the order of the offers, so that a folder comes after what is in it; a folder waits for what
    /// was offered before it and is not complete yet.
    fn commit(&mut self, out: &mut Actions<LandOp>) {
        let unfinished = self.open.iter().find(|(_, s)| Self::is_busy(s.state)).map(|(id, _)| *id);
        let waits = |id: &StreamId| unfinished.is_some_and(|u| u < *id) && self.open.get(id).is_some_and(|s| s.folder);
        let (waiting, mut group): (Vec<_>, Vec<_>) = std::mem::take(&mut self.group).into_iter().partition(waits);
        group.sort_unstable();
        // While one group lands, more may come than belongs into the next.
        let rest = group.split_off(group.len().min(GROUP_FILES));
        self.group = waiting;
        self.group.extend(rest);
        self.group_bytes = self.group.iter().filter_map(|id| self.open.get(id)).map(|stream| stream.position).sum();
        if group.is_empty() {
            return;
        }
        self.landing = group.len();
        for &id in &group {
            // Members of the group are `Verified`; the table agrees.
            let _ = self.step(id, Input::Commit);
        }
        out.push(Action::Submit(LandOp::Commit(group), false));
    }

    /// Lands the group when waiting longer gains nothing, and leaves when all is done.
    fn pump(&mut self, out: &mut Actions<LandOp>) {
        let waiting = self.current.and_then(|id| self.open.get(&id)).and_then(|s| Some(s.size? - s.position));
        let full = self.group.len() >= GROUP_FILES || self.group_bytes >= GROUP_BYTES;
        let ripe = full || self.busy == 0 || waiting.is_some_and(|left| left > GROUP_PATIENCE);
        if self.landing == 0 && !self.group.is_empty() && ripe {
            self.commit(out);
        }
        if self.peer_left && self.open.is_empty() && !self.left && !self.over {
            self.left = true;
            out.push(Action::Send(Frame::Goodbye));
            out.push(Action::ShutDown);
        }
    }
}

/// Most memory that a write or a hole of `len` bytes has: what is longer than any content is a hole.
fn memory(len: u64) -> u64 {
    len.min(MAX_DATA.into())
}

impl Machine for Receiver {
    type Op = LandOp;
    type Done = LandDone;

    fn start(&mut self, out: &mut Actions<LandOp>) {
        let intent = (self.side == Side::Client).then_some(self.intent);
        out.push(Action::Send(Frame::Hello(Hello {
            intent,
            max_streams: self.window.streams,
            max_offer_bytes: self.window.offer_bytes,
            features: self.features,
            agent: self.agent.clone(),
        })));
        let count = self.wants.len();
        for (number, wanted) in (1..).zip(&mut self.wants) {
            wanted.want.last = number as usize == count;
            out.push(Action::Send(Frame::Want(number, wanted.want.clone())));
        }
    }

    fn on_frame(&mut self, frame: Frame, out: &mut Actions<LandOp>) -> Result<(), Violation> {
        if self.peer_left {
            return Err(Violation::new("FT-31", "a frame after GOODBYE"));
        }
        let hello = matches!(frame, Frame::Hello(_));
        if hello == self.greeted {
            return Err(Violation::new("FT-10", if hello { "a second HELLO" } else { "a frame before HELLO" }));
        }
        match frame {
            Frame::Hello(hello) => {
                if hello.intent.is_some() {
                    return Err(Violation::new("FT-11", "a server's HELLO with an intent"));
                }
                self.greeted = true;
                self.agreed = self.features & hello.features;
            }
            Frame::Offer(id, offer) => self.on_offer(id, offer, out)?,
            Frame::Data { stream, offset, len } => {
                let keep = self.on_bytes(stream, offset, u64::from(len), out)?;
                self.incoming = keep.then_some(Incoming { stream, offset });
            }
            Frame::Zdata { stream, offset, len, .. } => {
                if self.agreed & FEATURE == 0 {
                    return Err(Violation::new("FT-44", "ZDATA, which was not agreed on"));
                }
                let keep = self.on_bytes(stream, offset, u64::from(len), out)?;
                self.incoming = keep.then_some(Incoming { stream, offset });
            }
            Frame::Hole { stream, offset, len } => {
                if self.on_bytes(stream, offset, len, out)? {
                    self.hold(len);
                    self.advance(stream, offset + len, out);
                    out.push(Action::Submit(LandOp::Hole { stream, offset, len }, false));
                }
            }
            Frame::End(id, size, root) => self.on_end_frame(id, size, root, out)?,
            Frame::Error(id, error) => self.on_peer_error(id, error, out)?,
            Frame::Entry(number, meta) => {
                if self.intent != Intent::List {
                    return Err(Violation::new("FT-11", format!("ENTRY in a {}", intent_name(self.intent))));
                }
                self.check_want(number, &meta)?;
                out.push(Action::Tell(Event::Listed(meta)));
            }
            Frame::Done(number, _, error) => self.on_want_done(number, error, out)?,
            Frame::Alive(..) | Frame::Invite(_) => {}
            Frame::Goodbye => self.on_goodbye()?,
            Frame::Join(_) => return Err(Violation::new("FT-80", "JOIN within a session")),
            Frame::Spread(_) => {
                if self.agreed & join::FEATURE == 0 || self.intent == Intent::List {
                    return Err(Violation::new("FT-79", "SPREAD, which was not agreed on"));
                }
                if std::mem::replace(&mut self.is_spread, true) {
                    return Err(Violation::new("FT-79", "a second SPREAD"));
                }
            }
            Frame::Want(..) | Frame::Ack1(..) | Frame::Ack2(..) => {
                return Err(Violation::new("FT-11", format!("a receiver's frame in a {}", intent_name(self.intent))));
            }
        }
        self.pump(out);
        Ok(())
    }

    fn on_bad_offer(&mut self, id: StreamId, error: FileError, out: &mut Actions<LandOp>) -> Result<(), Violation> {
        if self.peer_left || !self.greeted {
            return Err(Violation::new("FT-31", "an OFFER outside the session"));
        }
        self.admit(id, 0)?;
        out.push(Action::Send(Frame::Ack1(id, 0, Verdict::Refused(error.clone()))));
        self.fail(id, error, out);
        Ok(())
    }

    fn on_content(&mut self, len: u64, out: &mut Actions<LandOp>) {
        let usable = self.incoming.filter(|i| self.open.get(&i.stream).is_some_and(|s| s.state == State::Receiving));
        let Some(Incoming { stream, offset }) = usable else {
            out.push(Action::DropContent);
            return;
        };
        self.incoming = Some(Incoming { stream, offset: offset + len });
        self.hold(len);
        self.advance(stream, offset + len, out);
        out.push(Action::Submit(LandOp::Write { stream, offset, len }, true));
    }

    fn on_done(&mut self, done: LandDone, out: &mut Actions<LandOp>) {
        match done {
            LandDone::Prepared(id, prepared) => self.on_prepared(id, prepared, out),
            LandDone::Wrote(_, len) => self.let_go(len),
            LandDone::Finished(id, root) => self.on_finished(id, root, out),
            LandDone::Step(id, step) => out.push(Action::Tell(Event::Landing(id, step))),
            LandDone::Landed(id, ack) => self.on_landed(id, ack, out),
            LandDone::Discarded(_) => self.discarding -= 1,
            LandDone::Failed(id, len, error) => {
                // Only writes and holes have a length, and theirs is never 0.
                if len > 0 {
                    self.let_go(len);
                }
                self.on_storage_failed(id, error, out);
            }
        }
        self.pump(out);
    }

    fn on_sent(&mut self, _: u64, _: &mut Actions<LandOp>) {}

    fn on_pulse(&mut self, came: bool, out: &mut Actions<LandOp>) {
        // A slow reader tells that it lives, too: what it takes may be felt by the sender only once in a minute, when a
        // large send buffer has emptied by a third. But who waits for a sender that stopped owes nothing, and its own
        // signs of life must not keep that session from ending.
        let taking = came || self.held_bytes > 0;
        let busy = |s: &Stream| match s.state {
            State::Preparing | State::Finishing => true,
            State::Receiving => taking,
            State::Abandoned | State::Ready | State::Spoilt | State::Verified | State::Landing => false,
        };
        let working = self.landing > 0 || self.open.values().any(busy);
        if working && !self.left && !self.over {
            out.push(Action::Send(Frame::Alive(0, 0)));
        }
    }

    /// What is complete is landed all the same: the sender may never hear of it, but its retry will find it.
    fn on_end(&mut self, end: &Result<(), SessionError>, out: &mut Actions<LandOp>) {
        self.over = true;
        let text = end.as_ref().err().map_or_else(String::new, ToString::to_string);
        let ids: Vec<StreamId> = self.open.keys().copied().collect();
        for id in ids {
            let Some(state) = self.open.get(&id).map(|s| s.state) else { continue };
            let step = self.step(id, Input::Cut);
            if matches!(state, State::Preparing | State::Ready | State::Receiving) {
                self.fail(id, FileError::new(Code::Cancelled, Retry::Now, text.clone()), out);
            }
            if step == Ok(Next::Close) {
                self.close(id);
                if state != State::Spoilt {
                    self.discard(id, Keep::Partial, out);
                }
            }
        }
        self.pump(out);
    }

    fn wants_content(&self) -> bool {
        self.held_bytes < IN_FLIGHT_BYTES
    }

    fn held(&self) -> u64 {
        self.held_memory + u64::from(self.offer_bytes) + self.open.len() as u64 * STREAM_BYTES
    }

    fn peer_left(&self) -> bool {
        self.peer_left
    }

    fn settled(&self) -> bool {
        (self.over || self.left) && self.open.is_empty() && self.discarding == 0
    }

    fn tally(&self) -> Tally {
        self.tally
    }

    fn failed_wants(&self) -> &[(u32, FileError)] {
        &self.failed_wants
    }
}

impl Receiver {
    /// The stream has come to `position`.
    fn advance(&mut self, id: StreamId, position: u64, out: &mut Actions<LandOp>) {
        if let Some(stream) = self.open.get_mut(&id) {
            stream.position = position;
            out.push(Action::Tell(Event::Progress(id, position)));
        }
    }
}
