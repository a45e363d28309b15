//! The `pve-audit` command.
fn main() {}
