//! What is wrong with the files, or was left out: with a code for machines.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::collect::Access;
use crate::formats::user_cfg::{AclEntry, AclSubject};
use crate::host::Doubt;
use crate::host::access::USER_CFG;

/// Code of the issue that says which paths are left out for size.
pub(super) const PATHS_LEFT_OUT: &str = "paths-left-out";

/// Code of the issue that says that two groups of a user give him a role with different propagation.
pub(super) const AMBIGUOUS_PROPAGATE: &str = "ambiguous-propagate";

/// An issue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Issue {
    pub(super) path: String,
    pub(super) line: Option<u32>,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Issue {
    /// About a whole file.
    pub(super) fn new(path: &str, code: &'static str, message: String) -> Self {
        Self { path: path.to_owned(), line: None, code, message }
    }

    /// What is doubtful about a fact.
    pub(super) fn of(doubt: &Doubt) -> Self {
        Self { path: doubt.path.clone(), line: doubt.line, code: doubt.code, message: doubt.what.clone() }
    }

    /// For people.
    pub(super) fn words(&self) -> String {
        match self.line {
            Some(line) => format!("{}:{line}: {}", self.path, self.message),
            None => format!("{} {}", self.path, self.message),
        }
    }
}

/// Everything that is wrong with the files themselves, by file and line.
pub(super) fn issues(access: &Access<'_>) -> Vec<Issue> {
    let mut issues: Vec<Issue> = access.doubts.iter().map(Issue::of).collect();
    let remarks = &access.cfg.remarks;
    issues.extend(remarks.iter().map(|remark| Issue::of(&Doubt::of(USER_CFG, remark.clone()))));
    issues.extend(ambiguous(access));
    issues.sort();
    issues.dedup();
    issues
}

/// The entries that give a role to two groups with different propagation, by path and role.
pub(super) fn contradictions<'h>(access: &Access<'h>) -> BTreeMap<(&'h str, &'h str), Vec<&'h AclEntry>> {
    let mut by_place: BTreeMap<(&str, &str), Vec<&AclEntry>> = BTreeMap::new();
    for entry in access.cfg.acl.iter().filter(|entry| matches!(entry.subject, AclSubject::Group(_))) {
        by_place.entry((&entry.path, &entry.role)).or_default().push(entry);
    }
    by_place.retain(|_, entries| {
        entries.iter().any(|entry| entry.propagate) && entries.iter().any(|entry| !entry.propagate)
    });
    by_place
}

/// Where it is left to chance whether a privilege propagates.
fn ambiguous(access: &Access<'_>) -> Vec<Issue> {
    let mut issues = Vec::new();
    for ((path, role), entries) in contradictions(access) {
        let members = |propagate: bool| -> BTreeSet<&str> {
            let of = entries.iter().filter(|entry| entry.propagate == propagate);
            let groups = of.filter_map(|entry| match &entry.subject {
                AclSubject::Group(name) => access.cfg.groups.get(name),
                _ => None,
            });
            groups.flat_map(|group| &group.members).map(String::as_str).collect()
        };
        let (with, without) = (members(true), members(false));
        let mut both = with.intersection(&without);
        let is_hit = |id: &&&str| !access.effective.ambiguous(id, path).is_empty();
        let Some(first) = both.by_ref().find(is_hit) else { continue };
        let more = match both.filter(|id| is_hit(id)).count() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let what = format!(
            "two groups of {first}{more} get {role} on {path}, one with propagation and one without: which counts \
             is left to chance, and the wider is shown"
        );
        let line = entries.iter().map(|entry| entry.line).max();
        issues.push(Issue { line, ..Issue::new(USER_CFG, AMBIGUOUS_PROPAGATE, what) });
    }
    issues
}
