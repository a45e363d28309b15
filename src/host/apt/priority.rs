//! Which archive apt prefers when no pin names a package.
//!
//! Follows apt `apt-pkg/policy.cc` (`pkgPolicy`, `InitDefaults`): `APT::Default-Release` comes first with 990, then
//! the records for all packages in their order; the first that matches an archive fixes its priority.

use super::Preferences;
use crate::formats::apt_conf::{Setting, Tree};
use crate::formats::apt_match::{self, Archive};
use crate::formats::apt_preferences::{Pin, Priority as Written};
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

/// The priority of an archive without `NotAutomatic`; `None` where a pattern is not understood here.
pub fn priority(archive: &Archive, tree: &Tree, preferences: &Preferences) -> Option<Priority> {
    if let Some(setting) = tree.find(DEFAULT_RELEASE)
        && apt_match::release(&setting.value, archive)?
    {
        return Some(Priority { value: DEFAULT_RELEASE_PIN, by: By::DefaultRelease(setting.clone()) });
    }
    for (path, record) in preferences.records.iter().filter(|(_, record)| record.packages.is_empty()) {
        let matches = match &record.pin {
            Pin::Release(data) => apt_match::release(data, archive)?,
            Pin::Origin(data) => apt_match::origin(data, archive)?,
            Pin::Version(_) | Pin::SourceVersion(_) => false,
        };
        if matches {
            let value = match record.priority {
                Written::Never => i16::MIN,
                Written::Value(value) => value,
            };
            return Some(Priority { value, by: By::Pin(path.clone(), record.line) });
        }
    }
    Some(Priority { value: DEFAULT_PIN, by: By::Default })
}
