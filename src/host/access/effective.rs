//! The privileges a user or token has on a path.
//!
//! Follows `roles` in pve-access-control `src/PVE/AccessControl.pm` and `permissions` and `compile_acl_path` in
//! `src/PVE/RPCEnvironment.pm` (7.4.3, 8.2.3, 9.1.1). As there, nothing looks at whether an account is enabled
//! or expired: that is decided when somebody logs in.

mod grants;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::formats::user_cfg::names::{ROOT, is_user_id, split_token_id};
use crate::formats::user_cfg::roles::{ADMINISTRATOR, NO_ACCESS, builtin_roles};
use crate::formats::user_cfg::{AclEntry, AclSubject, UserCfg};

/// Privileges on one path. The value says whether the privilege came with propagation; it only matters to
/// whoever hands out ACLs, not to whether the privilege holds here.
pub type Privileges = BTreeMap<&'static str, bool>;

/// Roles on one path, with propagation as in [`Privileges`].
pub type Roles<'a> = BTreeMap<&'a str, bool>;

pub use grants::GRANTS_LIMIT;

/// Computes effective privileges from user.cfg.
#[derive(Debug)]
pub struct Effective<'a> {
    cfg: &'a UserCfg,
    /// Every role with its privileges, built-in ones included.
    roles: BTreeMap<&'a str, BTreeSet<&'static str>>,
    /// The ACL as a tree; the first node is `/`. Kept flat, so that a deep path cannot exhaust the stack.
    nodes: Vec<Node<'a>>,
    /// Groups by member.
    groups: BTreeMap<&'a str, Vec<&'a str>>,
    /// ACL paths of the pools a path of a guest or storage belongs to.
    pools: BTreeMap<String, Vec<String>>,
}

/// The ACL entries of one path.
#[derive(Debug, Default)]
struct Node<'a> {
    children: BTreeMap<&'a str, usize>,
    users: BTreeMap<&'a str, Roles<'a>>,
    groups: BTreeMap<&'a str, Roles<'a>>,
    tokens: BTreeMap<&'a str, Roles<'a>>,
}

/// Who a path is resolved for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject<'s> {
    /// A user, by id. He need not exist.
    User(&'s str),
    /// The ACL entries of a token by themselves, by id: neither separation nor owner count.
    Token(&'s str),
    /// Somebody in this group and no other.
    Member {
        /// The group. It need not exist.
        group: &'s str,
        /// Who it is; `None` for somebody without an ACL entry of his own.
        user: Option<&'s str>,
    },
}

impl<'a> Effective<'a> {
    /// Prepares `cfg` for questions.
    pub fn new(cfg: &'a UserCfg) -> Self {
        let mut new = Self {
            cfg,
            roles: all_roles(cfg),
            nodes: vec![Node::default()],
            groups: BTreeMap::new(),
            pools: pool_paths(cfg),
        };
        for (name, group) in &cfg.groups {
            for member in &group.members {
                new.groups.entry(member).or_default().push(name);
            }
        }
        for entry in &cfg.acl {
            new.add(entry);
        }
        new
    }

    /// The privileges `id` (a user or token id) has on `path`, written as the API writes it: a leading slash,
    /// no trailing one.
    ///
    /// `root@pam` has every privilege everywhere. A user needs no line of his own; a token does.
    pub fn privileges(&self, id: &str, path: &str) -> Privileges {
        if id == ROOT {
            let all = self.roles.get(ADMINISTRATOR).into_iter().flatten();
            return all.map(|privilege| (*privilege, true)).collect();
        }
        if let Some((owner, _)) = split_token_id(id) {
            return self.token_privileges(id, owner, path);
        }
        if is_user_id(id) {
            self.granted(&self.with_pools(Subject::User(id), path))
        } else {
            Privileges::new()
        }
    }

    /// The privileges ACLs and pools give this subject on `path`, nothing else considered: neither that `root@pam`
    /// has them all nor the owner of a token.
    pub fn granted_to(&self, subject: Subject<'_>, path: &str) -> Privileges {
        self.granted(&self.with_pools(subject, path))
    }

    /// How many parts the path of the ACL entries has that decide for this subject on `path`, pools aside: 0 is
    /// `/`. `None` if no entry says anything about it.
    pub fn deciding_depth(&self, subject: Subject<'_>, path: &str) -> Option<usize> {
        let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
        let mut found = None;
        let mut node = self.nodes.first();
        let mut depth = 0;
        while let Some(level) = node {
            if !self.on_level(level, subject, parts.peek().is_none()).is_empty() {
                found = Some(depth);
            }
            depth += 1;
            node = parts
                .next()
                .and_then(|part| level.children.get(part))
                .and_then(|child| self.nodes.get(*child));
        }
        found
    }

    /// The groups that list this user.
    pub fn groups_of(&self, user: &str) -> &[&'a str] {
        self.groups.get(user).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether `id` has `privilege` on `path`.
    pub fn has(&self, id: &str, path: &str, privilege: &str) -> bool {
        self.privileges(id, path).contains_key(privilege)
    }

    /// The roles that ACLs give `id` on `path`, through pools too. For a token these are the roles of the token
    /// itself, which do not count while its privilege separation is off; for `root@pam` no role counts.
    pub fn roles(&self, id: &str, path: &str) -> Roles<'a> {
        if split_token_id(id).is_some() {
            self.with_pools(Subject::Token(id), path)
        } else {
            self.with_pools(Subject::User(id), path)
        }
    }

    /// The paths on which somebody's privileges can change: `/`, those of ACL entries, and those of the guests and
    /// storages in pools.
    pub fn paths(&self) -> BTreeSet<&str> {
        let acl = self.cfg.acl.iter().map(|entry| entry.path.as_str());
        acl.chain(self.pools.keys().map(String::as_str)).chain(["/"]).collect()
    }

    /// Every user and token the file defines.
    pub fn ids(&self) -> Vec<String> {
        let mut ids = Vec::new();
        for (user, entry) in &self.cfg.users {
            ids.push(user.clone());
            ids.extend(entry.tokens.keys().map(|token| format!("{user}!{token}")));
        }
        ids
    }

    fn token_privileges(&self, id: &str, owner: &str, path: &str) -> Privileges {
        let Some(token) = self.cfg.token(id) else { return Privileges::new() };
        if !token.privsep {
            return self.privileges(owner, path);
        }
        let own = self.granted(&self.with_pools(Subject::Token(id), path));
        if owner == ROOT {
            return own;
        }
        let owners = self.privileges(owner, path);
        let both = |(name, flag)| owners.get(name).map(|owners_flag| (name, flag && *owners_flag));
        own.into_iter().filter_map(both).collect()
    }

    /// The privileges of these roles; one brought by several roles propagates if any of them does.
    fn granted(&self, roles: &Roles<'a>) -> Privileges {
        let mut privileges = Privileges::new();
        for (role, propagate) in roles {
            for privilege in self.roles.get(role).into_iter().flatten() {
                *privileges.entry(privilege).or_default() |= propagate;
            }
        }
        privileges
    }

    /// The roles on a path, and on the pools the guest or storage of that very path is a direct member of.
    fn with_pools(&self, subject: Subject<'_>, path: &str) -> Roles<'a> {
        let mut roles = self.on_path(subject, path);
        if roles.contains_key(NO_ACCESS) {
            return roles;
        }
        let mut pool_roles = Roles::new();
        for pool in self.pools.get(path).into_iter().flatten() {
            pool_roles.extend(self.on_path(subject, pool));
        }
        if pool_roles.contains_key(NO_ACCESS) {
            return Roles::from([(NO_ACCESS, false)]);
        }
        for role in pool_roles.into_keys() {
            roles.entry(role).or_insert(false);
        }
        roles
    }

    /// The roles of the deepest level of the path that says anything about the subject.
    fn on_path(&self, subject: Subject<'_>, path: &str) -> Roles<'a> {
        let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
        let mut current = Roles::new();
        let mut node = self.nodes.first();
        while let Some(level) = node {
            let last = parts.peek().is_none();
            let here = self.on_level(level, subject, last);
            if !here.is_empty() {
                current = here;
            }
            node = parts
                .next()
                .and_then(|part| level.children.get(part))
                .and_then(|child| self.nodes.get(*child));
        }
        match current.get(NO_ACCESS) {
            Some(propagate) => Roles::from([(NO_ACCESS, *propagate)]),
            None => current,
        }
    }

    /// What one level says: the subject's own entries, or, if there are none that count here, those of all
    /// groups of a user together.
    fn on_level(&self, level: &Node<'a>, subject: Subject<'_>, last: bool) -> Roles<'a> {
        let usable = |roles: Option<&Roles<'a>>| -> Roles<'a> {
            let counts = |(_, propagate): &(&&str, &bool)| last || **propagate;
            roles.into_iter().flatten().filter(counts).map(|(role, propagate)| (*role, *propagate)).collect()
        };
        match subject {
            Subject::Token(id) => usable(level.tokens.get(id)),
            Subject::Member { group, user } => {
                let own = user.map(|user| usable(level.users.get(user))).unwrap_or_default();
                if own.is_empty() { usable(level.groups.get(group)) } else { own }
            }
            Subject::User(id) => {
                let own = usable(level.users.get(id));
                if !own.is_empty() || level.groups.is_empty() {
                    return own;
                }
                let mut merged = Roles::new();
                for group in self.groups.get(id).into_iter().flatten() {
                    for (role, propagate) in usable(level.groups.get(group)) {
                        // Where two groups differ upstream takes either, by chance: take the wider.
                        *merged.entry(role).or_default() |= propagate;
                    }
                }
                merged
            }
        }
    }

    fn add(&mut self, entry: &'a AclEntry) {
        let mut index = 0;
        for part in entry.path.split('/').filter(|part| !part.is_empty()) {
            let fresh = self.nodes.len();
            let Some(node) = self.nodes.get_mut(index) else { return };
            index = *node.children.entry(part).or_insert(fresh);
            if index == fresh {
                self.nodes.push(Node::default());
            }
        }
        let Some(node) = self.nodes.get_mut(index) else { return };
        let (subjects, name) = match &entry.subject {
            AclSubject::User(id) => (&mut node.users, id),
            AclSubject::Group(name) => (&mut node.groups, name),
            AclSubject::Token(id) => (&mut node.tokens, id),
        };
        subjects.entry(name).or_default().insert(&entry.role, entry.propagate);
    }
}

fn all_roles(cfg: &UserCfg) -> BTreeMap<&str, BTreeSet<&'static str>> {
    let names = builtin_roles(cfg.release).into_iter().chain(cfg.roles.keys().map(String::as_str));
    names.filter_map(|name| cfg.role_privileges(name).map(|privileges| (name, privileges))).collect()
}

/// The pools that lend their roles to a path, by path.
fn pool_paths(cfg: &UserCfg) -> BTreeMap<String, Vec<String>> {
    let mut paths: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, pool) in &cfg.pools {
        let guests = pool.vms.iter().map(|vm| format!("/vms/{vm}"));
        let storages = pool.storages.iter().map(|storage| format!("/storage/{storage}"));
        for path in guests.chain(storages) {
            paths.entry(path).or_default().push(format!("/pool/{name}"));
        }
    }
    paths
}
