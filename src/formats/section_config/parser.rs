//! The reading of section configs.

use std::collections::BTreeSet;

use super::{
    Dropped, Entry, Fate, Header, Property, Section, SectionType, Sections, Table, Value, names_a_secret,
};
use crate::formats::perl::{is_blank, is_space, trimmed};
use crate::formats::property_string::{self, Kind, accepts};
use crate::formats::release::Release;
use crate::formats::{Issue, Parsed, numbered, shown};

/// Reads `text` by `table` as `release` does.
pub fn parse(text: &str, table: &Table, release: Release) -> Parsed<Sections> {
    let mut reader = Reader { table, release, found: Parsed::default(), open: None };
    // Comments are skipped wherever they stand, so they do not end a section.
    for (number, line) in
        numbered(text).filter(|(_, line)| !line.trim_start_matches(is_space).starts_with('#'))
    {
        reader.line(number, line);
    }
    reader.close();
    reader.found.issues.sort();
    reader.found
}

/// A section that is being read, with its type if `release` knows it.
struct Open {
    section: Section,
    kind: Option<&'static SectionType>,
    /// The names of the properties taken so far.
    taken: BTreeSet<&'static str>,
}

struct Reader<'a> {
    table: &'a Table,
    release: Release,
    found: Parsed<Sections>,
    open: Option<Open>,
}

impl Reader<'_> {
    fn issue(&mut self, line: u32, what: impl Into<String>) {
        self.found.issues.push(Issue::new(line, what));
    }

    fn line(&mut self, number: u32, line: &str) {
        // Upstream asks whether the line is true: a lone `0` ends a section like an empty line.
        if matches!(line, "" | "0") {
            self.close();
        } else if self.open.is_some() {
            self.inside(number, line);
        } else if let Some((kind, id)) = header(self.table, line) {
            self.begin(number, kind, id);
        } else if !is_blank(line) {
            self.issue(number, "the line stands in no section, upstream ignores it");
        }
    }

    fn begin(&mut self, number: u32, kind: String, id: &str) {
        let fits = |each: &&SectionType| {
            each.name == kind && each.since <= self.release && self.release <= each.until
        };
        let found = self.table.types.iter().find(fits);
        let fate = match found {
            _ if !(self.table.id)(id) => Fate::InvalidId,
            None => Fate::UnknownType,
            Some(_) => Fate::Kept,
        };
        match fate {
            Fate::InvalidId => {
                self.issue(number, "the id of the section is malformed, upstream skips the section");
            }
            Fate::UnknownType => {
                self.issue(
                    number,
                    format!("section type {} is unknown, upstream skips the section", shown(&kind)),
                );
            }
            Fate::Kept | Fate::Missing(_) => {}
        }
        let found = found.filter(|_| fate == Fate::Kept);
        // `password: x`, as YAML has it, is taken for a header: then the id is the secret, and it is not kept.
        let id = if fate != Fate::Kept && names_a_secret(&kind) {
            format!("line {number}")
        } else {
            id.to_owned()
        };
        let section = Section {
            kind,
            id,
            line: number,
            fate,
            entries: Vec::new(),
            dropped: Vec::new(),
            swallowed: Vec::new(),
        };
        self.open = Some(Open { section, kind: found, taken: BTreeSet::new() });
    }

    fn inside(&mut self, number: u32, line: &str) {
        let Some(open) = self.open.as_mut() else { return };
        let Some((name, text)) = property(line) else {
            if is_blank(line) {
                self.issue(number, "a line with only blanks does not end the section, unlike an empty line");
            } else if header(self.table, line).is_some() {
                open.section.swallowed.push(number);
                let id = shown(&open.section.id);
                self.issue(
                    number,
                    format!("a section header without an empty line before it is ignored, its lines belong to {id}"),
                );
            } else {
                self.issue(number, "the line is no property, upstream ignores it");
            }
            return;
        };
        match open.take(number, name, text, self.release) {
            Ok(()) => {}
            Err(why) => {
                let skipped = open.kind.is_none();
                open.section.dropped.push(Dropped {
                    name: name.to_owned(),
                    has_value: text.is_some(),
                    line: number,
                });
                if !skipped {
                    self.issue(number, format!("property {} {why}, upstream drops it", shown(name)));
                }
            }
        }
    }

    fn close(&mut self) {
        let Some(Open { mut section, kind, taken }) = self.open.take() else { return };
        let missing = kind.and_then(|kind| kind.required(self.release).find(|name| !taken.contains(name)));
        if let Some(name) = missing {
            section.fate = Fate::Missing(name);
            self.issue(section.line, format!("property `{name}` is missing, upstream loses the section"));
        }
        self.found.value.sections.push(section);
    }
}

impl Open {
    fn take(&mut self, line: u32, name: &str, text: Option<&str>, release: Release) -> Result<(), String> {
        let Some(kind) = self.kind else { return Err("is in a skipped section".to_owned()) };
        let property = kind.find(name, release).ok_or("is not one of this section type")?;
        if !property.is_list && self.taken.contains(name) {
            return Err("is given before, the first value counts".to_owned());
        }
        let value = check(property, text, release)?;
        self.taken.insert(property.key.name);
        self.section.entries.push(Entry { name: property.key.name, value, line });
        Ok(())
    }
}

/// The value `check_value` makes of the text of a property, or what is wrong with it.
pub(in crate::formats) fn check(
    property: &Property,
    text: Option<&str>,
    release: Release,
) -> Result<Value, String> {
    let key = &property.key;
    let text = match (key.kind, text) {
        (Kind::Boolean, None) => return Ok(Value::Flag(true)),
        (_, None) => return Err("has no value".to_owned()),
        (_, Some(text)) if text.contains('\r') => {
            return Err("has a carriage return inside its value".to_owned());
        }
        (_, Some(text)) => text,
    };
    if let Kind::Properties(schema) = key.kind {
        let parsed = property_string::parse(schema, text, release);
        return parsed.map(Value::Properties).map_err(|refusal| format!("has a bad value ({refusal})"));
    }
    if !accepts(key.kind, text, release) {
        let wanted = match key.kind {
            Kind::Boolean => "is not 1, 0 or the bare name",
            Kind::Integer { .. } => "is not a whole number in its range",
            Kind::Number { .. } => "is not a number in its range",
            _ => "has a bad value",
        };
        return Err(wanted.to_owned());
    }
    Ok(match key.kind {
        _ if key.is_secret => Value::Secret,
        Kind::Boolean => Value::Flag(text == "1"),
        _ => Value::Text(text.to_owned()),
    })
}

/// `^(\S+):\s*(\S+)\s*$`, or `^(\S+)\s*$` for headers without a type: type and id.
fn header<'a>(table: &Table, line: &'a str) -> Option<(String, &'a str)> {
    let line = line.trim_end_matches(is_space);
    if line.is_empty() || line.starts_with(is_space) {
        return None;
    }
    if let Header::Id(kind) = table.header {
        return if line.contains(is_space) { None } else { Some((kind.to_owned(), line)) };
    }
    let (kind, id) = if let Some((first, rest)) = line.split_once(is_space) {
        // The first word must end in the colon that separates.
        (first.strip_suffix(':')?, trimmed(rest))
    } else {
        // Without blanks it is the last colon that has something after it.
        let last = line.char_indices().next_back().map_or(0, |(at, _)| at);
        let (kind, _) = line.get(..last)?.rsplit_once(':')?;
        (kind, line.strip_prefix(kind)?.strip_prefix(':')?)
    };
    if kind.is_empty() || id.is_empty() || id.contains(is_space) {
        return None;
    }
    let kind = if matches!(table.header, Header::AnyCaseTypeAndId) {
        kind.to_ascii_lowercase()
    } else {
        kind.to_owned()
    };
    Some((kind, id))
}

/// `^\s+(\S+)(\s+(.*\S))?\s*$`: name and text of a property.
fn property(line: &str) -> Option<(&str, Option<&str>)> {
    if !line.starts_with(is_space) {
        return None;
    }
    match trimmed(line) {
        "" => None,
        line => match line.split_once(is_space) {
            Some((name, text)) => Some((name, Some(trimmed(text)))),
            None => Some((line, None)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPED: Table = Table { header: Header::AnyCaseTypeAndId, id: |_| true, types: &[] };
    const BARE: Table = Table { header: Header::Id("dir"), id: |_| true, types: &[] };

    #[test]
    fn a_header_is_a_type_and_an_id_at_column_zero() {
        assert_eq!(header(&TYPED, "Dir: local \r"), Some(("dir".to_owned(), "local")));
        assert_eq!(header(&TYPED, "dir:local"), Some(("dir".to_owned(), "local")));
        assert_eq!(header(&TYPED, "a:b:c"), Some(("a:b".to_owned(), "c")));
        assert_eq!(header(&TYPED, "a:b:"), Some(("a".to_owned(), "b:")));
        for bad in [" dir: local", "dir : local", "dir: a b", "dir:", ":a", "dir", "dir local"] {
            assert_eq!(header(&TYPED, bad), None, "{bad}");
        }
        assert_eq!(header(&BARE, "gpu "), Some(("dir".to_owned(), "gpu")));
        assert_eq!(header(&BARE, "gpu 1"), None);
    }

    #[test]
    fn a_property_is_indented() {
        assert_eq!(property("\tpath  /a b \r"), Some(("path", Some("/a b"))));
        assert_eq!(property(" disable"), Some(("disable", None)));
        assert_eq!(property("path /a"), None);
        assert_eq!(property(" \r"), None);
    }
}
