use proptest::prelude::*;

use super::*;

fn refused(text: &str, level: Level) -> Option<u32> {
    parse(text, level).err().map(|refused| refused.line)
}

fn cluster(text: &str) -> File {
    parse(text, Level::Datacenter).unwrap()
}

#[test]
fn one_thing_that_is_not_understood_refuses_everything() {
    for (text, line) in [
        ("enable: 1\n", 1),
        ("[OPTIONS]\nenable: maybe\n", 2),
        ("[OPTIONS]\nenable: 1\nenable: 0\n", 3),
        ("[OPTIONS] # here\n", 1),
        ("[Ipset ab]\n", 1),
        ("[IPSET ab]\n10.0.0.0/33\n", 2),
        ("[IPSET ab]\n[IPSET ab]\n", 2),
        ("[group ab]\n[group ab]\n", 2),
        ("[ALIASES]\nab 10.0.0.1\nAB 10.0.0.2\n", 3),
        ("[RULES]\nIN ALLOW\n", 2),
        ("[RULES]\ngroup ab\n", 2),
        ("[RULES]\nIN ACCEPT -p tcp -p udp\n", 2),
        ("[RULES]\n|IN ACCEPT -foo 1\n", 2),
        ("[RULES]\nIN ACCEPT -source 0\n", 2),
        ("[RULES]\nIN ACCEPT -p tcp -dport 80:70\n", 2),
        ("[RULES]\nIN ACCEPT -log Info\n", 2),
        ("[OPTIONS]\nlog_ratelimit: 5/second\n", 2),
    ] {
        assert_eq!(refused(text, Level::Datacenter), Some(line), "{text}");
    }
    assert_eq!(refused("[ALIASES]\nab 10.0.0.1\n", Level::Node), Some(2));
    assert_eq!(refused("[RULES]\nIN ACCEPT -i eth0\n", Level::Guest), Some(2));
    assert_eq!(refused("[RULES]\nFORWARD DROP\n", Level::Guest), Some(2));
}

#[test]
fn carriage_returns_blanks_and_lower_case_verdicts_are_taken() {
    let file = cluster("[OPTIONS]\r\nenable: yes\r\n[RULES]\r\nin  accept   -p  tcp --dport 22\r\n");
    assert_eq!(file.enable.map(|enable| enable.value), Some(true));
    let rule = file.rules.first().unwrap();
    assert_eq!(rule.target, Target::Verdict(Verdict::Accept));
    assert_eq!(rule.dport.as_ref().map(|ports| ports.ranges.clone()), Some(vec![(22, 22)]));
}

#[test]
fn ports_without_a_protocol_are_passed_over() {
    let file = cluster("[RULES]\nIN ACCEPT -dport 22\n");
    assert_eq!(file.rules.first().and_then(|rule| rule.dport.clone()), None);
}

#[test]
fn names_keep_their_case_and_a_list_may_hold_ranges() {
    let file = cluster(
        "[RULES]\nGROUP Web\nIN ACCEPT -source +dc/Admins -dest 10.0.0.1-10.0.0.9,10.1.0.0/16\n[group Web]\n[IPSET Admins]\n0.0.0.0/0\n",
    );
    assert!(file.groups.contains_key("Web") && file.sets.contains_key("Admins"));
    assert!(
        matches!(file.rules.get(1).and_then(|rule| rule.dest.clone()), Some(Address::List(_, list)) if list.len() == 2)
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn never_panics_on_any_text(text in "(\\[RULES\\]|\\[IPSET |\\[group |IN |GROUP |ACCEPT|-p |tcp|-dport |[ -~\n\r\u{feff}ä]){0,30}") {
        for level in [Level::Datacenter, Level::Node, Level::Guest, Level::Vnet] {
            let _ = parse(&text, level);
        }
    }
}
