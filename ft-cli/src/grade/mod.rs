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
mod crew;
mod facts;
mod plan;
mod script;
mod stage;
mod trial;
mod verdict;

use std::time::Instant;

use ft_core::dialect::TextEnd;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use checks::lab_b::Talk;
use checks::{lab_a, lab_b};
use facts::{Facts, last_lines};
use plan::{Check, Plan};
use stage::{NoStage, Stage};

pub use checks::lab_b::Verb;
pub use facts::last_lines as lines_of;
pub use stage::Command;
pub use verdict::{Control, Finding, Grade, Role, Verdict};

use crate::jail::Limits;
use crate::limits::{GRADE_CONTROLS, GRADE_WORKERS};

/// Which protocol the programs speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Lab A.
    Pipe,
    /// Lab B, with what is asked for.
    Addfile(Verb),
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
            Self::Opaque => "opaque",
        }
    }

    /// The port that the lab's text has.
    fn port(self) -> u16 {
        match self {
            Self::Pipe => 65_432,
            Self::Addfile(_) => 80,
            Self::Opaque => 65_432,
        }
    }

    fn control(self, role: Role, end: TextEnd) -> Plan {
        match (self, role) {
            (Self::Pipe, Role::Client) => lab_a::client_control(end),
            (Self::Pipe, Role::Server | Role::Pair) => lab_a::server_control(end),
            (Self::Addfile(verb), Role::Client) => lab_b::client_control(Talk { verb, end }),
            (Self::Addfile(verb), Role::Server | Role::Pair) => lab_b::server_control(Talk { verb, end }),
        }
    }

    fn checks(self, role: Role, end: TextEnd) -> Vec<Check> {
        match (self, role) {
            (Self::Pipe, Role::Client) => lab_a::client_checks(end),
            (Self::Pipe, Role::Server | Role::Pair) => lab_a::server_checks(end),
            (Self::Addfile(verb), Role::Client) => lab_b::client_checks(Talk { verb, end }),
            (Self::Addfile(verb), Role::Server | Role::Pair) => lab_b::server_checks(Talk { verb, end }),
        }
    }
}

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
        self.only.is_empty() || self.only.iter().any(|only| *only == id || *only == check.pitfall.id())
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
    let programs = [(Role::Server, &order.server), (Role::Client, &order.client)];
    for (role, command) in programs {
        let Some(command) = command else { continue };
        let stage = || Stage::new(command, order.port.unwrap_or(order.dialect.port()), order.limits, order.plain);
        let (control, end, isolation) = control(order, role, command, &stage).map_err(|NoStage(why)| why)?;
        grade.isolation = isolation;
        let is_broken = control.broken.is_some();
        grade.controls.push(control);
        if is_broken {
            continue;
        }
        let mut checks = order.dialect.checks(role, end);
        checks.retain(|check| order.wants(check));
        let mut next = order.dialect.control(role, end);
        // Another name than that of the run before: what it left must not be taken for what is new.
        rename(&mut next);
        let points = |check: &Check| order.points.get(check.pitfall.id()).copied().unwrap_or(1.0);
        let mut findings = crew::run(&checks, &next, order.workers, &stage, &points, done).map_err(|NoStage(why)| why)?;
        findings.sort_by_key(|finding| finding.pitfall);
        grade.findings.extend(findings);
    }
    grade.took = begun.elapsed();
    Ok(grade)
}

/// The same transfer under another name of the same length.
fn rename(plan: &mut Plan) {
    let (old, new) = (plan.input.name.clone(), "next.txt".to_owned());
    plan.input.stored = plan.input.stored.replace(&old, &new);
    for act in &mut plan.script {
        act.replace(old.as_bytes(), new.as_bytes());
    }
    plan.input.name = new;
}

/// The plain transfer: whether the program works at all, and how its texts end.
fn control(
    order: &Order,
    role: Role,
    command: &Command,
    stage: &dyn Fn() -> Result<Stage, NoStage>,
) -> Result<(Control, TextEnd, String), NoStage> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let mut stage = stage()?;
    let isolation = stage.isolation();
    let mut control =
        Control { role, command: command.shown.clone(), broken: None, said: Vec::new(), events: Vec::new(), text: None };
    let ends = order.text.map_or(vec![TextEnd::Bare, TextEnd::Newline], |end| vec![end]);
    let mut first = None;
    for _ in 0..GRADE_CONTROLS {
        for end in &ends {
            let plan = order.dialect.control(role, *end);
            let result: Result<Facts, NoStage> =
                runtime.block_on(LocalSet::new().run_until(trial::run(&mut stage, role, &plan, &plan)));
            let broken = match &result {
                Ok(facts) => facts.fault(&plan, role),
                Err(NoStage(why)) => Some(why.clone()),
            };
            let facts = result.unwrap_or_default();
            if broken.is_none() {
                control.broken = None;
                (control.said, control.events) = (facts.said, facts.events);
                control.text = matches!(order.dialect, Dialect::Addfile(_)).then_some(match end {
                    TextEnd::Bare => "bare texts",
                    TextEnd::Newline => "texts in lines",
                });
                return Ok((control, *end, isolation));
            }
            first.get_or_insert((broken, facts));
        }
    }
    if let Some((broken, facts)) = first {
        let said = last_lines(&facts.said, 1).join(" ");
        let said = if said.is_empty() { said } else { format!("; it printed: {said}") };
        control.broken = broken.map(|why| format!("{why}{said}"));
        (control.said, control.events) = (facts.said, facts.events);
    }
    Ok((control, TextEnd::Bare, isolation))
}
