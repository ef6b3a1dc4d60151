//! One session over several connections (PROTOCOL §7.8), each of them under the schedule's faults.
//!
//! ```text
//!   connection 1   the session, which begins when the others have joined or are lost
//!   connections 2, 3   preamble and JOIN, the same back, then segments
//! ```

use std::cell::Cell;
use std::future::poll_fn;
use std::rc::Rc;

use ft_core::bundle::Bundle;
use ft_core::carry::Transport;
use ft_core::error::SessionError;
use ft_core::event::Report;
use ft_core::join::{Join, Lane, TOKEN_LEN, Token, join};
use ft_core::memory::Memory;
use ft_core::session::{self, Call};
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Attempt, Game, Side, done};
use crate::cases::deadline::Deadline;
use crate::cases::landing::Target;
use crate::cases::queue::Queue;
use crate::ground::{Ground, Meeting, Time};
use crate::world::{CLIENT, SERVER};

/// Connections that join.
const LANES: u8 = 2;

/// Bytes of a segment: a session of one small file has a dozen.
const SEGMENT: usize = 40;

/// What such a session runs over. Each connection has a deadline of its own: the cases are over long before one that is only
/// idle would be given up.
struct Joined<S> {
    bundle: Bundle<S, Queue<S>>,
    /// Content of this attempt went over all of them.
    is_spread: Rc<Cell<bool>>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Joined<S> {
    fn new(stream: S, queue: &Queue<S>, is_spread: &Rc<Cell<bool>>) -> Self {
        let mut bundle = Bundle::single(stream);
        bundle.cut_into(SEGMENT);
        bundle.join_by(queue.clone());
        Self { bundle, is_spread: Rc::clone(is_spread) }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transport for Joined<S> {
    type Stream = Bundle<S, Queue<S>>;

    fn stream(&mut self) -> &mut Self::Stream {
        &mut self.bundle
    }

    fn joined(&mut self) -> u8 {
        self.bundle.ready()
    }

    fn spread(&mut self) {
        self.is_spread.set(true);
        self.bundle.spread();
    }

    fn gather(&mut self, lanes: u8, ahead: Vec<u8>) {
        self.bundle.gather(lanes, ahead);
    }
}

/// How a party of any of the connections ended.
type End = Option<Result<Report, SessionError>>;

impl Game {
    /// One session and the connections that join it; every other connection is one of these.
    pub(super) fn attempt_joined<G: Ground>(&self, ground: &mut G, from: &Memory, to: &Target) -> Attempt {
        let [client_log, server_log] = &self.logs;
        let (client, server) = (self.side(ground, client_log), self.side(ground, server_log));
        let (here, there) = (Queue::new(LANES), Queue::new(LANES));
        let mut meetings: Vec<Meeting<G::Stream, End>> = Vec::new();
        let lane = |side: &Side<G::Time>| (side.time.clone(), side.idle);
        let lanes: Vec<_> = (1..=LANES).map(|n| (Token([n; TOKEN_LEN]), lane(&client), lane(&server))).collect();
        let (ours, theirs) = ((from.clone(), to.clone()), (from.clone(), to.clone()));
        let (near, far) = (here.clone(), there.clone());
        let is_spread = Rc::new(Cell::new(false));
        let (spread_here, spread_there) = (Rc::clone(&is_spread), Rc::clone(&is_spread));
        meetings.push(Meeting {
            hosts: [CLIENT, SERVER],
            client: Box::new(|stream| {
                Box::pin(async move {
                    let transport = Joined::new(client.stream(stream), &near, &spread_here);
                    poll_fn(|cx| near.poll_decided(cx)).await;
                    Some(Ok(client.client(transport, ours.0, ours.1).await))
                })
            }),
            server: Box::new(|stream| {
                Box::pin(async move {
                    let transport = Joined::new(server.stream(stream), &far, &spread_there);
                    Some(server.server(transport, theirs.0, theirs.1).await)
                })
            }),
        });
        for (token, client, server) in lanes {
            let (near, far) = (here.clone(), there.clone());
            meetings.push(Meeting {
                hosts: [CLIENT, SERVER],
                client: Box::new(move |stream| {
                    Box::pin(async move {
                        near.decide(joins(Deadline::new(stream, client.0, Some(client.1)), token).await);
                        None
                    })
                }),
                server: Box::new(move |stream| {
                    Box::pin(async move {
                        far.decide(lets_in(Deadline::new(stream, server.0, Some(server.1)), token).await);
                        None
                    })
                }),
            });
        }
        let mut ends = ground.meet(meetings).into_iter();
        ground.world().sometimes("spread", is_spread.get());
        let mut party = || ends.next().and_then(done).flatten();
        let (client, server) = (party(), party());
        self.attempted(client.and_then(Result::ok), server)
    }
}

async fn joins<S: AsyncRead + AsyncWrite + Unpin, T: Time>(
    stream: Deadline<S, T>,
    token: Token,
) -> Option<Lane<Deadline<S, T>>> {
    join(stream, Join { token, of: LANES }).await.ok()
}

async fn lets_in<S: AsyncRead + AsyncWrite + Unpin, T: Time>(
    stream: Deadline<S, T>,
    token: Token,
) -> Option<Lane<Deadline<S, T>>> {
    match session::answer(stream, &[]).await {
        Ok(Call::Join(joining)) if joining.join().token == token => joining.welcome().await.ok(),
        Ok(_) | Err(_) => None,
    }
}
