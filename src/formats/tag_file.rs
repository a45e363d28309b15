//! Stanzas of `Field: value` lines as apt reads them: `.sources` files, preferences, Release files.
//!
//! Follows apt `apt-pkg/tagfile.cc` (`pkgTagFile`, `pkgTagSection::Scan`); unchanged between apt 2.2 and 3.0. The
//! scanner searches for the next colon, the next newline, the next double newline – not for lines – and its
//! oddities follow from that:
//!
//! - a line without a colon becomes part of the next field's name, even across an empty line;
//! - a line of blanks is a continuation line and does not end a stanza;
//! - carriage returns at the start of a line do not count;
//! - when no colon is left, the scanner tries again behind the last field it has, and then takes a line that
//!   starts with a carriage return for a continuation line;
//! - at most three stray bytes at the end are dropped silently, more make the complete file an error.

use super::{Issue, Parsed, apt_text};

/// One `Field: value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Name as written, without blanks before the colon.
    pub name: String,
    /// Value without white space at the end; continuation lines keep their newlines and blanks.
    pub value: String,
    /// Line of the name, counted from 1.
    pub line: u32,
}

/// Fields up to an empty line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stanza {
    /// All fields in the order of the file.
    pub fields: Vec<Field>,
}

impl Stanza {
    /// The field apt takes for `name`: the last one of that name, whatever its case.
    pub fn get(&self, name: &str) -> Option<&Field> {
        self.fields.iter().rev().find(|field| field.name.eq_ignore_ascii_case(name))
    }

    /// The value apt takes for `name`, empty when there is none.
    pub fn text(&self, name: &str) -> &str {
        self.get(name).map_or("", |field| field.value.as_str())
    }

    /// Line of the first field.
    pub fn line(&self) -> u32 {
        self.fields.first().map_or(1, |field| field.line)
    }
}

/// The stanzas of a file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TagFile {
    /// Stanzas in the order of the file; those without any field are kept only without comment support.
    pub stanzas: Vec<Stanza>,
    /// What made apt give up (everything after the last stanza is unread), also among the issues.
    pub fatal: Option<Issue>,
}

/// Whether lines starting with `#` are comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comments {
    /// They are: `.sources` files and preferences.
    Skipped,
    /// They are text like any other: Release files and package lists.
    Text,
}

/// Text that ends a file without a colon in it is dropped silently up to this length, newlines included.
const IGNORED_TAIL: usize = 3;

/// How often the scanner tries again: before and after each of five doublings of its buffer, and once more.
const RETRIES: usize = 11;

/// Reads all stanzas of `text`.
pub fn parse(text: &str, comments: Comments) -> Parsed<TagFile> {
    let buffer = Buffer::new(text, comments);
    let mut parsed = Parsed::<TagFile>::default();
    let mut at = 0;
    while at < buffer.bytes.len() {
        let Some((fields, next)) = buffer.scan_again(at) else {
            if buffer.bytes.len() - at > IGNORED_TAIL {
                let line = buffer.line_of(at);
                let issue = Issue::new(
                    line,
                    "text without a colon up to the end of the file: apt cannot read the file",
                );
                parsed.issues.push(issue.clone());
                parsed.value.fatal = Some(issue);
            }
            break;
        };
        at = next;
        if fields.is_empty() && comments == Comments::Skipped {
            continue;
        }
        let stanza = buffer.stanza(&fields);
        report_odd_names(&stanza, &mut parsed.issues);
        buffer.report_blank_lines(&fields, &mut parsed.issues);
        parsed.value.stanzas.push(stanza);
    }
    parsed
}

fn report_odd_names(stanza: &Stanza, issues: &mut Vec<Issue>) {
    for field in stanza.fields.iter().filter(|field| field.name.contains('\n')) {
        issues.push(Issue::new(
            field.line,
            "a line without a colon: apt takes it and the next line as one field name",
        ));
    }
}

/// The text as the scanner sees it: comments gone, a double newline at the end.
struct Buffer {
    bytes: Vec<u8>,
    /// Offset in `bytes` and line number of every kept line.
    lines: Vec<(usize, u32)>,
}

/// Offsets of one field: name from `name` to `name_end`, value from `value` to `end`.
struct Span {
    name: usize,
    name_end: usize,
    value: usize,
    end: usize,
}

impl Buffer {
    fn new(text: &str, comments: Comments) -> Self {
        let mut buffer = Self { bytes: Vec::with_capacity(text.len() + 2), lines: Vec::new() };
        for (number, line) in (1_u32..).zip(text.split_inclusive('\n')) {
            if comments == Comments::Skipped && line.starts_with('#') {
                continue;
            }
            buffer.lines.push((buffer.bytes.len(), number));
            buffer.bytes.extend_from_slice(line.as_bytes());
        }
        if buffer.bytes.is_empty() {
            return buffer;
        }
        let tail = buffer.bytes.iter().rev().take_while(|byte| matches!(byte, b'\n' | b'\r'));
        let newlines = tail.filter(|byte| **byte == b'\n').count();
        for _ in newlines..2 {
            buffer.bytes.push(b'\n');
        }
        buffer
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    fn find(&self, wanted: u8, from: usize) -> Option<usize> {
        self.bytes.get(from..)?.iter().position(|byte| *byte == wanted).map(|at| from + at)
    }

    fn line_of(&self, at: usize) -> u32 {
        let index = self.lines.partition_point(|(offset, _)| *offset <= at);
        index.checked_sub(1).and_then(|index| self.lines.get(index)).map_or(1, |(_, line)| *line)
    }

    fn text(&self, from: usize, to: usize) -> String {
        String::from_utf8_lossy(self.bytes.get(from..to).unwrap_or_default()).into_owned()
    }

    /// One stanza from `from` on and where the next one starts; `None` when its end is never found.
    fn scan_again(&self, from: usize) -> Option<(Vec<Span>, usize)> {
        let mut fields = Vec::new();
        let mut next = self.scan(from, &mut fields);
        if self.bytes.len() - from <= IGNORED_TAIL {
            return next.map(|next| (fields, next));
        }
        for _ in 0..RETRIES {
            if next.is_some() {
                break;
            }
            let last: &Span = fields.last()?;
            next = self.scan(self.find(b'\n', last.name)? + 1, &mut fields);
        }
        next.map(|next| (fields, next))
    }

    /// Adds the fields from `at` to the end of the stanza; where the next one starts, `None` when the end is not
    /// found.
    fn scan(&self, mut at: usize, fields: &mut Vec<Span>) -> Option<usize> {
        while let Some(byte) = self.byte(at) {
            if !apt_text::is_space(byte) {
                if let Some(last) = fields.last_mut() {
                    last.end = at;
                }
                let colon = self.find(b':', at)?;
                let value = self.value_start(colon + 1)?;
                fields.push(Span { name: at, name_end: self.trimmed(at + 1, colon), value, end: value });
                at = value;
            }
            at = self.find(b'\n', at)?;
            while self.byte(at + 1) == Some(b'\r') {
                at += 1;
            }
            if self.byte(at + 1) == Some(b'\n') {
                if let Some(last) = fields.last_mut() {
                    last.end = at;
                }
                let gap = self.bytes.get(at..).unwrap_or_default();
                let gap = gap.iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
                return Some(at + gap);
            }
            at += 1;
        }
        None
    }

    /// First byte of a value: white space is skipped, a newline only when a blank (not a tab) follows it.
    fn value_start(&self, mut at: usize) -> Option<usize> {
        loop {
            let byte = self.byte(at)?;
            if !apt_text::is_space(byte) || (byte == b'\n' && self.byte(at + 1) != Some(b' ')) {
                return Some(at);
            }
            at += 1;
        }
    }

    /// `to` moved back over white space, not before `from`.
    fn trimmed(&self, from: usize, mut to: usize) -> usize {
        while to > from && to.checked_sub(1).and_then(|last| self.byte(last)).is_some_and(apt_text::is_space)
        {
            to -= 1;
        }
        to
    }

    fn stanza(&self, fields: &[Span]) -> Stanza {
        let field = |span: &Span| Field {
            name: self.text(span.name, span.name_end),
            value: self.text(span.value, self.trimmed(span.value, span.end)),
            line: self.line_of(span.name),
        };
        Stanza { fields: fields.iter().map(field).collect() }
    }

    /// Names every line of blanks that looks like the end of a stanza and is none.
    fn report_blank_lines(&self, fields: &[Span], issues: &mut Vec<Issue>) {
        for (above, below) in fields.iter().zip(fields.iter().skip(1)) {
            let gap = self.bytes.get(self.trimmed(above.value, above.end)..below.name).unwrap_or_default();
            let lines = gap.split(|byte| *byte == b'\n').count();
            // the rest of the value's line and the empty piece before the next name make two
            if lines > 2 && gap.contains(&b'\n') {
                let line = self.line_of(below.name);
                issues.push(Issue::new(
                    line,
                    "the line of blanks above does not end a stanza: apt reads the fields below as part of the one above",
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<Vec<(String, String, u32)>> {
        let stanzas = parse(text, Comments::Skipped).value.stanzas;
        let field = |field: Field| (field.name, field.value, field.line);
        stanzas.into_iter().map(|stanza| stanza.fields.into_iter().map(field).collect()).collect()
    }

    fn one(name: &str, value: &str, line: u32) -> (String, String, u32) {
        (name.to_owned(), value.to_owned(), line)
    }

    #[test]
    fn stanzas_are_separated_by_empty_lines_and_comments_vanish() {
        let text = "# c\nA: 1\n# c\n 2\n#\n\n\nB : x\n# end";
        assert_eq!(read(text), [[one("A", "1\n 2", 2)], [one("B", "x", 8)]]);
    }

    #[test]
    fn a_line_of_blanks_does_not_separate() {
        let parsed = parse("A: 1\n \t\nA: 2\n", Comments::Skipped);
        assert_eq!(parsed.value.stanzas.len(), 1);
        assert_eq!(parsed.value.stanzas[0].text("a"), "2");
        assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn a_line_without_a_colon_joins_the_next_name_even_across_an_empty_line() {
        assert_eq!(read("A: 1\nfoo\n\nB: 2\n"), [[one("A", "1", 1), one("foo\n\nB", "2", 2)]]);
        assert_eq!(parse("foo\nB: 2\n", Comments::Skipped).issues.len(), 1);
    }

    #[test]
    fn text_without_a_colon_at_the_end_is_fatal_unless_it_is_tiny() {
        assert!(parse("A: 1\n\nfoo", Comments::Skipped).value.fatal.is_some());
        assert!(parse("A: 1\n\nf", Comments::Skipped).value.fatal.is_none());
        assert!(parse("ab", Comments::Skipped).value.fatal.is_some());
        assert!(parse("a", Comments::Skipped).value.fatal.is_none());
    }

    #[test]
    fn a_value_may_start_on_the_next_line_after_a_blank_but_keeps_the_newline_before_a_tab() {
        assert_eq!(read("A:\n no\n"), [[one("A", "no", 1)]]);
        assert_eq!(read("A:\n\tno\n"), [[one("A", "\n\tno", 1)]]);
        assert_eq!(read("A:\nB: 1\n"), [[one("A", "", 1), one("B", "1", 2)]]);
    }

    #[test]
    fn carriage_returns_are_tolerated() {
        assert_eq!(
            read("A: 1\r\nB: 2\r\n\r\nC: 3\r\n"),
            [vec![one("A", "1", 1), one("B", "2", 2)], vec![one("C", "3", 4)]]
        );
    }

    #[test]
    fn stray_text_after_a_carriage_return_at_the_end_continues_the_last_field() {
        assert_eq!(read("A: 1\n\rx\n"), [[one("A", "1\n\rx", 1)]]);
        assert!(parse("A: 1\n\rx\ny\n", Comments::Skipped).value.fatal.is_some());
    }

    #[test]
    fn leading_continuation_lines_are_dropped() {
        assert_eq!(read(" x\nA: 1\n"), [[one("A", "1", 2)]]);
    }

    #[test]
    fn without_comments_a_hash_is_text_and_an_empty_stanza_counts() {
        let parsed = parse("\n\n#A: 1\n", Comments::Text).value;
        assert_eq!(parsed.stanzas.len(), 2);
        assert_eq!(parsed.stanzas[1].text("#a"), "1");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn never_panics_and_lines_exist(text in "[ A:#\r\n\t]{0,40}|\\PC{0,20}") {
            let parsed = parse(&text, Comments::Skipped);
            let count = u32::try_from(text.split('\n').count()).unwrap();
            for stanza in parsed.value.stanzas {
                for field in stanza.fields {
                    prop_assert!(field.line >= 1 && field.line <= count);
                }
            }
        }

        #[test]
        fn ordinary_stanzas_come_back(stanzas in prop::collection::vec(prop::collection::vec(("[A-Z][a-z]{0,3}", "[a-z]{0,3}"), 1..4), 0..4)) {
            let mut text = String::new();
            for stanza in &stanzas {
                for (name, value) in stanza {
                    text.extend([name, ": ", value, "\n"]);
                }
                text.push('\n');
            }
            let seen: Vec<Vec<(String, String)>> = read(&text).into_iter()
                .map(|stanza| stanza.into_iter().map(|(name, value, _)| (name, value)).collect()).collect();
            prop_assert_eq!(seen, stanzas);
        }
    }
}
