//! Who reaches the node.

use std::collections::BTreeSet;

use super::{Filter, MOST_EVIDENCE, filtered_node, shown_set, switched_on};
use crate::catalogue::Severity;
use crate::checks::{Judged, Look};
use crate::formats::firewall::rule::Rule;
use crate::formats::firewall::{Firewall, Verdict};
use crate::host::Stop;
use crate::host::firewall::cover::{AddressSet, Reach};
use crate::host::firewall::exposure::{
    BLACKLIST, Exposure, Inbound, LOCAL_NETWORK, MANAGEMENT, Opening, Way, management,
};
use crate::host::firewall::{Backend, File};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// A service of the node that only administrators need.
struct Service {
    id: &'static str,
    name: &'static str,
    first: u16,
    last: u16,
    severity: Severity,
}

const SERVICES: [Service; 4] = [
    Service { id: "tcp/22", name: "ssh", first: 22, last: 22, severity: Severity::High },
    Service { id: "tcp/3128", name: "the SPICE proxy", first: 3128, last: 3128, severity: Severity::Medium },
    Service {
        id: "tcp/5900-5999",
        name: "consoles of guests",
        first: 5900,
        last: 5999,
        severity: Severity::Medium,
    },
    Service { id: "tcp/8006", name: "the web interface", first: 8006, last: 8006, severity: Severity::High },
];

/// Ports that every node listens on, for the question whether a list of denials closes them.
const LISTENING: [u16; 5] = [22, 111, 3128, 5900, 8006];

pub(crate) fn management_port_open_to_anywhere(look: &Look<'_>) -> Judged {
    let filter = filtered_node(look)?;
    let addresses = look.host.firewall_addresses();
    let Filter { datacenter, node, backend } = filter;
    let inbound = Inbound::new(datacenter, Some(node), backend, addresses);
    let subject = |service: &&Service| Subject::new(SubjectKind::Service, service.id).named(service.name);
    look.each(&SERVICES, subject, |_, service| judge_service(&inbound, service))
}

fn judge_service(inbound: &Inbound<'_>, service: &Service) -> Result<Judgement, Stop> {
    let mut unsure = false;
    for port in representatives(inbound, service) {
        let exposure = inbound.tcp(port)?;
        if exposure.open.reach() == Reach::Anywhere {
            return Ok(exposed(inbound, service, &exposure));
        }
        unsure |= exposure.open.union(&exposure.unsure).reach() == Reach::Anywhere;
    }
    let name = service.name;
    if unsure {
        return Ok(Judgement::unknown(format!(
            "rules for an interface, a destination or a set outside of the firewall files decide who reaches {name}"
        )));
    }
    Ok(Judgement::pass(format!("the firewall does not let everybody reach {name}")))
}

/// One port of each run of ports that all rules treat alike.
fn representatives(inbound: &Inbound<'_>, service: &Service) -> BTreeSet<u16> {
    let files = inbound.node.into_iter().chain([inbound.datacenter]);
    let ports = files.flat_map(super::all_rules).filter_map(|rule| rule.dport.as_ref());
    let ends =
        ports.flat_map(|ports| &ports.ranges).flat_map(|(first, last)| [*first, last.saturating_add(1)]);
    let inside = ends.filter(|port| (service.first..=service.last).contains(port));
    inside.chain([service.first]).collect()
}

fn exposed(inbound: &Inbound<'_>, service: &Service, exposure: &Exposure<'_>) -> Judgement {
    let from = shown_set(&exposure.open);
    let summary = format!("the firewall lets {from} reach {}", service.name);
    let public = |opening: &&Opening<'_>| opening.source.reach() >= Reach::Public;
    let openings = exposure.openings.iter().filter(public).take(MOST_EVIDENCE);
    let evidence = openings.flat_map(|opening| evidence_of(inbound.datacenter, opening));
    Judgement::fail(summary).severity(service.severity).with_all(evidence)
}

fn evidence_of(datacenter: &File, opening: &Opening<'_>) -> Vec<Evidence> {
    let through = opening.interface.map(|name| format!(" through {name}")).unwrap_or_default();
    let observed = format!("accepts {}{through}", shown_set(&opening.source));
    match opening.way {
        Way::Rule { path, rule, call } => {
            let calls = |(path, call): (&str, &Rule)| {
                Evidence::at(path, call.line).observed("calls the security group of the rule")
            };
            let rule = Evidence::at(path, rule.line).observed(observed);
            std::iter::once(rule).chain(call.map(calls)).collect()
        }
        Way::Management => management_lines(&datacenter.firewall)
            .map(|line| Evidence::at(&datacenter.path, line).key(MANAGEMENT).observed(&observed))
            .collect(),
        Way::Policy => vec![policy_evidence(datacenter)],
    }
}

/// Where the addresses are defined that reach the node without a rule.
fn management_lines(datacenter: &Firewall) -> impl Iterator<Item = u32> {
    let set = datacenter.sets.get(MANAGEMENT).map(|set| set.line);
    set.into_iter().chain(datacenter.aliases.get(LOCAL_NETWORK).map(|alias| alias.line))
}

fn policy_evidence(datacenter: &File) -> Evidence {
    let evidence = match &datacenter.firewall.options.policy_in {
        Some(option) => Evidence::at(&datacenter.path, option.line),
        None => Evidence::of(&datacenter.path),
    };
    evidence.key("policy_in").observed("ACCEPT").expected("DROP")
}

pub(crate) fn input_policy_accepts(look: &Look<'_>) -> Judged {
    let datacenter = switched_on(look)?;
    if datacenter.firewall.policy_in() != Verdict::Accept {
        let policy = format!("{:?}", datacenter.firewall.policy_in()).to_uppercase();
        return look.one(
            Subject::cluster(),
            Judgement::pass(format!("what no rule accepts on the way to a node meets {policy}")),
        );
    }
    let inbound = Inbound::new(datacenter, None, Backend::Iptables, Vec::new());
    let is_closed = |port| inbound.tcp(port).is_ok_and(|exposure| exposure.open.reach() < Reach::Anywhere);
    let closed = LISTENING.into_iter().all(is_closed);
    let judgement = if closed {
        Judgement::fail("the policy accepts what no rule drops; rules close the ports every node listens on")
            .severity(Severity::Medium)
    } else {
        Judgement::fail("the policy accepts every packet to the nodes that no rule drops")
    };
    look.one(Subject::cluster(), judgement.with(policy_evidence(datacenter)))
}

pub(crate) fn management_set_too_wide(look: &Look<'_>) -> Judged {
    let datacenter = switched_on(look)?;
    let firewall = &datacenter.firewall;
    let has_whole = firewall.sets.get(MANAGEMENT).is_some_and(|set| !set.whole.is_empty());
    let mut backend = Backend::Iptables;
    if has_whole {
        look.take(look.host.node_firewall())?;
        backend = *look.take(look.host.firewall_backend())?;
    }
    let set = management(firewall, backend);
    if set.is_empty() && management_lines(firewall).next().is_none() {
        return Err(Stop::not_applicable(
            "neither a set `management` nor an alias `local_network` is defined",
        ));
    }
    let judgement = if set.reach() == Reach::Anywhere {
        let summary = format!("the management ports of every node accept {}", shown_set(&set));
        let lines = wide_members(firewall, backend).into_iter().take(MOST_EVIDENCE);
        let evidence =
            lines.map(|(line, what)| Evidence::at(&datacenter.path, line).key(MANAGEMENT).observed(what));
        Judgement::fail(summary).with_all(evidence)
    } else {
        Judgement::pass("the management ports do not accept the Internet through the set `management`")
    };
    look.one(Subject::cluster(), judgement)
}

/// The public members of the set, with their lines.
fn wide_members(firewall: &Firewall, backend: Backend) -> Vec<(u32, String)> {
    let names = crate::formats::firewall::names::Names::of(firewall, None);
    let set = firewall.sets.get(MANAGEMENT);
    let members = set.map(|set| names.members(set)).unwrap_or_default();
    let local = firewall.aliases.get(LOCAL_NETWORK).map(|alias| (alias.cidr, false, alias.line));
    let all = members.into_iter().chain(local).filter(|(_, nomatch, _)| !nomatch);
    let public = all.filter(|(cidr, ..)| AddressSet::network(*cidr).reach() >= Reach::Public);
    let whole = set.into_iter().flat_map(|set| &set.whole).filter(|_| backend == Backend::Nftables);
    let whole = whole.map(|member| (member.line, "every address of a family".to_owned()));
    let mut found: Vec<_> = public.map(|(cidr, _, line)| (line, cidr.to_string())).chain(whole).collect();
    found.sort();
    found
}

pub(crate) fn blacklist_without_effect(look: &Look<'_>) -> Judged {
    let Filter { datacenter, backend, node } = filtered_node(look)?;
    let Some(set) = datacenter.firewall.sets.get(BLACKLIST) else {
        return Err(Stop::not_applicable("no set `blacklist` is defined"));
    };
    let members = set.members.len() + set.whole.len();
    let judgement = if backend == Backend::Nftables && members > 0 {
        let asked = node.firewall.options.nftables.as_ref();
        let asked = asked.map(|option| Evidence::at(&node.path, option.line).key("nftables").observed("1"));
        Judgement::fail("the nftables backend does not look at the set `blacklist`: nobody in it is dropped")
            .with(Evidence::at(&datacenter.path, set.line).key(BLACKLIST))
            .with_all(asked)
    } else if backend == Backend::Nftables {
        Judgement::pass("the set `blacklist` is empty")
    } else {
        Judgement::pass("the members of the set `blacklist` are dropped before every rule")
    };
    look.one(Subject::node(), judgement)
}
