//! What journald is told, and where it keeps its journal.
//!
//! Follows systemd `src/shared/conf-parser.c` (`config_parse_standard_file_with_dropins`) and journald.conf(5): one
//! main file, the first that is found, then the drop-ins of all folders sorted by file name.

use std::collections::BTreeMap;

use super::has_end;
use crate::files::{Kind, Text};
use crate::formats::systemd_conf::{self, Assignment, SystemdConf};
use crate::host::{Doubt, Gather, Stop};

/// The main file.
pub const JOURNALD_CONF: &str = "/etc/systemd/journald.conf";

/// The folder whose existence makes `Storage=auto` persistent.
pub const JOURNAL_FOLDER: &str = "/var/log/journal";

/// Where systemd looks for its configuration files, the first folder winning for files of one name.
const FOLDERS: [&str; 5] =
    ["/etc/systemd", "/run/systemd", "/usr/local/lib/systemd", "/usr/lib/systemd", "/lib/systemd"];

/// Where the journal is kept (`Storage=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Storage {
    /// On disk if `/var/log/journal` exists, else in memory: the default.
    #[default]
    Auto,
    /// In memory.
    Volatile,
    /// On disk.
    Persistent,
    /// Nowhere.
    None,
}

impl Storage {
    /// The word of journald.conf(5).
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Volatile => "volatile",
            Self::Persistent => "persistent",
            Self::None => "none",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Auto, Self::Volatile, Self::Persistent, Self::None].into_iter().find(|one| one.name() == word)
    }
}

/// What journald is told.
#[derive(Debug, Clone, Default)]
pub struct Journal {
    /// `Storage=` in force: the last value journald knows, for it ignores others.
    pub storage: Storage,
    /// Where that stands; `None` for the default.
    pub storage_at: Option<Assignment>,
    /// Whether `/var/log/journal` is there; `None` where that is not told, as in a tree without `/var/log`.
    pub folder: Option<bool>,
    /// The files it was read from, in order, without empty ones.
    pub files: Vec<String>,
}

pub(super) fn read(gather: &mut Gather<'_>) -> Result<Journal, Stop> {
    let files = files(gather, "journald.conf");
    let texts: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), text.as_ref())).collect();
    let conf = systemd_conf::merge(&texts);
    for (path, issue) in &conf.issues {
        gather.doubt(Doubt::at(path, issue.line, &issue.what));
    }
    let storage_at = storage(gather, &conf);
    Ok(Journal {
        storage: storage_at.as_ref().and_then(|at| Storage::from_word(&at.value)).unwrap_or_default(),
        storage_at,
        folder: folder(gather)?,
        files: files.into_iter().filter(|(_, text)| !text.trim().is_empty()).map(|(path, _)| path).collect(),
    })
}

fn storage(gather: &mut Gather<'_>, conf: &SystemdConf) -> Option<Assignment> {
    let mut known = None;
    for assignment in conf.all("Journal", "Storage") {
        if Storage::from_word(&assignment.value).is_some() {
            known = Some(assignment);
        } else if !assignment.value.is_empty() {
            let what = "journald does not know this storage and ignores the line";
            gather.doubt(Doubt::at(&assignment.path, assignment.line, what));
        }
    }
    known.cloned()
}

fn folder(gather: &Gather<'_>) -> Result<Option<bool>, Stop> {
    match gather.files().stat(JOURNAL_FOLDER) {
        Ok(meta) => Ok(Some(meta.kind == Kind::Folder)),
        Err(trouble) if !trouble.is_missing() => Err(trouble.into()),
        Err(_) => Ok(gather.files().stat("/var/log").is_ok().then_some(false)),
    }
}

/// The main file `name` and its drop-ins, in the order in which systemd reads them.
fn files(gather: &mut Gather<'_>, name: &str) -> Vec<(String, Text)> {
    let mut found = Vec::new();
    for folder in FOLDERS {
        let path = format!("{folder}/{name}");
        match gather.files().text(&path) {
            Err(trouble) if trouble.is_missing() && !is_null(gather, &path) => continue,
            // Not part of the configuration, but it keeps the same file of later folders from being read.
            Err(_) if is_null(gather, &path) => {}
            answer => {
                if let Some(text) = gather.part_of(&path, answer) {
                    found.push((path, text));
                }
            }
        }
        break;
    }
    let mut drop_ins: BTreeMap<String, String> = BTreeMap::new();
    for folder in FOLDERS {
        let folder = format!("{folder}/{name}.d");
        for entry in gather.folder(&folder) {
            if entry.kind != Kind::Folder && has_end(&entry.name, "conf") && !entry.name.starts_with('.') {
                let path = format!("{folder}/{}", entry.name);
                drop_ins.entry(entry.name).or_insert(path);
            }
        }
    }
    for path in drop_ins.into_values() {
        if !is_null(gather, &path)
            && let Some(text) = gather.part(&path)
        {
            found.push((path, text));
        }
    }
    found
}

/// A link to `/dev/null` switches a file of the same name further down off.
fn is_null(gather: &Gather<'_>, path: &str) -> bool {
    gather.files().link(path).is_ok_and(|target| target == "/dev/null")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Files, Node, Tree, TroubleKind};
    use crate::host::Fact;

    fn journal(nodes: &[(&str, Node)]) -> Fact<Journal> {
        let mut tree = Tree::default();
        for (path, node) in nodes {
            tree.insert(path, node.clone());
        }
        Fact::gather(&Files::memory(tree), read)
    }

    fn storage_of(files: &[(&str, &str)]) -> (Storage, usize) {
        let nodes: Vec<(&str, Node)> = files.iter().map(|(path, text)| (*path, Node::file(*text))).collect();
        let fact = journal(&nodes);
        (fact.value.unwrap().storage, fact.doubts.len())
    }

    #[test]
    fn drop_ins_of_all_folders_beat_the_main_file() {
        let files = [
            ("/etc/systemd/journald.conf", "[Journal]\nStorage=persistent\n"),
            ("/usr/lib/systemd/journald.conf.d/50-x.conf", "[Journal]\nStorage=volatile\n"),
        ];
        assert_eq!(storage_of(&files), (Storage::Volatile, 0));
    }

    #[test]
    fn drop_ins_are_sorted_by_name_and_the_first_folder_wins_for_one_name() {
        let files = [
            ("/etc/systemd/journald.conf.d/10-a.conf", "[Journal]\nStorage=persistent\n"),
            ("/usr/lib/systemd/journald.conf.d/20-b.conf", "[Journal]\nStorage=none\n"),
        ];
        assert_eq!(storage_of(&files), (Storage::None, 0));
        let files = [
            ("/etc/systemd/journald.conf.d/20-b.conf", "[Journal]\nStorage=persistent\n"),
            ("/usr/lib/systemd/journald.conf.d/20-b.conf", "[Journal]\nStorage=none\n"),
        ];
        assert_eq!(storage_of(&files), (Storage::Persistent, 0));
    }

    #[test]
    fn only_the_first_main_file_is_read() {
        let files = [
            ("/etc/systemd/journald.conf", "[Journal]\n"),
            ("/usr/lib/systemd/journald.conf", "[Journal]\nStorage=none\n"),
        ];
        assert_eq!(storage_of(&files), (Storage::Auto, 0));
        assert_eq!(storage_of(&files[1..]), (Storage::None, 0));
    }

    #[test]
    fn a_link_to_null_switches_a_drop_in_off() {
        let fact = journal(&[
            ("/etc/systemd/journald.conf.d/a.conf", Node::link("/dev/null")),
            ("/usr/lib/systemd/journald.conf.d/a.conf", Node::file("[Journal]\nStorage=none\n")),
        ]);
        assert_eq!((fact.value.unwrap().storage, fact.doubts.len()), (Storage::Auto, 0));
    }

    #[test]
    fn a_value_journald_does_not_know_leaves_the_former_one_in_force() {
        let text = "[Journal]\nStorage=volatile\nStorage=Persistent\n";
        assert_eq!(storage_of(&[("/etc/systemd/journald.conf", text)]), (Storage::Volatile, 1));
    }

    #[test]
    fn hidden_drop_ins_and_those_of_other_names_are_not_read() {
        for name in [".a.conf", "a.conf.bak", "a"] {
            let path = format!("/etc/systemd/journald.conf.d/{name}");
            assert_eq!(storage_of(&[(&path, "[Journal]\nStorage=none\n")]), (Storage::Auto, 0), "{name}");
        }
    }

    #[test]
    fn an_unreadable_drop_in_is_a_doubt_and_an_unreadable_main_file_does_not_give_way_to_another() {
        let denied = Node::file("x").failing(TroubleKind::Denied);
        assert_eq!(journal(&[("/etc/systemd/journald.conf.d/a.conf", denied.clone())]).doubts.len(), 1);
        let fact = journal(&[
            ("/etc/systemd/journald.conf", denied),
            ("/usr/lib/systemd/journald.conf", Node::file("[Journal]\nStorage=none\n")),
        ]);
        assert_eq!((fact.value.unwrap().storage, fact.doubts.len()), (Storage::Auto, 1));
    }

    #[test]
    fn whether_there_is_a_folder_for_the_journal_is_told_only_where_its_parent_is() {
        let there = journal(&[("/var/log/journal", Node::folder())]);
        assert_eq!(there.value.unwrap().folder, Some(true));
        assert_eq!(journal(&[("/var/log", Node::folder())]).value.unwrap().folder, Some(false));
        assert_eq!(journal(&[]).value.unwrap().folder, None);
        let denied = journal(&[("/var/log/journal", Node::folder().failing(TroubleKind::Denied))]);
        assert!(matches!(denied.value, Err(Stop::Unknown(_))));
    }
}
