//! The options of the whole datacenter.

use std::cell::OnceCell;

use super::{Fact, Host};
use crate::formats::datacenter_cfg::{self, DatacenterCfg};

/// Where they stand.
pub const DATACENTER_CFG: &str = "/etc/pve/datacenter.cfg";

#[derive(Default)]
pub(super) struct Facts {
    cfg: OnceCell<Fact<DatacenterCfg>>,
}

impl Host {
    /// `/etc/pve/datacenter.cfg`. Without the file every option has its default
    /// (`PVE::DataCenterConfig::parse_datacenter_config` of an empty text).
    pub fn datacenter(&self) -> &Fact<DatacenterCfg> {
        self.datacenter.cfg.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                gather.take(self.cluster_files())?;
                let Some(text) = gather.optional(DATACENTER_CFG)? else {
                    return Ok(DatacenterCfg::default());
                };
                Ok(gather.parsed(DATACENTER_CFG, datacenter_cfg::parse(&text)))
            })
        })
    }
}
