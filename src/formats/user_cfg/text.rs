//! Pieces of a line: fields, Perl truth, lists, encoded text.
//!
//! Follows `split_list` and `decode_text` in pve-common `src/PVE/ParseUtils.pm`.

use std::borrow::Cow;

use super::names::is_space;
use crate::formats::{bytes, percent};

/// White space of Latin-1 beyond ASCII, which Perl sees where it applies the rules of Unicode.
const NEXT_LINE: u8 = 0x85;
const NO_BREAK_SPACE: u8 = 0xa0;

/// The fields of a line after its type, trimmed. A field past the end reads as empty, which upstream treats
/// alike everywhere.
pub(super) struct Fields<'a>(Vec<&'a str>);

impl<'a> Fields<'a> {
    /// The type and the fields of a trimmed line.
    pub(super) fn split(line: &'a str) -> (&'a str, Self) {
        let mut parts = line.split(':').map(trim);
        (parts.next().unwrap_or(""), Self(parts.collect()))
    }

    /// Field `number`, counted from 1.
    pub(super) fn get(&self, number: usize) -> &'a str {
        number.checked_sub(1).and_then(|index| self.0.get(index)).copied().unwrap_or("")
    }

    /// Field `number` as encoded text; empty and `0` are unset.
    pub(super) fn text(&self, number: usize) -> Option<String> {
        let field = self.get(number);
        is_true(field).then(|| decode(field))
    }

    /// Whether anything stands after field `last`.
    pub(super) fn any_after(&self, last: usize) -> bool {
        self.0.iter().skip(last).any(|field| !field.is_empty())
    }
}

/// `text` without white space at both ends.
pub(super) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Perl truth: only an empty field and `0` are false; `00`, `no` and `false` are true.
pub(super) fn is_true(field: &str) -> bool {
    !matches!(field, "" | "0")
}

/// A number of seconds or an id: digits only. Nothing for anything else; saturates.
pub(super) fn digits(field: &str) -> Option<u64> {
    if field.is_empty() || !field.chars().all(|c| c.is_ascii_digit()) {
        return None;
    }
    Some(field.parse().unwrap_or(u64::MAX))
}

/// The items of a list: separated by `,`, `;` and white space in any mix, or by NUL alone if there is one.
pub(super) fn list(field: &str) -> Vec<Cow<'_, str>> {
    if field.contains('\0') {
        return field.trim_end_matches('\0').split('\0').map(Cow::Borrowed).collect();
    }
    let items = field.split(|c| is_space(c) || c == ',' || c == ';').filter(|item| !item.is_empty());
    items.map(Cow::Borrowed).collect()
}

/// The items of a list as pve-common from 9.1.17 on splits it, see [`has_new_white_space`].
pub(super) fn list_with_new_white_space(field: &str) -> Vec<Cow<'_, str>> {
    if !has_new_white_space(field) {
        return list(field);
    }
    let raw = bytes::of(field);
    let is_separator =
        |byte: &u8| matches!(*byte, NEXT_LINE | NO_BREAK_SPACE | b',' | b';') || is_space(char::from(*byte));
    let items = raw.split(is_separator).filter(|item| !item.is_empty());
    items.map(|item| Cow::Owned(bytes::text(item).into_owned())).collect()
}

/// Whether pve-common from 9.1.17 on splits a list at a byte inside a character of this field: there the
/// bytes 0x85 and 0xA0 count as white space, also in the middle of a UTF-8 character.
pub(super) fn has_new_white_space(field: &str) -> bool {
    !field.is_ascii()
        && !field.contains('\0')
        && bytes::of(field).iter().any(|byte| matches!(*byte, NEXT_LINE | NO_BREAK_SPACE))
}

/// Percent-decoded, then read as UTF-8; bad bytes become U+FFFD.
fn decode(field: &str) -> String {
    String::from_utf8_lossy(&percent::decode_bytes(&bytes::of(field))).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_percent_decoded_and_read_as_utf_8() {
        assert_eq!(decode("M%C3%BCller%3A %25"), "Müller: %");
        assert_eq!(decode("ä%c3%a4"), "ää");
        assert_eq!(decode("100% %4 %zz %"), "100% %4 %zz %");
        assert_eq!(decode("%ff"), "\u{fffd}");
        assert_eq!(decode("%2541"), "%41");
    }

    #[test]
    fn only_empty_and_0_are_false() {
        assert!(!is_true("") && !is_true("0"));
        for text in ["00", "0.0", "no", "false", "-1", "1"] {
            assert!(is_true(text), "{text}");
        }
    }

    #[test]
    fn list_separators_mix() {
        assert_eq!(list(",; a,b;;c \t d,"), ["a", "b", "c", "d"]);
        assert!(list("").is_empty());
    }

    #[test]
    fn nul_is_the_only_separator_where_it_occurs() {
        assert_eq!(list("a,b\0c d\0\0"), ["a,b", "c d"]);
        assert_eq!(list("\0a"), ["", "a"]);
    }

    #[test]
    fn the_new_white_space_hides_inside_letters() {
        assert!(has_new_white_space("à@pve"));
        assert!(has_new_white_space("Å@pve"));
        assert!(!has_new_white_space("ä@pve"));
    }

    #[test]
    fn the_new_white_space_splits_letters_into_bytes() {
        let split = |text: &str| list_with_new_white_space(text).join("|");
        assert_eq!(split("a,b c"), "a|b|c");
        assert_eq!(split("ä@pve"), "ä@pve");
        // à is 0xc3 0xa0: what is left in front is no UTF-8 any more.
        assert_eq!(split("à@pve"), format!("{}|@pve", bytes::text(b"\xc3")));
        assert_eq!(split("joe\u{a0}@admins"), format!("joe{}|@admins", bytes::text(b"\xc2")));
        assert_eq!(split(&bytes::text(b"a\x85b\xa0c")), "a|b|c");
        assert_eq!(split("à\0b"), "à|b");
    }

    #[test]
    fn free_text_that_is_no_utf_8_gets_replacement_characters() {
        assert_eq!(decode(&bytes::text(b"caf\xe9 %C3%A9")), "caf\u{fffd} é");
        // Half a character as it stands and half encoded make one.
        assert_eq!(decode(&bytes::text(b"\xc3%A9")), "é");
    }

    #[test]
    fn fields_are_trimmed_and_missing_ones_are_empty() {
        let (kind, fields) = Fields::split("user : a@pve : 1");
        assert_eq!((kind, fields.get(1), fields.get(2), fields.get(3)), ("user", "a@pve", "1", ""));
        assert!(!fields.any_after(2));
        assert!(fields.any_after(1));
    }

    #[test]
    fn numbers_are_digits_only() {
        assert_eq!(digits("0101"), Some(101));
        assert_eq!(digits("99999999999999999999999"), Some(u64::MAX));
        for bad in ["", "-1", "+1", "1.0", "1e3", "٣"] {
            assert_eq!(digits(bad), None, "{bad}");
        }
    }
}
