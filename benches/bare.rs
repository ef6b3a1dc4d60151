//! The limit: one file over loopback with nothing but `sendfile`, `splice` and BLAKE3 beside on both sides. No names, no
//! frames, no errors survived, nothing landed in one step: what a protocol costs is what it takes longer than this.
//!
//! ```sh
//! cargo build --release -p ft-cli --example bare
//! target/release/examples/bare receive COPY 7001 &
//! target/release/examples/bare send FILE 127.0.0.1:7001
//! ```
//!
//! `benches/large_files.py` runs it beside this project's program and others.

use std::env;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt as _;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use ft_core::storage::Buf;
use rustix::fs::sendfile;
use rustix::net::sockopt::set_tcp_congestion;
use rustix::pipe::{SpliceFlags, fcntl_setpipe_size, pipe, splice};

/// Bytes moved by one call.
const STEP: u64 = 1024 * 1024;
/// Bytes read at once to be hashed: what stays in a core's own cache.
const WINDOW: usize = 256 * 1024;

fn main() -> io::Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["send", file, address] => send(File::open(file)?, address),
        ["receive", file, port] => {
            let file = File::options().read(true).write(true).create_new(true).open(file)?;
            receive(file, port.parse().map_err(io::Error::other)?)
        }
        _ => Err(io::Error::other("send FILE ADDRESS, or receive FILE PORT")),
    }
}

fn send(file: File, address: &str) -> io::Result<()> {
    let size = file.metadata()?.len();
    let mut socket = TcpStream::connect(address)?;
    // What paces (bbr) slows loopback; not every system has another.
    let _ = set_tcp_congestion(&socket, "cubic");
    socket.write_all(&size.to_be_bytes())?;
    let (tell, told) = channel();
    tell.send(size).map_err(io::Error::other)?;
    drop(tell);
    let hashed = file.try_clone()?;
    let hasher = thread::spawn(move || hash(&hashed, &told));
    let mut sent = 0;
    while sent < size {
        let most = usize::try_from(STEP.min(size - sent)).map_err(io::Error::other)?;
        if sendfile(&socket, &file, Some(&mut sent), most)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let ours = hasher.join().expect("the hasher ends")?;
    let mut theirs = [0; 32];
    socket.read_exact(&mut theirs)?;
    if theirs == *ours.as_bytes() { Ok(()) } else { Err(io::Error::other("the hashes differ")) }
}

fn receive(file: File, port: u16) -> io::Result<()> {
    let mut socket = TcpListener::bind(("127.0.0.1", port))?.accept()?.0;
    let mut size = [0; 8];
    socket.read_exact(&mut size)?;
    let size = u64::from_be_bytes(size);
    let (tell, told) = channel();
    let hashed = file.try_clone()?;
    let hasher = thread::spawn(move || hash(&hashed, &told));
    let (out, into) = pipe()?;
    fcntl_setpipe_size(&into, usize::try_from(STEP).map_err(io::Error::other)?)?;
    let mut written = 0;
    while written < size {
        let most = usize::try_from(STEP.min(size - written)).map_err(io::Error::other)?;
        let mut held = splice(&socket, None, &into, None, most, SpliceFlags::MOVE)?;
        if held == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        while held > 0 {
            held -= splice(&out, None, &file, Some(&mut written), held, SpliceFlags::MOVE)?;
        }
        tell.send(written).map_err(io::Error::other)?;
    }
    drop(tell);
    socket.write_all(hasher.join().expect("the hasher ends")?.as_bytes())
}

/// Follows in the page cache up to where it is told.
fn hash(file: &File, told: &Receiver<u64>) -> io::Result<blake3::Hash> {
    let mut hasher = blake3::Hasher::new();
    // Aligned to a page: reads into other memory run at half speed.
    let mut window = Buf::with_capacity(WINDOW);
    let mut at = 0;
    while let Ok(end) = told.recv() {
        while at < end {
            window.clear();
            let most = usize::try_from(end - at).map_or(WINDOW, |left| left.min(WINDOW));
            let n = file.read_at(&mut window.spare()[..most], at)?;
            if n == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            window.advance(n);
            hasher.update(window.bytes());
            at += n as u64;
        }
    }
    Ok(hasher.finalize())
}
