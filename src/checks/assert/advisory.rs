//! Assertions about published flaws: the installed package, or the running kernel, has the fix.

use std::collections::BTreeSet;

use super::kernel::module;
use crate::catalogue::schema::{is_kernel, kernel_series};
use crate::catalogue::{Advisory, Fixed};
use crate::checks::updates::running_version;
use crate::checks::{Judged, Look};
use crate::formats::debian_version::older;
use crate::formats::release::Release;
use crate::host::Stop;
use crate::host::identity::DPKG_STATUS;
use crate::host::kernels::{self, Kernel, is_proxmox_release};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind, Verdict};

/// What is said of whichever kernel runs: packages of series come and go with the release.
const KERNEL: &str = "proxmox-kernel";

/// `kind = "advisory"`: every package of the table that is installed has the fix, and the running kernel has.
pub(super) fn judge(look: &Look<'_>, advisory: &'static Advisory) -> Judged {
    let release = look.host.release()?;
    let packages = look.take(look.host.packages())?;
    let all: BTreeSet<&str> = advisory.fixed.iter().map(|fixed| fixed.package).collect();
    let (kernels, others): (Vec<&str>, Vec<&str>) = all.into_iter().partition(|name| is_kernel(name));
    let installed = others.iter().copied().filter(|name| packages.present(name).is_some());
    let mut subjects: Vec<&str> = installed.collect();
    if !kernels.is_empty() {
        subjects.push(KERNEL);
    } else if subjects.is_empty() {
        return Err(Stop::not_applicable(format!("{} is not installed", others.join(" or "))));
    }
    look.each(
        subjects,
        |name| Subject::new(SubjectKind::Package, *name),
        |look, name| {
            let judgement = if *name == KERNEL {
                kernel(look, advisory, release)?
            } else {
                package(look, advisory, name, release)?
            };
            Ok(if judgement.verdict == Verdict::Fail {
                with_conditions(look, advisory, judgement)?
            } else {
                judgement
            })
        },
    )
}

fn package(look: &Look<'_>, advisory: &Advisory, name: &str, release: Release) -> Result<Judgement, Stop> {
    let packages = look.take(look.host.packages())?;
    let found = packages.present(name).and_then(|found| Some((found, found.present_version()?)));
    let Some((package, version)) = found else {
        return Err(Stop::unknown(DPKG_STATUS, format!("does not tell the version of {name}")));
    };
    let seen = Evidence::at(DPKG_STATUS, package.line).key(name).observed(version);
    let entries = || advisory.fixed.iter().filter(|fixed| fixed.package == name);
    if let Some(fixed) = entries().find(|fixed| fixed.release == release) {
        return Ok(
            compared(advisory, name, version, fixed).with(seen.expected(format!(">= {}", fixed.version)))
        );
    }
    // Whatever release a fix came with, later versions have it.
    if entries().all(|fixed| !older(version, fixed.version)) {
        return Ok(Judgement::pass(format!("{name} {version} has the fix of {}", advisory.id)).with(seen));
    }
    let what = format!("{} names no version of {name} with the fix for {release}", advisory.id);
    Ok(Judgement::unknown(what).with(seen))
}

fn compared(advisory: &Advisory, what: &str, version: &str, fixed: &Fixed) -> Judgement {
    if fixed.since.is_some_and(|since| older(version, since)) {
        return Judgement::pass(format!("{what} {version} is older than the flaw {}", advisory.id));
    }
    if older(version, fixed.version) {
        let summary =
            format!("{what} {version} has the flaw {}; {} has the fix", named(advisory), fixed.version);
        return Judgement::fail(summary);
    }
    Judgement::pass(format!("{what} {version} has the fix of {}", advisory.id))
}

/// The number of the advisory with what else is known by it.
fn named(advisory: &Advisory) -> String {
    let exploited = (!advisory.exploited.is_empty()).then(|| advisory.exploited.to_owned());
    let also: Vec<String> = advisory.cve.iter().map(|cve| (*cve).to_owned()).chain(exploited).collect();
    if also.is_empty() { advisory.id.to_owned() } else { format!("{} ({})", advisory.id, also.join(", ")) }
}

fn kernel(look: &Look<'_>, advisory: &Advisory, release: Release) -> Result<Judgement, Stop> {
    let packages = look.take(look.host.packages())?;
    let kernels = kernels::installed(packages);
    let Some(running) = look.host.running_kernel() else {
        return of_installed(advisory, release, &kernels);
    };
    if !is_proxmox_release(&running) {
        let what = format!("the running kernel {running} was not built by Proxmox, whose table this is");
        return Ok(Judgement::unknown(what));
    }
    let version = running_version(look, &kernels, &running)?;
    let judgement = of_version(advisory, release, &running, &version);
    let waiting = kernels.iter().rfind(|kernel| {
        kernel.is_proxmox()
            && of_version(advisory, release, kernel.release, kernel.version).verdict == Verdict::Pass
    });
    let judgement = match waiting {
        Some(kernel) if judgement.verdict == Verdict::Fail => {
            let summary =
                format!("{}; {} is installed and waits for a reboot", judgement.summary, kernel.release);
            Judgement { summary, ..judgement }
        }
        _ => judgement,
    };
    let seen = Evidence::of("/proc/version").key("running kernel").observed(&version);
    Ok(judgement.with(wanted(advisory, release, &running, seen)))
}

/// The first fixed version of the series of this kernel.
fn fixed_in<'a>(advisory: &'a Advisory, release: Release, kernel: &str) -> Option<&'a Fixed> {
    let series = series_of(kernel);
    let entries = || advisory.fixed.iter().filter(|fixed| kernel_series(fixed.package) == Some(series));
    entries().find(|fixed| fixed.release == release).or_else(|| entries().next())
}

/// Adds what is wanted to what was seen of a kernel.
fn wanted(advisory: &Advisory, release: Release, kernel: &str, seen: Evidence) -> Evidence {
    match fixed_in(advisory, release, kernel) {
        Some(fixed) => seen.expected(format!(">= {}", fixed.version)),
        None => seen,
    }
}

/// A kernel of this release and package version.
fn of_version(advisory: &Advisory, release: Release, running: &str, version: &str) -> Judgement {
    let series = series_of(running);
    if let Some(fixed) = fixed_in(advisory, release, running) {
        return compared(advisory, "kernel", version, fixed);
    }
    if advisory.series_without_fix.contains(&series) {
        let summary = format!("kernel {version} is of a series without a known fix of {}", named(advisory));
        return Judgement::fail(summary);
    }
    Judgement::unknown(format!("{} names no fix for kernels of the series {series}", advisory.id))
}

/// `6.8` of `6.8.12-18-pve`.
fn series_of(running: &str) -> &str {
    let second = running.match_indices(['.', '-']).nth(1);
    second.and_then(|(end, _)| running.get(..end)).unwrap_or(running)
}

/// Without the running kernel: where none of the installed ones has the fix, none runs that has.
fn of_installed(advisory: &Advisory, release: Release, kernels: &[Kernel<'_>]) -> Result<Judgement, Stop> {
    let unknown = || Stop::unknown("the running kernel", "is not known; run on the live host");
    let ours: Vec<&Kernel<'_>> = kernels.iter().filter(|kernel| kernel.is_proxmox()).collect();
    let newest = ours.last().ok_or_else(unknown)?;
    let judged = |kernel: &&Kernel<'_>| of_version(advisory, release, kernel.release, kernel.version);
    if ours.iter().any(|kernel| judged(kernel).verdict != Verdict::Fail) {
        return Err(unknown());
    }
    let seen = Evidence::at(DPKG_STATUS, newest.line).key("newest kernel").observed(newest.version);
    Ok(judged(newest).with(wanted(advisory, release, newest.release, seen)))
}

/// What else it takes to use a flaw that is there.
fn with_conditions(look: &Look<'_>, advisory: &'static Advisory, fail: Judgement) -> Result<Judgement, Stop> {
    if let Some(gap) = &advisory.stop_gap
        && look.own(look.host.count_in_code(gap.path, gap.contains)) == Ok(Some(gap.times))
    {
        let seen = Evidence::of(gap.path).key(gap.contains).observed(gap.times.to_string());
        let summary = format!("the stop-gap of {} is in place", advisory.id);
        return Ok(Judgement::pass(summary).with(seen));
    }
    if advisory.needs_nested {
        match look.own(look.host.nested_virtualisation())? {
            Some((path, false)) => {
                let summary = format!("{} takes nested virtualisation, which is off", advisory.id);
                return Ok(Judgement::pass(summary).with(Evidence::of(path).observed("off")));
            }
            Some((path, true)) => return Ok(fail.with(Evidence::of(path).observed("on"))),
            None => {
                return Err(Stop::unknown(
                    "/sys/module",
                    "does not tell whether guests may run guests; run on the live host",
                ));
            }
        }
    }
    for name in advisory.needs_modules {
        // What cannot be told does not close the hole.
        if let Ok(closed) = module(look, name)
            && closed.verdict == Verdict::Pass
        {
            return Ok(Judgement {
                summary: format!("{} takes the module {name}: {}", advisory.id, closed.summary),
                ..closed
            });
        }
    }
    Ok(fail)
}

#[cfg(test)]
mod tests {
    use super::series_of;

    #[test]
    fn a_series_is_the_first_two_numbers() {
        assert_eq!(series_of("6.8.12-18-pve"), "6.8");
        assert_eq!(series_of("6.14.11-9-bpo12-pve"), "6.14");
        assert_eq!(series_of("7.0-pve"), "7.0");
        assert_eq!(series_of("x"), "x");
    }
}
