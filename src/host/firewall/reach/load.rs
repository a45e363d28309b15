//! What keeps the ruleset from being loaded: after a boot nothing is filtered then, later the rules of before stay.

use std::collections::BTreeSet;

use super::guest::cards;
use super::{Place, Reach, nftables};
use crate::formats::firewall::{Level, Unloaded};
use crate::formats::release::Release;
use crate::host::firewall::virtual_network::Said;
use crate::host::firewall::{Backend, File};
use crate::host::network::sdn::RUNNING_CONFIG;

/// A place that makes upstream or the kernel refuse the ruleset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal<'h> {
    /// The file.
    pub path: &'h str,
    /// The line, counted from 1; none if it is about the whole file.
    pub line: Option<u32>,
    /// What is refused.
    pub what: String,
}

impl<'h> Refusal<'h> {
    /// The place as what decides about every packet.
    pub(super) fn place(&self) -> Place<'h> {
        Place::named("ruleset-refused").because_of(self.path, self.line)
    }
}

/// What is refused.
#[derive(Debug, Default)]
pub(super) struct Refusals<'h> {
    /// The places that leave nothing loaded.
    pub(super) everything: Vec<Refusal<'h>>,
    /// The places that leave nothing loaded for IPv6.
    pub(super) ipv6: Vec<Refusal<'h>>,
}

/// A file that is part of the ruleset of the node.
pub(super) struct Source<'h> {
    pub(super) file: &'h File,
    /// Whether rules are made of it.
    pub(super) generated: bool,
}

/// cluster.fw, host.fw and the files of the guests of this node, as far as they could be read.
pub(super) fn sources<'h>(reach: &Reach<'h>, node_enabled: bool) -> Vec<Source<'h>> {
    let own = [reach.datacenter(), reach.node()].into_iter().flatten();
    let mut all: Vec<Source<'h>> = own.map(|file| Source { file, generated: node_enabled }).collect();
    let Ok(files) = reach.host.guest_firewalls().value.as_ref() else { return all };
    for guest in reach.guests() {
        let Some(file) = files.get(&guest.vmid).and_then(|fact| fact.value.as_ref().ok()) else { continue };
        if file.exists {
            // A guest whose configuration is not known may be filtered.
            let filtered = cards(guest).map_or(true, |cards| cards.iter().any(|card| card.filtered));
            all.push(Source { file, generated: filtered && file.firewall.is_enabled(reach.now) });
        }
    }
    all
}

/// What is refused of the files of this node.
pub(super) fn refusals<'h>(reach: &Reach<'h>) -> Refusals<'h> {
    let (Ok(node), Ok(backend)) = (reach.node(), reach.backend()) else { return Refusals::default() };
    match backend {
        Backend::Iptables => {
            let mut found = iptables(&sources(reach, node.firewall.is_enabled(reach.now)));
            found.everything.extend(whole_subnet(reach));
            found
        }
        Backend::Nftables => Refusals { everything: nftables::refusals(reach), ipv6: Vec::new() },
    }
}

/// A set takes no prefix of length 0, also one of the software-defined network.
fn whole_subnet<'h>(reach: &Reach<'h>) -> Option<Refusal<'h>> {
    let Said::Known(network) = &reach.host.virtual_network().applied else { return None };
    let mut subnets = network.vnets.values().flat_map(|vnet| &vnet.subnets);
    let whole =
        subnets.any(|subnet| subnet.network.prefix == 0 && reach.host.format_release() >= Release::Pve8);
    let what = "a set cannot hold the subnet of prefix length 0".to_owned();
    whole.then_some(Refusal { path: RUNNING_CONFIG, line: None, what })
}

fn iptables<'h>(sources: &[Source<'h>]) -> Refusals<'h> {
    let generated = sources.iter().filter(|source| source.generated);
    let rules = generated.flat_map(|source| &source.file.firewall.rules).filter(|rule| rule.enabled);
    let called: BTreeSet<&str> = rules.filter_map(|rule| rule.target.group()).collect();
    let mut found = Refusals::default();
    for source in sources {
        let firewall = &source.file.firewall;
        let rules: BTreeSet<u32> = firewall.rules.iter().map(|rule| rule.line).collect();
        let counts = firewall.load_failures.iter().filter(|failure| match &failure.group {
            Some(group) => called.contains(group.as_str()),
            None => source.generated || !rules.contains(&failure.line),
        });
        for failure in counts.filter(|_| firewall.level != Level::Vnet) {
            let refusal =
                Refusal { path: &source.file.path, line: Some(failure.line), what: failure.what.clone() };
            let place = match failure.unloaded {
                Unloaded::Everything => &mut found.everything,
                Unloaded::Ipv6 => &mut found.ipv6,
            };
            place.push(refusal);
        }
    }
    found
}
