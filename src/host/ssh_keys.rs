//! The keys of ssh on this host: who may log in as an account with the rights of root, and what this host and the
//! other nodes prove who they are with.
//!
//! Follows `PVE::Cluster::Setup` of pve-cluster (`setup_ssh_keys`, `ssh_create_node_known_hosts`) and auth.c of OpenSSH
//! (`expand_authorized_keys`).

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::corosync::COROSYNC_CONF;
use super::{Doubt, Fact, Gather, Host, Stop};
use crate::files::{Entry, Meta, leads_to};
use crate::formats::corosync_conf::{CorosyncConf, Node};
use crate::formats::ssh_keys::{self, AuthorizedKey, PublicKey};

/// The list of keys that all nodes share.
pub const SHARED_KEYS: &str = "/etc/pve/priv/authorized_keys";

/// Where sshd looks for keys unless it is told otherwise; the second is a leftover of protocol 2's beginnings.
pub const USUAL_FILES: [&str; 2] = [".ssh/authorized_keys", ".ssh/authorized_keys2"];

/// Root's own keys, by which this node logs in to the others.
const OWN_KEYS: [&str; 3] = ["/root/.ssh/id_rsa.pub", "/root/.ssh/id_ed25519.pub", "/root/.ssh/id_ecdsa.pub"];

/// One folder per node.
const NODES: &str = "/etc/pve/nodes";

/// The primes for key exchanges in groups that are agreed on.
pub const MODULI: &str = "/etc/ssh/moduli";

/// The home of root.
const ROOT_HOME: &str = "/root";

#[derive(Default)]
pub(super) struct Facts {
    authorized: OnceCell<Fact<Vec<KeyFile>>>,
    own: OnceCell<Fact<Vec<PublicKey>>>,
    known_nodes: OnceCell<Fact<BTreeSet<String>>>,
    node_host_keys: OnceCell<Fact<BTreeMap<String, Vec<PublicKey>>>>,
    host_keys: OnceCell<Fact<Vec<HostKey>>>,
    moduli: OnceCell<Fact<Vec<u32>>>,
}

/// A file whose keys log in with the rights of root.
#[derive(Debug, Clone)]
pub struct KeyFile {
    /// Every account it counts for.
    pub accounts: BTreeSet<String>,
    /// The file.
    pub path: String,
    /// The links by which sshd comes to it, if it does by any.
    pub links: BTreeSet<String>,
    /// The keys in it.
    pub keys: Vec<AuthorizedKey>,
}

/// A key this host proves who it is with.
#[derive(Debug, Clone)]
pub struct HostKey {
    /// The private key.
    pub path: String,
    /// Who may read and write it, or why that cannot be told; `None` where sshd is told of a key that is not there.
    pub meta: Result<Option<Meta>, Stop>,
    /// Its public half, from the file next to it; `None` where there is none that can be read.
    pub public: Option<PublicKey>,
}

impl Host {
    /// The files whose keys open an account with the rights of root, each once. Missing files have no keys.
    pub fn root_keys(&self) -> &Fact<Vec<KeyFile>> {
        self.ssh_keys.authorized.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                // Accounts and links by file.
                let mut files: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
                if self.cluster_files().value.is_ok() {
                    files.entry(SHARED_KEYS.to_owned()).or_default().0.insert("root".to_owned());
                } else {
                    // Nothing where this is no Proxmox VE.
                    gather.heed(self.cluster_files());
                }
                for (account, path) in self.key_paths(gather) {
                    let target = gather.files().link(&path).ok().map(|target| leads_to(&path, &target));
                    let (accounts, links) = files.entry(target.clone().unwrap_or(path.clone())).or_default();
                    accounts.insert(account);
                    links.extend(target.map(|_| path));
                }
                let mut read = Vec::new();
                for (path, (accounts, links)) in files {
                    let text = gather.part(&path);
                    if path == SHARED_KEYS && text.as_ref().is_none_or(|text| text.trim().is_empty()) {
                        let what = "is missing or empty, though pve-cluster adds the key of every node";
                        gather.doubt(Doubt::about(&path, what));
                    }
                    let Some(text) = text else { continue };
                    let keys = gather.parsed(&path, ssh_keys::parse_authorized_keys(&text)).keys;
                    read.push(KeyFile { accounts, path, links, keys });
                }
                Ok(read)
            })
        })
    }

    /// The accounts of user id 0 and the files sshd looks for their keys in, by what is set for any connection.
    fn key_paths(&self, gather: &mut Gather<'_>) -> Vec<(String, String)> {
        gather.heed(self.passwd());
        let mut accounts: Vec<(&str, &str)> = self.passwd().value.as_ref().map_or_else(
            |_| Vec::new(),
            |passwd| {
                let root = passwd.entries.iter().filter(|account| account.uid == 0);
                root.map(|account| (account.name.as_str(), account.home.as_str())).collect()
            },
        );
        if accounts.is_empty() {
            accounts.push(("root", ROOT_HOME));
        }
        let mut wanted: BTreeSet<&str> = USUAL_FILES.into();
        gather.heed(self.sshd());
        if let Ok(sshd) = &self.sshd().value {
            match sshd.in_force() {
                Ok(config) => {
                    let outside =
                        config.values_of("authorizedkeysfile").iter().map(|value| value.text.as_str());
                    let matched =
                        config.set_in_match("authorizedkeysfile").flat_map(|(_, line)| &line.values);
                    wanted = outside.chain(matched.map(String::as_str)).collect();
                    sshd.doubts_about(&["authorizedkeysfile"]).for_each(|doubt| gather.doubt(doubt));
                }
                Err(Stop::Unknown(doubt)) => gather.doubt(doubt),
                Err(Stop::NotApplicable(_)) => {}
            }
        }
        let mut paths = Vec::new();
        for (account, home) in accounts {
            for file in wanted.iter().filter(|file| !file.eq_ignore_ascii_case("none")) {
                match expanded(file, account, home) {
                    Some(path) => paths.push((account.to_owned(), path)),
                    None => gather
                        .doubt(Doubt::about(file, "names files with keys in a way that is not followed")),
                }
            }
        }
        paths
    }

    /// Root's own keys on this node, by which he logs in to others.
    pub fn own_root_keys(&self) -> &Fact<Vec<PublicKey>> {
        self.ssh_keys.own.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let texts = OWN_KEYS.iter().filter_map(|path| gather.part(path));
                let texts = texts.collect::<Vec<_>>();
                Ok(texts.iter().filter_map(|text| PublicKey::in_file(text)).collect())
            })
        })
    }

    /// The names of the nodes that are in the cluster now, this one with them.
    pub fn nodes_in_cluster(&self) -> &Fact<BTreeSet<String>> {
        self.ssh_keys.known_nodes.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let mut nodes = match gather.take(self.corosync()) {
                    Ok(corosync) => {
                        // A node on a line that is not understood would be taken for one that is gone.
                        self.corosync().complete()?;
                        names_of_nodes(corosync, || gather.folder(NODES))?
                    }
                    Err(Stop::NotApplicable(_)) => BTreeSet::new(),
                    Err(stop @ Stop::Unknown(_)) => return Err(stop),
                };
                nodes.extend(self.node_name());
                Ok(nodes)
            })
        })
    }

    /// The host keys of the nodes as the cluster knows them; a node without its file is not known by it.
    pub fn node_host_keys(&self) -> &Fact<BTreeMap<String, Vec<PublicKey>>> {
        self.ssh_keys.node_host_keys.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                gather.take(self.cluster_files())?;
                let mut nodes = BTreeMap::new();
                for entry in gather.folder(NODES) {
                    let path = format!("{NODES}/{}/ssh_known_hosts", entry.name);
                    // pve-cluster ends the file without a newline; a key that was cut is none.
                    let text = match gather.files().text(&path) {
                        Ok(text) => text,
                        Err(trouble) if trouble.is_missing() => continue,
                        Err(trouble) => {
                            gather.doubt(trouble);
                            continue;
                        }
                    };
                    let keys: Vec<PublicKey> =
                        ssh_keys::host_keys(&text).into_iter().map(|(_, key)| key).collect();
                    if keys.is_empty() {
                        gather.doubt(Doubt::about(&path, "holds no host key"));
                    }
                    nodes.insert(entry.name, keys);
                }
                Ok(nodes)
            })
        })
    }

    /// The host keys sshd is told to use.
    pub fn host_keys(&self) -> &Fact<Vec<HostKey>> {
        self.ssh_keys.host_keys.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let sshd = gather.take(self.sshd())?;
                let config = sshd.in_force()?;
                let paths = config.values_of("hostkey").iter().map(|value| value.text.as_str());
                let paths: BTreeSet<&str> = paths.filter(|path| *path != "none").collect();
                let key = |path: &str| HostKey {
                    path: path.to_owned(),
                    meta: match gather.files().stat(path) {
                        Ok(meta) => Ok(Some(meta)),
                        Err(trouble) if trouble.is_missing() => Ok(None),
                        Err(trouble) => Err(trouble.into()),
                    },
                    public: gather
                        .files()
                        .text(&format!("{path}.pub"))
                        .ok()
                        .and_then(|text| PublicKey::in_file(&text)),
                };
                Ok(paths.into_iter().map(key).collect())
            })
        })
    }

    /// The sizes of the primes for key exchanges in groups that are agreed on, in bits (moduli(5)).
    pub fn moduli(&self) -> &Fact<Vec<u32>> {
        self.ssh_keys.moduli.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let text = gather.required(MODULI)?;
                let mut sizes = Vec::new();
                for (line, text) in crate::formats::numbered(&text) {
                    if text.trim().is_empty() || text.starts_with('#') {
                        continue;
                    }
                    // time, type, tests, tries, size, generator, modulus; the size is that of the modulus less one.
                    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
                    match fields.get(4).and_then(|size| size.parse::<u32>().ok()) {
                        Some(size) if fields.len() == 7 => sizes.push(size.saturating_add(1)),
                        _ => gather.doubt(Doubt::at(MODULI, line, "is no line of moduli, sshd ignores it")),
                    }
                }
                Ok(sizes)
            })
        })
    }
}

/// The short names of the nodes (`PVE::Corosync::parse_conf`: `name`, or else `ring0_addr`). Where that is an address,
/// the names are those of the folders that belong to no other node, if they are as many.
fn names_of_nodes(
    corosync: &CorosyncConf,
    folders: impl FnOnce() -> Vec<Entry>,
) -> Result<BTreeSet<String>, Stop> {
    let mut names = BTreeSet::new();
    let mut addresses = 0;
    for node in &corosync.nodes {
        let told = name_of_node(node)
            .ok_or_else(|| Stop::unknown(COROSYNC_CONF, "has a node with neither `name` nor `ring0_addr`"))?;
        if told.parse::<IpAddr>().is_ok() {
            addresses += 1;
        } else {
            names.insert(told.split('.').next().unwrap_or(told).to_owned());
        }
    }
    if addresses > 0 {
        let mut left = folders();
        left.retain(|entry| !names.contains(&entry.name));
        if left.len() != addresses {
            return Err(Stop::unknown(COROSYNC_CONF, "has nodes whose names nothing tells"));
        }
        names.extend(left.into_iter().map(|entry| entry.name));
    }
    Ok(names)
}

fn name_of_node(node: &Node) -> Option<&str> {
    node.name.as_ref().or_else(|| node.addresses.get(&0)).map(|name| name.value.as_str())
}

/// The file `AuthorizedKeysFile` means for an account; `None` where it uses what is not followed.
fn expanded(file: &str, account: &str, home: &str) -> Option<String> {
    let mut path = String::new();
    let mut chars = file.chars();
    while let Some(c) = chars.next() {
        match c {
            '%' => match chars.next()? {
                '%' => path.push('%'),
                'h' => path += home,
                'u' => path += account,
                'U' => path.push('0'),
                _ => return None,
            },
            c => path.push(c),
        }
    }
    Some(if path.starts_with('/') { path } else { format!("{}/{path}", home.trim_end_matches('/')) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::Kind;
    use crate::formats::corosync_conf;

    #[test]
    fn the_files_of_an_account_are_below_its_home_or_named_after_it() {
        let path = |file| expanded(file, "toor", "/root");
        assert_eq!(path(".ssh/authorized_keys").as_deref(), Some("/root/.ssh/authorized_keys"));
        assert_eq!(path("/etc/keys/%u-%U").as_deref(), Some("/etc/keys/toor-0"));
        assert_eq!(path("%h/k%%").as_deref(), Some("/root/k%"));
        assert_eq!(path("/x/%z"), None);
    }

    /// The names by nodes with these lines and these folders, or nothing where they are not known.
    fn names(nodes: &[&str], folders: &[&str]) -> Option<String> {
        let text = nodes.iter().fold("nodelist {\n".to_owned(), |text, node| {
            text + &format!("node {{\nnodeid: 1\n{node}\n}}\n")
        });
        let parsed = corosync_conf::parse(&(text + "}\n"));
        assert_eq!(parsed.issues, []);
        let entry = |name: &&str| Entry { name: (*name).to_owned(), kind: Kind::Folder };
        let folders: Vec<Entry> = folders.iter().map(entry).collect();
        let names = names_of_nodes(&parsed.value, || folders).ok()?;
        Some(names.into_iter().collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn a_node_without_a_name_has_that_of_its_first_address() {
        let found = names(
            &["name: a", "ring0_addr: b", "name: c\nring0_addr: 192.0.2.3", "ring0_addr: d.example"],
            &[],
        );
        assert_eq!(found.as_deref(), Some("a b c d"));
        assert_eq!(names(&["name: a", "ring1_addr: b"], &["a", "b"]), None);
    }

    #[test]
    fn a_node_known_by_an_address_only_has_the_name_of_the_folder_that_is_left() {
        assert_eq!(names(&["name: a", "ring0_addr: 192.0.2.2"], &["a", "b"]).as_deref(), Some("a b"));
        assert_eq!(names(&["name: a", "ring0_addr: 192.0.2.2"], &["a"]), None);
        assert_eq!(names(&["name: a", "ring0_addr: 192.0.2.2"], &["a", "b", "gone"]), None);
        assert_eq!(names(&["name: a"], &["a", "gone"]).as_deref(), Some("a"));
    }
}
