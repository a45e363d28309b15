use super::*;
use crate::files::{Files, Node, Tree};
use crate::formats::release::Release;

const INTERFACES: &str = "auto lo\niface lo inet loopback\niface eno1 inet manual\nauto vmbr0\niface vmbr0 inet static\n\
    \taddress 192.0.2.10/24\n\tgateway 192.0.2.1\n\tbridge-ports eno1\nauto vmbr1\niface vmbr1 inet static\n\taddress 10.1.0.1/16\n";

/// A node with this content of cluster.fw, host.fw and further files.
fn host(cluster: &str, node: &str, more: &[(&str, &str)]) -> Host {
    let mut tree = Tree::default();
    tree.insert("/etc/hostname", Node::file("pve1\n"));
    tree.insert("/etc/hosts", Node::file("127.0.0.1 localhost\n192.0.2.10 pve1.example.com pve1\n"));
    tree.insert("/etc/network/interfaces", Node::file(INTERFACES));
    tree.insert("/etc/pve/.members", Node::file("{\"nodename\": \"pve1\", \"version\": 0}\n"));
    tree.insert("/etc/pve/firewall/cluster.fw", Node::file(cluster));
    tree.insert("/etc/pve/nodes/pve1/host.fw", Node::file(node));
    for (path, text) in more {
        tree.insert(path, Node::file(*text));
    }
    Host::new(Files::memory(tree), None, Some(Release::Pve9))
}

/// Verdict and what decides, as `path:line` or the name of the built-in rule.
fn answer(host: &Host, target: Target, source: &str, protocol: u16, port: u16) -> (String, String) {
    let exposure = host.reach(0).exposure(target, protocol, port).unwrap();
    let found = exposure.of(source.parse().unwrap()).unwrap();
    let place = match found.place {
        Place { implicit: Some(name), .. } => name.to_owned(),
        Place { path, line, .. } => {
            format!("{}:{}", path.unwrap_or_default().rsplit('/').next().unwrap(), line.unwrap_or_default())
        }
    };
    (found.outcome.name().to_owned(), place)
}

fn on(cluster: &str, node: &str, source: &str, port: u16) -> (String, String) {
    answer(&host(cluster, node, &[]), Target::Node, source, TCP, port)
}

fn told(verdict: &str, place: &str) -> (String, String) {
    (verdict.to_owned(), place.to_owned())
}

const ON: &str = "[OPTIONS]\nenable: 1\n";

#[test]
fn with_the_firewall_off_everybody_gets_in() {
    assert_eq!(on("", "", "203.0.113.7", 8006), told("ACCEPT", "firewall-off"));
    assert_eq!(on(ON, "[OPTIONS]\nenable: 0\n", "203.0.113.7", 8006), told("ACCEPT", "node-firewall-off"));
    assert_eq!(on(ON, "", "203.0.113.7", 8006), told("DROP", "policy"));
}

#[test]
fn the_local_network_reaches_the_management_ports() {
    assert_eq!(on(ON, "", "192.0.2.99", 8006), told("ACCEPT", "management-set"));
    assert_eq!(on(ON, "", "192.0.2.99", 60050), told("ACCEPT", "management-set"));
    assert_eq!(on(ON, "", "192.0.2.99", 111), told("DROP", "policy"));
    assert_eq!(on(ON, "", "10.1.2.3", 8006), told("DROP", "policy"));
}
