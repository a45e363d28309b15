//! What stands in the firewall files and does something else than it says.

use std::collections::BTreeSet;

use super::{Filter, MOST_EVIDENCE, RuleFile, all_rules, cards, counted, rule_files, switched_on};
use crate::catalogue::Severity;
use crate::checks::{Judged, Look};
use crate::formats::firewall::rule::{Direction, Parameter, Rule};
use crate::formats::firewall::{Firewall, Lost, LostKind, Unloaded, Verdict};
use crate::formats::shown;
use crate::host::Stop;
use crate::host::firewall::{Backend, File};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

fn subject(file: &RuleFile<'_>) -> Subject {
    Subject::new(SubjectKind::File, &file.path)
}

/// A place that keeps the rules from being loaded.
struct Broken {
    line: u32,
    what: String,
    severity: Severity,
}

pub(crate) fn ruleset_does_not_load(look: &Look<'_>) -> Judged {
    let datacenter = switched_on(look)?;
    let node = look.take(look.host.node_firewall())?;
    let backend = *look.take(look.host.firewall_backend())?;
    let filter = Filter { datacenter, node, backend };
    let files = rule_files(look, true);
    let called = called_groups(look, &files, &filter);
    look.each(
        &files,
        |file| subject(file),
        |look, file| {
            let text = file.take(look)?;
            let generated = is_generated(look, file, &filter);
            let found = match backend {
                Backend::Iptables => iptables_failures(text, generated, &called),
                Backend::Nftables => nftables_failures(text, datacenter, &called),
            };
            let Some(worst) = found.iter().map(|broken| broken.severity).max() else {
                return Ok(Judgement::pass("nothing in the file keeps the rules from being loaded"));
            };
            let first = found.first().map(|broken| broken.what.as_str()).unwrap_or_default();
            let fails = if worst == Severity::Critical {
                "no rule of this node is loaded, so after a boot nothing is filtered"
            } else {
                "no rule for IPv6 is loaded, so after a boot IPv6 is not filtered"
            };
            let evidence = found.iter().take(MOST_EVIDENCE);
            let evidence =
                evidence.map(|broken| Evidence::at(&file.path, broken.line).observed(&broken.what));
            Ok(Judgement::fail(format!("{fails}: {first}")).severity(worst).with_all(evidence))
        },
    )
}

/// Whether upstream makes rules of this file: those of the node need its firewall, those of a guest its own.
fn is_generated(look: &Look<'_>, file: &RuleFile<'_>, filter: &Filter<'_>) -> bool {
    let now = look.now.as_second();
    let on = |file: &File| file.firewall.is_enabled(now);
    match file.guest {
        None => on(filter.node),
        // A guest whose configuration is not known counts as filtered: the doubt then lies with the guest.
        Some(guest) => {
            let filtered = guest.known().is_none_or(|config| cards(config).iter().any(|card| card.filtered));
            filtered && file.fact.value.as_ref().is_ok_and(on)
        }
    }
}

/// The security groups that rules call of which upstream makes something.
fn called_groups(look: &Look<'_>, files: &[RuleFile<'_>], filter: &Filter<'_>) -> BTreeSet<String> {
    let generated = files.iter().filter(|file| is_generated(look, file, filter));
    let known = generated.filter_map(|file| file.fact.value.as_ref().ok());
    let rules = known.flat_map(|file| &file.firewall.rules).filter(|rule| rule.enabled);
    rules.filter_map(|rule| rule.target.group().map(str::to_owned)).collect()
}

fn iptables_failures(file: &File, generated: bool, called: &BTreeSet<String>) -> Vec<Broken> {
    let firewall = &file.firewall;
    let rules: BTreeSet<u32> = firewall.rules.iter().map(|rule| rule.line).collect();
    let counts = firewall.load_failures.iter().filter(|failure| match &failure.group {
        Some(group) => called.contains(group),
        None => generated || !rules.contains(&failure.line),
    });
    let broken = |unloaded| match unloaded {
        Unloaded::Everything => Severity::Critical,
        Unloaded::Ipv6 => Severity::High,
    };
    counts
        .map(|failure| Broken {
            line: failure.line,
            what: failure.what.clone(),
            severity: broken(failure.unloaded),
        })
        .collect()
}

/// The nftables backend refuses everything for one mistake in one file. Only those mistakes are named that every
/// version of it refuses.
fn nftables_failures(file: &File, datacenter: &File, called: &BTreeSet<String>) -> Vec<Broken> {
    let broken = |line: u32, what: String| Broken { line, what, severity: Severity::Critical };
    let firewall = &file.firewall;
    let tools = firewall.load_failures.iter().filter(|failure| failure.nftables);
    let tools = tools.filter(|failure| failure.group.as_ref().is_none_or(|group| called.contains(group)));
    let lost = firewall
        .lost
        .iter()
        .filter(|lost| matches!(lost.what, LostKind::Header | LostKind::NoSection | LostKind::Block(_)));
    let calls = missing_groups(firewall, &datacenter.firewall);
    let mut found: Vec<Broken> = tools.map(|failure| broken(failure.line, failure.what.clone())).collect();
    found.extend(lost.map(|lost| broken(lost.line, lost.why.clone())));
    found.extend(
        calls.map(|(rule, name)| {
            broken(rule.line, format!("the security group {} does not exist", shown(name)))
        }),
    );
    found.sort_by_key(|broken| broken.line);
    found
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
    let files = rule_files(look, false);
    look.each(
        &files,
        |file| subject(file),
        |look, file| {
            let text = file.take(look)?;
            let mut ignored: Vec<(u32, Severity, String)> = text.firewall.lost.iter().map(weigh).collect();
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

    fn file(text: &str) -> File {
        let firewall = parse(text, Level::Datacenter, Release::Pve9, None).value;
        File { firewall, ..File::default() }
    }

    fn broken(found: &[Broken]) -> Vec<(u32, Severity)> {
        found.iter().map(|broken| (broken.line, broken.severity)).collect()
    }

    #[test]
    fn a_failure_for_ipv6_weighs_less_and_one_in_an_unused_rule_nothing() {
        let file = file("[ALIASES]\nsix 2001:db8::/140\n[RULES]\nIN ACCEPT -source six\n");
        assert_eq!(broken(&iptables_failures(&file, true, &BTreeSet::new())), [(4, Severity::High)]);
        assert_eq!(broken(&iptables_failures(&file, false, &BTreeSet::new())), []);
    }

    #[test]
    fn the_backends_refuse_different_mistakes() {
        let file = file(
            "hello\n[IPSET office]\n10.0.0.0/8\n10.0.0.1/8\n[RULES]\nIN ACCEPT -i averyveryverylongname\n",
        );
        let called = BTreeSet::new();
        assert_eq!(
            broken(&iptables_failures(&file, true, &called)),
            [(4, Severity::Critical), (6, Severity::Critical)]
        );
        assert_eq!(
            broken(&nftables_failures(&file, &file, &called)),
            [(1, Severity::Critical), (6, Severity::Critical)]
        );
    }
}
