//! The plain transfer: whether a program works at all, how its texts end, and what two programs say to each other.

use ft_core::dialect::TextEnd;
use tokio::runtime::Builder;
use tokio::task::LocalSet;

use super::checks::lab_b::Talk;
use super::checks::{lab_a, lab_b, opaque, run as plain_run};
use super::facts::{Facts, last_lines};
use super::plan::{Check, Input, Plan, content};
use super::stage::NoStage;
use super::trial::Cast;
use super::verdict::{Control, Role};
use super::{Dialect, Stage};
use crate::limits::GRADE_CONTROLS;

/// What follows from a plain transfer that went well.
pub(super) struct Plain {
    /// What is looked for.
    pub(super) checks: Vec<Check>,
    /// The transfer of the next client.
    pub(super) next: Plan,
    /// How the programs are kept apart from the machine.
    pub(super) isolation: String,
}

/// One way in which a plain transfer may go.
struct Reading {
    plan: Plan,
    end: TextEnd,
}

/// Tries the plain transfer in every reading that the dialect leaves open. `control` is told what came of it.
pub(super) fn run(
    dialect: Dialect,
    text: Option<TextEnd>,
    role: Role,
    mut cast: Cast,
    control: &mut Control,
) -> Result<Plain, NoStage> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let isolation = cast.server.as_ref().or(cast.client.as_ref()).map(Stage::isolation).unwrap_or_default();
    let readings = readings(dialect, text, role);
    let mut first: Option<(String, Facts)> = None;
    // Two messages in a row may come in one piece before anybody knows that they are two.
    let tries = if role == Role::Pair { 2 * GRADE_CONTROLS } else { GRADE_CONTROLS };
    for _ in 0..tries {
        for Reading { plan, end } in &readings {
            let result = runtime.block_on(LocalSet::new().run_until(cast.run(role, plan, plan)));
            let mut plan = plan.clone();
            let mut broken = match &result {
                Ok(facts) => facts.fault(&plan, role),
                Err(NoStage(why)) => Some(why.clone()),
            };
            let facts = result.unwrap_or_default();
            if role == Role::Pair && broken.is_some() && facts.has_succeeded() {
                // Nobody knows under which name it is stored, before it is.
                let receiver = if plan.input.down { &cast.client } else { &cast.server };
                if let Some(stored) = receiver.as_ref().and_then(|stage| stage.name_of(&plan.input.content)) {
                    plan.input.stored = stored;
                    broken = None;
                }
            }
            if let Some(broken) = broken {
                first.get_or_insert((broken, facts));
                continue;
            }
            control.text = matches!(dialect, Dialect::Addfile(_)).then_some(match end {
                TextEnd::Bare => "bare texts",
                TextEnd::Newline => "texts in lines",
            });
            let checks = checks(dialect, role, *end, &plan, &facts);
            (control.said, control.events, control.notes) = (facts.said, facts.events, facts.notes);
            return Ok(Plain { checks, next: renamed(plan), isolation });
        }
    }
    let (why, facts) = first.unwrap_or_default();
    let said = last_lines(&facts.said, 1).join(" ");
    let said = if said.is_empty() { said } else { format!("; it printed: {said}") };
    control.broken = Some(format!("{why}{said}"));
    (control.said, control.events, control.notes) = (facts.said, facts.events, facts.notes);
    let next = plain_run(Input::default(), Vec::new());
    Ok(Plain { checks: Vec::new(), next, isolation })
}

fn readings(dialect: Dialect, text: Option<TextEnd>, role: Role) -> Vec<Reading> {
    let ends = text.map_or(vec![TextEnd::Bare, TextEnd::Newline], |end| vec![end]);
    let plan = |end| match (dialect, role) {
        (Dialect::Pipe, Role::Client) => lab_a::client_control(end),
        (Dialect::Addfile(verb), Role::Client) => lab_b::client_control(Talk { verb, end }),
        (Dialect::Addfile(verb), Role::Server | Role::Pair) => lab_b::server_control(Talk { verb, end }),
        (Dialect::Pipe | Dialect::Opaque | Dialect::Ft1, _) => lab_a::server_control(end),
    };
    if matches!(dialect, Dialect::Opaque | Dialect::Ft1) {
        return [false, true]
            .map(|down| {
                let name = "data.txt".to_owned();
                let input = Input { stored: name.clone(), name, content: content(1_300), old: None, down };
                Reading { plan: plain_run(input, Vec::new()), end: TextEnd::Bare }
            })
            .into();
    }
    ends.into_iter().map(|end| Reading { plan: plan(end), end }).collect()
}

fn checks(dialect: Dialect, role: Role, end: TextEnd, plan: &Plan, facts: &Facts) -> Vec<Check> {
    match (dialect, role) {
        (Dialect::Opaque | Dialect::Ft1, _) => {
            let pieces = opaque::pieces(&facts.events);
            opaque::checks(&opaque::Seen { input: plan.input.clone(), pieces })
        }
        (Dialect::Pipe, Role::Client) => lab_a::client_checks(end),
        (Dialect::Pipe, Role::Server | Role::Pair) => lab_a::server_checks(end),
        (Dialect::Addfile(verb), Role::Client) => lab_b::client_checks(Talk { verb, end }),
        (Dialect::Addfile(verb), Role::Server | Role::Pair) => lab_b::server_checks(Talk { verb, end }),
    }
}

/// The same transfer under another name of the same length: what the run before left must not be taken for what is new.
fn renamed(mut plan: Plan) -> Plan {
    let (old, new) = (plan.input.name.clone(), "next.txt".to_owned());
    plan.input.stored = plan.input.stored.replace(&old, &new);
    for act in &mut plan.script {
        act.replace(old.as_bytes(), new.as_bytes());
    }
    plan.input.name = new;
    plan
}
