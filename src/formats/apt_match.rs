//! What a pin or `APT::Default-Release` says about an archive.
//!
//! Follows apt `apt-pkg/versionmatch.cc` (`pkgVersionMatch`, `ExpressionMatches`, `FileMatch`), the same in apt 2.2
//! to 3.0.

use regex::bytes::{Regex, RegexBuilder};

use super::apt_text;

/// An archive as its Release file describes it. Where a value is not told without the file, every value it may
/// have is listed: `stable` is called `oldstable` one day.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Archive {
    /// `Origin`.
    pub origin: String,
    /// `Label`.
    pub label: String,
    /// `Suite`, each name it may have.
    pub suites: Vec<String>,
    /// `Codename`.
    pub codename: String,
    /// `Version`, or its major number where the point release is not told.
    pub version: String,
    /// `Version` has a point release behind the major number, and it is not told.
    pub has_point_releases: bool,
    /// The component of its packages.
    pub component: String,
    /// The architecture of its packages; `None` where that may be any.
    pub architecture: Option<String>,
    /// The host it comes from, empty for local files.
    pub host: String,
    /// It is dpkg's status file, whose component is `now`: apt takes that for the suite as well.
    pub is_status_file: bool,
}

impl Archive {
    /// What apt takes dpkg's status file for. It is of no architecture.
    pub fn status_file() -> Self {
        Self {
            component: "now".to_owned(),
            architecture: Some(String::new()),
            is_status_file: true,
            ..Self::default()
        }
    }

    fn has_version(&self, pattern: &str) -> Option<bool> {
        let point = format!("{}.", self.version);
        Some(match pattern.strip_suffix('*') {
            Some(start) => {
                self.version.starts_with(start) || (self.has_point_releases && start.starts_with(&point))
            }
            None if self.has_point_releases => pattern.starts_with(&point),
            None => pattern == self.version || expression(pattern, &self.version)?,
        })
    }

    /// The names a pattern for the suite is compared with.
    fn suites(&self) -> &[String] {
        if self.is_status_file { std::slice::from_ref(&self.component) } else { &self.suites }
    }
}

/// The fields of a `release` pin: version, origin, suite, codename, label, component, architecture.
const FIELDS: &str = "voanlcb";

/// Whether the data of a `release` pin (or the value of `APT::Default-Release`) matches; `None` for a regular
/// expression that is not understood here.
pub fn release(data: &str, archive: &Archive) -> Option<bool> {
    let data = apt_text::trim(data);
    if data == "*" {
        return Some(true);
    }
    let any = |pattern: &str, texts: &[String]| {
        texts.iter().try_fold(false, |found, text| Some(found || expression(pattern, text)?))
    };
    if !data.contains('=') {
        if data.starts_with(|first: char| first.is_ascii_digit()) {
            return archive.has_version(data);
        }
        return Some(any(data, archive.suites())? || expression(data, &archive.codename)?);
    }
    let mut asked = false;
    for part in data.split(',').map(apt_text::trim) {
        // The field is one letter in any case; a part without a value does not count.
        let (Some(field), Some(pattern)) = (part.chars().next(), part.get(2..)) else { continue };
        if pattern.is_empty() || part.as_bytes().get(1) != Some(&b'=') {
            continue;
        }
        let field = field.to_ascii_lowercase();
        asked |= FIELDS.contains(field);
        let matches = match field {
            'v' => archive.has_version(pattern)?,
            'o' => expression(pattern, &archive.origin)?,
            'a' => any(pattern, archive.suites())?,
            'n' => expression(pattern, &archive.codename)?,
            'l' => expression(pattern, &archive.label)?,
            'c' => expression(pattern, &archive.component)?,
            'b' => match &archive.architecture {
                Some(architecture) => expression(pattern, architecture)?,
                None => true,
            },
            _ => true,
        };
        if !matches {
            return Some(false);
        }
    }
    // Asking for nothing apt knows matches no archive, but what is installed.
    Some(asked || archive.is_status_file)
}

/// Whether the data of a `release` pin names no field that apt knows: to apt 2.2 it matches nothing at all.
pub fn names_no_field(data: &str) -> bool {
    let is_known = |part: &str| {
        let part = apt_text::trim(part);
        let field = part.chars().next().map(|field| field.to_ascii_lowercase());
        field.is_some_and(|field| FIELDS.contains(field)) && part.get(1..2) == Some("=") && part.len() > 2
    };
    data.contains('=') && !data.split(',').any(is_known)
}

/// Whether the data of an `origin` pin (a host, in quotes if need be) matches.
pub fn origin(data: &str, archive: &Archive) -> Option<bool> {
    if archive.is_status_file {
        return Some(false);
    }
    let data = apt_text::trim(data);
    let host = data.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(data);
    expression(host, &archive.host)
}

/// A pattern as apt's `ExpressionMatches` reads it: a regular expression between slashes, else a shell pattern; case
/// does not count.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Reads a pattern; `None` for a regular expression that is not understood here.
    pub fn new(pattern: &str) -> Option<Self> {
        let between_slashes = pattern.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'));
        let regex = match between_slashes {
            Some(regex) => is_same_in_posix(regex).then(|| regex.to_owned())?,
            None => of_glob(pattern),
        };
        RegexBuilder::new(&regex).unicode(false).case_insensitive(true).build().ok().map(Self)
    }

    /// Whether `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text.as_bytes())
    }
}

/// Whether an extended regular expression of POSIX, as the GNU C library reads it, means the same here. Of letters and
/// digits behind a backslash only GNU's own do; `{,` and `(?` and operators on sets are something else.
fn is_same_in_posix(regex: &str) -> bool {
    let other = ["{,", "(?", "&&", "--", "~~"].iter().any(|other| regex.contains(other));
    let mut rest = regex.chars();
    while let Some(c) = rest.next() {
        let escaped = if c == '\\' { rest.next() } else { None };
        let differs = |c: char| c.is_ascii_alphanumeric() || matches!(c, '`' | '\'');
        if escaped.is_some_and(|escaped| differs(escaped) && !"wWsSbB".contains(escaped)) {
            return false;
        }
    }
    !other
}

/// Whether `text` matches a pattern; `None` for a regular expression that is not understood here.
pub fn expression(pattern: &str, text: &str) -> Option<bool> {
    Pattern::new(pattern).map(|pattern| pattern.matches(text))
}

/// The regular expression of a shell pattern. Sets in brackets are taken over: they mean the same but for `!`.
fn of_glob(pattern: &str) -> String {
    let mut regex = String::from("^");
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            '[' if rest.as_str().contains(']') => {
                regex.push('[');
                for c in rest.by_ref() {
                    match c {
                        '!' if regex.ends_with('[') => regex.push('^'),
                        '\\' | '[' | '&' | '~' => regex.extend(['\\', c]),
                        _ => regex.push(c),
                    }
                    if c == ']' {
                        break;
                    }
                }
            }
            '\\' => regex.push_str(&regex::escape(&rest.next().unwrap_or('\\').to_string())),
            c => regex.push_str(&regex::escape(&c.to_string())),
        }
    }
    regex.push('$');
    regex
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn main() -> Archive {
        Archive {
            origin: "Debian".to_owned(),
            label: "Debian".to_owned(),
            suites: vec!["stable".to_owned(), "oldstable".to_owned()],
            codename: "trixie".to_owned(),
            version: "13".to_owned(),
            has_point_releases: true,
            component: "main".to_owned(),
            host: "deb.debian.org".to_owned(),
            ..Archive::default()
        }
    }

    fn security() -> Archive {
        Archive {
            label: "Debian-Security".to_owned(),
            suites: vec!["stable-security".to_owned(), "oldstable-security".to_owned()],
            codename: "trixie-security".to_owned(),
            has_point_releases: false,
            host: "security.debian.org".to_owned(),
            ..main()
        }
    }

    /// Whether it matches the main and the security archive.
    fn both(data: &str) -> [Option<bool>; 2] {
        [release(data, &main()), release(data, &security())]
    }

    #[test]
    fn a_pin_may_name_no_field_apt_knows() {
        for (data, is) in [("suite=stable", true), ("s=stable", true), ("s=x, L=Debian", false), ("a=", true)]
        {
            assert_eq!(names_no_field(data), is, "{data}");
        }
        assert!(!names_no_field("stable"));
    }

    #[test]
    fn a_plain_name_is_a_suite_or_a_codename_and_not_its_security_suite() {
        for name in ["trixie", "stable", "TRIXIE", "trixi[e]", "tri?ie"] {
            assert_eq!(both(name), [Some(true), Some(false)], "{name}");
        }
        assert_eq!(both("trixie*"), [Some(true), Some(true)]);
        assert_eq!(both("forky"), [Some(false), Some(false)]);
        assert_eq!(both("*"), [Some(true), Some(true)]);
    }

    #[test]
    fn the_regular_expression_of_the_release_notes_matches_both() {
        assert_eq!(both("/^trixie(|-security|-updates)$/"), [Some(true), Some(true)]);
        assert_eq!(both("/^trixie$/"), [Some(true), Some(false)]);
        assert_eq!(both("/tri(/"), [None, None], "not understood");
    }

    #[test]
    fn fields_are_all_to_match() {
        assert_eq!(both("o=Debian"), [Some(true), Some(true)]);
        assert_eq!(both("o=Debian,l=Debian"), [Some(true), Some(false)]);
        assert_eq!(both("l=Debian-Security"), [Some(false), Some(true)]);
        assert_eq!(both("a=stable"), [Some(true), Some(false)]);
        assert_eq!(both("n=trixie*, c=main"), [Some(true), Some(true)]);
        assert_eq!(both("o=,x"), [Some(false), Some(false)], "nothing asked matches nothing");
    }

    #[test]
    fn a_number_is_a_version_and_point_releases_are_only_in_the_main_archive() {
        assert_eq!(both("13*"), [Some(true), Some(true)]);
        assert_eq!(both("13.*"), [Some(true), Some(false)]);
        assert_eq!(both("13"), [Some(false), Some(true)]);
        assert_eq!(both("v=13.7"), [Some(true), Some(false)]);
        assert_eq!(both("12*"), [Some(false), Some(false)]);
    }

    #[test]
    fn an_origin_is_a_host() {
        assert_eq!(origin("\"security.debian.org\"", &security()), Some(true));
        assert_eq!(origin("*.debian.org", &main()), Some(true));
        assert_eq!(origin("\"\"", &main()), Some(false));
    }

    #[test]
    fn the_suite_of_the_status_file_is_its_component() {
        let status = Archive::status_file();
        assert_eq!(["now", "a=now", "c=now"].map(|data| release(data, &status)), [Some(true); 3]);
        assert_eq!(["o=Debian", "n=now", "13"].map(|data| release(data, &status)), [Some(false); 3]);
        assert_eq!(origin("", &status), Some(false));
    }

    #[test]
    fn asking_for_no_field_of_apts_matches_nothing_but_what_is_installed() {
        let status = Archive::status_file();
        for data in ["suite=stable-security", "s=stable", "s=stable,x=y", "o=", "=", "o=,x"] {
            assert_eq!(both(data), [Some(false), Some(false)], "{data}");
            assert_eq!(release(data, &status), Some(true), "{data}");
        }
        assert_eq!(both("s=x,l=Debian"), [Some(true), Some(false)]);
    }

    #[test]
    fn regular_expressions_that_are_something_else_in_posix_are_not_understood() {
        for regex in ["openssl{,2}", "(o)\\1", "(?i)x", "\\d", "\\pL", "\\x41", "\\z", "\\`x", "[a&&b]"] {
            assert!(Pattern::new(&format!("/{regex}/")).is_none(), "{regex}");
        }
        for (regex, text) in
            [("\\<open", "openssl"), ("ssl\\>", "openssl"), ("^\\w+$", "openssl"), ("g\\+\\+", "g++")]
        {
            assert_eq!(expression(&format!("/{regex}/"), text), Some(true), "{regex}");
        }
    }

    #[test]
    fn a_version_that_is_told_is_compared_as_a_pattern() {
        let told = Archive { version: "13.7".to_owned(), has_point_releases: false, ..main() };
        for (data, matches) in [("13.7", true), ("13*", true), ("v=13.?", true), ("13", false)] {
            assert_eq!(release(data, &told), Some(matches), "{data}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn never_panics(data in "[a-c=,*?/\\[\\]!\\\\()|^$.0-9 ]{0,12}|\\PC{0,12}") {
            let _ = (release(&data, &main()), origin(&data, &main()), expression(&data, &data));
        }

        #[test]
        fn a_text_matches_itself(text in "[a-zA-Z0-9._-]{0,12}") {
            prop_assert_eq!(expression(&text, &text), Some(true));
        }
    }
}
