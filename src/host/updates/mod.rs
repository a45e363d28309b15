//! Pending updates, told as apt tells them but without running it: what dpkg has installed against the package lists
//! that were fetched for the configured sources, by pins, default release and holds.
//!
//! Nothing is ever said to be up to date without lists: no list is unknown, a missing or damaged one a doubt.

mod lists;
mod policy;
mod reading;
mod unpack;

use std::cell::OnceCell;
use std::collections::BTreeMap;

use jiff::Timestamp;

use super::apt::priority::DEFAULT_RELEASE;
use super::apt::{AptConf, AptSources};
use super::identity::DPKG_STATUS;
use super::{Doubt, Fact, Gather, Host, Stop};
use crate::formats::apt_conf::Setting;
use crate::formats::apt_match;
use crate::formats::debian_version::older;
use crate::formats::dpkg_status::{Package, State as PackageState, Status, Want};
use crate::formats::package_list::Stanza;

pub use lists::{LISTS, List, State};
pub use policy::PIN_NOT_UNDERSTOOD;
pub use unpack::Packing;

use policy::{Found, Policy, Version};

/// The architectures dpkg was told of besides its own, one a line.
const ARCHITECTURES: &str = "/var/lib/dpkg/arch";

/// Settings that make apt look elsewhere for what is read here.
const ELSEWHERE: [&str; 7] = [
    "Dir::State",
    "Dir::State::lists",
    "Dir::State::status",
    "Dir::Etc::preferences",
    "Dir::Etc::preferencesparts",
    "Dir::Etc::main",
    "APT::Architecture",
];

/// Settings that change, by what stands below them, which lists and sources apt reads.
const OTHER_LISTS: [&str; 2] = ["Acquire::IndexTargets::deb::Packages", "Dir::Ignore-Files-Silently"];

#[derive(Default)]
pub(super) struct Facts {
    updates: OnceCell<Fact<Updates>>,
}

/// A package for which apt has a newer version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// Name.
    pub package: String,
    /// Architecture as dpkg has it.
    pub architecture: String,
    /// The installed version.
    pub installed: String,
    /// The version apt would install.
    pub candidate: String,
    /// It brings a version of Debian's security archive.
    pub security: bool,
    /// The administrator told dpkg to keep the installed version.
    pub held: bool,
    /// Number of the list that has the candidate: the first in the order of the sources.
    pub list: usize,
    /// Line of the package in dpkg's status file.
    pub line: u32,
}

/// A package for which Debian's security archive has a newer version that apt does not take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptBack {
    /// Name.
    pub package: String,
    /// The installed version.
    pub installed: String,
    /// The version with the fix.
    pub fix: String,
    /// The version apt would have instead.
    pub candidate: Option<String>,
    /// Line of the package in dpkg's status file.
    pub line: u32,
}

/// An installed package that no list has in any version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Foreign {
    /// Name.
    pub package: String,
    /// The installed version.
    pub version: String,
    /// Line of the package in dpkg's status file.
    pub line: u32,
}

/// What is pending.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Updates {
    /// By name.
    pub upgradable: Vec<Update>,
    /// By name.
    pub kept_back: Vec<KeptBack>,
    /// By name.
    pub foreign: Vec<Foreign>,
    /// Every list of the configured sources.
    pub lists: Vec<List>,
}

impl Updates {
    /// The list that was longest ago known to be fresh, by the date of its archive's Release file. Those with
    /// security updates count; without one of them that was read, all do: other archives are dated anew only
    /// when something changes.
    pub fn oldest_list(&self) -> Option<&List> {
        let security = || self.lists.iter().filter(|list| list.is_security() && list.was_read());
        let dated = |list: &&List| list.date.is_some();
        if security().next().is_some() {
            return security().filter(dated).min_by_key(|list| list.date);
        }
        self.lists.iter().filter(dated).min_by_key(|list| list.date)
    }

    /// Whole hours since then; none for a date in the future or without any.
    pub fn lists_age_hours(&self, now: Timestamp) -> Option<i64> {
        let hours = now.duration_since(self.oldest_list()?.date?).as_hours();
        (hours >= 0).then_some(hours)
    }

    /// The list that has the candidate.
    pub fn list_of(&self, update: &Update) -> Option<&List> {
        self.lists.get(update.list)
    }
}

impl Host {
    /// The pending updates. Unknown where apt itself would refuse to tell, and where not one list was fetched.
    pub fn updates(&self) -> &Fact<Updates> {
        self.updates.updates.get_or_init(|| Fact::gather(&self.files, |gather| self.read_updates(gather)))
    }

    fn read_updates(&self, gather: &mut Gather<'_>) -> Result<Updates, Stop> {
        let packages = gather.take(self.packages())?;
        let sources = gather.take(self.apt_sources())?;
        let conf = gather.take(self.apt_conf())?;
        let preferences = gather.take(self.apt_preferences())?;
        for refusal in [&sources.unreadable, &conf.error, &preferences.error] {
            refusal.iter().try_for_each(|doubt| Err(Stop::Unknown(Doubt::clone(doubt))))?;
        }
        for setting in ELSEWHERE.iter().filter_map(|name| conf.tree.find(name)) {
            let what = "makes apt go by other files than those that are read here";
            gather.doubt(Doubt::at(&setting.file, setting.line, what));
        }
        for setting in OTHER_LISTS.iter().filter_map(|name| conf.tree.first_below(name)) {
            let what = "makes apt go by other lists than those that are read here";
            gather.doubt(Doubt::at(&setting.file, setting.line, what));
        }
        let architectures = architectures(gather, conf, sources)?;
        let mut installed = installed(packages, &sources.native);
        let status = self.status_versions(gather, &installed, &sources.native);
        let mut found = Found::default();
        let lists = lists::read(
            self,
            gather,
            sources,
            &architectures,
            &|name| installed.contains_key(name),
            &mut |list, stanza| found.push(list, stanza, native_of(stanza.architecture, &sources.native)),
        );
        if !lists.iter().any(List::was_read) {
            return Err(Stop::unknown(
                LISTS,
                "has no list of a configured source: what is pending is not known; run `apt update`",
            ));
        }
        for (name, packages) in &mut installed {
            for package in packages {
                package.versions = found.take(name, &package.architecture);
            }
        }
        let default_release = conf.tree.find(DEFAULT_RELEASE).filter(|setting| !setting.value.is_empty());
        if let Some(setting) = default_release {
            exists(setting, &lists)?;
        }
        let mut doubts = Vec::new();
        let policy = Policy::new(&lists, default_release, preferences, &sources.native, &mut doubts);
        for doubt in doubts {
            gather.doubt(doubt);
        }
        let mut updates = Updates { lists, ..Updates::default() };
        for (name, packages) in installed {
            for mut package in packages {
                let known = status.get(&(name.clone(), package.architecture.clone()));
                let version = known.filter(|known| known.text == package.version).cloned();
                let mut version = version.unwrap_or_else(|| Version::bare(&name, &package.version));
                version.installed = true;
                policy::merge(&mut package.versions, version);
                updates.judge(&name, &package, &policy);
            }
        }
        Ok(updates)
    }

    /// What dpkg's status file says about the installed versions besides their numbers.
    fn status_versions(
        &self,
        gather: &mut Gather<'_>,
        installed: &Installed<'_>,
        native: &str,
    ) -> BTreeMap<(String, String), Version> {
        let mut versions = BTreeMap::new();
        let wanted = |name: &str| installed.contains_key(name);
        let mut keep = |stanza: &Stanza<'_>| {
            let key = (stanza.package.to_owned(), native_of(stanza.architecture, native).to_owned());
            versions.insert(key, Version::of(stanza));
        };
        if let Err(trouble) = reading::read(&self.files, DPKG_STATUS, Packing::Plain, &wanted, &mut keep) {
            gather.doubt(trouble);
        }
        versions
    }
}

/// An installed package.
struct Here<'p> {
    package: &'p Package,
    version: String,
    /// That of the host for packages for all of them.
    architecture: String,
    versions: Vec<Version>,
}

type Installed<'p> = BTreeMap<String, Vec<Here<'p>>>;

/// The packages apt takes for installed: also those whose installation was begun and not finished.
fn installed<'p>(status: &'p Status, native: &str) -> Installed<'p> {
    let mut installed = Installed::new();
    let here =
        |package: &Package| !matches!(package.state, PackageState::NotInstalled | PackageState::ConfigFiles);
    for package in status.packages.values().flatten().filter(|package| here(package)) {
        let Some(version) = package.version.clone() else { continue };
        let architecture = native_of(&package.architecture, native).to_owned();
        let here = Here { package, version, architecture, versions: Vec::new() };
        installed.entry(package.name.clone()).or_default().push(here);
    }
    installed
}

/// The architecture apt files a package under.
fn native_of<'a>(architecture: &'a str, native: &'a str) -> &'a str {
    if matches!(architecture, "" | "all") { native } else { architecture }
}

/// `APT::Architectures`, else the host's own and those dpkg was told of.
fn architectures(gather: &mut Gather<'_>, conf: &AptConf, sources: &AptSources) -> Result<Vec<String>, Stop> {
    let set: Vec<String> =
        conf.tree.list("APT::Architectures").into_iter().map(|setting| setting.value.clone()).collect();
    if !set.is_empty() {
        return Ok(set);
    }
    let mut all = vec![sources.native.clone()];
    let text = gather.optional(ARCHITECTURES)?;
    let told = text.iter().flat_map(|text| text.lines()).map(str::trim);
    all.extend(told.filter(|name| !name.is_empty() && *name != sources.native).map(str::to_owned));
    Ok(all)
}

/// apt refuses to work with a default release that no list knows.
fn exists(setting: &Setting, lists: &[List]) -> Result<(), Stop> {
    let value = setting.value.as_str();
    let matches = |text: &str| apt_match::expression(value, text) == Some(true);
    let known = |list: &List| {
        let archive = &list.archive;
        let suite = archive.suites.iter().any(|suite| matches(suite));
        list.has_release_file && (suite || matches(&archive.codename) || matches(&archive.version))
    };
    let is_fields = value.len() > 2 && value.as_bytes().get(1) == Some(&b'=');
    if is_fields || matches("now") || lists.iter().filter(|list| list.was_read()).any(known) {
        return Ok(());
    }
    let what = format!("{DEFAULT_RELEASE} names a release that no list knows: apt refuses every command");
    Err(Stop::Unknown(Doubt::at(&setting.file, setting.line, what)))
}

impl Updates {
    fn judge(&mut self, name: &str, here: &Here<'_>, policy: &Policy) {
        let versions = &here.versions;
        let Some(current) = versions.iter().position(|version| version.installed) else { return };
        let candidate = policy.candidate(name, &here.architecture, versions);
        let lists = &self.lists;
        let is_security = |version: &Version| {
            version.lists.iter().filter_map(|list| lists.get(*list)).any(List::is_security)
        };
        // Versions are in order: what stands before the installed one is newer.
        let newer = versions.get(..current).unwrap_or_default();
        // Another build of the same version brings no fix.
        let brings = |version: &Version| older(&here.version, &version.text) && is_security(version);
        let fixes = newer.iter().enumerate().filter(|(_, version)| brings(version));
        let fixes: Vec<usize> = fixes.map(|(number, _)| number).collect();
        let line = here.package.line;
        let newest_fix = fixes.first().copied();
        if let Some(fix) = newest_fix.filter(|fix| candidate.is_none_or(|candidate| candidate > *fix)) {
            self.kept_back.push(KeptBack {
                package: name.to_owned(),
                installed: here.version.clone(),
                fix: versions.get(fix).map(|version| version.text.clone()).unwrap_or_default(),
                candidate: candidate.and_then(|at| versions.get(at)).map(|version| version.text.clone()),
                line,
            });
        }
        if let Some(at) = candidate.filter(|at| *at < current)
            && let Some(version) = versions.get(at)
        {
            self.upgradable.push(Update {
                package: name.to_owned(),
                architecture: here.package.architecture.clone(),
                installed: here.version.clone(),
                candidate: version.text.clone(),
                security: fixes.iter().any(|fix| *fix >= at),
                held: here.package.want == Want::Hold,
                list: version.lists.first().copied().unwrap_or_default(),
                line,
            });
        }
        if versions.iter().all(|version| version.lists.is_empty()) {
            self.foreign.push(Foreign { package: name.to_owned(), version: here.version.clone(), line });
        }
    }
}

#[cfg(test)]
mod tests;
