//! The chains that pve-firewall generates (`enable_host_firewall`, `generate_tap_rules_direction` and
//! `ruleset_add_chain_policy` of `PVE/Firewall.pm`).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;

use super::guest::{Card, CardChain, Rules, cards};
use super::walk::{Addresses, Among, Chain, PortRanges, Step};
use super::{LOOPBACK, Place, Reach, TCP, UDP};
use crate::formats::firewall::address::{Address, Cidr, Family, Reference};
use crate::formats::firewall::macros::Row;
use crate::formats::firewall::names::{Found, Names, is_network_set};
use crate::formats::firewall::port::{self, Ports};
use crate::formats::firewall::rule::{Direction, Rule, Target};
use crate::formats::firewall::{Firewall, Group, IpSet, Verdict};
use crate::host::Stop;
use crate::host::firewall::File;
use crate::host::firewall::cover::AddressSet;
use crate::host::firewall::exposure::{BLACKLIST, LOCAL_NETWORK, MANAGEMENT};

/// TCP ports that the management set reaches behind all rules.
pub(super) const MANAGEMENT_PORTS: [(u16, u16); 5] =
    [(8006, 8006), (5900, 5999), (3128, 3128), (22, 22), (60000, 60050)];
/// UDP ports over which the nodes of a cluster talk to each other.
const COROSYNC_PORTS: (u16, u16) = (5404, 5405);

/// Most steps of a chain; groups that are called over and over make more.
pub(super) const MOST_STEPS: usize = 50_000;

/// The addresses of every set that a rule names, made once; by the place of the set in memory.
#[derive(Default)]
pub(super) struct Sets(RefCell<BTreeMap<usize, Rc<AddressSet>>>);

impl Sets {
    fn of(&self, set: &IpSet, names: &Names<'_>) -> Rc<AddressSet> {
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
    reach: &'r Reach<'h>,
    datacenter: &'h Firewall,
    /// The set `management` with `local_network`.
    management: Among,
    pub(super) chain: Chain<'h>,
    /// The filtered guests whose packets still carry the mark that their own chain has put on them.
    marked: Vec<Marked>,
    /// There were more steps than are followed; what is behind them is not added.
    cut: bool,
}

impl<'r, 'h> Builder<'r, 'h> {
    fn new(reach: &'r Reach<'h>, datacenter: &'h File) -> Self {
        let management = reach.management.get_or_init(|| management(reach, &datacenter.firewall)).clone();
        Self {
            reach,
            datacenter: &datacenter.firewall,
            management,
            chain: Chain::default(),
            marked: Vec::new(),
            cut: false,
        }
    }

    fn add(&mut self, step: Step<'h>) {
        self.cut |= self.chain.steps.len() >= MOST_STEPS;
        if !self.cut {
            self.chain.steps.push(step);
        }
    }

    /// What one end of a rule matches within the families it is for; none if the rule is left out.
    fn end(&self, address: Option<&Address>, names: &Names<'h>, whole: &AddressSet) -> Option<Among> {
        let Some(address) = address else { return Some(self.reach.among(whole.clone())) };
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
    fn rule(&mut self, rule: &'h Rule, names: &Names<'h>, place: Place<'h>, within: Option<&Among>) {
        let Some(verdict) = rule.target.verdict() else { return };
        let families: Vec<Family> = Family::BOTH
            .into_iter()
            .filter(|family| rule.family.is_none_or(|only| only == *family))
            .collect();
        let whole = |families: &[Family]| {
            families.iter().fold(AddressSet::empty(), |all, family| all.union(&AddressSet::family(*family)))
        };
        let Target::Macro(known, _) = &rule.target else {
            let protocol =
                rule.protocol.as_deref().and_then(port::protocol_number).filter(|number| *number != 0);
            let step = (protocol, ranges(rule.dport.as_ref()), ranges(rule.sport.as_ref()));
            return self.match_of(rule, names, place, within, verdict, &whole(&families), step);
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
                    &whole(&families),
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
        let Some(source) = self.end(rule.source.as_ref(), names, whole) else { return };
        let source = match within {
            Some(within) => both(&source, within),
            None => source,
        };
        let dest = match &rule.dest {
            None => None,
            Some(dest) => match self.end(Some(dest), names, whole) {
                None => return,
                found => found,
            },
        };
        self.add(Step { verdict, place, protocol, dport, sport, source, dest });
    }

    /// The steps of the rules of a file, with those of the security groups they call.
    fn rules(
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
                    // A group that does not exist is an empty one.
                    if let Some(group) = self.datacenter.groups.get(name) {
                        let call = Some((file.path.as_str(), rule.line));
                        self.group(
                            group,
                            &names,
                            Place { path: Some(groups_at), call, ..place },
                            within.as_ref(),
                        );
                    }
                    self.mark_test(rule.interface.as_deref(), place);
                }
                None if rule.direction == Direction::In => self.rule(rule, &names, place, within.as_ref()),
                None => {}
            }
            if self.cut {
                return;
            }
        }
    }

    fn group(&mut self, group: &'h Group, names: &Names<'h>, place: Place<'h>, within: Option<&Among>) {
        let names = names.of_groups();
        let loaded = group.rules.iter().filter(|rule| group.broken_in.is_none_or(|end| rule.line < end));
        for rule in loaded.filter(|rule| rule.enabled && rule.direction == Direction::In) {
            self.rule(rule, &names, Place { line: Some(rule.line), ..place }, within);
            if self.cut {
                return;
            }
        }
    }

    /// Behind the call of a group everything is accepted that carries the mark, which the group clears at its start.
    /// A call for an interface is passed by packets that come in elsewhere: those of filtered guests, whose own chain
    /// has marked them, are let in.
    fn mark_test(&mut self, interface: Option<&str>, place: Place<'h>) {
        let Some(interface) = interface else { return self.marked.clear() };
        let (cleared, leaking): (Vec<Marked>, Vec<Marked>) = std::mem::take(&mut self.marked)
            .into_iter()
            .partition(|guest| guest.bridge.as_deref() == Some(interface));
        drop(cleared);
        if leaking.is_empty() {
            return;
        }
        let leak = Place { implicit: Some("group-mark"), ..place };
        self.chain.leak.get_or_insert(leak);
        let of = |free: bool| {
            let known = leaking.iter().filter(|guest| guest.free == free).flat_map(|guest| &guest.addresses);
            AddressSet::of_networks(&known.copied().map(Cidr::host).collect::<Vec<_>>())
        };
        let why = "it hangs on whether the rules of the guest let its packet out";
        let source = Among { sure: Rc::new(of(true)), maybe: Among::perhaps(of(false), why).maybe };
        self.add(Step::all(Verdict::Accept, leak, source));
        self.marked = leaking;
    }

    fn blacklist(&mut self, datacenter: &'h File) {
        if let Some(set) = self.datacenter.sets.get(BLACKLIST) {
            let source =
                Among { sure: self.reach.sets.of(set, &Names::of(self.datacenter, None)), maybe: None };
            let place = Place::named("blacklist").because_of(&datacenter.path, Some(set.line));
            self.add(Step::all(Verdict::Drop, place, source));
        }
    }

    /// `ruleset_add_chain_policy`: what no rule decides.
    fn policy(&mut self, policy: Verdict, place: Place<'h>) {
        if policy == Verdict::Drop {
            let v6 = Among::known(AddressSet::family(Family::V6));
            self.add(Step::all(Verdict::Reject, place, v6).for_ports(TCP, &[(43, 43)]));
        }
        if policy == Verdict::Reject {
            let everybody = || Among::known(AddressSet::everything());
            self.add(Step::all(Verdict::Drop, place, everybody()).for_ports(UDP, &[(1900, 1900)]));
            let replies = Step::all(Verdict::Drop, place, everybody());
            self.add(Step { protocol: Some(UDP), sport: Some(Rc::from([(53, 53)])), ..replies });
        }
        self.add(Step::all(policy, place, Among::known(AddressSet::everything())));
    }
}

/// A card of a filtered guest, as the sender of packets to the node.
struct Marked {
    bridge: Option<String>,
    addresses: Vec<IpAddr>,
    /// Whether the guest may send what it wants.
    free: bool,
}

fn marked(reach: &Reach<'_>) -> Vec<Marked> {
    let mut found = Vec::new();
    let Ok(files) = reach.host.guest_firewalls().value.as_ref() else { return found };
    for guest in reach.guests() {
        let Some(Ok(file)) = files.get(&guest.vmid).map(|fact| fact.value.as_ref()) else { continue };
        let firewall = &file.firewall;
        if !firewall.is_enabled(reach.now) {
            continue;
        }
        let outward =
            |rule: &Rule| rule.enabled && matches!(rule.direction, Direction::Out | Direction::Group);
        let free = firewall.policy_out() == Verdict::Accept && !firewall.rules.iter().any(outward);
        for card in cards(guest).unwrap_or_default().into_iter().filter(|card| card.filtered) {
            found.push(Marked { bridge: card.bridge, addresses: card.addresses, free });
        }
    }
    found
}

/// Whether packets of the protocol have ports.
pub(super) fn with_ports(protocol: u16) -> bool {
    matches!(protocol, 6 | 17 | 33 | 132 | 136)
}

/// The sources that both match.
pub(super) fn both(left: &Among, right: &Among) -> Among {
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

/// The set `management`, to which upstream adds `local_network`.
fn management(reach: &Reach<'_>, datacenter: &Firewall) -> Among {
    let names = Names::of(datacenter, None);
    let set = datacenter.sets.get(MANAGEMENT);
    if let Some(alias) = datacenter.aliases.get(LOCAL_NETWORK) {
        return Among::known(with_local(set, &names, &[alias.cidr]));
    }
    let local = reach.local().network();
    let members = with_local(set, &names, &local.sure.networks());
    Among { sure: Rc::new(members), maybe: local.maybe }
}

/// The members of the set and a network that is added to them: the longest prefix decides.
fn with_local(set: Option<&IpSet>, names: &Names<'_>, local: &[Cidr]) -> AddressSet {
    use crate::formats::firewall::{Member, MemberAddress};
    let mut all =
        set.cloned().unwrap_or(IpSet { members: Vec::new(), whole: Vec::new(), comment: None, line: 0 });
    all.members.extend(local.iter().map(|cidr| Member {
        what: MemberAddress::Network(*cidr),
        nomatch: false,
        comment: None,
        line: 0,
    }));
    AddressSet::ip_set(&all, names)
}

/// Packets from the node itself do not come in through a card.
pub(super) fn loopback(reach: &Reach<'_>) -> Among {
    Among::known(AddressSet::loopback().union(&reach.local().own()))
}

/// `PVEFW-HOST-IN`.
pub(super) fn node<'h>(reach: &Reach<'h>, datacenter: &'h File, node: &'h File) -> Chain<'h> {
    let mut builder = Builder::new(reach, datacenter);
    builder.chain.addresses = reach.local().addresses();
    builder.marked = marked(reach);
    builder.add(Step::all(Verdict::Accept, Place::named(LOOPBACK), loopback(reach)));
    builder.blacklist(datacenter);
    for file in [node, datacenter] {
        let names = Names::of(&file.firewall, Some(&datacenter.firewall));
        let behind = |rule: &Rule| Some(rule.interface.as_deref().map(|name| reach.local().behind(name)));
        builder.rules(file, names, &datacenter.path, behind);
    }
    add_management(&mut builder);
    add_corosync(&mut builder);
    let line = datacenter.firewall.options.policy_in.as_ref().map(|policy| policy.line);
    builder
        .policy(datacenter.firewall.policy_in(), Place::named("policy").because_of(&datacenter.path, line));
    builder.chain
}

/// The same of a node without rules of its own, and of nothing but cluster.fw.
pub(super) fn cluster<'h>(reach: &Reach<'h>, datacenter: &'h File) -> Chain<'h> {
    let mut builder = Builder::new(reach, datacenter);
    builder.blacklist(datacenter);
    let behind = |rule: &Rule| {
        let unknown = |name: &str| {
            Among::perhaps(AddressSet::everything(), &format!("it hangs on the interface {name}"))
        };
        Some(rule.interface.as_deref().map(unknown))
    };
    builder.rules(datacenter, Names::of(&datacenter.firewall, None), &datacenter.path, behind);
    add_management(&mut builder);
    let line = datacenter.firewall.options.policy_in.as_ref().map(|policy| policy.line);
    let place = Place::named("policy").because_of(&datacenter.path, line);
    builder.policy(datacenter.firewall.policy_in(), place);
    builder.chain
}

fn add_management(builder: &mut Builder<'_, '_>) {
    let place = Place::named("management-set");
    let step = Step::all(Verdict::Accept, place, builder.management.clone());
    builder.add(step.for_ports(TCP, &MANAGEMENT_PORTS));
}

/// The other nodes of the cluster, each on the link it shares with this one.
fn add_corosync(builder: &mut Builder<'_, '_>) {
    let fact = builder.reach.host.corosync();
    let place = Place::named("corosync");
    let ports = [COROSYNC_PORTS];
    let conf = match &fact.value {
        Ok(conf) => conf,
        Err(Stop::NotApplicable(_)) => return,
        Err(stop) => {
            let source = Among::perhaps(AddressSet::everything(), &super::why(stop));
            return builder.add(Step::all(Verdict::Accept, place, source).for_ports(UDP, &ports));
        }
    };
    let Some(own) = builder.reach.host.node_name() else { return };
    let is_own = |node: &&crate::formats::corosync_conf::Node| {
        node.name.as_ref().is_some_and(|name| name.value == own)
    };
    let Some(here) = conf.nodes.iter().find(is_own) else { return };
    for peer in conf.nodes.iter().filter(|node| !is_own(node)) {
        for (link, there) in &peer.addresses {
            let Some(own) = here.addresses.get(link) else { continue };
            let step = match (own.value.parse::<IpAddr>(), there.value.parse::<IpAddr>()) {
                (Ok(own), Ok(there)) if Family::of(own) == Family::of(there) => {
                    let dest = Among::known(AddressSet::network(Cidr::host(own)));
                    let source = Among::known(AddressSet::network(Cidr::host(there)));
                    Step { dest: Some(dest), ..Step::all(Verdict::Accept, place, source) }
                }
                (Ok(_), Ok(_)) => continue,
                _ => {
                    let why = "corosync.conf names a node by a name that has to be resolved";
                    Step::all(Verdict::Accept, place, Among::perhaps(AddressSet::everything(), why))
                }
            };
            builder.add(step.for_ports(UDP, &ports));
        }
    }
}

/// The chain of a network card that has the firewall switched on.
pub(super) fn guest<'h>(
    reach: &Reach<'h>,
    datacenter: &'h File,
    file: &'h File,
    card: &Card,
) -> CardChain<'h> {
    let mut builder = Builder::new(reach, datacenter);
    builder.chain.addresses = Addresses::of_guest(&card.addresses);
    // The card has its own bridge whether or not the guest wants to be filtered: the blacklist counts on it.
    builder.blacklist(datacenter);
    if !file.firewall.is_enabled(reach.now) {
        let line = file.firewall.options.enable.as_ref().map(|option| option.line);
        let place = Place::named("guest-firewall-off").because_of(&file.path, line);
        if builder.chain.steps.is_empty() {
            return CardChain::Open(place);
        }
        builder.add(Step::all(Verdict::Accept, place, Among::known(AddressSet::everything())));
        return CardChain::Filtered(Rules(builder.chain));
    }
    let broken = |rule: &&Rule| {
        let group = rule.target.group().and_then(|name| datacenter.firewall.groups.get(name));
        group.is_some_and(|group| group.broken_in.is_some() || group.broken_out.is_some())
    };
    if let Some(rule) = file.firewall.rules.iter().filter(|rule| rule.enabled).find(broken) {
        return CardChain::Unknown(format!(
            "{}:{} calls a security group that cannot be generated: whether the chain of the guest is loaded hangs on who calls it first",
            file.path, rule.line
        ));
    }
    if file.firewall.options.dhcp.as_ref().is_none_or(|dhcp| dhcp.value) {
        dhcp(&mut builder);
    }
    let own = format!("net{}", card.number);
    let names = Names::of(&file.firewall, Some(&datacenter.firewall));
    builder.rules(file, names, &datacenter.path, |rule| {
        rule.interface.as_deref().is_none_or(|name| name == own).then_some(None)
    });
    let line = file.firewall.options.policy_in.as_ref().map(|policy| policy.line);
    builder.policy(file.firewall.policy_in(), Place::named("policy").because_of(&file.path, line));
    CardChain::Filtered(Rules(builder.chain))
}

/// Answers of a DHCP server.
fn dhcp(builder: &mut Builder<'_, '_>) {
    for (family, from, to) in [(Family::V4, 67, 68), (Family::V6, 547, 546)] {
        let source = Among::known(AddressSet::family(family));
        let step = Step::all(Verdict::Accept, Place::named("dhcp"), source).for_ports(UDP, &[(to, to)]);
        builder.add(Step { sport: Some(Rc::from([(from, from)])), ..step });
    }
}
