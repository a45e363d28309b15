//! What the firewall lets through.
//!
//! The facts of node, guests and virtual networks do not repeat the doubts about cluster.fw, in which their names are
//! looked up: who takes them takes [`Host::datacenter_firewall`] first.

pub mod cover;
pub mod exposure;
pub mod reach;
pub mod service;
pub mod virtual_network;

#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::{Doubt, Fact, Gather, Host, Stop};
use crate::files::{Kind, Text, Trouble};
use crate::formats::Located;
use crate::formats::firewall::options::meant_to_enable;
use crate::formats::firewall::{self, Firewall, Level, nft};
use crate::formats::release::Release;

/// Options, rules and names of the datacenter.
pub const CLUSTER_FW: &str = "/etc/pve/firewall/cluster.fw";

/// Where the files of the guests are.
const GUEST_FOLDER: &str = "/etc/pve/firewall";

/// Where the files of the virtual networks are.
const VNET_FOLDER: &str = "/etc/pve/sdn/firewall";

/// The nftables backend. It works if `nftables: 1` stands in host.fw and this may be executed.
const NFTABLES_BACKEND: &str = "/usr/libexec/proxmox/proxmox-firewall";

/// The unit of the iptables backend; it decides which backend works, so nftables needs it too.
const FIREWALL_UNIT: &str = "pve-firewall.service";

/// The unit of the nftables backend.
const NFTABLES_UNIT: &str = "proxmox-firewall.service";

/// Where the administrator's own units stand, and the links that start units at boot.
const UNIT_FOLDER: &str = "/etc/systemd/system";

/// How many files are read at once: their texts are dropped before the next ones are read.
const READ_AT_ONCE: usize = 512;

#[derive(Default)]
pub(super) struct Facts {
    datacenter: OnceCell<Fact<File>>,
    node: OnceCell<Fact<File>>,
    guests: OnceCell<Fact<BTreeMap<u32, Fact<File>>>>,
    vnets: OnceCell<Fact<BTreeMap<String, Fact<File>>>>,
    backend: OnceCell<Fact<Backend>>,
    orphans: OnceCell<Fact<Vec<u32>>>,
    network: OnceCell<virtual_network::VirtualNetwork>,
}

/// A firewall file; a missing one has upstream's defaults.
#[derive(Debug, Clone, Default)]
pub struct File {
    /// Where it is or would be.
    pub path: String,
    /// Whether it is there.
    pub exists: bool,
    /// What upstream makes of it.
    pub firewall: Firewall,
    /// The lines on which somebody meant to switch it on, with the value as written.
    pub meant_to_enable: Vec<Located<String>>,
    /// What the nftables backend makes of it. Of guests and virtual networks only where that backend is asked for;
    /// none for a missing file.
    pub nft: Option<Result<nft::File, nft::Refused>>,
}

/// The program that loads the rules into the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// pve-firewall, the default.
    Iptables,
    /// proxmox-firewall.
    Nftables,
}

impl Backend {
    /// The units that have to run.
    pub fn units(self) -> &'static [&'static str] {
        match self {
            Self::Iptables => &[FIREWALL_UNIT],
            Self::Nftables => &[FIREWALL_UNIT, NFTABLES_UNIT],
        }
    }
}

impl File {
    fn missing(path: &str, level: Level) -> Self {
        let firewall = Firewall { level, ..Firewall::default() };
        Self { path: path.to_owned(), exists: false, firewall, meant_to_enable: Vec::new(), nft: None }
    }

    /// The line that was meant to switch the firewall on and does not, if the last word of the file is such a line.
    pub fn lost_enable(&self) -> Option<&Located<String>> {
        let effective = self.firewall.options.enable.as_ref().map(|option| option.line);
        let last = self.meant_to_enable.last()?;
        let superseded = effective.is_some_and(|line| last.line < line);
        (!superseded).then_some(last)
    }
}

impl Host {
    /// `cluster.fw`. A missing file means upstream's defaults: the firewall is off everywhere.
    pub fn datacenter_firewall(&self) -> &Fact<File> {
        self.firewall.datacenter.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                gather.take(self.cluster_files())?;
                let release = self.format_release();
                let Some(text) = gather.optional(CLUSTER_FW)? else {
                    return Ok(File::missing(CLUSTER_FW, Level::Datacenter));
                };
                Ok(read(gather, CLUSTER_FW, &text, Level::Datacenter, release, None, true))
            })
        })
    }

    /// `host.fw` of this node. A missing file means upstream's defaults: once the firewall of the datacenter is on,
    /// the node is filtered.
    pub fn node_firewall(&self) -> &Fact<File> {
        self.firewall.node.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let datacenter = self.datacenter_for_names()?;
                let name = self
                    .node_name()
                    .ok_or_else(|| Stop::unknown("/etc/pve/local", "does not tell the name of this node"))?;
                let folder = format!("/etc/pve/nodes/{name}");
                // A wrong name or half a tree must not look like a node without a file.
                self.files.list(&folder)?;
                let path = format!("{folder}/host.fw");
                let Some(text) = gather.optional(&path)? else {
                    return Ok(File::missing(&path, Level::Node));
                };
                Ok(read(gather, &path, &text, Level::Node, self.format_release(), Some(datacenter), true))
            })
        })
    }

    /// `VMID.fw` of every guest of the cluster, by VMID. A missing file means upstream's default: the guest is not
    /// filtered. What keeps one file from being read is the trouble of this guest alone.
    pub fn guest_firewalls(&self) -> &Fact<BTreeMap<u32, Fact<File>>> {
        self.firewall.guests.get_or_init(|| {
            Fact::gather(&self.files, |_| {
                let datacenter = self.datacenter_for_names()?;
                // The doubts about the list of guests are those of the fact that lists them.
                let guests = self.guests().value.as_ref().map_err(Clone::clone)?;
                let path = |vmid: u32| (vmid, format!("{GUEST_FOLDER}/{vmid}.fw"));
                let paths = guests.all.iter().map(|guest| path(guest.vmid)).collect();
                Ok(self.read_many(paths, Level::Guest, datacenter))
            })
        })
    }

    /// The guests that have a firewall file and do not exist, in ascending order.
    pub fn orphaned_firewalls(&self) -> &Fact<Vec<u32>> {
        self.firewall.orphans.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let guests = gather.take(self.guests())?;
                let entries = gather.folder(GUEST_FOLDER);
                let files = entries.iter().filter_map(|entry| entry.name.strip_suffix(".fw")?.parse().ok());
                let known: BTreeSet<u32> = guests.all.iter().map(|guest| guest.vmid).collect();
                let orphans: BTreeSet<u32> = files.filter(|vmid| !known.contains(vmid)).collect();
                Ok(orphans.into_iter().collect())
            })
        })
    }

    /// The names of the interfaces of the running node; none of a tree.
    pub fn interface_names(&self) -> Fact<BTreeSet<String>> {
        /// Where the kernel lists them.
        const INTERFACES: &str = "/sys/class/net";
        Fact::gather(&self.files, |_| {
            let entries = self.files.list(INTERFACES)?;
            if entries.is_empty() {
                return Err(Stop::unknown(INTERFACES, "lists no interface"));
            }
            Ok(entries.into_iter().map(|entry| entry.name).collect())
        })
    }

    /// The firewall files of the virtual networks of the software-defined network, by name, of those that have one.
    pub fn vnet_firewalls(&self) -> &Fact<BTreeMap<String, Fact<File>>> {
        self.firewall.vnets.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let datacenter = self.datacenter_for_names()?;
                let entries = gather.folder(VNET_FOLDER);
                let names = entries.iter().filter_map(|entry| entry.name.strip_suffix(".fw"));
                let paths = names.map(|name| (name.to_owned(), format!("{VNET_FOLDER}/{name}.fw"))).collect();
                Ok(self.read_many(paths, Level::Vnet, datacenter))
            })
        })
    }

    /// Who loads the rules on this node. The doubts about host.fw are those of [`Host::node_firewall`].
    pub fn firewall_backend(&self) -> &Fact<Backend> {
        self.firewall.backend.get_or_init(|| {
            Fact::gather(&self.files, |_| {
                let node = self.node_firewall().value.as_ref().map_err(Clone::clone)?;
                if !node.firewall.nftables() {
                    return Ok(Backend::Iptables);
                }
                match self.files.stat(NFTABLES_BACKEND) {
                    Ok(meta) if meta.kind == Kind::File && meta.mode & 0o111 != 0 => Ok(Backend::Nftables),
                    Ok(_) => Err(Stop::unknown(NFTABLES_BACKEND, "is no program that can be executed")),
                    Err(trouble) if trouble.is_missing() => self.backend_of_packages(),
                    Err(trouble) => Err(trouble.into()),
                }
            })
        })
    }

    /// In a tree without programs the packages tell whether the nftables backend is there.
    fn backend_of_packages(&self) -> Result<Backend, Stop> {
        let installed = self.package_version("proxmox-firewall")?.is_some();
        match (installed, self.is_live()) {
            (true, false) => Ok(Backend::Nftables),
            _ => Ok(Backend::Iptables),
        }
    }

    /// The link that starts a unit of the firewall at boot, if there is one, and whether the unit is masked.
    pub fn firewall_unit(&self, unit: &str) -> Fact<(Option<String>, bool)> {
        Fact::gather(&self.files, |gather| {
            let units = gather.take(self.units())?;
            let wants = format!("{UNIT_FOLDER}/multi-user.target.wants");
            // A tree without this folder says nothing about units.
            self.files.list(&wants)?;
            let own = gather.folder(UNIT_FOLDER);
            if own.iter().any(|entry| entry.name == unit && entry.kind != Kind::Link) {
                let path = format!("{UNIT_FOLDER}/{unit}");
                gather.doubt(Doubt::about(&path, "replaces the unit of the package and is not examined"));
            }
            Ok((units.starts(unit).map(str::to_owned), units.mask(unit).is_some()))
        })
    }

    /// The units of the firewall that nothing starts at boot: what the rules say is not loaded then. Those of which that
    /// is not known are left out.
    pub fn firewall_not_started(&self) -> Vec<Doubt> {
        let Ok(backend) = &self.firewall_backend().value else { return Vec::new() };
        let not_started = backend.units().iter().filter_map(|unit| {
            let fact = self.firewall_unit(unit);
            let (link, masked) = fact.value.as_ref().ok()?;
            let why = match (link, masked) {
                (_, true) => "is masked: after a boot no rule is loaded",
                (None, false) => "is not started by any link: after a boot no rule is loaded",
                (Some(_), false) => return None,
            };
            Some(Doubt::about(&format!("{UNIT_FOLDER}/{unit}"), why))
        });
        not_started.collect()
    }

    /// The addresses under which the cluster knows this node; it may have others.
    pub fn firewall_addresses(&self) -> Vec<IpAddr> {
        let members = self.members().value.as_ref().ok();
        let node = members.zip(self.node_name()).and_then(|(members, name)| members.nodes.get(&name));
        let address = node.and_then(|node| node.ip.as_ref()).and_then(|address| address.parse().ok());
        address.into_iter().collect()
    }

    fn datacenter_for_names(&self) -> Result<&Firewall, Stop> {
        let datacenter = self.datacenter_firewall().value.as_ref().map_err(Clone::clone)?;
        Ok(&datacenter.firewall)
    }

    fn read_many<K: Ord>(
        &self,
        paths: BTreeMap<K, String>,
        level: Level,
        datacenter: &Firewall,
    ) -> BTreeMap<K, Fact<File>> {
        let (keys, paths): (Vec<K>, Vec<String>) = paths.into_iter().unzip();
        let mut all = Vec::with_capacity(paths.len());
        let by_nft = self.node_firewall().value.as_ref().is_ok_and(|node| node.firewall.nftables());
        for some in paths.chunks(READ_AT_ONCE) {
            for (path, answer) in some.iter().zip(self.files.texts(some)) {
                all.push(Fact::gather(&self.files, |gather| {
                    read_answer(gather, path, answer, level, self.format_release(), datacenter, by_nft)
                }));
            }
        }
        keys.into_iter().zip(all).collect()
    }
}

fn read_answer(
    gather: &mut Gather<'_>,
    path: &str,
    answer: Result<Text, Trouble>,
    level: Level,
    release: Release,
    datacenter: &Firewall,
    by_nft: bool,
) -> Result<File, Stop> {
    match answer {
        Ok(text) => {
            gather.part_of(path, Ok(text.clone()));
            Ok(read(gather, path, &text, level, release, Some(datacenter), by_nft))
        }
        Err(trouble) if trouble.is_missing() => Ok(File::missing(path, level)),
        Err(trouble) => Err(trouble.into()),
    }
}

fn read(
    gather: &mut Gather<'_>,
    path: &str,
    text: &str,
    level: Level,
    release: Release,
    datacenter: Option<&Firewall>,
    by_nft: bool,
) -> File {
    if text.trim().is_empty() {
        // Upstream removes a file with nothing in it.
        gather.doubt(Doubt::about(path, "is empty: its content may have been lost"));
    }
    let firewall = gather.parsed(path, firewall::parse(text, level, release, datacenter));
    let nft = by_nft.then(|| nft::parse(text, level));
    File { path: path.to_owned(), exists: true, firewall, meant_to_enable: meant_to_enable(text), nft }
}
