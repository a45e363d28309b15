//! What services of the node refuse behind the firewall.

use super::*;
use crate::host::firewall::service::ACCESS_LIST;

const PROXY: &str = "/etc/default/pveproxy";
const SSHD: &str = "/etc/ssh/sshd_config";
const DPKG: (&str, &str) = (
    "/var/lib/dpkg/status",
    "Package: openssh-server\nStatus: install ok installed\nVersion: 1:10.0p1-7+deb13u3\nArchitecture: amd64\n",
);
const OPEN: &str = "[RULES]\nIN ACCEPT -p tcp\n";

/// Who gets in, and what refuses the first other source that is not denied by the firewall.
fn served(files: &[(&str, &str)], rules: &str, port: u16) -> (String, Option<String>) {
    let files: Vec<(&str, &str)> = files.iter().copied().chain([DPKG]).collect();
    let host = host(&cluster(rules), "", &files);
    let reach = host.reach(0);
    let found = reach.served(TCP, (port, port));
    assert_eq!(found.len(), 1);
    let exposure = &found[0].exposure;
    let accepted = exposure.rounded(&exposure.accepted());
    let refused = exposure.parts.iter().find(|part| part.outcome == Outcome::Reject);
    let refused = refused.map(|part| {
        let place = part.place;
        let (name, line) = (place.implicit.unwrap_or_default(), place.line.unwrap_or_default());
        format!("{name} {}:{line}", place.path.unwrap_or_default())
    });
    // One question gets the answer of the table.
    for part in &exposure.parts {
        let Some(source) = part.sources.first_networks(1).0.first().map(|network| network.address) else {
            continue;
        };
        let journey =
            reach.journey(Sender::Address(source), Receiver::Target(Target::Node), TCP, port).unwrap();
        assert_eq!((&journey.part.outcome, journey.part.place), (&part.outcome, part.place));
    }
    (accepted.to_string(), refused)
}

fn by(accepted: &str, refused: &str) -> (String, Option<String>) {
    (accepted.to_owned(), Some(refused.to_owned()))
}

const EVERYBODY: &str = "0.0.0.0/0, ::/0";

#[test]
fn lists_of_the_proxies_count_behind_the_firewall() {
    let ask = |text: &str, port| served(&[(PROXY, text)], OPEN, port);
    let everybody = (EVERYBODY.to_owned(), None);
    for port in [8006, 3128] {
        assert_eq!(ask("", port), everybody);
        assert_eq!(ask("ALLOW_FROM=10.0.0.0/8\n", port), everybody, "alone it restricts nothing");
        let listed = by("10.0.0.0/8", "access-list /etc/default/pveproxy:2");
        assert_eq!(ask("ALLOW_FROM=10.0.0.0/8\nPOLICY=deny\n", port), listed);
        assert_eq!(ask("ALLOW_FROM=10.0.0.0/8\nDENY_FROM=all\n", port), listed);
        assert_eq!(ask("DENY_FROM=all\n", port), by("none", "access-list /etc/default/pveproxy:1"));
        let gap = by("10.0.0.0/8, ::/0", "access-list /etc/default/pveproxy:2");
        assert_eq!(ask("ALLOW_FROM=10.0.0.0/8\nDENY_FROM=0/0\n", port), gap, "IPv6 is forgotten");
    }
    assert_eq!(served(&[(PROXY, "DENY_FROM=all\n")], OPEN, 22), everybody, "sshd does not read it");
    assert_eq!(ACCESS_LIST, "access-list");
}

#[test]
fn the_firewall_and_the_list_both_have_to_let_a_source_in() {
    let rules = "[RULES]\nIN ACCEPT -source 10.0.0.0/8 -p tcp -dport 8006\n";
    let text = "ALLOW_FROM=10.5.0.0/16,203.0.113.0/24\nDENY_FROM=all\n";
    let (accepted, _) = served(&[(PROXY, text)], rules, 8006);
    assert_eq!(accepted, "10.5.0.0/16");
}

#[test]
fn a_proxy_that_listens_on_one_address_is_reached_there_only() {
    let ask = |text: &str| served(&[(PROXY, text)], OPEN, 8006);
    let listen = "listen-address /etc/default/pveproxy:1";
    assert_eq!(ask("LISTEN_IP=127.0.0.1\n"), by("127.0.0.0/8", listen));
    assert_eq!(ask("LISTEN_IP=::1\n"), by("::1", listen));
    assert_eq!(ask("LISTEN_IP=0.0.0.0\n"), by("0.0.0.0/0", listen));
    assert_eq!(ask("LISTEN_IP=::\n").0, EVERYBODY);
    assert_eq!(ask("LISTEN_IP=10.1.0.1\n"), by("0.0.0.0/0", listen), "whoever routes to it");
    assert_eq!(ask("LISTEN_IP=pve1\n").0, EVERYBODY, "a name is looked up");
    let rules = "[RULES]\nIN ACCEPT -dest 192.0.2.10 -p tcp -dport 8006\n";
    let at = |text: &str| served(&[(PROXY, text)], rules, 8006).0;
    assert_eq!(at("LISTEN_IP=192.0.2.10\n"), "0.0.0.0/0");
    assert_eq!(
        at("LISTEN_IP=10.1.0.1\n"),
        "10.1.0.1, 127.0.0.0/8, 192.0.2.0/24",
        "the rule is for another address"
    );
}

#[test]
fn sshd_is_reached_at_the_addresses_it_listens_on() {
    let ask = |text: &str, rules| served(&[(SSHD, text)], rules, 22);
    assert_eq!(ask("Port 22\n", OPEN), (EVERYBODY.to_owned(), None));
    let own = |line| format!("listen-address {SSHD}:{line}");
    assert_eq!(ask("ListenAddress 127.0.0.1\n", OPEN), by("127.0.0.0/8", &own(1)));
    assert_eq!(ask("AddressFamily inet\n", OPEN), by("0.0.0.0/0", &own(1)));
    assert_eq!(ask("Port 22\nAddressFamily inet6\n", OPEN), by("::/0", &own(2)));
    let two = "ListenAddress 192.0.2.10\nListenAddress 10.1.0.1\n";
    assert_eq!(ask(two, OPEN), by("0.0.0.0/0", &own(1)));
    let rules = "[RULES]\nIN ACCEPT -dest 10.1.0.1 -p tcp -dport 22\n";
    assert_eq!(ask(two, rules).0, "0.0.0.0/0", "the more open one of its addresses counts");
    assert_eq!(ask("ListenAddress 192.0.2.10\n", rules).0, "10.1.0.1, 127.0.0.0/8, 192.0.2.0/24");
    assert_eq!(ask("ListenAddress pve1.example.com\n", OPEN), (EVERYBODY.to_owned(), None));
}

#[test]
fn what_cannot_be_read_restricts_nothing_and_is_a_doubt() {
    let mut tree = Tree::default();
    tree.insert("/etc/pve/.members", Node::file("{\"nodename\": \"pve1\", \"version\": 0}\n"));
    tree.insert(PROXY, Node::file("DENY_FROM=all\n. /etc/proxy.more\n"));
    tree.insert(SSHD, Node::file("ListenAddress 127.0.0.1\nInclude /etc/ssh/more/*.conf\n"));
    tree.insert("/etc/ssh/more/a.conf", Node::file("").failing(crate::files::TroubleKind::Denied));
    let host = Host::new(Files::memory(tree), None, Some(Release::Pve9));
    let reach = host.reach(0);
    for port in [8006, 3128, 22] {
        let served = reach.served(TCP, (port, port));
        assert!(served[0].exposure.accepted().is_everything(), "{port}");
        let service = served[0].service.as_ref().unwrap();
        assert!(!service.doubts.is_empty() && !service.is_narrowed(), "{port}");
    }
}

#[test]
fn a_socket_of_the_running_node_elsewhere_is_one_of_a_daemon_that_was_not_restarted() {
    let table = |line: &str| {
        format!(
            "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n{line}"
        )
    };
    let socket =
        |address: &str| table(&format!("   0: {address}:1F46 00000000:0000 0A 0:0 00:0 0 33 0 1 1 0\n"));
    let empty = table("");
    let ask = |tcp: &str| {
        let files = [
            (PROXY, "LISTEN_IP=127.0.0.1\n"),
            ("/proc/net/tcp", tcp),
            ("/proc/net/tcp6", &empty),
            ("/proc/net/udp", &empty),
            ("/proc/net/udp6", &empty),
        ];
        served(&files, OPEN, 8006).0
    };
    assert_eq!(ask(&socket("0100007F")), "127.0.0.0/8");
    assert_eq!(ask(&socket("00000000")), EVERYBODY);
    assert_eq!(ask(&socket("0A0200C0")), EVERYBODY);
}
