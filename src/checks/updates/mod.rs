//! Whether fixes that are published get into the running system.

mod automatic;
mod kernels;
mod pending;
mod running;

pub(crate) use automatic::{automatic_reboot_enabled, automatic_upgrade_of_proxmox};
pub(crate) use kernels::{kernel_pinned_old, kernel_series_unsupported};
pub(crate) use pending::{
    held_package_blocks_security, package_from_no_source, package_half_installed, package_list_expired,
    package_list_missing, proxmox_updates_not_installed, security_fix_kept_back, security_updates_pending,
};
pub(crate) use running::{reboot_required, service_on_old_code};

use regex::Regex;

use crate::checks::apt::{codename, is_binary, is_native};
use crate::checks::{Judged, Look};
use crate::formats::apt_conf::Tree;
use crate::formats::apt_match;
use crate::formats::debian_version::compare;
use crate::formats::proc_version::package_version_of;
use crate::host::Stop;
use crate::host::apt::Source;
use crate::host::apt::repository::{Part, RELEASED_BY_ROLE, Repository, Vendor, base_suite};
use crate::host::identity::DPKG_STATUS;
use crate::host::kernels::{Kernel, installed, is_proxmox_release};
use crate::host::system::units::UNIT_FOLDER;
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// `updates/running-kernel-outdated`
pub(crate) fn running_kernel_outdated(look: &Look<'_>) -> Judged {
    let packages = look.take(look.host.packages())?;
    let kernels = installed(packages);
    let release = look
        .host
        .running_kernel()
        .ok_or_else(|| Stop::unknown("the running kernel", "is not known; run on the live host"))?;
    let proxmox = is_proxmox_release(&release);
    let newest = kernels.iter().rfind(|kernel| kernel.is_proxmox()).or(kernels.last());
    let Some(newest) = newest else {
        return Err(Stop::unknown(DPKG_STATUS, "has no package with a kernel"));
    };
    let observed = Evidence::at(DPKG_STATUS, newest.line).key("newest kernel").observed(newest.release);
    if newest.is_proxmox() && !proxmox {
        let summary =
            format!("{release} runs, which Proxmox did not build, and {} is installed", newest.release);
        return look.one(Subject::node(), Judgement::fail(summary).with(observed));
    }
    let running = running_version(look, &kernels, &release)?;
    if compare(&running, newest.version).is_ge() {
        let summary = format!("the newest installed kernel runs: {release}");
        return look.one(Subject::node(), Judgement::pass(summary).with(observed));
    }
    let pin = look.own(look.host.pinned_kernel()).ok().flatten();
    let pinned = pin.map(|pin| format!("; the boot loader is told to keep {pin}")).unwrap_or_default();
    let summary = format!(
        "{release} ({running}) runs and {} is installed: a reboot is pending{pinned}",
        newest.release
    );
    look.one(Subject::node(), Judgement::fail(summary).with(observed.expected(release)))
}

/// The version of the running kernel's package. The release of a kernel of Proxmox's tells it, but for the 5 series,
/// whose packages were replaced under the same release: there only the kernel itself knows.
pub(crate) fn running_version(
    look: &Look<'_>,
    kernels: &[Kernel<'_>],
    release: &str,
) -> Result<String, Stop> {
    let build = look.own(look.host.running_build())?;
    let told = build.and_then(|build| build.package_version);
    let known = told.or_else(|| {
        if is_proxmox_release(release) {
            return package_version_of(release);
        }
        kernels.iter().find(|kernel| kernel.release == release).map(|kernel| kernel.version.to_owned())
    });
    let unknown = || format!("does not tell the version of the running kernel {release}");
    known.ok_or_else(|| Stop::unknown("/proc/version", unknown()))
}

/// `updates/package-lists-outdated`
pub(crate) fn package_lists_outdated(look: &Look<'_>) -> Judged {
    /// Hours of a day.
    const DAY: i64 = 24;
    let sources = look.take(look.host.apt_sources())?;
    let codename = codename(look)?;
    // Debian's security archive is dated anew several times a day; others only when something changes.
    let security = sources.used().filter(|source| {
        let base = base_suite(&source.entry.suite);
        let ours = base == codename || RELEASED_BY_ROLE.contains(&base);
        let security = Repository::of(&source.entry).vendor == Vendor::Debian(Part::Security);
        ours && security && is_binary(source) && is_native(source, sources)
    });
    let read = |source: &Source| -> Result<(i64, Evidence), Stop> {
        let path = format!("/var/lib/apt/lists/{}", source.entry.list_file("InRelease"));
        let release = look.own(look.host.apt_release_file(&source.entry))?;
        let release = release.ok_or_else(|| {
            Stop::unknown(&path, "is missing: the package lists were never fetched, or are not kept")
        })?;
        let date = release.date().ok_or_else(|| Stop::unknown(&path, "has no date"))?;
        let hours = look.now.duration_since(date).as_hours();
        if hours < 0 {
            return Err(Stop::unknown(&path, "has a date in the future"));
        }
        Ok((hours / DAY, Evidence::of(path).key("Date").observed(&release.date)))
    };
    let (mut oldest, mut trouble): (Option<(i64, Evidence)>, Option<Stop>) = (None, None);
    for source in security {
        match read(source) {
            Ok(found) if oldest.as_ref().is_none_or(|oldest| oldest.0 < found.0) => oldest = Some(found),
            Ok(_) => {}
            Err(stop) => trouble = trouble.or(Some(stop)),
        }
    }
    let most = look.number("max_age_days");
    // One old list is enough; that none is old takes all of them.
    let (days, evidence) = match (oldest, trouble) {
        (Some(found), trouble) if found.0 > most || trouble.is_none() => found,
        (_, Some(trouble)) => return Err(trouble),
        _ => return Err(Stop::not_applicable("no source brings security updates of Debian")),
    };
    let judgement = Judgement::fail_if(
        days > most,
        format!("the list of security updates is {days} days old: what is pending is not known to the node"),
        format!("the list of security updates is {days} days old"),
    );
    look.one(Subject::node(), judgement.with(evidence.expected(format!("not older than {most} days"))))
}

/// `updates/microcode-missing`
pub(crate) fn microcode_missing(look: &Look<'_>) -> Judged {
    const CPUINFO: &str = "/proc/cpuinfo";
    let processor = look.own(look.host.processor())?;
    let package = match processor.vendor.as_str() {
        "GenuineIntel" => "intel-microcode",
        "AuthenticAMD" => "amd64-microcode",
        "" => return Err(Stop::not_applicable("the processor takes no microcode from Debian")),
        _ => return Err(Stop::unknown(CPUINFO, "names a vendor whose microcode package is not known here")),
    };
    if processor.virtual_machine {
        return Err(Stop::not_applicable("this is a virtual machine: its hypervisor updates the processor"));
    }
    let packages = look.take(look.host.packages())?;
    let vendor = Evidence::at(CPUINFO, processor.vendor_line).key("vendor_id").observed(&processor.vendor);
    let judgement = match packages.present(package) {
        Some(found) => Judgement::pass(format!("{package} is installed")).at(DPKG_STATUS, found.line),
        None => Judgement::fail(format!(
            "{package} is not installed: the processor runs with the microcode of the firmware"
        )),
    };
    look.one(Subject::new(SubjectKind::Package, package), judgement.with(vendor))
}

/// What has to be on for `apt.systemd.daily` to install updates. Upstream's defaults: `1`, `0`, `0`.
const PERIODIC: [(&str, &str); 3] =
    [(SWITCH, "1"), ("APT::Periodic::Update-Package-Lists", "0"), ("APT::Periodic::Unattended-Upgrade", "0")];

/// A switch; the other settings are intervals.
const SWITCH: &str = "APT::Periodic::Enable";

/// Longest interval that still counts as soon: three days, in seconds.
const LONGEST_INTERVAL: u64 = 3 * 24 * 60 * 60;

/// The units that start it.
const TIMERS: [&str; 2] = ["apt-daily.timer", "apt-daily-upgrade.timer"];

/// `updates/security-updates-not-automatic`
pub(crate) fn security_updates_not_automatic(look: &Look<'_>) -> Judged {
    const PACKAGE: &str = "unattended-upgrades";
    let packages = look.take(look.host.packages())?;
    let Some(package) = packages.present(PACKAGE) else {
        let judgement =
            Judgement::fail(format!("{PACKAGE} is not installed")).with(Evidence::of(DPKG_STATUS));
        return look.one(Subject::node(), judgement);
    };
    let conf = look.take(look.host.apt_conf())?;
    for (name, default) in PERIODIC {
        let setting = conf.tree.find(name);
        if setting.map_or(default, |setting| setting.value.as_str()) == "0" {
            let evidence = match setting {
                Some(setting) => Evidence::at(&*setting.file, setting.line).observed(&setting.value),
                None => Evidence::of("/etc/apt/apt.conf.d").observed("not set"),
            };
            let judgement = Judgement::fail(format!("{name} is off")).with(evidence.key(name).expected("1"));
            return look.one(Subject::node(), judgement);
        }
        let Some(setting) = setting.filter(|_| name != SWITCH) else { continue };
        let evidence = Evidence::at(&*setting.file, setting.line).key(name).observed(&setting.value);
        let judgement = match seconds(&setting.value) {
            Some(seconds) if seconds <= LONGEST_INTERVAL => continue,
            Some(_) => Judgement::fail(format!("{name} comes round less often than every three days")),
            None => Judgement::unknown(format!("{name} is no interval that is understood here")),
        };
        return look.one(Subject::node(), judgement.with(evidence.expected("1")));
    }
    if let Some(judgement) = blacklisted(&conf.tree) {
        return look.one(Subject::node(), judgement);
    }
    let codename = look.take(look.host.os())?.version_codename.as_str();
    if !brings_security(&conf.tree, codename) {
        let judgement =
            Judgement::fail("no origin pattern of unattended-upgrades covers Debian's security updates")
                .with(Evidence::of("/etc/apt/apt.conf.d").key("Unattended-Upgrade::Origins-Pattern"));
        return look.one(Subject::node(), judgement);
    }
    let units = look.take(look.host.units())?;
    if let Some(timer) = TIMERS.iter().find(|timer| units.starts(timer).is_none()) {
        let judgement = match units.mask(timer) {
            Some(mask) => Judgement::fail(format!("{timer} is masked")).with(Evidence::of(mask)),
            None => {
                Judgement::fail(format!("{timer} does not start at boot")).with(Evidence::of(UNIT_FOLDER))
            }
        };
        return look.one(Subject::node(), judgement);
    }
    let judgement =
        Judgement::pass("security updates of Debian are installed daily").at(DPKG_STATUS, package.line);
    look.one(Subject::node(), judgement)
}

/// An interval of `apt.systemd.daily` in seconds: `always`, or a number of days, or one with `s`, `m`, `h` or `d`.
fn seconds(text: &str) -> Option<u64> {
    if text == "always" {
        return Some(0);
    }
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match text.strip_prefix(digits)? {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "" | "d" => 24 * 60 * 60,
        _ => return None,
    };
    let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse::<u64>().ok())??;
    number.checked_mul(unit)
}

/// What an entry of the blacklist says, if it keeps back what attackers look for first. Each entry is a regular
/// expression that is matched at the beginning of a name.
fn blacklisted(tree: &Tree) -> Option<Judgement> {
    const NAME: &str = "Unattended-Upgrade::Package-Blacklist";
    const PROBES: [&str; 3] = ["openssl", "openssh-server", "libc6"];
    let mut doubtful = None;
    for setting in tree.list(NAME) {
        let evidence = Evidence::at(&*setting.file, setting.line).key(NAME).observed(&setting.value);
        let Ok(regex) = Regex::new(&format!("^(?:{})", setting.value)) else {
            let unknown = Judgement::unknown("the blacklist has a pattern that is not understood here");
            doubtful = doubtful.or(Some(unknown.with(evidence)));
            continue;
        };
        if let Some(probe) = PROBES.into_iter().find(|probe| regex.is_match(probe)) {
            return Some(Judgement::fail(format!("the blacklist keeps {probe} back")).with(evidence));
        }
    }
    doubtful
}

/// Whether unattended-upgrades takes packages of Debian's security archive: `Origins-Pattern` has
/// `key=pattern,…`, the older `Allowed-Origins` has `origin:suite`.
fn brings_security(tree: &Tree, codename: &str) -> bool {
    let replaced =
        |text: &str| text.replace("${distro_id}", "Debian").replace("${distro_codename}", codename);
    let patterns = tree.list("Unattended-Upgrade::Origins-Pattern");
    let allowed = tree.list("Unattended-Upgrade::Allowed-Origins");
    patterns.iter().any(|pattern| pattern_takes_security(&replaced(&pattern.value), codename))
        || allowed.iter().any(|allowed| allowed_takes_security(&replaced(&allowed.value), codename))
}

/// Suite and codename of the security archive; the role changes with time.
fn security_suites(codename: &str) -> Vec<String> {
    let names = RELEASED_BY_ROLE.iter().copied().chain([codename]);
    names.map(|name| format!("{name}-security")).collect()
}

fn pattern_takes_security(pattern: &str, codename: &str) -> bool {
    let matches = |pattern: &str, text: &str| apt_match::expression(pattern, text) == Some(true);
    let suites = security_suites(codename);
    let parts: Vec<_> = pattern.split(',').filter_map(|part| part.trim().split_once('=')).collect();
    !parts.is_empty()
        && parts.into_iter().all(|(key, value)| match key.trim() {
            "o" | "origin" => matches(value, "Debian"),
            "l" | "label" => matches(value, "Debian-Security"),
            "a" | "archive" | "suite" => suites.iter().any(|suite| matches(value, suite)),
            "n" | "codename" => matches(value, &format!("{codename}-security")),
            "c" | "component" => matches(value, "main"),
            "site" => matches(value, "security.debian.org") || matches(value, "deb.debian.org"),
            _ => false,
        })
}

fn allowed_takes_security(allowed: &str, codename: &str) -> bool {
    let Some((origin, suite)) = allowed.split_once(':').or_else(|| allowed.split_once(' ')) else {
        return false;
    };
    let matches = |text: &String| apt_match::expression(suite, text) == Some(true);
    apt_match::expression(origin, "Debian") == Some(true) && security_suites(codename).iter().any(matches)
}
