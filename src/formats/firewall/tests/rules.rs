//! Rules: what is read, what is skipped, and how names resolve.

use super::{DATACENTER, below, datacenter, lost, node_rule};
use crate::formats::firewall::address::{Address, Family, Reference, Scope};
use crate::formats::firewall::names::{Found, Names};
use crate::formats::firewall::options::LogLevel;
use crate::formats::firewall::rule::{Direction, Parameter, Rule, Target};
use crate::formats::firewall::{Broken, Level, Lost, LostKind, Verdict, parse};
use crate::formats::release::Release;

/// Why the only rule of a node is skipped.
fn skipped(line: &str) -> String {
    let parsed = below(&format!("[RULES]\n{line}\n"), Level::Node);
    assert_eq!(parsed.value.rules, [], "{line}");
    let [issue] = parsed.issues.try_into().unwrap_or_else(|issues| panic!("{line}: {issues:?}"));
    assert_eq!(issue.line, 2);
    issue.what
}

#[test]
fn a_rule_keeps_all_that_it_says() {
    let rule = node_rule(
        "|OUT DROP -i eno1 -source +dc/half --dest dc/Office -proto tcp --dport 1:9,ssh -sport 7 -log err # why # not",
    );
    assert!(!rule.enabled);
    assert_eq!(rule.direction, Direction::Out);
    assert_eq!(rule.target, Target::Verdict(Verdict::Drop));
    assert_eq!(rule.interface.as_deref(), Some("eno1"));
    let named = |name: &str| Reference { scope: Some(Scope::Datacenter), name: name.to_owned() };
    assert_eq!(rule.source, Some(Address::Set(named("half"))));
    assert_eq!(rule.dest, Some(Address::Alias(named("office"))));
    assert_eq!(rule.protocol.as_deref(), Some("tcp"));
    assert_eq!(rule.dport.map(|ports| ports.ranges), Some(vec![(1, 9), (22, 22)]));
    assert_eq!(rule.sport.map(|ports| ports.ranges), Some(vec![(7, 7)]));
    assert_eq!(rule.log, Some(LogLevel::Err));
    assert_eq!(rule.comment.as_deref(), Some("why # not"));
    assert_eq!(rule.family, Some(Family::V4), "by the alias");
}

#[test]
fn the_last_of_repeated_parameters_counts() {
    assert_eq!(node_rule("IN ACCEPT -p udp -p tcp").protocol.as_deref(), Some("tcp"));
}

#[test]
fn names_must_stand_above_their_use() {
    let text =
        "[RULES]\nIN ACCEPT -source +ab\nIN ACCEPT -source cd\n[IPSET ab]\ncd\n[ALIASES]\ncd 10.0.0.1\n";
    let parsed = datacenter(text);
    assert_eq!(parsed.value.rules, []);
    assert_eq!(parsed.value.lost.iter().map(|lost| lost.line).collect::<Vec<_>>(), [2, 3, 5]);
}

#[test]
fn names_of_sets_and_groups_are_compared_by_case() {
    let text =
        "[IPSET Admins]\n10.0.0.1\n[group Web]\nIN ACCEPT\n[RULES]\nIN ACCEPT -source +Admins\nGROUP Web\n";
    let parsed = datacenter(text);
    assert_eq!(parsed.value.rules.len(), 1, "the call stays and finds nothing");
    let lines: Vec<_> = parsed.issues.iter().map(|issue| issue.line).collect();
    assert_eq!(lines, [6, 7]);
    assert!(
        parsed
            .issues
            .iter()
            .all(|issue| issue.what.contains("lower case") || issue.what.contains("does not exist"))
    );
}

#[test]
fn the_built_in_names_do_not_exist_while_rules_are_read() {
    let built_in = |line: &str| lost(&format!("[RULES]\n{line}\n")).why;
    assert!(built_in("IN ACCEPT -source +management").contains("built-in"));
    assert!(built_in("IN ACCEPT -source local_network").contains("built-in"));
}

#[test]
fn the_scope_of_a_name_must_lead_to_it_when_the_ruleset_is_generated() {
    assert!(skipped("IN ACCEPT -source +guest/half").contains("scope"));
    assert!(skipped("IN ACCEPT -source guest/office").contains("scope"));
    let guest = below(
        "[IPSET half]\n10.0.0.1\n[RULES]\nIN ACCEPT -source +half\nIN ACCEPT -source +dc/half\n",
        Level::Guest,
    );
    assert_eq!(guest.issues, []);
    let parsed = datacenter(DATACENTER);
    let names = Names::of(&guest.value, Some(&parsed.value));
    let lines = guest.value.rules.iter().flat_map(Rule::addresses).map(|address| match address {
        Address::Set(name) => match names.set(name) {
            Some(Found::Set(set, _)) => set.line,
            _ => 0,
        },
        _ => 0,
    });
    assert_eq!(lines.collect::<Vec<_>>(), [1, 15], "the own set shadows that of the datacenter");
}

#[test]
fn a_guest_scope_in_the_datacenter_file_leads_nowhere() {
    let text = "[ALIASES]\nab 10.0.0.1\n[IPSET cd]\nguest/ab\n[RULES]\nIN ACCEPT -source guest/ab\n";
    let parsed = datacenter(text);
    assert_eq!(parsed.value.lost.iter().map(|lost| lost.line).collect::<Vec<_>>(), [4, 6]);
}

#[test]
fn a_rule_the_generator_gives_up_ends_its_security_group() {
    let text = "[ALIASES]\nab 10.0.0.1\n[group web]\nIN ACCEPT -p icmp -dport packet-too-big\n\
        OUT ACCEPT -dest guest/ab\n|OUT DROP -dest guest/ab\nIN DROP\n";
    let group = datacenter(text).value.groups.remove("web").unwrap();
    assert_eq!(group.broken_in, Broken { v4: Some(4), v6: None }, "ICMP is one of IPv4");
    assert_eq!(group.broken_out, Broken { v4: Some(5), v6: Some(5) });
    assert_eq!(group.rules.len(), 1);
}

#[test]
fn sets_of_the_software_defined_network_are_taken_on_trust() {
    for name in ["+sdn/v0-custom", "+v0-all", "+guest-ipam-100"] {
        let parsed = below(&format!("[RULES]\nIN ACCEPT -source {name}\n"), Level::Node);
        assert_eq!((parsed.value.rules.len(), parsed.issues.len()), (1, 1), "{name}");
    }
    let old = parse("[RULES]\nIN ACCEPT -source +v0-all\n", Level::Node, Release::Pve7, None);
    assert_eq!(old.value.rules, []);
}

#[test]
fn a_line_that_is_no_rule_is_skipped() {
    let lines = [
        "IN",
        "IN  ",
        "| IN ACCEPT",
        "||IN ACCEPT",
        "FOO ACCEPT",
        "IN accept",
        "IN ACCEPT -p  tcp",
        "IN ACCEPT -p\ttcp",
        "IN ACCEPT tcp",
        "IN ACCEPT - - tcp 22 -",
        "IN ACCEPT -foo bar",
        "IN ACCEPT --i vmbr0",
        "IN ACCEPT -p",
        "IN ACCEPT -log loud",
        "IN ACCEPT -log INFO",
        "IN ACCEPT -log infox",
        "IN RETURN",
        "IN SSH(accept)",
        "IN PBS(ACCEPT)",
        "IN (ACCEPT)",
        "FORWARD REJECT",
        "GROUP x",
        "GROUP web -p tcp",
        "GROUP SSH(ACCEPT)",
        "IN web",
        "IN ACCEPT -i 1eth",
        "IN ACCEPT -i br-lan",
        "IN ACCEPT -i vmbr0.",
        "IN ACCEPT -p TCP",
        "IN ACCEPT -p all",
        "IN ACCEPT -dport 22",
        "IN ACCEPT -p gre -dport 22",
        "IN ACCEPT -p tcp -dport 22,",
        "IN ACCEPT -p icmp -sport 22",
        "IN ACCEPT -p tcp -icmp-type any",
        "IN ACCEPT -p icmp -icmp-type 8",
        "IN ACCEPT -p icmp -icmp-type packet-too-big",
        "IN ACCEPT -p icmp -dport echo-request -icmp-type any",
        "IN ACCEPT -p icmp -dport 256",
        "IN ACCEPT -p icmp -dport echo-request,echo-reply",
        "IN ACCEPT -p ipv6-icmp -dport echo-request",
        "IN ACCEPT -source 10.0.0.1/8",
        "IN ACCEPT -source 192.168.0./24",
        "IN ACCEPT -source 10.0.0.1 -dest fe80::1",
        "IN ACCEPT -p icmpv6 -source dc/office",
        "IN ACCEPT -source +half,10.0.0.1",
        "IN SSH(ACCEPT) -p udp",
        "IN SSH(ACCEPT) -p 6",
        "IN Web(ACCEPT) -p tcp -dport 80",
        "IN SSH(ACCEPT) -p tcp -dport 0",
        "IN GRE(ACCEPT) -dport 0",
        "IN ACCEPT -p gre -dport 0",
    ];
    for line in lines {
        let why = skipped(line);
        assert!(why.contains("skipped: "), "{line}: {why}");
    }
}

#[test]
fn a_lost_rule_says_what_it_was_meant_to_do() {
    let of = |line: &str| {
        let Lost { what, enabled, .. } = lost(&format!("[RULES]\n{line}\n"));
        (what, enabled)
    };
    let rule = |direction, verdict| LostKind::Rule { group: None, direction, verdict };
    assert_eq!(of("IN drop -p tcp"), (rule(Some(Direction::In), Some(Verdict::Drop)), true));
    assert_eq!(of("|out SSH(ACCEPT) -p  tcp"), (rule(Some(Direction::Out), Some(Verdict::Accept)), false));
    assert_eq!(of("IN REJECT -source +nowhere"), (rule(Some(Direction::In), Some(Verdict::Reject)), true));
    assert_eq!(of("nonsense"), (rule(None, None), true));
}

#[test]
fn directions_belong_to_levels_and_releases() {
    let taken = |line: &str, level, release| {
        let parsed = parse(&format!("[RULES]\n{line}\n"), level, release, None);
        parsed.value.rules.len() == 1
    };
    assert!(taken("forward ACCEPT", Level::Node, Release::Pve8));
    assert!(!taken("FORWARD ACCEPT", Level::Node, Release::Pve7));
    assert!(!taken("FORWARD ACCEPT", Level::Guest, Release::Pve9));
    assert!(taken("FORWARD DNS(ACCEPT)", Level::Vnet, Release::Pve9));
    assert!(!taken("IN ACCEPT", Level::Vnet, Release::Pve9));
    let group = datacenter("[group web]\nGROUP other\nIN ACCEPT -i vmbr0\nFORWARD ACCEPT\n").value;
    assert_eq!(group.groups.get("web").map(|web| web.rules.len()), Some(1), "no nesting, no interface");
}

#[test]
fn interfaces_of_guests_are_their_network_devices() {
    let taken = |interface: &str| {
        below(&format!("[RULES]\nIN ACCEPT -i {interface}\n"), Level::Guest).issues.is_empty()
    };
    assert!(taken("net0") && taken("net31") && !taken("vmbr0") && !taken("net"));
}

#[test]
fn macros_are_found_in_any_case_and_may_be_repeated_by_parameters() {
    let rule = node_rule("in ssh(ACCEPT) -p tcp -dport 22 -sport 1024:65535");
    assert!(matches!(rule.target, Target::Macro(known, Verdict::Accept) if known.name == "SSH"));
    assert_eq!(node_rule("IN Ping(ACCEPT) -source fe80::/10").family, Some(Family::V6));
}

#[test]
fn a_zero_counts_as_no_value() {
    let rule = node_rule("IN ACCEPT -p tcp -dport 0 -sport 0 -source 0 -dest 0 -i 0");
    let all = [Parameter::Interface, Parameter::Source, Parameter::Dest, Parameter::Dport, Parameter::Sport];
    assert_eq!(rule.zeros, all);
    assert_eq!(
        (rule.dport, rule.source, rule.interface),
        (None, None, None),
        "the rule matches every TCP packet"
    );
    assert_eq!(node_rule("IN ACCEPT -p 0").zeros, [Parameter::Protocol]);
    assert_eq!(node_rule("IN ACCEPT -dport 0").protocol, None, "not even a protocol is asked for");
    assert_eq!(node_rule("IN ACCEPT -p tcp -dport 00").zeros, [], "any other spelling is a port");
    assert_eq!(node_rule("IN ACCEPT -p tcp -dport 0,0").zeros, []);
}

#[test]
fn an_icmp_type_of_zero_is_a_type() {
    let rule = node_rule("IN ACCEPT -p icmp -dport 0");
    assert_eq!((rule.icmp_type.as_deref(), rule.zeros), (Some("0"), vec![]));
    assert_eq!(node_rule("IN ACCEPT -icmp-type 0").zeros, [Parameter::IcmpType]);
    assert_eq!(
        node_rule("IN ACCEPT -p icmpv6 -dport packet-too-big").icmp_type.as_deref(),
        Some("packet-too-big")
    );
}

#[test]
fn a_disabled_rule_is_not_a_comment() {
    let parsed = datacenter("[RULES]\n# |IN ACCEPT\n|IN ACCEPT\n");
    assert_eq!(
        parsed.value.rules.iter().map(|rule| (rule.line, rule.enabled)).collect::<Vec<_>>(),
        [(3, false)]
    );
}

#[test]
fn without_cluster_fw_no_name_resolves() {
    let parsed = parse("[RULES]\nIN ACCEPT -source +ab\nGROUP web\n", Level::Node, Release::Pve9, None);
    assert_eq!(parsed.value.rules.len(), 1);
    assert_eq!(parsed.issues.len(), 2);
}
