//! Whether security updates win over what is installed.

use super::{candidates, codename};
use crate::catalogue::Severity;
use crate::checks::{Judged, Look};
use crate::formats::apt_conf::Setting;
use crate::formats::apt_match::{self, Archive};
use crate::formats::apt_sources::Uri;
use crate::host::Stop;
use crate::host::apt::priority::{By, DEFAULT_RELEASE, Priority, held_back, of_installed, priority};
use crate::host::apt::repository::{Part, RELEASED_BY_ROLE, Repository, Vendor, base_suite, debian_major};
use crate::outcome::{Evidence, Judgement, Subject, Verdict};

/// The priorities of the release itself, of its security updates, and of what is installed.
struct Priorities {
    main: Priority,
    security: Priority,
    installed: Priority,
}

impl Priorities {
    /// Whether a security update never becomes the candidate: the release wins, or what is installed does.
    fn block_security(&self) -> bool {
        // What has no priority above zero is never installed.
        self.security.value < self.main.value
            || self.security.value < self.installed.value
            || self.security.value <= 0
    }

    /// What wins over the security updates, with its priority.
    fn stronger(&self) -> (&'static str, i16) {
        if self.security.value < self.main.value {
            ("the release", self.main.value)
        } else {
            ("what is installed", self.installed.value)
        }
    }
}

/// What Debian's Release files of `part` say for the release `codename`. The suite is named by its role, which
/// changes with time: every role counts.
fn debian(look: &Look<'_>, codename: &str, part: Part) -> Result<Archive, Stop> {
    let (suffix, label, host) = match part {
        Part::Security => ("-security", "Debian-Security", "security.debian.org"),
        _ => ("", "Debian", "deb.debian.org"),
    };
    let sources = look.take(look.host.apt_sources())?;
    let found = sources.used().find(|source| {
        Repository::of(&source.entry).vendor == Vendor::Debian(part)
            && base_suite(&source.entry.suite) == codename
    });
    let major = debian_major(codename).ok_or_else(|| {
        Stop::unknown("/etc/os-release", format!("names the release {codename}, which is not known"))
    })?;
    Ok(Archive {
        origin: "Debian".to_owned(),
        label: label.to_owned(),
        suites: RELEASED_BY_ROLE.iter().map(|role| format!("{role}{suffix}")).collect(),
        codename: format!("{codename}{suffix}"),
        version: major.to_string(),
        has_point_releases: part != Part::Security,
        component: "main".to_owned(),
        host: found.map_or_else(|| host.to_owned(), |source| Uri::parse(&source.entry.uri).host),
        ..Archive::default()
    })
}

fn not_understood() -> Stop {
    Stop::unknown("/etc/apt", "has a pin or a default release with a pattern that is not understood here")
}

fn priorities(look: &Look<'_>, default_release: Option<&Setting>) -> Result<Priorities, Stop> {
    let codename = codename(look)?;
    let preferences = look.take(look.host.apt_preferences())?;
    let of = |part| {
        let archive = debian(look, codename, part)?;
        priority(&archive, default_release, preferences).ok_or_else(not_understood)
    };
    let installed = of_installed(default_release, preferences).ok_or_else(not_understood)?;
    Ok(Priorities { main: of(Part::Main)?, security: of(Part::Security)?, installed })
}

/// `apt/default-release-blocks-security`
pub(crate) fn default_release_blocks_security(look: &Look<'_>) -> Judged {
    let tree = &look.take(look.host.apt_conf())?.tree;
    let settings: Vec<&Setting> = candidates(tree, DEFAULT_RELEASE).collect();
    if settings.is_empty() {
        return look.one(Subject::node(), Judgement::pass("no default release is set"));
    }
    let mut worst: Option<Judgement> = None;
    for setting in settings {
        let judgement = default_release(look, setting)?;
        if worst.as_ref().is_none_or(|worst| rank(&judgement) > rank(worst)) {
            worst = Some(judgement);
        }
    }
    look.one(Subject::node(), worst.ok_or_else(not_understood)?)
}

/// How bad a judgement is.
fn rank(judgement: &Judgement) -> u8 {
    match judgement.verdict {
        Verdict::Fail => 2,
        Verdict::Unknown => 1,
        _ => 0,
    }
}

fn default_release(look: &Look<'_>, setting: &Setting) -> Result<Judgement, Stop> {
    let evidence = Evidence::at(&*setting.file, setting.line).key(DEFAULT_RELEASE).observed(&setting.value);
    let priorities = priorities(look, Some(setting))?;
    let raised = matches!(priorities.main.by, By::DefaultRelease(_));
    let judgement = if raised && priorities.block_security() {
        Judgement::fail(format!(
            "the default release has priority {} and its security updates have {}: they are never installed",
            priorities.main.value, priorities.security.value
        ))
    } else if raised || names_a_source(look, &setting.value)? {
        Judgement::pass("the default release does not hold back security updates")
    } else {
        Judgement::unknown(
            "the default release is none of the configured suites: apt may refuse every command",
        )
    };
    Ok(judgement.with(evidence))
}

/// Whether the value is the suite of a source as it is written there.
fn names_a_source(look: &Look<'_>, value: &str) -> Result<bool, Stop> {
    let sources = look.take(look.host.apt_sources())?;
    let mut used = sources.used();
    Ok(used.any(|source| apt_match::expression(value, &source.entry.suite) == Some(true)))
}

/// `apt/pin-blocks-security`: the pins by themselves, as if no default release were set.
pub(crate) fn pin_blocks_security(look: &Look<'_>) -> Judged {
    let priorities = priorities(look, None)?;
    let pinned = |priority: &Priority| match &priority.by {
        By::Pin(path, line) => {
            Some(Evidence::at(path, *line).key("Pin-Priority").observed(priority.value.to_string()))
        }
        _ => None,
    };
    if !priorities.block_security() {
        let preferences = look.take(look.host.apt_preferences())?;
        let security = debian(look, codename(look)?, Part::Security)?;
        if let Some((path, record)) = held_back(&security, preferences).map_err(|_| not_understood())? {
            let packages = record.packages.join(" ");
            let evidence = Evidence::at(path, record.line).key("Package").observed(packages);
            let summary = "a pin keeps the security updates of some packages from being installed";
            return look
                .one(Subject::node(), Judgement::fail(summary).severity(Severity::Medium).with(evidence));
        }
    }
    let evidence = [&priorities.main, &priorities.security, &priorities.installed];
    let (stronger, value) = priorities.stronger();
    let judgement = Judgement::fail_if(
        priorities.block_security(),
        format!(
            "security updates have priority {} and {stronger} has {value}: they are never installed",
            priorities.security.value
        ),
        "no pin holds back security updates",
    );
    look.one(Subject::node(), judgement.with_all(evidence.into_iter().filter_map(pinned)))
}
