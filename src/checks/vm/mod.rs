//! `vm/*`: what a virtual machine is given of its node, and what its configuration keeps.

mod devices;
mod secrets;
mod trust;

use super::{Judged, Look};
use crate::formats::guest::qemu::{QemuConfig, QemuSection};
use crate::host::Stop;
use crate::host::guests::{Guest, Kind};
use crate::outcome::Judgement;

/// A judge of one section of the file at a path.
pub(crate) type Judge = fn(&str, &QemuSection) -> Judgement;

/// The judges that are also asked about sections that are not in force, by the id of their check. Each of them
/// tells the severity with the judgement.
pub(crate) const JUDGES: [(&str, Judge); 4] = [
    ("vm/disk-outside-storage", devices::disk_outside_storage),
    ("vm/encrypted-memory-readable", trust::encrypted_memory_readable),
    ("vm/raw-arguments", devices::raw_arguments),
    ("vm/shared-memory-device", devices::shared_memory_device),
];

/// `vm/raw-arguments`
pub(crate) fn raw_arguments(look: &Look<'_>) -> Judged {
    each_current(look, devices::raw_arguments)
}

/// `vm/shared-memory-device`
pub(crate) fn shared_memory_device(look: &Look<'_>) -> Judged {
    each_current(look, devices::shared_memory_device)
}

/// `vm/disk-outside-storage`
pub(crate) fn disk_outside_storage(look: &Look<'_>) -> Judged {
    each(look, |look, guest, config| Ok(devices::disk_outside_storage_of(look, guest, &config.current)))
}

/// `vm/sensitive-folder-shared`
pub(crate) fn sensitive_folder_shared(look: &Look<'_>) -> Judged {
    each(look, |look, guest, config| devices::sensitive_folder_shared(look, guest, &config.current))
}

/// `vm/user-mode-network`
pub(crate) fn user_mode_network(look: &Look<'_>) -> Judged {
    each_current(look, devices::user_mode_network)
}

/// `vm/host-device-passthrough`
pub(crate) fn host_device_passthrough(look: &Look<'_>) -> Judged {
    each(look, |look, guest, config| Ok(devices::host_device_passthrough(look, guest, &config.current)))
}

/// `vm/secure-boot-not-possible`
pub(crate) fn secure_boot_not_possible(look: &Look<'_>) -> Judged {
    each_current(look, trust::secure_boot_not_possible)
}

/// `vm/software-emulation`
pub(crate) fn software_emulation(look: &Look<'_>) -> Judged {
    each_current(look, trust::software_emulation)
}

/// `vm/encrypted-memory-readable`
pub(crate) fn encrypted_memory_readable(look: &Look<'_>) -> Judged {
    each_current(look, trust::encrypted_memory_readable)
}

/// `vm/console-shares-data`
pub(crate) fn console_shares_data(look: &Look<'_>) -> Judged {
    each_current(look, trust::console_shares_data)
}

/// `vm/clear-text-cloud-init-password`
pub(crate) fn clear_text_cloud_init_password(look: &Look<'_>) -> Judged {
    each(look, |_, guest, config| Ok(secrets::clear_text_password(&guest.path, config)))
}

/// `vm/cloud-init-password-hash-kept`
pub(crate) fn cloud_init_password_hash_kept(look: &Look<'_>) -> Judged {
    each(look, |_, guest, config| Ok(secrets::password_hash_kept(&guest.path, config)))
}

/// `vm/memory-kept-in-snapshot`
pub(crate) fn memory_kept_in_snapshot(look: &Look<'_>) -> Judged {
    each(look, |_, guest, config| Ok(secrets::memory_kept_in_snapshot(&guest.path, config)))
}

/// Judges what is in force of every virtual machine.
fn each_current(look: &Look<'_>, judge: Judge) -> Judged {
    each(look, |_, guest, config| Ok(judge(&guest.path, &config.current)))
}

/// Judges every virtual machine.
fn each(
    look: &Look<'_>,
    judge: impl Fn(&Look<'_>, &Guest, &QemuConfig) -> Result<Judgement, Stop>,
) -> Judged {
    let guests = look.take(look.host.guests())?;
    let mut machines = guests.of(Kind::Vm).peekable();
    if machines.peek().is_none() {
        return Err(Stop::not_applicable("there are no virtual machines"));
    }
    look.each(
        machines,
        |guest| guest.subject(),
        |look, guest| {
            look.take(&guest.config)?;
            match guest.vm() {
                Some(config) => judge(look, guest, config),
                None => Err(Stop::unknown(&guest.path, "is no configuration of a virtual machine")),
            }
        },
    )
}
