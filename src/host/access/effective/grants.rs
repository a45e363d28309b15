//! The ACL entries a privilege comes from, for evidence.

use std::ops::Range;

use super::sets::{RoleId, Set};
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
        let bit = match privilege.map(|privilege| self.roles.bit(privilege)) {
            None => None,
            Some(None) => return Vec::new(),
            Some(bit) => bit,
        };
        let sources = self.sources(subject, path).into_iter();
        let fits = sources.filter(|(_, brought)| bit.is_none_or(|bit| brought.contains(bit)));
        fits.take(GRANTS_LIMIT).filter_map(|(place, _)| self.cfg.acl.get(place)).collect()
    }

    /// The ACL entries in force for this subject on `path`, by their place in the ACL, each with the privileges of its
    /// role. None for `root@pam`, to whom no ACL applies.
    pub(in crate::host::access) fn sources(&self, subject: Subject<'_>, path: &str) -> Vec<(usize, Set)> {
        if matches!(subject, Subject::User(ROOT)) {
            return Vec::new();
        }
        let pools = self.pools_that_differ(subject, path);
        // What NoAccess wiped gives nothing.
        let held = self.with_pools(subject, path);
        let mut found = Vec::new();
        for decision in std::iter::once(path).chain(pools).filter_map(|path| self.deciding(subject, path)) {
            for decider in deciders(subject, &decision) {
                for place in self.entries(decision.level, &decider) {
                    let entry = self.cfg.acl.get(place).filter(|entry| decision.last || entry.propagate);
                    let role = entry.and_then(|entry| self.roles.id(&entry.role));
                    let is_held = |role: &RoleId| held.binary_search_by_key(role, |(held, _)| *held).is_ok();
                    found.extend(role.filter(is_held).map(|role| (place, self.roles.privileges(role))));
                }
            }
        }
        found
    }

    /// The places of the entries of one subject on exactly this path; the ACL is ordered by path and subject.
    fn entries(&self, path: &str, subject: &AclSubject) -> Range<usize> {
        let acl = self.cfg.acl.as_slice();
        let key = (path, subject);
        let start = acl.partition_point(|entry| (entry.path.as_str(), &entry.subject) < key);
        let end = acl.partition_point(|entry| (entry.path.as_str(), &entry.subject) <= key);
        start..end
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
