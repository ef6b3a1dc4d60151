//! What a naive client falls over and a careful one survives, or cannot survive, pitfall by pitfall.

use super::super::super::pitfall::Pitfall;
use super::super::super::{Fault, Foreign, PeerClose, Stage};
use super::*;

#[test]
fn status_data_merge_loses_the_naive_clients_data_and_not_the_careful_ones() {
    for (end, wire) in [(TextEnd::Bare, "OKdata"), (TextEnd::Newline, "OK\ndata")] {
        let steps = || [Step::Hear(9), say(wire), Step::Fin];
        let naive = run(naive::download(Scripted::new(steps()), "a", end)).expect("exits with 0");
        assert_eq!(naive.data, b"", "{wire:?}");
        let mut copies = MemoryFiles::new();
        run(download(Scripted::new(steps()), "a", &mut copies, reading(end))).expect("stands");
        assert_eq!(copies.get("copy"), Some(&b"data"[..]));
    }
}

#[test]
fn delimiter_in_name_is_refused_before_it_is_sent() {
    let mut stream = Scripted::new([]);
    let error = run(addfile(&mut stream, "a\nb", b"", Options::default())).expect_err("refused");
    assert_eq!((error.pitfall(), stream.written.len()), (Some(Pitfall::DelimiterInName), 0));
}

#[test]
fn split_ack_stops_naive_with_exit_0_and_not_careful() {
    let steps = || [Step::Hear(8), say("file"), say(" recv\n"), Step::Hear(12), say("file data recv\n"), Step::Fin];
    let sent = run(naive::addfile(Scripted::new(steps()), "a", b"data", TextEnd::Bare, Confirmations::Awaited));
    assert_eq!(sent.expect("exits with 0").body, 0);
    let mut stream = Scripted::new(steps());
    let sent = run(addfile(&mut stream, "a", b"data", Options::default())).expect("stands");
    assert_eq!((sent.outcome(), stream.written.as_slice()), (Outcome::Completed, &b"addfileadata"[..]));
}

#[test]
fn merged_acks_confuse_naive_and_not_careful() {
    let steps = || [Step::Hear(8), say("file recv\nfile data recv\n"), Step::Fin];
    let end = Confirmations::ReadAtTheEnd;
    let sent = run(naive::addfile(Scripted::new(steps()), "a", b"data", TextEnd::Bare, end)).expect("exits with 0");
    assert_eq!(sent.confirmations, [&b"file recv\nfile data recv\n"[..], b""]);
    run(addfile(Scripted::new(steps()), "a", b"data", Options::default())).expect("stands");
}

#[test]
fn short_send_loses_bytes_of_naive_only() {
    let data = bytes(3000);
    let steps = || [Step::Hear(8), say("file recv\n"), Step::Hear(1008), say("file data recv\n"), Step::Fin];
    let stream = Scripted::new(steps()).per_write(1000);
    let sent = run(naive::addfile(stream, "a", &data, TextEnd::Bare, Confirmations::Awaited)).expect("exits with 0");
    assert_eq!(sent.body, 1000);
    let mut stream = Scripted::new(steps()).per_write(1000);
    run(addfile(&mut stream, "a", &data, Options::default())).expect("stands");
    assert_eq!(stream.written.len(), 3008);
}

#[test]
fn close_unread_rst_after_a_confirmation_is_an_unknown_outcome() {
    let steps = [Step::Hear(8), say("file recv\n"), Step::Hear(9), say("file data recv\n"), Step::Rst];
    let mut stream = Scripted::new(steps);
    let sent = run(careful_client::addfile(
        &mut stream,
        &name("a"),
        &mut bytes(5000).as_slice(),
        &mut Ticks,
        &mut unheard,
        Options::default(),
    ));
    // The script resets only after the confirmation, so that writing the data succeeds first.
    let sent = sent.expect("confirmed");
    assert_eq!((sent.peer_close, sent.outcome()), (PeerClose::Reset, Outcome::Unknown));
}

#[test]
fn half_close_misuse_loses_the_confirmation_of_naive_only() {
    for (data, stored) in [("data", Some(&b"data"[..])), ("", None)] {
        run(async {
            let mut files = MemoryFiles::new();
            let (client, server) = tokio::io::duplex(1 << 12);
            let end = (TextEnd::Newline, Confirmations::Ignored);
            let sent = naive::addfile(client, "a", data.as_bytes(), end.0, end.1).await;
            assert!(sent.expect("exits with 0").confirmations.is_empty());
            // The client is gone before the server says anything. Data that came whole is kept; none is no empty file.
            let served = serve(server, &mut files).await;
            assert!(!matches!(served, Ok(Served::Stored { confirmed: true, .. })), "{served:?}");
            assert_eq!(files.get("server_a"), stored);
        });
    }
    let mut stream = Scripted::new([
        Step::Hear(8),
        say("file recv\n"),
        Step::Hear(12),
        Step::Pause(9000),
        say("file data recv\n"),
        Step::Fin,
    ]);
    let sent = run(addfile(&mut stream, "a", b"data", Options::default())).expect("half-closed, and waited");
    assert!(sent.confirmed && stream.shut_down);
}

#[test]
fn lost_confirmation_after_all_data_is_unknown_and_before_it_is_failed() {
    let lost = [Step::Hear(8), say("file recv\n"), Step::Hear(12), Step::Fin];
    let error = run(addfile(Scripted::new(lost), "a", b"data", Options::default())).expect_err("no ACK2");
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(error.to_string(), "all was sent, but not confirmed: the peer ended the stream at byte 10, inside ACK2");
    let refused = run(addfile(Scripted::new([Step::Hear(8), Step::Fin]), "a", b"data", Options::default()));
    let error = refused.expect_err("no ACK1");
    assert_eq!(error.outcome(), Outcome::Failed);
    assert!(matches!(error, LabError::Peer(Fault::Truncated { stage: Stage::Ack1, offset: 0, .. })), "{error}");
}

#[test]
fn foreign_server_is_named_to_the_client() {
    let stream = Scripted::new([Step::Hear(7), say("HTTP/1.1 400 Bad Request\r\n"), Step::Fin]);
    let error = run(upload(stream, "a", b"data", Options::default())).expect_err("foreign");
    assert!(matches!(error, LabError::Peer(Fault::Foreign(Foreign::HttpResponse))), "{error}");
}
