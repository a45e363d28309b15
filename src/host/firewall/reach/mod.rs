//! Who reaches the node and its guests, and what decides it.
//!
//! Follows the rulesets that pve-firewall (`PVE/Firewall.pm`: `compile`, `enable_host_firewall`,
//! `generate_tap_rules_direction`) and proxmox-firewall (`firewall.rs`, `proxmox-firewall.nft`) generate, for the first
//! packet of a connection. Sources are sets of addresses: one walk along a chain tells about all of them. What cannot
//! be told is unknown for the sources it concerns, never closed.

mod answer;
mod guest;
mod iptables;
mod load;
mod local;
mod memo;
mod nftables;
mod out;
mod path;
mod service;
mod sets;
mod walk;

#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use self::local::Local;
use self::memo::Memo;
use self::walk::{Addresses, Among, Chain};
use super::cover::AddressSet;
use super::{Backend, File};
use crate::formats::firewall::Verdict;
use crate::formats::firewall::address::Family;
use crate::host::guests::Guest;
use crate::host::{Doubt, Host, Stop};

pub use self::answer::{Exposure, LocalNetwork, Outcome, Part, Place, Target};
pub use self::guest::GuestChains;
pub use self::load::Refusal;
pub use self::out::{Journey, Receiver, Sender};
pub use self::service::Served;

/// Protocol number of TCP.
pub const TCP: u16 = 6;
/// Protocol number of UDP.
pub const UDP: u16 = 17;

/// The name of the rule for packets that never leave the node.
pub const LOOPBACK: &str = "loopback";

/// The ruleset of a node.
pub struct Reach<'h> {
    host: &'h Host,
    now: i64,
    node_chain: OnceCell<Chain<'h>>,
    cluster_chain: OnceCell<Chain<'h>>,
    local: OnceCell<Local>,
    sets: iptables::Sets,
    nft_sets: nftables::Sets,
    /// The set `management` as each backend makes it.
    management: OnceCell<Among>,
    nft_management: OnceCell<Among>,
    refusals: OnceCell<load::Refusals<'h>>,
    network_sets: sets::NetworkSets,
    forwards: path::Forwards<'h>,
    memo: Memo,
}

impl Host {
    /// The ruleset of this node at `now` (Unix time).
    pub fn reach(&self, now: i64) -> Reach<'_> {
        Reach {
            host: self,
            now,
            node_chain: OnceCell::new(),
            cluster_chain: OnceCell::new(),
            local: OnceCell::new(),
            sets: iptables::Sets::default(),
            nft_sets: nftables::Sets::default(),
            management: OnceCell::new(),
            nft_management: OnceCell::new(),
            refusals: OnceCell::new(),
            network_sets: sets::NetworkSets::default(),
            forwards: path::Forwards::default(),
            memo: Memo::default(),
        }
    }
}

/// Why a fact is not there, in words.
fn why(stop: &Stop) -> String {
    match stop {
        Stop::Unknown(doubt) => doubt.to_string(),
        Stop::NotApplicable(why) => why.clone(),
    }
}

impl<'h> Reach<'h> {
    fn datacenter(&self) -> Result<&'h File, String> {
        self.host.datacenter_firewall().value.as_ref().map_err(why)
    }

    fn node(&self) -> Result<&'h File, String> {
        self.host.node_firewall().value.as_ref().map_err(why)
    }

    /// Who loads the rules.
    ///
    /// # Errors
    /// Why that is not known.
    pub fn backend(&self) -> Result<Backend, String> {
        self.host.firewall_backend().value.as_ref().copied().map_err(why)
    }

    /// Known addresses, kept once for all steps that name them.
    fn among(&self, set: AddressSet) -> Among {
        Among::known(self.memo.shared(set))
    }

    fn local(&self) -> &Local {
        self.local.get_or_init(|| Local::gather(self.host))
    }

    /// What was not read or not understood of all this.
    pub fn doubts(&self) -> Vec<Doubt> {
        let mut all: Vec<Doubt> = self.host.datacenter_firewall().doubts.clone();
        all.extend(self.host.node_firewall().doubts.iter().cloned());
        all.extend(self.host.firewall_backend().doubts.iter().cloned());
        all.extend(self.local().doubts.iter().cloned());
        if self.datacenter().is_ok_and(|datacenter| datacenter.firewall.is_enabled(self.now)) {
            all.extend(self.host.firewall_not_started());
        }
        // What the nftables backend does not understand of it keeps everything from being loaded.
        if self.backend() == Ok(Backend::Nftables) {
            all.extend(self.host.virtual_network().unknown().cloned());
        }
        all.sort();
        all.dedup();
        all
    }

    /// The same of the files of a guest.
    pub fn doubts_of(&self, guest: &Guest) -> Vec<Doubt> {
        let files = self.host.guest_firewalls().value.as_ref().ok();
        let file = files.and_then(|files| files.get(&guest.vmid)).map(|fact| &fact.doubts);
        guest.config.doubts.iter().chain(file.into_iter().flatten()).cloned().collect()
    }

    /// What keeps the whole ruleset from being loaded: nothing is filtered after boot.
    pub fn load_failed(&self) -> Option<&Refusal<'h>> {
        self.refusals().everything.first()
    }

    /// Every such place, and every place that keeps the rules for IPv6 from being loaded.
    pub fn refused(&self) -> (&[Refusal<'h>], &[Refusal<'h>]) {
        let refusals = self.refusals();
        (&refusals.everything, &refusals.ipv6)
    }

    fn refusals(&self) -> &load::Refusals<'h> {
        self.refusals.get_or_init(|| load::refusals(self))
    }

    /// Guests of this node.
    pub fn guests(&self) -> impl Iterator<Item = &'h Guest> + use<'h> {
        let host = self.host;
        let all = host.guests().value.as_ref().map(|guests| guests.all.as_slice()).unwrap_or_default();
        all.iter().filter(move |guest| guest.is_local(host))
    }

    /// The switch of the datacenter, if it is off.
    fn switched_off(&self, datacenter: &'h File) -> Option<Exposure<'h>> {
        if datacenter.firewall.is_enabled(self.now) {
            return None;
        }
        let line = datacenter.firewall.options.enable.as_ref().map(|option| option.line);
        Some(Exposure::open(Place::named("firewall-off").because_of(&datacenter.path, line)))
    }

    /// Who reaches a port of the target; ports and protocols by number.
    ///
    /// # Errors
    /// If there is no such guest on this node, or no such network card.
    pub fn exposure(&self, target: Target, protocol: u16, port: u16) -> Result<Exposure<'h>, String> {
        match target {
            Target::Node => Ok(self.node_exposure(protocol, port, None)),
            Target::Guest(vmid, card) => self.guest_exposure(vmid, card, protocol, port),
        }
    }

    /// What is decided before any rule: by what cannot be read, by the switch of the datacenter, by a ruleset that is
    /// not loaded.
    fn before_rules(&self) -> Result<(&'h File, &'h File, Backend), Exposure<'h>> {
        let unknown = |why: String| Exposure::unknown(&why);
        let datacenter = self.datacenter().map_err(unknown)?;
        if let Some(off) = self.switched_off(datacenter) {
            return Err(off);
        }
        let node = self.node().map_err(unknown)?;
        let backend = self.backend().map_err(unknown)?;
        if let Some(refusal) = self.load_failed() {
            return Err(Exposure::open(refusal.place()));
        }
        if backend == Backend::Nftables && !nftables::switched_on(datacenter, node) {
            return Err(Exposure::open(Place::named("firewall-off").because_of(&datacenter.path, None)));
        }
        Ok((datacenter, node, backend))
    }

    /// With nothing loaded for IPv6 everybody gets in through it.
    fn without_unloaded_v6(&self, exposure: Exposure<'h>) -> Exposure<'h> {
        let Some(refusal) = self.refusals().ipv6.first() else { return exposure };
        let (v4, v6) = (AddressSet::family(Family::V4), AddressSet::family(Family::V6));
        let kept =
            exposure.parts.into_iter().map(|part| Part { sources: part.sources.intersect(&v4), ..part });
        let mut parts: Vec<Part<'h>> = kept.filter(|part| !part.sources.is_empty()).collect();
        parts.push(Part { sources: v6, outcome: Outcome::Accept, place: refusal.place() });
        Exposure { parts, ..exposure }
    }

    /// The switch of the node, if it is off.
    fn node_off(&self, node: &'h File, backend: Backend) -> Option<Exposure<'h>> {
        let enabled = match backend {
            Backend::Iptables => node.firewall.is_enabled(self.now),
            Backend::Nftables => nftables::node_enabled(node),
        };
        let line = node.firewall.options.enable.as_ref().map(|option| option.line);
        let place = || Place::named("node-firewall-off").because_of(&node.path, line);
        (!enabled).then(|| Exposure::open(place()))
    }

    /// Who gets to a port of the node, at these addresses or at any of it.
    fn node_exposure(&self, protocol: u16, port: u16, at: Option<&Addresses>) -> Exposure<'h> {
        let (datacenter, node, backend) = match self.before_rules() {
            Ok(known) => known,
            Err(decided) => return decided,
        };
        if let Some(off) = self.node_off(node, backend) {
            return off;
        }
        let chain = self.chain_of_node(datacenter, node, backend);
        let addresses = at.unwrap_or(&chain.addresses);
        let mut parts = chain.walk_to(addresses, protocol, port, &self.memo);
        for (sources, vnet) in self.before_node(datacenter, backend) {
            let denied = vnet.walk_to(addresses, protocol, port, &self.memo);
            let outside = path::within(&parts, &AddressSet::everything().subtract(&sources));
            let inside = path::one_after_the_other(&path::within(&denied, &sources), &parts);
            parts = walk::joined(inside.into_iter().chain(outside).collect());
        }
        self.without_unloaded_v6(Exposure { filtering: true, parts })
    }

    /// The chains of virtual networks that the packets of these sources pass first.
    fn before_node(&self, datacenter: &'h File, backend: Backend) -> Vec<(AddressSet, Rc<Chain<'h>>)> {
        match backend {
            Backend::Iptables => Vec::new(),
            Backend::Nftables => self.vnets_before_node(datacenter),
        }
    }

    /// Who reaches these ports of the node: runs of ports with the same exposure.
    pub fn node_exposures(&self, protocol: u16, ports: (u16, u16)) -> Vec<(Vec<(u16, u16)>, Exposure<'h>)> {
        let runs = match self.before_rules() {
            Ok((datacenter, node, backend)) => {
                let chain = self.chain_of_node(datacenter, node, backend);
                let vnets = self.before_node(datacenter, backend);
                if vnets.is_empty() {
                    chain.runs(protocol, ports)
                } else {
                    let all = std::iter::once(chain).chain(vnets.iter().map(|(_, vnet)| vnet.as_ref()));
                    walk::runs_of(&all.collect::<Vec<_>>(), protocol, ports)
                }
            }
            Err(_) => vec![(ports, 0)],
        };
        alike(runs, |port| self.node_exposure(protocol, port, None))
    }

    /// Who would reach a TCP port of a node without rules of its own.
    ///
    /// # Errors
    /// Why cluster.fw is not known.
    pub fn of_cluster(&self, port: u16) -> Result<Exposure<'h>, String> {
        let datacenter = self.datacenter()?;
        let chain = self.cluster_chain.get_or_init(|| iptables::cluster(self, datacenter));
        Ok(Exposure { filtering: true, parts: chain.walk(TCP, port, &self.memo) })
    }

    fn chain_of_node(&self, datacenter: &'h File, node: &'h File, backend: Backend) -> &Chain<'h> {
        self.node_chain.get_or_init(|| match backend {
            Backend::Iptables => iptables::node(self, datacenter, node),
            Backend::Nftables => nftables::node(self, datacenter, node),
        })
    }

    /// The local network, from which the management ports are reached without a rule.
    ///
    /// # Errors
    /// Why it is not known.
    pub fn local_network(&self) -> Result<LocalNetwork<'h>, String> {
        let (datacenter, backend) = (self.datacenter()?, self.backend()?);
        let alias = datacenter.firewall.aliases.get(super::exposure::LOCAL_NETWORK);
        let found = match (alias, backend) {
            (Some(alias), _) => Among::known(AddressSet::network(alias.cidr)),
            (None, Backend::Iptables) => self.local().network(),
            (None, Backend::Nftables) => self.local().networks(),
        };
        if let Some((_, why)) = &found.maybe {
            return Err(why.to_string());
        }
        Ok(LocalNetwork {
            networks: found.sure.as_ref().clone(),
            connected: self.local().connected(),
            from_kernel: self.local().is_from_kernel(),
            pinned: alias.map(|alias| (datacenter.path.as_str(), alias.line)),
        })
    }

    /// The rules that deny management ports to sources that the nftables backend lets in before it looks at rules.
    pub fn denied_in_vain(&self) -> Vec<Place<'h>> {
        let Ok((datacenter, node, Backend::Nftables)) = self.before_rules() else { return Vec::new() };
        self.chain_of_node(datacenter, node, Backend::Nftables).denied_behind("management-set")
    }

    /// The enabled rules of a file that the nftables backend leaves out because a name leads nowhere, with what they
    /// were meant to do.
    pub fn left_out_by_nftables(&self, file: &File) -> Vec<(u32, Option<Verdict>)> {
        nftables::left_out(self, file)
    }

    /// What helpers of connection tracking open to everybody under the nftables backend: name, protocol, port and line
    /// of host.fw.
    pub fn opened_by_helpers(&self) -> Vec<(&'static str, u16, u16, u32)> {
        self.node().map(nftables::opened_by_helpers).unwrap_or_default()
    }

    /// The call of a security group behind which everything is let in that a guest with a filtered network card sends
    /// to the node, whatever its address.
    pub fn mark_leak(&self) -> Option<Place<'h>> {
        let (datacenter, node, backend) = self.before_rules().ok()?;
        let on = backend == Backend::Iptables && node.firewall.is_enabled(self.now);
        self.chain_of_node(datacenter, node, backend).leak.filter(|_| on)
    }
}

/// Runs of ports with the same exposure, by their first port; of runs of the same number it is asked for once.
fn alike<'h>(
    runs: Vec<((u16, u16), usize)>,
    of: impl Fn(u16) -> Exposure<'h>,
) -> Vec<(Vec<(u16, u16)>, Exposure<'h>)> {
    let mut groups: BTreeMap<usize, Vec<(u16, u16)>> = BTreeMap::new();
    for (ports, number) in runs {
        groups.entry(number).or_default().push(ports);
    }
    let mut found: Vec<(Vec<(u16, u16)>, Exposure<'h>)> = Vec::new();
    for ports in groups.into_values() {
        let Some((first, _)) = ports.first() else { continue };
        let exposure = of(*first);
        match found.iter_mut().find(|(_, known)| *known == exposure) {
            Some((known, _)) => known.extend(ports),
            None => found.push((ports, exposure)),
        }
    }
    for (ports, _) in &mut found {
        ports.sort_unstable();
        let joined: Vec<(u16, u16)> = ports.drain(..).fold(Vec::new(), |mut all, (first, last)| {
            match all.last_mut() {
                Some((_, end)) if end.checked_add(1) == Some(first) => *end = last,
                _ => all.push((first, last)),
            }
            all
        });
        *ports = joined;
    }
    found.sort_by(|(left, _), (right, _)| left.cmp(right));
    found
}
