//! Puts anybody's client and server, in any language, through the schedules of the simulator, and names the pitfalls.
//!
//! ```text
//!   plan ── what is tried: a file, what our side says, a schedule, what must hold        checks/ ── by dialect
//!   stage ── a program in its jail        script ── our side        trial ── one run: facts
//!   crew ── all checks, side by side, what falls three times        facts ── what was wanted and what came
//!   verdict ── findings, as values        report/ ── terminal, JSON, JUnit, Gradescope, HTML
//! ```
//!
//! A program is told nothing, and knows nothing of it: it talks to a peer that keeps its dialect to the letter, through a
//! proxy ([`crate::proxy`]) that cuts, merges, delays and ends the streams where the kernel says that it is exact.

mod checks;
#[cfg(target_arch = "x86_64")]
mod clamp;
#[cfg(not(target_arch = "x86_64"))]
#[path = "no_clamp.rs"]
mod clamp;
mod control;
mod crew;
mod facts;
mod plan;
pub mod report;
mod script;
mod stage;
mod trial;
mod verdict;

use std::time::Instant;

use ft_core::dialect::{Pitfall, TextEnd, Whose};

use plan::Check;
use stage::{NoStage, Stage};
use trial::Cast;

pub use checks::lab_b::Verb;
pub use stage::Command;
pub use verdict::{Control, Finding, Grade, Role, Verdict};

use crate::jail::{self, Limits};
use crate::limits::GRADE_WORKERS;

/// Which protocol the programs speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Lab A.
    Pipe,
    /// Lab B, with what is asked for.
    Addfile(Verb),
    /// This project's own protocol: the other side is this program.
    Ft1,
    /// Whatever the two programs speak to each other.
    Opaque,
}

impl Dialect {
    /// Its name on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pipe => "pipe",
            Self::Addfile(_) => "addfile",
            Self::Ft1 => "ft1",
            Self::Opaque => "opaque",
        }
    }

    /// The port that the lab's text has.
    fn port(self) -> u16 {
        match self {
            Self::Pipe => 65_432,
            Self::Addfile(_) => 80,
            Self::Ft1 | Self::Opaque => 65_432,
        }
    }
}

/// What a first lab asks for: messages are not reads, and a short file is no file.
const BASIC: &[Pitfall] = &[
    Pitfall::CoalescedMessages,
    Pitfall::SplitHeader,
    Pitfall::SplitDigits,
    Pitfall::RecvIsNotMessage,
    Pitfall::HeaderBodyMerge,
    Pitfall::StatusDataMerge,
    Pitfall::EofIsSuccess,
    Pitfall::SplitAck,
    Pitfall::MergedAcks,
    Pitfall::EmptyConnection,
    Pitfall::NoTimeout,
];

/// What is to be graded, and how.
#[derive(Clone, Debug)]
pub struct Order {
    /// The protocol.
    pub dialect: Dialect,
    /// The server, if one is graded.
    pub server: Option<Command>,
    /// The client, if one is graded.
    pub client: Option<Command>,
    /// How texts end, if it is known; otherwise both readings are tried.
    pub text: Option<TextEnd>,
    /// The port that the programs use, if it is not the lab's.
    pub port: Option<u16>,
    /// Only findings with these ids.
    pub only: Vec<String>,
    /// Pitfalls that this lab does not ask for.
    pub skip: Vec<String>,
    /// Only what a lab asks for; everything otherwise.
    pub basic: bool,
    /// Reads are clamped by ptrace, too.
    pub clamp: bool,
    /// Points by pitfall; one for each that is not named.
    pub points: std::collections::BTreeMap<String, f64>,
    /// What a program may use.
    pub limits: Limits,
    /// Without namespaces, though the kernel may have them.
    pub plain: bool,
    /// Programs side by side.
    pub workers: usize,
    /// Hints instead of explanations.
    pub for_students: bool,
}

impl Order {
    /// Nothing to grade yet, and the usual for the rest.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            server: None,
            client: None,
            text: None,
            port: None,
            only: Vec::new(),
            skip: Vec::new(),
            basic: false,
            clamp: false,
            points: std::collections::BTreeMap::new(),
            limits: Limits::default(),
            plain: false,
            workers: GRADE_WORKERS,
            for_students: false,
        }
    }

    fn wants(&self, check: &Check) -> bool {
        let id = format!("{}/{}", check.role.as_str(), check.pitfall);
        let is_skipped = self.skip.iter().any(|skip| *skip == check.pitfall.id());
        let is_asked = !self.basic || BASIC.contains(&check.pitfall);
        !is_skipped && is_asked && self.only.is_empty()
            || self.only.iter().any(|only| *only == id || *only == check.pitfall.id())
    }
}

/// Grades every program of an order, the server first. `done` hears of each finding as it is made.
///
/// # Errors
///
/// The grader itself could not go on: no jail, no such program. A program that merely does not work is a [`Control`].
pub fn grade(order: &Order, done: &(dyn Fn(&Finding) + Sync)) -> Result<Grade, String> {
    let begun = Instant::now();
    let mut grade = Grade {
        dialect: order.dialect.as_str(),
        controls: Vec::new(),
        findings: Vec::new(),
        isolation: String::new(),
        took: std::time::Duration::ZERO,
        for_students: order.for_students,
    };
    if order.dialect == Dialect::Ft1 {
        ft1(order, &mut grade, done).map_err(|NoStage(why)| why)?;
        grade.took = begun.elapsed();
        return Ok(grade);
    }
    let roles: &[Role] = match order.dialect {
        Dialect::Opaque => &[Role::Pair],
        Dialect::Pipe | Dialect::Addfile(_) | Dialect::Ft1 => &[Role::Server, Role::Client],
    };
    for role in roles {
        let is_there = match role {
            Role::Server => order.server.is_some(),
            Role::Client => order.client.is_some(),
            Role::Pair => order.server.is_some() && order.client.is_some(),
        };
        if is_there {
            one(order, *role, &mut grade, done).map_err(|NoStage(why)| why)?;
        }
    }
    grade.took = begun.elapsed();
    Ok(grade)
}

/// Each program against this one, which keeps the protocol: what falls is the other's fault.
fn ft1(order: &Order, grade: &mut Grade, done: &(dyn Fn(&Finding) + Sync)) -> Result<(), NoStage> {
    let ours = jail::program()?;
    let ours = |words: &[&str]| {
        let words = words.iter().map(|word| (*word).to_owned());
        let words = std::iter::once(ours.to_string_lossy().into_owned()).chain(words).collect();
        Command::new(words, std::path::Path::new("/")).map_err(NoStage)
    };
    let sides = [(Role::Server, &order.server), (Role::Client, &order.client)];
    for (role, graded) in sides {
        let Some(graded) = graded else { continue };
        let (server, client) = match role {
            Role::Client => (ours(&["serve", ".", "--listen", "0.0.0.0:{port}", "--timeout", "2"])?, graded.clone()),
            Role::Server | Role::Pair => {
                let to = ["put", "{file}", "{host}:{port}", "--timeout", "2", "--retries", "0"];
                (graded.clone(), ours(&to)?)
            }
        };
        let of_role = |id: &String| match id.split_once('/') {
            Some((side, pitfall)) => (side == role.as_str()).then(|| format!("{}/{pitfall}", Role::Pair.as_str())),
            None => Some(id.clone()),
        };
        let only: Vec<String> = order.only.iter().filter_map(of_role).collect();
        if only.is_empty() && !order.only.is_empty() {
            continue;
        }
        let pair = Order { server: Some(server), client: Some(client), only, ..order.clone() };
        let (controls, findings) = (grade.controls.len(), grade.findings.len());
        let named = |finding: &Finding| done(&Finding { role, ..finding.clone() });
        one(&pair, Role::Pair, grade, &named)?;
        for control in &mut grade.controls[controls..] {
            (control.role, control.command) = (role, graded.shown.clone());
        }
        for finding in &mut grade.findings[findings..] {
            (finding.role, finding.whose) = (role, Some(Whose::Implementation));
        }
        if role == Role::Client {
            // These are about who listens, and that is us.
            let about_servers = [Pitfall::EmptyConnection, Pitfall::TimeWait];
            let mut number = 0;
            grade.findings.retain(|finding| {
                number += 1;
                number <= findings || !about_servers.contains(&finding.pitfall)
            });
        }
    }
    Ok(())
}

/// Grades one program, or a pair.
fn one(order: &Order, role: Role, grade: &mut Grade, done: &(dyn Fn(&Finding) + Sync)) -> Result<(), NoStage> {
    let port = order.port.unwrap_or(order.dialect.port());
    let stage = |command: &Option<Command>, is_in: bool| {
        let made =
            command.as_ref().filter(|_| is_in).map(|command| Stage::new(command, port, order.limits, order.plain));
        made.transpose()
    };
    let cast = || -> Result<Cast, NoStage> {
        Ok(Cast {
            server: stage(&order.server, role != Role::Client)?,
            client: stage(&order.client, role != Role::Server)?,
        })
    };
    let commands = [(&order.server, role != Role::Client), (&order.client, role != Role::Server)];
    let command = commands.iter().filter(|(_, is_in)| *is_in).filter_map(|(command, _)| command.as_ref());
    let mut control = Control {
        role,
        command: command.map(|command| command.shown.as_str()).collect::<Vec<_>>().join(" and "),
        broken: None,
        said: Vec::new(),
        events: Vec::new(),
        text: None,
        notes: Vec::new(),
    };
    let plain = control::run(order.dialect, order.text, role, cast()?, &mut control)?;
    grade.isolation = plain.isolation;
    if control.broken.is_some() {
        grade.controls.push(control);
        return Ok(());
    }
    let mut checks = plain.checks;
    checks.retain(|check| order.wants(check));
    if order.clamp {
        for check in &mut checks {
            check.plans = std::mem::take(&mut check.plans).into_iter().map(|plan| plan.clamped(role)).collect();
        }
    }
    let points = |check: &Check| order.points.get(check.pitfall.id()).copied().unwrap_or(1.0);
    let (mut findings, notes) = crew::run(&checks, &plain.next, order.workers, &cast, &points, done)?;
    control.notes.extend(notes);
    control.notes.sort();
    control.notes.dedup();
    grade.controls.push(control);
    findings.sort_by_key(|finding| finding.pitfall);
    grade.findings.extend(findings);
    Ok(())
}
