//! Sources of the same archive that contradict each other.
//!
//! Follows apt `apt-pkg/deb/debmetaindex.cc` (`GetDebReleaseIndexBy`, `MapsAreEqual`, `SetTrusted`, `SetSignedBy`
//! and the other setters). Archive and suite are the same when their Release file has the same name in the list
//! folder, whatever the scheme and the password.

use std::collections::BTreeMap;

use super::{AptVersion, Entry, SignedBy};

/// Two sources that make the complete list unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict {
    /// Index of the entry that contradicts an earlier one.
    pub entry: usize,
    /// Name of the option in the one-line spelling.
    pub option: &'static str,
}

/// What the first sources of an archive have fixed.
struct Release<'a> {
    allow: [(&'static str, bool); 3],
    inrelease_path: Option<&'a str>,
    switches: [(&'static str, Option<bool>); 3],
    times: [(&'static str, u64); 3],
    signed_by: Option<&'a SignedBy>,
}

impl<'a> Release<'a> {
    fn new(entry: &'a Entry) -> Self {
        Self {
            allow: [
                ("allow-insecure", entry.allow_insecure.unwrap_or(false)),
                ("allow-weak", entry.allow_weak.unwrap_or(false)),
                ("allow-downgrade-to-insecure", entry.allow_downgrade_to_insecure.unwrap_or(false)),
            ],
            inrelease_path: entry.inrelease_path.as_deref(),
            switches: [
                ("trusted", entry.trusted),
                ("check-valid-until", entry.check_valid_until),
                ("check-date", entry.check_date),
            ],
            times: [
                ("valid-until-max", entry.valid_until_max),
                ("valid-until-min", entry.valid_until_min),
                ("date-max-future", entry.date_max_future),
            ],
            signed_by: entry.signed_by.as_ref(),
        }
    }

    /// Adds a later source; the name of the option that contradicts.
    fn add(&mut self, later: &Self, version: AptVersion) -> Option<&'static str> {
        let allow = self.allow.iter().zip(&later.allow).find(|(old, new)| old != new);
        if let Some(((name, _), _)) = allow {
            return Some(name);
        }
        if self.inrelease_path != later.inrelease_path {
            return Some("inrelease-path");
        }
        // unset is a value of its own: a switch set for only one of the sources contradicts
        let switch = self.switches.iter().zip(&later.switches).find(|(old, new)| old != new);
        if let Some(((name, _), _)) = switch {
            return Some(name);
        }
        for ((name, old), (_, new)) in self.times.iter_mut().zip(&later.times) {
            if *old == 0 {
                *old = *new;
            } else if old != new {
                return Some(name);
            }
        }
        match (self.signed_by, later.signed_by) {
            (None, new) => self.signed_by = new,
            (Some(_), None) if version >= AptVersion::V3_0 => {}
            (old, new) if old == new => {}
            _ => return Some("signed-by"),
        }
        None
    }
}

/// The first contradiction in a merged list, in apt's reading order; disabled entries do not count.
///
/// The three `allow-` options are compared with apt's default (no) where a source does not set them. A key set
/// only for a later source is taken over; one missing for a later source contradicts before apt 3.0.
pub fn conflict<'a>(entries: impl IntoIterator<Item = &'a Entry>, version: AptVersion) -> Option<Conflict> {
    let mut releases: BTreeMap<String, Release<'a>> = BTreeMap::new();
    for (index, entry) in entries.into_iter().enumerate().filter(|(_, entry)| entry.enabled) {
        let later = Release::new(entry);
        match releases.get_mut(&entry.list_file("Release")) {
            None => {
                releases.insert(entry.list_file("Release"), later);
            }
            Some(release) => {
                if let Some(option) = release.add(&later, version) {
                    return Some(Conflict { entry: index, option });
                }
            }
        }
    }
    None
}
