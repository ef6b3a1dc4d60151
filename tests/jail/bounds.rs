//! Programs that use too much.

use std::time::{Duration, Instant};

use ft_cli::jail::{Breach, Status};

use super::harness::{LIMITS, both, inline, marked, marker, program, python, run, sh, until, wait};

#[test]
fn memory_filler_is_ended_before_it_takes_much_more() {
    for jail in both() {
        let (ended, output) = run(&jail, &python("fill_memory.py", &["2048"]));
        assert_eq!((ended.status, ended.breach), (Status::Signal(9), Some(Breach::Memory)), "{output:?}");
        // How fast it is noticed is the machine's; what one process may lay out bounds it in any case.
        assert!(ended.peak_rss > LIMITS.memory && ended.peak_rss <= 4 * LIMITS.memory, "{ended:?}");
    }
}

#[test]
fn memory_is_the_sum_of_all_processes() {
    for jail in both() {
        // Each below the limit, all six above it.
        let (ended, output) = run(&jail, &python("fill_memory.py", &["60", "6"]));
        assert_eq!(ended.breach, Some(Breach::Memory), "{output:?}");
    }
}

#[test]
fn memory_that_forked_processes_share_counts_once() {
    for jail in both() {
        let (ended, output) = run(&jail, &python("share_memory.py", &["100", "6"]));
        assert_eq!((ended.status, ended.breach), (Status::Code(0), None), "{output:?}");
        assert!(ended.peak_rss > LIMITS.memory, "the test shares too little: {ended:?}");
    }
}

#[test]
fn memory_laid_out_but_not_used_is_no_breach() {
    for jail in both() {
        let line = "import mmap; m = [mmap.mmap(-1, 100 << 20) for _ in range(8)]; print(len(m))";
        let (ended, output) = run(&jail, &inline(line));
        assert_eq!(
            (ended.status, ended.breach, &output.stdout[..]),
            (Status::Code(0), None, &b"8\n"[..]),
            "{output:?}"
        );
    }
}

#[test]
fn too_many_processes_are_a_breach_and_none_stays() {
    for jail in both() {
        let word = marker("bomb");
        let (ended, output) = run(&jail, &python("fork_many.py", &["300", &word]));
        assert_eq!((ended.status, ended.breach), (Status::Signal(9), Some(Breach::Processes)), "{output:?}");
        assert!(marked(&word).is_empty());
    }
}

#[test]
fn flood_is_bounded_and_flagged_and_does_not_hold_the_program_up() {
    for jail in both() {
        let (ended, output) =
            run(&jail, &sh("head -c 50000000 /dev/zero; head -c 1000000 /dev/zero >&2; echo end > done"));
        assert_eq!((ended.status, ended.breach), (Status::Code(0), Some(Breach::Output)));
        let kept = usize::try_from(LIMITS.output).unwrap();
        assert_eq!((output.stdout.len(), output.stderr.len()), (kept, kept));
        assert_eq!(output.lost, 51_000_000 - 2 * LIMITS.output);
        assert_eq!(std::fs::read(jail.work().join("done")).unwrap(), b"end\n");
    }
}

#[test]
fn endless_flood_is_killed_like_anything_else() {
    for jail in both() {
        let mut running = jail.start(&program(["yes"])).unwrap();
        until(|| running.output().lost > 10_000_000);
        let begun = Instant::now();
        let ended = running.kill();
        assert_eq!((ended.status, ended.breach), (Status::Signal(9), Some(Breach::Output)));
        assert!(begun.elapsed() < Duration::from_secs(2));
    }
}

#[test]
fn file_that_grows_too_large_is_a_breach_whether_it_kills_or_not() {
    for mut jail in both() {
        // The signal that the system sends, and a program that has turned it off, as Python does.
        let (ended, _) = run(&jail, &sh("exec head -c 20000000 /dev/zero > large"));
        assert_eq!((ended.status, ended.breach), (Status::Signal(25), Some(Breach::FileSize)));
        assert_eq!(std::fs::metadata(jail.work().join("large")).unwrap().len(), LIMITS.file_size);
        jail.clear().unwrap();
        let (ended, _) = run(&jail, &inline("open('large', 'wb').write(bytes(20000000))"));
        assert_eq!((ended.status, ended.breach), (Status::Code(1), Some(Breach::FileSize)));
        // What was there before is nobody's fault.
        let mut running = jail.start(&sh("echo small > small")).unwrap();
        assert_eq!(wait(&mut running).breach, None);
    }
}
