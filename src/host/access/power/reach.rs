//! Whom everybody can take over: applied until nobody new is found.
//!
//! Somebody is looked at when he is found to have power: whoever can act as him has it too. Only ACL entries on the
//! groups themselves can add somebody, for whoever may change users above them administers already; so each step
//! looks at the holders of a few entries and never at everybody.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;

use super::holder::{Asker, Holder};
use super::rules::{
    CLAIMS_A_GROUP, CREATES_A_GROUP, CREATES_A_MEMBER, CREATES_A_REALM, CREATES_A_USER, Class, DIRECT,
    IS_ROOT, JOINS_A_GROUP, ON_GUESTS, POINTS_A_REALM_ELSEWHERE, Rule, TAKES_A_MEMBER,
};
use super::{Held, Over, Power, Powers, Rank, Surroundings, Way};
use crate::catalogue::schema::Severity;
use crate::formats::domains_cfg::RealmKind;
use crate::formats::user_cfg::names::{ROOT, is_realm, split_user_id};
use crate::formats::user_cfg::{AclEntry, AclSubject, UserCfg};

const MODIFY_USERS: &[&str] = &["User.Modify"];
const CREATE_USERS: &[&str] = &["Realm.AllocateUser"];
const CREATE_GROUPS: &[&str] = &["Group.Allocate"];

const GROUPS: &str = "/access/groups";
const REALMS: &str = "/access/realm";

/// What everybody in `cfg` can come to.
pub fn find(cfg: &UserCfg, surroundings: Surroundings<'_>) -> Powers {
    let asker = Asker::new(cfg, surroundings);
    let mut search = Search::new(&asker);
    while let Some(holder) = search.waiting.pop_front() {
        search.follow(holder);
    }
    search.finish()
}

/// What a holder has come to so far.
#[derive(Clone)]
struct Found {
    direct: Rc<[Way]>,
    over: Vec<Way>,
    /// The best class of both.
    class: Option<Class>,
    /// Whether he has any privilege.
    any: bool,
    /// Whether he has one that does more than look.
    acts: bool,
}

struct Search<'s, 'a> {
    asker: &'s Asker<'a>,
    found: BTreeMap<Holder<'a>, Found>,
    /// Holders with full power or root whom somebody may take over.
    waiting: VecDeque<Holder<'a>>,
    /// Who may change realms.
    realm_changers: Vec<(Holder<'a>, Held)>,
    /// Who may create users in some realm.
    user_creators: Vec<Holder<'a>>,
}

impl<'s, 'a> Search<'s, 'a> {
    fn new(asker: &'s Asker<'a>) -> Self {
        let mut search = Self {
            asker,
            found: BTreeMap::new(),
            waiting: VecDeque::new(),
            realm_changers: Vec::new(),
            user_creators: Vec::new(),
        };
        let mut shared: BTreeMap<Vec<&'a str>, Found> = BTreeMap::new();
        for holder in holders(asker) {
            let found = match holder {
                Holder::User(ROOT) => Found::root(),
                // Users without entries of their own differ by the groups that have some.
                Holder::User(id) if !asker.has_entries(&AclSubject::User(id.to_owned())) => {
                    let groups = asker.cfg.group_names(id).iter().map(String::as_str);
                    let named =
                        groups.filter(|name| asker.has_entries(&AclSubject::Group((*name).to_owned())));
                    shared.entry(named.collect()).or_insert_with(|| Found::of(asker, holder)).clone()
                }
                _ => Found::of(asker, holder),
            };
            search.note(holder, &found);
            search.found.insert(holder, found);
        }
        search
    }

    /// Keeps who has a part in the rules over others.
    fn note(&mut self, holder: Holder<'a>, found: &Found) {
        if found.class >= Some(Class::HostRoot) {
            self.waiting.push_back(holder);
        }
        let way = |id: &str| found.direct.iter().find(|way| way.rule.id == id);
        if found.class < Some(Class::Administrator) {
            if let Some(held) = way("modifies-realms").and_then(|way| way.held.first()) {
                self.realm_changers.push((holder, held.clone()));
            }
            if way("creates-users").is_some() {
                self.user_creators.push(holder);
            }
        }
    }

    /// Adds everybody who can act as this one.
    fn follow(&mut self, holder: Holder<'a>) {
        let Some(class) = self.found.get(&holder).and_then(|found| found.class) else { return };
        match holder {
            Holder::User(id) if self.asker.cfg.users.contains_key(id) => self.over_user(id, class),
            Holder::User(id) => self.over_missing_user(id, class),
            Holder::Member(group, None) if self.asker.cfg.groups.contains_key(group) => {
                self.over_group(group, class);
            }
            Holder::Member(group, None) => self.over_missing_group(group, class),
            // Nobody acts as a token without acting as its owner.
            Holder::Member(_, Some(_)) | Holder::Token(..) => {}
        }
    }

    fn over_user(&mut self, id: &'a str, class: Class) {
        for group in self.asker.cfg.group_names(id) {
            let path = format!("{GROUPS}/{group}");
            for candidate in self.candidates(&path, class) {
                if let Some(held) = self.asker.can(candidate, &path, MODIFY_USERS) {
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
            if let Some(group) = self.groups_he_changes(candidate).into_iter().next() {
                self.add(candidate, &CREATES_A_USER, class, vec![creates, group.1], over.clone());
            }
        }
        if !matches!(realm, "pam" | "pve") {
            self.add_realm_changers(&CREATES_A_REALM, class, &over);
        }
    }

    fn over_group(&mut self, group: &'a str, class: Class) {
        let path = format!("{GROUPS}/{group}");
        let over = Over::Group(group.to_owned());
        for candidate in self.candidates(&path, class) {
            let Some(held) = self.asker.can(candidate, &path, MODIFY_USERS) else { continue };
            if let Some(moves) = self.somebody_to_move(candidate, group) {
                let held = if moves.path == path { vec![held] } else { vec![held, moves] };
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
        for candidate in self.candidates(&path, class) {
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

    /// Everybody an ACL entry on this very path is for and who has less than `class` so far.
    fn candidates(&self, path: &str, class: Class) -> BTreeSet<Holder<'a>> {
        let acl = self.asker.cfg.acl.as_slice();
        let start = acl.partition_point(|entry| entry.path.as_str() < path);
        let end = acl.partition_point(|entry| entry.path.as_str() <= path);
        let mut all = BTreeSet::new();
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
                all.insert(Holder::Member(name, None));
                let members = self.asker.cfg.groups.get(name).into_iter().flat_map(|group| &group.members);
                all.extend(members.map(|id| Holder::User(id)));
            }
        }
    }

    /// The groups there are of which this one may change the users by an ACL entry on the group.
    fn groups_he_changes(&self, holder: Holder<'a>) -> Vec<(&'a str, Held)> {
        let mut found = Vec::new();
        for held in self.asker.all_below(holder, GROUPS, MODIFY_USERS) {
            let name = held.path.strip_prefix(GROUPS).and_then(|rest| rest.strip_prefix('/'));
            if let Some((name, _)) = name.and_then(|name| self.asker.cfg.groups.get_key_value(name)) {
                found.push((name.as_str(), held));
            }
        }
        found
    }

    /// What lets this one move a user into `group` who then has its power.
    fn somebody_to_move(&self, holder: Holder<'a>, group: &'a str) -> Option<Held> {
        let cfg = self.asker.cfg;
        for (name, held) in self.groups_he_changes(holder) {
            let members = cfg.groups.get(name).into_iter().flat_map(|group| &group.members);
            for user in members.filter(|id| cfg.users.contains_key(*id)) {
                let own = self.asker.has_entries(&AclSubject::User(user.clone()));
                // Entries of his own may override those of the group.
                let moved = || Found::of(self.asker, Holder::Member(group, Some(user))).class;
                if !own || moved() >= Some(Class::HostRoot) {
                    return Some(held);
                }
            }
        }
        None
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
            Some(cfg) => cfg.realms.get(name).is_some_and(|realm| outside(&realm.kind)),
            None => !matches!(name, "pam" | "pve"),
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
                Holder::Member(group, _) => {
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
                    Found::nothing().power(&id, Some(owner), false)
                } else {
                    found.power(&id, Some(owner), true)
                };
                powers.ids.entry(id).or_insert(power);
            }
        }
        powers
    }
}

impl Found {
    fn of<'a>(asker: &Asker<'a>, holder: Holder<'a>) -> Self {
        let (ways, any, acts) = asker.direct(holder, &[DIRECT, ON_GUESTS]);
        let class = ways.iter().map(|way| way.class).max();
        Self { direct: ways.into(), over: Vec::new(), class, any, acts }
    }

    fn nothing() -> Self {
        Self { direct: Rc::new([]), over: Vec::new(), class: None, any: false, acts: false }
    }

    fn root() -> Self {
        let way = Way { rule: &IS_ROOT, class: Class::Administrator, held: Vec::new(), over: None };
        Self {
            direct: Rc::new([way]),
            over: Vec::new(),
            class: Some(Class::Administrator),
            any: true,
            acts: true,
        }
    }

    fn power(&self, id: &str, owner: Option<&str>, through_owner: bool) -> Power {
        Power {
            id: id.to_owned(),
            owner: owner.map(str::to_owned),
            through_owner,
            rank: self.rank(),
            direct: Rc::clone(&self.direct),
            over: self.over.clone(),
        }
    }

    fn rank(&self) -> Rank {
        let strong = |way: &Way| way.rule.severity >= Severity::High;
        match self.class {
            Some(Class::Administrator) => Rank::Administrator,
            Some(Class::HostRoot) => Rank::HostRoot,
            _ if self.direct.iter().any(strong) => Rank::Strong,
            Some(Class::Guests) => Rank::Guests,
            _ if self.acts => Rank::User,
            _ if self.any => Rank::Auditor,
            _ => Rank::Nothing,
        }
    }
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
                all.insert(Holder::Member(name, None));
                let members = cfg.groups.get(name).into_iter().flat_map(|group| &group.members);
                all.extend(members.map(|id| Holder::User(id)));
            }
            AclSubject::Token(id) => all.extend(token(cfg, id)),
        }
    }
    all
}
