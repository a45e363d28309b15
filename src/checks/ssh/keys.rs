//! The keys that open an account with the rights of root.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalogue::Severity;
use crate::checks::{Judged, Look};
use crate::files::{Meta, leads_to, lies_in};
use crate::formats::shown;
use crate::formats::ssh_keys::{AuthorizedKey, Kind};
use crate::host::Stop;
use crate::host::ssh_keys::{KeyFile, SHARED_KEYS, USUAL_FILES};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

use super::evidence;

/// Bits below which an RSA key is within reach of who can spend a lot.
const RSA_BROKEN: u32 = 2048;

/// Bits BSI and NIST ask of an RSA key that is to hold beyond 2030.
const RSA_FLOOR: u32 = 3072;

/// Where root's keys are, which pve-cluster links to the shared list.
const ROOT_KEYS: &str = "/root/.ssh/authorized_keys";

/// The key by which this node logs in to the others.
const OWN_KEY: &str = "/root/.ssh/id_rsa.pub";

/// What the comment of a node's key begins with (`ssh-keygen` run by root, `PVE::Cluster::Setup`).
const OF_NODE: &str = "root@";

/// Settings that let in keys that stand in no file of root's.
const ELSEWHERE: [&str; 4] =
    ["authorizedkeyscommand", "trustedusercakeys", "authorizedprincipalscommand", "authorizedprincipalsfile"];

/// A place where a key stands.
type Place<'h> = (&'h KeyFile, &'h AuthorizedKey);

/// Every key of the accounts with the rights of root, by its fingerprint.
fn keys<'h>(look: &Look<'h>) -> Result<BTreeMap<&'h str, Vec<Place<'h>>>, Stop> {
    let files = look.take(look.host.root_keys())?;
    let mut keys: BTreeMap<&str, Vec<Place<'_>>> = BTreeMap::new();
    for file in files {
        for key in &file.keys {
            keys.entry(&key.key.fingerprint).or_default().push((file, key));
        }
    }
    if keys.is_empty() {
        look.host.root_keys().complete()?;
        return Err(Stop::not_applicable("root has no authorized keys"));
    }
    Ok(keys)
}

type Entry<'k, 'h> = (&'k &'h str, &'k Vec<Place<'h>>);

fn subject(entry: &Entry<'_, '_>) -> Subject {
    let comment = entry.1.iter().map(|(_, key)| key.comment.as_str()).find(|comment| !comment.is_empty());
    let subject = Subject::new(SubjectKind::Setting, (*entry.0).to_owned());
    match comment {
        Some(comment) => subject.named(comment),
        None => subject,
    }
}

/// Where a key stands, with its comment.
fn seen<'k>(places: &'k [Place<'_>]) -> impl Iterator<Item = Evidence> + 'k {
    places.iter().take(super::MOST_EVIDENCE).map(|(file, key)| {
        let observed = format!("{} {}", key.key.told(), shown(&key.comment));
        Evidence::at(&file.path, key.line).key("key").observed(observed)
    })
}

/// `the key of anna@laptop`.
fn the_key(places: &[Place<'_>]) -> String {
    match places.first() {
        Some((_, key)) if !key.comment.is_empty() => format!("the key {}", shown(&key.comment)),
        _ => "a key without a comment".to_owned(),
    }
}

/// Whose key it is, as far as this node can tell.
enum Owner<'k> {
    /// This node, or one that is in the cluster.
    Node,
    /// A node that is not.
    NoNode(&'k str),
    /// Somebody else.
    Somebody,
}

/// The node whose key this is by its comment.
pub(super) fn node_named(key: &AuthorizedKey) -> Option<&str> {
    key.comment.strip_prefix(OF_NODE)
}

/// The host name may be written with its domain.
pub(super) fn short_name(node: &str) -> &str {
    node.split_once('.').map_or(node, |(short, _)| short)
}

fn owner<'k>(look: &Look<'_>, fingerprint: &str, places: &'k [Place<'_>]) -> Result<Owner<'k>, Stop> {
    let own = look.take(look.host.own_root_keys())?;
    if own.iter().any(|key| key.fingerprint == fingerprint) {
        return Ok(Owner::Node);
    }
    // What nodes log in with is an RSA key; a comment alone proves nothing.
    let mut rsa = places.iter().filter(|(_, key)| key.key.kind == Kind::Rsa);
    let Some(node) = rsa.find_map(|(_, key)| node_named(key)) else { return Ok(Owner::Somebody) };
    let short = short_name(node);
    if look.host.node_name().as_deref() == Some(short) {
        let known = own.iter().any(|key| key.kind == Kind::Rsa);
        return if known {
            Ok(Owner::Somebody)
        } else {
            Err(Stop::unknown(OWN_KEY, "tells no key of this node"))
        };
    }
    let nodes = look.take(look.host.nodes_in_cluster())?;
    Ok(if nodes.contains(short) { Owner::Node } else { Owner::NoNode(node) })
}

/// `ssh/root-key-of-unknown-owner`
pub(crate) fn root_key_of_unknown_owner(look: &Look<'_>) -> Judged {
    let keys = keys(look)?;
    look.each(&keys, subject, |look, (fingerprint, places)| {
        let Owner::Somebody = owner(look, fingerprint, places)? else {
            return Ok(Judgement::pass("the key is that of a node").with_all(seen(places)));
        };
        let Some((file, open)) = places.iter().find(|(_, key)| !key.is_bound()) else {
            return Ok(Judgement::pass("the key is bound to clients or to a command").with_all(seen(places)));
        };
        let everywhere = file.path == SHARED_KEYS && look.host.is_clustered()?;
        let (reach, severity) = if everywhere {
            ("on every node of the cluster", Severity::High)
        } else {
            ("on this node", Severity::Medium)
        };
        let posing = places.iter().any(|(_, key)| node_named(key).is_some());
        let posing = if posing { "; it is no node's, whatever its comment says" } else { "" };
        let whom = if open.signs() { "whoever has a certificate of" } else { "whoever has" };
        Ok(Judgement::fail(format!("{whom} {} is root {reach}, from everywhere{posing}", the_key(places)))
            .severity(severity)
            .with_all(seen(places)))
    })
}

/// `ssh/root-key-of-removed-node`
pub(crate) fn root_key_of_removed_node(look: &Look<'_>) -> Judged {
    let keys = keys(look)?;
    look.each(&keys, subject, |look, (fingerprint, places)| {
        Ok(match owner(look, fingerprint, places)? {
            Owner::NoNode(node) => Judgement::fail(format!(
                "{} is root here, but no node {} is in the cluster",
                the_key(places),
                shown(node)
            )),
            Owner::Node => Judgement::pass("the node is in the cluster"),
            Owner::Somebody => Judgement::pass("the key is not that of a node"),
        }
        .with_all(seen(places)))
    })
}

/// `ssh/root-key-weak`
pub(crate) fn root_key_weak(look: &Look<'_>) -> Judged {
    let keys = keys(look)?;
    look.each(&keys, subject, |_, (_, places)| {
        let Some((_, AuthorizedKey { key, .. })) = places.first() else {
            return Ok(Judgement::pass("no key"));
        };
        let weak = match key.kind {
            Kind::Dsa => Some(Severity::High),
            Kind::Rsa if key.bits < RSA_BROKEN => Some(Severity::High),
            Kind::Rsa if key.bits < RSA_FLOOR => Some(Severity::Medium),
            _ => None,
        };
        Ok(match weak {
            Some(severity) => {
                Judgement::fail(format!("{} is only {}", the_key(places), key.told())).severity(severity)
            }
            None => Judgement::pass(format!("the key is {}", key.told())),
        }
        .with_all(seen(places)))
    })
}

/// `ssh/root-key-restriction-without-effect`
pub(crate) fn root_key_restriction_without_effect(look: &Look<'_>) -> Judged {
    let keys = keys(look)?;
    look.each(&keys, subject, |_, (_, places)| {
        let bound = places.iter().any(|(_, key)| key.is_bound());
        let open = places.iter().any(|(_, key)| !key.is_bound());
        let times = places.len();
        Ok(match (bound, open) {
            _ if times < 2 => Judgement::pass("the key is listed once"),
            (true, true) => Judgement::fail(format!(
                "{} is bound in one place and not in another, where it opens everything",
                the_key(places)
            ))
            .severity(Severity::Medium),
            _ => Judgement::fail(format!(
                "{} is listed {times} times: taken out once, it still opens",
                the_key(places)
            ))
            .severity(Severity::Low),
        }
        .with_all(seen(places)))
    })
}

/// `ssh/root-keys-not-shared`
pub(crate) fn root_keys_not_shared(look: &Look<'_>) -> Judged {
    look.take(look.host.cluster_files())?;
    if !look.host.is_clustered()? {
        return Err(Stop::not_applicable("this node is in no cluster"));
    }
    let linked = look.host.files.link(ROOT_KEYS).map(|target| leads_to(ROOT_KEYS, &target));
    let judgement = match linked {
        Ok(target) if target == SHARED_KEYS => Judgement::pass(format!("it links to {SHARED_KEYS}")),
        Ok(target) => Judgement::fail(format!("it links to {} instead of {SHARED_KEYS}", shown(&target))),
        Err(trouble) if trouble.is_missing() => {
            // Told apart from a tree that was copied without root's home.
            if look.host.files.list("/root").is_err() {
                return Err(trouble.into());
            }
            Judgement::fail(format!("it is missing: no key in {SHARED_KEYS} opens this node"))
        }
        Err(trouble) => match look.host.files.stat(ROOT_KEYS) {
            Ok(_) => {
                Judgement::fail(format!("it is a file of its own: no key in {SHARED_KEYS} opens this node"))
            }
            Err(_) => return Err(trouble.into()),
        },
    };
    look.one(
        Subject::new(SubjectKind::File, ROOT_KEYS),
        judgement.with(Evidence::of(ROOT_KEYS).expected(SHARED_KEYS)),
    )
}

/// Whether others than root may write it, in words.
pub(super) fn open_to_others(meta: &Meta) -> Option<String> {
    if meta.uid != 0 {
        Some(format!("user {} owns it", meta.uid))
    } else if meta.mode & 0o022 != 0 {
        Some(format!("others may write it (mode {:04o})", meta.mode))
    } else {
        None
    }
}

/// `ssh/root-keys-writable`
pub(crate) fn root_keys_writable(look: &Look<'_>) -> Judged {
    let files = look.take(look.host.root_keys())?;
    // A folder above the file is as good as the file.
    let mut paths: BTreeSet<&str> = BTreeSet::from(["/root", "/root/.ssh"]);
    paths.extend(files.iter().map(|file| file.path.as_str()).filter(|path| !path.starts_with("/etc/pve/")));
    let strict =
        look.take(look.host.sshd())?.config.value_of("strictmodes").is_none_or(|value| value.text == "yes");
    // sshd looks at the folders above the file that a link leads to, not at those above the link (`safe_path`).
    let passed_by = |folder: &str| {
        files
            .iter()
            .any(|file| file.links.iter().any(|link| lies_in(link, folder)) && !lies_in(&file.path, folder))
    };
    let present = paths.into_iter().filter_map(|path| match look.host.files.stat(path) {
        Err(trouble) if trouble.is_missing() => None,
        answer => Some((path, answer)),
    });
    look.each(
        present,
        |(path, _)| Subject::new(SubjectKind::File, *path),
        |_, (path, answer)| {
            let meta = answer.as_ref().map_err(|trouble| Stop::from(trouble.clone()))?;
            let found =
                Evidence::of(*path).key("mode").observed(format!("{:04o}, uid {}", meta.mode, meta.uid));
            Ok(match open_to_others(meta) {
                None => Judgement::pass("only root may write it"),
                Some(how) if strict && !passed_by(path) => {
                    Judgement::fail(format!("{how}: sshd then takes no key from it"))
                        .severity(Severity::Medium)
                }
                Some(how) => Judgement::fail(format!("{how}, and so may let himself in as root")),
            }
            .with(found))
        },
    )
}

/// `ssh/keys-from-elsewhere`
pub(crate) fn keys_from_elsewhere(look: &Look<'_>) -> Judged {
    let sshd = look.take(look.host.sshd())?;
    let config = sshd.in_force()?;
    let files = USUAL_FILES.to_vec();
    let settings = ELSEWHERE.into_iter().chain(["authorizedkeysfile"]);
    look.each(
        settings,
        |setting| Subject::new(SubjectKind::Setting, *setting),
        |look, setting| {
            sshd.doubts_about(&[setting]).for_each(|doubt| look.doubt(doubt));
            let outside = config.values_of(setting).iter().map(|value| (&value.text, &value.source));
            let matched = config
                .set_in_match(setting)
                .flat_map(|(_, line)| line.values.iter().map(|value| (value, &line.source)));
            let usual = |value: &str| value.eq_ignore_ascii_case("none") || files.contains(&value);
            let root_home = |value: &str| files.iter().any(|file| value == format!("%h/{file}"));
            let mut other = outside.chain(matched).filter(|(value, _)| !usual(value) && !root_home(value));
            Ok(match other.next() {
                None => Judgement::pass("keys stand in the usual files only"),
                Some((value, source)) => {
                    let value = if crate::formats::sshd::may_hold_secret(setting) {
                        "a command"
                    } else {
                        value.as_str()
                    };
                    Judgement::fail(format!("who may log in is also told by {setting}: {value}"))
                        .with(evidence(sshd, setting, source, value))
                }
            })
        },
    )
}
