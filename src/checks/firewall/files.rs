//! What stands in the firewall files and does something else than it says.

use super::backends::nftables_obeys;
use super::{MOST_EVIDENCE, RuleFile, all_rules, counted, rule_files, switched_on};
use crate::catalogue::Severity;
use crate::checks::{Judged, Look};
use crate::formats::firewall::rule::{Direction, Parameter, Rule};
use crate::formats::firewall::{Firewall, Lost, LostKind, Verdict};
use crate::formats::shown;
use crate::host::Stop;
use crate::host::firewall::reach::Refusal;
use crate::host::firewall::virtual_network::{IPAM, OLD_IPAM};
use crate::host::firewall::{Backend, File};
use crate::host::network::sdn::RUNNING_CONFIG;
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

fn subject(file: &RuleFile<'_>) -> Subject {
    Subject::new(SubjectKind::File, &file.path)
}

pub(crate) fn ruleset_does_not_load(look: &Look<'_>) -> Judged {
    switched_on(look)?;
    look.take(look.host.node_firewall())?;
    let backend = *look.take(look.host.firewall_backend())?;
    let mut files = rule_files(look, true);
    if backend == Backend::Nftables {
        let vnets = look.take(look.host.vnet_firewalls())?;
        files.extend(vnets.iter().map(|(name, fact)| RuleFile {
            path: format!("/etc/pve/sdn/firewall/{name}.fw"),
            fact,
            guest: None,
        }));
    }
    let network = look.host.virtual_network();
    if let Some(doubt) = network.unknown().filter(|_| backend == Backend::Nftables) {
        look.doubt(doubt.clone());
    }
    let reach = look.host.reach(look.now.as_second());
    let (everything, ipv6) = reach.refused();
    // What is applied of the virtual networks is part of the rules.
    let others = [RUNNING_CONFIG, IPAM, OLD_IPAM].into_iter();
    let refused = others.filter(|path| everything.iter().any(|refusal| refusal.path == *path));
    let all: Vec<(&str, Option<&RuleFile<'_>>)> = files
        .iter()
        .map(|file| (file.path.as_str(), Some(file)))
        .chain(refused.map(|path| (path, None)))
        .collect();
    look.each(
        &all,
        |(path, _)| Subject::new(SubjectKind::File, *path),
        |look, (path, file)| {
            if let Some(file) = file {
                file.take(look)?;
                if let Some(guest) = file.guest {
                    look.take(&guest.config)?;
                }
            }
            let of = |refusals: &[Refusal<'_>]| -> Vec<(u32, String)> {
                let own = refusals.iter().filter(|refusal| refusal.path == *path);
                own.map(|refusal| (refusal.line.unwrap_or_default(), refusal.what.clone())).collect()
            };
            let (mut found, of_v6) = (of(everything), of(ipv6));
            let (severity, fails) = if !found.is_empty() {
                let fails = "no rule of this node is loaded, so after a boot nothing is filtered";
                (Severity::Critical, fails)
            } else if !of_v6.is_empty() {
                (Severity::High, "no rule for IPv6 is loaded, so after a boot IPv6 is not filtered")
            } else {
                return Ok(Judgement::pass("nothing in the file keeps the rules from being loaded"));
            };
            found.extend(of_v6);
            let first = found.first().map(|(_, what)| what.as_str()).unwrap_or_default();
            let evidence = found.iter().take(MOST_EVIDENCE);
            let evidence = evidence.map(|(line, what)| {
                let place = Evidence::of(*path);
                if *line > 0 { Evidence::at(*path, *line) } else { place }.observed(what)
            });
            Ok(Judgement::fail(format!("{fails}: {first}")).severity(severity).with_all(evidence))
        },
    )
}

/// Enabled calls of security groups that do not exist.
fn missing_groups<'f>(
    file: &'f Firewall,
    datacenter: &'f Firewall,
) -> impl Iterator<Item = (&'f Rule, &'f str)> {
    let calls = file.rules.iter().filter(|rule| rule.enabled);
    let named = calls.filter_map(|rule| Some((rule, rule.target.group()?)));
    named.filter(|(_, name)| !datacenter.groups.contains_key(*name))
}

pub(crate) fn rule_ignored_by_proxmox(look: &Look<'_>) -> Judged {
    let datacenter = switched_on(look)?;
    // What a release does not know has no effect: rules for forwarded packets in Proxmox VE 7.
    if let Err(Stop::Unknown(doubt)) = look.host.release() {
        look.doubt(doubt);
    }
    let by_nft = look.host.firewall_backend().value.as_ref() == Ok(&Backend::Nftables);
    let files = rule_files(look, false);
    look.each(
        &files,
        |file| subject(file),
        |look, file| {
            let text = file.take(look)?;
            // A rule that only the nftables backend obeys is judged by itself.
            let lost = text.firewall.lost.iter().filter(|lost| !(by_nft && nftables_obeys(text, lost.line)));
            let mut ignored: Vec<(u32, Severity, String)> = lost.map(weigh).collect();
            ignored.extend(missing_groups(&text.firewall, &datacenter.firewall).map(|(rule, name)| {
                let what = format!("the security group {} does not exist", shown(name));
                (rule.line, Severity::Medium, what)
            }));
            ignored.sort();
            let Some((_, worst, why)) =
                ignored.iter().max_by_key(|(line, severity, _)| (*severity, u32::MAX - line))
            else {
                return Ok(Judgement::pass("everything in the file has an effect"));
            };
            let many = counted(ignored.len(), "line");
            let verb = if ignored.len() == 1 { "has" } else { "have" };
            let evidence = ignored.iter().take(MOST_EVIDENCE);
            let evidence = evidence.map(|(line, _, why)| Evidence::at(&file.path, *line).observed(why));
            Ok(Judgement::fail(format!("{many} {verb} no effect: {why}")).severity(*worst).with_all(evidence))
        },
    )
}

/// How bad it is that something has no effect: a lost barrier weighs more than a lost opening.
fn weigh(lost: &Lost) -> (u32, Severity, String) {
    let severity = match &lost.what {
        LostKind::Rule { .. } if !lost.enabled => Severity::Low,
        LostKind::Rule { verdict: Some(Verdict::Drop | Verdict::Reject), .. } => Severity::High,
        LostKind::Option(name) if name == "enable" || name.starts_with("policy_") => Severity::High,
        LostKind::Member(set) if set == "blacklist" => Severity::High,
        _ => Severity::Medium,
    };
    let what = match &lost.what {
        LostKind::Option(name) => format!("option {}: {}", shown(name), lost.why),
        LostKind::Alias(name) => format!("alias {}: {}", shown(name), lost.why),
        LostKind::Member(name) => format!("member of the set {}: {}", shown(name), lost.why),
        LostKind::Block(name) => format!("block {}: {}", shown(name), lost.why),
        LostKind::Rule { .. } => format!("rule: {}", lost.why),
        LostKind::Header | LostKind::NoSection => lost.why.clone(),
    };
    (lost.line, severity, what)
}

pub(crate) fn port_zero_matches_every_port(look: &Look<'_>) -> Judged {
    switched_on(look)?;
    look.take(look.host.node_firewall())?;
    if *look.take(look.host.firewall_backend())? == Backend::Nftables {
        return Err(Stop::not_applicable("the nftables backend takes 0 for a port"));
    }
    let files = rule_files(look, false);
    look.each(
        &files,
        |file| subject(file),
        |look, file| {
            let text = file.take(look)?;
            let found: Vec<&Rule> = all_rules(text)
                .filter(|rule| rule.enabled && rule.zeros.iter().any(|zero| flag(*zero).is_some()))
                .collect();
            if found.is_empty() {
                return Ok(Judgement::pass("no enabled rule has a value of 0"));
            }
            let opens = |rule: &&&Rule| {
                rule.direction == Direction::In && rule.target.verdict() == Some(Verdict::Accept)
            };
            let severity =
                if found.iter().any(|rule| opens(&rule)) { Severity::High } else { Severity::Medium };
            let many = counted(found.len(), "rule");
            let verb = if found.len() == 1 { "matches" } else { "match" };
            let evidence = found.iter().take(MOST_EVIDENCE).map(|rule| {
                let flags: Vec<&str> = rule.zeros.iter().filter_map(|zero| flag(*zero)).collect();
                Evidence::at(&file.path, rule.line).key(flags.join(" ")).observed("0")
            });
            let summary = format!("{many} with a value of 0 {verb} as if the value were not written");
            Ok(Judgement::fail(summary).severity(severity).with_all(evidence))
        },
    )
}

/// The parameter of a rule whose loss widens it.
fn flag(parameter: Parameter) -> Option<&'static str> {
    match parameter {
        Parameter::Interface => Some("-i"),
        Parameter::Source => Some("-source"),
        Parameter::Dest => Some("-dest"),
        Parameter::Dport => Some("-dport"),
        Parameter::Sport => Some("-sport"),
        Parameter::Protocol | Parameter::IcmpType => None,
    }
}

pub(crate) fn forward_rules_without_effect(look: &Look<'_>) -> Judged {
    let datacenter = switched_on(look)?;
    let node = look.take(look.host.node_firewall())?;
    let backend = *look.take(look.host.firewall_backend())?;
    let vnets = look.take(look.host.vnet_firewalls())?;
    let own = [
        (datacenter.path.clone(), look.host.datacenter_firewall()),
        (node.path.clone(), look.host.node_firewall()),
    ];
    let vnets = vnets.iter().map(|(name, fact)| (format!("/etc/pve/sdn/firewall/{name}.fw"), fact));
    let files = own.into_iter().chain(vnets).map(|(path, fact)| RuleFile { path, fact, guest: None });
    // A file that wants nothing forwarded or kept back has nothing to judge; an unreadable one may.
    let now = look.now.as_second();
    let wants =
        |file: &RuleFile<'_>| file.fact.value.as_ref().map_or(true, |file| !forwards(file, now).is_empty());
    look.each(files.filter(wants), |file| subject(file), |look, file| {
        let text = match file.fact.value.as_ref() {
            Ok(text) if [&datacenter.path, &node.path].contains(&&text.path) => text,
            _ => look.take(file.fact)?,
        };
        let found = forwards(text, now);
        if backend == Backend::Nftables {
            return Ok(Judgement::pass("the nftables backend obeys what is said about forwarding"));
        }
        let keeps = found.iter().any(|(_, keeps, _)| *keeps);
        let severity = if keeps { Severity::High } else { Severity::Low };
        let evidence = found.iter().take(MOST_EVIDENCE);
        let evidence = evidence.map(|(line, _, what)| Evidence::at(&file.path, *line).observed(*what));
        let summary = if keeps {
            "what the file says about forwarded packets drops nothing: the iptables backend does not read it"
        } else {
            "the rules for forwarded packets have no effect: the iptables backend does not read them"
        };
        Ok(Judgement::fail(summary).severity(severity).with_all(evidence))
    })
}

/// What a file says about forwarding: line, whether it keeps packets back, and what it is.
fn forwards(file: &File, now: i64) -> Vec<(u32, bool, &'static str)> {
    let firewall = &file.firewall;
    let is_vnet = firewall.level == crate::formats::firewall::Level::Vnet;
    if is_vnet && !firewall.is_enabled(now) {
        return Vec::new();
    }
    let policy = firewall.options.policy_forward.as_ref().filter(|policy| policy.value != Verdict::Accept);
    let mut found: Vec<_> = policy.map(|policy| (policy.line, true, "policy_forward")).into_iter().collect();
    let rules = firewall.rules.iter().filter(|rule| rule.enabled && rule.direction == Direction::Forward);
    found.extend(rules.map(|rule| {
        let keeps = matches!(rule.target.verdict(), Some(Verdict::Drop | Verdict::Reject));
        (rule.line, keeps, "rule for forwarded packets")
    }));
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::firewall::{Level, parse};
    use crate::formats::release::Release;

    fn severities(text: &str) -> Vec<(u32, Severity)> {
        let firewall = parse(text, Level::Datacenter, Release::Pve9, None).value;
        firewall.lost.iter().map(weigh).map(|(line, severity, _)| (line, severity)).collect()
    }

    #[test]
    fn a_lost_barrier_weighs_more_than_a_lost_opening() {
        let text = "\
[OPTIONS]
policy_in: deny
enable: yes
ebtables: no
[IPSET blacklist]
nobody
[RULES]
IN drop -p udp
IN accept -p udp
|IN drop -p udp
IN Nothing(REJECT)
";
        let expected = [
            (2, Severity::High),
            (3, Severity::High),
            (4, Severity::Medium),
            (6, Severity::High),
            (8, Severity::High),
            (9, Severity::Medium),
            (10, Severity::Low),
            (11, Severity::High),
        ];
        assert_eq!(severities(text), expected);
    }
}
