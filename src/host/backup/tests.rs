use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::files::{Files, Node, Tree, TroubleKind};
use crate::formats::release::Release;

const VM: &str = "/etc/pve/nodes/pve1/qemu-server/100.conf";
const CT: &str = "/etc/pve/nodes/pve2/lxc/101.conf";

fn host(files: &[(&str, &str)]) -> Host {
    let mut tree = Tree::default();
    let mut file = |path: &str, text: &str| tree.insert(path, Node::file(text));
    file("/etc/pve/.members", "{\"nodename\": \"pve1\", \"version\": 0}\n");
    file("/etc/pve/user.cfg", "user:root@pam:1:0:::::\npool:a::100::\npool:a/b::101::\n");
    file(VM, "memory: 512\n");
    file(CT, "arch: amd64\n");
    for (path, text) in files {
        file(path, text);
    }
    Host::new(Files::memory(tree), None, Some(Release::Pve9))
}

fn with_job(lines: &str) -> Host {
    let text = format!("vzdump: j\n\tschedule 21:00\n{lines}\n");
    host(&[(JOBS_CFG, &text)])
}

fn covered(host: &Host) -> Vec<u32> {
    let coverage = host.backup_coverage().value.as_ref().unwrap();
    [100, 101].into_iter().filter(|vmid| coverage.targets(*vmid).next().is_some()).collect()
}

fn faults(host: &Host) -> &[Fault] {
    &host.backup_coverage().value.as_ref().unwrap().faults[0]
}

#[test]
fn a_job_selects_by_pool_before_guests_before_all() {
    let on_local = |lines: &str| with_job(&format!("\tstorage local\n{lines}"));
    assert_eq!(covered(&on_local("\tall 1\n")), [100, 101]);
    assert_eq!(covered(&on_local("\texclude 100\n")), [101]);
    assert_eq!(covered(&on_local("\tvmid 101\n")), [101]);
    assert_eq!(covered(&on_local("\tpool a\n")), [100]);
    assert_eq!(covered(&on_local("\tpool a\n\texclude 100\n")), [100]);
    assert_eq!(covered(&on_local("\tpool a\n\tall 1\n")), [100]);
    assert_eq!(covered(&on_local("\tall 1\n\tnode pve2\n")), [101]);
    assert_eq!(covered(&on_local("\tall 0\n")), Vec::<u32>::new());
}

#[test]
fn what_upstream_refuses_when_it_runs_covers_nobody() {
    for lines in [
        "\tvmid 100\n\tall 1\n",
        "\tvmid 100\n\texclude 101\n",
        "\tvmid 100\n\tpool a\n",
        "\tall 1\n\tstorage local\n\tdumpdir /mnt\n",
        "\tpool c\n",
        "\tall 1\n\tnode pve9\n",
        "",
    ] {
        let host = with_job(lines);
        assert_eq!(covered(&host), Vec::<u32>::new(), "{lines}");
        assert!(matches!(faults(&host), [Fault::Fails(_)]), "{lines}");
    }
}

#[test]
fn a_folder_of_the_node_is_a_target_and_beats_its_defaults() {
    let jobs = "vzdump: j\n\tschedule 21:00\n\tall 1\n\tdumpdir /mnt/dump\n";
    let host = host(&[(JOBS_CFG, jobs), (VZDUMP_CONF, "storage: gone\n")]);
    let coverage = host.backup_coverage().value.as_ref().unwrap();
    let folder = Target::Folder("/mnt/dump".to_owned());
    assert_eq!(coverage.targets(100).map(|(_, target)| target).collect::<Vec<_>>(), [&folder]);
}

#[test]
fn the_defaults_of_the_node_fill_in_for_its_own_guests_only() {
    let jobs = "vzdump: j\n\tschedule 21:00\n\tall 1\n";
    let host = host(&[(JOBS_CFG, jobs), (VZDUMP_CONF, "dumpdir: /mnt/dump\n")]);
    let coverage = host.backup_coverage().value.as_ref().unwrap();
    assert!(matches!(coverage.of(100), [Selected { reach: Reach::Covered(Target::Folder(_)), .. }]));
    assert!(matches!(coverage.of(101), [Selected { reach: Reach::Unknown(_), .. }]));
}

#[test]
fn guests_that_do_not_exist_are_named_unless_a_pool_holds_them() {
    assert_eq!(faults(&with_job("\tvmid 100,999\n")), [Fault::Orphans(vec![999])]);
    assert!(matches!(faults(&with_job("\tvmid 999\n")), [Fault::Fails(_)]));
    assert_eq!(faults(&with_job("\tpool a\n\tstorage local\n")), []);
}

#[test]
fn jobs_of_the_old_schedule_are_numbered_and_a_missing_file_holds_none() {
    let host = host(&[(VZDUMP_CRON, "0 1 * * * root vzdump --all 1\n0 2 * * sat root #vzdump 100\n")]);
    let jobs = host.backup_jobs().value.as_ref().unwrap();
    assert_eq!(
        jobs.iter().map(|job| job.id.as_str()).collect::<Vec<_>>(),
        ["vzdump.cron-1", "vzdump.cron-2"]
    );
    assert!(jobs[0].enabled && !jobs[1].enabled);
    assert_eq!(with_job("").backup_jobs().value.as_ref().unwrap().len(), 1);
}

#[test]
fn jobs_that_cannot_be_read_are_no_empty_list() {
    let mut tree = Tree::default();
    tree.insert("/etc/pve/user.cfg", Node::file("\n"));
    tree.insert(JOBS_CFG, Node::file("x").failing(TroubleKind::Denied));
    let host = Host::new(Files::memory(tree), None, Some(Release::Pve9));
    assert!(matches!(host.backup_jobs().value, Err(Stop::Unknown(_))));
    assert!(host.backup_coverage().value.is_err());
}

fn place(host: &Host, storage: &str, node: &str) -> Fact<Place> {
    host.backup_place(&Target::Storage(storage.to_owned()), node)
}

#[test]
fn a_server_is_the_node_by_any_of_its_names_and_addresses() {
    let storages: String = ["LOCALHOST", "[::1]", "192.0.2.10", "pve1.example.com", "192.0.2.60", "pve2"]
        .iter()
        .zip('a'..)
        .fold(String::new(), |text, (server, id)| {
            text + &format!("pbs: s{id}\n\tdatastore d\n\tserver {server}\n\tusername a@pbs\n\n")
        });
    let hosts = "127.0.0.1 localhost\n192.0.2.10 pve1.example.com pve1\n";
    let known = host(&[("/etc/pve/storage.cfg", &storages), ("/etc/hosts", hosts)]);
    let same = |id: &str, node: &str| matches!(place(&known, id, node).value, Ok(Place::SameNode(_)));
    assert!(same("sa", "pve1") && same("sb", "pve1") && same("sc", "pve1") && same("sd", "pve1"));
    assert!(!same("se", "pve1") && !same("sf", "pve1") && same("sf", "pve2"));
    let corosync =
        "nodelist {\n  node {\n    name: pve2\n    nodeid: 2\n    ring0_addr: 192.0.2.60\n  }\n}\n";
    let clustered = host(&[
        ("/etc/pve/storage.cfg", &storages),
        ("/etc/hosts", hosts),
        ("/etc/pve/corosync.conf", corosync),
    ]);
    assert!(matches!(place(&clustered, "se", "pve2").value, Ok(Place::SameNode(_))));
    assert!(matches!(place(&clustered, "se", "pve1").value, Ok(Place::Elsewhere(_))));
    let without_hosts = host(&[("/etc/pve/storage.cfg", &storages)]);
    assert_eq!(place(&without_hosts, "se", "pve1").doubts.len(), 1);
}

#[test]
fn what_is_said_to_be_shared_is_believed_to_be_nowhere_known() {
    let storages = "dir: sh\n\tpath /srv/dump\n\tshared 1\n\tcontent backup\n\ncephfs: ceph\n\tpath /mnt/pve/ceph\n\tcontent backup\n\n\
        dir: own\n\tpath /srv/own\n\tcontent backup\n";
    let fstab = "/dev/sda1 / ext4 defaults 0 1\n/dev/sdb1 /srv/dump ext4 defaults 0 2\n";
    let host = host(&[("/etc/pve/storage.cfg", storages), ("/etc/fstab", fstab)]);
    assert!(matches!(place(&host, "sh", "pve1").value, Ok(Place::Unknown(_))));
    assert!(matches!(place(&host, "ceph", "pve1").value, Ok(Place::Elsewhere(_))));
    assert!(matches!(place(&host, "local", "pve1").value, Ok(Place::SameNode(_))));
    assert!(matches!(place(&host, "local", "pve2").value, Ok(Place::SameNode(_))));
    assert!(matches!(place(&host, "own", "pve2").value, Ok(Place::Unknown(_))));
    assert!(matches!(place(&host, "gone", "pve1").value, Ok(Place::Unknown(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_job_for_all_covers_exactly_those_it_does_not_exclude(
        guests in prop::collection::btree_set(100_u32..130, 1..8),
        excluded in prop::collection::btree_set(100_u32..130, 1..8),
    ) {
        let list: Vec<String> = excluded.iter().map(u32::to_string).collect();
        let jobs = format!("vzdump: j\n\tschedule 21:00\n\tall 1\n\texclude {}\n\tstorage local\n", list.join(","));
        let mut tree = Tree::default();
        tree.insert(JOBS_CFG, Node::file(jobs));
        for vmid in &guests {
            tree.insert(&format!("/etc/pve/nodes/pve1/lxc/{vmid}.conf"), Node::file("arch: amd64\n"));
        }
        let host = Host::new(Files::memory(tree), None, Some(Release::Pve9));
        let coverage = host.backup_coverage().value.as_ref().unwrap();
        let found: BTreeSet<u32> = guests.iter().copied().filter(|vmid| coverage.targets(*vmid).next().is_some()).collect();
        prop_assert_eq!(found, guests.difference(&excluded).copied().collect::<BTreeSet<u32>>());
    }
}
