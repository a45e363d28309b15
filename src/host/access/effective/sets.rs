//! Privileges as bits and roles as numbers: a cluster of thousands of users asks for them some hundred thousand times.

use std::collections::BTreeMap;

use crate::formats::user_cfg::UserCfg;
use crate::formats::user_cfg::roles::{ADMINISTRATOR, NO_ACCESS, builtin_roles, privileges};

/// A set of privileges of one release; no release has more than 64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(in crate::host::access) struct Set(u64);

impl Set {
    pub(in crate::host::access) fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether every privilege of `other` is in the set.
    pub(in crate::host::access) fn contains_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// How many privileges it has.
    pub(in crate::host::access) fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Whether it has no privilege.
    pub(in crate::host::access) fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether any privilege of `other` is in the set.
    pub(in crate::host::access) fn contains(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
}

/// The number of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RoleId(usize);

/// The number of `NoAccess`.
pub(super) const NO_ACCESS_ROLE: RoleId = RoleId(0);

/// The number of `Administrator`.
const ADMINISTRATOR_ROLE: RoleId = RoleId(1);

/// Every role of a configuration, built-in ones included, with its privileges.
#[derive(Debug)]
pub(super) struct RoleTable<'a> {
    /// The privileges of the release, in the order of their bits.
    privileges: Vec<&'static str>,
    /// Name and privileges, in the order of the numbers.
    roles: Vec<(&'a str, Set)>,
    ids: BTreeMap<&'a str, RoleId>,
}

impl<'a> RoleTable<'a> {
    pub(super) fn new(cfg: &'a UserCfg) -> Self {
        let mut new = Self {
            privileges: privileges(cfg.release).into_iter().collect(),
            roles: Vec::new(),
            ids: BTreeMap::new(),
        };
        let rest = builtin_roles(cfg.release).into_iter().chain(cfg.roles.keys().map(String::as_str));
        for name in [NO_ACCESS, ADMINISTRATOR].into_iter().chain(rest) {
            if new.ids.contains_key(name) {
                continue;
            }
            new.ids.insert(name, RoleId(new.roles.len()));
            let set = cfg.role_privileges(name).into_iter().flatten().filter_map(|name| new.bit(name));
            let set = set.fold(Set::default(), Set::or);
            new.roles.push((name, set));
        }
        new
    }

    /// The set of this privilege alone, if the release knows it.
    pub(super) fn bit(&self, privilege: &str) -> Option<Set> {
        let place = self.privileges.binary_search(&privilege).ok()?;
        1_u64.checked_shl(u32::try_from(place).ok()?).map(Set)
    }

    /// Each privilege of the set: alone, and by name.
    pub(super) fn names(&self, set: Set) -> impl Iterator<Item = (Set, &'static str)> {
        let bits = (0..u64::BITS).filter_map(|place| 1_u64.checked_shl(place)).map(Set);
        bits.zip(self.privileges.iter().copied()).filter(move |(bit, _)| set.contains(*bit))
    }

    /// Every privilege of the release.
    pub(super) fn every(&self) -> Set {
        (0..self.privileges.len())
            .filter_map(|place| 1_u64.checked_shl(u32::try_from(place).ok()?))
            .fold(Set::default(), |set, bit| set.or(Set(bit)))
    }

    pub(super) fn id(&self, role: &str) -> Option<RoleId> {
        self.ids.get(role).copied()
    }

    pub(super) fn name(&self, role: RoleId) -> Option<&'a str> {
        self.roles.get(role.0).map(|(name, _)| *name)
    }

    pub(super) fn privileges(&self, role: RoleId) -> Set {
        self.roles.get(role.0).map(|(_, set)| *set).unwrap_or_default()
    }

    pub(super) fn administrator(&self) -> Set {
        self.privileges(ADMINISTRATOR_ROLE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::release::Release;
    use crate::formats::user_cfg::parse;

    #[test]
    fn every_release_fits_into_a_set() {
        for release in Release::ALL {
            let cfg = parse("", release).value;
            let table = RoleTable::new(&cfg);
            let all: Vec<_> = table.names(table.administrator()).map(|(_, name)| name).collect();
            assert_eq!(all, privileges(release).into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn roles_keep_their_names_and_privileges() {
        let cfg = parse("role:R:VM.Audit:\nrole:NoAccess:Sys.Audit:\n", Release::Pve8).value;
        let table = RoleTable::new(&cfg);
        for (name, &id) in &table.ids {
            assert_eq!(table.name(id), Some(*name));
            let held: Vec<_> = table.names(table.privileges(id)).map(|(_, name)| name).collect();
            assert_eq!(held, cfg.role_privileges(name).unwrap().into_iter().collect::<Vec<_>>(), "{name}");
        }
        assert_eq!(table.id("NoAccess"), Some(NO_ACCESS_ROLE));
        assert_eq!(table.id("Gone"), None);
        assert_eq!(table.bit("VM.GuestAgent.Audit"), None);
    }
}
