//! What a single advisory needs and nothing else does.

use std::net::IpAddr;

use super::{Fact, Host};
use crate::formats::proxy_default;

/// The module that checks passwords and tickets.
pub const ACCESS_CONTROL: &str = "/usr/share/perl5/PVE/AccessControl.pm";

/// Settings of pveproxy.
pub const PROXY_DEFAULT: &str = "/etc/default/pveproxy";

impl Host {
    /// How often the access control module contains `words`; `None` where there is no such module.
    pub fn count_in_access_control(&self, words: &str) -> Fact<Option<usize>> {
        Fact::gather(&self.files, |gather| {
            Ok(gather.optional(ACCESS_CONTROL)?.map(|text| text.matches(words).count()))
        })
    }

    /// The line that keeps pveproxy on the loopback interface; `None` where it listens for others, the default.
    pub fn proxy_on_loopback(&self) -> Fact<Option<u32>> {
        Fact::gather(&self.files, |gather| {
            let Some(text) = gather.optional(PROXY_DEFAULT)? else { return Ok(None) };
            let proxy = gather.parsed(PROXY_DEFAULT, proxy_default::parse(&text));
            let understood = !proxy.refused && !proxy.uncertain;
            let address =
                |text: &str| text.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
            let loopback = proxy.listen_ip.filter(|listen| understood && address(&listen.value));
            Ok(loopback.map(|listen| listen.line))
        })
    }
}
