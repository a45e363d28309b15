//! Rights in the words of the roles: which ACL entry is in force where, and what takes it away below.
//!
//! The privileges themselves are computed by [`crate::host::access::effective`]. This says in which words: the walk is
//! the same, over the entries instead of the roles.

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::rc::Rc;

use crate::formats::user_cfg::roles::NO_ACCESS;
use crate::formats::user_cfg::{AclEntry, AclSubject, Pool, UserCfg};

/// How many sets of groups have their rights kept, for the next user in the same groups.
const SHARED_LIMIT: usize = 64;

/// A path below `/vms` that no API call and no ACL names.
const ANY_GUEST: &str = "/vms/*";

/// A pool that no ACL names.
const ANY_POOL: &str = "/pool/*";

/// The ACL entries by whom they are for, and the pools by member.
pub(super) struct Ledger<'h> {
    cfg: &'h UserCfg,
    subjects: BTreeMap<&'h AclSubject, Vec<&'h AclEntry>>,
    groups: BTreeMap<&'h str, Vec<&'h str>>,
    guests: BTreeMap<u64, &'h str>,
    storages: BTreeMap<&'h str, Vec<&'h str>>,
    shared: RefCell<BTreeMap<Vec<&'h str>, Rc<[Right<'h>]>>>,
}

/// What the ACL says about one user or token, by path.
#[derive(Default)]
pub(super) struct Levels<'h> {
    by_path: BTreeMap<&'h str, Level<'h>>,
}

#[derive(Default)]
struct Level<'h> {
    own: Vec<&'h AclEntry>,
    groups: Vec<&'h AclEntry>,
}

/// An ACL entry that is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Right<'h> {
    pub(super) entry: &'h AclEntry,
    pub(super) reach: Reach,
    /// Where below its path it does not hold.
    pub(super) except: Vec<Except<'h>>,
    /// What it reaches by being in a pool, and would not otherwise.
    pub(super) members: BTreeMap<&'h str, Vec<Member<'h>>>,
}

/// Where an entry is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reach {
    /// On its path and below.
    Whole,
    /// On its very path.
    Alone,
    /// Below its path: on the path itself something else counts.
    Below,
}

/// Where an entry does not hold although it holds above.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Except<'h> {
    /// There and below.
    Path(&'h str),
    /// On this very path.
    Alone(&'h str),
    /// Below this path.
    Below(&'h str),
    /// On the guests and storages of this pool.
    MembersOf(&'h str),
}

/// A member of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Member<'h> {
    Guest(u64),
    Storage(&'h str),
}

impl Member<'_> {
    /// Its path in the ACL.
    pub(super) fn path(self) -> String {
        match self {
            Self::Guest(vmid) => format!("/vms/{vmid}"),
            Self::Storage(id) => format!("/storage/{id}"),
        }
    }
}

/// An entry in force on one path, and the pool it comes through.
pub(super) type Grant<'h> = (&'h AclEntry, Option<&'h str>);

impl<'h> Ledger<'h> {
    pub(super) fn of(cfg: &'h UserCfg) -> Self {
        let mut new = Self {
            cfg,
            subjects: BTreeMap::new(),
            groups: BTreeMap::new(),
            guests: BTreeMap::new(),
            storages: BTreeMap::new(),
            shared: RefCell::default(),
        };
        for entry in &cfg.acl {
            new.subjects.entry(&entry.subject).or_default().push(entry);
        }
        for (name, group) in &cfg.groups {
            for member in &group.members {
                new.groups.entry(member).or_default().push(name);
            }
        }
        for (name, pool) in &cfg.pools {
            for vmid in &pool.vms {
                new.guests.entry(*vmid).or_insert(name);
            }
            for storage in &pool.storages {
                new.storages.entry(storage).or_default().push(name);
            }
        }
        new
    }

    /// The groups that list this user.
    pub(super) fn groups_of(&self, user: &str) -> &[&'h str] {
        self.groups.get(user).map(Vec::as_slice).unwrap_or_default()
    }

    /// Everybody the ACL names who is no group.
    pub(super) fn named(&self) -> impl Iterator<Item = &'h str> {
        self.subjects.keys().filter_map(|subject| match subject {
            AclSubject::User(id) | AclSubject::Token(id) => Some(id.as_str()),
            AclSubject::Group(_) => None,
        })
    }

    /// What the ACL says about a user, through his groups too.
    pub(super) fn of_user(&self, id: &str) -> Levels<'h> {
        let mut levels = Levels::default();
        levels.add(self.entries(&AclSubject::User(id.to_owned())), true);
        for group in self.groups_of(id) {
            levels.add(self.entries(&AclSubject::Group((*group).to_owned())), false);
        }
        levels
    }

    /// What the ACL says about a token itself.
    pub(super) fn of_token(&self, id: &str) -> Levels<'h> {
        let mut levels = Levels::default();
        levels.add(self.entries(&AclSubject::Token(id.to_owned())), true);
        levels
    }

    fn entries(&self, subject: &AclSubject) -> &[&'h AclEntry] {
        self.subjects.get(subject).map(Vec::as_slice).unwrap_or_default()
    }

    fn pools_of(&self, path: &str) -> Vec<&'h str> {
        if let Some(storage) = path.strip_prefix("/storage/") {
            return self.storages.get(storage).cloned().unwrap_or_default();
        }
        let vmid = path.strip_prefix("/vms/").and_then(|vmid| {
            // `0100` is another path than that of guest 100.
            vmid.parse().ok().filter(|number: &u64| number.to_string() == vmid)
        });
        vmid.and_then(|vmid| self.guests.get(&vmid)).copied().into_iter().collect()
    }

    /// The entries in force on a path, those of its pools included.
    pub(super) fn on(&self, levels: &Levels<'h>, path: &str) -> Vec<Grant<'h>> {
        let own = levels.on(path);
        if is_denial(&own) {
            return Vec::new();
        }
        let pools = self.pools_of(path);
        let mut lent: Vec<Grant<'h>> = Vec::new();
        for pool in pools {
            let entries = levels.on(&format!("/pool/{pool}"));
            if is_denial(&entries) {
                return Vec::new();
            }
            lent.extend(entries.into_iter().map(|entry| (entry, Some(pool))));
        }
        let roles = roles_of(&own);
        lent.retain(|(entry, _)| !roles.contains(entry.role.as_str()));
        own.into_iter().map(|entry| (entry, None)).chain(lent).collect()
    }

    /// The entries in force for a user, in the order of their paths. Who is in the same groups shares them.
    pub(super) fn rights_of_user(&self, id: &str) -> Rc<[Right<'h>]> {
        if !self.entries(&AclSubject::User(id.to_owned())).is_empty() {
            return self.rights(&self.of_user(id)).into();
        }
        let groups = self.groups_of(id);
        let mut shared = self.shared.borrow_mut();
        if let Some(rights) = shared.get(groups) {
            return Rc::clone(rights);
        }
        if shared.len() >= SHARED_LIMIT {
            shared.clear();
        }
        let rights: Rc<[Right<'h>]> = self.rights(&self.of_user(id)).into();
        shared.insert(groups.to_vec(), Rc::clone(&rights));
        rights
    }

    /// The entries in force, in the order of their paths.
    pub(super) fn rights(&self, levels: &Levels<'h>) -> Vec<Right<'h>> {
        let mut rights = levels.rights();
        if levels.may_differ_in_pools() {
            // Guests no entry names are alike: one stands for all.
            let common = levels.on(ANY_GUEST);
            let names_guests = levels.names_guests();
            // A storage may be in every pool: whether one of them denies is asked once, of the others together.
            let pools = self.pools_that_matter(levels);
            let others_deny = is_denial(&levels.on(ANY_POOL));
            let denies = |path: &str, member: Member<'h>| {
                let mut within = 0;
                let mut found = false;
                for (name, pool) in &pools {
                    if pool_has(pool, member) {
                        within += 1;
                        found |= is_denial(&levels.on(&format!("/pool/{name}")));
                    }
                }
                found || (others_deny && self.pools_of(path).len() > within)
            };
            let mut known: BTreeMap<String, bool> = BTreeMap::new();
            for (name, pool) in &pools {
                let entries = levels.on(&format!("/pool/{name}"));
                if entries.is_empty() {
                    continue;
                }
                let pool_of = Lent { name, entries };
                let is_named =
                    |vmid: &&u64| levels.by_path.contains_key(Member::Guest(**vmid).path().as_str());
                let (named, alike): (Vec<&u64>, Vec<&u64>) = if names_guests {
                    pool.vms.iter().partition(is_named)
                } else {
                    (Vec::new(), pool.vms.iter().collect())
                };
                let alike: Vec<Member<'h>> = alike.into_iter().map(|vmid| Member::Guest(*vmid)).collect();
                rights.lend(&pool_of, &common, None, &alike);
                let storages = pool.storages.iter().map(|id| Member::Storage(id));
                for member in named.into_iter().map(|vmid| Member::Guest(*vmid)).chain(storages) {
                    let path = member.path();
                    let is_denied = *known.entry(path.clone()).or_insert_with(|| denies(&path, member));
                    if !is_denied || is_denial(&pool_of.entries) {
                        rights.lend(&pool_of, &levels.on(&path), Some(&path), &[member]);
                    }
                }
            }
        }
        rights.all.retain(|right| !right.is_void());
        rights.all
    }

    /// The pools that can give or take something: on the others, and on what is in them, the same entries decide.
    fn pools_that_matter(&self, levels: &Levels<'h>) -> BTreeMap<&'h str, &'h Pool> {
        let all = &self.cfg.pools;
        if levels.paths().any(|path| matches!(path, "/pool" | "/vms" | "/storage")) {
            return all.iter().map(|(name, pool)| (name.as_str(), pool)).collect();
        }
        let mut found = BTreeMap::new();
        for path in levels.paths() {
            if let Some(top) = path.strip_prefix("/pool/") {
                let is_within = |name: &str| {
                    name.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                };
                let same = all.range(top.to_owned()..).take_while(|(name, _)| name.starts_with(top));
                found.extend(
                    same.filter(|(name, _)| is_within(name)).map(|(name, pool)| (name.as_str(), pool)),
                );
            }
            let of_member = self.pools_of(path).into_iter();
            found.extend(of_member.filter_map(|name| all.get(name).map(|pool| (name, pool))));
        }
        found
    }
}

fn pool_has(pool: &Pool, member: Member<'_>) -> bool {
    match member {
        Member::Guest(vmid) => pool.vms.contains(&vmid),
        Member::Storage(id) => pool.storages.contains(id),
    }
}

/// A pool and what is in force on it.
struct Lent<'h> {
    name: &'h str,
    entries: Vec<&'h AclEntry>,
}

/// Rights in the order of their paths, and where those of each path stand.
#[derive(Default)]
struct Found<'h> {
    all: Vec<Right<'h>>,
    by_path: BTreeMap<&'h str, Range<usize>>,
}

impl<'h> Found<'h> {
    fn on(&mut self, path: &str) -> &mut [Right<'h>] {
        let range = self.by_path.get(path).cloned().unwrap_or_default();
        self.all.get_mut(range).unwrap_or_default()
    }

    fn find(&mut self, entry: &AclEntry) -> Option<&mut Right<'h>> {
        self.on(&entry.path).iter_mut().find(|right| right.entry == entry)
    }

    /// Notes what a pool does to members on which `own` is in force without it; `path` is that of a member alone.
    fn lend(&mut self, pool: &Lent<'h>, own: &[&'h AclEntry], path: Option<&str>, members: &[Member<'h>]) {
        if members.is_empty() || is_denial(own) {
            return;
        }
        if is_denial(&pool.entries) {
            for entry in own {
                // Where the same role comes from above, too, the entry hides that.
                for place in prefixes(&entry.path) {
                    for right in self.on(place).iter_mut().filter(|right| right.entry.role == entry.role) {
                        right.lose(pool.name, path);
                    }
                }
            }
            return;
        }
        let roles = roles_of(own);
        for entry in pool.entries.iter().filter(|entry| !roles.contains(entry.role.as_str())) {
            if let Some(right) = self.find(entry) {
                right.members.entry(pool.name).or_default().extend(members);
            }
        }
    }
}

impl<'h> Levels<'h> {
    fn add(&mut self, entries: &[&'h AclEntry], are_own: bool) {
        for entry in entries {
            let level = self.by_path.entry(&entry.path).or_default();
            if are_own { level.own.push(entry) } else { level.groups.push(entry) }
        }
    }

    /// The paths the ACL names.
    pub(super) fn paths(&self) -> impl Iterator<Item = &'h str> {
        self.by_path.keys().copied()
    }

    /// The entries of the deepest level of the path that says anything.
    fn on(&self, path: &str) -> Vec<&'h AclEntry> {
        let found = prefixes(path).find_map(|prefix| {
            let here = self.by_path.get(prefix)?.in_force(prefix == path);
            (!here.is_empty()).then_some(here)
        });
        only_denials(found.unwrap_or_default())
    }

    /// Whether an entry is about a guest of its own.
    fn names_guests(&self) -> bool {
        self.by_path.keys().any(|path| path.starts_with("/vms/"))
    }

    /// Whether a pool can give its members something they do not have without it.
    fn may_differ_in_pools(&self) -> bool {
        let is_within = |path: &str, top: &str| {
            path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.by_path.keys().any(|path| ["/pool", "/vms", "/storage"].iter().any(|top| is_within(path, top)))
    }

    fn rights(&self) -> Found<'h> {
        let mut found = Found::default();
        for (path, level) in &self.by_path {
            let here = only_denials(level.in_force(true));
            let below = only_denials(level.in_force(false));
            self.except(path, &here, &below, &mut found);
            let start = found.all.len();
            let mut all = here.clone();
            all.extend(below.iter().filter(|entry| !here.contains(entry)));
            for entry in all.into_iter().filter(|entry| entry.role != NO_ACCESS) {
                let reach = match (here.contains(&entry), below.contains(&entry)) {
                    (true, true) => Reach::Whole,
                    (true, false) => Reach::Alone,
                    (false, _) => Reach::Below,
                };
                found.all.push(Right { entry, reach, except: Vec::new(), members: BTreeMap::new() });
            }
            found.by_path.insert(path, start..found.all.len());
        }
        found
    }

    /// Notes with the rights from above what this level takes away.
    fn except(&self, path: &'h str, here: &[&'h AclEntry], below: &[&'h AclEntry], found: &mut Found<'h>) {
        let (here, below_roles) = (roles_of(here), roles_of(below));
        // The roles that come down to this level, from wherever above.
        let mut coming: Option<BTreeSet<&str>> = None;
        for above in prefixes(path).skip(1) {
            let Some(level) = self.by_path.get(above) else { continue };
            let lowered = only_denials(level.in_force(false));
            if lowered.is_empty() {
                continue;
            }
            let roles = roles_of(&lowered);
            let roles = match coming {
                Some(coming) => coming.intersection(&roles).copied().collect(),
                None => roles,
            };
            // A path stands after its prefixes, so the rights from above are there already.
            for right in found.on(above).iter_mut().filter(|right| right.reach != Reach::Alone) {
                let role = right.entry.role.as_str();
                let is_gone_below = !below.is_empty() && !below_roles.contains(role);
                match (here.contains(role), is_gone_below) {
                    _ if !roles.contains(role) => {}
                    (false, true) => right.except.push(Except::Path(path)),
                    (false, false) => right.except.push(Except::Alone(path)),
                    (true, true) => right.except.push(Except::Below(path)),
                    (true, false) => {}
                }
            }
            if roles.is_empty() {
                return;
            }
            coming = Some(roles);
        }
    }
}

impl<'h> Level<'h> {
    /// The entries that count: the subject's own, or those of the groups. On the last level of a path all count, on
    /// others those that propagate.
    fn in_force(&self, last: bool) -> Vec<&'h AclEntry> {
        let usable = |entries: &[&'h AclEntry]| -> Vec<&'h AclEntry> {
            entries.iter().copied().filter(|entry| last || entry.propagate).collect()
        };
        let own = usable(&self.own);
        if own.is_empty() { usable(&self.groups) } else { own }
    }
}

impl<'h> Right<'h> {
    /// Notes that a pool takes it away on its members, or on the one at `path`.
    fn lose(&mut self, pool: &'h str, path: Option<&str>) {
        let except = Except::MembersOf(pool);
        if path == Some(self.entry.path.as_str()) {
            self.reach = Reach::Alone;
            self.except = vec![except];
        } else if self.reach != Reach::Alone && !self.except.contains(&except) {
            self.except.push(except);
        }
    }

    /// Whether a pool takes it away on the only path it holds on.
    fn is_void(&self) -> bool {
        let lost = self.except.iter().any(|except| matches!(except, Except::MembersOf(_)));
        self.reach == Reach::Alone && lost && self.members.is_empty()
    }
}

/// The prefixes of a path that are paths, the longest first.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(path), |path| match path.rsplit_once('/') {
        _ if *path == "/" => None,
        Some(("", _)) => Some("/"),
        Some((above, _)) => Some(above),
        None => None,
    })
}

fn is_denial(entries: &[&AclEntry]) -> bool {
    entries.iter().any(|entry| entry.role == NO_ACCESS)
}

/// What `NoAccess` wipes is not in force.
fn only_denials(mut entries: Vec<&AclEntry>) -> Vec<&AclEntry> {
    if is_denial(&entries) {
        entries.retain(|entry| entry.role == NO_ACCESS);
    }
    entries
}

fn roles_of<'h>(entries: &[&'h AclEntry]) -> BTreeSet<&'h str> {
    entries.iter().map(|entry| entry.role.as_str()).collect()
}
