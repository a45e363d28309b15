//! Who holds which privileges where, and which he can give himself.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::rules::{Class, Need, Place, Rule};
use super::{Held, Surroundings, Way};
use crate::formats::release::Release;
use crate::formats::user_cfg::acl_path::is_api_path;
use crate::formats::user_cfg::names::ROOT;
use crate::formats::user_cfg::{AclEntry, AclSubject, Pool, UserCfg};
use crate::host::access::effective::sets::Set;
use crate::host::access::effective::{Effective, GRANTS_LIMIT, NEW_GUEST_OF, Subject};

/// Somebody whose privileges come from ACL entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Holder<'a> {
    /// A user, who need not exist.
    User(&'a str),
    /// A token held to its own ACLs, with its owner.
    Token(&'a str, &'a str),
    /// Somebody in this group and no other, without an ACL entry of his own.
    Member(&'a str),
}

impl<'a> Holder<'a> {
    /// Whose ACL entries give.
    fn subject(self) -> Subject<'a> {
        match self {
            Self::User(id) => Subject::User(id),
            Self::Token(id, _) => Subject::Token(id),
            Self::Member(group) => Subject::Member { group, user: None },
        }
    }

    /// Whose ACL entries give, and whose take away again.
    fn subjects(self) -> Vec<Subject<'a>> {
        match self {
            Self::Token(_, owner) if owner != ROOT => vec![self.subject(), Subject::User(owner)],
            _ => vec![self.subject()],
        }
    }
}

/// The ACL entries of one subject.
#[derive(Default)]
struct Own<'a> {
    /// Their paths, sorted.
    paths: Vec<&'a str>,
    /// The privileges of all their roles.
    privileges: Set,
}

/// Everything the questions about holders need.
pub(super) struct Asker<'a> {
    pub cfg: &'a UserCfg,
    pub surroundings: Surroundings<'a>,
    effective: Effective<'a>,
    /// The ACL, shared by everybody whose power comes from it.
    entries: Vec<Rc<AclEntry>>,
    own: BTreeMap<&'a AclSubject, Own<'a>>,
    looking: Set,
    /// The privileges that let their holder change ACLs somewhere.
    modifying: Set,
    rules: Vec<Known>,
}

/// A rule of this release.
struct Known {
    rule: &'static Rule,
    /// The privileges of each of its needs.
    needs: Vec<Set>,
    /// Those of all of them.
    privileges: Set,
}

/// What a holder has by his privileges alone.
#[derive(Default)]
pub(super) struct Direct {
    pub ways: Vec<Way>,
    /// Whether he has any privilege.
    pub any: bool,
    /// Whether he has one that does more than look.
    pub acts: bool,
}

/// ACL entries by their place in the ACL, with the privileges of their roles.
type Sources = Rc<[(usize, Set)]>;

/// The privileges of one holder on the paths asked so far.
struct Seen<'s, 'a> {
    asker: &'s Asker<'a>,
    holder: Holder<'a>,
    /// Where his ACL entries stand.
    own: BTreeSet<&'a str>,
    /// The privileges of all roles of these entries: he has no other anywhere.
    most: Set,
    known: RefCell<BTreeMap<String, Set>>,
    sources: RefCell<BTreeMap<String, Sources>>,
    guests: OnceCell<Vec<String>>,
}

impl<'a> Asker<'a> {
    pub(super) fn new(cfg: &'a UserCfg, surroundings: Surroundings<'a>, rules: &[&'static [Rule]]) -> Self {
        let effective = Effective::new(cfg);
        let mut own: BTreeMap<&AclSubject, Own<'_>> = BTreeMap::new();
        for entry in &cfg.acl {
            let of_subject = own.entry(&entry.subject).or_default();
            of_subject.privileges = of_subject.privileges.or(effective.of_role(&entry.role));
            // The ACL is ordered by path.
            if of_subject.paths.last() != Some(&entry.path.as_str()) {
                of_subject.paths.push(&entry.path);
            }
        }
        let known = |rule: &'static Rule| {
            let in_release = rule.releases.contains(&cfg.release);
            let needs: Option<Vec<Set>> = rule.needs.iter().map(|need| effective.set_of(need.all)).collect();
            let needs = needs.filter(|_| in_release)?;
            let privileges = needs.iter().fold(Set::default(), |all, need| all.or(*need));
            Some(Known { rule, needs, privileges })
        };
        let rules = rules.iter().copied().flatten().filter_map(known).collect();
        let special = ["Permissions.Modify"].into_iter().chain(special_modifiers(cfg.release));
        let modifying = special.filter_map(|name| effective.set_of(&[name])).fold(Set::default(), Set::or);
        let looking = effective.looking();
        let entries = cfg.acl.iter().cloned().map(Rc::new).collect();
        Self { cfg, surroundings, effective, entries, own, looking, modifying, rules }
    }

    /// The paths of the ACL entries of a subject.
    pub(super) fn paths_of(&self, subject: &AclSubject) -> &[&'a str] {
        self.own.get(subject).map(|own| own.paths.as_slice()).unwrap_or_default()
    }

    /// What a holder has by his privileges alone.
    pub(super) fn direct(&self, holder: Holder<'a>) -> Direct {
        let seen = Seen::new(self, holder);
        let mut found = Direct::default();
        if seen.own.is_empty() {
            return found;
        }
        for Known { rule, needs, privileges } in &self.rules {
            // Who administers gives himself whatever he likes: only what he has is worth naming.
            let gives = found.ways.iter().all(|way| way.class < Class::Administrator);
            let possible =
                seen.most.contains_all(*privileges) || (gives && seen.most.contains(self.modifying));
            // Rules of one name are several ways to meet it.
            if !possible || found.ways.last().is_some_and(|way| way.rule.id == rule.id) {
                continue;
            }
            let needs = rule.needs.iter().zip(needs);
            let held: Option<Vec<Held>> = needs.map(|(need, set)| seen.meets(need, *set, gives)).collect();
            if let Some(held) = held {
                found.ways.push(Way { rule, class: rule.class, held, over: None });
                if rule.needs.iter().any(|need| need.all.is_empty()) {
                    break;
                }
            }
        }
        (found.any, found.acts) = seen.extent();
        found
    }

    /// What meets the need of these privileges, if the holder has them on a path or can give them to himself.
    pub(super) fn can(&self, holder: Holder<'a>, path: &str, all: &'static [&'static str]) -> Option<Held> {
        Seen::new(self, holder).on(path, all, self.effective.set_of(all)?, true)
    }

    /// As [`Asker::can`], on every path one step below this one where it is so.
    pub(super) fn all_below(
        &self,
        holder: Holder<'a>,
        above: &'static str,
        all: &'static [&'static str],
    ) -> Vec<Held> {
        let Some(set) = self.effective.set_of(all) else { return Vec::new() };
        let seen = Seen::new(self, holder);
        seen.below(above).into_iter().filter_map(|path| seen.on(&path, all, set, true)).collect()
    }
}

impl<'s, 'a> Seen<'s, 'a> {
    fn new(asker: &'s Asker<'a>, holder: Holder<'a>) -> Self {
        let mut seen = Self {
            asker,
            holder,
            own: BTreeSet::new(),
            most: Set::default(),
            known: RefCell::default(),
            sources: RefCell::default(),
            guests: OnceCell::new(),
        };
        match holder {
            Holder::User(id) => seen.add_user(id),
            Holder::Member(group) => seen.add(&AclSubject::Group(group.to_owned())),
            Holder::Token(id, owner) => {
                seen.add(&AclSubject::Token(id.to_owned()));
                // It has no more than its own entries give, but those of the owner take from it.
                let most = seen.most;
                if owner != ROOT {
                    seen.add_user(owner);
                }
                seen.most = most;
            }
        }
        seen
    }

    fn add(&mut self, subject: &AclSubject) {
        if let Some(own) = self.asker.own.get(subject) {
            self.own.extend(&own.paths);
            self.most = self.most.or(own.privileges);
        }
    }

    fn add_user(&mut self, id: &str) {
        self.add(&AclSubject::User(id.to_owned()));
        for group in self.asker.cfg.group_names(id) {
            self.add(&AclSubject::Group(group.clone()));
        }
    }

    fn meets(&self, need: &Need, set: Set, gives: bool) -> Option<Held> {
        need.on.iter().find_map(|place| match place {
            Place::Guest => self.guests().iter().find_map(|path| self.on(path, need.all, set, gives)),
            place => self.paths(*place).iter().find_map(|path| self.on(path, need.all, set, gives)),
        })
    }

    /// The paths of a place that can differ for this holder.
    fn paths(&self, place: Place) -> Vec<String> {
        match place {
            Place::At(path) => vec![path.to_owned()],
            Place::Below(above) => self.below(above),
            Place::Anywhere => {
                let real = self.own.iter().filter(|path| is_api_path(path, self.asker.cfg.release));
                real.map(|path| (*path).to_owned()).collect()
            }
            Place::Node => match self.asker.surroundings.nodes {
                Some(nodes) if !nodes.is_empty() => self.nodes(nodes),
                _ => self.below("/nodes"),
            },
            Place::Guest => self.guests().to_vec(),
        }
    }

    /// Any path one step below `above`, and pools within pools: those of his own ACL entries, one without any, and
    /// what pools lend him.
    fn below(&self, above: &str) -> Vec<String> {
        let prefix = format!("{above}/");
        let own = self.own.range(prefix.as_str()..).take_while(|path| path.starts_with(&prefix));
        let fits =
            |path: &&&str| above == "/pool" || !path.get(prefix.len()..).unwrap_or_default().contains('/');
        let mut paths = vec![format!("{above}/*")];
        paths.extend(own.filter(fits).map(|path| (*path).to_owned()));
        if above == "/storage" {
            let lent = self.pools().into_iter().flat_map(|(_, pool)| &pool.storages);
            paths.extend(lent.map(|storage| format!("/storage/{storage}")));
        }
        paths
    }

    /// The nodes there are: each with an ACL entry of his, and one of the others.
    fn nodes(&self, nodes: &[String]) -> Vec<String> {
        let path = |node: &String| format!("/nodes/{node}");
        let (own, others): (Vec<String>, Vec<String>) =
            nodes.iter().map(path).partition(|path| self.own.contains(path.as_str()));
        others.into_iter().take(1).chain(own).collect()
    }

    /// Guests that can differ: each with an ACL entry of his, one without, and one of each pool he has rights on, which
    /// may be one he would create there.
    fn guests(&self) -> &[String] {
        self.guests.get_or_init(|| self.find_guests())
    }

    fn find_guests(&self) -> Vec<String> {
        let mut paths = self.below("/vms");
        for (name, pool) in self.pools() {
            let mut guests = pool.vms.iter().map(|vm| format!("/vms/{vm}"));
            if let Some(path) = guests.find(|path| !self.own.contains(path.as_str())) {
                paths.push(path);
            } else {
                let path = format!("/pool/{name}");
                let creates = self.asker.effective.set_of(&["VM.Allocate"]);
                if creates.is_some_and(|allocate| self.held(&path).contains_all(allocate)) {
                    paths.push(format!("{NEW_GUEST_OF}{path}"));
                }
            }
        }
        paths
    }

    /// The pools that ACL entries of his are on or around, and one with members of the others: it has what `/pool` has.
    fn pools(&self) -> Vec<(&'a str, &'a Pool)> {
        let pools = &self.asker.cfg.pools;
        let mut found: BTreeMap<&str, _> = BTreeMap::new();
        for path in self.own.range("/pool/"..).take_while(|path| path.starts_with("/pool/")) {
            let top = path.strip_prefix("/pool/").unwrap_or_default();
            let within = pools.range(top.to_owned()..).take_while(|(name, _)| name.starts_with(top));
            let is_within = |name: &str| {
                name.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            };
            found
                .extend(within.filter(|(name, _)| is_within(name)).map(|(name, pool)| (name.as_str(), pool)));
        }
        let has_members = |pool: &Pool| !(pool.vms.is_empty() && pool.storages.is_empty());
        let other = pools.iter().find(|(name, pool)| has_members(pool) && !found.contains_key(name.as_str()));
        found.into_iter().chain(other.map(|(name, pool)| (name.as_str(), pool))).collect()
    }

    fn held(&self, path: &str) -> Set {
        if let Some(known) = self.known.borrow().get(path) {
            return *known;
        }
        let effective = &self.asker.effective;
        let set = match self.holder {
            Holder::User(id) | Holder::Token(id, _) => effective.held(id, path),
            Holder::Member(group) => effective.held_by(Subject::Member { group, user: None }, path),
        };
        self.known.borrow_mut().insert(path.to_owned(), set);
        set
    }

    fn has(&self, path: &str, all: Set) -> bool {
        self.most.contains_all(all) && self.held(path).contains_all(all)
    }

    fn on(&self, path: &str, all: &'static [&'static str], set: Set, gives: bool) -> Option<Held> {
        if self.has(path, set) {
            let grants = self.grants(path, all);
            return Some(Held { privileges: all, path: path.to_owned(), by_changing: None, grants });
        }
        // Every privilege at once is judged as it is, not as somebody could make it.
        if !gives || all.is_empty() || !self.most.contains(self.asker.modifying) {
            return None;
        }
        let pools: Vec<&str> = self.asker.effective.pools_of(path).collect();
        let (modifier, above) =
            std::iter::once(path).chain(pools).find_map(|start| self.modifier_from(start))?;
        let grants = self.grants(above, &[modifier]);
        let by_changing = Some((modifier, above.to_owned()));
        Some(Held { privileges: all, path: path.to_owned(), by_changing, grants })
    }

    /// The privilege, and where he holds it, that lets him give himself any role that reaches `path`: there or above.
    fn modifier_from<'p>(&self, path: &'p str) -> Option<(&'static str, &'p str)> {
        let depth = |path: &str| path.split('/').filter(|part| !part.is_empty()).count();
        let subjects = self.holder.subjects().into_iter();
        let decided = subjects.filter_map(|one| self.asker.effective.deciding_depth(one, path)).max();
        let mut above = path;
        loop {
            // An entry further down would override what he gives himself here.
            if decided.is_some_and(|decided| decided > depth(above)) {
                return None;
            }
            let release = self.asker.cfg.release;
            let holds = |one: &&'static str| {
                self.asker.effective.set_of(&[one]).is_some_and(|one| self.has(above, one))
            };
            if let Some(modifier) = modifiers(above, release).into_iter().find(holds) {
                return Some((modifier, above));
            }
            above = match above.rsplit_once('/') {
                Some(("", last)) if !last.is_empty() => "/",
                Some((next, _)) if !next.is_empty() => next,
                _ => return None,
            }
        }
    }

    /// The ACL entries these privileges come from: the strongest role first, the one to name.
    fn grants(&self, path: &str, all: &[&str]) -> Vec<Rc<AclEntry>> {
        let effective = &self.asker.effective;
        let sources = self.sources(path);
        let mut places: BTreeSet<usize> = BTreeSet::new();
        let bits = all.iter().map(|one| effective.set_of(&[one]));
        for bit in if all.is_empty() { vec![None] } else { bits.collect() } {
            let fits = sources.iter().filter(|(_, brought)| bit.is_none_or(|bit| brought.contains(bit)));
            places.extend(fits.take(GRANTS_LIMIT).map(|(place, _)| *place));
        }
        let entries = places.into_iter().filter_map(|place| self.asker.entries.get(place));
        let mut grants: Vec<Rc<AclEntry>> = entries.map(Rc::clone).collect();
        let strength = |entry: &AclEntry| effective.of_role(&entry.role).len();
        grants.sort_by_key(|entry| (std::cmp::Reverse(strength(entry)), entry.line));
        grants
    }

    /// The ACL entries in force on a path, looked up once: most rules ask for the same few paths.
    fn sources(&self, path: &str) -> Sources {
        if let Some(known) = self.sources.borrow().get(path) {
            return Rc::clone(known);
        }
        let subject = self.holder.subject();
        let found: Sources = self.asker.effective.sources(subject, path).into();
        self.sources.borrow_mut().insert(path.to_owned(), Rc::clone(&found));
        found
    }

    /// Whether he has any privilege, and any that does more than look.
    fn extent(&self) -> (bool, bool) {
        if self.most.is_empty() {
            return (false, false);
        }
        // An entry that counts on its own path alone leaves the paths below to those above.
        let below = self.own.iter().map(|path| format!("{}/*", path.trim_end_matches('/')));
        let mut paths: Vec<String> = self.own.iter().map(|path| (*path).to_owned()).chain(below).collect();
        paths.extend_from_slice(self.guests());
        paths.extend(self.below("/storage"));
        let mut any = false;
        for path in paths {
            let held = self.held(&path);
            any |= !held.is_empty();
            if !self.asker.looking.contains_all(held) {
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
fn modifiers(path: &str, release: Release) -> Vec<&'static str> {
    let special = SPECIAL_MODIFIERS.iter().filter(|(above, _)| {
        release == Release::Pve7 && path.strip_prefix(above).is_some_and(|rest| !rest.is_empty())
    });
    std::iter::once("Permissions.Modify").chain(special.map(|(_, privilege)| *privilege)).collect()
}

/// Every privilege with which ACLs can be changed in some release.
pub(super) const MODIFIERS: [&str; 4] =
    ["Permissions.Modify", "Datastore.Allocate", "VM.Allocate", "Pool.Allocate"];

const SPECIAL_MODIFIERS: [(&str, &str); 3] =
    [("/storage/", "Datastore.Allocate"), ("/vms/", "VM.Allocate"), ("/pool/", "Pool.Allocate")];

fn special_modifiers(release: Release) -> impl Iterator<Item = &'static str> {
    SPECIAL_MODIFIERS.iter().filter(move |_| release == Release::Pve7).map(|(_, privilege)| *privilege)
}
