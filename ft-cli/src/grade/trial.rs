//! One run: a graded program, our peer, and the proxy with its schedule between them.

mod pair;
mod send;
mod serve;

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{sleep, timeout};

use super::clamp::Clamp;
use super::facts::Facts;
use super::plan::Plan;
use super::script::{self, Heard};
use super::stage::{NoStage, Stage};
use super::verdict::Role;
use crate::limits::{GRADE_LOOK, GRADE_RUN, GRADE_SAID, GRADE_STUCK};
use crate::proxy::{self, Certainty, Conduct, Diag, Record};
use pair::pair;
use send::send;
use serve::serve;

/// The run under way: our peer's part and the relay's.
struct Session {
    clamp: Option<Clamp>,
    script: JoinHandle<Heard>,
    relay: JoinHandle<()>,
    record: Record,
}

impl Session {
    /// Both have ended.
    fn is_over(&self) -> bool {
        self.script.is_finished() && self.relay.is_finished()
    }

    /// Waits until both have ended, the program has, or nothing has moved for so long. False in the last case.
    async fn run(&self, patience: Duration, mut has_ended: impl FnMut() -> bool) -> bool {
        let begun = Instant::now();
        while !self.is_over() && !has_ended() {
            if self.record.silence() > patience || begun.elapsed() > GRADE_RUN {
                return false;
            }
            sleep(GRADE_LOOK).await;
        }
        true
    }

    /// How surely the schedule was kept.
    fn certainty(&self) -> Certainty {
        let is_clamped = self.clamp.as_ref().is_none_or(Clamp::is_exact);
        self.record.certainty().max(if is_clamped { Certainty::Exact } else { Certainty::Missed })
    }

    /// Ends what is left, and says what was heard.
    async fn end(self) -> Heard {
        self.relay.abort();
        // Its connection is gone: what it waits for ends.
        match timeout(GRADE_STUCK, self.script).await {
            Ok(Ok(heard)) => heard,
            Ok(Err(_)) | Err(_) => Heard::default(),
        }
    }
}

fn here() -> Option<Rc<Diag>> {
    Diag::here().ok().map(Rc::new)
}

impl Facts {
    /// What a program shows of itself when a run is over.
    fn look_at(&mut self, stage: &Stage, plan: &Plan) -> Result<(), NoStage> {
        let ended = stage.ended()?;
        self.ended = ended.map(|ended| ended.status);
        self.breach = ended.and_then(|ended| ended.breach);
        self.strays = stage.strays(plan);
        self.notes = stage.notes(ended);
        self.said = tail(stage.said());
        Ok(())
    }
}

fn unstarted(stage: &Stage, why: String) -> Facts {
    let ended = stage.ended().ok().flatten();
    let (breach, notes) = (ended.and_then(|ended| ended.breach), stage.notes(ended));
    Facts { unstarted: Some(why), breach, notes, said: tail(stage.said()), ..Facts::default() }
}

/// The two ends of a connection on our own loopback: who connected, who accepted.
async fn connected() -> std::io::Result<[TcpStream; 2]> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let near = TcpStream::connect(listener.local_addr()?).await?;
    Ok([near, listener.accept().await?.0])
}

/// Begins a run between these two; `ours` is the stream of our own peer, if one of them is.
fn session(
    legs: [TcpStream; 2],
    ours: Option<TcpStream>,
    plan: &Plan,
    diags: [Option<Rc<Diag>>; 2],
    record: Record,
    clamp: Option<Clamp>,
) -> Session {
    let conduct = Conduct { schedule: plan.schedule.clone(), preserve: plan.preserves(), diags, ..Conduct::default() };
    let (kept, acts) = (record.clone(), plan.script.clone());
    let relay = spawn_local(async move {
        // A program that is gone before it begins shows in everything else.
        let _ = proxy::relay(1, legs, &conduct, &kept).await;
    });
    let script = spawn_local(async move {
        let Some(ours) = ours else { return Heard::default() };
        let _ = ours.set_nodelay(true);
        script::play(ours, &acts).await
    });
    Session { clamp, script, relay, record }
}

fn tail(mut said: Vec<u8>) -> Vec<u8> {
    let from = said.len().saturating_sub(GRADE_SAID);
    said.drain(..from);
    said
}

/// The programs that are graded, each in its place.
pub(super) struct Cast {
    pub(super) server: Option<Stage>,
    pub(super) client: Option<Stage>,
}

impl Cast {
    /// Runs a plan; `control` is the plain transfer, for the next client.
    pub(super) async fn run(&mut self, role: Role, plan: &Plan, control: &Plan) -> Result<Facts, NoStage> {
        match (role, &mut self.server, &mut self.client) {
            (Role::Server, Some(server), _) => serve(server, plan, control).await,
            (Role::Client, _, Some(client)) => send(client, plan).await,
            (Role::Pair, Some(server), Some(client)) => pair(server, client, plan, control).await,
            (Role::Server | Role::Client | Role::Pair, ..) => Err(NoStage("a program is missing".into())),
        }
    }
}
