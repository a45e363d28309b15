//! Facts about the audited host: which files make a fact, what a missing file means, upstream's defaults, merges
//! and effective values.
//!
//! Every fact is read once, when a check first asks for it, and is then shared. A fact carries its doubts; what a
//! doubt does to a verdict is the engine's business.

pub mod access;
pub mod advisory;
pub mod apt;
pub mod backup;
pub mod certificates;
pub mod cluster;
pub mod cluster_database;
pub mod corosync;
pub mod datacenter;
pub mod encryption;
pub mod fact;
pub mod firewall;
pub mod guests;
pub mod hookscripts;
pub mod identity;
pub mod kernels;
pub mod mappings;
pub mod network;
pub mod proxy;
pub mod services;
pub mod ssh_keys;
pub mod sshd;
pub mod storage;
pub mod system;
pub mod updates;

use std::cell::OnceCell;

use jiff::Timestamp;

use crate::files::Files;
use crate::formats::release::Release;
use crate::live::Live;

pub use fact::{CUT_SHORT, Doubt, EMPTY, Fact, Gather, Stop, UNREADABLE};

/// The audited host.
pub struct Host {
    /// The door to its files.
    pub files: Files,
    live: Option<Live>,
    assumed: Option<Release>,
    apt: apt::Facts,
    identity: identity::Facts,
    cluster: cluster::Facts,
    access: access::Facts,
    advisory: advisory::Facts,
    corosync: corosync::Facts,
    datacenter: datacenter::Facts,
    certificates: certificates::Facts,
    network: network::Facts,
    sshd: sshd::Facts,
    ssh_keys: ssh_keys::Facts,
    system: system::Facts,
    updates: updates::Facts,
    guests: guests::Facts,
    firewall: firewall::Facts,
    proxy: proxy::Facts,
    storage: storage::Facts,
    backup: backup::Facts,
    mappings: mappings::Facts,
    clock: OnceCell<Timestamp>,
    encryption: encryption::Facts,
    release: OnceCell<Result<Release, Stop>>,
}

impl Host {
    /// A host seen through `files`; `live` only if it is the running one; `assumed` is the release to take where
    /// the package data does not tell.
    pub fn new(files: Files, live: Option<Live>, assumed: Option<Release>) -> Self {
        Self {
            files,
            live,
            assumed,
            apt: apt::Facts::default(),
            identity: identity::Facts::default(),
            cluster: cluster::Facts::default(),
            access: access::Facts::default(),
            advisory: advisory::Facts::default(),
            corosync: corosync::Facts::default(),
            datacenter: datacenter::Facts::default(),
            certificates: certificates::Facts::default(),
            network: network::Facts::default(),
            sshd: sshd::Facts::default(),
            ssh_keys: ssh_keys::Facts::default(),
            system: system::Facts::default(),
            updates: updates::Facts::default(),
            guests: guests::Facts::default(),
            firewall: firewall::Facts::default(),
            proxy: proxy::Facts::default(),
            storage: storage::Facts::default(),
            backup: backup::Facts::default(),
            mappings: mappings::Facts::default(),
            clock: OnceCell::new(),
            encryption: encryption::Facts::default(),
            release: OnceCell::new(),
        }
    }

    /// The running system.
    ///
    /// # Errors
    /// Under `--root` there is none: what only it has is unknown.
    pub fn live(&self) -> Result<&Live, Stop> {
        self.live
            .as_ref()
            .ok_or_else(|| Stop::unknown("the running system", "is needed to tell; this is a tree"))
    }

    /// Sets the clock of the run, for facts about what is still to come; only the first time counts.
    pub(crate) fn set_clock(&self, now: Timestamp) {
        self.clock.get_or_init(|| now);
    }

    /// Whether this is the running host.
    pub fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// Notes that `path` is missing or empty where upstream's defaults hold then. That is certain on the running host
    /// only: a tree may have lost the file or its content, and a pass must not rest on that.
    pub(crate) fn defaults_hold(&self, gather: &mut Gather<'_>, path: &str) {
        if !self.is_live() {
            let what = "is missing or empty: the defaults hold, unless this tree has lost it";
            gather.doubt(Doubt::about(path, what));
        }
    }

    /// The release given by option.
    pub fn assumed(&self) -> Option<Release> {
        self.assumed
    }
}
