//! Roles and ACL entries.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Judged, Look};
use super::{acl_line, subject_name};
use crate::catalogue::Severity;
use crate::formats::user_cfg::acl_path::is_api_path;
use crate::formats::user_cfg::roles::{builtin, is_privilege_of_some_release};
use crate::formats::user_cfg::{AclEntry, AclSubject, Role, UserCfg};
use crate::host::access::USER_CFG;
use crate::host::access::power::Powers;
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// Most lines named for one subject.
const LINES_SHOWN: usize = 8;

/// Judges the bad ones by themselves, or the cluster as a whole where there are none.
fn each_bad<T>(
    look: &Look<'_>,
    bad: Vec<T>,
    subject: impl Fn(&T) -> Subject,
    judge: impl Fn(&T) -> Judgement,
    none: &str,
) -> Judged {
    if bad.is_empty() {
        return look.one(Subject::cluster(), Judgement::pass(none));
    }
    look.each(bad, subject, |_, item| Ok(judge(item)))
}

fn role_subject((name, _): &(&String, &Role)) -> Subject {
    Subject::new(SubjectKind::Role, name.as_str())
}

fn joined<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    names.into_iter().take(LINES_SHOWN).collect::<Vec<_>>().join(", ")
}

/// `access/built-in-role-extended`
pub(crate) fn built_in_role_extended(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let release = look.host.release()?;
    let bad = cfg.roles.iter().filter(|(_, role)| role.builtin).collect();
    let none = "no line of user.cfg changes a built-in role";
    each_bad(
        look,
        bad,
        role_subject,
        |(name, role)| {
            let shipped = builtin(name, release).unwrap_or_default();
            let added = joined(role.privileges.difference(&shipped).copied());
            let line = Evidence::at(USER_CFG, role.line).key("role").expected("no line for a built-in role");
            if added.is_empty() {
                let summary =
                    "user.cfg has a line for this built-in role, which the API never writes; it adds nothing";
                return Judgement::fail(summary).severity(Severity::Low).with(line);
            }
            let summary = format!("the built-in role was given {added} by a line the API never writes");
            Judgement::fail(summary).with(line.observed(format!("adds {added}")))
        },
        none,
    )
}

/// `access/role-uses-removed-privilege`
pub(crate) fn role_uses_removed_privilege(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let release = look.host.release()?;
    let bad = cfg.roles.iter().filter(|(_, role)| !role.unknown.is_empty()).collect();
    let none = "every privilege named in a role exists in this release";
    each_bad(
        look,
        bad,
        role_subject,
        |(_, role)| {
            let names = joined(role.unknown.iter().map(String::as_str));
            let line = Evidence::at(USER_CFG, role.line).key("role").observed(names.clone());
            let left = if role.privileges.is_empty() { ", and nothing is left of the role" } else { "" };
            let known = role.unknown.iter().any(|name| is_privilege_of_some_release(name));
            let summary = format!("{release} does not know {names} and drops it{left}");
            Judgement::fail(summary).severity(if known { Severity::Low } else { Severity::Info }).with(line)
        },
        none,
    )
}

/// `access/acl-on-dead-path`
pub(crate) fn acl_on_dead_path(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let release = look.host.release()?;
    let mut dead: BTreeMap<&str, Vec<&AclEntry>> = BTreeMap::new();
    for entry in cfg.acl.iter().filter(|entry| !is_api_path(&entry.path, release)) {
        dead.entry(&entry.path).or_default().push(entry);
    }
    let subject = |(path, _): &(&str, Vec<&AclEntry>)| Subject::new(SubjectKind::Acl, *path);
    let none = "every ACL is on a path the API knows";
    each_bad(
        look,
        dead.into_iter().collect(),
        subject,
        |(path, entries)| {
            let summary = format!(
                "no call of the API of {release} looks at {path}: what is granted or denied there has no effect"
            );
            Judgement::fail(summary).with_all(entries.iter().take(LINES_SHOWN).map(|entry| acl_line(entry)))
        },
        none,
    )
}

/// What waits for somebody to take a name.
struct Waiting<'a> {
    subject: AclSubject,
    entries: Vec<&'a AclEntry>,
    /// Groups that list the user, with their line.
    groups: Vec<(&'a str, u32)>,
}

impl Waiting<'_> {
    fn new(subject: AclSubject) -> Self {
        Self { subject, entries: Vec::new(), groups: Vec::new() }
    }
}

/// `access/dangling-acl`
pub(crate) fn dangling_acl(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let powers = look.take(look.host.powers())?;
    let strong: BTreeSet<&str> =
        cfg.acl.iter().filter(|entry| !only_looks(cfg, entry)).filter_map(group_of).collect();
    let subject = |waiting: &Waiting<'_>| match &waiting.subject {
        AclSubject::Group(name) => Subject::new(SubjectKind::Group, name),
        AclSubject::User(id) | AclSubject::Token(id) => Subject::new(SubjectKind::User, id),
    };
    let none = "every user and group that holds rights exists";
    each_bad(
        look,
        waiting(cfg),
        subject,
        |waiting| {
            let (severity, power) = power(cfg, powers, &strong, waiting);
            let name = subject_name(&waiting.subject);
            let summary = format!("{name} does not exist: whoever is created under this name {power}");
            let groups = waiting.groups.iter().map(|(group, line)| {
                Evidence::at(USER_CFG, *line).key("group").observed(format!("member of {group}"))
            });
            let entries = waiting.entries.iter().map(|entry| acl_line(entry));
            Judgement::fail(summary).severity(severity).with_all(entries.chain(groups).take(LINES_SHOWN))
        },
        none,
    )
}

/// Everybody who holds rights and does not exist, by an ACL entry or as a member of a group that holds rights.
fn waiting(cfg: &UserCfg) -> Vec<Waiting<'_>> {
    let mut found: BTreeMap<AclSubject, Waiting<'_>> = BTreeMap::new();
    for entry in cfg.acl.iter().filter(|entry| entry.dangling) {
        let subject = entry.subject.clone();
        found.entry(subject.clone()).or_insert_with(|| Waiting::new(subject)).entries.push(entry);
    }
    let groups_with_rights: BTreeSet<&str> = cfg.acl.iter().filter_map(group_of).collect();
    for (name, group) in cfg.groups.iter().filter(|(name, _)| groups_with_rights.contains(name.as_str())) {
        for id in group.members.iter().filter(|id| !cfg.users.contains_key(*id)) {
            let subject = AclSubject::User(id.clone());
            found
                .entry(subject.clone())
                .or_insert_with(|| Waiting::new(subject))
                .groups
                .push((name, group.line));
        }
    }
    found.into_values().collect()
}

fn group_of(entry: &AclEntry) -> Option<&str> {
    match &entry.subject {
        AclSubject::Group(name) => Some(name),
        AclSubject::User(_) | AclSubject::Token(_) => None,
    }
}

/// How bad it is if somebody takes the name, and what he gets.
fn power(
    cfg: &UserCfg,
    powers: &Powers,
    strong: &BTreeSet<&str>,
    waiting: &Waiting<'_>,
) -> (Severity, String) {
    let power = match &waiting.subject {
        AclSubject::User(id) | AclSubject::Token(id) => powers.of(id),
        AclSubject::Group(name) => powers.of_member(name),
    };
    if let Some(power) = power.filter(|power| power.is_root_equivalent()) {
        return (Severity::High, powers.why(power));
    }
    let by_itself = waiting.entries.iter().all(|entry| only_looks(cfg, entry));
    let by_groups = waiting.groups.iter().all(|(group, _)| !strong.contains(group));
    let severity = if by_itself && by_groups { Severity::Low } else { Severity::Medium };
    (severity, format!("gets {}", rights(waiting)))
}

/// What waits, in words.
fn rights(waiting: &Waiting<'_>) -> String {
    let entries = waiting.entries.iter().map(|entry| format!("{} on {}", entry.role, entry.path));
    let groups = waiting.groups.iter().map(|(group, _)| format!("the rights of the group {group}"));
    entries.chain(groups).take(LINES_SHOWN).collect::<Vec<_>>().join(", ")
}

/// Whether an entry gives nothing but the right to look.
fn only_looks(cfg: &UserCfg, entry: &AclEntry) -> bool {
    let privileges = cfg.role_privileges(&entry.role).unwrap_or_default();
    privileges.into_iter().all(|privilege| privilege.ends_with(".Audit"))
}
