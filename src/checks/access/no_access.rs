//! `NoAccess`, where it does not deny what it seems to.

use std::collections::BTreeMap;

use super::super::{Judged, Look};
use super::{LINES_SHOWN, acl_line, by_subject, ignored, joined, subject_name};
use crate::catalogue::Severity;
use crate::formats::user_cfg::roles::NO_ACCESS;
use crate::formats::user_cfg::{AclEntry, AclSubject, UserCfg};
use crate::host::Stop;
use crate::host::access::effective::{self, Effective};
use crate::outcome::{Judgement, Subject, SubjectKind};

/// A part that stands in no ACL: what holds there is what is handed down.
const ANY_OTHER: &str = "*";

/// Paths with nothing below them that the API looks at.
const LEAVES: [&str; 5] = ["/vms/", "/storage/", "/nodes/", "/access/groups/", "/access/realm/"];

/// What makes a `NoAccess` deny less than it says.
#[derive(Default)]
struct Beaten<'a> {
    /// Entries of somebody else: of a group of the user, of a member of the group.
    by_others: Vec<&'a AclEntry>,
    /// Deeper entries of the same subject: an exception somebody may have meant.
    by_itself: Vec<&'a AclEntry>,
    /// Whether it does not reach below its path, where rights from above go on.
    stays_on_path: bool,
}

struct Table<'a> {
    cfg: &'a UserCfg,
    effective: Effective<'a>,
    by_subject: BTreeMap<&'a AclSubject, Vec<&'a AclEntry>>,
}

impl<'a> Table<'a> {
    fn entries(&self, subject: &AclSubject) -> &[&'a AclEntry] {
        self.by_subject.get(subject).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether this subject has any privilege on the path of an entry, or below it.
    fn grants(&self, subject: effective::Subject<'_>, entry: &AclEntry) -> bool {
        entry.role != NO_ACCESS
            && (!self.effective.granted_to(subject, &entry.path).is_empty()
                || !self.effective.granted_to(subject, &below(&entry.path)).is_empty())
    }

    fn beaten(&self, denial: &AclEntry) -> Beaten<'a> {
        let reached = |entry: &&AclEntry| denial.propagate && is_below(&entry.path, &denial.path);
        let mut beaten = Beaten::default();
        let who = match &denial.subject {
            AclSubject::User(id) => {
                let who = effective::Subject::User(id);
                for group in self.cfg.groups_of(id) {
                    let group = AclSubject::Group(group.to_owned());
                    let deeper = self.entries(&group).iter().copied().filter(reached);
                    beaten.by_others.extend(deeper.filter(|entry| self.grants(who, entry)));
                }
                who
            }
            AclSubject::Group(name) => {
                beaten.by_others = self.of_members(name, denial);
                effective::Subject::Member { group: name, user: None }
            }
            AclSubject::Token(id) => effective::Subject::Token(id),
        };
        let own = self.entries(&denial.subject).iter().copied().filter(reached);
        beaten.by_itself = own.filter(|entry| self.grants(who, entry)).collect();
        let is_leaf = LEAVES.iter().any(|leaf| denial.path.starts_with(leaf));
        beaten.stays_on_path =
            !denial.propagate && !is_leaf && !self.effective.granted_to(who, &below(&denial.path)).is_empty();
        beaten
    }

    /// The entries of members of a group that beat one of the group: on the same path, or below.
    fn of_members(&self, group: &str, denial: &AclEntry) -> Vec<&'a AclEntry> {
        let Some(group) = self.cfg.groups.get(group) else { return Vec::new() };
        let acl = self.cfg.acl.as_slice();
        let from = |path: &str| {
            let start = acl.partition_point(|entry| entry.path.as_str() < path);
            acl.get(start..).unwrap_or_default().iter()
        };
        let prefix = below(&denial.path).trim_end_matches(ANY_OTHER).to_owned();
        let here = from(&denial.path).take_while(|entry| entry.path == denial.path);
        let deeper = from(&prefix).take_while(|entry| denial.propagate && entry.path.starts_with(&prefix));
        // The path `/` is the beginning of every other.
        let deeper = deeper.filter(|entry| entry.path != denial.path);
        let beats = |entry: &&AclEntry| match &entry.subject {
            AclSubject::User(id) => {
                group.members.contains(id) && self.grants(effective::Subject::User(id), entry)
            }
            _ => false,
        };
        here.chain(deeper).filter(beats).collect()
    }
}

fn below(path: &str) -> String {
    format!("{}/{ANY_OTHER}", path.trim_end_matches('/'))
}

fn is_below(path: &str, above: &str) -> bool {
    path != above && (above == "/" || path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/')))
}

/// `access/no-access-without-effect`
pub(crate) fn no_access_without_effect(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    look.host.release()?;
    let denials: Vec<&AclEntry> = cfg.acl.iter().filter(|entry| entry.role == NO_ACCESS).collect();
    if denials.is_empty() {
        return Err(Stop::not_applicable("no ACL has the role NoAccess"));
    }
    let table = Table { cfg, effective: Effective::new(cfg), by_subject: by_subject(cfg) };
    let subject = |entry: &&AclEntry| {
        Subject::new(SubjectKind::Acl, format!("{} {}", entry.path, subject_name(&entry.subject)))
    };
    look.each(denials, subject, |_, denial| {
        let judgement = match ignored(cfg, &denial.subject) {
            Some(why) => Judgement::fail(format!("denies nothing: {why}")),
            None => judged(denial, &table.beaten(denial)),
        };
        Ok(judgement.with(acl_line(denial)))
    })
}

fn judged(denial: &AclEntry, beaten: &Beaten<'_>) -> Judgement {
    let mut reasons = Vec::new();
    if !beaten.by_others.is_empty() {
        let what = match &denial.subject {
            AclSubject::User(_) => "groups of the user still have rights there",
            _ => "members have rights of their own there",
        };
        reasons.push(format!("{what} ({})", entries_shown(&beaten.by_others)));
    }
    if beaten.stays_on_path {
        reasons.push("it has no propagation, and what is granted above goes on below it".to_owned());
    }
    if !beaten.by_itself.is_empty() {
        reasons.push(format!(
            "deeper ACLs of the same holder grant again ({})",
            entries_shown(&beaten.by_itself)
        ));
    }
    if reasons.is_empty() {
        return Judgement::pass("nothing overrides it");
    }
    let meant = beaten.by_others.is_empty() && !beaten.stays_on_path;
    let severity = if meant { Severity::Info } else { Severity::Low };
    let lines = beaten.by_others.iter().chain(&beaten.by_itself).take(LINES_SHOWN);
    Judgement::fail(format!("does not deny everything it seems to: {}", reasons.join("; ")))
        .severity(severity)
        .with_all(lines.map(|entry| acl_line(entry)))
}

fn entries_shown(entries: &[&AclEntry]) -> String {
    let words: Vec<String> = entries
        .iter()
        .take(LINES_SHOWN)
        .map(|entry| format!("{} on {} for {}", entry.role, entry.path, subject_name(&entry.subject)))
        .collect();
    joined(words.iter().map(String::as_str))
}
