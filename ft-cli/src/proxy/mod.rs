//! A TCP proxy that plays a schedule between programs that know nothing of it.
//!
//! It is the relay of the simulator's other worlds ([`ft_sim::relay`]) with the kernel as its gate: before a boundary is
//! passed, `sock_diag` says that the reader's own socket is empty. `diag.rs` asks, `gate.rs` waits, `leg.rs` reads and slows
//! down, `record.rs` keeps what passed. Where the kernel cannot be asked (another system, a peer on another machine) a pause
//! stands for the question, and the recording says so: such a run shows nothing.

#[cfg(target_os = "linux")]
mod diag;
#[cfg(not(target_os = "linux"))]
#[path = "no_diag.rs"]
mod diag;
mod gate;
mod leg;
mod record;

use std::io;
use std::rc::Rc;

use ft_sim::relay::Relay;
use ft_sim::relay::wire::Asker;
use ft_sim::schedule::{Fault, Party, Schedule, Step};
use tokio::net::TcpStream;

use gate::{Asking, End, KernelGate};
use leg::Leg;

pub use diag::{Diag, Measured, Seen};
pub use leg::Pace;
pub use record::{Certainty, Record};

/// How a connection is played.
#[derive(Clone, Default)]
pub struct Conduct {
    /// What happens to the streams.
    pub schedule: Schedule,
    /// What came in two pieces is passed on in two pieces.
    pub preserve: bool,
    /// How slow the path is.
    pub pace: Pace,
    /// Whom to ask about the client's socket, and the server's.
    pub diags: [Option<Rc<Diag>>; 2],
}

impl std::fmt::Debug for Conduct {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conduct").field("schedule", &self.schedule).field("pace", &self.pace).finish_non_exhaustive()
    }
}

/// The schedule as a proxy plays it: a `clip` is played as a `split`, decisions of an executor are left out.
///
/// # Errors
///
/// A step that needs the program's own socket, or a process that the proxy did not start.
pub fn playable(schedule: &Schedule) -> Result<Schedule, String> {
    let mut steps = Vec::new();
    for step in schedule.steps() {
        if step.fault == Fault::Short {
            return Err(format!("{step}: only the writer's own socket can cut a write short"));
        }
        if matches!(step.fault, Fault::Kill(_)) {
            return Err(format!("{step}: the proxy did not start that process"));
        }
        let fault = if step.fault == Fault::Clip { Fault::Split } else { step.fault };
        steps.push(Step { fault, ..*step });
    }
    Schedule::new(steps, Vec::new()).map_err(|e| e.to_string())
}

/// What asks the kernel about the programs at the other ends of these two streams, client and server.
///
/// # Errors
///
/// The kernel cannot be asked, or a stream has no addresses any more.
pub fn asker(legs: [&TcpStream; 2]) -> io::Result<Asker> {
    let diag = Rc::new(Diag::here()?);
    let end = |stream: &TcpStream| -> io::Result<End> {
        let (local, remote) = (stream.peer_addr()?, stream.local_addr()?);
        Ok(End { diag: Some(Rc::clone(&diag)), local, remote, knows_ours: false })
    };
    let mut asking = Asking::new([end(legs[0])?, end(legs[1])?]);
    Ok(Box::new(move |dir, offset, cx| asking.poll_taken(dir, offset, cx).map(|_| ())))
}

/// Relays connection `conn` (from 1) between a client and a server until nothing can pass any more.
///
/// # Errors
///
/// A socket has no addresses any more: its peer has reset it.
///
/// # Cancel safety
///
/// Dropping the future closes both connections.
pub async fn relay(conn: u16, [client, server]: [TcpStream; 2], conduct: &Conduct, record: &Record) -> io::Result<()> {
    let end = |stream: &TcpStream, party: Party, diag: &Option<Rc<Diag>>| -> io::Result<End> {
        // A write is a segment, now: the schedule says where segments end, Nagle's algorithm does not.
        let addresses = stream.set_nodelay(true).and_then(|()| Ok((stream.peer_addr()?, stream.local_addr()?)));
        let (local, remote) = addresses.map_err(|e| {
            io::Error::new(e.kind(), format!("the {party} was gone before anything was passed on: {e}"))
        })?;
        // A socket that the kernel does not know is on another machine, or behind something that translates addresses.
        let knows = |diag: &Rc<Diag>, at, peer| diag.find(at, peer).is_ok_and(|seen| seen.is_some());
        let diag = diag.as_ref().filter(|diag| knows(diag, local, remote)).cloned();
        let knows_ours = diag.as_ref().is_some_and(|diag| knows(diag, remote, local));
        Ok(End { diag, local, remote, knows_ours })
    };
    let ends = [end(&client, Party::Client, &conduct.diags[0])?, end(&server, Party::Server, &conduct.diags[1])?];
    record.open(conn);
    let gate = KernelGate::new(ends, record.clone());
    let relay = Relay::new(conn, &conduct.schedule, gate);
    let relay = if conduct.preserve { relay.preserving() } else { relay };
    let leg = |stream, party| Leg::new(stream, conn, party, record.clone(), conduct.pace);
    relay.run(leg(client, Party::Client), leg(server, Party::Server)).await;
    Ok(())
}
