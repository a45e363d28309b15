//! `/proc/net/route` and `/proc/net/ipv6_route`: the routes of the running kernel, in its order.
//!
//! Follows `read_proc_net_route` and `read_proc_net_ipv6_route` of pve-common's `PVE/ProcFSTools.pm`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::firewall::address::Cidr;
use super::{Issue, Parsed, numbered};

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub network: Cidr,
    /// The interface.
    pub interface: String,
}

/// Reads `/proc/net/route`.
pub fn parse_v4(text: &str) -> Parsed<Vec<Route>> {
    read(text, true, |words| {
        let number = |index: usize| u32::from_str_radix(words.get(index)?, 16).ok().map(u32::swap_bytes);
        let address = IpAddr::V4(Ipv4Addr::from_bits(number(1)?));
        let network = Cidr { address, prefix: number(7)?.leading_ones() };
        Some(Route { network, interface: (*words.first()?).to_owned() })
    })
}

/// Reads `/proc/net/ipv6_route`.
pub fn parse_v6(text: &str) -> Parsed<Vec<Route>> {
    read(text, false, |words| {
        let address = u128::from_str_radix(words.first()?, 16).ok()?;
        let prefix = u32::from_str_radix(words.get(1)?, 16).ok()?;
        let network = Cidr { address: IpAddr::V6(Ipv6Addr::from_bits(address)), prefix };
        Some(Route { network, interface: (*words.get(9)?).to_owned() }).filter(|_| prefix <= 128)
    })
}

fn read(text: &str, header: bool, route: impl Fn(&[&str]) -> Option<Route>) -> Parsed<Vec<Route>> {
    let mut parsed = Parsed::<Vec<Route>>::default();
    for (line, content) in numbered(text).skip(usize::from(header)) {
        let words: Vec<&str> = content.split_ascii_whitespace().collect();
        match route(&words) {
            Some(route) => parsed.value.push(route),
            None if words.is_empty() => {}
            None => parsed.issues.push(Issue::new(line, "the line is no route")),
        }
    }
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_the_kernel_are_networks() {
        let text = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n\
                    vmbr0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                    vmbr0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\nx\n";
        let parsed = parse_v4(text);
        assert_eq!(
            parsed.value.iter().map(|route| route.network.to_string()).collect::<Vec<_>>(),
            ["0.0.0.0/0", "192.0.2.0/24"]
        );
        assert_eq!(parsed.issues.len(), 1);
        let v6 = "20010db8000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001    vmbr0\n";
        let route = &parse_v6(v6).value[0];
        assert_eq!(
            (route.network.to_string().as_str(), route.interface.as_str()),
            ("2001:db8::/64", "vmbr0")
        );
    }
}
