//! What the files say to the two backends.

use super::{MOST_EVIDENCE, RuleFile, counted, rule_files, switched_on};
use crate::catalogue::Severity;
use crate::checks::{Judged, Look};
use crate::formats::firewall::nft::{self, Target};
use crate::formats::firewall::rule::Direction;
use crate::formats::firewall::{LostKind, Verdict};
use crate::host::Stop;
use crate::host::firewall::exposure::MANAGEMENT;
use crate::host::firewall::reach::{Reach, TCP};
use crate::host::firewall::{Backend, File};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// A line that the backends read differently.
type Difference = (u32, Severity, String);

pub(crate) fn line_read_otherwise_by_nftables(look: &Look<'_>) -> Judged {
    switched_on(look)?;
    let node = look.take(look.host.node_firewall())?;
    if *look.take(look.host.firewall_backend())? == Backend::Iptables {
        return Err(Stop::not_applicable("the iptables backend is in use"));
    }
    if let Some(doubt) = look.host.virtual_network().unknown() {
        look.doubt(doubt.clone());
    }
    let reach = look.host.reach(look.now.as_second());
    if reach.load_failed().is_some() {
        return Err(Stop::not_applicable("no rule is loaded"));
    }
    let files = rule_files(look, true);
    look.each(
        &files,
        |file| Subject::new(SubjectKind::File, &file.path),
        |look, file| {
            let own = file.take(look)?;
            let mut found = differences(file, own, &reach);
            if own.path == node.path {
                found.extend(reach.opened_by_helpers().into_iter().map(|(name, protocol, port, line)| {
                    let protocol = if protocol == TCP { "tcp" } else { "udp" };
                    (
                        line,
                        Severity::Medium,
                        format!("the helper {name} lets everybody reach {protocol}/{port}"),
                    )
                }));
            }
            found.sort();
            let Some((_, worst, what)) =
                found.iter().max_by_key(|(line, severity, _)| (*severity, u32::MAX - line))
            else {
                return Ok(Judgement::pass("both backends read the file alike"));
            };
            let many = counted(found.len(), "line");
            let verb = if found.len() == 1 { "means" } else { "mean" };
            let evidence = found.iter().take(MOST_EVIDENCE);
            let evidence = evidence.map(|(line, _, what)| Evidence::at(&file.path, *line).observed(what));
            let summary = format!("{many} {verb} something else under nftables: {what}");
            Ok(Judgement::fail(summary).severity(*worst).with_all(evidence))
        },
    )
}

fn differences(file: &RuleFile<'_>, own: &File, reach: &Reach<'_>) -> Vec<Difference> {
    let Some(Ok(nft)) = &own.nft else { return Vec::new() };
    let mut found = Vec::new();
    for lost in own.firewall.lost.iter().filter(|lost| lost.enabled) {
        if !matches!(lost.what, LostKind::Rule { .. }) {
            continue;
        }
        let Some((verdict, direction)) = rule_at(nft, lost.line) else { continue };
        let opens = verdict == Some(Verdict::Accept) && direction != Direction::Out;
        let severity = if opens { Severity::High } else { Severity::Low };
        found.push((lost.line, severity, format!("a rule that only nftables obeys ({})", lost.why)));
    }
    for (line, verdict) in reach.left_out_by_nftables(own) {
        let denies = verdict.is_none_or(|verdict| verdict != Verdict::Accept);
        let severity = if denies { Severity::High } else { Severity::Low };
        found.push((
            line,
            severity,
            "a rule that nftables leaves out: a name of it leads nowhere there".to_owned(),
        ));
    }
    // What this does to the set `management` is judged by itself.
    for (name, set) in own.firewall.sets.iter().filter(|(name, _)| *name != MANAGEMENT) {
        found.extend(set.whole.iter().map(|member| {
            let what = format!("every address is in the set {name}, iptables skips the member");
            (member.line, Severity::Medium, what)
        }));
    }
    let option = nft.ipfilter.as_ref().is_some_and(|option| option.value);
    if file.guest.is_some() && !option {
        let filters = nft.sets.iter().filter(|(name, _)| name.starts_with("ipfilter-net"));
        found.extend(filters.map(|(name, (line, _))| {
            let what = format!("the set {name} filters nothing without the option `ipfilter`");
            (*line, Severity::Medium, what)
        }));
    }
    found
}

/// What the rule on this line does under nftables, and to which packets; none if it is off or no rule.
fn rule_at(nft: &nft::File, line: u32) -> Option<(Option<Verdict>, Direction)> {
    let mut all = nft.rules.iter().chain(nft.groups.values().flatten());
    let rule = all.find(|rule| rule.line == line && rule.enabled)?;
    let verdict = match rule.target {
        Target::Verdict(verdict) | Target::Macro(_, verdict) => Some(verdict),
        Target::Group(_) => None,
    };
    Some((verdict, rule.direction))
}

/// Whether the nftables backend obeys a line that pve-firewall passes over.
pub(super) fn nftables_obeys(file: &File, line: u32) -> bool {
    file.nft.as_ref().and_then(|nft| nft.as_ref().ok()).is_some_and(|nft| rule_at(nft, line).is_some())
}
