//! Root of the container, mandatory access control, capabilities, system calls, network.

use std::collections::BTreeMap;

use crate::catalogue::Severity;
use crate::formats::guest::lxc::{HostId, IdMap, IdRange, LxcSection, RawKey};
use crate::outcome::{Evidence, Judgement};

use super::devices::{Include, include};
use super::{evidence, last_value, privileged_or};

/// Root of the container is root of the node.
pub(super) fn privileged(path: &str, ct: &LxcSection) -> Judgement {
    match ct.host_uid_of_root() {
        HostId::Id(0) => Judgement::fail("root of the container is root of the node")
            .severity(if ct.is_template() { Severity::Low } else { Severity::High })
            .with(why_privileged(path, ct)),
        HostId::Id(uid) => Judgement::pass(format!("root of the container is user {uid} of the node")),
        HostId::Unmapped => Judgement::pass("the container has no user 0"),
        HostId::Unreadable => {
            Judgement::unknown("a line of the id map is malformed: Proxmox VE does not start the container")
                .with_all(ct.raw_keys("lxc.idmap").map(|raw| evidence(path, raw)))
        }
    }
}

fn why_privileged(path: &str, ct: &LxcSection) -> Evidence {
    let maps_root = |range: IdRange| !range.is_group && range.container == 0 && range.host == 0;
    if let IdMap::Custom(entries) = ct.id_map()
        && let Some(entry) = entries.iter().find(|entry| entry.range.is_some_and(maps_root))
    {
        let length = entry.range.map_or(0, |range| range.length);
        return Evidence::at(path, entry.line).key("lxc.idmap").observed(format!("u 0 0 {length}"));
    }
    let (place, observed) = match ct.line_of("unprivileged") {
        Some(line) => (Evidence::at(path, line), "0"),
        None => (Evidence::of(path), "not set, which means privileged"),
    };
    place.key("unprivileged").observed(observed).expected("1")
}

/// Ids of the node below this one belong to Debian itself (Debian policy, section 9.2.2).
const FIRST_DYNAMIC_ID: u64 = 100;

/// Ids of the node from this one on belong to people.
const FIRST_PERSONAL_ID: u64 = 1000;

/// Accounts of the node other than root of the container are the container's.
pub(super) fn host_ids_mapped(path: &str, ct: &LxcSection) -> Judgement {
    let IdMap::Custom(entries) = ct.id_map() else {
        return Judgement::pass("the container has no id map of its own");
    };
    let mut worst = None;
    let mut places = Vec::new();
    for entry in entries {
        let Some(range) = entry.range else { continue };
        let Some(severity) = worth_of_ids(range) else { continue };
        worst = worst.max(Some(severity));
        let kind = if range.is_group { "g" } else { "u" };
        let seen = format!("{kind} {} {} {}", range.container, range.host, range.length);
        places.push(
            Evidence::at(path, entry.line)
                .key("lxc.idmap")
                .observed(seen)
                .expected("ids of the node from 1000 on"),
        );
    }
    match worst {
        None => Judgement::pass("the id map holds no account of Debian or Proxmox VE"),
        Some(severity) => Judgement::fail("the container acts as system accounts of the node")
            .severity(severity)
            .with_all(places),
    }
}

fn worth_of_ids(range: IdRange) -> Option<Severity> {
    if range.length == 0 {
        return None;
    }
    match range.host {
        // Root of the container being root of the node is what `container/privileged` is about.
        0 if range.container == 0 && !range.is_group => None,
        0 => Some(Severity::High),
        1..FIRST_DYNAMIC_ID => Some(Severity::Medium),
        FIRST_DYNAMIC_ID..FIRST_PERSONAL_ID => Some(Severity::Low),
        _ => None,
    }
}

/// Profiles that confine nothing: `unchanged` leaves that of the program that starts containers, which may do all.
const UNCONFINED: [&str; 2] = ["unconfined", "unchanged"];

/// `AppArmor` does not confine the container.
pub(super) fn apparmor_unconfined(path: &str, ct: &LxcSection) -> Judgement {
    let is_generated = ct.apparmor_profile().is_none_or(|raw| raw.value == "generated");
    let added = if is_generated { added_rules(ct) } else { Vec::new() };
    if !added.is_empty() {
        return Judgement::fail("raw rules allow more than the generated AppArmor profile does")
            .severity(privileged_or(ct, Severity::High, Severity::Medium))
            .with_all(added.into_iter().map(|raw| evidence(path, raw).expected("rules that deny")));
    }
    match ct.apparmor_profile() {
        Some(raw) if UNCONFINED.contains(&raw.value.as_str()) => {
            Judgement::fail("AppArmor does not confine the container")
                .severity(privileged_or(ct, Severity::Critical, Severity::High))
                .with(evidence(path, raw).expected("no such line"))
        }
        Some(raw) => {
            Judgement::pass("a profile of the administrator confines the container").at(path, raw.line)
        }
        None => Judgement::pass("the generated AppArmor profile confines the container"),
    }
}

/// Lines that add rules to the generated profile other than denials; an empty line clears those before it.
fn added_rules(ct: &LxcSection) -> Vec<&RawKey> {
    let mut added = Vec::new();
    for raw in ct.raw_keys("lxc.apparmor.raw") {
        if raw.value.is_empty() {
            added.clear();
        } else if !only_denies(&raw.value) {
            added.push(raw);
        }
    }
    added
}

/// Whether every rule of a line is a denial. Commas inside brackets end no rule.
fn only_denies(line: &str) -> bool {
    let mut depth = 0_i32;
    let mut rules = line.split(|letter: char| {
        match letter {
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => depth -= 1,
            _ => {}
        }
        letter == ',' && depth <= 0
    });
    rules.all(|rule| {
        let rule = rule.trim();
        let rule = rule.strip_prefix("audit ").map_or(rule, str::trim_start);
        rule.is_empty() || rule.starts_with("deny ")
    })
}

/// A privileged container may mount `/proc` and `/sys` anew.
pub(super) fn nesting_while_privileged(path: &str, ct: &LxcSection) -> Judgement {
    let features = ct.features();
    let raw = last_value(ct, "lxc.apparmor.allow_nesting").filter(|raw| raw.value != "0");
    if !ct.is_privileged() {
        return Judgement::pass("the container is unprivileged");
    }
    let place = match (features.nesting, raw) {
        (true, _) => Evidence::at(path, features.line).key("features").observed("nesting=1"),
        (false, Some(raw)) => evidence(path, raw),
        (false, None) => return Judgement::pass("nesting is off"),
    };
    Judgement::fail("a privileged container has nesting and writes to /proc and /sys of the node")
        .severity(Severity::High)
        .with(place.expected("nesting=0, or an unprivileged container"))
}

/// What LXC takes from a privileged container by default (`lxc.cap.drop` of its `common.conf`), with the numbers
/// that LXC accepts as well.
const DROPPED_BY_DEFAULT: [(&str, &str); 5] = [
    ("mac_admin", "33"),
    ("mac_override", "32"),
    ("sys_module", "16"),
    ("sys_rawio", "17"),
    ("sys_time", "25"),
];

/// With these the kernel itself can be changed.
const OWN_THE_KERNEL: [&str; 2] = ["sys_module", "sys_rawio"];

/// A privileged container keeps capabilities that LXC takes away.
pub(super) fn capabilities_kept(path: &str, ct: &LxcSection) -> Judgement {
    if !ct.is_privileged() {
        return Judgement::pass("capabilities count inside the container's own user namespace only");
    }
    let kept = kept_capabilities(ct);
    if kept.is_empty() {
        return Judgement::pass("the capabilities LXC takes away are taken away");
    }
    let owns_kernel = kept.iter().any(|name| OWN_THE_KERNEL.contains(name));
    let lines = ct.raw.iter().filter(|raw| match raw.name.as_str() {
        "lxc.cap.drop" | "lxc.cap.keep" => true,
        "lxc.include" => include(&raw.value) == Include::UserNamespace,
        _ => false,
    });
    Judgement::fail(format!("a privileged container keeps {}", kept.join(", ")))
        .severity(if owns_kernel { Severity::Critical } else { Severity::High })
        .with_all(lines.map(|raw| evidence(path, raw)))
}

/// An empty `lxc.cap.drop` clears the list before it, LXC's own entries included, and so does an included
/// `userns.conf` of LXC; `lxc.cap.keep` has an effect only
/// then, for LXC refuses to start a container with both.
fn kept_capabilities(ct: &LxcSection) -> Vec<&'static str> {
    let clears = |raw: &RawKey| match raw.name.as_str() {
        "lxc.include" => include(&raw.value) == Include::UserNamespace,
        _ => raw.value.is_empty(),
    };
    let of = |name: &str| {
        let is_of = |raw: &&RawKey| raw.name == name || (raw.name == "lxc.include" && clears(raw));
        ct.raw.iter().filter(is_of).collect::<Vec<&RawKey>>()
    };
    let drop = of("lxc.cap.drop");
    let Some(cleared) = drop.iter().rposition(|raw| clears(raw)) else { return Vec::new() };
    let has = |raw: &RawKey, (name, number): (&str, &str)| {
        raw.value.split_whitespace().any(|word| word == name || word == number)
    };
    let keep = of("lxc.cap.keep");
    let keep = keep.get(keep.iter().rposition(|raw| clears(raw)).map_or(0, |at| at + 1)..);
    let keep = keep.unwrap_or_default();
    let dropped = drop.get(cleared + 1..).unwrap_or_default();
    let is_kept = |capability: (&str, &str)| {
        if keep.is_empty() {
            !dropped.iter().any(|raw| has(raw, capability))
        } else {
            keep.iter().any(|raw| has(raw, capability))
        }
    };
    DROPPED_BY_DEFAULT.into_iter().filter(|capability| is_kept(*capability)).map(|(name, _)| name).collect()
}

/// The container has the network of the node, or an interface of it.
pub(super) fn host_network(path: &str, ct: &LxcSection) -> Judgement {
    // Only the last line of a key counts.
    let types = ct.raw.iter().filter(|raw| is_network_type(&raw.name));
    let types: BTreeMap<&str, &RawKey> = types.map(|raw| (raw.name.as_str(), raw)).collect();
    let severity = |raw: &RawKey| match raw.value.as_str() {
        "none" => Some(privileged_or(ct, Severity::Critical, Severity::High)),
        "phys" => Some(Severity::Medium),
        _ => None,
    };
    let bad: Vec<(Severity, &RawKey)> =
        types.into_values().filter_map(|raw| Some((severity(raw)?, raw))).collect();
    let worst = bad.iter().map(|(severity, _)| *severity).max();
    let places = bad.iter().map(|(_, raw)| evidence(path, raw).expected("a virtual interface on a bridge"));
    match worst {
        None => Judgement::pass("the container has a network namespace of its own"),
        Some(Severity::Medium) => {
            Judgement::fail("an interface of the node is moved into the container, past every firewall")
                .severity(Severity::Medium)
                .with_all(places)
        }
        Some(severity) => Judgement::fail("the container shares the network of the node")
            .severity(severity)
            .with_all(places),
    }
}

/// `lxc.net.N.type`
fn is_network_type(name: &str) -> bool {
    let index = name.strip_prefix("lxc.net.").and_then(|rest| rest.strip_suffix(".type"));
    index.is_some_and(|index| !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Where filters live that LXC or Proxmox VE made.
const KNOWN_FILTERS: [&str; 2] = ["/usr/share/lxc/config/common.seccomp", "/var/lib/lxc/"];

/// The filter of system calls is not the one Proxmox VE makes.
pub(super) fn seccomp_filter_replaced(path: &str, ct: &LxcSection) -> Judgement {
    let Some(raw) = last_value(ct, "lxc.seccomp.profile") else {
        return Judgement::pass("the filter of system calls is the one Proxmox VE makes");
    };
    if KNOWN_FILTERS.iter().any(|known| raw.value.starts_with(known)) && !raw.value.contains("..") {
        return Judgement::pass("the filter of system calls is one of LXC or Proxmox VE").at(path, raw.line);
    }
    let what = if raw.value.is_empty() {
        "no system call is filtered"
    } else {
        "the filter of system calls is replaced by a file that this audit does not judge"
    };
    Judgement::fail(what)
        .severity(privileged_or(ct, Severity::High, Severity::Medium))
        .with(evidence(path, raw).expected("no such line"))
}

/// The console is a root shell without login.
pub(super) fn console_without_login(path: &str, ct: &LxcSection) -> Judgement {
    match (ct.console_is_a_shell(), ct.line_of("cmode")) {
        (true, Some(line)) => Judgement::fail("the console is a root shell without login")
            .with(Evidence::at(path, line).key("cmode").observed("shell").expected("tty or console")),
        _ => Judgement::pass("the console asks for a login"),
    }
}

/// Switches that widen what the container may ask of the kernel.
pub(super) fn extra_kernel_features(path: &str, ct: &LxcSection) -> Judgement {
    let features = ct.features();
    let on = [
        (features.force_rw_sys, "force_rw_sys"),
        (features.fuse, "fuse"),
        (features.keyctl, "keyctl"),
        (features.mknod, "mknod"),
    ];
    let on: Vec<&str> = on.into_iter().filter(|(on, _)| *on).map(|(_, name)| name).collect();
    if on.is_empty() {
        return Judgement::pass("no feature beyond nesting is on");
    }
    Judgement::fail(format!("more of the kernel is open to the container: {}", on.join(", ")))
        .with(Evidence::at(path, features.line).key("features").observed(on.join(",")))
}
