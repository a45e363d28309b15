//! What everybody can come to: the privileges he holds, what they let him do beside what the role says, and whom he
//! can take over.
//!
//! The rules are data ([`rules`]). Those of [`rules::DIRECT`] need privileges alone; the others take over somebody who
//! has power by then, so that they are applied until nobody new is found ([`reach`]). Being disabled or expired is no
//! part of it: that is decided when somebody logs in.

mod holder;
mod reach;
pub mod rules;
#[cfg(test)]
mod tests;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use crate::catalogue::schema::Severity;
use crate::formats::domains_cfg::DomainsConfig;
use crate::formats::user_cfg::AclEntry;
use rules::{Class, Rule};

pub use reach::find;

/// How much somebody can do, at his best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// He has no privilege anywhere.
    Nothing,
    /// He looks: every privilege ends in `.Audit`.
    Auditor,
    /// He has privileges that give neither a guest nor more.
    User,
    /// He controls a guest, or its data.
    Guests,
    /// He is one realistic step from more.
    Strong,
    /// He becomes root on a node.
    HostRoot,
    /// He has every privilege, or takes them.
    Administrator,
}

impl Rank {
    /// How bad it is if somebody else acts as him.
    pub fn severity(self) -> Severity {
        match self {
            Self::Administrator | Self::HostRoot => Severity::Critical,
            Self::Strong => Severity::High,
            Self::Guests => Severity::Medium,
            Self::User | Self::Auditor => Severity::Low,
            Self::Nothing => Severity::Info,
        }
    }

    /// What he is, in words that follow "the user …".
    pub fn words(self) -> &'static str {
        match self {
            Self::Administrator => "administers",
            Self::HostRoot => "can become root on a node",
            Self::Strong => "is one step from administering",
            Self::Guests => "controls guests",
            Self::User => "has a few rights",
            Self::Auditor => "only looks",
            Self::Nothing => "has no rights",
        }
    }
}

/// Whom a way leads over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Over {
    /// A user, by id; he may not exist yet.
    User(String),
    /// A group, by name: whoever is in it.
    Group(String),
}

/// Privileges somebody holds on a path, or can give himself there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The privileges; empty for every one.
    pub privileges: &'static [&'static str],
    /// Where. A last part `*` is any that has no ACL entry of its own.
    pub path: String,
    /// The privilege that lets him change the ACL, and where he holds it; `None` if he holds the privileges already.
    pub by_changing: Option<(&'static str, String)>,
    /// The ACL entries they come from.
    pub grants: Vec<Rc<AclEntry>>,
}

/// A way to more than the role says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The rule that holds.
    pub rule: &'static Rule,
    /// What it leads to: more than the class of the rule where it leads over somebody.
    pub class: Class,
    /// What meets its needs.
    pub held: Vec<Held>,
    /// Whose power is taken.
    pub over: Option<Over>,
}

/// What somebody can come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Power {
    /// User or token id; the name of the group for a bare member.
    pub id: String,
    /// The owner, if it is a token.
    pub owner: Option<String>,
    /// Whether it is a token that has every right of its owner: the ways are the owner's.
    pub through_owner: bool,
    /// How much that is.
    pub rank: Rank,
    /// The ways by privileges alone, shared by those who have the same ACL entries.
    direct: Rc<[Way]>,
    /// The ways over somebody else.
    over: Vec<Way>,
}

impl Power {
    /// Every way, those that lead furthest first.
    pub fn ways(&self) -> Vec<&Way> {
        let mut ways: Vec<&Way> = self.direct.iter().chain(&self.over).collect();
        ways.sort_by_key(|way| std::cmp::Reverse(way.class));
        ways
    }

    /// The ways to full power or to root on a node.
    pub fn root_ways(&self) -> Vec<&Way> {
        self.ways().into_iter().filter(|way| way.class >= Class::HostRoot).collect()
    }

    /// Whether he has full power or root on a node, or can take it.
    pub fn is_root_equivalent(&self) -> bool {
        self.rank >= Rank::HostRoot
    }

    /// The ACL entries of the ways to full power or root, or else of all ways, each once, by line.
    pub fn grants(&self) -> Vec<&AclEntry> {
        let ways = if self.is_root_equivalent() { self.root_ways() } else { self.ways() };
        let held = ways.into_iter().flat_map(|way| &way.held);
        let mut grants: Vec<&AclEntry> = held.flat_map(|held| &held.grants).map(Rc::as_ref).collect();
        grants.sort_by_key(|entry| (entry.line, &entry.subject, &entry.role));
        grants.dedup();
        grants
    }
}

/// What everybody can come to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Powers {
    /// Users and tokens of the file, and users who hold rights without being there.
    ids: BTreeMap<String, Power>,
    /// Bare members of the groups that ACLs name.
    members: BTreeMap<String, Power>,
    /// Whether what realms there are has a part in it.
    depends_on_realms: bool,
}

impl Powers {
    /// What this user or token can come to, also a user who does not exist but holds rights.
    pub fn of(&self, id: &str) -> Option<&Power> {
        self.ids.get(id)
    }

    /// What somebody can come to who is in this group and no other; `None` if no ACL names it.
    pub fn of_member(&self, group: &str) -> Option<&Power> {
        self.members.get(group)
    }

    /// How much this user or token can do; nothing if there is none of this id.
    pub fn rank(&self, id: &str) -> Rank {
        self.of(id).map_or(Rank::Nothing, |power| power.rank)
    }

    /// Whether what realms there are has a part in it, for somebody may create users or change realms.
    pub fn depends_on_realms(&self) -> bool {
        self.depends_on_realms
    }

    /// Everybody, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Power> {
        self.ids.values()
    }

    /// Everybody who has full power or root on a node, or can take it, by id.
    pub fn administrators(&self) -> impl Iterator<Item = &Power> {
        self.iter().filter(|power| power.is_root_equivalent())
    }
}

/// Whether a role with these privileges can be a step to full power or to root; where it cannot, neither can its
/// holder by himself.
pub fn may_lead_to_root(privileges: &BTreeSet<&str>) -> bool {
    let needs = rules::DIRECT.iter().flat_map(|rule| rule.needs).flat_map(|need| need.all);
    needs.copied().chain(holder::MODIFIERS).any(|name| privileges.contains(name))
}

/// What the powers depend on beside user.cfg.
#[derive(Debug, Clone, Copy, Default)]
pub struct Surroundings<'a> {
    /// The nodes there are; `None` where that is not known, so that any may be.
    pub nodes: Option<&'a [String]>,
    /// The realms; `None` where they could not be read.
    pub realms: Option<&'a DomainsConfig>,
}
