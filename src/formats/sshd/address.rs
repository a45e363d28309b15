//! Addresses, networks, `host:port` and wildcard patterns (addr.c, addrmatch.c, misc.c, match.c).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Version;
use super::numbers::{leading_number, whole};

/// Longest address with mask that is tried as a network (`addrbuf` in addr.c); longer text is a wildcard pattern.
const LONGEST_NETWORK: usize = 63;
/// Widest mask that is tried as one before 10.0; a wider one makes the text a wildcard pattern.
const WIDEST_MASK: i64 = 128;

/// The address `text` spells without any name lookup, in the generous reading of `getaddrinfo`: `10` is 0.0.0.10,
/// `0x7f.1` is 127.0.0.1. An IPv6 scope is accepted when it is a number.
pub(super) fn numeric_host(text: &str) -> Option<IpAddr> {
    if let Some(v4) = generous_ipv4(text) {
        return Some(IpAddr::V4(v4));
    }
    let (address, scope) = text.split_once('%').unwrap_or((text, "0"));
    whole(scope, 0, i64::from(u32::MAX))?;
    address.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
}

/// `inet_aton`: one to four numbers, the last one filling the bytes left.
fn generous_ipv4(text: &str) -> Option<Ipv4Addr> {
    let parts: Vec<&str> = text.split('.').take(5).collect();
    let (last, heads) = parts.split_last().filter(|(_, heads)| heads.len() < 4)?;
    let number = |part: &str| {
        let (number, rest) =
            leading_number(part, 0).filter(|_| part.starts_with(|c: char| c.is_ascii_digit()))?;
        u32::try_from(number).ok().filter(|_| rest.is_empty())
    };
    let mut address = 0_u32;
    for (index, head) in heads.iter().enumerate() {
        let byte = number(head).filter(|byte| *byte <= 255)?;
        address |= byte << (24 - 8 * index);
    }
    let tail = number(last)?;
    let most = u32::MAX.checked_shr(8 * u32::try_from(heads.len()).ok()?)?;
    (tail <= most).then(|| Ipv4Addr::from(address | tail))
}

/// `address:port` with brackets around IPv6, as `-T` prints a listen address.
pub(super) fn with_port(address: IpAddr, port: &str) -> String {
    match address {
        IpAddr::V4(v4) => format!("{v4}:{port}"),
        IpAddr::V6(v6) => match v6.segments() {
            // inet_ntop writes the old IPv4-compatible form with dots, the standard library does not.
            [0, 0, 0, 0, 0, 0, high, _] if high != 0 => {
                let [.., a, b, c, d] = v6.octets();
                format!("[::{}]:{port}", Ipv4Addr::new(a, b, c, d))
            }
            _ => format!("[{v6}]:{port}"),
        },
    }
}

/// Whether every entry of an address list is well formed: no empty entry, no mask that leaves host bits
/// (`addr_match_list` with no address). Anything that is no address is a wildcard pattern and well formed.
pub(super) fn list_is_valid(list: &str, version: Version) -> bool {
    list.split(',').all(|entry| {
        let entry = entry.strip_prefix('!').unwrap_or(entry);
        !entry.is_empty() && mask_fits(entry, version)
    })
}

/// Whether `address` is in an address list (`addr_match_list`): networks, and what is no network as a wildcard pattern.
pub(super) fn address_listed(address: IpAddr, list: &str, version: Version) -> Verdict {
    let text = address.to_string();
    let mut verdict = Verdict::No;
    for entry in list.split(',') {
        let (entry, negated) = entry.strip_prefix('!').map_or((entry, false), |entry| (entry, true));
        let met = match network(entry, version) {
            Some(network) => network.holds(address),
            None => matches(&text, entry),
        };
        match (met, negated) {
            (true, true) => return Verdict::Negated,
            (true, false) => verdict = Verdict::Yes,
            _ => {}
        }
    }
    verdict
}

/// Whether a list of addresses or hosts holds everything, or all addresses of a family: whoever is bound to it is not
/// bound. What it refuses besides does not count.
pub fn is_everywhere(list: &str) -> bool {
    list.split(',').any(|entry| match network(entry, Version::V10_0) {
        Some(network) => network.mask == 0,
        None => is_any_text(entry),
    })
}

/// A pattern that any address of a family matches: stars, and no more of what stands between its numbers than each has.
fn is_any_text(pattern: &str) -> bool {
    let only = |separator: char| pattern.chars().all(|c| c == '*' || c == separator);
    let most = |separator: char, most: usize| pattern.matches(separator).count() <= most;
    // `::`, the shortest address, has two colons.
    pattern.starts_with('*')
        && pattern.ends_with('*')
        && (only('.') && most('.', 3) || only(':') && most(':', 2))
}

/// A network, or an address alone.
struct Network {
    address: IpAddr,
    mask: u32,
}

impl Network {
    fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(32_u32.saturating_sub(self.mask)).unwrap_or(0)
                    == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                (own.to_bits() ^ other.to_bits()).checked_shr(128_u32.saturating_sub(self.mask)).unwrap_or(0)
                    == 0
            }
            _ => false,
        }
    }
}

/// The network `entry` spells; `None` for a wildcard pattern and for a mask that does not fit.
fn network(entry: &str, version: Version) -> Option<Network> {
    if entry.len() > LONGEST_NETWORK || !mask_fits(entry, version) {
        return None;
    }
    let (address, mask) =
        entry.split_once('/').map_or((entry, None), |(address, mask)| (address, Some(mask)));
    let address = numeric_host(address)?;
    let widest = if address.is_ipv4() { 32 } else { 128 };
    let mask = match mask {
        None => widest,
        Some(mask) => u32::try_from(mask_of(mask, version)?).ok().filter(|mask| *mask <= widest)?,
    };
    Some(Network { address, mask })
}

/// The number behind the slash, as far as the version takes it for one.
fn mask_of(mask: &str, version: Version) -> Option<i64> {
    let mask = match version {
        Version::V8_4 => leading_number(mask, 10).filter(|(_, rest)| rest.is_empty()).map(|(mask, _)| mask),
        Version::V9_2 => whole(mask, 0, i64::MAX).filter(|_| mask.starts_with(|c: char| c.is_ascii_digit())),
        Version::V10_0 => whole(mask, 0, i64::from(i32::MAX)),
    };
    mask.filter(|mask| *mask >= 0 && (version == Version::V10_0 || *mask <= WIDEST_MASK))
}

/// False for an address whose mask does not fit it.
fn mask_fits(entry: &str, version: Version) -> bool {
    if entry.len() > LONGEST_NETWORK {
        return true;
    }
    let (address, mask) = match entry.split_once('/') {
        None => return true,
        Some((address, mask)) => (address, mask),
    };
    let (Some(mask), Some(address)) = (mask_of(mask, version), numeric_host(address)) else { return true };
    let Ok(mask) = u32::try_from(mask) else { return false };
    match address {
        IpAddr::V4(v4) => mask <= 32 && v4.to_bits().checked_shl(mask).unwrap_or(0) == 0,
        IpAddr::V6(v6) => mask <= 128 && v6.to_bits().checked_shl(mask).unwrap_or(0) == 0,
    }
}

/// Splits `host:port`, `[host]:port` or `host`; brackets stay (`hpdelim`). `None` where the form is broken or a
/// `/` separates.
pub(super) fn host_and_port(text: &str) -> Option<(&str, Option<&str>)> {
    let host = if text.starts_with('[') {
        let at = text.find(']')?;
        text.split_at_checked(at + 1)?.0
    } else {
        text.split([':', '/']).next()?
    };
    match text.strip_prefix(host)? {
        "" => Some((host, None)),
        rest => rest.strip_prefix(':').map(|port| (host, Some(port))),
    }
}

/// `host` without the brackets around it (`cleanhostname`).
pub(super) fn without_brackets(host: &str) -> &str {
    host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(host)
}

/// Whether `text` as a whole matches a pattern of `*` and `?` (`match_pattern`, without its exponential worst case).
pub(super) fn matches(text: &str, pattern: &str) -> bool {
    let (text, pattern) = (text.as_bytes(), pattern.as_bytes());
    let (mut at, mut next) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while let Some(byte) = text.get(at) {
        match pattern.get(next) {
            Some(b'*') => {
                next += 1;
                star = Some((at, next));
            }
            Some(wanted) if *wanted == b'?' || wanted == byte => {
                at += 1;
                next += 1;
            }
            _ => match star.as_mut() {
                Some((from, after)) => {
                    *from += 1;
                    (at, next) = (*from, *after);
                }
                None => return false,
            },
        }
    }
    pattern.get(next..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

/// The verdict of a comma separated pattern list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// A pattern matched.
    Yes,
    /// No pattern matched.
    No,
    /// A pattern after `!` matched.
    Negated,
}

/// Whether `text` matches a comma separated list of patterns, `!` in front of a pattern refusing
/// (`match_pattern_list`).
pub(super) fn matches_list(text: &str, list: &str) -> Verdict {
    let mut verdict = Verdict::No;
    if list.is_empty() {
        return verdict;
    }
    for entry in list.split(',') {
        match entry.strip_prefix('!') {
            Some(refused) if matches(text, refused) => return Verdict::Negated,
            None if matches(text, entry) => verdict = Verdict::Yes,
            _ => {}
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_generously() {
        let host = |text| numeric_host(text).map(|address| address.to_string());
        assert_eq!(host("10").as_deref(), Some("0.0.0.10"));
        assert_eq!(host("0x7f.1").as_deref(), Some("127.0.0.1"));
        assert_eq!(host("010.0.0.1").as_deref(), Some("8.0.0.1"));
        assert_eq!(host("1.2.3.256"), None);
        assert_eq!(host("1.2.3.4.5"), None);
        assert_eq!(host("::1").as_deref(), Some("::1"));
        assert_eq!(host("fe80::1%2").as_deref(), Some("fe80::1"));
        assert_eq!(host("example"), None);
    }

    #[test]
    fn a_mask_must_cover_the_host_bits() {
        for version in Version::ALL {
            assert!(list_is_valid("10.0.10.0/24,!192.168.*", version));
            assert!(!list_is_valid("10.0.10.5/24", version));
            assert!(!list_is_valid("10.0.0.0/33", version));
            assert!(!list_is_valid("a,,b", version));
            assert!(!list_is_valid("2001:db8::1/64", version));
            assert!(list_is_valid("0.0.0.0/0,::/0", version));
        }
    }

    #[test]
    fn an_address_is_in_a_list_by_network_or_by_its_text() {
        for version in Version::ALL {
            let listed = |address: &str, list| address_listed(address.parse().unwrap(), list, version);
            assert_eq!(listed("10.1.2.3", "10.0.0.0/8"), Verdict::Yes);
            assert_eq!(listed("10.1.2.3", "192.168.0.0/16,10.1.2.3"), Verdict::Yes);
            assert_eq!(listed("10.1.2.3", "10.1.*"), Verdict::Yes);
            assert_eq!(listed("10.1.2.3", "0.0.0.0/0"), Verdict::Yes);
            assert_eq!(listed("2001:db8::1", "0.0.0.0/0"), Verdict::No);
            assert_eq!(listed("2001:db8::1", "2001:db8::/32"), Verdict::Yes);
            assert_eq!(listed("2001:db8::1", "*,!2001:db8::/32"), Verdict::Negated);
            assert_eq!(listed("11.1.2.3", "10.0.0.0/8"), Verdict::No);
            assert_eq!(listed("10.0.0.5", "10.0.0.4"), Verdict::No);
        }
    }

    #[test]
    fn one_whole_family_is_everywhere() {
        for list in [
            "*",
            "**",
            "*.*",
            "*.*.*.*",
            "*:*",
            "0.0.0.0/0",
            "::/0",
            "0/0",
            "10.0.0.0/8,0.0.0.0/0",
            "*,!10.0.0.1",
        ] {
            assert!(is_everywhere(list), "{list}");
        }
        for list in [
            "",
            "10.0.0.0/8",
            "0.0.0.0/1",
            "10.*",
            "*.example",
            "*.*.*.*.*",
            "!*",
            "!0.0.0.0/0,10.0.0.1",
            "*.",
            "?",
        ] {
            assert!(!is_everywhere(list), "{list}");
        }
    }

    #[test]
    fn a_mask_wider_than_128_is_a_wildcard_pattern_before_10_0() {
        assert!(list_is_valid("10.0.0.0/200", Version::V9_2));
        assert!(!list_is_valid("10.0.0.0/200", Version::V10_0));
    }

    #[test]
    fn host_and_port_come_apart_at_the_colon_only() {
        assert_eq!(host_and_port("a:22"), Some(("a", Some("22"))));
        assert_eq!(host_and_port("[::1]:22"), Some(("[::1]", Some("22"))));
        assert_eq!(host_and_port("[::1]"), Some(("[::1]", None)));
        assert_eq!(host_and_port("a"), Some(("a", None)));
        assert_eq!(host_and_port("a/22"), None);
        assert_eq!(host_and_port("[::1"), None);
        assert_eq!(host_and_port("[::1]x"), None);
    }

    #[test]
    fn a_list_of_only_negated_patterns_never_matches() {
        assert_eq!(matches_list("anna", "!root"), Verdict::No);
        assert_eq!(matches_list("root", "!root,*"), Verdict::Negated);
        assert_eq!(matches_list("anna", "!root,*"), Verdict::Yes);
        assert_eq!(matches_list("", ""), Verdict::No);
    }

    #[test]
    fn patterns_match_as_a_whole() {
        assert!(matches("aes128-cbc", "*-cbc"));
        assert!(matches("abcbc", "a*bc"));
        assert!(!matches("abcbd", "a*bc"));
        assert!(matches("ab", "??"));
        assert!(!matches("ab", "?"));
        assert!(matches("", "**"));
    }

    #[test]
    fn compatible_addresses_print_with_dots() {
        let print = |text: &str| with_port(text.parse().unwrap(), "22");
        assert_eq!(print("::1.2.3.4"), "[::1.2.3.4]:22");
        assert_eq!(print("::1"), "[::1]:22");
        assert_eq!(print("0.0.0.0"), "0.0.0.0:22");
    }
}
