//! A client's other connections (PROTOCOL §7.8): made when the server has given tokens for them and they are wanted.
//!
//! ```text
//!   session --INVITE--> Ear --> task: wait until wanted, dial, JOIN --lane--> the session's bundle
//! ```
//!
//! Nothing here can fail a transfer: what cannot join is missed by nobody.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ft_core::event::{Direction, Event};
use ft_core::frame::Frame;
use ft_core::join::{Invite, Join, Lane, Token, join};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use super::client::{self, Stream};
use crate::args::{Connection, Streams, Transfer};
use crate::carry::Lanes;
use crate::limits::PATH_LOOK;
use crate::net::{Endpoint, OnTcp as _, connect_at};
use crate::trust::{self, Conn};

/// Hears what the server says about joining; with it goes whoever acts on it.
pub(super) struct Ear(Option<(UnboundedSender<Invite>, JoinHandle<()>)>);

impl Ear {
    /// To be told every event of the session.
    pub(super) fn hear(&self, event: &Event) {
        if let Event::Frame(Direction::Received, Frame::Invite(invite)) = event
            && let Some((task, _)) = &self.0
        {
            let _ = task.send(invite.clone());
        }
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        if let Some((_, task)) = &self.0 {
            task.abort();
        }
    }
}

/// Lets other connections join `stream`'s session, as the options say. `sends`: its content goes from here to there.
pub(super) fn listen(stream: &mut Stream, endpoint: &Endpoint, transfer: &Transfer, sends: bool) -> Ear {
    let peer = stream.get_ref().socket().peer_addr();
    let (Ok(peer), true) = (peer, client::joins(transfer)) else { return Ear(None) };
    let (lanes, arrivals) = Lanes::new();
    stream.get_mut().join_by(arrivals);
    let (hears, invites) = unbounded_channel();
    let joiner = Joiner {
        peer,
        endpoint: endpoint.clone(),
        connection: transfer.connection.clone(),
        streams: transfer.streams,
        roomy: sends.then(|| stream.roomy()),
        lanes,
    };
    Ear(Some((hears, tokio::spawn(joiner.run(invites)))))
}

struct Joiner {
    /// Where the first connection goes to: a name may have several addresses, and each of them another server.
    peer: SocketAddr,
    endpoint: Endpoint,
    connection: Connection,
    streams: Streams,
    /// Whether the path has room, where it is for us to know.
    roomy: Option<Arc<AtomicBool>>,
    lanes: UnboundedSender<Lane<Conn>>,
}

impl Joiner {
    async fn run(self, mut invites: UnboundedReceiver<Invite>) {
        let mut tokens = Vec::new();
        while let Some(invite) = invites.recv().await {
            tokens.extend(invite.tokens);
            tokens.truncate(usize::from(self.streams.most() - 1));
            let wanted = match (self.streams, &self.roomy) {
                (Streams::Number(_), _) => true,
                (Streams::Auto, None) => invite.is_urgent,
                (Streams::Auto, Some(roomy)) => {
                    while !roomy.load(Ordering::Relaxed) {
                        sleep(PATH_LOOK).await;
                    }
                    true
                }
            };
            if wanted && !tokens.is_empty() {
                return self.join(tokens).await;
            }
        }
    }

    /// All at once: the first reaches everything that is said before the last is there.
    async fn join(self, tokens: Vec<Token>) {
        let mut dials = JoinSet::new();
        for token in tokens {
            let (peer, endpoint, connection) = (self.peer, self.endpoint.clone(), self.connection.clone());
            dials.spawn(async move { (token, dial(peer, &endpoint, &connection).await) });
        }
        let mut dialled = Vec::new();
        for (token, conn) in dials.join_all().await {
            match conn {
                Ok(conn) => dialled.push((token, conn)),
                Err(error) => tracing::debug!(error, "another connection could not be made"),
            }
        }
        // Both sides wait for so many.
        let of = u8::try_from(dialled.len()).unwrap_or(u8::MAX);
        let limit = self.connection.connect_timeout;
        let mut joins = JoinSet::new();
        for (token, conn) in dialled {
            joins.spawn(async move { timeout(limit, join(conn, Join { token, of })).await });
        }
        for joined in joins.join_all().await {
            match joined {
                Ok(Ok(lane)) => drop(self.lanes.send(lane)),
                Ok(Err(error)) => tracing::debug!(%error, "another connection could not join"),
                Err(_) => tracing::debug!("another connection got no answer"),
            }
        }
    }
}

async fn dial(peer: SocketAddr, endpoint: &Endpoint, connection: &Connection) -> Result<Conn, String> {
    let limit = connection.connect_timeout;
    let stream = connect_at(peer, limit).await.map_err(|e| e.to_string())?;
    trust::secure(stream, endpoint, &connection.trust, limit).await
}
