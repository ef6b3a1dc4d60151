//! Codes that are good, wrong, over, used and tried too often; and somebody in between.

use super::*;
use crate::net::{Endpoint, connect, listen};

const LONG: Duration = Duration::from_secs(600);

fn identity() -> Identity {
    let home = tempfile::tempdir().unwrap();
    Identity::open(Some(&home.path().join("identity"))).unwrap()
}

fn code(text: &str) -> Code {
    Code::typed(text).unwrap()
}

fn local(port: u16) -> Endpoint {
    Endpoint { host: "127.0.0.1".into(), port }
}

/// A receiver that answers every connection; its port, and what each connection came to.
async fn receiver(gate: Arc<Gate>) -> (u16, tokio::sync::mpsc::UnboundedReceiver<String>, Fingerprint) {
    let listener = listen(&local(0)).await.unwrap().remove(0);
    let port = listener.local_addr().unwrap().port();
    let ours = identity();
    let key = ours.fingerprint();
    let reception = Arc::new(Reception::new(&ours, gate).unwrap());
    let (told, heard) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (reception, told) = (Arc::clone(&reception), told.clone());
            tokio::spawn(async move {
                let _ = told.send(match reception.enter(stream).await {
                    Ok(Caller::Paired(key)) => format!("paired {key}"),
                    Ok(Caller::Wrong) => "wrong".into(),
                    Ok(Caller::Session(_)) => "session".into(),
                    Err(text) => text,
                });
            });
        }
    });
    (port, heard, key)
}

async fn attempt(port: u16, ours: &Identity, text: &str) -> Result<Fingerprint, String> {
    let stream = connect(&local(port), LONG).await.unwrap();
    prove(stream, ours, &code(text), LONG).await
}

#[tokio::test]
async fn right_code_tells_each_side_the_others_key() {
    let (port, mut heard, theirs) = receiver(Gate::new(code("7-one-two"), LONG)).await;
    let ours = identity();
    assert_eq!(attempt(port, &ours, "7-ONE two").await, Ok(theirs));
    assert_eq!(heard.recv().await.unwrap(), format!("paired {}", ours.fingerprint()));
}

#[tokio::test]
async fn code_is_burnt_by_three_wrong_tries_and_the_right_one_comes_too_late() {
    let gate = Gate::new(code("7-one-two"), LONG);
    let (port, mut heard, _) = receiver(Arc::clone(&gate)).await;
    let ours = identity();
    let mut texts = Vec::new();
    for text in ["7-one-three", "8-one-two", "7-two-one", "7-one-two"] {
        texts.push(attempt(port, &ours, text).await.unwrap_err());
        assert_eq!(heard.recv().await.unwrap(), "wrong", "{text}");
    }
    assert!(gate.is_burnt());
    assert!(texts.iter().all(|text| *text == texts[0]), "refused alike: {texts:?}");
}

#[tokio::test]
async fn wrong_try_counts_as_one_at_once_though_the_guesser_neither_reads_nor_goes() {
    let gate = Gate::new(code("7-one-two"), LONG);
    let (port, mut heard, _) = receiver(Arc::clone(&gate)).await;
    let ours = identity();
    let mut open = Vec::new();
    for _ in 0..TRIES {
        let stream = connect(&local(port), LONG).await.unwrap();
        let name = rustls::pki_types::ServerName::IpAddress(std::net::IpAddr::from([127, 0, 0, 1]).into());
        let mut unproven = tls::connect(stream, name, &ours, ALPN_CODE, LONG).await.unwrap();
        unproven.stream().write_all(&[7; MESSAGE + PROOF]).await.unwrap();
        unproven.stream().flush().await.unwrap();
        open.push(unproven);
    }
    for _ in 0..TRIES {
        let came = timeout(CODE_EXCHANGE / 2, heard.recv()).await;
        assert_eq!(came.expect("it is told as soon as it is known").unwrap(), "wrong");
    }
    assert!(gate.is_burnt());
}

#[tokio::test]
async fn tries_made_at_once_are_counted_one_by_one() {
    let gate = Gate::new(code("7-one-two"), LONG);
    let (port, ..) = receiver(Arc::clone(&gate)).await;
    let ours = identity();
    let wrong = (0..12).map(|n| {
        let ours = ours.clone();
        tokio::spawn(async move { attempt(port, &ours, &format!("{n}-x-y")).await })
    });
    for attempt in wrong.collect::<Vec<_>>() {
        attempt.await.unwrap().unwrap_err();
    }
    assert!(gate.is_burnt());
    attempt(port, &ours, "7-one-two").await.unwrap_err();
}

#[tokio::test]
async fn used_code_is_refused_as_a_wrong_one_is() {
    let gate = Gate::new(code("7-one-two"), LONG);
    let (port, _heard, _) = receiver(Arc::clone(&gate)).await;
    attempt(port, &identity(), "7-one-two").await.unwrap();
    let again = attempt(port, &identity(), "7-one-two").await.unwrap_err();
    assert!(again.starts_with("the code is not accepted"), "{again}");
}

#[tokio::test]
async fn code_that_is_over_is_refused_and_costs_no_try() {
    let gate = Gate::new(code("7-one-two"), Duration::ZERO);
    let (port, _heard, _) = receiver(Arc::clone(&gate)).await;
    for _ in 0..5 {
        let text = attempt(port, &identity(), "7-one-two").await.unwrap_err();
        assert!(text.starts_with("the code is not accepted"), "{text}");
    }
    assert!(!gate.is_burnt());
}

#[tokio::test]
async fn who_leaves_before_the_proof_has_learnt_nothing_and_spent_nothing() {
    let gate = Gate::new(code("7-one-two"), LONG);
    let (port, mut heard, theirs) = receiver(Arc::clone(&gate)).await;
    for _ in 0..5 {
        let stream = connect(&local(port), LONG).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("x").unwrap();
        let mut unproven = tls::connect(stream, name, &identity(), ALPN_CODE, LONG).await.unwrap();
        let (_, message) = Spake2::<Ed25519Group>::start_a(&Password::new("x"), &Name::new(b""), &Name::new(b""));
        unproven.stream().write_all(&message).await.unwrap();
        unproven.stream().read_exact(&mut [0; MESSAGE]).await.unwrap();
        drop(unproven);
        heard.recv().await.unwrap();
    }
    assert_eq!(attempt(port, &identity(), "7-one-two").await, Ok(theirs));
}

#[tokio::test]
async fn session_is_only_for_the_key_that_knew_the_code() {
    let gate = Gate::new(code("7-one-two"), LONG);
    let (port, mut heard, _) = receiver(Arc::clone(&gate)).await;
    let (ours, other) = (identity(), identity());
    let session = async |identity: &Identity| {
        let stream = connect(&local(port), LONG).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("x").unwrap();
        tls::connect(stream, name, identity, ALPN, LONG).await.map(Unproven::trusted)
    };
    let _early = session(&ours).await;
    assert_eq!(heard.recv().await.unwrap(), "a session of somebody who does not know the code");
    attempt(port, &ours, "7-one-two").await.unwrap();
    heard.recv().await.unwrap();
    let _foreign = session(&other).await;
    assert_eq!(heard.recv().await.unwrap(), "a session of somebody who does not know the code");
    let _mine = session(&ours).await;
    assert_eq!(heard.recv().await.unwrap(), "session");
}

/// Somebody in between, who ends TLS on both sides with a key of his own and passes every byte of the exchange on.
#[tokio::test]
async fn somebody_in_between_who_passes_everything_on_gets_nothing() {
    let gate = Gate::new(code("7-one-two"), LONG);
    let (port, mut heard, _) = receiver(Arc::clone(&gate)).await;
    let listener = listen(&local(0)).await.unwrap().remove(0);
    let between = listener.local_addr().unwrap().port();
    let his = identity();
    let config = tls::server_config(&his, &[ALPN_CODE]).unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut near = tls::accept(stream, config, LONG).await.unwrap();
        let stream = connect(&local(port), LONG).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("x").unwrap();
        let mut far = tls::connect(stream, name, &his, ALPN_CODE, LONG).await.unwrap();
        let _ = tokio::io::copy_bidirectional(near.stream(), far.stream()).await;
    });
    let text = attempt(between, &identity(), "7-one-two").await.unwrap_err();
    assert!(text.starts_with("the code is not accepted"), "{text}");
    assert_eq!(heard.recv().await.unwrap(), "wrong");
}

#[tokio::test]
async fn message_that_is_no_point_of_the_curve_is_a_wrong_code() {
    let gate = Gate::new(code("7-one-two"), LONG);
    let (port, mut heard, _) = receiver(Arc::clone(&gate)).await;
    for bytes in [[0xff; MESSAGE], [0; MESSAGE]] {
        let stream = connect(&local(port), LONG).await.unwrap();
        let name = rustls::pki_types::ServerName::try_from("x").unwrap();
        let mut unproven = tls::connect(stream, name, &identity(), ALPN_CODE, LONG).await.unwrap();
        let stream = unproven.stream();
        stream.write_all(&bytes).await.unwrap();
        stream.read_exact(&mut [0; MESSAGE]).await.unwrap();
        stream.write_all(&[0; PROOF]).await.unwrap();
        stream.read_exact(&mut [0; PROOF]).await.unwrap();
        drop(unproven);
        assert_eq!(heard.recv().await.unwrap(), "wrong");
    }
    assert_eq!(gate.state.lock().unwrap().tries_left, TRIES - 2);
}
