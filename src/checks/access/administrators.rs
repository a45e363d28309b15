//! The people who administer.

use super::super::authentication::asked_for;
use super::super::{Judged, Look};
use super::{grants, user_line};
use crate::formats::user_cfg::names::ROOT;
use crate::formats::user_cfg::{User, UserCfg};
use crate::host::Stop;
use crate::host::access::Standing;
use crate::host::access::power::{Power, Powers};
use crate::outcome::{Judgement, Subject, SubjectKind};

/// The administrators that are users, with their entries.
fn people<'a>(cfg: &'a UserCfg, powers: &'a Powers) -> impl Iterator<Item = (&'a Power, &'a User)> {
    powers.administrators().filter_map(|one| Some((one, cfg.users.get(&one.id)?)))
}

fn subject((administrator, _): &(&Power, &User)) -> Subject {
    Subject::new(SubjectKind::User, &administrator.id)
}

/// `access/administrator-without-second-factor`
pub(crate) fn administrator_without_second_factor(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let powers = look.take(look.host.powers())?;
    look.each(people(cfg, powers), subject, |look, (administrator, user)| {
        let judgement = asked_for(look, &administrator.id, user)?;
        let why = format!("{}; the user {}", judgement.summary, powers.why(administrator));
        Ok(Judgement { summary: why, ..judgement }.with_all(grants(administrator)))
    })
}

/// `access/dormant-administrator`
pub(crate) fn dormant_administrator(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let powers = look.take(look.host.powers())?;
    // root@pam cannot be taken his rights; disabling him is a decision of its own.
    let others = people(cfg, powers).filter(|(one, _)| one.id != ROOT);
    look.each(others, subject, |look, (administrator, user)| {
        let state = match Standing::of_user(user, look.now) {
            Standing::Active => return Ok(Judgement::pass("the account is in use")),
            Standing::Disabled => "is disabled",
            Standing::Expired => "has expired",
        };
        let summary =
            format!("the account {state}, but the user still administers: he {}", powers.why(administrator));
        Ok(Judgement::fail(summary).with_all(user_line(user)).with_all(grants(administrator)))
    })
}

/// `access/no-named-administrator`
pub(crate) fn no_named_administrator(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let powers = look.take(look.host.powers())?;
    let named = people(cfg, powers)
        .find(|(one, user)| one.id != ROOT && Standing::of_user(user, look.now) == Standing::Active);
    if let Some((administrator, user)) = named {
        let summary = format!("{} {}", administrator.id, powers.why(administrator));
        let judgement = Judgement::pass(summary).with_all(user_line(user)).with_all(grants(administrator));
        return look.one(Subject::cluster(), judgement);
    }
    // That there is nobody is only seen by somebody who has read everything.
    if let Some(doubt) = look.doubts().into_iter().next() {
        return Err(Stop::Unknown(doubt));
    }
    let root = cfg.users.get(ROOT).and_then(user_line);
    let judgement = Judgement::fail("nobody but root@pam administers with an active account");
    look.one(Subject::cluster(), judgement.with_all(root))
}
