//! What a run costs in memory once a search is under way: the engine asks for none, the parties for what is theirs.
//!
//! A search makes hundreds of thousands of runs a second, so that an allocation a run is some percent of its speed. The
//! counts are exact and the same on every machine, which no measurement of time is; a run more than these is a run slower.
//!
//!     cargo test -p ft-sim --test steady -- --nocapture

use ft_sim::cases::{self, Plan};
use ft_sim::{Endpoint, Faults, World, explore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Searched before anything is counted, so that every buffer has its size.
const WARM: u64 = 2_000;
const COUNTED: u64 = 2_000;

/// Allocations that one search makes for `runs` more runs.
fn more(runs: u64, search: impl Fn(u64)) -> u64 {
    search(WARM + runs);
    let short = allocation_counter::measure(|| search(WARM)).count_total;
    let long = allocation_counter::measure(|| search(WARM + runs)).count_total;
    long.saturating_sub(short)
}

fn handshake(world: &mut World) {
    async fn client(mut stream: Endpoint) -> std::io::Result<()> {
        stream.write_all(b"data|100").await?;
        let mut ack = [0; 3];
        stream.read_exact(&mut ack).await?;
        stream.write_all(&[7; 100]).await?;
        stream.shutdown().await
    }
    async fn server(mut stream: Endpoint) -> std::io::Result<[u8; 100]> {
        let mut header = [0; 8];
        stream.read_exact(&mut header).await?;
        stream.write_all(b"ACK").await?;
        let mut body = [0; 100];
        stream.read_exact(&mut body).await?;
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
        let faults = faults.headers(&[8]);
        let search = |runs| explore("handshake", handshake).faults(&faults).swarm(1, runs).assert_passed();
        let count = more(COUNTED, search);
        println!("handshake, {what}: {count} allocations in {COUNTED} runs");
        assert_eq!(count, 0, "{what}");
    }
}

/// By case: the most allocations that a run of it may make on average.
const BOUNDS: [(&str, u64); 8] = [
    ("lab-a-careful-once", 1000),
    ("lab-a-careful", 1000),
    ("lab-b-careful", 1000),
    ("ft-push-once", 1000),
    ("ft-push", 1000),
    ("ft-pull", 1000),
    ("ft-push-disk", 10000),
    ("ft-push-three", 10000),
];

#[test]
fn programs_under_test_allocate_no_more_than_they_are_known_to() {
    for (name, most) in BOUNDS {
        let case = cases::find(name).expect("a case of that name");
        let search = |runs| {
            let plan = Plan { deviations: 0, runs: runs / 10, ..Plan::default() };
            case.explore(&plan, |_| {}).assert_passed();
        };
        let runs = COUNTED / 10;
        let count = more(COUNTED, search);
        println!("{name}: {:.1} allocations a run", count as f64 / runs as f64);
        assert!(count <= most * runs, "{name}: {count} allocations in {runs} runs");
    }
}
