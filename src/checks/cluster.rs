//! The cluster: how its nodes talk, and what the datacenter sets for all of them.

use std::net::IpAddr;

use super::network::guests_named;
use super::{Judged, Look};
use crate::catalogue::Severity;
use crate::formats::Located;
use crate::formats::corosync_conf::{Node, Transport};
use crate::formats::datacenter_cfg::{DEFAULT_PACKAGE_UPDATES, DatacenterCfg, Transfer};
use crate::formats::firewall::address::Cidr;
use crate::host::corosync::{COROSYNC_CONF, COROSYNC_COPY};
use crate::host::datacenter::DATACENTER_CFG;
use crate::host::firewall::cover::AddressSet;
use crate::host::network::guests::cards_on;
use crate::host::{Fact, Stop};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// Where the key of a subscription is kept.
const SUBSCRIPTION: &str = "/etc/subscription";

const MEMBERS: &str = "/etc/pve/.members";

/// Links that keep a cluster together when one fails.
const LINKS_WANTED: usize = 2;

/// `cluster/corosync-unencrypted`
pub(crate) fn corosync_unencrypted(look: &Look<'_>) -> Judged {
    let totem = &look.take(look.host.corosync())?.totem;
    let crypto = totem.crypto();
    let line = [&totem.transport, &totem.crypto_cipher, &totem.secauth]
        .into_iter()
        .find_map(|setting| setting.as_ref().map(|setting| setting.line));
    let evidence = Evidence { line, ..Evidence::of(COROSYNC_CONF) }
        .key("totem.crypto_cipher")
        .observed(crypto.cipher)
        .expected("aes256");
    let transport = totem.effective_transport();
    if line.is_none() {
        // The lines that switch it on may be in what was not understood.
        look.host.corosync().complete()?;
    }
    let judgement = match (crypto.cipher, transport) {
        _ if crypto.refused => Judgement::unknown(
            "the settings contradict each other: corosync keeps what it was started with, or does not start",
        ),
        ("none", Transport::Udp | Transport::Udpu) => {
            Judgement::fail("the transport udp or udpu knows no encryption: the cluster talks in clear text")
        }
        ("none", _) if crypto.hash == "none" => {
            Judgement::fail("the nodes neither encrypt nor authenticate what they send each other")
        }
        ("none", _) => {
            Judgement::fail(format!("the nodes sign what they send ({}), but do not encrypt it", crypto.hash))
        }
        (cipher, _) => Judgement::pass(format!("the nodes talk encrypted: {cipher} with {}", crypto.hash)),
    };
    look.one(Subject::cluster(), judgement.with(evidence))
}

/// `cluster/corosync-single-link`
pub(crate) fn corosync_single_link(look: &Look<'_>) -> Judged {
    let conf = look.take(look.host.corosync())?;
    look.host.corosync().complete()?;
    let weakest = conf.nodes.iter().min_by_key(|node| node.addresses.len());
    let weakest = weakest.ok_or_else(|| Stop::unknown(COROSYNC_CONF, "names no node"))?;
    if conf.nodes.len() == 1 {
        return Err(Stop::not_applicable("the cluster has a single node"));
    }
    let links = weakest.addresses.len();
    let evidence = Evidence::at(COROSYNC_CONF, weakest.line).key("ring1_addr");
    let judgement = if links == 0 {
        Judgement::unknown(format!("{} has no address in the configuration", name_of(weakest)))
    } else if matches!(conf.totem.effective_transport(), Transport::Udp | Transport::Udpu) {
        Judgement::fail("the transport udp or udpu has a single link")
    } else if links < LINKS_WANTED {
        let whose = if conf.nodes.iter().all(|node| node.addresses.len() == links) {
            "all nodes".to_owned()
        } else {
            name_of(weakest)
        };
        Judgement::fail(format!("{whose} can be reached over one link only"))
    } else {
        Judgement::pass(format!("every node can be reached over {links} links"))
    };
    look.one(
        Subject::cluster(),
        judgement.with(evidence.observed(format!("{links} of at least {LINKS_WANTED}"))),
    )
}

fn name_of(node: &Node) -> String {
    let address = || node.addresses.values().next().map(|address| address.value.clone());
    node.name.as_ref().map(|name| name.value.clone()).or_else(address).unwrap_or_else(|| "a node".to_owned())
}

/// `cluster/corosync-copy-differs`
pub(crate) fn corosync_copy_differs(look: &Look<'_>) -> Judged {
    let shared = look.take(look.host.corosync())?;
    let copy = look.take(look.host.corosync_copy())?;
    let (ours, theirs) = (copy.totem.effective_config_version(), shared.totem.effective_config_version());
    let evidence = Evidence {
        line: copy.totem.config_version.as_ref().map(|version| version.line),
        ..Evidence::of(COROSYNC_COPY)
    };
    let evidence =
        evidence.key("totem.config_version").observed(ours.to_string()).expected(theirs.to_string());
    let judgement = if ours != theirs {
        Judgement::fail(format!(
            "corosync reads version {ours}, the cluster's configuration is version {theirs}"
        ))
    } else if copy.totem.crypto() != shared.totem.crypto() {
        Judgement::fail(format!("version {ours} is there twice, with different encryption"))
    } else if addresses(&copy.nodes) != addresses(&shared.nodes) {
        Judgement::fail(format!("version {ours} is there twice, with different nodes or addresses"))
    } else {
        Judgement::pass(format!("corosync reads the cluster's configuration, version {ours}"))
    };
    look.one(Subject::node(), judgement.with(evidence))
}

/// Names and addresses of the nodes, without the lines they stand on.
fn addresses(nodes: &[Node]) -> Vec<(&str, u8, &str)> {
    nodes.iter().flat_map(addresses_of).collect()
}

fn addresses_of(node: &Node) -> impl Iterator<Item = (&str, u8, &str)> {
    let name = node.name.as_ref().map_or("", |name| name.value.as_str());
    node.addresses.iter().map(move |(link, address)| (name, *link, address.value.as_str()))
}

/// `cluster/migration-insecure`
pub(crate) fn migration_insecure(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.datacenter())?;
    look.take(look.host.corosync()).map_err(|stop| match stop {
        Stop::NotApplicable(_) => Stop::not_applicable("this node is in no cluster: nothing migrates"),
        other @ Stop::Unknown(_) => other,
    })?;
    look.each(
        ["migration", "replication"],
        |name| Subject::new(SubjectKind::Setting, *name),
        |_, name| Ok(transfer_judged(cfg, name)),
    )
}

/// Replication follows the setting of migration until it has one of its own.
fn transfer_judged(cfg: &DatacenterCfg, name: &str) -> Judgement {
    let own = cfg.replication.as_ref().filter(|_| name == "replication");
    let line = own
        .or(cfg.migration.as_ref())
        .map(|setting| setting.line)
        .or_else(|| cfg.migration_unsecure.as_ref().map(|setting| setting.line));
    let transfer = own.map_or_else(|| cfg.effective_migration(), |setting| setting.value.transfer);
    let evidence = Evidence { line, ..Evidence::of(DATACENTER_CFG) }.key(name);
    let what = if name == "replication" { "the disks of guests" } else { "memory and disks of guests" };
    match (transfer, line) {
        (Transfer::Insecure, _) => Judgement::fail(format!("{what} travel between the nodes in clear text"))
            .with(evidence.observed("insecure").expected("secure")),
        (Transfer::Secure, Some(_)) => {
            Judgement::pass(format!("{what} travel through SSH")).with(evidence.observed("secure"))
        }
        (Transfer::Secure, None) => {
            Judgement::pass(format!("{what} travel through SSH, the default")).with(evidence)
        }
    }
}

/// `cluster/proxy-credentials-in-datacenter-cfg`
pub(crate) fn proxy_credentials_in_datacenter_cfg(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.datacenter())?;
    let judgement = match &cfg.http_proxy {
        None => Judgement::pass("no proxy is set"),
        Some(Located { value, line }) => Judgement::fail_if(
            value.credential,
            "the URL of the proxy holds a user name and password",
            "the URL of the proxy holds no password",
        )
        .with(Evidence::at(DATACENTER_CFG, *line).key("http_proxy").observed(&value.url)),
    };
    look.one(Subject::cluster(), judgement)
}

/// `cluster/quorum-lost`
pub(crate) fn quorum_lost(look: &Look<'_>) -> Judged {
    let members = look.take(look.host.members())?;
    let Some(cluster) = &members.cluster else {
        look.take(look.host.corosync())?;
        return Err(Stop::unknown(MEMBERS, "does not tell whether this node sees a quorum"));
    };
    let online = members.nodes.values().filter(|node| node.online).count();
    let seen = format!("{online} of {} nodes are online", members.nodes.len());
    let judgement = if cluster.quorate {
        Judgement::pass(format!("this node sees a quorum: {seen}"))
    } else {
        Judgement::fail(format!("this node sees no quorum, /etc/pve is read-only here: {seen}"))
    };
    let observed = if cluster.quorate { "1" } else { "0" };
    let evidence = Evidence::of(MEMBERS).key("cluster.quorate").observed(observed).expected("1");
    look.one(Subject::node(), judgement.with(evidence))
}

/// `cluster/package-update-notifications-off`
pub(crate) fn package_update_notifications_off(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.datacenter())?;
    let line = cfg.package_updates.as_ref().map(|setting| setting.line);
    let setting = cfg.package_updates.as_ref().map_or(DEFAULT_PACKAGE_UPDATES, |setting| &setting.value);
    let judgement = match setting {
        "always" => Judgement::pass("new package updates are always announced"),
        "never" => Judgement::fail("announcing new package updates is switched off"),
        _ if look.own(has_subscription(look))? => Judgement::unknown(
            "new package updates are announced only while the subscription of this node is active, and a key alone does not tell whether it is",
        ),
        _ => Judgement::fail(
            "new package updates are announced on nodes with a subscription only, and this node has none",
        ),
    };
    let evidence = Evidence { line, ..Evidence::of(DATACENTER_CFG) }.key("notify.package-updates");
    look.one(Subject::cluster(), judgement.with(evidence.observed(setting).expected("always")))
}

/// Whether a subscription key was ever entered on this node. That there is none is told only where more than
/// `/etc/pve` is to be seen.
fn has_subscription(look: &Look<'_>) -> Fact<bool> {
    Fact::gather(&look.host.files, |gather| match gather.files().stat(SUBSCRIPTION) {
        Ok(_) => Ok(true),
        Err(trouble) if trouble.is_missing() => gather.take(look.host.packages()).map(|_| false),
        Err(trouble) => Err(trouble.into()),
    })
}

/// Hashes that corosync still takes and nobody should.
const WEAK_HASHES: [&str; 2] = ["md5", "sha1"];

/// `cluster/corosync-weak-hash`
pub(crate) fn corosync_weak_hash(look: &Look<'_>) -> Judged {
    let totem = &look.take(look.host.corosync())?.totem;
    let crypto = totem.crypto();
    let line = totem.crypto_hash.as_ref().map(|setting| setting.line);
    let evidence = Evidence { line, ..Evidence::of(COROSYNC_CONF) }
        .key("totem.crypto_hash")
        .observed(crypto.hash)
        .expected("sha256");
    let judgement = if crypto.refused {
        Judgement::unknown(
            "the settings contradict each other: corosync keeps what it was started with, or does not start",
        )
    } else if WEAK_HASHES.contains(&crypto.hash) {
        Judgement::fail(format!("the nodes sign what they send each other with {}", crypto.hash))
    } else if crypto.hash == "none" {
        return Err(Stop::not_applicable("the nodes sign nothing, which is a finding of its own"));
    } else {
        Judgement::pass(format!("the nodes sign what they send each other with {}", crypto.hash))
    };
    look.one(Subject::cluster(), judgement.with(evidence))
}

/// The key that all nodes of a cluster share, unless `totem.keyfile` names another place.
const AUTHKEY: &str = "/etc/corosync/authkey";

/// `cluster/corosync-key-readable`
pub(crate) fn corosync_key_readable(look: &Look<'_>) -> Judged {
    let totem = &look.take(look.host.corosync())?.totem;
    let path = totem.keyfile.as_ref().map_or(AUTHKEY, |setting| setting.value.as_str());
    if totem.crypto().cipher == "none" && totem.crypto().hash == "none" {
        return Err(Stop::not_applicable("the nodes neither encrypt nor sign, so there is no key to steal"));
    }
    let meta = look.host.files.stat(path)?;
    let others = meta.mode & 0o077 != 0;
    let mode = Evidence::of(path).key("mode").observed(format!("{:04o}", meta.mode)).expected("0400");
    let owner = Evidence::of(path).key("owner").observed(meta.uid.to_string()).expected("0");
    let judgement = if others {
        Judgement::fail("others than root may read the key of the cluster").with(mode)
    } else if meta.uid != 0 {
        // Copying a tree as somebody else changes its owners, so only a running host tells.
        if !look.host.is_live() && look.host.files.stat("/")?.uid != 0 {
            return Err(Stop::unknown(path, "belongs to who has copied this tree"));
        }
        Judgement::fail("somebody else than root owns the key of the cluster").with(owner)
    } else {
        Judgement::pass("only root reads the key of the cluster").with(mode)
    };
    look.one(Subject::new(SubjectKind::File, path), judgement)
}

/// `cluster/corosync-public-address`
pub(crate) fn corosync_public_address(look: &Look<'_>) -> Judged {
    let conf = look.take(look.host.corosync())?;
    let public = AddressSet::public();
    look.each(
        &conf.nodes,
        |node| Subject::new(SubjectKind::Node, name_of(node)).on(name_of(node)),
        |_, node| {
            let mut named = None;
            for (link, written) in &node.addresses {
                let evidence = Evidence::at(COROSYNC_CONF, written.line)
                    .key(format!("ring{link}_addr"))
                    .observed(&written.value);
                match written.value.parse::<IpAddr>() {
                    Ok(address) if public.contains(address) => {
                        return Ok(Judgement::fail(format!(
                            "link {link} of the cluster has a public address"
                        ))
                        .with(evidence.expected("an address of a network of its own")));
                    }
                    Ok(_) => {}
                    Err(_) => named = named.or(Some(evidence)),
                }
            }
            Ok(match named {
                Some(evidence) => {
                    Judgement::unknown("a link has a name, whose address the name servers tell")
                        .with(evidence)
                }
                None if node.addresses.is_empty() => {
                    Judgement::unknown("no address is written").at(COROSYNC_CONF, node.line)
                }
                None => Judgement::pass("no link has a public address").at(COROSYNC_CONF, node.line),
            })
        },
    )
}

/// `cluster/corosync-shared-with-guests`
pub(crate) fn corosync_shared_with_guests(look: &Look<'_>) -> Judged {
    let conf = look.take(look.host.corosync())?;
    let node = look
        .host
        .node_name()
        .ok_or_else(|| Stop::unknown(COROSYNC_CONF, "does not tell which node this is"))?;
    let own = conf.nodes.iter().find(|each| each.name.as_ref().is_some_and(|name| name.value == node));
    let own = own.ok_or_else(|| Stop::unknown(COROSYNC_CONF, "does not name this node"))?;
    look.each(
        &own.addresses,
        |(link, _)| Subject::new(SubjectKind::Network, format!("link{link}")),
        |look, (link, written)| {
            let evidence = Evidence::at(COROSYNC_CONF, written.line)
                .key(format!("ring{link}_addr"))
                .observed(&written.value);
            let address: Result<IpAddr, _> = written.value.parse();
            let addresses = match address {
                Ok(address) => vec![address],
                Err(_) if written.value == node => look.host.addresses_of(&node).into_iter().collect(),
                Err(_) => Vec::new(),
            };
            let judged = shared_with_guests(look, |ip| addresses.contains(&ip))?;
            Ok(match judged {
                Shared::With(guests, whose) => {
                    Judgement::fail(format!("{guests} can speak on {whose}, where the cluster talks"))
                        .with(evidence)
                }
                Shared::Nobody(whose) => Judgement::pass(format!(
                    "no guest of this node speaks on {whose}, where the cluster talks"
                ))
                .with(evidence),
                Shared::NotHere => {
                    Judgement::unknown("no interface of this node has the address of the link").with(evidence)
                }
            })
        },
    )
}

/// `cluster/migration-network-shared-with-guests`
pub(crate) fn migration_network_shared_with_guests(look: &Look<'_>) -> Judged {
    let cfg = look.take(look.host.datacenter())?;
    look.take(look.host.corosync()).map_err(|stop| match stop {
        Stop::NotApplicable(_) => Stop::not_applicable("this node is in no cluster: nothing migrates"),
        other @ Stop::Unknown(_) => other,
    })?;
    let settings = [("migration", &cfg.migration), ("replication", &cfg.replication)];
    let with_network = settings.into_iter().filter_map(|(name, setting)| {
        let setting = setting.as_ref()?;
        Some((name, setting.value.network.as_ref()?, setting.value.transfer, setting.line))
    });
    look.each(
        with_network,
        |(name, ..)| Subject::new(SubjectKind::Setting, *name),
        |look, (name, network, transfer, line)| {
            let evidence = Evidence::at(DATACENTER_CFG, *line).key(*name).observed(*network);
            let set = network_of(network).ok_or_else(|| Stop::unknown(DATACENTER_CFG, "names no network"))?;
            Ok(match shared_with_guests(look, |ip| set.contains(ip))? {
                Shared::With(guests, whose) => {
                    let severity =
                        if *transfer == Transfer::Insecure { Severity::High } else { Severity::Low };
                    Judgement::fail(format!("{guests} can speak on {whose}, the network of the {name}"))
                        .severity(severity)
                        .with(evidence)
                }
                Shared::Nobody(whose) => Judgement::pass(format!(
                    "no guest of this node speaks on {whose}, the network of the {name}"
                ))
                .with(evidence),
                Shared::NotHere => {
                    Judgement::unknown("no interface of this node has an address in the network")
                        .with(evidence)
                }
            })
        },
    )
}

fn network_of(text: &str) -> Option<AddressSet> {
    let (address, prefix) = text.split_once('/')?;
    Some(AddressSet::network(Cidr { address: address.parse().ok()?, prefix: prefix.parse().ok()? }))
}

/// Who shares the interface with a wanted address.
enum Shared {
    /// These guests, on this interface.
    With(String, String),
    /// No guest, on this interface.
    Nobody(String),
    /// No interface of this node has the address.
    NotHere,
}

fn shared_with_guests(look: &Look<'_>, wanted: impl Fn(IpAddr) -> bool) -> Result<Shared, Stop> {
    let interfaces = look.take(look.host.interfaces())?;
    let guests = look.take(look.host.guest_nics())?;
    let mut found = None;
    for interface in interfaces.all.values().filter(|interface| interface.ips().any(&wanted)) {
        let name = interface.name.clone();
        let Some(segment) = interfaces.segment(interface) else {
            found = found.or(Some(name));
            continue;
        };
        let (cards, unread) = cards_on(guests, interfaces, &segment);
        if !cards.is_empty() {
            let ids: Vec<u32> = cards.iter().map(|(guest, _)| guest.vmid).collect();
            return Ok(Shared::With(guests_named(&ids), name));
        }
        if let Some(guest) = unread.first() {
            return Err(Stop::unknown(&guest.path, "is not known whole: its network cards may be there"));
        }
        found = found.or(Some(name));
    }
    Ok(found.map_or(Shared::NotHere, Shared::Nobody))
}
