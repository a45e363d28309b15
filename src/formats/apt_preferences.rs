//! `/etc/apt/preferences` and `/etc/apt/preferences.d/*`: pins.
//!
//! Follows apt `apt-pkg/policy.cc` (`ReadPinFile`) of 2.2.4, 2.6.1 and 3.0.3. An error makes every command fail
//! that has to choose a version.

use super::apt_text::{self, AptVersion, is_space, words};
use super::tag_file::{self, Comments, Stanza};
use super::{Issue, Parsed};

/// What the versions a record speaks of have in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pin {
    /// `version`: version numbers that match a pattern.
    Version(String),
    /// `source-version`: the same of the source package (apt 3.0).
    SourceVersion(String),
    /// `release`: fields of the archive's Release file, such as `o=Debian,n=trixie`.
    Release(String),
    /// `origin`: host name of the archive, empty for local files.
    Origin(String),
}

/// Weight of the matching versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Priority {
    /// `never`: the versions do not exist for apt. Only with `Package: *`.
    Never,
    /// Below 0 forbids the installation, 1000 and more downgrades to the version.
    Value(i16),
}

/// One record that apt uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Package names, globs, `/regular expressions/`, `src:` names; empty for `*`, the default of all packages.
    pub packages: Vec<String>,
    /// Which versions.
    pub pin: Pin,
    /// Their weight.
    pub priority: Priority,
    /// All `Explanation` fields, joined by newlines; empty without one.
    pub explanation: String,
    /// Line of the record's first field.
    pub line: u32,
}

/// One preferences file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Preferences {
    /// Records in order, up to the error if there is one.
    pub records: Vec<Record>,
    /// The error that makes apt fail; also among the issues.
    pub error: Option<Issue>,
}

/// `never` is this number inside apt; written as a number it becomes the next one.
const NEVER: i64 = i16::MIN as i64;
/// A priority text of this length or more is no number to apt.
const LONGEST_NUMBER: usize = 300;

/// Whether apt reads a file of this name in `/etc/apt/preferences.d/`: suffix `.pref` or none. Files are read in
/// byte order of their names, after `/etc/apt/preferences`.
pub fn is_preferences_file(name: &str) -> bool {
    apt_text::is_part_name(name, &["pref"], true)
}

/// Reads one preferences file.
pub fn parse(text: &str, version: AptVersion) -> Parsed<Preferences> {
    let file = tag_file::parse(text, Comments::Skipped);
    let mut parsed =
        Parsed { value: Preferences { records: Vec::new(), error: file.value.fatal }, issues: file.issues };
    for stanza in &file.value.stanzas {
        match record(stanza, version) {
            Ok(record) => parsed.value.records.push(record),
            Err(Trouble::Skipped(why)) => parsed.issues.push(Issue::new(stanza.line(), why)),
            Err(Trouble::Fatal(why)) => {
                let issue = Issue::new(stanza.line(), format!("{why}: apt refuses the file and fails"));
                parsed.value.error = Some(issue.clone());
                parsed.issues.push(issue);
                break;
            }
        }
    }
    parsed
}

/// Why a record is not used.
enum Trouble {
    Skipped(&'static str),
    Fatal(&'static str),
}

fn record(stanza: &Stanza, version: AptVersion) -> Result<Record, Trouble> {
    let package = stanza.text("Package");
    if package.is_empty() {
        return Err(Trouble::Fatal("a record without Package"));
    }
    let field = stanza.get("Pin").ok_or(Trouble::Skipped("a record without Pin: apt skips it"))?;
    let general = package == "*";
    let pin = pin(&field.value, general, version)
        .ok_or(Trouble::Skipped("a pin apt does not understand: apt skips the record with a warning"))?;
    let explanations = stanza.fields.iter().filter(|field| field.name.eq_ignore_ascii_case("Explanation"));
    Ok(Record {
        packages: if general { Vec::new() } else { words(package).map(str::to_owned).collect() },
        pin,
        priority: priority(stanza.text("Pin-Priority"), general).map_err(Trouble::Fatal)?,
        explanation: explanations.map(|field| field.value.as_str()).collect::<Vec<_>>().join("\n"),
        line: stanza.line(),
    })
}

fn pin(text: &str, general: bool, version: AptVersion) -> Option<Pin> {
    let end = text.bytes().position(is_space).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end)?;
    let data = apt_text::trim(rest).to_owned();
    match word.to_ascii_lowercase().as_str() {
        "version" if !general => Some(Pin::Version(data)),
        "source-version" if !general && version >= AptVersion::V3_0 => Some(Pin::SourceVersion(data)),
        "release" => Some(Pin::Release(data)),
        "origin" => Some(Pin::Origin(data)),
        _ => None,
    }
}

fn priority(text: &str, general: bool) -> Result<Priority, &'static str> {
    if text == "never" {
        return if general { Ok(Priority::Never) } else { Err("priority `never` for single packages") };
    }
    let number = if text.len() < LONGEST_NUMBER { apt_text::number(text, 10).0 } else { 0 };
    let number = if number == NEVER { NEVER + 1 } else { number };
    match i16::try_from(number) {
        Err(_) => Err("a priority that is out of range"),
        Ok(0) => Err("no priority, or 0"),
        Ok(value) => Ok(Priority::Value(value)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Parsed<Preferences> {
        parse(text, AptVersion::V2_6)
    }

    #[test]
    fn records_name_packages_a_pin_and_a_priority() {
        let text = "Explanation: why\nExplanation: twice\nPackage: a b*\nPin: release o=Debian, n=trixie\nPin-Priority: -10\n\n# c\npackage: *\nPIN: Origin ftp.debian.org\nPin-Priority: 900 x\n";
        let parsed = read(text);
        assert!(parsed.issues.is_empty());
        let [first, second] = &parsed.value.records[..] else { panic!("{parsed:?}") };
        assert_eq!(first.packages, ["a", "b*"]);
        assert_eq!(first.pin, Pin::Release("o=Debian, n=trixie".to_owned()));
        assert_eq!((first.priority, first.line), (Priority::Value(-10), 1));
        assert_eq!(first.explanation, "why\ntwice");
        assert!(second.packages.is_empty());
        assert_eq!(second.pin, Pin::Origin("ftp.debian.org".to_owned()));
        assert_eq!((second.priority, second.line), (Priority::Value(900), 8));
    }

    #[test]
    fn records_apt_does_not_understand_are_skipped_with_an_issue() {
        let text = "Package: a\nPin-Priority: 1\n\nPackage: a\nPin: odd x\n\nPackage: *\nPin: version 1\nPin-Priority: 5\n\nPackage: a\nPin: version 1\nPin-Priority: 5\n";
        let parsed = read(text);
        assert_eq!(parsed.value.records.len(), 1);
        assert_eq!(parsed.value.error, None);
        assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [1, 4, 7]);
    }

    #[test]
    fn errors_stop_the_reading() {
        for text in [
            "Pin: release a=b\nPin-Priority: 5\n",
            "Package: a\nPin: release a=b\n",
            "Package: a\nPin: release a=b\nPin-Priority: 0\n",
            "Package: a\nPin: release a=b\nPin-Priority: high\n",
            "Package: a\nPin: release a=b\nPin-Priority: 32768\n",
            "Package: a\nPin: release a=b\nPin-Priority: never\n",
            "Package: a\nPin: release a=b\nPin-Priority: 99999999999999999999\n",
            "stray text",
        ] {
            let parsed = read(&format!("{text}\nPackage: *\nPin: release x=y\nPin-Priority: 7\n"));
            if text == "stray text" {
                assert_eq!(parsed.value.records.len(), 0, "the stray text takes the name Package away");
            }
            assert!(parsed.value.error.is_some(), "{text:?}");
            assert!(parsed.value.records.is_empty(), "{text:?}");
        }
    }

    #[test]
    fn never_is_for_all_packages_and_the_lowest_number_is_not_never() {
        let priority = |text: &str| {
            read(&format!("Package: *\nPin: release a=b\nPin-Priority: {text}\n")).value.records[0].priority
        };
        assert_eq!(priority("never"), Priority::Never);
        assert_eq!(priority("-32768"), Priority::Value(-32767));
    }

    #[test]
    fn source_versions_are_pinned_since_apt_3() {
        let text = "Package: a\nPin: source-version 1*\nPin-Priority: 5\n";
        assert!(read(text).value.records.is_empty());
        let records = parse(text, AptVersion::V3_0).value.records;
        assert_eq!(records[0].pin, Pin::SourceVersion("1*".to_owned()));
    }

    #[test]
    fn part_names_have_the_suffix_pref_or_none() {
        assert!(is_preferences_file("99pve") && is_preferences_file("a.pref"));
        assert!(!is_preferences_file("a.conf") && !is_preferences_file("a.pref.save"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn never_panics(text in "(Package: [a*]\n|Pin: release a\n|Pin-Priority: [-0-9a]{0,7}\n|[ \n:#]){0,12}|\\PC{0,30}") {
            for version in [AptVersion::V2_2, AptVersion::V3_0] {
                let _ = parse(&text, version);
            }
        }
    }
}
