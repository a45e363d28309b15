//! The certificates of the nodes, and which of them the web interface shows.
//!
//! Follows `proxmox/pve-manager:PVE/Service/pveproxy.pm` (`init`) and `bin/pveupdate`: `pveproxy-ssl.pem` counts only
//! where its key is a file, too; without the key pveproxy silently shows `pve-ssl.pem`, which the cluster's own
//! authority has issued.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Doubt, Fact, Gather, Host, Stop};
use crate::files::Kind;
use crate::formats::hosts;
use crate::formats::node_config::{self, NodeConfig};
use crate::formats::pem_subject::{self, Certificate, PemFile};

/// The certificate of the cluster's own authority.
pub const ROOT_CA: &str = "/etc/pve/pve-root-ca.pem";

/// One folder per node.
const NODES: &str = "/etc/pve/nodes";

const HOSTS: &str = "/etc/hosts";

/// The setting for another place of the custom key.
pub const TLS_KEY_FILE: &str = "TLS_KEY_FILE";

#[derive(Default)]
pub(super) struct Facts {
    nodes: OnceCell<Fact<Vec<NodeCertificates>>>,
    root: OnceCell<Fact<PemFile>>,
    names: OnceCell<Fact<BTreeSet<String>>>,
}

/// What `pveproxy-ssl.pem` comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Custom {
    /// The file.
    pub path: String,
    /// What it holds.
    pub pem: PemFile,
    /// Where its key is looked for.
    pub key_path: String,
    /// Whether the key is there; `None` where another node may look for it elsewhere.
    pub has_key: Option<bool>,
}

/// The certificate a node shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Served {
    /// The file.
    pub path: String,
    /// The certificate and what follows it in the file.
    pub chain: Vec<Certificate>,
    /// Whether it is `pveproxy-ssl.pem`.
    pub is_custom: bool,
}

impl Served {
    /// The certificate of the node itself: the first in the file.
    pub fn own(&self) -> Result<&Certificate, Stop> {
        self.chain.first().ok_or_else(|| no_certificate(&self.path))
    }
}

/// The certificates of one node.
#[derive(Debug, Clone)]
pub struct NodeCertificates {
    /// The node.
    pub node: String,
    /// Whether it is this one.
    pub is_local: bool,
    /// `pve-ssl.pem`.
    pub standard: Fact<(String, PemFile)>,
    /// `pveproxy-ssl.pem`, if there is one.
    pub custom: Fact<Option<Custom>>,
    /// What the node shows.
    pub served: Fact<Served>,
    /// The node's own settings, with their path; a missing file sets nothing.
    pub config: Fact<(String, NodeConfig)>,
}

fn no_certificate(path: &str) -> Stop {
    Stop::unknown(path, "holds no certificate that could be read")
}

impl Host {
    /// The certificates of every node of the cluster. Folders of nodes that have left it are not looked at.
    pub fn certificates(&self) -> &Fact<Vec<NodeCertificates>> {
        self.certificates.nodes.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                gather.take(self.cluster_files())?;
                let local = self.node_name();
                let nodes = self.member_names(gather, local.as_deref());
                if nodes.is_empty() {
                    return Err(Stop::unknown(NODES, "does not tell which node this is"));
                }
                let of = |node: String| {
                    let is_local = local.as_ref() == Some(&node);
                    self.certificates_of(node, is_local)
                };
                Ok(nodes.into_iter().map(of).collect())
            })
        })
    }

    /// The nodes of the cluster: of `.members`, of `corosync.conf`, and this one.
    fn member_names(&self, gather: &mut Gather<'_>, local: Option<&str>) -> BTreeSet<String> {
        gather.heed(self.members());
        let mut names: BTreeSet<String> = local.map(str::to_owned).into_iter().collect();
        if let Ok(members) = &self.members().value {
            names.extend(members.nodes.keys().cloned());
        }
        if names.len() <= 1 {
            gather.heed(self.corosync());
            if let Ok(corosync) = &self.corosync().value {
                names
                    .extend(corosync.nodes.iter().filter_map(|node| Some(node.name.as_ref()?.value.clone())));
            }
        }
        names
    }

    fn certificates_of(&self, node: String, is_local: bool) -> NodeCertificates {
        let folder = format!("{NODES}/{node}");
        let standard_path = format!("{folder}/pve-ssl.pem");
        let standard = Fact::gather(&self.files, |gather| {
            let text = gather.required(&standard_path)?;
            Ok((standard_path.clone(), gather.parsed(&standard_path, pem_subject::parse(&text))))
        });
        let custom = Fact::gather(&self.files, |gather| self.read_custom(gather, &folder, is_local));
        let served = Fact::gather(&self.files, |gather| served(gather, &standard, &custom));
        let config = Fact::gather(&self.files, |gather| {
            let path = format!("{folder}/config");
            let text = gather.optional(&path)?.unwrap_or_default();
            let config = gather.parsed(&path, node_config::parse(&text));
            Ok((path, config))
        });
        NodeCertificates { node, is_local, standard, custom, served, config }
    }

    fn read_custom(
        &self,
        gather: &mut Gather<'_>,
        folder: &str,
        is_local: bool,
    ) -> Result<Option<Custom>, Stop> {
        let path = format!("{folder}/pveproxy-ssl.pem");
        let Some(text) = gather.optional(&path)? else { return Ok(None) };
        let pem = gather.parsed(&path, pem_subject::parse(&text));
        let standard_key = format!("{folder}/pveproxy-ssl.key");
        let (key_path, has_key) = if is_local {
            let key_path = self.tls_key_file(gather)?.unwrap_or(standard_key);
            let has_key = self.is_file(&key_path)?;
            (key_path, Some(has_key))
        } else {
            // Another node may have `TLS_KEY_FILE` set.
            let has_key = self.is_file(&standard_key)?.then_some(true);
            (standard_key, has_key)
        };
        Ok(Some(Custom { path, pem, key_path, has_key }))
    }

    /// Where pveproxy of this node is told to look for the custom key.
    fn tls_key_file(&self, gather: &mut Gather<'_>) -> Result<Option<String>, Stop> {
        let proxy = gather.take(self.proxy())?;
        let setting = proxy.as_ref().and_then(|proxy| proxy.settings.get(TLS_KEY_FILE));
        Ok(setting.map(|setting| setting.value.clone()))
    }

    fn is_file(&self, path: &str) -> Result<bool, Stop> {
        match self.files.stat(path) {
            Ok(meta) if meta.kind == Kind::File => Ok(true),
            // pveproxy takes it for missing; nobody has put it there on purpose.
            Ok(_) => Err(Stop::unknown(path, "is no file")),
            Err(trouble) if trouble.is_missing() => Ok(false),
            Err(trouble) => Err(trouble.into()),
        }
    }

    /// The certificate of the cluster's own authority. Every cluster has one.
    pub fn root_ca(&self) -> &Fact<PemFile> {
        self.certificates.root.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                gather.take(self.cluster_files())?;
                let text = gather.required(ROOT_CA)?;
                Ok(gather.parsed(ROOT_CA, pem_subject::parse(&text)))
            })
        })
    }

    /// The names of this node: its own, and those `/etc/hosts` gives to its addresses.
    pub fn own_names(&self) -> &Fact<BTreeSet<String>> {
        self.certificates.names.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let node = self.node_name().ok_or_else(|| Stop::unknown("/etc/hostname", "names no host"))?;
                let text = gather.part(HOSTS).unwrap_or_default();
                let entries = hosts::parse(&text);
                // A line of another host that is wrong says nothing about this one.
                let own: Vec<_> = entries.value.iter().filter(|entry| names(entry, &node)).collect();
                if own.is_empty() && !entries.issues.is_empty() {
                    gather.parsed(HOSTS, entries.clone());
                }
                let mut all: BTreeSet<String> = own
                    .iter()
                    .flat_map(|entry| entry.names.iter().map(|name| name.to_ascii_lowercase()))
                    .collect();
                all.insert(node.to_ascii_lowercase());
                Ok(all)
            })
        })
    }

    /// The addresses under which the cluster or `/etc/hosts` know a node.
    pub fn addresses_of(&self, node: &str) -> BTreeSet<IpAddr> {
        let members = self.members().value.as_ref().ok();
        let ip = members.and_then(|members| members.nodes.get(node)?.ip.as_ref()?.parse().ok());
        let text = self.files.text(HOSTS).unwrap_or_default();
        let entries = hosts::parse(&text).value;
        let written = entries.iter().filter(|entry| names(entry, node)).map(|entry| entry.address);
        written.chain(ip).filter(|address| !address.is_loopback()).collect()
    }
}

fn names(entry: &hosts::Entry, node: &str) -> bool {
    entry
        .names
        .iter()
        .any(|name| name.split('.').next().is_some_and(|first| first.eq_ignore_ascii_case(node)))
}

fn served(
    gather: &mut Gather<'_>,
    standard: &Fact<(String, PemFile)>,
    custom: &Fact<Option<Custom>>,
) -> Result<Served, Stop> {
    if let Some(custom) = gather.take(custom)? {
        match custom.has_key {
            Some(true) => return finish(&custom.path, &custom.pem, true),
            Some(false) => {}
            None => {
                let what = "is missing: only the node itself tells whether its key is elsewhere";
                return Err(Stop::Unknown(Doubt::about(&custom.key_path, what)));
            }
        }
    }
    let (path, pem) = gather.take(standard)?;
    finish(path, pem, false)
}

fn finish(path: &str, pem: &PemFile, is_custom: bool) -> Result<Served, Stop> {
    if pem.certificates.is_empty() {
        return Err(no_certificate(path));
    }
    Ok(Served { path: path.to_owned(), chain: pem.certificates.clone(), is_custom })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Files, Node, Tree};

    /// A certificate of `pve1.example.com`.
    const PEM: &str = include_str!("../../tests/support/node.pem");

    fn host(files: &[(&str, &str)]) -> Host {
        let mut tree = Tree::default();
        tree.insert("/etc/hostname", Node::file("pve1\n"));
        tree.insert("/etc/hosts", Node::file("127.0.0.1 localhost\n192.0.2.10 PVE1.example.com pve1\n"));
        tree.insert("/etc/pve/nodes/pve1/pve-ssl.pem", Node::file(PEM));
        for (path, text) in files {
            tree.insert(path, Node::file(*text));
        }
        Host::new(Files::memory(tree), None, None)
    }

    fn served(host: &Host) -> Result<String, Stop> {
        let nodes = host.certificates().value.as_ref().unwrap();
        nodes[0].served.value.clone().map(|served| served.path)
    }

    const CUSTOM: &str = "/etc/pve/nodes/pve1/pveproxy-ssl.pem";
    const STANDARD: &str = "/etc/pve/nodes/pve1/pve-ssl.pem";

    #[test]
    fn the_custom_certificate_counts_with_its_key_only() {
        let key = ("/etc/pve/nodes/pve1/pveproxy-ssl.key", "key\n");
        assert_eq!(served(&host(&[])), Ok(STANDARD.to_owned()));
        assert_eq!(served(&host(&[(CUSTOM, PEM)])), Ok(STANDARD.to_owned()));
        assert_eq!(served(&host(&[(CUSTOM, PEM), key])), Ok(CUSTOM.to_owned()));
        assert_eq!(served(&host(&[key])), Ok(STANDARD.to_owned()));
    }

    #[test]
    fn the_key_may_be_elsewhere() {
        let setting = ("/etc/default/pveproxy", "TLS_KEY_FILE=/etc/ssl/private/pve.key\n");
        let standard_key = ("/etc/pve/nodes/pve1/pveproxy-ssl.key", "key\n");
        assert_eq!(served(&host(&[(CUSTOM, PEM), setting, standard_key])), Ok(STANDARD.to_owned()));
        let elsewhere = ("/etc/ssl/private/pve.key", "key\n");
        assert_eq!(served(&host(&[(CUSTOM, PEM), setting, elsewhere])), Ok(CUSTOM.to_owned()));
        let broken = ("/etc/default/pveproxy", ". /etc/default/more\n");
        assert!(served(&host(&[(CUSTOM, PEM), broken])).is_err());
        assert_eq!(served(&host(&[broken])), Ok(STANDARD.to_owned()));
    }

    #[test]
    fn where_another_node_has_its_key_is_not_known_here() {
        let members = "{\"nodename\":\"pve1\",\"version\":1,\"cluster\":{\"name\":\"c\",\"version\":1,\"nodes\":2,\
                       \"quorate\":1},\"nodelist\":{\"pve1\":{\"id\":1,\"online\":1},\"pve2\":{\"id\":2,\"online\":1}}}\n";
        let host = host(&[
            ("/etc/pve/.members", members),
            ("/etc/pve/nodes/pve2/pve-ssl.pem", PEM),
            ("/etc/pve/nodes/pve2/pveproxy-ssl.pem", PEM),
            ("/etc/pve/nodes/left/pve-ssl.pem", PEM),
        ]);
        let nodes = host.certificates().value.as_ref().unwrap();
        let seen: Vec<(&str, bool)> =
            nodes.iter().map(|node| (node.node.as_str(), node.served.value.is_ok())).collect();
        assert_eq!(seen, [("pve1", true), ("pve2", false)]);
    }

    #[test]
    fn a_missing_or_empty_certificate_is_unknown() {
        assert!(served(&host(&[(STANDARD, "")])).is_err());
        assert!(served(&host(&[(STANDARD, "no certificate\n")])).is_err());
    }

    #[test]
    fn the_names_of_the_node_come_from_the_hosts_file() {
        let names: Vec<String> = host(&[]).own_names().value.clone().unwrap().into_iter().collect();
        assert_eq!(names, ["pve1", "pve1.example.com"]);
        let addresses: Vec<String> = host(&[]).addresses_of("pve1").iter().map(ToString::to_string).collect();
        assert_eq!(addresses, ["192.0.2.10"]);
    }
}
