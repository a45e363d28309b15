//! Who reaches the guests of the node.

use std::net::{IpAddr, Ipv6Addr};

use super::path::{self, Way};
use super::walk::{self, Chain};
use super::{Backend, Exposure, Place, Reach, alike, iptables, nftables, why};
use crate::formats::firewall::rule::Direction;
use crate::host::firewall::File;
use crate::host::guests::{Guest, GuestConfig};

/// A network card of a guest, as the firewall sees it.
#[derive(Debug, Clone)]
pub(super) struct Card {
    /// `N` of `netN`.
    pub(super) number: u32,
    /// `firewall=1`
    pub(super) filtered: bool,
    /// The addresses that the configuration gives it.
    pub(super) addresses: Vec<IpAddr>,
    /// Its link-local address, which comes from its MAC address; none if that is not known.
    pub(super) link_local: Option<IpAddr>,
    /// The bridge or virtual network it is on.
    pub(super) bridge: Option<String>,
}

impl<'h> Reach<'h> {
    pub(super) fn guest_exposure(
        &self,
        vmid: u32,
        card: Option<u32>,
        protocol: u16,
        port: u16,
    ) -> Result<Exposure<'h>, String> {
        let chains = self.guest_chains(vmid, card)?;
        Ok(chains.exposure(protocol, port, self))
    }

    /// What decides about packets to a guest, made once for many ports.
    ///
    /// # Errors
    /// If there is no such guest on this node, or no such network card.
    pub fn guest_chains(&self, vmid: u32, card: Option<u32>) -> Result<GuestChains<'h>, String> {
        self.chains_of(self.guest(vmid)?, card)
    }

    pub(super) fn guest(&self, vmid: u32) -> Result<&'h Guest, String> {
        let guest = self.guests().find(|guest| guest.vmid == vmid);
        guest.ok_or_else(|| format!("there is no guest {vmid} on this node"))
    }

    /// The network cards of a guest, or the one of this number. None of a guest whose configuration is not known.
    #[expect(clippy::unused_self, reason = "read with the other questions about a guest")]
    pub(super) fn cards_of(&self, guest: &Guest, card: Option<u32>) -> Result<Vec<Card>, String> {
        Ok(wanted(guest, card)?.unwrap_or_default())
    }

    /// The firewall file of a guest, or why it is not known.
    pub(super) fn file_of(&self, vmid: u32) -> Result<&'h File, String> {
        let files = self.host.guest_firewalls().value.as_ref().map_err(why)?;
        let fact = files.get(&vmid);
        let fact = fact.ok_or_else(|| format!("the firewall file of the guest {vmid} was not read"))?;
        fact.value.as_ref().map_err(why)
    }

    /// The same of a guest that is at hand.
    ///
    /// # Errors
    /// If it has no network card, or not this one.
    pub fn chains_of(&self, guest: &'h Guest, card: Option<u32>) -> Result<GuestChains<'h>, String> {
        let wanted = wanted(guest, card)?;
        let (datacenter, _, backend) = match self.before_rules() {
            Ok(known) => known,
            Err(decided) => return Ok(GuestChains::Decided(decided)),
        };
        let wanted = match wanted {
            Ok(cards) => cards,
            Err(why) => return Ok(GuestChains::Decided(Exposure::unknown(&why))),
        };
        let file = self.file_of(guest.vmid);
        let own = |card: &Card| match (&file, card.filtered) {
            (_, false) => CardChain::Open(Place::named("nic-unfiltered").because_of(&guest.path, None)),
            (Err(why), true) => CardChain::Unknown(why.clone()),
            (Ok(file), true) => match backend {
                Backend::Iptables => iptables::guest(self, datacenter, file, card),
                Backend::Nftables => nftables::guest(self, datacenter, file, card, Direction::In),
            },
        };
        let one = |card: &Card| CardWay { own: own(card), way: self.way(card) };
        Ok(GuestChains::Cards(wanted.iter().map(one).collect()))
    }
}

/// What decides about packets to a guest.
pub enum GuestChains<'h> {
    /// Something before any rule.
    Decided(Exposure<'h>),
    /// What is in front of each network card.
    Cards(Vec<CardWay<'h>>),
}

/// What decides about packets to a network card.
pub struct CardWay<'h> {
    own: CardChain<'h>,
    /// What lies on the way there.
    way: Option<Way<'h>>,
}

/// What a network card itself lets in.
pub(super) enum CardChain<'h> {
    /// They are not filtered.
    Open(Place<'h>),
    /// That is not known.
    Unknown(String),
    /// A chain of rules.
    Filtered(Rules<'h>),
}

impl<'h> CardWay<'h> {
    fn chains(&self) -> impl Iterator<Item = &Chain<'h>> {
        let own = if let CardChain::Filtered(Rules(chain)) = &self.own { Some(chain) } else { None };
        own.into_iter().chain(self.way.iter().flat_map(Way::chains))
    }

    fn exposure(&self, protocol: u16, port: u16, reach: &Reach<'h>) -> Exposure<'h> {
        let own = match &self.own {
            CardChain::Open(place) => Exposure::open(*place),
            CardChain::Unknown(why) => Exposure::unknown(why),
            CardChain::Filtered(Rules(chain)) => {
                let parts = chain.walk(protocol, port, &reach.memo);
                reach.without_unloaded_v6(Exposure { filtering: true, parts })
            }
        };
        let Some(way) = &self.way else { return own };
        let parts = path::one_after_the_other(&way.parts(protocol, port, reach), &own.parts);
        Exposure { filtering: true, parts }
    }
}

/// The rules of a chain.
pub(super) struct Rules<'h>(pub(super) Chain<'h>);

impl<'h> GuestChains<'h> {
    /// Who reaches the ports of the guest: runs of ports with the same exposure, which together are all ports.
    pub fn exposures(&self, protocol: u16, reach: &Reach<'h>) -> Vec<(Vec<(u16, u16)>, Exposure<'h>)> {
        const ALL: (u16, u16) = (1, u16::MAX);
        let chains: Vec<&Chain<'h>> = match self {
            Self::Decided(_) => Vec::new(),
            Self::Cards(cards) => cards.iter().flat_map(CardWay::chains).collect(),
        };
        let runs = match chains.as_slice() {
            [] => vec![(ALL, 0)],
            [one] => one.runs(protocol, ALL),
            many => walk::runs_of(many, protocol, ALL),
        };
        alike(runs, |port| self.exposure(protocol, port, reach))
    }

    /// Who reaches a port of the guest.
    pub fn exposure(&self, protocol: u16, port: u16, reach: &Reach<'h>) -> Exposure<'h> {
        let cards = match self {
            Self::Decided(exposure) => return exposure.clone(),
            Self::Cards(cards) => cards,
        };
        let exposures = cards.iter().map(|card| card.exposure(protocol, port, reach));
        let mut exposures: Vec<Exposure<'h>> = exposures.collect();
        if exposures.len() < 2 {
            return exposures.pop().unwrap_or_else(|| Exposure::unknown("the guest has no network card"));
        }
        let filtering = exposures.iter().all(|exposure| exposure.filtering);
        Exposure {
            filtering,
            parts: walk::merge(exposures.into_iter().map(|exposure| exposure.parts).collect()),
        }
    }
}

/// The network cards of a guest, or the one of this number; or why its configuration is not known.
fn wanted(guest: &Guest, card: Option<u32>) -> Result<Result<Vec<Card>, String>, String> {
    let vmid = guest.vmid;
    let mut cards = match cards(guest) {
        Ok(cards) => cards,
        Err(why) => return Ok(Err(why)),
    };
    if cards.is_empty() && card.is_none() {
        return Err(format!("the guest {vmid} has no network card"));
    }
    cards.retain(|own| card.is_none_or(|number| own.number == number));
    match card.filter(|_| cards.is_empty()) {
        Some(number) => Err(format!("the guest {vmid} has no net{number}")),
        None => Ok(Ok(cards)),
    }
}

/// The network cards of a guest.
pub(super) fn cards(guest: &Guest) -> Result<Vec<Card>, String> {
    let number = |option: &str| option.strip_prefix("net")?.parse().ok();
    let config = guest.config.value.as_ref().map_err(why)?;
    let card = |option: &str, filtered, bridge: Option<String>, addresses, mac: Option<String>| {
        let link_local = mac.as_deref().and_then(link_local);
        Some(Card { number: number(option)?, filtered, addresses, link_local, bridge })
    };
    Ok(match config {
        GuestConfig::Vm(config) => {
            let nics = config.current.nics().into_iter();
            nics.filter_map(|nic| card(&nic.option, nic.firewall, nic.bridge, Vec::new(), nic.mac)).collect()
        }
        GuestConfig::Container(config) => {
            let nics = config.current.nics().into_iter();
            nics.filter_map(|nic| card(&nic.option, nic.firewall, nic.bridge, nic.addresses, nic.mac))
                .collect()
        }
    })
}

/// `mac_to_linklocal`: the address that IPv6 derives from a MAC address.
fn link_local(mac: &str) -> Option<IpAddr> {
    const FLIPPED: u8 = 0x02;
    let bytes: Vec<u8> = mac.split(':').map_while(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    let [first, vendor @ .., x, y, z] = bytes.as_slice() else { return None };
    let [second, third] = vendor else { return None };
    let words = [[*first ^ FLIPPED, *second], [*third, 0xff], [0xfe, *x], [*y, *z]];
    let [first, second, third, last] = words.map(u16::from_be_bytes);
    Some(Ipv6Addr::new(0xfe80, 0, 0, 0, first, second, third, last).into())
}
