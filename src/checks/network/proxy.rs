//! Checks of what the node listens to.

use crate::checks::firewall::shown_set;
use crate::checks::{Judged, Look};
use crate::formats::proxy_default::{self, Proxy};
use crate::host::firewall::cover::Reach;
use crate::host::proxy::{self, PROXY_DEFAULT};
use crate::host::{Fact, Stop};
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

/// Where the web interface asks who the client of a proxy is.
const REAL_IP_HEADER: &str = "PROXY_REAL_IP_HEADER";

/// From whom it believes that.
const REAL_IP_ALLOW_FROM: &str = "PROXY_REAL_IP_ALLOW_FROM";

pub(crate) fn proxy_trusts_any_header(look: &Look<'_>) -> Judged {
    let none = || Stop::not_applicable("no header of a proxy is asked for the address of the client");
    let settings = look.take(look.host.proxy())?.as_ref().ok_or_else(none)?;
    let header = settings.settings.get(REAL_IP_HEADER).ok_or_else(none)?;
    let evidence = Evidence::at(PROXY_DEFAULT, header.line).key(REAL_IP_HEADER).observed(&header.value);
    let judgement = match settings.settings.get(REAL_IP_ALLOW_FROM) {
        None => Judgement::fail("whoever connects may name any address for the log of the web interface"),
        Some(list) if list.value.split(',').any(names_everybody) => {
            Judgement::fail("the list of proxies that may name addresses for the log holds everybody")
                .with(Evidence::at(PROXY_DEFAULT, list.line).key(REAL_IP_ALLOW_FROM).observed(&list.value))
        }
        Some(list) => Judgement::pass("only listed proxies may name addresses for the log")
            .with(Evidence::at(PROXY_DEFAULT, list.line).key(REAL_IP_ALLOW_FROM).observed(&list.value)),
    };
    look.one(Subject::node(), judgement.with(evidence))
}

fn names_everybody(entry: &str) -> bool {
    entry == "all" || entry.ends_with("/0")
}

pub(crate) fn proxy_settings_refused(look: &Look<'_>) -> Judged {
    let read = Fact::gather(&look.host.files, |gather| {
        gather.take(look.host.cluster_files())?;
        let text = gather.optional(PROXY_DEFAULT)?;
        Ok(text.map(|text| proxy_default::parse(&text)))
    });
    let Some(parsed) = look.own(read)? else {
        return Err(Stop::not_applicable("there are no settings: upstream's defaults hold"));
    };
    let settings = &parsed.value;
    let first = parsed.issues.first();
    let evidence = first.map(|issue| Evidence::at(PROXY_DEFAULT, issue.line).observed(&issue.what));
    let judgement = if settings.uncertain {
        return Err(Stop::unknown(PROXY_DEFAULT, "is a script that cannot be understood"));
    } else if settings.refused {
        Judgement::fail("pveproxy and spiceproxy do not start with these settings").with_all(evidence)
    } else if both_versions_off(settings) {
        Judgement::fail("pveproxy does not start: both versions of TLS are switched off")
            .with(Evidence::of(PROXY_DEFAULT).key("DISABLE_TLS_1_3").observed("1"))
    } else if proxy::answered(settings).reach() == Reach::Nobody {
        let line = settings.policy.as_ref().map(|policy| policy.line);
        let evidence = Evidence { line, ..Evidence::of(PROXY_DEFAULT) };
        Judgement::fail("pveproxy and spiceproxy answer nobody").with(evidence.key("POLICY"))
    } else {
        Judgement::pass("pveproxy and spiceproxy start with these settings")
    };
    look.one(Subject::node(), judgement)
}

fn both_versions_off(settings: &Proxy) -> bool {
    let is_on = |key| settings.settings.get(key).is_some_and(|setting| setting.value == "1");
    is_on("DISABLE_TLS_1_2") && is_on("DISABLE_TLS_1_3")
}
