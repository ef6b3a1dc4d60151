//! What is tried: one run as a value, and the checks that are made of runs.

use std::time::Duration;

use ft_core::dialect::{Pitfall, Whose};
use ft_sim::schedule::{Direction, Fault, Schedule, Step};

use super::script::Act;
use super::verdict::Role;
use crate::limits::GRADE_PRESERVED as PRESERVED;

/// The file of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Input {
    /// Its name, as it goes over the wire or lies in the client's folder.
    pub(super) name: String,
    /// Its content.
    pub(super) content: Vec<u8>,
    /// The name under which the receiver stores it.
    pub(super) stored: String,
    /// What the receiver has under that name before.
    pub(super) old: Option<Vec<u8>>,
    /// The server has it, and the client wants it.
    pub(super) down: bool,
}

impl Input {
    /// The words for reports.
    pub(super) fn shown(&self) -> String {
        let old = if self.old.is_some() { ", over an older one" } else { "" };
        format!("{:?}, {} bytes{old}", self.name, self.content.len())
    }
}

/// What must hold after a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wants {
    /// The file is there, whole, and nobody complains.
    Delivered,
    /// Success is claimed only if the file is there, whole; nobody waits for ever.
    Honest,
    /// The client knows that it went wrong, and says so in time.
    Admitted,
    /// Nothing is under the name but what was there before, and the next client is served.
    Untouched,
    /// Under the name is what was there before; nothing else is asked.
    KeptOld,
    /// The next client is served; under the name is nothing, or the whole file; nothing lies anywhere else.
    Survived,
    /// The next client is served.
    NextServed,
    /// Delivered, and the connection is not reset.
    NoReset,
    /// The client ends by itself.
    Ends,
    /// The client is not killed by a signal.
    Unharmed,
    /// Nothing is stored under the name, and the server lives.
    Refused,
    /// Every byte of the content arrives, unless the client destroys it with a reset of its own.
    AllSent,
    /// The client waits for the word that it was promised.
    Waited,
    /// The second piece does not wait for the first to be acknowledged.
    NoStall,
    /// The server can be started again at once.
    Restarted,
}

/// What is done besides a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Special {
    /// Nothing.
    None,
    /// While it blocks in a send, the program is stopped and continued.
    Interrupted,
    /// The other side acknowledges late, as any kernel may.
    LateAcks,
    /// The server is killed with a connection open, and started again.
    Restart,
    /// The server is killed in the moment in which this byte of its own is seen.
    KillAt(u64),
    /// While the run's connection is open, another client comes.
    Meanwhile,
}

/// One run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) input: Input,
    /// What the other side says.
    pub(super) script: Vec<Act>,
    pub(super) schedule: Schedule,
    pub(super) special: Special,
    pub(super) wants: Wants,
}

/// A pitfall, and the runs that show it: the first that falls is the smallest.
#[derive(Clone, Debug)]
pub(super) struct Check {
    pub(super) pitfall: Pitfall,
    pub(super) role: Role,
    pub(super) whose: Option<Whose>,
    /// What a careful program does.
    pub(super) expected: &'static str,
    /// Runs in which it must stand for the check to mean anything, such as the same without a cut.
    pub(super) before: Vec<Plan>,
    pub(super) plans: Vec<Plan>,
    /// There is nothing to try, because.
    pub(super) nothing: Option<&'static str>,
    /// Times that each plan must stand: more than once where the kernel's timing has a say.
    pub(super) tries: u32,
}

impl Check {
    pub(super) fn new(role: Role, pitfall: Pitfall, whose: Option<Whose>, expected: &'static str) -> Self {
        Self { pitfall, role, whose, expected, before: Vec::new(), plans: Vec::new(), nothing: None, tries: 1 }
    }

    pub(super) fn plans(mut self, plans: impl IntoIterator<Item = Plan>) -> Self {
        self.plans.extend(plans);
        self
    }

    pub(super) fn before(mut self, plan: Plan) -> Self {
        self.before.push(plan);
        self
    }

    pub(super) fn tries(mut self, tries: u32) -> Self {
        self.tries = tries;
        self
    }

    pub(super) fn nothing(mut self, why: &'static str) -> Self {
        self.nothing = Some(why);
        self
    }
}

impl Plan {
    /// The same, with the cuts before the program's reads made in the reads themselves.
    pub(super) fn clamped(mut self, role: Role) -> Self {
        let dir = if role == Role::Client { Direction::S2c } else { Direction::C2s };
        let all = self.schedule.steps().iter().map(|step| {
            let is_cut = step.dir == dir && step.fault == Fault::Split;
            if is_cut { Step { fault: Fault::Clip, ..*step } } else { *step }
        });
        self.schedule = steps(&all.collect::<Vec<_>>());
        self
    }

    /// Offsets that no read of the program may cross.
    pub(super) fn clamps(&self) -> Vec<u64> {
        let clips = self.schedule.steps().iter().filter(|step| step.fault == Fault::Clip);
        clips.map(|step| step.at).collect()
    }

    /// Small enough for every piece to be passed on by itself.
    pub(super) fn preserves(&self) -> bool {
        self.input.content.len() <= PRESERVED
    }

    /// Our server takes no content of a client: it has refused the file, or cannot know where its name ends.
    pub(super) fn refuses(&self) -> bool {
        !self.input.down && !self.script.iter().any(|act| matches!(act, Act::Take(_)))
    }
}

/// Client to server.
pub(super) fn c2s(at: usize, fault: Fault) -> Step {
    Step::new(Direction::C2s, at as u64, fault)
}

/// Server to client.
pub(super) fn s2c(at: usize, fault: Fault) -> Step {
    Step::new(Direction::S2c, at as u64, fault)
}

/// A schedule of these.
///
/// # Panics
///
/// If a check of ours asks for what cannot be.
pub(super) fn steps(steps: &[Step]) -> Schedule {
    Schedule::new(steps.to_vec(), Vec::new()).expect("checks ask for what can be")
}

/// Bytes in one piece.
pub(super) fn together(until: usize) -> Fault {
    Fault::Hold { until: Some(until as u64) }
}

/// A delay of so many milliseconds.
pub(super) fn late(millis: u64) -> Fault {
    Fault::Delay(Duration::from_millis(millis))
}

/// Content that shows where a piece is missing: no two lines of it are equal.
pub(super) fn content(len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(len + 16);
    let mut line = 0_u32;
    while out.len() < len {
        out.extend_from_slice(format!("{line:07}\n").as_bytes());
        line += 1;
    }
    out.truncate(len);
    out
}
