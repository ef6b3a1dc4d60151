//! What a run costs in memory once a search is under way: the engine asks for none, the parties for what is theirs.
//!
//! A search makes hundreds of thousands of runs a second, so that an allocation a run is some percent of its speed. The
//! counts are exact and the same on every machine, which no measurement of time is; a run more than these is a run slower.
//!
//!     cargo test -p ft-sim --test steady -- --nocapture

#![expect(clippy::disallowed_macros, reason = "the counts are what it shows")]

use std::io;

use ft_sim::cases;
use ft_sim::explore::Explorer;
use ft_sim::{Endpoint, Faults, World, explore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Random schedules, searched twice: what the first search needed is there for the second.
const RUNS: u64 = 2_000;

/// Allocations of the second of two equal searches by one explorer.
fn again<F: Fn(&mut World)>(explorer: Explorer<'_, F>, runs: u64) -> u64 {
    let warm = explorer.swarm(1, runs);
    let mut after = None;
    let count = allocation_counter::measure(|| after = Some(warm.swarm(1, runs))).count_total;
    after.expect("it was searched").assert_passed();
    count
}

/// As `read_exact`, whose error for an early end costs two allocations.
async fn fill(stream: &mut Endpoint, buffer: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match stream.read(&mut buffer[filled..]).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            n => filled += n,
        }
    }
    Ok(())
}

/// A handshake in lab A's shape between parties that ask for no memory themselves.
fn handshake(world: &mut World) {
    async fn client(mut stream: Endpoint) -> io::Result<()> {
        stream.write_all(b"data|100").await?;
        fill(&mut stream, &mut [0; 3]).await?;
        stream.write_all(&[7; 100]).await?;
        stream.shutdown().await
    }
    async fn server(mut stream: Endpoint) -> io::Result<[u8; 100]> {
        fill(&mut stream, &mut [0; 8]).await?;
        stream.write_all(b"ACK").await?;
        let mut body = [0; 100];
        fill(&mut stream, &mut body).await?;
        Ok(body)
    }
    let pair = world.pair(client, server);
    if let Some(Ok(body)) = pair.server.done() {
        world.always("intact", body == [7; 100]);
    }
}

#[test]
fn engine_asks_for_no_memory_once_a_search_is_under_way() {
    for (what, faults) in [("segmentation", Faults::segmentation()), ("cuts", Faults::cuts())] {
        let count = again(explore("handshake", handshake).faults(&faults.headers(&[8])), RUNS);
        println!("handshake, {what}: {count} allocations in {RUNS} runs");
        assert_eq!(count, 0, "{what}");
    }
}

/// By case: the most allocations that a run of it makes on average. They are the programs' own, which are what users run and
/// hold what they hold: names, texts, read buffers, frames, maps.
const BOUNDS: [(&str, u64); 7] = [
    ("lab-a-careful-once", 11),
    ("lab-a-careful", 22),
    ("lab-b-careful", 72),
    ("ft-push-once", 66),
    ("ft-push", 140),
    ("ft-pull", 165),
    ("ft-push-three", 215),
];

#[test]
fn programs_under_test_allocate_no_more_than_they_are_known_to() {
    for (name, most) in BOUNDS {
        let case = cases::find(name).expect("a case of that name");
        let runs = RUNS / 10;
        let count = again(explore(name, case.closure()).faults(&case.faults()), runs);
        println!("{name}: {:.1} allocations a run", count as f64 / runs as f64);
        assert!(count <= most * runs, "{name}: {count} allocations in {runs} runs");
    }
}
