use proptest::prelude::*;

use super::*;
use crate::formats::release::Release::{Pve7, Pve8, Pve9};

fn read(text: &str) -> Parsed<StorageConfig> {
    parse(text, Pve9)
}

fn lines(parsed: &Parsed<StorageConfig>) -> Vec<u32> {
    parsed.issues.iter().map(|issue| issue.line).collect()
}

fn content(parsed: &Parsed<StorageConfig>, id: &str) -> Vec<String> {
    parsed.value.storages[id].content.iter().cloned().collect()
}

#[test]
fn an_empty_file_holds_local() {
    let parsed = read("");
    let local = &parsed.value.storages[LOCAL];
    assert_eq!((local.kind.as_str(), local.path(), local.line), ("dir", Some(LOCAL_PATH), None));
    assert!(local.holds("backup") && local.keeps_everything() && !local.disabled);
    assert_eq!(parsed.issues, []);
}

#[test]
fn a_local_of_another_type_or_path_is_replaced() {
    for text in
        ["dir: local\n\tpath /srv\n\tdisable\n", "lvm: local\n\tvgname pve\n", "dir: local\n\tcontent iso\n"]
    {
        let parsed = read(text);
        assert_eq!(parsed.value.storages[LOCAL].line, None, "{text}");
        assert_eq!(lines(&parsed), [1], "{text}");
    }
    let parsed = read("dir: local\n\tpath /var/lib/vz\n\tcontent iso\n\tnodes a\n");
    let local = &parsed.value.storages[LOCAL];
    assert_eq!((local.line, local.nodes.as_ref()), (Some(1), None));
    assert_eq!(content(&parsed, LOCAL), ["iso"]);
}

#[test]
fn content_has_a_default_per_type_and_what_the_type_cannot_hold_is_left_out() {
    assert_eq!(content(&read("nfs: a1\n\tpath /a\n\tserver s\n\texport /e\n"), "a1"), ["images"]);
    assert_eq!(content(&read("pbs: a1\n\tserver s\n\tdatastore d\n"), "a1"), ["backup"]);
    let parsed = read("lvm: a1\n\tvgname v\n\tcontent images,backup\n");
    assert_eq!(content(&parsed, "a1"), ["images"]);
    assert_eq!(lines(&parsed), [3]);
    let parsed = read("dir: a1\n\tpath /a\n\tcontent iso,nonsense\n");
    assert_eq!(content(&parsed, "a1"), ["images", "rootdir"], "the whole property is dropped");
    assert!(parsed.value.storages["a1"].content_is_default);
}

#[test]
fn content_that_makes_no_sense_loses_the_storage() {
    for text in ["dir: a1\n\tpath /a\n\tcontent none,iso\n", "lvm: a1\n\tvgname v\n\tcontent backup\n"] {
        let parsed = read(text);
        assert!(!parsed.value.storages.contains_key("a1"), "{text}");
        assert_eq!(parsed.value.lost.len(), 1, "{text}");
        assert!(!parsed.issues.is_empty(), "{text}");
    }
    assert!(read("dir: a1\n\tpath /a\n\tcontent none\n").value.storages.contains_key("a1"));
}

#[test]
fn some_types_are_shared_whatever_they_say() {
    let parsed =
        read("dir: a1\n\tpath /a\n\ndir: a2\n\tpath /b\n\tshared 1\n\npbs: a3\n\tserver s\n\tdatastore d\n");
    let shared: Vec<_> = ["a1", "a2", "a3"].map(|id| parsed.value.storages[id].shared).into();
    assert_eq!(shared, [false, true, true]);
}

#[test]
fn a_storage_switched_off_with_a_word_is_on() {
    let parsed = read("dir: a1\n\tpath /a\n\tdisable yes\n\ndir: a2\n\tpath /a\n\tdisable\n");
    assert!(!parsed.value.storages["a1"].disabled && parsed.value.storages["a2"].disabled);
    assert_eq!(lines(&parsed), [3]);
}

#[test]
fn one_bad_node_name_puts_the_storage_on_every_node() {
    let parsed = read("dir: a1\n\tpath /a\n\tnodes pve1,-x\n\ndir: a2\n\tpath /a\n\tnodes pve1 pve2\n");
    assert!(parsed.value.storages["a1"].is_on("other"));
    assert!(parsed.value.storages["a2"].is_on("pve2") && !parsed.value.storages["a2"].is_on("other"));
}

#[test]
fn types_and_properties_come_and_go_with_releases() {
    let gluster = "glusterfs: a1\n\tpath /a\n\tvolume v\n";
    assert!(parse(gluster, Pve8).value.storages.contains_key("a1"));
    assert!(!parse(gluster, Pve9).value.storages.contains_key("a1"));
    let cifs = "cifs: a1\n\tpath /a\n\tserver s\n\tshare x\n\toptions seal\n";
    assert_eq!(parse(cifs, Pve7).value.storages["a1"].mount_options, Vec::<String>::new());
    assert_eq!(parse(cifs, Pve8).value.storages["a1"].mount_options, ["seal"]);
}

#[test]
fn secrets_in_the_file_are_facts_without_text() {
    let text = "pbs: a1\n\tserver s\n\tdatastore d\n\tpassword canary\n\tencryption-key canary\n\tfingerprint aa:bb\n\n\
        custom: a2\n\tuser_password canary\n\tserver x\n\nnfs: a3\n\tpath /a\n\tserver s\n\texport /e\n\tapi-token canary\n\
        \toptions password=canary,ro\n";
    let parsed = read(text);
    let found: Vec<_> =
        parsed.value.inline_secrets.iter().map(|each| (each.storage.as_str(), each.line)).collect();
    assert_eq!(found, [("a1", 4), ("a2", 9), ("a3", 16)]);
    assert!(parsed.value.storages["a1"].marks_encryption && !parsed.value.storages["a1"].marks_master_key);
    assert_eq!(parsed.value.storages["a3"].mount_options, ["password", "ro"]);
    assert!(!format!("{parsed:?}").contains("canary"));
}

#[test]
fn ignored_lines_belong_to_their_section_and_blank_ones_to_nobody() {
    let parsed = read("stray\ndir: a1\n\tpath /a\n\tdisable yes\n \n\nnfs: n1\n\tpath /n\n\tserver s\n");
    let found: Vec<_> =
        parsed.value.ignored.iter().map(|each| (each.section.as_deref(), each.line)).collect();
    assert_eq!(found, [(None, 1), (Some("a1"), 4), (Some("n1"), 7)]);
    assert_eq!(parsed.issues.len(), 4);
}

#[test]
fn a_mount_point_is_guarded_by_a_true_word_or_a_path() {
    let guards = |text| {
        let parsed = read(&format!("dir: a1\n\tpath /a\n{text}"));
        parsed.value.storages["a1"].guards_mount_point()
    };
    assert!(
        guards("\tis_mountpoint 1\n") && guards("\tis_mountpoint /mnt\n") && guards("\tis_mountpoint yes\n")
    );
    assert!(!guards("") && !guards("\tis_mountpoint no\n"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn parsing_never_panics_and_local_always_exists(
        lines in prop::collection::vec("((dir|nfs|local|lvm): [a-z]{2,5}|\t(path|content|nodes|disable) .{0,9}|.{0,9}|)", 0..10),
    ) {
        let parsed = read(&lines.join("\n"));
        let local = &parsed.value.storages[LOCAL];
        prop_assert_eq!(local.path(), Some(LOCAL_PATH));
        prop_assert_eq!(&local.nodes, &None);
    }
}
