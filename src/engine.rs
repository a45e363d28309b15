//! Runs the checks and applies the evidence rule.
//!
//! A fail needs one observation. A pass needs a complete reading: a pass that rests on something that was not
//! understood becomes unknown here, and a check that examined nothing does not pass. A check that panics becomes
//! unknown and the run goes on.

use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::Timestamp;

use crate::catalogue::{Check, Severity, When};
use crate::checks::{Counted, Judged, Look, Setting};
use crate::host::{Doubt, Host, Stop};
use crate::outcome::{Evidence, Judgement, Subject, Verdict};

/// Parameters set by the site, for one check.
pub type Settings = Vec<(String, Setting)>;

/// What came out for one subject.
#[derive(Debug, Clone)]
pub struct SubjectOutcome {
    /// What was judged.
    pub subject: Subject,
    /// The verdict.
    pub verdict: Verdict,
    /// The severity if it is a fail.
    pub severity: Severity,
    /// What was seen.
    pub summary: String,
    /// Where it was seen.
    pub evidence: Vec<Evidence>,
}

/// What came out of one check.
pub struct Outcome {
    /// The check.
    pub check: &'static Check,
    /// The worst verdict of its subjects, or the verdict on the whole.
    pub verdict: Verdict,
    /// Why the whole check is unknown or not applicable.
    pub reason: Option<String>,
    /// Every subject, sorted by its identity.
    pub subjects: Vec<SubjectOutcome>,
    /// How many passing subjects were left out of `subjects`, see [`run_for_report`].
    pub passes_left_out: usize,
}

impl Outcome {
    /// How many subjects were examined.
    pub fn examined(&self) -> usize {
        let listed = self.subjects.iter().filter(|one| matches!(one.verdict, Verdict::Pass | Verdict::Fail));
        listed.count() + self.passes_left_out
    }

    fn sorted(mut self) -> Self {
        self.subjects.sort_by(|a, b| a.subject.cmp(&b.subject).then_with(|| b.verdict.cmp(&a.verdict)));
        self
    }

    fn without_passes(mut self) -> Self {
        let examined = self.examined();
        self.subjects.retain(|one| matches!(one.verdict, Verdict::Fail | Verdict::Unknown));
        self.passes_left_out = examined - self.failed().count();
        self.subjects.shrink_to_fit();
        self
    }

    /// The subjects that failed.
    pub fn failed(&self) -> impl Iterator<Item = &SubjectOutcome> {
        self.subjects.iter().filter(|one| one.verdict == Verdict::Fail)
    }
}

/// Runs `check` on `host`.
pub fn run(host: &Host, now: Timestamp, check: &'static Check, settings: &Settings) -> Outcome {
    outcome(host, now, check, settings).sorted()
}

/// As [`run`], without the subjects there is nothing to say about: a report only counts them, and a cluster of ten
/// thousand guests has hundreds of thousands.
pub fn run_for_report(host: &Host, now: Timestamp, check: &'static Check, settings: &Settings) -> Outcome {
    outcome(host, now, check, settings).without_passes().sorted()
}

fn outcome(host: &Host, now: Timestamp, check: &'static Check, settings: &Settings) -> Outcome {
    if let Err(stop) = applies(host, check.when) {
        return stopped(check, stop, &[]);
    }
    host.set_clock(now);
    let look = Look::new(host, now, check, settings);
    match catch_unwind(AssertUnwindSafe(|| look.judge())) {
        Ok(judged) => settle(check, judged, &look.doubts()),
        Err(_) => whole(check, Verdict::Unknown, "internal error in this check: please report it".to_owned()),
    }
}

fn applies(host: &Host, when: When) -> Result<(), Stop> {
    let Some((first, last)) = when.pve else { return Ok(()) };
    let release = host.release()?;
    if (first..=last).contains(&release) {
        return Ok(());
    }
    Err(Stop::not_applicable(format!("this is {release}, the check is about other releases")))
}

fn settle(check: &'static Check, judged: Judged, common: &[Doubt]) -> Outcome {
    let tally = match judged {
        Ok(tally) => tally,
        Err(stop) => return stopped(check, stop, common),
    };
    if tally.counted.is_empty() {
        return stopped(check, Stop::not_applicable("there is nothing of this kind to examine"), common);
    }
    let outcome = |counted| subject_outcome(check, counted, common);
    let subjects: Vec<SubjectOutcome> = tally.counted.into_iter().map(outcome).collect();
    let verdict = subjects.iter().map(|one| one.verdict).max().unwrap_or(Verdict::Unknown);
    Outcome { check, verdict, reason: None, subjects, passes_left_out: 0 }
}

/// Nothing was judged. What looks as if there were nothing to judge may just not have been understood.
fn stopped(check: &'static Check, stop: Stop, common: &[Doubt]) -> Outcome {
    match (stop, common.first()) {
        (Stop::Unknown(doubt), _) => whole(check, Verdict::Unknown, doubt.to_string()),
        (Stop::NotApplicable(why), Some(doubt)) => {
            whole(check, Verdict::Unknown, format!("{why}, but the reading is incomplete: {doubt}"))
        }
        (Stop::NotApplicable(why), None) => whole(check, Verdict::NotApplicable, why),
    }
}

fn whole(check: &'static Check, verdict: Verdict, reason: String) -> Outcome {
    Outcome { check, verdict, reason: Some(reason), subjects: Vec::new(), passes_left_out: 0 }
}

fn subject_outcome(check: &'static Check, counted: Counted, common: &[Doubt]) -> SubjectOutcome {
    let Counted { subject, judgement, doubts } = counted;
    let judgement = match judgement {
        Ok(judgement) => downgraded(judgement, doubts.iter().chain(common)),
        Err(Stop::Unknown(doubt)) => Judgement::unknown(doubt.to_string()).with(evidence_of(&doubt)),
        Err(Stop::NotApplicable(why)) => {
            let mut judgement = Judgement::pass(why);
            judgement.verdict = Verdict::NotApplicable;
            downgraded(judgement, doubts.iter().chain(common))
        }
    };
    SubjectOutcome {
        subject,
        verdict: judgement.verdict,
        severity: judgement.severity.unwrap_or(check.severity),
        summary: judgement.summary,
        evidence: judgement.evidence,
    }
}

/// The evidence rule: what is not a fail and rests on something doubtful is unknown.
fn downgraded<'d>(judgement: Judgement, mut doubts: impl Iterator<Item = &'d Doubt>) -> Judgement {
    let settled = matches!(judgement.verdict, Verdict::Fail | Verdict::Unknown);
    match doubts.next() {
        Some(doubt) if !settled => {
            let summary = format!("{}, but the reading is incomplete: {doubt}", judgement.summary);
            Judgement::unknown(summary)
                .with_all(judgement.evidence)
                .with(evidence_of(doubt))
                .with_all(doubts.map(evidence_of))
        }
        _ => judgement,
    }
}

fn evidence_of(doubt: &Doubt) -> Evidence {
    let evidence = match doubt.line {
        Some(line) => Evidence::at(&doubt.path, line),
        None => Evidence::of(&doubt.path),
    };
    evidence.observed(&doubt.what)
}
