//! Accounts and groups that nobody needs, or that wait to be used again.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Judged, Look};
use super::{LINES_SHOWN, acl_line, by_subject, complete, each_bad, user_line};
use crate::catalogue::Severity;
use crate::formats::user_cfg::names::ROOT;
use crate::formats::user_cfg::{AclSubject, Group, User, UserCfg};
use crate::host::Stop;
use crate::host::access::power::{Over, Power, Rank};
use crate::host::access::{Standing, USER_CFG};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// Where groups stand in ACLs as what somebody may change.
const GROUPS: &str = "/access/groups/";

/// A user with his id.
type Account<'a> = (&'a String, &'a User);

fn subject((id, _): &Account<'_>) -> Subject {
    Subject::new(SubjectKind::User, id.as_str())
}

/// Everybody but `root@pam` who can log in, or who cannot.
fn accounts<'a>(look: &Look<'_>, cfg: &'a UserCfg, active: bool) -> Vec<Account<'a>> {
    let wanted = |(id, user): &Account<'_>| {
        id.as_str() != ROOT && (Standing::of_user(user, look.now) == Standing::Active) == active
    };
    cfg.users.iter().filter(wanted).collect()
}

/// Why an account cannot be used, in words that follow "the account".
fn state(look: &Look<'_>, user: &User) -> &'static str {
    match Standing::of_user(user, look.now) {
        Standing::Active => "is in use",
        Standing::Disabled => "is disabled",
        Standing::Expired => "has expired",
    }
}

/// `access/user-without-rights`
pub(crate) fn user_without_rights(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let powers = look.take(look.host.powers())?;
    let users = accounts(look, cfg, true);
    if users.is_empty() {
        return Err(Stop::not_applicable("nobody but root@pam can log in"));
    }
    look.each(users, subject, |look, (id, user)| {
        let rank = powers.rank(id);
        if rank > Rank::Nothing {
            return Ok(Judgement::pass(rank.words()));
        }
        // The ACL or the group may be in what was not understood.
        complete(look)?;
        let tokens = match user.tokens.len() {
            0 => "",
            _ => ", nor do his tokens",
        };
        let summary =
            format!("can log in but has no privilege on any path, by himself or by a group{tokens}");
        Ok(Judgement::fail(summary).with_all(user_line(user)))
    })
}

/// `access/dormant-account-with-rights`
pub(crate) fn dormant_account_with_rights(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let powers = look.take(look.host.powers())?;
    let mut dormant = accounts(look, cfg, false);
    dormant.retain(|(id, _)| powers.rank(id) < Rank::HostRoot);
    if dormant.is_empty() {
        return Err(Stop::not_applicable(
            "no account but those of administrators is disabled or has expired",
        ));
    }
    look.each(dormant, subject, |look, (id, user)| {
        let state = state(look, user);
        let Some(power) = powers.of(id).filter(|power| power.rank > Rank::Nothing) else {
            return Ok(
                Judgement::pass(format!("the account {state} and has no rights")).with_all(user_line(user))
            );
        };
        let severity = match power.rank {
            Rank::Strong => Severity::Medium,
            Rank::Auditor => Severity::Info,
            _ => Severity::Low,
        };
        let summary = format!("the account {state}, but the user still {}", powers.why(power));
        Ok(Judgement::fail(summary)
            .severity(severity)
            .with_all(user_line(user))
            .with_all(power.grants().into_iter().take(LINES_SHOWN).map(acl_line)))
    })
}

/// `access/dormant-account-left-over`
pub(crate) fn dormant_account_left_over(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let powers = look.take(look.host.powers())?;
    let mut dormant = accounts(look, cfg, false);
    dormant.retain(|(id, _)| powers.rank(id) == Rank::Nothing);
    each_bad(
        look,
        dormant,
        subject,
        |(_, user)| {
            let tokens = match user.tokens.len() {
                0 => String::new(),
                1 => ", with a token".to_owned(),
                more => format!(", with {more} tokens"),
            };
            let summary =
                format!("the account {} and has no rights, but is still there{tokens}", state(look, user));
            Judgement::fail(summary).with_all(user_line(user))
        },
        "no account without rights is disabled or has expired",
    )
}

/// A dormant administrator, with those who can act as him and are no administrators without him.
type Revivable<'a> = (Account<'a>, Vec<&'a Power>);

/// `access/dormant-administrator-within-reach`
pub(crate) fn dormant_administrator_within_reach(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let powers = look.take(look.host.powers())?;
    let is_dormant = |user: &User| Standing::of_user(user, look.now) != Standing::Active;
    let mut found: BTreeMap<&String, Revivable<'_>> = BTreeMap::new();
    for (id, user) in cfg.users.iter().filter(|(_, user)| is_dormant(user)) {
        if powers.rank(id) >= Rank::HostRoot {
            found.insert(id, ((id, user), Vec::new()));
        }
    }
    if found.is_empty() {
        return Err(Stop::not_applicable("no administrator is disabled or has expired"));
    }
    for power in powers.administrators().filter(|power| is_usable(look, cfg, power)) {
        let over: Vec<&String> =
            power.root_ways().iter().filter_map(|way| over_user(way.over.as_ref())).collect();
        let by_them_alone = over.len() == power.root_ways().len();
        for id in over.into_iter().filter(|_| by_them_alone) {
            if let Some((_, revivers)) = found.get_mut(id) {
                revivers.push(power);
            }
        }
    }
    look.each(found.into_values(), |(account, _)| subject(account), |look, ((_, user), revivers)| {
        let state = state(look, user);
        let Some(first) = revivers.first() else {
            let summary = format!("the account {state}, and nobody but administrators can change that");
            return Ok(Judgement::pass(summary).with_all(user_line(user)));
        };
        let more = match revivers.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let summary = format!(
            "the account {state}, but {}{more}, who has no such power otherwise, can change that and act as this administrator: {}",
            first.id,
            powers.why(first)
        );
        let grants: BTreeSet<_> = revivers.iter().flat_map(|power| power.grants()).map(acl_line).collect();
        Ok(Judgement::fail(summary).with_all(user_line(user)).with_all(grants.into_iter().take(LINES_SHOWN)))
    })
}

fn over_user(over: Option<&Over>) -> Option<&String> {
    match over {
        Some(Over::User(id)) => Some(id),
        Some(Over::Group(_)) | None => None,
    }
}

/// Whether somebody can act: his account, or the token and its owner's, is in use.
fn is_usable(look: &Look<'_>, cfg: &UserCfg, power: &Power) -> bool {
    let standing = match &power.owner {
        None => cfg.users.get(&power.id).map(|user| Standing::of_user(user, look.now)),
        Some(owner) => cfg
            .users
            .get(owner)
            .zip(cfg.token(&power.id))
            .map(|(owner, token)| Standing::of_token(token, owner, look.now)),
    };
    standing == Some(Standing::Active)
}

fn group_line(group: &Group) -> Evidence {
    Evidence::at(USER_CFG, group.line).key("group")
}

fn group_subject((name, _): &(&String, &Group)) -> Subject {
    Subject::new(SubjectKind::Group, name.as_str())
}

/// `access/group-without-members`
pub(crate) fn group_without_members(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    if cfg.groups.is_empty() {
        return Err(Stop::not_applicable("there is no group"));
    }
    let entries = by_subject(cfg);
    look.each(&cfg.groups, group_subject, |look, (name, group)| {
        if !group.members.is_empty() {
            let members = group.members.len();
            return Ok(Judgement::pass(format!("members: {members}")).with(group_line(group)));
        }
        // Another line of the group may name some.
        complete(look)?;
        let rights = entries.get(&AclSubject::Group((*name).clone())).map(Vec::as_slice).unwrap_or_default();
        let (severity, summary) = if rights.is_empty() {
            (Severity::Info, "nobody is in the group, and it has no rights")
        } else {
            (Severity::Low, "nobody is in the group, but it has rights: they wait for whoever is put in")
        };
        Ok(Judgement::fail(summary)
            .severity(severity)
            .with(group_line(group).observed("no member"))
            .with_all(rights.iter().take(LINES_SHOWN).map(|entry| acl_line(entry))))
    })
}

/// `access/group-without-acl`
pub(crate) fn group_without_acl(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let filled: Vec<_> = cfg.groups.iter().filter(|(_, group)| !group.members.is_empty()).collect();
    if filled.is_empty() {
        return Err(Stop::not_applicable("no group has members"));
    }
    let entries = by_subject(cfg);
    let delegated: BTreeMap<&str, _> =
        cfg.acl.iter().filter_map(|entry| Some((entry.path.strip_prefix(GROUPS)?, entry))).collect();
    look.each(filled, group_subject, |look, (name, group)| {
        let holds = entries.get(&AclSubject::Group((*name).clone())).and_then(|entries| entries.first());
        if let Some(entry) = holds {
            return Ok(Judgement::pass("an ACL gives the group a role").with(acl_line(entry)));
        }
        if let Some(entry) = delegated.get(name.as_str()) {
            return Ok(Judgement::pass("an ACL is about the group: it says who may change its users")
                .with(acl_line(entry)));
        }
        complete(look)?;
        let summary = "no ACL names the group: who is in it gets nothing by it";
        Ok(Judgement::fail(summary).with(group_line(group)))
    })
}
