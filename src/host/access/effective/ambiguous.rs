//! Propagation that upstream decides by chance.
//!
//! `roles` in pve-access-control goes through the groups of a level in the order of a Perl hash, and the last group
//! that gives a role says whether it propagates.

use super::sets::{RoleId, Set};
use super::{Effective, Subject};

/// One group's roles on the deciding level.
type Group<'e> = &'e [(RoleId, bool)];

impl Effective<'_> {
    /// The privileges of `roles`, the outcome for this subject and path, that propagate with one order of the groups
    /// and not with another.
    pub(super) fn by_chance(&self, subject: Subject<'_>, path: &str, roles: &[(RoleId, bool)]) -> Set {
        let Some(decision) = self.deciding(subject, path) else { return Set::default() };
        let never = |role: RoleId| {
            decision.usable.iter().copied().flatten().any(|(other, flag)| *other == role && !flag)
        };
        let (mixed, certain): (Vec<RoleId>, Vec<RoleId>) =
            roles.iter().filter(|(_, flag)| *flag).map(|(role, _)| *role).partition(|role| never(*role));
        if mixed.is_empty() {
            return Set::default();
        }
        let union = |roles: &[RoleId]| {
            roles.iter().fold(Set::default(), |set, role| set.or(self.roles.privileges(*role)))
        };
        let certain = union(&certain);
        let possible = self.roles.names(union(&mixed)).map(|(bit, _)| bit);
        let open = possible.filter(|bit| !certain.contains(*bit));
        let open = open.filter(|bit| {
            let bringing: Vec<RoleId> =
                mixed.iter().copied().filter(|role| self.roles.privileges(*role).contains(*bit)).collect();
            all_can_be_narrow(&decision.usable, bringing)
        });
        open.fold(Set::default(), Set::or)
    }
}

/// Whether the groups can come in an order in which each of these roles is last given without propagation. A group
/// may stand behind all others if it gives none of them with propagation; those it gives are settled by it.
fn all_can_be_narrow(groups: &[Group<'_>], mut open: Vec<RoleId>) -> bool {
    let gives = |group: Group<'_>, role: RoleId, flag: bool| group.contains(&(role, flag));
    while !open.is_empty() {
        let may_be_last = |group: &&Group<'_>| {
            open.iter().all(|role| !gives(group, *role, true))
                && open.iter().any(|role| gives(group, *role, false))
        };
        let Some(last) = groups.iter().find(may_be_last) else { return false };
        open.retain(|role| !gives(last, *role, false));
    }
    true
}
