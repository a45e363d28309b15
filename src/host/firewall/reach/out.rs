//! What becomes of packets that the node or a guest sends: its own rules on the way out, then those of whom they
//! go to.

use std::net::IpAddr;

use super::guest::{Card, CardChain, Rules, cards};
use super::walk::{self, Addresses};
use super::{Backend, Exposure, Part, Place, Reach, Target, iptables, nftables, path};
use crate::formats::firewall::address::{Cidr, Family};
use crate::formats::firewall::rule::Direction;
use crate::host::firewall::File;
use crate::host::firewall::cover::AddressSet;
use crate::host::guests::Guest;

/// Who sends packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// Whoever has this address.
    Address(IpAddr),
    /// The node.
    Node,
    /// A guest of this node, through any of its network cards or the one of this number.
    Guest(u32, Option<u32>),
}

/// Whom they go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receiver {
    /// This address.
    Address(IpAddr),
    /// The node or a guest.
    Target(Target),
}

/// What becomes of one packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journey<'h> {
    /// Whether anything on its way filters.
    pub filtering: bool,
    /// Its fate and what decides it.
    pub part: Part<'h>,
}

impl<'h> Reach<'h> {
    /// What becomes of a packet. Of the addresses and network cards that the sender may use, those with the most open
    /// answer count.
    ///
    /// # Errors
    /// If there is no such guest on this node, no such network card, or nothing to pass.
    pub fn journey(
        &self,
        from: Sender,
        to: Receiver,
        protocol: u16,
        port: u16,
    ) -> Result<Journey<'h>, String> {
        let arrival = match to {
            Receiver::Target(Target::Node) => Some(self.served_exposure(protocol, port)),
            Receiver::Target(target) => Some(self.exposure(target, protocol, port)?),
            Receiver::Address(_) => None,
        };
        let departure = match (from, to) {
            (Sender::Address(_), _) | (Sender::Node, Receiver::Target(Target::Node)) => None,
            (Sender::Node, _) => Some(self.node_departure(&self.destinations(to)?, protocol, port)),
            (Sender::Guest(vmid, card), _) => {
                let to_node = to == Receiver::Target(Target::Node);
                let destinations = self.destinations(to)?;
                Some(self.guest_departure(vmid, card, &destinations, to_node, protocol, port)?)
            }
        };
        let whole = match (departure, arrival) {
            (Some(first), Some(then)) => Exposure {
                filtering: first.filtering || then.filtering,
                parts: path::one_after_the_other(&first.parts, &then.parts),
            },
            (Some(only), None) | (None, Some(only)) => only,
            (None, None) => return Err("one end has to be the node or a guest of it".to_owned()),
        };
        let mut sources = self.sources(from)?;
        if let Receiver::Address(address) = to {
            sources = of_family(&sources, Family::of(address));
        }
        let possible = path::within(&whole.parts, &sources);
        let most_open = possible.into_iter().min_by_key(|one| one.outcome.closedness());
        let fate = most_open.ok_or("sender and receiver have no address of the same family")?;
        Ok(Journey { filtering: whole.filtering, part: fate })
    }

    /// The addresses that the sender may use; all where they are not known.
    fn sources(&self, from: Sender) -> Result<AddressSet, String> {
        let known = match from {
            Sender::Address(address) => AddressSet::network(Cidr::host(address)),
            Sender::Node => self.local().own(),
            Sender::Guest(vmid, card) => {
                let cards = self.cards_of(self.guest(vmid)?, card)?;
                let addresses = cards.iter().flat_map(|card| &card.addresses);
                let hosts: Vec<Cidr> = addresses.copied().map(Cidr::host).collect();
                AddressSet::of_networks(&hosts)
            }
        };
        Ok(if known.is_empty() { AddressSet::everything() } else { known })
    }

    fn destinations(&self, to: Receiver) -> Result<Addresses, String> {
        Ok(match to {
            Receiver::Address(address) => Addresses::only(address),
            Receiver::Target(Target::Node) => self.local().addresses(),
            Receiver::Target(Target::Guest(vmid, card)) => {
                let cards = self.cards_of(self.guest(vmid)?, card)?;
                let all: Vec<IpAddr> = cards.into_iter().flat_map(|card| card.addresses).collect();
                Addresses::of_guest(&all)
            }
        })
    }

    fn node_departure(&self, to: &Addresses, protocol: u16, port: u16) -> Exposure<'h> {
        let (datacenter, node, backend) = match self.before_rules() {
            Ok(known) => known,
            Err(decided) => return decided,
        };
        if let Some(off) = self.node_off(node, backend) {
            return off;
        }
        let chain = match backend {
            Backend::Iptables => iptables::node_out(self, datacenter, node),
            Backend::Nftables => nftables::node_out(self, datacenter, node),
        };
        let parts = chain.walk_to(to, protocol, port, &self.memo);
        self.without_unloaded_v6(Exposure { filtering: true, parts })
    }

    fn guest_departure(
        &self,
        vmid: u32,
        card: Option<u32>,
        to: &Addresses,
        to_node: bool,
        protocol: u16,
        port: u16,
    ) -> Result<Exposure<'h>, String> {
        let guest = self.guest(vmid)?;
        let cards = match cards(guest) {
            Ok(_) => self.cards_of(guest, card)?,
            Err(why) => return Ok(Exposure::unknown(&why)),
        };
        let (datacenter, _, backend) = match self.before_rules() {
            Ok(known) => known,
            Err(decided) => return Ok(decided),
        };
        let file = self.file_of(vmid);
        let leave = |card: &Card| {
            let own = self.leaving(guest, card, &file, datacenter, backend);
            let mut exposure = match own {
                CardChain::Open(place) => Exposure::open(place),
                CardChain::Unknown(why) => Exposure::unknown(&why),
                CardChain::Filtered(Rules(chain)) => {
                    let parts = chain.walk_to(to, protocol, port, &self.memo);
                    self.without_unloaded_v6(Exposure { filtering: true, parts })
                }
            };
            // What goes to the node passes the virtual network in front of the rules of the node.
            if let Some(way) = self.way(card).filter(|_| !to_node) {
                exposure.filtering = true;
                let parts = way.parts_to(to, protocol, port, self);
                exposure.parts = path::one_after_the_other(&exposure.parts, &parts);
            }
            exposure
        };
        let all: Vec<Exposure<'h>> = cards.iter().map(leave).collect();
        let filtering = all.iter().all(|exposure| exposure.filtering);
        let parts = walk::merge(all.into_iter().map(|exposure| exposure.parts).collect());
        Ok(Exposure { filtering, parts })
    }

    fn leaving(
        &self,
        guest: &'h Guest,
        card: &Card,
        file: &Result<&'h File, String>,
        datacenter: &'h File,
        backend: Backend,
    ) -> CardChain<'h> {
        match (file, card.filtered) {
            (_, false) => CardChain::Open(Place::named("nic-unfiltered").because_of(&guest.path, None)),
            (Err(why), true) => CardChain::Unknown(why.clone()),
            (Ok(file), true) => match backend {
                Backend::Iptables => iptables::guest_out(self, datacenter, file, card),
                Backend::Nftables => nftables::guest(self, datacenter, file, card, Direction::Out),
            },
        }
    }
}

fn of_family(sources: &AddressSet, family: Family) -> AddressSet {
    let whole = AddressSet::family(family);
    let own = sources.intersect(&whole);
    if own.is_empty() { whole } else { own }
}
