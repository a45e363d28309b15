//! As JSON, written piece by piece: a large cluster gives more of it than should be held in memory.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::ask::Asked;
use super::collect::{Access, Identity};
use super::issue::Issue;
use super::paths::{OnPath, Paths};
use super::realms::realms;
use super::words::time;
use crate::formats::user_cfg::roles::builtin_roles;
use crate::formats::user_cfg::{AclEntry, AclSubject, Group, Pool, Token, User};
use crate::host::access::second_factor::{SecondFactor, kind_name};
use crate::show::{harmless, harmless_text};

#[derive(Serialize)]
struct ShownUser<'h> {
    realm: &'h str,
    enabled: bool,
    /// RFC 3339; `null` is never.
    expires: Option<String>,
    comment: Option<&'h str>,
    groups: &'h [&'h str],
    /// In more words than that of the identity; `null` where it could not be read.
    second_factor: Option<ShownFactor>,
    tokens: BTreeMap<String, ShownToken<'h>>,
    /// `null` for root@pam without a line of his own.
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
struct ShownToken<'h> {
    privilege_separation: bool,
    expires: Option<String>,
    comment: Option<&'h str>,
    /// Whether priv/token.cfg has a secret for it; `null` where that could not be read.
    has_secret: Option<bool>,
    line: u32,
}

#[derive(Serialize)]
struct ShownGroup<'h> {
    members: Vec<&'h str>,
    comment: Option<&'h str>,
    line: u32,
}

#[derive(Serialize)]
struct ShownPool<'h> {
    guests: Vec<u64>,
    storages: Vec<&'h str>,
    comment: Option<&'h str>,
    line: u32,
}

#[derive(Serialize)]
struct ShownRole<'h> {
    built_in: bool,
    privileges: Vec<&'static str>,
    /// Names the release does not know and drops.
    unknown: Vec<&'h str>,
    /// Line in user.cfg; `null` for a built-in role nobody has touched.
    line: Option<u32>,
}

#[derive(Serialize)]
struct ShownAcl<'h> {
    path: &'h str,
    /// As in user.cfg: groups start with `@`.
    subject: String,
    role: &'h str,
    propagate: bool,
    dangling: bool,
    line: u32,
}

/// Writes the answer.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write<'h>(
    access: &Access<'h>,
    asked: &Asked,
    paths: &Paths<'h>,
    issues: &[Issue],
    out: &mut dyn Write,
) -> io::Result<()> {
    let shown = |identity: &&Identity<'h>| is_shown(access, asked, paths, identity);
    let printed = Printed::of(paths)?;
    write!(out, "{{\n\"pve\": {},\n\"identities\": ", access.cfg.release.major())?;
    let all = access.identities.values().filter(shown);
    map(out, all, |out, one| identity(access, paths, &printed, one, out))?;
    out.write_all(b",\n\"missing\": ")?;
    map(out, access.missing.values().filter(shown), |out, one| identity(access, paths, &printed, one, out))?;
    out.write_all(b",\n\"users\": ")?;
    let users = access.cfg.users.iter().filter(|(id, _)| {
        access.identities.get(*id).into_iter().chain(tokens_of(access, id)).any(|one| shown(&one))
    });
    map(out, users, |out, (id, user)| named(out, id, &shown_user(access, id, user)))?;
    out.write_all(b",\n\"groups\": ")?;
    map(out, &access.cfg.groups, |out, (name, group)| named(out, name, &shown_group(group)))?;
    out.write_all(b",\n\"roles\": ")?;
    map(out, roles(access), |out, (name, role)| named(out, name, &role))?;
    out.write_all(b",\n\"pools\": ")?;
    map(out, &access.cfg.pools, |out, (name, pool)| named(out, name, &shown_pool(pool)))?;
    out.write_all(b",\n\"acl\": ")?;
    list(out, access.cfg.acl.iter().map(ShownAcl::of))?;
    out.write_all(b",\n\"realms\": ")?;
    match access.realms {
        Some(cfg) => map(out, realms(cfg), |out, (name, realm)| named(out, &name, &realm))?,
        None => out.write_all(b"null")?,
    }
    out.write_all(b",\n\"issues\": ")?;
    list(out, issues)?;
    out.write_all(b"\n}\n")
}

/// Whether somebody was asked for and, where only some privileges or paths were, has one of them.
pub(super) fn is_shown<'h>(
    access: &Access<'h>,
    asked: &Asked,
    paths: &Paths<'h>,
    identity: &Identity<'h>,
) -> bool {
    let by_paths = asked.ids.is_none() && asked.is_narrow();
    asked.wants(&identity.id) && (!by_paths || paths.held(access, identity).next().is_some())
}

fn tokens_of<'s, 'h>(access: &'s Access<'h>, user: &str) -> impl Iterator<Item = &'s Identity<'h>> {
    let tokens = access.cfg.users.get(user).into_iter().flat_map(|user| user.tokens.keys());
    let ids: Vec<String> = tokens.map(|name| format!("{user}!{name}")).collect();
    ids.into_iter().filter_map(|id| access.identities.get(&id))
}

fn identity<'h>(
    access: &Access<'h>,
    paths: &Paths<'h>,
    printed: &Printed,
    one: &Identity<'h>,
    out: &mut dyn Write,
) -> io::Result<()> {
    text(out, &one.id)?;
    write!(out, ": {{\"kind\": \"{}\", \"status\": \"{}\", ", one.kind(), one.status(access.now))?;
    let factor = access.factor_word(one).map_or_else(|| "null".to_owned(), |word| format!("\"{word}\""));
    write!(out, "\"second_factor\": {factor}, \"administrator\": {}, ", access.is_administrator(&one.id))?;
    out.write_all(b"\"root_paths\": ")?;
    let ways: Vec<String> = access.root_paths(&one.id).iter().map(|steps| steps.join(" → ")).collect();
    value(out, &ways)?;
    out.write_all(b", \"privileges\": {")?;
    let mut ambiguous: Vec<(&str, &str)> = Vec::new();
    for (index, (path, answer)) in paths.held(access, one).enumerate() {
        let Some((path, answer)) = printed.paths.get(path).zip(printed.answers.get(answer)) else { continue };
        out.write_all(if index == 0 { b"" } else { b", " })?;
        out.write_all(path.as_bytes())?;
        out.write_all(answer.privileges.as_bytes())?;
        ambiguous.extend(answer.ambiguous.as_deref().map(|names| (path.as_str(), names)));
    }
    out.write_all(b"}")?;
    // Of these upstream decides by chance whether they propagate.
    for (index, (path, names)) in ambiguous.iter().enumerate() {
        out.write_all(if index == 0 { b", \"ambiguous\": {" } else { b", " })?;
        out.write_all(path.as_bytes())?;
        out.write_all(names.as_bytes())?;
    }
    out.write_all(if ambiguous.is_empty() { b"}" } else { b"}}" })
}

/// Paths and what somebody has on them as they are printed again and again.
struct Printed {
    /// With the colon.
    paths: Vec<String>,
    answers: Vec<PrintedAnswer>,
}

struct PrintedAnswer {
    privileges: String,
    /// `None` if chance decides nothing.
    ambiguous: Option<String>,
}

impl Printed {
    fn of(paths: &Paths<'_>) -> io::Result<Self> {
        let path = |path: &str| Ok(serde_json::to_string(&harmless_text(path))? + ": ");
        Ok(Self {
            paths: paths.names().map(path).collect::<io::Result<_>>()?,
            answers: paths.answers().iter().map(PrintedAnswer::of).collect::<io::Result<_>>()?,
        })
    }
}

impl PrintedAnswer {
    /// Privileges are names of the program's own.
    fn of(answer: &OnPath) -> io::Result<Self> {
        let flags: Vec<String> =
            answer.privileges.iter().map(|(name, propagate)| format!("\"{name}\": {propagate}")).collect();
        let ambiguous = (!answer.ambiguous.is_empty()).then(|| serde_json::to_string(&answer.ambiguous));
        Ok(Self { privileges: format!("{{{}}}", flags.join(", ")), ambiguous: ambiguous.transpose()? })
    }
}

fn shown_user<'h>(access: &'h Access<'_>, id: &'h str, user: &'h User) -> ShownUser<'h> {
    let token = |(name, token): (&'h String, &'h Token)| {
        let id = format!("{id}!{name}");
        let shown = ShownToken {
            privilege_separation: token.privsep,
            expires: time(token.expire),
            comment: token.comment.as_deref(),
            has_secret: access.has_secret(&id),
            line: token.line,
        };
        (id, shown)
    };
    ShownUser {
        realm: id.rsplit_once('@').map(|(_, realm)| realm).unwrap_or_default(),
        enabled: user.enable,
        expires: time(user.expire),
        comment: user.comment.as_deref(),
        groups: access.ledger.groups_of(id),
        second_factor: access.second_factor(id).map(|factor| ShownFactor::of(&factor)),
        tokens: user.tokens.iter().map(token).collect(),
        line: user.line,
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

impl<'h> ShownAcl<'h> {
    fn of(entry: &'h AclEntry) -> Self {
        Self {
            path: &entry.path,
            subject: subject(&entry.subject),
            role: &entry.role,
            propagate: entry.propagate,
            dangling: entry.dangling,
            line: entry.line,
        }
    }
}

/// As in user.cfg.
pub(super) fn subject(subject: &AclSubject) -> String {
    match subject {
        AclSubject::User(id) | AclSubject::Token(id) => id.clone(),
        AclSubject::Group(name) => format!("@{name}"),
    }
}

fn shown_group(group: &Group) -> ShownGroup<'_> {
    let members = group.members.iter().map(String::as_str).collect();
    ShownGroup { members, comment: group.comment.as_deref(), line: group.line }
}

fn shown_pool(pool: &Pool) -> ShownPool<'_> {
    ShownPool {
        guests: pool.vms.iter().copied().collect(),
        storages: pool.storages.iter().map(String::as_str).collect(),
        comment: pool.comment.as_deref(),
        line: pool.line,
    }
}

/// The roles of the release and of the file.
fn roles<'h>(access: &Access<'h>) -> BTreeMap<&'h str, ShownRole<'h>> {
    let cfg = access.cfg;
    let built_in = builtin_roles(cfg.release);
    let shown = |name: &'h str| {
        let own = cfg.roles.get(name);
        let role = ShownRole {
            built_in: built_in.contains(name),
            privileges: cfg.role_privileges(name).into_iter().flatten().collect(),
            unknown: own.into_iter().flat_map(|role| &role.unknown).map(String::as_str).collect(),
            line: own.map(|role| role.line),
        };
        (name, role)
    };
    built_in.iter().copied().chain(cfg.roles.keys().map(String::as_str)).map(shown).collect()
}

/// An object with one member per line.
fn map<T>(
    out: &mut dyn Write,
    all: impl IntoIterator<Item = T>,
    member: impl Fn(&mut dyn Write, T) -> io::Result<()>,
) -> io::Result<()> {
    out.write_all(b"{")?;
    let mut any = false;
    for one in all {
        out.write_all(if any { b",\n  " } else { b"\n  " })?;
        any = true;
        member(out, one)?;
    }
    out.write_all(if any { b"\n}" } else { b"}" })
}

/// A list with one element per line.
pub(super) fn list<T: Serialize>(out: &mut dyn Write, all: impl IntoIterator<Item = T>) -> io::Result<()> {
    out.write_all(b"[")?;
    let mut any = false;
    for one in all {
        out.write_all(if any { b",\n  " } else { b"\n  " })?;
        any = true;
        value(out, &one)?;
    }
    out.write_all(if any { b"\n]" } else { b"]" })
}

fn named(out: &mut dyn Write, name: &str, one: &impl Serialize) -> io::Result<()> {
    text(out, name)?;
    out.write_all(b": ")?;
    value(out, one)
}

/// A small value, made harmless.
pub(super) fn value(out: &mut dyn Write, one: &impl Serialize) -> io::Result<()> {
    let value = serde_json::to_value(one).map_err(io::Error::other)?;
    serde_json::to_writer(out, &harmless(&value)).map_err(io::Error::from)
}

/// A text, made harmless.
fn text(out: &mut dyn Write, text: &str) -> io::Result<()> {
    serde_json::to_writer(out, &harmless_text(text)).map_err(io::Error::from)
}
