//! The chains that proxmox-firewall generates (`firewall.rs`, `rule.rs`, `object.rs` and `proxmox-firewall.nft`).

mod builder;
mod names;
mod refuse;

use std::rc::Rc;

use self::builder::Builder;
use self::names::Names;
use super::guest::{Card, CardChain, Rules};
use super::iptables::loopback;
use super::walk::{Addresses, Among, Chain, Step};
use super::{LOOPBACK, Place, Reach, TCP, UDP};
use crate::formats::firewall::Verdict;
use crate::formats::firewall::address::Cidr;
use crate::formats::firewall::nft::{self, Member};
use crate::formats::firewall::options::{DHCP, POLICY_FORWARD, POLICY_IN, POLICY_OUT};
use crate::formats::firewall::rule::Direction;
use crate::host::firewall::File;
use crate::host::firewall::cover::AddressSet;
use crate::host::firewall::exposure::{LOCAL_NETWORK, MANAGEMENT};

pub(super) use self::names::Sets;
pub(super) use self::refuse::{left_out, refusals};

/// TCP ports that the management set reaches before all rules.
const MANAGEMENT_PORTS: [(u16, u16); 4] = [(8006, 8006), (5900, 5999), (3128, 3128), (22, 22)];
/// UDP ports that are open to everybody.
const COROSYNC_PORTS: (u16, u16) = (5405, 5412);
/// The version since which the local network is part of the set `management` in any case.
const LOCAL_ALWAYS: [u64; 3] = [1, 2, 0];
/// The ports that helpers of connection tracking look at (`ct_helper.json`): name, protocol, port.
const HELPERS: [(&str, u16, u16); 9] = [
    ("amanda", UDP, 10_080),
    ("ftp", TCP, 21),
    ("irc", TCP, 6667),
    ("netbios-ns", UDP, 137),
    ("pptp", TCP, 1723),
    ("sane", TCP, 6566),
    ("sip", UDP, 5060),
    ("snmp", UDP, 161),
    ("tftp", UDP, 69),
];

/// What proxmox-firewall makes of a file, if it takes it.
fn read(file: &File) -> Option<&nft::File> {
    file.nft.as_ref().and_then(|nft| nft.as_ref().ok())
}

/// Whether the node is filtered: proxmox-firewall reads host.fw itself.
pub(super) fn node_enabled(node: &File) -> bool {
    read(node).and_then(|file| file.enable.as_ref()).is_none_or(|enable| enable.value)
}

fn guest_enabled(file: &File) -> bool {
    read(file).is_some_and(nft::File::is_on)
}

/// Whether proxmox-firewall itself finds the firewall switched on.
pub(super) fn switched_on(datacenter: &File, node: &File) -> bool {
    read(datacenter).is_some_and(nft::File::is_on)
        && read(node).and_then(|file| file.nftables).unwrap_or(false)
}

/// Whether the installed version is at least this one; one that is not known counts as new.
fn is_at_least(reach: &Reach<'_>, wanted: [u64; 3]) -> bool {
    let Ok(Some(version)) = reach.host.package_version("proxmox-firewall") else { return true };
    let numbers = version.split(['.', '-', '~', '+']).map_while(|part| part.parse::<u64>().ok());
    let numbers: Vec<u64> = numbers.chain([0; 3]).take(3).collect();
    numbers.as_slice() >= wanted.as_slice()
}

/// The set `management` with the local network.
fn management(reach: &Reach<'_>, datacenter: &nft::File) -> Among {
    let names = Names { datacenter, own: None };
    let set = datacenter.sets.get(MANAGEMENT).map(|(_, members)| members.as_slice());
    let taken_out = |nomatch: &[Member]| {
        let only: Vec<Member> = nomatch.iter().filter(|member| member.nomatch).cloned().collect();
        let plain: Vec<Member> = only.into_iter().map(|member| Member { nomatch: false, ..member }).collect();
        names.members(&plain)
    };
    let alias = datacenter.aliases.get(LOCAL_NETWORK);
    let local = if is_at_least(reach, LOCAL_ALWAYS) {
        alias.map_or_else(|| reach.local().networks(), |cidr| Among::known(AddressSet::network(*cidr)))
    } else if set.is_some() {
        Among::known(AddressSet::empty())
    } else {
        reach.local().networks()
    };
    let (own, out) =
        (set.map(|set| names.members(set)).unwrap_or_default(), taken_out(set.unwrap_or_default()));
    let maybe = local.maybe.map(|(set, why)| (Rc::new(set.subtract(&out)), why));
    Among { sure: Rc::new(own.union(&local.sure.subtract(&out))), maybe }
}

fn builder<'r, 'h>(
    reach: &'r Reach<'h>,
    datacenter: &'h File,
    own: Option<(u32, &'h nft::File)>,
    direction: Direction,
) -> Option<Builder<'r, 'h>> {
    let file = read(datacenter)?;
    Some(Builder {
        reach,
        names: Names { datacenter: file, own },
        groups_at: &datacenter.path,
        management: reach.nft_management.get_or_init(|| management(reach, file)).clone(),
        direction,
        card: None,
        chain: Chain::default(),
        cut: false,
    })
}

/// The chains `default-in`, `host-in` and `cluster-in`.
pub(super) fn node<'h>(reach: &Reach<'h>, datacenter: &'h File, node: &'h File) -> Chain<'h> {
    let Some(mut builder) = builder(reach, datacenter, None, Direction::In) else { return Chain::default() };
    builder.chain.addresses = reach.local().addresses();
    let everybody = || reach.memo.everybody();
    builder.add(Step::all(Verdict::Accept, Place::named(LOOPBACK), loopback(reach)));
    let step = Step::all(Verdict::Accept, Place::named("management-set"), builder.management.clone());
    builder.add(step.for_ports(TCP, &MANAGEMENT_PORTS));
    builder.add(
        Step::all(Verdict::Accept, Place::named("corosync"), everybody()).for_ports(UDP, &[COROSYNC_PORTS]),
    );
    let noise = |verdict| Step::all(verdict, Place::named("noise"), everybody());
    builder.add(noise(Verdict::Reject).for_ports(UDP, &[(135, 135), (137, 139), (445, 445)]));
    let from_137 = Step { sport: Some(Rc::from([(137, 137)])), ..noise(Verdict::Reject) };
    builder.add(from_137.for_ports(UDP, &[(1024, 65535)]));
    builder.add(noise(Verdict::Reject).for_ports(TCP, &[(135, 135), (139, 139), (445, 445)]));
    builder.add(noise(Verdict::Drop).for_ports(UDP, &[(1900, 1900)]));
    builder.add(Step { protocol: Some(UDP), sport: Some(Rc::from([(53, 53)])), ..noise(Verdict::Drop) });
    helpers(&mut builder, node);
    for file in [node, datacenter] {
        if let Some(own) = read(file) {
            builder.rules(&file.path, &own.rules, None, None, 0);
        }
    }
    let policy = read(datacenter).and_then(|file| file.policy_in.as_ref());
    let place = Place::named("policy").because_of(&datacenter.path, policy.map(|policy| policy.line));
    builder.add(Step::all(policy.map_or(POLICY_IN, |policy| policy.value), place, everybody()));
    builder.chain
}

/// The ports that the helpers of host.fw open, with the line.
pub(super) fn opened_by_helpers(node: &File) -> Vec<(&'static str, u16, u16, u32)> {
    let Some(wanted) = read(node).and_then(|file| file.helpers.as_ref()) else { return Vec::new() };
    let known = HELPERS.iter().filter(|(name, ..)| wanted.value.iter().any(|own| own == name));
    known.map(|(name, protocol, port)| (*name, *protocol, *port, wanted.line)).collect()
}

/// The chain `ct-in`: whoever comes to a port of a helper is let in.
fn helpers<'h>(builder: &mut Builder<'_, 'h>, node: &'h File) {
    for (_, protocol, port, line) in opened_by_helpers(node) {
        let place = Place::named("conntrack-helper").because_of(&node.path, Some(line));
        let step = Step::all(Verdict::Accept, place, Among::known(AddressSet::everything()));
        builder.add(step.for_ports(protocol, &[(port, port)]));
    }
}

/// The chains `host-forward` and `cluster-forward`, for what the node routes.
pub(super) fn forward<'h>(reach: &Reach<'h>, datacenter: &'h File, node: &'h File) -> Chain<'h> {
    let Some(mut builder) = builder(reach, datacenter, None, Direction::Forward) else {
        return Chain::default();
    };
    for file in [node, datacenter] {
        if let Some(own) = read(file) {
            builder.rules(&file.path, &own.rules, None, None, 0);
        }
    }
    builder.policy_forward(datacenter);
    builder.chain
}

/// The chain `bridge-VNET`, for what a virtual network carries; none if it is not filtered.
pub(super) fn vnet<'h>(reach: &Reach<'h>, datacenter: &'h File, file: &'h File) -> Option<Chain<'h>> {
    let own = read(file).filter(|own| own.is_on())?;
    let mut builder = builder(reach, datacenter, None, Direction::Forward)?;
    builder.rules(&file.path, &own.rules, None, None, 0);
    builder.policy_forward(file);
    Some(builder.chain)
}

impl<'h> Builder<'_, 'h> {
    fn policy_forward(&mut self, file: &'h File) {
        let policy = read(file).and_then(|file| file.policy_forward.as_ref());
        let place = Place::named("policy").because_of(&file.path, policy.map(|policy| policy.line));
        let verdict = policy.map_or(POLICY_FORWARD, |policy| policy.value);
        self.add(Step::all(verdict, place, Among::known(AddressSet::everything())));
    }
}

/// The chains `host-out` and `cluster-out`.
pub(super) fn node_out<'h>(reach: &Reach<'h>, datacenter: &'h File, node: &'h File) -> Chain<'h> {
    let Some(mut builder) = builder(reach, datacenter, None, Direction::Out) else { return Chain::default() };
    for file in [node, datacenter] {
        if let Some(own) = read(file) {
            builder.rules(&file.path, &own.rules, None, None, 0);
        }
    }
    let policy = read(datacenter).and_then(|file| file.policy_out.as_ref());
    let place = Place::named("policy").because_of(&datacenter.path, policy.map(|policy| policy.line));
    let verdict = policy.map_or(POLICY_OUT, |policy| policy.value);
    builder.add(Step::all(verdict, place, reach.memo.everybody()));
    builder.chain
}

/// The chain `guest-VMID-in` or `guest-VMID-out` of a network card that has the firewall switched on.
pub(super) fn guest<'h>(
    reach: &Reach<'h>,
    datacenter: &'h File,
    file: &'h File,
    card: &Card,
    direction: Direction,
) -> CardChain<'h> {
    let (Some(own), true) = (read(file), guest_enabled(file)) else {
        let line = read(file).and_then(|file| file.enable.as_ref()).map(|enable| enable.line);
        return CardChain::Open(Place::named("guest-firewall-off").because_of(&file.path, line));
    };
    // Any number but 0 tells the sets of the guest from those of the datacenter; the path tells the guest.
    let vmid =
        file.path.rsplit('/').next().and_then(|name| name.strip_suffix(".fw")?.parse().ok()).unwrap_or(1);
    let Some(mut builder) = builder(reach, datacenter, Some((vmid, own)), direction) else {
        return CardChain::Unknown(format!("{} was not read", datacenter.path));
    };
    let name = format!("net{}", card.number);
    let out = direction == Direction::Out;
    builder.chain.addresses = Addresses::of_guest(&card.addresses);
    // Without the option a set `ipfilter-netN` has no effect.
    if out && own.ipfilter.as_ref().is_some_and(|option| option.value) {
        let set = own.sets.get(&format!("ipfilter-{name}"));
        let line = set.map(|(line, _)| *line).or(own.ipfilter.as_ref().map(|option| option.line));
        let place = Place::named("ipfilter").because_of(&file.path, line);
        let allowed = match set {
            Some((_, members)) => builder.names.members(members),
            None => AddressSet::of_networks(
                &card.addresses.iter().chain(&card.link_local).copied().map(Cidr::host).collect::<Vec<_>>(),
            ),
        };
        let others = AddressSet::everything().subtract(&allowed);
        builder.add(Step::all(Verdict::Drop, place, Among::known(others)));
    }
    builder.card = Some(name);
    let talk = if own.dhcp.unwrap_or(DHCP) { Verdict::Accept } else { Verdict::Drop };
    for (server, client) in [(67, 68), (547, 546)] {
        let (from, to) = if out { (client, server) } else { (server, client) };
        let step = Step::all(talk, Place::named("dhcp"), reach.memo.everybody());
        builder.add(Step { sport: Some(Rc::from([(from, from)])), ..step.for_ports(UDP, &[(to, to)]) });
    }
    builder.rules(&file.path, &own.rules, None, None, 0);
    let (policy, default) =
        if out { (own.policy_out.as_ref(), POLICY_OUT) } else { (own.policy_in.as_ref(), POLICY_IN) };
    let place = Place::named("policy").because_of(&file.path, policy.map(|policy| policy.line));
    let verdict = builder.verdict(policy.map_or(default, |policy| policy.value));
    builder.add(Step::all(verdict, place, reach.memo.everybody()));
    CardChain::Filtered(Rules(builder.chain))
}
