//! `put --dry-run`: what would be offered, found without a connection. (`get --dry-run` is a real session whose storage
//! refuses everything: only so it can tell what is there already.)

use std::future::poll_fn;

use ft_core::limits::WALK_BATCH;
use ft_core::storage::{Source as _, SourceDone, SourceOp};

use super::put;
use crate::disk::DiskSource;
use crate::exit::{Exit, Stop};
use crate::render::{Fact, Screen, Tally, amount, files};

/// Walks what `put` would send. No connection is made: what the server would say to it is not known.
pub(super) async fn put(args: &put::Plan, screen: &Screen) -> Result<Exit, Stop> {
    if put::from_stdin(args) {
        return Err(Stop::usage("standard input cannot be shown without being read"));
    }
    let walk = put::walk(args, screen, &Tally::default())?;
    let mut source = DiskSource::push(args.paths.clone(), args.target.path.clone(), walk, |_| false);
    let (mut count, mut bytes, mut exit) = (0, 0, Exit::Completed);
    loop {
        source.submit(SourceOp::Next { want: 0, max: WALK_BATCH }, None);
        let (done, _) = poll_fn(|cx| source.poll_done(cx)).await;
        let SourceDone::Entries { items, end, .. } = done else { continue };
        for item in items {
            count += 1;
            bytes += item.meta.size.unwrap_or(0);
            screen.entry(item.meta.path.to_string(), &item.meta);
            source.submit(SourceOp::Close(item.id), None);
        }
        match end {
            None => {}
            Some(Ok(())) => break,
            Some(Err(error)) => {
                screen.fact(None, &Fact::Note { text: error.to_string() });
                exit = Exit::Refused;
                break;
            }
        }
    }
    screen.line(&format!("would offer {}, {}; nothing was sent", files(count), amount(bytes)));
    Ok(exit)
}
