//! Our server against a graded client, and what may befall a client while it sends.

use std::rc::Rc;
use std::time::{Duration, Instant};

use ft_sim::schedule::{Direction, Party};
use ft_sim::trace::{Event, What};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{sleep, timeout};

use super::super::facts::{Facts, Stored};
use super::super::plan::{Plan, Special, Wants};
use super::super::script::Broken;
use super::super::stage::{NoStage, Shared, Stage};
use super::{Session, connected, here, session, unstarted};
use crate::jail::Signal;
use crate::limits::{GRADE_AFTER, GRADE_LOOK, GRADE_PATIENCE, GRADE_PULSE, GRADE_START, GRADE_STUCK};
use crate::proxy::Record;

/// Runs a plan against a client.
pub(super) async fn send(stage: &mut Stage, plan: &Plan) -> Result<Facts, NoStage> {
    let input = &plan.input;
    let mut files: Vec<(&str, &[u8])> = Vec::new();
    if !input.down {
        files.push((&input.name, &input.content));
    } else if let Some(old) = &input.old {
        files.push((&input.stored, old));
    }
    stage.prepare(&files)?;
    let listener = stage.listen().await?;
    if plan.special == Special::LateAcks {
        // What is set on a listener holds for its connections from their first byte.
        acknowledge_late(&listener)?;
    }
    stage.start_client(&input.name)?;
    let mut facts = Facts::default();
    let accepted = match arrival(stage, &listener).await? {
        Arrival::Late(why) => {
            let facts = unstarted(stage, why);
            stage.stop();
            return Ok(facts);
        }
        Arrival::Came(client) => Some(client),
        Arrival::Ended => None,
    };
    let accepted_any = accepted.is_some();
    if let Some(client) = accepted {
        let session = sending(stage, client, plan).await?;
        let is_slow = matches!(plan.wants, Wants::Admitted | Wants::Ends) || plan.special == Special::Interrupted;
        let patience = if is_slow { GRADE_PATIENCE } else { GRADE_STUCK };
        let pulse = (plan.special == Special::Interrupted).then(|| pulse(stage));
        let moved = session.run(patience, || matches!(stage.ended(), Ok(Some(_)))).await;
        drop(pulse);
        facts.stuck = !moved || !ends(stage, patience).await?;
        // What it sent last may still be on its way to our side.
        let _ = timeout(GRADE_AFTER, async {
            while !session.is_over() && session.record.silence() < GRADE_STUCK / 2 {
                sleep(GRADE_LOOK).await;
            }
        })
        .await;
        facts.certainty = session.certainty();
        facts.events = session.record.events();
        facts.unheard = session.record.was_reset(Party::Server);
        facts.heard = session.end().await;
    } else {
        facts.heard.broken = Some(Broken::Failed("it did not connect".into()));
    }
    facts.gap = gap(&facts.events);
    facts.stored = if input.down {
        stage.stored(plan)
    } else {
        // An empty file and no file look alike, unless it was asked for properly.
        let (kept, broken) = (&facts.heard.kept, &facts.heard.broken);
        let came = !kept.is_empty() || matches!(broken, None | Some(Broken::Failed(_))) && accepted_any;
        Stored::of(came.then_some(kept.as_slice()), plan)
    };
    facts.look_at(stage, plan)?;
    stage.stop();
    Ok(facts)
}

/// What came of waiting for a client.
pub(super) enum Arrival {
    /// Its connection.
    Came(TcpStream),
    /// It ended without one.
    Ended,
    /// It has not connected so far: nothing is shown by that, and what there is to say.
    Late(String),
}

/// Waits for the client's connection.
pub(super) async fn arrival(stage: &Stage, listener: &TcpListener) -> Result<Arrival, NoStage> {
    let begun = Instant::now();
    loop {
        if let Ok(accepted) = timeout(GRADE_LOOK, listener.accept()).await {
            return Ok(Arrival::Came(accepted?.0));
        }
        if stage.ended()?.is_some() {
            return Ok(Arrival::Ended);
        }
        if begun.elapsed() > GRADE_START {
            return Ok(Arrival::Late(format!(
                "it does not connect to port {} within {} s (give the port that it uses with --port)",
                stage.port,
                GRADE_START.as_secs()
            )));
        }
    }
}

/// Connects a client that has come to our server, through a relay.
async fn sending(stage: &Stage, client: TcpStream, plan: &Plan) -> Result<Session, NoStage> {
    let [server, ours] = connected().await?;
    let diags = [Some(Rc::clone(&stage.diag)), here()];
    let clamp = stage.clamp(&client, plan.clamps())?;
    Ok(session([client, server], Some(ours), plan, diags, Record::default(), clamp))
}

/// Linux acknowledges at once what comes first on a connection; a path of any age does not.
fn acknowledge_late(listener: &TcpListener) -> std::io::Result<()> {
    Ok(rustix::net::sockopt::set_tcp_quickack(listener, false)?)
}

/// Whether the client ends by itself within this time.
pub(super) async fn ends(stage: &Stage, patience: Duration) -> Result<bool, NoStage> {
    let begun = Instant::now();
    while stage.ended()?.is_none() {
        if begun.elapsed() > patience {
            return Ok(false);
        }
        sleep(GRADE_LOOK).await;
    }
    Ok(true)
}

/// Stops and continues the program until dropped.
pub(super) fn pulse(stage: &Stage) -> Pulse {
    let running = Rc::clone(&stage.running);
    let task = spawn_local(async move {
        let signal = |signal| {
            if let Some(running) = running.borrow().as_ref() {
                let _ = running.signal(signal);
            }
        };
        loop {
            sleep(GRADE_PULSE[0]).await;
            signal(Signal::Stop);
            sleep(GRADE_PULSE[1]).await;
            signal(Signal::Continue);
        }
    });
    Pulse { task, running: Rc::clone(&stage.running) }
}

/// Dropped, it lets the program go on.
pub(super) struct Pulse {
    task: JoinHandle<()>,
    running: Shared,
}

impl Drop for Pulse {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(running) = self.running.borrow().as_ref() {
            // It may have been standing still.
            let _ = running.signal(Signal::Continue);
        }
    }
}

/// Time between the first two pieces that the client sent before it was answered.
fn gap(events: &[Event]) -> Option<Duration> {
    let unanswered = events.iter().take_while(|event| !matches!(event.what, What::Write { dir: Direction::S2c, .. }));
    let mut sent = unanswered.filter(|event| matches!(event.what, What::Write { dir: Direction::C2s, .. }));
    let (first, second) = (sent.next()?, sent.next()?);
    Some(Duration::from_nanos(second.at - first.at))
}
