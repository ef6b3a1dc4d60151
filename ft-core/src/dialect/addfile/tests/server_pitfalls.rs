//! What a naive server falls over and a careful one survives, or cannot survive, pitfall by pitfall.

use super::super::super::pitfall::Pitfall;
use super::super::super::{Fault, NameError};
use super::*;

const ACK1_LEN: usize = "file recv\n".len();

fn careful(steps: impl IntoIterator<Item = Step>) -> (Result<Served, LabError>, MemoryFiles, Scripted) {
    let mut files = MemoryFiles::new().with("server_a", "old").with("a", "old");
    let mut stream = Scripted::new(steps).per_write(1);
    let result = run(serve(&mut stream, &mut files));
    (result, files, stream)
}

/// `None` when it waits for ever.
fn naive(
    steps: impl IntoIterator<Item = Step>,
    end: TextEnd,
) -> (Option<Result<naive::SaysServed, LabError>>, MemoryFiles) {
    let mut files = MemoryFiles::new().with("server_a", "old").with("a", "old");
    let mut stream = Scripted::new(steps);
    let result = run(async {
        let patience = std::time::Duration::from_secs(60);
        tokio::time::timeout(patience, naive_serve(&mut stream, &mut files, end)).await.ok()
    });
    (result, files)
}

fn crash_text(result: Option<Result<naive::SaysServed, LabError>>) -> String {
    match result {
        Some(Err(LabError::Crash(crash))) => crash.to_string(),
        other => panic!("expected a crash, got {other:?}"),
    }
}

#[test]
fn coalesced_messages_hang_or_kill_naive_and_careful_keeps_the_rest() {
    let lines = || [say("addfile\na\n"), Step::Hear(ACK1_LEN), say("new"), Step::Fin];
    assert!(naive(lines(), TextEnd::Newline).0.is_none(), "the name is lost, and waited for");
    let bare = || [say("addfilea"), Step::Hear(ACK1_LEN), say("new"), Step::Fin];
    assert_eq!(crash_text(naive(bare(), TextEnd::Bare).0), "KeyError: 'addfilea'");
    for steps in [lines(), bare()] {
        let (result, files, _) = careful(steps);
        result.expect("stands");
        assert_eq!(files.get("server_a"), Some(&b"new"[..]));
    }
    let everything = [say("addfile\na\nnew"), Step::Fin];
    assert_eq!(careful(everything).1.get("server_a"), Some(&b"new"[..]), "header-body-merge, line feed reading");
}

#[test]
fn bare_name_and_data_in_one_read_are_beyond_careful_too() {
    let (result, files, _) = careful([say("addfile"), Step::Pause(50), say("anew"), Step::Hear(ACK1_LEN), Step::Fin]);
    result.expect("a file of another name");
    assert_eq!((files.get("server_anew"), files.get("server_a")), (Some(&b""[..]), Some(&b"old"[..])));
}

#[test]
fn split_header_and_half_characters_kill_naive_only() {
    let steps = || [say("add"), say(b"file\n\xc3"), Step::Fin];
    assert_eq!(crash_text(naive(steps(), TextEnd::Newline).0), "KeyError: 'add'");
    let half = [say("addfile"), say(b"\xc3"), Step::Fin];
    let crash = crash_text(naive(half, TextEnd::Bare).0);
    assert!(crash.starts_with("UnicodeDecodeError: 'utf-8' codec can't decode byte 0xc3"), "{crash}");
    let bytewise = [Scripted::bytewise("addfile\né\nnew".as_bytes()), vec![Step::Fin]].concat();
    let (result, files, _) = careful(bytewise);
    result.expect("stands");
    assert_eq!(files.get("server_é"), Some(&b"new"[..]));
}

#[test]
fn recv_is_not_message_truncates_naive_and_late_data_repairs_careful() {
    let data = bytes(5000);
    let steps = [say("addfile"), say("a"), say(&data), Step::Fin];
    let (served, files) = naive(steps, TextEnd::Bare);
    assert_eq!(served.expect("ends").expect("says served").body, 4096);
    assert_eq!(files.get("server_a").map(<[u8]>::len), Some(4096));

    let mut events = Vec::new();
    let mut observer = |event: &LabEvent| events.push(event.to_string());
    let mut files = MemoryFiles::new();
    // The quiet moment for data is 1000 ms here, the one for closing 2000 ms.
    let steps = [say("addfile\na\n"), say("12"), Step::Pause(1500), say("34"), Step::Fin];
    let served =
        run(careful_server::serve(Scripted::new(steps), &mut files, &mut Ticks, &mut observer, Options::default()));
    let Ok(Served::Stored { ended_by, len, .. }) = served else { panic!("not stored: {served:?}") };
    assert_eq!((ended_by, len, files.get("server_a")), (EndedBy::LateData, 4, Some(&b"1234"[..])));
    let tail: Vec<_> = events.iter().map(String::as_str).skip(5).collect();
    assert_eq!(
        tail,
        [
            "stored: server_a, 2 bytes",
            "Sent: file data recv",
            "late data: 2 bytes had been taken for the whole",
            "progress: 4 bytes",
            "stored: server_a, 4 bytes"
        ]
    );
}

#[test]
fn path_traversal_leaves_the_folder_of_naive_and_gets_its_answer_from_careful() {
    let steps = [say("UPLOAD"), say("../x"), say("!"), Step::Fin];
    assert_eq!(naive(steps, TextEnd::Bare).1.get("../x"), Some(&b"!"[..]));
    for (request, answer) in
        [("UPLOAD\n../x\n", "NOT FOUND\n"), ("DOWNLOAD\n../x\n", "NOT FOUND\n"), ("addfile\n../x\n", "")]
    {
        let (result, files, stream) = careful([say(request), Step::Fin]);
        let error = result.expect_err("refused");
        assert!(matches!(error, LabError::Peer(Fault::Name { reason: NameError::Separator(2), .. })), "{error}");
        assert_eq!((stream.written.as_slice(), files.iter().count()), (answer.as_bytes(), 2));
    }
}

#[test]
fn hostile_requests_get_a_typed_error_and_cost_no_file() {
    let long = "n".repeat(249);
    let rows: Vec<(Vec<u8>, String)> = vec![
        (b"".to_vec(), "the peer ended the stream at byte 0, inside the command".into()),
        (b"addfile\n\n".to_vec(), "the peer sent the name \"\": the name is empty".into()),
        (b"addfile\n..\n".to_vec(), "the peer sent the name \"..\": the name means a folder".into()),
        (b"UPLOAD\na\0b\n".to_vec(), "the peer sent the name \"a\\u{0}b\": the name has a NUL at byte 1".into()),
        (
            format!("addfile\n{long}\n").into_bytes(),
            format!("the peer sent the name \"{long}\": the name has 256 bytes, at most 255 are allowed"),
        ),
        ([b"addfile\n", &[b'x'; 1025][..]].concat(), "the peer sent more than 1024 bytes as the file name".into()),
        (
            b"DELETE x\n".to_vec(),
            "the peer sent \"DELETE x\\n\" as the command at byte 0, expected UPLOAD, DOWNLOAD or addfile".into(),
        ),
        (b"GET / HTTP/1.1\r\n".to_vec(), "the peer speaks HTTP (a request), not a lab dialect".into()),
        (b"\x16\x03\x01\x02\x00\x01".to_vec(), "the peer speaks TLS, not a lab dialect".into()),
    ];
    for (request, text) in rows {
        let first = if request.is_empty() { vec![] } else { vec![Step::Say(request)] };
        let (result, files, _) = careful([first, vec![Step::Fin]].concat());
        assert_eq!(result.expect_err("refused").to_string(), text);
        assert_eq!(files.iter().count(), 2);
    }
}

#[test]
fn empty_connection_kills_naive_and_is_an_error_of_careful() {
    assert_eq!(crash_text(naive([Step::Fin], TextEnd::Bare).0), "KeyError: ''");
    assert_eq!(careful([Step::Fin]).0.expect_err("no request").pitfall(), Some(Pitfall::EmptyConnection));
}

#[test]
fn eof_inside_the_data_is_success_for_both_and_a_reset_is_none_for_careful() {
    let cut = |end| [say("addfile\na\n"), Step::Hear(ACK1_LEN), say("half of i"), end];
    let (result, files, _) = careful(cut(Step::Fin));
    result.expect("the protocol's fault");
    assert_eq!(files.get("server_a"), Some(&b"half of i"[..]));
    let (result, files, _) = careful(cut(Step::Rst));
    assert!(matches!(result, Err(LabError::Stream { .. })), "{result:?}");
    assert_eq!(files.get("server_a"), Some(&b"old"[..]));
}

#[test]
fn zero_byte_payload_is_waited_for_until_a_half_close_says_it() {
    run(async {
        let mut files = MemoryFiles::new().with("server_a", "old");
        let session = serve(Scripted::new([say("addfile\na\n")]), &mut files);
        let deadline = std::time::Duration::from_secs(600);
        tokio::time::timeout(deadline, session).await.expect_err("silence is no empty file");
        assert_eq!(files.get("server_a"), Some(&b"old"[..]));
    });
    let steps = || [say("addfile"), say("a"), Step::Hear(ACK1_LEN)];
    assert!(naive(steps(), TextEnd::Bare).0.is_none(), "waits for ever");
    let (result, files, _) = careful([say("addfile\na\n"), Step::Hear(ACK1_LEN), Step::Fin]);
    result.expect("a half-close says it");
    assert_eq!(files.get("server_a"), Some(&b""[..]));
}

#[test]
fn ack_before_durable_loses_the_file_of_naive_only_when_the_server_dies_at_its_ack() {
    let steps = || [say("addfile"), Step::Pause(500), say("a"), Step::Hear(ACK1_LEN), say("new"), Step::Fin];
    let (_, mut files) = naive(steps(), TextEnd::Bare);
    files.crash();
    assert_eq!(files.get("server_a"), Some(&b""[..]), "ACK2 was sent");
    let (result, mut files, stream) = careful(steps());
    result.expect("served");
    files.crash();
    assert_eq!((files.get("server_a"), stream.written.ends_with(b"file data recv\n")), (Some(&b"new"[..]), true));
}

#[test]
fn truncate_first_destroys_the_old_file_of_naive_only() {
    let cut = || [say("addfile"), Step::Pause(500), say("a"), Step::Hear(ACK1_LEN), Step::Rst];
    let (_, files) = naive(cut(), TextEnd::Bare);
    assert_eq!(files.get("server_a"), Some(&b""[..]));
    assert_eq!(careful(cut()).1.get("server_a"), Some(&b"old"[..]));
}

#[test]
fn full_disk_keeps_the_old_file_and_aborts_the_new_one() {
    let mut files = MemoryFiles::new().with("server_a", "old").with_capacity(4);
    let stream = Scripted::new([say("addfile\na\n"), Step::Hear(ACK1_LEN), say("12345"), Step::Fin]);
    let error = run(serve(stream, &mut files)).expect_err("no room");
    assert!(matches!(error, LabError::Storage { doing: "writing the file", .. }), "{error}");
    assert_eq!((files.get("server_a"), files.commits()), (Some(&b"old"[..]), 0));
}

#[test]
fn confirmation_is_never_sent_for_a_file_that_is_not_durable() {
    let mut files = MemoryFiles::new().with("server_a", "old").with_failing_commits();
    let mut stream = Scripted::new([say("addfile\na\n"), Step::Hear(ACK1_LEN), say("new"), Step::Fin]);
    let error = run(serve(&mut stream, &mut files)).expect_err("not durable");
    assert!(matches!(error, LabError::Storage { doing: "committing", .. }), "{error}");
    assert_eq!((stream.written.as_slice(), files.get("server_a")), (&b"file recv\n"[..], Some(&b"old"[..])));
}
