//! Assertions about packages and units.

use crate::checks::{Judged, Look};
use crate::host::Stop;
use crate::host::identity::DPKG_STATUS;
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// `kind = "package"`: one of these must be installed, or none of them may be.
pub(super) fn package(look: &Look<'_>, any_of: &[&str], must_be_installed: bool) -> Judged {
    let packages = look.take(look.host.packages())?;
    let found = any_of.iter().find_map(|name| packages.present(name));
    let evidence = match found {
        Some(package) => Evidence::at(DPKG_STATUS, package.line).observed(&package.name),
        None => Evidence::of(DPKG_STATUS),
    };
    let names = any_of.join(" or ");
    let judgement = match (found, must_be_installed) {
        (Some(package), true) => Judgement::pass(format!("{} is installed", package.name)),
        (Some(package), false) => Judgement::fail(format!("{} is installed", package.name)),
        (None, true) => Judgement::fail(format!("{names} is not installed")),
        (None, false) => Judgement::pass(format!("{names} is not installed")),
    };
    look.one(
        Subject::new(SubjectKind::Package, any_of.first().copied().unwrap_or_default()),
        judgement.with(evidence),
    )
}

/// `kind = "unit"`: whether a unit starts at boot. Without its package there is nothing to judge.
pub(super) fn unit(look: &Look<'_>, name: &str, package: &str, must_be_enabled: bool) -> Judged {
    let packages = look.take(look.host.packages())?;
    if packages.present(package).is_none() {
        return Err(Stop::not_applicable(format!("{package} is not installed")));
    }
    let units = look.take(look.host.units())?;
    let judgement = match (units.enabled.get(name), must_be_enabled) {
        (Some(link), true) => Judgement::pass(format!("{name} starts at boot")).with(Evidence::of(link)),
        (Some(link), false) => Judgement::fail(format!("{name} starts at boot")).with(Evidence::of(link)),
        (None, wanted) => {
            let masked = if units.masked.contains(name) { " (it is masked)" } else { "" };
            let summary = format!("{name} does not start at boot{masked}");
            let judgement = if wanted { Judgement::fail(summary) } else { Judgement::pass(summary) };
            judgement.with(Evidence::of("/etc/systemd/system"))
        }
    };
    look.one(Subject::new(SubjectKind::Service, name), judgement)
}
