//! user.cfg as a file: what Proxmox VE does not take from it.

use super::super::{Judged, Look};
use super::LINES_SHOWN;
use crate::catalogue::Severity;
use crate::formats::user_cfg::codes::{
    DUPLICATE_USER, INVALID_PATH, INVALID_SUBJECT, TOO_MANY_ENTRIES, UNKNOWN_ROLE,
};
use crate::host::Doubt;
use crate::host::access::USER_CFG;
use crate::host::fact::CUT_SHORT;
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// Doubts that say nothing about what upstream makes of the lines that are there.
const OURS: [&str; 2] = [CUT_SHORT, TOO_MANY_ENTRIES];

/// What is dropped, or takes something from lines that are fine, where somebody may rely on it: more than tidiness.
const HARMFUL: [&str; 4] = [DUPLICATE_USER, INVALID_PATH, INVALID_SUBJECT, UNKNOWN_ROLE];

/// `access/line-not-understood-by-proxmox`
pub(crate) fn line_not_understood_by_proxmox(look: &Look<'_>) -> Judged {
    let fact = look.host.access();
    look.take(fact)?;
    look.host.release()?;
    let is_line =
        |doubt: &&Doubt| doubt.path == USER_CFG && doubt.line.is_some() && !OURS.contains(&doubt.code);
    let lines: Vec<&Doubt> = fact.doubts.iter().filter(is_line).collect();
    let subject = Subject::new(SubjectKind::File, USER_CFG);
    let Some(first) = lines.first() else {
        return look.one(subject, Judgement::pass("Proxmox VE understands every line"));
    };
    let more = match lines.len() - 1 {
        0 => String::new(),
        1 => ", and there is one more such place".to_owned(),
        more => format!(", and there are {more} more such places"),
    };
    let number = first.line.unwrap_or_default();
    let summary = format!("line {number}: {}{more}", first.what);
    let evidence = lines.iter().take(LINES_SHOWN).map(|doubt| {
        let place = doubt.line.map_or_else(|| Evidence::of(USER_CFG), |line| Evidence::at(USER_CFG, line));
        place.observed(doubt.what.as_str())
    });
    let harms = lines.iter().any(|doubt| HARMFUL.contains(&doubt.code));
    let severity = if harms { Severity::Medium } else { Severity::Low };
    look.one(subject, Judgement::fail(summary).severity(severity).with_all(evidence))
}
