//! `pve-audit show access`: who there is, how he proves who he is, what he may do where, and who can become root.

mod ask;
mod collect;
mod issue;
mod json;
mod paths;
mod realms;
mod report;
mod rights;
#[cfg(test)]
mod tests;
mod text;
mod words;

use std::io::Write;

use jiff::Timestamp;

use super::Refusal;
use crate::host::{Host, Stop};
use ask::Asked;
pub use ask::Question;
use collect::collect;
use issue::issues;
use paths::Paths;

/// Writes what was asked for.
///
/// # Errors
/// Why there is nothing to show, or what is wrong with the question, or that it cannot be written.
pub(super) fn write(
    host: &Host,
    now: Timestamp,
    question: &Question,
    as_json: bool,
    out: &mut dyn Write,
) -> Result<(), Refusal> {
    let access = collect(host, now).map_err(|stop| match stop {
        Stop::Unknown(doubt) => Refusal::Unknown(doubt.to_string()),
        Stop::NotApplicable(why) => Refusal::Unknown(why),
    })?;
    let asked = Asked::of(question, &access).map_err(Refusal::Question)?;
    let mut issues = issues(&access);
    let written = if question.report {
        report::write(&access, &asked, &issues, as_json, out)
    } else if as_json {
        let paths = Paths::of(&access, &asked, &mut issues);
        issues.sort();
        issues.dedup();
        json::write(&access, &asked, &paths, &issues, out)
    } else {
        text::write(&access, &asked, &issues, out)
    };
    written.map_err(Refusal::NotWritten)
}
