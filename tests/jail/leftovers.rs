//! Nothing is left: no process, no folder, no mount.

use std::fs;
use std::time::Duration;

use ft_cli::jail::{Isolation, Left, Status};

use super::harness::{
    both, contained, in_network, in_network_of, marked, marker, program, python, run, sh, until, until_printed,
};

#[test]
fn children_left_behind_are_counted_and_killed() {
    for jail in both() {
        let word = marker("left");
        let (ended, output) = run(&jail, &python("fork_many.py", &["6", &word, "0"]));
        assert_eq!((ended.status, ended.breach), (Status::Code(0), None), "{output:?}");
        // Those that are still between two forks may be seen or not.
        assert!(ended.left >= 3, "{ended:?}");
        assert!(marked(&word).is_empty());
    }
}

#[test]
fn killed_program_takes_its_daemons_along() {
    for jail in both() {
        let word = marker("daemons");
        let mut running = jail.start(&python("fork_many.py", &["10", &word])).unwrap();
        until_printed(&mut running, "forked");
        until(|| running.pids().len() == 11 && marked(&word).len() == 11);
        running.kill();
        assert_eq!((marked(&word), running.pids()), (vec![], vec![]));
    }
}

#[test]
fn dropping_a_running_program_kills_it() {
    for jail in both() {
        let word = marker("dropped");
        let mut running = jail.start(&python("fork_many.py", &["4", &word])).unwrap();
        until_printed(&mut running, "forked");
        drop(running);
        assert!(marked(&word).is_empty());
    }
}

#[test]
fn dropping_a_jail_in_the_middle_leaves_nothing() {
    for jail in both() {
        let word = marker("middle");
        let mut running = jail.start(&python("fork_many.py", &["4", &word])).unwrap();
        until_printed(&mut running, "forked");
        let folder = jail.work().ancestors().nth(2).unwrap().to_owned();
        assert!(folder.join("home").is_dir());
        until(|| running.pids().len() == 5);
        let (network, inside) = in_network_of(running.pids()[0]);
        let own = *jail.isolation() == Isolation::Namespaces;
        // The program's five, its guard and stage, and the jail's keeper.
        assert!(!own || inside.len() == 8, "{inside:?}");
        drop(jail);
        assert!(!own || in_network(&network).is_empty());
        assert!(marked(&word).is_empty());
        assert!(!folder.exists(), "{folder:?}");
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains("ft-jail-"), "{mounts}");
        assert_eq!(running.try_wait().unwrap().map(|ended| ended.status), Some(Status::Signal(9)));
    }
}

#[test]
fn jail_whose_caller_is_killed_ends_by_itself() {
    if std::env::var_os("JAIL_TEST_CALLER").is_some() {
        // The second process of this test: it makes both kinds, and is killed.
        let word = std::env::var("JAIL_TEST_WORD").unwrap();
        let all: Vec<_> = both().collect();
        let mut running: Vec<_> =
            all.iter().map(|jail| jail.start(&python("fork_many.py", &["3", &word])).unwrap()).collect();
        for one in &mut running {
            until_printed(one, "forked");
        }
        println!("ready");
        std::thread::sleep(Duration::from_secs(60));
        return;
    }
    let word = marker("orphaned");
    let kinds = both().count();
    let name = "leftovers::jail_whose_caller_is_killed_ends_by_itself";
    let temporary = tempfile::tempdir().unwrap();
    let mut caller = std::process::Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture"])
        .env("JAIL_TEST_CALLER", "1")
        .env("JAIL_TEST_WORD", &word)
        .env("TMPDIR", temporary.path())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    until(|| marked(&word).len() == 4 * kinds);
    caller.kill().unwrap();
    caller.wait().unwrap();
    until(|| marked(&word).is_empty());
}

#[test]
fn folders_that_a_program_has_locked_are_removed_all_the_same() {
    for mut jail in both() {
        let line = "mkdir -p a/b ../c && touch a/b/f && chmod 0 a/b a ../c && chmod 500 .";
        assert_eq!(run(&jail, &sh(line)).0.status, Status::Code(0));
        jail.clear().unwrap();
        assert_eq!(run(&jail, &sh(&format!("{line} && ls -A /"))).0.status, Status::Code(0));
        let folder = jail.work().ancestors().nth(2).unwrap().to_owned();
        drop(jail);
        assert!(!folder.exists(), "{folder:?}");
    }
}

#[test]
fn clearing_keeps_the_jail_good_and_follows_no_link() {
    let Some(mut jail) = contained() else { return };
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("kept"), "").unwrap();
    let link = format!("ln -s {0:?} l && ln -s {0:?} ../l && ln -s {0:?} /tmp/l && mkdir /tmp/d ~/d", outside.path());
    for _ in 0..3 {
        let (ended, output) = run(&jail, &sh(&link));
        assert_eq!(ended.status, Status::Code(0), "{output:?}");
        assert_eq!(jail.strays().len(), 4);
        jail.clear().unwrap();
        assert_eq!(jail.strays(), Vec::<std::path::PathBuf>::new());
    }
    assert!(outside.path().join("kept").exists());
    assert_eq!(run(&jail, &program(["pwd"])).0.status, Status::Code(0));
}

#[test]
fn folder_that_a_program_has_put_a_link_in_the_place_of_is_made_anew_and_nothing_behind_the_link_is_touched() {
    for mut jail in both() {
        let outside = tempfile::tempdir().unwrap();
        fs::create_dir(outside.path().join("folder")).unwrap();
        fs::write(outside.path().join("folder/kept"), "1").unwrap();
        fs::write(outside.path().join("data.txt"), "2").unwrap();
        let line = format!("mv ../work ../away && ln -s {:?} ../work", outside.path());
        let (ended, output) = run(&jail, &sh(&line));
        assert_eq!(ended.status, Status::Code(0), "{output:?}");
        // Files are put and removed where the program was begun, not where the link in its place leads.
        jail.put("data.txt", b"ours").unwrap();
        jail.tidy().unwrap();
        assert_eq!(jail.names().unwrap(), Vec::<std::ffi::OsString>::new());
        jail.clear().unwrap();
        assert_eq!(fs::read(outside.path().join("data.txt")).unwrap(), b"2");
        assert_eq!(fs::read(outside.path().join("folder/kept")).unwrap(), b"1");
        assert_eq!(jail.strays(), Vec::<std::path::PathBuf>::new());
        let (ended, output) = run(&jail, &sh("touch here && test -e ../work/here"));
        assert_eq!(ended.status, Status::Code(0), "{output:?}");
    }
}

#[test]
fn what_is_no_file_is_neither_waited_for_nor_followed_nor_written_through() {
    for jail in both() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("kept"), "theirs").unwrap();
        let line = format!(
            "mkfifo pipe && ln -s /dev/zero zeros && ln -s {:?}/kept link && mkdir folder && echo ab > file",
            outside.path()
        );
        assert_eq!(run(&jail, &sh(&line)).0.status, Status::Code(0));
        for name in ["pipe", "zeros", "link", "folder"] {
            assert_eq!(jail.left(name, 10), Left::NoFile, "{name}");
        }
        assert_eq!(jail.left("file", 1), Left::File { bytes: b"a".to_vec(), len: 3 });
        assert_eq!(jail.left("none", 1), Left::Nothing);
        assert_eq!(jail.left("../work/file", 1), Left::Nothing, "a name is one component");
        for name in ["pipe", "zeros", "link", "folder"] {
            jail.put(name, b"ours").unwrap();
            assert_eq!(jail.left(name, 10), Left::File { bytes: b"ours".to_vec(), len: 4 }, "{name}");
        }
        assert_eq!(fs::read(outside.path().join("kept")).unwrap(), b"theirs");
    }
}
