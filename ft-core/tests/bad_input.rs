//! What a hostile or broken peer gets, one row a case: a typed error that names the rule, no effect outside its own
//! session, and the old file whole.

use std::time::Duration;

use ft_core::codec::{Decoder, Item, encode};
use ft_core::error::{Code, FileError, Retry};
use ft_core::frame::{Compare, Frame, Hello, Intent, Kind, Level, Links, Meta, Offer, Overwrite, Verdict, Want};
use ft_core::hash::{Root, Subtree};
use ft_core::memory::{Entry, Memory};
use ft_core::path::RelPath;
use ft_core::preamble::Versions;
use ft_core::session::{self, NoPulse, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn bytes_of(frames: &[Frame]) -> Vec<u8> {
    let mut out = Vec::new();
    frames.iter().for_each(|f| encode(f, &mut out));
    out
}

fn hello(intent: Option<Intent>) -> Frame {
    Frame::Hello(Hello { intent, max_streams: 9, max_offer_bytes: 9999, features: 0, agent: "test".into() })
}

fn offer(id: u32, name: &str, size: u64) -> Frame {
    let path = RelPath::parse(name.as_bytes()).unwrap();
    let meta = Meta { path, kind: Kind::File, size: Some(size), mode: None, mtime: None, target: Vec::new() };
    offer_of(id, 0, meta)
}

fn offer_of(id: u32, want: u32, meta: Meta) -> Frame {
    let (overwrite, compare, level) = (Overwrite::Replace, Compare::None, Level::Durable);
    Frame::Offer(id, Offer { want, meta, overwrite, compare, level })
}

/// A DATA frame with its content.
fn data(stream: u32, offset: u64, content: &[u8]) -> Vec<u8> {
    let mut out = bytes_of(&[Frame::Data { stream, offset, len: u32::try_from(content.len()).unwrap() }]);
    out.extend(content);
    out
}

fn end(stream: u32, content: &[u8]) -> Vec<u8> {
    bytes_of(&[Frame::End(stream, content.len() as u64, Root::of(content))])
}

/// The bytes of an offer with this raw path, which our own types refuse to make.
fn offer_with_path(components: &[&[u8]]) -> Vec<u8> {
    let good = bytes_of(&[offer(1, "x", 5)]);
    // The path of one one-byte component is the last five bytes.
    let mut payload = good[28..good.len() - 5].to_vec();
    payload.extend(u16::try_from(components.len()).unwrap().to_be_bytes());
    for c in components {
        payload.extend(u16::try_from(c.len()).unwrap().to_be_bytes());
        payload.extend(*c);
    }
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes().to_vec();
    frame.extend(&good[4..20]);
    frame.extend(crc32c::crc32c(&payload).to_be_bytes());
    frame.extend(crc32c::crc32c(&frame).to_be_bytes());
    frame.extend(payload);
    frame
}

/// Where a case begins: at the very first byte, or behind a good preamble and HELLO.
enum Start {
    Bare,
    Push,
    Pull,
}

/// Sends the steps, the server answering between them, then FIN; what the server said and whether it stored anything.
async fn serve(start: Start, steps: &[Vec<u8>]) -> String {
    let memory = Memory::new();
    memory.put(Entry::file("old", b"the old content"));
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let mut all = Versions { min: 1, max: 1 }.encode().to_vec();
    match start {
        Start::Bare => all.clear(),
        Start::Push => all.extend(bytes_of(&[hello(Some(Intent::Push))])),
        Start::Pull => all.extend(bytes_of(&[hello(Some(Intent::Pull))])),
    }
    let options = Options::default();
    let ended = async {
        match session::accept(server, &[]).await {
            Err(error) => Err(error),
            Ok(accepted) if accepted.intent() == Intent::Push => {
                accepted.receive(memory.storage(), &options, NoPulse, |_| {}).await.end
            }
            Ok(accepted) => accepted.send(memory.source(), &options, NoPulse, |_| {}).await.end,
        }
    };
    let talk = async {
        client.write_all(&all).await.unwrap();
        for step in steps {
            // A broken server may have hung up already; what it said is read below.
            let _ = client.write_all(step).await;
            // Both sides share one thread: after some turns the server has answered.
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
        client.shutdown().await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        answer
    };
    let (ended, answer) = tokio::join!(ended, talk);
    let files: Vec<String> = memory.tree().files.keys().map(ToString::to_string).collect();
    assert_eq!(memory.content("old").as_deref(), Some(&b"the old content"[..]), "the old file survives");
    let stored = if files == ["old"] { String::new() } else { format!(" | stored {files:?}") };
    let refused = refusals(&answer);
    let end = ended.map_or_else(|e| e.to_string(), |()| "session completed".into());
    format!("{end}{refused}{stored}")
}

/// ACK1 refusals and ERRORs in what the server answered.
fn refusals(answer: &[u8]) -> String {
    let mut decoder = Decoder::new();
    let mut rest = answer;
    let mut out = String::new();
    while let Ok(Some(item)) = decoder.next(&mut rest) {
        match item {
            Item::Frame(Frame::Ack1(id, _, Verdict::Refused(e))) => out += &format!(" | refused {id}: {e}"),
            Item::Frame(Frame::Error(id, e)) if id > 0 => out += &format!(" | failed {id}: {e}"),
            Item::Frame(Frame::Error(_, e)) => out += &format!(" | told: {}", e.code.name()),
            Item::Preamble(_) | Item::Frame(_) | Item::BadOffer(..) | Item::Content(_) | Item::Zdata(..) => {}
        }
    }
    out
}

fn join(parts: &[&[u8]]) -> Vec<Vec<u8>> {
    parts.iter().map(|p| p.to_vec()).collect()
}

#[tokio::test(start_paused = true)]
async fn server_names_the_rule_that_a_broken_client_broke() {
    use Start::{Bare, Pull, Push};
    let v = |min, max| Versions { min, max }.encode().to_vec();
    let goodbye = &bytes_of(&[Frame::Goodbye])[..];
    let good = join(&[&bytes_of(&[offer(1, "new", 5)]), &data(1, 0, b"hello"), &end(1, b"hello")]);
    let mut long = bytes_of(&[Frame::Goodbye]);
    long[..4].copy_from_slice(&u32::MAX.to_be_bytes());
    let crc = crc32c::crc32c(&long[..24]).to_be_bytes();
    long[24..].copy_from_slice(&crc);
    let mut torn = good[0].clone();
    torn[3] ^= 1;
    let mut unknown = bytes_of(&[Frame::Goodbye]);
    unknown[4] = 0x55;
    let crc = crc32c::crc32c(&unknown[..24]).to_be_bytes();
    unknown[24..].copy_from_slice(&crc);
    let want = |n, last| Frame::Want(n, Want { path: RelPath::root(), depth: 9, links: Links::Skip, last });
    let cancelled = Frame::Error(1, FileError::new(Code::Cancelled, Retry::Never, "enough"));
    let link = Meta { kind: Kind::Link, target: b"x".to_vec(), ..meta_of("old/below") };
    let o5 = &bytes_of(&[offer(1, "new", 5)])[..];
    let cases: Vec<(&str, Start, Vec<Vec<u8>>)> = vec![
        ("nothing at all", Bare, vec![]),
        ("an HTTP request", Bare, vec![b"GET / HTTP/1.1\r\n\r\n".to_vec()]),
        ("wrong magic", Bare, vec![b"\x89FT?1234567890ab".to_vec()]),
        ("only future versions", Bare, vec![v(2, 9)]),
        ("an impossible version range", Bare, vec![v(3, 1)]),
        ("half a preamble", Bare, vec![v(1, 1)[..9].to_vec()]),
        ("no HELLO first", Bare, join(&[&v(1, 1), goodbye])),
        ("a server's HELLO", Bare, join(&[&v(1, 1), &bytes_of(&[hello(None)])])),
        ("a second HELLO", Push, vec![bytes_of(&[hello(Some(Intent::Push))])]),
        ("a torn header", Push, vec![torn]),
        ("4 GiB of payload announced", Push, vec![long]),
        ("an unknown critical frame", Push, vec![unknown]),
        ("EOF at once", Push, vec![]),
        ("DATA before OFFER", Push, vec![data(1, 0, b"hello")]),
        ("DATA in one piece with its OFFER", Push, vec![[o5, &data(1, 0, b"hello")].concat()]),
        ("DATA at a gap", Push, join(&[o5, &data(1, 3, b"lo")])),
        ("DATA that overlaps", Push, join(&[o5, &data(1, 0, b"hel"), &data(1, 2, b"llo")])),
        ("DATA past the size", Push, join(&[o5, &data(1, 0, b"hello!")])),
        ("END short of the size", Push, join(&[o5, &data(1, 0, b"hel"), &end(1, b"hel")])),
        ("END with another size", Push, join(&[o5, &data(1, 0, b"hello"), &end(1, b"hello!")])),
        ("END with a wrong root", Push, join(&[o5, &data(1, 0, b"hallo"), &end(1, b"hello"), goodbye])),
        (
            "content within other content",
            Push,
            join(&[o5, &bytes_of(&[offer(2, "b", 5)]), &data(1, 0, b"hel"), &data(2, 0, b"x")]),
        ),
        ("an offer out of number", Push, vec![bytes_of(&[offer(7, "new", 5)])]),
        ("an offer for a want in a push", Push, vec![bytes_of(&[offer_of(1, 4, meta_of("new"))])]),
        ("ACK1 from the sender", Push, vec![bytes_of(&[Frame::Ack1(1, 0, Verdict::Send)])]),
        ("WANT in a push", Push, vec![bytes_of(&[want(1, true)])]),
        ("GOODBYE with a file unfinished", Push, join(&[o5, goodbye])),
        ("a frame after GOODBYE", Push, join(&[goodbye, goodbye])),
        ("ERROR for an offer, then GOODBYE", Push, join(&[o5, &data(1, 0, b"h"), &bytes_of(&[cancelled]), goodbye])),
        ("EOF in the middle of content", Push, join(&[o5, &data(1, 0, b"hello")[..30]])),
        ("EOF before GOODBYE", Push, good.clone()),
        ("a name with ..", Push, join(&[&offer_with_path(&[b"..", b"x"]), goodbye])),
        ("a name with /", Push, join(&[&offer_with_path(&[b"a/b"]), goodbye])),
        ("a name with NUL", Push, join(&[&offer_with_path(&[b"a\0b"]), goodbye])),
        ("an empty name", Push, join(&[&offer_with_path(&[b""]), goodbye])),
        ("no name", Push, join(&[&offer_with_path(&[]), goodbye])),
        ("a name of 256 bytes", Push, join(&[&offer_with_path(&[&[b'x'; 256]]), goodbye])),
        ("a path 129 folders deep", Push, join(&[&offer_with_path(&[&b"d"[..]; 129]), goodbye])),
        (
            "a name with escape codes",
            Push,
            join(&[&offer_with_path(&[b"\x1b[2J"]), &data(1, 0, b"hello"), &end(1, b"hello"), goodbye]),
        ),
        ("a file below a file", Push, join(&[&bytes_of(&[offer_of(1, 0, link)]), goodbye])),
        ("WANTs out of number", Pull, vec![bytes_of(&[want(2, true)])]),
        ("WANT after the last", Pull, vec![bytes_of(&[want(1, true), want(2, true)])]),
        ("ACK1 for no offer", Pull, vec![bytes_of(&[want(1, true), Frame::Ack1(4, 0, Verdict::Send)])]),
        (
            "ACK1 with an impossible prefix",
            Pull,
            join(&[
                &bytes_of(&[want(1, true)]),
                &bytes_of(&[Frame::Ack1(1, 1 << 20, Verdict::Resume(vec![Subtree([0; 32])]))]),
            ]),
        ),
        ("an OFFER to a sender", Pull, join(&[&bytes_of(&[want(1, true)]), &bytes_of(&[offer(1, "new", 5)])])),
        ("GOODBYE before the sender's", Pull, join(&[&bytes_of(&[want(1, true)]), goodbye])),
    ];
    let mut table = String::new();
    for (name, start, bytes) in cases {
        let served = tokio::time::timeout(Duration::from_secs(3600), serve(start, &bytes)).await;
        table += &format!("{name:<34}{}\n", served.unwrap_or_else(|_| "DEADLOCK".into()));
    }
    insta::with_settings!({ snapshot_path => "../../snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("bad-input", table);
    });
}

fn meta_of(path: &str) -> Meta {
    let path = RelPath::parse(path.as_bytes()).unwrap();
    Meta { path, kind: Kind::File, size: Some(0), mode: None, mtime: None, target: Vec::new() }
}
