//! What a guest becomes: at its next start through pending changes, after a rollback through a snapshot.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalogue::Severity;
use crate::checks::{container, vm};
use crate::formats::guest::lxc::{LxcConfig, LxcPending, LxcSection};
use crate::formats::guest::qemu::{QemuConfig, QemuPending, QemuSection};
use crate::formats::guest::{Deletion, GuestOption};
use crate::host::guests::GuestConfig;
use crate::outcome::{Evidence, Judgement, Verdict};

/// The ids of the checks that a section fails, each with how badly.
type Weaknesses = BTreeMap<&'static str, Severity>;

/// A check and its judge of one section.
type Judge<S> = (&'static str, fn(&str, &S) -> Judgement);

/// From this severity on a weakness is worth saying before it is there.
const WORTH_SAYING: Severity = Severity::Medium;

fn weaknesses<S>(judges: &[Judge<S>], path: &str, section: &S) -> Weaknesses {
    let failed = judges.iter().filter_map(|(id, judge)| {
        let judgement = judge(path, section);
        (judgement.verdict == Verdict::Fail).then(|| (*id, judgement.severity.unwrap_or(WORTH_SAYING)))
    });
    failed.filter(|(_, severity)| *severity >= WORTH_SAYING).collect()
}

/// The weaknesses of `later` that are not there now, or that are worse then.
fn new_ones(now: &Weaknesses, later: Weaknesses) -> Vec<&'static str> {
    later.into_iter().filter(|(id, severity)| now.get(id) < Some(severity)).map(|(id, _)| id).collect()
}

/// A snapshot is weaker than what is in force.
pub(super) fn rollback_restores_weakness(path: &str, config: &GuestConfig) -> Judgement {
    let found = match config {
        GuestConfig::Vm(config) => weaker_vm_snapshots(path, config),
        GuestConfig::Container(config) => weaker_ct_snapshots(path, config),
    };
    if found.is_empty() {
        return Judgement::pass("no snapshot is weaker than what is in force");
    }
    let seen = |(name, line, ids): &(&str, u32, Vec<&str>)| {
        Evidence::at(path, *line).key(*name).observed(format!("then fails {}", ids.join(", ")))
    };
    let names: Vec<&str> = found.iter().map(|(name, ..)| *name).take(NAMED).collect();
    let more = if found.len() > NAMED { " and others" } else { "" };
    Judgement::fail(format!("a rollback to {}{more} brings a weakness back", names.join(", ")))
        .with_all(found.iter().map(seen))
}

/// How many snapshots a summary names.
const NAMED: usize = 3;

type Weaker<'c> = Vec<(&'c str, u32, Vec<&'static str>)>;

fn weaker_vm_snapshots<'c>(path: &str, config: &'c QemuConfig) -> Weaker<'c> {
    if config.snapshots.is_empty() {
        return Vec::new();
    }
    let now = weaknesses(&vm::JUDGES, path, &config.current);
    let new = |section| new_ones(&now, weaknesses(&vm::JUDGES, path, section));
    let all = config.snapshots.iter().map(|(name, section)| (name.as_str(), section.line, new(section)));
    all.filter(|(_, _, ids)| !ids.is_empty()).collect()
}

fn weaker_ct_snapshots<'c>(path: &str, config: &'c LxcConfig) -> Weaker<'c> {
    if config.snapshots.is_empty() {
        return Vec::new();
    }
    let now = weaknesses(&container::JUDGES, path, &config.current);
    let new = |section| new_ones(&now, weaknesses(&container::JUDGES, path, section));
    let all = config.snapshots.iter().map(|(name, section)| (name.as_str(), section.line, new(section)));
    all.filter(|(_, _, ids)| !ids.is_empty()).collect()
}

/// The next start makes the guest weaker than it is.
pub(super) fn pending_change_weakens(path: &str, config: &GuestConfig) -> Judgement {
    let (line, new) = match config {
        GuestConfig::Vm(config) => match &config.pending {
            None => (0, Vec::new()),
            Some(pending) => {
                let now = weaknesses(&vm::JUDGES, path, &config.current);
                let then = weaknesses(&vm::JUDGES, path, &vm_at_next_start(&config.current, pending));
                (pending.section.line, new_ones(&now, then))
            }
        },
        GuestConfig::Container(config) => match &config.pending {
            None => (0, Vec::new()),
            Some(pending) => {
                let now = weaknesses(&container::JUDGES, path, &config.current);
                let then = weaknesses(&container::JUDGES, path, &ct_at_next_start(&config.current, pending));
                (pending.section.line, new_ones(&now, then))
            }
        },
    };
    if new.is_empty() {
        return Judgement::pass("no pending change makes the guest weaker");
    }
    Judgement::fail("the next start makes the guest weaker")
        .with(Evidence::at(path, line).key("pending").observed(format!("then fails {}", new.join(", "))))
}

/// The options after the pending ones were removed and set, in upstream's order.
fn merged(
    now: &BTreeMap<String, GuestOption>,
    deletions: &[Deletion],
    set: &BTreeMap<String, GuestOption>,
) -> BTreeMap<String, GuestOption> {
    let removed: BTreeSet<&str> = deletions.iter().map(|deletion| deletion.option.as_str()).collect();
    let mut options = now.clone();
    options.retain(|name, _| !removed.contains(name.as_str()));
    options.extend(set.iter().map(|(name, option)| (name.clone(), option.clone())));
    options
}

fn vm_at_next_start(now: &QemuSection, pending: &QemuPending) -> QemuSection {
    let options = merged(&now.options, &pending.deletions, &pending.section.options);
    let kept = if options.contains_key("args") { now.arguments.clone() } else { None };
    QemuSection { options, arguments: pending.section.arguments.clone().or(kept), ..now.clone() }
}

/// Raw keys are never pending: nothing but an editor sets them.
fn ct_at_next_start(now: &LxcSection, pending: &LxcPending) -> LxcSection {
    LxcSection { options: merged(&now.options, &pending.deletions, &pending.section.options), ..now.clone() }
}
