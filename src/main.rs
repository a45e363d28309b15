//! The `pve-audit` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    pve_audit::cli::main()
}
