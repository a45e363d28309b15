//! Backup jobs: which guests each of them selects, where it writes to, and why it may not run at all.
//!
//! Upstream's own list of guests without a backup (`PVE::API2::Cluster::BackupInfo`) counts disabled jobs and jobs
//! whose storage is gone. Here a guest is covered only by a job that runs and can write.

mod coverage;
mod place;
#[cfg(test)]
mod tests;

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;

use super::{Fact, Gather, Host, Stop};
use crate::formats::hosts;
use crate::formats::jobs_cfg::{self, JobsConfig};
use crate::formats::vzdump::Options;
use crate::formats::{vzdump_conf, vzdump_cron};

pub use coverage::{Coverage, Fault, Reach, Selected, Target};
pub use place::Place;

/// The jobs since Proxmox VE 7.1.
pub const JOBS_CFG: &str = "/etc/pve/jobs.cfg";

/// The jobs before that, still run by cron.
pub const VZDUMP_CRON: &str = "/etc/pve/vzdump.cron";

/// The defaults of this node.
pub const VZDUMP_CONF: &str = "/etc/vzdump.conf";

#[derive(Default)]
pub(super) struct Facts {
    registry: OnceCell<Fact<Option<JobsConfig>>>,
    jobs: OnceCell<Fact<Vec<Job>>>,
    defaults: OnceCell<Fact<Options>>,
    coverage: OnceCell<Fact<Coverage>>,
    hosts: OnceCell<Fact<Vec<hosts::Entry>>>,
    places: RefCell<BTreeMap<(Target, String), Fact<Place>>>,
}

/// A backup job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// The id; jobs of the old schedule, which have none, are numbered.
    pub id: String,
    /// The file.
    pub path: &'static str,
    /// Line in the file, counted from 1.
    pub line: u32,
    /// Whether it is switched on.
    pub enabled: bool,
    /// When it runs, in the words of its file; `None` where upstream takes no schedule from it.
    pub schedule: Option<String>,
    /// What it backs up, where to, and how.
    pub options: Options,
}

impl Host {
    /// `/etc/pve/jobs.cfg`, jobs that synchronise realms among them. `None` without the file: there are no such jobs.
    pub fn jobs(&self) -> &Fact<Option<JobsConfig>> {
        self.backup.registry.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                gather.take(self.cluster_files())?;
                let Some(text) = gather.optional(JOBS_CFG)? else { return Ok(None) };
                let release = self.release_to_read(gather);
                Ok(Some(gather.parsed(JOBS_CFG, jobs_cfg::parse(&text, release))))
            })
        })
    }

    /// The backup jobs of `/etc/pve/jobs.cfg` (also those upstream loses for want of a schedule) and of
    /// `/etc/pve/vzdump.cron`. Missing files hold no jobs.
    pub fn backup_jobs(&self) -> &Fact<Vec<Job>> {
        self.backup.jobs.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                gather.take(self.cluster_files())?;
                let mut jobs = self.jobs_of_registry(gather)?;
                jobs.extend(self.jobs_of_cron(gather)?);
                Ok(jobs)
            })
        })
    }

    fn jobs_of_registry(&self, gather: &mut Gather<'_>) -> Result<Vec<Job>, Stop> {
        let Some(found) = gather.take(self.jobs())? else { return Ok(Vec::new()) };
        let kept = found.backups.iter().cloned().map(|job| Job {
            id: job.id,
            path: JOBS_CFG,
            line: job.line,
            enabled: job.enabled,
            schedule: Some(job.schedule),
            options: job.options,
        });
        let lost = found.lost.iter().filter(|job| job.kind == "vzdump").cloned().map(|job| Job {
            id: job.id,
            path: JOBS_CFG,
            line: job.line,
            enabled: job.enabled,
            schedule: None,
            options: job.options,
        });
        let mut jobs: Vec<Job> = kept.chain(lost).collect();
        jobs.sort_by_key(|job| job.line);
        Ok(jobs)
    }

    fn jobs_of_cron(&self, gather: &mut Gather<'_>) -> Result<Vec<Job>, Stop> {
        let Some(text) = gather.optional(VZDUMP_CRON)? else { return Ok(Vec::new()) };
        let release = self.release_to_read(gather);
        let found = gather.parsed(VZDUMP_CRON, vzdump_cron::parse(&text, release));
        let job = |(number, job): (u32, vzdump_cron::CronJob)| Job {
            id: format!("vzdump.cron-{number}"),
            path: VZDUMP_CRON,
            line: job.line,
            enabled: job.enabled,
            schedule: Some(format!("{:02}:{:02}", job.hour, job.minute)),
            options: job.options,
        };
        Ok((1..).zip(found.jobs).map(job).collect())
    }

    /// `/etc/vzdump.conf`: what jobs that run on this node leave open. Without the file upstream's own defaults apply.
    pub fn backup_defaults(&self) -> &Fact<Options> {
        self.backup.defaults.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let Some(text) = gather.optional(VZDUMP_CONF)? else { return Ok(Options::default()) };
                let release = self.release_to_read(gather);
                Ok(gather.parsed(VZDUMP_CONF, vzdump_conf::parse(&text, release)))
            })
        })
    }
}
