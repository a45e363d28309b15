//! Until when certificates hold, and who renews them.

use jiff::Timestamp;

use super::{each_shown, place, subject};
use crate::catalogue::Severity;
use crate::checks::{Judged, Look};
use crate::formats::pem_subject::Certificate;
use crate::host::Stop;
use crate::host::certificates::{NodeCertificates, ROOT_CA};
use crate::host::system::units::UNIT_FOLDER;
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// Days before the end at which `pveupdate` orders a new certificate by ACME.
const ACME_RENEWED_AT: i64 = 30;

/// Days that a renewal may fail before it counts as broken: it is tried again every day.
const ACME_PATIENCE: i64 = 7;

/// What starts `pveupdate` once a day.
const TIMER: &str = "pve-daily-update.timer";

/// Seconds of a day.
const DAY: i64 = 24 * 60 * 60;

/// Whole days from `now` until `then`.
fn days_until(now: Timestamp, then: Timestamp) -> i64 {
    then.as_second().saturating_sub(now.as_second()).div_euclid(DAY)
}

fn days(number: i64) -> String {
    if number == 1 { "1 day".to_owned() } else { format!("{number} days") }
}

fn is_over(certificate: &Certificate, now: Timestamp) -> bool {
    certificate.not_after < now
}

pub(crate) fn expired(look: &Look<'_>) -> Judged {
    each_shown(look, |look, _, served, certificate| {
        let (from, until) = (certificate.not_before, certificate.not_after);
        let evidence = place(served, certificate);
        Ok(if is_over(certificate, look.now) {
            let since = days(days_until(until, look.now));
            Judgement::fail(format!("the certificate of the web interface ended {since} ago"))
                .with(evidence.key("not after").observed(until.to_string()))
        } else if from > look.now {
            Judgement::fail("the certificate of the web interface does not hold yet")
                .with(evidence.key("not before").observed(from.to_string()))
        } else {
            Judgement::pass("the certificate of the web interface holds")
                .with(evidence.key("not after").observed(until.to_string()))
        })
    })
}

pub(crate) fn expires_soon(look: &Look<'_>) -> Judged {
    let limit = look.number("days");
    let all = look.take(look.host.certificates())?;
    // One that has ended is a finding of its own.
    let has_ended = |node: &&NodeCertificates| {
        let own = node.served.value.as_ref().ok().and_then(|served| served.own().ok());
        own.is_some_and(|own| is_over(own, look.now))
    };
    look.each(
        all.iter().filter(|node| !has_ended(node)),
        |node| subject(node),
        |look, node| {
            let served = look.take(&node.served)?;
            let certificate = served.own()?;
            let left = days_until(look.now, certificate.not_after);
            let evidence =
                place(served, certificate).key("not after").observed(certificate.not_after.to_string());
            Ok(if left < limit {
                Judgement::fail(format!("the certificate of the web interface ends in {}", days(left)))
            } else {
                Judgement::pass("the certificate of the web interface still holds for a while")
            }
            .with(evidence))
        },
    )
}

pub(crate) fn cluster_authority_expires(look: &Look<'_>) -> Judged {
    let limit = look.number("days");
    let root = look.take(look.host.root_ca())?;
    let root = root.certificates.first().ok_or_else(|| Stop::unknown(ROOT_CA, "holds no certificate"))?;
    let left = days_until(look.now, root.not_after);
    let evidence = Evidence::at(ROOT_CA, root.line).key("not after").observed(root.not_after.to_string());
    let judgement = if is_over(root, look.now) {
        Judgement::fail(format!(
            "the authority of the cluster ended {} ago",
            days(days_until(root.not_after, look.now))
        ))
        .severity(Severity::High)
    } else if left < limit {
        Judgement::fail(format!("the authority of the cluster ends in {}", days(left)))
    } else {
        Judgement::pass("the authority of the cluster holds for long enough")
    };
    look.one(Subject::cluster(), judgement.with(evidence))
}

pub(crate) fn renewal_timer_off(look: &Look<'_>) -> Judged {
    look.take(look.host.cluster_files())?;
    let units = look.take(look.host.units())?;
    let judgement = if let Some(link) = units.starts(TIMER) {
        Judgement::pass("certificates are looked at once a day").with(Evidence::of(link))
    } else {
        look.host.units().complete()?;
        // A tree without the folder of links says nothing about timers.
        look.host.files.list(&format!("{UNIT_FOLDER}/timers.target.wants"))?;
        let place = units.mask(TIMER).unwrap_or(UNIT_FOLDER);
        Judgement::fail("nothing looks at the certificates: the timer does not start at boot")
            .with(Evidence::of(place).key(TIMER).expected("enabled"))
    };
    look.one(Subject::new(SubjectKind::Service, TIMER), judgement)
}

pub(crate) fn acme_not_renewing(look: &Look<'_>) -> Judged {
    let all = look.take(look.host.certificates())?;
    // Nodes whose settings cannot be read are judged, too: they may order certificates.
    let orders = |node: &&NodeCertificates| {
        node.config
            .value
            .as_ref()
            .map_or(true, |(_, config)| !config.domains.is_empty() || config.refused.is_some())
            || !node.config.doubts.is_empty()
    };
    look.each(
        all.iter().filter(orders),
        |node| subject(node),
        |look, node| {
            let (path, config) = look.take(&node.config)?;
            if let Some(refused) = &config.refused {
                return Ok(Judgement::fail("the settings of ACME are refused: no certificate is renewed")
                    .with(Evidence::at(path, refused.line).observed(&refused.value)));
            }
            let Some((domain, line)) = config.domains.iter().next() else {
                return Ok(Judgement::pass("no certificate is ordered by ACME"));
            };
            let setting = Evidence::at(path, *line).key("acme").observed(domain);
            let Some(custom) = look.take(&node.custom)? else {
                return Ok(Judgement::fail("a certificate is to be ordered by ACME and never was: pveupdate waits for the first one")
                    .with(setting));
            };
            let none = || Stop::unknown(&custom.path, "holds no certificate that could be read");
            let own = custom.pem.certificates.first().ok_or_else(none)?;
            let left = days_until(look.now, own.not_after);
            let evidence = Evidence::at(&custom.path, own.line).key("not after").observed(own.not_after.to_string());
            let missing = config.domains.keys().find(|domain| !own.is_for(domain));
            Ok(if left < ACME_RENEWED_AT - ACME_PATIENCE {
                Judgement::fail(format!(
                    "the certificate ends in {} and should have been renewed {ACME_RENEWED_AT} days before its end",
                    days(left)
                ))
            } else if let Some(missing) = missing {
                Judgement::fail(format!("the certificate is not for {missing}, which it is to be ordered for"))
                    .severity(Severity::Low)
            } else {
                Judgement::pass("the certificate ordered by ACME is up to date")
            }
            .with(evidence)
            .with(setting))
        },
    )
}

pub(crate) fn renewed_by_hand(look: &Look<'_>) -> Judged {
    let all = look.take(look.host.certificates())?;
    let is_custom = |node: &&NodeCertificates| node.custom.value.as_ref().map_or(true, Option::is_some);
    look.each(
        all.iter().filter(is_custom),
        |node| subject(node),
        |look, node| {
            let served = look.take(&node.served)?;
            if !served.is_custom {
                return Ok(Judgement::pass(
                    "the node shows the certificate of the cluster, which is renewed by itself",
                ));
            }
            let (path, config) = look.take(&node.config)?;
            let evidence =
                place(served, served.own()?).key("not after").observed(served.own()?.not_after.to_string());
            Ok(match config.domains.iter().next() {
                Some((domain, line)) => Judgement::pass("the certificate is renewed by ACME")
                    .with(Evidence::at(path, *line).key("acme").observed(domain)),
                None => Judgement::fail("nothing on the node renews this certificate").with(evidence),
            })
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_whole_ones() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(days_until(at("2026-01-01T00:00:00Z"), at("2026-01-02T23:59:59Z")), 1);
        assert_eq!(days_until(at("2026-01-02T00:00:00Z"), at("2026-01-01T23:00:00Z")), -1);
        assert_eq!((days(1), days(0)), ("1 day".to_owned(), "0 days".to_owned()));
    }
}
