//! Lab A: what naive falls over and careful survives, pitfall by pitfall; and that state does not depend on segmentation.

use tokio::io::{AsyncRead, AsyncWrite};

use super::super::pitfall::{Lab, Pitfall, Whose};
use super::super::testing::{Scripted, Step, Ticks, carry_bytewise, run, say};
use super::super::{
    Fault, Foreign, LabError, LabEvent, LabName, MemoryFiles, NameError, Outcome, PeerClose, Stage,
    TextEnd, Unobserved,
};
use super::decoder::{AckDecoder, AckEvent, PipeDecoder, PipeEvent, join_bodies};
use super::{Options, careful, naive};

fn name(text: &str) -> LabName {
    LabName::new(text).expect("legal")
}

async fn receive<S>(
    stream: S,
    files: &mut MemoryFiles,
    options: Options,
) -> Result<careful::Received, LabError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    careful::receive(stream, files, &mut Ticks, &mut Unobserved, options).await
}

async fn send<S>(
    stream: S,
    name: &LabName,
    size: u64,
    mut data: &[u8],
    options: Options,
) -> Result<careful::Sent, LabError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    careful::send(
        stream,
        name,
        size,
        &mut data,
        &mut Ticks,
        &mut Unobserved,
        options,
    )
    .await
}

fn careful_receives(
    steps: Vec<Step>,
) -> (Result<careful::Received, LabError>, MemoryFiles, Scripted) {
    let mut files = MemoryFiles::new().with("data.txt", "old");
    let mut stream = Scripted::new(steps).per_write(1);
    let result = run(receive(&mut stream, &mut files, Options::default()));
    (result, files, stream)
}

fn naive_receives(steps: Vec<Step>) -> (Result<naive::SaysSaved, LabError>, MemoryFiles) {
    let mut files = MemoryFiles::new().with("data.txt", "old");
    let mut stream = Scripted::new(steps);
    let result = run(async {
        let patience = std::time::Duration::from_secs(60);
        tokio::time::timeout(patience, naive::receive(&mut stream, &mut files)).await
    });
    (
        result.unwrap_or_else(|_| panic!("the naive server waits for ever")),
        files,
    )
}

fn crash_text(result: Result<naive::SaysSaved, LabError>) -> String {
    match result {
        Err(LabError::Crash(crash)) => crash.to_string(),
        other => panic!("expected a crash, got {other:?}"),
    }
}

#[test]
fn file_of_any_size_is_rebuilt_through_small_buffers_and_single_bytes() {
    for size in [0u32, 1, 1023, 1024, 1025, 70_000] {
        for (text_end, capacity) in [
            (TextEnd::Bare, 1),
            (TextEnd::Newline, 7),
            (TextEnd::Bare, 4096),
        ] {
            let data: Vec<u8> = (0..size)
                .map(|i| u8::try_from(i % 251).expect("small"))
                .collect();
            let mut files = MemoryFiles::new();
            let (client, near) = tokio::io::duplex(capacity);
            let (far, server) = tokio::io::duplex(capacity);
            let options = Options {
                text_end,
                ..Options::default()
            };
            let (sent, received) = run(async {
                let file = name("data.txt");
                let (sent, received, ()) = tokio::join!(
                    send(client, &file, u64::from(size), &data, options),
                    receive(server, &mut files, options),
                    carry_bytewise(near, far),
                );
                (sent, received)
            });
            let sent = sent.expect("sent");
            assert_eq!(
                (sent.body, sent.peer_close),
                (u64::from(size), PeerClose::Fin)
            );
            assert_eq!(sent.outcome(), Outcome::Unknown, "no-final-ack");
            assert_eq!(received.expect("received").metadata.size, u64::from(size));
            assert_eq!(files.get("data.txt"), Some(data.as_slice()));
        }
    }
}

#[test]
fn naive_and_careful_speak_to_each_other_on_a_benign_wire() {
    let data = vec![7u8; 5000];
    run(async {
        let mut files = MemoryFiles::new();
        let (client, server) = tokio::io::duplex(1 << 16);
        let (sent, received) = tokio::join!(
            naive::send(client, b"n2c", &data, TextEnd::Bare),
            receive(server, &mut files, Options::default())
        );
        assert_eq!(
            sent.expect("sent"),
            naive::SaysSent {
                acked: true,
                body: 5000
            }
        );
        received.expect("received");
        assert_eq!(files.get("n2c"), Some(data.as_slice()));

        let (client, server) = tokio::io::duplex(1 << 16);
        let file = name("c2n");
        let (sent, saved) = tokio::join!(
            send(client, &file, 5000, &data, Options::default()),
            naive::receive(server, &mut files)
        );
        sent.expect("sent");
        assert_eq!(saved.expect("saved").received, 5000);
        assert_eq!(files.get("c2n"), Some(data.as_slice()));
    });
}

#[test]
fn receiver_events_come_in_protocol_order() {
    let mut seen = Vec::new();
    let mut files = MemoryFiles::new();
    let stream = Scripted::new([say("a|2"), Step::Hear(3), say("hi"), Step::Fin]);
    let mut observer = |event: &LabEvent| seen.push(event.to_string());
    run(careful::receive(
        stream,
        &mut files,
        &mut Ticks,
        &mut observer,
        Options::default(),
    ))
    .expect("received");
    assert_eq!(
        seen,
        [
            "metadata: a, 2 bytes",
            "Sent: ACK",
            "progress: 2 bytes",
            "stored: a, 2 bytes"
        ]
    );
}

#[test]
fn split_header_crashes_naive_and_not_careful() {
    let steps = || {
        vec![
            say("data"),
            Step::Pause(5000),
            say(".txt|5"),
            Step::Hear(3),
            say("hello"),
            Step::Fin,
        ]
    };
    let crash = crash_text(naive_receives(steps()).0);
    assert_eq!(
        crash,
        "ValueError: not enough values to unpack (expected 2, got 1)"
    );
    let (result, files, stream) = careful_receives(steps());
    result.expect("stands");
    assert_eq!(
        (files.get("data.txt"), stream.written.as_slice()),
        (Some(&b"hello"[..]), &b"ACK"[..])
    );
}

#[test]
fn split_digits_with_a_pause_shorter_than_the_quiet_moment_is_survived() {
    let body = vec![b'x'; 1000];
    let steps = || {
        vec![
            say("data.txt|10"),
            Step::Pause(50),
            say("00"),
            Step::Hear(3),
            say(&body),
            Step::Fin,
        ]
    };
    let (saved, files) = naive_receives(steps());
    assert_eq!(saved.expect("says saved").stated, 10);
    assert_ne!(files.get("data.txt"), Some(body.as_slice()));
    let (result, files, _) = careful_receives(steps());
    assert_eq!(result.expect("stands").metadata.size, 1000);
    assert_eq!(files.get("data.txt"), Some(body.as_slice()));
}

#[test]
fn split_digits_with_a_longer_pause_is_refused_as_excess_and_the_old_file_stays() {
    let steps = vec![
        say("data.txt|10"),
        Step::Pause(5000),
        say("00"),
        Step::Hear(3),
        say([b'x'; 1000]),
        Step::Fin,
    ];
    let (result, files, _) = careful_receives(steps);
    let error = result.expect_err("the protocol's fault");
    assert!(
        matches!(error, LabError::Peer(Fault::Excess { stated: 10 })),
        "{error}"
    );
    assert_eq!(error.pitfall(), Some(Pitfall::SplitDigits));
    assert_eq!(files.get("data.txt"), Some(&b"old"[..]));
    assert_eq!(Pitfall::SplitDigits.whose(Lab::A), Some(Whose::Protocol));
}

#[test]
fn header_body_merge_is_an_error_unless_a_line_feed_ends_the_metadata() {
    let merged = vec![say("data.txt|5hello"), Step::Fin];
    assert!(
        crash_text(naive_receives(merged.clone()).0)
            .starts_with("ValueError: invalid literal for int()")
    );
    let (result, files, _) = careful_receives(merged);
    assert!(
        matches!(
            result,
            Err(LabError::Peer(Fault::Truncated {
                stage: Stage::Metadata,
                ..
            }))
        ),
        "{result:?}"
    );
    assert_eq!(files.get("data.txt"), Some(&b"old"[..]));
    let (result, files, _) = careful_receives(vec![say("data.txt|5\nhello"), Step::Fin]);
    result.expect("stands");
    assert_eq!(files.get("data.txt"), Some(&b"hello"[..]));
}

#[test]
fn delimiter_in_name_kills_naive_and_careful_takes_the_last_one() {
    let steps = || vec![say("a|b|3"), Step::Hear(3), say("xyz"), Step::Fin];
    let crash = crash_text(naive_receives(steps()).0);
    assert_eq!(crash, "ValueError: too many values to unpack (expected 2)");
    let (result, files, _) = careful_receives(steps());
    result.expect("stands");
    assert_eq!(files.get("a|b"), Some(&b"xyz"[..]));
    let unsendable = run(send(
        Scripted::new([]),
        &name("a|b"),
        0,
        &b""[..],
        Options::default(),
    ));
    assert_eq!(
        unsendable.expect_err("refused").pitfall(),
        Some(Pitfall::DelimiterInName)
    );
}

#[test]
fn path_traversal_leaves_the_folder_of_naive_and_is_refused_by_careful() {
    let steps = || vec![say("../x|1"), Step::Hear(3), say("!"), Step::Fin];
    assert_eq!(naive_receives(steps()).1.get("../x"), Some(&b"!"[..]));
    let (result, files, stream) =
        careful_receives(vec![say("../x|1"), Step::Pause(9000), Step::Fin]);
    let error = result.expect_err("refused");
    assert_eq!(
        error.to_string(),
        "the peer sent the name \"../x\": the name has a / at byte 2"
    );
    assert_eq!(
        (files.get("../x"), stream.written.len(), stream.shut_down),
        (None, 0, true)
    );
}

#[test]
fn hostile_metadata_gets_a_typed_error_and_costs_no_file() {
    let digits = "9".repeat(21);
    let rows: Vec<(Vec<u8>, Fault)> = vec![
        (
            b"|5".to_vec(),
            Fault::Name {
                name: vec![],
                reason: NameError::Empty,
            },
        ),
        (
            b"..|5".to_vec(),
            Fault::Name {
                name: b"..".to_vec(),
                reason: NameError::Dots,
            },
        ),
        (
            b"a\0|5".to_vec(),
            Fault::Name {
                name: b"a\0".to_vec(),
                reason: NameError::Nul(1),
            },
        ),
        (
            [&[b'n'; 256][..], b"|5"].concat(),
            Fault::Name {
                name: vec![b'n'; 256],
                reason: NameError::TooLong(256),
            },
        ),
        (
            format!("a|{digits}").into_bytes(),
            Fault::SizeTooLarge {
                stated: digits.clone().into_bytes(),
                limit: i64::MAX.unsigned_abs(),
            },
        ),
        (
            b"a|9223372036854775808".to_vec(),
            Fault::SizeTooLarge {
                stated: b"9223372036854775808".to_vec(),
                limit: i64::MAX.unsigned_abs(),
            },
        ),
        (
            b"GET / HTTP/1.1\r\n\r\n".to_vec(),
            Fault::Foreign(Foreign::HttpRequest),
        ),
        (b"\x89FT/\r\n\x1a\n".to_vec(), Fault::Foreign(Foreign::Ft1)),
        (
            vec![b'x'; 1025],
            Fault::TooLong {
                stage: Stage::Metadata,
                limit: 1024,
            },
        ),
    ];
    for (text, fault) in rows {
        let (result, files, _) =
            careful_receives(vec![Step::Say(text), Step::Pause(9000), Step::Fin]);
        match result {
            Err(LabError::Peer(came)) => assert_eq!(came, fault),
            other => panic!("expected {fault:?}, got {other:?}"),
        }
        assert_eq!(
            (files.iter().count(), files.get("data.txt")),
            (1, Some(&b"old"[..]))
        );
    }
}

#[test]
fn size_overflow_saves_nothing_for_naive_and_is_refused_by_careful() {
    let (saved, files) = naive_receives(vec![say("data.txt|-5"), Step::Fin]);
    assert_eq!(
        (saved.expect("says saved").received, files.get("data.txt")),
        (0, Some(&b""[..]))
    );
    let (result, files, _) =
        careful_receives(vec![say("data.txt|-5"), Step::Pause(9000), Step::Fin]);
    result.expect_err("refused");
    assert_eq!(files.get("data.txt"), Some(&b"old"[..]));
}

#[test]
fn utf8_split_crashes_naive_and_not_careful() {
    let steps = || {
        vec![
            say(b"\xc3"),
            say(b"\xa9|1"),
            Step::Hear(3),
            say("!"),
            Step::Fin,
        ]
    };
    let crash = crash_text(naive_receives(steps()).0);
    assert_eq!(
        crash,
        "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xc3 in position 0: unexpected end of data"
    );
    let (result, files, _) = careful_receives(steps());
    result.expect("stands");
    assert_eq!(files.get("é"), Some(&b"!"[..]));
}

#[test]
fn eof_or_reset_inside_the_body_is_success_for_naive_only_and_truncate_first_destroys_the_old_file()
{
    for end in [Step::Fin, Step::Rst] {
        let steps = || vec![say("data.txt|5"), Step::Hear(3), say("he"), end.clone()];
        let (result, files, _) = careful_receives(steps());
        result.expect_err("truncated");
        assert_eq!(
            (files.get("data.txt"), files.commits()),
            (Some(&b"old"[..]), 0)
        );
    }
    let (saved, mut files) =
        naive_receives(vec![say("data.txt|5"), Step::Hear(3), say("he"), Step::Fin]);
    assert_eq!(
        (saved.expect("says saved").received, files.get("data.txt")),
        (2, Some(&b"he"[..]))
    );
    files.crash();
    assert_eq!(
        files.get("data.txt"),
        None,
        "truncate-first: neither old nor new survives a crash"
    );
}

#[test]
fn reset_after_the_last_stated_byte_still_stores_the_file() {
    let (result, files, _) = careful_receives(vec![
        say("data.txt|5"),
        Step::Hear(3),
        say("hello"),
        Step::Rst,
    ]);
    result.expect("every stated byte came");
    assert_eq!(files.get("data.txt"), Some(&b"hello"[..]));
}

#[test]
fn client_that_stays_after_its_last_byte_does_not_hold_the_file_back() {
    let (result, files, _) = careful_receives(vec![say("data.txt|5"), Step::Hear(3), say("hello")]);
    result.expect("a quiet moment ends it");
    assert_eq!(files.get("data.txt"), Some(&b"hello"[..]));
}

#[test]
fn empty_connection_crashes_naive_and_is_an_error_of_careful() {
    let crash = crash_text(naive_receives(vec![Step::Fin]).0);
    assert_eq!(
        crash,
        "ValueError: not enough values to unpack (expected 2, got 1)"
    );
    let error = careful_receives(vec![Step::Fin]).0.expect_err("no file");
    assert_eq!(error.pitfall(), Some(Pitfall::EmptyConnection));
}

#[test]
fn split_ack_sends_nothing_from_naive_and_everything_from_careful() {
    let steps = || {
        [
            Step::Hear(6),
            say("A"),
            say("CK"),
            Step::Hear(11),
            Step::Fin,
        ]
    };
    let sent = run(naive::send(
        Scripted::new(steps()),
        b"data",
        b"hello",
        TextEnd::Bare,
    ))
    .expect("exits with 0");
    assert_eq!(
        sent,
        naive::SaysSent {
            acked: false,
            body: 0
        }
    );
    let mut stream = Scripted::new(steps());
    let sent = run(send(
        &mut stream,
        &name("data"),
        5,
        &b"hello"[..],
        Options::default(),
    ));
    assert_eq!(sent.expect("stands").body, 5);
    assert_eq!(stream.written, b"data|5hello");
}

#[test]
fn short_send_loses_bytes_of_naive_only() {
    let steps = || [Step::Hear(3), say("ACK"), Step::Fin];
    let data = [b'x'; 3000];
    let sent = run(naive::send(
        Scripted::new(steps()).per_write(1000),
        b"data",
        &data,
        TextEnd::Bare,
    ));
    assert_eq!(
        sent.expect("exits with 0").body,
        2952,
        "1000 of 1024, 1000 of 1024, 952 of 952"
    );
    let mut stream = Scripted::new(steps()).per_write(1000);
    run(send(
        &mut stream,
        &name("data"),
        3000,
        &data[..],
        Options::default(),
    ))
    .expect("stands");
    assert_eq!(stream.written.len(), "data|3000".len() + 3000);
}

#[test]
fn no_timeout_a_silent_peer_is_left_to_the_callers_deadline() {
    run(async {
        let mut files = MemoryFiles::new();
        let session = receive(Scripted::new([say("data")]), &mut files, Options::default());
        let deadline = std::time::Duration::from_secs(30);
        tokio::time::timeout(deadline, session)
            .await
            .expect_err("the deadline ends it");
        assert_eq!(files.iter().count(), 0);
    });
}

#[test]
fn full_disk_is_told_by_silence_instead_of_an_ack() {
    let mut files = MemoryFiles::new().with_capacity(4);
    let mut stream = Scripted::new([say("data|5"), Step::Pause(9000), Step::Fin]);
    let result = run(receive(&mut stream, &mut files, Options::default()));
    assert!(
        matches!(result, Err(LabError::Storage { .. })),
        "{result:?}"
    );
    assert!(stream.written.is_empty() && stream.shut_down);

    let refused = Scripted::new([Step::Hear(1), Step::Fin]);
    let result = run(send(
        refused,
        &name("data"),
        5,
        &b"hello"[..],
        Options::default(),
    ));
    assert!(careful::is_refusal(&result.expect_err("refused")));
}

#[test]
fn source_shorter_than_announced_is_our_own_fault_and_ends_the_stream() {
    let mut stream = Scripted::new([Step::Hear(3), say("ACK"), Step::Fin]);
    let result = run(send(
        &mut stream,
        &name("data"),
        9,
        &b"hello"[..],
        Options::default(),
    ));
    assert!(
        matches!(result, Err(LabError::SourceShort { stated: 9, had: 5 })),
        "{result:?}"
    );
    assert!(stream.shut_down);
}

#[test]
fn wrong_answer_is_quoted_or_named_to_the_sender() {
    let answer = |text: &str, end: fn(&mut AckDecoder) -> Vec<AckEvent>| {
        let mut decoder = AckDecoder::default();
        let mut events = decoder.feed(text.as_bytes());
        events.extend(end(&mut decoder));
        match events.as_slice() {
            [AckEvent::Failed(fault)] => fault.to_string(),
            other => panic!("expected one fault, got {other:?}"),
        }
    };
    assert_eq!(
        answer("NAK", AckDecoder::quiet),
        "the peer sent \"NAK\" as ACK at byte 0, expected \"ACK\""
    );
    assert_eq!(
        answer("AC", AckDecoder::eof),
        "the peer ended the stream at byte 2, inside ACK"
    );
    assert_eq!(
        answer("HTTP/1.1 400 Bad", AckDecoder::eof),
        "the peer speaks HTTP (a response), not a lab dialect"
    );
    assert_eq!(
        answer("220 hi\r\n", AckDecoder::eof),
        "the peer speaks SMTP or FTP (a 220 greeting), not a lab dialect"
    );
}

/// For all i < j: the state after i bytes, fed the bytes i..j, is the state after j bytes, and says the same.
#[test]
fn decoder_state_is_independent_of_segmentation() {
    let wires: [&[u8]; 6] = [
        b"data.txt|12\nhello, world",
        b"a|b|3\r\nxyzw",
        b"GET / HTTP/1.1\r\nHost: x\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"..|3\nabc",
        b"no size at all\n\x89FT/|1\n!",
    ];
    for wire in wires {
        for i in 0..=wire.len() {
            let mut prefix = PipeDecoder::default();
            let before = prefix.feed(&wire[..i]);
            for j in i..=wire.len() {
                let mut split = prefix.clone();
                let after = split.feed(&wire[i..j]);
                let mut whole = PipeDecoder::default();
                let expected = whole.feed(&wire[..j]);
                assert_eq!(split, whole, "{i}..{j}");
                assert_eq!(
                    join_bodies([before.clone(), after].concat()),
                    join_bodies(expected),
                    "{i}..{j}"
                );
                assert_eq!(split.quiet(), whole.quiet());
            }
        }
    }
    let mut whole = PipeDecoder::default();
    let events = whole.feed(b"data.txt|12\nhello, world");
    assert!(matches!(
        events.as_slice(),
        [PipeEvent::Metadata(_), PipeEvent::Body(_), PipeEvent::Whole]
    ));
}

#[test]
fn stream_cut_at_every_byte_keeps_the_old_file_or_stores_the_whole_new_one() {
    let wire = b"data.txt|12\nhello, world";
    for cut in 0..=wire.len() {
        for end in [Step::Fin, Step::Rst] {
            let mut steps = Scripted::bytewise(&wire[..cut]);
            steps.push(end);
            let (result, files, _) = careful_receives(steps);
            let (expected, whole): (&[u8], _) = if cut == wire.len() {
                (b"hello, world", true)
            } else {
                (b"old", false)
            };
            assert_eq!(
                (files.get("data.txt"), result.is_ok()),
                (Some(expected), whole),
                "cut at {cut}"
            );
        }
    }
}
