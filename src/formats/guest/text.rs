//! The line patterns of guest files, as functions over text.

use crate::formats::perl::{is_blank, is_digits, is_space, trimmed};

/// `^([a-z][a-z_\-]*\d*):\s*(.+?)\s*$`: the name and the value of an option line.
///
/// A value of white space alone is its last character: the pattern wants one character and gives back one blank.
/// That is how `unprivileged: ` becomes a true value.
pub(super) fn option_line(line: &str, dash_in_name: bool) -> Option<(&str, &str)> {
    let (name, rest) = line.split_once(':')?;
    let letters = name.trim_end_matches(|each: char| each.is_ascii_digit());
    let is_letter = |each: char| each.is_ascii_lowercase() || each == '_' || (dash_in_name && each == '-');
    let starts_well = letters.starts_with(|first: char| first.is_ascii_lowercase());
    if !starts_well || !letters.chars().all(is_letter) || rest.is_empty() {
        return None;
    }
    if is_blank(rest) {
        let last = rest.char_indices().next_back().and_then(|(at, _)| rest.get(at..))?;
        return Some((name, last));
    }
    Some((name, trimmed(rest)))
}

/// `^name:\s*(.*\S)\s*$`: the value of one option, if it is not blank.
pub(super) fn named_line<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(name)?.strip_prefix(':')?;
    if is_blank(rest) { None } else { Some(trimmed(rest)) }
}

/// `^\[…\]\s*$` with no `]` inside: what stands in the brackets of a section header.
pub(super) fn bracketed(line: &str) -> Option<&str> {
    let inner = line.strip_prefix('[')?.trim_end_matches(is_space).strip_suffix(']')?;
    if inner.contains(']') { None } else { Some(inner) }
}

/// `[a-z][a-z0-9_\-]+` in any case: whether a section name is one of a snapshot.
pub(super) fn is_snapshot_name(name: &str) -> bool {
    crate::formats::verify::config_id(name)
}

/// `snapstate:\s*(prepare|delete)\s*$`, anywhere in a line: it takes the line away from whatever it looks like.
pub(super) fn is_snapstate_line(line: &str) -> bool {
    let line = line.trim_end_matches(is_space);
    let state = line.strip_suffix("prepare").or_else(|| line.strip_suffix("delete"));
    state.is_some_and(|rest| rest.trim_end_matches(is_space).ends_with("snapstate:"))
}

/// `name` taken apart into letters and index, if the index is written canonically (`net0`, not `net00`).
pub(super) fn indexed(name: &str) -> Option<(&str, u32)> {
    let letters = name.trim_end_matches(|each: char| each.is_ascii_digit());
    let digits = name.strip_prefix(letters)?;
    if !is_digits(digits) || (digits.len() > 1 && digits.starts_with('0')) {
        return None;
    }
    Some((letters, digits.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_line_has_a_lower_case_name_at_column_zero_and_a_colon() {
        assert_eq!(option_line("net0: a,b \r", true), Some(("net0", "a,b")));
        assert_eq!(option_line("cores:2", true), Some(("cores", "2")));
        assert_eq!(option_line("amd-sev: es", true), Some(("amd-sev", "es")));
        assert_eq!(option_line("amd-sev: es", false), None);
        for bad in [" net0: a", "Net0: a", "net0 : a", "net0:", "0net: a", "net0a: b", "net0"] {
            assert_eq!(option_line(bad, true), None, "{bad}");
        }
    }

    #[test]
    fn a_blank_value_is_its_last_character() {
        assert_eq!(option_line("args:  ", true), Some(("args", " ")));
        assert_eq!(option_line("args: \r", true), Some(("args", "\r")));
        assert_eq!(named_line("args: ", "args"), None);
    }

    #[test]
    fn section_headers_start_at_column_zero() {
        assert_eq!(bracketed("[PENDING] \r"), Some("PENDING"));
        assert_eq!(bracketed("[special:cloudinit]"), Some("special:cloudinit"));
        assert_eq!(bracketed("[]"), Some(""));
        for bad in [" [a]", "[a] b", "[a]]", "a]", "[a"] {
            assert_eq!(bracketed(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_snapstate_is_found_anywhere_in_a_line() {
        assert!(is_snapstate_line("snapstate: prepare"));
        assert!(is_snapstate_line("protection: 1 snapstate:delete \r"));
        assert!(!is_snapstate_line("snapstate: deleted"));
    }

    #[test]
    fn an_index_is_canonical() {
        assert_eq!(indexed("net0"), Some(("net", 0)));
        assert_eq!(indexed("mp255"), Some(("mp", 255)));
        assert_eq!(indexed("net00"), None);
        assert_eq!(indexed("net"), None);
        assert_eq!(indexed("net99999999999999"), None);
    }
}
