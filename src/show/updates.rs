//! The pending updates.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Shown, issues};
use crate::host::updates::{List, State, Update, Updates};
use crate::host::{Host, Stop};

/// Lays out what apt would upgrade, with what the answer rests on.
pub(super) fn shown(host: &Host, now: Timestamp) -> Result<Shown, String> {
    let fact = host.updates();
    let updates = fact.value.as_ref().map_err(|stop| match stop {
        Stop::Unknown(doubt) => doubt.to_string(),
        Stop::NotApplicable(why) => why.clone(),
    })?;
    let approximate = !fact.doubts.is_empty();
    let issues = issues(&fact.doubts);
    let oldest = updates.oldest_list().map(List::source_text);
    let json = json!({
        "upgradable": updates.upgradable.iter().map(|update| value(update, updates)).collect::<Vec<_>>(),
        "approximate": approximate,
        "lists_age_hours": updates.lists_age_hours(now),
        "oldest_list": oldest,
        "kept_back": updates.kept_back.iter().map(|kept| json!({
            "package": kept.package, "installed": kept.installed, "fix": kept.fix, "candidate": kept.candidate,
        })).collect::<Vec<_>>(),
        "lists": updates.lists.iter().map(|list| json!({
            "path": list.path, "source": list.source_text(), "state": state(&list.state),
            "versions": list.versions, "date": list.date.map(|date| date.to_string()),
            "valid_until": list.valid_until.map(|date| date.to_string()),
        })).collect::<Vec<_>>(),
        "issues": issues,
    });
    let mut text = table(updates);
    let _ = writeln!(text, "{}", summary(updates, approximate));
    let age = updates.lists_age_hours(now);
    let age = age.map_or_else(|| "of unknown age".to_owned(), |hours| format!("{hours} hours old"));
    let oldest = oldest.map(|oldest| format!(" (oldest: {oldest})")).unwrap_or_default();
    let _ = writeln!(text, "The package lists are {age}{oldest}.");
    for kept in &updates.kept_back {
        let _ = writeln!(
            text,
            "! {} {}: the fix {} is not taken, a pin or the default release is in the way",
            kept.package, kept.installed, kept.fix
        );
    }
    for issue in &issues {
        let _ = writeln!(text, "! {issue}");
    }
    Ok(Shown { json, text })
}

fn value(update: &Update, updates: &Updates) -> Value {
    let archive = updates.list_of(update).map(|list| &list.archive);
    json!({
        "package": update.package,
        "architecture": update.architecture,
        "installed": update.installed,
        "candidate": update.candidate,
        "security": update.security,
        "held": update.held,
        "origin": archive.map(|archive| archive.origin.as_str()),
        "label": archive.map(|archive| archive.label.as_str()),
    })
}

/// Name for machines.
fn state(state: &State) -> &'static str {
    match state {
        State::Read => "read",
        State::Damaged(_) => "damaged",
        State::Missing => "missing",
        State::NotOffered => "not_offered",
        State::Unreadable(_) => "unreadable",
    }
}

fn table(updates: &Updates) -> String {
    let rows: Vec<[&str; 4]> = updates
        .upgradable
        .iter()
        .map(|update| {
            let marks = match (update.security, update.held) {
                (true, true) => "security, held",
                (true, false) => "security",
                (false, true) => "held",
                (false, false) => "",
            };
            [update.package.as_str(), &update.installed, &update.candidate, marks]
        })
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2)];
    rows.iter().fold(String::new(), |mut text, row| {
        let [package, installed, candidate, marks] = row;
        let [first, second, third] = widths;
        let line = format!("{package:first$}  {installed:second$}  -> {candidate:third$}  {marks}");
        let _ = writeln!(text, "{}", line.trim_end());
        text
    })
}

fn summary(updates: &Updates, approximate: bool) -> String {
    let count = updates.upgradable.len();
    let security = updates.upgradable.iter().filter(|update| update.security).count();
    let held = updates.upgradable.iter().filter(|update| update.held).count();
    let packages = if count == 1 { "package" } else { "packages" };
    let known = if approximate { ", as far as could be read" } else { "" };
    format!("{count} {packages} can be upgraded{known}: {security} with security updates, {held} held.")
}
