//! What a client makes of a hostile or broken server, one row a case: nothing that was not asked for lands, nothing
//! counts as stored that is not, and the error names the rule.

use std::time::Duration;

use ft_core::codec::encode;
use ft_core::error::{Code, FileError, Retry};
use ft_core::event::Report;
use ft_core::frame::{Ack2, Compare, Frame, Hello, Intent, Kind, Level, Links, Meta, Offer, Overwrite, Verdict, Want};
use ft_core::hash::Root;
use ft_core::memory::{Entry, Memory};
use ft_core::path::RelPath;
use ft_core::preamble::Versions;
use ft_core::session::{self, NoPulse, Options};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

fn bytes_of(frames: &[Frame]) -> Vec<u8> {
    let mut out = Vec::new();
    frames.iter().for_each(|f| encode(f, &mut out));
    out
}

fn greeting() -> Vec<u8> {
    let hello = Hello { intent: None, max_streams: 9, max_offer_bytes: 9999, features: 0, agent: "\x1b[2J".into() };
    [&Versions { min: 1, max: 1 }.encode()[..], &bytes_of(&[Frame::Hello(hello)])].concat()
}

fn path(text: &str) -> RelPath {
    RelPath::parse(text.as_bytes()).unwrap()
}

fn meta(name: &str) -> Meta {
    Meta { path: path(name), kind: Kind::File, size: Some(5), mode: None, mtime: None, target: Vec::new() }
}

fn offer(id: u32, want: u32, name: &str) -> Frame {
    let (overwrite, compare, level) = (Overwrite::Replace, Compare::None, Level::Durable);
    Frame::Offer(id, Offer { want, meta: meta(name), overwrite, compare, level })
}

fn ack2(content: &[u8], level: Level) -> Frame {
    let (size, root) = (content.len() as u64, Root::of(content));
    Frame::Ack2(1, Ack2 { size, level, root, path: path("f") })
}

/// Says its steps, the client answering between them, then FIN, and reads to the end.
async fn server(mut stream: DuplexStream, steps: Vec<Vec<u8>>) {
    for step in steps {
        let _ = stream.write_all(&step).await;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    let _ = stream.shutdown().await;
    let _ = stream.read_to_end(&mut Vec::new()).await;
}

fn describe(report: &Report, local: &Memory) -> String {
    let end = report.end.as_ref().map_or_else(ToString::to_string, |()| "session completed".into());
    let files: Vec<String> = local.tree().files.keys().map(ToString::to_string).collect();
    let counts = format!("{} stored, {} failed, {} unknown", report.completed, report.failed, report.unknown);
    let wants: String = report.wants.iter().map(|(n, e)| format!(" | want {n}: {e}")).collect();
    format!("{counts}; here {files:?}; {end}{wants}")
}

async fn run(intent: Intent, steps: Vec<Vec<u8>>) -> String {
    let local = Memory::new();
    local.put(Entry::file("f", b"local"));
    let (a, b) = tokio::io::duplex(1 << 20);
    let options = Options::default();
    let want = Want { path: path("dir/w"), depth: u16::MAX, links: Links::Skip, last: false };
    let client = async {
        match intent {
            Intent::Push => session::push(a, local.source(), &options, NoPulse, |_| {}).await,
            Intent::Pull => session::pull(a, vec![want], local.storage(), &options, NoPulse, |_| {}).await,
            Intent::List => session::list(a, vec![want], &options, NoPulse, |_| {}).await,
        }
    };
    let both = async { tokio::join!(client, server(b, steps)) };
    let (report, ()) = tokio::time::timeout(Duration::from_secs(3600), both).await.expect("no deadlock");
    assert_eq!(local.content("f").as_deref(), Some(&b"local"[..]), "what was here stays");
    describe(&report, &local)
}

#[tokio::test(start_paused = true)]
async fn client_believes_no_server_that_breaks_the_rules() {
    use Intent::{List, Pull, Push};
    let hi = greeting();
    let say = |frames: &[Frame]| [&hi[..], &bytes_of(frames)].concat();
    let send = Frame::Ack1(1, 0, Verdict::Send);
    let ok = std::slice::from_ref(&send);
    let cached = bytes_of(&[ack2(b"local", Level::Cached)]);
    let good = bytes_of(&[ack2(b"local", Level::Durable)]);
    let bye = bytes_of(&[Frame::Goodbye]);
    let data = [&bytes_of(&[Frame::Data { stream: 1, offset: 0, len: 5 }])[..], b"hello"].concat();
    let end = bytes_of(&[Frame::End(1, 5, Root::of(b"hello"))]);
    let done = bytes_of(&[Frame::Done(1, 1, None)]);
    let error = FileError::new(Code::Io, Retry::Later, "disk \x1b[31mbroken");
    let cases: Vec<(&str, Intent, Vec<Vec<u8>>)> = vec![
        ("an HTTP server", Push, vec![b"HTTP/1.1 400 Bad Request\r\n".to_vec()]),
        ("an SSH server that waits", Push, vec![b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()]),
        ("a lab A server", Push, vec![b"ACK".to_vec()]),
        ("a server of a later version", Push, vec![Versions { min: 2, max: 3 }.encode().to_vec()]),
        ("silence and FIN", Push, vec![]),
        ("a client's HELLO", Push, vec![[&hi[..16], &bytes_of(&[hello_of(Push)])].concat()]),
        (
            "busy",
            Push,
            vec![[&hi[..16], &bytes_of(&[Frame::Error(0, FileError::new(Code::Busy, Retry::Later, ""))])].concat()],
        ),
        ("ACK1, ACK2, GOODBYE in order", Push, vec![say(ok), good.clone(), bye.clone()]),
        ("EOF after ACK1", Push, vec![say(ok)]),
        ("ACK2 before END", Push, vec![say(&[ack2(b"local", Level::Durable)])]),
        ("ACK2 with another root", Push, vec![say(ok), bytes_of(&[ack2(b"lokal", Level::Durable)])]),
        ("ACK2 with another size", Push, vec![say(ok), bytes_of(&[ack2(b"loca", Level::Durable)])]),
        ("ACK2 that is only cached", Push, vec![say(ok), cached]),
        ("ACK2 twice", Push, vec![say(ok), good.clone(), good.clone()]),
        ("ACK1 twice", Push, vec![[say(ok), bytes_of(ok)].concat()]),
        ("ACK1 same with another size", Push, vec![say(&[Frame::Ack1(1, 4, Verdict::SameMeta)])]),
        ("ACK1 same-content, unasked", Push, vec![say(&[Frame::Ack1(1, 5, Verdict::SameContent(Root::of(b"x")))])]),
        (
            "ERROR for the file after ACK1",
            Push,
            vec![say(ok), bytes_of(&[Frame::Error(1, error.clone())]), bye.clone()],
        ),
        ("ERROR for a stream long closed", Push, vec![say(ok), good, bytes_of(&[Frame::Error(1, error)]), bye.clone()]),
        ("GOODBYE instead of ACK2", Push, vec![say(ok), bye.clone()]),
        ("a good answer to a pull", Pull, vec![say(&[offer(1, 1, "w")]), [&data[..], &end, &done, &bye].concat()]),
        ("a file that was not wanted", Pull, vec![say(&[offer(1, 1, ".bashrc")])]),
        ("a file for no want", Pull, vec![say(&[offer(1, 2, "w")])]),
        ("a file after DONE", Pull, vec![[&hi[..], &done, &bytes_of(&[offer(1, 1, "w")])].concat()]),
        ("DONE twice", Pull, vec![[&hi[..], &done, &done].concat()]),
        ("GOODBYE without DONE", Pull, vec![say(&[Frame::Goodbye])]),
        (
            "content with another root",
            Pull,
            vec![
                say(&[offer(1, 1, "w")]),
                [&data[..3], &data[3..], &bytes_of(&[Frame::End(1, 5, Root::of(b"other"))]), &done, &bye].concat(),
            ],
        ),
        ("an ENTRY in a pull", Pull, vec![say(&[Frame::Entry(1, meta("w"))])]),
        ("a listing of something else", List, vec![say(&[Frame::Entry(1, meta("x"))])]),
        ("an OFFER in a listing", List, vec![say(&[offer(1, 1, "w")])]),
    ];
    let mut table = String::new();
    for (name, intent, steps) in cases {
        table += &format!("{name:<31}{}\n", run(intent, steps).await);
    }
    insta::with_settings!({ snapshot_path => "../../snapshots", prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("bad-server", table);
    });
}

fn hello_of(intent: Intent) -> Frame {
    Frame::Hello(Hello { intent: Some(intent), max_streams: 1, max_offer_bytes: 1, features: 0, agent: String::new() })
}
