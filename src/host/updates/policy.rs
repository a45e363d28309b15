//! Which version of a package apt would install.
//!
//! Follows apt `apt-pkg/policy.cc` (`GetCandidateVer`, `GetPriority`, `CreatePin`), `apt-pkg/pkgcachegen.cc`
//! (`MergeListVersion`) and `apt-pkg/versionmatch.cc` of 2.2.4, 2.6.1 and 3.0.3.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::lists::List;
use crate::formats::apt_conf::Setting;
use crate::formats::apt_match::{self, Archive, Pattern};
use crate::formats::apt_preferences::{Pin, Record};
use crate::formats::debian_version::compare;
use crate::formats::package_list::{Fingerprint, Stanza};
use crate::host::Doubt;
use crate::host::apt::Preferences;
use crate::host::apt::priority::{INSTALLED_PIN, NEVER, Named, Priority, number, of_archive};

/// Code of a doubt about a pin or a default release: another version may be the candidate than the one told.
pub const PIN_NOT_UNDERSTOOD: &str = "pin-not-understood";

/// From this priority on apt goes back to older versions.
const DOWNGRADE: i16 = 1000;

/// A version of a package, with what has it.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) text: String,
    source: (String, String),
    print: Option<Fingerprint>,
    /// Numbers of the lists that have it.
    pub(super) lists: Vec<usize>,
    /// It is the installed one.
    pub(super) installed: bool,
}

impl Version {
    pub(super) fn of(stanza: &Stanza<'_>) -> Self {
        let (source, version) = stanza.source();
        Self {
            text: stanza.version.to_owned(),
            source: (source.to_owned(), version.to_owned()),
            print: Some(stanza.print),
            lists: Vec::new(),
            installed: false,
        }
    }

    /// A version of which nothing but the number is known.
    pub(super) fn bare(package: &str, text: &str) -> Self {
        let source = (package.to_owned(), text.to_owned());
        Self { text: text.to_owned(), source, print: None, lists: Vec::new(), installed: false }
    }

    fn has_print_of(&self, other: &Self) -> bool {
        self.print.zip(other.print).is_none_or(|(this, other)| this.same(other))
    }

    fn is(&self, other: &Self) -> bool {
        self.has_print_of(other) && compare(&self.text, &other.text).is_eq()
    }

    /// Bytes it takes, roughly.
    fn size(&self) -> usize {
        let (name, number) = &self.source;
        [&self.text, name, number]
            .into_iter()
            .fold(size_of::<Self>(), |sum, text| sum.saturating_add(text.len()))
    }
}

/// The versions of a package, newest first; what apt takes for the same version is one, with the lists of all.
fn merged(mut found: Vec<Version>) -> Vec<Version> {
    found.sort_by(|one, other| compare(&other.text, &one.text));
    let mut versions: Vec<Version> = Vec::with_capacity(found.len());
    // Where those of the number at hand begin.
    let mut begin = 0;
    for version in found {
        if versions.last().is_some_and(|last| compare(&last.text, &version.text).is_ne()) {
            begin = versions.len();
        }
        let of_number = versions.get_mut(begin..).unwrap_or_default();
        match of_number.iter_mut().find(|known| known.has_print_of(&version)) {
            Some(known) => known.lists.extend(version.lists),
            None => versions.push(version),
        }
    }
    versions
}

/// Puts a version among those of its package, newest first; one that is there already gets the lists of the new one.
pub(super) fn merge(versions: &mut Vec<Version>, new: Version) {
    if let Some(known) = versions.iter_mut().find(|known| known.is(&new)) {
        known.lists.extend(new.lists);
        known.installed |= new.installed;
        return;
    }
    let newer = |known: &Version| compare(&known.text, &new.text) != Ordering::Less;
    let place = versions.iter().position(|known| !newer(known)).unwrap_or(versions.len());
    versions.insert(place, new);
}

/// Versions of one package and architecture that are looked at. Debian's lists have a handful.
const VERSIONS: usize = 2000;

/// Bytes the versions of all packages may take.
const ROOM: usize = 64 << 20;

/// The versions the lists have of installed packages, by name and architecture; no more than there is room for.
#[derive(Default)]
pub(super) struct Found {
    versions: BTreeMap<(String, String), Vec<Version>>,
    size: usize,
}

impl Found {
    /// Takes a version of a list; false where there is no room for it.
    pub(super) fn push(&mut self, list: usize, stanza: &Stanza<'_>, architecture: &str) -> bool {
        let key = (stanza.package.to_owned(), architecture.to_owned());
        let known = self.versions.entry(key).or_default();
        let version = Version { lists: vec![list], ..Version::of(stanza) };
        self.size = self.size.saturating_add(version.size());
        let fits = known.len() < VERSIONS && self.size <= ROOM;
        if fits {
            known.push(version);
        }
        fits
    }

    /// Those of one package, merged.
    pub(super) fn take(&mut self, name: &str, architecture: &str) -> Vec<Version> {
        let found = self.versions.remove(&(name.to_owned(), architecture.to_owned()));
        found.map(merged).unwrap_or_default()
    }
}

/// A record that names packages.
struct Rule {
    names: Vec<Named>,
    value: i16,
    pin: Matcher,
}

/// The versions a record speaks of.
enum Matcher {
    /// Those of these lists, by number, and those that are installed.
    Lists(Vec<bool>, bool),
    /// Those of this number.
    Version(Number),
    /// Those whose source package has this number.
    SourceVersion(Number),
}

/// A version number, or the start of one, or a pattern.
struct Number {
    text: String,
    is_start: bool,
    pattern: Pattern,
}

impl Number {
    fn new(text: &str) -> Option<Self> {
        let (text, is_start) = text.strip_suffix('*').map_or((text, false), |start| (start, true));
        Some(Self { text: text.to_owned(), is_start, pattern: Pattern::new(text)? })
    }

    fn matches(&self, version: &str) -> bool {
        let end = if self.is_start { self.text.len() } else { version.len() };
        let start = version.get(..end).is_some_and(|start| start.eq_ignore_ascii_case(&self.text));
        start || self.pattern.matches(version)
    }
}

/// apt's policy.
pub(super) struct Policy {
    rules: Vec<Rule>,
    lists: Vec<i16>,
    installed: i16,
    native: String,
}

impl Policy {
    /// Reads the pins; what is not understood is left out and doubted.
    pub(super) fn new(
        lists: &[List],
        default_release: Option<&Setting>,
        preferences: &Preferences,
        native: &str,
        doubts: &mut Vec<Doubt>,
    ) -> Self {
        let mut priority = |archive: &Archive, default| {
            of_archive(archive, default, default_release, preferences).map_or_else(
                || {
                    let what = "has a pin or a default release with a pattern that is not understood here";
                    doubts.push(Doubt::about("/etc/apt", what).coded(PIN_NOT_UNDERSTOOD));
                    default
                },
                |Priority { value, .. }| value,
            )
        };
        let installed = priority(&Archive::status_file(), INSTALLED_PIN);
        let values = lists.iter().map(|list| priority(&list.archive, list.default_pin)).collect();
        let mut rules = Vec::new();
        for (path, record) in preferences.records.iter().filter(|(_, record)| !record.packages.is_empty()) {
            if let Some(rule) = rule(record, lists) {
                rules.push(rule);
            } else {
                let what = "a pin with a pattern that is not understood here: it is left out";
                doubts.push(Doubt::at(path, record.line, what).coded(PIN_NOT_UNDERSTOOD));
            }
        }
        Self { rules, lists: values, installed, native: native.to_owned() }
    }

    /// Number of the version apt would have installed.
    pub(super) fn candidate(&self, name: &str, architecture: &str, versions: &[Version]) -> Option<usize> {
        let installed = versions.iter().find(|version| version.installed);
        let mut best: Option<(usize, i32)> = None;
        for (number, version) in versions.iter().enumerate() {
            let priority = self.priority(name, architecture, version);
            // apt begins at -1: what has that or less is no candidate.
            if priority == 0 || priority <= best.map_or(-1, |(_, best)| best) {
                continue;
            }
            let older = |installed: &Version| compare(&version.text, &installed.text).is_lt();
            if priority < i32::from(DOWNGRADE) && installed.is_some_and(older) {
                continue;
            }
            best = Some((number, priority));
        }
        best.map(|(number, _)| number)
    }

    fn priority(&self, name: &str, architecture: &str, version: &Version) -> i32 {
        let lists = version.lists.iter().filter_map(|list| self.lists.get(*list)).copied();
        let files: Vec<i16> = lists.chain(version.installed.then_some(self.installed)).collect();
        let rule = self.rules.iter().find(|rule| rule.speaks_of(name, architecture, version, &self.native));
        match rule {
            Some(rule) if files.iter().any(|value| *value != NEVER) => i32::from(rule.value),
            _ => files.into_iter().max().map_or(0, i32::from),
        }
    }
}

fn rule(record: &Record, lists: &[List]) -> Option<Rule> {
    let of_archives = |matches: &dyn Fn(&Archive) -> Option<bool>| {
        let lists: Option<Vec<bool>> = lists.iter().map(|list| matches(&list.archive)).collect();
        Some(Matcher::Lists(lists?, matches(&Archive::status_file())?))
    };
    let pin = match &record.pin {
        Pin::Release(data) => of_archives(&|archive| apt_match::release(data, archive))?,
        Pin::Origin(data) => of_archives(&|archive| apt_match::origin(data, archive))?,
        Pin::Version(text) => Matcher::Version(Number::new(text)?),
        Pin::SourceVersion(text) => Matcher::SourceVersion(Number::new(text)?),
    };
    let names: Option<Vec<Named>> = record.packages.iter().map(|name| Named::new(name)).collect();
    // Wildcards of architectures other than `any` are not understood.
    let names = names?;
    let plain = |named: &Named| {
        let parts = named.architecture.as_deref().unwrap_or_default();
        parts == "any" || !parts.contains(['-', '*', '?', '['])
    };
    names.iter().all(plain).then_some(Rule { names, value: number(record.priority), pin })
}

impl Rule {
    fn speaks_of(&self, name: &str, architecture: &str, version: &Version, native: &str) -> bool {
        let named = |named: &Named| {
            let architecture_fits = match named.architecture.as_deref() {
                None => architecture == native,
                Some("any") => true,
                Some(other) => architecture == other,
            };
            architecture_fits && named.name.matches(if named.source { &version.source.0 } else { name })
        };
        self.names.iter().any(named)
            && match &self.pin {
                Matcher::Lists(lists, installed) => {
                    let list = |list: &usize| lists.get(*list) == Some(&true);
                    version.lists.iter().any(list) || (version.installed && *installed)
                }
                Matcher::Version(number) => number.matches(&version.text),
                Matcher::SourceVersion(number) => number.matches(&version.source.1),
            }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version(text: &str, size: u64, list: usize) -> Version {
        let stanza = format!("Package: a\nVersion: {text}\nSize: {size}\n");
        Version { lists: vec![list], ..Version::of(&Stanza::parse(stanza.as_bytes())) }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn merging_all_at_once_is_merging_one_by_one(found in prop::collection::vec(("[12](\\.0)?", 0_u64..3), 0..10)) {
            let found: Vec<Version> =
                found.iter().enumerate().map(|(list, (text, size))| version(text, *size, list)).collect();
            let mut one_by_one = Vec::new();
            for version in found.clone() {
                merge(&mut one_by_one, version);
            }
            let told = |versions: Vec<Version>| -> Vec<_> {
                versions.into_iter().map(|version| (version.text, version.lists)).collect()
            };
            prop_assert_eq!(told(merged(found)), told(one_by_one));
        }
    }
}
