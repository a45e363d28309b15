//! Who may do what: users, tokens, roles, ACLs.

mod acl;
mod administrators;
mod powers;
mod tokens;

pub(crate) use acl::{acl_on_dead_path, built_in_role_extended, dangling_acl, role_uses_removed_privilege};
pub(crate) use administrators::{
    administrator_without_second_factor, dormant_administrator, no_named_administrator,
};
pub(crate) use powers::{hidden_administrator, strong_right_of_non_administrator};
pub(crate) use tokens::{
    administrator_token_without_expiry, administrator_token_without_privilege_separation,
};

use crate::formats::user_cfg::{AclEntry, AclSubject, User};
use crate::host::access::USER_CFG;
use crate::host::access::power::Power;
use crate::outcome::Evidence;

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
