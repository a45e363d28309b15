//! The small text rules that apt's file formats share.
//!
//! Follows apt `apt-pkg/contrib/strutl.cc` (`ParseQuoteWord`, `ParseCWord`, `StringToBool`, `VectorizeString`,
//! `QuoteString`) and `apt-pkg/contrib/fileutl.cc` (`FileFd::ReadLine`, `GetListOfFilesInDir`); unchanged between
//! apt 2.2 and 3.0.

use std::borrow::Cow;

use super::debian_version::older;

/// The apt releases that read the same text differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AptVersion {
    /// apt 2.2, Debian 11 (Proxmox VE 7).
    V2_2,
    /// apt 2.6, Debian 12 (Proxmox VE 8).
    V2_6,
    /// apt 3.0, Debian 13 (Proxmox VE 9).
    V3_0,
}

impl AptVersion {
    /// The apt of a Debian release, by its major version number (`VERSION_ID` of os-release).
    pub fn of_debian(major: u32) -> Self {
        match major {
            ..=11 => Self::V2_2,
            12 => Self::V2_6,
            _ => Self::V3_0,
        }
    }

    /// The apt of a version of the Debian package `apt`. Key blocks in source files came with 2.3.10 and the merge
    /// of sources with and without a key in the 2.9 series, so what lies between is read as its nearer neighbour.
    pub fn of_package(version: &str) -> Self {
        if older(version, "2.3.10") {
            Self::V2_2
        } else if older(version, "2.9~") {
            Self::V2_6
        } else {
            Self::V3_0
        }
    }
}

/// apt reads lines in pieces of this many bytes (a buffer of 4096 with its final NUL).
const PIECE: usize = 4095;

/// The lines of `text` as apt's `FileFd::ReadLine` delivers them, each with the number of its first line counted
/// from 1. CR and LF at the end are removed.
///
/// Two oddities are kept: a piece that fills the buffer exactly continues with the next line even when it ended
/// with the newline (and is lost when the file ends there), and a NUL hides the rest of its piece.
pub fn lines(text: &str) -> Lines<'_> {
    Lines { rest: text.as_bytes(), line: 1 }
}

/// Iterator made by [`lines`].
#[derive(Debug, Clone)]
pub struct Lines<'a> {
    rest: &'a [u8],
    line: u32,
}

impl<'a> Lines<'a> {
    /// One piece up to and with the newline.
    fn piece(&mut self) -> Option<&'a [u8]> {
        let window = self.rest.get(..PIECE).unwrap_or(self.rest);
        if window.is_empty() {
            return None;
        }
        let newline = window.iter().position(|byte| *byte == b'\n');
        let (piece, rest) = self.rest.split_at(newline.map_or(window.len(), |at| at + 1));
        self.rest = rest;
        self.line = self.line.saturating_add(u32::from(newline.is_some()));
        let end = piece.iter().position(|byte| *byte == 0).unwrap_or(piece.len());
        piece.get(..end)
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = (u32, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        let number = self.line;
        let mut piece = self.piece()?;
        let mut joined = Cow::Borrowed(piece);
        while piece.len() == PIECE {
            piece = self.piece()?;
            joined.to_mut().extend_from_slice(piece);
        }
        let end = joined.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n')).map_or(0, |at| at + 1);
        let line = match joined {
            Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()),
            Cow::Owned(bytes) => {
                Cow::Owned(String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).into_owned())
            }
        };
        Some((number, line))
    }
}

/// C's `isspace` in the C and UTF-8 locales.
pub(crate) fn is_space(byte: u8) -> bool {
    matches!(byte, b'\t'..=b'\r' | b' ')
}

/// `text` without white space (C's) at either end.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(|c| matches!(c, '\t'..='\r' | ' '))
}

/// C's `strtol`: the number at the start of `text` (saturating) and how many bytes were consumed; nothing
/// consumed means there is none. `base` is 10, or 0 for a base chosen by the prefix `0x` or `0`.
pub(crate) fn number(text: &str, base: u32) -> (i64, usize) {
    let bytes = text.as_bytes();
    let mut at = bytes.iter().take_while(|byte| is_space(**byte)).count();
    let sign = bytes.get(at).copied();
    if matches!(sign, Some(b'+' | b'-')) {
        at += 1;
    }
    let digit = |at: usize, base: u32| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(base));
    let base = match (base, digit(at, 10), bytes.get(at + 1)) {
        (0, Some(0), Some(b'x' | b'X')) if digit(at + 2, 16).is_some() => {
            at += 2;
            16
        }
        (0, Some(0), _) => 8,
        (0, ..) => 10,
        (base, ..) => base,
    };
    let start = at;
    let mut value = 0_i64;
    while let Some(next) = digit(at, base) {
        value = value.saturating_mul(i64::from(base)).saturating_add(i64::from(next));
        at += 1;
    }
    if at == start {
        return (0, 0);
    }
    (if sign == Some(b'-') { -value } else { value }, at)
}

/// apt's `StringToBool`: `None` where apt takes the default of the option. An empty text is false.
pub fn boolean(text: &str) -> Option<bool> {
    const FALSE: [&str; 5] = ["no", "false", "without", "off", "disable"];
    const TRUE: [&str; 5] = ["yes", "true", "with", "on", "enable"];
    let (value, consumed) = number(text, 0);
    if consumed == text.len() {
        // apt keeps the number in an int: 4294967296 is 0
        let bytes = value.to_le_bytes();
        let low = bytes.first_chunk::<4>().map_or(-1, |low| i32::from_le_bytes(*low));
        if low == 0 || low == 1 {
            return Some(low == 1);
        }
    }
    if FALSE.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        Some(false)
    } else if TRUE.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        Some(true)
    } else {
        None
    }
}

/// apt's `VectorizeString`: split at `separator`; inner empty parts stay, one at the end does not.
pub fn split(text: &str, separator: char) -> Vec<String> {
    let body = text.strip_suffix(separator).unwrap_or(text);
    if text.is_empty() { Vec::new() } else { body.split(separator).map(str::to_owned).collect() }
}

/// The words of a deb822 list: any white space separates.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c| matches!(c, '\t'..='\r' | ' ')).filter(|word| !word.is_empty())
}

/// A byte as two hex digits in lower case.
pub(crate) fn hex(byte: u8) -> [char; 2] {
    [byte >> 4, byte & 0xf].map(|nibble| char::from_digit(u32::from(nibble), 16).unwrap_or('0'))
}

/// apt's `QuoteString`: bytes in `bad`, `%`, blanks, control characters and everything beyond ASCII as `%xx`.
pub(crate) fn quote(text: &str, bad: &[u8]) -> String {
    let mut quoted = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' && !bad.contains(&byte) {
            quoted.push(char::from(byte));
        } else {
            quoted.push('%');
            quoted.extend(hex(byte));
        }
    }
    quoted
}

/// A place in a line, with apt's two ways to take a word from it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { bytes: text.as_bytes(), at: 0 }
    }

    /// The byte here, `None` at the end.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.byte(self.at)
    }

    pub(crate) fn advance(&mut self) {
        self.at += 1;
    }

    pub(crate) fn skip_space(&mut self) {
        self.at = self.after_space(self.at);
    }

    /// Moves back to the nearest `wanted` at or before this place; false, and no move, without one.
    pub(crate) fn back_to(&mut self, wanted: u8) -> bool {
        let seen = self.bytes.get(..=self.at).unwrap_or(self.bytes);
        let found = seen.iter().rposition(|byte| *byte == wanted);
        self.at = found.unwrap_or(self.at);
        found.is_some()
    }

    /// apt's `ParseQuoteWord`: a word in which `"…"` and `[…]` hide white space; quotes are dropped and `%xx` is
    /// decoded everywhere. `None` without a word or with an open quote or bracket; the place stays.
    pub(crate) fn quote_word(&mut self) -> Option<String> {
        let start = self.at;
        let mut end = start;
        while self.byte(end) == Some(b' ') {
            end += 1;
        }
        self.byte(end)?;
        while let Some(byte) = self.byte(end) {
            match byte {
                b'"' => {
                    end = self.find(b'"', end + 1)?;
                }
                b'[' => end = self.find(b']', end + 1)?,
                byte if is_space(byte) => break,
                _ => {}
            }
            end += 1;
        }
        let word = unquote(self.bytes.get(start..end).unwrap_or_default());
        self.at = self.after_space(end);
        Some(word)
    }

    /// apt's `ParseCWord`: `"…" "…"` up to the end, joined by single blanks, nothing decoded. `None` when there is
    /// nothing or something outside quotes; the place stays.
    pub(crate) fn c_word(&mut self) -> Option<String> {
        let start = self.at;
        let mut at = start;
        while self.byte(at) == Some(b' ') {
            at += 1;
        }
        self.byte(at)?;
        let mut word = Vec::new();
        while let Some(byte) = self.byte(at) {
            if byte == b'"' {
                let close = self.find(b'"', at + 1)?;
                word.extend_from_slice(self.bytes.get(at + 1..close).unwrap_or_default());
                at = close + 1;
                continue;
            }
            if !is_space(byte) {
                return None;
            }
            let again =
                at != start && at.checked_sub(1).and_then(|before| self.byte(before)).is_some_and(is_space);
            if !again {
                word.push(b' ');
            }
            at += 1;
        }
        self.at = at;
        Some(String::from_utf8_lossy(&word).into_owned())
    }

    fn byte(&self, at: usize) -> Option<u8> {
        self.bytes.get(at).copied()
    }

    fn find(&self, wanted: u8, from: usize) -> Option<usize> {
        let rest = self.bytes.get(from..)?;
        rest.iter().position(|byte| *byte == wanted).map(|at| from + at)
    }

    fn after_space(&self, from: usize) -> usize {
        from + self.bytes.get(from..).unwrap_or_default().iter().take_while(|byte| is_space(**byte)).count()
    }
}

/// Drops quotes and decodes `%xx`; bytes that are no UTF-8 become the replacement character.
fn unquote(word: &[u8]) -> String {
    let hex = |at: usize| word.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut plain = Vec::with_capacity(word.len());
    let mut at = 0;
    while let Some(byte) = word.get(at) {
        at += 1;
        match (byte, hex(at), hex(at + 1)) {
            (b'%', Some(high), Some(low)) => {
                plain.push(u8::try_from(high * 16 + low).unwrap_or_default());
                at += 2;
            }
            (b'"', ..) => {}
            _ => plain.push(*byte),
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

/// Whether apt reads a file of this name in one of its `.d` folders: one of `extensions` after the last dot (or
/// no dot at all when `bare` names count), only ASCII letters, digits and `_-:.`, no dot first or last.
///
/// Only regular files and links to them count; that is the caller's part.
pub(crate) fn is_part_name(name: &str, extensions: &[&str], bare: bool) -> bool {
    let known = match name.rsplit_once('.') {
        Some((_, extension)) => extensions.contains(&extension),
        None => bare,
    };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b':' | b'.');
    known && !name.is_empty() && !name.starts_with('.') && name.bytes().all(plain)
}

/// `text` with user and password removed from every URL in it, and whether there were any.
pub(crate) fn without_userinfo(text: &str) -> (String, bool) {
    let mut clean = String::with_capacity(text.len());
    let mut found = false;
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("://") {
        clean.push_str(before);
        clean.push_str("://");
        rest = userinfo_end(after).and_then(|end| after.get(end..)).unwrap_or(after);
        found |= rest.len() != after.len();
    }
    clean.push_str(rest);
    (clean, found)
}

/// Where user and password end at the start of what follows `://`: after the last `@` before a slash, or after a
/// later one when `user:pass/word` stands where only a port could.
fn userinfo_end(text: &str) -> Option<usize> {
    let url_end = text.find(|c: char| matches!(c, '"' | '\'') || c.is_whitespace()).unwrap_or(text.len());
    let url = text.get(..url_end).unwrap_or(text);
    let authority = url.split('/').next().unwrap_or(url);
    if let Some(at) = authority.rfind('@') {
        return Some(at + 1);
    }
    let (_, port) = authority.rsplit_once(':')?;
    let plausible = port.contains(']') || port.bytes().all(|byte| byte.is_ascii_digit());
    url.rfind('@').filter(|_| !plausible).map(|at| at + 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_that_fills_the_buffer_swallows_the_next() {
        let full = "x".repeat(PIECE - 1);
        let text = format!("{full}\nnext\nlast\n");
        let seen: Vec<_> = lines(&text).map(|(line, text)| (line, text.len())).collect();
        assert_eq!(seen, [(1, PIECE + 4), (3, 4)]);
        assert_eq!(lines(&format!("a\n{full}\n")).count(), 1, "and is lost at the end of the file");
    }

    #[test]
    fn a_nul_hides_the_rest_of_its_line() {
        let seen: Vec<_> = lines("a\0b\nc\r\r\n").map(|(_, text)| text.into_owned()).collect();
        assert_eq!(seen, ["a", "c"]);
    }

    #[test]
    fn booleans_are_words_or_the_numbers_zero_and_one() {
        for yes in ["1", "01", "0x1", "+1", " 1", "YES", "true", "with", "On", "enable", "4294967297"] {
            assert_eq!(boolean(yes), Some(true), "{yes}");
        }
        for no in ["", "0", "00", "-0", "0x0", "No", "false", "without", "OFF", "disable", "4294967296"] {
            assert_eq!(boolean(no), Some(false), "{no}");
        }
        for neither in ["2", "-1", "nope", "maybe", " no", "1 ", "0x", "enabled"] {
            assert_eq!(boolean(neither), None, "{neither}");
        }
    }

    #[test]
    fn splitting_keeps_inner_empty_parts() {
        assert_eq!(split("a,,b,", ','), ["a", "", "b"]);
        assert_eq!(split(",", ','), [""]);
        assert!(split("", ',').is_empty());
    }

    #[test]
    fn part_names_follow_run_parts() {
        let sources = |name| is_part_name(name, &["list", "sources"], false);
        for good in ["a.list", "a.sources", "a.b_c-1:2.list", "list.list"] {
            assert!(sources(good), "{good}");
        }
        for bad in [
            "",
            "list",
            ".a.list",
            "a.list.",
            "a.list.save",
            "a.LIST",
            "a+b.list",
            "a b.list",
            "a.list~",
            "ä.list",
        ] {
            assert!(!sources(bad), "{bad}");
        }
        assert!(is_part_name("20auto", &["conf"], true));
        assert!(!is_part_name("20auto.bak", &["conf"], true));
        assert!(!is_part_name("20auto.", &["conf"], true));
    }

    #[test]
    fn the_package_tells_which_apt_reads() {
        for (version, apt) in [
            ("2.2.4", AptVersion::V2_2),
            ("2.6.1", AptVersion::V2_6),
            ("3.0.3", AptVersion::V3_0),
            ("3.1.12+pve1", AptVersion::V3_0),
        ] {
            assert_eq!(AptVersion::of_package(version), apt, "{version}");
        }
    }

    #[test]
    fn userinfo_is_removed_from_every_url() {
        let (clean, found) = without_userinfo("x http://u:p@h/a@b \"ftp://t@g\" http://plain/");
        assert_eq!(clean, "x http://h/a@b \"ftp://g\" http://plain/");
        assert!(found);
        assert_eq!(without_userinfo("a@b"), ("a@b".to_owned(), false));
        assert_eq!(
            without_userinfo("http://u:p/q@h/x"),
            ("http://h/x".to_owned(), true),
            "an unescaped slash"
        );
        for kept in ["http://h:80/@X@_y", "http://h/a@b", "http://[::1]/a@b"] {
            assert_eq!(without_userinfo(kept), (kept.to_owned(), false));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn words_never_panic_and_always_move(text in "[ a%4\"\\[\\]\t]{0,20}") {
            let mut cursor = Cursor::new(&text);
            let mut steps = 0;
            while cursor.quote_word().is_some() {
                steps += 1;
                prop_assert!(steps <= text.len());
            }
            let _ = cursor.c_word();
        }

        #[test]
        fn short_lines_are_the_lines_of_the_text(text in "[a\r\n]{0,30}") {
            let seen: Vec<_> = lines(&text).map(|(_, line)| line.into_owned()).collect();
            let plain: Vec<_> =
                crate::formats::numbered(&text).map(|(_, line)| line.trim_end_matches('\r').to_owned()).collect();
            prop_assert_eq!(seen, plain);
        }
    }
}
