//! Assertions about the kernel: parameters, command line, modules.

use super::expect::unmet;
use crate::catalogue::Expect;
use crate::checks::{Judged, Look};
use crate::host::Stop;
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

/// `kind = "kernel_argument"`: an argument that must not be given, or not with these values. A tree only tells
/// what is configured: that may fail, but it never passes.
pub(super) fn argument(look: &Look<'_>, name: &str, bad_values: &[&str]) -> Judged {
    let line = look.take(look.host.command_line())?;
    let given = line
        .arguments
        .iter()
        .filter(|(_, argument)| crate::formats::kernel_cmdline::same_name(&argument.name, name));
    let bad = given.clone().find(|(_, argument)| {
        let words = argument.value.as_deref().unwrap_or_default();
        bad_values.is_empty() || words.split(',').any(|word| bad_values.contains(&word))
    });
    let subject = Subject::new(SubjectKind::Setting, name);
    if let Some((path, argument)) = bad {
        let seen =
            argument.value.as_deref().map_or_else(|| name.to_owned(), |value| format!("{name}={value}"));
        let judgement = Judgement::fail(format!("the kernel is started with {seen}"));
        return look
            .one(subject, judgement.with(Evidence::at(*path, argument.line).key(name).observed(seen)));
    }
    if !line.running {
        return Err(Stop::unknown(
            "/proc/cmdline",
            "is missing: the command line of the running kernel is needed; run on the live host",
        ));
    }
    look.one(
        subject,
        Judgement::pass(format!("the kernel is not started with a bad {name}"))
            .with(Evidence::of("/proc/cmdline")),
    )
}

/// `kind = "module"`: modules that must be neither loaded nor loadable.
pub(super) fn modules(look: &Look<'_>, names: &[&str]) -> Judged {
    look.each(
        names,
        |name| Subject::new(SubjectKind::Setting, **name),
        |look, name| {
            let loaded = look.take(look.host.loaded_modules())?;
            let modprobe = look.take(look.host.modprobe())?;
            let is_loaded = loaded.as_ref().is_some_and(|loaded| loaded.contains(&name.replace('-', "_")));
            Ok(match (is_loaded, modprobe.blocker(name)) {
                (true, _) => {
                    Judgement::fail(format!("module {name} is loaded")).with(Evidence::of("/proc/modules"))
                }
                (false, None) => Judgement::fail(format!("nothing keeps module {name} from being loaded"))
                    .with(Evidence::of("/etc/modprobe.d").expected(format!("install {name} /bin/false"))),
                (false, Some((path, line))) if loaded.is_some() => {
                    Judgement::pass(format!("module {name} is not loaded and cannot be")).at(path, line)
                }
                (false, Some((path, line))) => Judgement::unknown(format!(
                    "module {name} is blocked, but whether it is loaded shows only the live host"
                ))
                .at(path, line),
            })
        },
    )
}
