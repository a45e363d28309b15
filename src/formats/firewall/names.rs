//! Where aliases and sets are looked up when the ruleset is generated.
//!
//! Follows `resolve_alias`, `ipt_gen_src_or_dst_match` and `generate_ipset_chains` of `PVE/Firewall.pm`. The
//! parser's own check ignores scopes; the generator, followed here, does not.

use super::address::{Address, Cidr, Reference, Scope};
use super::rule::{Direction, Rule};
use super::{Alias, Firewall, IpSet, Level, MemberAddress};
use crate::formats::shown;

/// The two files in which names are looked up.
#[derive(Debug, Clone, Copy, Default)]
pub struct Names<'a> {
    /// cluster.fw.
    pub datacenter: Option<&'a Firewall>,
    /// The guest's own file; it shadows cluster.fw.
    pub own: Option<&'a Firewall>,
}

/// What the name of a set leads to.
#[derive(Debug, Clone, Copy)]
pub enum Found<'a> {
    /// A set, with the files its members are looked up in.
    Set(&'a IpSet, Names<'a>),
    /// A set made from the software-defined network, which is in no firewall file.
    Network,
}

impl<'a> Names<'a> {
    /// Where the rules of `firewall` look names up; `datacenter` is cluster.fw if `firewall` is not.
    pub fn of(firewall: &'a Firewall, datacenter: Option<&'a Firewall>) -> Self {
        match firewall.level {
            Level::Datacenter => Self { datacenter: Some(firewall), own: None },
            Level::Node | Level::Vnet => Self { datacenter, own: None },
            Level::Guest => Self { datacenter, own: Some(firewall) },
        }
    }

    /// The same for the rules of security groups, which see cluster.fw only.
    #[must_use]
    pub fn of_groups(self) -> Self {
        Self { datacenter: self.datacenter, own: None }
    }

    /// The alias a reference leads to.
    pub fn alias(&self, reference: &Reference) -> Option<&'a Alias> {
        let own = self.own.filter(|_| reference.scope != Some(Scope::Datacenter));
        let datacenter = self.datacenter.filter(|_| reference.scope != Some(Scope::Guest));
        let find = |file: &'a Firewall| file.aliases.get(&reference.name);
        own.and_then(find).or_else(|| datacenter.and_then(find))
    }

    /// The set a reference leads to.
    pub fn set(&self, reference: &Reference) -> Option<Found<'a>> {
        let may = |scope| reference.scope.is_none_or(|written| written == scope);
        let own = self.own.filter(|_| may(Scope::Guest)).and_then(|file| file.sets.get(&reference.name));
        if let Some(set) = own {
            return Some(Found::Set(set, *self));
        }
        let datacenter = self.datacenter.filter(|_| may(Scope::Datacenter));
        if let Some(set) = datacenter.and_then(|file| file.sets.get(&reference.name)) {
            return Some(Found::Set(set, self.of_groups()));
        }
        (may(Scope::Sdn) && is_network_set(reference)).then_some(Found::Network)
    }

    /// The members of a set as they are loaded: address, prefix length and `nomatch`. Of members of the same text
    /// the last counts.
    pub fn members(&self, set: &IpSet) -> Vec<(Cidr, bool, u32)> {
        let mut loaded = std::collections::BTreeMap::new();
        for member in &set.members {
            let cidr = match &member.what {
                MemberAddress::Network(cidr) => Some(*cidr),
                MemberAddress::Alias(reference) => self.alias(reference).map(|alias| alias.cidr),
            };
            if let Some(cidr) = cidr {
                loaded.insert(cidr, (member.nomatch, member.line));
            }
        }
        loaded.into_iter().map(|(cidr, (nomatch, line))| (cidr, nomatch, line)).collect()
    }

    /// Why the generator leaves a rule out although the parser takes its names.
    pub(super) fn unresolved(&self, rule: &Rule) -> Option<String> {
        if rule.direction == Direction::Forward {
            return None; // never generated for iptables
        }
        rule.addresses().find_map(|address| match address {
            Address::Alias(name) if self.alias(name).is_none() => {
                Some(format!("the scope of the alias {} does not lead to one", shown(&name.to_string())))
            }
            Address::Set(name) if self.set(name).is_none() => {
                Some(format!("the scope of the set {} does not lead to one", shown(&name.to_string())))
            }
            _ => None,
        })
    }
}

/// Whether a name may be one of the sets that the software-defined network brings: every name with the scope
/// `sdn/`, and without a scope the names upstream gives (`VNET-all`, `VNET-gateway`, `VNET-no-gateway`,
/// `VNET-dhcp`, `guest-ipam-VMID`).
pub fn is_network_set(reference: &Reference) -> bool {
    let name = reference.name.as_str();
    match reference.scope {
        Some(Scope::Sdn) => true,
        Some(_) => false,
        None => {
            ["-all", "-gateway", "-dhcp"].iter().any(|end| name.ends_with(end))
                || name.starts_with("guest-ipam-")
        }
    }
}
