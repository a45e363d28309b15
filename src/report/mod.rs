//! The versioned report: what an audit found, in plain data, and one writer per format.
//!
//! The model is the contract with everybody who reads reports: within a major version fields are only added.
//! It is deterministic: the same host, clock and options give the same bytes.

mod build;
mod clean;
pub mod json;
#[cfg(test)]
mod schema_tests;
pub mod text;

use std::collections::BTreeMap;

use serde::Serialize;

use crate::catalogue::{Area, Scope, Severity};
use crate::outcome::{Fingerprint, SubjectKind, Verdict};

pub use build::build;
pub use clean::{clean, clean_whole};

/// Version of the report's schema: a new minor version only adds fields.
pub const SCHEMA_VERSION: &str = "1.0";

/// A whole report.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report {
    /// Version of this schema, `MAJOR.MINOR`.
    pub schema_version: &'static str,
    /// The program that made the report.
    pub tool: Tool,
    /// The run.
    pub run: Run,
    /// The audited host.
    pub host: HostInfo,
    /// The cluster it belongs to (a stand-alone node is a cluster of its own); null where this is no Proxmox VE node.
    pub cluster: Option<ClusterInfo>,
    /// Counts.
    pub summary: Summary,
    /// Every check of the run, with its verdict, sorted by id.
    pub checks: Vec<CheckResult>,
    /// Everything bad that was seen: worst first, then by check and subject.
    pub findings: Vec<Finding>,
    /// Everything that could not be judged, by check and subject.
    pub unknowns: Vec<UnknownResult>,
    /// Every path that was accessed, with the outcome.
    pub inputs: Vec<InputRecord>,
    /// What was selected and demanded.
    pub policy: PolicyInfo,
}

/// The program that made the report.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Tool {
    /// `pve-audit`.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// How many checks it has.
    pub checks: usize,
}

/// The run.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Run {
    /// Identity of the run: a hash of host and time.
    pub id: String,
    /// When it started, RFC 3339 in UTC.
    pub started_at: String,
    /// Whether the running host or a tree was audited.
    pub mode: Mode,
    /// The tree, if one was audited.
    pub root: Option<String>,
    /// The folder whose files were laid over it, if any were: the report then tells of what would be.
    pub overlay: Option<String>,
    /// The database that what is below `/etc/pve` was read from, in a tree where the cluster file system is not mounted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_database: Option<String>,
    /// The release that was assumed by option.
    pub assumed_pve: Option<u8>,
    /// The effective user id of the auditor: everything but 0 sees less.
    pub euid: u32,
    /// Whether every check came to a verdict.
    pub complete: bool,
    /// The exit code: 0 clean, 1 findings at or above the threshold, 3 nothing found but some verdicts unknown.
    pub exit_code: u8,
}

/// What was audited.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// The running host.
    Live,
    /// A tree given by `--root`.
    Offline,
}

/// The audited host.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HostInfo {
    /// Identity of the host: a keyed hash of its machine id, never the id itself; null if it has none.
    pub uid: Option<String>,
    /// The node name.
    pub name: Option<String>,
    /// Whether this is a Proxmox VE node; null if that could not be told.
    pub proxmox: Option<bool>,
    /// Version of pve-manager.
    pub pve_version: Option<String>,
    /// Major release of Proxmox VE.
    pub pve_release: Option<u8>,
    /// The operating system, as `/etc/os-release` has it.
    pub os: Option<OsInfo>,
    /// The running kernel.
    pub kernel: Option<String>,
}

/// The operating system.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OsInfo {
    /// `ID`.
    pub id: String,
    /// `VERSION_ID`.
    pub version: Option<String>,
    /// `VERSION_CODENAME`.
    pub codename: Option<String>,
}

/// The cluster.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ClusterInfo {
    /// Identity of the cluster: the UUID in the subject of its own certificate authority.
    pub uid: Option<String>,
    /// Its name; null for a stand-alone node.
    pub name: Option<String>,
    /// Whether it had quorum; null for a stand-alone node or where that could not be told.
    pub quorate: Option<bool>,
    /// Its nodes.
    pub nodes: Vec<String>,
}

/// Counts.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Summary {
    /// Checks by verdict.
    pub checks: VerdictCounts,
    /// Findings by severity, zeros included.
    pub findings: SeverityCounts,
    /// The nine areas, each with its checks by verdict.
    pub areas: BTreeMap<Area, AreaSummary>,
    /// A figure for trends, never a gate.
    pub score: Score,
}

/// Checks by verdict.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VerdictCounts {
    /// All.
    pub total: usize,
    /// Passed.
    pub pass: usize,
    /// Failed.
    pub fail: usize,
    /// Could not be known.
    pub unknown: usize,
    /// Nothing to judge.
    pub not_applicable: usize,
}

/// Findings by severity.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SeverityCounts {
    /// All.
    pub total: usize,
    /// Critical.
    pub critical: usize,
    /// High.
    pub high: usize,
    /// Medium.
    pub medium: usize,
    /// Low.
    pub low: usize,
    /// Context.
    pub info: usize,
}

/// One of the nine areas.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AreaSummary {
    /// Its checks by verdict.
    pub checks: VerdictCounts,
    /// Its findings by severity.
    pub findings: SeverityCounts,
}

/// The trend figure.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Score {
    /// 0 to 100; null where nothing was judged.
    pub value: Option<u8>,
    /// How it is computed.
    pub formula: &'static str,
}

/// One check of the run.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CheckResult {
    /// Its id.
    pub id: &'static str,
    /// Names the bad thing.
    pub title: &'static str,
    /// The area it counts in.
    pub area: Area,
    /// Default severity of its findings.
    pub severity: Severity,
    /// Whose property is judged.
    pub scope: Scope,
    /// The verdict.
    pub verdict: Verdict,
    /// Why it is unknown or not applicable as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// How many subjects were examined, failed and could not be judged.
    pub subjects: SubjectCounts,
    /// Control numbers by framework.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub mappings: BTreeMap<&'static str, &'static [&'static str]>,
    /// Why an attacker cares; given where it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rationale: Option<&'static str>,
    /// What to do, and what it could break; given where it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remediation: Option<&'static str>,
    /// When it is fine; given where it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exceptions: Option<&'static str>,
    /// Links; given where it failed.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    pub references: &'static [&'static str],
}

/// Subjects of a check.
#[derive(Debug, Default, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SubjectCounts {
    /// Came to pass or fail. A check never passes with none.
    pub examined: usize,
    /// Failed.
    pub failed: usize,
    /// Could not be judged.
    pub unknown: usize,
}

/// Something bad that was seen.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Finding {
    /// Its identity over time and nodes.
    pub fingerprint: Fingerprint,
    /// The check.
    pub check: &'static str,
    /// The check's title.
    pub title: &'static str,
    /// Its severity here.
    pub severity: Severity,
    /// The area it counts in.
    pub area: Area,
    /// Whose property it is.
    pub scope: ScopeInfo,
    /// What it is about.
    pub subject: SubjectInfo,
    /// What was seen.
    pub message: String,
    /// Where it was seen, at most ten places.
    pub evidence: Vec<EvidenceInfo>,
    /// How many places there are.
    pub evidence_total: usize,
}

/// Whose property a finding is.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ScopeInfo {
    /// Cluster, node or guest.
    pub kind: Scope,
    /// The key that goes into the fingerprint: of the cluster (also for guests) or of the host.
    pub key: String,
}

/// What a finding is about.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SubjectInfo {
    /// What kind of thing.
    pub kind: SubjectKind,
    /// Its identity.
    pub id: String,
    /// What people call it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The node it is on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
}

/// Where something was seen.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EvidenceInfo {
    /// The file as the audited host sees it.
    pub path: String,
    /// Line, counted from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// The key, option or keyword.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed: Option<String>,
    /// What was wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
}

/// Something that could not be judged.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct UnknownResult {
    /// The check.
    pub check: &'static str,
    /// The subject; null for the whole check.
    pub subject: Option<SubjectInfo>,
    /// Why it is unknown.
    pub message: String,
    /// What is in the way.
    pub evidence: Vec<EvidenceInfo>,
}

/// A path that was accessed.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct InputRecord {
    /// The path as the audited host sees it.
    pub path: String,
    /// `ok` or what went wrong: `missing`, `denied`, `not_a_file`, `too_large`, `not_utf8`, `timed_out`, `io_error`,
    /// `source_error`.
    pub status: &'static str,
    /// Size of a file that was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Entries of a folder that was listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entries: Option<u64>,
}

/// What was selected and demanded.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PolicyInfo {
    /// Globs of the checks that ran; empty for all.
    pub only: Vec<String>,
    /// Globs of the checks that did not run.
    pub skip: Vec<String>,
    /// Findings from this severity on make exit code 1.
    pub fail_on: Severity,
}
