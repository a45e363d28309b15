//! For people.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use super::ask::Asked;
use super::collect::{Access, Holds, Identity};
use super::issue::Issue;
use super::json::subject;
use super::realms::realms;
use super::rights::{Reach, Right};
use super::words::{except, members, object, some, through, time};
use crate::formats::user_cfg::names::ROOT;
use crate::formats::user_cfg::roles::privileges;
use crate::formats::user_cfg::{AclEntry, AclSubject, Token, User};
use crate::host::access::second_factor::{SecondFactor, kind_names};
use crate::show::harmless_text;

/// Most paths, members or ways of one kind that are named of somebody who was not asked for by id.
const NAMED: usize = 8;

/// What is written to.
struct Page<'o> {
    out: &'o mut dyn Write,
    /// Most of one kind that are named.
    named: usize,
    /// The roles that were named.
    roles: BTreeSet<String>,
}

impl Page<'_> {
    fn line(&mut self, indent: usize, text: &str) -> io::Result<()> {
        writeln!(self.out, "{:indent$}{}", "", harmless_text(text))
    }
}

/// Writes the answer.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write(
    access: &Access<'_>,
    asked: &Asked,
    issues: &[Issue],
    out: &mut dyn Write,
) -> io::Result<()> {
    let named = if asked.ids.is_some() { usize::MAX } else { NAMED };
    let mut page = Page { out, named, roles: BTreeSet::new() };
    if !asked.is_narrow() {
        summary(&mut page, access)?;
    }
    page.line(0, "users and tokens")?;
    let mut shown: BTreeSet<&str> = BTreeSet::new();
    for identity in access.identities.values() {
        if entry(&mut page, access, asked, identity)? {
            shown.insert(&identity.id);
        }
    }
    if shown.is_empty() {
        page.line(2, "nobody")?;
    }
    missing(&mut page, access, asked)?;
    if asked.is_narrow() {
        takers(&mut page, access, asked, &shown)?;
        if asked.privileges.is_empty() {
            roles(&mut page, access, |page, name| page.roles.contains(name))?;
        }
    } else {
        groups(&mut page, access)?;
        acl(&mut page, access)?;
        roles(&mut page, access, |_, name| access.cfg.roles.contains_key(name))?;
        if let Some(cfg) = access.realms {
            page.line(0, "realms")?;
            for (name, realm) in realms(cfg) {
                page.line(2, &format!("{name}: {}", realm.words()))?;
            }
        }
    }
    if !issues.is_empty() {
        page.line(0, "issues")?;
    }
    issues.iter().try_for_each(|issue| page.line(2, &issue.words()))
}

/// How many there are, and who administers.
fn summary(page: &mut Page<'_>, access: &Access<'_>) -> io::Result<()> {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for identity in access.identities.values() {
        *counts.entry((identity.kind(), identity.status(access.now))).or_default() += 1;
    }
    let of = |kind: &str| {
        let parts: Vec<String> = counts
            .iter()
            .filter(|((of, _), _)| *of == kind)
            .map(|((_, status), count)| format!("{count} {status}"))
            .collect();
        if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
    };
    page.line(0, &format!("users: {}; tokens: {}", of("user"), of("token")))?;
    let administrators: Vec<&str> = access.administrators().collect();
    page.line(0, &format!("can become root: {}", administrators.join(", ")))?;
    if let Some(changed) = access.changed {
        page.line(0, &format!("user.cfg changed last: {changed}"))?;
    }
    page.line(0, "")
}

/// Writes one user or token, if he is asked for and, where only some paths or privileges are, has something there.
fn entry<'h>(
    page: &mut Page<'_>,
    access: &Access<'h>,
    asked: &Asked,
    identity: &Identity<'h>,
) -> io::Result<bool> {
    let Some(lines) = lines(page, access, asked, identity) else { return Ok(false) };
    let words = match (identity.user, identity.token) {
        (Some(_), Some((owner, token))) => token_words(access, identity, owner, token),
        (Some(user), None) => user_words(access, identity, user),
        (None, _) => vec!["does not exist: whoever creates it has this".to_owned()],
    };
    page.line(2, &format!("{}: {}", identity.id, words.join(", ")))?;
    for line in &lines {
        page.line(4, line)?;
    }
    if identity.id != ROOT && asked.paths.is_empty() && asked.privileges.is_empty() {
        ways(page, access, identity)?;
    }
    Ok(true)
}

/// What there is to say about somebody's rights; `None` if he was not asked for.
fn lines<'h>(
    page: &mut Page<'_>,
    access: &Access<'h>,
    asked: &Asked,
    identity: &Identity<'h>,
) -> Option<Vec<String>> {
    if !asked.wants(&identity.id) {
        return None;
    }
    let lines = if asked.paths.is_empty() {
        rights(access, asked, identity, page)
    } else {
        asked.paths.iter().flat_map(|path| on_path(access, asked, identity, path, page)).collect()
    };
    if !lines.is_empty() {
        return Some(lines);
    }
    let is_whole = asked.paths.is_empty() && asked.privileges.is_empty();
    let nothing = if is_whole { "no rights" } else { "nothing of that" };
    (is_whole || asked.ids.is_some()).then(|| vec![nothing.to_owned()])
}

/// How somebody comes to be root.
fn ways<'h>(page: &mut Page<'_>, access: &Access<'h>, identity: &Identity<'h>) -> io::Result<()> {
    let ways = access.root_paths(&identity.id);
    for way in ways.iter().take(page.named.min(NAMED)) {
        page.line(4, &format!("can become root by {}", steps(way)))?;
    }
    match ways.len().saturating_sub(NAMED) {
        0 => Ok(()),
        more => page.line(4, &format!("can become root by {more} more ways")),
    }
}

/// The steps of a way, without the first, which is he himself.
fn steps(way: &[String]) -> String {
    let steps: Vec<&str> = way.iter().skip(1).map(|step| step.strip_prefix("has ").unwrap_or(step)).collect();
    steps.join(" → ")
}

fn user_words<'h>(access: &Access<'h>, identity: &Identity<'h>, user: &User) -> Vec<String> {
    let status = identity.status(access.now);
    let mut words = standing(access, status, user.expire);
    words.push(match access.second_factor(&identity.id) {
        None => "second factor unknown".to_owned(),
        Some(factor) => factor_words(&factor),
    });
    words.push(format!("realm {}", identity.realm()));
    let groups = access.ledger.groups_of(&identity.id);
    if !groups.is_empty() {
        words.push(format!("in {}", groups.join(" and ")));
    }
    match user.tokens.len() {
        0 => {}
        1 => words.push("1 token".to_owned()),
        more => words.push(format!("{more} tokens")),
    }
    words
}

fn token_words<'h>(access: &Access<'h>, identity: &Identity<'h>, owner: &str, token: &Token) -> Vec<String> {
    let status = identity.status(access.now);
    let mut words = vec!["token".to_owned()];
    words.extend(standing(access, status, token.expire));
    words.extend((token.expire == 0).then(|| "never expires".to_owned()));
    if token.privsep {
        words.push(format!("separated from {owner}"));
    }
    words.extend((access.has_secret(&identity.id) == Some(false)).then(|| "has no secret".to_owned()));
    words
}

/// Whether somebody can log in, and when he or it expires or has.
fn standing(access: &Access<'_>, status: &str, expire: u64) -> Vec<String> {
    let Some(time) = time(expire) else { return vec![status.to_owned()] };
    let has_passed = u64::try_from(access.now.as_second()).is_ok_and(|now| expire < now);
    match (has_passed, status) {
        (true, "expired") => vec![format!("expired since {time}")],
        (true, _) => vec![status.to_owned(), format!("expired since {time}")],
        (false, _) => vec![status.to_owned(), format!("expires {time}")],
    }
}

fn factor_words(factor: &SecondFactor) -> String {
    match factor {
        SecondFactor::Asked(kinds) => format!("second factor {}", kind_names(kinds)),
        SecondFactor::RecoveryOnly { codes_left } => {
            format!("second factor recovery codes only ({codes_left} left)")
        }
        SecondFactor::NotAsked => "second factor enrolled but not asked for".to_owned(),
        SecondFactor::NotUsable(kinds) => format!("second factor {} not usable", kind_names(kinds)),
        SecondFactor::LegacyKey => "second factor: a key of an old release".to_owned(),
        SecondFactor::Refused => "second factor demanded but none, login refused".to_owned(),
        SecondFactor::Provider => "second factor left to the OpenID Connect provider".to_owned(),
        SecondFactor::NoRealm => "no such realm, login refused".to_owned(),
        SecondFactor::Disabled => "second factor switched off".to_owned(),
        SecondFactor::None => "no second factor".to_owned(),
    }
}

/// What somebody may do where, one line for each role and way to it.
fn rights<'h>(
    access: &Access<'h>,
    asked: &Asked,
    identity: &Identity<'h>,
    page: &mut Page<'_>,
) -> Vec<String> {
    let named = page.named;
    let (rights, owner) = match access.holds(identity) {
        Holds::Everything => return vec!["everything everywhere: it is root@pam".to_owned()],
        Holds::AllOf(owner) => {
            let rest = access.identities.get(owner).map(|owner| rights(access, asked, owner, page));
            let has_some = rest.is_some_and(|lines| !lines.is_empty());
            return if has_some || asked.privileges.is_empty() {
                vec![format!("every right of {owner}")]
            } else {
                Vec::new()
            };
        }
        Holds::Rights(rights, owner) => (rights, owner),
    };
    let brings = |right: &&Right<'_>| {
        let held = access.cfg.role_privileges(&right.entry.role).unwrap_or_default();
        asked.wants_one_of(&held)
    };
    // By path, as the ACL is.
    let mut lines: Vec<(&str, String)> = Vec::new();
    let mut plain: BTreeMap<(&str, &AclSubject), Vec<&Right<'_>>> = BTreeMap::new();
    let mut has_effect = false;
    for right in rights.iter().filter(brings) {
        let path = right.entry.path.as_str();
        if owner.is_some() && !access.is_in_effect(identity, right) {
            // Whoever asks who can do something asks for what is in effect.
            if asked.privileges.is_empty() {
                let what = detailed(right, named) + " without effect: its owner has none of it";
                lines.push((path, what));
            }
            continue;
        }
        has_effect = true;
        page.roles.insert(right.entry.role.clone());
        if right.reach != Reach::Whole || !right.except.is_empty() || !right.members.is_empty() {
            lines.push((path, detailed(right, named)));
        } else {
            plain.entry((&right.entry.role, &right.entry.subject)).or_default().push(right);
        }
    }
    for same in plain.into_values() {
        if let Some(first) = same.first() {
            lines.push((&first.entry.path, together(&same, named)));
        }
    }
    lines.sort_by_key(|(path, _)| *path);
    let mut lines: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
    lines.extend(owner.filter(|_| has_effect).map(|owner| format!("all of it only as far as {owner} may")));
    lines
}

/// The same role in the same way on several paths.
fn together(same: &[&Right<'_>], named: usize) -> String {
    let [only] = same else {
        let paths = some(same.iter().map(|right| object(right)), same.len(), named);
        let numbers: BTreeSet<u32> = same.iter().map(|right| right.entry.line).collect();
        let lines = some(numbers.iter().map(u32::to_string), numbers.len(), named);
        let (role, group) = same.first().map_or((String::new(), String::new()), |right| {
            let group = subject(&right.entry.subject);
            let group = group.strip_prefix('@').map(|group| format!("through the group {group}, "));
            (right.entry.role.clone(), group.unwrap_or_default())
        });
        let line = if numbers.len() == 1 { "line" } else { "lines" };
        return format!("{role} on {paths} ({group}{line} {lines})");
    };
    detailed(only, named)
}

/// A right with everything there is to say about it.
fn detailed(right: &Right<'_>, named: usize) -> String {
    let entry = right.entry;
    let mut words = format!("{} on {}", entry.role, object(right));
    let mut lent = String::new();
    for (pool, of_pool) in &right.members {
        let paths = members(of_pool, named);
        if entry.path.strip_prefix("/pool/") == Some(pool) {
            words.extend([" and its members ", &paths]);
        } else {
            lent.extend([", and through the pool ", pool, " on ", &paths]);
        }
    }
    if !right.except.is_empty() {
        let all = some(right.except.iter().map(except), right.except.len(), named);
        words.extend([" except ", &all]);
    }
    words + &format!(" ({})", through(entry)) + &lent
}

/// What somebody may do on one path.
fn on_path<'h>(
    access: &Access<'h>,
    asked: &Asked,
    identity: &Identity<'h>,
    path: &str,
    page: &mut Page<'_>,
) -> Vec<String> {
    let held: BTreeSet<&'static str> = access.privileges(identity, path).into_keys().collect();
    let wanted: BTreeSet<&'static str> = held
        .iter()
        .copied()
        .filter(|name| asked.privileges.is_empty() || asked.privileges.contains(name))
        .collect();
    if wanted.is_empty() {
        return Vec::new();
    }
    let what = if asked.privileges.is_empty() {
        String::new()
    } else {
        format!("{} ", wanted.iter().copied().collect::<Vec<_>>().join(", "))
    };
    let as_owner = match access.holds(identity) {
        Holds::Everything => return vec![format!("{what}on {path}: it is root@pam")],
        Holds::AllOf(ROOT) => return vec![format!("{what}on {path}: every right of {ROOT}")],
        Holds::AllOf(owner) => format!(", as every right of {owner}"),
        Holds::Rights(_, Some(owner)) => format!(", as far as {owner} may"),
        Holds::Rights(_, None) => String::new(),
    };
    let mut lines = Vec::new();
    for (entry, pool) in access.grants(identity, path) {
        let role = access.cfg.role_privileges(&entry.role).unwrap_or_default();
        if role.is_disjoint(&wanted) {
            continue;
        }
        page.roles.insert(entry.role.clone());
        lines.push(format!("{what}on {path}: {}{}{as_owner}", entry.role, source(entry, path, pool)));
    }
    lines
}

fn source(entry: &AclEntry, path: &str, pool: Option<&str>) -> String {
    let place = if entry.path == path { String::new() } else { format!("on {}, ", entry.path) };
    let pool = pool.map(|pool| format!("through the pool {pool}, ")).unwrap_or_default();
    format!(" ({pool}{place}{})", through(entry))
}

/// Users that do not exist and hold rights.
fn missing(page: &mut Page<'_>, access: &Access<'_>, asked: &Asked) -> io::Result<()> {
    let mut is_first = true;
    for identity in access.missing.values() {
        if lines(page, access, asked, identity).is_none() {
            continue;
        }
        if is_first {
            page.line(0, "names that hold rights and are no users")?;
            is_first = false;
        }
        entry(page, access, asked, identity)?;
    }
    Ok(())
}

/// Who cannot do it and can see to it that he can.
fn takers(page: &mut Page<'_>, access: &Access<'_>, asked: &Asked, shown: &BTreeSet<&str>) -> io::Result<()> {
    if asked.ids.is_some() {
        return Ok(());
    }
    let others: Vec<&str> = access.administrators().filter(|id| !shown.contains(id)).collect();
    if others.is_empty() {
        return Ok(());
    }
    page.line(0, "can become root, and so do it too")?;
    page.line(2, &others.join(", "))
}

fn groups(page: &mut Page<'_>, access: &Access<'_>) -> io::Result<()> {
    if !access.cfg.groups.is_empty() {
        page.line(0, "groups")?;
    }
    for (name, group) in &access.cfg.groups {
        let members = if group.members.is_empty() {
            "nobody".to_owned()
        } else {
            some(group.members.iter().cloned(), group.members.len(), NAMED)
        };
        page.line(2, &format!("{name}: {members}"))?;
    }
    Ok(())
}

fn acl(page: &mut Page<'_>, access: &Access<'_>) -> io::Result<()> {
    if !access.cfg.acl.is_empty() {
        page.line(0, "acl (path, who, role, line in user.cfg)")?;
    }
    for entry in &access.cfg.acl {
        let propagate = if entry.propagate { "" } else { ", does not propagate" };
        let dangling = if entry.dangling { ", does not exist" } else { "" };
        let who = subject(&entry.subject);
        let text = format!("{}  {who}  {}  line {}{propagate}{dangling}", entry.path, entry.role, entry.line);
        page.line(2, &text)?;
    }
    Ok(())
}

fn roles(
    page: &mut Page<'_>,
    access: &Access<'_>,
    wanted: impl Fn(&Page<'_>, &str) -> bool,
) -> io::Result<()> {
    let names: BTreeSet<&str> = access
        .cfg
        .roles
        .keys()
        .chain(access.cfg.acl.iter().map(|entry| &entry.role))
        .map(String::as_str)
        .collect();
    let names: Vec<&str> = names.into_iter().filter(|name| wanted(page, name)).collect();
    if !names.is_empty() {
        page.line(0, "roles")?;
    }
    let every = privileges(access.cfg.release).len();
    for name in names {
        let own = access.cfg.roles.get(name);
        let built_in = if own.is_some_and(|role| role.builtin) { " (built-in, extended)" } else { "" };
        let held = access.cfg.role_privileges(name).unwrap_or_default();
        let held = match held.len() {
            0 => "nothing".to_owned(),
            count if count == every => "every privilege".to_owned(),
            _ => held.into_iter().collect::<Vec<_>>().join(", "),
        };
        page.line(2, &format!("{name}{built_in}: {held}"))?;
    }
    Ok(())
}
