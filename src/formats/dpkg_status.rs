//! `/var/lib/dpkg/status`: the packages dpkg knows, with their state.
//!
//! Follows dpkg `lib/dpkg/parse.c`: field names in any case, continuation lines start with a blank or tab, an
//! empty line ends a stanza. Only the fields a check needs are kept.

use std::collections::BTreeMap;

use super::{Issue, Parsed, numbered, shown};

/// What the administrator wants (first word of `Status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Want {
    /// Nothing was ever asked.
    Unknown,
    /// To be installed.
    Install,
    /// To be kept as it is.
    Hold,
    /// To be removed, configuration kept.
    Deinstall,
    /// To be removed with its configuration.
    Purge,
}

/// How far dpkg got (third word of `Status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// Known by name only.
    NotInstalled,
    /// Removed, configuration files left.
    ConfigFiles,
    /// Installation was begun and not finished.
    HalfInstalled,
    /// Unpacked, not configured.
    Unpacked,
    /// Configuration was begun and not finished.
    HalfConfigured,
    /// Waits for triggers of another package.
    TriggersAwaited,
    /// Its own triggers are to run.
    TriggersPending,
    /// Installed and configured.
    Installed,
}

impl State {
    /// Whether the package's files are on the host, so that its version counts for updates.
    pub fn is_present(self) -> bool {
        !matches!(self, Self::NotInstalled | Self::ConfigFiles | Self::HalfInstalled)
    }
}

/// One package of one architecture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Name.
    pub name: String,
    /// Architecture, `all` included; empty when the stanza has none.
    pub architecture: String,
    /// Version; none for a package that is known by name only.
    pub version: Option<String>,
    /// What the administrator wants.
    pub want: Want,
    /// dpkg asks for a reinstallation (second word of `Status` is `reinstreq`).
    pub reinstall_required: bool,
    /// How far dpkg got.
    pub state: State,
    /// Line of the stanza's first field.
    pub line: u32,
}

impl Package {
    /// The version if the package is present.
    pub fn present_version(&self) -> Option<&str> {
        self.version.as_deref().filter(|_| self.state.is_present())
    }
}

/// All packages by name; several only where a name is known for more than one architecture.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Status {
    /// Packages in the order of the file.
    pub packages: BTreeMap<String, Vec<Package>>,
}

impl Status {
    /// The package of that name that is present: the first one when several architectures are.
    pub fn present(&self, name: &str) -> Option<&Package> {
        self.of(name).iter().find(|package| package.state.is_present())
    }

    /// All packages of that name.
    pub fn of(&self, name: &str) -> &[Package] {
        self.packages.get(name).map_or(&[], Vec::as_slice)
    }

    /// Every package that is present, by name.
    pub fn all_present(&self) -> impl Iterator<Item = &Package> {
        self.packages.values().flatten().filter(|package| package.state.is_present())
    }

    /// Adds a package; one of the same name and architecture is replaced. False when there was one.
    fn add(&mut self, package: Package) -> bool {
        let same = self.packages.entry(package.name.clone()).or_default();
        if let Some(old) = same.iter_mut().find(|old| old.architecture == package.architecture) {
            *old = package;
            return false;
        }
        same.push(package);
        true
    }
}

/// Reads the status file.
pub fn parse(text: &str) -> Parsed<Status> {
    let mut parsed = Parsed::<Status>::default();
    let mut stanza = Stanza::default();
    for (number, line) in numbered(text) {
        let line = line.strip_suffix('\r').unwrap_or(line);
        match line.as_bytes().first() {
            None => std::mem::take(&mut stanza).finish(&mut parsed),
            Some(b' ' | b'\t') => {}
            Some(_) => stanza.field(line, number, &mut parsed.issues),
        }
    }
    stanza.finish(&mut parsed);
    parsed
}

/// The fields of one stanza, borrowed.
#[derive(Default)]
struct Stanza<'a> {
    line: Option<u32>,
    name: Option<&'a str>,
    version: Option<&'a str>,
    architecture: Option<&'a str>,
    status: Option<&'a str>,
}

impl<'a> Stanza<'a> {
    fn field(&mut self, line: &'a str, number: u32, issues: &mut Vec<Issue>) {
        self.line.get_or_insert(number);
        let Some((name, value)) = line.split_once(':') else {
            issues.push(Issue::new(number, "a line without a colon: dpkg cannot read its status file"));
            return;
        };
        let slot = match name.len() {
            7 if name.eq_ignore_ascii_case("Package") => &mut self.name,
            7 if name.eq_ignore_ascii_case("Version") => &mut self.version,
            6 if name.eq_ignore_ascii_case("Status") => &mut self.status,
            12 if name.eq_ignore_ascii_case("Architecture") => &mut self.architecture,
            _ => return,
        };
        if slot.replace(value.trim_ascii()).is_some() {
            issues.push(Issue::new(
                number,
                "the same field twice in one stanza: dpkg cannot read its status file",
            ));
        }
    }

    fn finish(self, parsed: &mut Parsed<Status>) {
        let Some(line) = self.line else { return };
        let issues = &mut parsed.issues;
        let Some(name) = self.name.filter(|name| !name.is_empty()) else {
            issues
                .push(Issue::new(line, "a stanza without a package name: dpkg cannot read its status file"));
            return;
        };
        let Some((want, reinstall_required, state)) = self.status.and_then(words) else {
            let what = format!("package {} has no status that dpkg knows: it is left out", shown(name));
            issues.push(Issue::new(line, what));
            return;
        };
        let version = self.version.filter(|version| !version.is_empty());
        if state.is_present() && version.is_none() {
            issues.push(Issue::new(line, format!("package {} is installed without a version", shown(name))));
        }
        let package = Package {
            name: name.to_owned(),
            architecture: self.architecture.unwrap_or_default().to_owned(),
            version: version.map(str::to_owned),
            want,
            reinstall_required,
            state,
            line,
        };
        if !parsed.value.add(package) {
            let what =
                format!("package {} again for the same architecture: the last stanza counts", shown(name));
            parsed.issues.push(Issue::new(line, what));
        }
    }
}

/// The three words of a `Status` field.
fn words(text: &str) -> Option<(Want, bool, State)> {
    let mut words = text.split_ascii_whitespace();
    let want = match words.next()? {
        "unknown" => Want::Unknown,
        "install" => Want::Install,
        "hold" => Want::Hold,
        "deinstall" => Want::Deinstall,
        "purge" => Want::Purge,
        _ => return None,
    };
    let reinstall_required = match words.next()? {
        "ok" => false,
        "reinstreq" => true,
        _ => return None,
    };
    let state = match words.next()? {
        "not-installed" => State::NotInstalled,
        "config-files" => State::ConfigFiles,
        "half-installed" => State::HalfInstalled,
        "unpacked" => State::Unpacked,
        "half-configured" => State::HalfConfigured,
        "triggers-awaited" => State::TriggersAwaited,
        "triggers-pending" => State::TriggersPending,
        "installed" => State::Installed,
        _ => return None,
    };
    words.next().is_none().then_some((want, reinstall_required, state))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TEXT: &str = "Package: adduser\nStatus: install ok installed\nArchitecture: all\nVersion: 3.152\nDescription: x\n Version: no\n .\n\nPackage: libc6\nStatus: hold ok unpacked\nArchitecture: amd64\nVersion: 2.41-12\n\nPackage: libc6\nStatus: install ok installed\nArchitecture: i386\nVersion: 2.41-11\n\nPackage: gone\nStatus: deinstall ok config-files\nArchitecture: all\nVersion: 1\n";

    #[test]
    fn packages_are_kept_by_name_and_architecture() {
        let parsed = parse(TEXT);
        assert!(parsed.issues.is_empty());
        let status = parsed.value;
        assert_eq!(status.packages.len(), 3);
        let libc: Vec<_> =
            status.of("libc6").iter().map(|p| (p.architecture.as_str(), p.want, p.state, p.line)).collect();
        assert_eq!(
            libc,
            [("amd64", Want::Hold, State::Unpacked, 9), ("i386", Want::Install, State::Installed, 14)]
        );
        assert_eq!(status.present("adduser").unwrap().present_version(), Some("3.152"));
    }

    #[test]
    fn removed_packages_are_not_present() {
        let status = parse(TEXT).value;
        assert_eq!(status.of("gone").len(), 1);
        assert!(status.present("gone").is_none());
        assert_eq!(status.all_present().count(), 3);
    }

    #[test]
    fn half_installed_is_not_present_but_waiting_for_triggers_is() {
        for (state, present) in [
            (State::NotInstalled, false),
            (State::ConfigFiles, false),
            (State::HalfInstalled, false),
            (State::Unpacked, true),
            (State::HalfConfigured, true),
            (State::TriggersAwaited, true),
            (State::TriggersPending, true),
            (State::Installed, true),
        ] {
            assert_eq!(state.is_present(), present, "{state:?}");
        }
    }

    #[test]
    fn unknown_status_words_and_broken_stanzas_are_issues() {
        let parsed = parse(
            "Package: a\nStatus: install ok gone\n\nStatus: install ok installed\n\nnonsense\n\nPackage: b\n\nPackage: c\nStatus: install ok installed extra\n",
        );
        assert!(parsed.value.packages.is_empty());
        assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [1, 4, 6, 6, 8, 10]);
    }

    #[test]
    fn the_last_stanza_of_a_name_and_architecture_counts() {
        let one = "Package: a\nStatus: install ok installed\nVersion: 1\nArchitecture: all\n\n";
        let parsed = parse(&(one.to_owned() + &one.replace("Version: 1", "Version: 2")));
        assert_eq!(parsed.value.present("a").unwrap().version.as_deref(), Some("2"));
        assert_eq!(parsed.issues.len(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn never_panics(text in "(Package: [ab]\n|Status: install ok installed\n|Version: 1\n|[ \nA:\r]){0,12}|\\PC{0,30}") {
            let _ = parse(&text);
        }
    }
}
