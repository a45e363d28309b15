//! Assertions about the kernel: parameters, command line, modules.

use super::expect::unmet;
use crate::catalogue::Expect;
use crate::checks::{Judged, Look};
use crate::formats::kernel_cmdline::Argument;
use crate::host::Stop;
use crate::host::system::boot::PROC_CMDLINE;
use crate::host::system::modules::PROC_MODULES;
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// `kind = "sysctl"`: a parameter of the running kernel.
pub(super) fn sysctl(look: &Look<'_>, key: &str, expect: &Expect) -> Judged {
    let (path, value) = look.own(look.host.sysctl(key))?;
    let evidence = Evidence::of(path).key(key).observed(&value);
    let judgement = match unmet(look, expect, &value) {
        Some(wanted) => Judgement::fail(format!("{key} is {value}")).with(evidence.expected(wanted)),
        None => Judgement::pass(format!("{key} is {value}")).with(evidence),
    };
    look.one(Subject::new(SubjectKind::Setting, key), judgement)
}

/// `kind = "kernel_argument"`: an argument that must not be given at all, or whose last value must not be one of
/// these. A tree only tells what is configured: that may fail, but it never passes.
pub(super) fn argument(look: &Look<'_>, name: &str, bad_values: &[&str], good_values: &[&str]) -> Judged {
    let line = look.take(look.host.command_line())?;
    let bad = if bad_values.is_empty() {
        line.all(name).next()
    } else {
        line.in_force(name).into_iter().find(|(_, argument)| is_bad(argument, bad_values))
    };
    let subject = Subject::new(SubjectKind::Setting, name);
    if let Some((path, argument)) = bad {
        let seen =
            argument.value.as_deref().map_or_else(|| name.to_owned(), |value| format!("{name}={value}"));
        let how = if line.running { "is started" } else { "will be started" };
        let evidence = Evidence::at(path, argument.line).key(name).observed(&seen);
        return look.one(subject, Judgement::fail(format!("the kernel {how} with {seen}")).with(evidence));
    }
    if !line.running {
        return Err(Stop::unknown(
            PROC_CMDLINE,
            "is missing: the command line of the running kernel is needed; run on the live host",
        ));
    }
    let odd = |argument: &Argument| {
        !good_values.is_empty() && !words(argument).all(|word| good_values.contains(&word))
    };
    if let Some((path, argument)) = line.in_force(name).into_iter().find(|(_, argument)| odd(argument)) {
        let seen = argument.value.as_deref().unwrap_or_default();
        let judgement = Judgement::unknown(format!("what {name}={seen} means is not known"));
        return look.one(subject, judgement.with(Evidence::at(path, argument.line).key(name).observed(seen)));
    }
    let seen = if bad_values.is_empty() { name } else { &format!("{name}={}", bad_values.join(" or ")) };
    let judgement = Judgement::pass(format!("the kernel is started without {seen}"));
    look.one(subject, judgement.with(Evidence::of(PROC_CMDLINE)))
}

/// Several parameters take a comma list; `mitigations` takes a second one behind a semicolon.
fn words(argument: &Argument) -> impl Iterator<Item = &str> {
    argument.value.as_deref().unwrap_or_default().split([',', ';'])
}

fn is_bad(argument: &Argument, bad_values: &[&str]) -> bool {
    words(argument).any(|word| bad_values.contains(&word))
}

/// `kind = "module"`: modules that must be neither loaded nor loadable.
pub(super) fn modules(look: &Look<'_>, names: &[&str]) -> Judged {
    look.each(names, |name| Subject::new(SubjectKind::Setting, **name), |look, name| module(look, name))
}

pub(super) fn module(look: &Look<'_>, name: &str) -> Result<Judgement, Stop> {
    let loaded = look.take(look.host.loaded_modules())?;
    if loaded.as_ref().is_some_and(|loaded| loaded.contains(&plain(name))) {
        return Ok(Judgement::fail(format!("module {name} is loaded")).with(Evidence::of(PROC_MODULES)));
    }
    let modprobe = look.take(look.host.modprobe())?;
    let Some((path, line)) = modprobe.blocker(name) else {
        return loadable(look, name, loaded.is_some());
    };
    let blocked = if loaded.is_some() {
        Judgement::pass(format!("module {name} is not loaded and cannot be"))
    } else {
        let what = format!("module {name} is blocked, but whether it is loaded shows only the live host");
        Judgement::unknown(what)
    };
    Ok(blocked.at(path, line))
}

/// No line of modprobe.d keeps the module from being loaded: then only a kernel without it is safe.
fn loadable(look: &Look<'_>, name: &str, running: bool) -> Result<Judgement, Stop> {
    if running {
        let kernel = look.take(look.host.kernel_modules())?;
        let told = Evidence::of(&kernel.path);
        if kernel.built_in.contains(&plain(name)) {
            return Ok(Judgement::fail(format!("{name} is part of the running kernel itself")).with(told));
        }
        if !kernel.files.contains(&plain(name)) {
            return Ok(Judgement::pass(format!("the running kernel has no module {name}")).with(told));
        }
    }
    let modprobe = look.host.modprobe();
    // A file that was not read may hold the line that is missed here.
    if let Some(doubt) = modprobe.doubts.iter().find(|doubt| doubt.line.is_none()) {
        return Err(Stop::Unknown(doubt.clone()));
    }
    let wanted = format!("install {name} /bin/false");
    let black = modprobe.value.as_ref().ok().and_then(|modprobe| modprobe.blacklisting(name));
    Ok(match black {
        Some((path, line)) => Judgement::fail(format!(
            "module {name} is blacklisted, which does not keep it from being loaded by its name"
        ))
        .with(Evidence::at(path, line).expected(wanted)),
        None => Judgement::fail(format!("nothing keeps module {name} from being loaded"))
            .with(Evidence::of("/etc/modprobe.d").expected(wanted)),
    })
}

/// Module names are compared with `_` for `-`.
fn plain(name: &str) -> String {
    name.replace('-', "_")
}
