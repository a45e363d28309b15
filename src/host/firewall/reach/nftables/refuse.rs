//! What keeps proxmox-firewall from loading anything.

use std::collections::BTreeMap;

use super::builder::find_macro;
use super::names::Names;
use super::{guest_enabled, is_at_least, node_enabled, read};
use crate::formats::firewall::address::Scope;
use crate::formats::firewall::nft::{self, Address, Rule, Target};
use crate::formats::firewall::rule::Direction;
use crate::formats::firewall::{Level, Verdict, port};
use crate::formats::shown;
use crate::host::firewall::File;
use crate::host::firewall::reach::Reach;
use crate::host::firewall::reach::load::{Refusal, sources};

/// Longest name of an interface that the kernel takes, in characters.
const LONGEST_INTERFACE: usize = 15;
/// The version since which a rule with a name that leads nowhere is left out instead of ending everything.
const LENIENT: [u64; 3] = [1, 2, 3];

/// What proxmox-firewall or the kernel refuses; of a file that is no use as a whole the first place.
pub(in super::super) fn refusals<'h>(reach: &Reach<'h>) -> Vec<Refusal<'h>> {
    let (Ok(datacenter), Ok(node)) = (reach.datacenter(), reach.node()) else { return Vec::new() };
    let all = sources(reach, node_enabled(node));
    let refused =
        |file: &'h File, (line, what): (u32, String)| Refusal { path: &file.path, line: Some(line), what };
    let vnets = || {
        let all = reach.host.vnet_firewalls().value.as_ref().ok().into_iter().flat_map(BTreeMap::values);
        all.filter_map(|fact| fact.value.as_ref().ok())
    };
    let unread = all.iter().map(|source| source.file).chain(vnets()).filter_map(|file| {
        let error = file.nft.as_ref()?.as_ref().err()?;
        Some(refused(file, (error.line, error.what.clone())))
    });
    let mut found: Vec<Refusal<'h>> = unread.collect();
    let network = reach.host.virtual_network();
    found.extend(network.refused().map(|(path, why)| Refusal { path, line: None, what: why.to_owned() }));
    let Some(names_of_all) = read(datacenter) else { return found };
    let strict = !is_at_least(reach, LENIENT);
    let guests_on =
        all.iter().any(|source| source.file.firewall.level == Level::Guest && guest_enabled(source.file));
    let vnets_on = || vnets().filter_map(|file| Some((file, read(file)?))).filter(|(_, own)| own.is_on());
    let used = node_enabled(node) || guests_on || vnets_on().next().is_some();
    for source in all {
        let (file, Some(own)) = (source.file, read(source.file)) else { continue };
        let (names, generated) = match file.firewall.level {
            Level::Guest => (Names { datacenter: names_of_all, own: Some((1, own)) }, guest_enabled(file)),
            _ => (Names { datacenter: names_of_all, own: None }, node_enabled(node)),
        };
        let sets_used = if file.firewall.level == Level::Datacenter { used } else { generated };
        found.extend(broken_member(own, &names).filter(|_| sets_used).map(|broken| refused(file, broken)));
        let groups = own.groups.values().flatten().filter(|_| used);
        let rules = own.rules.iter().filter(|_| generated).chain(groups).filter(|rule| rule.enabled);
        let broken = rules.filter_map(|rule| broken_rule(rule, &names, strict, reach));
        found.extend(broken.map(|broken| refused(file, broken)));
    }
    if used {
        found.extend(call_of_later_group(names_of_all).map(|broken| refused(datacenter, broken)));
    }
    let names = Names { datacenter: names_of_all, own: None };
    for (file, own) in vnets_on() {
        let rules = own.rules.iter().filter(|rule| rule.enabled);
        let broken = rules.filter_map(|rule| broken_rule(rule, &names, strict, reach));
        found.extend(broken.map(|broken| refused(file, broken)));
        found.extend(rejected(own, names_of_all).map(|broken| refused(file, broken)));
    }
    found
}

/// The chains of the groups are made in the order of their names, each with its rules: the kernel knows no chain of a
/// later one yet, and no chain may jump to itself.
fn call_of_later_group(datacenter: &nft::File) -> Option<(u32, String)> {
    datacenter.groups.iter().find_map(|(caller, rules)| {
        rules.iter().filter(|rule| rule.enabled).find_map(|rule| match &rule.target {
            Target::Group(name) if name >= caller && datacenter.groups.contains_key(name) => {
                let what = if name == caller {
                    format!("the security group {} calls itself", shown(name))
                } else {
                    format!("the security group {} is made after this one, which calls it", shown(name))
                };
                Some((rule.line, what))
            }
            _ => None,
        })
    })
}

/// The kernel takes `reject` in a bridge only for packets that come in (`nft_reject_bridge_validate`), not for those
/// that are forwarded.
fn rejected(vnet: &nft::File, datacenter: &nft::File) -> Option<(u32, String)> {
    let rejects = |rule: &&Rule| {
        rule.enabled
            && rule.direction == Direction::Forward
            && matches!(rule.target, Target::Verdict(Verdict::Reject) | Target::Macro(_, Verdict::Reject))
    };
    let of_group =
        |name: &str| datacenter.groups.get(name).is_some_and(|group| group.iter().any(|rule| rejects(&rule)));
    let rules = vnet.rules.iter().filter(|rule| rule.enabled);
    let mut rules = rules.filter(|rule| match &rule.target {
        Target::Group(name) => rule.interface.is_none() && of_group(name),
        _ => rejects(rule),
    });
    let policy = vnet.policy_forward.as_ref().filter(|policy| policy.value == Verdict::Reject);
    let line = rules.next().map(|rule| rule.line).or(policy.map(|policy| policy.line))?;
    Some((line, "the kernel does not reject packets that a bridge forwards".to_owned()))
}

/// The enabled rules of a file that are left out because a name leads nowhere, with what they were meant to do.
pub(in super::super) fn left_out(reach: &Reach<'_>, file: &File) -> Vec<(u32, Option<Verdict>)> {
    let (Ok(datacenter), Some(own)) = (reach.datacenter(), read(file)) else { return Vec::new() };
    let Some(datacenter) = read(datacenter) else { return Vec::new() };
    let guest = (file.firewall.level == Level::Guest).then_some((1, own));
    let rules = own.rules.iter().map(|rule| (rule, Names { datacenter, own: guest }));
    let groups = own.groups.values().flatten().map(|rule| (rule, Names { datacenter, own: None }));
    let lost =
        rules.chain(groups).filter(|(rule, names)| rule.enabled && resolve(rule, names, reach).is_none());
    let mut found: Vec<(u32, Option<Verdict>)> = lost
        .map(|(rule, _)| match rule.target {
            Target::Verdict(verdict) | Target::Macro(_, verdict) => (rule.line, Some(verdict)),
            Target::Group(_) => (rule.line, None),
        })
        .collect();
    found.sort_unstable();
    found
}

fn broken_member(file: &nft::File, names: &Names<'_>) -> Option<(u32, String)> {
    let members = file.sets.values().flat_map(|(_, members)| members);
    let mut lost = members.filter_map(|member| Some((member.line, member.what.as_ref().err()?)));
    let (line, name) = lost.find(|(_, name)| names.alias(name).is_none())?;
    Some((line, format!("no alias {} is defined", shown(&name.name))))
}

fn broken_rule(rule: &Rule, names: &Names<'_>, strict: bool, reach: &Reach<'_>) -> Option<(u32, String)> {
    let say = |what: String| Some((rule.line, what));
    if let Target::Group(name) = &rule.target
        && !names.datacenter.groups.contains_key(name)
    {
        return say(format!("the security group {} does not exist", shown(name)));
    }
    let interface =
        rule.interface.as_ref().filter(|name| names.own.is_none() && name.len() > LONGEST_INTERFACE);
    if let Some(name) = interface {
        return say(format!("the interface name {} is too long", shown(name)));
    }
    let known = |name: &String| port::is_protocol(name) || name.parse::<u8>().is_ok();
    if let Some(name) = rule.protocol.as_ref().filter(|name| !known(name)) {
        return say(format!("{} is no protocol", shown(name)));
    }
    if strict && resolve(rule, names, reach).is_none() {
        return say("a name of the rule leads nowhere".to_owned());
    }
    None
}

/// Whether every name of a rule leads somewhere.
fn resolve(rule: &Rule, names: &Names<'_>, reach: &Reach<'_>) -> Option<()> {
    for address in rule.source.iter().chain(&rule.dest) {
        match address {
            Address::Alias(name) => {
                names.alias(name)?;
            }
            Address::Set(name) if name.scope == Some(Scope::Sdn) => {
                if matches!(reach.host.virtual_network().set(&name.name), Ok(None)) {
                    return None;
                }
            }
            Address::Set(name) => {
                names.set(name)?;
            }
            Address::List(..) => {}
        }
    }
    match &rule.target {
        Target::Macro(name, _) => find_macro(name).map(|_| ()),
        _ => Some(()),
    }
}
