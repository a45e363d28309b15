//! Makes untrusted text harmless before it enters the report, so that every writer gets harmless text.
//!
//! Guest names, notes, user comments, realms and file names are chosen by others. Control characters could drive
//! the terminal of the administrator, and bidirectional or invisible characters could make text read as
//! something it is not.

use std::fmt::Write as _;

use crate::formats::bytes::byte_of;

/// Longest text in a report, in characters: enough for a message with a path, little enough for a log line.
const LONGEST: usize = 600;

/// `text` with every control, bidirectional and invisible character written as `\u{…}`, every byte that was no UTF-8 as
/// `\xe4`, and cut at 600 characters.
pub fn clean(text: &str) -> String {
    let mut out = visible(text.chars().take(LONGEST));
    if text.chars().nth(LONGEST).is_some() {
        out.push('…');
    }
    out
}

/// As [`clean`], whole.
pub fn clean_whole(text: &str) -> String {
    visible(text.chars())
}

fn visible(chars: impl Iterator<Item = char>) -> String {
    let mut out = String::new();
    for c in chars {
        if let Some(byte) = byte_of(c) {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\x{byte:02x}");
        } else if is_harmful(c) {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

fn is_harmful(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_and_bidirectional_control_is_made_visible() {
        assert_eq!(clean("web\u{1b}[2Jx\u{202e}y\u{9b}\r\n"), "web\\u{1b}[2Jx\\u{202e}y\\u{9b}\\u{d}\\u{a}");
        assert_eq!(clean("Größe 漢字 – ok"), "Größe 漢字 – ok");
    }

    #[test]
    fn bytes_that_were_no_utf_8_are_made_visible() {
        assert_eq!(clean(&crate::formats::bytes::text(b"j\xf6rg@pve")), "j\\xf6rg@pve");
    }

    #[test]
    fn text_is_bounded() {
        assert_eq!(clean(&"x".repeat(10_000)).chars().count(), LONGEST + 1);
    }
}
