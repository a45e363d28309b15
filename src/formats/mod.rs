//! Text in, typed value out: one module per file format.
//!
//! A parser is a pure, total function over text. It opens nothing, judges nothing, cannot fail and cannot
//! panic: it returns everything it understood, read exactly as the upstream program reads it, and an
//! [`Issue`] with a line number for everything else. Each module names the upstream source it follows.
//!
//! Secrets never leave a parser: it keeps facts about them (present, hash scheme, kind of factor), never the
//! text, and an issue about a file that may hold secrets never quotes the line.

pub mod apt_auth;
pub mod apt_conf;
pub mod apt_match;
pub mod apt_preferences;
pub mod apt_sources;
pub mod apt_text;
pub mod bytes;
pub(crate) mod calendar_event;
pub mod cluster_database;
pub mod corosync_conf;
pub mod cpuinfo;
pub mod crypt_hash;
pub mod crypttab;
pub mod datacenter_cfg;
pub mod debian_version;
pub mod directory_mapping;
pub mod dm_uuid;
pub mod domains_cfg;
pub mod dpkg_status;
pub mod environment_file;
pub mod escapes;
pub mod firewall;
pub mod fstab;
pub mod glob_pattern;
pub mod group;
pub mod guest;
pub mod hosts;
pub mod interfaces;
pub mod jobs_cfg;
pub mod kernel_cmdline;
pub mod lvm_backup;
pub mod members;
pub mod modprobe_conf;
pub mod module_list;
pub mod mount_options;
pub mod mountinfo;
pub mod network_command;
pub mod node_config;
mod nss_files;
pub mod openssl_ciphers;
pub mod os_release;
pub mod package_list;
pub mod passwd;
pub mod pem_subject;
mod percent;
mod perl;
pub mod proc_modules;
pub mod proc_net;
pub mod proc_route;
pub mod proc_swaps;
pub mod proc_version;
pub mod property_string;
pub mod proxy_default;
pub mod release;
pub mod release_file;
pub mod sdn;
pub mod section_config;
pub mod shadow;
pub mod shadow_cfg;
mod shell;
pub mod sqlite;
pub mod ssh_keys;
pub mod sshd;
pub mod storage_cfg;
pub mod sysctl_conf;
pub mod systemd_conf;
pub mod tag_file;
pub mod tfa_cfg;
pub mod token_cfg;
pub mod user_cfg;
mod verify;
pub mod vmlist;
pub mod vzdump;
pub mod vzdump_conf;
pub mod vzdump_cron;
pub mod zfs_list_cache;

/// What a parser made of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parsed<T> {
    /// Everything that was understood, as upstream would use it.
    pub value: T,
    /// Every place that was not understood or that upstream drops, in line order.
    pub issues: Vec<Issue>,
}

/// A place in a text that was not understood, or that upstream ignores or refuses.
///
/// An issue is a doubt: a pass that rests on its file becomes unknown.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Issue {
    /// Line in the file, counted from 1.
    pub line: u32,
    /// What kind of issue it is, for machines: stable words in lower case joined by hyphens. A parser that does not
    /// tell its issues apart leaves it at [`Issue::UNCODED`].
    pub code: &'static str,
    /// What is wrong and what upstream does with it: one sentence without a full stop, starting in lower case.
    pub what: String,
}

impl Issue {
    /// The code of an issue whose parser has no codes.
    pub const UNCODED: &'static str = "not-understood";

    /// An issue at `line` (counted from 1).
    pub fn new(line: u32, what: impl Into<String>) -> Self {
        Self::coded(line, Self::UNCODED, what)
    }

    /// An issue of this kind at `line` (counted from 1).
    pub fn coded(line: u32, code: &'static str, what: impl Into<String>) -> Self {
        Self { line, code, what: what.into() }
    }
}

/// A value with the line it stands on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Line in the file, counted from 1.
    pub line: u32,
}

impl<T> Located<T> {
    /// `value`, standing on `line` (counted from 1).
    pub fn new(value: T, line: u32) -> Self {
        Self { value, line }
    }
}

/// The lines of `text` (split at LF only, the LF removed, a CR kept), each with its number counted from 1.
pub fn numbered(text: &str) -> impl Iterator<Item = (u32, &str)> {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let lines = if text.is_empty() { None } else { Some(body.split('\n')) };
    lines.into_iter().flatten().zip(1_u32..).map(|(line, number)| (number, line))
}

/// `text` shortened to at most `limit` characters, for quoting a piece of a file in a message.
pub fn shown(text: &str) -> String {
    const LIMIT: usize = 60;
    let mut short: String = text.chars().take(LIMIT).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("`{short}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_numbered_from_one_and_the_last_newline_ends_the_last_line() {
        let lines: Vec<_> = numbered("a\n\nb\r\n").collect();
        assert_eq!(lines, [(1, "a"), (2, ""), (3, "b\r")]);
        assert_eq!(numbered("").count(), 0);
        assert_eq!(numbered("\n").count(), 1);
        assert_eq!(numbered("a").count(), 1);
    }

    #[test]
    fn a_quoted_piece_is_bounded() {
        assert_eq!(shown("abc"), "`abc`");
        assert_eq!(shown(&"ä".repeat(100)).chars().count(), 63);
    }
}
