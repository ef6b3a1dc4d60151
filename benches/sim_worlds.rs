//! How many schedules a second each executor makes of one case: a handshake in lab A's shape (header, acknowledgement,
//! 100 bytes), without and with faults. Only ratios within one run mean anything on a shared machine.

#![expect(missing_docs, reason = "criterion_group makes a public function")]

use std::io;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ft_sim::turmoil_world::{Settings, TurmoilWorld};
use ft_sim::{Endpoint, Faults, World, explore, explore_on_tokio};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const BODY: [u8; 100] = [7; 100];
const HEADER: &[u8; 8] = b"data|100";
/// Runs per iteration, so that building a world is not what is measured.
const RUNS: u64 = 1_000;

async fn send<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<()> {
    stream.write_all(HEADER).await?;
    let mut ack = [0; 3];
    stream.read_exact(&mut ack).await?;
    stream.write_all(&BODY).await?;
    stream.shutdown().await
}

async fn receive<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> io::Result<[u8; 100]> {
    let mut header = [0; 8];
    stream.read_exact(&mut header).await?;
    stream.write_all(b"ACK").await?;
    let mut body = [0; 100];
    stream.read_exact(&mut body).await?;
    Ok(body)
}

fn case(world: &mut World) {
    let pair = world.pair(send::<Endpoint>, receive::<Endpoint>);
    world.always("intact", pair.server.done().is_some_and(|r| r.is_ok_and(|body| body == BODY)));
}

/// Cuts included: the promise is only that what arrives whole is right.
fn faulty_case(world: &mut World) {
    let pair = world.pair(send::<Endpoint>, receive::<Endpoint>);
    if let Some(Ok(body)) = pair.server.done() {
        world.always("intact", body == BODY);
    }
}

fn worlds(c: &mut Criterion) {
    let mut group = c.benchmark_group("handshake");
    group.throughput(Throughput::Elements(RUNS)).sample_size(20);
    let segmentation = Faults::segmentation().headers(&[8]);
    let cuts = Faults::cuts().headers(&[8]);
    let none = Faults::only(&[]);
    group.bench_function("own, no faults", |b| {
        b.iter(|| explore("bench", case).faults(&none).swarm(0, RUNS).assert_passed());
    });
    group.bench_function("own, segmentation", |b| {
        b.iter(|| explore("bench", case).faults(&segmentation).swarm(0, RUNS).assert_passed());
    });
    group.bench_function("own, cuts", |b| {
        b.iter(|| explore("bench", faulty_case).faults(&cuts).swarm(0, RUNS).assert_passed());
    });
    group.bench_function("tokio paused, no faults", |b| {
        b.iter(|| explore_on_tokio("bench", case).faults(&none).swarm(0, RUNS).assert_passed());
    });
    group.bench_function("tokio paused, segmentation", |b| {
        b.iter(|| explore_on_tokio("bench", case).faults(&segmentation).swarm(0, RUNS).assert_passed());
    });
    group.bench_function("tokio paused, cuts", |b| {
        b.iter(|| explore_on_tokio("bench", faulty_case).faults(&cuts).swarm(0, RUNS).assert_passed());
    });
    group.bench_function("tokio spawn and duplex, no faults", |b| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        let runtime = runtime.expect("a current-thread runtime");
        b.iter(|| {
            for _ in 0..RUNS {
                runtime.block_on(async {
                    let (client, server) = tokio::io::duplex(64 * 1024);
                    let client = tokio::spawn(send(client));
                    let server = tokio::spawn(receive(server));
                    assert!(client.await.is_ok());
                    assert!(server.await.is_ok_and(|r| r.is_ok_and(|body| body == BODY)));
                });
            }
        });
    });
    group.finish();
}

/// turmoil makes a world per run, which is part of what a schedule costs there.
fn turmoil_worlds(c: &mut Criterion) {
    const RUNS: u64 = 20;
    let mut group = c.benchmark_group("handshake");
    group.throughput(Throughput::Elements(RUNS)).sample_size(20);
    group.bench_function("turmoil, latency 0", |b| {
        b.iter(|| {
            for seed in 0..RUNS {
                let mut world = TurmoilWorld::new(Settings { seed, ..Settings::default() });
                let net = world.net();
                world.host("server", move || {
                    let net = net.clone();
                    async move {
                        let (stream, _) = net.listen(1).await?.accept().await?;
                        assert_eq!(receive(stream).await?, BODY);
                        Ok(())
                    }
                });
                let net = world.net();
                world.client("client", async move { Ok(send(net.connect("server", 1).await?).await?) });
                world.run().expect("a benign run");
            }
        });
    });
    group.finish();
}

criterion_group!(benches, worlds, turmoil_worlds);
criterion_main!(benches);
