//! The syntax of LVM's configuration and metadata: sections, values, arrays, comments.

use crate::formats::{Issue, Parsed};

/// Deepest nesting that is read; metadata has five levels.
const DEPTH_LIMIT: usize = 32;

/// A value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    /// A quoted string.
    Text(String),
    /// Anything without quotes: numbers.
    Bare(String),
    /// An array, flat.
    List(Vec<Value>),
}

impl Value {
    /// The number.
    pub(super) fn number(&self) -> Option<u64> {
        match self {
            Self::Bare(text) => text.parse().ok(),
            Self::Text(_) | Self::List(_) => None,
        }
    }

    /// The string, or all strings of the array.
    pub(super) fn texts(&self) -> Vec<&str> {
        match self {
            Self::Text(text) => vec![text],
            Self::Bare(_) => Vec::new(),
            Self::List(values) => values.iter().flat_map(Self::texts).collect(),
        }
    }
}

/// A section; the file itself is one without a name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Section {
    pub(super) name: String,
    pub(super) values: Vec<(String, Value)>,
    pub(super) sections: Vec<Section>,
    pub(super) line: u32,
}

impl Section {
    pub(super) fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }

    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        self.values.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.value(name).and_then(|value| value.texts().first().map(|text| (*text).to_owned()))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Text(String),
    Bare(String),
    Mark(char),
}

/// Reads a whole file. LVM refuses a file for one error; here reading stops there, with an issue.
pub(super) fn read(text: &str) -> Parsed<Section> {
    let mut parsed = Parsed::default();
    let mut tokens = Tokens { rest: text, line: 1 };
    let mut open = vec![Section::default()];
    if let Err(what) = sections(&mut tokens, &mut open) {
        parsed.issues.push(Issue::new(tokens.line, format!("{what}; LVM refuses the file")));
    }
    while let Some(section) = open.pop() {
        match open.last_mut() {
            Some(outer) => outer.sections.push(section),
            None => parsed.value = section,
        }
    }
    parsed
}

fn sections(tokens: &mut Tokens<'_>, open: &mut Vec<Section>) -> Result<(), &'static str> {
    loop {
        let name = match tokens.next_token()? {
            None if open.len() > 1 => return Err("a closing brace is missing"),
            None => return Ok(()),
            Some(Token::Mark('}')) => {
                let section =
                    open.pop().filter(|_| !open.is_empty()).ok_or("a closing brace without a section")?;
                open.last_mut().ok_or("a closing brace without a section")?.sections.push(section);
                continue;
            }
            Some(Token::Bare(name) | Token::Text(name)) => name,
            Some(Token::Mark(_)) => return Err("a name is missing"),
        };
        let line = tokens.line;
        match tokens.next_token()? {
            Some(Token::Mark('{')) if open.len() <= DEPTH_LIMIT => {
                open.push(Section { name, line, ..Section::default() });
            }
            Some(Token::Mark('{')) => return Err("sections are nested too deeply"),
            Some(Token::Mark('=')) => {
                let value = value(tokens)?;
                open.last_mut().ok_or("a value without a section")?.values.push((name, value));
            }
            _ => return Err("a name is followed by neither `=` nor `{`"),
        }
    }
}

fn value(tokens: &mut Tokens<'_>) -> Result<Value, &'static str> {
    match tokens.next_token()? {
        Some(Token::Text(text)) => Ok(Value::Text(text)),
        Some(Token::Bare(text)) => Ok(Value::Bare(text)),
        Some(Token::Mark('[')) => list(tokens),
        _ => Err("a value is missing"),
    }
}

fn list(tokens: &mut Tokens<'_>) -> Result<Value, &'static str> {
    let mut values = Vec::new();
    loop {
        match tokens.next_token()? {
            Some(Token::Mark(']')) => return Ok(Value::List(values)),
            Some(Token::Mark(',')) => {}
            Some(Token::Text(text)) => values.push(Value::Text(text)),
            Some(Token::Bare(text)) => values.push(Value::Bare(text)),
            _ => return Err("an array is not closed"),
        }
    }
}

struct Tokens<'a> {
    rest: &'a str,
    line: u32,
}

const MARKS: [char; 6] = ['{', '}', '[', ']', '=', ','];

impl Tokens<'_> {
    fn take(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let character = characters.next()?;
        self.rest = characters.as_str();
        self.line = self.line.saturating_add(u32::from(character == '\n'));
        Some(character)
    }

    fn next_token(&mut self) -> Result<Option<Token>, &'static str> {
        loop {
            let Some(character) = self.take() else { return Ok(None) };
            match character {
                '#' => while self.take().is_some_and(|character| character != '\n') {},
                mark if MARKS.contains(&mark) => return Ok(Some(Token::Mark(mark))),
                '"' => return self.quoted('"').map(|text| Some(Token::Text(text))),
                '\'' => return self.quoted('\'').map(|text| Some(Token::Text(text))),
                space if space.is_ascii_whitespace() => {}
                first => return Ok(Some(Token::Bare(self.bare(first)))),
            }
        }
    }

    /// Double quotes know `\"` and `\\`; single quotes know no escapes.
    fn quoted(&mut self, quote: char) -> Result<String, &'static str> {
        let mut text = String::new();
        while let Some(character) = self.take() {
            match character {
                end if end == quote => return Ok(text),
                '\\' if quote == '"' => text.extend(self.take()),
                other => text.push(other),
            }
        }
        Err("a quote is not closed")
    }

    fn bare(&mut self, first: char) -> String {
        let ends = |c: char| c.is_ascii_whitespace() || MARKS.contains(&c) || matches!(c, '#' | '"' | '\'');
        let end = self.rest.find(ends).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        format!("{first}{word}")
    }
}
