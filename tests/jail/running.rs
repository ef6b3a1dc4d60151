//! A program that behaves: started, fed, read, signalled, ended.

use std::time::{Duration, Instant};

use ft_cli::jail::{JailError, Program, Signal, Status};

use super::harness::{both, contained, program, python, run, sh, until, until_printed, wait};

#[test]
fn exit_code_and_output_arrive() {
    for jail in both() {
        let (ended, output) = run(&jail, &sh("echo out; echo err >&2; exit 7"));
        assert_eq!((ended.status, ended.breach, ended.left), (Status::Code(7), None, 0));
        assert_eq!((&output.stdout[..], &output.stderr[..], output.lost), (&b"out\n"[..], &b"err\n"[..], 0));
    }
}

#[test]
fn signal_that_ended_it_arrives() {
    for jail in both() {
        let (ended, _) = run(&jail, &sh("kill -SEGV $$"));
        assert_eq!(ended.status, Status::Signal(11));
    }
}

#[test]
fn program_that_is_missing_or_none_is_named() {
    for jail in both() {
        for name in ["no-such-program", "/etc/passwd", "./nothing-here"] {
            match jail.start(&program([name])) {
                Err(JailError::Program { name: named, .. }) => assert_eq!(named.as_os_str(), name),
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(run(&jail, &sh("exit 3")).0.status, Status::Code(3), "the jail is still good");
    }
}

#[test]
fn standard_input_is_what_was_given_and_then_ends() {
    for jail in both() {
        let bytes = vec![b'x'; 300_000];
        let count = Program { stdin: Some(bytes), ..program(["wc", "-c"]) };
        assert_eq!(run(&jail, &count).1.stdout, b"300000\n");
        assert_eq!(run(&jail, &program(["wc", "-c"])).1.stdout, b"0\n");
    }
}

#[test]
fn nothing_of_the_callers_environment_is_passed_on() {
    for jail in both() {
        let wish = Program { env: vec![("WISH".into(), "granted".into())], ..program(["env"]) };
        let printed = String::from_utf8(run(&jail, &wish).1.stdout).unwrap();
        assert!(printed.contains("WISH=granted\n") && printed.contains("PYTHONUNBUFFERED=1\n"), "{printed}");
        let allowed =
            ["PATH", "LANG", "HOME", "TMPDIR", "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE", "WISH", "FT_JAIL"];
        for line in printed.lines() {
            assert!(allowed.contains(&line.split('=').next().unwrap()), "{line}");
        }
    }
}

#[test]
fn descriptors_of_the_caller_are_not_open_in_the_program() {
    let held = std::fs::File::open("/etc/passwd").unwrap();
    // As a parent that cares less would leave it to us.
    rustix::io::fcntl_setfd(&held, rustix::io::FdFlags::empty()).unwrap();
    for jail in both() {
        let listing = run(&jail, &sh("ls -l /proc/self/fd")).1.stdout;
        let listing = String::from_utf8(listing).unwrap();
        assert!(listing.contains("pipe:") && !listing.contains("passwd") && !listing.contains("socket:"), "{listing}");
    }
}

#[test]
fn files_are_placed_before_and_read_after() {
    for mut jail in both() {
        std::fs::write(jail.work().join("in"), "ping").unwrap();
        assert_eq!(run(&jail, &sh("tr i o < in > out && pwd")).0.status, Status::Code(0));
        assert_eq!(std::fs::read(jail.work().join("out")).unwrap(), b"pong");
        jail.clear().unwrap();
        assert_eq!(std::fs::read_dir(jail.work()).unwrap().count(), 0);
        assert_eq!(run(&jail, &sh("test ! -e in && echo new > in")).0.status, Status::Code(0), "good for one more");
    }
}

#[test]
fn stopped_program_stands_still_until_it_may_go_on() {
    for jail in both() {
        let mut running = jail.start(&python("count.py", &[])).unwrap();
        until_printed(&mut running, "3\n");
        running.signal(Signal::Stop).unwrap();
        let state = |pid: u32| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        until(|| {
            let pids = running.pids();
            !pids.is_empty() && pids.iter().all(|&pid| state(pid).contains(") T "))
        });
        let still = running.output().stdout;
        std::thread::sleep(Duration::from_millis(100));
        assert!(running.output().stdout.len() <= still.len() + 64, "only what was in the pipe");
        running.signal(Signal::Continue).unwrap();
        until(|| running.output().stdout.len() > still.len() + 64);
        running.signal(Signal::Stop).unwrap();
        assert_eq!(running.kill().status, Status::Signal(9), "a stopped one too");
    }
}

#[test]
fn signal_to_all_reaches_children() {
    for jail in both() {
        let line = "trap 'echo parent' INT; sh -c 'trap \"echo child; exit\" INT; echo ready; while :; do sleep 0.01; done'; echo end";
        let mut running = jail.start(&sh(line)).unwrap();
        until_printed(&mut running, "ready");
        running.signal(Signal::Interrupt).unwrap();
        assert_eq!(wait(&mut running).status, Status::Code(0));
        assert_eq!(running.output().stdout, b"ready\nchild\nparent\nend\n");
        assert!(running.signal(Signal::Interrupt).is_err(), "nobody is there to get it");
    }
}

#[test]
fn program_that_ignores_sigterm_is_killed() {
    for jail in both() {
        let mut running = jail.start(&python("ignores_sigterm.py", &[])).unwrap();
        until_printed(&mut running, "ready");
        running.signal(Signal::Terminate).unwrap();
        until_printed(&mut running, "no");
        assert_eq!(running.wait_here(Duration::from_millis(100)).unwrap(), None);
        let begun = Instant::now();
        let ended = running.kill();
        assert_eq!(ended.status, Status::Signal(9));
        assert!(ended.peak_rss > 0 && begun.elapsed() < Duration::from_secs(2), "{ended:?}");
        assert_eq!(running.try_wait().unwrap(), Some(ended));
    }
}

#[tokio::test]
async fn waiting_gives_way_to_other_tasks_and_loses_nothing_when_given_up() {
    for jail in both() {
        let mut running = jail.start(&sh("sleep 0.2; exit 5")).unwrap();
        assert_eq!(running.wait(Duration::from_millis(20)).await.unwrap(), None);
        let given_up = tokio::time::timeout(Duration::from_millis(20), running.wait(Duration::from_secs(60))).await;
        assert!(given_up.is_err());
        let ended = running.wait(Duration::from_secs(60)).await.unwrap().unwrap();
        assert_eq!(ended.status, Status::Code(5));
        assert_eq!(running.wait(Duration::ZERO).await.unwrap(), Some(ended));
    }
}

#[test]
fn programs_run_side_by_side_in_one_jail() {
    let Some(jail) = contained() else { return };
    let mut all: Vec<_> = (0..4).map(|i| jail.start(&sh(&format!("sleep 0.1; exit {i}"))).unwrap()).collect();
    for (i, running) in (0..).zip(&mut all) {
        assert_eq!(wait(running).status, Status::Code(i));
    }
}

/// How long things take, for whoever runs this with `--ignored --nocapture`; a machine under load decides, so no bound.
#[test]
#[ignore = "a measurement"]
fn time_to_make_a_jail_and_to_start_in_it() {
    let median = |mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    let time = |what: &mut dyn FnMut()| {
        let begun = Instant::now();
        what();
        begun.elapsed()
    };
    for jail in both() {
        let is = format!("{:?}", jail.isolation());
        let one = program(["/bin/true"]);
        let mut started = Vec::new();
        let mut whole = Vec::new();
        for _ in 0..101 {
            let begun = Instant::now();
            let mut running = jail.start(&one).unwrap();
            started.push(begun.elapsed());
            wait(&mut running);
            whole.push(begun.elapsed());
        }
        println!("{:.12}: start {:?}, until it is gone {:?}", is, median(started), median(whole));
    }
    let made = (0..31).map(|_| time(&mut || drop(contained()))).collect();
    println!("a jail with namespaces, made and dropped: {:?}", median(made));
}
