//! Checks of backup jobs: which guests they miss, and whether they can work.

use super::{Judged, Look};
use crate::catalogue::schema::Severity;
use crate::formats::guest::Source;
use crate::host::Stop;
use crate::host::backup::{Coverage, Fault, JOBS_CFG, Job, Place, Reach, Selected, Target};
use crate::host::guests::{Guest, GuestConfig};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

fn at(job: &Job) -> Evidence {
    Evidence::at(job.path, job.line).key(&job.id)
}

fn target_in_words(target: &Target) -> String {
    match target {
        Target::Storage(id) => format!("storage {id}"),
        Target::Folder(path) => format!("folder {path}"),
    }
}

pub(crate) fn guest_not_backed_up(look: &Look<'_>) -> Judged {
    let coverage = look.take(look.host.backup_coverage())?;
    let guests = look.take(look.host.guests())?;
    look.each(
        &guests.all,
        |guest| guest.subject(),
        |look, guest| {
            if let Some((job, target)) = coverage.targets(guest.vmid).next() {
                return Ok(Judgement::pass(format!(
                    "job {} writes it to {}",
                    job.id,
                    target_in_words(target)
                ))
                .with(at(job)));
            }
            let config = look.take(&guest.config)?;
            if guest.is_template() && !look.flag("templates") {
                return Err(Stop::not_applicable("a template, which holds no data of its own"));
            }
            if let Some(tag) = tags(config).into_iter().find(|tag| look.list("except_tags").contains(tag)) {
                return Err(Stop::not_applicable(format!("it needs no backup, by its tag {tag}")));
            }
            Ok(uncovered(coverage, guest))
        },
    )
}

fn tags(config: &GuestConfig) -> Vec<String> {
    let tags = match config {
        GuestConfig::Vm(config) => config.current.tags(),
        GuestConfig::Container(config) => config.current.tags(),
    };
    tags.into_iter().map(|tag| tag.value).collect()
}

/// A guest that no job is known to write anywhere.
fn uncovered(coverage: &Coverage, guest: &Guest) -> Judgement {
    let selected = coverage.of(guest.vmid);
    let doubtful = selected.iter().find_map(|each| match &each.reach {
        Reach::Unknown(why) => Some((coverage.job(each)?, why)),
        _ => None,
    });
    if let Some((job, why)) = doubtful {
        return Judgement::unknown(format!("whether job {} writes it is not known: {why}", job.id))
            .with(at(job));
    }
    let evidence = selected.iter().filter_map(|each| coverage.job(each)).map(at);
    if selected.is_empty() {
        return Judgement::fail("no backup job selects it")
            .with(Evidence::of(JOBS_CFG).expected("a job that selects it"));
    }
    let reasons: Vec<String> = selected.iter().filter_map(|each| reason(coverage, each)).collect();
    Judgement::fail(format!("only jobs that do not work select it: {}", reasons.join("; ")))
        .with_all(evidence)
}

fn reason(coverage: &Coverage, selected: &Selected) -> Option<String> {
    let id = &coverage.job(selected)?.id;
    match &selected.reach {
        Reach::Off => Some(format!("{id} is switched off")),
        Reach::Broken(why) => Some(format!("{id} cannot run, {why}")),
        Reach::Covered(_) | Reach::Unknown(_) => None,
    }
}

pub(crate) fn job_broken(look: &Look<'_>) -> Judged {
    let coverage = look.take(look.host.backup_coverage())?;
    let jobs = coverage.jobs.iter().zip(&coverage.faults).filter(|(job, _)| job.enabled);
    look.each(
        jobs,
        |(job, _)| Subject::new(SubjectKind::Job, &job.id),
        |_, (job, faults)| {
            let fails: Vec<&str> = faults
                .iter()
                .filter_map(|fault| match fault {
                    Fault::Fails(why) => Some(why.as_str()),
                    _ => None,
                })
                .collect();
            if !fails.is_empty() {
                return Ok(
                    Judgement::fail(format!("the job does not work: {}", fails.join("; "))).with(at(job))
                );
            }
            let other = faults.iter().find_map(|fault| match fault {
                Fault::Orphans(vmids) => Some(orphans(vmids)),
                Fault::Unknown(why) => {
                    Some(Judgement::unknown(format!("whether the job works is not known: {why}")))
                }
                Fault::Fails(_) => None,
            });
            let schedule = job.schedule.as_deref().unwrap_or_default();
            Ok(other
                .unwrap_or_else(|| Judgement::pass(format!("the job can run ({schedule})")))
                .with(at(job)))
        },
    )
}

fn orphans(vmids: &[u32]) -> Judgement {
    let names: Vec<String> = vmids.iter().map(u32::to_string).collect();
    let summary = format!("every run ends with an error, for there is no guest {}", names.join(", "));
    Judgement::fail(summary).severity(Severity::Low)
}

pub(crate) fn no_job(look: &Look<'_>) -> Judged {
    let coverage = look.take(look.host.backup_coverage())?;
    let guests = look.take(look.host.guests())?;
    if guests.all.is_empty() {
        return Err(Stop::not_applicable("there are no guests"));
    }
    let working = |vmid: u32| coverage.targets(vmid).next().map(|(job, _)| job);
    let judgement = if let Some(job) = guests.all.iter().find_map(|guest| working(guest.vmid)) {
        Judgement::pass(format!("job {} backs up guests", job.id)).with(at(job))
    } else if coverage.guests.values().flatten().any(|each| matches!(each.reach, Reach::Unknown(_))) {
        Judgement::unknown("whether any backup job works is not known")
    } else if coverage.jobs.is_empty() {
        let missing = Evidence::of(JOBS_CFG).observed("no backup job").expected("a job");
        Judgement::fail(format!("there are {} guests and no backup job", guests.all.len())).with(missing)
    } else {
        Judgement::fail(format!(
            "there are {} guests, and no backup job backs up any of them",
            guests.all.len()
        ))
        .with_all(coverage.jobs.iter().map(at))
    };
    look.one(Subject::cluster(), judgement)
}

pub(crate) fn volume_excluded(look: &Look<'_>) -> Judged {
    let coverage = look.take(look.host.backup_coverage())?;
    let guests = look.take(look.host.guests())?;
    let covered = guests.all.iter().filter(|guest| coverage.targets(guest.vmid).next().is_some());
    look.each(
        covered,
        |guest| guest.subject(),
        |look, guest| {
            let left_out = left_out(look.take(&guest.config)?);
            let names: Vec<&str> = left_out.iter().map(|(option, ..)| option.as_str()).collect();
            let evidence = left_out.iter().map(|(option, line, why)| {
                Evidence::at(&guest.path, *line).key(option).observed(*why).expected("backup=1")
            });
            Ok(Judgement::fail_if(
                !names.is_empty(),
                format!("its backups lack {}", names.join(", ")),
                "its backups hold every volume",
            )
            .with_all(evidence))
        },
    )
}

/// The volumes of a guest that none of its backups holds, and why.
fn left_out(config: &GuestConfig) -> Vec<(String, u32, &'static str)> {
    match config {
        GuestConfig::Vm(config) => {
            // An EFI disk without UEFI and an unused disk are no part of the machine; a drive holds no data of its own.
            let is_part = |option: &str| !option.starts_with("unused") && !option.starts_with("efidisk");
            let disks = config.current.disks().into_iter();
            disks
                .filter(|disk| !disk.cdrom && !disk.in_backup && is_part(&disk.option))
                .map(|disk| (disk.option, disk.line, "backup=0"))
                .collect()
        }
        GuestConfig::Container(config) => {
            let mounts = config.current.mount_points().into_iter();
            mounts
                .filter(|mount| !mount.in_backup && matches!(mount.source, Source::Volume { .. }))
                .map(|mount| (mount.option, mount.line, "backup is not set, which leaves the volume out"))
                .collect()
        }
    }
}

pub(crate) fn only_on_this_node(look: &Look<'_>) -> Judged {
    let coverage = look.take(look.host.backup_coverage())?;
    let guests = look.take(look.host.guests())?;
    let covered = guests.all.iter().filter(|guest| coverage.targets(guest.vmid).next().is_some());
    look.each(
        covered,
        |guest| guest.subject(),
        |look, guest| {
            let mut same = Vec::new();
            let mut unknown = None;
            for (job, target) in coverage.targets(guest.vmid) {
                let place = look.host.backup_place(target, &guest.node);
                match place.value? {
                    Place::Elsewhere(why) if place.doubts.is_empty() => {
                        return Ok(Judgement::pass(why).with(at(job)));
                    }
                    Place::Elsewhere(why) | Place::Unknown(why) => unknown = Some((why, job)),
                    Place::SameNode(why) => same.push((why, job)),
                }
            }
            if let Some((why, job)) = unknown {
                return Ok(
                    Judgement::unknown(format!("where its backups lie is not known: {why}")).with(at(job))
                );
            }
            let evidence = same.iter().map(|(_, job)| at(job));
            let mut reasons: Vec<&str> = same.iter().map(|(why, _)| why.as_str()).collect();
            reasons.sort_unstable();
            reasons.dedup();
            Ok(Judgement::fail(format!("its backups die with the node: {}", reasons.join("; ")))
                .with_all(evidence))
        },
    )
}
