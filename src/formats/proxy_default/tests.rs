use proptest::prelude::*;

use super::*;

fn decide(text: &str, peer: &str) -> Option<bool> {
    allows(&parse(text).value, peer.parse().unwrap())
}

/// First and last address as text, or `None` when the service would not start.
fn range(text: &str) -> Option<(String, String)> {
    ranges::list(text)?.first().map(|range| match range {
        Range::V4(first, last) => (first.to_string(), last.to_string()),
        Range::V6(first, last) => (first.to_string(), last.to_string()),
    })
}

fn pair(first: &str, last: &str) -> (String, String) {
    (first.to_owned(), last.to_owned())
}

#[test]
fn an_empty_file_allows_everybody() {
    assert_eq!(decide("", "203.0.113.5"), Some(true));
    assert_eq!(decide("# ALLOW_FROM=10.0.0.0/8\n", "2001:db8::1"), Some(true));
}

#[test]
fn allow_alone_restricts_nothing() {
    assert_eq!(decide("ALLOW_FROM=\"10.0.0.0/8\"\n", "203.0.113.5"), Some(true));
}

#[test]
fn the_table_of_allow_and_deny_is_exact() {
    let lists = "ALLOW_FROM=10.0.0.0/8,192.0.2.1\nDENY_FROM=\"10.1.0.0/16,198.51.100.0/24\"\n";
    for (policy, both, neither) in [("allow", true, true), ("deny", false, false)] {
        let text = format!("{lists}POLICY=\"{policy}\"\n");
        assert_eq!(decide(&text, "10.2.3.4"), Some(true), "only allow, {policy}");
        assert_eq!(decide(&text, "198.51.100.7"), Some(false), "only deny, {policy}");
        assert_eq!(decide(&text, "10.1.2.3"), Some(both), "both, {policy}");
        assert_eq!(decide(&text, "203.0.113.5"), Some(neither), "neither, {policy}");
    }
}

#[test]
fn deny_all_makes_an_allow_list_for_both_families() {
    let text = "ALLOW_FROM=192.0.2.0/24\nDENY_FROM=all\nPOLICY=allow\n";
    assert_eq!(decide(text, "192.0.2.9"), Some(true));
    assert_eq!(decide(text, "::ffff:192.0.2.9"), Some(true));
    assert_eq!(decide(text, "203.0.113.5"), Some(false));
    assert_eq!(decide(text, "2001:db8::1"), Some(false));
    let text = "ALLOW_FROM=192.0.2.0/24\nDENY_FROM=all\nPOLICY=deny\n";
    assert_eq!(decide(text, "192.0.2.9"), Some(false), "all three: nobody");
}

#[test]
fn deny_of_all_ipv4_leaves_ipv6_open() {
    assert_eq!(decide("DENY_FROM=0/0\n", "203.0.113.5"), Some(false));
    assert_eq!(decide("DENY_FROM=0/0\n", "2001:db8::1"), Some(true));
}

#[test]
fn the_last_assignment_wins_and_an_empty_one_unsets() {
    assert_eq!(decide("POLICY=deny\nPOLICY=allow\n", "203.0.113.5"), Some(true));
    let parsed =
        parse("POLICY=deny\nexport POLICY=\"\"\nLISTEN_IP='192.0.2.1'; CIPHERS=A:B MAX_WORKERS=4 # note\n");
    assert_eq!((parsed.value.policy.clone(), parsed.issues.len()), (None, 0));
    assert_eq!(parsed.value.listen_ip, Some(Located::new("192.0.2.1".to_owned(), 3)));
    assert_eq!(parsed.value.settings["CIPHERS"].value, "A:B");
    assert_eq!(parsed.value.settings["MAX_WORKERS"].value, "4");
}

#[test]
fn quotes_side_by_side_make_one_value() {
    let parsed = parse("DENY_FROM='10.0.0.0/'\"8\",192.0.2.1\nexport POLICY\nexport A=1 B=2\n");
    assert_eq!(parsed.issues, []);
    assert_eq!(parsed.value.deny_from.unwrap().value.len(), 2);
}

#[test]
fn whatever_bash_would_have_to_run_is_uncertain() {
    let lines = [
        "POLICY=$X",
        "POLICY=`x`",
        "POLICY=\"$(x)\"",
        "POLICY=de\\ny",
        "POLICY+=deny",
        "if true; then",
        ". /etc/x",
        "POLICY=deny true",
        "POLICY=(deny)",
        "POLICY=deny && x",
        "POLICY = deny",
        "POLICY=\"deny",
        "unset POLICY",
        "POLICY=deny export X",
        "A=~",
        "A={a,b}",
        "; POLICY=deny",
        "1=2",
        "readonly POLICY=deny",
    ];
    for line in lines {
        let text = format!("\n{line}\n");
        let parsed = parse(&text);
        assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [2], "{line}");
        assert_eq!(allows(&parsed.value, "203.0.113.5".parse().unwrap()), None, "{line}");
    }
}

#[test]
fn a_line_that_is_not_understood_leaves_the_others() {
    let parsed = parse("source /etc/x\nLISTEN_IP=192.0.2.1\n");
    assert_eq!(parsed.value.listen_ip.unwrap().line, 2);
    assert!(parsed.value.uncertain);
}

#[test]
fn wrong_values_keep_the_service_from_starting() {
    for text in [
        "POLICY=Deny\n",
        "POLICY=deny\r\n",
        "ALLOW_FROM=\"10.0.0.1, 10.0.0.2\"\n",
        "DENY_FROM=10.0.0.1/8\n",
        "COMPRESSION=yes\n",
    ] {
        let parsed = parse(text);
        assert!(parsed.value.refused && parsed.issues.len() == 1, "{text:?}");
        assert_eq!(allows(&parsed.value, "203.0.113.5".parse().unwrap()), None, "{text:?}");
    }
}

#[test]
fn a_value_of_two_lines_counts_up_to_the_newline() {
    let parsed = parse("POLICY='deny\nallow'\nLISTEN_IP=::\n");
    assert_eq!(parsed.value.policy.unwrap().value, Policy::Deny);
    assert_eq!(parsed.value.listen_ip.unwrap().line, 3);
}

#[test]
fn variables_the_proxies_do_not_take_are_not_kept() {
    let parsed = parse("MY_PASSWORD=hunter2\n");
    assert!(!format!("{parsed:?}").contains("hunter2"));
    assert_eq!(parsed.issues, []);
}

// The results of Net::IP 1.26 with `normalize_v4_in_v6` around it.
#[test]
fn addresses_are_read_as_net_ip_reads_them() {
    assert_eq!(range("0/0"), Some(pair("0.0.0.0", "255.255.255.255")));
    assert_eq!(range("10/8"), Some(pair("10.0.0.0", "10.255.255.255")));
    assert_eq!(range("10.1"), Some(pair("10.1.0.0", "10.1.0.0")));
    assert_eq!(range("010.0.0.1"), Some(pair("10.0.0.1", "10.0.0.1")));
    assert_eq!(range("10.0.0.0/08"), Some(pair("10.0.0.0", "10.255.255.255")));
    assert_eq!(range("192.0.2.1 - 192.0.2.9"), Some(pair("192.0.2.1", "192.0.2.9")));
    assert_eq!(range("192.0.2.1-192.0.2.9"), Some(pair("192.0.2.1", "192.0.2.9")));
    assert_eq!(range("0-255"), Some(pair("0.0.0.0", "255.0.0.0")));
    assert_eq!(range("2001:DB8::/32"), Some(pair("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff")));
    assert_eq!(range("2001:db8::-2001:db8::f"), Some(pair("2001:db8::", "2001:db8::f")));
    assert_eq!(range("::/96"), Some(pair("::", "::ffff:ffff")));
    assert_eq!(range("2001:db8::1,"), Some(pair("2001:db8::1", "2001:db8::1")));
}

#[test]
fn a_mapped_address_is_the_ipv4_address_behind_its_last_colon() {
    assert_eq!(range("::ffff:192.0.2.1"), Some(pair("192.0.2.1", "192.0.2.1")));
    assert_eq!(range("::ffff:0:5"), Some(pair("5.0.0.0", "5.0.0.0")));
    assert_eq!(range("::ffff:10.0.0.1-::ffff:10.0.0.9"), Some(pair("10.0.0.9", "10.0.0.9")));
}

#[test]
fn all_of_ipv6_written_out_is_deadly() {
    for text in ["::/0", "0::0/0", "::/1", "::ffff:192.0.2.0/120"] {
        assert_eq!(ranges::list(text), None, "{text}");
    }
    assert_eq!(range("8000::/1"), Some(pair("8000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")));
}

#[test]
fn what_net_ip_refuses_is_deadly() {
    for text in [
        "10.1.2.3/24",
        "192.0.2.0+5",
        "fe80::1%eth0",
        " 10.0.0.1",
        "10.0.0.1 ",
        "10.0.0.1,,10.0.0.2",
        "10.0.0.1/",
        "10.0.0.9-10.0.0.1",
        "1.2.3.4.5",
        "256",
        "10.0.0.0/33",
        "2001:db8::1/32",
        "10..1",
        "localhost",
        "ALL",
    ] {
        assert_eq!(ranges::list(text), None, "{text}");
    }
    assert_eq!(ranges::list(","), Some(Vec::new()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn never_panics_on_any_text(text in "(POLICY|ALLOW_FROM|export|[=\"'#;, \n\t$0-9.:/ä-]){0,30}") {
        let _ = allows(&parse(&text).value, "203.0.113.5".parse().unwrap());
    }

    #[test]
    fn a_prefix_contains_exactly_the_peers_with_its_bits(net: u32, length in 0_u32..=32, peer: u32, near: bool) {
        let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
        let net = net & mask;
        let peer = if near { net | (peer & !mask) } else { peer };
        let text = format!("DENY_FROM={}/{length}\n", std::net::Ipv4Addr::from_bits(net));
        let peer_text = std::net::Ipv4Addr::from_bits(peer).to_string();
        prop_assert_eq!(decide(&text, &peer_text), Some(peer & mask != net));
    }
}
