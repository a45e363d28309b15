//! The cluster: how its nodes talk, and what the datacenter sets for all of them.

use super::{Judged, Look};
use crate::formats::Located;
use crate::formats::corosync_conf::{Node, Transport};
use crate::formats::datacenter_cfg::{DEFAULT_PACKAGE_UPDATES, DatacenterCfg, Transfer};
use crate::host::corosync::{COROSYNC_CONF, COROSYNC_COPY};
use crate::host::datacenter::DATACENTER_CFG;
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
