//! What `/etc/pve/datacenter.cfg` sets for the whole cluster.

use std::cell::OnceCell;

use super::{Fact, Host};
use crate::formats::datacenter_cfg::{self, DatacenterCfg};

/// The settings of the datacenter.
pub const DATACENTER_CFG: &str = "/etc/pve/datacenter.cfg";

#[derive(Default)]
pub(super) struct Facts {
    cfg: OnceCell<Fact<DatacenterCfg>>,
}

impl Host {
    /// `/etc/pve/datacenter.cfg`. Without the file every setting has its default (`PVE::DataCenterConfig`: an
    /// empty configuration); a tree may just have lost it, which is a doubt.
    pub fn datacenter(&self) -> &Fact<DatacenterCfg> {
        self.datacenter.cfg.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                gather.take(self.cluster_files())?;
                let text = gather.optional(DATACENTER_CFG)?.unwrap_or_default();
                if text.trim().is_empty() {
                    self.defaults_hold(gather, DATACENTER_CFG);
                }
                Ok(gather.parsed(DATACENTER_CFG, datacenter_cfg::parse(&text)))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::files::{Files, Node, Tree};
    use crate::formats::datacenter_cfg::{DatacenterCfg, Transfer};
    use crate::host::{Host, Stop};
    use crate::live::Live;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (path, text) in files {
            tree.insert(path, Node::file(*text));
        }
        tree
    }

    fn live() -> Live {
        Live {
            nodename: "pve1".to_owned(),
            kernel_release: "6.17.2-1-pve".to_owned(),
            kernel_version: String::new(),
            booted: None,
        }
    }

    #[test]
    fn a_missing_file_means_the_defaults_and_in_a_tree_a_doubt() {
        let files = [("/etc/pve/user.cfg", "")];
        let running = Host::new(Files::memory(tree(&files)), Some(live()), None);
        assert_eq!(running.datacenter().value, Ok(DatacenterCfg::default()));
        assert_eq!(running.datacenter().doubts, []);
        let copied = Host::new(Files::memory(tree(&files)), None, None);
        assert_eq!(copied.datacenter().value, Ok(DatacenterCfg::default()));
        assert_eq!(copied.datacenter().doubts.len(), 1);
        let emptied = Host::new(Files::memory(tree(&[("/etc/pve/datacenter.cfg", "")])), None, None);
        assert_eq!(emptied.datacenter().doubts.len(), 1);
    }

    #[test]
    fn the_last_line_of_a_key_counts() {
        let files = [("/etc/pve/datacenter.cfg", "migration: secure\nmigration: insecure\n")];
        let host = Host::new(Files::memory(tree(&files)), None, None);
        let fact = host.datacenter();
        assert_eq!(fact.value.as_ref().map(DatacenterCfg::effective_migration), Ok(Transfer::Insecure));
        assert_eq!(fact.doubts, []);
    }

    #[test]
    fn off_proxmox_there_is_no_datacenter() {
        let files = [("/var/lib/dpkg/status", "Package: apt\nStatus: install ok installed\nVersion: 1\n")];
        let host = Host::new(Files::memory(tree(&files)), None, None);
        assert!(matches!(host.datacenter().value, Err(Stop::NotApplicable(_))));
    }
}
