//! A deliberately wrong line protocol, whose fault the search finds and shrinks without being told where it is.
//!
//! The server takes what one read returns for one line. On a quiet loopback that is so: the benign run passes. One
//! segment boundary inside a line makes it add the wrong number and say `ok`.
//!
//! `cargo run -p ft-sim --example wrong_line_protocol`

#![expect(clippy::disallowed_macros, reason = "an example shows what it found")]

use std::io;

use ft_sim::{Endpoint, Report, World, explore};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

/// Sends `add N` lines, waiting for `ok` after each, then closes its half.
async fn client(stream: Endpoint) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    for number in [12, 30] {
        stream.write_all(format!("add {number}\n").as_bytes()).await?;
        stream.read_line(&mut String::new()).await?;
    }
    stream.shutdown().await
}

/// Adds up what it is told. The fault is the first line of the loop.
async fn server(mut stream: Endpoint) -> io::Result<u32> {
    let mut sum = 0;
    let mut buffer = [0; 64];
    loop {
        let n = stream.read(&mut buffer).await?;
        if n == 0 {
            return Ok(sum);
        }
        let line = String::from_utf8_lossy(&buffer[..n]);
        if let Some(Ok(number)) = line.trim_end().strip_prefix("add ").map(str::parse::<u32>) {
            sum += number;
        }
        stream.write_all(b"ok\n").await?;
    }
}

fn case(world: &mut World) {
    let pair = world.pair(client, server);
    world.always_eq("the sum is right", pair.server.done().and_then(Result::ok), Some(42));
}

fn search() -> Report {
    explore("wrong-line-protocol", case).swarm(1, 10_000).report()
}

fn main() {
    println!("{}", search());
}

#[test]
fn benign_run_of_the_wrong_protocol_passes() {
    explore("wrong-line-protocol", case).exhaustive(0).assert_passed();
}

#[test]
fn search_shrinks_the_fault_to_one_boundary_inside_the_line() {
    assert_eq!(search().expect_failure().replay_line(), "wrong-line-protocol: c2s@1 split");
}
