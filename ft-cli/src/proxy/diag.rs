//! What the kernel knows of a socket that belongs to another program: `sock_diag(7)`, no privileges needed.
//!
//! It is the one way that was measured to show what a peer has *read*: an empty send queue of one's own says only that
//! the peer's kernel has the bytes, and a pause says nothing (pitfall catalogue, measured facts). One question is one
//! system call to ask and one to read; the kernel answers within the first.
//!
//! It also answers for a program's own sockets, with what `getsockopt(TCP_INFO)` would say: `net::path` asks it.
//!
//! Layout: `linux/inet_diag.h`, `linux/netlink.h`, `linux/tcp.h`; the numbers are in the byte order of the machine,
//! ports and addresses in that of the network.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use rustix::net::netlink::{SOCK_DIAG, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, sendto, socket_with};

const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const NLM_F_REQUEST: u16 = 1;
const NLM_F_DUMP: u16 = 0x300;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;
const IPPROTO_TCP: u8 = 6;
/// Attribute with `struct tcp_info`, asked for by the bit of its number less one.
const INET_DIAG_INFO: u16 = 2;
/// `tcpi_bytes_received` within `struct tcp_info`.
const BYTES_RECEIVED: usize = 128;
/// Within the same: flags (bit 0: the sender, not the path, set the rate), round-trip time and the least seen of it in
/// microseconds, segments sent again, those sent with data, bytes acknowledged, bytes a second delivered.
const FLAGS: usize = 7;
const RTT: usize = 68;
const TOTAL_RETRANS: usize = 100;
const BYTES_ACKED: usize = 120;
const MIN_RTT: usize = 148;
const DATA_SEGS_OUT: usize = 156;
const DELIVERY_RATE: usize = 160;
/// Microseconds in which there was something to send, and those of them in which the receiver had no room for it, or the send
/// buffer was too small for it.
const BUSY_TIME: usize = 168;
const RWND_LIMITED: usize = 176;
const SNDBUF_LIMITED: usize = 184;
/// `struct nlmsghdr`, `struct inet_diag_msg`.
const HEADER: usize = 16;
const MESSAGE: usize = 72;

const ESTABLISHED: u8 = 1;
const TIME_WAIT: u8 = 6;
const CLOSE: u8 = 7;
const CLOSE_WAIT: u8 = 8;
const LISTEN: u8 = 10;

/// A question's reply fits: one message with its attributes is below 1 KiB, a dump comes in parts of at most 32 KiB.
const REPLY: usize = 32 * 1024;

/// A connection to the kernel's socket tables of one network namespace.
#[derive(Debug)]
pub struct Diag {
    netlink: OwnedFd,
}

/// A TCP socket as its kernel sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    state: u8,
    /// Zero if no program holds it: closed by its program, or not accepted yet.
    inode: u32,
    /// Bytes that have arrived and that its program has not read.
    pub unread: u32,
    /// Bytes that its program has written and that have not been acknowledged.
    pub unsent: u32,
    /// Bytes that have arrived in all, the FIN counted as one.
    pub received: u64,
}

/// What a kernel has measured of the path that a socket sends along.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measured {
    /// Round-trip time, smoothed.
    pub rtt: Duration,
    /// The least round-trip time of the last minutes: what is left without queues.
    pub min_rtt: Duration,
    /// Segments that were sent with data, those sent again included.
    pub sent: u32,
    /// Segments that were sent again.
    pub sent_again: u32,
    /// Bytes that the peer has acknowledged.
    pub acknowledged: u64,
    /// Bytes a second that the path delivered lately; 0 before the first.
    pub delivery_rate: u64,
    /// The program had less to send than the path would have taken: the rate says nothing of the path.
    pub is_program_limited: bool,
    /// Time in which something was under way.
    pub busy: Duration,
    /// That of it in which the receiver's window was full: its program did not read.
    pub window_limited: Duration,
    /// That of it in which the send buffer was full of it, and the path would have taken more.
    pub buffer_limited: Duration,
}

impl Seen {
    /// Its program has closed it, or it never was that socket: the kernel answers with the listener when a connection is gone.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        match self.state {
            // In the accept queue it has no inode either.
            ESTABLISHED | CLOSE_WAIT => false,
            TIME_WAIT | CLOSE | LISTEN => true,
            _ => self.inode == 0,
        }
    }

    /// Its number among the machine's sockets, as `/proc/PID/fd` shows it; zero if no program holds it.
    #[must_use]
    pub fn inode(&self) -> u32 {
        self.inode
    }

    /// Its program has read every byte before `offset`, all of which were sent.
    #[must_use]
    pub fn has_taken(&self, offset: u64) -> bool {
        self.received >= offset && self.unread == 0
    }
}

impl Diag {
    /// Asks about this process's own network.
    ///
    /// # Errors
    ///
    /// The kernel has no `sock_diag`.
    pub fn here() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        Ok(Self::on(socket_with(AddressFamily::NETLINK, SocketType::DGRAM, flags, Some(SOCK_DIAG))?))
    }

    /// Asks through a netlink socket that was made in the network in question.
    #[must_use]
    pub fn on(netlink: OwnedFd) -> Self {
        Self { netlink }
    }

    /// The socket whose own address is `local` and whose peer is `remote`; `None` if there is none.
    ///
    /// # Errors
    ///
    /// The kernel does not answer, or not in the layout of its documentation.
    pub fn find(&self, local: SocketAddr, remote: SocketAddr) -> io::Result<Option<Seen>> {
        self.answer(local, remote)?.as_deref().map(seen).transpose()
    }

    /// What the kernel has measured of the path from `local` to `remote`; `None` if there is no such socket, or the kernel
    /// is too old to say.
    ///
    /// # Errors
    ///
    /// As [`Diag::find`].
    pub fn measured(&self, local: SocketAddr, remote: SocketAddr) -> io::Result<Option<Measured>> {
        Ok(self.answer(local, remote)?.as_deref().and_then(measured))
    }

    /// What the kernel says about one socket, without the header.
    fn answer(&self, local: SocketAddr, remote: SocketAddr) -> io::Result<Option<Vec<u8>>> {
        self.ask(&request(Some((local, remote)), 0))?;
        let mut buffer = vec![0; REPLY];
        let (len, _) = recv(self.netlink.as_fd(), &mut buffer[..], RecvFlags::DONTWAIT)?;
        let reply = &buffer[..len];
        let (kind, body) = message(reply)?;
        if kind == NLMSG_ERROR {
            let code = i32::from_ne_bytes(array(body, 0)?);
            return match io::Error::from_raw_os_error(-code) {
                e if e.kind() == io::ErrorKind::NotFound => Ok(None),
                e => Err(e),
            };
        }
        let ports = [u16::from_be_bytes(array(body, 4)?), u16::from_be_bytes(array(body, 6)?)];
        Ok((ports == [local.port(), remote.port()]).then(|| body.to_vec()))
    }

    /// The addresses at which somebody listens, in the order of ports.
    ///
    /// # Errors
    ///
    /// As [`Diag::find`].
    pub fn listeners(&self) -> io::Result<Vec<SocketAddr>> {
        let mut found = Vec::new();
        for family in [AF_INET, AF_INET6] {
            self.ask(&request(None, family))?;
            let mut buffer = vec![0; REPLY];
            'dump: loop {
                let (len, _) = recv(self.netlink.as_fd(), &mut buffer[..], RecvFlags::DONTWAIT)?;
                let mut rest = &buffer[..len];
                while !rest.is_empty() {
                    let (kind, body) = message(rest)?;
                    match kind {
                        NLMSG_DONE | NLMSG_ERROR => break 'dump,
                        _ => found.push(listener(family, body)?),
                    }
                    let step = u32::from_ne_bytes(array(rest, 0)?).next_multiple_of(4);
                    rest = rest.get(usize::try_from(step).unwrap_or(usize::MAX)..).unwrap_or_default();
                }
            }
        }
        found.sort_by_key(|at: &SocketAddr| (at.port(), at.ip()));
        Ok(found)
    }

    fn ask(&self, request: &[u8]) -> io::Result<()> {
        sendto(self.netlink.as_fd(), request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0))?;
        Ok(())
    }
}

/// A request for one socket, or for all listeners of a family.
fn request(between: Option<(SocketAddr, SocketAddr)>, family: u8) -> Vec<u8> {
    let family = match between {
        Some((local, _)) if unmapped(local).is_ipv4() => AF_INET,
        Some(_) => AF_INET6,
        None => family,
    };
    let (flags, states) = match between {
        Some(_) => (NLM_F_REQUEST, u32::MAX),
        None => (NLM_F_REQUEST | NLM_F_DUMP, 1 << LISTEN),
    };
    let mut out = Vec::with_capacity(HEADER + 56);
    out.extend(u32::try_from(HEADER + 56).unwrap_or(u32::MAX).to_ne_bytes());
    out.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    out.extend(flags.to_ne_bytes());
    // Sequence number and port: each question has its reply before the next.
    out.extend([0; 8]);
    out.extend([family, IPPROTO_TCP, 1 << (INET_DIAG_INFO - 1), 0]);
    out.extend(states.to_ne_bytes());
    let none = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let (local, remote) = between.unwrap_or((none, none));
    out.extend(local.port().to_be_bytes());
    out.extend(remote.port().to_be_bytes());
    for ip in [unmapped(local), unmapped(remote)] {
        match ip {
            IpAddr::V4(ip) => {
                out.extend(ip.octets());
                out.extend([0; 12]);
            }
            IpAddr::V6(ip) => out.extend(ip.octets()),
        }
    }
    out.extend(0_u32.to_ne_bytes());
    // No cookie: any socket with these addresses.
    out.extend([0xff; 8]);
    out
}

/// The kernel finds an IPv4 connection of a dual-stack socket under its IPv4 addresses.
fn unmapped(at: SocketAddr) -> IpAddr {
    at.ip().to_canonical()
}

/// The first message of a reply: its type and what follows the header.
fn message(reply: &[u8]) -> io::Result<(u16, &[u8])> {
    let len = usize::try_from(u32::from_ne_bytes(array(reply, 0)?)).unwrap_or(usize::MAX);
    let kind = u16::from_ne_bytes(array(reply, 4)?);
    reply.get(HEADER..len).map(|body| (kind, body)).ok_or_else(unreadable)
}

fn seen(body: &[u8]) -> io::Result<Seen> {
    let number = |at| array(body, at).map(u32::from_ne_bytes);
    let (unread, unsent, inode) = (number(56)?, number(60)?, number(68)?);
    let state = *body.get(1).ok_or_else(unreadable)?;
    let received = info(body).and_then(|info| array(info, BYTES_RECEIVED).ok()).map_or(0, u64::from_ne_bytes);
    Ok(Seen { state, inode, unread, unsent, received })
}

/// The attribute with `struct tcp_info`, as long as this kernel has it.
fn info(body: &[u8]) -> Option<&[u8]> {
    let mut rest = body.get(MESSAGE..)?;
    while rest.len() >= 4 {
        let (len, kind) =
            (usize::from(u16::from_ne_bytes(array(rest, 0).ok()?)), u16::from_ne_bytes(array(rest, 2).ok()?));
        if kind == INET_DIAG_INFO {
            return rest.get(4..len);
        }
        rest = rest.get(len.max(4).next_multiple_of(4)..).unwrap_or_default();
    }
    None
}

fn measured(body: &[u8]) -> Option<Measured> {
    let info = info(body)?;
    let number = |at| array(info, at).map(u32::from_ne_bytes).ok();
    let long = |at| array(info, at).map(u64::from_ne_bytes).ok();
    let micros = |at| number(at).map(|n| Duration::from_micros(n.into()));
    Some(Measured {
        rtt: micros(RTT)?,
        min_rtt: micros(MIN_RTT)?,
        sent: number(DATA_SEGS_OUT)?,
        sent_again: number(TOTAL_RETRANS)?,
        acknowledged: long(BYTES_ACKED)?,
        delivery_rate: long(DELIVERY_RATE)?,
        is_program_limited: info.get(FLAGS)? & 1 != 0,
        busy: long(BUSY_TIME).map(Duration::from_micros)?,
        window_limited: long(RWND_LIMITED).map(Duration::from_micros)?,
        buffer_limited: long(SNDBUF_LIMITED).map(Duration::from_micros)?,
    })
}

fn listener(family: u8, body: &[u8]) -> io::Result<SocketAddr> {
    let port = u16::from_be_bytes(array(body, 4)?);
    let ip: IpAddr = if family == AF_INET {
        Ipv4Addr::from(array::<4>(body, 8)?).into()
    } else {
        Ipv6Addr::from(array::<16>(body, 8)?).into()
    };
    Ok(SocketAddr::from((ip, port)))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> io::Result<[u8; N]> {
    bytes.get(at..at + N).and_then(|part| part.try_into().ok()).ok_or_else(unreadable)
}

fn unreadable() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer about a socket has an unknown layout")
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};

    use super::*;

    fn pair(at: &str) -> (TcpStream, TcpStream, TcpListener) {
        let listener = TcpListener::bind(at).expect("loopback");
        let near = TcpStream::connect(("localhost", listener.local_addr().expect("bound").port()))
            .or_else(|_| TcpStream::connect(listener.local_addr().expect("bound")))
            .expect("connected");
        let (far, _) = listener.accept().expect("accepted");
        (near, far, listener)
    }

    fn far_end(near: &TcpStream) -> Option<Seen> {
        let (local, remote) = (near.local_addr().expect("an address"), near.peer_addr().expect("an address"));
        Diag::here().and_then(|diag| diag.find(remote, local)).expect("an answer")
    }

    #[test]
    fn what_a_peer_has_not_read_is_seen_until_it_reads_it() {
        for at in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
            let (mut near, mut far, _listener) = pair(at);
            near.write_all(b"hello").expect("sent");
            let seen = far_end(&near).expect("a socket");
            assert_eq!((seen.unread, seen.received, seen.has_taken(5)), (5, 5, false), "{at}");
            far.read_exact(&mut [0; 3]).expect("read");
            assert_eq!(far_end(&near).map(|seen| seen.unread), Some(2), "{at}");
            far.read_exact(&mut [0; 2]).expect("read");
            assert!(far_end(&near).is_some_and(|seen| seen.has_taken(5) && !seen.has_taken(6)), "{at}");
        }
    }

    #[test]
    fn closed_socket_is_gone_and_the_listener_is_not_taken_for_it() {
        let (near, far, _listener) = pair("127.0.0.1:0");
        assert!(far_end(&near).is_some_and(|seen| !seen.is_gone()));
        drop(far);
        assert!(far_end(&near).is_none_or(|seen| seen.is_gone()));
        drop(near);
    }

    #[test]
    fn connection_that_waits_to_be_accepted_is_there() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let near = TcpStream::connect(listener.local_addr().expect("bound")).expect("connected");
        assert!(far_end(&near).is_some_and(|seen| !seen.is_gone()));
    }

    #[test]
    fn own_socket_has_its_round_trip_time_and_what_was_acknowledged() {
        let (mut near, mut far, _listener) = pair("127.0.0.1:0");
        near.write_all(&[7; 1000]).expect("sent");
        far.read_exact(&mut [0; 1000]).expect("read");
        let (local, remote) = (near.local_addr().expect("an address"), near.peer_addr().expect("an address"));
        let measured =
            Diag::here().and_then(|diag| diag.measured(local, remote)).expect("an answer").expect("a socket");
        assert_eq!(
            (measured.acknowledged, measured.sent, measured.sent_again),
            (1001, 1, 0),
            "the SYN counts as a byte"
        );
        assert!(!measured.rtt.is_zero() && measured.rtt < Duration::from_secs(1), "{measured:?}");
        assert!(measured.min_rtt <= measured.rtt && measured.delivery_rate > 0, "{measured:?}");
    }

    #[test]
    fn listeners_are_found_with_their_ports() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback");
        let at = listener.local_addr().expect("bound");
        let diag = Diag::here().expect("netlink");
        assert!(diag.listeners().expect("a list").contains(&at));
        drop(listener);
        assert!(!diag.listeners().expect("a list").contains(&at));
    }
}
