//! Hostile peers against the real program: tables of bad input, each row a test of its own, with what must come of it; and
//! the attackers of docs/SECURITY.md, one file each.
#![cfg(target_os = "linux")]

#[path = "hostile/craft.rs"]
#[allow(dead_code, reason = "the whole vocabulary, of which tests use a part")]
mod craft;
#[path = "hostile/crowds.rs"]
mod crowds;
#[path = "hostile/document.rs"]
mod document;
#[path = "hostile/fence.rs"]
mod fence;
#[path = "hostile/flips.rs"]
mod flips;
#[path = "hostile/got.rs"]
mod got;
#[path = "hostile/got_rows.rs"]
mod got_rows;
#[path = "cli/harness.rs"]
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
mod harness;
#[path = "hostile/racer.rs"]
mod racer;
#[path = "hostile/rows_content.rs"]
mod rows_content;
#[path = "hostile/rows_fatal.rs"]
mod rows_fatal;
#[path = "hostile/rows_joined.rs"]
mod rows_joined;
#[path = "hostile/rows_limits.rs"]
mod rows_limits;
#[path = "hostile/rows_names.rs"]
mod rows_names;
#[path = "hostile/rows_tolerated.rs"]
mod rows_tolerated;
#[path = "hostile/served.rs"]
mod served;
#[path = "hostile/table.rs"]
mod table;
