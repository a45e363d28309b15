//! The ACL entries a privilege comes from, for evidence.

use super::tree::Decision;
use super::{Effective, Subject};
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
        let bit = match privilege.map(|privilege| self.roles.bit(privilege)) {
            None => None,
            Some(None) => return Vec::new(),
            Some(bit) => bit,
        };
        let pools = self.pools_that_differ(subject, path);
        // What NoAccess wiped gives nothing.
        let held = self.with_pools(subject, path);
        let mut found = Vec::new();
        for decision in std::iter::once(path).chain(pools).filter_map(|path| self.deciding(subject, path)) {
            for decider in deciders(subject, &decision) {
                let entries = self.entries(decision.level, &decider).iter();
                found.extend(entries.filter(|entry| {
                    (decision.last || entry.propagate)
                        && self.roles.id(&entry.role).is_some_and(|role| {
                            held.binary_search_by_key(&role, |(held, _)| *held).is_ok()
                                && bit.is_none_or(|bit| self.roles.privileges(role).contains(bit))
                        })
                }));
                if found.len() >= GRANTS_LIMIT {
                    found.truncate(GRANTS_LIMIT);
                    return found;
                }
            }
        }
        found
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

/// Whose entries make up a decision.
fn deciders(subject: Subject<'_>, decision: &Decision<'_>) -> Vec<AclSubject> {
    match (&decision.groups, subject) {
        (Some(groups), _) => groups.iter().map(|group| AclSubject::Group((*group).to_owned())).collect(),
        (None, Subject::User(id)) => vec![AclSubject::User(id.to_owned())],
        (None, Subject::Token(id)) => vec![AclSubject::Token(id.to_owned())],
        (None, Subject::Member { user, .. }) => {
            user.into_iter().map(|id| AclSubject::User(id.to_owned())).collect()
        }
    }
}
