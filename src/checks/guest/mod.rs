//! `guest/*`: what virtual machines and containers have in common.

mod ignored;
mod later;

use super::{Judged, Look};
use crate::catalogue::Severity;
use crate::host::Stop;
use crate::host::guests::{Guest, GuestConfig};
use crate::host::hookscripts::Place;
use crate::outcome::{Evidence, Judgement};

/// `guest/setting-ignored-by-proxmox`
pub(crate) fn setting_ignored_by_proxmox(look: &Look<'_>) -> Judged {
    // What a line means depends on the release.
    look.host.release()?;
    each(look, |_, guest, _| Ok(ignored::judge(guest)))
}

/// `guest/rollback-restores-weakness`
pub(crate) fn rollback_restores_weakness(look: &Look<'_>) -> Judged {
    each(look, |_, guest, config| Ok(later::rollback_restores_weakness(&guest.path, config)))
}

/// `guest/pending-change-weakens`
pub(crate) fn pending_change_weakens(look: &Look<'_>) -> Judged {
    each(look, |_, guest, config| Ok(later::pending_change_weakens(&guest.path, config)))
}

/// `guest/stale-snapshot`
pub(crate) fn stale_snapshot(look: &Look<'_>) -> Judged {
    each(look, |look, guest, config| Ok(stale(look, guest, config)))
}

/// `guest/hookscript-others-can-change`
pub(crate) fn hookscript_others_can_change(look: &Look<'_>) -> Judged {
    each(look, |look, guest, _| {
        let Some(script) = look.own(look.host.hookscript(guest))? else {
            return Ok(Judgement::pass("the guest has no hook script"));
        };
        let line =
            Evidence::at(&guest.path, script.volume.line).key("hookscript").observed(&script.volume.value);
        Ok(match script.place {
            Place::Network(kind) => {
                Judgement::fail(format!("a program that runs as root comes from a storage of type {kind}"))
                    .with(line.expected("a storage of the node"))
            }
            Place::Shared(_) => {
                Judgement::fail("a program that runs as root lies in a folder shared with other machines")
                    .severity(Severity::Medium)
                    .with(line.expected("a storage of the node"))
            }
            Place::Local { path, open: Some((part, why)) } => {
                Judgement::fail("others than root can change a program that runs as root").with(line).with(
                    Evidence::of(&part)
                        .observed(format!("{part} {why}"))
                        .expected(format!("only root writes to {path}")),
                )
            }
            Place::Local { path, open: None } => {
                Judgement::pass("only root can change the hook script").with(line).with(Evidence::of(path))
            }
            Place::Elsewhere => {
                return Err(Stop::not_applicable(format!("the hook script lies on node {}", guest.node)));
            }
        })
    })
}

const SECONDS_PER_DAY: i64 = 86_400;

fn stale(look: &Look<'_>, guest: &Guest, config: &GuestConfig) -> Judgement {
    let days = look.number("max_age_days");
    let limit = look.now.as_second().saturating_sub(days.saturating_mul(SECONDS_PER_DAY));
    let snapshots = match config {
        GuestConfig::Vm(vm) => vm.snapshot_facts(),
        GuestConfig::Container(ct) => ct.snapshot_facts(),
    };
    let mut old = Vec::new();
    let mut undated = None;
    for snapshot in &snapshots {
        let place = || Evidence::at(&guest.path, snapshot.line).key("snaptime");
        let Some(taken) = snapshot.taken_at.and_then(|taken| i64::try_from(taken).ok()) else {
            let what = format!("the age of snapshot {} is not written", snapshot.name);
            undated.get_or_insert_with(|| Judgement::unknown(what).with(place()));
            continue;
        };
        if taken < limit {
            let age = look.now.as_second().saturating_sub(taken) / SECONDS_PER_DAY;
            old.push(place().observed(format!("snapshot {} is {age} days old", snapshot.name)));
        }
    }
    if old.is_empty() {
        let none_old = || Judgement::pass(format!("no snapshot is older than {days} days"));
        return undated.unwrap_or_else(none_old);
    }
    let noun = if old.len() == 1 { "snapshot is" } else { "snapshots are" };
    Judgement::fail(format!("{} {noun} older than {days} days", old.len())).with_all(old)
}

/// Judges every guest.
fn each(
    look: &Look<'_>,
    judge: impl Fn(&Look<'_>, &Guest, &GuestConfig) -> Result<Judgement, Stop>,
) -> Judged {
    let guests = look.take(look.host.guests())?;
    if guests.all.is_empty() {
        return Err(Stop::not_applicable("there are no guests"));
    }
    look.each(
        &guests.all,
        |guest| guest.subject(),
        |look, guest| judge(look, guest, look.take(&guest.config)?),
    )
}
