//! Administrators who are nobody in particular, too many, or not in a group.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use super::super::{Judged, Look};
use super::{LINES_SHOWN, acl_line, joined, user_line};
use crate::catalogue::Severity;
use crate::formats::domains_cfg::{Realm, RealmKind};
use crate::formats::user_cfg::names::{ROOT, split_user_id};
use crate::formats::user_cfg::{AclEntry, AclSubject, User, UserCfg};
use crate::host::Stop;
use crate::host::access::power::{Power, Powers, may_lead_to_root};
use crate::host::access::{SHADOW_CFG, Standing, realm_of};
use crate::outcome::{Judgement, Subject, SubjectKind};

/// The active administrators that are users, `root@pam` aside.
fn people<'a>(look: &Look<'_>, cfg: &'a UserCfg, powers: &'a Powers) -> Vec<(&'a Power, &'a User)> {
    let users = powers.administrators().filter_map(|power| Some((power, cfg.users.get(&power.id)?)));
    users
        .filter(|(power, user)| power.id != ROOT && Standing::of_user(user, look.now) == Standing::Active)
        .collect()
}

fn subject((power, _): &(&Power, &User)) -> Subject {
    Subject::new(SubjectKind::User, &power.id)
}

/// `access/shared-administrator-account`
pub(crate) fn shared_administrator_account(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let powers = look.take(look.host.powers())?;
    let names = look.list("names");
    let people = people(look, cfg, powers);
    if people.is_empty() {
        return Err(Stop::not_applicable("nobody but root@pam administers with an active account"));
    }
    look.each(people, subject, |look, (power, user)| {
        let Some((name, realm)) = split_user_id(&power.id) else {
            return Err(Stop::not_applicable("the account has no realm"));
        };
        let Some(generic) = names.iter().find(|generic| is_generic(name, generic)) else {
            return Ok(Judgement::pass("the name is not one of those several people share"));
        };
        if user.first_name.is_some() && user.last_name.is_some() {
            let summary = "the name tells no person, but the account has a first and a last name";
            return Ok(Judgement::pass(summary).with_all(user_line(user)));
        }
        let severity = match login(look, name, realm)? {
            Login::Password => Severity::Medium,
            Login::Directory => Severity::Low,
            Login::Provider => Severity::Info,
            Login::No(why) => {
                return Ok(
                    Judgement::pass(format!("the name tells no person, but {why}")).with_all(user_line(user))
                );
            }
        };
        let summary = format!("the name, as {generic}, tells no person; the user {}", powers.why(power));
        Ok(Judgement::fail(summary)
            .severity(severity)
            .with_all(user_line(user))
            .with_all(power.grants().into_iter().take(LINES_SHOWN).map(acl_line)))
    })
}

/// Whether a user name is a generic one, also with a number or in capitals: `Admin`, `admin2`, `ops-1`.
fn is_generic(name: &str, generic: &str) -> bool {
    let bare = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let bare = if bare.len() < name.len() { bare.trim_end_matches(['-', '_', '.']) } else { bare };
    bare.eq_ignore_ascii_case(generic) || name.eq_ignore_ascii_case(generic)
}

/// How somebody gets in.
enum Login {
    /// With a password kept here or on the node.
    Password,
    /// With one a directory server checks.
    Directory,
    /// Through an `OpenID` Connect provider.
    Provider,
    /// Not at all with a password, and why.
    No(&'static str),
}

fn login(look: &Look<'_>, name: &str, realm: &str) -> Result<Login, Stop> {
    let built_in = Realm::built_in(realm).map(|realm| realm.kind);
    let kind = match &built_in {
        Some(kind) => Some(kind),
        None => realm_of(look.take(look.host.realms())?, realm)?.map(|realm| &realm.kind),
    };
    Ok(match kind {
        None => Login::No("there is no such realm"),
        Some(RealmKind::Pam) => Login::Password,
        Some(RealmKind::Pve) => {
            let Some(passwords) = look.take(look.host.pve_passwords())? else {
                let what = "is missing: whether this user has a password is not known";
                return Err(Stop::unknown(SHADOW_CFG, what));
            };
            let usable = passwords.get(name).is_some_and(|entry| entry.password.is_usable());
            if usable { Login::Password } else { Login::No("he has no password") }
        }
        Some(RealmKind::Ldap(_) | RealmKind::ActiveDirectory(_)) => Login::Directory,
        Some(RealmKind::OpenId(_)) => Login::Provider,
    })
}

/// `access/too-many-administrators`
pub(crate) fn too_many_administrators(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let powers = look.take(look.host.powers())?;
    let most = look.number("most");
    let people = people(look, cfg, powers);
    let count = people.len();
    let names = joined(people.iter().map(|(power, _)| power.id.as_str()));
    let names = if count > LINES_SHOWN { format!("{names}, …") } else { names };
    let judgement = if i64::try_from(count).unwrap_or(i64::MAX) > most {
        Judgement::fail(format!("{count} users beside root@pam administer, more than {most}: {names}"))
    } else if count == 0 {
        Judgement::pass("no user beside root@pam administers")
    } else {
        Judgement::pass(format!("{count} users beside root@pam administer: {names}"))
    };
    let lines = people.iter().take(LINES_SHOWN).filter_map(|(power, user)| {
        user_line(user).map(|line| line.observed(format!("{} {}", power.id, power.rank.words())))
    });
    look.one(Subject::cluster(), judgement.with_all(lines))
}

/// `access/administrator-by-own-acl`
pub(crate) fn administrator_by_own_acl(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let powers = look.take(look.host.powers())?;
    let people = people(look, cfg, powers);
    if people.is_empty() {
        return Err(Stop::not_applicable("nobody but root@pam administers with an active account"));
    }
    // An ACL of his own that adds nothing to those of his groups still stands when he leaves them.
    let is_own = |entry: &&AclEntry| matches!(&entry.subject, AclSubject::User(id) if id != ROOT);
    let mut own_roles: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for entry in &cfg.acl {
        if let AclSubject::User(id) = &entry.subject {
            own_roles.entry(id).or_default().insert(&entry.role);
        }
    }
    let may = |power: &Power| {
        let roles = own_roles.get(power.id.as_str()).into_iter().flatten();
        roles.filter_map(|role| cfg.role_privileges(role)).any(|all| may_lead_to_root(&all))
    };
    let alone: OnceCell<Powers> = OnceCell::new();
    look.each(people, subject, |_, (power, _)| {
        let own = |power: &Power| -> Vec<_> {
            power.grants().into_iter().filter(is_own).take(LINES_SHOWN).map(acl_line).collect()
        };
        let entries = own(power);
        if !entries.is_empty() {
            let summary =
                format!("administers by ACLs of his own, not through a group: he {}", powers.why(power));
            return Ok(Judgement::fail(summary).with_all(entries));
        }
        let alone = may(power).then(|| alone.get_or_init(|| look.host.powers_without_groups(cfg)));
        let without = alone.and_then(|alone| Some((alone, alone.of(&power.id)?)));
        if let Some((alone, power)) = without.filter(|(_, power)| power.is_root_equivalent()) {
            let summary = format!(
                "administers through a group, but would without it, by ACLs of his own: he {}",
                alone.why(power)
            );
            return Ok(Judgement::fail(summary).with_all(own(power)));
        }
        let lines = power.grants().into_iter().take(LINES_SHOWN).map(acl_line);
        Ok(Judgement::pass("administers through groups").with_all(lines))
    })
}
