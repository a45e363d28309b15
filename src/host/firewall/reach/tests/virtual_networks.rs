//! Sets of the software-defined network, firewalls of virtual networks, rules for forwarded packets.

use super::*;

const RUNNING: &str = "/etc/pve/sdn/.running-config";
const NETWORK: (&str, &str) = (
    RUNNING,
    r#"{"zones": {"ids": {"z1": {"type": "simple"}, "z2": {"type": "vlan"}}},
        "vnets": {"ids": {"v1": {"zone": "z1"}, "v2": {"zone": "z2", "tag": 5}}},
        "subnets": {"ids": {"z1-10.50.0.0-24": {"vnet": "v1", "gateway": "10.50.0.1",
            "dhcp-range": ["start-address=10.50.0.100,end-address=10.50.0.109"]}}}}"#,
);
const IPAM: (&str, &str) = (
    "/etc/pve/sdn/pve-ipam-state.json",
    r#"{"zones": {"z1": {"subnets": {"10.50.0.0/24": {"ips": {
        "10.50.0.100": {"vmid": "100", "mac": "BC:24:11:00:00:01"}}}}}}}"#,
);
const NFT_NODE: &str = "[OPTIONS]\nnftables: 1\n";

fn both(rules: &str, files: &[(&str, &str)], source: &str) -> [String; 2] {
    let files: Vec<(&str, &str)> = files.iter().copied().chain([NFT]).collect();
    ["", NFT_NODE].map(|node| answer(&host(&cluster(rules), node, &files), Target::Node, source, TCP, 111).0)
}

#[test]
fn a_set_of_a_virtual_network_holds_what_is_applied() {
    let files = [NETWORK, IPAM];
    for (set, source, verdict) in [
        ("sdn/v1-all", "10.50.0.1", "ACCEPT"),
        ("sdn/v1-all", "10.50.1.1", "DROP"),
        ("sdn/v1-no-gateway", "10.50.0.1", "DROP"),
        ("sdn/v1-no-gateway", "10.50.0.2", "ACCEPT"),
        ("sdn/v1-gateway", "10.50.0.1", "ACCEPT"),
        ("sdn/v1-gateway", "10.50.0.2", "DROP"),
        ("sdn/v1-dhcp", "10.50.0.109", "ACCEPT"),
        ("sdn/v1-dhcp", "10.50.0.110", "DROP"),
        ("sdn/guest-ipam-100", "10.50.0.100", "ACCEPT"),
        ("sdn/guest-ipam-100", "10.50.0.101", "DROP"),
    ] {
        let rule = format!("[RULES]\nIN ACCEPT -p tcp -dport 111 -source +{set}\n");
        assert_eq!(both(&rule, &files, source), [verdict; 2], "{set} {source}");
    }
}

#[test]
fn without_a_scope_only_iptables_looks_at_the_virtual_networks() {
    let rule = "[RULES]\nIN ACCEPT -p tcp -dport 111 -source +v1-all\n";
    assert_eq!(both(rule, &[NETWORK], "10.50.0.2"), ["ACCEPT", "DROP"]);
}

#[test]
fn a_rule_with_a_set_that_is_not_there_is_left_out() {
    let rules = "[RULES]\nIN DROP -source +sdn/v9-all\nIN ACCEPT -p tcp -dport 111\n";
    assert_eq!(both(rules, &[NETWORK], "10.50.0.2"), ["ACCEPT", "ACCEPT"]);
    let except = "[RULES]\nIN DROP -source +sdn/guest-ipam-999\nIN ACCEPT -p tcp -dport 111\n";
    assert_eq!(both(except, &[NETWORK, IPAM], "10.50.0.2"), ["ACCEPT", "ACCEPT"]);
}

#[test]
fn a_set_of_the_datacenter_gives_way_to_one_of_a_virtual_network_under_iptables() {
    let rules = "[IPSET v1-all]\n203.0.113.0/24\n[RULES]\nIN ACCEPT -p tcp -dport 111 -source +dc/v1-all\n";
    assert_eq!(both(rules, &[NETWORK], "203.0.113.1"), ["DROP", "ACCEPT"]);
    assert_eq!(both(rules, &[NETWORK], "10.50.0.2"), ["ACCEPT", "DROP"]);
}

#[test]
fn what_is_applied_and_cannot_be_understood_is_unknown_or_ends_everything() {
    let rule = "[RULES]\nIN ACCEPT -p tcp -dport 111 -source +sdn/v1-all\n";
    assert_eq!(both(rule, &[(RUNNING, "{")], "10.50.0.2"), ["UNKNOWN", "ACCEPT"]);
    let broken = host(ON, NFT_NODE, &[(RUNNING, "{\"vnets\":7}"), NFT]);
    assert_eq!(answer(&broken, Target::Node, "203.0.113.1", TCP, 8006), told("ACCEPT", "ruleset-refused"));
    let whole = (
        RUNNING,
        r#"{"zones": {"ids": {"z1": {"type": "simple"}}}, "vnets": {"ids": {"v1": {"zone": "z1"}}},
        "subnets": {"ids": {"z1-0.0.0.0-0": {"vnet": "v1"}}}}"#,
    );
    assert_eq!(
        both("", &[whole], "203.0.113.1"),
        ["ACCEPT", "DROP"],
        "a set of ipset takes no prefix of length 0"
    );
}

#[test]
fn what_a_tree_may_have_lost_is_unknown() {
    let rule = |set: &str| format!("[RULES]\nIN ACCEPT -p tcp -dport 111 -source +sdn/{set}\n");
    let vnets = [("/etc/pve/sdn/vnets.cfg", "vnet: v1\n\tzone z1\n")];
    assert_eq!(both(&rule("v1-all"), &vnets, "10.50.0.2"), ["UNKNOWN", "UNKNOWN"]);
    assert_eq!(both(&rule("guest-ipam-100"), &[NETWORK], "10.50.0.2"), ["UNKNOWN", "UNKNOWN"]);
    let old = ("/etc/pve/priv/ipam.db", IPAM.1);
    assert_eq!(both(&rule("guest-ipam-100"), &[NETWORK, old], "10.50.0.100"), ["ACCEPT", "ACCEPT"]);
}

/// A container of 10.50.0.0/24 on this bridge, with this file of its own and these files besides.
fn guest_on(bridge: &str, cluster: &str, node: &str, own: &str, files: &[(&str, &str)]) -> Host {
    let conf = format!("net0: name=eth0,bridge={bridge},firewall=1,ip=10.50.0.100/24\n");
    let all = [
        ("/etc/pve/nodes/pve1/lxc/100.conf", conf.as_str()),
        ("/etc/pve/firewall/100.fw", own),
        NETWORK,
        NFT,
    ];
    let all: Vec<(&str, &str)> = all.into_iter().chain(files.iter().copied()).collect();
    host(cluster, node, &all)
}

fn to_guest(host: &Host, source: &str) -> (String, String) {
    answer(host, Target::Guest(100, None), source, TCP, 80)
}

const OPEN_GUEST: &str = "[OPTIONS]\nenable: 1\npolicy_in: ACCEPT\n";
const V1: &str = "/etc/pve/sdn/firewall/v1.fw";
const V2: &str = "/etc/pve/sdn/firewall/v2.fw";
const DENYING: &str =
    "[OPTIONS]\nenable: 1\npolicy_forward: DROP\n[RULES]\nFORWARD ACCEPT -source 10.50.0.7\n";

#[test]
fn a_virtual_network_decides_about_what_it_carries_under_nftables_only() {
    let files = [(V2, DENYING)];
    let nft = guest_on("v2", ON, NFT_NODE, OPEN_GUEST, &files);
    assert_eq!(to_guest(&nft, "203.0.113.1"), told("DROP", "policy"));
    assert_eq!(to_guest(&nft, "10.50.0.7"), told("ACCEPT", "policy"));
    let found = nft.reach(0).exposure(Target::Guest(100, None), TCP, 80).unwrap();
    assert_eq!(found.of("203.0.113.1".parse().unwrap()).unwrap().place.path, Some(V2));
    let iptables = guest_on("v2", ON, "", OPEN_GUEST, &files);
    assert_eq!(to_guest(&iptables, "203.0.113.1").0, "ACCEPT");
    let off = guest_on("v2", ON, NFT_NODE, OPEN_GUEST, &[(V2, "[OPTIONS]\npolicy_forward: DROP\n")]);
    assert_eq!(to_guest(&off, "203.0.113.1").0, "ACCEPT");
    let other = guest_on("v1", ON, NFT_NODE, OPEN_GUEST, &files);
    assert_eq!(to_guest(&other, "203.0.113.1").0, "ACCEPT", "of another network");
}

#[test]
fn the_guest_decides_behind_its_virtual_network() {
    let own = "[OPTIONS]\nenable: 1\n[RULES]\nIN DROP -source 10.50.0.7\nIN ACCEPT\n";
    let both = guest_on("v2", ON, NFT_NODE, own, &[(V2, DENYING)]);
    assert_eq!(to_guest(&both, "10.50.0.7"), told("DROP", "100.fw:4"));
    assert_eq!(to_guest(&both, "10.50.0.8"), told("DROP", "policy"));
    let bare = guest_on("v2", ON, NFT_NODE, "", &[(V2, DENYING)]);
    assert_eq!(to_guest(&bare, "10.50.0.8"), told("DROP", "policy"), "whether or not the guest is filtered");
    assert_eq!(to_guest(&bare, "10.50.0.7"), told("ACCEPT", "guest-firewall-off"));
}

#[test]
fn where_the_node_routes_a_packet_may_come_either_way() {
    let vnet = guest_on("v1", ON, NFT_NODE, OPEN_GUEST, &[(V1, DENYING)]);
    assert_eq!(to_guest(&vnet, "10.50.0.8"), told("DROP", "policy"), "in the subnet: carried");
    assert_eq!(to_guest(&vnet, "203.0.113.1").0, "UNKNOWN", "routed packets pass no chain of the network");
    let forward =
        cluster("policy_forward: DROP\n[RULES]\nFORWARD ACCEPT -source 203.0.113.1 -p tcp -dport 80\n");
    let both = guest_on("v1", &forward, NFT_NODE, OPEN_GUEST, &[(V1, DENYING)]);
    assert_eq!(to_guest(&both, "203.0.113.2").0, "DROP", "neither way");
    assert_eq!(to_guest(&both, "203.0.113.1").0, "UNKNOWN");
    let routed = guest_on("v1", &forward, NFT_NODE, OPEN_GUEST, &[]);
    assert_eq!(to_guest(&routed, "10.50.0.8").0, "ACCEPT");
    assert_eq!(to_guest(&routed, "203.0.113.2").0, "UNKNOWN");
    let off = guest_on("v1", &forward, "[OPTIONS]\nnftables: 1\nenable: 0\n", OPEN_GUEST, &[]);
    assert_eq!(to_guest(&off, "203.0.113.2").0, "ACCEPT", "nothing is forwarded by rule with the node off");
}

#[test]
fn a_bridge_with_a_wire_carries_everything() {
    let forward = cluster("policy_forward: DROP\n");
    let wired = guest_on("vmbr0", &forward, NFT_NODE, OPEN_GUEST, &[]);
    assert_eq!(to_guest(&wired, "203.0.113.1").0, "ACCEPT");
    let alone = guest_on("vmbr1", &forward, NFT_NODE, OPEN_GUEST, &[]);
    assert_eq!(to_guest(&alone, "203.0.113.1").0, "UNKNOWN");
    assert_eq!(to_guest(&alone, "10.1.2.3").0, "ACCEPT");
}

#[test]
fn into_a_bridge_on_which_the_node_has_an_address_packets_may_be_routed() {
    let file = ("/etc/pve/sdn/firewall/vmbr0.fw", DENYING);
    let wired = guest_on("vmbr0", ON, NFT_NODE, OPEN_GUEST, &[file]);
    assert_eq!(to_guest(&wired, "192.0.2.99"), told("DROP", "policy"));
    assert_eq!(to_guest(&wired, "203.0.113.1").0, "UNKNOWN");
    let interfaces = format!("{INTERFACES}iface vmbr2\n\tbridge-ports eno2\n");
    let file = ("/etc/pve/sdn/firewall/vmbr2.fw", DENYING);
    let bare = [file, ("/etc/network/interfaces", interfaces.as_str())];
    let bare = guest_on("vmbr2", ON, NFT_NODE, OPEN_GUEST, &bare);
    assert_eq!(to_guest(&bare, "203.0.113.1"), told("DROP", "policy"));
    let unknown = guest_on("vmbr9", ON, NFT_NODE, OPEN_GUEST, &[("/etc/pve/sdn/firewall/vmbr9.fw", DENYING)]);
    assert_eq!(to_guest(&unknown, "203.0.113.1").0, "UNKNOWN");
}

#[test]
fn rules_for_forwarded_packets_are_left_out_for_an_interface_and_pass_in_groups() {
    let text = "[OPTIONS]\nenable: 1\npolicy_forward: DROP\n[RULES]\nGROUP web\n";
    let groups = cluster("[group web]\nFORWARD ACCEPT -p tcp -dport 80\nIN ACCEPT\n");
    let called = guest_on("v2", &groups, NFT_NODE, OPEN_GUEST, &[(V2, text)]);
    assert_eq!(to_guest(&called, "203.0.113.1").0, "ACCEPT");
    assert_eq!(answer(&called, Target::Guest(100, None), "203.0.113.1", TCP, 81).0, "DROP");
    let bound = cluster("policy_forward: DROP\n[RULES]\nFORWARD ACCEPT -i vmbr0\n");
    assert_eq!(to_guest(&guest_on("vmbr1", &bound, NFT_NODE, OPEN_GUEST, &[]), "203.0.113.1").0, "UNKNOWN");
}

#[test]
fn a_bridge_cannot_reject_what_it_forwards_and_nothing_is_loaded() {
    for text in
        ["[OPTIONS]\nenable: 1\npolicy_forward: REJECT\n", "[OPTIONS]\nenable: 1\n[RULES]\nFORWARD REJECT\n"]
    {
        let refused = guest_on("v2", ON, NFT_NODE, OPEN_GUEST, &[(V2, text)]);
        assert_eq!(to_guest(&refused, "203.0.113.1"), told("ACCEPT", "ruleset-refused"), "{text}");
    }
    let cluster_wide = cluster("policy_forward: REJECT\n");
    assert!(guest_on("v2", &cluster_wide, NFT_NODE, OPEN_GUEST, &[]).reach(0).load_failed().is_none());
}

#[test]
fn the_file_of_a_virtual_network_that_cannot_be_read_is_unknown() {
    let mut tree = Tree::default();
    for (path, text) in [
        ("/etc/pve/.members", "{\"nodename\": \"pve1\", \"version\": 0}\n"),
        ("/etc/network/interfaces", INTERFACES),
        ("/etc/pve/firewall/cluster.fw", ON),
        ("/etc/pve/nodes/pve1/host.fw", NFT_NODE),
        ("/etc/pve/nodes/pve1/lxc/100.conf", "net0: name=eth0,bridge=v2,firewall=1,ip=10.50.0.100/24\n"),
        ("/etc/pve/firewall/100.fw", OPEN_GUEST),
        NETWORK,
        NFT,
    ] {
        tree.insert(path, Node::file(text));
    }
    tree.insert(V2, Node::file(DENYING).failing(crate::files::TroubleKind::Denied));
    let host = Host::new(Files::memory(tree), None, Some(Release::Pve9));
    assert_eq!(to_guest(&host, "203.0.113.1").0, "UNKNOWN");
}

#[test]
fn a_virtual_network_stands_between_its_guests_and_the_node() {
    let interfaces = format!("{INTERFACES}auto v1\niface v1\n\taddress 10.50.0.1/24\n\tbridge_ports none\n");
    let files = [(V1, DENYING), ("/etc/network/interfaces", interfaces.as_str()), NETWORK, NFT];
    let open = cluster("policy_in: ACCEPT\n");
    let between = host(&open, NFT_NODE, &files);
    assert_eq!(answer(&between, Target::Node, "10.50.0.8", TCP, 22), told("DROP", "policy"));
    assert_eq!(answer(&between, Target::Node, "10.50.0.7", TCP, 22).0, "ACCEPT");
    assert_eq!(answer(&between, Target::Node, "10.1.0.7", TCP, 22).0, "ACCEPT");
}

#[test]
fn a_helper_of_connection_tracking_opens_its_port_under_nftables() {
    let node = "[OPTIONS]\nnf_conntrack_helpers: ftp,snmp\n";
    assert_eq!(on(ON, node, "203.0.113.1", 21), told("DROP", "policy"));
    let node = format!("{node}nftables: 1\n[RULES]\nIN DROP\n");
    let nft = host(ON, &node, &[NFT]);
    assert_eq!(answer(&nft, Target::Node, "203.0.113.1", TCP, 21), told("ACCEPT", "conntrack-helper"));
    assert_eq!(answer(&nft, Target::Node, "2001:db8::1", UDP, 161), told("ACCEPT", "conntrack-helper"));
    assert_eq!(answer(&nft, Target::Node, "203.0.113.1", TCP, 161).0, "DROP");
}

#[test]
fn groups_see_the_names_of_the_datacenter_only_under_nftables_too() {
    let dc = cluster("[ALIASES]\nhq 10.0.0.1\n[group web]\nIN HTTPS(ACCEPT) -source hq\n");
    let own =
        "[OPTIONS]\nenable: 1\n[ALIASES]\nhq 203.0.113.1\n[RULES]\nGROUP web\nIN SSH(ACCEPT) -source hq\n";
    for node in ["", NFT_NODE] {
        let host = guest_on("vmbr0", &dc, node, own, &[]);
        let ask = |source, port| answer(&host, Target::Guest(100, None), source, TCP, port).0;
        assert_eq!((ask("10.0.0.1", 443), ask("203.0.113.1", 443)), ("ACCEPT".to_owned(), "DROP".to_owned()));
        assert_eq!(ask("203.0.113.1", 22), "ACCEPT");
    }
}

#[test]
fn the_network_of_a_zone_on_open_vswitch_is_a_bridge_of_its_own_and_the_switch_is_none() {
    let running = r#"{"zones": {"ids": {"z2": {"type": "vlan", "bridge": "vmbr3"}}},
        "vnets": {"ids": {"v2": {"zone": "z2", "tag": 5}}}}"#;
    let interfaces = format!("{INTERFACES}auto vmbr3\niface vmbr3\n\tovs_type OVSBridge\n\tovs_ports eno3\n");
    let zone = [(RUNNING, running), ("/etc/network/interfaces", interfaces.as_str())];
    let with = |bridge: &str, file| {
        let files: Vec<(&str, &str)> = zone.into_iter().chain([file]).collect();
        guest_on(bridge, ON, NFT_NODE, OPEN_GUEST, &files)
    };
    let vnet = with("v2", (V2, DENYING));
    assert_eq!(to_guest(&vnet, "203.0.113.1"), told("DROP", "policy"));
    assert_eq!(to_guest(&vnet, "10.50.0.7").0, "ACCEPT");
    let switch = with("vmbr3", ("/etc/pve/sdn/firewall/vmbr3.fw", DENYING));
    assert_eq!(to_guest(&switch, "203.0.113.1").0, "ACCEPT", "no bridge sees what the switch carries");
}
