//! Lab B: exchanges that work. What falls and what stands is in `server_pitfalls` and `client_pitfalls`, the
//! pure state machines are in `decoders`.

mod client_pitfalls;
mod decoders;
mod server_pitfalls;

use tokio::io::{AsyncRead, AsyncWrite};

use super::super::testing::{Scripted, Step, Ticks, carry_bytewise, run, say};
use super::super::{LabError, LabEvent, LabName, MemoryFiles, Outcome, TextEnd};
use super::careful_client::{self, Downloaded, Sent};
use super::careful_server::{self, EndedBy, Served};
use super::naive::{self, Confirmations};
use super::{Command, Options};

const READINGS: [TextEnd; 2] = [TextEnd::Bare, TextEnd::Newline];

fn name(text: &str) -> LabName {
    LabName::new(text).expect("legal")
}

fn reading(text_end: TextEnd) -> Options {
    Options { text_end, ..Options::default() }
}

fn bytes(size: usize) -> Vec<u8> {
    (0..=250u8).cycle().take(size).collect()
}

fn unheard(_: &LabEvent) {}

async fn serve<S>(stream: S, files: &mut MemoryFiles) -> Result<Served, LabError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    careful_server::serve(stream, files, &mut Ticks, &mut unheard, Options::default()).await
}

async fn naive_serve<S>(stream: S, files: &mut MemoryFiles, end: TextEnd) -> Result<naive::SaysServed, LabError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    naive::serve(stream, files, &mut unheard, end).await
}

async fn addfile<S>(stream: S, file: &str, mut data: &[u8], options: Options) -> Result<Sent, LabError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    careful_client::addfile(stream, &name(file), &mut data, &mut Ticks, &mut unheard, options).await
}

async fn upload<S>(stream: S, file: &str, mut data: &[u8], options: Options) -> Result<Sent, LabError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    careful_client::upload(stream, &name(file), &mut data, &mut Ticks, &mut unheard, options).await
}

async fn download<S>(stream: S, file: &str, files: &mut MemoryFiles, options: Options) -> Result<Downloaded, LabError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (from, to) = (name(file), name("copy"));
    careful_client::download(stream, &from, &to, files, &mut Ticks, &mut unheard, options).await
}

#[test]
fn file_of_any_size_goes_both_ways_through_small_buffers_and_single_bytes() {
    for size in [0, 1, 1024, 4096, 4097, 50_000] {
        for (text_end, capacity) in [(TextEnd::Bare, 1), (TextEnd::Newline, 5), (TextEnd::Newline, 4096)] {
            let data = bytes(size);
            let len = size as u64;
            let mut files = MemoryFiles::new();
            let mut copies = MemoryFiles::new();
            run(async {
                let wire = || {
                    let (client, near) = tokio::io::duplex(capacity);
                    let (far, server) = tokio::io::duplex(capacity);
                    (client, server, carry_bytewise(near, far))
                };
                let (client, server, carrier) = wire();
                let (sent, served, ()) = tokio::join!(
                    addfile(client, "1412412", &data, reading(text_end)),
                    serve(server, &mut files),
                    carrier
                );
                assert_eq!(sent.expect("sent").outcome(), Outcome::Completed);
                let stored = |command, stored_as, confirmed| Served::Stored {
                    command,
                    stored_as: name(stored_as),
                    len,
                    ended_by: EndedBy::Eof,
                    confirmed,
                };
                assert_eq!(served.expect("served"), stored(Command::Addfile, "server_1412412", true));

                let (client, server, carrier) = wire();
                let (sent, served, ()) =
                    tokio::join!(upload(client, "up", &data, reading(text_end)), serve(server, &mut files), carrier);
                assert_eq!(sent.expect("sent").outcome(), Outcome::Unknown, "no-final-ack");
                assert_eq!(served.expect("served"), stored(Command::Upload, "up", false));

                let (client, server, carrier) = wire();
                let (got, served, ()) = tokio::join!(
                    download(client, "up", &mut copies, reading(text_end)),
                    serve(server, &mut files),
                    carrier
                );
                assert_eq!(got.expect("downloaded").len, len);
                assert_eq!(served.expect("served"), Served::Sent { name: name("up"), len });
            });
            for stored in [files.get("server_1412412"), files.get("up"), copies.get("copy")] {
                assert_eq!(stored, Some(data.as_slice()));
            }
        }
    }
}

#[test]
fn download_of_nothing_is_not_found_on_both_sides() {
    for text_end in READINGS {
        run(async {
            let (mut files, mut copies) = (MemoryFiles::new(), MemoryFiles::new().with("copy", "old"));
            let (client, server) = tokio::io::duplex(64);
            let (got, served) =
                tokio::join!(download(client, "none", &mut copies, reading(text_end)), serve(server, &mut files));
            assert!(matches!(got, Err(LabError::NotFound { .. })), "{got:?}");
            assert_eq!(served.expect("served"), Served::NotFound { name: name("none") });
            assert_eq!(copies.get("copy"), Some(&b"old"[..]));
        });
    }
}

#[test]
fn naive_and_careful_speak_to_each_other_on_a_benign_wire() {
    for end in READINGS {
        let data = bytes(3000);
        run(async {
            let mut files = MemoryFiles::new();
            let (client, server) = tokio::io::duplex(1 << 16);
            let (sent, served) =
                tokio::join!(addfile(client, "c2n", &data, reading(end)), naive_serve(server, &mut files, end));
            assert_eq!(sent.expect("sent").outcome(), Outcome::Completed);
            assert_eq!(served.expect("served").body, 3000);

            let (client, server) = tokio::io::duplex(1 << 16);
            let (sent, served) =
                tokio::join!(upload(client, "up", &data, reading(end)), naive_serve(server, &mut files, end));
            assert_eq!(sent.expect("sent").body, 3000);
            assert_eq!(served.expect("served").body, 3000);

            let (client, server) = tokio::io::duplex(1 << 16);
            let (got, served) = tokio::join!(naive::download(client, "up", end), serve(server, &mut files));
            let got = got.expect("downloaded");
            assert_eq!((got.status.as_str(), got.data.as_slice()), ("OK", data.as_slice()));
            served.expect("served");

            let (client, server) = tokio::io::duplex(1 << 16);
            let (sent, served) = tokio::join!(
                naive::addfile(client, "n2c", &data, end, Confirmations::Awaited),
                serve(server, &mut files)
            );
            assert_eq!(sent.expect("sent").confirmations, [&b"file recv\n"[..], b"file data recv\n"]);
            let Ok(Served::Stored { ended_by, .. }) = served else { panic!("not stored: {served:?}") };
            assert_eq!(ended_by, EndedBy::Quiet, "a client that awaits ACK2 ends its data by silence");

            for stored in ["server_c2n", "up", "server_n2c"] {
                assert_eq!(files.get(stored), Some(data.as_slice()), "{stored}");
            }
        });
    }
}

#[test]
fn server_log_is_the_labs_to_the_letter() {
    let steps = || {
        let (ack1, ack2) = ("file recv\n".len(), "file data recv\n".len());
        [
            say("addfile"),
            Step::Pause(9),
            say("1412412"),
            Step::Hear(ack1),
            say("data"),
            Step::Hear(ack1 + ack2),
            Step::Fin,
        ]
    };
    let expected = [
        "Client command: addfile",
        "Creating new file: 1412412",
        "Sent: file recv",
        "Receiving file data for: 1412412",
        "Sent: file data recv",
    ];
    let mut careful_log = Vec::new();
    let mut log = |event: &LabEvent| {
        if event.is_log_line() {
            careful_log.push(event.to_string());
        }
    };
    let mut files = MemoryFiles::new();
    let stream = Scripted::new([&[say("addfile1412412")][..], &steps()[3..]].concat());
    run(careful_server::serve(stream, &mut files, &mut Ticks, &mut log, Options::default())).expect("served");
    assert_eq!(careful_log, expected);

    let mut naive_log = Vec::new();
    let mut log = |event: &LabEvent| naive_log.push(event.to_string());
    run(naive::serve(Scripted::new(steps()), &mut files, &mut log, TextEnd::Bare)).expect("served");
    assert_eq!(naive_log, expected);
}

#[test]
fn request_goes_out_in_one_write_or_with_a_pause_that_is_meant() {
    let writes = |pause| {
        let mut stream = Scripted::new([Step::Hear(8), say("file recv\n"), Step::Rst]);
        let options = Options { text_end: TextEnd::Newline, pause, ..Options::default() };
        run(addfile(&mut stream, "a", b"", options)).expect_err("reset");
        stream.writes
    };
    assert_eq!(writes(false), [b"addfile\na\n".to_vec()], "nagle-delayed-ack: no write, write, read");
    assert_eq!(writes(true), [b"addfile\n".to_vec(), b"a\n".to_vec()]);
}
