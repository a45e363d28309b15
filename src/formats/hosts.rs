//! `/etc/hosts`.
//!
//! Follows glibc `nss/nss_files/files-hosts.c`: an address and its names, separated by blanks; `#` starts a comment
//! anywhere; lines with a malformed address are skipped.

use std::net::IpAddr;

use super::{Issue, Parsed, numbered};

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The address.
    pub address: IpAddr,
    /// The names, in order.
    pub names: Vec<String>,
    /// Line in the file, counted from 1.
    pub line: u32,
}

/// Reads the text of `/etc/hosts`.
pub fn parse(text: &str) -> Parsed<Vec<Entry>> {
    let mut parsed = Parsed::<Vec<Entry>>::default();
    for (line, content) in numbered(text) {
        let content = content.split('#').next().unwrap_or_default();
        let mut fields = content.split_ascii_whitespace();
        let Some(address) = fields.next() else { continue };
        // glibc takes an IPv6 address with a scope, too; which interface it is for does not matter here.
        match address.split('%').next().unwrap_or_default().parse() {
            Ok(address) => {
                parsed.value.push(Entry { address, names: fields.map(str::to_owned).collect(), line });
            }
            Err(_) => parsed.issues.push(Issue::new(line, "the line starts with no address, glibc skips it")),
        }
    }
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn addresses_and_their_names_are_read() {
        let parsed = parse(
            "127.0.0.1 localhost\n192.0.2.10\tpve1.example.com pve1 # here\n\n# x\nfe80::1%eth0 a\nx y\n",
        );
        assert_eq!(parsed.value.len(), 3);
        assert_eq!(parsed.value[1].names, ["pve1.example.com", "pve1"]);
        assert_eq!(parsed.value[1].address, "192.0.2.10".parse::<IpAddr>().unwrap());
        assert_eq!(parsed.issues[0].line, 6);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn never_panics_on_any_text(text in "[0-9a-f.:#% \t\n]{0,60}") {
            let _ = parse(&text);
        }
    }
}
