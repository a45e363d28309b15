//! What the files of sysctl.d set at boot. `/etc/sysctl.conf` counts where a link in `/etc/sysctl.d` leads to it, as in
//! Debian 11 and 12.

use std::collections::BTreeMap;

use super::Placed;
use crate::formats::sysctl_conf;
use crate::host::Gather;
use crate::host::system::has_end;

/// Folders, the first winning for one file name (sysctl.d(5)).
const FOLDERS: [&str; 5] =
    ["/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"];

/// The last value of every key that is set by its name; globs are left out, for which keys they match the kernel
/// knows alone.
pub(super) fn read(gather: &mut Gather<'_>) -> BTreeMap<String, Placed<String>> {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for folder in FOLDERS {
        for entry in gather.folder(folder) {
            if has_end(&entry.name, "conf") {
                files.entry(entry.name.clone()).or_insert_with(|| format!("{folder}/{}", entry.name));
            }
        }
    }
    let mut values = BTreeMap::new();
    for path in files.into_values() {
        let Some(text) = gather.part(&path) else { continue };
        for assignment in gather.parsed(&path, sysctl_conf::parse(&text)) {
            if let Some(value) = assignment.value.clone().filter(|_| !assignment.is_glob()) {
                let line = assignment.line;
                values.insert(assignment.key, Placed { value, path: path.clone(), line });
            }
        }
    }
    values
}
