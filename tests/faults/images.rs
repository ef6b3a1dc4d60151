//! Real file systems in images behind loop devices: killed there, cut off from power, and full.
//!
//! These need root, loop devices, `xfsprogs` and `btrfs-progs`, and a kernel with ext4, XFS and btrfs, so they are ignored
//! unless asked for (`-- --ignored`); asked for, they fail where something is missing. `FT_CUTS=N` sets how often.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, SystemTime};

use crate::ground::{Ground, Place, Size};
use crate::killed::{Kill, after, kill_after, report, seed, whole};
use crate::promises::{done, ended, said};
use crate::support::{Random, Running, Server, content, ft_cli};
use crate::transfer::{Side, Verb, Way, transfer};

const MIB: u64 = 1 << 20;

fn cuts(default: usize) -> usize {
    std::env::var("FT_CUTS").map_or(default, |text| text.parse().expect("FT_CUTS is a number"))
}

/// Runs a tool of the system, which must succeed.
#[track_caller]
fn tool(program: &str, args: &[&str]) {
    let ran = Command::new(program).args(args).output();
    let ran = ran.unwrap_or_else(|e| panic!("{program} does not start: {e}; is it installed?"));
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{program} {args:?} (root, loop devices and the file system are needed): {said}");
}

/// exFAT keeps `a` and `A` as they were written, and takes them for one name.
const FOLDING: &str = "exfat-fuse";

/// ext4 whose inodes have no room for parts of a second.
const SHORT: &str = "ext4 with short inodes";

/// A mounted image in memory.
struct Image {
    folder: tempfile::TempDir,
    system: &'static str,
}

impl Image {
    fn new(system: &'static str, mib: u64) -> Self {
        let folder = tempfile::tempdir_in(Ground::memory()).expect("a folder");
        let image = Self { folder, system };
        let file = File::create(image.file()).expect("created");
        file.set_len(mib * MIB).expect("made long");
        std::fs::create_dir(image.mounted()).expect("made");
        let path = image.file();
        let path = path.to_str().expect("text");
        match system {
            "ext4" => tool("mkfs.ext4", &["-q", "-F", path]),
            SHORT => tool("mkfs.ext4", &["-q", "-F", "-I", "128", path]),
            "xfs" => tool("mkfs.xfs", &["-q", "-f", path]),
            FOLDING => tool("mkfs.exfat", &[path]),
            _ => tool("mkfs.btrfs", &["-q", "-f", path]),
        }
        image.mount();
        image
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("image")
    }

    fn mounted(&self) -> PathBuf {
        self.folder.path().join("mounted")
    }

    fn mount(&self) {
        let (from, to) = (self.file(), self.mounted());
        let (from, to) = (from.to_str().expect("text"), to.to_str().expect("text"));
        let system = if self.system == SHORT { "ext4" } else { self.system };
        let args = ["-t", system, "-o", "loop", from, to];
        tool("mount", &args);
    }

    /// What is there now is on the disk.
    fn sync(&self) {
        tool("sync", &["-f", self.mounted().to_str().expect("text")]);
    }

    /// The file system goes down as it is, its journal unflushed, as when the power fails. Of btrfs, which this kernel may
    /// not shut down, what is on the disk now is kept for later: nobody may be writing.
    fn cut(&self) {
        if self.system == "btrfs" {
            let (from, to) = (self.file(), self.kept());
            tool("cp", &["--sparse=always", from.to_str().expect("text"), to.to_str().expect("text")]);
        } else {
            tool("xfs_io", &["-x", "-c", "shutdown", self.mounted().to_str().expect("text")]);
        }
    }

    fn kept(&self) -> PathBuf {
        self.folder.path().join("kept")
    }

    /// The power is back: what was on the disk is read again.
    fn mount_again(&self) {
        tool("umount", &[self.mounted().to_str().expect("text")]);
        if self.kept().exists() {
            std::fs::rename(self.kept(), self.file()).expect("renamed");
        }
        self.mount();
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // Not mounted, if making it failed.
        let _ = Command::new("umount").arg(self.mounted()).output();
    }
}

fn receives(way: Way) -> bool {
    (way.verb == Verb::Put) == (way.side == Side::Server)
}

#[test]
#[ignore = "needs root and loop devices"]
fn either_side_killed_on_a_journaled_ext4_leaves_nothing_torn_and_nothing_lost() {
    let ground = Ground::new(Size::Small);
    let image = Image::new("ext4", 256);
    let mut random = Random::new(seed());
    let at = image.mounted();
    let ways: Vec<_> = Way::all().into_iter().map(|way| (way, whole(&ground, way, Some(&at)))).collect();
    let mut kills = Vec::new();
    for n in 0..cuts(200) {
        let (way, whole) = ways[n % ways.len()];
        let place = ground.place_at(&at);
        let (lines, bit) = kill_after(&ground, way, &place, whole.mul_f64(random.fraction()));
        kills.push(after(&ground, way, &place, (None, bit), &lines));
    }
    report("killed at random moments on ext4", &kills);
}

/// One transfer during which the receiver's disk loses its power.
fn cut_during(image: &Image, ground: &Ground, way: Way, wait: Duration) -> Kill {
    let place = ground.place_at(&image.mounted());
    image.sync();
    let mut server = Server::run(&mut way.server(ground, &place, "127.0.0.1:0"));
    let mut client = Running::start(&mut way.client(ground, &place, &server.address));
    std::thread::sleep(wait);
    let bit = client.runs();
    if image.system != "btrfs" {
        image.cut();
        // What is still said now, on a disk that answers nothing, is held against it as well.
        std::thread::sleep(Duration::from_millis(5));
    }
    client.kill();
    server.running.kill();
    let lines = [client.finish().out, server.running.finish().out].concat();
    if image.system == "btrfs" {
        image.cut();
    }
    image.mount_again();
    after(ground, way, &place, (None, bit), &lines)
}

#[test]
#[ignore = "needs root and loop devices"]
fn what_was_called_durable_is_there_after_the_power_fails_on_ext4_xfs_and_btrfs() {
    let ground = Ground::new(Size::Small);
    let mut all = Vec::new();
    for system in ["ext4", "xfs", "btrfs"] {
        let image = Image::new(system, 320);
        let ways: Vec<_> = Way::all().into_iter().filter(|way| way.durable && receives(*way)).collect();
        let times: Vec<_> = ways.iter().map(|way| whole(&ground, *way, Some(&image.mounted()))).collect();
        let mut random = Random::new(seed());
        let mut kills = Vec::new();
        let cuts = u32::try_from(cuts(100)).expect("few");
        for (n, at) in (0..cuts).zip((0..ways.len()).cycle()) {
            // Spread over the whole transfer and a little more, so that few of them are enough to hit its end, too.
            let when = 1.2 * (f64::from(n) + random.fraction()) / f64::from(cuts);
            kills.push(cut_during(&image, &ground, ways[at], times[at].mul_f64(when)));
        }
        println!("{system}:");
        let told = kills.iter().filter(|kill| kill.told > 0).count();
        let bit = kills.iter().filter(|kill| kill.bit).count();
        println!("  {} cuts, {bit} during the transfer, {told} after something was called durable", kills.len());
        assert!(told * 10 >= kills.len(), "a cut that nothing precedes shows nothing about what was promised");
        all.extend(kills);
    }
    report("power cut", &all);
}

/// Takes all room but so much.
fn fill(image: &Image, left: u64) -> PathBuf {
    let (at, path) = (image.mounted(), image.mounted().join("filler"));
    let free = || rustix::fs::statvfs(&at).map(|st| st.f_bavail * st.f_frsize).expect("an answer");
    let bytes = vec![1; 64 * 1024];
    // What is delayed, or set aside for what may come, counts only when it is written, or given back.
    for _ in 0..10 {
        let mut file = File::options().create(true).append(true).open(&path).expect("opened");
        while free() > left && std::io::Write::write_all(&mut file, &bytes).is_ok() {}
        drop(file);
        let _full = Command::new("sync").arg("-f").arg(&at).output();
    }
    path
}

/// A tree goes to a disk that is as good as full, and again when it is not.
fn onto_full(image: &Image, ground: &Ground, way: Way, left: u64) -> (Option<i32>, Vec<String>) {
    let place: Place = ground.place_at(&image.mounted());
    image.sync();
    let filler = fill(image, left);
    let outcome = transfer(way, ground, &place, None);
    let mut wrong = ground.torn(&place.folder);
    let client = outcome.client.expect("a server");
    wrong.extend(said(ground, &place.folder, &client));
    if let Ok((server, _)) = outcome.server {
        ended(server, &mut wrong);
    }
    std::fs::remove_file(filler).expect("removed");
    image.sync();
    let again = transfer(way, ground, &place, None);
    wrong.extend(done(&again.client.expect("a server")));
    if let Ok((server, _)) = again.server {
        ended(server, &mut wrong);
    }
    wrong.extend(ground.lost(&place.folder, &ground.all_names()));
    (client.code, wrong)
}

#[test]
#[ignore = "needs root and loop devices"]
fn full_disk_is_told_nothing_is_torn_and_with_room_again_it_completes_on_ext4_xfs_and_btrfs() {
    let ground = Ground::new(Size::Full);
    for (system, mib) in [("ext4", 48), ("xfs", 320), ("btrfs", 160)] {
        let image = Image::new(system, mib);
        let mut refused = 0;
        for way in Way::all().into_iter().filter(|way| receives(*way)) {
            for left in [0, MIB / 2, MIB + MIB / 4, 2 * MIB, 3 * MIB] {
                let (code, wrong) = onto_full(&image, &ground, way, left);
                println!("{system}: {}, {} KiB left: exit code {code:?}", way.shown(), left / 1024);
                assert_eq!(wrong, Vec::<String>::new(), "{system}: {way:?} {left}");
                refused += usize::from(code == Some(4));
            }
        }
        assert!(refused >= 4, "{system}: only {refused} of 20 found the disk full");
    }
}

/// Of standard input nobody knows how long it becomes, so nothing is reserved: the disk fills up under way.
#[test]
#[ignore = "needs root and loop devices"]
fn disk_that_fills_up_under_way_fails_the_file_and_keeps_the_old_one_on_ext4_xfs_and_btrfs() {
    for (system, mib) in [("ext4", 48), ("xfs", 320), ("btrfs", 160)] {
        let image = Image::new(system, mib);
        let there = image.mounted().join("there");
        std::fs::create_dir(&there).expect("made");
        std::fs::write(there.join("piped"), "the old one").expect("written");
        let source = image.folder.path().join("long");
        std::fs::write(&source, content(16 << 20, 1)).expect("written");
        let filler = fill(&image, 6 * MIB);
        let server = Server::start(&there, ["--json"]);
        let put = |code| {
            let mut command = ft_cli(["put", "--json", "--retries", "0", "--name", "piped", "-"]);
            command.arg(&server.address).stdin(File::open(&source).expect("opened"));
            let ran = command.output().expect("it runs");
            let said = String::from_utf8_lossy(&ran.stdout).into_owned();
            assert_eq!(ran.status.code(), Some(code), "{system}: {said}");
            said
        };
        let said = put(4);
        assert!(said.contains(r#""code":"no-space""#), "{system}: {said}");
        assert_eq!(std::fs::read(there.join("piped")).expect("there"), b"the old one", "{system}");
        std::fs::remove_file(filler).expect("removed");
        image.sync();
        put(0);
        assert!(std::fs::read(there.join("piped")).expect("there") == content(16 << 20, 1), "{system}");
        server.stop().expect(0);
        assert!(!there.join(".ft-staging").exists(), "{system}: nothing is left");
    }
}

/// What a client says of an offer to a folder where `notes` and `sub/inner` are, on a file system that folds: exit code and all it said.
fn put_into_folding(options: &[&str], client: &[&str], name: &str) -> (Option<i32>, String, Vec<(String, String)>) {
    let image = Image::new(FOLDING, 32);
    let there = image.mounted().join("there");
    std::fs::create_dir_all(there.join("sub")).expect("made");
    std::fs::write(there.join("notes"), "old").expect("written");
    std::fs::write(there.join("sub/inner"), "old").expect("written");
    let source = image.folder.path().join("source");
    std::fs::create_dir_all(source.join(name).parent().expect("a folder")).expect("made");
    std::fs::write(source.join(name), "new").expect("written");
    // Of files that were written in the same moment exFAT's times say that they are the same.
    let before = SystemTime::now() - Duration::from_secs(3600);
    File::options().write(true).open(source.join(name)).and_then(|file| file.set_modified(before)).expect("dated");
    let server = Server::start(&there, ["--json"].iter().chain(options));
    let mut command = ft_cli(["put", "--json", "--retries", "0"].iter().chain(client));
    command.arg(source.join(".")).arg(&server.address);
    let ran = command.output().expect("it runs");
    server.stop();
    let mut left = Vec::new();
    for folder in [there.clone(), there.join("sub")] {
        for entry in std::fs::read_dir(folder).expect("readable") {
            let file = entry.expect("readable").path();
            if file.is_file() {
                let name = file.strip_prefix(&there).expect("beneath").display().to_string();
                left.push((name, std::fs::read_to_string(&file).expect("readable")));
            }
        }
    }
    left.sort();
    (ran.status.code(), String::from_utf8_lossy(&ran.stdout).into_owned(), left)
}

fn left(files: &[(&str, &str)]) -> Vec<(String, String)> {
    files.iter().map(|(name, content)| ((*name).to_owned(), (*content).to_owned())).collect()
}

#[test]
#[ignore = "needs root, /dev/fuse and exfat-fuse"]
fn file_system_that_takes_two_names_for_one_loses_neither_file() {
    let both = left(&[("notes", "old"), ("sub/inner", "old")]);
    for (name, other) in [("NOTES", "notes"), ("Sub/inner", "sub"), ("Sub/new", "sub"), ("sub/INNER", "inner")] {
        for options in [&[][..], &["--overwrite", "replace"], &["--names", "portable"]] {
            let (code, said, there) = put_into_folding(options, &[], name);
            assert_eq!(code, Some(4), "{name} {options:?}: {said}");
            let want = format!("{other} is there, and this file system takes the two names for one");
            assert!(said.contains(r#""code":"exists""#) && said.contains(&want), "{name} {options:?}: {said}");
            assert_eq!(there, both, "{name} {options:?}");
        }
    }
    let (code, said, there) = put_into_folding(&[], &["--overwrite", "keep-both"], "NOTES");
    assert_eq!(
        (code, there),
        (Some(0), left(&[("NOTES (1)", "new"), ("notes", "old"), ("sub/inner", "old")])),
        "{said}"
    );
    // Whoever wants it as the file system has it can have it so.
    let (code, said, there) = put_into_folding(&["--names", "any"], &[], "NOTES");
    assert_eq!((code, there), (Some(0), left(&[("NOTES", "new"), ("sub/inner", "old")])), "{said}");
    // The same name is the same file.
    let (code, said, there) = put_into_folding(&[], &[], "sub/inner");
    assert_eq!((code, there), (Some(0), left(&[("notes", "old"), ("sub/inner", "new")])), "{said}");
}

#[test]
#[ignore = "needs root, /dev/fuse and exfat-fuse"]
fn two_spellings_in_one_transfer_land_the_first_and_refuse_the_second() {
    let image = Image::new(FOLDING, 32);
    let there = image.mounted().join("there");
    std::fs::create_dir(&there).expect("made");
    let source = image.folder.path().join("source");
    std::fs::create_dir(&source).expect("made");
    for name in ["one", "ONE", "One"] {
        std::fs::write(source.join(name), name).expect("written");
    }
    let server = Server::start(&there, ["--json"]);
    let mut command = ft_cli(["put", "--json", "--retries", "0"]);
    let ran = command.arg(source.join(".")).arg(&server.address).output().expect("it runs");
    server.stop().expect(0);
    let said = String::from_utf8_lossy(&ran.stdout);
    assert_eq!((ran.status.code(), said.matches(r#""code":"exists""#).count()), (Some(4), 2), "{said}");
    let names: Vec<_> =
        std::fs::read_dir(&there).expect("readable").map(|e| e.expect("readable").file_name()).collect();
    let [name] = &names[..] else { panic!("one of them has landed: {names:?}") };
    assert_eq!(std::fs::read_to_string(there.join(name)).expect("readable").as_str(), name);
}

/// Times of which a file system keeps less than is offered: 1 s, 10 ms or 2 s, and the whole of it.
#[test]
#[ignore = "needs root, loop devices, /dev/fuse and exfat-fuse"]
fn file_whose_time_is_kept_in_part_is_still_the_same_file_when_it_comes_again() {
    for system in [FOLDING, SHORT, "ext4"] {
        let image = Image::new(system, 32);
        let there = image.mounted().join("there");
        std::fs::create_dir(&there).expect("made");
        let source = image.folder.path().join("notes");
        std::fs::write(&source, "mine").expect("written");
        let touch = |nanos| {
            let file = File::options().write(true).open(&source).expect("opened");
            let time = std::time::UNIX_EPOCH + Duration::new(1_700_000_001, nanos);
            file.set_modified(time).expect("set");
        };
        let put = |overwrite, code| {
            let server = Server::start(&there, ["--json"]);
            let mut command = ft_cli(["put", "--json", "--retries", "0", "--overwrite", overwrite]);
            let ran = command.arg(&source).arg(&server.address).output().expect("it runs");
            server.stop().expect(0);
            let said = String::from_utf8_lossy(&ran.stdout);
            assert_eq!(ran.status.code(), Some(code), "{system} {overwrite}: {said}");
            std::fs::read_dir(&there).expect("readable").count()
        };
        touch(987_654_321);
        for overwrite in ["never", "never", "keep-both", "replace"] {
            assert_eq!(put(overwrite, 0), 1, "{system} {overwrite}");
        }
        // Another time is another file, wherever the difference can be kept.
        touch(if system == "ext4" { 987_654_320 } else { 0 });
        let other = if system == "ext4" { 4 } else { 0 };
        assert_eq!(put("never", other), 1, "{system}");
    }
}
