//! Whether fixes that are published get into the running system.

mod automatic;
mod kernels;
mod pending;
mod running;
mod unattended;

pub(crate) use automatic::{automatic_reboot_enabled, automatic_upgrade_of_proxmox};
pub(crate) use kernels::{kernel_pinned_old, kernel_series_unsupported};
pub(crate) use pending::{
    held_package_blocks_security, package_from_no_source, package_half_installed, package_list_expired,
    package_list_missing, proxmox_updates_not_installed, security_fix_kept_back, security_updates_pending,
};
pub(crate) use running::{reboot_required, service_on_old_code};
pub(crate) use unattended::security_updates_not_automatic;

use crate::checks::apt::{codename, is_binary, is_native};
use crate::checks::{Judged, Look};
use crate::formats::debian_version::compare;
use crate::formats::proc_version::package_version_of;
use crate::host::Stop;
use crate::host::apt::Source;
use crate::host::apt::repository::{Part, RELEASED_BY_ROLE, Repository, Vendor, base_suite};
use crate::host::identity::DPKG_STATUS;
use crate::host::kernels::{Kernel, installed, is_proxmox_release};
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
