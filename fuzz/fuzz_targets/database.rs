//! The database of the cluster file system: whatever the bytes of the main file and its log, it returns. The first two
//! bytes say where the log begins; tests/data/configdb makes a corpus to begin with.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pve_audit::formats::cluster_database;

fuzz_target!(|data: &[u8]| {
    let [high, low, rest @ ..] = data else { return };
    let pages = usize::from(u16::from_be_bytes([*high, *low]));
    let (main, log) = rest.split_at(rest.len().min(pages * 512));
    if let Ok(content) = cluster_database::parse(main, log) {
        let listed = pve_audit::formats::vmlist::parse(&content.vmlist());
        assert!(listed.value.len() <= content.entries.len());
    }
});
