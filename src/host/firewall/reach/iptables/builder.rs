//! A chain of pve-firewall that is being put together.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::rc::Rc;

use super::Marked;
use crate::formats::firewall::address::{Address, Cidr, Family, Reference};
use crate::formats::firewall::macros::Row;
use crate::formats::firewall::names::{Found, Names, is_network_set};
use crate::formats::firewall::port::{self, Ports};
use crate::formats::firewall::rule::{Direction, Rule, Target};
use crate::formats::firewall::{Firewall, Group, IpSet, Verdict};
use crate::host::firewall::File;
use crate::host::firewall::cover::AddressSet;
use crate::host::firewall::exposure::{BLACKLIST, MANAGEMENT};
use crate::host::firewall::reach::walk::{Among, Chain, PortRanges, Step};
use crate::host::firewall::reach::{Place, Reach, TCP, UDP};

/// Most steps of a chain; groups that are called over and over make more.
pub(in super::super) const MOST_STEPS: usize = 50_000;

/// The addresses of every set that a rule names, made once; by the place of the set in memory.
#[derive(Default)]
pub(in super::super) struct Sets(RefCell<BTreeMap<usize, Rc<AddressSet>>>);

impl Sets {
    pub(super) fn of(&self, set: &IpSet, names: &Names<'_>) -> Rc<AddressSet> {
        let key = std::ptr::from_ref(set).addr();
        if let Some(known) = self.0.borrow().get(&key) {
            return Rc::clone(known);
        }
        let made = Rc::new(AddressSet::ip_set(set, names));
        self.0.borrow_mut().insert(key, Rc::clone(&made));
        made
    }
}

/// A chain that is being put together.
pub(super) struct Builder<'r, 'h> {
    pub(super) reach: &'r Reach<'h>,
    pub(super) datacenter: &'h Firewall,
    /// The set `management` with `local_network`.
    pub(super) management: Among,
    pub(super) chain: Chain<'h>,
    /// Which rules belong to the chain.
    direction: Direction,
    /// The filtered guests whose packets still carry the mark that their own chain has put on them.
    pub(super) marked: Vec<Marked>,
    /// The security groups that were called and cannot be generated whole, with the family.
    called: BTreeSet<(&'h str, Family)>,
    /// There were more steps than are followed; what is behind them is not added.
    cut: bool,
}

impl<'r, 'h> Builder<'r, 'h> {
    pub(super) fn new(reach: &'r Reach<'h>, datacenter: &'h File, direction: Direction) -> Self {
        let management =
            reach.management.get_or_init(|| super::management(reach, &datacenter.firewall)).clone();
        Self {
            reach,
            datacenter: &datacenter.firewall,
            management,
            chain: Chain::default(),
            direction,
            marked: Vec::new(),
            called: BTreeSet::new(),
            cut: false,
        }
    }

    pub(super) fn add(&mut self, step: Step<'h>) {
        self.cut |= self.chain.steps.len() >= MOST_STEPS;
        if !self.cut {
            self.chain.steps.push(step);
        }
    }

    /// What one end of a rule matches within the families it is for; none if the rule is left out.
    fn end(&self, address: Option<&Address>, names: &Names<'h>, whole: &AddressSet) -> Option<Among> {
        let Some(address) = address else {
            let everybody = whole.is_everything().then(|| self.reach.memo.everybody());
            return Some(everybody.unwrap_or_else(|| self.reach.among(whole.clone())));
        };
        let set = match address {
            Address::Networks(list) => AddressSet::of_networks(list),
            Address::Range(first, last) => AddressSet::range(*first, *last),
            Address::Alias(name) => {
                names.alias(name).map_or_else(AddressSet::empty, |alias| AddressSet::network(alias.cidr))
            }
            Address::Set(name) => return self.set(name, names).map(|found| found.within(whole)),
        };
        Some(self.reach.among(set.intersect(whole)))
    }

    fn set(&self, name: &Reference, names: &Names<'h>) -> Option<Among> {
        match names.set(name) {
            Some(Found::Set(set, _)) if self.is_management(set) => Some(self.management.clone()),
            Some(Found::Set(set, names)) => {
                // Sets of the datacenter and of the network have one name in the kernel, and the latter come last.
                let hidden = names.own.is_none().then(|| self.reach.network_set(&name.name)).flatten();
                if let Some(found) = hidden.filter(|found| found.is_known() || is_network_set(name)) {
                    return Some(found);
                }
                Some(Among { sure: self.reach.sets.of(set, &names), maybe: None })
            }
            Some(Found::Network) => match self.reach.network_set(&name.name) {
                // The parser passes over the scope, so that only the generator misses the set: what it then leaves out
                // of a chain hangs on where the rule stands.
                None if self.datacenter.sets.contains_key(&name.name) => Some(Among::anybody(&format!(
                    "there is no set {name} in the network, but one in cluster.fw"
                ))),
                found => found,
            },
            None => Some(Among::known(AddressSet::empty())),
        }
    }

    fn is_management(&self, set: &IpSet) -> bool {
        self.datacenter.sets.get(MANAGEMENT).is_some_and(|own| std::ptr::eq(own, set))
    }

    /// The steps of one rule: one for each line of its macro.
    fn rule(
        &mut self,
        rule: &'h Rule,
        names: &Names<'h>,
        place: Place<'h>,
        within: Option<&Among>,
        families: &[Family],
    ) {
        let Some(verdict) = rule.target.verdict() else { return };
        let own = |family: &&Family| rule.family.is_none_or(|only| only == **family);
        let families: Vec<Family> = families.iter().filter(own).copied().collect();
        if families.is_empty() {
            return;
        }
        let reach = self.reach;
        let whole = |families: &[Family]| reach.memo.whole(families);
        let Target::Macro(known, _) = &rule.target else {
            let protocol =
                rule.protocol.as_deref().and_then(port::protocol_number).filter(|number| *number != 0);
            let step = (protocol, ranges(rule.dport.as_ref()), ranges(rule.sport.as_ref()));
            return self.match_of(rule, names, place, within, verdict, whole(&families), step);
        };
        let rows: Vec<&'static [Row]> = families.iter().map(|family| known.rows(*family)).collect();
        let same = rows.windows(2).all(|pair| pair.first() == pair.last());
        let lists: Vec<(Vec<Family>, &'static [Row])> = if same {
            rows.first().map(|rows| (families.clone(), *rows)).into_iter().collect()
        } else {
            families.iter().map(|family| (vec![*family], known.rows(*family))).collect()
        };
        for (families, rows) in lists {
            for row in rows {
                let protocol = port::protocol_number(row.protocol);
                let dport = row
                    .dports()
                    .as_ref()
                    .map_or_else(|| ranges(rule.dport.as_ref()), |ports| ranges(Some(ports)));
                let sport = row
                    .sports()
                    .as_ref()
                    .map_or_else(|| ranges(rule.sport.as_ref()), |ports| ranges(Some(ports)));
                self.match_of(
                    rule,
                    names,
                    place,
                    within,
                    verdict,
                    whole(&families),
                    (protocol, dport, sport),
                );
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "a rule, its place, and what a row of a macro makes of it")]
    fn match_of(
        &mut self,
        rule: &'h Rule,
        names: &Names<'h>,
        place: Place<'h>,
        within: Option<&Among>,
        verdict: Verdict,
        whole: &AddressSet,
        (protocol, dport, sport): (Option<u16>, PortRanges, PortRanges),
    ) {
        // Only packets with ports are asked about.
        if protocol.is_some_and(|number| !with_ports(number)) {
            return;
        }
        let Some(mut source) = self.end(rule.source.as_ref(), names, whole) else { return };
        let mut dest = match &rule.dest {
            None => None,
            Some(dest) => match self.end(Some(dest), names, whole) {
                None => return,
                found => found,
            },
        };
        match within {
            // On the way out the interface tells where to.
            Some(within) if self.direction == Direction::Out => {
                dest = Some(dest.map_or_else(|| within.clone(), |dest| both(&dest, within)));
            }
            Some(within) => source = both(&source, within),
            None => {}
        }
        self.add(Step { verdict, place, protocol, dport, sport, source, dest });
    }

    /// The steps of the rules of a file, with those of the security groups they call.
    pub(super) fn rules(
        &mut self,
        file: &'h File,
        names: Names<'h>,
        groups_at: &'h str,
        mut may: impl FnMut(&'h Rule) -> Option<Option<Among>>,
    ) {
        for rule in file.firewall.rules.iter().filter(|rule| rule.enabled) {
            let Some(within) = may(rule) else { continue };
            let place = Place { interface: rule.interface.as_deref(), ..Place::rule(&file.path, rule.line) };
            match rule.target.group() {
                Some(name) => {
                    let families = self.generated_calls(name);
                    // A group that does not exist is an empty one.
                    if let Some(group) = self.datacenter.groups.get(name) {
                        let call = Some((file.path.as_str(), rule.line));
                        let place = Place { path: Some(groups_at), call, ..place };
                        self.group(group, &names, place, within.as_ref(), &families);
                    }
                    if self.direction == Direction::In && !families.is_empty() {
                        self.mark_test(rule.interface.as_deref(), place, &families);
                    }
                }
                None if rule.direction == self.direction => {
                    self.rule(rule, &names, place, within.as_ref(), &Family::BOTH);
                }
                None => {}
            }
            if self.cut {
                return;
            }
        }
    }

    /// The families for which a call of this group becomes part of the chain (`ruleset_add_group_rule`): the call at
    /// which the group is to be generated, the first one on the way in, is lost if it cannot be. What was generated up
    /// to there is there for the next call, but the chain for the way out is never begun if the other one is not whole.
    fn generated_calls(&mut self, name: &'h str) -> Vec<Family> {
        let group = self.datacenter.groups.get(name);
        let (into, out) = group.map(|group| (group.broken_in, group.broken_out)).unwrap_or_default();
        let direction = self.direction;
        let called = &mut self.called;
        let made = |family: &Family| match direction {
            Direction::Out => into.of(*family).is_none(),
            _ if into.of(*family).or(out.of(*family)).is_some() => !called.insert((name, *family)),
            _ => true,
        };
        Family::BOTH.into_iter().filter(made).collect()
    }

    fn group(
        &mut self,
        group: &'h Group,
        names: &Names<'h>,
        place: Place<'h>,
        within: Option<&Among>,
        called: &[Family],
    ) {
        let names = names.of_groups();
        let direction = self.direction;
        let broken = if direction == Direction::Out { group.broken_out } else { group.broken_in };
        for rule in group.rules.iter().filter(|rule| rule.enabled && rule.direction == direction) {
            let loaded = |family: &&Family| broken.of(**family).is_none_or(|end| rule.line < end);
            let families: Vec<Family> = called.iter().filter(loaded).copied().collect();
            self.rule(rule, &names, Place { line: Some(rule.line), ..place }, within, &families);
            if self.cut {
                return;
            }
        }
    }

    /// Behind the call of a group everything is accepted that carries the mark, which the group clears at its start.
    /// A call for an interface is passed by packets that come in elsewhere: those of filtered guests, whose own chain
    /// has marked them, are let in.
    fn mark_test(&mut self, interface: Option<&str>, place: Place<'h>, families: &[Family]) {
        for guest in &mut self.marked {
            if interface.is_none() || guest.bridge.as_deref() == interface {
                guest.families.retain(|family| !families.contains(family));
            }
        }
        self.marked.retain(|guest| !guest.families.is_empty());
        let passed = |guest: &&Marked| guest.families.iter().any(|family| families.contains(family));
        let leaking: Vec<&Marked> = self.marked.iter().filter(passed).collect();
        if leaking.is_empty() {
            return;
        }
        let leak = Place { implicit: Some("group-mark"), ..place };
        self.chain.leak.get_or_insert(leak);
        let of = |free: bool| {
            let known = leaking.iter().filter(|guest| guest.free == free).flat_map(|guest| {
                let own = |address: &&IpAddr| {
                    let family = Family::of(**address);
                    guest.families.contains(&family) && families.contains(&family)
                };
                guest.addresses.iter().filter(own)
            });
            AddressSet::of_networks(&known.copied().map(Cidr::host).collect::<Vec<_>>())
        };
        let why = "it hangs on whether the rules of the guest let its packet out";
        let source = Among { sure: Rc::new(of(true)), maybe: Among::perhaps(of(false), why).maybe };
        self.add(Step::all(Verdict::Accept, leak, source));
    }

    pub(super) fn blacklist(&mut self, datacenter: &'h File) {
        if let Some(set) = self.datacenter.sets.get(BLACKLIST) {
            let source =
                Among { sure: self.reach.sets.of(set, &Names::of(self.datacenter, None)), maybe: None };
            let place = Place::named("blacklist").because_of(&datacenter.path, Some(set.line));
            self.add(Step::all(Verdict::Drop, place, source));
        }
    }

    /// `ruleset_add_chain_policy`: what no rule decides.
    pub(super) fn policy(&mut self, policy: Verdict, place: Place<'h>) {
        if policy == Verdict::Drop {
            let v6 = Among::known(AddressSet::family(Family::V6));
            self.add(Step::all(Verdict::Reject, place, v6).for_ports(TCP, &[(43, 43)]));
        }
        if policy == Verdict::Reject {
            let everybody = || self.reach.memo.everybody();
            self.add(Step::all(Verdict::Drop, place, everybody()).for_ports(UDP, &[(1900, 1900)]));
            let replies = Step::all(Verdict::Drop, place, everybody());
            self.add(Step { protocol: Some(UDP), sport: Some(Rc::from([(53, 53)])), ..replies });
        }
        self.add(Step::all(policy, place, self.reach.memo.everybody()));
    }
}

/// Whether packets of the protocol have ports.
pub(in super::super) fn with_ports(protocol: u16) -> bool {
    matches!(protocol, 6 | 17 | 33 | 132 | 136)
}

/// The sources that both match.
pub(in super::super) fn both(left: &Among, right: &Among) -> Among {
    let sure = left.sure.intersect(&right.sure);
    let possible = |among: &Among| match &among.maybe {
        Some((maybe, _)) => among.sure.union(maybe),
        None => (*among.sure).clone(),
    };
    let reason = right.maybe.as_ref().or(left.maybe.as_ref()).map(|(_, why)| Rc::clone(why));
    let maybe = reason.map(|why| (Rc::new(possible(left).intersect(&possible(right)).subtract(&sure)), why));
    Among { sure: Rc::new(sure), maybe: maybe.filter(|(set, _)| !set.is_empty()) }
}

fn ranges(ports: Option<&Ports>) -> PortRanges {
    ports.map(|ports| Rc::from(ports.ranges.as_slice()))
}
