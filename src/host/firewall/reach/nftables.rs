//! The chains that proxmox-firewall generates (`firewall.rs`, `rule.rs`, `object.rs` and `proxmox-firewall.nft`).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::iptables::{MOST_STEPS, both, loopback, with_ports};
use super::load::{Refusal, sources};
use super::walk::{Addresses, Among, Chain, PortRanges, Step};
use super::{Card, CardChain, LOOPBACK, Place, Reach, Rules, TCP, UDP};
use crate::formats::firewall::address::{Cidr, Family, Scope};
use crate::formats::firewall::macros::{self, MACROS, Row};
use crate::formats::firewall::nft::{self, Address, Member, Name, Ports, Rule, Target};
use crate::formats::firewall::options::{DHCP, POLICY_IN};
use crate::formats::firewall::rule::Direction;
use crate::formats::firewall::{Level, Verdict, port};
use crate::formats::shown;
use crate::host::firewall::File;
use crate::host::firewall::cover::AddressSet;
use crate::host::firewall::exposure::{LOCAL_NETWORK, MANAGEMENT};

/// TCP ports that the management set reaches before all rules.
const MANAGEMENT_PORTS: [(u16, u16); 4] = [(8006, 8006), (5900, 5999), (3128, 3128), (22, 22)];
/// UDP ports that are open to everybody.
const COROSYNC_PORTS: (u16, u16) = (5405, 5412);
/// Longest name of an interface that the kernel takes, in characters.
const LONGEST_INTERFACE: usize = 15;
/// The version since which a rule with a name that leads nowhere is left out instead of ending everything.
const LENIENT: [u64; 3] = [1, 2, 3];
/// The version since which the local network is part of the set `management` in any case.
const LOCAL_ALWAYS: [u64; 3] = [1, 2, 0];
/// How deep security groups may call each other.
const DEEPEST: usize = 8;

/// The addresses of sets by guest (0 for the datacenter) and name.
#[derive(Default)]
pub(super) struct Sets(RefCell<BTreeMap<(u32, String), Rc<AddressSet>>>);

fn read(file: &File) -> Option<&nft::File> {
    file.nft.as_ref().and_then(|nft| nft.as_ref().ok())
}

/// Whether the node is filtered: proxmox-firewall reads host.fw itself.
pub(super) fn node_enabled(node: &File) -> bool {
    read(node).and_then(|file| file.enable.as_ref()).is_none_or(|enable| enable.value)
}

fn guest_enabled(file: &File) -> bool {
    read(file).and_then(|file| file.enable.as_ref()).is_some_and(|enable| enable.value)
}

/// Whether proxmox-firewall itself finds the firewall switched on.
pub(super) fn switched_on(datacenter: &File, node: &File) -> bool {
    let on = read(datacenter).and_then(|file| file.enable.as_ref()).is_some_and(|enable| enable.value);
    on && read(node).and_then(|file| file.nftables).unwrap_or(false)
}

/// Whether the installed version is at least this one; one that is not known counts as new.
fn is_at_least(reach: &Reach<'_>, wanted: [u64; 3]) -> bool {
    let Ok(Some(version)) = reach.host.package_version("proxmox-firewall") else { return true };
    let numbers = version.split(['.', '-', '~', '+']).map_while(|part| part.parse::<u64>().ok());
    let numbers: Vec<u64> = numbers.chain([0; 3]).take(3).collect();
    numbers.as_slice() >= wanted.as_slice()
}

/// Where names are looked up.
#[derive(Clone, Copy)]
struct Names<'h> {
    datacenter: &'h nft::File,
    own: Option<(u32, &'h nft::File)>,
}

impl<'h> Names<'h> {
    fn alias(&self, name: &Name) -> Option<Cidr> {
        let own = self.own.filter(|_| name.scope != Some(Scope::Datacenter));
        let own = own.and_then(|(_, file)| file.aliases.get(&name.name));
        let datacenter =
            || self.datacenter.aliases.get(&name.name).filter(|_| name.scope != Some(Scope::Guest));
        own.or_else(datacenter).copied()
    }

    /// The set with the guest whose names its members have.
    fn set(&self, name: &Name) -> Option<(u32, &'h [Member])> {
        let own = self.own.filter(|_| matches!(name.scope, None | Some(Scope::Guest)));
        let own = own.and_then(|(vmid, file)| Some((vmid, file.sets.get(&name.name)?.1.as_slice())));
        let datacenter = || {
            let may = matches!(name.scope, None | Some(Scope::Datacenter));
            Some((0, self.datacenter.sets.get(&name.name).filter(|_| may)?.1.as_slice()))
        };
        own.or_else(datacenter)
    }

    /// In the set and not in what is taken out of it.
    fn members(&self, members: &[Member]) -> AddressSet {
        let of = |nomatch| {
            let wanted = members.iter().filter(move |member| member.nomatch == nomatch);
            let networks: Vec<Cidr> = wanted
                .filter_map(|member| {
                    member.what.as_ref().map_or_else(|name| self.alias(name), |cidr| Some(*cidr))
                })
                .collect();
            AddressSet::of_networks(&networks)
        };
        of(false).subtract(&of(true))
    }
}

/// What proxmox-firewall or the kernel refuses; of a file that is no use as a whole the first place.
pub(super) fn refusals<'h>(reach: &Reach<'h>) -> Vec<Refusal<'h>> {
    let (Ok(datacenter), Ok(node)) = (reach.datacenter(), reach.node()) else { return Vec::new() };
    let all = sources(reach, node_enabled(node));
    let refused =
        |file: &'h File, (line, what): (u32, String)| Refusal { path: &file.path, line: Some(line), what };
    let vnets = reach.host.vnet_firewalls().value.as_ref().ok().into_iter().flat_map(BTreeMap::values);
    let vnets = vnets.filter_map(|fact| fact.value.as_ref().ok());
    let unread = all.iter().map(|source| source.file).chain(vnets).filter_map(|file| {
        let error = file.nft.as_ref()?.as_ref().err()?;
        Some(refused(file, (error.line, error.what.clone())))
    });
    let mut found: Vec<Refusal<'h>> = unread.collect();
    let Some(names_of_all) = read(datacenter) else { return found };
    let strict = !is_at_least(reach, LENIENT);
    let guests_on =
        all.iter().any(|source| source.file.firewall.level == Level::Guest && guest_enabled(source.file));
    let used = node_enabled(node) || guests_on;
    for source in all {
        let (file, Some(own)) = (source.file, read(source.file)) else { continue };
        let (names, generated) = match file.firewall.level {
            Level::Guest => (Names { datacenter: names_of_all, own: Some((1, own)) }, guest_enabled(file)),
            _ => (Names { datacenter: names_of_all, own: None }, node_enabled(node)),
        };
        let sets_used = if file.firewall.level == Level::Datacenter { used } else { generated };
        found.extend(broken_member(own, &names).filter(|_| sets_used).map(|broken| refused(file, broken)));
        let groups = own.groups.values().flatten().filter(|_| used);
        let rules = own.rules.iter().filter(|_| generated).chain(groups).filter(|rule| rule.enabled);
        found.extend(
            rules.filter_map(|rule| broken_rule(rule, &names, strict)).map(|broken| refused(file, broken)),
        );
    }
    found
}

fn broken_member(file: &nft::File, names: &Names<'_>) -> Option<(u32, String)> {
    let members = file.sets.values().flat_map(|(_, members)| members);
    let mut lost = members.filter_map(|member| Some((member.line, member.what.as_ref().err()?)));
    let (line, name) = lost.find(|(_, name)| names.alias(name).is_none())?;
    Some((line, format!("no alias {} is defined", shown(&name.name))))
}

fn broken_rule(rule: &Rule, names: &Names<'_>, strict: bool) -> Option<(u32, String)> {
    let say = |what: String| Some((rule.line, what));
    if let Target::Group(name) = &rule.target
        && !names.datacenter.groups.contains_key(name)
    {
        return say(format!("the security group {} does not exist", shown(name)));
    }
    let interface =
        rule.interface.as_ref().filter(|name| names.own.is_none() && name.len() > LONGEST_INTERFACE);
    if let Some(name) = interface {
        return say(format!("the interface name {} is too long", shown(name)));
    }
    let known = |name: &String| port::is_protocol(name) || name.parse::<u8>().is_ok();
    if let Some(name) = rule.protocol.as_ref().filter(|name| !known(name)) {
        return say(format!("{} is no protocol", shown(name)));
    }
    if strict && resolve(rule, names).is_none() {
        return say("a name of the rule leads nowhere".to_owned());
    }
    None
}

/// Whether every name of a rule leads somewhere.
fn resolve(rule: &Rule, names: &Names<'_>) -> Option<()> {
    for address in rule.source.iter().chain(&rule.dest) {
        match address {
            Address::Alias(name) => {
                names.alias(name)?;
            }
            Address::Set(name) if name.scope != Some(Scope::Sdn) => {
                names.set(name)?;
            }
            _ => {}
        }
    }
    match &rule.target {
        Target::Macro(name, _) => find_macro(name).map(|_| ()),
        _ => Some(()),
    }
}

/// The rows of a macro of exactly this name, as far as they are about ports.
fn find_macro(name: &str) -> Option<Vec<Row>> {
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
struct Builder<'r, 'h> {
    reach: &'r Reach<'h>,
    names: Names<'h>,
    groups_at: &'h str,
    management: Among,
    /// Set for the chain of a guest: its network card.
    card: Option<String>,
    chain: Chain<'h>,
    cut: bool,
}

impl<'h> Builder<'_, 'h> {
    fn add(&mut self, step: Step<'h>) {
        self.cut |= self.chain.steps.len() >= MOST_STEPS;
        if !self.cut {
            self.chain.steps.push(step);
        }
    }

    fn verdict(&self, verdict: Verdict) -> Verdict {
        // Where frames pass a bridge on the way in, nothing is answered.
        if self.card.is_some() && verdict == Verdict::Reject { Verdict::Drop } else { verdict }
    }

    fn rules(
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
                        self.rules(self.groups_at, group, Some(called), limited.as_ref(), depth + 1);
                    } else {
                        self.cut = true;
                    }
                }
                Target::Verdict(verdict) if rule.direction == Direction::In => {
                    self.rule(rule, self.verdict(*verdict), place, limited.as_ref(), None);
                }
                Target::Macro(name, verdict) if rule.direction == Direction::In => {
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
        let Some((source, dest)) = self.ends(rule) else { return };
        let mut source = match within {
            Some(within) => both(&source, within),
            None => source,
        };
        let unknown = rule.dport.iter().chain(&rule.sport).find_map(|ports| ports.unknown.as_ref());
        let (mut dport, mut sport) = (own_ports(rule.dport.as_ref()), own_ports(rule.sport.as_ref()));
        if let Some(name) = unknown {
            let why = format!("the service {} has to be looked up in /etc/services of the node", shown(name));
            source = source.doubted(&Rc::from(why));
            (dport, sport) = (None, None);
        }
        if let Some(row) = row {
            dport = narrowed(dport, row.dports().map(|ports| ports.ranges));
            sport = narrowed(sport, row.sports().map(|ports| ports.ranges));
        }
        self.add(Step { verdict, place, protocol, dport, sport, source, dest });
    }

    /// Sources and destinations of a rule; none if it is left out. The first of them that is of one family makes the
    /// rule one of that family, and one of the other family behind it is passed over.
    fn ends(&self, rule: &Rule) -> Option<(Among, Option<Among>)> {
        let mut family = None;
        let source = self.end(rule.source.as_ref(), &mut family)?;
        let dest = self.end(rule.dest.as_ref(), &mut family)?;
        let whole = family.map_or_else(AddressSet::everything, AddressSet::family);
        let source = source.unwrap_or_else(|| self.reach.among(AddressSet::everything())).within(&whole);
        Some((source, dest.map(|dest| dest.within(&whole))))
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
            let why = format!(
                "the set +sdn/{} comes from the virtual networks and is in no firewall file",
                name.name
            );
            return Some(Among::perhaps(AddressSet::everything(), &why));
        }
        let (vmid, members) = self.names.set(name)?;
        if vmid == 0 && name.name == MANAGEMENT {
            return Some(self.management.clone());
        }
        let key = (vmid, name.name.clone());
        let mut known = self.reach.nft_sets.0.borrow_mut();
        let names = Names { own: self.names.own.filter(|_| vmid != 0), ..self.names };
        let set = known.entry(key).or_insert_with(|| Rc::new(names.members(members)));
        Some(Among { sure: Rc::clone(set), maybe: None })
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
) -> Option<Builder<'r, 'h>> {
    let file = read(datacenter)?;
    Some(Builder {
        reach,
        names: Names { datacenter: file, own },
        groups_at: &datacenter.path,
        management: reach.nft_management.get_or_init(|| management(reach, file)).clone(),
        card: None,
        chain: Chain::default(),
        cut: false,
    })
}

/// The chains `default-in`, `host-in` and `cluster-in`.
pub(super) fn node<'h>(reach: &Reach<'h>, datacenter: &'h File, node: &'h File) -> Chain<'h> {
    let Some(mut builder) = builder(reach, datacenter, None) else { return Chain::default() };
    builder.chain.addresses = reach.local().addresses();
    let everybody = || Among::known(AddressSet::everything());
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

/// The chain `guest-VMID-in` for one network card that has the firewall switched on.
pub(super) fn guest<'h>(
    reach: &Reach<'h>,
    datacenter: &'h File,
    file: &'h File,
    card: &Card,
) -> CardChain<'h> {
    let (Some(own), true) = (read(file), guest_enabled(file)) else {
        let line = read(file).and_then(|file| file.enable.as_ref()).map(|enable| enable.line);
        return CardChain::Open(Place::named("guest-firewall-off").because_of(&file.path, line));
    };
    // Any number but 0 tells the sets of the guest from those of the datacenter; the path tells the guest.
    let vmid =
        file.path.rsplit('/').next().and_then(|name| name.strip_suffix(".fw")?.parse().ok()).unwrap_or(1);
    let Some(mut builder) = builder(reach, datacenter, Some((vmid, own))) else {
        return CardChain::Unknown(format!("{} was not read", datacenter.path));
    };
    builder.card = Some(format!("net{}", card.number));
    builder.chain.addresses = Addresses::of_guest(&card.addresses);
    let answers = if own.dhcp.unwrap_or(DHCP) { Verdict::Accept } else { Verdict::Drop };
    for (from, to) in [(67, 68), (547, 546)] {
        let step = Step::all(answers, Place::named("dhcp"), Among::known(AddressSet::everything()));
        builder.add(Step { sport: Some(Rc::from([(from, from)])), ..step.for_ports(UDP, &[(to, to)]) });
    }
    builder.rules(&file.path, &own.rules, None, None, 0);
    let policy = own.policy_in.as_ref();
    let place = Place::named("policy").because_of(&file.path, policy.map(|policy| policy.line));
    let verdict = builder.verdict(policy.map_or(POLICY_IN, |policy| policy.value));
    builder.add(Step::all(verdict, place, Among::known(AddressSet::everything())));
    CardChain::Filtered(Rules(builder.chain))
}
