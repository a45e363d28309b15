use proptest::prelude::*;

use super::*;

const NODE: &[u8] = include_bytes!("../../../tests/data/configdb/node.db");
const NODE_LOG: &[u8] = include_bytes!("../../../tests/data/configdb/node.db-wal");
const OVERFLOW: &[u8] = include_bytes!("../../../tests/data/configdb/overflow.db");
const COLUMNS: &[u8] = include_bytes!("../../../tests/data/configdb/columns.db");

fn text<'c>(content: &'c ClusterDatabase, path: &str) -> &'c str {
    std::str::from_utf8(content.entries[path].content.as_deref().unwrap()).unwrap()
}

#[test]
fn the_log_of_a_running_node_is_read_up_to_its_last_change() {
    let content = parse(NODE, NODE_LOG).unwrap();
    assert_eq!(content.doubts, [""; 0]);
    assert_eq!(text(&content, "user.cfg"), "user:new@pve:1:0:::::\n");
    assert_eq!(text(&content, "nodes/a/qemu-server/200.conf"), "name: b\n");
    assert_eq!(text(&content, "nodes/a/lxc/119.conf"), "hostname: a\n");
    for gone in ["gone.cfg", "nodes/a/lxc/120.conf"] {
        assert_eq!(content.entries.get(gone), None, "{gone}");
    }
    assert_eq!(content.entries["priv"].content, None);
    assert_eq!(content.version, 70);
    assert_eq!(content.entries["user.cfg"].modified, 1_700_000_048);
    assert_eq!(content.modified, 1_700_000_070);
}

#[test]
fn without_its_log_the_same_database_is_as_of_the_last_checkpoint() {
    let content = parse(NODE, b"").unwrap();
    assert_eq!(text(&content, "user.cfg"), "user:old@pve:1:0:::::\n");
    assert_eq!(content.version, 47);
}

#[test]
fn the_log_counts_up_to_the_last_whole_change_and_a_torn_end_is_a_doubt() {
    let whole = parse(NODE, NODE_LOG).unwrap();
    for cut in (33..NODE_LOG.len()).step_by(97) {
        let content = parse(NODE, &NODE_LOG[..cut]).unwrap();
        let same = content.entries == whole.entries;
        assert!(same || content.version < whole.version, "cut at {cut}");
    }
    // In the middle of the second frame of the new use.
    let content = parse(NODE, &NODE_LOG[..32 + 536 + 100]).unwrap();
    assert_eq!(content.doubts.len(), 1);
    let mut broken = NODE_LOG.to_vec();
    broken[20] ^= 1;
    let content = parse(NODE, &broken).unwrap();
    assert_eq!(text(&content, "user.cfg"), "user:old@pve:1:0:::::\n");
    assert_eq!(content.doubts.len(), 1);
}

#[test]
fn a_large_file_is_put_together_from_its_pages() {
    let content = parse(OVERFLOW, b"").unwrap();
    let lines: Vec<&str> = text(&content, "large.txt").lines().collect();
    assert_eq!(lines.len(), 12_500);
    assert!(lines.iter().zip(0..).all(|(line, number)| line.parse() == Ok(number)));
    assert_eq!(content.entries.len(), 2);
}

#[test]
fn the_columns_are_found_by_their_names() {
    let content = parse(COLUMNS, b"").unwrap();
    assert_eq!(text(&content, "priv/shadow.cfg"), "root@pam:\n");
    assert_eq!(content.version, 2);
}

#[test]
fn the_guest_list_is_the_one_of_pmxcfs() {
    let content = parse(NODE, NODE_LOG).unwrap();
    let listed = crate::formats::vmlist::parse(&content.vmlist());
    assert_eq!(listed.issues, []);
    let ids: Vec<u32> = listed.value.keys().copied().collect();
    assert_eq!(ids, (100..120).chain([200]).collect::<Vec<_>>());
    assert_eq!(listed.value[&200].node, "a");
    assert_eq!(parse(COLUMNS, b"").unwrap().vmlist(), "{\n\"version\": 1\n\n}\n");
}

#[test]
fn a_database_that_was_cut_is_damaged() {
    for (name, main) in [("node", NODE), ("overflow", OVERFLOW), ("columns", COLUMNS)] {
        for length in [0, 1, 16, 99, 100, 511, main.len() / 2, main.len() - 1] {
            let cut = parse(&main[..length], b"");
            assert!(cut.is_err(), "{name} cut at {length}");
        }
    }
}

#[test]
fn only_what_pmxcfs_lets_root_alone_read_is_private() {
    for path in ["priv", "priv/shadow.cfg", "nodes/a/priv", "nodes/a/priv/x"] {
        assert!(is_private(path), "{path}");
    }
    for path in ["private", "user.cfg", "nodes/priv", "nodes/a/private", "nodes/a/b/priv"] {
        assert!(!is_private(path), "{path}");
    }
}

/// A tree as rows: inode, parent, type, name, data.
fn tree(rows: &[(u64, u64, bool, &str)]) -> Result<ClusterDatabase, Damage> {
    let rows: BTreeMap<u64, Row> = rows
        .iter()
        .map(|(inode, parent, folder, name)| {
            let content = if *folder { None } else { Some(Vec::new()) };
            let row = Row { parent: *parent, modified: 0, name: name.as_bytes().to_vec(), content };
            (*inode, row)
        })
        .collect();
    let mut content = ClusterDatabase::default();
    check_parents(&rows)?;
    place(rows, &mut content)?;
    Ok(content)
}

#[test]
fn what_pmxcfs_refuses_is_damage() {
    assert!(tree(&[(1, 0, true, "nodes"), (2, 1, false, "a")]).is_ok());
    for (what, rows) in [
        ("a missing parent", vec![(2, 1, false, "a")]),
        ("a file as parent", vec![(1, 0, false, "nodes"), (2, 1, false, "a")]),
        ("two of one name", vec![(1, 0, false, "a"), (2, 0, true, "a")]),
        ("a slash", vec![(1, 0, false, "a/b")]),
        ("the folder above", vec![(1, 0, true, "..")]),
        ("folders inside of each other", vec![(1, 2, true, "a"), (2, 1, true, "b")]),
    ] {
        assert!(tree(&rows).is_err(), "{what}");
    }
}

#[test]
fn a_guest_that_is_there_twice_is_found() {
    let rows = [
        (1, 0, true, "nodes"),
        (2, 1, true, "a"),
        (3, 2, true, "lxc"),
        (4, 3, false, "100.conf"),
        (5, 2, true, "qemu-server"),
        (6, 5, false, "100.conf"),
        (7, 5, false, "101.conf"),
    ];
    let content = tree(&rows).unwrap();
    let found = guests(&content);
    assert_eq!(found.twice, BTreeSet::from([100]));
    assert_eq!(found.by_id.len(), 2);
}

#[test]
fn what_pmxcfs_makes_of_its_own_hides_rows_of_that_name() {
    let content =
        tree(&[(1, 0, true, "local"), (2, 1, false, "host.fw"), (3, 0, false, ".members")]).unwrap();
    assert_eq!(content.entries, BTreeMap::new());
}

#[test]
fn deep_folders_end_as_damage_and_not_in_gigabytes() {
    let name = "x".repeat(200);
    let rows: Vec<(u64, u64, bool, &str)> = (1..2000).map(|inode| (inode, inode - 1, true, &*name)).collect();
    assert!(tree(&rows).is_err());
}

#[test]
fn only_names_of_guests_are_guests() {
    assert_eq!(guest_id("100.conf"), Some(100));
    for other in ["0100.conf", ".conf", "100.conf.tmp", "a100.conf", "+100.conf", "4294967296.conf"] {
        assert_eq!(guest_id(other), None, "{other}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_is_changed_in_the_files_the_reader_returns(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        in_log in any::<bool>(),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let (mut main, mut log) = (NODE.to_vec(), NODE_LOG.to_vec());
        let bytes = if in_log { &mut log } else { &mut main };
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        drop(parse(&main, &log));
    }

    /// The log has checksums: a change in it never makes up content. What comes out is what an earlier end of the
    /// same log gives, with a doubt, unless the change is in what no reader looks at.
    #[test]
    fn a_changed_log_gives_the_whole_an_earlier_state_with_a_doubt_or_nothing(
        at in any::<prop::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let whole = parse(NODE, NODE_LOG).unwrap();
        let mut log = NODE_LOG.to_vec();
        let at = at.index(log.len());
        log[at] ^= 1 << bit;
        if let Ok(content) = parse(NODE, &log) {
            prop_assert!(content.entries == whole.entries || !content.doubts.is_empty());
            let frames = (0..=(NODE_LOG.len() - 32) / 536).rev();
            let earlier = frames.filter_map(|frames| parse(NODE, &NODE_LOG[..32 + frames * 536]).ok());
            let known = earlier.chain([parse(NODE, b"").unwrap()]).any(|state| state.entries == content.entries);
            prop_assert!(known);
        }
    }
}
