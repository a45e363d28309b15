//! Debian version numbers and their order.
//!
//! Follows dpkg `lib/dpkg/parsehelp.c` (`parseversion`) and `lib/dpkg/version.c` (`dpkg_version_compare`); apt's
//! `debVersioningSystem` orders valid versions the same way.
//!
//! The order is total over any text: what dpkg would refuse (a letter in the epoch, odd characters) is still
//! ordered, so that sorting never depends on input being well formed.

use std::cmp::Ordering;

/// A version taken apart, borrowed from its text.
#[derive(Debug, Clone, Copy)]
pub struct Version<'a> {
    /// Digits of the epoch without leading zeros: empty for epoch 0.
    pub epoch: &'a str,
    /// Upstream version: all between the epoch and the last `-`.
    pub upstream: &'a str,
    /// Debian revision: all after the last `-`, empty without one (which equals revision `0`).
    pub revision: &'a str,
}

impl<'a> Version<'a> {
    /// Takes `text` apart. White space around it does not count. A prefix before `:` that is no number is no
    /// epoch (dpkg refuses such a version): it stays part of the upstream version.
    pub fn parse(text: &'a str) -> Self {
        let text = text.trim_ascii();
        let (epoch, rest) = match text.split_once(':') {
            Some((epoch, rest)) if epoch.bytes().all(|byte| byte.is_ascii_digit()) => (epoch, rest),
            _ => ("", text),
        };
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, ""));
        Self { epoch: epoch.trim_start_matches('0'), upstream, revision }
    }
}

impl Ord for Version<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        compare_numbers(self.epoch.as_bytes(), other.epoch.as_bytes())
            .then_with(|| compare_parts(self.upstream.as_bytes(), other.upstream.as_bytes()))
            .then_with(|| compare_parts(self.revision.as_bytes(), other.revision.as_bytes()))
    }
}

impl Eq for Version<'_> {}

/// Equal for dpkg: the texts may differ.
impl PartialEq for Version<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl PartialOrd for Version<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// The order of two versions as `dpkg --compare-versions` sees it. Texts that differ can be equal: `1.0` and
/// `0:1.00-0`.
pub fn compare(left: &str, right: &str) -> Ordering {
    Version::parse(left).cmp(&Version::parse(right))
}

/// Whether `left` is older than `right`.
pub fn older(left: &str, right: &str) -> bool {
    compare(left, right) == Ordering::Less
}

/// dpkg's `verrevcmp`: alternating runs of non-digits and digits.
fn compare_parts(mut left: &[u8], mut right: &[u8]) -> Ordering {
    while !left.is_empty() || !right.is_empty() {
        let (left_word, left_rest) = split_run(left, |byte| !byte.is_ascii_digit());
        let (right_word, right_rest) = split_run(right, |byte| !byte.is_ascii_digit());
        let (left_number, left_rest) = split_run(left_rest, u8::is_ascii_digit);
        let (right_number, right_rest) = split_run(right_rest, u8::is_ascii_digit);
        let order =
            compare_words(left_word, right_word).then_with(|| compare_numbers(left_number, right_number));
        if order != Ordering::Equal {
            return order;
        }
        (left, right) = (left_rest, right_rest);
    }
    Ordering::Equal
}

/// The longest start of `text` whose bytes all are `wanted`, and the rest.
fn split_run(text: &[u8], wanted: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !wanted(byte)).unwrap_or(text.len());
    text.split_at(end)
}

/// Non-digit runs, character by character; the end of a run ranks as 0.
fn compare_words(left: &[u8], right: &[u8]) -> Ordering {
    let longest = left.len().max(right.len());
    let rank = |text: &[u8], at: usize| text.get(at).map_or(0, |byte| weight(*byte));
    (0..longest)
        .map(|at| rank(left, at).cmp(&rank(right, at)))
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

/// dpkg's `order`: `~` before the end of the text, letters before everything else.
fn weight(byte: u8) -> i32 {
    const AFTER_LETTERS: i32 = 256;
    match byte {
        b'~' => -1,
        letter if letter.is_ascii_alphabetic() => i32::from(letter),
        other => i32::from(other) + AFTER_LETTERS,
    }
}

/// Runs of digits as numbers of any length; an empty run is 0.
fn compare_numbers(left: &[u8], right: &[u8]) -> Ordering {
    let strip = |digits: &[u8]| digits.iter().take_while(|byte| **byte == b'0').count();
    let left = left.get(strip(left)..).unwrap_or_default();
    let right = right.get(strip(right)..).unwrap_or_default();
    left.len().cmp(&right.len()).then_with(|| left.cmp(right))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ascending(versions: &[&str]) {
        for (at, low) in versions.iter().enumerate() {
            for high in &versions[at + 1..] {
                assert_eq!(compare(low, high), Ordering::Less, "{low} < {high}");
                assert_eq!(compare(high, low), Ordering::Greater, "{high} > {low}");
            }
        }
    }

    #[test]
    fn a_tilde_sorts_before_the_end_and_letters_before_other_characters() {
        ascending(&["1.0~~", "1.0~~a", "1.0~", "1.0", "1.0a", "1.0a+", "1.0+", "1.0.1"]);
        ascending(&["6.8.12-9", "6.8.12-18", "6.8.12-43", "6.14.11-9~bpo12+1", "6.14.11-9", "7.0.2-5"]);
    }

    #[test]
    fn numbers_have_no_limit_of_length_and_no_leading_zeros() {
        ascending(&["1", "99999999999999999999", "100000000000000000000"]);
        assert_eq!(compare("1.010", "1.10"), Ordering::Equal);
    }

    #[test]
    fn the_epoch_defaults_to_zero_and_wins() {
        assert_eq!(compare("0:1.0", "1.0"), Ordering::Equal);
        assert_eq!(compare("00:1.0", ":1.0"), Ordering::Equal);
        ascending(&["9999", "1:0", "2:0~", "10:0"]);
    }

    #[test]
    fn a_missing_revision_equals_revision_zero() {
        assert_eq!(compare("1.0", "1.0-0"), Ordering::Equal);
        ascending(&["1.0-0~1", "1.0", "1.0-1", "1.0-1-1"]);
    }

    #[test]
    fn a_prefix_that_is_no_number_is_no_epoch() {
        let version = Version::parse("a:1-2-3");
        assert_eq!((version.epoch, version.upstream, version.revision), ("", "a:1-2", "3"));
    }

    /// The naive model: a sort key. Each part becomes a list of (weights of the word ended by 0, number padded to
    /// a fixed width); lists are padded with the empty run.
    fn key(text: &str) -> Vec<Vec<(Vec<i32>, String)>> {
        const RUNS: usize = 40;
        let text = text.trim_matches(|c: char| c.is_ascii_whitespace());
        let mut cut = text.splitn(2, ':').map(str::to_owned).collect::<Vec<_>>();
        if cut.len() == 1 || !cut[0].chars().all(|c| c.is_ascii_digit()) {
            cut = vec![String::new(), text.to_owned()];
        }
        let mut parts = cut[1].split('-').map(str::to_owned).collect::<Vec<_>>();
        let revision = if parts.len() > 1 { parts.pop().unwrap() } else { String::new() };
        let upstream = parts.join("-");
        let runs = |part: &str| {
            let mut list = Vec::new();
            let mut bytes = part.bytes().peekable();
            for _ in 0..RUNS {
                let mut word = Vec::new();
                while let Some(byte) = bytes.next_if(|byte| !byte.is_ascii_digit()) {
                    word.push(match byte {
                        b'~' => -1,
                        b'a'..=b'z' | b'A'..=b'Z' => i32::from(byte),
                        _ => 256 + i32::from(byte),
                    });
                }
                word.push(0);
                let mut number = String::new();
                while let Some(byte) = bytes.next_if(u8::is_ascii_digit) {
                    number.push(char::from(byte));
                }
                list.push((word, format!("{number:0>60}")));
            }
            list
        };
        vec![runs(&cut[0]), runs(&upstream), runs(&revision)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn agrees_with_a_naive_sort_key(left in "[0-2a~.+:-]{0,10}", right in "[0-2a~.+:-]{0,10}") {
            prop_assert_eq!(compare(&left, &right), key(&left).cmp(&key(&right)));
        }

        #[test]
        fn is_a_total_order_over_any_text(mut texts in prop::collection::vec("\\PC{0,6}|[0a~:-]{0,5}", 3)) {
            texts.sort_by(|left, right| compare(left, right));
            for (at, low) in texts.iter().enumerate() {
                for high in &texts[at..] {
                    prop_assert_ne!(compare(low, high), Ordering::Greater);
                    prop_assert_eq!(compare(low, high), compare(high, low).reverse());
                }
            }
        }
    }
}
