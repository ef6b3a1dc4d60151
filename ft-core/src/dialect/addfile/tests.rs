//! Lab B: tests
