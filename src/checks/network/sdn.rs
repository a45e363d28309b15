//! The software-defined network.

use std::collections::BTreeSet;

use super::{guests_named, some_of};
use crate::catalogue::Severity;
use crate::checks::{Judged, Look};
use crate::formats::sdn::{Applied, Object, Objects};
use crate::host::Stop;
use crate::host::network::guests::nics;
use crate::host::network::sdn::{OutsideService, RUNNING_CONFIG, SUBNETS_CFG, Sdn, VNETS_CFG, ZONES_CFG};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// Types of zones whose traffic leaves the node in tunnels without encryption.
const OVERLAYS: [&str; 2] = ["vxlan", "evpn"];

fn service_subject(outside: &OutsideService) -> Subject {
    Subject::new(SubjectKind::Service, format!("{}:{}", outside.service.kind, outside.service.id))
}

fn services<'h>(look: &Look<'h>) -> Result<&'h [OutsideService], Stop> {
    let all = look.take(look.host.sdn_services())?;
    if all.is_empty() {
        look.host.sdn_services().complete()?;
        return Err(Stop::not_applicable("the software-defined network talks to no service outside"));
    }
    Ok(all)
}

pub(crate) fn sdn_secret_over_http(look: &Look<'_>) -> Judged {
    look.each(
        services(look)?,
        |outside| service_subject(outside),
        |_, outside| {
            let service = &outside.service;
            let evidence = Evidence::at(outside.path, service.line).key("url");
            let url = service.url.as_ref().ok_or_else(|| Stop::unknown(outside.path, "names no URL"))?;
            let evidence = evidence.observed(url).expected("https://");
            Ok(if url.starts_with("https://") {
                Judgement::pass("the service is told over TLS")
            } else if service.secret.is_some() || service.has_credential {
                Judgement::fail(format!("the secret of {} crosses the network in clear text", service.kind))
            } else {
                Judgement::fail(format!("{} is told in clear text", service.kind)).severity(Severity::Low)
            }
            .with(evidence))
        },
    )
}

pub(crate) fn sdn_secret_readable(look: &Look<'_>) -> Judged {
    look.each(
        services(look)?,
        |outside| service_subject(outside),
        |_, outside| {
            let service = &outside.service;
            let in_url = service.has_credential.then_some(("url", service.line));
            let secret = service.secret.as_ref().map(|(name, line)| (name.as_str(), *line)).or(in_url);
            Ok(match secret {
                Some((name, line)) => Judgement::fail(format!(
                    "the {name} of {} stands in a file that every web process of the cluster reads",
                    service.kind
                ))
                .with(Evidence::at(outside.path, line).key(name)),
                None => {
                    Judgement::pass("the file holds no secret of this service").at(outside.path, service.line)
                }
            })
        },
    )
}

fn applied<'h>(look: &Look<'h>) -> Result<(&'h Sdn, &'h Applied), Stop> {
    let sdn = look.take(look.host.sdn())?;
    let applied = sdn.applied.as_ref();
    let applied =
        applied.ok_or_else(|| Stop::not_applicable("the software-defined network was never applied"))?;
    Ok((sdn, applied))
}

pub(crate) fn sdn_overlay_in_clear_text(look: &Look<'_>) -> Judged {
    let (sdn, applied) = applied(look)?;
    look.each(
        &applied.zones,
        |(id, _)| Subject::new(SubjectKind::Network, format!("zone/{id}")),
        |look, (id, zone)| {
            let line = sdn.zones.get(*id).and_then(|zone| zone.line);
            let seen = line.map_or_else(|| Evidence::of(RUNNING_CONFIG), |line| Evidence::at(ZONES_CFG, line));
            let seen = seen.key("type").observed(&zone.kind);
            if !OVERLAYS.contains(&zone.kind.as_str()) {
                return Ok(Judgement::pass("the zone needs no tunnels between the nodes").with(seen));
            }
            Ok(if has_tunnel(look)? {
                Judgement::unknown("WireGuard or IPsec is set up on this node; whether the zone goes through it cannot be told")
            } else {
                Judgement::fail(format!("frames of the guests in this zone travel between the nodes in clear text ({})", zone.kind))
            }
            .with(seen))
        },
    )
}

/// Whether something that encrypts between nodes is set up here.
fn has_tunnel(look: &Look<'_>) -> Result<bool, Stop> {
    const PLACES: [&str; 4] =
        ["/etc/pve/priv/wg-keys.cfg", "/etc/ipsec.conf", "/etc/swanctl", "/etc/wireguard"];
    for place in PLACES {
        match look.host.files.stat(place) {
            Ok(_) => return Ok(true),
            Err(trouble) if trouble.is_missing() => {}
            Err(trouble) => return Err(trouble.into()),
        }
    }
    Ok(false)
}

pub(crate) fn sdn_guests_not_isolated(look: &Look<'_>) -> Judged {
    let (sdn, applied) = applied(look)?;
    let guests = look.take(look.host.guests())?;
    look.each(
        &applied.vnets,
        |(id, _)| Subject::new(SubjectKind::Network, format!("vnet/{id}")),
        |look, (id, vnet)| {
            let line = sdn.vnets.get(*id).and_then(|vnet| vnet.line);
            let seen =
                line.map_or_else(|| Evidence::of(RUNNING_CONFIG), |line| Evidence::at(VNETS_CFG, line));
            let seen = seen.key("isolate-ports").expected("1");
            if vnet.is_on("isolate-ports") {
                return Ok(
                    Judgement::pass("guests of one node cannot reach each other").with(seen.observed("1"))
                );
            }
            let mut on = Vec::new();
            for guest in &guests.all {
                // A guest that cannot be read may be on this network, too: a pass must not rest on it.
                let _ = look.take(&guest.config);
                let cards = nics(guest);
                if cards.iter().any(|nic| nic.bridge == **id && !nic.firewall) {
                    on.push(guest.vmid);
                }
                if guest.known().is_none()
                    && let Err(Stop::Unknown(doubt)) = &guest.config.value
                {
                    look.doubt(doubt.clone());
                }
            }
            Ok(if on.len() > 1 {
                let who = guests_named(&on);
                Judgement::fail(format!(
                    "{who} reach each other, and the firewall looks at none of their cards here"
                ))
            } else {
                Judgement::pass("at most one guest is here whose card the firewall does not look at")
            }
            .with(seen.observed("0")))
        },
    )
}

pub(crate) fn sdn_change_not_applied(look: &Look<'_>) -> Judged {
    let sdn = look.take(look.host.sdn())?;
    let none = Applied::default();
    let applied = sdn.applied.as_ref().unwrap_or(&none);
    let pairs: [(&Objects, &Objects, &str, &str); 3] = [
        (&sdn.zones, &applied.zones, ZONES_CFG, "zone"),
        (&sdn.vnets, &applied.vnets, VNETS_CFG, "vnet"),
        (&sdn.subnets, &applied.subnets, SUBNETS_CFG, "subnet"),
    ];
    let mut changed = Vec::new();
    let mut evidence = Vec::new();
    for (wanted, running, path, noun) in pairs {
        let ids: BTreeSet<&String> = wanted.keys().chain(running.keys()).collect();
        for id in ids {
            let (new, old) = (wanted.get(id), running.get(id));
            if let Some(what) = difference(new, old) {
                changed.push(format!("{noun} {id}"));
                let line = new.and_then(|object| object.line);
                evidence.push(Evidence { line, ..Evidence::of(path) }.key(id).observed(what));
            }
        }
    }
    let judgement = if changed.is_empty() {
        Judgement::pass("the nodes were told everything that stands in the files")
    } else {
        evidence.truncate(super::MOST_EVIDENCE);
        Judgement::fail(format!("changes were not applied: {}", some_of(&changed))).with_all(evidence)
    };
    look.one(Subject::cluster(), judgement)
}

fn difference(new: Option<&Object>, old: Option<&Object>) -> Option<String> {
    match (new, old) {
        (Some(_), None) => Some("is new and not applied".to_owned()),
        (None, Some(_)) => Some("was removed and is still applied".to_owned()),
        (Some(new), Some(old)) => {
            let keys: BTreeSet<&String> = new.values.keys().chain(old.values.keys()).collect();
            let differs = |key: &&String| new.get(key) != old.get(key) && key.as_str() != "type";
            let names: Vec<&String> = keys.into_iter().filter(differs).collect();
            let kind = (new.kind != old.kind).then(|| "type".to_owned());
            let names: Vec<String> = names.into_iter().cloned().chain(kind).collect();
            (!names.is_empty()).then(|| format!("differs in {}", names.join(", ")))
        }
        (None, None) => None,
    }
}
