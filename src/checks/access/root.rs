//! `root@pam`.

use super::super::{Judged, Look};
use super::{complete, user_line};
use crate::formats::user_cfg::names::ROOT;
use crate::formats::user_cfg::{User, UserCfg};
use crate::host::Stop;
use crate::host::access::{Standing, USER_CFG};
use crate::host::fact::CUT_SHORT;
use crate::outcome::{Judgement, Subject, SubjectKind};

/// `root@pam`, whom upstream makes up where the file has no line for him.
fn root(cfg: &UserCfg) -> Result<&User, Stop> {
    cfg.users.get(ROOT).ok_or_else(|| Stop::unknown(USER_CFG, "has no root@pam"))
}

fn subject() -> Subject {
    Subject::new(SubjectKind::User, ROOT)
}

/// `access/root-without-email`
pub(crate) fn root_without_email(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let root = root(cfg)?;
    if root.email.is_some() {
        return look.one(subject(), Judgement::pass("has an e-mail address").with_all(user_line(root)));
    }
    // The whole line, or the rest of it, may be what was lost.
    let doubts = &look.host.access().doubts;
    if root.line.is_none() || doubts.iter().any(|doubt| doubt.line == root.line && doubt.code == CUT_SHORT) {
        complete(look)?;
    }
    let line = user_line(root).map(|line| line.observed("no e-mail address"));
    let summary = match line {
        Some(_) => "has no e-mail address: mail for root of every node has nowhere to go",
        None => {
            "has no line in user.cfg, so no e-mail address: mail for root of every node has nowhere to go"
        }
    };
    look.one(subject(), Judgement::fail(summary).with_all(line))
}

/// `access/root-disabled`
pub(crate) fn root_disabled(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let root = root(cfg)?;
    let (seen, why) = match Standing::of_user(root, look.now) {
        Standing::Active => {
            let judgement = Judgement::pass("can log in to the web interface and the API");
            return look.one(subject(), judgement.with_all(user_line(root)));
        }
        Standing::Disabled => ("enable 0 or missing", "is disabled"),
        Standing::Expired => ("expire in the past", "has expired"),
    };
    let tokens = match root.tokens.len() {
        0 => "",
        _ => ", nor do his tokens work",
    };
    let summary = format!(
        "{why}: he cannot log in to the web interface or the API{tokens}, while SSH, the console and commands on a node still make him root"
    );
    let line = user_line(root).map(|line| line.observed(seen));
    look.one(subject(), Judgement::fail(summary).with_all(line))
}
