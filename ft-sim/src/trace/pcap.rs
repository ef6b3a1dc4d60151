//! A trace as a pcapng file that Wireshark opens: each segment is a TCP packet with valid checksums, and its comment
//! says which steps of the schedule led to it.
//!
//! Format: draft-ietf-opsawg-pcapng §4.1 (section header), §4.2 (interface), §4.3 (enhanced packet), §3.5 (options);
//! RFC 791 and RFC 9293 for the packets. Addresses are from the documentation block 192.0.2.0/24 (RFC 5737).

use super::{Event, What};
use crate::core::HostId;
use crate::schedule::{Direction, Party};

/// The server's port in the file. No dissector claims it, so that Wireshark shows plain TCP.
const SERVER_PORT: u16 = 65_432;
/// Client ports count up from here, one per connection.
const CLIENT_PORT: u16 = 40_000;
/// An IPv4 packet holds 65,535 bytes; 40 are headers.
const MAX_PAYLOAD: usize = 65_495;
const LINKTYPE_RAW: u16 = 101;

const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// Renders events as a pcapng file.
#[must_use]
pub fn pcapng(events: &[Event]) -> Vec<u8> {
    let mut file = File { out: Vec::new(), flows: Vec::new(), remarks: Vec::new() };
    file.head();
    for event in events {
        file.event(event);
    }
    file.rest(events.last().map_or(0, |event| event.at));
    file.out
}

/// One connection's state as the packets need it.
struct Flow {
    conn: u16,
    hosts: [HostId; 2],
    /// Next sequence number of each direction, relative; the SYN took number 0.
    next: [u64; 2],
}

struct File {
    out: Vec<u8>,
    flows: Vec<Flow>,
    /// What happened since the last packet: the next one's comment.
    remarks: Vec<String>,
}

/// What one packet carries besides addresses.
struct Segment<'a> {
    dir: Direction,
    flags: u8,
    payload: &'a [u8],
    /// Sequence numbers that it takes: its payload, and one for SYN or FIN.
    takes: u64,
}

impl File {
    fn head(&mut self) {
        let mut body = Vec::new();
        body.extend(0x1a2b_3c4d_u32.to_le_bytes());
        body.extend(1_u16.to_le_bytes());
        body.extend(0_u16.to_le_bytes());
        body.extend(u64::MAX.to_le_bytes());
        self.block(0x0a0d_0d0a, &body);
        let mut body = Vec::new();
        body.extend(LINKTYPE_RAW.to_le_bytes());
        body.extend(0_u16.to_le_bytes());
        body.extend(0_u32.to_le_bytes());
        // if_tsresol: timestamps count nanoseconds.
        option(&mut body, 9, &[9]);
        option(&mut body, 0, &[]);
        self.block(1, &body);
    }

    fn block(&mut self, kind: u32, body: &[u8]) {
        let total = u32::try_from(12 + body.len()).expect("a block is a packet and a comment");
        self.out.extend(kind.to_le_bytes());
        self.out.extend(total.to_le_bytes());
        self.out.extend(body);
        self.out.extend(total.to_le_bytes());
    }

    fn event(&mut self, event: &Event) {
        match &event.what {
            What::Open { conn, hosts } => {
                self.flows.push(Flow { conn: *conn, hosts: *hosts, next: [0; 2] });
                let plain = |dir, flags, takes| Segment { dir, flags, payload: &[], takes };
                self.packet(event.at, *conn, &plain(Direction::C2s, SYN, 1), "connect");
                self.packet(event.at, *conn, &plain(Direction::S2c, SYN | ACK, 1), "accept");
                self.packet(event.at, *conn, &plain(Direction::C2s, ACK, 0), "connected");
            }
            What::Deliver { conn, dir, offset, bytes } => {
                let end = offset + bytes.len() as u64;
                for payload in bytes.chunks(MAX_PAYLOAD) {
                    let takes = payload.len() as u64;
                    let segment = Segment { dir: *dir, flags: PSH | ACK, payload, takes };
                    self.packet(event.at, *conn, &segment, &format!("{dir} {offset}..{end}"));
                }
            }
            What::Fin { conn, dir, offset } => {
                let segment = Segment { dir: *dir, flags: FIN | ACK, payload: &[], takes: 1 };
                self.packet(event.at, *conn, &segment, &format!("{dir}@{offset} FIN"));
            }
            What::Rst { conn, to, offset } => {
                let dir = to.reads();
                let segment = Segment { dir, flags: RST | ACK, payload: &[], takes: 0 };
                self.packet(event.at, *conn, &segment, &format!("{dir}@{offset} RST"));
            }
            What::Fault(step) => self.remarks.push(format!("schedule: {step}")),
            What::Note { kind, text, .. } => self.remarks.push(format!("{}: {text}", kind.as_str())),
            What::Error { dir, offset, error, by, .. } => self.remarks.push(format!("{by}: {dir}@{offset} {error}")),
            What::Done { host, how, .. } => self.remarks.push(format!("host {host}: {how}")),
            What::Write { .. } | What::Read { .. } | What::Eof { .. } | What::Timer | What::Poll { .. } => {}
        }
    }

    /// A step that no packet followed rides on one more bare ACK, so that a stall at the end is not lost.
    fn rest(&mut self, at: u64) {
        let Some(conn) = self.flows.last().map(|flow| flow.conn) else {
            return;
        };
        if self.remarks.iter().any(|remark| remark.starts_with("schedule: ")) {
            let segment = Segment { dir: Direction::C2s, flags: ACK, payload: &[], takes: 0 };
            self.packet(at, conn, &segment, "end of the trace");
        }
    }

    fn packet(&mut self, at: u64, conn: u16, segment: &Segment<'_>, comment: &str) {
        let Some(flow) = self.flows.iter_mut().find(|flow| flow.conn == conn) else {
            return;
        };
        let packet = flow.packet(segment);
        let mut body = Vec::with_capacity(packet.len() + 64);
        body.extend(0_u32.to_le_bytes());
        body.extend(low32(at >> 32).to_le_bytes());
        body.extend(low32(at).to_le_bytes());
        let len = u32::try_from(packet.len()).expect("an IPv4 packet");
        body.extend(len.to_le_bytes());
        body.extend(len.to_le_bytes());
        body.extend(&packet);
        pad(&mut body);
        let mut comments = std::mem::take(&mut self.remarks);
        comments.push(comment.to_owned());
        option(&mut body, 1, cut(&comments.join("\n")).as_bytes());
        option(&mut body, 0, &[]);
        self.block(6, &body);
    }
}

impl Flow {
    fn address(&self, party: Party) -> ([u8; 4], u16) {
        let host = self.hosts[party.index()];
        let port = match party {
            Party::Client => CLIENT_PORT + self.conn,
            Party::Server => SERVER_PORT,
        };
        ([192, 0, 2, host.wrapping_add(1)], port)
    }

    /// The IPv4 packet, and the sequence numbers it takes.
    fn packet(&mut self, segment: &Segment<'_>) -> Vec<u8> {
        let (from, from_port) = self.address(segment.dir.writer());
        let (to, to_port) = self.address(segment.dir.reader());
        let seq = low32(self.next[segment.dir.index()]);
        let ack = if segment.flags & ACK == 0 { 0 } else { low32(self.next[segment.dir.reverse().index()]) };
        self.next[segment.dir.index()] += segment.takes;

        let mut tcp = Vec::with_capacity(20 + segment.payload.len());
        tcp.extend(from_port.to_be_bytes());
        tcp.extend(to_port.to_be_bytes());
        tcp.extend(seq.to_be_bytes());
        tcp.extend(ack.to_be_bytes());
        tcp.extend([5 << 4, segment.flags]);
        tcp.extend(u16::MAX.to_be_bytes());
        tcp.extend([0; 4]);
        tcp.extend(segment.payload);
        let tcp_len = u16::try_from(tcp.len()).expect("bounded by MAX_PAYLOAD");
        let mut pseudo = Vec::with_capacity(12 + tcp.len());
        pseudo.extend(from);
        pseudo.extend(to);
        pseudo.extend([0, 6]);
        pseudo.extend(tcp_len.to_be_bytes());
        pseudo.extend(&tcp);
        let sum = checksum(&pseudo);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());

        let mut ip = Vec::with_capacity(20 + tcp.len());
        ip.extend([0x45, 0]);
        ip.extend((tcp_len + 20).to_be_bytes());
        ip.extend([0, 0, 0x40, 0, 64, 6, 0, 0]);
        ip.extend(from);
        ip.extend(to);
        let sum = checksum(&ip);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        ip.extend(tcp);
        ip
    }
}

/// The low half: timestamps and sequence numbers are split or wrap by definition.
fn low32(value: u64) -> u32 {
    u32::try_from(value & u64::from(u32::MAX)).expect("masked")
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded")
}

fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    body.extend(code.to_le_bytes());
    body.extend(u16::try_from(value.len()).expect("cut to fit").to_le_bytes());
    body.extend(value);
    pad(body);
}

fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

/// Comments have 16-bit lengths; longer ones keep their head.
fn cut(text: &str) -> &str {
    let mut end = text.len().min(4096);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_of_the_example_in_rfc_1071_is_right() {
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
    }

    #[test]
    fn blocks_have_equal_lengths_at_both_ends_and_fill_the_file() {
        let deliver = What::Deliver { conn: 1, dir: Direction::C2s, offset: 0, bytes: vec![1; 70_001] };
        let events =
            [What::Open { conn: 1, hosts: [0, 1] }, deliver, What::Rst { conn: 1, to: Party::Client, offset: 0 }]
                .map(|what| Event { at: 5_000_000_000, step: 0, what });
        let file = pcapng(&events);
        let mut at = 0;
        let mut kinds = Vec::new();
        while at < file.len() {
            let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
            let len = word(at + 4) as usize;
            assert_eq!(len % 4, 0);
            assert_eq!(word(at + len - 4) as usize, len);
            kinds.push(word(at));
            at += len;
        }
        // Section, interface, three packets of the handshake, two of the data, one RST.
        assert_eq!(kinds, [0x0a0d_0d0a, 1, 6, 6, 6, 6, 6, 6]);
    }
}
