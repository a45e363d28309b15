//! `/proc/self/mountinfo`: what is mounted now.
//!
//! Follows linux `fs/proc_namespace.c` (`show_mountinfo`) and `proc_pid_mountinfo`(5): mount id, parent id,
//! device, root, mount point, per-mount options, optional tags, `-`, type, source, options of the super block.

use std::collections::{BTreeMap, BTreeSet};

use super::escapes::{octal, without_credential};
use super::mount_options::{self, MountOption};
use super::{Issue, Parsed, numbered};

/// One mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// Mount id.
    pub id: u32,
    /// Id of the mount this one is mounted on.
    pub parent: u32,
    /// Major and minor number of the device; major 0 means there is no block device.
    pub device: (u32, u32),
    /// The folder of the file system that is mounted, `/` unless it is a bind mount or a subvolume.
    pub root: String,
    /// Mount point.
    pub target: String,
    /// Per-mount options (`rw`, `nosuid`, `nodev`, `noexec`, …).
    pub options: Vec<MountOption>,
    /// Optional tags such as `shared:1`.
    pub tags: Vec<String>,
    /// File system type, `fuse.lxcfs` for a FUSE subtype.
    pub fs_type: String,
    /// Device, dataset or server path; a user and password in a URL is removed.
    pub source: String,
    /// The source held a user and password.
    pub source_credential: bool,
    /// Options of the super block.
    pub super_options: Vec<MountOption>,
    /// Line in the file, counted from 1.
    pub line: u32,
}

impl Mount {
    /// Whether a flag such as `nosuid`, `nodev`, `noexec` or `ro` is in force on this mount.
    pub fn has(&self, flag: &str) -> bool {
        self.options.iter().chain(&self.super_options).any(|option| option.name == flag)
    }
}

/// The mounts of one mount namespace, in the order of the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MountTable {
    /// All mounts.
    pub mounts: Vec<Mount>,
}

impl MountTable {
    /// The mount one sees at exactly this mount point; none when a mount higher up hides it.
    pub fn at(&self, target: &str) -> Option<&Mount> {
        self.covering(target).filter(|mount| mount.target == target)
    }

    /// The mount that holds the absolute path `path`, found the way the kernel walks the path: from the
    /// root mount through the mounts stacked upon it, nearest mount point first.
    pub fn covering(&self, path: &str) -> Option<&Mount> {
        let mut children: BTreeMap<u32, Vec<&Mount>> = BTreeMap::new();
        for mount in &self.mounts {
            children.entry(mount.parent).or_default().push(mount);
        }
        let mut current = self.root_mount()?;
        // Every group of children is looked at once at most, so a cycle of ids ends.
        while let Some(mounted) = children.remove(&current.id) {
            let next = mounted
                .into_iter()
                .filter(|mount| mount.id != current.id && is_below(path, &mount.target))
                .min_by_key(|mount| mount.target.len());
            match next {
                Some(mount) => current = mount,
                None => break,
            }
        }
        Some(current)
    }

    fn root_mount(&self) -> Option<&Mount> {
        let ids: BTreeSet<u32> = self.mounts.iter().map(|mount| mount.id).collect();
        let mut at_root = self.mounts.iter().filter(|mount| mount.target == "/");
        let lowest = at_root.clone().find(|mount| mount.parent == mount.id || !ids.contains(&mount.parent));
        lowest.or_else(|| at_root.next_back())
    }
}

/// Whether `path` is `folder` or lies below it.
fn is_below(path: &str, folder: &str) -> bool {
    let folder = folder.strip_suffix('/').unwrap_or(folder);
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Reads the text of `/proc/self/mountinfo`.
pub fn parse(text: &str) -> Parsed<MountTable> {
    let mut parsed = Parsed::<MountTable>::default();
    for (line, content) in numbered(text) {
        match mount(content, line) {
            Some(mount) => parsed.value.mounts.push(mount),
            None => parsed.issues.push(Issue::new(line, "not a line of mountinfo, one mount is not known")),
        }
    }
    parsed
}

fn mount(content: &str, line: u32) -> Option<Mount> {
    let (left, right) = content.split_once(" - ")?;
    let mut fields = left.split(' ');
    let id = fields.next()?.parse().ok()?;
    let parent = fields.next()?.parse().ok()?;
    let (major, minor) = fields.next()?.split_once(':')?;
    let root = octal(fields.next()?);
    let target = octal(fields.next()?);
    let options = mount_options::parse(fields.next()?);
    let tags = fields.map(str::to_owned).collect();
    // The source may be empty, so only single blanks separate here.
    let mut fields = right.splitn(3, ' ');
    let fs_type = octal(fields.next()?);
    let (source, source_credential) = without_credential(&octal(fields.next()?));
    let super_options = mount_options::parse(fields.next()?);
    let device = (major.parse().ok()?, minor.parse().ok()?);
    Some(Mount {
        id,
        parent,
        device,
        root,
        target,
        options,
        tags,
        fs_type,
        source,
        source_credential,
        super_options,
        line,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TABLE: &str = "\
22 1 253:1 / / rw,relatime shared:1 - ext4 /dev/mapper/pve-root rw,errors=remount-ro
23 22 0:21 / /proc rw,nosuid,nodev,noexec,relatime shared:12 - proc proc rw
24 22 0:45 / /etc/pve rw,nosuid,nodev,relatime shared:200 - fuse /dev/fuse rw,user_id=0,group_id=0,default_permissions,allow_other
25 22 0:50 / /mnt/pve/my\\040nas rw,relatime - cifs //nas/share rw,vers=3.1.1,sec=ntlmssp,username=joe,password=s3cret
26 22 0:51 / /tmp rw,nosuid,nodev master:3 propagate_from:2 - tmpfs  rw,size=8g
";

    #[test]
    fn a_table_is_read_whole() {
        let parsed = parse(TABLE);
        assert_eq!(parsed.issues, []);
        let mounts = &parsed.value.mounts;
        assert_eq!(mounts[0].device, (253, 1));
        assert_eq!(mounts[0].source, "/dev/mapper/pve-root");
        assert_eq!(mounts[3].target, "/mnt/pve/my nas");
        assert_eq!(mounts[4].tags, ["master:3", "propagate_from:2"]);
        assert!(mounts[2].has("nosuid") && !mounts[0].has("nosuid"));
    }

    #[test]
    fn an_empty_source_keeps_the_super_options() {
        let parsed = parse(TABLE);
        assert_eq!(parsed.value.mounts[4].source, "");
        assert_eq!(parsed.value.mounts[4].super_options[1].value.as_deref(), Some("8g"));
    }

    #[test]
    fn a_password_in_the_options_never_leaves() {
        assert!(!format!("{:?}", parse(TABLE)).contains("s3cret"));
    }

    #[test]
    fn the_longest_mount_point_covers_a_path_and_names_are_compared_whole() {
        let table = parse(TABLE).value;
        assert_eq!(table.covering("/etc/pve/user.cfg").unwrap().id, 24);
        assert_eq!(table.covering("/etc/pvex").unwrap().id, 22);
        assert_eq!(table.covering("/tmp").unwrap().id, 26);
        assert_eq!(table.at("/tmp").unwrap().id, 26);
        assert!(table.at("/var/tmp").is_none());
    }

    #[test]
    fn the_last_mount_stacked_on_a_mount_point_is_the_one_seen() {
        let text = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:5 / /tmp rw - tmpfs tmpfs rw\n\
                    3 2 0:6 / /tmp rw,nosuid - tmpfs tmpfs rw\n";
        assert_eq!(parse(text).value.at("/tmp").unwrap().id, 3);
    }

    #[test]
    fn a_mount_below_a_later_mount_is_hidden() {
        let text = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:5 / /srv/a rw - tmpfs tmpfs rw\n\
                    3 1 0:6 / /srv rw - tmpfs tmpfs rw\n";
        let table = parse(text).value;
        assert_eq!(table.covering("/srv/a/x").unwrap().id, 3);
        assert!(table.at("/srv/a").is_none());
    }

    #[test]
    fn a_cycle_of_mount_ids_ends() {
        let text = "1 2 8:1 / / rw - ext4 a rw\n2 1 8:1 / / rw - ext4 b rw\n";
        assert!(parse(text).value.covering("/x").is_some());
    }

    #[test]
    fn a_broken_line_is_an_issue_and_never_quoted() {
        let parsed = parse("22 1 253:1 / / rw\nx 1 0:1 / / rw - a b password=s3cret\n");
        assert_eq!(parsed.issues.len(), 2);
        assert!(!format!("{parsed:?}").contains("s3cret"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn never_panics_on_any_text(text in "[ -~\n\\\\/0-9:ä]{0,120}", path in "/[a-z/]{0,12}") {
            let parsed = parse(&text);
            prop_assert_eq!(parsed.value.mounts.len() + parsed.issues.len(), numbered(&text).count());
            let _ = parsed.value.covering(&path);
        }

        #[test]
        fn every_target_written_with_octal_escapes_comes_back(target in "/[ -~ä]{0,20}") {
            let escaped: String = target
                .chars()
                .map(|c| if " \\".contains(c) { format!("\\{:03o}", u32::from(c)) } else { c.to_string() })
                .collect();
            let parsed = parse(&format!("1 0 0:1 / {escaped} rw - tmpfs tmpfs rw\n"));
            prop_assert_eq!(&parsed.value.mounts[0].target, &target);
        }
    }
}
