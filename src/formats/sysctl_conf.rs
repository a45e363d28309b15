//! One file of `/etc/sysctl.d` and its sibling folders.
//!
//! Follows systemd `src/sysctl/sysctl.c` (`parse_file`) and `src/basic/sysctl-util.c` (`sysctl_normalize`), the
//! program that applies these files at boot. Globs stay data: which keys they match, and that an explicit key
//! beats a glob, is decided where the kernel's keys are known.

use super::systemd_conf::{WHITESPACE, is_comment, systemd_lines};
use super::{Issue, Parsed};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Key as a path below `/proc/sys`, for example `net/ipv4/conf/eth0.10/rp_filter`; may be a glob.
    pub key: String,
    /// The value; `None` for a bare `-key`, which takes the key out of every glob.
    pub value: Option<String>,
    /// Written with a leading `-`: a failure to set it is not reported.
    pub ignore_errors: bool,
    /// Line in the file, counted from 1.
    pub line: u32,
}

impl Assignment {
    /// Whether the key is a glob (systemd `string_is_glob`).
    pub fn is_glob(&self) -> bool {
        self.key.contains(['*', '?', '['])
    }
}

/// Reads one file. Several assignments of a key are all returned, in order; the last one counts.
pub fn parse(text: &str) -> Parsed<Vec<Assignment>> {
    let mut parsed = Parsed::<Vec<Assignment>>::default();
    for (line, content) in systemd_lines(text) {
        let content = content.trim_matches(WHITESPACE);
        if content.is_empty() || is_comment(content) {
            continue;
        }
        let (content, dash) = content.strip_prefix('-').map_or((content, false), |rest| (rest, true));
        let (key, value) = match content.split_once('=') {
            Some((key, value)) => (key, Some(value.trim_matches(WHITESPACE).to_owned())),
            None if dash => (content, None),
            None => {
                parsed.issues.push(Issue::new(line, "not an assignment; systemd-sysctl ignores the line"));
                continue;
            }
        };
        let key = normalize(key.trim_matches(WHITESPACE));
        parsed.value.push(Assignment { key, value, ignore_errors: dash, line });
    }
    parsed
}

/// A key as a path below `/proc/sys`.
///
/// When the first separator is a dot, dots become slashes and slashes become dots; when it is a slash, the key
/// is a path already. Doubled slashes, `.` parts and slashes at the ends go away.
pub fn normalize(key: &str) -> String {
    let dotted = key.chars().find(|character| matches!(character, '.' | '/')) == Some('.');
    let swap = |character| match character {
        '.' if dotted => '/',
        '/' if dotted => '.',
        other => other,
    };
    let path: String = key.chars().map(swap).collect();
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dots_and_slashes_name_the_same_key() {
        assert_eq!(normalize("net.ipv4.ip_forward"), "net/ipv4/ip_forward");
        assert_eq!(normalize("net/ipv4/ip_forward"), "net/ipv4/ip_forward");
        assert_eq!(normalize("/net//ipv4/ip_forward/"), "net/ipv4/ip_forward");
    }

    #[test]
    fn an_interface_with_a_dot_is_written_with_a_slash_in_the_dotted_form() {
        assert_eq!(normalize("net.ipv4.conf.vmbr0/10.rp_filter"), "net/ipv4/conf/vmbr0.10/rp_filter");
        assert_eq!(normalize("net/ipv4/conf/vmbr0.10/rp_filter"), "net/ipv4/conf/vmbr0.10/rp_filter");
    }

    #[test]
    fn the_defaults_of_debian_13_are_read_with_globs_and_exclusions() {
        let text = "# comment\n; comment\nkernel.sysrq = 0x01b6\nnet.ipv4.conf.default.rp_filter = 2\n\
                    net.ipv4.conf.*.rp_filter = 2\n-net.ipv4.conf.all.rp_filter\n-net.ipv4.ping_group_range = 0 2147483647\n";
        let parsed = parse(text);
        assert_eq!(parsed.issues, []);
        let keys: Vec<_> = parsed.value.iter().map(|assignment| assignment.key.as_str()).collect();
        let expected = ["kernel/sysrq", "net/ipv4/conf/default/rp_filter", "net/ipv4/conf/*/rp_filter"];
        assert_eq!(keys.get(..3), Some(expected.as_slice()));
        assert!(parsed.value[2].is_glob() && !parsed.value[1].is_glob());
        assert_eq!((parsed.value[3].value.as_deref(), parsed.value[3].ignore_errors), (None, true));
        assert_eq!(parsed.value[4].value.as_deref(), Some("0 2147483647"));
        assert_eq!(parsed.value[4].line, 7);
    }

    #[test]
    fn a_line_without_an_assignment_is_an_issue() {
        let parsed = parse("Files located in this directory\nvm.swappiness=10\n");
        assert_eq!(parsed.issues[0].line, 1);
        assert_eq!(parsed.value.len(), 1);
    }

    #[test]
    fn only_the_first_equals_sign_separates_and_a_backslash_does_not_continue() {
        let parsed = parse("kernel.core_pattern=|/bin/x a=%p \\\nvm.swappiness=10\n");
        assert_eq!(parsed.value[0].value.as_deref(), Some("|/bin/x a=%p \\"));
        assert_eq!(parsed.value.len(), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn normalizing_a_slash_path_twice_changes_nothing(key in "[a-c/*]{0,20}") {
            let once = normalize(&key);
            prop_assert_eq!(normalize(&once), once);
        }

        #[test]
        fn never_panics_on_any_text(text in "[-=#;a-c./* \n\rä]{0,80}") {
            parse(&text);
        }
    }
}
