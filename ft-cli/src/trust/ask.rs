//! Questions that only a person may answer, and answers that nobody may see: on the terminal itself, never on standard
//! input, which may be the file to send.

use std::io;

use zeroize::Zeroizing;

/// Whether there is somebody to ask: standard error is a terminal, and it can be spoken to.
pub fn somebody_is_there() -> bool {
    use io::IsTerminal as _;
    io::stderr().is_terminal() && terminal::can_be_opened()
}

/// Shows a question and returns the line that is typed, at most two minutes later. `None` if nobody
/// answered.
pub async fn ask(question: String) -> Option<Zeroizing<String>> {
    // A thread that still waits for a key does not hold up the end of the program.
    let answer = tokio::task::spawn_blocking(move || terminal::ask(&question));
    tokio::time::timeout(super::limits::ANSWER_TIME, answer).await.ok()?.ok()?.ok()
}

#[cfg(unix)]
mod terminal {
    use std::fs::{File, OpenOptions};
    use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};

    use zeroize::Zeroizing;

    /// Longest answer, bytes.
    const ANSWER: u64 = 1024;

    fn open() -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open("/dev/tty")
    }

    pub(super) fn can_be_opened() -> bool {
        open().is_ok()
    }

    pub(super) fn ask(question: &str) -> io::Result<Zeroizing<String>> {
        let mut terminal = open()?;
        terminal.write_all(question.as_bytes())?;
        // Room for all of it: a growing text would leave copies behind.
        let mut answer = Zeroizing::new(String::with_capacity(1024));
        BufReader::new(terminal.take(ANSWER)).read_line(&mut answer)?;
        Ok(Zeroizing::new(answer.trim().to_owned()))
    }
}

#[cfg(not(unix))]
mod terminal {
    use std::io;

    use zeroize::Zeroizing;

    pub(super) fn can_be_opened() -> bool {
        use io::IsTerminal as _;
        io::stdin().is_terminal()
    }

    pub(super) fn ask(question: &str) -> io::Result<Zeroizing<String>> {
        eprint!("{question}");
        let mut answer = Zeroizing::new(String::with_capacity(1024));
        io::stdin().read_line(&mut answer)?;
        Ok(Zeroizing::new(answer.trim().to_owned()))
    }
}
