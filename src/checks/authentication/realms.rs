//! Realms: how passwords and logins travel to directory servers and providers.

use std::net::IpAddr;

use super::super::{Judged, Look};
use crate::catalogue::Severity;
use crate::formats::domains_cfg::{Directory, Mode, OpenId, Realm, RealmKind};
use crate::formats::user_cfg::names::split_user_id;
use crate::host::access::{DOMAINS_CFG, Standing};
use crate::host::{Doubt, Stop};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// Judges every realm whose users are those of a directory server.
fn each_directory(look: &Look<'_>, judge: impl Fn(&Realm, &Directory) -> Result<Judgement, Stop>) -> Judged {
    let realms = look.take(look.host.realms())?;
    let found: Vec<_> = realms.realms.values().filter_map(|realm| Some((realm, directory(realm)?))).collect();
    if found.is_empty() {
        return Err(Stop::not_applicable("no realm asks a directory server"));
    }
    look.each(found, |(realm, _)| subject(realm), |_, (realm, directory)| judge(realm, directory))
}

fn directory(realm: &Realm) -> Option<&Directory> {
    match &realm.kind {
        RealmKind::Ldap(directory) | RealmKind::ActiveDirectory(directory) => Some(directory),
        _ => None,
    }
}

/// Judges every realm of an `OpenID` Connect provider.
fn each_openid(look: &Look<'_>, judge: impl Fn(&Realm, &OpenId) -> Result<Judgement, Stop>) -> Judged {
    let realms = look.take(look.host.realms())?;
    let found: Vec<_> = realms.realms.values().filter_map(|realm| Some((realm, openid(realm)?))).collect();
    if found.is_empty() {
        return Err(Stop::not_applicable("no realm asks an OpenID Connect provider"));
    }
    look.each(found, |(realm, _)| subject(realm), |_, (realm, openid)| judge(realm, openid))
}

fn openid(realm: &Realm) -> Option<&OpenId> {
    match &realm.kind {
        RealmKind::OpenId(openid) => Some(openid),
        _ => None,
    }
}

fn subject(realm: &Realm) -> Subject {
    Subject::new(SubjectKind::Realm, &realm.name)
}

/// The line of a property, or that of the realm where it is not set. `value` is what is set.
fn seen(realm: &Realm, key: &str, value: &str) -> Evidence {
    let (line, observed) = match (realm.lines.get(key), realm.dropped.get(key)) {
        (Some(line), _) => (Some(*line), value),
        (None, Some(line)) => (Some(*line), "a value Proxmox VE drops, so that the default applies"),
        (None, None) => (realm.line, "not set"),
    };
    Evidence { line, ..Evidence::of(DOMAINS_CFG) }.key(key).observed(observed)
}

/// Whether no server is reached through a network.
fn is_local(directory: &Directory) -> bool {
    let loopback = |server: &String| {
        server == "localhost" || server.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    };
    !directory.servers.is_empty() && directory.servers.iter().all(loopback)
}

/// How a directory server is spoken to, as the property `mode` says it.
fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Ldap => "ldap",
        Mode::Ldaps => "ldaps",
        Mode::StartTls => "ldap+starttls",
    }
}

/// `authentication/realm-password-in-clear-text`
pub(crate) fn realm_password_in_clear_text(look: &Look<'_>) -> Judged {
    each_directory(look, |realm, directory| {
        let line = seen(realm, "mode", mode_name(directory.mode)).expected("ldaps or ldap+starttls");
        Ok(match directory.mode {
            Mode::Ldap if is_local(directory) => {
                Judgement::pass("passwords go to a directory server on the node itself, over no network")
            }
            Mode::Ldap => {
                Judgement::fail("passwords go to the directory server over plain LDAP, in clear text")
                    .with(line)
            }
            mode => Judgement::pass(format!("passwords go to the directory server by {}", mode_name(mode))),
        })
    })
}

/// `authentication/realm-certificate-not-verified`
pub(crate) fn realm_certificate_not_verified(look: &Look<'_>) -> Judged {
    each_directory(look, |realm, directory| {
        if directory.mode == Mode::Ldap {
            return Err(Stop::not_applicable("the directory server is spoken to without TLS"));
        }
        if directory.verify {
            return Ok(Judgement::pass("the certificate of the directory server is verified"));
        }
        if is_local(directory) {
            return Ok(Judgement::pass("the directory server is on the node itself, over no network"));
        }
        let (severity, whose) = if may_administer(look, &realm.name) {
            (Severity::High, "; administrators log in through it")
        } else {
            (Severity::Medium, "")
        };
        let summary = format!(
            "{} is used without a look at the certificate: whoever stands between can pose as the directory server{whose}",
            mode_name(directory.mode)
        );
        let line = seen(realm, "verify", "0").expected("1");
        Ok(Judgement::fail(summary).severity(severity).with(line))
    })
}

/// Whether an administrator with an active account is of this realm. Where that is not known, one is.
fn may_administer(look: &Look<'_>, realm: &str) -> bool {
    let (Ok(cfg), Ok(powers)) = (&look.host.access().value, &look.host.powers().value) else {
        return true;
    };
    powers.administrators().any(|power| {
        let id = &power.id;
        let active =
            cfg.users.get(id).is_some_and(|user| Standing::of_user(user, look.now) == Standing::Active);
        active && split_user_id(id).is_some_and(|(_, name)| name == realm)
    })
}

/// `authentication/weak-realm-tls`
pub(crate) fn weak_realm_tls(look: &Look<'_>) -> Judged {
    each_directory(look, |realm, directory| {
        if directory.mode == Mode::Ldap {
            return Err(Stop::not_applicable("the directory server is spoken to without TLS"));
        }
        let (version, name) = match directory.tls_version.as_deref() {
            Some("tlsv1") => ("tlsv1", "TLS 1.0"),
            Some("tlsv1_1") => ("tlsv1_1", "TLS 1.1"),
            Some("tlsv1_3") => return Ok(Judgement::pass("TLS 1.3 is used")),
            _ => return Ok(Judgement::pass("TLS 1.2 is used")),
        };
        let line = seen(realm, "sslversion", version).expected("tlsv1_2 or tlsv1_3");
        Ok(Judgement::fail(format!("{name} is used, which is broken and withdrawn")).with(line))
    })
}

/// `authentication/openid-over-http`
pub(crate) fn openid_over_http(look: &Look<'_>) -> Judged {
    each_openid(look, |realm, openid| {
        let scheme = openid.issuer_url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
        match scheme.as_deref() {
            Some("https") => Ok(Judgement::pass("the provider is asked over https")),
            _ if openid.issuer_is_clear_text => {
                let line = seen(realm, "issuer-url", "http://").expected("https://");
                Ok(Judgement::fail("the provider that says who logs in is asked over http").with(line))
            }
            _ => {
                let line = realm.lines.get("issuer-url").copied().or(realm.line);
                let what = "the address of the provider is neither http nor https";
                Err(Stop::Unknown(Doubt { line, ..Doubt::about(DOMAINS_CFG, what) }))
            }
        }
    })
}

/// `authentication/openid-creates-users`
pub(crate) fn openid_creates_users(look: &Look<'_>) -> Judged {
    each_openid(look, |realm, openid| {
        if !openid.creates_users {
            return Ok(Judgement::pass("only users that were entered before can log in"));
        }
        let line = seen(realm, "autocreate", "1").expected("0");
        let summary = "everybody the provider lets in becomes an enabled user";
        Ok(match &openid.groups_claim {
            Some(_) => {
                let claim = seen(realm, "groups-claim", "set");
                Judgement::fail(format!("{summary}, with the groups the provider names"))
                    .severity(Severity::Medium)
                    .with(line)
                    .with(claim)
            }
            None => Judgement::fail(summary).with(line),
        })
    })
}
