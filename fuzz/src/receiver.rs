//! The receiver's machine against an arbitrary sender and an arbitrary storage: HONEST, ORDER, BOUND and LIVE at every step.

use arbitrary::{Result, Unstructured};
use ft_core::codec::{Decoder, Item, encode};
use ft_core::compress::FEATURE;
use ft_core::error::SessionError;
use ft_core::frame::{Compare, Frame, Intent, Kind, Level, Links, Meta, Mtime, Offer, Overwrite, Want};
use ft_core::hash::Root;
use ft_core::limits::{CONNECTION_BYTES, MAX_DATA, MAX_HOLE};
use ft_core::machine::{Action, Machine};
use ft_core::path::RelPath;
use ft_core::preamble::Versions;
use ft_core::receiver::Receiver;
use ft_core::storage::LandOp;

use super::land::Land;
use super::wire::{bytes, frame, low, number};

/// Bytes of an END's root, where the input does not state one.
const ROOT: Root = Root([9; 32]);

/// Who we are, then what happens, one thing after the other.
pub fn receiver(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let mut play = Play::new(u.arbitrary().unwrap_or(0));
    while !u.is_empty() && !play.over {
        if play.step(&mut u).is_err() {
            break;
        }
    }
    play.finish(&mut u);
}

struct Play {
    machine: Receiver,
    decoder: Decoder,
    land: Land,
    /// Streams offered by the short operation.
    offered: u32,
    over: bool,
}

impl Play {
    fn new(who: u8) -> Self {
        let want = Want { path: RelPath::root(), depth: u16::MAX, links: Links::Keep, last: true };
        let mut machine = match who & 3 {
            0 | 1 => Receiver::server("fuzz").with_features(FEATURE, u64::from(who >> 2)),
            2 => Receiver::client(Intent::Pull, vec![want], "fuzz").with_features(FEATURE, 0),
            _ => Receiver::client(Intent::List, vec![want], "fuzz"),
        };
        let mut decoder = Decoder::new();
        let mut start = Versions::OURS.encode().to_vec();
        if who & 3 <= 1 {
            // What `accept` has read already.
            frame(1, 0, 0, &[&[1], &[0; 15][..], &[who >> 2 & 1, 0]].concat(), &mut start);
        }
        let mut input = &start[..];
        while let Ok(Some(_)) = decoder.next(&mut input) {}
        let (mut land, mut out) = (Land::default(), Vec::new());
        machine.start(&mut out);
        carry_out(&mut land, out, false);
        Self { machine, decoder, land, offered: 0, over: false }
    }

    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let mut input = Vec::new();
        let mut content = 0;
        match u.arbitrary::<u8>()? % 10 {
            0 | 1 => return self.complete(u),
            2 => {
                let (kind, stream, offset) = (u.arbitrary()?, low(number(u)?), number(u)?);
                frame(kind, stream, offset, bytes(u)?, &mut input);
            }
            3 => encode(&Frame::Offer(self.offered + 1, offer(u)?), &mut input),
            4 | 5 => {
                let stream = low(number(u)?);
                content = low(number(u)? % u64::from(MAX_DATA) + 1);
                let offset = self.land.position(stream);
                encode(&Frame::Data { stream, offset, len: content }, &mut input);
            }
            6 => {
                let stream = low(number(u)?);
                encode(&Frame::End(stream, self.land.position(stream), ROOT), &mut input);
            }
            7 => {
                let (stream, len) = (low(number(u)?), number(u)? % MAX_HOLE + 1);
                encode(&Frame::Hole { stream, offset: self.land.position(stream), len }, &mut input);
            }
            8 => match u.arbitrary::<u8>()? % 4 {
                0 => encode(&Frame::Goodbye, &mut input),
                1 => encode(&Frame::Done(1, 0, None), &mut input),
                2 => {
                    let came = u.arbitrary()?;
                    self.act(|machine, out| machine.on_pulse(came, out));
                }
                // A server's HELLO.
                _ => frame(1, 0, 0, &[0; 18], &mut input),
            },
            _ => {
                self.end(&Err(SessionError::Truncated { offset: self.decoder.offset() }));
                return Ok(());
            }
        }
        self.feed(&input);
        // Content that nobody has to hold for this: the decoder is told that it was read past it. At most eight pieces.
        let least = content / 8 + 1;
        while !self.over && content > 0 && self.decoder.content_left() > 0 {
            let n = content.min(self.decoder.content_left()).min(least.max(u32::from(u.arbitrary::<u16>()?) * 16));
            self.decoder.content_taken(n);
            content -= n;
            self.content(u64::from(n), u)?;
        }
        Ok(())
    }

    fn feed(&mut self, mut input: &[u8]) {
        while !self.over {
            match self.decoder.next(&mut input) {
                Ok(None) => return,
                Ok(Some(Item::Content(bytes))) => {
                    let _ = self.content(bytes.len() as u64, &mut Unstructured::new(&[]));
                }
                Ok(Some(Item::Preamble(_))) => {}
                Ok(Some(Item::Frame(frame))) => self.frame(frame),
                Ok(Some(Item::Zdata(frame, _))) => {
                    let Frame::Zdata { len, .. } = frame else { panic!("ZDATA is ZDATA") };
                    self.frame(frame);
                    if !self.over {
                        let _ = self.content(u64::from(len), &mut Unstructured::new(&[]));
                    }
                }
                Ok(Some(Item::BadOffer(stream, error))) => {
                    self.offered = self.offered.max(stream);
                    self.judge(|machine, out| machine.on_bad_offer(stream, error, out));
                }
                Err(error) => self.end(&Err(error)),
            }
        }
    }

    fn frame(&mut self, frame: Frame) {
        if let Frame::Error(0, error) = frame {
            return self.end(&Err(SessionError::PeerEnded(error)));
        }
        if let Frame::End(id, size, root) = &frame
            && let Some(stream) = self.land.streams.get_mut(id)
        {
            stream.stated.get_or_insert((*size, *root));
        }
        if let Frame::Offer(stream, _) = &frame {
            self.offered = self.offered.max(*stream);
        }
        self.judge(|machine, out| machine.on_frame(frame, out));
    }

    fn judge(
        &mut self,
        input: impl FnOnce(&mut Receiver, &mut Vec<Action<LandOp>>) -> std::result::Result<(), ft_core::machine::Violation>,
    ) {
        let mut out = Vec::new();
        let result = input(&mut self.machine, &mut out);
        carry_out(&mut self.land, out, false);
        self.check();
        if let Err(violation) = result {
            assert!(violation.rule.starts_with("FT-"), "a requirement is named");
            self.end(&Err(violation.at(self.decoder.offset())));
        }
    }

    /// Content came; where memory is at its bound the storage gets on first, as the driver does not read.
    fn content(&mut self, len: u64, u: &mut Unstructured<'_>) -> Result<()> {
        while !self.machine.wants_content() {
            assert!(!self.land.is_idle(), "LIVE: it reads no more, and nothing is under way");
            self.complete(u)?;
        }
        let mut out = Vec::new();
        self.machine.on_content(len, &mut out);
        let uses = |a: &&Action<LandOp>| matches!(a, Action::DropContent | Action::Submit(_, true));
        assert_eq!(out.iter().filter(uses).count(), 1, "the buffer at hand goes somewhere, once");
        carry_out(&mut self.land, out, true);
        self.check();
        Ok(())
    }

    fn act(&mut self, input: impl FnOnce(&mut Receiver, &mut Vec<Action<LandOp>>)) {
        let mut out = Vec::new();
        input(&mut self.machine, &mut out);
        carry_out(&mut self.land, out, false);
        self.check();
    }

    fn complete(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        for done in self.land.complete(u)? {
            self.act(|machine, out| machine.on_done(done, out));
        }
        Ok(())
    }

    fn end(&mut self, end: &std::result::Result<(), SessionError>) {
        self.over = true;
        self.act(|machine, out| machine.on_end(end, out));
    }

    fn check(&self) {
        assert!(self.machine.held() <= CONNECTION_BYTES, "BOUND: {} bytes are held", self.machine.held());
    }

    /// Whatever happened: what is under way completes, and then it is over.
    fn finish(mut self, u: &mut Unstructured<'_>) {
        if self.machine.peer_left() {
            self.drain(u);
            assert!(self.machine.settled(), "LIVE: both have said everything, and it goes on");
            self.end(&Ok(()));
        } else if !self.over {
            self.end(&Err(SessionError::Truncated { offset: self.decoder.offset() }));
        }
        self.drain(u);
        assert!(self.machine.settled(), "LIVE: it is over, and it goes on");
        assert_eq!(self.machine.held(), 0, "BOUND: something is still held");
        self.land.settled(self.machine.tally().completed);
    }

    fn drain(&mut self, u: &mut Unstructured<'_>) {
        while !self.land.is_idle() {
            self.complete(u).expect("an input that is used up reads as zeros");
        }
    }
}

fn carry_out(land: &mut Land, actions: Vec<Action<LandOp>>, content: bool) {
    for action in actions {
        match action {
            Action::Send(frame) => land.sent(&frame),
            Action::Submit(op, with_content) => {
                let writes = matches!(op, LandOp::Write { .. });
                assert!(with_content == writes && (!writes || content), "content goes with writes");
                land.submit(op);
            }
            Action::Tell(event) => land.told(&event),
            Action::ShutDown => land.shut(),
            Action::DropContent => assert!(content, "there is content to drop"),
            Action::SendContent(_) => panic!("a receiver sends no content"),
        }
    }
}

/// An offer of a short input: a bit each for what it can be.
fn offer(u: &mut Unstructured<'_>) -> Result<Offer> {
    let (bits, size): (u8, u64) = (u.arbitrary()?, number(u)?);
    let kind = if bits & 3 == 3 { Kind::Folder } else { Kind::File };
    let size = match (kind, bits & 4) {
        (Kind::File, 0) => Some(size & i64::MAX as u64),
        (Kind::File, _) => None,
        _ => Some(0),
    };
    let meta = Meta {
        path: RelPath::parse(format!("f{}", bits & 3).as_bytes()).expect("a path"),
        kind,
        size,
        mode: None,
        mtime: (bits & 8 != 0).then_some(Mtime { secs: 1, nanos: 0 }),
        target: Vec::new(),
    };
    let compare = [Compare::None, Compare::Quick, Compare::Content, Compare::Quick][usize::from(bits >> 4 & 3)];
    let level = if bits & 0x40 == 0 { Level::Durable } else { Level::Cached };
    Ok(Offer { want: u32::from(bits >> 7), meta, overwrite: Overwrite::Default, compare, level })
}
