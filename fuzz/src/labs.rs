//! The careful sides of both labs, whole, over a stream whose peer says anything.

use arbitrary::{Result, Unstructured};
use ft_core::dialect::addfile::{careful_client, careful_server};
use ft_core::dialect::pipe::careful as pipe;
use ft_core::dialect::{AtOnce, LabEvent, LabName, MemoryFiles, Never, Observer, Outcome, Quiet, TextEnd, addfile};

use super::cuts::Cuts;
use super::stream::{Script, run};
use super::wire::bytes;

/// Who we are, how the stream is cut and ends, then what the peer says in each flight.
pub fn labs(data: &[u8]) {
    let _ = play(&mut Unstructured::new(data));
}

fn play(u: &mut Unstructured<'_>) -> Result<()> {
    let who: u8 = u.arbitrary()?;
    let cuts = Cuts::read(u)?;
    let how = u.arbitrary::<u8>()?;
    let mut ending = Unstructured::new(std::slice::from_ref(&how));
    let mut flights = Vec::new();
    while !u.is_empty() {
        flights.push(bytes(u)?.to_vec());
    }
    let stream = Script::new(&mut ending, &flights, &cuts)?;
    let said = flights.concat();
    // A side whose time never comes must not pause either.
    if who & 0x80 == 0 {
        side(who, stream, &said, Never, false)
    } else {
        side(who, stream, &said, AtOnce, true)
    }
    Ok(())
}

/// What was there before.
const OLD: [(&str, &str); 2] = [("f", "old"), ("server_f", "old too")];

fn side<Q: Quiet>(who: u8, stream: Script, said: &[u8], mut quiet: Q, pause: bool) {
    let mut files = OLD
        .iter()
        .fold(MemoryFiles::new().with_capacity(1 << 16), |files, (name, old)| files.with(*name, old.as_bytes()));
    if who & 0x40 != 0 {
        files = files.with_failing_commits();
    }
    let before = files.clone();
    let (name, content) = (LabName::new("f").expect("a name"), b"content".as_slice());
    let text_end = if who & 0x20 == 0 { TextEnd::Bare } else { TextEnd::Newline };
    let options = addfile::Options { text_end, pause, ..addfile::Options::default() };
    let mut source = content;
    let mut heard = Heard::default();
    match who % 6 {
        0 => {
            let options = Default::default();
            let got = run(pipe::receive(stream, &mut files, &mut quiet, &mut heard, options));
            match &got {
                Ok(received) => {
                    let stored = files.get(received.stored_as.as_bytes()).expect("what is said to be stored is there");
                    assert_eq!(stored.len() as u64, received.metadata.size, "HONEST: all of it");
                }
                Err(_) => assert_eq!(files, before, "INTACT: nothing is changed by what failed"),
            }
        }
        1 => {
            let got = run(careful_server::serve(stream, &mut files, &mut quiet, &mut heard, options));
            if let Ok(careful_server::Served::Stored { stored_as, len, .. }) = &got {
                let stored = files.get(stored_as.as_bytes()).expect("what is said to be stored is there");
                assert_eq!(stored.len() as u64, *len, "HONEST: all of it");
            }
        }
        2 => {
            let size = content.len() as u64;
            let options = ft_core::dialect::pipe::Options { text_end, ..Default::default() };
            let got = run(pipe::send(stream, &name, size, &mut source, &mut quiet, &mut heard, options));
            assert!(got.is_err() || contains(said, b"ACK"), "HONEST: nothing is sent without an ACK");
        }
        3 => {
            let got = run(careful_client::addfile(stream, &name, &mut source, &mut quiet, &mut heard, options));
            let completed = got.is_ok_and(|sent| sent.outcome() == Outcome::Completed);
            assert!(!completed || contains(said, b"file data recv"), "HONEST: completed only when confirmed");
        }
        4 => {
            let got = run(careful_client::upload(stream, &name, &mut source, &mut quiet, &mut heard, options));
            assert!(!got.is_ok_and(|sent| sent.outcome() == Outcome::Completed), "HONEST: UPLOAD is never confirmed");
        }
        _ => {
            let got = run(careful_client::download(stream, &name, &name, &mut files, &mut quiet, &mut heard, options));
            match got {
                Ok(got) => assert_eq!(files.get("f").map(|f| f.len() as u64), Some(got.len), "HONEST: all of it"),
                Err(_) => assert_eq!(files, before, "INTACT: nothing is changed by what failed"),
            }
        }
    }
    for (name, now) in files.iter() {
        let old = OLD.iter().any(|(old, content)| name == old.as_bytes() && now == content.as_bytes());
        assert!(old || contains(said, now), "INTACT: {now:?} is neither old nor what was sent");
    }
    assert!(heard.stored <= 1 + heard.late, "stored once, and again for each guess that was wrong");
}

fn contains(said: &[u8], part: &[u8]) -> bool {
    part.is_empty() || said.windows(part.len()).any(|window| window == part)
}

#[derive(Default)]
struct Heard {
    stored: u32,
    late: u32,
}

impl Observer for Heard {
    fn event(&mut self, event: &LabEvent) {
        match event {
            LabEvent::Stored { .. } => self.stored += 1,
            LabEvent::LateData { .. } => self.late += 1,
            _ => {}
        }
        assert!(!event.to_string().contains(|c: char| c.is_control()), "safe to show: {event}");
    }
}
