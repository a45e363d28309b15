//! Checks of encryption at rest: guest disks, swap space, keys, backups on a backup server.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::storage::{enabled, evidence, subject};
use super::{Judged, Look};
use crate::catalogue::schema::Severity;
use crate::formats::crypttab::{Entry, Key};
use crate::formats::fstab;
use crate::formats::proc_swaps::Swap;
use crate::host::encryption::{AtRest, CRYPTTAB, Class, SWAPS};
use crate::host::storage::{GuestVolume, SECRETS, STORAGE_CFG, Secret};
use crate::host::system::mounts::FSTAB;
use crate::host::{Fact, Stop};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// How many volumes are named as evidence.
const VOLUMES_SHOWN: usize = 3;

/// The judgement on data at rest: what is on another machine or cannot be told is unknown.
fn judgement(what: &str, at_rest: &AtRest) -> Judgement {
    let summary = format!("{what} {at_rest}");
    match at_rest.class {
        Class::NotEncrypted | Class::Partial => Judgement::fail(summary),
        Class::Encrypted | Class::EncryptedHardware => Judgement::pass(summary),
        Class::RemoteUnverified | Class::Unknown(_) => Judgement::unknown(summary),
    }
}

fn severity(look: &Look<'_>, otherwise: Severity) -> Severity {
    if look.flag("required") { Severity::Medium } else { otherwise }
}

pub(crate) fn guest_disks_in_clear(look: &Look<'_>) -> Judged {
    let config = look.take(look.host.storage())?;
    let volumes = look.take(look.host.guest_volumes())?;
    let node = look.host.node_name();
    let is_here = |volume: &&GuestVolume| node.as_ref().is_none_or(|node| *node == volume.node);
    let mut by_storage: BTreeMap<&str, Vec<&GuestVolume>> = BTreeMap::new();
    for volume in volumes.iter().filter(is_here) {
        by_storage.entry(volume.storage.as_str()).or_default().push(volume);
    }
    look.each(
        by_storage,
        |(id, _)| Subject::new(SubjectKind::Storage, *id),
        |look, (id, volumes)| {
            let guests: BTreeSet<u32> = volumes.iter().map(|volume| volume.vmid).collect();
            let shown = volumes.iter().take(VOLUMES_SHOWN).map(|volume| {
                Evidence::at(&volume.path, volume.line)
                    .key(&volume.option)
                    .observed(format!("{id}:{}", volume.volume))
            });
            let Some(storage) = config.storages.get(*id) else {
                return Err(Stop::unknown(
                    STORAGE_CFG,
                    format!("has no storage {id} although guests use it"),
                ));
            };
            let at_rest = look.own(look.host.at_rest(storage))?;
            let judged = judgement(&format!("the data of {}", guests_in_words(&guests)), &at_rest);
            let seen = evidence(storage, "type").observed(&storage.kind);
            Ok(judged.severity(severity(look, Severity::Info)).with(seen).with_all(shown))
        },
    )
}

fn guests_in_words(guests: &BTreeSet<u32>) -> String {
    match guests.first() {
        Some(only) if guests.len() == 1 => format!("guest {only}"),
        _ => format!("{} guests", guests.len()),
    }
}

pub(crate) fn swap_in_clear(look: &Look<'_>) -> Judged {
    let swaps: Vec<(String, Evidence)> = if let Some(swaps) = look.take(look.host.swaps())? {
        let swap = |swap: &Swap| (swap.path.clone(), Evidence::at(SWAPS, swap.line).observed(&swap.path));
        swaps.iter().map(swap).collect()
    } else {
        let planned = look.take(look.host.fstab())?.iter().filter(|entry| entry.is_swap());
        let swap = |entry: &fstab::Entry| {
            (entry.source.clone(), Evidence::at(FSTAB, entry.line).observed(&entry.source))
        };
        planned.map(swap).collect()
    };
    if swaps.is_empty() {
        return Err(Stop::not_applicable("there is no swap space"));
    }
    let name = |(path, _): &(String, Evidence)| Subject::new(SubjectKind::File, look.host.device_name(path));
    look.each(swaps, name, |look, (path, seen)| {
        if path.starts_with("/dev/zram") {
            return Ok(Judgement::pass("it is compressed memory and never leaves it").with(seen.clone()));
        }
        let is_device = path.starts_with("/dev/") || path.contains('=');
        let at_rest =
            if is_device { look.host.device_at_rest(path) } else { look.own(look.host.path_at_rest(path))? };
        Ok(judgement("what is swapped out", &at_rest)
            .severity(severity(look, Severity::Low))
            .with(seen.clone()))
    })
}

pub(crate) fn key_on_plain_disk(look: &Look<'_>) -> Judged {
    let entries = look.take(look.host.crypttab())?;
    if entries.is_empty() {
        return Err(Stop::not_applicable("nothing is decrypted at boot"));
    }
    look.each(
        entries,
        |entry| Subject::new(SubjectKind::Setting, &entry.name),
        |look, entry| {
            let at = Evidence::at(CRYPTTAB, entry.line).key(&entry.name);
            let judged = match &entry.key {
                Key::Prompt => Judgement::pass("the key is asked for, or kept by a token"),
                Key::Random => Judgement::pass("the key is made anew at every boot"),
                Key::File(file) if is_followed(entry, file) => {
                    key_file(look, file)?.with(at.clone().observed(file))
                }
                // What a script is given may be the passphrase itself: it is not shown.
                Key::File(_) => Judgement::unknown(
                    "the key comes from a script or another device, which this reading does not follow",
                )
                .with(at.clone()),
            };
            Ok(judged)
        },
    )
}

/// Whether the third field names a file of this host: a script takes anything in it, and `PATH:DEVICE` is elsewhere.
fn is_followed(entry: &Entry, file: &str) -> bool {
    !entry.has("keyscript") && file.starts_with('/') && !file.starts_with("/dev/") && !file.contains(':')
}

fn key_file(look: &Look<'_>, file: &str) -> Result<Judgement, Stop> {
    let at_rest = look.own(look.host.path_at_rest(file))?;
    Ok(judgement(&format!("the key file {file}"), &at_rest))
}

/// Whether the server is reached over a network nobody controls, as far as its address tells.
fn is_public(server: &str) -> bool {
    match server.trim_matches(['[', ']']).parse() {
        Ok(IpAddr::V4(address)) => {
            !(address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_documentation())
        }
        Ok(IpAddr::V6(address)) => {
            !(address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local())
        }
        Err(_) => false,
    }
}

/// What is known about the keys of a backup server's storage.
struct Keys {
    encryption: bool,
    master: bool,
}

fn keys(look: &Look<'_>, storage: &str) -> Result<Keys, Stop> {
    let fact: &Fact<_> = look.host.storage_secrets();
    let secrets = look.take(fact)?;
    Ok(Keys {
        encryption: secrets.has(storage, Secret::EncryptionKey),
        master: secrets.has(storage, Secret::MasterKey),
    })
}

fn no_file(storage: &str, secret: Secret) -> Evidence {
    Evidence::of(SECRETS).observed("no such file").expected(secret.path(storage))
}

/// The storage names a key that is not there: upstream refuses to write to it at all.
const NOTHING_WRITTEN: &str = "nothing is written, because the key the storage names is missing";

pub(crate) fn pbs_backups_in_clear(look: &Look<'_>) -> Judged {
    let config = look.take(look.host.storage())?;
    let targets = enabled(config, "pbs").filter(|storage| storage.holds("backup"));
    look.each(
        targets,
        |storage| subject(storage),
        |look, storage| {
            if keys(look, &storage.id)?.encryption {
                let path = Secret::EncryptionKey.path(&storage.id);
                return Ok(Judgement::pass(format!(
                    "backups are encrypted before they leave the node ({path} exists)"
                )));
            }
            if storage.marks_encryption {
                return Err(Stop::not_applicable(NOTHING_WRITTEN));
            }
            let server = storage.text("server").unwrap_or_default();
            let severity = if is_public(server) { Severity::Medium } else { Severity::Low };
            Ok(Judgement::fail(format!("whoever runs {server} or takes its disks can read every backup"))
                .severity(severity)
                .with(no_file(&storage.id, Secret::EncryptionKey))
                .with(evidence(storage, "server").observed(server)))
        },
    )
}

pub(crate) fn pbs_master_key_without_effect(look: &Look<'_>) -> Judged {
    let config = look.take(look.host.storage())?;
    look.each(
        enabled(config, "pbs"),
        |storage| subject(storage),
        |look, storage| {
            let keys = keys(look, &storage.id)?;
            if !keys.master && !storage.marks_master_key {
                return Err(Stop::not_applicable("there is no master key"));
            }
            if keys.encryption {
                return Ok(Judgement::pass(
                    "the key of each backup is kept with it, wrapped with the master key",
                ));
            }
            if storage.marks_encryption {
                return Err(Stop::not_applicable(NOTHING_WRITTEN));
            }
            Ok(Judgement::fail(
                "there is a master key but no encryption key, so backups are written in clear",
            )
            .with(no_file(&storage.id, Secret::EncryptionKey))
            .with(evidence(storage, "master-pubkey").observed("a master key is set")))
        },
    )
}

pub(crate) fn pbs_key_missing(look: &Look<'_>) -> Judged {
    let config = look.take(look.host.storage())?;
    let marked = enabled(config, "pbs").filter(|storage| storage.marks_encryption);
    look.each(
        marked,
        |storage| subject(storage),
        |look, storage| {
            let seen = evidence(storage, "encryption-key").observed("a key is set");
            if keys(look, &storage.id)?.encryption {
                return Ok(Judgement::pass("the key is there").with(seen));
            }
            Ok(Judgement::fail(
                "the storage names an encryption key and there is none, so every backup to it fails",
            )
            .with(seen)
            .with(no_file(&storage.id, Secret::EncryptionKey)))
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::crypttab;

    #[test]
    fn what_a_key_script_is_given_is_not_taken_for_a_path_to_show() {
        let text = "a /dev/sda1 HUNTER luks,keyscript=/bin/echo\nb /dev/sda2 /x luks,keyscript=s\n\
                    c /dev/sda3 HUNTER luks\nd /dev/sda4 /k:HUNTER luks\ne /dev/sda5 /root/k luks\n";
        let entries = crypttab::parse(text).value;
        let followed =
            entries.iter().filter(|entry| matches!(&entry.key, Key::File(file) if is_followed(entry, file)));
        assert_eq!(followed.map(|entry| entry.name.as_str()).collect::<Vec<_>>(), ["e"]);
    }
}
