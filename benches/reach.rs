//! Measures `show reach` on generated nodes of 250, 500, 1,000 and 2,000 filtered guests with 30 rules each, 200
//! security groups of five rules and four IP sets of 5,000 networks, with each firewall backend: the whole table as
//! text and as JSON, one question, and every check of the area `firewall`, as the program runs them.
//! `cargo bench --bench reach` prints a table of processor times with the ratio to the line before: about 2 is linear
//! (what is read once for all guests, the sets, makes it less), 4 is quadratic.
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
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};

const RUNS: usize = 5;

/// The argument with which this program starts itself.
const ONE: &str = "--one";

/// Rules of every guest.
const RULES: usize = 30;
/// Security groups of the datacenter.
const GROUPS: usize = 200;
/// Sets of the datacenter, and members of each.
const SETS: usize = 4;
const MEMBERS: usize = 5_000;

/// What is measured: name and arguments.
const WORK: [(&str, &[&str]); 4] = [
    ("table", &["show", "reach"]),
    ("json", &["show", "reach", "--format", "json"]),
    ("question", &["show", "reach", "--from", "203.0.113.9", "--to", "guest/100", "--port", "tcp/22"]),
    ("checks", &["--format", "json", "--only", "firewall/*"]),
];

fn main() {
    // `cargo test --benches` passes --test: building is enough then.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    if std::env::args().nth(1).is_some_and(|argument| argument == ONE) {
        return one(std::env::args().skip(2));
    }
    for backend in ["iptables", "nftables"] {
        println!(
            "{:>8} {:>6} {:>10} {:>12} {:>6} {:>12}",
            backend, "guests", "work", "CPU", "ratio", "peak memory"
        );
        let mut before = [None; WORK.len()];
        for guests in [250, 500, 1_000, 2_000] {
            let dir = tempfile::tempdir().unwrap();
            generate(dir.path(), guests, backend == "nftables");
            for ((name, arguments), before) in WORK.iter().zip(&mut before) {
                let mut runs: Vec<(Duration, u64)> =
                    (0..=RUNS).map(|_| run(dir.path(), arguments)).skip(1).collect();
                runs.sort();
                let (time, peak) = runs[runs.len() / 2];
                let ratio = before.map_or_else(
                    || "-".to_owned(),
                    |before: Duration| format!("{:.1}", time.as_secs_f64() / before.as_secs_f64()),
                );
                println!("{:>8} {guests:>6} {name:>10} {time:>12.2?} {ratio:>6} {peak:>8} KiB", "");
                *before = Some(time);
            }
        }
    }
}

/// Processor time and largest resident memory in KiB of one run. The kernel tells them of all children together, so a
/// process of its own starts each run.
fn run(root: &Path, arguments: &[&str]) -> (Duration, u64) {
    let out = Command::new(std::env::current_exe().unwrap())
        .args([ONE, "--root", root.to_str().unwrap(), "--now", "2026-11-21T12:00:00Z"])
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let (micros, peak) = text.trim().split_once(' ').unwrap();
    (Duration::from_micros(micros.parse().unwrap()), peak.parse().unwrap())
}

/// Starts the program once and prints microseconds and KiB.
fn one(arguments: impl Iterator<Item = String>) {
    let status = Command::new(env!("CARGO_BIN_EXE_pve-audit"))
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(matches!(status.code(), Some(0 | 1 | 3)), "{status}");
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let micros =
        |time: nix::sys::time::TimeVal| i128::from(time.tv_sec()) * 1_000_000 + i128::from(time.tv_usec());
    println!("{} {}", micros(usage.user_time()) + micros(usage.system_time()), usage.max_rss());
}

fn cluster_fw() -> String {
    let mut text = String::from("[OPTIONS]\nenable: 1\n\n[ALIASES]\noffice 198.51.100.0/24\n");
    for set in 0..SETS {
        writeln!(text, "\n[IPSET set{set}]").unwrap();
        for n in 0..MEMBERS {
            // Networks with gaps between them: no two melt into one.
            writeln!(text, "{}.{}.{}.0/25", 20 + set * 10 + n / 2_500, n / 16 % 256, n % 16 * 16).unwrap();
        }
    }
    for group in 0..GROUPS {
        writeln!(text, "\n[group group{group}]").unwrap();
        for rule in 0..5 {
            let port = 2_000 + group * 5 + rule;
            writeln!(text, "IN ACCEPT -source +set{} -p tcp -dport {port}", group % SETS).unwrap();
        }
    }
    text + "\n[RULES]\nIN SSH(ACCEPT) -source office\nIN ACCEPT -source +set0 -p tcp -dport 8006\nGROUP group7\n"
}

fn guest_fw(guest: usize) -> String {
    let mut text = String::from("[OPTIONS]\nenable: 1\n\n[RULES]\n");
    for rule in 0..RULES {
        match rule % 6 {
            0 => writeln!(text, "GROUP group{}", (guest * 7 + rule) % GROUPS).unwrap(),
            1 => {
                writeln!(text, "IN ACCEPT -source +set{} -p tcp -dport {}", guest % SETS, 22 + rule).unwrap();
            }
            2 => writeln!(text, "IN Web(ACCEPT) -source 10.{}.{rule}.0/24", guest % 256).unwrap(),
            3 => writeln!(text, "IN ACCEPT -p tcp -dport {}:{}", 9_000 + rule, 9_005 + rule).unwrap(),
            4 => writeln!(text, "IN DROP -source 192.0.2.{rule} -p udp -dport 53 # noise").unwrap(),
            _ => writeln!(text, "|IN ACCEPT -source office -p tcp -dport 3389").unwrap(),
        }
    }
    text
}

/// A copy of the fresh node of the tests with these guests and their files.
fn generate(root: &Path, guests: usize, nftables: bool) {
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts/pve9-fresh"), root);
    let pve = root.join("etc/pve");
    fs::create_dir_all(pve.join("firewall")).unwrap();
    fs::create_dir_all(pve.join("nodes/pve1/qemu-server")).unwrap();
    fs::write(pve.join("firewall/cluster.fw"), cluster_fw()).unwrap();
    if nftables {
        fs::write(pve.join("nodes/pve1/host.fw"), "[OPTIONS]\nnftables: 1\n").unwrap();
        let program = root.join("usr/libexec/proxmox/proxmox-firewall");
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        fs::copy("/bin/true", program).unwrap();
    }
    let mut list = Vec::new();
    for guest in 0..guests {
        let vmid = 100 + guest;
        list.push(format!("\"{vmid}\": {{ \"node\": \"pve1\", \"type\": \"qemu\", \"version\": {guest} }}"));
        fs::write(pve.join(format!("firewall/{vmid}.fw")), guest_fw(guest)).unwrap();
        let conf = format!(
            "cores: 2\nmemory: 2048\nname: guest{vmid}\nnet0: virtio=BC:24:11:00:{:02X}:{:02X},bridge=vmbr0,firewall=1\n\
             scsi0: local-lvm:vm-{vmid}-disk-0,size=32G\n",
            guest / 256,
            guest % 256
        );
        fs::write(pve.join(format!("nodes/pve1/qemu-server/{vmid}.conf")), conf).unwrap();
    }
    let vmlist = format!("{{\n\"version\": 1,\n\"ids\": {{\n{}}}\n\n}}\n", list.join(",\n"));
    fs::write(pve.join(".vmlist"), vmlist).unwrap();
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
