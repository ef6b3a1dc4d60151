//! Bytes of ft/1 made by hand, right and wrong, and a reader of frames that owes nothing to the program under test but the
//! names of the error codes.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use ft_core::error::Code;

pub(crate) const HELLO: u8 = 0x01;
pub(crate) const ERROR: u8 = 0x02;
pub(crate) const GOODBYE: u8 = 0x03;
pub(crate) const JOIN: u8 = 0x04;
pub(crate) const SPREAD: u8 = 0x05;
pub(crate) const WANT: u8 = 0x10;
pub(crate) const DONE: u8 = 0x11;
pub(crate) const ENTRY: u8 = 0x12;
pub(crate) const OFFER: u8 = 0x20;
pub(crate) const ACK1: u8 = 0x21;
pub(crate) const DATA: u8 = 0x22;
pub(crate) const HOLE: u8 = 0x23;
pub(crate) const END: u8 = 0x24;
pub(crate) const ACK2: u8 = 0x25;
pub(crate) const ZDATA: u8 = 0x26;
pub(crate) const ALIVE: u8 = 0x80;
pub(crate) const INVITE: u8 = 0x81;

pub(crate) const PUSH: u8 = 1;
pub(crate) const PULL: u8 = 2;
pub(crate) const ANSWER: u8 = 0;

/// The content of every file that is offered here.
pub(crate) const CONTENT: &[u8] = b"hello";

pub(crate) fn preamble(lowest: u16, highest: u16) -> Vec<u8> {
    let mut bytes = b"\x89FT/\r\n\x1a\n".to_vec();
    bytes.extend(lowest.to_be_bytes());
    bytes.extend(highest.to_be_bytes());
    bytes.extend(crc32c::crc32c(&bytes).to_be_bytes());
    bytes
}

/// A frame whose checksums are right, whatever else it is.
pub(crate) fn frame(kind: u8, stream: u32, offset: u64, payload: &[u8]) -> Vec<u8> {
    let crc = if kind == DATA { 0 } else { crc32c::crc32c(payload) };
    let length = u32::try_from(payload.len()).expect("small");
    [header(kind, 0, stream, offset, length, crc), payload.to_vec()].concat()
}

/// A header whose own checksum is right.
pub(crate) fn header(kind: u8, flags: u8, stream: u32, offset: u64, length: u32, crc: u32) -> Vec<u8> {
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.extend([kind, flags, 0, 0]);
    bytes.extend(offset.to_be_bytes());
    bytes.extend(stream.to_be_bytes());
    bytes.extend(crc.to_be_bytes());
    bytes.extend(crc32c::crc32c(&bytes).to_be_bytes());
    bytes
}

fn hello_payload(intent: u8, features: u64, agent: &[u8]) -> Vec<u8> {
    let mut payload = vec![intent];
    payload.extend(64u32.to_be_bytes());
    payload.extend(65_536u32.to_be_bytes());
    payload.extend(features.to_be_bytes());
    payload.push(u8::try_from(agent.len()).expect("short"));
    payload.extend(agent);
    payload
}

pub(crate) fn hello(intent: u8) -> Vec<u8> {
    frame(HELLO, 0, 0, &hello_payload(intent, 0, b"test"))
}

pub(crate) fn hello_with(intent: u8, features: u64, agent: &[u8], more: &[u8]) -> Vec<u8> {
    frame(HELLO, 0, 0, &[&hello_payload(intent, features, agent)[..], more].concat())
}

/// Fields of an OFFER that may be wrong.
#[derive(Clone, Copy)]
pub(crate) struct Offer<'a> {
    pub(crate) want: u32,
    pub(crate) overwrite: u8,
    pub(crate) compare: u8,
    pub(crate) level: u8,
    pub(crate) kind: u8,
    pub(crate) mode: u16,
    pub(crate) nanos: u32,
    pub(crate) size: u64,
    pub(crate) target: &'a [u8],
    pub(crate) path: &'a [&'a [u8]],
}

pub(crate) const FILE: Offer<'static> = Offer {
    want: 0,
    overwrite: 2,
    compare: 0,
    level: 1,
    kind: 1,
    mode: 0o644,
    nanos: u32::MAX,
    size: CONTENT.len() as u64,
    target: b"",
    path: &[b"new"],
};
pub(crate) const FOLDER: Offer<'static> = Offer { kind: 2, size: 0, ..FILE };
pub(crate) const LINK: Offer<'static> = Offer { kind: 3, size: 0, mode: 0xffff, ..FILE };

impl Offer<'_> {
    fn meta(&self) -> Vec<u8> {
        let mut bytes = vec![self.kind];
        bytes.extend(self.mode.to_be_bytes());
        bytes.extend(0i64.to_be_bytes());
        bytes.extend(self.nanos.to_be_bytes());
        bytes.extend(self.size.to_be_bytes());
        bytes.extend(counted(self.target));
        bytes.extend(path(self.path));
        bytes
    }

    pub(crate) fn frame(&self, stream: u32) -> Vec<u8> {
        let mut payload = self.want.to_be_bytes().to_vec();
        payload.extend([self.overwrite, self.compare, self.level]);
        payload.extend(self.meta());
        frame(OFFER, stream, 0, &payload)
    }

    pub(crate) fn entry(&self, want: u32) -> Vec<u8> {
        frame(ENTRY, want, 0, &self.meta())
    }
}

/// A file of five bytes under this name, for a push.
pub(crate) fn offer(stream: u32, components: &[&[u8]]) -> Vec<u8> {
    Offer { path: components, ..FILE }.frame(stream)
}

/// The same, for a want.
pub(crate) fn given(stream: u32, want: u32, components: &[&[u8]]) -> Vec<u8> {
    Offer { want, path: components, ..FILE }.frame(stream)
}

fn counted(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).expect("short").to_be_bytes()[..], bytes].concat()
}

pub(crate) fn path(components: &[&[u8]]) -> Vec<u8> {
    let mut bytes = u16::try_from(components.len()).expect("few").to_be_bytes().to_vec();
    components.iter().for_each(|component| bytes.extend(counted(component)));
    bytes
}

pub(crate) fn data(stream: u32, offset: u64, content: &[u8]) -> Vec<u8> {
    frame(DATA, stream, offset, content)
}

pub(crate) fn hole(stream: u32, offset: u64, length: u64) -> Vec<u8> {
    frame(HOLE, stream, offset, &length.to_be_bytes())
}

/// END for this content.
pub(crate) fn end(stream: u32, content: &[u8]) -> Vec<u8> {
    frame(END, stream, content.len() as u64, blake3::hash(content).as_bytes())
}

pub(crate) fn goodbye() -> Vec<u8> {
    frame(GOODBYE, 0, 0, b"")
}

/// A segment (PROTOCOL §7.8).
pub(crate) fn segment(offset: u64, bytes: &[u8]) -> Vec<u8> {
    let mut all = offset.to_be_bytes().to_vec();
    all.extend(u32::try_from(bytes.len()).expect("short").to_be_bytes());
    all.extend(crc32c::crc32c(&all).to_be_bytes());
    all.extend(bytes);
    all
}

/// One file of five bytes whole: DATA and END.
pub(crate) fn whole(stream: u32) -> Vec<u8> {
    [data(stream, 0, CONTENT), end(stream, CONTENT)].concat()
}

pub(crate) fn want(number: u32, flags: u8, components: &[&[u8]]) -> Vec<u8> {
    frame(WANT, number, 0, &[&[flags, 0, 0xff, 0xff][..], &path(components)].concat())
}

pub(crate) fn done(want: u32, count: u32) -> Vec<u8> {
    frame(DONE, want, 0, &[&count.to_be_bytes()[..], &[0; 5]].concat())
}

pub(crate) fn ack1(stream: u32, offset: u64, verdict: &[u8]) -> Vec<u8> {
    frame(ACK1, stream, offset, verdict)
}

pub(crate) fn ack2(stream: u32, level: u8, content: &[u8], components: &[&[u8]]) -> Vec<u8> {
    let payload = [&[level][..], blake3::hash(content).as_bytes(), &path(components)].concat();
    frame(ACK2, stream, content.len() as u64, &payload)
}

pub(crate) fn fault(code: u16, retry: u8, text: &[u8]) -> Vec<u8> {
    [&code.to_be_bytes()[..], &[retry], &counted(text)].concat()
}

/// What a frame on the wire says.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) kind: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Heard {
    /// Code and text of an ERROR, or of a refusal.
    pub(crate) fn fault(&self) -> Option<(&'static str, String)> {
        let fault = match (self.kind, self.payload.first()) {
            (ERROR, _) => &self.payload[..],
            (ACK1, Some(5)) => &self.payload[1..],
            _ => return None,
        };
        let code = u16::from_be_bytes([fault[0], fault[1]]);
        Some((Code::from_wire(code).name(), String::from_utf8_lossy(&fault[5..]).into_owned()))
    }
}

/// One end of a connection: says anything, and reads frames.
pub(crate) struct Wire {
    stream: Option<TcpStream>,
    bytes: Vec<u8>,
    at: usize,
    /// Every frame so far.
    pub(crate) heard: Vec<Heard>,
    /// Nothing more comes.
    pub(crate) over: bool,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        let patience = Some(Duration::from_secs(40));
        stream.set_read_timeout(patience).expect("an option");
        stream.set_write_timeout(patience).expect("an option");
        stream.set_nodelay(true).expect("an option");
        Self { stream: Some(stream), bytes: Vec::new(), at: 0, heard: Vec::new(), over: false }
    }

    /// Sends; whoever has hung up does not hear it.
    pub(crate) fn say(&mut self, bytes: &[u8]) -> &mut Self {
        let _ = self.stream.as_mut().map(|stream| stream.write_all(bytes));
        self
    }

    /// Half-closes.
    pub(crate) fn shut(&mut self) -> &mut Self {
        let _ = self.stream.as_ref().map(|stream| stream.shutdown(Shutdown::Write));
        self
    }

    /// Waits for a frame of that kind for that stream, or for the end.
    pub(crate) fn hear(&mut self, kind: u8, stream: u32) -> &mut Self {
        while !self.over && !self.heard.iter().any(|f| f.kind == kind && f.stream == stream) {
            self.read();
        }
        self
    }

    /// Reads to the end.
    pub(crate) fn hear_all(&mut self) {
        while !self.over {
            self.read();
        }
    }

    /// Resets the connection.
    pub(crate) fn reset(&mut self) {
        if let Some(stream) = self.stream.take() {
            rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("an option");
        }
        self.over = true;
    }

    fn read(&mut self) {
        let mut chunk = [0; 65_536];
        let Some(stream) = &mut self.stream else { return };
        match stream.read(&mut chunk) {
            Ok(0) => self.over = true,
            Ok(n) => self.bytes.extend_from_slice(&chunk[..n]),
            Err(e) if matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {
                panic!("the peer neither answers nor hangs up; so far it said {:?}", self.heard)
            }
            Err(_) => self.over = true,
        }
        self.parse();
    }

    fn parse(&mut self) {
        if self.at == 0 {
            if self.bytes.len() < 16 {
                return;
            }
            self.at = 16;
        }
        while let Some(head) = self.bytes.get(self.at..self.at + 28) {
            let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
            let (kind, stream) = (head[4], u32::from_be_bytes([head[16], head[17], head[18], head[19]]));
            let Some(payload) = self.bytes.get(self.at + 28..self.at + 28 + length) else { return };
            self.heard.push(Heard { kind, stream, payload: payload.to_vec() });
            self.at += 28 + length;
        }
    }
}
