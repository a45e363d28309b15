//! What the kernel does with packets that are not for the node.

use super::some_of;
use crate::checks::{Judged, Look};
use crate::formats::firewall::Verdict;
use crate::formats::sysctl_conf::normalize;
use crate::host::firewall::Backend;
use crate::host::network::Placed;
use crate::host::{Doubt, Stop};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// Where the kernel keeps the IPv4 settings of interfaces.
const IPV4: &str = "/proc/sys/net/ipv4/conf";

/// The same for IPv6.
const IPV6: &str = "/proc/sys/net/ipv6/conf";

/// Interfaces of guests and of the firewall, which carry no address of the node.
const GUEST_PORTS: [&str; 5] = ["tap", "veth", "fwbr", "fwpr", "fwln"];

/// Whether the node forwards packets, by protocol.
const FORWARDING: [(&str, &str); 2] =
    [("net.ipv4.ip_forward", "IPv4"), ("net.ipv6.conf.all.forwarding", "IPv6")];

/// Whether bridged packets pass the rules of iptables, by family.
const BRIDGE_FILTER: [(&str, &str); 2] =
    [("net.bridge.bridge-nf-call-iptables", "IPv4"), ("net.bridge.bridge-nf-call-ip6tables", "IPv6")];

fn setting(key: &str) -> Subject {
    Subject::new(SubjectKind::Setting, key)
}

/// A kernel parameter as its path and value.
pub(super) fn kernel(look: &Look<'_>, key: &str) -> Result<(String, String), Stop> {
    let (path, value) = look.own(look.host.sysctl(key))?;
    if value.parse::<i32>().is_err() {
        return Err(Stop::unknown(&path, "is no number"));
    }
    Ok((path, value))
}

/// What a file sets a kernel parameter to.
fn configured<'h>(look: &Look<'h>, key: &str) -> Result<Option<&'h Placed<String>>, Stop> {
    Ok(look.take(look.host.sysctl_files())?.get(&normalize(key)))
}

pub(crate) fn node_forwards_packets(look: &Look<'_>) -> Judged {
    look.take(look.host.cluster_files())?;
    look.each(
        FORWARDING,
        |(key, _)| setting(key),
        |look, (key, protocol)| {
            let (on, evidence) = forwarding(look, key)?;
            if !on {
                return Ok(Judgement::pass(format!("the node forwards no {protocol} packets")).with(evidence));
            }
            let judgement = if forwarded_packets_are_dropped(look)? {
                Judgement::pass(format!(
                    "the node forwards {protocol} packets that rules accept, and drops the others"
                ))
            } else {
                Judgement::fail(format!(
                    "the node forwards {protocol} packets between all its networks, and no policy drops any"
                ))
            };
            Ok(judgement.with(evidence.expected("0")))
        },
    )
}

/// Whether packets are forwarded: as the kernel says, or in a tree as files and interfaces switch it on.
fn forwarding(look: &Look<'_>, key: &str) -> Result<(bool, Evidence), Stop> {
    match kernel(look, key) {
        Ok((path, value)) => Ok((value != "0", Evidence::of(path).key(key).observed(value))),
        Err(Stop::Unknown(doubt)) => {
            let told = configured(look, key)?.filter(|placed| placed.value != "0");
            if let Some(told) = told {
                return Ok((true, Evidence::at(&told.path, told.line).key(key).observed(&told.value)));
            }
            let command = switching_on(look, key)?;
            command.map(|evidence| (true, evidence)).ok_or(Stop::Unknown(doubt))
        }
        Err(stop) => Err(stop),
    }
}

/// A command of an interface that switches a parameter on: `echo 1 > /proc/sys/…` or `sysctl -w key=1`.
fn switching_on(look: &Look<'_>, key: &str) -> Result<Option<Evidence>, Stop> {
    let path = format!("/proc/sys/{}", normalize(key));
    let assigned = format!("{key}=1");
    let interfaces = look.take(look.host.interfaces())?;
    let found = interfaces.commands().find(|(_, command)| {
        let text = &command.value.value;
        let echoed = text.contains(&path) && text.split_whitespace().any(|word| word == "1");
        echoed || text.replace(' ', "").contains(&assigned)
    });
    Ok(found.map(|(interface, command)| {
        Evidence::at(&command.path, command.line)
            .key(key)
            .observed(format!("1, when {} comes up", interface.name))
    }))
}

/// Only the nftables backend looks at forwarded packets.
fn forwarded_packets_are_dropped(look: &Look<'_>) -> Result<bool, Stop> {
    let datacenter = look.take(look.host.datacenter_firewall())?;
    let node = look.take(look.host.node_firewall())?;
    let now = look.now.as_second();
    let filtered = datacenter.firewall.is_enabled(now) && node.firewall.is_enabled(now);
    if !filtered || *look.take(look.host.firewall_backend())? == Backend::Iptables {
        return Ok(false);
    }
    Ok(datacenter.firewall.policy_forward() != Verdict::Accept)
}

pub(crate) fn bridge_filter_off(look: &Look<'_>) -> Judged {
    let datacenter = look.take(look.host.datacenter_firewall())?;
    if !datacenter.firewall.is_enabled(look.now.as_second()) {
        return Err(Stop::not_applicable("the firewall of the datacenter is off"));
    }
    look.take(look.host.node_firewall())?;
    if *look.take(look.host.firewall_backend())? == Backend::Nftables {
        return Err(Stop::not_applicable("the nftables backend filters bridged packets by itself"));
    }
    look.each(
        BRIDGE_FILTER,
        |(key, _)| setting(key),
        |look, (key, protocol)| {
            // Files do not count: Proxmox VE itself sets 0 at boot, and pve-firewall 1 whenever it loads rules.
            let (path, value) = kernel(look, key)?;
            let seen = Evidence::of(path).key(*key).observed(&value).expected("1");
            Ok(if value == "0" {
                Judgement::fail(format!("{protocol} packets of guests pass by the rules of the firewall"))
            } else {
                Judgement::pass(format!("{protocol} packets of guests pass the rules"))
            }
            .with(seen))
        },
    )
}

/// The interfaces below a folder of the kernel that may carry an address.
fn kernel_interfaces(look: &Look<'_>, folder: &str) -> Result<Vec<String>, Stop> {
    let entries = look.host.files.list(folder)?;
    let is_own = |name: &str| {
        !matches!(name, "all" | "default" | "lo") && !GUEST_PORTS.iter().any(|port| name.starts_with(port))
    };
    let names: Vec<String> =
        entries.into_iter().map(|entry| entry.name).filter(|name| is_own(name)).collect();
    if names.is_empty() {
        return Err(Stop::Unknown(Doubt::about(folder, "names no interface")));
    }
    Ok(names)
}

/// The value of a parameter of one interface.
fn of_interface(look: &Look<'_>, folder: &str, interface: &str, key: &str) -> Result<String, Stop> {
    let family = if folder == IPV4 { "ipv4" } else { "ipv6" };
    kernel(look, &format!("net/{family}/conf/{interface}/{key}")).map(|(_, value)| value)
}

/// A judgement on the interfaces for which `is_bad` holds.
fn interfaces_judged(
    look: &Look<'_>,
    folder: &'static str,
    key: &'static str,
    what: (&str, &str),
    is_bad: impl Fn(&str) -> Result<bool, Stop>,
) -> Result<Judgement, Stop> {
    let mut bad = Vec::new();
    for interface in kernel_interfaces(look, folder)? {
        if is_bad(&interface)? {
            bad.push(interface);
        }
    }
    if bad.is_empty() {
        return Ok(Judgement::pass(what.1.to_owned()));
    }
    let seen = bad.iter().take(super::MOST_EVIDENCE);
    let seen = seen.map(|name| Evidence::of(format!("{folder}/{name}/{key}")).key(key));
    Ok(Judgement::fail(format!("{}: {}", what.0, some_of(&bad))).with_all(seen))
}

pub(crate) fn reverse_path_filter_off(look: &Look<'_>) -> Judged {
    // The larger of the two values counts for an interface.
    let all = of_interface(look, IPV4, "all", "rp_filter")?;
    let what = (
        "packets with a source address that belongs behind another interface are taken",
        "packets are taken only where their sender can be behind an interface of the node",
    );
    let judgement = interfaces_judged(look, IPV4, "rp_filter", what, |name| {
        Ok(all == "0" && of_interface(look, IPV4, name, "rp_filter")? == "0")
    })?;
    look.one(Subject::node(), judgement)
}

pub(crate) fn redirects_accepted(look: &Look<'_>) -> Judged {
    look.each(
        [(IPV4, "net.ipv4"), (IPV6, "net.ipv6")],
        |(_, family)| setting(&format!("{family}.conf.*.accept_redirects")),
        |look, (folder, _)| {
            let what =
                ("others can change the routes of the node", "nobody else can change the routes of the node");
            let all = of_interface(look, folder, "all", "accept_redirects")? != "0";
            interfaces_judged(look, folder, "accept_redirects", what, |name| {
                let own = of_interface(look, folder, name, "accept_redirects")? != "0";
                let routes = of_interface(look, folder, name, "forwarding")? != "0";
                // IPv6 asks the interface alone, and a router takes none.
                Ok(match (*folder == IPV4, routes) {
                    (true, true) => all && own,
                    (true, false) => all || own,
                    (false, routes) => own && !routes,
                })
            })
        },
    )
}

pub(crate) fn redirects_sent(look: &Look<'_>) -> Judged {
    let all = of_interface(look, IPV4, "all", "send_redirects")? != "0";
    let what = ("the node tells others to change their routes", "the node tells nobody to change his routes");
    let judgement = interfaces_judged(look, IPV4, "send_redirects", what, |name| {
        let own = of_interface(look, IPV4, name, "send_redirects")? != "0";
        // Only a router sends them.
        Ok((all || own) && of_interface(look, IPV4, name, "forwarding")? != "0")
    })?;
    look.one(Subject::node(), judgement)
}
