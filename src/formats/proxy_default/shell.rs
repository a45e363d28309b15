//! Plain assignments of a shell script: the part of bash that can be understood without running it.

use std::collections::BTreeMap;

use crate::formats::{Issue, Located, Parsed};

/// The last assignment of every variable. Anything but comments and plain assignments (also behind `export`)
/// is an issue, and the rest of its line is skipped. Issues never quote the text.
pub(super) fn read(text: &str) -> Parsed<BTreeMap<String, Located<String>>> {
    let mut parsed = Parsed::<BTreeMap<String, Located<String>>>::default();
    let mut reader = Reader { rest: text, line: 1 };
    while !reader.rest.is_empty() {
        let line = reader.line;
        match reader.command() {
            Ok(assignments) => {
                for (name, value) in assignments {
                    parsed.value.insert(name, Located::new(value, line));
                }
            }
            Err(what) => {
                parsed.issues.push(Issue::new(line, what));
                reader.skip_line();
            }
        }
    }
    parsed
}

struct Reader<'a> {
    rest: &'a str,
    line: u32,
}

const NOT_PLAIN: &str = "not a plain assignment; bash runs it and this reader does not";

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    fn take(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let character = characters.next()?;
        self.rest = characters.as_str();
        self.line += u32::from(character == '\n');
        Some(character)
    }

    fn skip_line(&mut self) {
        while self.take().is_some_and(|character| character != '\n') {}
    }

    /// One command up to a newline or `;`: nothing, a comment, or assignments only.
    fn command(&mut self) -> Result<Vec<(String, String)>, &'static str> {
        let mut assignments = Vec::new();
        let mut exported = false;
        loop {
            match self.peek() {
                None => return Ok(assignments),
                Some(';') if assignments.is_empty() && !exported => return Err(NOT_PLAIN),
                Some('\n' | ';') => {
                    self.take();
                    return Ok(assignments);
                }
                Some(' ' | '\t') => drop(self.take()),
                Some('#') => {
                    self.skip_line();
                    return Ok(assignments);
                }
                Some(_) => match self.word(exported)? {
                    Word::Export if assignments.is_empty() && !exported => exported = true,
                    Word::Assignment(name, value) => assignments.push((name, value)),
                    Word::Name if exported => {}
                    _ => return Err(NOT_PLAIN),
                },
            }
        }
    }

    fn word(&mut self, exported: bool) -> Result<Word, &'static str> {
        let end = self.rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest.len());
        let (name, after) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        let name = name.to_owned();
        let is_name = name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
        match after.strip_prefix('=') {
            Some(value) if is_name => {
                self.rest = value;
                Ok(Word::Assignment(name, self.value()?))
            }
            None if is_name && after.starts_with([' ', '\t', '\n', ';']) || after.is_empty() => {
                self.rest = after;
                Ok(if name == "export" && !exported { Word::Export } else { Word::Name })
            }
            _ => Err(NOT_PLAIN),
        }
    }

    /// A value: pieces without quotes, in single quotes and in double quotes, side by side.
    fn value(&mut self) -> Result<String, &'static str> {
        let mut value = String::new();
        while let Some(character) = self.peek() {
            match character {
                ' ' | '\t' | '\n' | ';' => break,
                '\'' | '"' => {
                    self.take();
                    self.quoted(character, &mut value)?;
                }
                // Expansions, escapes and operators: a doubt also where bash would take the character as it is.
                '$' | '`' | '\\' | '&' | '|' | '<' | '>' | '(' | ')' | '{' | '~' => return Err(NOT_PLAIN),
                plain => {
                    self.take();
                    value.push(plain);
                }
            }
        }
        Ok(value)
    }

    fn quoted(&mut self, quote: char, value: &mut String) -> Result<(), &'static str> {
        while let Some(character) = self.take() {
            match character {
                end if end == quote => return Ok(()),
                '$' | '`' | '\\' if quote == '"' => return Err(NOT_PLAIN),
                plain => value.push(plain),
            }
        }
        Err("a quote is not closed; bash fails on the rest of the file")
    }
}

enum Word {
    Export,
    Assignment(String, String),
    Name,
}
