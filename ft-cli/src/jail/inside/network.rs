//! A jail's network: a loopback device on which every address is at home.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

use super::super::talk::Failed;

/// The loopback device is the first of every network.
const LOOPBACK: u32 = 1;

const NEW_LINK: u16 = 16;
const NEW_ROUTE: u16 = 24;
const REQUEST: u16 = 1;
const ACKNOWLEDGE: u16 = 4;
const CREATE: u16 = 0x400;
const UP: u32 = 1;

const INET: u8 = 2;
const TABLE_LOCAL: u8 = 255;
const BY_BOOT: u8 = 3;
const SCOPE_HOST: u8 = 254;
const TYPE_LOCAL: u8 = 2;
const DESTINATION: u16 = 1;
const DEVICE: u16 = 4;

/// Makes every IPv4 address one of this machine's, and every port free to take.
pub(super) fn bring_up() -> Result<(), Failed> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)
        .map_err(|e| Failed::at("talking to the network")(e.into()))?;
    request(&socket, NEW_LINK, 0, &link()).map_err(Failed::at("bringing the loopback device up"))?;
    request(&socket, NEW_ROUTE, CREATE, &route()).map_err(Failed::at("making every address a local one"))?;
    fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0").map_err(Failed::at("opening ports below 1024"))
}

/// `ifinfomsg`: family, device type, number, flags, which of them to change.
fn link() -> Vec<u8> {
    let mut body = vec![0; 4];
    for word in [LOOPBACK, UP, UP] {
        body.extend(word.to_ne_bytes());
    }
    body
}

/// `rtmsg` for all addresses, and the two attributes that say so.
fn route() -> Vec<u8> {
    let mut body = vec![INET, 0, 0, 0, TABLE_LOCAL, BY_BOOT, SCOPE_HOST, TYPE_LOCAL, 0, 0, 0, 0];
    for (kind, value) in [(DESTINATION, 0), (DEVICE, LOOPBACK)] {
        body.extend(8u16.to_ne_bytes());
        body.extend(kind.to_ne_bytes());
        body.extend(value.to_ne_bytes());
    }
    body
}

fn request(socket: &OwnedFd, kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    let length = u32::try_from(16 + body.len()).map_err(io::Error::other)?;
    let mut message = Vec::new();
    message.extend(length.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend((REQUEST | ACKNOWLEDGE | flags).to_ne_bytes());
    // A sequence number, and the sender's, which the kernel fills in.
    message.extend([0; 8]);
    message.extend(body);
    send(socket, &message, SendFlags::empty())?;
    acknowledged(socket)
}

/// The kernel's answer to a request.
fn acknowledged(socket: &OwnedFd) -> io::Result<()> {
    let mut answer = [0; 1024];
    let (length, _) = recv(socket, &mut answer[..], RecvFlags::empty())?;
    // A header of 16 bytes, then the error as a negative number; zero is none.
    let code = answer.get(16..20).filter(|_| length >= 20).and_then(|bytes| bytes.try_into().ok());
    match code.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(errno) => Err(io::Error::from_raw_os_error(-errno)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
