//! Assertions about packages and units.

use crate::checks::{Judged, Look};
use crate::host::Stop;
use crate::host::identity::DPKG_STATUS;
use crate::host::system::units::{UNIT_FOLDER, Units};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// `kind = "package"`: one of these must be installed, or none of them may be; and where `units` names the unit of each,
/// one that is installed must start at boot.
pub(super) fn package(look: &Look<'_>, any_of: &[&str], must_be_installed: bool, units: &[&str]) -> Judged {
    let packages = look.take(look.host.packages())?;
    let subject = Subject::new(SubjectKind::Package, any_of.first().copied().unwrap_or_default());
    let present = any_of.iter().zip(units).filter(|(name, _)| packages.present(name).is_some());
    let present: Vec<(&str, &str)> = present.map(|(name, unit)| (*name, *unit)).collect();
    if let Some((name, unit)) = present.first() {
        let known = look.take(look.host.units())?;
        let started = present.iter().find_map(|(name, unit)| Some((name, known.starts(unit)?)));
        let judgement = if let Some((name, link)) = started {
            Judgement::pass(format!("{name} is installed and starts at boot")).with(Evidence::of(link))
        } else {
            look.host.units().complete()?;
            let masked = if known.mask(unit).is_some() { " (it is masked)" } else { "" };
            Judgement::fail(format!("{name} is installed, but does not start at boot{masked}"))
                .with(resting(known, unit))
        };
        return look.one(subject, judgement);
    }
    let found = any_of.iter().find_map(|name| packages.present(name));
    let evidence = match found {
        Some(package) => Evidence::at(DPKG_STATUS, package.line).observed(&package.name),
        None => Evidence::of(DPKG_STATUS),
    };
    let judgement = match (found, any_of) {
        (Some(package), _) => {
            let summary = format!("{} is installed", package.name);
            if must_be_installed { Judgement::pass(summary) } else { Judgement::fail(summary) }
        }
        (None, names) => {
            let summary = match names {
                [name] => format!("{name} is not installed"),
                names => format!("none of {} is installed", names.join(", ")),
            };
            if must_be_installed {
                look.host.packages().complete()?;
                Judgement::fail(summary)
            } else {
                Judgement::pass(summary)
            }
        }
    };
    look.one(subject, judgement.with(evidence))
}

/// What a unit must be like.
pub(super) struct Wanted {
    /// The unit.
    pub(super) name: &'static str,
    /// Units that start it as well.
    pub(super) also: &'static [&'static str],
    /// The package it comes from.
    pub(super) package: &'static str,
    /// Whether it must start at boot.
    pub(super) enabled: bool,
}

/// `kind = "unit"`: whether a unit starts at boot. Without its package there is nothing to judge.
pub(super) fn unit(look: &Look<'_>, wanted: &Wanted) -> Judged {
    let packages = look.take(look.host.packages())?;
    if packages.present(wanted.package).is_none() {
        return Err(Stop::not_applicable(format!("{} is not installed", wanted.package)));
    }
    let units = look.take(look.host.units())?;
    let names = std::iter::once(&wanted.name).chain(wanted.also);
    if !wanted.enabled {
        let subject = |name: &&&'static str| Subject::new(SubjectKind::Service, **name);
        return look.each(names, subject, |_, name| Ok(must_not_start(units, name)));
    }
    let started = names.clone().find_map(|name| Some((name, units.starts(name)?)));
    let judgement = if let Some((name, link)) = started {
        Judgement::pass(format!("{name} starts at boot")).with(Evidence::of(link))
    } else {
        look.host.units().complete()?;
        Judgement::fail(dormant(units, wanted.name)).with(resting(units, wanted.name))
    };
    look.one(Subject::new(SubjectKind::Service, wanted.name), judgement)
}

fn must_not_start(units: &Units, name: &str) -> Judgement {
    match units.starts(name) {
        Some(link) => Judgement::fail(format!("{name} starts at boot")).with(Evidence::of(link)),
        None if units.mask(name).is_none() && units.named(name).is_some() => {
            let seen = Evidence::of(units.named(name).unwrap_or(UNIT_FOLDER)).observed(name);
            Judgement::unknown(format!("no link starts {name}, but another unit asks for it")).with(seen)
        }
        None => Judgement::pass(dormant(units, name)).with(resting(units, name)),
    }
}

fn dormant(units: &Units, name: &str) -> String {
    let masked = if units.mask(name).is_some() { " (it is masked)" } else { "" };
    format!("{name} does not start at boot{masked}")
}

fn resting(units: &Units, name: &str) -> Evidence {
    Evidence::of(units.mask(name).unwrap_or(UNIT_FOLDER))
}
