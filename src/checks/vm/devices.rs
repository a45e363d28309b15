//! What of the node a virtual machine is given.

use crate::catalogue::Severity;
use crate::checks::Look;
use crate::formats::guest::Source;
use crate::formats::guest::qemu::{Disk, QemuSection, UsbDevice};
use crate::formats::kernel_cmdline::same_name;
use crate::host::guests::Guest;
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
    let is_outside = |disk: &Disk| matches!(disk.source, Source::Device(_) | Source::Path(_));
    let disks: Vec<Disk> = vm.disks().into_iter().filter(is_outside).collect();
    let Some(worst) = disks.iter().map(severity_of).max() else {
        return Judgement::pass("every drive is a volume of a storage");
    };
    let seen = |disk: &Disk| {
        let source = disk.source.host_path().unwrap_or_default();
        Evidence::at(path, disk.line).key(&disk.option).observed(source).expected("a volume of a storage")
    };
    Judgement::fail("a drive is a path of the node").severity(worst).with_all(disks.iter().map(seen))
}

fn severity_of(disk: &Disk) -> Severity {
    if disk.cdrom { Severity::Low } else { Severity::Medium }
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
