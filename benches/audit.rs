//! Measures whole audits on generated hosts of 10, 100, 1,000 and 10,000 guests: processor time, peak memory and
//! time per guest. `cargo bench` prints a table; figures are for comparing, no test asserts them.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a benchmark prepares files, starts the program and prints"
)]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

const RUNS: u32 = 7;

fn main() {
    // `cargo test --benches` passes --test: building is enough then.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    println!(
        "{:>8} {:>12} {:>12} {:>14} {:>12}",
        "guests", "cpu median", "wall median", "cpu per guest", "peak memory"
    );
    // Ascending, because the kernel reports the largest child so far.
    for guests in [10, 100, 1_000, 10_000] {
        let dir = tempfile::tempdir().unwrap();
        generate(dir.path(), guests);
        let mut figures: Vec<(Duration, Duration)> = (0..=RUNS).map(|_| run(dir.path())).skip(1).collect();
        figures.sort();
        let cpu = figures[figures.len() / 2].0;
        figures.sort_by_key(|(_, wall)| *wall);
        let wall = figures[figures.len() / 2].1;
        let peak = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
        let each = cpu / u32::try_from(guests).unwrap();
        println!("{guests:>8} {cpu:>12.2?} {wall:>12.2?} {each:>14.2?} {peak:>9} KiB");
    }
}

fn run(root: &Path) -> (Duration, Duration) {
    let before = children_cpu();
    let started = Instant::now();
    let status = Command::new(env!("CARGO_BIN_EXE_pve-audit"))
        .args(["--root", root.to_str().unwrap(), "--format", "json", "--now", "2026-11-21T12:00:00Z"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(matches!(status.code(), Some(0 | 1 | 3)), "{status}");
    (children_cpu().saturating_sub(before), started.elapsed())
}

fn children_cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let seconds = |time: nix::sys::time::TimeVal| {
        Duration::new(u64::try_from(time.tv_sec()).unwrap(), u32::try_from(time.tv_usec()).unwrap() * 1_000)
    };
    seconds(usage.user_time()) + seconds(usage.system_time())
}

/// A copy of the fresh node of the tests with this many guests, users, ACLs and firewall files that grow along.
fn generate(root: &Path, guests: usize) {
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts/pve9-fresh"), root);
    let nodes = root.join("etc/pve/nodes/pve1");
    for folder in ["qemu-server", "lxc"] {
        fs::create_dir_all(nodes.join(folder)).unwrap();
    }
    fs::create_dir_all(root.join("etc/pve/firewall")).unwrap();
    let mut users = String::from("user:root@pam:1:0:::root@example.com::\n");
    let mut acl = String::new();
    let mut list = Vec::new();
    for n in 0..guests {
        let id = 100 + n;
        let (folder, kind, text) =
            if n % 3 == 0 { ("lxc", "lxc", container(id)) } else { ("qemu-server", "qemu", machine(id)) };
        fs::write(nodes.join(folder).join(format!("{id}.conf")), text).unwrap();
        list.push(format!("\"{id}\": {{ \"node\": \"pve1\", \"type\": \"{kind}\", \"version\": {n} }}"));
        if n % 10 == 0 {
            writeln!(users, "user:user{n}@pve:1:0:::user{n}@example.com::").unwrap();
            writeln!(acl, "acl:1:/vms/{id}:user{n}@pve:PVEVMUser:").unwrap();
            let firewall =
                "[OPTIONS]\n\nenable: 1\n\n[RULES]\n\nIN ACCEPT -source 192.0.2.0/24 -p tcp -dport 443\n\n";
            fs::write(root.join(format!("etc/pve/firewall/{id}.fw")), firewall).unwrap();
        }
    }
    fs::write(root.join("etc/pve/user.cfg"), users + "\n" + &acl).unwrap();
    let vmlist = format!("{{\n\"version\": 1,\n\"ids\": {{\n{}}}\n\n}}\n", list.join(",\n"));
    fs::write(root.join("etc/pve/.vmlist"), vmlist).unwrap();
}

fn machine(id: usize) -> String {
    format!(
        "#guest {id}%3A generated\nagent: 1\nboot: order=scsi0;net0\ncores: 4\ncpu: x86-64-v2-AES\nmemory: 8192\n\
         name: vm{id}\nnet0: virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1,tag=20\nonboot: 1\nostype: l26\n\
         scsi0: local-lvm:vm-{id}-disk-0,discard=on,iothread=1,size=32G\nscsihw: virtio-scsi-single\n\
         smbios1: uuid=216719f4-4b49-4800-b29f-056ae0dc7dbd\ntags: prod\nvmgenid: b0191f24-75d4-4904-ad24-21a54db1a521\n"
    )
}

fn container(id: usize) -> String {
    format!(
        "arch: amd64\ncores: 2\nfeatures: nesting=1\nhostname: ct{id}\nmemory: 512\n\
         net0: name=eth0,bridge=vmbr0,firewall=1,hwaddr=BC:24:11:00:00:02,ip=dhcp,type=veth\nostype: debian\n\
         rootfs: local-lvm:vm-{id}-disk-0,size=8G\nswap: 512\nunprivileged: 1\n"
    )
}

fn copy(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from).min_depth(1) {
        let entry = entry.unwrap();
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(target).unwrap();
        } else if entry.file_type().is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path()).unwrap(), target).unwrap();
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
