//! Measures access control on generated clusters of 1,000, 2,000, 4,000 and 8,000 users, with a tenth as many tokens
//! and pools, four ACL lines for ten users, and two guests in the pools for each user: reading user.cfg, asking for
//! effective privileges, and every check of the areas `access` and `authentication` as the program runs them.
//! `cargo bench --bench access` prints a table of processor times with the ratio to the line before: about 2 is linear, 4 is quadratic.
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
use std::hint::black_box;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::resource::{UsageWho, getrusage};
use pve_audit::formats::release::Release;
use pve_audit::formats::user_cfg;
use pve_audit::host::access::effective::Effective;

const RUNS: usize = 7;

fn main() {
    // `cargo test --benches` passes --test: building is enough then.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    println!(
        "{:>6} {:>10} {:>10} {:>10} {:>6} {:>12} {:>6} {:>12}",
        "users", "user.cfg", "parse", "effective", "ratio", "all checks", "ratio", "peak memory"
    );
    let mut before: Option<(Duration, Duration)> = None;
    // Ascending, because the kernel reports the largest child so far.
    for users in [1_000, 2_000, 4_000, 5_000, 8_000] {
        let text = user_cfg(users);
        let parse = median(|| {
            black_box(user_cfg::parse(&text, Release::Pve9));
        });
        let cfg = user_cfg::parse(&text, Release::Pve9).value;
        let asked = median(|| ask(&cfg));
        let dir = tempfile::tempdir().unwrap();
        generate(dir.path(), users, &text);
        let mut runs: Vec<Duration> = (0..=RUNS).map(|_| run(dir.path())).skip(1).collect();
        runs.sort();
        let checks = runs[runs.len() / 2];
        let peak = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
        let ratio = |now: Duration, old: Option<Duration>| {
            old.map_or_else(|| "-".to_owned(), |old| format!("{:.1}", now.as_secs_f64() / old.as_secs_f64()))
        };
        println!(
            "{users:>6} {:>6} KiB {parse:>10.2?} {asked:>10.2?} {:>6} {checks:>12.2?} {:>6} {peak:>8} KiB",
            text.len() / 1024,
            ratio(parse + asked, before.map(|before| before.0)),
            ratio(checks, before.map(|before| before.1)),
        );
        // The ratios are between doubled sizes; the size of the target stands between them.
        if users != 5_000 {
            before = Some((parse + asked, checks));
        }
    }
}

fn median(work: impl Fn()) -> Duration {
    let mut times: Vec<Duration> = (0..RUNS)
        .map(|_| {
            let before = cpu(UsageWho::RUSAGE_SELF);
            work();
            cpu(UsageWho::RUSAGE_SELF).saturating_sub(before)
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

/// Asks for everybody on the paths that decide about power.
fn ask(cfg: &user_cfg::UserCfg) {
    let effective = Effective::new(cfg);
    for id in effective.ids() {
        for path in ["/", "/access", "/access/groups", "/access/realm", "/storage", "/nodes/pve1", "/vms/100"]
        {
            black_box(effective.has(&id, path, "Permissions.Modify"));
            black_box(effective.privileges(&id, path));
        }
    }
}

fn run(root: &Path) -> Duration {
    let before = cpu(UsageWho::RUSAGE_CHILDREN);
    let status = Command::new(env!("CARGO_BIN_EXE_pve-audit"))
        .args(["--root", root.to_str().unwrap(), "--format", "json", "--now", "2026-11-21T12:00:00Z"])
        .args(["--only", "access/*", "--only", "authentication/*"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(matches!(status.code(), Some(0 | 1 | 3)), "{status}");
    cpu(UsageWho::RUSAGE_CHILDREN).saturating_sub(before)
}

fn cpu(who: UsageWho) -> Duration {
    let usage = getrusage(who).unwrap();
    let seconds = |time: nix::sys::time::TimeVal| {
        Duration::new(u64::try_from(time.tv_sec()).unwrap(), u32::try_from(time.tv_usec()).unwrap() * 1_000)
    };
    seconds(usage.user_time()) + seconds(usage.system_time())
}

/// Users in teams of ten, each with a group and a pool of 20 guests; every second team runs its pool, every hundredth
/// may change the users of the next one, and some users have entries of their own.
fn user_cfg(users: usize) -> String {
    let mut text = String::from("user:root@pam:1:0:::root@example.com::\n");
    let teams = users / 10;
    for n in 0..users {
        writeln!(text, "user:user{n}@ldap:{}:0:First:Last:user{n}@example.com::x:", usize::from(n % 50 != 0))
            .unwrap();
        if n % 10 == 3 {
            writeln!(text, "token:user{n}@ldap!ci:0:{}::", usize::from(n % 40 != 3)).unwrap();
        }
    }
    text.push('\n');
    for team in 0..teams {
        let members: Vec<String> = (0..10).map(|n| format!("user{}@ldap", team * 10 + n)).collect();
        writeln!(text, "group:team{team}:{}::", members.join(",")).unwrap();
    }
    let all: Vec<String> = (0..users).map(|n| format!("user{n}@ldap")).collect();
    writeln!(text, "group:everybody:{}::\n", all.join(",")).unwrap();
    for team in 0..teams {
        let guests: Vec<String> = (0..20).map(|n| (100 + team * 20 + n).to_string()).collect();
        writeln!(text, "pool:pool{team}::{}:local:", guests.join(",")).unwrap();
    }
    text.push_str("\n\nrole:Watcher:VM.Audit,Sys.Audit:\n\nacl:1:/:@everybody:Watcher:\n");
    for team in 0..teams {
        let next = (team + 1) % teams;
        writeln!(text, "acl:1:/pool/pool{team}:@team{team}:PVEVMAdmin,PVEPoolUser:").unwrap();
        writeln!(text, "acl:1:/vms/{}:user{}@ldap:PVEVMUser:", 100 + team * 20, team * 10).unwrap();
        writeln!(text, "acl:0:/storage/local:user{}@ldap!ci:PVEDatastoreUser:", team * 10 + 3).unwrap();
        if team % 100 == 0 {
            writeln!(text, "acl:1:/access/groups/team{next}:@team{team}:PVEUserAdmin:").unwrap();
        } else {
            writeln!(text, "acl:1:/nodes/node{team}:user{}@ldap:PVEAuditor:", team * 10 + 5).unwrap();
        }
    }
    text + "acl:1:/:user1@ldap:Administrator:\n"
}

/// A copy of the fresh node of the tests with this user.cfg, a directory realm, second factors for every third user,
/// secrets of the tokens and an entry for every guest.
fn generate(root: &Path, users: usize, text: &str) {
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts/pve9-fresh"), root);
    let pve = root.join("etc/pve");
    fs::write(pve.join("user.cfg"), text).unwrap();
    fs::write(
        pve.join("domains.cfg"),
        "pam: pam\n\tcomment Linux\n\npve: pve\n\tcomment Proxmox\n\nldap: ldap\n\tbase_dn dc=example,dc=com\n\t\
         server1 ldap.example.com\n\tuser_attr uid\n\tmode ldaps\n\tverify 1\n",
    )
    .unwrap();
    let entry = |n: usize| {
        format!(
            "\"user{n}@ldap\":{{\"totp\":[{{\"id\":\"i{n}\",\"description\":\"d\",\"created\":1700000000,\
             \"entry\":\"otpauth://totp/a:b?secret=JBSWY3DPEHPK3PXP&digits=6&algorithm=SHA1&period=30\"}}]}}"
        )
    };
    let factors: Vec<String> = (0..users).step_by(3).map(entry).collect();
    fs::write(pve.join("priv/tfa.cfg"), format!("{{\"users\":{{{}}}}}", factors.join(","))).unwrap();
    let mut secrets = String::new();
    for n in (3..users).step_by(10) {
        writeln!(secrets, "user{n}@ldap!ci 00000000-0000-4000-8000-{n:012}").unwrap();
    }
    fs::write(pve.join("priv/token.cfg"), secrets).unwrap();
    let guests: Vec<String> = (0..users * 2)
        .map(|n| format!("\"{}\": {{ \"node\": \"pve1\", \"type\": \"qemu\", \"version\": {n} }}", 100 + n))
        .collect();
    let vmlist = format!("{{\n\"version\": 1,\n\"ids\": {{\n{}}}\n\n}}\n", guests.join(",\n"));
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
