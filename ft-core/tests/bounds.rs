//! BOUND: what a peer can make a machine remember or its driver hold, whatever it sends.

use ft_core::frame::{Compare, Frame, Hello, Intent, Kind, Level, Meta, Offer, Overwrite, Verdict};
use ft_core::limits::{CONNECTION_BYTES, IN_FLIGHT_BYTES, MAX_HOLE, MAX_OFFER_BYTES, MAX_STREAMS, OPERATION};
use ft_core::machine::{Action, Machine, Window};
use ft_core::path::RelPath;
use ft_core::receiver::Receiver;
use ft_core::storage::{LandDone, LandOp, Prepared};

/// A receiver whose stream 1 of 1 GiB has its ACK1.
fn ready() -> Receiver {
    let mut receiver = Receiver::server("test");
    let mut out = Vec::new();
    receiver.start(&mut out);
    let path = RelPath::parse(b"f").unwrap();
    let meta = Meta { path, kind: Kind::File, size: Some(1 << 30), mode: None, mtime: None, target: Vec::new() };
    let (overwrite, compare, level) = (Overwrite::Replace, Compare::None, Level::Durable);
    receiver.on_frame(Frame::Offer(1, Offer { want: 0, meta, overwrite, compare, level }), &mut out).unwrap();
    receiver.on_done(LandDone::Prepared(1, Prepared::Fresh), &mut out);
    assert!(out.iter().any(|a| matches!(a, Action::Send(Frame::Ack1(1, 0, Verdict::Send)))));
    receiver
}

#[test]
fn receiver_stops_reading_when_tiny_frames_are_many_and_goes_on_when_they_are_done() {
    for hole in [false, true] {
        let mut receiver = ready();
        let mut under_way = 0;
        for offset in 0.. {
            if !receiver.wants_content() {
                break;
            }
            assert!(offset < 10_000, "no bound");
            let mut out = Vec::new();
            let frame = match hole {
                true => Frame::Hole { stream: 1, offset, len: 1 },
                false => Frame::Data { stream: 1, offset, len: 1 },
            };
            receiver.on_frame(frame, &mut out).unwrap();
            if !hole {
                receiver.on_content(1, &mut out);
            }
            under_way += out
                .iter()
                .filter(|a| matches!(a, Action::Submit(LandOp::Write { .. } | LandOp::Hole { .. }, _)))
                .count();
        }
        assert_eq!(under_way as u64, IN_FLIGHT_BYTES.div_ceil(OPERATION + 1), "hole: {hole}");
        for _ in 0..under_way {
            receiver.on_done(LandDone::Wrote(1, 1), &mut Vec::new());
        }
        assert!(receiver.wants_content(), "all is done, so reading goes on");
    }
}

#[test]
fn longest_hole_holds_up_reading_and_counts_as_no_more_memory_than_a_connection_has() {
    let mut receiver = ready();
    receiver.on_frame(Frame::Hole { stream: 1, offset: 0, len: MAX_HOLE }, &mut Vec::new()).unwrap();
    assert!(!receiver.wants_content() && receiver.held() <= CONNECTION_BYTES, "{}", receiver.held());
    receiver.on_done(LandDone::Wrote(1, MAX_HOLE), &mut Vec::new());
    assert!(receiver.wants_content() && receiver.held() < OPERATION, "{}", receiver.held());
}

#[test]
fn peers_word_about_its_window_is_believed_only_up_to_our_own() {
    let hello = |max_streams, max_offer_bytes| Hello {
        intent: Some(Intent::Pull),
        max_streams,
        max_offer_bytes,
        features: 0,
        agent: String::new(),
    };
    let ours = Window { streams: MAX_STREAMS, offer_bytes: MAX_OFFER_BYTES };
    assert_eq!(Window::of(&hello(u32::MAX, u32::MAX)), ours);
    assert_eq!(Window::of(&hello(0, 0)), Window { streams: 1, offer_bytes: 0 });
}
