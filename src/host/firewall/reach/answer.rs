//! What becomes of packets, and what decides it.

use std::net::IpAddr;
use std::rc::Rc;

use super::LOOPBACK;
use crate::formats::firewall::Verdict;
use crate::host::firewall::cover::AddressSet;

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
    pub(super) fn closedness(&self) -> u8 {
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
    pub(super) fn named(implicit: &'static str) -> Self {
        Self { implicit: Some(implicit), path: None, line: None, call: None, interface: None }
    }

    /// The same with the line that makes upstream add it.
    pub(super) fn because_of(self, path: &'a str, line: Option<u32>) -> Self {
        Self { path: Some(path), line, ..self }
    }

    pub(super) fn rule(path: &'a str, line: u32) -> Self {
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
    pub(super) fn unknown(sources: AddressSet, why: &str) -> Self {
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
    pub(super) fn open(place: Place<'a>) -> Self {
        Self {
            filtering: false,
            parts: vec![Part { sources: AddressSet::everything(), outcome: Outcome::Accept, place }],
        }
    }

    pub(super) fn unknown(why: &str) -> Self {
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
