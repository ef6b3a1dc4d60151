//! `key`: the name by which others know this installation.

use crate::exit::{Exit, Stop};
use crate::render::Screen;
use crate::trust::{Identity, KeyArgs};

/// Prints the fingerprint of our key, and makes the key if there is none.
pub(super) fn run(args: &KeyArgs, screen: &Screen) -> Result<Exit, Stop> {
    let identity = Identity::open(args.identity.as_deref()).map_err(Stop::failed)?;
    screen.print(&identity.fingerprint().to_string());
    Ok(Exit::Completed)
}
