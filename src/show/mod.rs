//! `pve-audit show`: the effective facts themselves, readable or as JSON.

mod access;
mod apt;
mod guests;
pub mod reach;
pub mod sshd;
mod storage;
mod updates;

use std::fmt;
use std::io::{self, Write};

use clap::ValueEnum;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::formats::release::Release;
use crate::host::{Doubt, Host};
use crate::report::{clean, clean_whole};
pub use access::Question;

/// A fact that can be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Name {
    /// The host: release, node, cluster
    Host,
    /// The storages: content, nodes, encryption at rest, backups
    Storage,
    /// The settings of the SSH server, as `sshd -T` prints them
    Sshd,
    /// Access control: users and tokens, what they may do where, who can become root and how
    Access,
    /// Guests: isolation, networks, disks, devices, snapshots
    Guests,
    /// Package sources as apt merges them
    Apt,
    /// Pending updates: which are of security, which are held, how old the lists are
    Updates,
    /// Who reaches the node and its guests through the firewall, and which line decides
    Reach,
}

/// A fact ready to be printed.
pub struct Shown {
    /// For machines.
    pub json: Value,
    /// For people, lines ending with a newline.
    pub text: String,
}

/// Why nothing is shown.
#[derive(Debug)]
pub enum Refusal {
    /// The question asks for what cannot be: one sentence.
    Question(String),
    /// There is nothing to show: one sentence.
    Unknown(String),
    /// It could not be written.
    NotWritten(io::Error),
}

impl Shown {
    /// As JSON or as text. Untrusted characters are made visible in both: JSON too is looked at on a terminal.
    pub fn print(&self, as_json: bool) -> String {
        if as_json {
            // A value of strings, numbers and lists cannot fail to print.
            return serde_json::to_string_pretty(&harmless(&self.json))
                .map(|text| text + "\n")
                .unwrap_or_default();
        }
        self.text.lines().fold(String::new(), |out, line| out + &clean(line) + "\n")
    }
}

/// The value with every text of it made harmless.
fn harmless(value: &Value) -> Value {
    match value {
        Value::String(text) => Value::String(harmless_text(text)),
        Value::Array(list) => list.iter().map(harmless).collect(),
        Value::Object(map) => map.iter().map(|(key, value)| (harmless_text(key), harmless(value))).collect(),
        other => other.clone(),
    }
}

/// The text made harmless, whole. Two different texts stay different: a name that is spelled like an escaped
/// character is no such character.
fn harmless_text(text: &str) -> String {
    if text.contains("\\u{") { clean_whole(&text.replace("\\u{", "\\u{5c}u{")) } else { clean_whole(text) }
}

/// A doubt, for the `issues` of a fact.
#[derive(Debug, Serialize)]
pub struct ShownIssue {
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    what: String,
}

impl fmt::Display for ShownIssue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.path, self.what),
            None => write!(f, "{} {}", self.path, self.what),
        }
    }
}

/// The doubts of a fact, for its `issues`.
pub fn issues(doubts: &[Doubt]) -> Vec<ShownIssue> {
    let issue =
        |doubt: &Doubt| ShownIssue { path: doubt.path.clone(), line: doubt.line, what: clean(&doubt.what) };
    doubts.iter().map(issue).collect()
}

/// Reads a fact and writes it. The question is about [`Name::Access`] alone.
///
/// # Errors
/// Why nothing is shown.
pub fn write(
    host: &Host,
    name: Name,
    now: Timestamp,
    question: &Question,
    as_json: bool,
    out: &mut dyn Write,
) -> Result<(), Refusal> {
    let shown = match name {
        // It can be too much to hold.
        Name::Access => return access::write(host, now, question, as_json, out),
        Name::Reach => return reach::write(host, now.as_second(), as_json, out),
        Name::Host => Ok(shown_host(host)),
        Name::Storage => storage::shown(host),
        Name::Sshd => sshd::shown(host),
        Name::Guests => guests::shown(host),
        Name::Apt => apt::shown(host),
        Name::Updates => updates::shown(host, now),
    };
    let shown = shown.map_err(Refusal::Unknown)?;
    out.write_all(shown.print(as_json).as_bytes()).map_err(Refusal::NotWritten)
}

/// Everything this host has to show, as JSON and as text.
pub fn every(host: &Host, now: Timestamp) -> String {
    let mut out = Vec::new();
    for name in Name::value_variants() {
        for as_json in [true, false] {
            // What a host does not have is left out.
            let _ = write(host, *name, now, &Question::default(), as_json, &mut out);
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn shown_host(host: &Host) -> Shown {
    let release = host.release().ok().map(Release::major);
    let cluster = host.cluster();
    let json = serde_json::json!({
        "name": host.node_name(),
        "proxmox": host.is_proxmox(),
        "pve_version": host.pve_version(),
        "pve_release": release,
        "cluster": cluster.as_ref().map(|cluster| serde_json::json!({
            "uid": cluster.uid, "name": cluster.name, "quorate": cluster.quorate, "nodes": cluster.nodes,
        })),
    });
    let text = format!(
        "node     {}\nversion  {}\ncluster  {}\n",
        host.node_name().unwrap_or_default(),
        host.pve_version().unwrap_or_else(|| "unknown".to_owned()),
        cluster.and_then(|cluster| cluster.name).unwrap_or_else(|| "none".to_owned()),
    );
    Shown { json, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_drives_no_terminal_and_is_not_cut() {
        let long = "x".repeat(2000);
        let json = serde_json::json!({ "a\u{9b}2J": ["\u{202e}b", { "c": long }], "n": 1 });
        let printed = Shown { json, text: String::new() }.print(true);
        assert!(
            printed.contains("a\\\\u{9b}2J") && printed.contains("\\\\u{202e}b") && printed.contains(&long)
        );
        assert!(!printed.contains(['\u{9b}', '\u{202e}']));
    }
}
