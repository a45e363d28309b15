//! From text to directives.

use super::{ConfFile, Directive, Parsed};
use crate::formats::Issue;
use crate::formats::apt_text::{self, Cursor};

/// What a tab becomes before anything else.
const TAB: &str = "        ";
/// `#` followed by one of these is no comment.
const MAGIC: [&[u8]; 3] = [b"clear", b"include", b"x-apt-configure-index"];
/// Longest name, scopes included, that is followed here. apt has no limit; without one the names of deeply nested
/// scopes would take the square of the file's size.
const LONGEST_NAME: usize = 512;

/// Reads one configuration file.
pub fn parse(text: &str) -> Parsed<ConfFile> {
    let mut reader = Reader::default();
    let mut last = 1;
    for (number, line) in apt_text::lines(text) {
        last = number;
        if let Err(stop) = reader.line(number, &line) {
            reader.stop(number, &stop);
            return reader.parsed;
        }
    }
    if !reader.buffer.is_empty() {
        reader.stop(last, &Stop::Syntax("text at the end that no `;` ends"));
    }
    reader.parsed
}

/// Why reading stops.
enum Stop {
    /// apt stops too.
    Syntax(&'static str),
    /// A name longer than [`LONGEST_NAME`].
    LongName,
}

#[derive(Default)]
struct Reader {
    parsed: Parsed<ConfFile>,
    /// Start of a statement that goes on.
    buffer: String,
    /// The scopes around `scope`.
    outer: Vec<String>,
    scope: String,
    in_comment: bool,
}

impl Reader {
    fn stop(&mut self, line: u32, stop: &Stop) {
        let issue = match stop {
            Stop::Syntax(why) => Issue::new(line, format!("{why}: every apt command fails")),
            Stop::LongName => {
                Issue::new(line, "a name longer than is followed here: the rest of the file is unread")
            }
        };
        if matches!(stop, Stop::Syntax(_)) {
            self.parsed.value.error = Some(issue.clone());
        }
        self.parsed.issues.push(issue);
    }

    fn line(&mut self, number: u32, raw: &str) -> Result<(), Stop> {
        let expanded = raw.replace('\t', TAB);
        let fragment = self.without_comments(apt_text::trim(&expanded));
        let mut start = 0;
        let mut in_quote = false;
        for (at, byte) in fragment.bytes().enumerate() {
            in_quote ^= byte == b'"';
            if in_quote || !matches!(byte, b'{' | b';' | b'}') {
                continue;
            }
            self.add(apt_text::trim(fragment.get(start..at).unwrap_or_default()));
            start = at + 1;
            if byte == b'{' && self.buffer.is_empty() {
                return Err(Stop::Syntax("a block without a name"));
            }
            if !self.buffer.is_empty() {
                let buffer = std::mem::take(&mut self.buffer);
                self.statement(&buffer, byte == b'{', number)?;
            }
            if byte == b'}' {
                self.scope = self.outer.pop().unwrap_or_default();
            }
        }
        let rest = fragment.get(start..).unwrap_or_default();
        self.add(rest.trim_start_matches([' ', '\t']).trim_end_matches([' ', '\t', '\n', '\r']));
        Ok(())
    }

    fn add(&mut self, piece: &str) {
        if !self.buffer.is_empty() && !piece.is_empty() {
            self.buffer.push(' ');
        }
        self.buffer.push_str(piece);
    }

    /// The line without its comments; remembers a `/*` that stays open.
    fn without_comments(&mut self, mut line: &str) -> String {
        if self.in_comment {
            let Some((_, after)) = line.split_once("*/") else { return String::new() };
            line = after;
            self.in_comment = false;
        }
        line = before(line, unquoted(line, b"//", |_| false));
        line = before(line, unquoted(line, b"#", |rest| MAGIC.iter().any(|word| rest.starts_with(word))));
        let mut fragment = String::with_capacity(line.len());
        // quotes are counted from the end of the last comment on
        while let Some(at) = unquoted(line, b"/*", |_| false) {
            fragment.push_str(before(line, Some(at)));
            let Some((_, after)) = line.get(at + 2..).unwrap_or_default().split_once("*/") else {
                self.in_comment = true;
                return fragment;
            };
            line = after;
        }
        fragment.push_str(line);
        fragment
    }

    fn statement(&mut self, text: &str, opens: bool, line: u32) -> Result<(), Stop> {
        let mut cursor = Cursor::new(text);
        let mut tag = cursor.quote_word().ok_or(Stop::Syntax("a malformed name"))?;
        let mut word = cursor.c_word().or_else(|| cursor.quote_word());
        if word.is_none() && !opens {
            word = Some(std::mem::take(&mut tag));
        }
        if cursor.peek().is_some() {
            return Err(Stop::Syntax("text after a value"));
        }
        if opens {
            let scope = joined(&self.scope, &std::mem::take(&mut tag));
            self.outer.push(std::mem::replace(&mut self.scope, scope));
        }
        if self.scope.len() + tag.len() > LONGEST_NAME {
            return Err(Stop::LongName);
        }
        if let Some(directive) = tag.strip_prefix('#') {
            return self.magic(directive, word.unwrap_or_default(), line);
        }
        let Some(value) = word else { return Ok(()) };
        if tag.is_empty() && value == "#clear" {
            return Err(Stop::Syntax("#clear without a name"));
        }
        let name = if opens { self.scope.clone() } else { joined(&self.scope, &tag) };
        let (value, credentials) = without_secret(&name, value);
        self.parsed.value.directives.push((line, Directive::Set { name, value, credentials }));
        Ok(())
    }

    fn magic(&mut self, directive: &str, word: String, line: u32) -> Result<(), Stop> {
        if !self.scope.is_empty() {
            return Err(Stop::Syntax("a directive inside a block"));
        }
        let directive = match directive {
            "clear" => Directive::Clear(word),
            "include" => Directive::Include(word),
            // names the known options for warnings only
            "x-apt-configure-index" => return Ok(()),
            _ => return Err(Stop::Syntax("an unknown directive")),
        };
        self.parsed.value.directives.push((line, directive));
        Ok(())
    }
}

/// A value without the user and password of its URLs; in a proxy setting also without a scheme.
fn without_secret(name: &str, value: String) -> (String, bool) {
    if value.contains("://") {
        return apt_text::without_userinfo(&value);
    }
    match value.rsplit_once('@') {
        Some((_, host)) if name.to_ascii_lowercase().contains("proxy") => (host.to_owned(), true),
        _ => (value, false),
    }
}

fn joined(scope: &str, tag: &str) -> String {
    if scope.is_empty() { tag.to_owned() } else { format!("{scope}::{tag}") }
}

fn before(line: &str, end: Option<usize>) -> &str {
    end.and_then(|end| line.get(..end)).unwrap_or(line)
}

/// First place of `mark` outside double quotes whose rest is not excepted.
fn unquoted(line: &str, mark: &[u8], except: impl Fn(&[u8]) -> bool) -> Option<usize> {
    let mut quoted = false;
    for (at, byte) in line.bytes().enumerate() {
        quoted ^= byte == b'"';
        if !quoted && mark.first() == Some(&byte) {
            let rest = line.as_bytes().get(at..).and_then(|rest| rest.strip_prefix(mark));
            if rest.is_some_and(|rest| !except(rest)) {
                return Some(at);
            }
        }
    }
    None
}
