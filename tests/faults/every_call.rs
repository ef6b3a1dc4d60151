//! Every file-system call of a transfer fails, one in each run, in every way, on either side.
//!
//! By default a sample, chosen by what the calls are and not by chance: of each way of a transfer every fourth kind of
//! call and every sync, each with one fault. `FT_FAULTS_FULL=1` makes every k-th call fail in every way.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::errno::Errno;

use crate::calls::Call;
use crate::ground::{Ground, Size, leftovers};
use crate::promises::{done, ended, never_began, said, swept, synced};
use crate::support::events;
use crate::tracer::{Act, Plan};
use crate::transfer::{Side, Verb, Way, client, stop, transfer};

/// `EINTR` only without effect: the system says it of calls that did nothing.
const ACTS: [Act; 7] = [
    Act::Fails(Errno::ENOSPC),
    Act::Fails(Errno::EDQUOT),
    Act::Fails(Errno::EIO),
    Act::Fails(Errno::EINTR),
    Act::Fails(Errno::EMFILE),
    Act::FailsAfter(Errno::EIO),
    Act::Short,
];

/// Runs in which nothing was left to meddle with, one after the other, after which there is no such call: their number
/// differs by a few from run to run.
const ENOUGH: usize = 3;

/// What one run came to.
struct Run {
    way: Way,
    plan: Plan,
    hit: Option<Call>,
    /// How the client ended; `None` if the server did not even begin.
    code: Option<i32>,
    wrong: Vec<String>,
}

/// One faulty transfer, and the same again without a fault.
fn run(ground: &Ground, way: Way, plan: Plan) -> Run {
    let place = ground.place();
    let there = &place.folder;
    let outcome = transfer(way, ground, &place, Some(plan));
    let mut wrong = ground.torn(there);
    if let Some(client) = &outcome.client {
        wrong.extend(said(ground, there, client));
    }
    let code = outcome.client.as_ref().and_then(|client| client.code);
    // The same server goes on: a fault is not the end of it. If it has not met its call yet, it does so on its way out.
    let (mut faulty, mut running) = match outcome.server {
        Ok(running) => (None, Some(running)),
        Err(record) => {
            wrong.extend(never_began(&record));
            (Some(record), None)
        }
    };
    if let Some((server, address)) = running.take_if(|(server, _)| way.side == Side::Server && !server.has_met()) {
        drop(address);
        faulty = Some(ended(server, &mut wrong));
    }
    if let Some((_, address)) = &running {
        wrong.extend(done(&client(way, ground, &place, address, None)));
    } else {
        let again = transfer(way, ground, &place, None);
        running = again.server.ok();
        wrong.extend(again.client.map_or(vec!["LIVE: no second server".to_owned()], |client| done(&client)));
    }
    wrong.extend(ground.lost(there, &ground.all_names()).iter().map(|lost| format!("after the retry: {lost}")));
    if let Some((server, _)) = running {
        let record = ended(server, &mut wrong);
        faulty.get_or_insert(record);
    }
    let traced = if way.side == Side::Server { faulty } else { outcome.client };
    let hit = traced.as_ref().and_then(|record| record.hit.map(|hit| record.calls[hit].clone()));
    if let (Some(record), Some(hit)) = (&traced, &hit) {
        wrong.extend(synced(way, plan, record, hit, code));
    }
    wrong.extend(swept(ground, way, there, &place));
    Run { way, plan, hit, code, wrong }
}

/// What stands for a call in a sample: its name, and what it is about.
fn kind(call: &Call) -> (&'static str, String) {
    let path = call.path.to_string_lossy();
    let numbered = |c: char| if c.is_ascii_digit() { '0' } else { c };
    let mut shown: String = path.chars().map(numbered).collect();
    while shown.contains("00") {
        shown = shown.replace("00", "0");
    }
    // Partials have a hash for a name.
    (call.name, shown.find("/p-").map_or(shown.clone(), |at| format!("{}/p-", &shown[..at])))
}

/// Calls of a transfer without a fault, by their number.
pub(crate) fn calls(ground: &Ground, way: Way) -> Vec<Call> {
    let place = ground.place();
    let outcome = transfer(way, ground, &place, None);
    let client = outcome.client.expect("a server");
    assert_eq!((done(&client), said(ground, &place.folder, &client)), (vec![], vec![]), "without a fault");
    let (server, _) = outcome.server.expect("a server");
    let server = stop(server);
    assert_eq!(server.code, Some(0), "without a fault");
    assert_eq!(leftovers(&place.folder), Vec::<String>::new(), "without a fault");
    if way.side == Side::Server { server.calls } else { client.calls }
}

/// Of the kinds of call, one in so many is in the sample of one way, other ones in the next way; and every sync.
const SAMPLED: usize = 4;

/// One of a kind of call meets one fault: another one in each way, another one for each kind.
fn sample(calls: &[Call], way: usize) -> Vec<Plan> {
    let mut seen = BTreeSet::new();
    let mut plans = Vec::new();
    for (at, call) in calls.iter().enumerate() {
        if !seen.insert(kind(call)) {
            continue;
        }
        let sync = matches!(call.name, "fsync" | "fdatasync" | "syncfs");
        if !sync && !(seen.len() + way / 2).is_multiple_of(SAMPLED) {
            continue;
        }
        let mut act = ACTS[(seen.len() / SAMPLED + way * 3) % ACTS.len()];
        if sync && act == Act::Fails(Errno::EINTR) {
            act = Act::Fails(Errno::EIO);
        }
        if act == Act::Short && call.moves < 2 {
            act = Act::Fails(Errno::EIO);
        }
        let before = calls[..at].iter().filter(|call| act != Act::Short || call.moves > 1).count();
        plans.push(Plan { nth: before + 1, act });
    }
    plans
}

fn full() -> bool {
    std::env::var_os("FT_FAULTS_FULL").is_some_and(|value| value != "0")
}

/// Does all of it, in two threads.
pub(crate) fn two_at_a_time(jobs: &[Box<dyn Fn() + Send + Sync + '_>]) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    job();
                }
            });
        }
    });
}

/// Runs all plans of all ways, two at a time.
fn campaign(ground: &Ground) -> Vec<Run> {
    let runs = Mutex::new(Vec::new());
    let jobs: Vec<Box<dyn Fn() + Send + Sync + '_>> = if full() {
        let pairs = Way::all().into_iter().flat_map(|way| ACTS.map(|act| (way, act)));
        let runs = &runs;
        let job = |(way, act)| {
            let all = move || {
                let mut missed = 0;
                for nth in 1.. {
                    let run = run(ground, way, Plan { nth, act });
                    missed = if run.hit.is_some() { 0 } else { missed + 1 };
                    runs.lock().expect("no panic").push(run);
                    if missed == ENOUGH {
                        break;
                    }
                }
            };
            Box::new(all) as Box<dyn Fn() + Send + Sync + '_>
        };
        pairs.map(job).collect()
    } else {
        let mut jobs = Vec::new();
        for (number, way) in Way::all().into_iter().enumerate() {
            for plan in sample(&calls(ground, way), number) {
                let runs = &runs;
                let one = move || {
                    let run = run(ground, way, plan);
                    runs.lock().expect("no panic").push(run);
                };
                jobs.push(Box::new(one) as Box<dyn Fn() + Send + Sync + '_>);
            }
        }
        jobs
    };
    two_at_a_time(&jobs);
    drop(jobs);
    runs.into_inner().expect("no panic")
}

/// How many runs of each kind there were, and what they came to.
fn report(runs: &[Run]) {
    let mut rows: BTreeMap<(String, String), BTreeMap<String, usize>> = BTreeMap::new();
    for run in runs.iter().filter(|run| run.hit.is_some()) {
        let row = rows.entry((run.way.shown(), format!("{:?}", run.plan.act))).or_default();
        *row.entry(run.code.map_or("none".to_owned(), |code| code.to_string())).or_default() += 1;
    }
    println!("calls that failed, and exit codes of the client (none: the server did not begin)");
    for ((way, act), codes) in &rows {
        let total: usize = codes.values().sum();
        let codes: Vec<String> = codes.iter().map(|(code, count)| format!("{code}: {count}")).collect();
        println!("  {way:<46} {act:<20} {total:>5}   {}", codes.join("  "));
    }
    let hits = runs.iter().filter_map(|run| run.hit.as_ref());
    let names: BTreeMap<&str, usize> = hits.fold(BTreeMap::new(), |mut names, call| {
        *names.entry(call.name).or_default() += 1;
        names
    });
    let hit: usize = names.values().sum();
    println!("{} runs, {hit} of them with a fault, in {} kinds of call: {names:?}", runs.len(), names.len());
}

#[test]
fn any_file_system_call_fails_in_any_way_and_nothing_is_torn_or_claimed_and_the_retry_completes() {
    let ground = Ground::new(Size::Full);
    let runs = campaign(&ground);
    report(&runs);
    let mut wrong: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for run in runs.iter().filter(|run| !run.wrong.is_empty()) {
        let Run { way, plan, hit, .. } = run;
        let call = hit.as_ref().map_or("nothing".to_owned(), |call| format!("{} {}", call.name, call.path.display()));
        let shown = format!("{}: {:?} at call {}: {call}", way.shown(), plan.act, plan.nth);
        wrong.insert(shown, run.wrong.clone());
    }
    assert!(wrong.is_empty(), "{} of {} runs: {wrong:#?}", wrong.len(), runs.len());
    let hit = runs.iter().filter(|run| run.hit.is_some()).count();
    assert!(hit * 10 >= runs.len() * 8, "only {hit} of {} runs met their call", runs.len());
    let receivers: BTreeSet<&PathBuf> = runs.iter().filter_map(|run| run.hit.as_ref()).map(|call| &call.path).collect();
    assert!(receivers.len() > 20, "{receivers:?}");
}

#[test]
fn folder_that_the_sender_cannot_read_is_told_and_the_exit_code_says_that_something_is_missing() {
    let ground = Ground::new(Size::Full);
    let way = Way { verb: Verb::Put, side: Side::Client, durable: false };
    let calls = calls(&ground, way);
    for call in ["openat2", "getdents", "fstatat"] {
        let about_nested = |c: &Call| c.name == call && c.path.ends_with("tree/nested");
        let nth = calls.iter().position(about_nested).expect("it reads that folder") + 1;
        let place = ground.place();
        let outcome = transfer(way, &ground, &place, Some(Plan { nth, act: Act::Fails(Errno::EIO) }));
        let client = outcome.client.expect("a server");
        assert_eq!(client.code, Some(4), "{call}: {:#?}", client.out);
        let failed = events(&client.out, "failed");
        assert_eq!(failed.len(), 1, "{call}: {:#?}", client.out);
        assert_eq!((failed[0]["path"].as_str(), failed[0]["code"].as_str()), (Some("tree/nested"), Some("io")));
        assert_eq!(ground.torn(&place.folder), Vec::<String>::new());
    }
}

#[test]
fn file_of_which_any_sync_failed_is_never_called_durable() {
    // Few enough files that each is synced by itself; the campaign has more.
    let ground = Ground::new(Size::Small);
    let synced = |run: &Run| run.hit.as_ref().is_some_and(|call| matches!(call.name, "fsync" | "syncfs"));
    let (mut runs, mut planned) = (Vec::new(), 0);
    for way in [(Verb::Put, Side::Server), (Verb::Get, Side::Client)] {
        let way = Way { verb: way.0, side: way.1, durable: true };
        let calls = calls(&ground, way);
        let syncs = calls.iter().enumerate().filter(|(_, call)| matches!(call.name, "fsync" | "fdatasync" | "syncfs"));
        let all: Vec<usize> = syncs.map(|(at, _)| at + 1).collect();
        assert!(all.len() >= 5, "each file and each folder: {all:?}");
        planned += all.len();
        for nth in all {
            // Threads take turns as they like, so that another call may be the one of that number: then once more.
            for _ in 0..4 {
                runs.push(run(&ground, way, Plan { nth, act: Act::Fails(Errno::EIO) }));
                if runs.last().is_some_and(synced) {
                    break;
                }
            }
        }
    }
    let hit: Vec<&Run> = runs.iter().filter(|run| synced(run)).collect();
    assert!(hit.len() * 2 > planned, "only {} of {planned} failed a sync", hit.len());
    for run in &runs {
        assert_eq!(run.wrong, Vec::<String>::new(), "{} {:?}", run.way.shown(), run.hit);
    }
    let staged = hit
        .iter()
        .filter_map(|run| run.hit.as_ref())
        .filter(|call| call.path.to_string_lossy().contains(".ft-staging/"));
    assert!(staged.count() >= 4, "content is synced before it has its name");
}

/// A server opens its folder more than once while it begins: to serve it, and for the fence around it.
#[test]
fn server_that_cannot_open_its_folder_while_it_begins_says_so_and_does_not_begin() {
    let ground = Ground::new(Size::Small);
    for verb in [Verb::Put, Verb::Get] {
        let way = Way { verb, side: Side::Server, durable: false };
        let calls = calls(&ground, way);
        let folder = Path::new(if verb == Verb::Put { "there" } else { "source" });
        let opens = |call: &Call| matches!(call.name, "open" | "openat") && call.path == folder;
        let all: Vec<usize> = (1..).zip(&calls).filter(|(_, call)| opens(call)).map(|(nth, _)| nth).collect();
        assert_eq!(all.len(), 2, "{}: {calls:#?}", way.shown());
        for nth in all {
            let run = run(&ground, way, Plan { nth, act: Act::Fails(Errno::EMFILE) });
            assert_eq!((run.code, run.wrong), (None, vec![]), "{} {:?}", way.shown(), run.hit);
        }
    }
}
