//! The h2 crate, unmodified: two streams at once on one HTTP/2 connection, with more body than the flow-control window
//! of a stream lets through at first, under segmentation and under cuts.
//!
//! `cargo run -p ft-sim --example h2_streams`

#![expect(clippy::disallowed_macros, reason = "an example shows what it found")]

use bytes::{Bytes, BytesMut};
use ft_sim::{Endpoint, Fault, Faults, Report, World, explore};
use h2::{RecvStream, SendStream};
use http::{Request, Response};

/// Bytes of a stream in flight at once; less than a body, so that WINDOW_UPDATE frames decide when the rest goes.
const WINDOW: u32 = 100;

fn body(stream: u8) -> Bytes {
    (0..150).map(|i| i ^ stream).collect()
}

/// Sends all of a body, as the peer's window allows.
async fn send_all(mut stream: SendStream<Bytes>, mut body: Bytes) -> Result<(), h2::Error> {
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
        let room = room.unwrap_or(Ok(0))?;
        stream.send_data(body.split_to(room.min(body.len())), body.is_empty())?;
    }
    Ok(())
}

async fn receive_all(mut stream: RecvStream) -> Result<Bytes, h2::Error> {
    let mut all = BytesMut::new();
    while let Some(piece) = stream.data().await {
        let piece = piece?;
        stream.flow_control().release_capacity(piece.len())?;
        all.extend_from_slice(&piece);
    }
    Ok(all.freeze())
}

/// Posts two bodies at once and returns the answers.
async fn client(stream: Endpoint) -> Result<Vec<Bytes>, h2::Error> {
    let handshake = h2::client::Builder::new().initial_window_size(WINDOW).handshake(stream);
    let (sender, connection) = handshake.await?;
    let mut sender = sender.ready().await?;
    let mut posts = Vec::new();
    for number in [1, 2] {
        let request = Request::post("https://sim/echo").body(()).expect("a request");
        let (answer, upload) = sender.send_request(request, false)?;
        posts.push(async move {
            send_all(upload, body(number)).await?;
            receive_all(answer.await?.into_body()).await
        });
        sender = sender.ready().await?;
    }
    drop(sender);
    let (answers, ended) = futures_util::join!(futures_util::future::try_join_all(posts), connection);
    ended?;
    answers
}

/// Answers each request with its body backwards.
async fn server(stream: Endpoint) -> Result<(), h2::Error> {
    let mut connection = h2::server::Builder::new().initial_window_size(WINDOW).handshake(stream).await?;
    let mut streams = futures_util::stream::FuturesUnordered::new();
    loop {
        futures_util::select_biased! {
            accepted = futures_util::FutureExt::fuse(connection.accept()) => {
                let Some(accepted) = accepted else { return Ok(()) };
                let (request, mut respond) = accepted?;
                streams.push(async move {
                    let mut body = receive_all(request.into_body()).await?.to_vec();
                    body.reverse();
                    send_all(respond.send_response(Response::new(()), false)?, body.into()).await
                });
            }
            ended = futures_util::StreamExt::select_next_some(&mut streams) => {
                let _: Result<(), h2::Error> = ended;
            }
        }
    }
}

fn expected() -> Vec<Bytes> {
    [1, 2].map(|number| body(number).iter().rev().copied().collect()).to_vec()
}

fn answers(world: &mut World) {
    let pair = world.pair(client, server);
    world.always_eq("answers", pair.client.done().and_then(Result::ok), Some(expected()));
}

fn answers_or_error(world: &mut World) {
    let pair = world.pair(client, server);
    let result = pair.client.done();
    world.always("the client ends", result.is_some());
    world.sometimes("it comes to the end", matches!(result, Some(Ok(_))));
    if let Some(Ok(answers)) = result {
        world.always_eq("answers", answers, expected());
    }
}

fn searches() -> [Report; 2] {
    let segmentation = explore("h2", answers).faults(&Faults::segmentation().headers(&[9])).swarm(1, 1_000).report();
    let cuts = [Fault::HalfClose, Fault::Fin, Fault::Rst];
    [segmentation, explore("h2-cut", answers_or_error).every_cut(&cuts).report()]
}

fn main() {
    for report in searches() {
        println!("{report}");
    }
}

#[test]
fn h2_keeps_its_promises() {
    for report in searches() {
        report.assert_passed();
    }
}
