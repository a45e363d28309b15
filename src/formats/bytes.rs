//! Files that upstream reads as bytes, whatever their encoding, as text.
//!
//! Perl compares names byte by byte, so two names in Latin-1 that differ in one letter are two names. Replacing what
//! is no UTF-8 by one and the same character would make them one, and give each the rights of the other. So each
//! such byte becomes a character of its own, at the end of the last private use area of Unicode; whoever prints it
//! writes it as `\xe4`.

use std::borrow::Cow;

/// The character of the byte 0 would be this one; only 0x80 to 0xff are ever needed.
const BASE: u32 = 0x10_fe00;

/// The text of a file. Two files with different bytes never have the same text.
pub fn text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(|c| byte_of(c).is_some()) => Cow::Borrowed(text),
        _ => Cow::Owned(rewritten(bytes)),
    }
}

fn rewritten(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len().saturating_mul(2));
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            // A character that would be taken for a byte is written as its own four.
            if byte_of(c).is_some() {
                out.extend(c.encode_utf8(&mut [0; 4]).bytes().map(char_of));
            } else {
                out.push(c);
            }
        }
        out.extend(chunk.invalid().iter().copied().map(char_of));
    }
    out
}

/// The bytes that [`text`] made this text of.
pub fn of(text: &str) -> Cow<'_, [u8]> {
    if !text.chars().any(|c| byte_of(c).is_some()) {
        return Cow::Borrowed(text.as_bytes());
    }
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.chars() {
        match byte_of(c) {
            Some(byte) => bytes.push(byte),
            None => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Cow::Owned(bytes)
}

/// How many bytes the text has in the file.
pub fn length(text: &str) -> usize {
    text.chars().map(|c| if byte_of(c).is_some() { 1 } else { c.len_utf8() }).sum()
}

/// The byte that this character stands for, if it stands for one.
pub fn byte_of(c: char) -> Option<u8> {
    u32::from(c).checked_sub(BASE).and_then(|byte| u8::try_from(byte).ok()).filter(|byte| *byte >= 0x80)
}

fn char_of(byte: u8) -> char {
    char::from_u32(BASE.saturating_add(u32::from(byte))).unwrap_or(char::REPLACEMENT_CHARACTER)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn utf_8_stays_as_it_is() {
        assert!(matches!(text("Größe 漢字".as_bytes()), Cow::Borrowed("Größe 漢字")));
        assert_eq!(length("Größe"), 7);
    }

    #[test]
    fn bytes_of_another_encoding_stay_apart() {
        let (one, other) = (text(b"j\xf6rg@pve"), text(b"j\xfcrg@pve"));
        assert_ne!(one, other);
        assert_eq!(one.chars().filter_map(byte_of).collect::<Vec<_>>(), [0xf6]);
        assert_eq!(length(&one), 8);
    }

    #[test]
    fn a_character_that_stands_for_a_byte_is_not_taken_for_one() {
        let written = "\u{10fef6}";
        let read = text(written.as_bytes());
        assert_eq!(read.chars().filter_map(byte_of).collect::<Vec<_>>(), written.as_bytes());
        assert_ne!(read, text(b"\xf6"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn every_file_comes_back(
            bytes in prop::collection::vec(prop_oneof![any::<u8>(), Just(0xf4), Just(0x8f), Just(0xbb), Just(0xb6)], 0..40)
        ) {
            let read = text(&bytes);
            prop_assert_eq!(&*of(&read), &bytes[..]);
            prop_assert_eq!(length(&read), bytes.len());
        }
    }
}
