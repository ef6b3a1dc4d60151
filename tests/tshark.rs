//! Captures of simulated runs, opened by tshark: whole, with the bytes that were delivered, and with the schedule in
//! their comments.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use ft_sim::trace::{What, pcapng};
use ft_sim::{Direction, Run, Schedule, cases};

/// Every kind of step, one and two connections, both ways, both protocols.
const RUNS: [(&str, &str); 10] = [
    ("ft-push", "benign"),
    ("ft-push", "c2s@16 split; s2c@20 clip; c2s@141 delay 20ms; c2s@200 short"),
    ("ft-push", "c2s@300 rst"),
    ("ft-push", "c2s@300 half-close"),
    ("ft-pull", "s2c@90 fin"),
    ("ft-push", "c2s@150 stall"),
    ("ft-push", "c2s@200 kill server"),
    ("ft-push-rivals", "2:c2s@1 split; s2c@30 hold"),
    ("lab-a-naive", "c2s@4 split; c2s@0 window 8"),
    ("lab-b-careful", "s2c@0 hold 25; c2s@20 crash client"),
];

fn tshark(file: &Path, arguments: &[&str]) -> String {
    let output = Command::new("tshark").arg("-r").arg(file).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("tshark (package tshark) is needed for this test: {error}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

/// A run, and where its capture lies until the value is dropped.
fn capture(case: &str, schedule: &str) -> (Run, PathBuf, tempfile::TempDir) {
    let schedule: Schedule = schedule.parse().expect("a schedule");
    let run = cases::find(case).expect("a case of that name").run(&schedule);
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a temporary folder");
    let file = folder.path().join("run.pcapng");
    std::fs::write(&file, pcapng(&run.events)).expect("room for a capture");
    (run, file, folder)
}

/// What was delivered, by connection from 0 and direction.
fn delivered(run: &Run) -> BTreeMap<(u16, Direction), Vec<u8>> {
    let mut streams: BTreeMap<_, Vec<u8>> = BTreeMap::new();
    for event in &run.events {
        if let What::Open { conn, .. } = &event.what {
            streams.extend(Direction::BOTH.map(|dir| ((conn - 1, dir), Vec::new())));
        } else if let What::Deliver { conn, dir, bytes, .. } = &event.what {
            streams.entry((conn - 1, *dir)).or_default().extend_from_slice(bytes);
        }
    }
    streams
}

/// What "follow stream" shows: the client's bytes are flush left, the server's after a tab.
fn followed(file: &Path, stream: u16) -> [Vec<u8>; 2] {
    let text = tshark(file, &["-q", "-z", &format!("follow,tcp,raw,{stream}")]);
    let mut both = [Vec::new(), Vec::new()];
    for line in text.lines() {
        let (dir, digits) = match line.strip_prefix('\t') {
            Some(digits) => (1, digits),
            None => (0, line),
        };
        if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let pair = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).expect("two hexadecimal digits");
            both[dir].extend((0..digits.len()).step_by(2).map(pair));
        }
    }
    both
}

#[test]
fn captures_open_without_a_malformed_packet_or_a_lost_segment() {
    for (case, schedule) in RUNS {
        let (_, file, _folder) = capture(case, schedule);
        let bad = "_ws.malformed || tcp.analysis.lost_segment || tcp.analysis.ack_lost_segment \
                   || tcp.analysis.retransmission || tcp.analysis.out_of_order || tcp.checksum.status == 0 \
                   || ip.checksum.status == 0";
        let checks = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE", "-Y", bad];
        assert_eq!(tshark(&file, &checks), "", "{case}: {schedule}");
    }
}

#[test]
fn following_a_stream_gives_the_bytes_that_were_delivered() {
    for (case, schedule) in RUNS {
        let (run, file, _folder) = capture(case, schedule);
        let streams = delivered(&run);
        assert!(streams.values().any(|bytes| !bytes.is_empty()), "{case}: {schedule}: nothing was delivered");
        for ((conn, dir), bytes) in &streams {
            let shown = &followed(&file, *conn)[usize::from(*dir == Direction::S2c)];
            assert_eq!(shown, bytes, "{case}: {schedule}: connection {} {dir}", conn + 1);
        }
    }
}

#[test]
fn comments_name_every_step_that_took_effect() {
    for (case, schedule) in RUNS {
        let (run, file, _folder) = capture(case, schedule);
        let comments = tshark(&file, &["-T", "fields", "-e", "frame.comment"]);
        let mut steps = 0;
        for event in &run.events {
            if let What::Fault(step) = event.what {
                steps += 1;
                assert!(comments.contains(&format!("schedule: {step}")), "{case}: {step} is not in\n{comments}");
            }
        }
        assert_eq!(steps > 0, schedule != "benign", "{case}: {schedule}");
    }
}
