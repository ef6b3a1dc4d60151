//! Whole sessions over an in-memory stream: what a user of the crate sees.

use ft_core::compress::Compress;
use ft_core::event::{Direction, Event, Report};
use ft_core::frame::{Compare, Frame, Intent, Kind, Links, Mtime, Overwrite, Verdict, Want};
use ft_core::memory::{Entry, Memory};
use ft_core::path::RelPath;
use ft_core::session::{self, NoPulse, Options};
use tokio::io::DuplexStream;

const MIB: usize = 1 << 20;

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| ((i % 251) ^ ((i >> 12) & 0xff)).to_le_bytes()[0]).collect()
}

fn want(path: &str) -> Want {
    Want { path: RelPath::parse(path.as_bytes()).unwrap(), depth: u16::MAX, links: Links::Skip, last: false }
}

/// Serves one connection from `memory`, whatever the client wants.
async fn serve(stream: DuplexStream, memory: Memory, on: impl FnMut(&Event)) -> Report {
    serve_with(stream, memory, Options::default(), on).await
}

async fn serve_with(stream: DuplexStream, memory: Memory, options: Options, mut on: impl FnMut(&Event)) -> Report {
    let accepted = session::accept(stream, &[]).await.expect("a client that speaks ft/1");
    match accepted.intent() {
        Intent::Push => accepted.receive(memory.storage(), &options, NoPulse, &mut on).await,
        Intent::Pull | Intent::List => accepted.send(memory.source(), &options, NoPulse, &mut on).await,
    }
}

/// Runs a push of everything in `from` to `to`; both reports and the client's events.
async fn push(from: &Memory, to: &Memory, options: &Options, window: usize) -> (Report, Report, Vec<Event>) {
    let (a, b) = tokio::io::duplex(window);
    let mut events = Vec::new();
    let client = session::push(a, from.source(), options, NoPulse, |e| events.push(e.clone()));
    let (client, server) = tokio::join!(client, serve(b, to.clone(), |_| {}));
    (client, server, events)
}

#[tokio::test]
async fn push_lands_files_of_every_awkward_size_through_every_window() {
    for window in [1, 7, 28, 4096, 1 << 20] {
        let (from, to) = (Memory::new(), Memory::new());
        let sizes: &[usize] = if window < 28 { &[0, 1, 1000] } else { &[0, 1, 65_535, 65_536, 65_537, 3 * MIB + 1] };
        for size in sizes {
            from.put(Entry::file(&format!("dir/file-{size}"), &bytes(*size)));
        }
        let (client, server, _) = push(&from, &to, &Options::default(), window).await;
        assert_eq!((client.end.clone(), client.completed), (Ok(()), sizes.len() as u64), "window {window}: {client:?}");
        assert_eq!((server.end, server.completed), (Ok(()), sizes.len() as u64));
        assert_eq!(from.tree().files, to.tree().files);
    }
}

/// Frames of content that were sent plain, and compressed.
fn sent(events: &[Event]) -> (usize, usize) {
    let count = |is: fn(&Frame) -> bool| {
        events.iter().filter(|e| matches!(e, Event::Frame(Direction::Sent, frame) if is(frame))).count()
    };
    (count(|f| matches!(f, Frame::Data { .. })), count(|f| matches!(f, Frame::Zdata { .. })))
}

#[tokio::test]
async fn content_goes_compressed_where_both_sides_can_and_plain_otherwise() {
    let (on, off) = (Compress::On, Compress::Off);
    for (ours, theirs, compressed) in [(&on, &on, true), (&on, &off, false), (&off, &on, false)] {
        let with = |compress: &Compress| Options { compress: compress.clone(), ..Options::default() };
        for pull in [false, true] {
            let (from, to) = (Memory::new(), Memory::new());
            let text: Vec<u8> = b"again and ".iter().copied().cycle().take(3 * MIB + 7).collect();
            from.put(Entry::file("d/text", &text));
            from.put(Entry::file("d/short", b"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
            let (a, b) = tokio::io::duplex(1 << 14);
            let mut events = Vec::new();
            let note = |e: &Event| events.push(e.clone());
            let (client, server) = if pull {
                let options = with(theirs);
                let client = session::pull(a, vec![want("d")], to.storage(), &options, NoPulse, |_| {});
                tokio::join!(client, serve_with(b, from.clone(), with(ours), note))
            } else {
                let options = with(ours);
                let client = session::push(a, from.source(), &options, NoPulse, note);
                tokio::join!(client, serve_with(b, to.clone(), with(theirs), |_| {}))
            };
            assert_eq!((client.end.clone(), server.end.clone()), (Ok(()), Ok(())), "{client:?} {server:?}");
            assert_eq!((client.left_held, server.left_held), (0, 0), "what is held is counted");
            assert_eq!(to.content("d/text"), Some(text));
            assert_eq!(sent(&events), if compressed { (2, 3) } else { (5, 0) }, "the short ones are not worth it");
        }
    }
}

#[tokio::test]
async fn push_of_thousands_of_small_files_completes_in_few_groups() {
    let (from, to) = (Memory::new(), Memory::new());
    for i in 0..10_000 {
        from.put(Entry::file(&format!("d{}/f{i}", i % 10), format!("content {i}").as_bytes()));
    }
    let (client, _, _) = push(&from, &to, &Options::default(), 1 << 16).await;
    assert_eq!((client.end, client.completed), (Ok(()), 10_000));
    assert_eq!(from.tree().files, to.tree().files);
}

#[tokio::test]
async fn pull_lands_what_was_wanted_and_reports_what_is_missing() {
    let (remote, local) = (Memory::new(), Memory::new());
    remote.put(Entry::file("a/b/one", b"1"));
    remote.put(Entry::file("a/b/two", &bytes(MIB + 5)));
    remote.put(Entry::file("other", b"no"));
    let (a, b) = tokio::io::duplex(1 << 14);
    let wants = vec![want("a/b"), want("missing")];
    let options = Options::default();
    let client = session::pull(a, wants, local.storage(), &options, NoPulse, |_| {});
    let (client, server) = tokio::join!(client, serve(b, remote, |_| {}));
    assert_eq!((client.end, client.completed), (Ok(()), 2));
    assert_eq!((server.end, server.completed), (Ok(()), 2));
    assert_eq!(client.wants.len(), 1);
    assert_eq!(client.wants[0].1.to_string(), "not-found: missing");
    assert_eq!(local.content("b/two"), Some(bytes(MIB + 5)));
    assert_eq!(local.content("b/one"), Some(b"1".to_vec()));
}

#[tokio::test]
async fn list_names_what_is_there() {
    let remote = Memory::new();
    remote.put(Entry::file("a/one", b"1"));
    remote.put(Entry::file("two", b"22"));
    let (a, b) = tokio::io::duplex(1 << 14);
    let mut names = Vec::new();
    let options = Options::default();
    let client = session::list(a, vec![want("")], &options, NoPulse, |e| {
        if let Event::Listed(meta) = e {
            names.push(format!("{} {}", meta.path, meta.size.unwrap()));
        }
    });
    let (client, server) = tokio::join!(client, serve(b, remote, |_| {}));
    assert_eq!((client.end, server.end), (Ok(()), Ok(())));
    assert_eq!(names, ["a/one 1", "two 2"]);
}

#[tokio::test]
async fn resume_continues_at_the_first_difference() {
    for (kept, torn_at, expect) in
        [(3 * MIB, None, 3 * MIB), (3 * MIB, Some(2 * MIB + 9), 2 * MIB), (3 * MIB, Some(5), 0), (MIB - 1, None, 0)]
    {
        let (from, to) = (Memory::new(), Memory::new());
        let whole = bytes(4 * MIB + 17);
        from.put(Entry::file("f", &whole));
        let mut partial = whole[..kept].to_vec();
        if let Some(at) = torn_at {
            partial[at] ^= 1;
        }
        to.tree().partials.insert(RelPath::parse(b"f").unwrap(), partial);
        let (client, _, events) = push(&from, &to, &Options::default(), 1 << 16).await;
        assert_eq!((client.end, client.completed), (Ok(()), 1));
        assert_eq!(to.content("f"), Some(whole));
        let started = events.iter().find_map(|e| if let Event::Started(_, at, _) = e { Some(*at) } else { None });
        assert_eq!(started, Some(expect as u64));
    }
}

/// A tree that kept `partial` of a file of the time `kept_from`, and one that holds all of it with the time 1.
fn cut_off(whole: &[u8], partial: &[u8], kept_from: i64) -> (Memory, Memory) {
    let (from, to) = (Memory::new(), Memory::new());
    let mut entry = Entry::file("f", whole);
    entry.meta.mtime = Some(Mtime { secs: 1, nanos: 2 });
    from.put(entry);
    let path = RelPath::parse(b"f").unwrap();
    to.tree().partials.insert(path.clone(), partial.to_vec());
    to.tree().kept_from.insert(path, Mtime { secs: kept_from, nanos: 2 });
    (from, to)
}

fn resumed(events: &[Event]) -> Option<(u64, usize)> {
    events.iter().find_map(|e| {
        let Event::Frame(_, Frame::Ack1(_, len, Verdict::Resume(stated))) = e else { return None };
        Some((*len, stated.len()))
    })
}

#[tokio::test]
async fn beginning_of_this_very_file_is_gone_on_with_at_once() {
    let whole = bytes(4 * MIB + 17);
    for (kept_from, hashes) in [(1, 0), (2, 2)] {
        let (from, to) = cut_off(&whole, &whole[..3 * MIB + 5], kept_from);
        let (client, _, events) = push(&from, &to, &Options::default(), 1 << 16).await;
        assert_eq!((client.end, client.completed), (Ok(()), 1));
        assert_eq!(to.content("f").as_ref(), Some(&whole));
        assert_eq!(resumed(&events), Some((3 * MIB as u64, hashes)));
        let sent = events.iter().filter(|e| matches!(e, Event::Frame(_, Frame::Data { .. }))).count();
        assert_eq!(sent, 2, "the rest, in two frames, and nothing before it");
    }
}

#[tokio::test]
async fn beginning_that_was_believed_wrongly_fails_once_and_is_compared_the_next_time() {
    let whole = bytes(4 * MIB + 17);
    let mut torn = whole[..3 * MIB].to_vec();
    torn[2 * MIB + 9] ^= 1;
    let (from, to) = cut_off(&whole, &torn, 1);
    let (client, server, _) = push(&from, &to, &Options::default(), 1 << 16).await;
    assert_eq!((client.end, client.completed, client.failed), (Ok(()), 0, 1));
    assert_eq!((server.completed, to.content("f")), (0, None), "nothing wrong has landed");
    let (client, _, events) = push(&from, &to, &Options::default(), 1 << 16).await;
    assert_eq!((client.end, client.completed), (Ok(()), 1));
    assert_eq!(resumed(&events), Some((4 * MIB as u64, 1)), "with all that came, stated by its hash");
    assert_eq!(to.content("f"), Some(whole));
}

#[tokio::test]
async fn unchanged_file_is_not_sent_again() {
    for compare in [Compare::Quick, Compare::Content] {
        let (from, to) = (Memory::new(), Memory::new());
        let mut entry = Entry::file("f", &bytes(100_000));
        entry.meta.mtime = Some(Mtime { secs: 1, nanos: 2 });
        from.put(entry.clone());
        to.put(entry);
        let (client, _, events) = push(&from, &to, &Options { compare, ..Options::default() }, 1 << 16).await;
        assert_eq!((client.end, client.completed), (Ok(()), 1));
        assert!(!events.iter().any(|e| matches!(e, Event::Progress(..))), "{compare:?}: content was sent");
        assert!(events.iter().any(|e| matches!(e, Event::Same(_))));
    }
}

#[tokio::test]
async fn changed_file_of_the_same_size_is_sent_when_contents_are_compared() {
    let (from, to) = (Memory::new(), Memory::new());
    from.put(Entry::file("f", b"new content"));
    to.put(Entry::file("f", b"old content"));
    let (client, _, _) = push(&from, &to, &Options { compare: Compare::Content, ..Options::default() }, 64).await;
    assert_eq!((client.end, client.completed), (Ok(()), 1));
    assert_eq!(to.content("f"), Some(b"new content".to_vec()));
}

#[tokio::test]
async fn refused_files_do_not_end_the_session() {
    let (from, to) = (Memory::new(), Memory::new());
    for name in ["a", "b", "c"] {
        from.put(Entry::file(name, b"new"));
    }
    to.put(Entry::file("b", b"old"));
    let (client, server, events) =
        push(&from, &to, &Options { overwrite: Overwrite::Never, ..Options::default() }, 64).await;
    assert_eq!((client.end, client.completed, client.failed), (Ok(()), 2, 1));
    assert_eq!((server.end, server.completed, server.failed), (Ok(()), 2, 1));
    assert_eq!(to.content("b"), Some(b"old".to_vec()));
    assert!(events.iter().any(|e| matches!(e, Event::Failed(2, error) if error.to_string().starts_with("exists"))));
}

#[tokio::test]
async fn keep_both_lands_under_a_free_name_and_says_which() {
    let (from, to) = (Memory::new(), Memory::new());
    from.put(Entry::file("a.txt", b"new"));
    to.put(Entry::file("a.txt", b"old"));
    let (client, _, events) =
        push(&from, &to, &Options { overwrite: Overwrite::KeepBoth, ..Options::default() }, 64).await;
    assert_eq!(client.completed, 1);
    assert_eq!(to.content("a (1).txt"), Some(b"new".to_vec()));
    assert_eq!(to.content("a.txt"), Some(b"old".to_vec()));
    assert!(events.iter().any(|e| matches!(e, Event::Stored(_, ack) if ack.path.to_string() == "a (1).txt")));
}

#[tokio::test]
async fn folder_offer_over_a_file_is_refused_and_the_file_stays() {
    let (from, to) = (Memory::new(), Memory::new());
    let mut folder = Entry::file("x", b"");
    folder.meta.kind = Kind::Folder;
    from.put(folder);
    to.put(Entry::file("x", b"old"));
    let (client, _, _) = push(&from, &to, &Options::default(), 64).await;
    assert_eq!((client.completed, client.failed), (0, 1));
    assert_eq!(to.content("x"), Some(b"old".to_vec()));
}
