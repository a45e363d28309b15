//! Checks of what the node listens to.

use crate::checks::firewall::shown_set;
use crate::checks::{Judged, Look};
use crate::host::Stop;
use crate::host::firewall::cover::Reach;
use crate::host::proxy::{self, PROXY_DEFAULT};
use crate::outcome::{Evidence, Judgement, Subject};

pub(crate) fn proxy_access_list_without_effect(look: &Look<'_>) -> Judged {
    let none = || Stop::not_applicable("no `ALLOW_FROM` is set: the proxies are meant to talk to everybody");
    let settings = look.take(look.host.proxy())?.as_ref().ok_or_else(none)?;
    let Some(allow) = &settings.allow_from else { return Err(none()) };
    if proxy::named(settings).reach() == Reach::Anywhere {
        return Err(Stop::not_applicable("`ALLOW_FROM` names the whole Internet"));
    }
    let answered = proxy::answered(settings);
    let evidence = Evidence::at(PROXY_DEFAULT, allow.line).key("ALLOW_FROM");
    let judgement = if answered.reach() == Reach::Anywhere {
        let networks = shown_set(&answered);
        let summary =
            format!("pveproxy and spiceproxy answer everybody although `ALLOW_FROM` is set: {networks}");
        Judgement::fail(summary).with(evidence.expected("with DENY_FROM=\"all\" or POLICY=\"deny\""))
    } else {
        Judgement::pass("pveproxy and spiceproxy answer only whom the lists allow").with(evidence)
    };
    look.one(Subject::node(), judgement)
}
