//! Carries a machine's actions out: bytes in, bytes out, operations and completions, without blocking on any of them.
//!
//! One task polls everything in a fixed order: completions, writing, reading, the pulse. No spawn, no select, no clock,
//! so the same code runs on any executor and a simulator can decide every order of events.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use crate::bundle;
use crate::carry::{Bulk, Taken, Transport};
use crate::codec::{Decoder, Item};
use crate::compress::{Compress, PREFIX, Packer, unpack};
use crate::error::{Code, FileError, Retry, SessionError};
use crate::event::{Direction, Event, Report};
use crate::frame::Frame;
use crate::join;
use crate::limits::{CHUNK, OUT_QUEUE_BYTES};
use crate::machine::{Action, Actions, Content, Machine};
use crate::outgoing::{Linger, Outgoing, Written};
use crate::path::escape;
use crate::preamble::Versions;
use crate::session::{Pulse, Tick};
use crate::spares::Spares;
use crate::storage::Buf;

/// Source or storage, whichever the machine needs.
pub(crate) trait Files {
    type Op;
    type Done;
    fn submit(&mut self, op: Self::Op, content: Option<Bulk>);
    fn poll_done(&mut self, cx: &mut Context<'_>) -> Poll<(Self::Done, Option<Bulk>)>;
    /// Item and offset of the content that comes with a completion.
    fn content_of(done: &Self::Done) -> Option<(u64, u64)>;
    /// The item that an operation closes.
    fn closes(op: &Self::Op) -> Option<u64>;
    /// The room, in bytes, that an operation needs in an empty buffer.
    fn wants_buffer(op: &Self::Op) -> Option<usize>;
}

/// Bytes on their way in, before the decoder.
struct Incoming {
    memory: Vec<u8>,
    from: usize,
    to: usize,
    /// Content of the current DATA frame, until the frame or the buffer is full.
    content: Option<Buf>,
    /// The same of a carried one: bytes in the transport's parcel.
    carried: u64,
    /// The last frame was one to carry. So may be the next, and its content must not be read along with its header.
    expects_bulk: bool,
    eof: bool,
}

/// Bytes read at once where no content buffer takes them.
const READ_AHEAD: usize = 64 * 1024;

/// The same until a read has filled it: whoever has said little yet costs little.
const FIRST_READ: usize = 4 * 1024;

pub(crate) struct Driver<T, M: Machine, F, P, O> {
    transport: T,
    machine: M,
    files: F,
    pulse: P,
    observer: O,
    decoder: Decoder,
    outgoing: Outgoing,
    compress: Compress,
    packer: Packer,
    /// We announce that connections may join.
    joins: bool,
    /// What we send goes over all connections.
    is_spread: bool,
    /// What follows comes over so many more connections.
    gathers: Option<u8>,
    incoming: Incoming,
    /// Content that was read for sending and waits for its turn, by item and offset.
    kept: BTreeMap<(u64, u64), Bulk>,
    spares: Spares,
    /// The list that the machine's actions come in, empty between two of them.
    actions: Actions<M::Op>,
    /// Bytes that had come from the peer at the last pulse.
    pulsed_at: u64,
    /// Most bytes held at once so far.
    most_held: u64,
    /// Set when no frame will follow.
    end: Option<Result<(), SessionError>>,
}

impl<T, M, F, P, O> Driver<T, M, F, P, O>
where
    T: Transport,
    M: Machine,
    F: Files<Op = M::Op, Done = M::Done>,
    P: Pulse,
    O: FnMut(&Event),
{
    #[allow(clippy::too_many_arguments, reason = "each is one thing that a session consists of")]
    pub(crate) fn new(
        transport: T,
        decoder: Decoder,
        head: &[u8],
        machine: M,
        files: F,
        pulse: P,
        compress: Compress,
        joins: bool,
        observer: O,
    ) -> Self {
        let mut memory = vec![0; FIRST_READ.max(head.len())];
        memory[..head.len()].copy_from_slice(head);
        let incoming =
            Incoming { memory, from: 0, to: head.len(), content: None, carried: 0, expects_bulk: false, eof: false };
        // A client's HELLO is behind a server already; a client learns what its server can from the HELLO to come.
        let packer = Packer::new(&compress, decoder.features());
        Self {
            transport,
            machine,
            files,
            pulse,
            observer,
            decoder,
            outgoing: Outgoing::default(),
            packer,
            compress,
            joins,
            is_spread: false,
            gathers: None,
            incoming,
            kept: BTreeMap::new(),
            spares: Spares::default(),
            actions: Actions::new(),
            pulsed_at: 0,
            most_held: 0,
            end: None,
        }
    }

    pub(crate) async fn run(mut self) -> Report {
        self.outgoing.raw(&Versions::OURS.encode());
        let mut actions = std::mem::take(&mut self.actions);
        self.machine.start(&mut actions);
        self.carry_out(actions, None);
        self.invite();
        poll_fn(|cx| self.poll(cx)).await;

        let end = self.end.take().unwrap_or(Ok(()));
        if let Err(error) = &end {
            self.last_words(error).await;
        }
        (self.observer)(&Event::Closed(end.clone()));
        let tally = self.machine.tally();
        // After an early end the machine lets go of what it has without counting.
        let end_is_good = end.is_ok();
        Report {
            end,
            wants: self.machine.failed_wants().to_vec(),
            completed: tally.completed,
            failed: tally.failed,
            unknown: tally.unknown,
            most_held: self.most_held,
            left_held: if end_is_good { self.machine.held() } else { 0 },
        }
    }

    /// Tells the peer why, unless it is gone or said it first, and closes without an RST.
    async fn last_words(&mut self, error: &SessionError) {
        let mut outgoing = std::mem::take(&mut self.outgoing);
        match error.code() {
            // Behind what is queued already: the peer must see whole frames. After our GOODBYE nothing may follow.
            Some(code) if !self.incoming.eof && !outgoing.shut_down => {
                let frame = Frame::Error(0, FileError::new(code, error.retry(), error.to_string()));
                outgoing.control(&frame);
                (self.observer)(&Event::Frame(Direction::Sent, frame));
            }
            Some(_) => {}
            None if matches!(error, SessionError::PeerEnded(_)) => outgoing = Outgoing::default(),
            None => return,
        }
        if matches!(error, SessionError::Io { .. }) {
            // One attempt, no wait: nothing of a silent peer's is unread, and it had its time.
            outgoing.shut_down = true;
            let transport = &mut self.transport;
            poll_fn(|cx| {
                let _ = outgoing.poll_write(transport, cx, &mut Vec::new());
                Poll::Ready(())
            })
            .await;
            return;
        }
        Linger::behind(&mut self.transport, outgoing).run().await;
    }

    /// Ready when the session is over and nothing of ours is under way.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let mut progress = self.poll_files(cx);
            if self.end.is_none() {
                progress |= self.poll_out(cx);
                progress |= self.poll_in(cx);
                progress |= self.poll_pulse(cx);
            }
            self.most_held = self.most_held.max(self.held());
            if self.end.is_none()
                && self.incoming.eof
                && self.machine.peer_left()
                && self.machine.settled()
                && self.outgoing.is_shut
            {
                self.finish(Ok(()));
                progress = true;
            }
            if self.end.is_some() && self.machine.settled() {
                return Poll::Ready(());
            }
            if !progress {
                return Poll::Pending;
            }
        }
    }

    /// Bytes that are here for the peer's sake: read and not decoded, a frame's content so far, queued, and the machine's.
    fn held(&self) -> u64 {
        let content = self.incoming.content.as_ref().map_or(0, Buf::capacity);
        let frames = self.incoming.memory.len() + content + self.decoder.held() + self.outgoing.frames();
        frames as u64 + self.incoming.carried + self.machine.held()
    }

    /// The stream is of no more use.
    fn finish(&mut self, end: Result<(), SessionError>) {
        if self.end.is_some() {
            return;
        }
        self.submit_partial_content();
        let mut actions = std::mem::take(&mut self.actions);
        self.machine.on_end(&end, &mut actions);
        self.end = Some(end);
        self.carry_out(actions, None);
    }

    fn io_error(&self, e: &io::Error) -> SessionError {
        let offset = self.decoder.offset();
        match bundle::is_misplaced(e) {
            true => SessionError::PeerViolation { offset, rule: "FT-81", text: e.to_string() },
            false => SessionError::io(e, offset),
        }
    }

    fn poll_files(&mut self, cx: &mut Context<'_>) -> bool {
        let mut progress = false;
        // A peer that does not read must not make us fill memory with what we have to say.
        while self.end.is_some() || self.outgoing.queued < OUT_QUEUE_BYTES.max(2 * CHUNK) {
            let Poll::Ready((done, buf)) = self.files.poll_done(cx) else { break };
            progress = true;
            let key = F::content_of(&done);
            let mut actions = std::mem::take(&mut self.actions);
            if let Some(key) = key {
                buf.into_iter().for_each(|buf| drop(self.kept.insert(key, buf)));
                self.machine.on_done(done, &mut actions);
                if actions.iter().any(|a| matches!(a, Action::DropContent)) {
                    self.kept.remove(&key).into_iter().for_each(|buf| self.recycle(buf));
                    actions.retain(|a| !matches!(a, Action::DropContent));
                }
            } else {
                buf.into_iter().for_each(|buf| self.recycle(buf));
                self.machine.on_done(done, &mut actions);
            }
            self.carry_out(actions, None);
        }
        progress
    }

    fn recycle(&mut self, bulk: Bulk) {
        match bulk {
            Bulk::Bytes(buf) => self.spares.give(buf),
            Bulk::Parcel(parcel) => self.transport.give_back(parcel),
        }
    }

    fn poll_out(&mut self, cx: &mut Context<'_>) -> bool {
        if self.outgoing.is_idle() {
            return false;
        }
        let mut free = Vec::new();
        let before = (self.outgoing.queued, self.outgoing.is_shut);
        let result = self.outgoing.poll_write(&mut self.transport, cx, &mut free);
        for Written { len, bulk } in free {
            bulk.into_iter().for_each(|bulk| self.recycle(bulk));
            let mut actions = std::mem::take(&mut self.actions);
            self.machine.on_sent(len, &mut actions);
            self.carry_out(actions, None);
        }
        if let Poll::Ready(Err(e)) = result {
            // What the peer said before it closed may still be readable, and says more than "broken pipe".
            self.drain_after_write_error(cx);
            let error = self.io_error(&e);
            self.finish(Err(error));
            return true;
        }
        before != (self.outgoing.queued, self.outgoing.is_shut)
    }

    fn drain_after_write_error(&mut self, cx: &mut Context<'_>) {
        while self.end.is_none() && self.poll_in(cx) {}
    }

    fn poll_pulse(&mut self, cx: &mut Context<'_>) -> bool {
        match self.pulse.poll_pulse(cx) {
            Poll::Pending => return false,
            Poll::Ready(Tick::Alive) => {
                let mut actions = std::mem::take(&mut self.actions);
                let came = std::mem::replace(&mut self.pulsed_at, self.decoder.offset()) != self.decoder.offset();
                self.machine.on_pulse(came, &mut actions);
                self.carry_out(actions, None);
            }
            Poll::Ready(Tick::Stop) => {
                let error = FileError::new(Code::Cancelled, Retry::Never, "stopped by the one who asked for it");
                self.finish(Err(SessionError::Local(error)));
            }
        }
        true
    }

    /// Reads and decodes once; false when there is nothing to read or no room for it.
    fn poll_in(&mut self, cx: &mut Context<'_>) -> bool {
        if self.incoming.eof
            || self.end.is_some()
            || !self.machine.wants_content()
            || self.outgoing.queued >= 4 * OUT_QUEUE_BYTES
        {
            return false;
        }
        if self.incoming.from < self.incoming.to {
            self.decode();
            return true;
        }
        let left = self.decoder.content_left();
        let least = self.transport.least_carried();
        // What is left of content that was carried so far, too: through memory it would be a buffer of any size.
        let goes_on = left > 0 && self.incoming.expects_bulk && least < u64::MAX;
        let result = if u64::from(left) >= least || self.incoming.carried > 0 || goes_on {
            self.carry_content(cx, left.into())
        } else if left as usize >= READ_AHEAD / 2 {
            self.read_content(cx)
        } else {
            // What is left of a small file comes with the files behind it: a copy of it costs less than a read of its own.
            self.read_frames(cx)
        };
        match result {
            Poll::Pending => false,
            Poll::Ready(Ok(0)) => {
                self.incoming.eof = true;
                if !self.machine.peer_left() || !self.decoder.at_boundary() {
                    self.finish(Err(SessionError::Truncated { offset: self.decoder.offset() }));
                }
                true
            }
            Poll::Ready(Ok(_)) => true,
            Poll::Ready(Err(e)) => {
                // After both GOODBYEs a reset destroys nothing. A peer that was only silent, or wrong, may still hear why it ends.
                let over = self.machine.peer_left() && self.machine.settled();
                let may_hear = e.kind() == io::ErrorKind::TimedOut || bundle::is_misplaced(&e);
                self.incoming.eof = over || !may_hear;
                self.outgoing.is_shut |= over;
                if !over {
                    let error = self.io_error(&e);
                    self.finish(Err(error));
                }
                true
            }
        }
    }

    /// Has content moved straight to where the storage will find it. Gives the bytes that came, at least 1 if not at the end.
    fn carry_content(&mut self, cx: &mut Context<'_>, left: u64) -> Poll<io::Result<usize>> {
        if self.incoming.content.is_some() {
            self.submit_partial_content();
        }
        match ready!(self.transport.poll_take(cx, left))? {
            Taken::Full => {
                self.submit_partial_content();
                Poll::Ready(Ok(1))
            }
            Taken::Bytes(n) => {
                let taken = u32::try_from(n).expect("no more than was asked for");
                self.decoder.content_taken(taken);
                self.incoming.carried += n;
                self.submit_full_content();
                Poll::Ready(Ok(taken as usize))
            }
        }
    }

    /// Reads content straight into its buffer.
    fn read_content(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let left = self.decoder.content_left() as usize;
        let mut buf = self.content_buffer(left);
        let most = left.min(buf.spare().len());
        let mut read = ReadBuf::new(&mut buf.spare()[..most]);
        let result = Pin::new(self.transport.stream()).poll_read(cx, &mut read);
        let n = read.filled().len();
        buf.advance(n);
        self.incoming.content = Some(buf);
        ready!(result)?;
        self.decoder.content_taken(u32::try_from(n).unwrap_or(u32::MAX));
        self.submit_full_content();
        Poll::Ready(Ok(n))
    }

    /// Reads whatever comes: headers, control frames, small content.
    fn read_frames(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.incoming.to == self.incoming.memory.len() && self.incoming.to < READ_AHEAD {
            self.incoming.memory.resize(READ_AHEAD, 0);
        }
        let header = self.decoder.header_left();
        let most = if self.incoming.expects_bulk && header > 0 { header } else { self.incoming.memory.len() };
        let mut read = ReadBuf::new(&mut self.incoming.memory[..most]);
        ready!(Pin::new(self.transport.stream()).poll_read(cx, &mut read))?;
        let n = read.filled().len();
        self.incoming.from = 0;
        self.incoming.to = n;
        Poll::Ready(Ok(n))
    }

    /// The buffer for the current DATA frame, sized for what is left of it; the caller puts it back.
    fn content_buffer(&mut self, left: usize) -> Buf {
        self.incoming.content.take().unwrap_or_else(|| self.spares.take(left))
    }

    /// Decodes until the input is used up, content memory is at its bound, or the session ends.
    fn decode(&mut self) {
        let memory = std::mem::take(&mut self.incoming.memory);
        let mut input = &memory[self.incoming.from..self.incoming.to];
        while self.end.is_none() && self.gathers.is_none() && self.machine.wants_content() && !input.is_empty() {
            match self.decoder.next(&mut input) {
                Err(error) => self.finish(Err(error)),
                Ok(None) => {}
                Ok(Some(Item::Content(bytes))) => self.copy_content(bytes),
                Ok(Some(Item::Preamble(versions))) => {
                    // A server has read it in `accept`; a client learns here what was chosen.
                    if Versions::OURS.choose(versions).is_none() || versions.min != versions.max {
                        self.finish(Err(SessionError::Version { min: versions.min, max: versions.max }));
                    }
                }
                Ok(Some(Item::BadOffer(stream, error))) => {
                    let mut actions = std::mem::take(&mut self.actions);
                    let result = self.machine.on_bad_offer(stream, error, &mut actions);
                    self.carry_out(actions, None);
                    self.check(result);
                }
                Ok(Some(Item::Zdata(frame, packed))) => self.on_zdata(frame, &packed),
                Ok(Some(Item::Frame(frame))) => self.on_frame(frame),
            }
        }
        if let Some(lanes) = self.gathers.take() {
            // What was read behind SPREAD is segments already.
            self.transport.gather(lanes, input.to_vec());
            input = &[];
        }
        self.incoming.from = self.incoming.to - input.len();
        self.incoming.memory = memory;
    }

    fn on_frame(&mut self, frame: Frame) {
        self.incoming.expects_bulk =
            matches!(frame, Frame::Data { len, .. } if u64::from(len) >= self.transport.least_carried());
        let event = Event::Frame(Direction::Received, frame);
        (self.observer)(&event);
        let Event::Frame(_, frame) = event else { unreachable!("it was made one line above") };
        if let Frame::Error(0, error) = frame {
            self.finish(Err(SessionError::PeerEnded(error)));
            return;
        }
        if let Frame::Hello(hello) = &frame {
            self.packer = Packer::new(&self.compress, hello.features);
        }
        let spread = if let Frame::Spread(lanes) = frame { Some(lanes) } else { None };
        let mut actions = std::mem::take(&mut self.actions);
        let result = self.machine.on_frame(frame, &mut actions);
        self.gathers = spread.filter(|_| result.is_ok());
        self.carry_out(actions, None);
        self.check(result);
    }

    /// The frame first, so that what was not agreed on is not even looked at; then its content, as that of DATA.
    fn on_zdata(&mut self, frame: Frame, packed: &[u8]) {
        let Frame::Zdata { len, .. } = frame else { return };
        self.on_frame(frame);
        if self.end.is_some() {
            return;
        }
        match unpack(packed, len) {
            Ok(content) => {
                self.incoming.content = Some(content);
                self.submit_partial_content();
            }
            Err(got) => {
                let offset = self.decoder.offset() - packed.len() as u64;
                let expected = format!("FT-76: one zstd frame of {len} bytes of content");
                self.finish(Err(SessionError::Malformed { offset, expected, got: escape(got.as_bytes()) }));
            }
        }
    }

    fn check(&mut self, result: Result<(), crate::machine::Violation>) {
        if let Err(violation) = result {
            let error = violation.at(self.decoder.offset());
            self.finish(Err(error));
        }
    }

    /// Small content that came together with its header.
    fn copy_content(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            // What is carried needs no memory but for what came with its header.
            let rest = if self.incoming.expects_bulk { 0 } else { self.decoder.content_left() as usize };
            let left = bytes.len() + rest;
            let mut buf = self.content_buffer(left);
            let n = bytes.len().min(buf.spare().len());
            buf.spare()[..n].copy_from_slice(&bytes[..n]);
            buf.advance(n);
            self.incoming.content = Some(buf);
            bytes = &bytes[n..];
            if !bytes.is_empty() {
                self.submit_partial_content();
            }
        }
        self.submit_full_content();
    }

    /// Hands the content over when its frame or its buffer is complete: where the bytes were cut on the way has no say.
    fn submit_full_content(&mut self) {
        let full = self.incoming.content.as_mut().is_some_and(|buf| buf.spare().is_empty());
        if full || self.decoder.content_left() == 0 {
            self.submit_partial_content();
        }
    }

    fn submit_partial_content(&mut self) {
        let bytes = self.incoming.content.take_if(|buf| !buf.is_empty()).map(Bulk::Bytes);
        self.incoming.carried = 0;
        let parcel = self.transport.take_parcel().map(Bulk::Parcel);
        for content in bytes.into_iter().chain(parcel) {
            let mut actions = std::mem::take(&mut self.actions);
            self.machine.on_content(content.len(), &mut actions);
            self.carry_out(actions, Some(content));
        }
    }

    /// Whether both sides know what it is to join. A client learns of it from the server's HELLO.
    fn may_join(&self) -> bool {
        self.joins && self.decoder.features() & join::FEATURE != 0
    }

    /// Says what there is to say about joining; only a server's transport has something.
    fn invite(&mut self) {
        if let Some(invite) = self.may_join().then(|| self.transport.invitation()).flatten() {
            self.tell_peer(Frame::Invite(invite));
        }
    }

    fn tell_peer(&mut self, frame: Frame) {
        self.outgoing.control(&frame);
        (self.observer)(&Event::Frame(Direction::Sent, frame));
    }

    /// Content goes over other connections, too, from the moment on that all of them have joined.
    fn spread(&mut self) {
        if self.is_spread || !self.may_join() {
            return;
        }
        self.invite();
        let lanes = self.transport.joined();
        if lanes > 0 {
            self.is_spread = true;
            let frame = Frame::Spread(lanes);
            self.outgoing.spread(&frame);
            (self.observer)(&Event::Frame(Direction::Sent, frame));
        }
    }

    /// Queues a piece of content, compressed if that pays.
    fn send_content(&mut self, piece: Content, bulk: Bulk) -> Frame {
        self.spread();
        let Content { stream, offset, len, .. } = piece;
        let payload = match &bulk {
            Bulk::Bytes(buf) => self.packer.pack(stream, buf.bytes()),
            // Whoever wants compression lets content come through memory.
            Bulk::Parcel(_) => None,
        };
        let Some(payload) = payload else {
            let frame = Frame::Data { stream, offset, len };
            self.outgoing.control(&frame);
            self.outgoing.content(bulk);
            return frame;
        };
        self.recycle(bulk);
        let packed = u32::try_from(payload.len() - PREFIX).unwrap_or(u32::MAX);
        self.outgoing.zdata(stream, offset, payload, u64::from(len));
        Frame::Zdata { stream, offset, len, packed }
    }

    /// Does what the machine decided; `content` is the buffer at hand.
    fn carry_out(&mut self, mut actions: Actions<M::Op>, mut content: Option<Bulk>) {
        for action in actions.drain(..) {
            match action {
                Action::Send(frame) => {
                    if self.end.is_none() {
                        self.outgoing.control(&frame);
                        (self.observer)(&Event::Frame(Direction::Sent, frame));
                    }
                }
                Action::SendContent(piece) => {
                    if let Some(bulk) = self.kept.remove(&(piece.item, piece.offset)) {
                        debug_assert_eq!(bulk.len(), u64::from(piece.len), "the source gave what it said");
                        let frame = self.send_content(piece, bulk);
                        (self.observer)(&Event::Frame(Direction::Sent, frame));
                    }
                }
                Action::Submit(op, with_content) => {
                    if let Some(item) = F::closes(&op) {
                        let closed: Vec<_> =
                            self.kept.range((item, 0)..=(item, u64::MAX)).map(|(key, _)| *key).collect();
                        closed
                            .iter()
                            .filter_map(|key| self.kept.remove(key))
                            .collect::<Vec<_>>()
                            .into_iter()
                            .for_each(|b| self.recycle(b));
                    }
                    let buf = if with_content {
                        content.take()
                    } else {
                        F::wants_buffer(&op).and_then(|room| self.spares.find(room)).map(Bulk::Bytes)
                    };
                    self.files.submit(op, buf);
                }
                Action::DropContent => content.take().into_iter().for_each(|buf| self.recycle(buf)),
                Action::Tell(event) => (self.observer)(&event),
                Action::ShutDown => self.outgoing.shut_down = true,
            }
        }
        self.actions = actions;
    }
}
