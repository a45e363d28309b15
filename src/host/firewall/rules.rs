//! The rules of a file with groups and macros written out, and which of them open a TCP port.
//!
//! Each rule is looked at by itself, as the iptables backend loads it: neither the order of rules nor policies nor
//! the implicit rules count here.

use super::cover::{AddressSet, Reach};
use crate::formats::firewall::address::{Address, Family};
use crate::formats::firewall::names::Names;
use crate::formats::firewall::port::{self, Ports};
use crate::formats::firewall::rule::{Direction, Rule, Target};
use crate::formats::firewall::{Firewall, Verdict};

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

    fn addresses(&self, address: Option<&Address>, names: &Names<'_>) -> Option<AddressSet> {
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
/// is cluster.fw if `firewall` is not.
pub fn written_out<'a>(
    firewall: &'a Firewall,
    datacenter: Option<&'a Firewall>,
    direction: Direction,
) -> Vec<Match<'a>> {
    let names = Names::of(firewall, datacenter);
    let mut matches = Vec::new();
    for rule in firewall.rules.iter().filter(|rule| rule.enabled) {
        match &rule.target {
            Target::Group(name) => {
                let group = names.datacenter.and_then(|file| file.groups.get(name));
                let end = group.and_then(|group| match direction {
                    Direction::In => group.broken_in,
                    Direction::Out => group.broken_out,
                    Direction::Forward | Direction::Group => None,
                });
                let rules = group.into_iter().flat_map(|group| &group.rules);
                let loaded = rules.filter(|inner| end.is_none_or(|end| inner.line < end));
                for inner in loaded.filter(|inner| inner.enabled && inner.direction == direction) {
                    write_out(inner, Some(rule), &mut matches);
                }
            }
            _ if rule.direction == direction => write_out(rule, None, &mut matches),
            _ => {}
        }
    }
    matches
}

fn write_out<'a>(rule: &'a Rule, call: Option<&'a Rule>, matches: &mut Vec<Match<'a>>) {
    let Some(verdict) = rule.target.verdict() else { return };
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
}

/// A rule that lets a TCP port in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accept<'a> {
    /// The rule. In a security group it stands in cluster.fw.
    pub rule: &'a Rule,
    /// The rule that calls the security group, if `rule` stands in one.
    pub call: Option<&'a Rule>,
    /// The interface packets must come in through; none for any.
    pub interface: Option<&'a str>,
    /// From where; none if that cannot be told from the firewall files.
    pub source: Option<AddressSet>,
    /// To where; none if that cannot be told from the firewall files.
    pub destination: Option<AddressSet>,
}

impl Accept<'_> {
    /// How far the sources reach; none if that cannot be told from the firewall files.
    pub fn reach(&self) -> Option<Reach> {
        self.source.as_ref().map(AddressSet::reach)
    }

    /// Line in the file that was asked about: of the call if the rule stands in a security group.
    pub fn line(&self) -> u32 {
        self.call.unwrap_or(self.rule).line
    }
}

/// The enabled rules that accept inbound TCP to `port`, in order, each with its sources of both families.
/// `datacenter` is cluster.fw if `firewall` is not.
pub fn tcp_accepts<'a>(
    firewall: &'a Firewall,
    datacenter: Option<&'a Firewall>,
    port: u16,
) -> Vec<Accept<'a>> {
    let names = &Names::of(firewall, datacenter);
    let mut accepts: Vec<Accept<'a>> = Vec::new();
    let inbound = written_out(firewall, datacenter, Direction::In);
    for found in inbound.into_iter().filter(|found| found.verdict == Verdict::Accept && found.takes_tcp(port))
    {
        let (source, destination) = (found.source(names), found.destination(names));
        match accepts.last_mut() {
            Some(last) if is_same(last, &found) => {
                last.source = join(last.source.take(), source);
                last.destination = join(last.destination.take(), destination);
            }
            _ => {
                let (rule, call, interface) = (found.rule, found.call, found.interface());
                accepts.push(Accept { rule, call, interface, source, destination });
            }
        }
    }
    accepts
}

/// Whether a match belongs to the rule of an answer: the same rule for the other family, or another row of its macro.
fn is_same(accept: &Accept<'_>, found: &Match<'_>) -> bool {
    let same = |a: Option<&Rule>, b: Option<&Rule>| a.map(|rule| rule.line) == b.map(|rule| rule.line);
    std::ptr::eq(accept.rule, found.rule) && same(accept.call, found.call)
}

fn join(one: Option<AddressSet>, other: Option<AddressSet>) -> Option<AddressSet> {
    Some(one?.union(&other?))
}
