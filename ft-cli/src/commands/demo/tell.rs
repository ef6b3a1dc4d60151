//! A lesson and what came of it, as pages. Words about outcomes are taken from the runs here and nowhere else.

use ft_core::dialect::pitfall::{Lab, Pitfall, Whose};
use ft_core::dialect::witness::{Then, witnesses};
use ft_sim::scenario::Played;
use ft_sim::trace::{escape, lanes};
use ft_sim::{cases, replay};

use super::lesson::{Lesson, Run};
use super::live::Round;
use super::page::{Answer, Block, Page};
use super::real::Twin;
use super::stage::{Pair, Searched, Shown};
use super::streams::streams;
use super::words;

/// Said in place of an explanation that does not fit what happened.
const OTHERWISE: &str = "This run came to something else than the lesson was written for, so it explains nothing here.";

/// The page before anything is run: aim, code, question.
pub(crate) fn ask(lesson: &Lesson) -> Page {
    let text = &lesson.text;
    let lines = text.code.lines.lines().map(str::to_owned).collect();
    let code = Block::Code { from: text.code.from.clone(), lines, guilty: text.code.guilty.clone() };
    let choices = text.question.choices.iter();
    let answers = choices.map(|choice| Answer { text: choice.text.clone(), right: None, why: None }).collect();
    let blocks = vec![
        Block::Say(format!("Afterwards: {}", lower_first(&text.aim))),
        code,
        Block::Say(text.question.ask.clone()),
        Block::Answers(answers),
    ];
    Page { heading: "what do you expect?".to_owned(), blocks }
}

/// Everything after the question. `chosen` is an answer's place, from 0; without one, all are judged. Measured times are
/// shown as they are, or as ranges that are the same every time.
pub(crate) fn pages(lesson: &Lesson, shown: &Shown, chosen: Option<usize>, exact: bool) -> Vec<Page> {
    let mut pages = vec![happened(lesson, shown, chosen, exact)];
    for (number, (run, pair)) in (1..).zip(lesson.text.runs.iter().zip(&shown.pairs)) {
        pages.push(steps(run, &pair.broken, number));
        pages.push(beside(run, pair));
        pages.extend(shown.real.get(number - 1).map(|twins| over_tcp(twins)));
    }
    pages.extend(shown.search.as_ref().map(|search| smallest(search, &shown.pairs)));
    pages.push(remember(lesson, shown));
    pages
}

fn happened(lesson: &Lesson, shown: &Shown, chosen: Option<usize>, exact: bool) -> Page {
    let mut blocks = Vec::new();
    if let Some(both) = &shown.localhost {
        let row = |name: &str, whole: u64| vec![name.to_owned(), format!("{whole} of {}", both.times)];
        blocks.push(Block::Counts {
            heads: vec!["the same program, the same file".to_owned(), "arrived whole".to_owned()],
            rows: vec![
                row("real TCP over localhost, just now", both.loopback),
                row("simulated: cuts, delays, short sends", both.random),
            ],
        });
    } else if let Some(pair) = shown.pairs.first() {
        let mut facts = facts(&pair.broken).to_vec();
        facts.extend(words::waits(&pair.broken).map(|waits| ["that is".to_owned(), waits.to_owned()]));
        blocks.push(Block::Facts(facts));
    }
    if let Some(timed) = &shown.timed {
        let row = |name: &str, round: &Round| {
            let each = [round.first, round.second, round.answer].map(if exact { millis } else { span });
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
        // The lesson's code has the letters.
        let row = |(letter, row): (char, &super::survey::Row)| {
            let counts = row.counts.iter().map(|(fallen, all)| format!("{fallen} of {all}"));
            [vec![format!("{letter}: {}", row.case)], counts.collect()].concat()
        };
        blocks.push(Block::Counts { heads, rows: ('A'..).zip(&shown.survey).map(row).collect() });
    }
    blocks.push(Block::Answers(judged(lesson, shown, chosen)));
    if let Some(chosen) = chosen {
        let told = match shown.right.iter().position(|&right| right) {
            Some(right) if right == chosen => ", and so it is.".to_owned(),
            Some(right) => format!(". It is {}; below is why.", right + 1),
            None => ". It is none of these.".to_owned(),
        };
        blocks.insert(0, Block::Say(format!("You said {}{told}", chosen + 1)));
    }
    Page { heading: "what happened".to_owned(), blocks }
}

/// All answers with their verdicts; of a chosen one, and the right one, the reasons too.
fn judged(lesson: &Lesson, shown: &Shown, chosen: Option<usize>) -> Vec<Answer> {
    let choices = lesson.text.question.choices.iter().zip(&shown.right).enumerate();
    let judge = |(i, (choice, &right)): (usize, (&super::lesson::Choice, &bool))| {
        // An explanation of something else would be a canned word about an outcome.
        let told = (chosen.is_none_or(|chosen| chosen == i) || right) && right == choice.expected;
        Answer { text: choice.text.clone(), right: Some(right), why: told.then(|| choice.why.clone()) }
    };
    choices.map(judge).collect()
}

/// What each side believes, what lies on the disk, and which promise that breaks.
fn facts(played: &Played) -> [[String; 2]; 4] {
    let outcome = &played.outcome;
    [
        ["client says".to_owned(), words::said(played, &outcome.client)],
        ["server says".to_owned(), words::said(played, &outcome.server)],
        ["on disk".to_owned(), words::disk(&outcome.files)],
        ["promises".to_owned(), words::promise(played)],
    ]
}

fn steps(run: &Run, broken: &Played, number: usize) -> Page {
    let blocks = vec![
        Block::Say(format!("{} {}", run.shows, words::schedule(&broken.run.schedule))),
        Block::Lanes(words::told(broken).to_vec()),
        Block::Say(if run.seen.iter().all(|seen| lanes(words::told(broken)).contains(seen.as_str())) {
            format!("Look at: {}", lower_first(&run.look))
        } else {
            OTHERWISE.to_owned()
        }),
    ];
    let heading = if number == 1 { "step by step" } else { "one more, step by step" };
    Page { heading: heading.to_owned(), blocks }
}

fn beside(run: &Run, pair: &Pair) -> Page {
    let Pair { broken, fixed } = pair;
    let mut blocks = vec![
        uneven(&format!("{}, under {}", broken.case, words::under(&broken.run.schedule)), broken),
        uneven(&format!("{}, under the same", fixed.case), fixed),
        compare(pair, &["client says", "server says", "on disk", "promises"]),
        Block::Say(if fixed.run.violation.is_none() { run.how.clone() } else { OTHERWISE.to_owned() }),
    ];
    blocks.retain(|block| !is_blank(block));
    Page { heading: "as it is, and done right".to_owned(), blocks }
}

/// The client's direction, and the other if anything there is worth a look.
fn uneven(whose: &str, played: &Played) -> Block {
    let all = streams(words::told(played)).into_iter();
    let shown = all.filter(|stream| stream.is_text() && (!stream.from_server || stream.is_uneven()));
    Block::Streams(whose.to_owned(), shown.collect())
}

/// A picture without a row: what was written is no text.
fn is_blank(block: &Block) -> bool {
    matches!(block, Block::Streams(_, streams) if streams.is_empty())
}

fn compare(pair: &Pair, labels: &[&str]) -> Block {
    let Pair { broken, fixed } = pair;
    let rows = facts(broken).into_iter().zip(facts(fixed)).filter(|([label, _], _)| labels.contains(&label.as_str()));
    let rows = rows.map(|([label, left], [_, right])| [label, left, right]).collect();
    Block::Compare { heads: [broken.case.to_owned(), fixed.case.to_owned()], rows }
}

/// The kernel's word beside the simulator's: told once where they agree.
fn over_tcp(twins: &[Twin]) -> Page {
    let text = "The same programs and the same schedule over real TCP on 127.0.0.1, just now. A relay between the two \
                sockets does what the schedule says.";
    let mut blocks = vec![Block::Say(text.to_owned())];
    // Of a crash only the connection's part is real.
    if twins.iter().any(|twin| twin.simulated.run.schedule.to_string().contains("crash")) {
        let text = "The disk and its power cut are simulated here too: only the bytes went through the kernel.";
        blocks.push(Block::Say(text.to_owned()));
    }
    for twin in twins {
        let name = twin.simulated.case;
        match (&twin.real, twin.difference()) {
            (Err(why), _) => blocks.push(Block::Say(format!("{name} is not played there: {why}."))),
            (Ok(real), None) => {
                blocks.push(Block::Say(format!("{name} came to the same in both worlds:")));
                blocks.push(Block::Facts(facts(real).to_vec()));
            }
            (Ok(real), Some(difference)) => {
                blocks.push(Block::Say(format!("{name} came to something else: {difference}.")));
                blocks.push(Block::Facts(facts(real).to_vec()));
            }
        }
    }
    Page { heading: "over real TCP".to_owned(), blocks }
}

fn smallest(search: &Searched, pairs: &[Pair]) -> Page {
    let heading = "the smallest counterexample".to_owned();
    let Some(found) = &search.found else {
        let text = format!("{} random schedules were tried just now: none broke this program.", search.runs);
        return Page { heading, blocks: vec![Block::Say(text)] };
    };
    let Pair { broken, .. } = &found.pair;
    let schedule = &broken.run.schedule;
    let others = match search.others {
        0 => String::new(),
        n => format!(" ({n} broke something else)"),
    };
    let tried = format!("Of the random schedules tried just now, number {} broke it{others}", search.runs);
    let left = schedule.deviations();
    let text = match (found.deviations, left) {
        (0, _) => format!("{tried}, and that one did nothing at all: a perfect network is enough."),
        (before, 0) => {
            format!("{tried}, in {}, none of which was needed: a perfect network is enough.", steps_of(before))
        }
        (before, left) => {
            let runs = found.shrink_runs;
            format!("{tried}, in {}. In {runs} more runs it shrank to {}:", steps_of(before), steps_of(left))
        }
    };
    let mut blocks = vec![Block::Say(text)];
    if left > 0 {
        blocks.push(Block::Say(format!("{schedule}: {}", words::schedule(schedule))));
    }
    if pairs.iter().any(|pair| pair.broken.run.hash == broken.run.hash) {
        blocks.push(Block::Say(
            "It is the very run that you have just seen; nothing can be taken away from it.".to_owned(),
        ));
    } else {
        blocks.push(uneven(broken.case, broken));
        blocks.retain(|block| !is_blank(block));
        // The client's words would not fit the screen; the others say what it comes to.
        blocks.push(compare(&found.pair, &["server says", "on disk", "promises"]));
    }
    // The bare case is shorter, where the scenario's inputs make no other run of it.
    let bare = replay::line(broken.case, schedule);
    let is_same = cases::replay(&bare).is_ok_and(|(_, run)| run.hash == broken.run.hash);
    let line = if is_same { &bare } else { &broken.replay };
    blocks.push(command(&format!("sim replay '{line}'"), "see it again"));
    Page { heading, blocks }
}

fn remember(lesson: &Lesson, shown: &Shown) -> Page {
    let text = &lesson.text;
    let mut blocks = vec![Block::Strong(text.remember.clone())];
    blocks.extend(blame(lesson, shown));
    blocks.push(Block::Say(format!("In the wild. {}. {}", text.wild.title, text.wild.what)));
    blocks.push(Block::Link(text.wild.link.clone()));
    blocks.push(Block::Say("What next:".to_owned()));
    if let Some(run) = text.runs.first() {
        blocks.push(command(&format!("sim run {}", run.broken.scenario), "all plays of this one"));
    }
    if let Some(search) = &text.search
        && let Some(pair) = shown.pairs.get(search.run - 1)
    {
        blocks.push(command(&format!("sim explore --case {}", pair.broken.case), "search it yourself"));
    }
    if let Some(survey) = &text.survey
        && let Some(case) = survey.cases.first()
    {
        blocks.push(command(&format!("sim map {case}"), "the counts above, byte by byte"));
    }
    if super::lesson::file(lesson.number + 1).is_some() {
        blocks.push(command(&format!("demo {}", lesson.number + 1), "the next lesson"));
    } else {
        blocks
            .push(Block::Command("docs/TESTING-YOUR-PROTOCOL.md".to_owned(), "test a protocol of your own".to_owned()));
    }
    Page { heading: "to take home".to_owned(), blocks }
}

/// A command to type, and what it is for.
fn command(line: &str, what: &str) -> Block {
    Block::Command(format!("ft-cli {line}"), what.to_owned())
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
            Whose::Implementation => "is the program's fault: a careful one stands on the same wire",
            Whose::Protocol => "is the protocol's fault: no program can repair it",
            Whose::Both => "is both: the crash is the program's fault, a doubt remains that is the protocol's",
        };
        let mut text = format!("{pitfall} {text}.");
        if let Some(row) = witnesses().iter().find(|row| row.pitfall == *pitfall && row.lab == lab) {
            let then = match row.one.then {
                Then::Silence => "silence",
                Then::Fin => "the end",
            };
            let (wire, one, other) = (escape(&row.one.wire()), row.one.means, row.other.means);
            text += &format!(" \"{wire}\" and then {then} may mean: {one}; or: {other}.");
        }
        blocks.push(Block::Say(text));
    }
    blocks
}

/// A time as it was.
fn millis(time: std::time::Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1_000.0)
}

/// A time as a range, so that equal systems say equal words.
fn span(time: std::time::Duration) -> String {
    match time.as_millis() {
        0..5 => "under 5 ms".to_owned(),
        5..30 => "5 to 30 ms".to_owned(),
        _ => "over 30 ms".to_owned(),
    }
}

fn steps_of(number: usize) -> String {
    if number == 1 { "one step".to_owned() } else { format!("{number} steps") }
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
