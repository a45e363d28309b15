//! The ACL as a tree of paths.

use std::collections::BTreeMap;

use super::sets::{RoleId, RoleTable};
use super::{Effective, Subject};
use crate::formats::user_cfg::{AclEntry, AclSubject, UserCfg};

/// Kept flat, so that a deep path cannot exhaust the stack; the first node is `/`.
#[derive(Debug)]
pub(super) struct Tree<'a> {
    nodes: Vec<Node<'a>>,
}

/// The ACL entries of one path.
#[derive(Debug, Default)]
pub(super) struct Node<'a> {
    children: BTreeMap<&'a str, usize>,
    users: BTreeMap<&'a str, Entries>,
    groups: BTreeMap<&'a str, Entries>,
    tokens: BTreeMap<&'a str, Entries>,
}

/// The roles one subject has on one path, in the order of their numbers: all, and those with propagation.
#[derive(Debug, Default)]
struct Entries {
    all: Vec<(RoleId, bool)>,
    propagating: Vec<(RoleId, bool)>,
}

/// What decides about a subject on a path.
pub(super) struct Decision<'e> {
    /// The path of the level that decides.
    pub(super) level: &'e str,
    /// Whether that is the very path asked for, where entries without propagation count as well.
    pub(super) last: bool,
    /// Whose entries decide: the subject's own, or those of these groups.
    pub(super) groups: Option<Vec<&'e str>>,
    /// The roles of each of them.
    pub(super) usable: Vec<&'e [(RoleId, bool)]>,
}

impl<'a> Tree<'a> {
    pub(super) fn new(cfg: &'a UserCfg, roles: &RoleTable<'a>) -> Self {
        let mut new = Self { nodes: vec![Node::default()] };
        for entry in &cfg.acl {
            new.add(entry, roles);
        }
        new
    }

    fn add(&mut self, entry: &'a AclEntry, roles: &RoleTable<'a>) {
        let mut index = 0;
        for (_, part) in parts(&entry.path) {
            let fresh = self.nodes.len();
            let Some(node) = self.nodes.get_mut(index) else { return };
            index = *node.children.entry(part).or_insert(fresh);
            if index == fresh {
                self.nodes.push(Node::default());
            }
        }
        let (Some(node), Some(role)) = (self.nodes.get_mut(index), roles.id(&entry.role)) else { return };
        let (subjects, name) = match &entry.subject {
            AclSubject::User(id) => (&mut node.users, id),
            AclSubject::Group(name) => (&mut node.groups, name),
            AclSubject::Token(id) => (&mut node.tokens, id),
        };
        subjects.entry(name).or_default().set(role, entry.propagate);
    }
}

impl Entries {
    /// Entries come with their roles in any order, and each role once.
    fn set(&mut self, role: RoleId, propagate: bool) {
        let place = self.all.partition_point(|(other, _)| *other < role);
        self.all.insert(place, (role, propagate));
        if propagate {
            let place = self.propagating.partition_point(|(other, _)| *other < role);
            self.propagating.insert(place, (role, propagate));
        }
    }

    fn usable(&self, last: bool) -> &[(RoleId, bool)] {
        if last { &self.all } else { &self.propagating }
    }
}

impl<'a> Effective<'a> {
    /// The deepest level of the path that says anything about the subject.
    pub(super) fn deciding<'e>(&'e self, subject: Subject<'_>, path: &'e str) -> Option<Decision<'e>> {
        let only = match subject {
            Subject::Member { group, .. } => Some(group.to_owned()),
            Subject::User(_) | Subject::Token(_) => None,
        };
        let member_of = match subject {
            Subject::User(id) => self.cfg.group_names(id),
            Subject::Token(_) | Subject::Member { .. } => only.as_slice(),
        };
        let mut found: Option<(&Node<'a>, usize, bool)> = None;
        let mut parts = parts(path).peekable();
        let mut end = 0;
        let mut node = self.tree.nodes.first();
        while let Some(level) = node {
            let last = parts.peek().is_none();
            if level.says_anything(subject, member_of, last) {
                found = Some((level, end, last));
            }
            node = parts.next().and_then(|(part_end, part)| {
                end = part_end;
                level.children.get(part).and_then(|child| self.tree.nodes.get(*child))
            });
        }
        let (level, end, last) = found?;
        let mut decision = Decision {
            level: if end == 0 { "/" } else { path.get(..end).unwrap_or_default() },
            last,
            groups: None,
            usable: level.own(subject, last).into_iter().collect(),
        };
        if decision.usable.is_empty() {
            let (groups, usable) = level.of_groups(member_of, last).unzip();
            decision.groups = Some(groups);
            decision.usable = usable;
        }
        Some(decision)
    }
}

impl Node<'_> {
    /// The subject's own roles that count here, if there are any: they beat those of groups.
    fn own(&self, subject: Subject<'_>, last: bool) -> Option<&[(RoleId, bool)]> {
        let entries = match subject {
            Subject::User(id) => self.users.get(id),
            Subject::Member { user, .. } => user.and_then(|id| self.users.get(id)),
            Subject::Token(id) => self.tokens.get(id),
        };
        entries.map(|entries| entries.usable(last)).filter(|roles| !roles.is_empty())
    }

    /// The roles that count here of each of these groups, given in the order of their names.
    fn of_groups<'e>(
        &'e self,
        member_of: &[String],
        last: bool,
    ) -> impl Iterator<Item = (&'e str, &'e [(RoleId, bool)])> {
        // Whichever is shorter leads: a level may name thousands of groups, and a user be in thousands.
        let by_level = self.groups.len() < member_of.len();
        let from_level = self.groups.iter().take(if by_level { usize::MAX } else { 0 });
        let from_level = from_level
            .filter(|(name, _)| member_of.binary_search_by(|group| group.as_str().cmp(name)).is_ok())
            .map(|(name, entries)| (*name, entries));
        let from_user = member_of.iter().take(if by_level { 0 } else { usize::MAX });
        let from_user = from_user
            .filter_map(|group| self.groups.get_key_value(group.as_str()).map(|(name, one)| (*name, one)));
        let all = from_level.chain(from_user).map(move |(name, entries)| (name, entries.usable(last)));
        all.filter(|(_, roles)| !roles.is_empty())
    }

    fn says_anything(&self, subject: Subject<'_>, member_of: &[String], last: bool) -> bool {
        self.own(subject, last).is_some() || self.of_groups(member_of, last).next().is_some()
    }
}

/// The parts of a path, each with the place where it ends.
fn parts(path: &str) -> impl Iterator<Item = (usize, &str)> {
    let placed = path.split('/').scan(0_usize, |start, part| {
        let end = start.saturating_add(part.len());
        *start = end.saturating_add(1);
        Some((end, part))
    });
    placed.filter(|(_, part)| !part.is_empty())
}
