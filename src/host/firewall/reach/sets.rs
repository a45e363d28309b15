//! The sets that upstream makes of the software-defined network.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;

use super::Reach;
use super::walk::Among;
use crate::formats::firewall::address::Cidr;
use crate::formats::firewall::network::NetworkSet;
use crate::formats::release::Release;
use crate::host::firewall::cover::AddressSet;

/// The sets that rules have named, by name; none for a set that upstream does not make.
#[derive(Default)]
pub(super) struct NetworkSets(RefCell<BTreeMap<String, Option<Among>>>);

impl Reach<'_> {
    /// The set of this name; none if upstream makes no such set.
    pub(super) fn network_set(&self, name: &str) -> Option<Among> {
        if self.host.format_release() < Release::Pve8 {
            return None;
        }
        if let Some(known) = self.network_sets.0.borrow().get(name) {
            return known.clone();
        }
        let made = match self.host.virtual_network().set(name) {
            Ok(set) => set.map(|set| Among::known(addresses(&set))),
            Err(why) => {
                let why = format!("the set +sdn/{name} comes from the virtual networks: {why}");
                Some(Among::perhaps(AddressSet::everything(), &why))
            }
        };
        self.network_sets.0.borrow_mut().insert(name.to_owned(), made.clone());
        made
    }
}

fn addresses(set: &NetworkSet) -> AddressSet {
    let range = |(first, last): &(IpAddr, IpAddr)| AddressSet::range(*first, *last);
    let all = set.ranges.iter().fold(AddressSet::empty(), |all, ends| all.union(&range(ends)));
    let without: Vec<Cidr> = set.without.iter().copied().map(Cidr::host).collect();
    all.subtract(&AddressSet::of_networks(&without))
}

impl Among {
    /// Whether it is known whole.
    pub(super) fn is_known(&self) -> bool {
        self.maybe.is_none()
    }

    /// Every address, perhaps.
    pub(super) fn anybody(why: &str) -> Self {
        Self { sure: Rc::default(), maybe: Some((Rc::new(AddressSet::everything()), Rc::from(why))) }
    }
}
