//! What of the node is mounted into a container.

use crate::catalogue::Severity;
use crate::checks::host_path::{self, Grip};
use crate::formats::escapes;
use crate::formats::guest::Source;
use crate::formats::guest::lxc::{LxcSection, MountPoint};
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

/// Binds of mount points, of the root file system, and of raw `lxc.mount.entry` lines, which no check of Proxmox VE
/// looks at.
fn binds(ct: &LxcSection) -> Vec<Bind> {
    let privileged = ct.is_privileged();
    let of_point = |point: MountPoint| match point.source {
        Source::Path(source) => Some(Bind {
            key: point.option,
            line: point.line,
            source,
            grip: Grip { read_only: point.read_only, as_root: privileged || point.ids.touches_root() },
        }),
        _ => None,
    };
    let points = ct.root_file_system().into_iter().chain(ct.mount_points()).filter_map(of_point);
    let entries = ct.mount_entries().into_iter().filter(crate::formats::guest::lxc::MountEntry::is_bind);
    let entries = entries.filter(|entry| entry.source.starts_with('/')).map(|entry| Bind {
        key: "lxc.mount.entry".to_owned(),
        line: entry.line,
        source: escapes::octal(&entry.source),
        grip: Grip { read_only: entry.is_read_only(), as_root: privileged },
    });
    points.chain(entries).collect()
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
