//! One file of `/etc/modprobe.d` and its sibling folders.
//!
//! Follows kmod `libkmod/libkmod-config.c` (`kmod_config_parse`) and `shared/util.c` (`freadline_wrapped`,
//! `underscores`): `-` and `_` are equal in names, a backslash before a newline joins lines.

use super::{Issue, Parsed, shown};

/// A line that names a module (or a glob of modules) and a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Module name with `_` for `-`; may be a glob.
    pub module: String,
    /// `options`: the parameters. `install`, `remove`: the shell command. `alias`: the module it stands for.
    /// `blacklist`: empty.
    pub text: String,
    /// First line of the entry, counted from 1.
    pub line: u32,
}

impl Entry {
    /// For `install`: whether the command does nothing but end, so that the module cannot be loaded by modprobe.
    pub fn blocks(&self) -> bool {
        let mut words = self.text.split([' ', '\t']).filter(|word| !word.is_empty());
        let first = words.next().is_some_and(|word| NO_OPERATIONS.contains(&word));
        first && !self.text.contains(['&', '|', ';', '`', '$', '(', '<', '>', '\n'])
    }

    /// Whether this entry is about the module `name` (`-` and `_` are equal; globs are not expanded).
    pub fn is_for(&self, name: &str) -> bool {
        self.module.len() == name.len()
            && self
                .module
                .bytes()
                .zip(name.bytes())
                .all(|(own, other)| own == other || (own == b'_' && other == b'-'))
    }
}

impl Entry {
    /// Whether this entry fits the module `name` as kmod sees it: by fnmatch(3), so that globs count.
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.replace('-', "_").chars().collect();
        let pattern: Vec<char> = self.module.chars().collect();
        fits(&pattern, &name)
    }
}

/// fnmatch(3) without flags. A `*` that leads nowhere is retried one character further, so the time is at most the
/// product of both lengths.
fn fits(pattern: &[char], name: &[char]) -> bool {
    let (mut rest, mut left) = (pattern, name);
    let mut star: Option<(&[char], &[char])> = None;
    loop {
        let step = match (rest.split_first(), left.split_first()) {
            (Some(('*', after)), _) => {
                star = Some((after, left));
                rest = after;
                continue;
            }
            (None, None) => return true,
            (Some(_), Some((character, _))) => one(rest, *character),
            _ => None,
        };
        match (step, star) {
            (Some(after), _) => (rest, left) = (after, left.get(1..).unwrap_or_default()),
            (None, Some((after, from))) if !from.is_empty() => {
                let from = from.get(1..).unwrap_or_default();
                star = Some((after, from));
                (rest, left) = (after, from);
            }
            _ => return false,
        }
    }
}

/// The pattern behind its first element, if that element fits `character`.
fn one(pattern: &[char], character: char) -> Option<&[char]> {
    let (first, after) = pattern.split_first()?;
    match first {
        '?' => Some(after),
        '[' => match bracket(after, character) {
            Some((true, after)) => Some(after),
            Some((false, _)) => None,
            None => (character == '[').then_some(after),
        },
        '\\' => after.split_first().filter(|(escaped, _)| **escaped == character).map(|(_, after)| after),
        _ => (*first == character).then_some(after),
    }
}

/// Whether `character` is in the bracket expression that starts here, and what follows it; `None` if it never ends.
fn bracket(pattern: &[char], character: char) -> Option<(bool, &[char])> {
    let (negated, body) = match pattern.split_first() {
        Some(('!' | '^', body)) => (true, body),
        _ => (false, pattern),
    };
    // A `]` in the first place stands for itself.
    let end = body.iter().skip(1).position(|one| *one == ']')? + 1;
    let (set, after) = (body.get(..end)?, body.get(end + 1..)?);
    let (mut inside, mut rest) = (false, set);
    while let Some((low, behind)) = rest.split_first() {
        if let ['-', high, behind @ ..] = behind {
            inside |= (*low..=*high).contains(&character);
            rest = behind;
        } else {
            inside |= *low == character;
            rest = behind;
        }
    }
    Some((inside != negated, after))
}

/// Commands after `install` that load nothing.
const NO_OPERATIONS: [&str; 6] =
    ["/bin/false", "/bin/true", "/usr/bin/false", "/usr/bin/true", "false", "true"];

/// What one file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ModprobeConf {
    /// `install MODULE COMMAND`: run instead of loading. kmod uses the **first** entry that matches.
    pub installs: Vec<Entry>,
    /// `blacklist MODULE`: the aliases inside the module are ignored; loading it by name still works.
    pub blacklisted: Vec<Entry>,
    /// `options MODULE PARAMETERS`: added to every load.
    pub options: Vec<Entry>,
    /// `alias NAME MODULE`: the name is in `module`, what it stands for in `text`.
    pub aliases: Vec<Entry>,
    /// `remove MODULE COMMAND`: run instead of unloading.
    pub removes: Vec<Entry>,
}

/// Reads one file.
pub fn parse(text: &str) -> Parsed<ModprobeConf> {
    let mut parsed = Parsed::<ModprobeConf>::default();
    for (line, content) in joined(text) {
        if content.starts_with('#') {
            continue;
        }
        let mut words = Words(&content);
        let Some(command) = words.next_word() else { continue };
        if let Err(what) = command_line(command, words, line, &mut parsed.value) {
            parsed.issues.push(Issue::new(line, what));
        }
    }
    parsed
}

fn command_line(
    command: &str,
    mut words: Words<'_>,
    line: u32,
    conf: &mut ModprobeConf,
) -> Result<(), String> {
    let list = match command {
        "install" => &mut conf.installs,
        "options" => &mut conf.options,
        "remove" => &mut conf.removes,
        "blacklist" => &mut conf.blacklisted,
        "alias" => &mut conf.aliases,
        "softdep" | "weakdep" => return Ok(()),
        "include" | "config" => {
            return Err(format!("`{command}` is not supported any more; kmod ignores the line"));
        }
        // An indented comment is a bad line to kmod, and ignored like one.
        comment if comment.starts_with('#') => return Ok(()),
        other => return Err(format!("unknown command {}; kmod ignores the line", shown(other))),
    };
    let bad = || format!("`{command}` is not complete; kmod ignores the line");
    let module = words.next_word().and_then(underscores).ok_or_else(bad)?;
    let text = match command {
        "blacklist" => String::new(),
        "alias" => words.next_word().and_then(underscores).ok_or_else(bad)?,
        _ if words.0.is_empty() => return Err(bad()),
        _ => words.0.trim_matches([' ', '\t', '\r']).to_owned(),
    };
    list.push(Entry { module, text, line });
    Ok(())
}

/// The words of a line, taken like `strtok_r` with blank and tab.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn next_word(&mut self) -> Option<&'a str> {
        let start = self.0.trim_start_matches([' ', '\t']);
        let (word, rest) = start.split_once([' ', '\t']).unwrap_or((start, ""));
        self.0 = rest;
        (!word.is_empty()).then_some(word)
    }
}

/// `name` with `_` for every `-` outside of `[…]`; `None` for an unbalanced bracket.
fn underscores(name: &str) -> Option<String> {
    let mut inside = false;
    let mut result = String::with_capacity(name.len());
    for character in name.chars() {
        match character {
            '[' => inside = true,
            ']' if !inside => return None,
            ']' => inside = false,
            _ => {}
        }
        result.push(if character == '-' && !inside { '_' } else { character });
    }
    (!inside).then_some(result)
}

/// The logical lines, with the number of their first line. A backslash before any other character vanishes
/// and the character stays, as in `freadline_wrapped`.
fn joined(text: &str) -> Vec<(u32, String)> {
    let mut lines = Vec::new();
    let (mut number, mut first, mut current) = (1_u32, 1_u32, String::new());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\n' => {
                number = number.saturating_add(1);
                lines.push((first, std::mem::take(&mut current)));
                first = number;
            }
            '\\' => match characters.next() {
                Some('\n') => number = number.saturating_add(1),
                Some(other) => current.push(other),
                None => {}
            },
            other => current.push(other),
        }
    }
    if !current.is_empty() {
        lines.push((first, current));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_usual_lines_are_read() {
        let text = "# hardening\ninstall usb-storage /bin/false\nblacklist nvidiafb\n\
                    options kvm-intel nested=Y\nalias net-pf-10 off\nremove x /sbin/y\n\
                    options vfio_iommu_type1 allow_unsafe_interrupts=1\nsoftdep a pre: b\n";
        let parsed = parse(text);
        assert_eq!(parsed.issues, []);
        let conf = parsed.value;
        assert!(conf.installs[0].blocks() && conf.installs[0].is_for("usb_storage"));
        assert!(conf.installs[0].is_for("usb-storage") && !conf.installs[0].is_for("usb-storag"));
        assert_eq!(conf.blacklisted[0].module, "nvidiafb");
        assert_eq!(
            (conf.options[0].module.as_str(), conf.options[0].text.as_str()),
            ("kvm_intel", "nested=Y")
        );
        assert_eq!((conf.aliases[0].module.as_str(), conf.aliases[0].text.as_str()), ("net_pf_10", "off"));
        assert_eq!(conf.options[1].line, 7);
    }

    #[test]
    fn a_pattern_fits_as_fnmatch_says() {
        let entry = |module: &str| Entry { module: module.to_owned(), text: String::new(), line: 1 };
        for (pattern, name, fits) in [
            ("sctp", "sctp", true),
            ("usb_storage", "usb-storage", true),
            ("sctp", "sctp_diag", false),
            ("sctp*", "sctp_diag", true),
            ("*", "", true),
            ("*_diag", "sctp_diag", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b", "xxaxxbxx", false),
            ("s?tp", "sctp", true),
            ("s?tp", "stp", false),
            ("[a-c]x", "bx", true),
            ("[!a-c]x", "bx", false),
            ("[^a-c]x", "dx", true),
            ("[]x]y", "]y", true),
            ("[ab", "[ab", true),
            ("\\*", "*", true),
            ("\\*", "a", false),
            ("", "a", false),
        ] {
            assert_eq!(entry(pattern).matches(name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn an_install_that_still_loads_the_module_does_not_block() {
        let parsed = parse(
            "install a /bin/true; /sbin/modprobe -i a\ninstall b /sbin/modprobe -i b\ninstall c  /bin/true \n",
        );
        let blocks: Vec<_> = parsed.value.installs.iter().map(Entry::blocks).collect();
        assert_eq!(blocks, [false, false, true]);
    }

    #[test]
    fn a_backslash_joins_lines_and_the_number_is_that_of_the_first() {
        let parsed = parse("options snd \\\n  index=0\nblacklist a\n");
        assert_eq!(parsed.value.options[0].text, "index=0");
        assert_eq!(parsed.value.blacklisted[0].line, 3);
    }

    #[test]
    fn a_comment_ending_in_a_backslash_swallows_the_next_line() {
        let parsed = parse("# note \\\ninstall dccp /bin/false\n");
        assert_eq!(parsed.value, ModprobeConf::default());
    }

    #[test]
    fn brackets_keep_their_dashes_and_must_balance() {
        let parsed = parse("alias char-major-10-[0-9]* x-y\nblacklist a]b\nblacklist a[b\n");
        assert_eq!(parsed.value.aliases[0].module, "char_major_10_[0-9]*");
        assert_eq!(parsed.issues.len(), 2);
    }

    #[test]
    fn incomplete_and_unknown_lines_are_issues() {
        let parsed = parse("install foo\nblacklist\nnonsense x\ninclude /etc/x\n  # indented\nalias a\n");
        assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [1, 2, 3, 4, 6]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn never_panics_on_any_text(text in "(install|options|alias|[a-c# \\\\\n\t\\[\\]ä-]){0,30}") {
            parse(&text);
        }
    }
}
