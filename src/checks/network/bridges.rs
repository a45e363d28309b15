//! What guests share with the node on its bridges.

use super::packets::kernel;
use super::{MOST_EVIDENCE, guests_named};
use crate::catalogue::Severity;
use crate::checks::{Judged, Look};
use crate::host::Stop;
use crate::host::guests::Guest;
use crate::host::network::guests::{Nic, cards_on, nics};
use crate::host::network::sdn::Sdn;
use crate::host::network::{Interface, Interfaces, Segment};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

fn shown(segment: &Segment) -> String {
    match segment.vlan {
        Some(vlan) => format!("VLAN {vlan} of {}", segment.bridge),
        None => segment.bridge.clone(),
    }
}

pub(crate) fn node_address_shared_with_guests(look: &Look<'_>) -> Judged {
    let guests = look.take(look.host.guest_nics())?;
    let interfaces = look.take(look.host.interfaces())?;
    if interfaces.on_bridges().next().is_none() {
        look.host.interfaces().complete()?;
        return Err(Stop::not_applicable("no interface of the node with an address is on a bridge"));
    }
    look.each(
        interfaces.on_bridges(),
        |(interface, _)| Subject::new(SubjectKind::Network, &interface.name),
        |_, (interface, segment)| {
            let (cards, unread) = cards_on(guests, interfaces, segment);
            let address = interface
                .addresses()
                .into_iter()
                .next()
                .map(|(address, path, line)| Evidence::at(path, line).key("address").observed(address));
            if cards.is_empty() {
                if let Some(guest) = unread.first() {
                    let what = "is not known whole: its network cards may be on the same bridge";
                    return Err(Stop::unknown(&guest.path, what));
                }
                let name = &interface.name;
                return Ok(Judgement::pass(format!(
                    "no guest of this node speaks where {name} has its address"
                ))
                .with_all(address));
            }
            let ids: Vec<u32> = cards.iter().map(|(guest, _)| guest.vmid).collect();
            let summary = format!(
                "{} can speak on {}, where the node has an address",
                guests_named(&ids),
                shown(segment)
            );
            let seen = cards.iter().take(MOST_EVIDENCE);
            let seen = seen
                .map(|(guest, nic)| Evidence::at(&guest.path, nic.line).key(&nic.option).observed(card(nic)));
            Ok(Judgement::fail(summary).with_all(address).with_all(seen))
        },
    )
}

/// What of a card decides where it speaks.
fn card(nic: &Nic) -> String {
    let tag = nic.tag.map_or_else(|| "no tag".to_owned(), |tag| format!("tag={tag}"));
    let trunks =
        if nic.trunks.is_empty() { String::new() } else { format!(", trunks={}", nic.trunks.join(";")) };
    format!("bridge={}, {tag}{trunks}", nic.bridge)
}

/// What a card without a tag gets from its bridge.
enum Lane {
    /// Every VLAN, and the severity of that.
    Every(Severity),
    /// One.
    One,
}

pub(crate) fn guest_reaches_every_vlan(look: &Look<'_>) -> Judged {
    let guests = look.take(look.host.guests())?;
    let interfaces = look.take(look.host.interfaces())?;
    let sdn = match look.take(look.host.sdn()) {
        Ok(sdn) => Some(sdn),
        Err(Stop::NotApplicable(_)) => None,
        Err(stop) => return Err(stop),
    };
    let here = guests.all.iter().filter(|guest| guest.is_local(look.host) && !guest.is_template());
    look.each(
        here,
        |guest| guest.subject(),
        |look, guest| {
            look.take(&guest.config)?;
            lanes_of(guest, interfaces, sdn)
        },
    )
}

fn lanes_of(guest: &Guest, interfaces: &Interfaces, sdn: Option<&Sdn>) -> Result<Judgement, Stop> {
    let mut open: Vec<(Nic, Severity)> = Vec::new();
    let mut unknown = None;
    for nic in nics(guest) {
        match lane(&nic, interfaces, sdn) {
            Ok(Lane::Every(severity)) => open.push((nic, severity)),
            Ok(Lane::One) => {}
            Err(stop) => unknown = Some(stop),
        }
    }
    let Some(worst) = open.iter().map(|(_, severity)| *severity).max() else {
        return unknown.map_or_else(|| Ok(Judgement::pass("every network card is bound to its VLANs")), Err);
    };
    let mut bridges: Vec<&str> = open.iter().map(|(nic, _)| nic.bridge.as_str()).collect();
    bridges.sort_unstable();
    bridges.dedup();
    let own = if worst >= Severity::High { ", also in one the node has an address in" } else { "" };
    let summary = format!("the guest can speak in every VLAN of {}{own}", bridges.join(" and "));
    let seen = open.iter().map(|(nic, _)| {
        Evidence::at(&guest.path, nic.line).key(&nic.option).observed(card(nic)).expected("tag or trunks")
    });
    Ok(Judgement::fail(summary).severity(worst).with_all(seen))
}

fn lane(nic: &Nic, interfaces: &Interfaces, sdn: Option<&Sdn>) -> Result<Lane, Stop> {
    if !nic.is_open_trunk() {
        return Ok(Lane::One);
    }
    let vnet = || {
        let applied = sdn.and_then(|sdn| sdn.applied.as_ref());
        applied.and_then(|applied| applied.vnets.get(&nic.bridge))
    };
    let keeps_apart = |bridge: &Interface| bridge.is_vlan_aware() || bridge.is_ovs_bridge();
    match (interfaces.all.get(&nic.bridge), vnet()) {
        (Some(bridge), _) if keeps_apart(bridge) => Ok(Lane::Every(severity_on(bridge, interfaces))),
        (None, Some(vnet)) if vnet.is_on("vlanaware") => Ok(Lane::Every(Severity::Medium)),
        (Some(_), _) | (None, Some(_)) => Ok(Lane::One),
        (None, None) => {
            let what = format!("does not tell what kind of bridge {} is", nic.bridge);
            Err(Stop::unknown(crate::host::network::INTERFACES, what))
        }
    }
}

/// High where the node has an address in a VLAN that a guest gets into by tagging its frames.
fn severity_on(bridge: &Interface, interfaces: &Interfaces) -> Severity {
    let mut segments = interfaces.on_bridges().map(|(_, segment)| segment);
    let tagged =
        |segment: Segment| segment.bridge == bridge.name && segment.vlan.is_some_and(|vlan| vlan > 1);
    if segments.any(tagged) { Severity::High } else { Severity::Medium }
}

pub(crate) fn router_advertisements_of_guests_accepted(look: &Look<'_>) -> Judged {
    let guests = look.take(look.host.guest_nics())?;
    let interfaces = look.take(look.host.interfaces())?;
    let all =
        interfaces.all.values().filter_map(|interface| Some((interface, interfaces.segment(interface)?)));
    look.each(
        all,
        |(interface, _)| Subject::new(SubjectKind::Network, &interface.name),
        |look, (interface, segment)| {
            let (cards, unread) = cards_on(guests, interfaces, segment);
            let ids: Vec<u32> = cards.iter().map(|(guest, _)| guest.vmid).collect();
            let name = &interface.name;
            let setting = |key: &str| kernel(look, &format!("net/ipv6/conf/{name}/{key}"));
            if ids.is_empty() {
                if let Some(guest) = unread.first() {
                    return Err(Stop::unknown(
                        &guest.path,
                        "is not known whole: its network cards may be here",
                    ));
                }
                return Ok(Judgement::pass(format!("no guest of this node speaks on {}", shown(segment))));
            }
            let off = match setting("disable_ipv6") {
                Ok((_, value)) => value == "1",
                Err(Stop::NotApplicable(_)) => false,
                Err(stop) => return Err(stop),
            };
            if off {
                return Ok(Judgement::pass(format!("{name} does not speak IPv6")));
            }
            let (path, accept) = setting("accept_ra")?;
            let routes = setting("forwarding")?.1 != "0";
            let accepted = accept == "2" || accept == "1" && !routes;
            let seen = Evidence::of(path).observed(accept).expected("0");
            Ok(if accepted {
                Judgement::fail(format!(
                    "{} can become the node's IPv6 router by announcing it on {}",
                    guests_named(&ids),
                    shown(segment)
                ))
            } else {
                Judgement::pass(format!("{name} takes no announcements of routers"))
            }
            .with(seen))
        },
    )
}
