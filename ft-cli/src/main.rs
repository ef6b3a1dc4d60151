//! The `ft-cli` program: everything is in the library, so that tests and documents can reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    ft_cli::main()
}
