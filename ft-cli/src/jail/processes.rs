//! Who descends from a process, and what that uses, as `/proc` tells it.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::process;

/// One process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Process {
    pub(super) pid: i32,
    parent: i32,
    zombie: bool,
    /// Bytes of memory that it has touched, shared ones included.
    pub(super) resident: u64,
}

/// This process as `/proc` numbers it: not the same as its own number when `/proc` is of another namespace.
pub(super) fn this() -> i32 {
    let number = || fs::read_link("/proc/self").ok()?.to_str()?.parse().ok();
    number().unwrap_or_else(|| process::id().cast_signed())
}

/// Everything that descends from `ancestor`, without itself and without what has ended and only waits to be reaped.
pub(super) fn descendants(ancestor: i32) -> Vec<Process> {
    let mut rest: Vec<Process> = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
        rest.extend(pid.and_then(read));
    }
    let mut family = HashSet::from([ancestor]);
    let mut found = Vec::new();
    loop {
        let before = rest.len();
        rest.retain(|one| {
            let ours = family.contains(&one.parent);
            if ours {
                family.insert(one.pid);
                found.push(*one);
            }
            !ours
        });
        if rest.len() == before {
            found.retain(|one| !one.zombie);
            return found;
        }
    }
}

fn read(pid: i32) -> Option<Process> {
    parse(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse(pid: i32, stat: &str) -> Option<Process> {
    // The name is in parentheses and may hold anything, more of them included.
    let mut fields = stat.get(stat.rfind(')')? + 1..)?.split_ascii_whitespace();
    let zombie = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    let pages: u64 = fields.nth(19)?.parse().ok()?;
    let page = u64::try_from(rustix::param::page_size()).ok()?;
    Some(Process { pid, parent, zombie, resident: pages.saturating_mul(page) })
}

/// Bytes that a process uses, its part of what it shares with others; none if it is gone by now.
///
/// # Errors
/// The system does not tell.
pub(super) fn proportional(pid: i32) -> io::Result<u64> {
    let text = match fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => return Ok(0),
        Err(error) => return Err(error),
    };
    let kilobytes =
        text.lines().find_map(|line| line.strip_prefix("Pss:")?.trim().strip_suffix("kB")?.trim().parse().ok());
    Ok(kilobytes.unwrap_or(0u64).saturating_mul(1024))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_with_parentheses_and_blanks_does_not_shift_the_fields() {
        let tail = "S 7 1 1 0 -1 0 0 0 0 0 0 0 0 0 20 0 1 0 5 1000 3 9";
        let process = parse(9, &format!("9 (a) b (c)) {tail}")).unwrap();
        assert_eq!((process.parent, process.zombie), (7, false));
        assert_eq!(process.resident, 3 * u64::try_from(rustix::param::page_size()).unwrap());
        assert!(parse(9, "9 (a").is_none() && parse(9, "").is_none());
    }

    #[test]
    fn own_memory_is_measured_both_ways() {
        let me = read(this()).unwrap();
        assert!(me.resident > 0 && proportional(me.pid).unwrap() > 0);
    }
}
