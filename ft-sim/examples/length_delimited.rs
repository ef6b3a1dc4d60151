//! tokio-util's `LengthDelimitedCodec`, unmodified: an echo of frames under every schedule of one deviation, random
//! ones of many, and every way of cutting the stream.
//!
//! `cargo run -p ft-sim --example length_delimited`

#![expect(clippy::disallowed_macros, reason = "an example shows what it found")]

use std::io;

use bytes::Bytes;
use ft_sim::{Endpoint, Fault, Faults, Report, World, explore};
use futures_util::{SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio_util::codec::{Framed, LengthDelimitedCodec};

const FRAMES: [&[u8]; 4] = [b"one", b"", b"three", b"a longer frame, so that headers and bodies differ in size"];

async fn client(stream: Endpoint) -> io::Result<Vec<Bytes>> {
    let mut framed = Framed::new(stream, LengthDelimitedCodec::new());
    for frame in FRAMES {
        framed.send(Bytes::from_static(frame)).await?;
    }
    let mut echoed = Vec::new();
    while echoed.len() < FRAMES.len() {
        match framed.next().await {
            Some(frame) => echoed.push(frame?.freeze()),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
    framed.get_mut().shutdown().await?;
    Ok(echoed)
}

async fn server(stream: Endpoint) -> io::Result<()> {
    let mut framed = Framed::new(stream, LengthDelimitedCodec::new());
    while let Some(frame) = framed.next().await {
        framed.send(frame?.freeze()).await?;
    }
    framed.get_mut().shutdown().await
}

/// However the bytes arrive, the same frames come back.
fn echo(world: &mut World) {
    world.window(48);
    let pair = world.pair(client, server);
    world.sometimes("echoed", pair.client.as_done().is_some_and(Result::is_ok));
    world.always_eq("echo", pair.client.done().and_then(Result::ok), Some(FRAMES.map(Bytes::from_static).to_vec()));
}

/// Whatever happens to the connection, a client that reports success has every frame.
fn echo_or_error(world: &mut World) {
    let pair = world.pair(client, server);
    let result = pair.client.done();
    world.always("the client ends", result.is_some());
    world.sometimes("it comes to the end", matches!(result, Some(Ok(_))));
    if let Some(Ok(frames)) = result {
        world.always_eq("echo", frames, FRAMES.map(Bytes::from_static).to_vec());
    }
}

fn searches() -> [Report; 2] {
    let header = Faults::segmentation().headers(&[4]);
    let segmentation = explore("length-delimited", echo).faults(&header).exhaustive(1).swarm(1, 5_000).report();
    let cuts = [Fault::HalfClose, Fault::Fin, Fault::Rst];
    [segmentation, explore("length-delimited-cut", echo_or_error).every_cut(&cuts).report()]
}

fn main() {
    for report in searches() {
        println!("{report}");
    }
}

#[test]
fn length_delimited_codec_keeps_its_promises() {
    for report in searches() {
        report.assert_passed();
    }
}
