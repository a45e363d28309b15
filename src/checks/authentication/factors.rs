//! Second factors that do not do what they seem to.

use super::super::access::user_line;
use super::super::{Judged, Look};
use super::power::{weighed, weight, weight_of_realm};
use super::{realm, second_factor};
use crate::catalogue::Severity;
use crate::formats::domains_cfg::{Realm, RealmKind, SecondFactorKind};
use crate::formats::tfa_cfg::{TfaKind, TfaUser};
use crate::formats::user_cfg::names::split_user_id;
use crate::formats::user_cfg::{User, UserCfg};
use crate::host::Stop;
use crate::host::access::second_factor::{SecondFactor, Tokens, kind_name, kind_names, users};
use crate::host::access::{DOMAINS_CFG, Standing, TFA_CFG, realm_of};
use crate::host::datacenter::DATACENTER_CFG;
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// Somebody who has enrolled and stands in user.cfg.
type Enrolled<'h> = (&'h String, &'h TfaUser, &'h User);

fn enrolled<'h>(look: &Look<'h>, cfg: &'h UserCfg) -> Result<Vec<Enrolled<'h>>, Stop> {
    let users = users(look.take(look.host.tfa())?)?;
    Ok(users.iter().filter_map(|(id, factors)| Some((id, factors, cfg.users.get(id)?))).collect())
}

fn subject((id, ..): &Enrolled<'_>) -> Subject {
    Subject::new(SubjectKind::User, id.as_str())
}

/// What to say of an account that nobody can log in to.
fn idle(look: &Look<'_>, user: &User) -> Option<Judgement> {
    let active = Standing::of_user(user, look.now) == Standing::Active;
    (!active).then(|| Judgement::pass("cannot log in: the account is disabled or has expired"))
}

/// What datacenter.cfg says about a kind of keys, as evidence.
fn key_setting(look: &Look<'_>, kind: TfaKind) -> Result<Evidence, Stop> {
    let cfg = look.take(look.host.datacenter())?;
    let (key, line, needs) = match kind {
        TfaKind::U2f => ("u2f", cfg.u2f.as_ref().map(|setting| setting.line), "appid"),
        _ => (
            "webauthn",
            cfg.webauthn.as_ref().map(|setting| setting.line),
            "rp and id, and an address as origin",
        ),
    };
    let observed = if line.is_some() { "incomplete, or an origin that is no address" } else { "not set" };
    Ok(Evidence { line, ..Evidence::of(DATACENTER_CFG) }.key(key).observed(observed).expected(needs))
}

/// `authentication/security-key-not-asked-for`
pub(crate) fn security_key_not_asked_for(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let keys = [TfaKind::Webauthn, TfaKind::U2f];
    let mut holders = enrolled(look, cfg)?;
    holders.retain(|(_, factors, _)| keys.iter().any(|kind| factors.has(*kind)));
    if holders.is_empty() {
        return Err(Stop::not_applicable("nobody has a WebAuthn or U2F key"));
    }
    look.each(holders, subject, |look, (id, factors, user)| {
        if let Some(judgement) = idle(look, user) {
            return Ok(judgement);
        }
        let tokens = Tokens::of(look.take(look.host.datacenter())?);
        let unused: Vec<TfaKind> = keys
            .into_iter()
            .filter(|kind| factors.has(*kind))
            .filter(|kind| if *kind == TfaKind::U2f { !tokens.u2f } else { !tokens.webauthn })
            .collect();
        if unused.is_empty() {
            return Ok(Judgement::pass("datacenter.cfg sets up what the keys of this user need"));
        }
        let names = kind_names(&unused);
        let (summary, severity) = match second_factor(look, id, user.keys)? {
            SecondFactor::NotUsable(_) => (
                format!("has only {names} as second factor, which is never asked for: the password alone may be enough"),
                weight(look, id).map(|weight| weight.max(Severity::Low)),
            ),
            SecondFactor::Asked(kinds) if realm(look, id).is_some_and(|realm| realm.second_factor.is_none()) => (
                format!("has {names}, which is never asked for: {} is enough", kind_names(&kinds)),
                Some(Severity::Low),
            ),
            SecondFactor::RecoveryOnly { .. } => (
                format!("has {names}, which is never asked for: a recovery code is enough"),
                Some(Severity::Low),
            ),
            _ => return Err(Stop::not_applicable("no second factor of this kind counts for this user")),
        };
        let settings: Result<Vec<Evidence>, Stop> =
            unused.iter().map(|kind| key_setting(look, *kind)).collect();
        let judgement = Judgement::fail(summary).with_all(settings?).with_all(user_line(user));
        Ok(Judgement { severity, ..judgement })
    })
}

/// `authentication/second-factor-locked`
pub(crate) fn second_factor_locked(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    look.each(enrolled(look, cfg)?, subject, |look, (id, factors, user)| {
        let locked = factors.tfa_locked_until.filter(|until| *until > look.now.as_second());
        let (summary, observed) = match (locked, factors.totp_locked) {
            (Some(_), _) => (
                "is locked out for up to an hour: somebody who has the password failed at the second factor a hundred times",
                "tfa-locked-until in the future",
            ),
            (None, true) => (
                "TOTP is locked: somebody who has the password gave wrong codes again and again",
                "totp-locked",
            ),
            (None, false) => return Ok(Judgement::pass("no second factor of this user is locked")),
        };
        let judgement =
            Judgement::fail(summary).with(Evidence::of(TFA_CFG).observed(observed)).with_all(user_line(user));
        Ok(weighed(judgement, weight(look, id), Severity::Low, Severity::High))
    })
}

/// `authentication/second-factor-of-missing-user`
pub(crate) fn second_factor_of_missing_user(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let users = users(look.take(look.host.tfa())?)?;
    if users.is_empty() {
        return Err(Stop::not_applicable("nobody has a second factor"));
    }
    let missing: Vec<_> = users.keys().filter(|id| !cfg.users.contains_key(*id)).collect();
    if missing.is_empty() {
        return look
            .one(Subject::cluster(), Judgement::pass("everybody with a second factor is in user.cfg"));
    }
    look.each(
        missing,
        |id| Subject::new(SubjectKind::User, id.as_str()),
        |look, _| {
            look.host.access().complete()?;
            let summary =
                "has a second factor, but is not in user.cfg: it counts again for whoever gets this name";
            Ok(Judgement::fail(summary).with(Evidence::of(TFA_CFG).observed("an entry of this user")))
        },
    )
}

/// `authentication/yubico-key-in-realm-without-yubico`
pub(crate) fn yubico_key_in_realm_without_yubico(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let mut holders = enrolled(look, cfg)?;
    holders.retain(|(_, factors, _)| factors.has(TfaKind::Yubico));
    if holders.is_empty() {
        return Err(Stop::not_applicable("nobody has a Yubico key"));
    }
    look.each(holders, subject, |look, (id, factors, user)| {
        if let Some(judgement) = idle(look, user) {
            return Ok(judgement);
        }
        let Some((_, name)) = split_user_id(id) else { return Err(Stop::not_applicable("has no realm")) };
        let fact = look.host.realms();
        let Some(realm) = realm_of(look.take(fact)?, name)? else {
            return Err(Stop::not_applicable("there is no such realm: nobody can log in"));
        };
        match realm.second_factor.as_ref().map(|factor| factor.kind) {
            Some(SecondFactorKind::Yubico { has_key: true }) => {
                return Ok(Judgement::pass("the realm asks the Yubico service about the keys of its users"));
            }
            _ if matches!(realm.kind, RealmKind::OpenId(_)) => {
                return Err(Stop::not_applicable("the provider of the realm asks for its own factors"));
            }
            _ => fact.complete()?,
        }
        let others = factors.factors.iter().any(|factor| factor.enabled && factor.kind != TfaKind::Yubico)
            || factors.recovery.is_some();
        let summary = if others {
            "has a Yubico key, which is asked for and never accepted: only the other factors open the account"
        } else {
            "has only a Yubico key, which is asked for and never accepted: nobody can log in as this user"
        };
        let line = Evidence { line: realm.line, ..Evidence::of(DOMAINS_CFG) };
        let line = line.key("tfa").observed("no type=yubico with a key").expected("type=yubico,id=…,key=…");
        Ok(Judgement::fail(summary).with(line).with_all(user_line(user)))
    })
}

/// `authentication/second-factors-in-old-format`
pub(crate) fn second_factors_in_old_format(look: &Look<'_>) -> Judged {
    let tfa = look.take(look.host.tfa())?;
    let users = users(tfa)?;
    if users.is_empty() {
        return Err(Stop::not_applicable("nobody has a second factor"));
    }
    let judgement = if tfa.old_format {
        let summary = format!("the file is in the format of Proxmox VE 6; users in it: {}", users.len());
        Judgement::fail(summary)
            .with(Evidence::of(TFA_CFG).observed("USER:TYPE:… on each line").expected("JSON"))
    } else {
        Judgement::pass("the file is in the format of today")
    };
    look.one(Subject::cluster(), judgement)
}

/// Whether a realm can demand a second factor, and the user logs in there with a password.
fn may_demand(realm: &Realm) -> bool {
    !matches!(realm.kind, RealmKind::OpenId(_))
}

/// `authentication/second-factor-not-demanded`
pub(crate) fn second_factor_not_demanded(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let powers = look.take(look.host.powers())?;
    let realms = look.take(look.host.realms())?;
    let found = realms.realms.values().filter(|realm| may_demand(realm)).filter_map(|realm| {
        let mut ids = powers.administrators().map(|power| &power.id).filter(|id| {
            let active =
                cfg.users.get(*id).is_some_and(|user| Standing::of_user(user, look.now) == Standing::Active);
            active && split_user_id(id).is_some_and(|(_, name)| name == realm.name)
        });
        let first = ids.next()?;
        Some((realm, first, ids.count()))
    });
    let name = |(realm, ..): &(&Realm, &String, usize)| Subject::new(SubjectKind::Realm, &realm.name);
    look.each(found, name, |_, (realm, first, more)| {
        let who = match more {
            0 => (*first).clone(),
            more => format!("{first} and {more} more"),
        };
        let Some(factor) = &realm.second_factor else {
            let line = Evidence { line: realm.line, ..Evidence::of(DOMAINS_CFG) };
            let line = line.key("tfa").observed("not set").expected("type=oath");
            let summary = format!("demands no second factor of those who administer through it: {who}");
            return Ok(Judgement::fail(summary).with(line));
        };
        let kind = match factor.kind {
            SecondFactorKind::Oath => kind_name(TfaKind::Totp),
            SecondFactorKind::Yubico { .. } => kind_name(TfaKind::Yubico),
        };
        let line = Evidence::at(DOMAINS_CFG, factor.line).key("tfa");
        Ok(Judgement::pass(format!("demands {kind} of everybody, {who} included")).with(line))
    })
}

/// `authentication/realm-second-factor-dropped`
pub(crate) fn realm_second_factor_dropped(look: &Look<'_>) -> Judged {
    let realms = look.take(look.host.realms())?;
    let wanting: Vec<&Realm> = realms
        .realms
        .values()
        .filter(|realm| realm.second_factor.is_some() || realm.dropped.contains_key("tfa"))
        .collect();
    if wanting.is_empty() {
        return Err(Stop::not_applicable("no realm is meant to demand a second factor"));
    }
    look.each(
        wanting,
        |realm| Subject::new(SubjectKind::Realm, &realm.name),
        |look, realm| {
            let line = realm.dropped.get("tfa").filter(|_| realm.second_factor.is_none());
            let Some(line) = line else {
                return Ok(Judgement::pass("the realm demands the second factor it is meant to"));
            };
            let (why, expected) = if may_demand(realm) {
                ("malformed", "type=oath, or type=yubico with id and key")
            } else {
                ("unknown to a realm of this type", "the provider demands the factor")
            };
            let summary = format!("is meant to demand a second factor, but the setting is {why} and dropped");
            let line = Evidence::at(DOMAINS_CFG, *line).key("tfa").observed("dropped").expected(expected);
            let weight = weight_of_realm(look, &realm.name);
            Ok(weighed(Judgement::fail(summary).with(line), weight, Severity::Low, Severity::High))
        },
    )
}

/// `authentication/webauthn-without-origin`
pub(crate) fn webauthn_without_origin(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.datacenter())?;
    let Some(setting) = cfg.webauthn.as_ref().filter(|_| Tokens::of(cfg).webauthn) else {
        return Err(Stop::not_applicable("WebAuthn is not set up"));
    };
    let id = setting.value.id.as_deref().unwrap_or_default();
    let line = Evidence::at(DATACENTER_CFG, setting.line).key("webauthn").expected("origin=https://…:8006");
    let judgement = match &setting.value.origin {
        Some(origin) => Judgement::pass(format!("an answer of a key counts only for {origin}")).with(line),
        None => Judgement::fail(format!(
            "no origin is set: an answer of a key counts whichever host named {id} or below has asked for it"
        ))
        .with(line.observed("no origin")),
    };
    look.one(Subject::cluster(), judgement)
}
