//! What the program says about itself, and to command lines that make no sense.

use crate::harness::{Sandbox, snapshot};

const VERBS: [&str; 13] =
    ["try", "demo", "serve", "put", "get", "ls", "send", "recv", "key", "sim", "proxy", "completions", "man"];

#[test]
fn help_of_every_verb_reads_as_its_snapshot() {
    let sandbox = Sandbox::new();
    snapshot(&sandbox, "help", &sandbox.run("--help").expect(0).all());
    for verb in VERBS {
        let ran = sandbox.run(&format!("{verb} -h")).expect(0);
        snapshot(&sandbox, &format!("help-{verb}"), &ran.all());
    }
}

#[test]
fn long_help_of_every_verb_ends_with_its_examples() {
    let sandbox = Sandbox::new();
    for verb in VERBS {
        let text = sandbox.run(&format!("{verb} --help")).expect(0).text();
        let (_, examples) = text.split_once("Example").unwrap_or_else(|| panic!("{verb} has examples: {text}"));
        assert!(examples.contains(&format!("ft-cli {verb} ")), "{examples}");
    }
}

#[test]
fn command_line_that_makes_no_sense_exits_2_and_says_why() {
    let sandbox = Sandbox::new();
    sandbox.file("a", "a");
    let mut text = String::new();
    for line in [
        "fly",
        "put",
        "put a",
        "put a :7",
        "put a ::1:2:x",
        "put a host/../x",
        "put - host",
        "put a --name b host",
        "put - a --name b host",
        "put a host --jobs 0",
        "put a host --include [",
        "put a host/dir --dialect pipe",
        "put a host --dialect pipe --dry-run",
        "get host/a other/b out",
        "get host/a host/b -",
        "get host/a --dialect pipe",
        "serve --read-only --drop-only",
        "serve --timeout 0",
        "ls host --quiet --json",
    ] {
        text += &sandbox.run(line).expect(2).all();
        text.push('\n');
    }
    snapshot(&sandbox, "usage-errors", &text);
}

#[test]
fn completions_are_made_for_every_shell_and_name_every_verb() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = sandbox.run(&format!("completions {shell}")).expect(0).text();
        for verb in ["try", "demo", "serve", "put", "get", "ls", "sim", "proxy"] {
            assert!(script.contains(verb), "{verb} in the script for {shell}");
        }
    }
}

#[test]
fn manual_pages_are_written_one_for_each_verb() {
    let sandbox = Sandbox::new();
    sandbox.run("man pages/man1").expect(0);
    for page in ["ft-cli.1", "ft-cli-put.1", "ft-cli-get.1", "ft-cli-serve.1", "ft-cli-try.1", "ft-cli-ls.1"] {
        let text = std::fs::read_to_string(sandbox.path("pages/man1").join(page)).expect(page);
        assert!(text.contains(".SH NAME"), "{page} is a manual page");
    }
}
