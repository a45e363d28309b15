//! Checks of the storages of the cluster.

use std::collections::{BTreeMap, BTreeSet};

use super::{Judged, Look};
use crate::catalogue::schema::Severity;
use crate::formats::mount_options::SECRET_OPTIONS;
use crate::formats::section_config::Fate;
use crate::formats::storage_cfg::{Ignored, InlineSecret, Storage, StorageConfig};
use crate::host::storage::{SECRETS, STORAGE_CFG, Secret};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// Content whose theft or change is more than an annoyance: guests, their backups, scripts that run as root.
const PRECIOUS: [&str; 4] = ["backup", "images", "rootdir", "snippets"];

/// The storages of a type that are switched on.
pub(super) fn enabled<'c>(config: &'c StorageConfig, kind: &'c str) -> impl Iterator<Item = &'c Storage> {
    config.storages.values().filter(move |storage| storage.kind == kind && !storage.disabled)
}

pub(super) fn subject(storage: &Storage) -> Subject {
    Subject::new(SubjectKind::Storage, &storage.id)
}

/// The place of a property of a storage, or of the storage if it does not say.
pub(super) fn evidence(storage: &Storage, property: &str) -> Evidence {
    let line = storage.line_of(property).or(storage.line);
    let at = line.map_or_else(|| Evidence::of(STORAGE_CFG), |line| Evidence::at(STORAGE_CFG, line));
    at.key(property)
}

/// The value of the last mount option of this name, empty for a bare one.
fn mount_option<'s>(storage: &'s Storage, name: &str) -> Option<&'s str> {
    storage.mount_options.iter().rev().find_map(|option| {
        let (found, value) = option.split_once('=').unwrap_or((option, ""));
        found.eq_ignore_ascii_case(name).then_some(value)
    })
}

/// The Kerberos flavour of a mount: `krb5`, `krb5i` or `krb5p`.
fn kerberos(storage: &Storage) -> Option<&str> {
    mount_option(storage, "sec")
        .filter(|sec| ["krb5", "krb5i", "krb5p"].contains(&sec.to_ascii_lowercase().as_str()))
}

fn security(storage: &Storage, default: &str) -> String {
    mount_option(storage, "sec")
        .map_or_else(|| format!("sec is not set, which is {default}"), |sec| format!("sec={sec}"))
}

pub(crate) fn nfs_without_kerberos(look: &Look<'_>) -> Judged {
    let config = look.take(look.host.storage())?;
    look.each(
        enabled(config, "nfs"),
        |storage| subject(storage),
        |_, storage| {
            if let Some(flavour) = kerberos(storage) {
                return Ok(Judgement::pass(format!(
                    "client and server know each other by Kerberos (sec={flavour})"
                )));
            }
            if mount_option(storage, "xprtsec") == Some("mtls") {
                return Ok(Judgement::pass(
                    "client and server know each other by their certificates (xprtsec=mtls)",
                ));
            }
            let precious: Vec<&str> = PRECIOUS.into_iter().filter(|content| storage.holds(content)).collect();
            let severity = if precious.is_empty() { Severity::Low } else { Severity::Medium };
            let held: Vec<&str> = storage.content.iter().map(String::as_str).collect();
            let server = storage.text("server").unwrap_or_default();
            let summary = format!(
                "{} from {server} is mounted with nothing but the numbers of users to trust",
                held.join(", ")
            );
            let seen = evidence(storage, "options").observed(security(storage, "sys")).expected("sec=krb5p");
            Ok(Judgement::fail(summary).severity(severity).with(seen))
        },
    )
}

pub(crate) fn cifs_as_guest(look: &Look<'_>) -> Judged {
    let config = look.take(look.host.storage())?;
    look.each(
        enabled(config, "cifs"),
        |storage| subject(storage),
        |look, storage| {
            let says_guest = mount_option(storage, "guest").is_some();
            let anonymous = mount_option(storage, "sec").is_some_and(|sec| sec.eq_ignore_ascii_case("none"));
            if says_guest || anonymous {
                let observed = if says_guest { "guest" } else { "sec=none" };
                let seen = evidence(storage, "options").observed(observed);
                return Ok(Judgement::fail("the mount options say that nobody logs in").with(seen));
            }
            if let Some(flavour) = kerberos(storage) {
                return Ok(Judgement::pass(format!("the node logs in by Kerberos (sec={flavour})")));
            }
            let path = Secret::Password.path(&storage.id);
            if look.take(look.host.storage_secrets())?.has(&storage.id, Secret::Password) {
                return Ok(Judgement::pass(format!("the node logs in with the password in {path}")));
            }
            let seen = Evidence::of(SECRETS).observed(format!("no {}.pw", storage.id)).expected(path);
            Ok(Judgement::fail("there is no password file, so upstream mounts the share as guest")
                .with(seen)
                .with(evidence(storage, "share").observed("username is only used together with a password")))
        },
    )
}

pub(crate) fn cifs_without_seal(look: &Look<'_>) -> Judged {
    let config = look.take(look.host.storage())?;
    look.each(
        enabled(config, "cifs"),
        |storage| subject(storage),
        |_, storage| {
            if mount_option(storage, "seal").is_some() {
                return Ok(Judgement::pass("the traffic is encrypted (seal)"));
            }
            let seen = evidence(storage, "options").observed("seal is not set").expected("seal");
            Ok(Judgement::fail("the traffic is encrypted only if the server insists on it").with(seen))
        },
    )
}

/// Dialects without encryption and without protection of the negotiation.
const OLD_DIALECTS: [&str; 3] = ["1.0", "2.0", "2.1"];

pub(crate) fn cifs_old_dialect(look: &Look<'_>) -> Judged {
    let config = look.take(look.host.storage())?;
    look.each(
        enabled(config, "cifs"),
        |storage| subject(storage),
        |_, storage| {
            // Upstream puts the mount options behind its own, and the last one counts.
            let (property, dialect) = match (mount_option(storage, "vers"), storage.text("smbversion")) {
                (Some(dialect), _) => ("options", dialect),
                (None, Some(dialect)) => ("smbversion", dialect),
                (None, None) => return Ok(Judgement::pass("the newest dialect both sides know is used")),
            };
            let seen = evidence(storage, property).observed(dialect).expected("3.11");
            Ok(Judgement::fail_if(
                OLD_DIALECTS.contains(&dialect),
                format!(
                    "the dialect is pinned to SMB {dialect}, which can neither encrypt nor detect a downgrade"
                ),
                format!("the dialect is SMB {dialect}"),
            )
            .with(seen))
        },
    )
}

pub(crate) fn esxi_certificate_not_verified(look: &Look<'_>) -> Judged {
    let config = look.take(look.host.storage())?;
    look.each(
        enabled(config, "esxi"),
        |storage| subject(storage),
        |_, storage| {
            let skips = storage.flag("skip-cert-verification").unwrap_or(false);
            let server = storage.text("server").unwrap_or_default();
            let seen = evidence(storage, "skip-cert-verification")
                .observed(if skips { "1" } else { "0" })
                .expected("0");
            Ok(Judgement::fail_if(
                skips,
                format!("the password for {server} is given to whoever answers in its place"),
                format!("the certificate of {server} is verified"),
            )
            .with(seen))
        },
    )
}

pub(crate) fn inline_secret(look: &Look<'_>) -> Judged {
    let config = look.take(look.host.storage())?;
    let mut secrets: BTreeMap<&str, Vec<&InlineSecret>> = BTreeMap::new();
    for secret in &config.inline_secrets {
        secrets.entry(secret.storage.as_str()).or_default().push(secret);
    }
    let kept = config.storages.keys().map(String::as_str);
    let ids: BTreeSet<&str> =
        kept.chain(config.lost.iter().map(|lost| lost.id.as_str())).chain(secrets.keys().copied()).collect();
    look.each(
        ids,
        |id| Subject::new(SubjectKind::Storage, *id),
        |_, id| {
            let found = secrets.get(id).map(Vec::as_slice).unwrap_or_default();
            let seen = found.iter().map(|secret| {
                Evidence::at(STORAGE_CFG, secret.line).key(&secret.property).observed("a value (not shown)")
            });
            let option =
                config.storages.get(*id).and_then(|storage| Some((storage, secret_option(storage)?)));
            let seen = seen.chain(option.map(|(storage, name)| {
                evidence(storage, "options").observed(format!("{name} (value not shown)"))
            }));
            let seen: Vec<Evidence> = seen.collect();
            let names: Vec<&str> = seen.iter().filter_map(|seen| seen.key.as_deref()).collect();
            let failing = format!(
                "{} holds a secret that every process of the web interface can read",
                names.join(", ")
            );
            Ok(Judgement::fail_if(!seen.is_empty(), failing, "no property holds a secret").with_all(seen))
        },
    )
}

/// A mount option that is a password.
fn secret_option(storage: &Storage) -> Option<&str> {
    let name = |option: &'_ String| SECRET_OPTIONS.contains(&option.to_ascii_lowercase().as_str());
    storage.mount_options.iter().find(|option| name(option)).map(String::as_str)
}

pub(crate) fn setting_ignored_by_proxmox(look: &Look<'_>) -> Judged {
    let fact = look.host.storage();
    let config = fact.value.as_ref().map_err(Clone::clone)?;
    // What upstream ignores is the finding itself; every other doubt weighs as usual.
    let is_finding =
        |line, what: &str| config.ignored.iter().any(|each| Some(each.line) == line && each.what == what);
    for doubt in fact.doubts.iter().filter(|doubt| !is_finding(doubt.line, &doubt.what)) {
        look.doubt(doubt.clone());
    }
    let mut ignored: BTreeMap<Option<&str>, Vec<&Ignored>> = BTreeMap::new();
    for storage in config.storages.values().filter(|storage| storage.line.is_some()) {
        ignored.entry(Some(&storage.id)).or_default();
    }
    for each in &config.ignored {
        ignored.entry(each.section.as_deref()).or_default().push(each);
    }
    let name = |(section, _): &(Option<&str>, Vec<&Ignored>)| match section {
        Some(id) => Subject::new(SubjectKind::Storage, *id),
        None => Subject::new(SubjectKind::File, STORAGE_CFG),
    };
    look.each(ignored, name, |_, (section, ignored)| {
        let seen = ignored.iter().map(|each| Evidence::at(STORAGE_CFG, each.line).observed(&each.what));
        let Some(first) = ignored.first() else {
            return Ok(Judgement::pass("every line is used as it stands"));
        };
        let unknown_type = config
            .lost
            .iter()
            .any(|lost| Some(lost.id.as_str()) == *section && lost.fate == Fate::UnknownType);
        if unknown_type && ignored.len() == 1 {
            return Ok(Judgement::unknown("only the plugin of this type of storage knows its properties")
                .with_all(seen));
        }
        let more =
            if ignored.len() > 1 { format!(" (and {} more)", ignored.len() - 1) } else { String::new() };
        Ok(Judgement::fail(format!("line {}: {}{more}", first.line, first.what)).with_all(seen))
    })
}
