//! What naive falls over and careful survives, or cannot survive, pitfall by pitfall.

use super::*;

#[test]
fn split_header_crashes_naive_and_not_careful() {
    let steps = || vec![say("data"), Step::Pause(5000), say(".txt|5"), Step::Hear(3), say("hello"), Step::Fin];
    let crash = crash_text(naive_receives(steps()).0);
    assert_eq!(crash, "ValueError: not enough values to unpack (expected 2, got 1)");
    let (result, files, stream) = careful_receives(steps());
    result.expect("stands");
    assert_eq!((files.get("data.txt"), stream.written.as_slice()), (Some(&b"hello"[..]), &b"ACK"[..]));
}

#[test]
fn split_digits_with_a_pause_shorter_than_the_quiet_moment_is_survived() {
    let body = vec![b'x'; 1000];
    let steps = || vec![say("data.txt|10"), Step::Pause(50), say("00"), Step::Hear(3), say(&body), Step::Fin];
    let (saved, files) = naive_receives(steps());
    assert_eq!(saved.expect("says saved").stated, 10);
    assert_ne!(files.get("data.txt"), Some(body.as_slice()));
    let (result, files, _) = careful_receives(steps());
    assert_eq!(result.expect("stands").metadata.size, 1000);
    assert_eq!(files.get("data.txt"), Some(body.as_slice()));
}

#[test]
fn split_digits_with_a_longer_pause_is_refused_as_excess_and_the_old_file_stays() {
    let steps = vec![say("data.txt|10"), Step::Pause(5000), say("00"), Step::Hear(3), say([b'x'; 1000]), Step::Fin];
    let (result, files, _) = careful_receives(steps);
    let error = result.expect_err("the protocol's fault");
    assert!(matches!(error, LabError::Peer(Fault::Excess { stated: 10 })), "{error}");
    assert_eq!(error.pitfall(), Some(Pitfall::SplitDigits));
    assert_eq!(files.get("data.txt"), Some(&b"old"[..]));
    assert_eq!(Pitfall::SplitDigits.whose(Lab::A), Some(Whose::Protocol));
}

#[test]
fn header_body_merge_is_an_error_unless_a_line_feed_ends_the_metadata() {
    let merged = vec![say("data.txt|5hello"), Step::Fin];
    assert!(crash_text(naive_receives(merged.clone()).0).starts_with("ValueError: invalid literal for int()"));
    let (result, files, _) = careful_receives(merged);
    assert_eq!(result.expect_err("refused").pitfall(), Some(Pitfall::HeaderBodyMerge));
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
    let unsendable = run(send(Scripted::new([]), &name("a|b"), 0, &b""[..], Options::default()));
    assert_eq!(unsendable.expect_err("refused").pitfall(), Some(Pitfall::DelimiterInName));
}

#[test]
fn path_traversal_leaves_the_folder_of_naive_and_is_refused_by_careful() {
    let steps = || vec![say("../x|1"), Step::Hear(3), say("!"), Step::Fin];
    assert_eq!(naive_receives(steps()).1.get("../x"), Some(&b"!"[..]));
    let (result, files, stream) = careful_receives(vec![say("../x|1"), Step::Pause(9000), Step::Fin]);
    let error = result.expect_err("refused");
    assert_eq!(error.to_string(), "the peer sent the name \"../x\": the name has a / at byte 2");
    assert_eq!((files.get("../x"), stream.written.len(), stream.shut_down), (None, 0, true));
}

#[test]
fn hostile_metadata_gets_a_typed_error_and_costs_no_file() {
    let digits = "9".repeat(21);
    let rows: Vec<(Vec<u8>, Fault)> = vec![
        (b"|5".to_vec(), Fault::Name { name: vec![], reason: NameError::Empty }),
        (b"..|5".to_vec(), Fault::Name { name: b"..".to_vec(), reason: NameError::Dots }),
        (b"a\0|5".to_vec(), Fault::Name { name: b"a\0".to_vec(), reason: NameError::Nul(1) }),
        ([&[b'n'; 256][..], b"|5"].concat(), Fault::Name { name: vec![b'n'; 256], reason: NameError::TooLong(256) }),
        (
            format!("a|{digits}").into_bytes(),
            Fault::SizeTooLarge { stated: digits.clone().into_bytes(), limit: i64::MAX.unsigned_abs() },
        ),
        (
            b"a|9223372036854775808".to_vec(),
            Fault::SizeTooLarge { stated: b"9223372036854775808".to_vec(), limit: i64::MAX.unsigned_abs() },
        ),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), Fault::Foreign(Foreign::HttpRequest)),
        (b"\x89FT/\r\n\x1a\n".to_vec(), Fault::Foreign(Foreign::Ft1)),
        (vec![b'x'; 1025], Fault::TooLong { stage: Stage::Metadata, limit: 1024 }),
    ];
    for (text, fault) in rows {
        let (result, files, _) = careful_receives(vec![Step::Say(text), Step::Pause(9000), Step::Fin]);
        match result {
            Err(LabError::Peer(came)) => assert_eq!(came, fault),
            other => panic!("expected {fault:?}, got {other:?}"),
        }
        assert_eq!((files.iter().count(), files.get("data.txt")), (1, Some(&b"old"[..])));
    }
}

#[test]
fn size_overflow_saves_nothing_for_naive_and_is_refused_by_careful() {
    let (saved, files) = naive_receives(vec![say("data.txt|-5"), Step::Fin]);
    assert_eq!((saved.expect("says saved").received, files.get("data.txt")), (0, Some(&b""[..])));
    let (result, files, _) = careful_receives(vec![say("data.txt|-5"), Step::Pause(9000), Step::Fin]);
    result.expect_err("refused");
    assert_eq!(files.get("data.txt"), Some(&b"old"[..]));
}

#[test]
fn utf8_split_crashes_naive_and_not_careful() {
    let steps = || vec![say(b"\xc3"), say(b"\xa9|1"), Step::Hear(3), say("!"), Step::Fin];
    let crash = crash_text(naive_receives(steps()).0);
    assert_eq!(crash, "UnicodeDecodeError: 'utf-8' codec can't decode byte 0xc3 in position 0: unexpected end of data");
    let (result, files, _) = careful_receives(steps());
    result.expect("stands");
    assert_eq!(files.get("é"), Some(&b"!"[..]));
}

#[test]
fn eof_or_reset_inside_the_body_is_success_for_naive_only_and_truncate_first_destroys_the_old_file() {
    for end in [Step::Fin, Step::Rst] {
        let steps = || vec![say("data.txt|5"), Step::Hear(3), say("he"), end.clone()];
        let (result, files, _) = careful_receives(steps());
        result.expect_err("truncated");
        assert_eq!((files.get("data.txt"), files.commits()), (Some(&b"old"[..]), 0));
    }
    let (saved, mut files) = naive_receives(vec![say("data.txt|5"), Step::Hear(3), say("he"), Step::Fin]);
    assert_eq!((saved.expect("says saved").received, files.get("data.txt")), (2, Some(&b"he"[..])));
    files.crash();
    assert_eq!(files.get("data.txt"), Some(&b""[..]), "truncate-first: neither old nor new survives a crash");
}

#[test]
fn reset_after_the_last_stated_byte_still_stores_the_file() {
    let (result, files, _) = careful_receives(vec![say("data.txt|5"), Step::Hear(3), say("hello"), Step::Rst]);
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
    assert_eq!(crash, "ValueError: not enough values to unpack (expected 2, got 1)");
    let error = careful_receives(vec![Step::Fin]).0.expect_err("no file");
    assert_eq!(error.pitfall(), Some(Pitfall::EmptyConnection));
}

#[test]
fn split_ack_sends_nothing_from_naive_and_everything_from_careful() {
    let steps = || [Step::Hear(6), say("A"), say("CK"), Step::Hear(11), Step::Fin];
    let sent = run(naive::send(Scripted::new(steps()), b"data", b"hello", TextEnd::Bare)).expect("exits with 0");
    assert_eq!(sent, naive::SaysSent { acked: false, body: 0 });
    let mut stream = Scripted::new(steps());
    let sent = run(send(&mut stream, &name("data"), 5, &b"hello"[..], Options::default()));
    assert_eq!(sent.expect("stands").body, 5);
    assert_eq!(stream.written, b"data|5hello");
}

#[test]
fn short_send_loses_bytes_of_naive_only() {
    let steps = || [Step::Hear(3), say("ACK"), Step::Fin];
    let data = [b'x'; 3000];
    let sent = run(naive::send(Scripted::new(steps()).per_write(1000), b"data", &data, TextEnd::Bare));
    assert_eq!(sent.expect("exits with 0").body, 2952, "1000 of 1024, 1000 of 1024, 952 of 952");
    let mut stream = Scripted::new(steps()).per_write(1000);
    run(send(&mut stream, &name("data"), 3000, &data[..], Options::default())).expect("stands");
    assert_eq!(stream.written.len(), "data|3000".len() + 3000);
}

#[test]
fn no_timeout_a_silent_peer_is_left_to_the_callers_deadline() {
    run(async {
        let mut files = MemoryFiles::new();
        let session = receive(Scripted::new([say("data")]), &mut files, Options::default());
        let deadline = std::time::Duration::from_secs(30);
        tokio::time::timeout(deadline, session).await.expect_err("the deadline ends it");
        assert_eq!(files.iter().count(), 0);
    });
}

#[test]
fn full_disk_is_told_by_silence_instead_of_an_ack() {
    let mut files = MemoryFiles::new().with_capacity(4);
    let mut stream = Scripted::new([say("data|5"), Step::Pause(9000), Step::Fin]);
    let result = run(receive(&mut stream, &mut files, Options::default()));
    assert!(matches!(result, Err(LabError::Storage { .. })), "{result:?}");
    assert!(stream.written.is_empty() && stream.shut_down);

    let refused = Scripted::new([Step::Hear(1), Step::Fin]);
    let result = run(send(refused, &name("data"), 5, &b"hello"[..], Options::default()));
    assert!(careful::is_refusal(&result.expect_err("refused")));
}

#[test]
fn source_shorter_than_announced_is_our_own_fault_and_ends_the_stream() {
    let mut stream = Scripted::new([Step::Hear(3), say("ACK"), Step::Fin]);
    let result = run(send(&mut stream, &name("data"), 9, &b"hello"[..], Options::default()));
    assert!(matches!(result, Err(LabError::SourceShort { stated: 9, had: 5 })), "{result:?}");
    assert!(stream.shut_down);
}
