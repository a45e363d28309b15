//! How long the installed releases get security fixes.
//!
//! The dates are those of the Proxmox VE documentation (frequently asked questions, "How long will my Proxmox VE
//! version be supported?") and of the Debian release pages; releases they do not name yet are unknown here.

use jiff::Unit;
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;

use crate::catalogue::Severity;
use crate::checks::{Judged, Look};
use crate::host::Stop;
use crate::host::identity::DPKG_STATUS;
use crate::outcome::{Evidence, Judgement, Subject};

/// Last day of support of the releases of Proxmox VE.
const PROXMOX_VE: [(u32, Date); 3] = [(6, date(2022, 9, 30)), (7, date(2024, 7, 31)), (8, date(2026, 8, 31))];

/// A release whose end is not announced: it is supported at least as long as the Debian release below it gets
/// regular security support.
const PROXMOX_VE_OPEN: (u32, Date) = (9, date(2028, 8, 9));

/// The life of a Debian release.
struct DebianLife {
    major: u32,
    /// Last day of regular security support.
    security: Date,
    /// Last day of long-term support, which covers most packages.
    lts: Date,
}

const DEBIAN: [DebianLife; 4] = [
    DebianLife { major: 10, security: date(2022, 9, 10), lts: date(2024, 6, 30) },
    DebianLife { major: 11, security: date(2024, 8, 14), lts: date(2026, 8, 31) },
    DebianLife { major: 12, security: date(2026, 7, 11), lts: date(2028, 6, 30) },
    DebianLife { major: 13, security: date(2028, 8, 9), lts: date(2030, 6, 30) },
];

/// Last day of support by upstream of the releases of Ceph, by the first number of their versions, as
/// docs.ceph.com/en/latest/releases had it in November 2026; those to come are estimates.
const CEPH: [(u32, &str, Date); 7] = [
    (15, "Octopus", date(2022, 8, 9)),
    (16, "Pacific", date(2024, 3, 4)),
    (17, "Quincy", date(2025, 1, 13)),
    (18, "Reef", date(2026, 3, 31)),
    (19, "Squid", date(2026, 12, 2)),
    (20, "Tentacle", date(2027, 6, 1)),
    (21, "Umbrella", date(2028, 10, 28)),
];

/// The daemons of Ceph. The client libraries are on every node and are updated with Proxmox VE.
const CEPH_DAEMONS: [&str; 4] = ["ceph-mon", "ceph-osd", "ceph-mds", "ceph-mgr"];

/// The package whose version is the version of Proxmox VE.
const PVE_MANAGER: &str = "pve-manager";

const OS_RELEASE: &str = "/etc/os-release";

fn today(look: &Look<'_>) -> Date {
    look.now.to_zoned(TimeZone::UTC).date()
}

/// Days from `today` to `end`.
fn days_until(today: Date, end: Date) -> i64 {
    today.until((Unit::Day, end)).map_or(0, |span| i64::from(span.get_days()))
}

/// Judges a last day: over, soon over, or far away.
fn life(look: &Look<'_>, what: &str, end: Date) -> Judgement {
    let today = today(look);
    let days = days_until(today, end);
    if today > end {
        Judgement::fail(format!("{what} ended on {end}: flaws found since then stay open"))
    } else if days < look.number("warn_days") {
        Judgement::fail(format!("{what} ends on {end}, in {days} days")).severity(Severity::Low)
    } else {
        Judgement::pass(format!("{what} lasts until {end}"))
    }
}

/// `lifecycle/proxmox-ve-end-of-life`
pub(crate) fn proxmox_ve_end_of_life(look: &Look<'_>) -> Judged {
    let major = proxmox_major(look)?;
    let judgement = match PROXMOX_VE.iter().find(|(release, _)| *release == major) {
        Some((_, end)) => life(look, &format!("support of Proxmox VE {major}"), *end),
        None if PROXMOX_VE.first().is_some_and(|(oldest, _)| major < *oldest) => {
            Judgement::fail(format!("support of Proxmox VE {major} ended years ago"))
        }
        None if major == PROXMOX_VE_OPEN.0 && today(look) <= PROXMOX_VE_OPEN.1 => Judgement::pass(format!(
            "Proxmox VE {major} is supported; its end is not announced and not before {}",
            PROXMOX_VE_OPEN.1
        )),
        None => Judgement::unknown(format!("when the support of Proxmox VE {major} ends is not known here")),
    };
    let package = look.host.packages().value.as_ref().ok().and_then(|packages| packages.present(PVE_MANAGER));
    let evidence = package.filter(|_| look.host.assumed().is_none()).map(|package| {
        let version = package.present_version().unwrap_or_default();
        Evidence::at(DPKG_STATUS, package.line).key(PVE_MANAGER).observed(version)
    });
    look.one(Subject::node(), judgement.with_all(evidence))
}

/// The major release, also one whose files are not understood here.
fn proxmox_major(look: &Look<'_>) -> Result<u32, Stop> {
    if let Some(release) = look.host.assumed() {
        return Ok(u32::from(release.major()));
    }
    // What is doubtful about the package database is doubtful about the version it tells.
    let known = look.take(look.host.packages()).is_ok();
    let Some(version) = look.host.pve_version().filter(|_| known) else {
        return Ok(u32::from(look.host.release()?.major()));
    };
    let major = version.split('.').next().and_then(|major| major.parse().ok());
    major.ok_or_else(|| Stop::unknown(DPKG_STATUS, "has a pve-manager without a version number"))
}

/// `lifecycle/debian-end-of-life`
pub(crate) fn debian_end_of_life(look: &Look<'_>) -> Judged {
    let os = look.take(look.host.os())?;
    if !os.id.is_empty() && os.id != "debian" {
        return Err(Stop::not_applicable("this is not Debian"));
    }
    let major: u32 = os
        .version_id
        .parse()
        .map_err(|_| Stop::unknown(OS_RELEASE, "does not tell the version of Debian"))?;
    let judgement = match DEBIAN.iter().find(|life| life.major == major) {
        Some(known) => debian_life(look, known),
        None if DEBIAN.first().is_some_and(|oldest| major < oldest.major) => {
            Judgement::fail(format!("support of Debian {major} ended years ago"))
        }
        None => Judgement::unknown(format!("when the support of Debian {major} ends is not known here")),
    };
    look.one(
        Subject::node(),
        judgement.with(Evidence::of(OS_RELEASE).key("VERSION_ID").observed(&os.version_id)),
    )
}

/// Between the end of regular and of long-term support most packages still get fixes, so that is a step of its own.
fn debian_life(look: &Look<'_>, known: &DebianLife) -> Judgement {
    let DebianLife { major, security, lts } = known;
    if today(look) > *lts {
        return life(look, &format!("long-term support of Debian {major}"), *lts);
    }
    let regular = life(look, &format!("security support of Debian {major}"), *security);
    if today(look) <= *security {
        return regular;
    }
    Judgement::fail(format!(
        "regular security support of Debian {major} ended on {security}; long-term support, which leaves out some packages, lasts until {lts}"
    ))
    .severity(Severity::Low)
}

/// `lifecycle/ceph-end-of-life`
pub(crate) fn ceph_end_of_life(look: &Look<'_>) -> Judged {
    let packages = look.take(look.host.packages())?;
    let daemon = CEPH_DAEMONS.iter().find_map(|name| packages.present(name));
    let Some((package, version)) = daemon.and_then(|found| Some((found, found.present_version()?))) else {
        return Err(Stop::not_applicable("no daemon of Ceph is installed"));
    };
    let major = version.split_once(':').map_or(version, |(_, version)| version).split('.').next();
    let major: u32 = major.and_then(|major| major.parse().ok()).ok_or_else(|| {
        Stop::unknown(DPKG_STATUS, format!("has a {} without a version number", package.name))
    })?;
    let judgement = match CEPH.iter().find(|(release, ..)| *release == major) {
        Some((_, name, end)) => life(look, &format!("support of Ceph {major} {name}"), *end),
        None if CEPH.first().is_some_and(|(oldest, ..)| major < *oldest) => {
            Judgement::fail(format!("support of Ceph {major} ended years ago"))
        }
        None => Judgement::unknown(format!("when the support of Ceph {major} ends is not known here")),
    };
    let seen = Evidence::at(DPKG_STATUS, package.line).key(&package.name).observed(version);
    look.one(Subject::node(), judgement.with(seen))
}
