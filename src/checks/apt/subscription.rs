//! Which of Proxmox's repositories are used.

use super::{Group, archive, groups, repository};
use crate::checks::{Judged, Look, Tally};
use crate::formats::apt_sources::Uri;
use crate::host::Stop;
use crate::host::apt::Source;
use crate::host::apt::repository::{Channel, Product, Repository, Vendor};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// The host that asks for user and password.
const ENTERPRISE_HOST: &str = "enterprise.proxmox.com";

/// Where Proxmox VE writes them.
const AUTH_FILE: &str = "/etc/apt/auth.conf.d/pve.conf";

fn channel(source: &Source) -> Option<(Product, Channel)> {
    match Repository::of(&source.entry).vendor {
        Vendor::Proxmox(product, channel) => Some((product, channel)),
        _ => None,
    }
}

/// `apt/test-repository-enabled`
pub(crate) fn test_repository_enabled(look: &Look<'_>) -> Judged {
    let sources = look.take(look.host.apt_sources())?;
    let proxmox = sources.used().filter(|source| channel(source).is_some());
    look.each(groups(proxmox, repository), Group::subject, |_, group| {
        let found = group.sources.iter().find_map(|source| channel(source));
        let judgement = match found {
            Some((product, Channel::Test)) => Judgement::fail(format!(
                "packages of {} come from the repository for testing",
                product.name()
            )),
            _ => Judgement::pass("no repository for testing"),
        };
        Ok(judgement.with_all(group.evidence("component")))
    })
}

/// `apt/enterprise-without-subscription`
pub(crate) fn enterprise_without_subscription(look: &Look<'_>) -> Judged {
    let sources = look.take(look.host.apt_sources())?;
    let enterprise = sources.used().filter(|source| Uri::parse(&source.entry.uri).host == ENTERPRISE_HOST);
    look.each(groups(enterprise, archive), Group::subject, |look, group| {
        let fact = look.host.apt_auth();
        let auth = look.take(fact)?;
        let covered = group.sources.iter().all(|source| {
            source.entry.credentials || auth.iter().any(|auth| auth.machine.covers(&source.entry.uri))
        });
        if let (false, Some(doubt)) = (covered, fact.doubts.first()) {
            return Err(Stop::Unknown(doubt.clone()));
        }
        let judgement = if covered {
            Judgement::pass("apt has a user and a password for it")
        } else {
            Judgement::fail(
                "apt has no user and password for it: every update of the lists ends with 401 Unauthorized",
            )
            .with(Evidence::of(AUTH_FILE).key("machine").expected(ENTERPRISE_HOST))
        };
        Ok(judgement.with_all(group.evidence("uri")))
    })
}

/// `apt/enterprise-and-no-subscription-mixed`
pub(crate) fn enterprise_and_no_subscription_mixed(look: &Look<'_>) -> Judged {
    let sources = look.take(look.host.apt_sources())?;
    let mut tally = Tally::default();
    for product in [Product::Pve, Product::Ceph] {
        let of = |wanted: Channel| -> Vec<&Source> {
            sources.used().filter(|source| channel(source) == Some((product, wanted))).collect()
        };
        let (enterprise, public) = (of(Channel::Enterprise), of(Channel::NoSubscription));
        if enterprise.is_empty() && public.is_empty() {
            continue;
        }
        let subject = Subject::new(SubjectKind::Setting, product.name());
        let mixed = !enterprise.is_empty() && !public.is_empty();
        let judgement = Judgement::fail_if(
            mixed,
            format!(
                "the enterprise and the no-subscription repository of {} are both on: the newer packages win",
                product.name()
            ),
            format!("{} comes from one kind of repository", product.name()),
        );
        let lines = groups(enterprise.into_iter().chain(public), repository);
        let lines = lines.iter().flat_map(|group| group.evidence("component"));
        tally.counted.extend(look.one(subject, judgement.with_all(lines))?.counted);
    }
    Ok(tally)
}
