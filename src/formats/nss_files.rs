//! Lines and fields of passwd, shadow and group, as the `files` service of NSS reads them.
//!
//! Follows glibc `nss/nss_files/files-parse.c` and `files-XXX.c`.

use super::numbered;

/// The lines that hold an entry: leading white space goes, empty lines and lines starting with `#` are skipped.
pub(super) fn entries(text: &str) -> impl Iterator<Item = (u32, &str)> {
    let bare = |(number, line): (u32, _)| (number, str::trim_start_matches(line, is_space));
    numbered(text).map(bare).filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// Whether a name belongs to the old NIS compatibility syntax (`+`, `-`, `+@netgroup`), which the `files`
/// service never finds.
pub(super) fn is_compat(name: &str) -> bool {
    name.starts_with(['+', '-'])
}

/// White space as `isspace` of the C locale sees it.
pub(super) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\u{b}' | '\u{c}' | '\r')
}

/// A user or group id. Like `strtoul` this takes white space and a sign in front, and numbers that do not fit
/// become the highest id; a field with anything else makes upstream drop the line.
pub(super) fn id(field: &str) -> Option<u32> {
    let (negative, digits) = signed(field)?;
    let magnitude = digits.parse().unwrap_or(u64::MAX);
    let overflow = digits.parse::<u64>().is_err();
    let value = if negative && !overflow { magnitude.wrapping_neg() } else { magnitude };
    Some(u32::try_from(value).unwrap_or(u32::MAX))
}

/// A number of days: empty and negative are unset (`Some(None)`), anything but a number drops the line.
#[expect(clippy::option_option, reason = "unset and unreadable differ")]
pub(super) fn days(field: &str) -> Option<Option<u32>> {
    if field.is_empty() {
        return Some(None);
    }
    // Upstream keeps the number in a signed integer of the same width.
    id(field).map(|value| (value <= i32::MAX.cast_unsigned()).then_some(value))
}

/// Sign and digits of a number that fills the field.
fn signed(field: &str) -> Option<(bool, &str)> {
    let field = field.trim_start_matches(is_space);
    let (negative, digits) = match field.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, field.strip_prefix('+').unwrap_or(field)),
    };
    let is_number = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit());
    is_number.then_some((negative, digits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_empty_lines_are_skipped_and_indentation_goes() {
        let lines: Vec<_> = entries("# c\n\n \t a:b \n  #d\nx").collect();
        assert_eq!(lines, [(3, "a:b "), (5, "x")]);
    }

    #[test]
    fn ids_take_a_sign_and_white_space_and_are_capped() {
        for zero in ["0", " 0", "+0", "-0", "000"] {
            assert_eq!(id(zero), Some(0), "{zero}");
        }
        assert_eq!(id("4294967296"), Some(u32::MAX));
        assert_eq!(id("-1"), Some(u32::MAX));
        assert_eq!(id("-18446744073709551615"), Some(1));
        assert_eq!(id("-99999999999999999999"), Some(u32::MAX));
        for bad in ["", "x", "0x", "1 ", "+", "- 1"] {
            assert_eq!(id(bad), None, "{bad}");
        }
    }

    #[test]
    fn empty_and_negative_days_are_unset() {
        assert_eq!(days(""), Some(None));
        assert_eq!(days("-1"), Some(None));
        assert_eq!(days("0"), Some(Some(0)));
        assert_eq!(days("99999"), Some(Some(99_999)));
        assert_eq!(days("4294967295"), Some(None));
        assert_eq!(days("x"), None);
        assert_eq!(days(" "), None);
    }
}
