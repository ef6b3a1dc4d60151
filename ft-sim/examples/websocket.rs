//! tokio-tungstenite, unmodified: a WebSocket echo under segmentation.
//!
//! Its handshake key and masks are random, so that the bytes, and with them a run's hash, differ from run to run; their
//! number does not, so that schedules still mean the same and replay.
//!
//! `cargo run -p ft-sim --example websocket`

#![expect(clippy::disallowed_macros, reason = "an example shows what it found")]

use ft_sim::{Endpoint, Faults, Report, World, explore};
use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::{Error, Message};

const TEXTS: [&str; 3] = [
    "hello",
    "",
    "a text of more than 125 bytes takes the longer form of the header: \
    0123456789 0123456789 0123456789 0123456789 0123456789 0123456789",
];

async fn client(stream: Endpoint) -> Result<Vec<String>, Error> {
    let (mut socket, _) = tokio_tungstenite::client_async("ws://sim/", stream).await?;
    let mut echoed = Vec::new();
    for text in TEXTS {
        socket.send(Message::text(text)).await?;
        if let Some(message) = socket.next().await {
            echoed.push(message?.into_text()?.to_string());
        }
    }
    socket.close(None).await?;
    while socket.next().await.is_some() {}
    Ok(echoed)
}

async fn server(stream: Endpoint) -> Result<(), Error> {
    let mut socket = tokio_tungstenite::accept_async(stream).await?;
    while let Some(message) = socket.next().await {
        let message = message?;
        if message.is_text() {
            socket.send(message).await?;
        }
    }
    Ok(())
}

fn echo(world: &mut World) {
    let pair = world.pair(client, server);
    world.always("the server ends well", pair.server.done().is_some_and(|end| end.is_ok()));
    let echoed = pair.client.done().and_then(Result::ok);
    world.always_eq("echo", echoed, Some(TEXTS.map(str::to_owned).to_vec()));
}

fn search() -> Report {
    explore("websocket", echo).faults(&Faults::segmentation().headers(&[2, 6, 8])).swarm(1, 2_000).report()
}

fn main() {
    println!("{}", search());
}

#[test]
fn websocket_echo_keeps_its_promises() {
    search().assert_passed();
}
