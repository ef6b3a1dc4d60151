//! Our client against a graded server: one run, the next client, and a restart.

use std::rc::Rc;
use std::time::{Duration, Instant};

use ft_sim::schedule::{Direction, Party};
use tokio::time::{sleep, timeout};

use super::super::facts::{self, Facts, Stored};
use super::super::plan::{Plan, Special, Wants};
use super::super::stage::{NoStage, Stage};
use super::super::verdict::Role;
use super::{Session, connected, here, session, tail, unstarted};
use crate::limits::{GRADE_AFTER, GRADE_LOOK, GRADE_PATIENCE, GRADE_STUCK};
use crate::proxy::Record;

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
    let mut session = serving(stage, plan).await;
    if session.is_err() {
        // It has just gone, behind an earlier client.
        stage.stop();
        if let Err(why) = stage.make_ready(&files).await? {
            return Ok(unstarted(stage, why));
        }
        session = serving(stage, plan).await;
    }
    let session = match session {
        Ok(session) => session,
        Err(why) => {
            let facts = unstarted(stage, why);
            stage.stop();
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

/// Gives a server that has answered the time to finish its file.
async fn settle(stage: &Stage, plan: &Plan, session: &Session) {
    let begun = Instant::now();
    if plan.wants == Wants::KeptOld {
        // A server may be about to open the file, behind a name that came before the end.
        while begun.elapsed() < GRADE_AFTER / 4 && stage.stored(plan) == Stored::Old {
            sleep(GRADE_LOOK).await;
        }
    }
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

/// Another client comes, with a file of another name.
async fn next_client(stage: &Stage, control: &Plan, patience: Duration) -> Result<(), String> {
    let died = || match stage.ended() {
        Ok(Some(ended)) => Some(format!("the server died: {}", facts::shown(ended.status))),
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
pub(super) async fn restart(stage: &mut Stage) -> Result<Facts, NoStage> {
    let mut facts = Facts::default();
    let open = match stage.connect().await {
        Ok(open) => open,
        Err(why) => return Ok(unstarted(stage, why)),
    };
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
