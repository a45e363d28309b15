//! The firewall macros: 86 names, the same in Proxmox VE 7, 8 and 9.
//!
//! Follows `$pve_fw_macros` and `$pve_ipv6fw_macros` of pve-firewall's `PVE/Firewall.pm`. The nftables backend knows
//! two more (`PBS`, `HTTP/3`), which the parser followed here refuses.

use super::address::Family;
use super::port::{self, PortText, Ports};

/// One line of a macro: what one of the rules it stands for matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// Protocol name or number, as upstream writes it.
    pub protocol: &'static str,
    /// Destination ports in rule syntax, or the ICMP type; empty without.
    pub dport: &'static str,
    /// Source ports in rule syntax; empty without.
    pub sport: &'static str,
}

impl Row {
    /// The destination ports; none if it has none or an ICMP type.
    pub fn dports(&self) -> Option<Ports> {
        ports(self.dport)
    }

    /// The source ports; none if it has none.
    pub fn sports(&self) -> Option<Ports> {
        ports(self.sport)
    }
}

fn ports(text: &str) -> Option<Ports> {
    match port::parse(text, true) {
        Ok(PortText::Ports(ports)) => Some(ports),
        _ => None,
    }
}

/// A macro with the rules it stands for.
#[derive(Debug, PartialEq, Eq)]
pub struct Macro {
    /// Name in upstream's spelling.
    pub name: &'static str,
    /// Rules for IPv4; none if the macro is for IPv6 only.
    v4: &'static [Row],
    /// Rules for IPv6.
    v6: &'static [Row],
}

impl Macro {
    /// The rules the macro stands for in this family.
    pub fn rows(&self, family: Family) -> &'static [Row] {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }

    /// The rules the parser compares the parameters of a rule with: those of the family if it is known, else those
    /// for IPv4 (for IPv6 if there are no others).
    pub fn rows_to_verify(&self, family: Option<Family>) -> &'static [Row] {
        match family {
            Some(family) => self.rows(family),
            None if self.v4.is_empty() => self.v6,
            None => self.v4,
        }
    }
}

/// The macro of that name, in any case.
pub fn find(name: &str) -> Option<&'static Macro> {
    MACROS.iter().find(|known| known.name.eq_ignore_ascii_case(name))
}

const fn row(protocol: &'static str, dport: &'static str) -> Row {
    Row { protocol, dport, sport: "" }
}

const fn both(protocol: &'static str, dport: &'static str, sport: &'static str) -> Row {
    Row { protocol, dport, sport }
}

const fn proto(protocol: &'static str) -> Row {
    Row { protocol, dport: "", sport: "" }
}

const fn any(name: &'static str, rows: &'static [Row]) -> Macro {
    Macro { name, v4: rows, v6: rows }
}

const fn split(name: &'static str, v4: &'static [Row], v6: &'static [Row]) -> Macro {
    Macro { name, v4, v6 }
}

const fn ipv6(name: &'static str, rows: &'static [Row]) -> Macro {
    Macro { name, v4: &[], v6: rows }
}

/// All macros, sorted by name without regard to case.
pub static MACROS: [Macro; 86] = [
    any("Amanda", &[row("udp", "10080"), row("tcp", "10080")]),
    any("Auth", &[row("tcp", "113")]),
    any("BGP", &[row("tcp", "179")]),
    any("BitTorrent", &[row("tcp", "6881:6889"), row("udp", "6881")]),
    any("BitTorrent32", &[row("tcp", "6881:6999"), row("udp", "6881")]),
    any("Ceph", &[row("tcp", "6789"), row("tcp", "3300"), row("tcp", "6800:7300")]),
    any("Citrix", &[row("tcp", "1494"), row("udp", "1604"), row("tcp", "2598")]),
    any("CVS", &[row("tcp", "2401")]),
    any("DAAP", &[row("tcp", "3689"), row("udp", "3689")]),
    any("DCC", &[row("tcp", "6277")]),
    any("DHCPfwd", &[both("udp", "67:68", "67:68")]),
    ipv6("DHCPv6", &[both("udp", "546:547", "546:547")]),
    any("Distcc", &[row("tcp", "3632")]),
    any("DNS", &[row("udp", "53"), row("tcp", "53")]),
    any("Finger", &[row("tcp", "79")]),
    any("FTP", &[row("tcp", "21")]),
    any("Git", &[row("tcp", "9418")]),
    any("GNUnet", &[row("tcp", "2086"), row("udp", "2086"), row("tcp", "1080"), row("udp", "1080")]),
    any("GRE", &[proto("47")]),
    any("HKP", &[row("tcp", "11371")]),
    any("HTTP", &[row("tcp", "80")]),
    any("HTTPS", &[row("tcp", "443")]),
    any("ICPV2", &[row("udp", "3130")]),
    any("ICQ", &[row("tcp", "5190")]),
    any("IMAP", &[row("tcp", "143")]),
    any("IMAPS", &[row("tcp", "993")]),
    any("IPIP", &[proto("94")]),
    any("IPsec", &[both("udp", "500", "500"), proto("50")]),
    any("IPsecah", &[both("udp", "500", "500"), proto("51")]),
    any("IPsecnat", &[row("udp", "500"), row("udp", "4500"), proto("50")]),
    any("IRC", &[row("tcp", "6667")]),
    any("Jetdirect", &[row("tcp", "9100")]),
    any("L2TP", &[row("udp", "1701")]),
    any("LDAP", &[row("tcp", "389")]),
    any("LDAPS", &[row("tcp", "636")]),
    any("Mail", &[row("tcp", "25"), row("tcp", "465"), row("tcp", "587")]),
    any("MDNS", &[row("udp", "5353")]),
    any("MSNP", &[row("tcp", "1863")]),
    any("MSSQL", &[row("tcp", "1433")]),
    any("Munin", &[row("tcp", "4949")]),
    any("MySQL", &[row("tcp", "3306")]),
    ipv6(
        "NeighborDiscovery",
        &[
            row("icmpv6", "router-solicitation"),
            row("icmpv6", "router-advertisement"),
            row("icmpv6", "neighbor-solicitation"),
            row("icmpv6", "neighbor-advertisement"),
        ],
    ),
    any("NNTP", &[row("tcp", "119")]),
    any("NNTPS", &[row("tcp", "563")]),
    any("NTP", &[row("udp", "123")]),
    any("OpenVPN", &[row("udp", "1194")]),
    any("OSPF", &[proto("89")]),
    any("PCA", &[row("udp", "5632"), row("tcp", "5631")]),
    split("Ping", &[row("icmp", "echo-request")], &[row("icmpv6", "echo-request")]),
    any("PMG", &[row("tcp", "8006")]),
    any("POP3", &[row("tcp", "110")]),
    any("POP3S", &[row("tcp", "995")]),
    any("PostgreSQL", &[row("tcp", "5432")]),
    any("PPtP", &[proto("47"), row("tcp", "1723")]),
    any("Printer", &[row("tcp", "515")]),
    any("Razor", &[row("tcp", "2703")]),
    any("Rdate", &[row("tcp", "37")]),
    any("RDP", &[row("tcp", "3389")]),
    any("RIP", &[row("udp", "520")]),
    any("RNDC", &[row("tcp", "953")]),
    any("Rsync", &[row("tcp", "873")]),
    any("SANE", &[row("tcp", "6566")]),
    any("SixXS", &[row("tcp", "3874"), row("udp", "3740"), proto("41"), row("udp", "5072,8374")]),
    any(
        "SMB",
        &[
            row("udp", "135,445"),
            row("udp", "137:139"),
            both("udp", "1024:65535", "137"),
            row("tcp", "135,139,445"),
        ],
    ),
    any("SMBswat", &[row("tcp", "901")]),
    any("SMTP", &[row("tcp", "25")]),
    any("SMTPS", &[row("tcp", "465")]),
    any("SNMP", &[row("udp", "161:162"), row("tcp", "161")]),
    any("SPAMD", &[row("tcp", "783")]),
    any("SPICEproxy", &[row("tcp", "3128")]),
    any("Squid", &[row("tcp", "3128")]),
    any("SSH", &[row("tcp", "22")]),
    any("Submission", &[row("tcp", "587")]),
    any("SVN", &[row("tcp", "3690")]),
    any("Syslog", &[row("udp", "514"), row("tcp", "514")]),
    any("Telnet", &[row("tcp", "23")]),
    any("Telnets", &[row("tcp", "992")]),
    any("TFTP", &[row("udp", "69")]),
    any("Time", &[row("tcp", "37")]),
    split(
        "Trcrt",
        &[row("udp", "33434:33524"), row("icmp", "echo-request")],
        &[row("udp", "33434:33524"), row("icmpv6", "echo-request")],
    ),
    any("VNC", &[row("tcp", "5900:5999")]),
    any("VNCL", &[row("tcp", "5500")]),
    any("Web", &[row("tcp", "80"), row("tcp", "443")]),
    any("Webcache", &[row("tcp", "8080")]),
    any("Webmin", &[row("tcp", "10000")]),
    any("Whois", &[row("tcp", "43")]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_name_is_found_in_any_case() {
        let names: Vec<_> = MACROS.iter().map(|known| known.name.to_lowercase()).collect();
        assert!(names.is_sorted_by(|a, b| a < b));
        assert_eq!(find("SSH").map(|found| found.name), Some("SSH"));
        assert_eq!(find("spiceproxy").map(|found| found.name), Some("SPICEproxy"));
        assert_eq!(find("Proxmox"), None);
        assert_eq!(find("PBS"), None, "only nftables knows it");
    }

    #[test]
    fn every_row_is_a_protocol_and_ports_that_a_rule_could_name() {
        for row in MACROS.iter().flat_map(|known| known.v4.iter().chain(known.v6)) {
            assert!(port::is_protocol(row.protocol), "{row:?}");
            let icmp = port::is_icmp(row.protocol);
            assert!(row.dport.is_empty() || port::parse(row.dport, icmp).is_ok(), "{row:?}");
            assert!(row.sport.is_empty() || port::parse(row.sport, false).is_ok(), "{row:?}");
        }
    }

    #[test]
    fn the_macros_that_open_management_ports_are_known() {
        let ports =
            |name| find(name).unwrap().rows(Family::V4).iter().map(|row| row.dport).collect::<Vec<_>>();
        assert_eq!(ports("PMG"), ["8006"]);
        assert_eq!(ports("SSH"), ["22"]);
        assert_eq!(ports("SPICEproxy"), ["3128"]);
        assert_eq!(ports("Squid"), ["3128"]);
        assert_eq!(ports("VNC"), ["5900:5999"]);
    }

    #[test]
    fn some_macros_differ_or_exist_only_for_ipv6() {
        let ping = find("Ping").unwrap();
        assert_eq!(ping.rows(Family::V4), [row("icmp", "echo-request")]);
        assert_eq!(ping.rows(Family::V6), [row("icmpv6", "echo-request")]);
        assert!(find("NeighborDiscovery").unwrap().rows(Family::V4).is_empty());
        assert!(find("DHCPv6").unwrap().rows(Family::V4).is_empty());
    }
}
