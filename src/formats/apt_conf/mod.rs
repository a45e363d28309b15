//! apt configuration: `/etc/apt/apt.conf.d/*`, `/etc/apt/apt.conf`.
//!
//! Follows apt `apt-pkg/contrib/configuration.cc` (`ReadConfigFile`, `Configuration::Lookup`, `Set`, `Clear`);
//! unchanged between apt 2.2 and 3.0.
//!
//! [`parse`] turns one file into directives, [`Tree`] is what apt makes of all files in order: names ignore case,
//! the last value wins, a name ending in `::` adds to a list. A syntax error in one file makes every apt command
//! fail.

mod reader;
mod tree;

use super::{Issue, Parsed, apt_text};

pub use reader::parse;
pub use tree::{Setting, Tree};

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Directive {
    /// `name "value";`, the name with all scopes around it; ending in `::` it adds to a list.
    Set {
        /// Full name.
        name: String,
        /// Value; user and password of a URL are removed.
        value: String,
        /// A URL in the value held a user or a password.
        credentials: bool,
    },
    /// `#clear name;`: forgets the value and everything below.
    Clear(String),
    /// `#include path;`: another file, or all files of a folder when the path ends in `/`, is read here.
    Include(String),
}

/// One configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfFile {
    /// Directives in order, up to the error if there is one; each with its line.
    pub directives: Vec<(u32, Directive)>,
    /// The syntax error that makes every apt command fail; also among the issues.
    pub error: Option<Issue>,
}

/// Whether apt reads a file of this name in `/etc/apt/apt.conf.d/` or another included folder: suffix `.conf` or
/// none. Files are read in byte order of their names, before `/etc/apt/apt.conf`.
pub fn is_conf_file(name: &str) -> bool {
    apt_text::is_part_name(name, &["conf"], true)
}

#[cfg(test)]
mod tests;
