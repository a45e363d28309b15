//! A hostile host on disk: `tests/hosts/pve9-fresh`, copied and then mangled, so that every file the auditor may read is
//! bad in some way. Nothing here knows the auditor; the same arguments always build the same tree.
//!
//! The folder given is the root of the host. [`build`] puts the worst fitting thing at every place, [`build_variant`]
//! deals the same horrors out by a seed and leaves some files nearly whole, so that later stages are reached as well.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    reason = "a test prepares files and stops at the first surprise"
)]
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each integration test compiles this module and uses a part of it"
)]

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use walkdir::WalkDir;

/// The healthy host that is mangled.
const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hosts/pve9-fresh");
/// Size of a sparse file; above every limit a configuration file can have.
pub const SPARSE_BYTES: u64 = 5 * 1024 * 1024;
/// Length of a long line.
pub const LONG_LINE: usize = 200_000;
/// Lines of one character.
pub const SHORT_LINES: usize = 50_000;
/// Levels of a nested JSON value or block.
pub const LEVELS: usize = 10_000;
/// Guests with garbage names in [`build`].
pub const GUESTS: usize = 3_000;
/// Guests with garbage names in [`build_variant`].
pub const VARIANT_GUESTS: usize = 200;
/// Terminal escapes, bidi marks, line separators and zero-width characters, as somebody would put them into a name.
pub const ESCAPES: &str = "\u{1b}[2J\u{1b}[31mok\u{1b}]0;owned\u{7}\u{202e}drowssap\u{2066}\u{2069}\u{200b}\u{2028}\u{9b}1m\u{feff}\r\u{8}\u{7f}";

/// Every path the auditor may read as a file, below the root.
pub const PLACES: &[&str] = &[
    "etc/pve/user.cfg",
    "etc/pve/domains.cfg",
    "etc/pve/priv/tfa.cfg",
    "etc/pve/priv/token.cfg",
    "etc/pve/priv/shadow.cfg",
    "etc/pve/priv/notifications.cfg",
    "etc/pve/priv/authorized_keys",
    "etc/pve/priv/storage/pbs1.enc",
    "etc/pve/priv/storage/pbs1.pw",
    "etc/pve/priv/storage/pbs1.master.pem",
    "etc/pve/priv/realm/corp.pw",
    "etc/pve/datacenter.cfg",
    "etc/pve/storage.cfg",
    "etc/pve/jobs.cfg",
    "etc/pve/vzdump.cron",
    "etc/pve/corosync.conf",
    "etc/pve/ceph.conf",
    "etc/pve/replication.cfg",
    "etc/pve/status.cfg",
    "etc/pve/notifications.cfg",
    "etc/pve/ha/resources.cfg",
    "etc/pve/ha/groups.cfg",
    "etc/pve/ha/rules.cfg",
    "etc/pve/mapping/directory.cfg",
    "etc/pve/mapping/pci.cfg",
    "etc/pve/mapping/usb.cfg",
    "etc/pve/sdn/zones.cfg",
    "etc/pve/sdn/vnets.cfg",
    "etc/pve/sdn/subnets.cfg",
    "etc/pve/sdn/controllers.cfg",
    "etc/pve/sdn/ipams.cfg",
    "etc/pve/sdn/dns.cfg",
    "etc/pve/sdn/.running-config",
    "etc/pve/sdn/firewall/vnet1.fw",
    "etc/pve/.members",
    "etc/pve/.vmlist",
    "etc/pve/.version",
    "etc/pve/firewall/cluster.fw",
    "etc/pve/firewall/100.fw",
    "etc/pve/firewall/200.fw",
    "etc/pve/nodes/pve1/host.fw",
    "etc/pve/nodes/pve1/config",
    "etc/pve/nodes/pve1/lrm_status",
    "etc/pve/nodes/pve1/pve-ssl.pem",
    "etc/pve/nodes/pve1/pveproxy-ssl.pem",
    "etc/pve/nodes/pve1/pveproxy-ssl.key",
    "etc/pve/nodes/pve1/ssh_known_hosts",
    "etc/pve/nodes/pve1/qemu-server/100.conf",
    "etc/pve/nodes/pve1/lxc/200.conf",
    "etc/pve/pve-root-ca.pem",
    "etc/pve/authkey.pub",
    "etc/corosync/corosync.conf",
    "etc/corosync/authkey",
    "var/lib/pve-cluster/config.db",
    "var/lib/pve-manager/pkgupdates",
    "var/lib/pve-manager/jobs/vzdump-daily.json",
    "etc/ssh/sshd_config",
    "etc/ssh/sshd_config.d/10-first.conf",
    "etc/ssh/ssh_host_rsa_key.pub",
    "etc/ssh/ssh_host_ed25519_key.pub",
    "etc/default/ssh",
    "etc/default/pveproxy",
    "etc/default/pve-ha-manager",
    "etc/default/grub",
    "etc/default/rpcbind",
    "etc/kernel/cmdline",
    "etc/apt/sources.list",
    "etc/apt/sources.list.d/debian.sources",
    "etc/apt/sources.list.d/pve-enterprise.sources",
    "etc/apt/sources.list.d/old.list",
    "etc/apt/apt.conf",
    "etc/apt/apt.conf.d/20auto-upgrades",
    "etc/apt/apt.conf.d/50unattended-upgrades",
    "etc/apt/preferences",
    "etc/apt/preferences.d/pin",
    "etc/apt/auth.conf.d/pve.conf",
    "etc/subscription",
    "var/lib/dpkg/status",
    "var/lib/apt/lists/deb.debian.org_debian_dists_trixie_InRelease",
    "var/lib/apt/lists/deb.debian.org_debian_dists_trixie_main_binary-amd64_Packages",
    "var/lib/apt/lists/security.debian.org_debian-security_dists_trixie-security_InRelease",
    "var/lib/apt/lists/security.debian.org_debian-security_dists_trixie-security_main_binary-amd64_Packages",
    "usr/lib/os-release",
    "etc/debian_version",
    "etc/hostname",
    "etc/hosts",
    "etc/machine-id",
    "etc/passwd",
    "etc/shadow",
    "etc/group",
    "etc/subuid",
    "etc/subgid",
    "etc/login.defs",
    "etc/pam.d/common-auth",
    "etc/pam.d/common-password",
    "etc/pam.d/sshd",
    "etc/security/pwquality.conf",
    "etc/security/faillock.conf",
    "etc/security/limits.conf",
    "etc/sudoers",
    "etc/sudoers.d/site",
    "etc/fstab",
    "etc/crypttab",
    "etc/crontab",
    "etc/network/interfaces",
    "etc/resolv.conf",
    "etc/sysctl.conf",
    "etc/sysctl.d/30-lxc-inotify.conf",
    "usr/lib/sysctl.d/50-default.conf",
    "usr/lib/sysctl.d/pve-firewall.conf",
    "etc/modprobe.d/pve-blacklist.conf",
    "etc/lvm/backup/pve",
    "etc/lvm/lvm.conf",
    "etc/zfs/zfs-list.cache/rpool",
    "etc/vzdump.conf",
    "etc/chrony/chrony.conf",
    "etc/postfix/main.cf",
    "etc/rsyslog.conf",
    "etc/systemd/journald.conf",
    "etc/systemd/journald.conf.d/site.conf",
    "etc/systemd/system/rpcbind.service",
    "etc/audit/auditd.conf",
    "etc/audit/audit.rules",
    "etc/audit/rules.d/audit.rules",
    "etc/fail2ban/jail.local",
    "etc/issue",
    "etc/issue.net",
    "etc/exports",
    "boot/grub/grub.cfg",
    "proc/cmdline",
    "proc/modules",
    "proc/version",
    "proc/cpuinfo",
    "proc/swaps",
    "proc/mounts",
    "proc/1/mountinfo",
    "proc/self/mountinfo",
    "proc/net/tcp",
    "proc/net/tcp6",
    "proc/net/udp",
    "proc/net/route",
    "proc/sys/kernel/randomize_va_space",
    "proc/sys/kernel/osrelease",
    "proc/sys/kernel/hostname",
    "proc/sys/net/ipv4/ip_forward",
    "sys/class/block/dm-0/dm/name",
    "sys/class/block/dm-0/dm/uuid",
    "sys/class/block/sda/dev",
    "sys/devices/system/cpu/vulnerabilities/meltdown",
    "sys/kernel/mm/ksm/run",
    "sys/kernel/security/lockdown",
    "sys/module/apparmor/parameters/enabled",
];

/// Folders that are listed, and what a name in them looks like (`#` is a number).
const LISTED: &[(&str, &str)] = &[
    ("etc/pve/nodes/pve1/qemu-server", "7#.conf"),
    ("etc/pve/nodes/pve1/lxc", "8#.conf"),
    ("etc/pve/firewall", "7#.fw"),
    ("etc/ssh/sshd_config.d", "#-site.conf"),
    ("etc/apt/sources.list.d", "site#.sources"),
    ("etc/apt/sources.list.d", "site#.list"),
    ("etc/apt/apt.conf.d", "90site#"),
    ("etc/apt/preferences.d", "site#.pref"),
    ("etc/apt/trusted.gpg.d", "site#.gpg"),
    ("etc/sysctl.d", "90-site#.conf"),
    ("etc/modprobe.d", "site#.conf"),
    ("etc/lvm/backup", "vg#"),
    ("etc/pam.d", "site#"),
    ("etc/sudoers.d", "site#"),
    ("etc/cron.d", "site#"),
    ("etc/audit/rules.d", "site#.rules"),
    ("etc/network/interfaces.d", "site#"),
    ("etc/systemd/system/multi-user.target.wants", "site#.service"),
    ("var/lib/pve-manager/jobs", "vzdump-site#.json"),
];

/// One way for a file to be bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Horror {
    /// Wrong in the way that hurts a reader of this very format; see [`crafted`].
    Crafted,
    /// Bytes from the whole range, not UTF-8.
    RandomBytes,
    /// A sparse file of [`SPARSE_BYTES`].
    Sparse,
    /// A FIFO nobody writes to: opening it to read would hang.
    Fifo,
    /// A link to nothing.
    Dangling,
    /// A relative link that climbs out of the root.
    OutOfRoot,
    /// A link to itself.
    Loop,
    /// Two links that point at each other.
    Pair,
    /// A folder with something in it.
    Folder,
    /// Zero bytes.
    Empty,
    /// NUL bytes between and within the lines of the model.
    Nul,
    /// Escapes and bidi marks behind every line.
    Escapes,
    /// The model, then one line of [`LONG_LINE`] characters, without a final newline.
    LongLine,
    /// [`SHORT_LINES`] lines of one character.
    ShortLines,
    /// The model with CR LF.
    Crlf,
    /// The model behind a byte order mark.
    Bom,
    /// [`LEVELS`] opening brackets, never closed.
    Nested,
    /// The first half of the model.
    Truncated,
    /// The model with one byte in about thirty changed.
    Flipped,
    /// Every line of the model twice, in reverse order.
    Doubled,
}

/// All horrors.
pub const HORRORS: &[Horror] = &[
    Horror::Crafted,
    Horror::RandomBytes,
    Horror::Sparse,
    Horror::Fifo,
    Horror::Dangling,
    Horror::OutOfRoot,
    Horror::Loop,
    Horror::Pair,
    Horror::Folder,
    Horror::Empty,
    Horror::Nul,
    Horror::Escapes,
    Horror::LongLine,
    Horror::ShortLines,
    Horror::Crlf,
    Horror::Bom,
    Horror::Nested,
    Horror::Truncated,
    Horror::Flipped,
    Horror::Doubled,
];

/// Builds the hostile host below `dir`, which must exist and be empty. Where a format has a crafted text, that text;
/// elsewhere the horrors in turn. The listed folders hold one more file for every horror.
pub fn build(dir: &Path) {
    copy_model(dir);
    let mut turn = 0;
    for path in PLACES {
        let horror = if crafted(path).is_some() {
            Horror::Crafted
        } else {
            turn += 1;
            HORRORS[1 + turn % (HORRORS.len() - 1)]
        };
        inflict(dir, path, horror, &mut Dice::new(hash(path)));
    }
    fill_listed(dir, 1);
    garbage_guests(dir, GUESTS);
    odd_names(dir);
    strange_devices(dir);
    loops_of_includes(dir);
}

/// Builds another hostile host below `dir`: `seed` decides what happens to each file. About one file in four is only
/// damaged lightly, so that a reader gets past it.
pub fn build_variant(dir: &Path, seed: u64) {
    copy_model(dir);
    for path in PLACES {
        let mut dice = Dice::new(seed ^ hash(path));
        let horror = if dice.below(4) == 0 {
            [Horror::Flipped, Horror::Crlf, Horror::Escapes, Horror::Doubled][dice.below(4)]
        } else {
            HORRORS[dice.below(HORRORS.len())]
        };
        inflict(dir, path, horror, &mut dice);
    }
    fill_listed(dir, seed);
    garbage_guests(dir, VARIANT_GUESTS);
    if seed.is_multiple_of(2) {
        odd_names(dir);
        strange_devices(dir);
    } else {
        loops_of_includes(dir);
    }
}

/// Puts `horror` at `path` below `dir`, whatever was there before.
pub fn inflict(dir: &Path, path: &str, horror: Horror, dice: &mut Dice) {
    let place = dir.join(path);
    let model = fs::read(Path::new(MODEL).join(path)).unwrap_or_else(|_| sample(path).into_bytes());
    clear(dir, path);
    match horror {
        Horror::Crafted => fs::write(&place, crafted(path).unwrap_or_else(|| flipped(&model, dice))).unwrap(),
        Horror::RandomBytes => fs::write(&place, dice.bytes(4096)).unwrap(),
        Horror::Sparse => File::create(&place).unwrap().set_len(SPARSE_BYTES).unwrap(),
        Horror::Fifo => mkfifo(&place, Mode::from_bits_truncate(0o600)).unwrap(),
        Horror::Dangling => symlink("nowhere/at/all", &place).unwrap(),
        Horror::OutOfRoot => symlink(format!("{}etc/hostname", "../".repeat(40)), &place).unwrap(),
        Horror::Loop => symlink(place.file_name().unwrap(), &place).unwrap(),
        Horror::Pair => pair(&place),
        Horror::Folder => {
            fs::create_dir(&place).unwrap();
            fs::write(place.join("inside"), &model).unwrap();
        }
        Horror::Empty => fs::write(&place, "").unwrap(),
        Horror::Nul => fs::write(&place, with_nuls(&model)).unwrap(),
        Horror::Escapes => fs::write(&place, after_each_line(&model, ESCAPES.as_bytes())).unwrap(),
        Horror::LongLine => fs::write(&place, [model, vec![b'a'; LONG_LINE]].concat()).unwrap(),
        Horror::ShortLines => fs::write(&place, "x\n".repeat(SHORT_LINES)).unwrap(),
        Horror::Crlf => fs::write(&place, after_each_line(&model, b"\r")).unwrap(),
        Horror::Bom => fs::write(&place, [b"\xef\xbb\xbf".to_vec(), model].concat()).unwrap(),
        Horror::Nested => fs::write(&place, nested(path)).unwrap(),
        Horror::Truncated => fs::write(&place, &model[..model.len() / 2]).unwrap(),
        Horror::Flipped => fs::write(&place, flipped(&model, dice)).unwrap(),
        Horror::Doubled => fs::write(&place, doubled(&model)).unwrap(),
    }
}

/// A small deterministic source of numbers (splitmix64).
#[derive(Debug)]
pub struct Dice(u64);

impl Dice {
    /// The same seed always gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which must not be 0.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        // One byte in sixteen is a newline: random text has lines.
        (0..count).map(|_| if self.below(16) == 0 { b'\n' } else { self.next().to_le_bytes()[0] }).collect()
    }
}

fn hash(path: &str) -> u64 {
    path.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn copy_model(dir: &Path) {
    for entry in WalkDir::new(MODEL).sort_by_file_name().min_depth(1) {
        let entry = entry.unwrap();
        let to = dir.join(entry.path().strip_prefix(MODEL).unwrap());
        if entry.path_is_symlink() {
            symlink(fs::read_link(entry.path()).unwrap(), to).unwrap();
        } else if entry.file_type().is_dir() {
            fs::create_dir(to).unwrap();
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Removes what stands at `path` and makes its folder. A file or link in the way of the folder is removed as well, so
/// that the order of the places does not matter.
fn clear(dir: &Path, path: &str) {
    let mut folder = dir.to_path_buf();
    for part in Path::new(path).parent().unwrap() {
        folder.push(part);
        if !fs::symlink_metadata(&folder).is_ok_and(|meta| meta.is_dir()) {
            fs::remove_file(&folder).ok();
            fs::create_dir(&folder).unwrap();
        }
    }
    let place = dir.join(path);
    match fs::symlink_metadata(&place) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(&place).unwrap(),
        Ok(_) => fs::remove_file(&place).unwrap(),
        Err(_) => {}
    }
}

fn pair(place: &Path) {
    let mut other = place.file_name().unwrap().to_owned();
    other.push(".other");
    let beside = place.with_file_name(&other);
    fs::remove_file(&beside).ok();
    symlink(&other, place).unwrap();
    symlink(place.file_name().unwrap(), beside).unwrap();
}

fn after_each_line(text: &[u8], tail: &[u8]) -> Vec<u8> {
    text.split_inclusive(|byte| *byte == b'\n')
        .flat_map(|line| match line.strip_suffix(b"\n") {
            Some(line) => [line, tail, b"\n"].concat(),
            None => [line, tail].concat(),
        })
        .collect()
}

fn with_nuls(text: &[u8]) -> Vec<u8> {
    let mut out = after_each_line(text, b"\0");
    let middle = out.len() / 2;
    out.insert(middle, 0);
    out
}

fn flipped(text: &[u8], dice: &mut Dice) -> Vec<u8> {
    text.iter().map(|byte| if dice.below(30) == 0 { dice.next().to_le_bytes()[0] } else { *byte }).collect()
}

fn doubled(text: &[u8]) -> Vec<u8> {
    let mut lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    lines.extend_from_within(..);
    lines.reverse();
    lines.concat()
}

/// Brackets in the words of the format: JSON for what is JSON, blocks for what has blocks, lists elsewhere.
fn nested(path: &str) -> String {
    let opening = if is_json(path) {
        "{\"users\":["
    } else if path.contains("corosync") || path.contains("lvm") || path.contains("apt.conf") {
        "a {\n"
    } else if path.contains("sshd_config") {
        "Match all\n"
    } else if path.contains("firewall") {
        "[group aa]\nGROUP aa\n"
    } else {
        "[("
    };
    opening.repeat(LEVELS)
}

fn is_json(path: &str) -> bool {
    [".json", "tfa.cfg", ".members", ".vmlist", ".version", ".running-config", "lrm_status", "pkgupdates"]
        .iter()
        .any(|end| path.ends_with(end))
}

/// A short healthy text for a place the model has no file at, so that there is something to damage.
fn sample(path: &str) -> String {
    let text = match path {
        "etc/pve/domains.cfg" => {
            "ldap: corp\n\tbase_dn dc=example,dc=com\n\tserver1 ldap.example.com\n\tuser_attr uid\n\tmode ldap\n\n"
        }
        "etc/pve/priv/tfa.cfg" => {
            "{\"users\":{\"root@pam\":{\"totp\":[{\"id\":\"1\",\"description\":\"phone\",\"created\":1,\"entry\":\"otpauth://totp/x?secret=JBSWY3DPEHPK3PXP\"}]}}}"
        }
        "etc/pve/priv/token.cfg" => "root@pam!t1 00000000-0000-4000-8000-000000000001\n",
        "etc/pve/priv/shadow.cfg" => "alice:$5$DummySal$DummyDummyDummyDummyDummyDummyDummyDummyDum:\n",
        "etc/pve/jobs.cfg" => "vzdump: daily\n\tschedule 21:00\n\tall 1\n\tenabled 1\n\tstorage local\n\n",
        "etc/pve/corosync.conf" | "etc/corosync/corosync.conf" => {
            "totem {\n  cluster_name: x\n  version: 2\n  secauth: on\n}\n\nnodelist {\n  node {\n    name: pve1\n    nodeid: 1\n    ring0_addr: 192.0.2.11\n  }\n}\n"
        }
        "etc/pve/notifications.cfg" => {
            "smtp: mail1\n\tfrom-address pve@example.com\n\tmailto root@example.com\n\tserver smtp.example.com\n\nmatcher: default-matcher\n\ttarget mail1\n"
        }
        "etc/pve/sdn/.running-config" => "{\"zones\":{\"ids\":{\"z1\":{\"type\":\"simple\"}}}}",
        "etc/apt/preferences" | "etc/apt/preferences.d/pin" => {
            "Package: *\nPin: release l=Debian-Security\nPin-Priority: -1\n"
        }
        "etc/apt/sources.list" | "etc/apt/sources.list.d/old.list" => {
            "deb http://deb.debian.org/debian trixie main\n"
        }
        "etc/crypttab" => "sda3_crypt UUID=0 none luks\n",
        "proc/1/mountinfo" | "proc/self/mountinfo" => {
            "29 1 252:2 / / rw,relatime shared:1 - ext4 /dev/mapper/pve-root rw\n41 29 0:36 / /tmp rw,nosuid,nodev shared:20 - tmpfs tmpfs rw\n"
        }
        "proc/modules" => "kvm_intel 417792 4 - Live 0x0000000000000000\n",
        "proc/net/tcp" => {
            "  sl  local_address rem_address   st\n   0: 00000000:1F46 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 1 1 0 100 0 0 10 0\n"
        }
        _ if path.contains(".fw") => {
            "[OPTIONS]\n\nenable: 1\n\n[ALIASES]\n\nlan 192.0.2.0/24\n\n[RULES]\n\nIN SSH(ACCEPT) -source dc/lan\n\n"
        }
        _ if path.contains("qemu-server") => {
            "boot: order=scsi0\nmemory: 512\nname: vm\nnet0: virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1\nscsi0: local-lvm:vm-100-disk-0,size=1G\n"
        }
        _ if path.contains("/lxc/") => {
            "arch: amd64\nhostname: ct\nnet0: name=eth0,bridge=vmbr0\nrootfs: local-lvm:vm-200-disk-0,size=1G\nunprivileged: 1\n"
        }
        _ if path.contains("sshd_config.d") => {
            "PermitRootLogin no\nMatch User root\nPasswordAuthentication yes\n"
        }
        _ if is_json(path) => "{\"state\":\"stopped\",\"msg\":\"OK\",\"time\":1}",
        _ if path.starts_with("proc/sys") || path.starts_with("sys") => "1\n",
        _ => "key: value\nname value\nother = \"1\"\n",
    };
    text.to_owned()
}

/// The text that hurts most at this place. Where a file decides what kind of host this is, its true lines stay between
/// the rubbish, so that the rest of the host is still looked at.
pub fn crafted(path: &str) -> Option<Vec<u8>> {
    let text = match path {
        "etc/pve/user.cfg" => format!(
            "user:root@pam:1:0:::{e}:{e}::\n:::::::::\nuser:\nuser:@:1\nuser:a!b@pve:0.0:99999999999999999999:%%%:%zz%ff%00:::x:\n\
             user:eve@pve:no::::::\ngroup:admins:eve@pve eve@pve;ghost@pve,,,\0root@pam:{e}:\nrole:Administrator:Sys.Modify:\nrole:NoAccess:Permissions.Modify,,,:\n\
             role:{e}:VM.Audit\npool:a/b/c/d:::\npool:p::100,0100,99999999999999999999,-1:local{e}:\ntoken:eve@pve!t:-1:yes:\ntoken:nobody@pve!t\n\
             acl:1://vms//../..:@admins,eve@pve,eve@pve!t,{e}:Administrator,Nope:\nacl:maybe:/:@ghosts:Administrator:\nacl\n{long}\n",
            e = ESCAPES,
            long = format_args!("group:big:{}", "u@pve,".repeat(LONG_LINE / 6)),
        ),
        "etc/pve/domains.cfg" => format!(
            "pam: pam\n\ttfa type=oath,digits=99999999999999999999,step=-1\npve: swallowed\n\t \nldap: corp\n\tserver1 {ESCAPES}\n\tsecure maybe\n\
             \tmode\n\tmode ldap\n\topenid: x\nLDAP:corp\n\tbase_dn\n\n: x\nopenid: sso\n\tissuer-url http://user:dummy-password@example.com/\n\tclient-key dummy-key\n\tdefault 1\n\n"
        ),
        "etc/pve/priv/tfa.cfg" | "etc/pve/.vmlist" => nested(path),
        "etc/pve/priv/shadow.cfg" | "etc/shadow" => format!(
            "root::::::::\nroot:$y$:99999999999999999999:-1::::::::::\n:$6$x$y:\nx\n{ESCAPES}:$1$:\nalice:plain-dummy:18:\n{}:!:\n",
            "a".repeat(LONG_LINE)
        ),
        "etc/pve/.members" => "{\"nodename\": \"pve1\", \"version\": -1e999, \"cluster\": {\"name\": [], \"quorate\": \"yes\", \"nodes\": 1e400}, \"nodelist\": {\"../../../etc\": {\"id\": {}, \"ip\": \"999.1.1.1\"}, \"pve1\": null, \"\\ud800\": 7}}".to_owned(),
        "etc/pve/datacenter.cfg" => format!(
            "#{ESCAPES}\nmigration: type=,network=300.0.0.0/99,,=,type=insecure\nhttp_proxy: http://user:dummy-password@[::1\nconsent-text: %%%\nnokey\n: :\nmigration: secure\nwebauthn: rp,id=,origin=\n"
        ),
        "etc/pve/storage.cfg" => format!(
            "dir: local\n\tpath ../../..\n\tdisable maybe\n\n\tpath /outside\nnfs: {ESCAPES}\n\texport\npbs: pbs1\n\tserver\n\tencryption-key 1\ndir: local\n\t \n\tpath /dev/zero\n\
             lvmthin: x\n\n:\nzfspool:tank\n\tpool -rf\n\nunknown: thing\n\tpassword dummy-password\n\n{}\n",
            "dir: aa\n\tpath /x\n\n".repeat(2_000)
        ),
        "etc/pve/jobs.cfg" => format!(
            "vzdump: a\n\tschedule */0 25:61 {ESCAPES}\n\tall 1\n\tvmid 1,,-5,99999999999999999999\n\tpool ../..\n\tenabled no\n\nvzdump: a\n\nvzdump\n\nrealm-sync:\n\tschedule\n"
        ),
        "etc/pve/vzdump.cron" => format!("PATH\n99 99 * * 9 root vzdump --all\n* * * * * root vzdump {ESCAPES}\n0 1 * * * root #vzdump\n@reboot\n"),
        "etc/pve/notifications.cfg" => "smtp: a\n\tserver\n\tmode nonsense\n\tport 99999999999\n\nmatcher: default-matcher\n\ttarget a\n\ttarget a\n\tmode most\n\nsmtp: a\n\n".to_owned(),
        "etc/pve/firewall/cluster.fw" | "etc/pve/firewall/100.fw" | "etc/pve/firewall/200.fw" | "etc/pve/nodes/pve1/host.fw" => format!(
            "enable: 1\n[OPTIONS]\nenable: 99999999999999999999\nenable: yes\npolicy_in: {ESCAPES}\nlog_ratelimit: burst=-1,rate=1/eon\n[options] # x\n[ALIASES]\nlan 192.0.2.0/99\nlan lan\n\
             self  self\nv6 ::/0\nv6 fe80::%%eth0/64\n[IPSET management]\n0.0.0.0/0\n!\n!!lan\n{members}\n[IPSET management]\n[RULES]\n| IN ACCEPT\n|IN\nIN\nIN ACCEPT -p tcp -dport 0,:,1:,99999,65536:1\n\
             GROUP Loop\nGROUP loop -i {iface}\nIN SSH(ACCEPT -source +management -source +nowhere\nIN accept # {ESCAPES}\nOUT ()(ACCEPT)\nIN ACCEPT -source 1.2.3.4-1.2.3.3 -dest -\n[group loop]\nGROUP loop\n[group loop]\n[]\n[\n",
            members = "192.0.2.1\n".repeat(5_000),
            iface = "i".repeat(300),
        ),
        "etc/pve/nodes/pve1/qemu-server/100.conf" | "etc/pve/nodes/pve1/lxc/200.conf" => guest(0),
        "etc/pve/pve-root-ca.pem" | "etc/pve/nodes/pve1/pve-ssl.pem" => format!(
            "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n-----BEGIN CERTIFICATE-----\nMIIF////\n",
            "MIL/////".repeat(2_000)
        ),
        "etc/pve/corosync.conf" => format!(
            "totem {{\n  secauth: maybe\n  transport: {ESCAPES}\n  interface {{\n    linknumber: -1\n}}\n}}\n}}\nnodelist {{ node {{ name: pve1 }}\n  node {{\n    nodeid: 99999999999999999999\n    ring99_addr: ::::\n  }}\nnodelist {{\n"
        ),
        "etc/ssh/sshd_config" => format!(
            "\u{feff}Include /etc/ssh/sshd_config\nInclude /etc/ssh/sshd_config.d/*\nPermitRootLogin maybe\nPermitRootLogin \"yes\nPort 99999999999 -1\nMatch\nMatch User !root,{ESCAPES}\nCiphers +\nMACs ^,-,+\n\
             =\n\"\nAllowUsers {users}\nMatch Address 10.0.10.5/24,::/999\nLoginGraceTime 99999999999w\nSubsystem sftp\nSubsystem sftp x\nAuthenticationMethods any,any\nHostKey\n",
            users = "a@b ".repeat(20_000),
        ),
        "etc/apt/sources.list" => format!("deb\ndeb [\ndeb [arch=,trusted=yes http://x y\ndeb http://user:dummy-password@[ trixie main\ndeb-src x y z\ncdrom:\n{ESCAPES} http://x trixie main\ndeb http://x / main\n"),
        "etc/apt/sources.list.d/debian.sources" => format!("Types: deb {ESCAPES}\n continuation\n:\n no field\nURIs\nSuites: ./ trixie\n\n\n\nTypes: deb\n \t\nURIs: http://x\nSigned-By:\n -----BEGIN PGP\n .\nEnabled: {ESCAPES}\n"),
        "etc/apt/apt.conf" => "APT { Get { AllowUnauthenticated \"true\n#include /etc/apt/apt.conf\n#clear\n/* never closed { } ; ::\n".to_owned(),
        "etc/apt/apt.conf.d/20auto-upgrades" => "APT::Periodic::Unattended-Upgrade \"99999999999999999999\";\n}}}}\nA::::B \"\" \"\";\n\"\n".to_owned(),
        "etc/apt/preferences" => format!("Package\nPin: release ,,=,l=\nPin-Priority: 99999999999999999999\n\nPackage: /[/ *( {ESCAPES}\nPin: version\nPin-Priority: --1\n\nExplanation: x\n"),
        "var/lib/dpkg/status" => return Some(dpkg_status()),
        "usr/lib/os-release" => format!("{}NAME=\"\nID='debian\nVERSION_ID=13\nVERSION_CODENAME=trixie\nID=debian\nPRETTY_NAME=\"{ESCAPES}\"\n=\n=x\nexport A=$(id)\n", "\u{feff}\r\n"),
        "etc/passwd" => format!("root:x:0:0:root:/root:/bin/bash\nroot:x:-1:99999999999999999999::\n::::::\n+@netgroup\ntoor::0:0:{ESCAPES}:/:/bin/sh\nx:y\n{}\n", "a:".repeat(LONG_LINE / 2)),
        "etc/group" => format!("root:x:0:\nsudo:x:27:{}\n:::\n{ESCAPES}:x:-1:root,,\nshadow\n", "ghost,".repeat(10_000)),
        "etc/fstab" => format!("/dev/pve/root\n\\040\\777\\ / ext4\n//192.0.2.1/x /mnt cifs username=u,password=dummy-password,{ESCAPES} 0 0\nproc\n/ / / / / / / / /\n"),
        "etc/crypttab" => format!("x\nsda3_crypt /dev/sda3 /etc/hostname luks,,=,discard\n{ESCAPES} UUID= none\nswap /dev/sda2 /dev/urandom swap\n../../x y z w v\n"),
        "etc/sysctl.d/30-lxc-inotify.conf" => format!("=\n-\n-=\n-net.*.*.*.*.*.*.*.*\nnet/ipv4/../../kernel = 1\n{} = 1\nkernel.randomize_va_space\nkernel.randomize_va_space = {ESCAPES}\nkernel.randomize_va_space = 99999999999999999999\n", "*".repeat(5_000)),
        "etc/modprobe.d/pve-blacklist.conf" => format!("install\nblacklist\ninstall x /bin/false \\\n\\\n\\\noptions {ESCAPES}\nalias net-pf-* off off\n{}", "softdep a pre: b\n".repeat(5_000)),
        "etc/lvm/backup/pve" => format!("contents = \"Text\npve {{\nphysical_volumes {{ pv0 {{ device = \"/dev/mapper/../../x{ESCAPES}\" }} pv0 = 1 }}\nlogical_volumes {{\n{}", "a { segment1 { stripes = [ \"pv0\", 0\n".repeat(3_000)),
        "etc/default/pveproxy" => format!("ALLOW_FROM=\"192.0.2.0/99,,all,::/0\nDENY_FROM='$(cat /etc/hostname)'\nPOLICY=`id`{ESCAPES}\nLISTEN_IP=\nexport\nPOLICY+=deny\\\n"),
        "proc/cmdline" => format!("root= mitigations=off mitigations=auto = \"unclosed apparmor=0 {ESCAPES} {}", "a=b ".repeat(20_000)),
        "proc/1/mountinfo" => format!("29\n29 1 252:2 / /\n- - - - -\n29 1 x:y / \\040\\999 rw shared:1 ext4 no separator\n29 29 252:2 / / rw - ext4 /dev/x rw\n{}", "1 1 0:1 / /x{ESCAPES} rw - tmpfs tmpfs rw\n".repeat(3_000)),
        "proc/modules" => "x\n kvm -1 -99999999999999999999 ,,, Dead 0xzz\n\n\n".to_owned(),
        "proc/net/tcp" => "  sl\n 0: ZZZZZZZZ:ZZZZ 0:0 0A\n 1: 00:1F46 00000000:0000 0A\n 99999999999999999999: 0100007F:99999 : 0A x\n".to_owned(),
        "sys/class/block/dm-0/dm/uuid" => format!("CRYPT-LUKS2--{ESCAPES}\nLVM-\nCRYPT-VERITY-x\n"),
        _ => return None,
    };
    Some(text.into_bytes())
}

/// The true stanzas of the model between stanzas no dpkg has written.
fn dpkg_status() -> Vec<u8> {
    let garbage: &[&[u8]] = &[
        b"Package: broken\nStatus: install\nVersion: not a version:::-\n\n",
        b"Status: install ok installed\nVersion: 1\n\n",
        b"Package: pve-manager\nPackage: pve-manager\nStatus: purge reinstreq half-installed\nVersion: 99999999999999999999:0\n\n",
        b" leading continuation\nPackage:\n\n\n\n",
        b"Package: bytes\nStatus: install ok installed\nVersion: \xff\xfe\x00~~~\n\n",
        b"no colon at all\n\n",
        b"Package: space\nStatus: install ok installed\nVersion: 1\n \t\nPackage: swallowed\nVersion: 2\n\n",
    ];
    let model = fs::read(Path::new(MODEL).join("var/lib/dpkg/status")).unwrap();
    let mut out = Vec::new();
    let mut begin = 0;
    for (count, end) in
        model.windows(2).enumerate().filter(|(_, two)| *two == b"\n\n").map(|(at, _)| at + 2).enumerate()
    {
        out.extend_from_slice(&model[begin..end]);
        out.extend_from_slice(garbage[count % garbage.len()]);
        begin = end;
    }
    out.extend_from_slice(
        format!(
            "Package: {}\nStatus: install ok installed\nVersion: {}\n",
            "p".repeat(LONG_LINE),
            "1".repeat(LONG_LINE)
        )
        .as_bytes(),
    );
    out
}

/// Names, notes and keys nobody should trust, in a file that is still a guest.
fn guest(number: usize) -> String {
    let rubbish = [
        format!("name: {ESCAPES}\nhostname: {ESCAPES}\n#{ESCAPES}\n#%1b%5b31m%e2%80%ae\ntags: {ESCAPES};;;\n"),
        "net0: virtio=,bridge=,firewall=maybe,,=,=\nnet99999999999999999999: x\nscsi0: ,size=99999999999999999999T\nscsi0: none,none\nrootfs:\nmp0: ../../..,mp=\n".to_owned(),
        "[snapshot]\n[PENDING]\n[pve:pending]\n[special:cloudinit]\n[snapshot]\nunprivileged: 1\n[\n[]\n[][]\nunprivileged: maybe\n".to_owned(),
        "lxc.idmap: u 0 0 99999999999999999999\nlxc.idmap = g -1 x\nlxc.apparmor.profile: unconfined\nlxc.cap.drop:\nlxc.\nlxc.mount.entry: / / none\ndev0: /dev/../dev/mem\n".to_owned(),
        "cipassword: dummy-password\nargs: -vnc 0.0.0.0:1 \" ' \\\nhookscript: nas:snippets/../../x\nhostpci0: ,,,=\ncpu: \nboot: order=;;;\nmemory: -1\n".to_owned(),
        ":\n: :\n= \nkey\n\tindented: 1\nKEY: 1\nkey:value\nunprivileged: 1\0\n\0\n".to_owned(),
        format!("description: {}\n", "%".repeat(3_000)),
    ];
    let first = number % rubbish.len();
    format!("{}{}", rubbish[first], rubbish[(number / rubbish.len() + first) % rubbish.len()])
}

/// Thousands of tiny guests of both kinds, some of them with the same number.
fn garbage_guests(dir: &Path, count: usize) {
    for number in 0..count {
        let (kind, id) =
            if number % 3 == 0 { ("lxc", 20_000 + number / 2) } else { ("qemu-server", 20_000 + number) };
        let folder = dir.join("etc/pve/nodes/pve1").join(kind);
        fs::write(folder.join(format!("{id}.conf")), guest(number)).unwrap();
    }
    let ghost = dir.join("etc/pve/nodes").join(format!("ghost{ESCAPES}").replace('\0', ""));
    fs::create_dir_all(ghost.join("lxc")).unwrap();
    fs::write(ghost.join("lxc/20000.conf"), guest(1)).unwrap();
}

/// One file for each horror in every folder that is listed.
fn fill_listed(dir: &Path, seed: u64) {
    for (folder, pattern) in LISTED {
        for (number, horror) in HORRORS.iter().enumerate() {
            let path = format!("{folder}/{}", pattern.replace('#', &format!("{number:02}")));
            inflict(dir, &path, *horror, &mut Dice::new(seed ^ hash(&path)));
        }
    }
}

/// Names that are no names: not UTF-8, with line breaks and escapes, very long, nearly right.
fn odd_names(dir: &Path) {
    let folders = [
        "etc/pve/nodes/pve1/qemu-server",
        "etc/pve/nodes/pve1/lxc",
        "etc/apt/sources.list.d",
        "etc/sysctl.d",
        "etc/pve/priv/storage",
    ];
    let long = [b"1".repeat(240), b".conf".to_vec()].concat();
    let names: &[&[u8]] = &[
        b"\xff\xfe.conf",
        b"300\n301.conf",
        b"\x1b[31m302.conf",
        "\u{202e}303.conf".as_bytes(),
        &long,
        b"0100.conf",
        b"-1.conf",
        b"304.conf.tmp.1234",
        b".305.conf",
        b" .conf",
        b"...",
    ];
    for folder in folders {
        let folder = dir.join(folder);
        fs::create_dir_all(&folder).unwrap();
        for name in names {
            fs::write(folder.join(OsStr::from_bytes(name)), guest(2)).unwrap();
        }
    }
}

/// Block devices that rest on each other in a ring, in a long chain and on nothing.
fn strange_devices(dir: &Path) {
    const CHAIN: usize = 500;
    let block = dir.join("sys/class/block");
    for number in 0..CHAIN {
        let slaves = block.join(format!("dm-{}/slaves", 100 + number));
        fs::create_dir_all(&slaves).unwrap();
        let below = format!("dm-{}", 101 + number);
        symlink(format!("../../{below}"), slaves.join(&below)).unwrap();
    }
    for (one, other) in [("dm-90", "dm-91"), ("dm-91", "dm-90"), ("dm-92", "dm-92"), ("dm-93", "gone")] {
        let slaves = block.join(one).join("slaves");
        fs::create_dir_all(&slaves).unwrap();
        symlink(format!("../../{other}"), slaves.join(other)).unwrap();
    }
    symlink("../../../../../../../..", block.join("escape")).unwrap();
    symlink(".", block.join("dot")).unwrap();
}

/// Files that include themselves and each other.
fn loops_of_includes(dir: &Path) {
    let texts = [
        (
            "etc/ssh/sshd_config.d/00-loop.conf",
            "Include /etc/ssh/sshd_config.d/00-loop.conf\nInclude ../../../../../etc/passwd\nInclude /etc/ssh/sshd_config.d/*.conf /proc/*\n",
        ),
        (
            "etc/apt/apt.conf.d/00loop",
            "#include \"/etc/apt/apt.conf.d/00loop\"\n#include /etc/apt/apt.conf.d/\nAcquire::https::Verify-Peer \"false\";\n",
        ),
        (
            "etc/pam.d/login",
            "@include login\nauth include sshd\nauth substack login\nauth [default=99999999999999999999] \\\n",
        ),
        (
            "etc/sudoers.d/00loop",
            "@include /etc/sudoers.d/00loop\n@includedir /etc/sudoers.d\n%x ALL=(ALL) NOPASSWD: ALL\\\n",
        ),
        (
            "etc/network/interfaces.d/00loop",
            "source /etc/network/interfaces.d/*\nsource-directory ../../..\niface\nauto\n",
        ),
        (
            "etc/rsyslog.d/00loop.conf",
            "$IncludeConfig /etc/rsyslog.d/*.conf\ninclude(file=\"/etc/rsyslog.conf\")\n*.* @@\n",
        ),
    ];
    for (path, text) in texts {
        clear(dir, path);
        fs::write(dir.join(path), text).unwrap();
    }
}
