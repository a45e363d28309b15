//! Octal escapes and URL credentials: what `fstab`, `crypttab`, `mountinfo`, `/proc/swaps` and
//! `datacenter.cfg` have in common.
//!
//! The kernel writes blanks, tabs, newlines and backslashes of a path as `\040`, `\011`, `\012` and `\134`
//! (linux `fs/seq_file.c`, `mangle_path`); libmount and glibc read the same form back.

/// `text` with every `\NNN` (three octal digits, at most `\377`) replaced by its byte.
///
/// Bytes that do not form UTF-8 become U+FFFD; a backslash without three octal digits stays as it is.
pub fn octal(text: &str) -> String {
    if !text.contains('\\') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        if let (b'\\', Some((byte, after))) = (first, octal_byte(tail)) {
            bytes.push(byte);
            rest = after;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The byte that three octal digits at the start of `text` mean, and what follows them.
fn octal_byte(text: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, after) = text.split_first_chunk::<3>()?;
    let mut value = 0_u16;
    for digit in digits {
        value = value * 8 + u16::from(digit.checked_sub(b'0').filter(|d| *d < 8)?);
    }
    Some((u8::try_from(value).ok()?, after))
}

/// A URL without the user and password part, and whether there was one.
///
/// A password may hold any character, also `/`, so everything between `://` and the **last** `@` goes.
pub fn without_credential(url: &str) -> (String, bool) {
    let Some((scheme, rest)) = url.split_once("://") else {
        return (url.to_owned(), false);
    };
    match rest.rsplit_once('@') {
        Some((_, host)) => (format!("{scheme}://{host}"), true),
        None => (url.to_owned(), false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_escapes_are_undone() {
        assert_eq!(octal(r"/mnt/my\040disk\011\012\134x"), "/mnt/my disk\t\n\\x");
        assert_eq!(octal("/plain"), "/plain");
    }

    #[test]
    fn what_is_no_escape_stays() {
        assert_eq!(octal(r"a\04"), r"a\04");
        assert_eq!(octal(r"a\048"), r"a\048");
        assert_eq!(octal(r"a\400"), r"a\400");
        assert_eq!(octal(r"\x20"), r"\x20");
    }

    #[test]
    fn escaped_utf8_is_put_together_again_and_broken_utf8_is_replaced() {
        assert_eq!(octal(r"\303\244"), "ä");
        assert_eq!(octal(r"\377"), "\u{fffd}");
    }

    #[test]
    fn a_password_with_slash_and_at_does_not_survive() {
        let (url, had) = without_credential("https://me:pa/ss@word@host.example/dav");
        assert_eq!((url.as_str(), had), ("https://host.example/dav", true));
        assert_eq!(without_credential("nas:/export"), ("nas:/export".to_owned(), false));
        assert_eq!(without_credential("http://proxy:3128"), ("http://proxy:3128".to_owned(), false));
    }
}
