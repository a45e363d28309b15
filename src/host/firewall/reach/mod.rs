//! Who reaches the node and its guests, and what decides it.
//!
//! Follows the rulesets that pve-firewall (`PVE/Firewall.pm`: `compile`, `enable_host_firewall`,
//! `generate_tap_rules_direction`) and proxmox-firewall (`firewall.rs`, `proxmox-firewall.nft`) generate, for the first
//! packet of a connection. Sources are sets of addresses: one walk along a chain tells about all of them. What cannot
//! be told is unknown for the sources it concerns, never closed.

mod iptables;
mod load;
mod local;
mod nftables;
mod walk;

#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;

use self::local::Local;
use self::walk::{Among, Chain, Memo};
use super::cover::AddressSet;
use super::{Backend, File};
use crate::formats::firewall::Verdict;
use crate::formats::firewall::address::Family;
use crate::host::guests::Guest;
use crate::host::{Doubt, Host, Stop};

pub use self::load::Refusal;

/// Protocol number of TCP.
pub const TCP: u16 = 6;
/// Protocol number of UDP.
pub const UDP: u16 = 17;

/// The name of the rule for packets that never leave the node.
pub const LOOPBACK: &str = "loopback";

/// What happens to a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Let through.
    Accept,
    /// It cannot be told.
    Unknown {
        /// Why.
        why: Rc<str>,
        /// What the place that cannot be judged does to packets it matches.
        perhaps: Option<Verdict>,
    },
    /// Discarded with an answer.
    Reject,
    /// Discarded.
    Drop,
}

impl Outcome {
    /// 0 for the most open outcome. An answer opens nothing.
    fn closedness(&self) -> u8 {
        match self {
            Self::Accept => 0,
            Self::Unknown { .. } => 1,
            Self::Reject | Self::Drop => 2,
        }
    }

    /// `ACCEPT`, `DROP`, `REJECT` or `UNKNOWN`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Accept => "ACCEPT",
            Self::Unknown { .. } => "UNKNOWN",
            Self::Reject => "REJECT",
            Self::Drop => "DROP",
        }
    }
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Accept => Self::Accept,
            Verdict::Drop => Self::Drop,
            Verdict::Reject => Self::Reject,
        }
    }
}

/// What decides: a line, or a rule that upstream adds without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place<'a> {
    /// The name of a rule that stands in no file.
    pub implicit: Option<&'static str>,
    /// The file; of a rule without a line the one that makes upstream add it.
    pub path: Option<&'a str>,
    /// The line, counted from 1.
    pub line: Option<u32>,
    /// The call of the security group the rule stands in: file and line.
    pub call: Option<(&'a str, u32)>,
    /// The interface the rule is bound to.
    pub interface: Option<&'a str>,
}

impl<'a> Place<'a> {
    fn named(implicit: &'static str) -> Self {
        Self { implicit: Some(implicit), path: None, line: None, call: None, interface: None }
    }

    /// The same with the line that makes upstream add it.
    fn because_of(self, path: &'a str, line: Option<u32>) -> Self {
        Self { path: Some(path), line, ..self }
    }

    fn rule(path: &'a str, line: u32) -> Self {
        Self { implicit: None, path: Some(path), line: Some(line), call: None, interface: None }
    }
}

/// Sources that meet the same fate at the same place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'a> {
    /// The sources.
    pub sources: AddressSet,
    /// What happens to their packets.
    pub outcome: Outcome,
    /// What decides.
    pub place: Place<'a>,
}

impl Part<'_> {
    fn unknown(sources: AddressSet, why: &str) -> Self {
        Self {
            sources,
            outcome: Outcome::Unknown { why: Rc::from(why), perhaps: None },
            place: Place::named("unknown"),
        }
    }
}

/// Where packets go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// The node.
    Node,
    /// A guest of this node: all its network cards, or the one of this number.
    Guest(u32, Option<u32>),
}

/// Who reaches a port of a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposure<'a> {
    /// Whether packets to the target are filtered at all.
    pub filtering: bool,
    /// What becomes of every source: the parts do not overlap and cover all addresses.
    pub parts: Vec<Part<'a>>,
}

impl<'a> Exposure<'a> {
    /// Everybody gets in.
    fn open(place: Place<'a>) -> Self {
        Self {
            filtering: false,
            parts: vec![Part { sources: AddressSet::everything(), outcome: Outcome::Accept, place }],
        }
    }

    fn unknown(why: &str) -> Self {
        Self { filtering: true, parts: vec![Part::unknown(AddressSet::everything(), why)] }
    }

    /// The sources with this outcome.
    fn those(&self, wanted: impl Fn(&Part<'a>) -> bool) -> AddressSet {
        let wanted = self.parts.iter().filter(|part| wanted(part));
        wanted.fold(AddressSet::empty(), |all, part| all.union(&part.sources))
    }

    /// Who gets in.
    pub fn accepted(&self) -> AddressSet {
        self.those(|part| part.outcome == Outcome::Accept)
    }

    /// Who may get in.
    pub fn unsure(&self) -> AddressSet {
        self.those(|part| matches!(part.outcome, Outcome::Unknown { .. }))
    }

    /// A set of sources for people: with those that never leave the node, if that makes it shorter.
    pub fn rounded(&self, set: &AddressSet) -> AddressSet {
        /// Sets that fall in more pieces are not made shorter by a few addresses.
        const SHORT: usize = 64;
        if set.pieces() > SHORT {
            return set.clone();
        }
        let inside = self.those(|part| part.place.implicit == Some(LOOPBACK)).networks();
        inside.into_iter().fold(set.clone(), |own, network| {
            let with = own.union(&AddressSet::network(network));
            if with.pieces() < own.pieces() { with } else { own }
        })
    }

    /// What becomes of one source.
    pub fn of(&self, source: IpAddr) -> Option<&Part<'a>> {
        self.parts.iter().find(|part| part.sources.contains(source))
    }
}

/// A network card of a guest, as the firewall sees it.
#[derive(Debug, Clone)]
struct Card {
    number: u32,
    filtered: bool,
    addresses: Vec<IpAddr>,
    bridge: Option<String>,
}

/// The network from which the management ports are reached without a rule.
#[derive(Debug, Clone)]
pub struct LocalNetwork<'h> {
    /// Its addresses.
    pub networks: AddressSet,
    /// The networks in which the node has an address.
    pub connected: AddressSet,
    /// Whether the routes are those of the running kernel.
    pub from_kernel: bool,
    /// File and line of the alias that says it; none if upstream derives it from addresses and routes.
    pub pinned: Option<(&'h str, u32)>,
}

/// The ruleset of a node.
pub struct Reach<'h> {
    host: &'h Host,
    now: i64,
    node_chain: OnceCell<Chain<'h>>,
    cluster_chain: OnceCell<Chain<'h>>,
    local: OnceCell<Local>,
    sets: iptables::Sets,
    nft_sets: nftables::Sets,
    /// The set `management` as each backend makes it.
    management: OnceCell<Among>,
    nft_management: OnceCell<Among>,
    refusals: OnceCell<load::Refusals<'h>>,
    memo: Memo,
}

impl Host {
    /// The ruleset of this node at `now` (Unix time).
    pub fn reach(&self, now: i64) -> Reach<'_> {
        Reach {
            host: self,
            now,
            node_chain: OnceCell::new(),
            cluster_chain: OnceCell::new(),
            local: OnceCell::new(),
            sets: iptables::Sets::default(),
            nft_sets: nftables::Sets::default(),
            management: OnceCell::new(),
            nft_management: OnceCell::new(),
            refusals: OnceCell::new(),
            memo: Memo::default(),
        }
    }
}

/// Why a fact is not there, in words.
fn why(stop: &Stop) -> String {
    match stop {
        Stop::Unknown(doubt) => doubt.to_string(),
        Stop::NotApplicable(why) => why.clone(),
    }
}

impl<'h> Reach<'h> {
    fn datacenter(&self) -> Result<&'h File, String> {
        self.host.datacenter_firewall().value.as_ref().map_err(why)
    }

    fn node(&self) -> Result<&'h File, String> {
        self.host.node_firewall().value.as_ref().map_err(why)
    }

    /// Who loads the rules.
    ///
    /// # Errors
    /// Why that is not known.
    pub fn backend(&self) -> Result<Backend, String> {
        self.host.firewall_backend().value.as_ref().copied().map_err(why)
    }

    /// Known addresses, kept once for all steps that name them.
    fn among(&self, set: AddressSet) -> Among {
        Among::known(self.memo.shared(set))
    }

    fn local(&self) -> &Local {
        self.local.get_or_init(|| Local::gather(self.host))
    }

    /// What was not read or not understood of all this.
    pub fn doubts(&self) -> Vec<Doubt> {
        let mut all: Vec<Doubt> = self.host.datacenter_firewall().doubts.clone();
        all.extend(self.host.node_firewall().doubts.iter().cloned());
        all.extend(self.host.firewall_backend().doubts.iter().cloned());
        all.extend(self.local().doubts.iter().cloned());
        all.sort();
        all.dedup();
        all
    }

    /// What keeps the whole ruleset from being loaded: nothing is filtered after boot.
    pub fn load_failed(&self) -> Option<&Refusal<'h>> {
        self.refusals().everything.first()
    }

    /// Every such place, and every place that keeps the rules for IPv6 from being loaded.
    pub fn refused(&self) -> (&[Refusal<'h>], &[Refusal<'h>]) {
        let refusals = self.refusals();
        (&refusals.everything, &refusals.ipv6)
    }

    fn refusals(&self) -> &load::Refusals<'h> {
        self.refusals.get_or_init(|| load::refusals(self))
    }

    /// Guests of this node.
    pub fn guests(&self) -> impl Iterator<Item = &'h Guest> + use<'h> {
        let host = self.host;
        let all = host.guests().value.as_ref().map(|guests| guests.all.as_slice()).unwrap_or_default();
        all.iter().filter(move |guest| guest.is_local(host))
    }

    /// The switch of the datacenter, if it is off.
    fn switched_off(&self, datacenter: &'h File) -> Option<Exposure<'h>> {
        if datacenter.firewall.is_enabled(self.now) {
            return None;
        }
        let line = datacenter.firewall.options.enable.as_ref().map(|option| option.line);
        Some(Exposure::open(Place::named("firewall-off").because_of(&datacenter.path, line)))
    }

    /// Who reaches a port of the target; ports and protocols by number.
    ///
    /// # Errors
    /// If there is no such guest on this node, or no such network card.
    pub fn exposure(&self, target: Target, protocol: u16, port: u16) -> Result<Exposure<'h>, String> {
        match target {
            Target::Node => Ok(self.node_exposure(protocol, port)),
            Target::Guest(vmid, card) => self.guest_exposure(vmid, card, protocol, port),
        }
    }

    /// What is decided before any rule: by what cannot be read, by the switch of the datacenter, by a ruleset that is
    /// not loaded.
    fn before_rules(&self) -> Result<(&'h File, &'h File, Backend), Exposure<'h>> {
        let unknown = |why: String| Exposure::unknown(&why);
        let datacenter = self.datacenter().map_err(unknown)?;
        if let Some(off) = self.switched_off(datacenter) {
            return Err(off);
        }
        let node = self.node().map_err(unknown)?;
        let backend = self.backend().map_err(unknown)?;
        if let Some(refusal) = self.load_failed() {
            return Err(Exposure::open(refusal.place()));
        }
        if backend == Backend::Nftables && !nftables::switched_on(datacenter, node) {
            return Err(Exposure::open(Place::named("firewall-off").because_of(&datacenter.path, None)));
        }
        Ok((datacenter, node, backend))
    }

    /// With nothing loaded for IPv6 everybody gets in through it.
    fn without_unloaded_v6(&self, exposure: Exposure<'h>) -> Exposure<'h> {
        let Some(refusal) = self.refusals().ipv6.first() else { return exposure };
        let (v4, v6) = (AddressSet::family(Family::V4), AddressSet::family(Family::V6));
        let kept =
            exposure.parts.into_iter().map(|part| Part { sources: part.sources.intersect(&v4), ..part });
        let mut parts: Vec<Part<'h>> = kept.filter(|part| !part.sources.is_empty()).collect();
        parts.push(Part { sources: v6, outcome: Outcome::Accept, place: refusal.place() });
        Exposure { parts, ..exposure }
    }

    fn node_exposure(&self, protocol: u16, port: u16) -> Exposure<'h> {
        let (datacenter, node, backend) = match self.before_rules() {
            Ok(known) => known,
            Err(decided) => return decided,
        };
        let enabled = match backend {
            Backend::Iptables => node.firewall.is_enabled(self.now),
            Backend::Nftables => nftables::node_enabled(node),
        };
        if !enabled {
            let line = node.firewall.options.enable.as_ref().map(|option| option.line);
            return Exposure::open(Place::named("node-firewall-off").because_of(&node.path, line));
        }
        let chain = self.chain_of_node(datacenter, node, backend);
        let parts = chain.walk(protocol, port, &self.memo);
        self.without_unloaded_v6(Exposure { filtering: true, parts })
    }

    /// Who reaches these ports of the node: runs of ports with the same exposure.
    pub fn node_exposures(&self, protocol: u16, ports: (u16, u16)) -> Vec<(Vec<(u16, u16)>, Exposure<'h>)> {
        let runs = match self.before_rules() {
            Ok((datacenter, node, backend)) => {
                self.chain_of_node(datacenter, node, backend).runs(protocol, ports)
            }
            Err(_) => vec![(ports, 0)],
        };
        alike(runs, |port| self.node_exposure(protocol, port))
    }

    /// Who would reach a TCP port of a node without rules of its own.
    ///
    /// # Errors
    /// Why cluster.fw is not known.
    pub fn of_cluster(&self, port: u16) -> Result<Exposure<'h>, String> {
        let datacenter = self.datacenter()?;
        let chain = self.cluster_chain.get_or_init(|| iptables::cluster(self, datacenter));
        Ok(Exposure { filtering: true, parts: chain.walk(TCP, port, &self.memo) })
    }

    fn chain_of_node(&self, datacenter: &'h File, node: &'h File, backend: Backend) -> &Chain<'h> {
        self.node_chain.get_or_init(|| match backend {
            Backend::Iptables => iptables::node(self, datacenter, node),
            Backend::Nftables => nftables::node(self, datacenter, node),
        })
    }

    /// The local network, from which the management ports are reached without a rule.
    ///
    /// # Errors
    /// Why it is not known.
    pub fn local_network(&self) -> Result<LocalNetwork<'h>, String> {
        let (datacenter, backend) = (self.datacenter()?, self.backend()?);
        let alias = datacenter.firewall.aliases.get(super::exposure::LOCAL_NETWORK);
        let found = match (alias, backend) {
            (Some(alias), _) => Among::known(AddressSet::network(alias.cidr)),
            (None, Backend::Iptables) => self.local().network(),
            (None, Backend::Nftables) => self.local().networks(),
        };
        if let Some((_, why)) = &found.maybe {
            return Err(why.to_string());
        }
        Ok(LocalNetwork {
            networks: found.sure.as_ref().clone(),
            connected: self.local().connected(),
            from_kernel: self.local().is_from_kernel(),
            pinned: alias.map(|alias| (datacenter.path.as_str(), alias.line)),
        })
    }

    /// The rules that deny management ports to sources that the nftables backend lets in before it looks at rules.
    pub fn denied_in_vain(&self) -> Vec<Place<'h>> {
        let Ok((datacenter, node, Backend::Nftables)) = self.before_rules() else { return Vec::new() };
        self.chain_of_node(datacenter, node, Backend::Nftables).denied_behind("management-set")
    }

    /// The call of a security group behind which everything is let in that a guest with a filtered network card sends
    /// to the node, whatever its address.
    pub fn mark_leak(&self) -> Option<Place<'h>> {
        let (datacenter, node, backend) = self.before_rules().ok()?;
        let on = backend == Backend::Iptables && node.firewall.is_enabled(self.now);
        self.chain_of_node(datacenter, node, backend).leak.filter(|_| on)
    }

    fn guest_exposure(
        &self,
        vmid: u32,
        card: Option<u32>,
        protocol: u16,
        port: u16,
    ) -> Result<Exposure<'h>, String> {
        let chains = self.guest_chains(vmid, card)?;
        Ok(chains.exposure(protocol, port, self))
    }

    /// What decides about packets to a guest, made once for many ports.
    ///
    /// # Errors
    /// If there is no such guest on this node, or no such network card.
    pub fn guest_chains(&self, vmid: u32, card: Option<u32>) -> Result<GuestChains<'h>, String> {
        let guest = self.guests().find(|guest| guest.vmid == vmid);
        let guest = guest.ok_or_else(|| format!("there is no guest {vmid} on this node"))?;
        self.chains_of(guest, card)
    }

    /// The same of a guest that is at hand.
    ///
    /// # Errors
    /// If it has no network card, or not this one.
    pub fn chains_of(&self, guest: &'h Guest, card: Option<u32>) -> Result<GuestChains<'h>, String> {
        let vmid = guest.vmid;
        let cards = cards(guest);
        if cards.as_ref().is_ok_and(Vec::is_empty) && card.is_none() {
            return Err(format!("the guest {vmid} has no network card"));
        }
        let (datacenter, _, backend) = match self.before_rules() {
            Ok(known) => known,
            Err(decided) => return Ok(GuestChains::Decided(decided)),
        };
        let cards = match cards {
            Ok(cards) => cards,
            Err(why) => return Ok(GuestChains::Decided(Exposure::unknown(&why))),
        };
        let wanted: Vec<&Card> =
            cards.iter().filter(|own| card.is_none_or(|number| own.number == number)).collect();
        if let Some(number) = card.filter(|_| wanted.is_empty()) {
            return Err(format!("the guest {vmid} has no net{number}"));
        }
        let files = self.host.guest_firewalls().value.as_ref().map_err(why);
        let file = match files.map(|files| files.get(&vmid).map(|fact| fact.value.as_ref().map_err(why))) {
            Ok(Some(Ok(file))) => Ok(file),
            Ok(Some(Err(why))) | Err(why) => Err(why),
            Ok(None) => Err(format!("the firewall file of the guest {vmid} was not read")),
        };
        let one = |card: &Card| match (&file, card.filtered) {
            (_, false) => CardChain::Open(Place::named("nic-unfiltered").because_of(&guest.path, None)),
            (Err(why), true) => CardChain::Unknown(why.clone()),
            (Ok(file), true) => match backend {
                Backend::Iptables => iptables::guest(self, datacenter, file, card),
                Backend::Nftables => nftables::guest(self, datacenter, file, card),
            },
        };
        Ok(GuestChains::Cards(wanted.into_iter().map(one).collect()))
    }
}

/// What decides about packets to a guest.
pub enum GuestChains<'h> {
    /// Something before any rule.
    Decided(Exposure<'h>),
    /// A chain for each network card.
    Cards(Vec<CardChain<'h>>),
}

/// What decides about packets to a network card.
pub enum CardChain<'h> {
    /// They are not filtered.
    Open(Place<'h>),
    /// That is not known.
    Unknown(String),
    /// A chain of rules.
    Filtered(Rules<'h>),
}

impl<'h> CardChain<'h> {
    fn chain(&self) -> Option<&Chain<'h>> {
        match self {
            Self::Filtered(Rules(chain)) => Some(chain),
            Self::Open(_) | Self::Unknown(_) => None,
        }
    }
}

/// The rules of a chain.
pub struct Rules<'h>(Chain<'h>);

impl<'h> GuestChains<'h> {
    /// Who reaches the ports of the guest: runs of ports with the same exposure, which together are all ports.
    pub fn exposures(&self, protocol: u16, reach: &Reach<'h>) -> Vec<(Vec<(u16, u16)>, Exposure<'h>)> {
        const ALL: (u16, u16) = (1, u16::MAX);
        let chains: Vec<&Chain<'h>> = match self {
            Self::Decided(_) => Vec::new(),
            Self::Cards(cards) => cards.iter().filter_map(CardChain::chain).collect(),
        };
        let runs = match chains.as_slice() {
            [] => vec![(ALL, 0)],
            [one] => one.runs(protocol, ALL),
            many => walk::runs_of(many, protocol, ALL),
        };
        alike(runs, |port| self.exposure(protocol, port, reach))
    }

    /// Who reaches a port of the guest.
    pub fn exposure(&self, protocol: u16, port: u16, reach: &Reach<'h>) -> Exposure<'h> {
        let cards = match self {
            Self::Decided(exposure) => return exposure.clone(),
            Self::Cards(cards) => cards,
        };
        let exposures = cards.iter().map(|card| match card {
            CardChain::Open(place) => Exposure::open(*place),
            CardChain::Unknown(why) => Exposure::unknown(why),
            CardChain::Filtered(Rules(chain)) => {
                let parts = chain.walk(protocol, port, &reach.memo);
                reach.without_unloaded_v6(Exposure { filtering: true, parts })
            }
        });
        let mut exposures: Vec<Exposure<'h>> = exposures.collect();
        if exposures.len() < 2 {
            return exposures.pop().unwrap_or_else(|| Exposure::unknown("the guest has no network card"));
        }
        let filtering = exposures.iter().all(|exposure| exposure.filtering);
        Exposure {
            filtering,
            parts: walk::merge(exposures.into_iter().map(|exposure| exposure.parts).collect()),
        }
    }
}

/// Runs of ports with the same exposure, by their first port; of runs of the same number it is asked for once.
fn alike<'h>(
    runs: Vec<((u16, u16), usize)>,
    of: impl Fn(u16) -> Exposure<'h>,
) -> Vec<(Vec<(u16, u16)>, Exposure<'h>)> {
    let mut groups: BTreeMap<usize, Vec<(u16, u16)>> = BTreeMap::new();
    for (ports, number) in runs {
        groups.entry(number).or_default().push(ports);
    }
    let mut found: Vec<(Vec<(u16, u16)>, Exposure<'h>)> = Vec::new();
    for ports in groups.into_values() {
        let Some((first, _)) = ports.first() else { continue };
        let exposure = of(*first);
        match found.iter_mut().find(|(_, known)| *known == exposure) {
            Some((known, _)) => known.extend(ports),
            None => found.push((ports, exposure)),
        }
    }
    for (ports, _) in &mut found {
        ports.sort_unstable();
        let joined: Vec<(u16, u16)> = ports.drain(..).fold(Vec::new(), |mut all, (first, last)| {
            match all.last_mut() {
                Some((_, end)) if end.checked_add(1) == Some(first) => *end = last,
                _ => all.push((first, last)),
            }
            all
        });
        *ports = joined;
    }
    found.sort_by(|(left, _), (right, _)| left.cmp(right));
    found
}

/// The network cards of a guest.
fn cards(guest: &Guest) -> Result<Vec<Card>, String> {
    use crate::host::guests::GuestConfig;
    let number = |option: &str| option.strip_prefix("net")?.parse().ok();
    let config = guest.config.value.as_ref().map_err(why)?;
    let card = |option: &str, filtered, bridge: Option<String>, addresses| {
        Some(Card { number: number(option)?, filtered, addresses, bridge })
    };
    Ok(match config {
        GuestConfig::Vm(config) => {
            let nics = config.current.nics().into_iter();
            nics.filter_map(|nic| card(&nic.option, nic.firewall, nic.bridge, Vec::new())).collect()
        }
        GuestConfig::Container(config) => {
            let nics = config.current.nics().into_iter();
            nics.filter_map(|nic| card(&nic.option, nic.firewall, nic.bridge, nic.addresses)).collect()
        }
    })
}
