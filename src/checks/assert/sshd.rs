//! Assertions about settings of sshd.

use std::collections::BTreeMap;

use super::expect::unmet_exactly;
use crate::catalogue::Expect;
use crate::checks::ssh::evidence;
use crate::checks::{Judged, Look};
use crate::formats::sshd::{BlockSetting, Effective, MatchBlock, Source};
use crate::host::Stop;
use crate::outcome::{Judgement, Subject, SubjectKind};

/// `kind = "sshd"`: what every value of a setting must be, for every connection.
pub(super) fn setting(look: &Look<'_>, keyword: &str, expect: &Expect) -> Judged {
    let sshd = look.take(look.host.sshd())?;
    let config = sshd.in_force()?;
    let Some(setting) = config.setting(keyword) else {
        return Err(Stop::not_applicable(format!(
            "this sshd has no setting {}",
            keyword.to_ascii_lowercase()
        )));
    };
    sshd.doubts_about(&[setting]).for_each(|doubt| look.doubt(doubt));
    let mut summary = Vec::new();
    let mut found = Vec::new();
    let outside = config.values_of(setting).iter().map(|value| (&value.source, value.text.as_str()));
    for (source, (texts, wanted)) in unmet_by_source(look, expect, outside) {
        let by_default = if *source == Source::Default { " by default" } else { "" };
        summary.push(format!("{setting} is {texts}{by_default}"));
        found.push(evidence(sshd, setting, source, &texts).expected(wanted));
    }
    for (block, line) in effective_lines(config, setting) {
        let values = line.values.iter().map(|text| (&line.source, text.as_str()));
        for (source, (texts, wanted)) in unmet_by_source(look, expect, values) {
            summary.push(format!("{setting} is {texts} for connections of `Match {}`", block.text.trim()));
            found.push(evidence(sshd, setting, source, &texts).expected(wanted));
        }
    }
    let judgement = if found.is_empty() {
        passing(config, setting).with_all(config.value_of(setting).map(|value| {
            let texts: Vec<&str> =
                config.values_of(setting).iter().map(|value| value.text.as_str()).collect();
            evidence(sshd, setting, &value.source, &texts.join(", "))
        }))
    } else {
        Judgement::fail(summary.join("; ")).with_all(found)
    };
    look.one(Subject::new(SubjectKind::Setting, setting), judgement)
}

fn passing(config: &Effective, setting: &str) -> Judgement {
    match config.values_of(setting) {
        [] => Judgement::pass(format!("{setting} is not set")),
        [value] => Judgement::pass(format!("{setting} is {}", value.text)),
        values => Judgement::pass(format!("all {} values of {setting} are as wanted", values.len())),
    }
}

/// The values that are not as wanted, and what is, by the place they stand in. Values are compared exactly: sshd takes
/// `PermitUserEnvironment No` for a variable.
fn unmet_by_source<'v>(
    look: &Look<'_>,
    expect: &Expect,
    values: impl Iterator<Item = (&'v Source, &'v str)>,
) -> BTreeMap<&'v Source, (String, String)> {
    let mut unmet_values: BTreeMap<&Source, (String, String)> = BTreeMap::new();
    for (source, text) in values {
        let Some(wanted) = unmet_exactly(look, expect, text) else { continue };
        let (texts, _) = unmet_values.entry(source).or_insert_with(|| (String::new(), wanted));
        if !texts.is_empty() {
            texts.push_str(", ");
        }
        texts.push_str(text);
    }
    unmet_values
}

/// The lines in Match blocks that count for some connections only: of each block the first, and none behind a
/// block for all connections that has set it already.
fn effective_lines<'e>(config: &'e Effective, setting: &str) -> Vec<(&'e MatchBlock, &'e BlockSetting)> {
    let settled =
        config.set_in_match(setting).filter(|(block, _)| block.applies).map(|(_, line)| line.order).min();
    let mut lines: Vec<(&MatchBlock, &BlockSetting)> = Vec::new();
    for (block, line) in config.set_in_match(setting) {
        let late = settled.is_some_and(|order| order < line.order);
        let repeated = lines.last().is_some_and(|(known, _)| known.source == block.source);
        if !block.applies && !late && !repeated {
            lines.push((block, line));
        }
    }
    lines
}
