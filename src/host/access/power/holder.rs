//! Who holds which privileges where, and which he can give himself.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::rules::{Need, Place, Rule};
use super::{Held, Surroundings, Way};
use crate::formats::release::Release;
use crate::formats::user_cfg::names::ROOT;
use crate::formats::user_cfg::roles::privileges;
use crate::formats::user_cfg::{AclEntry, AclSubject, UserCfg};
use crate::host::access::effective::{Effective, Privileges, Subject};

/// Somebody whose privileges come from ACL entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holder<'a> {
    /// A user, who need not exist.
    User(&'a str),
    /// A token held to its own ACLs, with its owner.
    Token(&'a str, &'a str),
    /// Somebody in this group and no other: a user with these ACL entries of his own, or somebody without any.
    Member(&'a str, Option<&'a str>),
}

impl<'a> Holder<'a> {
    fn subjects(self) -> Vec<Subject<'a>> {
        match self {
            Self::User(id) => vec![Subject::User(id)],
            Self::Token(id, ROOT) => vec![Subject::Token(id)],
            Self::Token(id, owner) => vec![Subject::Token(id), Subject::User(owner)],
            Self::Member(group, user) => vec![Subject::Member { group, user }],
        }
    }
}

/// Everything the questions about holders need.
pub(super) struct Asker<'a> {
    pub cfg: &'a UserCfg,
    pub effective: Effective<'a>,
    pub surroundings: Surroundings<'a>,
    /// The paths of the ACL entries of each subject.
    paths: BTreeMap<&'a AclSubject, Vec<&'a str>>,
    every: usize,
}

/// The privileges of one holder on the paths asked so far.
struct Seen<'s, 'a> {
    asker: &'s Asker<'a>,
    holder: Holder<'a>,
    /// Where his ACL entries stand.
    own: BTreeSet<&'a str>,
    known: RefCell<BTreeMap<String, Privileges>>,
}

impl<'a> Asker<'a> {
    pub(super) fn new(cfg: &'a UserCfg, surroundings: Surroundings<'a>) -> Self {
        let mut paths: BTreeMap<&AclSubject, Vec<&str>> = BTreeMap::new();
        for entry in &cfg.acl {
            let of_subject = paths.entry(&entry.subject).or_default();
            // The ACL is ordered by path.
            if of_subject.last() != Some(&entry.path.as_str()) {
                of_subject.push(&entry.path);
            }
        }
        let every = privileges(cfg.release).len();
        Self { cfg, effective: Effective::new(cfg), surroundings, paths, every }
    }

    /// Whether somebody has ACL entries of his own.
    pub(super) fn has_entries(&self, subject: &AclSubject) -> bool {
        self.paths.contains_key(subject)
    }

    /// The paths of the ACL entries that can say something about a holder.
    fn own_paths(&self, holder: Holder<'a>) -> BTreeSet<&'a str> {
        let of = |subject: AclSubject| self.paths.get(&subject).into_iter().flatten().copied();
        let user = |id: &str| AclSubject::User(id.to_owned());
        let of_user = |id: &str, own: &mut BTreeSet<&'a str>| {
            own.extend(of(user(id)));
            for group in self.cfg.group_names(id) {
                own.extend(of(AclSubject::Group(group.clone())));
            }
        };
        let mut own = BTreeSet::new();
        match holder {
            Holder::User(id) => of_user(id, &mut own),
            Holder::Token(id, owner) => {
                own.extend(of(AclSubject::Token(id.to_owned())));
                of_user(owner, &mut own);
            }
            Holder::Member(group, id) => {
                own.extend(of(AclSubject::Group(group.to_owned())));
                own.extend(id.into_iter().flat_map(|id| of(user(id))));
            }
        }
        own
    }

    /// The ways of `rules` a holder has by his privileges alone, and whether he has any privilege and any that does
    /// more than look.
    pub(super) fn direct(&self, holder: Holder<'a>, rules: &[&'static [Rule]]) -> (Vec<Way>, bool, bool) {
        let seen = Seen::new(self, holder);
        if seen.own.is_empty() {
            return (Vec::new(), false, false);
        }
        let mut ways: Vec<Way> = Vec::new();
        for rule in rules.iter().copied().flatten() {
            if !rule.releases.contains(&self.cfg.release) {
                continue;
            }
            // Who administers gives himself whatever he likes: only what he has is worth naming.
            let gives = ways.iter().all(|way| way.class < super::Class::Administrator);
            let held: Option<Vec<Held>> = rule.needs.iter().map(|need| seen.meets(need, gives)).collect();
            if let Some(held) = held {
                ways.push(Way { rule, class: rule.class, held, over: None });
                if rule.needs.iter().any(|need| need.all.is_empty()) {
                    break;
                }
            }
        }
        let (any, acts) = seen.extent();
        (ways, any, acts)
    }

    /// What meets the need of these privileges, if the holder has them on a path or can give them to himself.
    pub(super) fn can(&self, holder: Holder<'a>, path: &str, all: &'static [&'static str]) -> Option<Held> {
        let seen = Seen::new(self, holder);
        seen.on(path, all, true)
    }

    /// As [`Asker::can`], on every path one step below this one where it is so.
    pub(super) fn all_below(
        &self,
        holder: Holder<'a>,
        above: &'static str,
        all: &'static [&'static str],
    ) -> Vec<Held> {
        let seen = Seen::new(self, holder);
        seen.below(above).into_iter().filter_map(|path| seen.on(&path, all, true)).collect()
    }
}

impl<'s, 'a> Seen<'s, 'a> {
    fn new(asker: &'s Asker<'a>, holder: Holder<'a>) -> Self {
        Self { asker, holder, own: asker.own_paths(holder), known: RefCell::default() }
    }

    fn meets(&self, need: &Need, gives: bool) -> Option<Held> {
        let places = need.on.iter().flat_map(|place| self.paths(*place));
        places.into_iter().find_map(|path| self.on(&path, need.all, gives))
    }

    /// The paths of a place that can differ for this holder.
    fn paths(&self, place: Place) -> Vec<String> {
        match place {
            Place::At(path) => vec![path.to_owned()],
            Place::Below(above) => self.below(above),
            Place::Anywhere => self.own.iter().map(|path| (*path).to_owned()).collect(),
            Place::Node => match self.asker.surroundings.nodes {
                Some(nodes) if !nodes.is_empty() => self.nodes(nodes),
                _ => self.below("/nodes"),
            },
            Place::Guest => self.guests(),
        }
    }

    /// Any path one step below `above`: those of his own ACL entries, and one without any.
    fn below(&self, above: &str) -> Vec<String> {
        let prefix = format!("{above}/");
        let own = self.own.range(prefix.as_str()..).take_while(|path| path.starts_with(&prefix));
        let one_step = own.filter(|path| !path.get(prefix.len()..).unwrap_or_default().contains('/'));
        std::iter::once(format!("{above}/*")).chain(one_step.map(|path| (*path).to_owned())).collect()
    }

    /// The nodes there are: each with an ACL entry of his, and one of the others.
    fn nodes(&self, nodes: &[String]) -> Vec<String> {
        let path = |node: &String| format!("/nodes/{node}");
        let (own, others): (Vec<String>, Vec<String>) =
            nodes.iter().map(path).partition(|path| self.own.contains(path.as_str()));
        others.into_iter().take(1).chain(own).collect()
    }

    /// Guests that can differ: each with an ACL entry of his, one without, and one of each pool he has rights on.
    fn guests(&self) -> Vec<String> {
        let mut paths = self.below("/vms");
        let mut any_pool = false;
        for (name, pool) in &self.asker.cfg.pools {
            // A pool without an entry of his is like any other such.
            if !self.is_named(name) && std::mem::replace(&mut any_pool, true) {
                continue;
            }
            let mut guests = pool.vms.iter().map(|vm| format!("/vms/{vm}"));
            paths.extend(guests.find(|path| !self.own.contains(path.as_str())));
        }
        paths
    }

    /// Whether he has an ACL entry on this pool or on one around it.
    fn is_named(&self, pool: &str) -> bool {
        let mut path = format!("/pool/{pool}");
        loop {
            if self.own.contains(path.as_str()) {
                return true;
            }
            match path.rsplit_once('/') {
                Some((above, _)) if above != "/pool" && !above.is_empty() => path.truncate(above.len()),
                _ => return false,
            }
        }
    }

    fn privileges(&self, path: &str) -> Privileges {
        if let Some(known) = self.known.borrow().get(path) {
            return known.clone();
        }
        let effective = &self.asker.effective;
        let privileges = match self.holder {
            Holder::User(id) | Holder::Token(id, _) => effective.privileges(id, path),
            Holder::Member(group, user) => effective.granted_to(Subject::Member { group, user }, path),
        };
        self.known.borrow_mut().insert(path.to_owned(), privileges.clone());
        privileges
    }

    fn has(&self, path: &str, all: &[&str]) -> bool {
        let privileges = self.privileges(path);
        if all.is_empty() {
            return privileges.len() == self.asker.every;
        }
        all.iter().all(|privilege| privileges.contains_key(privilege))
    }

    fn on(&self, path: &str, all: &'static [&'static str], gives: bool) -> Option<Held> {
        if self.has(path, all) {
            let grants = self.grants(path, all);
            return Some(Held { privileges: all, path: path.to_owned(), by_changing: None, grants });
        }
        // Every privilege at once is judged as it is, not as somebody could make it.
        if !gives || all.is_empty() {
            return None;
        }
        let depth = |path: &str| path.split('/').filter(|part| !part.is_empty()).count();
        let decided = self.deciding_depth(path);
        let mut above = path;
        loop {
            // An entry further down would override what he gives himself here.
            if decided.is_some_and(|decided| decided > depth(above)) {
                return None;
            }
            if let Some(modifier) =
                modifiers(above, self.asker.cfg.release).find(|one| self.has(above, &[one]))
            {
                let grants = self.grants(above, &[modifier]);
                let by_changing = Some((modifier, above.to_owned()));
                return Some(Held { privileges: all, path: path.to_owned(), by_changing, grants });
            }
            match above.rsplit_once('/') {
                Some(("", last)) if !last.is_empty() => above = "/",
                Some((next, _)) if !next.is_empty() => above = next,
                _ => return None,
            }
        }
    }

    fn deciding_depth(&self, path: &str) -> Option<usize> {
        let subjects = self.holder.subjects().into_iter();
        subjects.filter_map(|subject| self.asker.effective.deciding_depth(subject, path)).max()
    }

    /// The ACL entries these privileges come from: the strongest role first, the one to name.
    fn grants(&self, path: &str, all: &[&str]) -> Vec<AclEntry> {
        let wanted: Vec<Option<&str>> =
            if all.is_empty() { vec![None] } else { all.iter().map(|one| Some(*one)).collect() };
        let Some(subject) = self.holder.subjects().into_iter().next() else { return Vec::new() };
        let mut grants: Vec<&AclEntry> = Vec::new();
        for privilege in wanted {
            grants.extend(self.asker.effective.grants_to(subject, path, privilege));
        }
        grants.sort_by_key(|entry| entry.line);
        grants.dedup();
        let cfg = self.asker.cfg;
        let strength = |entry: &&AclEntry| cfg.role_privileges(&entry.role).map_or(0, |role| role.len());
        grants.sort_by_key(|entry| std::cmp::Reverse(strength(entry)));
        grants.into_iter().cloned().collect()
    }

    /// Whether he has any privilege, and any that does more than look.
    fn extent(&self) -> (bool, bool) {
        let mut paths: Vec<String> = self.own.iter().map(|path| (*path).to_owned()).collect();
        paths.extend(self.guests());
        paths.push("/".to_owned());
        let mut any = false;
        for path in paths {
            let privileges = self.privileges(&path);
            any |= !privileges.is_empty();
            if privileges.keys().any(|name| !name.ends_with(".Audit")) {
                return (true, true);
            }
        }
        (any, false)
    }
}

/// The privileges that let their holder give any role on this path.
///
/// Follows `check_perm_modify` in pve-access-control `src/PVE/RPCEnvironment.pm`. From release 8 on the three special
/// ones only give roles that have no privilege the holder lacks.
fn modifiers(path: &str, release: Release) -> impl Iterator<Item = &'static str> {
    const BELOW: [(&str, &str); 3] =
        [("/storage/", "Datastore.Allocate"), ("/vms/", "VM.Allocate"), ("/pool/", "Pool.Allocate")];
    let special = BELOW.iter().filter(move |(above, _)| {
        release == Release::Pve7 && path.strip_prefix(above).is_some_and(|rest| !rest.is_empty())
    });
    std::iter::once("Permissions.Modify").chain(special.map(|(_, privilege)| *privilege).collect::<Vec<_>>())
}
