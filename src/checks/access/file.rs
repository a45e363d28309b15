//! user.cfg as a file: what Proxmox VE does not take from it.

use super::super::{Judged, Look};
use super::LINES_SHOWN;
use crate::host::Doubt;
use crate::host::access::USER_CFG;
use crate::host::fact::CUT_SHORT;
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// `access/line-not-understood-by-proxmox`
pub(crate) fn line_not_understood_by_proxmox(look: &Look<'_>) -> Judged {
    let fact = look.host.access();
    look.take(fact)?;
    look.host.release()?;
    // That the end is missing says nothing about what upstream makes of the lines that are there.
    let is_line = |doubt: &&Doubt| doubt.path == USER_CFG && doubt.line.is_some() && doubt.what != CUT_SHORT;
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
    look.one(subject, Judgement::fail(summary).with_all(evidence))
}
