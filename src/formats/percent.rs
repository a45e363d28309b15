//! Percent-encoded text (`%C3%A4`), as Perl's `URI::Escape` and Rust's `percent_encoding` decode it.

/// The bytes of a percent-encoded text. A `%` without two hexadecimal digits behind it stays as it is.
pub(super) fn decode(text: &str) -> Vec<u8> {
    decode_bytes(text.as_bytes())
}

/// As [`decode`], for a text that need not be UTF-8.
pub(super) fn decode_bytes(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        let (byte, left) = match after {
            [high, low, left @ ..] if *first == b'%' => {
                hex(*high).zip(hex(*low)).map_or((*first, after), |(high, low)| (high << 4 | low, left))
            }
            _ => (*first, after),
        };
        bytes.push(byte);
        rest = left;
    }
    bytes
}

fn hex(byte: u8) -> Option<u8> {
    let digit = char::from(byte).to_digit(16)?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_complete_escapes_are_decoded_and_only_once() {
        assert_eq!(decode("a%3Ab%3a"), b"a:b:");
        assert_eq!(decode("100% %4 %zz %4g %"), b"100% %4 %zz %4g %");
        assert_eq!(decode("%2541"), b"%41");
        assert_eq!(decode("%%41"), b"%A");
        assert_eq!(decode("%ff"), [0xff]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn what_is_encoded_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap();
            let encoded: String =
                bytes.iter().flat_map(|byte| ['%', digit(byte >> 4), digit(byte & 15)]).collect();
            prop_assert_eq!(decode(&encoded), bytes);
        }
    }
}
