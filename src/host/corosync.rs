//! How the nodes of the cluster talk to each other: `corosync.conf`.

use std::cell::OnceCell;

use super::{Fact, Host, Stop};
use crate::formats::corosync_conf::{self, CorosyncConf};

/// The cluster's corosync configuration, from which every node's copy is made.
pub const COROSYNC_CONF: &str = "/etc/pve/corosync.conf";

/// The copy that corosync itself reads.
pub const COROSYNC_COPY: &str = "/etc/corosync/corosync.conf";

#[derive(Default)]
pub(super) struct Facts {
    shared: OnceCell<Fact<CorosyncConf>>,
    copy: OnceCell<Fact<CorosyncConf>>,
}

impl Host {
    /// `/etc/pve/corosync.conf`: what the cluster's nodes agree on. A node without it is in no cluster (not
    /// applicable), unless `.members` names one (unknown).
    pub fn corosync(&self) -> &Fact<CorosyncConf> {
        self.corosync.shared.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                gather.take(self.cluster_files())?;
                if let Some(text) = gather.optional(COROSYNC_CONF)? {
                    if text.trim().is_empty() {
                        return Err(Stop::unknown(COROSYNC_CONF, "is empty"));
                    }
                    return Ok(gather.parsed(COROSYNC_CONF, corosync_conf::parse(&text)));
                }
                let members = gather.take(self.members())?;
                Err(match &members.cluster {
                    Some(_) => Stop::unknown(COROSYNC_CONF, "is missing although this node is in a cluster"),
                    None => Stop::not_applicable("this node is in no cluster"),
                })
            })
        })
    }

    /// `/etc/corosync/corosync.conf`: the copy corosync reads. Not applicable on a node that is in no cluster
    /// (Debian's package ships an example there), unknown where the copy is missing.
    pub fn corosync_copy(&self) -> &Fact<CorosyncConf> {
        self.corosync.copy.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                gather.take(self.corosync())?;
                let text = gather.required(COROSYNC_COPY)?;
                Ok(gather.parsed(COROSYNC_COPY, corosync_conf::parse(&text)))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::files::{Files, Node, Tree};
    use crate::host::{Host, Stop};

    fn host(files: &[(&str, &str)]) -> Host {
        let mut tree = Tree::default();
        for (path, text) in files {
            tree.insert(path, Node::file(*text));
        }
        Host::new(Files::memory(tree), None, None)
    }

    const CLUSTER: &str = "{\"nodename\":\"a\",\"version\":1,\"cluster\":{\"name\":\"c\",\"version\":1,\"nodes\":1,\
                           \"quorate\":1},\"nodelist\":{\"a\":{\"id\":1,\"online\":1}}}\n";

    #[test]
    fn a_node_without_the_file_is_in_no_cluster() {
        let host = host(&[
            ("/etc/pve/.members", "{\"nodename\":\"a\",\"version\":0}\n"),
            ("/etc/corosync/corosync.conf", "totem {\n version: 2\n}\n"),
        ]);
        assert!(matches!(host.corosync().value, Err(Stop::NotApplicable(_))));
        assert!(matches!(host.corosync_copy().value, Err(Stop::NotApplicable(_))));
    }

    #[test]
    fn a_cluster_without_the_file_is_unknown() {
        let host = host(&[("/etc/pve/.members", CLUSTER)]);
        assert!(matches!(host.corosync().value, Err(Stop::Unknown(_))));
    }

    #[test]
    fn an_empty_file_is_unknown() {
        let host = host(&[("/etc/pve/corosync.conf", "\n")]);
        assert!(matches!(host.corosync().value, Err(Stop::Unknown(_))));
    }

    #[test]
    fn the_copy_is_read_on_a_clustered_node_only() {
        let text = "totem {\n  version: 2\n  secauth: on\n}\n";
        let host = host(&[("/etc/pve/corosync.conf", text), ("/etc/corosync/corosync.conf", text)]);
        assert_eq!(host.corosync().value.as_ref().unwrap().totem.crypto().cipher, "aes256");
        assert_eq!(host.corosync_copy().value, host.corosync().value);
    }
}
