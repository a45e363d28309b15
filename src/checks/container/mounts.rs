//! What of the node is mounted into a container.

use crate::catalogue::Severity;
use crate::checks::host_path::{self, Grip};
use crate::formats::escapes;
use crate::formats::guest::Source;
use crate::formats::guest::lxc::{LxcSection, MountEntry, MountPoint};
use crate::outcome::{Evidence, Judgement};

use super::privileged_or;

/// A file or folder of the node bound into the container.
struct Bind {
    key: String,
    line: u32,
    source: String,
    grip: Grip,
}

impl Bind {
    fn evidence(&self, path: &str) -> Evidence {
        let access = if self.grip.read_only { " (read-only)" } else { "" };
        Evidence::at(path, self.line).key(&self.key).observed(format!("{}{access}", self.source))
    }
}

/// What mount points, the root file system, and raw `lxc.mount.entry` lines, which no check of Proxmox VE looks at,
/// bring from the node. A device of a mount point is mounted like a volume.
fn binds(ct: &LxcSection) -> Vec<Bind> {
    let privileged = ct.is_privileged();
    let of_point = |point: MountPoint| match point.source {
        Source::Path(source) | Source::Device(source) => Some(Bind {
            key: point.option,
            line: point.line,
            source,
            grip: Grip { read_only: point.read_only, as_root: privileged || point.ids.touches_root() },
        }),
        _ => None,
    };
    let points = ct.root_file_system().into_iter().chain(ct.mount_points()).filter_map(of_point);
    let entries = ct.mount_entries();
    let of_entry = |entry: &MountEntry| {
        let bind = |(source, is_read_only): (String, bool)| Bind {
            key: "lxc.mount.entry".to_owned(),
            line: entry.line,
            source,
            grip: Grip { read_only: is_read_only || entry.is_read_only(), as_root: privileged },
        };
        sources(entry).into_iter().map(bind).collect::<Vec<_>>()
    };
    points.chain(entries.iter().flat_map(of_entry)).collect()
}

/// File systems that are new and empty, or the container's own, wherever they are mounted.
const OWN_FILE_SYSTEMS: [&str; 4] = ["devpts", "mqueue", "ramfs", "tmpfs"];

/// File systems that are the kernel's own files. `mqueue` and `devpts` are the container's own.
const KERNEL_FILE_SYSTEMS: [&str; 10] =
    ["bpf", "cgroup", "cgroup2", "configfs", "debugfs", "efivarfs", "proc", "securityfs", "sysfs", "tracefs"];

/// Whether the line mounts files of the kernel anew.
pub(super) fn mounts_kernel_files(entry: &MountEntry) -> bool {
    !entry.is_bind() && KERNEL_FILE_SYSTEMS.contains(&entry.file_system.as_str())
}

/// What of the node a raw line mounts, each with whether it is read-only by itself.
fn sources(entry: &MountEntry) -> Vec<(String, bool)> {
    if is_of_container(entry) {
        return Vec::new();
    }
    let source = escapes::octal(&entry.source);
    if entry.is_bind() {
        // LXC is started in the root of the node.
        let source = if source.starts_with('/') { source } else { format!("/{source}") };
        return vec![(source, false)];
    }
    match entry.file_system.as_str() {
        "overlay" | "overlayfs" => overlay_folders(entry),
        "devtmpfs" => vec![("/dev".to_owned(), false)],
        kind if OWN_FILE_SYSTEMS.contains(&kind) || KERNEL_FILE_SYSTEMS.contains(&kind) => Vec::new(),
        _ if source.starts_with('/') => vec![(source, false)],
        _ => Vec::new(),
    }
}

/// With `relative` LXC takes the source from the root of the container.
fn is_of_container(entry: &MountEntry) -> bool {
    entry.options.iter().any(|option| option == "relative")
}

/// The folders an overlay is made of; the lower ones are only read.
fn overlay_folders(entry: &MountEntry) -> Vec<(String, bool)> {
    let anchored = |folder: &str| format!("/{}", escapes::octal(folder).trim_start_matches('/'));
    let mut folders = Vec::new();
    for option in &entry.options {
        match option.split_once('=') {
            Some(("lowerdir", list)) => {
                let lower = list.split(':').filter(|folder| !folder.is_empty());
                folders.extend(lower.map(|folder| (anchored(folder), true)));
            }
            Some(("upperdir", folder)) => folders.push((anchored(folder), false)),
            _ => {}
        }
    }
    folders
}

/// Raw lines of which cannot be told what of the node they mount.
pub(super) fn unjudged_entries(ct: &LxcSection) -> Vec<MountEntry> {
    let is_unjudged = |entry: &MountEntry| {
        if is_of_container(entry) {
            return entry.source.split('/').any(|part| part == "..");
        }
        let is_known = |kind: &str| {
            matches!(kind, "overlay" | "overlayfs" | "devtmpfs")
                || OWN_FILE_SYSTEMS.contains(&kind)
                || KERNEL_FILE_SYSTEMS.contains(&kind)
        };
        !entry.is_bind() && !is_known(&entry.file_system)
    };
    ct.mount_entries().into_iter().filter(is_unjudged).collect()
}

/// A part of the node worth its keys is mounted.
pub(super) fn sensitive_bind_mount(path: &str, ct: &LxcSection) -> Judgement {
    let found: Vec<(Severity, Bind)> = binds(ct)
        .into_iter()
        .filter_map(|bind| Some((host_path::severity(&bind.source, bind.grip)?, bind)))
        .collect();
    let Some(worst) = found.iter().map(|(severity, _)| *severity).max() else {
        return Judgement::pass("no sensitive path of the node is mounted");
    };
    let names: Vec<&str> = found.iter().map(|(_, bind)| bind.source.as_str()).take(NAMED).collect();
    let more = if found.len() > NAMED { " and more" } else { "" };
    Judgement::fail(format!("the container holds {}{more} of the node", names.join(", ")))
        .severity(worst)
        .with_all(
            found.iter().map(|(_, bind)| bind.evidence(path).expected("a folder made for this container")),
        )
}

/// How many paths a summary names.
const NAMED: usize = 3;

/// Another folder of the node is writable for root of the node inside a privileged container.
pub(super) fn writable_bind_mount_while_privileged(path: &str, ct: &LxcSection) -> Judgement {
    if !ct.is_privileged() {
        return Judgement::pass("the container is unprivileged");
    }
    let is_share = |bind: &Bind| {
        !bind.grip.read_only
            && !bind.source.starts_with("/dev/")
            && host_path::severity(&bind.source, bind.grip).is_none()
    };
    let shares: Vec<Bind> = binds(ct).into_iter().filter(is_share).collect();
    if shares.is_empty() {
        return Judgement::pass("no other folder of the node is writable in the container");
    }
    Judgement::fail("the container writes as root to folders of the node")
        .with_all(shares.iter().map(|bind| bind.evidence(path).expected("ro=1")))
}

/// A mount point gives root back its power over the files of the node.
pub(super) fn mount_maps_root(path: &str, ct: &LxcSection) -> Judgement {
    if ct.is_privileged() {
        return Judgement::pass("the container is privileged, and maps of mount points have no effect");
    }
    let points = ct.root_file_system().into_iter().chain(ct.mount_points());
    let bad: Vec<MountPoint> = points.filter(|point| point.ids.touches_root()).collect();
    let Some(worst) = bad.iter().map(severity_of_map).max() else {
        return Judgement::pass("no mount point maps to root of the node");
    };
    let seen = |point: &MountPoint| {
        let source = point.source.host_path().unwrap_or("a volume");
        let observed = format!("{source} with ids of the node");
        Evidence::at(path, point.line)
            .key(&point.option)
            .observed(observed)
            .expected("only the ids that are needed")
    };
    Judgement::fail("root of the container is root on a mount point")
        .severity(worst)
        .with_all(bad.iter().map(seen))
}

/// On a volume nobody but the container sees the files.
fn severity_of_map(point: &MountPoint) -> Severity {
    match (point.source.host_path(), point.read_only) {
        (None, _) | (Some(_), true) => Severity::Low,
        (Some(_), false) => Severity::High,
    }
}

/// The container may mount file systems of the kernel's choice.
pub(super) fn file_system_mounts_allowed(path: &str, ct: &LxcSection) -> Judgement {
    let features = ct.features();
    if features.mount.is_empty() {
        return Judgement::pass("the container may mount no file system of another type");
    }
    let types = features.mount.join(";");
    Judgement::fail(format!("root of the container mounts file systems of type {types}"))
        .severity(privileged_or(ct, Severity::High, Severity::Medium))
        .with(Evidence::at(path, features.line).key("features").observed(format!("mount={types}")))
}
