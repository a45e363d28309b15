//! Lines of a guest configuration that upstream does not take over as they are written.

use std::collections::BTreeSet;

use crate::catalogue::Severity;
use crate::formats::guest::lxc::LxcSection;
use crate::formats::guest::qemu::QemuSection;
use crate::host::guests::{Guest, GuestConfig};
use crate::outcome::{Evidence, Judgement};

/// Options that are meant as protection, or whose loss changes what the guest is given. Families without index.
const OPTIONS: [&str; 27] = [
    "agent",
    "amd-sev",
    "args",
    "bios",
    "cipassword",
    "cmode",
    "cpu",
    "dev",
    "efidisk",
    "features",
    "hookscript",
    "hostpci",
    "ide",
    "intel-tdx",
    "machine",
    "mp",
    "net",
    "protection",
    "rootfs",
    "sata",
    "scsi",
    "serial",
    "tpmstate",
    "unprivileged",
    "usb",
    "virtio",
    "virtiofs",
];

/// Beginnings of raw keys of the same kind.
const RAW_KEYS: [&str; 7] =
    ["lxc.aa_", "lxc.apparmor.", "lxc.cap.", "lxc.cgroup", "lxc.idmap", "lxc.id_map", "lxc.seccomp"];

fn matters(option: &str) -> bool {
    let letters = option.trim_end_matches(|each: char| each.is_ascii_digit());
    OPTIONS.contains(&letters) || RAW_KEYS.iter().any(|key| option.starts_with(key))
}

/// The guest does not have a setting that stands in its file.
pub(super) fn judge(guest: &Guest) -> Judgement {
    if guest.issues.is_empty() {
        return Judgement::pass("every line is taken as it is written");
    }
    let heavy = guest.known().map(lines_that_matter).unwrap_or_default();
    let is_heavy = guest.issues.iter().any(|issue| heavy.contains(&issue.line));
    let number = guest.issues.len();
    let noun = if number == 1 { "line is" } else { "lines are" };
    Judgement::fail(format!("{number} {noun} not taken by Proxmox VE as written"))
        .severity(if is_heavy { Severity::Medium } else { Severity::Low })
        .with_all(
            guest.issues.iter().map(|issue| Evidence::at(&guest.path, issue.line).observed(&issue.what)),
        )
}

/// The lines of refused or malformed options that matter. The file of one release can hold options of another.
fn lines_that_matter(config: &GuestConfig) -> BTreeSet<u32> {
    let mut lines = BTreeSet::new();
    match config {
        GuestConfig::Vm(vm) => {
            let pending = vm.pending.iter().map(|pending| &pending.section);
            std::iter::once(&vm.current)
                .chain(pending)
                .for_each(|section| refused_of_vm(section, &mut lines));
        }
        GuestConfig::Container(ct) => {
            let pending = ct.pending.iter().map(|pending| &pending.section);
            std::iter::once(&ct.current)
                .chain(pending)
                .for_each(|section| refused_of_ct(section, &mut lines));
        }
    }
    lines
}

fn refused_of_vm(section: &QemuSection, lines: &mut BTreeSet<u32>) {
    lines.extend(
        section.refused.iter().filter(|refused| matters(&refused.option)).map(|refused| refused.line),
    );
}

fn refused_of_ct(section: &LxcSection, lines: &mut BTreeSet<u32>) {
    lines.extend(
        section.refused.iter().filter(|refused| matters(&refused.option)).map(|refused| refused.line),
    );
    let malformed = section.options.iter().filter(|(name, option)| !option.well_formed && matters(name));
    lines.extend(malformed.map(|(_, option)| option.line));
    // Passed on to LXC, which ignores them or stops at them; whether there is an issue about the line tells which.
    lines.extend(section.raw.iter().filter(|raw| matters(&raw.name)).map(|raw| raw.line));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_matters_with_any_index_and_a_raw_key_by_its_beginning() {
        for name in ["net0", "protection", "efidisk0", "lxc.cgroup.devices.deny", "lxc.aa_profile", "amd-sev"]
        {
            assert!(matters(name), "{name}");
        }
        for name in ["name", "cores", "network", "lxc.prlimit.nofile", "onboot"] {
            assert!(!matters(name), "{name}");
        }
    }
}
