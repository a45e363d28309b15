//! Shared by the integration tests: hosts in memory and on disk, running an audit, goldens.
#![allow(dead_code, unreachable_pub, missing_docs, reason = "every test program uses its own part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stderr,
    reason = "tests prepare files, start programs and stop at the first surprise"
)]

pub mod advisories;
pub mod base;
pub mod case;
pub mod hostile;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use pve_audit::files::{Files, Node, Tree};
use pve_audit::formats::release::Release;
use pve_audit::host::Host;
use pve_audit::policy::Policy;
use pve_audit::report::Report;

/// The clock of every test that does not set its own: before the end of life of Proxmox VE 9.
pub const NOW: &str = "2026-11-21T12:00:00Z";

/// A path below the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

pub fn now() -> Timestamp {
    NOW.parse().unwrap()
}

/// Every check on `tree`.
pub fn audit_tree(tree: Tree, assumed: Option<Release>) -> Report {
    let host = Host::new(Files::memory(tree), None, assumed);
    let policy = Policy::default();
    pve_audit::audit(
        &host,
        &policy.selected(&pve_audit::catalogue::built_in()).unwrap(),
        &policy,
        now(),
        Some("memory"),
    )
}

/// A folder on disk as a tree in memory. Git keeps no modes and owners, so files get those of their real writers.
pub fn load_tree(root: &Path) -> Tree {
    let mut tree = Tree::default();
    for entry in walkdir::WalkDir::new(root).min_depth(1).sort_by_file_name() {
        let entry = entry.unwrap();
        let path = format!("/{}", entry.path().strip_prefix(root).unwrap().to_str().unwrap());
        let kind = entry.file_type();
        let node = if kind.is_symlink() {
            Node::link(std::fs::read_link(entry.path()).unwrap().to_str().unwrap())
        } else if kind.is_dir() {
            Node::folder()
        } else if kind.is_file() {
            Node::file(std::fs::read(entry.path()).unwrap())
        } else {
            Node::fifo()
        };
        let (mode, gid) = mode_and_group(&path, kind.is_dir());
        tree.insert(&path, node.mode(mode).owner(0, gid));
    }
    tree
}

/// As pmxcfs, Debian's passwd package and Proxmox VE's subscription code set them.
fn mode_and_group(path: &str, is_folder: bool) -> (u32, u32) {
    const WWW_DATA: u32 = 33;
    const SHADOW: u32 = 42;
    let private = path.starts_with("/etc/pve/priv") || path.starts_with("/etc/apt/auth.conf.d/");
    match (is_folder, path.starts_with("/etc/pve/")) {
        (true, true) => (if private { 0o700 } else { 0o755 }, WWW_DATA),
        (true, false) => (0o755, 0),
        (false, true) => (if private { 0o600 } else { 0o640 }, WWW_DATA),
        (false, false) if private => (0o600, 0),
        (false, false) if path.ends_with("shadow") => (0o640, SHADOW),
        (false, false) if path.starts_with("/etc/sudoers") => (0o440, 0),
        (false, false) => (0o644, 0),
    }
}

/// Compares `actual` with the golden file, or writes it when `BLESS` is set.
pub fn golden(path: &Path, actual: &str) {
    if std::env::var_os("BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, actual).unwrap();
        return;
    }
    let expected = std::fs::read_to_string(path).unwrap_or_default();
    if expected != actual {
        let line = expected.lines().zip(actual.lines()).position(|(old, new)| old != new);
        let line = line.unwrap_or_else(|| expected.lines().count().min(actual.lines().count()));
        panic!(
            "{} is not up to date from line {}:\n  golden: {}\n  actual: {}\nrun `BLESS=1 cargo test` and read the difference",
            path.display(),
            line + 1,
            expected.lines().nth(line).unwrap_or("(end)"),
            actual.lines().nth(line).unwrap_or("(end)"),
        );
    }
}
