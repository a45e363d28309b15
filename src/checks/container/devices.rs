//! Devices of the node, hooks, environment.

use crate::catalogue::Severity;
use crate::checks::host_path::{is_raw_device, normalised};
use crate::formats::guest::lxc::{Device, LxcSection, RawKey};
use crate::outcome::{Evidence, Judgement};

use super::{evidence, last_value, privileged_or};

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

/// The rules in force, in order: an empty rule clears those before it, and so does a denial of everything.
fn dangerous_rules(ct: &LxcSection) -> Vec<&RawKey> {
    let mut bad = Vec::new();
    for raw in &ct.raw {
        match raw.name.as_str() {
            "lxc.cgroup2.devices.allow" if raw.value.is_empty() => bad.clear(),
            "lxc.cgroup2.devices.allow" if opens_disk_or_memory(&raw.value) => bad.push(raw),
            "lxc.cgroup2.devices.deny" if raw.value.starts_with('a') => bad.clear(),
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
    let is_bad = |raw: &&RawKey| {
        !raw.value.is_empty()
            && (is_hook(&raw.name) || (raw.name == "lxc.include" && !is_shipped(&raw.value)))
    };
    let bad: Vec<&RawKey> = ct.raw.iter().filter(is_bad).collect();
    if bad.is_empty() {
        return Judgement::pass("no raw key names a program or another configuration");
    }
    Judgement::fail("raw keys run programs of the node as root or take settings from elsewhere")
        // The text of a hook may hold anything: only its key is shown.
        .with_all(bad.into_iter().map(|raw| Evidence::at(path, raw.line).key(&raw.name)))
}

/// Whether an included file is one of the package lxc-pve.
pub(super) fn is_shipped(file: &str) -> bool {
    file.starts_with("/usr/share/lxc/config/") && !file.contains("..")
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

/// Words of `lxc.mount.auto` that make the kernel's own files writable.
const WRITABLE: [&str; 4] = ["proc:rw", "sys:rw", "cgroup:rw", "cgroup-full:rw"];

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
    if let Some(raw) = last_value(ct, "lxc.mount.auto")
        && raw.value.split_whitespace().any(|word| WRITABLE.contains(&word.trim_end_matches(":force")))
    {
        places.push(evidence(path, raw).expected("proc:mixed sys:mixed"));
    }
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
