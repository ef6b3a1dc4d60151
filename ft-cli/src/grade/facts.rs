//! What a run came to, and whether that is what was wanted.

use std::time::Duration;

use ft_core::dialect::Pitfall;
use ft_sim::trace::{Event, escape};

use super::plan::{Plan, Wants};
use super::script::{Broken, Heard};
use super::verdict::Role;
use crate::jail::{Breach, Status};
use crate::proxy::Certainty;

/// What lies under the name in question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stored {
    /// Nothing.
    #[default]
    Absent,
    /// What was there before.
    Old,
    /// The file.
    Whole,
    /// Its beginning.
    Beginning(usize),
    /// Something else, of so many bytes.
    Other(u64),
    /// A link, a folder, a pipe.
    NoFile,
}

impl Stored {
    pub(super) fn of(found: Option<&[u8]>, plan: &Plan) -> Self {
        let meant = plan.input.content.as_slice();
        match found {
            None => Self::Absent,
            Some(bytes) if bytes == meant => Self::Whole,
            Some(bytes) if plan.input.old.as_deref() == Some(bytes) => Self::Old,
            Some(bytes) if meant.starts_with(bytes) => Self::Beginning(bytes.len()),
            Some(bytes) => Self::Other(bytes.len() as u64),
        }
    }

    fn shown(self, plan: &Plan) -> String {
        let len = plan.input.content.len();
        match self {
            Self::Absent => "no file is there".into(),
            Self::Old => "the old file is still there".into(),
            Self::Whole => "the whole file is there".into(),
            Self::Beginning(0) => "the file is there, and empty".into(),
            Self::Beginning(bytes) => format!("{bytes} of {len} bytes are there under its name"),
            Self::Other(bytes) => format!("other content is there under its name, {bytes} bytes"),
            Self::NoFile => "what is there under its name is no file".into(),
        }
    }
}

/// Everything that is known of a run.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts {
    /// What our side heard.
    pub(super) heard: Heard,
    /// What the receiver has.
    pub(super) stored: Stored,
    /// How the program ended, if it did.
    pub(super) ended: Option<Status>,
    pub(super) breach: Option<Breach>,
    /// Why it did not get so far as to be tried.
    pub(super) unstarted: Option<String>,
    /// Nothing moved any more, and the program was still waiting.
    pub(super) stuck: bool,
    /// What the next client met with.
    pub(super) next: Option<Result<(), String>>,
    /// What lies where nothing should.
    pub(super) strays: Vec<String>,
    /// The program reset the connection.
    pub(super) reset: bool,
    /// Our last words could not be delivered: the program had closed.
    pub(super) unheard: bool,
    /// Time between the first piece and the second.
    pub(super) gap: Option<Duration>,
    /// What came of starting it again.
    pub(super) restarted: Option<Result<(), String>>,
    pub(super) certainty: Certainty,
    pub(super) events: Vec<Event>,
    pub(super) said: Vec<u8>,
    /// What it did besides, in words.
    pub(super) notes: Vec<String>,
}

impl Facts {
    /// Nothing is shown by it: the program was ended for another reason than the check's.
    pub(super) fn is_beside_the_point(&self, pitfall: Pitfall) -> bool {
        self.unstarted.is_some() || self.breach.and_then(breach_words).is_some() && pitfall != Pitfall::SizeOverflow
    }

    /// It ended well, as far as it says.
    pub(super) fn has_succeeded(&self) -> bool {
        self.claims() && self.breach.is_none() && !self.stuck
    }

    /// A client that ended with 0 says that it went well.
    fn claims(&self) -> bool {
        self.ended == Some(Status::Code(0))
    }

    /// Why it is not what was wanted; nothing if it is.
    pub(super) fn fault(&self, plan: &Plan, role: Role) -> Option<String> {
        if let Some(why) = &self.unstarted {
            return Some(format!("it could not be tried: {why}"));
        }
        if let Some(words) = self.breach.and_then(breach_words) {
            return Some(words.into());
        }
        match role {
            Role::Server => self.fault_of_server(plan),
            Role::Client => self.fault_of_client(plan),
            Role::Pair => self.fault_of_pair(plan),
        }
    }

    fn fault_of_server(&self, plan: &Plan) -> Option<String> {
        if let Some(Err(why)) = &self.restarted {
            return Some(format!("it could not be started again: {why}"));
        }
        if plan.wants == Wants::Restarted {
            return None;
        }
        if plan.wants == Wants::KeptOld {
            return (self.stored != Stored::Old).then(|| format!("the old file is gone: {}", self.stored.shown(plan)));
        }
        if !self.strays.is_empty() {
            return Some(format!("it wrote outside its folder: {}", self.strays.join(", ")));
        }
        if plan.wants == Wants::Honest {
            // It was killed in the moment of its last word.
            let heard = self.heard.broken.is_none() || self.unheard;
            let honest = !heard || self.stored == Stored::Whole;
            return (!honest)
                .then(|| format!("it was killed right after its last word, and {}", self.stored.shown(plan)));
        }
        if plan.wants == Wants::Unharmed {
            // An exception that nobody catches ends it as well; that is for others to find.
            let is_killed = self.ended == Some(Status::Signal(SIGPIPE));
            return is_killed.then(|| "it was killed by SIGPIPE".into());
        }
        if let Some(status) = self.ended {
            return Some(format!("it died: {}", shown(status)));
        }
        match plan.wants {
            Wants::Delivered | Wants::NoReset if plan.input.down => {
                if self.heard.kept != plan.input.content || self.heard.broken.is_some() {
                    return Some(self.heard_wrong(plan));
                }
            }
            Wants::Delivered => {
                if self.stored != Stored::Whole {
                    return Some(format!("{}{}", self.stuck_words(), self.stored.shown(plan)));
                }
                if let Some(broken) = &self.heard.broken {
                    return Some(format!("the file is there, but its client was not told: {broken}"));
                }
            }
            Wants::NoReset => {
                if self.reset {
                    return Some("it closed with unread bytes: its kernel reset the connection".into());
                }
                if let Some(broken) = &self.heard.broken {
                    return Some(format!("its client was not told: {broken}"));
                }
            }
            Wants::Untouched | Wants::Refused if !matches!(self.stored, Stored::Absent | Stored::Old) => {
                return Some(self.stored.shown(plan));
            }
            Wants::Survived if !plan.input.down && !matches!(self.stored, Stored::Absent | Stored::Whole) => {
                return Some(self.stored.shown(plan));
            }
            Wants::Untouched
            | Wants::Survived
            | Wants::NextServed
            | Wants::Honest
            | Wants::Admitted
            | Wants::Ends
            | Wants::Unharmed
            | Wants::AllSent
            | Wants::KeptOld
            | Wants::Waited
            | Wants::NoStall
            | Wants::Restarted => {}
            // That the next one was served shows that it lives; who leaves in the middle is another pitfall.
            Wants::Refused => return None,
        }
        match &self.next {
            Some(Err(why)) => Some(format!("the next client was not served: {why}")),
            Some(Ok(())) | None => None,
        }
    }

    fn fault_of_client(&self, plan: &Plan) -> Option<String> {
        if !self.strays.is_empty() {
            return Some(format!("it wrote outside its folder: {}", self.strays.join(", ")));
        }
        let whole = self.stored == Stored::Whole;
        match plan.wants {
            Wants::Unharmed if self.ended == Some(Status::Signal(SIGPIPE)) => Some("it was killed by SIGPIPE".into()),
            Wants::AllSent if !whole && !self.unheard => Some(match self.ended {
                _ if self.stuck => format!("it waits for ever; {}", self.received(plan)),
                Some(Status::Code(0)) => format!("it reports success, but {}", self.received(plan)),
                _ => self.received(plan),
            }),
            Wants::NoStall => {
                let gap = self.gap.filter(|gap| *gap >= crate::limits::GRADE_STALL)?;
                Some(format!("its second piece waited {} ms for the first to be acknowledged", gap.as_millis()))
            }
            Wants::Delivered => match (self.ended, whole) {
                _ if self.stuck => Some(format!("it waits for ever; {}", self.received(plan))),
                (Some(Status::Code(0)), true) => match &self.heard.broken {
                    Some(broken @ Broken::Early { .. }) if !plan.input.down => {
                        Some(format!("the content arrived, and more than that: {broken}"))
                    }
                    _ => None,
                },
                (Some(Status::Code(0)), false) => Some(format!("it reports success, but {}", self.received(plan))),
                (Some(status), _) => Some(format!("it ended with {}; {}", shown(status), self.received(plan))),
                (None, _) => Some(format!("it did not end; {}", self.received(plan))),
            },
            Wants::Admitted | Wants::Ends if self.stuck => Some("it waits for ever".into()),
            Wants::Admitted if self.claims() && whole => {
                Some("it reports success, though its server left without confirming it".into())
            }
            Wants::Admitted if self.claims() && plan.refuses() => {
                Some("it reports success, though its server could not take the file".into())
            }
            Wants::Admitted if self.claims() => Some(format!("it reports success, but {}", self.received(plan))),
            Wants::Waited if self.claims() && self.unheard => {
                Some("it reports success, and closed before the last confirmation came".into())
            }
            Wants::Waited if self.stuck => Some("it waits for ever".into()),
            Wants::KeptOld if self.stored != Stored::Old => {
                Some(format!("the old file is gone: {}", self.stored.shown(plan)))
            }
            Wants::Honest if self.claims() && !whole => {
                Some(format!("it reports success, but {}", self.received(plan)))
            }
            Wants::Honest if self.stuck => Some("it waits for ever".into()),
            Wants::Admitted
            | Wants::Ends
            | Wants::Unharmed
            | Wants::AllSent
            | Wants::Refused
            | Wants::Waited
            | Wants::Untouched
            | Wants::KeptOld
            | Wants::Honest
            | Wants::Survived
            | Wants::NextServed
            | Wants::NoReset
            | Wants::Restarted => None,
        }
    }

    fn fault_of_pair(&self, plan: &Plan) -> Option<String> {
        if !self.strays.is_empty() {
            return Some(format!("something lies outside its folder: {}", self.strays.join(", ")));
        }
        let whole = self.stored == Stored::Whole;
        let fault = match plan.wants {
            Wants::Delivered if self.stuck => Some(format!("both wait for ever; {}", self.stored.shown(plan))),
            Wants::Delivered if whole && self.claims() => None,
            Wants::Delivered if self.claims() => {
                Some(format!("the client reports success, but {}", self.stored.shown(plan)))
            }
            Wants::Delivered => {
                let ended = self
                    .ended
                    .map_or("the client did not end".into(), |s| format!("the client ended with {}", shown(s)));
                Some(format!("{ended}; {}", self.stored.shown(plan)))
            }
            Wants::Honest if self.claims() && !whole => {
                Some(format!("the client reports success, but {}", self.stored.shown(plan)))
            }
            Wants::Honest | Wants::Ends if self.stuck => Some("the client waits for ever".into()),
            Wants::KeptOld if !matches!(self.stored, Stored::Old | Stored::Whole) => {
                Some(format!("the old file is gone: {}", self.stored.shown(plan)))
            }
            Wants::Honest
            | Wants::KeptOld
            | Wants::Ends
            | Wants::Unharmed
            | Wants::AllSent
            | Wants::Refused
            | Wants::Admitted
            | Wants::Untouched
            | Wants::Survived
            | Wants::NextServed
            | Wants::NoReset
            | Wants::Waited
            | Wants::NoStall
            | Wants::Restarted => None,
        };
        match (&fault, &self.next, &self.restarted) {
            (None, Some(Err(why)), _) => Some(format!("the next client was not served: {why}")),
            (None, _, Some(Err(why))) => Some(format!("the server could not be started again: {why}")),
            _ => fault,
        }
    }

    /// What a client's file came to, on our side or on its own.
    fn received(&self, plan: &Plan) -> String {
        match &self.heard.broken {
            _ if plan.input.down => self.stored.shown(plan),
            Some(broken @ (Broken::Other { .. } | Broken::Early { .. })) => {
                format!("its server was told nonsense: {broken}")
            }
            Some(broken) if self.stored == Stored::Absent => format!("nothing arrived: {broken}"),
            _ => match self.stored {
                Stored::Absent => "nothing arrived".into(),
                Stored::Beginning(bytes) => format!("{bytes} of {} bytes arrived", plan.input.content.len()),
                Stored::Other(bytes) => format!("other content arrived, {bytes} bytes"),
                Stored::NoFile => "what it left under the file's name is no file".into(),
                Stored::Whole | Stored::Old => "the content arrived".into(),
            },
        }
    }

    fn heard_wrong(&self, plan: &Plan) -> String {
        let came = self.heard.kept.len();
        match &self.heard.broken {
            Some(broken) => format!("{}its client was told nonsense: {broken}", self.stuck_words()),
            None => format!("{}{came} of {} bytes came", self.stuck_words(), plan.input.content.len()),
        }
    }

    fn stuck_words(&self) -> &'static str {
        if self.stuck { "it waits for ever; " } else { "" }
    }
}

const SIGPIPE: i32 = 13;

/// Characters of a printed line that are shown; they are ASCII after escaping.
const LINE: usize = 160;

/// What it used too much of, if that ended it.
pub(super) fn breach_words(breach: Breach) -> Option<&'static str> {
    match breach {
        Breach::Memory => Some("it used more memory than it may, and was ended"),
        Breach::Processes => Some("it started more processes than it may, and was ended"),
        Breach::FileSize | Breach::Output => None,
    }
}

/// How a process ended, in words.
pub(super) fn shown(status: Status) -> String {
    match status {
        Status::Code(code) => format!("exit code {code}"),
        Status::Signal(SIGPIPE) => "SIGPIPE".into(),
        Status::Signal(9) => "SIGKILL".into(),
        Status::Signal(11) => "a segmentation fault".into(),
        Status::Signal(6) => "an abort".into(),
        Status::Signal(number) => format!("signal {number}"),
    }
}

/// The last lines of what a program printed, escaped for a terminal.
pub(super) fn last_lines(said: &[u8], lines: usize) -> Vec<String> {
    let text = said.split(|byte| *byte == b'\n').map(escape).filter(|line| !line.trim().is_empty());
    let all: Vec<String> = text.collect();
    let last = all[all.len().saturating_sub(lines)..].iter();
    last.map(|line| if line.len() > LINE { format!("{}…", &line[..LINE]) } else { line.clone() }).collect()
}
