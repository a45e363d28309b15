//! Where the hook scripts of guests are, and who can change them.

use super::guests::{Guest, GuestConfig};
use super::{Fact, Gather, Host, Stop};
use crate::files::Kind;
use crate::formats::Located;
use crate::formats::storage_cfg::Storage;

/// Storages of these types are file systems of other machines.
const NETWORK_TYPES: [&str; 4] = ["cephfs", "cifs", "glusterfs", "nfs"];

/// The folder of snippets on a storage of files, unless `content-dirs` says otherwise.
const SNIPPETS: &str = "snippets";

/// The hook script of a guest: a program that runs as root on the node whenever the guest starts or stops.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hookscript {
    /// The volume id, with its line in the guest's configuration.
    pub volume: Located<String>,
    /// Where it is.
    pub place: Place,
}

/// Where a hook script is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On a storage of this type, which is a file system of another machine.
    Network(String),
    /// In a folder of the node that its storage says to be the same on every node.
    Shared(String),
    /// In a folder of the audited node.
    Local {
        /// The path.
        path: String,
        /// The file or a folder above it, if others than root can change it, with the reason.
        open: Option<(String, String)>,
    },
    /// In a folder of another node.
    Elsewhere,
}

impl Host {
    /// The hook script of a guest; `None` if it has none.
    pub fn hookscript(&self, guest: &Guest) -> Fact<Option<Hookscript>> {
        Fact::gather(&self.files, |gather| {
            let Some(volume) = volume_of(gather.take(&guest.config)?) else { return Ok(None) };
            let place = self.place(gather, guest, &volume)?;
            Ok(Some(Hookscript { volume, place }))
        })
    }

    fn place(&self, gather: &mut Gather<'_>, guest: &Guest, volume: &Located<String>) -> Result<Place, Stop> {
        let storages = gather.take(self.storage())?;
        let (id, name) = volume.value.split_once(':').unwrap_or_default();
        let Some(storage) = storages.storages.get(id) else {
            return Err(Stop::unknown(
                &guest.path,
                format!("names a hook script on a storage {id} that is not known"),
            ));
        };
        if NETWORK_TYPES.contains(&storage.kind.as_str()) {
            return Ok(Place::Network(storage.kind.clone()));
        }
        if !guest.is_local(self) && !storage.shared {
            return Ok(Place::Elsewhere);
        }
        let path = script_path(storage, name).ok_or_else(|| {
            Stop::unknown(
                &guest.path,
                format!("names a hook script on storage {id} of type {}", storage.kind),
            )
        })?;
        if storage.shared {
            return Ok(Place::Shared(path));
        }
        let open = open_part(gather, &path)?;
        Ok(Place::Local { path, open })
    }
}

fn volume_of(config: &GuestConfig) -> Option<Located<String>> {
    match config {
        GuestConfig::Vm(vm) => vm.current.hookscript(),
        GuestConfig::Container(ct) => ct.current.hookscript(),
    }
}

/// `snippets/NAME` below the folder of the storage.
fn script_path(storage: &Storage, volume: &str) -> Option<String> {
    let name = volume.strip_prefix("snippets/").filter(|name| !name.contains("..") && !name.is_empty())?;
    let folders = storage.text("content-dirs").unwrap_or_default();
    let given = folders.split(',').find_map(|folder| folder.strip_prefix("snippets="));
    let folder = given.unwrap_or(SNIPPETS).trim_matches('/');
    Some(format!("{}/{folder}/{name}", storage.path()?.trim_end_matches('/')))
}

/// The first of the file and the folders above it that others than root can change: whoever can write to a folder
/// can put another file in the place of one in it, unless the folder is sticky.
fn open_part(gather: &mut Gather<'_>, path: &str) -> Result<Option<(String, String)>, Stop> {
    let mut part = path;
    while !part.is_empty() {
        let meta = gather.files().stat(part)?;
        if meta.uid != 0 {
            return Ok(Some((part.to_owned(), format!("belongs to user {}", meta.uid))));
        }
        // A group of root's own has no members but root.
        let group_writes = meta.mode & 0o020 != 0 && meta.gid != 0;
        let is_sticky = meta.kind == Kind::Folder && meta.mode & 0o1000 != 0;
        if (group_writes || meta.mode & 0o002 != 0) && !is_sticky {
            return Ok(Some((part.to_owned(), format!("has mode {:04o}", meta.mode))));
        }
        part = part.rsplit_once('/').map_or("", |(above, _)| above);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Files, Node, Tree};

    fn host(storage: &str, extra: &[(&str, Node)]) -> Host {
        let mut tree = Tree::default();
        tree.insert("/etc/hostname", Node::file("a\n"));
        tree.insert("/etc/pve/storage.cfg", Node::file(storage));
        let vm = "hookscript: local:snippets/hook.sh\nmemory: 512\n";
        tree.insert("/etc/pve/nodes/a/qemu-server/100.conf", Node::file(vm));
        for (path, node) in extra {
            tree.insert(path, node.clone());
        }
        Host::new(Files::memory(tree), None, None)
    }

    fn place(host: &Host) -> Result<Place, Stop> {
        let guests = host.guests().value.as_ref().unwrap();
        host.hookscript(&guests.all[0]).value.map(|script| script.unwrap().place)
    }

    const LOCAL: &str = "dir: local\n\tpath /var/lib/vz\n\tcontent snippets\n";
    const SCRIPT: &str = "/var/lib/vz/snippets/hook.sh";

    fn open_at(host: &Host) -> Option<String> {
        match place(host).unwrap() {
            Place::Local { open, .. } => open.map(|(path, _)| path),
            _ => None,
        }
    }

    #[test]
    fn a_script_of_root_in_folders_of_root_is_closed() {
        assert_eq!(open_at(&host(LOCAL, &[(SCRIPT, Node::file("x").mode(0o755))])), None);
        assert_eq!(open_at(&host(LOCAL, &[(SCRIPT, Node::file("x").mode(0o775))])), None);
    }

    #[test]
    fn a_script_or_a_folder_above_it_that_others_can_change_is_open() {
        let owned = host(LOCAL, &[(SCRIPT, Node::file("x").owner(1000, 1000))]);
        assert_eq!(open_at(&owned), Some(SCRIPT.to_owned()));
        let writable = host(LOCAL, &[(SCRIPT, Node::file("x").mode(0o777))]);
        assert_eq!(open_at(&writable), Some(SCRIPT.to_owned()));
        let folder = ("/var/lib/vz/snippets", Node::folder().mode(0o777));
        let below = host(LOCAL, &[(SCRIPT, Node::file("x")), folder]);
        assert_eq!(open_at(&below), Some("/var/lib/vz/snippets".to_owned()));
        let sticky = ("/var/lib/vz/snippets", Node::folder().mode(0o1777));
        assert_eq!(open_at(&host(LOCAL, &[(SCRIPT, Node::file("x")), sticky])), None);
    }

    #[test]
    fn a_missing_script_or_storage_is_unknown() {
        assert!(matches!(place(&host(LOCAL, &[])), Err(Stop::Unknown(_))));
        let guest = ("/etc/pve/nodes/a/qemu-server/100.conf", Node::file("hookscript: gone:snippets/x\n"));
        assert!(matches!(place(&host(LOCAL, &[guest])), Err(Stop::Unknown(_))));
    }

    #[test]
    fn the_folder_of_snippets_can_be_another() {
        let storage = "dir: local\n\tpath /var/lib/vz\n\tcontent snippets\n\tcontent-dirs snippets=hooks\n";
        let host = host(storage, &[("/var/lib/vz/hooks/hook.sh", Node::file("x"))]);
        assert_eq!(open_at(&host), None);
        assert!(place(&host).is_ok());
    }

    #[test]
    fn a_script_of_another_node_is_elsewhere_and_one_on_a_network_storage_is_everywhere() {
        let vm = |volume: &str| Node::file(format!("hookscript: {volume}:snippets/hook.sh\nmemory: 512\n"));
        let path = "/etc/pve/nodes/b/qemu-server/99.conf";
        let storage = format!(
            "{LOCAL}\nnfs: nas\n\texport /x\n\tpath /mnt/pve/nas\n\tserver 192.0.2.1\n\tcontent snippets\n"
        );
        assert_eq!(place(&host(&storage, &[(path, vm("local"))])).unwrap(), Place::Elsewhere);
        assert_eq!(place(&host(&storage, &[(path, vm("nas"))])).unwrap(), Place::Network("nfs".to_owned()));
    }
}
