//! Whom everybody can take over: applied until nobody new is found.
//!
//! Somebody is looked at when he is found to have power: whoever can act as him has it too. Whoever may change users on
//! `/access/groups` administers already, so that only ACL entries on the group itself can add somebody, or those above
//! which an entry on `/access/groups` keeps from counting just there: each step looks at the holders of a few entries
//! and not at everybody.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use super::holder::{Asker, Direct, Holder};
use super::rules::{
    CLAIMS_A_GROUP, CREATES_A_GROUP, CREATES_A_MEMBER, CREATES_A_REALM, CREATES_A_USER, Class, DIRECT,
    IS_ROOT, JOINS_A_GROUP, ON_GUESTS, POINTS_A_REALM_ELSEWHERE, Rule, TAKES_A_MEMBER,
};
use super::{Held, Over, Power, Powers, Rank, Surroundings, Way};
use crate::catalogue::schema::Severity;
use crate::formats::domains_cfg::{DomainsConfig, RealmKind};
use crate::formats::user_cfg::names::{ROOT, is_realm, split_user_id};
use crate::formats::user_cfg::{AclEntry, AclSubject, UserCfg};

const MODIFY_USERS: &[&str] = &["User.Modify"];
const CREATE_USERS: &[&str] = &["Realm.AllocateUser"];
const CREATE_GROUPS: &[&str] = &["Group.Allocate"];

const GROUPS: &str = "/access/groups";
const REALMS: &str = "/access/realm";

/// Any group without an ACL entry of its own.
const ANY_GROUP: &str = "/access/groups/*";

/// What everybody in `cfg` can come to.
pub fn find(cfg: &UserCfg, surroundings: Surroundings<'_>) -> Powers {
    let asker = Asker::new(cfg, surroundings, &[DIRECT, ON_GUESTS]);
    let mut search = Search::new(&asker);
    while let Some(holder) = search.waiting.pop_front() {
        search.follow(holder);
    }
    search.finish()
}

/// What a holder has by his privileges alone. Users who differ by nothing share it.
struct Profile<'a> {
    direct: Rc<[Way]>,
    /// Whether he has any privilege.
    any: bool,
    /// Whether he has one that does more than look.
    acts: bool,
    /// The groups there are whose users he may change, by name, with what lets him.
    groups: OnceCell<Rc<BTreeMap<&'a str, Held>>>,
}

/// What a holder has come to so far.
#[derive(Clone)]
struct Found<'a> {
    profile: Rc<Profile<'a>>,
    over: Vec<Way>,
    /// The best class of both.
    class: Option<Class>,
}

struct Search<'s, 'a> {
    asker: &'s Asker<'a>,
    found: BTreeMap<Holder<'a>, Found<'a>>,
    /// Holders with full power or root whom somebody may take over.
    waiting: VecDeque<Holder<'a>>,
    /// Who may change realms.
    realm_changers: Vec<(Holder<'a>, Held)>,
    /// Who may create users in some realm.
    user_creators: Vec<Holder<'a>>,
    /// Who may change the users of every group without an ACL entry of its own, but not those of groups as a whole.
    group_changers: Vec<Holder<'a>>,
    /// Groups whose members were followed already, with the class: who could take one of them has it.
    settled: BTreeMap<&'a str, Class>,
    /// Whether somebody in the first group would have the power of the second if he were moved there.
    movable: BTreeMap<(&'a str, &'a str), bool>,
}

impl<'s, 'a> Search<'s, 'a> {
    fn new(asker: &'s Asker<'a>) -> Self {
        let mut search = Self {
            asker,
            found: BTreeMap::new(),
            waiting: VecDeque::new(),
            realm_changers: Vec::new(),
            user_creators: Vec::new(),
            group_changers: Vec::new(),
            settled: BTreeMap::new(),
            movable: BTreeMap::new(),
        };
        let mut shared: BTreeMap<Vec<&'a str>, Rc<Profile<'a>>> = BTreeMap::new();
        for holder in holders(asker) {
            let profile = match holder {
                Holder::User(ROOT) => Rc::new(Profile::root()),
                // Users without entries of their own differ by the groups that have some.
                Holder::User(id) if asker.paths_of(&AclSubject::User(id.to_owned())).is_empty() => {
                    let groups = asker.cfg.group_names(id).iter().map(String::as_str);
                    let has_entries =
                        |name: &&str| !asker.paths_of(&AclSubject::Group((*name).to_owned())).is_empty();
                    let profile = shared.entry(groups.filter(has_entries).collect());
                    Rc::clone(profile.or_insert_with(|| Rc::new(Profile::of(asker, holder))))
                }
                _ => Rc::new(Profile::of(asker, holder)),
            };
            let found = Found::new(profile);
            search.note(holder, &found);
            search.found.insert(holder, found);
        }
        search
    }

    /// Keeps who has a part in the rules over others.
    fn note(&mut self, holder: Holder<'a>, found: &Found<'a>) {
        if found.class >= Some(Class::HostRoot) {
            self.waiting.push_back(holder);
        }
        let way = |id: &str| found.profile.direct.iter().find(|way| way.rule.id == id);
        if found.class < Some(Class::Administrator) {
            if let Some(held) = way("modifies-realms").and_then(|way| way.held.first()) {
                self.realm_changers.push((holder, held.clone()));
            }
            if way("creates-users").is_some() {
                self.user_creators.push(holder);
            }
            // The rule asks for any group first.
            let of_any = way("modifies-users-of-a-group").and_then(|way| way.held.first());
            if of_any.is_some_and(|held| held.path == ANY_GROUP) {
                self.group_changers.push(holder);
            }
        }
    }

    /// Adds everybody who can act as this one.
    fn follow(&mut self, holder: Holder<'a>) {
        let Some(class) = self.found.get(&holder).and_then(|found| found.class) else { return };
        match holder {
            Holder::User(id) if self.asker.cfg.users.contains_key(id) => self.over_user(id, class),
            Holder::User(id) => self.over_missing_user(id, class),
            Holder::Member(group) if self.asker.cfg.groups.contains_key(group) => {
                self.over_group(group, class);
            }
            Holder::Member(group) => self.over_missing_group(group, class),
            // Nobody acts as a token without acting as its owner.
            Holder::Token(..) => {}
        }
    }

    fn over_user(&mut self, id: &'a str, class: Class) {
        for group in self.asker.cfg.group_names(id) {
            if self.settled.get(group.as_str()).is_some_and(|settled| *settled >= class) {
                continue;
            }
            self.settled.insert(group, class);
            for candidate in self.candidates(group, class) {
                if let Some(held) = self.changes(candidate, group) {
                    self.add(candidate, &TAKES_A_MEMBER, class, vec![held], Over::User(id.to_owned()));
                }
            }
        }
        let outside = split_user_id(id).is_some_and(|(_, realm)| self.is_outside(realm));
        if outside {
            self.add_realm_changers(&POINTS_A_REALM_ELSEWHERE, class, &Over::User(id.to_owned()));
        }
    }

    fn over_missing_user(&mut self, id: &'a str, class: Class) {
        let Some((_, realm)) = split_user_id(id) else { return };
        let over = Over::User(id.to_owned());
        let path = format!("{REALMS}/{realm}");
        for candidate in self.user_creators.clone() {
            let creates = self.asker.can(candidate, &path, CREATE_USERS).filter(|_| self.is_realm(realm));
            let Some(creates) = creates else { continue };
            // A new user must go into a group of which the creator may change the users.
            let group = self.groups(candidate).and_then(|groups| groups.values().next().cloned());
            if let Some(group) = group {
                self.add(candidate, &CREATES_A_USER, class, vec![creates, group], over.clone());
            }
        }
        if !matches!(realm, "pam" | "pve") {
            self.add_realm_changers(&CREATES_A_REALM, class, &over);
        }
    }

    fn over_group(&mut self, group: &'a str, class: Class) {
        let over = Over::Group(group.to_owned());
        for candidate in self.candidates(group, class) {
            let Some(held) = self.changes(candidate, group) else { continue };
            if let Some(moves) = self.somebody_to_move(candidate, group) {
                let held = if moves == held { vec![held] } else { vec![held, moves] };
                self.add(candidate, &JOINS_A_GROUP, class, held, over.clone());
            } else if let Some(creates) = self.creates_users(candidate) {
                self.add(candidate, &CREATES_A_MEMBER, class, vec![held, creates], over.clone());
            }
        }
        self.over_claimed_group(group, class, &over);
    }

    fn over_missing_group(&mut self, group: &'a str, class: Class) {
        let path = format!("{GROUPS}/{group}");
        let over = Over::Group(group.to_owned());
        for candidate in self.candidates(group, class) {
            let Some(joins) = self.asker.can(candidate, &path, MODIFY_USERS) else { continue };
            let Some(creates) = self.asker.can(candidate, GROUPS, CREATE_GROUPS) else { continue };
            let user = self.somebody_to_move(candidate, group).or_else(|| self.creates_users(candidate));
            if let Some(user) = user {
                self.add(candidate, &CREATES_A_GROUP, class, vec![creates, joins, user], over.clone());
            }
        }
        self.over_claimed_group(group, class, &over);
    }

    /// A provider's claim names groups without the realm, which is appended: `admins` of `sso` is `admins-sso`.
    fn over_claimed_group(&mut self, group: &str, class: Class, over: &Over) {
        let ends = group.match_indices('-').filter_map(|(at, _)| group.get(at + 1..));
        let fits = |realm: &str| is_realm(realm) && !matches!(realm, "pam" | "pve");
        if CLAIMS_A_GROUP.releases.contains(&self.asker.cfg.release) && ends.into_iter().any(fits) {
            self.add_realm_changers(&CLAIMS_A_GROUP, class, over);
        }
    }

    fn add_realm_changers(&mut self, rule: &'static Rule, class: Class, over: &Over) {
        for (candidate, held) in self.realm_changers.clone() {
            self.add(candidate, rule, class, vec![held], over.clone());
        }
    }

    /// Everybody who may be able to change the users of this group and has less than `class` so far: whom an ACL entry
    /// on the group is for, and who may change any group.
    fn candidates(&self, group: &str, class: Class) -> BTreeSet<Holder<'a>> {
        let path = format!("{GROUPS}/{group}");
        let acl = self.asker.cfg.acl.as_slice();
        let start = acl.partition_point(|entry| entry.path < path);
        let end = acl.partition_point(|entry| entry.path <= path);
        let mut all: BTreeSet<Holder<'a>> = self.group_changers.iter().copied().collect();
        for entry in acl.get(start..end).unwrap_or_default() {
            self.holders_of(entry, &mut all);
        }
        all.retain(|holder| self.found.get(holder).is_some_and(|found| found.class < Some(class)));
        all
    }

    fn holders_of(&self, entry: &'a AclEntry, all: &mut BTreeSet<Holder<'a>>) {
        match &entry.subject {
            AclSubject::User(id) => {
                all.insert(Holder::User(id));
            }
            AclSubject::Token(id) => all.extend(token(self.asker.cfg, id)),
            AclSubject::Group(name) => {
                all.insert(Holder::Member(name));
                let members = self.asker.cfg.groups.get(name).into_iter().flat_map(|group| &group.members);
                all.extend(members.map(|id| Holder::User(id)));
            }
        }
    }

    /// The groups there are whose users this one may change.
    fn groups(&self, holder: Holder<'a>) -> Option<Rc<BTreeMap<&'a str, Held>>> {
        let profile = &self.found.get(&holder)?.profile;
        Some(Rc::clone(profile.groups.get_or_init(|| Rc::new(self.find_groups(holder)))))
    }

    fn find_groups(&self, holder: Holder<'a>) -> BTreeMap<&'a str, Held> {
        let all = self.asker.all_below(holder, GROUPS, MODIFY_USERS);
        let mut found = BTreeMap::new();
        for held in &all {
            let name = held.path.strip_prefix(GROUPS).and_then(|rest| rest.strip_prefix('/'));
            if let Some((name, _)) = name.and_then(|name| self.asker.cfg.groups.get_key_value(name)) {
                found.insert(name.as_str(), held.clone());
            }
        }
        if let Some(any) = all.iter().find(|held| held.path == ANY_GROUP) {
            for name in self.asker.cfg.groups.keys() {
                let held = self.asker.can(holder, &format!("{GROUPS}/{name}"), any.privileges);
                if let Some(held) = held {
                    found.insert(name, held);
                }
            }
        }
        found
    }

    /// What lets this one change the users of a group there is.
    fn changes(&self, holder: Holder<'a>, group: &str) -> Option<Held> {
        self.groups(holder)?.get(group).cloned()
    }

    /// What lets this one move a user into `group` who then has its power.
    fn somebody_to_move(&mut self, holder: Holder<'a>, group: &'a str) -> Option<Held> {
        let groups = self.groups(holder)?;
        groups.iter().find(|(name, _)| self.is_movable(name, group)).map(|(_, held)| held.clone())
    }

    /// Whether there is a user in `from` who would have the power of `to` if he were in that group alone: no ACL entry
    /// of his own stands where those of the group count, or above the path.
    fn is_movable(&mut self, from: &'a str, to: &'a str) -> bool {
        if let Some(known) = self.movable.get(&(from, to)) {
            return *known;
        }
        let cfg = self.asker.cfg;
        let members = cfg.groups.get(from).into_iter().flat_map(|group| &group.members);
        let mut users = members.filter(|id| cfg.users.contains_key(*id));
        let is = users.any(|id| {
            let own = self.asker.paths_of(&AclSubject::User(id.clone()));
            own.is_empty() || self.found.get(&Holder::Member(to)).is_some_and(|found| found.lasts_beside(own))
        });
        self.movable.insert((from, to), is);
        is
    }

    fn creates_users(&self, holder: Holder<'a>) -> Option<Held> {
        let all = self.asker.all_below(holder, REALMS, CREATE_USERS);
        all.into_iter().find(|held| {
            let realm = held.path.strip_prefix(REALMS).and_then(|rest| rest.strip_prefix('/'));
            realm.is_some_and(|realm| realm == "*" || self.is_realm(realm))
        })
    }

    /// Whether there is such a realm; where the realms could not be read there may be.
    fn is_realm(&self, name: &str) -> bool {
        self.asker.surroundings.realms.is_none_or(|cfg| cfg.realms.contains_key(name))
    }

    /// Whether the users of this realm are let in by a directory server or a provider.
    fn is_outside(&self, name: &str) -> bool {
        let outside = |kind: &RealmKind| !matches!(kind, RealmKind::Pam | RealmKind::Pve);
        match self.asker.surroundings.realms {
            // One that is gone can be set up again.
            Some(DomainsConfig { realms, .. }) if realms.contains_key(name) => {
                realms.get(name).is_some_and(|realm| outside(&realm.kind))
            }
            _ => !matches!(name, "pam" | "pve"),
        }
    }

    fn add(&mut self, holder: Holder<'a>, rule: &'static Rule, class: Class, held: Vec<Held>, over: Over) {
        let Some(found) = self.found.get_mut(&holder) else { return };
        if found.class >= Some(class) || !rule.releases.contains(&self.asker.cfg.release) {
            return;
        }
        found.class = Some(class);
        found.over.push(Way { rule, class, held, over: Some(over) });
        self.waiting.push_back(holder);
    }

    fn finish(self) -> Powers {
        let mut powers = Powers {
            depends_on_realms: !self.realm_changers.is_empty() || !self.user_creators.is_empty(),
            ..Powers::default()
        };
        for (holder, found) in &self.found {
            match holder {
                Holder::User(id) => {
                    powers.ids.insert((*id).to_owned(), found.power(id, None, false));
                }
                Holder::Token(id, owner) => {
                    powers.ids.insert((*id).to_owned(), found.power(id, Some(owner), false));
                }
                Holder::Member(group) => {
                    powers.members.insert((*group).to_owned(), found.power(group, None, false));
                }
            }
        }
        for (owner, user) in &self.asker.cfg.users {
            let Some(found) = self.found.get(&Holder::User(owner)) else { continue };
            for (name, token) in &user.tokens {
                let id = format!("{owner}!{name}");
                let power = if token.privsep {
                    // Those that an ACL entry is for stand there already.
                    Found::new(Rc::new(Profile::nothing())).power(&id, Some(owner), false)
                } else {
                    found.power(&id, Some(owner), true)
                };
                powers.ids.entry(id).or_insert(power);
            }
        }
        powers
    }
}

impl<'a> Profile<'a> {
    fn of(asker: &Asker<'a>, holder: Holder<'a>) -> Self {
        let Direct { ways, any, acts } = asker.direct(holder);
        Self { direct: ways.into(), any, acts, groups: OnceCell::new() }
    }

    fn nothing() -> Self {
        Self { direct: Rc::new([]), any: false, acts: false, groups: OnceCell::new() }
    }

    fn root() -> Self {
        let way = Way { rule: &IS_ROOT, class: Class::Administrator, held: Vec::new(), over: None };
        Self { direct: Rc::new([way]), any: true, acts: true, groups: OnceCell::new() }
    }
}

impl<'a> Found<'a> {
    fn new(profile: Rc<Profile<'a>>) -> Self {
        let class = profile.direct.iter().map(|way| way.class).max();
        Self { profile, over: Vec::new(), class }
    }

    /// Whether full power or root stays with somebody who has ACL entries of his own on these paths.
    fn lasts_beside(&self, own: &[&str]) -> bool {
        let ways = self.profile.direct.iter().chain(&self.over);
        let touches = |held: &Held| own.iter().any(|path| reaches(path, &held.path));
        ways.filter(|way| way.class >= Class::HostRoot).any(|way| !way.held.iter().any(touches))
    }

    fn power(&self, id: &str, owner: Option<&str>, through_owner: bool) -> Power {
        Power {
            id: id.to_owned(),
            owner: owner.map(str::to_owned),
            through_owner,
            rank: self.rank(),
            direct: Rc::clone(&self.profile.direct),
            over: self.over.clone(),
        }
    }

    fn rank(&self) -> Rank {
        let strong = |way: &Way| way.rule.severity >= Severity::High;
        match self.class {
            Some(Class::Administrator) => Rank::Administrator,
            Some(Class::HostRoot) => Rank::HostRoot,
            _ if self.profile.direct.iter().any(strong) => Rank::Strong,
            Some(Class::Guests) => Rank::Guests,
            _ if self.profile.acts => Rank::User,
            _ if self.profile.any => Rank::Auditor,
            _ => Rank::Nothing,
        }
    }
}

/// Whether an ACL entry on `path` can say something on `asked`: it stands there or above.
fn reaches(path: &str, asked: &str) -> bool {
    path == "/" || asked.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A token that is held to its own ACLs, if there is one of this id.
fn token<'a>(cfg: &'a UserCfg, id: &'a str) -> Option<Holder<'a>> {
    let (owner, _) = id.rsplit_once('!')?;
    let token = cfg.token(id)?;
    token.privsep.then_some(Holder::Token(id, owner))
}

/// Everybody whose power can differ.
fn holders<'a>(asker: &Asker<'a>) -> BTreeSet<Holder<'a>> {
    let cfg = asker.cfg;
    let mut all: BTreeSet<Holder<'a>> = cfg.users.keys().map(|id| Holder::User(id)).collect();
    for entry in &cfg.acl {
        match &entry.subject {
            AclSubject::User(id) => {
                all.insert(Holder::User(id));
            }
            AclSubject::Group(name) => {
                all.insert(Holder::Member(name));
                let members = cfg.groups.get(name).into_iter().flat_map(|group| &group.members);
                all.extend(members.map(|id| Holder::User(id)));
            }
            AclSubject::Token(id) => all.extend(token(cfg, id)),
        }
    }
    all
}
