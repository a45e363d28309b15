//! The sets that upstream makes of the software-defined network: what is applied of it
//! (`/etc/pve/sdn/.running-config`) and the addresses given to guests (`/etc/pve/sdn/pve-ipam-state.json`, before that
//! `/etc/pve/priv/ipam.db`).
//!
//! Follows proxmox-ve-config's `sdn/config.rs` and `sdn/ipam.rs`, which both backends use. One thing in a file that is not
//! understood refuses the whole file: pve-firewall then knows no such set, proxmox-firewall loads nothing at all.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::IpAddr;

use serde::Deserialize;

use super::address::{Cidr, Family, to_number};
use super::nft;

/// Longest name of a zone or a virtual network, in characters.
const LONGEST_NAME: usize = 8;

/// Before the number of a guest in the name of the set with its addresses.
const GUEST_SET: &str = "guest-ipam-";

/// Which way packets of a zone go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ZoneKind {
    /// Its networks are on no wire; the node is their router.
    Simple,
    /// A VLAN of a bridge of the node.
    Vlan,
    /// A VLAN in a VLAN.
    Qinq,
    /// Between nodes in UDP.
    Vxlan,
    /// The same, every node being the router.
    Evpn,
}

impl ZoneKind {
    /// Whether the node routes packets of its networks.
    pub fn is_routed(self) -> bool {
        matches!(self, Self::Simple | Self::Evpn)
    }
}

/// A subnet of a virtual network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subnet {
    /// Its addresses.
    pub network: Cidr,
    /// The router.
    pub gateway: Option<IpAddr>,
    /// What DHCP gives away: first and last address.
    pub dhcp: Vec<(IpAddr, IpAddr)>,
}

/// A virtual network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vnet {
    /// Kind of its zone.
    pub kind: ZoneKind,
    /// Its subnets.
    pub subnets: Vec<Subnet>,
}

/// What the nodes were last told of the network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Network {
    /// The virtual networks by name.
    pub vnets: BTreeMap<String, Vnet>,
}

/// The addresses that the IPAM of Proxmox VE gave to guests, by VMID.
pub type Leases = BTreeMap<u32, Vec<IpAddr>>;

/// A set of the software-defined network.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NetworkSet {
    /// Its addresses: first and last.
    pub ranges: Vec<(IpAddr, IpAddr)>,
    /// The addresses taken out of it.
    pub without: Vec<IpAddr>,
}

impl Network {
    /// The set of this name: `VNET-all`, `VNET-gateway`, `VNET-no-gateway` or `VNET-dhcp`.
    pub fn set(&self, name: &str) -> Option<NetworkSet> {
        // The name of a network holds no `-`.
        let (vnet, what) = name.split_once('-')?;
        let subnets = &self.vnets.get(vnet)?.subnets;
        let networks = || subnets.iter().filter_map(|subnet| subnet.network.ends()).collect();
        let gateways = || subnets.iter().filter_map(|subnet| subnet.gateway);
        let (ranges, without) = match what {
            "all" => (networks(), Vec::new()),
            "no-gateway" => (networks(), gateways().collect()),
            "gateway" => (gateways().map(|address| (address, address)).collect(), Vec::new()),
            "dhcp" => (subnets.iter().flat_map(|subnet| subnet.dhcp.clone()).collect(), Vec::new()),
            _ => return None,
        };
        Some(NetworkSet { ranges, without })
    }
}

/// The guest whose addresses the set of this name holds.
pub fn guest_of_set(name: &str) -> Option<u32> {
    name.strip_prefix(GUEST_SET)?.parse().ok()
}

/// The name of a zone or a virtual network.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct Name(String);

impl TryFrom<String> for Name {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let fits = name.len() <= LONGEST_NAME
            && name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if fits { Ok(Self(name)) } else { Err("a name that no zone and no virtual network may have") }
    }
}

/// `ZONE-ADDRESS-PREFIX`
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct SubnetName(Name, Cidr);

impl TryFrom<String> for SubnetName {
    type Error = &'static str;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        let wrong = "the id of a subnet that is not made of zone, address and prefix length";
        let (zone, rest) = name.split_once('-').ok_or(wrong)?;
        let (address, prefix) = rest.split_once('-').ok_or(wrong)?;
        let cidr = nft::cidr(&format!("{address}/{prefix}")).ok_or(wrong)?;
        Ok(Self(Name::try_from(zone.to_owned())?, cidr))
    }
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Kind(ZoneKind);

impl TryFrom<String> for Kind {
    type Error = &'static str;

    fn try_from(kind: String) -> Result<Self, Self::Error> {
        Ok(Self(match kind.as_str() {
            "simple" => ZoneKind::Simple,
            "vlan" => ZoneKind::Vlan,
            "qinq" => ZoneKind::Qinq,
            "vxlan" => ZoneKind::Vxlan,
            "evpn" => ZoneKind::Evpn,
            _ => return Err("a zone of a kind that the firewall does not know"),
        }))
    }
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Dhcp;

impl TryFrom<String> for Dhcp {
    type Error = &'static str;

    fn try_from(dhcp: String) -> Result<Self, Self::Error> {
        if dhcp == "dnsmasq" { Ok(Self) } else { Err("a DHCP server that the firewall does not know") }
    }
}

/// `start-address=A,end-address=B`
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct DhcpRange(IpAddr, IpAddr);

impl TryFrom<String> for DhcpRange {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let wrong = "a DHCP range that is none";
        let mut ends = [None, None];
        for part in text.split(',') {
            let (key, value) = part.split_once('=').ok_or(wrong)?;
            let [start, end] = &mut ends;
            let place = match key.trim() {
                "start-address" => start,
                "end-address" => end,
                _ => return Err(wrong),
            };
            *place = Some(value.trim().parse().map_err(|_| wrong)?);
        }
        let [Some(first), Some(last)] = ends else { return Err(wrong) };
        let ascends = Family::of(first) == Family::of(last) && to_number(first) <= to_number(last);
        if ascends { Ok(Self(first, last)) } else { Err(wrong) }
    }
}

#[derive(Debug, Deserialize)]
struct Ids<K: Ord, V> {
    ids: BTreeMap<K, V>,
}

#[derive(Debug, Deserialize)]
struct RunningZone {
    #[serde(rename = "type")]
    kind: Kind,
    #[serde(rename = "dhcp")]
    _dhcp: Option<Dhcp>,
}

#[derive(Debug, Deserialize)]
struct RunningVnet {
    zone: Name,
    #[serde(rename = "tag")]
    _tag: Option<u32>,
}

#[derive(Debug, Deserialize)]
struct RunningSubnet {
    vnet: Name,
    gateway: Option<IpAddr>,
    #[serde(rename = "snat")]
    _snat: Option<u8>,
    #[serde(rename = "dhcp-range")]
    dhcp: Option<Vec<DhcpRange>>,
}

#[derive(Debug, Deserialize)]
struct Running {
    zones: Option<Ids<Name, RunningZone>>,
    vnets: Option<Ids<Name, RunningVnet>>,
    subnets: Option<Ids<SubnetName, RunningSubnet>>,
}

/// Reads `.running-config`.
///
/// # Errors
/// What makes upstream refuse it.
pub fn applied(text: &str) -> Result<Network, String> {
    let running: Running = serde_json::from_str(text).map_err(refused)?;
    let zones = running.zones.map(|zones| zones.ids).unwrap_or_default();
    let mut network = Network::default();
    let mut zone_of = BTreeMap::new();
    for (name, vnet) in running.vnets.map(|vnets| vnets.ids).unwrap_or_default() {
        let zone = zones.get(&vnet.zone).ok_or("a virtual network is in a zone that does not exist")?;
        network.vnets.insert(name.0.clone(), Vnet { kind: zone.kind.0, subnets: Vec::new() });
        zone_of.insert(name.0, vnet.zone);
    }
    for (SubnetName(zone, cidr), subnet) in running.subnets.map(|subnets| subnets.ids).unwrap_or_default() {
        if subnet.gateway.is_some_and(|gateway| Family::of(gateway) != cidr.family()) {
            return Err("the gateway of a subnet is of another family".to_owned());
        }
        let vnet = network.vnets.get_mut(&subnet.vnet.0);
        let own = vnet.filter(|_| zone_of.get(&subnet.vnet.0) == Some(&zone));
        let own = own.ok_or("a subnet is in a virtual network that its zone does not have")?;
        let dhcp = subnet.dhcp.unwrap_or_default().into_iter().map(|DhcpRange(first, last)| (first, last));
        own.subnets.push(Subnet { network: cidr, gateway: subnet.gateway, dhcp: dhcp.collect() });
    }
    Ok(network)
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
struct Key(Cidr);

impl TryFrom<String> for Key {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        nft::cidr(&text).map(Self).ok_or("a subnet that is no network")
    }
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Mac;

impl TryFrom<String> for Mac {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let is_byte = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        let fits = text.split(':').count() == 6 && text.split(':').all(is_byte);
        if fits { Ok(Self) } else { Err("a MAC address that is none") }
    }
}

#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
struct Vmid(u32);

impl TryFrom<String> for Vmid {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self).map_err(|_| "a VMID that is none")
    }
}

/// Of an entry the first form that fits counts.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Entry {
    Guest {
        vmid: Vmid,
        #[serde(rename = "hostname")]
        _hostname: Option<String>,
        #[serde(rename = "mac")]
        _mac: Mac,
    },
    Gateway {
        #[serde(rename = "gateway")]
        _gateway: u8,
    },
    Custom {
        #[serde(rename = "mac")]
        _mac: Mac,
    },
}

#[derive(Debug, Deserialize)]
struct Given {
    ips: BTreeMap<IpAddr, Entry>,
}

#[derive(Debug, Deserialize)]
struct Subnets {
    subnets: BTreeMap<Key, Given>,
}

#[derive(Debug, Deserialize)]
struct Ipam {
    zones: BTreeMap<Name, Subnets>,
}

/// Reads the state of the IPAM.
///
/// # Errors
/// What makes upstream refuse it.
pub fn leases(text: &str) -> Result<Leases, String> {
    let ipam: Ipam = serde_json::from_str(text).map_err(refused)?;
    let mut leases = Leases::new();
    let subnets = ipam.zones.into_values().flat_map(|zone| zone.subnets);
    for (Key(cidr), given) in subnets {
        let bounds = cidr.bounds().ok_or("a subnet that is no network")?;
        for (address, entry) in given.ips {
            let inside = (bounds.0..=bounds.1).contains(&to_number(address));
            if !inside || Family::of(address) != cidr.family() {
                return Err("an address is not in its subnet".to_owned());
            }
            if let Entry::Guest { vmid, .. } = entry {
                leases.entry(vmid.0).or_default().push(address);
            }
        }
    }
    Ok(leases)
}

/// The words of serde name types of this program and may quote the file; its place is enough.
fn refused(error: impl Display) -> String {
    let text = error.to_string();
    let place = text.rsplit_once(" at line ").map_or("", |(_, place)| place);
    format!("does not have the form that the firewall reads (line {place})")
}
