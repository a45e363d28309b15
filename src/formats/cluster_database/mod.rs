//! `/var/lib/pve-cluster/config.db`: what stands below `/etc/pve`.
//!
//! Follows `proxmox/pve-cluster:src/pmxcfs/database.c` (`bdb_backend_load_index`) for the table and what pmxcfs
//! refuses, `memdb.c` (`memdb_recreate_vmlist`) for the guests, and `cfs-utils.c` (`path_is_private`). One row is one
//! file or folder: `inode`, `parent` (0 is `/etc/pve` itself), `version`, `writer`, `mtime`, `type`, `name`, `data`. The
//! row with inode 0 is called `__version__` and tells of the last change.
//!
//! What pmxcfs makes of its own is not in it: the links `local`, `qemu-server`, `openvz` and `lxc`, and `.version`,
//! `.members`, `.vmlist`, `.rrd`, `.clusterlog` and `.debug`.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::sqlite::{Damage, Database, Log, Value};

/// The one table.
const TABLE: &str = "tree";

/// The name of the row with inode 0.
const VERSION_NAME: &[u8] = b"__version__";

/// `DT_DIR`
const FOLDER: i64 = 4;

/// `DT_REG`
const FILE: i64 = 8;

/// What pmxcfs puts in the place of rows of the same name (`create_symlinks`).
const OWN_NAMES: [&str; 10] = [
    "local",
    "qemu-server",
    "openvz",
    "lxc",
    ".version",
    ".members",
    ".vmlist",
    ".rrd",
    ".clusterlog",
    ".debug",
];

/// Folders of a node with guests, and what `.vmlist` calls them.
const GUEST_FOLDERS: [(&str, &str); 3] = [("qemu-server", "qemu"), ("openvz", "openvz"), ("lxc", "lxc")];

/// Longest path the kernel takes (`PATH_MAX`): longer ones lead nowhere.
const PATH_LIMIT: usize = 4096;

/// How long all paths may be together. Ten thousand guests have half a megabyte.
const PATHS_LIMIT: usize = 32 * 1024 * 1024;

/// What a database holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterDatabase {
    /// Raised with every change; 0 in a database without the row that tells.
    pub version: u64,
    /// Time of the last change, seconds since 1970.
    pub modified: u32,
    /// Files and folders by their path below `/etc/pve`, such as `nodes/pve1/lxc/100.conf`.
    pub entries: BTreeMap<String, Entry>,
    /// What makes the content doubtful: sentences without a full stop, starting in lower case.
    pub doubts: Vec<String>,
}

/// A file or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The content of a file; `None` for a folder.
    pub content: Option<Vec<u8>>,
    /// Time of the last change, seconds since 1970.
    pub modified: u32,
    /// Whether its path is UTF-8; otherwise it stands under a name with replacement characters.
    pub is_utf8: bool,
}

/// Reads the main file and the write-ahead log (empty for none).
///
/// # Errors
/// When the database is damaged, or pmxcfs would not start with it. No file of it counts then.
pub fn parse(main: &[u8], log: &[u8]) -> Result<ClusterDatabase, Damage> {
    let database = Database::open(main, log)?;
    let mut content = ClusterDatabase::default();
    content.doubts.extend(doubt_about(database.log).map(str::to_owned));
    let rows = rows(&database, &mut content)?;
    check_parents(&rows)?;
    place(rows, &mut content)?;
    let listed = guests(&content);
    content.doubts.extend(
        listed.twice.iter().map(|vmid| format!("has guest {vmid} twice: pmxcfs does not start with it")),
    );
    Ok(content)
}

impl ClusterDatabase {
    /// The text of `.vmlist`, as pmxcfs makes it when it starts with this database.
    pub fn vmlist(&self) -> String {
        let mut ids = String::new();
        for (version, (vmid, (node, kind))) in (1_u32..).zip(guests(self).by_id) {
            let comma = if ids.is_empty() { "" } else { ",\n" };
            // Writing to a string cannot fail.
            let _ = write!(
                ids,
                "{comma}\"{vmid}\": {{ \"node\": \"{node}\", \"type\": \"{kind}\", \"version\": {version} }}"
            );
        }
        if ids.is_empty() {
            "{\n\"version\": 1\n\n}\n".to_owned()
        } else {
            format!("{{\n\"version\": 1,\n\"ids\": {{\n{ids}}}\n\n}}\n")
        }
    }
}

/// Whether pmxcfs lets only root look at a path below `/etc/pve`: `priv` and what is in it, and that of each node.
pub fn is_private(path: &str) -> bool {
    let mut parts = path.split('/');
    match parts.next() {
        Some("priv") => true,
        Some("nodes") => parts.nth(1) == Some("priv"),
        _ => false,
    }
}

fn doubt_about(log: Log) -> Option<&'static str> {
    match log {
        Log::Absent | Log::Whole => None,
        Log::Ignored => {
            Some("has a log with a damaged header: SQLite ignores it, and the last changes may be in it")
        }
        Log::Torn => Some(
            "has a log that ends in the middle of a change or is damaged: SQLite ignores what comes after that",
        ),
    }
}

struct Row {
    parent: u64,
    modified: u32,
    name: Vec<u8>,
    content: Option<Vec<u8>>,
}

fn rows(database: &Database<'_>, content: &mut ClusterDatabase) -> Result<BTreeMap<u64, Row>, Damage> {
    let table = database.table(TABLE)?;
    let mut at = [0; 7];
    let names = ["inode", "parent", "version", "mtime", "type", "name", "data"];
    for (at, name) in at.iter_mut().zip(names) {
        *at = table.column(name)?;
    }
    let mut rows = BTreeMap::new();
    let mut newest = 0;
    database.rows(&table, |values| {
        let value = |column: usize| values.get(column).copied().unwrap_or(Value::Null);
        let [inode, parent, version, modified, kind, name, data] = at.map(value);
        let number = |value: Value<'_>| value.integer().map(i64::cast_unsigned);
        let (Some(inode), Some(parent), Some(version)) = (number(inode), number(parent), number(version))
        else {
            return Err(damage("a row has an inode, a parent or a version that is no number"));
        };
        // As pmxcfs: 32 bits of the time, 8 bits of the type.
        let modified = modified.integer().map(|time| time & 0xffff_ffff);
        let modified = modified.and_then(|time| u32::try_from(time).ok());
        let modified = modified.ok_or_else(|| damage(format!("inode {inode} has no time")))?;
        let name = name.bytes().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| damage(format!("inode {inode} has no name")))?.to_vec();
        let data = bytes(data).ok_or_else(|| damage(format!("inode {inode} has data that are no bytes")))?;
        let data = match kind.integer().map(|kind| kind & 0xff) {
            Some(FILE) => Some(data),
            Some(FOLDER) if data.is_empty() => None,
            Some(FOLDER) => return Err(damage(format!("inode {inode} is a folder with data"))),
            _ => return Err(damage(format!("inode {inode} is neither a file nor a folder"))),
        };
        if inode == 0 {
            if name != VERSION_NAME {
                return Err(damage("inode 0 is not called __version__"));
            }
            (content.version, content.modified) = (version, modified);
        } else {
            newest = version.max(newest);
            rows.insert(inode, Row { parent, modified, name, content: data });
        }
        Ok(())
    })?;
    if newest > content.version {
        let doubt = "has files that are newer than its version: a part of it or its log may have been lost";
        content.doubts.push(doubt.to_owned());
    }
    Ok(rows)
}

/// As `sqlite3_column_blob`.
fn bytes(value: Value<'_>) -> Option<Vec<u8>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::Integer(number) => Some(number.to_string().into_bytes()),
        Value::Real(_) => None,
        Value::Text(bytes) | Value::Blob(bytes) => Some(bytes.to_vec()),
    }
}

fn damage(what: impl Into<String>) -> Damage {
    Damage(what.into())
}

/// Every parent is a folder, no folder has two of one name, and every name can be a file's.
fn check_parents(rows: &BTreeMap<u64, Row>) -> Result<(), Damage> {
    let mut names = BTreeSet::new();
    for (inode, row) in rows {
        match rows.get(&row.parent) {
            _ if row.parent == 0 => {}
            None => return Err(damage(format!("inode {inode} is in a folder that is not there"))),
            Some(parent) if parent.content.is_some() => {
                return Err(damage(format!("inode {inode} is in something that is no folder")));
            }
            Some(_) => {}
        }
        let name = row.name.as_slice();
        if name.iter().any(|byte| matches!(byte, 0 | b'/')) || matches!(name, b"." | b"..") {
            return Err(damage(format!("inode {inode} has a name that no file can have")));
        }
        if !names.insert((row.parent, name)) {
            return Err(damage(format!("inode {inode} has the name of another in the same folder")));
        }
    }
    Ok(())
}

/// Gives every row its path, from the root down.
fn place(mut rows: BTreeMap<u64, Row>, content: &mut ClusterDatabase) -> Result<(), Damage> {
    let mut children: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (inode, row) in &rows {
        children.entry(row.parent).or_default().push(*inode);
    }
    let mut folders = vec![(0, String::new(), true)];
    let mut length = 0_usize;
    while let Some((folder, path, above_is_utf8)) = folders.pop() {
        for inode in children.remove(&folder).unwrap_or_default() {
            let Some(row) = rows.remove(&inode) else { continue };
            let name = String::from_utf8_lossy(&row.name);
            let is_utf8 = above_is_utf8 && matches!(name, std::borrow::Cow::Borrowed(_));
            let path = if path.is_empty() { name.into_owned() } else { format!("{path}/{name}") };
            length = length.saturating_add(path.len());
            if path.len() > PATH_LIMIT || length > PATHS_LIMIT {
                return Err(damage("its folders are nested deeper than any cluster's"));
            }
            if row.content.is_none() {
                folders.push((inode, path.clone(), is_utf8));
            }
            let first = path.split('/').next().unwrap_or_default();
            if !OWN_NAMES.contains(&first) {
                let entry = Entry { content: row.content, modified: row.modified, is_utf8 };
                content.entries.insert(path, entry);
            }
        }
    }
    // What is left hangs in the air: folders that are in each other.
    match rows.keys().next() {
        Some(inode) => Err(damage(format!("inode {inode} is inside of itself"))),
        None => Ok(()),
    }
}

#[derive(Default)]
struct Guests<'c> {
    by_id: BTreeMap<u32, (&'c str, &'static str)>,
    twice: BTreeSet<u32>,
}

fn guests(content: &ClusterDatabase) -> Guests<'_> {
    let mut guests = Guests::default();
    for (path, entry) in content.entries.range("nodes/".to_owned()..) {
        let Some(below) = path.strip_prefix("nodes/") else { break };
        let parts: Vec<&str> = below.split('/').collect();
        let ([node, folder, file], Some(_)) = (parts.as_slice(), &entry.content) else { continue };
        let kind = GUEST_FOLDERS.iter().find(|(name, _)| name == folder).map(|(_, kind)| *kind);
        let (Some(kind), Some(vmid), true) = (kind, guest_id(file), is_node_name(node)) else { continue };
        if guests.by_id.insert(vmid, (node, kind)).is_some() {
            guests.twice.insert(vmid);
        }
    }
    guests
}

/// `name_is_vm_config`: digits that do not begin with 0, and `.conf`.
fn guest_id(file: &str) -> Option<u32> {
    let digits = file.strip_suffix(".conf")?;
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.starts_with('0');
    digits.parse().ok().filter(|_| is_number)
}

/// `valid_nodename`: letters, digits, and hyphens that are neither first nor last.
pub fn is_node_name(name: &str) -> bool {
    let inside = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    inside && !name.is_empty() && !name.starts_with('-') && !name.ends_with('-')
}
