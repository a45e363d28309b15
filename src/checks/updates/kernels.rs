//! Whether the kernel is one that still gets fixes.

use crate::checks::{Judged, Look};
use crate::formats::debian_version::compare;
use crate::host::Stop;
use crate::host::identity::DPKG_STATUS;
use crate::host::kernels::{installed, is_proxmox_release};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// `updates/kernel-pinned-old`
pub(crate) fn kernel_pinned_old(look: &Look<'_>) -> Judged {
    let pins = look.own(look.host.kernel_pins())?;
    let packages = look.take(look.host.packages())?;
    if pins.is_empty() {
        return look.one(Subject::node(), Judgement::pass("no kernel is pinned: the newest one boots"));
    }
    let kernels = installed(packages);
    let newest = kernels.iter().rfind(|kernel| kernel.is_proxmox());
    let newest =
        newest.ok_or_else(|| Stop::unknown(DPKG_STATUS, "has no package with a kernel of Proxmox's"))?;
    let subject = |(path, _): &(&str, String)| Subject::new(SubjectKind::File, *path);
    look.each(pins, subject, |_, (path, release)| {
        let known = kernels.iter().find(|kernel| kernel.release == release.as_str());
        let Some(pinned) = known else {
            return Err(Stop::unknown(path, "names no kernel that is installed"));
        };
        let judgement = Judgement::fail_if(
            compare(pinned.version, newest.version).is_lt(),
            format!("the node boots {release} and not the newer {} that is installed", newest.release),
            "the newest kernel is pinned",
        );
        Ok(judgement.with(Evidence::of(*path).observed(release).expected(newest.release)))
    })
}

/// A series of kernels: `6.8` of `6.8.12-18-pve`.
type Series = (u32, u32);

/// The series Proxmox builds fixes for, by the changelogs of its kernel packages of 22 August 2026. All others up to the
/// newest have ended; what is newer is not known here.
const CURRENT: [Series; 3] = [(6, 8), (6, 17), (7, 0)];

/// The day of that table.
const AS_OF: &str = "2026-08-22";

/// The last builds of series that have ended.
const ENDED: [(Series, &str); 5] = [
    ((5, 15), "2024-07-26"),
    ((6, 2), "2023-12-01"),
    ((6, 5), "2024-07-26"),
    ((6, 11), "2025-03-16"),
    ((6, 14), "2026-05-15"),
];

fn series(release: &str) -> Option<Series> {
    let mut numbers = release.splitn(3, ['.', '-']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

/// `updates/kernel-series-unsupported`
pub(crate) fn kernel_series_unsupported(look: &Look<'_>) -> Judged {
    const RUNNING: &str = "/proc/sys/kernel/osrelease";
    let release = look
        .host
        .running_kernel()
        .ok_or_else(|| Stop::unknown("the running kernel", "is not known; run on the live host"))?;
    if !is_proxmox_release(&release) {
        // On a node this is another finding; cut short, it may be one of Proxmox's.
        return Err(match look.host.is_proxmox() {
            Some(false) => Stop::not_applicable("the running kernel is none of Proxmox's"),
            _ => Stop::unknown(RUNNING, "names no kernel of Proxmox's"),
        });
    }
    let unknown = || Stop::unknown(RUNNING, format!("names {release}, whose series is not known here"));
    let series = series(&release).ok_or_else(unknown)?;
    let (major, minor) = series;
    let evidence = Evidence::of(RUNNING).observed(&release);
    if CURRENT.contains(&series) {
        let summary = format!("the series {major}.{minor} gets fixes, as of {AS_OF}");
        return look.one(Subject::node(), Judgement::pass(summary).with(evidence));
    }
    if CURRENT.iter().all(|current| series > *current) {
        return Err(unknown());
    }
    let last = ENDED.iter().find(|(ended, _)| *ended == series);
    let last = last.map_or_else(String::new, |(_, day)| format!("; its last build is of {day}"));
    let summary = format!("the series {major}.{minor} gets no more fixes from Proxmox{last}");
    let expected = CURRENT.map(|(major, minor)| format!("{major}.{minor}")).join(", ");
    look.one(Subject::node(), Judgement::fail(summary).with(evidence.expected(expected)))
}
