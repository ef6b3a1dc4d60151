//! A person at a terminal: a page, a line of input, the next page.
//!
//! Input is read by lines, in the terminal's own mode. So nothing needs to be put back when Control-C ends the program, and a
//! file or a pipe can play the person.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use super::draw::{WIDTH, wrap};
use super::lesson::Lesson;
use super::{Look, play, tell};
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
pub(super) fn run(lessons: &[Lesson], single: bool, look: Look, screen: &Screen) -> Result<(), Stop> {
    let mut at = 0;
    if !single {
        match welcome(lessons, screen) {
            Wish::Quit => return Ok(()),
            Wish::Answer(number) => at = number - 1,
            Wish::Next | Wish::Back => {}
        }
    }
    while let Some(lesson) = lessons.get(at) {
        match show(lesson, look, screen)? {
            Left::Quit => return Ok(()),
            Left::Forward => at += 1,
            Left::Backward => at = at.saturating_sub(1),
        }
    }
    Ok(())
}

fn welcome(lessons: &[Lesson], screen: &Screen) -> Wish {
    const WORDS: &str = "Twelve lessons about TCP, of two to four minutes each. A lesson shows a few lines of code and asks \
                         what will happen. Then the code runs, in a network that does what TCP allows.";
    let mut text = wrap(WORDS, WIDTH).join("\n") + "\n";
    for lesson in lessons {
        text += &format!("\n{:>4}. {}", lesson.number, lesson.text.title);
    }
    screen.line(&(text + "\n"));
    prompt(&format!("Enter: begin  1-{}: that lesson  q: quit", lessons.len()), lessons.len())
}

fn show(lesson: &Lesson, look: Look, screen: &Screen) -> Result<Left, Stop> {
    let ask = tell::ask(lesson);
    let choices = lesson.text.question.choices.len();
    'question: loop {
        screen.line(&look.page(lesson, &ask, 1, 1 + pages_after(lesson)));
        let chosen = match prompt(&format!("1-{choices}: your answer  Enter: just show me  b: back  q: quit"), choices)
        {
            Wish::Answer(number) => Some(number - 1),
            Wish::Next => None,
            Wish::Back => return Ok(Left::Backward),
            Wish::Quit => return Ok(Left::Quit),
        };
        let shown = play(lesson)?;
        let pages = tell::pages(lesson, &shown, chosen, true);
        let mut at = 0;
        while let Some(page) = pages.get(at) {
            screen.line(&look.page(lesson, page, at + 2, 1 + pages.len()));
            match prompt("Enter: next  b: back  q: quit", 0) {
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
pub(super) fn pages_after(lesson: &Lesson) -> usize {
    2 + 2 * lesson.text.runs.len() + usize::from(lesson.text.search.is_some())
}

/// Asks until the answer makes sense. The end of the input is a wish to leave.
fn prompt(text: &str, answers: usize) -> Wish {
    loop {
        let mut out = io::stdout().lock();
        // A terminal that is gone is noticed by the next read.
        let _ = write!(out, "{text} > ").and_then(|()| out.flush());
        drop(out);
        let mut line = String::new();
        let read = io::Read::take(io::stdin().lock(), LINE).read_line(&mut line);
        // A terminal shows the line feed that ends an answer. Where there is none, it is made up for.
        if !line.ends_with('\n') || !io::stdin().is_terminal() {
            println!();
        }
        match read {
            Ok(0) | Err(_) => return Wish::Quit,
            Ok(_) => {}
        }
        match wish(&line, answers) {
            Some(wish) => return wish,
            None => println!("That was none of these."),
        }
    }
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
