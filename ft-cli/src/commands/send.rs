//! `send`: push to somebody who has told a one-time code. The code vouches for the receiver's key; what follows is a
//! `put` to that key.

use std::ffi::{OsStr, OsString};
use std::io::Read as _;

use clap::Parser as _;
use zeroize::Zeroizing;

use super::put;
use crate::args::{Cli, PutArgs, Verb};
use crate::exit::{Exit, Stop};
use crate::net::{Endpoint, connect};
use crate::render::{Fact, Screen};
use crate::trust::{Code, Fingerprint, Identity, SendArgs, ask, prove, somebody_is_there};

/// Longest code that is read from a descriptor, bytes.
const CODE_BYTES: u64 = 256;

/// Learns the receiver's key by the code, and puts.
pub(super) async fn run(args: SendArgs, screen: Screen) -> Result<Exit, Stop> {
    let mut paths = args.args.clone();
    let target = paths.pop().filter(|_| !paths.is_empty());
    let target =
        target.ok_or_else(|| Stop::usage("expected PATH... [CODE@]HOST[:PORT]: what to send, and where to"))?;
    let (code, host) = split(&target)?;
    if paths.iter().any(|path| path == "-") {
        return Err(Stop::usage("send takes files and folders, not standard input (-)"));
    }
    // Before the code is used up.
    put::check_line(as_put(&args, &paths, &host, None)?)?;
    let endpoint = Endpoint::parse(&host).map_err(|e| Stop::usage(e).hint("the last argument says where to"))?;
    let code = match code {
        Some(code) => {
            let code = Code::typed(&code).ok_or_else(no_code)?;
            hide(&target, &host, &code)?;
            code
        }
        None => read(args.code_fd).await?,
    };
    let identity = Identity::open(args.identity.as_deref()).map_err(Stop::failed)?;
    let key = meet(&endpoint, &identity, &code, &args).await?;
    drop(code);
    let text = format!("the code was right; the receiver's key is {key}");
    screen.fact(None, &Fact::Note { text });
    put::run(as_put(&args, &paths, &host, Some(key))?, screen).await
}

async fn meet(endpoint: &Endpoint, identity: &Identity, code: &Code, args: &SendArgs) -> Result<Fingerprint, Stop> {
    let stream = connect(endpoint, args.connect_timeout)
        .await
        .map_err(|e| Stop::failed(format_args!("cannot connect to {endpoint}: {e}")))?;
    prove(stream, identity, code, args.connect_timeout)
        .await
        .map_err(|text| Stop::failed(format_args!("{endpoint}: {text}")))
}

/// The command that does the rest: a `put` to this key, once it is known, with everything else as it is by default.
fn as_put(args: &SendArgs, paths: &[OsString], host: &str, key: Option<Fingerprint>) -> Result<PutArgs, Stop> {
    let mut line: Vec<OsString> = ["ft-cli", "put"].map(OsString::from).to_vec();
    if let Some(key) = key {
        line.extend(["--peer".into(), key.to_string().into()]);
    }
    if let Some(identity) = &args.identity {
        line.extend(["--identity".into(), identity.clone().into_os_string()]);
    }
    line.push("--".into());
    line.extend_from_slice(paths);
    line.push(host.into());
    match Cli::try_parse_from(line) {
        Ok(Cli { verb: Verb::Put(put), .. }) => Ok(put),
        Ok(_) => Err(Stop::failed("internal error: a put that is none")),
        Err(e) => Err(Stop::usage(e)),
    }
}

fn no_code() -> Stop {
    Stop::usage("that is no code").hint("a code is a number and two words, such as 7-crossover-clockwork")
}

/// `[CODE@]HOST[:PORT]`
fn split(target: &OsStr) -> Result<(Option<Zeroizing<String>>, String), Stop> {
    let text = target.to_str().ok_or_else(|| Stop::usage("where to send is not UTF-8"))?;
    Ok(match text.rsplit_once('@') {
        Some((code, host)) => (Some(Zeroizing::new(code.to_owned())), host.to_owned()),
        None => (None, text.to_owned()),
    })
}

/// From a descriptor, or from the person at the terminal.
async fn read(fd: Option<u16>) -> Result<Code, Stop> {
    let typed = match fd {
        Some(fd) => from_descriptor(fd).map_err(|e| Stop::failed(format_args!("cannot read the code: {e}")))?,
        None if somebody_is_there() => ask("The code that the receiver shows: ".into()).await.unwrap_or_default(),
        None => {
            let hint = "write CODE@HOST, or --code-fd 0 and the code on standard input";
            return Err(Stop::usage("there is no code, and no terminal to ask at").hint(hint));
        }
    };
    Code::typed(&typed).ok_or_else(no_code)
}

fn from_descriptor(fd: u16) -> std::io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(512));
    match (fd, cfg!(unix)) {
        (0, _) => std::io::stdin().take(CODE_BYTES).read_to_string(&mut text)?,
        (_, true) => std::fs::File::open(format!("/dev/fd/{fd}"))?.take(CODE_BYTES).read_to_string(&mut text)?,
        (_, false) => return Err(std::io::ErrorKind::Unsupported.into()),
    };
    Ok(text)
}

/// Everybody on this machine can read a command line for as long as its program runs, so a code must not stay in ours:
/// the program begins again, without it, and gets it through a pipe.
#[cfg(unix)]
fn hide(target: &OsStr, host: &str, code: &Code) -> Result<(), Stop> {
    use std::io::Write as _;
    use std::os::fd::AsRawFd as _;
    use std::os::unix::process::CommandExt as _;

    let failed = |e: std::io::Error| Stop::failed(format_args!("cannot take the code out of the command line: {e}"));
    let (reader, mut writer) = std::io::pipe().map_err(failed)?;
    // Far less than a pipe holds.
    writer.write_all(code.show().as_bytes()).map_err(failed)?;
    drop(writer);
    rustix::io::fcntl_setfd(&reader, rustix::io::FdFlags::empty()).map_err(|e| failed(e.into()))?;
    let mut line: Vec<OsString> = std::env::args_os().collect();
    let last = line.iter().rposition(|arg| arg == target).ok_or_else(|| failed(std::io::ErrorKind::NotFound.into()))?;
    line[last] = host.into();
    let name = line.remove(0);
    // Before the paths: behind a `--` it would be one.
    let verb = line.iter().position(|arg| arg == "send").map_or(0, |at| at + 1);
    line.insert(verb, format!("--code-fd={}", reader.as_raw_fd()).into());
    let program = std::env::current_exe().map_err(failed)?;
    Err(failed(std::process::Command::new(program).arg0(name).args(line).exec()))
}

/// Elsewhere it stays where it is: docs/SECURITY.md says so.
#[cfg(not(unix))]
fn hide(_: &OsStr, _: &str, _: &Code) -> Result<(), Stop> {
    Ok(())
}
