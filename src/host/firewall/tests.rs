use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::cover::{AddressSet, Reach};
use super::exposure::{Exposure, Inbound, Way};
use super::rules::{Match, written_out};
use super::{Backend, File};
use crate::formats::firewall::address::{Cidr, Family};
use crate::formats::firewall::names::Names;
use crate::formats::firewall::rule::Direction;
use crate::formats::firewall::{Firewall, Level, Verdict, parse};
use crate::formats::release::Release;

fn cidr(text: &str) -> Cidr {
    match text.split_once('/') {
        Some((address, prefix)) => {
            Cidr { address: address.parse().unwrap(), prefix: prefix.parse().unwrap() }
        }
        None => Cidr::host(text.parse().unwrap()),
    }
}

fn union(networks: &[&str]) -> AddressSet {
    networks.iter().fold(AddressSet::empty(), |set, text| set.union(&AddressSet::network(cidr(text))))
}

fn reach(networks: &[&str]) -> Reach {
    union(networks).reach()
}

fn datacenter(text: &str) -> Firewall {
    parse(text, Level::Datacenter, Release::Pve9, None).value
}

/// The matches that let the port in.
fn accepting<'a>(firewall: &'a Firewall, datacenter: Option<&'a Firewall>, port: u16) -> Vec<Match<'a>> {
    let inbound = written_out(firewall, datacenter, Direction::In);
    inbound.filter(|found| found.verdict == Verdict::Accept && found.takes_tcp(port)).collect()
}

/// Line of the rule, line of the call and sources of each rule that lets the port in.
fn accepts_of(firewall: &Firewall, datacenter: Option<&Firewall>, port: u16) -> Vec<(u32, u32, String)> {
    let names = Names::of(firewall, datacenter);
    let mut found: Vec<(u32, u32, Option<AddressSet>)> = Vec::new();
    for one in accepting(firewall, datacenter, port) {
        let (line, call) = (one.rule.line, one.call.unwrap_or(one.rule).line);
        let source = one.source(&names);
        match found.last_mut() {
            Some(last) if (last.0, last.1) == (line, call) => {
                last.2 = last.2.as_ref().and_then(|old| Some(old.union(&source?)));
            }
            _ => found.push((line, call, source)),
        }
    }
    let told = |set: Option<AddressSet>| set.map_or_else(|| "unknown".to_owned(), |set| set.to_string());
    found.into_iter().map(|(line, call, source)| (line, call, told(source))).collect()
}

fn accepts(text: &str, port: u16) -> Vec<(u32, u32, String)> {
    accepts_of(&datacenter(text), None, port)
}

#[test]
fn halves_of_the_internet_make_the_whole() {
    assert_eq!(union(&["0.0.0.0/1", "128.0.0.0/1"]).to_string(), "0.0.0.0/0");
    assert_eq!(union(&["8000::/1", "::/1"]).to_string(), "::/0");
    assert_eq!(AddressSet::everything().to_string(), "0.0.0.0/0, ::/0");
    assert_eq!(AddressSet::empty().to_string(), "none");
}

#[test]
fn sets_print_as_the_shortest_list_of_networks() {
    let range = |first: &str, last: &str| AddressSet::range(first.parse().unwrap(), last.parse().unwrap());
    assert_eq!(
        range("192.0.2.1", "192.0.2.6").to_string(),
        "192.0.2.1, 192.0.2.2/31, 192.0.2.4/31, 192.0.2.6"
    );
    assert_eq!(range("192.0.2.6", "192.0.2.1").to_string(), "none");
    assert_eq!(range("192.0.2.6", "2001:db8::1").to_string(), "none");
    let hole = AddressSet::family(Family::V4).subtract(&union(&["128.0.0.0/1", "64.0.0.0/2"]));
    assert_eq!(hole.to_string(), "0.0.0.0/2");
    assert_eq!(union(&["2001:db8::1/32"]).to_string(), "2001:db8::/32", "host bits do not count");
}

#[test]
fn an_impossible_prefix_covers_nothing() {
    assert!(union(&["10.0.0.0/33", "2001:db8::/129"]).is_empty());
}

#[test]
fn anywhere_is_a_wide_public_network_however_it_is_cut() {
    assert_eq!(reach(&["0.0.0.0/1", "128.0.0.0/1"]), Reach::Anywhere);
    assert_eq!(reach(&["::/0"]), Reach::Anywhere);
    assert_eq!(reach(&["93.0.0.0/15"]), Reach::Anywhere);
    assert_eq!(reach(&["93.0.0.0/16", "93.1.0.0/16"]), Reach::Anywhere);
    assert_eq!(reach(&["100.0.0.0/8"]), Reach::Anywhere, "more than the shared 100.64.0.0/10");
    assert_eq!(reach(&["2a00::/31"]), Reach::Anywhere);
    assert_eq!(AddressSet::everything().subtract(&union(&["10.0.0.0/8"])).reach(), Reach::Anywhere);
}

#[test]
fn narrower_networks_are_public_or_private() {
    assert_eq!(reach(&["93.0.0.0/16"]), Reach::Public);
    assert_eq!(reach(&["10.0.0.0/8", "93.184.216.34"]), Reach::Public);
    assert_eq!(reach(&["2a00::/32"]), Reach::Public);
    assert_eq!(reach(&["198.51.100.0/24", "2001:db8::/32"]), Reach::Public, "stand for public networks");
    assert_eq!(reach(&["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"]), Reach::Private);
    assert_eq!(reach(&["fd00::/8", "fe80::/10", "127.0.0.1"]), Reach::Private);
    assert_eq!(reach(&["127.0.0.0/8", "::1"]), Reach::Loopback);
    assert_eq!(reach(&[]), Reach::Nobody);
    assert!(Reach::Nobody < Reach::Loopback && Reach::Public < Reach::Anywhere);
}

#[test]
fn the_most_specific_member_of_a_set_decides() {
    let firewall =
        datacenter("[ALIASES]\nin 10.1.2.0/24\n[IPSET ab]\n!10.1.0.0/16\nin\n10.0.0.0/8\n!10.1.2.3\n");
    let set = AddressSet::ip_set(&firewall.sets["ab"], &Names::of(&firewall, None));
    let has = |text: &str| set.contains(text.parse().unwrap());
    assert!(has("10.0.0.1") && has("10.1.2.4") && !has("10.1.3.1") && !has("10.1.2.3") && !has("11.0.0.1"));
}

#[test]
fn rules_macros_and_groups_open_ports_each_from_its_sources() {
    let text = "\
[ALIASES]
office 198.51.100.0/24
[IPSET half]
0.0.0.0/1
128.0.0.0/1
[RULES]
GROUP mgmt -i vmbr0
|IN ACCEPT -p tcp -dport 8006
IN ACCEPT -source +half -p tcp -dport 8000:8010
IN PMG(ACCEPT) -source office
IN DROP -p tcp -dport 8006
OUT ACCEPT -p tcp -dport 8006
IN ACCEPT -source 192.0.2.1
IN ACCEPT -p udp -dport 8006
IN ACCEPT -p 6 -source fd00::/8
IN ACCEPT -p hopopt -source 192.0.2.2
[group mgmt]
IN ACCEPT -source dc/office -p tcp -dport 22,8006
|IN ACCEPT
OUT ACCEPT
";
    let expected = [
        (18, 7, "198.51.100.0/24".to_owned()),
        (9, 9, "0.0.0.0/0".to_owned()),
        (10, 10, "198.51.100.0/24".to_owned()),
        (13, 13, "192.0.2.1".to_owned()),
        (15, 15, "fd00::/8".to_owned()),
        (16, 16, "192.0.2.2".to_owned()),
    ];
    assert_eq!(accepts(text, 8006), expected);
    let firewall = datacenter(text);
    let interfaces: Vec<_> = accepting(&firewall, None, 22).iter().map(Match::interface).collect();
    assert_eq!(interfaces, [Some("vmbr0"), None, None, None]);
}

#[test]
fn a_set_without_an_address_of_a_family_does_not_open_it() {
    let text = "[IPSET ab]\n10.0.0.0/8\n[RULES]\nIN SSH(ACCEPT) -source +ab\nIN SSH(ACCEPT)\n";
    let expected = [(4, 4, "10.0.0.0/8".to_owned()), (5, 5, "0.0.0.0/0, ::/0".to_owned())];
    assert_eq!(accepts(text, 22), expected);
}

#[test]
fn a_port_of_zero_opens_every_port() {
    let text = "[RULES]\nIN ACCEPT -p tcp -dport 0 -source 0\n";
    assert_eq!(accepts(text, 8006), [(2, 2, "0.0.0.0/0, ::/0".to_owned())]);
    assert_eq!(accepts("[RULES]\nIN ACCEPT -p tcp -dport 00\n", 8006), []);
    assert_eq!(accepts("[RULES]\nIN ACCEPT -p tcp -dport 022\n", 18).len(), 1, "octal to iptables");
}

#[test]
fn a_macro_with_several_rows_is_one_answer() {
    assert_eq!(accepts("[RULES]\nIN Web(ACCEPT)\n", 443).len(), 1);
    assert_eq!(accepts("[RULES]\nIN Ping(ACCEPT)\n", 22), []);
    assert_eq!(accepts("[RULES]\nIN GRE(ACCEPT)\n", 22), []);
    assert_eq!(accepts("[RULES]\nIN VNC(ACCEPT)\n", 5999).len(), 1);
}

#[test]
fn a_group_called_twice_answers_twice_and_ends_where_it_breaks() {
    let text = "[RULES]\nGROUP ab\nGROUP ab\n[group ab]\nIN SSH(ACCEPT)\nIN DROP -p icmp -dport no-route\nIN ACCEPT\n";
    let lines: Vec<_> = accepts(text, 22).into_iter().map(|(rule, call, _)| (rule, call)).collect();
    assert_eq!(lines, [(5, 2), (5, 3)]);
}

#[test]
fn sources_from_the_software_defined_network_are_unknown() {
    let text = "[RULES]\nIN SSH(ACCEPT) -source +sdn/v0-all\n";
    assert_eq!(accepts(text, 22), [(2, 2, "unknown".to_owned())]);
}

#[test]
fn rules_of_a_node_take_names_and_groups_from_the_datacenter() {
    let datacenter = datacenter("[IPSET ab]\n10.0.0.0/8\n[group web]\nIN SSH(ACCEPT) -source +ab\n");
    let text = "[RULES]\nGROUP web\nIN SSH(ACCEPT) -source +ab -dest 10.0.0.5\n";
    let node = parse(text, Level::Node, Release::Pve9, Some(&datacenter)).value;
    let private = "10.0.0.0/8".to_owned();
    let expected = [(4, 2, private.clone()), (3, 3, private)];
    assert_eq!(accepts_of(&node, Some(&datacenter), 22), expected);
    let names = Names::of(&node, Some(&datacenter));
    let last = accepting(&node, Some(&datacenter), 22).pop().and_then(|found| found.destination(&names));
    assert_eq!(last.map(|set| set.to_string()).as_deref(), Some("10.0.0.5"));
}

/// cluster.fw and host.fw as files.
fn files(cluster: &str, host: &str) -> (File, File) {
    let datacenter = datacenter(cluster);
    let node = parse(host, Level::Node, Release::Pve9, Some(&datacenter)).value;
    let file = |path: &str, firewall| File { path: path.to_owned(), firewall, ..File::default() };
    (file("cluster.fw", datacenter), file("host.fw", node))
}

/// Who gets in, who may get in, and how often a way in is found.
fn exposed(cluster: &str, host: &str, backend: Backend, port: u16) -> (String, String, usize) {
    let (datacenter, node) = files(cluster, host);
    let addresses = vec!["192.0.2.10".parse().unwrap()];
    let inbound = Inbound::new(&datacenter, Some(&node), backend, addresses);
    let Exposure { open, unsure, openings } = inbound.tcp(port).unwrap();
    (open.to_string(), unsure.to_string(), openings.len())
}

fn iptables(cluster: &str, host: &str) -> (String, String, usize) {
    exposed(cluster, host, Backend::Iptables, 22)
}

fn told(open: &str, unsure: &str, openings: usize) -> (String, String, usize) {
    (open.to_owned(), unsure.to_owned(), openings)
}

#[test]
fn rules_of_the_node_come_first_and_the_first_match_decides() {
    let accept = "[RULES]\nIN SSH(ACCEPT)\n";
    assert_eq!(iptables(accept, ""), told("0.0.0.0/0, ::/0", "none", 1));
    assert_eq!(iptables(accept, "[RULES]\nIN SSH(DROP)\n"), told("none", "none", 0));
    assert_eq!(
        iptables(accept, "[RULES]\nIN REJECT -source 0.0.0.0/1\n"),
        told("128.0.0.0/1, ::/0", "none", 1)
    );
    assert_eq!(iptables("[RULES]\nIN DROP\nIN SSH(ACCEPT)\n", ""), told("none", "none", 0));
    assert_eq!(iptables("[RULES]\nIN SSH(ACCEPT)\nIN DROP\n", ""), told("0.0.0.0/0, ::/0", "none", 1));
}

#[test]
fn the_policy_decides_about_what_no_rule_matches() {
    let text = "[OPTIONS]\npolicy_in: ACCEPT\n[RULES]\nIN SSH(DROP) -source 0.0.0.0/0\n";
    assert_eq!(iptables(text, ""), told("::/0", "none", 1));
    assert_eq!(iptables("[OPTIONS]\npolicy_in: REJECT\n", ""), told("none", "none", 0));
    let (datacenter, _) = files("[OPTIONS]\npolicy_in: ACCEPT\n", "");
    let inbound = Inbound::new(&datacenter, None, Backend::Iptables, vec![]);
    assert_eq!(inbound.tcp(1).unwrap().openings.first().map(|opening| opening.way), Some(Way::Policy));
}

#[test]
fn a_drop_that_is_bound_to_an_interface_or_address_makes_what_follows_unsure() {
    for bound in ["-i vmbr1", "-dest 192.0.2.10", "-dest 198.51.100.1", "-source +sdn/v0-all"] {
        let host = format!("[RULES]\nIN DROP -p tcp {bound}\n");
        assert_eq!(iptables("[RULES]\nIN SSH(ACCEPT) -source 10.0.0.0/8\n", &host).0, "none", "{bound}");
        assert_eq!(
            iptables("[RULES]\nIN SSH(ACCEPT) -source 10.0.0.0/8\n", &host).1,
            "10.0.0.0/8",
            "{bound}"
        );
    }
    let sport = "[RULES]\nIN DROP -p tcp -sport 1024:65535\nIN SSH(ACCEPT) -source 10.0.0.0/8\n";
    assert_eq!(iptables(sport, ""), told("10.0.0.0/8", "none", 1), "whoever attacks chooses the port");
}

#[test]
fn an_accept_for_the_address_of_the_node_opens_and_for_another_may_open() {
    let rule =
        |dest: &str| iptables(&format!("[RULES]\nIN SSH(ACCEPT) -source 10.0.0.0/8 -dest {dest}\n"), "");
    assert_eq!(rule("192.0.2.0/24"), told("10.0.0.0/8", "none", 1));
    assert_eq!(rule("192.0.2.11"), told("none", "10.0.0.0/8", 0));
    let unknown = "[RULES]\nIN SSH(ACCEPT) -source +sdn/v0-all\n";
    assert_eq!(iptables(unknown, "").1, "0.0.0.0/0, ::/0");
}

#[test]
fn management_gets_in_behind_the_rules_of_iptables_and_before_those_of_nftables() {
    let text =
        "[IPSET management]\n10.0.0.0/8\n[ALIASES]\nlocal_network 192.0.2.0/24\n[RULES]\nIN DROP -p tcp\n";
    assert_eq!(exposed(text, "", Backend::Iptables, 22).0, "none");
    assert_eq!(exposed(text, "", Backend::Nftables, 22).0, "10.0.0.0/8, 192.0.2.0/24");
    assert_eq!(exposed(text, "", Backend::Nftables, 5950).0, "10.0.0.0/8, 192.0.2.0/24");
    assert_eq!(exposed(text, "", Backend::Nftables, 80).0, "none");
    let whole = "[IPSET management]\n0.0.0.0/0\n";
    assert_eq!(exposed(whole, "", Backend::Iptables, 22).0, "none");
    assert_eq!(exposed(whole, "", Backend::Nftables, 22).0, "0.0.0.0/0");
}

#[test]
fn the_blacklist_counts_before_the_rules_of_iptables_only() {
    let text = "[IPSET blacklist]\n0.0.0.0/1\n[RULES]\nIN SSH(ACCEPT) -source 0.0.0.0/0\n";
    assert_eq!(exposed(text, "", Backend::Iptables, 22).0, "128.0.0.0/1");
    assert_eq!(exposed(text, "", Backend::Nftables, 22).0, "0.0.0.0/0");
}

#[test]
fn a_port_of_zero_opens_nothing_under_nftables() {
    let text = "[RULES]\nIN ACCEPT -p tcp -dport 0 -source 10.0.0.0/8\n";
    assert_eq!(exposed(text, "", Backend::Iptables, 22).0, "10.0.0.0/8");
    assert_eq!(exposed(text, "", Backend::Nftables, 22).0, "none");
}

#[test]
fn groups_that_call_for_endless_work_are_unknown() {
    let text = format!("[RULES]\n{}[group ab]\n{}", "GROUP ab\n".repeat(1100), "IN DROP\n".repeat(1100));
    let (datacenter, _) = files(&text, "");
    let inbound = Inbound::new(&datacenter, None, Backend::Iptables, vec![]);
    assert!(inbound.tcp(22).is_err());
}

#[test]
fn a_large_set_that_many_rules_name_is_followed_or_too_much_work() {
    let members: Vec<_> =
        (0..8000).map(|n| format!("10.{}.{}.{}\n", n / 16384, n / 128 % 128, n % 128 * 2)).collect();
    let set = format!("[IPSET big]\n{}[RULES]\n", members.concat());
    let apart: Vec<_> = (22..72).map(|port| format!("IN DROP -p tcp -dport {port} -source +big\n")).collect();
    let apart = apart.concat();
    let (datacenter, _) = files(&format!("{set}{apart}"), "");
    let inbound = Inbound::new(&datacenter, None, Backend::Iptables, vec![]);
    assert!((22..72).all(|port| inbound.tcp(port).is_ok()));
    let same = "IN DROP -p tcp -dport 22 -source +big\n".repeat(1500);
    let (datacenter, _) = files(&format!("{set}{same}"), "");
    assert!(Inbound::new(&datacenter, None, Backend::Iptables, vec![]).tcp(22).is_err());
}

/// A network within 10.0.0.0/24.
fn network() -> impl Strategy<Value = Cidr> {
    (0_u8.., 24_u32..=32)
        .prop_map(|(last, prefix)| Cidr { address: Ipv4Addr::new(10, 0, 0, last).into(), prefix })
}

/// The naive model: the last octets of the addresses.
fn octets(set: &AddressSet) -> BTreeSet<u8> {
    (0..=u8::MAX).filter(|last| set.contains(IpAddr::V4(Ipv4Addr::new(10, 0, 0, *last)))).collect()
}

fn naive(cidr: Cidr) -> BTreeSet<u8> {
    let IpAddr::V4(address) = cidr.address else { return BTreeSet::new() };
    let shift = 32 - cidr.prefix;
    let same = |last: &u8| u32::from(*last) >> shift == u32::from(address.octets()[3]) >> shift;
    (0..=u8::MAX).filter(same).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn set_arithmetic_agrees_with_sets_of_single_addresses(
        left in proptest::collection::vec(network(), 0..6),
        right in proptest::collection::vec(network(), 0..6),
    ) {
        let build = |list: &[Cidr]| list.iter().fold(AddressSet::empty(), |set, cidr| set.union(&AddressSet::network(*cidr)));
        let model = |list: &[Cidr]| list.iter().copied().flat_map(naive).collect::<BTreeSet<u8>>();
        let (a, b, x, y) = (build(&left), build(&right), model(&left), model(&right));
        prop_assert_eq!(octets(&a), x.clone());
        prop_assert_eq!(octets(&a.union(&b)), x.union(&y).copied().collect::<BTreeSet<_>>());
        prop_assert_eq!(octets(&a.intersect(&b)), x.intersection(&y).copied().collect::<BTreeSet<_>>());
        prop_assert_eq!(octets(&a.subtract(&b)), x.difference(&y).copied().collect::<BTreeSet<_>>());
        prop_assert_eq!(a.covers(&b), x.is_superset(&y));
        prop_assert_eq!(a.is_empty(), x.is_empty());
        // Equal sets are equal values, and the printed list is the set again, without neighbours left to merge.
        let again = build(&a.networks());
        prop_assert_eq!(&again, &a);
        let mut reversed = left.clone();
        reversed.reverse();
        prop_assert_eq!(build(&reversed), a);
    }

    #[test]
    fn a_set_with_exceptions_agrees_with_a_lookup_of_the_longest_prefix(
        members in proptest::collection::vec((network(), any::<bool>()), 0..10),
    ) {
        let mut known = BTreeSet::new();
        let fresh: Vec<_> = members.into_iter().filter(|(cidr, _)| known.insert((naive(*cidr), cidr.prefix))).collect();
        let lines: Vec<_> = fresh.iter().map(|(cidr, not)| format!("{}{cidr}\n", if *not { "!" } else { "" })).collect();
        let firewall = datacenter(&format!("[IPSET ab]\n{}", lines.concat()));
        prop_assert!(firewall.load_failures.is_empty() && firewall.lost.is_empty());
        let set = AddressSet::ip_set(&firewall.sets["ab"], &Names::of(&firewall, None));
        for last in 0..=u8::MAX {
            let covering = fresh.iter().filter(|(cidr, _)| naive(*cidr).contains(&last));
            let decides = covering.max_by_key(|(cidr, _)| cidr.prefix).is_some_and(|(_, not)| !not);
            prop_assert_eq!(set.contains(Ipv4Addr::new(10, 0, 0, last).into()), decides);
        }
    }
}
