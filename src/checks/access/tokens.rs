//! API tokens that administer.

use super::super::{Judged, Look};
use super::{grants, user_line};
use crate::formats::user_cfg::UserCfg;
use crate::formats::user_cfg::{Token, User};
use crate::host::Stop;
use crate::host::access::power::Power;
use crate::host::access::{Standing, USER_CFG};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

const DAY: i64 = 24 * 60 * 60;

/// A token that administers.
struct Found<'a> {
    administrator: &'a Power,
    owner: &'a User,
    token: &'a Token,
}

impl Found<'_> {
    fn subject(&self) -> Subject {
        Subject::new(SubjectKind::Token, &self.administrator.id)
    }

    fn line(&self) -> Evidence {
        Evidence::at(USER_CFG, self.token.line).key("token")
    }
}

fn found<'a>(cfg: &'a UserCfg, administrator: &'a Power) -> Option<Found<'a>> {
    let owner = cfg.users.get(administrator.owner.as_ref()?)?;
    Some(Found { administrator, owner, token: cfg.token(&administrator.id)? })
}

/// Why the token cannot be used, if that is so.
fn unusable(look: &Look<'_>, found: &Found<'_>) -> Option<Judgement> {
    let summary = match Standing::of_token(found.token, found.owner, look.now) {
        Standing::Active => return None,
        Standing::Disabled => "cannot be used: its owner is disabled",
        Standing::Expired => "cannot be used: it or its owner has expired",
    };
    Some(Judgement::pass(summary).with(found.line()))
}

/// Judges every token that administers and can be used.
fn each_usable(look: &Look<'_>, judge: impl Fn(&Look<'_>, &Found<'_>) -> Judgement) -> Judged {
    let cfg = look.take(look.host.access())?;
    let powers = look.take(look.host.powers())?;
    let tokens: Vec<Found<'_>> = powers.administrators().filter_map(|one| found(cfg, one)).collect();
    if tokens.is_empty() {
        return Err(Stop::not_applicable("no API token administers"));
    }
    look.each(tokens, Found::subject, |look, found| {
        if let Some(judgement) = unusable(look, found) {
            return Ok(judgement);
        }
        let judgement = judge(look, found);
        let summary = format!("{}; the token {}", judgement.summary, powers.why(found.administrator));
        Ok(Judgement { summary, ..judgement }.with_all(grants(found.administrator)))
    })
}

/// When the token ends, seconds since the epoch, and the line that says so: with its owner at the latest
/// (`verify_token` asks whether he may log in). `None` for never.
fn end(found: &Found<'_>) -> Option<(u64, Evidence)> {
    let own = (found.token.expire, found.line());
    let owner = user_line(found.owner).map(|line| (found.owner.expire, line));
    [Some(own), owner]
        .into_iter()
        .flatten()
        .filter(|(expire, _)| *expire != 0)
        .min_by_key(|(expire, _)| *expire)
}

/// `access/administrator-token-without-expiry`
pub(crate) fn administrator_token_without_expiry(look: &Look<'_>) -> Judged {
    let longest = look.number("longest_days");
    each_usable(look, |look, found| {
        let Some((expire, line)) = end(found) else {
            let line = found.line().observed("expire 0").expected("a date");
            return Judgement::fail("never expires").with(line);
        };
        let expire = i64::try_from(expire).unwrap_or(i64::MAX);
        let days = expire.saturating_sub(look.now.as_second()) / DAY;
        let line = line.observed(format!("expires in {days} days"));
        Judgement::fail_if(
            days > longest,
            format!("expires only in {days} days, more than {longest}"),
            format!("expires in {days} days"),
        )
        .with(line.expected(format!("at most {longest} days")))
    })
}

/// `access/administrator-token-without-privilege-separation`
pub(crate) fn administrator_token_without_privilege_separation(look: &Look<'_>) -> Judged {
    each_usable(look, |_, found| {
        let line = found.line().expected("privsep 1");
        Judgement::fail_if(!found.token.privsep, "privilege separation is off", "is held to its own ACLs")
            .with(line.observed(if found.token.privsep { "privsep 1" } else { "privsep 0" }))
    })
}
