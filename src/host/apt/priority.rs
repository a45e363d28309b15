//! Which archive apt prefers when no pin names a package.
//!
//! Follows apt `apt-pkg/policy.cc` (`pkgPolicy`, `InitDefaults`): records that name packages come first, which matters
//! here where a pattern stands for all of them; then `APT::Default-Release` with 990, then the records for `*` in their
//! order; the first that matches an archive fixes its priority.

use super::Preferences;
use crate::formats::apt_conf::Setting;
use crate::formats::apt_match::{self, Archive};
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
    let name = pattern.strip_prefix("src:").unwrap_or(pattern);
    // A `:` inside of a regular expression is none before an architecture.
    let name = name.rsplit_once(':').filter(|(_, end)| !end.contains('/')).map_or(name, |(name, _)| name);
    UNRELATED.iter().try_fold(true, |all, probe| Some(all && apt_match::expression(name, probe)?))
}

/// A pattern is not understood here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotUnderstood;

/// What a record gives the versions of an archive; none if it does not match it.
fn given(record: &Record, archive: &Archive) -> Result<Option<i16>, NotUnderstood> {
    let matches = match &record.pin {
        Pin::Release(data) => apt_match::release(data, archive).ok_or(NotUnderstood)?,
        Pin::Origin(data) => apt_match::origin(data, archive).ok_or(NotUnderstood)?,
        Pin::Version(_) | Pin::SourceVersion(_) => false,
    };
    Ok(matches.then_some(match record.priority {
        Written::Never => i16::MIN,
        Written::Value(value) => value,
    }))
}

/// The priority of an archive without `NotAutomatic`; `None` where a pattern is not understood here.
pub fn priority(
    archive: &Archive,
    default_release: Option<&Setting>,
    preferences: &Preferences,
) -> Option<Priority> {
    let by =
        |value, path: &str, record: &Record| Priority { value, by: By::Pin(path.to_owned(), record.line) };
    let (general, named): (Vec<_>, Vec<_>) =
        preferences.records.iter().partition(|(_, record)| record.packages.is_empty());
    for (path, record) in named {
        if let Some(value) = given(record, archive).ok()?
            && is_wide(record)?
        {
            return Some(by(value, path, record));
        }
    }
    if let Some(setting) = default_release
        && apt_match::release(&setting.value, archive)?
    {
        return Some(Priority { value: DEFAULT_RELEASE_PIN, by: By::DefaultRelease(setting.clone()) });
    }
    for (path, record) in general {
        if let Some(value) = given(record, archive).ok()? {
            return Some(by(value, path, record));
        }
    }
    Some(Priority { value: DEFAULT_PIN, by: By::Default })
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
