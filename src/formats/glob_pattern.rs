//! File name patterns of glob(3) without options: `*`, `?`, `[…]` and backslash, one path component at a time.
//!
//! Follows glibc `posix/glob.c` and `posix/fnmatch_loop.c` in the C locale with `FNM_PERIOD`: a leading dot is only
//! matched by a dot.

/// One element of a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Element {
    Any,
    AnyRun,
    One(char),
    Set { negated: bool, ranges: Vec<(char, char)> },
}

/// The pattern of one path component.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    elements: Vec<Element>,
}

impl Pattern {
    /// Reads the pattern of one component.
    pub fn new(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let mut elements = Vec::new();
        let mut at = 0;
        while let Some(c) = chars.get(at) {
            at += 1;
            let element = match c {
                '*' => Element::AnyRun,
                '?' => Element::Any,
                '\\' => {
                    let escaped = chars.get(at).copied().unwrap_or('\\');
                    at += 1;
                    Element::One(escaped)
                }
                '[' => match set(&chars, at) {
                    Some((set, end)) => {
                        at = end;
                        set
                    }
                    None => Element::One('['),
                },
                other => Element::One(*other),
            };
            // Several `*` are one.
            if element != Element::AnyRun || elements.last() != Some(&Element::AnyRun) {
                elements.push(element);
            }
        }
        Self { elements }
    }

    /// The name itself, if there is nothing to match.
    pub fn literal(&self) -> Option<String> {
        let plain = |element: &Element| if let Element::One(c) = element { Some(*c) } else { None };
        self.elements.iter().map(plain).collect()
    }

    /// Whether `name` matches as a whole.
    pub fn matches(&self, name: &str) -> bool {
        if name.starts_with('.') && self.elements.first() != Some(&Element::One('.')) {
            return false;
        }
        let name: Vec<char> = name.chars().collect();
        let (mut at, mut next) = (0, 0);
        let mut run: Option<(usize, usize)> = None;
        while let Some(c) = name.get(at) {
            match self.elements.get(next) {
                Some(Element::AnyRun) => {
                    next += 1;
                    run = Some((at, next));
                }
                Some(element) if element.takes(*c) => {
                    at += 1;
                    next += 1;
                }
                _ => match run.as_mut() {
                    Some((from, after)) => {
                        *from += 1;
                        (at, next) = (*from, *after);
                    }
                    None => return false,
                },
            }
        }
        self.elements.get(next..).is_some_and(|rest| rest.iter().all(|element| *element == Element::AnyRun))
    }
}

impl Element {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Any => true,
            Self::AnyRun => false,
            Self::One(own) => *own == c,
            Self::Set { negated, ranges } => {
                ranges.iter().any(|(first, last)| (*first..=*last).contains(&c)) != *negated
            }
        }
    }
}

/// A bracket expression whose content begins at `start`, with the index behind its `]`; `None` without a `]`, where
/// the bracket stands for itself.
fn set(chars: &[char], start: usize) -> Option<(Element, usize)> {
    let negated = matches!(chars.get(start), Some('!' | '^'));
    let first = start + usize::from(negated);
    let mut at = first;
    let mut ranges = Vec::new();
    loop {
        let mut low = *chars.get(at)?;
        if low == ']' && at > first {
            return Some((Element::Set { negated, ranges }, at + 1));
        }
        if low == '[' && chars.get(at + 1) == Some(&':') {
            let (class, end) = class(chars, at + 2)?;
            ranges.extend_from_slice(class);
            at = end;
            continue;
        }
        if low == '\\' {
            at += 1;
            low = *chars.get(at)?;
        }
        let mut high = low;
        if chars.get(at + 1) == Some(&'-') && chars.get(at + 2).is_some_and(|c| *c != ']') {
            at += 2;
            high = *chars.get(at)?;
            if high == '\\' {
                at += 1;
                high = *chars.get(at)?;
            }
        }
        ranges.push((low, high));
        at += 1;
    }
}

type Ranges = &'static [(char, char)];

/// The character classes, in the C locale.
const CLASSES: [(&str, Ranges); 7] = [
    ("alnum", &[('0', '9'), ('A', 'Z'), ('a', 'z')]),
    ("alpha", &[('A', 'Z'), ('a', 'z')]),
    ("digit", &[('0', '9')]),
    ("lower", &[('a', 'z')]),
    ("upper", &[('A', 'Z')]),
    ("xdigit", &[('0', '9'), ('A', 'F'), ('a', 'f')]),
    ("punct", &[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
];

/// The class whose name begins at `start`, with the index behind its `:]`.
fn class(chars: &[char], start: usize) -> Option<(Ranges, usize)> {
    CLASSES.iter().find_map(|(name, ranges)| {
        let end = start + name.len();
        let named = chars.get(start..end)?.iter().copied().eq(name.chars());
        let closed = chars.get(end..end + 2)? == [':', ']'];
        (named && closed).then_some((*ranges, end + 2))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hit(pattern: &str, name: &str) -> bool {
        Pattern::new(pattern).matches(name)
    }

    #[test]
    fn patterns_match_whole_names() {
        for (pattern, yes, no) in [
            ("*.conf", &["a.conf", "10-x.y.conf"][..], &[".conf", ".a.conf", "a.conf~", "a.conf.bak"][..]),
            (".*", &[".a", "."], &["a"]),
            ("[0-9]?-*", &["10-x"], &["a0-x", "1-x"]),
            ("[!a-c]x", &["dx", "-x"], &["ax", ".x"]),
            ("[]a]x", &["]x", "ax"], &["bx"]),
            ("[a-]x", &["-x", "ax"], &["bx"]),
            ("[[:digit:]_]x", &["5x", "_x"], &["ax"]),
            ("a[b", &["a[b"], &["ab"]),
            ("\\*", &["*"], &["a", "\\*"]),
            ("?a", &["ba"], &[".a"]),
        ] {
            for name in yes {
                assert!(hit(pattern, name), "{pattern} {name}");
            }
            for name in no {
                assert!(!hit(pattern, name), "{pattern} {name}");
            }
        }
    }

    #[test]
    fn what_has_nothing_to_match_is_a_literal() {
        assert_eq!(Pattern::new("a\\*b[").literal().as_deref(), Some("a*b["));
        assert_eq!(Pattern::new("a*").literal(), None);
    }

    /// The obvious matcher, exponential in the number of stars.
    fn naive(pattern: &[char], name: &[char]) -> bool {
        match (pattern.split_first(), name.split_first()) {
            (None, None) => true,
            (Some(('*', rest)), _) => {
                naive(rest, name) || name.split_first().is_some_and(|(_, tail)| naive(pattern, tail))
            }
            (Some((p, rest)), Some((c, tail))) => (*p == '?' || p == c) && naive(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn agrees_with_the_obvious_matcher(pattern in "[ab*?]{0,8}", name in "[ab]{0,8}") {
            let (chars, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), name.chars().collect());
            prop_assert_eq!(hit(&pattern, &name), naive(&chars, &text));
        }

        #[test]
        fn never_panics(pattern in "[-a*?\\[\\]!^\\\\:.ä]{0,20}", name in ".{0,10}") {
            let _ = hit(&pattern, &name);
        }
    }
}
