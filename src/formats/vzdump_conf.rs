//! Backup defaults of a node: `/etc/vzdump.conf`.
//!
//! Follows `read_vzdump_defaults` of pve-manager's `PVE::VZDump` and `parse_config` of pve-common's
//! `PVE::JSONSchema`: `key: value` lines, indented or not, the last of several wins, words such as `yes` are
//! booleans, unknown keys do nothing.

use super::perl::{boolean_word, is_blank, is_space, trimmed};
use super::property_string::Kind;
use super::release::Release;
use super::section_config::{Property, check};
use super::shell::words;
use super::vzdump::{Gathered, OPTIONS, Options};
use super::{Issue, Parsed, numbered, shown};

/// Reads the backup defaults of a node as `release` does.
pub fn parse(text: &str, release: Release) -> Parsed<Options> {
    let mut issues = Vec::new();
    let mut gathered = Gathered::default();
    for (number, line) in numbered(text).map(|(number, line)| (number, trimmed(line))) {
        if is_blank(line) || line.starts_with('#') {
            continue;
        }
        match option(line, release) {
            Ok(None) => issues.push(Issue::new(number, "the option is unknown to backups, it does nothing")),
            Ok(Some((property, text))) => take(&mut gathered, &mut issues, (property, text, number), release),
            Err(why) => issues.push(Issue::new(number, why)),
        }
    }
    if gathered.has("storage")
        && let Some(line) = gathered.remove("dumpdir")
    {
        issues.push(Issue::new(line, "`storage` is set too, upstream ignores `dumpdir`"));
    }
    issues.sort();
    let mut options = gathered.finish();
    // A line of paths is split like a command line.
    options.exclude_paths = options.exclude_paths.iter().flat_map(|paths| words(paths)).collect();
    Parsed { value: options, issues }
}

/// `^(\S+?):\s*(.*)$`
fn option(line: &str, release: Release) -> Result<Option<(&'static Property, &str)>, &'static str> {
    const NO_OPTION: &str = "the line is no option, upstream ignores it";
    let first = line.chars().next().map_or(0, char::len_utf8);
    // The name has at least one character, so a colon at the very start belongs to it.
    let rest = line.get(first..).ok_or(NO_OPTION)?;
    let (tail, value) = rest.split_once(':').ok_or(NO_OPTION)?;
    let name = line.get(..first + tail.len()).ok_or(NO_OPTION)?;
    if name.contains(is_space) {
        return Err(NO_OPTION);
    }
    let knows = |property: &&Property| property.key.name == name && property.key.known_to(release);
    Ok(OPTIONS.iter().find(knows).map(|property| (property, trimmed(value))))
}

fn take(
    gathered: &mut Gathered,
    issues: &mut Vec<Issue>,
    (property, text, line): (&'static Property, &str, u32),
    release: Release,
) {
    let name = property.key.name;
    // The last value wins, even over a good one before it: a bad last value leaves the default.
    gathered.forget(property);
    let text = match (property.key.kind, boolean_word(text)) {
        (Kind::Boolean, Some(flag)) => {
            if flag {
                "1"
            } else {
                "0"
            }
        }
        _ => text,
    };
    match check(property, Some(text), release) {
        Ok(value) => gathered.add(property, value, line),
        Err(why) => issues.push(Issue::new(line, format!("option {} {why}, upstream drops it", shown(name)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Parsed<Options> {
        parse(text, Release::Pve9)
    }

    #[test]
    fn options_may_be_indented_and_comments_are_skipped() {
        let parsed = read(
            "# vzdump default settings\n#tmpdir: DIR\n\n  storage: nas \r\nmode:stop\nprune-backups: keep-last=3\n",
        );
        assert_eq!(parsed.issues, []);
        assert_eq!(parsed.value.storage.as_deref(), Some("nas"));
        assert_eq!(parsed.value.mode.as_deref(), Some("stop"));
        assert_eq!(parsed.value.prune.unwrap().number("keep-last"), Some(3));
    }

    #[test]
    fn words_are_booleans_here() {
        assert_eq!(read("stdexcludes: no\nremove: Yes\n").value.standard_excludes, Some(false));
        assert_eq!(read("remove: Yes\n").value.remove, Some(true));
        assert_eq!(read("remove: maybe\n").value.remove, None);
    }

    #[test]
    fn the_last_value_wins_even_if_it_is_bad() {
        assert_eq!(read("mode: stop\nmode: suspend\n").value.mode.as_deref(), Some("suspend"));
        let parsed = read("mode: stop\nmode: nonsense\n");
        assert_eq!((parsed.value.mode, parsed.issues.len()), (None, 1));
    }

    #[test]
    fn a_storage_beats_a_folder() {
        let parsed = read("storage: nas\ndumpdir: /mnt\n");
        assert_eq!(parsed.value.dump_folder, None);
        assert_eq!(parsed.issues.len(), 1);
    }

    #[test]
    fn lines_without_colon_and_unknown_options_have_an_issue() {
        let lines: Vec<_> =
            read("storage nas\nfoo: 1\na b: c\n").issues.into_iter().map(|issue| issue.line).collect();
        assert_eq!(lines, [1, 2, 3]);
    }

    #[test]
    fn excluded_paths_pile_up_and_each_line_may_hold_several() {
        assert_eq!(
            read("exclude-path: /a '/b c'\nexclude-path: /d\n").value.exclude_paths,
            ["/a", "/b c", "/d"]
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn parsing_never_panics(text in "[ :a-z\n\r#é]{0,60}", any in ".{0,40}") {
            let _ = read(&text);
            let _ = read(&any);
        }
    }
}
