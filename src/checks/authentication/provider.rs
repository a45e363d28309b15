//! What a realm leaves to its provider, and the secrets it shares with it.

use super::super::{Judged, Look};
use super::power::{weighed, weight_of_groups, weight_of_realm};
use super::realms::{directory, each_directory, each_openid, openid, seen, subject};
use crate::catalogue::Severity;
use crate::formats::domains_cfg::{Realm, RealmKind, SecondFactorKind};
use crate::formats::user_cfg::names::split_token_id;
use crate::host::access::effective::Effective;
use crate::host::access::power::Rank;
use crate::host::access::{DOMAINS_CFG, Standing};
use crate::host::{Doubt, Stop};
use crate::outcome::{Evidence, Judgement};

/// Claims a user of the provider can mostly change himself, or that are given to somebody else once he has left.
const MUTABLE_CLAIMS: [&str; 14] = [
    "email",
    "family_name",
    "given_name",
    "login",
    "mail",
    "name",
    "nickname",
    "phone_number",
    "preferred_username",
    "uid",
    "unique_name",
    "upn",
    "user_name",
    "username",
];

/// `authentication/openid-username-claim-mutable`
pub(crate) fn openid_username_claim_mutable(look: &Look<'_>) -> Judged {
    let stable = look.list("immutable_claims");
    each_openid(look, |look, realm, openid| {
        let Some(claim) = &openid.username_claim else {
            return Ok(Judgement::pass("users are told apart by the subject the provider gives them"));
        };
        let line = seen(realm, "username-claim", claim).expected("subject");
        if stable.contains(claim) {
            return Ok(Judgement::pass(format!("users are told apart by the claim {claim}")).with(line));
        }
        if !MUTABLE_CLAIMS.contains(&claim.as_str()) {
            let line = line.line.or(realm.line).unwrap_or_default();
            let what =
                format!("names the user by the claim {claim}; whether it ever changes is not seen from here");
            return Err(Stop::Unknown(Doubt::at(DOMAINS_CFG, line, what)));
        }
        let summary = format!(
            "users are told apart by {claim}: whoever gets the name of another at the provider is that user"
        );
        let weight = weight_of_realm(look, &realm.name);
        Ok(weighed(Judgement::fail(summary).with(line), weight, Severity::Low, Severity::High))
    })
}

/// `authentication/openid-groups-never-taken-away`
pub(crate) fn openid_groups_never_taken_away(look: &Look<'_>) -> Judged {
    each_openid(look, |look, realm, openid| {
        let Some(claim) = &openid.groups_claim else {
            return Err(Stop::not_applicable("the provider names no groups"));
        };
        if openid.overwrites_groups {
            return Ok(Judgement::pass("who logs in has the groups the provider names and no others"));
        }
        let summary =
            "a group the provider has once named stays: who lost the role there keeps the rights here";
        let line = seen(realm, "groups-overwrite", "0").expected("1");
        let claim = seen(realm, "groups-claim", claim);
        let weight = weight_of_groups(look, &realm.name, openid.creates_groups);
        Ok(weighed(Judgement::fail(summary).with(line).with(claim), weight, Severity::Low, Severity::Medium))
    })
}

/// `authentication/anonymous-directory-search`
pub(crate) fn anonymous_directory_search(look: &Look<'_>) -> Judged {
    each_directory(look, |realm, directory| {
        if directory.has_bind_dn {
            return Ok(Judgement::pass("searches are made as somebody"));
        }
        if matches!(realm.kind, RealmKind::ActiveDirectory(_)) {
            return Err(Stop::not_applicable("logins bind as the user and search nothing"));
        }
        let by_certificate = ["cert", "certkey"].iter().all(|key| realm.lines.contains_key(key));
        if by_certificate {
            return Ok(Judgement::pass("the client certificate says who searches"));
        }
        let summary = "searches are anonymous: the directory server must list its users to everybody";
        Ok(Judgement::fail(summary)
            .with(seen(realm, "bind_dn", "not set").expected("an account that may search")))
    })
}

/// The secrets of a realm that stand in domains.cfg, by the name of the property, the worst first.
fn secrets(realm: &Realm) -> Vec<&'static str> {
    let password = directory(realm).is_some_and(|directory| directory.has_inline_password);
    let client_key = openid(realm).is_some_and(|openid| openid.has_client_key);
    let api_key = realm
        .second_factor
        .as_ref()
        .is_some_and(|factor| matches!(factor.kind, SecondFactorKind::Yubico { has_key: true }));
    [("password", password), ("client-key", client_key), ("tfa", api_key)]
        .into_iter()
        .filter_map(|(name, is_there)| is_there.then_some(name))
        .collect()
}

/// Where whoever may read the realms through the API needs one of these privileges.
const REALMS: &str = "/access/realm";
const READ_REALMS: [&str; 2] = ["Sys.Audit", "Realm.Allocate"];

/// Who may read the realms through the API and does not administer: users and tokens, by id.
fn readers(look: &Look<'_>) -> Result<Vec<String>, Stop> {
    let cfg = look.take(look.host.access())?;
    let powers = look.take(look.host.powers())?;
    let effective = Effective::new(cfg);
    let active = |id: &str| {
        let owner = split_token_id(id).map_or(id, |(owner, _)| owner);
        let Some(user) = cfg.users.get(owner) else { return false };
        let standing = match cfg.token(id) {
            Some(token) => Standing::of_token(token, user, look.now),
            None => Standing::of_user(user, look.now),
        };
        standing == Standing::Active
    };
    let reads = |id: &String| {
        let held = effective.privileges(id, REALMS);
        READ_REALMS.iter().any(|privilege| held.contains_key(privilege))
    };
    let ids = effective.ids().into_iter();
    Ok(ids.filter(|id| powers.rank(id) < Rank::HostRoot && active(id) && reads(id)).collect())
}

/// `authentication/secret-in-domains-cfg`
pub(crate) fn secret_in_domains_cfg(look: &Look<'_>) -> Judged {
    let realms = look.take(look.host.realms())?;
    let keepers: Vec<&Realm> = realms.realms.values().filter(|realm| realm.line.is_some()).collect();
    if keepers.is_empty() {
        return Err(Stop::not_applicable("no realm is set up"));
    }
    look.each(
        keepers,
        |realm| subject(realm),
        |look, realm| {
            let names = secrets(realm);
            let Some(worst) = names.first() else {
                return Ok(Judgement::pass("no secret stands in the file"));
            };
            let readers = readers(look).unwrap_or_default();
            let also = match readers.as_slice() {
                [] => "the group www-data reads it".to_owned(),
                [one] => format!("the group www-data reads it, and through the API {one}"),
                [first, more @ ..] => {
                    format!(
                        "the group www-data reads it, and through the API {first} and {} more",
                        more.len()
                    )
                }
            };
            let what = match *worst {
                "password" => "the bind password, which is not even used there",
                "client-key" => "the client key of the provider",
                _ => "the API key of the Yubico service",
            };
            let severity = match (*worst, readers.is_empty()) {
                ("password", _) => Severity::High,
                (_, false) => Severity::Medium,
                (_, true) => Severity::Low,
            };
            let lines = names.iter().map(|name| {
                let line = realm.lines.get(name).copied().or(realm.line);
                Evidence { line, ..Evidence::of(DOMAINS_CFG) }.key(*name).observed("not shown: a secret")
            });
            let judgement = Judgement::fail(format!("the file holds {what}: {also}"));
            Ok(judgement.severity(severity).with_all(lines))
        },
    )
}
