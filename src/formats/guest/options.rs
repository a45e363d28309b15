//! Tables of guest options, shared by virtual machines and containers.

use crate::formats::property_string::Schema;
use crate::formats::release::Release;

use super::text::indexed;

/// What `check_type` asks of the value of an option.
#[derive(Debug, Clone, Copy)]
pub(super) enum Check {
    /// 1, on, yes, true or 0, off, no, false.
    Boolean,
    /// Digits only.
    Integer,
    /// Digits, optionally a point and digits.
    Number,
    /// Anything; virtual machines strip one pair of double quotes.
    Text,
    /// A named format.
    Format(fn(&str) -> bool),
    /// A property string.
    Properties(&'static Schema),
}

/// An option name (or family of names with an index) and the check of its value.
pub(super) struct OptionRule {
    pub(super) name: &'static str,
    /// How many indices there are; 0 for a plain name.
    pub(super) count: u32,
    pub(super) check: Check,
    pub(super) since: Release,
}

pub(super) const fn plain(name: &'static str, check: Check) -> OptionRule {
    OptionRule { name, count: 0, check, since: Release::Pve7 }
}

pub(super) const fn family(name: &'static str, count: u32, check: Check) -> OptionRule {
    OptionRule { name, count, check, since: Release::Pve7 }
}

impl OptionRule {
    pub(super) const fn since(mut self, release: Release) -> Self {
        self.since = release;
        self
    }
}

/// The check `release` makes for option `name`, or `None` if it does not know the option.
pub(super) fn find(rules: &'static [OptionRule], name: &str, release: Release) -> Option<Check> {
    let parts = indexed(name);
    let matches = |rule: &&OptionRule| {
        let fits = if rule.count == 0 {
            rule.name == name
        } else {
            parts.is_some_and(|(letters, index)| letters == rule.name && index < rule.count)
        };
        fits && rule.since <= release
    };
    rules.iter().find(matches).map(|rule| rule.check)
}
