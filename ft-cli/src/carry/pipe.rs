//! Content on its way from a socket to a file, in a pipe of the kernel: references to the pages in which it came.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use crate::limits::{PIPE_BYTES, PIPE_LEAST};

/// A pipe, and how much is in it.
#[derive(Debug)]
pub struct Pipe {
    out: OwnedFd,
    into: OwnedFd,
    room: usize,
    held: usize,
}

/// What came of an attempt to fill a pipe.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// So many bytes more; 0 at the end of the stream.
    Bytes(u64),
    /// Nothing, though there is something to be had.
    Full,
}

impl Pipe {
    /// An empty one.
    ///
    /// # Errors
    /// The system has no descriptor left, or no pipe of a useful size.
    pub fn new() -> io::Result<Self> {
        let (out, into) = pipe_with(PipeFlags::CLOEXEC)?;
        // A user has only so many pages in pipes, and gets smaller ones behind that.
        let room = fcntl_setpipe_size(&into, PIPE_BYTES).or_else(|_| fcntl_setpipe_size(&into, PIPE_LEAST))?;
        Ok(Self { out, into, room: room.min(PIPE_BYTES), held: 0 })
    }

    /// Bytes in it.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Moves at most `most` bytes from `socket`, which must not block, into the pipe.
    ///
    /// # Errors
    /// The socket's; `WouldBlock` when it has nothing to give.
    pub(super) fn fill(&mut self, socket: impl AsFd, most: u64) -> io::Result<Filled> {
        let most = usize::try_from(most).map_or(self.room, |most| most.min(self.room)).min(self.room - self.held);
        if most == 0 {
            return Ok(Filled::Full);
        }
        match splice(&socket, None, &self.into, None, most, SpliceFlags::MOVE | SpliceFlags::NONBLOCK) {
            Ok(n) => {
                self.held += n;
                Ok(Filled::Bytes(n as u64))
            }
            // A pipe is full when its slots are, however little is in each: the same answer as for an empty socket.
            Err(Errno::AGAIN) if self.held > 0 && rustix::io::ioctl_fionread(&socket).is_ok_and(|n| n > 0) => {
                Ok(Filled::Full)
            }
            Err(e) => Err(e.into()),
        }
    }

    /// Moves everything that is in the pipe into `file`, from `offset` on.
    ///
    /// # Errors
    /// The file's; what is left stays in the pipe.
    pub fn pour(&mut self, file: &File, mut offset: u64) -> io::Result<()> {
        while self.held > 0 {
            match splice(&self.out, None, file, Some(&mut offset), self.held, SpliceFlags::MOVE) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => self.held -= n,
                Err(Errno::INTR) => {}
                // Files that nothing can be spliced to: through memory, then.
                Err(Errno::INVAL) => return self.copy(file, offset),
                Err(e) => return Err(e.into()),
            }
        }
        Ok(())
    }

    fn copy(&mut self, file: &File, mut offset: u64) -> io::Result<()> {
        use std::os::unix::fs::FileExt as _;
        let mut buf = vec![0; PIPE_LEAST];
        while self.held > 0 {
            let n = rustix::io::retry_on_intr(|| rustix::io::read(&self.out, &mut buf[..]))?;
            file.write_all_at(&buf[..n], offset)?;
            self.held -= n;
            offset += n as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Seek as _, Write as _};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn pipe_that_is_full_says_so_and_an_empty_socket_would_block() {
        let (mut peer, socket) = UnixStream::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut pipe = Pipe::new().unwrap();
        let error = pipe.fill(&socket, 10).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        peer.write_all(b"abc").unwrap();
        assert_eq!(pipe.fill(&socket, 2).unwrap(), Filled::Bytes(2));
        pipe.held = pipe.room;
        assert_eq!(pipe.fill(&socket, 2).unwrap(), Filled::Full);
        drop(peer);
        pipe.held = 2;
        assert_eq!(pipe.fill(&socket, 2).unwrap(), Filled::Bytes(1));
        assert_eq!(pipe.fill(&socket, 2).unwrap(), Filled::Bytes(0));
    }

    #[test]
    fn slots_that_are_full_of_single_bytes_make_a_pipe_full() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let mut peer = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        peer.set_nodelay(true).unwrap();
        let (socket, _) = listener.accept().unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut pipe = Pipe::new().unwrap();
        let mut full = false;
        for n in 0..2000 {
            peer.write_all(&[1]).unwrap();
            let filled = loop {
                match pipe.fill(&socket, 1000) {
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => std::thread::yield_now(),
                    other => break other.unwrap(),
                }
            };
            if filled == Filled::Full {
                full = true;
                assert!(pipe.held() <= n);
                break;
            }
        }
        assert!(full, "{} bytes in {} of room", pipe.held(), pipe.room);
    }

    #[test]
    fn what_is_in_a_pipe_is_poured_to_its_place() {
        let (mut peer, socket) = UnixStream::pair().unwrap();
        socket.set_nonblocking(true).unwrap();
        peer.write_all(b"content").unwrap();
        let mut pipe = Pipe::new().unwrap();
        assert_eq!(pipe.fill(&socket, 100).unwrap(), Filled::Bytes(7));
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"....").unwrap();
        pipe.pour(&file, 2).unwrap();
        assert_eq!(pipe.held(), 0);
        let mut text = String::new();
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "..content");
    }
}
