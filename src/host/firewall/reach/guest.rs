//! Who reaches the guests of the node.

use std::net::IpAddr;

use super::path::{self, Way};
use super::walk::{self, Chain};
use super::{Backend, Exposure, Place, Reach, alike, iptables, nftables, why};
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
        let guest = self.guests().find(|guest| guest.vmid == vmid);
        let guest = guest.ok_or_else(|| format!("there is no guest {vmid} on this node"))?;
        self.chains_of(guest, card)
    }

    /// The same of a guest that is at hand.
    ///
    /// # Errors
    /// If it has no network card, or not this one.
    pub fn chains_of(&self, guest: &'h Guest, card: Option<u32>) -> Result<GuestChains<'h>, String> {
        let vmid = guest.vmid;
        let cards = cards(guest);
        if cards.as_ref().is_ok_and(Vec::is_empty) && card.is_none() {
            return Err(format!("the guest {vmid} has no network card"));
        }
        let (datacenter, _, backend) = match self.before_rules() {
            Ok(known) => known,
            Err(decided) => return Ok(GuestChains::Decided(decided)),
        };
        let cards = match cards {
            Ok(cards) => cards,
            Err(why) => return Ok(GuestChains::Decided(Exposure::unknown(&why))),
        };
        let wanted: Vec<&Card> =
            cards.iter().filter(|own| card.is_none_or(|number| own.number == number)).collect();
        if let Some(number) = card.filter(|_| wanted.is_empty()) {
            return Err(format!("the guest {vmid} has no net{number}"));
        }
        let files = self.host.guest_firewalls().value.as_ref().map_err(why);
        let file = match files.map(|files| files.get(&vmid).map(|fact| fact.value.as_ref().map_err(why))) {
            Ok(Some(Ok(file))) => Ok(file),
            Ok(Some(Err(why))) | Err(why) => Err(why),
            Ok(None) => Err(format!("the firewall file of the guest {vmid} was not read")),
        };
        let own = |card: &Card| match (&file, card.filtered) {
            (_, false) => CardChain::Open(Place::named("nic-unfiltered").because_of(&guest.path, None)),
            (Err(why), true) => CardChain::Unknown(why.clone()),
            (Ok(file), true) => match backend {
                Backend::Iptables => iptables::guest(self, datacenter, file, card),
                Backend::Nftables => nftables::guest(self, datacenter, file, card),
            },
        };
        let one = |card: &Card| CardWay { own: own(card), way: self.way(card) };
        Ok(GuestChains::Cards(wanted.into_iter().map(one).collect()))
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

/// The network cards of a guest.
pub(super) fn cards(guest: &Guest) -> Result<Vec<Card>, String> {
    let number = |option: &str| option.strip_prefix("net")?.parse().ok();
    let config = guest.config.value.as_ref().map_err(why)?;
    let card = |option: &str, filtered, bridge: Option<String>, addresses| {
        Some(Card { number: number(option)?, filtered, addresses, bridge })
    };
    Ok(match config {
        GuestConfig::Vm(config) => {
            let nics = config.current.nics().into_iter();
            nics.filter_map(|nic| card(&nic.option, nic.firewall, nic.bridge, Vec::new())).collect()
        }
        GuestConfig::Container(config) => {
            let nics = config.current.nics().into_iter();
            nics.filter_map(|nic| card(&nic.option, nic.firewall, nic.bridge, nic.addresses)).collect()
        }
    })
}
