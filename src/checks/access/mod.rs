//! Who may do what: users, tokens, roles, ACLs.

mod accounts;
mod acl;
mod administrators;
mod file;
mod no_access;
mod powers;
mod propagation;
mod roles;
mod root;
mod shared;
mod token_hygiene;
mod tokens;
mod upgrade;

pub(crate) use accounts::{
    dormant_account_left_over, dormant_account_with_rights, dormant_administrator_within_reach,
    group_without_acl, group_without_members, user_without_rights,
};
pub(crate) use acl::{acl_on_dead_path, built_in_role_extended, dangling_acl, role_uses_removed_privilege};
pub(crate) use administrators::{
    administrator_without_second_factor, dormant_administrator, no_named_administrator,
};
pub(crate) use file::line_not_understood_by_proxmox;
pub(crate) use no_access::no_access_without_effect;
pub(crate) use powers::{hidden_administrator, strong_right_of_non_administrator};
pub(crate) use propagation::ambiguous_propagation;
pub(crate) use roles::{empty_role_in_acl, role_with_reserved_name, strong_role_on_everything, unused_role};
pub(crate) use root::{root_disabled, root_without_email};
pub(crate) use shared::{administrator_by_own_acl, shared_administrator_account, too_many_administrators};
pub(crate) use token_hygiene::{
    acl_of_token_without_separation, token_left_over, token_of_root, token_without_effect,
    token_without_expiry,
};
pub(crate) use tokens::{
    administrator_token_without_expiry, administrator_token_without_privilege_separation,
};
pub(crate) use upgrade::{role_changed_by_upgrade, vm_user_changes_files_in_guests};

use std::collections::BTreeMap;

use super::{Judged, Look};
use crate::formats::user_cfg::names::ROOT;
use crate::formats::user_cfg::{AclEntry, AclSubject, Role, User, UserCfg};
use crate::host::Stop;
use crate::host::access::USER_CFG;
use crate::host::access::power::Power;
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

/// Ends the judgement unless user.cfg was read whole: what the judgement misses may stand in what was not.
fn complete(look: &Look<'_>) -> Result<(), Stop> {
    look.host.access().complete()
}

fn role_subject((name, _): &(&String, &Role)) -> Subject {
    Subject::new(SubjectKind::Role, name.as_str())
}

/// Who an ACL entry is for, as what is judged.
fn acl_subject(subject: &AclSubject) -> Subject {
    match subject {
        AclSubject::User(id) => Subject::new(SubjectKind::User, id),
        AclSubject::Group(name) => Subject::new(SubjectKind::Group, name),
        AclSubject::Token(id) => Subject::new(SubjectKind::Token, id),
    }
}

/// The first few of these, each once if they stand together.
fn joined<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let mut names: Vec<&str> = names.into_iter().collect();
    names.dedup();
    names.into_iter().take(LINES_SHOWN).collect::<Vec<_>>().join(", ")
}

/// ACL entries by their subject.
fn by_subject(cfg: &UserCfg) -> BTreeMap<&AclSubject, Vec<&AclEntry>> {
    let mut found: BTreeMap<&AclSubject, Vec<&AclEntry>> = BTreeMap::new();
    for entry in &cfg.acl {
        found.entry(&entry.subject).or_default().push(entry);
    }
    found
}

/// Why upstream looks at no ACL of this subject, if that is so.
fn ignored(cfg: &UserCfg, subject: &AclSubject) -> Option<&'static str> {
    match subject {
        AclSubject::User(id) => (id == ROOT).then_some("no ACL holds root@pam back"),
        AclSubject::Group(_) => None,
        AclSubject::Token(id) => cfg
            .token(id)
            .is_some_and(|token| !token.privsep)
            .then_some("the ACLs of a token without privilege separation are ignored"),
    }
}

/// The line of a user; `root@pam` may have none.
pub(super) fn user_line(user: &User) -> Option<Evidence> {
    user.line.map(|line| Evidence::at(USER_CFG, line).key("user"))
}

/// The lines that make somebody an administrator.
fn grants(administrator: &Power) -> impl Iterator<Item = Evidence> {
    administrator.grants().into_iter().map(acl_line)
}

/// An ACL entry as evidence.
fn acl_line(entry: &AclEntry) -> Evidence {
    let kept = if entry.propagate { "" } else { ", without propagation" };
    let observed = format!("{} on {} for {}{kept}", entry.role, entry.path, subject_name(&entry.subject));
    Evidence::at(USER_CFG, entry.line).key("acl").observed(observed)
}

/// A subject as user.cfg writes it.
fn subject_name(subject: &AclSubject) -> String {
    match subject {
        AclSubject::User(id) | AclSubject::Token(id) => id.clone(),
        AclSubject::Group(name) => format!("@{name}"),
    }
}
