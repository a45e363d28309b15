//! What keeps the ruleset from loading.

use super::datacenter;
use crate::formats::firewall::options::{self, Per, RateLimit};
use crate::formats::firewall::{Level, Unloaded, parse};
use crate::formats::release::Release;

fn failures(text: &str) -> Vec<(u32, Unloaded)> {
    datacenter(text).value.load_failures.iter().map(|failure| (failure.line, failure.unloaded)).collect()
}

#[test]
fn a_rate_limit_follows_its_format_or_nothing_loads() {
    let limit = |text: &str| datacenter(&format!("[OPTIONS]\nlog_ratelimit: {text}\n")).value;
    let expected = RateLimit { enable: true, burst: 10, rate: 5, per: Per::Minute };
    assert_eq!(limit("enable=1,burst=10,rate=5/minute").log_ratelimit(), Some(expected));
    assert_eq!(limit("1").log_ratelimit(), Some(options::LOG_RATELIMIT));
    assert!(limit("enable=off").log_ratelimit().is_some_and(|limit| !limit.enable));
    let broken = [
        "rate=5/second",
        "1,rate=5/sec",
        "1,rate=05/second",
        "1,burst=-1",
        "2",
        "1,1",
        "1,enable=1",
        "1,foo=1",
        "1,rate=",
    ];
    for text in broken {
        let firewall = limit(text);
        assert_eq!(firewall.log_ratelimit(), None, "{text}");
        assert_eq!(firewall.load_failures.len(), 1, "{text}");
    }
}

#[test]
fn release_9_takes_words_for_a_bare_rate_limit() {
    let text = "[OPTIONS]\nlog_ratelimit: on\n";
    assert!(parse(text, Level::Datacenter, Release::Pve9, None).value.load_failures.is_empty());
    assert_eq!(parse(text, Level::Datacenter, Release::Pve8, None).value.load_failures.len(), 1);
}

#[test]
fn a_prefix_that_is_too_long_in_a_set_or_a_used_alias_keeps_the_rules_from_loading() {
    assert_eq!(failures("[IPSET ab]\n10.0.0.0/33\n"), [(2, Unloaded::Everything)]);
    assert_eq!(failures("[IPSET ab]\n!2001:db8::/129\n"), [(2, Unloaded::Everything)]);
    let alias = |value: &str, rule: &str| failures(&format!("[ALIASES]\nab {value}\n[RULES]\n{rule}\n"));
    assert_eq!(alias("10.0.0.0/99", "IN ACCEPT"), [], "not used");
    assert_eq!(alias("10.0.0.0/99", "IN ACCEPT -source ab"), [(4, Unloaded::Everything)]);
    assert_eq!(alias("10.0.0.0/99", "|IN ACCEPT -source ab"), []);
    assert_eq!(alias("::/140", "IN ACCEPT -dest ab"), [(4, Unloaded::Ipv6)], "IPv4 is loaded before");
    assert_eq!(failures("[ALIASES]\nab 10.0.0.0/99\n[IPSET cd]\nab\n"), [(4, Unloaded::Everything)]);
}

#[test]
fn a_set_takes_no_alias_of_prefix_zero_and_no_network_twice() {
    assert_eq!(failures("[ALIASES]\nab 0.0.0.0/0\n[IPSET cd]\nab\n"), [(4, Unloaded::Everything)]);
    assert_eq!(failures("[IPSET ab]\n10.0.0.1/24\n10.0.0.2/24\n"), [(3, Unloaded::Everything)]);
    assert_eq!(failures("[IPSET ab]\n10.0.0.0/24\n!10.0.0.2/24\n"), [(3, Unloaded::Everything)]);
    assert_eq!(
        failures("[ALIASES]\ncd 10.0.0.0/24\n[IPSET ab]\n10.0.0.0/24\ncd\n"),
        [],
        "the same text is merged"
    );
    assert_eq!(failures("[IPSET ab]\n10.0.0.0/8\n10.0.0.0/24\n"), []);
}

#[test]
fn the_alias_local_network_is_a_member_of_management() {
    assert_eq!(failures("[ALIASES]\nlocal_network 10.0.0.0/99\n"), [(2, Unloaded::Everything)]);
    assert_eq!(failures("[ALIASES]\nLocal_Network 0.0.0.0/0\n"), [(2, Unloaded::Everything)]);
    assert_eq!(
        failures("[ALIASES]\nlocal_network 10.0.0.7/24\n[IPSET management]\n10.0.0.0/24\n"),
        [(4, Unloaded::Everything)]
    );
    assert_eq!(failures("[ALIASES]\nlocal_network 10.0.0.0/24\n[IPSET management]\n10.0.0.0/24\n"), []);
}

#[test]
fn an_interface_name_of_more_than_fifteen_characters_keeps_the_rules_from_loading() {
    let rule = |line: &str| failures(&format!("[group web]\n[RULES]\n{line}\n"));
    assert_eq!(rule("IN ACCEPT -i abcdefghijklmno"), []);
    assert_eq!(rule("IN ACCEPT -i abcdefghijklmnop"), [(3, Unloaded::Everything)]);
    assert_eq!(rule("GROUP web -i abcdefghijklmnop"), [(3, Unloaded::Everything)]);
    assert_eq!(rule("|IN ACCEPT -i abcdefghijklmnop"), []);
    assert_eq!(rule("FORWARD ACCEPT -i abcdefghijklmnop"), [], "never handed to iptables");
    assert_eq!(rule("IN NeighborDiscovery(DROP) -i abcdefghijklmnop"), [(3, Unloaded::Ipv6)]);
}

#[test]
fn a_text_only_the_parser_understands_keeps_the_rules_from_loading() {
    let rule = |rest: &str| failures(&format!("[RULES]\nIN ACCEPT {rest}\n"));
    assert_eq!(rule("-p tcp -dport 080"), [(2, Unloaded::Everything)]);
    assert_eq!(rule("-p tcp -dport ntp"), [(2, Unloaded::Everything)]);
    assert_eq!(rule("-p udplite -dport 80"), [(2, Unloaded::Everything)]);
    assert_eq!(rule("-source 10.0.0.0/abc"), [(2, Unloaded::Everything)]);
    assert_eq!(rule("-source fe80::/010 -p tcp -dport 22"), []);
    assert_eq!(rule("-source fe80::/abc"), [(2, Unloaded::Ipv6)]);
}

#[test]
fn a_failure_in_a_security_group_counts_where_the_group_is_called() {
    let firewall = datacenter("[group web]\nIN ACCEPT -p tcp -dport 080\n").value;
    let groups: Vec<_> = firewall.load_failures.iter().map(|failure| failure.group.as_deref()).collect();
    assert_eq!(groups, [Some("web")]);
}
