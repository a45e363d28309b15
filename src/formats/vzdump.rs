//! The options of a backup, shared by jobs (`jobs.cfg`), node defaults (`vzdump.conf`) and the old cron file.
//!
//! Follows `$confdesc` of pve-guest-common's `PVE::VZDump::Common`.

use std::collections::BTreeMap;

use super::perl::split_list;
use super::property_string::{Key, Kind, Properties, Schema, UNSIGNED, key};
use super::release::Release::{Pve7, Pve8};
use super::section_config::{Entry, Fate, Property, Section, Value, many, one};
use super::verify;

/// The storage upstream uses when neither job nor node names one.
pub const DEFAULT_STORAGE: &str = "local";

/// How often backups are kept, `prune-backups`.
pub static PRUNE: Schema = Schema {
    keys: &[&[
        key("keep-all", Kind::Boolean),
        key("keep-last", UNSIGNED),
        key("keep-hourly", UNSIGNED),
        key("keep-daily", UNSIGNED),
        key("keep-weekly", UNSIGNED),
        key("keep-monthly", UNSIGNED),
        key("keep-yearly", UNSIGNED),
    ]],
};

static FLEECING: Schema = Schema {
    keys: &[&[
        key("enabled", Kind::Boolean).default_key(),
        key("storage", Kind::Checked(verify::storage_id)),
    ]],
};

static PERFORMANCE: Schema = Schema {
    keys: &[&[
        key("max-workers", Kind::Integer { min: 1, max: 256 }),
        key("pbs-entries-max", Kind::Integer { min: 1, max: i64::MAX }).since(Pve8),
    ]],
};

/// The options that can be given once.
pub(super) const OPTIONS: &[Property] = &[
    one(key("vmid", Kind::Checked(verify::vmid_list))),
    one(key("node", Kind::Checked(verify::node_name))),
    one(key("all", Kind::Boolean)),
    one(key("stdexcludes", Kind::Boolean)),
    one(key("compress", Kind::OneOf(&["0", "1", "gzip", "lzo", "zstd"]))),
    one(key("pigz", super::property_string::INTEGER)),
    one(key("zstd", super::property_string::INTEGER)),
    one(key("quiet", Kind::Boolean)),
    one(key("mode", Kind::OneOf(&["snapshot", "suspend", "stop"]))),
    one(key("exclude", Kind::Checked(verify::vmid_list))),
    one(key("mailto", Kind::Text)),
    one(key("mailnotification", Kind::OneOf(&["always", "failure"]))),
    one(key("notification-mode", NOTIFICATION_MODE).since(Pve8)),
    one(key("notification-policy", Kind::OneOf(&["always", "failure", "never"])).since(Pve8)),
    one(key("notification-target", Kind::Text).since(Pve8)),
    one(key("tmpdir", Kind::Text)),
    one(key("dumpdir", Kind::Text)),
    one(key("script", Kind::Text)),
    one(key("storage", Kind::Checked(verify::storage_id))),
    one(key("stop", Kind::Boolean)),
    one(key("bwlimit", UNSIGNED)),
    one(key("ionice", Kind::Integer { min: 0, max: 8 })),
    one(key("performance", Kind::Properties(&PERFORMANCE))),
    one(key("fleecing", Kind::Properties(&FLEECING)).since(Pve8)),
    one(key("lockwait", UNSIGNED)),
    one(key("stopwait", UNSIGNED)),
    one(key("prune-backups", Kind::Properties(&PRUNE))),
    one(key("maxfiles", UNSIGNED).until(Pve8)),
    one(EXCLUDE_PATH.until(Pve7)),
    many(EXCLUDE_PATH.since(Pve8)),
    one(key("remove", Kind::Boolean)),
    one(key("pool", Kind::Text)),
    one(key("notes-template", Kind::Text)),
    one(key("protected", Kind::Boolean)),
    one(key("pbs-change-detection-mode", Kind::OneOf(&["legacy", "data", "metadata"])).since(Pve8)),
];

/// Paths left out of container backups: one value up to Proxmox VE 7, a list since.
const EXCLUDE_PATH: Key = key("exclude-path", Kind::Text);

const NOTIFICATION_MODE: Kind = Kind::OneOf(&["auto", "legacy-sendmail", "notification-system"]);

/// What a backup job, the defaults of a node or a line of the old cron file say. `None` means: not said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Every guest.
    pub all: Option<bool>,
    /// These guests.
    pub guests: Option<Vec<u32>>,
    /// Not these guests; given alone it implies all others.
    pub exclude: Option<Vec<u32>>,
    /// The guests of this pool.
    pub pool: Option<String>,
    /// Only guests on this node.
    pub node: Option<String>,
    /// The storage to write to.
    pub storage: Option<String>,
    /// The folder to write to instead.
    pub dump_folder: Option<String>,
    /// `snapshot` (upstream's default), `suspend` or `stop`.
    pub mode: Option<String>,
    /// `0` (upstream's default), `1`, `gzip`, `lzo` or `zstd`.
    pub compress: Option<String>,
    /// What to keep; absent means that of the node, then of the storage, then everything.
    pub prune: Option<Properties>,
    /// Whether old backups are removed at all; upstream's default is yes.
    pub remove: Option<bool>,
    /// Whether the backups are protected from removal; upstream's default is no.
    pub protected: Option<bool>,
    /// A script that runs as root on the node.
    pub script: Option<String>,
    /// Whether a mail address is set; the address is not kept.
    pub has_mail_address: bool,
    /// `always` (upstream's default) or `failure`.
    pub mail_notification: Option<String>,
    /// `auto` (upstream's default), `legacy-sendmail` or `notification-system`.
    pub notification_mode: Option<String>,
    /// The storage of fleecing images, if fleecing is enabled.
    pub fleecing_storage: Option<String>,
    /// Paths left out of container backups.
    pub exclude_paths: Vec<String>,
    /// Whether upstream's own list of paths is left out; its default is yes.
    pub standard_excludes: Option<bool>,
}

impl Options {
    /// The options among the entries of a section.
    pub(super) fn of(section: &Section) -> Self {
        let text = |name| section.text(name).map(str::to_owned);
        let fleecing = section.properties("fleecing").filter(|each| each.flag("enabled") == Some(true));
        Self {
            all: section.flag("all"),
            guests: section.text("vmid").map(guests),
            exclude: section.text("exclude").map(guests),
            pool: text("pool"),
            node: text("node"),
            storage: text("storage"),
            dump_folder: text("dumpdir"),
            mode: text("mode"),
            compress: text("compress"),
            prune: section.properties("prune-backups").cloned(),
            remove: section.flag("remove"),
            protected: section.flag("protected"),
            script: text("script"),
            has_mail_address: section.text("mailto").is_some_and(|list| !split_list(list).is_empty()),
            mail_notification: text("mailnotification"),
            notification_mode: text("notification-mode"),
            fleecing_storage: fleecing.and_then(|each| each.get("storage")).map(str::to_owned),
            exclude_paths: section.texts("exclude-path").map(str::to_owned).collect(),
            standard_excludes: section.flag("stdexcludes"),
        }
    }
}

/// Options on their way from a file without sections: of those given once the last counts.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    single: BTreeMap<&'static str, Entry>,
    lists: Vec<Entry>,
}

impl Gathered {
    /// Forgets what was given before for a property that counts once.
    pub(super) fn forget(&mut self, property: &Property) {
        self.single.remove(property.key.name);
    }

    /// Adds a value, after [`Gathered::forget`].
    pub(super) fn add(&mut self, property: &Property, value: Value, line: u32) {
        let name = property.key.name;
        let entry = Entry { name, value, line };
        if property.is_list {
            self.lists.push(entry);
        } else {
            self.single.insert(name, entry);
        }
    }

    /// Takes an option out; the answer is its line.
    pub(super) fn remove(&mut self, name: &str) -> Option<u32> {
        self.single.remove(name).map(|entry| entry.line)
    }

    /// Whether the option is set.
    pub(super) fn has(&self, name: &str) -> bool {
        self.single.contains_key(name)
    }

    /// The options.
    pub(super) fn finish(self) -> Options {
        Options::of(&Section {
            kind: "vzdump".to_owned(),
            id: String::new(),
            line: 1,
            fate: Fate::Kept,
            entries: self.single.into_values().chain(self.lists).collect(),
            dropped: Vec::new(),
            swallowed: Vec::new(),
        })
    }
}

/// Whether a retention keeps every backup: it says so, or keeps no backup at all, which upstream reads as everything.
pub fn keeps_everything(prune: &Properties) -> bool {
    let keeps_some = |name: &str| name != "keep-all" && prune.number(name).is_some_and(|count| count > 0);
    prune.flag("keep-all").unwrap_or(false) || !prune.keys().any(keeps_some)
}

fn guests(list: &str) -> Vec<u32> {
    split_list(list).into_iter().filter_map(|id| id.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::property_string::parse;
    use crate::formats::release::Release;

    #[test]
    fn a_retention_that_keeps_nothing_keeps_everything() {
        let keeps = |text| keeps_everything(&parse(&PRUNE, text, Release::Pve9).unwrap());
        assert!(keeps("keep-all=1") && keeps("keep-last=0,keep-daily=0") && keeps(""));
        assert!(!keeps("keep-last=3") && !keeps("keep-all=0,keep-weekly=1"));
    }
}
