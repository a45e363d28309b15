//! Which paths of a node are worth its keys: what a guest that reads or writes them gains.
//!
//! Judged by the text of the path alone, after taking `.`, `..`, doubled slashes and Debian's own links
//! (`/var/run`, `/bin`, …) out of it. A folder is worth what the most precious thing below it is worth.

use crate::catalogue::Severity;

/// What a path is to whoever holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Worth {
    /// Data of other guests or of people.
    Data,
    /// Programs of the node: everybody may read them, who writes them is root at their next start.
    Code,
    /// Configuration and secrets of the node.
    Control,
    /// A socket, or a folder of sockets: read-only keeps nobody from talking to a service.
    Socket,
    /// A whole disk, or the memory of the node.
    RawDevice,
}

/// How a guest holds a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grip {
    /// Nothing can be written.
    pub(crate) read_only: bool,
    /// The guest's root is root of the node where the path is concerned.
    pub(crate) as_root: bool,
}

/// Trees of which every part counts.
const TREES: [(&str, Worth); 16] = [
    ("/boot", Worth::Control),
    ("/dev", Worth::Control),
    ("/etc", Worth::Control),
    ("/proc", Worth::Control),
    ("/root", Worth::Control),
    ("/run", Worth::Socket),
    ("/sys", Worth::Control),
    ("/usr", Worth::Code),
    ("/var/lib/ceph", Worth::Data),
    ("/var/lib/lxc", Worth::Control),
    ("/var/lib/pve-cluster", Worth::Control),
    ("/var/lib/vz/dump", Worth::Data),
    ("/var/lib/vz/images", Worth::Data),
    ("/var/lib/vz/private", Worth::Data),
    // Hook scripts run as root on the node.
    ("/var/lib/vz/snippets", Worth::Control),
    ("/var/spool/cron", Worth::Control),
];

/// How sockets are named.
const SOCKET_NAMES: [&str; 2] = [".sock", ".socket"];

/// Folders that count as a whole, while a folder in them is an ordinary share.
const TOPS: [(&str, Worth); 3] = [("/home", Worth::Data), ("/mnt/pve", Worth::Data), ("/opt", Worth::Code)];

/// Parts of the trees that hold nothing worth having while they are read-only.
const HARMLESS_READ_ONLY: [&str; 9] = [
    "/etc/ca-certificates",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/resolv.conf",
    "/etc/ssl/certs",
    "/etc/timezone",
    "/run/mount",
    "/run/udev",
    "/run/lock",
];

/// Where Debian's own links at the top of the tree lead.
const LINKS: [(&str, &str); 8] = [
    ("/bin", "/usr/bin"),
    ("/lib", "/usr/lib"),
    ("/lib32", "/usr/lib32"),
    ("/lib64", "/usr/lib64"),
    ("/libx32", "/usr/libx32"),
    ("/sbin", "/usr/sbin"),
    ("/var/lock", "/run/lock"),
    ("/var/run", "/run"),
];

/// Beginnings of the names of disks, and of folders of names of disks, below `/dev`. A digit or letter may follow.
const DISKS: [&str; 17] = [
    "block/", "dasd", "disk/", "dm-", "drbd", "hd", "loop", "mapper/", "md/", "mmcblk", "nbd", "nvme",
    "pmem", "pve/", "rbd", "sd", "zvol/",
];

/// The path without `.`, `..`, doubled slashes and Debian's own links.
pub(crate) fn normalised(path: &str) -> String {
    let path = crate::files::normalised(path);
    let link = LINKS.iter().find_map(|(from, to)| below(&path, from).map(|rest| format!("{to}{rest}")));
    link.unwrap_or(path)
}

/// What follows `top` in `path`, if it is `top` or lies below it: empty, or starting with a slash.
fn below<'a>(path: &'a str, top: &str) -> Option<&'a str> {
    path.strip_prefix(top).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether `path` (normalised) is a disk, a folder of disks, or the memory of the node.
pub(crate) fn is_raw_device(path: &str) -> bool {
    let Some(name) = path.strip_prefix("/dev/") else { return false };
    let folder = format!("{name}/");
    matches!(name, "kmem" | "mem" | "port")
        || DISKS.iter().any(|disk| name.starts_with(disk) || folder == **disk)
        || ["md", "vd", "xvd", "zd"].iter().any(|disk| is_numbered(name, disk))
}

/// `md0`, `vda1`, `zd16`, but not `vdpau`: letters of a disk name are few.
fn is_numbered(name: &str, disk: &str) -> bool {
    name.strip_prefix(disk).is_some_and(|rest| {
        !rest.is_empty() && rest.len() <= 4 && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
    })
}

/// What `path` is worth, if anything.
pub(crate) fn worth(path: &str) -> Option<Worth> {
    let path = normalised(path);
    if path != "/dev" && below(&path, "/dev").is_some() {
        return is_raw_device(&path).then_some(Worth::RawDevice);
    }
    if SOCKET_NAMES.iter().any(|end| path.ends_with(end)) {
        return Some(Worth::Socket);
    }
    let inside = TREES.iter().find(|(tree, _)| below(&path, tree).is_some());
    if let Some((_, worth)) = inside {
        return Some(*worth);
    }
    // A mount point below is not bound with its folder, so a folder above sockets is no folder of sockets.
    let above = |tree: &str| path == "/" || below(tree, &path).is_some();
    let held = TREES.iter().chain(&TOPS).filter(|(tree, _)| above(tree)).map(|(_, worth)| *worth);
    held.map(|worth| worth.min(Worth::Control)).max()
}

/// How bad it is that a guest holds `path` this way; `None` if it is not.
pub(crate) fn severity(path: &str, grip: Grip) -> Option<Severity> {
    let worth = worth(path)?;
    let path = normalised(path);
    if grip.read_only && HARMLESS_READ_ONLY.iter().any(|top| below(&path, top).is_some()) {
        return None;
    }
    Some(match (worth, grip.as_root, grip.read_only) {
        (Worth::Code, _, true) => return None,
        (Worth::Control | Worth::Code | Worth::RawDevice, true, false) | (Worth::Socket, true, _) => {
            Severity::Critical
        }
        (Worth::Control, false, false)
        | (Worth::Socket, false, _)
        | (Worth::Control | Worth::RawDevice, true, true)
        | (Worth::Data, true, false) => Severity::High,
        (Worth::Control, false, true)
        | (Worth::Code | Worth::RawDevice | Worth::Data, false, false)
        | (Worth::Data, true, true) => Severity::Medium,
        (Worth::Data | Worth::RawDevice, false, true) => Severity::Low,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RW_ROOT: Grip = Grip { read_only: false, as_root: true };

    #[test]
    fn a_path_is_judged_without_its_detours() {
        for (path, plain) in [
            ("/srv/../etc//pve/./", "/etc/pve"),
            ("/../..", "/"),
            ("/var/run/docker.sock", "/run/docker.sock"),
            ("/sbin", "/usr/sbin"),
            ("/library", "/library"),
            ("", "/"),
        ] {
            assert_eq!(normalised(path), plain, "{path}");
        }
    }

    #[test]
    fn the_node_is_held_by_its_own_trees_and_by_what_contains_them() {
        for path in
            ["/", "/etc", "/etc/pve/priv", "/root/.ssh", "/boot/efi", "/var", "/var/lib", "/dev", "/sys/fs"]
        {
            assert_eq!(worth(path), Some(Worth::Control), "{path}");
        }
        for path in
            ["/srv/share", "/srv", "/etcetera", "/home/media", "/mnt/pve/nas", "/mnt/tank", "/var/lib/app"]
        {
            assert_eq!(worth(path), None, "{path}");
        }
        assert_eq!(worth("/var/lib/vz/template/iso"), None);
    }

    #[test]
    fn folders_of_others_are_data_and_programs_matter_only_writable() {
        for path in ["/home", "/mnt", "/mnt/pve", "/var/lib/vz/images/100", "/var/lib/ceph/osd"] {
            assert_eq!(worth(path), Some(Worth::Data), "{path}");
        }
        assert_eq!(worth("/var/lib/vz"), Some(Worth::Control));
        assert_eq!(severity("/usr/local/bin", RW_ROOT), Some(Severity::Critical));
        assert_eq!(severity("/lib/modules", Grip { read_only: true, as_root: true }), None);
    }

    #[test]
    fn a_read_only_socket_is_as_good_as_a_writable_one() {
        for read_only in [true, false] {
            let grip = Grip { read_only, as_root: true };
            for path in ["/run/docker.sock", "/srv/app/api.sock", "/run", "/var/run/qemu-server"] {
                assert_eq!(severity(path, grip), Some(Severity::Critical), "{path}");
            }
        }
    }

    #[test]
    fn ordinary_devices_are_no_disks() {
        for path in [
            "/dev/mem",
            "/dev/sda",
            "/dev/sda1",
            "/dev/nvme0n1",
            "/dev/mapper",
            "/dev/mapper/pve-root",
            "/dev/disk/by-id/x",
            "/dev/vda",
            "/dev/zd0",
            "/dev/md127",
            "/dev/zvol/tank/x",
        ] {
            assert_eq!(worth(path), Some(Worth::RawDevice), "{path}");
        }
        for path in [
            "/dev/net/tun",
            "/dev/dri/renderD128",
            "/dev/ttyUSB0",
            "/dev/fuse",
            "/dev/kvm",
            "/dev/snd",
            "/dev/null",
            "/dev/vhost-net",
            "/dev/zero",
            "/dev/bus/usb/001/002",
            "/dev/nvidia0",
        ] {
            assert_eq!(worth(path), None, "{path}");
        }
    }

    #[test]
    fn read_only_lowers_and_some_files_are_public() {
        let read = |as_root| Grip { read_only: true, as_root };
        assert_eq!(severity("/etc", RW_ROOT), Some(Severity::Critical));
        assert_eq!(severity("/etc", read(true)), Some(Severity::High));
        assert_eq!(severity("/etc", read(false)), Some(Severity::Medium));
        assert_eq!(severity("/etc/localtime", read(true)), None);
        assert_eq!(severity("/etc/localtime", RW_ROOT), Some(Severity::Critical));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn normalising_twice_changes_nothing(path in "(/|\\.|\\.\\.|etc|var|run|bin|x){0,8}") {
            let once = normalised(&path);
            prop_assert_eq!(normalised(&once), once.clone());
            prop_assert!(once.starts_with('/') && !once.contains("//"));
        }

        #[test]
        fn detours_change_no_judgement(parts in prop::collection::vec("etc|var|lib|vz|dev|sda|run|home|x\\.sock", 0..5)) {
            let plain = format!("/{}", parts.join("/"));
            let detour = format!("//x/../{}/.", parts.join("//./"));
            prop_assert_eq!(worth(&plain), worth(&detour));
        }

        #[test]
        fn a_firmer_grip_is_never_milder(path in "(/(etc|var|lib|vz|dump|dev|sda|run|home|usr|x)){0,4}") {
            let all = |read_only, as_root| severity(&path, Grip { read_only, as_root });
            prop_assert!(all(false, true) >= all(true, true));
            prop_assert!(all(false, true) >= all(false, false));
            prop_assert!(all(true, true) >= all(true, false));
            prop_assert!(all(false, false) >= all(true, false));
        }
    }
}
