//! What the command line program is made of.
pub mod disk;
