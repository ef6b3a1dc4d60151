//! The `ft-cli` program: everything is in the library, so that tests and documents can reach it.

#![forbid(unsafe_code)]

use std::process::ExitCode;

/// Thousands of small buffers cross threads: the system allocator spends a tenth of the time growing arenas for them.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ft_cli::main()
}
