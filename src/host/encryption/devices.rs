//! What a block device is, asked by kernel name (`dm-3`) of the running kernel, or by path of the files that tell
//! what will be set up: LVM's metadata backups and crypttab.
//!
//! Both kinds of names live in one graph: a path that leads to a device of the running kernel is that device.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::graph::{Device, Layer};
use crate::files::{Files, Kind, TroubleKind};
use crate::formats::dm_uuid::{self, DmUuid, Encryption};
use crate::formats::lvm_backup::{self, VolumeGroup};
use crate::formats::{Parsed, crypttab};
use crate::host::Fact;

/// Every block device of the running kernel, each a link to its real folder.
const BLOCK: &str = "/sys/class/block";

/// Where LVM keeps the metadata of each volume group after each change of it.
const LVM_BACKUP: &str = "/etc/lvm/backup";

/// Prefix of the name of a volume group as a whole.
const GROUP: &str = "vg:";

/// Prefix of the name of something that was not read: the rest says what.
const DOUBT: &str = "?";

/// The kernel's limit on links in one lookup.
const MAX_LINKS: usize = 40;

/// How a disk of another machine shows in the real path of its device: iSCSI, Fibre Channel, `NVMe` over fabrics.
const REMOTE_PATHS: [&str; 3] = ["/session", "/rport-", "/nvme-fabrics/"];

/// The devices of the host, read as they are asked for.
#[derive(Default)]
pub(super) struct Devices {
    /// The kernel's names; `None` in a tree without `/sys`.
    names: OnceCell<Option<BTreeSet<String>>>,
    /// Kernel names by device-mapper name, for trees without `/dev`.
    mapped: OnceCell<BTreeMap<String, String>>,
    known: RefCell<BTreeMap<String, Rc<Device>>>,
    groups: RefCell<BTreeMap<String, Rc<Group>>>,
}

/// The backup of a volume group, and what is wrong with it.
type Group = Result<(VolumeGroup, Option<String>), String>;

/// A look at the devices.
pub(super) struct Lookup<'h> {
    pub(super) files: &'h Files,
    pub(super) devices: &'h Devices,
    pub(super) crypttab: &'h Fact<Vec<crypttab::Entry>>,
}

/// The name of a volume group in the graph.
pub(super) fn group_name(group: &str) -> String {
    format!("{GROUP}{group}")
}

/// The path of a logical volume. Device-mapper doubles dashes inside names.
pub(super) fn volume_path(group: &str, volume: &str) -> String {
    format!("/dev/mapper/{}-{}", group.replace('-', "--"), volume.replace('-', "--"))
}

/// The name of something that was not read, which makes everything above it unknown.
pub(super) fn doubt(what: impl std::fmt::Display) -> String {
    format!("{DOUBT}{what}")
}

impl Lookup<'_> {
    /// The device of a name: a kernel name, a path, `UUID=…`, a volume group, or a doubt.
    pub(super) fn device(&self, name: &str) -> Rc<Device> {
        if let Some(known) = self.devices.known.borrow().get(name) {
            return Rc::clone(known);
        }
        let device = Rc::new(self.find(name));
        self.devices.known.borrow_mut().insert(name.to_owned(), Rc::clone(&device));
        device
    }

    fn find(&self, name: &str) -> Device {
        if let Some(what) = name.strip_prefix(DOUBT) {
            unknown(what, what)
        } else if let Some(group) = name.strip_prefix(GROUP) {
            self.volume_group(group)
        } else if !name.contains(['/', '=']) {
            self.kernel_device(name)
        } else if let Some(kernel) = self.kernel_name(name) {
            self.kernel_device(&kernel)
        } else {
            self.configured(name)
        }
    }

    /// Whether the running kernel's devices are there to be seen.
    pub(super) fn is_live(&self) -> bool {
        self.names().is_some()
    }

    fn names(&self) -> Option<&BTreeSet<String>> {
        let list = || {
            let entries = self.files.list(BLOCK).ok()?;
            Some(entries.into_iter().map(|entry| entry.name).collect())
                .filter(|names: &BTreeSet<_>| !names.is_empty())
        };
        self.devices.names.get_or_init(list).as_ref()
    }

    /// The kernel's name of the device at `path`, links followed.
    pub(super) fn kernel_name(&self, path: &str) -> Option<String> {
        let names = self.names()?;
        let real = real_path(self.files, path);
        let last = real.strip_prefix("/dev/").filter(|name| names.contains(*name)).map(str::to_owned);
        last.or_else(|| self.mapped().get(&mapper_name(path)?).cloned())
    }

    /// The kernel's name of a device number.
    pub(super) fn kernel_name_of(&self, (major, minor): (u32, u32)) -> Option<String> {
        let link = self.files.link(&format!("/sys/dev/block/{major}:{minor}")).ok()?;
        let name = link.rsplit('/').next()?;
        self.names()?.contains(name).then(|| name.to_owned())
    }

    /// Device-mapper names of the running kernel. `/dev/mapper` has them as links; a tree may have only `/sys`.
    fn mapped(&self) -> &BTreeMap<String, String> {
        self.devices.mapped.get_or_init(|| {
            let names = self.names().into_iter().flatten().filter(|name| name.starts_with("dm-"));
            names.filter_map(|name| Some((self.sysfs(name, "dm/name").ok()?, name.clone()))).collect()
        })
    }

    fn sysfs(&self, name: &str, file: &str) -> Result<String, TroubleKind> {
        let text = self.files.text(&format!("{BLOCK}/{name}/{file}"));
        text.map(|text| text.trim_end_matches('\n').to_owned()).map_err(|trouble| trouble.kind)
    }

    fn kernel_device(&self, name: &str) -> Device {
        if !self.names().is_some_and(|names| names.contains(name)) {
            return unknown(name, format!("{name} is not among the block devices of the kernel"));
        }
        let mut device =
            if name.starts_with("dm-") { self.mapped_device(name) } else { self.plain_device(name) };
        if device.layer == Layer::Passes && device.below.is_empty() {
            device.layer = self.disk(name);
        }
        device
    }

    fn mapped_device(&self, name: &str) -> Device {
        let label = self.sysfs(name, "dm/name").unwrap_or_else(|_| name.to_owned());
        let uuid = match self.sysfs(name, "dm/uuid") {
            Ok(uuid) => dm_uuid::classify(&uuid),
            Err(kind) => return unknown(&label, format!("{BLOCK}/{name}/dm/uuid {kind}")),
        };
        match uuid.encryption() {
            Encryption::Software => {
                Device { label: with_kind(&label, &uuid), layer: Layer::Encrypts, below: Vec::new() }
            }
            Encryption::Hardware => Device {
                label: format!("{label} (OPAL)"),
                layer: Layer::EncryptsInHardware,
                below: Vec::new(),
            },
            Encryption::Unknown => unknown(&label, format!("{label} does not say by whom it was set up")),
            Encryption::Passes => self.above_slaves(name, label),
        }
    }

    fn above_slaves(&self, name: &str, label: String) -> Device {
        match self.slaves(name) {
            Ok(below) if below.is_empty() => {
                let why = format!("{label} has no device below it");
                unknown(&label, why)
            }
            Ok(below) => Device { label, layer: Layer::Passes, below },
            Err(device) => device,
        }
    }

    fn slaves(&self, name: &str) -> Result<Vec<String>, Device> {
        match self.files.list(&format!("{BLOCK}/{name}/slaves")) {
            Ok(entries) => Ok(entries.into_iter().map(|entry| entry.name).collect()),
            Err(trouble) if trouble.is_missing() => Ok(Vec::new()),
            Err(trouble) => Err(unknown(name, trouble.to_string())),
        }
    }

    fn plain_device(&self, name: &str) -> Device {
        let label = name.to_owned();
        if let Some(layer) = special(name) {
            return Device { label, layer, below: Vec::new() };
        }
        if let Some(parent) = self.parent(name) {
            return Device { label, layer: Layer::Passes, below: vec![parent] };
        }
        if name.starts_with("md") || name.starts_with("bcache") {
            return self.above_slaves(name, label);
        }
        self.slaves(name).map_or_else(|device| device, |below| Device { label, layer: Layer::Passes, below })
    }

    /// The device a partition is on: the folder above its own.
    fn parent(&self, name: &str) -> Option<String> {
        let link = self.files.link(&format!("{BLOCK}/{name}")).ok()?;
        let parent = link.rsplit('/').nth(1)?;
        self.names()?.contains(parent).then(|| parent.to_owned())
    }

    /// What a device with nothing below it is: a disk of this host or of another.
    fn disk(&self, name: &str) -> Layer {
        let link = match self.files.link(&format!("{BLOCK}/{name}")) {
            Ok(link) => link,
            Err(trouble) => return Layer::Unknown(trouble.to_string()),
        };
        if REMOTE_PATHS.iter().any(|part| link.contains(part)) {
            return Layer::Remote;
        }
        // With several paths to a drive the real path does not tell how it is attached.
        if link.contains("/nvme-subsystem/") && !self.all_nvme_local() {
            return Layer::Unknown(format!("{name} may be attached over a network"));
        }
        Layer::Passes
    }

    fn all_nvme_local(&self) -> bool {
        let controllers = self.files.list("/sys/class/nvme").unwrap_or_default();
        let transport = |name: &str| self.files.text(&format!("/sys/class/nvme/{name}/transport"));
        !controllers.is_empty()
            && controllers.iter().all(|one| transport(&one.name).is_ok_and(|text| text.trim() == "pcie"))
    }

    /// What a path stands for that the running kernel has no device for, by the files that will set it up.
    fn configured(&self, path: &str) -> Device {
        if let Some(uuid) = path.strip_prefix("/dev/disk/by-id/dm-uuid-") {
            return match dm_uuid::classify(uuid).encryption() {
                Encryption::Software => {
                    Device { label: path.to_owned(), layer: Layer::Encrypts, below: Vec::new() }
                }
                Encryption::Hardware => {
                    Device { label: path.to_owned(), layer: Layer::EncryptsInHardware, below: Vec::new() }
                }
                Encryption::Passes | Encryption::Unknown => unknown(path, format!("{path} is not set up")),
            };
        }
        if let Some(name) = mapper_name(path) {
            return self.configured_mapping(path, &name);
        }
        if self.is_live() {
            return unknown(path, format!("{path} is not among the block devices of the kernel"));
        }
        let layer = disk_by_path(path).unwrap_or_else(|| {
            Layer::Unknown(format!("only the running system can tell which device {path} is"))
        });
        Device { label: path.to_owned(), layer, below: Vec::new() }
    }

    fn configured_mapping(&self, path: &str, name: &str) -> Device {
        let label = name.to_owned();
        let entries = self.crypttab.value.as_deref().unwrap_or_default();
        if entries.iter().any(|entry| entry.name == name) {
            let label = format!("{label} (by /etc/crypttab)");
            return Device { label, layer: Layer::Encrypts, below: Vec::new() };
        }
        let Some((group, volume)) = split_volume(name) else {
            return unknown(&label, format!("{path} is in neither /etc/crypttab nor {LVM_BACKUP}"));
        };
        match self.group(&group).as_ref() {
            Err(why) => unknown(&label, why),
            Ok((found, flaw)) => match found.physical_volumes_of(&volume) {
                None => {
                    unknown(&label, format!("{LVM_BACKUP}/{group} does not tell what {volume} is made of"))
                }
                Some(physical) => {
                    let below = physical.into_iter().map(device_of).chain(flaw.iter().map(doubt)).collect();
                    Device { label, layer: Layer::Passes, below }
                }
            },
        }
    }

    /// A whole volume group: its physical volumes, and the logical ones that are active.
    fn volume_group(&self, group: &str) -> Device {
        let label = format!("volume group {group}");
        let mut below: Vec<String> = self.active_volumes(group);
        match self.group(group).as_ref() {
            Ok((found, flaw)) => {
                below.extend(found.physical_volumes.iter().map(device_of));
                below.extend(flaw.iter().map(doubt));
            }
            // The active volumes alone can prove that something is in clear, but not that nothing is.
            Err(why) => below.push(doubt(why)),
        }
        Device { label, layer: Layer::Passes, below }
    }

    fn active_volumes(&self, group: &str) -> Vec<String> {
        if !self.is_live() {
            return Vec::new();
        }
        let is_of_group = |name: &&String| split_volume(name).is_some_and(|(of, _)| of == group);
        let entries = self.files.list("/dev/mapper").unwrap_or_default();
        let linked: Vec<String> =
            entries.into_iter().filter(|entry| entry.kind == Kind::Link).map(|entry| entry.name).collect();
        let names = if linked.is_empty() { self.mapped().keys().cloned().collect() } else { linked };
        names.iter().filter(is_of_group).map(|name| format!("/dev/mapper/{name}")).collect()
    }

    fn group(&self, group: &str) -> Rc<Group> {
        if let Some(known) = self.devices.groups.borrow().get(group) {
            return Rc::clone(known);
        }
        let read = Rc::new(self.read_group(group));
        self.devices.groups.borrow_mut().insert(group.to_owned(), Rc::clone(&read));
        read
    }

    fn read_group(&self, group: &str) -> Group {
        if group.is_empty() || !group.chars().all(is_lvm_name) || group.starts_with('.') {
            return Err("the name of the volume group is malformed".to_owned());
        }
        let path = format!("{LVM_BACKUP}/{group}");
        let text = self.files.text(&path).map_err(|trouble| trouble.to_string())?;
        let Parsed { value, issues } = lvm_backup::parse(&text);
        let flaw = issues.first().map(|issue| format!("{path}:{}: {}", issue.line, issue.what));
        let found = value.into_iter().find(|found| found.name == group);
        match found {
            Some(found) if !found.physical_volumes.is_empty() => Ok((found, flaw)),
            _ => Err(flaw.unwrap_or_else(|| format!("{path} does not tell the disks of {group}"))),
        }
    }
}

fn unknown(label: &str, why: impl Into<String>) -> Device {
    Device { label: label.to_owned(), layer: Layer::Unknown(why.into()), below: Vec::new() }
}

fn with_kind(label: &str, uuid: &DmUuid) -> String {
    match uuid {
        DmUuid::Crypt(dm_uuid::Crypt::Software(kind)) => format!("{label} ({kind})"),
        _ => label.to_owned(),
    }
}

/// Devices of the kernel that are neither a disk nor made of others it names.
fn special(name: &str) -> Option<Layer> {
    let unknown = |why: &str| Some(Layer::Unknown(format!("{name} {why}")));
    let is = |prefix: &str| {
        name.strip_prefix(prefix).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    match name {
        _ if is("zram") || is("ram") => unknown("is memory"),
        _ if is("loop") => unknown("is a file of another file system"),
        _ if is("zd") => unknown("is a volume of ZFS"),
        _ if is("drbd") => unknown("is shared with another machine"),
        _ if is("rbd") || is("nbd") => Some(Layer::Remote),
        _ => None,
    }
}

/// A disk or partition by its name, without the running system. A disk of a SAN looks like any other.
fn disk_by_path(path: &str) -> Option<Layer> {
    if path.starts_with("/dev/disk/by-path/") && (path.contains("-iscsi-") || path.contains("-fc-")) {
        return Some(Layer::Remote);
    }
    if ["/dev/disk/by-id/", "/dev/disk/by-path/", "/dev/disk/by-partuuid/", "PARTUUID="]
        .iter()
        .any(|start| path.starts_with(start))
    {
        let hides_more = ["/dev/disk/by-id/md-", "/dev/disk/by-id/dm-", "/dev/disk/by-id/lvm-"];
        return Some(Layer::Passes).filter(|_| !hides_more.iter().any(|start| path.starts_with(start)));
    }
    let name = path.strip_prefix("/dev/")?;
    let lettered = ["sd", "hd", "vd", "xvd"].iter().any(|prefix| {
        name.strip_prefix(prefix).is_some_and(|rest| {
            rest.starts_with(|c: char| c.is_ascii_lowercase())
                && rest.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        })
    });
    let numbered = ["nvme", "mmcblk"].iter().any(|prefix| {
        name.strip_prefix(prefix).is_some_and(|rest| {
            rest.starts_with(|c: char| c.is_ascii_digit()) && rest.chars().all(char::is_alphanumeric)
        })
    });
    (lettered || numbered).then_some(Layer::Passes)
}

/// The path or id of the device LVM wrote down for a physical volume.
fn device_of(physical: &lvm_backup::PhysicalVolume) -> String {
    match (physical.device_id_type.as_deref(), &physical.device_id, &physical.device) {
        (Some("crypt_uuid"), Some(uuid), _) => format!("/dev/disk/by-id/dm-uuid-{uuid}"),
        (_, _, Some(device)) if device.starts_with('/') => device.clone(),
        _ => doubt(format_args!("LVM did not know the device of {}", physical.name)),
    }
}

/// The device-mapper name a path stands for: `/dev/mapper/NAME` or `/dev/GROUP/VOLUME`.
fn mapper_name(path: &str) -> Option<String> {
    let rest = path.strip_prefix("/dev/")?;
    if let Some(name) = rest.strip_prefix("disk/by-id/dm-name-") {
        return Some(name.to_owned());
    }
    let (folder, name) = rest.split_once('/')?;
    if name.is_empty() || name.contains('/') {
        return None;
    }
    match folder {
        "mapper" => Some(name.to_owned()),
        "disk" | "md" | "zvol" | "rbd" | "block" => None,
        group => volume_path(group, name).strip_prefix("/dev/mapper/").map(str::to_owned),
    }
}

/// Volume group and logical volume of a device-mapper name: they are separated by a single dash.
fn split_volume(name: &str) -> Option<(String, String)> {
    let bytes = name.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if *byte != b'-' {
            at += 1;
        } else if bytes.get(at + 1) == Some(&b'-') {
            at += 2;
        } else {
            let plain = |part: &str| part.replace("--", "-");
            let (group, volume) = (name.get(..at)?, name.get(at + 1..)?);
            return Some((plain(group), plain(volume))).filter(|_| !group.is_empty() && !volume.is_empty());
        }
    }
    None
}

fn is_lvm_name(each: char) -> bool {
    each.is_ascii_alphanumeric() || matches!(each, '+' | '_' | '.' | '-')
}

/// `path` with every link in it followed, as far as it exists.
pub(super) fn real_path(files: &Files, path: &str) -> String {
    let mut done: Vec<String> = Vec::new();
    let mut open: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
    let mut links = 0;
    while let Some(part) = open.pop() {
        match part.as_str() {
            "" | "." => continue,
            ".." => {
                done.pop();
                continue;
            }
            _ => done.push(part),
        }
        let here = format!("/{}", done.join("/"));
        if links < MAX_LINKS
            && let Ok(target) = files.link(&here)
        {
            links += 1;
            done.pop();
            if target.starts_with('/') {
                done.clear();
            }
            open.extend(target.rsplit('/').map(str::to_owned));
        }
    }
    format!("/{}", done.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Node, Tree};
    use proptest::prelude::*;

    #[test]
    fn dashes_inside_names_are_doubled() {
        assert_eq!(volume_path("my-vg", "vm-100-disk-0"), "/dev/mapper/my--vg-vm--100--disk--0");
        let split = |name| split_volume(name).map(|(group, volume)| format!("{group}|{volume}"));
        assert_eq!(split("my--vg-vm--100--disk--0").as_deref(), Some("my-vg|vm-100-disk-0"));
        assert_eq!(split("pve-root").as_deref(), Some("pve|root"));
        for none in ["sda3_crypt", "a--b", "-x", "x-", ""] {
            assert_eq!(split(none), None, "{none}");
        }
    }

    #[test]
    fn a_path_below_a_volume_group_is_its_mapping() {
        assert_eq!(mapper_name("/dev/pve/root").as_deref(), Some("pve-root"));
        assert_eq!(mapper_name("/dev/mapper/pve-root").as_deref(), Some("pve-root"));
        assert_eq!(mapper_name("/dev/disk/by-id/dm-name-luks").as_deref(), Some("luks"));
        for none in ["/dev/sda3", "/dev/disk/by-uuid/x", "/dev/md/0", "/dev/zvol/a", "/srv/a"] {
            assert_eq!(mapper_name(none), None, "{none}");
        }
    }

    #[test]
    fn only_disks_and_partitions_are_disks_by_their_path() {
        for disk in [
            "/dev/sda",
            "/dev/sdab12",
            "/dev/nvme0n1p3",
            "/dev/vda1",
            "/dev/disk/by-id/ata-X-part3",
            "PARTUUID=1",
        ] {
            assert_eq!(disk_by_path(disk), Some(Layer::Passes), "{disk}");
        }
        for other in [
            "/dev/md0",
            "/dev/dm-3",
            "UUID=1",
            "/dev/disk/by-uuid/1",
            "/dev/disk/by-id/dm-uuid-x",
            "/dev/loop0",
            "/dev/sd",
            "/srv",
        ] {
            assert_eq!(disk_by_path(other), None, "{other}");
        }
        assert_eq!(disk_by_path("/dev/disk/by-path/ip-192.0.2.1:3260-iscsi-iqn-lun-0"), Some(Layer::Remote));
    }

    #[test]
    fn links_in_a_path_are_followed_and_rings_end() {
        let mut tree = Tree::default();
        tree.insert("/dev/pve/root", Node::link("../dm-1"));
        tree.insert("/data", Node::link("/mnt/big"));
        tree.insert("/ring", Node::link("/ring"));
        let files = Files::memory(tree);
        assert_eq!(real_path(&files, "/dev/pve/root"), "/dev/dm-1");
        assert_eq!(real_path(&files, "/data/vz/"), "/mnt/big/vz");
        assert_eq!(real_path(&files, "/a/../b/./c"), "/b/c");
        assert_eq!(real_path(&files, "/ring"), "/ring");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn group_and_volume_come_back_from_the_mapping(group in "[a-z][a-z-]{0,6}[a-z]", volume in "[a-z][a-z-]{0,6}[a-z]") {
            let path = volume_path(&group, &volume);
            let name = path.strip_prefix("/dev/mapper/").unwrap();
            prop_assert_eq!(split_volume(name), Some((group, volume)));
        }
    }
}
