//! Files of `EnvironmentFile=` such as `/etc/default/ssh`, as systemd reads them.
//!
//! Follows systemd `src/basic/env-file.c` (`parse_env_file_internal`): `#` and `;` start comments, quotes may
//! span lines, a backslash joins lines, the last assignment of a name counts. Values may be secrets, so only the
//! variable that is asked for is kept.

use super::{Issue, Located, Parsed};

/// Where the reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    BeforeKey,
    Key,
    BeforeValue,
    Value,
    Escaped,
    SingleQuoted,
    DoubleQuoted,
    EscapedInQuotes,
    Comment,
    EscapedInComment,
}

/// The last assignment of the variable `name` in `text`.
pub fn variable(text: &str, name: &str) -> Parsed<Option<Located<String>>> {
    let mut reader = Reader {
        name,
        state: State::BeforeKey,
        line: 1,
        start: 1,
        parsed: Parsed::default(),
        ..Reader::default()
    };
    for c in text.chars() {
        reader.take(c);
        reader.line += u32::from(c == '\n');
    }
    reader.end();
    reader.parsed
}

struct Reader<'n> {
    name: &'n str,
    state: State,
    line: u32,
    /// Line of the assignment at hand.
    start: u32,
    key: String,
    value: String,
    /// How much of the value is kept when blanks at its end are dropped.
    kept: usize,
    parsed: Parsed<Option<Located<String>>>,
}

impl Default for Reader<'_> {
    fn default() -> Self {
        Self {
            name: "",
            state: State::BeforeKey,
            line: 1,
            start: 1,
            key: String::new(),
            value: String::new(),
            kept: 0,
            parsed: Parsed::default(),
        }
    }
}

impl Reader<'_> {
    fn take(&mut self, c: char) {
        let newline = matches!(c, '\n' | '\r');
        let blank = newline || matches!(c, ' ' | '\t');
        match self.state {
            State::BeforeKey if matches!(c, '#' | ';') => self.state = State::Comment,
            State::BeforeKey if blank => {}
            State::BeforeKey => {
                self.start = self.line;
                self.key.push(c);
                self.state = if c == '=' { State::BeforeValue } else { State::Key };
            }
            State::Key if newline => self.drop_key(),
            State::Key if c == '=' => self.state = State::BeforeValue,
            State::Key => self.key.push(c),
            State::BeforeValue | State::Value if newline => self.assign(),
            State::BeforeValue if c == '\'' => self.state = State::SingleQuoted,
            State::BeforeValue if c == '"' => self.state = State::DoubleQuoted,
            State::BeforeValue | State::Value if c == '\\' => self.state = State::Escaped,
            State::BeforeValue if blank => {}
            State::BeforeValue => {
                self.state = State::Value;
                self.push(c);
            }
            State::Value if blank => self.value.push(c),
            State::Value => self.push(c),
            State::Escaped => {
                self.state = State::Value;
                if !newline {
                    self.push(c);
                }
            }
            State::SingleQuoted if c == '\'' => self.state = State::BeforeValue,
            State::DoubleQuoted if c == '"' => self.state = State::BeforeValue,
            State::DoubleQuoted if c == '\\' => self.state = State::EscapedInQuotes,
            State::SingleQuoted | State::DoubleQuoted => self.push(c),
            State::EscapedInQuotes => {
                self.state = State::DoubleQuoted;
                if !matches!(c, '"' | '\\' | '`' | '$' | '\n') {
                    self.push('\\');
                }
                if c != '\n' {
                    self.push(c);
                }
            }
            State::Comment if c == '\\' => self.state = State::EscapedInComment,
            State::Comment if newline => self.state = State::BeforeKey,
            State::Comment => {}
            State::EscapedInComment => self.state = State::Comment,
        }
    }

    fn push(&mut self, c: char) {
        self.value.push(c);
        self.kept = self.value.len();
    }

    fn drop_key(&mut self) {
        self.parsed.issues.push(Issue::new(self.start, "a line without `=`: systemd ignores it"));
        self.key.clear();
        self.state = State::BeforeKey;
    }

    fn assign(&mut self) {
        self.value.truncate(self.kept);
        if self.key.trim_end() == self.name {
            self.parsed.value = Some(Located::new(std::mem::take(&mut self.value), self.start));
        }
        self.key.clear();
        self.value.clear();
        self.kept = 0;
        self.state = State::BeforeKey;
    }

    fn end(&mut self) {
        match self.state {
            State::Key => self.drop_key(),
            State::BeforeKey | State::Comment | State::EscapedInComment => {}
            State::SingleQuoted | State::DoubleQuoted | State::EscapedInQuotes => {
                self.parsed
                    .issues
                    .push(Issue::new(self.start, "a quote is not closed: the file may have been cut short"));
                self.assign();
            }
            State::BeforeValue | State::Value | State::Escaped => self.assign(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn value(text: &str) -> Option<String> {
        variable(text, "A").value.map(|located| located.value)
    }

    #[test]
    fn values_are_read_as_systemd_does() {
        for (text, expected) in [
            ("A=x y  \n", "x y"),
            ("A=\"x y \"\n", "x y "),
            ("A='a\\b'\"c\\\"d\\e\" f\n", "a\\bc\"d\\ef"),
            ("A=a\\\nb\n", "ab"),
            ("A=\"a\nb\"\n", "a\nb"),
            (" A = x # y\n", "x # y"),
            ("A=\n", ""),
            ("A=1\nA=2\nB=3", "2"),
            ("A=a\"b\"", "a\"b\""),
        ] {
            assert_eq!(value(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(value("#A=x\n;A=y\n# joined \\\nA=z\nexport A=x\n"), None);
    }

    #[test]
    fn the_line_of_the_assignment_is_told() {
        assert_eq!(variable("# c\n\nA=\"x\ny\"\nB=1\n", "A").value.map(|located| located.line), Some(3));
    }

    #[test]
    fn a_line_without_equals_and_an_open_quote_are_issues() {
        let parsed = variable("nonsense\nA=\"x\n", "A");
        assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [1, 2]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn never_panics_on_any_text(text in "[A=\"'\\\\#; \n\ra-c\0ä]{0,60}") {
            let _ = value(&text);
        }

        #[test]
        fn a_plain_value_is_itself(plain in "[a-z]{1,5}( [a-z]{1,5}){0,3}") {
            for text in [format!("A={plain}\n"), format!("A='{plain}'"), format!("A=\"{plain}\"\n")] {
                prop_assert_eq!(value(&text), Some(plain.clone()));
            }
        }
    }
}
