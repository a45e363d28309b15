//! The running kernel.

use super::{Judged, Look};
use crate::catalogue::Severity;
use crate::formats::kernel_cmdline::Argument;
use crate::host::Stop;
use crate::host::system::cpu::{Standing, Vulnerability, leaks_between_threads, standing};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// `kernel/vulnerabilities-unmitigated`
pub(crate) fn vulnerabilities_unmitigated(look: &Look<'_>) -> Judged {
    weaknesses(look, |_, status| match standing(status) {
        Standing::Open => Judgement::fail(format!("the kernel says: {status}")),
        Standing::Partly => Judgement::fail(format!("the kernel says: {status}")).severity(Severity::Medium),
        Standing::Fine => Judgement::pass(format!("the kernel says: {status}")),
        Standing::NotTold => Judgement::unknown(format!("the kernel says: {status}")),
    })
}

/// `kernel/threads-leak-between-guests`
pub(crate) fn threads_leak_between_guests(look: &Look<'_>) -> Judged {
    weaknesses(look, |_, status| {
        if standing(status) == Standing::NotTold {
            return Judgement::unknown("the kernel says something that is not known");
        }
        Judgement::fail_if(
            leaks_between_threads(status),
            format!("the threads of a core can read each other's data: {status}"),
            format!("the kernel says: {status}"),
        )
    })
}

fn weaknesses(look: &Look<'_>, judge: impl Fn(&Vulnerability, &str) -> Judgement) -> Judged {
    let weaknesses = look.take(look.host.cpu_vulnerabilities())?;
    look.each(
        weaknesses,
        |weakness| Subject::new(SubjectKind::Setting, &weakness.name),
        |_, weakness| {
            let status = weakness.status.as_ref().map_err(|doubt| Stop::Unknown(doubt.clone()))?;
            Ok(judge(weakness, status).with(Evidence::of(weakness.path()).observed(status)))
        },
    )
}

/// `kernel/apparmor-disabled`
pub(crate) fn apparmor_disabled(look: &Look<'_>) -> Judged {
    let parameter = look.own(look.host.module_parameter("apparmor", "enabled"))?;
    let judgement = match parameter {
        Some((path, value)) if value == "Y" => Judgement::pass("the running kernel has AppArmor switched on")
            .with(Evidence::of(path).observed(value)),
        Some((path, value)) if value == "N" => {
            Judgement::fail("the running kernel has AppArmor switched off")
                .with(Evidence::of(path).observed(value).expected("Y"))
        }
        Some((path, _)) => return Err(Stop::unknown(&path, "is neither Y nor N")),
        // Switched off it still shows the parameter: a running kernel without it was built without AppArmor.
        None if look.host.is_live() => Judgement::fail("the running kernel has no AppArmor")
            .with(Evidence::of("/sys/module/apparmor").observed("missing")),
        None => configured_apparmor(look)?,
    };
    look.one(Subject::node(), judgement)
}

/// A tree only tells what the kernel is told: that may switch it off, but cannot prove it is on.
fn configured_apparmor(look: &Look<'_>) -> Result<Judgement, Stop> {
    let line = look.take(look.host.command_line())?;
    let off = ["apparmor", "security", "lsm"]
        .into_iter()
        .find_map(|name| line.in_force(name).into_iter().find(|(_, argument)| switches_off(name, argument)));
    let Some((path, argument)) = off else {
        return Err(Stop::unknown(
            "/sys/module/apparmor/parameters/enabled",
            "is missing: whether AppArmor is on shows only the live host",
        ));
    };
    let seen = format!("{}={}", argument.name, argument.value.as_deref().unwrap_or_default());
    Ok(Judgement::fail(format!("{seen} starts the kernel without AppArmor"))
        .with(Evidence::at(path, argument.line).key(&argument.name).observed(seen)))
}

/// `apparmor=0`; another security module in `security=`; a list of modules without it in `lsm=`.
fn switches_off(name: &str, argument: &Argument) -> bool {
    let value = argument.value.as_deref().unwrap_or_default();
    match name {
        "apparmor" => value == "0",
        "security" => value != "apparmor",
        _ => !value.split(',').any(|module| module == "apparmor"),
    }
}
