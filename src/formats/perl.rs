//! The few meanings of Perl that Proxmox VE's parsers lean on, shared by their imitations here.
//!
//! Configuration files reach upstream's regular expressions as bytes, so `\s`, `\d` and `\w` are ASCII only.

/// What `\s` matches in a byte string.
pub(crate) fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// `text` without leading and trailing `\s`.
pub(crate) fn trimmed(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Whether `text` is empty or all `\s`.
pub(crate) fn is_blank(text: &str) -> bool {
    text.chars().all(is_space)
}

/// Whether Perl takes a defined string for true: everything but the empty string and `0`.
pub(crate) fn is_true(text: &str) -> bool {
    !matches!(text, "" | "0")
}

/// Whether `text` is one or more ASCII digits (`^\d+$`).
pub(crate) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// What `\w` matches in a byte string.
pub(crate) fn is_word(character: char) -> bool {
    character.is_ascii_alphanumeric() || character == '_'
}

/// A list as `PVE::ParseUtils::split_list` splits it: at NUL if there is one, else at commas, semicolons and
/// white space.
pub(crate) fn split_list(text: &str) -> Vec<&str> {
    if text.contains('\0') {
        return text.split('\0').filter(|item| !item.is_empty()).collect();
    }
    let separates = |character: char| is_space(character) || matches!(character, ',' | ';');
    text.split(separates).filter(|item| !item.is_empty()).collect()
}

/// A boolean word as `PVE::JSONSchema::parse_boolean` reads it: 1, on, yes, true and 0, off, no, false in any case.
pub(crate) fn boolean_word(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "on" | "yes" | "true" => Some(true),
        "0" | "off" | "no" | "false" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_is_ascii_only() {
        assert_eq!(trimmed(" \t\r\x0b\x0ca\u{a0} "), "a\u{a0}");
        assert!(is_blank(" \r") && !is_blank("\u{a0}"));
    }

    #[test]
    fn only_the_empty_string_and_zero_are_false() {
        assert!(!is_true("") && !is_true("0"));
        assert!(is_true("00") && is_true(" ") && is_true("maybe"));
    }

    #[test]
    fn lists_split_at_commas_semicolons_and_blanks_but_at_nul_alone_when_there_is_one() {
        assert_eq!(split_list(" a,b;c  d,,"), ["a", "b", "c", "d"]);
        assert_eq!(split_list("a,b\0c"), ["a,b", "c"]);
    }

    #[test]
    fn boolean_words_ignore_case() {
        assert_eq!(boolean_word("Yes"), Some(true));
        assert_eq!(boolean_word("OFF"), Some(false));
        assert_eq!(boolean_word("maybe"), None);
    }
}
