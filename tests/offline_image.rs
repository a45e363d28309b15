//! An image of a disk: `/etc/pve` is empty, and what belongs there is in the database of the cluster file system.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "tests prepare files and stop at the first surprise"
)]

mod support;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use pve_audit::files::{Files, Kind, Node, Tree, TroubleKind};
use pve_audit::host::cluster_database::{self, DATABASE};
use pve_audit::host::{Host, Stop};
use pve_audit::policy::Policy;
use pve_audit::report::Report;
use support::{audit_tree, load_tree, now, repository};
use tempfile::TempDir;

fn data(name: &str) -> Vec<u8> {
    fs::read(repository(&format!("tests/data/configdb/{name}"))).unwrap()
}

/// A node with the database of a running one: most of it is in the log.
fn image() -> TempDir {
    let dir = TempDir::new().unwrap();
    for folder in ["etc/pve", "var/lib/pve-cluster", "root/.ssh"] {
        fs::create_dir_all(dir.path().join(folder)).unwrap();
    }
    fs::write(dir.path().join("etc/hostname"), "a.example.org\n").unwrap();
    fs::write(dir.path().join("var/lib/pve-cluster/config.db"), data("node.db")).unwrap();
    fs::write(dir.path().join("var/lib/pve-cluster/config.db-wal"), data("node.db-wal")).unwrap();
    dir
}

fn opened(root: &Path) -> Files {
    let mut files = Files::below(root).unwrap();
    cluster_database::mount(&mut files);
    files
}

fn names(files: &Files, path: &str) -> Vec<String> {
    files.list(path).unwrap().into_iter().map(|entry| entry.name).collect()
}

#[test]
fn the_files_stand_where_pmxcfs_shows_them() {
    let dir = image();
    let files = opened(dir.path());
    assert_eq!(&*files.text("/etc/pve/user.cfg").unwrap(), "user:new@pve:1:0:::::\n");
    assert_eq!(files.link("/etc/pve/local").unwrap(), "nodes/a");
    assert_eq!(&*files.text("/etc/pve/local/qemu-server/200.conf").unwrap(), "name: b\n");
    assert_eq!(&*files.text("/etc/pve/qemu-server/200.conf").unwrap(), "name: b\n");
    let top = ["lxc", "nodes", "openvz", "priv", "qemu-server", "user.cfg"];
    assert_eq!(names(&files, "/etc/pve")[2..], top);
    assert_eq!(names(&files, "/etc/pve/lxc").len(), 20);
    let meta = files.stat("/etc/pve/user.cfg").unwrap();
    assert_eq!((meta.kind, meta.mode, meta.uid, meta.gid), (Kind::File, 0o640, 0, 33));
    assert_eq!((meta.size, meta.modified), (22, 1_700_000_048));
    assert_eq!(files.stat("/etc/pve/priv").unwrap().mode, 0o700);
    assert_eq!(files.stat("/etc/pve/gone.cfg").unwrap_err().kind, TroubleKind::Missing);
    assert_eq!(files.text("/etc/pve/../hostname").unwrap().trim(), "a.example.org");
}

#[test]
fn a_link_of_the_root_leads_into_the_database() {
    let dir = image();
    symlink("/etc/pve/user.cfg", dir.path().join("root/.ssh/absolute")).unwrap();
    symlink("../../etc/pve/user.cfg", dir.path().join("root/.ssh/relative")).unwrap();
    symlink("../../etc/pve/none", dir.path().join("root/.ssh/none")).unwrap();
    symlink("loop", dir.path().join("root/.ssh/loop")).unwrap();
    let files = opened(dir.path());
    for name in ["absolute", "relative"] {
        assert_eq!(&*files.text(&format!("/root/.ssh/{name}")).unwrap(), "user:new@pve:1:0:::::\n");
    }
    for name in ["none", "missing"] {
        assert!(files.text(&format!("/root/.ssh/{name}")).unwrap_err().is_missing());
    }
    assert!(!files.text("/root/.ssh/loop").unwrap_err().is_missing());
}

#[test]
fn proposed_files_are_laid_over_the_database() {
    let (dir, over) = (image(), TempDir::new().unwrap());
    fs::create_dir_all(over.path().join("etc/pve/local/qemu-server")).unwrap();
    fs::write(over.path().join("etc/pve/user.cfg"), "user:proposed@pve:1:0:::::\n").unwrap();
    fs::write(over.path().join("etc/pve/local/qemu-server/200.conf"), "name: proposed\n").unwrap();
    let mut files = opened(dir.path());
    files.lay_over(over.path()).unwrap();
    assert_eq!(&*files.text("/etc/pve/user.cfg").unwrap(), "user:proposed@pve:1:0:::::\n");
    assert_eq!(&*files.text("/etc/pve/nodes/a/qemu-server/200.conf").unwrap(), "name: proposed\n");
    assert_eq!(names(&files, "/etc/pve/qemu-server"), ["200.conf"]);
    assert_eq!(files.stat("/etc/pve/user.cfg").unwrap().mode, 0o640);
}

#[test]
fn nothing_is_written_to_the_image() {
    let dir = image();
    let database = dir.path().join("var/lib/pve-cluster");
    let before = fs::metadata(database.join("config.db-wal")).unwrap().modified().unwrap();
    opened(dir.path()).text("/etc/pve/user.cfg").unwrap();
    let mut left: Vec<_> = fs::read_dir(&database).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["config.db", "config.db-wal"]);
    assert_eq!(fs::read(database.join("config.db")).unwrap(), data("node.db"));
    assert_eq!(fs::metadata(database.join("config.db-wal")).unwrap().modified().unwrap(), before);
}

#[test]
fn what_stands_below_etc_pve_is_never_hidden_by_a_database() {
    let dir = image();
    fs::write(dir.path().join("etc/pve/user.cfg"), "user:plain@pve:1:0:::::\n").unwrap();
    let files = opened(dir.path());
    assert_eq!(files.cluster_source(), None);
    assert_eq!(&*files.text("/etc/pve/user.cfg").unwrap(), "user:plain@pve:1:0:::::\n");
}

#[test]
fn a_database_that_cannot_be_used_makes_every_file_unknown_and_none_missing() {
    let journal = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7];
    for (what, name, bytes, reason) in [
        ("cut in half", "config.db", data("overflow.db")[..65_536].to_vec(), "cut off"),
        ("no database", "config.db", b"text\n".to_vec(), "no SQLite database"),
        ("empty", "config.db", Vec::new(), "empty"),
        ("cut by a byte", "config.db", data("overflow.db")[..131_071].to_vec(), "cut off"),
        ("hot journal", "config.db-journal", journal.to_vec(), "rolled back"),
    ] {
        let dir = image();
        fs::remove_file(dir.path().join("var/lib/pve-cluster/config.db-wal")).unwrap();
        fs::write(dir.path().join("var/lib/pve-cluster").join(name), &bytes).unwrap();
        let files = opened(dir.path());
        for path in ["/etc/pve/user.cfg", "/etc/pve/none", "/etc/pve/local/host.fw"] {
            let trouble = files.text(path).unwrap_err();
            assert_eq!(trouble.kind.name(), "source_error", "{what}: {path}");
            assert!(trouble.to_string().contains(reason), "{what}: {trouble}");
        }
        assert!(!files.list("/etc/pve").unwrap_err().is_missing(), "{what}");
        let host = Host::new(files, None, None);
        assert!(matches!(&host.cluster_files().value, Err(Stop::Unknown(_))), "{what}");
    }
}

#[test]
fn a_torn_log_is_a_doubt_about_everything_of_the_cluster() {
    let dir = image();
    let log = data("node.db-wal");
    fs::write(dir.path().join("var/lib/pve-cluster/config.db-wal"), &log[..32 + 536 + 100]).unwrap();
    let host = Host::new(opened(dir.path()), None, None);
    assert_eq!(host.cluster_files().value, Ok(()));
    assert_eq!(host.cluster_files().doubts[0].path, DATABASE);
    assert_eq!(host.guests().doubts.len(), 1, "{:?}", host.guests().doubts);
}

#[test]
fn without_a_hostname_the_only_node_is_the_local_one() {
    let dir = image();
    fs::remove_file(dir.path().join("etc/hostname")).unwrap();
    assert_eq!(opened(dir.path()).link("/etc/pve/local").unwrap(), "nodes/a");
}

fn audit(files: Files) -> Report {
    let host = Host::new(files, None, None);
    let policy = Policy::default();
    let selected = policy.selected(&pve_audit::catalogue::built_in()).unwrap();
    pve_audit::audit(&host, &selected, &policy, now(), Some("memory"))
}

/// What a report says of each check and subject, without where it stands.
fn verdicts(report: &Report) -> Vec<String> {
    let findings = report.findings.iter().map(|finding| {
        let places = finding.evidence.iter().map(|at| format!("{}:{:?}", at.path, at.line));
        let places: Vec<String> = places.collect();
        format!("{:?} {} {} {places:?}", finding.severity, finding.fingerprint, finding.message)
    });
    let checks = report.checks.iter().map(|check| format!("{} {:?}", check.id, check.verdict));
    findings.chain(checks).collect()
}

#[test]
fn a_cluster_node_is_judged_the_same_from_its_database() {
    let mounted = load_tree(&repository("tests/hosts/pve8-cluster"));
    let mut image = Tree::default();
    for (path, node) in mounted.nodes().filter(|(path, _)| !path.starts_with("/etc/pve")) {
        image.insert(path, node.clone());
    }
    image.insert(DATABASE, Node::file(data("pve8-cluster.db")).mode(0o600));
    let mut files = Files::memory(image);
    cluster_database::mount(&mut files);
    let (plain, packed) = (audit_tree(mounted, None), audit(files));
    assert_eq!(packed.run.cluster_database.as_deref(), Some(DATABASE));
    let (plain_cluster, packed_cluster) = (plain.cluster.as_ref().unwrap(), packed.cluster.as_ref().unwrap());
    assert_eq!(packed_cluster.name, plain_cluster.name);
    assert_eq!(packed_cluster.nodes, plain_cluster.nodes);
    assert_eq!(packed_cluster.uid, plain_cluster.uid);
    let (plain, packed) = (verdicts(&plain), verdicts(&packed));
    let only = |one: &[String], other: &[String]| -> Vec<String> {
        one.iter().filter(|line| !other.contains(line)).cloned().collect()
    };
    // Whether a cluster has a quorum is no configuration: no database holds it.
    assert_eq!(only(&plain, &packed), ["cluster/quorum-lost Pass"]);
    assert_eq!(only(&packed, &plain), ["cluster/quorum-lost Unknown"]);
}
