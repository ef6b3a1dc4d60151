//! What a guard may do for its program, and what it gives up before it starts it.

use std::io;

use rustix::process::{DumpableBehavior, Pid, Resource, Rlimit, getrlimit, prlimit, set_dumpable_behavior, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, configure_capability_in_ambient_set,
    remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
};

use super::super::talk::Bounds;
use crate::limits::{JAIL_DESCRIPTORS, JAIL_LAID_OUT, JAIL_THREADS};

/// What a stage and a guard need in the jail's own namespaces: to mount, and to give up the rest for good.
const HELPERS: [CapabilitySet; 2] = [CapabilitySet::SYS_ADMIN, CapabilitySet::SETPCAP];

/// Keeps the rights that helpers need across the start of a program, which takes them from all but root.
pub(super) fn hand_down() -> io::Result<()> {
    let mut sets = capabilities(None)?;
    for capability in HELPERS {
        sets.inheritable |= capability;
    }
    set_capabilities(None, sets)?;
    for capability in HELPERS {
        configure_capability_in_ambient_set(capability, true)?;
    }
    Ok(())
}

/// Gives up every right, for this process and all that it starts, for ever.
///
/// `strict`: whether failing to is an error. Outside a namespace of ours only root has rights, and may lack the one to
/// give up others.
pub(super) fn give_up(strict: bool) -> io::Result<()> {
    let lenient = |result: rustix::io::Result<()>| if strict { result } else { Ok(()) };
    // First this: it needs a right. A kernel has fewer than 64, and says "invalid" to the rest.
    for bit in 0..u64::BITS {
        match remove_capability_from_bounding_set(CapabilitySet::from_bits_retain(1 << bit)) {
            Err(rustix::io::Errno::INVAL) => break,
            result => lenient(result)?,
        }
    }
    lenient(clear_ambient_capability_set())?;
    let none = CapabilitySet::empty();
    lenient(set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none }))?;
    set_no_new_privs(true)?;
    // The program runs under the same user: it must not look into its guard or write in its memory.
    Ok(set_dumpable_behavior(DumpableBehavior::NotDumpable)?)
}

/// Bounds what each process of the program may use. What all use together is measured ([`super::watch`]).
pub(super) fn bound(bounds: Bounds, own_users: bool) -> io::Result<()> {
    lower(Resource::Fsize, bounds.file_size)?;
    lower(Resource::Core, 0)?;
    lower(Resource::Nofile, JAIL_DESCRIPTORS)?;
    if own_users && counts_by_namespace() {
        lower(Resource::Nproc, u64::from(bounds.processes).saturating_add(JAIL_THREADS))?;
    }
    Ok(())
}

/// Bounds what a program that has just begun may lay out in each process: not address space, of which virtual machines
/// reserve far more than they use. Not set here and inherited, because this process's own allocator lays out much.
pub(super) fn bound_memory(program: Pid, bounds: Bounds) {
    let most = Some(bounds.memory.saturating_mul(JAIL_LAID_OUT));
    // If it has ended by now there is nothing to bound.
    let _ = prlimit(Some(program), Resource::Data, Rlimit { current: most, maximum: most });
}

/// Since Linux 5.14 a user's processes are counted for each namespace of users; before, those of the caller count too, who
/// may have thousands.
fn counts_by_namespace() -> bool {
    let uname = rustix::system::uname();
    let mut numbers = uname.release().to_str().unwrap_or("").split(|c: char| !c.is_ascii_digit());
    let mut next = || numbers.next().and_then(|n| n.parse::<u32>().ok()).unwrap_or(0);
    (next(), next()) >= (5, 14)
}

fn lower(resource: Resource, to: u64) -> io::Result<()> {
    let to = getrlimit(resource).maximum.map_or(to, |most| most.min(to));
    Ok(setrlimit(resource, Rlimit { current: Some(to), maximum: Some(to) })?)
}
