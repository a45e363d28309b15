//! The walk against a naive model that looks at one packet and one rule at a time.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

/// A rule, as the model and the file know it.
#[derive(Debug, Clone)]
struct Spec {
    enabled: bool,
    verdict: usize,
    source: Source,
    ports: Option<(u16, u16)>,
    sport: Option<u16>,
}

#[derive(Debug, Clone)]
enum Source {
    Anybody,
    Network(u8, u32),
    Set,
}

const VERDICTS: [&str; 3] = ["ACCEPT", "DROP", "REJECT"];

impl Spec {
    fn text(&self) -> String {
        let off = if self.enabled { "" } else { "|" };
        let source = match &self.source {
            Source::Anybody => String::new(),
            Source::Network(last, prefix) => format!(" -source {}/{prefix}", network(*last, *prefix)),
            Source::Set => " -source +some".to_owned(),
        };
        let dport = self.ports.map(|(first, last)| format!(" -dport {first}:{last}")).unwrap_or_default();
        let sport = self.sport.map(|port| format!(" -sport {port}")).unwrap_or_default();
        format!("{off}IN {} -p tcp{source}{dport}{sport}\n", VERDICTS[self.verdict])
    }

    fn matches(&self, source: u8, sport: u16, port: u16, set: &[(u8, u32, bool)]) -> bool {
        let by_source = match &self.source {
            Source::Anybody => true,
            Source::Network(last, prefix) => holds(*last, *prefix, source),
            Source::Set => in_set(set, source),
        };
        let by_port = self.ports.is_none_or(|(first, last)| first <= port && port <= last);
        self.enabled && by_source && by_port && self.sport.is_none_or(|own| own == sport)
    }
}

/// The network of an address of 10.1.0.0/24, without host bits.
fn network(last: u8, prefix: u32) -> std::net::Ipv4Addr {
    let mask = u8::MAX.checked_shl(32 - prefix).unwrap_or(0);
    std::net::Ipv4Addr::new(10, 1, 0, last & mask)
}

fn holds(last: u8, prefix: u32, source: u8) -> bool {
    u32::from(last) >> (32 - prefix) == u32::from(source) >> (32 - prefix)
}

/// The longest prefix decides.
fn in_set(set: &[(u8, u32, bool)], source: u8) -> bool {
    let covering = set.iter().filter(|(last, prefix, _)| holds(*last, *prefix, source));
    covering.max_by_key(|(_, prefix, _)| *prefix).is_some_and(|(.., nomatch)| !nomatch)
}

fn spec() -> impl Strategy<Value = Spec> {
    let source = prop_oneof![
        Just(Source::Anybody),
        (any::<u8>(), 24_u32..=32).prop_map(|(last, prefix)| Source::Network(last, prefix)),
        Just(Source::Set),
    ];
    let ports = prop_oneof![
        Just(None),
        (110_u16..114, 0_u16..3).prop_map(|(first, more)| Some((first, first + more)))
    ];
    let sport = prop_oneof![3 => Just(None), 1 => Just(Some(53))];
    (any::<bool>(), 0_usize..3, source, ports, sport)
        .prop_map(|(enabled, verdict, source, ports, sport)| Spec { enabled, verdict, source, ports, sport })
}

/// The rules of host.fw, of a group it calls behind them, and of cluster.fw, with the members of the set.
#[derive(Debug, Clone)]
struct Config {
    node: Vec<Spec>,
    group: Vec<Spec>,
    datacenter: Vec<Spec>,
    set: Vec<(u8, u32, bool)>,
    policy: usize,
}

fn config() -> impl Strategy<Value = Config> {
    let rules = || proptest::collection::vec(spec(), 0..5);
    let member = (any::<u8>(), 24_u32..=32, any::<bool>());
    (rules(), rules(), rules(), proptest::collection::vec(member, 0..5), 0_usize..3).prop_map(
        |(node, group, datacenter, set, policy)| {
            let mut known = std::collections::BTreeSet::new();
            let fresh =
                |(last, prefix, _): &(u8, u32, bool)| known.insert((network(*last, *prefix), *prefix));
            Config { node, group, datacenter, set: set.into_iter().filter(fresh).collect(), policy }
        },
    )
}

impl Config {
    fn host(&self) -> Host {
        let texts = |rules: &[Spec]| rules.iter().map(Spec::text).collect::<String>();
        let member = |(last, prefix, nomatch): &(u8, u32, bool)| {
            format!("{}{}/{prefix}\n", if *nomatch { "!" } else { "" }, network(*last, *prefix))
        };
        let set: String = self.set.iter().map(member).collect();
        let cluster = format!(
            "{ON}policy_in: {}\n[IPSET some]\n{set}[RULES]\n{}[group extra]\n{}",
            VERDICTS[self.policy],
            texts(&self.datacenter),
            texts(&self.group)
        );
        host(&cluster, &format!("[RULES]\n{}GROUP extra\n", texts(&self.node)), &[])
    }

    /// What becomes of one packet.
    fn naive(&self, source: u8, sport: u16, port: u16) -> &'static str {
        let all = self.node.iter().chain(&self.group).chain(&self.datacenter);
        let mut matching = all.filter(|rule| rule.matches(source, sport, port, &self.set));
        matching.next().map_or(VERDICTS[self.policy], |rule| VERDICTS[rule.verdict])
    }

    /// The most open of what becomes of packets from any source port.
    fn open(&self, source: u8, port: u16) -> &'static str {
        let ordinary = self.naive(source, 50_000, port);
        if self.naive(source, 53, port) == "ACCEPT" { "ACCEPT" } else { ordinary }
    }
}

fn address(source: u8) -> IpAddr {
    IpAddr::from([10, 1, 0, source])
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn the_exposure_agrees_with_a_look_at_single_packets(config in config(), port in 110_u16..116) {
        let host = config.host();
        let reach = host.reach(0);
        prop_assert!(reach.load_failed().is_none());
        let exposure = reach.exposure(Target::Node, TCP, port).unwrap();
        // The parts cover everything once.
        let sum = exposure.parts.iter().fold(AddressSet::empty(), |all, part| {
            assert!(!all.meets(&part.sources));
            all.union(&part.sources)
        });
        prop_assert_eq!(sum, AddressSet::everything());
        // 10.1.0.1 is the node itself.
        for source in (0..=u8::MAX).filter(|source| *source != 1) {
            let part = exposure.of(address(source)).unwrap();
            prop_assert_eq!(part.outcome.name(), config.open(source, port), "{}", source);
        }
    }

    #[test]
    fn one_more_rule_that_accepts_closes_nothing(config in config(), place in 0_usize..5, source in any::<u8>(), port in 110_u16..116) {
        let mut wider = config.clone();
        let more = Spec { enabled: true, verdict: 0, source: Source::Network(source, 28), ports: Some((110, 116)), sport: None };
        wider.node.insert(place.min(wider.node.len()), more);
        let (narrow, wide) = (config.host(), wider.host());
        let accepted = |host: &Host| host.reach(0).exposure(Target::Node, TCP, port).unwrap().accepted();
        prop_assert!(accepted(&wide).covers(&accepted(&narrow)));
    }

    #[test]
    fn a_rule_that_is_removed_is_a_rule_that_is_disabled(config in config(), index in 0_usize..5, port in 110_u16..116) {
        let (mut without, mut off) = (config.clone(), config.clone());
        if let Some(rule) = off.datacenter.get_mut(index) {
            rule.enabled = false;
            without.datacenter.remove(index);
        }
        let answers = |config: &Config| {
            let host = config.host();
            let exposure = host.reach(0).exposure(Target::Node, TCP, port).unwrap();
            (0..=u8::MAX).map(|source| exposure.of(address(source)).unwrap().outcome.name()).collect::<Vec<_>>()
        };
        prop_assert_eq!(answers(&without), answers(&off));
    }

    #[test]
    fn no_text_makes_it_panic_or_leaves_a_source_without_an_answer(
        text in "(\\[OPTIONS\\]\nenable: 1\n|\\[RULES\\]\n|\\[IPSET ab\\]\n|\\[group ab\\]\n|IN ACCEPT|GROUP ab|IN DROP| -source \\+ab| -dest 10.0.0.1| -i vmbr0|10.0.0.0/8\n|\n|[ -~]){0,24}",
        nft in any::<bool>(),
    ) {
        let node = if nft { "[OPTIONS]\nnftables: 1\n" } else { "" };
        let host = host(&text, node, &[GUEST, ("/etc/pve/firewall/100.fw", &text), NFT]);
        let reach = host.reach(0);
        for target in [Target::Node, Target::Guest(100, None)] {
            let exposure = reach.exposure(target, TCP, 22).unwrap();
            let all = exposure.parts.iter().fold(AddressSet::empty(), |all, part| all.union(&part.sources));
            prop_assert_eq!(all, AddressSet::everything());
        }
    }
}
