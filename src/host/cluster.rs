//! The cluster file system and the cluster this node belongs to.
//!
//! `/etc/pve` is a FUSE view of `/var/lib/pve-cluster/config.db`. Hung, dead and not mounted are three different
//! answers, and none of them is "no users, no rules, all fine".

use std::cell::OnceCell;

use super::cluster_database::DATABASE;
use super::{Doubt, Fact, Gather, Host, Stop};
use crate::formats::members::{self, Members};
use crate::formats::pem_subject;

const MEMBERS: &str = "/etc/pve/.members";

const ROOT_CA: &str = "/etc/pve/pve-root-ca.pem";

#[derive(Default)]
pub(super) struct Facts {
    files: OnceCell<Fact<()>>,
    members: OnceCell<Fact<Members>>,
    cluster: OnceCell<Option<Cluster>>,
}

/// The cluster this node belongs to; a stand-alone node is a cluster of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The UUID in the subject of the cluster's own certificate authority.
    pub uid: Option<String>,
    /// Its name; `None` for a stand-alone node.
    pub name: Option<String>,
    /// Whether it had quorum; `None` where that is not told.
    pub quorate: Option<bool>,
    /// Its nodes, sorted.
    pub nodes: Vec<String>,
}

impl Host {
    /// Whether the configuration of Proxmox VE is there to be read. Every fact below `/etc/pve` asks this first.
    pub fn cluster_files(&self) -> &Fact<()> {
        self.cluster
            .files
            .get_or_init(|| Fact::gather(&self.files, |gather| self.look_at_cluster_files(gather)))
    }

    fn look_at_cluster_files(&self, gather: &mut Gather<'_>) -> Result<(), Stop> {
        let installed = self.pve_version().is_some();
        if let Some(source) = self.files.cluster_source() {
            let doubts = source.doubts.iter().map(|what| Doubt::about(&source.path, what));
            doubts.for_each(|doubt| gather.doubt(doubt));
        }
        match self.files.list("/etc/pve") {
            Ok(entries) if !entries.is_empty() => return Ok(()),
            Ok(_) => {}
            Err(trouble) if trouble.is_missing() => {}
            Err(trouble) => return Err(trouble.into()),
        }
        match self.files.stat(DATABASE) {
            Ok(_) => Err(Stop::unknown(
                "/etc/pve",
                format!(
                    "is empty: the cluster file system is not mounted and its content is in {DATABASE}; start pve-cluster, or audit the running node"
                ),
            )),
            Err(trouble) if trouble.is_missing() && !installed => {
                // That Proxmox VE is not installed is known only from a whole list of what is.
                gather.take(self.packages())?;
                self.packages().complete()?;
                Err(Stop::not_applicable("this is not a Proxmox VE node"))
            }
            Err(trouble) if trouble.is_missing() => Err(Stop::unknown(
                "/etc/pve",
                "is empty although Proxmox VE is installed: is pve-cluster running?",
            )),
            Err(trouble) => Err(trouble.into()),
        }
    }

    /// `/etc/pve/.members`: this node's name and the cluster's state. A copy of a tree may lack it.
    pub fn members(&self) -> &Fact<Members> {
        self.cluster.members.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                gather.take(self.cluster_files())?;
                let Some(text) = gather.optional(MEMBERS)? else { return Ok(Members::default()) };
                Ok(gather.parsed(MEMBERS, members::parse(&text)))
            })
        })
    }

    /// The cluster; `None` where this is no Proxmox VE node.
    pub fn cluster(&self) -> Option<Cluster> {
        self.cluster.cluster.get_or_init(|| self.find_cluster()).clone()
    }

    fn find_cluster(&self) -> Option<Cluster> {
        self.cluster_files().value.as_ref().ok()?;
        let members = self.members().value.as_ref().ok();
        let cluster = members.and_then(|members| members.cluster.as_ref());
        // `.members` is not in the database: the next best are the configured nodes, a stand-alone node has neither.
        let corosync = self.corosync().value.as_ref().ok().filter(|_| cluster.is_none());
        let configured = corosync.into_iter().flat_map(|conf| &conf.nodes);
        let configured: Vec<String> =
            configured.filter_map(|node| Some(node.name.as_ref()?.value.clone())).collect();
        let folders = || self.files.list("/etc/pve/nodes").unwrap_or_default();
        let nodes = match members {
            Some(members) if !members.nodes.is_empty() => members.nodes.keys().cloned().collect(),
            _ if !configured.is_empty() => configured,
            _ => folders().into_iter().map(|entry| entry.name).collect(),
        };
        let name = cluster.map(|cluster| cluster.name.clone());
        Some(Cluster {
            uid: self.cluster_uid(),
            name: name.or_else(|| Some(corosync?.totem.cluster_name.as_ref()?.value.clone())),
            quorate: cluster.map(|cluster| cluster.quorate),
            nodes,
        })
    }

    fn cluster_uid(&self) -> Option<String> {
        let text = self.files.text(ROOT_CA).ok()?;
        let certificates = pem_subject::parse(&text).value.certificates;
        certificates.first()?.subject.cluster_uuid().map(str::to_owned)
    }

    /// Whether this node is part of a cluster: there is a corosync configuration.
    ///
    /// # Errors
    /// Where that cannot be told.
    pub fn is_clustered(&self) -> Result<bool, Stop> {
        match self.files.stat("/etc/pve/corosync.conf") {
            Ok(_) => Ok(true),
            Err(trouble) if trouble.is_missing() => Ok(false),
            Err(trouble) => Err(trouble.into()),
        }
    }
}
