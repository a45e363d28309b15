//! The storages of a cluster: `/etc/pve/storage.cfg`.
//!
//! Follows `parse_config` and `decode_value` of pve-storage's `PVE::Storage::Plugin`. Beyond the section config: the
//! storage `local` always is the folder `/var/lib/vz` on every node, several types are shared whatever their section
//! says, and content a type cannot hold is left out.

use std::collections::{BTreeMap, BTreeSet};

use super::perl::{is_blank, split_list};
use super::property_string::{self, Properties};
use super::release::Release;
use super::section_config::{self, Entry, Fate, Section, Value};
use super::{Issue, Parsed, numbered, shell, vzdump};

mod table;
#[cfg(test)]
mod tests;

/// The id of the storage that always exists.
pub const LOCAL: &str = "local";

/// The folder `local` always is.
pub const LOCAL_PATH: &str = "/var/lib/vz";

/// What `local` holds when upstream makes it up.
pub const LOCAL_CONTENT: [&str; 6] = ["backup", "images", "iso", "rootdir", "snippets", "vztmpl"];

/// The storages of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StorageConfig {
    /// The storages upstream ends up with, by id.
    pub storages: BTreeMap<String, Storage>,
    /// Sections that stand in the file and that upstream does not use, except ones of third-party types.
    pub lost: Vec<Lost>,
    /// Secrets that stand in the file, which the web server can read.
    pub inline_secrets: Vec<InlineSecret>,
    /// Lines upstream ignores or reads as something else than they look like.
    pub ignored: Vec<Ignored>,
}

/// A line that does not do what it looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ignored {
    /// The id of the section the line stands in, or of the last one above it.
    pub section: Option<String>,
    /// Line in the file, counted from 1.
    pub line: u32,
    /// What is wrong, in the words of the issue. Never a value.
    pub what: String,
}

/// A section that stands in the file and that upstream does not use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// The type in the header, lower-case.
    pub kind: String,
    /// The id.
    pub id: String,
    /// Line of the header, counted from 1.
    pub line: u32,
    /// Why. An unknown type may belong to a third-party plugin, which only the node itself can tell.
    pub fate: Fate,
}

/// A property that holds a secret. Its value is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InlineSecret {
    /// The id of the section.
    pub storage: String,
    /// The name of the property.
    pub property: String,
    /// Line in the file, counted from 1.
    pub line: u32,
}

/// A storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storage {
    /// The id.
    pub id: String,
    /// The type.
    pub kind: String,
    /// Line of the header, or `None` if upstream makes the storage up.
    pub line: Option<u32>,
    /// What it holds: `images`, `rootdir`, `vztmpl`, `iso`, `backup`, `snippets`, `import`, `none`.
    pub content: BTreeSet<String>,
    /// Whether the content is the default of the type.
    pub content_is_default: bool,
    /// Whether it is the same on every node.
    pub shared: bool,
    /// Whether it is switched off.
    pub disabled: bool,
    /// The nodes it is on; `None` for all.
    pub nodes: Option<BTreeSet<String>>,
    /// Which backups are kept; absent means all.
    pub prune: Option<Properties>,
    /// How many backups of a guest may be protected; -1 for any number.
    pub max_protected_backups: Option<i64>,
    /// The mount options (`options` of nfs, cifs and cephfs). Credentials lose their value.
    pub mount_options: Vec<String>,
    /// Whether backups are marked as encrypted (pbs). Whether they are depends on a key file under `priv/storage`.
    pub marks_encryption: bool,
    /// Whether a master key is marked as set (pbs).
    pub marks_master_key: bool,
    /// All other properties, without secrets.
    entries: Vec<Entry>,
    /// Where every property stands.
    lines: BTreeMap<&'static str, u32>,
}

impl Storage {
    fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }

    /// The text of a property such as `path`, `server`, `pool`, `vgname`, `username`, `smbversion`.
    pub fn text(&self, name: &str) -> Option<&str> {
        match &self.entry(name)?.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// A boolean property such as `saferemove`, `krbd`, `skip-cert-verification`; `None` if it is not given.
    pub fn flag(&self, name: &str) -> Option<bool> {
        match self.entry(name)?.value {
            Value::Flag(flag) => Some(flag),
            _ => None,
        }
    }

    /// The line of a property.
    pub fn line_of(&self, name: &str) -> Option<u32> {
        self.lines.get(name).copied()
    }

    /// The folder of a storage made of files.
    pub fn path(&self) -> Option<&str> {
        self.text("path")
    }

    /// Whether it may be used on `node`.
    pub fn is_on(&self, node: &str) -> bool {
        self.nodes.as_ref().is_none_or(|nodes| nodes.contains(node))
    }

    /// Whether it holds this kind of content.
    pub fn holds(&self, content: &str) -> bool {
        self.content.contains(content)
    }

    /// Whether every backup is kept for ever as far as the storage says.
    pub fn keeps_everything(&self) -> bool {
        self.prune.as_ref().is_none_or(vzdump::keeps_everything)
    }

    /// Whether upstream refuses to use the folder while nothing is mounted there. `is_mountpoint` is a boolean word
    /// or the path where something must be mounted.
    pub fn guards_mount_point(&self) -> bool {
        self.text("is_mountpoint").is_some_and(|text| super::perl::boolean_word(text).unwrap_or(true))
    }
}

/// Reads the storages as `release` does.
pub fn parse(text: &str, release: Release) -> Parsed<StorageConfig> {
    let Parsed { value: sections, mut issues } = section_config::parse(text, &table::TABLE, release);
    let mut value = StorageConfig::default();
    for section in &sections.sections {
        value.inline_secrets.extend(inline_secrets(section));
    }
    for section in sections.lost() {
        value.lost.push(lost(section, section.fate.clone()));
    }
    for section in sections.effective() {
        match storage(section, release, &mut issues) {
            Some(storage) => {
                value.storages.insert(storage.id.clone(), storage);
            }
            None => value.lost.push(lost(section, Fate::Missing("content"))),
        }
    }
    force_local(&mut value, release, &mut issues);
    issues.sort();
    value.ignored = ignored(text, &sections.sections, &issues);
    Parsed { value, issues }
}

/// The issues by section, except those about lines that hold nothing: a line of blanks says nothing by itself.
fn ignored(text: &str, sections: &[Section], issues: &[Issue]) -> Vec<Ignored> {
    let blank: BTreeSet<u32> =
        numbered(text).filter(|(_, line)| is_blank(line)).map(|(number, _)| number).collect();
    let headers: BTreeMap<u32, &str> =
        sections.iter().map(|section| (section.line, section.id.as_str())).collect();
    let owner = |line| headers.range(..=line).next_back().map(|(_, id)| (*id).to_owned());
    let of_lines = issues.iter().filter(|issue| !blank.contains(&issue.line));
    of_lines
        .map(|issue| Ignored { section: owner(issue.line), line: issue.line, what: issue.what.clone() })
        .collect()
}

fn lost(section: &Section, fate: Fate) -> Lost {
    Lost { kind: section.kind.clone(), id: section.id.clone(), line: section.line, fate }
}

/// The two properties of a backup server that look like secrets hold a fingerprint or a mark.
const MARKS: [&str; 2] = ["encryption-key", "master-pubkey"];

fn inline_secrets(section: &Section) -> Vec<InlineSecret> {
    let secrets = section.secrets().into_iter().filter(|secret| !MARKS.contains(&secret.name.as_str()));
    secrets
        .map(|secret| InlineSecret { storage: section.id.clone(), property: secret.name, line: secret.line })
        .collect()
}

/// The storage of a section, or `None` if upstream loses it because its content makes no sense.
fn storage(section: &Section, release: Release, issues: &mut Vec<Issue>) -> Option<Storage> {
    let content = content(section, release, issues)?;
    let nodes = section.text("nodes").map(|list| split_list(list).into_iter().map(str::to_owned).collect());
    let kind = section.kind.as_str();
    let typed =
        ["content", "disable", "nodes", "options", "shared", "prune-backups", "max-protected-backups"];
    let is_other = |entry: &&Entry| !typed.contains(&entry.name) && entry.value != Value::Secret;
    Some(Storage {
        id: section.id.clone(),
        kind: kind.to_owned(),
        line: Some(section.line),
        content_is_default: section.text("content").is_none(),
        content,
        shared: table::SHARED_TYPES.contains(&kind) || section.flag("shared").unwrap_or(false),
        disabled: section.flag("disable").unwrap_or(false),
        nodes,
        prune: section.properties("prune-backups").cloned(),
        max_protected_backups: section.number("max-protected-backups"),
        mount_options: section.text("options").map(shell::mount_options).unwrap_or_default(),
        marks_encryption: section.has("encryption-key"),
        marks_master_key: section.has("master-pubkey"),
        entries: section.entries.iter().filter(is_other).cloned().collect(),
        lines: section.entries.iter().map(|entry| (entry.name, entry.line)).collect(),
    })
}

fn content(section: &Section, release: Release, issues: &mut Vec<Issue>) -> Option<BTreeSet<String>> {
    let rule = table::content_rule(&section.kind)?;
    let owned = |each: &&str| (*each).to_owned();
    let (Some(list), Some(line)) = (section.text("content"), section.line_of("content")) else {
        return Some(rule.default.iter().map(owned).collect());
    };
    let (kept, left): (Vec<&str>, Vec<&str>) =
        split_list(list).into_iter().partition(|each| table::holds(rule, each, release));
    if !left.is_empty() {
        issues.push(Issue::new(
            line,
            "the storage type cannot hold all of this content, upstream leaves the rest out",
        ));
    }
    let kept: BTreeSet<String> = kept.iter().map(owned).collect();
    if kept.contains("none") && kept.len() > 1 {
        issues.push(Issue::new(line, "`none` stands beside other content, upstream loses the storage"));
        return None;
    }
    if kept.is_empty() && !rule.valid.contains(&"none") {
        issues.push(Issue::new(line, "no content is left, upstream loses the storage"));
        return None;
    }
    Some(kept)
}

/// Upstream wants `local` to be the same everywhere: another type or path is replaced, `nodes` is removed.
fn force_local(config: &mut StorageConfig, release: Release, issues: &mut Vec<Issue>) {
    match config.storages.get_mut(LOCAL) {
        Some(local) if local.kind == "dir" && local.path() == Some(LOCAL_PATH) => {
            if local.nodes.take().is_some() {
                let line = local.line.unwrap_or(1);
                issues.push(Issue::new(
                    line,
                    "`nodes` has no effect on `local`, upstream uses it on every node",
                ));
            }
            return;
        }
        Some(other) => {
            let line = other.line.unwrap_or(1);
            issues.push(Issue::new(
                line,
                "`local` must be the folder /var/lib/vz, upstream replaces it with its default of that name",
            ));
        }
        None => {}
    }
    config.storages.insert(LOCAL.to_owned(), default_local(release));
}

fn default_local(release: Release) -> Storage {
    let path = Entry { name: "path", value: Value::Text(LOCAL_PATH.to_owned()), line: 1 };
    Storage {
        id: LOCAL.to_owned(),
        kind: "dir".to_owned(),
        line: None,
        content: LOCAL_CONTENT.iter().map(|each| (*each).to_owned()).collect(),
        content_is_default: true,
        shared: false,
        disabled: false,
        nodes: None,
        prune: property_string::parse(&vzdump::PRUNE, "keep-all=1", release).ok(),
        max_protected_backups: None,
        mount_options: Vec::new(),
        marks_encryption: false,
        marks_master_key: false,
        entries: vec![path],
        lines: BTreeMap::new(),
    }
}
