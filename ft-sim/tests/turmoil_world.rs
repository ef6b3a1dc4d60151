//! The turmoil world, and the two hangs of turmoil 0.7.2 that it avoids. The tests on bare turmoil document the hangs:
//! if one fails, turmoil has been repaired, and the precaution can go.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::Duration;

use ft_sim::turmoil_world::{Settings, TurmoilWorld};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use turmoil::net::{TcpListener, TcpStream};

const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
/// turmoil's default capacity of a stream, in segments.
const CHANNEL: usize = 64;

/// Reads to the end of stream; `None` if it never comes.
async fn read_to_end(mut stream: impl AsyncRead + Unpin) -> (usize, bool) {
    let mut got = Vec::new();
    let ended = timeout(Duration::from_secs(5), stream.read_to_end(&mut got)).await.is_ok();
    (got.len(), ended)
}

#[test]
fn bare_turmoil_never_delivers_a_fin_behind_a_full_channel() {
    let mut sim = turmoil::Builder::new().rng_seed(1).simulation_duration(Duration::from_secs(60)).build();
    sim.host("server", || async {
        let listener = TcpListener::bind((ANY, 1)).await?;
        let (mut stream, _) = listener.accept().await?;
        for _ in 0..CHANNEL {
            stream.write_all(b"x").await?;
        }
        stream.shutdown().await?;
        sleep(Duration::from_secs(30)).await;
        Ok(())
    });
    sim.client("client", async {
        let stream = TcpStream::connect(("server", 1)).await?;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(read_to_end(stream).await, (CHANNEL, false), "the bytes come, the end never does");
        Ok(())
    });
    sim.run().unwrap();
}

#[test]
fn end_of_stream_behind_a_full_window_is_delivered_in_our_world() {
    for bytes in [CHANNEL, 100, 300] {
        let mut world = TurmoilWorld::new(Settings { window: 100, ..Settings::default() });
        let net = world.net();
        world.host("server", move || {
            let net = net.clone();
            async move {
                let (mut stream, _) = net.listen(1).await?.accept().await?;
                for _ in 0..bytes {
                    stream.write_all(b"x").await?;
                }
                stream.shutdown().await?;
                sleep(Duration::from_secs(30)).await;
                Ok(())
            }
        });
        let net = world.net();
        world.client("client", async move {
            let stream = net.connect("server", 1).await?;
            sleep(Duration::from_secs(1)).await;
            assert_eq!(read_to_end(stream).await, (bytes, true));
            Ok(())
        });
        world.run().unwrap();
    }
}

#[test]
fn bare_turmoil_loses_what_is_sent_into_a_partition_for_ever() {
    let mut sim = turmoil::Builder::new().rng_seed(1).simulation_duration(Duration::from_secs(60)).build();
    sim.host("server", || async {
        let listener = TcpListener::bind((ANY, 1)).await?;
        let (mut stream, _) = listener.accept().await?;
        sleep(Duration::from_secs(1)).await;
        turmoil::partition("client", "server");
        stream.write_all(b"lost").await?;
        sleep(Duration::from_secs(1)).await;
        turmoil::repair("client", "server");
        stream.write_all(b"kept").await?;
        sleep(Duration::from_secs(30)).await;
        Ok(())
    });
    sim.client("client", async {
        let mut stream = TcpStream::connect(("server", 1)).await?;
        let read = timeout(Duration::from_secs(20), stream.read_u8()).await;
        assert!(read.is_err(), "not even what was sent after the repair arrives");
        Ok(())
    });
    sim.run().unwrap();
}

#[test]
fn writer_whose_reader_has_gone_is_told_however_much_it_writes() {
    let mut world = TurmoilWorld::new(Settings::default());
    let net = world.net();
    world.host("server", move || {
        let net = net.clone();
        async move {
            let (mut stream, _) = net.listen(1).await?.accept().await?;
            let mut ten = [0; 10];
            stream.read_exact(&mut ten).await?;
            drop(stream);
            sleep(Duration::from_secs(30)).await;
            Ok(())
        }
    });
    let net = world.net();
    world.client("client", async move {
        let mut stream = net.connect("server", 1).await?;
        stream.write_all(&[1; 10]).await?;
        sleep(Duration::from_secs(1)).await;
        let rest = timeout(Duration::from_secs(10), async {
            for _ in 0..100 {
                stream.write_all(&[2; 16 * 1024]).await?;
                sleep(Duration::from_millis(10)).await;
            }
            Ok::<(), std::io::Error>(())
        });
        assert!(rest.await.expect("it is not waited for for ever").is_err());
        Ok(())
    });
    world.run().unwrap();
}

#[test]
fn what_is_sent_while_a_path_is_held_arrives_after_its_release() {
    let mut world = TurmoilWorld::new(Settings::default());
    let (net, written) = (world.net(), Rc::new(Cell::new(false)));
    let flag = Rc::clone(&written);
    world.host("server", move || {
        let (net, flag) = (net.clone(), Rc::clone(&flag));
        async move {
            let (mut stream, _) = net.listen(1).await?.accept().await?;
            sleep(Duration::from_secs(1)).await;
            stream.write_all(b"held").await?;
            flag.set(true);
            sleep(Duration::from_secs(30)).await;
            Ok(())
        }
    });
    let (net, connected) = (world.net(), Rc::new(Cell::new(false)));
    let flag = Rc::clone(&connected);
    world.client("client", async move {
        let mut stream = net.connect("server", 1).await?;
        flag.set(true);
        let mut text = [0; 4];
        stream.read_exact(&mut text).await?;
        assert_eq!(&text, b"held");
        assert!(turmoil::elapsed() >= Duration::from_secs(3), "not before the release");
        Ok(())
    });
    world.step_until(|| connected.get()).unwrap();
    world.hold("client", "server");
    world.step_until(|| written.get()).unwrap();
    for _ in 0..3_000 {
        assert!(!world.step().unwrap());
    }
    world.release("client", "server");
    world.run().unwrap();
}

#[test]
fn power_loss_is_silence_and_a_restarted_host_serves_again() {
    let mut world = TurmoilWorld::new(Settings { latency: Duration::from_millis(2), ..Settings::default() });
    let net = world.net();
    world.host("server", move || {
        let net = net.clone();
        async move {
            let listener = net.listen(1).await?;
            loop {
                let (mut stream, _) = listener.accept().await?;
                stream.write_all(b"hello").await?;
                let mut one = [0];
                while !matches!(stream.read(&mut one).await, Ok(0) | Err(_)) {}
            }
        }
    });
    let (net, log) = (world.net(), Rc::new(RefCell::new(Vec::new())));
    let told = Rc::clone(&log);
    world.client("client", async move {
        let mut stream = net.connect("server", 1).await?;
        stream.read_exact(&mut [0; 5]).await?;
        told.borrow_mut().push("greeted");
        let silence = timeout(Duration::from_secs(2), stream.read_u8()).await;
        told.borrow_mut().push(if silence.is_err() { "silence" } else { "an answer" });
        sleep(Duration::from_secs(5)).await;
        let mut stream = net.connect("server", 1).await?;
        stream.read_exact(&mut [0; 5]).await?;
        told.borrow_mut().push("greeted again");
        Ok(())
    });
    let seen = Rc::clone(&log);
    world.step_until(|| seen.borrow().len() == 1).unwrap();
    world.lose_power("server");
    world.step_until(|| seen.borrow().len() == 2).unwrap();
    world.restart("server");
    world.run().unwrap();
    assert_eq!(*log.borrow(), ["greeted", "silence", "greeted again"]);
}

#[test]
fn equal_seeds_give_equal_latencies_and_other_seeds_others() {
    let arrivals = |seed| {
        let mut world = TurmoilWorld::new(Settings { seed, latency: Duration::from_millis(5), ..Settings::default() });
        let net = world.net();
        world.host("server", move || {
            let net = net.clone();
            async move {
                let (mut stream, _) = net.listen(1).await?.accept().await?;
                for _ in 0..50 {
                    stream.write_all(b"x").await?;
                    sleep(Duration::from_millis(10)).await;
                }
                Ok(())
            }
        });
        let (net, log) = (world.net(), Rc::new(RefCell::new(Vec::new())));
        let times = Rc::clone(&log);
        world.client("client", async move {
            let mut stream = net.connect("server", 1).await?;
            for _ in 0..50 {
                stream.read_u8().await?;
                times.borrow_mut().push(turmoil::elapsed());
            }
            Ok(())
        });
        world.run().unwrap();
        log.take()
    };
    assert_eq!(arrivals(1), arrivals(1));
    assert_ne!(arrivals(1), arrivals(2));
}
