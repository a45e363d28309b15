//! The files of the cluster in a tree where the cluster file system is not mounted: an image of a disk, a backup.
//!
//! `/etc/pve` is then an empty folder, and its content is in `/var/lib/pve-cluster/config.db`. They are mounted with the
//! kinds, modes, owners and links that pmxcfs gives them (`proxmox/pve-cluster:src/pmxcfs/pmxcfs.c`), so that every
//! fact is found as on the running node. `.vmlist` is made as pmxcfs makes it when it starts; what it learns from the
//! other nodes (`.members`, `.rrd`, `.clusterlog`) is missing.

use crate::files::{CLUSTER_FILES, ClusterSource, Files, Node, Tree, Trouble, TroubleKind};
use crate::formats::cluster_database::{self, ClusterDatabase};
use crate::formats::sqlite;

/// The database behind the cluster file system.
pub const DATABASE: &str = "/var/lib/pve-cluster/config.db";

/// Its write-ahead log; a cluster file system that was stopped leaves none.
const LOG: &str = "/var/lib/pve-cluster/config.db-wal";

/// Its rollback journal. pmxcfs writes none; other programs may have.
const JOURNAL: &str = "/var/lib/pve-cluster/config.db-journal";

const HOSTNAME: &str = "/etc/hostname";

/// Largest database and largest log that are read: a cluster file system has at most 128 MiB (`MEMDB_MAX_FSSIZE`).
const DATABASE_LIMIT: u64 = 128 * 1024 * 1024;

/// Group of everything below `/etc/pve`: www-data has this number on every Debian (base-passwd).
const WWW_DATA: u32 = 33;

/// Folders that pmxcfs shows at the top as well: links to those of this node.
const GUEST_FOLDERS: [&str; 3] = ["qemu-server", "openvz", "lxc"];

/// Mounts the database of a tree on `/etc/pve`, if that is empty or missing and there is a database. Where it cannot be
/// used, every access below `/etc/pve` ends with the reason. To be called for a tree only: on a running node an empty
/// `/etc/pve` means that pmxcfs is not running.
pub fn mount(files: &mut Files) {
    let is_empty = match files.list(CLUSTER_FILES) {
        Ok(entries) => entries.is_empty(),
        Err(trouble) => trouble.is_missing(),
    };
    if !is_empty || files.stat(DATABASE).is_err_and(|trouble| trouble.is_missing()) {
        return;
    }
    let (tree, doubts) = match read(files) {
        Ok(content) => {
            let node = node_name(files, &content);
            let doubts = content.doubts.clone();
            (tree(content, node.as_deref()), doubts)
        }
        Err(why) => {
            let mut tree = Tree::default();
            tree.insert(CLUSTER_FILES, Node::folder().failing(TroubleKind::Source(why.into())));
            (tree, Vec::new())
        }
    };
    files.mount_cluster_files(tree, ClusterSource { path: DATABASE.to_owned(), doubts });
}

/// The content, or why there is none: a sentence that begins with the path.
fn read(files: &Files) -> Result<ClusterDatabase, String> {
    let main = files.bytes_up_to(DATABASE, DATABASE_LIMIT).map_err(|trouble| trouble.to_string())?;
    let journal = optional(files.bytes_up_to(JOURNAL, DATABASE_LIMIT))?;
    if sqlite::is_hot_journal(&journal) {
        return Err(format!("{JOURNAL} is to be rolled back first: {DATABASE} is in the middle of a change"));
    }
    drop(journal);
    let log = optional(files.bytes_up_to(LOG, DATABASE_LIMIT))?;
    cluster_database::parse(&main, &log).map_err(|damage| format!("{DATABASE} cannot be used: {damage}"))
}

fn optional(answer: Result<Vec<u8>, Trouble>) -> Result<Vec<u8>, String> {
    match answer {
        Err(trouble) if trouble.is_missing() => Ok(Vec::new()),
        answer => answer.map_err(|trouble| trouble.to_string()),
    }
}

/// The name the links lead by: of `/etc/hostname` up to the first dot, as pmxcfs has it of the kernel. Where a tree has
/// lost that file, the only node there is.
fn node_name(files: &Files, content: &ClusterDatabase) -> Option<String> {
    let text = files.text(HOSTNAME).unwrap_or_default();
    let line = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let short = line.and_then(|line| line.split('.').next()).map(str::to_owned);
    let only = || {
        let folders = content.entries.iter().filter(|(_, entry)| entry.content.is_none());
        let mut nodes =
            folders.filter_map(|(path, _)| path.strip_prefix("nodes/")).filter(|node| !node.contains('/'));
        nodes.next().filter(|_| nodes.next().is_none()).map(str::to_owned)
    };
    short.or_else(only).filter(|name| cluster_database::is_node_name(name))
}

fn tree(content: ClusterDatabase, node: Option<&str>) -> Tree {
    let mut tree = Tree::default();
    let top = Node::folder().owner(0, WWW_DATA).mode(0o755).modified(i64::from(content.modified));
    tree.insert(CLUSTER_FILES, top);
    let list = Node::file(content.vmlist()).mode(0o440).owner(0, WWW_DATA);
    tree.insert(&format!("{CLUSTER_FILES}/.vmlist"), list);
    for (path, entry) in content.entries {
        let private = cluster_database::is_private(&path);
        let (bare, mode) = match (entry.content, private) {
            (Some(bytes), false) => (Node::file(bytes), 0o640),
            (Some(bytes), true) => (Node::file(bytes), 0o600),
            (None, false) => (Node::folder(), 0o755),
            (None, true) => (Node::folder(), 0o700),
        };
        let owned = bare.mode(mode).owner(0, WWW_DATA).modified(i64::from(entry.modified));
        // Nothing is found under a name that is only shown.
        let found = if entry.is_utf8 { owned } else { owned.failing(TroubleKind::Missing) };
        tree.insert(&format!("{CLUSTER_FILES}/{path}"), found);
    }
    if let Some(node) = node {
        let mut link = |name: &str, target: String| {
            tree.insert(
                &format!("{CLUSTER_FILES}/{name}"),
                Node::link(target).mode(0o755).owner(0, WWW_DATA),
            );
        };
        link("local", format!("nodes/{node}"));
        for folder in GUEST_FOLDERS {
            link(folder, format!("nodes/{node}/{folder}"));
        }
    }
    tree
}
