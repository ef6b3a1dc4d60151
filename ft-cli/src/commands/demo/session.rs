//! A person at a terminal: a page, a line of input, the next page.
//!
//! Input is read by lines, in the terminal's own mode. So nothing needs to be put back when Control-C ends the program, and a
//! file or a pipe can play the person.

use std::io::{self, BufRead as _, IsTerminal as _};

use super::draw::{WIDTH, wrap};
use super::lesson::Lesson;
use super::{Look, play, tell};
use crate::commands::sim::put;
use crate::exit::Stop;
use crate::render::Screen;

/// Longest line that is read, bytes: an answer has one.
const LINE: u64 = 1024;

/// What a person wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Next,
    Back,
    Quit,
    Answer(usize),
}

/// What came of a lesson.
enum Left {
    /// It was shown to its end.
    Forward,
    /// Back from its first page.
    Backward,
    Quit,
}

/// Shows lessons one after the other; a single one ends with itself.
pub(super) fn run(lessons: &[Lesson], single: bool, real: bool, look: Look, screen: &Screen) -> Result<(), Stop> {
    let mut at = 0;
    if !single {
        match welcome(lessons, screen)? {
            Wish::Quit => return Ok(()),
            Wish::Answer(number) => at = number - 1,
            Wish::Next | Wish::Back => {}
        }
    }
    while let Some(lesson) = lessons.get(at) {
        match show(lesson, at + 1 == lessons.len(), real, look, screen)? {
            Left::Quit => return Ok(()),
            Left::Forward => at += 1,
            Left::Backward => at = at.saturating_sub(1),
        }
    }
    Ok(())
}

fn welcome(lessons: &[Lesson], screen: &Screen) -> Result<Wish, Stop> {
    const WORDS: &str = "Twelve lessons about TCP, of two to four minutes each. A lesson shows a few lines of code and asks \
                         what will happen. Then the code runs, in a network that does what TCP allows.";
    let mut text = wrap(WORDS, WIDTH).join("\n") + "\n";
    for lesson in lessons {
        text += &format!("\n{:>4}. {}", lesson.number, lesson.text.title);
    }
    screen.line(&(text + "\n"));
    prompt(&format!("Enter: begin  1-{}: that lesson  q: quit", lessons.len()), lessons.len())
}

/// One lesson; behind the `last` one there is nothing more.
fn show(lesson: &Lesson, last: bool, real: bool, look: Look, screen: &Screen) -> Result<Left, Stop> {
    let ask = tell::ask(lesson);
    let choices = lesson.text.question.choices.len();
    'question: loop {
        screen.line(&look.page(lesson, &ask, 1, 1 + pages_after(lesson, real)));
        let ask = format!("1-{choices}: your answer  Enter: just show me  b: back  q: quit");
        let chosen = match prompt(&ask, choices)? {
            Wish::Answer(number) => Some(number - 1),
            Wish::Next => None,
            Wish::Back => return Ok(Left::Backward),
            Wish::Quit => return Ok(Left::Quit),
        };
        if real && !lesson.text.runs.is_empty() {
            // Silence is shorter over real TCP than the minute that the simulator jumps over, and still takes its time.
            screen.line("Over real TCP this may take some seconds.");
        }
        let shown = play(lesson, real)?;
        let pages = tell::pages(lesson, &shown, chosen, true);
        let mut at = 0;
        while let Some(page) = pages.get(at) {
            screen.line(&look.page(lesson, page, at + 2, 1 + pages.len()));
            let end = last && at + 1 == pages.len();
            match prompt(if end { "Enter: end  b: back" } else { "Enter: next  b: back  q: quit" }, 0)? {
                Wish::Next | Wish::Answer(_) => at += 1,
                Wish::Quit => return Ok(Left::Quit),
                Wish::Back if at == 0 => continue 'question,
                Wish::Back => at -= 1,
            }
        }
        return Ok(Left::Forward);
    }
}

/// Pages that follow the question.
pub(super) fn pages_after(lesson: &Lesson, real: bool) -> usize {
    2 + (2 + usize::from(real)) * lesson.text.runs.len() + usize::from(lesson.text.search.is_some())
}

/// Asks until the answer makes sense. The end of the input is a wish to leave.
///
/// # Errors
///
/// Standard output cannot be written to.
fn prompt(text: &str, answers: usize) -> Result<Wish, Stop> {
    loop {
        say(&format!("{text} > "))?;
        let mut line = String::new();
        let read = io::Read::take(io::stdin().lock(), LINE).read_line(&mut line);
        // A terminal shows the line feed that ends an answer. Where there is none, it is made up for.
        if !line.ends_with('\n') || !io::stdin().is_terminal() {
            say("\n")?;
        }
        match read {
            Ok(0) | Err(_) => return Ok(Wish::Quit),
            Ok(_) => {}
        }
        match wish(&line, answers) {
            Some(wish) => return Ok(wish),
            None => say("That was none of these.\n")?,
        }
    }
}

fn say(text: &str) -> Result<(), Stop> {
    put(text.as_bytes(), None)
}

fn wish(line: &str, answers: usize) -> Option<Wish> {
    match line.trim() {
        "" | "n" => Some(Wish::Next),
        "b" => Some(Wish::Back),
        "q" => Some(Wish::Quit),
        text => text.parse().ok().filter(|number| (1..=answers).contains(number)).map(Wish::Answer),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_is_a_wish_or_none() {
        assert_eq!(wish("\n", 3), Some(Wish::Next));
        assert_eq!(wish(" b \n", 3), Some(Wish::Back));
        assert_eq!(wish("q\r\n", 3), Some(Wish::Quit));
        assert_eq!(wish("3\n", 3), Some(Wish::Answer(3)));
        for bad in ["4", "0", "-1", "yes", "1 2", "\u{1b}[A"] {
            assert_eq!(wish(bad, 3), None, "{bad:?}");
        }
    }
}
