//! Addresses as pve-firewall reads them: networks, ranges, lists and references to aliases and sets.
//!
//! Aliases and set members go through `parse_ip_or_cidr` (any prefix length, host bits allowed), the addresses of
//! rules through `parse_address_list` (Perl's `Net::IP`: host bits refused, short IPv4 forms taken), both in
//! `PVE/Firewall.pm`. What they accept is handed on as text, so numbers with a leading zero are then octal to
//! iptables and ipset.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::is_name;
use crate::formats::shown;

/// Longest name of an alias or set in a rule, in characters, its scope included.
pub const LONGEST_NAME: usize = 64;

/// An address family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both families.
    pub const BOTH: [Self; 2] = [Self::V4, Self::V6];

    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }

    /// Number of bits in an address.
    pub fn bits(self) -> u32 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }
}

/// An address with a prefix length, as written: host bits and impossible lengths are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cidr {
    /// The address, host bits included.
    pub address: IpAddr,
    /// Prefix length as iptables and ipset read it; [`Cidr::UNREADABLE`] if they cannot.
    pub prefix: u32,
}

impl Cidr {
    /// Prefix length of a text that iptables and ipset refuse, such as `08` (not octal).
    pub const UNREADABLE: u32 = u32::MAX;

    /// A single address.
    pub fn host(address: IpAddr) -> Self {
        Self { address, prefix: Family::of(address).bits() }
    }

    /// The family of the address.
    pub fn family(self) -> Family {
        Family::of(self.address)
    }

    /// Whether the kernel takes the prefix length.
    pub fn is_possible(self) -> bool {
        self.prefix <= self.family().bits()
    }

    /// First and last address as numbers; none if the prefix length is impossible.
    pub fn bounds(self) -> Option<(u128, u128)> {
        let (number, width) = (to_number(self.address), self.family().bits());
        let host_bits = width.checked_sub(self.prefix)?;
        let ones = |bits: u32| 1_u128.checked_shl(bits).map_or(u128::MAX, |bit| bit - 1);
        let host = ones(host_bits);
        let first = number & !host & ones(width);
        Some((first, first | host))
    }

    /// First and last address; none if the prefix length is impossible.
    pub fn ends(self) -> Option<(IpAddr, IpAddr)> {
        let (first, last) = self.bounds()?;
        let address = |number: u128| match self.family() {
            Family::V4 => u32::try_from(number).ok().map(|bits| IpAddr::V4(bits.into())),
            Family::V6 => Some(IpAddr::V6(number.into())),
        };
        Some((address(first)?, address(last)?))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.prefix == self.family().bits() {
            write!(f, "{}", self.address)
        } else {
            write!(f, "{}/{}", self.address, self.prefix)
        }
    }
}

/// The bits of an address as a number.
pub fn to_number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// Which file a name is looked up in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// `dc/`: only cluster.fw.
    Datacenter,
    /// `guest/`: only the guest's own file.
    Guest,
    /// `sdn/`: only the sets made from the software-defined network (Proxmox VE 8 and later).
    Sdn,
}

/// A reference to an alias or a set by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The scope written before the name; without one: own file, then cluster.fw, then the network's sets.
    pub scope: Option<Scope>,
    /// The name: lower-cased for an alias, as written for a set.
    pub name: String,
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = match self.scope {
            Some(Scope::Datacenter) => "dc/",
            Some(Scope::Guest) => "guest/",
            Some(Scope::Sdn) => "sdn/",
            None => "",
        };
        write!(f, "{scope}{}", self.name)
    }
}

/// Source or destination of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// `+name`: a set.
    Set(Reference),
    /// `name`: an alias.
    Alias(Reference),
    /// One or more addresses and networks of one family.
    Networks(Vec<Cidr>),
    /// `first-last`, both included.
    Range(IpAddr, IpAddr),
}

/// The address of a rule, with what iptables will not load of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parsed {
    /// What upstream's parser understands.
    pub(super) address: Address,
    /// The family of literal addresses.
    pub(super) family: Option<Family>,
    /// Why iptables refuses the text although the parser takes it.
    pub(super) refused: Option<String>,
}

/// A number as C's `strtoul` with base 0 reads it, which iptables and ipset use: a leading zero means octal.
pub(super) fn c_number(digits: &str) -> Option<u32> {
    let radix = if digits.len() > 1 && digits.starts_with('0') { 8 } else { 10 };
    u32::from_str_radix(digits, radix).ok()
}

/// A network of an alias or set member (`parse_ip_or_cidr`): any prefix length, host bits allowed.
pub(super) fn parse_network(text: &str) -> Option<Cidr> {
    let Some((address, prefix)) = text.split_once('/') else {
        return text.parse().ok().map(Cidr::host);
    };
    if prefix.is_empty() || !prefix.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(Cidr { address: address.parse().ok()?, prefix: c_number(prefix).unwrap_or(Cidr::UNREADABLE) })
}

/// A reference to an alias: `[dc/|guest/]name`, the name in any case.
pub(super) fn parse_alias_reference(text: &str) -> Option<Reference> {
    let (scope, name) = split_scope(text, false);
    is_name(name).then(|| Reference { scope, name: name.to_ascii_lowercase() })
}

/// A reference to a set, the `+` removed: `[dc/|guest/|sdn/]name`.
fn parse_set_reference(text: &str, sdn: bool) -> Option<Reference> {
    let (scope, name) = split_scope(text, sdn);
    is_name(name).then(|| Reference { scope, name: name.to_owned() })
}

fn split_scope(text: &str, sdn: bool) -> (Option<Scope>, &str) {
    match text.split_once('/') {
        Some(("dc", name)) => (Some(Scope::Datacenter), name),
        Some(("guest", name)) => (Some(Scope::Guest), name),
        Some(("sdn", name)) if sdn => (Some(Scope::Sdn), name),
        _ => (None, text),
    }
}

/// The `-source` or `-dest` of a rule (`parse_address_list`). `sdn`: whether the release knows that scope.
pub(super) fn parse(text: &str, sdn: bool) -> Result<Parsed, String> {
    let named = |address| Ok(Parsed { address, family: None, refused: None });
    if let Some(name) = text.strip_prefix('+').filter(|name| !name.is_empty()) {
        if name.len() > LONGEST_NAME {
            return Err("the name of the set is too long".to_owned());
        }
        let reference =
            parse_set_reference(name, sdn).ok_or_else(|| format!("{} is no name of a set", shown(text)))?;
        return named(Address::Set(reference));
    }
    if let Some(reference) = parse_alias_reference(text) {
        if text.len() > LONGEST_NAME {
            return Err("the name of the alias is too long".to_owned());
        }
        return named(Address::Alias(reference));
    }
    if text.ends_with(',') {
        return Err(format!("{} has a comma too many", shown(text)));
    }
    parse_list(text)
}

fn parse_list(text: &str) -> Result<Parsed, String> {
    let (mut networks, mut family, mut refused) = (Vec::new(), None, None);
    let several = text.contains(',');
    for element in text.split(',') {
        let read = parse_element(element)
            .ok_or_else(|| format!("{} is no address, network, range or name", shown(element)))?;
        if several && element.contains('-') {
            return Err("a range cannot stand in a list".to_owned());
        }
        if family.is_some_and(|family| family != read.family()) {
            return Err("IPv4 and IPv6 addresses are mixed".to_owned());
        }
        family = Some(read.family());
        match read {
            Element::Network(network, why) => {
                networks.push(network);
                refused = refused.or(why);
            }
            Element::Range(first, last, why) => {
                return Ok(Parsed { address: Address::Range(first, last), family, refused: why });
            }
        }
    }
    Ok(Parsed { address: Address::Networks(networks), family, refused })
}

/// What `Net::IP` makes of one element, with why iptables refuses it.
enum Element {
    Network(Cidr, Option<String>),
    Range(IpAddr, IpAddr, Option<String>),
}

impl Element {
    fn family(&self) -> Family {
        match self {
            Self::Network(network, _) => network.family(),
            Self::Range(first, ..) => Family::of(*first),
        }
    }
}

/// An element of an address list as `Net::IP`'s `ip_normalize` takes it.
fn parse_element(text: &str) -> Option<Element> {
    if let Some((address, prefix)) =
        text.split_once('/').filter(|(ip, prefix)| !ip.is_empty() && !prefix.is_empty())
    {
        return parse_prefixed(address, prefix);
    }
    if let Some((first, last)) = text.split_once('-') {
        let (first, last) = (parse_lenient(first)?, parse_lenient(last)?);
        let ordered = Family::of(first.decimal) == Family::of(last.decimal)
            && to_number(first.decimal) <= to_number(last.decimal);
        let refused = (first.loaded.is_none() || last.loaded.is_none())
            .then(|| format!("iptables cannot read the range {}", shown(text)));
        let (low, high) = (first.loaded.unwrap_or(first.decimal), last.loaded.unwrap_or(last.decimal));
        return ordered.then_some(Element::Range(low, high, refused));
    }
    let single = parse_lenient(text)?;
    let refused =
        single.loaded.is_none().then(|| format!("iptables cannot read the address {}", shown(text)));
    Some(Element::Network(Cidr::host(single.loaded.unwrap_or(single.decimal)), refused))
}

fn parse_prefixed(address: &str, prefix: &str) -> Option<Element> {
    let read = parse_lenient(address)?;
    let family = Family::of(read.decimal);
    let loaded = read.loaded.unwrap_or(read.decimal);
    let unreadable =
        || Some(format!("iptables cannot read the network {}", shown(&format!("{address}/{prefix}"))));
    if prefix.bytes().all(|byte| byte.is_ascii_digit()) {
        let decimal: u32 = prefix.parse().ok()?;
        let (first, _) = Cidr { address: read.decimal, prefix: decimal }.bounds()?;
        if first != to_number(read.decimal) {
            return None; // Net::IP refuses host bits
        }
        let octal = c_number(prefix).filter(|bits| *bits <= family.bits());
        let refused = if octal.is_none() || read.loaded.is_none() { unreadable() } else { None };
        return Some(Element::Network(Cidr { address: loaded, prefix: octal.unwrap_or(decimal) }, refused));
    }
    // Net::IP looks no further than the slash here; iptables takes a netmask or a hexadecimal length.
    let mask = prefix.parse::<Ipv4Addr>().ok().filter(|_| family == Family::V4);
    let hex = prefix.strip_prefix("0x").and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let hex = hex.filter(|bits| *bits <= family.bits());
    let bits = mask.map(|mask| mask.to_bits().leading_ones()).or(hex);
    let refused = if bits.is_none() || read.loaded.is_none() { unreadable() } else { None };
    Some(Element::Network(Cidr { address: loaded, prefix: bits.unwrap_or(family.bits()) }, refused))
}

/// An address in a form that `Net::IP` takes.
struct Lenient {
    /// As `Net::IP` reads it.
    decimal: IpAddr,
    /// As iptables reads it, octal numbers included; none if it cannot.
    loaded: Option<IpAddr>,
}

fn parse_lenient(text: &str) -> Option<Lenient> {
    /// `Net::IP` refuses an IPv6 address with more colons.
    const MOST_COLONS: usize = 7;
    if text.contains(':') {
        let address = IpAddr::V6(text.parse::<Ipv6Addr>().ok()?);
        let few = text.bytes().filter(|byte| *byte == b':').count() <= MOST_COLONS;
        return few.then_some(Lenient { decimal: address, loaded: Some(address) });
    }
    let parts: Vec<&str> = text.split('.').collect();
    let is_quad =
        |part: &&str| (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit());
    if parts.len() > 4 || !parts.iter().all(is_quad) {
        return None;
    }
    let quads = |number: fn(&str) -> Option<u32>| {
        let mut octets = [0_u8; 4];
        for (octet, part) in octets.iter_mut().zip(&parts) {
            *octet = u8::try_from(number(part)?).ok()?;
        }
        Some(IpAddr::from(octets))
    };
    let decimal = quads(|part| part.parse().ok())?;
    Some(Lenient { decimal, loaded: quads(c_number) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(text: &str) -> Vec<String> {
        match parse(text, true).unwrap().address {
            Address::Networks(list) => list.iter().map(Cidr::to_string).collect(),
            other => panic!("{other:?}"),
        }
    }

    fn refused(text: &str) -> bool {
        parse(text, true).unwrap().refused.is_some()
    }

    #[test]
    fn an_alias_value_keeps_host_bits_and_impossible_prefixes() {
        let cidr = parse_network("192.0.2.7/24").unwrap();
        assert_eq!(cidr.to_string(), "192.0.2.7/24");
        assert!(!parse_network("192.0.2.7/99").unwrap().is_possible());
        assert!(!parse_network("2001:db8::/129").unwrap().is_possible());
        assert!(parse_network("2001:db8::/128").unwrap().is_possible());
        for bad in ["192.0.2", "192.0.2.256", "010.0.0.1", "10.0.0.1/", "10.0.0.1/x", "::1/", "", "a-b"] {
            assert_eq!(parse_network(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_prefix_with_a_leading_zero_is_octal_to_the_kernel_tools() {
        assert_eq!(parse_network("10.0.0.0/024").unwrap().prefix, 20);
        assert_eq!(parse_network("10.0.0.0/010").unwrap().prefix, 8);
        assert!(!parse_network("10.0.0.0/08").unwrap().is_possible());
        assert_eq!(networks("10.0.0.0/010"), ["10.0.0.0/8"]);
        assert!(refused("10.0.0.0/08"));
    }

    #[test]
    fn the_address_of_a_rule_may_not_have_host_bits() {
        assert!(parse("192.0.2.7/24", true).is_err());
        assert!(parse("192.0.2.0/33", true).is_err());
        assert_eq!(networks("192.0.2.0/24"), ["192.0.2.0/24"]);
        assert_eq!(networks("0.0.0.0/0"), ["0.0.0.0/0"]);
        assert_eq!(networks("fe80::/10"), ["fe80::/10"]);
    }

    #[test]
    fn short_addresses_of_a_rule_are_filled_up_with_zeros() {
        assert_eq!(networks("10/8"), ["10.0.0.0/8"]);
        assert_eq!(networks("192.168.1"), ["192.168.1.0"]);
        assert_eq!(networks("0/0"), ["0.0.0.0/0"]);
        assert!(parse("192.168.1./24", true).is_err());
        assert!(parse("300", true).is_err());
    }

    #[test]
    fn a_netmask_passes_the_parser_and_iptables_obeys_it() {
        assert_eq!(networks("10.0.0.0/255.255.255.0"), ["10.0.0.0/24"]);
        assert!(refused("10.0.0.0/abc"));
        assert!(refused("10.0.0.0/24-10.0.0.9"));
    }

    #[test]
    fn numbers_with_a_leading_zero_are_octal_to_iptables() {
        assert_eq!(networks("010.1.1.1"), ["8.1.1.1"]);
        assert!(refused("08.1.1.1"));
    }

    #[test]
    fn a_list_holds_one_family_and_no_range() {
        assert_eq!(networks("192.0.2.1,198.51.100.0/24"), ["192.0.2.1", "198.51.100.0/24"]);
        assert!(parse("192.0.2.1,2001:db8::1", true).is_err());
        assert!(parse("192.0.2.1,192.0.2.3-192.0.2.9", true).is_err());
        assert!(parse("192.0.2.1,", true).is_err());
        assert!(parse(",192.0.2.1", true).is_err());
        assert!(parse("192.0.2.1,office", true).is_err(), "a name cannot stand in a list");
    }

    #[test]
    fn a_range_runs_upwards_within_one_family() {
        let range = parse("192.0.2.1-192.0.2.9", true).unwrap();
        assert_eq!(range.address, Address::Range("192.0.2.1".parse().unwrap(), "192.0.2.9".parse().unwrap()));
        assert!(parse("192.0.2.9-192.0.2.1", true).is_err());
        assert!(parse("192.0.2.9-2001:db8::1", true).is_err());
        assert!(!refused("10.1-10.2") && refused("10.0.0.1-10.0.0.08"));
    }

    #[test]
    fn names_have_scopes_and_a_length() {
        let set = |text: &str| parse(text, true).map(|parsed| parsed.address);
        let named = |scope, name: &str| Reference { scope, name: name.to_owned() };
        assert_eq!(set("+dc/Admins"), Ok(Address::Set(named(Some(Scope::Datacenter), "Admins"))));
        assert_eq!(set("+sdn/v-all"), Ok(Address::Set(named(Some(Scope::Sdn), "v-all"))));
        assert_eq!(set("guest/Self"), Ok(Address::Alias(named(Some(Scope::Guest), "self"))));
        assert!(parse("+sdn/v-all", false).is_err(), "not before Proxmox VE 8");
        assert!(set("+x").is_err() && set("+").is_err() && set("x").is_err() && set("+a/b").is_err());
        assert!(
            set(&format!("+{}", "a".repeat(64))).is_ok() && set(&format!("+{}", "a".repeat(65))).is_err()
        );
        assert!(set(&format!("dc/{}", "a".repeat(62))).is_err(), "the scope counts");
    }

    #[test]
    fn the_bounds_of_a_network() {
        let bounds = |text: &str| parse_network(text).unwrap().bounds();
        assert_eq!(bounds("10.1.2.3/8"), Some((0x0a00_0000, 0x0aff_ffff)));
        assert_eq!(bounds("0.0.0.0/0"), Some((0, 0xffff_ffff)));
        assert_eq!(bounds("::/0"), Some((0, u128::MAX)));
        assert_eq!(bounds("::1"), Some((1, 1)));
        assert_eq!(bounds("::1/129"), None);
    }
}
