//! What the built-in rules of both backends let in, and what versions of the nftables backend differ in.

use super::*;

const NFT_NODE: &str = "[OPTIONS]\nnftables: 1\n";

fn udp(cluster: &str, node: &str, source: &str, port: u16) -> (String, String) {
    answer(&host(cluster, node, &[NFT]), Target::Node, source, UDP, port)
}

#[test]
fn the_management_ports_and_no_others_are_open_to_the_local_network() {
    for port in [22, 3128, 5900, 5999, 8006] {
        assert_eq!(on(ON, "", "192.0.2.99", port), told("ACCEPT", "management-set"), "{port}");
        assert_eq!(nft(ON, "", "192.0.2.99", port), told("ACCEPT", "management-set"), "{port}");
    }
    for port in [21, 25, 85, 111, 443, 5899, 6000, 3300, 6789, 8007] {
        assert_eq!(on(ON, "", "192.0.2.99", port), told("DROP", "policy"), "{port}");
        assert_eq!(nft(ON, "", "192.0.2.99", port), told("DROP", "policy"), "{port}");
    }
    for port in [53, 111, 123, 161] {
        assert_eq!(udp(ON, "", "192.0.2.99", port).0, "DROP", "{port}");
    }
}

#[test]
fn packets_of_the_node_to_itself_are_let_in() {
    for node in ["", NFT_NODE] {
        let text = cluster("[RULES]\nIN DROP\n");
        for source in ["127.0.0.1", "192.0.2.10", "10.1.0.1", "::1"] {
            let host = host(&text, node, &[NFT]);
            assert_eq!(answer(&host, Target::Node, source, TCP, 85), told("ACCEPT", "loopback"), "{source}");
        }
    }
}

#[test]
fn a_policy_of_reject_drops_noise_and_answers_the_rest() {
    let text = format!("{ON}policy_in: REJECT\n");
    assert_eq!(udp(&text, "", "203.0.113.1", 1900), told("DROP", "policy"));
    assert_eq!(udp(&text, "", "203.0.113.1", 123), told("REJECT", "policy"));
    assert_eq!(udp(&text, NFT_NODE, "203.0.113.1", 1900), told("DROP", "noise"));
    assert_eq!(udp(&text, NFT_NODE, "203.0.113.1", 137), told("REJECT", "noise"));
}

#[test]
fn answers_to_dhcp_reach_a_guest_unless_the_option_is_off() {
    let ask = |node: &str, own: &str, port| {
        let files = [GUEST, ("/etc/pve/firewall/100.fw", own), NFT];
        answer(&host(ON, node, &files), Target::Guest(100, Some(0)), "203.0.113.1", UDP, port)
    };
    for node in ["", NFT_NODE] {
        assert_eq!(ask(node, ON, 68), told("ACCEPT", "dhcp"), "whoever sends from port 67");
        assert_eq!(ask(node, &format!("{ON}dhcp: 0\n"), 68).0, "DROP");
        assert_eq!(ask(node, ON, 67), told("DROP", "policy"));
    }
}

#[test]
fn the_blacklist_counts_for_every_card_that_has_the_flag_under_iptables() {
    let text = cluster("[IPSET blacklist]\n203.0.113.1\n");
    for own in ["", "[OPTIONS]\nenable: 1\npolicy_in: ACCEPT\n"] {
        let files = [GUEST, ("/etc/pve/firewall/100.fw", own), NFT];
        let ask =
            |node: &str| answer(&host(&text, node, &files), Target::Guest(100, None), "203.0.113.1", TCP, 80);
        assert_eq!(ask(""), told("DROP", "blacklist"));
        assert_eq!(ask(NFT_NODE).0, "ACCEPT");
    }
}

#[test]
fn one_bad_line_is_lost_under_iptables_and_refuses_everything_under_nftables() {
    let text = cluster("[RULES]\nIN ALLOW -p tcp -dport 22\n");
    assert_eq!(on(&text, "", "203.0.113.1", 22), told("DROP", "policy"));
    assert_eq!(nft(&text, "", "203.0.113.1", 22), told("ACCEPT", "ruleset-refused"));
    let disabled = cluster("[RULES]\n|IN ALLOW\n");
    assert_eq!(nft(&disabled, "", "203.0.113.1", 22), told("ACCEPT", "ruleset-refused"));
    let long = cluster("[RULES]\nIN ACCEPT -i abcdefghijklmnop -p tcp -dport 111\n");
    for ask in [on, nft] {
        assert_eq!(ask(&long, "", "203.0.113.1", 22), told("ACCEPT", "ruleset-refused"));
    }
}

#[test]
fn the_file_of_any_guest_of_the_node_can_refuse_everything_under_nftables() {
    let files = [GUEST, ("/etc/pve/firewall/100.fw", "[OPTIONS]\nenable: perhaps\n"), NFT];
    let ask = |node: &str| answer(&host(ON, node, &files), Target::Node, "203.0.113.1", TCP, 22);
    assert_eq!(ask(""), told("DROP", "policy"));
    assert_eq!(ask(NFT_NODE), told("ACCEPT", "ruleset-refused"));
}

#[test]
fn macros_are_written_in_their_own_case_under_nftables_which_knows_one_more() {
    let pbs = cluster("[RULES]\nIN PBS(ACCEPT)\n");
    assert_eq!(on(&pbs, "", "203.0.113.1", 8007), told("DROP", "policy"));
    assert_eq!(nft(&pbs, "", "203.0.113.1", 8007), told("ACCEPT", "cluster.fw:4"));
    let lower = cluster("[RULES]\nIN ssh(ACCEPT)\n");
    assert_eq!(on(&lower, "", "203.0.113.1", 22), told("ACCEPT", "cluster.fw:4"));
    assert_eq!(nft(&lower, "", "203.0.113.1", 22).0, "DROP");
    let gateway = cluster("[RULES]\nIN PMG(ACCEPT)\n");
    for ask in [on, nft] {
        assert_eq!(ask(&gateway, "", "203.0.113.1", 8006), told("ACCEPT", "cluster.fw:4"));
    }
}

/// The same with an older version of proxmox-firewall.
fn older(version: &str, cluster: &str, source: &str, port: u16) -> (String, String) {
    let status = NFT.1.replace("1.2.3", version);
    answer(&host(cluster, NFT_NODE, &[(NFT.0, &status)]), Target::Node, source, TCP, port)
}

#[test]
fn before_1_2_0_a_management_set_took_the_place_of_the_local_network() {
    let set = cluster("[IPSET management]\n10.9.0.0/16\n");
    assert_eq!(older("1.1.2", &set, "192.0.2.99", 8006), told("DROP", "policy"));
    assert_eq!(older("1.2.0", &set, "192.0.2.99", 8006), told("ACCEPT", "management-set"));
    let alias = cluster("[ALIASES]\nlocal_network 10.9.0.0/16\n");
    assert_eq!(older("1.1.2", &alias, "192.0.2.99", 8006), told("ACCEPT", "management-set"), "passed over");
    assert_eq!(older("1.1.2", &alias, "10.9.0.1", 8006), told("DROP", "policy"));
    assert_eq!(older("1.2.0", &alias, "192.0.2.99", 8006), told("DROP", "policy"));
}

#[test]
fn before_1_2_3_a_name_that_leads_nowhere_refused_everything() {
    let rules = cluster("[RULES]\nIN DROP -source +nobody\nIN DROP -p tcp -dport 22\n");
    assert_eq!(older("1.2.2", &rules, "203.0.113.1", 22), told("ACCEPT", "ruleset-refused"));
    assert_eq!(older("1.2.3", &rules, "203.0.113.1", 22), told("DROP", "cluster.fw:5"));
    let network = cluster("[RULES]\nIN ACCEPT -source +sdn/v1-all\n");
    assert_eq!(older("1.2.2", &network, "203.0.113.1", 22), told("ACCEPT", "ruleset-refused"));
}

#[test]
fn a_name_of_the_node_in_ipv6_makes_its_network_local_under_nftables() {
    let hosts = "127.0.0.1 localhost\n192.0.2.10 pve1\n2001:db8:1::10 pve1\n";
    let interfaces = format!("{INTERFACES}iface vmbr0 inet6 static\n\taddress 2001:db8:1::10/64\n");
    let files = [("/etc/hosts", hosts), ("/etc/network/interfaces", interfaces.as_str()), NFT];
    let ask = |source: &str| answer(&host(ON, NFT_NODE, &files), Target::Node, source, TCP, 8006);
    assert_eq!(ask("2001:db8:1::77"), told("ACCEPT", "management-set"));
    assert_eq!(ask("192.0.2.77"), told("ACCEPT", "management-set"));
    assert_eq!(ask("2001:db8:2::77"), told("DROP", "policy"));
}

#[test]
fn the_name_of_a_peer_of_corosync_that_has_to_be_resolved_is_unknown() {
    let conf = "totem {\n version: 2\n}\nnodelist {\n node {\n  name: pve1\n  ring0_addr: 10.1.0.1\n }\n \
                node {\n  name: pve2\n  ring0_addr: pve2.example.com\n }\n}\n";
    let named = host(ON, "", &[("/etc/pve/corosync.conf", conf)]);
    assert_eq!(answer(&named, Target::Node, "203.0.113.1", UDP, 5405).0, "UNKNOWN");
    assert_eq!(answer(&named, Target::Node, "203.0.113.1", UDP, 5406), told("DROP", "policy"));
}
