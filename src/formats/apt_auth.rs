//! `/etc/apt/auth.conf`, `/etc/apt/auth.conf.d/*.conf`: user names and passwords for archives, in the manner of
//! netrc.
//!
//! Follows apt `apt-pkg/contrib/netrc.cc` (`MaybeAddAuth`) and `apt_auth.conf(5)`; unchanged between apt 2.2 and 3.0.
//! Users and passwords are secrets: only that they are there is kept.

use super::apt_sources::Uri;
use super::{Parsed, apt_text};

/// One `machine` with what follows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Scheme the entry is bound to; without one it counts for encrypted schemes only.
    pub scheme: Option<String>,
    /// Host, with a port or the start of a path if there is one.
    pub place: String,
    /// A user name follows.
    pub login: bool,
    /// A password follows.
    pub password: bool,
    /// Line of the word `machine`.
    pub line: u32,
}

/// Schemes an entry without a scheme counts for.
const ENCRYPTED: [&str; 2] = ["https", "tor+https"];

impl Machine {
    /// Whether apt sends user and password to this URI.
    pub fn covers(&self, uri: &str) -> bool {
        let uri = Uri::parse(uri);
        let scheme_fits = match &self.scheme {
            Some(scheme) => *scheme == uri.access,
            None => ENCRYPTED.contains(&uri.access.as_str()),
        };
        let host = if uri.port == 0 { uri.host.clone() } else { format!("{}:{}", uri.host, uri.port) };
        let place_fits = if self.place.contains('/') {
            format!("{host}{}", uri.path).starts_with(&self.place)
        } else {
            self.place == uri.host || self.place == host
        };
        self.login && self.password && scheme_fits && place_fits
    }
}

/// Whether apt reads a file of this name in `/etc/apt/auth.conf.d/`: suffix `.conf`. Files are read in byte order
/// of their names, after `/etc/apt/auth.conf`.
pub fn is_auth_file(name: &str) -> bool {
    apt_text::is_part_name(name, &["conf"], false)
}

/// Which word is expected next.
#[derive(Clone, Copy, PartialEq)]
enum Next {
    /// `machine`, `login` or `password`; everything else is skipped.
    Keyword,
    Place,
    Login,
    Password,
}

/// Reads the file. Words apt does not know are skipped by it without a word.
pub fn parse(text: &str) -> Parsed<Vec<Machine>> {
    let mut machines: Vec<Machine> = Vec::new();
    let mut next = Next::Keyword;
    for (number, line) in apt_text::lines(text) {
        for word in line.split(['\t', ' ']).filter(|word| !word.is_empty()) {
            next = match (next, word) {
                (Next::Keyword, "machine") => Next::Place,
                (Next::Keyword, "login") => Next::Login,
                (Next::Keyword, "password") => Next::Password,
                (Next::Keyword, _) => Next::Keyword,
                (Next::Place, place) => {
                    machines.push(machine(place, number));
                    Next::Keyword
                }
                (Next::Login | Next::Password, _) => {
                    if let Some(last) = machines.last_mut() {
                        last.login |= next == Next::Login;
                        last.password |= next == Next::Password;
                    }
                    Next::Keyword
                }
            };
        }
    }
    Parsed { value: machines, issues: Vec::new() }
}

fn machine(text: &str, line: u32) -> Machine {
    let (scheme, place) = match text.split_once("://") {
        Some((scheme, place)) => (Some(scheme.to_owned()), place),
        None => (None, text),
    };
    // A URL with user and password is not what apt expects here, and must not come out of here.
    let place = place.rsplit_once('@').map_or(place, |(_, place)| place).to_owned();
    Machine { scheme, place, login: false, password: false, line }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PVE: &str = "https://enterprise.proxmox.com/debian/pve/";

    #[test]
    fn what_proxmox_writes_covers_its_own_archive_only() {
        let text = "machine enterprise.proxmox.com/debian/pve\n login pve2c-0123456789\n password 0123\n";
        let machines = parse(text).value;
        assert_eq!(machines.len(), 1);
        assert!(machines[0].covers(PVE));
        assert!(!machines[0].covers("https://enterprise.proxmox.com/debian/ceph-squid/"));
        assert!(!machines[0].covers("http://enterprise.proxmox.com/debian/pve/"), "not encrypted");
        assert!(!format!("{machines:?}").contains("0123"));
    }

    #[test]
    fn a_place_with_a_path_is_a_start_and_one_without_is_a_host() {
        let covers =
            |place: &str| parse(&format!("machine {place} login a password b\n")).value[0].covers(PVE);
        for good in [
            "enterprise.proxmox.com",
            "enterprise.proxmox.com/",
            "enterprise.proxmox.com/deb",
            "https://enterprise.proxmox.com/debian/pve",
        ] {
            assert!(covers(good), "{good}");
        }
        for bad in ["proxmox.com", "enterprise.proxmox.co", "http://enterprise.proxmox.com", "*"] {
            assert!(!covers(bad), "{bad}");
        }
    }

    #[test]
    fn user_and_password_belong_to_the_machine_before_them() {
        let machines =
            parse("login x\nmachine a login\tl\nmachine b password p # no comment\nmachine\nc\n").value;
        let seen: Vec<_> = machines.iter().map(|m| (m.place.as_str(), m.login, m.password, m.line)).collect();
        assert_eq!(seen, [("a", true, false, 2), ("b", false, true, 3), ("c", false, false, 5)]);
    }

    #[test]
    fn a_port_is_part_of_the_place() {
        let machine = &parse("machine h:8443 login a password b").value[0];
        assert!(machine.covers("https://h:8443/x"));
        assert!(!machine.covers("https://h/x"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn never_panics(text in "(machine |login |password |[a:/@ \n]){0,16}|\\PC{0,30}") {
            for machine in parse(&text).value {
                let _ = machine.covers(&text);
            }
        }
    }
}
