//! From outcomes to the report: counting, sorting, cleaning.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{
    AreaSummary, CheckResult, ClusterInfo, EvidenceInfo, Finding, HostInfo, InputRecord, Mode, OsInfo,
    PolicyInfo, Report, Run, SCHEMA_VERSION, ScopeInfo, Score, SeverityCounts, SubjectCounts, SubjectInfo,
    Summary, Tool, UnknownResult, VerdictCounts, clean,
};
use crate::catalogue::{Area, CATALOGUE, Scope, Severity};
use crate::engine::{Outcome, SubjectOutcome};
use crate::files::{Input, InputOutcome};
use crate::formats::release::Release;
use crate::host::Host;
use crate::live::effective_uid;
use crate::outcome::{Evidence, Fingerprint, Subject, Verdict, scope_key};
use crate::policy::Policy;

/// How many places a finding shows.
const EVIDENCE_SHOWN: usize = 10;

const AREAS: [Area; 9] = [
    Area::Isolation,
    Area::Access,
    Area::Network,
    Area::Encryption,
    Area::Patching,
    Area::Monitoring,
    Area::Backup,
    Area::Compliance,
    Area::Support,
];

/// Makes the report of a run.
pub fn build(
    host: &Host,
    outcomes: &[Outcome],
    policy: &Policy,
    now: Timestamp,
    root: Option<&str>,
) -> Report {
    let findings = findings(host, outcomes);
    let complete = outcomes.iter().all(no_unknowns);
    let exit_code = policy.exit_code(findings.iter().map(|finding| finding.severity), complete);
    let uid = host.uid();
    Report {
        schema_version: SCHEMA_VERSION,
        tool: Tool { name: "pve-audit", version: env!("CARGO_PKG_VERSION"), checks: CATALOGUE.len() },
        run: Run {
            id: run_id(&scope_key(host, Scope::Node), now),
            started_at: now.to_string(),
            mode: if root.is_some() { Mode::Offline } else { Mode::Live },
            root: root.map(clean),
            overlay: None,
            cluster_database: host.files.cluster_source().map(|source| clean(&source.path)),
            assumed_pve: host.assumed().map(Release::major),
            euid: effective_uid(),
            complete,
            exit_code,
        },
        host: host_info(host, uid),
        cluster: cluster_info(host),
        summary: summary(outcomes),
        checks: outcomes.iter().map(check_result).collect(),
        findings,
        unknowns: outcomes.iter().flat_map(unknowns).collect(),
        inputs: host.files.inputs().into_iter().map(|input| input_record(&input)).collect(),
        policy: PolicyInfo {
            only: policy.only.iter().map(|glob| clean(glob)).collect(),
            skip: policy.skip.iter().map(|glob| clean(glob)).collect(),
            fail_on: policy.fail_on,
        },
    }
}

fn run_id(host: &str, now: Timestamp) -> String {
    let digest = Sha256::digest(format!("pve-audit run|{host}|{now}"));
    digest.iter().take(16).fold(String::new(), |hex, byte| format!("{hex}{byte:02x}"))
}

fn host_info(host: &Host, uid: Option<String>) -> HostInfo {
    let os = host.os().value.as_ref().ok().map(|os| OsInfo {
        id: clean(&os.id),
        version: some_text(&os.version_id),
        codename: some_text(&os.version_codename),
    });
    HostInfo {
        uid,
        name: host.node_name().map(|name| clean(&name)),
        proxmox: host.is_proxmox(),
        pve_version: host.pve_version().map(|version| clean(&version)),
        pve_release: host.release().ok().map(Release::major),
        os,
        kernel: host.running_kernel().map(|kernel| clean(&kernel)),
    }
}

fn some_text(text: &str) -> Option<String> {
    Some(clean(text)).filter(|text| !text.is_empty())
}

fn cluster_info(host: &Host) -> Option<ClusterInfo> {
    let cluster = host.cluster()?;
    Some(ClusterInfo {
        uid: cluster.uid.map(|uid| clean(&uid)),
        name: cluster.name.map(|name| clean(&name)),
        quorate: cluster.quorate,
        nodes: cluster.nodes.iter().map(|name| clean(name)).collect(),
    })
}

fn check_result(outcome: &Outcome) -> CheckResult {
    let check = outcome.check;
    let failed = outcome.verdict == Verdict::Fail;
    let unknown = outcome.subjects.iter().filter(|one| one.verdict == Verdict::Unknown).count();
    CheckResult {
        id: check.id,
        title: check.title,
        area: check.area,
        severity: check.severity,
        scope: check.scope,
        verdict: outcome.verdict,
        reason: outcome.reason.as_deref().map(clean),
        subjects: SubjectCounts { examined: outcome.examined(), failed: outcome.failed().count(), unknown },
        mappings: check.mappings.iter().copied().collect(),
        rationale: failed.then_some(check.rationale),
        remediation: failed.then_some(check.remediation),
        exceptions: failed.then_some(check.exceptions),
        references: if failed { check.references } else { &[] },
    }
}

fn findings(host: &Host, outcomes: &[Outcome]) -> Vec<Finding> {
    let of_check = |outcome: &Outcome| {
        let key = scope_key(host, outcome.check.scope);
        outcome.failed().map(|one| finding(&key, outcome, one)).collect::<Vec<_>>()
    };
    let mut findings: Vec<Finding> = outcomes.iter().flat_map(of_check).collect();
    findings.sort_by(|a, b| {
        (b.severity, a.check, a.subject.kind, &a.subject.id, &a.fingerprint).cmp(&(
            a.severity,
            b.check,
            b.subject.kind,
            &b.subject.id,
            &b.fingerprint,
        ))
    });
    findings
}

fn finding(scope_key: &str, outcome: &Outcome, one: &SubjectOutcome) -> Finding {
    Finding {
        fingerprint: Fingerprint::of(outcome.check.id, outcome.check.scope, scope_key, &one.subject),
        check: outcome.check.id,
        title: outcome.check.title,
        severity: one.severity,
        area: outcome.check.area,
        scope: ScopeInfo { kind: outcome.check.scope, key: clean(scope_key) },
        subject: subject_info(&one.subject),
        message: clean(&one.summary),
        evidence: one.evidence.iter().take(EVIDENCE_SHOWN).map(evidence_info).collect(),
        evidence_total: one.evidence.len(),
    }
}

fn no_unknowns(outcome: &Outcome) -> bool {
    outcome.verdict != Verdict::Unknown && outcome.subjects.iter().all(|one| one.verdict != Verdict::Unknown)
}

fn unknowns(outcome: &Outcome) -> Vec<UnknownResult> {
    if outcome.subjects.is_empty() && outcome.verdict == Verdict::Unknown {
        let message = outcome.reason.as_deref().map(clean).unwrap_or_default();
        return vec![UnknownResult { check: outcome.check.id, subject: None, message, evidence: Vec::new() }];
    }
    let unknown = outcome.subjects.iter().filter(|one| one.verdict == Verdict::Unknown);
    unknown
        .map(|one| UnknownResult {
            check: outcome.check.id,
            subject: Some(subject_info(&one.subject)),
            message: clean(&one.summary),
            evidence: one.evidence.iter().take(EVIDENCE_SHOWN).map(evidence_info).collect(),
        })
        .collect()
}

fn subject_info(subject: &Subject) -> SubjectInfo {
    SubjectInfo {
        kind: subject.kind,
        id: clean(&subject.id),
        name: subject.name.as_deref().map(clean),
        node: subject.node.as_deref().map(clean),
    }
}

fn evidence_info(evidence: &Evidence) -> EvidenceInfo {
    EvidenceInfo {
        path: clean(&evidence.path),
        line: evidence.line,
        key: evidence.key.as_deref().map(clean),
        observed: evidence.observed.as_deref().map(clean),
        expected: evidence.expected.as_deref().map(clean),
    }
}

fn input_record(input: &Input) -> InputRecord {
    let (status, bytes, entries) = match &input.outcome {
        InputOutcome::Examined => ("ok", None, None),
        InputOutcome::Listed { entries } => ("ok", None, Some(*entries)),
        InputOutcome::Read { bytes } => ("ok", Some(*bytes), None),
        InputOutcome::Trouble(kind) => (kind.name(), None, None),
    };
    InputRecord { path: clean(&input.path), status, bytes, entries }
}

fn summary(outcomes: &[Outcome]) -> Summary {
    let mut areas: BTreeMap<Area, AreaSummary> = AREAS
        .into_iter()
        .map(|area| {
            let empty = AreaSummary { checks: VerdictCounts::default(), findings: SeverityCounts::default() };
            (area, empty)
        })
        .collect();
    let mut checks = VerdictCounts::default();
    let mut findings = SeverityCounts::default();
    for outcome in outcomes {
        checks.count(outcome.verdict);
        outcome.failed().for_each(|one| findings.count(one.severity));
        if let Some(area) = areas.get_mut(&outcome.check.area) {
            area.checks.count(outcome.verdict);
            outcome.failed().for_each(|one| area.findings.count(one.severity));
        }
    }
    Summary { checks, findings, areas, score: score(outcomes) }
}

impl VerdictCounts {
    fn count(&mut self, verdict: Verdict) {
        self.total += 1;
        match verdict {
            Verdict::Pass => self.pass += 1,
            Verdict::Fail => self.fail += 1,
            Verdict::Unknown => self.unknown += 1,
            Verdict::NotApplicable => self.not_applicable += 1,
        }
    }
}

impl SeverityCounts {
    fn count(&mut self, severity: Severity) {
        self.total += 1;
        match severity {
            Severity::Critical => self.critical += 1,
            Severity::High => self.high += 1,
            Severity::Medium => self.medium += 1,
            Severity::Low => self.low += 1,
            Severity::Info => self.info += 1,
        }
    }
}

fn weight(severity: Severity) -> u32 {
    match severity {
        Severity::Info => 0,
        Severity::Low => 1,
        Severity::Medium => 3,
        Severity::High => 7,
        Severity::Critical => 15,
    }
}

/// 100 × weight of passed checks / weight of passed and failed checks; an open critical caps it at 49, an open
/// high at 79. A failed check weighs as its worst finding.
fn score(outcomes: &[Outcome]) -> Score {
    const FORMULA: &str = "pa-score/1";
    let mut passed = 0;
    let mut judged = 0;
    let mut worst = Severity::Info;
    for outcome in outcomes {
        match outcome.verdict {
            Verdict::Pass => {
                passed += weight(outcome.check.severity);
                judged += weight(outcome.check.severity);
            }
            Verdict::Fail => {
                let severity =
                    outcome.failed().map(|one| one.severity).max().unwrap_or(outcome.check.severity);
                judged += weight(severity);
                worst = worst.max(severity);
            }
            Verdict::Unknown | Verdict::NotApplicable => {}
        }
    }
    let cap = match worst {
        Severity::Critical => 49,
        Severity::High => 79,
        _ => 100,
    };
    let value = (100 * passed).checked_div(judged).map(|value| value.min(cap));
    Score { value: value.and_then(|value| u8::try_from(value).ok()), formula: FORMULA }
}
