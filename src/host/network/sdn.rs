//! The software-defined network of the cluster.

use crate::formats::Parsed;
use crate::formats::release::Release;
use crate::formats::sdn::{self, Applied, Objects, Service};
use crate::host::{Fact, Gather, Host, Stop};

/// Zones.
pub const ZONES_CFG: &str = "/etc/pve/sdn/zones.cfg";
/// Virtual networks.
pub const VNETS_CFG: &str = "/etc/pve/sdn/vnets.cfg";
/// Subnets.
pub const SUBNETS_CFG: &str = "/etc/pve/sdn/subnets.cfg";
/// What is applied.
pub const RUNNING_CONFIG: &str = "/etc/pve/sdn/.running-config";

/// The services outside: one file per kind.
const SERVICE_FILES: [&str; 2] = ["/etc/pve/sdn/ipams.cfg", "/etc/pve/sdn/dns.cfg"];

/// What was wanted last and what is applied.
#[derive(Debug, Clone, Default)]
pub struct Sdn {
    /// Zones as wanted.
    pub zones: Objects,
    /// Virtual networks as wanted.
    pub vnets: Objects,
    /// Subnets as wanted.
    pub subnets: Objects,
    /// What the nodes were told; `None` where nothing was ever applied.
    pub applied: Option<Applied>,
}

/// A service outside, with its file.
#[derive(Debug, Clone)]
pub struct OutsideService {
    /// The file.
    pub path: &'static str,
    /// The service.
    pub service: Service,
}

impl Host {
    /// The software-defined network. A cluster without these files has none.
    pub fn sdn(&self) -> &Fact<Sdn> {
        self.network.sdn.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                gather.take(self.cluster_files())?;
                let release = self.format_release();
                let mut objects = |path: &str, parse: fn(&str, Release) -> Parsed<Objects>| {
                    let text = gather.optional(path)?;
                    if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
                        // Upstream leaves an empty file where the last object was removed.
                        self.defaults_hold(gather, path);
                    }
                    Ok::<_, Stop>(text.map(|text| gather.parsed(path, parse(&text, release))))
                };
                let zones = objects(ZONES_CFG, sdn::zones)?;
                let vnets = objects(VNETS_CFG, sdn::vnets)?;
                let subnets = objects(SUBNETS_CFG, sdn::subnets)?;
                let applied = applied(gather)?;
                if zones.is_none() && vnets.is_none() && subnets.is_none() && applied.is_none() {
                    return Err(Stop::not_applicable("there is no software-defined network"));
                }
                let [zones, vnets, subnets] = [zones, vnets, subnets].map(Option::unwrap_or_default);
                Ok(Sdn { zones, vnets, subnets, applied })
            })
        })
    }

    /// The IPAMs and name servers that the software-defined network is told to. A missing file names none.
    pub fn sdn_services(&self) -> &Fact<Vec<OutsideService>> {
        self.network.services.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                gather.take(self.cluster_files())?;
                let mut all = Vec::new();
                for path in SERVICE_FILES {
                    let Some(text) = gather.optional(path)? else { continue };
                    let found = gather.parsed(path, sdn::services(&text, self.format_release()));
                    all.extend(found.into_iter().map(|service| OutsideService { path, service }));
                }
                Ok(all)
            })
        })
    }
}

fn applied(gather: &mut Gather<'_>) -> Result<Option<Applied>, Stop> {
    let Some(text) = gather.optional(RUNNING_CONFIG)? else { return Ok(None) };
    if text.trim().is_empty() {
        return Err(Stop::unknown(RUNNING_CONFIG, "is empty: what is applied is not known"));
    }
    let applied = sdn::applied(&text);
    if let Some(issue) = applied.issues.first() {
        return Err(Stop::unknown(RUNNING_CONFIG, issue.what.clone()));
    }
    Ok(Some(applied.value))
}
