//! Strangers who offer as much as our server bears at once, and one more: its windows are exact (FT-13, FT-14).

use super::Script;
use super::wire::{Meta, data, end, error, goodbye, hello, offer, path, preamble, want};

/// Streams that may be open at once (PROTOCOL §9).
const STREAMS: u32 = 12 * 1024;

/// Payload bytes of their offers.
const OFFER_BYTES: u32 = 2 * 1024 * 1024;

/// WANTs of a session, and their payload bytes.
const WANTS: u32 = 4096;
const WANT_BYTES: u32 = 1024 * 1024;

/// A path of so many bytes, its count and lengths included.
fn path_of(bytes: u32) -> Vec<u8> {
    let (mut left, mut components) = (bytes - 2, Vec::new());
    while left > 0 {
        // What is left over must be no component of nothing.
        let len = if left <= 257 { left - 2 } else { (left - 5).min(255) };
        components.push(vec![b'x'; crate::limits::index(u64::from(len))]);
        left -= len + 2;
    }
    let components: Vec<&[u8]> = components.iter().map(Vec::as_slice).collect();
    path(&components)
}

/// An OFFER with a payload of so many bytes.
fn offer_of(stream: u32, payload: u32) -> Vec<u8> {
    Meta { path: path_of(payload - 32), ..Meta::file("", 0) }.offer(stream)
}

/// WANTs with payloads of so many bytes, each for nothing that is there.
fn wants(name: &'static str, count: u32, payload: u32) -> Script {
    let all: Vec<u8> = (1..=count).flat_map(|number| want(number, 0, 0, 0, &path_of(payload - 4))).collect();
    let heard = 1 + crate::limits::index(u64::from(count));
    Script::new(name, "FT-35").say(&[&preamble(1, 1), &hello(3, 1, 1), &all]).hear(heard).say(&[&want(
        count + 1,
        1,
        0,
        0,
        &path_of(payload - 4),
    )])
}

fn pusher(name: &'static str, rule: &'static str) -> Script {
    Script::new(name, rule).say(&[&preamble(1, 1), &hello(1, 64, 65_536)])
}

/// Offers of 4,096 bytes that fill the window but for one of them, and a last one of `last` bytes.
fn filled(name: &'static str, rule: &'static str, last: u32) -> Script {
    let offers: Vec<Vec<u8>> = (1..OFFER_BYTES / 4096).map(|id| offer_of(id, 4096)).collect();
    pusher(name, rule).say(&[&offers.concat()]).hear(1 + offers.len()).say(&[&offer_of(OFFER_BYTES / 4096, last)])
}

/// Every one of them; the first offers as many streams as may be.
pub(super) fn all() -> Vec<Script> {
    let many: Vec<u8> = (1..=STREAMS).flat_map(|id| offer(id, "f", 0)).collect();
    // Half a window of offers, given up again and again: what is closed counts no more.
    let renewed = (0..3).fold(pusher("offers half of a window three times", ""), |script, round| {
        let ids = (1..=OFFER_BYTES / 8192).map(|i| round * OFFER_BYTES / 8192 + i);
        let offers: Vec<u8> = ids.clone().flat_map(|id| offer_of(id, 4096)).collect();
        let frames = 1 + usize::try_from((round + 1) * (OFFER_BYTES / 8192)).expect("hundreds");
        script.say(&[&offers]).hear(frames).say(&[&ids.flat_map(|id| error(id, 42, "")).collect::<Vec<u8>>()])
    });
    let all = 1 + crate::limits::index(u64::from(STREAMS));
    let full = |name, rule| pusher(name, rule).say(&[&many]).hear(all);
    let another = &offer(STREAMS + 1, "f", 0);
    vec![
        full("offers as many as may be", "truncated"),
        full("offers one too many", "FT-13").say(&[another]),
        full("gives one up, and offers another", "truncated").say(&[&error(1, 42, ""), another]).hear(all + 1),
        filled("fills the window of offers", "truncated", 4096)
            .hear(1 + crate::limits::index(u64::from(OFFER_BYTES / 4096))),
        filled("overfills the window of offers by a byte", "FT-14", 4097),
        filled("gives an offer up, and overfills its place by a byte", "FT-14", 4096)
            .hear(1 + crate::limits::index(u64::from(OFFER_BYTES / 4096)))
            .say(&[&error(1, 42, ""), &offer_of(OFFER_BYTES / 4096 + 1, 4097)]),
        renewed.say(&[&goodbye()]),
        wants("wants one too many", WANTS, 12),
        wants("wants a byte too many", WANT_BYTES / 4096, 4096),
        pusher("pushes a thousand frames of a byte", "").say(&[&offer(1, "f", 1_000)]).hear(2).say(&[
            &(0..1_000).flat_map(|at| data(1, at, b"x")).collect::<Vec<u8>>(),
            &end(1, &[b'x'; 1_000]),
            &goodbye(),
        ]),
        pusher("offers one file in all this", "").say(&[&offer(1, "f", 0)]).hear(2).say(&[&end(1, b""), &goodbye()]),
    ]
}
