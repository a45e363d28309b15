//! Settings of sshd that the nodes of a cluster cannot live with: they reach each other as root, with root's RSA key,
//! and know each other by their RSA host keys.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::evidence;
use super::keys::{node_named, short_name};
use super::login::{root_groups, situations};
use crate::catalogue::Severity;
use crate::checks::{Judged, Look};
use crate::formats::glob_pattern::Pattern;
use crate::formats::ssh_keys::{Kind, PublicKey};
use crate::formats::sshd::{
    Connection, Effective, Met, Situations, group_listed, may_hold_secret, user_listed,
};
use crate::host::{Doubt, Fact, Stop};
use crate::outcome::{Judgement, Subject, SubjectKind};

/// The ciphers in root's client configuration, which pve-cluster writes (`PVE::Cluster::Setup`).
const CLIENT_CIPHERS: [&str; 6] = [
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
];

/// The signatures an RSA key can make, as far as clients since Proxmox VE 7 ask for them.
const RSA_SIGNATURES: [&str; 2] = ["rsa-sha2-256", "rsa-sha2-512"];

/// Bits of the key pve-cluster makes for root (`ssh-keygen -t rsa -b 4096`).
const ROOT_KEY_BITS: u32 = 4096;

/// Bits below which OpenSSH takes no RSA key, whatever it is told (`SSH_RSA_MINIMUM_MODULUS_SIZE`).
const LEAST_BITS: u32 = 1024;

/// Connections that must be able to log in at once: jobs and migrations of several guests start together.
const STARTUPS: u32 = 10;

/// The port of ssh, which no call of Proxmox VE changes.
const PORT: &str = "22";

/// The home of root.
const ROOT_HOME: &str = "/root";

/// The files pve-cluster keeps root's keys in: the first links to the second.
const ROOT_KEYS: [&str; 2] = ["/root/.ssh/authorized_keys", "/etc/pve/priv/authorized_keys"];

/// The variable in which the console's ticket is passed to another node.
const TICKET: &str = "LC_PVE_TICKET";

/// What no node can do any more.
const LOGIN: &str = "the other nodes cannot log in here as root: migration, replication and consoles fail";
const TUNNEL: &str = "live migration cannot tunnel through ssh";
const BUSY: &str = "migrations and replications that start at once are refused";
const CONSOLE: &str = "consoles of guests on this node do not open from other nodes";

/// One setting the cluster depends on.
struct Rule {
    keyword: &'static str,
    severity: Severity,
    breaks: &'static str,
    /// Whether these values break it.
    broken: fn(&[&str], &Peer<'_>) -> Met,
}

/// Another node that logs in as root.
struct Peer<'p> {
    connection: Connection<'p>,
    config: &'p Effective,
    rsa: RsaBits,
}

/// The sizes of the RSA keys that nodes need; `None` where no such key was read.
#[derive(Clone, Copy)]
struct RsaBits {
    /// The host key, the only one of this node that the others know.
    host: Option<u32>,
    /// The smallest of those by which root logs in.
    root: Option<u32>,
    /// Whether the keys of all nodes were read.
    is_complete: bool,
}

const fn rule(keyword: &'static str, breaks: &'static str, broken: fn(&[&str], &Peer<'_>) -> Met) -> Rule {
    Rule { keyword, severity: Severity::High, breaks, broken }
}

const RULES: &[Rule] = &[
    rule("permitrootlogin", LOGIN, |values, _| is_any(values, &["no", "forced-commands-only"])),
    rule("pubkeyauthentication", LOGIN, |values, _| is_any(values, &["no"])),
    rule("denyusers", LOGIN, |values, peer| user_listed(values, &peer.connection, peer.config)),
    rule("allowusers", LOGIN, |values, peer| {
        not_listed(values, user_listed(values, &peer.connection, peer.config))
    }),
    rule("denygroups", LOGIN, |values, peer| group_listed(values, &peer.connection)),
    rule("allowgroups", LOGIN, |values, peer| not_listed(values, group_listed(values, &peer.connection))),
    rule("authenticationmethods", LOGIN, |values, _| has_none(values, &["any", "publickey"])),
    rule("forcecommand", LOGIN, |values, _| Met::from(values.iter().any(|value| *value != "none"))),
    rule("pubkeyacceptedalgorithms", LOGIN, |values, _| has_none(values, &RSA_SIGNATURES)),
    rule("requiredrsasize", LOGIN, rsa_key_too_small),
    rule("hostkeyalgorithms", LOGIN, |values, _| has_none(values, &RSA_SIGNATURES)),
    rule("hostkey", LOGIN, |values, _| without_rsa_key(values)),
    rule("addressfamily", LOGIN, other_family),
    rule("listenaddress", LOGIN, out_of_reach),
    rule("refuseconnection", LOGIN, |values, _| is_any(values, &["yes"])),
    rule("authorizedkeysfile", LOGIN, |values, peer| without_roots_keys(values, peer.config)),
    rule("maxsessions", LOGIN, |values, _| is_any(values, &["0"])),
    Rule {
        severity: Severity::Medium,
        ..rule("maxstartups", BUSY, |values, _| {
            let first = values.first().and_then(|value| value.split(':').next());
            Met::from(first.and_then(|first| first.parse::<u32>().ok()).is_some_and(|first| first < STARTUPS))
        })
    },
    rule("chrootdirectory", LOGIN, |values, _| has_none(values, &["none", "/"])),
    rule("ciphers", LOGIN, |values, _| has_none(values, &CLIENT_CIPHERS)),
    Rule {
        severity: Severity::Medium,
        ..rule("disableforwarding", TUNNEL, |values, _| is_any(values, &["yes"]))
    },
    Rule {
        severity: Severity::Medium,
        ..rule("allowstreamlocalforwarding", TUNNEL, |values, _| is_any(values, &["no", "remote"]))
    },
    Rule {
        severity: Severity::Medium,
        ..rule("acceptenv", CONSOLE, |values, _| {
            Met::from(!values.iter().any(|pattern| Pattern::new(pattern).matches(TICKET)))
        })
    },
];

fn is_any(values: &[&str], bad: &[&str]) -> Met {
    values.iter().any(|value| bad.contains(value)).into()
}

fn has_none(values: &[&str], good: &[&str]) -> Met {
    Met::from(!values.iter().any(|value| good.contains(value)))
}

/// A list that lets in only those it names.
fn not_listed(values: &[&str], listed: Met) -> Met {
    match listed {
        _ if values.is_empty() => Met::No,
        Met::No => Met::Yes,
        Met::Open => Met::Open,
        Met::Yes => Met::No,
    }
}

/// Whether sshd drops a key nodes need. For the host key only what is set for all connections counts.
fn rsa_key_too_small(values: &[&str], peer: &Peer<'_>) -> Met {
    let number = |text: &str| text.parse::<u32>().unwrap_or(LEAST_BITS);
    let too_small = |least: u32, bits: Option<u32>, all: bool| match bits {
        Some(bits) if bits < least => Met::Yes,
        Some(_) if all || least <= LEAST_BITS => Met::No,
        Some(_) => Met::Open,
        None if least > ROOT_KEY_BITS => Met::Yes,
        None if least > LEAST_BITS => Met::Open,
        None => Met::No,
    };
    let of_connection = values.first().map_or(LEAST_BITS, |text| number(text));
    let of_all = peer.config.value_of("requiredrsasize").map_or(LEAST_BITS, |value| number(&value.text));
    too_small(of_connection, peer.rsa.root, peer.rsa.is_complete).max(too_small(of_all, peer.rsa.host, true))
}

/// Whether the node comes by the family sshd does not listen on.
fn other_family(values: &[&str], peer: &Peer<'_>) -> Met {
    match (values.first(), peer.connection.address) {
        (Some(&"inet"), Some(address)) => address.is_ipv6().into(),
        (Some(&"inet6"), Some(address)) => address.is_ipv4().into(),
        (Some(&("inet" | "inet6")), None) => Met::Open,
        _ => Met::No,
    }
}

/// Whether no address is one another node can come to, on the port it comes to. A host name is open.
fn out_of_reach(values: &[&str], peer: &Peer<'_>) -> Met {
    // Otherwise `AddressFamily` is what keeps the node out.
    let both = peer.config.value_of("addressfamily").is_none_or(|value| value.text == "any");
    let from = peer.connection.address.filter(|_| both);
    let reach = |value: &&str| {
        let (host, port) = value.rsplit_once(':').unwrap_or((value, PORT));
        let host = host.trim_start_matches('[').trim_end_matches(']');
        match host.parse::<IpAddr>() {
            _ if port != PORT => Met::Yes,
            Ok(address) => {
                let other = from.is_some_and(|from| from.is_ipv4() != address.is_ipv4());
                Met::from(address.is_loopback() || other)
            }
            Err(_) if host.contains(':') => Met::No,
            Err(_) => Met::Open,
        }
    };
    let reached = values.iter().map(reach).min().unwrap_or(Met::No);
    // From where nodes come is not known: addresses of one family may be of the wrong one.
    let is_v6 = |value: &&str| value.starts_with('[');
    let one_family = values.iter().all(is_v6) || !values.iter().any(is_v6);
    let is_open = both && peer.connection.address.is_none() && !values.is_empty() && one_family;
    if is_open { reached.max(Met::Open) } else { reached }
}

/// Root's keys are in a file below /etc/pve that one in his home links to; what is in others, or what a command tells,
/// is open.
fn without_roots_keys(paths: &[&str], config: &Effective) -> Met {
    let path = |path: &str| {
        let path = path.replace("%h", ROOT_HOME).replace("%u", "root");
        if path.starts_with('/') { path } else { format!("{ROOT_HOME}/{path}") }
    };
    let told = config.value_of("authorizedkeyscommand").is_some_and(|command| command.text != "none");
    if paths.iter().any(|written| ROOT_KEYS.contains(&path(written).as_str())) {
        Met::No
    } else if !told && paths.iter().all(|path| *path == "none") {
        Met::Yes
    } else {
        Met::Open
    }
}

/// Host keys are told by the names `ssh-keygen -A` gives them; what is in a file of another name is open.
fn without_rsa_key(paths: &[&str]) -> Met {
    let named = |path: &str, kind: &str| path.rsplit('/').next().is_some_and(|name| name.contains(kind));
    if paths.iter().any(|path| named(path, "rsa")) {
        return Met::No;
    }
    let other = |path: &&str| named(path, "ed25519") || named(path, "ecdsa");
    if paths.iter().all(other) { Met::Yes } else { Met::Open }
}

/// `ssh/hardening-breaks-the-cluster`
pub(crate) fn hardening_breaks_the_cluster(look: &Look<'_>) -> Judged {
    look.take(look.host.cluster_files())?;
    if !look.host.is_clustered()? {
        return Err(Stop::not_applicable("this node is in no cluster"));
    }
    let sshd = look.take(look.host.sshd())?;
    let config = sshd.in_force()?;
    let groups = root_groups(look, config)?;
    let resolved = config.value_of("usedns").is_some_and(|value| value.text == "yes");
    let rsa = rsa_bits(look);
    let mut views: Vec<(Peer<'_>, Situations<'_>)> = Vec::new();
    for address in peers(look)? {
        let connection = Connection { user: Some("root"), groups, address, resolved };
        views.push((Peer { connection, config, rsa }, situations(sshd, config, &connection)?));
    }
    let known = RULES.iter().filter(|rule| config.setting(rule.keyword).is_some());
    look.each(
        known,
        |rule| Subject::new(SubjectKind::Setting, rule.keyword),
        |look, rule| {
            sshd.doubts_about(&[rule.keyword]).for_each(|doubt| look.doubt(doubt));
            let mut worst = (Met::No, None);
            for (peer, situations) in &views {
                let met = over_all(rule, peer, situations);
                if met > worst.0 {
                    worst = (met, situations.each().find(|one| (rule.broken)(&one.values(rule.keyword), peer) > Met::No));
                }
            }
            let Rule { keyword, breaks, .. } = rule;
            let (met, situation) = worst;
            let values = situation.as_ref().map(|situation| situation.values(keyword).join(" ")).unwrap_or_default();
            let shown = match values.as_str() {
                "" => "empty",
                _ if may_hold_secret(keyword) => "set",
                values => values,
            };
            let found = situation.map(|situation| evidence(sshd, keyword, situation.source(keyword), shown));
            let judgement = match met {
                Met::No => Judgement::pass(format!("{keyword} lets the nodes work together")),
                Met::Open => Judgement::unknown(format!("whether {keyword} lets the nodes work together depends on what is not known of their connections")),
                Met::Yes => Judgement::fail(format!("{keyword} is {shown}: {breaks}")).severity(rule.severity),
            };
            Ok(judgement.with_all(found))
        },
    )
}

/// Whether the values break it in all situations, in some or in none.
fn over_all(rule: &Rule, peer: &Peer<'_>, situations: &Situations<'_>) -> Met {
    let mets: BTreeSet<Met> =
        situations.candidates(rule.keyword).iter().map(|values| (rule.broken)(values, peer)).collect();
    match (mets.first(), mets.last()) {
        (Some(Met::Yes), _) => Met::Yes,
        (_, Some(Met::No)) => Met::No,
        _ => Met::Open,
    }
}

/// The sizes of the RSA keys nodes need, as far as these were read: what is not known leaves only one setting open.
fn rsa_bits(look: &Look<'_>) -> RsaBits {
    fn known<T>(fact: &Fact<T>) -> Option<&T> {
        fact.value.as_ref().ok()
    }
    let rsa = |key: &PublicKey| (key.kind == Kind::Rsa).then_some(key.bits);
    let host_keys = known(look.host.host_keys()).into_iter().flatten();
    let host = host_keys.filter_map(|key| key.public.as_ref().and_then(rsa)).max();
    // A node may have left an older key in the list.
    let mut nodes: BTreeMap<&str, u32> = BTreeMap::new();
    let members = known(look.host.nodes_in_cluster());
    for key in known(look.host.root_keys()).into_iter().flatten().flat_map(|file| &file.keys) {
        let node = node_named(key).map(short_name);
        let node = node.filter(|node| members.is_some_and(|members| members.contains(*node)));
        if let (Some(node), Some(bits)) = (node, rsa(&key.key)) {
            let most = nodes.entry(node).or_default();
            *most = bits.max(*most);
        }
    }
    let own = known(look.host.own_root_keys()).into_iter().flatten().filter_map(rsa);
    let complete = |doubts: &[Doubt]| doubts.is_empty();
    let is_complete = complete(&look.host.root_keys().doubts)
        && complete(&look.host.nodes_in_cluster().doubts)
        && members.is_some_and(|members| members.iter().all(|node| nodes.contains_key(short_name(node))));
    RsaBits { host, root: nodes.into_values().chain(own).min(), is_complete }
}

/// The addresses of the other nodes; one that is not known where none is told.
fn peers(look: &Look<'_>) -> Result<Vec<Option<IpAddr>>, Stop> {
    let members = look.take(look.host.members())?;
    let own = look.host.node_name();
    let others = members.nodes.iter().filter(|(name, _)| Some(name.as_str()) != own.as_deref());
    let addresses: BTreeSet<Option<IpAddr>> =
        others.map(|(_, node)| node.ip.as_deref().and_then(|ip| ip.parse().ok())).collect();
    if addresses.is_empty() { Ok(vec![None]) } else { Ok(addresses.into_iter().collect()) }
}
