//! Which guests which jobs back up, and which jobs cannot.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use jiff::tz::Offset;

use super::{Job, VZDUMP_CONF};
use crate::formats::calendar_event;
use crate::formats::section_config::Fate;
use crate::formats::storage_cfg::StorageConfig;
use crate::formats::user_cfg::UserCfg;
use crate::formats::vzdump::{DEFAULT_STORAGE, Options};
use crate::host::guests::Guests;
use crate::host::{Fact, Gather, Host, Stop};

/// The jobs and what they reach.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    /// Every job, in the order of the files.
    pub jobs: Vec<Job>,
    /// What is wrong with each job as a whole, in the same order.
    pub faults: Vec<Vec<Fault>>,
    /// By VMID the jobs that select the guest.
    pub guests: BTreeMap<u32, Vec<Selected>>,
}

/// A job that selects a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// The place of the job in [`Coverage::jobs`].
    pub job: usize,
    /// What becomes of it.
    pub reach: Reach,
}

/// What becomes of a guest a job selects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// It is written here.
    Covered(Target),
    /// The job is switched off.
    Off,
    /// The job cannot do it, and why.
    Broken(String),
    /// It cannot be told, and why.
    Unknown(String),
}

/// Where a backup goes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// To a storage.
    Storage(String),
    /// To a folder of the node.
    Folder(String),
}

/// What is wrong with a job as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It never ends well, and why.
    Fails(String),
    /// It names guests that do not exist, so that each run ends with an error.
    Orphans(Vec<u32>),
    /// Whether it works cannot be told, and why.
    Unknown(String),
}

impl Coverage {
    /// The jobs that select a guest.
    pub fn of(&self, vmid: u32) -> &[Selected] {
        self.guests.get(&vmid).map(Vec::as_slice).unwrap_or_default()
    }

    /// A job by its place.
    pub fn job(&self, selected: &Selected) -> Option<&Job> {
        self.jobs.get(selected.job)
    }

    /// Where a guest is written to.
    pub fn targets(&self, vmid: u32) -> impl Iterator<Item = (&Job, &Target)> {
        self.of(vmid).iter().filter_map(|selected| match &selected.reach {
            Reach::Covered(target) => Some((self.job(selected)?, target)),
            _ => None,
        })
    }
}

impl Host {
    /// What every backup job reaches: jobs, storages, guests and, where a job selects by pool, the pools.
    pub fn backup_coverage(&self) -> &Fact<Coverage> {
        self.backup.coverage.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let jobs = gather.take(self.backup_jobs())?;
                let guests = gather.take(self.guests())?;
                let sight = Sight {
                    storages: gather.take(self.storage())?,
                    pools: self.pools(gather, jobs),
                    guests,
                    nodes: self.node_names(guests),
                    local: self.node_name(),
                    defaults: self.defaults_if_needed(gather, jobs),
                    first_day: self
                        .clock
                        .get()
                        .and_then(|now| Offset::UTC.to_datetime(*now).date().yesterday().ok()),
                };
                Ok(sight.coverage(jobs))
            })
        })
    }

    /// The pools, if a job selects by one.
    fn pools(&self, gather: &mut Gather<'_>, jobs: &[Job]) -> Result<Option<&UserCfg>, Stop> {
        if jobs.iter().all(|job| job.options.pool.is_none()) {
            return Ok(None);
        }
        gather.take(self.access()).map(Some)
    }

    /// The defaults of this node, if a job leaves its target open.
    fn defaults_if_needed(&self, gather: &mut Gather<'_>, jobs: &[Job]) -> Result<Options, Stop> {
        if jobs.iter().all(|job| job.options.storage.is_some() || job.options.dump_folder.is_some()) {
            return Ok(Options::default());
        }
        gather.take(self.backup_defaults()).cloned()
    }

    fn node_names(&self, guests: &Guests) -> BTreeSet<String> {
        let nodes = self.cluster().map(|cluster| cluster.nodes).unwrap_or_default();
        nodes
            .into_iter()
            .chain(guests.all.iter().map(|guest| guest.node.clone()))
            .chain(self.node_name())
            .collect()
    }
}

/// Everything a job is held against.
struct Sight<'h> {
    storages: &'h StorageConfig,
    pools: Result<Option<&'h UserCfg>, Stop>,
    guests: &'h Guests,
    nodes: BTreeSet<String>,
    local: Option<String>,
    defaults: Result<Options, Stop>,
    /// The first day a job may still run at, whatever the time zone.
    first_day: Option<Date>,
}

/// The guests of a job, by what it selects with.
enum Selection {
    These(BTreeSet<u32>),
    All { except: BTreeSet<u32> },
    Unknown(String),
}

impl Sight<'_> {
    fn coverage(&self, jobs: &[Job]) -> Coverage {
        let mut coverage = Coverage { jobs: jobs.to_vec(), ..Coverage::default() };
        for (at, job) in jobs.iter().enumerate() {
            let mut faults = self.faults(job);
            let reached = self.reach(job, &faults);
            let broken: BTreeSet<&String> = reached
                .iter()
                .filter_map(|(_, reach)| match reach {
                    Reach::Broken(why) => Some(why),
                    _ => None,
                })
                .collect();
            if !faults.iter().any(|fault| matches!(fault, Fault::Fails(_))) {
                faults.extend(broken.into_iter().cloned().map(Fault::Fails));
            }
            coverage.faults.push(faults);
            for (vmid, reach) in reached {
                coverage.guests.entry(vmid).or_default().push(Selected { job: at, reach });
            }
        }
        coverage
    }

    fn selection(&self, options: &Options) -> Selection {
        let set = |list: &Option<Vec<u32>>| list.iter().flatten().copied().collect::<BTreeSet<u32>>();
        // The order is upstream's; it leaves out `exclude` for pools and does not look into nested pools.
        if let Some(name) = &options.pool {
            return match &self.pools {
                Ok(cfg) => {
                    let pool = cfg.and_then(|cfg| cfg.pools.get(name));
                    let members = pool.iter().flat_map(|pool| pool.vms.iter());
                    Selection::These(members.filter_map(|vmid| u32::try_from(*vmid).ok()).collect())
                }
                Err(stop) => Selection::Unknown(why(stop)),
            };
        }
        if options.guests.is_some() {
            return Selection::These(set(&options.guests));
        }
        if options.all == Some(true) || options.exclude.is_some() {
            return Selection::All { except: set(&options.exclude) };
        }
        Selection::These(BTreeSet::new())
    }

    /// What keeps the job from running or from ending well, whichever guest is looked at.
    fn faults(&self, job: &Job) -> Vec<Fault> {
        let Options { all, guests, exclude, pool, node, storage, dump_folder, .. } = &job.options;
        let fails = |why: &str| vec![Fault::Fails(why.to_owned())];
        if job.schedule.is_none() {
            return fails("it has no schedule upstream understands, so upstream loses it");
        }
        if let (Some(schedule), Some(first)) = (&job.schedule, self.first_day)
            && calendar_event::is_over(schedule, first)
        {
            return fails("its schedule names no date that is still to come");
        }
        if guests.is_some() && (*all == Some(true) || exclude.is_some() || pool.is_some()) {
            return fails(
                "it names guests and also `all`, `exclude` or `pool`, which upstream refuses when it runs",
            );
        }
        if storage.is_some() && dump_folder.is_some() {
            return fails("it names a storage and a folder, which upstream refuses when it runs");
        }
        if node.as_ref().is_some_and(|node| !self.nodes.contains(node)) {
            return fails("it is for a node that is none of the cluster");
        }
        let empty = || guests.as_ref().is_none_or(Vec::is_empty);
        if pool.is_none() && empty() && *all != Some(true) && exclude.is_none() {
            return fails("it selects no guest");
        }
        if let (Some(pool), Ok(Some(cfg))) = (pool, &self.pools)
            && !cfg.pools.contains_key(pool)
        {
            return fails("its pool does not exist");
        }
        if let Selection::Unknown(why) = self.selection(&job.options) {
            return vec![Fault::Unknown(why)];
        }
        self.target_faults(job).into_iter().chain(self.orphans(job)).collect()
    }

    /// Guests that are named and do not exist. Upstream passes over members of a pool that are gone.
    fn orphans(&self, job: &Job) -> Option<Fault> {
        let known: BTreeSet<u32> = self.guests.all.iter().map(|guest| guest.vmid).collect();
        let named: BTreeSet<u32> = job.options.guests.iter().flatten().copied().collect();
        let orphans: Vec<u32> = named.difference(&known).copied().collect();
        if orphans.is_empty() {
            None
        } else if orphans.len() == named.len() {
            Some(Fault::Fails("none of its guests exists".to_owned()))
        } else {
            Some(Fault::Orphans(orphans))
        }
    }

    /// What is wrong with the target wherever the job runs.
    fn target_faults(&self, job: &Job) -> Option<Fault> {
        let storage = job.options.storage.as_deref()?;
        match self.storage_reach(storage, None) {
            Reach::Broken(why) => Some(Fault::Fails(why)),
            Reach::Unknown(why) => Some(Fault::Unknown(why)),
            Reach::Covered(_) | Reach::Off => None,
        }
    }

    fn reach(&self, job: &Job, faults: &[Fault]) -> Vec<(u32, Reach)> {
        let selection = self.selection(&job.options);
        let on_node = |node: &str| job.options.node.as_ref().is_none_or(|only| only == node);
        let mut reached = Vec::new();
        for guest in self.guests.all.iter().filter(|guest| on_node(&guest.node)) {
            let doubt = match &selection {
                Selection::These(these) if these.contains(&guest.vmid) => None,
                Selection::All { except } if !except.contains(&guest.vmid) => None,
                Selection::Unknown(why) => Some(why),
                _ => continue,
            };
            reached.push((guest.vmid, self.reach_of_guest(job, faults, doubt, &guest.node)));
        }
        reached
    }

    fn reach_of_guest(&self, job: &Job, faults: &[Fault], doubt: Option<&String>, node: &str) -> Reach {
        let fails = faults.iter().find_map(|fault| match fault {
            Fault::Fails(why) => Some(why),
            Fault::Orphans(_) | Fault::Unknown(_) => None,
        });
        match (fails, doubt) {
            _ if !job.enabled => Reach::Off,
            (Some(why), _) => Reach::Broken(why.clone()),
            (None, Some(why)) => Reach::Unknown(why.clone()),
            (None, None) => self.target(&job.options, node),
        }
    }

    /// Where a job writes to on a node.
    fn target(&self, options: &Options, node: &str) -> Reach {
        if let Some(storage) = &options.storage {
            return self.storage_reach(storage, Some(node));
        }
        if let Some(folder) = &options.dump_folder {
            return Reach::Covered(Target::Folder(folder.clone()));
        }
        if self.local.as_deref() != Some(node) {
            return Reach::Unknown(format!("it names no storage, and {VZDUMP_CONF} of {node} was not read"));
        }
        match &self.defaults {
            Ok(Options { storage: Some(storage), .. }) => self.storage_reach(storage, Some(node)),
            Ok(Options { dump_folder: Some(folder), .. }) => Reach::Covered(Target::Folder(folder.clone())),
            Ok(_) => self.storage_reach(DEFAULT_STORAGE, Some(node)),
            Err(stop) => Reach::Unknown(why(stop)),
        }
    }

    /// Whether upstream can write a backup to the storage, on `node` if one is given.
    fn storage_reach(&self, id: &str, node: Option<&str>) -> Reach {
        let Some(storage) = self.storages.storages.get(id) else {
            let lost = self.storages.lost.iter().find(|lost| lost.id == id);
            return match lost.map(|lost| &lost.fate) {
                Some(Fate::UnknownType) => {
                    Reach::Unknown(format!("storage {id} is of a type only its own plugin knows"))
                }
                Some(_) => Reach::Broken(format!("upstream loses storage {id}")),
                None => Reach::Broken(format!("storage {id} does not exist")),
            };
        };
        if storage.disabled {
            Reach::Broken(format!("storage {id} is disabled"))
        } else if !storage.holds("backup") {
            Reach::Broken(format!("storage {id} does not hold backups"))
        } else if node.is_some_and(|node| !storage.is_on(node)) {
            Reach::Broken(format!("storage {id} is not on node {}", node.unwrap_or_default()))
        } else {
            Reach::Covered(Target::Storage(id.to_owned()))
        }
    }
}

fn why(stop: &Stop) -> String {
    match stop {
        Stop::Unknown(doubt) => doubt.to_string(),
        Stop::NotApplicable(why) => why.clone(),
    }
}
