//! The specification is enough: a peer written from docs/PROTOCOL.md alone (`tests/peer`, Python and its standard
//! library) and ft-cli move the same files both ways, in both roles, and continue each other's cut transfers.
//!
//! Without `python3` these tests fail: an untested specification is not a passed test.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tempfile::TempDir;

/// No step here takes longer, even on a busy machine without optimisation.
const PATIENCE: Duration = Duration::from_secs(120);

const SIZES: [usize; 6] = [0, 1, 65_535, 65_536, 65_537, 10 << 20];

fn peer(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/peer").join(script)
}

fn python<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new("python3");
    command.arg("-B").arg(peer("ft1_peer.py")).args(args);
    command
}

fn ft_cli<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ft-cli"));
    command.args(args);
    command
}

/// A child that does not outlive the test.
struct Running {
    child: Child,
    output: Receiver<(Vec<u8>, Vec<u8>)>,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let shown = format!("{command:?}");
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap_or_else(|e| panic!("{shown} does not start (python3 is needed): {e}"));
        let (mut stdout, mut stderr) = (child.stdout.take().expect("piped"), child.stderr.take().expect("piped"));
        let (tell, output) = channel();
        std::thread::spawn(move || {
            let errors = std::thread::spawn(move || read_all(&mut stderr));
            let text = read_all(&mut stdout);
            let _ = tell.send((text, errors.join().unwrap_or_default()));
        });
        Self { child, output }
    }

    fn finish(mut self) -> Output {
        let (stdout, stderr) = self.output.recv_timeout(PATIENCE).expect("the child ends in time");
        Output { status: self.child.wait().expect("it has ended"), stdout, stderr }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_all(from: &mut impl Read) -> Vec<u8> {
    let mut all = Vec::new();
    let _ = from.read_to_end(&mut all);
    all
}

/// Runs a command to its end; `0` is the only success.
fn run(command: &mut Command) -> String {
    let shown = format!("{command:?}");
    let Output { status, stdout, stderr } = Running::start(command).finish();
    let text = String::from_utf8_lossy(&stdout).into_owned();
    assert!(status.success(), "{shown}: {status}\n{text}\n{}", String::from_utf8_lossy(&stderr));
    text
}

/// A server that has said where it listens; its further lines come later.
struct Server {
    child: Child,
    lines: Receiver<String>,
    address: String,
}

impl Server {
    fn start(command: &mut Command) -> Self {
        let shown = format!("{command:?}");
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = piped.spawn().unwrap_or_else(|e| panic!("{shown} does not start (python3 is needed): {e}"));
        let stdout = child.stdout.take().expect("piped");
        let (tell, lines) = channel();
        std::thread::spawn(move || {
            BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| tell.send(line))
        });
        let mut server = Self { child, lines, address: String::new() };
        let first = server.lines.recv_timeout(PATIENCE).expect("the server says where it listens");
        let address = first.strip_prefix("listening on ").and_then(|rest| rest.split(' ').next());
        server.address = address.unwrap_or_else(|| panic!("{shown} said {first:?}")).to_owned();
        server
    }

    fn ft_cli(folder: &Path) -> Self {
        let args: [&OsStr; 4] = ["serve".as_ref(), folder.as_ref(), "--listen".as_ref(), "127.0.0.1:0".as_ref()];
        Self::start(&mut ft_cli(args))
    }

    /// A Python server for so many sessions; the first breaks after `cut_after` bytes if that is not 0.
    fn python(folder: &Path, sessions: u32, cut_after: usize) -> Self {
        let args = [
            "-B".into(),
            "-u".into(),
            peer("ft1_peer.py").into_os_string(),
            "serve".into(),
            folder.into(),
            "0".into(),
            "--sessions".into(),
            sessions.to_string().into(),
            "--cut-after".into(),
            cut_after.to_string().into(),
        ];
        Self::start(Command::new("python3").args::<_, OsString>(args))
    }

    fn port(&self) -> &str {
        self.address.rsplit(':').next().expect("a port")
    }

    /// Waits for a server of a fixed number of sessions; its report.
    fn finish(mut self) -> String {
        let mut text = String::new();
        while let Ok(line) = self.lines.recv_timeout(PATIENCE) {
            text += &line;
            text.push('\n');
        }
        self.child.wait().expect("it has ended");
        text
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Bytes that differ from unit to unit and are no holes.
fn content(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    words.flatten().take(len).collect()
}

/// One file of each size, and a folder of 100 small ones (one name is not UTF-8) with an empty folder in it.
fn make_files(folder: &Path) -> Vec<PathBuf> {
    let mut tops = Vec::new();
    for (seed, size) in (1..).zip(SIZES) {
        tops.push(folder.join(format!("f{size}")));
        std::fs::write(&tops[tops.len() - 1], content(size, seed)).expect("written");
    }
    let many = folder.join("many");
    std::fs::create_dir_all(many.join("empty")).expect("made");
    for n in 0..99 {
        std::fs::write(many.join(format!("n{n}")), content(n * 37, 100 + n as u64)).expect("written");
    }
    std::fs::write(many.join(OsStr::from_bytes(b"not\xffutf8")), b"x").expect("written");
    tops.push(many);
    tops
}

/// Relative path to content, `None` for folders; without what a receiver keeps for itself.
fn tree(root: &Path) -> BTreeMap<Vec<u8>, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(root).expect("beneath").as_os_str().as_bytes().to_vec();
            if folder == root && name.starts_with(b".ft") {
                continue;
            }
            let bytes = if path.is_dir() { None } else { Some(std::fs::read(&path).expect("readable")) };
            if bytes.is_none() {
                folders.push(path);
            }
            found.insert(name, bytes);
        }
    }
    found
}

fn assert_same_trees(got: &Path, want: &Path) {
    let (got, want) = (tree(got), tree(want));
    let names =
        |t: &BTreeMap<Vec<u8>, _>| t.keys().map(|n| String::from_utf8_lossy(n).into_owned()).collect::<Vec<_>>();
    assert_eq!(names(&got), names(&want));
    for (name, bytes) in &want {
        assert!(got[name] == *bytes, "{} differs", String::from_utf8_lossy(name));
    }
    let files = want.values().filter(|bytes| bytes.is_some()).count();
    assert_eq!(files, SIZES.len() + 100, "the test had all its files");
}

struct Folders {
    _all: TempDir,
    here: PathBuf,
    there: PathBuf,
}

fn folders() -> Folders {
    let all = TempDir::new().expect("a temporary folder");
    let (here, there) = (all.path().join("here"), all.path().join("there"));
    std::fs::create_dir(&here).expect("made");
    std::fs::create_dir(&there).expect("made");
    Folders { _all: all, here, there }
}

fn args(first: &[&str], rest: &[PathBuf]) -> Vec<OsString> {
    first.iter().map(OsString::from).chain(rest.iter().map(OsString::from)).collect()
}

#[test]
fn python_hashes_agree_with_known_values() {
    let text = run(Command::new("python3").arg("-B").arg(peer("ft1_hash.py")));
    assert!(text.contains("26 lengths agree"), "{text}");
}

#[test]
fn document_transcripts_are_what_the_python_codec_prints() {
    let document = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/PROTOCOL.md"));
    let document = document.expect("the specification");
    for (name, mark) in
        [("push", "transcript"), ("pull", "transcript-pull"), ("zdata", "transcript-zdata"), ("resume", "resume")]
    {
        let printed = run(Command::new("python3").arg("-B").arg(peer("transcript.py")).arg(name));
        assert!(
            document.contains(&format!("```{mark}\n{printed}```")),
            "run transcript.py {name} and put it into the document"
        );
    }
}

#[test]
fn python_client_pushes_all_sizes_to_ft_cli_and_finds_them_there_again() {
    let f = folders();
    let files = make_files(&f.here);
    let server = Server::ft_cli(&f.there);
    let push = args(&["push", "127.0.0.1", server.port()], &files);
    let text = run(&mut python(&push));
    assert_same_trees(&f.there, &f.here);
    assert_eq!(text.lines().filter(|l| l.starts_with("completed ")).count(), SIZES.len() + 100 + 2, "{text}");

    let again = run(&mut python(&push));
    assert_eq!(again.matches("same by size and time").count(), SIZES.len() + 100, "{again}");
    let compared = run(python(&push).args(["--compare", "content"]));
    assert_eq!(compared.matches("same by content").count(), SIZES.len() + 100, "{compared}");
    assert_same_trees(&f.there, &f.here);
}

#[test]
fn python_client_pulls_all_sizes_from_ft_cli() {
    let f = folders();
    let names: Vec<PathBuf> =
        make_files(&f.there).iter().map(|p| PathBuf::from(p.file_name().expect("a name"))).collect();
    let server = Server::ft_cli(&f.there);
    let here = f.here.to_str().expect("UTF-8");
    run(&mut python(args(&["pull", "127.0.0.1", server.port(), here], &names)));
    assert_same_trees(&f.here, &f.there);
}

#[test]
fn ft_cli_puts_all_sizes_to_a_python_server_in_one_session() {
    let f = folders();
    let files = make_files(&f.here);
    let server = Server::python(&f.there, 1, 0);
    let mut put = args(&["put", "--retries", "0"], &files);
    put.push(OsString::from(&server.address));
    run(&mut ft_cli(put));
    assert_same_trees(&f.there, &f.here);
    let report = server.finish();
    assert_eq!(report.lines().filter(|l| l.starts_with("completed ")).count(), SIZES.len() + 100 + 2, "{report}");
}

#[test]
fn ft_cli_gets_all_sizes_from_a_python_server_in_one_session() {
    let f = folders();
    let files = make_files(&f.there);
    let server = Server::python(&f.there, 1, 0);
    let mut get = args(&["get", "--retries", "0"], &[]);
    for file in &files {
        let mut what = OsString::from(&server.address).into_vec();
        what.push(b'/');
        what.extend(file.file_name().expect("a name").as_bytes());
        get.push(OsString::from_vec(what));
    }
    get.push(f.here.clone().into_os_string());
    run(&mut ft_cli(get));
    assert_same_trees(&f.here, &f.there);
    server.finish();
}

const BIG: usize = 10 << 20;
const CUT: usize = 7_500_000;

/// The byte from which a Python report says that a file was continued.
fn resumed_at(report: &str) -> usize {
    let line =
        report.lines().find(|l| l.starts_with("completed ")).unwrap_or_else(|| panic!("not completed: {report}"));
    line.rsplit_once("from byte ").map_or(0, |(_, n)| n.parse().expect("a number"))
}

#[test]
fn ft_cli_server_continues_a_push_that_python_lost() {
    let f = folders();
    std::fs::write(f.here.join("big"), content(BIG, 7)).expect("written");
    let server = Server::ft_cli(&f.there);
    let push = args(&["push", "127.0.0.1", server.port()], &[f.here.join("big")]);
    let cut = Running::start(python(&push).args(["--cut-after", &CUT.to_string()])).finish();
    assert!(!cut.status.success() && !f.there.join("big").exists(), "cut before it was complete");
    let report = run(&mut python(&push));
    assert!(resumed_at(&report) >= 1 << 20, "{report}");
    assert!(std::fs::read(f.there.join("big")).expect("landed") == content(BIG, 7));
}

#[test]
fn ft_cli_client_continues_a_put_that_a_python_server_dropped() {
    let f = folders();
    std::fs::write(f.here.join("big"), content(BIG, 8)).expect("written");
    let server = Server::python(&f.there, 2, CUT);
    let mut put = args(&["put", "--retries", "2"], &[f.here.join("big")]);
    put.push(OsString::from(&server.address));
    run(&mut ft_cli(put));
    assert!(std::fs::read(f.there.join("big")).expect("landed") == content(BIG, 8));
    let report = server.finish();
    assert!(resumed_at(&report) >= 1 << 20, "{report}");
}

#[test]
fn ft_cli_client_continues_a_get_that_a_python_server_dropped() {
    let f = folders();
    std::fs::write(f.there.join("big"), content(BIG, 9)).expect("written");
    let server = Server::python(&f.there, 2, CUT);
    let what = format!("{}/big", server.address);
    let here = f.here.to_str().expect("UTF-8");
    run(&mut ft_cli(["get", "--retries", "2", &what, here]));
    assert!(std::fs::read(f.here.join("big")).expect("landed") == content(BIG, 9));
    let report = server.finish();
    assert!(resumed_at(&report) >= 1 << 20, "{report}");
}

#[test]
fn python_client_continues_a_pull_from_ft_cli_that_it_lost() {
    let f = folders();
    std::fs::write(f.there.join("big"), content(BIG, 10)).expect("written");
    let server = Server::ft_cli(&f.there);
    let pull = ["pull", "127.0.0.1", server.port(), f.here.to_str().expect("UTF-8"), "big"];
    let cut = Running::start(python(pull).args(["--cut-after", &CUT.to_string()])).finish();
    assert!(!cut.status.success() && !f.here.join("big").exists(), "cut before it was complete");
    let report = run(&mut python(pull));
    assert!(resumed_at(&report) >= 1 << 20, "{report}");
    assert!(std::fs::read(f.here.join("big")).expect("landed") == content(BIG, 10));
}
