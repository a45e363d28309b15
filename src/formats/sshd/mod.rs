//! `sshd_config`: what sshd makes of it, as `sshd -T` would print it.
//!
//! Follows servconf.c, misc.c, match.c, addrmatch.c, kex.c, sshkey.c and sshd.c of OpenSSH 8.4p1, 9.2p1 and 10.0p1
//! with Debian's patches (Debian 11, 12 and 13; Proxmox VE 7, 8 and 9). The 9.2 reading is held against the real
//! program in `tests/sshd_oracle.rs`.
//!
//! What is not in the files stays open and is said so as a [`Problem`]: host names to listen on, services by name,
//! home directories of other users.

mod address;
mod algorithms;
mod command_line;
mod connection;
mod defaults;
mod keywords;
mod numbers;
mod options;
mod print;
mod read;
mod specification;
mod state;
#[cfg(test)]
mod tests;
mod tokens;
mod walk;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use address::is_everywhere;
pub use command_line::CommandLine;
pub use connection::{Connection, Met, Situation, Situations, group_listed, user_listed};
pub use specification::Specification;

/// The file sshd reads unless `-f` names another.
pub const MAIN_FILE: &str = "/etc/ssh/sshd_config";

/// Whether the value of a setting is a command line, which may hold a secret and is not shown.
pub fn may_hold_secret(setting: &str) -> bool {
    setting.ends_with("command")
}

/// The OpenSSH releases whose reading is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// 8.4p1, Debian 11, Proxmox VE 7.
    V8_4,
    /// 9.2p1, Debian 12, Proxmox VE 8.
    V9_2,
    /// 10.0p1, Debian 13, Proxmox VE 9.
    V10_0,
}

impl Version {
    /// All of them, oldest first.
    pub const ALL: [Self; 3] = [Self::V8_4, Self::V9_2, Self::V10_0];

    /// The release in a dpkg version of openssh-server, such as `1:9.2p1-2+deb12u7`; `None` for any other release.
    pub fn from_package(version: &str) -> Option<Self> {
        let upstream = version.split_once(':').map_or(version, |(_, upstream)| upstream);
        let (release, _) = upstream.split_once('p')?;
        match release {
            "8.4" => Some(Self::V8_4),
            "9.2" => Some(Self::V9_2),
            "10.0" => Some(Self::V10_0),
            _ => None,
        }
    }

    /// The release of a Debian major version.
    pub fn from_debian(major: u32) -> Option<Self> {
        match major {
            11 => Some(Self::V8_4),
            12 => Some(Self::V9_2),
            13 => Some(Self::V10_0),
            _ => None,
        }
    }

    /// The release of a Proxmox VE major version, by the Debian it is built on.
    pub fn from_pve(major: u32) -> Option<Self> {
        major.checked_add(4).and_then(Self::from_debian)
    }
}

/// A file an Include pattern found, in byte order of the paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Included {
    /// The path as the pattern found it.
    pub path: String,
    /// What became of reading it.
    pub read: Read,
}

/// What became of reading an included file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// Its text; empty for a directory, which sshd reads as empty.
    Text(String),
    /// The pattern finds it but nobody can open it (a dangling link): sshd stops.
    Missing,
    /// It could not be read here, for this reason; what sshd finds in it is not known.
    Unread(String),
}

/// Where a value comes from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// sshd's own default.
    Default,
    /// An option sshd is started with.
    CommandLine,
    /// A line of a file.
    File {
        /// The file.
        path: Arc<str>,
        /// The line, counted from 1.
        line: u32,
    },
}

/// One value of a setting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Value {
    /// The value as `sshd -T` prints it; of `SetEnv` only the name.
    pub text: String,
    /// Where it comes from.
    pub source: Source,
}

/// A place that sshd refuses, drops, or that cannot be judged from the files alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The place.
    pub source: Source,
    /// What is wrong and what sshd does with it: one sentence without a full stop.
    pub what: String,
    /// Whether sshd refuses to start because of it.
    pub stops: bool,
    /// The only setting it bears on, as `sshd -T` names it; `None` if it may bear on any.
    pub setting: Option<&'static str>,
}

/// A line outside Match blocks that has no effect: another value of its setting was there first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overridden {
    /// The setting, as `sshd -T` names it.
    pub keyword: &'static str,
    /// What the line would have set.
    pub values: Vec<String>,
    /// The line.
    pub source: Source,
    /// What counts instead.
    pub by: Source,
}

/// A line whose keyword sshd knows and ignores (deprecated, or not built into Debian's package).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IgnoredLine {
    /// The keyword in lower case.
    pub keyword: &'static str,
    /// The place.
    pub source: Source,
}

/// What a criterion of a Match line looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attribute {
    /// `all`: always met.
    All,
    /// The user name, a pattern list.
    User,
    /// A group of the user, a pattern list.
    Group,
    /// The client's host name, a pattern list.
    Host,
    /// The client's address, a list of networks and patterns.
    Address,
    /// The address connected to, a list of networks and patterns.
    LocalAddress,
    /// The port connected to.
    LocalPort,
    /// The routing domain, a pattern list.
    RDomain,
    /// The version of sshd, a pattern list (10.0).
    Version,
    /// The user does not exist (10.0).
    InvalidUser,
}

/// One criterion of a Match line; all criteria of a line must be met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Criterion {
    /// What it looks at.
    pub attribute: Attribute,
    /// What it wants, empty for [`Attribute::All`] and [`Attribute::InvalidUser`].
    pub argument: String,
}

/// A Match block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatchBlock {
    /// What follows `Match` on its line, as written.
    pub text: String,
    /// The same, understood; empty for a line sshd refuses.
    pub criteria: Vec<Criterion>,
    /// The line of the `Match`.
    pub source: Source,
    /// The block whose Include brought this one in: it must apply, too. An index into [`Effective::blocks`].
    pub within: Option<usize>,
    /// Whether the block applies to the connection that was asked about, and so counts in the values; to every
    /// connection (`Match all`) where none was.
    pub applies: bool,
    /// The settings in the block, those of files it includes with them.
    pub settings: Vec<BlockSetting>,
}

/// One line in a Match block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockSetting {
    /// The setting in lower case, aliases resolved, as `sshd -T` names it.
    pub keyword: &'static str,
    /// Its values; algorithm lists expanded against the default.
    pub values: Vec<String>,
    /// The line.
    pub source: Source,
    /// Its rank among all lines of all files: of two matching blocks the lower rank wins.
    pub order: u32,
    /// Whether blanks stand before it, which tells people that it belongs to the block, and sshd nothing.
    pub indented: bool,
}

/// What sshd makes of its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effective {
    /// The release it was read as.
    pub version: Version,
    /// Every setting that has a value, by the lower case name `sshd -T` prints: what is set outside of Match
    /// blocks, overridden by the Match blocks that apply, completed by the defaults.
    pub values: BTreeMap<&'static str, Vec<Value>>,
    /// The Match blocks in file order.
    pub blocks: Vec<MatchBlock>,
    /// Everything that sshd refuses or that cannot be judged from the files alone.
    pub problems: Vec<Problem>,
    /// Lines whose keyword has no effect.
    pub ignored: Vec<IgnoredLine>,
    /// Lines that came too late, in the order they were read.
    pub overridden: Vec<Overridden>,
    /// Whether every included file was read; where not, any value may be another.
    pub complete: bool,
}

impl Effective {
    /// Whether sshd starts with this configuration. Where it does not, a running daemon still uses an older one,
    /// and the values here are what sshd would have made of the rest.
    pub fn valid(&self) -> bool {
        !self.problems.iter().any(|problem| problem.stops)
    }

    /// The name `sshd -T` has for `keyword`, given in any case and under any name a supported version has for it;
    /// `None` if this version has no such setting.
    pub fn setting(&self, keyword: &str) -> Option<&'static str> {
        keywords::setting_of(keyword, self.version)
    }

    /// The values of `keyword`, in any case and under any name a supported version has for it.
    pub fn values_of(&self, keyword: &str) -> &[Value] {
        self.setting(keyword).and_then(|setting| self.values.get(setting)).map_or(&[], Vec::as_slice)
    }

    /// The first value of `keyword`, which is the only one for most.
    pub fn value_of(&self, keyword: &str) -> Option<&Value> {
        self.values_of(keyword).first()
    }

    /// Every setting with its values in the words of `sshd -T`, one entry per value: lists that `-T` prints on one
    /// line are taken apart.
    pub fn settings(&self) -> BTreeMap<String, Vec<String>> {
        let texts = |values: &Vec<Value>| values.iter().map(|value| value.text.clone()).collect();
        self.values.iter().map(|(setting, values)| ((*setting).to_owned(), texts(values))).collect()
    }

    /// The lines `sshd -T` prints, in its order; of `SetEnv` only the names.
    pub fn lines(&self) -> Vec<String> {
        print::lines(self)
    }

    /// Every place where a Match block sets `keyword`, whether the block applies to all connections or not.
    pub fn set_in_match<'e>(
        &'e self,
        keyword: &str,
    ) -> impl Iterator<Item = (&'e MatchBlock, &'e BlockSetting)> + use<'e> {
        let wanted = self.setting(keyword);
        self.blocks.iter().flat_map(move |block| {
            let here = block.settings.iter().filter(move |setting| Some(setting.keyword) == wanted);
            here.map(move |setting| (block, setting))
        })
    }
}

/// What sshd makes of the file `main_path` with this `text`.
///
/// `include` expands one absolute Include pattern to the files it finds, in byte order (`glob` without options: no
/// dot files for `*`, links followed, nothing found is nothing).
pub fn evaluate(
    main_path: &str,
    text: &str,
    version: Version,
    include: &mut dyn FnMut(&str) -> Vec<Included>,
) -> Effective {
    evaluate_with(&CommandLine::default(), &Specification::default(), main_path, text, version, include)
}

/// As [`evaluate`], with the options sshd is started with, which come before the file, and for one connection: Match
/// blocks whose criteria it meets count in the values.
///
/// The caller reads the file [`CommandLine::config`] names, if it names one.
pub fn evaluate_with(
    command_line: &CommandLine,
    connection: &Specification,
    main_path: &str,
    text: &str,
    version: Version,
    include: &mut dyn FnMut(&str) -> Vec<Included>,
) -> Effective {
    let walked = walk::walk(main_path, text, version, connection, include);
    state::evaluate(walked, command_line, version)
}
