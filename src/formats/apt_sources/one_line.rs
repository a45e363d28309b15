//! `type [option=value …] uri suite component…`, one source per line.
//!
//! Follows apt `apt-pkg/sourcelist.cc` (`ParseFileOldStyle`, `Type::ParseLine`).

use super::options::Options;
use super::{ARCH, Context, Entries, Entry, Parsed, SourceFile, SourceType, Trouble, uri};
use crate::formats::Issue;
use crate::formats::apt_text::{self, Cursor};

/// Shortest option apt takes: `a=b`.
const SHORTEST_OPTION: usize = 3;

pub(super) const BAD_SIGNED_BY: &str =
    "signed-by is neither a list of absolute paths and fingerprints nor a key block";
pub(super) const SNAPSHOT: &str =
    "a snapshot replaces this source: apt installs from another archive than the one named here";

pub(super) fn parse(text: &str, context: &Context<'_>) -> Parsed<SourceFile> {
    let mut parsed = Parsed::<SourceFile>::default();
    let mut entries = Entries::default();
    for (number, line) in apt_text::lines(text) {
        let line = without_comment(&line).trim_matches([' ', '\t', '\r']);
        if line.is_empty() {
            continue;
        }
        if let Err(trouble) = source(line, number, context, &mut entries) {
            parsed.stop(number, &trouble);
            break;
        }
        if entries.list.last().is_some_and(|entry| entry.snapshot.is_some()) {
            parsed.issues.push(Issue::new(number, SNAPSHOT));
        }
    }
    parsed.value.entries = entries.list;
    parsed
}

/// The line up to its first `#` that is not inside square brackets.
fn without_comment(line: &str) -> &str {
    let (mut opened, mut closed) = (0_usize, 0_usize);
    for (at, byte) in line.bytes().enumerate() {
        match byte {
            b'[' => opened += 1,
            b']' => closed += 1,
            b'#' if opened <= closed => return line.get(..at).unwrap_or(line),
            _ => {}
        }
    }
    line
}

fn source(line: &str, number: u32, context: &Context<'_>, into: &mut Entries) -> Result<(), Trouble> {
    let word_end = line.find([' ', '\t', '\u{b}']).ok_or("a line with a single word")?;
    let (word, rest) = line.split_at_checked(word_end).ok_or("a line with a single word")?;
    let source_type = SourceType::of(word).ok_or("the type is neither deb nor deb-src")?;
    let mut cursor = Cursor::new(rest);
    cursor.skip_space();
    let mut options = Options::default();
    if cursor.peek() == Some(b'[') {
        read_options(&mut cursor, &mut options)?;
    }
    let uri = cursor.quote_word().ok_or("no URI")?;
    let suite = cursor.quote_word().ok_or("no suite")?;
    let (uri, credentials) =
        uri::fixed(&uri, context.native, context.version).ok_or("the URI has no scheme")?;
    let mut components = Vec::new();
    while let Some(component) = cursor.quote_word() {
        components.push(component);
    }
    let exact = suite.ends_with('/');
    match (exact, components.is_empty()) {
        (true, false) => return Err("an exact path (a suite ending in `/`) with components".into()),
        (false, true) => return Err("no component".into()),
        _ => {}
    }
    let entry = options.entry(source_type, number, context).ok_or(BAD_SIGNED_BY)?;
    let entry = Entry { uri, credentials, ..entry };
    if exact {
        return into.push(Entry { suite: suite.replace(ARCH, context.native), ..entry });
    }
    let one = |component| Entry { suite: suite.clone(), component: Some(component), ..entry.clone() };
    components.into_iter().try_for_each(|component| into.push(one(component)))
}

/// Reads `[ name=value … ]`; the cursor ends after the bracket and white space.
fn read_options(cursor: &mut Cursor<'_>, options: &mut Options) -> Result<(), &'static str> {
    cursor.advance();
    cursor.skip_space();
    while cursor.peek() != Some(b']') {
        let mut option = cursor.quote_word().ok_or("the options cannot be read")?;
        if option.len() < SHORTEST_OPTION {
            return Err("an option is too short");
        }
        if option.ends_with(']') {
            // no blank before the closing bracket: apt steps back to it, even into quotes
            option.pop();
            if !cursor.back_to(b']') {
                return Err("the options cannot be read");
            }
        }
        let (name, value) = option.split_once('=').ok_or("an option without `=`")?;
        if name.is_empty() || value.is_empty() {
            return Err("an option without a name or a value");
        }
        options.set(name, value.to_owned());
    }
    cursor.advance();
    cursor.skip_space();
    Ok(())
}
