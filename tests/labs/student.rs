//! Runs the Python programs of this folder.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Sizes around the listings' buffers of 1,024 and 4,096 bytes, and more than one socket buffer holds. A file of no bytes
/// is tested apart: lab B cannot always say that it is over.
pub(crate) const SIZES: [usize; 6] = [1, 1023, 1024, 1025, 70_000, 2_000_000];

fn program(name: &str, args: &[&str]) -> Command {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/labs").join(name);
    let mut command = Command::new("python3");
    command.arg("-u").arg(path).args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a client to its end; it has time-outs of its own.
pub(crate) fn client(name: &str, port: u16, args: &[&str]) -> Output {
    let port = port.to_string();
    let all: Vec<&str> = ["--host", "127.0.0.1", "--port", &port].iter().chain(args).copied().collect();
    program(name, &all).output().expect("python3 runs")
}

/// As [`client`], and it says that all went well.
pub(crate) fn content_client(name: &str, port: u16, args: &[&str]) {
    let done = client(name, port, args);
    assert!(done.status.success(), "{name} {args:?}: {}", String::from_utf8_lossy(&done.stderr));
}

/// A server on a free port, for a number of connections.
pub(crate) struct StudentServer {
    child: Child,
    pub(crate) port: u16,
    log: BufReader<std::process::ChildStdout>,
}

impl StudentServer {
    pub(crate) fn start(name: &str, dir: &Path, connections: usize, args: &[&str]) -> Self {
        let (dir, count) = (dir.to_string_lossy().into_owned(), connections.to_string());
        let all: Vec<&str> = ["--port", "0", "--dir", &dir, "--count", &count].iter().chain(args).copied().collect();
        let mut child = program(name, &all).spawn().expect("python3 runs");
        let mut log = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut bound = String::new();
        log.read_line(&mut bound).expect("a line");
        let port = bound.split_whitespace().nth(2).and_then(|word| word.parse().ok());
        Self { port: port.unwrap_or_else(|| panic!("{bound} names a port")), child, log }
    }

    /// Waits for its end, and returns the rest of its log.
    pub(crate) fn end(mut self) -> String {
        let end = Instant::now() + Duration::from_secs(30);
        while self.child.try_wait().expect("it can be waited for").is_none() {
            assert!(Instant::now() < end, "the student's server ends");
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut text = String::new();
        self.log.read_to_string(&mut text).expect("its log");
        text
    }
}

impl Drop for StudentServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A path as text, for command lines.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("paths of tests are UTF-8")
}
