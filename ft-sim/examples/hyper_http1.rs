//! hyper's HTTP/1.1 client and server, unmodified: two requests on one connection, under segmentation and under cuts.
//!
//! Note `auto_date_header(false)`: a `Date` header would put the wall clock into the stream.
//!
//! `cargo run -p ft-sim --example hyper_http1`

#![expect(clippy::disallowed_macros, reason = "an example shows what it found")]

use bytes::Bytes;
use ft_sim::{Endpoint, Fault, Faults, Report, World, explore};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Posts two bodies and returns the answers.
async fn client(stream: Endpoint) -> Result<Vec<Bytes>, BoxError> {
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let requests = async move {
        let mut answers = Vec::new();
        for body in ["hello", "a second request on the same connection"] {
            let request = Request::post("/echo").header("host", "sim").body(Full::new(Bytes::from(body)))?;
            let response = sender.send_request(request).await?;
            answers.push(response.into_body().collect().await?.to_bytes());
        }
        Ok::<_, BoxError>(answers)
    };
    // The sender is dropped when the requests are done, and with it the connection ends.
    let (answers, connection) = futures_util::join!(requests, connection);
    let answers = answers?;
    connection?;
    Ok(answers)
}

/// Answers each request with its body in capitals.
async fn server(stream: Endpoint) -> Result<(), hyper::Error> {
    let shout = service_fn(|request: Request<Incoming>| async move {
        let body = request.into_body().collect().await?.to_bytes();
        Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from(body.to_ascii_uppercase()))))
    });
    hyper::server::conn::http1::Builder::new()
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), shout)
        .await
}

fn expected() -> Vec<Bytes> {
    ["HELLO", "A SECOND REQUEST ON THE SAME CONNECTION"].map(Bytes::from).to_vec()
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
    let segmentation = explore("hyper", answers).faults(&Faults::segmentation().headers(&[2])).swarm(1, 2_000).report();
    let cuts = [Fault::HalfClose, Fault::Fin, Fault::Rst];
    [segmentation, explore("hyper-cut", answers_or_error).every_cut(&cuts).report()]
}

fn main() {
    for report in searches() {
        println!("{report}");
    }
}

#[test]
fn hyper_keeps_its_promises() {
    for report in searches() {
        report.assert_passed();
    }
}
