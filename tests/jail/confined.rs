//! Where a program can write, what it can see, and what it may do.

use std::path::Path;

use ft_cli::jail::{Jail, Status};

use super::harness::{both, contained, in_repository, inline, plain, program, run, sh};

fn fails(jail: &Jail, line: &str) {
    let (ended, output) = run(jail, &sh(line));
    assert_ne!(ended.status, Status::Code(0), "{line}: {output:?}");
}

#[test]
fn what_is_written_outside_the_folder_is_told() {
    for mut jail in both() {
        let tmp = if *jail.isolation() == ft_cli::jail::Isolation::Namespaces { "/tmp" } else { "$TMPDIR" };
        let line = format!("echo in > x; echo a > ../x; mkdir ../d; echo b > ../d/y; echo c > ~/z; echo d > {tmp}/t");
        let (ended, output) = run(&jail, &sh(&line));
        assert_eq!(ended.status, Status::Code(0), "{output:?}");
        let expected = ["../d", "../d/y", "../x", "~/z"].map(Path::new);
        let mut strays = jail.strays();
        let own = strays.iter().position(|path| *path == Path::new(tmp).join("t")).expect("the one in tmp");
        strays.remove(own);
        assert_eq!(strays, expected);
        jail.clear().unwrap();
        assert_eq!(jail.strays(), Vec::<std::path::PathBuf>::new());
    }
}

#[test]
fn program_that_behaves_has_no_strays() {
    for jail in both() {
        assert_eq!(run(&jail, &inline("import json, tempfile; open('x', 'w')")).0.status, Status::Code(0));
        assert_eq!(jail.strays(), Vec::<std::path::PathBuf>::new());
    }
}

#[test]
fn rest_of_the_file_system_can_be_read_and_not_written() {
    let Some(jail) = contained() else { return };
    let outside = tempfile::tempdir_in(super::harness::outside_tmp()).unwrap();
    let existing = outside.path().join("existing");
    std::fs::write(&existing, "old").unwrap();
    let (ended, output) = run(&jail, &program(["cat".as_ref(), existing.as_os_str()]));
    assert_eq!((ended.status, &output.stdout[..]), (Status::Code(0), &b"old"[..]));
    for line in ["echo new > existing", "echo new > new", "rm existing", "mkdir d", "chmod 777 existing", "touch ."] {
        fails(&jail, &format!("cd {:?} && {line}", outside.path()));
    }
    assert_eq!(std::fs::read(&existing).unwrap(), b"old");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 1);
    fails(&jail, &format!("touch {:?}", in_repository("Cargo.toml")));
    fails(&jail, "echo x > ../../x");
    fails(&jail, "mkdir /x");
    fails(&jail, "touch /dev/x");
}

#[test]
fn callers_temporary_files_are_neither_seen_nor_changed() {
    let Some(jail) = contained() else { return };
    let outside = tempfile::tempdir_in("/tmp").unwrap();
    fails(&jail, &format!("ls {:?}", outside.path()));
    let (ended, _) = run(&jail, &sh(&format!("mkdir {0:?} && echo x > {0:?}/x", outside.path())));
    assert_eq!(ended.status, Status::Code(0), "the jail has a /tmp of its own");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    assert_eq!(jail.strays().len(), 2);
}

#[test]
fn what_is_shown_can_be_read_beneath_tmp() {
    if contained().is_none() {
        return;
    }
    let outside = tempfile::tempdir_in("/tmp").unwrap();
    std::fs::write(outside.path().join("f"), "text").unwrap();
    let mut jail = Jail::showing(super::harness::LIMITS, &[outside.path().to_owned()]).unwrap();
    for _ in 0..2 {
        let (ended, output) = run(&jail, &sh(&format!("cat {:?}/f", outside.path())));
        assert_eq!((ended.status, &output.stdout[..]), (Status::Code(0), &b"text"[..]), "{output:?}");
        fails(&jail, &format!("echo x > {:?}/x", outside.path()));
        assert_eq!(jail.strays(), Vec::<std::path::PathBuf>::new());
        jail.clear().unwrap();
    }
}

#[test]
fn program_has_no_rights_and_cannot_get_any() {
    let Some(jail) = contained() else { return };
    let (_, output) = run(&jail, &sh("grep -E '^(Cap|NoNewPrivs)' /proc/self/status"));
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 6, "{text}");
    for line in text.lines() {
        let (name, value) = line.split_once(":\t").unwrap();
        assert_eq!(value, if name == "NoNewPrivs" { "1" } else { "0000000000000000" }, "{line}");
    }
    fails(&jail, "mount -t tmpfs none /mnt");
    fails(&jail, "mount -o remount,rw,bind /");
    fails(&jail, "umount /tmp");
    fails(&jail, "unshare -Ur true");
    fails(&jail, "hostname other");
    fails(&jail, "echo 1 > /proc/sys/kernel/printk");
    fails(&jail, "echo 0 > /proc/sys/net/ipv4/ip_unprivileged_port_start");
    fails(&jail, "mknod x c 1 3");
    fails(&jail, "ip link set lo down");
}

#[test]
fn being_root_outside_opens_no_locked_file() {
    let Some(jail) = contained() else { return };
    let locked = jail.work().join("locked");
    std::fs::write(&locked, "x").unwrap();
    std::fs::set_permissions(&locked, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
    fails(&jail, "cat locked");
    if std::fs::File::open("/etc/shadow").is_err() {
        fails(&jail, "cat /etc/shadow");
    }
}

/// All the rest once more, by somebody who is not root, if this is.
#[test]
fn all_holds_for_an_unprivileged_caller_too() {
    let me = std::env::current_exe().unwrap();
    let nobody = |program: &Path| {
        let mut command = std::process::Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(program).current_dir("/");
        command
    };
    let helper = Path::new(env!("CARGO_BIN_EXE_ft-cli"));
    let can = |program| nobody(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !rustix::process::geteuid().is_root() || !can(helper) {
        return eprintln!("not tested: this is not root, or nobody else can run what was built");
    }
    let outside = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    std::fs::set_permissions(outside.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    let output = nobody(&me)
        .args(["--test-threads", "2", "--skip", "all_holds_for"])
        .env("JAIL_TEST_OUTSIDE", outside.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn devices_that_store_nothing_are_there_and_no_others() {
    let Some(jail) = contained() else { return };
    let (ended, output) = run(&jail, &sh("head -c 4 /dev/urandom | wc -c && echo > /dev/null && ls /dev"));
    assert_eq!(ended.status, Status::Code(0));
    let listed = String::from_utf8(output.stdout).unwrap();
    for name in listed.lines().skip(1) {
        assert!(
            ["fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "tty", "urandom", "zero"]
                .contains(&name),
            "{name}"
        );
    }
}

#[test]
fn processes_outside_are_not_seen_and_not_signalled() {
    let Some(jail) = contained() else { return };
    let me = std::process::id();
    fails(&jail, &format!("kill -0 {me}"));
    let code = "import os\nprint(sum(n.isdigit() for n in os.listdir('/proc')))\n\
                try: os.kill(-1, 9)\nexcept ProcessLookupError: print('nobody')";
    // The guard and itself.
    assert_eq!(run(&jail, &inline(code)).1.stdout, b"2\nnobody\n");
    let (ended, _) = run(&jail, &sh("kill -9 1; kill -STOP 1; kill 1; exit 4"));
    assert_eq!(ended.status, Status::Code(4), "the guard does not care");
    fails(&jail, "cat /proc/1/environ");
    fails(&jail, "readlink /proc/1/exe");
    fails(&jail, "readlink /proc/1/fd/0");
}

#[test]
fn shared_memory_does_not_outlive_its_program() {
    let Some(jail) = contained() else { return };
    let (ended, output) = run(&jail, &sh("echo x > /dev/shm/x && ls /dev/shm"));
    assert_eq!((ended.status, &output.stdout[..]), (Status::Code(0), &b"x\n"[..]), "{output:?}");
    assert_eq!(run(&jail, &sh("ls /dev/shm")).1.stdout, b"");
    assert!(!Path::new("/dev/shm/x").exists());
}

#[test]
fn terminal_of_the_caller_is_out_of_reach() {
    for jail in both() {
        fails(&jail, "exec 3<>/dev/tty");
    }
}

#[test]
fn fence_of_a_plain_jail_keeps_writes_and_signals_in() {
    let jail = plain();
    let ft_cli::jail::Isolation::Plain { why } = jail.isolation() else { panic!("it has namespaces") };
    if why.contains("nothing keeps the program from") {
        return eprintln!("not tested: {why}");
    }
    let outside = tempfile::tempdir().unwrap();
    fails(&jail, &format!("touch {:?}", outside.path().join("x")));
    fails(&jail, &format!("mkdir {:?}", outside.path().join("d")));
    fails(&jail, "echo x > ../../x");
    assert_eq!(std::fs::read_dir(outside.path()).unwrap().count(), 0);
    fails(&jail, &format!("kill -0 {}", std::process::id()));
    let (ended, output) = run(&jail, &sh("mkdir a && echo x > a/b && mv a/b ../b && echo x > /dev/null && kill -0 $$"));
    assert_eq!(ended.status, Status::Code(0), "{output:?}");
}

#[test]
fn plain_jail_says_what_it_lacks_and_what_to_do() {
    let jail = plain();
    let ft_cli::jail::Isolation::Plain { why } = jail.isolation() else { panic!("it has namespaces") };
    assert!(why.contains("ports are shared") && why.contains("placeholder"), "{why}");
}
