//! `pve-audit show storage`: every storage with what the checks judge it by.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Shown, issues};
use crate::formats::storage_cfg::{Lost, Storage, StorageConfig};
use crate::host::backup::{Coverage, Target};
use crate::host::storage::{STORAGE_CFG, Secret, SecretFiles};
use crate::host::{Fact, Host, Stop};

/// Lays out the storages.
///
/// # Errors
/// Why they are not known.
pub(super) fn shown(host: &Host) -> Result<Shown, String> {
    let fact = host.storage();
    let config = fact.value.as_ref().map_err(why)?;
    let storages: Vec<Value> =
        config.storages.values().map(|storage| as_json(host, config, storage)).collect();
    let lost: Vec<Value> = config.lost.iter().map(lost).collect();
    let text = as_text(&storages, config);
    Ok(Shown { json: json!({ "storages": storages, "lost": lost, "issues": issues(&fact.doubts) }), text })
}

fn why(stop: &Stop) -> String {
    match stop {
        Stop::Unknown(doubt) => doubt.to_string(),
        Stop::NotApplicable(why) => why.clone(),
    }
}

fn lost(lost: &Lost) -> Value {
    json!({ "id": lost.id, "type": lost.kind, "path": STORAGE_CFG, "line": lost.line })
}

/// The lines of a storage that do not do what they look like.
fn ignored(config: &StorageConfig, storage: &Storage) -> Vec<Value> {
    let own = config.ignored.iter().filter(|each| each.section.as_ref() == Some(&storage.id));
    own.map(|each| json!({ "line": each.line, "what": each.what })).collect()
}

fn as_json(host: &Host, config: &StorageConfig, storage: &Storage) -> Value {
    let at_rest = host.at_rest(storage);
    let doubts = issues(&at_rest.doubts);
    let at_rest = match &at_rest.value {
        Ok(found) => json!({
            "class": found.class.name(), "chain": found.chain, "summary": found.to_string(), "issues": doubts,
        }),
        Err(stop) => json!({ "class": "unknown", "chain": [], "summary": why(stop), "issues": doubts }),
    };
    json!({
        "id": storage.id,
        "type": storage.kind,
        "line": storage.line,
        "content": storage.content,
        "nodes": storage.nodes,
        "enabled": !storage.disabled,
        "shared": storage.shared,
        "at_rest": at_rest,
        "guests": guests_on(host, storage),
        "backup": backup(host, storage),
        "issues": ignored(config, storage),
    })
}

/// The guests with a volume on the storage; nothing where that is not known.
fn guests_on(host: &Host, storage: &Storage) -> Option<BTreeSet<u32>> {
    let volumes = host.guest_volumes().value.as_ref().ok()?;
    Some(volumes.iter().filter(|volume| volume.storage == storage.id).map(|volume| volume.vmid).collect())
}

/// What makes the storage a target of backups; nothing if it does not hold any.
fn backup(host: &Host, storage: &Storage) -> Option<Value> {
    if !storage.holds("backup") {
        return None;
    }
    let mut facts = json!({
        "keeps_everything": storage.keeps_everything(),
        "jobs": jobs_to(host.backup_coverage(), storage),
    });
    if storage.kind == "pbs" {
        let secrets = host.storage_secrets().value.as_ref().ok();
        let has = |secret| secrets.map(|secrets: &SecretFiles| secrets.has(&storage.id, secret));
        if let Some(facts) = facts.as_object_mut() {
            facts.insert("encryption_key".to_owned(), json!(has(Secret::EncryptionKey)));
            facts.insert("master_key".to_owned(), json!(has(Secret::MasterKey)));
        }
    }
    Some(facts)
}

/// The jobs that write a guest to the storage; nothing where that is not known.
fn jobs_to<'c>(coverage: &'c Fact<Coverage>, storage: &Storage) -> Option<BTreeSet<&'c str>> {
    let coverage = coverage.value.as_ref().ok()?;
    let target = Target::Storage(storage.id.clone());
    let writes = coverage.guests.keys().flat_map(|vmid| coverage.targets(*vmid));
    Some(writes.filter(|(_, to)| **to == target).map(|(job, _)| job.id.as_str()).collect())
}

fn as_text(storages: &[Value], config: &StorageConfig) -> String {
    let mut text = format!(
        "{:<16} {:<10} {:<9} {:<18} {:<32} {}\n",
        "storage", "type", "state", "at rest", "content", "nodes"
    );
    let word = |storage: &Value, name: &str| {
        storage.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let words = |value: Option<&Value>, none: &str| match value.and_then(Value::as_array) {
        Some(list) => list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","),
        None => none.to_owned(),
    };
    for storage in storages {
        let state =
            match (storage.get("enabled") == Some(&json!(true)), storage.get("shared") == Some(&json!(true)))
            {
                (false, _) => "disabled",
                (true, true) => "shared",
                (true, false) => "local",
            };
        let at_rest = storage.get("at_rest").cloned().unwrap_or_default();
        let content = words(storage.get("content"), "");
        let nodes = words(storage.get("nodes"), "all");
        let (id, kind, class) = (word(storage, "id"), word(storage, "type"), word(&at_rest, "class"));
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{id:<16} {kind:<10} {state:<9} {class:<18} {content:<32} {nodes}");
        let _ = writeln!(text, "    {}", word(&at_rest, "summary"));
    }
    for lost in &config.lost {
        let _ =
            writeln!(text, "{:<16} {:<10} not used by Proxmox VE, line {}", lost.id, lost.kind, lost.line);
    }
    text
}
