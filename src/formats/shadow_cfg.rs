//! `/etc/pve/priv/shadow.cfg`: passwords of the realm `pve`.
//!
//! Follows `parse_shadow_passwd` in pve-access-control `src/PVE/Auth/PVE.pm`. No line is ever quoted.

use std::collections::BTreeMap;

use super::crypt_hash::PasswordField;
use super::user_cfg::names::is_space;
use super::{Issue, Parsed, numbered};

/// The passwords by user name without realm.
pub type ShadowCfg = BTreeMap<String, PvePassword>;

/// One password of the realm `pve`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PvePassword {
    /// What the password field holds.
    pub password: PasswordField,
    /// Line of the (last) entry, counted from 1.
    pub line: u32,
}

/// Reads shadow.cfg. A second line for a name replaces the first.
pub fn parse(text: &str) -> Parsed<ShadowCfg> {
    let mut parsed = Parsed::<ShadowCfg>::default();
    for (number, line) in numbered(text) {
        let line = line.trim_matches(is_space);
        if line.is_empty() {
            continue;
        }
        let Some((name, password)) = entry(line) else {
            parsed.issues.push(Issue::new(number, "line is not of the form name:hash: and is ignored"));
            continue;
        };
        let entry = PvePassword { password: PasswordField::classify(password), line: number };
        if parsed.value.insert(name.to_owned(), entry).is_some() {
            parsed.issues.push(Issue::new(number, "second line for the same user: it replaces the first"));
        }
    }
    parsed
}

/// Name and hash of a line that fits `^\S+:\S+:$`; as `\S` includes the colon, more fields may follow.
fn entry(line: &str) -> Option<(&str, &str)> {
    if line.contains(is_space) {
        return None;
    }
    let body = line.strip_suffix(':')?;
    let mut inner = body.char_indices().skip(1).filter(|(_, c)| *c == ':');
    let fits = inner.any(|(at, _)| at.saturating_add(1) < body.len());
    let mut fields = body.split(':');
    fits.then_some((fields.next()?, fields.next()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::crypt_hash::HashScheme;
    use proptest::prelude::*;

    #[test]
    fn a_written_file_is_read_without_its_hashes() {
        let parsed = parse("alice:$5$CANARY$CANARY:\n  bob:$6$CANARY$CANARY:\r\n\n");
        assert_eq!(parsed.issues, []);
        let scheme = |name: &str| match parsed.value[name].password {
            PasswordField::Hash { scheme, .. } => Some(scheme),
            _ => None,
        };
        assert_eq!(scheme("alice"), Some(HashScheme::Sha256Crypt));
        assert_eq!(scheme("bob"), Some(HashScheme::Sha512Crypt));
        assert_eq!(parsed.value["bob"].line, 2);
        assert!(!format!("{parsed:?}").contains("CANARY"));
    }

    #[test]
    fn other_lines_are_ignored_and_never_quoted() {
        let parsed = parse("a:CANARY\n:CANARY:\na::\n# CANARY\nCANARY\na b:CANARY:\na:CANARY: x\n");
        assert!(parsed.value.is_empty());
        assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
        assert!(!format!("{parsed:?}").contains("CANARY"));
    }

    #[test]
    fn surplus_fields_are_ignored() {
        let parsed = parse("a:*:b:c:\nb::c:\n:x:y:\n");
        assert_eq!(parsed.issues, []);
        assert_eq!(parsed.value["a"].password, PasswordField::NoLogin);
        assert_eq!(parsed.value["b"].password, PasswordField::Empty);
        assert!(parsed.value.contains_key(""));
    }

    #[test]
    fn the_last_line_of_a_user_wins() {
        let parsed = parse("a:*:\na:!:\n");
        assert_eq!(parsed.value["a"], PvePassword { password: PasswordField::Locked, line: 2 });
        assert_eq!(parsed.issues.len(), 1);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn agrees_with_the_pattern_of_upstream(lines in prop::collection::vec("[ab:é ]{0,7}", 0..20)) {
            let pattern = regex::Regex::new(r"^\S+:\S+:$").unwrap();
            let parsed = parse(&lines.join("\n"));
            let bad: Vec<_> = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty())
                .filter(|line| !pattern.is_match(line)).collect();
            let ignored = parsed.issues.iter().filter(|issue| issue.what.contains("form")).count();
            prop_assert_eq!(ignored, bad.len());
        }
    }
}
