//! Propagation that upstream leaves to chance.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Judged, Look};
use super::{LINES_SHOWN, acl_line, each_bad};
use crate::formats::user_cfg::{AclEntry, AclSubject, UserCfg};
use crate::host::access::effective::Effective;
use crate::outcome::{Judgement, Subject, SubjectKind};

/// One role on one path, given to groups with propagation and to others without.
struct Mixed<'a> {
    path: &'a str,
    role: &'a str,
    /// Somebody who is in groups of both kinds, and for whom nothing else decides.
    user: &'a str,
    entries: Vec<&'a AclEntry>,
}

fn group_of(entry: &AclEntry) -> Option<&str> {
    match &entry.subject {
        AclSubject::Group(name) => Some(name),
        AclSubject::User(_) | AclSubject::Token(_) => None,
    }
}

/// Somebody whose flag is left to chance.
fn affected<'a>(
    cfg: &'a UserCfg,
    effective: &Effective<'_>,
    path: &str,
    entries: &[&AclEntry],
) -> Option<&'a str> {
    let groups = |propagate: bool| {
        let of_kind = entries.iter().filter(move |entry| entry.propagate == propagate);
        of_kind.filter_map(|entry| cfg.groups.get(group_of(entry)?))
    };
    let with: BTreeSet<&String> = groups(true).flat_map(|group| &group.members).collect();
    let mut without = groups(false).flat_map(|group| &group.members);
    without.find(|id| with.contains(id) && !effective.ambiguous(id, path).is_empty()).map(String::as_str)
}

/// `access/ambiguous-propagation`
pub(crate) fn ambiguous_propagation(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let effective = Effective::new(cfg);
    let mut groups: BTreeMap<(&str, &str), Vec<&AclEntry>> = BTreeMap::new();
    for entry in cfg.acl.iter().filter(|entry| group_of(entry).is_some()) {
        groups.entry((&entry.path, &entry.role)).or_default().push(entry);
    }
    let mixed = groups.into_iter().filter_map(|((path, role), entries)| {
        let user = affected(cfg, &effective, path, &entries)?;
        Some(Mixed { path, role, user, entries })
    });
    each_bad(
        look,
        mixed.collect(),
        |mixed| Subject::new(SubjectKind::Acl, format!("{} {}", mixed.path, mixed.role)),
        |mixed| {
            let summary = format!(
                "groups of {} have {} on {} with and without propagation: which of the two counts on that path changes from one call to the next",
                mixed.user, mixed.role, mixed.path
            );
            let entries = mixed.entries.iter().take(LINES_SHOWN);
            Judgement::fail(summary).with_all(entries.map(|entry| acl_line(entry)))
        },
        "no user has the same role on a path with and without propagation",
    )
}
