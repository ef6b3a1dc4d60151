//! What people and programs get to see. A session reports [`ft_core::event::Event`]s; [`Watch`] turns them into [`Fact`]s,
//! and a [`Screen`] shows each fact as its mode says: a progress bar, a line, a JSON object, or nothing.
//!
//! Everything that came from a peer is escaped here, once.

mod bars;
mod fact;
mod human;
mod map;
mod map_svg;
mod screen;
mod watch;

pub use fact::{Counts, Fact, Problem};
pub use human::{amount, files, mode_text, mtime_text, seconds};
pub(crate) use map::{map_hints, map_plain, map_text};
pub(crate) use map_svg::{map_svg, sign};
pub(crate) use screen::sentence;
pub use screen::{Mode, Screen};
pub use watch::{Tally, Watch};
