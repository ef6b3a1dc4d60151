//! The sender's side of a session (PROTOCOL §7): offers, content, END; a pure machine.
//!
//! It walks a source, keeps the receiver's window full of offers, reads ahead, and sends the content of one stream after
//! the other in the order in which their ACK1s came.

mod table;

use std::collections::{BTreeMap, VecDeque};

pub use table::{INPUTS, Input, STATES, State, next};

use crate::error::{Code, FileError, Retry, SessionError};
use crate::event::Event;
use crate::frame::{Ack2, Compare, Frame, Hello, Intent, Kind, Level, Offer, Overwrite, StreamId, Verdict, Want};
use crate::hash::Root;
use crate::limits::{
    CHUNK, IN_FLIGHT_BYTES, IN_FLIGHT_READS, INITIAL_OFFER_BYTES, INITIAL_STREAMS, MAX_OFFER_BYTES, MAX_STREAMS,
    MAX_WANT_BYTES, MAX_WANTS, OPERATION, STREAM_BYTES, WALK_BATCH,
};
use crate::machine::{Action, Actions, Content, Machine, Next, Side, Tally, Violation, Window, intent_name};
use crate::payload::{offer_len, want_len};
use crate::storage::{Item, ItemId, SourceDone, SourceOp};

/// The sender's wishes, sent with each offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Wishes {
    /// About an existing file.
    pub overwrite: Overwrite,
    /// About comparing.
    pub compare: Compare,
    /// Least level.
    pub level: Level,
}

/// A piece of content that was read and not yet sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Piece {
    offset: u64,
    len: u64,
    hole: bool,
    end: Option<Root>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Stream {
    item: ItemId,
    size: Option<u64>,
    /// A folder or a link: there is nothing to read.
    bare: bool,
    offer_bytes: u32,
    state: State,
    /// The receiver's root, while comparing.
    theirs: Option<Root>,
    /// What ACK2 must repeat: size and root of END, or of nothing sent.
    promised: Option<(u64, Root)>,
    /// Where the next read begins; `None` when the end was read.
    read_at: Option<u64>,
    /// Bytes asked for by the read under way.
    reading: Option<u64>,
    ready: VecDeque<Piece>,
}

/// A want, or the push itself (number 0).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Walk {
    want: u32,
    count: u32,
    walking: bool,
    end: Option<Option<FileError>>,
}

/// The machine. See [`Machine`] for its contract.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sender {
    side: Side,
    intent: Intent,
    wishes: Wishes,
    agent: String,
    /// What we announce.
    features: u64,
    greeted: bool,
    window: Window,
    open: BTreeMap<StreamId, Stream>,
    items: BTreeMap<ItemId, StreamId>,
    offer_bytes: u32,
    next_stream: StreamId,
    walks: VecDeque<Walk>,
    wants_seen: u32,
    want_bytes: usize,
    last_want: bool,
    pending: VecDeque<Item>,
    /// Streams with content to send, in the order of their ACK1s; the front one is on the wire.
    queue: VecDeque<StreamId>,
    /// Those of them that want their next read, first things first.
    unread: VecDeque<StreamId>,
    /// Open streams that have not come to `Ended`.
    unfinished: usize,
    reads: usize,
    /// Bytes asked for by all reads under way.
    promised: u64,
    /// Content bytes in memory: read and not yet written to the stream.
    held_bytes: u64,
    left: bool,
    peer_left: bool,
    over: bool,
    tally: Tally,
    failed_wants: Vec<(u32, FileError)>,
}

impl Sender {
    /// A client that pushes what its source holds as want 0.
    pub fn client(wishes: Wishes, agent: &str) -> Self {
        let window = Window { streams: INITIAL_STREAMS, offer_bytes: INITIAL_OFFER_BYTES };
        let mut sender = Self::new(Side::Client, Intent::Push, wishes, agent, window);
        sender.last_want = true;
        sender.walks.push_back(Walk { want: 0, count: 0, walking: false, end: None });
        sender
    }

    /// A server whose client came with this HELLO (intent pull or list).
    pub fn server(hello: &Hello, intent: Intent, wishes: Wishes, agent: &str) -> Self {
        let window = Window::of(hello);
        let mut sender = Self::new(Side::Server, intent, wishes, agent, window);
        sender.greeted = true;
        sender
    }

    /// Announces these features.
    #[must_use]
    pub fn with_features(self, features: u64) -> Self {
        Self { features, ..self }
    }

    fn new(side: Side, intent: Intent, wishes: Wishes, agent: &str, window: Window) -> Self {
        Self {
            side,
            intent,
            wishes,
            agent: agent.into(),
            features: 0,
            greeted: false,
            window,
            open: BTreeMap::new(),
            items: BTreeMap::new(),
            offer_bytes: 0,
            next_stream: 1,
            walks: VecDeque::new(),
            wants_seen: 0,
            want_bytes: 0,
            last_want: false,
            pending: VecDeque::new(),
            queue: VecDeque::new(),
            unread: VecDeque::new(),
            unfinished: 0,
            reads: 0,
            promised: 0,
            held_bytes: 0,
            left: false,
            peer_left: false,
            over: false,
            tally: Tally::default(),
            failed_wants: Vec::new(),
        }
    }

    fn on_want(&mut self, number: u32, want: Want, out: &mut Actions<SourceOp>) -> Result<(), Violation> {
        if self.side == Side::Client {
            return Err(Violation::new("FT-11", "WANT from a server"));
        }
        if self.last_want || number != self.wants_seen + 1 || number > MAX_WANTS {
            return Err(Violation::new("FT-35", format!("WANT {number} after {}", self.wants_seen)));
        }
        self.wants_seen = number;
        self.want_bytes += want_len(&want);
        if self.want_bytes > MAX_WANT_BYTES {
            return Err(Violation::new("FT-35", format!("WANTs of more than {MAX_WANT_BYTES} bytes")));
        }
        self.last_want = want.last;
        self.walks.push_back(Walk { want: number, count: 0, walking: false, end: None });
        out.push(Action::Submit(
            SourceOp::Open { want: number, path: want.path, depth: want.depth, links: want.links },
            false,
        ));
        Ok(())
    }

    /// Applies the table to one stream.
    fn step(&mut self, id: StreamId, input: Input) -> Result<Next<State>, Violation> {
        let Some(stream) = self.open.get_mut(&id) else {
            let never = id == 0 || id >= self.next_stream;
            let text =
                format!("{input:?} for stream {id}, which {}", if never { "was never offered" } else { "is closed" });
            return Err(Violation::new("FT-20", text));
        };
        let step = next(stream.state, input);
        match step {
            Next::To(state) => {
                self.unfinished -= usize::from(state == State::Ended);
                stream.state = state;
            }
            Next::Close => {}
            Next::Violation(rule) => {
                return Err(Violation::new(rule, format!("{input:?} for stream {id} in state {:?}", stream.state)));
            }
            Next::Bug => debug_assert!(false, "{input:?} for stream {id} in state {:?}", stream.state),
        }
        Ok(step)
    }

    /// Forgets a stream and what was read of it.
    fn close(&mut self, id: StreamId, out: &mut Actions<SourceOp>) {
        let Some(stream) = self.open.remove(&id) else { return };
        self.items.remove(&stream.item);
        self.offer_bytes -= stream.offer_bytes;
        if stream.state == State::Sending {
            self.queue.retain(|&queued| queued != id);
            self.unread.retain(|&queued| queued != id);
        }
        self.unfinished -= usize::from(stream.state != State::Ended);
        self.read_done(stream.reading);
        // Pieces that are still held by the driver are dropped with the item.
        self.held_bytes -= stream.ready.iter().filter(|p| !p.hole).map(|p| p.len).sum::<u64>();
        out.push(Action::Submit(SourceOp::Close(stream.item), false));
    }

    fn fail(&mut self, id: StreamId, error: FileError, out: &mut Actions<SourceOp>) {
        self.tally.failed += 1;
        self.close(id, out);
        out.push(Action::Tell(Event::Failed(id, error)));
    }

    fn on_ack1(
        &mut self,
        id: StreamId,
        len: u64,
        verdict: Verdict,
        out: &mut Actions<SourceOp>,
    ) -> Result<(), Violation> {
        let input = match &verdict {
            Verdict::Send => Input::Ack1Send,
            Verdict::Resume(_) => Input::Ack1Resume,
            Verdict::SameMeta => Input::Ack1SameMeta,
            Verdict::SameContent(_) => Input::Ack1Same,
            Verdict::Refused(_) => Input::Ack1Refused,
        };
        // Before the transition: what a stream came to decides its outcome.
        if let Some(stream) = self.open.get(&id).filter(|s| s.state == State::Offered) {
            self.check_verdict(id, stream, len, &verdict)?;
        }
        self.step(id, input)?;
        let Some(stream) = self.open.get_mut(&id) else { return Ok(()) };
        let item = stream.item;
        match verdict {
            Verdict::Send => self.begin(id, 0, out),
            Verdict::Resume(subtrees) => out.push(Action::Submit(SourceOp::Check { item, len, subtrees }, false)),
            Verdict::SameMeta => {
                stream.promised = Some((len, Root::default()));
                out.push(Action::Tell(Event::Same(id)));
            }
            Verdict::SameContent(root) => {
                stream.theirs = Some(root);
                out.push(Action::Submit(SourceOp::Hash(item), false));
            }
            Verdict::Refused(error) => self.fail(id, error, out),
        }
        Ok(())
    }

    /// A prefix that is not all (FT-57), sameness that was asked for and of the offered size (FT-40, FT-48). In a pull the
    /// receiver fetches for itself and compares as it likes.
    fn check_verdict(&self, id: StreamId, stream: &Stream, len: u64, verdict: &Verdict) -> Result<(), Violation> {
        let same = match verdict {
            Verdict::Send | Verdict::Refused(_) => return Ok(()),
            Verdict::Resume(_) if stream.size.is_some_and(|size| len < size) => return Ok(()),
            Verdict::Resume(_) => {
                return Err(Violation::new("FT-57", format!("a kept prefix of {len} bytes of stream {id}")));
            }
            Verdict::SameMeta => Compare::Quick,
            Verdict::SameContent(_) => Compare::Content,
        };
        if stream.bare || (self.intent == Intent::Push && self.wishes.compare != same) {
            return Err(Violation::new(
                "FT-48",
                format!("{same:?} comparison of stream {id}, which was not asked for"),
            ));
        }
        if stream.size != Some(len) {
            return Err(Violation::new("FT-40", format!("the same file with {len} bytes for stream {id}")));
        }
        Ok(())
    }

    /// Content goes from `offset` on.
    fn begin(&mut self, id: StreamId, offset: u64, out: &mut Actions<SourceOp>) {
        let Some(stream) = self.open.get_mut(&id) else { return };
        self.queue.push_back(id);
        if stream.bare {
            stream.ready.push_back(Piece { offset: 0, len: 0, hole: false, end: Some(Root::of(b"")) });
        } else {
            stream.read_at = Some(offset);
            self.unread.push_back(id);
        }
        out.push(Action::Tell(Event::Started(id, offset, stream.size)));
    }

    fn on_ack2(&mut self, id: StreamId, ack: Ack2, out: &mut Actions<SourceOp>) -> Result<(), Violation> {
        let promised = self.open.get(&id).and_then(|s| s.promised);
        self.step(id, Input::Ack2)?;
        if promised != Some((ack.size, ack.root)) || ack.level < self.wishes.level {
            let (size, root) = promised.unwrap_or_default();
            let text = format!(
                "ACK2 for stream {id} states {} bytes, root {:?}, {:?}; sent were {size} bytes, root {root:?}, {:?} wanted",
                ack.size, ack.root, ack.level, self.wishes.level
            );
            return Err(Violation::new("FT-50", text));
        }
        self.tally.completed += 1;
        self.close(id, out);
        out.push(Action::Tell(Event::Stored(id, ack)));
        Ok(())
    }

    fn on_peer_error(&mut self, id: StreamId, error: FileError, out: &mut Actions<SourceOp>) -> Result<(), Violation> {
        if !self.open.contains_key(&id) && id < self.next_stream {
            // It crossed our own ERROR for that stream (FT-70).
            return Ok(());
        }
        let ended = self.open.get(&id).is_some_and(|s| s.state == State::Ended);
        self.step(id, Input::PeerError)?;
        if !ended {
            let cancelled = FileError::new(Code::Cancelled, Retry::Never, "");
            out.push(Action::Send(Frame::Error(id, cancelled)));
        }
        self.fail(id, error, out);
        Ok(())
    }

    fn on_source_failed(&mut self, item: ItemId, error: FileError, out: &mut Actions<SourceOp>) {
        let Some(&id) = self.items.get(&item) else { return };
        if self.step(id, Input::SourceFailed).is_ok() {
            out.push(Action::Send(Frame::Error(id, error.clone())));
            self.fail(id, error, out);
        }
    }

    /// Equal: END is due, but not into the middle of another stream's content (FT-22), so it waits for its turn.
    fn on_hashed(&mut self, item: ItemId, root: Root, out: &mut Actions<SourceOp>) {
        let Some((id, stream)) = self.items.get(&item).and_then(|id| Some((*id, self.open.get_mut(id)?))) else {
            return;
        };
        if stream.theirs != Some(root) {
            if self.step(id, Input::Differs).is_ok() {
                self.begin(id, 0, out);
            }
            return;
        }
        let size = stream.size.unwrap_or(0);
        stream.ready.push_back(Piece { offset: size, len: 0, hole: false, end: Some(root) });
        if self.step(id, Input::Equal).is_ok() {
            self.queue.push_back(id);
            out.push(Action::Tell(Event::Same(id)));
        }
    }

    fn on_piece(&mut self, item: ItemId, piece: Piece, out: &mut Actions<SourceOp>) {
        let Some((id, stream)) = self.items.get(&item).and_then(|id| Some((*id, self.open.get_mut(id)?))) else {
            out.push(Action::DropContent);
            return;
        };
        let reading = stream.reading.take();
        if piece.end.is_none() {
            stream.read_at = Some(piece.offset + piece.len);
            self.unread.push_front(id);
        }
        if !piece.hole {
            self.held_bytes += piece.len;
        }
        stream.ready.push_back(piece);
        self.read_done(reading);
    }

    fn read_done(&mut self, asked: Option<u64>) {
        self.reads -= usize::from(asked.is_some());
        self.promised -= asked.unwrap_or(0);
    }

    /// Does whatever can be done now.
    fn pump(&mut self, out: &mut Actions<SourceOp>) {
        if self.over {
            return;
        }
        self.walk(out);
        self.offer(out);
        self.send(out);
        self.read(out);
        self.leave(out);
    }

    /// Keeps a batch of entries at hand.
    fn walk(&mut self, out: &mut Actions<SourceOp>) {
        while let Some(walk) = self.walks.front_mut() {
            if let Some(error) = walk.end.clone() {
                if !self.pending.is_empty() {
                    return;
                }
                let (want, count) = (walk.want, walk.count);
                self.walks.pop_front();
                if want > 0 {
                    out.push(Action::Send(Frame::Done(want, count, error.clone())));
                }
                if let Some(error) = &error {
                    self.failed_wants.push((want, error.clone()));
                }
                out.push(Action::Tell(Event::WantDone(want, error)));
            } else {
                if !walk.walking && self.pending.len() < WALK_BATCH / 2 {
                    walk.walking = true;
                    out.push(Action::Submit(SourceOp::Next { want: walk.want, max: WALK_BATCH }, false));
                }
                return;
            }
        }
    }

    fn offer(&mut self, out: &mut Actions<SourceOp>) {
        while let Some(item) = self.pending.front() {
            let Some(want) = self.walks.front().map(|w| w.want) else { return };
            if self.intent == Intent::List {
                out.push(Action::Send(Frame::Entry(want, item.meta.clone())));
                self.count_entry();
                continue;
            }
            let Wishes { overwrite, compare, level } = self.wishes;
            let offer = Offer { want, meta: item.meta.clone(), overwrite, compare, level };
            let bytes = offer_len(&offer);
            let full =
                self.open.len() >= self.window.streams as usize || self.offer_bytes + bytes > self.window.offer_bytes;
            if full && !self.open.is_empty() {
                return;
            }
            let id = self.next_stream;
            self.next_stream += 1;
            self.offer_bytes += bytes;
            self.items.insert(item.id, id);
            let stream = Stream {
                item: item.id,
                size: offer.meta.size,
                bare: offer.meta.kind != Kind::File,
                offer_bytes: bytes,
                state: State::Offered,
                theirs: None,
                promised: None,
                read_at: None,
                reading: None,
                ready: VecDeque::new(),
            };
            self.open.insert(id, stream);
            self.unfinished += 1;
            out.push(Action::Tell(Event::Offered(id, offer.meta.clone())));
            out.push(Action::Send(Frame::Offer(id, offer)));
            self.count_entry();
        }
        // Entries went: more are wanted, or, behind the last one of a want, its DONE is due.
        self.walk(out);
    }

    fn count_entry(&mut self) {
        self.pending.pop_front();
        if let Some(walk) = self.walks.front_mut() {
            walk.count += 1;
        }
    }

    /// Reads ahead, in the order of sending, one read a stream. Streams behind the front one get half of the memory, so
    /// that they can never starve it.
    fn read(&mut self, out: &mut Actions<SourceOp>) {
        // A source may complete out of order: the front stream comes first wherever it got to.
        if let Some(front) = self.queue.front()
            && self.open.get(front).is_some_and(|s| s.read_at.is_some())
            && let Some(at) = self.unread.iter().position(|id| id == front)
            && let Some(id) = self.unread.remove(at)
        {
            self.unread.push_front(id);
        }
        while let Some(&id) = self.unread.front() {
            let room = if self.queue.front() == Some(&id) {
                self.held_bytes < IN_FLIGHT_BYTES
            } else {
                self.reads < IN_FLIGHT_READS && self.held_bytes + self.promised < IN_FLIGHT_BYTES / 2
            };
            if !room {
                return;
            }
            self.unread.pop_front();
            let Some(stream) = self.open.get_mut(&id) else { continue };
            let Some(offset) = stream.read_at.take() else { continue };
            let left = stream.size.map_or(CHUNK as u64, |size| size.saturating_sub(offset));
            let max = usize::try_from(left).map_or(CHUNK, |left| left.clamp(1, CHUNK));
            stream.reading = Some(max as u64);
            self.reads += 1;
            self.promised += max as u64;
            out.push(Action::Submit(SourceOp::Read { item: stream.item, offset, max }, false));
        }
    }

    /// Sends what is ready of the front stream, then of the next.
    fn send(&mut self, out: &mut Actions<SourceOp>) {
        while let Some(&id) = self.queue.front() {
            let Some(stream) = self.open.get_mut(&id) else { return };
            let Some(piece) = stream.ready.pop_front() else { return };
            let Piece { offset, len, hole, end } = piece;
            let item = stream.item;
            if hole && len > 0 {
                out.push(Action::Send(Frame::Hole { stream: id, offset, len }));
            } else if len > 0 {
                let len = u32::try_from(len).expect("a source gives at most what was asked");
                out.push(Action::SendContent(Content { item, stream: id, offset, len }));
            }
            if len > 0 {
                out.push(Action::Tell(Event::Progress(id, offset + len)));
            }
            if let Some(root) = end {
                self.queue.pop_front();
                stream.promised = Some((offset + len, root));
                // Thousands of streams wait for their ACK2.
                stream.ready = VecDeque::new();
                if self.step(id, Input::Exhausted).is_ok() {
                    out.push(Action::Send(Frame::End(id, offset + len, root)));
                }
            }
        }
    }

    /// GOODBYE when every stream has had its END and nothing more will be offered.
    fn leave(&mut self, out: &mut Actions<SourceOp>) {
        let exhausted = self.last_want && self.walks.is_empty() && self.pending.is_empty();
        if !self.left && exhausted && self.unfinished == 0 {
            self.left = true;
            out.push(Action::Send(Frame::Goodbye));
            out.push(Action::ShutDown);
        }
    }
}

impl Machine for Sender {
    type Op = SourceOp;
    type Done = SourceDone;

    fn start(&mut self, out: &mut Actions<SourceOp>) {
        let intent = (self.side == Side::Client).then_some(self.intent);
        // A sender receives no offers; the limits are there because the frame has them.
        let (max_streams, max_offer_bytes) = (MAX_STREAMS, MAX_OFFER_BYTES);
        out.push(Action::Send(Frame::Hello(Hello {
            intent,
            max_streams,
            max_offer_bytes,
            features: self.features,
            agent: self.agent.clone(),
        })));
        self.pump(out);
    }

    fn on_frame(&mut self, frame: Frame, out: &mut Actions<SourceOp>) -> Result<(), Violation> {
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
                self.window = Window::of(&hello);
            }
            Frame::Want(number, want) => self.on_want(number, want, out)?,
            Frame::Ack1(id, len, verdict) => self.on_ack1(id, len, verdict, out)?,
            Frame::Ack2(id, ack) => self.on_ack2(id, ack, out)?,
            Frame::Error(id, error) => self.on_peer_error(id, error, out)?,
            Frame::Alive(..) | Frame::Invite(_) => {}
            Frame::Goodbye => {
                if !self.left || !self.open.is_empty() {
                    return Err(Violation::new("FT-72", format!("GOODBYE with {} streams open", self.open.len())));
                }
                self.peer_left = true;
            }
            Frame::Join(_) => return Err(Violation::new("FT-80", "JOIN within a session")),
            Frame::Done(..)
            | Frame::Entry(..)
            | Frame::Spread(_)
            | Frame::Offer(..)
            | Frame::Data { .. }
            | Frame::Zdata { .. }
            | Frame::Hole { .. }
            | Frame::End(..) => {
                return Err(Violation::new("FT-11", format!("a sender's frame in a {}", intent_name(self.intent))));
            }
        }
        self.pump(out);
        Ok(())
    }

    fn on_bad_offer(&mut self, stream: StreamId, _: FileError, _: &mut Actions<SourceOp>) -> Result<(), Violation> {
        Err(Violation::new("FT-11", format!("OFFER {stream} to a sender")))
    }

    fn on_content(&mut self, _: u64, out: &mut Actions<SourceOp>) {
        out.push(Action::DropContent);
    }

    fn on_done(&mut self, done: SourceDone, out: &mut Actions<SourceOp>) {
        match done {
            SourceDone::Entries { want, items, end } => {
                if let Some(walk) = self.walks.iter_mut().find(|w| w.want == want) {
                    walk.walking = false;
                    walk.end = end.map(Result::err);
                    self.pending.extend(items);
                }
            }
            SourceDone::Checked(item, offset) => {
                if let Some(&id) = self.items.get(&item)
                    && self.step(id, Input::Checked).is_ok()
                {
                    self.begin(id, offset, out);
                }
            }
            SourceDone::Hashed(item, root) => self.on_hashed(item, root, out),
            SourceDone::Content { item, offset, len, end } => {
                self.on_piece(item, Piece { offset, len, hole: false, end }, out)
            }
            SourceDone::Hole { item, offset, len, end } => {
                self.on_piece(item, Piece { offset, len, hole: true, end }, out)
            }
            SourceDone::Failed(item, error) => self.on_source_failed(item, error, out),
        }
        self.pump(out);
    }

    fn on_sent(&mut self, len: u64, out: &mut Actions<SourceOp>) {
        self.held_bytes -= len;
        self.pump(out);
    }

    fn on_pulse(&mut self, _: bool, out: &mut Actions<SourceOp>) {
        let busy =
            self.open.values().any(|s| matches!(s.state, State::Checking | State::Comparing) || s.reading.is_some());
        if !self.left && (busy || self.walks.iter().any(|w| w.walking)) {
            out.push(Action::Send(Frame::Alive(0, 0)));
        }
    }

    fn on_end(&mut self, end: &Result<(), SessionError>, out: &mut Actions<SourceOp>) {
        self.over = true;
        for (id, stream) in std::mem::take(&mut self.open) {
            if stream.state == State::Ended {
                self.tally.unknown += 1;
                out.push(Action::Tell(Event::Unknown(id)));
            } else {
                self.tally.failed += 1;
                let text = end.as_ref().err().map_or_else(String::new, ToString::to_string);
                out.push(Action::Tell(Event::Failed(id, FileError::new(Code::Cancelled, Retry::Now, text))));
            }
        }
        self.items.clear();
    }

    fn wants_content(&self) -> bool {
        true
    }

    fn held(&self) -> u64 {
        let asked = if self.walks.is_empty() { 0 } else { self.want_bytes as u64 };
        let reads = self.promised + self.reads as u64 * OPERATION;
        self.held_bytes + reads + asked + u64::from(self.offer_bytes) + self.open.len() as u64 * STREAM_BYTES
    }

    fn peer_left(&self) -> bool {
        self.peer_left
    }

    fn settled(&self) -> bool {
        self.over || (self.left && self.peer_left)
    }

    fn tally(&self) -> Tally {
        self.tally
    }

    fn failed_wants(&self) -> &[(u32, FileError)] {
        &self.failed_wants
    }
}
