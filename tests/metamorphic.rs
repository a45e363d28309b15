//! The law: corrupting, truncating or removing any input never turns a fail into a pass.
//!
//! Tried on every case of every check and on the whole hosts: each file that the run accessed is made unreadable in
//! several ways, cut in the middle of a line, emptied, removed, and each of its lines is replaced by garbage.
//!
//! What no reader can know is left out, by name: a file whose absence is itself a state of the host with a meaning of
//! its own upstream (a drop-in that is not there, a guest that does not exist), and a cut exactly between two lines.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests stop at the first surprise"
)]

mod support;

use std::collections::BTreeMap;

use pve_audit::catalogue::find;
use pve_audit::engine::Outcome;
use pve_audit::files::{Node, TroubleKind};
use pve_audit::outcome::{SubjectKind, Verdict};
use support::case::{check_files, run_and_list, run_on, tree};

/// Files whose absence has a meaning of its own, so that a host without them is another host, not a damaged one.
const ABSENCE_IS_A_STATE: [&str; 34] = [
    // No package asks for a reboot.
    "/run/reboot-required",
    // A unit without processes does not run.
    "/cgroup.procs",
    // Without it apt has the keyrings of the folder beside it.
    "/etc/apt/trusted.gpg",
    // A guest without a configuration does not exist (where no list of guests names it).
    "/qemu-server/",
    "/lxc/",
    // Upstream makes up the storage `local` where there is no file.
    "/etc/pve/storage.cfg",
    // Without the defaults of the node upstream's own apply.
    "/etc/vzdump.conf",
    // A drop-in of sshd that is not there sets nothing.
    "/etc/ssh/sshd_config.d/",
    // A file with keys that is not there lets nobody in; the shared list of Proxmox VE is always there.
    "/.ssh/authorized_keys",
    "/etc/ssh/keys/",
    // The unit takes a missing one for no options (`EnvironmentFile=-`).
    "/etc/default/ssh",
    // Without a drop-in, and without a unit of the administrator, the packaged unit counts.
    "/etc/systemd/system/ssh.service",
    "/etc/systemd/system/sshd.service",
    // Without host.fw a node is filtered; without the file of a guest or a vnet there are no rules of its own.
    "/host.fw",
    "/etc/pve/firewall/1",
    "/etc/pve/sdn/firewall/",
    // A cluster without virtual networks has applied none.
    "/etc/pve/sdn/.running-config",
    // A guest without a configuration does not exist (where no list of guests names it), and no file of it is read.
    "/qemu-server/1",
    // Without this program the iptables backend works.
    "/usr/libexec/proxmox/proxmox-firewall",
    // Drop-in folders and their optional main files: without a file apt has no such source, setting, pin or password.
    "/etc/apt/sources.list",
    "/etc/apt/apt.conf",
    "/etc/apt/preferences",
    "/etc/apt/auth.conf",
    // Without a pin the boot loader takes the newest kernel.
    "/etc/kernel/proxmox-boot-pin",
    "/etc/kernel/next-boot-pin",
    "/etc/default/grub.d/proxmox-kernel-pin.cfg",
    // A service without its settings listens to everybody.
    "/etc/default/pveproxy",
    // A drop-in of a package that is not there sets nothing.
    "/usr/lib/systemd/journald.conf.d/",
    // Without a certificate of the administrator, or its key, a node shows that of the cluster.
    "/pveproxy-ssl.",
    // A node without settings of its own orders no certificate.
    "/etc/pve/nodes/pve1/config",
    // Without a drop-in there is no such interface, kernel parameter or saved rule.
    "/etc/network/interfaces.d/",
    "/etc/sysctl.d/",
    "/etc/iptables/",
    // An interface that is not there has no settings.
    "/proc/sys/net/ipv4/conf/vmbr0/",
];

/// What can stand in a file after a mishap.
const GARBAGE: &str = "\u{1}@@ corrupt {{ [";

struct Mutant {
    name: String,
    node: Option<Node>,
    /// Whether the host is still recognisably the same, only damaged.
    damage: bool,
}

fn mutants(path: &str, bytes: &[u8]) -> Vec<Mutant> {
    let damaged = |name: &str, node: Node| Mutant { name: name.to_owned(), node: Some(node), damage: true };
    let mut all = vec![
        damaged("denied", Node::file(bytes).failing(TroubleKind::Denied)),
        damaged("timed out", Node::file(bytes).failing(TroubleKind::TimedOut)),
        damaged("too large", Node::file(bytes).failing(TroubleKind::TooLarge { limit: 1 })),
        damaged("not UTF-8", Node::file([bytes, &[0xff, 0xfe][..]].concat())),
        damaged("a FIFO", Node::fifo()),
        damaged("a line of garbage before", Node::file([GARBAGE.as_bytes(), b"\n", bytes].concat())),
        damaged("nothing but garbage", Node::file([GARBAGE.as_bytes(), b"\n"].concat())),
    ];
    let absence = ABSENCE_IS_A_STATE.iter().any(|known| path.contains(known));
    // Readers of drop-ins skip folders, as upstream does: a folder in the place of one is its absence.
    all.push(Mutant { name: "a folder".to_owned(), node: Some(Node::folder()), damage: !absence });
    all.push(Mutant { name: "removed".to_owned(), node: None, damage: !absence });
    all.push(Mutant { name: "emptied".to_owned(), node: Some(Node::file("")), damage: !absence });
    let text = String::from_utf8_lossy(bytes).into_owned();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut start = 0;
    for (number, line) in lines.iter().enumerate().take(60) {
        if line.trim().chars().count() > 1 {
            let middle = start + line.char_indices().nth(line.chars().count() / 2).map_or(0, |(at, _)| at);
            all.push(damaged(&format!("cut in line {}", number + 1), Node::file(&bytes[..middle])));
        }
        let mut other = lines.clone();
        let garbage = format!("{GARBAGE}\n");
        other[number] = &garbage;
        all.push(damaged(&format!("garbage in line {}", number + 1), Node::file(other.concat())));
        start += line.len();
    }
    all
}

type Verdicts = BTreeMap<(SubjectKind, String), Verdict>;

fn verdicts(outcome: &Outcome) -> Verdicts {
    outcome.subjects.iter().map(|one| ((one.subject.kind, one.subject.id.clone()), one.verdict)).collect()
}

/// What a mutation did wrong, if anything.
fn broken_law(before: &Outcome, after: &Outcome, damage: bool) -> Option<String> {
    let now = verdicts(after);
    for ((kind, id), verdict) in verdicts(before) {
        if damage && verdict == Verdict::Fail && now.get(&(kind, id.clone())) == Some(&Verdict::Pass) {
            return Some(format!("{kind:?} {id} failed and now passes"));
        }
    }
    let passes = damage && before.verdict == Verdict::Fail && after.verdict == Verdict::Pass;
    passes.then(|| "the check failed and now passes".to_owned())
}

#[test]
fn no_damage_turns_a_fail_into_a_pass_in_any_case() {
    let mut problems = Vec::new();
    let mut tried = 0;
    for (id, _, file) in check_files() {
        let check = find(&id).unwrap();
        for case in &file.case {
            let whole = tree(case);
            let (before, accessed) = run_and_list(check, case, whole.clone());
            if before.verdict != Verdict::Fail {
                continue;
            }
            for (path, original) in
                whole.nodes().filter(|(path, _)| accessed.iter().any(|known| known == path))
            {
                let Some(bytes) = original.bytes() else { continue };
                for mutant in mutants(path, bytes) {
                    tried += 1;
                    let mut damaged = whole.clone();
                    match mutant.node {
                        Some(node) => damaged.insert(path, node.owned_as(original)),
                        None => damaged.remove(path),
                    }
                    let after = run_on(check, case, damaged);
                    if let Some(what) = broken_law(&before, &after, mutant.damage) {
                        problems.push(format!("{id}: {}: {path} {}: {what}", case.name, mutant.name));
                    }
                }
            }
        }
    }
    assert!(tried > 1000, "only {tried} mutants");
    assert!(problems.is_empty(), "{} of {tried}:\n{}", problems.len(), problems.join("\n"));
}
