//! What is mounted.

use crate::formats::mountinfo::{self, MountTable};
use crate::host::{Doubt, Gather, Stop};

/// What is mounted at boot.
pub const FSTAB: &str = "/etc/fstab";

/// The mount table of the init process.
pub const MOUNT_TABLE: &str = "/proc/1/mountinfo";

/// The mount table of the auditor: inside a sandboxed unit it shows everything read-only and without set-user-id.
const OWN_MOUNT_TABLE: &str = "/proc/self/mountinfo";

/// The mounts of the running host.
#[derive(Debug, Clone, Default)]
pub struct Mounts {
    /// The mounts.
    pub table: MountTable,
    /// The file they were read from.
    pub path: &'static str,
}

impl std::ops::Deref for Mounts {
    type Target = MountTable;

    fn deref(&self) -> &MountTable {
        &self.table
    }
}

pub(super) fn read(gather: &mut Gather<'_>) -> Result<Option<Mounts>, Stop> {
    for path in [MOUNT_TABLE, OWN_MOUNT_TABLE] {
        let Some(text) = gather.optional(path)? else { continue };
        if path == OWN_MOUNT_TABLE {
            gather.doubt(Doubt::about(MOUNT_TABLE, "is hidden: the auditor's own mounts may differ"));
        }
        let table = gather.parsed(path, mountinfo::parse(&text));
        if table.mounts.is_empty() {
            return Err(Stop::unknown(path, "names no mount"));
        }
        return Ok(Some(Mounts { table, path }));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Files, Node, Tree};
    use crate::host::Fact;

    const ROOT: &str = "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n";

    fn mounts(files: &[(&str, &str)]) -> Fact<Option<Mounts>> {
        let mut tree = Tree::default();
        for (path, text) in files {
            tree.insert(path, Node::file(*text));
        }
        Fact::gather(&Files::memory(tree), read)
    }

    #[test]
    fn the_mounts_of_init_are_taken_first() {
        let fact = mounts(&[(MOUNT_TABLE, ROOT), (OWN_MOUNT_TABLE, "")]);
        assert_eq!(fact.value.unwrap().unwrap().path, MOUNT_TABLE);
        assert_eq!(fact.doubts, []);
    }

    #[test]
    fn the_auditors_own_mounts_are_doubtful() {
        let fact = mounts(&[(OWN_MOUNT_TABLE, ROOT)]);
        assert!(fact.value.unwrap().is_some());
        assert_eq!(fact.doubts.len(), 1);
    }

    #[test]
    fn an_empty_table_is_unknown_and_a_tree_has_none() {
        assert!(matches!(mounts(&[(MOUNT_TABLE, "")]).value, Err(Stop::Unknown(_))));
        assert!(mounts(&[]).value.unwrap().is_none());
    }
}
