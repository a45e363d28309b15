//! Who administers: everybody who holds full power now or can take it without anybody's help.
//!
//! The rules are data. Each names a privilege on a path and what the API of pve-access-control
//! (`src/PVE/API2/{ACL,User,Role}.pm`) lets its holder do. Being disabled or expired is no part of it: that is
//! decided when somebody logs in.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::effective::Effective;
use crate::formats::user_cfg::names::{ROOT, split_token_id};
use crate::formats::user_cfg::roles::privileges;
use crate::formats::user_cfg::{AclEntry, AclSubject, UserCfg};

/// Everybody who administers, by user or token id.
pub type Administrators = BTreeMap<String, Administrator>;

/// A way to full power: a privilege on a path.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Name for machines; it never changes.
    pub id: &'static str,
    /// What is needed.
    pub needs: Needs,
    /// The path it is needed on.
    pub path: &'static str,
    /// What its holder can do: completes the sentence "the user …".
    pub why: &'static str,
}

/// What a rule asks for on its path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// Every privilege of the release, as the role Administrator has them.
    Everything,
    /// This privilege.
    Privilege(&'static str),
}

/// The rule that `root@pam` meets, and nobody else.
pub const IS_ROOT: Rule = Rule {
    id: "root",
    needs: Needs::Everything,
    path: "/",
    why: "is root@pam, who has every privilege everywhere whatever the ACLs say",
};

/// The rules for everybody else. Whoever meets the first meets the next as well, so that one then stands alone.
pub const RULES: [Rule; 6] = [
    Rule { id: "every-privilege", needs: Needs::Everything, path: "/", why: "has every privilege on /" },
    Rule {
        id: "modifies-permissions",
        needs: Needs::Privilege("Permissions.Modify"),
        path: "/",
        why: "may give any role to anybody on / (Permissions.Modify)",
    },
    Rule {
        id: "modifies-permissions-of-access",
        needs: Needs::Privilege("Permissions.Modify"),
        path: "/access",
        why: "may give himself any role on /access (Permissions.Modify), and with it a token of root@pam",
    },
    Rule {
        id: "modifies-permissions-of-groups",
        needs: Needs::Privilege("Permissions.Modify"),
        path: "/access/groups",
        why: "may give himself any role on /access/groups (Permissions.Modify), and with it a token of root@pam",
    },
    Rule {
        id: "modifies-users",
        needs: Needs::Privilege("User.Modify"),
        path: "/access/groups",
        why: "may change any user on /access/groups (User.Modify) and make a token of root@pam for himself",
    },
    Rule {
        id: "modifies-roles",
        needs: Needs::Privilege("Sys.Modify"),
        path: "/access",
        why: "may add any privilege to his own role on /access (Sys.Modify)",
    },
];

/// The rule for whoever may change the members of a group that has an administrator among them.
pub const MODIFIES_AN_ADMINISTRATOR: Rule = Rule {
    id: "modifies-an-administrator",
    needs: Needs::Privilege(MODIFY_USERS),
    path: GROUPS,
    why: "may make a token of an administrator in a group he may change (User.Modify)",
};

/// The privilege to change users, also to make tokens of theirs.
const MODIFY_USERS: &str = "User.Modify";

/// Where groups are in ACLs.
const GROUPS: &str = "/access/groups";

/// Somebody who administers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Administrator {
    /// User or token id.
    pub id: String,
    /// The owner, if it is a token.
    pub owner: Option<String>,
    /// Whether it is a token that has every right of its owner: the reasons are the owner's.
    pub through_owner: bool,
    /// The rules that hold, at least one.
    pub reasons: Vec<Reason>,
}

/// Why somebody administers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reason {
    /// The rule that holds.
    pub rule: &'static Rule,
    /// The ACL entries that make it hold; none for `root@pam`.
    pub grants: Vec<AclEntry>,
    /// The administrator whose power is taken, by [`MODIFIES_AN_ADMINISTRATOR`].
    pub over: Option<String>,
}

impl Administrator {
    /// The first reason as one part of a sentence, such as "has every privilege on / as Administrator through the
    /// group admins", and how many more there are.
    pub fn why(&self) -> String {
        let first = self.reasons.first().map(|reason| self.words(reason)).unwrap_or_default();
        match self.reasons.len() {
            0 | 1 => first,
            2 => format!("{first}, and has one more way to full power"),
            more => format!("{first}, and has {} more ways to full power", more - 1),
        }
    }

    /// One of the reasons as one part of a sentence.
    pub fn words(&self, reason: &Reason) -> String {
        match self.owner.as_deref().filter(|_| self.through_owner) {
            Some(ROOT) => format!("has every right of {ROOT}"),
            Some(owner) => format!("has every right of {owner}, who {}", reason.words()),
            None => reason.words(),
        }
    }

    /// The ACL entries of all reasons, each once, in the order of their lines.
    pub fn grants(&self) -> Vec<&AclEntry> {
        let mut grants: Vec<&AclEntry> = self.reasons.iter().flat_map(|reason| &reason.grants).collect();
        grants.sort_by_key(|entry| (entry.line, &entry.subject, &entry.role));
        grants.dedup();
        grants
    }
}

impl Reason {
    fn words(&self) -> String {
        let why = match &self.over {
            Some(member) => format!("may make a token of {member}, an administrator (User.Modify),"),
            None => self.rule.why.to_owned(),
        };
        match self.grants.first() {
            Some(grant) => format!("{why} as {} {}", grant.role, through(&grant.subject)),
            None => why,
        }
    }
}

fn through(subject: &AclSubject) -> String {
    match subject {
        AclSubject::User(_) => "by an ACL of his own".to_owned(),
        AclSubject::Token(_) => "by an ACL of its own".to_owned(),
        AclSubject::Group(group) => format!("through the group {group}"),
    }
}

/// Everybody in `cfg` who administers.
pub fn find(cfg: &UserCfg) -> Administrators {
    let effective = Effective::new(cfg);
    let ids = effective.ids();
    let direct = ids.iter().filter_map(|id| of(cfg, &effective, id)).map(|one| (one.id.clone(), one));
    let mut found: Administrators = direct.collect();
    add_indirect(cfg, &effective, &ids, &mut found);
    found
}

/// Adds those who may change a user who administers, and whoever may change them in turn. Each group is looked at
/// once.
fn add_indirect(cfg: &UserCfg, effective: &Effective<'_>, ids: &[String], found: &mut Administrators) {
    // Who may change users on a path above administers by himself: only an ACL of the group itself can add somebody.
    let own_acl: BTreeSet<&str> =
        cfg.acl.iter().filter_map(|entry| entry.path.strip_prefix(GROUPS)).collect();
    let mut groups: BTreeMap<&String, String> = BTreeMap::new();
    for name in cfg.groups.keys() {
        if own_acl.contains(format!("/{name}").as_str()) {
            groups.insert(name, format!("{GROUPS}/{name}"));
        }
    }
    let mut waiting: Vec<String> = found.keys().cloned().collect();
    while let Some(member) = waiting.pop() {
        let is_in =
            |name: &&&String| cfg.groups.get(**name).is_some_and(|group| group.members.contains(&member));
        let of_member: Vec<&String> = groups.keys().filter(is_in).copied().collect();
        for path in of_member.into_iter().filter_map(|name| groups.remove(name)).collect::<Vec<_>>() {
            for id in ids {
                if found.contains_key(id) || !effective.has(id, &path, MODIFY_USERS) {
                    continue;
                }
                let grants = effective.grants(id, &path, Some(MODIFY_USERS)).into_iter().cloned().collect();
                let reason = Reason { rule: &MODIFIES_AN_ADMINISTRATOR, grants, over: Some(member.clone()) };
                let owner = split_token_id(id).map(|(owner, _)| owner.to_owned());
                let through_owner = owner.is_some() && cfg.token(id).is_some_and(|token| !token.privsep);
                let one = Administrator { id: id.clone(), owner, through_owner, reasons: vec![reason] };
                found.insert(id.clone(), one);
                waiting.push(id.clone());
            }
        }
    }
}

/// `id` as an administrator, if he is one. The user need not exist; a token must.
pub fn of(cfg: &UserCfg, effective: &Effective<'_>, id: &str) -> Option<Administrator> {
    let owner = split_token_id(id).map(|(owner, _)| owner);
    let through_owner = owner.is_some() && cfg.token(id).is_some_and(|token| !token.privsep);
    let holder = owner.filter(|_| through_owner).unwrap_or(id);
    let reasons = if holder == ROOT {
        vec![Reason { rule: &IS_ROOT, grants: Vec::new(), over: None }]
    } else {
        reasons(cfg, effective, id)
    };
    let owner = owner.map(str::to_owned);
    (!reasons.is_empty()).then(|| Administrator { id: id.to_owned(), owner, through_owner, reasons })
}

fn reasons(cfg: &UserCfg, effective: &Effective<'_>, id: &str) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for rule in &RULES {
        let held = effective.privileges(id, rule.path);
        let (holds, named) = match rule.needs {
            Needs::Everything => (held.len() == privileges(cfg.release).len(), None),
            Needs::Privilege(name) => (held.contains_key(name), Some(name)),
        };
        if !holds {
            continue;
        }
        let mut grants: Vec<AclEntry> = effective.grants(id, rule.path, named).into_iter().cloned().collect();
        // The strongest role first: it is the one to name.
        let strength = |entry: &AclEntry| cfg.role_privileges(&entry.role).map_or(0, |role| role.len());
        grants.sort_by_key(|entry| Reverse(strength(entry)));
        reasons.push(Reason { rule, grants, over: None });
        if rule.needs == Needs::Everything {
            break;
        }
    }
    reasons
}

/// The strongest rule an ACL entry meets by itself, for a subject that does not exist and so has nothing else.
pub fn power_of(cfg: &UserCfg, entry: &AclEntry) -> Option<&'static Rule> {
    let held = cfg.role_privileges(&entry.role)?;
    RULES.iter().find(|rule| {
        let covered = entry.path == rule.path || (entry.propagate && is_below(rule.path, &entry.path));
        covered
            && match rule.needs {
                Needs::Everything => held.len() == privileges(cfg.release).len(),
                Needs::Privilege(name) => held.contains(name),
            }
    })
}

/// Whether `path` lies below `above`.
fn is_below(path: &str, above: &str) -> bool {
    above == "/" || path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}
