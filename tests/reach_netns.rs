//! The verdicts of the engine held against the kernel: a ruleset of nftables, written by hand to mean the same as a pair
//! of cluster.fw and host.fw, is loaded into a network namespace, and every source tries every port with a real connection.
//!
//! Needs `unshare`, `ip`, `nft` and a kernel that lets an unprivileged or a privileged user have namespaces; where that
//! is not so, the test says so and passes.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "the test starts programs, prints what they find, says when it was skipped, and may fail"
)]

use std::collections::BTreeMap;
use std::io::{ErrorKind, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::time::Duration;

use pve_audit::files::{Files, Node, Tree};
use pve_audit::formats::release::Release;
use pve_audit::host::Host;
use pve_audit::host::firewall::reach::{TCP, Target};

/// The address of the node.
const NODE: &str = "192.0.2.10";

const CLUSTER_FW: &str = "\
[OPTIONS]
enable: 1
policy_in: DROP

[ALIASES]
local_network 192.0.2.0/24
partner 203.0.113.7

[IPSET management]
10.9.0.0/16

[IPSET office]
198.51.100.0/24
!198.51.100.128/25
198.51.100.200

[RULES]
GROUP web
IN SSH(ACCEPT) -source +office
|IN ACCEPT -source partner
IN REJECT -source 10.9.0.6 -p tcp -dport 8006
IN ACCEPT -source partner -p tcp -dport 5000:5899

[group web]
IN DROP -source 203.0.113.64/26 -p tcp -dport 443
IN ACCEPT -p tcp -dport 443,8080
";

const HOST_FW: &str = "\
[RULES]
IN DROP -source 192.0.2.99 -p tcp -dport 8080
IN ACCEPT -source 10.9.0.5 -p tcp -dport 111
";

/// What stands above, in the order in which the iptables backend asks, as its authors would write it by hand. Packets
/// to other addresses are answers.
const RULESET: &str = "
table inet pair {
  set office {
    type ipv4_addr
    flags interval
    elements = { 198.51.100.0-198.51.100.127, 198.51.100.200 }
  }
  chain input {
    type filter hook input priority 0; policy accept;
    ip daddr != 192.0.2.10 accept
    ip saddr 192.0.2.99 tcp dport 8080 drop
    ip saddr 10.9.0.5 tcp dport 111 accept
    ip saddr 203.0.113.64/26 tcp dport 443 drop
    tcp dport { 443, 8080 } accept
    ip saddr @office tcp dport 22 accept
    ip saddr 10.9.0.6 tcp dport 8006 reject with tcp reset
    ip saddr 203.0.113.7 tcp dport 5000-5899 accept
    ip saddr { 10.9.0.0/16, 192.0.2.0/24 } tcp dport { 8006, 5900-5999, 3128, 22, 60000-60050 } accept
    drop
  }
}
";

const SOURCES: [&str; 9] = [
    "192.0.2.99",
    "192.0.2.7",
    "10.9.0.5",
    "10.9.0.6",
    "198.51.100.7",
    "198.51.100.130",
    "198.51.100.200",
    "203.0.113.7",
    "203.0.113.70",
];

const PORTS: [u16; 10] = [22, 111, 443, 3128, 5899, 5950, 8006, 8080, 60_050, 60_051];

/// How long an answer may take within one machine.
const PATIENCE: Duration = Duration::from_millis(150);

fn run(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Runs in the namespace: what becomes of a connection from every source to every port, a line for each.
#[test]
#[ignore = "run by the other test, in a namespace of its own"]
fn connections_in_a_namespace() {
    assert!(run("ip", &["link", "set", "lo", "up"]));
    for address in SOURCES.iter().chain([&NODE]) {
        assert!(run("ip", &["address", "add", &format!("{address}/32"), "dev", "lo"]));
    }
    let mut nft = Command::new("nft").args(["-f", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    nft.stdin.take().unwrap().write_all(RULESET.as_bytes()).unwrap();
    assert!(nft.wait().unwrap().success());
    let target = |port: u16| SocketAddr::new(NODE.parse().unwrap(), port);
    let listeners: Vec<TcpListener> =
        PORTS.into_iter().map(|port| TcpListener::bind(target(port)).unwrap()).collect();
    for source in SOURCES {
        // The route says from which address a connection comes that names none.
        assert!(run("ip", &["route", "change", "local", NODE, "dev", "lo", "table", "local", "src", source]));
        for (port, listener) in PORTS.into_iter().zip(&listeners) {
            let verdict = match TcpStream::connect_timeout(&target(port), PATIENCE) {
                Ok(_) => {
                    assert_eq!(listener.accept().unwrap().1.ip().to_string(), source);
                    "ACCEPT"
                }
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => "REJECT",
                Err(error) if error.kind() == ErrorKind::TimedOut => "DROP",
                Err(error) => panic!("{source} {port}: {error}"),
            };
            println!("verdict {source} {port} {verdict}");
        }
    }
}

/// What the kernel does with every source and port; none where there are no namespaces.
fn kernel() -> Option<BTreeMap<(String, u16), String>> {
    let probe = "ip link set lo up && nft add table inet probe";
    if !run("unshare", &["-rn", "sh", "-c", probe]) {
        return None;
    }
    let own = std::env::current_exe().unwrap();
    let out = Command::new("unshare")
        .args(["-rn", "--", own.to_str().unwrap()])
        .args(["--exact", "connections_in_a_namespace", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{text}{}", String::from_utf8_lossy(&out.stderr));
    let verdict = |line: &str| {
        // The first one may stand behind the name of the test.
        let (_, rest) = line.split_once("verdict ")?;
        let mut words = rest.split(' ').map(str::to_owned);
        Some(((words.next()?, words.next()?.parse().ok()?), words.next()?))
    };
    Some(text.lines().filter_map(verdict).collect())
}

fn node() -> Host {
    let mut tree = Tree::default();
    let interfaces = "auto vmbr0\niface vmbr0 inet static\n\taddress 192.0.2.10/24\n\tbridge-ports eno1\n";
    for (path, text) in [
        ("/etc/hostname", "pve1\n"),
        ("/etc/hosts", "127.0.0.1 localhost\n192.0.2.10 pve1.example.com pve1\n"),
        ("/etc/network/interfaces", interfaces),
        ("/etc/pve/.members", "{\"nodename\": \"pve1\", \"version\": 0}\n"),
        ("/etc/pve/firewall/cluster.fw", CLUSTER_FW),
        ("/etc/pve/nodes/pve1/host.fw", HOST_FW),
    ] {
        tree.insert(path, Node::file(text));
    }
    Host::new(Files::memory(tree), None, Some(Release::Pve9))
}

#[test]
fn real_connections_meet_the_verdicts_of_the_engine() {
    let Some(kernel) = kernel() else {
        eprintln!("skipped: `unshare -rn` with `ip` and `nft` is not possible here");
        return;
    };
    assert_eq!(kernel.len(), SOURCES.len() * PORTS.len());
    let host = node();
    let reach = host.reach(0);
    for ((source, port), verdict) in kernel {
        let exposure = reach.exposure(Target::Node, TCP, port).unwrap();
        let found = exposure.of(source.parse().unwrap()).unwrap();
        assert_eq!(found.outcome.name(), verdict, "{source} to {port}: {:?}", found.place);
    }
}
