mod broken;
mod local_network;
mod outward;
mod properties;
mod services;
mod statements;
mod virtual_networks;

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

const NFT: (&str, &str) = (
    "/var/lib/dpkg/status",
    "Package: proxmox-firewall\nStatus: install ok installed\nArchitecture: amd64\nVersion: 1.2.3\n\n",
);

/// The same of the nftables backend.
fn nft(cluster: &str, node: &str, source: &str, port: u16) -> (String, String) {
    let node = format!("[OPTIONS]\nnftables: 1\n{node}");
    answer(&host(cluster, &node, &[NFT]), Target::Node, source, TCP, port)
}

fn cluster(rest: &str) -> String {
    format!("{ON}{rest}")
}

#[test]
fn a_pinned_local_network_replaces_the_derived_one_and_the_management_set_only_adds() {
    let text = cluster("[ALIASES]\nlocal_network 192.0.2.10/32\n[IPSET management]\n10.9.0.0/16\n");
    assert_eq!(on(&text, "", "192.0.2.99", 8006), told("DROP", "policy"));
    assert_eq!(on(&text, "", "10.9.0.1", 8006), told("ACCEPT", "management-set"));
    let set = cluster("[IPSET management]\n10.9.0.0/16\n!192.0.2.0/25\n");
    assert_eq!(on(&set, "", "192.0.2.200", 8006), told("ACCEPT", "management-set"));
    assert_eq!(on(&set, "", "192.0.2.99", 8006), told("DROP", "policy"), "the more specific member decides");
}

#[test]
fn the_local_network_is_the_first_route_that_contains_the_node_not_the_longest() {
    let wide = INTERFACES.replace("\tbridge-ports eno1\n", "\tup ip route add 192.0.0.0/16 via 192.0.2.1\n");
    let wide = host(ON, "", &[("/etc/network/interfaces", &wide)]);
    assert_eq!(answer(&wide, Target::Node, "192.0.77.1", TCP, 8006), told("ACCEPT", "management-set"));
    let single = INTERFACES.replace("192.0.2.10/24", "192.0.2.10/32");
    let single = host(ON, "", &[("/etc/network/interfaces", &single)]);
    assert_eq!(answer(&single, Target::Node, "192.0.2.99", TCP, 8006), told("DROP", "policy"));
    let live = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                vmbr0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n\
                vmbr0\t000000C0\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n";
    let live = host(ON, "", &[("/proc/net/route", live)]);
    assert_eq!(answer(&live, Target::Node, "192.9.9.9", TCP, 8006), told("ACCEPT", "management-set"));
}

#[test]
fn an_unknown_local_network_is_a_doubt_about_the_networks_it_may_be_only() {
    let mut tree = Tree::default();
    tree.insert("/etc/hosts", Node::file("192.0.2.10 pve1\n"));
    tree.insert("/etc/pve/.members", Node::file("{\"nodename\": \"pve1\", \"version\": 0}\n"));
    tree.insert("/etc/pve/firewall/cluster.fw", Node::file(ON));
    tree.insert("/etc/pve/nodes/pve1/qemu-server/.keep", Node::file(""));
    let host = Host::new(Files::memory(tree), None, Some(Release::Pve9));
    assert_eq!(answer(&host, Target::Node, "192.3.4.5", TCP, 8006).0, "UNKNOWN");
    assert_eq!(answer(&host, Target::Node, "203.0.113.1", TCP, 8006), told("DROP", "policy"));
    assert_eq!(answer(&host, Target::Node, "192.3.4.5", TCP, 111), told("DROP", "policy"));
}

#[test]
fn rules_of_the_node_come_first_and_the_first_match_decides() {
    let accept = cluster("[RULES]\nIN SSH(ACCEPT)\n");
    assert_eq!(on(&accept, "", "203.0.113.1", 22), told("ACCEPT", "cluster.fw:4"));
    assert_eq!(on(&accept, "[RULES]\nIN SSH(DROP)\n", "203.0.113.1", 22), told("DROP", "host.fw:2"));
    assert_eq!(on(&accept, "[RULES]\n|IN SSH(DROP)\n", "203.0.113.1", 22), told("ACCEPT", "cluster.fw:4"));
    let reject = "[RULES]\nIN REJECT -source 0.0.0.0/1\n";
    assert_eq!(on(&accept, reject, "20.0.0.1", 22), told("REJECT", "host.fw:2"));
    assert_eq!(on(&accept, reject, "203.0.113.1", 22), told("ACCEPT", "cluster.fw:4"));
    assert_eq!(on(&accept, reject, "2001:db8::1", 22), told("ACCEPT", "cluster.fw:4"));
}

#[test]
fn a_drop_locks_out_management_under_iptables_and_not_under_nftables() {
    let text = cluster("[RULES]\nIN DROP -p tcp -dport 8006\n");
    assert_eq!(on(&text, "", "192.0.2.99", 8006), told("DROP", "cluster.fw:4"));
    assert_eq!(nft(&text, "", "192.0.2.99", 8006), told("ACCEPT", "management-set"));
    assert_eq!(nft(&text, "", "203.0.113.1", 8006), told("DROP", "cluster.fw:4"));
}

#[test]
fn migration_is_open_to_management_under_iptables_only() {
    assert_eq!(nft(ON, "", "192.0.2.99", 60_000), told("DROP", "policy"));
    assert_eq!(on(ON, "", "192.0.2.99", 60_051), told("DROP", "policy"));
}

#[test]
fn corosync_is_open_to_peers_on_the_same_link_and_under_nftables_to_everybody() {
    let conf = "totem {\n version: 2\n}\nnodelist {\n node {\n  name: pve1\n  ring0_addr: 10.1.0.1\n  ring1_addr: 192.0.2.10\n }\n \
                node {\n  name: pve2\n  ring0_addr: 10.1.0.2\n  ring1_addr: 192.0.2.12\n }\n}\n";
    let files = [("/etc/pve/corosync.conf", conf)];
    let clustered = host(ON, "", &files);
    let ask = |host: &Host, source, port| answer(host, Target::Node, source, UDP, port);
    assert_eq!(ask(&clustered, "10.1.0.2", 5405), told("ACCEPT", "corosync"));
    assert_eq!(ask(&clustered, "10.1.0.3", 5405), told("DROP", "policy"));
    assert_eq!(
        ask(&clustered, "10.1.0.2", 5406),
        told("DROP", "policy"),
        "links beyond the first are not in the list"
    );
    let nft = host(ON, "[OPTIONS]\nnftables: 1\n", &[files[0], NFT]);
    assert_eq!(ask(&nft, "203.0.113.1", 5406), told("ACCEPT", "corosync"));
    assert_eq!(ask(&nft, "10.1.0.2", 5404), told("DROP", "policy"));
}

#[test]
fn multicast_of_corosync_is_open_to_the_links_of_the_node_with_one_transport_only() {
    let conf = |transport: &str| {
        format!(
            "totem {{\n version: 2\n transport: {transport}\n}}\nnodelist {{\n node {{\n  name: pve1\n  \
             ring0_addr: 10.1.0.1\n }}\n node {{\n  name: pve2\n  ring0_addr: 10.1.0.2\n }}\n}}\n"
        )
    };
    let ask = |transport: &str, source, port| {
        let text = conf(transport);
        answer(&host(ON, "", &[("/etc/pve/corosync.conf", &text)]), Target::Node, source, UDP, port)
    };
    assert_eq!(ask("udp", "10.1.0.3", 5405), told("ACCEPT", "corosync"), "on a link of the node");
    assert_eq!(ask("udp", "203.0.113.1", 5404).0, "UNKNOWN", "through a router that forwards it");
    assert_eq!(ask("udp", "10.1.0.3", 5406), told("DROP", "policy"));
    for other in ["knet", "udpu"] {
        assert_eq!(ask(other, "10.1.0.3", 5405), told("DROP", "policy"), "{other}");
    }
}

#[test]
fn the_blacklist_comes_before_everything_under_iptables_and_is_passed_over_by_nftables() {
    let text = cluster("[IPSET blacklist]\n192.0.2.66\n[RULES]\nIN ACCEPT\n");
    assert_eq!(on(&text, "", "192.0.2.66", 8006), told("DROP", "blacklist"));
    assert_eq!(nft(&text, "", "192.0.2.66", 8006), told("ACCEPT", "management-set"));
}

#[test]
fn everything_in_a_set_is_skipped_by_iptables_and_taken_by_nftables() {
    let text = cluster("[IPSET management]\n0.0.0.0/0\n");
    assert_eq!(on(&text, "", "203.0.113.1", 8006), told("DROP", "policy"));
    assert_eq!(nft(&text, "", "203.0.113.1", 8006), told("ACCEPT", "management-set"));
}

#[test]
fn a_set_used_above_its_definition_costs_the_rule_under_iptables_only() {
    let text = cluster("[RULES]\nIN SSH(ACCEPT) -source +office\n[IPSET office]\n203.0.113.0/24\n");
    assert_eq!(on(&text, "", "203.0.113.1", 22), told("DROP", "policy"));
    assert_eq!(nft(&text, "", "203.0.113.1", 22), told("ACCEPT", "cluster.fw:4"));
}

#[test]
fn capital_letters_in_the_name_of_a_group_lose_it_under_iptables_only() {
    let text = cluster("[RULES]\nGROUP Web\n[group Web]\nIN HTTPS(ACCEPT)\n");
    assert_eq!(on(&text, "", "203.0.113.1", 443), told("DROP", "policy"));
    assert_eq!(nft(&text, "", "203.0.113.1", 443), told("ACCEPT", "cluster.fw:6"));
}

#[test]
fn a_missing_group_is_empty_under_iptables_and_ends_everything_under_nftables() {
    let text = cluster("[RULES]\nGROUP web\n");
    assert_eq!(on(&text, "", "203.0.113.1", 443), told("DROP", "policy"));
    assert_eq!(nft(&text, "", "203.0.113.1", 443), told("ACCEPT", "ruleset-refused"));
}

#[test]
fn what_the_backends_refuse_leaves_everything_open() {
    let member = cluster("[IPSET office]\n10.0.0.0/99\n");
    for ask in [on, nft] {
        assert_eq!(ask(&member, "", "203.0.113.1", 8006), told("ACCEPT", "ruleset-refused"));
    }
    let duplicate = cluster("[IPSET office]\n10.0.0.1\n[IPSET office]\n10.0.0.2\n");
    assert_eq!(on(&duplicate, "", "203.0.113.1", 8006), told("DROP", "policy"));
    assert_eq!(nft(&duplicate, "", "203.0.113.1", 8006), told("ACCEPT", "ruleset-refused"));
    let six = cluster("[ALIASES]\nsix 2001:db8::/140\n[RULES]\nIN SSH(ACCEPT) -source six\n");
    assert_eq!(on(&six, "", "203.0.113.1", 8006), told("DROP", "policy"), "IPv4 is loaded before");
    assert_eq!(on(&six, "", "2001:db8::1", 8006), told("ACCEPT", "ruleset-refused"));
    let reach_of = |text: &str| host(text, "", &[]).reach(0).load_failed().is_some();
    assert!(reach_of(&member) && !reach_of(ON));
}

#[test]
fn carriage_returns_and_a_byte_order_mark_switch_the_firewall_off() {
    assert_eq!(on("[OPTIONS]\r\nenable: 1\r\n", "", "203.0.113.1", 8006), told("ACCEPT", "firewall-off"));
    assert_eq!(on("\u{feff}[OPTIONS]\nenable: 1\n", "", "203.0.113.1", 8006), told("ACCEPT", "firewall-off"));
    assert_eq!(on("[OPTIONS]\nenable: yes\n", "", "203.0.113.1", 8006), told("ACCEPT", "firewall-off"));
}

#[test]
fn a_port_of_zero_is_every_port_under_iptables_and_none_under_nftables() {
    let text = cluster("[RULES]\nIN ACCEPT -p tcp -dport 0 -source 203.0.113.0/24\n");
    assert_eq!(on(&text, "", "203.0.113.1", 8006), told("ACCEPT", "cluster.fw:4"));
    assert_eq!(nft(&text, "", "203.0.113.1", 8006), told("DROP", "policy"));
}

#[test]
fn ports_without_a_protocol_cost_the_rule_under_iptables_and_open_everything_under_nftables() {
    let text = cluster("[RULES]\nIN ACCEPT -dport 22\n");
    assert_eq!(on(&text, "", "203.0.113.1", 8006), told("DROP", "policy"));
    assert_eq!(nft(&text, "", "203.0.113.1", 8006), told("ACCEPT", "cluster.fw:4"));
}

#[test]
fn noise_is_refused_before_the_rules_of_nftables_and_behind_those_of_iptables() {
    let text = cluster("[RULES]\nIN ACCEPT -p tcp -dport 445\n");
    assert_eq!(on(&text, "", "203.0.113.1", 445), told("ACCEPT", "cluster.fw:4"));
    assert_eq!(nft(&text, "", "203.0.113.1", 445), told("REJECT", "noise"));
}

#[test]
fn the_policy_decides_about_the_rest() {
    let policy = |policy: &str| format!("{ON}policy_in: {policy}\n");
    assert_eq!(on(&policy("ACCEPT"), "", "203.0.113.1", 111), told("ACCEPT", "policy"));
    assert_eq!(on(&policy("REJECT"), "", "203.0.113.1", 111), told("REJECT", "policy"));
    assert_eq!(on(ON, "", "2001:db8::1", 43), told("REJECT", "policy"));
}

#[test]
fn interfaces_match_the_sources_whose_answers_go_out_there() {
    let text = "[RULES]\nIN ACCEPT -i vmbr1 -p tcp -dport 111\n";
    assert_eq!(on(ON, text, "10.1.9.9", 111), told("ACCEPT", "host.fw:2"));
    assert_eq!(on(ON, text, "203.0.113.1", 111), told("DROP", "policy"));
    assert_eq!(
        on(ON, "[RULES]\nIN ACCEPT -i vmbr0 -p tcp -dport 111\n", "203.0.113.1", 111),
        told("ACCEPT", "host.fw:2")
    );
    let other = "[RULES]\nIN DROP -i tun0\nIN ACCEPT -p tcp -dport 111\n";
    assert_eq!(on(ON, other, "203.0.113.1", 111), told("UNKNOWN", "host.fw:2"));
}

#[test]
fn nothing_comes_to_the_node_through_a_port_of_a_bridge() {
    let text = "[RULES]\nIN ACCEPT -i eno1 -p tcp -dport 111\nIN DROP -i eno1\n";
    for ask in [on, nft] {
        assert_eq!(ask(ON, text, "203.0.113.1", 111), told("DROP", "policy"));
    }
    let plain = INTERFACES.replace("\tbridge-ports eno1\n", "");
    let plain = host(ON, text, &[("/etc/network/interfaces", &plain)]);
    assert_eq!(answer(&plain, Target::Node, "203.0.113.1", TCP, 111).0, "UNKNOWN", "it may have a route");
}

#[test]
fn addresses_of_files_that_are_pulled_in_and_old_netmasks_count() {
    let main = "source /etc/network/interfaces.d/*\niface vmbr0 inet static\n\taddress 192.0.2.10\n\tnetmask 255.255.255.0\n\tgateway 192.0.2.1\n";
    let files = [
        ("/etc/network/interfaces", main),
        ("/etc/network/interfaces.d/more", "source /etc/network/deep\n"),
        ("/etc/network/deep", "iface vmbr1\n\taddress 10.1.0.1/16\n"),
    ];
    let found = host(ON, "[RULES]\nIN ACCEPT -i vmbr1\n", &files);
    assert_eq!(answer(&found, Target::Node, "192.0.2.99", TCP, 8006), told("ACCEPT", "management-set"));
    assert_eq!(answer(&found, Target::Node, "10.1.2.3", TCP, 111), told("ACCEPT", "host.fw:2"));
    let wrong = main.replace("192.0.2.10", "here");
    assert!(!host(ON, "", &[("/etc/network/interfaces", &wrong)]).reach(0).doubts().is_empty());
}

#[test]
fn a_destination_decides_only_if_it_is_an_address_of_the_node() {
    let rule = |dest: &str| format!("[RULES]\nIN ACCEPT -p tcp -dport 111 -dest {dest}\n");
    assert_eq!(on(ON, &rule("192.0.2.10"), "203.0.113.1", 111), told("ACCEPT", "host.fw:2"));
    assert_eq!(
        on(ON, &rule("10.1.0.1"), "203.0.113.1", 111),
        told("ACCEPT", "host.fw:2"),
        "any of its addresses"
    );
    assert_eq!(on(ON, &rule("192.0.2.11"), "203.0.113.1", 111), told("DROP", "policy"));
    let both = "[RULES]\nIN DROP -dest 10.1.0.1\nIN ACCEPT -p tcp -dport 111 -dest 10.1.0.0/16\n";
    assert_eq!(on(ON, both, "203.0.113.1", 111), told("DROP", "host.fw:2"), "each address by itself");
}

#[test]
fn whoever_attacks_chooses_the_source_port() {
    let drop = "[RULES]\nIN DROP -p tcp -sport 1024:65535\nIN ACCEPT -p tcp -dport 111\n";
    assert_eq!(on(ON, drop, "203.0.113.1", 111), told("ACCEPT", "host.fw:3"));
    let same = "[RULES]\nIN DROP -p tcp -sport 53\nIN ACCEPT -p tcp -dport 111 -sport 53\n";
    assert_eq!(on(ON, same, "203.0.113.1", 111).0, "DROP");
}

const GUEST: (&str, &str) = (
    "/etc/pve/nodes/pve1/qemu-server/100.conf",
    "net0: virtio=BC:24:11:00:00:01,bridge=vmbr0,firewall=1\nnet1: virtio=BC:24:11:00:00:02,bridge=vmbr1,firewall=1\n",
);

fn guest(cluster: &str, own: &str, card: Option<u32>, port: u16) -> [(String, String); 2] {
    let files = [GUEST, ("/etc/pve/firewall/100.fw", own), NFT];
    ["", "[OPTIONS]\nnftables: 1\n"]
        .map(|node| answer(&host(cluster, node, &files), Target::Guest(100, card), "203.0.113.1", TCP, port))
}

#[test]
fn a_guest_has_its_own_switch_rules_and_policy_and_nothing_of_the_datacenter() {
    let rules = cluster("[RULES]\nIN DROP\n");
    for found in guest(&rules, "", None, 80) {
        assert_eq!(found, told("ACCEPT", "guest-firewall-off"));
    }
    let accept = cluster("[RULES]\nIN ACCEPT\n");
    for found in guest(&accept, ON, None, 80) {
        assert_eq!(found, told("DROP", "policy"));
    }
    let [iptables, nftables] =
        guest(ON, "[OPTIONS]\nenable: 1\n[RULES]\nIN REJECT -p tcp -dport 80\n", None, 80);
    assert_eq!((iptables, nftables), (told("REJECT", "100.fw:4"), told("DROP", "100.fw:4")));
    let [iptables, nftables] = guest(ON, "[OPTIONS]\nenable: yes\n", None, 80);
    assert_eq!((iptables, nftables), (told("ACCEPT", "guest-firewall-off"), told("DROP", "policy")));
}

#[test]
fn rules_for_a_network_card_count_on_this_card() {
    let own = "[OPTIONS]\nenable: 1\n[RULES]\nIN ACCEPT -i net1 -p tcp -dport 80\n";
    for found in guest(ON, own, Some(0), 80) {
        assert_eq!(found, told("DROP", "policy"));
    }
    for found in guest(ON, own, Some(1), 80).into_iter().chain(guest(ON, own, None, 80)) {
        assert_eq!(found, told("ACCEPT", "100.fw:4"));
    }
}

#[test]
fn a_card_without_the_flag_is_not_filtered_and_the_guest_is_filtered_with_the_node_off() {
    let conf = (GUEST.0, "net0: virtio=BC:24:11:00:00:01,bridge=vmbr0\n");
    let open = host(ON, "", &[conf, ("/etc/pve/firewall/100.fw", ON)]);
    assert_eq!(
        answer(&open, Target::Guest(100, None), "203.0.113.1", TCP, 80),
        told("ACCEPT", "nic-unfiltered")
    );
    let off = host(ON, "[OPTIONS]\nenable: 0\n", &[GUEST, ("/etc/pve/firewall/100.fw", ON)]);
    assert_eq!(answer(&off, Target::Guest(100, None), "203.0.113.1", TCP, 80), told("DROP", "policy"));
    assert!(off.reach(0).exposure(Target::Guest(100, Some(7)), TCP, 80).is_err());
    assert!(off.reach(0).exposure(Target::Guest(999, None), TCP, 80).is_err());
}

#[test]
fn names_of_the_guest_shadow_those_of_the_datacenter_and_groups_see_the_datacenter_only() {
    let dc = cluster("[ALIASES]\nhq 10.0.0.1\n[group web]\nIN HTTPS(ACCEPT) -source hq\n");
    let own = "[OPTIONS]\nenable: 1\n[ALIASES]\nhq 203.0.113.1\n[RULES]\nIN SSH(ACCEPT) -source hq\nIN HTTP(ACCEPT) -source dc/hq\nGROUP web\n";
    for (port, verdict) in [(22, "ACCEPT"), (80, "DROP"), (443, "DROP")] {
        assert_eq!(guest(&dc, own, None, port)[0].0, verdict, "{port}");
    }
    assert_eq!(guest(&dc, own, None, 22)[1].0, "ACCEPT");
    assert_eq!(guest(&dc, own, None, 80)[1].0, "DROP");
}

#[test]
fn a_group_for_an_interface_lets_in_what_filtered_guests_send_through_another() {
    let container = "net0: name=eth0,bridge=vmbr1,firewall=1,ip=10.1.0.50/16\n";
    let files = [("/etc/pve/nodes/pve1/lxc/101.conf", container), ("/etc/pve/firewall/101.fw", ON)];
    let text = cluster("[RULES]\nGROUP web -i vmbr0\nIN DROP\n[group web]\n");
    let leaking = host(&text, "", &files);
    assert_eq!(answer(&leaking, Target::Node, "10.1.0.50", TCP, 8006), told("ACCEPT", "group-mark"));
    assert_eq!(answer(&leaking, Target::Node, "10.1.0.51", TCP, 8006), told("DROP", "cluster.fw:5"));
    assert!(leaking.reach(0).mark_leak().is_some());
    let cleared = cluster("[RULES]\nGROUP web\nGROUP web -i vmbr0\nIN DROP\n[group web]\n");
    assert!(host(&cleared, "", &files).reach(0).mark_leak().is_none());
}

#[test]
fn what_cannot_be_read_is_unknown_and_never_closed() {
    let mut tree = Tree::default();
    tree.insert("/etc/pve/.members", Node::file("{\"nodename\": \"pve1\", \"version\": 0}\n"));
    tree.insert("/etc/pve/firewall/cluster.fw", Node::file(ON).failing(crate::files::TroubleKind::Denied));
    let host = Host::new(Files::memory(tree), None, Some(Release::Pve9));
    assert_eq!(answer(&host, Target::Node, "203.0.113.1", TCP, 8006).0, "UNKNOWN");
}

#[test]
fn groups_that_call_for_endless_work_are_unknown() {
    let text =
        format!("{ON}[RULES]\n{}[group ab]\n{}", "GROUP ab\n".repeat(1100), "IN DROP -p udp\n".repeat(1100));
    assert_eq!(on(&text, "", "203.0.113.1", 8006).0, "UNKNOWN");
}
