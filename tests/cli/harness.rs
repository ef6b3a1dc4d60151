//! A sandbox folder, commands run in it, and servers that end with the test.

use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longest time that any command of these tests may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// An empty folder, in which commands run.
pub(crate) struct Sandbox {
    dir: TempDir,
}

/// What a command did.
pub(crate) struct Ran {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
    line: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        let dir = TempDir::with_prefix("ft-cli-test-").expect("a temporary folder");
        fs::create_dir(dir.path().join("tmp")).expect("a folder");
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file, with folders as needed. Its time is fixed, so that listings are.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(&path, content).expect("a file");
        let file = fs::File::options().write(true).open(&path).expect("the file");
        let time = std::time::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        file.set_modified(time).expect("a time");
        set_mode(&path, 0o644);
        path
    }

    pub(crate) fn folder(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(&path).expect("a folder");
        path
    }

    /// A command line of ours, ready to run here, with nothing of the surroundings in it.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ft-cli"));
        command.args(line.split_whitespace()).current_dir(self.dir.path());
        command.env("TMPDIR", self.path("tmp")).env_remove("FT_LOG").env("COLUMNS", "100").env_remove("RUST_BACKTRACE");
        command.env("XDG_CONFIG_HOME", self.path("config")).env_remove("FT_IDENTITY");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs a command line to its end.
    pub(crate) fn run(&self, line: &str) -> Ran {
        self.run_with_input(line, b"")
    }

    /// Runs a command line with these bytes on standard input.
    pub(crate) fn run_with_input(&self, line: &str, input: &[u8]) -> Ran {
        let mut child = self.command(line).stdin(Stdio::piped()).spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        let input = input.to_vec();
        // A command that fails early does not read: that is no trouble of this thread.
        let writer = thread::spawn(move || drop(stdin.write_all(&input)));
        let ran = finish(child, line);
        writer.join().expect("the writer ends");
        ran
    }

    /// Starts `recv` on a free port, for an installation of its own; it, and the code that it shows.
    pub(crate) fn recv_at(&self, home: &str, args: &str) -> (Server, String) {
        let mut command = self.command(&format!("recv {args} --listen 127.0.0.1:0"));
        command.env("XDG_CONFIG_HOME", self.path(home)).env("FT_LOG", "trace");
        let mut server = Self::listening(command);
        let end = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < end, "a code is shown");
            let is_code = |line: &&String| line.matches('-').count() == 2 && !line.contains(' ');
            if let Some(code) = server.stdout_lines().iter().find(is_code) {
                return (server, code.clone());
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Runs a command line of an installation whose settings are in that folder.
    pub(crate) fn run_at(&self, home: &str, line: &str) -> Ran {
        let child = self.command(line).env("XDG_CONFIG_HOME", self.path(home)).spawn().expect("the program starts");
        finish(child, line)
    }

    /// Starts a command that reads a pipe which the test holds.
    pub(crate) fn start(&self, line: &str) -> (Child, ChildStdin) {
        let mut child = self.command(line).stdin(Stdio::piped()).spawn().expect("the program starts");
        let stdin = child.stdin.take().expect("a pipe");
        (child, stdin)
    }

    /// Starts `serve` with these arguments on a free port, and waits until it listens.
    pub(crate) fn serve(&self, args: &str) -> Server {
        self.serve_on(args, 0)
    }

    /// As [`Sandbox::serve`], on this port.
    pub(crate) fn serve_on(&self, args: &str, port: u16) -> Server {
        self.serve_as(&format!("serve {args} --listen 127.0.0.1:{port}"))
    }

    /// As [`Sandbox::serve`], with at most so many open files.
    #[cfg(target_os = "linux")]
    pub(crate) fn serve_with_descriptors(&self, args: &str, most: usize) -> Server {
        let ours = self.command(&format!("serve {args} --listen 127.0.0.1:0"));
        let mut command = Command::new("sh");
        command.arg("-c").arg(format!("ulimit -n {most}; exec \"$@\"")).arg("sh").arg(ours.get_program());
        command.args(ours.get_args()).current_dir(self.dir.path());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self::listening(command)
    }

    fn serve_as(&self, line: &str) -> Server {
        Self::listening(self.command(line))
    }

    /// As [`Sandbox::serve`], for an installation of its own, whose settings are in that folder.
    pub(crate) fn serve_at(&self, home: &str, args: &str) -> Server {
        let mut command = self.command(&format!("serve {args} --listen 127.0.0.1:0"));
        command.env("XDG_CONFIG_HOME", self.path(home));
        Self::listening(command)
    }

    fn listening(mut command: Command) -> Server {
        let mut child = command.spawn().expect("the server starts");
        let lines = [follow(child.stdout.take()), follow(child.stderr.take())];
        let mut server = Server { child, port: 0, lines, seen: [Vec::new(), Vec::new()] };
        let end = Instant::now() + PATIENCE;
        while server.port == 0 {
            assert!(Instant::now() < end, "the server listens");
            server.drain();
            server.port = server.find_port("listening on 127.0.0.1:").unwrap_or(0);
            server.port = if server.port == 0 { server.find_port("\":\"127.0.0.1:").unwrap_or(0) } else { server.port };
            thread::sleep(Duration::from_millis(5));
        }
        server
    }

    /// Text with everything that changes from run to run taken out.
    pub(crate) fn scrub(&self, text: &str) -> String {
        text.replace(&*self.dir.path().to_string_lossy(), "SANDBOX").replace(env!("CARGO_BIN_EXE_ft-cli"), "ft-cli")
    }
}

/// Waits for a child, boundedly, and collects what it said.
pub(crate) fn finish(mut child: Child, line: &str) -> Ran {
    let stdout = collect(child.stdout.take());
    let stderr = collect(child.stderr.take());
    let status = wait(&mut child, line);
    let stdout = stdout.join().expect("output was read");
    let stderr = String::from_utf8_lossy(&stderr.join().expect("output was read")).into_owned();
    Ran { stdout, stderr, code: status.code(), line: line.to_owned() }
}

fn collect(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        if let Some(mut pipe) = pipe {
            pipe.read_to_end(&mut all).expect("a pipe can be read");
        }
        all
    })
}

fn follow(pipe: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (told, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe.expect("a pipe")).lines() {
            let Ok(line) = line else { return };
            if told.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

fn wait(child: &mut Child, line: &str) -> ExitStatus {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().expect("the child can be waited for") {
            return status;
        }
        if Instant::now() > end {
            let _ = child.kill();
            panic!("`ft-cli {line}` did not end");
        }
        thread::sleep(Duration::from_millis(2));
    }
}

impl Ran {
    /// Command, standard output, standard error and exit status as one text.
    pub(crate) fn all(&self) -> String {
        let mut text = format!("$ ft-cli {}\n", self.line);
        text += &String::from_utf8_lossy(&self.stdout);
        if !self.stderr.is_empty() {
            text += &format!("--- stderr\n{}", self.stderr);
        }
        text + &format!("[exit {}]\n", self.code.map_or("by signal".into(), |code| code.to_string()))
    }

    /// Standard output as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Asserts the exit status; the whole text is shown if it is another.
    pub(crate) fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}", self.all());
        self
    }
}

/// A running server; it is killed when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    lines: [Receiver<String>; 2],
    /// What it said on standard output, and on standard error.
    seen: [Vec<String>; 2],
}

impl Server {
    fn drain(&mut self) {
        for (lines, seen) in self.lines.iter().zip(&mut self.seen) {
            seen.extend(lines.try_iter());
        }
    }

    fn find_port(&self, before: &str) -> Option<u16> {
        let rest = self.seen.iter().flatten().find_map(|line| line.split_once(before))?.1;
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    }

    /// The port behind these words in what it said.
    pub(crate) fn port_of(&self, before: &str) -> u16 {
        self.find_port(before).unwrap_or_else(|| panic!("{before} in {:#?}", self.seen))
    }

    /// What it said on standard output so far.
    pub(crate) fn stdout_lines(&mut self) -> Vec<String> {
        self.drain();
        self.seen[0].clone()
    }

    /// Its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Sends SIGINT, as Control-C does.
    #[cfg(target_os = "linux")]
    pub(crate) fn interrupt(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).expect("a signal can be sent");
    }

    /// Sends SIGHUP, as `systemctl reload` does.
    #[cfg(target_os = "linux")]
    pub(crate) fn hang_up(&self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("a signal can be sent");
    }

    /// Waits until a line has been said that contains `words`.
    pub(crate) fn await_line(&mut self, words: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            self.drain();
            if let Some(line) = self.seen.iter().flatten().find(|line| line.contains(words)) {
                return line.clone();
            }
            assert!(Instant::now() < end, "the server says \"{words}\"; it said {:#?}", self.seen);
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What it said on standard error so far.
    pub(crate) fn stderr_lines(&mut self) -> Vec<String> {
        self.drain();
        self.seen[1].clone()
    }

    /// Waits for its end; returns the exit code.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        wait(&mut self.child, "serve").code()
    }

    /// Waits for its end; returns the exit code.
    pub(crate) fn end(mut self) -> Option<i32> {
        wait(&mut self.child, "serve").code()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Compares with `snapshots/cli/<name>.snap`.
pub(crate) fn snapshot(sandbox: &Sandbox, name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(Path::new(env!("CARGO_MANIFEST_DIR")).join("../snapshots/cli"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    if !name.starts_with("help") {
        settings.add_filter(r"127\.0\.0\.1:\d+", "127.0.0.1:PORT");
    }
    settings.add_filter(r" in \d+\.\d+ s( \(\d+\.\d+ [KMG]?i?B/s\))?", " in TIME");
    settings.add_filter(r#""seconds":[0-9.e-]+"#, r#""seconds":TIME"#);
    settings.add_filter(r"20[2-9]\d-\d\d-\d\d \d\d:\d\d:\d\d", "DATE-AND-TIME      ");
    settings.add_filter(r"ft-try-\w+", "ft-try-XXXXXX");
    let text = sandbox.scrub(text);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// What is beneath a folder: paths and contents, staging left out.
pub(crate) fn tree(root: &Path) -> Vec<(String, Option<Vec<u8>>)> {
    let mut all = Vec::new();
    let mut open = vec![root.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).expect("a folder can be read") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(root).expect("beneath the root").to_string_lossy().into_owned();
            if name.starts_with(".ft-staging") {
                continue;
            }
            if path.is_dir() {
                all.push((name, None));
                open.push(path);
            } else {
                all.push((name, Some(fs::read(&path).expect("a file can be read"))));
            }
        }
    }
    all.sort();
    all
}

/// Bytes that do not compress, repeat, or look like zeros.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) {}
