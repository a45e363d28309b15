//! Resources of the nodes that are given to guests by the name of a mapping.

use std::cell::OnceCell;

use super::{Fact, Host};
use crate::formats::directory_mapping::{self, MappedFolder};

/// The mappings of folders.
pub const DIRECTORY_CFG: &str = "/etc/pve/mapping/directory.cfg";

#[derive(Default)]
pub(super) struct Facts {
    folders: OnceCell<Fact<Vec<MappedFolder>>>,
}

impl Host {
    /// `/etc/pve/mapping/directory.cfg`; a missing file maps no folder.
    pub fn mapped_folders(&self) -> &Fact<Vec<MappedFolder>> {
        self.mappings.folders.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                gather.take(self.cluster_files())?;
                let Some(text) = gather.optional(DIRECTORY_CFG)? else { return Ok(Vec::new()) };
                let release = self.release_to_read(gather);
                Ok(gather.parsed(DIRECTORY_CFG, directory_mapping::parse(&text, release)))
            })
        })
    }
}
