//! Typed views of the options of a container.

use std::net::IpAddr;

use super::lxc::{LxcSection, RawKey};
use super::{GuestOption, Source, tags};
use crate::formats::Located;
use crate::formats::perl::{is_digits, is_space, is_true};
use crate::formats::property_string::Properties;

/// The first host id of the map upstream uses for an unprivileged container without a map of its own.
pub const DEFAULT_MAP_START: u64 = 100_000;

/// How many ids that map holds.
pub const DEFAULT_MAP_LENGTH: u64 = 65_536;

/// Which host user root of a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HostId {
    /// This host id; 0 is root of the node.
    Id(u64),
    /// None: the container has a map that leaves id 0 out.
    Unmapped,
    /// Unknown: a line of the map is malformed, and upstream refuses to start the container.
    Unreadable,
}

/// The id map of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdMap {
    /// No user namespace: every id is the same on the node.
    None,
    /// Upstream's own map, 65536 ids from 100000 on.
    Default,
    /// `lxc.idmap` lines. Such a line makes a user namespace even without `unprivileged`.
    Custom(Vec<IdMapEntry>),
}

/// One `lxc.idmap` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMapEntry {
    /// Line in the file, counted from 1.
    pub line: u32,
    /// What it maps, or `None` if the line is malformed.
    pub range: Option<IdRange>,
}

/// A range of ids mapped from a container (or a disk) to others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    /// Whether these are group ids.
    pub is_group: bool,
    /// The first id in the container.
    pub container: u64,
    /// The first id on the node; for a mount point, on the disk.
    pub host: u64,
    /// How many ids.
    pub length: u64,
}

impl IdRange {
    /// Whether the range maps to id 0 on the node (or disk).
    pub fn touches_host_root(&self) -> bool {
        self.host == 0 && self.length > 0
    }
}

/// Switches of `features`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Features {
    /// Line in the file, counted from 1.
    pub line: u32,
    /// Containers inside the container.
    pub nesting: bool,
    /// The `keyctl` system call.
    pub keyctl: bool,
    /// File systems in user space.
    pub fuse: bool,
    /// Device nodes made by a helper on the node.
    pub mknod: bool,
    /// A writable `/sys`.
    pub force_rw_sys: bool,
    /// Types of file systems root of the container may mount.
    pub mount: Vec<String>,
}

/// A mount point (`mpN`) or the root file system (`rootfs`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountPoint {
    /// The name of the option.
    pub option: String,
    /// Line in the file, counted from 1.
    pub line: u32,
    /// What is mounted: a volume, a device or a path of the node.
    pub source: Source,
    /// Where, inside the container.
    pub target: String,
    /// Whether it is read-only; upstream's default is no.
    pub read_only: bool,
    /// Whether a backup holds it: the root file system always, volumes if they say so, all others never.
    pub in_backup: bool,
    /// Whether the administrator says every node has it.
    pub shared: bool,
    /// Extra mount options.
    pub mount_options: Vec<String>,
    /// Ids mapped on this mount point only.
    pub ids: MountIds,
}

impl MountPoint {
    /// Whether a path of the node (and not a volume or device) is mounted.
    pub fn is_bind(&self) -> bool {
        matches!(self.source, Source::Path(_))
    }
}

/// The id map of a mount point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MountIds {
    /// That of the container.
    OfContainer,
    /// Every id in the container is the same on the disk.
    Passthrough,
    /// These ranges.
    Ranges(Vec<IdRange>),
}

impl MountIds {
    /// Whether some id in the container acts as user or group 0 on the mount point.
    pub fn touches_root(&self) -> bool {
        match self {
            Self::OfContainer => false,
            Self::Passthrough => true,
            Self::Ranges(ranges) => ranges.iter().any(IdRange::touches_host_root),
        }
    }
}

/// A device of the node passed to a container, `devN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The name of the option.
    pub option: String,
    /// Line in the file, counted from 1.
    pub line: u32,
    /// The path on the node.
    pub path: String,
    /// The mode of the node in the container, as written (`0666`).
    pub mode: Option<String>,
    /// The owner in the container.
    pub uid: Option<u64>,
    /// The group in the container.
    pub gid: Option<u64>,
    /// Whether writing is denied; upstream's default is no.
    pub deny_write: bool,
}

/// A virtual network device of a container, `netN`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CtNic {
    /// The name of the option.
    pub option: String,
    /// Line in the file, counted from 1.
    pub line: u32,
    /// The name of the device in the container.
    pub name: String,
    /// The bridge or virtual network.
    pub bridge: Option<String>,
    /// The VLAN tag.
    pub tag: Option<u16>,
    /// The VLANs the container may tag itself.
    pub trunks: Vec<String>,
    /// Whether the rules of the guest firewall apply to it; upstream's default is no.
    pub firewall: bool,
    /// Whether its link is down.
    pub link_down: bool,
    /// The MAC address.
    pub mac: Option<String>,
    /// `ip` and `ip6`, as far as they are addresses.
    pub addresses: Vec<IpAddr>,
}

/// The address of `ADDRESS[/PREFIX]`.
fn address(text: &str) -> Option<IpAddr> {
    text.split('/').next()?.parse().ok()
}

/// One `lxc.mount.entry` line, in the form of fstab. Credentials are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountEntry {
    /// Line in the file, counted from 1.
    pub line: u32,
    /// What is mounted.
    pub source: String,
    /// Where, relative to the root of the container.
    pub target: String,
    /// The type of file system.
    pub file_system: String,
    /// The mount options.
    pub options: Vec<String>,
}

impl MountEntry {
    /// Whether a file or folder of the node is bound in.
    pub fn is_bind(&self) -> bool {
        self.options.iter().any(|option| matches!(option.as_str(), "bind" | "rbind"))
    }

    /// Whether it is read-only: the last of `ro` and `rw` counts.
    pub fn is_read_only(&self) -> bool {
        self.options
            .iter()
            .rfind(|option| matches!(option.as_str(), "ro" | "rw"))
            .is_some_and(|last| last == "ro")
    }
}

/// A device access rule: `lxc.cgroup2.devices.allow` or its predecessor, which LXC ignores on a current node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceRule {
    /// The rule: `a`, or a type, `major:minor` and access letters.
    pub value: String,
    /// Whether it is a key of the old hierarchy (`lxc.cgroup.`).
    pub is_old: bool,
    /// Line in the file, counted from 1.
    pub line: u32,
}

impl LxcSection {
    /// A boolean option as upstream takes it: a bad value is kept, and everything but `0` is true. `None` if it is
    /// not set.
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.text(name).map(is_true)
    }

    /// A property string taken apart, if it is well-formed.
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

    /// Whether `unprivileged` is set and true; upstream's default is no. See [`LxcSection::id_map`] for what counts.
    pub fn says_unprivileged(&self) -> bool {
        self.flag("unprivileged").unwrap_or(false)
    }

    /// The id map the container starts with.
    pub fn id_map(&self) -> IdMap {
        let entries: Vec<_> = self.raw_keys("lxc.idmap").map(id_map_entry).collect();
        match (entries.is_empty(), self.says_unprivileged()) {
            (false, _) => IdMap::Custom(entries),
            (true, true) => IdMap::Default,
            (true, false) => IdMap::None,
        }
    }

    /// The host user that root of the container is. If several lines map it, the lowest.
    pub fn host_uid_of_root(&self) -> HostId {
        match self.id_map() {
            IdMap::None => HostId::Id(0),
            IdMap::Default => HostId::Id(DEFAULT_MAP_START),
            IdMap::Custom(entries) => {
                let ranges: Option<Vec<_>> = entries.iter().map(|entry| entry.range).collect();
                let Some(ranges) = ranges else { return HostId::Unreadable };
                let of_root =
                    ranges.iter().filter(|range| !range.is_group && range.container == 0 && range.length > 0);
                of_root.map(|range| range.host).min().map_or(HostId::Unmapped, HostId::Id)
            }
        }
    }

    /// Whether root of the container is root of the node.
    pub fn is_privileged(&self) -> bool {
        self.host_uid_of_root() == HostId::Id(0)
    }

    /// The name of the container: untrusted text.
    pub fn hostname(&self) -> Option<Located<String>> {
        self.located("hostname")
    }

    /// The tags of the guest: untrusted text.
    pub fn tags(&self) -> Vec<Located<String>> {
        tags(self.options.get("tags"))
    }

    /// Whether the guest is a template; upstream's default is no.
    pub fn is_template(&self) -> bool {
        self.flag("template").unwrap_or(false)
    }

    /// Whether the guest and its volumes cannot be removed; upstream's default is no.
    pub fn is_protected(&self) -> bool {
        self.flag("protection").unwrap_or(false)
    }

    /// Whether the guest starts with the node; upstream's default is no.
    pub fn starts_on_boot(&self) -> bool {
        self.flag("onboot").unwrap_or(false)
    }

    /// Whether the console is a root shell without login (`cmode: shell`).
    pub fn console_is_a_shell(&self) -> bool {
        self.text("cmode") == Some("shell")
    }

    /// The volume id of a script that runs as root on the node.
    pub fn hookscript(&self) -> Option<Located<String>> {
        self.located("hookscript")
    }

    /// The features; all off if there are none.
    pub fn features(&self) -> Features {
        let (Some(parts), Some(line)) = (self.properties("features"), self.line_of("features")) else {
            return Features::default();
        };
        let flag = |name| parts.flag(name).unwrap_or(false);
        Features {
            line,
            nesting: flag("nesting"),
            keyctl: flag("keyctl"),
            fuse: flag("fuse"),
            mknod: flag("mknod"),
            force_rw_sys: flag("force_rw_sys"),
            mount: parts.list("mount").into_iter().map(|each| each.trim().to_owned()).collect(),
        }
    }

    fn taken_apart(&self, letters: &'static str) -> impl Iterator<Item = (String, u32, &Properties)> {
        let parts = move |(index, option): (u32, &'_ GuestOption)| (format!("{letters}{index}"), option.line);
        self.family(letters)
            .into_iter()
            .filter_map(move |member| {
                member.1.properties.as_ref().map(|properties| (parts(member), properties))
            })
            .map(|((name, line), properties)| (name, line, properties))
    }

    /// The root file system.
    pub fn root_file_system(&self) -> Option<MountPoint> {
        let parts = self.properties("rootfs")?;
        Some(mount_point("rootfs".to_owned(), self.line_of("rootfs")?, parts))
    }

    /// The mount points, without the root file system.
    pub fn mount_points(&self) -> Vec<MountPoint> {
        self.taken_apart("mp").map(|(option, line, parts)| mount_point(option, line, parts)).collect()
    }

    /// The volumes that are kept but not mounted.
    pub fn unused(&self) -> Vec<(Located<String>, Source)> {
        let volume = |(option, line, parts): (String, u32, &Properties)| {
            (Located::new(option, line), Source::of(parts.get("volume").unwrap_or_default()))
        };
        self.taken_apart("unused").map(volume).collect()
    }

    /// The devices of the node passed to the container.
    pub fn devices(&self) -> Vec<Device> {
        let device = |(option, line, parts): (String, u32, &Properties)| {
            parts.get("path").map(|path| Device {
                option,
                line,
                path: path.to_owned(),
                mode: parts.get("mode").map(str::to_owned),
                uid: parts.number("uid"),
                gid: parts.number("gid"),
                deny_write: parts.flag("deny-write").unwrap_or(false),
            })
        };
        self.taken_apart("dev").filter_map(device).collect()
    }

    /// The virtual network devices.
    pub fn nics(&self) -> Vec<CtNic> {
        let nic = |(option, line, parts): (String, u32, &Properties)| CtNic {
            option,
            line,
            name: parts.get("name").unwrap_or_default().to_owned(),
            bridge: parts.get("bridge").map(str::to_owned),
            tag: parts.get("tag").and_then(|tag| tag.trim_start_matches('+').parse().ok()),
            trunks: parts.list("trunks").into_iter().map(str::to_owned).collect(),
            firewall: parts.flag("firewall").unwrap_or(false),
            link_down: parts.flag("link_down").unwrap_or(false),
            mac: parts.get("hwaddr").map(str::to_owned),
            addresses: ["ip", "ip6"].into_iter().filter_map(|key| address(parts.get(key)?)).collect(),
        };
        self.taken_apart("net").map(nic).collect()
    }

    /// The `AppArmor` profile set by hand: the last raw key wins, old name or new.
    pub fn apparmor_profile(&self) -> Option<&RawKey> {
        self.raw.iter().rfind(|raw| matches!(raw.name.as_str(), "lxc.apparmor.profile" | "lxc.aa_profile"))
    }

    /// The `lxc.cap.drop` lines in order. An empty value clears the list of capabilities dropped so far,
    /// upstream's and LXC's own included.
    pub fn dropped_capabilities(&self) -> impl Iterator<Item = &RawKey> {
        self.raw_keys("lxc.cap.drop")
    }

    /// Whether some `lxc.cap.drop` line is empty, so that the capabilities LXC drops by default are kept.
    pub fn clears_dropped_capabilities(&self) -> bool {
        self.dropped_capabilities().any(|raw| raw.value.is_empty())
    }

    /// The device access rules added by hand, in order.
    pub fn allowed_devices(&self) -> Vec<DeviceRule> {
        let rule = |raw: &RawKey| match raw.name.as_str() {
            "lxc.cgroup2.devices.allow" => {
                Some(DeviceRule { value: raw.value.clone(), is_old: false, line: raw.line })
            }
            "lxc.cgroup.devices.allow" => {
                Some(DeviceRule { value: raw.value.clone(), is_old: true, line: raw.line })
            }
            _ => None,
        };
        self.raw.iter().filter_map(rule).collect()
    }

    /// The mounts added by hand, past all checks of mount points.
    pub fn mount_entries(&self) -> Vec<MountEntry> {
        self.raw_keys("lxc.mount.entry").map(mount_entry).collect()
    }
}

fn mount_point(option: String, line: u32, parts: &Properties) -> MountPoint {
    let source = Source::of(parts.get("volume").unwrap_or_default());
    let is_root = option == "rootfs";
    let is_volume = source.host_path().is_none();
    MountPoint {
        target: if is_root { "/".to_owned() } else { parts.get("mp").unwrap_or_default().to_owned() },
        read_only: parts.flag("ro").unwrap_or(false),
        in_backup: is_root || (is_volume && parts.flag("backup").unwrap_or(false)),
        shared: parts.flag("shared").unwrap_or(false),
        mount_options: parts.list("mountoptions").into_iter().map(str::to_owned).collect(),
        ids: mount_ids(parts.get("idmap")),
        option,
        line,
        source,
    }
}

fn mount_ids(text: Option<&str>) -> MountIds {
    match text {
        None => MountIds::OfContainer,
        Some("passthrough") => MountIds::Passthrough,
        Some(ranges) => {
            MountIds::Ranges(ranges.split(';').filter_map(|entry| id_range(entry.split(':'))).collect())
        }
    }
}

/// `^([ug])\s+(\d+)\s+(\d+)\s+(\d+)\s*$`; upstream refuses to start a container with a line of another form.
fn id_map_entry(raw: &RawKey) -> IdMapEntry {
    let words = raw.value.split(is_space).filter(|word| !word.is_empty());
    IdMapEntry { line: raw.line, range: id_range(words) }
}

fn id_range<'a>(words: impl Iterator<Item = &'a str>) -> Option<IdRange> {
    let words: Vec<&str> = words.collect();
    let &[kind, container, host, length] = words.as_slice() else { return None };
    let number = |text: &str| if is_digits(text) { text.parse().ok() } else { None };
    let is_group = match kind {
        "u" => false,
        "g" => true,
        _ => return None,
    };
    Some(IdRange { is_group, container: number(container)?, host: number(host)?, length: number(length)? })
}

fn mount_entry(raw: &RawKey) -> MountEntry {
    let mut words = raw.value.split(is_space).filter(|word| !word.is_empty());
    let mut next = || words.next().unwrap_or_default().to_owned();
    let (source, target, file_system, options) = (next(), next(), next(), next());
    let options = options.split(',').filter(|option| !option.is_empty()).map(str::to_owned).collect();
    MountEntry { line: raw.line, source, target, file_system, options }
}
