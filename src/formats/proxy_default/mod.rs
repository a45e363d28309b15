//! `/etc/default/pveproxy`: who may talk to pveproxy and spiceproxy.
//!
//! Follows `proxmox/pve-http-server:src/PVE/APIServer/Utils.pm` (`read_proxy_config`) and `AnyEvent.pm`
//! (`check_host_access`). The file is run by bash, so only plain assignments can be understood without running it;
//! everything else is an issue. Addresses follow Perl's `Net::IP`: a list it cannot read keeps the service from
//! starting.

mod ranges;
mod shell;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Issue, Located, Parsed};
pub use ranges::Range;

/// Variables the proxies take from the file, besides the four that are interpreted here.
pub const OTHER_KEYS: [&str; 11] = [
    "CIPHERS",
    "CIPHERSUITES",
    "COMPRESSION",
    "DHPARAMS",
    "DISABLE_TLS_1_2",
    "DISABLE_TLS_1_3",
    "HONOR_CIPHER_ORDER",
    "MAX_WORKERS",
    "PROXY_REAL_IP_ALLOW_FROM",
    "PROXY_REAL_IP_HEADER",
    "TLS_KEY_FILE",
];

/// Keys that must be 0 or 1.
const BOOLEAN_KEYS: [&str; 4] = ["COMPRESSION", "DISABLE_TLS_1_2", "DISABLE_TLS_1_3", "HONOR_CIPHER_ORDER"];

/// What is done with a peer that neither or both lists match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// `allow`, the default.
    #[default]
    Allow,
    /// `deny`
    Deny,
}

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Proxy {
    /// `LISTEN_IP`: the one address to listen on; all addresses when absent.
    pub listen_ip: Option<Located<String>>,
    /// `ALLOW_FROM`
    pub allow_from: Option<Located<Vec<Range>>>,
    /// `DENY_FROM`
    pub deny_from: Option<Located<Vec<Range>>>,
    /// `POLICY`; [`Policy::Allow`] when absent.
    pub policy: Option<Located<Policy>>,
    /// Values of [`OTHER_KEYS`] as text.
    pub settings: BTreeMap<&'static str, Located<String>>,
    /// A value is such that the service does not start.
    pub refused: bool,
    /// Something in the file was not understood, so any value above may be another one.
    pub uncertain: bool,
}

/// Reads the text of `/etc/default/pveproxy`.
pub fn parse(text: &str) -> Parsed<Proxy> {
    let script = shell::read(text);
    let mut proxy = Proxy { uncertain: !script.issues.is_empty(), ..Proxy::default() };
    let mut issues = script.issues;
    for (name, found) in script.value {
        // bash prints the value in double quotes and the reader takes the first line of it.
        let value = found.value.split('\n').next().unwrap_or_default();
        if value.is_empty() {
            continue;
        }
        if let Err(what) = set(&name, value, found.line, &mut proxy) {
            proxy.refused = true;
            issues.push(Issue::new(found.line, what));
        }
    }
    issues.sort();
    Parsed { value: proxy, issues }
}

fn set(name: &str, value: &str, line: u32, proxy: &mut Proxy) -> Result<(), String> {
    match name {
        "LISTEN_IP" => proxy.listen_ip = Some(Located::new(value.to_owned(), line)),
        "ALLOW_FROM" => proxy.allow_from = Some(Located::new(list(name, value)?, line)),
        "DENY_FROM" => proxy.deny_from = Some(Located::new(list(name, value)?, line)),
        "POLICY" => {
            let policy = match value {
                "allow" => Policy::Allow,
                "deny" => Policy::Deny,
                _ => {
                    return Err(
                        "`POLICY` is neither `allow` nor `deny`; the service does not start".to_owned()
                    );
                }
            };
            proxy.policy = Some(Located::new(policy, line));
        }
        _ => {
            let Some(known) = OTHER_KEYS.iter().find(|known| **known == name) else { return Ok(()) };
            proxy.settings.insert(known, Located::new(value.to_owned(), line));
            if BOOLEAN_KEYS.contains(known) && !matches!(value, "0" | "1") {
                return Err(format!("`{known}` is neither 0 nor 1; the service does not start"));
            }
            if *known == "PROXY_REAL_IP_ALLOW_FROM" {
                list(name, value)?;
            }
        }
    }
    Ok(())
}

fn list(name: &str, value: &str) -> Result<Vec<Range>, String> {
    let refuse =
        || format!("`{name}` holds an address that Net::IP does not read; the service does not start");
    ranges::list(value).ok_or_else(refuse)
}

/// Whether a connection from `peer` is answered. `None` when the file was not understood or the service does not
/// start with it.
///
/// Only `ALLOW_FROM` matches: yes. Only `DENY_FROM` matches: no. Both or neither: `POLICY`.
pub fn allows(proxy: &Proxy, peer: IpAddr) -> Option<bool> {
    if proxy.refused || proxy.uncertain {
        return None;
    }
    let peer = peer.to_canonical();
    let matches = |list: &Option<Located<Vec<Range>>>| {
        list.as_ref().is_some_and(|list| list.value.iter().any(|range| range.contains(peer)))
    };
    Some(match (matches(&proxy.allow_from), matches(&proxy.deny_from)) {
        (true, false) => true,
        (false, true) => false,
        _ => proxy.policy.as_ref().map_or(Policy::default(), |policy| policy.value) == Policy::Allow,
    })
}
