//! A chain of proxmox-firewall that is being put together.

use std::rc::Rc;

use super::names::Names;
use crate::formats::firewall::address::{Family, Scope};
use crate::formats::firewall::macros::{self, MACROS, Row};
use crate::formats::firewall::nft::{Address, Name, Ports, Rule, Target};
use crate::formats::firewall::rule::Direction;
use crate::formats::firewall::{Verdict, port};
use crate::formats::shown;
use crate::host::firewall::cover::AddressSet;
use crate::host::firewall::exposure::MANAGEMENT;
use crate::host::firewall::reach::iptables::{MOST_STEPS, both, with_ports};
use crate::host::firewall::reach::walk::{Among, Chain, PortRanges, Step};
use crate::host::firewall::reach::{Place, Reach};

/// How deep security groups may call each other.
const DEEPEST: usize = 8;

/// The rows of a macro of exactly this name, as far as they are about ports.
pub(super) fn find_macro(name: &str) -> Option<Vec<Row>> {
    /// A macro that only this backend knows.
    const PBS: Row = Row { protocol: "tcp", dport: "8007", sport: "" };
    if name == "PBS" {
        return Some(vec![PBS]);
    }
    let known: &macros::Macro = MACROS.iter().find(|known| known.name == name)?;
    let mut rows: Vec<Row> = Vec::new();
    for row in Family::BOTH.into_iter().flat_map(|family| known.rows(family)) {
        if !rows.contains(row) {
            rows.push(*row);
        }
    }
    Some(rows)
}

/// A chain that is being put together.
pub(super) struct Builder<'r, 'h> {
    pub(super) reach: &'r Reach<'h>,
    pub(super) names: Names<'h>,
    pub(super) groups_at: &'h str,
    pub(super) management: Among,
    /// Which rules belong to the chain.
    pub(super) direction: Direction,
    /// Set for the chain of a guest: its network card.
    pub(super) card: Option<String>,
    pub(super) chain: Chain<'h>,
    pub(super) cut: bool,
}

impl<'h> Builder<'_, 'h> {
    pub(super) fn add(&mut self, step: Step<'h>) {
        self.cut |= self.chain.steps.len() >= MOST_STEPS;
        if !self.cut {
            self.chain.steps.push(step);
        }
    }

    pub(super) fn verdict(&self, verdict: Verdict) -> Verdict {
        // Where frames pass a bridge on the way in, nothing is answered.
        let in_bridge = self.card.is_some() && self.direction == Direction::In;
        if in_bridge && verdict == Verdict::Reject { Verdict::Drop } else { verdict }
    }

    pub(super) fn rules(
        &mut self,
        path: &'h str,
        rules: &'h [Rule],
        call: Option<Place<'h>>,
        within: Option<&Among>,
        depth: usize,
    ) {
        for rule in rules.iter().filter(|rule| rule.enabled) {
            if self.cut {
                return;
            }
            let within_own = match (&rule.interface, &self.card) {
                (None, _) => None,
                (Some(name), Some(card)) if name == card => None,
                (Some(_), Some(_)) => continue,
                // There is no interface to look at on the way through the node.
                (Some(_), None) if self.direction == Direction::Forward => continue,
                (Some(name), None) => Some(self.reach.local().behind(name)),
            };
            let limited = match (within, &within_own) {
                (Some(outer), Some(inner)) => Some(both(outer, inner)),
                (outer, inner) => outer.or(inner.as_ref()).cloned(),
            };
            let interface = rule.interface.as_deref().or(call.and_then(|place| place.interface));
            let place =
                Place { interface, call: call.and_then(|place| place.call), ..Place::rule(path, rule.line) };
            match &rule.target {
                Target::Group(name) => {
                    let Some(group) = self.names.datacenter.groups.get(name) else { continue };
                    let called = Place { call: place.call.or(Some((path, rule.line))), ..place };
                    if depth < DEEPEST {
                        // Groups see the names of the datacenter only.
                        let names = Names { own: None, ..self.names };
                        let names = std::mem::replace(&mut self.names, names);
                        self.rules(self.groups_at, group, Some(called), limited.as_ref(), depth + 1);
                        self.names = names;
                    } else {
                        self.cut = true;
                    }
                }
                Target::Verdict(verdict) if rule.direction == self.direction => {
                    self.rule(rule, self.verdict(*verdict), place, limited.as_ref(), None);
                }
                Target::Macro(name, verdict) if rule.direction == self.direction => {
                    for row in find_macro(name).unwrap_or_default() {
                        self.rule(rule, self.verdict(*verdict), place, limited.as_ref(), Some(row));
                    }
                }
                _ => {}
            }
        }
    }

    fn rule(
        &mut self,
        rule: &'h Rule,
        verdict: Verdict,
        place: Place<'h>,
        within: Option<&Among>,
        row: Option<Row>,
    ) {
        let number = |name: &str| port::protocol_number(name).or_else(|| name.parse().ok());
        let (own, of_row) =
            (rule.protocol.as_deref().and_then(number), row.and_then(|row| number(row.protocol)));
        if own.zip(of_row).is_some_and(|(own, of_row)| own != of_row) {
            return;
        }
        let protocol = own.or(of_row);
        if protocol.is_some_and(|number| !with_ports(number)) {
            return;
        }
        let unknown = rule.dport.iter().chain(&rule.sport).find_map(|ports| ports.unknown.as_ref());
        let (mut dport, mut sport) = (own_ports(rule.dport.as_ref()), own_ports(rule.sport.as_ref()));
        let doubt = unknown.map(|name| {
            Rc::from(format!("the service {} has to be looked up in /etc/services of the node", shown(name)))
        });
        if doubt.is_some() {
            (dport, sport) = (None, None);
        }
        if let Some(row) = row {
            dport = narrowed(dport, row.dports().map(|ports| ports.ranges));
            sport = narrowed(sport, row.sports().map(|ports| ports.ranges));
        }
        for (mut source, mut dest) in self.ends(rule) {
            match within {
                // On the way out the interface tells where to.
                Some(within) if self.direction == Direction::Out => {
                    dest = Some(dest.map_or_else(|| within.clone(), |dest| both(&dest, within)));
                }
                Some(within) => source = both(&source, within),
                None => {}
            }
            if let Some(why) = &doubt {
                source = source.doubted(why);
            }
            let (dport, sport) = (dport.clone(), sport.clone());
            self.add(Step { verdict, place, protocol, dport, sport, source, dest });
        }
    }

    /// Sources and destinations of what becomes of a rule; nothing if it is left out.
    fn ends(&self, rule: &Rule) -> Vec<(Among, Option<Among>)> {
        let split = matches!(&rule.source, Some(Address::Set(_)))
            && matches!(&rule.dest, Some(Address::List(..) | Address::Alias(_)));
        let found = if split { self.split_ends(rule) } else { self.common_ends(rule).map(|ends| vec![ends]) };
        found.unwrap_or_default()
    }

    /// Those of a rule with a set as source and addresses of one family as destination: the set makes one rule of each
    /// family, of which the destination is added to that of its own only. The other one is for every destination.
    fn split_ends(&self, rule: &Rule) -> Option<Vec<(Among, Option<Among>)>> {
        let mut family = None;
        let source = self.end(rule.source.as_ref(), &mut None)??;
        let dest = self.end(rule.dest.as_ref(), &mut family)?;
        let of = |wanted: Family| {
            let own = source.within(self.reach.memo.whole(&[wanted]));
            (own, dest.clone().filter(|_| family == Some(wanted)))
        };
        Some(Family::BOTH.into_iter().map(of).collect())
    }

    /// Those of any other rule. The first end that is of one family makes the rule one of that family, and one of the
    /// other family behind it is passed over.
    fn common_ends(&self, rule: &Rule) -> Option<(Among, Option<Among>)> {
        let mut family = None;
        let source = self.end(rule.source.as_ref(), &mut family)?;
        let dest = self.end(rule.dest.as_ref(), &mut family)?;
        let memo = &self.reach.memo;
        let whole = family.map_or_else(|| memo.whole(&Family::BOTH), |family| memo.whole(&[family]));
        let source = match source {
            Some(source) => source.within(whole),
            None if whole.is_everything() => memo.everybody(),
            None => self.reach.among(whole.clone()),
        };
        Some((source, dest.map(|dest| dest.within(whole))))
    }

    #[expect(clippy::option_option, reason = "a rule that is left out, and an end that says nothing")]
    fn end(&self, address: Option<&Address>, family: &mut Option<Family>) -> Option<Option<Among>> {
        let Some(address) = address else { return Some(None) };
        let (own, set) = match address {
            Address::List(own, list) => {
                let all = list.iter().map(|(first, last)| AddressSet::range(*first, *last));
                (*own, all.fold(AddressSet::empty(), |all, one| all.union(&one)))
            }
            Address::Alias(name) => {
                let cidr = self.names.alias(name)?;
                (cidr.family(), AddressSet::network(cidr))
            }
            Address::Set(name) => return Some(Some(self.set(name)?)),
        };
        if family.is_some_and(|known| known != own) {
            return Some(None);
        }
        *family = Some(own);
        Some(Some(self.reach.among(set)))
    }

    fn set(&self, name: &Name) -> Option<Among> {
        if name.scope == Some(Scope::Sdn) {
            return self.reach.network_set(&name.name);
        }
        let (vmid, members) = self.names.set(name)?;
        if vmid == 0 && name.name == MANAGEMENT {
            return Some(self.management.clone());
        }
        let names = Names { own: self.names.own.filter(|_| vmid != 0), ..self.names };
        let set = self.reach.nft_sets.of((vmid, name.name.clone()), &names, members);
        Some(Among { sure: set, maybe: None })
    }
}

fn own_ports(ports: Option<&Ports>) -> PortRanges {
    ports.map(|ports| Rc::from(ports.ranges.as_slice()))
}

/// The ports that are in both lists.
fn narrowed(own: PortRanges, of_row: Option<Vec<(u16, u16)>>) -> PortRanges {
    let Some(of_row) = of_row else { return own };
    let Some(own) = own else { return Some(Rc::from(of_row)) };
    let pairs = own.iter().flat_map(|(a, b)| of_row.iter().map(move |(c, d)| (*a.max(c), *b.min(d))));
    Some(pairs.filter(|(first, last)| first <= last).collect())
}
