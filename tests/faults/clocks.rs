//! The wall clock jumps, and files have times that no clock has shown: nothing but the age of what was left over depends on it.
//!
//! Time-outs go by the monotonic clock. The wall clock is asked about files only: is a partial older than a week, or an hour if it
//! may not be read (a wrong answer costs bytes, that are sent again), and was a file changed so long ago that its hash may be
//! remembered.
//! `faketime` puts the program under another clock (Rust's standard library asks the C library): without it, this fails.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::ground::{Ground, Size, leftovers};
use crate::support::{Ended, Running, Server, content, folder, ft_cli, run};
use crate::transfer::{Side, Verb, Way};

const MIB: usize = 1 << 20;

/// The library that answers for the clock.
fn library() -> String {
    let found = Command::new("sh").args(["-c", "ls /usr/lib/*/faketime/libfaketime.so.1"]).output().expect("sh");
    let path = String::from_utf8(found.stdout).expect("text").trim().to_owned();
    assert!(!path.is_empty(), "faketime is needed for this test; install it: apt-get install faketime");
    path
}

/// Puts a command under the clock that a file says; only what is called the time of day, as when somebody sets it.
fn under_clock<'a>(command: &'a mut Command, clock: &Path) -> &'a mut Command {
    command.env("LD_PRELOAD", library()).env("FAKETIME_TIMESTAMP_FILE", clock);
    command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
}

#[test]
fn clock_that_jumps_by_years_during_a_transfer_changes_nothing_about_it() {
    let ground = Ground::new(Size::Small);
    for (before, after) in [("+0", "+3650d"), ("+0", "-3650d"), ("-3650d", "+3650d")] {
        for verb in [Verb::Put, Verb::Get] {
            let way = Way { verb, side: Side::Client, durable: true };
            let place = ground.place();
            // In the served folder: a server reads nothing else.
            let clock = if verb == Verb::Put { &place.folder } else { &ground.source }.join("clock");
            fs::write(&clock, before).expect("written");
            let mut server = way.server(&ground, &place, "127.0.0.1:0");
            let server = Server::run(under_clock(&mut server, &clock));
            let mut client = way.client(&ground, &place, &server.address);
            // 1.1 MiB in about a second: the jump is in the middle.
            let client = Running::start(under_clock(client.args(["--rate", "1M"]), &clock));
            std::thread::sleep(Duration::from_millis(400));
            fs::write(&clock, after).expect("written");
            client.finish().expect(0);
            server.stop().expect(0);
            assert_eq!(ground.lost(&place.folder, &ground.all_names()), Vec::<String>::new(), "{before} {after}");
            assert_eq!(leftovers(&place.folder), Vec::<String>::new());
        }
    }
}

/// A partial of a put that was killed, and what the same put sends under another clock.
fn resumed_under(clock: &str) -> (Ended, u64) {
    let (here, there) = (folder(), folder());
    let source = here.path().join("big");
    fs::write(&source, content(8 * MIB, 1)).expect("written");
    let server = Server::start(there.path(), ["--json"]);
    let mut put = Running::start(ft_cli(["put", "--rate", "4M"]).arg(&source).arg(&server.address));
    std::thread::sleep(Duration::from_millis(1500));
    put.kill();
    put.finish();
    server.stop();
    let now = there.path().join("clock");
    fs::write(&now, clock).expect("written");
    let mut server = ft_cli(["serve", "--json", "--listen", "127.0.0.1:0"]);
    let server = Server::run(under_clock(server.arg(there.path()), &now));
    let ended = run(ft_cli(["put", "--json"]).arg(&source).arg(&server.address)).expect(0);
    server.stop().expect(0);
    assert!(fs::read(there.path().join("big")).expect("there") == content(8 * MIB, 1));
    let last = crate::support::events(&ended.out, "summary");
    let kept = last[0]["kept"].as_u64().expect("a count");
    (ended, kept)
}

#[test]
fn partial_that_the_clock_makes_look_old_costs_bytes_and_one_from_the_future_is_used() {
    assert!(resumed_under("+0").1 >= MIB as u64, "a partial is used");
    assert!(resumed_under("-3650d").1 >= MIB as u64, "a partial from the future is used");
    assert_eq!(resumed_under("+3650d").1, 0, "one of ten years ago is swept, and all is sent again");
}

#[test]
fn files_of_the_farthest_past_and_future_arrive_with_their_times_and_are_known_again() {
    let (here, there) = (folder(), folder());
    let ages = |n: i64| {
        if n < 0 {
            UNIX_EPOCH - Duration::from_secs(n.unsigned_abs())
        } else {
            UNIX_EPOCH + Duration::from_secs(n.unsigned_abs())
        }
    };
    // What ext4 can hold: 1901 to 2446.
    let times =
        [-(1_i64 << 31), -1, 0, 1, (1 << 31) - 1, 1 << 31, (1 << 32) + 5, (1 << 33) + (1 << 32) + (1 << 31) - 1];
    for (n, secs) in times.iter().enumerate() {
        let file = File::create(here.path().join(format!("f{n}"))).expect("created");
        file.set_modified(ages(*secs)).expect("set");
    }
    let server = Server::start(there.path(), ["--json"]);
    let put = || run(ft_cli(["put", "--json"]).arg(here.path().join(".")).arg(&server.address)).expect(0);
    put();
    for (n, secs) in times.iter().enumerate() {
        let time = |at: &Path| -> SystemTime {
            at.join(format!("f{n}")).metadata().expect("there").modified().expect("a time")
        };
        assert_eq!(time(there.path()), time(here.path()), "{secs}");
    }
    let again = crate::support::events(&put().out, "summary");
    assert_eq!(again[0]["same"].as_u64(), Some(times.len() as u64), "{again:?}");
    server.stop().expect(0);
}
