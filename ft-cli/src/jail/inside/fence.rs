//! A fence around a program where no namespace is (Landlock): what it may write, and whom it may signal.

use std::ffi::OsString;

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, Scope,
    path_beneath_rules,
};

/// What is asked for. Of what a kernel lacks of it, the rest is still had.
const WISHED: ABI = ABI::V6;

/// What anybody may write to.
const DEVICES: [&str; 3] = ["/dev/null", "/dev/zero", "/dev/full"];

/// Where shared memory and semaphores have their names; whoever makes them has to remove them.
const SHARED: &str = "/dev/shm";

/// Lets this thread, and what it starts, write only beneath `writable`, and send signals only among themselves. As much of
/// that as the kernel knows of, which may be nothing.
pub(super) fn close(writable: &[OsString]) {
    let make = || -> Result<_, RulesetError> {
        Ruleset::default()
            .handle_access(AccessFs::from_all(WISHED))?
            .scope(Scope::from_all(WISHED))?
            .create()?
            .add_rules(path_beneath_rules(["/"], AccessFs::from_read(WISHED)))?
            .add_rules(path_beneath_rules(DEVICES, AccessFs::from_file(WISHED)))?
            .add_rules(path_beneath_rules([SHARED], AccessFs::from_all(WISHED)))?
            .add_rules(path_beneath_rules(writable, AccessFs::from_all(WISHED)))?
            .restrict_self()
    };
    let _ = make();
}

/// Whether this kernel has all of the fence. Changes nothing.
pub(in super::super) fn holds() -> bool {
    let make = || -> Result<_, RulesetError> {
        Ruleset::default()
            .set_compatibility(CompatLevel::HardRequirement)
            .handle_access(AccessFs::from_all(WISHED))?
            .scope(Scope::from_all(WISHED))?
            .create()
    };
    make().is_ok()
}
