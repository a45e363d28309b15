//! Containers: `nodes/NODE/lxc/VMID.conf`.
//!
//! Follows `parse_pct_config` of pve-container's `PVE::LXC::Config` (branches stable-7, stable-bookworm and master,
//! alike but for the options they know). An option with a bad value is *kept* as it stands, the last of several
//! wins, raw `lxc.*` keys pile up in order and win over what upstream generates. A section header upstream does
//! not know is a line without meaning: the lines after it overwrite the section before, in every release.

use std::collections::BTreeMap;

use super::lxc_options::{OPTIONS, RawRule, raw_rule};
use super::options::{Check, find};
use super::text::{bracketed, indexed, is_snapshot_name, is_snapstate_line, named_line, option_line};
use super::{Deletion, GuestOption, Refused, Snapshot, deletions};
use crate::formats::perl::{boolean_word, is_blank, is_digits, is_space, trimmed};
use crate::formats::release::Release;
use crate::formats::shell::without_credential;
use crate::formats::{Issue, Parsed, numbered, property_string, shown, verify};

pub use super::lxc_view::{
    CtNic, DEFAULT_MAP_LENGTH, DEFAULT_MAP_START, Device, DeviceRule, Features, HostId, IdMap, IdMapEntry,
    IdRange, MountEntry, MountIds, MountPoint,
};

/// The configuration of a container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LxcConfig {
    /// What is in force (or will be at the next start, when nothing is pending).
    pub current: LxcSection,
    /// What comes into force at the next start.
    pub pending: Option<LxcPending>,
    /// The snapshots, by name. `[PENDING]` is one.
    pub snapshots: BTreeMap<String, LxcSection>,
}

/// Changes that wait for the next start of a container.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LxcPending {
    /// The options to set.
    pub section: LxcSection,
    /// The options to remove.
    pub deletions: Vec<Deletion>,
}

/// One section of the file: the current configuration, the pending one or a snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LxcSection {
    /// Line of the section header; 1 for the current configuration.
    pub line: u32,
    /// The options, by name. Ones with a bad value are kept, marked not well-formed;
    /// unknown ones likewise, without their text.
    pub options: BTreeMap<String, GuestOption>,
    /// The raw keys that go into the configuration LXC reads, in order.
    pub raw: Vec<RawKey>,
    /// Lines that look like raw keys and that upstream drops.
    pub refused: Vec<Refused>,
    /// Names of environment variables set for the container, with their lines; the values are not kept.
    pub environment: Vec<EnvironmentVariable>,
    /// Whether the section has a description.
    pub has_description: bool,
}

/// A raw key passed on to LXC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawKey {
    /// The name, such as `lxc.cap.drop`.
    pub name: String,
    /// The value; empty for environment variables. Credentials among mount options are left out.
    pub value: String,
    /// Line in the file, counted from 1.
    pub line: u32,
}

/// An environment variable set for a container. Its value is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentVariable {
    /// The name before the `=`.
    pub name: String,
    /// Whether a value that is not empty is set.
    pub has_value: bool,
    /// Line in the file, counted from 1.
    pub line: u32,
}

/// Options whose text is never kept.
const WITHHELD: [&str; 2] = ["description", "env"];

/// Reads the configuration of a container as `release` does.
pub fn parse(text: &str, release: Release) -> Parsed<LxcConfig> {
    let mut reader = Reader::new(release);
    for (number, line) in numbered(text) {
        if !is_blank(line) {
            reader.line(number, line);
        }
    }
    reader.finish()
}

impl LxcConfig {
    /// The snapshots in order of their names, with what an auditor wants to know about each.
    pub fn snapshot_facts(&self) -> Vec<Snapshot> {
        let facts = |(name, section): (&String, &LxcSection)| Snapshot {
            name: name.clone(),
            line: section.line,
            taken_at: section.text("snaptime").and_then(|text| text.parse().ok()),
            has_memory: false,
            password: None,
            environment_variables: section.environment.len(),
        };
        self.snapshots.iter().map(facts).collect()
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Current,
    Pending,
    Snapshot(String),
}

struct Reader {
    release: Release,
    config: LxcConfig,
    issues: Vec<Issue>,
    place: Place,
    section: LxcSection,
    deletions: Vec<Deletion>,
}

impl Reader {
    fn new(release: Release) -> Self {
        Self {
            release,
            config: LxcConfig::default(),
            issues: Vec::new(),
            place: Place::Current,
            section: LxcSection { line: 1, ..LxcSection::default() },
            deletions: Vec::new(),
        }
    }

    fn finish(mut self) -> Parsed<LxcConfig> {
        self.close(Place::Current);
        Parsed { value: self.config, issues: self.issues }
    }

    fn issue(&mut self, line: u32, what: impl Into<String>) {
        self.issues.push(Issue::new(line, what));
    }

    fn line(&mut self, number: u32, line: &str) {
        if let Some(name) = bracketed(line) {
            let place = match name {
                _ if name.eq_ignore_ascii_case("pve:pending") => Some(Place::Pending),
                _ if is_snapshot_name(name) => Some(Place::Snapshot(name.to_owned())),
                _ => None,
            };
            match place {
                Some(place) => self.open(number, place),
                None => self.issue(
                    number,
                    "the section is unknown, upstream ignores its header and the lines below it overwrite the \
                     section before",
                ),
            }
            return;
        }
        if line.starts_with('#') {
            self.section.has_description = true;
        } else if let Some((name, value)) = raw_line(line) {
            self.raw(number, name, value);
        } else if named_line(line, "description").is_some() {
            self.section.has_description = true;
        } else if is_snapstate_line(line) {
            if !line.starts_with("snapstate:") {
                self.issue(
                    number,
                    "the line ends like a snapshot state, upstream reads nothing else from it",
                );
            }
        } else if let Some(text) = named_line(line, "delete") {
            self.delete(number, text);
        } else if let Some((name, text)) = option_line(line, false) {
            self.option(number, name, text);
        } else {
            self.issue(number, "the line is neither an option nor a section header, upstream ignores it");
        }
    }

    fn open(&mut self, number: u32, place: Place) {
        let is_again = match &place {
            Place::Pending => self.config.pending.is_some() || self.place == place,
            Place::Snapshot(name) => self.config.snapshots.contains_key(name) || self.place == place,
            Place::Current => false,
        };
        if is_again {
            self.issue(number, "the section stands in the file twice, upstream keeps only the last one");
        }
        self.close(place);
        self.section.line = number;
    }

    /// Stores the section that ends here; one of the same name that was read before is replaced.
    fn close(&mut self, next: Place) {
        let section = std::mem::take(&mut self.section);
        let deletions = std::mem::take(&mut self.deletions);
        match std::mem::replace(&mut self.place, next) {
            Place::Current => self.config.current = section,
            Place::Pending => self.config.pending = Some(LxcPending { section, deletions }),
            Place::Snapshot(name) => {
                self.config.snapshots.insert(name, section);
            }
        }
    }

    fn delete(&mut self, number: u32, text: &str) {
        if self.place == Place::Pending {
            self.deletions = deletions(text);
        } else {
            self.issue(number, "`delete` has a meaning only among pending changes, upstream ignores it");
        }
    }

    fn raw(&mut self, number: u32, name: &str, value: &str) {
        match raw_rule(name, self.release) {
            RawRule::Passed => {}
            RawRule::Renamed => {
                self.issue(
                    number,
                    format!("{} has another name since LXC 3, the container does not start", shown(name)),
                );
            }
            RawRule::OldControlGroup => {
                self.issue(number, format!("{} is of the old control groups, LXC ignores it", shown(name)));
            }
            RawRule::Refused | RawRule::Unknown => {
                self.section.refused.push(Refused { option: name.to_owned(), line: number });
                self.issue(number, format!("raw key {} is not allowed, upstream drops it", shown(name)));
                return;
            }
        }
        let is_environment =
            matches!(name, "lxc.environment" | "lxc.environment.runtime" | "lxc.environment.hooks");
        if is_environment {
            self.section.environment.push(environment_variable(value, number));
        }
        let value = match name {
            _ if is_environment => String::new(),
            "lxc.mount.entry" => without_credentials(value),
            _ => value.to_owned(),
        };
        self.section.raw.push(RawKey { name: name.to_owned(), value, line: number });
    }

    fn option(&mut self, number: u32, name: &str, text: &str) {
        let (value, properties, well_formed) = match check(name, text, self.release) {
            Ok((value, properties)) => (value, properties, true),
            Err(why) => {
                self.issue(number, format!("option {} {why}, upstream keeps it as it stands", shown(name)));
                (text.to_owned(), None, false)
            }
        };
        if name == "env" {
            let variables = text.split('\0').filter(|each| !each.is_empty());
            self.section.environment.extend(variables.map(|each| environment_variable(each, number)));
        }
        self.section.has_description |= name == "description";
        // Nobody reads an option upstream does not know, so its text, which may be anything, is not kept either.
        let is_known = find(OPTIONS, name, self.release).is_some();
        let text = if !is_known || WITHHELD.contains(&name) { String::new() } else { value };
        let option = GuestOption { text, properties, well_formed, line: number };
        self.section.options.insert(name.to_owned(), option);
    }
}

/// `^(lxc\.[a-z0-9_\-\.]+)(:|\s*=)\s*(.*?)\s*$`
fn raw_line(line: &str) -> Option<(&str, &str)> {
    let is_name = |each: char| each.is_ascii_lowercase() || each.is_ascii_digit() || "_-.".contains(each);
    let rest = line.strip_prefix("lxc.")?.trim_start_matches(is_name);
    let name = line.strip_suffix(rest)?;
    if name.len() <= "lxc.".len() {
        return None;
    }
    let value = match rest.strip_prefix(':') {
        Some(value) => value,
        None => rest.trim_start_matches(is_space).strip_prefix('=')?,
    };
    Some((name, trimmed(value)))
}

fn environment_variable(text: &str, line: u32) -> EnvironmentVariable {
    let (name, value) = text.split_once('=').unwrap_or((text, ""));
    EnvironmentVariable { name: trimmed(name).to_owned(), has_value: !value.is_empty(), line }
}

/// Mount options can hold a password (`cifs`): such an option loses its value.
fn without_credentials(entry: &str) -> String {
    let clean = |word: &str| word.split(',').map(without_credential).collect::<Vec<_>>().join(",");
    entry.split(is_space).map(clean).collect::<Vec<_>>().join(" ")
}

type Checked = (String, Option<property_string::Properties>);

/// The value `check_type` makes of `text`, or what is wrong with the option. The answer never quotes the text.
fn check(name: &str, text: &str, release: Release) -> Result<Checked, String> {
    let check = find(OPTIONS, name, release).ok_or_else(|| format!("is unknown to {release}"))?;
    if text.contains('\r') {
        return Err("has a carriage return inside its value".to_owned());
    }
    let plain = |fits: bool, wanted: &str| {
        if fits { Ok((text.to_owned(), None)) } else { Err(format!("is not {wanted}")) }
    };
    match check {
        Check::Boolean => match boolean_word(text) {
            Some(flag) => Ok((if flag { "1" } else { "0" }.to_owned(), None)),
            None => Err("is not a boolean".to_owned()),
        },
        Check::Integer => plain(is_digits(text), "a whole number"),
        Check::Number => plain(verify::decimal(text), "a number"),
        Check::Text => Ok((text.to_owned(), None)),
        Check::Format(fits) => plain(fits(text), "of the required form"),
        Check::Properties(schema) => match property_string::parse(schema, text, release) {
            Ok(properties) => Ok((text.to_owned(), Some(properties))),
            Err(refusal) => Err(format!("has a bad value ({refusal})")),
        },
    }
}

impl LxcSection {
    /// The text of an option.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.options.get(name).map(|option| option.text.as_str())
    }

    /// The options of a family such as `mp`, by index.
    pub fn family(&self, letters: &str) -> Vec<(u32, &GuestOption)> {
        let of_family = |(name, option)| match indexed(name) {
            Some((found, index)) if found == letters => Some((index, option)),
            _ => None,
        };
        let mut found: Vec<_> =
            self.options.iter().map(|(name, option)| (name.as_str(), option)).filter_map(of_family).collect();
        found.sort_by_key(|(index, _)| *index);
        found
    }

    /// The raw keys of one name, in order.
    pub fn raw_keys(&self, name: &str) -> impl Iterator<Item = &RawKey> {
        self.raw.iter().filter(move |raw| raw.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raw_key_takes_a_colon_right_after_it_or_an_equals_sign_anywhere() {
        assert_eq!(raw_line("lxc.cap.drop:"), Some(("lxc.cap.drop", "")));
        assert_eq!(raw_line("lxc.cap.drop = a b \r"), Some(("lxc.cap.drop", "a b")));
        assert_eq!(raw_line("lxc.net.0.type=none"), Some(("lxc.net.0.type", "none")));
        for bad in ["lxc.cap.drop : a", "lxc.: a", "lxc.cap.drop", " lxc.cap.drop: a", "lxc.Cap: a"] {
            assert_eq!(raw_line(bad), None, "{bad}");
        }
    }

    #[test]
    fn credentials_among_mount_options_are_left_out() {
        let entry = "//nas/x mnt cifs username=a,password=hunter2,credentials=/root/c,ro 0 0";
        assert_eq!(without_credentials(entry), "//nas/x mnt cifs username=a,password,credentials,ro 0 0");
    }
}
