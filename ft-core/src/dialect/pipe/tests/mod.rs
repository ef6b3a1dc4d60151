//! Lab A: exchanges that work. What falls and what stands is in `pitfalls`, the pure state machines in `decoders`.

mod decoders;
mod pitfalls;

use tokio::io::{AsyncRead, AsyncWrite};

use super::super::pitfall::{Lab, Pitfall, Whose};
use super::super::testing::{Scripted, Step, Ticks, carry_bytewise, run, say};
use super::super::{
    Fault, Foreign, LabError, LabEvent, LabName, MemoryFiles, NameError, Outcome, PeerClose, Stage, TextEnd, Unobserved,
};
use super::decoder::{AckDecoder, AckEvent, PipeDecoder, PipeEvent, join_bodies};
use super::{Options, careful, naive};

fn name(text: &str) -> LabName {
    LabName::new(text).expect("legal")
}

async fn receive<S>(stream: S, files: &mut MemoryFiles, options: Options) -> Result<careful::Received, LabError>
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
    careful::send(stream, name, size, &mut data, &mut Ticks, &mut Unobserved, options).await
}

fn careful_receives(steps: Vec<Step>) -> (Result<careful::Received, LabError>, MemoryFiles, Scripted) {
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
    (result.unwrap_or_else(|_| panic!("the naive server waits for ever")), files)
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
        for (text_end, capacity) in [(TextEnd::Bare, 1), (TextEnd::Newline, 7), (TextEnd::Bare, 4096)] {
            let data: Vec<u8> = (0..size).map(|i| u8::try_from(i % 251).expect("small")).collect();
            let mut files = MemoryFiles::new();
            let (client, near) = tokio::io::duplex(capacity);
            let (far, server) = tokio::io::duplex(capacity);
            let options = Options { text_end, ..Options::default() };
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
            assert_eq!((sent.body, sent.peer_close), (u64::from(size), PeerClose::Fin));
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
        assert_eq!(sent.expect("sent"), naive::SaysSent { acked: true, body: 5000 });
        received.expect("received");
        assert_eq!(files.get("n2c"), Some(data.as_slice()));

        let (client, server) = tokio::io::duplex(1 << 16);
        let file = name("c2n");
        let (sent, saved) =
            tokio::join!(send(client, &file, 5000, &data, Options::default()), naive::receive(server, &mut files));
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
    run(careful::receive(stream, &mut files, &mut Ticks, &mut observer, Options::default())).expect("received");
    assert_eq!(seen, ["metadata: a, 2 bytes", "Sent: ACK", "progress: 2 bytes", "stored: a, 2 bytes"]);
}
