//! apt source files: `sources.list`, `*.list` (one line per source) and `*.sources` (deb822).
//!
//! Follows apt `apt-pkg/sourcelist.cc` and `apt-pkg/deb/debmetaindex.cc` of 2.2.4, 2.6.1 and 3.0.3, the releases
//! of Debian 11, 12 and 13.
//!
//! One bad entry in one file makes the **complete** list unreadable: every apt command stops with exit code 100.
//! [`SourceFile::unreadable`] says so for one file, [`conflict`] for the merged list.
//!
//! Not followed: a `Signed-By` remembered from a cached Release file, and snapshots (an issue names them).

mod conflict;
mod deb822;
mod one_line;
mod options;
mod uri;

use super::{Issue, Parsed, apt_text};

pub use super::apt_text::AptVersion;
pub use conflict::{Conflict, conflict};
pub use options::{Architectures, Key, SignedBy};
pub use uri::{Uri, list_file_name, release_uri};

/// Variable that apt replaces by the native architecture.
const ARCH: &str = "$(ARCH)";

/// Which of the two formats a file is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `sources.list` and `*.list`.
    OneLine,
    /// `*.sources`.
    Deb822,
}

/// What a source offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SourceType {
    /// Binary packages.
    Deb,
    /// Source packages.
    DebSrc,
}

impl SourceType {
    /// The type written as `word`.
    fn of(word: &str) -> Option<Self> {
        match word {
            "deb" => Some(Self::Deb),
            "deb-src" => Some(Self::DebSrc),
            _ => None,
        }
    }

    /// The word apt uses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deb => "deb",
            Self::DebSrc => "deb-src",
        }
    }
}

/// One type, URI, suite and component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Binary or source packages.
    pub source_type: SourceType,
    /// The archive, ending in `/`, without user and password.
    pub uri: String,
    /// The URI held a user name or a password.
    pub credentials: bool,
    /// The suite as written, or an exact path when it ends in `/`.
    pub suite: String,
    /// The component; none with an exact path.
    pub component: Option<String>,
    /// Which architectures are asked for.
    pub architectures: Architectures,
    /// The list of packages is among the targets that are asked for (`target`, `Targets`); by default it is.
    pub targets_packages: bool,
    /// `trusted`: yes accepts unsigned archives, no distrusts signed ones; default by signature.
    pub trusted: Option<bool>,
    /// `signed-by`: the only keys accepted; default all of trusted.gpg and trusted.gpg.d.
    pub signed_by: Option<SignedBy>,
    /// `allow-insecure`; default `Acquire::AllowInsecureRepositories`. Has no deb822 field.
    pub allow_insecure: Option<bool>,
    /// `allow-weak`; default `Acquire::AllowWeakRepositories`. Has no deb822 field.
    pub allow_weak: Option<bool>,
    /// `allow-downgrade-to-insecure`; default `Acquire::AllowDowngradeToInsecureRepositories`. Has no deb822 field.
    pub allow_downgrade_to_insecure: Option<bool>,
    /// `check-valid-until`; default `Acquire::Check-Valid-Until`.
    pub check_valid_until: Option<bool>,
    /// `check-date`; default `Acquire::Check-Date`.
    pub check_date: Option<bool>,
    /// `valid-until-min` in seconds, 0 when unset.
    pub valid_until_min: u64,
    /// `valid-until-max` in seconds, 0 when unset.
    pub valid_until_max: u64,
    /// `date-max-future` in seconds, 0 when unset.
    pub date_max_future: u64,
    /// `inrelease-path`. Has no deb822 field.
    pub inrelease_path: Option<String>,
    /// `snapshot`, since apt 3.0, unless it is a no.
    pub snapshot: Option<String>,
    /// Whether apt uses the entry: false only for `Enabled: no`.
    pub enabled: bool,
    /// Line of the entry, or of the first field of its stanza.
    pub line: u32,
}

impl Entry {
    /// URI of the folder of the archive's Release file.
    pub fn release_uri(&self) -> String {
        release_uri(&self.uri, &self.suite)
    }

    /// Whether it brings packages that are installed, not sources to build.
    pub fn brings_packages(&self) -> bool {
        self.source_type == SourceType::Deb && self.targets_packages
    }

    /// Bytes the entry takes, roughly.
    fn size(&self) -> usize {
        let Architectures { set, add, remove } = &self.architectures;
        let words = set.iter().flatten().chain(add).chain(remove);
        let texts = [
            Some(&self.uri),
            Some(&self.suite),
            self.component.as_ref(),
            self.inrelease_path.as_ref(),
            self.snapshot.as_ref(),
        ];
        let keys = self.signed_by.as_ref().map_or(0, SignedBy::size);
        size_of::<Self>()
            + keys
            + words
                .chain(texts.into_iter().flatten())
                .map(|text| text.len() + size_of::<String>())
                .sum::<usize>()
    }

    /// Name under `/var/lib/apt/lists/` of a file in the archive's Release folder, such as `InRelease` or
    /// `main/binary-amd64/Packages`.
    pub fn list_file(&self, path: &str) -> String {
        list_file_name(&(self.release_uri() + path))
    }
}

/// One source file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceFile {
    /// Entries in apt's order, up to the error if there is one.
    pub entries: Vec<Entry>,
    /// The error that makes the complete source list unreadable; also among the issues.
    pub unreadable: Option<Issue>,
}

impl Parsed<SourceFile> {
    fn stop(&mut self, line: u32, trouble: &Trouble) {
        let issue = match trouble {
            Trouble::Refused(why) => Issue::new(line, format!("{why}: apt refuses the complete source list")),
            Trouble::TooMany => {
                Issue::new(line, "more sources than are looked at here: the rest of the file is unread")
            }
        };
        if matches!(trouble, Trouble::Refused(_)) {
            self.value.unreadable = Some(issue.clone());
        }
        self.issues.push(issue);
    }
}

/// Bytes the entries of one file may take. A stanza makes an entry of every type, URI, suite and component, so a
/// small file can ask for billions; no real file comes near this.
const ROOM: usize = 16 << 20;

/// Why a file is read no further.
enum Trouble {
    /// apt refuses the complete source list.
    Refused(&'static str),
    /// The entries would take more than [`ROOM`].
    TooMany,
}

impl From<&'static str> for Trouble {
    fn from(why: &'static str) -> Self {
        Self::Refused(why)
    }
}

/// The entries read so far, bounded by [`ROOM`].
#[derive(Default)]
struct Entries {
    list: Vec<Entry>,
    size: usize,
}

impl Entries {
    fn push(&mut self, entry: Entry) -> Result<(), Trouble> {
        self.size = self.size.saturating_add(entry.size());
        if self.size > ROOM {
            return Err(Trouble::TooMany);
        }
        self.list.push(entry);
        Ok(())
    }
}

/// What a reader has to know besides the text.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Which apt reads the file.
    pub version: AptVersion,
    /// `APT::Architecture`, such as `amd64`.
    pub native: &'a str,
}

/// Whether apt reads a file of this name in `/etc/apt/sources.list.d/`, and how. Files are read in byte order of
/// their names, after `/etc/apt/sources.list`; only regular files and links to them count.
pub fn is_source_file(name: &str) -> Option<Kind> {
    if apt_text::is_part_name(name, &["sources"], false) {
        Some(Kind::Deb822)
    } else if apt_text::is_part_name(name, &["list"], false) {
        Some(Kind::OneLine)
    } else {
        None
    }
}

/// Reads one source file.
pub fn parse(text: &str, kind: Kind, context: &Context<'_>) -> Parsed<SourceFile> {
    match kind {
        Kind::OneLine => one_line::parse(text, context),
        Kind::Deb822 => deb822::parse(text, context),
    }
}

#[cfg(test)]
mod tests;
