//! The program `tollgate`: see `cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    tollgate::cli::main()
}
