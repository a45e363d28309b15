//! Cluster-wide jobs: `/etc/pve/jobs.cfg`.
//!
//! Follows pve-common's `PVE::Job::Registry`, pve-guest-common's `PVE::VZDump::JobBase` and pve-access-control's
//! `PVE::Jobs::RealmSync`. A schedule that is no calendar event is dropped, and with it the job.

use super::Parsed;
use super::calendar_event;
use super::property_string::{Kind, key};
use super::release::Release::{self, Pve7, Pve8, Pve9};
use super::section_config::{self, Fate, Header, Property, Section, SectionType, Table, one};
use super::verify;
use super::vzdump::{OPTIONS, Options};

/// The jobs of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct JobsConfig {
    /// The backup jobs, in file order.
    pub backups: Vec<BackupJob>,
    /// The jobs that synchronise a realm with its directory, in file order.
    pub realm_syncs: Vec<RealmSyncJob>,
    /// The jobs that stand in the file and never run.
    pub lost: Vec<LostJob>,
}

/// A backup job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupJob {
    /// The id.
    pub id: String,
    /// Line of the header, counted from 1.
    pub line: u32,
    /// Whether it runs; upstream's default is yes.
    pub enabled: bool,
    /// The calendar event it runs at.
    pub schedule: String,
    /// Whether a missed run is made up for; upstream's default is no.
    pub repeats_missed: bool,
    /// What it backs up, where to, and how.
    pub options: Options,
}

/// A job that synchronises a realm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RealmSyncJob {
    /// The id.
    pub id: String,
    /// Line of the header, counted from 1.
    pub line: u32,
    /// Whether it runs; upstream's default is yes.
    pub enabled: bool,
    /// The calendar event it runs at.
    pub schedule: String,
    /// The realm.
    pub realm: String,
    /// `users`, `groups` or `both`.
    pub scope: String,
    /// Whether new users are enabled; absent means the default of the realm, then yes.
    pub enables_new: Option<bool>,
    /// What is removed with a user who left: `acl`, `properties`, `entry`; absent means the default of the realm,
    /// then nothing.
    pub remove_vanished: Option<Vec<String>>,
}

/// A job that stands in the file and that upstream does not use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostJob {
    /// The type in the header.
    pub kind: String,
    /// The id.
    pub id: String,
    /// Line of the header, counted from 1.
    pub line: u32,
    /// Why.
    pub fate: Fate,
    /// Whether it would run.
    pub enabled: bool,
    /// What it would back up, as far as upstream understands it.
    pub options: Options,
}

const COMMON: &[Property] = &[
    one(key("enabled", Kind::Boolean)),
    one(key("schedule", Kind::Checked(calendar_event::is_valid)).required()),
    one(key("comment", Kind::Text)),
    one(key("repeat-missed", Kind::Boolean)),
];

const TABLE: Table = Table {
    header: Header::TypeAndId,
    id: |_| true,
    types: &[
        SectionType { name: "vzdump", properties: &[COMMON, OPTIONS], since: Pve7, until: Pve9 },
        SectionType {
            name: "realm-sync",
            properties: &[
                COMMON,
                &[
                    one(key("realm", Kind::Checked(verify::realm)).required()),
                    one(key("scope", Kind::OneOf(&["users", "groups", "both"])).required()),
                    one(key("enable-new", Kind::Boolean)),
                    one(key("remove-vanished", Kind::Checked(remove_vanished))),
                ],
            ],
            since: Pve8,
            until: Pve9,
        },
    ],
};

/// `none`, or `acl`, `properties`, `entry` separated by `;`.
pub(super) fn remove_vanished(text: &str) -> bool {
    text == "none" || text.split(';').all(|each| matches!(each, "acl" | "properties" | "entry"))
}

/// The items of `remove-vanished`.
pub(super) fn vanished(text: &str) -> Vec<String> {
    text.split(';').filter(|each| *each != "none").map(str::to_owned).collect()
}

/// Reads the jobs as `release` does.
pub fn parse(text: &str, release: Release) -> Parsed<JobsConfig> {
    let Parsed { value: sections, issues } = section_config::parse(text, &TABLE, release);
    let of_kind = |kind: &'static str| sections.effective().filter(move |section| section.kind == kind);
    let value = JobsConfig {
        backups: of_kind("vzdump").map(backup).collect(),
        realm_syncs: of_kind("realm-sync").map(realm_sync).collect(),
        lost: sections.lost().map(lost).collect(),
    };
    Parsed { value, issues }
}

fn text(section: &Section, name: &str) -> String {
    section.text(name).unwrap_or_default().to_owned()
}

fn backup(section: &Section) -> BackupJob {
    BackupJob {
        id: section.id.clone(),
        line: section.line,
        enabled: section.flag("enabled").unwrap_or(true),
        schedule: text(section, "schedule"),
        repeats_missed: section.flag("repeat-missed").unwrap_or(false),
        options: Options::of(section),
    }
}

fn realm_sync(section: &Section) -> RealmSyncJob {
    RealmSyncJob {
        id: section.id.clone(),
        line: section.line,
        enabled: section.flag("enabled").unwrap_or(true),
        schedule: text(section, "schedule"),
        realm: text(section, "realm"),
        scope: text(section, "scope"),
        enables_new: section.flag("enable-new"),
        remove_vanished: section.text("remove-vanished").map(vanished),
    }
}

fn lost(section: &Section) -> LostJob {
    LostJob {
        kind: section.kind.clone(),
        id: section.id.clone(),
        line: section.line,
        fate: section.fate.clone(),
        enabled: section.flag("enabled").unwrap_or(true),
        options: Options::of(section),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = "vzdump: daily\n\tschedule mon..fri 02:30\n\tall 1\n\texclude 101,102\n\tstorage local\n\
        \tprune-backups keep-daily=7,keep-weekly=4\n\tmailto admin@example.com\n\texclude-path /a\n\texclude-path /b\n\n\
        vzdump: off\n\tschedule 21:00\n\tenabled 0\n\tvmid 100,200\n\tfleecing 1,storage=fast\n\n\
        realm-sync: sync\n\trealm corp\n\tschedule hourly\n\tscope users\n\tremove-vanished acl;entry\n\n";

    #[test]
    fn jobs_are_read_with_upstream_defaults() {
        let parsed = parse(FILE, Pve9);
        assert_eq!(parsed.issues, []);
        let [daily, off] = parsed.value.backups.as_slice() else { panic!("two jobs") };
        assert!(daily.enabled && !off.enabled && !daily.repeats_missed);
        assert_eq!(daily.schedule, "mon..fri 02:30");
        assert_eq!(daily.options.exclude, Some(vec![101, 102]));
        assert_eq!(daily.options.prune.as_ref().unwrap().number("keep-daily"), Some(7));
        assert_eq!(daily.options.exclude_paths, ["/a", "/b"]);
        assert!(daily.options.has_mail_address);
        assert_eq!(off.options.guests, Some(vec![100, 200]));
        assert_eq!(off.options.fleecing_storage.as_deref(), Some("fast"));
        let sync = &parsed.value.realm_syncs[0];
        assert_eq!((sync.realm.as_str(), sync.scope.as_str(), sync.enables_new), ("corp", "users", None));
        assert_eq!(sync.remove_vanished, Some(vec!["acl".to_owned(), "entry".to_owned()]));
    }

    #[test]
    fn a_job_switched_off_with_a_word_runs() {
        let parsed = parse("vzdump: a\n\tschedule 1:00\n\tenabled no\n\tall 1\n", Pve9);
        assert!(parsed.value.backups[0].enabled);
        assert_eq!(parsed.issues[0].line, 3);
    }

    #[test]
    fn a_job_without_schedule_is_lost() {
        let parsed = parse("vzdump: a\n\tall 1\n", Pve9);
        assert!(parsed.value.backups.is_empty());
        assert_eq!(parsed.value.lost[0].fate, Fate::Missing("schedule"));
    }

    #[test]
    fn a_job_with_a_schedule_that_is_none_is_lost() {
        let parsed = parse("vzdump: a\n\tschedule nightly\n\tvmid 100\n", Pve9);
        assert!(parsed.value.backups.is_empty());
        assert_eq!(parsed.value.lost[0].fate, Fate::Missing("schedule"));
        assert_eq!(parsed.value.lost[0].options.guests, Some(vec![100]));
        assert_eq!(parsed.issues.len(), 2);
    }

    #[test]
    fn one_bad_guest_id_drops_the_whole_list() {
        let parsed = parse("vzdump: a\n\tschedule 1:00\n\tvmid 100,0101\n", Pve9);
        assert_eq!(parsed.value.backups[0].options.guests, None);
        assert_eq!(parsed.issues[0].line, 3);
    }

    #[test]
    fn proxmox_ve_7_knows_neither_fleecing_nor_realm_jobs() {
        let parsed = parse(FILE, Pve7);
        assert!(parsed.value.realm_syncs.is_empty());
        assert_eq!(parsed.value.backups[1].options.fleecing_storage, None);
        assert_eq!(parsed.value.backups[0].options.exclude_paths, ["/a"]);
        assert_eq!(parsed.value.lost[0].fate, Fate::UnknownType);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn parsing_never_panics(lines in prop::collection::vec("(vzdump: a|\t(vmid|all|schedule|prune-backups) .{0,9}|.{0,9}|)", 0..8)) {
            let _ = parse(&lines.join("\n"), Pve9);
        }
    }
}
