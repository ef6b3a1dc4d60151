//! Captures of the simulator in tshark: the packets are sound, the comments say what the schedule did, the dissectors of
//! docs/wireshark/ read every byte wherever it was cut, and the naive one falls where lesson 2 says that it does.
//!
//! Without `tshark` this fails: what has not been looked at has not passed.

#[path = "cli/harness.rs"]
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
mod harness;

use std::path::Path;
use std::process::{Command, Stdio};

use harness::Sandbox;

/// A play of a scenario as a capture.
struct Capture {
    sandbox: Sandbox,
}

impl Capture {
    fn of(scenario: &str, play: usize) -> Self {
        let sandbox = Sandbox::new();
        sandbox.run(&format!("sim trace {scenario} --play {play} --format pcapng --out capture.pcapng")).expect(0);
        Self { sandbox }
    }

    /// What tshark says, with one of our scripts.
    #[track_caller]
    fn tshark(&self, script: &str, args: &[&str]) -> String {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/wireshark").join(script);
        let mut command = Command::new("tshark");
        // Somebody's own plugins and preferences must not take part.
        command.env("HOME", self.sandbox.path("")).env("XDG_CONFIG_HOME", self.sandbox.path("config"));
        command.arg("-n").arg("-X").arg(format!("lua_script:{}", script.display()));
        command.arg("-r").arg(self.sandbox.path("capture.pcapng")).args(args).stdin(Stdio::null());
        let ran = command.output().unwrap_or_else(|e| panic!("tshark does not start: {e}; its package is `tshark`"));
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(ran.status.success(), "{args:?}\n{said}\n{}", String::from_utf8_lossy(&ran.stderr));
        said
    }

    /// What the dissector says of each packet that ends a message, by direction: client's first.
    fn words(&self) -> [String; 2] {
        let of = |direction: &str| {
            let filter = format!("(ft1 || ftlab) && tcp.{direction} == 65432");
            let said = self.tshark("ft.lua", &["-Y", &filter, "-T", "fields", "-e", "_ws.col.Info"]);
            said.lines().collect::<Vec<_>>().join("; ")
        };
        [of("dstport"), of("srcport")]
    }
}

#[test]
fn session_is_decoded_frame_by_frame() {
    let capture = Capture::of("ft-benign-push", 1);
    assert_eq!(
        capture.words(),
        [
            "preamble; HELLO push; OFFER #1 f; DATA #1 300 bytes; END #1; GOODBYE",
            "preamble; HELLO answer; ACK1 #1 send; ACK2 #1 f durable; GOODBYE"
        ]
    );
    let fields =
        ["-Y", "ft1.offer.size", "-T", "fields", "-e", "ft1.offer.size", "-e", "ft1.offer.kind", "-e", "ft1.path"];
    assert_eq!(capture.tshark("ft.lua", &fields).trim(), "300\t1\tf");
}

#[test]
fn frames_are_put_together_from_single_bytes() {
    let whole = Capture::of("ft-benign-push", 1).words();
    assert_eq!(Capture::of("ft-one-byte-at-a-time", 1).words(), whole);
}

#[test]
fn lab_messages_are_put_together_wherever_they_are_cut() {
    let metadata = "metadata data.txt, 25; data, 25 of 25 bytes";
    for (scenario, play) in [("pitfall-localhost-hides", 1), ("pitfall-split-header", 2), ("pitfall-split-ack", 2)] {
        assert_eq!(Capture::of(scenario, play).words(), [metadata, "ACK"], "{scenario}");
    }
    let [client, server] = Capture::of("pitfall-coalesced-messages", 2).words();
    assert_eq!(client, "addfile; name data.txt; data, 25 bytes so far");
    assert_eq!(server, "file recv; file data recv");
    let [client, server] = Capture::of("pitfall-status-data-merge", 1).words();
    assert_eq!(client, "DOWNLOAD; name data.txt");
    assert_eq!(server, "OK; data, 25 bytes");
}

/// The same fault of the protocol, again: with all the hindsight of a capture, a bare size still ends where it seems to.
#[test]
fn split_digit_deceives_the_dissector_too_and_it_says_so() {
    let capture = Capture::of("pitfall-split-digits", 1);
    assert_eq!(capture.words()[0], "metadata data.txt, 2; data, 26 of 2 bytes");
    assert_eq!(capture.tshark("ft.lua", &["-Y", "ftlab.guess"]).lines().count(), 1);
    assert_eq!(capture.tshark("ft.lua", &["-Y", "ftlab.too_much"]).lines().count(), 1);
}

#[test]
fn captures_of_every_kind_have_no_malformed_packet_and_right_checksums() {
    for scenario in [
        "disk-power-cut-after-ack2",
        "ft-benign-pull",
        "ft-disk-full",
        "ft-resume-after-rst",
        "ft-two-files-one-refused",
        "pitfall-close-unread-rst",
        "pitfall-hostile-name",
        "pitfall-no-timeout",
        "pitfall-utf8-split",
        "pitfall-zero-byte-payload",
    ] {
        let capture = Capture::of(scenario, 1);
        let check = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"];
        let bad = "_ws.malformed || _ws.lua.error || ft1.bad || tcp.checksum.status == 0 || ip.checksum.status == 0";
        // Two passes, as the window of Wireshark makes them: what was put together must be found again.
        for passes in [&["-Y", bad][..], &["-2", "-Y", bad][..]] {
            let found = capture.tshark("ft.lua", &[&check[..], passes].concat());
            assert_eq!(found, "", "{scenario}");
        }
        let good = capture.tshark("ft.lua", &[&check[..], &["-Y", "tcp.checksum.status == 1"]].concat());
        assert_ne!(good, "", "{scenario}: no checksum was looked at");
    }
}

#[test]
fn followed_stream_is_what_the_parties_wrote() {
    let capture = Capture::of("pitfall-split-header", 2);
    let said = capture.tshark("ft.lua", &["-q", "-z", "follow,tcp,raw,0"]);
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    // The server's lines are indented.
    let lines = |server: bool| {
        let lines = said.lines().filter(|line| line.trim().len() % 2 == 0 && !line.trim().is_empty());
        let lines = lines.filter(|line| line.trim().bytes().all(|byte| byte.is_ascii_hexdigit()));
        lines.filter(|line| line.starts_with('\t') == server).map(str::trim).collect::<String>()
    };
    assert_eq!(lines(false), hex("data.txt|25the quick brown fox jumps"), "{said}");
    assert_eq!(lines(true), hex("ACK"), "{said}");
}

#[test]
fn comments_of_packets_name_what_the_schedule_did() {
    for (scenario, step) in [
        ("pitfall-split-header", "schedule: c2s@4 split"),
        ("pitfall-eof-is-success", "schedule: c2s@20 half-close"),
        ("ft-rst-mid-file", " rst"),
    ] {
        let comments = Capture::of(scenario, 1).tshark("ft.lua", &["-T", "fields", "-e", "frame.comment"]);
        let found = comments.lines().any(|line| line.contains("schedule: ") && line.contains(step));
        assert!(found, "{scenario}: {comments}");
    }
}

/// Lesson 2, for dissectors.
#[test]
fn naive_dissector_reads_a_quiet_capture_and_falls_to_a_split_header() {
    let name = ["-T", "fields", "-e", "naive.name", "-e", "naive.size", "-Y", "naive.size"];
    assert_eq!(Capture::of("pitfall-localhost-hides", 1).tshark("naive.lua", &name).trim(), "data.txt\t25");
    let split = Capture::of("pitfall-split-header", 1);
    assert_eq!(split.tshark("naive.lua", &name), "", "half a header has no size");
    let said = split.tshark("naive.lua", &["-V"]);
    assert!(said.contains("Lua Error"), "{said}");
}

/// The page's commands, in a folder that has its scripts.
#[test]
fn commands_of_the_page_work() {
    let sandbox = Sandbox::new();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/wireshark");
    let page = std::fs::read_to_string(folder.join("README.md")).expect("the page");
    for script in ["ft.lua", "naive.lua"] {
        sandbox.file(script, std::fs::read(folder.join(script)).expect("a script"));
    }
    let mut inside = false;
    let mut said = Vec::new();
    for line in page.lines() {
        if line.starts_with("```") {
            inside = line == "```sh";
        } else if let (true, Some(args)) = (inside, line.strip_prefix("ft-cli ")) {
            sandbox.run(args).expect(0);
        } else if inside {
            let mut command = Command::new("sh");
            command
                .arg("-euc")
                .arg(line)
                .current_dir(sandbox.path(""))
                .env("HOME", sandbox.path(""))
                .stdin(Stdio::null());
            let ran = command.output().expect("sh runs");
            assert!(ran.status.success(), "{line}: {}", String::from_utf8_lossy(&ran.stderr));
            said.push(String::from_utf8_lossy(&ran.stdout).into_owned());
        }
    }
    let has = |index: usize, words: &str| assert!(said[index].contains(words), "{words:?} in {}", said[index]);
    assert_eq!(said.len(), 6);
    has(0, "OFFER #1 f");
    has(1, "metadata data.txt, 25");
    has(2, "schedule: c2s@4 split");
    has(3, "Follow: tcp,ascii");
    has(4, "metadata data.txt, 25");
    has(5, "Lua Error");
}
