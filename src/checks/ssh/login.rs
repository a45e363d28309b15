//! Who can log in with a password, and from where.

use std::collections::BTreeSet;

use crate::catalogue::Severity;
use crate::checks::{Judged, Look};
use crate::formats::crypt_hash::PasswordField;
use crate::formats::glob_pattern::Pattern;
use crate::formats::sshd::{
    Attribute, Connection, Effective, Met, Situation, Situations, group_listed, is_everywhere, user_listed,
};
use crate::host::Stop;
use crate::host::sshd::Sshd;
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

use super::evidence;

/// The settings that decide whether a password is taken.
const BY_PASSWORD: [&str; 4] =
    ["passwordauthentication", "kbdinteractiveauthentication", "usepam", "authenticationmethods"];

/// The settings that decide whether a user is let in at all.
pub(super) const LISTS: [&str; 4] = ["denyusers", "allowusers", "denygroups", "allowgroups"];

/// The values settings may have: in one situation one list each, over all situations several.
pub(super) trait Values<'e> {
    fn lists(&self, keyword: &str) -> Vec<Vec<&'e str>>;

    fn may_be(&self, keyword: &str, value: &str) -> bool {
        self.lists(keyword).iter().any(|values| values.first() == Some(&value))
    }
}

impl<'e> Values<'e> for Situation<'e> {
    fn lists(&self, keyword: &str) -> Vec<Vec<&'e str>> {
        vec![self.values(keyword)]
    }
}

impl<'e> Values<'e> for Situations<'e> {
    fn lists(&self, keyword: &str) -> Vec<Vec<&'e str>> {
        self.candidates(keyword)
    }
}

/// Whether a password alone opens a session: sshd takes one directly or through PAM's questions, and nothing more is
/// asked for.
fn takes_passwords<'e>(values: &impl Values<'e>) -> bool {
    let direct = values.may_be("passwordauthentication", "yes");
    let asked = values.may_be("kbdinteractiveauthentication", "yes") && values.may_be("usepam", "yes");
    let enabled = |method: &str| match method.split_once(':').map_or(method, |(name, _)| name) {
        "password" => direct,
        "keyboard-interactive" => asked,
        _ => false,
    };
    let enough = |list: &&str| *list == "any" || list.split(',').all(enabled);
    (direct || asked) && values.lists("authenticationmethods").iter().any(|lists| lists.iter().any(enough))
}

/// Whether the lists of users and groups may let the user in.
pub(super) fn is_let_in<'e>(
    values: &impl Values<'e>,
    connection: &Connection<'_>,
    config: &Effective,
) -> bool {
    let users = |list: &Vec<&str>| user_listed(list, connection, config);
    let groups = |list: &Vec<&str>| group_listed(list, connection);
    let any = |keyword: &str, fine: &dyn Fn(&Vec<&str>) -> bool| values.lists(keyword).iter().any(fine);
    any("denyusers", &|list| users(list) < Met::Yes)
        && any("allowusers", &|list| list.is_empty() || users(list) > Met::No)
        && any("denygroups", &|list| groups(list) < Met::Yes)
        && any("allowgroups", &|list| list.is_empty() || groups(list) > Met::No)
}

/// Whether any setting looks at the groups of a user.
fn looks_at_groups(config: &Effective) -> bool {
    let listed = |keyword: &str| {
        !config.values_of(keyword).is_empty() || config.set_in_match(keyword).next().is_some()
    };
    let matched = config.blocks.iter().flat_map(|block| &block.criteria);
    listed("allowgroups")
        || listed("denygroups")
        || matched.clone().any(|criterion| criterion.attribute == Attribute::Group)
}

/// The groups of root, read only where they matter.
pub(super) fn root_groups<'h>(
    look: &Look<'h>,
    config: &Effective,
) -> Result<Option<&'h BTreeSet<String>>, Stop> {
    if looks_at_groups(config) { look.take(look.host.root_groups()).map(Some) } else { Ok(None) }
}

/// The situations of such a connection.
pub(super) fn situations<'h>(
    sshd: &'h Sshd,
    config: &'h Effective,
    connection: &Connection<'_>,
) -> Result<Situations<'h>, Stop> {
    let too_many = || Stop::unknown(&sshd.path, "has more Match blocks than can be followed");
    config.situations(connection).ok_or_else(too_many)
}

/// Judges by the weakest situation: failing if there is one, unknown if only connections that meet several Match lines
/// at once may be that weak.
fn by_weakest<'h>(
    situations: &Situations<'h>,
    is_weak: &dyn Fn(&Situation<'h>) -> bool,
    may_be_weak: bool,
    fail: &dyn Fn(&Situation<'h>) -> Judgement,
    pass: &str,
) -> Judgement {
    match situations.each().find(is_weak) {
        Some(situation) => fail(&situation),
        None if may_be_weak => {
            Judgement::unknown("connections that meet several Match blocks at once may be set otherwise")
        }
        None => Judgement::pass(pass),
    }
}

/// The words for the connections a situation is about.
pub(super) fn of_connections(situation: &Situation<'_>) -> String {
    situation
        .condition
        .map_or_else(String::new, |block| format!(" on connections of `Match {}`", block.text.trim()))
}

/// What a situation says about some settings.
pub(super) fn seen<'s>(
    sshd: &'s Sshd,
    situation: &'s Situation<'_>,
    keywords: &'s [&'s str],
) -> impl Iterator<Item = Evidence> + 's {
    keywords.iter().filter(|keyword| !situation.values(keyword).is_empty()).map(|keyword| {
        evidence(sshd, keyword, situation.source(keyword), &situation.values(keyword).join(" "))
    })
}

/// `ssh/root-login-with-password`
pub(crate) fn root_login_with_password(look: &Look<'_>) -> Judged {
    let sshd = look.take(look.host.sshd())?;
    let config = sshd.in_force()?;
    note_doubts(look, sshd, &["permitrootlogin"]);
    // Where passwd is lost there is root all the same.
    let mut names: BTreeSet<&str> = BTreeSet::from(["root"]);
    match look.take(look.host.passwd()) {
        Ok(passwd) => {
            names.extend(passwd.entries.iter().filter(|one| one.uid == 0).map(|one| one.name.as_str()));
        }
        Err(Stop::Unknown(doubt)) => look.doubt(doubt),
        Err(Stop::NotApplicable(_)) => {}
    }
    look.each(
        names,
        |name| Subject::new(SubjectKind::User, *name),
        |look, name| login_of(look, sshd, config, name),
    )
}

/// Whether one account with the rights of root can log in with a password: sshd asks `PermitRootLogin` for user id 0
/// whatever the name, and the lists for the name.
fn login_of(look: &Look<'_>, sshd: &Sshd, config: &Effective, name: &str) -> Result<Judgement, Stop> {
    let groups =
        if looks_at_groups(config) { Some(look.own(look.host.groups_of_account(name))?) } else { None };
    let connection = Connection { user: Some(name), groups: groups.as_ref(), ..Connection::default() };
    let too_many = || Stop::unknown(&sshd.path, "has more Match blocks than can be followed");
    let situations = config.situations(&connection).ok_or_else(too_many)?;
    let weak = |situation: &Situation<'_>| {
        situation.may_be("permitrootlogin", "yes")
            && takes_passwords(situation)
            && is_let_in(situation, &connection, config)
    };
    let may_be_weak = situations.may_be("permitrootlogin", "yes")
        && takes_passwords(&situations)
        && is_let_in(&situations, &connection, config);
    if !may_be_weak {
        let base = situations.each().next();
        let found: Vec<Evidence> =
            base.iter().flat_map(|base| seen(sshd, base, &["permitrootlogin"])).collect();
        return Ok(Judgement::pass(format!("sshd takes no password from {name}")).with_all(found));
    }
    // Only now it matters whether there is one.
    let password = look.own(look.host.password_of(name))?;
    let usable = match password.password {
        PasswordField::Empty => situations.may_be("permitemptypasswords", "yes"),
        field => field.is_usable(),
    };
    if !usable {
        let what = format!("sshd takes a password from {name}, but {name} has none that fits");
        return Ok(Judgement::pass(what).at(password.path, password.line));
    }
    let rights = if name == "root" { "root" } else { "an account with the rights of root" };
    let named = if name == "root" { String::new() } else { format!(", {name},") };
    let fail = |situation: &Situation<'_>| {
        let from = bound_to_hosts(situation, &connection);
        let what = format!("{rights}{named} can log in with a password{}{from}", of_connections(situation));
        Judgement::fail(what)
            .with_all(seen(sshd, situation, &["permitrootlogin", "passwordauthentication"]))
            .with_all(seen(sshd, situation, &["kbdinteractiveauthentication", "allowusers"]))
    };
    let pass = format!("sshd takes no password from {name}");
    Ok(by_weakest(&situations, &weak, may_be_weak, &fail, &pass))
}

/// The words for the hosts to which `AllowUsers` binds the user; empty if it does not.
pub(super) fn bound_to_hosts(situation: &Situation<'_>, connection: &Connection<'_>) -> String {
    let values = situation.values("allowusers");
    let hosts: Vec<&str> = values
        .iter()
        .filter_map(|pattern| pattern.split_once('@'))
        .filter(|(user, _)| connection.user.is_some_and(|name| matches_pattern(user, name)))
        .map(|(_, hosts)| hosts)
        .collect();
    let unbound = values.iter().any(|pattern| {
        !pattern.contains('@') && connection.user.is_some_and(|name| matches_pattern(pattern, name))
    });
    let free = unbound || hosts.iter().any(|hosts| is_everywhere(hosts));
    if free || hosts.is_empty() { String::new() } else { format!(" from {}", hosts.join(", ")) }
}

fn matches_pattern(pattern: &str, name: &str) -> bool {
    Pattern::new(pattern).matches(name)
}

/// `ssh/password-authentication`
pub(crate) fn password_authentication(look: &Look<'_>) -> Judged {
    let sshd = look.take(look.host.sshd())?;
    let config = sshd.in_force()?;
    note_doubts(look, sshd, &[]);
    let situations = situations(sshd, config, &Connection::default())?;
    let fail = |situation: &Situation<'_>| {
        let way = if situation.value("passwordauthentication") == "yes" {
            "passwordauthentication"
        } else {
            "kbdinteractiveauthentication"
        };
        Judgement::fail(format!("sshd takes passwords{} ({way} is yes)", of_connections(situation)))
            .with_all(seen(sshd, situation, &[way]))
    };
    let may_be_weak = takes_passwords(&situations);
    let pass = "a password alone opens no session";
    let judgement =
        by_weakest(&situations, &|situation| takes_passwords(situation), may_be_weak, &fail, pass);
    look.one(Subject::node(), judgement)
}

/// `ssh/empty-passwords`
pub(crate) fn empty_passwords(look: &Look<'_>) -> Judged {
    let sshd = look.take(look.host.sshd())?;
    let config = sshd.in_force()?;
    note_doubts(look, sshd, &["permitemptypasswords"]);
    let situations = situations(sshd, config, &Connection::default())?;
    let Some(weak) = situations.each().find(|situation| situation.value("permitemptypasswords") == "yes")
    else {
        let base = situations.each().next();
        let found: Vec<Evidence> =
            base.iter().flat_map(|base| seen(sshd, base, &["permitemptypasswords"])).collect();
        let judgement = Judgement::pass("sshd takes no empty password").with_all(found);
        return look.one(Subject::node(), judgement);
    };
    let taken = takes_passwords(&situations);
    let open = accounts_without_password(look);
    let place = of_connections(&weak);
    let (summary, severity) = match &open {
        Ok(names) if !names.is_empty() && taken => (
            format!("sshd takes empty passwords{place}, and {} has one", names.join(", ")),
            Severity::Critical,
        ),
        Ok(_) if taken => {
            (format!("sshd takes empty passwords{place}; no account has one now"), Severity::Medium)
        }
        Err(_) if taken => (format!("sshd takes empty passwords{place}"), Severity::Critical),
        _ => (
            format!("empty passwords are permitted{place}, though sshd takes none at all now"),
            Severity::Low,
        ),
    };
    let judgement = Judgement::fail(summary).severity(severity);
    look.one(Subject::node(), judgement.with_all(seen(sshd, &weak, &["permitemptypasswords"])))
}

/// Local accounts whose password is empty.
fn accounts_without_password(look: &Look<'_>) -> Result<Vec<String>, Stop> {
    let shadow = look.host.shadow();
    shadow.complete()?;
    let shadow = shadow.value.as_ref().map_err(Clone::clone)?;
    let empty = shadow.entries.iter().filter(|entry| entry.password == PasswordField::Empty);
    Ok(empty.map(|entry| entry.name.clone()).collect())
}

/// Notes what leaves settings about passwords and lists, and `more`, open.
fn note_doubts(look: &Look<'_>, sshd: &Sshd, more: &[&str]) {
    for keywords in [&BY_PASSWORD[..], &LISTS, more] {
        sshd.doubts_about(keywords).for_each(|doubt| look.doubt(doubt));
    }
}
