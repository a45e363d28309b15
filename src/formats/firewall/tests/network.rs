//! The sets of the software-defined network.

use proptest::prelude::*;

use crate::formats::firewall::network::{ZoneKind, applied, guest_of_set, leases};

const RUNNING: &str = r#"{"version": 3, "controllers": {"ids": {}},
    "zones": {"ids": {"z1": {"type": "simple", "dhcp": "dnsmasq", "ipam": "pve"}}},
    "vnets": {"ids": {"v1": {"type": "vnet", "zone": "z1", "tag": 5}, "v2": {"zone": "z1"}}},
    "subnets": {"ids": {
        "z1-10.0.0.0-24": {"vnet": "v1", "gateway": "10.0.0.1", "snat": 1,
            "dhcp-range": ["start-address=10.0.0.10,end-address=10.0.0.19"]},
        "z1-fd00::-64": {"vnet": "v1"}}}}"#;

fn set(name: &str) -> Option<(Vec<String>, Vec<String>)> {
    let set = applied(RUNNING).unwrap().set(name)?;
    let ranges = set.ranges.iter().map(|(first, last)| format!("{first}-{last}")).collect();
    Some((ranges, set.without.iter().map(ToString::to_string).collect()))
}

#[test]
fn a_virtual_network_has_four_sets() {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let all = texts(&["10.0.0.0-10.0.0.255", "fd00::-fd00::ffff:ffff:ffff:ffff"]);
    assert_eq!(set("v1-all"), Some((all.clone(), Vec::new())));
    assert_eq!(set("v1-no-gateway"), Some((all, texts(&["10.0.0.1"]))));
    assert_eq!(set("v1-gateway"), Some((texts(&["10.0.0.1-10.0.0.1"]), Vec::new())));
    assert_eq!(set("v1-dhcp"), Some((texts(&["10.0.0.10-10.0.0.19"]), Vec::new())));
    assert_eq!(set("v2-all"), Some((Vec::new(), Vec::new())), "an empty set is one");
    assert_eq!((set("v3-all"), set("v1-none"), set("v1")), (None, None, None));
}

#[test]
fn one_thing_that_is_not_understood_refuses_the_whole_file() {
    for (right, wrong) in [
        ("\"simple\"", "\"faucet\""),
        ("\"dnsmasq\"", "\"other\""),
        ("\"tag\": 5", "\"tag\": \"5\""),
        ("\"snat\": 1", "\"snat\": \"1\""),
        ("\"z1-10.0.0.0-24\"", "\"z1-10.0.0.0-33\""),
        ("\"z1-10.0.0.0-24\"", "\"z2-10.0.0.0-24\""),
        ("\"zone\": \"z1\"", "\"zone\": \"z9\""),
        ("\"vnet\": \"v1\"", "\"vnet\": \"v9\""),
        ("\"gateway\": \"10.0.0.1\"", "\"gateway\": \"fd00::1\""),
        ("end-address=10.0.0.19", "end-address=10.0.0.9"),
        ("start-address=10.0.0.10,", ""),
        ("\"v2\"", "\"v-2\""),
        ("\"v2\"", "\"toolongname\""),
        ("{\"version\"", "{{\"version\""),
    ] {
        assert!(RUNNING.contains(right), "{right}");
        let why = applied(&RUNNING.replacen(right, wrong, 1)).unwrap_err();
        assert!(!why.contains("10.0") && !why.contains("toolong"), "{why}");
    }
    assert_eq!(applied("{}").map(|network| network.vnets.len()), Ok(0));
    assert_eq!(applied(RUNNING).unwrap().vnets["v1"].kind, ZoneKind::Simple);
}

#[test]
fn addresses_of_guests_are_those_with_a_vmid_in_quotes() {
    let text = r#"{"zones": {"z1": {"subnets": {"10.0.0.0/24": {"ips": {
        "10.0.0.1": {"gateway": 1},
        "10.0.0.5": {"vmid": "100", "mac": "BC:24:11:00:00:01", "hostname": "a"},
        "10.0.0.6": {"vmid": 100, "mac": "BC:24:11:00:00:01"},
        "10.0.0.7": {"mac": "BC:24:11:00:00:02"}}}}}}}"#;
    let read = leases(text).unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(read[&100].iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.0.0.5"]);
    assert!(leases(&text.replace("10.0.0.7", "10.0.1.7")).is_err(), "outside of its subnet");
    assert!(leases(&text.replace("\"gateway\": 1", "\"gateway\": \"yes\"")).is_err());
    assert!(leases("{}").is_err());
    assert_eq!((guest_of_set("guest-ipam-100"), guest_of_set("v1-all")), (Some(100), None));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn never_panics_on_any_text(text in "(\\{|\\}|\"zones\":|\"ids\":|\"z1-10.0.0.0-24\":|\"10.0.0.0/8\":|[ -~])*") {
        let _ = (applied(&text), leases(&text));
    }
}
