//! `put`, then `serve`, is killed (SIGKILL) at random moments of the transfer of one large file. Never is anything else
//! under the final name than the old content or the whole new one, and the retry sends what had not landed, not the whole.
//!
//! By default 10 moments each of 64 MiB, which takes under a minute without optimisation. `FT_KILL_FULL=1` makes it 30
//! moments each of 256 MiB (better with `cargo test --release`), `FT_KILL_SEED` chooses other moments than those of seed 1.
//! The moments are spread over the time that the same transfer takes undisturbed, one at random in each part of it.

mod support;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use support::{Ended, Random, Running, Server, connect, event, events, folder, ft_cli, run};

const MIB: u64 = 1 << 20;

/// What is verified and kept of a cut file: whole units (PROTOCOL, verified resume).
const UNIT: u64 = MIB;

/// Both tests measure times and fill the disk: one after the other.
static ALONE: Mutex<()> = Mutex::new(());

struct Plan {
    size: u64,
    moments: u32,
    seed: u64,
}

fn plan() -> Plan {
    let full = std::env::var_os("FT_KILL_FULL").is_some_and(|value| value != "0");
    let (size, moments) = if full { (256 * MIB, 30) } else { (64 * MIB, 10) };
    let seed = match std::env::var("FT_KILL_SEED") {
        Ok(text) => text.parse().expect("FT_KILL_SEED is a number"),
        Err(_) => 1,
    };
    Plan { size, moments, seed }
}

/// What is under the final name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    Old,
    New,
}

/// One folder for sources and destinations, and what they hold.
struct Ground {
    folder: tempfile::TempDir,
    plan: Plan,
    /// The file to send, and the one that it replaces in every second round.
    new: (PathBuf, blake3::Hash),
    old: (PathBuf, blake3::Hash),
    /// How long the whole transfer takes undisturbed.
    whole: Duration,
}

/// One killed transfer and its retry.
struct Round {
    at: Duration,
    /// What the killed side was doing.
    phase: String,
    found: Found,
    /// Bytes of the partial after the kill.
    landed: u64,
    /// Content bytes that the retry sent.
    sent_again: u64,
    leftovers: Vec<String>,
}

fn hash(path: &Path) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(File::open(path).expect("a file")).expect("readable");
    hasher.finalize()
}

impl Ground {
    fn new(plan: Plan) -> Self {
        let folder = folder();
        let make = |name: &str, len: u64, seed| {
            let path = folder.path().join(name);
            let bytes = support::content(usize::try_from(len).expect("it fits"), seed);
            std::fs::write(&path, bytes).expect("written");
            let hash = hash(&path);
            (path, hash)
        };
        let (new, old) = (make("big", plan.size, 1), make("old", 3 * MIB + 5, 2));
        let mut ground = Self { folder, plan, new, old, whole: Duration::MAX };
        // The fastest of some: the first finds cold caches, and a pause of the machine would spread the moments too wide.
        for _ in 0..3 {
            let there = ground.destination(0);
            let server = Server::start(&there, ["--json"]);
            let begun = Instant::now();
            run(&mut ground.put(&server.address)).expect(0);
            ground.whole = ground.whole.min(begun.elapsed());
            server.stop().expect(0);
            assert_eq!(ground.look(&there, 0), Found::New);
        }
        ground
    }

    /// A new destination; the old file is in every second one.
    fn destination(&self, round: u32) -> PathBuf {
        let there = self.folder.path().join("there");
        if there.exists() {
            std::fs::remove_dir_all(&there).expect("removed");
        }
        std::fs::create_dir(&there).expect("made");
        if round % 2 == 1 {
            std::fs::copy(&self.old.0, there.join("big")).expect("copied");
        }
        there
    }

    fn put(&self, address: &str) -> std::process::Command {
        let mut command = ft_cli(["put", "--json"]);
        command.arg(&self.new.0).arg(address);
        command
    }

    /// One moment in each part of the whole time, in an order that has nothing to do with it.
    fn moments(&self, random: &mut Random) -> Vec<Duration> {
        // A little longer than the transfer, because the killed one may be slower: its sync and its rename are to be hit, too.
        let part = self.whole.mul_f64(1.2 / f64::from(self.plan.moments));
        let mut all: Vec<Duration> =
            (0..self.plan.moments).map(|n| part.mul_f64(f64::from(n) + random.fraction())).collect();
        for n in (1..all.len()).rev() {
            all.swap(n, usize::try_from(random.next() % (n as u64 + 1)).expect("an index"));
        }
        all
    }

    /// What is under the final name: the old or the whole new content and nothing else, or the test has failed.
    #[track_caller]
    fn look(&self, there: &Path, round: u32) -> Found {
        let path = there.join("big");
        let had_old = round % 2 == 1;
        if !path.exists() {
            assert!(!had_old, "round {round}: the old file is gone and nothing took its place");
            return Found::Nothing;
        }
        let found = hash(&path);
        if found == self.new.1 {
            return Found::New;
        }
        let len = path.metadata().expect("a file").len();
        assert!(had_old && found == self.old.1, "round {round}: {len} bytes of neither content under the final name");
        Found::Old
    }

    /// Bytes that were kept for a retry.
    fn landed(there: &Path) -> u64 {
        let Ok(entries) = std::fs::read_dir(there.join(".ft-staging")) else { return 0 };
        let entries = entries.map(|entry| entry.expect("an entry"));
        let partials = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("p-"));
        partials.map(|entry| entry.metadata().expect("a file").len()).max().unwrap_or(0)
    }

    fn leftovers(there: &Path) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(there.join(".ft-staging")) else { return Vec::new() };
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        std::iter::once(".ft-staging".to_owned()).chain(names).collect()
    }

    /// What must be true after the retry, however the round went.
    #[track_caller]
    fn check(&self, number: u32, round: &Round, there: &Path) {
        let Round { found, landed, sent_again, .. } = *round;
        let size = self.plan.size;
        assert_eq!(self.look(there, number), Found::New, "round {number}: the retry completes");
        if found == Found::New {
            assert_eq!(sent_again, 0, "round {number}: it was there already");
        } else if landed >= UNIT {
            // Of a partial that has everything, the last unit goes again: the sender must have something to end with.
            let kept = landed.min(size - 1) / UNIT * UNIT;
            assert!(sent_again <= size - kept, "round {number}: {landed} landed and {sent_again} of {size} went again");
        }
        assert_eq!(round.leftovers, Vec::<String>::new(), "round {number}: nothing is left of it");
    }

    fn report(&self, what: &str, rounds: &[Round]) {
        let mib = |bytes: u64| format!("{}.{}", bytes / MIB, bytes % MIB * 10 / MIB);
        let whole = self.whole.as_millis();
        println!(
            "{what} killed {} times; {} MiB take {whole} ms undisturbed; seed {}",
            rounds.len(),
            self.plan.size / MIB,
            self.plan.seed
        );
        println!("    at ms  found     landed MiB  sent again MiB  doing");
        let mut sorted: Vec<&Round> = rounds.iter().collect();
        sorted.sort_by_key(|round| round.at);
        for round in &sorted {
            let Round { at, phase, found, landed, sent_again, leftovers } = round;
            let found = format!("{found:?}");
            let (landed, again) = (mib(*landed), mib(*sent_again));
            println!("  {:>7}  {found:<8}  {landed:>10}  {again:>14}  {phase} {}", at.as_millis(), leftovers.join(" "));
        }
        let cut: Vec<_> = rounds.iter().filter(|round| round.found != Found::New && round.landed >= UNIT).collect();
        let again: u64 = cut.iter().map(|round| round.sent_again).sum();
        let all = self.plan.size * cut.len() as u64;
        println!("  {} cut with at least 1 MiB landed: sent again {} of {} MiB", cut.len(), mib(again), mib(all));
        // A kill that never bites proves nothing.
        assert!(cut.len() >= rounds.len() / 4, "only {} of {} kills hit the transfer", cut.len(), rounds.len());
    }
}

/// What `--json` had told of a side when it was killed.
fn phase(lines: &[String]) -> String {
    let kinds = |kind: &str| events(lines, kind).len();
    let moved = events(lines, "progress").last().and_then(|event| event["bytes"].as_u64());
    match () {
        () if kinds("summary") > 0 => "done".into(),
        () if kinds("stored") > 0 => "stored".into(),
        () if kinds("landing") > 0 => "landing".into(),
        () if kinds("verified") > 0 => "verified, syncing".into(),
        () if kinds("started") > 0 => {
            moved.map_or("sending".into(), |bytes| format!("sending, {} MiB told", bytes / MIB))
        }
        () if kinds("offered") > 0 => "offered".into(),
        () => "beginning".into(),
    }
}

/// Content bytes that the sessions of a `put --json` sent, one number for each.
fn sent(put: &Ended) -> Vec<u64> {
    events(&put.out, "closed").iter().map(|event| event["bytes"].as_u64().expect("a count")).collect()
}

/// Waits until a server is done with every connection that was made before this call.
fn settle(server: &mut Server) {
    // Connections are accepted in order, so the number of one that is made now counts them all.
    let last = connect(&server.address);
    let us = last.local_addr().expect("an address").to_string();
    drop(last);
    let (mut closed, mut sessions) = (0, None);
    while sessions != Some(closed) {
        let line = event(&server.running.line(|line| line.contains("connected") || line.contains("closed")));
        match line["event"].as_str() {
            Some("closed") => closed += 1,
            Some("connected") if line["peer"] == us.as_str() => sessions = line["session"].as_u64(),
            _ => {}
        }
    }
}

#[test]
fn put_killed_at_any_moment_leaves_no_torn_file_and_its_retry_sends_only_the_rest() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let ground = Ground::new(plan());
    let mut random = Random::new(ground.plan.seed);
    let mut rounds = Vec::new();
    for (number, at) in (0..).zip(ground.moments(&mut random)) {
        let there = ground.destination(number);
        let mut server = Server::start(&there, ["--json"]);
        let mut put = Running::start(&mut ground.put(&server.address));
        std::thread::sleep(at);
        put.kill();
        let killed = put.finish();
        settle(&mut server);
        let (found, landed) = (ground.look(&there, number), Ground::landed(&there));

        let retry = run(&mut ground.put(&server.address)).expect(0);
        server.stop().expect(0);
        let sent_again = sent(&retry).iter().sum();
        let leftovers = Ground::leftovers(&there);
        let round = Round { at, phase: phase(&killed.out), found, landed, sent_again, leftovers };
        ground.check(number, &round, &there);
        rounds.push(round);
    }
    ground.report("put", &rounds);
}

#[test]
fn serve_killed_at_any_moment_leaves_no_torn_file_and_the_same_put_goes_on_when_it_is_back() {
    let _alone = ALONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let ground = Ground::new(plan());
    let mut random = Random::new(ground.plan.seed.wrapping_add(1));
    let mut rounds = Vec::new();
    for (number, at) in (0..).zip(ground.moments(&mut random)) {
        let there = ground.destination(number);
        let mut server = Server::start(&there, ["--json"]);
        let address = server.address.clone();
        let put = Running::start(&mut ground.put(&address));
        std::thread::sleep(at);
        server.running.kill();
        let killed = server.running.finish();
        let (found, landed) = (ground.look(&there, number), Ground::landed(&there));

        let server = Server::at(&address, &there, ["--json"]);
        let mut put = put.finish();
        // A first connection that cannot be made is not tried again: there was no server when it began.
        let never_met = put.code() == Some(1) && events(&put.out, "closed").is_empty();
        if never_met {
            put = run(&mut ground.put(&address));
        }
        let put = put.expect(0);
        // What a killed server left is swept by the next one that has something to stage; the large file may have been done.
        let small = ground.folder.path().join("small");
        std::fs::write(&small, b"small").expect("written");
        run(ft_cli(["put"]).arg(&small).arg(&address)).expect(0);
        server.stop().expect(0);
        // What the session with the killed server sent is not sent again; if there was none, all counts.
        let met_first = !never_met && !events(&killed.out, "connected").is_empty();
        let sent_again = sent(&put).iter().skip(usize::from(met_first)).sum();
        let leftovers = Ground::leftovers(&there);
        let round = Round { at, phase: phase(&killed.out), found, landed, sent_again, leftovers };
        ground.check(number, &round, &there);
        rounds.push(round);
    }
    ground.report("serve", &rounds);
}
