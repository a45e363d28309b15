//! What is published and not installed.

use std::fmt::Write as _;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::catalogue::Severity;
use crate::checks::apt::codename;
use crate::checks::{Judged, Look};
use crate::formats::dpkg_status::{Package, State as PackageState, Want};
use crate::formats::numbered;
use crate::host::apt::repository::{Repository, Vendor, base_suite};
use crate::host::identity::{DPKG_INTERRUPTED, DPKG_STATUS};
use crate::host::updates::{LISTS, List, PIN_NOT_UNDERSTOOD, State, Update, Updates};
use crate::host::{Doubt, Stop, kernels};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// What a list has to have.
const FIXES: &str = "of Debian's security updates";

/// How many packages are named in one finding.
const NAMED: usize = 20;

/// Starts of the names of packages whose flaws are reached from the network: they read what strangers send.
const REACHED: [&str; 20] = [
    "openssh-server",
    "openssl",
    "libssl",
    "libgnutls",
    "libgcrypt",
    "libkrb5",
    "libgssapi",
    "libc6",
    "zlib1g",
    "bind9",
    "libdns",
    "postfix",
    "exim4",
    "rpcbind",
    "nfs-",
    "rsync",
    "libnss3",
    "chrony",
    "libcurl",
    "libnghttp2",
];

/// The updates, with the doubts about these lists only: a list that cannot bring what is asked for cannot hide it.
fn updates<'h>(look: &Look<'h>, wanted: fn(&List) -> bool) -> Result<&'h Updates, Stop> {
    let fact = look.host.updates();
    let updates = fact.value.as_ref().map_err(Clone::clone)?;
    let wanted: Vec<String> = updates
        .lists
        .iter()
        .filter(|list| wanted(list))
        .map(|list| format!("{LISTS}/{}", list.source.entry.list_file("")))
        .collect();
    for doubt in &fact.doubts {
        let of_list = doubt.path.starts_with(LISTS) && doubt.path != LISTS;
        if !of_list || wanted.iter().any(|start| doubt.path.starts_with(start)) {
            look.doubt(doubt.clone());
        }
    }
    Ok(updates)
}

fn is_proxmox(list: &List) -> bool {
    matches!(Repository::of(&list.source.entry).vendor, Vendor::Proxmox(..))
}

/// Whether it has the fixes themselves: those for the other components of Debian are few.
fn has_fixes(list: &List) -> bool {
    list.is_security() && list.archive.component == "main"
}

/// The lists of that kind that were read and are for the architecture and the release of this host. Without one
/// nothing can be said to be up to date.
fn read_any<'u>(
    look: &Look<'_>,
    updates: &'u Updates,
    wanted: fn(&List) -> bool,
    what: &str,
) -> Result<Vec<&'u List>, Stop> {
    let codename = codename(look)?;
    let native = &look.host.apt_sources().value.as_ref().map_err(Clone::clone)?.native;
    let is_ours = |list: &&List| {
        // What the archive says about itself counts before the name the source has for it.
        let archive = &list.archive;
        let named = if archive.codename.is_empty() { &list.source.entry.suite } else { &archive.codename };
        archive.architecture.as_ref() == Some(native) && base_suite(named) == codename
    };
    let read = updates.lists.iter().filter(|list| wanted(list) && list.was_read());
    let ours: Vec<&List> = read.filter(is_ours).collect();
    if ours.is_empty() {
        let what = format!("has no list {what} for {codename} and {native}: what is pending is not known");
        return Err(Stop::unknown(LISTS, what));
    }
    Ok(ours)
}

/// Doubts lists that are so old that they do not have the fixes of today.
fn heed_age(look: &Look<'_>, lists: &[&List]) {
    /// Hours of a day.
    const DAY: i64 = 24;
    let most = look.number("max_age_days");
    for list in lists {
        let days = list.date.map(|date| look.now.duration_since(date).as_hours() / DAY);
        let old = days.filter(|days| *days > most).map(|days| format!("is {days} days old"));
        let expired = list.valid_until.filter(|end| *end < look.now).map(|end| format!("expired on {end}"));
        if let Some(what) = old.or(expired) {
            let what = format!("{what}: what was published since is not known to the node");
            look.doubt(Doubt::about(&list.path, what));
        }
    }
}

fn evidence(update: &Update) -> Evidence {
    let what = format!("{} {}", update.package, update.installed);
    Evidence::at(DPKG_STATUS, update.line).key("Version").observed(what).expected(&update.candidate)
}

/// The first few names.
fn names(updates: &[&Update]) -> String {
    const IN_SUMMARY: usize = 5;
    let names: Vec<&str> = updates.iter().take(IN_SUMMARY).map(|update| update.package.as_str()).collect();
    let more = if updates.len() > IN_SUMMARY { ", …" } else { "" };
    names.join(", ") + more
}

/// Whether it is the program or library itself; headers and documentation read nothing.
fn reads(update: &Update, start: &str) -> bool {
    const SILENT: [&str; 4] = ["-dev", "-doc", "-dbg", "-dbgsym"];
    update.package.starts_with(start) && !SILENT.iter().any(|end| update.package.ends_with(end))
}

/// `updates/security-updates-pending`
pub(crate) fn security_updates_pending(look: &Look<'_>) -> Judged {
    let updates = updates(look, List::is_security)?;
    let pending: Vec<&Update> =
        updates.upgradable.iter().filter(|update| update.security && !update.held).collect();
    if pending.is_empty() {
        heed_age(look, &read_any(look, updates, has_fixes, FIXES)?);
        return look.one(Subject::node(), Judgement::pass("no security update of Debian is pending"));
    }
    // The first of the table first: these are the ones that are named.
    let reached: Vec<&Update> = REACHED
        .iter()
        .flat_map(|start| pending.iter().filter(|update| reads(update, start)))
        .copied()
        .collect();
    let (severity, which) =
        if reached.is_empty() { (Severity::Medium, &pending) } else { (Severity::High, &reached) };
    let mut summary = format!("{} security updates are pending, among them {}", pending.len(), names(which));
    let pins = look.host.updates().doubts.iter().find(|doubt| doubt.code == PIN_NOT_UNDERSTOOD);
    if let Some(pin) = pins {
        let _ = write!(summary, "; apt may take others, for {pin}");
    }
    let rest = pending.iter().filter(|update| !reached.contains(update));
    let evidence = reached.iter().chain(rest).take(NAMED).map(|update| evidence(update));
    look.one(Subject::node(), Judgement::fail(summary).severity(severity).with_all(evidence))
}

/// `updates/held-package-blocks-security`
pub(crate) fn held_package_blocks_security(look: &Look<'_>) -> Judged {
    let packages = look.take(look.host.packages())?;
    let held: Vec<&Package> = packages.all_present().filter(|package| package.want == Want::Hold).collect();
    if held.is_empty() {
        return look.one(Subject::node(), Judgement::pass("no package is held"));
    }
    let updates = updates(look, List::is_security)?;
    read_any(look, updates, has_fixes, FIXES)?;
    let subject = |package: &&Package| Subject::new(SubjectKind::Package, &package.name);
    look.each(held, subject, |_, package| {
        let fix = updates.upgradable.iter().find(|update| update.security && update.line == package.line);
        Ok(match fix {
            Some(update) => Judgement::fail(format!(
                "held at {}, and {} has a security update",
                update.installed, update.candidate
            ))
            .with(evidence(update)),
            None => Judgement::pass("held, and no security update is pending for it")
                .at(DPKG_STATUS, package.line),
        })
    })
}

/// `updates/security-fix-kept-back`
pub(crate) fn security_fix_kept_back(look: &Look<'_>) -> Judged {
    let updates = updates(look, List::is_security)?;
    if updates.kept_back.is_empty() {
        read_any(look, updates, has_fixes, FIXES)?;
        let judgement = Judgement::pass("apt takes every security update of Debian that is newer");
        return look.one(Subject::node(), judgement);
    }
    let subject = |kept: &&crate::host::updates::KeptBack| Subject::new(SubjectKind::Package, &kept.package);
    look.each(&updates.kept_back, subject, |_, kept| {
        let instead = kept.candidate.as_deref().unwrap_or("nothing");
        let summary = format!("the fix {} is published, and apt would install {instead}", kept.fix);
        let evidence = Evidence::at(DPKG_STATUS, kept.line).key("Version");
        Ok(Judgement::fail(summary).with(evidence.observed(&kept.installed).expected(&kept.fix)))
    })
}

/// Where dpkg writes what it does, newest first.
const DPKG_LOGS: [&str; 2] = ["/var/log/dpkg.log", "/var/log/dpkg.log.1"];

/// When a package was last brought to a newer version, with the place that says so.
fn last_upgrade(look: &Look<'_>) -> Result<(Timestamp, Evidence), Stop> {
    /// Length of `2026-11-20 00:12:42`.
    const TIME: usize = 19;
    for path in DPKG_LOGS {
        let text = match look.host.files.bytes(path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(trouble) if trouble.is_missing() => continue,
            Err(trouble) => return Err(trouble.into()),
        };
        let lines = numbered(&text).filter_map(|(number, line)| {
            let (time, rest) = line.split_at_checked(TIME)?;
            let upgrade = rest.strip_prefix(" upgrade ")?;
            let time: DateTime = time.replace(' ', "T").parse().ok()?;
            // The clock of the host is taken for UTC: days are counted.
            Some((time.to_zoned(TimeZone::UTC).ok()?.timestamp(), number, upgrade.to_owned()))
        });
        if let Some((time, number, upgrade)) = lines.max_by_key(|(time, ..)| *time) {
            return Ok((time, Evidence::at(path, number).key("last upgrade").observed(upgrade)));
        }
    }
    Err(Stop::unknown("/var/log/dpkg.log", "names no upgrade: since when updates are pending is not known"))
}

/// `updates/proxmox-updates-not-installed`
pub(crate) fn proxmox_updates_not_installed(look: &Look<'_>) -> Judged {
    const HOURS_OF_A_DAY: i64 = 24;
    if look.host.is_proxmox() == Some(false) {
        return Err(Stop::not_applicable("this is not a Proxmox VE node"));
    }
    let updates = updates(look, is_proxmox)?;
    let from_proxmox = |update: &&Update| updates.list_of(update).is_some_and(is_proxmox) && !update.held;
    let pending: Vec<&Update> = updates.upgradable.iter().filter(from_proxmox).collect();
    if pending.is_empty() {
        read_any(look, updates, is_proxmox, "of Proxmox's packages")?;
        return look.one(Subject::node(), Judgement::pass("no update of Proxmox's packages is pending"));
    }
    let (time, log) = last_upgrade(look)?;
    let most = look.number("max_days");
    let days = look.now.duration_since(time).as_hours() / HOURS_OF_A_DAY;
    let summary = format!(
        "{} updates of Proxmox's packages are pending ({}) and the last upgrade was {days} days ago",
        pending.len(),
        names(&pending)
    );
    if time > look.now.checked_add(24.hours()).unwrap_or(look.now) {
        return Err(Stop::unknown("/var/log/dpkg.log", "names an upgrade in the future"));
    }
    let judgement = Judgement::fail_if(days > most, summary.clone(), summary);
    let judgement = judgement.with(log.expected(format!("not longer ago than {most} days")));
    look.one(Subject::node(), judgement.with_all(pending.iter().take(NAMED).map(|update| evidence(update))))
}

/// `updates/package-half-installed`
pub(crate) fn package_half_installed(look: &Look<'_>) -> Judged {
    let fact = look.host.packages();
    let packages = look.take(fact)?;
    if let Some(journal) = fact.doubts.iter().find(|doubt| doubt.code == DPKG_INTERRUPTED) {
        let judgement = Judgement::fail("dpkg was interrupted: packages are installed by half");
        let evidence = Evidence::of(&journal.path).observed(&journal.what);
        return look.one(Subject::node(), judgement.with(evidence));
    }
    let what = |package: &Package| match package.state {
        PackageState::HalfInstalled => Some("its installation was begun and not finished"),
        PackageState::Unpacked => Some("it is unpacked and not configured: it may run with nothing set up"),
        PackageState::HalfConfigured => Some("its configuration was begun and not finished"),
        _ if package.reinstall_required => Some("dpkg asks for it to be installed again"),
        _ => None,
    };
    let broken: Vec<&Package> =
        packages.packages.values().flatten().filter(|package| what(package).is_some()).collect();
    if broken.is_empty() {
        return look.one(Subject::node(), Judgement::pass("every package is installed whole"));
    }
    let subject = |package: &&Package| Subject::new(SubjectKind::Package, &package.name);
    look.each(broken, subject, |_, package| {
        let evidence = Evidence::at(DPKG_STATUS, package.line).key("Status").expected("install ok installed");
        Ok(Judgement::fail(what(package).unwrap_or_default()).with(evidence))
    })
}

/// `updates/package-list-missing`
pub(crate) fn package_list_missing(look: &Look<'_>) -> Judged {
    let updates = look.host.updates().value.as_ref().map_err(Clone::clone)?;
    let subject = |list: &&List| Subject::new(SubjectKind::Repository, list_name(list));
    let offered = updates.lists.iter().filter(|list| list.state != State::NotOffered);
    look.each(offered, subject, |_, list| {
        let place = Evidence::at(&list.source.path, list.source.entry.line);
        match &list.state {
            State::Missing => {
                Ok(Judgement::fail("its package list is not there: nothing of it ever shows as pending")
                    .with(Evidence::of(&list.path).expected("a list that apt has fetched"))
                    .with(place))
            }
            State::Damaged(what) | State::Unreadable(what) => Err(Stop::unknown(&list.path, what)),
            State::Read | State::NotOffered => {
                Ok(Judgement::pass(format!("its list has {} packages", list.versions)).with(place))
            }
        }
    })
}

/// The source, with the architecture where it is one of several.
fn list_name(list: &List) -> String {
    let architecture = list.archive.architecture.as_deref().unwrap_or_default();
    format!("{} {architecture}", list.source_text()).trim_end().to_owned()
}

/// `updates/package-list-expired`
pub(crate) fn package_list_expired(look: &Look<'_>) -> Judged {
    let updates = look.host.updates().value.as_ref().map_err(Clone::clone)?;
    let mut archives: Vec<(&List, Timestamp)> = Vec::new();
    for list in &updates.lists {
        let known = |(known, _): &(&List, Timestamp)| {
            known.source.entry.release_uri() == list.source.entry.release_uri()
        };
        if let Some(end) = list.valid_until.filter(|_| !archives.iter().any(known)) {
            archives.push((list, end));
        }
    }
    if archives.is_empty() {
        look.host.updates().complete()?;
        return Err(Stop::not_applicable("no archive says until when its lists are valid"));
    }
    let subject = |(list, _): &(&List, Timestamp)| {
        Subject::new(
            SubjectKind::Repository,
            format!("{} {}", list.source.entry.uri, list.source.entry.suite),
        )
    };
    look.each(archives, subject, |_, (list, end)| {
        let path = format!("{LISTS}/{}", list.source.entry.list_file("InRelease"));
        let evidence = Evidence::of(path).key("Valid-Until").observed(end.to_string());
        let judgement = Judgement::fail_if(
            *end < look.now,
            "its lists have expired: newer ones were not fetched since",
            "its lists are valid",
        );
        Ok(judgement.with(evidence))
    })
}

/// `updates/package-from-no-source`
pub(crate) fn package_from_no_source(look: &Look<'_>) -> Judged {
    let fact = look.host.updates();
    let updates = look.take(fact)?;
    let packages = look.take(look.host.packages())?;
    let kernels: Vec<u32> = kernels::installed(packages).iter().map(|kernel| kernel.line).collect();
    // Archives drop old kernels while nodes keep them.
    let foreign: Vec<_> = updates.foreign.iter().filter(|foreign| !kernels.contains(&foreign.line)).collect();
    if foreign.is_empty() {
        let judgement = Judgement::pass("every installed package is in the list of a configured source");
        return look.one(Subject::node(), judgement);
    }
    // It may be in a list that was not read.
    fact.complete()?;
    let names: Vec<&str> = foreign.iter().take(NAMED).map(|foreign| foreign.package.as_str()).collect();
    let more = if foreign.len() > NAMED { ", …" } else { "" };
    let summary =
        format!("{} packages come from no configured source: {}{more}", foreign.len(), names.join(", "));
    let evidence = foreign.iter().take(NAMED).map(|foreign| {
        let what = format!("{} {}", foreign.package, foreign.version);
        Evidence::at(DPKG_STATUS, foreign.line).key("Package").observed(what)
    });
    look.one(Subject::node(), Judgement::fail(summary).with_all(evidence))
}
