//! `/etc/pve/user.cfg`: users, API tokens, groups, pools, roles and ACLs.
//!
//! Follows `parse_user_config` in pve-access-control `src/PVE/AccessControl.pm` (7.4.3, 8.2.3, 9.1.1). No error
//! is fatal there: a bad line is dropped and the rest is used. The file is read in one pass, top to bottom, so
//! a role must stand before an ACL that uses it, a user before his tokens, a token before its ACLs.
//!
//! The file may hold second factors of old releases (field `keys`), so no issue quotes a `user:` line.

pub mod acl_path;
pub mod codes;
pub mod names;
mod parse;
pub mod roles;
mod text;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::formats::Issue;
use crate::formats::release::Release;
pub use parse::{ACL_LIMIT, Rules, parse, parse_by};

/// Everything user.cfg says, as the given release reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserCfg {
    /// The release whose rules the text was read by.
    pub release: Release,
    /// Users by user id. `root@pam` is always there.
    pub users: BTreeMap<String, User>,
    /// Groups by name.
    pub groups: BTreeMap<String, Group>,
    /// Pools by full name (`a/b`), ancestors of nested pools included.
    pub pools: BTreeMap<String, Pool>,
    /// The roles the file defines or extends, by name. Built-in roles it does not mention are not listed.
    pub roles: BTreeMap<String, Role>,
    /// ACL entries, ordered by path, subject and role.
    pub acl: Vec<AclEntry>,
    /// What upstream reads without doubt but nobody should have written, in line order: the codes are
    /// [`codes::REMARKS`]. A pass may rest on these lines.
    pub remarks: Vec<Issue>,
    /// The groups of every member, in the order of their names: [`Group::members`] the other way round.
    memberships: BTreeMap<String, Vec<String>>,
}

/// A `user:` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Whether the user may log in. A line without the field disables him.
    pub enable: bool,
    /// When the account expires, in seconds since the epoch; 0 is never.
    pub expire: u64,
    /// First name.
    pub first_name: Option<String>,
    /// Last name.
    pub last_name: Option<String>,
    /// E-mail address.
    pub email: Option<String>,
    /// Free text.
    pub comment: Option<String>,
    /// What the field for second factors holds.
    pub keys: Keys,
    /// API tokens by name (without `user@realm!`).
    pub tokens: BTreeMap<String, Token>,
    /// Groups noted with the user himself: only those whose line stands after the user's (last) line. ACLs do
    /// not use this but [`Group::members`].
    pub noted_groups: BTreeSet<String>,
    /// Line of the entry; `root@pam` without a line of its own has none.
    pub line: Option<u32>,
}

/// What the field `keys` of a user holds. The text itself is a secret and is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Keys {
    /// Nothing. In release 7 such a user is not asked for a second factor.
    None,
    /// `x` or `x!type`: the factors stand in priv/tfa.cfg.
    Marker,
    /// Key material or Yubico ids of an old release, readable by www-data.
    LegacySecret,
}

/// A `token:` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// When the token expires, in seconds since the epoch; 0 is never.
    pub expire: u64,
    /// Whether the token is held to its own ACLs. Without it (the default of the file) it has every right of
    /// its owner.
    pub privsep: bool,
    /// Free text.
    pub comment: Option<String>,
    /// Line of the (last) entry.
    pub line: u32,
}

/// A `group:` line, or several of the same name merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// User ids, also of users that do not exist: they count as soon as somebody creates them.
    pub members: BTreeSet<String>,
    /// Free text.
    pub comment: Option<String>,
    /// Line of the first entry.
    pub line: u32,
}

/// A `pool:` line, or several of the same name merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    /// Free text.
    pub comment: Option<String>,
    /// Guests that are direct members. A guest is in one pool only.
    pub vms: BTreeSet<u64>,
    /// Storages that are direct members. A storage may be in several pools.
    pub storages: BTreeSet<String>,
    /// The pool this one is nested in.
    pub parent: Option<String>,
    /// Pools nested directly in this one.
    pub children: BTreeSet<String>,
    /// Line of the first entry, or of the nested pool that brought this one into being.
    pub line: u32,
}

/// A `role:` line, or several of the same name merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Privileges on these lines that the release knows. For a built-in role they come on top of its own.
    pub privileges: BTreeSet<&'static str>,
    /// Names on these lines that are no privilege of the release. Upstream drops them and keeps the role.
    pub unknown: BTreeSet<String>,
    /// Whether the release ships a role of this name, which the line then extends. The API never writes that.
    pub builtin: bool,
    /// Line of the first entry.
    pub line: u32,
}

/// One subject with one role on one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclEntry {
    /// The path the entry takes effect on, see [`acl_path::normalise`].
    pub path: String,
    /// Who gets the role.
    pub subject: AclSubject,
    /// The role: built-in or in [`UserCfg::roles`].
    pub role: String,
    /// Whether the role also holds on paths below.
    pub propagate: bool,
    /// Whether the subject does not exist. The entry takes effect when somebody creates it.
    pub dangling: bool,
    /// Line of the (last) entry.
    pub line: u32,
}

/// Who an ACL entry is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum AclSubject {
    /// A user id.
    User(String),
    /// A group name, without the `@` of the file.
    Group(String),
    /// A token id (`user@realm!token`).
    Token(String),
}

impl UserCfg {
    /// The token of this token id, if the file defines it.
    pub fn token(&self, id: &str) -> Option<&Token> {
        let (user, token) = names::split_token_id(id)?;
        self.users.get(user)?.tokens.get(token)
    }

    /// The privileges of a role as the file leaves it: those shipped and those a `role:` line adds. Nothing if
    /// there is no such role.
    pub fn role_privileges(&self, role: &str) -> Option<BTreeSet<&'static str>> {
        let shipped = roles::builtin(role, self.release);
        let added = self.roles.get(role).map(|role| &role.privileges);
        match (shipped, added) {
            (None, None) => None,
            (shipped, added) => {
                Some(shipped.into_iter().flatten().chain(added.into_iter().flatten().copied()).collect())
            }
        }
    }

    /// The groups that list this user id, whether or not the user exists, by name.
    pub fn groups_of<'a>(&'a self, user: &str) -> impl Iterator<Item = &'a str> + use<'a> {
        self.group_names(user).iter().map(String::as_str)
    }

    /// As [`UserCfg::groups_of`], in one piece.
    pub(crate) fn group_names(&self, user: &str) -> &[String] {
        self.memberships.get(user).map(Vec::as_slice).unwrap_or_default()
    }
}
