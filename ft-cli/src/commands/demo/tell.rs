//! A lesson and what came of it, as pages. Words about outcomes are taken from the runs here and nowhere else.

use ft_core::dialect::pitfall::{Lab, Pitfall, Whose};
use ft_core::dialect::witness::{Then, witnesses};
use ft_sim::replay;
use ft_sim::scenario::Played;
use ft_sim::trace::escape;

use super::lesson::{Lesson, Run};
use super::live::Round;
use super::page::{Answer, Block, Page};
use super::stage::{Pair, Searched, Shown};
use super::streams::streams;
use super::words;

/// The page before anything is run: aim, code, question.
pub(crate) fn ask(lesson: &Lesson) -> Page {
    let text = &lesson.text;
    let lines = text.code.lines.lines().map(str::to_owned).collect();
    let code = Block::Code { from: text.code.from.clone(), lines, guilty: text.code.guilty.clone() };
    let choices = text.question.choices.iter();
    let answers = choices.map(|choice| Answer { text: choice.text.clone(), verdict: None }).collect();
    let blocks = vec![
        Block::Say(format!("Afterwards: {}", lower_first(&text.aim))),
        code,
        Block::Say(text.question.ask.clone()),
        Block::Answers(answers),
    ];
    Page { heading: "what do you expect?".to_owned(), blocks }
}

/// Everything after the question. `chosen` is an answer's place, from 0; without one, all are judged.
pub(crate) fn pages(lesson: &Lesson, shown: &Shown, chosen: Option<usize>) -> Vec<Page> {
    let mut pages = vec![happened(lesson, shown, chosen)];
    for (number, (run, pair)) in (1..).zip(lesson.text.runs.iter().zip(&shown.pairs)) {
        pages.push(steps(run, &pair.broken, number));
        pages.push(beside(run, pair));
    }
    pages.extend(shown.search.as_ref().map(smallest));
    pages.push(remember(lesson, shown));
    pages
}

fn happened(lesson: &Lesson, shown: &Shown, chosen: Option<usize>) -> Page {
    let mut blocks = Vec::new();
    if let Some(both) = &shown.localhost {
        let row = |name: &str, whole: u64| vec![name.to_owned(), format!("{whole} of {}", both.times)];
        blocks.push(Block::Counts {
            heads: vec!["the same program, the same file".to_owned(), "arrived whole".to_owned()],
            rows: vec![
                row("real TCP over localhost, just now", both.loopback),
                row("simulated networks that cut and delay", both.random),
            ],
        });
    } else if let Some(pair) = shown.pairs.first() {
        blocks.push(Block::Compare { heads: [String::new(), String::new()], rows: beliefs(&pair.broken) });
    }
    if let Some(timed) = &shown.timed {
        let row = |name: &str, round: &Round| {
            let each = [round.first, round.second, round.answer].map(span);
            [vec![name.to_owned()], each.to_vec()].concat()
        };
        let heads = ["median of a round, just now", "server has 1st", "has 2nd", "client has answer"];
        blocks.push(Block::Counts {
            heads: heads.map(str::to_owned).to_vec(),
            rows: vec![
                row("send, send, recv", &timed.plain),
                row("the same with TCP_NODELAY", &timed.nodelay),
                row("one send, recv", &timed.one_write),
            ],
        });
        if timed.plain.whole_millis() < 30 {
            let text = "This system shows no delay: its kernel acknowledges at once, or does not hold small pieces back. \
                        On Linux with default settings it takes about 40 ms.";
            blocks.push(Block::Say(text.to_owned()));
        }
    }
    if let Some(survey) = &lesson.text.survey {
        let faults = survey.faults.iter().map(|fault| format!("{fault:>9}"));
        let heads = [vec!["broken by, at how many places".to_owned()], faults.collect()].concat();
        let row = |row: &super::survey::Row| {
            let counts = row.counts.iter().map(|(fallen, all)| format!("{fallen} of {all}"));
            [vec![row.case.clone()], counts.collect()].concat()
        };
        blocks.push(Block::Counts { heads, rows: shown.survey.iter().map(row).collect() });
    }
    blocks.push(Block::Answers(judged(lesson, shown, chosen)));
    if let Some(chosen) = chosen {
        let right = shown.right.get(chosen) == Some(&true);
        let told = if right { "As you said." } else { "Many people choose what you chose; the reason is below it." };
        blocks.insert(0, Block::Say(format!("You said {}. {told}", chosen + 1)));
    }
    Page { heading: "what happened".to_owned(), blocks }
}

/// All answers with their verdicts; of a chosen one, and the right one, the reasons too.
fn judged(lesson: &Lesson, shown: &Shown, chosen: Option<usize>) -> Vec<Answer> {
    let choices = lesson.text.question.choices.iter().zip(&shown.right).enumerate();
    let judge = |(i, (choice, &right)): (usize, (&super::lesson::Choice, &bool))| {
        let told = chosen.is_none_or(|chosen| chosen == i) || right;
        let why = if told { choice.why.clone() } else { String::new() };
        Answer { text: choice.text.clone(), verdict: Some((right, why)) }
    };
    choices.map(judge).collect()
}

fn beliefs(played: &Played) -> Vec<[String; 3]> {
    let row = |label: &str, text: String| [label.to_owned(), text, String::new()];
    vec![
        row("client says", words::said(&played.outcome.client)),
        row("server says", words::said(&played.outcome.server)),
        row("on disk", words::disk(&played.outcome.files)),
        row("promises", words::promise(played)),
    ]
}

fn steps(run: &Run, broken: &Played, number: usize) -> Page {
    let blocks = vec![
        Block::Say(format!("{} {}", run.shows, words::schedule(&broken.run.schedule))),
        Block::Lanes(broken.run.events.clone()),
        Block::Say(format!("Look at: {}", lower_first(&run.look))),
    ];
    let heading = if number == 1 { "step by step" } else { "one more, step by step" };
    Page { heading: heading.to_owned(), blocks }
}

fn beside(run: &Run, pair: &Pair) -> Page {
    let Pair { broken, fixed } = pair;
    let mut blocks = vec![Block::Say(format!("{}:", broken.case)), uneven(broken)];
    blocks.push(Block::Say(format!("{}, under the same schedule:", fixed.case)));
    blocks.push(uneven(fixed));
    blocks.push(compare(pair));
    blocks.push(Block::Say(run.how.clone()));
    Page { heading: "as it is, and done right".to_owned(), blocks }
}

/// The client's direction, and the other if anything there is worth a look.
fn uneven(played: &Played) -> Block {
    let all = streams(&played.run.events);
    let is_even = |stream: &super::streams::Stream| {
        let writes: Vec<usize> = stream.writes.iter().map(|(end, _)| *end).collect();
        writes == stream.reads && stream.short().is_empty()
    };
    Block::Streams(all.into_iter().filter(|stream| !stream.from_server || !is_even(stream)).collect())
}

fn compare(pair: &Pair) -> Block {
    let Pair { broken, fixed } = pair;
    let row = |label: &str, of: &dyn Fn(&Played) -> String| [label.to_owned(), of(broken), of(fixed)];
    Block::Compare {
        heads: [broken.case.to_owned(), fixed.case.to_owned()],
        rows: vec![
            row("client says", &|played| words::said(&played.outcome.client)),
            row("server says", &|played| words::said(&played.outcome.server)),
            row("on disk", &|played| words::disk(&played.outcome.files)),
            row("promises", &words::promise),
        ],
    }
}

fn smallest(search: &Searched) -> Page {
    let heading = "the smallest counterexample".to_owned();
    let Some(found) = &search.found else {
        let text = format!("{} random schedules were tried just now: none broke this program.", search.runs);
        return Page { heading, blocks: vec![Block::Say(text)] };
    };
    let Pair { broken, .. } = &found.pair;
    let schedule = &broken.run.schedule;
    let others = match search.others {
        0 => String::new(),
        n => format!(" ({n} before it broke something else)"),
    };
    let text = format!(
        "Random schedules were tried just now. Number {} broke it{others}, with {}. Taking steps away as long as it still \
         broke left {}, after {} more runs:",
        search.runs,
        count(found.deviations, "step"),
        count(schedule.deviations(), "step"),
        found.shrink_runs
    );
    let mut blocks = vec![
        Block::Say(text),
        Block::Literal(schedule.to_string()),
        Block::Say(words::schedule(schedule)),
        uneven(broken),
        compare(&found.pair),
        Block::Say("See it again:".to_owned()),
    ];
    blocks.push(Block::Literal(format!("ft-cli sim replay '{}'", replay::line(broken.case, schedule))));
    Page { heading, blocks }
}

fn remember(lesson: &Lesson, shown: &Shown) -> Page {
    let text = &lesson.text;
    let mut blocks = vec![Block::Strong(text.remember.clone())];
    blocks.extend(blame(lesson, shown));
    blocks.push(Block::Say(format!("In the wild: {}. {}", text.wild.title, text.wild.what)));
    blocks.push(Block::Literal(text.wild.link.clone()));
    let next = match super::lesson::file(lesson.number + 1) {
        Some(_) => format!("Next: ft-cli demo {}.", lesson.number + 1),
        None => "That was the last one. Search a case of your own: docs/TESTING-YOUR-PROTOCOL.md.".to_owned(),
    };
    let more = text.runs.first().map(|run| format!(" Play with this one: ft-cli sim run {}", run.broken.scenario));
    blocks.push(Block::Say(next + &more.unwrap_or_default()));
    Page { heading: "to take home".to_owned(), blocks }
}

/// Whose fault it is; for a fault of the protocol, two meanings of the same bytes.
fn blame(lesson: &Lesson, shown: &Shown) -> Vec<Block> {
    let lab = match shown.pairs.first() {
        Some(pair) if pair.broken.case.starts_with("lab-b") => Lab::B,
        Some(_) | None => Lab::A,
    };
    let pitfalls = lesson.text.pitfalls.iter().filter_map(|id| Pitfall::ALL.iter().find(|pitfall| pitfall.id() == id));
    let mut blocks = Vec::new();
    for pitfall in pitfalls {
        let Some(whose) = pitfall.whose(lab) else { continue };
        let text = match whose {
            Whose::Implementation => "a fault of the program: a careful one stands on the same wire",
            Whose::Protocol => "a fault of the protocol: no program can repair it",
            Whose::Both => "the crash is the program's fault; a doubt remains that is the protocol's",
        };
        let mut text = format!("{pitfall}: {text}.");
        if let Some(row) = witnesses().iter().find(|row| row.pitfall == *pitfall && row.lab == lab) {
            let then = match row.one.then {
                Then::Silence => "silence",
                Then::Fin => "the end",
            };
            let (wire, one, other) = (escape(&row.one.wire()), row.one.means, row.other.means);
            text += &format!(" Who reads \"{wire}\" and then {then} cannot tell: {one}, or {other}?");
        }
        blocks.push(Block::Say(text));
    }
    blocks
}

/// A time as a range, so that equal systems say equal words.
fn span(time: std::time::Duration) -> String {
    match time.as_millis() {
        0..5 => "under 5 ms".to_owned(),
        5..30 => "5 to 30 ms".to_owned(),
        _ => "over 30 ms".to_owned(),
    }
}

fn count(number: usize, what: &str) -> String {
    match number {
        0 => format!("no {what}"),
        1 => format!("one {what}"),
        n => format!("{n} {what}s"),
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    // A word that is all capitals, such as RST, keeps them.
    match (chars.next(), chars.next()) {
        (Some(first), Some(second)) if second.is_lowercase() || second == ' ' => {
            first.to_lowercase().collect::<String>() + &text[first.len_utf8()..]
        }
        _ => text.to_owned(),
    }
}
