//! A connection as `sshd -T -C` is told of it (`parse_server_match_testspec` and `match_cfg_line` in servconf.c).
//!
//! What is not told meets no criterion, and a missing port is no error as it is for `sshd -T` where a Match line asks
//! for one.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::address::{Verdict, address_listed, matches_list};
use super::numbers::{Port, port};
use super::walk::RELEASE;
use super::{Attribute, Criterion, Version};
use crate::formats::shown;

/// Everything that is told of one connection.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Specification {
    /// `user=`.
    pub user: Option<String>,
    /// The names of all groups of the user; `None` for a user who does not exist.
    pub groups: Option<BTreeSet<String>>,
    /// `invalid-user`: the user does not exist.
    pub invalid_user: bool,
    /// `host=`: the client's name.
    pub host: Option<String>,
    /// `addr=`: the client's address.
    pub address: Option<IpAddr>,
    /// `laddr=`: the address connected to.
    pub local_address: Option<IpAddr>,
    /// `lport=`: the port connected to.
    pub local_port: Option<String>,
    /// `rdomain=`: the routing domain.
    pub routing_domain: Option<String>,
}

impl Specification {
    /// Reads `user=root,addr=192.0.2.1`; what is wrong with it.
    ///
    /// # Errors
    /// A part that is not known, or that has no such value: one sentence.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut told = Self::default();
        for part in text.split(',').take_while(|part| !part.is_empty()) {
            let wrong = || format!("{} is not known of a connection", shown(part));
            if part == "invalid-user" {
                told.invalid_user = true;
                continue;
            }
            let (name, value) = part.split_once('=').ok_or_else(wrong)?;
            let address = || value.parse().map_err(|_| format!("{} is no address", shown(value)));
            let owned = || Some(value.to_owned());
            match name {
                "user" => told.user = owned(),
                "host" => told.host = owned(),
                "addr" => told.address = Some(address()?),
                "laddr" => told.local_address = Some(address()?),
                "rdomain" => told.routing_domain = owned(),
                "lport" => told.local_port = Some(port_number(value)?),
                _ => return Err(wrong()),
            }
        }
        Ok(told)
    }

    /// Whether the connection meets a criterion.
    pub(super) fn meets(&self, criterion: &Criterion, version: Version) -> bool {
        let list = criterion.argument.as_str();
        let listed = |text: &Option<String>| {
            text.as_ref().is_some_and(|text| matches_list(text, list) == Verdict::Yes)
        };
        let at = |address: Option<IpAddr>| {
            address.is_some_and(|address| address_listed(address, list, version) == Verdict::Yes)
        };
        match criterion.attribute {
            Attribute::All => true,
            Attribute::Version => matches_list(RELEASE, list) == Verdict::Yes,
            Attribute::InvalidUser => self.invalid_user,
            Attribute::User => listed(&self.user),
            Attribute::Group => self.in_groups(list),
            // `match_hostname`: both in lower case.
            Attribute::Host => self.host.as_ref().is_some_and(|host| {
                matches_list(&host.to_ascii_lowercase(), &list.to_ascii_lowercase()) == Verdict::Yes
            }),
            Attribute::Address => at(self.address),
            Attribute::LocalAddress => at(self.local_address),
            Attribute::LocalPort => self.local_port.is_some() && port_number(list).ok() == self.local_port,
            Attribute::RDomain => listed(&self.routing_domain),
        }
    }

    /// `ga_match_pattern_list`: a group that is refused counts more than one that is wanted.
    fn in_groups(&self, list: &str) -> bool {
        let verdicts = || self.groups.iter().flatten().map(|group| matches_list(group, list));
        verdicts().all(|verdict| verdict != Verdict::Negated)
            && verdicts().any(|verdict| verdict == Verdict::Yes)
    }
}

/// A port by its number, or by the name a service has, which is not looked up.
fn port_number(text: &str) -> Result<String, String> {
    match port(text) {
        Some(Port::Number(number)) if number > 0 => Ok(number.to_string()),
        _ => Err(format!("{} is no port", shown(text))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_read_as_sshd_reads_it() {
        let told =
            Specification::parse("user=root,addr=192.0.2.1,host=a.example,laddr=::1,lport=022,rdomain=x");
        let told = told.unwrap();
        assert_eq!(told.user.as_deref(), Some("root"));
        assert_eq!(told.address, "192.0.2.1".parse().ok());
        assert_eq!(told.local_address, "::1".parse().ok());
        assert_eq!(told.local_port.as_deref(), Some("22"));
        assert_eq!(Specification::parse(""), Ok(Specification::default()));
        assert!(Specification::parse("invalid-user").unwrap().invalid_user);
    }

    #[test]
    fn what_is_no_part_of_a_connection_is_refused() {
        for text in ["root", "User=root", "addr=10.0.0.0/8", "lport=x!", "lport=0", "port=22", "laddr="] {
            assert!(Specification::parse(text).is_err(), "{text}");
        }
    }
}
