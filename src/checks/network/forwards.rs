//! Ports that are forwarded to the management ports of nodes.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::checks::{Judged, Look};
use crate::formats::numbered;
use crate::host::network::{Interface, Interfaces};
use crate::host::{Doubt, Fact, Stop};
use crate::outcome::{Evidence, Judgement, Subject};

/// Ports that only administrators and other nodes need.
const MANAGEMENT: [u16; 5] = [22, 85, 111, 3128, 8006];

/// Rules that netfilter-persistent loads at boot, in the words of iptables.
const SAVED_RULES: [&str; 2] = ["/etc/iptables/rules.v4", "/etc/iptables/rules.v6"];

/// A command or saved rule that changes where packets go.
struct Rule {
    path: String,
    line: u32,
    text: String,
}

/// Where a rule sends packets.
#[derive(Debug, PartialEq, Eq)]
enum Goal {
    /// To a port of this address, `None` for this node itself.
    Port(Option<IpAddr>, u16),
    /// To this address, whatever the port.
    Address(IpAddr),
    /// It cannot be told.
    Unclear,
}

pub(crate) fn port_forward_to_management_port(look: &Look<'_>) -> Judged {
    // Off Proxmox VE no port is a management port.
    look.take(look.host.cluster_files())?;
    let interfaces = look.take(look.host.interfaces())?;
    let rules = look.own(rules(look, interfaces))?;
    let nodes = node_addresses(look, interfaces);
    let mut bad = Vec::new();
    let mut unclear = None;
    for rule in &rules {
        match goal(&rule.text) {
            Some(Goal::Unclear) => unclear = unclear.or(Some(rule)),
            Some(goal) => bad.extend(reached(&goal, &nodes).map(|port| (rule, port))),
            None => {}
        }
    }
    let judgement = match (bad.first(), unclear) {
        (Some((_, port)), _) => {
            let summary = format!(
                "packets to another port are sent on to port {port} of a node, past its firewall rules"
            );
            let seen = bad.iter().map(|(rule, port)| {
                Evidence::at(&rule.path, rule.line).observed(format!("leads to port {port}"))
            });
            Judgement::fail(summary).with_all(seen)
        }
        (None, Some(rule)) => Judgement::unknown("a rule sends packets on to a place that cannot be told")
            .at(&rule.path, rule.line),
        (None, None) => Judgement::pass("nothing is sent on to a management port of a node"),
    };
    look.one(Subject::node(), judgement)
}

fn rules(look: &Look<'_>, interfaces: &Interfaces) -> Fact<Vec<Rule>> {
    Fact::gather(&look.host.files, |gather| {
        let commands = interfaces.commands().map(|(_, placed)| Rule {
            path: placed.path.clone(),
            line: placed.line,
            text: placed.value.value.clone(),
        });
        let mut all: Vec<Rule> = commands.collect();
        for path in SAVED_RULES {
            let Some(text) = gather.part(path) else { continue };
            for (line, content) in numbered(&text) {
                // Saved with counters, a rule has them in brackets before it.
                let content = content.trim();
                let content = content
                    .split_once("] ")
                    .filter(|_| content.starts_with('['))
                    .map_or(content, |parts| parts.1);
                if content.starts_with("-A") {
                    all.push(Rule { path: path.to_owned(), line, text: content.to_owned() });
                } else if !(content.is_empty()
                    || content == "COMMIT"
                    || content.starts_with(['*', ':', '#', '-']))
                {
                    gather.doubt(Doubt::at(path, line, "is no line of saved rules"));
                }
            }
        }
        Ok::<_, Stop>(all)
    })
}

fn node_addresses(look: &Look<'_>, interfaces: &Interfaces) -> BTreeSet<IpAddr> {
    let mut all: BTreeSet<IpAddr> = interfaces.all.values().flat_map(Interface::ips).collect();
    let cluster = look.host.members().value.as_ref().ok();
    let members = cluster.into_iter().flat_map(|members| members.nodes.values());
    all.extend(members.filter_map(|node| node.ip.as_ref()?.parse::<IpAddr>().ok()));
    if let Some(node) = look.host.node_name() {
        all.extend(look.host.addresses_of(&node));
    }
    all
}

/// The management port of a node that a goal is.
fn reached(goal: &Goal, nodes: &BTreeSet<IpAddr>) -> Option<u16> {
    let is_node = |address: &IpAddr| address.is_loopback() || nodes.contains(address);
    match goal {
        Goal::Port(None, port) => MANAGEMENT.contains(port).then_some(*port),
        Goal::Port(Some(address), port) => (is_node(address) && MANAGEMENT.contains(port)).then_some(*port),
        Goal::Address(_) | Goal::Unclear => None,
    }
}

/// Where a rule of iptables or nft sends packets; `None` for one that leaves their destination alone.
fn goal(text: &str) -> Option<Goal> {
    let words: Vec<&str> = text.split_whitespace().map(|word| word.trim_matches(['\'', '"', ';'])).collect();
    let after = |names: &[&str]| {
        let at = words.iter().position(|word| names.contains(word))?;
        words.get(at + 1).copied()
    };
    // A deletion undoes what may not even be there.
    if words.iter().any(|word| matches!(*word, "-D" | "--delete")) {
        return None;
    }
    let asked = after(&["--dport", "--destination-port", "dport"]);
    let port = |text: &str| text.split(['-', ':']).next()?.parse::<u16>().ok();
    let target = after(&["-j", "--jump"]);
    let goal = if target == Some("REDIRECT") || words.contains(&"redirect") {
        let to = after(&["--to-ports", "--to-port", "--to", "to"]).map(|to| to.trim_start_matches(':'));
        to.or(asked).and_then(port).map(|port| Goal::Port(None, port))
    } else if target == Some("DNAT") || words.contains(&"dnat") {
        after(&["--to-destination", "--to", "to"]).and_then(|to| destination(to, asked.and_then(port)))
    } else {
        return None;
    };
    Some(goal.unwrap_or(Goal::Unclear))
}

/// `ADDRESS`, `ADDRESS:PORT` or `[ADDRESS]:PORT`; of ranges the first.
fn destination(text: &str, asked: Option<u16>) -> Option<Goal> {
    let (address, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, rest) = rest.split_once(']')?;
            (address, rest.strip_prefix(':'))
        }
        None if text.matches(':').count() > 1 => (text, None),
        None => text.split_once(':').map_or((text, None), |(address, port)| (address, Some(port))),
    };
    let address: IpAddr = address.split('-').next()?.parse().ok()?;
    Some(match port {
        Some(port) => Goal::Port(Some(address), port.split('-').next()?.parse().ok()?),
        None => asked.map_or(Goal::Address(address), |port| Goal::Port(Some(address), port)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_of_iptables_and_nft_are_understood() {
        let node: IpAddr = "192.0.2.1".parse().unwrap();
        let to = |port| Some(Goal::Port(Some(node), port));
        let head = "iptables -t nat -A PREROUTING -i vmbr0 -p tcp --dport 8443";
        assert_eq!(goal(&format!("{head} -j DNAT --to 192.0.2.1:8006")), to(8006));
        assert_eq!(goal(&format!("{head} -j DNAT --to-destination '192.0.2.1:22-23'")), to(22));
        assert_eq!(goal(&format!("{head} -j DNAT --to-destination 192.0.2.1")), to(8443));
        assert_eq!(goal(&format!("{head} -j REDIRECT --to-ports 8006")), Some(Goal::Port(None, 8006)));
        assert_eq!(goal("nft add rule ip nat prerouting tcp dport 443 dnat to 192.0.2.1:8006"), to(8006));
        assert_eq!(
            goal("nft add rule ip nat prerouting tcp dport 443 redirect to :8006"),
            Some(Goal::Port(None, 8006))
        );
        assert_eq!(goal("iptables -t nat -A PREROUTING -j DNAT --to 192.0.2.1"), Some(Goal::Address(node)));
        let six =
            "ip6tables -t nat -A PREROUTING -p tcp --dport 1 -j DNAT --to-destination [2001:db8::1]:8006";
        assert_eq!(goal(six), Some(Goal::Port(Some("2001:db8::1".parse().unwrap()), 8006)));
    }

    #[test]
    fn other_rules_leave_the_destination_alone_and_variables_are_unclear() {
        assert_eq!(goal("iptables -t nat -A POSTROUTING -o vmbr0 -j MASQUERADE"), None);
        assert_eq!(goal("iptables -t nat -D PREROUTING -j DNAT --to 192.0.2.1:8006"), None);
        assert_eq!(goal("iptables -t nat -A PREROUTING -j DNAT --to $HOST:8006"), Some(Goal::Unclear));
    }
}
