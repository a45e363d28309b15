//! The ACL entries a privilege comes from, for evidence.

use super::{Effective, Node, Roles, Subject};
use crate::formats::user_cfg::names::{ROOT, split_token_id};
use crate::formats::user_cfg::{AclEntry, AclSubject};

/// Most ACL entries named as the source of one privilege.
pub const GRANTS_LIMIT: usize = 8;

impl<'a> Effective<'a> {
    /// The ACL entries that give `id` the `privilege` on `path` (any privilege where none is named), at most
    /// [`GRANTS_LIMIT`]. None for `root@pam`, to whom no ACL applies; those of the owner for a token without
    /// privilege separation; the token's own for other tokens.
    pub fn grants(&self, id: &str, path: &str, privilege: Option<&str>) -> Vec<&'a AclEntry> {
        let Some((owner, _)) = split_token_id(id) else {
            return self.grants_to(Subject::User(id), path, privilege);
        };
        match self.cfg.token(id) {
            Some(token) if token.privsep => self.grants_to(Subject::Token(id), path, privilege),
            Some(_) => self.grants_to(Subject::User(owner), path, privilege),
            None => Vec::new(),
        }
    }

    /// The ACL entries that give this subject the `privilege` on `path`, as [`Effective::grants`].
    pub fn grants_to(&self, subject: Subject<'_>, path: &str, privilege: Option<&str>) -> Vec<&'a AclEntry> {
        if matches!(subject, Subject::User(ROOT)) {
            return Vec::new();
        }
        let pools = self.pools.get(path).into_iter().flatten().map(String::as_str);
        let levels = std::iter::once(path).chain(pools).filter_map(|path| self.deciding(subject, path));
        // What NoAccess wiped gives nothing.
        let held = self.with_pools(subject, path);
        let brings =
            |role: &str, privilege| self.roles.get(role).is_some_and(|role| role.contains(privilege));
        let wanted = |entry: &&AclEntry| {
            held.contains_key(entry.role.as_str())
                && privilege.is_none_or(|privilege| brings(&entry.role, privilege))
        };
        let usable = |(level, exact, subjects): (String, bool, Vec<AclSubject>)| {
            let entries = subjects.into_iter().flat_map(move |subject| self.entries(&level, &subject));
            entries.filter(move |entry| exact || entry.propagate)
        };
        levels.flat_map(usable).filter(wanted).take(GRANTS_LIMIT).collect()
    }

    /// The level of the path that decides: its path, whether it is the path asked for, and whose entries count.
    fn deciding(&self, subject: Subject<'_>, path: &str) -> Option<(String, bool, Vec<AclSubject>)> {
        let mut parts = path.split('/').filter(|part| !part.is_empty()).peekable();
        let mut here = String::new();
        let mut found = None;
        let mut node = self.nodes.first();
        while let Some(level) = node {
            let last = parts.peek().is_none();
            if !self.on_level(level, subject, last).is_empty() {
                let level_path = if here.is_empty() { "/".to_owned() } else { here.clone() };
                found = Some((level_path, last, self.deciders(level, subject, last)));
            }
            node = parts.next().and_then(|part| {
                here.push('/');
                here.push_str(part);
                level.children.get(part).and_then(|child| self.nodes.get(*child))
            });
        }
        found
    }

    /// Whose entries make up [`Effective::on_level`].
    fn deciders(&self, level: &Node<'a>, subject: Subject<'_>, last: bool) -> Vec<AclSubject> {
        let (id, group) = match subject {
            Subject::Token(id) => return vec![AclSubject::Token(id.to_owned())],
            Subject::Member { group, user } => (user, Some(group)),
            Subject::User(id) => (Some(id), None),
        };
        let usable = |roles: &Roles<'_>| roles.values().any(|propagate| last || *propagate);
        if let Some(id) = id.filter(|id| level.users.get(id).is_some_and(usable)) {
            return vec![AclSubject::User(id.to_owned())];
        }
        if let Some(group) = group {
            return vec![AclSubject::Group(group.to_owned())];
        }
        let Some(id) = id else { return Vec::new() };
        let groups = self.groups.get(id).into_iter().flatten();
        let named = groups.filter(|group| level.groups.contains_key(**group));
        named.map(|group| AclSubject::Group((*group).to_owned())).collect()
    }

    /// The entries of one subject on exactly this path; the ACL is ordered by path and subject.
    fn entries(&self, path: &str, subject: &AclSubject) -> &'a [AclEntry] {
        let acl = self.cfg.acl.as_slice();
        let key = (path, subject);
        let start = acl.partition_point(|entry| (entry.path.as_str(), &entry.subject) < key);
        let end = acl.partition_point(|entry| (entry.path.as_str(), &entry.subject) <= key);
        acl.get(start..end).unwrap_or_default()
    }
}
