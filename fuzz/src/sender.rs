//! The sender's machine against an arbitrary receiver and an arbitrary source: HONEST, ORDER, BOUND and LIVE at every step.

use arbitrary::{Result, Unstructured};
use ft_core::codec::{Decoder, Item, encode};
use ft_core::error::SessionError;
use ft_core::frame::{Ack2, Compare, Frame, Hello, Intent, Level, Links, Overwrite, StreamId, Verdict, Want};
use ft_core::hash::{Root, Subtree, decompose};
use ft_core::limits::CONNECTION_BYTES;
use ft_core::machine::{Action, Machine};
use ft_core::path::RelPath;
use ft_core::preamble::Versions;
use ft_core::sender::{Sender, Wishes};
use ft_core::storage::{SourceDone, SourceOp};

use super::source::Store;
use super::wire::{bytes, frame, low, number};

/// Who we are, then what happens, one thing after the other.
pub fn sender(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let Ok(mut play) = Play::new(&mut u) else { return };
    while !u.is_empty() && !play.over {
        if play.step(&mut u).is_err() {
            break;
        }
    }
    play.finish(&mut u);
}

struct Play {
    machine: Sender,
    decoder: Decoder,
    store: Store,
    level: Level,
    wanted: u32,
    over: bool,
}

type Ack = (StreamId, u64, Root, Level);

impl Play {
    fn new(u: &mut Unstructured<'_>) -> Result<Self> {
        let who: u8 = u.arbitrary()?;
        let compare = [Compare::None, Compare::Quick, Compare::Content, Compare::Quick][usize::from(who >> 2 & 3)];
        let level = if who & 0x10 == 0 { Level::Durable } else { Level::Cached };
        let wishes = Wishes { overwrite: Overwrite::Default, compare, level };
        let hello = |max_streams, max_offer_bytes| Hello {
            intent: Some(Intent::Pull),
            max_streams,
            max_offer_bytes,
            features: 0,
            agent: String::new(),
        };
        let mut machine = match who & 3 {
            0 | 1 => Sender::client(wishes, "fuzz"),
            2 => Sender::server(&hello(low(number(u)?), low(number(u)?)), Intent::Pull, wishes, "fuzz"),
            _ => Sender::server(&hello(0, 0), Intent::List, wishes, "fuzz"),
        };
        let mut decoder = Decoder::new();
        let start = Versions::OURS.encode();
        let _ = decoder.next(&mut &start[..]);
        let mut out = Vec::new();
        machine.start(&mut out);
        let mut play = Self { machine, decoder, store: Store::default(), level, wanted: 0, over: false };
        play.carry_out(out, None);
        Ok(play)
    }

    fn step(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let mut input = Vec::new();
        match u.arbitrary::<u8>()? % 10 {
            0..=2 => return self.complete(u),
            3 => {
                let (kind, stream, offset) = (u.arbitrary()?, low(number(u)?), number(u)?);
                frame(kind, stream, offset, bytes(u)?, &mut input);
            }
            4 | 5 => {
                let stream = low(number(u)?);
                let size = self.store.size(stream);
                let (len, verdict) = match u.arbitrary::<u8>()? % 6 {
                    0 | 1 => (0, Verdict::Send),
                    2 => {
                        let len = u64::from(u.arbitrary::<u8>()?) << 20;
                        let stated = decompose(len).map(|_| Subtree([1; 32]));
                        (len, Verdict::Resume(if u.arbitrary()? { stated.collect() } else { Vec::new() }))
                    }
                    3 => (size, Verdict::SameMeta),
                    4 => (size, Verdict::SameContent(Root([u.arbitrary()?; 32]))),
                    _ => (
                        0,
                        Verdict::Refused(ft_core::error::FileError::new(
                            ft_core::error::Code::Exists,
                            ft_core::error::Retry::Never,
                            "",
                        )),
                    ),
                };
                encode(&Frame::Ack1(stream, len, verdict), &mut input);
            }
            6 => {
                let stream = low(number(u)?);
                let (size, root) = self.store.promised(stream).unwrap_or_default();
                let level = if u.arbitrary::<u8>()? & 1 == 0 { Level::Durable } else { Level::Cached };
                let path = RelPath::parse(b"stored").expect("a path");
                encode(&Frame::Ack2(stream, Ack2 { size, level, root, path }), &mut input);
            }
            7 => {
                self.wanted += 1;
                let last = u.arbitrary::<u8>()? & 1 == 1;
                let want = Want { path: RelPath::root(), depth: 0, links: Links::Skip, last };
                encode(&Frame::Want(self.wanted, want), &mut input);
            }
            8 => {
                // Content leaves the queue in order; once the session is over nothing does.
                if let Some(len) = self.store.queued.pop_front() {
                    self.act(None, |machine, out| machine.on_sent(len, out));
                }
                return Ok(());
            }
            _ => match u.arbitrary::<u8>()? % 4 {
                0 => frame(1, 0, 0, &[&[0; 3][..], &[8; 6], &[0; 9]].concat(), &mut input),
                1 => encode(&Frame::Goodbye, &mut input),
                2 => self.act(None, |machine, out| machine.on_pulse(true, out)),
                _ => self.end(&Err(SessionError::Truncated { offset: self.decoder.offset() })),
            },
        }
        self.feed(&input);
        Ok(())
    }

    fn feed(&mut self, mut input: &[u8]) {
        while !self.over {
            match self.decoder.next(&mut input) {
                Ok(None) => return,
                Ok(Some(Item::Frame(frame))) => self.frame(frame),
                Ok(Some(Item::Content(bytes))) => {
                    let len = bytes.len() as u64;
                    self.act(None, |machine, out| machine.on_content(len, out));
                }
                Ok(Some(Item::Zdata(frame, _))) => self.frame(frame),
                Ok(Some(Item::BadOffer(stream, error))) => {
                    self.judge(None, |machine, out| machine.on_bad_offer(stream, error, out));
                }
                Ok(Some(Item::Preamble(_))) => {}
                Err(error) => self.end(&Err(error)),
            }
        }
    }

    fn frame(&mut self, frame: Frame) {
        if let Frame::Error(0, error) = frame {
            return self.end(&Err(SessionError::PeerEnded(error)));
        }
        let ack = match &frame {
            Frame::Ack2(id, ack) => Some((*id, ack.size, ack.root, ack.level)),
            _ => None,
        };
        let acked = match &frame {
            Frame::Ack1(id, len, verdict) => Some((*id, *len, verdict.clone())),
            _ => None,
        };
        let mut out = Vec::new();
        let result = self.machine.on_frame(frame, &mut out);
        if let (Ok(()), Some((id, len, verdict))) = (&result, acked) {
            let same = matches!(verdict, Verdict::SameMeta).then_some(len);
            let content = matches!(verdict, Verdict::Send | Verdict::Resume(_) | Verdict::SameContent(_));
            self.store.acked(id, same, content);
        }
        self.carry_out(out, ack);
        self.check();
        if let Err(violation) = result {
            assert!(violation.rule.starts_with("FT-"), "a requirement is named");
            self.end(&Err(violation.at(self.decoder.offset())));
        }
    }

    fn judge(
        &mut self,
        ack: Option<Ack>,
        input: impl FnOnce(&mut Sender, &mut Vec<Action<SourceOp>>) -> std::result::Result<(), ft_core::machine::Violation>,
    ) {
        let mut out = Vec::new();
        let result = input(&mut self.machine, &mut out);
        self.carry_out(out, ack);
        self.check();
        if let Err(violation) = result {
            self.end(&Err(violation.at(self.decoder.offset())));
        }
    }

    fn act(&mut self, ack: Option<Ack>, input: impl FnOnce(&mut Sender, &mut Vec<Action<SourceOp>>)) {
        let mut out = Vec::new();
        input(&mut self.machine, &mut out);
        self.carry_out(out, ack);
        self.check();
    }

    fn complete(&mut self, u: &mut Unstructured<'_>) -> Result<()> {
        let Some(done) = self.store.complete(u)? else { return Ok(()) };
        let content = match &done {
            SourceDone::Content { item, offset, .. } => Some((*item, *offset)),
            _ => None,
        };
        let mut out = Vec::new();
        self.machine.on_done(done, &mut out);
        if let Some(content) = content
            && out.iter().any(|action| matches!(action, Action::DropContent))
        {
            self.store.dropped(content);
        }
        self.carry_out(out, None);
        self.check();
        Ok(())
    }

    fn end(&mut self, end: &std::result::Result<(), SessionError>) {
        self.over = true;
        self.store.over();
        self.act(None, |machine, out| machine.on_end(end, out));
    }

    fn check(&self) {
        assert!(self.machine.held() <= CONNECTION_BYTES, "BOUND: {} bytes are held", self.machine.held());
    }

    fn carry_out(&mut self, actions: Vec<Action<SourceOp>>, ack: Option<Ack>) {
        for action in actions {
            match action {
                Action::Send(frame) => self.store.sent(&frame),
                Action::SendContent(piece) => self.store.sent_content(piece),
                Action::Submit(op, with_content) => {
                    assert!(!with_content, "a sender writes nothing");
                    self.store.submit(op);
                }
                Action::Tell(event) => self.store.told(&event, ack, self.level),
                Action::DropContent | Action::ShutDown => {}
            }
        }
    }

    /// Whatever happened: it is over, and whatever the source still says changes nothing.
    fn finish(mut self, u: &mut Unstructured<'_>) {
        let over = self.machine.peer_left() && !self.over;
        assert!(!over || self.machine.settled(), "LIVE: both have said everything, and it goes on");
        if !self.over {
            let good = self.machine.settled();
            self.end(&if good { Ok(()) } else { Err(SessionError::Truncated { offset: self.decoder.offset() }) });
        }
        while !self.store.is_idle() {
            self.complete(u).expect("an input that is used up reads as zeros");
        }
        assert!(self.machine.settled(), "LIVE: it is over, and it goes on");
        let tally = self.machine.tally();
        self.store.settled(tally.completed, tally.failed, tally.unknown);
    }
}
