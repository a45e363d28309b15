//! `/etc/shadow`: passwords and their age.
//!
//! Follows glibc `nss/nss_files/files-spwd.c`; the meaning of the fields follows shadow(5). A lookup by name
//! finds the first entry. No line is ever quoted.

use super::crypt_hash::PasswordField;
use super::nss_files::{days, entries, is_compat, is_space};
use super::{Issue, Parsed};

/// Everything shadow says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Shadow {
    /// Entries in file order; names may repeat.
    pub entries: Vec<ShadowEntry>,
    /// Lines of the NIS compatibility syntax (`+…`, `-…`). They have an effect only where nsswitch.conf names
    /// the service `compat`.
    pub compat_lines: Vec<u32>,
}

/// The password of one account. Days count from 1970-01-01; an unset number is `None`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShadowEntry {
    /// Login name.
    pub name: String,
    /// What the password field holds.
    pub password: PasswordField,
    /// Day of the last change; 0 asks for a new password at the next login, unset switches ageing off.
    pub last_change: Option<u32>,
    /// Fewest days between changes.
    pub min_days: Option<u32>,
    /// Days until the password must be changed; unset is never.
    pub max_days: Option<u32>,
    /// Days of warning before that.
    pub warn_days: Option<u32>,
    /// Days after that until the account is disabled; unset is never.
    pub inactive_days: Option<u32>,
    /// Day the account expires; unset is never.
    pub expires: Option<u32>,
    /// Line in the file, counted from 1.
    pub line: u32,
}

impl Shadow {
    /// The entry a lookup by name finds.
    pub fn by_name(&self, name: &str) -> Option<&ShadowEntry> {
        self.entries.iter().find(|entry| entry.name == name)
    }
}

/// Reads shadow.
pub fn parse(text: &str) -> Parsed<Shadow> {
    let mut parsed = Parsed::<Shadow>::default();
    for (number, line) in entries(text) {
        if is_compat(line) {
            parsed.value.compat_lines.push(number);
        } else if let Some(entry) = entry(number, line) {
            parsed.value.entries.push(entry);
        } else {
            parsed.issues.push(Issue::new(number, "entry with missing or invalid fields is ignored"));
        }
    }
    parsed
}

fn entry(line: u32, text: &str) -> Option<ShadowEntry> {
    let (name, rest) = text.split_once(':')?;
    let (password, mut rest) = rest.split_once(':')?;
    let mut entry = ShadowEntry {
        name: name.to_owned(),
        password: PasswordField::classify(password),
        last_change: number(&mut rest)?,
        min_days: number(&mut rest)?,
        max_days: number(&mut rest)?,
        warn_days: None,
        inactive_days: None,
        expires: None,
        line,
    };
    rest = rest.trim_start_matches(is_space);
    // The old form ends here. The new one has all three numbers and perhaps the reserved field.
    if !rest.is_empty() {
        entry.warn_days = number(&mut rest)?;
        entry.inactive_days = number(&mut rest)?;
        entry.expires = number(&mut rest)?;
        days(rest)?;
    }
    Some(entry)
}

/// Takes the next number off `rest`. Nothing, which drops the line, if the line has ended or the field is no
/// number.
#[expect(clippy::option_option, reason = "unset and unreadable differ")]
fn number(rest: &mut &str) -> Option<Option<u32>> {
    if rest.is_empty() {
        return None;
    }
    let (field, after) = rest.split_once(':').unwrap_or((rest, ""));
    *rest = after;
    days(field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::crypt_hash::HashScheme;
    use proptest::prelude::*;

    fn one(line: &str) -> ShadowEntry {
        let parsed = parse(line);
        assert_eq!(parsed.issues, []);
        parsed.value.entries.into_iter().next().unwrap()
    }

    #[test]
    fn an_entry_is_read_and_its_hash_is_not_kept() {
        let root = one("root:$y$j9T$CANARY$CANARY:20778:0:99999:7:14:30000:\n");
        assert_eq!(root.password, PasswordField::Hash { scheme: HashScheme::Yescrypt, rounds: None });
        assert_eq!((root.last_change, root.min_days, root.max_days), (Some(20_778), Some(0), Some(99_999)));
        assert_eq!((root.warn_days, root.inactive_days, root.expires), (Some(7), Some(14), Some(30_000)));
        assert!(!format!("{root:?}").contains("CANARY"));
    }

    #[test]
    fn empty_numbers_are_unset() {
        let entry = one("a:!*:20778::::::");
        assert_eq!(entry.password, PasswordField::Locked);
        assert_eq!((entry.max_days, entry.expires), (None, None));
        assert_eq!(one("a:*:0:-1:-1:7:::").last_change, Some(0));
        assert_eq!(one("a:*:0:-1:-1:7:::").max_days, None);
        assert_eq!(one("a:!*:20778:::::1:").expires, Some(1));
    }

    #[test]
    fn the_old_form_ends_after_the_greatest_age() {
        assert_eq!(one("a:*:1:2:3").max_days, Some(3));
        assert_eq!(one("a:*:1:2:3: ").max_days, Some(3));
        assert_eq!(one("a:*:1:2::").max_days, None);
        assert_eq!(one("a:*:1:2:3:4:5:6").expires, Some(6));
    }

    #[test]
    fn lines_with_missing_or_bad_fields_are_dropped_and_never_quoted() {
        let bad = "CANARY\na:CANARY\na:CANARY:\na:CANARY:1:2:\na:CANARY:1:2:3:4\na:CANARY:1:2:3:4:5:\n\
                   a:CANARY:x:2:3:4:5:6:\na:CANARY:1:2:3:4:5:6:7:8\n";
        let parsed = parse(bad);
        assert!(parsed.value.entries.is_empty());
        assert_eq!(parsed.issues.len(), 8);
        assert!(!format!("{parsed:?}").contains("CANARY"));
    }

    #[test]
    fn a_lookup_finds_the_first_entry() {
        let shadow = parse("root::1:0:99999:7:::\nroot:*:1:0:99999:7:::\n+::::::::\n").value;
        assert_eq!(shadow.by_name("root").map(|entry| entry.password), Some(PasswordField::Empty));
        assert_eq!(shadow.compat_lines, [3]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn every_line_is_an_entry_a_compat_line_or_an_issue(
            lines in prop::collection::vec("[a+:0-9x -]{0,16}", 0..20),
        ) {
            let parsed = parse(&lines.join("\n"));
            let counted = parsed.value.entries.len() + parsed.value.compat_lines.len() + parsed.issues.len();
            prop_assert_eq!(counted, lines.iter().filter(|line| !line.trim().is_empty()).count());
        }
    }
}
