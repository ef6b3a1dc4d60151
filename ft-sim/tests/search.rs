//! Searches find planted faults of every family, shrink them, and pass what is right.

use std::io;
use std::time::Duration;

use ft_sim::{Ended, Endpoint, Family, Faults, World, explore, replay, run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Lab A's handshake: `name|size` without a terminator, `ACK`, then the bytes.
async fn send(mut stream: Endpoint, body: &[u8]) -> io::Result<()> {
    stream.write_all(format!("f|{:03}", body.len()).as_bytes()).await?;
    let mut ack = [0; 3];
    stream.read_exact(&mut ack).await?;
    assert_eq!(&ack, b"ACK");
    stream.write_all(body).await?;
    stream.shutdown().await
}

/// Takes one read for one message.
async fn receive_naively(mut stream: Endpoint) -> io::Result<Vec<u8>> {
    let mut header = [0; 1024];
    let n = stream.read(&mut header).await?;
    let text = String::from_utf8_lossy(&header[..n]).into_owned();
    let size: usize = text.split('|').nth(1).unwrap_or("0").parse().unwrap_or(0);
    stream.write_all(b"ACK").await?;
    let mut body = vec![0; size];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

/// Reads exactly what the format says: five bytes.
async fn receive_carefully(mut stream: Endpoint) -> io::Result<Vec<u8>> {
    let mut header = [0; 5];
    stream.read_exact(&mut header).await?;
    let size: usize = std::str::from_utf8(&header[2..]).unwrap().parse().unwrap();
    stream.write_all(b"ACK").await?;
    let mut body = vec![0; size];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

const BODY: [u8; 100] = [7; 100];

fn careful(world: &mut World) {
    let pair = world.pair(|s| send(s, &BODY), receive_carefully);
    world.sometimes("delivered", matches!(&pair.server, Ended::Done(Ok(_))));
    let body = pair.server.done().and_then(Result::ok);
    world.always_eq("intact", body.as_deref(), Some(&BODY[..]));
}

fn naive(world: &mut World) {
    let pair = world.pair(|s| send(s, &BODY), receive_naively);
    let body = pair.server.done().and_then(Result::ok);
    world.always_eq("intact", body.as_deref(), Some(&BODY[..]));
}

#[test]
fn careful_receiver_stands_every_single_deviation_and_a_swarm() {
    let report = explore("careful", careful)
        .faults(&Faults::segmentation().headers(&[5]))
        .exhaustive(1)
        .swarm(1, 2_000)
        .report();
    assert!(report.passed(), "{report}");
    assert!(report.runs["exhaustive"] > 500, "{report}");
}

#[test]
fn naive_receiver_falls_and_the_schedule_is_one_split_in_the_header() {
    let report = explore("naive", naive).swarm(1, 2_000).report();
    let failure = report.expect_failure();
    assert_eq!(failure.replay_line(), "naive: c2s@1 split");
    let (case, schedule) = replay::parse(&failure.replay_line()).map(|(c, s)| (c.to_owned(), s)).unwrap();
    assert_eq!(case, "naive");
    let again = run(naive, &schedule);
    assert_eq!(again.hash, failure.minimal.hash);
    assert!(again.violation.is_some());
}

#[test]
fn exhaustive_search_finds_the_same_fault_without_luck() {
    let report = explore("naive", naive).exhaustive(1).report();
    assert_eq!(report.expect_failure().minimal.schedule.deviations(), 1);
}

#[test]
fn equal_searches_have_equal_digests_and_other_seeds_have_others() {
    let digest = |seed| explore("careful", careful).swarm(seed, 200).report().digest;
    assert_eq!(digest(1), digest(1));
    assert_ne!(digest(1), digest(2));
}

#[test]
fn digest_of_a_search_is_the_same_in_every_build_and_process() {
    let report = explore("careful", careful).exhaustive(1).swarm(1, 500).report();
    assert_eq!(format!("{:016x}", report.digest), "886a82e02fe884a6");
}

#[test]
fn partitions_of_a_search_make_each_run_once() {
    let runs = |part, parts| {
        let search = explore("careful", careful).partition(part, parts);
        let report = search.faults(&Faults::only(&[Family::Split])).exhaustive(2).report();
        report.runs["exhaustive"]
    };
    assert_eq!((1..=3).map(|part| runs(part, 3)).sum::<u64>(), runs(1, 1));
}

#[test]
fn two_readers_without_a_writer_are_a_deadlock_that_says_who_waits() {
    async fn read(mut stream: Endpoint) -> io::Result<u8> {
        stream.read_u8().await
    }
    let report = explore("both-read", |world| drop(world.pair(read, read))).exhaustive(0).report();
    let failure = report.expect_failure();
    assert_eq!(
        failure.violation.to_string(),
        "live \"no deadlock\" does not hold: server waits to read c2s@0 (nothing more was written); \
         client waits to read s2c@0 (nothing more was written)"
    );
}

#[test]
fn a_future_that_forgets_its_waker_is_a_deadlock_not_a_pass() {
    let forgets = |stream: Endpoint| async move {
        let mut asked = false;
        std::future::poll_fn(|_| {
            if std::mem::replace(&mut asked, true) { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        drop(stream);
    };
    let report =
        explore("forgets", |world| drop(world.pair(forgets, |s| async move { drop(s) }))).exhaustive(0).report();
    assert_eq!(report.expect_failure().violation.name, "no deadlock");
}

#[test]
fn a_search_that_never_saw_its_sometimes_does_not_pass() {
    let report = explore("vacuous", |world| world.sometimes("a transfer succeeds", false)).exhaustive(0).report();
    assert!(report.failure.is_none());
    assert_eq!(report.vacuous(), ["a transfer succeeds"]);
    assert!(!report.passed());
}

#[test]
fn a_case_with_state_of_its_own_is_called_not_deterministic() {
    let calls = std::cell::Cell::new(0);
    let report = explore("stateful", |world| {
        calls.set(calls.get() + 1);
        let n = 2 + calls.get() % 2;
        world.pick("any", n);
        world.pick("more", 2);
    })
    .exhaustive(2)
    .report();
    assert!(report.divergence.is_some(), "{report}");
}

#[test]
fn a_case_that_stops_deciding_is_called_not_deterministic_too() {
    let calls = std::cell::Cell::new(0);
    let report = explore("moody", |world| {
        calls.set(calls.get() + 1);
        if calls.get() % 2 == 1 {
            world.pick("a", 2);
            world.pick("b", 2);
        }
    })
    .exhaustive(1)
    .report();
    assert!(report.divergence.is_some() && !report.passed(), "{report}");
}

#[test]
fn party_that_panics_breaks_a_promise_unless_that_is_tolerated() {
    let falls = |world: &mut World| {
        let end = world.pair(|s| async move { drop(s) }, |_| async { panic!("a \x1b and a\nline") });
        let () = end.server.done().unwrap_or_default();
    };
    let report = explore("falls", falls).exhaustive(0).report();
    let told = report.expect_failure().to_string();
    assert!(told.contains("no panic") && told.contains("a \\x1b and a\\nline"), "{told}");
    let tolerated = |world: &mut World| {
        world.tolerate_panic();
        falls(world);
    };
    explore("tolerated", tolerated).exhaustive(0).assert_passed();
}

#[test]
fn search_without_a_run_shows_nothing_and_a_part_need_not_see_all_by_itself() {
    assert!(!explore("none", |_: &mut World| ()).swarm(1, 0).report().passed());
    let seen = |world: &mut World| {
        let first = world.pick("a", 2) == 0;
        world.sometimes("the first", first);
    };
    for part in 1..=2 {
        explore("part", seen).partition(part, 2).exhaustive(1).assert_passed();
    }
}

#[test]
fn silence_with_a_deadline_is_no_deadlock() {
    let report = explore("deadline", |world| {
        let clock = world.clock();
        let pair = world.pair(
            |mut s| async move {
                let clock = clock;
                let late = clock.timeout(Duration::from_secs(30), s.read_u8()).await.is_err();
                (late, clock.now())
            },
            |mut s| async move { s.read_u8().await.is_err() },
        );
        world.always_eq("times out after 30 s", pair.client.done(), Some((true, Duration::from_secs(30))));
    })
    .exhaustive(0)
    .report();
    assert!(report.passed(), "{report}");
}

#[test]
fn swarm_deviates_in_most_runs() {
    let report = explore("careful", careful).swarm(1, 1_000).report();
    assert!(report.passed(), "{report}");
    assert!(report.deviating_runs > 500, "{report}");
}

#[test]
fn naive_receiver_report_fits_a_screen() {
    let report = explore("naive", naive).exhaustive(1).report();
    insta::with_settings!({ snapshot_path => "../../snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("sim_naive_receiver", report.to_string());
    });
}
