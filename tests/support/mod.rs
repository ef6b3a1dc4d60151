//! What the tests of the whole program share: child processes that never outlive a test, and no wait without a deadline.
#![allow(dead_code, reason = "each test uses its part")]

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// No step of a test takes longer, even on a busy machine without optimisation.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The program under test.
pub(crate) fn ft_cli<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ft-cli"));
    // Somebody's own filter must not change what is said.
    command.env_remove("FT_LOG").args(args);
    command
}

/// A file of this repository, by its path from the root.
pub(crate) fn in_repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// A new folder on the file system of the build, removed with the value. The system's own folder for temporary files
/// may lie in memory, where no sync means anything.
pub(crate) fn folder() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder")
}

/// Bytes that differ from unit to unit and are no holes.
pub(crate) fn content(len: usize, seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend_from_slice(&random.next().to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// A small generator (xorshift64*): the same seed gives the same numbers for ever.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number from 0 (with) to 1 (without).
    pub(crate) fn fraction(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() >> 32).expect("32 bits")) / 4_294_967_296.0
    }
}

/// What a child said and how it ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// All lines of its standard output.
    pub(crate) out: Vec<String>,
    /// Its standard error.
    pub(crate) err: String,
}

impl Ended {
    /// The exit code; `None` after a signal.
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Everything that it said, for messages.
    pub(crate) fn text(&self) -> String {
        format!("{}\n{}\n{}", self.status, self.out.join("\n"), self.err)
    }

    /// The same, if it ended with this code.
    #[track_caller]
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code(), Some(code), "{}", self.text());
        self
    }
}

/// Where a child said something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pipe {
    Out,
    Err,
}

/// A child that does not outlive the test.
pub(crate) struct Running {
    child: Child,
    shown: String,
    /// Ends when both pipes have.
    lines: Receiver<(Pipe, String)>,
    seen: Vec<(Pipe, String)>,
}

impl Running {
    #[track_caller]
    pub(crate) fn start(command: &mut Command) -> Self {
        let shown = format!("{command:?}");
        let piped = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = piped.spawn().unwrap_or_else(|e| panic!("{shown} does not start: {e}; is it installed?"));
        let (tell, lines) = channel();
        read_lines(Pipe::Out, child.stdout.take().expect("piped"), tell.clone());
        read_lines(Pipe::Err, child.stderr.take().expect("piped"), tell);
        Self { child, shown, lines, seen: Vec::new() }
    }

    /// The next line, of either pipe, that satisfies; lines before it are only kept.
    #[track_caller]
    pub(crate) fn line(&mut self, mut wanted: impl FnMut(&str) -> bool) -> String {
        let until = Instant::now() + PATIENCE;
        while let Ok((pipe, line)) = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            self.seen.push((pipe, line.clone()));
            if wanted(&line) {
                return line;
            }
        }
        panic!("{} never said it; it said {:#?}", self.shown, self.seen);
    }

    /// Whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().expect("a child").is_none()
    }

    /// SIGKILL: no handler, no farewell.
    pub(crate) fn kill(&mut self) {
        // An error means that it has ended already.
        let _ = self.child.kill();
    }

    /// SIGTERM: the polite request.
    pub(crate) fn terminate(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::TERM).expect("our own child");
    }

    /// SIGINT: what Ctrl-C sends.
    pub(crate) fn interrupt(&self) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, Signal::INT).expect("our own child");
    }

    /// Waits for its end. The deadline kills it and fails the test.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Ended {
        let until = Instant::now() + PATIENCE;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(line) => self.seen.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("{} does not end; it said {:#?}", self.shown, self.seen),
            }
        }
        let status = loop {
            match self.child.try_wait().expect("a child") {
                Some(status) => break status,
                None if Instant::now() > until => panic!("{} closed its output and does not end", self.shown),
                None => std::thread::sleep(Duration::from_millis(1)),
            }
        };
        let of = |pipe| self.seen.iter().filter(move |(from, _)| *from == pipe).map(|(_, line)| line.clone());
        let err = of(Pipe::Err).map(|line| line + "\n").collect();
        Ended { status, out: of(Pipe::Out).collect(), err }
    }
}

fn read_lines(pipe: Pipe, from: impl Read + Send + 'static, tell: Sender<(Pipe, String)>) {
    std::thread::spawn(move || {
        let mut from = BufReader::new(from);
        let mut line = Vec::new();
        while from.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(line.strip_suffix(b"\n").unwrap_or(&line)).into_owned();
            line.clear();
            if tell.send((pipe, text)).is_err() {
                return;
            }
        }
    });
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Ended {
    Running::start(command).finish()
}

/// `ft-cli serve`, which has said where it listens.
pub(crate) struct Server {
    pub(crate) running: Running,
    /// `ADDRESS:PORT`, as it said it.
    pub(crate) address: String,
}

impl Server {
    /// Serves `folder` on a free port of 127.0.0.1.
    pub(crate) fn start<S: AsRef<OsStr>>(folder: &Path, options: impl IntoIterator<Item = S>) -> Self {
        Self::at("127.0.0.1:0", folder, options)
    }

    /// Serves `folder` at an address.
    #[track_caller]
    pub(crate) fn at<S: AsRef<OsStr>>(address: &str, folder: &Path, options: impl IntoIterator<Item = S>) -> Self {
        let mut command = ft_cli(["serve", "--listen", address]);
        command.arg(folder).args(options);
        Self::run(&mut command)
    }

    /// Starts a command that serves, and waits until it says where, as text or as JSON.
    #[track_caller]
    pub(crate) fn run(command: &mut Command) -> Self {
        let mut running = Running::start(command);
        let line = running.line(|line| line.starts_with("listening on ") || line.contains(r#""event":"listening""#));
        let address = match line.strip_prefix("listening on ") {
            Some(rest) => rest.split(' ').next().map(str::to_owned),
            None => event(&line)["address"].as_str().map(str::to_owned),
        };
        let address = address.unwrap_or_else(|| panic!("no address in {line}"));
        Self { running, address }
    }

    pub(crate) fn port(&self) -> &str {
        self.address.rsplit(':').next().expect("a port")
    }

    /// Asks it to stop and waits until it has.
    #[track_caller]
    pub(crate) fn stop(self) -> Ended {
        self.running.terminate();
        self.running.finish()
    }
}

/// One line of `--json`.
#[track_caller]
pub(crate) fn event(line: &str) -> serde_json::Value {
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{line:?} is no JSON object: {e}"))
}

/// All events of one kind in the output of `--json`.
#[track_caller]
pub(crate) fn events(lines: &[String], kind: &str) -> Vec<serde_json::Value> {
    lines.iter().map(|line| event(line)).filter(|event| event["event"] == kind).collect()
}

/// A connection whose every read and write has a deadline.
#[track_caller]
pub(crate) fn connect(address: &str) -> TcpStream {
    deadlines(TcpStream::connect(address).expect("a connection"))
}

/// The same for an accepted connection.
pub(crate) fn deadlines(stream: TcpStream) -> TcpStream {
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
    stream.set_write_timeout(Some(PATIENCE)).expect("an option");
    stream.set_nodelay(true).expect("an option");
    stream
}

/// Exactly so many bytes.
#[track_caller]
pub(crate) fn take(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes).expect("bytes");
    bytes
}

/// Everything up to the end of the peer's direction; an RST fails the test.
#[track_caller]
pub(crate) fn take_all(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).expect("an end in order, no RST");
    bytes
}

#[track_caller]
pub(crate) fn send(stream: &mut TcpStream, bytes: &[u8]) {
    stream.write_all(bytes).expect("sent");
}

/// Fails if anything comes, or the peer leaves, within `time`.
#[track_caller]
pub(crate) fn expect_silence(stream: &mut TcpStream, time: Duration) {
    stream.set_read_timeout(Some(time)).expect("an option");
    let mut byte = [0];
    match stream.read(&mut byte) {
        Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
        other => panic!("expected silence, got {other:?} {byte:?}"),
    }
    stream.set_read_timeout(Some(PATIENCE)).expect("an option");
}
