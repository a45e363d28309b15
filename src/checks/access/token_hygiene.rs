//! API tokens that should not be there, or do not do what their ACLs say.

use super::super::{Judged, Look};
use super::{LINES_SHOWN, acl_line, by_subject, complete, each_bad, ignored};
use crate::catalogue::Severity;
use crate::formats::user_cfg::names::{ROOT, split_token_id};
use crate::formats::user_cfg::roles::NO_ACCESS;
use crate::formats::user_cfg::{AclEntry, AclSubject, Token, User, UserCfg};
use crate::host::Stop;
use crate::host::access::power::{Power, Powers, Rank};
use crate::host::access::{Standing, USER_CFG};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// A token of the file.
struct Found<'a> {
    id: String,
    owner: &'a User,
    token: &'a Token,
    standing: Standing,
}

impl Found<'_> {
    fn subject(&self) -> Subject {
        Subject::new(SubjectKind::Token, &self.id)
    }

    fn line(&self) -> Evidence {
        Evidence::at(USER_CFG, self.token.line).key("token")
    }
}

fn tokens<'a>(look: &Look<'_>, cfg: &'a UserCfg) -> Vec<Found<'a>> {
    let mut found = Vec::new();
    for (id, owner) in &cfg.users {
        for (name, token) in &owner.tokens {
            let standing = Standing::of_token(token, owner, look.now);
            found.push(Found { id: format!("{id}!{name}"), owner, token, standing });
        }
    }
    found
}

/// The tokens that can be used, if there are any.
fn usable<'a>(look: &Look<'_>, cfg: &'a UserCfg) -> Result<Vec<Found<'a>>, Stop> {
    let mut found = tokens(look, cfg);
    found.retain(|found| found.standing == Standing::Active);
    if found.is_empty() {
        Err(Stop::not_applicable("there is no API token that can be used"))
    } else {
        Ok(found)
    }
}

fn power_lines(power: Option<&Power>) -> impl Iterator<Item = Evidence> {
    power.into_iter().flat_map(Power::grants).take(LINES_SHOWN).map(acl_line)
}

fn why(powers: &Powers, id: &str) -> String {
    powers.of(id).map(|power| powers.why(power)).unwrap_or_default()
}

/// `access/token-of-root`
pub(crate) fn token_of_root(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let powers = look.take(look.host.powers())?;
    let mut found = tokens(look, cfg);
    found.retain(|found| split_token_id(&found.id).is_some_and(|(owner, _)| owner == ROOT));
    if found.is_empty() {
        let root = Subject::new(SubjectKind::User, ROOT);
        return look.one(root, Judgement::pass("root@pam has no API token"));
    }
    look.each(found, Found::subject, |_, found| {
        if found.standing != Standing::Active {
            let summary = "cannot be used: it has expired, or root@pam is disabled or has expired";
            return Ok(Judgement::pass(summary).with(found.line()));
        }
        if !found.token.privsep {
            let summary = "may do everything root@pam may, without his password and second factor";
            return Ok(Judgement::fail(summary)
                .with(found.line().observed("privsep 0").expected("no token of root@pam")));
        }
        let rank = powers.rank(&found.id);
        let severity = if rank >= Rank::Strong { Severity::Medium } else { Severity::Low };
        let summary =
            format!("belongs to root@pam and is held to ACLs of its own: it {}", why(powers, &found.id));
        let line = found.line().observed("privsep 1").expected("no token of root@pam");
        Ok(Judgement::fail(summary).severity(severity).with(line).with_all(power_lines(powers.of(&found.id))))
    })
}

/// `access/token-left-over`
pub(crate) fn token_left_over(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let powers = look.take(look.host.powers())?;
    let found = tokens(look, cfg);
    if found.is_empty() {
        return Err(Stop::not_applicable("there is no API token"));
    }
    look.each(found, Found::subject, |look, found| {
        let (seen, what) = match (Standing::of_user(found.owner, look.now), found.standing) {
            (_, Standing::Active) => return Ok(Judgement::pass("can be used").with(found.line())),
            (Standing::Disabled, _) => ("its owner is disabled", "works again when he is enabled"),
            (Standing::Expired, _) => ("its owner has expired", "works again when his date is changed"),
            (Standing::Active, _) => {
                ("it has expired", "works again, with the same secret, when its date is changed")
            }
        };
        let rank = powers.rank(&found.id);
        let severity = if rank >= Rank::Strong { Severity::Low } else { Severity::Info };
        let summary = format!("cannot be used, for {seen}, and {what}: it then {}", rank.words());
        Ok(Judgement::fail(summary).severity(severity).with(found.line().observed(seen)))
    })
}

/// `access/token-without-effect`
pub(crate) fn token_without_effect(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let powers = look.take(look.host.powers())?;
    let entries = by_subject(cfg);
    look.each(usable(look, cfg)?, Found::subject, |look, found| {
        let rank = powers.rank(&found.id);
        if rank > Rank::Nothing {
            return Ok(Judgement::pass(format!("the token {}", rank.words())).with(found.line()));
        }
        complete(look)?;
        let named = entries.get(&AclSubject::Token(found.id.clone())).map(Vec::as_slice).unwrap_or_default();
        let summary = if !found.token.privsep {
            "can do nothing: it has the rights of its owner, who has none"
        } else if named.is_empty() {
            "can do nothing: it is held to ACLs of its own, and there are none"
        } else {
            "can do nothing: its owner has none of the rights its ACLs give"
        };
        Ok(Judgement::fail(summary)
            .with(found.line())
            .with_all(named.iter().take(LINES_SHOWN).map(|entry| acl_line(entry))))
    })
}

/// `access/acl-of-token-without-separation`
pub(crate) fn acl_of_token_without_separation(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let powers = look.take(look.host.powers())?;
    let bad: Vec<(&AclSubject, Vec<&AclEntry>)> = by_subject(cfg)
        .into_iter()
        .filter(|(subject, _)| matches!(subject, AclSubject::Token(_)) && ignored(cfg, subject).is_some())
        .collect();
    each_bad(
        look,
        bad,
        |(subject, _)| super::acl_subject(subject),
        |(subject, entries)| {
            let id = super::subject_name(subject);
            let owner = split_token_id(&id).map_or("", |(owner, _)| owner);
            let rank = powers.rank(&id);
            let denies = entries.iter().any(|entry| entry.role == NO_ACCESS);
            let severity = match rank {
                Rank::Strong | Rank::HostRoot | Rank::Administrator => Severity::Medium,
                _ if denies => Severity::Medium,
                Rank::Guests | Rank::User => Severity::Low,
                Rank::Auditor | Rank::Nothing => Severity::Info,
            };
            let what = if denies { "NoAccess among them, " } else { "" };
            let summary = format!(
                "its ACLs, {what}are ignored: without privilege separation it may do all {owner} may, who {}",
                rank.words()
            );
            let line = cfg.token(&id).map(|token| {
                Evidence::at(USER_CFG, token.line).key("token").observed("privsep 0").expected("privsep 1")
            });
            Judgement::fail(summary)
                .severity(severity)
                .with_all(line)
                .with_all(entries.iter().take(LINES_SHOWN).map(|entry| acl_line(entry)))
        },
        "no ACL names a token without privilege separation",
    )
}

/// `access/token-without-expiry`
pub(crate) fn token_without_expiry(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let powers = look.take(look.host.powers())?;
    let mut found = usable(look, cfg)?;
    // Tokens of administrators have a check of their own.
    found.retain(|found| powers.rank(&found.id) < Rank::HostRoot);
    if found.is_empty() {
        return Err(Stop::not_applicable("every API token administers, and those have a check of their own"));
    }
    look.each(found, Found::subject, |_, found| {
        if found.token.expire != 0 {
            return Ok(Judgement::pass("has a date on which it expires").with(found.line()));
        }
        if found.owner.expire != 0 {
            return Ok(Judgement::pass("ends on the day its owner expires").with(found.line()));
        }
        let severity = match powers.rank(&found.id) {
            Rank::Nothing => {
                return Ok(Judgement::pass("never expires, but can do nothing").with(found.line()));
            }
            Rank::Strong | Rank::HostRoot | Rank::Administrator => Severity::Medium,
            Rank::Guests => Severity::Low,
            Rank::User | Rank::Auditor => Severity::Info,
        };
        let summary = format!("never expires; the token {}", why(powers, &found.id));
        Ok(Judgement::fail(summary)
            .severity(severity)
            .with(found.line().observed("expire 0").expected("a date"))
            .with_all(power_lines(powers.of(&found.id))))
    })
}
