//! Service names with ports, as `/etc/services` of Debian's netbase 6.4 lists them.
//!
//! pve-firewall takes the first column of the lines for tcp, udp and sctp (`get_etc_services`), never an alias.
//! Whether the name fits the protocol of the rule is left to iptables, which refuses the whole ruleset if not.

/// A service name with its port and the protocols it is listed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// First column of the file.
    pub name: &'static str,
    /// Port number.
    pub port: u16,
    /// One letter for each protocol it is listed for: `t` (tcp), `u` (udp), `s` (sctp).
    protocols: &'static str,
}

impl Service {
    /// Whether the file lists the service for this protocol (name or number).
    pub fn is_listed_for(&self, protocol: &str) -> bool {
        let letter = match protocol {
            "tcp" | "6" => 't',
            "udp" | "17" => 'u',
            "sctp" | "132" => 's',
            _ => return false,
        };
        self.protocols.contains(letter)
    }
}

/// The service of that name.
pub fn find(name: &str) -> Option<&'static Service> {
    let index = SERVICES.binary_search_by(|service| service.name.cmp(name)).ok()?;
    SERVICES.get(index)
}

const fn s(name: &'static str, port: u16, protocols: &'static str) -> Service {
    Service { name, port, protocols }
}

/// All services, sorted by name.
#[rustfmt::skip]
pub static SERVICES: [Service; 266] = [
    s("acr-nema", 104, "t"), s("afpovertcp", 548, "t"), s("afs3-bos", 7007, "u"),
    s("afs3-callback", 7001, "u"), s("afs3-fileserver", 7000, "u"), s("afs3-kaserver", 7004, "u"),
    s("afs3-prserver", 7002, "u"), s("afs3-rmtsys", 7009, "u"), s("afs3-update", 7008, "u"),
    s("afs3-vlserver", 7003, "u"), s("afs3-volser", 7005, "u"), s("amanda", 10080, "t"),
    s("amandaidx", 10082, "t"), s("amidxtape", 10083, "t"), s("amqp", 5672, "ts"), s("amqps", 5671, "t"),
    s("asf-rmcp", 623, "u"), s("asp", 27374, "ut"), s("auth", 113, "t"), s("babel", 6696, "u"),
    s("bacula-dir", 9101, "t"), s("bacula-fd", 9102, "t"), s("bacula-sd", 9103, "t"), s("bbs", 7000, "t"),
    s("bgp", 179, "t"), s("bgpd", 2605, "t"), s("biff", 512, "u"), s("binkp", 24554, "t"),
    s("bootpc", 68, "u"), s("bootps", 67, "u"), s("canna", 5680, "t"), s("cfengine", 5308, "t"),
    s("chargen", 19, "ut"), s("cisco-sccp", 2000, "t"), s("clc-build-daemon", 8990, "t"),
    s("clearcase", 371, "u"), s("cmip-agent", 164, "ut"), s("cmip-man", 163, "ut"), s("codaauth2", 370, "ut"),
    s("codasrv", 2432, "ut"), s("codasrv-se", 2433, "ut"), s("csync2", 30865, "t"),
    s("cvspserver", 2401, "t"), s("daap", 3689, "t"), s("datametrics", 1645, "ut"), s("daytime", 13, "ut"),
    s("db-lsp", 17500, "t"), s("dcap", 22125, "t"), s("dhcpv6-client", 546, "u"),
    s("dhcpv6-server", 547, "u"), s("dicom", 11112, "t"), s("dict", 2628, "t"), s("dircproxy", 57000, "t"),
    s("discard", 9, "ut"), s("distcc", 3632, "t"), s("domain", 53, "ut"), s("domain-s", 853, "ut"),
    s("echo", 7, "ut"), s("epmap", 135, "t"), s("epmd", 4369, "t"), s("exec", 512, "t"),
    s("f5-globalsite", 2792, "t"), s("f5-iquery", 4353, "t"), s("fax", 4557, "t"), s("fido", 60179, "t"),
    s("finger", 79, "t"), s("font-service", 7100, "t"), s("freeciv", 5556, "t"), s("fsp", 21, "u"),
    s("ftp", 21, "t"), s("ftp-data", 20, "t"), s("ftps", 990, "t"), s("ftps-data", 989, "t"),
    s("gdomap", 538, "ut"), s("gds-db", 3050, "t"), s("git", 9418, "t"), s("gnunet", 2086, "ut"),
    s("gnutella-rtr", 6347, "ut"), s("gnutella-svc", 6346, "ut"), s("gopher", 70, "t"), s("gpsd", 2947, "t"),
    s("gris", 2135, "t"), s("groupwise", 1677, "t"), s("gsidcap", 22128, "t"), s("gsiftp", 2811, "t"),
    s("gsigatekeeper", 2119, "t"), s("hkp", 11371, "t"), s("http", 80, "t"), s("http-alt", 8080, "t"),
    s("https", 443, "ut"), s("hylafax", 4559, "t"), s("iax", 4569, "u"), s("icpv2", 3130, "u"),
    s("imap2", 143, "t"), s("imaps", 993, "t"), s("ingreslock", 1524, "t"), s("ipp", 631, "t"),
    s("iprop", 2121, "t"), s("ipsec-nat-t", 4500, "u"), s("ipx", 213, "u"), s("ircd", 6667, "t"),
    s("ircs-u", 6697, "t"), s("isakmp", 500, "u"), s("iscsi-target", 3260, "t"), s("isisd", 2608, "t"),
    s("isns", 3205, "ut"), s("iso-tsap", 102, "t"), s("kamanda", 10081, "t"), s("kerberos", 88, "ut"),
    s("kerberos-adm", 749, "t"), s("kerberos-master", 751, "ut"), s("kerberos4", 750, "ut"),
    s("kermit", 1649, "t"), s("klogin", 543, "t"), s("kpasswd", 464, "ut"), s("krb-prop", 754, "t"),
    s("kshell", 544, "t"), s("l2f", 1701, "u"), s("ldap", 389, "ut"), s("ldaps", 636, "ut"),
    s("ldp", 646, "ut"), s("login", 513, "t"), s("lotusnote", 1352, "t"), s("mailq", 174, "t"),
    s("mdns", 5353, "u"), s("microsoft-ds", 445, "t"), s("moira-db", 775, "t"), s("moira-update", 777, "t"),
    s("moira-ureg", 779, "u"), s("mon", 2583, "ut"), s("ms-sql-m", 1434, "u"), s("ms-sql-s", 1433, "t"),
    s("ms-wbt-server", 3389, "t"), s("mtn", 4691, "t"), s("munin", 4949, "t"), s("mysql", 3306, "t"),
    s("mysql-proxy", 6446, "t"), s("nbd", 10809, "t"), s("netbios-dgm", 138, "u"), s("netbios-ns", 137, "u"),
    s("netbios-ssn", 139, "t"), s("netstat", 15, "t"), s("nfs", 2049, "ut"), s("nntp", 119, "t"),
    s("nntps", 563, "t"), s("nqs", 607, "t"), s("nrpe", 5666, "t"), s("nsca", 5667, "t"),
    s("ntalk", 518, "u"), s("ntp", 123, "u"), s("ntske", 4460, "t"), s("nut", 3493, "ut"),
    s("omniorb", 8088, "t"), s("openvpn", 1194, "ut"), s("ospf6d", 2606, "t"), s("ospfapi", 2607, "t"),
    s("ospfd", 2604, "t"), s("passwd-server", 752, "u"), s("pawserv", 345, "t"), s("pop3", 110, "t"),
    s("pop3s", 995, "t"), s("poppassd", 106, "t"), s("postgresql", 5432, "t"), s("predict", 1210, "u"),
    s("printer", 515, "t"), s("proofd", 1093, "t"), s("ptp-event", 319, "u"), s("ptp-general", 320, "u"),
    s("puppet", 8140, "t"), s("qmqp", 628, "t"), s("qmtp", 209, "t"), s("qotd", 17, "t"),
    s("radius", 1812, "ut"), s("radius-acct", 1813, "ut"), s("radmin-port", 4899, "t"), s("redis", 6379, "t"),
    s("remctl", 4373, "t"), s("ripd", 2602, "t"), s("ripngd", 2603, "t"), s("rmiregistry", 1099, "t"),
    s("rmtcfg", 1236, "t"), s("rootd", 1094, "t"), s("route", 520, "u"), s("rpc2portmap", 369, "ut"),
    s("rplay", 5555, "u"), s("rsync", 873, "t"), s("rtcm-sc104", 2101, "ut"), s("rtsp", 554, "ut"),
    s("sa-msg-port", 1646, "ut"), s("saft", 487, "t"), s("sane-port", 6566, "t"), s("sge-execd", 6445, "t"),
    s("sge-qmaster", 6444, "t"), s("sgi-cad", 17004, "t"), s("sgi-cmsd", 17001, "u"),
    s("sgi-crsd", 17002, "u"), s("sgi-gcd", 17003, "u"), s("shell", 514, "t"), s("sieve", 4190, "t"),
    s("silc", 706, "t"), s("sip", 5060, "ut"), s("sip-tls", 5061, "ut"), s("skkserv", 1178, "t"),
    s("smtp", 25, "t"), s("smux", 199, "t"), s("snmp", 161, "ut"), s("snmp-trap", 162, "ut"),
    s("snpp", 444, "t"), s("socks", 1080, "t"), s("spamd", 783, "t"), s("ssh", 22, "t"),
    s("submission", 587, "t"), s("submissions", 465, "t"), s("sunrpc", 111, "ut"), s("supfiledbg", 1127, "t"),
    s("supfilesrv", 871, "t"), s("suucp", 4031, "t"), s("svn", 3690, "t"), s("svrloc", 427, "ut"),
    s("syslog", 514, "u"), s("syslog-tls", 6514, "t"), s("sysrqd", 4094, "t"), s("systat", 11, "t"),
    s("tacacs", 49, "ut"), s("talk", 517, "u"), s("tcpmux", 1, "t"), s("telnet", 23, "t"),
    s("telnets", 992, "t"), s("tfido", 60177, "t"), s("tftp", 69, "u"), s("time", 37, "ut"),
    s("tinc", 655, "ut"), s("tproxy", 8081, "t"), s("uucp", 540, "t"), s("venus", 2430, "ut"),
    s("venus-se", 2431, "ut"), s("webmin", 10000, "t"), s("who", 513, "u"), s("whois", 43, "t"),
    s("wnn6", 22273, "t"), s("x11", 6000, "t"), s("x11-1", 6001, "t"), s("x11-2", 6002, "t"),
    s("x11-3", 6003, "t"), s("x11-4", 6004, "t"), s("x11-5", 6005, "t"), s("x11-6", 6006, "t"),
    s("x11-7", 6007, "t"), s("xdmcp", 177, "u"), s("xinetd", 9098, "t"), s("xmms2", 9667, "t"),
    s("xmpp-client", 5222, "t"), s("xmpp-server", 5269, "t"), s("xtel", 1313, "t"), s("xtelw", 1314, "t"),
    s("z3950", 210, "t"), s("zabbix-agent", 10050, "t"), s("zabbix-trapper", 10051, "t"),
    s("zebra", 2601, "t"), s("zebrasrv", 2600, "t"), s("zephyr-clt", 2103, "u"), s("zephyr-hm", 2104, "u"),
    s("zephyr-srv", 2102, "u"), s("zope", 9673, "t"), s("zope-ftp", 8021, "t"), s("zserv", 346, "t"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_so_that_every_name_is_found() {
        assert!(SERVICES.is_sorted_by(|a, b| a.name < b.name));
        assert!(SERVICES.iter().all(|service| find(service.name) == Some(service)));
        assert_eq!(find("ssh").map(|service| service.port), Some(22));
        assert_eq!(find("www"), None, "an alias of http, not a name");
    }

    #[test]
    fn a_service_belongs_to_the_protocols_it_is_listed_for() {
        let ntp = find("ntp").unwrap();
        assert!(ntp.is_listed_for("udp") && ntp.is_listed_for("17"));
        assert!(!ntp.is_listed_for("tcp") && !ntp.is_listed_for("udplite"));
    }
}
