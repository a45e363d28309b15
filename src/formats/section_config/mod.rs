//! Section configs: the grammar of `storage.cfg`, `jobs.cfg`, `domains.cfg`, `replication.cfg`, `ha/*.cfg`,
//! `status.cfg` and `mapping/*.cfg`.
//!
//! Follows `parse_config`, `check_value` and `check_config` of pve-common's `PVE::SectionConfig`, driven by a
//! [`Table`] per file. What surprises administrators:
//!
//! - Only an empty line ends a section. After a line with a blank, or in a file with CRLF line ends, the next
//!   header is swallowed and its properties belong to the section before.
//! - A boolean is `1`, `0` or the bare name. `disable yes` is dropped, so the default applies.
//! - Of a repeated property the first value counts, unless upstream dropped it.
//!
//! These files may hold secrets: issues name properties and sections, never values.

use std::collections::BTreeMap;

use super::property_string::{Key, Properties};
use super::release::Release;

mod parser;
#[cfg(test)]
mod tests;

pub(super) use parser::check;
pub use parser::parse;

/// How the sections of a file start.
#[derive(Debug, Clone, Copy)]
pub enum Header {
    /// `type: id`.
    TypeAndId,
    /// `type: id`, the type in any case.
    AnyCaseTypeAndId,
    /// `id` alone; every section has this type.
    Id(&'static str),
}

/// What one file format knows.
#[derive(Debug, Clone, Copy)]
pub struct Table {
    /// How sections start.
    pub header: Header,
    /// Whether an id is valid; upstream skips sections with another.
    pub id: fn(&str) -> bool,
    /// The section types.
    pub types: &'static [SectionType],
}

/// One type of section.
#[derive(Debug, Clone, Copy)]
pub struct SectionType {
    /// The name in the header.
    pub name: &'static str,
    /// Its properties, in groups so that types share them.
    pub properties: &'static [&'static [Property]],
    /// The first release that knows the type.
    pub since: Release,
    /// The last release that knows the type.
    pub until: Release,
}

impl SectionType {
    fn find(&self, name: &str, release: Release) -> Option<&'static Property> {
        let all = self.properties.iter().flat_map(|group| group.iter());
        all.filter(|property| property.key.known_to(release)).find(|property| property.key.name == name)
    }

    fn required(&self, release: Release) -> impl Iterator<Item = &'static str> {
        let all = self.properties.iter().flat_map(|group| group.iter());
        all.filter(move |property| property.key.is_required && property.key.known_to(release))
            .map(|property| property.key.name)
    }
}

/// One property of a section type.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// Its name and what values it takes.
    pub key: Key,
    /// Whether it may be repeated, each value counting.
    pub is_list: bool,
}

/// A property that is given once.
pub const fn one(key: Key) -> Property {
    Property { key, is_list: false }
}

/// A property that may be repeated, each value counting.
pub const fn many(key: Key) -> Property {
    Property { key, is_list: true }
}

/// What became of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Upstream takes it over.
    Kept,
    /// Upstream skips it: it does not know the type.
    UnknownType,
    /// Upstream skips it: the id is malformed.
    InvalidId,
    /// Upstream loses it, and any earlier section of the same id: this property is missing.
    Missing(&'static str),
}

/// The value of a property.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A boolean.
    Flag(bool),
    /// Text or a number.
    Text(String),
    /// A property string taken apart.
    Properties(Properties),
    /// A secret. It is not kept.
    Secret,
}

/// A property upstream takes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: &'static str,
    /// The value.
    pub value: Value,
    /// Line in the file, counted from 1.
    pub line: u32,
}

/// A property that stands in the file and that upstream drops. Its value is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// The name.
    pub name: String,
    /// Whether it has a value at all.
    pub has_value: bool,
    /// Line in the file, counted from 1.
    pub line: u32,
}

/// A section as it stands in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The type, as upstream takes it.
    pub kind: String,
    /// The id.
    pub id: String,
    /// Line of the header, counted from 1.
    pub line: u32,
    /// What became of it.
    pub fate: Fate,
    /// The properties upstream takes over, in line order.
    pub entries: Vec<Entry>,
    /// The properties upstream drops, in line order. All of them, if it skips the section.
    pub dropped: Vec<Dropped>,
    /// Lines inside the section that look like headers of others, which upstream reads as nothing.
    pub swallowed: Vec<u32>,
}

impl Section {
    /// The first entry called `name`.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// The text of a property.
    pub fn text(&self, name: &str) -> Option<&str> {
        match &self.entry(name)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The texts of a property that may be repeated.
    pub fn texts<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.entries.iter().filter(move |entry| entry.name == name).filter_map(|entry| match &entry.value {
            Value::Text(text) => Some(text.as_str()),
            _ => None,
        })
    }

    /// A boolean property.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.entry(name)?.value {
            Value::Flag(flag) => Some(flag),
            _ => None,
        }
    }

    /// A property string taken apart.
    pub fn properties(&self, name: &str) -> Option<&Properties> {
        match &self.entry(name)?.value {
            Value::Properties(properties) => Some(properties),
            _ => None,
        }
    }

    /// A number.
    pub fn number(&self, name: &str) -> Option<i64> {
        self.text(name)?.parse().ok()
    }

    /// Whether a property is there, secret or not.
    pub fn has(&self, name: &str) -> bool {
        self.entry(name).is_some()
    }

    /// The line of a property.
    pub fn line_of(&self, name: &str) -> Option<u32> {
        self.entry(name).map(|entry| entry.line)
    }

    /// Properties that hold a secret in this file: ones the table calls secret, and ones upstream drops (or whose
    /// type it does not know) whose name speaks of one.
    pub fn secrets(&self) -> Vec<Dropped> {
        let kept = self.entries.iter().filter(|entry| entry.value == Value::Secret);
        let kept =
            kept.map(|entry| Dropped { name: entry.name.to_owned(), has_value: true, line: entry.line });
        let dropped =
            self.dropped.iter().filter(|each| each.has_value && names_a_secret(&each.name)).cloned();
        kept.chain(dropped).collect()
    }
}

/// Whether the name of a property speaks of a secret. A fingerprint is none.
pub fn names_a_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let exempt =
        ["pubkey", "public", "fingerprint", "keyboard", "keys-"].iter().any(|word| name.contains(word));
    let speaks =
        ["pass", "pwd", "secret", "token", "key", "credential"].iter().any(|word| name.contains(word));
    speaks && !exempt
}

/// All sections of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sections {
    /// The sections in file order, also those upstream skips or loses.
    pub sections: Vec<Section>,
}

impl Sections {
    /// The sections upstream ends up with: of several with one id the last, skipped ones not counted; and none
    /// if that last one lacks a required property.
    pub fn effective(&self) -> impl Iterator<Item = &Section> {
        let read = self.sections.iter().enumerate().filter(|(_, section)| section.is_read());
        // A later section of the same id replaces the position of the earlier one.
        let positions: BTreeMap<&str, usize> = read.map(|(at, section)| (section.id.as_str(), at)).collect();
        self.sections.iter().enumerate().filter_map(move |(at, section)| {
            let is_last = positions.get(section.id.as_str()) == Some(&at);
            (is_last && section.fate == Fate::Kept).then_some(section)
        })
    }

    /// The sections that stand in the file and that upstream does not use.
    pub fn lost(&self) -> impl Iterator<Item = &Section> {
        self.sections.iter().filter(|section| section.fate != Fate::Kept)
    }
}

impl Section {
    /// Whether upstream stores something under the id, be it nothing.
    fn is_read(&self) -> bool {
        matches!(self.fate, Fate::Kept | Fate::Missing(_))
    }
}
