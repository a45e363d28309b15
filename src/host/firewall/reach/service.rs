//! Who reaches a service of the node: whom the firewall lets through and the service itself does not refuse.

use super::walk::{self, Addresses};
use super::{Exposure, Outcome, Part, Place, Reach};
use crate::formats::firewall::address::Family;
use crate::host::firewall::service::Service;

/// Who reaches some ports of the node, and the service behind them if its own restrictions are known.
#[derive(Debug, Clone)]
pub struct Served<'h> {
    /// The ports.
    pub ports: Vec<(u16, u16)>,
    /// Who gets through to the service and is not refused by it.
    pub exposure: Exposure<'h>,
    /// The service.
    pub service: Option<Service<'h>>,
}

impl<'h> Reach<'h> {
    /// Who reaches these ports of the node and the services behind them: runs of ports with the same exposure.
    pub fn served(&self, protocol: u16, (first, last): (u16, u16)) -> Vec<Served<'h>> {
        // The services that are known have one port.
        let service = self.host.service_on(protocol, first).filter(|_| first == last);
        let found = self.node_exposures(protocol, (first, last)).into_iter();
        found
            .map(|(ports, exposure)| Served {
                ports,
                exposure: match &service {
                    Some(service) => self.behind(exposure, service, protocol, first),
                    None => exposure,
                },
                service: service.clone(),
            })
            .collect()
    }

    /// The same of one port.
    pub(super) fn served_exposure(&self, protocol: u16, port: u16) -> Exposure<'h> {
        let exposure = self.node_exposure(protocol, port, None);
        match self.host.service_on(protocol, port) {
            Some(service) => self.behind(exposure, &service, protocol, port),
            None => exposure,
        }
    }

    /// What the firewall lets through to any address of the node, without what the service refuses.
    fn behind(&self, any: Exposure<'h>, service: &Service<'h>, protocol: u16, port: u16) -> Exposure<'h> {
        let known = [Family::V4, Family::V6].map(|family| service.only_on(family));
        let all = if known.iter().all(Option::is_none) {
            any
        } else {
            // Rules for other addresses of the node are of no use.
            let own = self.local().addresses();
            let [v4, v6] = known.map(|only| only.map(|only| only.into_iter().map(Some).collect()));
            let at = Addresses { v4: v4.unwrap_or(own.v4), v6: v6.unwrap_or(own.v6) };
            self.node_exposure(protocol, port, Some(&at))
        };
        Exposure { parts: refused(all.parts, service), ..all }
    }
}

/// The parts with what the service refuses of them: that is the same to whoever sends as an answer of the firewall.
fn refused<'h>(parts: Vec<Part<'h>>, service: &Service<'h>) -> Vec<Part<'h>> {
    let mut kept = parts;
    let mut gone = Vec::new();
    for limit in &service.limits {
        let place = Place::named(limit.kind).because_of(limit.setting.path, limit.setting.line);
        for part in &mut kept {
            if matches!(part.outcome, Outcome::Drop | Outcome::Reject) {
                continue;
            }
            let sources = part.sources.intersect(&limit.refused);
            if !sources.is_empty() {
                part.sources = part.sources.subtract(&sources);
                gone.push(Part { sources, outcome: Outcome::Reject, place });
            }
        }
    }
    kept.retain(|part| !part.sources.is_empty());
    walk::joined(kept.into_iter().chain(gone).collect())
}
