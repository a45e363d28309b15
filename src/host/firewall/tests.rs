use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;

use super::cover::{AddressSet, Reach};
use crate::formats::firewall::address::{Cidr, Family};
use crate::formats::firewall::names::Names;
use crate::formats::firewall::{Firewall, Level, parse};
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
