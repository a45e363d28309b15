//! `/etc/os-release` (or `/usr/lib/os-release`): which Debian release this is.
//!
//! Follows os-release(5): `NAME=value` lines with shell quoting, no expansion; the last assignment counts.

use super::{Issue, Parsed, numbered};

/// The fields that identify the release; empty when unset.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OsRelease {
    /// `ID`: `debian`.
    pub id: String,
    /// `VERSION_ID`: `12`.
    pub version_id: String,
    /// `VERSION_CODENAME`: `bookworm`.
    pub version_codename: String,
    /// `PRETTY_NAME`, for people.
    pub pretty_name: String,
}

/// Reads the file.
pub fn parse(text: &str) -> Parsed<OsRelease> {
    let mut parsed = Parsed::<OsRelease>::default();
    for (number, line) in numbered(text) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let Some((name, value)) = line.split_once('=') else {
            parsed.issues.push(Issue::new(number, "a line without `=`: it is ignored"));
            continue;
        };
        let release = &mut parsed.value;
        let slot = match name {
            "ID" => &mut release.id,
            "VERSION_ID" => &mut release.version_id,
            "VERSION_CODENAME" => &mut release.version_codename,
            "PRETTY_NAME" => &mut release.pretty_name,
            _ => continue,
        };
        match unquoted(value) {
            Some(value) => *slot = value,
            None => parsed
                .issues
                .push(Issue::new(number, format!("the value of {name} has an open quote: it is ignored"))),
        }
    }
    parsed
}

/// The value a shell would assign; `None` with an open quote or a lone backslash at the end.
fn unquoted(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (None, '\'' | '"') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            (None, '\\') => plain.push(chars.next()?),
            (Some('"'), '\\') => {
                let next = chars.next()?;
                if !matches!(next, '"' | '\\' | '$' | '`') {
                    plain.push('\\');
                }
                plain.push(next);
            }
            (None, c) if c.is_whitespace() => break,
            _ => plain.push(c),
        }
    }
    quote.is_none().then_some(plain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn debian_is_read() {
        let text = "PRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nVERSION_ID=\"13\"\nVERSION_CODENAME=trixie\nID=debian\nHOME_URL=\"https://www.debian.org/\"\n";
        let parsed = parse(text);
        assert!(parsed.issues.is_empty());
        let release = parsed.value;
        assert_eq!(
            (release.id.as_str(), release.version_id.as_str(), release.version_codename.as_str()),
            ("debian", "13", "trixie")
        );
        assert_eq!(release.pretty_name, "Debian GNU/Linux 13 (trixie)");
    }

    #[test]
    fn quoting_is_the_shells() {
        for (text, value) in [
            ("a", "a"),
            ("'a b'", "a b"),
            ("\"a\\\"b\\c\"", "a\"b\\c"),
            ("a\\ b", "a b"),
            ("'a'\"b\"c", "abc"),
            ("a b", "a"),
            ("", ""),
        ] {
            assert_eq!(unquoted(text).as_deref(), Some(value), "{text}");
        }
        assert_eq!(unquoted("'a"), None);
        assert_eq!(unquoted("a\\"), None);
    }

    #[test]
    fn the_last_assignment_counts_and_odd_lines_are_issues() {
        let parsed = parse("ID=a\nID=b\n# c\nnonsense\nVERSION_ID=\"1\n");
        assert_eq!(parsed.value.id, "b");
        assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [4, 5]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn plain_words_come_back(word in "[a-z0-9._-]{0,8}") {
            for text in [format!("ID={word}"), format!("ID=\"{word}\""), format!("ID='{word}'\r\n")] {
                prop_assert_eq!(&parse(&text).value.id, &word);
            }
        }

        #[test]
        fn never_panics(text in "(ID=|['\"\\\\ \na=]){0,20}|\\PC{0,20}") {
            let _ = parse(&text);
        }
    }
}
