//! Roles of the site's own: their names, what is in them, whether anybody holds them.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Judged, Look};
use super::{LINES_SHOWN, acl_line, acl_subject, complete, each_bad, ignored, joined, role_subject};
use crate::catalogue::Severity;
use crate::formats::release::Release;
use crate::formats::user_cfg::roles::{ADMINISTRATOR, NO_ACCESS, builtin_roles, is_builtin};
use crate::formats::user_cfg::{AclEntry, AclSubject, Role, UserCfg};
use crate::host::Stop;
use crate::host::access::USER_CFG;
use crate::outcome::{Evidence, Judgement};

/// How the names of built-in roles begin. Release 8 and later refuse to create another such role (`Role.pm`).
const RESERVED_PREFIX: &str = "pve";

/// Privileges that change hosts, storages, networks, users or permissions, or make and destroy guests.
const STRONG: [&str; 15] = [
    "Datastore.Allocate",
    "Group.Allocate",
    "Mapping.Modify",
    "Permissions.Modify",
    "Pool.Allocate",
    "Realm.Allocate",
    "Realm.AllocateUser",
    "SDN.Allocate",
    "Sys.AccessNetwork",
    "Sys.Console",
    "Sys.Incoming",
    "Sys.Modify",
    "Sys.PowerMgmt",
    "User.Modify",
    "VM.Allocate",
];

/// Most strong privileges named for one holder.
const STRONG_SHOWN: usize = 4;

/// The roles the site has made, not lines for built-in ones.
fn own_roles(cfg: &UserCfg) -> Result<Vec<(&String, &Role)>, Stop> {
    let own: Vec<_> = cfg.roles.iter().filter(|(_, role)| !role.builtin).collect();
    if own.is_empty() { Err(Stop::not_applicable("there are only built-in roles")) } else { Ok(own) }
}

/// ACL entries by the name of their role.
fn by_role(cfg: &UserCfg) -> BTreeMap<&str, Vec<&AclEntry>> {
    let mut found: BTreeMap<&str, Vec<&AclEntry>> = BTreeMap::new();
    for entry in &cfg.acl {
        found.entry(&entry.role).or_default().push(entry);
    }
    found
}

/// `access/role-with-reserved-name`
pub(crate) fn role_with_reserved_name(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let release = look.host.release()?;
    look.each(own_roles(cfg)?, role_subject, |_, (name, role)| {
        let line = Evidence::at(USER_CFG, role.line).key("role").observed(name.as_str());
        let later = Release::ALL.into_iter().find(|other| *other > release && is_builtin(name, *other));
        if let Some(later) = later {
            let summary =
                format!("{later} ships a role of this name: what is in this one is then added to it");
            return Ok(Judgement::fail(summary).severity(Severity::Medium).with(line));
        }
        if let Some(twin) = builtin_roles(release).into_iter().find(|twin| twin.eq_ignore_ascii_case(name)) {
            let summary = format!("differs from the built-in role {twin} in upper and lower case only");
            return Ok(Judgement::fail(summary).severity(Severity::Medium).with(line));
        }
        let prefix = name.get(..RESERVED_PREFIX.len()).unwrap_or_default();
        Ok(Judgement::fail_if(
            prefix.eq_ignore_ascii_case(RESERVED_PREFIX),
            "the name begins with PVE, as those of built-in roles do",
            "the name cannot be mistaken for a built-in role",
        )
        .with(line))
    })
}

/// `access/empty-role-in-acl`
pub(crate) fn empty_role_in_acl(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let release = look.host.release()?;
    let used = by_role(cfg);
    let is_empty = |(name, role): &(&String, &Role)| {
        !role.builtin && role.privileges.is_empty() && used.contains_key(name.as_str())
    };
    each_bad(
        look,
        cfg.roles.iter().filter(is_empty).collect(),
        role_subject,
        |(name, role)| {
            let entries = used.get(name.as_str()).map(Vec::as_slice).unwrap_or_default();
            let why = if role.unknown.is_empty() {
                "has no privilege".to_owned()
            } else {
                let names = joined(role.unknown.iter().map(String::as_str));
                format!("has nothing left, for {release} does not know {names}")
            };
            let summary = format!(
                "{why}, but overrides on the paths of its ACLs what is granted above them, without denying what a pool grants"
            );
            let line = Evidence::at(USER_CFG, role.line).key("role").observed("no privilege of this release");
            Judgement::fail(summary)
                .with(line)
                .with_all(entries.iter().take(LINES_SHOWN).map(|entry| acl_line(entry)))
        },
        "no ACL uses a role without privileges",
    )
}

/// `access/unused-role`
pub(crate) fn unused_role(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let used = by_role(cfg);
    look.each(own_roles(cfg)?, role_subject, |look, (name, role)| {
        if let Some(entry) = used.get(name.as_str()).and_then(|entries| entries.first()) {
            return Ok(Judgement::pass("an ACL uses the role").with(acl_line(entry)));
        }
        // A line that was not understood may have been the ACL.
        complete(look)?;
        let line = Evidence::at(USER_CFG, role.line).key("role");
        Ok(Judgement::fail("no ACL uses the role").with(line))
    })
}

/// Whether a privilege lets its holder do more than look at and use what others have set up.
fn changes_something(privilege: &str) -> bool {
    !(privilege.ends_with(".Audit") || privilege.ends_with(".Use") || privilege == "Sys.Syslog")
}

/// `access/strong-role-on-everything`
pub(crate) fn strong_role_on_everything(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    look.host.release()?;
    let mut holders: BTreeMap<&AclSubject, Vec<&AclEntry>> = BTreeMap::new();
    let mut others: BTreeSet<&AclSubject> = BTreeSet::new();
    for entry in cfg.acl.iter().filter(|entry| entry.path == "/" && entry.propagate) {
        match entry.role.as_str() {
            // An administrator has more anyway, and NoAccess on the same path wipes every other role.
            ADMINISTRATOR | NO_ACCESS => {
                others.insert(&entry.subject);
            }
            _ => holders.entry(&entry.subject).or_default().push(entry),
        }
    }
    holders.retain(|subject, _| !others.contains(subject) && ignored(cfg, subject).is_none());
    let mut bad = Vec::new();
    for (subject, entries) in holders {
        let roles = entries.iter().filter_map(|entry| cfg.role_privileges(&entry.role));
        let held: BTreeSet<&'static str> = roles.flatten().filter(|one| changes_something(one)).collect();
        if !held.is_empty() {
            bad.push((subject, entries, held));
        }
    }
    each_bad(
        look,
        bad,
        |(subject, ..)| acl_subject(subject),
        |(_, entries, held)| {
            let roles = joined(entries.iter().map(|entry| entry.role.as_str()));
            let strong: Vec<&str> = held.iter().copied().filter(|held| STRONG.contains(held)).collect();
            let (severity, what) = if strong.is_empty() {
                (Severity::Low, String::new())
            } else {
                (Severity::Medium, format!(", with {}", strong_words(&strong)))
            };
            let summary =
                format!("holds {roles} on / and everything below, also on what comes to be later{what}");
            Judgement::fail(summary)
                .severity(severity)
                .with_all(entries.iter().take(LINES_SHOWN).map(|entry| acl_line(entry)))
        },
        "nobody holds a role that changes something on / and everything below, administrators aside",
    )
}

/// The first few of these privileges, and that there are more.
fn strong_words(strong: &[&str]) -> String {
    let first = joined(strong.iter().copied().take(STRONG_SHOWN));
    if strong.len() > STRONG_SHOWN { format!("{first} and more") } else { first }
}
