//! The storage types and their properties.
//!
//! Follows `options`, `properties` and `plugindata` of pve-storage's `PVE::Storage::*Plugin`.

use crate::formats::property_string::{INTEGER, Key, Kind, key};
use crate::formats::release::Release::{self, Pve7, Pve8, Pve9};
use crate::formats::section_config::{Header, Property, SectionType, Table, one};
use crate::formats::{perl, verify, vzdump};

/// What a storage type may hold, and holds when its section does not say.
pub(super) struct ContentRule {
    pub(super) kind: &'static str,
    pub(super) valid: &'static [&'static str],
    pub(super) default: &'static [&'static str],
}

const FOLDER: &[&str] = &["images", "rootdir", "vztmpl", "iso", "backup", "snippets", "none", "import"];
const SHARE: &[&str] = &["images", "rootdir", "vztmpl", "iso", "backup", "snippets", "import"];
const GUEST: &[&str] = &["images", "rootdir"];

pub(super) const CONTENT: &[ContentRule] = &[
    ContentRule { kind: "btrfs", valid: FOLDER, default: GUEST },
    ContentRule {
        kind: "cephfs",
        valid: &["vztmpl", "iso", "backup", "snippets", "import"],
        default: &["backup"],
    },
    ContentRule { kind: "cifs", valid: SHARE, default: &["images"] },
    ContentRule { kind: "dir", valid: FOLDER, default: GUEST },
    ContentRule { kind: "esxi", valid: &["import"], default: &["import"] },
    ContentRule {
        kind: "glusterfs",
        valid: &["images", "vztmpl", "iso", "backup", "snippets", "import"],
        default: &["images"],
    },
    ContentRule { kind: "iscsi", valid: &["images", "none"], default: &["images"] },
    ContentRule { kind: "iscsidirect", valid: &["images", "none"], default: &["images"] },
    ContentRule { kind: "lvm", valid: GUEST, default: &["images"] },
    ContentRule { kind: "lvmthin", valid: GUEST, default: GUEST },
    ContentRule { kind: "nfs", valid: SHARE, default: &["images"] },
    ContentRule { kind: "pbs", valid: &["backup", "none"], default: &["backup"] },
    ContentRule { kind: "rbd", valid: GUEST, default: &["images"] },
    ContentRule { kind: "zfs", valid: &["images"], default: &["images"] },
    ContentRule { kind: "zfspool", valid: GUEST, default: GUEST },
];

/// The rule of a type, if it is one of upstream's own.
pub(super) fn content_rule(kind: &str) -> Option<&'static ContentRule> {
    CONTENT.iter().find(|rule| rule.kind == kind)
}

/// Whether `release` knows this content on this type. Disk images for import came with Proxmox VE 8.
pub(super) fn holds(rule: &ContentRule, content: &str, release: Release) -> bool {
    rule.valid.contains(&content) && (content != "import" || release >= Pve8)
}

/// The types that are the same on every node, whatever their section says.
pub(super) const SHARED_TYPES: [&str; 10] =
    ["cephfs", "cifs", "drbd", "glusterfs", "iscsi", "iscsidirect", "nfs", "pbs", "rbd", "zfs"];

const fn text(name: &'static str) -> Property {
    one(key(name, Kind::Text))
}

const fn flag(name: &'static str) -> Property {
    one(key(name, Kind::Boolean))
}

const fn required(name: &'static str) -> Property {
    one(key(name, Kind::Text).required())
}

const PATH: Property = one(key("path", Kind::Checked(path)).required());
const SHARED: Property = flag("shared");
const BWLIMIT: Property = text("bwlimit");
const USERNAME: Property = text("username");
const PASSWORD: Property = one(key("password", Kind::Text).secret());
const KEYRING: Property = one(key("keyring", Kind::Text).secret());
const PORT: Property = one(key("port", Kind::Integer { min: 1, max: 65535 }));
const OPTIONS: Property = one(key("options", Kind::Checked(mount_options)));
const MAKE_FOLDER: Property = flag("mkdir");
const IS_MOUNT_POINT: Property = text("is_mountpoint");
const VOLUME_CHAIN: Property = one(key("snapshot-as-volume-chain", Kind::Boolean).since(Pve9));

const EVERY: &[Property] =
    &[one(key("nodes", Kind::Checked(nodes))), flag("disable"), one(key("content", Kind::Checked(content)))];

const BACKUP: &[Property] = &[
    one(key("prune-backups", Kind::Properties(&vzdump::PRUNE))),
    one(key("max-protected-backups", Kind::Integer { min: -1, max: i64::MAX })),
    one(key("maxfiles", INTEGER).until(Pve8)),
];

const FILES: &[Property] = &[
    one(key("format", Kind::OneOf(&["raw", "qcow2", "vmdk", "subvol"]))),
    text("preallocation"),
    MAKE_FOLDER,
    one(key("create-base-path", Kind::Boolean).since(Pve8)),
    one(key("create-subdirs", Kind::Boolean).since(Pve8)),
];

const CONTENT_FOLDERS: Property = text("content-dirs");

const fn kind(name: &'static str, properties: &'static [&'static [Property]]) -> SectionType {
    SectionType { name, properties, since: Pve7, until: Pve9 }
}

pub(super) const TABLE: Table =
    Table { header: Header::AnyCaseTypeAndId, id: verify::storage_id, types: TYPES };

const TYPES: &[SectionType] = &[
    kind("btrfs", &[EVERY, BACKUP, FILES, &[PATH, SHARED, IS_MOUNT_POINT, flag("nocow")]]),
    kind(
        "cephfs",
        &[
            EVERY,
            BACKUP,
            FILES,
            &[
                PATH,
                CONTENT_FOLDERS,
                text("monhost"),
                text("subdir"),
                OPTIONS,
                USERNAME,
                flag("fuse"),
                BWLIMIT,
                KEYRING,
                text("fs-name"),
            ],
        ],
    ),
    kind(
        "cifs",
        &[
            EVERY,
            BACKUP,
            FILES,
            &[
                PATH,
                CONTENT_FOLDERS,
                required("server"),
                required("share"),
                text("subdir"),
                USERNAME,
                PASSWORD,
                text("domain"),
                one(key("smbversion", Kind::OneOf(&["default", "2.0", "2.1", "3", "3.0", "3.11"]))),
                BWLIMIT,
                one(Key { since: Pve8, ..OPTIONS.key }),
                VOLUME_CHAIN,
            ],
        ],
    ),
    kind(
        "dir",
        &[EVERY, BACKUP, FILES, &[PATH, CONTENT_FOLDERS, SHARED, IS_MOUNT_POINT, BWLIMIT, VOLUME_CHAIN]],
    ),
    SectionType {
        name: "esxi",
        properties: &[
            EVERY,
            &[
                SHARED,
                required("server"),
                required("username"),
                PASSWORD,
                flag("skip-cert-verification"),
                PORT,
            ],
        ],
        since: Pve8,
        until: Pve9,
    },
    SectionType {
        name: "glusterfs",
        properties: &[
            EVERY,
            BACKUP,
            FILES,
            &[PATH, text("server"), text("server2"), required("volume"), text("transport"), BWLIMIT],
        ],
        since: Pve7,
        until: Pve8,
    },
    kind("iscsi", &[EVERY, &[required("portal"), required("target"), BWLIMIT]]),
    kind("iscsidirect", &[EVERY, &[required("portal"), required("target"), BWLIMIT]]),
    kind(
        "lvm",
        &[
            EVERY,
            &[
                required("vgname"),
                SHARED,
                flag("saferemove"),
                text("saferemove_throughput"),
                one(key("saferemove-stepsize", INTEGER).since(Pve9)),
                text("base"),
                flag("tagged_only"),
                BWLIMIT,
                VOLUME_CHAIN,
            ],
        ],
    ),
    kind("lvmthin", &[EVERY, &[required("thinpool"), required("vgname"), BWLIMIT]]),
    kind(
        "nfs",
        &[
            EVERY,
            BACKUP,
            FILES,
            &[PATH, CONTENT_FOLDERS, required("server"), required("export"), OPTIONS, BWLIMIT, VOLUME_CHAIN],
        ],
    ),
    kind(
        "pbs",
        &[
            EVERY,
            BACKUP,
            &[
                required("server"),
                required("datastore"),
                text("namespace"),
                PORT,
                USERNAME,
                PASSWORD,
                one(key("encryption-key", Kind::Text).secret()),
                one(key("master-pubkey", Kind::Text).secret()),
                text("fingerprint"),
            ],
        ],
    ),
    kind(
        "rbd",
        &[
            EVERY,
            &[
                text("monhost"),
                text("pool"),
                text("data-pool"),
                text("namespace"),
                USERNAME,
                flag("krbd"),
                KEYRING,
                BWLIMIT,
            ],
        ],
    ),
    kind(
        "zfs",
        &[
            EVERY,
            &[
                required("portal"),
                required("target"),
                required("pool"),
                required("blocksize"),
                required("iscsiprovider"),
                flag("nowritecache"),
                flag("sparse"),
                text("comstar_hg"),
                text("comstar_tg"),
                text("lio_tpg"),
                BWLIMIT,
                one(key("zfs-base-path", Kind::Text).since(Pve9)),
            ],
        ],
    ),
    kind(
        "zfspool",
        &[EVERY, &[required("pool"), text("blocksize"), flag("sparse"), BWLIMIT, text("mountpoint")]],
    ),
];

/// `^/[^;\(\)]+`, not anchored at the end.
fn path(text: &str) -> bool {
    text.strip_prefix('/').is_some_and(|rest| rest.starts_with(|first| !matches!(first, ';' | '(' | ')')))
}

/// No blanks inside.
fn mount_options(text: &str) -> bool {
    !text.is_empty() && !text.contains(perl::is_space)
}

/// One malformed name drops the restriction, so that the storage is on every node.
fn nodes(text: &str) -> bool {
    perl::split_list(text).into_iter().all(verify::node_name)
}

/// One unknown content drops the whole property, so that the default of the type applies.
fn content(text: &str) -> bool {
    perl::split_list(text).into_iter().all(|each| FOLDER.contains(&each))
}
