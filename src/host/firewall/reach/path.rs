//! What lies on the way to a guest before its own chain: the rules for forwarded packets, which only the nftables
//! backend has.
//!
//! A packet that the bridge of a virtual network carries passes the chain of that network (`bridge-VNET`, hook `forward`
//! of a bridge); one that the node routes passes the chains of node and datacenter instead (hook `forward` of the
//! node). A source in a subnet of the network is carried, others may come either way.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::guest::Card;
use super::walk::{self, Addresses, Chain};
use super::{Backend, Outcome, Part, Place, Reach, nftables, why};
use crate::formats::firewall::Verdict;
use crate::formats::firewall::address::Cidr;
use crate::host::firewall::File;
use crate::host::firewall::cover::AddressSet;
use crate::host::firewall::virtual_network::Said;
use crate::host::network::Interface;

/// Why it is not known which chain a packet passes.
const EITHER_WAY: &str =
    "it hangs on whether the node routes the packet or the network carries it, which have rules of their own";

/// The chains of virtual networks by name, or why they are not known.
type Vnets<'h> = BTreeMap<&'h str, Result<Rc<Chain<'h>>, String>>;

/// The chains for forwarded packets.
#[derive(Default)]
pub(super) struct Forwards<'h> {
    vnets: OnceCell<Result<Vnets<'h>, String>>,
    /// None if it lets everything through.
    routed: OnceCell<Option<Rc<Chain<'h>>>>,
}

/// The way to a network card.
pub(super) struct Way<'h> {
    /// What the network carries passes this.
    carried: Carried<'h>,
    /// What the node routes passes this; none if nothing is denied there.
    routed: Option<Rc<Chain<'h>>>,
    /// The sources of which the network carries the packets; none for all.
    on_link: Option<AddressSet>,
    /// The sources whose packets the chain of the network does not see: those of a node without a firewall.
    unseen: AddressSet,
    addresses: Addresses,
}

enum Carried<'h> {
    Freely,
    By(Rc<Chain<'h>>),
    Unknown(String),
}

impl<'h> Reach<'h> {
    /// What lies on the way to a card; none if nothing does.
    pub(super) fn way(&self, card: &Card) -> Option<Way<'h>> {
        let Ok((datacenter, node, Backend::Nftables)) = self.before_rules() else { return None };
        let bridge = card.bridge.as_deref()?;
        let carried = match self.vnet_chains(datacenter) {
            Ok(chains) => match chains.get(bridge) {
                None => Carried::Freely,
                Some(Ok(chain)) => Carried::By(Rc::clone(chain)),
                Some(Err(why)) => Carried::Unknown(why.clone()),
            },
            Err(why) => Carried::Unknown(why.clone()),
        };
        let node_enabled = nftables::node_enabled(node);
        let routed = self.forwards.routed.get_or_init(|| {
            let chain = node_enabled.then(|| nftables::forward(self, datacenter, node));
            chain.filter(Chain::denies).map(Rc::new)
        });
        if matches!(carried, Carried::Freely) && routed.is_none() {
            return None;
        }
        let unseen = if node_enabled { AddressSet::empty() } else { self.local().own() };
        let on_link = self.on_link(bridge, matches!(carried, Carried::Freely));
        let addresses = Addresses::of_guest(&card.addresses);
        Some(Way { carried, routed: routed.clone(), on_link, unseen, addresses })
    }

    /// The sources of which the bridge carries the packets whatever the node routes; none for all. A bridge with a wire
    /// that denies nothing lets all others in as well.
    fn on_link(&self, bridge: &str, freely: bool) -> Option<AddressSet> {
        let networks = self.local().networks_on(bridge);
        let applied = &self.host.virtual_network().applied;
        if let Said::Known(network) = applied
            && let Some(vnet) = network.vnets.get(bridge)
        {
            let routed = vnet.kind.is_routed() || !networks.is_empty();
            let subnets = vnet.subnets.iter().map(|subnet| subnet.network);
            let all: Vec<Cidr> = subnets.chain(networks).collect();
            return routed.then(|| AddressSet::of_networks(&all));
        }
        let interfaces = self.host.interfaces().value.as_ref().ok();
        let known = interfaces.and_then(|interfaces| interfaces.all.get(bridge));
        let wired = known.map(Interface::has_ports);
        let all = match (freely, wired) {
            (true, Some(wired)) => wired,
            (true, None) => true,
            // Without an address on it the node does not route into it.
            (false, wired) => wired == Some(true) && networks.is_empty(),
        };
        (!all).then(|| AddressSet::of_networks(&networks))
    }

    /// The chains of virtual networks that deny something.
    pub(super) fn vnet_chains(&self, datacenter: &'h File) -> &Result<Vnets<'h>, String> {
        self.forwards.vnets.get_or_init(|| {
            let files = self.host.vnet_firewalls().value.as_ref().map_err(why)?;
            // The chains of bridges do not see what Open vSwitch carries. The network of a zone on it is a bridge of
            // its own, with a port of the switch.
            let interfaces = self.host.interfaces().value.as_ref().ok();
            let is_switch = |name: &str| {
                interfaces.and_then(|known| known.all.get(name)).is_some_and(Interface::is_ovs_bridge)
            };
            let files = files.iter().filter(|(name, _)| !is_switch(name));
            let chain = |file: &'h File| {
                nftables::vnet(self, datacenter, file).filter(Chain::denies).map(|chain| Ok(Rc::new(chain)))
            };
            let found = files.filter_map(|(name, fact)| {
                let made = match &fact.value {
                    Ok(file) => chain(file)?,
                    Err(stop) => Err(why(stop)),
                };
                Some((name.as_str(), made))
            });
            Ok(found.collect())
        })
    }

    /// What virtual networks do to packets of their guests to the node, if they do anything: they look at them before
    /// the rules of the node.
    pub(super) fn vnets_before_node(&self, datacenter: &'h File) -> Vec<(AddressSet, Rc<Chain<'h>>)> {
        let Ok(chains) = self.vnet_chains(datacenter) else { return Vec::new() };
        let known = chains.iter().filter_map(|(name, chain)| Some((name, chain.as_ref().ok()?)));
        let own = self.local().own();
        let found = known.map(|(name, chain)| {
            let sources = self.local().behind(name).sure.subtract(&own);
            (sources, Rc::clone(chain))
        });
        found.filter(|(sources, _)| !sources.is_empty()).collect()
    }
}

impl<'h> Way<'h> {
    /// The chains, for the ports that they tell apart.
    pub(super) fn chains(&self) -> impl Iterator<Item = &Chain<'h>> {
        let carried = if let Carried::By(chain) = &self.carried { Some(chain) } else { None };
        carried.into_iter().chain(&self.routed).map(Rc::as_ref)
    }

    /// What becomes of packets on the way.
    pub(super) fn parts(&self, protocol: u16, port: u16, reach: &Reach<'h>) -> Vec<Part<'h>> {
        let everything = AddressSet::everything();
        let (carried, routed) = self.both_ways(&self.addresses, protocol, port, reach);
        let seen = within(&carried, &everything.subtract(&self.unseen));
        let carried: Vec<Part<'h>> = seen.into_iter().chain(passed(self.unseen.clone())).collect();
        let Some(on_link) = &self.on_link else { return carried };
        let sure = on_link.union(&self.unseen);
        let outside = everything.subtract(&sure);
        let mut all = within(&carried, &sure);
        all.extend(either(&within(&carried, &outside), &routed));
        all
    }
}

impl<'h> Way<'h> {
    /// What becomes of packets that the card sends to these addresses.
    pub(super) fn parts_to(
        &self,
        to: &Addresses,
        protocol: u16,
        port: u16,
        reach: &Reach<'h>,
    ) -> Vec<Part<'h>> {
        let (carried, routed) = self.both_ways(to, protocol, port, reach);
        let all = || to.v4.iter().chain(&to.v6);
        let near = |on_link: &AddressSet| all().all(|to| to.is_some_and(|to| on_link.contains(to)));
        match &self.on_link {
            Some(on_link) if !near(on_link) => either(&carried, &routed),
            _ => carried,
        }
    }

    /// What becomes of packets that the network carries, and of those that the node routes.
    fn both_ways(
        &self,
        to: &Addresses,
        protocol: u16,
        port: u16,
        reach: &Reach<'h>,
    ) -> (Vec<Part<'h>>, Vec<Part<'h>>) {
        let pass = |chain: &Chain<'h>| chain.walk_to(to, protocol, port, &reach.memo);
        let everything = AddressSet::everything;
        let carried = match &self.carried {
            Carried::Freely => passed(everything()),
            Carried::By(chain) => pass(chain),
            Carried::Unknown(why) => vec![Part::unknown(everything(), why)],
        };
        let routed = self.routed.as_ref().map_or_else(|| passed(everything()), |chain| pass(chain));
        (carried, routed)
    }
}

/// Everything gets on.
fn passed<'h>(sources: AddressSet) -> Vec<Part<'h>> {
    vec![Part { sources, outcome: Outcome::Accept, place: Place::named("forward") }]
}

/// The same for these sources.
pub(super) fn within<'h>(parts: &[Part<'h>], sources: &AddressSet) -> Vec<Part<'h>> {
    let kept = parts.iter().map(|part| Part { sources: part.sources.intersect(sources), ..part.clone() });
    kept.filter(|part| !part.sources.is_empty()).collect()
}

/// What becomes of packets that may go one way or the other.
fn either<'h>(one: &[Part<'h>], other: &[Part<'h>]) -> Vec<Part<'h>> {
    let mut found = Vec::new();
    for left in one {
        for right in within(other, &left.sources) {
            let agreed = left.outcome.closedness() == right.outcome.closedness();
            let open = [left, &right].into_iter().find(|part| part.outcome == Outcome::Accept);
            found.push(match open {
                Some(open) if !agreed => {
                    let outcome =
                        Outcome::Unknown { why: Rc::from(EITHER_WAY), perhaps: Some(Verdict::Accept) };
                    let denied = if std::ptr::eq(open, left) { right.place } else { left.place };
                    Part { outcome, place: denied, ..right }
                }
                // Of two that are not open the one that is not known is more open.
                _ if left.outcome.closedness() < right.outcome.closedness() => {
                    Part { sources: right.sources, ..left.clone() }
                }
                _ => right,
            });
        }
    }
    found
}

/// What becomes of packets that pass one thing and then another.
pub(super) fn one_after_the_other<'h>(first: &[Part<'h>], then: &[Part<'h>]) -> Vec<Part<'h>> {
    let mut answers = Vec::new();
    for part in first {
        if part.outcome == Outcome::Accept {
            answers.extend(within(then, &part.sources));
            continue;
        }
        for behind in within(then, &part.sources) {
            // Whatever the first thing does, what the second one denies does not arrive.
            let closed = matches!(behind.outcome, Outcome::Drop | Outcome::Reject);
            let unsure = matches!(part.outcome, Outcome::Unknown { .. });
            answers.push(if closed && unsure {
                behind
            } else {
                Part { sources: behind.sources, ..part.clone() }
            });
        }
    }
    walk::joined(answers)
}
