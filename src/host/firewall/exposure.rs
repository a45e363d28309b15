//! The names that have a meaning of their own in cluster.fw.

use super::Backend;
use super::cover::AddressSet;
use crate::formats::firewall::names::Names;
use crate::formats::firewall::{Firewall, MemberAddress};

/// The set whose members reach the management ports without a rule.
pub const MANAGEMENT: &str = "management";
/// The alias that is always part of [`MANAGEMENT`]; where it is not defined, upstream derives it from the routes.
pub const LOCAL_NETWORK: &str = "local_network";
/// The set whose members the iptables backend drops before every rule.
pub const BLACKLIST: &str = "blacklist";

/// The addresses that reach the management ports without a rule, as far as cluster.fw names them.
pub fn management(datacenter: &Firewall, backend: Backend) -> AddressSet {
    let names = Names::of(datacenter, None);
    let local = datacenter.aliases.get(LOCAL_NETWORK).map(|alias| AddressSet::network(alias.cidr));
    let set = datacenter.sets.get(MANAGEMENT);
    let members = set.map(|set| AddressSet::ip_set(set, &names));
    let whole = set.into_iter().flat_map(|set| &set.whole).filter(|member| !member.nomatch);
    let whole = whole.filter(|_| backend == Backend::Nftables).filter_map(|member| match &member.what {
        MemberAddress::Network(cidr) => Some(AddressSet::network(*cidr)),
        MemberAddress::Alias(_) => None,
    });
    local.into_iter().chain(members).chain(whole).fold(AddressSet::empty(), |all, set| all.union(&set))
}
