//! Commands that `/etc/network/interfaces` runs (`up` and the like): what they do to addresses and routes.
//!
//! Follows `ip` of iproute2 (`ip/iproute.c`, `lib/utils.c`) and `route` of net-tools for what adds routes. A command
//! that may add an address or a route and is not followed is told, never passed over: only programs that are known to
//! do neither count as such.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::firewall::address::{Cidr, Family};
use super::interfaces::{network, prefix};

/// What a command does to the main table of routes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// The routes it adds: network and interface.
    pub routes: Vec<(Cidr, String)>,
    /// It may do something that is not followed.
    pub unclear: bool,
}

/// What one program does.
enum Effect {
    Route(Cidr, String),
    Nothing,
    Unclear,
}

/// Programs that change neither addresses nor routes.
const HARMLESS: [&str; 25] = [
    ":",
    "[",
    "arptables",
    "bridge",
    "brctl",
    "cat",
    "chmod",
    "chown",
    "ebtables",
    "echo",
    "ethtool",
    "exit",
    "false",
    "ip6tables",
    "iptables",
    "iw",
    "logger",
    "mkdir",
    "modprobe",
    "nft",
    "sleep",
    "sysctl",
    "tc",
    "test",
    "true",
];
/// Words of the shell before a program.
const BEFORE: [&str; 9] = ["if", "then", "else", "elif", "while", "do", "!", "(", "{"];
/// Words of the shell that end something.
const ENDS: [&str; 5] = ["fi", "done", ")", "}", ""];
/// What `ip` looks at besides addresses and routes, as it is written.
const OTHER_OBJECTS: [&str; 13] = [
    "link",
    "l",
    "li",
    "rule",
    "ru",
    "neigh",
    "neighbour",
    "neighbor",
    "n",
    "tunnel",
    "tunl",
    "maddress",
    "xfrm",
];

/// What a command of the interface `own` does.
pub fn effects(command: &str, own: &str) -> Effects {
    let mut all = Effects::default();
    for simple in command.split(['|', '&', ';']) {
        match effect(simple, own) {
            Effect::Route(network, interface) => all.routes.push((network, interface)),
            Effect::Nothing => {}
            Effect::Unclear => all.unclear = true,
        }
    }
    all
}

fn effect(simple: &str, own: &str) -> Effect {
    let mut words = simple.split_whitespace().skip_while(|word| BEFORE.contains(word));
    let Some(program) = words.next() else { return Effect::Nothing };
    if ENDS.contains(&program) {
        return Effect::Nothing;
    }
    let words: Vec<&str> = words.collect();
    let name = program.rsplit('/').next().unwrap_or(program);
    // What the shell puts in is not known.
    let put_in = words.iter().any(|word| word.contains(['$', '`']));
    match name {
        "ip" | "route" if put_in => Effect::Unclear,
        "ip" => ip(&words, own),
        "route" => route(&words, own),
        "ifconfig" if !words.iter().any(|word| word.contains(['.', ':'])) => Effect::Nothing,
        _ if HARMLESS.contains(&name) => Effect::Nothing,
        _ if name.starts_with("iptables-") || name.starts_with("ip6tables-") => Effect::Nothing,
        _ => Effect::Unclear,
    }
}

/// `ip [OPTIONS] route add [TYPE] [to] NETWORK …`
fn ip(words: &[&str], own: &str) -> Effect {
    let v6 = words.iter().any(|word| matches!(*word, "-6" | "-inet6"));
    let mut words = words.iter().copied().skip_while(|word| word.starts_with('-'));
    let Some(object) = words.next() else { return Effect::Unclear };
    if OTHER_OBJECTS.contains(&object) {
        return Effect::Nothing;
    }
    let verb = words.next().unwrap_or("show");
    let shows = ["show", "list", "get", "save"].iter().any(|known| known.starts_with(verb));
    if shows && ("route".starts_with(object) || "address".starts_with(object)) {
        return Effect::Nothing;
    }
    let adds = ["add", "append", "replace", "prepend", "change", "chg"].iter();
    if !"route".starts_with(object) || !adds.into_iter().any(|known| known.starts_with(verb)) {
        return Effect::Unclear;
    }
    let rest: Vec<&str> = words.filter(|word| !matches!(*word, "unicast" | "to")).collect();
    let behind = |key: &str| rest.iter().skip_while(|word| **word != key).nth(1).copied();
    if behind("table").or_else(|| behind("vrf")).is_some_and(|table| !matches!(table, "main" | "254")) {
        return Effect::Nothing;
    }
    let gateway = behind("via").filter(|word| !matches!(*word, "inet" | "inet6")).or_else(|| {
        let after = rest.iter().skip_while(|word| **word != "via");
        after.skip_while(|word| matches!(**word, "via" | "inet" | "inet6")).copied().next()
    });
    let gateway: Option<IpAddr> = gateway.and_then(|word| word.parse().ok());
    let found = match rest.first() {
        Some(&("default" | "all" | "any")) => {
            Some(everywhere(v6 || gateway.is_some_and(|own| own.is_ipv6())))
        }
        Some(word) => short_network(word),
        None => None,
    };
    let interface = behind("dev").or_else(|| behind("oif")).unwrap_or(own);
    found.map_or(Effect::Unclear, |network| Effect::Route(network, interface.to_owned()))
}

/// `route add [-net|-host] NETWORK [netmask MASK] [gw GATEWAY] [[dev] INTERFACE]`
fn route(words: &[&str], own: &str) -> Effect {
    let v6 = words.iter().any(|word| matches!(*word, "inet6" | "-6" | "--inet6" | "-Ainet6"));
    let mut words =
        words.iter().copied().skip_while(|word| word.starts_with('-') || matches!(*word, "inet" | "inet6"));
    match words.next() {
        Some("add") => {}
        Some(_) => return Effect::Unclear,
        None => return Effect::Nothing,
    }
    let (mut host, mut target, mut mask, mut interface) = (false, None, None, own);
    while let Some(word) = words.next() {
        match word {
            "-host" => host = true,
            "-net" | "reject" | "mod" | "dyn" | "reinstate" => {}
            "netmask" => mask = words.next(),
            "dev" => interface = words.next().unwrap_or(own),
            "gw" | "metric" | "mss" | "window" | "irtt" => drop(words.next()),
            _ if target.is_none() => target = Some(word),
            _ => interface = word,
        }
    }
    let found = match (target, mask) {
        (Some("default"), _) => Some(everywhere(v6)),
        (Some(word), Some(mask)) => {
            let bits = prefix(mask);
            word.parse().ok().zip(bits).map(|(address, prefix)| Cidr { address, prefix })
        }
        (Some(word), None) if word.contains('/') => network(word),
        (Some(word), None) if host => word.parse().ok().map(Cidr::host),
        // Without either the class of the address decides, or what the resolver says.
        _ => None,
    };
    let found = found.filter(|cidr| cidr.is_possible());
    found.map_or(Effect::Unclear, |network| Effect::Route(network, interface.to_owned()))
}

/// A network as `ip` reads it: numbers of an IPv4 address may be missing at the end, they are 0 then.
fn short_network(text: &str) -> Option<Cidr> {
    if let Some(known) = network(text) {
        return Some(known);
    }
    let (numbers, bits) = text.split_once('/').unwrap_or((text, "32"));
    let bytes: Option<Vec<u8>> = numbers.split('.').map(|number| number.parse().ok()).collect();
    let mut bytes = bytes?;
    bytes.resize(4.max(bytes.len()), 0);
    let [first, second, third, last] = bytes.as_slice() else { return None };
    let address = Ipv4Addr::new(*first, *second, *third, *last).into();
    Some(Cidr { address, prefix: prefix(bits)? }).filter(|cidr| cidr.is_possible())
}

fn everywhere(v6: bool) -> Cidr {
    whole(if v6 { Family::V6 } else { Family::V4 })
}

/// Every address of a family.
pub fn whole(family: Family) -> Cidr {
    let address = match family {
        Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    Cidr { address, prefix: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(command: &str) -> String {
        let found = effects(command, "vmbr0");
        let routes = found.routes.iter().map(|(network, to)| format!("{network} {to}"));
        routes.chain(found.unclear.then(|| "?".to_owned())).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn routes_are_read_in_all_writings() {
        for (command, wanted) in [
            ("ip route add 10.0.0.0/8 via 192.0.2.2", "10.0.0.0/8 vmbr0"),
            ("/sbin/ip -4 r replace 10.9.0.0/16 dev vmbr1", "10.9.0.0/16 vmbr1"),
            ("ip route replace 10/8 via 192.0.2.2", "10.0.0.0/8 vmbr0"),
            ("ip ro append unicast to 10.1/16 dev eno1 || true", "10.1.0.0/16 eno1"),
            ("ip route add 10.1.2.3 via 192.0.2.2", "10.1.2.3 vmbr0"),
            ("ip -6 route add 2001:db8::/32 via fe80::1 dev eno1", "2001:db8::/32 eno1"),
            (
                "ip route add 10.0.0.0/8 via 192.0.2.2; ip r a 172.16/12 dev a",
                "10.0.0.0/8 vmbr0, 172.16.0.0/12 a",
            ),
            (
                "route add -net 203.0.113.0 netmask 255.255.255.192 gw 203.0.113.1 dev eno1",
                "203.0.113.0/26 eno1",
            ),
            ("route add -net 10.0.0.0/8 gw 203.0.113.1", "10.0.0.0/8 vmbr0"),
            ("/sbin/route add -host 192.0.2.7 eno2", "192.0.2.7 eno2"),
        ] {
            assert_eq!(shown(command), wanted, "{command}");
        }
        assert_eq!(
            effects("ip route add default via 192.0.2.1", "a").routes,
            [(whole(Family::V4), "a".to_owned())]
        );
        assert_eq!(
            effects("ip r add default via inet6 fe80::1", "a").routes,
            [(whole(Family::V6), "a".to_owned())]
        );
    }

    #[test]
    fn what_may_change_something_and_is_not_followed_is_told() {
        for command in [
            "ip addr add 10.3.0.1/8 dev vmbr0",
            "ip a a 10.3.0.1/8 dev vmbr0",
            "ip route del 10.0.0.0/8",
            "ip route add $NET dev eno1",
            "ip route add blackhole 10.0.0.0/8",
            "ip -batch /etc/network/routes",
            "route add 10.0.0.0 gw 192.0.2.1",
            "route del default",
            "/etc/network/routes.sh",
            "if test -x /root/up; then /root/up; fi",
            "sh -c 'ip route add 10.0.0.0/8 dev a'",
            "ifconfig vmbr0:1 10.3.0.1 netmask 255.0.0.0",
            "wg-quick up wg0",
            "echo a && ip addr add 10.3.0.1/8 dev vmbr0",
        ] {
            assert_eq!(shown(command), "?", "{command}");
        }
    }

    #[test]
    fn what_ordinary_nodes_run_changes_nothing() {
        for command in [
            "echo 1 > /proc/sys/net/ipv4/ip_forward",
            "iptables -t nat -A POSTROUTING -s '10.0.0.0/24' -o vmbr0 -j MASQUERADE",
            "/usr/sbin/iptables -t raw -I PREROUTING -i fwbr+ -j CT --zone 1",
            "ethtool -K eno1 tx off rx off 2>/dev/null || true",
            "/sbin/bridge vlan add dev vmbr0 vid 2-4 self",
            "ip link set vmbr0 up",
            "ip rule add from 192.0.2.10 table 100",
            "ip route add 10.0.0.0/8 dev vmbr0 table 100",
            "ip route show",
            "ifconfig eno1 up",
            "if [ -e /run/x ]; then sleep 1; fi",
            "true",
            "",
        ] {
            assert_eq!(shown(command), "", "{command}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn any_command_is_read(command in "(ip|route|add|via|dev|[a-z0-9./;& -]){0,20}") {
            let _ = effects(&command, "a");
        }
    }
}
