//! One seed, one run: the same in every process, in every world that claims it.
//!
//! A test can only see its own process, so that this one starts itself again. What each build makes of one search is
//! pinned in `search.rs`.

#![expect(clippy::disallowed_macros, reason = "starts its own program and reads what it says")]

use std::cell::RefCell;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use ft_sim::cases::{self, Plan};
use ft_sim::turmoil_world::{Settings, TurmoilWorld};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const SEEDS: u64 = 1_000;

/// What every read of a chatty pair returned, and when it was over, folded.
fn turmoil_run(seed: u64) -> u64 {
    let mut world = TurmoilWorld::new(Settings { seed, latency: Duration::from_millis(5), ..Settings::default() });
    let log = Rc::new(RefCell::new(DefaultHasher::new()));
    let (net, heard) = (world.net(), Rc::clone(&log));
    world.host("server", move || {
        let (net, heard) = (net.clone(), Rc::clone(&heard));
        async move {
            let (mut stream, _) = net.listen(1).await?.accept().await?;
            let mut buffer = [0; 64];
            loop {
                let n = stream.read(&mut buffer).await?;
                (turmoil::elapsed(), &buffer[..n]).hash(&mut *heard.borrow_mut());
                if n == 0 {
                    return Ok(());
                }
                stream.write_all(&buffer[..n / 2 + 1]).await?;
            }
        }
    });
    let (net, heard) = (world.net(), Rc::clone(&log));
    world.client("client", async move {
        let mut stream = net.connect("server", 1).await?;
        for piece in [&b"one"[..], b"two and three", b"four"] {
            stream.write_all(piece).await?;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        stream.shutdown().await?;
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await?;
        (turmoil::elapsed(), rest).hash(&mut *heard.borrow_mut());
        Ok(())
    });
    world.run().expect("nothing fails here");
    log.borrow().finish()
}

/// The digests of a thousand seeds in each world, a line each.
fn digests() -> String {
    let plan = Plan { deviations: 0, runs: SEEDS, ..Plan::default() };
    let mut text = String::new();
    for name in ["ft-push", "ft-pull", "lab-a-careful", "lab-b-careful"] {
        let case = cases::find(name).expect("a case of that name");
        text += &format!("own {name} {:016x}\n", case.explore(&plan, |_| {}).digest);
        text += &format!("tokio {name} {:016x}\n", case.explore_on_tokio(&plan, |_| {}).digest);
    }
    let turmoil = (0..SEEDS).fold(DefaultHasher::new(), |mut all, seed| {
        turmoil_run(seed).hash(&mut all);
        all
    });
    text + &format!("turmoil {:016x}\n", turmoil.finish())
}

const MARK: &str = "digest: ";

#[test]
#[ignore = "speaks to the tests below, from a process of its own"]
fn tell() {
    for line in digests().lines() {
        println!("{MARK}{line}");
    }
}

#[test]
#[ignore = "speaks to the tests below, from a process of its own"]
fn tell_one() {
    let case = cases::find("ft-push").expect("a case of that name");
    println!("{MARK}{}", case.run(&"c2s@16 split; s2c@50 delay 20ms; c2s@200 rst".parse().expect("a schedule")).hash);
}

/// What a test of this program says in a process of its own.
fn asked(test: &str) -> String {
    let program = std::env::current_exe().expect("a test program has a path");
    let output = Command::new(program).args(["--ignored", "--exact", "--nocapture", test]).output();
    let output = output.expect("it runs once more");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<&str> = said.lines().filter_map(|line| line.split_once(MARK).map(|(_, digest)| digest)).collect();
    assert!(!lines.is_empty(), "{test} said nothing: {said}");
    lines.join("\n") + "\n"
}

#[test]
fn one_run_has_one_hash_in_twenty_processes() {
    let first = asked("tell_one");
    for _ in 1..20 {
        assert_eq!(asked("tell_one"), first);
    }
}

#[test]
fn thousand_seeds_are_the_same_in_two_processes_and_every_world() {
    let here = digests();
    assert_eq!(here.lines().count(), 9, "{here}");
    assert_eq!(asked("tell"), here);
}
