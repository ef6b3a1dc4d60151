//! One run: a graded program, our peer, and the proxy with its schedule between them.

use std::rc::Rc;
use std::time::{Duration, Instant};

use ft_sim::schedule::{Direction, Party};
use ft_sim::trace::{Event, What};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::{sleep, timeout};

use super::clamp::Clamp;
use super::facts::{Facts, Stored};
use super::plan::{Plan, Special, Wants};
use super::script::{self, Broken, Heard};
use super::stage::{NoStage, Shared, Stage};
use super::verdict::Role;
use crate::jail::Signal;
use crate::limits::{
    GRADE_AFTER, GRADE_LOOK, GRADE_PATIENCE, GRADE_PULSE, GRADE_RUN, GRADE_SAID, GRADE_START, GRADE_STUCK,
};
use crate::proxy::{self, Certainty, Conduct, Diag, Record};

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

/// Runs a plan against a server. `control` is the plain transfer, for the next client.
pub(super) async fn serve(stage: &mut Stage, plan: &Plan, control: &Plan) -> Result<Facts, NoStage> {
    let input = &plan.input;
    let mut files: Vec<(&str, &[u8])> = Vec::new();
    if input.down && !input.name.contains(['/', '\n']) {
        files.push((&input.name, &input.content));
    } else if let Some(old) = &input.old {
        files.push((&input.stored, old));
    }
    if control.input.down {
        files.push((&control.input.name, &control.input.content));
    }
    if let Err(why) = stage.make_ready(&files).await? {
        return Ok(unstarted(stage, why));
    }
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
        facts.certainty = session.certainty();
        facts.events = session.record.events();
        if moved {
            settle(stage, plan, &session).await;
        }
        facts.reset |= session.record.was_reset(Party::Client);
        facts.heard = session.end().await;
        if matches!(
            plan.wants,
            Wants::Untouched | Wants::Refused | Wants::Survived | Wants::NextServed | Wants::Unharmed
        ) {
            facts.next = Some(next_client(stage, control, GRADE_STUCK).await);
        }
    }
    facts.stored = stage.stored(plan);
    facts.look_at(stage, plan)?;
    // Only a server that has served somebody since, or this one in full, is known to be as it was.
    let is_served = matches!(facts.next, Some(Ok(()))) || matches!(plan.wants, Wants::Delivered | Wants::NoReset);
    // And one whose reads are clamped stays so until it ends.
    if !is_served || facts.fault(plan, Role::Server).is_some() || !plan.clamps().is_empty() {
        stage.stop();
    }
    Ok(facts)
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

/// The two ends of a connection on our own loopback: who connected, who accepted.
async fn connected() -> std::io::Result<[TcpStream; 2]> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let near = TcpStream::connect(listener.local_addr()?).await?;
    Ok([near, listener.accept().await?.0])
}

/// Connects our client to the server, through a relay.
async fn serving(stage: &Stage, plan: &Plan) -> Result<Session, String> {
    let server = stage.connect().await?;
    let [near, client] = connected().await.map_err(|e| e.to_string())?;
    let record = Record::default();
    if let Special::KillAt(offset) = plan.special {
        let running = Rc::clone(&stage.running);
        record.watch(Direction::S2c, offset, move || {
            if let Some(running) = running.borrow_mut().as_mut() {
                running.kill();
            }
        });
    }
    let diags = [here(), Some(Rc::clone(&stage.diag))];
    let clamp = stage.clamp(&server, plan.clamps()).map_err(|NoStage(why)| why)?;
    Ok(session([client, server], Some(near), plan, diags, record, clamp))
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

/// Another client comes, with a file of another name.
async fn next_client(stage: &Stage, control: &Plan, patience: Duration) -> Result<(), String> {
    let died = || match stage.ended() {
        Ok(Some(ended)) => Some(format!("the server died: {}", super::facts::shown(ended.status))),
        Ok(None) | Err(_) => None,
    };
    let session = match serving(stage, control).await {
        Ok(session) => session,
        Err(why) => {
            // Its kernel refuses before its end is heard of.
            let begun = Instant::now();
            while died().is_none() && begun.elapsed() < GRADE_STUCK {
                sleep(GRADE_LOOK).await;
            }
            return Err(died().unwrap_or(why));
        }
    };
    let run = session.run(patience, || matches!(stage.ended(), Ok(Some(_))));
    // Where texts have no end of their own, the proxy waits for the server too: the patience is for all of it.
    let moved = timeout(patience, run).await.unwrap_or(false);
    if moved {
        settle(stage, control, &session).await;
    }
    let heard = session.end().await;
    if let Some(why) = died() {
        return Err(why);
    }
    let is_there =
        if control.input.down { heard.kept == control.input.content } else { stage.stored(control) == Stored::Whole };
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
    if matches!(facts.restarted, Some(Err(_))) {
        // Its port stays taken for a minute, and other checks need it.
        stage.renew()?;
    }
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
    let listener = stage.listen().await?;
    if plan.special == Special::LateAcks {
        // What is set on a listener holds for its connections from their first byte.
        acknowledge_late(&listener)?;
    }
    stage.start_client(&input.name)?;
    let mut facts = Facts::default();
    let accepted = arrival(stage, &listener).await?;
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

/// The client's connection; nothing if it ended without one.
async fn arrival(stage: &Stage, listener: &TcpListener) -> Result<Option<TcpStream>, NoStage> {
    let begun = Instant::now();
    loop {
        if let Ok(accepted) = timeout(GRADE_LOOK, listener.accept()).await {
            return Ok(Some(accepted?.0));
        }
        if stage.ended()?.is_some() {
            return Ok(None);
        }
        if begun.elapsed() > GRADE_START {
            return Err(NoStage(format!(
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

struct Pulse {
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

fn tail(mut said: Vec<u8>) -> Vec<u8> {
    let from = said.len().saturating_sub(GRADE_SAID);
    said.drain(..from);
    said
}

/// Runs a plan between two graded programs.
async fn pair(server: &mut Stage, client: &mut Stage, plan: &Plan, control: &Plan) -> Result<Facts, NoStage> {
    let input = &plan.input;
    let mut files: [Vec<(&str, &[u8])>; 2] = [Vec::new(), Vec::new()];
    files[usize::from(!input.down)].push((&input.name, &input.content));
    if control.input.name != input.name {
        files[usize::from(!input.down)].push((&control.input.name, &control.input.content));
    }
    if let Some(old) = &input.old {
        files[usize::from(input.down)].push((&input.stored, old));
    }
    client.prepare(&files[1])?;
    if let Err(why) = server.make_ready(&files[0]).await? {
        return Ok(unstarted(server, why));
    }
    // The client is expected to know where its server is.
    client.port = server.listens_at().unwrap_or(client.port);
    if plan.special == Special::Restart {
        return restart(server).await;
    }
    let mut facts = Facts::default();
    let silent = if plan.special == Special::Meanwhile {
        let silent = server.connect().await.map_err(NoStage)?;
        sleep(Duration::from_millis(100)).await;
        Some(silent)
    } else {
        None
    };
    if plan.wants == Wants::NextServed {
        if silent.is_none() {
            drop(server.connect().await.map_err(NoStage)?);
        }
    } else {
        facts = both(server, client, plan).await?;
    }
    if matches!(plan.wants, Wants::Untouched | Wants::NextServed) {
        client.stop();
        let next = both(server, client, control).await?;
        facts.next = Some(next.fault(control, Role::Pair).map_or(Ok(()), Err));
        (facts.events.is_empty()).then(|| facts.events.clone_from(&next.events));
    }
    drop(silent);
    let died = server.ended()?;
    if died.is_some() || facts.fault(plan, Role::Pair).is_some() || plan.wants != Wants::Delivered {
        server.stop();
    }
    client.stop();
    Ok(facts)
}

/// One transfer between the two.
async fn both(server: &Stage, client: &mut Stage, plan: &Plan) -> Result<Facts, NoStage> {
    let mut facts = Facts::default();
    let listener = client.listen().await?;
    client.start_client(&plan.input.name)?;
    let Some(near) = arrival(client, &listener).await? else {
        facts.heard.broken = Some(Broken::Failed("the client did not connect".into()));
        facts.ended = client.ended()?.map(|ended| ended.status);
        facts.said = tail(client.said());
        return Ok(facts);
    };
    let far = match server.connect().await {
        Ok(far) => far,
        Err(why) => {
            facts.heard.broken = Some(Broken::Failed(why));
            facts.said = tail(server.said());
            return Ok(facts);
        }
    };
    let diags = [Some(Rc::clone(&client.diag)), Some(Rc::clone(&server.diag))];
    let session = session([near, far], None, plan, diags, Record::default(), None);
    let patience = if plan.wants == Wants::Delivered { GRADE_STUCK } else { GRADE_PATIENCE };
    let pulse = (plan.special == Special::Interrupted).then(|| pulse(client));
    let moved = session.run(patience, || matches!(client.ended(), Ok(Some(_)))).await;
    drop(pulse);
    facts.stuck = !moved || !ends(client, patience).await?;
    let begun = Instant::now();
    let receiver: &Stage = if plan.input.down { client } else { server };
    while begun.elapsed() < GRADE_AFTER && !session.is_over() && session.record.silence() < GRADE_STUCK / 4 {
        if plan.wants == Wants::Delivered && receiver.stored(plan) == Stored::Whole {
            break;
        }
        sleep(GRADE_LOOK).await;
    }
    facts.certainty = session.certainty();
    facts.events = session.record.events();
    facts.heard = session.end().await;
    facts.stored = receiver.stored(plan);
    let ended = client.ended()?;
    facts.ended = ended.map(|ended| ended.status);
    facts.breach = ended.or(server.ended()?).and_then(|ended| ended.breach);
    facts.strays = [server.strays(plan), client.strays(plan)].concat();
    facts.notes = [server.notes(server.ended()?), client.notes(ended)].concat();
    facts.said = tail([client.said(), server.said()].concat());
    Ok(facts)
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
