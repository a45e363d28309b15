//! Encryption at rest: on which devices data lies and whether they are encrypted.
//!
//! Of the running host the kernel's own device tree is asked (`/sys/class/block`, `/proc/1/mountinfo`). A tree without
//! it, and a volume that is not active, is answered from what LVM and the administrator wrote down
//! (`/etc/lvm/backup`, `/etc/crypttab`, `/etc/fstab`, mount units). What only the running system can tell is unknown.

mod devices;
pub mod graph;
#[cfg(test)]
mod tests;

use std::cell::OnceCell;

use super::{Doubt, Fact, Gather, Host, Stop};
use crate::formats::crypttab;
use crate::formats::proc_swaps::{self, Swap};
use crate::formats::storage_cfg::Storage;
use crate::formats::systemd_conf;
use crate::formats::zfs_list_cache;

pub use graph::{AtRest, Class};

use devices::{Lookup, doubt, group_name, real_path, volume_path};

/// What is decrypted at boot.
pub const CRYPTTAB: &str = "/etc/crypttab";

/// The swap space in use.
pub const SWAPS: &str = "/proc/swaps";

/// Where administrators, and the web interface for a new folder storage, put mount units.
const UNITS: &str = "/etc/systemd/system";

/// The pools that are imported at boot.
const ZPOOL_CACHE: &str = "/etc/zfs/zpool.cache";

/// The file systems of ZFS by pool, if an administrator has them listed.
const ZFS_LISTS: &str = "/etc/zfs/zfs-list.cache";

/// Storage types whose data is on another machine, and the property that names it.
const REMOTE_STORAGES: [(&str, &str); 10] = [
    ("cephfs", "monhost"),
    ("cifs", "server"),
    ("esxi", "server"),
    ("glusterfs", "server"),
    ("iscsi", "portal"),
    ("iscsidirect", "portal"),
    ("nfs", "server"),
    ("pbs", "server"),
    ("rbd", "monhost"),
    ("zfs", "portal"),
];

/// File systems whose data is on another machine.
const REMOTE_FILE_SYSTEMS: [&str; 9] =
    ["9p", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.sshfs", "nfs", "nfs4", "smb3"];

/// File systems that lie on one block device, or, as btrfs, on several.
const BTRFS: &str = "btrfs";

#[derive(Default)]
pub(super) struct Facts {
    crypttab: OnceCell<Fact<Vec<crypttab::Entry>>>,
    swaps: OnceCell<Fact<Option<Vec<Swap>>>>,
    planned: OnceCell<Fact<Vec<Mounted>>>,
    devices: devices::Devices,
}

/// Something that is mounted, or will be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mounted {
    source: String,
    target: String,
    fs_type: String,
    /// The device number of the running kernel.
    number: Option<(u32, u32)>,
}

impl Host {
    /// `/etc/crypttab`. Without the file nothing is decrypted at boot.
    pub fn crypttab(&self) -> &Fact<Vec<crypttab::Entry>> {
        self.encryption.crypttab.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let Some(text) = gather.optional(CRYPTTAB)? else { return Ok(Vec::new()) };
                Ok(gather.parsed(CRYPTTAB, crypttab::parse(&text)))
            })
        })
    }

    /// The swap space in use; `None` in a tree without `/proc`.
    pub fn swaps(&self) -> &Fact<Option<Vec<Swap>>> {
        self.encryption.swaps.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let Some(text) = gather.optional(SWAPS)? else { return Ok(None) };
                if text.trim().is_empty() {
                    gather.doubt(Doubt::about(SWAPS, "is empty although the kernel always writes a header"));
                }
                Ok(Some(gather.parsed(SWAPS, proc_swaps::parse(&text))))
            })
        })
    }

    /// How the data of a storage lies on its disks, as far as this node can tell.
    pub fn at_rest(&self, storage: &Storage) -> Fact<AtRest> {
        Fact::gather(&self.files, |gather| self.storage_at_rest(gather, storage))
    }

    /// How the data of a block device lies on its disks.
    pub fn device_at_rest(&self, path: &str) -> AtRest {
        self.trace(&[path.to_owned()])
    }

    /// How the data below an absolute path lies on its disks.
    pub fn path_at_rest(&self, path: &str) -> Fact<AtRest> {
        Fact::gather(&self.files, |gather| self.below_path(gather, path, None))
    }

    /// What people call the device at `path`: `/dev/mapper/pve-swap` for `/dev/dm-1`.
    pub fn device_name(&self, path: &str) -> String {
        let label = self.lookup().device(path).label.clone();
        let name = label.split(' ').next().unwrap_or_default();
        if path.starts_with("/dev/dm-") && !name.starts_with("dm-") && !name.starts_with('/') {
            return format!("/dev/mapper/{name}");
        }
        path.to_owned()
    }

    fn lookup(&self) -> Lookup<'_> {
        Lookup { files: &self.files, devices: &self.encryption.devices, crypttab: self.crypttab() }
    }

    fn trace(&self, starts: &[String]) -> AtRest {
        let lookup = self.lookup();
        graph::trace(starts, |name| lookup.device(name))
    }

    fn storage_at_rest(&self, gather: &mut Gather<'_>, storage: &Storage) -> Result<AtRest, Stop> {
        let kind = storage.kind.as_str();
        let text = |name| storage.text(name).unwrap_or_default();
        if let Some((_, property)) = REMOTE_STORAGES.iter().find(|(remote, _)| *remote == kind) {
            let machine = if text(property).is_empty() { "of its own configuration" } else { text(property) };
            return Ok(AtRest::new(Class::RemoteUnverified, format!("{kind} {machine}")));
        }
        Ok(match kind {
            "dir" | BTRFS => {
                let path = storage.path().unwrap_or_default();
                let guard = storage.text("is_mountpoint").filter(|_| storage.guards_mount_point());
                let guard = guard.map(|guard| if guard.starts_with('/') { guard } else { path });
                return self.below_path(gather, path, guard);
            }
            "lvmthin" => self.trace(&[volume_path(text("vgname"), text("thinpool"))]),
            "lvm" => self.group_at_rest(text("vgname"), storage.text("base")),
            "zfspool" => self.dataset(text("pool")),
            other => AtRest::unknown(format!("where a storage of type {other} keeps its data is not known")),
        })
    }

    fn group_at_rest(&self, group: &str, base: Option<&str>) -> AtRest {
        let found = self.trace(&[group_name(group)]);
        match base {
            // Without the running system a disk of the SAN looks like a disk of the host.
            Some(base) if !self.lookup().is_live() => {
                AtRest::new(Class::RemoteUnverified, format!("volume group {group} on {base}"))
            }
            _ => found,
        }
    }

    /// `guard` is where something must be mounted for the path to be used at all.
    fn below_path(&self, gather: &mut Gather<'_>, path: &str, guard: Option<&str>) -> Result<AtRest, Stop> {
        let mounted = match self.mounted_at(gather, path)? {
            Ok(mounted) => mounted,
            Err(why) => return Ok(AtRest::unknown(why)),
        };
        if guard.is_some_and(|guard| real_path(&self.files, guard) != mounted.target) {
            return Ok(AtRest::unknown(format!("nothing is mounted at {}", guard.unwrap_or(path))));
        }
        Ok(self.mount_at_rest(&mounted))
    }

    /// Whether a path is on the root file system, as far as that can be told.
    pub(super) fn is_on_root(&self, gather: &mut Gather<'_>, path: &str) -> Result<bool, Stop> {
        Ok(self.mounted_at(gather, path)?.is_ok_and(|mounted| mounted.target == "/"))
    }

    /// What is mounted where a path is, or why that is not known.
    fn mounted_at(&self, gather: &mut Gather<'_>, path: &str) -> Result<Result<Mounted, String>, Stop> {
        let real = real_path(&self.files, path);
        let running = gather.take(self.mounts())?;
        let mounted = match running {
            Some(table) => table.covering(&real).map(|mount| Mounted {
                source: mount.source.clone(),
                target: mount.target.clone(),
                fs_type: mount.fs_type.clone(),
                number: Some(mount.device).filter(|(major, _)| *major != 0),
            }),
            None => covering(gather.take(self.planned_mounts())?, &real).cloned(),
        };
        let Some(mounted) = mounted else {
            return Ok(Err(format!("what is mounted at {path} is not known")));
        };
        let only_root = running.is_none() && mounted.target == "/" && !real.starts_with("/var/lib/");
        if only_root && real != "/" && self.files.stat(ZPOOL_CACHE).is_ok() {
            return Ok(Err(format!("{path} may be a file system of ZFS, which mounts by itself")));
        }
        Ok(Ok(mounted))
    }

    fn mount_at_rest(&self, mounted: &Mounted) -> AtRest {
        let Mounted { source, fs_type, target, .. } = mounted;
        if REMOTE_FILE_SYSTEMS.contains(&fs_type.as_str()) {
            return AtRest::new(Class::RemoteUnverified, format!("{target}: {fs_type} {source}"));
        }
        if fs_type == "zfs" {
            return self.dataset(source);
        }
        if fs_type == BTRFS {
            return self.trace(&self.btrfs_devices(source));
        }
        let lookup = self.lookup();
        let by_number = mounted.number.and_then(|number| lookup.kernel_name_of(number));
        match by_number {
            Some(name) => self.trace(&[name]),
            None if source.starts_with("/dev/") || source.contains('=') => {
                self.trace(std::slice::from_ref(source))
            }
            None => AtRest::unknown(format!("a file system of type {fs_type} has no device to follow")),
        }
    }

    /// Every device of the file system that one of its devices is mounted from.
    fn btrfs_devices(&self, source: &str) -> Vec<String> {
        let Some(name) = self.lookup().kernel_name(source) else {
            let more =
                doubt(format_args!("only the running system can tell all devices of the btrfs on {source}"));
            return vec![source.to_owned(), more];
        };
        for system in self.files.list("/sys/fs/btrfs").unwrap_or_default() {
            let members =
                self.files.list(&format!("/sys/fs/btrfs/{}/devices", system.name)).unwrap_or_default();
            if members.iter().any(|member| member.name == name) {
                return members.into_iter().map(|member| member.name).collect();
            }
        }
        let more = doubt(format_args!("the devices of the btrfs on {name} are not known"));
        vec![name, more]
    }

    /// How a dataset of ZFS is encrypted, by the lists an administrator may have enabled. Volumes inherit from the
    /// file system they are in.
    fn dataset(&self, name: &str) -> AtRest {
        let pool = name.split('/').next().unwrap_or_default();
        let path = format!("{ZFS_LISTS}/{pool}");
        let unknown = |why: &str| AtRest::unknown(format!("dataset {name}: {path} {why}"));
        let is_name = |each: char| each.is_ascii_alphanumeric() || "-_.: ".contains(each);
        if pool.is_empty() || pool.starts_with('.') || !pool.chars().all(is_name) {
            return AtRest::unknown("the name of the ZFS pool is malformed");
        }
        let text = match self.files.text(&path) {
            Ok(text) => text,
            Err(trouble) => return unknown(&trouble.kind.to_string()),
        };
        let list = zfs_list_cache::parse(&text);
        let Some(dataset) = list.value.get(name).filter(|_| list.issues.is_empty()) else {
            return unknown("does not list it whole");
        };
        let line = dataset.line;
        match &dataset.encryption_root {
            Some(root) => AtRest::new(
                Class::Encrypted,
                format!("ZFS dataset {name}, encrypted by {root} ({path}:{line})"),
            ),
            // The disks of the pool may be encrypted themselves.
            None if self.nothing_is_decrypted() => {
                AtRest::new(Class::NotEncrypted, format!("ZFS dataset {name} ({path}:{line})"))
            }
            None => AtRest::unknown(format!(
                "dataset {name} is not encrypted by ZFS; whether its disks are is not known"
            )),
        }
    }

    fn nothing_is_decrypted(&self) -> bool {
        let crypttab = self.crypttab();
        crypttab.doubts.is_empty()
            && crypttab.value.as_ref().is_ok_and(Vec::is_empty)
            && !self.lookup().is_live()
    }

    /// What `/etc/fstab` and mount units will mount, for a tree without `/proc`.
    fn planned_mounts(&self) -> &Fact<Vec<Mounted>> {
        self.encryption.planned.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let fstab = gather.take(self.fstab())?;
                let entries =
                    fstab.iter().filter(|entry| entry.target.starts_with('/')).map(|entry| Mounted {
                        source: entry.source.clone(),
                        target: entry.target.clone(),
                        fs_type: entry.fs_type.clone(),
                        number: None,
                    });
                let mut planned: Vec<Mounted> = entries.collect();
                planned.extend(mount_units(gather));
                Ok(planned)
            })
        })
    }
}

fn mount_units(gather: &mut Gather<'_>) -> Vec<Mounted> {
    let mut mounts = Vec::new();
    for entry in gather.folder(UNITS).into_iter().filter(|entry| entry.name.strip_suffix(".mount").is_some())
    {
        let path = format!("{UNITS}/{}", entry.name);
        let Some(text) = gather.part(&path) else { continue };
        let unit = systemd_conf::merge(&[(&path, &text)]);
        for (path, issue) in &unit.issues {
            gather.doubt(Doubt::at(path, issue.line, &issue.what));
        }
        let value = |key| unit.effective("Mount", key).map(|assignment| assignment.value.clone());
        if let (Some(source), Some(target)) = (value("What"), value("Where")) {
            let fs_type = value("Type").unwrap_or_default();
            mounts.push(Mounted { source, target, fs_type, number: None });
        }
    }
    mounts
}

/// The mount with the longest mount point that holds `path`; of several the last.
fn covering<'a>(mounts: &'a [Mounted], path: &str) -> Option<&'a Mounted> {
    let is_above = |mount: &&Mounted| {
        let folder = mount.target.trim_end_matches('/');
        path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    mounts.iter().filter(is_above).max_by_key(|mount| mount.target.trim_end_matches('/').len())
}
