//! What this host proves who it is with.

use std::collections::{BTreeMap, BTreeSet};

use super::keys::open_to_others;
use crate::catalogue::Severity;
use crate::checks::{Judged, Look};
use crate::formats::ssh_keys::{Kind, PublicKey};
use crate::host::Stop;
use crate::host::ssh_keys::{HostKey, MODULI};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// Bits below which an RSA key is within reach of who can spend a lot.
const RSA_BROKEN: u32 = 2048;

/// Bits BSI and NIST ask of keys that are to hold beyond 2030.
const FLOOR: u32 = 3072;

/// Who may have the rights on a private key: nobody but the owner.
const OTHERS: u32 = 0o077;

fn file(key: &HostKey) -> Subject {
    Subject::new(SubjectKind::File, key.path.as_str())
}

/// The host keys that are there; without one sshd does not start.
fn present<'h>(look: &Look<'h>) -> Result<Vec<&'h HostKey>, Stop> {
    let keys = look.take(look.host.host_keys())?;
    let there = |key: &&HostKey| !matches!(key.meta, Ok(None)) || key.public.is_some();
    let keys: Vec<&HostKey> = keys.iter().filter(there).collect();
    if keys.is_empty() {
        return Err(Stop::unknown("/etc/ssh", "holds none of the host keys sshd is told to use"));
    }
    Ok(keys)
}

/// `ssh/host-key-weak`
pub(crate) fn host_key_weak(look: &Look<'_>) -> Judged {
    look.each(
        present(look)?,
        |key| file(key),
        |_, key| {
            let path = format!("{}.pub", key.path);
            let public = key
                .public
                .as_ref()
                .ok_or_else(|| Stop::unknown(&path, "is no public key that can be read"))?;
            let weak = match public.kind {
                Kind::Dsa => Some(Severity::High),
                Kind::Rsa if public.bits < RSA_BROKEN => Some(Severity::High),
                Kind::Rsa if public.bits < FLOOR => Some(Severity::Medium),
                _ => None,
            };
            Ok(match weak {
                Some(severity) => {
                    Judgement::fail(format!("the host key is only {}", public.told())).severity(severity)
                }
                None => Judgement::pass(format!("the host key is {}", public.told())),
            }
            .with(Evidence::at(path, 1).observed(public.told())))
        },
    )
}

/// `ssh/host-key-readable`
pub(crate) fn host_key_readable(look: &Look<'_>) -> Judged {
    look.each(
        present(look)?,
        |key| file(key),
        |_, key| {
            let meta = key
                .meta
                .clone()?
                .ok_or_else(|| Stop::unknown(&key.path, "is missing, its public half is there"))?;
            let found =
                Evidence::of(&key.path).key("mode").observed(format!("{:04o}, uid {}", meta.mode, meta.uid));
            Ok(match open_to_others(&meta) {
                Some(how) => Judgement::fail(how),
                None if meta.mode & OTHERS != 0 => Judgement::fail(format!(
                    "others than root may read the private key (mode {:04o})",
                    meta.mode
                )),
                None => Judgement::pass("only root may read the private key"),
            }
            .with(found.expected("0600, uid 0")))
        },
    )
}

/// `ssh/host-key-of-two-nodes`
pub(crate) fn host_key_of_two_nodes(look: &Look<'_>) -> Judged {
    let nodes = look.take(look.host.node_host_keys())?;
    if nodes.len() < 2 {
        look.host.node_host_keys().complete()?;
        return Err(Stop::not_applicable("the cluster knows the host keys of fewer than two nodes"));
    }
    let mut owners: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (node, keys) in nodes {
        for key in keys {
            owners.entry(&key.fingerprint).or_default().insert(node);
        }
    }
    look.each(
        nodes,
        |(node, _)| Subject::new(SubjectKind::File, known_hosts(node)),
        |_, (node, keys)| {
            let others = |key: &PublicKey| {
                let all = owners.get(key.fingerprint.as_str())?;
                let others: Vec<&str> = all.iter().copied().filter(|other| other != node).collect();
                (!others.is_empty()).then(|| others.join(", "))
            };
            let found = Evidence::of(known_hosts(node));
            Ok(match keys.iter().find_map(others) {
                Some(others) => Judgement::fail(format!("{node} has the same host key as {others}"))
                    .with(found.expected("a host key of its own")),
                None => Judgement::pass("no other node has the host key").with(found),
            })
        },
    )
}

fn known_hosts(node: &str) -> String {
    format!("/etc/pve/nodes/{node}/ssh_known_hosts")
}

/// `ssh/host-key-not-known-to-the-cluster`
pub(crate) fn host_key_not_known_to_the_cluster(look: &Look<'_>) -> Judged {
    look.take(look.host.cluster_files())?;
    if !look.host.is_clustered()? {
        return Err(Stop::not_applicable("this node is in no cluster"));
    }
    let own = look
        .host
        .node_name()
        .ok_or_else(|| Stop::unknown("/etc/hostname", "does not tell the node's name"))?;
    let nodes = look.take(look.host.node_host_keys())?;
    let Some(known) = nodes.get(&own) else {
        return Err(Stop::not_applicable(
            "the cluster keeps the host keys in one file for all nodes, as it did before",
        ));
    };
    let keys = look.take(look.host.host_keys())?;
    let rsa = keys
        .iter()
        .filter_map(|key| Some((key, key.public.as_ref()?)))
        .find(|(_, key)| key.kind == Kind::Rsa);
    let Some((key, public)) = rsa else {
        return Err(Stop::unknown("/etc/ssh", "holds no public RSA host key that can be read"));
    };
    let path = known_hosts(&own);
    let judgement = if known.iter().any(|known| known.fingerprint == public.fingerprint) {
        Judgement::pass("the cluster knows the RSA host key of this node")
    } else {
        Judgement::fail("the cluster knows another RSA host key: the other nodes refuse to talk to this one")
    };
    let found = Evidence::of(&path).expected(format!("the key in {}.pub", key.path));
    look.one(Subject::new(SubjectKind::File, path), judgement.with(found))
}

/// `ssh/weak-moduli`
pub(crate) fn weak_moduli(look: &Look<'_>) -> Judged {
    let sshd = look.take(look.host.sshd())?;
    let config = sshd.in_force()?;
    sshd.doubts_about(&["kexalgorithms", "modulifile"]).for_each(|doubt| look.doubt(doubt));
    let exchanges = config.values_of("kexalgorithms").iter();
    if !exchanges.clone().any(|value| value.text.starts_with("diffie-hellman-group-exchange")) {
        return Err(Stop::not_applicable("sshd agrees on no group for a key exchange"));
    }
    if let Some(path) = config.value_of("modulifile").filter(|path| path.text != MODULI) {
        return Err(Stop::unknown(&path.text, "holds the groups, which is not followed"));
    }
    let sizes = look.take(look.host.moduli())?;
    let small = sizes.iter().filter(|bits| **bits < FLOOR).count();
    let judgement = match sizes.iter().min() {
        None => return Err(Stop::unknown(MODULI, "holds no group")),
        Some(least) if *least < FLOOR => Judgement::fail(format!(
            "{small} of {} groups for key exchanges are smaller than {FLOOR} bits, the smallest has {least}",
            sizes.len()
        )),
        Some(least) => Judgement::pass(format!("the smallest group for key exchanges has {least} bits")),
    };
    look.one(Subject::new(SubjectKind::File, MODULI), judgement.with(Evidence::of(MODULI)))
}
