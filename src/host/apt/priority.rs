//! Which archive apt prefers when no pin names a package.
//!
//! Follows apt `apt-pkg/policy.cc` (`pkgPolicy::InitDefaults`, `GetPriority`) of 2.2.4, 2.6.1 and 3.0.3: for an archive
//! `APT::Default-Release` with 990 comes first, then the records for `*` in their order; the first that matches fixes its
//! priority, but a later `never` still takes it away. A record that names packages wins over all of that, except
//! over `never`; that matters here where a pattern stands for all packages.

use super::Preferences;
use crate::formats::apt_conf::Setting;
use crate::formats::apt_match::{self, Archive, Pattern};
use crate::formats::apt_preferences::{Pin, Priority as Written, Record};
use crate::formats::release_file::DEFAULT_PIN;

/// The setting that prefers a release.
pub const DEFAULT_RELEASE: &str = "APT::Default-Release";

/// What `APT::Default-Release` gives.
const DEFAULT_RELEASE_PIN: i16 = 990;

/// Priority of what is installed: an archive below it never updates anything.
pub const INSTALLED_PIN: i16 = 100;

/// What fixed a priority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// Nothing: it is apt's default.
    Default,
    /// `APT::Default-Release`.
    DefaultRelease(Setting),
    /// A record, by file and line.
    Pin(String, u32),
}

/// The priority of all packages of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Priority {
    /// The number; the lowest there is for `never`.
    pub value: i16,
    /// Where it comes from.
    pub by: By,
}

/// Packages that have nothing in common: a pattern that takes them all takes every package.
const UNRELATED: [&str; 2] = ["openssl", "zlib1g"];

/// Whether a record for named packages is for all packages in truth; `None` where a pattern is not understood.
fn is_wide(record: &Record) -> Option<bool> {
    record.packages.iter().try_fold(false, |wide, pattern| Some(wide || takes_all(pattern)?))
}

fn takes_all(pattern: &str) -> Option<bool> {
    let named = Named::new(pattern)?;
    Some(UNRELATED.iter().all(|probe| named.name.matches(probe)))
}

/// The name in a record that is not for `*` (`pkgPolicy::CreatePin`): `src:` in front of names of source packages, an
/// architecture behind the last `:` – even inside a regular expression, which then is none.
#[derive(Debug, Clone)]
pub struct Named {
    /// It names source packages.
    pub source: bool,
    /// What the name must be.
    pub name: Name,
    /// The architecture, such as `i386` or `any`; by default the native one.
    pub architecture: Option<String>,
}

/// What a name must be.
#[derive(Debug, Clone)]
pub enum Name {
    /// This very name.
    Is(String),
    /// One that matches.
    Matches(Pattern),
}

impl Named {
    /// Reads a name; `None` for a regular expression that is not understood here.
    pub fn new(text: &str) -> Option<Self> {
        let (source, text) = text.strip_prefix("src:").map_or((false, text), |rest| (true, rest));
        let (text, architecture) = match text.rsplit_once(':') {
            Some((text, architecture)) => (text, Some(architecture.to_owned())),
            None => (text, None),
        };
        let is_pattern = (text.starts_with('/') && text.ends_with('/')) || text.contains(['*', '[', '?']);
        let name = if is_pattern { Name::Matches(Pattern::new(text)?) } else { Name::Is(text.to_owned()) };
        Some(Self { source, name, architecture })
    }
}

impl Name {
    /// Whether `name` is it.
    pub fn matches(&self, name: &str) -> bool {
        match self {
            Self::Is(this) => this == name,
            Self::Matches(pattern) => pattern.matches(name),
        }
    }
}

/// A pattern is not understood here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotUnderstood;

/// What `never` is inside apt.
pub const NEVER: i16 = i16::MIN;

/// The number of a priority as it is written.
pub fn number(priority: Written) -> i16 {
    match priority {
        Written::Never => NEVER,
        Written::Value(value) => value,
    }
}

/// What a record gives the versions of an archive; none if it does not match it.
fn given(record: &Record, archive: &Archive) -> Result<Option<i16>, NotUnderstood> {
    let matches = match &record.pin {
        Pin::Release(data) => apt_match::release(data, archive).ok_or(NotUnderstood)?,
        Pin::Origin(data) => apt_match::origin(data, archive).ok_or(NotUnderstood)?,
        Pin::Version(_) | Pin::SourceVersion(_) => false,
    };
    Ok(matches.then_some(number(record.priority)))
}

/// The priority of an archive for packages that no record names; `default` is what it has without any pin. `None` where
/// a pattern is not understood here.
pub fn of_archive(
    archive: &Archive,
    default: i16,
    default_release: Option<&Setting>,
    preferences: &Preferences,
) -> Option<Priority> {
    let mut priority = Priority { value: default, by: By::Default };
    if let Some(setting) = default_release
        && apt_match::release(&setting.value, archive)?
    {
        priority = Priority { value: DEFAULT_RELEASE_PIN, by: By::DefaultRelease(setting.clone()) };
    }
    for (path, record) in preferences.records.iter().filter(|(_, record)| record.packages.is_empty()) {
        if let Some(value) = given(record, archive).ok()?
            && (priority.by == By::Default || value == NEVER)
        {
            priority = Priority { value, by: By::Pin(path.clone(), record.line) };
            if value == NEVER {
                break;
            }
        }
    }
    Some(priority)
}

/// The priority of what is installed, as [`priority`] tells that of an archive.
pub fn of_installed(default_release: Option<&Setting>, preferences: &Preferences) -> Option<Priority> {
    for_most(&Archive::status_file(), INSTALLED_PIN, default_release, preferences)
}

/// The priority of an archive without `NotAutomatic` for most packages: a record whose pattern stands for all of them
/// counts. `None` where a pattern is not understood here.
pub fn priority(
    archive: &Archive,
    default_release: Option<&Setting>,
    preferences: &Preferences,
) -> Option<Priority> {
    for_most(archive, DEFAULT_PIN, default_release, preferences)
}

fn for_most(
    archive: &Archive,
    default: i16,
    default_release: Option<&Setting>,
    preferences: &Preferences,
) -> Option<Priority> {
    let general = of_archive(archive, default, default_release, preferences)?;
    if general.value == NEVER {
        return Some(general);
    }
    for (path, record) in preferences.records.iter().filter(|(_, record)| !record.packages.is_empty()) {
        if let Some(value) = given(record, archive).ok()?
            && is_wide(record)?
        {
            return Some(Priority { value, by: By::Pin(path.clone(), record.line) });
        }
    }
    Some(general)
}

/// The first record for named packages that keeps those of an archive below what is installed.
///
/// # Errors
/// Where a pattern is not understood here.
pub fn held_back<'a>(
    archive: &Archive,
    preferences: &'a Preferences,
) -> Result<Option<&'a (String, Record)>, NotUnderstood> {
    for named in preferences.records.iter().filter(|(_, record)| !record.packages.is_empty()) {
        if given(&named.1, archive)?.is_some_and(|value| value < INSTALLED_PIN) {
            return Ok(Some(named));
        }
    }
    Ok(None)
}
