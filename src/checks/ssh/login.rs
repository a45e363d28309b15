//! Who can log in with a password, and from where.

use std::collections::BTreeSet;

use crate::catalogue::Severity;
use crate::checks::{Judged, Look};
use crate::formats::crypt_hash::PasswordField;
use crate::formats::sshd::{
    Attribute, Connection, Effective, Met, Situation, Situations, group_listed, user_listed,
};
use crate::host::Stop;
use crate::host::sshd::Sshd;
use crate::outcome::{Evidence, Judgement, Subject};

use super::evidence;

/// The settings that decide whether a password is taken.
const BY_PASSWORD: [&str; 4] =
    ["passwordauthentication", "kbdinteractiveauthentication", "usepam", "authenticationmethods"];

/// The settings that decide whether a user is let in at all.
const LISTS: [&str; 4] = ["denyusers", "allowusers", "denygroups", "allowgroups"];

/// The values settings may have: in one situation one list each, over all situations several.
trait Values<'e> {
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
    (direct || asked)
        && values.lists("authenticationmethods").iter().any(|lists| lists.iter().any(|list| enough(&list)))
}

/// Whether the lists of users and groups may let the user in.
fn is_let_in<'e>(values: &impl Values<'e>, connection: &Connection<'_>, config: &Effective) -> bool {
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
fn of_connections(situation: &Situation<'_>) -> String {
    situation
        .condition
        .map_or_else(String::new, |block| format!(" on connections of `Match {}`", block.text.trim()))
}

/// What a situation says about some settings.
fn seen<'s>(
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
    let groups = root_groups(look, config)?;
    let connection = Connection { user: Some("root"), groups, ..Connection::default() };
    let situations = situations(sshd, config, &connection)?;
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
        let judgement = Judgement::pass("sshd takes no password from root").with_all(found);
        return look.one(Subject::node(), judgement);
    }
    // Only now it matters whether root has one.
    let root = look.take(look.host.root_password())?;
    let usable = match root.password {
        PasswordField::Empty => situations.may_be("permitemptypasswords", "yes"),
        password => password.is_usable(),
    };
    if !usable {
        let judgement = Judgement::pass("sshd takes a password from root, but root has none that fits");
        return look.one(Subject::node(), judgement.at(root.path, root.line));
    }
    let fail = |situation: &Situation<'_>| {
        Judgement::fail(format!("root can log in with a password{}", of_connections(situation)))
            .with_all(seen(sshd, situation, &["permitrootlogin", "passwordauthentication"]))
            .with_all(seen(sshd, situation, &["kbdinteractiveauthentication"]))
    };
    look.one(
        Subject::node(),
        by_weakest(&situations, &weak, may_be_weak, &fail, "sshd takes no password from root"),
    )
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
