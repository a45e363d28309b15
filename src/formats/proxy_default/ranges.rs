//! The address forms of Perl's `Net::IP` that `ALLOW_FROM` and `DENY_FROM` may use.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// First and last address of a range, both of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// IPv4.
    V4(Ipv4Addr, Ipv4Addr),
    /// IPv6.
    V6(Ipv6Addr, Ipv6Addr),
}

impl Range {
    /// Whether `peer` lies in the range. A mapped address must be folded to IPv4 before.
    pub fn contains(&self, peer: IpAddr) -> bool {
        match (self, peer) {
            (Self::V4(first, last), IpAddr::V4(peer)) => (first..=last).contains(&&peer),
            (Self::V6(first, last), IpAddr::V6(peer)) => (first..=last).contains(&&peer),
            _ => false,
        }
    }
}

/// `::ffff:0:0/96`, the IPv4 addresses inside of IPv6.
const MAPPED: (Ipv6Addr, Ipv6Addr) =
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0xffff, 0xffff));

/// Reads a comma list; `None` when upstream would die on one entry.
///
/// Empty entries at the end are dropped (Perl's `split`), others are deadly.
pub(super) fn list(text: &str) -> Option<Vec<Range>> {
    let mut ranges = Vec::new();
    for entry in text.trim_end_matches(',').split(',').filter(|_| !text.trim_end_matches(',').is_empty()) {
        if entry == "all" {
            ranges.push(Range::V4(Ipv4Addr::UNSPECIFIED, Ipv4Addr::BROADCAST));
            ranges.push(Range::V6(Ipv6Addr::UNSPECIFIED, Ipv6Addr::from_bits(u128::MAX)));
        } else {
            ranges.push(entry_range(entry)?);
        }
    }
    Some(ranges)
}

/// One entry: what overlaps the mapped addresses is replaced by the IPv4 address behind its last colon, so
/// that a written `::/0` or a mapped prefix is deadly (`normalize_v4_in_v6`).
fn entry_range(entry: &str) -> Option<Range> {
    let range = net_ip(entry)?;
    match range {
        Range::V6(first, last) if first <= MAPPED.1 && last >= MAPPED.0 => {
            let address = ipv4(entry.rsplit(':').next()?)?;
            Some(Range::V4(address, address))
        }
        _ => Some(range),
    }
}

/// `Net::IP->new`: an address, a prefix without host bits, or `first-last`.
fn net_ip(text: &str) -> Option<Range> {
    if let Some((address, length)) = text.split_once('/') {
        return prefix(address, length);
    }
    if let Some((first, last)) = text.split_once('-') {
        let (first, last) = (address(first.trim_end())?, address(last.trim_start())?);
        return match (first, last) {
            (IpAddr::V4(first), IpAddr::V4(last)) if first <= last => Some(Range::V4(first, last)),
            (IpAddr::V6(first), IpAddr::V6(last)) if first <= last => Some(Range::V6(first, last)),
            _ => None,
        };
    }
    Some(match address(text)? {
        IpAddr::V4(address) => Range::V4(address, address),
        IpAddr::V6(address) => Range::V6(address, address),
    })
}

fn prefix(text: &str, length: &str) -> Option<Range> {
    if length.is_empty() || !length.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let length: u32 = length.parse().ok()?;
    match address(text)? {
        IpAddr::V4(address) if length <= 32 => {
            let host = u32::MAX.checked_shr(length).unwrap_or(0);
            let first = address.to_bits();
            (first & host == 0).then(|| Range::V4(address, Ipv4Addr::from_bits(first | host)))
        }
        IpAddr::V6(address) if length <= 128 => {
            let host = u128::MAX.checked_shr(length).unwrap_or(0);
            let first = address.to_bits();
            (first & host == 0).then(|| Range::V6(address, Ipv6Addr::from_bits(first | host)))
        }
        _ => None,
    }
}

fn address(text: &str) -> Option<IpAddr> {
    if text.contains(':') {
        text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    } else {
        ipv4(text).map(IpAddr::V4)
    }
}

/// One to four decimal quads; missing quads at the end are 0, so `10/8` is `10.0.0.0/8`.
fn ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut quads = [0_u8; 4];
    let mut places = quads.iter_mut();
    for quad in text.split('.') {
        let digits = !quad.is_empty() && quad.bytes().all(|byte| byte.is_ascii_digit());
        *places.next()? = quad.parse().ok().filter(|_| digits)?;
    }
    Some(Ipv4Addr::from(quads))
}
