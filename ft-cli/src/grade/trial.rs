//! One run: a graded program, our peer, and the proxy with its schedule between them.

use std::rc::Rc;
use std::time::{Duration, Instant};

use ft_sim::schedule::{Direction, Party};
use ft_sim::trace::{Event, What};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{sleep, timeout};

use super::facts::{Facts, Stored};
use super::plan::{Plan, Special, Wants};
use super::script::{self, Heard};
use super::stage::{NoStage, Stage};
use super::verdict::Role;
use crate::jail::Signal;
use crate::limits::{
    GRADE_AFTER, GRADE_LOOK, GRADE_PATIENCE, GRADE_PULSE, GRADE_RUN, GRADE_SAID, GRADE_START, GRADE_STUCK,
};
use crate::proxy::{self, Conduct, Diag, Record};

/// The run under way: our peer's part and the relay's.
struct Session {
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

/// Runs a plan against a server. `control` is the plain transfer, for the next client.
pub(super) async fn serve(stage: &mut Stage, plan: &Plan, control: &Plan) -> Result<Facts, NoStage> {
    let input = &plan.input;
    let mut files: Vec<(&str, &[u8])> = Vec::new();
    if input.down && !input.name.contains(['/', '\n']) {
        files.push((&input.name, &input.content));
    } else if let Some(old) = &input.old {
        files.push((&input.stored, old));
    }
    stage.prepare(&files)?;
    stage.ensure_up().await?;
    if plan.special == Special::Restart {
        return restart(stage).await;
    }
    let mut facts = Facts::default();
    let session = match serving(stage, plan).await {
        Ok(session) => session,
        Err(why) => {
            // It listens and does not accept, or has just gone.
            stage.stop();
            facts.next = Some(Err(why));
            return Ok(facts);
        }
    };
    if plan.special == Special::Meanwhile {
        sleep(Duration::from_millis(100)).await;
        facts.next = Some(next_client(stage, control, GRADE_PATIENCE).await);
        facts.heard = session.end().await;
    } else {
        let moved = session.run(GRADE_STUCK, || matches!(stage.ended(), Ok(Some(_)))).await;
        facts.stuck = !moved;
        facts.certainty = session.record.certainty();
        facts.events = session.record.events();
        if moved {
            settle(stage, plan, &session).await;
        }
        facts.heard = session.end().await;
        if matches!(plan.wants, Wants::Untouched | Wants::Survived | Wants::NextServed) {
            facts.next = Some(next_client(stage, control, GRADE_STUCK).await);
        }
    }
    facts.reset = was_reset(&facts.events, Party::Client);
    facts.stored = stage.stored(plan);
    let ended = stage.ended()?;
    facts.ended = ended.map(|ended| ended.status);
    facts.breach = ended.and_then(|ended| ended.breach);
    facts.strays = stage.strays();
    facts.said = tail(stage.said());
    let is_clean = ended.is_none() && !facts.stuck && facts.next.as_ref().is_none_or(Result::is_ok);
    if !is_clean {
        stage.stop();
    }
    Ok(facts)
}

/// Gives a server that has answered the time to finish its file.
async fn settle(stage: &Stage, plan: &Plan, session: &Session) {
    let begun = Instant::now();
    let wants_file = matches!(plan.wants, Wants::Delivered | Wants::Honest) && !plan.input.down;
    while begun.elapsed() < GRADE_AFTER {
        let is_done = if wants_file { stage.stored(plan) == Stored::Whole } else { session.is_over() };
        if is_done || matches!(stage.ended(), Ok(Some(_))) {
            return;
        }
        sleep(GRADE_LOOK).await;
    }
}

/// Connects our client to the server, through a relay.
async fn serving(stage: &Stage, plan: &Plan) -> Result<Session, String> {
    let server = stage.connect().await?;
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(|e| e.to_string())?;
    let at = listener.local_addr().map_err(|e| e.to_string())?;
    let near = TcpStream::connect(at).await.map_err(|e| e.to_string())?;
    let (client, _) = listener.accept().await.map_err(|e| e.to_string())?;
    let record = Record::default();
    if let Special::KillAt(offset) = plan.special {
        let running = Rc::clone(&stage.running);
        record.watch(Direction::S2c, offset, move || {
            if let Some(running) = running.borrow().as_ref() {
                let _ = running.signal(Signal::Kill);
            }
        });
    }
    let diags = [here(), Some(Rc::clone(&stage.diag))];
    Ok(session([client, server], near, plan, diags, record))
}

fn session(
    legs: [TcpStream; 2],
    ours: TcpStream,
    plan: &Plan,
    diags: [Option<Rc<Diag>>; 2],
    record: Record,
) -> Session {
    let conduct =
        Conduct { schedule: plan.schedule.clone(), preserve: plan.preserves(), diags, ..Conduct::default() };
    let (kept, acts) = (record.clone(), plan.script.clone());
    let relay = spawn_local(async move {
        // A program that is gone before it begins shows in everything else.
        let _ = proxy::relay(1, legs, &conduct, &kept).await;
    });
    let script = spawn_local(async move {
        let _ = ours.set_nodelay(true);
        script::play(ours, &acts).await
    });
    Session { script, relay, record }
}

/// Another client comes, with a file of another name.
async fn next_client(stage: &Stage, control: &Plan, patience: Duration) -> Result<(), String> {
    if let Ok(Some(ended)) = stage.ended() {
        return Err(format!("the server died: {}", super::facts::shown(ended.status)));
    }
    let session = serving(stage, control).await?;
    let moved = session.run(patience, || matches!(stage.ended(), Ok(Some(_)))).await;
    if moved {
        settle(stage, control, &session).await;
    }
    let heard = session.end().await;
    if let Ok(Some(ended)) = stage.ended() {
        return Err(format!("the server died: {}", super::facts::shown(ended.status)));
    }
    let is_there = if control.input.down {
        heard.kept == control.input.content
    } else {
        stage.stored(control) == Stored::Whole
    };
    match (is_there, heard.broken) {
        (true, _) => Ok(()),
        (false, _) if !moved => Err("it got no answer".into()),
        (false, Some(broken)) => Err(broken.to_string()),
        (false, None) => Err("its file is not there".into()),
    }
}

/// Kills the server while a connection is open, so that its side closes first, and starts it again.
async fn restart(stage: &mut Stage) -> Result<Facts, NoStage> {
    let mut facts = Facts::default();
    let open = stage.connect().await.map_err(NoStage)?;
    // Until the connection has been accepted it is not the program's.
    sleep(Duration::from_millis(30)).await;
    stage.stop();
    let mut byte = [0];
    let _ = timeout(GRADE_STUCK, async {
        open.readable().await?;
        open.try_read(&mut byte)
    })
    .await;
    drop(open);
    facts.restarted = Some(stage.start_server().await);
    facts.said = tail(stage.said());
    Ok(facts)
}

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
    let listener = stage.start_client(&input.name)?;
    let mut facts = Facts::default();
    let begun = Instant::now();
    let accepted = loop {
        if let Ok(accepted) = timeout(GRADE_LOOK, listener.accept()).await {
            break Some(accepted?.0);
        }
        if stage.ended()?.is_some() {
            break None;
        }
        if begun.elapsed() > GRADE_START {
            return Err(NoStage(format!(
                "it does not connect to port {} within {} s (give the port it uses with --port)",
                stage.endpoint().port(),
                GRADE_START.as_secs()
            )));
        }
    };
    if let Some(client) = accepted {
        let session = sending(stage, client, plan).await?;
        let patience = if plan.wants == Wants::Admitted { GRADE_PATIENCE } else { GRADE_STUCK };
        let pulse = (plan.special == Special::Interrupted).then(|| pulse(stage));
        let moved = session.run(patience, || matches!(stage.ended(), Ok(Some(_)))).await;
        drop(pulse);
        facts.stuck = !moved || !ends(stage, patience).await?;
        // What it sent last may still be on its way to our side.
        let _ = timeout(GRADE_AFTER, async {
            while !session.is_over() && session.record.silence() < GRADE_STUCK / 4 {
                sleep(GRADE_LOOK).await;
            }
        })
        .await;
        facts.certainty = session.record.certainty();
        facts.events = session.record.events();
        facts.heard = session.end().await;
    } else {
        facts.heard.broken = Some(script::Broken::Failed("it did not connect".into()));
    }
    facts.unheard = was_reset(&facts.events, Party::Server);
    facts.gap = gap(&facts.events);
    let is_stored = if input.down {
        stage.stored(plan)
    } else {
        let kept = &facts.heard.kept;
        let nothing = kept.is_empty() && facts.heard.broken.is_some();
        Stored::of((!nothing).then_some(kept.as_slice()), plan)
    };
    facts.stored = if facts.heard.broken.is_some() && is_stored == Stored::Whole && !input.down {
        // The content came, and what had to come with it did not.
        if input.content.is_empty() { Stored::Absent } else { Stored::Whole }
    } else {
        is_stored
    };
    let ended = stage.ended()?;
    facts.ended = ended.map(|ended| ended.status);
    facts.breach = ended.and_then(|ended| ended.breach);
    facts.strays = stage.strays();
    facts.said = tail(stage.said());
    stage.stop();
    Ok(facts)
}

/// Connects a client that has come to our server, through a relay.
async fn sending(stage: &Stage, client: TcpStream, plan: &Plan) -> Result<Session, NoStage> {
    if plan.special == Special::LateAcks {
        acknowledge_late(&client)?;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let server = TcpStream::connect(listener.local_addr()?).await?;
    let (ours, _) = listener.accept().await?;
    let diags = [Some(Rc::clone(&stage.diag)), here()];
    Ok(session([client, server], ours, plan, diags, Record::default()))
}

/// Linux acknowledges at once what comes first on a connection; a path of any age does not.
#[cfg(target_os = "linux")]
fn acknowledge_late(stream: &TcpStream) -> std::io::Result<()> {
    Ok(rustix::net::sockopt::set_tcp_quickack(stream, false)?)
}

#[cfg(not(target_os = "linux"))]
fn acknowledge_late(_: &TcpStream) -> std::io::Result<()> {
    Ok(())
}

/// Whether the client ends by itself within this time.
async fn ends(stage: &Stage, patience: Duration) -> Result<bool, NoStage> {
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
fn pulse(stage: &Stage) -> Pulse {
    let running = Rc::clone(&stage.running);
    Pulse(spawn_local(async move {
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
    }))
}

struct Pulse(JoinHandle<()>);

impl Drop for Pulse {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The relay had a reset for this party: the other had closed, or reset.
fn was_reset(events: &[Event], to: Party) -> bool {
    let by_us = events.iter().any(|event| matches!(&event.what, What::Fault(step) if step.fault == ft_sim::Fault::Rst));
    !by_us && events.iter().any(|event| matches!(&event.what, What::Rst { to: party, .. } if *party == to))
}

/// Time between the first two pieces that the client sent before it was answered.
fn gap(events: &[Event]) -> Option<Duration> {
    let unanswered = events.iter().take_while(|event| !matches!(event.what, What::Write { dir: Direction::S2c, .. }));
    let mut sent = unanswered.filter(|event| matches!(event.what, What::Write { dir: Direction::C2s, .. }));
    let (first, second) = (sent.next()?, sent.next()?);
    Some(Duration::from_nanos(second.at - first.at))
}

fn tail(mut said: Vec<u8>) -> Vec<u8> {
    let from = said.len().saturating_sub(GRADE_SAID);
    said.drain(..from);
    said
}

/// Which of the two a role is run by.
pub(super) async fn run(stage: &mut Stage, role: Role, plan: &Plan, control: &Plan) -> Result<Facts, NoStage> {
    match role {
        Role::Server | Role::Pair => serve(stage, plan, control).await,
        Role::Client => send(stage, plan).await,
    }
}
