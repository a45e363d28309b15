//! The privileges a user or token has on a path.
//!
//! Follows `roles` in pve-access-control `src/PVE/AccessControl.pm` and `permissions` and `compile_acl_path` in
//! `src/PVE/RPCEnvironment.pm` (7.4.3, 8.2.3, 9.1.1). As there, nothing looks at whether an account is enabled
//! or expired: that is decided when somebody logs in.

mod ambiguous;
mod grants;
mod pools;
pub(super) mod sets;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::{BTreeMap, BTreeSet};

use crate::formats::user_cfg::names::{ROOT, is_user_id, split_token_id};
use crate::formats::user_cfg::{AclSubject, UserCfg};
use pools::Pools;
use sets::{NO_ACCESS_ROLE, RoleId, RoleTable, Set};
use tree::{Decision, Tree};

/// Privileges on one path. The value says whether the privilege came with propagation; it only matters to
/// whoever hands out ACLs, not to whether the privilege holds here.
pub type Privileges = BTreeMap<&'static str, bool>;

/// Roles on one path, with propagation as in [`Privileges`].
pub type Roles<'a> = BTreeMap<&'a str, bool>;

pub use grants::GRANTS_LIMIT;

/// What the path of a guest that somebody may create in a pool starts with; the ACL path of the pool follows. No path
/// of an ACL can have a space.
pub(super) const NEW_GUEST_OF: &str = "/vms/* of ";

/// Computes effective privileges from user.cfg.
#[derive(Debug)]
pub struct Effective<'a> {
    cfg: &'a UserCfg,
    /// Every role with its privileges, built-in ones included.
    roles: RoleTable<'a>,
    /// The ACL entries by path.
    tree: Tree<'a>,
    pools: Pools<'a>,
    /// The paths below `/pool` of the ACL entries of each subject, sorted.
    on_pools: BTreeMap<&'a AclSubject, Vec<&'a str>>,
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

/// Roles on one path, each once, in the order of their numbers.
type Held = Vec<(RoleId, bool)>;

/// Privileges on one path, those of them with propagation, and those of these whose propagation upstream decides
/// by chance.
#[derive(Debug, Clone, Copy, Default)]
struct Power {
    held: Set,
    wide: Set,
    ambiguous: Set,
}

/// Whether somebody asks for what costs more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    Flags,
    Ambiguity,
}

impl<'a> Effective<'a> {
    /// Prepares `cfg` for questions.
    pub fn new(cfg: &'a UserCfg) -> Self {
        let roles = RoleTable::new(cfg);
        let tree = Tree::new(cfg, &roles);
        Self { cfg, roles, tree, pools: Pools::of(cfg), on_pools: pool_entries(cfg) }
    }

    /// The privileges `id` (a user or token id) has on `path`, written as the API writes it: a leading slash,
    /// no trailing one.
    ///
    /// `root@pam` has every privilege everywhere. A user needs no line of his own; a token does.
    pub fn privileges(&self, id: &str, path: &str) -> Privileges {
        let power = self.power(id, path, Want::Flags);
        self.roles.names(power.held).map(|(bit, name)| (name, power.wide.contains(bit))).collect()
    }

    /// The privileges of [`Effective::privileges`] as a set.
    pub(super) fn held(&self, id: &str, path: &str) -> Set {
        self.power(id, path, Want::Flags).held
    }

    /// The privileges ACLs and pools give this subject on `path`, nothing else considered: neither that `root@pam`
    /// has them all nor the owner of a token.
    pub fn granted_to(&self, subject: Subject<'_>, path: &str) -> Privileges {
        let power = self.granted(subject, path, Want::Flags);
        self.roles.names(power.held).map(|(bit, name)| (name, power.wide.contains(bit))).collect()
    }

    /// The privileges of [`Effective::granted_to`] as a set.
    pub(super) fn held_by(&self, subject: Subject<'_>, path: &str) -> Set {
        self.granted(subject, path, Want::Flags).held
    }

    /// These privileges as a set, every one of the release where none is named; `None` if the release does not know
    /// one of them.
    pub(super) fn set_of(&self, all: &[&str]) -> Option<Set> {
        if all.is_empty() {
            return Some(self.roles.every());
        }
        let mut bits = all.iter().map(|name| self.roles.bit(name));
        bits.try_fold(Set::default(), |set, bit| Some(set.or(bit?)))
    }

    /// The privileges that only look: those whose names end in `.Audit`.
    pub(super) fn looking(&self) -> Set {
        let all = self.roles.names(self.roles.every());
        all.filter(|(_, name)| name.ends_with(".Audit")).fold(Set::default(), |set, (bit, _)| set.or(bit))
    }

    /// The privileges of a role; none if there is no such role.
    pub(super) fn of_role(&self, role: &str) -> Set {
        self.roles.id(role).map(|id| self.roles.privileges(id)).unwrap_or_default()
    }

    /// How many parts the path of the ACL entries has that decide for this subject on `path`, pools aside: 0 is
    /// `/`. `None` if no entry says anything about it.
    pub fn deciding_depth(&self, subject: Subject<'_>, path: &str) -> Option<usize> {
        let level = self.deciding(subject, path)?.level;
        Some(level.split('/').filter(|part| !part.is_empty()).count())
    }

    /// Whether `id` has `privilege` on `path`.
    pub fn has(&self, id: &str, path: &str, privilege: &str) -> bool {
        self.roles.bit(privilege).is_some_and(|bit| self.power(id, path, Want::Flags).held.contains(bit))
    }

    /// The privileges of [`Effective::privileges`] that propagate or not by chance: two groups give a role with
    /// different propagation on this very path, and upstream takes whichever its hash yields last. We take the
    /// wider. Whether the privilege holds is never in doubt.
    pub fn ambiguous(&self, id: &str, path: &str) -> BTreeSet<&'static str> {
        let power = self.power(id, path, Want::Ambiguity);
        self.roles.names(power.ambiguous).map(|(_, name)| name).collect()
    }

    /// The roles that ACLs give `id` on `path`, through pools too. For a token these are the roles of the token
    /// itself, which do not count while its privilege separation is off; for `root@pam` no role counts.
    pub fn roles(&self, id: &str, path: &str) -> Roles<'a> {
        let held = self.with_pools(Subject::of(id), path);
        held.into_iter().filter_map(|(role, flag)| Some((self.roles.name(role)?, flag))).collect()
    }

    /// The paths on which somebody's privileges can change: `/`, those of ACL entries, and those of the guests and
    /// storages in pools.
    pub fn paths(&self) -> BTreeSet<String> {
        let acl = self.cfg.acl.iter().map(|entry| entry.path.clone());
        acl.chain(self.pools.members()).chain(["/".to_owned()]).collect()
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

    fn power(&self, id: &str, path: &str, want: Want) -> Power {
        if id == ROOT {
            let all = self.roles.administrator();
            return Power { held: all, wide: all, ambiguous: Set::default() };
        }
        if let Some((owner, _)) = split_token_id(id) {
            return self.token_power(id, owner, path, want);
        }
        if is_user_id(id) { self.granted(Subject::User(id), path, want) } else { Power::default() }
    }

    fn token_power(&self, id: &str, owner: &str, path: &str, want: Want) -> Power {
        let Some(token) = self.cfg.token(id) else { return Power::default() };
        if !token.privsep {
            return self.power(owner, path, want);
        }
        let own = self.granted(Subject::Token(id), path, want);
        if owner == ROOT { own } else { own.and(self.power(owner, path, want)) }
    }

    /// The privileges of the roles on a path; one brought by several roles propagates if any of them does.
    fn granted(&self, subject: Subject<'_>, path: &str, want: Want) -> Power {
        let roles = self.with_pools(subject, path);
        let all = |wanted: &dyn Fn(bool) -> bool| {
            let privileges = roles.iter().filter(|(_, flag)| wanted(*flag));
            privileges.fold(Set::default(), |set, (role, _)| set.or(self.roles.privileges(*role)))
        };
        let (held, wide) = (all(&|_| true), all(&|flag| flag));
        let ambiguous = match want {
            Want::Flags => Set::default(),
            Want::Ambiguity => self.by_chance(subject, path, &roles),
        };
        Power { held, wide, ambiguous }
    }

    /// The roles on a path, and on the pools the guest or storage of that very path is a direct member of.
    fn with_pools(&self, subject: Subject<'_>, path: &str) -> Held {
        let mut roles = self.on_path(subject, path);
        if is_no_access(&roles) {
            return roles;
        }
        let mut lent = Held::new();
        for pool in self.pools_that_differ(subject, path) {
            lent.extend(self.on_path(subject, pool));
        }
        if is_no_access(&lent) {
            return vec![(NO_ACCESS_ROLE, false)];
        }
        for (role, _) in lent {
            if let Err(place) = roles.binary_search_by_key(&role, |(held, _)| *held) {
                roles.insert(place, (role, false));
            }
        }
        roles
    }

    /// The ACL paths of the pools the guest or storage of this path is a direct member of.
    pub(super) fn pools_of<'p>(&'p self, path: &'p str) -> impl Iterator<Item = &'p str> {
        let would_be = path.strip_prefix(NEW_GUEST_OF);
        would_be.into_iter().chain(self.pools.of_path(path))
    }

    /// Of [`Effective::pools_of`] those on which entries of this subject stand, or around which, and one of the others:
    /// a storage may be in every pool, and they all lend the same.
    pub(super) fn pools_that_differ<'p>(&'p self, subject: Subject<'_>, path: &'p str) -> Vec<&'p str> {
        let members = self.pools.of_path(path);
        if members.len() <= 2 {
            return self.pools_of(path).collect();
        }
        let all: Vec<&str> = members.collect();
        let mut differing: BTreeSet<&str> = BTreeSet::new();
        for entry in self.subjects(subject).iter().filter_map(|one| self.on_pools.get(one)).flatten() {
            let within = |pool: &&&str| {
                pool.strip_prefix(entry).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            let start = all.partition_point(|pool| *pool < *entry);
            let same = all.get(start..).unwrap_or_default().iter().take_while(|pool| pool.starts_with(entry));
            differing.extend(same.filter(within));
        }
        let other = all.iter().find(|pool| !differing.contains(*pool));
        differing.into_iter().chain(other.copied()).collect()
    }

    /// Whose ACL entries can say something about this subject.
    fn subjects(&self, subject: Subject<'_>) -> Vec<AclSubject> {
        match subject {
            Subject::Token(id) => vec![AclSubject::Token(id.to_owned())],
            Subject::Member { group, user } => {
                let user = user.map(|id| AclSubject::User(id.to_owned()));
                user.into_iter().chain([AclSubject::Group(group.to_owned())]).collect()
            }
            Subject::User(id) => {
                let groups = self.cfg.group_names(id).iter().map(|name| AclSubject::Group(name.clone()));
                groups.chain([AclSubject::User(id.to_owned())]).collect()
            }
        }
    }

    /// The roles of the deepest level of the path that says anything about the subject.
    fn on_path(&self, subject: Subject<'_>, path: &str) -> Held {
        let roles = match self.deciding(subject, path) {
            None => Held::new(),
            Some(Decision { usable, .. }) => merged(&usable),
        };
        match roles.iter().find(|(role, _)| *role == NO_ACCESS_ROLE) {
            Some(no_access) => vec![*no_access],
            None => roles,
        }
    }
}

/// Every role once; one that comes twice propagates if either does. Where two groups differ upstream takes
/// either, by chance.
fn merged(usable: &[&[(RoleId, bool)]]) -> Held {
    if let [own] = usable {
        return own.to_vec();
    }
    let mut roles: Held = usable.iter().copied().flatten().copied().collect();
    roles.sort_unstable_by_key(|(role, flag)| (*role, !flag));
    roles.dedup_by_key(|(role, _)| *role);
    roles
}

fn is_no_access(roles: &Held) -> bool {
    roles.iter().any(|(role, _)| *role == NO_ACCESS_ROLE)
}

impl<'s> Subject<'s> {
    fn of(id: &'s str) -> Self {
        if split_token_id(id).is_some() { Self::Token(id) } else { Self::User(id) }
    }
}

impl Power {
    /// What both have; it propagates where both do, and by chance where either does by chance and neither never.
    fn and(self, other: Self) -> Self {
        let wide = self.wide.and(other.wide);
        Self {
            held: self.held.and(other.held),
            wide,
            ambiguous: self.ambiguous.or(other.ambiguous).and(wide),
        }
    }
}

/// The paths below `/pool` of the ACL entries of each subject.
fn pool_entries(cfg: &UserCfg) -> BTreeMap<&AclSubject, Vec<&str>> {
    let mut found: BTreeMap<&AclSubject, Vec<&str>> = BTreeMap::new();
    for entry in cfg.acl.iter().filter(|entry| entry.path.starts_with("/pool/")) {
        found.entry(&entry.subject).or_default().push(&entry.path);
    }
    found
}
