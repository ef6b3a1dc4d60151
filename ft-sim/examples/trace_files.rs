//! Writes one run's trace as text, JSON lines and pcapng into a folder, to look at with other tools.
//!
//! `cargo run -p ft-sim --example trace_files -- FOLDER ['SCHEDULE']`

use std::error::Error;
use std::path::PathBuf;

use ft_sim::trace::{json_lines, lanes, pcapng};
use ft_sim::{Endpoint, Schedule, World, run};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

async fn client(mut stream: Endpoint) -> std::io::Result<()> {
    stream.write_all(b"data.txt|1024").await?;
    stream.read_exact(&mut [0; 3]).await?;
    stream.write_all(&[b'x'; 1024]).await?;
    stream.shutdown().await
}

async fn server(mut stream: Endpoint) -> std::io::Result<Vec<u8>> {
    stream.read_exact(&mut [0; 13]).await?;
    stream.write_all(b"ACK").await?;
    let mut body = Vec::new();
    stream.read_to_end(&mut body).await?;
    Ok(body)
}

fn case(world: &mut World) {
    world.tolerate_deadlock();
    world.pair(client, server);
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let folder = PathBuf::from(args.next().ok_or("usage: trace_files FOLDER ['SCHEDULE']")?);
    let schedule: Schedule = args.next().as_deref().unwrap_or("c2s@4 split; s2c@1 delay 20ms; c2s@525 rst").parse()?;
    let run = run(case, &schedule);
    std::fs::write(folder.join("trace.txt"), lanes(&run.events))?;
    std::fs::write(folder.join("trace.jsonl"), json_lines(&run.events))?;
    std::fs::write(folder.join("trace.pcapng"), pcapng(&run.events))?;
    Ok(())
}
