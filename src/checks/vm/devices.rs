//! What of the node a virtual machine is given.

use crate::catalogue::Severity;
use crate::checks::Look;
use crate::checks::host_path::{self, Grip, normalised};
use crate::formats::directory_mapping::MappedFolder;
use crate::formats::guest::Source;
use crate::formats::guest::qemu::{Disk, QemuSection, UsbDevice};
use crate::formats::kernel_cmdline::same_name;
use crate::host::Stop;
use crate::host::guests::Guest;
use crate::host::mappings::DIRECTORY_CFG;
use crate::outcome::{Evidence, Judgement};

/// Arguments are added to the command line of QEMU, which runs as root.
pub(super) fn raw_arguments(path: &str, vm: &QemuSection) -> Judgement {
    let Some(arguments) = vm.arguments.as_ref().filter(|arguments| !arguments.is_blank()) else {
        return Judgement::pass("no arguments are added to the command line of QEMU");
    };
    // Never the text: it may hold a password, and what it says is for the administrator to read.
    let place = Evidence::at(path, arguments.line).key("args").expected("options of Proxmox VE");
    let risky: Vec<&str> = arguments.risky.iter().copied().collect();
    if risky.is_empty() {
        let length = arguments.length;
        return Judgement::fail("arguments that nothing checks are added to the command line of QEMU")
            .severity(Severity::Medium)
            .with(place.observed(format!("{length} bytes, none of the arguments known to open the node")));
    }
    let risky = risky.join(", ");
    Judgement::fail(format!("arguments that open QEMU or the node are added: {risky}"))
        .severity(Severity::High)
        .with(place.observed(risky))
}

/// Memory that every process of the node and every guest given the same name can read and write.
pub(super) fn shared_memory_device(path: &str, vm: &QemuSection) -> Judgement {
    match vm.line_of("ivshmem") {
        None => Judgement::pass("no memory is shared"),
        Some(line) => {
            Judgement::fail("memory is shared with the node and with guests of the same device name")
                .severity(Severity::Medium)
                .with(Evidence::at(path, line).key("ivshmem").expected("no such line"))
        }
    }
}

/// A drive is a disk or file of the node that belongs to no storage.
pub(super) fn disk_outside_storage(path: &str, vm: &QemuSection) -> Judgement {
    outside_storage(path, vm, &[])
}

/// The same where it is known what the node mounts.
pub(super) fn disk_outside_storage_of(look: &Look<'_>, guest: &Guest, vm: &QemuSection) -> Judgement {
    let fstab = look.host.fstab().value.as_ref().ok().filter(|_| guest.is_local(look.host));
    let mounted: Vec<String> =
        fstab.into_iter().flatten().filter_map(|entry| device_of_source(&entry.source)).collect();
    outside_storage(&guest.path, vm, &mounted)
}

fn outside_storage(path: &str, vm: &QemuSection, mounted: &[String]) -> Judgement {
    let is_outside = |disk: &Disk| matches!(disk.source, Source::Device(_) | Source::Path(_));
    let disks: Vec<Disk> = vm.disks().into_iter().filter(is_outside).collect();
    let Some(worst) = disks.iter().map(|disk| severity_of(disk, mounted)).max() else {
        return Judgement::pass("every drive is a volume of a storage");
    };
    let seen = |disk: &Disk| {
        let source = disk.source.host_path().unwrap_or_default();
        Evidence::at(path, disk.line).key(&disk.option).observed(source).expected("a volume of a storage")
    };
    Judgement::fail("a drive is a path of the node").severity(worst).with_all(disks.iter().map(seen))
}

/// A device that is a file system of the node itself is the node.
fn severity_of(disk: &Disk, mounted: &[String]) -> Severity {
    match &disk.source {
        _ if disk.cdrom => Severity::Low,
        Source::Device(device) => {
            let device = mapped_name(&normalised(device));
            let is_node = device == ROOT_VOLUME || mounted.iter().any(|part| holds(&device, part));
            if is_node { Severity::Critical } else { Severity::High }
        }
        _ => Severity::Medium,
    }
}

/// The root file system as the installer of Proxmox VE makes it.
const ROOT_VOLUME: &str = "/dev/mapper/pve-root";

/// Whether `part` is the device, or a partition of it.
fn holds(device: &str, part: &str) -> bool {
    part.strip_prefix(device).is_some_and(|rest| {
        let number = match rest.strip_prefix("-part").or_else(|| rest.strip_prefix('p')) {
            Some(number) => number,
            None if device.ends_with(|last: char| last.is_ascii_digit()) => return rest.is_empty(),
            None => rest,
        };
        rest.is_empty() || (!number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// The device that the first field of a line of fstab names.
fn device_of_source(source: &str) -> Option<String> {
    const TAGS: [(&str, &str); 4] =
        [("UUID=", "uuid"), ("LABEL=", "label"), ("PARTUUID=", "partuuid"), ("PARTLABEL=", "partlabel")];
    let tagged = TAGS.iter().find_map(|(tag, folder)| Some((source.strip_prefix(tag)?, folder)));
    match tagged {
        Some((value, folder)) => Some(format!("/dev/disk/by-{folder}/{}", value.trim_matches('"'))),
        None => source.starts_with("/dev/").then(|| mapped_name(&normalised(source))),
    }
}

/// Folders of `/dev` that are no volume groups.
const NO_GROUPS: [&str; 7] = ["block", "bus", "disk", "mapper", "md", "rbd", "zvol"];

/// `/dev/GROUP/VOLUME` as the device mapper calls it: `/dev/mapper/GROUP-VOLUME`, hyphens of the names doubled.
fn mapped_name(device: &str) -> String {
    let parts = device.strip_prefix("/dev/").and_then(|name| name.split_once('/'));
    match parts {
        Some((group, volume)) if !volume.contains('/') && !NO_GROUPS.contains(&group) => {
            format!("/dev/mapper/{}-{}", group.replace('-', "--"), volume.replace('-', "--"))
        }
        _ => device.to_owned(),
    }
}

/// A folder worth the keys of the node is shared; the program that shares it runs as root and writes.
pub(super) fn sensitive_folder_shared(
    look: &Look<'_>,
    guest: &Guest,
    vm: &QemuSection,
) -> Result<Judgement, Stop> {
    const GRIP: Grip = Grip { read_only: false, as_root: true };
    let shares = vm.virtiofs();
    if shares.is_empty() {
        return Ok(Judgement::pass("no folder of the node is shared"));
    }
    let folders = look.take(look.host.mapped_folders())?;
    let mut worst = None;
    let mut places = Vec::new();
    let mut missing = None;
    for share in &shares {
        let at = || Evidence::at(&guest.path, share.line).key(&share.option).observed(&share.mapping);
        let of_node = |folder: &&MappedFolder| folder.id == share.mapping && folder.node == guest.node;
        let mut found = folders.iter().filter(of_node).peekable();
        if found.peek().is_none() {
            missing.get_or_insert_with(at);
        }
        for folder in found {
            let Some(severity) = host_path::severity(&folder.path, GRIP) else { continue };
            worst = worst.max(Some(severity));
            let mapped = Evidence::at(DIRECTORY_CFG, folder.line).key("map").observed(&folder.path);
            places.extend([at(), mapped.expected("a folder made for this guest")]);
        }
    }
    Ok(match (worst, missing) {
        (Some(worst), _) => {
            Judgement::fail("the virtual machine writes as root to a sensitive folder of the node")
                .severity(worst)
                .with_all(places)
        }
        (None, Some(place)) => {
            Judgement::unknown(format!("which folder of node {} is shared is not known", guest.node))
                .with(place)
        }
        (None, None) => Judgement::pass("no sensitive folder of the node is shared"),
    })
}

/// A network device without bridge is behind QEMU's own translation of addresses.
pub(super) fn user_mode_network(path: &str, vm: &QemuSection) -> Judgement {
    let bad: Vec<_> = vm.nics().into_iter().filter(|nic| nic.bridge.is_none()).collect();
    if bad.is_empty() {
        return Judgement::pass("every network device is on a bridge");
    }
    Judgement::fail("a network device goes out with the address of the node, past the guest firewall")
        .with_all(bad.iter().map(|nic| {
            Evidence::at(path, nic.line).key(&nic.option).observed("no bridge").expected("bridge=vmbr0")
        }))
}

/// Kernel arguments that take the borders between passed devices away.
const LOOSE_KERNEL: [&str; 2] = ["pcie_acs_override", "vfio_iommu_type1.allow_unsafe_interrupts"];

/// Devices of the node are given to the virtual machine.
pub(super) fn host_device_passthrough(look: &Look<'_>, guest: &Guest, vm: &QemuSection) -> Judgement {
    let pci = pci_devices(&guest.path, vm);
    let others = other_devices(&guest.path, vm);
    if pci.is_empty() && others.is_empty() {
        return Judgement::pass("no device of the node is passed");
    }
    let loose = if pci.is_empty() { None } else { loose_kernel_argument(look, guest) };
    let (severity, what) = match (&loose, pci.is_empty()) {
        (Some(_), _) => (
            Severity::High,
            "a PCI device is passed while the kernel is told to ignore the borders between devices",
        ),
        (None, false) => {
            (Severity::Low, "a PCI device of the node, which reads and writes memory, is passed")
        }
        (None, true) => (Severity::Low, "devices of the node are passed"),
    };
    Judgement::fail(what).severity(severity).with_all(pci.into_iter().chain(others).chain(loose))
}

fn pci_devices(path: &str, vm: &QemuSection) -> Vec<Evidence> {
    let seen = |device: crate::formats::guest::qemu::HostPci| {
        let observed = match &device.mapping {
            Some(mapping) => format!("mapping {mapping}"),
            None => device.addresses.join(";"),
        };
        Evidence::at(path, device.line).key(device.option).observed(observed)
    };
    vm.host_pci().into_iter().map(seen).collect()
}

fn other_devices(path: &str, vm: &QemuSection) -> Vec<Evidence> {
    let usb = vm.usb().into_iter().filter_map(|usb| {
        let observed = match usb.device {
            UsbDevice::Host(host) => host,
            UsbDevice::Mapping(mapping) => format!("mapping {mapping}"),
            // The device of whoever looks at the console, not one of the node.
            UsbDevice::Spice | UsbDevice::Nothing => return None,
        };
        Some(Evidence::at(path, usb.line).key(usb.option).observed(observed))
    });
    let serial = vm
        .serial()
        .into_iter()
        .filter_map(|port| Some(Evidence::at(path, port.line).key(port.option).observed(port.device?)));
    let parallel = vm
        .parallel()
        .into_iter()
        .map(|port| Evidence::at(path, port.line).key(port.option).observed(port.device));
    usb.chain(serial).chain(parallel).collect()
}

/// Only the command line of the audited node is known.
fn loose_kernel_argument(look: &Look<'_>, guest: &Guest) -> Option<Evidence> {
    if !guest.is_local(look.host) {
        return None;
    }
    let line = look.host.command_line().value.as_ref().ok()?;
    let (path, argument) = line.arguments.iter().find(|(_, argument)| {
        let is_off = argument.value.as_deref().is_some_and(|value| matches!(value, "0" | "n" | "N"));
        !is_off && LOOSE_KERNEL.iter().any(|name| same_name(&argument.name, name))
    })?;
    Some(Evidence::at(path, argument.line).key(&argument.name).expected("no such argument"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::guest::qemu;
    use crate::formats::release::Release;

    fn severity(source: &str, mounted: &[&str]) -> Option<Severity> {
        let text = format!("boot: order=scsi0\nscsi1: {source}\n");
        let config = qemu::parse(&text, Release::Pve9).value;
        let mounted: Vec<String> = mounted.iter().filter_map(|source| device_of_source(source)).collect();
        outside_storage("/x", &config.current, &mounted).severity
    }

    #[test]
    fn a_drive_is_as_bad_as_what_is_on_it() {
        for (source, mounted, expected) in [
            ("/dev/pve/root", vec![], Severity::Critical),
            ("/dev/mapper/pve-root", vec![], Severity::Critical),
            ("/dev/disk/../pve/root", vec![], Severity::Critical),
            ("/dev/sda", vec!["/dev/sda2"], Severity::Critical),
            ("/dev/nvme0n1", vec!["/dev/nvme0n1p2"], Severity::Critical),
            ("/dev/my-vg/data", vec!["/dev/mapper/my--vg-data"], Severity::Critical),
            ("/dev/disk/by-uuid/ab-12", vec!["UUID=ab-12"], Severity::Critical),
            ("/dev/sdb", vec!["/dev/sda2", "proc", "nas:/x"], Severity::High),
            ("/dev/sda1", vec!["/dev/sda12"], Severity::High),
            ("/dev/disk/by-id/ata-X", vec![], Severity::High),
            ("/root/disk.qcow2", vec!["/dev/sda2"], Severity::Medium),
            ("/root/x.iso,media=cdrom", vec![], Severity::Low),
        ] {
            assert_eq!(severity(source, &mounted), Some(expected), "{source}");
        }
    }
}
