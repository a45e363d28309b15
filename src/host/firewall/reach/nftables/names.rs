//! Where proxmox-firewall looks names up.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::formats::firewall::address::{Cidr, Scope};
use crate::formats::firewall::nft::{self, Member, Name};
use crate::host::firewall::cover::AddressSet;

/// The addresses of sets by guest (0 for the datacenter) and name.
#[derive(Default)]
pub(in super::super) struct Sets(RefCell<BTreeMap<(u32, String), Rc<AddressSet>>>);

impl Sets {
    /// The addresses of a set with these members, made once.
    pub(super) fn of(&self, key: (u32, String), names: &Names<'_>, members: &[Member]) -> Rc<AddressSet> {
        Rc::clone(self.0.borrow_mut().entry(key).or_insert_with(|| Rc::new(names.members(members))))
    }
}

/// Where names are looked up.
#[derive(Clone, Copy)]
pub(super) struct Names<'h> {
    pub(super) datacenter: &'h nft::File,
    /// The guest with its file; it shadows the datacenter.
    pub(super) own: Option<(u32, &'h nft::File)>,
}

impl<'h> Names<'h> {
    pub(super) fn alias(&self, name: &Name) -> Option<Cidr> {
        let own = self.own.filter(|_| name.scope != Some(Scope::Datacenter));
        let own = own.and_then(|(_, file)| file.aliases.get(&name.name));
        let datacenter =
            || self.datacenter.aliases.get(&name.name).filter(|_| name.scope != Some(Scope::Guest));
        own.or_else(datacenter).copied()
    }

    /// The set with the guest whose names its members have.
    pub(super) fn set(&self, name: &Name) -> Option<(u32, &'h [Member])> {
        let own = self.own.filter(|_| matches!(name.scope, None | Some(Scope::Guest)));
        let own = own.and_then(|(vmid, file)| Some((vmid, file.sets.get(&name.name)?.1.as_slice())));
        let datacenter = || {
            let may = matches!(name.scope, None | Some(Scope::Datacenter));
            Some((0, self.datacenter.sets.get(&name.name).filter(|_| may)?.1.as_slice()))
        };
        own.or_else(datacenter)
    }

    /// In the set and not in what is taken out of it.
    pub(super) fn members(&self, members: &[Member]) -> AddressSet {
        let of = |nomatch| {
            let wanted = members.iter().filter(move |member| member.nomatch == nomatch);
            let networks: Vec<Cidr> = wanted
                .filter_map(|member| {
                    member.what.as_ref().map_or_else(|name| self.alias(name), |cidr| Some(*cidr))
                })
                .collect();
            AddressSet::of_networks(&networks)
        };
        of(false).subtract(&of(true))
    }
}
