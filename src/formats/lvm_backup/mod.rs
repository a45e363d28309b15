//! LVM's text metadata: `/etc/lvm/backup/VG`, `/etc/lvm/archive/VG_*.vg`.
//!
//! Follows `LVM2:libdm/libdm-config.c` (`dm_config_parse`) for the text and `LVM2:lib/format_text/import_vsn1.c`
//! for the meaning. A `device` is only a hint LVM wrote down; the file can be older than the disks (`seqno`).

#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use super::{Issue, Parsed};
use text::{Section, Value};

/// Tag of a Ceph volume that holds a key; only its presence is kept.
const SECRET_TAG: &str = "ceph.cephx_lockbox_secret=";

/// The volume groups of a file; LVM writes one.
pub type LvmBackup = Vec<VolumeGroup>;

/// One volume group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeGroup {
    /// Name.
    pub name: String,
    /// Raised with every change of the group.
    pub seqno: Option<u64>,
    /// Physical volumes, in the order of the file.
    pub physical_volumes: Vec<PhysicalVolume>,
    /// Logical volumes, also the hidden ones of pools, in the order of the file.
    pub logical_volumes: Vec<LogicalVolume>,
    /// Line of the section, counted from 1.
    pub line: u32,
}

/// One physical volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PhysicalVolume {
    /// Name inside the file: `pv0`.
    pub name: String,
    /// Path the device had when the file was written; a hint.
    pub device: Option<String>,
    /// Kind of `device_id`: `crypt_uuid`, `sys_wwid`, …; only with a devices file.
    pub device_id_type: Option<String>,
    /// Id of the device, for `crypt_uuid` the device-mapper uuid `CRYPT-…`.
    pub device_id: Option<String>,
    /// Line of the section, counted from 1.
    pub line: u32,
}

/// One logical volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogicalVolume {
    /// Name.
    pub name: String,
    /// `VISIBLE` is missing for the inner volumes of pools, mirrors and snapshots.
    pub visible: bool,
    /// Tags, such as `ceph.encrypted=1`.
    pub tags: Vec<String>,
    /// A Ceph tag held a key. It is not kept.
    pub secret_tag: bool,
    /// Segments in order.
    pub segments: Vec<Segment>,
    /// Line of the section, counted from 1.
    pub line: u32,
}

/// One segment of a logical volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Type: `striped`, `thin`, `thin-pool`, `raid1`, `cache`, `writecache`, `vdo`, `snapshot`, …
    pub kind: String,
    /// The thin pool of a `thin` segment.
    pub thin_pool: Option<String>,
    /// Names of the physical and logical volumes the segment is made of.
    pub uses: Vec<String>,
    /// It names a volume that is not in the file, or none at all.
    pub unresolved: bool,
    /// Line of the section, counted from 1.
    pub line: u32,
}

impl VolumeGroup {
    /// The logical volume called `name`.
    pub fn logical_volume(&self, name: &str) -> Option<&LogicalVolume> {
        self.logical_volumes.iter().find(|volume| volume.name == name)
    }

    /// The physical volumes that hold the logical volume `name`: through pools, mirrors and caches down to the
    /// devices. `None` when it or anything it is made of is not in the file; never empty.
    ///
    /// A name that is both a physical and a logical volume (`pv0`) counts as both.
    pub fn physical_volumes_of(&self, name: &str) -> Option<Vec<&PhysicalVolume>> {
        let logical: BTreeMap<&str, &LogicalVolume> =
            self.logical_volumes.iter().map(|volume| (volume.name.as_str(), volume)).collect();
        let physical: BTreeMap<&str, &PhysicalVolume> =
            self.physical_volumes.iter().map(|volume| (volume.name.as_str(), volume)).collect();
        let mut found = BTreeMap::new();
        let mut seen = BTreeSet::from([name]);
        let mut open = vec![*logical.get(name)?];
        while let Some(volume) = open.pop() {
            if volume.segments.is_empty() || volume.segments.iter().any(|segment| segment.unresolved) {
                return None;
            }
            for used in volume.segments.iter().flat_map(|segment| &segment.uses) {
                if let Some(device) = physical.get(used.as_str()) {
                    found.insert(used.as_str(), *device);
                }
                if let Some(inner) = logical.get(used.as_str()).filter(|inner| seen.insert(&inner.name)) {
                    open.push(inner);
                }
            }
        }
        Some(found.into_values().collect::<Vec<_>>()).filter(|devices| !devices.is_empty())
    }
}

/// Reads a metadata file.
pub fn parse(text: &str) -> Parsed<LvmBackup> {
    let root = text::read(text);
    let mut parsed = Parsed { value: Vec::new(), issues: root.issues };
    for group in &root.value.sections {
        // Only a volume group has this section; LVM's own configuration has the same syntax.
        if group.section("physical_volumes").is_some() {
            parsed.value.push(volume_group(group, &mut parsed.issues));
        }
    }
    if parsed.value.is_empty() {
        parsed.issues.push(Issue::new(1, "no volume group in the file"));
    }
    parsed.issues.sort();
    parsed
}

fn volume_group(section: &Section, issues: &mut Vec<Issue>) -> VolumeGroup {
    let children = |name: &str| section.section(name).map_or(&[][..], |list| list.sections.as_slice());
    let physical_volumes: Vec<_> = children("physical_volumes").iter().map(physical_volume).collect();
    let mut names: Vec<&str> = children("physical_volumes").iter().map(|child| child.name.as_str()).collect();
    names.extend(children("logical_volumes").iter().map(|child| child.name.as_str()));
    names.sort_unstable();
    let logical_volumes =
        children("logical_volumes").iter().map(|child| logical_volume(child, &names, issues));
    VolumeGroup {
        name: section.name.clone(),
        seqno: section.value("seqno").and_then(Value::number),
        logical_volumes: logical_volumes.collect(),
        physical_volumes,
        line: section.line,
    }
}

fn physical_volume(section: &Section) -> PhysicalVolume {
    PhysicalVolume {
        name: section.name.clone(),
        device: section.text("device"),
        device_id_type: section.text("device_id_type"),
        device_id: section.text("device_id"),
        line: section.line,
    }
}

fn logical_volume(section: &Section, names: &[&str], issues: &mut Vec<Issue>) -> LogicalVolume {
    let all = |name: &str| section.value(name).map(Value::texts).unwrap_or_default();
    let (secrets, tags): (Vec<&str>, Vec<&str>) =
        all("tags").into_iter().partition(|tag| tag.starts_with(SECRET_TAG));
    let segments = section.sections.iter().filter(|child| child.name.starts_with("segment"));
    let segments: Vec<_> = segments.map(|child| segment(child, names)).collect();
    if segments.is_empty() || segments.iter().any(|segment| segment.kind.is_empty()) {
        issues.push(Issue::new(
            section.line,
            "a logical volume without a segment type; what it is made of is not known",
        ));
    }
    LogicalVolume {
        name: section.name.clone(),
        visible: all("status").contains(&"VISIBLE"),
        tags: tags.into_iter().map(str::to_owned).collect(),
        secret_tag: !secrets.is_empty(),
        segments,
        line: section.line,
    }
}

/// Keys of a segment that name one volume each. Arrays name volumes too (`stripes`, `raids`, `mirrors`, …).
const REFERENCES: [&str; 12] = [
    "cache_pool",
    "cow_store",
    "data",
    "external_origin",
    "merging_store",
    "metadata",
    "mirror_log",
    "origin",
    "pool",
    "thin_pool",
    "vdo_pool",
    "writecache",
];

/// Arrays of a segment that name no volume.
const OTHER_ARRAYS: [&str; 2] = ["flags", "tags"];

fn segment(section: &Section, names: &[&str]) -> Segment {
    let is_reference = |key: &str, value: &Value| match value {
        Value::List(_) => !OTHER_ARRAYS.contains(&key),
        Value::Text(_) | Value::Bare(_) => REFERENCES.contains(&key),
    };
    let mut uses = Vec::new();
    let mut unresolved = false;
    for (_, value) in section.values.iter().filter(|(key, value)| is_reference(key, value)) {
        for text in value.texts() {
            unresolved |= names.binary_search(&text).is_err();
            uses.push(text.to_owned());
        }
    }
    Segment {
        kind: section.text("type").unwrap_or_default(),
        thin_pool: section.text("thin_pool"),
        unresolved: unresolved || uses.is_empty(),
        uses,
        line: section.line,
    }
}
