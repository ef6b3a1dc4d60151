//! A whole session, driver and all, over a stream whose peer says anything: what we say is ft/1, what we store is whole,
//! what we hold is bounded, and it ends.

use std::collections::{BTreeMap, BTreeSet};

use arbitrary::{Result, Unstructured};
use ft_core::codec::{Decoder, Item};
use ft_core::compress::Compress;
use ft_core::event::{Event, Report};
use ft_core::frame::{Compare, Frame, Intent, Links, Overwrite, Want};
use ft_core::hash::Root;
use ft_core::limits::CONNECTION_BYTES;
use ft_core::memory::{Entry, Memory};
use ft_core::path::RelPath;
use ft_core::session::{NoPulse, Options, accept, list, pull, push};

use super::cuts::Cuts;
use super::stream::{Script, run};
use super::wire::Wire;

/// What is there before: a file, one in a folder, and a large one.
fn before(room: bool) -> Memory {
    let memory = Memory::new();
    memory.put(Entry::file("hello.txt", b"old"));
    memory.put(Entry::file("srv/box", &[b'x'; 70_000]));
    memory.put(Entry::file("e", b""));
    if !room {
        memory.tree().room = Some(1000);
    }
    memory
}

/// Who we are, how the stream is cut and ends, then what the peer says.
pub fn session(data: &[u8]) {
    let _ = play(&mut Unstructured::new(data));
}

fn play(u: &mut Unstructured<'_>) -> Result<()> {
    let who: u8 = u.arbitrary()?;
    let cuts = Cuts::read(u)?;
    let how = u.arbitrary::<u8>()?;
    let wire = Wire::read(u)?;
    let mut stream = Script::new(&mut Unstructured::new(&[how]), &wire.flights, &cuts)?;
    let memory = before(who & 4 == 0);
    let old = memory.tree().files.clone();
    let compare = [Compare::Quick, Compare::Content, Compare::None, Compare::Quick][usize::from(who >> 3 & 3)];
    let compress = if who & 0x20 == 0 { Compress::On } else { Compress::Off };
    let overwrite = if who & 0x40 == 0 { Overwrite::Replace } else { Overwrite::KeepBoth };
    let options = Options { compare, compress, overwrite, ..Options::default() };
    let mut heard = Heard::default();
    let report = run(talk(who, &mut stream, &memory, &options, &mut heard));
    if let Some(report) = report {
        heard.judge(&report);
    }
    // Whatever came, we have spoken ft/1 in whole frames.
    let said = frames(&stream.written);
    for frame in &said {
        if let Frame::Ack2(id, ack) = frame {
            assert!(heard.stored.get(id) == Some(ack), "HONEST: ACK2 of stream {id}");
        }
    }
    for (path, entry) in &memory.tree().files {
        let is_old = old.get(path).is_some_and(|old| old.content == entry.content);
        let root = Root::of(&entry.content);
        assert!(is_old || heard.roots.contains(&root.0), "INTACT: {path} is neither old nor what was verified");
    }
    Ok(())
}

async fn talk(who: u8, stream: &mut Script, memory: &Memory, options: &Options, heard: &mut Heard) -> Option<Report> {
    let want = |path: &[u8]| Want {
        path: RelPath::parse(path).expect("a path"),
        depth: u16::MAX,
        links: Links::Keep,
        last: false,
    };
    let mut on = |event: &Event| heard.event(event);
    match who & 3 {
        0 => {
            let accepted = accept(stream, &[]).await.ok()?;
            Some(match accepted.intent() {
                Intent::Push => accepted.receive(memory.storage(), options, NoPulse, on).await,
                Intent::Pull | Intent::List => accepted.send(memory.source(), options, NoPulse, on).await,
            })
        }
        1 => Some(push(stream, memory.source(), options, NoPulse, &mut on).await),
        2 => {
            let wants = vec![want(b"srv/box"), want(b"")];
            Some(pull(stream, wants, memory.storage(), options, NoPulse, &mut on).await)
        }
        _ => Some(list(stream, vec![want(b"")], options, NoPulse, &mut on).await),
    }
}

#[derive(Default)]
struct Heard {
    offered: BTreeSet<u32>,
    stored: BTreeMap<u32, ft_core::frame::Ack2>,
    others: BTreeSet<u32>,
    /// Of everything that was called stored.
    roots: BTreeSet<[u8; 32]>,
    closed: bool,
}

impl Heard {
    fn event(&mut self, event: &Event) {
        assert!(!self.closed, "nothing is told after the end: {event:?}");
        match event {
            Event::Offered(id, _) => assert!(self.offered.insert(*id), "stream {id} is offered once"),
            Event::Stored(id, ack) => {
                self.roots.insert(ack.root.0);
                assert!(self.stored.insert(*id, ack.clone()).is_none() && !self.others.contains(id));
            }
            Event::Failed(id, _) | Event::Unknown(id) => {
                assert!(self.others.insert(*id) && !self.stored.contains_key(id), "stream {id} ends once");
            }
            Event::Closed(_) => self.closed = true,
            _ => {}
        }
    }

    fn judge(&self, report: &Report) {
        assert!(self.closed, "the end is told");
        assert_eq!(report.completed, self.stored.len() as u64);
        assert_eq!(report.failed + report.unknown, self.others.len() as u64);
        let ended = |id| self.stored.contains_key(id) || self.others.contains(id);
        assert!(self.offered.iter().all(ended), "every stream came to something");
        assert!(report.most_held <= CONNECTION_BYTES, "BOUND: {} bytes were held", report.most_held);
        assert_eq!(report.left_held, 0, "BOUND: something is still held");
    }
}

/// The frames of what we said.
fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let (mut decoder, mut frames) = (Decoder::new(), Vec::new());
    loop {
        match decoder.next(&mut bytes) {
            Ok(Some(Item::Frame(frame) | Item::Zdata(frame, _))) => frames.push(frame),
            Ok(Some(_)) => {}
            Ok(None) => break,
            Err(error) => panic!("we said what is not ft/1: {error}"),
        }
    }
    assert!(decoder.at_boundary() || decoder.offset() == 0, "we stopped within a frame");
    frames
}
