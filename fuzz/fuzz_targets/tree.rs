//! A whole audit of a small Proxmox VE tree with one file replaced by arbitrary bytes: whatever stands in it, the
//! audit ends with a report and no check panics (a panic of a check is caught by the engine, so it is looked for).
#![no_main]

use libfuzzer_sys::fuzz_target;
use pve_audit::files::{Files, Node, Tree};
use pve_audit::host::Host;
use pve_audit::policy::Policy;

const PATHS: [&str; 24] = [
    "/etc/pve/user.cfg",
    "/etc/pve/domains.cfg",
    "/etc/pve/priv/tfa.cfg",
    "/etc/pve/priv/token.cfg",
    "/etc/pve/priv/shadow.cfg",
    "/etc/pve/datacenter.cfg",
    "/etc/pve/storage.cfg",
    "/etc/pve/jobs.cfg",
    "/etc/pve/corosync.conf",
    "/etc/pve/.members",
    "/etc/pve/.vmlist",
    "/etc/pve/firewall/cluster.fw",
    "/etc/pve/firewall/100.fw",
    "/etc/pve/nodes/pve1/host.fw",
    "/etc/pve/nodes/pve1/qemu-server/100.conf",
    "/etc/pve/nodes/pve1/lxc/101.conf",
    "/etc/pve/pve-root-ca.pem",
    "/etc/ssh/sshd_config",
    "/etc/apt/sources.list",
    "/etc/apt/sources.list.d/a.sources",
    "/etc/apt/apt.conf",
    "/var/lib/dpkg/status",
    "/etc/os-release",
    "/etc/shadow",
];

fuzz_target!(|data: &[u8]| {
    let Some((first, rest)) = data.split_first() else { return };
    let mut tree = Tree::default();
    for (path, text) in [
        ("/etc/pve/.members", "{\"nodename\":\"pve1\",\"version\":0}\n"),
        ("/etc/pve/user.cfg", "user:root@pam:1:0:::::\n"),
        ("/etc/pve/nodes/pve1/qemu-server/100.conf", "name: a\nnet0: virtio=BC:24:11:00:00:01,bridge=vmbr0\n"),
        ("/etc/pve/nodes/pve1/lxc/101.conf", "hostname: b\nrootfs: local:101/vm-101-disk-0.raw,size=1G\n"),
        ("/etc/pve/firewall/cluster.fw", "[OPTIONS]\n\nenable: 1\n"),
    ] {
        tree.insert(path, Node::file(text));
    }
    tree.insert(PATHS[usize::from(*first) % PATHS.len()], Node::file(rest));
    let release = pve_audit::formats::release::Release::ALL[usize::from(*first) / PATHS.len() % 3];
    let host = Host::new(Files::memory(tree), None, Some(release));
    let policy = Policy::default();
    let report = pve_audit::audit(&host, &policy.selected(&pve_audit::catalogue::built_in()).unwrap(), &policy, jiff::Timestamp::UNIX_EPOCH, Some("fuzz"));
    for unknown in &report.unknowns {
        assert!(!unknown.message.contains("internal error"), "{}: {}", unknown.check, unknown.message);
    }
    let mut out = Vec::new();
    pve_audit::report::json::write(&report, &mut out).unwrap();
    pve_audit::report::text::write(&report, pve_audit::report::text::Style::default(), &mut out).unwrap();
});
