//! Users that come from directory servers, and whether they go again.

use super::super::{Judged, Look};
use super::realms::{directory, seen};
use crate::catalogue::Severity;
use crate::formats::domains_cfg::{Directory, DomainsConfig, Realm};
use crate::formats::jobs_cfg::{JobsConfig, RealmSyncJob};
use crate::formats::section_config::Fate;
use crate::formats::user_cfg::UserCfg;
use crate::formats::user_cfg::names::split_user_id;
use crate::host::Stop;
use crate::host::access::{DOMAINS_CFG, USER_CFG, realm_of};
use crate::host::backup::JOBS_CFG;
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// The type of these jobs in jobs.cfg.
const REALM_SYNC: &str = "realm-sync";

/// `enable-new` without a setting.
const ENABLES_NEW: bool = true;

/// What must go with a user who left, so that nothing of him stays.
const LEAVES_NOTHING: [&str; 2] = ["entry", "acl"];

fn subject(id: &str) -> Subject {
    Subject::new(SubjectKind::Job, id)
}

fn at(job: &RealmSyncJob) -> Evidence {
    Evidence::at(JOBS_CFG, job.line).key(&job.id)
}

/// The users of a realm.
fn users_of<'c>(cfg: &'c UserCfg, realm: &str) -> impl Iterator<Item = &'c String> {
    cfg.users.keys().filter(move |id| split_user_id(id).is_some_and(|(_, name)| name == realm))
}

/// How many API tokens the users of a realm own. These do not ask the directory server.
fn tokens_of(cfg: &UserCfg, realm: &str) -> usize {
    users_of(cfg, realm).filter_map(|id| cfg.users.get(id)).map(|user| user.tokens.len()).sum()
}

/// The jobs that synchronise users; none without the file.
fn jobs<'h>(look: &Look<'h>) -> Result<Option<&'h JobsConfig>, Stop> {
    Ok(look.take(look.host.jobs())?.as_ref())
}

/// The jobs that are switched on and synchronise users, each with its realm.
fn running<'h>(
    look: &Look<'h>,
    realms: &'h DomainsConfig,
) -> Result<Vec<(&'h RealmSyncJob, &'h Realm, &'h Directory)>, Stop> {
    let Some(jobs) = jobs(look)? else { return Ok(Vec::new()) };
    let users = jobs.realm_syncs.iter().filter(|job| job.enabled && job.scope != "groups");
    let with_realm = users.filter_map(|job| {
        let realm = realms.realms.get(&job.realm)?;
        Some((job, realm, directory(realm)?))
    });
    Ok(with_realm.collect())
}

/// `authentication/realm-sync-keeps-leavers`
pub(crate) fn realm_sync_keeps_leavers(look: &Look<'_>) -> Judged {
    let realms = look.take(look.host.realms())?;
    let running = running(look, realms)?;
    if running.is_empty() {
        return Err(Stop::not_applicable("no job synchronises the users of a realm"));
    }
    look.each(running, |(job, ..)| subject(&job.id), |look, (job, realm, directory)| {
        let of_job = job.remove_vanished.as_ref();
        let removes = of_job.or(directory.sync.remove_vanished.as_ref());
        let removes = |what: &str| removes.is_some_and(|all| all.iter().any(|each| each == what));
        let missing: Vec<&str> = LEAVES_NOTHING.into_iter().filter(|what| !removes(what)).collect();
        let summary = match missing.as_slice() {
            [] => return Ok(Judgement::pass("removes users who left, and their rights").with(at(job))),
            ["acl"] => "removes users who left, but leaves their rights to whoever gets the name next",
            ["entry"] => "takes rights from users who left, but leaves the accounts, with groups and tokens",
            _ if directory.sync.has_old_removal => {
                "leaves accounts and rights of users who left: the realm sets full or purge, which a job ignores"
            }
            _ => "leaves accounts and rights of users who left",
        };
        let line = at(job).observed("remove-vanished without entry or acl").expected("acl;entry");
        let realm_line =
            of_job.is_none().then(|| seen(realm, "sync-defaults-options", "no full remove-vanished"));
        let cfg = look.take(look.host.access())?;
        let tokens = tokens_of(cfg, &realm.name);
        let judgement = Judgement::fail(summary).with(line).with_all(realm_line);
        Ok(weighed_by_tokens(judgement, tokens))
    })
}

/// Who left cannot log in with a password any more, but tokens go on working.
fn weighed_by_tokens(judgement: Judgement, tokens: usize) -> Judgement {
    match tokens {
        0 => judgement.severity(Severity::Low),
        tokens => {
            let summary = format!("{}; API tokens of users in the realm: {tokens}", judgement.summary);
            Judgement { summary, ..judgement }.severity(Severity::Medium)
        }
    }
}

/// `authentication/realm-never-synchronised`
pub(crate) fn realm_never_synchronised(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.access())?;
    let realms = look.take(look.host.realms())?;
    let peopled: Vec<_> = realms
        .realms
        .values()
        .filter(|realm| directory(realm).is_some())
        .map(|realm| (realm, users_of(cfg, &realm.name).count()))
        .filter(|(_, users)| *users > 0)
        .collect();
    if peopled.is_empty() {
        return Err(Stop::not_applicable("nobody is in a realm of a directory server"));
    }
    let name = |(realm, _): &(&Realm, usize)| Subject::new(SubjectKind::Realm, &realm.name);
    look.each(peopled, name, |look, (realm, users)| {
        if let Some((job, ..)) = running(look, realms)?.iter().find(|(job, ..)| job.realm == realm.name) {
            return Ok(Judgement::pass(format!("the job {} synchronises its users", job.id)).with(at(job)));
        }
        // A job that was not understood may be the one.
        look.host.jobs().complete()?;
        let users = if *users == 1 {
            "the user of it here".to_owned()
        } else {
            format!("the {users} users of it here")
        };
        let summary = format!("no job synchronises {users}, so that nobody who leaves is removed");
        let line =
            Evidence { line: realm.line, ..Evidence::of(DOMAINS_CFG) }.key("realm").observed(&realm.name);
        let first = users_of(cfg, &realm.name).find_map(|id| cfg.users.get(id)?.line);
        let user = first.map(|line| Evidence::at(USER_CFG, line).key("user"));
        Ok(weighed_by_tokens(Judgement::fail(summary).with(line).with_all(user), tokens_of(cfg, &realm.name)))
    })
}

/// A job that synchronises a realm and stands in the file, whether it can run or not.
enum Found<'h> {
    Kept(&'h RealmSyncJob),
    Lost(&'h str, u32, &'h Fate),
}

/// `authentication/realm-sync-never-runs`
pub(crate) fn realm_sync_never_runs(look: &Look<'_>) -> Judged {
    let Some(all) = jobs(look)? else { return Err(Stop::not_applicable("there are no jobs")) };
    let kept = all.realm_syncs.iter().filter(|job| job.enabled).map(Found::Kept);
    let lost = all.lost.iter().filter(|job| job.kind == REALM_SYNC && job.enabled);
    let lost = lost.map(|job| Found::Lost(&job.id, job.line, &job.fate));
    let found: Vec<Found<'_>> = kept.chain(lost).collect();
    if found.is_empty() {
        return Err(Stop::not_applicable("no job synchronises a realm"));
    }
    let name = |found: &Found<'_>| match found {
        Found::Kept(job) => subject(&job.id),
        Found::Lost(id, ..) => subject(id),
    };
    look.each(found, name, |look, found| {
        let job = match found {
            Found::Kept(job) => job,
            Found::Lost(id, line, fate) => {
                let why = match fate {
                    Fate::Missing(key) => format!("{key} is missing or malformed"),
                    _ => "this release does not know such jobs".to_owned(),
                };
                let line = Evidence::at(JOBS_CFG, *line).key(*id);
                return Ok(Judgement::fail(format!("never runs: {why}")).with(line));
            }
        };
        let fact = look.host.realms();
        let why = match realm_of(look.take(fact)?, &job.realm)? {
            Some(realm) if directory(realm).is_some() => {
                return Ok(Judgement::pass(format!("synchronises the realm {}", job.realm)).with(at(job)));
            }
            Some(_) => format!("the realm {} asks no directory server", job.realm),
            None => format!("there is no realm {}", job.realm),
        };
        fact.complete()?;
        Ok(Judgement::fail(format!("fails whenever it runs: {why}")).with(at(job).observed("realm")))
    })
}

/// `authentication/realm-sync-enables-everybody`
pub(crate) fn realm_sync_enables_everybody(look: &Look<'_>) -> Judged {
    let realms = look.take(look.host.realms())?;
    let running = running(look, realms)?;
    if running.is_empty() {
        return Err(Stop::not_applicable("no job synchronises the users of a realm"));
    }
    look.each(
        running,
        |(job, ..)| subject(&job.id),
        |_, (job, realm, directory)| {
            let enables = job.enables_new.or(directory.sync.enables_new).unwrap_or(ENABLES_NEW);
            if !enables {
                return Ok(Judgement::pass("new users come disabled").with(at(job)));
            }
            let line = at(job).observed("enable-new 1").expected("enable-new 0");
            let default = (job.enables_new.is_none() && directory.sync.enables_new.is_some())
                .then(|| seen(realm, "sync-defaults-options", "enable-new=1"));
            let summary = "everybody the directory server lists becomes an enabled user";
            Ok(Judgement::fail(summary).with(line).with_all(default))
        },
    )
}
