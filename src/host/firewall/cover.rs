//! Sets of addresses as intervals, and how far such a set reaches.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::formats::firewall::IpSet;
use crate::formats::firewall::address::{Address, Cidr, Family, to_number};
use crate::formats::firewall::names::{Found, Names};

/// A public IPv4 prefix shorter than this counts as the whole Internet.
pub const WORLD_V4: u32 = 16;
/// A public IPv6 prefix shorter than this counts as the whole Internet.
pub const WORLD_V6: u32 = 32;

/// IPv4 networks that are not reachable through the Internet. Networks for documentation are left out: where they
/// stand in a configuration, they stand for public ones.
const NOT_PUBLIC_V4: [(Ipv4Addr, u32); 10] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];
/// The only IPv6 networks that are reachable through the Internet: global unicast and the NAT64 prefix.
const PUBLIC_V6: [(Ipv6Addr, u32); 2] =
    [(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3), (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96)];
/// IPv4 addresses of the host itself.
const LOOPBACK_V4: (Ipv4Addr, u32) = (Ipv4Addr::new(127, 0, 0, 0), 8);
/// The IPv6 address of the host itself.
const LOOPBACK_V6: (Ipv6Addr, u32) = (Ipv6Addr::LOCALHOST, 128);

/// Disjoint closed intervals of numbers in ascending order, no two of them adjacent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Intervals(Vec<(u128, u128)>);

impl Intervals {
    fn of(mut intervals: Vec<(u128, u128)>) -> Self {
        intervals.sort_unstable();
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(intervals.len());
        for (first, last) in intervals {
            match merged.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = (*end).max(last),
                _ => merged.push((first, last)),
            }
        }
        Self(merged)
    }

    fn union(&self, other: &Self) -> Self {
        if self.0.is_empty() {
            return other.clone();
        }
        if other.0.is_empty() {
            return self.clone();
        }
        let (mut ours, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut merged: Vec<(u128, u128)> = Vec::with_capacity(self.0.len() + other.0.len());
        loop {
            let next = match (ours.peek(), theirs.peek()) {
                (Some(a), Some(b)) if a <= b => ours.next(),
                (_, Some(_)) => theirs.next(),
                _ => ours.next(),
            };
            let Some((first, last)) = next else { return Self(merged) };
            match merged.last_mut() {
                Some((_, end)) if *first <= end.saturating_add(1) => *end = (*end).max(*last),
                _ => merged.push((*first, *last)),
            }
        }
    }

    /// What is left of the set without the other: one step through both.
    fn subtract(&self, other: &Self) -> Self {
        let (mut result, mut theirs) = (Vec::new(), other.0.iter().peekable());
        for (first, last) in &self.0 {
            let mut start = Some(*first);
            while let Some((from, to)) = theirs.peek().filter(|(from, _)| from <= last) {
                if let Some(begin) = start.filter(|begin| begin < from) {
                    result.push((begin, from - 1));
                }
                if to > last {
                    start = None;
                    break;
                }
                start = match start {
                    Some(begin) if *to < begin => Some(begin),
                    _ => to.checked_add(1),
                };
                theirs.next();
            }
            if let Some(begin) = start.filter(|begin| begin <= last) {
                result.push((begin, *last));
            }
        }
        Self(result)
    }

    fn intersect(&self, other: &Self) -> Self {
        let (mut result, mut ours, mut theirs) = (Vec::new(), self.0.iter(), other.0.iter());
        let (mut left, mut right) = (ours.next(), theirs.next());
        while let (Some(a), Some(b)) = (left, right) {
            let (first, last) = (a.0.max(b.0), a.1.min(b.1));
            if first <= last {
                result.push((first, last));
            }
            if a.1 < b.1 { left = ours.next() } else { right = theirs.next() }
        }
        Self(result)
    }

    fn contains(&self, number: u128) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= number);
        after.checked_sub(1).and_then(|index| self.0.get(index)).is_some_and(|(_, last)| number <= *last)
    }

    /// Goes through the shortest list of blocks (first number, number of bits free) that make up the set, in ascending
    /// order, as long as `more` says so.
    fn blocks(&self, width: u32, mut more: impl FnMut(u128, u32) -> bool) {
        for (first, last) in &self.0 {
            let mut start = *first;
            loop {
                let free = largest_block(start, *last, width);
                if !more(start, free) {
                    return;
                }
                let next = 1_u128.checked_shl(free).and_then(|size| start.checked_add(size));
                match next {
                    Some(next) if next <= *last => start = next,
                    _ => break,
                }
            }
        }
    }
}

/// Number of free bits of the largest aligned block that begins at `start` and does not pass `last`.
fn largest_block(start: u128, last: u128, width: u32) -> u32 {
    let aligned = start.trailing_zeros().min(width);
    let fits = match (last - start).checked_add(1) {
        Some(size) => size.ilog2(),
        None => width,
    };
    aligned.min(fits)
}

/// A set of IPv4 and IPv6 addresses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AddressSet {
    v4: Intervals,
    v6: Intervals,
}

/// How far a set of addresses reaches, from nobody to everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// No address.
    Nobody,
    /// Only the host itself.
    Loopback,
    /// Only addresses that the Internet does not route.
    Private,
    /// Some public addresses.
    Public,
    /// The Internet, or a public prefix shorter than [`WORLD_V4`] or [`WORLD_V6`].
    Anywhere,
}

impl AddressSet {
    /// No address.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Every address of both families.
    pub fn everything() -> Self {
        Self::family(Family::V4).union(&Self::family(Family::V6))
    }

    /// Every address of one family.
    pub fn family(family: Family) -> Self {
        Self::interval(family, 0, largest(family))
    }

    /// The addresses of a network; none if its prefix length is impossible.
    pub fn network(cidr: Cidr) -> Self {
        cidr.bounds().map_or_else(Self::empty, |(first, last)| Self::interval(cidr.family(), first, last))
    }

    /// The addresses of several networks.
    pub fn of_networks(networks: &[Cidr]) -> Self {
        Self::empty().apply(networks, false)
    }

    /// The addresses from `first` to `last`, both included; none if they are not of one family or not ascending.
    pub fn range(first: IpAddr, last: IpAddr) -> Self {
        if Family::of(first) != Family::of(last) {
            return Self::empty();
        }
        Self::interval(Family::of(first), to_number(first), to_number(last))
    }

    fn interval(family: Family, first: u128, last: u128) -> Self {
        let intervals = Intervals(if first <= last { vec![(first, last)] } else { Vec::new() });
        match family {
            Family::V4 => Self { v4: intervals, v6: Intervals::default() },
            Family::V6 => Self { v4: Intervals::default(), v6: intervals },
        }
    }

    /// The addresses that a set of the firewall matches in the iptables backend: the member with the longest
    /// prefix decides.
    pub fn ip_set(set: &IpSet, names: &Names<'_>) -> Self {
        let mut members = names.members(set);
        members.sort_by_key(|(cidr, nomatch, _)| (cidr.prefix, *nomatch));
        let mut result = Self::empty();
        let mut run: Vec<Cidr> = Vec::new();
        let mut removing = false;
        // Members of one kind are applied together, so that a set without `!` takes one step.
        for (cidr, nomatch, _) in members {
            if nomatch != removing {
                result = result.apply(&run, removing);
                run.clear();
                removing = nomatch;
            }
            run.push(cidr);
        }
        result.apply(&run, removing)
    }

    fn apply(&self, networks: &[Cidr], remove: bool) -> Self {
        let of = |family| {
            let same = networks.iter().filter(|cidr| cidr.family() == family);
            Intervals::of(same.filter_map(|cidr| cidr.bounds()).collect())
        };
        let set = Self { v4: of(Family::V4), v6: of(Family::V6) };
        if remove { self.subtract(&set) } else { self.union(&set) }
    }

    /// The addresses that source or destination of a rule match in the iptables backend. None if they hang on a set
    /// of the software-defined network, which no firewall file holds.
    pub fn address(address: &Address, names: &Names<'_>) -> Option<Self> {
        Some(match address {
            Address::Networks(list) => Self::empty().apply(list, false),
            Address::Range(first, last) => Self::range(*first, *last),
            Address::Alias(name) => {
                names.alias(name).map_or_else(Self::empty, |alias| Self::network(alias.cidr))
            }
            Address::Set(name) => match names.set(name) {
                Some(Found::Set(set, names)) => Self::ip_set(set, &names),
                Some(Found::Network) => return None,
                None => Self::empty(),
            },
        })
    }

    /// The addresses in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self { v4: self.v4.union(&other.v4), v6: self.v6.union(&other.v6) }
    }

    /// The addresses in both sets.
    #[must_use]
    pub fn intersect(&self, other: &Self) -> Self {
        Self { v4: self.v4.intersect(&other.v4), v6: self.v6.intersect(&other.v6) }
    }

    /// The addresses of this set that are not in the other.
    #[must_use]
    pub fn subtract(&self, other: &Self) -> Self {
        Self { v4: self.v4.subtract(&other.v4), v6: self.v6.subtract(&other.v6) }
    }

    /// Whether the address is in the set.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.of_family(Family::of(address)).contains(to_number(address))
    }

    /// Whether the sets have an address in common.
    pub fn meets(&self, other: &Self) -> bool {
        !self.intersect(other).is_empty()
    }

    /// Whether all addresses of the other set are in this one.
    pub fn covers(&self, other: &Self) -> bool {
        other.subtract(self).is_empty()
    }

    /// Whether every address of both families is in the set.
    pub fn is_everything(&self) -> bool {
        let full = |own: &Intervals, family| own.0.as_slice() == [(0, largest(family))];
        full(&self.v4, Family::V4) && full(&self.v6, Family::V6)
    }

    /// Whether no address is in the set.
    pub fn is_empty(&self) -> bool {
        self.v4.0.is_empty() && self.v6.0.is_empty()
    }

    /// In how many intervals the set falls: what an operation on it costs.
    pub fn pieces(&self) -> usize {
        self.v4.0.len() + self.v6.0.len()
    }

    /// The shortest list of networks that make up the set: IPv4 first, then ascending.
    pub fn networks(&self) -> Vec<Cidr> {
        self.first_networks(usize::MAX).0
    }

    /// The first networks of that list, and how many there are besides.
    pub fn first_networks(&self, most: usize) -> (Vec<Cidr>, usize) {
        let (mut networks, mut besides) = (Vec::new(), 0);
        self.each_network(|family, first, free| {
            if networks.len() < most {
                let prefix = family.bits().saturating_sub(free);
                networks.push(Cidr { address: to_address(family, first), prefix });
            } else {
                besides += 1;
            }
            true
        });
        (networks, besides)
    }

    /// Goes through the list: family, first address and bits free, as long as `more` says so.
    fn each_network(&self, mut more: impl FnMut(Family, u128, u32) -> bool) {
        for family in Family::BOTH {
            self.of_family(family).blocks(family.bits(), |first, free| more(family, first, free));
        }
    }

    /// How far the set reaches.
    pub fn reach(&self) -> Reach {
        let public = self.intersect(&Self::public());
        let mut world = false;
        public.each_network(|family, _, free| {
            let shortest = match family {
                Family::V4 => WORLD_V4,
                Family::V6 => WORLD_V6,
            };
            world |= family.bits().saturating_sub(free) < shortest;
            !world
        });
        if self.is_empty() {
            Reach::Nobody
        } else if world {
            Reach::Anywhere
        } else if !public.is_empty() {
            Reach::Public
        } else if Self::loopback().covers(self) {
            Reach::Loopback
        } else {
            Reach::Private
        }
    }

    /// The addresses that the Internet routes.
    pub fn public() -> Self {
        let v4 = NOT_PUBLIC_V4.map(|(address, prefix)| Cidr { address: address.into(), prefix });
        let v6 = PUBLIC_V6.map(|(address, prefix)| Cidr { address: address.into(), prefix });
        Self::family(Family::V4).apply(&v4, true).apply(&v6, false)
    }

    /// The addresses of the host itself.
    pub fn loopback() -> Self {
        let v4 = Cidr { address: LOOPBACK_V4.0.into(), prefix: LOOPBACK_V4.1 };
        let v6 = Cidr { address: LOOPBACK_V6.0.into(), prefix: LOOPBACK_V6.1 };
        Self::empty().apply(&[v4, v6], false)
    }

    fn of_family(&self, family: Family) -> &Intervals {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }
}

impl fmt::Display for AddressSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let networks = self.networks();
        if networks.is_empty() {
            return f.write_str("none");
        }
        for (index, cidr) in networks.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{cidr}")?;
        }
        Ok(())
    }
}

/// The largest address of a family as a number.
fn largest(family: Family) -> u128 {
    match family {
        Family::V4 => u128::from(u32::MAX),
        Family::V6 => u128::MAX,
    }
}

fn to_address(family: Family, number: u128) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(u32::MAX)).into(),
        Family::V6 => Ipv6Addr::from_bits(number).into(),
    }
}
