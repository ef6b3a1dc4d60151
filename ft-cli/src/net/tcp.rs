//! Connecting to every address of a host, and listening so that a restart finds its port free.

use std::fmt::Write as _;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::Endpoint;
use crate::limits::{ATTEMPT_DELAY, BACKLOG};

/// Connects to the first address of `endpoint` that answers, within `limit` in all, name resolution included.
///
/// Addresses are tried in the order of the system's resolver; the next one begins when one has failed or has not answered
/// for [`ATTEMPT_DELAY`], so that a dead IPv6 path costs a quarter of a second (RFC 8305).
///
/// # Errors
/// The kind of the last failure; the text names every address and what it answered.
///
/// # Cancel safety
/// Dropping the future closes what is half open.
pub async fn connect(endpoint: &Endpoint, limit: Duration) -> io::Result<TcpStream> {
    let end = Instant::now() + limit;
    let resolve = lookup_host((endpoint.host.as_str(), endpoint.port));
    let addresses: Vec<SocketAddr> = match timeout_at(end, resolve).await {
        Err(_) => return Err(late("finding the address", limit)),
        Ok(Err(e)) => return Err(io::Error::new(e.kind(), format!("cannot find the address: {e}"))),
        Ok(Ok(found)) => found.collect(),
    };
    match timeout_at(end, race(&addresses)).await {
        Ok(result) => result,
        Err(_) => Err(late("connecting", limit)),
    }
}

/// The same for one address, which is known.
///
/// # Errors
/// As [`connect`].
///
/// # Cancel safety
/// As [`connect`].
pub async fn connect_at(address: SocketAddr, limit: Duration) -> io::Result<TcpStream> {
    timeout(limit, race(&[address])).await.unwrap_or_else(|_| Err(late("connecting", limit)))
}

fn late(what: &str, limit: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("{what} took longer than {} s", limit.as_secs_f32()))
}

async fn race(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut waiting = addresses.iter().copied();
    let mut trying = JoinSet::new();
    let mut failures: Vec<(SocketAddr, io::Error)> = Vec::new();
    loop {
        let started = waiting.next();
        if let Some(address) = started {
            trying.spawn(async move { (address, TcpStream::connect(address).await) });
        }
        tokio::select! {
            done = trying.join_next() => match done {
                Some(Ok((_, Ok(stream)))) => {
                    // Frames are written whole; waiting to fill a segment only adds a round trip (`nagle-delayed-ack`).
                    stream.set_nodelay(true)?;
                    return Ok(stream);
                }
                Some(Ok((address, Err(error)))) => failures.push((address, error)),
                Some(Err(panic)) => return Err(io::Error::other(panic)),
                None => return Err(all_failed(failures)),
            },
            () = sleep(ATTEMPT_DELAY), if started.is_some() && waiting.len() > 0 => {}
        }
    }
}

fn all_failed(failures: Vec<(SocketAddr, io::Error)>) -> io::Error {
    let Some((_, last)) = failures.last() else {
        return io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    };
    let kind = last.kind();
    let mut text = String::new();
    for (i, (address, error)) in failures.iter().enumerate() {
        let _ = write!(text, "{}{address}: {error}", if i == 0 { "" } else { "; " });
    }
    io::Error::new(kind, text)
}

/// Listens on every address that `endpoint` resolves to.
///
/// `SO_REUSEADDR` is set, so that a restart does not fail because connections of its predecessor linger (`time-wait`). On
/// Windows it would allow a second listener on the same port, and is not needed.
///
/// # Errors
/// The name has no address, or one of them cannot be listened on; the text names it.
pub async fn listen(endpoint: &Endpoint) -> io::Result<Vec<TcpListener>> {
    let addresses = lookup_host((endpoint.host.as_str(), endpoint.port)).await?;
    let listeners: Vec<TcpListener> = addresses.map(listen_on).collect::<io::Result<_>>()?;
    if listeners.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the name has no address"));
    }
    Ok(listeners)
}

/// Takes listeners out of a runtime that ends, for [`attach`].
///
/// # Errors
/// The system's.
pub fn detach(listeners: Vec<TcpListener>) -> io::Result<Vec<std::net::TcpListener>> {
    listeners.into_iter().map(TcpListener::into_std).collect()
}

/// Takes them into the runtime that calls.
///
/// # Errors
/// The system's.
///
/// # Panics
/// Outside a runtime.
pub fn attach(listeners: Vec<std::net::TcpListener>) -> io::Result<Vec<TcpListener>> {
    listeners.into_iter().map(TcpListener::from_std).collect()
}

fn listen_on(address: SocketAddr) -> io::Result<TcpListener> {
    let named = |e: io::Error| io::Error::new(e.kind(), format!("{address}: {e}"));
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }
    .map_err(named)?;
    if cfg!(not(windows)) {
        socket.set_reuseaddr(true).map_err(named)?;
    }
    socket.bind(address).map_err(named)?;
    socket.listen(BACKLOG).map_err(named)
}

/// The next connection of any listener. Each time another listener is asked first, so that a busy one starves none.
///
/// # Errors
/// No more descriptors, or a connection that was gone before it was accepted: neither is a reason to stop listening, but
/// trying again at once would only spin.
///
/// # Cancel safety
/// No connection is lost.
pub async fn accept(listeners: &[TcpListener]) -> io::Result<(TcpStream, SocketAddr)> {
    let mut first = 0;
    poll_fn(|cx| {
        first += 1;
        for i in 0..listeners.len() {
            if let Poll::Ready(accepted) = listeners[(first + i) % listeners.len()].poll_accept(cx) {
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(host: &str, port: u16) -> Endpoint {
        Endpoint { host: host.into(), port }
    }

    #[tokio::test]
    async fn connect_reaches_a_listener_by_name_and_on_either_family() {
        for (listen_on, host) in [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("localhost", "localhost")] {
            let listener = listen(&endpoint(listen_on, 0)).await.unwrap().remove(0);
            let port = listener.local_addr().unwrap().port();
            let stream = connect(&endpoint(host, port), Duration::from_secs(5)).await.unwrap();
            assert!(stream.nodelay().unwrap());
            assert!(stream.peer_addr().unwrap().ip().is_loopback());
        }
    }

    #[tokio::test]
    async fn address_that_refuses_is_passed_over_for_the_next() {
        let closed = listen(&endpoint("::1", 0)).await.unwrap().remove(0).local_addr().unwrap();
        let open = listen(&endpoint("127.0.0.1", 0)).await.unwrap().remove(0);
        let open_address = open.local_addr().unwrap();
        let stream = race(&[closed, open_address]).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), open_address);
    }

    #[tokio::test]
    async fn connect_to_a_closed_port_names_the_address_and_the_reason() {
        let listener = listen(&endpoint("127.0.0.1", 0)).await.unwrap().remove(0);
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = connect(&endpoint("127.0.0.1", address.port()), Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(error.to_string().starts_with(&format!("{address}: ")), "{error}");
    }

    #[tokio::test]
    async fn listener_restarts_on_its_port_while_old_connections_linger() {
        let listener = listen(&endpoint("127.0.0.1", 0)).await.unwrap().remove(0);
        let port = listener.local_addr().unwrap().port();
        let client = connect(&endpoint("127.0.0.1", port), Duration::from_secs(5)).await.unwrap();
        let (served, _) = listener.accept().await.unwrap();
        // The server closes first: its side of the connection stays in TIME-WAIT.
        drop((served, listener));
        drop(client);
        listen(&endpoint("127.0.0.1", port)).await.expect("the port is free at once");
    }
}
