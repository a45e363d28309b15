//! Sets of addresses as intervals, and how far such a set reaches.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::rc::Rc;

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

/// An address of a family as a number.
trait Number: Copy + Ord + Into<u128> {
    /// The largest number.
    const LAST: Self;
    /// The number of this value; the largest one for what is larger.
    fn of(number: u128) -> Self;
    /// The next number.
    fn after(self) -> Option<Self>;
    /// The number before; 0 of 0.
    fn before(self) -> Self;
}

impl Number for u32 {
    const LAST: Self = Self::MAX;
    fn of(number: u128) -> Self {
        Self::try_from(number).unwrap_or(Self::MAX)
    }
    fn after(self) -> Option<Self> {
        self.checked_add(1)
    }
    fn before(self) -> Self {
        self.saturating_sub(1)
    }
}

impl Number for u128 {
    const LAST: Self = Self::MAX;
    fn of(number: u128) -> Self {
        number
    }
    fn after(self) -> Option<Self> {
        self.checked_add(1)
    }
    fn before(self) -> Self {
        self.saturating_sub(1)
    }
}

/// How many times longer the one set has to be for its pieces to be searched instead of gone through.
const MUCH_LONGER: usize = 8;

/// Disjoint closed intervals of numbers in ascending order, no two of them adjacent. A copy shares them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Intervals<N>(Rc<Vec<(N, N)>>);

impl<N> Default for Intervals<N> {
    fn default() -> Self {
        Self(Rc::default())
    }
}

impl<N> Intervals<N> {
    /// Where the numbers are in memory; 0 for none.
    fn address(&self) -> usize {
        if self.0.is_empty() { 0 } else { Rc::as_ptr(&self.0).addr() }
    }
}

impl<N: Number> Intervals<N> {
    fn from_sorted(intervals: Vec<(N, N)>) -> Self {
        Self(Rc::new(intervals))
    }

    fn of(mut intervals: Vec<(N, N)>) -> Self {
        intervals.sort_unstable();
        let mut merged: Vec<(N, N)> = Vec::with_capacity(intervals.len());
        for interval in intervals {
            append(&mut merged, interval);
        }
        Self::from_sorted(merged)
    }

    fn is_full(&self) -> bool {
        self.0.first().is_some_and(|(first, last)| (*first).into() == 0 && *last == N::LAST)
    }

    fn union(&self, other: &Self) -> Self {
        if self.0.is_empty() || other.is_full() {
            return other.clone();
        }
        if other.0.is_empty() || self.is_full() || Rc::ptr_eq(&self.0, &other.0) {
            return self.clone();
        }
        let (mut ours, mut theirs) = (self.0.iter().peekable(), other.0.iter().peekable());
        let mut merged: Vec<(N, N)> = Vec::with_capacity(self.0.len() + other.0.len());
        loop {
            let next = match (ours.peek(), theirs.peek()) {
                (Some(a), Some(b)) if a <= b => ours.next(),
                (_, Some(_)) => theirs.next(),
                _ => ours.next(),
            };
            let Some(interval) = next else { return Self::from_sorted(merged) };
            append(&mut merged, *interval);
        }
    }

    /// The pieces that have a number from `first` to `last`.
    fn between(&self, first: N, last: N) -> &[(N, N)] {
        let start = self.0.partition_point(|(_, end)| *end < first);
        let rest = self.0.get(start..).unwrap_or_default();
        let count = rest.partition_point(|(begin, _)| *begin <= last);
        rest.get(..count).unwrap_or_default()
    }

    /// What is left of the set without the other.
    fn subtract(&self, other: &Self) -> Self {
        if self.0.is_empty() || other.0.is_empty() {
            return self.clone();
        }
        if other.is_full() || Rc::ptr_eq(&self.0, &other.0) {
            return Self::default();
        }
        let mut result = Vec::new();
        if other.0.len() > self.0.len().saturating_mul(MUCH_LONGER) {
            for piece in self.0.iter() {
                subtract(*piece, other.between(piece.0, piece.1).iter(), &mut result);
            }
        } else if self.0.len() > other.0.len().saturating_mul(MUCH_LONGER) {
            result.reserve(self.0.len() + other.0.len());
            // What lies before the first piece of the other that concerns it is taken as it is.
            let (mut rest, mut taken) = (self.0.as_slice(), other.0.iter().peekable());
            while let Some((from, _)) = taken.peek() {
                let (before, touched) =
                    rest.split_at_checked(rest.partition_point(|(_, end)| end < from)).unwrap_or((rest, &[]));
                result.extend_from_slice(before);
                let Some((piece, behind)) = touched.split_first() else {
                    rest = &[];
                    break;
                };
                subtract(*piece, taken.clone(), &mut result);
                while taken.next_if(|(_, to)| *to <= piece.1).is_some() {}
                rest = behind;
            }
            result.extend_from_slice(rest);
        } else {
            let mut theirs = other.0.iter().peekable();
            for piece in self.0.iter() {
                while theirs.next_if(|(_, to)| *to < piece.0).is_some() {}
                subtract(*piece, theirs.clone(), &mut result);
            }
        }
        Self::from_sorted(result)
    }

    fn intersect(&self, other: &Self) -> Self {
        if self.is_full() {
            return other.clone();
        }
        if other.is_full() || Rc::ptr_eq(&self.0, &other.0) {
            return self.clone();
        }
        let (short, long) = if self.0.len() <= other.0.len() { (self, other) } else { (other, self) };
        let mut result = Vec::new();
        if long.0.len() > short.0.len().saturating_mul(MUCH_LONGER) {
            for (first, last) in short.0.iter() {
                let pieces = long.between(*first, *last);
                result.extend(pieces.iter().map(|(from, to)| (*first.max(from), *last.min(to))));
            }
            return Self::from_sorted(result);
        }
        let (mut ours, mut theirs) = (self.0.iter(), other.0.iter());
        let (mut left, mut right) = (ours.next(), theirs.next());
        while let (Some(a), Some(b)) = (left, right) {
            let (first, last) = (a.0.max(b.0), a.1.min(b.1));
            if first <= last {
                result.push((first, last));
            }
            if a.1 < b.1 { left = ours.next() } else { right = theirs.next() }
        }
        Self::from_sorted(result)
    }

    fn meets(&self, other: &Self) -> bool {
        let (short, long) = if self.0.len() <= other.0.len() { (self, other) } else { (other, self) };
        short.0.iter().any(|(first, last)| !long.between(*first, *last).is_empty())
    }

    fn covers(&self, other: &Self) -> bool {
        self.is_full()
            || Rc::ptr_eq(&self.0, &other.0)
            || other.0.iter().all(|(first, last)| {
                let around = self.between(*first, *last).first();
                around.is_some_and(|(from, to)| from <= first && last <= to)
            })
    }

    fn contains(&self, number: N) -> bool {
        !self.between(number, number).is_empty()
    }

    /// Goes through the shortest list of blocks (first number, number of bits free) that make up the set, in ascending
    /// order, as long as `more` says so.
    fn blocks(&self, width: u32, mut more: impl FnMut(u128, u32) -> bool) {
        for (first, last) in self.0.iter() {
            let (mut start, last) = ((*first).into(), (*last).into());
            loop {
                let free = largest_block(start, last, width);
                if !more(start, free) {
                    return;
                }
                let next = 1_u128.checked_shl(free).and_then(|size| start.checked_add(size));
                match next {
                    Some(next) if next <= last => start = next,
                    _ => break,
                }
            }
        }
    }
}

/// Adds an interval that begins no earlier than the last one.
fn append<N: Number>(merged: &mut Vec<(N, N)>, (first, last): (N, N)) {
    match merged.last_mut() {
        Some((_, end)) if end.after().is_none_or(|next| first <= next) => *end = (*end).max(last),
        _ => merged.push((first, last)),
    }
}

/// Adds what is left of a piece without the others, of which the ones that end before it may be there.
fn subtract<'i, N: Number + 'i>(
    (first, last): (N, N),
    others: impl Iterator<Item = &'i (N, N)>,
    result: &mut Vec<(N, N)>,
) {
    let mut start = Some(first);
    for (from, to) in others.take_while(|(from, _)| *from <= last) {
        let Some(begin) = start else { return };
        if *to < begin {
            continue;
        }
        if begin < *from {
            result.push((begin, from.before()));
        }
        start = to.after();
    }
    if let Some(begin) = start.filter(|begin| *begin <= last) {
        result.push((begin, last));
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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct AddressSet {
    v4: Intervals<u32>,
    v6: Intervals<u128>,
}

/// Tells sets apart without a look at what is in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Identity(usize, usize);

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
        if first > last {
            return Self::empty();
        }
        match family {
            Family::V4 => Self {
                v4: Intervals::from_sorted(vec![(Number::of(first), Number::of(last))]),
                v6: Intervals::default(),
            },
            Family::V6 => Self { v4: Intervals::default(), v6: Intervals::from_sorted(vec![(first, last)]) },
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
        let set = Self { v4: intervals(networks, Family::V4), v6: intervals(networks, Family::V6) };
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
        let number = to_number(address);
        match Family::of(address) {
            Family::V4 => self.v4.contains(Number::of(number)),
            Family::V6 => self.v6.contains(number),
        }
    }

    /// Whether the sets have an address in common.
    pub fn meets(&self, other: &Self) -> bool {
        self.v4.meets(&other.v4) || self.v6.meets(&other.v6)
    }

    /// Whether all addresses of the other set are in this one.
    pub fn covers(&self, other: &Self) -> bool {
        self.v4.covers(&other.v4) && self.v6.covers(&other.v6)
    }

    /// Whether every address of both families is in the set.
    pub fn is_everything(&self) -> bool {
        self.v4.is_full() && self.v6.is_full()
    }

    /// Whether no address is in the set.
    pub fn is_empty(&self) -> bool {
        self.v4.0.is_empty() && self.v6.0.is_empty()
    }

    /// In how many intervals the set falls: what an operation on it costs.
    pub fn pieces(&self) -> usize {
        self.v4.0.len() + self.v6.0.len()
    }

    /// Where the set is in memory, shared by its copies: equal only for equal sets, as long as both are there.
    pub fn identity(&self) -> Identity {
        Identity(self.v4.address(), self.v6.address())
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
        self.v4.blocks(Family::V4.bits(), |first, free| more(Family::V4, first, free));
        self.v6.blocks(Family::V6.bits(), |first, free| more(Family::V6, first, free));
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
}

/// The addresses of the networks of one family.
fn intervals<N: Number>(networks: &[Cidr], family: Family) -> Intervals<N> {
    let same = networks.iter().filter(|cidr| cidr.family() == family);
    let bounds = same.filter_map(|cidr| cidr.bounds());
    Intervals::of(bounds.map(|(first, last)| (N::of(first), N::of(last))).collect())
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
