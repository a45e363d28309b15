//! `/etc/zfs/zfs-list.cache/POOL`: the file systems of a pool, as ZFS' event daemon keeps them for systemd.
//!
//! Follows openzfs `etc/systemd/system-generators/zfs-mount-generator.c` (`line_worker`): one file system per line,
//! columns separated by tabs. The file only exists if an administrator made it, and it lists no volumes.

use std::collections::BTreeMap;

use super::{Issue, Parsed, numbered};

/// Where a file system's encryption root stands, counted from 0: the columns are `name`, `mountpoint`, `canmount`,
/// `atime`, `relatime`, `devices`, `exec`, `readonly`, `setuid`, `nbmand`, `encroot`, `keylocation` and more.
const ENCRYPTION_ROOT: usize = 10;

/// What ZFS writes for a property that is not set.
const NOT_SET: &str = "-";

/// A file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// The dataset whose key encrypts it; `None` if ZFS does not encrypt it.
    pub encryption_root: Option<String>,
    /// Line in the file, counted from 1.
    pub line: u32,
}

/// Reads the list. Of several lines of one name the last counts.
pub fn parse(text: &str) -> Parsed<BTreeMap<String, Dataset>> {
    let mut parsed = Parsed::<BTreeMap<String, Dataset>>::default();
    for (line, content) in numbered(text) {
        let columns: Vec<&str> = content.split('\t').collect();
        match (columns.first(), columns.get(ENCRYPTION_ROOT)) {
            (Some(name), Some(root)) if !name.is_empty() && !root.is_empty() => {
                let encryption_root = Some((*root).to_owned()).filter(|root| root != NOT_SET);
                parsed.value.insert((*name).to_owned(), Dataset { encryption_root, line });
            }
            _ => parsed.issues.push(Issue::new(line, "not a line of the list, one file system is not known")),
        }
    }
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn encrypted_and_clear_file_systems_are_told_apart() {
        let text = "rpool\t/rpool\ton\ton\ton\ton\ton\toff\ton\toff\t-\tnone\t-\t-\n\
                    rpool/vm\t/rpool/vm\ton\ton\ton\ton\ton\toff\ton\toff\trpool/vm\tprompt\t-\t-\n";
        let parsed = parse(text);
        assert_eq!(parsed.issues, []);
        assert_eq!(parsed.value["rpool"].encryption_root, None);
        assert_eq!(parsed.value["rpool/vm"].encryption_root.as_deref(), Some("rpool/vm"));
        assert_eq!(parsed.value["rpool/vm"].line, 2);
    }

    #[test]
    fn a_short_line_is_an_issue() {
        let parsed = parse("rpool\t/rpool\ton\n\n");
        assert!(parsed.value.is_empty());
        assert_eq!(parsed.issues.len(), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn never_panics_on_any_text(text in "[a-z/\t\n-]{0,80}") {
            let parsed = parse(&text);
            prop_assert!(parsed.value.len() + parsed.issues.len() <= numbered(&text).count());
        }
    }
}
