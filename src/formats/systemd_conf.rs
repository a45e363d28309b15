//! systemd's ini files: a main file such as `journald.conf` and its drop-ins.
//!
//! Follows systemd `src/shared/conf-parser.c` (`config_parse`, `parse_line`) and systemd.syntax(7): the files
//! are read in order and a later assignment wins; a backslash at the end of a line continues it; `#` and `;`
//! start comment lines, also inside a continued line. Which files there are, and their order, is the caller's.

use std::collections::BTreeMap;

use super::{Issue, numbered};

/// One `Key=value` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Text after `=`, without blanks around it; empty is the systemd way to say "back to the default".
    pub value: String,
    /// File it stands in.
    pub path: String,
    /// First line of the assignment, counted from 1.
    pub line: u32,
}

/// What a main file and its drop-ins say together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SystemdConf {
    /// Every assignment of a section and key, in the order they were read.
    assignments: BTreeMap<(String, String), Vec<Assignment>>,
    /// Every place that was not understood, with its file.
    pub issues: Vec<(String, Issue)>,
}

impl SystemdConf {
    /// The assignment in force: the last one; `None` when there is none or the last one is empty, so that the
    /// compiled default holds.
    pub fn effective(&self, section: &str, key: &str) -> Option<&Assignment> {
        self.all(section, key).last().filter(|assignment| !assignment.value.is_empty())
    }

    /// Every assignment in the order they were read.
    pub fn all(&self, section: &str, key: &str) -> &[Assignment] {
        self.assignments.get(&(section.to_owned(), key.to_owned())).map_or(&[], Vec::as_slice)
    }

    /// Every section and key that is assigned.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &str)> {
        self.assignments.keys().map(|(section, key)| (section.as_str(), key.as_str()))
    }
}

/// Reads files in the order systemd does: main file first, then the drop-ins sorted by file name.
///
/// A broken section header makes systemd stop: the rest of that file and all later files are not read.
pub fn merge(files: &[(&str, &str)]) -> SystemdConf {
    let mut conf = SystemdConf::default();
    for (path, text) in files {
        if !read(path, text, &mut conf) {
            break;
        }
    }
    conf
}

/// Lines as systemd's `read_line` sees them: LF, CR and NUL end a line. With LF line numbers from 1.
pub fn systemd_lines(text: &str) -> impl Iterator<Item = (u32, &str)> {
    numbered(text).flat_map(|(line, content)| {
        let content = content.strip_suffix('\r').unwrap_or(content);
        content.split(['\r', '\0']).map(move |part| (line, part))
    })
}

/// systemd's `WHITESPACE`.
pub const WHITESPACE: [char; 4] = [' ', '\t', '\n', '\r'];

/// Whether a line (blanks at the start removed) is a comment: systemd's `COMMENTS`.
pub fn is_comment(stripped: &str) -> bool {
    stripped.starts_with(['#', ';'])
}

/// Reads one file into `conf`; false when systemd would stop here.
fn read(path: &str, text: &str, conf: &mut SystemdConf) -> bool {
    let mut section = None;
    let mut continued: Option<(u32, String)> = None;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (number, content) in systemd_lines(text) {
        if is_comment(content.trim_start_matches(WHITESPACE)) {
            continue;
        }
        let (line, mut logical) = continued.take().unwrap_or((number, String::new()));
        logical.push_str(content);
        if ends_with_open_backslash(content) {
            logical.pop();
            logical.push(' ');
            continued = Some((line, logical));
        } else if !logical_line(path, line, &logical, &mut section, conf) {
            return false;
        }
    }
    continued.is_none_or(|(line, logical)| logical_line(path, line, &logical, &mut section, conf))
}

/// An odd number of backslashes at the end escapes the newline.
fn ends_with_open_backslash(content: &str) -> bool {
    content.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1
}

fn logical_line(
    path: &str,
    line: u32,
    text: &str,
    section: &mut Option<String>,
    conf: &mut SystemdConf,
) -> bool {
    let text = text.trim_matches(WHITESPACE);
    let mut issue = |what: &str| conf.issues.push((path.to_owned(), Issue::new(line, what)));
    if text.is_empty() {
        return true;
    }
    if let Some(header) = text.strip_prefix('[') {
        let Some(name) = header.strip_suffix(']') else {
            issue("broken section header; systemd reads neither the rest of this file nor later drop-ins");
            return false;
        };
        *section = Some(name.to_owned());
        return true;
    }
    let Some(section) = section else {
        issue("assignment outside of a section; systemd ignores it");
        return true;
    };
    match text.split_once('=') {
        None => issue("no `=` in the line; systemd ignores it"),
        Some((key, _)) if key.trim_matches(WHITESPACE).is_empty() => {
            issue("no name before `=`; systemd ignores the line");
        }
        Some((key, value)) => assign(path, line, (section, key.trim_matches(WHITESPACE)), value, conf),
    }
    true
}

fn assign(path: &str, line: u32, (section, key): (&str, &str), value: &str, conf: &mut SystemdConf) {
    let value = value.trim_matches(WHITESPACE).to_owned();
    let former = conf.assignments.entry((section.to_owned(), key.to_owned())).or_default();
    if value.is_empty() && former.last().is_some_and(|last| !last.value.is_empty()) {
        let what =
            "empty assignment after a value; lists are reset, switches and enumerations keep the value";
        conf.issues.push((path.to_owned(), Issue::new(line, what)));
    }
    former.push(Assignment { value, path: path.to_owned(), line });
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn one(text: &str) -> SystemdConf {
        merge(&[("journald.conf", text)])
    }

    fn value(conf: &SystemdConf, key: &str) -> Option<String> {
        conf.effective("Journal", key).map(|assignment| assignment.value.clone())
    }

    #[test]
    fn a_drop_in_beats_the_main_file() {
        let conf = merge(&[
            ("/etc/systemd/journald.conf", "[Journal]\nForwardToSyslog=no\n#Storage=auto\n"),
            ("/usr/lib/systemd/journald.conf.d/syslog.conf", "[Journal]\nForwardToSyslog=yes\n"),
        ]);
        let found = conf.effective("Journal", "ForwardToSyslog").unwrap();
        assert_eq!((found.value.as_str(), found.line), ("yes", 2));
        assert_eq!(found.path, "/usr/lib/systemd/journald.conf.d/syslog.conf");
        assert_eq!(conf.all("Journal", "ForwardToSyslog").len(), 2);
        assert_eq!(value(&conf, "Storage"), None);
        assert_eq!(conf.issues, []);
    }

    #[test]
    fn an_empty_assignment_goes_back_to_the_default_and_is_a_doubt_after_a_value() {
        assert_eq!(one("[Journal]\nStorage=\n").issues, []);
        let conf = one("[Journal]\nStorage=volatile\nStorage=\n");
        assert_eq!(value(&conf, "Storage"), None);
        assert_eq!(conf.issues[0].1.line, 3);
    }

    #[test]
    fn keys_and_sections_are_compared_exactly() {
        let conf = one("[journal]\nStorage=a\n[Journal]\nstorage=b\n");
        assert_eq!(value(&conf, "Storage"), None);
    }

    #[test]
    fn a_backslash_joins_lines_with_a_blank_and_comments_between_them_vanish() {
        let conf = one("[Journal]\nA=one \\\n# note\n  two\nB=x\\\\\nC=1\nD=end\\");
        assert_eq!(value(&conf, "A").as_deref(), Some("one    two"));
        assert_eq!(value(&conf, "B").as_deref(), Some("x\\\\"));
        assert_eq!(value(&conf, "D").as_deref(), Some("end"));
        assert_eq!(conf.effective("Journal", "A").unwrap().line, 2);
    }

    #[test]
    fn a_broken_header_stops_the_file_and_the_drop_ins() {
        let conf = merge(&[("a", "[Journal]\nA=1\n[Oops\nA=2\n"), ("b", "[Journal]\nA=3\n")]);
        assert_eq!(value(&conf, "A").as_deref(), Some("1"));
        assert_eq!(conf.issues[0].1.line, 3);
    }

    #[test]
    fn lines_outside_sections_and_without_equals_are_issues() {
        let conf = one("A=1\n[Journal]\nnonsense\n=x\n; note\n");
        assert_eq!(conf.issues.iter().map(|(_, issue)| issue.line).collect::<Vec<_>>(), [1, 3, 4]);
    }

    #[test]
    fn carriage_returns_end_lines_and_a_byte_order_mark_is_skipped() {
        let conf = one("\u{feff}[Journal]\r\nA=1\rB=2\r\n");
        assert_eq!((value(&conf, "A").as_deref(), value(&conf, "B").as_deref()), (Some("1"), Some("2")));
        assert_eq!(conf.issues, []);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn never_panics_on_any_text(text in "[\\[\\]=\\\\#;a-c \n\r\0ä]{0,80}") {
            one(&text);
        }

        #[test]
        fn the_last_of_plain_assignments_wins(values in proptest::collection::vec("[a-z]{1,5}", 1..8)) {
            let text = format!("A={}\n", values.join("\nA="));
            let conf = one(&format!("[Journal]\n{text}"));
            prop_assert_eq!(value(&conf, "A"), values.last().cloned());
        }
    }
}
