//! One graded program in its place: the jail, the command, the folder, and the proxy's leg to it.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Instant;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{sleep, timeout};

use super::clamp::{Clamp, Place};
use super::facts::{Stored, breach_words, last_lines, shown};
use super::plan::Plan;
use crate::jail::{Ended, Isolation, Jail, Left, Limits, Program, Running};
use crate::limits::{GRADE_LOOK, GRADE_START, GRADE_STUCK};
use crate::proxy::Diag;

/// How a program is started: words, in which `{port}`, `{host}`, `{file}` and `{out}` are replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// As it was given.
    pub shown: String,
    words: Vec<String>,
}

impl Command {
    /// Reads a command as a shell would cut it into words; files and folders that are named in it are found from `folder`.
    ///
    /// # Errors
    ///
    /// An unfinished quotation, or nothing at all.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, String> {
        let words = shlex::split(text).ok_or_else(|| format!("{text:?} has a quotation without an end"))?;
        Ok(Self { shown: text.to_owned(), ..Self::new(words, folder)? })
    }

    /// The same of words.
    ///
    /// # Errors
    ///
    /// Nothing at all.
    pub fn new(words: Vec<String>, folder: &Path) -> Result<Self, String> {
        if words.is_empty() {
            return Err("a command is at least a program".into());
        }
        // The program runs in a folder of its own. A bare word is a program of the system, unless it is a folder.
        let absolute = |word: String| {
            let path = folder.join(&word);
            let is_file = path.is_file() && word.contains(['/', '.']);
            // `.` is the folder that the program is given.
            if Path::new(&word).is_relative() && word != "." && (is_file || path.is_dir()) {
                path.canonicalize().map_or(word, |path| path.to_string_lossy().into_owned())
            } else {
                word
            }
        };
        Ok(Self { shown: words.join(" "), words: words.into_iter().map(absolute).collect() })
    }

    /// True if a place is named in it.
    #[must_use]
    pub fn names(&self, place: &str) -> bool {
        self.words.iter().any(|word| word.contains(place))
    }

    /// The folders of what is named in it: a program finds what lies beside it.
    fn folders(&self) -> Vec<PathBuf> {
        let paths = self.words.iter().map(Path::new).filter(|path| path.is_absolute() && path.exists());
        let folders = paths.map(|path| if path.is_dir() { path } else { path.parent().unwrap_or(path) });
        folders.map(Path::to_path_buf).collect()
    }

    fn argv(&self, places: &[(&str, String)]) -> Vec<OsString> {
        let fill = |word: &String| places.iter().fold(word.clone(), |word, (place, value)| word.replace(place, value));
        self.words.iter().map(fill).map(OsString::from).collect()
    }
}

/// Why a program cannot be graded at all: nothing is said about its pitfalls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoStage(pub(super) String);

impl From<io::Error> for NoStage {
    fn from(error: io::Error) -> Self {
        Self(format!("the grader itself failed: {error}"))
    }
}

/// A program under way, shared with what may have to end it in the middle of a run.
pub(super) type Shared = Rc<RefCell<Option<Running>>>;

/// The place.
pub(super) struct Stage {
    jail: Jail,
    limits: Limits,
    plain: bool,
    command: Command,
    /// The port that the program is told, and that a client is expected to know.
    pub(super) port: u16,
    pub(super) running: Shared,
    /// Where the program listens.
    address: Option<SocketAddr>,
    pub(super) diag: Rc<Diag>,
    /// Bytes of output before the run.
    heard: (usize, usize),
}

impl Stage {
    pub(super) fn new(command: &Command, port: u16, limits: Limits, plain: bool) -> Result<Self, NoStage> {
        let jail = jail(command, limits, plain)?;
        let port = match jail.isolation() {
            Isolation::Namespaces => port,
            Isolation::Plain { why } if !command.names("{port}") => {
                return Err(NoStage(format!("{why}. Give the port as {{port}} in {:?}", command.shown)));
            }
            Isolation::Plain { .. } => free_port()?,
        };
        let diag = Rc::new(Diag::on(jail.netlink()?));
        let running = Rc::default();
        Ok(Self { jail, limits, plain, command: command.clone(), port, running, address: None, diag, heard: (0, 0) })
    }

    /// The same place made anew: nothing of its network is left, no connection that waits for its last segments either.
    pub(super) fn renew(&mut self) -> Result<(), NoStage> {
        self.stop();
        self.jail = jail(&self.command, self.limits, self.plain)?;
        self.diag = Rc::new(Diag::on(self.jail.netlink()?));
        if matches!(self.jail.isolation(), Isolation::Plain { .. }) {
            // The network is the machine's, where the old one may be taken for a minute.
            self.port = free_port()?;
        }
        Ok(())
    }

    /// In words, for reports.
    pub(super) fn isolation(&self) -> String {
        match self.jail.isolation() {
            Isolation::Namespaces => "own network, own processes, own folder".into(),
            Isolation::Plain { why } => format!("own folder; {why}"),
        }
    }

    /// Empties the folder, and puts there what the program finds before the run.
    pub(super) fn prepare(&mut self, files: &[(&str, &[u8])]) -> Result<(), NoStage> {
        let put = |jail: &Jail| files.iter().try_for_each(|(name, content)| jail.put(name, content));
        let is_clean = self.is_running() && !self.jail.strays().iter().any(|path| path.starts_with(".."));
        // What a program keeps for itself, it may still need: files of ours and of earlier runs go. Where it does not let us, it
        // is started anew.
        if !is_clean || self.jail.tidy().and_then(|()| put(&self.jail)).is_err() {
            self.stop();
            self.jail.clear()?;
            put(&self.jail)?;
        }
        let output = self.running.borrow().as_ref().map(Running::output).unwrap_or_default();
        self.heard = (output.stdout.len(), output.stderr.len());
        Ok(())
    }

    fn start(&mut self, file: &str) -> Result<(), NoStage> {
        let work = self.jail.work().to_string_lossy().into_owned();
        let places = [
            ("{port}", self.port.to_string()),
            ("{host}", "127.0.0.1".to_owned()),
            ("{file}", file.to_owned()),
            ("{out}", work),
        ];
        let program = Program { argv: self.command.argv(&places), env: Vec::new(), stdin: None };
        let running = self.jail.start(&program).map_err(|e| NoStage(e.to_string()))?;
        *self.running.borrow_mut() = Some(running);
        self.heard = (0, 0);
        Ok(())
    }

    fn is_running(&self) -> bool {
        self.running.borrow().is_some() && matches!(self.ended(), Ok(None))
    }

    /// Makes the folder as [`Stage::prepare`] does, starts the server unless it is running, and waits until it listens; the
    /// inner error is the program's.
    pub(super) async fn make_ready(&mut self, files: &[(&str, &[u8])]) -> Result<Result<(), String>, NoStage> {
        self.prepare(files)?;
        if self.is_running() && self.address.is_some() || self.start_server().await.is_ok() {
            return Ok(Ok(()));
        }
        // One that died with connections open may find its port taken, which is a pitfall of its own.
        self.renew()?;
        self.prepare(files)?;
        Ok(self.start_server().await)
    }

    /// Starts the server; the error is the program's.
    pub(super) async fn start_server(&mut self) -> Result<(), String> {
        self.stop();
        self.start("{file}").map_err(|e| e.0)?;
        let begun = Instant::now();
        loop {
            let found = self.diag.listeners().map_err(|e| e.to_string())?;
            let is_plain = matches!(self.jail.isolation(), Isolation::Plain { .. });
            let mine = found.into_iter().find(|at| !is_plain || at.port() == self.port);
            if let Some(at) = mine {
                self.address = Some(at);
                return Ok(());
            }
            if let Some(ended) = self.ended().map_err(|e| e.0)? {
                let said = last_lines(&self.said(), 1).join(" ");
                let how = ended.breach.and_then(breach_words).map_or_else(|| shown(ended.status), str::to_owned);
                let said = if said.is_empty() { said } else { format!("; it printed: {said}") };
                return Err(format!("it ended before it listened: {how}{said}"));
            }
            if begun.elapsed() > GRADE_START {
                return Err(format!("it does not listen after {} s", GRADE_START.as_secs()));
            }
            sleep(GRADE_LOOK).await;
        }
    }

    /// A connection to the server.
    pub(super) async fn connect(&self) -> Result<TcpStream, String> {
        let at = match self.address {
            Some(SocketAddr::V4(at)) if !at.ip().is_unspecified() => at,
            Some(at) if at.ip().is_unspecified() => SocketAddrV4::new(Ipv4Addr::LOCALHOST, at.port()),
            Some(SocketAddr::V6(at)) if at.ip().to_ipv4_mapped().is_some() => {
                SocketAddrV4::new(at.ip().to_ipv4_mapped().unwrap_or(Ipv4Addr::LOCALHOST), at.port())
            }
            Some(at) => return Err(format!("it listens at {at} alone, and the grader speaks IPv4")),
            None => return Err("it does not listen".into()),
        };
        let socket = self.jail.socket().map_err(|e| e.to_string())?;
        let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(socket));
        match timeout(GRADE_START, socket.connect(at.into())).await {
            Ok(result) => result.map_err(|e| format!("cannot connect: {e}")),
            Err(_) => Err("it does not take connections".into()),
        }
    }

    /// What the client is to connect to.
    pub(super) async fn listen(&self) -> Result<TcpListener, NoStage> {
        let begun = Instant::now();
        loop {
            match self.jail.listener(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, self.port)) {
                Ok(listener) => return Ok(TcpListener::from_std(listener)?),
                // A process that another thread is just starting may hold the one before for a moment, until it runs.
                Err(e) if e.kind() == io::ErrorKind::AddrInUse && begun.elapsed() < GRADE_STUCK => {
                    sleep(GRADE_LOOK).await;
                }
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Starts the client.
    pub(super) fn start_client(&mut self, file: &str) -> Result<(), NoStage> {
        self.stop();
        self.start(file)
    }

    /// The port at which the server listens.
    pub(super) fn listens_at(&self) -> Option<u16> {
        self.address.map(|at| at.port())
    }

    /// How the program ended, if it has.
    pub(super) fn ended(&self) -> Result<Option<Ended>, NoStage> {
        Ok(match self.running.borrow_mut().as_mut() {
            Some(running) => running.try_wait()?,
            None => None,
        })
    }

    /// Ends the program, if it runs.
    pub(super) fn stop(&mut self) -> Option<Ended> {
        self.address = None;
        self.running.borrow_mut().take().map(|mut running| running.kill())
    }

    /// Cuts the program's reads of a connection at these offsets, if there are any, until it ends.
    pub(super) fn clamp(&self, leg: &TcpStream, boundaries: Vec<u64>) -> Result<Option<Clamp>, NoStage> {
        if boundaries.is_empty() {
            return Ok(None);
        }
        let diag = Diag::on(self.jail.netlink()?);
        let place = Place { diag, ends: (leg.peer_addr()?, leg.local_addr()?), boundaries };
        let pids = self.running.borrow().as_ref().map(Running::pids).unwrap_or_default();
        let clamp =
            Clamp::attach(pids, place).map_err(|e| NoStage(format!("cannot clamp the program's reads: {e}")))?;
        Ok(Some(clamp))
    }

    /// What the program printed since the run began.
    pub(super) fn said(&self) -> Vec<u8> {
        let output = self.running.borrow().as_ref().map(Running::output).unwrap_or_default();
        let rest = |bytes: &[u8], from: usize| bytes.get(from..).unwrap_or_default().to_vec();
        [rest(&output.stdout, self.heard.0), rest(&output.stderr, self.heard.1)].concat()
    }

    /// What the program did besides what it was graded for.
    pub(super) fn notes(&self, ended: Option<Ended>) -> Vec<String> {
        let mut notes = Vec::new();
        let output = self.running.borrow().as_ref().map(Running::output).unwrap_or_default();
        if output.lost > 0 {
            notes.push("it printed more than is kept; the rest was thrown away".to_owned());
        }
        if let Some(words) = ended.and_then(|ended| ended.breach).and_then(breach_words) {
            notes.push(words.to_owned());
        }
        if ended.is_some_and(|ended| ended.left > 0) {
            notes.push("it left processes behind, which were ended".to_owned());
        }
        let strays = self.jail.strays();
        let strays = strays.iter().filter(|path| !path.starts_with("..") && !is_of_a_language(path));
        notes.extend(
            strays.map(|path| format!("it wrote {}", ft_sim::trace::escape(path.as_os_str().as_encoded_bytes()))),
        );
        notes.truncate(NOTES);
        notes
    }

    /// What lies under the name that the run is about.
    pub(super) fn stored(&self, plan: &Plan) -> Stored {
        let input = &plan.input;
        let most = input.content.len().max(input.old.as_ref().map_or(0, Vec::len)) as u64 + 1;
        match self.jail.left(&input.stored, most) {
            Left::Nothing => Stored::Absent,
            Left::NoFile => Stored::NoFile,
            Left::File { bytes, len } => match Stored::of(Some(&bytes), plan) {
                Stored::Other(_) => Stored::Other(len),
                known @ (Stored::Absent | Stored::Old | Stored::Whole | Stored::Beginning(_) | Stored::NoFile) => known,
            },
        }
    }

    /// The name of a file that has this content.
    pub(super) fn name_of(&self, content: &[u8]) -> Option<String> {
        let holds = |name: &OsString| match self.jail.left(name, content.len() as u64 + 1) {
            Left::File { bytes, .. } => bytes == content,
            Left::Nothing | Left::NoFile => false,
        };
        self.jail.names().ok()?.into_iter().find(holds)?.into_string().ok()
    }

    /// What lies where nothing of the transfer should, escaped. What a language keeps in its home or for a while in `/tmp` is
    /// its own business, unless it has the file's name.
    pub(super) fn strays(&self, plan: &Plan) -> Vec<String> {
        let base = plan.input.name.rsplit('/').next().unwrap_or_default().to_owned();
        let is_stray = |path: &PathBuf| path.starts_with("..") || path.file_name().is_some_and(|name| *name == *base);
        let strays = self.jail.strays().into_iter().filter(is_stray);
        strays.map(|path| ft_sim::trace::escape(path.as_os_str().as_encoded_bytes())).collect()
    }
}

/// Notes of one run: more say nothing more.
const NOTES: usize = 8;

/// What Java keeps in `/tmp` about every process.
fn is_of_a_language(path: &Path) -> bool {
    path.iter().any(|part| part.as_encoded_bytes().starts_with(b"hsperfdata_"))
}

/// A port that nobody listens at on this machine.
fn free_port() -> io::Result<u16> {
    Ok(std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn jail(command: &Command, limits: Limits, plain: bool) -> Result<Jail, NoStage> {
    let made = if plain { Jail::plain(limits) } else { Jail::showing(limits, &command.folders()) };
    made.map_err(|e| NoStage(e.to_string()))
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop();
    }
}
