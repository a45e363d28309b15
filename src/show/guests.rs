//! `pve-audit show guests`: every guest of the cluster and what it is given.

#[cfg(test)]
mod tests;

use serde::Serialize;
use std::fmt::Write as _;

use super::{Shown, ShownIssue, issues};
use crate::formats::guest::lxc::{HostId, LxcConfig, LxcSection};
use crate::formats::guest::qemu::{QemuConfig, QemuSection, UsbDevice};
use crate::formats::guest::{Deletion, Password, Snapshot, Source};
use crate::host::guests::{Guest, GuestConfig, Kind};
use crate::host::{Host, Stop};

#[derive(Serialize)]
struct Inventory {
    guests: Vec<ShownGuest>,
    /// Troubles of the list; those of a guest are in its entry.
    issues: Vec<ShownIssue>,
}

#[derive(Serialize, Default)]
struct ShownGuest {
    vmid: u32,
    name: Option<String>,
    node: String,
    /// Whether it is on the audited node.
    local: bool,
    kind: &'static str,
    path: String,
    /// What keeps its configuration from being known; then nothing else is.
    unknown: Option<String>,
    #[serde(flatten)]
    facts: Facts,
    issues: Vec<ShownIssue>,
}

/// Empty lists and `null` where the configuration is unknown or the kind of guest has no such thing.
#[derive(Serialize, Default)]
struct Facts {
    template: bool,
    protected: bool,
    starts_on_boot: bool,
    tags: Vec<String>,
    /// Containers: whether root is root of the node, and which user of the node it is.
    privileged: Option<bool>,
    root_is: Option<String>,
    features: Vec<String>,
    apparmor_profile: Option<String>,
    console_without_login: Option<bool>,
    /// Names of raw keys passed on to LXC.
    raw_keys: Vec<String>,
    /// Names of environment variables.
    environment: Vec<String>,
    /// Virtual machines: whether the guest agent is enabled, the firmware, whether there are raw arguments.
    agent: Option<bool>,
    uefi: Option<bool>,
    raw_arguments: Option<bool>,
    /// Known dangerous arguments among them.
    risky_arguments: Vec<&'static str>,
    /// `clear` or `hashed`; `null` is none.
    cloud_init_password: Option<&'static str>,
    hookscript: Option<String>,
    networks: Vec<ShownNic>,
    disks: Vec<ShownDisk>,
    binds: Vec<ShownBind>,
    devices: Vec<ShownDevice>,
    snapshots: ShownSnapshots,
    /// Options that change at the next start.
    pending: Vec<String>,
    /// Options that go away at the next start.
    pending_removal: Vec<String>,
}

#[derive(Serialize)]
struct ShownNic {
    option: String,
    bridge: Option<String>,
    tag: Option<u16>,
    trunks: Vec<String>,
    firewall: bool,
    link_down: bool,
    line: u32,
}

#[derive(Serialize)]
struct ShownDisk {
    option: String,
    storage: Option<String>,
    volume: String,
    in_backup: bool,
    line: u32,
}

#[derive(Serialize)]
struct ShownBind {
    option: String,
    source: String,
    target: String,
    read_only: bool,
    line: u32,
}

#[derive(Serialize)]
struct ShownDevice {
    option: String,
    device: String,
    line: u32,
}

#[derive(Serialize, Default)]
struct ShownSnapshots {
    count: usize,
    /// RFC 3339.
    oldest: Option<String>,
    with_memory: usize,
}

/// Lays the guests out.
///
/// # Errors
/// Why there is nothing to show.
pub(super) fn shown(host: &Host) -> Result<Shown, String> {
    let fact = host.guests();
    let guests = fact.value.as_ref().map_err(|stop| match stop {
        Stop::Unknown(doubt) => doubt.to_string(),
        Stop::NotApplicable(why) => why.clone(),
    })?;
    let local = host.node_name();
    let all = guests.all.iter().map(|guest| shown_guest(guest, local.as_deref())).collect();
    let inventory = Inventory { guests: all, issues: issues(&fact.doubts) };
    Ok(Shown {
        text: text(&inventory),
        // Strings, numbers and lists cannot fail to become JSON.
        json: serde_json::to_value(&inventory).unwrap_or_default(),
    })
}

fn shown_guest(guest: &Guest, local: Option<&str>) -> ShownGuest {
    let (facts, unknown) = match &guest.config.value {
        Ok(GuestConfig::Vm(vm)) => (vm_facts(vm), None),
        Ok(GuestConfig::Container(ct)) => (ct_facts(ct), None),
        Err(Stop::Unknown(doubt)) => (Facts::default(), Some(doubt.to_string())),
        Err(Stop::NotApplicable(why)) => (Facts::default(), Some(why.clone())),
    };
    ShownGuest {
        vmid: guest.vmid,
        name: guest.name().map(str::to_owned),
        node: guest.node.clone(),
        local: local == Some(&guest.node),
        kind: match guest.kind {
            Kind::Vm => "vm",
            Kind::Container => "container",
        },
        path: guest.path.clone(),
        unknown,
        facts,
        issues: issues(&guest.config.doubts),
    }
}

fn vm_facts(config: &QemuConfig) -> Facts {
    let vm = &config.current;
    let arguments = vm.arguments.as_ref().filter(|arguments| !arguments.is_blank());
    let (pending, pending_removal) = match &config.pending {
        Some(pending) => changes(pending.section.options.keys(), &pending.deletions),
        None => Default::default(),
    };
    Facts {
        template: vm.is_template(),
        protected: vm.is_protected(),
        starts_on_boot: vm.starts_on_boot(),
        tags: vm.tags().into_iter().map(|tag| tag.value).collect(),
        agent: Some(vm.agent_enabled()),
        uefi: Some(vm.has_uefi()),
        raw_arguments: Some(arguments.is_some()),
        risky_arguments: arguments.map(|some| some.risky.iter().copied().collect()).unwrap_or_default(),
        cloud_init_password: vm.password.as_ref().map(|password| match password.value {
            Password::Clear => "clear",
            Password::Hashed(_) => "hashed",
        }),
        hookscript: vm.hookscript().map(|script| script.value),
        networks: vm.nics().into_iter().map(vm_nic).collect(),
        disks: vm_disks(vm),
        devices: vm_devices(vm),
        snapshots: snapshots(&config.snapshot_facts()),
        pending,
        pending_removal,
        ..Facts::default()
    }
}

fn vm_nic(nic: crate::formats::guest::qemu::Nic) -> ShownNic {
    let crate::formats::guest::qemu::Nic { option, line, bridge, tag, trunks, firewall, link_down, .. } = nic;
    ShownNic { option, bridge, tag, trunks, firewall, link_down, line }
}

fn vm_disks(vm: &QemuSection) -> Vec<ShownDisk> {
    let disks = vm.disks().into_iter();
    disks.map(|disk| shown_disk(disk.option, &disk.source, disk.in_backup, disk.line)).collect()
}

fn shown_disk(option: String, source: &Source, in_backup: bool, line: u32) -> ShownDisk {
    let volume = match source {
        Source::Volume { volume, .. } => volume.clone(),
        Source::Device(path) | Source::Path(path) => path.clone(),
        Source::Empty => "none".to_owned(),
        Source::HostDrive => "cdrom".to_owned(),
        Source::Other(text) => text.clone(),
    };
    ShownDisk { option, storage: source.storage().map(str::to_owned), volume, in_backup, line }
}

fn vm_devices(vm: &QemuSection) -> Vec<ShownDevice> {
    let named = |option: String, device: String, line: u32| ShownDevice { option, device, line };
    let pci = vm.host_pci().into_iter().map(|pci| {
        let device = pci.mapping.map(|name| format!("mapping {name}"));
        named(pci.option, device.unwrap_or_else(|| pci.addresses.join(";")), pci.line)
    });
    let usb = vm.usb().into_iter().filter_map(|usb| {
        let device = match usb.device {
            UsbDevice::Host(host) => host,
            UsbDevice::Mapping(name) => format!("mapping {name}"),
            UsbDevice::Spice => "spice".to_owned(),
            UsbDevice::Nothing => return None,
        };
        Some(named(usb.option, device, usb.line))
    });
    let serial = vm.serial().into_iter().filter_map(|port| Some(named(port.option, port.device?, port.line)));
    let parallel = vm.parallel().into_iter().map(|port| named(port.option, port.device, port.line));
    let folders = vm.virtiofs().into_iter();
    let folders =
        folders.map(|share| named(share.option, format!("folder mapping {}", share.mapping), share.line));
    pci.chain(usb).chain(serial).chain(parallel).chain(folders).collect()
}

fn ct_facts(config: &LxcConfig) -> Facts {
    let ct = &config.current;
    let root = ct.host_uid_of_root();
    let (pending, pending_removal) = match &config.pending {
        Some(pending) => changes(pending.section.options.keys(), &pending.deletions),
        None => Default::default(),
    };
    let mut raw_keys: Vec<String> = ct.raw.iter().map(|raw| raw.name.clone()).collect();
    raw_keys.sort();
    raw_keys.dedup();
    Facts {
        template: ct.is_template(),
        protected: ct.is_protected(),
        starts_on_boot: ct.starts_on_boot(),
        tags: ct.tags().into_iter().map(|tag| tag.value).collect(),
        privileged: if root == HostId::Unreadable { None } else { Some(ct.is_privileged()) },
        root_is: Some(match root {
            HostId::Id(0) => "root of the node".to_owned(),
            HostId::Id(uid) => format!("user {uid} of the node"),
            HostId::Unmapped => "nobody of the node".to_owned(),
            HostId::Unreadable => "unknown: a line of the id map is malformed".to_owned(),
        }),
        features: features(ct),
        apparmor_profile: ct.apparmor_profile().map(|raw| raw.value.clone()),
        console_without_login: Some(ct.console_is_a_shell()),
        raw_keys,
        environment: ct.environment.iter().map(|variable| variable.name.clone()).collect(),
        hookscript: ct.hookscript().map(|script| script.value),
        networks: ct.nics().into_iter().map(ct_nic).collect(),
        disks: ct_disks(ct),
        binds: ct_binds(ct),
        devices: ct
            .devices()
            .into_iter()
            .map(|device| ShownDevice { option: device.option, device: device.path, line: device.line })
            .collect(),
        snapshots: snapshots(&config.snapshot_facts()),
        pending,
        pending_removal,
        ..Facts::default()
    }
}

fn features(ct: &LxcSection) -> Vec<String> {
    let features = ct.features();
    let on = [
        (features.force_rw_sys, "force_rw_sys"),
        (features.fuse, "fuse"),
        (features.keyctl, "keyctl"),
        (features.mknod, "mknod"),
        (features.nesting, "nesting"),
    ];
    let on = on.into_iter().filter(|(on, _)| *on).map(|(_, name)| name.to_owned());
    on.chain(features.mount.iter().map(|kind| format!("mount={kind}"))).collect()
}

fn ct_nic(nic: crate::formats::guest::lxc::CtNic) -> ShownNic {
    let crate::formats::guest::lxc::CtNic { option, line, bridge, tag, trunks, firewall, link_down, .. } =
        nic;
    ShownNic { option, bridge, tag, trunks, firewall, link_down, line }
}

fn ct_disks(ct: &LxcSection) -> Vec<ShownDisk> {
    let points = ct.root_file_system().into_iter().chain(ct.mount_points()).filter(|point| !point.is_bind());
    let mounted = points.map(|point| shown_disk(point.option, &point.source, point.in_backup, point.line));
    let unused = ct.unused().into_iter();
    mounted
        .chain(unused.map(|(option, source)| shown_disk(option.value, &source, false, option.line)))
        .collect()
}

fn ct_binds(ct: &LxcSection) -> Vec<ShownBind> {
    let points = ct.root_file_system().into_iter().chain(ct.mount_points()).filter_map(|point| {
        let Source::Path(source) = point.source else { return None };
        let (option, target, read_only, line) = (point.option, point.target, point.read_only, point.line);
        Some(ShownBind { option, source, target, read_only, line })
    });
    let entries = ct.mount_entries().into_iter().filter(crate::formats::guest::lxc::MountEntry::is_bind);
    let entries = entries.map(|entry| ShownBind {
        option: "lxc.mount.entry".to_owned(),
        read_only: entry.is_read_only(),
        source: entry.source,
        target: entry.target,
        line: entry.line,
    });
    points.chain(entries).collect()
}

fn changes<'o>(set: impl Iterator<Item = &'o String>, deletions: &[Deletion]) -> (Vec<String>, Vec<String>) {
    (set.cloned().collect(), deletions.iter().map(|deletion| deletion.option.clone()).collect())
}

fn snapshots(all: &[Snapshot]) -> ShownSnapshots {
    let oldest = all.iter().filter_map(|snapshot| i64::try_from(snapshot.taken_at?).ok()).min();
    ShownSnapshots {
        count: all.len(),
        oldest: oldest
            .and_then(|taken| jiff::Timestamp::from_second(taken).ok())
            .map(|taken| taken.to_string()),
        with_memory: all.iter().filter(|snapshot| snapshot.has_memory).count(),
    }
}

fn text(inventory: &Inventory) -> String {
    let mut out = String::new();
    for guest in &inventory.guests {
        // Writing to a string cannot fail.
        let _ = guest_text(&mut out, guest);
    }
    if inventory.guests.is_empty() {
        out.push_str("no guests\n");
    }
    for issue in &inventory.issues {
        let _ = writeln!(out, "issue: {issue}");
    }
    out
}

fn guest_text(out: &mut String, guest: &ShownGuest) -> std::fmt::Result {
    let name = guest.name.as_deref().map(|name| format!(" ({name})")).unwrap_or_default();
    writeln!(out, "{} {}{name} on {}", guest.kind, guest.vmid, guest.node)?;
    if let Some(why) = &guest.unknown {
        writeln!(out, "  unknown: {why}")?;
    }
    let facts = &guest.facts;
    if let Some(root) = &facts.root_is {
        let kind = if facts.privileged == Some(true) { "privileged" } else { "unprivileged" };
        let kind = if facts.privileged.is_none() { "unknown" } else { kind };
        writeln!(out, "  {kind}: its root is {root}")?;
    }
    let on = switches(facts);
    if !on.is_empty() {
        writeln!(out, "  {}", on.join(", "))?;
    }
    let mut list = |title: &str, items: &[String]| match items {
        [] => Ok(()),
        items => writeln!(out, "  {title} {}", items.join(", ")),
    };
    list("features", &facts.features)?;
    list("raw keys", &facts.raw_keys)?;
    list("environment", &facts.environment)?;
    list("changes at the next start", &facts.pending)?;
    list("removed at the next start", &facts.pending_removal)?;
    if let Some(script) = &facts.hookscript {
        writeln!(out, "  hook script {script}")?;
    }
    places_text(out, facts)?;
    snapshots_text(out, &facts.snapshots)?;
    guest.issues.iter().try_for_each(|issue| writeln!(out, "  issue: {issue}"))
}

fn switches(facts: &Facts) -> Vec<String> {
    let mut on: Vec<String> = [
        (facts.template, "template"),
        (facts.protected, "protected"),
        (facts.starts_on_boot, "starts with the node"),
        (facts.agent == Some(true), "guest agent"),
        (facts.uefi == Some(true), "UEFI"),
        (facts.console_without_login == Some(true), "console without login"),
    ]
    .into_iter()
    .filter(|(on, _)| *on)
    .map(|(_, name)| name.to_owned())
    .collect();
    if facts.raw_arguments == Some(true) {
        let risky = facts.risky_arguments.join(" ");
        on.push(if risky.is_empty() {
            "raw arguments".to_owned()
        } else {
            format!("raw arguments ({risky})")
        });
    }
    on.extend(facts.cloud_init_password.map(|how| format!("password for cloud-init ({how})")));
    on.extend(facts.apparmor_profile.as_ref().map(|profile| format!("AppArmor profile {profile}")));
    on
}

fn places_text(out: &mut String, facts: &Facts) -> std::fmt::Result {
    for nic in &facts.networks {
        let bridge = nic.bridge.as_deref().unwrap_or("no bridge");
        let tag = nic.tag.map(|tag| format!(", tag {tag}")).unwrap_or_default();
        let trunks =
            if nic.trunks.is_empty() { String::new() } else { format!(", trunks {}", nic.trunks.join(";")) };
        let firewall = if nic.firewall { "on" } else { "off" };
        let down = if nic.link_down { ", link down" } else { "" };
        writeln!(out, "  {} {bridge}{tag}{trunks}, firewall {firewall}{down}", nic.option)?;
    }
    for disk in &facts.disks {
        let storage = disk.storage.as_deref().map(|storage| format!("{storage}:")).unwrap_or_default();
        let backup = if disk.in_backup { "" } else { ", not in backups" };
        writeln!(out, "  {} {storage}{}{backup}", disk.option, disk.volume)?;
    }
    for bind in &facts.binds {
        let access = if bind.read_only { ", read-only" } else { "" };
        writeln!(out, "  {} {} of the node at {}{access}", bind.option, bind.source, bind.target)?;
    }
    facts.devices.iter().try_for_each(|device| writeln!(out, "  {} {}", device.option, device.device))
}

fn snapshots_text(out: &mut String, snapshots: &ShownSnapshots) -> std::fmt::Result {
    if snapshots.count == 0 {
        return Ok(());
    }
    let oldest =
        snapshots.oldest.as_deref().map(|taken| format!(", the oldest of {taken}")).unwrap_or_default();
    let memory = if snapshots.with_memory == 0 {
        String::new()
    } else {
        format!(", {} with memory", snapshots.with_memory)
    };
    writeln!(out, "  snapshots: {}{oldest}{memory}", snapshots.count)
}
