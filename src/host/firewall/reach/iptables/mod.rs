//! The chains that pve-firewall generates (`enable_host_firewall`, `generate_tap_rules_direction` and
//! `ruleset_add_chain_policy` of `PVE/Firewall.pm`).

mod builder;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

use self::builder::Builder;
use super::guest::{Card, CardChain, Rules, cards};
use super::walk::{Addresses, Among, Chain, Step};
use super::{LOOPBACK, Place, Reach, TCP, UDP};
use crate::formats::corosync_conf::Transport;
use crate::formats::firewall::address::{Cidr, Family};
use crate::formats::firewall::names::Names;
use crate::formats::firewall::rule::{Direction, Rule};
use crate::formats::firewall::{Firewall, IpSet, Member, MemberAddress, Verdict};
use crate::host::Stop;
use crate::host::firewall::File;
use crate::host::firewall::cover::AddressSet;
use crate::host::firewall::exposure::{LOCAL_NETWORK, MANAGEMENT};

pub(super) use self::builder::{MOST_STEPS, Sets, both, with_ports};

/// TCP ports that the management set reaches behind all rules.
pub(super) const MANAGEMENT_PORTS: [(u16, u16); 5] =
    [(8006, 8006), (5900, 5999), (3128, 3128), (22, 22), (60000, 60050)];
/// TCP ports of the local network that the node reaches behind all rules.
const OUTWARD_PORTS: [(u16, u16); 4] = [(8006, 8006), (22, 22), (5900, 5999), (3128, 3128)];
/// UDP ports over which the nodes of a cluster talk to each other.
const COROSYNC_PORTS: (u16, u16) = (5404, 5405);

/// Addresses that stand for groups of nodes.
const MULTICAST: [(IpAddr, u32); 2] = [
    (IpAddr::V4(Ipv4Addr::new(224, 0, 0, 0)), 4),
    (IpAddr::V6(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0)), 8),
];

/// A card of a filtered guest, as the sender of packets to the node.
struct Marked {
    bridge: Option<String>,
    addresses: Vec<IpAddr>,
    /// The families whose packets still carry the mark.
    families: Vec<Family>,
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
            let families = Family::BOTH.to_vec();
            found.push(Marked { bridge: card.bridge, addresses: card.addresses, families, free });
        }
    }
    found
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
    with_added(set, names, &local.iter().map(|cidr| (*cidr, false)).collect::<Vec<_>>())
}

/// The same with networks of which some are taken out.
fn with_added(set: Option<&IpSet>, names: &Names<'_>, added: &[(Cidr, bool)]) -> AddressSet {
    let mut all =
        set.cloned().unwrap_or(IpSet { members: Vec::new(), whole: Vec::new(), comment: None, line: 0 });
    all.members.extend(added.iter().map(|(cidr, nomatch)| Member {
        what: MemberAddress::Network(*cidr),
        nomatch: *nomatch,
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
    let mut builder = Builder::new(reach, datacenter, Direction::In);
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
    add_corosync(&mut builder, Direction::In);
    let line = datacenter.firewall.options.policy_in.as_ref().map(|policy| policy.line);
    builder
        .policy(datacenter.firewall.policy_in(), Place::named("policy").because_of(&datacenter.path, line));
    builder.chain
}

/// The same of a node without rules of its own, and of nothing but cluster.fw.
pub(super) fn cluster<'h>(reach: &Reach<'h>, datacenter: &'h File) -> Chain<'h> {
    let mut builder = Builder::new(reach, datacenter, Direction::In);
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
fn add_corosync(builder: &mut Builder<'_, '_>, direction: Direction) {
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
    if conf.totem.effective_transport() == Transport::Udp {
        builder.add(multicast(builder.reach, direction).for_ports(UDP, &ports));
    }
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
                    let (to, from) = if direction == Direction::Out { (there, own) } else { (own, there) };
                    let dest = Among::known(AddressSet::network(Cidr::host(to)));
                    let source = Among::known(AddressSet::network(Cidr::host(from)));
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

/// What corosync sends to all nodes at once, with the transport `udp` alone. Whoever is on a link of the node reaches it
/// there.
fn multicast<'h>(reach: &Reach<'h>, direction: Direction) -> Step<'h> {
    let place = Place::named("corosync");
    if direction == Direction::Out {
        let groups = MULTICAST.map(|(address, prefix)| Cidr { address, prefix });
        let dest = Among::known(AddressSet::of_networks(&groups));
        return Step { dest: Some(dest), ..Step::all(Verdict::Accept, place, reach.memo.everybody()) };
    }
    let why = "it hangs on whether a router forwards packets to multicast groups";
    let others = (Rc::new(AddressSet::everything()), Rc::from(why));
    let source = Among { sure: Rc::new(reach.local().connected()), maybe: Some(others) };
    Step::all(Verdict::Accept, place, source)
}

/// The chain of a network card that has the firewall switched on.
pub(super) fn guest<'h>(
    reach: &Reach<'h>,
    datacenter: &'h File,
    file: &'h File,
    card: &Card,
) -> CardChain<'h> {
    let mut builder = Builder::new(reach, datacenter, Direction::In);
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
    if let Some(why) = broken_group(datacenter, file) {
        return CardChain::Unknown(why);
    }
    if file.firewall.options.dhcp.as_ref().is_none_or(|dhcp| dhcp.value) {
        dhcp(&mut builder, Direction::In);
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

/// Why the chains of a guest cannot be told.
fn broken_group(datacenter: &File, file: &File) -> Option<String> {
    let broken = |rule: &&Rule| {
        let group = rule.target.group().and_then(|name| datacenter.firewall.groups.get(name));
        group.is_some_and(|group| group.broken_in.is_any() || group.broken_out.is_any())
    };
    let rule = file.firewall.rules.iter().filter(|rule| rule.enabled).find(broken)?;
    Some(format!(
        "{}:{} calls a security group that cannot be generated: whether the chain of the guest is loaded hangs on who \
         calls it first",
        file.path, rule.line
    ))
}

/// Answers of a DHCP server on the way in, questions for one on the way out.
fn dhcp(builder: &mut Builder<'_, '_>, direction: Direction) {
    for (family, server, client) in [(Family::V4, 67, 68), (Family::V6, 547, 546)] {
        let (from, to) = if direction == Direction::Out { (client, server) } else { (server, client) };
        let source = Among::known(AddressSet::family(family));
        let step = Step::all(Verdict::Accept, Place::named("dhcp"), source).for_ports(UDP, &[(to, to)]);
        builder.add(Step { sport: Some(Rc::from([(from, from)])), ..step });
    }
}

/// `PVEFW-HOST-OUT`.
pub(super) fn node_out<'h>(reach: &Reach<'h>, datacenter: &'h File, node: &'h File) -> Chain<'h> {
    let mut builder = Builder::new(reach, datacenter, Direction::Out);
    for file in [node, datacenter] {
        let names = Names::of(&file.firewall, Some(&datacenter.firewall));
        let behind = |rule: &Rule| Some(rule.interface.as_deref().map(|name| reach.local().behind(name)));
        builder.rules(file, names, &datacenter.path, behind);
    }
    let alias = datacenter.firewall.aliases.get(LOCAL_NETWORK);
    let local = alias.map(|alias| Among::known(AddressSet::network(alias.cidr)));
    let everybody = || Among::known(AddressSet::everything());
    let step = Step::all(Verdict::Accept, Place::named("local-network"), everybody());
    let step = Step { dest: Some(local.unwrap_or_else(|| reach.local().network())), ..step };
    builder.add(step.for_ports(TCP, &OUTWARD_PORTS));
    add_corosync(&mut builder, Direction::Out);
    let line = datacenter.firewall.options.policy_out.as_ref().map(|policy| policy.line);
    let place = Place::named("policy").because_of(&datacenter.path, line);
    builder.policy(datacenter.firewall.policy_out(), place);
    builder.chain
}

/// The chain for what a network card that has the firewall switched on sends.
pub(super) fn guest_out<'h>(
    reach: &Reach<'h>,
    datacenter: &'h File,
    file: &'h File,
    card: &Card,
) -> CardChain<'h> {
    let firewall = &file.firewall;
    if !firewall.is_enabled(reach.now) {
        let line = firewall.options.enable.as_ref().map(|option| option.line);
        return CardChain::Open(Place::named("guest-firewall-off").because_of(&file.path, line));
    }
    if let Some(why) = broken_group(datacenter, file) {
        return CardChain::Unknown(why);
    }
    let mut builder = Builder::new(reach, datacenter, Direction::Out);
    if firewall.options.dhcp.as_ref().is_none_or(|dhcp| dhcp.value) {
        dhcp(&mut builder, Direction::Out);
    }
    let own = format!("net{}", card.number);
    let names = Names::of(firewall, Some(&datacenter.firewall));
    let (set, option) = (firewall.sets.get(&format!("ipfilter-{own}")), firewall.options.ipfilter.as_ref());
    if set.is_some() || firewall.ipfilter() {
        let line = set.map(|set| set.line).or(option.map(|option| option.line));
        let place = Place::named("ipfilter").because_of(&file.path, line);
        builder.add(Step::all(Verdict::Drop, place, other_addresses(set, &names, card)));
    }
    builder.rules(file, names, &datacenter.path, |rule| {
        rule.interface.as_deref().is_none_or(|name| name == own).then_some(None)
    });
    let line = firewall.options.policy_out.as_ref().map(|policy| policy.line);
    builder.policy(firewall.policy_out(), Place::named("policy").because_of(&file.path, line));
    CardChain::Filtered(Rules(builder.chain))
}

/// The addresses that are not in the set `ipfilter-netN`, to which upstream adds those of the configuration and the
/// link-local one, and from which it takes all other link-local ones.
fn other_addresses(set: Option<&IpSet>, names: &Names<'_>, card: &Card) -> Among {
    const LINK_LOCAL: IpAddr = IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0));
    let link_local = Cidr { address: LINK_LOCAL, prefix: 10 };
    let mut added: Vec<(Cidr, bool)> = card.addresses.iter().map(|own| (Cidr::host(*own), false)).collect();
    added.extend(card.link_local.map(|own| (Cidr::host(own), false)));
    added.push((link_local, true));
    let others = AddressSet::everything().subtract(&with_added(set, names, &added));
    if card.link_local.is_some() {
        return Among::known(others);
    }
    let doubtful = AddressSet::network(link_local);
    let maybe = Among::perhaps(doubtful.intersect(&others), "it hangs on the MAC address of the card").maybe;
    Among { sure: Rc::new(others.subtract(&doubtful)), maybe }
}
