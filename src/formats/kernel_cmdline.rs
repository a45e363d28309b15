//! The kernel command line: `/proc/cmdline`, `/etc/kernel/cmdline`.
//!
//! Follows linux `lib/cmdline.c` (`next_arg`) and `kernel/params.c` (`parse_args`, `parameq`): blanks separate,
//! double quotes protect blanks and cannot be escaped, `-` and `_` are equal in names, and everything after
//! `--` goes to init.

use super::{Issue, Parsed, numbered};

/// Longest command line of x86 in bytes (linux `COMMAND_LINE_SIZE` is 2048 with the final NUL).
pub const COMMAND_LINE_LIMIT: usize = 2047;

/// One argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// Name as written, for example `kvm-intel.nested`.
    pub name: String,
    /// Text after `=` without the quotes; `None` without `=`.
    pub value: Option<String>,
    /// Line in the file, counted from 1.
    pub line: u32,
}

/// A command line, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KernelCmdline {
    /// Arguments for the kernel, and for init where the kernel does not know them.
    pub arguments: Vec<Argument>,
    /// Arguments after `--`: for init only.
    pub init_arguments: Vec<Argument>,
}

impl KernelCmdline {
    /// Every argument called `name` for the kernel, in order; `-` and `_` are equal.
    pub fn all<'a>(&'a self, name: &'a str) -> impl DoubleEndedIterator<Item = &'a Argument> {
        self.arguments.iter().filter(move |argument| same_name(&argument.name, name))
    }

    /// The last argument called `name`: the one in force for most parameters (`mitigations=`, `audit=`, …).
    pub fn last(&self, name: &str) -> Option<&Argument> {
        self.arguments.iter().rev().find(|argument| same_name(&argument.name, name))
    }
}

/// Whether two parameter names are equal to the kernel.
pub fn same_name(one: &str, other: &str) -> bool {
    let plain = |byte: u8| if byte == b'-' { b'_' } else { byte };
    one.len() == other.len() && one.bytes().zip(other.bytes()).all(|(a, b)| plain(a) == plain(b))
}

/// Reads a command line.
pub fn parse(text: &str) -> Parsed<KernelCmdline> {
    let mut parsed = Parsed::<KernelCmdline>::default();
    if text.trim_end().len() > COMMAND_LINE_LIMIT {
        parsed.issues.push(Issue::new(1, "longer than 2047 bytes; the kernel cuts the rest off"));
    }
    // Boot loaders pass bytes on as they are, but nobody writes these: the text is not what was meant.
    if let Some((line, _)) =
        numbered(text).find(|(_, content)| content.contains(|c: char| c.is_control() && c != '\t'))
    {
        parsed
            .issues
            .push(Issue::new(line, "a control character; the kernel takes it as part of an argument"));
    }
    let mut used = numbered(text).filter(|(_, content)| !content.trim().is_empty());
    if let (Some(_), Some((line, _))) = (used.next(), used.next()) {
        parsed
            .issues
            .push(Issue::new(line, "a second line; the boot loader entry takes the first line only"));
    }
    let mut for_init = false;
    let mut line = 1;
    let mut rest = text;
    loop {
        let trimmed = rest.trim_start_matches(is_space);
        line += newlines_before(rest, trimmed);
        if trimmed.is_empty() {
            return parsed;
        }
        let (word, quoted, open, after) = next_word(trimmed);
        if open {
            parsed
                .issues
                .push(Issue::new(line, "a quote is not closed; the kernel takes the rest as one argument"));
        }
        let argument = argument(word, quoted, line);
        if !for_init && argument.value.is_none() && argument.name == "--" {
            for_init = true;
        } else if for_init {
            parsed.value.init_arguments.push(argument);
        } else {
            parsed.value.arguments.push(argument);
        }
        line += newlines_before(trimmed, after);
        rest = after;
    }
}

/// The kernel's `isspace` for ASCII.
fn is_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\x0b' | '\x0c' | '\r')
}

/// Newlines in `text` before its suffix `rest`.
fn newlines_before(text: &str, rest: &str) -> u32 {
    let taken = text.len() - rest.len();
    u32::try_from(text.bytes().take(taken).filter(|byte| *byte == b'\n').count()).unwrap_or(u32::MAX)
}

/// The first word of `text`: without a leading quote, whether there was one, whether a quote is left open, and
/// the text behind the word.
fn next_word(text: &str) -> (&str, bool, bool, &str) {
    let (body, quoted) = text.strip_prefix('"').map_or((text, false), |body| (body, true));
    let mut open = quoted;
    for (at, character) in body.char_indices() {
        if is_space(character) && !open {
            let (word, after) = body.split_at_checked(at).unwrap_or((body, ""));
            return (word, quoted, false, after);
        }
        if character == '"' {
            open = !open;
        }
    }
    (body, quoted, open, "")
}

fn argument(word: &str, quoted: bool, line: u32) -> Argument {
    // An `=` as the very first character is not the separator: `next_arg` uses index 0 as "none yet".
    let equals = word.char_indices().skip(1).find(|(_, character)| *character == '=').map(|(at, _)| at);
    let without_end = |text: &str| text.strip_suffix('"').unwrap_or(text).to_owned();
    let Some((name, value)) = equals.and_then(|at| Some((word.get(..at)?, word.get(at + 1..)?))) else {
        let name = if quoted { without_end(word) } else { word.to_owned() };
        return Argument { name, value: None, line };
    };
    let value = match value.strip_prefix('"') {
        Some(inner) => without_end(inner),
        None if quoted => without_end(value),
        None => value.to_owned(),
    };
    Argument { name: name.to_owned(), value: Some(value), line }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pairs(text: &str) -> Vec<(String, Option<String>)> {
        parse(text).value.arguments.into_iter().map(|argument| (argument.name, argument.value)).collect()
    }

    fn pair(name: &str, value: Option<&str>) -> (String, Option<String>) {
        (name.to_owned(), value.map(str::to_owned))
    }

    #[test]
    fn a_proxmox_command_line_is_read() {
        let parsed = parse("root=ZFS=rpool/ROOT/pve-1 boot=zfs quiet intel_iommu=on\n");
        assert_eq!(parsed.issues, []);
        assert_eq!(parsed.value.last("root").unwrap().value.as_deref(), Some("ZFS=rpool/ROOT/pve-1"));
        assert_eq!(parsed.value.last("quiet").unwrap().value, None);
        assert!(parsed.value.last("mitigations").is_none());
    }

    #[test]
    fn dash_and_underscore_are_equal_and_the_last_one_counts() {
        let cmdline = parse("kvm-intel.vmentry_l1d_flush=never kvm_intel.vmentry_l1d_flush=always").value;
        assert_eq!(cmdline.last("kvm-intel.vmentry-l1d-flush").unwrap().value.as_deref(), Some("always"));
        assert_eq!(cmdline.all("kvm_intel.vmentry_l1d_flush").count(), 2);
    }

    #[test]
    fn quotes_protect_blanks_around_the_value_and_around_the_whole_argument() {
        assert_eq!(pairs(r#"a="b c" d"#), [pair("a", Some("b c")), pair("d", None)]);
        assert_eq!(pairs(r#""a=b c" d"#), [pair("a", Some("b c")), pair("d", None)]);
        assert_eq!(pairs(r#"a=b" "c"#), [pair("a", Some(r#"b" "c"#))]);
        assert_eq!(pairs(r#""plain word""#), [pair("plain word", None)]);
    }

    #[test]
    fn an_equals_sign_at_the_start_separates_nothing() {
        assert_eq!(pairs("=a=b"), [pair("=a", Some("b"))]);
        assert_eq!(pairs("="), [pair("=", None)]);
        assert_eq!(pairs("a="), [pair("a", Some(""))]);
    }

    #[test]
    fn what_follows_two_dashes_is_not_for_the_kernel() {
        let cmdline = parse("quiet -- mitigations=off").value;
        assert!(cmdline.last("mitigations").is_none());
        assert_eq!(cmdline.init_arguments[0].name, "mitigations");
    }

    #[test]
    fn an_open_quote_a_second_line_and_an_overlong_line_are_issues() {
        assert_eq!(parse("a=\"b mitigations=off").issues.len(), 1);
        assert_eq!(parse("quiet\n\n# mitigations=off\n").issues[0].line, 3);
        assert_eq!(parse(&"a ".repeat(1025)).issues.len(), 1);
        assert_eq!(parse("quiet\n\n# x\n").value.arguments[1].line, 3);
    }

    /// The kernel's algorithm, transcribed with its indices.
    fn model(text: &str) -> Vec<(String, Option<String>)> {
        let chars: Vec<char> = text.chars().collect();
        let mut found = Vec::new();
        let mut at = 0;
        loop {
            while at < chars.len() && is_space(chars[at]) {
                at += 1;
            }
            if at == chars.len() {
                return found;
            }
            let quoted = chars[at] == '"';
            let start = at + usize::from(quoted);
            let (mut in_quote, mut equals, mut i) = (quoted, 0, 0);
            while start + i < chars.len() && (in_quote || !is_space(chars[start + i])) {
                if equals == 0 && chars[start + i] == '=' {
                    equals = i;
                }
                in_quote ^= chars[start + i] == '"';
                i += 1;
            }
            let text = |from: usize, to: usize| chars[from.min(to)..to].iter().collect::<String>();
            let end = start + i;
            let ends_quoted = i > 0 && chars[end - 1] == '"';
            if equals == 0 {
                found.push((text(start, end - usize::from(quoted && ends_quoted)), None));
            } else {
                let value = start + equals + 1;
                let opens = chars.get(value) == Some(&'"') && value < end;
                let cut = usize::from(ends_quoted && (opens || quoted));
                let name = text(start, start + equals);
                found.push((name, Some(text(value + usize::from(opens), end - cut))));
            }
            at = end;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn agrees_with_the_kernel_algorithm(text in "[ab=\" -]{0,24}") {
            prop_assume!(!text.contains("--"));
            prop_assert_eq!(pairs(&text), model(&text));
        }

        #[test]
        fn never_panics_on_any_text(text in "\\PC{0,60}") {
            parse(&text);
        }
    }
}
