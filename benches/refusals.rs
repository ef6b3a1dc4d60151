//! How long a refusal of a one-time code takes, by reason: the distribution, for whoever wants to see that they are of a kind.
//!
//!     cargo bench -p ft-cli --bench refusals
//!
//! Each refusal is a whole exchange over loopback: TCP, TLS, SPAKE2, the answer. The reasons take turns, so that whatever
//! else the machine does meets all of them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ft_cli::net::{Endpoint, accept, connect, listen};
use ft_cli::trust::{Code, Gate, Identity, Reception, prove};

const ROUNDS: usize = 200;
const LONG: Duration = Duration::from_secs(600);

fn code(text: &str) -> Code {
    Code::typed(text).expect("a code")
}

/// A receiver for as long as the program runs; its port.
async fn receiver(gate: Arc<Gate>, identity: &Identity) -> u16 {
    let listeners = listen(&Endpoint { host: "127.0.0.1".into(), port: 0 }).await.expect("a port");
    let port = listeners[0].local_addr().expect("an address").port();
    let reception = Arc::new(Reception::new(identity, gate).expect("a reception"));
    tokio::spawn(async move {
        while let Ok((stream, _)) = accept(&listeners).await {
            let reception = Arc::clone(&reception);
            tokio::spawn(async move { reception.enter(stream).await.is_ok() });
        }
    });
    port
}

async fn attempt(port: u16, identity: &Identity, text: &str) -> (bool, Duration) {
    let stream = connect(&Endpoint { host: "127.0.0.1".into(), port }, LONG).await.expect("a connection");
    let begin = Instant::now();
    let accepted = prove(stream, identity, &code(text), LONG).await.is_ok();
    (accepted, begin.elapsed())
}

#[tokio::main]
async fn main() {
    let home = tempfile::tempdir().expect("a folder");
    let [ours, theirs] = ["ours", "theirs"].map(|name| Identity::open(Some(&home.path().join(name))).expect("a key"));
    let expired = receiver(Gate::new(code("7-one-two"), Duration::ZERO), &theirs).await;
    let used = receiver(Gate::new(code("7-one-two"), LONG), &theirs).await;
    assert!(attempt(used, &ours, "7-one-two").await.0, "the first one is let in");
    let burnt = receiver(Gate::new(code("7-one-two"), LONG), &theirs).await;
    for _ in 0..3 {
        attempt(burnt, &ours, "7-one-three").await;
    }
    let reasons = ["wrong", "expired", "used before", "fourth try"];
    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..ROUNDS {
        // A gate takes three wrong codes, so each has one of its own.
        let wrong = receiver(Gate::new(code("7-one-two"), LONG), &theirs).await;
        let turns = [(wrong, "7-one-three"), (expired, "7-one-two"), (used, "7-one-two"), (burnt, "7-one-two")];
        for ((port, text), times) in turns.into_iter().zip(&mut times) {
            let (accepted, time) = attempt(port, &ours, text).await;
            assert!(!accepted, "refused");
            times.push(time);
        }
    }
    println!("{ROUNDS} refusals of each kind, µs: 5 %, median, 95 %");
    for (reason, times) in reasons.into_iter().zip(&mut times) {
        times.sort();
        let at = |percent: usize| times[times.len() * percent / 100].as_micros();
        println!("  {reason:12} {:6} {:6} {:6}", at(5), at(50), at(95));
    }
}
