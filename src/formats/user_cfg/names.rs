//! Names in user.cfg: user ids, token ids, groups, roles, pools, storages.
//!
//! Follows `verify_username` and the patterns in pve-access-control `src/PVE/Auth/Plugin.pm`, and
//! `split_tokenid`, `verify_groupname`, `verify_rolename` and `verify_poolname` in
//! `src/PVE/AccessControl.pm`. Lengths are counted in bytes, as upstream does.

use crate::formats::bytes;
use crate::formats::release::Release;

/// The user that always exists and to whom no ACL applies.
pub const ROOT: &str = "root@pam";

/// Fewest bytes of a user id.
const USER_ID_MIN: usize = 3;
/// Most bytes of a user id.
const USER_ID_MAX: usize = 64;
/// Most parts of a nested pool name, from release 8 (8.0.7) on.
const POOL_LEVELS: usize = 3;

/// White space as Perl's `\s` sees it in a byte string.
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r')
}

/// The user and the realm of a user id (`name@realm`, the last `@` counts), or nothing if it is not valid.
pub fn split_user_id(id: &str) -> Option<(&str, &str)> {
    if !(USER_ID_MIN..=USER_ID_MAX).contains(&bytes::length(id)) {
        return None;
    }
    split_name_and_realm(id)
}

/// Whether this is a valid user id.
pub fn is_user_id(id: &str) -> bool {
    split_user_id(id).is_some()
}

/// The user id and the token name of a token id (`name@realm!token`), or nothing if it is not valid.
pub fn split_token_id(id: &str) -> Option<(&str, &str)> {
    let (user, token) = id.rsplit_once('!')?;
    // The limits on the length of a user id do not apply here.
    split_name_and_realm(user)?;
    is_realm(token).then_some((user, token))
}

/// Whether this is a valid token id.
pub fn is_token_id(id: &str) -> bool {
    split_token_id(id).is_some()
}

fn split_name_and_realm(id: &str) -> Option<(&str, &str)> {
    let (name, realm) = id.rsplit_once('@')?;
    let legal = !name.is_empty() && !name.contains(|c| is_space(c) || c == ':' || c == '/');
    (legal && is_realm(realm)).then_some((name, realm))
}

/// Whether this is a valid realm or token name: a letter and at least one more character.
pub fn is_realm(name: &str) -> bool {
    name.len() >= 2 && name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(is_word)
}

/// Whether this is a valid group or role name, or one part of a pool name.
///
/// The name `0` fits upstream's pattern, but the check then returns a value that is false in Perl.
pub fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name != "0" && name.chars().all(is_word)
}

/// Whether this is a valid pool name. Before release 8 pools do not nest.
pub fn is_pool_name(name: &str, release: Release) -> bool {
    if release < Release::Pve8 {
        return is_plain_name(name);
    }
    let part = |part: &str| !part.is_empty() && part.chars().all(is_word);
    name != "0" && name.split('/').all(part) && name.split('/').count() <= POOL_LEVELS
}

/// Whether a pool may list a storage of this name.
pub fn is_storage_id(name: &str) -> bool {
    name.len() >= 2
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.ends_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(is_word)
}

/// The characters of names: letters, digits, `.`, `-` and `_`.
pub(crate) fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_at_sign_starts_the_realm() {
        assert_eq!(split_user_id("a@b.example@sso"), Some(("a@b.example", "sso")));
        assert_eq!(split_user_id("@joe@pve"), Some(("@joe", "pve")));
        assert_eq!(split_user_id("we!rd@pve"), Some(("we!rd", "pve")));
    }

    #[test]
    fn a_realm_has_at_least_two_characters_and_starts_with_a_letter() {
        assert!(is_user_id("a@bc"));
        assert!(!is_user_id("joe@b"));
        assert!(!is_user_id("joe@1b"));
        assert!(!is_user_id("joe@b!"));
        assert!(!is_user_id("joe"));
        assert!(!is_user_id("@pve"));
    }

    #[test]
    fn a_user_id_has_at_most_64_bytes() {
        assert!(is_user_id(&format!("{}@pve", "a".repeat(60))));
        assert!(!is_user_id(&format!("{}@pve", "a".repeat(61))));
        assert!(!is_user_id(&format!("{}@pve", "ä".repeat(31))));
    }

    #[test]
    fn a_byte_that_is_no_utf_8_counts_once_in_a_user_id() {
        let id = |name: &[u8]| bytes::text(&[name, b"@pve"].concat()).into_owned();
        assert!(is_user_id(&id(&[0xe4; 60])));
        assert!(!is_user_id(&id(&[0xe4; 61])));
    }

    #[test]
    fn a_user_name_has_no_white_space_colon_or_slash() {
        assert!(!is_user_id("a b@pve"));
        assert!(!is_user_id("a:b@pve"));
        assert!(!is_user_id("a/b@pve"));
        assert!(is_user_id("ä\u{a0}b@pve"));
    }

    #[test]
    fn a_token_id_is_never_also_a_user_id() {
        assert_eq!(split_token_id("joe@pve!ci"), Some(("joe@pve", "ci")));
        assert!(!is_user_id("joe@pve!ci"));
        assert_eq!(split_token_id("a@bb!cc@dd!ee"), Some(("a@bb!cc@dd", "ee")));
        assert!(!is_token_id("joe@pve!c"));
        assert!(!is_token_id("joe!ci"));
        assert!(is_user_id("joe@pve!ci@sso") && !is_token_id("joe@pve!ci@sso"));
    }

    #[test]
    fn a_group_or_role_called_0_is_refused() {
        assert!(!is_plain_name("0"));
        assert!(is_plain_name("00"));
        assert!(is_plain_name("a.b-c_d"));
        assert!(!is_plain_name("a/b"));
        assert!(!is_plain_name(""));
    }

    #[test]
    fn pools_nest_up_to_three_levels_from_release_8() {
        assert!(!is_pool_name("a/b", Release::Pve7));
        assert!(is_pool_name("a/b", Release::Pve8));
        assert!(is_pool_name("a/b/c", Release::Pve9));
        assert!(is_pool_name("a/0", Release::Pve9));
        for bad in ["a/b/c/d", "a//b", "/a", "a/", "", "0", "a b"] {
            assert!(!is_pool_name(bad, Release::Pve9), "{bad}");
        }
    }

    #[test]
    fn a_storage_id_ends_alphanumeric_and_has_two_characters() {
        assert!(is_storage_id("local-zfs"));
        assert!(!is_storage_id("a"));
        assert!(!is_storage_id("a-"));
        assert!(!is_storage_id("1a"));
    }
}
