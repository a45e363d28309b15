//! The access lists of pveproxy and spiceproxy.

use std::cell::OnceCell;
use std::net::IpAddr;

use super::firewall::cover::AddressSet;
use super::firewall::service::heard;
use super::{Fact, Host, Stop};
use crate::formats::Located;
use crate::formats::proxy_default::{self, Policy, Proxy, Range};

/// Settings of pveproxy and spiceproxy.
pub const PROXY_DEFAULT: &str = "/etc/default/pveproxy";

#[derive(Default)]
pub(super) struct Facts {
    proxy: OnceCell<Fact<Option<Proxy>>>,
}

impl Host {
    /// `/etc/default/pveproxy`. A missing file, the default, means that the proxies talk to everybody.
    pub fn proxy(&self) -> &Fact<Option<Proxy>> {
        self.proxy.proxy.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                gather.take(self.cluster_files())?;
                let Some(text) = gather.optional(PROXY_DEFAULT)? else { return Ok(None) };
                let proxy = gather.parsed(PROXY_DEFAULT, proxy_default::parse(&text));
                if proxy.refused {
                    return Err(Stop::unknown(PROXY_DEFAULT, "keeps the proxies from starting"));
                }
                if proxy.uncertain {
                    return Err(Stop::unknown(PROXY_DEFAULT, "is a script that cannot be understood"));
                }
                Ok(Some(proxy))
            })
        })
    }
}

/// The addresses of a list.
fn covered(list: Option<&Located<Vec<Range>>>) -> AddressSet {
    let ranges = list.into_iter().flat_map(|list| &list.value);
    let networks = ranges.flat_map(|range| match *range {
        Range::V4(low, high) => AddressSet::range(low.into(), high.into()).networks(),
        Range::V6(low, high) => AddressSet::range(low.into(), high.into()).networks(),
    });
    AddressSet::of_networks(&networks.collect::<Vec<_>>())
}

/// `LISTEN_IP`, if it is an address; upstream looks up what is none.
pub fn listen_address(proxy: &Proxy) -> Option<IpAddr> {
    let address: IpAddr = proxy.listen_ip.as_ref()?.value.parse().ok()?;
    // A socket of a mapped address talks IPv4.
    Some(address.to_canonical())
}

/// `ALLOW_FROM` and `DENY_FROM`.
pub fn lists(proxy: &Proxy) -> (AddressSet, AddressSet) {
    (named(proxy), covered(proxy.deny_from.as_ref()))
}

/// Whom `ALLOW_FROM` names.
pub fn named(proxy: &Proxy) -> AddressSet {
    covered(proxy.allow_from.as_ref())
}

/// Whom the proxies answer: `ALLOW_FROM` alone matches, yes; `DENY_FROM` alone, no; both or neither, `POLICY`.
pub fn answered(proxy: &Proxy) -> AddressSet {
    let (allow, deny) = lists(proxy);
    let policy = proxy.policy.as_ref().map_or(Policy::default(), |policy| policy.value);
    let listed = match policy {
        Policy::Allow => AddressSet::everything().subtract(&deny.subtract(&allow)),
        Policy::Deny => allow.subtract(&deny),
    };
    listen_address(proxy).map_or_else(|| listed.clone(), |address| listed.intersect(&heard(address, true)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(text: &str) -> String {
        answered(&proxy_default::parse(text).value).to_string()
    }

    #[test]
    fn a_list_of_the_allowed_alone_restricts_nothing() {
        assert_eq!(answers("ALLOW_FROM=10.0.0.0/8\n"), "0.0.0.0/0, ::/0");
        assert_eq!(answers(""), "0.0.0.0/0, ::/0");
    }

    #[test]
    fn a_denial_of_all_or_the_policy_makes_it_a_list() {
        assert_eq!(answers("ALLOW_FROM=10.0.0.0/8\nDENY_FROM=all\n"), "10.0.0.0/8");
        assert_eq!(answers("ALLOW_FROM=10.0.0.0/8\nPOLICY=deny\n"), "10.0.0.0/8");
        assert_eq!(answers("ALLOW_FROM=10.0.0.0/8\nDENY_FROM=all\nPOLICY=deny\n"), "none");
    }

    #[test]
    fn a_denial_of_all_ipv4_addresses_leaves_ipv6_open_unless_only_ipv4_is_listened_to() {
        assert_eq!(answers("ALLOW_FROM=10.0.0.0/8\nDENY_FROM=0/0\n"), "10.0.0.0/8, ::/0");
        assert_eq!(answers("ALLOW_FROM=10.0.0.0/8\nDENY_FROM=0/0\nLISTEN_IP=192.0.2.1\n"), "10.0.0.0/8");
        assert_eq!(answers("LISTEN_IP=127.0.0.1\n"), "127.0.0.0/8");
        assert_eq!(answers("LISTEN_IP=::\n"), "0.0.0.0/0, ::/0");
        assert_eq!(answers("LISTEN_IP=::ffff:192.0.2.1\n"), "0.0.0.0/0");
        assert_eq!(answers("LISTEN_IP=pve1\n"), "0.0.0.0/0, ::/0");
        assert_eq!(answers("LISTEN_IP=2001:db8::1\n"), "::/0");
    }

    #[test]
    fn the_sets_agree_with_the_decision_for_single_peers() {
        for text in
            ["ALLOW_FROM=10.0.0.0/8,fd00::/8\nDENY_FROM=all\n", "DENY_FROM=10.1.0.0/16\n", "POLICY=deny\n"]
        {
            let proxy = proxy_default::parse(text).value;
            for peer in ["10.1.2.3", "10.2.2.3", "192.0.2.1", "fd00::1", "2001:db8::1"] {
                let peer: IpAddr = peer.parse().unwrap();
                assert_eq!(
                    proxy_default::allows(&proxy, peer),
                    Some(answered(&proxy).contains(peer)),
                    "{text} {peer}"
                );
            }
        }
    }
}
