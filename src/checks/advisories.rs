//! Published flaws that are judged by more than a version number, and the table of the others.

use std::net::IpAddr;

use jiff::Unit;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::catalogue::{Assertion, Evaluate, Severity, built_in, find, site};
use crate::checks::authentication::second_factor;
use crate::checks::{Judged, Look};
use crate::formats::debian_version::older;
use crate::host::Stop;
use crate::host::access::second_factor::SecondFactor;
use crate::host::access::{Standing, USER_CFG};
use crate::host::advisory::SITE_ADVISORIES;
use crate::host::identity::DPKG_STATUS;
use crate::host::proxy::PROXY_DEFAULT;
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// The module that checks passwords and tickets.
const ACCESS_CONTROL: &str = "/usr/share/perl5/PVE/AccessControl.pm";

/// The package with the flaw of PSA-2026-00043-1 (CVE-2023-54391).
const PACKAGE: &str = "libpve-access-control";

/// First version with the flaw.
const FIRST_BAD: &str = "7.0-7";

/// First version without it. Proxmox VE 7 never got one.
const FIXED: &str = "8.0.4";

/// What the official stop-gap adds once more to a module that has it twice. Fixed versions have it twice as well, so
/// the count says nothing about them.
const STOP_GAP: &str = "verify_ticket($tfa_challenge, 0, $username)";

/// How often a module with the stop-gap contains [`STOP_GAP`].
const STOP_GAP_COUNT: usize = 3;

/// What passes requests from the network on to the loopback interface.
const FORWARDERS: [&str; 6] = [
    "nginx.service",
    "apache2.service",
    "haproxy.service",
    "caddy.service",
    "traefik.service",
    "stunnel4.service",
];

/// `advisories/psa-2026-00043-1`
pub(crate) fn psa_2026_00043_1(look: &Look<'_>) -> Judged {
    let packages = look.take(look.host.packages())?;
    let found = packages.present(PACKAGE);
    let Some((package, version)) = found.and_then(|found| Some((found, found.present_version()?))) else {
        return match look.host.is_proxmox() {
            Some(false) => Err(Stop::not_applicable("this is not a Proxmox VE node")),
            _ => Err(Stop::unknown(DPKG_STATUS, format!("does not tell the version of {PACKAGE}"))),
        };
    };
    let installed = Evidence::at(DPKG_STATUS, package.line).key(PACKAGE).observed(version);
    let judgement = if older(version, FIRST_BAD) {
        Judgement::pass(format!("{PACKAGE} {version} is older than the flaw"))
    } else if older(version, FIXED) {
        exposed(look, version)
    } else {
        Judgement::pass(format!("{PACKAGE} {version} has the fix"))
    };
    let installed = installed.expected(format!(">= {FIXED}"));
    look.one(Subject::new(SubjectKind::Package, PACKAGE), judgement.with(installed))
}

fn exposed(look: &Look<'_>, version: &str) -> Judgement {
    let module = look.own(look.host.count_in_code(ACCESS_CONTROL, STOP_GAP));
    if let Ok(Some(STOP_GAP_COUNT)) = module {
        let summary = format!(
            "{PACKAGE} {version} has the official stop-gap; it works only if pvedaemon and pveproxy were reloaded since"
        );
        let evidence = Evidence::of(ACCESS_CONTROL).key(STOP_GAP).observed(STOP_GAP_COUNT.to_string());
        return Judgement::pass(summary).with(evidence);
    }
    let stop_gap = match &module {
        Ok(Some(count)) => Evidence::of(ACCESS_CONTROL)
            .key(STOP_GAP)
            .observed(count.to_string())
            .expected(STOP_GAP_COUNT.to_string()),
        Ok(None) => Evidence::of(ACCESS_CONTROL).observed("is missing"),
        Err(_) => Evidence::of(ACCESS_CONTROL).observed("could not be read"),
    };
    let fail = |how: &str| {
        let summary = format!(
            "{PACKAGE} {version} lets {how} become root@pam without a password (CVE-2023-54391, exploited in the wild)"
        );
        Judgement::fail(summary).with(stop_gap)
    };
    if let Some(line) = loopback_only(look) {
        let listen = Evidence::at(PROXY_DEFAULT, line).key("LISTEN_IP");
        let how = "everybody with a process on the node, or who reaches a proxy or tunnel that leads to it,";
        return fail(how).severity(Severity::High).with(listen);
    }
    let judgement = fail("everybody who reaches port 8006");
    if everybody_has_a_second_factor(look) == Ok(true) {
        let users = Evidence::of(USER_CFG).observed("every enabled user is asked for a second factor");
        return judgement.severity(Severity::High).with(users);
    }
    judgement
}

/// The line that keeps pveproxy on the loopback interface; none where it listens for others, the default, where a
/// web server or tunnel starts that may lead to it, or where that is not certain.
fn loopback_only(look: &Look<'_>) -> Option<u32> {
    let started = look.host.units();
    let units = started.value.as_ref().ok().filter(|_| started.doubts.is_empty())?;
    if FORWARDERS.iter().any(|name| units.starts(name).is_some()) {
        return None;
    }
    let fact = look.host.proxy();
    let proxy = fact.value.as_ref().ok().filter(|_| fact.doubts.is_empty())?.as_ref()?;
    let listen = proxy.listen_ip.as_ref()?;
    let address: IpAddr = listen.value.parse().ok()?;
    address.to_canonical().is_loopback().then_some(listen.line)
}

/// Whether the flaw finds no user to take over: it only passes over those who are asked for nothing but a password.
fn everybody_has_a_second_factor(look: &Look<'_>) -> Result<bool, Stop> {
    let (access, tfa) = (look.host.access(), look.host.tfa());
    if !access.doubts.is_empty() || !tfa.doubts.is_empty() {
        return Ok(false);
    }
    for (id, user) in &look.take(access)?.users {
        let active = Standing::of_user(user, look.now) == Standing::Active;
        if active && !matches!(second_factor(look, id, user.keys)?, SecondFactor::Asked(_)) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// `advisories/site-table-not-understood`
pub(crate) fn site_table_not_understood(look: &Look<'_>) -> Judged {
    let site = look.take(look.host.site_advisories())?;
    if site.is_empty() {
        return Err(Stop::not_applicable(format!(
            "the site has no advisories of its own in {SITE_ADVISORIES}"
        )));
    }
    look.each(
        site,
        |advisory| Subject::new(SubjectKind::Setting, &advisory.name),
        |_, advisory| {
            let read = advisory
                .text
                .as_ref()
                .map_err(Clone::clone)
                .and_then(|text| site::read(&advisory.name, text));
            Ok(match read {
                Ok(_) => {
                    let replaces =
                        find(&site::id(&advisory.name)).map_or("", |_| " and replaces that of the program");
                    Judgement::pass(format!("the advisory is understood{replaces}"))
                        .with(Evidence::of(&advisory.path))
                }
                Err(why) => Judgement::fail(format!("the advisory is not used: {why}"))
                    .with(Evidence::of(&advisory.path)),
            })
        },
    )
}

/// `advisories/table-outdated`
pub(crate) fn table_outdated(look: &Look<'_>) -> Judged {
    let site = look.take(look.host.site_advisories())?;
    let texts =
        site.iter().filter_map(|advisory| site::read(&advisory.name, advisory.text.as_ref().ok()?).ok());
    let added = texts.filter_map(|file| site::published(&file).map(str::to_owned));
    let own = built_in().into_iter().filter_map(|check| match check.evaluate {
        Evaluate::Assert(Assertion::Advisory(advisory)) => Some(advisory.published.to_owned()),
        _ => None,
    });
    let today = look.now.to_zoned(TimeZone::UTC).date();
    // A day to come is a mistake, and would keep the table new for ever.
    let days = own.chain(added).filter_map(|day| day.parse().ok()).filter(|day: &Date| *day <= today);
    let newest = days.max().unwrap_or(Date::MIN);
    let days = newest.until((Unit::Day, today)).map_or(0, |span| i64::from(span.get_days()));
    let most = look.number("max_age_days");
    let told = Evidence::of(SITE_ADVISORIES).key("newest advisory").observed(newest.to_string());
    let judgement = Judgement::fail_if(
        days > most,
        format!("the newest advisory that is known here is {days} days old: later ones are not looked for"),
        format!("the newest advisory that is known here is of {newest}"),
    );
    look.one(Subject::node(), judgement.with(told.expected(format!("not older than {most} days"))))
}
