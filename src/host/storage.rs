//! The storages of the cluster, the files that hold their secrets, and what guests keep on them.

use std::cell::OnceCell;
use std::collections::BTreeSet;

use super::guests::{Guest, GuestConfig};
use super::{Doubt, Fact, Gather, Host, Stop};
use crate::files::Kind;
use crate::formats::guest::Source;
use crate::formats::guest::lxc::LxcSection;
use crate::formats::guest::qemu::QemuSection;
use crate::formats::storage_cfg::{self, StorageConfig};

/// The storages.
pub const STORAGE_CFG: &str = "/etc/pve/storage.cfg";

/// What only root reads.
const PRIVATE: &str = "/etc/pve/priv";

/// The secrets of storages, one file each. Upstream makes the folder with the first of them.
pub const SECRETS: &str = "/etc/pve/priv/storage";

#[derive(Default)]
pub(super) struct Facts {
    config: OnceCell<Fact<StorageConfig>>,
    secrets: OnceCell<Fact<SecretFiles>>,
    volumes: OnceCell<Fact<Vec<GuestVolume>>>,
}

/// Which secrets of storages exist. Their contents are never read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SecretFiles {
    names: BTreeSet<String>,
}

/// A kind of secret a storage has a file for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secret {
    /// The password or token secret it logs in with.
    Password,
    /// The key backups are encrypted with (pbs).
    EncryptionKey,
    /// The public key that the key of each backup is wrapped with (pbs).
    MasterKey,
}

impl Secret {
    /// Where the file of a storage is.
    pub fn path(self, storage: &str) -> String {
        format!("{SECRETS}/{storage}.{}", self.suffix())
    }

    fn suffix(self) -> &'static str {
        match self {
            Self::Password => "pw",
            Self::EncryptionKey => "enc",
            Self::MasterKey => "master.pem",
        }
    }
}

impl SecretFiles {
    /// Whether a storage has a file of this kind.
    pub fn has(&self, storage: &str, secret: Secret) -> bool {
        self.names.contains(&format!("{storage}.{}", secret.suffix()))
    }
}

/// A volume of a storage that a guest uses or keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestVolume {
    /// The guest.
    pub vmid: u32,
    /// The node the guest is on.
    pub node: String,
    /// The configuration file of the guest.
    pub path: String,
    /// The option that names the volume.
    pub option: String,
    /// Line in the file, counted from 1.
    pub line: u32,
    /// The storage.
    pub storage: String,
    /// The volume on it.
    pub volume: String,
}

impl Host {
    /// `/etc/pve/storage.cfg`. Without the file there is the storage `local` that upstream makes up, and no other; one
    /// without content is none upstream writes, for it always writes `local`.
    pub fn storage(&self) -> &Fact<StorageConfig> {
        self.storage.config.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                gather.take(self.cluster_files())?;
                let text = gather.optional(STORAGE_CFG)?.unwrap_or_default();
                if text.trim().is_empty() && self.files.stat(STORAGE_CFG).is_ok() {
                    gather.doubt(Doubt::about(STORAGE_CFG, "is empty: its content may have been lost"));
                }
                let release = self.release_to_read(gather);
                Ok(gather.parsed(STORAGE_CFG, storage_cfg::parse(&text, release)))
            })
        })
    }

    /// Which files are in `/etc/pve/priv/storage`. Without that folder there are none; without `/etc/pve/priv` above
    /// it, or without the right to list it, nothing is known.
    pub fn storage_secrets(&self) -> &Fact<SecretFiles> {
        self.storage.secrets.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                gather.take(self.cluster_files())?;
                gather.files().list(PRIVATE)?;
                let mut names = BTreeSet::new();
                // A folder that cannot be listed is no empty one: a missing secret is a finding.
                let entries = match gather.files().list(SECRETS) {
                    Err(trouble) if trouble.is_missing() => Vec::new(),
                    answer => answer?,
                };
                for entry in entries {
                    if matches!(entry.kind, Kind::File | Kind::Link) {
                        names.insert(entry.name);
                    } else {
                        gather.doubt(Doubt::about(&format!("{SECRETS}/{}", entry.name), "is not a file"));
                    }
                }
                Ok(SecretFiles { names })
            })
        })
    }

    /// The volumes of storages that guests use or keep: disks, unused disks, the drive of cloud-init, saved memory, also
    /// those of snapshots and of changes that wait. What is not understood of any guest is a doubt.
    pub fn guest_volumes(&self) -> &Fact<Vec<GuestVolume>> {
        self.storage.volumes.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let guests = gather.take(self.guests())?;
                let mut volumes = Vec::new();
                for guest in &guests.all {
                    volumes.extend(volumes_of(gather, guest));
                }
                Ok(volumes)
            })
        })
    }
}

fn volumes_of(gather: &mut Gather<'_>, guest: &Guest) -> Vec<GuestVolume> {
    let config = match gather.take(&guest.config) {
        Ok(config) => config,
        Err(Stop::Unknown(doubt)) => {
            gather.doubt(doubt);
            return Vec::new();
        }
        Err(Stop::NotApplicable(_)) => return Vec::new(),
    };
    let mut sources: Vec<(String, u32, Source)> = Vec::new();
    match config {
        GuestConfig::Vm(config) => {
            let pending = config.pending.iter().map(|pending| &pending.section);
            for section in [&config.current].into_iter().chain(pending).chain(config.snapshots.values()) {
                sources.extend(sources_of_vm(section));
            }
        }
        GuestConfig::Container(config) => {
            let pending = config.pending.iter().map(|pending| &pending.section);
            for section in [&config.current].into_iter().chain(pending).chain(config.snapshots.values()) {
                sources.extend(sources_of_container(section));
            }
        }
    }
    let volume = |(option, line, source)| match source {
        Source::Volume { storage, volume } => Some(GuestVolume {
            vmid: guest.vmid,
            node: guest.node.clone(),
            path: guest.path.clone(),
            option,
            line,
            storage,
            volume,
        }),
        _ => None,
    };
    sources.into_iter().filter_map(volume).collect()
}

fn sources_of_vm(section: &QemuSection) -> Vec<(String, u32, Source)> {
    // An image in an optical drive is not the guest's own data, the drive made for cloud-init is.
    let disks = section.disks().into_iter().filter(|disk| !disk.cdrom || disk.cloudinit);
    let memory = section.options.get("vmstate");
    let memory = memory.map(|option| ("vmstate".to_owned(), option.line, Source::of(&option.text)));
    disks.map(|disk| (disk.option, disk.line, disk.source)).chain(memory).collect()
}

fn sources_of_container(section: &LxcSection) -> Vec<(String, u32, Source)> {
    let mounts = section.root_file_system().into_iter().chain(section.mount_points());
    let unused = section.unused().into_iter().map(|(option, source)| (option.value, option.line, source));
    mounts.map(|mount| (mount.option, mount.line, mount.source)).chain(unused).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Files, Node, Tree, TroubleKind};
    use crate::formats::release::Release;

    fn host(files: &[(&str, Node)]) -> Host {
        let mut tree = Tree::default();
        tree.insert("/etc/pve/user.cfg", Node::file("\n"));
        tree.insert("/etc/pve/nodes", Node::folder());
        for (path, node) in files {
            tree.insert(path, node.clone());
        }
        Host::new(Files::memory(tree), None, Some(Release::Pve9))
    }

    #[test]
    fn not_to_know_the_release_is_a_doubt() {
        let mut tree = Tree::default();
        tree.insert(STORAGE_CFG, Node::file("dir: local\n\tpath /var/lib/vz\n"));
        assert_eq!(Host::new(Files::memory(tree), None, None).storage().doubts.len(), 1);
    }

    #[test]
    fn without_a_file_there_is_the_storage_upstream_makes_up() {
        let host = host(&[]);
        let storages = &host.storage().value.as_ref().unwrap().storages;
        assert_eq!(storages.keys().collect::<Vec<_>>(), ["local"]);
        assert!(storages["local"].holds("backup"));
        assert_eq!(host.storage().doubts, []);
    }

    #[test]
    fn an_empty_file_is_a_doubt() {
        assert_eq!(host(&[(STORAGE_CFG, Node::file("\n"))]).storage().doubts.len(), 1);
    }

    #[test]
    fn secrets_are_known_by_their_names_alone() {
        let denied = Node::file("").failing(TroubleKind::Denied);
        let host = host(&[
            ("/etc/pve/priv/storage/a.enc", denied),
            ("/etc/pve/priv/storage/a.master.pem", Node::file("")),
        ]);
        let secrets = host.storage_secrets().value.as_ref().unwrap();
        assert!(secrets.has("a", Secret::EncryptionKey) && secrets.has("a", Secret::MasterKey));
        assert!(!secrets.has("a", Secret::Password) && !secrets.has("b", Secret::EncryptionKey));
    }

    #[test]
    fn without_the_folder_for_root_nothing_is_known_about_secrets() {
        assert!(host(&[]).storage_secrets().value.is_err());
        let denied = Node::folder().failing(TroubleKind::Denied);
        assert!(host(&[("/etc/pve/priv", denied)]).storage_secrets().value.is_err());
        let denied = Node::folder().failing(TroubleKind::Denied);
        assert!(host(&[(SECRETS, denied)]).storage_secrets().value.is_err());
        let empty = host(&[("/etc/pve/priv", Node::folder())]);
        assert!(!empty.storage_secrets().value.as_ref().unwrap().has("a", Secret::Password));
    }

    #[test]
    fn volumes_of_snapshots_and_unused_ones_count_and_images_in_a_drive_do_not() {
        let vm = "scsi0: fast:vm-100-disk-0,size=8G\nide2: local:iso/a.iso,media=cdrom\n\
            ide0: fast:vm-100-cloudinit,media=cdrom\nunused0: old:vm-100-disk-9\nvirtio1: /dev/sdb\n\
            [before]\nscsi0: slow:vm-100-disk-0\nsnaptime: 5\nvmstate: state:vm-100-state-before\n";
        let ct =
            "arch: amd64\nrootfs: ct:subvol-101-disk-0\nmp0: data:101/a.raw,mp=/data\nmp1: /srv,mp=/srv\n";
        let host = host(&[
            ("/etc/pve/nodes/a/qemu-server/100.conf", Node::file(vm)),
            ("/etc/pve/nodes/a/lxc/101.conf", Node::file(ct)),
        ]);
        let volumes = host.guest_volumes().value.as_ref().unwrap();
        let storages: BTreeSet<&str> = volumes.iter().map(|volume| volume.storage.as_str()).collect();
        assert_eq!(storages, BTreeSet::from(["ct", "data", "fast", "old", "slow", "state"]));
    }

    #[test]
    fn a_guest_that_cannot_be_read_is_a_doubt_about_all_volumes() {
        let host = host(&[("/etc/pve/nodes/a/lxc/101.conf", Node::file("x").failing(TroubleKind::Denied))]);
        assert_eq!(host.guest_volumes().value.as_ref().unwrap().len(), 0);
        assert_eq!(host.guest_volumes().doubts.len(), 1);
    }
}
