//! Facts about the audited host: which files make a fact, what a missing file means, upstream's defaults, merges
//! and effective values.
//!
//! Every fact is read once, when a check first asks for it, and is then shared. A fact carries its doubts; what a
//! doubt does to a verdict is the engine's business.

pub mod access;
pub mod advisory;
pub mod apt;
pub mod cluster;
pub mod fact;
pub mod firewall;
pub mod identity;
pub mod kernels;
pub mod system;

use std::cell::OnceCell;

use crate::files::Files;
use crate::formats::release::Release;
use crate::live::Live;

pub use fact::{Doubt, Fact, Gather, Stop};

/// The audited host.
pub struct Host {
    /// The door to its files.
    pub files: Files,
    live: Option<Live>,
    assumed: Option<Release>,
    apt: apt::Facts,
    identity: identity::Facts,
    cluster: cluster::Facts,
    system: system::Facts,
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
            system: system::Facts::default(),
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

    /// Whether this is the running host.
    pub fn is_live(&self) -> bool {
        self.live.is_some()
    }

    /// The release given by option.
    pub fn assumed(&self) -> Option<Release> {
        self.assumed
    }
}
