//! `/etc/network/interfaces`, as far as it gives the host addresses and routes.
//!
//! Follows interfaces(5) of ifupdown2: stanzas begin with `iface`, options with `-` or `_`; a stanza of the same name
//! adds to the one before. Routes are those of `gateway` and of `up ip route add …` lines. What else commands do to
//! addresses and routes is not known here.

use std::net::IpAddr;

use super::firewall::address::{Cidr, Family};
use super::{Issue, Parsed, numbered, shown};

/// One `iface` stanza.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stanza {
    /// Name of the interface.
    pub name: String,
    /// The family the stanza is for; none if it names none.
    pub family: Option<Family>,
    /// `static`, `manual`, `dhcp`, `loopback`, …
    pub method: String,
    /// Its addresses with their prefix lengths.
    pub addresses: Vec<Cidr>,
    /// `gateway`: where everything else goes.
    pub gateways: Vec<IpAddr>,
    /// Line in the file, counted from 1.
    pub line: u32,
}

/// A route that a command adds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub network: Cidr,
    /// The interface; that of the stanza if the command names none.
    pub interface: String,
}

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interfaces {
    /// The stanzas, in order.
    pub stanzas: Vec<Stanza>,
    /// Routes that commands add, in order.
    pub routes: Vec<Route>,
    /// `source` and `source-directory`, as written, in order.
    pub sources: Vec<String>,
}

/// Reads the text of an interfaces file.
pub fn parse(text: &str) -> Parsed<Interfaces> {
    let mut parsed = Parsed::<Interfaces>::default();
    let mut open = false;
    let mut joined = String::new();
    for (line, content) in numbered(text) {
        if let Some(begun) = content.strip_suffix('\\') {
            joined.push_str(begun);
            joined.push(' ');
            continue;
        }
        joined.push_str(content);
        let whole = std::mem::take(&mut joined);
        let words: Vec<&str> = whole.split_ascii_whitespace().collect();
        let Some((keyword, rest)) = words.split_first().filter(|(first, _)| !first.starts_with('#')) else {
            continue;
        };
        match *keyword {
            "iface" => {
                open = true;
                parsed.value.stanzas.push(stanza(rest, line));
            }
            "source" | "source-directory" => {
                open = false;
                parsed.value.sources.extend(rest.iter().map(|path| (*path).to_owned()));
            }
            "auto" | "mapping" | "rename" | "template" | "no-auto-down" | "no-scripts" | "vlan"
            | "bridge" => open = false,
            word if word.starts_with("allow-") => open = false,
            _ if open => {
                let problem = option(&mut parsed.value, keyword, rest);
                parsed.issues.extend(problem.map(|what| Issue::new(line, what)));
            }
            _ => {}
        }
    }
    parsed
}

fn stanza(words: &[&str], line: u32) -> Stanza {
    let mut words = words.iter();
    let name = words.next().copied().unwrap_or_default().to_owned();
    let family = match words.next().copied() {
        Some("inet") => Some(Family::V4),
        Some("inet6") => Some(Family::V6),
        _ => None,
    };
    let method = words.next().copied().unwrap_or("static").to_owned();
    Stanza { name, family, method, line, ..Stanza::default() }
}

/// Takes an option of the last stanza over; a text says what is wrong with it.
fn option(interfaces: &mut Interfaces, key: &str, values: &[&str]) -> Option<String> {
    let Interfaces { stanzas, routes, .. } = interfaces;
    let stanza = stanzas.last_mut()?;
    let value = values.first().copied().unwrap_or_default();
    match key {
        "address" => match network(value) {
            Some(cidr) => stanza.addresses.push(cidr),
            None => return Some(format!("{} is no address", shown(value))),
        },
        "netmask" => {
            let prefix = value.parse().ok().or_else(|| Some(mask_bits(value.parse().ok()?)));
            match (stanza.addresses.last_mut(), prefix) {
                (Some(last), Some(prefix)) => last.prefix = prefix,
                _ => return Some(format!("{} is no netmask of an address above", shown(value))),
            }
        }
        "gateway" => match value.parse() {
            Ok(gateway) => stanza.gateways.push(gateway),
            Err(_) => return Some(format!("{} is no address of a gateway", shown(value))),
        },
        "up" | "post-up" | "pre-up" => {
            routes.extend(added_route(values, &stanza.name));
        }
        _ => {}
    }
    None
}

fn mask_bits(mask: IpAddr) -> u32 {
    match mask {
        IpAddr::V4(mask) => mask.to_bits().leading_ones(),
        IpAddr::V6(mask) => mask.to_bits().leading_ones(),
    }
}

fn network(text: &str) -> Option<Cidr> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let host = Cidr::host(address);
    let Some(prefix) = prefix else { return Some(host) };
    let bits = prefix.parse().ok().or_else(|| Some(mask_bits(prefix.parse().ok()?)))?;
    Some(Cidr { address, prefix: bits }).filter(|cidr| cidr.is_possible())
}

/// `ip route add NETWORK … [dev INTERFACE]`.
fn added_route(words: &[&str], own: &str) -> Option<Route> {
    let mut words = words.iter().skip_while(|word| !matches!(**word, "route" | "r" | "ro"));
    words.next()?;
    words.next().filter(|word| matches!(**word, "add" | "replace" | "append" | "a"))?;
    let mut network_word = words.next()?;
    if matches!(*network_word, "unicast") {
        network_word = words.next()?;
    }
    let network = network(network_word)?;
    let interface = words.skip_while(|word| **word != "dev").nth(1).copied().unwrap_or(own);
    let interface = if interface == "$IFACE" { own } else { interface };
    Some(Route { network, interface: interface.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Interfaces {
        parse(text).value
    }

    #[test]
    fn addresses_gateways_and_added_routes_are_read() {
        let text = "auto lo\niface lo inet loopback\n\niface eno1 inet manual\n\nauto vmbr0\niface vmbr0 inet static\n\
                    \taddress 192.0.2.10/24\n\tgateway 192.0.2.1\n\tbridge-ports eno1\n\
                    \tpost-up ip route add 10.0.0.0/8 via 192.0.2.2\n\tup ip route add 10.9.0.0/16 dev vmbr1\n\
                    iface vmbr1 inet static\n address 10.1.2.3\n netmask 255.255.0.0\nsource /etc/network/interfaces.d/*\n";
        let read = read(text);
        let of = |name: &str| read.stanzas.iter().find(|stanza| stanza.name == name).unwrap();
        assert_eq!(of("vmbr0").addresses[0].to_string(), "192.0.2.10/24");
        assert_eq!(of("vmbr0").gateways.len(), 1);
        assert_eq!(of("vmbr1").addresses[0].prefix, 16);
        assert_eq!(of("eno1").method, "manual");
        let routes: Vec<_> =
            read.routes.iter().map(|route| (route.network.to_string(), route.interface.as_str())).collect();
        assert_eq!(routes, [("10.0.0.0/8".to_owned(), "vmbr0"), ("10.9.0.0/16".to_owned(), "vmbr1")]);
        assert_eq!(read.sources, ["/etc/network/interfaces.d/*"]);
    }

    #[test]
    fn what_is_no_address_is_an_issue() {
        let parsed = parse("iface a inet static\n address here\n gateway x\n netmask 24\n");
        assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [2, 3, 4]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn never_panics_on_any_text(text in "(iface|address|netmask|up|ip route add|10.0.0.1/8|[ \n\\\\/.0-9a-f:]){0,20}") {
            let _ = parse(&text);
        }
    }
}
