//! A local user without rights who swaps a folder in the served root for a link to a folder outside, as fast as the kernel
//! does it, while files are put into it and got from it. Nothing of the fence is in this: names are resolved by the disk
//! code of the program, in this process, which is not fenced.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ft_cli::disk::{Policy, Root, WalkOptions};
use ft_core::event::Report;
use ft_core::frame::{Compare, Intent, Level, Links, Overwrite, Want};
use ft_core::memory::{Entry, Memory};
use ft_core::path::RelPath;
use ft_core::session::{self, NoPulse, Options};
use rustix::fs::{CWD, RenameFlags};

/// Swaps of the full run: `FT_SWAPS=100000`.
const SWAPS: &str = "FT_SWAPS";
const USUAL: u64 = 10_000;

const INSIDE: &[u8] = b"inside";
const OUTSIDE: &[u8] = b"OUTSIDE, which nobody may see";

fn options() -> Options {
    Options { overwrite: Overwrite::Replace, compare: Compare::None, level: Level::Cached, ..Options::default() }
}

/// A session between this memory and the served root.
async fn session(root: &Arc<Root>, ours: &Memory, wants: Vec<Want>) -> Report {
    let (near, far) = tokio::io::duplex(1 << 16);
    let options = options();
    let server = async {
        let Ok(accepted) = session::accept(far, &[]).await else { return };
        match accepted.intent() {
            Intent::Push => {
                let policy = Policy { overwrite: Overwrite::Replace, least: Level::Cached, ..Policy::default() };
                accepted.receive(root.storage(policy), &options, NoPulse, |_| {}).await;
            }
            Intent::Pull | Intent::List => {
                accepted.send(root.source(WalkOptions::default()), &options, NoPulse, |_| {}).await;
            }
        }
    };
    let client = async {
        match wants.is_empty() {
            true => session::push(near, ours.source(), &options, NoPulse, |_| {}).await,
            false => session::pull(near, wants, ours.storage(), &options, NoPulse, |_| {}).await,
        }
    };
    let both = async { tokio::join!(client, server).0 };
    tokio::time::timeout(Duration::from_secs(60), both).await.expect("no session hangs")
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let read = |entry: &fs::DirEntry| fs::read(entry.path()).unwrap_or_else(|_| b"a folder".to_vec());
    entries.map(|entry| (entry.file_name().to_string_lossy().into_owned(), read(&entry))).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folder_that_is_swapped_for_a_link_all_the_time_leads_no_session_outside() {
    let swaps = std::env::var(SWAPS).map_or(USUAL, |text| text.parse().expect("a number"));
    let home = tempfile::tempdir().expect("a folder");
    let place = |name: &str| home.path().join(name);
    for folder in ["root/sub/deep", "outside/deep"] {
        fs::create_dir_all(place(folder)).expect("folders");
    }
    for name in ["f0", "f1", "deep/f2"] {
        fs::write(place("root/sub").join(name), INSIDE).expect("a file");
        fs::write(place("outside").join(name), OUTSIDE).expect("a file");
    }
    symlink("../outside", place("root/other")).expect("a link");
    let before = [contents(&place("outside")), contents(&place("outside/deep"))];

    let (stop, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let attacker = std::thread::spawn({
        let (sub, other, stop, done) = (place("root/sub"), place("root/other"), Arc::clone(&stop), Arc::clone(&done));
        move || {
            while done.fetch_add(1, Ordering::Relaxed) < swaps && !stop.load(Ordering::Relaxed) {
                rustix::fs::renameat_with(CWD, &sub, CWD, &other, RenameFlags::EXCHANGE).expect("an exchange");
                // So short that several fall into one session, whose steps take some tens of microseconds.
                std::thread::sleep(Duration::from_micros(20));
            }
        }
    });

    let root = Root::open(&place("root")).expect("the root");
    let path = |name: &str| RelPath::parse(name.as_bytes()).expect("a path");
    let (mut stored, mut refused, mut got, mut missed) = (0, 0, 0, 0);
    while done.load(Ordering::Relaxed) < swaps {
        let ours = Memory::new();
        for name in ["sub/f0", "sub/new", "sub/deep/f2", "sub/made/too"] {
            ours.put(Entry::file(name, INSIDE));
        }
        let report = session(&root, &ours, Vec::new()).await;
        (stored, refused) = (stored + report.completed, refused + report.failed);

        for links in [Links::Skip, Links::Follow] {
            let theirs = Memory::new();
            let want = |name| Want { path: path(name), depth: u16::MAX, links, last: false };
            let report = session(&root, &theirs, vec![want("sub"), want("sub/f1"), want("sub/deep/f2")]).await;
            (got, missed) = (got + report.completed, missed + report.wants.len());
            let names: Vec<String> = theirs.tree().files.keys().map(ToString::to_string).collect();
            for name in names {
                let content = theirs.content(&name).unwrap_or_default();
                assert_ne!(content, OUTSIDE, "{name} was read from outside");
            }
        }
    }
    stop.store(true, Ordering::Relaxed);
    attacker.join().expect("the attacker ends");
    assert_eq!(before, [contents(&place("outside")), contents(&place("outside/deep"))], "nothing outside has changed");
    assert!(!place("outside/made").exists());
    // Otherwise there was no race.
    assert!(stored > 0 && refused > 0 && got > 0 && missed > 0, "{stored} {refused} {got} {missed}");
    eprintln!("{swaps} swaps: {stored} stored, {refused} refused, {got} got, {missed} missed");
}
