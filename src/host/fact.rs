//! A fact: a value read from the host, with the doubts about it.

use std::fmt;

use crate::files::{Entry, Files, Text, Trouble};
use crate::formats::{Issue, Parsed, bytes};

/// Code of a doubt about a file that could not be read.
pub const UNREADABLE: &str = "unreadable-file";

/// Code of a doubt about a file that is empty where it never should be.
pub const EMPTY: &str = "empty-file";

/// Code of a doubt about a file whose last line has no end.
pub const CUT_SHORT: &str = "file-cut-short";

/// Something that was not read or not understood, and that a pass must therefore not rest on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Doubt {
    /// The file.
    pub path: String,
    /// Line, counted from 1, if it is about one.
    pub line: Option<u32>,
    /// What kind of doubt it is, for machines, as in [`Issue::code`].
    pub code: &'static str,
    /// One sentence without a full stop.
    pub what: String,
}

impl Doubt {
    /// A doubt about a whole file.
    pub fn about(path: &str, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: None, code: Issue::UNCODED, what: what.into() }
    }

    /// A doubt about one line.
    pub fn at(path: &str, line: u32, what: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line: Some(line), code: Issue::UNCODED, what: what.into() }
    }

    /// The same doubt with a code of its own.
    #[must_use]
    pub fn coded(self, code: &'static str) -> Self {
        Self { code, ..self }
    }

    /// An issue a parser found in the file at `path`.
    pub fn of(path: &str, issue: Issue) -> Self {
        Self { path: path.to_owned(), line: Some(issue.line), code: issue.code, what: issue.what }
    }
}

impl From<Trouble> for Doubt {
    fn from(trouble: Trouble) -> Self {
        Self { what: trouble.kind.to_string(), path: trouble.path, line: None, code: UNREADABLE }
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.what),
            None => write!(f, "{} {}", self.path, self.what),
        }
    }
}

/// Why there is no value to judge: the `Err` of every fact, so that `?` in a check does the right thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// It cannot be known, and why.
    Unknown(Doubt),
    /// There is nothing to judge, and why: one sentence without a full stop.
    NotApplicable(String),
}

impl Stop {
    /// It cannot be known because of what is said about `path`.
    pub fn unknown(path: &str, what: impl Into<String>) -> Self {
        Self::Unknown(Doubt::about(path, what))
    }

    /// There is nothing to judge.
    pub fn not_applicable(why: impl Into<String>) -> Self {
        Self::NotApplicable(why.into())
    }
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Self::Unknown(trouble.into())
    }
}

/// A value read from the host, or why there is none, and what is doubtful about it.
#[derive(Debug, Clone)]
pub struct Fact<T> {
    /// The value, or why there is none.
    pub value: Result<T, Stop>,
    /// What was not understood on the way; empty for a complete reading.
    pub doubts: Vec<Doubt>,
}

impl<T> Fact<T> {
    /// Reads a fact through `files`; `read` notes its doubts on the way.
    pub fn gather(files: &Files, read: impl FnOnce(&mut Gather<'_>) -> Result<T, Stop>) -> Self {
        let mut gather = Gather { files, doubts: Vec::new() };
        let value = read(&mut gather);
        gather.doubts.sort();
        gather.doubts.dedup();
        Self { value, doubts: gather.doubts }
    }

    /// Ends the judgement unless everything was read. For a fail that rests on something not being there: it may
    /// be in what was not read.
    ///
    /// # Errors
    /// With the first doubt.
    pub fn complete(&self) -> Result<(), Stop> {
        self.doubts.first().map_or(Ok(()), |doubt| Err(Stop::Unknown(doubt.clone())))
    }
}

/// Reads the files of one fact and collects the doubts.
pub struct Gather<'f> {
    files: &'f Files,
    doubts: Vec<Doubt>,
}

impl<'f> Gather<'f> {
    /// The door, for listings and links.
    pub fn files(&self) -> &'f Files {
        self.files
    }

    /// Notes a doubt.
    pub fn doubt(&mut self, doubt: impl Into<Doubt>) {
        self.doubts.push(doubt.into());
    }

    /// The value of another fact; its doubts become doubts of this one.
    pub fn take<'a, U>(&mut self, fact: &'a Fact<U>) -> Result<&'a U, Stop> {
        self.doubts.extend(fact.doubts.iter().cloned());
        fact.value.as_ref().map_err(Clone::clone)
    }

    /// Another fact as one of several that make this one: its doubts, or why it has no value, become doubts of this one.
    pub fn heed<U>(&mut self, fact: &Fact<U>) {
        self.doubts.extend(fact.doubts.iter().cloned());
        if let Err(Stop::Unknown(doubt)) = &fact.value {
            self.doubts.push(doubt.clone());
        }
    }

    /// The text of a file that must be there and that its owner never leaves empty.
    pub fn required(&mut self, path: &str) -> Result<Text, Stop> {
        let text = self.files.text(path)?;
        self.completeness(path, &text, true);
        Ok(text)
    }

    /// As [`Gather::required`], for a file that upstream reads as bytes: what is no UTF-8 comes by
    /// [`bytes::text`](crate::formats::bytes::text).
    pub fn required_bytes(&mut self, path: &str) -> Result<String, Stop> {
        let raw = self.files.bytes(path)?;
        let text = bytes::text(&raw).into_owned();
        self.completeness(path, &text, true);
        Ok(text)
    }

    /// The text of a file that may be missing; anything else that keeps it from being read stops the fact.
    pub fn optional(&mut self, path: &str) -> Result<Option<Text>, Stop> {
        match self.files.text(path) {
            Ok(text) => {
                self.completeness(path, &text, false);
                Ok(Some(text))
            }
            Err(trouble) if trouble.is_missing() => Ok(None),
            Err(trouble) => Err(trouble.into()),
        }
    }

    /// The text of one of several files that make a fact: what keeps it from being read is a doubt, so that the
    /// others still count. `None` for a missing file as well.
    pub fn part(&mut self, path: &str) -> Option<Text> {
        let answer = self.files.text(path);
        self.part_of(path, answer)
    }

    /// As [`Gather::part`], for a text that was asked for together with others.
    pub fn part_of(&mut self, path: &str, answer: Result<Text, Trouble>) -> Option<Text> {
        match answer {
            Ok(text) => {
                self.completeness(path, &text, false);
                Some(text)
            }
            Err(trouble) if trouble.is_missing() => None,
            Err(trouble) => {
                self.doubt(trouble);
                None
            }
        }
    }

    /// The names in a folder; a missing folder is an empty one, anything else is a doubt. So is a name that is not
    /// UTF-8: it comes with replacement characters, and no file is found under it.
    pub fn folder(&mut self, path: &str) -> Vec<Entry> {
        match self.files.list(path) {
            Ok(entries) => {
                for entry in entries.iter().filter(|entry| entry.name.contains(char::REPLACEMENT_CHARACTER)) {
                    let what = format!("has an entry whose name is not UTF-8: {}", entry.name);
                    self.doubt(Doubt::about(path, what));
                }
                entries
            }
            Err(trouble) if trouble.is_missing() => Vec::new(),
            Err(trouble) => {
                self.doubt(trouble);
                Vec::new()
            }
        }
    }

    /// The value of a parsed file; its issues become doubts.
    pub fn parsed<U>(&mut self, path: &str, parsed: Parsed<U>) -> U {
        self.doubts.extend(parsed.issues.into_iter().map(|issue| Doubt::of(path, issue)));
        parsed.value
    }

    /// Every line ends with a newline in what Proxmox VE, Debian and editors write: a last line without one may be
    /// the first half of a longer one. (Text that is no lines, such as JSON, is read with [`Gather::document`].)
    fn completeness(&mut self, path: &str, text: &str, must_have_content: bool) {
        if must_have_content && text.trim().is_empty() {
            self.doubt(Doubt::about(path, "is empty: its content may have been lost").coded(EMPTY));
        }
        if !text.is_empty() && !text.ends_with('\n') && !text.trim_start().starts_with('{') {
            let line = u32::try_from(text.split('\n').count()).unwrap_or(u32::MAX);
            let what = "the last line has no end: the file may have been cut short";
            self.doubt(Doubt::at(path, line, what).coded(CUT_SHORT));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Node, Tree};

    #[test]
    fn a_file_whose_name_is_not_utf_8_is_a_doubt_of_its_folder() {
        let mut tree = Tree::default();
        tree.insert("/etc/d/10-a.conf", Node::file("a\n"));
        tree.insert("/etc/d/99-\u{fffd}.conf", Node::file("b\n"));
        let files = Files::memory(tree);
        let fact = Fact::gather(&files, |gather| Ok(gather.folder("/etc/d").len()));
        assert_eq!(fact.value, Ok(2));
        assert_eq!(fact.doubts.len(), 1);
        assert_eq!(fact.doubts[0].path, "/etc/d");
    }
}
