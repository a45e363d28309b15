//! Rules that let in more than was meant, or nothing.

use std::collections::BTreeSet;

use super::{MOST_EVIDENCE, all_rules, cards, counted, rule_files, switched_on};
use crate::catalogue::Severity;
use crate::checks::{Judged, Look};
use crate::formats::firewall::address::Address;
use crate::formats::firewall::rule::{Direction, Rule, Target};
use crate::formats::firewall::{Level, Verdict};
use crate::formats::shown;
use crate::host::firewall::CLUSTER_FW;
use crate::host::firewall::cover::{AddressSet, Reach as Extent};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

pub(crate) fn rule_accepts_everything(look: &Look<'_>) -> Judged {
    switched_on(look)?;
    let files = rule_files(look, false);
    look.each(
        &files,
        |file| Subject::new(SubjectKind::File, &file.path),
        |look, file| {
            let text = file.take(look)?;
            let found: Vec<&Rule> = all_rules(text).filter(|rule| accepts_everything(rule)).collect();
            if found.is_empty() {
                return Ok(Judgement::pass("every rule that accepts names a source or a port"));
            }
            let guest = text.firewall.level == Level::Guest;
            let severity = if guest { Severity::Medium } else { Severity::High };
            let evidence = found.iter().take(MOST_EVIDENCE).map(|rule| {
                Evidence::at(&file.path, rule.line).observed("accepts every port from every source")
            });
            let many = counted(found.len(), "rule");
            let verb = if found.len() == 1 { "accepts" } else { "accept" };
            let summary = format!("{many} {verb} every port from every source");
            Ok(Judgement::fail(summary).severity(severity).with_all(evidence))
        },
    )
}

/// Whether a rule lets in what everybody sends, to every port of a protocol at least.
fn accepts_everything(rule: &Rule) -> bool {
    let from_everybody = rule.source.as_ref().is_none_or(|source| match source {
        Address::Networks(list) => AddressSet::of_networks(list).reach() == Extent::Anywhere,
        Address::Range(first, last) => AddressSet::range(*first, *last).reach() == Extent::Anywhere,
        Address::Alias(_) | Address::Set(_) => false,
    });
    let every_port = rule
        .dport
        .as_ref()
        .is_none_or(|ports| ports.ranges.iter().any(|(first, last)| *first <= 1 && *last == u16::MAX));
    rule.enabled
        && rule.direction == Direction::In
        && matches!(rule.target, Target::Verdict(Verdict::Accept))
        && matches!(rule.protocol.as_deref(), None | Some("tcp" | "udp" | "6" | "17" | "all"))
        && rule.interface.is_none()
        && rule.icmp_type.is_none()
        && rule.dest.is_none()
        && rule.sport.is_none()
        && from_everybody
        && every_port
}

/// Interfaces that Proxmox VE makes and removes with guests.
const OF_GUESTS: [&str; 5] = ["tap", "veth", "fwbr", "fwpr", "fwln"];

pub(crate) fn rule_for_missing_interface(look: &Look<'_>) -> Judged {
    switched_on(look)?;
    let files = rule_files(look, true);
    let bound = |rule: &&Rule| rule.enabled && rule.interface.is_some();
    // Rules of the datacenter are for all nodes, each with interfaces of its own.
    let files = files.iter().filter(|file| {
        let some = |file: &crate::host::firewall::File| file.firewall.rules.iter().any(|rule| bound(&rule));
        file.path != CLUSTER_FW && file.fact.value.as_ref().map_or(true, some)
    });
    look.each(
        files,
        |file| Subject::new(SubjectKind::File, &file.path),
        |look, file| {
            let text = file.take(look)?;
            let names: BTreeSet<String> = match file.guest {
                Some(guest) => cards(look.take(&guest.config)?).into_iter().map(|card| card.option).collect(),
                None => look.own(look.host.interface_names())?,
            };
            let missing = |rule: &&Rule| {
                rule.interface.as_ref().is_some_and(|name| !exists(name, &names, file.guest.is_some()))
            };
            let rules = text.firewall.rules.iter().filter(bound);
            let found: Vec<&Rule> = rules.filter(missing).collect();
            let Some(name) = found.first().and_then(|rule| rule.interface.as_deref()) else {
                return Ok(Judgement::pass("every interface that rules name exists"));
            };
            let denies = |rule: &&&Rule| {
                matches!(rule.target.verdict(), Some(Verdict::Drop | Verdict::Reject))
                    || rule.target.group().is_some()
            };
            let severity =
                if found.iter().any(|rule| denies(&rule)) { Severity::Medium } else { Severity::Low };
            let many = counted(found.len(), "rule");
            let verb = if found.len() == 1 { "is" } else { "are" };
            let evidence = found.iter().take(MOST_EVIDENCE).map(|rule| {
                let name = rule.interface.as_deref().unwrap_or_default();
                Evidence::at(&file.path, rule.line).key("-i").observed(shown(name))
            });
            let summary = format!("{many} {verb} for an interface that does not exist: {}", shown(name));
            Ok(Judgement::fail(summary).severity(severity).with_all(evidence))
        },
    )
}

/// Whether rules for this interface can match: it is there, or comes and goes with guests.
fn exists(name: &str, names: &BTreeSet<String>, of_guest: bool) -> bool {
    if let Some(start) = name.strip_suffix('+') {
        return names.iter().any(|known| known.starts_with(start));
    }
    let comes = !of_guest && OF_GUESTS.iter().any(|start| name.starts_with(start));
    comes || names.contains(name)
}

pub(crate) fn firewall_file_of_no_guest(look: &Look<'_>) -> Judged {
    let orphans = look.take(look.host.orphaned_firewalls())?;
    let judgement = if orphans.is_empty() {
        Judgement::pass("every firewall file of a guest has its guest")
    } else {
        let evidence = orphans.iter().take(MOST_EVIDENCE);
        let evidence = evidence.map(|vmid| Evidence::of(format!("/etc/pve/firewall/{vmid}.fw")));
        let many = counted(orphans.len(), "firewall file");
        let verb = if orphans.len() == 1 { "belongs" } else { "belong" };
        Judgement::fail(format!(
            "{many} {verb} to no guest and will be that of the next guest of the same number"
        ))
        .with_all(evidence)
    };
    look.one(Subject::cluster(), judgement)
}

pub(crate) fn node_lets_odd_packets_in(look: &Look<'_>) -> Judged {
    let filter = super::filtered_node(look)?;
    let file = filter.node;
    let options = &file.firewall.options;
    let mut found = Vec::new();
    if let Some(option) = options.nosmurfs.as_ref().filter(|option| !option.value) {
        let evidence = Evidence::at(&file.path, option.line).key("nosmurfs").observed("0").expected("1");
        found.push(("packets from broadcast addresses", evidence));
    }
    if let Some(option) = options.nf_conntrack_allow_invalid.as_ref().filter(|option| option.value) {
        let evidence = Evidence::at(&file.path, option.line).key("nf_conntrack_allow_invalid");
        found.push(("packets of no known connection", evidence.observed("1").expected("0")));
    }
    if let Some(option) = options.nf_conntrack_helpers.as_ref().filter(|option| !option.value.is_empty()) {
        let evidence = Evidence::at(&file.path, option.line).key("nf_conntrack_helpers");
        found.push(("connections that helpers expect", evidence.observed(option.value.join(","))));
    }
    let judgement = if found.is_empty() {
        Judgement::pass("the node keeps upstream's defaults for odd packets")
    } else {
        let what: Vec<&str> = found.iter().map(|(what, _)| *what).collect();
        Judgement::fail(format!("options of host.fw let through {}", what.join(" and ")))
            .with_all(found.into_iter().map(|(_, evidence)| evidence))
    };
    look.one(Subject::node(), judgement)
}
