//! Which units start at boot.
//!
//! Follows systemd.unit(5), systemd `src/core/load-dropin.c` (`process_deps`) and `src/basic/unit-file.c`
//! (`unit_file_build_name_map`): the links in `*.wants` and `*.requires` folders start units, a link beside the
//! units is another name of a unit, and a link to `/dev/null` or an empty file masks one. Whether the unit that wants
//! another one starts itself is not followed.

use std::collections::{BTreeMap, BTreeSet};

use super::has_end;
use crate::files::{Entry, Kind};
use crate::host::{Gather, Stop};

/// Where an administrator's enablement of units lies.
pub const UNIT_FOLDER: &str = "/etc/systemd/system";

/// Where systemd looks for units and links, the first folder winning for one name (systemd.unit(5), "System Unit
/// Search Path"). `/lib` is another folder than `/usr/lib` only where Debian 11 was not merged.
const SEARCH_PATH: [&str; 11] = [
    "/etc/systemd/system.control",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    UNIT_FOLDER,
    "/run/systemd/system",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/generator.late",
];

/// Folders of packages: no file in them is empty, so none is examined for that.
const PACKAGED: [&str; 2] = ["/usr/lib/systemd/system", "/lib/systemd/system"];

/// Longest chain of names followed (systemd `FOLLOW_MAX`).
const FOLLOW_MAX: usize = 8;

/// Which units start at boot.
#[derive(Debug, Clone, Default)]
pub struct Units {
    /// Wanted units with the link that wants them; masked ones included.
    wanted: BTreeMap<String, String>,
    /// Masked units with the link or empty file that masks them.
    masked: BTreeMap<String, String>,
    /// Other names of units.
    aliases: BTreeMap<String, String>,
    /// Units that a unit file or drop-in of the administrator asks for, with that file.
    named: BTreeMap<String, String>,
}

/// Keys that start another unit along with their own.
const STARTING_KEYS: [&str; 4] = ["Wants", "Requires", "BindsTo", "Upholds"];

impl Units {
    /// The link that starts the unit at boot, under any of its names; `None` for a masked unit.
    pub fn starts(&self, name: &str) -> Option<&str> {
        if self.mask(name).is_some() {
            return None;
        }
        let unit = self.real_name(name);
        let named = self.wanted.get(unit).or_else(|| {
            let other = self.aliases.keys().filter(|alias| self.real_name(alias) == unit);
            other.filter(|alias| !self.masked.contains_key(*alias)).find_map(|alias| self.wanted.get(alias))
        });
        named.map(String::as_str)
    }

    /// The administrator's file that asks for the unit. Whether it is started itself is not followed.
    pub fn named(&self, name: &str) -> Option<&str> {
        self.named.get(name).or_else(|| self.named.get(self.real_name(name))).map(String::as_str)
    }

    /// What masks the unit.
    pub fn mask(&self, name: &str) -> Option<&str> {
        let mask = self.masked.get(name).or_else(|| self.masked.get(self.real_name(name)));
        mask.map(String::as_str)
    }

    /// The unit that `name` is another name of, or `name` itself.
    pub fn real_name<'a>(&'a self, name: &'a str) -> &'a str {
        let mut real = name;
        for _ in 0..FOLLOW_MAX {
            match self.aliases.get(real) {
                Some(next) => real = next,
                None => break,
            }
        }
        real
    }
}

pub(super) fn read(gather: &mut Gather<'_>) -> Result<Units, Stop> {
    // There is no host without it: where it is missing, nothing was read.
    gather.files().list(UNIT_FOLDER)?;
    let mut reader =
        Reader { gather, units: Units::default(), seen: BTreeSet::new(), wants: BTreeSet::new() };
    let merged = reader.gather.files().link("/lib").is_ok();
    for folder in SEARCH_PATH.into_iter().filter(|folder| !(merged && folder.starts_with("/lib/"))) {
        for entry in reader.gather.folder(folder) {
            if has_end(&entry.name, "wants") || has_end(&entry.name, "requires") {
                reader.wants(folder, &entry.name);
            } else if folder == UNIT_FOLDER && has_end(&entry.name, "d") {
                reader.drop_ins(&entry.name);
            } else {
                reader.unit(folder, entry);
            }
        }
    }
    Ok(reader.units)
}

struct Reader<'g, 'f> {
    gather: &'g mut Gather<'f>,
    units: Units,
    /// Names already found in an earlier folder.
    seen: BTreeSet<String>,
    /// Wanting folder and wanted name already found in an earlier folder.
    wants: BTreeSet<(String, String)>,
}

impl Reader<'_, '_> {
    /// A unit file, or a link beside the unit files.
    fn unit(&mut self, folder: &str, entry: Entry) {
        if entry.kind == Kind::Folder || !self.seen.insert(entry.name.clone()) {
            return;
        }
        let path = format!("{folder}/{}", entry.name);
        match entry.kind {
            Kind::Link => self.link(entry.name, path),
            Kind::File if !PACKAGED.contains(&folder) => match self.gather.files().stat(&path) {
                Ok(meta) if meta.size == 0 => {
                    self.units.masked.insert(entry.name, path);
                }
                Ok(meta) if folder == UNIT_FOLDER && meta.kind == Kind::File => self.asks_for(&path),
                Ok(_) => {}
                Err(trouble) => self.gather.doubt(trouble),
            },
            _ => {}
        }
    }

    fn drop_ins(&mut self, name: &str) {
        let folder = format!("{UNIT_FOLDER}/{name}");
        for entry in self.gather.folder(&folder) {
            if has_end(&entry.name, "conf") {
                self.asks_for(&format!("{folder}/{}", entry.name));
            }
        }
    }

    /// Notes the units that a file asks for.
    fn asks_for(&mut self, path: &str) {
        let Some(text) = self.gather.part(path) else { return };
        let asked = text.lines().filter_map(|line| line.split_once('='));
        let asked = asked.filter(|(key, _)| STARTING_KEYS.contains(&key.trim()));
        for unit in asked.flat_map(|(_, units)| units.split_whitespace()) {
            self.units.named.entry(unit.to_owned()).or_insert_with(|| path.to_owned());
        }
    }

    fn link(&mut self, name: String, path: String) {
        match self.gather.files().link(&path) {
            Ok(target) if target == "/dev/null" => {
                self.units.masked.insert(name, path);
            }
            Ok(target) => {
                let real = target.rsplit('/').next().unwrap_or_default();
                // A link to a unit of the same name lies only elsewhere; another name is an alias.
                if real != name && !real.is_empty() {
                    self.units.aliases.insert(name, real.to_owned());
                }
            }
            Err(trouble) => self.gather.doubt(trouble),
        }
    }

    /// The links in one `*.wants` or `*.requires` folder. One that leads to `/dev/null` takes the wish back.
    fn wants(&mut self, folder: &str, name: &str) {
        let path = format!("{folder}/{name}");
        for unit in self.gather.folder(&path) {
            if !self.wants.insert((name.to_owned(), unit.name.clone())) {
                continue;
            }
            let link = format!("{path}/{}", unit.name);
            let target = match unit.kind {
                Kind::Link => self.gather.files().link(&link).ok(),
                _ => None,
            };
            if target.as_deref() != Some("/dev/null") {
                self.units.wanted.entry(unit.name).or_insert(link);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Files, Node, Tree, TroubleKind};
    use crate::host::Fact;

    fn units(nodes: &[(&str, Node)]) -> Fact<Units> {
        let mut tree = Tree::default();
        tree.insert(UNIT_FOLDER, Node::folder());
        for (path, node) in nodes {
            tree.insert(path, node.clone());
        }
        Fact::gather(&Files::memory(tree), read)
    }

    fn wants(target: &str, unit: &str) -> (String, Node) {
        (
            format!("{UNIT_FOLDER}/{target}.wants/{unit}"),
            Node::link(format!("/usr/lib/systemd/system/{unit}")),
        )
    }

    #[test]
    fn a_wanted_or_required_unit_starts() {
        let (path, link) = wants("multi-user.target", "cron.service");
        let value = units(&[
            (&path, link),
            ("/usr/lib/systemd/system/sysinit.target.requires/a.service", Node::link("../a.service")),
        ])
        .value
        .unwrap();
        assert_eq!(value.starts("cron.service"), Some(path.as_str()));
        assert!(value.starts("a.service").is_some());
        assert_eq!(value.starts("other.service"), None);
    }

    #[test]
    fn a_masked_unit_does_not_start_although_it_is_wanted() {
        let (path, link) = wants("sockets.target", "rpcbind.socket");
        for mask in [Node::link("/dev/null"), Node::file("")] {
            let mask_path = "/etc/systemd/system/rpcbind.socket";
            let value = units(&[(&path, link.clone()), (mask_path, mask)]).value.unwrap();
            assert_eq!(value.starts("rpcbind.socket"), None);
            assert_eq!(value.mask("rpcbind.socket"), Some(mask_path));
        }
    }

    #[test]
    fn a_runtime_mask_counts_but_not_below_a_file_of_the_administrator() {
        let (path, link) = wants("multi-user.target", "a.service");
        let runtime = ("/run/systemd/system/a.service", Node::link("/dev/null"));
        let value = units(&[(&path, link.clone()), runtime.clone()]).value.unwrap();
        assert_eq!(value.starts("a.service"), None);
        let own = ("/etc/systemd/system/a.service", Node::file("[Service]\n"));
        let value = units(&[(&path, link), runtime, own]).value.unwrap();
        assert!(value.starts("a.service").is_some());
    }

    #[test]
    fn an_alias_alone_starts_nothing() {
        let value =
            units(&[("/etc/systemd/system/sshd.service", Node::link("/usr/lib/systemd/system/ssh.service"))])
                .value
                .unwrap();
        assert_eq!(value.real_name("sshd.service"), "ssh.service");
        assert_eq!(value.starts("ssh.service"), None);
        assert_eq!(value.starts("sshd.service"), None);
    }

    #[test]
    fn a_unit_starts_under_all_its_names_and_a_mask_hits_all_of_them() {
        let alias =
            ("/etc/systemd/system/chronyd.service", Node::link("/usr/lib/systemd/system/chrony.service"));
        for name in ["chrony.service", "chronyd.service"] {
            let (path, link) = wants("multi-user.target", name);
            let value = units(&[alias.clone(), (&path, link.clone())]).value.unwrap();
            assert!(value.starts("chrony.service").is_some() && value.starts("chronyd.service").is_some());
            let mask = ("/etc/systemd/system/chrony.service", Node::link("/dev/null"));
            let value = units(&[alias.clone(), (&path, link), mask]).value.unwrap();
            assert_eq!((value.starts("chrony.service"), value.starts("chronyd.service")), (None, None));
        }
    }

    #[test]
    fn aliases_in_a_circle_end() {
        let value = units(&[
            ("/etc/systemd/system/a.service", Node::link("b.service")),
            ("/etc/systemd/system/b.service", Node::link("a.service")),
        ])
        .value
        .unwrap();
        assert_eq!(value.starts("a.service"), None);
    }

    #[test]
    fn a_wish_of_a_package_can_be_taken_back() {
        let value = units(&[
            ("/usr/lib/systemd/system/x.target.wants/a.service", Node::link("../a.service")),
            ("/etc/systemd/system/x.target.wants/a.service", Node::link("/dev/null")),
        ])
        .value
        .unwrap();
        assert_eq!(value.starts("a.service"), None);
    }

    #[test]
    fn a_linked_unit_is_no_alias() {
        let value =
            units(&[("/etc/systemd/system/own.service", Node::link("/opt/own/own.service"))]).value.unwrap();
        assert_eq!(value.real_name("own.service"), "own.service");
    }

    #[test]
    fn without_the_folder_of_units_nothing_is_known() {
        let fact = Fact::gather(&Files::memory(Tree::default()), read);
        assert!(matches!(fact.value, Err(Stop::Unknown(_))));
        let fact = units(&[(UNIT_FOLDER, Node::folder().failing(TroubleKind::Denied))]);
        assert!(matches!(fact.value, Err(Stop::Unknown(_))));
    }

    #[test]
    fn an_unreadable_wants_folder_is_a_doubt() {
        let denied = Node::folder().failing(TroubleKind::Denied);
        let fact = units(&[("/etc/systemd/system/multi-user.target.wants", denied)]);
        assert_eq!(fact.doubts.len(), 1);
    }
}
