//! Who reaches a TCP port of the node: the inbound chain of the host walked with sets of addresses.
//!
//! Follows `enable_host_firewall` of `PVE/Firewall.pm`: host.fw, then cluster.fw, then what the set `management`
//! gets without a rule, then `policy_in`; the first match decides. What the nftables backend does in another order
//! is said where it happens. Whoever attacks chooses the source port. A rule that is bound to an interface or to a
//! destination decides about some packets only: as far as it accepts, it opens the port; as far as it drops, what
//! comes behind it is unsure.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;

use super::cover::AddressSet;
use super::rules::{Match, written_out};
use super::{Backend, File};
use crate::formats::firewall::address::{Address, Family, Reference};
use crate::formats::firewall::names::Names;
use crate::formats::firewall::rule::{Direction, Parameter, Rule};
use crate::formats::firewall::{Firewall, MemberAddress, Verdict};
use crate::host::Stop;

/// The set whose members reach the management ports without a rule.
pub const MANAGEMENT: &str = "management";
/// The alias that is always part of [`MANAGEMENT`]; where it is not defined, upstream derives it from the routes.
pub const LOCAL_NETWORK: &str = "local_network";
/// The set whose members the iptables backend drops before every rule.
pub const BLACKLIST: &str = "blacklist";
/// TCP ports that [`MANAGEMENT`] reaches without a rule: first and last.
pub const MANAGEMENT_PORTS: [(u16, u16); 4] = [(22, 22), (3128, 3128), (5900, 5999), (8006, 8006)];

/// How much work is spent on one port, in rules and intervals of addresses: a thousand rules with a thousand
/// networks, many times of what is in use, so that no file keeps the audit busy for long.
const MOST_WORK: usize = 1_000_000;

/// The addresses of one family in each set; none where the firewall files do not tell.
type Sets<'a> = BTreeMap<(&'a Reference, Family), Option<Rc<AddressSet>>>;

/// What decides about inbound packets to a node.
#[derive(Debug, Clone)]
pub struct Inbound<'a> {
    /// cluster.fw.
    pub datacenter: &'a File,
    /// host.fw of the node; none to look at cluster.fw by itself.
    pub node: Option<&'a File>,
    /// Who loads the rules.
    pub backend: Backend,
    /// The addresses the node is known to have, perhaps not all of them.
    pub addresses: Vec<IpAddr>,
    /// The addresses of every set that a rule names, made once: a set may be large and named by many rules. Only
    /// cluster.fw has the sets of rules for nodes, so a name means the same in both files.
    sets: RefCell<Sets<'a>>,
}

/// Why somebody gets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way<'a> {
    /// A rule accepts.
    Rule {
        /// The file `rule` stands in.
        path: &'a str,
        /// The rule.
        rule: &'a Rule,
        /// The rule that calls its security group, with its file.
        call: Option<(&'a str, &'a Rule)>,
    },
    /// The set `management`, or the alias `local_network`, holds the source.
    Management,
    /// No rule matches and `policy_in` accepts.
    Policy,
}

/// One way in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opening<'a> {
    /// What lets in.
    pub way: Way<'a>,
    /// The interface packets must come in through; none for any.
    pub interface: Option<&'a str>,
    /// Who gets in here and not before.
    pub source: AddressSet,
}

/// Who reaches a port.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Exposure<'a> {
    /// Who gets in.
    pub open: AddressSet,
    /// Who may get in: a rule that the firewall files do not explain decides.
    pub unsure: AddressSet,
    /// The ways in, in order.
    pub openings: Vec<Opening<'a>>,
}

/// The addresses that reach the management ports without a rule, as far as cluster.fw names them.
pub fn management(datacenter: &Firewall, backend: Backend) -> AddressSet {
    let names = Names::of(datacenter, None);
    let local = datacenter.aliases.get(LOCAL_NETWORK).map(|alias| AddressSet::network(alias.cidr));
    let set = datacenter.sets.get(MANAGEMENT);
    let members = set.map(|set| AddressSet::ip_set(set, &names));
    let whole = set.into_iter().flat_map(|set| &set.whole).filter(|member| !member.nomatch);
    let whole = whole.filter(|_| backend == Backend::Nftables).filter_map(|member| match &member.what {
        MemberAddress::Network(cidr) => Some(AddressSet::network(*cidr)),
        MemberAddress::Alias(_) => None,
    });
    local.into_iter().chain(members).chain(whole).fold(AddressSet::empty(), |all, set| all.union(&set))
}

impl<'a> Inbound<'a> {
    /// The files of a node, who loads them, and the addresses it is known to have.
    pub fn new(
        datacenter: &'a File,
        node: Option<&'a File>,
        backend: Backend,
        addresses: Vec<IpAddr>,
    ) -> Self {
        Self { datacenter, node, backend, addresses, sets: RefCell::default() }
    }

    /// What one end of a rule matches; none if the firewall files do not tell.
    fn ends(
        &self,
        found: &Match<'a>,
        address: Option<&'a Address>,
        names: &Names<'_>,
    ) -> Option<Rc<AddressSet>> {
        let Some(Address::Set(name)) = address else { return found.addresses(address, names).map(Rc::new) };
        let mut sets = self.sets.borrow_mut();
        let made = || found.addresses(address, names).map(Rc::new);
        sets.entry((name, found.family)).or_insert_with(made).clone()
    }

    /// Who reaches this TCP port.
    ///
    /// # Errors
    /// Unknown where following the rules is too much work.
    pub fn tcp(&self, port: u16) -> Result<Exposure<'a>, Stop> {
        let mut walk = Walk {
            rest: AddressSet::everything(),
            doubtful: AddressSet::empty(),
            found: Exposure::default(),
            work: 0,
        };
        let datacenter = &self.datacenter.firewall;
        let iptables = self.backend == Backend::Iptables;
        let managed = MANAGEMENT_PORTS.iter().any(|(first, last)| (*first..=*last).contains(&port));
        let management = if managed { management(datacenter, self.backend) } else { AddressSet::empty() };
        if iptables && let Some(set) = datacenter.sets.get(BLACKLIST) {
            walk.rest = walk.rest.subtract(&AddressSet::ip_set(set, &Names::of(datacenter, None)));
        }
        if !iptables {
            walk.accept(Way::Management, None, &management);
            walk.rest = walk.rest.subtract(&management);
        }
        for file in self.node.into_iter().chain([self.datacenter]) {
            let names = Names::of(&file.firewall, Some(datacenter));
            for found in written_out(&file.firewall, Some(datacenter), Direction::In) {
                self.step(&mut walk, file, &found, &names, port);
                if walk.work > MOST_WORK {
                    return Err(Stop::unknown(
                        &file.path,
                        "has more rules and addresses than can be followed",
                    ));
                }
            }
        }
        if iptables {
            walk.accept(Way::Management, None, &management);
        }
        if datacenter.policy_in() == Verdict::Accept {
            let rest = walk.rest.clone();
            walk.accept(Way::Policy, None, &rest);
        }
        Ok(walk.found)
    }

    fn step(&self, walk: &mut Walk<'a>, file: &'a File, found: &Match<'a>, names: &Names<'_>, port: u16) {
        walk.work += 1;
        let zeros = if self.backend == Backend::Nftables { found.rule.zeros.as_slice() } else { &[] };
        if !found.takes_tcp(port) || zeros.contains(&Parameter::Dport) {
            return;
        }
        let source = self.ends(found, found.rule.source.as_ref(), names);
        let here = self.is_here(found, names);
        // Neither files nor options tell what a set of the software-defined network or a zero to nftables matches.
        let explained = source.is_some() && here != Some(false) && zeros.is_empty();
        let source = source.unwrap_or_else(|| Rc::new(AddressSet::family(found.family)));
        walk.work += source.pieces() + walk.pieces();
        let whole = explained && here.is_none() && found.interface().is_none() && found.sport.is_none();
        match found.verdict {
            Verdict::Accept if explained => {
                let path = if found.call.is_some() { &self.datacenter.path } else { &file.path };
                let call = found.call.map(|call| (file.path.as_str(), call));
                walk.accept(Way::Rule { path, rule: found.rule, call }, found.interface(), &source);
            }
            Verdict::Accept => {
                let more = source.intersect(&walk.rest);
                walk.found.unsure = walk.found.unsure.union(&more);
            }
            Verdict::Drop | Verdict::Reject if found.sport.is_some() => {}
            Verdict::Drop | Verdict::Reject if !whole => walk.doubtful = walk.doubtful.union(&source),
            Verdict::Drop | Verdict::Reject => {}
        }
        if whole {
            walk.rest = walk.rest.subtract(&source);
        }
    }

    /// Whether the destination of a rule is an address of this node; none where it is every address.
    fn is_here(&self, found: &Match<'a>, names: &Names<'_>) -> Option<bool> {
        found.rule.dest.as_ref()?;
        let Some(destination) = self.ends(found, found.rule.dest.as_ref(), names) else { return Some(false) };
        if destination.covers(&AddressSet::family(found.family)) {
            return None;
        }
        Some(self.addresses.iter().any(|address| destination.contains(*address)))
    }
}

struct Walk<'a> {
    /// Sources that nothing has decided about.
    rest: AddressSet,
    /// Sources of which an earlier rule may drop some packets.
    doubtful: AddressSet,
    found: Exposure<'a>,
    work: usize,
}

impl<'a> Walk<'a> {
    /// What a step costs, whatever the rule: all that has been found may have to be gone through.
    fn pieces(&self) -> usize {
        let Exposure { open, unsure, .. } = &self.found;
        [&self.rest, &self.doubtful, open, unsure].into_iter().map(AddressSet::pieces).sum()
    }

    fn accept(&mut self, way: Way<'a>, interface: Option<&'a str>, source: &AddressSet) {
        let more = source.intersect(&self.rest).subtract(&self.found.open);
        let (sure, unsure) = (more.subtract(&self.doubtful), more.intersect(&self.doubtful));
        self.work += more.pieces() + self.found.open.pieces() + self.doubtful.pieces();
        self.found.unsure = self.found.unsure.union(&unsure);
        if !sure.is_empty() {
            self.found.open = self.found.open.union(&sure);
            match self.found.openings.last_mut() {
                // The same rule for the other family.
                Some(last) if (last.way, last.interface) == (way, interface) => {
                    last.source = last.source.union(&sure);
                }
                _ => self.found.openings.push(Opening { way, interface, source: sure }),
            }
        }
    }
}
