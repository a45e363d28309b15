mod load;
mod network;
mod rules;

use proptest::prelude::*;

use super::address::Address;
use super::names::Names;
use super::options::{LogLevel, Options, meant_to_enable};
use super::rule::Rule;
use super::{Firewall, Level, Lost, LostKind, Verdict, parse};
use crate::formats::release::Release;
use crate::formats::{Parsed, numbered};

/// cluster.fw of a lab node, written by the API.
const DATACENTER: &str = "\
[OPTIONS]

policy_out: ACCEPT
enable: 1
ebtables: 0
log_ratelimit: enable=1,burst=10,rate=5/second
policy_forward: DROP
policy_in: DROP

[ALIASES]

BackupHost 192.0.2.60
office 198.51.100.0/24 # Office: main

[IPSET half]

0.0.0.0/1
128.0.0.0/1

[IPSET management] # mgmt

198.51.100.0/24 # office
!203.0.113.7
dc/backuphost

[RULES]

FORWARD ACCEPT -source 10.0.0.0/8
GROUP webserver -i vmbr0
|IN DROP -i vmbr0 -p udp -dport 111 -log warning
IN SSH(ACCEPT) # ssh from anywhere!
IN ACCEPT -source +dc/management -p tcp -dport 8006 -log nolog

[group webserver] # http(s)

|IN SSH(ACCEPT) -source dc/office
IN ACCEPT -source +dc/half -p tcp -dport 80,8080:8090 # plain # http
IN HTTPS(ACCEPT)

";

fn datacenter(text: &str) -> Parsed<Firewall> {
    parse(text, Level::Datacenter, Release::Pve9, None)
}

/// A file of this level below the lab's cluster.fw.
fn below(text: &str, level: Level) -> Parsed<Firewall> {
    let parsed = datacenter(DATACENTER);
    parse(text, level, Release::Pve9, Some(&parsed.value))
}

/// The only thing lost from cluster.fw.
fn lost(text: &str) -> Lost {
    let parsed = datacenter(text);
    assert_eq!(parsed.issues.len(), parsed.value.lost.len(), "{:?}", parsed.issues);
    let [lost] = parsed.value.lost.try_into().unwrap_or_else(|lost| panic!("{text}: {lost:?}"));
    lost
}

/// The only rule of a node, below the lab's cluster.fw.
fn node_rule(line: &str) -> Rule {
    let parsed = below(&format!("[RULES]\n{line}\n"), Level::Node);
    assert_eq!(parsed.issues, []);
    let [rule] = parsed.value.rules.try_into().unwrap();
    rule
}

#[test]
fn a_file_written_by_the_api_is_read_whole() {
    let parsed = datacenter(DATACENTER);
    assert_eq!(parsed.issues, []);
    let firewall = parsed.value;
    assert_eq!((firewall.lost, firewall.load_failures), (vec![], vec![]));
    assert_eq!(firewall.aliases.get("backuphost").map(|alias| alias.name.as_str()), Some("BackupHost"));
    let office = &firewall.aliases["office"];
    assert_eq!((office.line, office.comment.as_deref()), (13, Some("Office: main")));
    let management = &firewall.sets["management"];
    let members: Vec<_> = management.members.iter().map(|member| (member.nomatch, member.line)).collect();
    assert_eq!(members, [(false, 22), (true, 23), (false, 24)]);
    assert_eq!(management.comment.as_deref(), Some("mgmt"));
    let enabled: Vec<_> = firewall.rules.iter().map(|rule| (rule.line, rule.enabled)).collect();
    assert_eq!(enabled, [(28, true), (29, true), (30, false), (31, true), (32, true)]);
    let web = &firewall.groups["webserver"];
    assert_eq!(
        (web.rules.len(), web.broken_in.is_any(), web.comment.as_deref()),
        (3, false, Some("http(s)"))
    );
}

#[test]
fn an_option_keeps_the_last_value_that_fits() {
    let options =
        datacenter("[OPTIONS]\nenable: 1\nENABLE: 0\nenable: yes\npolicy_in: reject\n").value.options;
    assert_eq!(options.enable.map(|enable| (enable.value, enable.line)), Some((0, 3)));
    assert_eq!(options.policy_in.map(|policy| policy.value), Some(Verdict::Reject));
}

#[test]
fn options_that_are_not_set_have_upstreams_defaults() {
    let of = |level| Firewall { level, ..Firewall::default() };
    assert!(!of(Level::Datacenter).is_enabled(0) && of(Level::Node).is_enabled(0));
    assert!(!of(Level::Guest).is_enabled(0) && !of(Level::Vnet).is_enabled(0));
    let unset = of(Level::Guest);
    assert_eq!((unset.policy_in(), unset.policy_out()), (Verdict::Drop, Verdict::Accept));
    assert_eq!((unset.policy_forward(), unset.log_level_in()), (Verdict::Accept, LogLevel::Nolog));
    assert!(unset.macfilter() && unset.dhcp() && unset.ndp() && unset.ebtables() && unset.nosmurfs());
    assert!(!unset.radv() && !unset.ipfilter() && !unset.nftables() && !unset.tcpflags());
}

#[test]
fn a_large_enable_of_the_datacenter_is_a_time_that_is_good_for_a_minute() {
    let firewall = datacenter("[OPTIONS]\nenable: 1700000000\n").value;
    assert!(firewall.is_enabled(1_700_000_060) && firewall.is_enabled(1_600_000_000));
    assert!(!firewall.is_enabled(1_700_000_061));
    assert!(datacenter("[OPTIONS]\nenable: 01\n").value.is_enabled(i64::MAX));
    assert!(datacenter("[OPTIONS]\nenable: 99999999999999999999\n").value.is_enabled(0));
}

#[test]
fn an_option_that_does_not_fit_is_dropped() {
    for line in [
        "enable: yes",
        "enable : 1",
        "enable=1",
        "policy_in: drop!",
        "ebtables: 2",
        "nftables: 1",
        "Log_ratelimit: 1",
    ] {
        let lost = lost(&format!("[OPTIONS]\n{line}\n"));
        assert!(matches!(lost.what, LostKind::Option(_)), "{line}");
    }
    assert_eq!(lost("[OPTIONS]\nEnable: yes\n").what, LostKind::Option("enable".to_owned()));
}

#[test]
fn options_belong_to_levels_and_releases() {
    let node = "[OPTIONS]\nnftables: 1\nlog_level_in: INFO\nlog_level_out:\nlog_level_forward: err\n\
        nf_conntrack_helpers: FTP,sip\nnf_conntrack_max: 300000\nprotection_synflood: 1\n";
    let parsed = below(node, Level::Node);
    assert_eq!(parsed.issues, []);
    assert!(parsed.value.nftables() && parsed.value.protection_synflood());
    assert_eq!(
        (parsed.value.log_level_in(), parsed.value.log_level_out()),
        (LogLevel::Info, LogLevel::Nolog)
    );
    let helpers = parsed.value.options.nf_conntrack_helpers.map(|helpers| helpers.value);
    assert_eq!(helpers, Some(vec!["ftp".to_owned(), "sip".to_owned()]));
    let old = parse(node, Level::Node, Release::Pve7, None);
    assert_eq!(old.value.lost.iter().map(|lost| lost.line).collect::<Vec<_>>(), [2, 5]);
    assert!(!old.value.nftables());
    let vnet = below("[OPTIONS]\nenable: 1\npolicy_forward: REJECT\nlog_level_forward:\n", Level::Vnet);
    assert_eq!(vnet.value.lost.len(), 2);
    let guest = below("[OPTIONS]\nips_queues: 0:3\nmacfilter: 0\npolicy_forward: DROP\n", Level::Guest);
    assert_eq!(guest.value.lost.len(), 1);
    assert!(!guest.value.macfilter());
}

#[test]
fn helpers_must_all_be_known() {
    let parsed = below("[OPTIONS]\nnf_conntrack_helpers: ftp,h323\n", Level::Node);
    assert_eq!(parsed.value.options.nf_conntrack_helpers, None);
    assert_eq!(parsed.issues.len(), 1);
}

#[test]
fn a_file_without_any_header_has_no_content() {
    let parsed = datacenter("enable: 1\n");
    assert_eq!(parsed.value.options, Options::default());
    assert_eq!(parsed.value.lost.first().map(|lost| &lost.what), Some(&LostKind::NoSection));
}

#[test]
fn a_carriage_return_hides_the_plain_headers() {
    let parsed = datacenter("[OPTIONS]\r\nenable: 1\r\n[RULES]\r\nIN ACCEPT\r\n");
    assert_eq!((parsed.value.options, parsed.value.rules), (Options::default(), vec![]));
    assert_eq!(parsed.value.lost.len(), 4);
    assert!(parsed.issues.first().is_some_and(|issue| issue.what.contains("carriage return")));
}

#[test]
fn a_carriage_return_does_not_hide_sets_and_groups() {
    let parsed = datacenter(
        "[IPSET ab]\r\n10.0.0.1\r\n[group web]\r\nIN ACCEPT -p tcp -dport 22\r\n[RULES]\r\nIN DROP\r\n",
    );
    assert_eq!(parsed.value.sets.get("ab").map(|set| set.members.len()), Some(1));
    let lines = parsed.value.groups.get("web").map(|web| web.rules.iter().map(|rule| rule.line).collect());
    assert_eq!(lines, Some(vec![4, 6]), "what follows the lost header stands in the group");
    assert_eq!(parsed.value.rules, []);
}

#[test]
fn options_and_rules_may_end_with_a_carriage_return_and_aliases_may_not() {
    let parsed = datacenter("[OPTIONS]\nenable: 1\r\n[ALIASES]\nab 10.0.0.1\r\n[RULES]\nIN ACCEPT\r\n");
    assert!(parsed.value.options.enable.is_some() && parsed.value.rules.len() == 1);
    assert_eq!(parsed.value.lost.iter().map(|lost| lost.line).collect::<Vec<_>>(), [4]);
}

#[test]
fn a_byte_order_mark_hides_the_first_header() {
    let parsed = datacenter("\u{feff}[OPTIONS]\nenable: 1\n[RULES]\nIN ACCEPT\n");
    assert_eq!((parsed.value.options, parsed.value.rules.len()), (Options::default(), 1));
    assert!(parsed.issues.first().is_some_and(|issue| issue.what.contains("byte order mark")));
}

#[test]
fn only_sets_and_groups_may_have_a_comment_behind_the_header() {
    let parsed = datacenter("[OPTIONS]\nenable: 1\n[RULES] # mine\nIN ACCEPT\n");
    assert_eq!(parsed.value.rules, []);
    let lines: Vec<_> = parsed.value.lost.iter().map(|lost| (lost.line, lost.what.clone())).collect();
    assert_eq!(lines, [(3, LostKind::Header), (4, LostKind::Option("in accept".to_owned()))]);
}

#[test]
fn an_unknown_header_is_content_of_the_section_above() {
    let parsed = datacenter("[IPSET ab]\n[RULE]\n10.0.0.1\n");
    assert_eq!(parsed.value.sets.get("ab").map(|set| set.members.len()), Some(1));
    assert_eq!(parsed.value.lost.len(), 1);
}

#[test]
fn headers_are_read_in_any_case_and_names_lower_cased() {
    let parsed =
        datacenter("  [Options] \t\nenable: 1\n[GROUP Web]\nIN ACCEPT\n[ipset\tMine] #x\n10.0.0.1\n");
    assert_eq!(parsed.issues, []);
    assert!(parsed.value.groups.contains_key("web") && parsed.value.sets.contains_key("mine"));
}

#[test]
fn a_refused_name_takes_the_lines_below_with_it() {
    for header in
        ["[group a]", "[group nineteen-characters]", "[IPSET 1st]", "[group web]#x[y]", "[IPSET a.b]"]
    {
        let parsed = datacenter(&format!("[RULES]\n{header}\nIN ACCEPT\n"));
        assert_eq!(parsed.value.rules, [], "{header}");
        assert_eq!(parsed.value.lost.iter().map(|lost| lost.line).collect::<Vec<_>>(), [2, 3], "{header}");
    }
}

#[test]
fn files_below_the_datacenter_hold_only_their_own_sections() {
    let parsed = below("[ALIASES]\nab 10.0.0.1\n[IPSET ab]\n10.0.0.1\n[group ab]\nIN ACCEPT\n", Level::Node);
    assert_eq!(parsed.value.lost.len(), 6);
    let parsed = below("[ALIASES]\nab 10.0.0.1\n[IPSET ab]\n10.0.0.1\n[group ab]\n10.0.0.2\n", Level::Guest);
    assert_eq!(
        parsed.value.sets.get("ab").map(|set| set.members.len()),
        Some(2),
        "no section begins at the group"
    );
}

#[test]
fn a_repeated_set_or_group_replaces_the_one_above_and_plain_sections_go_on() {
    let parsed = datacenter(
        "[RULES]\nIN DROP\n[IPSET ab]\n10.0.0.1\n10.0.0.2\n[RULES]\nIN DROP\n[IPSET AB]\n10.0.0.1\n",
    );
    assert_eq!(parsed.value.rules.len(), 2);
    assert_eq!(parsed.value.sets.get("ab").map(|set| (set.line, set.members.len())), Some((8, 1)));
    let replaced = parsed.value.lost.iter().map(|lost| (lost.line, lost.what.clone())).collect::<Vec<_>>();
    assert_eq!(replaced, [(3, LostKind::Block("ab".to_owned()))]);
}

#[test]
fn an_alias_has_exactly_one_blank_before_its_value() {
    assert!(datacenter("[ALIASES]\nab\t10.0.0.1   # c\n").issues.is_empty());
    for line in ["ab  10.0.0.1", "ab", "ab 10.0.0.1 x", "ab 10.0.0", "ab host"] {
        assert_eq!(lost(&format!("[ALIASES]\n{line}\n")).what, LostKind::Alias("ab".to_owned()), "{line}");
    }
}

#[test]
fn aliases_are_found_in_any_case_and_the_last_definition_counts() {
    let text = "[ALIASES]\nOffice 10.0.0.1\noffice 10.0.0.2\n[RULES]\nIN ACCEPT -source OFFICE\n";
    let firewall = datacenter(text).value;
    let Some(Address::Alias(name)) = firewall.rules.first().and_then(|rule| rule.source.clone()) else {
        panic!()
    };
    let names = Names::of(&firewall, None);
    assert_eq!(names.alias(&name).map(|alias| alias.line), Some(3));
}

#[test]
fn a_member_of_a_set_is_skipped_where_upstream_skips_it() {
    let skipped = [
        "0.0.0.0/0",
        "::/0",
        "10.0.0.0/00",
        "nowhere",
        "10.0.0",
        "10.0.0.1 10.0.0.2",
        "!",
        "!!10.0.0.1",
        "sdn/ab",
        "10.0.0.1-10.0.0.2",
    ];
    for member in skipped {
        assert_eq!(
            lost(&format!("[IPSET ab]\n{member}\n")).what,
            LostKind::Member("ab".to_owned()),
            "{member}"
        );
    }
    assert_eq!(lost("[IPSET ab]\n10.0.0.1\n!10.0.0.1/32\n").line, 3, "twice, whatever the mark");
    assert_eq!(lost("[IPSET ab]\nnowhere # c\n").line, 2);
}

#[test]
fn a_set_member_may_be_negated_with_blanks_and_have_host_bits() {
    let parsed = datacenter("[IPSET ab]\n! 10.0.0.9/24 # c\n");
    assert_eq!(parsed.issues, []);
    let set = &parsed.value.sets["ab"];
    assert!(set.members.iter().all(|member| member.nomatch && member.comment.as_deref() == Some("c")));
}

#[test]
fn release_7_reads_no_vnet_file() {
    let parsed = parse("[OPTIONS]\nenable: 1\n", Level::Vnet, Release::Pve7, None);
    assert_eq!(parsed.issues.len(), 1);
}

/// Lines that touch most branches when they are mixed.
fn lines() -> impl Strategy<Value = String> {
    let line = prop_oneof![
        r"\[(OPTIONS|aliases|RULES|IPSET ab|group web|group x)\]( #.?)?\r?",
        r"\|?(IN|OUT|GROUP|forward|x) (ACCEPT|DROP|SSH\(ACCEPT\)|web)( -(i|p|source|dest|dport|sport|log|icmp-type) {1,2}[a-z0-9+:./,-]{0,9}){0,3}( #.{0,3})?",
        r"!?[0-9a-f.:/]{1,12}",
        r"[a-z_]{2,14}:? {0,2}[A-Za-z0-9=,/.:]{0,12}",
        ".{0,20}",
    ];
    proptest::collection::vec(line, 0..12).prop_map(|lines| lines.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_is_read_and_every_line_with_content_leaves_a_trace(text in lines()) {
        for (level, release) in [
            (Level::Datacenter, Release::Pve9),
            (Level::Node, Release::Pve8),
            (Level::Guest, Release::Pve7),
            (Level::Vnet, Release::Pve9),
        ] {
            let base = datacenter(DATACENTER);
            let parsed = parse(&text, level, release, Some(&base.value));
            let count = u32::try_from(numbered(&text).count()).unwrap();
            prop_assert!(parsed.issues.is_sorted());
            prop_assert!(parsed.issues.iter().all(|issue| (1..=count).contains(&issue.line)));
            prop_assert!(parsed.value.load_failures.iter().all(|failure| failure.line <= count));
            let firewall = &parsed.value;
            let kept = firewall.rules.iter().chain(firewall.groups.values().flat_map(|group| &group.rules));
            for rule in kept {
                let twin = firewall.lost.iter().find(|lost| lost.line == rule.line);
                prop_assert!(twin.is_none(), "a rule is kept or lost");
                prop_assert!(rule.generator_error.is_none());
            }
        }
    }

    #[test]
    fn what_is_lost_is_explained_by_an_issue_on_its_line(text in lines()) {
        let parsed = datacenter(&text);
        for lost in &parsed.value.lost {
            prop_assert!(parsed.issues.iter().any(|issue| issue.line == lost.line && issue.what.contains(&lost.why)));
        }
    }

    #[test]
    fn parameters_may_stand_in_any_order(parts in Just(vec!["-p tcp", "-dport 22", "-source 10.0.0.0/8", "-i eno1", "-log info"]).prop_shuffle()) {
        let rule = node_rule(&format!("IN ACCEPT {}", parts.join(" ")));
        prop_assert_eq!(rule, node_rule("IN ACCEPT -p tcp -dport 22 -source 10.0.0.0/8 -i eno1 -log info"));
    }
}

#[test]
fn a_network_of_prefix_length_zero_is_kept_aside_for_nftables() {
    let parsed = parse("[IPSET ab]\n0.0.0.0/0\n10.0.0.0/8\n", Level::Datacenter, Release::Pve9, None);
    let set = &parsed.value.sets["ab"];
    assert_eq!((set.members.len(), set.whole.len(), parsed.issues.len()), (1, 1, 1));
    assert_eq!(set.whole[0].line, 2);
}

#[test]
fn lines_that_mean_to_switch_on_are_found_wherever_they_stand() {
    let found = meant_to_enable(
        "\u{feff}enable: 1\r\n[RULES]\nENABLE=yes # now\n enable \"on\"\n# enable: 1\nenable: 0\nenable:\nenabled: 1\n",
    );
    let found: Vec<_> = found.iter().map(|line| (line.line, line.value.as_str())).collect();
    assert_eq!(found, [(1, "1"), (3, "yes"), (4, "on")]);
}
