//! Whether a backup lies on the very node its guest is on.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::Target;
use crate::formats::hosts;
use crate::formats::storage_cfg::{LOCAL_PATH, Storage};
use crate::host::encryption::Class;
use crate::host::{Fact, Gather, Host, Stop};

const HOSTS: &str = "/etc/hosts";

/// Storage types that spread data over machines of their own.
const DISTRIBUTED: [&str; 2] = ["cephfs", "rbd"];

/// Where a backup lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On the node, and how that shows.
    SameNode(String),
    /// On another machine, and how that shows.
    Elsewhere(String),
    /// Cannot be told, and why.
    Unknown(String),
}

impl Host {
    /// Where a backup written to `target` by a guest on `node` lies.
    pub fn backup_place(&self, target: &Target, node: &str) -> Fact<Place> {
        Fact::gather(&self.files, |gather| match target {
            Target::Folder(folder) => self.place_of_path(gather, folder, node, false),
            Target::Storage(id) => {
                let config = gather.take(self.storage())?;
                let Some(storage) = config.storages.get(id) else {
                    return Ok(Place::Unknown(format!("storage {id} is not known")));
                };
                self.place_of_storage(gather, storage, node)
            }
        })
    }

    fn place_of_storage(
        &self,
        gather: &mut Gather<'_>,
        storage: &Storage,
        node: &str,
    ) -> Result<Place, Stop> {
        let id = &storage.id;
        if let Some(path) = storage.path().filter(|_| matches!(storage.kind.as_str(), "dir" | "btrfs")) {
            if storage.guards_mount_point() && self.is_on_root(gather, path)? {
                return Ok(Place::Unknown(format!("nothing is mounted at {path}")));
            }
            return self.place_of_path(gather, path, node, storage.shared);
        }
        if DISTRIBUTED.contains(&storage.kind.as_str()) {
            return Ok(Place::Elsewhere(format!("storage {id} is spread over several machines")));
        }
        let Some(server) = storage.text("server") else {
            return Ok(Place::Unknown(format!("where storage {id} keeps its data is not known")));
        };
        if self.names_of(gather, node)?.contains(&canonical(server)) {
            return Ok(Place::SameNode(format!(
                "storage {id} is served by {server}, which is the node itself"
            )));
        }
        Ok(Place::Elsewhere(format!("storage {id} is served by {server}")))
    }

    /// A folder is traced to its device on the audited node only. Where that leads nowhere, the folder of `local` is
    /// taken for what upstream takes it for: a folder every node has of its own.
    fn place_of_path(
        &self,
        gather: &mut Gather<'_>,
        path: &str,
        node: &str,
        shared: bool,
    ) -> Result<Place, Stop> {
        let found = if self.node_name().as_deref() == Some(node) {
            self.traced_place(gather, path, shared)?
        } else {
            Place::Unknown(format!("what is mounted at {path} on {node} was not read"))
        };
        let is_own = !shared && path.trim_end_matches('/') == LOCAL_PATH;
        Ok(match found {
            Place::Unknown(_) if is_own => Place::SameNode(format!("{path} is a folder of the node itself")),
            found => found,
        })
    }

    fn traced_place(&self, gather: &mut Gather<'_>, path: &str, shared: bool) -> Result<Place, Stop> {
        if self.is_on_root(gather, path)? {
            return Ok(Place::SameNode(format!("{path} is on the root file system of the node")));
        }
        let at_rest = self.path_at_rest(path);
        let at_rest = gather.take(&at_rest)?;
        let chain = at_rest.chain.join(", on ");
        Ok(match &at_rest.class {
            Class::RemoteUnverified => Place::Elsewhere(format!("{path} is on another machine ({chain})")),
            Class::Unknown(why) => Place::Unknown(why.clone()),
            // Upstream believes the administrator who says that every node sees the same folder.
            _ if shared => Place::Unknown(format!("{path} is said to be shared; with what was not seen")),
            _ => Place::SameNode(format!("{path} is on a disk of the node ({chain})")),
        })
    }

    /// Names and addresses of a node: what the cluster file system says, `/etc/hosts`, and those every host has.
    fn names_of(&self, gather: &mut Gather<'_>, node: &str) -> Result<BTreeSet<String>, Stop> {
        let mut names: BTreeSet<String> =
            ["localhost", "127.0.0.1", "::1", node].iter().map(|name| canonical(name)).collect();
        let members = gather.take(self.members())?;
        names.extend(members.nodes.get(node).and_then(|member| member.ip.as_deref()).map(canonical));
        match gather.take(self.corosync()) {
            Ok(conf) => {
                let nodes = conf.nodes.iter();
                let own = nodes.filter(|one| one.name.as_ref().is_some_and(|name| name.value == node));
                names.extend(
                    own.flat_map(|one| one.addresses.values()).map(|address| canonical(&address.value)),
                );
            }
            Err(Stop::Unknown(doubt)) => gather.doubt(doubt),
            Err(Stop::NotApplicable(_)) => {}
        }
        // Without it the other names of the node are not known: that a server is another machine is then doubtful.
        match gather.required(HOSTS) {
            Err(Stop::Unknown(doubt)) => gather.doubt(doubt),
            Err(Stop::NotApplicable(_)) => {}
            Ok(text) => {
                let entries = gather.parsed(HOSTS, hosts::parse(&text));
                for entry in entries.iter().filter(|entry| entry.names.iter().any(|name| name == node)) {
                    names.insert(entry.address.to_string());
                    names.extend(entry.names.iter().map(|name| canonical(name)));
                }
            }
        }
        Ok(names)
    }
}

/// A name or address in the one form it is compared in.
fn canonical(name: &str) -> String {
    let bare = name.trim_matches(['[', ']']);
    bare.parse::<IpAddr>().map_or_else(|_| bare.to_ascii_lowercase(), |address| address.to_string())
}
