//! Two graded programs with the proxy between them.

use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use super::super::facts::{Facts, Stored};
use super::super::plan::{Plan, Special, Wants};
use super::super::script::Broken;
use super::super::stage::{NoStage, Stage};
use super::super::verdict::Role;
use super::send::{Arrival, arrival, ends, pulse};
use super::serve::restart;
use super::{session, tail, unstarted};
use crate::limits::{GRADE_AFTER, GRADE_LOOK, GRADE_PATIENCE, GRADE_STUCK};
use crate::proxy::Record;

/// Runs a plan between two graded programs.
pub(super) async fn pair(
    server: &mut Stage,
    client: &mut Stage,
    plan: &Plan,
    control: &Plan,
) -> Result<Facts, NoStage> {
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
        let silent = match server.connect().await {
            Ok(silent) => silent,
            Err(why) => return Ok(unreached(server, why)),
        };
        sleep(Duration::from_millis(100)).await;
        Some(silent)
    } else {
        None
    };
    if plan.wants == Wants::NextServed {
        if silent.is_none()
            && let Err(why) = server.connect().await
        {
            return Ok(unreached(server, why));
        }
    } else {
        facts = both(server, client, plan).await?;
    }
    if matches!(plan.wants, Wants::Untouched | Wants::NextServed) {
        client.stop();
        let next = both(server, client, control).await?;
        if next.unstarted.is_some() {
            server.stop();
            client.stop();
            return Ok(next);
        }
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

/// It listens, and cannot be connected to: the next run needs another.
fn unreached(server: &mut Stage, why: String) -> Facts {
    let facts = unstarted(server, why);
    server.stop();
    facts
}

/// One transfer between the two.
async fn both(server: &Stage, client: &mut Stage, plan: &Plan) -> Result<Facts, NoStage> {
    let mut facts = Facts::default();
    let listener = client.listen().await?;
    client.start_client(&plan.input.name)?;
    let near = match arrival(client, &listener).await? {
        Arrival::Came(near) => Some(near),
        Arrival::Ended => None,
        Arrival::Late(why) => return Ok(unstarted(client, why)),
    };
    let Some(near) = near else {
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
