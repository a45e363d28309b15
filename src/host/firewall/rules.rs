//! The rules of a file with groups and macros written out.
//!
//! Each rule is looked at by itself, as the iptables backend loads it: neither the order of rules nor policies nor
//! the implicit rules count here.

use std::collections::BTreeMap;

use super::cover::AddressSet;
use crate::formats::firewall::address::{Address, Family};
use crate::formats::firewall::names::Names;
use crate::formats::firewall::port::{self, Ports};
use crate::formats::firewall::rule::{Direction, Rule, Target};
use crate::formats::firewall::{Firewall, Group, Verdict};

/// Protocol number that stands for every protocol.
const ANY_PROTOCOL: u16 = 0;
/// Protocol number of TCP.
const TCP: u16 = 6;

/// A rule as it is matched: one family, macros and groups written out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match<'a> {
    /// The rule that says so. In a security group it stands in cluster.fw.
    pub rule: &'a Rule,
    /// The rule that calls the security group, if `rule` stands in one.
    pub call: Option<&'a Rule>,
    /// The family it is loaded for.
    pub family: Family,
    /// Protocol number; none for all.
    pub protocol: Option<u16>,
    /// Destination ports; none for all.
    pub dport: Option<Ports>,
    /// Source ports; none for all. Whoever attacks chooses them.
    pub sport: Option<Ports>,
    /// What happens to packets.
    pub verdict: Verdict,
}

impl<'a> Match<'a> {
    /// The interface packets must come in through; none for any.
    pub fn interface(&self) -> Option<&'a str> {
        self.call.unwrap_or(self.rule).interface.as_deref()
    }

    /// The sources it matches; none if they cannot be told from the firewall files.
    pub fn source(&self, names: &Names<'_>) -> Option<AddressSet> {
        self.addresses(self.rule.source.as_ref(), names)
    }

    /// The destinations it matches; none if they cannot be told from the firewall files.
    pub fn destination(&self, names: &Names<'_>) -> Option<AddressSet> {
        self.addresses(self.rule.dest.as_ref(), names)
    }

    /// What `address` of this rule matches; none if it cannot be told from the firewall files.
    pub(super) fn addresses(&self, address: Option<&Address>, names: &Names<'_>) -> Option<AddressSet> {
        let whole = AddressSet::family(self.family);
        let names = if self.call.is_some() { names.of_groups() } else { *names };
        match address {
            None => Some(whole),
            Some(address) => Some(AddressSet::address(address, &names)?.intersect(&whole)),
        }
    }

    /// Whether it can match TCP packets to this port.
    pub fn takes_tcp(&self, port: u16) -> bool {
        let protocol = self.protocol.is_none_or(|number| number == ANY_PROTOCOL || number == TCP);
        protocol && self.dport.as_ref().is_none_or(|ports| ports.contains(port))
    }
}

/// The enabled rules of one direction in the order they are matched, groups and macros written out. `datacenter`
/// is cluster.fw if `firewall` is not. Groups may be called so often that only a lazy answer fits into memory.
pub fn written_out<'a>(
    firewall: &'a Firewall,
    datacenter: Option<&'a Firewall>,
    direction: Direction,
) -> impl Iterator<Item = Match<'a>> {
    let groups = Names::of(firewall, datacenter).datacenter.map(|file| &file.groups);
    let enabled = firewall.rules.iter().filter(|rule| rule.enabled);
    let loaded = enabled.flat_map(move |rule| with_group(rule, groups, direction));
    loaded.flat_map(|(rule, call)| matches(rule, call))
}

/// The rule, or the rules of the group it calls, each with the call.
fn with_group<'a>(
    rule: &'a Rule,
    groups: Option<&'a BTreeMap<String, Group>>,
    direction: Direction,
) -> impl Iterator<Item = (&'a Rule, Option<&'a Rule>)> {
    let called = rule.target.group().and_then(|name| groups?.get(name));
    let end = called.and_then(|group| match direction {
        Direction::In => group.broken_in,
        Direction::Out => group.broken_out,
        Direction::Forward | Direction::Group => None,
    });
    let rules = called.into_iter().flat_map(|group| &group.rules);
    let loaded = rules.filter(move |inner| end.is_none_or(|end| inner.line < end));
    let inner = loaded.filter(move |inner| inner.enabled && inner.direction == direction);
    let own = (rule.target.group().is_none() && rule.direction == direction).then_some((rule, None));
    own.into_iter().chain(inner.map(move |inner| (inner, Some(rule))))
}

/// What one rule matches: for each family, and for each line of its macro.
fn matches<'a>(rule: &'a Rule, call: Option<&'a Rule>) -> Vec<Match<'a>> {
    let mut matches = Vec::new();
    let Some(verdict) = rule.target.verdict() else { return matches };
    for family in Family::BOTH.into_iter().filter(|family| rule.family.is_none_or(|only| only == *family)) {
        let plain = Match {
            rule,
            call,
            family,
            protocol: rule.protocol.as_deref().and_then(port::protocol_number),
            dport: rule.dport.clone(),
            sport: rule.sport.clone(),
            verdict,
        };
        let Target::Macro(known, _) = &rule.target else {
            matches.push(plain);
            continue;
        };
        matches.extend(known.rows(family).iter().map(|row| Match {
            protocol: port::protocol_number(row.protocol),
            dport: row.dports().or_else(|| plain.dport.clone()),
            sport: row.sports().or_else(|| plain.sport.clone()),
            ..plain.clone()
        }));
    }
    matches
}
