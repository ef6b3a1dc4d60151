//! What each step of a schedule does to two programs, as one table; and both executors against each other.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use ft_sim::trace::{NoteKind, json_lines, lanes, pcapng};
use ft_sim::{
    CLIENT, Clock, Ended, Endpoint, Fault, Faults, HostDeath, HostTask, Party, Schedule, World, explore,
    explore_on_tokio, run, run_on_tokio,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Reads until nothing more can come: each read's bytes, then how it ended.
async fn read_all(stream: &mut Endpoint) -> String {
    let mut told = String::new();
    let mut buffer = [0; 64];
    loop {
        match stream.read(&mut buffer).await {
            Ok(0) => return told + "EOF",
            Ok(n) => told += &format!("{} ", String::from_utf8_lossy(&buffer[..n])),
            Err(error) => return told + &error.to_string(),
        }
    }
}

/// Writes, and says how it ended if it did not go well.
async fn say(stream: &mut Endpoint, text: &str) -> String {
    match stream.write_all(text.as_bytes()).await {
        Ok(()) => String::new(),
        Err(error) => format!("[write: {error}] "),
    }
}

async fn client(mut stream: Endpoint) -> String {
    let mut told = say(&mut stream, "abc").await;
    told += &say(&mut stream, "def").await;
    let _ = stream.shutdown().await;
    told + &read_all(&mut stream).await
}

async fn server(mut stream: Endpoint) -> String {
    let told = read_all(&mut stream).await;
    told + &say(&mut stream, " ok").await
}

async fn with_deadline(clock: Clock, party: impl Future<Output = String>) -> String {
    let told = clock.timeout(Duration::from_secs(60), party).await.unwrap_or_else(|_| "deadline".to_owned());
    format!("{told} ({:?})", clock.now())
}

/// Runs both under a schedule and returns what each saw.
fn both(world: &mut World) -> String {
    let (one, two) = (world.clock(), world.clock());
    let end = world.pair(|s| with_deadline(one, client(s)), |s| with_deadline(two, server(s)));
    let tell = |ended: Ended<String>| match ended {
        Ended::Done(told) => told,
        early @ (Ended::Panicked(_) | Ended::Killed | Ended::Crashed | Ended::Waiting) => {
            format!("{early:?}").to_lowercase()
        }
    };
    format!("  client: {}\n  server: {}", tell(end.client), tell(end.server))
}

const SCHEDULES: [&str; 22] = [
    "benign",
    "c2s@1 split; c2s@2 split",
    "c2s@4 clip",
    "c2s@2 short",
    "c2s@0 hold",
    "c2s@0 hold 4",
    "c2s@3 delay 2s",
    "c2s@6 delay 2s",
    "c2s@0 window 2",
    "c2s@2 stall",
    "c2s@6 stall",
    "s2c@0 stall",
    "c2s@2 half-close",
    "c2s@2 fin",
    "s2c@0 fin",
    "c2s@2 rst",
    "c2s@6 rst",
    "s2c@1 rst",
    "c2s@2 kill server",
    "c2s@2 kill client",
    "c2s@2 crash server",
    "s2c@1 crash client",
];

#[test]
fn each_step_does_to_programs_what_the_specification_says() {
    let told = RefCell::new(String::new());
    for text in SCHEDULES {
        let schedule: Schedule = text.parse().unwrap();
        let run = run(|world| *told.borrow_mut() += &format!("{text}\n{}\n", both(world)), &schedule);
        assert_eq!(run.violation, None, "{text}");
    }
    insta::with_settings!({ snapshot_path => "../../snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("sim_faults", told.into_inner());
    });
}

/// What both saw, without the times: a paused tokio clock counts whole milliseconds.
fn without_times(told: &str) -> String {
    told.lines().map(|line| line.rsplit_once(" (").map_or(line, |(line, _)| line).to_owned() + "\n").collect()
}

#[test]
fn both_executors_show_programs_the_same() {
    for text in SCHEDULES {
        let schedule: Schedule = text.parse().unwrap();
        let (own, tokio) = (RefCell::new(Vec::new()), RefCell::new(Vec::new()));
        let report = explore("own", |world| own.borrow_mut().push(without_times(&both(world))));
        report.schedules([&schedule]).assert_passed();
        let report = explore_on_tokio("tokio", |world| tokio.borrow_mut().push(without_times(&both(world))));
        report.schedules([&schedule]).assert_passed();
        assert_eq!(own, tokio, "{text}");
    }
}

#[test]
fn connection_closed_towards_both_answers_the_write_of_each() {
    let case = |world: &mut World| {
        let clocks = [world.clock(), world.clock()];
        let [one, two] = &clocks;
        let end = world.pair(
            |mut s| async move {
                let mut told = say(&mut s, "ab").await + &read_all(&mut s).await;
                for _ in 0..3 {
                    told += &say(&mut s, "x").await;
                    one.sleep(Duration::from_millis(100)).await;
                }
                told
            },
            |mut s| async move {
                let mut told = read_all(&mut s).await;
                two.sleep(Duration::from_secs(1)).await;
                for _ in 0..3 {
                    told += &say(&mut s, "y").await;
                    two.sleep(Duration::from_millis(100)).await;
                }
                told
            },
        );
        for told in [end.client.done(), end.server.done()] {
            let told = told.unwrap_or_default();
            world.always("it is told by its second write", told.matches("[write: ").count() == 2);
        }
    };
    let run = run(case, &"c2s@1 fin".parse().unwrap());
    assert!(run.violation.is_none() && run.unmet.is_empty(), "{}", lanes(&run.events));
}

#[test]
fn clock_of_a_tokio_world_goes_on_from_one_pair_to_the_next() {
    let long = Duration::from_secs(1800);
    let times = RefCell::new(Vec::new());
    let case = |world: &mut World| {
        for _ in 0..2 {
            let clock = world.clock();
            let client = |s: Endpoint| async move {
                tokio::time::sleep(long).await;
                drop(s);
                clock.now()
            };
            let end = world.pair(client, |mut s| async move { read_all(&mut s).await });
            times.borrow_mut().push(end.client.done());
        }
    };
    let run = run_on_tokio(case, &Schedule::benign());
    assert!(run.violation.is_none(), "{:?}", run.violation);
    let times: Vec<Duration> = times.into_inner().into_iter().flatten().collect();
    assert!(times[0] >= long && times[1] >= 2 * long, "{times:?}");
}

#[test]
fn task_that_a_party_has_left_behind_is_gone_in_the_next_run() {
    let steps = Rc::new(std::cell::Cell::new(0_u32));
    let counted = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
    let report = explore_on_tokio("left", |world| {
        let mine = std::sync::Arc::clone(&counted);
        let end = world.pair(
            |s| async move {
                tokio::spawn(async move {
                    loop {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                        mine.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                    }
                });
                drop(s);
            },
            |_| async { tokio::time::sleep(Duration::from_millis(10)).await },
        );
        assert!(end.server.done().is_some());
        let before = counted.swap(0, std::sync::atomic::Ordering::Relaxed);
        steps.set(steps.get().max(before));
    })
    .schedules([&Schedule::benign(), &Schedule::benign(), &Schedule::benign()])
    .report();
    assert!(report.passed(), "{report}");
    assert!(steps.get() <= 11, "{} steps of one task in ten milliseconds", steps.get());
}

#[test]
fn tokio_world_runs_parties_that_spawn_and_sleep() {
    let report = explore_on_tokio("spawns", |world| {
        let end = world.pair(
            |mut s| async move {
                let task = tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_secs(3)).await;
                    let _ = s.write_all(b"late").await;
                });
                task.await.is_ok()
            },
            |mut s| async move { read_all(&mut s).await },
        );
        world.always_eq("client", end.client.done(), Some(true));
        world.always("server", end.server.done().is_some_and(|told| told.replace(' ', "") == "lateEOF"));
    })
    .exhaustive(1)
    .report();
    assert!(report.passed(), "{report}");
}

#[test]
fn tokio_world_reports_a_deadlock_instead_of_hanging() {
    let read = |mut s: Endpoint| async move { read_all(&mut s).await };
    let report = explore_on_tokio("both-read", |world| drop(world.pair(read, read))).exhaustive(0).report();
    assert_eq!(report.expect_failure().violation.name, "no deadlock");
}

#[test]
fn both_parties_writing_first_into_small_windows_is_a_deadlock() {
    let party = |mut s: Endpoint| async move {
        s.write_all(&[1; 100]).await?;
        s.read_exact(&mut [0; 100]).await
    };
    let search = |window: u64| {
        let case = move |world: &mut World| {
            world.window(window);
            drop(world.pair(party, party));
        };
        explore("both-write", case).exhaustive(0).report()
    };
    assert!(search(100).passed());
    let stuck = search(99);
    assert_eq!(
        stuck.expect_failure().violation.detail,
        "client waits to write c2s@99 (window full); server waits to write s2c@99 (window full)"
    );
}

#[test]
fn a_dying_host_is_announced_before_its_tasks_are_dropped() {
    struct SaysGoodbye(Rc<RefCell<Vec<&'static str>>>);
    impl Drop for SaysGoodbye {
        fn drop(&mut self) {
            self.0.borrow_mut().push("dropped");
        }
    }
    let log = Rc::new(RefCell::new(Vec::new()));
    let case = |world: &mut World| {
        world.tolerate_deadlock();
        let (heard, guard) = (Rc::clone(&log), SaysGoodbye(Rc::clone(&log)));
        world.on_death(move |host, death| {
            assert_eq!((host, death), (CLIENT, HostDeath::Crashed));
            heard.borrow_mut().push("disk told");
        });
        world.pair(
            |s| async move {
                let _guard = guard;
                client(s).await
            },
            server,
        );
    };
    run(case, &Schedule::single(ft_sim::Direction::C2s, 2, Fault::Crash(Party::Client)).unwrap());
    assert_eq!(*log.borrow(), ["disk told", "dropped"]);
}

#[test]
fn several_clients_share_a_world_and_are_cut_one_by_one() {
    let case = |world: &mut World| {
        let ends: Vec<_> = (0..3).map(|n| world.connect_hosts(10 + n, 1)).collect();
        let mut tasks: Vec<HostTask<'_, String>> = Vec::new();
        for (n, (c, s)) in (10..).zip(ends) {
            tasks.push((n, Box::pin(client(c))));
            tasks.push((1, Box::pin(server(s))));
        }
        let ended: Vec<_> = world.run(tasks).into_iter().map(|end| end.done().unwrap_or_default()).collect();
        world.always_eq("first", ended[0].as_str(), " ok EOF");
        world.always("second is cut", ended[2].contains("reset"));
        world.always_eq("third", ended[4].as_str(), " ok EOF");
    };
    let run = run(case, &"2:c2s@3 rst".parse().unwrap());
    assert_eq!(run.violation, None, "{}", lanes(&run.events));
}

#[test]
fn a_watch_is_asked_after_every_step() {
    let case = |world: &mut World| {
        let in_flight = Rc::new(RefCell::new(0));
        let seen = Rc::clone(&in_flight);
        world.watch("never more than one", move || *seen.borrow() <= 1);
        let count = |mut s: Endpoint| {
            let in_flight = Rc::clone(&in_flight);
            async move {
                *in_flight.borrow_mut() += 1;
                let _ = s.write_all(b"x").await;
                tokio::task::yield_now().await;
                let _ = s.read_u8().await;
                *in_flight.borrow_mut() -= 1;
            }
        };
        world.pair(count, count);
    };
    let report = explore("watch", case).exhaustive(0).report();
    assert_eq!(report.expect_failure().violation.name, "never more than one");
}

#[test]
fn every_rendering_of_a_trace_names_the_schedule_and_the_notes() {
    let case = |world: &mut World| {
        let tracer = world.tracer();
        world.pair(client, |s| async move {
            tracer.note(NoteKind::Ack, format_args!("ACK1 {}", "a\nb"));
            server(s).await
        });
    };
    let run = run(case, &"c2s@2 delay 5ms".parse().unwrap());
    let text = lanes(&run.events);
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    insta::with_settings!({ snapshot_path => "../../snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("sim_lanes", text);
        insta::assert_snapshot!("sim_json_lines", json_lines(&run.events));
    });
    let pcap = pcapng(&run.events);
    let holds = |needle: &[u8]| pcap.windows(needle.len()).any(|window| window == needle);
    assert!(holds(b"schedule: c2s@2 delay 5ms") && holds(b"ack: ACK1 a\\nb"));
}

#[test]
fn every_cut_of_every_byte_leaves_only_prefixes() {
    let case = |world: &mut World| {
        let (one, two) = (world.clock(), world.clock());
        let end = world.pair(|s| with_deadline(one, client(s)), |s| with_deadline(two, server(s)));
        if let Some(told) = end.server.done() {
            let ends = ["EOF", "connection reset", "broken pipe", "deadline"];
            let read = ends.iter().filter_map(|end| told.find(end)).min().map_or(&told[..], |end| &told[..end]);
            world.always(
                "a prefix arrives",
                told.starts_with("deadline") || "abcdef".starts_with(&read.replace(' ', "")),
            );
            world.sometimes("it arrives in part", (1..6).contains(&read.replace(' ', "").len()));
        }
    };
    let faults = [
        Fault::Fin,
        Fault::Rst,
        Fault::Stall,
        Fault::HalfClose,
        Fault::Kill(Party::Server),
        Fault::Crash(Party::Client),
    ];
    let report = explore("cut", case).every_cut(&faults).faults(&Faults::all()).swarm(3, 3_000).report();
    assert!(report.passed(), "{report}");
    // (6 + 1 bytes' places and 3 + 1) × 6 faults.
    assert_eq!(report.runs["cut"], 66);
}
