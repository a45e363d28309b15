//! The network of the node: interfaces, what guests share with it, the software-defined network, listening sockets.

pub mod guests;
mod include;
pub mod sdn;
mod sysctl;
#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Fact, Host, Stop};
use crate::formats::firewall::address::Cidr;
use crate::formats::interfaces::{self, Attribute, Stanza};
use crate::formats::proc_net::{self, Listener};

use guests::GuestNics;
use sdn::Sdn;

/// The interfaces of the node.
pub const INTERFACES: &str = "/etc/network/interfaces";

/// The tables of sockets of the running kernel: path, protocol.
const SOCKET_TABLES: [(&str, &str); 4] = [
    ("/proc/net/tcp", "tcp"),
    ("/proc/net/tcp6", "tcp"),
    ("/proc/net/udp", "udp"),
    ("/proc/net/udp6", "udp"),
];

/// The VLAN a VLAN-aware bridge gives to untagged frames (`bridge-pvid`).
const DEFAULT_VLAN: u16 = 1;

#[derive(Default)]
pub(super) struct Facts {
    interfaces: OnceCell<Fact<Interfaces>>,
    nics: OnceCell<Fact<Vec<GuestNics>>>,
    sdn: OnceCell<Fact<Sdn>>,
    services: OnceCell<Fact<Vec<sdn::OutsideService>>>,
    sockets: OnceCell<Fact<Vec<Socket>>>,
    sysctls: OnceCell<Fact<BTreeMap<String, Placed<String>>>>,
}

/// A value with its file and line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// The file.
    pub path: String,
    /// Line in the file, counted from 1.
    pub line: u32,
}

/// An interface, all its stanzas together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// The attributes of all its stanzas in order.
    pub attributes: Vec<Placed<Attribute>>,
    /// The stanzas: family and method as they are written.
    pub stanzas: Vec<Placed<(String, String)>>,
}

/// The interfaces of the node by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interfaces {
    /// All of them.
    pub all: BTreeMap<String, Interface>,
}

/// Where a frame of the node ends up: a bridge, and the VLAN on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The bridge.
    pub bridge: String,
    /// The VLAN with which the frames are tagged; `None` for untagged ones.
    pub vlan: Option<u16>,
}

/// A socket that waits for whoever comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// `tcp` or `udp`.
    pub protocol: &'static str,
    /// The table it stands in.
    pub path: &'static str,
    /// Where it waits.
    pub listener: Listener,
}

impl Interface {
    fn add(&mut self, stanza: Stanza, path: &str) {
        let Stanza { family, method, attributes, line, .. } = stanza;
        let words = (family.unwrap_or_default(), method.unwrap_or_default());
        self.stanzas.push(Placed { value: words, path: path.to_owned(), line });
        let placed =
            |attribute: Attribute| Placed { line: attribute.line, path: path.to_owned(), value: attribute };
        self.attributes.extend(attributes.into_iter().map(placed));
    }

    /// The attributes of this name.
    pub fn every<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Placed<Attribute>> {
        self.attributes.iter().filter(move |placed| placed.value.name == name)
    }

    /// The first attribute of this name: the one ifupdown2 takes where only one can count.
    pub fn first(&self, name: &str) -> Option<&Placed<Attribute>> {
        self.attributes.iter().find(|placed| placed.value.name == name)
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.first(name).map(|placed| placed.value.value.as_str())
    }

    /// Whether it is a bridge of Open vSwitch.
    pub fn is_ovs_bridge(&self) -> bool {
        self.text("ovs-type") == Some("OVSBridge")
    }

    /// Whether it is a bridge.
    pub fn is_bridge(&self) -> bool {
        self.first("bridge-ports").is_some() || self.is_ovs_bridge()
    }

    /// Whether the bridge keeps VLANs apart.
    pub fn is_vlan_aware(&self) -> bool {
        self.text("bridge-vlan-aware").is_some_and(interfaces::is_true)
    }

    /// The VLAN of untagged frames on a VLAN-aware bridge.
    pub fn untagged_vlan(&self) -> u16 {
        self.text("bridge-pvid").and_then(|vlan| vlan.parse().ok()).unwrap_or(DEFAULT_VLAN)
    }

    /// The ports of a bridge; patterns and `none` are left out.
    pub fn has_ports(&self) -> bool {
        let ports = self.text("bridge-ports").or_else(|| self.text("ovs-ports")).unwrap_or_default();
        ports.split_whitespace().any(|port| port != "none")
    }

    /// Its addresses as they are written, and how it gets others.
    pub fn addresses(&self) -> Vec<(&str, &str, u32)> {
        let written =
            self.every("address").map(|one| (one.value.value.as_str(), one.path.as_str(), one.line));
        let asked = self.stanzas.iter().filter_map(|one| match one.value.1.as_str() {
            method @ ("dhcp" | "dhcp6" | "auto") => Some((method, one.path.as_str(), one.line)),
            _ => None,
        });
        written.chain(asked).collect()
    }

    /// Its addresses with their prefix lengths, as far as they are written as such, and what is written and is none.
    pub fn networks(&self) -> (Vec<Cidr>, Vec<&Placed<Attribute>>) {
        let (mut networks, mut wrong): (Vec<(Cidr, bool)>, Vec<_>) = (Vec::new(), Vec::new());
        for attribute in &self.attributes {
            let value = attribute.value.value.split_whitespace().next().unwrap_or_default();
            match attribute.value.name.as_str() {
                "address" => match interfaces::network(value) {
                    Some(network) => networks.push((network, value.contains('/'))),
                    None => wrong.push(attribute),
                },
                // An old writing: the netmask of an address stands on a line of its own.
                "netmask" => match (networks.last_mut(), interfaces::prefix(value)) {
                    (Some((network, false)), Some(prefix)) => network.prefix = prefix,
                    (Some((_, true)), Some(_)) => {}
                    _ => wrong.push(attribute),
                },
                _ => {}
            }
        }
        (networks.into_iter().map(|(network, _)| network).collect(), wrong)
    }

    /// The interfaces that a bridge or bond makes one of; patterns are left out.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        let lists = ["bridge-ports", "ovs-ports", "bond-slaves", "ovs-bonds"].map(|name| self.text(name));
        lists.into_iter().flatten().flat_map(str::split_whitespace).filter(|name| *name != "none")
    }

    /// Whether the node itself speaks through it: it has an address, gets one, or is made for that.
    pub fn speaks(&self) -> bool {
        !self.addresses().is_empty() || self.text("ovs-type") == Some("OVSIntPort")
    }

    /// Its addresses that are written as such.
    pub fn ips(&self) -> impl Iterator<Item = IpAddr> {
        self.every("address").filter_map(|one| one.value.value.split('/').next()?.parse().ok())
    }
}

impl Interfaces {
    /// The bridge this interface speaks on, directly or through a VLAN; `None` for one that is on no bridge.
    pub fn segment(&self, interface: &Interface) -> Option<Segment> {
        if interface.is_bridge() {
            return Some(Segment { bridge: interface.name.clone(), vlan: None });
        }
        if interface.text("ovs-type") == Some("OVSIntPort") {
            let bridge = interface.text("ovs-bridge")?.to_owned();
            let options = interface.text("ovs-options").unwrap_or_default();
            let tag = options.split_whitespace().find_map(|option| option.strip_prefix("tag=")?.parse().ok());
            return Some(Segment { bridge, vlan: tag });
        }
        let (device, vlan) = raw_device(interface)?;
        let bridge = self.all.get(&device).filter(|device| device.is_bridge())?;
        Some(Segment { bridge: bridge.name.clone(), vlan: Some(vlan) })
    }

    /// The interfaces of the node that have an address and speak on a bridge.
    pub fn on_bridges(&self) -> impl Iterator<Item = (&Interface, Segment)> {
        let addressed = self.all.values().filter(|interface| !interface.addresses().is_empty());
        addressed.filter_map(|interface| Some((interface, self.segment(interface)?)))
    }

    /// The commands run when interfaces come up.
    pub fn commands(&self) -> impl Iterator<Item = (&Interface, &Placed<Attribute>)> {
        const HOOKS: [&str; 3] = ["pre-up", "up", "post-up"];
        self.all.values().flat_map(|interface| {
            let run = interface.attributes.iter().filter(|one| HOOKS.contains(&one.value.name.as_str()));
            run.map(move |one| (interface, one))
        })
    }
}

/// What a VLAN interface stands on, and its VLAN: `DEVICE.ID`, or `vlan-raw-device` with the number in the name.
fn raw_device(interface: &Interface) -> Option<(String, u16)> {
    let dotted = interface.name.rsplit_once('.');
    let dotted = dotted.and_then(|(device, vlan)| Some((device.to_owned(), vlan.parse::<u16>().ok()?)));
    let Some(device) = interface.text("vlan-raw-device") else { return dotted };
    let id = interface.text("vlan-id").and_then(|vlan| vlan.parse().ok());
    let named = || interface.name.trim_start_matches(|each: char| !each.is_ascii_digit()).parse().ok();
    let vlan = id.or(dotted.map(|(_, vlan)| vlan)).or_else(named)?;
    Some((device.to_owned(), vlan))
}

impl Socket {
    /// Whether it waits for others than the node itself.
    pub fn is_open(&self) -> bool {
        !self.listener.address.is_loopback()
    }

    /// Whether it may be one of a client: a UDP socket on a port that the kernel picks by itself.
    pub fn may_be_client(&self) -> bool {
        /// From here on the kernel picks ports (`ip_local_port_range`).
        const FIRST_EPHEMERAL: u16 = 32768;
        self.protocol == "udp" && self.listener.port >= FIRST_EPHEMERAL
    }
}

impl Host {
    /// `/etc/network/interfaces` and everything it pulls in, as ifupdown2 reads it. Every node has the file; without it
    /// nothing is known of its interfaces.
    pub fn interfaces(&self) -> &Fact<Interfaces> {
        self.network.interfaces.get_or_init(|| Fact::gather(&self.files, include::read))
    }

    /// The kernel parameters that files set at boot, by their path below `/proc/sys`. What is in force the kernel tells.
    pub fn sysctl_files(&self) -> &Fact<BTreeMap<String, Placed<String>>> {
        self.network.sysctls.get_or_init(|| Fact::gather(&self.files, |gather| Ok(sysctl::read(gather))))
    }

    /// The sockets that wait for whoever comes. Unknown in a tree, where nothing runs; a kernel without IPv6 has no
    /// tables for it.
    pub fn sockets(&self) -> &Fact<Vec<Socket>> {
        self.network.sockets.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let mut all = Vec::new();
                for (path, protocol) in SOCKET_TABLES {
                    let text = if path.ends_with('6') {
                        gather.optional(path)?
                    } else {
                        Some(gather.required(path)?)
                    };
                    let Some(text) = text else {
                        // A kernel without IPv6 has no such table.
                        self.defaults_hold(gather, path);
                        continue;
                    };
                    if !text.trim_start().starts_with("sl") {
                        return Err(Stop::unknown(path, "is no table of sockets"));
                    }
                    let found = gather.parsed(path, proc_net::parse(&text, protocol == "udp"));
                    all.extend(found.into_iter().map(|listener| Socket { protocol, path, listener }));
                }
                Ok(all)
            })
        })
    }
}
