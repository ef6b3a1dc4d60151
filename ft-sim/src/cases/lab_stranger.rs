//! The careful lab programs against peers that break their dialect, or stretch it as far as it goes.
//!
//! An honest peer never says what only a check would notice, and a network that cuts does not make it say so. Each stranger
//! here is a script of bytes and pauses, with what must come of it stated beside it, from docs/LABS.md: what ours says in
//! the end, what the stranger hears, what is stored. Which of them comes is a decision named `stranger`, so that a search
//! meets them all. How the bytes are cut has no say in any of it; a connection that ends early leaves the old file or the
//! new one.

mod downloads;
mod floods;
mod ours;
mod pipe_receivers;
mod pipe_senders;
mod requests;
mod script;
mod stores;
mod uploads;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use ft_core::dialect::MemoryFiles;

use super::deadline::Deadline;
use super::shared_files::SharedFiles;
use super::{Outcome, Tell, broken};
use crate::explore::run;
use crate::ground::Ground;
use crate::schedule::{Fault, Pick, Schedule};
use crate::world::World;
pub(crate) use ours::Ours;
use ours::Said;
use script::{BEFORE, Heard, Script};

/// The decision that says which stranger comes.
const STRANGER: &str = "stranger";

/// Largest file that its disk takes, bytes, for there to be a boundary that a script can state.
const ROOM: u64 = 40;

/// Bytes of a name or a file that are shown.
const SHOWN: usize = 100;

/// Plays strangers, one a run, and remembers what ours reported of each on a benign network.
pub(crate) struct Game {
    ours: Ours,
    scripts: Vec<Rc<Script>>,
    benign: RefCell<BTreeMap<u32, String>>,
}

impl Game {
    pub(crate) fn new(ours: Ours) -> Self {
        let scripts = match ours {
            Ours::PipeReceiver => pipe_senders::all(),
            Ours::LongMetadata => pipe_senders::long(),
            Ours::PipeSender => pipe_receivers::all(),
            Ours::Flooded => floods::all(),
            Ours::Server => requests::all(),
            Ours::Store => stores::all(),
            Ours::Upload => uploads::all(),
            Ours::Download => downloads::all(),
        };
        Self { ours, scripts: scripts.into_iter().map(Rc::new).collect(), benign: RefCell::default() }
    }

    /// How many strangers there are.
    pub(crate) fn strangers(&self) -> u32 {
        u32::try_from(self.scripts.len()).expect("a page of scripts")
    }

    pub(crate) fn play<G: Ground>(&self, ground: &mut G, tell: Tell) -> Outcome {
        let which = ground.world().branch(STRANGER, self.strangers());
        let script = &self.scripts[crate::limits::index(u64::from(which))];
        let mut files = MemoryFiles::new().with_capacity(ROOM);
        for (name, content) in BEFORE {
            files = files.with(name, content);
        }
        if script.asked.disk_fails {
            files = files.with_failing_commits();
        }
        let files = SharedFiles::new(files);
        let (said, heard) = self.attempt(ground, script, &files);
        let world = ground.world();
        let schedule = world.schedule();
        let whole = script.is_held_to(&schedule);
        let outside =
            files.see(|files| files.iter().any(|(name, _)| name.contains(&b'/') || name == b".." || name == b"."));
        world.always("INSIDE: no name leads out of the folder", !outside);
        // What an early end leaves of data without a length is whole to lab B: the protocol's fault.
        let ends_early = schedule.steps().iter().any(|step| matches!(step.fault, Fault::HalfClose | Fault::Fin));
        if !(ends_early && self.ours.believes_an_end()) {
            files.see(|files| check_files(world, script, files, said.as_ref(), whole));
        }
        world.sometimes("ends well", said.as_ref().is_some_and(|said| !said.words.starts_with("failed")));
        if whole {
            let says = said.as_ref().map_or("nothing", |said| &said.words);
            let other = (says != script.says).then(|| format!("{}: expected {}, got {says}", script.name, script.says));
            broken(world, "STRICT: ours says what came of it", other);
            let end = heard.as_ref().and_then(|heard| heard.end.as_deref()).unwrap_or("gone");
            let in_order = end.is_empty() || script.has_left();
            let bytes = heard.as_ref().map_or(&[][..], |heard| &heard.bytes);
            let other =
                (!in_order || bytes != script.hears).then(|| format!("{}: heard {}{end}", script.name, shown(bytes)));
            broken(world, "STRICT: a stranger hears what its lab has, and an end in order", other);
            // Whether who has left was told before is for the network to say.
            if !script.has_left() {
                self.check_split(world, which, said.as_ref().map_or("", |said| &said.log));
            }
        }
        match tell {
            Tell::Nothing => Outcome::default(),
            Tell::Words => self.words(script, said, heard, &files),
        }
    }

    fn words(&self, script: &Script, said: Option<Said>, heard: Option<Heard>, files: &SharedFiles) -> Outcome {
        let files = files.see(|files| {
            let all = files.iter().map(|(name, content)| format!("{} {}", shown(name), shown(content)));
            all.collect::<Vec<_>>().join(", ")
        });
        let heard = heard.map_or("gone".to_owned(), |heard| {
            let end = heard.end.filter(|end| !end.is_empty()).map_or_else(String::new, |end| format!("; {end}"));
            format!("{}: {}{end}", script.name, shown(&heard.bytes))
        });
        let said = said.map_or("gone".to_owned(), |said| format!("{} [{}]", said.words, said.log));
        let (client, server) = if self.ours.serves() { (heard, said) } else { (said, heard) };
        Outcome { client, server, files, retry: None }
    }

    /// What ours said, and what the stranger heard.
    fn attempt<G: Ground>(
        &self,
        ground: &mut G,
        script: &Rc<Script>,
        files: &SharedFiles,
    ) -> (Option<Said>, Option<Heard>) {
        let (clock, idle, tracer) = (ground.time(), ground.idle(), ground.world().tracer());
        let (clock_there, script_there) = (clock.clone(), Rc::clone(script));
        let stranger = move |stream| async move { script_there.play(stream, clock_there, tracer).await };
        let (ours, files, asked) = (self.ours, files.clone(), script.asked.clone());
        let ours_alone = move |stream| ours.play(Deadline::new(stream, clock.clone(), Some(idle)), clock, files, asked);
        if ours.serves() {
            let pair = ground.pair(stranger, ours_alone);
            return (pair.server.done(), pair.client.done());
        }
        let pair = ground.pair(ours_alone, stranger);
        (pair.client.done(), pair.server.done())
    }

    /// SPLIT: what was reported on the way is what is reported on a benign network. The rest is stated by the script.
    fn check_split(&self, world: &mut World, which: u32, log: &str) {
        let schedule = world.schedule();
        let known = self.benign.borrow().get(&which).cloned();
        let benign = known.unwrap_or_else(|| {
            let picks =
                if which == 0 { Vec::new() } else { vec![Pick { name: STRANGER.into(), nth: 0, value: which }] };
            let alone = Schedule::new(Vec::new(), picks).expect("a schedule of one pick");
            let benign = if alone == schedule {
                log.to_owned()
            } else {
                let game = Self::new(self.ours);
                run(|world| drop(game.play(world, Tell::Nothing)), &alone);
                game.benign.borrow().get(&which).cloned().unwrap_or_default()
            };
            self.benign.borrow_mut().insert(which, benign.clone());
            benign
        });
        if log != benign {
            world.always_eq("SPLIT: ours reports what it reports on a benign network", log, &benign);
        }
    }
}

/// INTACT and HONEST. Where the connection is `whole`, what is stored is what the script states.
fn check_files(world: &mut World, script: &Script, files: &MemoryFiles, said: Option<&Said>, whole: bool) {
    let after = script.after();
    let lost = BEFORE.iter().find(|(name, _)| files.get(name).is_none());
    let odd = files.iter().find(|(name, content)| match whole {
        true => after.get(name) != Some(content),
        false => !script.may_leave(name, content),
    });
    let detail = lost.map(|(name, _)| format!("{} is gone", shown(name)));
    let detail = detail.or_else(|| odd.map(|(name, content)| format!("{}: {}", shown(name), shown(content))));
    broken(world, "INTACT: the old file or the new one", detail.map(|detail| format!("{}: {detail}", script.name)));
    let missing = || {
        after.iter().find(|(name, content)| {
            let found = files.get(name);
            found != Some(**content) && (whole || !found.is_some_and(|found| script.is_meanwhile(found)))
        })
    };
    let is_said = whole || said.is_some_and(|said| said.success);
    let detail = if is_said { missing() } else { None };
    let detail = detail.map(|(name, content)| format!("{}: no {} in {}", script.name, shown(content), shown(name)));
    broken(world, "HONEST: what is said to be stored is there", detail);
}

/// Bytes for people.
fn shown(bytes: &[u8]) -> String {
    match bytes.get(..SHOWN / 10) {
        Some(head) if bytes.len() > SHOWN => format!("\"{}\"… {} bytes", head.escape_ascii(), bytes.len()),
        Some(_) | None => format!("\"{}\"", bytes.escape_ascii()),
    }
}
