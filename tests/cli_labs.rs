//! The rows A1 to B4 of the lab protocols, between `ft-cli` and programs as a student writes them (`tests/labs/`, Python).

#[path = "cli/harness.rs"]
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
mod harness;
#[path = "labs/rows_a.rs"]
mod rows_a;
#[path = "labs/rows_b.rs"]
mod rows_b;
#[path = "labs/student.rs"]
mod student;
