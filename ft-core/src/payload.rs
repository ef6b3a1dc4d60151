//! What is inside the frames (PROTOCOL §5): every field written and read in one place, one function for each direction.

use crate::compress::PREFIX;
use crate::error::{Code, FileError, Retry};
use crate::frame::{
    Ack2, Compare, Frame, Hello, Intent, Kind, Level, Links, Meta, Mtime, Offer, Overwrite, StreamId, Verdict, Want,
};
use crate::hash::{Root, Subtree, decompose};
use crate::join::{Invite, Join, Token};
use crate::limits::{
    MAX_AGENT, MAX_DATA, MAX_FILE, MAX_HOLE, MAX_JOINED, MAX_PATH, MAX_SUBTREES, MAX_TEXT, RESUME_UNIT,
};
use crate::path::RelPath;
use crate::wire::{Reader, Wrong, put_bytes, put_path};

/// Frame types on the wire (PROTOCOL §4.2). From [`OPTIONAL`] on, an unknown type may be skipped.
pub(crate) mod kind {
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
    pub(crate) const OPTIONAL: u8 = 0x80;
    pub(crate) const ALIVE: u8 = 0x80;
    pub(crate) const INVITE: u8 = 0x81;
}

const NO_MODE: u16 = 0xffff;
const NO_MTIME: u32 = 0xffff_ffff;
const NO_SIZE: u64 = u64::MAX;
const WANT_LAST: u8 = 1;

/// A checked header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Header {
    pub(crate) len: u32,
    pub(crate) kind: u8,
    pub(crate) stream: StreamId,
    pub(crate) offset: u64,
    pub(crate) payload_crc: u32,
}

/// Bytes of an OFFER's payload: what the window of offer bytes counts (PROTOCOL §7.2).
pub(crate) fn offer_len(offer: &Offer) -> u32 {
    let fixed = 4 + 1 + 1 + 1 + 1 + 2 + 8 + 4 + 8 + 2;
    u32::try_from(fixed + offer.meta.target.len() + path_len(&offer.meta.path)).unwrap_or(u32::MAX)
}

/// Bytes of a WANT's payload: what the bound of a session's wants counts (PROTOCOL §9).
pub fn want_len(want: &Want) -> usize {
    1 + 1 + 2 + path_len(&want.path)
}

fn path_len(path: &RelPath) -> usize {
    2 + path.components().iter().map(|c| 2 + c.len()).sum::<usize>()
}

/// Appends the payload; gives type, stream and offset for the header.
pub(crate) fn encode_payload(frame: &Frame, out: &mut Vec<u8>) -> (u8, StreamId, u64) {
    match frame {
        Frame::Hello(h) => {
            out.push(match h.intent {
                None => 0,
                Some(Intent::Push) => 1,
                Some(Intent::Pull) => 2,
                Some(Intent::List) => 3,
            });
            out.extend(h.max_streams.to_be_bytes());
            out.extend(h.max_offer_bytes.to_be_bytes());
            out.extend(h.features.to_be_bytes());
            let agent = &h.agent.as_bytes()[..h.agent.floor_char_boundary(MAX_AGENT)];
            out.push(u8::try_from(agent.len()).unwrap_or(0));
            out.extend(agent);
            (kind::HELLO, 0, 0)
        }
        Frame::Error(stream, e) => {
            put_error(e, out);
            (kind::ERROR, *stream, e.offset)
        }
        Frame::Goodbye => (kind::GOODBYE, 0, 0),
        Frame::Join(join) => {
            out.extend(join.token.0);
            out.push(join.of);
            (kind::JOIN, 0, 0)
        }
        Frame::Spread(lanes) => {
            out.push(*lanes);
            (kind::SPREAD, 0, 0)
        }
        Frame::Invite(invite) => {
            out.push(u8::from(invite.is_urgent));
            invite.tokens.iter().for_each(|token| out.extend(token.0));
            (kind::INVITE, 0, 0)
        }
        Frame::Want(number, w) => {
            out.push(if w.last { WANT_LAST } else { 0 });
            out.push(match w.links {
                Links::Skip => 0,
                Links::Keep => 1,
                Links::Follow => 2,
            });
            out.extend(w.depth.to_be_bytes());
            put_path(&w.path, out);
            (kind::WANT, *number, 0)
        }
        Frame::Done(number, count, error) => {
            out.extend(count.to_be_bytes());
            match error {
                Some(e) => put_error(e, out),
                None => out.extend([0; 5]),
            }
            (kind::DONE, *number, 0)
        }
        Frame::Entry(number, meta) => {
            put_meta(meta, out);
            (kind::ENTRY, *number, 0)
        }
        Frame::Offer(stream, o) => {
            out.extend(o.want.to_be_bytes());
            out.push(match o.overwrite {
                Overwrite::Default => 0,
                Overwrite::Never => 1,
                Overwrite::Replace => 2,
                Overwrite::KeepBoth => 3,
            });
            out.push(match o.compare {
                Compare::None => 0,
                Compare::Quick => 1,
                Compare::Content => 2,
            });
            out.push(level_to_wire(o.level));
            put_meta(&o.meta, out);
            (kind::OFFER, *stream, 0)
        }
        Frame::Ack1(stream, offset, verdict) => {
            match verdict {
                Verdict::Send => out.push(1),
                Verdict::Resume(subtrees) => {
                    out.push(2);
                    out.push(u8::try_from(subtrees.len()).unwrap_or(0));
                    subtrees.iter().for_each(|s| out.extend(s.0));
                }
                Verdict::SameMeta => out.push(3),
                Verdict::SameContent(root) => {
                    out.push(4);
                    out.extend(root.0);
                }
                Verdict::Refused(e) => {
                    out.push(5);
                    put_error(e, out);
                }
            }
            (kind::ACK1, *stream, *offset)
        }
        Frame::Data { stream, offset, .. } => (kind::DATA, *stream, *offset),
        Frame::Zdata { stream, offset, .. } => (kind::ZDATA, *stream, *offset),
        Frame::Hole { stream, offset, len } => {
            out.extend(len.to_be_bytes());
            (kind::HOLE, *stream, *offset)
        }
        Frame::End(stream, size, root) => {
            out.extend(root.0);
            (kind::END, *stream, *size)
        }
        Frame::Ack2(stream, ack) => {
            out.push(level_to_wire(ack.level));
            out.extend(ack.root.0);
            put_path(&ack.path, out);
            (kind::ACK2, *stream, ack.size)
        }
        Frame::Alive(stream, offset) => (kind::ALIVE, *stream, *offset),
    }
}

fn level_to_wire(level: Level) -> u8 {
    match level {
        Level::Cached => 1,
        Level::Durable => 2,
    }
}

fn put_error(e: &FileError, out: &mut Vec<u8>) {
    out.extend(e.code.to_wire().to_be_bytes());
    out.push(match e.retry {
        Retry::Never => 0,
        Retry::Later => 1,
        Retry::Now => 2,
    });
    put_bytes(&e.text.as_bytes()[..e.text.floor_char_boundary(MAX_TEXT)], out);
}

fn put_meta(m: &Meta, out: &mut Vec<u8>) {
    out.push(match m.kind {
        Kind::File => 1,
        Kind::Folder => 2,
        Kind::Link => 3,
    });
    out.extend(m.mode.unwrap_or(NO_MODE).to_be_bytes());
    let (secs, nanos) = m.mtime.map_or((0, NO_MTIME), |t| (t.secs, t.nanos));
    out.extend(secs.to_be_bytes());
    out.extend(nanos.to_be_bytes());
    out.extend(m.size.unwrap_or(NO_SIZE).to_be_bytes());
    put_bytes(&m.target, out);
    put_path(&m.path, out);
}

/// The frame that a payload holds.
///
/// # Errors
/// What was expected, what came, at which byte of the payload.
pub(crate) fn parse(r: &mut Reader<'_>, h: Header) -> Result<Frame, Wrong> {
    let of_session = matches!(h.kind, kind::HELLO | kind::GOODBYE | kind::JOIN | kind::SPREAD | kind::INVITE);
    let needs_stream = !of_session && !matches!(h.kind, kind::ERROR | kind::ALIVE);
    if needs_stream && h.stream == 0 {
        return Err(r.wrong("FT-5: a stream or want number from 1 up", "0"));
    }
    if of_session && h.stream != 0 {
        return Err(r.wrong("FT-5: stream 0", &h.stream.to_string()));
    }
    let uses_offset =
        matches!(h.kind, kind::ERROR | kind::ACK1 | kind::ZDATA | kind::HOLE | kind::END | kind::ACK2 | kind::ALIVE);
    if !uses_offset && h.offset != 0 {
        return Err(r.wrong("FT-5: offset 0", &h.offset.to_string()));
    }
    Ok(match h.kind {
        kind::HELLO => Frame::Hello(Hello {
            intent: match r.u8()? {
                0 => None,
                1 => Some(Intent::Push),
                2 => Some(Intent::Pull),
                3 => Some(Intent::List),
                n => return Err(r.wrong("an intent from 0 to 3", &n.to_string())),
            },
            max_streams: r.u32()?,
            max_offer_bytes: r.u32()?,
            features: r.u64()?,
            agent: {
                let len = r.u8()?;
                r.text(usize::from(len), MAX_AGENT)?
            },
        }),
        kind::ERROR => Frame::Error(h.stream, read_error(r)?.at(h.offset)),
        kind::GOODBYE => Frame::Goodbye,
        kind::JOIN => Frame::Join(Join { token: Token(r.array()?), of: lanes(r)? }),
        kind::SPREAD => Frame::Spread(lanes(r)?),
        kind::INVITE => {
            let is_urgent = match r.u8()? {
                0 => false,
                1 => true,
                n => return Err(r.wrong("FT-5: known INVITE flags", &n.to_string())),
            };
            let mut tokens = Vec::new();
            while !r.is_empty() {
                if tokens.len() == usize::from(MAX_JOINED) {
                    return Err(r.wrong(&format!("FT-3: up to {MAX_JOINED} tokens"), "more"));
                }
                tokens.push(Token(r.array()?));
            }
            Frame::Invite(Invite { is_urgent, tokens })
        }
        kind::WANT => {
            let last = match r.u8()? {
                0 => false,
                WANT_LAST => true,
                n => return Err(r.wrong("FT-5: known WANT flags", &n.to_string())),
            };
            let links = match r.u8()? {
                0 => Links::Skip,
                1 => Links::Keep,
                2 => Links::Follow,
                n => return Err(r.wrong("a link policy from 0 to 2", &n.to_string())),
            };
            Frame::Want(h.stream, Want { last, links, depth: r.u16()?, path: r.path()? })
        }
        kind::DONE => {
            let count = r.u32()?;
            let error = read_error(r)?;
            Frame::Done(h.stream, count, (error.code != Code::Other(0)).then_some(error))
        }
        kind::ENTRY => Frame::Entry(h.stream, read_meta(r)?.named(r)?),
        kind::OFFER => {
            let offer = Offer {
                want: r.u32()?,
                overwrite: match r.u8()? {
                    0 => Overwrite::Default,
                    1 => Overwrite::Never,
                    2 => Overwrite::Replace,
                    3 => Overwrite::KeepBoth,
                    n => return Err(r.wrong("an overwrite policy from 0 to 3", &n.to_string())),
                },
                compare: match r.u8()? {
                    0 => Compare::None,
                    1 => Compare::Quick,
                    2 => Compare::Content,
                    n => return Err(r.wrong("a comparison from 0 to 2", &n.to_string())),
                },
                level: read_level(r)?,
                meta: read_meta(r)?.named(r)?,
            };
            Frame::Offer(h.stream, offer)
        }
        kind::ACK1 => {
            let verdict = match r.u8()? {
                1 => Verdict::Send,
                2 => Verdict::Resume(read_subtrees(r, h.offset)?),
                3 => Verdict::SameMeta,
                4 => Verdict::SameContent(Root(r.array()?)),
                5 => Verdict::Refused(read_error(r)?),
                n => return Err(r.wrong("a verdict from 1 to 5", &n.to_string())),
            };
            if matches!(verdict, Verdict::Send | Verdict::Refused(_)) && h.offset != 0 {
                return Err(r.wrong("FT-5: offset 0", &h.offset.to_string()));
            }
            Frame::Ack1(h.stream, h.offset, verdict)
        }
        kind::ZDATA => {
            let len = r.u32()?;
            let packed = r.rest();
            // What is not shorter than its content goes as DATA, so that a frame's length bounds nothing but itself.
            if len == 0 || len > MAX_DATA || packed as usize + PREFIX >= len as usize {
                let want = format!("FT-76: content of 1 to {MAX_DATA} bytes, more than the frame has");
                return Err(r.wrong(&want, &format!("{len} in {packed}")));
            }
            Frame::Zdata { stream: h.stream, offset: h.offset, len, packed }
        }
        kind::HOLE => {
            let len = r.u64()?;
            if len == 0 || len > MAX_HOLE || h.offset + len > MAX_FILE {
                return Err(r.wrong(&format!("FT-3: a hole from 1 to {MAX_HOLE} bytes"), &len.to_string()));
            }
            Frame::Hole { stream: h.stream, offset: h.offset, len }
        }
        kind::END => Frame::End(h.stream, h.offset, Root(r.array()?)),
        kind::ACK2 => {
            let ack = Ack2 { size: h.offset, level: read_level(r)?, root: Root(r.array()?), path: r.path()? };
            if ack.path.is_root() {
                return Err(r.bad_name("at least one component", "none"));
            }
            Frame::Ack2(h.stream, ack)
        }
        kind::ALIVE => Frame::Alive(h.stream, h.offset),
        other => return Err(r.wrong("FT-4: a frame type of this version", &format!("0x{other:02x}"))),
    })
}

/// A number of connections that join.
fn lanes(r: &mut Reader<'_>) -> Result<u8, Wrong> {
    match r.u8()? {
        n @ 1..=MAX_JOINED => Ok(n),
        n => Err(r.wrong(&format!("FT-8: 1 to {MAX_JOINED} connections"), &n.to_string())),
    }
}

fn read_level(r: &mut Reader<'_>) -> Result<Level, Wrong> {
    match r.u8()? {
        1 => Ok(Level::Cached),
        2 => Ok(Level::Durable),
        n => Err(r.wrong("a level of 1 or 2", &n.to_string())),
    }
}

fn read_error(r: &mut Reader<'_>) -> Result<FileError, Wrong> {
    let code = Code::from_wire(r.u16()?);
    let retry = match r.u8()? {
        0 => Retry::Never,
        1 => Retry::Later,
        2 => Retry::Now,
        n => return Err(r.wrong("a retry hint from 0 to 2", &n.to_string())),
    };
    let text = String::from_utf8_lossy(r.bytes16(MAX_TEXT)?).into_owned();
    Ok(FileError { code, retry, offset: 0, text })
}

fn read_subtrees(r: &mut Reader<'_>, len: u64) -> Result<Vec<Subtree>, Wrong> {
    let expected = decompose(len).count();
    let count = usize::from(r.u8()?);
    let complete = count == expected || count == 0;
    if len == 0 || !len.is_multiple_of(RESUME_UNIT) || !complete || count > MAX_SUBTREES {
        let want = format!("FT-57: whole MiB and {expected} subtree hashes, or none");
        return Err(r.wrong(&want, &format!("{len} bytes and {count} hashes")));
    }
    (0..count).map(|_| r.array().map(Subtree)).collect()
}

impl Meta {
    /// Only a want may mean the root itself.
    fn named(self, r: &Reader<'_>) -> Result<Self, Wrong> {
        if self.path.is_root() { Err(r.bad_name("at least one component", "none")) } else { Ok(self) }
    }
}

fn read_meta(r: &mut Reader<'_>) -> Result<Meta, Wrong> {
    let kind = match r.u8()? {
        1 => Kind::File,
        2 => Kind::Folder,
        3 => Kind::Link,
        n => return Err(r.wrong("a kind from 1 to 3", &n.to_string())),
    };
    let mode = match r.u16()? {
        NO_MODE => None,
        mode if mode <= 0o777 => Some(mode),
        mode => return Err(r.wrong("permission bits up to 0777", &format!("0{mode:o}"))),
    };
    let secs = i64::from_be_bytes(r.array()?);
    let mtime = match r.u32()? {
        NO_MTIME if secs == 0 => None,
        nanos if nanos < 1_000_000_000 => Some(Mtime { secs, nanos }),
        nanos => return Err(r.wrong("nanoseconds below 1,000,000,000", &nanos.to_string())),
    };
    let size = match (kind, r.u64()?) {
        (Kind::File, NO_SIZE) => None,
        (Kind::File, n) if n <= MAX_FILE => Some(n),
        (Kind::Folder | Kind::Link, 0) => Some(0),
        (_, n) => return Err(r.wrong("a size that fits the kind", &n.to_string())),
    };
    let target = r.bytes16(MAX_PATH)?.to_vec();
    if target.is_empty() == (kind == Kind::Link) {
        return Err(r.wrong("a link target for links and only for links", &format!("{} bytes", target.len())));
    }
    Ok(Meta { kind, mode, mtime, size, target, path: r.path()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counted_lengths_are_those_on_the_wire() {
        let path = RelPath::parse(b"one/two/three").expect("a path");
        let meta = Meta {
            path: path.clone(),
            kind: Kind::Link,
            size: Some(0),
            mode: None,
            mtime: None,
            target: b"t".to_vec(),
        };
        let (overwrite, compare, level) = (Overwrite::Default, Compare::None, Level::Cached);
        let offer = Offer { want: 0, meta, overwrite, compare, level };
        let want = Want { path, depth: 1, links: Links::Skip, last: true };
        let mut bytes = Vec::new();
        encode_payload(&Frame::Offer(1, offer.clone()), &mut bytes);
        assert_eq!(bytes.len(), offer_len(&offer) as usize);
        bytes.clear();
        encode_payload(&Frame::Want(1, want.clone()), &mut bytes);
        assert_eq!(bytes.len(), want_len(&want));
    }
}
