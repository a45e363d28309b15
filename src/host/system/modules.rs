//! Kernel modules: which are loaded, which there are, and what modprobe is told about them.

use std::collections::{BTreeMap, BTreeSet};

use super::has_end;
use crate::files::Kind;
use crate::formats::modprobe_conf::{self, Entry};
use crate::formats::{module_list, proc_modules};
use crate::host::{Doubt, Gather, Stop};

/// The loaded modules.
pub const PROC_MODULES: &str = "/proc/modules";

/// Where modprobe looks, the first folder winning for files of one name (kmod `libkmod.c`, `default_config_paths`).
/// `/usr/lib` and `/lib` are one folder since Debian 12.
const MODPROBE_FOLDERS: [&str; 5] = [
    "/etc/modprobe.d",
    "/run/modprobe.d",
    "/usr/local/lib/modprobe.d",
    "/usr/lib/modprobe.d",
    "/lib/modprobe.d",
];

/// What modprobe is told about modules.
#[derive(Debug, Clone, Default)]
pub struct Modprobe {
    /// `install` lines, in the order in which modprobe reads them, with their file.
    pub installs: Vec<(String, Entry)>,
    /// `blacklist` lines: they keep a module from being loaded for a device or protocol, not by its name.
    pub blacklisted: Vec<(String, Entry)>,
}

impl Modprobe {
    /// The line that keeps the module from being loaded. kmod uses the first `install` line that fits the module.
    pub fn blocker(&self, module: &str) -> Option<(&str, u32)> {
        let (path, entry) = self.installs.iter().find(|(_, entry)| entry.matches(module))?;
        entry.blocks().then_some((path.as_str(), entry.line))
    }

    /// The line that blacklists the module.
    pub fn blacklisting(&self, module: &str) -> Option<(&str, u32)> {
        let (path, entry) = self.blacklisted.iter().find(|(_, entry)| entry.is_for(module))?;
        Some((path.as_str(), entry.line))
    }
}

/// The modules that come with the running kernel, with `_` for `-`.
#[derive(Debug, Clone, Default)]
pub struct KernelModules {
    /// Those in files.
    pub files: BTreeSet<String>,
    /// Those that are part of the kernel itself.
    pub built_in: BTreeSet<String>,
    /// The list of those in files.
    pub path: String,
}

/// Files of all folders sorted by name, the first folder winning for files of one name. As kmod does, only `.conf`
/// and `.alias` files count, and hidden ones do not.
pub(super) fn modprobe(gather: &mut Gather<'_>) -> Result<Modprobe, Stop> {
    let mut files: BTreeMap<String, (String, Kind)> = BTreeMap::new();
    for folder in MODPROBE_FOLDERS {
        for entry in gather.folder(folder) {
            let path = format!("{folder}/{}", entry.name);
            let counts = has_end(&entry.name, "conf") || has_end(&entry.name, "alias");
            if entry.kind != Kind::Folder && counts && !entry.name.starts_with('.') {
                files.entry(entry.name).or_insert((path, entry.kind));
            }
        }
    }
    if files.is_empty() {
        let seen = MODPROBE_FOLDERS.iter().any(|folder| gather.files().stat(folder).is_ok());
        seen.then_some(()).ok_or_else(|| Stop::unknown("/etc/modprobe.d", "is missing"))?;
    }
    let mut modprobe = Modprobe::default();
    for (path, kind) in files.into_values() {
        // A link to /dev/null switches a file of the same name further down off.
        if kind == Kind::Link && gather.files().link(&path).is_ok_and(|target| target == "/dev/null") {
            continue;
        }
        let Some(text) = gather.part(&path) else { continue };
        let conf = gather.parsed(&path, modprobe_conf::parse(&text));
        modprobe.installs.extend(conf.installs.into_iter().map(|entry| (path.clone(), entry)));
        modprobe.blacklisted.extend(conf.blacklisted.into_iter().map(|entry| (path.clone(), entry)));
    }
    Ok(modprobe)
}

pub(super) fn loaded(gather: &mut Gather<'_>) -> Result<Option<BTreeSet<String>>, Stop> {
    let Some(text) = gather.optional(PROC_MODULES)? else { return Ok(None) };
    if text.trim().is_empty() {
        gather.doubt(Doubt::about(PROC_MODULES, "is empty: its content may have been lost"));
    }
    let modules = gather.parsed(PROC_MODULES, proc_modules::parse(&text));
    Ok(Some(modules.into_iter().map(|module| module.name.replace('-', "_")).collect()))
}

pub(super) fn of_kernel(gather: &mut Gather<'_>, release: Option<&str>) -> Result<KernelModules, Stop> {
    let Some(release) = release.filter(|release| !release.contains('/')) else {
        return Err(Stop::unknown(
            "the running kernel",
            "is needed to tell which modules it has; this is a tree",
        ));
    };
    let folder = format!("/lib/modules/{release}");
    let path = format!("{folder}/modules.dep");
    let files = gather.required(&path)?;
    let files = gather.parsed(&path, module_list::parse(&files));
    let list = format!("{folder}/modules.builtin");
    let built_in = gather.required(&list)?;
    let built_in = gather.parsed(&list, module_list::parse(&built_in));
    Ok(KernelModules { files, built_in, path })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Files, Node, Tree, TroubleKind};
    use crate::host::Fact;

    fn told(files: &[(&str, Node)]) -> Fact<Modprobe> {
        let mut tree = Tree::default();
        tree.insert("/etc/modprobe.d", Node::folder());
        for (path, node) in files {
            tree.insert(path, node.clone());
        }
        Fact::gather(&Files::memory(tree), modprobe)
    }

    fn blocker(files: &[(&str, &str)], module: &str) -> Option<String> {
        let files: Vec<(&str, Node)> = files.iter().map(|(path, text)| (*path, Node::file(*text))).collect();
        let value = told(&files).value.unwrap();
        value.blocker(module).map(|(path, line)| format!("{path}:{line}"))
    }

    #[test]
    fn the_first_install_line_of_a_module_counts() {
        let files = [
            ("/etc/modprobe.d/10-a.conf", "install sctp /sbin/modprobe --ignore-install sctp\n"),
            ("/etc/modprobe.d/20-b.conf", "install sctp /bin/false\ninstall tipc /bin/true\n"),
        ];
        assert_eq!(blocker(&files, "sctp"), None);
        assert_eq!(blocker(&files, "tipc").as_deref(), Some("/etc/modprobe.d/20-b.conf:2"));
    }

    #[test]
    fn an_earlier_glob_that_fits_counts_as_well() {
        let loads =
            [("/etc/modprobe.d/a.conf", "install sc* /sbin/modprobe -i sctp\ninstall sctp /bin/false\n")];
        assert_eq!(blocker(&loads, "sctp"), None);
        let blocks = [("/etc/modprobe.d/a.conf", "install [rs]* /bin/false\n")];
        assert_eq!(blocker(&blocks, "rds").as_deref(), Some("/etc/modprobe.d/a.conf:1"));
    }

    #[test]
    fn files_are_sorted_by_name_over_all_folders_and_the_first_folder_wins() {
        let files = [
            ("/etc/modprobe.d/z.conf", "install sctp /bin/false\n"),
            ("/lib/modprobe.d/a.conf", "install sctp /sbin/load\n"),
        ];
        assert_eq!(blocker(&files, "sctp"), None);
        let files = [
            ("/etc/modprobe.d/a.conf", "install sctp /bin/false\n"),
            ("/lib/modprobe.d/a.conf", "install sctp /sbin/load\n"),
        ];
        assert_eq!(blocker(&files, "sctp").as_deref(), Some("/etc/modprobe.d/a.conf:1"));
    }

    #[test]
    fn hidden_files_and_files_of_other_names_are_not_read() {
        for name in ["block.cfg", ".block.conf", "block.conf.dpkg-old", "conf", ".conf"] {
            let path = format!("/etc/modprobe.d/{name}");
            assert_eq!(blocker(&[(&path, "install sctp /bin/false\n")], "sctp"), None, "{name}");
        }
        assert!(blocker(&[("/etc/modprobe.d/x.alias", "install sctp /bin/false\n")], "sctp").is_some());
    }

    #[test]
    fn a_link_to_null_switches_a_file_off_without_a_doubt() {
        let fact = told(&[
            ("/etc/modprobe.d/a.conf", Node::link("/dev/null")),
            ("/lib/modprobe.d/a.conf", Node::file("install sctp /bin/false\n")),
        ]);
        assert_eq!(fact.doubts, []);
        assert_eq!(fact.value.unwrap().blocker("sctp"), None);
    }

    #[test]
    fn an_unreadable_file_is_a_doubt() {
        let denied = Node::file("").failing(TroubleKind::Denied);
        assert_eq!(told(&[("/etc/modprobe.d/a.conf", denied)]).doubts.len(), 1);
    }

    #[test]
    fn without_any_folder_nothing_was_read() {
        let fact = Fact::gather(&Files::memory(Tree::default()), modprobe);
        assert!(matches!(fact.value, Err(Stop::Unknown(_))));
        assert!(told(&[]).value.is_ok());
    }

    #[test]
    fn an_empty_module_table_is_a_doubt() {
        let mut tree = Tree::default();
        tree.insert(PROC_MODULES, Node::file(""));
        assert_eq!(Fact::gather(&Files::memory(tree), loaded).doubts.len(), 1);
    }

    #[test]
    fn the_modules_of_the_running_kernel_are_in_two_lists() {
        let mut tree = Tree::default();
        tree.insert(
            "/lib/modules/7.0-pve/modules.dep",
            Node::file("kernel/net/sctp/sctp.ko.zst: kernel/a.ko\n"),
        );
        tree.insert("/lib/modules/7.0-pve/modules.builtin", Node::file("kernel/fs/usb-x.ko\n"));
        let files = Files::memory(tree);
        let fact = Fact::gather(&files, |gather| of_kernel(gather, Some("7.0-pve")));
        let modules = fact.value.unwrap();
        assert!(modules.files.contains("sctp") && modules.built_in.contains("usb_x"));
        for release in [None, Some("6.0"), Some("../x")] {
            let fact = Fact::gather(&files, |gather| of_kernel(gather, release));
            assert!(matches!(fact.value, Err(Stop::Unknown(_))));
        }
    }
}
