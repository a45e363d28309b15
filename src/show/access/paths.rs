//! Privileges by path: which paths matter, and what everybody has on them, each answer computed once.
//!
//! Paths that no ACL entry and no pool tells apart make a class ([`Classes`]); most classes are alike for one user,
//! whom few entries concern; and two users in the same groups, without entries of their own, have the same everywhere.
//! So a cluster with thousands of both has few different answers.

mod classes;

use std::collections::{BTreeMap, BTreeSet};

use super::ask::Asked;
use super::collect::{Access, Identity, take};
use super::issue::{Issue, PATHS_LEFT_OUT, contradictions};
use crate::formats::user_cfg::names::ROOT;
use crate::host::access::USER_CFG;
use crate::host::access::effective::Privileges;
use classes::{Classes, Runs, pools};

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

/// The privileges on one path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct OnPath {
    pub(super) privileges: Privileges,
    /// Those of which upstream decides by chance whether they propagate.
    pub(super) ambiguous: BTreeSet<&'static str>,
}

/// The paths and what is known about them.
pub(super) struct Paths<'h> {
    classes: Classes,
    /// Every path with its class, in order.
    all: Vec<(String, usize)>,
    /// What somebody has somewhere, each once.
    answers: Vec<OnPath>,
    held: BTreeMap<Key<'h>, Runs>,
}

/// Who has the same privileges everywhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Key<'h> {
    /// Whoever is in these groups and is named by no ACL entry.
    Groups(&'h [String]),
    /// This user or token alone.
    Id(String),
}

/// What was computed so far.
#[derive(Default)]
struct Computed<'h> {
    numbers: BTreeMap<OnPath, usize>,
    held: BTreeMap<Key<'h>, Runs>,
    /// How many identities have the same.
    sharing: BTreeMap<Key<'h>, usize>,
}

impl<'h> Paths<'h> {
    /// The paths of a question, with the privileges everybody asked for has on them. What keeps paths from being known,
    /// and which were left out, are issues.
    pub(super) fn of(access: &Access<'h>, asked: &Asked, issues: &mut Vec<Issue>) -> Self {
        Self::up_to(LIMIT, access, asked, issues)
    }

    pub(super) fn up_to(limit: usize, access: &Access<'h>, asked: &Asked, issues: &mut Vec<Issue>) -> Self {
        let kinds = if asked.paths.is_empty() {
            default_paths(access, issues)
        } else {
            asked.paths.iter().map(|path| (path.clone(), Kind::Asked)).collect()
        };
        let (classes, all) = Classes::of(access.cfg, kinds);
        let computed = compute(access, asked, &classes);
        let mut answers: Vec<(usize, OnPath)> =
            computed.numbers.into_iter().map(|(answer, number)| (number, answer)).collect();
        answers.sort_by_key(|(number, _)| *number);
        let answers = answers.into_iter().map(|(_, answer)| answer).collect();
        let mut new = Self { classes, all, answers, held: computed.held };
        new.leave_out(&too_many(new.sizes(&computed.sharing), limit), issues);
        new
    }

    /// How many privileges there are to list, by kind of path.
    fn sizes(&self, sharing: &BTreeMap<Key<'_>, usize>) -> BTreeMap<Kind, usize> {
        let mut sizes = BTreeMap::new();
        for (key, runs) in &self.held {
            let sharing = sharing.get(key).copied().unwrap_or_default();
            for (kind, count, answer) in self.classes.counted(runs) {
                let privileges = self.answers.get(answer).map_or(0, |answer| answer.privileges.len());
                let size = privileges.saturating_mul(count).saturating_mul(sharing);
                let total: &mut usize = sizes.entry(kind).or_default();
                *total = total.saturating_add(size);
            }
        }
        sizes
    }

    /// Drops kinds of paths, and says so.
    fn leave_out(&mut self, too_many: &BTreeSet<Kind>, issues: &mut Vec<Issue>) {
        let mut gone: BTreeMap<Kind, usize> = BTreeMap::new();
        let classes = &self.classes;
        self.all.retain(|(_, class)| {
            let left_out = classes.kind(*class).filter(|kind| too_many.contains(kind));
            left_out.map(|kind| *gone.entry(kind).or_default() += 1).is_none()
        });
        for (kind, count) in gone {
            let what = format!(
                "gives too many privileges to list: paths {} are left out ({count}); --path and --id ask for them",
                kind.words()
            );
            issues.push(Issue::new(USER_CFG, PATHS_LEFT_OUT, what));
        }
    }

    /// Every path, in order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.all.iter().map(|(path, _)| path.as_str())
    }

    /// What somebody has on some path, by number.
    pub(super) fn answers(&self) -> &[OnPath] {
        &self.answers
    }

    /// The privileges somebody has, without the paths on which there are none: the place of each path in
    /// [`Paths::names`], and the number of the answer.
    pub(super) fn held(
        &self,
        access: &Access<'h>,
        identity: &Identity<'h>,
    ) -> impl Iterator<Item = (usize, usize)> {
        // A user whom an ACL names himself is found under his own id.
        let own = self.held.get(&Key::Id(identity.id.clone()));
        let runs = own.or_else(|| self.held.get(&Key::Groups(access.cfg.group_names(&identity.id))));
        let by_class = self.classes.spread(runs.unwrap_or(&Runs::new()));
        let with_class = self.all.iter().enumerate();
        with_class.filter_map(move |(path, (_, class))| Some((path, (*by_class.get(*class)?)?)))
    }
}

/// The kinds of paths for which that is too much to list, beside the others.
fn too_many(mut sizes: BTreeMap<Kind, usize>, limit: usize) -> BTreeSet<Kind> {
    let mut total = 0_usize;
    sizes.retain(|kind, size| {
        let with = total.saturating_add(*size);
        let fits = *kind <= Kind::Always || with <= limit;
        total = if fits { with } else { total };
        !fits
    });
    sizes.into_keys().collect()
}

/// What everybody has who was asked for.
fn compute<'h>(access: &Access<'h>, asked: &Asked, classes: &Classes) -> Computed<'h> {
    let named: BTreeSet<&str> = access.ledger.named().collect();
    let chance = !contradictions(access).is_empty();
    let mut sorter = classes.sorter();
    let mut computed = Computed::default();
    for identity in access.everybody().filter(|identity| asked.wants(&identity.id)) {
        let key = key(access, &named, identity);
        if !computed.held.contains_key(&key) {
            let numbers = &mut computed.numbers;
            let runs = sorter.runs(&access.paths_about(identity), |path| {
                let answer = on(access, asked, identity, path, chance)?;
                let next = numbers.len();
                Some(*numbers.entry(answer).or_insert(next))
            });
            computed.held.insert(key.clone(), runs);
        }
        *computed.sharing.entry(key).or_default() += 1;
    }
    computed
}

/// What somebody has on one path; `None` if that is nothing, or nothing that was asked for.
fn on<'h>(
    access: &Access<'h>,
    asked: &Asked,
    identity: &Identity<'h>,
    path: &str,
    chance: bool,
) -> Option<OnPath> {
    let mut privileges = access.privileges(identity, path);
    privileges.retain(|name, _| asked.privileges.is_empty() || asked.privileges.contains(name));
    if privileges.is_empty() {
        return None;
    }
    let mut ambiguous = BTreeSet::new();
    if chance {
        ambiguous = access.effective.ambiguous(&identity.id, path);
        ambiguous.retain(|name| privileges.contains_key(name));
    }
    Some(OnPath { privileges, ambiguous })
}

fn key<'h>(access: &Access<'h>, named: &BTreeSet<&str>, identity: &Identity<'h>) -> Key<'h> {
    if identity.token.is_some() || identity.id == ROOT || named.contains(identity.id.as_str()) {
        return Key::Id(identity.id.clone());
    }
    Key::Groups(access.cfg.group_names(&identity.id))
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
