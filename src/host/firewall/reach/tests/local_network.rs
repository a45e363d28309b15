//! The local network of a tree that may have more routes than its files tell.

use super::*;

fn with(more: &str) -> Host {
    let text = INTERFACES.replace("\tbridge-ports eno1\n", &format!("\tbridge-ports eno1\n{more}"));
    host(ON, "[OPTIONS]\n", &[("/etc/network/interfaces", &text)])
}

#[test]
fn a_route_that_a_command_adds_may_be_the_local_network() {
    for command in [
        "up route add -net 192.0.0.0 netmask 255.255.0.0 gw 192.0.2.1 dev vmbr0",
        "up route add -net 192.0.0.0/16 gw 192.0.2.1",
        "post-up ip route replace 192.0/16 via 192.0.2.1",
        "post-up ip route add to 192.0.0.0/16 via 192.0.2.1",
    ] {
        let wide = with(&format!("\t{command}\n"));
        assert_eq!(
            answer(&wide, Target::Node, "192.0.77.1", TCP, 22),
            told("ACCEPT", "management-set"),
            "{command}"
        );
        assert_eq!(wide.reach(0).doubts(), [], "{command}");
    }
}

#[test]
fn what_is_not_followed_leaves_the_local_network_open() {
    for line in [
        "\tup ip addr add 192.1.0.1/8 dev vmbr0\n",
        "\tpost-up /etc/network/routes.sh\n",
        "\tup ip route add $NET via 192.0.2.1\n",
    ] {
        let unsure = with(line);
        let [doubt] = unsure.reach(0).doubts().try_into().unwrap();
        assert_eq!((doubt.path.as_str(), doubt.line), ("/etc/network/interfaces", Some(9)), "{line}");
        assert_eq!(answer(&unsure, Target::Node, "192.77.0.1", TCP, 22).0, "UNKNOWN", "{line}");
        assert_eq!(answer(&unsure, Target::Node, "203.0.113.1", TCP, 22).0, "DROP", "{line}");
    }
    let dhcp = with("auto eno2\niface eno2 inet dhcp\n");
    assert_eq!(answer(&dhcp, Target::Node, "192.77.0.1", TCP, 22).0, "UNKNOWN");
    let usual = with(
        "\tpost-up echo 1 > /proc/sys/net/ipv4/ip_forward\n\tpost-up iptables -t nat -A POSTROUTING -s 10.1.0.0/16 -o vmbr0 -j MASQUERADE\n",
    );
    assert_eq!(usual.reach(0).doubts(), []);
    assert_eq!(answer(&usual, Target::Node, "192.77.0.1", TCP, 22), told("DROP", "policy"));
}

#[test]
fn the_routes_of_the_kernel_are_all_there_is() {
    let live = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
                vmbr0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
    let text = format!("{INTERFACES}iface eno2 inet dhcp\n");
    for node in ["", "[OPTIONS]\nnftables: 1\n"] {
        let files = [("/etc/network/interfaces", text.as_str()), ("/proc/net/route", live), NFT];
        let found = host(ON, node, &files);
        assert_eq!(answer(&found, Target::Node, "192.0.2.77", TCP, 22), told("ACCEPT", "management-set"));
        assert_eq!(answer(&found, Target::Node, "192.77.0.1", TCP, 22), told("DROP", "policy"));
    }
    let unsure = host(ON, "[OPTIONS]\nnftables: 1\n", &[("/etc/network/interfaces", &text), NFT]);
    assert_eq!(answer(&unsure, Target::Node, "192.0.2.77", TCP, 22), told("ACCEPT", "management-set"));
    assert_eq!(answer(&unsure, Target::Node, "192.77.0.1", TCP, 22).0, "UNKNOWN");
}
