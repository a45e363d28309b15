//! What passes upstream's parser and makes `ipset restore` or `iptables-restore` refuse the ruleset.
//!
//! Sets are loaded first, then the rules for IPv4, then those for IPv6, and the first error ends the work
//! (`apply_ruleset` of `PVE/Firewall.pm`). The refusals are those of ipset 7 and iptables 1.8.

use std::collections::BTreeMap;

use super::address::{Address, Family};
use super::names::Names;
use super::rule::{Direction, Rule, Target};
use super::verify::LONGEST_INTERFACE;
use super::{Firewall, IpSet, Level, LoadFailure, Unloaded};
use crate::formats::shown;

/// The alias that upstream adds to the set `management`.
const LOCAL_NETWORK: &str = "local_network";
/// The set to which upstream adds `local_network`.
const MANAGEMENT: &str = "management";

/// Everything in `firewall` that the kernel tools refuse, in line order.
pub(super) fn failures(firewall: &Firewall, datacenter: Option<&Firewall>) -> Vec<LoadFailure> {
    let names = Names::of(firewall, datacenter);
    let mut found = Vec::new();
    if let Some(limit) = firewall.options.log_ratelimit.as_ref().filter(|limit| limit.value.is_none()) {
        let what = "`log_ratelimit` does not follow its format".to_owned();
        let (line, unloaded) = (limit.line, Unloaded::Everything);
        found.push(LoadFailure { line, what, unloaded, nftables: true, group: None });
    }
    for (name, set) in &firewall.sets {
        set_failures(name, set, firewall, &names, &mut found);
    }
    local_network_failure(firewall, &mut found);
    for rule in &firewall.rules {
        rule_failures(rule, firewall.level, &names, None, &mut found);
    }
    for (name, group) in &firewall.groups {
        for rule in &group.rules {
            rule_failures(rule, firewall.level, &names, Some(name), &mut found);
        }
    }
    found.sort();
    found
}

/// A set takes no impossible prefix, no prefix 0 and no network twice.
fn set_failures(
    name: &str,
    set: &IpSet,
    firewall: &Firewall,
    names: &Names<'_>,
    found: &mut Vec<LoadFailure>,
) {
    let mut refuse = |line, what, nftables| {
        found.push(LoadFailure { line, what, unloaded: Unloaded::Everything, nftables, group: None });
    };
    let mut members = names.members(set);
    let local = firewall.aliases.get(LOCAL_NETWORK);
    if let Some(local) = local.filter(|_| name == MANAGEMENT && firewall.level == Level::Datacenter)
        && !members.iter().any(|(cidr, ..)| *cidr == local.cidr)
    {
        members.push((local.cidr, false, local.line));
    }
    members.sort_by_key(|(.., line)| *line);
    let mut networks = BTreeMap::new();
    for (cidr, _, line) in members {
        if cidr.prefix == 0 {
            refuse(line, format!("the set {} cannot hold {cidr}", shown(name)), false);
        } else if let Some(bounds) = cidr.bounds() {
            if let Some(first) = networks.insert((cidr.family(), bounds), line) {
                let what = format!(
                    "the set {} would hold the network of {cidr} twice, see line {first}",
                    shown(name)
                );
                refuse(line, what, false);
            }
        } else {
            let what = format!("the set {} has a member with an impossible prefix length", shown(name));
            refuse(line, what, true);
        }
    }
}

/// `local_network` becomes a member of `management` even where no such set is written.
fn local_network_failure(firewall: &Firewall, found: &mut Vec<LoadFailure>) {
    if firewall.level != Level::Datacenter || firewall.sets.contains_key(MANAGEMENT) {
        return;
    }
    let Some(local) = firewall.aliases.get(LOCAL_NETWORK) else { return };
    if local.cidr.prefix == 0 || !local.cidr.is_possible() {
        let what = format!("the set `{MANAGEMENT}` cannot hold `{LOCAL_NETWORK}`");
        let (line, unloaded) = (local.line, Unloaded::Everything);
        found.push(LoadFailure { line, what, unloaded, nftables: !local.cidr.is_possible(), group: None });
    }
}

fn rule_failures(
    rule: &Rule,
    level: Level,
    names: &Names<'_>,
    group: Option<&String>,
    found: &mut Vec<LoadFailure>,
) {
    if !rule.enabled || rule.direction == Direction::Forward || level == Level::Vnet {
        return;
    }
    // A macro for IPv6 only leaves nothing to load for IPv4.
    let only_v6 = rule.family == Some(Family::V6)
        || matches!(rule.target, Target::Macro(known, _) if known.rows(Family::V4).is_empty());
    let unloaded = if only_v6 { Unloaded::Ipv6 } else { Unloaded::Everything };
    let mut refuse = |what, nftables| {
        found.push(LoadFailure { line: rule.line, what, unloaded, nftables, group: group.cloned() });
    };
    if let Some(what) = &rule.refused {
        refuse(what.clone(), false);
    }
    let interface = rule.interface.as_ref().filter(|_| level != Level::Guest);
    if let Some(name) = interface.filter(|name| name.len() > LONGEST_INTERFACE) {
        // Release 9 replaces alternative names of interfaces, which may be longer.
        let what =
            format!("the interface name {} is longer than {LONGEST_INTERFACE} characters", shown(name));
        refuse(what, true);
    }
    for address in rule.addresses() {
        let Address::Alias(reference) = address else { continue };
        let Some(alias) = names.alias(reference) else { continue };
        let shown_name = shown(&reference.to_string());
        if !alias.cidr.is_possible() {
            refuse(format!("the alias {shown_name} has an impossible prefix length"), true);
        } else if rule.family.is_some_and(|family| family != alias.cidr.family()) {
            // The family was fixed by an earlier definition of the same name.
            refuse(format!("the alias {shown_name} changes its family below the rule"), false);
        }
    }
}
