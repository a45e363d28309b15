//! Whether unattended-upgrades installs the security updates of Debian.
//!
//! Follows `unattended-upgrade` of 2.8 to 2.12 (`match_whitelist_string`, `is_pkgname_in_whitelist`,
//! `is_update_day`) and `apt.systemd.daily`.

use regex::Regex;

use crate::checks::apt::{is_binary, is_native};
use crate::checks::{Judged, Look};
use crate::formats::apt_conf::Tree;
use crate::formats::apt_match;
use crate::host::Stop;
use crate::host::apt::repository::{Part, RELEASED_BY_ROLE, Repository, Vendor, base_suite};
use crate::host::identity::DPKG_STATUS;
use crate::host::system::units::UNIT_FOLDER;
use crate::outcome::{Evidence, Judgement, Subject};

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
    if let Some(judgement) = not_whitelisted(&conf.tree) {
        return look.one(Subject::node(), judgement);
    }
    let archives = Archives::of(look)?;
    let taken = archives.are_taken(&conf.tree);
    if taken == Holds::No {
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
    if let Some(judgement) = no_day(&conf.tree) {
        return look.one(Subject::node(), judgement);
    }
    if taken == Holds::Perhaps {
        let what = "names the security archive by its role, and which one it has today is not known: no list was fetched";
        return Err(Stop::unknown("/etc/apt/apt.conf.d", what));
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

/// What attackers look for first.
const PROBES: [&str; 3] = ["openssl", "openssh-server", "libc6"];

/// A regular expression that is matched at the beginning of a name.
fn at_start(text: &str) -> Option<Regex> {
    Regex::new(&format!("^(?:{text})")).ok()
}

/// What an entry of the blacklist says, if it keeps back one of the probes.
fn blacklisted(tree: &Tree) -> Option<Judgement> {
    const NAME: &str = "Unattended-Upgrade::Package-Blacklist";
    let mut doubtful = None;
    for setting in tree.list(NAME) {
        let evidence = Evidence::at(&*setting.file, setting.line).key(NAME).observed(&setting.value);
        let Some(regex) = at_start(&setting.value) else {
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

/// What a whitelist says, if it leaves out one of the probes: then only what it names is installed.
fn not_whitelisted(tree: &Tree) -> Option<Judgement> {
    const NAME: &str = "Unattended-Upgrade::Package-Whitelist";
    let settings = tree.list(NAME);
    let first = settings.first()?;
    let evidence = Evidence::at(&*first.file, first.line).key(NAME).observed(&first.value);
    let regexes: Vec<Option<Regex>> = settings.iter().map(|setting| at_start(&setting.value)).collect();
    let named = |probe: &str| regexes.iter().flatten().any(|regex| regex.is_match(probe));
    let missing = PROBES.into_iter().find(|probe| !named(probe))?;
    let judgement = if regexes.iter().all(Option::is_some) {
        Judgement::fail(format!("the whitelist leaves {missing} out: only what it names is installed"))
    } else {
        Judgement::unknown("the whitelist has a pattern that is not understood here")
    };
    Some(judgement.with(evidence))
}

/// What the days of updates say, if none of them is a day. `date +%a`, `%A` and `%w` are compared; in which language
/// depends on the service.
fn no_day(tree: &Tree) -> Option<Judgement> {
    const NAME: &str = "Unattended-Upgrade::Update-Days";
    const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
    /// Letters of a short name.
    const SHORT: usize = 3;
    let settings = tree.list(NAME);
    let first = settings.first()?;
    let is_day = |text: &str| {
        let name = DAYS.iter().any(|day| text == *day || day.get(..SHORT) == Some(text));
        name || text.parse::<usize>().is_ok_and(|day| day < DAYS.len() && text.len() == 1)
    };
    if settings.iter().any(|setting| is_day(&setting.value)) {
        return None;
    }
    let evidence = Evidence::at(&*first.file, first.line).key(NAME).observed(&first.value);
    Some(
        Judgement::unknown("updates are installed on certain days, and none of them is a day in English")
            .with(evidence),
    )
}

/// Whether something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Holds {
    No,
    /// Not known: it depends on what the archive calls itself today.
    Perhaps,
    Yes,
}

/// The security archives of this host's release.
struct Archives {
    codename: String,
    /// What their Release files say is their suite; the role changes with time. Empty where no list was fetched.
    suites: Vec<String>,
}

impl Archives {
    fn of(look: &Look<'_>) -> Result<Self, Stop> {
        let codename = look.take(look.host.os())?.version_codename.clone();
        let sources = look.take(look.host.apt_sources())?;
        let security = sources.used().filter(|source| {
            let base = base_suite(&source.entry.suite);
            Repository::of(&source.entry).vendor == Vendor::Debian(Part::Security)
                && (base == codename || RELEASED_BY_ROLE.contains(&base))
                && is_binary(source)
                && is_native(source, sources)
        });
        let mut suites = Vec::new();
        for source in security {
            let release = look.own(look.host.apt_release_file(&source.entry)).ok().flatten();
            suites.extend(release.map(|release| release.suite).filter(|suite| !suite.is_empty()));
        }
        Ok(Self { codename, suites })
    }

    /// Whether a pattern for the suite matches one of them.
    fn has_suite(&self, pattern: &str) -> Holds {
        let matches = |suite: &str| apt_match::expression(pattern, suite) == Some(true);
        if self.suites.iter().any(|suite| matches(suite)) {
            return Holds::Yes;
        }
        let possible = || RELEASED_BY_ROLE.iter().copied().chain([self.codename.as_str()]);
        if self.suites.is_empty() && possible().any(|name| matches(&format!("{name}-security"))) {
            return Holds::Perhaps;
        }
        Holds::No
    }

    /// Whether unattended-upgrades takes their packages: `Origins-Pattern` has `key=pattern,…`, the older
    /// `Allowed-Origins` has `origin:suite`.
    fn are_taken(&self, tree: &Tree) -> Holds {
        let replaced =
            |text: &str| text.replace("${distro_id}", "Debian").replace("${distro_codename}", &self.codename);
        let patterns = tree.list("Unattended-Upgrade::Origins-Pattern");
        let allowed = tree.list("Unattended-Upgrade::Allowed-Origins");
        let patterns = patterns.iter().map(|pattern| self.by_pattern(&replaced(&pattern.value)));
        let allowed = allowed.iter().map(|allowed| self.by_origin(&replaced(&allowed.value)));
        patterns.chain(allowed).max().unwrap_or(Holds::No)
    }

    fn by_pattern(&self, pattern: &str) -> Holds {
        let matches = |pattern: &str, text: &str| {
            if apt_match::expression(pattern, text) == Some(true) { Holds::Yes } else { Holds::No }
        };
        let parts = pattern.split(',').filter_map(|part| part.trim().split_once('='));
        let parts = parts.map(|(key, value)| match key.trim() {
            "o" | "origin" => matches(value, "Debian"),
            "l" | "label" => matches(value, "Debian-Security"),
            "a" | "archive" | "suite" => self.has_suite(value),
            "n" | "codename" => matches(value, &format!("{}-security", self.codename)),
            "c" | "component" => matches(value, "main"),
            "site" => matches(value, "security.debian.org").max(matches(value, "deb.debian.org")),
            _ => Holds::No,
        });
        parts.min().unwrap_or(Holds::No)
    }

    fn by_origin(&self, allowed: &str) -> Holds {
        let Some((origin, suite)) = allowed.split_once(':').or_else(|| allowed.split_once(' ')) else {
            return Holds::No;
        };
        match apt_match::expression(origin, "Debian") {
            Some(true) => self.has_suite(suite),
            _ => Holds::No,
        }
    }
}
