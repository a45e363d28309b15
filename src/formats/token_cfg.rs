//! `/etc/pve/priv/token.cfg`: the secrets of API tokens, in clear text.
//!
//! Follows `PVE::TokenConfig` in pve-access-control `src/PVE/TokenConfig.pm`. Only which tokens have a secret
//! is kept; no line is ever quoted.

use std::collections::BTreeMap;

use super::user_cfg::names::{is_space, is_token_id};
use super::{Issue, Parsed, numbered};

/// The token ids (`user@realm!token`) that have a secret, each with the line of its (last) entry. A token of
/// user.cfg without a secret here cannot be used, nor can a secret without a token.
pub type TokenCfg = BTreeMap<String, u32>;

/// Reads token.cfg.
pub fn parse(text: &str) -> Parsed<TokenCfg> {
    let mut parsed = Parsed::<TokenCfg>::default();
    for (number, line) in numbered(text) {
        if line.chars().all(is_space) {
            continue;
        }
        match entry(line) {
            Some(id) => {
                parsed.value.insert(id.to_owned(), number);
            }
            None => parsed.issues.push(Issue::new(number, "line is no token id and secret and is ignored")),
        }
    }
    parsed
}

/// The token id of a line: id and secret, one space between them, no other white space at all.
fn entry(line: &str) -> Option<&str> {
    let (id, secret) = line.split_once(' ')?;
    let one_word = !secret.is_empty() && !secret.contains(is_space);
    (one_word && is_token_id(id)).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_ids_are_kept_and_the_secrets_are_not() {
        let parsed = parse("a@pve!one CANARY-1\n \nroot@pam!two CANARY-2\na@pve!one CANARY-3\n");
        assert_eq!(parsed.issues, []);
        assert_eq!(
            parsed.value,
            TokenCfg::from([("a@pve!one".to_owned(), 4), ("root@pam!two".to_owned(), 3)])
        );
        assert!(!format!("{parsed:?}").contains("CANARY"));
    }

    #[test]
    fn other_lines_are_ignored_and_never_quoted() {
        let parsed = parse(
            "CANARY\na@pve CANARY\na@pve!one  CANARY\n a@pve!one CANARY\na@pve!one CANARY \na@pve!one CANARY\r\na@pve!one\tCANARY\n",
        );
        assert!(parsed.value.is_empty());
        assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
        assert!(!format!("{parsed:?}").contains("CANARY"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn agrees_with_the_pattern_of_upstream(lines in prop::collection::vec("(a@pve!tt|[a! ]{0,3})[ \tx]{0,4}", 0..20)) {
            let pattern = regex::Regex::new(r"^(\S+) (\S+)$").unwrap();
            let parsed = parse(&lines.join("\n"));
            for (number, line) in (1_u32..).zip(&lines) {
                let good = pattern.captures(line).is_some_and(|found| is_token_id(&found[1]));
                let ignored = parsed.issues.iter().any(|issue| issue.line == number);
                prop_assert_eq!(ignored, !good && !line.trim().is_empty());
            }
        }
    }
}
