//! What auditors ask for.

use super::{Judged, Look};
use crate::host::datacenter::DATACENTER_CFG;
use crate::outcome::{Evidence, Judgement, Subject};

/// `compliance/no-login-banner`
pub(crate) fn no_login_banner(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.datacenter())?;
    let evidence =
        Evidence { line: cfg.consent_text_line, ..Evidence::of(DATACENTER_CFG) }.key("consent-text");
    let evidence = if cfg.consent_text_line.is_none() { evidence.observed("not set") } else { evidence };
    let judgement = Judgement::fail_if(
        cfg.consent_text_line.is_none(),
        "the web interface shows no notice before the login",
        "the web interface shows a notice before the login",
    );
    look.one(Subject::cluster(), judgement.with(evidence))
}
