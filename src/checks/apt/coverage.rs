//! Whether every update that is published reaches this node.

use super::{archive, codename, groups, is_binary, is_native};
use crate::catalogue::Severity;
use crate::checks::{Judged, Look};
use crate::host::apt::repository::{
    Part, Product, RELEASED_BY_ROLE, Repository, UNRELEASED, Vendor, base_suite, debian_major,
};
use crate::host::apt::{AptSources, Source};
use crate::host::{Doubt, Stop};
use crate::outcome::{Evidence, Judgement, Subject};

/// The first file apt reads its sources from.
const SOURCES_LIST: &str = "/etc/apt/sources.list";

fn evidence_of(doubt: &Doubt) -> Evidence {
    let place = match doubt.line {
        Some(line) => Evidence::at(&doubt.path, line),
        None => Evidence::of(&doubt.path),
    };
    place.observed(&doubt.what)
}

/// `apt/sources-unreadable`
pub(crate) fn sources_unreadable(look: &Look<'_>) -> Judged {
    let sources = look.take(look.host.apt_sources())?;
    let judgement = match &sources.unreadable {
        Some(doubt) => Judgement::fail(&doubt.what).with(evidence_of(doubt)),
        None => Judgement::pass(format!("apt reads its source list: {} sources", sources.used().count())),
    };
    look.one(Subject::node(), judgement)
}

/// `apt/configuration-unreadable`
pub(crate) fn configuration_unreadable(look: &Look<'_>) -> Judged {
    let conf = look.take(look.host.apt_conf())?;
    let preferences = look.take(look.host.apt_preferences())?;
    let judgement = match conf.error.as_ref().or(preferences.error.as_ref()) {
        Some(doubt) => Judgement::fail(&doubt.what).with(evidence_of(doubt)),
        None => Judgement::pass("apt reads its configuration and its preferences"),
    };
    look.one(Subject::node(), judgement)
}

/// Says that something is missing, if the list was read whole: what was not read may be what is missing.
fn missing(sources: &AptSources, summary: String, switched_off: Vec<&Source>) -> Result<Judgement, Stop> {
    if let Some(doubt) = sources.unreadable.as_ref().or(sources.incomplete.as_ref()) {
        return Err(Stop::Unknown(doubt.clone()));
    }
    let mut judgement = Judgement::fail(summary);
    if switched_off.is_empty() {
        judgement = judgement.with(Evidence::of(SOURCES_LIST));
    }
    let lines = switched_off.into_iter().map(|source| {
        let evidence = Evidence::at(&source.path, source.entry.line);
        evidence.key("Enabled").observed(archive(&source.entry)).expected("yes")
    });
    Ok(judgement.with_all(lines))
}

/// `apt/debian-security-missing`
pub(crate) fn debian_security_missing(look: &Look<'_>) -> Judged {
    let codename = codename(look)?;
    let sources = look.take(look.host.apt_sources())?;
    let is_security = |source: &&Source| {
        let vendor = Repository::of(&source.entry).vendor;
        let main = source.entry.component.as_deref() == Some("main");
        vendor == Vendor::Debian(Part::Security) && main && is_binary(source) && is_native(source, sources)
    };
    let is_ours = |source: &&Source| base_suite(&source.entry.suite) == codename;
    let security: Vec<&Source> = sources.used().filter(is_security).collect();
    if let Some(source) = security.iter().find(|source| is_ours(source)) {
        let summary = format!("security updates of {codename} come from {}", source.entry.uri);
        return look.one(Subject::node(), Judgement::pass(summary).at(&source.path, source.entry.line));
    }
    let by_role = |source: &&&Source| RELEASED_BY_ROLE.contains(&base_suite(&source.entry.suite));
    if let Some(source) = security.iter().find(by_role) {
        let summary = format!(
            "security updates are those of {}: which release that is depends on the day",
            source.entry.suite
        );
        return look.one(Subject::node(), Judgement::unknown(summary).at(&source.path, source.entry.line));
    }
    let switched_off = sources.all.iter().filter(|source| is_security(source) && is_ours(source)).collect();
    let summary = format!("no source brings security updates of Debian {codename}");
    look.one(Subject::node(), missing(sources, summary, switched_off)?)
}

/// `apt/proxmox-source-missing`
pub(crate) fn proxmox_source_missing(look: &Look<'_>) -> Judged {
    match look.host.is_proxmox() {
        Some(true) => {}
        Some(false) => return Err(Stop::not_applicable("this is not a Proxmox VE node")),
        None => look.host.cluster_files().value.clone()?,
    }
    let codename = codename(look)?;
    let sources = look.take(look.host.apt_sources())?;
    let is_ours = |source: &&Source| {
        let product = matches!(Repository::of(&source.entry).vendor, Vendor::Proxmox(Product::Pve, _));
        product
            && is_binary(source)
            && is_native(source, sources)
            && base_suite(&source.entry.suite) == codename
    };
    if let Some(source) = sources.used().find(is_ours) {
        let summary = format!("packages of Proxmox VE come from {}", source.entry.uri);
        return look.one(Subject::node(), Judgement::pass(summary).at(&source.path, source.entry.line));
    }
    let switched_off = sources.all.iter().filter(is_ours).collect();
    let summary = format!("no source brings packages of Proxmox VE for {codename}");
    look.one(Subject::node(), missing(sources, summary, switched_off)?)
}

/// `apt/suite-mismatch`
pub(crate) fn suite_mismatch(look: &Look<'_>) -> Judged {
    let codename = codename(look)?;
    let sources = look.take(look.host.apt_sources())?;
    let judged = sources.used().filter(|source| {
        let vendor = Repository::of(&source.entry).vendor;
        is_binary(source) && vendor != Vendor::Other && !source.entry.suite.ends_with('/')
    });
    look.each(groups(judged, archive), super::Group::subject, |_, group| {
        let suite = group.sources.first().map(|source| source.entry.suite.as_str()).unwrap_or_default();
        let judgement = suite_judgement(suite, codename);
        let expected = |evidence: Evidence| evidence.expected(codename);
        Ok(judgement.with_all(group.evidence("suite").into_iter().map(expected)))
    })
}

fn suite_judgement(suite: &str, codename: &str) -> Judgement {
    let base = base_suite(suite);
    if base == codename {
        return Judgement::pass(format!("{suite} belongs to the installed release"));
    }
    if RELEASED_BY_ROLE.contains(&base) {
        return Judgement::fail(format!(
            "{suite} becomes another release on the day Debian publishes the next one; {codename} is installed"
        ));
    }
    if UNRELEASED.contains(&base) {
        return Judgement::fail(format!("{suite} is no release; {codename} is installed"))
            .severity(Severity::High);
    }
    match (debian_major(base), debian_major(codename)) {
        (Some(theirs), Some(ours)) if theirs > ours => {
            Judgement::fail(format!("{suite} is of a newer release than the installed {codename}"))
                .severity(Severity::High)
        }
        (Some(_), Some(_)) => {
            Judgement::fail(format!("{suite} is of an older release than the installed {codename}"))
        }
        _ => Judgement::fail(format!("{suite} is not of the installed release {codename}")),
    }
}
