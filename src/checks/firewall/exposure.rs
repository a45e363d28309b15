//! Who reaches the node.

use std::collections::BTreeSet;

use super::{Filter, MOST_EVIDENCE, filtered_node, shown_set, switched_on};
use crate::catalogue::Severity;
use crate::checks::{Judged, Look};
use crate::formats::firewall::{Firewall, Verdict};
use crate::host::Stop;
use crate::host::firewall::cover::{AddressSet, Reach as Extent};
use crate::host::firewall::exposure::{BLACKLIST, LOCAL_NETWORK, MANAGEMENT, management};
use crate::host::firewall::reach::{Exposure, LOOPBACK, Outcome, Part, Reach, TCP, Target};
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
    let reach = look.host.reach(look.now.as_second());
    let subject = |service: &&Service| Subject::new(SubjectKind::Service, service.id).named(service.name);
    look.each(&SERVICES, subject, |_, service| judge_service(&filter, &reach, service))
}

fn judge_service(filter: &Filter<'_>, reach: &Reach<'_>, service: &Service) -> Result<Judgement, Stop> {
    let mut unsure = false;
    for port in representatives(filter, service) {
        let exposure =
            reach.exposure(Target::Node, TCP, port).map_err(|why| Stop::unknown(&filter.node.path, why))?;
        let of = |wanted: &dyn Fn(&&Part<'_>) -> bool| {
            exposure
                .parts
                .iter()
                .filter(wanted)
                .fold(AddressSet::empty(), |all, part| all.union(&part.sources))
        };
        let open = of(&|part| opens(part));
        if open.reach() == Extent::Anywhere {
            return Ok(exposed(filter.datacenter, service, &exposure, &open));
        }
        // That the local network of a tree is not known is told elsewhere; it is not the Internet.
        let may = |part: &&Part<'_>| {
            matches!(part.outcome, Outcome::Unknown { .. }) && part.place.implicit != Some("management-set")
        };
        unsure |= open.union(&of(&may)).reach() == Extent::Anywhere;
    }
    let name = service.name;
    if unsure {
        return Ok(Judgement::unknown(format!(
            "rules for an interface, a destination or a set outside of the firewall files decide who reaches {name}"
        )));
    }
    Ok(Judgement::pass(format!("the firewall does not let everybody reach {name}")))
}

/// Whether these sources get in, if only through an interface.
fn opens(part: &Part<'_>) -> bool {
    match part.outcome {
        Outcome::Accept => part.place.implicit != Some(LOOPBACK),
        Outcome::Unknown { perhaps, .. } => {
            perhaps == Some(Verdict::Accept) && part.place.interface.is_some()
        }
        Outcome::Drop | Outcome::Reject => false,
    }
}

/// One port of each run of ports that all rules treat alike.
fn representatives(filter: &Filter<'_>, service: &Service) -> BTreeSet<u16> {
    let files = [filter.node, filter.datacenter].into_iter();
    let ports = files.flat_map(super::all_rules).filter_map(|rule| rule.dport.as_ref());
    let ends =
        ports.flat_map(|ports| &ports.ranges).flat_map(|(first, last)| [*first, last.saturating_add(1)]);
    let inside = ends.filter(|port| (service.first..=service.last).contains(port));
    inside.chain([service.first]).collect()
}

fn exposed(datacenter: &File, service: &Service, exposure: &Exposure<'_>, open: &AddressSet) -> Judgement {
    let from = shown_set(&exposure.rounded(open));
    let summary = format!("the firewall lets {from} reach {}", service.name);
    let public = |part: &&Part<'_>| opens(part) && part.sources.reach() >= Extent::Public;
    let openings = exposure.parts.iter().filter(public).take(MOST_EVIDENCE);
    let evidence = openings.flat_map(|part| evidence_of(datacenter, exposure, part));
    Judgement::fail(summary).severity(service.severity).with_all(evidence)
}

fn evidence_of(datacenter: &File, exposure: &Exposure<'_>, part: &Part<'_>) -> Vec<Evidence> {
    let place = part.place;
    let through = place.interface.map(|name| format!(" through {name}")).unwrap_or_default();
    let observed = format!("accepts {}{through}", shown_set(&exposure.rounded(&part.sources)));
    let at = |path: &str, line: Option<u32>| {
        line.map_or_else(|| Evidence::of(path), |line| Evidence::at(path, line))
    };
    match place.implicit {
        Some("management-set") => management_lines(&datacenter.firewall)
            .map(|line| Evidence::at(&datacenter.path, line).key(MANAGEMENT).observed(&observed))
            .collect(),
        Some("policy") => vec![policy_evidence(datacenter)],
        Some(name) => {
            place.path.map(|path| at(path, place.line).key(name).observed(observed)).into_iter().collect()
        }
        None => {
            let rule = place.path.map(|path| at(path, place.line).observed(observed));
            let call = place.call.map(|(path, line)| {
                Evidence::at(path, line).observed("calls the security group of the rule")
            });
            rule.into_iter().chain(call).collect()
        }
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
    let reach = look.host.reach(look.now.as_second());
    let is_closed =
        |port| reach.of_cluster(port).is_ok_and(|exposure| exposure.accepted().reach() < Extent::Anywhere);
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
    let judgement = if set.reach() == Extent::Anywhere {
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
    let public = all.filter(|(cidr, ..)| AddressSet::network(*cidr).reach() >= Extent::Public);
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
