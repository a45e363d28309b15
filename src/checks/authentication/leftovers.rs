//! What is left of users, tokens and realms that are gone, and what is missing of those that are there.

use super::super::access::user_line;
use super::super::{Judged, Look};
use super::REALM_PVE;
use super::power::{weighed, weight};
use crate::catalogue::Severity;
use crate::formats::crypt_hash::PasswordField;
use crate::formats::domains_cfg::{Directory, DomainsConfig, LostRealm, RealmKind};
use crate::formats::section_config::Fate;
use crate::formats::user_cfg::names::split_user_id;
use crate::formats::user_cfg::{Token, User, UserCfg};
use crate::host::access::{BindPassword, DOMAINS_CFG, SHADOW_CFG, Standing, TOKEN_CFG, USER_CFG, realm_of};
use crate::host::{Doubt, Stop};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// `authentication/user-of-missing-realm`
pub(crate) fn user_of_missing_realm(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let name = |(id, _): &(&String, &User)| Subject::new(SubjectKind::User, id.as_str());
    look.each(&cfg.users, name, |look, (id, user)| {
        let Some((_, name)) = split_user_id(id) else {
            return Err(Stop::unknown(USER_CFG, "has a user without a realm"));
        };
        let fact = look.host.realms();
        if realm_of(look.take(fact)?, name)?.is_some() {
            return Ok(Judgement::pass(format!("the realm {name} exists")));
        }
        fact.complete()?;
        let tokens = match user.tokens.len() {
            0 => String::new(),
            1 => "; his API token still works".to_owned(),
            many => format!("; his {many} API tokens still work"),
        };
        let idle = Standing::of_user(user, look.now) != Standing::Active;
        let summary = format!(
            "there is no realm {name}: whoever sets one up decides who this user is{}",
            if idle { "" } else { &tokens }
        );
        let judgement = Judgement::fail(summary).with_all(user_line(user));
        let most = if idle { Severity::Low } else { Severity::High };
        Ok(weighed(judgement, weight(look, id), Severity::Info, most))
    })
}

/// Why upstream does not use a realm, in words.
fn fate(realm: &LostRealm) -> String {
    match &realm.fate {
        Fate::UnknownType => format!("Proxmox VE knows no type of realm called {}", realm.kind),
        Fate::InvalidId => "Proxmox VE skips the realm: its name is malformed".to_owned(),
        Fate::Missing(key) => format!("Proxmox VE drops the realm: {key} is missing or malformed"),
        Fate::Kept => "Proxmox VE does not use the realm".to_owned(),
    }
}

/// `authentication/realm-not-used`
pub(crate) fn realm_not_used(look: &Look<'_>) -> Judged {
    let realms = look.take(look.host.realms())?;
    if realms.lost.is_empty() {
        let used = realms.realms.values().filter(|realm| realm.line.is_some()).count();
        if used == 0 {
            return Err(Stop::not_applicable("no realm is set up"));
        }
        let summary = format!("Proxmox VE uses every realm of the file; realms in it: {used}");
        return look.one(Subject::cluster(), Judgement::pass(summary));
    }
    look.each(
        &realms.lost,
        |realm| Subject::new(SubjectKind::Realm, &realm.name),
        |_, realm| {
            Ok(Judgement::fail(fate(realm)).with(Evidence::at(DOMAINS_CFG, realm.line).key(&realm.name)))
        },
    )
}

/// `authentication/password-of-missing-user`
pub(crate) fn password_of_missing_user(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let Some(passwords) = look.take(look.host.pve_passwords())? else {
        return Err(Stop::not_applicable("nobody has a password in the realm pve"));
    };
    let left: Vec<_> = passwords
        .iter()
        .filter(|(_, entry)| matches!(entry.password, PasswordField::Hash { .. }))
        .map(|(name, entry)| (format!("{name}@{REALM_PVE}"), entry))
        .filter(|(id, _)| !cfg.users.contains_key(id))
        .collect();
    if left.is_empty() {
        if passwords.is_empty() {
            return Err(Stop::not_applicable("nobody has a password in the realm pve"));
        }
        return look.one(Subject::cluster(), Judgement::pass("everybody with a password is in user.cfg"));
    }
    look.each(
        left,
        |(id, _)| Subject::new(SubjectKind::User, id.as_str()),
        |look, (id, entry)| {
            look.host.access().complete()?;
            let summary =
                "has a password, but is not in user.cfg: it opens the account of whoever gets this name";
            let judgement = Judgement::fail(summary).with(Evidence::at(SHADOW_CFG, entry.line));
            Ok(weighed(judgement, weight(look, id), Severity::Low, Severity::High))
        },
    )
}

/// Every token of user.cfg with its id and owner.
fn tokens(cfg: &UserCfg) -> impl Iterator<Item = (String, &User, &Token)> {
    cfg.users.iter().flat_map(|(owner, user)| {
        user.tokens.iter().map(move |(name, token)| (format!("{owner}!{name}"), user, token))
    })
}

/// `authentication/token-secret-without-token`
pub(crate) fn token_secret_without_token(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let Some(secrets) = look.take(look.host.token_secrets())?.as_ref().filter(|all| !all.is_empty()) else {
        return Err(Stop::not_applicable("there are no secrets of API tokens"));
    };
    let orphans: Vec<_> = secrets.iter().filter(|(id, _)| cfg.token(id).is_none()).collect();
    if orphans.is_empty() {
        let summary = format!("every secret belongs to a token; secrets: {}", secrets.len());
        return look.one(Subject::cluster(), Judgement::pass(summary));
    }
    look.each(orphans, |(id, _)| Subject::new(SubjectKind::Token, id.as_str()), |look, (_, line)| {
        look.host.access().complete()?;
        let summary = "has a secret, but is not in user.cfg: the secret counts again once a token of this name is there";
        Ok(Judgement::fail(summary).with(Evidence::at(TOKEN_CFG, **line)))
    })
}

/// `authentication/token-without-secret`
pub(crate) fn token_without_secret(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let all: Vec<_> = tokens(cfg).collect();
    if all.is_empty() {
        return Err(Stop::not_applicable("there are no API tokens"));
    }
    let fact = look.host.token_secrets();
    let Some(secrets) = look.take(fact)? else {
        return Err(Stop::unknown(TOKEN_CFG, "is missing, though there are API tokens"));
    };
    look.each(
        all,
        |(id, ..)| Subject::new(SubjectKind::Token, id.as_str()),
        |_, (id, _, token)| {
            if secrets.contains_key(id) {
                return Ok(Judgement::pass("has a secret"));
            }
            fact.complete()?;
            let line = Evidence::at(USER_CFG, token.line).key("token");
            Ok(Judgement::fail("has no secret in priv/token.cfg, so that it cannot be used").with(line))
        },
    )
}

/// The directory server of a realm of this name, if it is such a realm.
fn directory<'c>(cfg: &'c DomainsConfig, name: &str) -> Option<&'c Directory> {
    match &cfg.realms.get(name)?.kind {
        RealmKind::Ldap(directory) | RealmKind::ActiveDirectory(directory) => Some(directory),
        _ => None,
    }
}

/// `authentication/leftover-bind-password`
pub(crate) fn leftover_bind_password(look: &Look<'_>) -> Judged {
    let files = look.take(look.host.bind_passwords())?;
    let name = |file: &&BindPassword| Subject::new(SubjectKind::File, file.path.as_str());
    look.each(files, name, |look, file| {
        let fact = look.host.realms();
        let realms = look.take(fact)?;
        let fail = |summary: String| Ok(Judgement::fail(summary).with(Evidence::of(&file.path)));
        let newer = files.iter().find(|other| other.realm == file.realm && !other.in_old_place);
        if let Some(newer) = newer.filter(|_| file.in_old_place) {
            return fail(format!("is never read: {} comes first", newer.path));
        }
        let exists = realm_of(realms, &file.realm)?.is_some();
        match directory(realms, &file.realm) {
            Some(directory) if directory.has_bind_dn => Ok(Judgement::pass("the realm binds with it")),
            found => {
                // A setting that was not understood may be the one that makes use of the file.
                if let Some(doubt) = fact.doubts.first() {
                    return Err(Stop::Unknown(Doubt::clone(doubt)));
                }
                fail(match found {
                    Some(_) => format!("is never read: the realm {} sets no bind_dn", file.realm),
                    None if exists => {
                        format!("is never read: the realm {} binds to no directory", file.realm)
                    }
                    None => format!("is left of the realm {}, which is gone", file.realm),
                })
            }
        }
    })
}
