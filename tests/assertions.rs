//! The quirks of every assertion kind, and the law for all of them: an input that is missing or cannot be read never
//! turns a fail into a pass.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod support;

use pve_audit::catalogue::{Area, Assertion, Check, Evaluate, Expect, Missing, Scope, Severity, When};
use pve_audit::engine;
use pve_audit::files::{Files, Node, Tree, TroubleKind};
use pve_audit::host::Host;

fn check(assertion: Assertion) -> &'static Check {
    Box::leak(Box::new(Check {
        id: "test/assertion",
        title: "",
        severity: Severity::Low,
        area: Area::Isolation,
        scope: Scope::Node,
        profiles: &[],
        rationale: "",
        remediation: "",
        exceptions: "",
        references: &[],
        mappings: &[],
        parameters: &[],
        when: When { pve: None },
        evaluate: Evaluate::Assert(Box::leak(Box::new(assertion))),
    }))
}

fn tree(files: &[(&str, Node)]) -> Tree {
    let mut tree = Tree::default();
    for (path, node) in files {
        tree.insert(path, node.clone());
    }
    tree
}

fn outcome(check: &'static Check, tree: Tree) -> engine::Outcome {
    let host = Host::new(Files::memory(tree), None, None);
    engine::run(&host, support::now(), check, &Vec::new())
}

fn verdict(assertion: Assertion, files: &[(&str, Node)]) -> &'static str {
    outcome(check(assertion), tree(files)).verdict.name()
}

fn text(text: &str) -> Node {
    Node::file(text)
}

fn denied() -> Node {
    Node::file("").failing(TroubleKind::Denied)
}

const ANY: Expect = Expect { one_of: None, none_of: None, at_least: None, at_most: None };

const PACKAGES: &str = "Package: apt\nStatus: install ok installed\nVersion: 1\n\n\
                        Package: old\nStatus: deinstall ok config-files\nVersion: 1\n\n\
                        Package: half\nStatus: install ok half-configured\nVersion: 1\n";

fn package(name: &'static str, installed: bool) -> Assertion {
    Assertion::Package { any_of: Box::leak(Box::new([name])), installed, units: &[] }
}

fn unit(enabled: bool) -> Assertion {
    Assertion::Unit { name: "a.service", also: &["a.socket"], package: "apt", enabled }
}

fn units(links: &[(&'static str, &str)]) -> Vec<(&'static str, Node)> {
    let mut nodes = vec![("/var/lib/dpkg/status", text(PACKAGES)), ("/etc/systemd/system", Node::folder())];
    nodes.extend(links.iter().map(|(path, target)| (*path, Node::link(*target))));
    nodes
}

const WANTED: (&str, &str) =
    ("/etc/systemd/system/multi-user.target.wants/a.service", "/usr/lib/systemd/system/a.service");

#[test]
fn a_sysctl_is_judged_by_every_part_that_is_expected() {
    let path = "/proc/sys/net/ipv4/x";
    let between = Expect { at_least: Some(1), at_most: Some(2), ..ANY };
    let words = Expect { one_of: Some(&["32768 60999"]), ..ANY };
    for (expect, value, expected) in [
        (between, "0\n", "fail"),
        (between, "1\n", "pass"),
        (between, "2\n", "pass"),
        (between, "3\n", "fail"),
        (between, "-1\n", "fail"),
        (between, "", "unknown"),
        (between, "2", "unknown"),
        (words, "32768\t60999\n", "pass"),
        (words, "32768\t6099\n", "fail"),
    ] {
        let assertion = Assertion::Sysctl { key: "net.ipv4.x", expect };
        assert_eq!(verdict(assertion, &[(path, text(value))]), expected, "{value:?}");
    }
}

#[test]
fn a_package_is_installed_once_its_files_are_there_and_not_by_what_it_left_behind() {
    for (name, there) in [("apt", true), ("half", true), ("old", false), ("none", false)] {
        let status = [("/var/lib/dpkg/status", text(PACKAGES))];
        let (wanted, unwanted) = if there { ("pass", "fail") } else { ("fail", "pass") };
        assert_eq!(verdict(package(name, true), &status), wanted, "{name}");
        assert_eq!(verdict(package(name, false), &status), unwanted, "{name}");
    }
}

#[test]
fn a_package_is_neither_there_nor_missing_where_the_status_was_not_read_whole() {
    let cut = format!("{PACKAGES}\nPackage: b");
    for status in [denied(), text(""), text(&cut)] {
        let status = [("/var/lib/dpkg/status", status)];
        assert_eq!(verdict(package("none", false), &status), "unknown");
        assert_eq!(verdict(package("none", true), &status), "unknown");
    }
    assert_eq!(verdict(package("none", false), &[]), "unknown");
    // What was seen stays seen.
    assert_eq!(verdict(package("apt", false), &[("/var/lib/dpkg/status", text(&cut))]), "fail");
}

#[test]
fn a_unit_starts_by_its_link_and_not_when_it_is_masked() {
    let masked = ("/etc/systemd/system/a.service", "/dev/null");
    for (links, must_start, must_not) in [
        (vec![], "fail", "pass"),
        (vec![WANTED], "pass", "fail"),
        (vec![WANTED, masked], "fail", "pass"),
        (vec![("/etc/systemd/system/sockets.target.wants/a.socket", "../a.socket")], "pass", "fail"),
        // Another name starts nothing, but what starts under it starts the unit.
        (vec![("/etc/systemd/system/b.service", "/usr/lib/systemd/system/a.service")], "fail", "pass"),
        (
            vec![
                ("/etc/systemd/system/b.service", "/usr/lib/systemd/system/a.service"),
                ("/etc/systemd/system/x.target.wants/b.service", "/usr/lib/systemd/system/a.service"),
            ],
            "pass",
            "fail",
        ),
    ] {
        assert_eq!(verdict(unit(true), &units(&links)), must_start, "{links:?}");
        assert_eq!(verdict(unit(false), &units(&links)), must_not, "{links:?}");
    }
}

#[test]
fn a_unit_is_unknown_where_its_links_were_not_read() {
    let status = ("/var/lib/dpkg/status", text(PACKAGES));
    let folder = Node::folder().failing(TroubleKind::Denied);
    for nodes in [
        vec![status.clone()],
        vec![status.clone(), ("/etc/systemd/system", folder.clone())],
        vec![status, ("/etc/systemd/system/x.target.wants", folder)],
    ] {
        assert_eq!(verdict(unit(false), &nodes), "unknown");
        assert_eq!(verdict(unit(true), &nodes), "unknown");
    }
}

#[test]
fn a_unit_of_a_package_that_is_not_installed_is_not_applicable() {
    let nodes = [
        ("/var/lib/dpkg/status", text("Package: b\nStatus: install ok installed\nVersion: 1\n")),
        (WANTED.0, Node::link(WANTED.1)),
    ];
    assert_eq!(verdict(unit(false), &nodes), "not-applicable");
}

fn shm(options: &'static [&'static str]) -> Assertion {
    Assertion::Mount { path: "/dev/shm", options }
}

#[test]
fn the_running_mount_counts_and_what_is_configured_only_where_nothing_runs() {
    let fstab = |options: &str| ("/etc/fstab", text(&format!("tmpfs /dev/shm tmpfs {options} 0 0\n")));
    let running = |options: &str| {
        let lines =
            format!("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:2 / /dev/shm {options} - tmpfs tmpfs rw\n");
        ("/proc/1/mountinfo", text(&lines))
    };
    for (nodes, expected) in [
        (vec![running("rw,nosuid,nodev"), fstab("defaults")], "pass"),
        (vec![running("rw,nosuid"), fstab("nosuid,nodev")], "fail"),
        (vec![fstab("nosuid,nodev")], "unknown"),
        (vec![fstab("nosuid")], "fail"),
        (vec![fstab("user")], "unknown"),
        (vec![fstab("nosuid,nodev,defaults")], "fail"),
        (vec![], "unknown"),
        (vec![("/proc/1/mountinfo", text("1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"))], "not-applicable"),
        (vec![("/proc/1/mountinfo", text("1 0 8:1 / / rw - ext4 /dev/sda1 rw\nx\n"))], "unknown"),
        (vec![("/proc/1/mountinfo", text("")), fstab("nosuid,nodev")], "unknown"),
    ] {
        assert_eq!(verdict(shm(&["nosuid", "nodev"]), &nodes), expected, "{nodes:?}");
    }
}

#[test]
fn a_kernel_argument_is_judged_by_its_last_value_or_by_any_use() {
    let last = || Assertion::KernelArgument { name: "init_on_alloc", bad_values: &["0"], good_values: &[] };
    let any = || Assertion::KernelArgument { name: "nopti", bad_values: &[], good_values: &[] };
    let running = |line: &str| vec![("/proc/cmdline", text(line))];
    for (assertion, nodes, expected) in [
        (last(), running("init-on-alloc=0\n"), "fail"),
        (last(), running("init_on_alloc=0 init_on_alloc=1\n"), "pass"),
        (last(), running("init_on_alloc=1,0\n"), "fail"),
        (last(), running("quiet\n"), "pass"),
        (last(), running("\"init_on_alloc=0\"\n"), "fail"),
        (any(), running("nopti quiet\n"), "fail"),
        (any(), running("nopti=1 quiet\n"), "fail"),
        (any(), running("quiet -- nopti\n"), "pass"),
        (any(), running(""), "unknown"),
        (any(), running("quiet"), "unknown"),
        (any(), vec![], "unknown"),
        (any(), vec![("/etc/kernel/cmdline", text("nopti\n"))], "fail"),
        (any(), vec![("/etc/kernel/cmdline", text("quiet\n"))], "unknown"),
        (any(), vec![("/proc/cmdline", denied()), ("/etc/kernel/cmdline", text("nopti\n"))], "unknown"),
    ] {
        assert_eq!(verdict(assertion, &nodes), expected, "{nodes:?}");
    }
}

#[test]
fn a_module_is_safe_when_it_is_blocked_and_not_loaded_or_when_the_kernel_has_none() {
    let blocked = ("/etc/modprobe.d/a.conf", text("install usb-storage /bin/false\n"));
    let loaded = |name: &str| ("/proc/modules", text(&format!("{name} 1 0 - Live 0x0\n")));
    let kernel = |modules: &str, built_in: &str| {
        vec![
            ("/etc/modprobe.d", Node::folder()),
            ("/proc/sys/kernel/osrelease", text("7.0-pve\n")),
            ("/lib/modules/7.0-pve/modules.dep", text(modules)),
            ("/lib/modules/7.0-pve/modules.builtin", text(built_in)),
        ]
    };
    let with = |mut nodes: Vec<(&'static str, Node)>, more: &[(&'static str, Node)]| {
        nodes.extend(more.iter().cloned());
        nodes
    };
    let has = || kernel("kernel/usb-storage.ko:\n", "kernel/a.ko\n");
    let lacks = || kernel("kernel/b.ko:\n", "kernel/a.ko\n");
    for (nodes, expected) in [
        (vec![blocked.clone(), loaded("kvm")], "pass"),
        (vec![blocked.clone(), loaded("usb_storage")], "fail"),
        (vec![blocked.clone(), ("/proc/modules", text(""))], "unknown"),
        (vec![blocked.clone(), ("/proc/modules", denied())], "unknown"),
        (vec![blocked.clone()], "unknown"),
        (vec![], "unknown"),
        (vec![("/etc/modprobe.d", Node::folder())], "fail"),
        (vec![("/etc/modprobe.d/a.conf", denied())], "unknown"),
        (vec![("/etc/modprobe.d/a.conf", text("blacklist usb_storage\n"))], "fail"),
        (with(has(), &[loaded("kvm")]), "fail"),
        (with(lacks(), &[loaded("kvm")]), "pass"),
        (with(lacks(), &[]), "fail"),
        (with(kernel("kernel/b.ko:\n", "kernel/usb_storage.ko\n"), &[loaded("kvm")]), "fail"),
        (with(kernel("", "kernel/a.ko\n"), &[loaded("kvm")]), "unknown"),
        (
            vec![
                ("/etc/modprobe.d", Node::folder()),
                ("/proc/sys/kernel/osrelease", text("7.0-pve\n")),
                loaded("kvm"),
            ],
            "unknown",
        ),
    ] {
        assert_eq!(verdict(Assertion::Module { names: &["usb-storage"] }, &nodes), expected, "{nodes:?}");
    }
}

#[test]
fn mode_and_owner_of_a_file_are_judged_behind_links() {
    let file = || Assertion::File {
        path: "/etc/x",
        mode_at_most: Some(0o640),
        uid: Some(0),
        gid: &[0, 42],
        missing: Missing::Fail,
    };
    for (node, expected) in [
        (text("").mode(0o640).owner(0, 42), "pass"),
        (text("").mode(0o400), "pass"),
        (text("").mode(0o644), "fail"),
        (text("").mode(0o4640), "fail"),
        (text("").mode(0o600).owner(1, 0), "fail"),
        (text("").mode(0o600).owner(0, 33), "fail"),
        (Node::link("y"), "fail"),
        (Node::link("nowhere"), "fail"),
        (denied(), "unknown"),
    ] {
        let nodes = [("/etc/x", node.clone()), ("/etc/y", text("").mode(0o666))];
        assert_eq!(verdict(file(), &nodes), expected, "{node:?}");
    }
}

#[test]
fn a_missing_file_means_what_the_check_says_if_its_folder_is_there() {
    for (missing, expected) in [
        (Missing::Pass, "pass"),
        (Missing::Fail, "fail"),
        (Missing::NotApplicable, "not-applicable"),
        (Missing::Unknown, "unknown"),
    ] {
        let file = || Assertion::File { path: "/etc/x/y", mode_at_most: None, uid: None, gid: &[], missing };
        assert_eq!(verdict(file(), &[("/etc/x", Node::folder())]), expected);
        let without = if missing == Missing::NotApplicable { "not-applicable" } else { "unknown" };
        assert_eq!(verdict(file(), &[]), without);
    }
}

fn option(separator: char, default: &'static str, package: &'static str) -> Assertion {
    let expect = Expect { one_of: Some(&["good"]), ..ANY };
    Assertion::Option { path: "/etc/x.conf", key: "key", separator, default, also: &[], package, expect }
}

#[test]
fn the_last_line_of_an_option_counts() {
    for (separator, content, expected) in [
        ('=', "key = bad\nkey=good\n", "pass"),
        ('=', "key=good\nkey = bad\n", "fail"),
        ('=', "key=good\n#key=bad\n", "pass"),
        ('=', "key=good\nkeys=bad\n", "pass"),
        ('=', "key=\"good\"\n", "pass"),
        ('=', "key='GOOD'\n", "pass"),
        ('=', "key=good\nkey=\n", "fail"),
        ('=', "key=good", "unknown"),
        (':', "key: good\n", "pass"),
        (' ', "key\t good\n", "pass"),
        (' ', "key   bad\n", "fail"),
    ] {
        let nodes = [("/etc/x.conf", text(content))];
        assert_eq!(verdict(option(separator, "bad", ""), &nodes), expected, "{content:?}");
    }
}

#[test]
fn without_the_line_the_default_counts_and_without_the_file_a_tree_tells_nothing() {
    let empty = [("/etc/x.conf", text("other = 1\n"))];
    assert_eq!(verdict(option('=', "good", ""), &empty), "pass");
    assert_eq!(verdict(option('=', "bad", ""), &empty), "fail");
    for default in ["good", "bad"] {
        assert_eq!(verdict(option('=', default, ""), &[]), "unknown");
        assert_eq!(verdict(option('=', default, ""), &[("/etc/x.conf", denied())]), "unknown");
    }
}

#[test]
fn an_option_of_a_package_that_is_not_installed_is_not_applicable() {
    let nodes = |status: Node| [("/var/lib/dpkg/status", status), ("/etc/x.conf", text("key=bad\n"))];
    assert_eq!(verdict(option('=', "good", "apt"), &nodes(text(PACKAGES))), "fail");
    assert_eq!(verdict(option('=', "good", "old"), &nodes(text(PACKAGES))), "not-applicable");
    assert_eq!(verdict(option('=', "good", "apt"), &nodes(denied())), "unknown");
}

#[test]
fn no_missing_or_unreadable_input_turns_a_fail_into_a_pass() {
    let mounts = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:2 / /dev/shm rw - tmpfs tmpfs rw\n";
    let status = ("/var/lib/dpkg/status", text(PACKAGES));
    let failing: Vec<(Assertion, Vec<(&str, Node)>)> = vec![
        (
            Assertion::Sysctl { key: "a.b", expect: Expect { at_least: Some(1), ..ANY } },
            vec![("/proc/sys/a/b", text("0\n")), ("/proc/sys/kernel/x", text("1\n"))],
        ),
        (package("apt", false), vec![status.clone()]),
        (package("none", true), vec![status.clone()]),
        (unit(false), units(&[WANTED])),
        (unit(true), units(&[])),
        (
            shm(&["nodev"]),
            vec![
                ("/proc/1/mountinfo", text(mounts)),
                ("/etc/fstab", text("tmpfs /dev/shm tmpfs nodev 0 0\n")),
            ],
        ),
        (
            Assertion::KernelArgument { name: "mitigations", bad_values: &["off"], good_values: &["auto"] },
            vec![("/proc/cmdline", text("mitigations=off\n")), ("/etc/kernel/cmdline", text("quiet\n"))],
        ),
        (
            Assertion::Module { names: &["sctp"] },
            vec![
                ("/proc/modules", text("sctp 1 0 - Live 0x0\n")),
                ("/etc/modprobe.d/a.conf", text("install sctp /bin/false\n")),
            ],
        ),
        (
            Assertion::File {
                path: "/etc/x",
                mode_at_most: Some(0o600),
                uid: None,
                gid: &[],
                missing: Missing::NotApplicable,
            },
            vec![("/etc/x", text(""))],
        ),
        (option('=', "good", "apt"), vec![("/etc/x.conf", text("key=bad\n")), status]),
    ];
    for (assertion, nodes) in failing {
        let name = format!("{assertion:?}");
        let check = check(assertion);
        assert_eq!(outcome(check, tree(&nodes)).verdict.name(), "fail", "{name}");
        for (path, node) in &nodes {
            let mut missing = tree(&nodes);
            missing.remove(path);
            let mut unreadable = tree(&nodes);
            unreadable.insert(path, node.clone().failing(TroubleKind::Denied));
            let mut empty = tree(&nodes);
            if node.bytes().is_some_and(|bytes| !bytes.is_empty()) {
                empty.insert(path, text(""));
            }
            for worse in [missing, unreadable, empty] {
                let verdict = outcome(check, worse).verdict.name();
                // A link that is gone starts nothing any more: that is the state, not a reading of it.
                assert!(verdict != "pass" || *path == WANTED.0, "{name}: without {path}: {verdict}");
            }
        }
    }
}
