//! The options of a virtual machine and the property strings among them.
//!
//! Follows `$confdesc` of qemu-server's `PVE::QemuServer` and the formats in `PVE::QemuServer::{Drive, Network, PCI,
//! USB, Agent, CPUConfig, RNG, Machine, Memory, Virtiofs}`. When a file is loaded only type and format of an option
//! are checked, never its enum, pattern or bounds: `bios: nonsense` is kept.

use crate::formats::perl;
use crate::formats::property_string::{INTEGER, Key, Kind, NUMBER, Schema, UNSIGNED, key};
use crate::formats::release::Release::{Pve8, Pve9};
use crate::formats::verify;

use super::options::{Check, OptionRule, family, plain};
use super::text::indexed;

/// The options of a virtual machine.
pub(super) static OPTIONS: &[OptionRule] = &[
    plain("acpi", Check::Boolean),
    plain("affinity", Check::Format(cpu_set)),
    plain("agent", Check::Properties(&AGENT)),
    plain("allow-ksm", Check::Boolean).since(Pve9),
    plain("amd-sev", Check::Properties(&SEV)).since(Pve8),
    plain("arch", Check::Text),
    plain("args", Check::Text),
    plain("audio0", Check::Properties(&AUDIO)),
    plain("autostart", Check::Boolean),
    plain("balloon", Check::Integer),
    plain("bios", Check::Text),
    plain("boot", Check::Properties(&BOOT)),
    plain("bootdisk", Check::Format(is_drive)),
    plain("cdrom", Check::Properties(&IDE)),
    plain("cicustom", Check::Properties(&CLOUDINIT_FILES)),
    plain("cipassword", Check::Text),
    plain("citype", Check::Text),
    plain("ciupgrade", Check::Boolean).since(Pve8),
    plain("ciuser", Check::Text),
    plain("cores", Check::Integer),
    plain("cpu", Check::Properties(&CPU)),
    plain("cpulimit", Check::Number),
    plain("cpuunits", Check::Integer),
    plain("description", Check::Text),
    plain("efidisk0", Check::Properties(&EFI_DISK)),
    plain("freeze", Check::Boolean),
    plain("hookscript", Check::Format(verify::volume_id)),
    plain("hotplug", Check::Format(hotplug)),
    plain("hugepages", Check::Text),
    plain("intel-tdx", Check::Properties(&TDX)).since(Pve9),
    plain("ivshmem", Check::Properties(&IVSHMEM)),
    plain("keephugepages", Check::Boolean),
    plain("keyboard", Check::Text),
    plain("kvm", Check::Boolean),
    plain("localtime", Check::Boolean),
    plain("lock", Check::Text),
    plain("machine", Check::Properties(&MACHINE)),
    plain("memory", Check::Properties(&MEMORY)),
    plain("meta", Check::Text),
    plain("migrate_downtime", Check::Number),
    plain("migrate_speed", Check::Integer),
    plain("name", Check::Format(verify::dns_name)),
    plain("nameserver", Check::Text),
    plain("numa", Check::Boolean),
    plain("onboot", Check::Boolean),
    plain("ostype", Check::Text),
    plain("parent", Check::Format(verify::config_id)),
    plain("protection", Check::Boolean),
    plain("reboot", Check::Boolean),
    plain("rng0", Check::Properties(&RNG)),
    plain("running-nets-host-mtu", Check::Text).since(Pve9),
    plain("runningcpu", Check::Text),
    plain("runningmachine", Check::Text),
    plain("scsihw", Check::Text),
    plain("searchdomain", Check::Text),
    plain("shares", Check::Integer),
    plain("smbios1", Check::Text),
    plain("smp", Check::Integer),
    plain("snaptime", Check::Integer),
    plain("sockets", Check::Integer),
    plain("spice_enhancements", Check::Properties(&SPICE)),
    plain("sshkeys", Check::Text),
    plain("startdate", Check::Text),
    plain("startup", Check::Text),
    plain("tablet", Check::Boolean),
    plain("tags", Check::Format(verify::tag_list)),
    plain("tdf", Check::Boolean),
    plain("template", Check::Boolean),
    plain("tpmstate0", Check::Properties(&TPM_STATE)),
    plain("vcpus", Check::Integer),
    plain("vga", Check::Properties(&VGA)),
    plain("vmgenid", Check::Text),
    plain("vmstate", Check::Format(verify::volume_id)),
    plain("vmstatestorage", Check::Format(verify::storage_id)),
    plain("watchdog", Check::Properties(&WATCHDOG)),
    family("hostpci", 16, Check::Properties(&HOST_PCI)),
    family("ide", 4, Check::Properties(&IDE)),
    family("ipconfig", 32, Check::Text),
    family("net", 32, Check::Properties(&NET)),
    family("numa", 8, Check::Text),
    family("parallel", 3, Check::Text),
    family("sata", 6, Check::Properties(&SATA)),
    family("scsi", 31, Check::Properties(&SCSI)),
    family("serial", 4, Check::Text),
    family("unused", 256, Check::Properties(&UNUSED)),
    family("usb", 14, Check::Properties(&USB)),
    family("virtio", 16, Check::Properties(&VIRTIO)),
    family("virtiofs", 10, Check::Properties(&VIRTIOFS)).since(Pve8),
];

/// The options of the special section that lists left-over fleecing images.
pub(super) static FLEECING_OPTIONS: &[OptionRule] = &[plain("fleecing-images", Check::Text)];

const FILE: &[Key] = &[
    key("volume", Kind::Alias("file")),
    key("file", Kind::Checked(verify::volume_id_or_path)).default_key().required(),
    key("format", Kind::OneOf(&["raw", "qcow", "qed", "qcow2", "vmdk", "cloop", "subvol"])),
    key("size", Kind::Checked(verify::disk_size)),
];

const DRIVE: &[Key] = &[
    key("media", Kind::OneOf(&["cdrom", "disk"])),
    key("snapshot", Kind::Boolean),
    key("cache", Kind::OneOf(&["none", "writethrough", "writeback", "unsafe", "directsync"])),
    key("backup", Kind::Boolean),
    key("replicate", Kind::Boolean),
    key("rerror", Kind::OneOf(&["ignore", "report", "stop"])),
    key("werror", Kind::OneOf(&["enospc", "ignore", "report", "stop"])),
    key("aio", Kind::OneOf(&["native", "threads", "io_uring"])),
    key("discard", Kind::OneOf(&["ignore", "on"])),
    key("detect_zeroes", Kind::Boolean),
    key("serial", Kind::Text),
    key("shared", Kind::Boolean),
    // The geometry of disks: Proxmox VE 9 no longer knows it and refuses the whole drive.
    key("cyls", INTEGER).until(Pve8),
    key("heads", INTEGER).until(Pve8),
    key("secs", INTEGER).until(Pve8),
    key("trans", Kind::OneOf(&["none", "lba", "auto"])).until(Pve8),
];

const POSITIVE: Kind = Kind::Integer { min: 1, max: i64::MAX };
const ANY_NUMBER: Kind = Kind::Number { min: i64::MIN, max: i64::MAX };

const THROTTLE: &[Key] = &[
    key("bps", INTEGER),
    key("bps_rd", INTEGER),
    key("bps_wr", INTEGER),
    key("mbps", ANY_NUMBER),
    key("mbps_rd", ANY_NUMBER),
    key("mbps_wr", ANY_NUMBER),
    key("iops", INTEGER),
    key("iops_rd", INTEGER),
    key("iops_wr", INTEGER),
    key("mbps_max", ANY_NUMBER),
    key("mbps_rd_max", ANY_NUMBER),
    key("mbps_wr_max", ANY_NUMBER),
    key("iops_max", INTEGER),
    key("iops_rd_max", INTEGER),
    key("iops_wr_max", INTEGER),
    key("bps_max_length", POSITIVE),
    key("bps_rd_max_length", POSITIVE),
    key("bps_wr_max_length", POSITIVE),
    key("iops_max_length", POSITIVE),
    key("iops_rd_max_length", POSITIVE),
    key("iops_wr_max_length", POSITIVE),
    key("bps_rd_length", Kind::Alias("bps_rd_max_length")),
    key("bps_wr_length", Kind::Alias("bps_wr_max_length")),
    key("iops_rd_length", Kind::Alias("iops_rd_max_length")),
    key("iops_wr_length", Kind::Alias("iops_wr_max_length")),
];

const SSD: Key = key("ssd", Kind::Boolean);
const WWN: Key = key("wwn", Kind::Checked(wwn));
const IOTHREAD: Key = key("iothread", Kind::Boolean);
const READ_ONLY: Key = key("ro", Kind::Boolean);

static IDE: Schema = Schema { keys: &[FILE, DRIVE, THROTTLE, &[key("model", Kind::Text), SSD, WWN]] };
static SATA: Schema = Schema { keys: &[FILE, DRIVE, THROTTLE, &[SSD, WWN]] };
static VIRTIO: Schema = Schema { keys: &[FILE, DRIVE, THROTTLE, &[IOTHREAD, READ_ONLY]] };
static SCSI: Schema = Schema {
    keys: &[
        FILE,
        DRIVE,
        THROTTLE,
        &[
            IOTHREAD,
            READ_ONLY,
            SSD,
            WWN,
            key("product", Kind::Text).since(Pve8),
            key("vendor", Kind::Text).since(Pve8),
            key("queues", Kind::Integer { min: 2, max: i64::MAX }),
            key("scsiblock", Kind::Boolean),
        ],
    ],
};
static EFI_DISK: Schema = Schema {
    keys: &[
        FILE,
        &[
            key("efitype", Kind::OneOf(&["2m", "4m"])),
            key("pre-enrolled-keys", Kind::Boolean),
            key("ms-cert", Kind::OneOf(&["2011", "2023", "2023w", "2023k"])).since(Pve9),
        ],
    ],
};
static TPM_STATE: Schema = Schema { keys: &[FILE, &[key("version", Kind::OneOf(&["v1.2", "v2.0"]))]] };
static UNUSED: Schema = Schema {
    keys: &[&[
        key("volume", Kind::Alias("file")),
        key("file", Kind::Checked(verify::volume_id)).default_key().required(),
    ]],
};

/// The models of virtual network devices, each also a key that takes the address.
const NIC_MODELS: &[&str] = &[
    "e1000",
    "e1000-82540em",
    "e1000-82544gc",
    "e1000-82545em",
    "e1000e",
    "i82551",
    "i82557b",
    "i82559er",
    "ne2k_isa",
    "ne2k_pci",
    "pcnet",
    "rtl8139",
    "virtio",
    "vmxnet3",
];

const fn nic_model(name: &'static str) -> Key {
    key(name, Kind::NameAndValue { name: "model", value: "macaddr" })
}

static NET: Schema = Schema {
    keys: &[
        &[
            key("model", Kind::OneOf(NIC_MODELS)).default_key().required(),
            key("macaddr", Kind::Checked(verify::mac_address)),
            key("bridge", Kind::Checked(verify::interface_name)),
            key("queues", Kind::Integer { min: 0, max: 64 }),
            key("rate", NUMBER),
            key("tag", Kind::Integer { min: 1, max: 4094 }),
            key("trunks", Kind::Checked(verify::vlan_ranges)),
            key("firewall", Kind::Boolean),
            key("link_down", Kind::Boolean),
            key("mtu", Kind::Integer { min: 1, max: 65520 }),
            key("host-tunnel", Kind::Boolean).since(Pve9),
        ],
        &[
            nic_model("e1000"),
            nic_model("e1000-82540em"),
            nic_model("e1000-82544gc"),
            nic_model("e1000-82545em"),
            nic_model("e1000e"),
            nic_model("i82551"),
            nic_model("i82557b"),
            nic_model("i82559er"),
            nic_model("ne2k_isa"),
            nic_model("ne2k_pci"),
            nic_model("pcnet"),
            nic_model("rtl8139"),
            nic_model("virtio"),
            nic_model("vmxnet3"),
        ],
    ],
};

static HOST_PCI: Schema = Schema {
    keys: &[&[
        // Up to Proxmox VE 7 a device can only be named by its address.
        key("host", Kind::Checked(pci_addresses)).default_key(),
        key("mapping", Kind::Checked(verify::config_id)).since(Pve8),
        key("rombar", Kind::Boolean),
        key("romfile", Kind::Text),
        key("pcie", Kind::Boolean),
        key("x-vga", Kind::Boolean),
        key("legacy-igd", Kind::Boolean),
        key("mdev", Kind::Text),
        key("vendor-id", Kind::Text),
        key("device-id", Kind::Text),
        key("sub-vendor-id", Kind::Text),
        key("sub-device-id", Kind::Text),
        key("driver", Kind::OneOf(&["vfio", "keep"])).since(Pve8),
    ]],
};

static USB: Schema = Schema {
    keys: &[&[
        key("host", Kind::Checked(usb_host)).default_key(),
        key("mapping", Kind::Checked(verify::config_id)).since(Pve8),
        key("usb3", Kind::Boolean),
    ]],
};

static AGENT: Schema = Schema {
    keys: &[&[
        key("enabled", Kind::Boolean).default_key().required(),
        key("fstrim_cloned_disks", Kind::Boolean),
        key("type", Kind::OneOf(&["virtio", "isa"])),
        key("freeze-fs-on-backup", Kind::Boolean).until(Pve8),
        key("freeze-fs-on-backup", Kind::Alias("freeze-fs")).since(Pve9),
        key("guest-fsfreeze", Kind::Alias("freeze-fs")).since(Pve9),
        key("freeze-fs", Kind::Boolean).since(Pve9),
    ]],
};

static BOOT: Schema = Schema {
    keys: &[&[
        key("legacy", Kind::Checked(boot_letters)).default_key(),
        key("order", Kind::Checked(boot_order)),
    ]],
};
static CPU: Schema = Schema {
    keys: &[&[
        key("cputype", Kind::Checked(cpu_type)).default_key(),
        key("hidden", Kind::Boolean),
        key("hv-vendor-id", Kind::Text),
        key("flags", Kind::Checked(cpu_flags)),
        key("phys-bits", Kind::Text),
        key("guest-phys-bits", UNSIGNED).since(Pve9),
        key("level", UNSIGNED).since(Pve9),
    ]],
};
static SEV: Schema = Schema {
    keys: &[&[
        key("type", Kind::OneOf(&["std", "es", "snp"])).default_key().required(),
        key("no-debug", Kind::Boolean),
        key("no-key-sharing", Kind::Boolean),
        key("allow-smt", Kind::Boolean),
        key("kernel-hashes", Kind::Boolean),
    ]],
};
static TDX: Schema = Schema {
    keys: &[&[
        key("type", Kind::OneOf(&["tdx"])).default_key().required(),
        key("attestation", Kind::Boolean).required(),
        key("vsock-cid", UNSIGNED),
        key("vsock-port", UNSIGNED),
    ]],
};
static VGA: Schema = Schema {
    keys: &[&[
        key(
            "type",
            Kind::OneOf(&[
                "cirrus",
                "qxl",
                "qxl2",
                "qxl3",
                "qxl4",
                "none",
                "serial0",
                "serial1",
                "serial2",
                "serial3",
                "std",
                "virtio",
                "virtio-gl",
                "vmware",
            ]),
        )
        .default_key(),
        key("memory", Kind::Integer { min: 4, max: 512 }),
        key("clipboard", Kind::OneOf(&["vnc"])).since(Pve8),
    ]],
};
static AUDIO: Schema = Schema {
    keys: &[&[
        key("device", Kind::OneOf(&["ich9-intel-hda", "intel-hda", "AC97"])).required(),
        key("driver", Kind::OneOf(&["spice", "none"])),
    ]],
};
static SPICE: Schema = Schema {
    keys: &[&[
        key("foldersharing", Kind::Boolean),
        key("videostreaming", Kind::OneOf(&["off", "all", "filter"])),
    ]],
};
static RNG: Schema = Schema {
    keys: &[&[
        key("source", Kind::OneOf(&["/dev/urandom", "/dev/random", "/dev/hwrng"])).default_key().required(),
        key("max_bytes", INTEGER),
        key("period", INTEGER),
    ]],
};
static IVSHMEM: Schema = Schema {
    keys: &[&[key("size", Kind::Integer { min: 1, max: i64::MAX }).required(), key("name", Kind::Text)]],
};
static MACHINE: Schema = Schema {
    keys: &[&[
        key("type", Kind::Checked(machine_type)).default_key(),
        key("viommu", Kind::OneOf(&["intel", "virtio"])).since(Pve8),
        key("aw-bits", NUMBER).since(Pve9),
        key("enable-s3", Kind::Boolean).since(Pve8),
        key("enable-s4", Kind::Boolean).since(Pve8),
    ]],
};
static MEMORY: Schema =
    Schema { keys: &[&[key("current", Kind::Integer { min: 16, max: i64::MAX }).default_key().required()]] };
static WATCHDOG: Schema = Schema {
    keys: &[&[
        key("model", Kind::OneOf(&["i6300esb", "ib700"])).default_key(),
        key("action", Kind::OneOf(&["reset", "shutdown", "poweroff", "pause", "debug", "none"])),
    ]],
};
static VIRTIOFS: Schema = Schema {
    keys: &[&[
        key("dirid", Kind::Checked(verify::config_id)).default_key().required(),
        key("cache", Kind::OneOf(&["auto", "always", "metadata", "never"])),
        key("direct-io", Kind::Boolean),
        key("expose-xattr", Kind::Boolean),
        key("expose-acl", Kind::Boolean),
    ]],
};
static CLOUDINIT_FILES: Schema = Schema {
    keys: &[&[
        key("meta", Kind::Checked(verify::volume_id)),
        key("network", Kind::Checked(verify::volume_id)),
        key("user", Kind::Checked(verify::volume_id)),
        key("vendor", Kind::Checked(verify::volume_id)),
    ]],
};

fn wwn(text: &str) -> bool {
    text.strip_prefix("0x")
        .is_some_and(|digits| digits.len() == 16 && digits.bytes().all(|each| each.is_ascii_hexdigit()))
}

fn is_drive(text: &str) -> bool {
    let limit = |letters| match letters {
        "ide" => 4,
        "sata" => 6,
        "scsi" => 31,
        "virtio" => 16,
        _ => 0,
    };
    indexed(text).is_some_and(|(letters, index)| index < limit(letters))
}

fn boot_letters(text: &str) -> bool {
    (1..=4).contains(&text.len()) && text.chars().all(|each| "acdn".contains(each))
}

fn boot_order(text: &str) -> bool {
    let is_device = |device: &str| {
        let limit = |letters| match letters {
            "net" => 32,
            "usb" => 14,
            "hostpci" => 16,
            _ => 0,
        };
        is_drive(device) || indexed(device).is_some_and(|(letters, index)| index < limit(letters))
    };
    perl::split_list(text).into_iter().all(is_device)
}

fn cpu_set(text: &str) -> bool {
    let is_range = |part: &str| match part.split_once('-') {
        Some((from, to)) => perl::is_digits(from) && perl::is_digits(to),
        None => perl::is_digits(part),
    };
    text.split(',').all(is_range)
}

/// A built-in or custom processor model. Which models exist depends on the point release and on
/// `virtual-guest/cpu-models.conf`; only the form is checked here.
fn cpu_type(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|each| perl::is_word(each) || matches!(each, '-' | '.'))
}

/// `pc`, `q35`, `virt` or one of them with a version: `pc-q35-10.0+pve1`.
fn machine_type(text: &str) -> bool {
    let text = text.strip_suffix(".pxe").unwrap_or(text);
    let (text, revision) =
        text.split_once("+pve").map_or((text, None), |(text, revision)| (text, Some(revision)));
    let is_version = |version: &str| version.contains('.') && version.split('.').all(perl::is_digits);
    let versioned = ["pc-i440fx-", "pc-q35-", "pc-", "virt-"]
        .into_iter()
        .any(|family| text.strip_prefix(family).is_some_and(is_version));
    match revision {
        Some(revision) => perl::is_digits(revision) && (versioned || text == "virt"),
        None => versioned || matches!(text, "pc" | "q35" | "virt"),
    }
}

/// The processor flags a guest may set for itself.
const CPU_FLAGS: [&str; 13] = [
    "aes",
    "amd-no-ssb",
    "amd-ssbd",
    "hv-evmcs",
    "hv-tlbflush",
    "ibpb",
    "md-clear",
    "nested-virt",
    "pcid",
    "pdpe1gb",
    "spec-ctrl",
    "ssbd",
    "virt-ssbd",
];

fn cpu_flags(text: &str) -> bool {
    let is_flag = |flag: &str| flag.strip_prefix(['+', '-']).is_some_and(|name| CPU_FLAGS.contains(&name));
    text.split(';').all(is_flag)
}

fn hotplug(text: &str) -> bool {
    let is_feature =
        |feature: &str| matches!(feature, "network" | "disk" | "cpu" | "memory" | "usb" | "cloudinit");
    matches!(text, "0" | "1") || perl::split_list(text).into_iter().all(is_feature)
}

/// `[domain:]bus:device[.function]` in lower-case hexadecimal, several with `;`.
fn pci_addresses(text: &str) -> bool {
    text.split(';').all(is_pci_address)
}

fn is_pci_address(text: &str) -> bool {
    let is_hex = |part: &str| {
        !part.is_empty() && part.bytes().all(|each| each.is_ascii_digit() || (b'a'..=b'f').contains(&each))
    };
    let (address, function) = match text.split_once('.') {
        Some((address, function)) => (address, Some(function)),
        None => (text, None),
    };
    let parts: Vec<&str> = address.split(':').collect();
    let shape_fits = match parts.as_slice() {
        [bus, device] => bus.len() == 2 && device.len() == 2,
        [domain, bus, device] => domain.len() >= 4 && bus.len() == 2 && device.len() == 2,
        _ => false,
    };
    shape_fits
        && parts.iter().all(|part| is_hex(part))
        && function.is_none_or(|function| function.len() == 1 && is_hex(function))
}

/// `vendor:product`, `bus-port` or `spice`.
fn usb_host(text: &str) -> bool {
    let is_id = |id: &str| {
        let digits = id.strip_prefix("0x").unwrap_or(id);
        digits.len() == 4 && digits.bytes().all(|each| each.is_ascii_hexdigit())
    };
    let is_path = |(bus, port): (&str, &str)| perl::is_digits(bus) && port.split('.').all(perl::is_digits);
    text.eq_ignore_ascii_case("spice")
        || text.split_once(':').is_some_and(|(vendor, product)| is_id(vendor) && is_id(product))
        || text.split_once('-').is_some_and(is_path)
}

#[cfg(test)]
mod tests {
    use super::super::options::find;
    use super::*;

    #[test]
    fn options_have_an_index_below_their_limit() {
        let knows = |name: &str| find(OPTIONS, name, Pve9).is_some();
        for (name, last) in
            [("ide", 3), ("sata", 5), ("scsi", 30), ("virtio", 15), ("net", 31), ("hostpci", 15)]
        {
            assert!(knows(&format!("{name}{last}")) && !knows(&format!("{name}{}", last + 1)), "{name}");
            assert!(!knows(name), "{name}");
        }
        for (name, last) in [("usb", 13), ("serial", 3), ("parallel", 2), ("virtiofs", 9), ("unused", 255)] {
            assert!(knows(&format!("{name}{last}")) && !knows(&format!("{name}{}", last + 1)), "{name}");
        }
    }

    #[test]
    fn options_appear_with_their_release() {
        for (name, release) in
            [("amd-sev", Pve8), ("virtiofs0", Pve8), ("intel-tdx", Pve9), ("allow-ksm", Pve9)]
        {
            for each in [crate::formats::release::Release::Pve7, Pve8, Pve9] {
                assert_eq!(find(OPTIONS, name, each).is_some(), each >= release, "{name} on {each}");
            }
        }
    }

    #[test]
    fn device_addresses_follow_their_patterns() {
        for good in ["0000:01:00.0", "01:00", "01:00.1;01:00.2", "10000:e1:00.0"] {
            assert!(pci_addresses(good), "{good}");
        }
        for bad in ["", "1:0", "0000:01:00.", "0000:01:00.0;", "0000:0G:00.0", "0000:0A:00.0"] {
            assert!(!pci_addresses(bad), "{bad}");
        }
        for good in ["1234:5678", "0x1234:0xabCD", "1-1.2", "SPICE"] {
            assert!(usb_host(good), "{good}");
        }
        assert!(!usb_host("123:5678") && !usb_host("1-") && !usb_host("x"));
    }

    #[test]
    fn machine_types_have_a_family_and_a_version() {
        for good in ["q35", "pc", "virt", "pc-q35-10.0+pve1", "pc-i440fx-8.1", "pc-6.2.pxe"] {
            assert!(machine_type(good), "{good}");
        }
        for bad in ["", "q36", "pc-q35", "pc-q35-10", "q35+pve1", "pc-q35-10.0+pve"] {
            assert!(!machine_type(bad), "{bad}");
        }
    }

    #[test]
    fn boot_orders_and_processor_flags_know_their_words() {
        assert!(boot_order("scsi0;ide2;net0") && !boot_order("scsi31") && !boot_order("efidisk0"));
        assert!(cpu_flags("+md-clear;-pcid") && !cpu_flags("md-clear") && !cpu_flags("+vmx"));
    }
}
