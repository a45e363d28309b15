use super::*;
use crate::files::{Files, Node, Tree, TroubleKind};
use crate::formats::release::Release;
use crate::formats::storage_cfg;

const LVM: &str = "/etc/lvm/backup/pve";

fn group(devices: &[&str]) -> String {
    let physical = (0..).zip(devices).fold(String::new(), |text, (at, device): (u32, _)| {
        text + &format!("pv{at} {{\n{device}\nstatus = [\"ALLOCATABLE\"]\n}}\n")
    });
    format!(
        "pve {{\nseqno = 5\nphysical_volumes {{\n{physical}}}\nlogical_volumes {{\n\
         root {{\nstatus = [\"VISIBLE\"]\nsegment1 {{\ntype = \"striped\"\nstripes = [\"pv0\", 0]\n}}\n}}\n\
         data {{\nstatus = [\"VISIBLE\"]\nsegment1 {{\ntype = \"thin-pool\"\nmetadata = \"data_tmeta\"\npool = \"data_tdata\"\n}}\n}}\n\
         data_tmeta {{\nsegment1 {{\ntype = \"striped\"\nstripes = [\"pv0\", 9]\n}}\n}}\n\
         data_tdata {{\nsegment1 {{\ntype = \"striped\"\nstripes = [\"pv0\", 10]\n}}\n}}\n}}\n}}\n"
    )
}

fn on(device: &str) -> Node {
    Node::file(group(&[&format!("device = \"{device}\"")]))
}

fn host(files: &[(&str, Node)]) -> Host {
    let mut tree = Tree::default();
    for (path, node) in files {
        tree.insert(path, node.clone());
    }
    Host::new(Files::memory(tree), None, None)
}

fn storage(text: &str) -> Storage {
    let mut config = storage_cfg::parse(text, Release::Pve9).value;
    config.storages.remove("local");
    config.storages.pop_first().unwrap().1
}

fn at_rest(host: &Host, text: &str) -> AtRest {
    host.at_rest(&storage(text)).value.unwrap()
}

const THIN: &str = "lvmthin: thin\n\tvgname pve\n\tthinpool data\n";
const THICK: &str = "lvm: thick\n\tvgname pve\n";
const FOLDER: &str = "dir: store\n\tpath /srv/store\n";

#[test]
fn in_a_tree_a_pool_on_a_plain_partition_is_in_clear() {
    let found = at_rest(&host(&[(LVM, on("/dev/sda3"))]), THIN);
    assert_eq!(found.class, Class::NotEncrypted);
    assert_eq!(found.chain, ["pve-data", "/dev/sda3"]);
}

#[test]
fn in_a_tree_a_pool_on_a_crypttab_device_is_encrypted_and_one_on_another_mapping_is_unknown() {
    let crypttab = Node::file("luks UUID=1 none luks\n");
    let found = at_rest(&host(&[(LVM, on("/dev/mapper/luks")), (CRYPTTAB, crypttab)]), THIN);
    assert_eq!(found.class, Class::Encrypted);
    assert_eq!(found.chain, ["pve-data", "luks (by /etc/crypttab)"]);
    let found = at_rest(&host(&[(LVM, on("/dev/mapper/mpatha"))]), THIN);
    assert!(matches!(found.class, Class::Unknown(_)));
}

#[test]
fn a_device_id_of_cryptsetup_is_decisive() {
    let node = Node::file(group(&[
        "device = \"/dev/dm-0\"\ndevice_id_type = \"crypt_uuid\"\ndevice_id = \"CRYPT-LUKS2-0123456789abcdef0123456789abcdef-x\"",
    ]));
    assert_eq!(at_rest(&host(&[(LVM, node)]), THIN).class, Class::Encrypted);
    assert!(matches!(at_rest(&host(&[(LVM, on("/dev/dm-0"))]), THIN).class, Class::Unknown(_)));
}

#[test]
fn a_pool_uses_its_own_disks_and_a_volume_group_all_of_them() {
    let two = group(&["device = \"/dev/mapper/luks\"", "device = \"/dev/sdb\""]);
    let crypttab = Node::file("luks UUID=1 none luks\n");
    let host = host(&[(LVM, Node::file(two)), (CRYPTTAB, crypttab)]);
    assert_eq!(at_rest(&host, THIN).class, Class::Encrypted);
    assert_eq!(at_rest(&host, THICK).class, Class::Partial);
    let shared = at_rest(&host, "lvm: san\n\tvgname pve\n\tbase san:0.0.0.scsi-1\n");
    assert_eq!(shared.class, Class::RemoteUnverified);
}

#[test]
fn a_backup_that_is_missing_damaged_or_of_another_group_is_unknown() {
    let cut = group(&["device = \"/dev/mapper/luks\""]);
    let crypttab = || (CRYPTTAB, Node::file("luks UUID=1 none luks\n"));
    for files in [
        vec![],
        vec![(LVM, on("/dev/sda3").failing(TroubleKind::Denied))],
        vec![(LVM, Node::file(cut.replace("pve {", "other {"))), crypttab()],
        vec![(LVM, Node::file(format!("@ [ {{\n{cut}"))), crypttab()],
        vec![(LVM, Node::file(cut.chars().take(cut.len() / 2).collect::<String>())), crypttab()],
    ] {
        assert!(matches!(at_rest(&host(&files), THIN).class, Class::Unknown(_)), "{files:?}");
    }
    assert!(matches!(at_rest(&host(&[]), "lvm: xx\n\tvgname ../../pve\n").class, Class::Unknown(_)));
}

/// A host whose kernel knows a disk, a LUKS device on its third partition, and the volume group on it.
fn running() -> Tree {
    let mut tree = Tree::default();
    let mut device = |name: &str, real: &str, slaves: &[&str], mapping: Option<(&str, &str)>| {
        tree.insert(&format!("/sys/class/block/{name}"), Node::link(format!("../../devices/{real}")));
        let folder = format!("/sys/devices/{real}");
        tree.insert(&format!("{folder}/size"), Node::file("1\n"));
        tree.insert(&format!("{folder}/slaves"), Node::folder());
        for slave in slaves {
            tree.insert(&format!("{folder}/slaves/{slave}"), Node::link("x"));
        }
        if let Some((mapped, uuid)) = mapping {
            tree.insert(&format!("{folder}/dm/name"), Node::file(format!("{mapped}\n")));
            tree.insert(&format!("{folder}/dm/uuid"), Node::file(format!("{uuid}\n")));
            tree.insert(&format!("/dev/mapper/{mapped}"), Node::link(format!("../{name}")));
        }
    };
    let lvm = format!("LVM-{}", "a".repeat(64));
    let crypt = "CRYPT-LUKS2-0123456789abcdef0123456789abcdef-luks";
    device("sda", "pci0/ata1/block/sda", &[], None);
    device("sda1", "pci0/ata1/block/sda/sda1", &[], None);
    device("sda3", "pci0/ata1/block/sda/sda3", &[], None);
    device("sdb", "platform/host3/session1/target3:0:0/3:0:0:0/block/sdb", &[], None);
    device("dm-0", "virtual/block/dm-0", &["sda3"], Some(("luks", crypt)));
    device("dm-1", "virtual/block/dm-1", &["dm-0"], Some(("pve-data_tdata", &format!("{lvm}-tdata"))));
    device("dm-2", "virtual/block/dm-2", &["dm-0"], Some(("pve-data_tmeta", &format!("{lvm}-tmeta"))));
    device(
        "dm-3",
        "virtual/block/dm-3",
        &["dm-1", "dm-2"],
        Some(("pve-data-tpool", &format!("{lvm}-tpool"))),
    );
    device("dm-4", "virtual/block/dm-4", &["dm-3"], Some(("pve-data", &format!("{lvm}-pool"))));
    device("dm-5", "virtual/block/dm-5", &["dm-0"], Some(("pve-root", &lvm)));
    device("dm-6", "virtual/block/dm-6", &["sda1"], Some(("odd", "")));
    device("dm-7", "virtual/block/dm-7", &["sdb"], Some(("san-lun", &lvm)));
    device("zram0", "virtual/block/zram0", &[], None);
    tree.insert("/sys/dev/block/252:5", Node::link("../../devices/virtual/block/dm-5"));
    tree.insert("/sys/dev/block/8:1", Node::link("../../devices/pci0/ata1/block/sda/sda1"));
    let mounts = "1 0 252:5 / / rw - ext4 /dev/mapper/pve-root rw\n2 1 8:1 / /srv/store rw - ext4 /dev/sda1 rw\n\
                  3 1 0:50 / /mnt/nas rw - nfs4 nas:/srv rw\n4 1 0:51 / /tmp rw - tmpfs tmpfs rw\n";
    tree.insert("/proc/1/mountinfo", Node::file(mounts));
    tree
}

fn live(change: impl Fn(&mut Tree)) -> Host {
    let mut tree = running();
    change(&mut tree);
    Host::new(Files::memory(tree), None, None)
}

#[test]
fn the_kernel_tells_the_whole_chain() {
    let found = at_rest(&live(|_| ()), THIN);
    assert_eq!(found.class, Class::Encrypted);
    assert_eq!(found.chain, ["pve-data", "pve-data-tpool", "pve-data_tdata", "luks (LUKS2)"]);
}

#[test]
fn a_folder_lies_on_what_is_mounted_there() {
    let host = live(|tree| tree.insert("/data", Node::link("/srv/store")));
    let found = at_rest(&host, FOLDER);
    assert_eq!((found.class, found.chain), (Class::NotEncrypted, vec!["sda1".to_owned(), "sda".to_owned()]));
    assert_eq!(at_rest(&host, "dir: a1\n\tpath /data/x\n").class, Class::NotEncrypted);
    assert_eq!(at_rest(&host, "dir: a1\n\tpath /var/lib/x\n").class, Class::Encrypted);
    assert_eq!(at_rest(&host, "dir: a1\n\tpath /mnt/nas/x\n").class, Class::RemoteUnverified);
    assert!(matches!(at_rest(&host, "dir: a1\n\tpath /tmp/x\n").class, Class::Unknown(_)));
    let guarded = "dir: a1\n\tpath /srv/other\n\tis_mountpoint 1\n";
    assert!(matches!(at_rest(&host, guarded).class, Class::Unknown(_)));
}

#[test]
fn without_dev_the_names_of_the_mappings_are_read_from_sys() {
    let host = live(|tree| {
        let links: Vec<String> =
            tree.nodes().map(|(path, _)| path.to_owned()).filter(|path| path.starts_with("/dev/")).collect();
        for path in &links {
            tree.remove(path);
        }
        tree.remove("/sys/dev/block/252:5");
    });
    assert_eq!(at_rest(&host, THIN).class, Class::Encrypted);
    assert_eq!(at_rest(&host, "dir: a1\n\tpath /var/lib/x\n").class, Class::Encrypted);
}

#[test]
fn a_mapping_that_does_not_say_what_it_is_or_cannot_be_read_is_unknown() {
    assert!(matches!(live(|_| ()).device_at_rest("/dev/mapper/odd").class, Class::Unknown(_)));
    let uuid = "/sys/devices/virtual/block/dm-0/dm/uuid";
    for change in [Node::file("").failing(TroubleKind::Denied), Node::file("CRYPT-NEW-1-x\n"), Node::file("")]
    {
        let host = live(|tree| tree.insert(uuid, change.clone()));
        assert!(matches!(at_rest(&host, THIN).class, Class::Unknown(_)));
    }
    let verity = live(|tree| tree.insert(uuid, Node::file("CRYPT-VERITY-0123-luks\n")));
    assert_eq!(at_rest(&verity, THIN).class, Class::NotEncrypted);
}

#[test]
fn a_disk_of_a_san_is_remote_and_memory_is_unknown() {
    let host = live(|_| ());
    assert_eq!(host.device_at_rest("/dev/mapper/san-lun").class, Class::RemoteUnverified);
    assert!(matches!(host.device_at_rest("/dev/zram0").class, Class::Unknown(_)));
    assert!(matches!(host.device_at_rest("/dev/sdz").class, Class::Unknown(_)));
}

#[test]
fn an_nvme_drive_with_several_paths_is_local_if_every_controller_is() {
    let nvme = |transport: &str| {
        live(|tree| {
            let real = "virtual/nvme-subsystem/nvme-subsys0/nvme0n1";
            tree.insert("/sys/class/block/nvme0n1", Node::link(format!("../../devices/{real}")));
            tree.insert(&format!("/sys/devices/{real}/size"), Node::file("1\n"));
            tree.insert("/sys/class/nvme/nvme0/transport", Node::file(format!("{transport}\n")));
        })
    };
    assert_eq!(nvme("pcie").device_at_rest("/dev/nvme0n1").class, Class::NotEncrypted);
    assert!(matches!(nvme("tcp").device_at_rest("/dev/nvme0n1").class, Class::Unknown(_)));
}

#[test]
fn the_active_volumes_of_a_group_prove_a_fail_but_not_a_pass() {
    let host = live(|_| ());
    assert!(matches!(at_rest(&host, THICK).class, Class::Unknown(_)));
    let host = live(|tree| tree.insert(LVM, on("/dev/mapper/luks")));
    assert_eq!(at_rest(&host, THICK).class, Class::Encrypted);
    let host = live(|tree| tree.insert("/sys/devices/virtual/block/dm-5/slaves/sda1", Node::link("x")));
    assert_eq!(at_rest(&host, THICK).class, Class::Partial);
}

#[test]
fn a_btrfs_lies_on_all_its_devices() {
    let mounts = "1 0 0:30 / / rw - btrfs /dev/mapper/luks rw\n";
    let with = |members: &[&str]| {
        live(|tree| {
            tree.insert("/proc/1/mountinfo", Node::file(mounts));
            for member in members {
                tree.insert(&format!("/sys/fs/btrfs/uuid/devices/{member}"), Node::link("x"));
            }
        })
    };
    assert_eq!(at_rest(&with(&["dm-0"]), FOLDER).class, Class::Encrypted);
    assert_eq!(at_rest(&with(&["dm-0", "sda1"]), FOLDER).class, Class::Partial);
    assert!(matches!(at_rest(&with(&[]), FOLDER).class, Class::Unknown(_)));
}

const FSTAB: &str = "/etc/fstab";

#[test]
fn in_a_tree_fstab_and_mount_units_tell_where_a_folder_lies() {
    let root =
        || (FSTAB, Node::file("/dev/pve/root / ext4 defaults 0 1\n/dev/sdb1 /srv ext4 defaults 0 2\n"));
    let lvm = || (LVM, on("/dev/mapper/luks"));
    let crypttab = || (CRYPTTAB, Node::file("luks UUID=1 none luks\n"));
    let plain = host(&[root(), lvm(), crypttab()]);
    assert_eq!(at_rest(&plain, FOLDER).class, Class::NotEncrypted);
    assert_eq!(at_rest(&plain, "dir: a1\n\tpath /mnt/pve/x\n").class, Class::Encrypted);
    let unit = "[Mount]\nWhat=/dev/disk/by-uuid/1\nWhere=/mnt/pve/x\nType=ext4\n";
    let with_unit =
        host(&[root(), lvm(), crypttab(), ("/etc/systemd/system/mnt-pve-x.mount", Node::file(unit))]);
    assert!(matches!(at_rest(&with_unit, "dir: a1\n\tpath /mnt/pve/x\n").class, Class::Unknown(_)));
    let with_zfs = host(&[root(), lvm(), crypttab(), (ZPOOL_CACHE, Node::file("x"))]);
    assert!(matches!(at_rest(&with_zfs, "dir: a1\n\tpath /tank/x\n").class, Class::Unknown(_)));
}

const TANK: &str = "zfspool: tank\n\tpool tank/vm\n";

fn zfs_list(root: &str) -> Node {
    Node::file(format!(
        "tank\t/t\ton\ton\ton\ton\ton\toff\ton\toff\t-\tnone\ntank/vm\t/v\ton\ton\ton\ton\ton\toff\ton\toff\t{root}\tprompt\n"
    ))
}

#[test]
fn a_zfs_pool_is_known_by_its_list_and_else_unknown() {
    let list = "/etc/zfs/zfs-list.cache/tank";
    assert_eq!(at_rest(&host(&[(list, zfs_list("tank/vm"))]), TANK).class, Class::Encrypted);
    assert_eq!(at_rest(&host(&[(list, zfs_list("-"))]), TANK).class, Class::NotEncrypted);
    let luks = (CRYPTTAB, Node::file("luks UUID=1 none luks\n"));
    assert!(matches!(at_rest(&host(&[(list, zfs_list("-")), luks]), TANK).class, Class::Unknown(_)));
    assert!(matches!(at_rest(&host(&[]), TANK).class, Class::Unknown(_)));
    assert!(matches!(at_rest(&host(&[(list, Node::file("tank\n"))]), TANK).class, Class::Unknown(_)));
}

#[test]
fn data_on_another_machine_is_not_judged() {
    let host = host(&[]);
    let found = at_rest(&host, "nfs: nas\n\tserver 192.0.2.1\n\texport /e\n\tpath /mnt/pve/nas\n");
    assert_eq!((found.class, found.chain), (Class::RemoteUnverified, vec!["nfs 192.0.2.1".to_owned()]));
}
