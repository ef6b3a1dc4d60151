//! What must hold of both sides after a fault, and after the retry.

use std::path::Path;

use nix::errno::Errno;

use crate::calls::Call;
use crate::ground::{Ground, Place, leftovers};
use crate::support::events;
use crate::tracer::{Act, Plan, Record, Traced};
use crate::transfer::{Verb, Way, stop, stored, summary, transfer};

/// Stops a server, which must obey.
pub(crate) fn ended(server: Traced, wrong: &mut Vec<String>) -> Record {
    let record = stop(server);
    if record.code != Some(0) || record.hung {
        wrong.push(format!("LIVE: the server ended with {:?} {:?}", record.code, record.err));
    }
    record
}

/// A server that cannot begin says so.
pub(crate) fn never_began(record: &Record) -> Vec<String> {
    let silent = record.err.is_empty() && events(&record.out, "error").is_empty();
    let wrong = record.code != Some(1) || silent || record.hung;
    let shown = || format!("HONEST: a server that did not begin ended with {:?} {:?}", record.code, record.err);
    if wrong { vec![shown()] } else { Vec::new() }
}

/// Whether what a client said, and how it ended, is true of the place.
pub(crate) fn said(ground: &Ground, there: &Path, client: &Record) -> Vec<String> {
    let mut wrong = Vec::new();
    if client.hung {
        wrong.push("LIVE: the client did not end".to_owned());
    }
    let told = stored(client);
    wrong.extend(ground.lost(there, &told));
    let (failed, errors) = (events(&client.out, "failed").len(), events(&client.out, "error").len());
    let all = told == ground.all_names();
    let count = |field| summary(client, field).unwrap_or(0);
    match client.code {
        Some(0) if !all || failed > 0 => wrong.push(format!("HONEST: exit code 0 with {} names told", told.len())),
        Some(0) => {}
        Some(3) if count("unknown") == 0 => wrong.push("HONEST: exit code 3, and nothing is unknown".to_owned()),
        Some(4) if count("failed") + count("skipped") == 0 && failed + errors == 0 => {
            wrong.push("HONEST: exit code 4, and nothing was refused".to_owned());
        }
        Some(1) if errors == 0 && client.err.is_empty() => wrong.push("HONEST: exit code 1 without a word".to_owned()),
        Some(1 | 3 | 4) if all && errors == 0 && failed == 0 => {
            wrong.push(format!("HONEST: all is stored, and the exit code is {:?}: {:?}", client.code, client.err));
        }
        Some(1 | 3 | 4) => {}
        other => wrong.push(format!("the client ended with {other:?}: {:?}", client.err)),
    }
    wrong
}

/// Whether a transfer without a fault completed.
pub(crate) fn done(client: &Record) -> Vec<String> {
    if client.code == Some(0) && !client.hung {
        return Vec::new();
    }
    vec![format!("LIVE: the retry ended with {:?}: {:?} {:?}", client.code, client.err, client.out.last())]
}

/// A sync that failed is final: its file is not told to be durable, and it is not tried again.
pub(crate) fn synced(way: Way, plan: Plan, receiver: &Record, hit: &Call, code: Option<i32>) -> Vec<String> {
    let sync = matches!(hit.name, "fsync" | "fdatasync" | "syncfs");
    let interrupted = matches!(plan.act, Act::Fails(Errno::EINTR));
    if !sync || interrupted || !way.durable {
        return Vec::new();
    }
    let at = receiver.hit.expect("it was hit");
    let mut wrong = Vec::new();
    if code == Some(0) {
        wrong.push(format!("HONEST: exit code 0 although {} of {} failed", hit.name, hit.path.display()));
    }
    // The server's record goes on with the retry, which stages under other names.
    let again = receiver.calls[at + 1..].iter().find(|call| call.name == hit.name && call.path == hit.path);
    if again.is_some() && hit.path.to_string_lossy().contains(".ft-staging/") && way.verb == Verb::Get {
        wrong.push(format!("HONEST: the failed sync of {} was tried again", hit.path.display()));
    }
    wrong
}

/// Nothing is left over, or the next transfer sweeps it.
pub(crate) fn swept(ground: &Ground, way: Way, there: &Path, place: &Place) -> Vec<String> {
    if leftovers(there).is_empty() {
        return Vec::new();
    }
    // Something new to stage, or there is no reason to look at what is staged.
    std::fs::remove_file(there.join("tree/nested/hundred")).expect("removed");
    let again = transfer(way, ground, place, None);
    let mut wrong = again.client.map_or(vec!["LIVE: no third server".to_owned()], |client| done(&client));
    if let Ok((server, _)) = again.server {
        stop(server);
    }
    let left = leftovers(there);
    if !left.is_empty() {
        wrong.push(format!("left over for ever: {left:?}"));
    }
    wrong
}
