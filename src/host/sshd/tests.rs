use super::*;
use crate::files::{Files, Node, Tree, TroubleKind};

const STATUS: &str = "Package: openssh-server\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1:9.2p1-2+deb12u10\n\n";
const INCLUDING: &str = "Include /etc/ssh/sshd_config.d/*.conf\n";

fn tree(files: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::default();
    tree.insert(DPKG_STATUS, Node::file(STATUS));
    for (path, text) in files {
        tree.insert(path, Node::file(*text));
    }
    tree
}

fn host(tree: Tree) -> Host {
    Host::new(Files::memory(tree), None, None)
}

fn value(host: &Host, keyword: &str) -> Result<String, Stop> {
    let sshd = host.sshd().value.as_ref().map_err(Clone::clone)?;
    let values = sshd.in_force()?.values_of(keyword);
    Ok(values.iter().map(|value| value.text.as_str()).collect::<Vec<_>>().join(" "))
}

#[track_caller]
fn is(tree: &Tree, keyword: &str, expected: &str) {
    assert_eq!(value(&host(tree.clone()), keyword).as_deref(), Ok(expected));
}

fn doubts(tree: &Tree) -> usize {
    host(tree.clone()).sshd().doubts.len()
}

#[test]
fn the_first_drop_in_in_byte_order_wins_and_dot_files_are_passed_over() {
    let tree = tree(&[
        ("/etc/ssh/sshd_config", "Include /etc/ssh/sshd_config.d/*.conf\nPermitRootLogin yes\n"),
        ("/etc/ssh/sshd_config.d/9-late.conf", "PermitRootLogin yes\n"),
        ("/etc/ssh/sshd_config.d/10-early.conf", "PermitRootLogin no\n"),
        ("/etc/ssh/sshd_config.d/.hidden.conf", "PermitRootLogin yes\n"),
        ("/etc/ssh/sshd_config.d/0-off.conf.bak", "PermitRootLogin yes\n"),
    ]);
    is(&tree, "PermitRootLogin", "no");
    let host = host(tree);
    let sshd = host.sshd().value.as_ref().unwrap();
    assert_eq!(sshd.files.len(), 3);
    assert_eq!(sshd.drop_ins.len(), 2);
    assert!(sshd.release_is_known && host.sshd().doubts.is_empty());
    assert_eq!(sshd.config.overridden.len(), 2);
}

#[test]
fn folders_in_the_pattern_may_have_wildcards_too() {
    let tree = tree(&[
        ("/etc/ssh/sshd_config", "Include x*/[ab].conf\n"),
        ("/etc/ssh/x2/a.conf", "MaxAuthTries 2\n"),
        ("/etc/ssh/x1/b.conf", "MaxAuthTries 1\n"),
        ("/etc/ssh/x1/c.conf", "MaxAuthTries 3\n"),
        ("/etc/ssh/y/a.conf", "MaxAuthTries 4\n"),
    ]);
    is(&tree, "MaxAuthTries", "1");
}

#[test]
fn a_dangling_link_stops_sshd_and_a_missing_plain_file_does_not() {
    let mut tree = tree(&[("/etc/ssh/sshd_config", "Include missing.conf\nInclude d/*\n")]);
    is(&tree, "PermitRootLogin", "without-password");
    tree.insert("/etc/ssh/d/a", Node::link("/nowhere"));
    assert!(matches!(value(&host(tree.clone()), "PermitRootLogin"), Err(Stop::Unknown(_))));
    tree.insert("/etc/ssh/d/a", Node::link("/dev/null"));
    is(&tree, "PermitRootLogin", "without-password");
    tree.insert("/etc/ssh/missing.conf", Node::link("/nowhere"));
    assert!(value(&host(tree), "PermitRootLogin").is_err());
}

#[test]
fn a_folder_that_the_pattern_finds_reads_as_empty() {
    let tree = tree(&[
        ("/etc/ssh/sshd_config", INCLUDING),
        ("/etc/ssh/sshd_config.d/a.conf/b.conf", "PermitRootLogin yes\n"),
    ]);
    is(&tree, "PermitRootLogin", "without-password");
}

#[test]
fn a_part_that_cannot_be_read_leaves_every_setting_open() {
    for broken in [
        ("/etc/ssh/sshd_config.d", Node::folder().failing(TroubleKind::Denied)),
        ("/etc/ssh/sshd_config.d/a.conf", Node::file("").failing(TroubleKind::Denied)),
        ("/etc/ssh/sshd_config.d/a.conf", Node::file([0xff, 0xfe])),
        ("/etc/ssh/sshd_config.d/a.conf", Node::fifo()),
    ] {
        let mut tree = tree(&[("/etc/ssh/sshd_config", INCLUDING)]);
        tree.insert(broken.0, broken.1);
        let host = host(tree);
        assert!(matches!(value(&host, "PermitRootLogin"), Err(Stop::Unknown(_))));
        assert!(!host.sshd().doubts.is_empty());
    }
}

#[test]
fn every_file_is_read_once() {
    let tree = tree(&[
        ("/etc/ssh/sshd_config", "Include a.conf\nInclude /etc/ssh/[a].conf\nInclude /etc/ssh//a.conf\n"),
        ("/etc/ssh/a.conf", "AllowUsers root\n"),
    ]);
    is(&tree, "AllowUsers", "root root root");
}

#[test]
fn options_come_before_the_file() {
    let mut tree = tree(&[
        ("/etc/ssh/sshd_config", "PermitRootLogin no\n"),
        ("/etc/default/ssh", "SSHD_OPTS=\"-o PermitRootLogin=yes\"\n"),
    ]);
    is(&tree, "PermitRootLogin", "yes");
    tree.insert(
        "/etc/systemd/system/ssh.service.d/x.conf",
        Node::file("[Service]\nExecStart=\nExecStart=/usr/sbin/sshd -D\n"),
    );
    is(&tree, "PermitRootLogin", "no");
    assert_eq!(doubts(&tree), 0);
    let own = "[Service]\nExecStart=\nExecStart=/usr/sbin/sshd -D -f /etc/ssh/own $SSHD_OPTS\n";
    tree.insert("/etc/systemd/system/sshd.service.d/y.conf", Node::file(own));
    assert!(value(&host(tree.clone()), "PermitRootLogin").is_err(), "the other file is missing");
    tree.insert("/etc/ssh/own", Node::file("MaxAuthTries 3\n"));
    is(&tree, "PermitRootLogin", "yes");
    is(&tree, "MaxAuthTries", "3");
}

#[test]
fn a_command_that_is_not_followed_is_a_doubt() {
    for unit in [
        "[Service]\nExecStart=\nExecStart=/bin/sh -c 'exec sshd -D'\n",
        "[Service]\nExecStart=/usr/sbin/sshd -D -e\n",
        "[Service]\nEnvironment=SSHD_OPTS=-4\n",
        "[Service]\nEnvironmentFile=/etc/ssh/env*\n",
        "[Service]\nnonsense\n",
    ] {
        let tree = tree(&[
            ("/etc/ssh/sshd_config", "UsePAM yes\n"),
            ("/etc/systemd/system/ssh.service.d/x.conf", unit),
        ]);
        assert_eq!(doubts(&tree), 1, "{unit}");
    }
}

#[test]
fn drop_ins_are_read_in_every_folder_systemd_reads() {
    for folder in [
        "/etc/systemd/system.control/ssh.service.d",
        "/run/systemd/transient/sshd.service.d",
        "/etc/systemd/system/service.d",
        "/usr/local/lib/systemd/system/ssh.service.d",
        "/usr/lib/systemd/system/ssh.service.d",
    ] {
        let mut tree = tree(&[("/etc/ssh/sshd_config", "PermitRootLogin no\n")]);
        let own = "[Service]\nExecStart=\nExecStart=/usr/sbin/sshd -D -o PermitRootLogin=yes\n";
        tree.insert(&format!("{folder}/x.conf"), Node::file(own));
        is(&tree, "PermitRootLogin", "yes");
        // The drop-in of the unit hides one of the same name for all services.
        tree.insert("/etc/systemd/system.control/ssh.service.d/x.conf", Node::file("[Service]\n"));
        is(&tree, "PermitRootLogin", "no");
    }
}

#[test]
fn a_second_daemon_is_a_doubt() {
    let mut tree = tree(&[("/etc/ssh/sshd_config", "UsePAM yes\n")]);
    tree.insert("/etc/systemd/system/other.service", Node::file("[Service]\nExecStart=/bin/true\n"));
    assert_eq!(doubts(&tree), 0);
    let own = "[Service]\nExecStart=/usr/sbin/sshd -D -f /etc/ssh/lax\n";
    tree.insert("/etc/systemd/system/lax-ssh.service", Node::file(own));
    assert_eq!(doubts(&tree), 1);
}

#[test]
fn a_masked_unit_or_drop_in_says_nothing() {
    let mut tree = tree(&[("/etc/ssh/sshd_config", "UsePAM yes\n")]);
    tree.insert("/etc/systemd/system/ssh.service", Node::link("/dev/null"));
    tree.insert("/etc/systemd/system/ssh.service.d/a.conf", Node::link("/dev/null"));
    assert_eq!(doubts(&tree), 0);
}

#[test]
fn a_missing_main_file_is_unknown_and_a_missing_package_not_applicable() {
    let host_without_file = host(tree(&[]));
    let why = host_without_file.sshd().value.as_ref().unwrap_err();
    assert_eq!(*why, Stop::unknown("/etc/ssh/sshd_config", "is missing: sshd does not start without it"));
    let mut tree = tree(&[]);
    tree.insert(DPKG_STATUS, Node::file("Package: apt\nStatus: install ok installed\nVersion: 2\n\n"));
    assert!(matches!(host(tree.clone()).sshd().value, Err(Stop::NotApplicable(_))));
    tree.insert("/etc/ssh/sshd_config", Node::file("UsePAM yes\n"));
    let other = host(tree.clone());
    assert!(other.sshd().value.is_ok() && !other.sshd().doubts.is_empty());
    let removed = "Package: openssh-server\nStatus: deinstall ok config-files\nArchitecture: amd64\nVersion: 1:9.2p1-2\n\n";
    tree.insert(DPKG_STATUS, Node::file(removed));
    assert!(matches!(host(tree).sshd().value, Err(Stop::NotApplicable(_))));
}

#[test]
fn the_release_is_of_the_package_else_assumed_else_of_the_system_with_a_doubt() {
    let version = |tree: &Tree, assumed| {
        let host = Host::new(Files::memory(tree.clone()), None, assumed);
        let sshd = host.sshd().value.as_ref().unwrap();
        (sshd.config.version, sshd.release_is_known, host.sshd().doubts.len())
    };
    let mut tree = tree(&[("/etc/ssh/sshd_config", "UsePAM yes\n")]);
    assert_eq!(version(&tree, Some(Release::Pve7)), (Version::V9_2, true, 0));
    tree.remove(DPKG_STATUS);
    assert_eq!(version(&tree, Some(Release::Pve7)), (Version::V8_4, true, 0));
    assert_eq!(version(&tree, None), (Version::V10_0, false, 1));
    tree.insert("/etc/os-release", Node::file("ID=debian\nVERSION_ID=\"11\"\n"));
    assert_eq!(version(&tree, None), (Version::V8_4, false, 1));
    let other = STATUS.replace("9.2p1", "9.9p1");
    tree.insert(DPKG_STATUS, Node::file(other));
    assert_eq!(version(&tree, None), (Version::V8_4, false, 1));
}

#[test]
fn a_hostile_pattern_ends_at_the_limit() {
    let mut tree = tree(&[("/etc/ssh/sshd_config", "Include /etc/ssh/*/*\n")]);
    for number in 0..4_200 {
        tree.insert(&format!("/etc/ssh/d{number}/f"), Node::file("UsePAM yes\n"));
    }
    assert!(matches!(value(&host(tree), "UsePAM"), Err(Stop::Unknown(_))));
}

#[test]
fn groups_of_root_are_the_primary_one_and_those_that_name_it() {
    let tree = tree(&[
        ("/etc/passwd", "root:x:0:0:root:/root:/bin/bash\n"),
        ("/etc/group", "root:x:0:\nstaff:x:50:anna,root\nusers:x:100:anna\n"),
    ]);
    let host = host(tree);
    let groups: Vec<&str> = host.root_groups().value.as_ref().unwrap().iter().map(String::as_str).collect();
    assert_eq!(groups, ["root", "staff"]);
}
