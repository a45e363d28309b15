//! Typed views of the options of a virtual machine.

use super::qemu::QemuSection;
use super::{GuestOption, Source, tags};
use crate::formats::Located;
use crate::formats::property_string::Properties;

/// A virtual network device, `netN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nic {
    /// The name of the option.
    pub option: String,
    /// Line in the file, counted from 1.
    pub line: u32,
    /// The model of the device.
    pub model: Option<String>,
    /// The MAC address.
    pub mac: Option<String>,
    /// The bridge or virtual network; without one the guest is behind a user-mode translation, past any firewall.
    pub bridge: Option<String>,
    /// The VLAN tag.
    pub tag: Option<u16>,
    /// The VLANs the guest may tag itself (`10` or `10-20`).
    pub trunks: Vec<String>,
    /// Whether the rules of the guest firewall apply to it; upstream's default is no.
    pub firewall: bool,
    /// Whether its link is down.
    pub link_down: bool,
}

/// A disk, optical drive, EFI disk, TPM state or unused volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The name of the option, such as `scsi0`.
    pub option: String,
    /// Line in the file, counted from 1.
    pub line: u32,
    /// Where the data is.
    pub source: Source,
    /// Whether it is an optical drive (`media=cdrom`).
    pub cdrom: bool,
    /// Whether it is the drive cloud-init reads.
    pub cloudinit: bool,
    /// Whether a backup of the guest holds it.
    pub in_backup: bool,
    /// Everything else it says (`cache`, `snapshot`, `efitype`, `version`, …).
    pub properties: Properties,
}

/// A device of the host passed to the guest, `hostpciN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPci {
    /// The name of the option.
    pub option: String,
    /// Line in the file, counted from 1.
    pub line: u32,
    /// The addresses, if the device is named by address.
    pub addresses: Vec<String>,
    /// The resource mapping, if it is named by one.
    pub mapping: Option<String>,
    /// A ROM file of the host given to the device.
    pub rom_file: Option<String>,
    /// The type of mediated device, if only a slice of the device is passed.
    pub mediated: Option<String>,
}

/// A USB device passed to the guest, `usbN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usb {
    /// The name of the option.
    pub option: String,
    /// Line in the file, counted from 1.
    pub line: u32,
    /// What it is.
    pub device: UsbDevice,
}

/// What a `usbN` option passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UsbDevice {
    /// A device of the host, by `vendor:product` or by port.
    Host(String),
    /// A resource mapping.
    Mapping(String),
    /// A device of whoever looks at the console.
    Spice,
    /// Neither is given.
    Nothing,
}

/// A serial port, `serialN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serial {
    /// The name of the option.
    pub option: String,
    /// Line in the file, counted from 1.
    pub line: u32,
    /// The device of the host, or `None` for a socket only the host can open.
    pub device: Option<String>,
}

/// A parallel port of the host, `parallelN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parallel {
    /// The name of the option.
    pub option: String,
    /// Line in the file, counted from 1.
    pub line: u32,
    /// The device of the host.
    pub device: String,
}

/// A folder of the host shared with the guest, `virtiofsN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Virtiofs {
    /// The name of the option.
    pub option: String,
    /// Line in the file, counted from 1.
    pub line: u32,
    /// The folder mapping it shares.
    pub mapping: String,
}

/// What a virtual machine boots from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// Line in the file, counted from 1.
    pub line: u32,
    /// The devices in order (`boot: order=…`); empty for the old form.
    pub order: Vec<String>,
    /// The letters of the old form; upstream's default is `cdn`.
    pub legacy: Option<String>,
}

/// The families of options that hold disks.
const DISK_FAMILIES: [&str; 4] = ["ide", "sata", "scsi", "virtio"];

impl QemuSection {
    /// A boolean option; `None` if it is not set.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.text(name).map(crate::formats::perl::is_true)
    }

    /// A property string taken apart.
    pub fn properties(&self, name: &str) -> Option<&Properties> {
        self.options.get(name)?.properties.as_ref()
    }

    /// The line of an option.
    pub fn line_of(&self, name: &str) -> Option<u32> {
        self.options.get(name).map(|option| option.line)
    }

    fn located(&self, name: &str) -> Option<Located<String>> {
        self.options.get(name).map(|option| Located::new(option.text.clone(), option.line))
    }

    /// The name of the guest: untrusted text.
    pub fn name(&self) -> Option<Located<String>> {
        self.located("name")
    }

    /// The tags of the guest: untrusted text.
    pub fn tags(&self) -> Vec<Located<String>> {
        tags(self.options.get("tags"))
    }

    /// Whether the guest is a template; upstream's default is no.
    pub fn is_template(&self) -> bool {
        self.flag("template").unwrap_or(false)
    }

    /// Whether the guest and its disks cannot be removed; upstream's default is no.
    pub fn is_protected(&self) -> bool {
        self.flag("protection").unwrap_or(false)
    }

    /// Whether the guest starts with the node; upstream's default is no.
    pub fn starts_on_boot(&self) -> bool {
        self.flag("onboot").unwrap_or(false)
    }

    /// Whether the guest agent is enabled; upstream's default is no.
    pub fn agent_enabled(&self) -> bool {
        self.properties("agent").and_then(|agent| agent.flag("enabled")).unwrap_or(false)
    }

    /// The volume id of a script that runs as root on the node.
    pub fn hookscript(&self) -> Option<Located<String>> {
        self.located("hookscript")
    }

    /// Whether memory is shared with other guests or the node (`ivshmem`).
    pub fn has_shared_memory(&self) -> bool {
        self.options.contains_key("ivshmem")
    }

    /// Whether the firmware is UEFI; upstream's default is a BIOS.
    pub fn has_uefi(&self) -> bool {
        self.text("bios") == Some("ovmf")
    }

    /// Whether SSH keys for cloud-init are set.
    pub fn has_ssh_keys(&self) -> bool {
        self.options.contains_key("sshkeys")
    }

    fn members(&self, letters: &'static str) -> impl Iterator<Item = (String, &GuestOption)> {
        self.family(letters).into_iter().map(move |(index, option)| (format!("{letters}{index}"), option))
    }

    fn taken_apart(&self, letters: &'static str) -> impl Iterator<Item = (String, u32, &Properties)> {
        self.members(letters)
            .filter_map(|(name, option)| option.properties.as_ref().map(|parts| (name, option.line, parts)))
    }

    /// The virtual network devices.
    pub fn nics(&self) -> Vec<Nic> {
        let nic = |(option, line, parts): (String, u32, &Properties)| Nic {
            option,
            line,
            model: parts.get("model").map(str::to_owned),
            mac: parts.get("macaddr").map(str::to_owned),
            bridge: parts.get("bridge").map(str::to_owned),
            tag: parts.get("tag").and_then(|tag| tag.trim_start_matches('+').parse().ok()),
            trunks: parts.list("trunks").into_iter().map(str::to_owned).collect(),
            firewall: parts.flag("firewall").unwrap_or(false),
            link_down: parts.flag("link_down").unwrap_or(false),
        };
        self.taken_apart("net").map(nic).collect()
    }

    /// Disks, optical drives, the EFI disk, the TPM state and unused volumes.
    pub fn disks(&self) -> Vec<Disk> {
        let families = DISK_FAMILIES.iter().chain(&["efidisk", "tpmstate", "unused"]);
        families
            .flat_map(|letters| self.taken_apart(letters).map(move |parts| (*letters, parts)))
            .map(|(letters, (option, line, parts))| self.disk(letters, option, line, parts))
            .collect()
    }

    fn disk(&self, letters: &str, option: String, line: u32, parts: &Properties) -> Disk {
        let file = parts.get("file").unwrap_or_default();
        let cdrom = parts.get("media") == Some("cdrom");
        let wanted = match letters {
            "unused" => false,
            // Without UEFI the EFI disk is inert, and upstream leaves it out.
            "efidisk" => self.has_uefi(),
            _ => parts.flag("backup").unwrap_or(true),
        };
        Disk {
            option,
            line,
            source: Source::of(file),
            cdrom,
            cloudinit: is_cloudinit(file),
            in_backup: wanted && !cdrom,
            properties: parts.clone(),
        }
    }

    /// The host devices passed to the guest.
    pub fn host_pci(&self) -> Vec<HostPci> {
        let device = |(option, line, parts): (String, u32, &Properties)| HostPci {
            option,
            line,
            addresses: parts.list("host").into_iter().map(str::to_owned).collect(),
            mapping: parts.get("mapping").map(str::to_owned),
            rom_file: parts.get("romfile").map(str::to_owned),
            mediated: parts.get("mdev").map(str::to_owned),
        };
        self.taken_apart("hostpci").map(device).collect()
    }

    /// The USB devices passed to the guest.
    pub fn usb(&self) -> Vec<Usb> {
        let device = |parts: &Properties| match (parts.get("host"), parts.get("mapping")) {
            (Some(host), _) if host.eq_ignore_ascii_case("spice") => UsbDevice::Spice,
            (Some(host), _) => UsbDevice::Host(host.to_owned()),
            (None, Some(mapping)) => UsbDevice::Mapping(mapping.to_owned()),
            (None, None) => UsbDevice::Nothing,
        };
        self.taken_apart("usb")
            .map(|(option, line, parts)| Usb { option, line, device: device(parts) })
            .collect()
    }

    /// The serial ports.
    pub fn serial(&self) -> Vec<Serial> {
        let port = |(option, found): (String, &GuestOption)| Serial {
            option,
            line: found.line,
            device: if found.text == "socket" { None } else { Some(found.text.clone()) },
        };
        self.members("serial").map(port).collect()
    }

    /// The parallel ports of the host passed to the guest.
    pub fn parallel(&self) -> Vec<Parallel> {
        let port = |(option, found): (String, &GuestOption)| Parallel {
            option,
            line: found.line,
            device: found.text.clone(),
        };
        self.members("parallel").map(port).collect()
    }

    /// The folders of the host shared with the guest.
    pub fn virtiofs(&self) -> Vec<Virtiofs> {
        let share = |(option, line, parts): (String, u32, &Properties)| {
            parts.get("dirid").map(|mapping| Virtiofs { option, line, mapping: mapping.to_owned() })
        };
        self.taken_apart("virtiofs").filter_map(share).collect()
    }

    /// What the guest boots from, if it says so.
    pub fn boot(&self) -> Option<Boot> {
        let option = self.options.get("boot")?;
        let parts = option.properties.as_ref()?;
        let order = parts.get("order").map(crate::formats::perl::split_list).unwrap_or_default();
        Some(Boot {
            line: option.line,
            order: order.into_iter().map(str::to_owned).collect(),
            legacy: parts.get("legacy").map(str::to_owned),
        })
    }
}

/// Whether a volume id or path is the drive made for cloud-init: `vm-100-cloudinit` or `cloudinit`, any format.
fn is_cloudinit(file: &str) -> bool {
    let name = file.rsplit([':', '/']).next().unwrap_or_default();
    let name = name.split_once('.').map_or(name, |(name, _)| name);
    let bare = name.strip_prefix("vm-").and_then(|rest| rest.split_once('-'));
    match bare {
        Some((id, rest)) => rest == "cloudinit" && crate::formats::perl::is_digits(id),
        None => name == "cloudinit" && file.contains([':', '/']),
    }
}
