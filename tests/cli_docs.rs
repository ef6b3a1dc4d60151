//! The documents say what is true: every `sh` block of README.md, docs/CLI.md, docs/DAEMON.md and docs/SIMULATOR.md is run.
//!
//! Blocks of one document share a folder and run in order, each line by `sh`. `ft-cli serve` is started on a free port and
//! goes on; `localhost` in later lines is the newest server. A server's numbers at port 9432 are at a free one, too. `ft-cli recv` likewise, and `7-crossover-clockwork` is the code that it shows. `ft-cli proxy :7000` listens on a free port, and Ctrl-C is pressed once it does.
//! A line must exit with 0, or with N if it ends in `# exit N`.

#[path = "cli/harness.rs"]
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
mod harness;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use harness::{Sandbox, Server};

/// Lines of all `sh` blocks.
fn commands(document: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut inside = false;
    for line in document.lines() {
        if line.starts_with("```") {
            inside = line == "```sh";
        } else if inside && !line.trim().is_empty() {
            lines.push(line.to_owned());
        }
    }
    lines
}

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A folder with what the examples speak of.
fn example_folder() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.file("README.md", document("README.md"));
    sandbox.file("notes.txt", "notes\n");
    sandbox.file("photos/one.jpg", harness::noise(30_000));
    sandbox.file("photos/more/two.jpg", harness::noise(3_000));
    sandbox.file("photos/x.tmp", "x");
    #[cfg(unix)]
    {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples").canonicalize().expect("the examples");
        std::os::unix::fs::symlink(examples, sandbox.path("examples")).expect("a link");
    }
    sandbox
}

fn run_all(lines: &[String]) {
    run_lines(&example_folder(), lines);
}

fn run_lines(sandbox: &Sandbox, lines: &[String]) {
    let mut server: Option<Server> = None;
    let mut secret: Option<String> = None;
    let mut numbers: Option<u16> = None;
    for line in lines {
        if let Some(args) = line.strip_prefix("ft-cli serve ") {
            let mut started = sandbox.serve(&args.replace(":9432", ":0"));
            numbers = args.contains(":9432").then(|| {
                started.await_line("numbers at");
                started.port_of("numbers at http://127.0.0.1:")
            });
            server = Some(started);
            continue;
        }
        if let Some(args) = line.strip_prefix("ft-cli recv ") {
            let (receiver, shown) = sandbox.recv_at("config", args);
            (server, secret) = (Some(receiver), Some(shown));
            continue;
        }
        let line = &match &secret {
            Some(secret) => line.replace("7-crossover-clockwork", secret),
            None => line.to_owned(),
        };
        let (line, code) = match line.split_once("# exit ") {
            Some((line, code)) => (line.trim_end(), code.trim().parse().expect("a number")),
            None => (line.as_str(), 0),
        };
        let line = &match numbers {
            Some(port) => line.replace("127.0.0.1:9432", &format!("127.0.0.1:{port}")),
            None => line.to_owned(),
        };
        let line = match &server {
            Some(server) => line.replace("localhost", &server.address()),
            None => line.clone(),
        };
        let line = match line.strip_prefix("ft-cli proxy :7000 ") {
            Some(rest) if code == 0 => format!(
                "rm -f said; ft-cli proxy :0 {rest} > said & until grep -qs listening said; do kill -0 $!; sleep 0.1; done; \
                 kill -INT $!; wait $!"
            ),
            _ => line,
        };
        let ran = sandbox.shell(&line);
        let said = String::from_utf8_lossy(&ran.stderr);
        assert_eq!(ran.status.code(), Some(code), "{line}\n{said}");
    }
}

impl Sandbox {
    /// Runs a line by `sh`, with the program under test as `ft-cli`.
    fn shell(&self, line: &str) -> std::process::Output {
        let program = Path::new(env!("CARGO_BIN_EXE_ft-cli"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = program.parent().map(Path::to_path_buf).into_iter().chain(std::env::split_paths(&path));
        let path = std::env::join_paths(folders).expect("a path");
        let mut command = Command::new("sh");
        command.arg("-euc").arg(line).current_dir(self.path("")).env("PATH", path).env("TMPDIR", self.path("tmp"));
        command.env("XDG_CONFIG_HOME", self.path("config")).env_remove("FT_IDENTITY");
        command.stdin(Stdio::null()).output().expect("sh runs")
    }
}

#[test]
fn readme_begins_with_the_demo_and_the_tests_and_all_its_other_commands_work() {
    let lines = commands(&document("README.md"));
    let (demo, rest) = lines.split_first().expect("commands");
    let (tests, rest) = rest.split_first().expect("commands");
    assert_eq!(demo, "cargo run --release -- try");
    assert_eq!(tests, "cargo test --workspace");
    assert!(rest.len() >= 10, "{rest:#?}");
    let mut lines = vec!["ft-cli try".to_owned()];
    lines.extend_from_slice(rest);
    run_all(&lines);
}

#[test]
fn commands_of_the_command_line_page_work() {
    let lines = commands(&document("docs/CLI.md"));
    assert!(lines.len() >= 20, "{lines:#?}");
    run_all(&lines);
}

#[test]
fn commands_of_the_daemon_page_work() {
    let lines = commands(&document("docs/DAEMON.md"));
    assert!(lines.len() >= 6, "{lines:#?}");
    run_all(&lines);
}

/// With programs of `examples/labs`, and the config that the page shows.
#[cfg(target_os = "linux")]
#[test]
fn commands_of_the_grading_page_work() {
    let page = document("docs/GRADING.md");
    let lines = commands(&page);
    assert!(lines.len() >= 6, "{lines:#?}");
    let sandbox = example_folder();
    let config = page.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a config");
    sandbox.file("lab.toml", config);
    run_lines(&sandbox, &lines);
}

/// Without `jq` this fails: an untested line of a guide is not a passed test.
#[test]
fn commands_of_the_simulator_page_work() {
    let lines = commands(&document("docs/SIMULATOR.md"));
    assert!(lines.len() >= 18, "{lines:#?}");
    run_all(&lines);
}

/// The page's own lines, tried on what they must refuse.
#[test]
fn merged_verdict_holds_only_if_every_part_of_one_search_is_there_and_held() {
    let lines = commands(&document("docs/SIMULATOR.md"));
    let line = |start: &str| lines.iter().find(|line| line.starts_with(start)).expect("a line of jq");
    let careful = "--case lab-a-careful --runs 60";
    let two = |search: &str| vec![format!("{search} --partition 1/2"), format!("{search} --partition 2/2")];
    let trials: [(&str, Vec<String>, bool); 7] = [
        ("two of two", two(careful), true),
        ("one of two", two(careful)[..1].to_vec(), false),
        ("one of two, twice", vec![two(careful)[0].clone(), two(careful)[0].clone()], false),
        ("other seeds", vec![two(careful)[0].clone(), format!("{} --seed 9", two(careful)[1])], false),
        ("other cases", vec![two(careful)[0].clone(), format!("{} --case ft-push", two(careful)[1])], false),
        ("a promise broken", two("--case lab-a-naive --runs 60"), false),
        ("something never seen", two("--case ft-push --deviations 0 --runs 0"), false),
    ];
    for (name, parts, holds) in trials {
        let sandbox = Sandbox::new();
        for (number, part) in parts.iter().enumerate() {
            let ran = sandbox.shell(&format!("ft-cli sim explore {part} --json > part-{number}.json"));
            assert!(matches!(ran.status.code(), Some(0 | 1)), "{name}: {part}");
        }
        let merged = sandbox.shell(line("jq -s"));
        assert!(merged.status.success(), "{name}: {}", String::from_utf8_lossy(&merged.stderr));
        let judged = sandbox.shell(line("jq -e"));
        assert_eq!(judged.status.code(), Some(i32::from(!holds)), "{name}");
        let failures = sandbox.shell(line("jq -r")).stdout;
        for failure in String::from_utf8(failures).expect("text").lines() {
            let again = sandbox.shell(&format!("ft-cli sim replay '{failure}'"));
            assert_eq!(again.status.code(), Some(1), "{name}: {failure}");
        }
    }
}

/// The searches that the page hands to many machines, each as it stands there.
fn distributed() -> Vec<String> {
    let page = document("docs/SIMULATOR.md");
    let (_, many) = page.split_once("\nThe cores of one machine").expect("the part on many machines");
    let lines = many.lines().filter(|line| line.contains("ft-cli sim explore"));
    lines.map(|line| line[line.find("ft-cli sim explore").expect("a search")..].to_owned()).collect()
}

/// GNU parallel runs the page's line, with fewer runs; its parts merge to the verdict of the whole.
#[test]
fn parts_made_by_gnu_parallel_merge_to_a_search_that_held() {
    let page = document("docs/SIMULATOR.md");
    let shown = page.lines().find(|line| line.starts_with("seq 8 | parallel ")).expect("the line for parallel");
    let shorter = shown.replace("--runs 1000000", "--case lab-a-careful --case guess --deviations 0 --runs 4000");
    assert_ne!(shown, shorter, "the page's line has another shape");
    let sandbox = Sandbox::new();
    let ran = sandbox.shell(&shorter);
    assert!(ran.status.success(), "{shorter}\n{}", String::from_utf8_lossy(&ran.stderr));
    let lines = commands(&page);
    let line = |start: &str| lines.iter().find(|line| line.starts_with(start)).expect("a line of jq");
    for step in [line("jq -s"), line("jq -e")] {
        let ran = sandbox.shell(step);
        assert!(ran.status.success(), "{step}\n{}", String::from_utf8_lossy(&ran.stderr));
    }
    let count = sandbox.shell("jq '.cases[].runs.swarm' all.json");
    assert_eq!(String::from_utf8_lossy(&count.stdout), "4000\n4000\n", "no run is lost, none is made twice");
    let parts = sandbox.shell("jq -r '.parts | keys | length' all.json");
    assert_eq!(String::from_utf8_lossy(&parts.stdout), "8\n");
}

/// What the other schedulers put in place of their variables is a part of a search; the rest of the line stands as shown.
#[test]
fn searches_of_every_scheduler_on_the_simulator_page_are_understood() {
    let searches = distributed();
    assert_eq!(searches.len(), 4, "parallel, a CI matrix, Kubernetes, Slurm: {searches:#?}");
    for search in searches {
        let filled = [
            ("--partition {}/8", "--partition 3/8"),
            ("> part-{}.json'", ""),
            ("${{ matrix.part }}", "3"),
            ("$((JOB_COMPLETION_INDEX + 1))", "3"),
            ("\"$SLURM_ARRAY_TASK_ID/64\"", "3/64"),
            ("> part-3.json", ""),
            ("--json']", "--json"),
        ];
        let line = filled.iter().fold(search.clone(), |line, (shown, real)| line.replace(shown, real));
        assert!(!line.contains(['$', '{', '[', '"', '\'']), "something is left to be filled in: {line}");
        let many = line.split_whitespace().skip_while(|word| *word != "--runs").nth(1).expect("a number of runs");
        let line = line.replace(many, "20") + " --case lab-a-careful --deviations 0";
        let ran = Sandbox::new().shell(&line);
        assert!(ran.status.success(), "{line}\n{}", String::from_utf8_lossy(&ran.stderr));
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(said.contains("\"verdict\""), "{line}\n{said}");
    }
}

#[test]
fn demo_shown_in_the_readme_has_the_steps_of_the_real_one() {
    let readme = document("README.md");
    let shown: Vec<String> = steps(readme.split("```text").nth(1).and_then(|t| t.split("```").next()).expect("a demo"));
    let ran = example_folder().run("try README.md").expect(0);
    let real = steps(&ran.text());
    assert!(shown.len() >= 12, "{shown:#?}");
    // The order of arrival of independent steps differs from run to run.
    let (mut shown, mut real) = (shown, real);
    shown.sort();
    real.sort();
    assert_eq!(shown, real);
}

/// Steps of a `try`, without times, sizes and hashes.
fn steps(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.contains(" ms "));
    lines
        .map(|line| {
            let (_, step) = line.split_once(" ms ").expect("a time");
            let words = step.split_whitespace().map(|word| if word.ends_with("...") { "HASH" } else { word });
            let words = words.map(|word| if word.bytes().all(|b| b.is_ascii_digit()) { "N" } else { word });
            words.collect::<Vec<_>>().join(" ")
        })
        .collect()
}
