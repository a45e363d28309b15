//! Devices of the node, hooks, environment.

use crate::catalogue::Severity;
use crate::checks::host_path::{is_raw_device, normalised};
use crate::formats::guest::lxc::{Device, LxcSection, RawKey};
use crate::outcome::{Evidence, Judgement};

use super::mounts::mounts_kernel_files;
use super::{evidence, privileged_or};

/// Major numbers of disks: loop, sd, md, nbd, drbd, mmc, zvol, device-mapper and `NVMe` (kernel `devices.txt`;
/// 252 to 254 are handed out at boot).
const DISK_MAJORS: [u32; 22] =
    [7, 8, 9, 43, 65, 66, 67, 68, 69, 70, 71, 128, 129, 130, 131, 147, 179, 230, 252, 253, 254, 259];

/// `/dev/mem`, `/dev/kmem` and `/dev/port` have major 1.
const MEMORY_MINORS: [&str; 4] = ["1", "2", "4", "*"];

/// The device control group lets the container use disks or memory of the node.
pub(super) fn all_devices_allowed(path: &str, ct: &LxcSection) -> Judgement {
    let bad = dangerous_rules(ct);
    if bad.is_empty() {
        return Judgement::pass("no rule opens disks or memory of the node");
    }
    // Without rules the kernel lets an unprivileged container use any device node it is given; it can make none.
    Judgement::fail("the container may use disks or memory of the node")
        .severity(privileged_or(ct, Severity::Critical, Severity::Low))
        .with_all(bad.into_iter().map(|raw| evidence(path, raw).expected("the one device that is needed")))
}

/// The rules in force, in order: an empty rule clears those before it, and so does a denial of everything, which is
/// the letter alone (LXC, `device_cgroup_rule_parse`).
fn dangerous_rules(ct: &LxcSection) -> Vec<&RawKey> {
    let mut bad = Vec::new();
    for raw in &ct.raw {
        match raw.name.as_str() {
            "lxc.cgroup2.devices.allow" if raw.value.is_empty() => bad.clear(),
            "lxc.cgroup2.devices.allow" if opens_disk_or_memory(&raw.value) => bad.push(raw),
            "lxc.cgroup2.devices.deny" if raw.value == "a" => bad.clear(),
            _ => {}
        }
    }
    bad
}

fn opens_disk_or_memory(rule: &str) -> bool {
    let mut words = rule.split_whitespace();
    let (kind, numbers, access) = (words.next().unwrap_or_default(), words.next(), words.next());
    if kind == "a" {
        return true;
    }
    if access.is_some_and(|access| !access.contains(['r', 'w'])) {
        return false;
    }
    let (major, minor) = numbers.and_then(|numbers| numbers.split_once(':')).unwrap_or(("*", "*"));
    match (kind, major) {
        ("b" | "c", "*") => true,
        ("b", _) => major.parse().is_ok_and(|major: u32| DISK_MAJORS.contains(&major)),
        ("c", "1") => MEMORY_MINORS.contains(&minor),
        _ => false,
    }
}

fn raw_devices(ct: &LxcSection) -> (Vec<Device>, Vec<Device>) {
    ct.devices().into_iter().partition(|device| is_raw_device(&normalised(&device.path)))
}

fn seen(path: &str, device: &Device) -> Evidence {
    let mode = device.mode.as_ref().map(|mode| format!(", mode {mode}")).unwrap_or_default();
    let access = if device.deny_write { ", read-only" } else { "" };
    let observed = format!("{}{mode}{access}", device.path);
    Evidence::at(path, device.line).key(&device.option).observed(observed)
}

/// A disk or the memory of the node is passed with a node of its own, which root of the container may open.
pub(super) fn raw_device_passed(path: &str, ct: &LxcSection) -> Judgement {
    let (raw, _) = raw_devices(ct);
    if raw.is_empty() {
        return Judgement::pass("no disk and no memory of the node is passed");
    }
    let writable = raw.iter().any(|device| !device.deny_write);
    Judgement::fail("the container reads disks or memory of the node past every file system")
        .severity(if writable { Severity::Critical } else { Severity::High })
        .with_all(raw.iter().map(|device| seen(path, device).expected("a volume of a storage")))
}

/// Any other device of the node is passed.
pub(super) fn host_device_passed(path: &str, ct: &LxcSection) -> Judgement {
    let (_, others) = raw_devices(ct);
    if others.is_empty() {
        return Judgement::pass("no device of the node is passed");
    }
    let open =
        |device: &&Device| device.mode.as_ref().is_some_and(|mode| mode.ends_with(['2', '3', '6', '7']));
    let what = if others.iter().any(|device| open(&device)) {
        "everybody in the container may write to a device of the node"
    } else {
        "the container drives devices of the node"
    };
    Judgement::fail(what).with_all(others.iter().map(|device| seen(path, device)))
}

/// Programs of the node that run when the container starts or stops, and settings that are elsewhere.
pub(super) fn hooks_or_includes(path: &str, ct: &LxcSection) -> Judgement {
    let is_hook = |name: &str| {
        name.starts_with("lxc.hook.") && name != "lxc.hook.version"
            || (name.starts_with("lxc.net.") && name.contains(".script."))
    };
    let is_log = |name: &str| matches!(name, "lxc.console.logfile" | "lxc.log.file");
    let is_bad = |raw: &&RawKey| {
        let name = raw.name.as_str();
        let is_include = || match include(&raw.value) {
            Include::Foreign => true,
            Include::UserNamespace | Include::Nesting => ct.is_privileged(),
            Include::Common | Include::Other => false,
        };
        !raw.value.is_empty()
            && (is_hook(name)
                || (name == "lxc.include" && is_include())
                || (is_log(name) && !normalised(&raw.value).starts_with("/var/log/")))
    };
    let bad: Vec<&RawKey> = ct.raw.iter().filter(is_bad).collect();
    if bad.is_empty() {
        return Judgement::pass("no raw key names a program, a log elsewhere or another configuration");
    }
    let only_logs = bad.iter().all(|raw| is_log(&raw.name));
    let what = if only_logs {
        "LXC writes a log as root to a file of the node outside of /var/log"
    } else {
        "raw keys run programs of the node as root or take settings from elsewhere"
    };
    Judgement::fail(what)
        // The text of a hook may hold anything: only its key is shown.
        .with_all(bad.into_iter().map(|raw| Evidence::at(path, raw.line).key(&raw.name)))
}

/// A file that `lxc.include` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Include {
    /// What Proxmox VE itself includes into every container.
    Common,
    /// What Proxmox VE includes into unprivileged containers: drops no capability and mounts `/sys` writable.
    UserNamespace,
    /// Mounts `/proc` and `/sys` once more and changes the profile of `AppArmor`.
    Nesting,
    /// Another one of the package lxc-pve.
    Other,
    /// A file of somebody else.
    Foreign,
}

impl Include {
    /// Whether the file may change what is judged.
    pub(super) fn changes(self, ct: &LxcSection) -> bool {
        match self {
            Self::Common => false,
            Self::UserNamespace => ct.is_privileged(),
            Self::Nesting | Self::Other | Self::Foreign => true,
        }
    }
}

/// Which file an include names.
pub(super) fn include(file: &str) -> Include {
    match file.strip_prefix("/usr/share/lxc/config/") {
        None => Include::Foreign,
        Some(name) if name.contains("..") => Include::Foreign,
        Some(name) if name.contains('/') => Include::Other,
        Some("nesting.conf") => Include::Nesting,
        Some(name) if name == "common.conf" || name.ends_with(".common.conf") => Include::Common,
        Some(name) if name == "userns.conf" || name.ends_with(".userns.conf") => Include::UserNamespace,
        Some(_) => Include::Other,
    }
}

/// Parts of the names of environment variables whose values are secrets.
const SECRET_WORDS: [&str; 7] = ["PASS", "PWD", "SECRET", "TOKEN", "CREDENTIAL", "API_KEY", "APIKEY"];

/// Names that hold such a part and no secret: the working directory, and files that hold the secret.
fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    let harmless =
        matches!(name.as_str(), "PWD" | "OLDPWD") || name.ends_with("_FILE") || name.ends_with("_PATH");
    let is_key = name.ends_with("_KEY") && !name.contains("PUBLIC");
    !harmless && (is_key || SECRET_WORDS.iter().any(|word| name.contains(word)))
}

/// The environment of the container holds secrets.
pub(super) fn secret_in_environment(path: &str, ct: &LxcSection) -> Judgement {
    let secrets: Vec<Evidence> = ct
        .environment
        .iter()
        .filter(|variable| variable.has_value && is_secret_name(&variable.name))
        .map(|variable| {
            Evidence::at(path, variable.line).key("env").observed(format!("{} is set", variable.name))
        })
        .collect();
    if secrets.is_empty() {
        return Judgement::pass("no variable of the environment is named like a secret");
    }
    Judgement::fail("secrets stand in the configuration in clear text").with_all(secrets)
}

/// Words of `lxc.mount.auto` that make the kernel's own files writable. Without a word of its own a control group is
/// writable where the container keeps `CAP_SYS_ADMIN`, which a privileged one does.
const WRITABLE: [&str; 8] =
    ["proc:rw", "sys:rw", "cgroup", "cgroup:rw", "cgroup-full", "cgroup-full:rw", "cgroup2", "cgroup2:rw"];

/// The lines of `lxc.mount.auto` whose last word on a part of the kernel makes it writable. LXC adds the lines up,
/// keeps one choice each for `/proc`, `/sys` and the control groups, and forgets all at an empty line.
fn writable_auto_mounts(ct: &LxcSection) -> Vec<&RawKey> {
    let mut last = [None, None, None];
    for raw in ct.raw_keys("lxc.mount.auto") {
        if raw.value.is_empty() {
            last = [None, None, None];
        }
        for word in raw.value.split_whitespace() {
            let [proc, sys, cgroup] = &mut last;
            let place = match word.split(':').next().unwrap_or_default() {
                "proc" => proc,
                "sys" => sys,
                "cgroup" | "cgroup-full" | "cgroup2" => cgroup,
                _ => continue,
            };
            *place = Some(raw).filter(|_| WRITABLE.contains(&word.trim_end_matches(":force")));
        }
    }
    let mut bad: Vec<&RawKey> = last.into_iter().flatten().collect();
    bad.sort_by_key(|raw| raw.line);
    bad.dedup_by_key(|raw| raw.line);
    bad
}

/// Lines that mount the kernel's own files by hand, or include a file that does.
fn writable_mounts(ct: &LxcSection) -> impl Iterator<Item = &RawKey> {
    let entries = ct.mount_entries();
    let bad = entries.into_iter().filter(|entry| mounts_kernel_files(entry) && !entry.is_read_only());
    let lines: Vec<u32> = bad.map(|entry| entry.line).collect();
    ct.raw.iter().filter(move |raw| match raw.name.as_str() {
        "lxc.mount.entry" => lines.contains(&raw.line),
        "lxc.include" => matches!(include(&raw.value), Include::UserNamespace | Include::Nesting),
        _ => false,
    })
}

/// A privileged container may write to `/proc`, `/sys` or the control groups of the node.
pub(super) fn kernel_files_writable(path: &str, ct: &LxcSection) -> Judgement {
    if !ct.is_privileged() {
        return Judgement::pass("the container is unprivileged");
    }
    let features = ct.features();
    let mut places = Vec::new();
    if features.force_rw_sys {
        places.push(Evidence::at(path, features.line).key("features").observed("force_rw_sys=1"));
    }
    let automatic = writable_auto_mounts(ct).into_iter();
    places.extend(automatic.map(|raw| evidence(path, raw).expected("proc:mixed sys:mixed")));
    places.extend(writable_mounts(ct).map(|raw| evidence(path, raw).expected("no such line")));
    if places.is_empty() {
        return Judgement::pass("the kernel's own files are mounted as Proxmox VE does it");
    }
    Judgement::fail("a privileged container writes to the kernel's own files").with_all(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_rule_is_dangerous_by_what_it_opens() {
        for rule in
            ["a", "a *:* rwm", "b *:* rw", "b 8:0 r", "c *:* rwm", "c 1:1 r", "c 1:* rwm", "b 259:1", "b"]
        {
            assert!(opens_disk_or_memory(rule), "{rule}");
        }
        for rule in ["c *:* m", "b *:* m", "c 10:200 rwm", "c 226:* rwm", "c 1:3 rwm", "c 188:* rw", ""] {
            assert!(!opens_disk_or_memory(rule), "{rule}");
        }
    }

    #[test]
    fn the_name_of_a_variable_tells_whether_it_is_a_secret() {
        for name in
            ["DB_PASSWORD", "mysql_pwd", "API_TOKEN", "AWS_SECRET_ACCESS_KEY", "SSH_PRIVATE_KEY", "APIKEY"]
        {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["PWD", "PATH", "DB_PASSWORD_FILE", "KEYBOARD", "PUBLIC_KEY", "MONKEY", "TOKENS_PATH"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
