//! Built-in roles that change with the release.

use std::collections::BTreeMap;

use super::super::{Judged, Look};
use super::{LINES_SHOWN, acl_line, acl_subject, each_bad, ignored, joined};
use crate::formats::release::Release;
use crate::formats::user_cfg::{AclEntry, AclSubject, UserCfg};
use crate::host::access::effective::{self, Effective};
use crate::outcome::{Evidence, Judgement};

/// The role that release 9 has widened.
const VM_USER: &str = "PVEVMUser";

/// What tells a holder of [`VM_USER`] from one who was meant to do more: it is not in the role.
const BEYOND_VM_USER: &str = "VM.Allocate";

/// The built-in roles that lose Permissions.Modify with release 8.
const NARROWED: [&str; 2] = ["PVEAdmin", "PVESysAdmin"];

/// Most paths named for one holder.
const PLACES_SHOWN: usize = 4;

/// The ACL entries of one subject.
type Holder<'a> = (&'a AclSubject, Vec<&'a AclEntry>);

/// Who holds a role by these ACL entries, with the entries that count.
fn holders<'a>(
    effective: &Effective<'a>,
    cfg: &'a UserCfg,
    wanted: impl Fn(&AclEntry) -> bool,
    proof: &str,
) -> Vec<Holder<'a>> {
    let mut found: BTreeMap<&AclSubject, Vec<&AclEntry>> = BTreeMap::new();
    for entry in cfg.acl.iter().filter(|entry| wanted(entry)) {
        if held(cfg, effective, entry).is_some_and(|held| held.contains_key(proof)) {
            found.entry(&entry.subject).or_default().push(entry);
        }
    }
    found.into_iter().collect()
}

/// What the subject of an ACL entry holds on its path by ACLs of its own, if ACLs count for it.
fn held(cfg: &UserCfg, effective: &Effective<'_>, entry: &AclEntry) -> Option<effective::Privileges> {
    if ignored(cfg, &entry.subject).is_some() {
        return None;
    }
    let subject = match &entry.subject {
        AclSubject::User(id) => effective::Subject::User(id),
        AclSubject::Group(name) => effective::Subject::Member { group: name, user: None },
        AclSubject::Token(id) => effective::Subject::Token(id),
    };
    Some(effective.granted_to(subject, &entry.path))
}

/// Whether an ACL entry reaches guests: pools and single guests do on their own path, what lies above by propagation.
fn reaches_guests(entry: &AclEntry) -> bool {
    match entry.path.as_str() {
        "/" | "/vms" | "/pool" => entry.propagate,
        path => path.starts_with("/vms/") || path.starts_with("/pool/"),
    }
}

/// Where roles are held, in words: the first few places.
fn places(entries: &[&AclEntry]) -> String {
    let first = joined(entries.iter().take(PLACES_SHOWN).map(|entry| entry.path.as_str()));
    match entries.len().saturating_sub(PLACES_SHOWN) {
        0 => first,
        more => format!("{first} and {more} more paths"),
    }
}

fn lines(entries: &[&AclEntry]) -> impl Iterator<Item = Evidence> {
    entries.iter().take(LINES_SHOWN).map(|entry| acl_line(entry))
}

/// Who holds `PVEVMUser` on guests and nothing that was stronger anyway.
fn vm_users(cfg: &UserCfg) -> Vec<Holder<'_>> {
    let effective = Effective::new(cfg);
    let meant_more =
        |entry: &AclEntry| held(cfg, &effective, entry).is_some_and(|held| held.contains_key(BEYOND_VM_USER));
    holders(
        &effective,
        cfg,
        |entry| entry.role == VM_USER && reaches_guests(entry) && !meant_more(entry),
        "VM.Console",
    )
}

/// `access/vm-user-changes-files-in-guests`
pub(crate) fn vm_user_changes_files_in_guests(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    each_bad(
        look,
        vm_users(cfg),
        |(subject, _)| acl_subject(subject),
        |(_, entries)| {
            let summary = format!(
                "PVEVMUser on {} lets read and write any file inside the guests through the guest agent, which it did not before release 9",
                places(entries)
            );
            Judgement::fail(summary).with_all(lines(entries))
        },
        "nobody holds PVEVMUser on guests",
    )
}

/// `access/role-changed-by-upgrade`
pub(crate) fn role_changed_by_upgrade(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let release = look.host.release()?;
    let mut changes: BTreeMap<&AclSubject, (Vec<&AclEntry>, Vec<String>)> = BTreeMap::new();
    for (subject, entries) in vm_users(cfg) {
        let what = format!(
            "release 9 lets PVEVMUser read and write any file inside the guests on {}",
            places(&entries)
        );
        let change = changes.entry(subject).or_default();
        change.0.extend(entries);
        change.1.push(what);
    }
    if release == Release::Pve7 {
        let narrowed = |entry: &AclEntry| NARROWED.contains(&entry.role.as_str());
        for (subject, entries) in holders(&Effective::new(cfg), cfg, narrowed, "Permissions.Modify") {
            let what = format!("release 8 takes Permissions.Modify on {} away", places(&entries));
            let change = changes.entry(subject).or_default();
            change.0.extend(entries);
            change.1.push(what);
        }
    }
    each_bad(
        look,
        changes.into_iter().collect(),
        |(subject, _)| acl_subject(subject),
        |(_, (entries, what))| {
            let summary = format!("what the role allows changes with the upgrade: {}", what.join(", and "));
            Judgement::fail(summary).with_all(lines(entries))
        },
        "nobody holds a role that changes with the next releases",
    )
}
