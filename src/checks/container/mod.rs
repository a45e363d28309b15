//! `container/*`: what a container can do to its node.
//!
//! Every judge is a function of one section of the configuration, so that the same question can be asked of a
//! snapshot and of a change that waits for the next start.

mod devices;
mod isolation;
mod mounts;

use super::{Judged, Look};
use crate::catalogue::Severity;
use crate::formats::guest::lxc::{HostId, LxcSection, RawKey};
use crate::host::guests::{Guest, Kind};
use crate::host::{Doubt, Stop};
use crate::outcome::{Evidence, Judgement};

/// A judge of one section of the file at a path.
pub(crate) type Judge = fn(&str, &LxcSection) -> Judgement;

/// The judges that are also asked about sections that are not in force, by the id of their check. Each of them
/// tells the severity with the judgement.
pub(crate) const JUDGES: [(&str, Judge); 12] = [
    ("container/all-devices-allowed", devices::all_devices_allowed),
    ("container/apparmor-unconfined", isolation::apparmor_unconfined),
    ("container/capabilities-kept", isolation::capabilities_kept),
    ("container/file-system-mounts-allowed", mounts::file_system_mounts_allowed),
    ("container/host-ids-mapped", isolation::host_ids_mapped),
    ("container/host-network", isolation::host_network),
    ("container/mount-maps-root", mounts::mount_maps_root),
    ("container/nesting-while-privileged", isolation::nesting_while_privileged),
    ("container/privileged", isolation::privileged),
    ("container/raw-device-passed", devices::raw_device_passed),
    ("container/seccomp-filter-replaced", isolation::seccomp_filter_replaced),
    ("container/sensitive-bind-mount", mounts::sensitive_bind_mount),
];

/// `container/privileged`
pub(crate) fn privileged(look: &Look<'_>) -> Judged {
    each(look, isolation::privileged)
}

/// `container/host-ids-mapped`
pub(crate) fn host_ids_mapped(look: &Look<'_>) -> Judged {
    each(look, isolation::host_ids_mapped)
}

/// `container/apparmor-unconfined`
pub(crate) fn apparmor_unconfined(look: &Look<'_>) -> Judged {
    each(look, isolation::apparmor_unconfined)
}

/// `container/nesting-while-privileged`
pub(crate) fn nesting_while_privileged(look: &Look<'_>) -> Judged {
    each(look, isolation::nesting_while_privileged)
}

/// `container/capabilities-kept`
pub(crate) fn capabilities_kept(look: &Look<'_>) -> Judged {
    each(look, isolation::capabilities_kept)
}

/// `container/host-network`
pub(crate) fn host_network(look: &Look<'_>) -> Judged {
    each(look, isolation::host_network)
}

/// `container/seccomp-filter-replaced`
pub(crate) fn seccomp_filter_replaced(look: &Look<'_>) -> Judged {
    each(look, isolation::seccomp_filter_replaced)
}

/// `container/console-without-login`
pub(crate) fn console_without_login(look: &Look<'_>) -> Judged {
    each(look, isolation::console_without_login)
}

/// `container/extra-kernel-features`
pub(crate) fn extra_kernel_features(look: &Look<'_>) -> Judged {
    each(look, isolation::extra_kernel_features)
}

/// `container/all-devices-allowed`
pub(crate) fn all_devices_allowed(look: &Look<'_>) -> Judged {
    each(look, devices::all_devices_allowed)
}

/// `container/raw-device-passed`
pub(crate) fn raw_device_passed(look: &Look<'_>) -> Judged {
    each(look, devices::raw_device_passed)
}

/// `container/host-device-passed`
pub(crate) fn host_device_passed(look: &Look<'_>) -> Judged {
    each(look, devices::host_device_passed)
}

/// `container/hooks-or-includes`
pub(crate) fn hooks_or_includes(look: &Look<'_>) -> Judged {
    each(look, devices::hooks_or_includes)
}

/// `container/secret-in-environment`
pub(crate) fn secret_in_environment(look: &Look<'_>) -> Judged {
    each(look, devices::secret_in_environment)
}

/// `container/kernel-files-writable`
pub(crate) fn kernel_files_writable(look: &Look<'_>) -> Judged {
    each(look, devices::kernel_files_writable)
}

/// `container/sensitive-bind-mount`
pub(crate) fn sensitive_bind_mount(look: &Look<'_>) -> Judged {
    each_doubting(look, mounts::sensitive_bind_mount, |look, path, ct| {
        for entry in mounts::unjudged_entries(ct) {
            look.doubt(Doubt::at(
                path,
                entry.line,
                format!("what a mount of type {} brings in is not known", entry.file_system),
            ));
        }
    })
}

/// `container/writable-bind-mount-while-privileged`
pub(crate) fn writable_bind_mount_while_privileged(look: &Look<'_>) -> Judged {
    each(look, mounts::writable_bind_mount_while_privileged)
}

/// `container/mount-maps-root`
pub(crate) fn mount_maps_root(look: &Look<'_>) -> Judged {
    each(look, mounts::mount_maps_root)
}

/// `container/file-system-mounts-allowed`
pub(crate) fn file_system_mounts_allowed(look: &Look<'_>) -> Judged {
    each(look, mounts::file_system_mounts_allowed)
}

/// Judges what is in force of every container.
fn each(look: &Look<'_>, judge: Judge) -> Judged {
    each_doubting(look, judge, |_, _, _| {})
}

/// As [`each`], with doubts of the check's own.
fn each_doubting(look: &Look<'_>, judge: Judge, doubts: fn(&Look<'_>, &str, &LxcSection)) -> Judged {
    let guests = look.take(look.host.guests())?;
    let mut containers = guests.of(Kind::Container).peekable();
    if containers.peek().is_none() {
        return Err(Stop::not_applicable("there are no containers"));
    }
    look.each(
        containers,
        |guest| guest.subject(),
        |look, guest| {
            look.take(&guest.config)?;
            let Some(config) = guest.container() else {
                return Err(Stop::unknown(&guest.path, "is no configuration of a container"));
            };
            unread_parts(look, guest, &config.current);
            doubts(look, &guest.path, &config.current);
            Ok(judge(&guest.path, &config.current))
        },
    )
}

/// What LXC takes from elsewhere, or does not take at all, is a doubt.
fn unread_parts(look: &Look<'_>, guest: &Guest, ct: &LxcSection) {
    for raw in ct.raw.iter().filter(|raw| !raw.value.is_empty()) {
        let elsewhere = match raw.name.as_str() {
            "lxc.include" => devices::include(&raw.value).changes(ct),
            "lxc.mount.fstab" => true,
            _ => false,
        };
        if elsewhere {
            look.doubt(Doubt::at(
                &guest.path,
                raw.line,
                format!("{} names a file that is not read", raw.name),
            ));
        }
    }
    if ct.host_uid_of_root() == HostId::Unreadable {
        let line = ct.raw_keys("lxc.idmap").map(|raw| raw.line).next().unwrap_or(1);
        look.doubt(Doubt::at(
            &guest.path,
            line,
            "a line of the id map is malformed, upstream does not start the container",
        ));
    }
}

/// A severity that depends on whether root of the container is root of the node.
fn privileged_or(ct: &LxcSection, privileged: Severity, unprivileged: Severity) -> Severity {
    if ct.is_privileged() { privileged } else { unprivileged }
}

/// The last line of a raw key: LXC keeps only that of most keys.
fn last_value<'s>(ct: &'s LxcSection, name: &str) -> Option<&'s RawKey> {
    ct.raw.iter().rfind(|raw| raw.name == name)
}

fn evidence(path: &str, raw: &RawKey) -> Evidence {
    let observed = if raw.value.is_empty() { "empty" } else { raw.value.as_str() };
    Evidence::at(path, raw.line).key(&raw.name).observed(observed)
}
