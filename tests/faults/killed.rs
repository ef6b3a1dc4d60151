//! Either side is killed (SIGKILL), before and after every file-system call of a transfer, and at random moments.
//!
//! By default some dozens. `FT_KILLS=10000` kills so often in all: half at calls, round and round, half at random.
//! `FT_KILLS_SEED` chooses other moments than those of seed 1.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::every_call::two_at_a_time;
use crate::ground::{Ground, Place, Size, leftovers};
use crate::promises::{done, ended, swept};
use crate::support::{Random, Running, Server, event};
use crate::tracer::{Act, Plan};
use crate::transfer::{Side, Way, stop, transfer};

/// One killed transfer and its retry.
pub(crate) struct Kill {
    way: Way,
    /// The call before or after which it was killed.
    at: Option<String>,
    /// Names of which either side had said that they are stored.
    pub(crate) told: usize,
    /// Whether anything lay in staging afterwards.
    left: bool,
    /// Whether it was killed before it was done.
    pub(crate) bit: bool,
    pub(crate) wrong: Vec<String>,
}

/// Names that lines of `--json` claim are stored. The last line may be cut.
pub(crate) fn claims(lines: &[String]) -> BTreeSet<PathBuf> {
    let stored = lines.iter().filter(|line| line.contains(r#""event":"stored""#) && line.ends_with('}'));
    stored.filter_map(|line| event(line)["name"].as_str().map(PathBuf::from)).collect()
}

/// The same transfer again, to its end, and nothing is left of either.
pub(crate) fn again(ground: &Ground, way: Way, place: &Place, wrong: &mut Vec<String>) {
    let outcome = transfer(way, ground, place, None);
    wrong.extend(outcome.client.map_or(vec!["LIVE: no server again".to_owned()], |client| done(&client)));
    if let Ok((server, _)) = outcome.server {
        ended(server, wrong);
    }
    let lost = ground.lost(&place.folder, &ground.all_names());
    wrong.extend(lost.iter().map(|lost| format!("after the retry: {lost}")));
    wrong.extend(swept(ground, way, &place.folder, place));
}

/// Killed at the `nth` call.
fn at_call(ground: &Ground, way: Way, plan: Plan) -> Kill {
    let place = ground.place();
    let outcome = transfer(way, ground, &place, Some(plan));
    let mut lines = outcome.client.as_ref().map(|client| client.out.clone()).unwrap_or_default();
    let server = match outcome.server {
        Ok((server, _)) => stop(server),
        Err(record) => record,
    };
    lines.extend(server.out.iter().cloned());
    let record = if way.side == Side::Server { Some(&server) } else { outcome.client.as_ref() };
    let hit = record.and_then(|record| record.hit.map(|hit| record.calls[hit].name.to_owned()));
    let bit = record.is_some_and(|record| record.code.is_none());
    after(ground, way, &place, (hit, bit), &lines)
}

/// What holds after a kill, and after the retry.
pub(crate) fn after(
    ground: &Ground,
    way: Way,
    place: &Place,
    (at, bit): (Option<String>, bool),
    lines: &[String],
) -> Kill {
    let mut wrong = ground.torn(&place.folder);
    let told = claims(lines);
    wrong.extend(ground.lost(&place.folder, &told));
    let left = !leftovers(&place.folder).is_empty();
    again(ground, way, place, &mut wrong);
    Kill { way, at, told: told.len(), left, bit, wrong }
}

/// Starts both sides without a tracer, and kills one after a while. Gives what both had said, and whether the kill bit.
pub(crate) fn kill_after(ground: &Ground, way: Way, place: &Place, wait: Duration) -> (Vec<String>, bool) {
    let mut server = Server::run(&mut way.server(ground, place, "127.0.0.1:0"));
    let mut client = Running::start(&mut way.client(ground, place, &server.address));
    std::thread::sleep(wait);
    match way.side {
        Side::Server => server.running.kill(),
        Side::Client => client.kill(),
    }
    let client = client.finish();
    server.running.terminate();
    let server = server.running.finish();
    let killed = if way.side == Side::Server { server.code() } else { client.code() };
    ([client.out, server.out].concat(), killed.is_none())
}

/// How long a whole transfer takes.
pub(crate) fn whole(ground: &Ground, way: Way, at: Option<&Path>) -> Duration {
    let place = at.map_or_else(|| ground.place(), |at| ground.place_at(at));
    let server = Server::run(&mut way.server(ground, &place, "127.0.0.1:0"));
    let begun = Instant::now();
    Running::start(&mut way.client(ground, &place, &server.address)).finish().expect(0);
    let took = begun.elapsed();
    server.stop().expect(0);
    took
}

pub(crate) fn seed() -> u64 {
    std::env::var("FT_KILLS_SEED").map_or(1, |text| text.parse().expect("FT_KILLS_SEED is a number"))
}

/// Prints what happened, and fails if anything was wrong.
pub(crate) fn report(what: &str, kills: &[Kill]) {
    let mut rows: BTreeMap<String, [usize; 4]> = BTreeMap::new();
    for kill in kills {
        let row = rows.entry(kill.way.shown()).or_default();
        let counts = [true, kill.bit, kill.told > 0, kill.left];
        row.iter_mut().zip(counts).for_each(|(sum, counts)| *sum += usize::from(counts));
    }
    println!("{what}\n  {:<46} {:>6} {:>6} {:>10} {:>10}", "", "kills", "bit", "some told", "leftovers");
    for (way, [all, bit, told, left]) in &rows {
        println!("  {way:<46} {all:>6} {bit:>6} {told:>10} {left:>10}");
    }
    let calls = kills.iter().filter_map(|kill| kill.at.as_deref()).fold(BTreeMap::new(), |mut calls, name| {
        *calls.entry(name).or_insert(0) += 1;
        calls
    });
    let told: usize = kills.iter().map(|kill| kill.told).sum();
    let bit = kills.iter().filter(|kill| kill.bit).count();
    println!("  {} kills, {bit} of them before the end; {told} names told; at calls: {calls:?}", kills.len());
    let wrong: Vec<_> = kills.iter().filter(|kill| !kill.wrong.is_empty()).collect();
    for kill in &wrong {
        println!("  {} at {:?}: {:#?}", kill.way.shown(), kill.at, kill.wrong);
    }
    assert!(wrong.is_empty(), "{} of {} kills left something wrong", wrong.len(), kills.len());
    assert!(bit * 2 > kills.len(), "only {bit} of {} kills hit a transfer", kills.len());
}

fn plan() -> (usize, bool) {
    let asked = std::env::var("FT_KILLS").ok().map(|text| text.parse().expect("FT_KILLS is a number"));
    (asked.unwrap_or(60), asked.is_some())
}

/// One kill for each of `chosen`, two at a time.
fn kills<T: Copy + Send + Sync>(chosen: Vec<T>, one: impl Fn(T) -> Kill + Send + Sync) -> Vec<Kill> {
    let kills = Mutex::new(Vec::new());
    let (one, into) = (&one, &kills);
    let jobs: Vec<Box<dyn Fn() + Send + Sync + '_>> = chosen
        .into_iter()
        .map(|what| {
            let job = move || {
                let kill = one(what);
                into.lock().expect("no panic").push(kill);
            };
            Box::new(job) as Box<dyn Fn() + Send + Sync + '_>
        })
        .collect();
    two_at_a_time(&jobs);
    drop(jobs);
    kills.into_inner().expect("no panic")
}

#[test]
fn either_side_killed_at_any_call_leaves_nothing_torn_nothing_lost_and_nothing_that_is_not_swept_or_used() {
    let ground = Ground::new(Size::Small);
    let (count, all) = plan();
    let mut points = Vec::new();
    for way in Way::all() {
        for act in [Act::KillBefore, Act::KillAfter] {
            let calls = crate::every_call::calls(&ground, way).len();
            points.extend((1..=calls).map(|nth| (way, Plan { nth, act })));
        }
    }
    let step = if all { 1 } else { (points.len() / (count / 2)).max(1) };
    let chosen: Vec<_> = points.iter().step_by(step).cycle().take(count / 2).copied().collect();
    let kills = kills(chosen, |(way, plan)| at_call(&ground, way, plan));
    report(&format!("killed before and after calls, of which there are {}", points.len()), &kills);
}

#[test]
fn either_side_killed_at_random_leaves_nothing_torn_nothing_lost_and_nothing_that_is_not_swept_or_used() {
    let ground = Ground::new(Size::Small);
    let (count, _) = plan();
    let mut random = Random::new(seed());
    let ways: Vec<(Way, Duration)> = Way::all().into_iter().map(|way| (way, whole(&ground, way, None))).collect();
    let chosen: Vec<_> = (0..count / 2)
        .map(|n| {
            let (way, whole) = ways[n % ways.len()];
            (way, whole.mul_f64(random.fraction()))
        })
        .collect();
    let kills = kills(chosen, |(way, wait)| {
        let place = ground.place();
        let (lines, bit) = kill_after(&ground, way, &place, wait);
        after(&ground, way, &place, (None, bit), &lines)
    });
    report("killed at random moments", &kills);
}
