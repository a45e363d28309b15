//! `pve-audit show access`: users, tokens, groups, roles, ACLs, realms, and what they come to.

mod realms;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{Shown, ShownIssue, issues};
use crate::formats::domains_cfg::DomainsConfig;
use crate::formats::release::Release;
use crate::formats::tfa_cfg::TfaUser;
use crate::formats::token_cfg::TokenCfg;
use crate::formats::user_cfg::names::{ROOT, split_user_id};
use crate::formats::user_cfg::roles::builtin_roles;
use crate::formats::user_cfg::{AclEntry, AclSubject, Group, Keys, Token, User, UserCfg};
use crate::host::access::effective::Effective;
use crate::host::access::power::{Power, Powers, Way};
use crate::host::access::second_factor::{SecondFactor, Tokens, judge, kind_name, needs_tokens, users};
use crate::host::access::{USER_CFG, realm_of};
use crate::host::{Doubt, Fact, Host, Stop};
use realms::{ShownRealm, realms};

/// Most pairs of a user or token and a path whose effective privileges are listed.
const EFFECTIVE_LIMIT: usize = 10_000;

#[derive(Serialize)]
struct Access {
    release: u8,
    users: Vec<ShownUser>,
    groups: BTreeMap<String, ShownGroup>,
    roles: BTreeMap<String, ShownRole>,
    acl: Vec<ShownAcl>,
    /// `null` where they could not be read.
    realms: Option<BTreeMap<String, ShownRealm>>,
    /// Privileges by user or token and path; `root@pam`, who has all of them everywhere, is left out. `null` where
    /// there are too many.
    effective: Option<BTreeMap<String, BTreeMap<String, Vec<&'static str>>>>,
    issues: Vec<ShownIssue>,
}

#[derive(Serialize)]
struct ShownUser {
    id: String,
    realm: String,
    enabled: bool,
    /// RFC 3339; `null` is never.
    expires: Option<String>,
    comment: Option<String>,
    groups: Vec<String>,
    /// `null` where it could not be read.
    second_factor: Option<ShownFactor>,
    /// Why he administers; empty if he does not, `null` where that is not known.
    administrator: Option<Vec<ShownReason>>,
    tokens: Vec<ShownToken>,
    line: Option<u32>,
}

#[derive(Serialize)]
struct ShownFactor {
    state: &'static str,
    kinds: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovery_codes_left: Option<usize>,
}

#[derive(Serialize)]
struct ShownToken {
    id: String,
    privilege_separation: bool,
    expires: Option<String>,
    comment: Option<String>,
    /// Whether priv/token.cfg has a secret for it; `null` where that could not be read.
    has_secret: Option<bool>,
    administrator: Option<Vec<ShownReason>>,
    line: u32,
}

#[derive(Serialize, PartialEq)]
struct ShownReason {
    rule: &'static str,
    why: String,
    acl: Vec<ShownAcl>,
}

#[derive(Serialize)]
struct ShownGroup {
    members: Vec<String>,
    comment: Option<String>,
    line: u32,
}

#[derive(Serialize)]
struct ShownRole {
    built_in: bool,
    privileges: Vec<&'static str>,
    /// Names the release does not know and drops.
    unknown: Vec<String>,
    /// Line in user.cfg; `null` for a built-in role nobody has touched.
    line: Option<u32>,
}

#[derive(Serialize, PartialEq)]
struct ShownAcl {
    path: String,
    /// As in user.cfg: groups start with `@`.
    subject: String,
    role: String,
    propagate: bool,
    dangling: bool,
    line: u32,
}

/// Lays the access control out.
///
/// # Errors
/// Why there is nothing to show.
pub(super) fn shown(host: &Host) -> Result<Shown, String> {
    let access = access(host).map_err(|stop| match stop {
        Stop::Unknown(doubt) => doubt.to_string(),
        Stop::NotApplicable(why) => why,
    })?;
    let text = text(&access);
    // A value of strings, numbers and lists cannot fail to convert.
    let json = serde_json::to_value(&access).unwrap_or_default();
    Ok(Shown { json, text })
}

fn access(host: &Host) -> Result<Access, Stop> {
    let mut doubts = Vec::new();
    let cfg = take(host.access(), &mut doubts)?;
    let release = host.release()?;
    let tfa = take(host.tfa(), &mut doubts).ok().and_then(|tfa| users(tfa).ok());
    let needs_tokens = tfa.is_some_and(|users| users.values().any(|user| needs_tokens(Some(user))));
    let datacenter = if needs_tokens { take(host.datacenter(), &mut doubts).ok() } else { None };
    let realm_cfg = take(host.realms(), &mut doubts).ok();
    let known = Known {
        cfg,
        rules: *take(host.login_rules(), &mut doubts)?,
        realms: realm_cfg,
        administrators: take(host.powers(), &mut doubts).ok(),
        tfa,
        tokens: datacenter.map(Tokens::of),
        secrets: take(host.token_secrets(), &mut doubts).ok(),
    };
    let effective = effective(cfg);
    if effective.is_none() {
        let what =
            format!("has more than {EFFECTIVE_LIMIT} pairs of an id and a path: effective is left out");
        doubts.push(Doubt::about(USER_CFG, what));
    }
    doubts.sort();
    doubts.dedup();
    Ok(Access {
        release: release.major(),
        users: cfg.users.iter().map(|(id, user)| known.user(id, user)).collect(),
        groups: groups(cfg),
        roles: roles(cfg, release),
        acl: cfg.acl.iter().map(ShownAcl::of).collect(),
        realms: realm_cfg.map(realms),
        effective,
        issues: issues(&doubts),
    })
}

/// The value of a fact; its doubts, and why there is no value, are kept.
fn take<'h, T>(fact: &'h Fact<T>, doubts: &mut Vec<Doubt>) -> Result<&'h T, Stop> {
    doubts.extend(fact.doubts.iter().cloned());
    if let Err(Stop::Unknown(doubt)) = &fact.value {
        doubts.push(doubt.clone());
    }
    fact.value.as_ref().map_err(Clone::clone)
}

/// What could be read.
struct Known<'h> {
    cfg: &'h UserCfg,
    /// The release by whose rules a login asks for second factors.
    rules: Release,
    realms: Option<&'h DomainsConfig>,
    administrators: Option<&'h Powers>,
    tfa: Option<&'h BTreeMap<String, TfaUser>>,
    tokens: Option<Tokens>,
    secrets: Option<&'h Option<TokenCfg>>,
}

impl Known<'_> {
    fn user(&self, id: &str, user: &User) -> ShownUser {
        let token = |(name, token): (&String, &Token)| self.token(&format!("{id}!{name}"), token);
        ShownUser {
            id: id.to_owned(),
            realm: split_user_id(id).map(|(_, realm)| realm.to_owned()).unwrap_or_default(),
            enabled: user.enable,
            expires: expires(user.expire),
            comment: user.comment.clone(),
            groups: self.cfg.groups_of(id).map(str::to_owned).collect(),
            tokens: user.tokens.iter().map(token).collect(),
            second_factor: self.second_factor(id, user.keys),
            administrator: reasons(self.administrators, id),
            line: user.line,
        }
    }

    fn second_factor(&self, id: &str, keys: Keys) -> Option<ShownFactor> {
        let enrolled = self.tfa?.get(id);
        let tokens = if needs_tokens(enrolled) { self.tokens? } else { Tokens::default() };
        let (_, realm) = split_user_id(id)?;
        let realm = realm_of(self.realms?, realm).ok()?;
        Some(ShownFactor::of(&judge(enrolled, keys, tokens, realm, self.rules)))
    }

    fn token(&self, id: &str, token: &Token) -> ShownToken {
        let has =
            |secrets: &Option<TokenCfg>| secrets.as_ref().is_some_and(|secrets| secrets.contains_key(id));
        ShownToken {
            id: id.to_owned(),
            privilege_separation: token.privsep,
            expires: expires(token.expire),
            comment: token.comment.clone(),
            has_secret: self.secrets.map(has),
            administrator: reasons(self.administrators, id),
            line: token.line,
        }
    }
}

/// A time in seconds since the epoch; 0 is never.
fn expires(seconds: u64) -> Option<String> {
    if seconds == 0 {
        return None;
    }
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    // Later than the year 9999: the number itself.
    Some(time.map_or_else(|| seconds.to_string(), |time| time.to_string()))
}

fn reasons(powers: Option<&Powers>, id: &str) -> Option<Vec<ShownReason>> {
    let powers = powers?;
    let found = powers.of(id);
    Some(
        found
            .map(|one| one.root_ways().into_iter().map(|way| ShownReason::of(powers, one, way)).collect())
            .unwrap_or_default(),
    )
}

impl ShownReason {
    fn of(powers: &Powers, power: &Power, way: &Way) -> Self {
        Self {
            rule: way.rule.id,
            why: powers.chain(power, way).join(" → "),
            acl: way.held.iter().flat_map(|held| &held.grants).map(ShownAcl::of).collect(),
        }
    }
}

impl ShownFactor {
    fn of(factor: &SecondFactor) -> Self {
        let recovery_codes_left = match factor {
            SecondFactor::RecoveryOnly { codes_left } => Some(*codes_left),
            _ => None,
        };
        let kinds = factor.kinds().iter().map(|kind| kind_name(*kind)).collect();
        Self { state: factor.name(), kinds, recovery_codes_left }
    }
}

impl ShownAcl {
    fn of(entry: &AclEntry) -> Self {
        let subject = match &entry.subject {
            AclSubject::User(id) | AclSubject::Token(id) => id.clone(),
            AclSubject::Group(name) => format!("@{name}"),
        };
        Self {
            path: entry.path.clone(),
            subject,
            role: entry.role.clone(),
            propagate: entry.propagate,
            dangling: entry.dangling,
            line: entry.line,
        }
    }
}

fn groups(cfg: &UserCfg) -> BTreeMap<String, ShownGroup> {
    let shown = |(name, group): (&String, &Group)| {
        let members = group.members.iter().cloned().collect();
        (name.clone(), ShownGroup { members, comment: group.comment.clone(), line: group.line })
    };
    cfg.groups.iter().map(shown).collect()
}

/// The roles of the file, and the built-in ones an ACL uses.
fn roles(cfg: &UserCfg, release: Release) -> BTreeMap<String, ShownRole> {
    let used = cfg.acl.iter().map(|entry| entry.role.as_str());
    let names = cfg.roles.keys().map(String::as_str).chain(used);
    let built_in = builtin_roles(release);
    let shown = |name: &str| {
        let own = cfg.roles.get(name);
        let role = ShownRole {
            built_in: built_in.contains(name),
            privileges: cfg.role_privileges(name).into_iter().flatten().collect(),
            unknown: own.map(|role| role.unknown.iter().cloned().collect()).unwrap_or_default(),
            line: own.map(|role| role.line),
        };
        (name.to_owned(), role)
    };
    names.map(shown).collect()
}

/// Who has which privileges on the paths where that can change, without those who have none.
fn effective(cfg: &UserCfg) -> Option<BTreeMap<String, BTreeMap<String, Vec<&'static str>>>> {
    let effective = Effective::new(cfg);
    let paths = effective.paths();
    let ids: Vec<String> = effective.ids().into_iter().filter(|id| id != ROOT).collect();
    if ids.len().saturating_mul(paths.len()) > EFFECTIVE_LIMIT {
        return None;
    }
    let of_id = |id: String| {
        let on_path = |path: &&str| {
            let privileges: Vec<&str> = effective.privileges(&id, path).into_keys().collect();
            (!privileges.is_empty()).then(|| ((*path).to_owned(), privileges))
        };
        let privileges: BTreeMap<_, _> = paths.iter().filter_map(on_path).collect();
        (id, privileges)
    };
    Some(ids.into_iter().map(of_id).filter(|(_, privileges)| !privileges.is_empty()).collect())
}

fn text(access: &Access) -> String {
    let mut out = String::new();
    let mut line = |text: String| out.extend([text.as_str(), "\n"]);
    line("users".to_owned());
    for user in &access.users {
        line(format!("  {}: {}", user.id, user_words(user)));
        for reason in user.administrator.iter().flatten() {
            line(format!("    administrator: {}{}", reason.why, lines(&reason.acl)));
        }
        for token in &user.tokens {
            line(format!("    token {}: {}", token.id, token_words(token)));
            for reason in token.administrator.iter().flatten() {
                line(format!("      administrator: {}{}", reason.why, lines(&reason.acl)));
            }
        }
    }
    if !access.groups.is_empty() {
        line("groups".to_owned());
    }
    for (name, group) in &access.groups {
        let members = if group.members.is_empty() { "nobody".to_owned() } else { group.members.join(", ") };
        line(format!("  {name}: {members}"));
    }
    if !access.acl.is_empty() {
        line("acl (path, who, role, line in user.cfg)".to_owned());
    }
    for entry in &access.acl {
        let propagate = if entry.propagate { "" } else { ", does not propagate" };
        let dangling = if entry.dangling { ", does not exist" } else { "" };
        line(format!(
            "  {}  {}  {}  line {}{propagate}{dangling}",
            entry.path, entry.subject, entry.role, entry.line
        ));
    }
    let own: Vec<_> = access.roles.iter().filter(|(_, role)| role.line.is_some()).collect();
    if !own.is_empty() {
        line("roles".to_owned());
    }
    for (name, role) in own {
        let built_in = if role.built_in { " (built-in, extended)" } else { "" };
        line(format!("  {name}{built_in}: {}", role.privileges.join(", ")));
    }
    if access.realms.is_some() {
        line("realms".to_owned());
    }
    for (name, realm) in access.realms.iter().flatten() {
        line(format!("  {name}: {}", realm.words()));
    }
    if !access.issues.is_empty() {
        line("issues".to_owned());
    }
    for issue in &access.issues {
        line(format!("  {issue}"));
    }
    out
}

fn user_words(user: &ShownUser) -> String {
    let mut words =
        vec![if user.enabled { "enabled" } else { "disabled" }.to_owned(), until(user.expires.as_deref())];
    words.push(match &user.second_factor {
        None => "second factor unknown".to_owned(),
        Some(factor) => factor_words(factor),
    });
    if !user.groups.is_empty() {
        words.push(format!("in {}", user.groups.join(", ")));
    }
    words.join(", ")
}

fn factor_words(factor: &ShownFactor) -> String {
    match factor.recovery_codes_left {
        Some(left) => format!("second factor: recovery codes only ({left} left)"),
        None if factor.kinds.is_empty() => match factor.state {
            "refused" => "second factor: demanded but none, login refused".to_owned(),
            "provider" => "second factor: left to the OpenID Connect provider".to_owned(),
            "no-realm" => "no such realm, login refused".to_owned(),
            state => format!("second factor: {state}"),
        },
        None => format!("second factor: {} ({})", factor.state, factor.kinds.join(", ")),
    }
}

fn token_words(token: &ShownToken) -> String {
    let separation = if token.privilege_separation { "separated" } else { "has every right of its owner" };
    let secret = if token.has_secret == Some(false) { ", has no secret" } else { "" };
    format!("{separation}, {}{secret}", until(token.expires.as_deref()))
}

fn until(expires: Option<&str>) -> String {
    expires.map_or_else(|| "never expires".to_owned(), |time| format!("expires {time}"))
}

fn lines(acl: &[ShownAcl]) -> String {
    let numbers: Vec<String> = acl.iter().map(|entry| entry.line.to_string()).collect();
    if numbers.is_empty() { String::new() } else { format!(" (user.cfg line {})", numbers.join(", ")) }
}
