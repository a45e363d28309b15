//! Protocols, ports and ICMP types of a rule (`parse_port_name_number_or_range` of `PVE/Firewall.pm`).

use super::address::{Family, c_number};
use super::services;
use crate::formats::shown;

/// Most numbers in a port list; a range counts as two, a service name not at all.
pub const MOST_NUMBERS: usize = 15;
/// Most ports iptables' multiport match holds; a range counts as two, a service name as one.
pub const MOST_MULTIPORT: usize = 15;

/// Names and numbers of `/etc/protocols` in Debian's netbase 6.4, and `icmpv6`, which upstream adds.
#[rustfmt::skip]
static PROTOCOLS: [(&str, u16); 58] = [
    ("ip", 0), ("hopopt", 0), ("icmp", 1), ("igmp", 2), ("ggp", 3), ("ipencap", 4), ("st", 5), ("tcp", 6),
    ("egp", 8), ("igp", 9), ("pup", 12), ("udp", 17), ("hmp", 20), ("xns-idp", 22), ("rdp", 27),
    ("iso-tp4", 29), ("dccp", 33), ("xtp", 36), ("ddp", 37), ("idpr-cmtp", 38), ("ipv6", 41),
    ("ipv6-route", 43), ("ipv6-frag", 44), ("idrp", 45), ("rsvp", 46), ("gre", 47), ("esp", 50), ("ah", 51),
    ("skip", 57), ("ipv6-icmp", 58), ("ipv6-nonxt", 59), ("ipv6-opts", 60), ("rspf", 73), ("vmtp", 81),
    ("eigrp", 88), ("ospf", 89), ("ax.25", 93), ("ipip", 94), ("etherip", 97), ("encap", 98), ("pim", 103),
    ("ipcomp", 108), ("vrrp", 112), ("l2tp", 115), ("isis", 124), ("sctp", 132), ("fc", 133),
    ("mobility-header", 135), ("udplite", 136), ("mpls-in-ip", 137), ("manet", 138), ("hip", 139),
    ("shim6", 140), ("wesp", 141), ("rohc", 142), ("ethernet", 143), ("mptcp", 262), ("icmpv6", 58),
];

/// Protocols that may carry `-dport` and `-sport`, by name and by number.
const WITH_PORTS: [&str; 10] = ["tcp", "6", "udp", "17", "udplite", "136", "sctp", "132", "dccp", "33"];

/// ICMP types upstream knows by name, from `iptables -p icmp -h`.
#[rustfmt::skip]
static ICMP_TYPES: [&str; 37] = [
    "any", "echo-reply", "destination-unreachable", "network-unreachable", "host-unreachable",
    "protocol-unreachable", "port-unreachable", "fragmentation-needed", "source-route-failed",
    "network-unknown", "host-unknown", "network-prohibited", "host-prohibited", "TOS-network-unreachable",
    "TOS-host-unreachable", "communication-prohibited", "host-precedence-violation", "precedence-cutoff",
    "source-quench", "redirect", "network-redirect", "host-redirect", "TOS-network-redirect",
    "TOS-host-redirect", "echo-request", "router-advertisement", "router-solicitation", "time-exceeded",
    "ttl-zero-during-transit", "ttl-zero-during-reassembly", "parameter-problem", "ip-header-bad",
    "required-option-missing", "timestamp-request", "timestamp-reply", "address-mask-request",
    "address-mask-reply",
];

/// ICMP types upstream knows by name, from `ip6tables -p icmpv6 -h`.
#[rustfmt::skip]
static ICMPV6_TYPES: [&str; 25] = [
    "destination-unreachable", "no-route", "communication-prohibited", "beyond-scope", "address-unreachable",
    "port-unreachable", "failed-policy", "reject-route", "packet-too-big", "time-exceeded",
    "ttl-zero-during-transit", "ttl-zero-during-reassembly", "parameter-problem", "bad-header",
    "unknown-header-type", "unknown-option", "echo-request", "echo-reply", "router-solicitation",
    "router-advertisement", "neighbor-solicitation", "neighbour-solicitation", "neighbor-advertisement",
    "neighbour-advertisement", "redirect",
];

/// Ports as written, with what they match.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ports {
    /// The text of the rule.
    pub written: String,
    /// First and last port of each element, as iptables reads them: a leading zero means octal, except in a
    /// single port or range for udp and dccp.
    pub ranges: Vec<(u16, u16)>,
    /// Elements that no version of iptables reads, such as `080` (not octal).
    pub(super) unreadable: Vec<String>,
    /// Service names in the list.
    pub(super) services: Vec<&'static services::Service>,
}

impl Ports {
    /// Whether the port is one of them.
    pub fn contains(&self, port: u16) -> bool {
        self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&port))
    }

    /// The same text as it is read for this protocol: the matches for udp and dccp take a single port or range in
    /// decimal, and a service of any protocol.
    pub(super) fn settled(mut self, protocol: &str) -> Self {
        if matches!(protocol, "udp" | "17" | "dccp" | "33") && !self.written.contains(',') {
            self.services.clear();
            self.unreadable.clear();
            let (first, last) = self.written.split_once(':').unwrap_or((&self.written, &self.written));
            if let (Ok(first), Ok(last)) = (first.parse(), last.parse()) {
                self.ranges = vec![(first, last)];
            }
        }
        self
    }

    /// Why iptables does not load these ports for this protocol, although the parser takes them.
    pub(super) fn refused(&self, protocol: &str) -> Option<String> {
        let elements = self.written.split(',');
        let size: usize = elements.clone().map(|element| if element.contains(':') { 2 } else { 1 }).sum();
        let foreign = self.services.iter().find(|service| !service.is_listed_for(protocol));
        if let Some(text) = self.unreadable.first() {
            Some(format!("iptables takes {} for octal and cannot read it", shown(text)))
        } else if let Some(service) = foreign {
            Some(format!("the service `{}` is not listed for the protocol {}", service.name, shown(protocol)))
        } else if elements.count() > 1 && size > MOST_MULTIPORT {
            Some(format!("the port list holds more than {MOST_MULTIPORT} ports"))
        } else if matches!(protocol, "udplite" | "136") && !self.written.contains(',') {
            Some("iptables has no single-port match for udplite".to_owned())
        } else {
            None
        }
    }
}

/// What stands in `-dport` or `-sport`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PortText {
    /// Ports.
    Ports(Ports),
    /// ICMP type names, which older rules keep in `-dport`.
    IcmpTypes,
}

/// Reads `-dport` or `-sport`; `icmp` is set for the `-dport` of a rule with an ICMP protocol.
pub(super) fn parse(text: &str, icmp: bool) -> Result<PortText, String> {
    let mut ports =
        Ports { written: text.to_owned(), ranges: Vec::new(), unreadable: Vec::new(), services: Vec::new() };
    let (mut numbers, mut types) = (0, false);
    if text.ends_with(',') {
        return Err(format!("{} has a comma too many", shown(text)));
    }
    for item in text.split(',') {
        match item.split_once(':') {
            Some((first, last)) if is_number(first) && is_number(last) => {
                numbers += 2;
                if valid_port(first)? > valid_port(last)? {
                    return Err(format!("the port range {} runs backwards", shown(item)));
                }
                add_range(&mut ports, first, last);
            }
            None if is_number(item) => {
                numbers += 1;
                valid_port(item)?;
                add_range(&mut ports, item, item);
            }
            _ if icmp && is_any_icmp_type(item) => types = true,
            _ => {
                let service = services::find(item).ok_or_else(|| format!("{} is no port", shown(item)))?;
                ports.ranges.push((service.port, service.port));
                ports.services.push(service);
            }
        }
    }
    if types && numbers > 0 {
        return Err("ICMP types and numbers are mixed".to_owned());
    }
    if numbers > MOST_NUMBERS {
        return Err(format!("the port list holds more than {MOST_NUMBERS} numbers"));
    }
    Ok(if types { PortText::IcmpTypes } else { PortText::Ports(ports) })
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The port as upstream's parser checks it: decimal.
fn valid_port(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("{} is no port", shown(text)))
}

/// Adds a range as iptables reads it.
fn add_range(ports: &mut Ports, first: &str, last: &str) {
    let read = |text| c_number(text).and_then(|port| u16::try_from(port).ok());
    match (read(first), read(last)) {
        (Some(low), Some(high)) => ports.ranges.push((low, high)),
        (None, _) => ports.unreadable.push(first.to_owned()),
        (_, None) => ports.unreadable.push(last.to_owned()),
    }
}

/// Whether upstream knows the protocol, by name (in this case) or by number.
pub fn is_protocol(text: &str) -> bool {
    protocol_number(text).is_some()
}

/// The number of a protocol given by name or by number.
pub fn protocol_number(text: &str) -> Option<u16> {
    let by_name = PROTOCOLS.iter().find(|(name, _)| *name == text);
    let by_number = || {
        let number: u16 = text.parse().ok()?;
        PROTOCOLS.iter().find(|(_, known)| *known == number).filter(|_| number.to_string() == text)
    };
    let (_, number) = by_name.or_else(by_number)?;
    Some(*number)
}

/// Whether the protocol counts as ICMP; the numbers 1 and 58 do not.
pub fn is_icmp(protocol: &str) -> bool {
    matches!(protocol, "icmp" | "icmpv6" | "ipv6-icmp")
}

/// Whether the protocol may carry ports.
pub fn has_ports(protocol: &str) -> bool {
    WITH_PORTS.contains(&protocol)
}

/// Whether the family's ICMP has a type of this name.
pub fn is_icmp_type(text: &str, family: Family) -> bool {
    match family {
        Family::V4 => ICMP_TYPES.contains(&text),
        Family::V6 => ICMPV6_TYPES.contains(&text),
    }
}

fn is_any_icmp_type(text: &str) -> bool {
    Family::BOTH.into_iter().any(|family| is_icmp_type(text, family))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(text: &str) -> Ports {
        match parse(text, false).unwrap() {
            PortText::Ports(ports) => ports,
            PortText::IcmpTypes => panic!("no ports"),
        }
    }

    #[test]
    fn ports_ranges_and_services_stand_in_one_list() {
        let list = ports("22,5900:5999,https");
        assert_eq!(list.ranges, [(22, 22), (5900, 5999), (443, 443)]);
        assert!(list.contains(5950) && !list.contains(8006));
        assert_eq!(list.refused("tcp"), None);
    }

    #[test]
    fn what_is_no_port_is_refused() {
        for bad in ["", "22,", ",22", "65536", "80:", "90:80", "www", "22-23", "1:2:3", "any"] {
            assert!(parse(bad, false).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_list_holds_fifteen_numbers_and_ranges_count_twice() {
        let list = |count: usize| (1..=count).map(|port| port.to_string()).collect::<Vec<_>>().join(",");
        assert!(parse(&list(15), false).is_ok() && parse(&list(16), false).is_err());
        assert!(parse(&format!("{},1:2", list(14)), false).is_err());
        assert!(
            ports(&format!("{},ssh", list(15))).refused("tcp").is_some(),
            "names count only for iptables"
        );
    }

    #[test]
    fn a_port_with_a_leading_zero_is_octal_to_iptables() {
        assert_eq!(ports("022").ranges, [(18, 18)]);
        assert!(ports("080").refused("tcp").is_some());
    }

    #[test]
    fn a_single_port_for_udp_is_decimal_and_takes_any_service() {
        let udp = |text| ports(text).settled("udp");
        assert_eq!(udp("022").ranges, [(22, 22)]);
        assert_eq!(udp("080:090").ranges, [(80, 90)]);
        assert_eq!(udp("080").refused("udp"), None);
        assert_eq!((udp("ssh").refused("udp"), udp("ssh").ranges), (None, vec![(22, 22)]));
        assert!(udp("ssh,http").refused("udp").is_some() && udp("080,1").refused("udp").is_some());
    }

    #[test]
    fn a_service_must_be_listed_for_the_protocol_or_nothing_loads() {
        assert_eq!(ports("ntp").refused("udp"), None);
        assert!(ports("ntp").refused("tcp").is_some());
        assert!(ports("80").refused("udplite").is_some());
    }

    #[test]
    fn icmp_types_are_taken_in_place_of_a_port_and_not_beside_one() {
        assert_eq!(parse("echo-request", true), Ok(PortText::IcmpTypes));
        assert!(parse("echo-request", false).is_err());
        assert!(parse("echo-request,8", true).is_err());
    }

    #[test]
    fn protocols_are_known_by_exact_name_or_number() {
        assert_eq!(protocol_number("tcp"), Some(6));
        assert_eq!(protocol_number("6"), Some(6));
        assert_eq!(protocol_number("icmpv6"), Some(58));
        for unknown in ["TCP", "06", "all", "any", "300", ""] {
            assert!(!is_protocol(unknown), "{unknown}");
        }
    }
}
