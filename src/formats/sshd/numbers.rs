//! Numbers, times, sizes and traffic classes as OpenSSH's own helpers read them (misc.c, `fmt_scaled.c`, libc).

use super::Version;

/// `isspace` in the C locale.
const SPACES: [char; 6] = [' ', '\t', '\n', '\x0b', '\x0c', '\r'];
/// Seconds in the units of a time (`convtime`); a bare number counts seconds.
const TIME_UNITS: [(char, i64); 5] = [('s', 1), ('m', 60), ('h', 3600), ('d', 86_400), ('w', 604_800)];
/// The suffixes of a size, each 1024 times the one before (`scale_chars`).
const SIZE_UNITS: [char; 7] = ['b', 'k', 'm', 'g', 't', 'p', 'e'];
/// Most digits a size may have (`MAX_DIGITS` in `fmt_scaled.c`).
const SIZE_DIGITS: u32 = 21;
/// The service names a port may be given by that are known here; the rest of `/etc/services` is not read.
const SERVICES: [(&str, i64); 3] = [("ssh", 22), ("http", 80), ("https", 443)];
/// The value that stands for "leave the socket alone" in `IPQoS`.
const QOS_NONE: i32 = i32::MAX;
/// Names of traffic classes, in upstream's order: printing takes the first with the value.
const QOS: [(&str, i32); 26] = [
    ("none", QOS_NONE),
    ("af11", 0x28),
    ("af12", 0x30),
    ("af13", 0x38),
    ("af21", 0x48),
    ("af22", 0x50),
    ("af23", 0x58),
    ("af31", 0x68),
    ("af32", 0x70),
    ("af33", 0x78),
    ("af41", 0x88),
    ("af42", 0x90),
    ("af43", 0x98),
    ("cs0", 0x00),
    ("cs1", 0x20),
    ("cs2", 0x40),
    ("cs3", 0x60),
    ("cs4", 0x80),
    ("cs5", 0xa0),
    ("cs6", 0xc0),
    ("cs7", 0xe0),
    ("ef", 0xb8),
    ("le", 0x04),
    ("lowdelay", 0x10),
    ("throughput", 0x08),
    ("reliability", 0x04),
];
/// The value of `le` in 8.4, corrected later.
const QOS_LE_8_4: i32 = 0x01;
/// The old type-of-service names, which 10.0 reads as `none`.
const QOS_OLD: [&str; 3] = ["lowdelay", "throughput", "reliability"];

/// The number at the start of `text` in `base` (0: by its prefix), clamped to 64 bits, and what follows it;
/// `None` without a digit (`strtol`).
pub(super) fn leading_number(text: &str, base: u32) -> Option<(i64, &str)> {
    let text = text.trim_start_matches(SPACES);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (base, digits) = match base {
        0 => match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
            Some(hex) if hex.starts_with(|c: char| c.is_ascii_hexdigit()) => (16, hex),
            _ if digits.starts_with('0') => (8, digits),
            _ => (10, digits),
        },
        base => (base, digits),
    };
    let rest = digits.trim_start_matches(|c: char| c.is_digit(base));
    let number = digits.strip_suffix(rest).filter(|number| !number.is_empty())?;
    let magnitude = number
        .chars()
        .filter_map(|c| c.to_digit(base))
        .fold(0_i64, |sum, digit| sum.saturating_mul(i64::from(base)).saturating_add(i64::from(digit)));
    Some((if negative { -magnitude } else { magnitude }, rest))
}

/// A whole decimal number from `least` to `most`, nothing behind it (`strtonum`).
pub(super) fn whole(text: &str, least: i64, most: i64) -> Option<i64> {
    let (number, rest) = leading_number(text, 10)?;
    (rest.is_empty() && (least..=most).contains(&number) && number != i64::MAX).then_some(number)
}

/// A plain number keyword's value, 0 to 2147483647 (`atoi_err`).
pub(super) fn count(text: &str) -> Option<i64> {
    whole(text, 0, i64::from(i32::MAX))
}

/// `long` to `int` the way C assigns it.
fn truncated(number: i64) -> i32 {
    #[expect(clippy::cast_possible_truncation, reason = "upstream stores a long in an int")]
    let short = number as i32;
    short
}

/// Seconds in a time such as `90`, `1m30s` or `1w` (`convtime`).
pub(super) fn seconds(text: &str, version: Version) -> Option<i32> {
    let limit = if version == Version::V8_4 { i64::MAX - 1 } else { i64::from(i32::MAX) };
    let mut rest = text;
    let mut total = 0_i64;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        // Before 10.0 each number went through strtol, which takes a sign and blanks.
        if version == Version::V10_0 && !rest.starts_with(|c: char| c.is_ascii_digit()) {
            return None;
        }
        let (number, after) = leading_number(rest, 10)?;
        if number < 0 {
            return None;
        }
        let (unit, after) = match after.chars().next() {
            None => (1, after),
            Some(letter) => {
                let lower = letter.to_ascii_lowercase();
                let (_, unit) = TIME_UNITS.iter().find(|(name, _)| *name == lower)?;
                (*unit, after.strip_prefix(letter)?)
            }
        };
        let part = number.checked_mul(unit).filter(|part| *part <= limit)?;
        total = total.checked_add(part).filter(|total| *total <= limit)?;
        rest = after;
    }
    // 8.4 counts in a long and stores an int; -1 is its mark for an error.
    Some(truncated(total)).filter(|seconds| *seconds != -1)
}

/// Bytes in a size such as `512M` or `1.5G` (`scan_scaled`).
pub(super) fn bytes(text: &str) -> Option<i64> {
    let text = text.trim_start_matches(SPACES);
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let rest = unsigned.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = unsigned.strip_suffix(rest)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || whole.len() >= SIZE_DIGITS as usize {
        return None;
    }
    let digits = |text: &str| if text.is_empty() { Some(0) } else { text.parse::<i64>().ok() };
    let kept: String = fraction.chars().take(SIZE_DIGITS as usize - 2).collect();
    let (whole, mut fraction) = (digits(whole)?.checked_mul(sign)?, digits(&kept)?);
    let Some(letter) = rest.chars().next() else { return Some(whole) };
    let power = SIZE_UNITS.iter().position(|unit| *unit == letter.to_ascii_lowercase())?;
    if rest.chars().nth(1).is_some_and(|c| c.is_ascii_alphanumeric()) {
        return None;
    }
    let factor = 1024_i64.checked_pow(u32::try_from(power).ok()?)?;
    let whole = whole.checked_mul(factor)?;
    let mut places = u32::try_from(kept.len()).ok()?;
    while fraction >= i64::MAX / factor {
        fraction /= 10;
        places = places.saturating_sub(1);
    }
    let fraction = fraction.checked_mul(factor)? / 10_i64.checked_pow(places)?;
    whole.checked_add(sign * fraction)
}

/// What a port argument means (`a2port`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Port {
    /// A number, or a service whose number is known here.
    Number(i64),
    /// A word that `/etc/services` may or may not know.
    Service(String),
}

impl std::fmt::Display for Port {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(out, "{number}"),
            Self::Service(name) => write!(out, "{name}"),
        }
    }
}

/// A port number from 0 to 65535 or a service name; `None` for what can be neither.
pub(super) fn port(text: &str) -> Option<Port> {
    if let Some(number) = whole(text, 0, 65_535) {
        return Some(Port::Number(number));
    }
    if let Some((_, number)) = SERVICES.iter().find(|(name, _)| *name == text) {
        return Some(Port::Number(*number));
    }
    let word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '.'));
    word.then(|| Port::Service(text.to_owned()))
}

/// The integers at the start of `text`, separated by colons, at most `most` of them (`sscanf` with `%d:%d…`).
pub(super) fn colon_numbers(text: &str, most: usize) -> Vec<i32> {
    let mut numbers = Vec::new();
    let mut rest = Some(text);
    while let Some((number, after)) = rest.and_then(|text| leading_number(text, 10)) {
        numbers.push(truncated(number));
        if numbers.len() == most {
            break;
        }
        rest = after.strip_prefix(':');
    }
    numbers
}

/// An octal mask from 0 to 0777, in `-T`'s spelling; what follows the digits is ignored, as upstream does.
pub(super) fn mask(text: &str) -> Option<String> {
    let (number, _) = leading_number(text, 8)?;
    let mask = truncated(number);
    (0..=0o777).contains(&mask).then(|| format!("0{mask:o}"))
}

/// A traffic class of `IPQoS` in `-T`'s spelling: its first name, or hexadecimal.
pub(super) fn quality(text: &str, version: Version) -> Option<String> {
    let classes = || {
        let corrected = |(name, value): (&'static str, i32)| match name {
            "le" if version == Version::V8_4 => (name, QOS_LE_8_4),
            _ => (name, value),
        };
        QOS.into_iter().map(corrected)
    };
    let named = classes().find(|(name, _)| name.eq_ignore_ascii_case(text));
    let old = version == Version::V10_0 && QOS_OLD.iter().any(|name| name.eq_ignore_ascii_case(text));
    let value = match named {
        _ if old => QOS_NONE,
        Some((_, value)) => value,
        None if version == Version::V10_0 => truncated(whole(text, 0, 255)?),
        None => {
            let (number, rest) = leading_number(text, 0)?;
            if !rest.is_empty() || !(0..=255).contains(&number) {
                return None;
            }
            truncated(number)
        }
    };
    let gone = |name: &str| version == Version::V10_0 && QOS_OLD.contains(&name);
    let name = classes().find(|(name, known)| *known == value && !gone(name));
    Some(name.map_or_else(|| format!("0x{value:02x}"), |(name, _)| name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_add_up_and_know_their_limits() {
        for version in Version::ALL {
            assert_eq!(seconds("1m30s", version), Some(90));
            assert_eq!(seconds("1W2D", version), Some(777_600));
            assert_eq!(seconds("", version), None);
            assert_eq!(seconds("5x", version), None);
            assert_eq!(seconds("2147483647", version), Some(i32::MAX));
        }
        assert_eq!(seconds("2147483648", Version::V9_2), None);
        assert_eq!(seconds("4294967295", Version::V8_4), None);
        assert_eq!(seconds("4294967296", Version::V8_4), Some(0));
    }

    #[test]
    fn a_time_with_a_sign_is_read_before_10_0_only() {
        assert_eq!(seconds("+5", Version::V9_2), Some(5));
        assert_eq!(seconds("1m +5", Version::V8_4), Some(65));
        assert_eq!(seconds("+5", Version::V10_0), None);
        assert_eq!(seconds("-5", Version::V9_2), None);
    }

    #[test]
    fn sizes_take_a_unit_and_a_fraction() {
        assert_eq!(bytes("1G"), Some(1 << 30));
        assert_eq!(bytes("1.5k"), Some(1536));
        assert_eq!(bytes("1.9"), Some(1));
        assert_eq!(bytes("K"), Some(0));
        assert_eq!(bytes("1kb"), None);
        assert_eq!(bytes("1.2.3"), None);
        assert_eq!(bytes("9E"), None);
        assert_eq!(bytes("-1"), Some(-1));
    }

    #[test]
    fn colon_numbers_ignore_what_follows_the_last_one() {
        assert_eq!(colon_numbers("10:30:100x", 3), [10, 30, 100]);
        assert_eq!(colon_numbers("10:30:", 3), [10, 30]);
        assert_eq!(colon_numbers("10x:30", 3), [10]);
        assert_eq!(colon_numbers("x", 3), [0_i32; 0]);
    }

    #[test]
    fn masks_are_octal_and_may_have_a_tail() {
        assert_eq!(mask("0177").as_deref(), Some("0177"));
        assert_eq!(mask("09").as_deref(), Some("00"));
        assert_eq!(mask("1000"), None);
        assert_eq!(mask("x"), None);
    }

    #[test]
    fn traffic_classes_print_their_first_name() {
        assert_eq!(quality("0x10", Version::V9_2).as_deref(), Some("lowdelay"));
        assert_eq!(quality("lowdelay", Version::V10_0).as_deref(), Some("none"));
        assert_eq!(quality("16", Version::V10_0).as_deref(), Some("0x10"));
        assert_eq!(quality("reliability", Version::V9_2).as_deref(), Some("le"));
        assert_eq!(quality("4", Version::V8_4).as_deref(), Some("reliability"));
        assert_eq!(quality("1", Version::V8_4).as_deref(), Some("le"));
        assert_eq!(quality("256", Version::V9_2), None);
    }

    #[test]
    fn a_port_is_a_number_or_a_word() {
        assert_eq!(port("22"), Some(Port::Number(22)));
        assert_eq!(port("ssh"), Some(Port::Number(22)));
        assert_eq!(port("telnet"), Some(Port::Service("telnet".to_owned())));
        assert_eq!(port("65536"), None);
        assert_eq!(port("22x"), None);
    }
}
