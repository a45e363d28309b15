//! The network cards of the guests on this node, and what they can speak on.

use super::{Interface, Interfaces, Segment};
use crate::formats::guest::lxc::CtNic;
use crate::formats::guest::qemu::Nic as VmNic;
use crate::host::guests::{Guest, GuestConfig};
use crate::host::{Fact, Host};

/// A virtual network card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nic {
    /// The option, such as `net0`.
    pub option: String,
    /// Line in the guest's file, counted from 1.
    pub line: u32,
    /// The bridge or virtual network.
    pub bridge: String,
    /// The VLAN of its untagged frames.
    pub tag: Option<u16>,
    /// The VLANs it may tag itself: numbers and ranges.
    pub trunks: Vec<String>,
    /// Whether the firewall looks at it.
    pub firewall: bool,
}

/// A guest that is on this node, with its network cards. Templates never run and are left out.
#[derive(Debug, Clone)]
pub struct GuestNics {
    /// Its id.
    pub vmid: u32,
    /// Its configuration file.
    pub path: String,
    /// Its cards on bridges.
    pub nics: Vec<Nic>,
    /// Whether its configuration could be read whole.
    pub is_known: bool,
}

impl From<VmNic> for Nic {
    fn from(nic: VmNic) -> Self {
        let VmNic { option, line, bridge, tag, trunks, firewall, .. } = nic;
        Self { option, line, bridge: bridge.unwrap_or_default(), tag, trunks, firewall }
    }
}

impl From<CtNic> for Nic {
    fn from(nic: CtNic) -> Self {
        let CtNic { option, line, bridge, tag, trunks, firewall, .. } = nic;
        Self { option, line, bridge: bridge.unwrap_or_default(), tag, trunks, firewall }
    }
}

/// The cards of a guest that are on a bridge. A link that is down is one click away from being up.
pub fn nics(guest: &Guest) -> Vec<Nic> {
    let all: Vec<Nic> = match guest.known() {
        Some(GuestConfig::Vm(config)) => config.current.nics().into_iter().map(Nic::from).collect(),
        Some(GuestConfig::Container(config)) => config.current.nics().into_iter().map(Nic::from).collect(),
        None => Vec::new(),
    };
    all.into_iter().filter(|nic| !nic.bridge.is_empty()).collect()
}

/// Whether one of the trunks of a card, `5` or `10-20`, is this VLAN.
fn trunks_have(trunks: &[String], vlan: u16) -> bool {
    trunks.iter().any(|trunk| {
        let (first, last) = trunk.split_once('-').unwrap_or((trunk, trunk));
        let bounds = first.trim().parse::<u16>().ok().zip(last.trim().parse::<u16>().ok());
        bounds.is_some_and(|(first, last)| (first..=last).contains(&vlan))
    })
}

impl Nic {
    /// Whether frames of this card reach `segment`. Follows `PVE::Network::tap_plug`: on a VLAN-aware bridge a card
    /// without tag and trunks gets VLANs 2 to 4094 tagged and VLAN 1 untagged; on another bridge untagged cards are
    /// on the bridge itself, tags and all, and tagged ones on a bridge of their own. A port of Open vSwitch without
    /// tag carries everything.
    pub fn reaches(&self, segment: &Segment, bridge: &Interface) -> bool {
        if self.bridge != segment.bridge {
            return false;
        }
        if bridge.is_ovs_bridge() {
            let own = self.tag == segment.vlan;
            return own || self.tag.is_none() && (self.trunks.is_empty() || self.trunk_to(segment.vlan));
        }
        if !bridge.is_vlan_aware() {
            return self.tag.is_none();
        }
        let vlan = segment.vlan.unwrap_or_else(|| bridge.untagged_vlan());
        self.tag.unwrap_or(super::DEFAULT_VLAN) == vlan
            || self.trunk_to(Some(vlan))
            || self.is_open_trunk() && vlan > 1
    }

    /// Whether it needs no more than its own setting for that: its frames are in the segment by themselves.
    pub fn trunk_to(&self, vlan: Option<u16>) -> bool {
        vlan.is_some_and(|vlan| trunks_have(&self.trunks, vlan))
    }

    /// Whether it has neither tag nor trunks: on a VLAN-aware bridge it may speak in every VLAN.
    pub fn is_open_trunk(&self) -> bool {
        self.tag.is_none() && self.trunks.is_empty()
    }
}

impl Host {
    /// The guests on this node with their network cards. One guest that cannot be read leaves the others known.
    pub fn guest_nics(&self) -> &Fact<Vec<GuestNics>> {
        self.network.nics.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let guests = gather.take(self.guests())?;
                let here = guests.all.iter().filter(|guest| guest.is_local(self) && !guest.is_template());
                Ok(here
                    .map(|guest| GuestNics {
                        vmid: guest.vmid,
                        path: guest.path.clone(),
                        nics: nics(guest),
                        is_known: guest.config.value.is_ok() && guest.config.doubts.is_empty(),
                    })
                    .collect())
            })
        })
    }
}

/// The cards that reach a segment, and the guests that could not be read and may.
pub fn cards_on<'g>(
    guests: &'g [GuestNics],
    interfaces: &Interfaces,
    segment: &Segment,
) -> (Vec<(&'g GuestNics, &'g Nic)>, Vec<&'g GuestNics>) {
    let Some(bridge) = interfaces.all.get(&segment.bridge) else { return (Vec::new(), Vec::new()) };
    let reaching = guests.iter().filter_map(|guest| {
        let nic = guest.nics.iter().find(|nic| nic.reaches(segment, bridge))?;
        Some((guest, nic))
    });
    let reaching: Vec<_> = reaching.collect();
    let unread = guests.iter().filter(|guest| !guest.is_known);
    (reaching, unread.collect())
}
