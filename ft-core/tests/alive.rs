//! When a receiver says that it lives (PROTOCOL §5.8): while it has something to do, and never only because it waits.

use ft_core::frame::{Compare, Frame, Kind, Level, Meta, Offer, Overwrite};
use ft_core::machine::{Action, Machine};
use ft_core::path::RelPath;
use ft_core::receiver::Receiver;
use ft_core::storage::{LandDone, Prepared};

/// A receiver that was offered a file of ten bytes, and is still looking at its disk.
fn offered() -> Receiver {
    let mut receiver = Receiver::server("test");
    receiver.start(&mut Vec::new());
    let path = RelPath::parse(b"f").unwrap();
    let meta = Meta { path, kind: Kind::File, size: Some(10), mode: None, mtime: None, target: Vec::new() };
    let (overwrite, compare, level) = (Overwrite::Replace, Compare::None, Level::Durable);
    let offer = Frame::Offer(1, Offer { want: 0, meta, overwrite, compare, level });
    receiver.on_frame(offer, &mut Vec::new()).unwrap();
    receiver
}

/// Whether it says that it lives at a pulse, before which bytes have come or have not.
fn lives(receiver: &mut Receiver, came: bool) -> bool {
    let mut out = Vec::new();
    receiver.on_pulse(came, &mut out);
    out.iter().any(|action| matches!(action, Action::Send(Frame::Alive(..))))
}

#[test]
fn receiver_lives_while_it_looks_at_its_disk_whether_anything_comes_or_not() {
    let mut receiver = offered();
    assert!(lives(&mut receiver, false) && lives(&mut receiver, true));
}

#[test]
fn receiver_that_waits_for_a_file_to_begin_says_nothing() {
    let mut receiver = offered();
    receiver.on_done(LandDone::Prepared(1, Prepared::Fresh), &mut Vec::new());
    assert!(!lives(&mut receiver, false) && !lives(&mut receiver, true));
}

#[test]
fn receiver_within_a_file_lives_while_its_disk_owes_something_and_then_only_when_some_came() {
    let mut receiver = offered();
    receiver.on_done(LandDone::Prepared(1, Prepared::Fresh), &mut Vec::new());
    receiver.on_frame(Frame::Data { stream: 1, offset: 0, len: 4 }, &mut Vec::new()).unwrap();
    receiver.on_content(4, &mut Vec::new());
    assert!(lives(&mut receiver, false));
    receiver.on_done(LandDone::Wrote(1, 4), &mut Vec::new());
    // The sender owes six bytes: a sign of life from here would keep a dead session open.
    assert!(!lives(&mut receiver, false));
    assert!(lives(&mut receiver, true));
}
