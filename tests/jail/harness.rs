//! Jails of both kinds, and programs for them.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ft_cli::jail::{Ended, Isolation, Jail, Limits, Program, Running, use_helper};

/// No step takes longer, even on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Small, so that a program gets to them fast.
pub(crate) const LIMITS: Limits = Limits { memory: 256 << 20, output: 64 << 10, processes: 40, file_size: 8 << 20 };

/// A jail with namespaces; `None` where the system allows none, which is said aloud.
pub(crate) fn contained() -> Option<Jail> {
    use_helper(env!("CARGO_BIN_EXE_ft-cli").into());
    let jail = Jail::new(LIMITS).expect("a jail");
    match jail.isolation() {
        Isolation::Namespaces => Some(jail),
        Isolation::Plain { why } => {
            eprintln!("not tested: {why}");
            None
        }
    }
}

pub(crate) fn plain() -> Jail {
    use_helper(env!("CARGO_BIN_EXE_ft-cli").into());
    Jail::plain(LIMITS).expect("a jail")
}

/// Both kinds, for what must be so in either.
pub(crate) fn both() -> impl Iterator<Item = Jail> {
    contained().into_iter().chain([plain()])
}

pub(crate) fn program<S: Into<OsString>>(argv: impl IntoIterator<Item = S>) -> Program {
    Program { argv: argv.into_iter().map(Into::into).collect(), ..Program::default() }
}

/// A line of shell.
pub(crate) fn sh(line: &str) -> Program {
    program(["/bin/sh", "-c", line])
}

/// One of the programs in `tests/jail/programs`.
pub(crate) fn python(name: &str, args: &[&str]) -> Program {
    let file = in_repository("tests/jail/programs").join(name);
    let mut argv: Vec<OsString> = vec![interpreter(), file.into()];
    argv.extend(args.iter().map(OsString::from));
    program(argv)
}

/// A few words of Python.
pub(crate) fn inline(code: &str) -> Program {
    program([interpreter(), "-c".into(), code.into()])
}

/// The system's own Python: a version manager's may need a home.
fn interpreter() -> OsString {
    let own = Path::new("/usr/bin/python3");
    if own.exists() { own.into() } else { "python3".into() }
}

/// A folder that is not beneath `/tmp`, and that this test may write in.
pub(crate) fn outside_tmp() -> PathBuf {
    std::env::var_os("JAIL_TEST_OUTSIDE").map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from)
}

pub(crate) fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path).canonicalize().expect("a path of the repository")
}

/// Runs to the end.
pub(crate) fn run(jail: &Jail, program: &Program) -> (Ended, ft_cli::jail::Output) {
    let mut running = jail.start(program).expect("started");
    let ended = wait(&mut running);
    (ended, running.output())
}

pub(crate) fn wait(running: &mut Running) -> Ended {
    running.wait_here(PATIENCE).unwrap().unwrap_or_else(|| panic!("still runs: {:?}", running.output()))
}

/// Waits until the program has printed `text`.
pub(crate) fn until_printed(running: &mut Running, text: &str) {
    until(|| String::from_utf8_lossy(&running.output().stdout).contains(text));
}

pub(crate) fn until(mut so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < end, "it never came to be");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Processes in the same network as `pid`, itself included.
pub(crate) fn in_network_of(pid: u32) -> (PathBuf, Vec<u32>) {
    let network = fs::read_link(format!("/proc/{pid}/ns/net")).expect("the network of a process of ours");
    let found = in_network(&network);
    (network, found)
}

pub(crate) fn in_network(network: &Path) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let same = fs::read_link(entry.path().join("ns/net")).is_ok_and(|own| own == network);
        found.extend(pid.filter(|_: &u32| same));
    }
    found
}

/// A word that stands on no other command line.
pub(crate) fn marker(name: &str) -> String {
    format!("jail-test-{name}-{}", std::process::id())
}

/// Processes of the whole machine with `marker` on their command line, this one's aside.
pub(crate) fn marked(marker: &str) -> Vec<u32> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if line.windows(marker.len()).any(|part| part == marker.as_bytes()) {
            found.push(pid);
        }
    }
    found
}
