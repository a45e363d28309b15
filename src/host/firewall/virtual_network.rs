//! What the firewall knows of the software-defined network: the sets that upstream makes of it.

use crate::files::Text;
use crate::formats::firewall::network::{self, Leases, Network, NetworkSet};
use crate::host::network::sdn::{RUNNING_CONFIG, VNETS_CFG};
use crate::host::{Doubt, Host, Stop};

/// The addresses that the IPAM of Proxmox VE gave to guests.
pub const IPAM: &str = "/etc/pve/sdn/pve-ipam-state.json";
/// Where they were before; read where [`IPAM`] is missing.
pub const OLD_IPAM: &str = "/etc/pve/priv/ipam.db";
/// A tree that was made without secrets lacks this folder.
const SECRETS: &str = "/etc/pve/priv";

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said<T> {
    /// This; of a missing file nothing.
    Known(T),
    /// Something upstream does not understand: it makes no set of the whole file.
    Refused {
        /// The file.
        path: &'static str,
        /// Why.
        why: String,
    },
    /// It cannot be told.
    Unknown(Doubt),
}

/// What the sets of the software-defined network are made of.
#[derive(Debug, Clone)]
pub struct VirtualNetwork {
    /// What is applied.
    pub applied: Said<Network>,
    /// The addresses of guests.
    pub leases: Said<Leases>,
}

impl VirtualNetwork {
    /// The set of this name; none if upstream makes no such set.
    ///
    /// # Errors
    /// Why it cannot be told.
    pub fn set(&self, name: &str) -> Result<Option<NetworkSet>, String> {
        fn known<T>(said: &Said<T>) -> Result<&T, String> {
            match said {
                Said::Known(value) => Ok(value),
                Said::Refused { path, why } => Err(format!("{path} {why}")),
                Said::Unknown(doubt) => Err(doubt.to_string()),
            }
        }
        if let Some(vmid) = network::guest_of_set(name) {
            let addresses = known(&self.leases)?.get(&vmid);
            return Ok(addresses.map(|addresses| NetworkSet {
                ranges: addresses.iter().map(|address| (*address, *address)).collect(),
                without: Vec::new(),
            }));
        }
        Ok(known(&self.applied)?.set(name))
    }

    /// What is not understood: file and reason.
    pub fn refused(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let applied = if let Said::Refused { path, why } = &self.applied { Some((*path, why)) } else { None };
        let leases = if let Said::Refused { path, why } = &self.leases { Some((*path, why)) } else { None };
        applied.into_iter().chain(leases).map(|(path, why)| (path, why.as_str()))
    }

    /// Why something is not known.
    pub fn unknown(&self) -> Option<&Doubt> {
        match (&self.applied, &self.leases) {
            (Said::Unknown(doubt), _) | (_, Said::Unknown(doubt)) => Some(doubt),
            _ => None,
        }
    }
}

impl Host {
    /// The software-defined network as the firewall reads it. A missing file holds nothing, unless a tree may have
    /// lost it.
    pub fn virtual_network(&self) -> &VirtualNetwork {
        self.firewall.network.get_or_init(|| {
            if let Err(stop) = &self.cluster_files().value {
                let why = || match stop {
                    Stop::Unknown(doubt) => doubt.clone(),
                    Stop::NotApplicable(why) => Doubt::about(RUNNING_CONFIG, why),
                };
                return VirtualNetwork { applied: Said::Unknown(why()), leases: Said::Unknown(why()) };
            }
            VirtualNetwork { applied: self.applied_network(), leases: self.leases() }
        })
    }

    fn applied_network(&self) -> Said<Network> {
        match self.text_of(RUNNING_CONFIG) {
            Ok(Some(text)) => said(RUNNING_CONFIG, &text, network::applied),
            Err(doubt) => Said::Unknown(doubt),
            Ok(None) => {
                let wanted = self.text_of(VNETS_CFG);
                let has_vnets = wanted.is_ok_and(|text| text.is_some_and(|text| !text.trim().is_empty()));
                if has_vnets && !self.is_live() {
                    let why = "is missing although there are virtual networks: what is applied is not known";
                    Said::Unknown(Doubt::about(RUNNING_CONFIG, why))
                } else {
                    Said::Known(Network::default())
                }
            }
        }
    }

    fn leases(&self) -> Said<Leases> {
        for path in [IPAM, OLD_IPAM] {
            match self.text_of(path) {
                Ok(Some(text)) => return said(path, &text, network::leases),
                Ok(None) => {}
                Err(doubt) => return Said::Unknown(doubt),
            }
        }
        if self.is_live() || self.files.list(SECRETS).is_ok() {
            Said::Known(Leases::new())
        } else {
            Said::Unknown(Doubt::about(IPAM, format!("and {OLD_IPAM} are not in this tree")))
        }
    }

    fn text_of(&self, path: &str) -> Result<Option<Text>, Doubt> {
        match self.files.text(path) {
            Ok(text) => Ok(Some(text)),
            Err(trouble) if trouble.is_missing() => Ok(None),
            Err(trouble) => Err(trouble.into()),
        }
    }
}

fn said<T>(path: &'static str, text: &str, read: impl Fn(&str) -> Result<T, String>) -> Said<T> {
    match read(text) {
        Ok(value) => Said::Known(value),
        Err(why) => Said::Refused { path, why },
    }
}
