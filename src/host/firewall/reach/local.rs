//! What the ruleset takes from the network of the node: its addresses, its routes, `local_network`.
//!
//! Follows `local_network` of `PVE/Firewall.pm` (the first route of the kernel that contains the address of the node)
//! and `management_ips` of proxmox-ve-config. Of a tree, `/etc/network/interfaces` stands for the kernel.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;

use super::walk::{Addresses, Among};
use crate::formats::firewall::address::{Cidr, Family};
use crate::formats::{hosts, network_command, proc_route, shown};
use crate::host::firewall::cover::AddressSet;
use crate::host::network::{INTERFACES, Interfaces};
use crate::host::{Doubt, Fact, Gather, Host};

const HOSTS: &str = "/etc/hosts";
const ROUTES_V4: &str = "/proc/net/route";
const ROUTES_V6: &str = "/proc/net/ipv6_route";

/// What upstream takes for the local network where no route contains the address of the node.
const LOOPBACK: Cidr = Cidr { address: IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), prefix: 8 };

/// Why the local network is not known.
const NO_LOCAL: &str = "the local network is not known: neither routes nor interfaces of this node tell it";

/// The network around the node.
#[derive(Debug, Default)]
pub(super) struct Local {
    /// Addresses by which the node is known.
    names: Vec<IpAddr>,
    /// Interfaces with their networks and the addresses in them.
    links: Vec<(String, Cidr)>,
    /// Routes in the order of the kernel: network and interface.
    routes: Vec<(Cidr, String)>,
    /// Interfaces that are ports of a bridge or parts of a bond.
    members: BTreeSet<String>,
    /// Whether all addresses and routes are known.
    complete: bool,
    /// Whether links and routes were read at all.
    seen: bool,
    /// The families whose routes are those of the running kernel.
    kernel: BTreeSet<Family>,
    pub(super) doubts: Vec<Doubt>,
}

impl Local {
    pub(super) fn gather(host: &Host) -> Self {
        let fact = Fact::gather(&host.files, |gather| {
            let mut local = Self { names: names(host, gather), ..Self::default() };
            local.read_interfaces(host, gather);
            local.read_routes(gather);
            Ok(local)
        });
        // Without a value there is nothing that stops it.
        Self { doubts: fact.doubts, ..fact.value.unwrap_or_default() }
    }

    fn read_interfaces(&mut self, host: &Host, gather: &mut Gather<'_>) {
        let fact = host.interfaces();
        let Ok(interfaces) = &fact.value else {
            let missing = host.files.stat(INTERFACES).is_err_and(|trouble| trouble.is_missing());
            if !missing {
                gather.heed(fact);
            }
            return;
        };
        gather.heed(fact);
        self.seen = true;
        // What was not understood may be an address or a route.
        self.complete = fact.doubts.is_empty();
        for interface in interfaces.all.values() {
            let methods = interface.stanzas.iter().map(|stanza| stanza.value.1.as_str());
            self.complete &= methods
                .into_iter()
                .all(|method| matches!(method, "" | "static" | "manual" | "loopback" | "none"));
            let (networks, wrong) = interface.networks();
            for attribute in wrong {
                let what = format!("{} is no {}", shown(&attribute.value.value), attribute.value.name);
                gather.doubt(Doubt::at(&attribute.path, attribute.line, what));
            }
            let possible = networks.into_iter().filter(|cidr| cidr.is_possible());
            self.links.extend(possible.map(|cidr| (interface.name.clone(), cidr)));
            let part = |name: &&str| interfaces.all.get(*name).is_none_or(|own| !own.speaks());
            self.members.extend(interface.members().filter(part).map(str::to_owned));
        }
        self.take_routes(interfaces, gather);
    }

    fn take_routes(&mut self, interfaces: &Interfaces, gather: &mut Gather<'_>) {
        let connected = self.links.iter().filter(|(_, cidr)| cidr.prefix < cidr.family().bits());
        let connected = connected.map(|(name, cidr)| (*cidr, name.clone()));
        let mut routes: Vec<(Cidr, String)> = connected.collect();
        for (interface, command) in interfaces.commands() {
            let effects = network_command::effects(&command.value.value, &interface.name);
            routes.extend(effects.routes);
            if effects.unclear {
                self.complete = false;
                let what = "runs a command that may add an address or a route and is not followed";
                gather.doubt(Doubt::at(&command.path, command.line, what));
            }
        }
        routes.extend(interfaces.all.values().flat_map(|interface| {
            let gateways = interface.every("gateway").filter_map(|one| one.value.value.parse().ok());
            gateways.map(|gateway| (network_command::whole(Family::of(gateway)), interface.name.clone()))
        }));
        // The kernel lists them by network, the wider one first.
        routes.sort_by_key(|(cidr, _)| (cidr.family(), cidr.bounds().map(|(first, _)| first), cidr.prefix));
        self.routes = routes;
    }

    /// The routes of the running kernel, if they are there, are better than what should be.
    fn read_routes(&mut self, gather: &mut Gather<'_>) {
        let v4 = gather.part(ROUTES_V4).map(|text| gather.parsed(ROUTES_V4, proc_route::parse_v4(&text)));
        let v6 = gather.part(ROUTES_V6).map(|text| gather.parsed(ROUTES_V6, proc_route::parse_v6(&text)));
        for (family, routes) in [(Family::V4, v4), (Family::V6, v6)] {
            let Some(routes) = routes else { continue };
            self.seen = true;
            self.kernel.insert(family);
            self.routes.retain(|(cidr, _)| cidr.family() != family);
            self.routes.extend(routes.into_iter().map(|route| (route.network, route.interface)));
        }
    }

    /// `local_network` of the iptables backend where no alias says it.
    pub(super) fn network(&self) -> Among {
        if self.names.is_empty() {
            return Among::perhaps(AddressSet::everything(), NO_LOCAL);
        }
        // Of a tree the files are all there is: what they do not tell may be one more route.
        let known = self.seen && (self.complete || self.is_from_kernel());
        let found = |own: &IpAddr| match self.first_route(*own) {
            Some(route) => AddressSet::network(route),
            None if known => AddressSet::network(LOOPBACK),
            None => AddressSet::empty(),
        };
        let union = |all: AddressSet, one: AddressSet| all.union(&one);
        let all = self.names.iter().map(found).fold(AddressSet::empty(), union);
        match (known, self.names.len()) {
            (true, 1) => Among::known(all),
            (true, _) => Among::perhaps(all, NO_LOCAL),
            (false, _) => {
                let around = self.names.iter().map(|own| widest_around(*own));
                let possible = around.fold(all.clone(), union);
                Among::perhaps(possible, NO_LOCAL)
            }
        }
    }

    fn first_route(&self, own: IpAddr) -> Option<Cidr> {
        let shortest = if own.is_ipv4() { 8 } else { 1 };
        let mut containing = self.routes.iter().map(|(cidr, _)| *cidr).filter(|cidr| {
            cidr.family() == Family::of(own)
                && cidr.prefix >= shortest
                && AddressSet::network(*cidr).contains(own)
        });
        containing.next()
    }

    /// The same of the nftables backend: the network of every interface that contains an address of the node.
    pub(super) fn networks(&self) -> Among {
        if !self.seen || self.names.is_empty() {
            let around = self.names.iter().map(|own| widest_around(*own));
            let set = around.reduce(|all, one| all.union(&one)).unwrap_or_else(AddressSet::everything);
            return Among::perhaps(set, NO_LOCAL);
        }
        let links = self.links.iter().map(|(_, cidr)| AddressSet::network(*cidr));
        let own = links.filter(|network| self.names.iter().any(|own| network.contains(*own)));
        let all = own.fold(AddressSet::empty(), |all, one| all.union(&one));
        if self.complete {
            return Among::known(all);
        }
        // Whoever has an address in a network has a route to it: the running kernel tells which ones may be.
        let possible = if self.is_from_kernel() {
            let routed = self.routes.iter().map(|(cidr, _)| *cidr).filter(|cidr| cidr.prefix > 0);
            let routed = routed.map(AddressSet::network);
            let around = routed.filter(|network| self.names.iter().any(|own| network.contains(*own)));
            around.fold(AddressSet::empty(), |all, one| all.union(&one))
        } else {
            self.names.iter().fold(AddressSet::empty(), |all, own| all.union(&widest_around(*own)))
        };
        let more = possible.subtract(&all);
        let maybe = Among::perhaps(more, NO_LOCAL).maybe.filter(|(set, _)| !set.is_empty());
        Among { sure: Rc::new(all), maybe }
    }

    /// The addresses of the node.
    pub(super) fn addresses(&self) -> Addresses {
        let all: BTreeSet<IpAddr> =
            self.names.iter().copied().chain(self.links.iter().map(|(_, cidr)| cidr.address)).collect();
        let of = |family| {
            let own = all.iter().filter(|address| Family::of(**address) == family).copied().map(Some);
            own.chain((!self.complete).then_some(None)).collect()
        };
        Addresses { v4: of(Family::V4), v6: of(Family::V6) }
    }

    /// Whether the routes to the addresses of the node are those of the running kernel.
    pub(super) fn is_from_kernel(&self) -> bool {
        self.names.iter().all(|own| self.kernel.contains(&Family::of(*own)))
    }

    /// The networks in which the node has an address, as far as they are known.
    pub(super) fn connected(&self) -> AddressSet {
        let networks: Vec<Cidr> = self.links.iter().map(|(_, cidr)| *cidr).collect();
        AddressSet::of_networks(&networks)
    }

    /// The networks in which the node has an address on this interface.
    pub(super) fn networks_on(&self, interface: &str) -> Vec<Cidr> {
        let own = self.links.iter().filter(|(name, _)| name == interface);
        own.map(|(_, cidr)| *cidr).collect()
    }

    /// The addresses the node has, as far as they are known: packets from them do not leave it.
    pub(super) fn own(&self) -> AddressSet {
        let all = self.names.iter().copied().chain(self.links.iter().map(|(_, cidr)| cidr.address));
        let hosts: Vec<Cidr> = all.map(Cidr::host).collect();
        AddressSet::of_networks(&hosts)
    }

    /// The sources whose packets come in through an interface, as far as the routes tell: those it sends answers to.
    pub(super) fn behind(&self, interface: &str) -> Among {
        let why = format!("it hangs on the interface packets come in through, {interface}");
        let routed = self.routes.iter().any(|(_, name)| name == interface);
        // Packets come to the node through the bridge, not through a port of it.
        if !routed && self.members.contains(interface) {
            return Among::known(AddressSet::empty());
        }
        if !self.seen || !routed {
            return Among::perhaps(AddressSet::everything(), &why);
        }
        let mut best: BTreeMap<(u32, Cidr), &str> = BTreeMap::new();
        for (cidr, name) in &self.routes {
            best.entry((u32::MAX.saturating_sub(cidr.prefix), *cidr)).or_insert(name);
        }
        let (mut taken, mut sure) = (AddressSet::empty(), AddressSet::empty());
        for ((_, cidr), name) in best {
            let fresh = AddressSet::network(cidr).subtract(&taken);
            taken = taken.union(&fresh);
            if name == interface {
                sure = sure.union(&fresh);
            }
        }
        let mut found = Among::known(sure);
        let rest = AddressSet::everything().subtract(&taken);
        if !rest.is_empty() || !self.complete {
            let doubtful = if self.complete { rest } else { AddressSet::everything() };
            found.maybe = Among::perhaps(doubtful, &why).maybe;
        }
        found
    }
}

/// The addresses by which the cluster and the resolver know the node.
fn names(host: &Host, gather: &mut Gather<'_>) -> Vec<IpAddr> {
    let told = host.firewall_addresses();
    if !told.is_empty() {
        return told;
    }
    let Some(name) = host.node_name() else { return Vec::new() };
    let Some(text) = gather.part(HOSTS) else { return Vec::new() };
    let entries = hosts::parse(&text).value;
    let own = entries.iter().filter(|entry| entry.names.contains(&name));
    let mut found: Vec<IpAddr> =
        own.map(|entry| entry.address).filter(|address| !address.is_loopback()).collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// The widest network around an address that upstream takes for the local one.
fn widest_around(own: IpAddr) -> AddressSet {
    let prefix = if own.is_ipv4() { 8 } else { 1 };
    AddressSet::network(Cidr { address: own, prefix }).union(&AddressSet::network(LOOPBACK))
}
