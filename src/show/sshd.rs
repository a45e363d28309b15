//! `pve-audit show sshd`: what `sshd -T` would print.

use std::collections::BTreeSet;

use super::{Shown, issues};
use crate::host::{Doubt, Host, Stop};

/// The effective settings of sshd.
pub(super) fn shown(host: &Host) -> Result<Shown, String> {
    let fact = host.sshd();
    let sshd = fact.value.as_ref().map_err(|stop| match stop {
        Stop::Unknown(doubt) => doubt.to_string(),
        Stop::NotApplicable(why) => why.clone(),
    })?;
    let problems = sshd.config.problems.iter().map(|problem| sshd.doubt_of(problem));
    let all: BTreeSet<Doubt> = fact.doubts.iter().cloned().chain(problems).collect();
    let all: Vec<Doubt> = all.into_iter().collect();
    let json = serde_json::json!({
        "valid": sshd.config.valid(),
        "settings": sshd.config.settings(),
        "issues": issues(&all),
    });
    let comments = all.iter().map(|doubt| format!("# {doubt}\n"));
    let lines = sshd.config.lines().into_iter().map(|line| line + "\n");
    Ok(Shown { json, text: comments.chain(lines).collect() })
}
