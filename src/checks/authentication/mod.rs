//! How people prove who they are: passwords, second factors, realms.

mod realms;

pub(crate) use realms::{
    openid_creates_users, openid_over_http, realm_certificate_not_verified, realm_password_in_clear_text,
    weak_realm_tls,
};

use super::access::user_line;
use super::{Judged, Look};
use crate::catalogue::Severity;
use crate::formats::crypt_hash::{HashScheme, PasswordField, SHA_ROUNDS_DEFAULT};
use crate::formats::domains_cfg::Realm;
use crate::formats::release::Release;
use crate::formats::user_cfg::names::split_user_id;
use crate::formats::user_cfg::{Keys, User};
use crate::host::access::power::Rank;
use crate::host::access::second_factor::{SecondFactor, Tokens, judge, kind_names, needs_tokens, users};
use crate::host::access::{DOMAINS_CFG, SHADOW_CFG, Standing, TFA_CFG, USER_CFG, realm_of};
use crate::host::datacenter::DATACENTER_CFG;
use crate::host::{Doubt, Stop};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// The realm whose passwords stand in priv/shadow.cfg.
const REALM_PVE: &str = "pve";

/// What the login of a user asks for besides the password.
pub(super) fn second_factor(look: &Look<'_>, id: &str, keys: Keys) -> Result<SecondFactor, Stop> {
    let enrolled = users(look.take(look.host.tfa())?)?.get(id);
    let tokens = if needs_tokens(enrolled) {
        Tokens::of(look.take(look.host.datacenter())?)
    } else {
        Tokens::default()
    };
    let rules = *look.take(look.host.login_rules())?;
    let of = |realm: Option<&Realm>| judge(enrolled, keys, tokens, realm, rules);
    let (_, name) = split_user_id(id).ok_or_else(|| Stop::unknown(USER_CFG, "has a user without a realm"))?;
    // A built-in realm asks for what is enrolled even if what it sets besides is doubtful.
    if let Some(bare) = Realm::built_in(name) {
        let least = of(Some(&bare));
        if matches!(least, SecondFactor::Asked(_) | SecondFactor::RecoveryOnly { .. }) {
            return Ok(realm(look, id).map_or(least, |realm| of(Some(realm))));
        }
    }
    Ok(of(realm_of(look.take(look.host.realms())?, name)?))
}

/// The realm of a user, as far as it is known.
fn realm<'h>(look: &Look<'h>, id: &str) -> Option<&'h Realm> {
    let (_, name) = split_user_id(id)?;
    look.host.realms().value.as_ref().ok()?.realms.get(name)
}

/// The line that makes a realm demand a second factor.
fn demand(look: &Look<'_>, id: &str) -> Option<Evidence> {
    let line = realm(look, id)?.second_factor.as_ref()?.line;
    Some(Evidence::at(DOMAINS_CFG, line).key("tfa"))
}

/// Whether the login of a user asks for a second factor.
pub(super) fn asked_for(look: &Look<'_>, id: &str, user: &User) -> Result<Judgement, Stop> {
    match Standing::of_user(user, look.now) {
        Standing::Active => {}
        Standing::Disabled => return Ok(Judgement::pass("cannot log in: the account is disabled")),
        Standing::Expired => return Ok(Judgement::pass("cannot log in: the account has expired")),
    }
    let missing = match second_factor(look, id, user.keys)? {
        SecondFactor::Asked(kinds) => {
            return Ok(Judgement::pass(format!("is asked for a second factor ({})", kind_names(&kinds))));
        }
        SecondFactor::RecoveryOnly { .. } => {
            return Ok(Judgement::pass("is asked for a second factor (recovery codes only)"));
        }
        SecondFactor::Refused => {
            let summary = "cannot log in with a password alone: the realm demands a second factor he does not have";
            return Ok(Judgement::pass(summary).with_all(demand(look, id)));
        }
        SecondFactor::NoRealm => return Ok(Judgement::pass("cannot log in: there is no such realm")),
        SecondFactor::LegacyKey if *look.take(look.host.login_rules())? > Release::Pve7 => {
            let summary = "the realm demands a second factor, and user.cfg has the key of an old release";
            return Ok(Judgement::pass(summary).with_all(demand(look, id)));
        }
        SecondFactor::LegacyKey => {
            return Err(Stop::unknown(
                USER_CFG,
                "has a key of an old release for this user; if it is malformed, the password alone is enough",
            ));
        }
        SecondFactor::Provider => {
            let what = "an OpenID Connect provider logs this user in; whether it asks for a second factor is not seen from here";
            let line = realm(look, id).and_then(|realm| realm.line);
            return Err(Stop::Unknown(Doubt { line, ..Doubt::about(DOMAINS_CFG, what) }));
        }
        SecondFactor::NotAsked => Judgement::fail(
            "is not asked for the second factor he has: before 8.0.4 it counts only if the field `keys` is set",
        )
        .with_all(user_line(user).map(|line| line.observed("keys is empty").expected("x"))),
        SecondFactor::NotUsable(kinds) => Judgement::fail(format!(
            "has only {} as second factor, which datacenter.cfg does not set up: the password alone may be enough",
            kind_names(&kinds)
        ))
        .with(Evidence::of(DATACENTER_CFG).key("webauthn").observed("missing or incomplete")),
        SecondFactor::Disabled => Judgement::fail("every second factor of this user is switched off")
            .with(Evidence::of(TFA_CFG).observed("no enabled factor")),
        SecondFactor::None => Judgement::fail("has no second factor")
            .with(Evidence::of(TFA_CFG).observed("no factor of this user")),
    };
    match without_password(look, id)? {
        Some(judgement) => Ok(judgement),
        None => Ok(missing.with_all(user_line(user))),
    }
}

/// What to say of a user who has no password that a second factor could go with.
fn without_password(look: &Look<'_>, id: &str) -> Result<Option<Judgement>, Stop> {
    let Some((name, realm)) = split_user_id(id) else { return Ok(None) };
    if realm != REALM_PVE {
        return Ok(None);
    }
    let Some(passwords) = look.take(look.host.pve_passwords())? else {
        return Err(Stop::unknown(SHADOW_CFG, "is missing: whether this user has a password is not known"));
    };
    let usable = passwords.get(name).is_some_and(|entry| entry.password.is_usable());
    Ok((!usable).then(|| Judgement::pass("cannot log in with a password: he has none")))
}

/// `authentication/user-without-second-factor`
pub(crate) fn user_without_second_factor(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let powers = look.take(look.host.powers())?;
    let others: Vec<_> = cfg.users.iter().filter(|(id, _)| powers.rank(id) < Rank::HostRoot).collect();
    if others.is_empty() {
        return Err(Stop::not_applicable(
            "every user is an administrator, and those have a check of their own",
        ));
    }
    let subject = |(id, _): &(&String, &User)| Subject::new(SubjectKind::User, id.as_str());
    look.each(others, subject, |look, (id, user)| asked_for(look, id, user))
}

/// `authentication/second-factors-unreadable`
pub(crate) fn second_factors_unreadable(look: &Look<'_>) -> Judged {
    let fact = look.host.tfa();
    let tfa = look.take(fact)?;
    if !tfa.readable {
        let line = fact.doubts.iter().find_map(|doubt| doubt.line);
        let place = line.map_or_else(|| Evidence::of(TFA_CFG), |line| Evidence::at(TFA_CFG, line));
        let summary = "Proxmox VE cannot read the file: logins that look up second factors fail";
        return look.one(Subject::cluster(), Judgement::fail(summary).with(place));
    }
    if tfa.users.is_empty() {
        return Err(Stop::not_applicable("nobody has a second factor"));
    }
    let summary = format!("Proxmox VE can read the file; second factors of users in it: {}", tfa.users.len());
    look.one(Subject::cluster(), Judgement::pass(summary))
}

/// `authentication/recovery-codes-only`
pub(crate) fn recovery_codes_only(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let users = users(look.take(look.host.tfa())?)?;
    let powers = look.host.powers();
    let enrolled = users.keys().filter_map(|id| Some((id, cfg.users.get(id)?)));
    let subject = |(id, _): &(&String, &User)| Subject::new(SubjectKind::User, id.as_str());
    look.each(enrolled, subject, |look, (id, user)| {
        if Standing::of_user(user, look.now) != Standing::Active {
            return Ok(Judgement::pass("cannot log in: the account is disabled or has expired"));
        }
        let codes_left = match second_factor(look, id, user.keys)? {
            SecondFactor::RecoveryOnly { codes_left } => codes_left,
            SecondFactor::Asked(kinds) => {
                return Ok(Judgement::pass(format!("has {}", kind_names(&kinds))));
            }
            SecondFactor::LegacyKey => return Ok(Judgement::pass("has the key of an old release")),
            _ => return Err(Stop::not_applicable("no second factor of this user counts")),
        };
        let summary = match codes_left {
            0 => "recovery codes are the only second factor and none is left: nobody can log in as this user"
                .to_owned(),
            left => format!("recovery codes are the only second factor; {left} left"),
        };
        let administers = look.take(powers)?.rank(id) >= Rank::HostRoot;
        let severity = if administers { Severity::Medium } else { Severity::Low };
        Ok(Judgement::fail(summary).severity(severity).with(Evidence::of(TFA_CFG)).with_all(user_line(user)))
    })
}

/// `authentication/legacy-key-in-user-cfg`
pub(crate) fn legacy_key_in_user_cfg(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let bad: Vec<_> = cfg.users.iter().filter(|(_, user)| user.keys == Keys::LegacySecret).collect();
    if bad.is_empty() {
        let summary = "no user has key material in user.cfg";
        return look.one(Subject::cluster(), Judgement::pass(summary));
    }
    let subject = |(id, _): &(&String, &User)| Subject::new(SubjectKind::User, id.as_str());
    look.each(bad, subject, |_, (_, user)| {
        let line = user_line(user).map(|line| line.observed("not shown: a secret").expected("x, or nothing"));
        Ok(Judgement::fail("the field `keys` holds key material or token ids of an old release")
            .with_all(line))
    })
}

/// What is wrong with the way a password is kept in `path`.
fn weakness(password: PasswordField, path: &str) -> Result<Option<String>, Stop> {
    let PasswordField::Hash { scheme, rounds } = password else { return Ok(None) };
    match scheme {
        HashScheme::Yescrypt | HashScheme::GostYescrypt | HashScheme::Scrypt | HashScheme::Bcrypt => Ok(None),
        HashScheme::Sha512Crypt | HashScheme::Sha256Crypt => Ok(rounds
            .filter(|rounds| *rounds < SHA_ROUNDS_DEFAULT)
            .map(|rounds| format!("the password is hashed with {} and only {rounds} rounds", scheme.name()))),
        HashScheme::Sha1Crypt
        | HashScheme::SunMd5
        | HashScheme::Md5Crypt
        | HashScheme::NtHash
        | HashScheme::BsdiCrypt
        | HashScheme::Des => {
            Ok(Some(format!("the password is hashed with {}, which is fast to guess", scheme.name())))
        }
        HashScheme::Unknown => Err(Stop::unknown(path, "has a hash of a scheme that is not known here")),
    }
}

/// How a password is kept, in words.
fn kept(password: PasswordField) -> &'static str {
    match password {
        PasswordField::Empty => "empty",
        PasswordField::Locked => "locked",
        PasswordField::NoLogin => "no password fits",
        PasswordField::Hash { scheme, .. } => scheme.name(),
    }
}

/// `authentication/weak-password-hash`
pub(crate) fn weak_password_hash(look: &Look<'_>) -> Judged {
    let Some(passwords) = look.take(look.host.pve_passwords())? else {
        return Err(Stop::not_applicable("nobody has a password in the realm pve"));
    };
    let subject = |(name, _): &(&String, _)| Subject::new(SubjectKind::User, format!("{name}@{REALM_PVE}"));
    look.each(passwords, subject, |_, (_, entry)| {
        let line = Evidence::at(SHADOW_CFG, entry.line).observed(kept(entry.password));
        Ok(match weakness(entry.password, SHADOW_CFG)? {
            Some(weak) => Judgement::fail(weak).with(line.expected("sha256crypt or better")),
            None => Judgement::pass(format!("password: {}", kept(entry.password))).with(line),
        })
    })
}

/// `authentication/weak-root-password-hash`
pub(crate) fn weak_root_password_hash(look: &Look<'_>) -> Judged {
    let root = look.take(look.host.root_password())?;
    let line = Evidence::at(root.path, root.line).key("root").observed(kept(root.password));
    let judgement = match (root.password, weakness(root.password, root.path)?) {
        (PasswordField::Empty, _) => {
            Judgement::fail("root has an empty password").severity(Severity::Critical)
        }
        (_, Some(weak)) => Judgement::fail(weak),
        (PasswordField::Hash { scheme: HashScheme::Sha256Crypt, .. }, None) => Judgement::fail(
            "the password is hashed with sha256crypt, as the web interface writes it, instead of yescrypt",
        )
        .severity(Severity::Low),
        (password, None) => Judgement::pass(format!("password of root: {}", kept(password))),
    };
    look.one(
        Subject::new(SubjectKind::User, "root"),
        judgement.with(line.expected("yescrypt, or no password")),
    )
}
