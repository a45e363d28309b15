//! Privileges by path: which paths matter, and what everybody has on them, each answer computed once.
//!
//! Two paths that no ACL entry and no pool tells apart give everybody the same; two users in the same groups, without
//! entries of their own, have the same everywhere. So a cluster with thousands of both has few different answers.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::ask::Asked;
use super::collect::{Access, Identity, take};
use super::issue::{Issue, PATHS_LEFT_OUT, contradictions};
use crate::formats::user_cfg::UserCfg;
use crate::formats::user_cfg::names::ROOT;
use crate::host::access::USER_CFG;
use crate::host::access::effective::Privileges;

/// Paths that are always shown.
const ALWAYS: [&str; 10] = [
    "/",
    "/access",
    "/access/groups",
    "/access/realm",
    "/mapping",
    "/nodes",
    "/pool",
    "/sdn",
    "/storage",
    "/vms",
];

/// Most privileges that are listed, counted over all identities and paths: some hundred megabytes of JSON. Beyond it
/// whole kinds of paths are left out, and an issue says so. Paths that were asked for always stay.
const LIMIT: usize = 20_000_000;

/// Why a path is shown. What comes later is left out before the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Asked,
    Always,
    Pool,
    Storage,
    Acl,
    Guest,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::Asked => "that were asked for",
            Self::Always => "that always matter",
            Self::Acl => "that ACLs name",
            Self::Pool => "of pools",
            Self::Storage => "of storages",
            Self::Guest => "of guests",
        }
    }
}

/// Paths on which everybody has the same.
struct Class {
    kind: Kind,
    /// One of them.
    path: String,
    count: usize,
}

/// The privileges on one path, shared by all on which they are the same.
pub(super) type Held = Rc<OnPath>;

/// The privileges on one path.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OnPath {
    pub(super) privileges: Privileges,
    /// Those of which upstream decides by chance whether they propagate.
    pub(super) ambiguous: BTreeSet<&'static str>,
}

/// The paths and what is known about them.
pub(super) struct Paths {
    classes: Vec<Class>,
    /// Every path with its class, in order.
    all: BTreeMap<String, usize>,
    /// Privileges by class, by whoever has the same.
    held: BTreeMap<Key, Vec<Option<Held>>>,
    asked: BTreeSet<&'static str>,
    /// Whether chance decides anything at all.
    has_contradictions: bool,
}

/// Who has the same privileges everywhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    /// Whoever is in these groups and is named by no ACL entry.
    Groups(Vec<String>),
    /// This user or token alone.
    Id(String),
}

impl Paths {
    /// The paths of a question, with the privileges everybody asked for has on them. What keeps paths from being known,
    /// and which were left out, are issues.
    pub(super) fn of(access: &Access<'_>, asked: &Asked, issues: &mut Vec<Issue>) -> Self {
        Self::up_to(LIMIT, access, asked, issues)
    }

    pub(super) fn up_to(limit: usize, access: &Access<'_>, asked: &Asked, issues: &mut Vec<Issue>) -> Self {
        let kinds = if asked.paths.is_empty() {
            default_paths(access, issues)
        } else {
            asked.paths.iter().map(|path| (path.clone(), Kind::Asked)).collect()
        };
        let mut new = Self::sorted(access.cfg, kinds);
        new.asked.clone_from(&asked.privileges);
        new.has_contradictions = !contradictions(access).is_empty();
        let too_many = new.compute(limit, access, asked);
        new.leave_out(&too_many, issues);
        new
    }

    /// Puts the paths into classes.
    fn sorted(cfg: &UserCfg, kinds: BTreeMap<String, Kind>) -> Self {
        let named = named(cfg);
        let pools = pools(cfg);
        let mut classes: Vec<Class> = Vec::new();
        let mut index = BTreeMap::new();
        let mut all = BTreeMap::new();
        for (path, kind) in kinds {
            // What decides: the deepest level that the ACL has entries on, whether it is the path itself, and pools.
            let level = deepest(&named, &path).to_owned();
            let is_named = level == path;
            let pools = pools.get(&path).cloned().unwrap_or_default();
            let class = *index.entry((kind, level, is_named, pools)).or_insert_with(|| {
                classes.push(Class { kind, path: path.clone(), count: 0 });
                classes.len() - 1
            });
            if let Some(class) = classes.get_mut(class) {
                class.count += 1;
            }
            all.insert(path, class);
        }
        Self { classes, all, held: BTreeMap::new(), asked: BTreeSet::new(), has_contradictions: false }
    }

    /// Computes what everybody has. Gives the kinds of paths for which that is too much to list, beside the others.
    fn compute(&mut self, limit: usize, access: &Access<'_>, asked: &Asked) -> BTreeSet<Kind> {
        let named: BTreeSet<&str> = access.ledger.named().collect();
        let mut sizes: BTreeMap<Kind, usize> = BTreeMap::new();
        let mut shared: BTreeSet<Held> = BTreeSet::new();
        for identity in access.everybody().filter(|identity| asked.wants(&identity.id)) {
            let key = key(access, &named, identity);
            if !self.held.contains_key(&key) {
                let held =
                    self.classes.iter().map(|class| self.on(access, identity, &class.path, &mut shared));
                let held = held.collect();
                self.held.insert(key.clone(), held);
            }
            for (class, held) in self.classes.iter().zip(self.held.get(&key).into_iter().flatten()) {
                let size = held.as_ref().map_or(0, |held| held.privileges.len()).saturating_mul(class.count);
                let total = sizes.entry(class.kind).or_default();
                *total = total.saturating_add(size);
            }
        }
        let mut total = 0_usize;
        sizes.retain(|kind, size| {
            let with = total.saturating_add(*size);
            let fits = *kind <= Kind::Always || with <= limit;
            total = if fits { with } else { total };
            !fits
        });
        sizes.into_keys().collect()
    }

    fn on<'h>(
        &self,
        access: &Access<'h>,
        identity: &Identity<'h>,
        path: &str,
        shared: &mut BTreeSet<Held>,
    ) -> Option<Held> {
        let mut privileges = access.privileges(identity, path);
        privileges.retain(|name, _| self.asked.is_empty() || self.asked.contains(name));
        if privileges.is_empty() {
            return None;
        }
        let mut ambiguous = BTreeSet::new();
        if self.has_contradictions {
            ambiguous = access.effective.ambiguous(&identity.id, path);
            ambiguous.retain(|name| privileges.contains_key(name));
        }
        let held = Rc::new(OnPath { privileges, ambiguous });
        if let Some(same) = shared.get(&held) {
            return Some(Rc::clone(same));
        }
        shared.insert(Rc::clone(&held));
        Some(held)
    }

    /// Drops kinds of paths, and says so.
    fn leave_out(&mut self, too_many: &BTreeSet<Kind>, issues: &mut Vec<Issue>) {
        let mut gone: BTreeMap<Kind, usize> = BTreeMap::new();
        for class in self.classes.iter().filter(|class| too_many.contains(&class.kind)) {
            *gone.entry(class.kind).or_default() += class.count;
        }
        for (kind, count) in gone {
            let what = format!(
                "gives too many privileges to list: paths {} are left out ({count}); --path and --id ask for them",
                kind.words()
            );
            issues.push(Issue::new(USER_CFG, PATHS_LEFT_OUT, what));
        }
        let classes = &self.classes;
        self.all.retain(|_, class| classes.get(*class).is_some_and(|class| !too_many.contains(&class.kind)));
    }

    /// The privileges somebody has, by path, without the paths on which there are none.
    pub(super) fn held<'s, 'h>(
        &'s self,
        access: &Access<'h>,
        identity: &Identity<'h>,
    ) -> impl Iterator<Item = (&'s str, &'s Held)> {
        // A user whom an ACL names himself is found under his own id.
        let own = self.held.get(&Key::Id(identity.id.clone()));
        let held = own.or_else(|| self.held.get(&Key::Groups(groups(access, identity))));
        let on = move |class: &usize| held.and_then(|held| held.get(*class)).and_then(Option::as_ref);
        self.all.iter().filter_map(move |(path, class)| on(class).map(|held| (path.as_str(), held)))
    }
}

fn key<'h>(access: &Access<'h>, named: &BTreeSet<&str>, identity: &Identity<'h>) -> Key {
    if identity.token.is_some() || identity.id == ROOT || named.contains(identity.id.as_str()) {
        return Key::Id(identity.id.clone());
    }
    Key::Groups(groups(access, identity))
}

fn groups<'h>(access: &Access<'h>, identity: &Identity<'h>) -> Vec<String> {
    access.ledger.groups_of(&identity.id).iter().map(|group| (*group).to_owned()).collect()
}

/// Every path that is shown without being asked for.
fn default_paths(access: &Access<'_>, issues: &mut Vec<Issue>) -> BTreeMap<String, Kind> {
    let mut kinds: BTreeMap<String, Kind> = BTreeMap::new();
    let mut add = |path: String, kind: Kind| {
        kinds.entry(path).or_insert(kind);
    };
    for path in ALWAYS {
        add(path.to_owned(), Kind::Always);
    }
    for pool in access.cfg.pools.keys() {
        add(format!("/pool/{pool}"), Kind::Pool);
    }
    for entry in &access.cfg.acl {
        add(entry.path.clone(), if entry.path.starts_with("/storage/") { Kind::Storage } else { Kind::Acl });
    }
    for (path, _) in pools(access.cfg) {
        let kind = if path.starts_with("/vms/") { Kind::Guest } else { Kind::Storage };
        add(path, kind);
    }
    let mut doubts = Vec::new();
    if let Ok(storages) = take(access.host.storage(), &mut doubts) {
        for id in storages.storages.keys() {
            add(format!("/storage/{id}"), Kind::Storage);
        }
    }
    if let Ok(guests) = take(access.host.guests(), &mut doubts) {
        for guest in &guests.all {
            add(format!("/vms/{}", guest.vmid), Kind::Guest);
        }
    }
    issues.extend(doubts.iter().map(Issue::of));
    kinds
}

/// Every path the ACL has entries on, and those above them.
fn named(cfg: &UserCfg) -> BTreeSet<&str> {
    cfg.acl.iter().map(|entry| entry.path.as_str()).collect()
}

/// The longest prefix of `path` the ACL has entries on; `/` if there is none.
fn deepest<'n>(named: &BTreeSet<&'n str>, path: &str) -> &'n str {
    let mut prefix = path;
    loop {
        if let Some(found) = named.get(prefix) {
            return found;
        }
        match prefix.rsplit_once('/') {
            Some((above, _)) if !above.is_empty() => prefix = above,
            _ => return named.get("/").copied().unwrap_or(""),
        }
    }
}

/// The pools of guests and storages, by path.
fn pools(cfg: &UserCfg) -> BTreeMap<String, Vec<&str>> {
    let mut pools: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, pool) in &cfg.pools {
        let guests = pool.vms.iter().map(|vmid| format!("/vms/{vmid}"));
        let storages = pool.storages.iter().map(|id| format!("/storage/{id}"));
        for path in guests.chain(storages) {
            pools.entry(path).or_default().push(name);
        }
    }
    pools
}
