//! What the node and its guests send.

use super::*;

fn files(own: &str) -> [(&str, &str); 5] {
    [
        (
            "/etc/pve/nodes/pve1/lxc/100.conf",
            "net0: name=eth0,bridge=vmbr1,firewall=1,hwaddr=BC:24:11:00:00:01,ip=10.1.0.50/16\n",
        ),
        (
            "/etc/pve/nodes/pve1/qemu-server/101.conf",
            "net0: virtio=BC:24:11:00:00:02,bridge=vmbr1,firewall=1\n",
        ),
        ("/etc/pve/firewall/100.fw", own),
        ("/etc/pve/firewall/101.fw", own),
        NFT,
    ]
}

fn send(host: &Host, from: Sender, to: Receiver, port: u16) -> (String, String) {
    let found = host.reach(0).journey(from, to, TCP, port).unwrap().part;
    let line = found.place.line.map(|line| line.to_string()).unwrap_or_default();
    (found.outcome.name().to_owned(), found.place.implicit.map_or(line, str::to_owned))
}

fn to(address: &str) -> Receiver {
    Receiver::Address(address.parse().unwrap())
}

/// The answers of both backends for a packet of guest 100.
fn from_guest(own: &str, address: &str, port: u16) -> [(String, String); 2] {
    ["", "[OPTIONS]\nnftables: 1\n"]
        .map(|node| send(&host(ON, node, &files(own)), Sender::Guest(100, None), to(address), port))
}

#[test]
fn a_guest_sends_what_it_wants_unless_a_rule_or_the_policy_says_otherwise() {
    let policy = |policy: &str| format!("[OPTIONS]\nenable: 1\npolicy_out: {policy}\n");
    for (own, address, port, expected) in [
        (ON.to_owned(), "203.0.113.1", 443, told("ACCEPT", "policy")),
        (policy("DROP"), "203.0.113.1", 443, told("DROP", "policy")),
        (policy("DROP") + "[RULES]\nOUT HTTPS(ACCEPT)\n", "203.0.113.1", 443, told("ACCEPT", "5")),
        (policy("DROP") + "[RULES]\nIN HTTPS(ACCEPT)\n", "203.0.113.1", 443, told("DROP", "policy")),
        (
            ON.to_owned() + "[RULES]\nOUT REJECT -dest 203.0.113.0/24\n",
            "203.0.113.1",
            443,
            told("REJECT", "4"),
        ),
        (
            ON.to_owned() + "[RULES]\nOUT REJECT -dest 203.0.113.0/24\n",
            "198.51.100.1",
            443,
            told("ACCEPT", "policy"),
        ),
        (ON.to_owned() + "[RULES]\nOUT DROP -i net1\n", "203.0.113.1", 443, told("ACCEPT", "policy")),
        (String::new(), "203.0.113.1", 443, told("ACCEPT", "guest-firewall-off")),
    ] {
        assert_eq!(from_guest(&own, address, port), [expected.clone(), expected], "{own}");
    }
}

#[test]
fn an_address_that_is_not_in_the_filter_of_the_card_is_dropped() {
    let filtered = |rest: &str| format!("[OPTIONS]\nenable: 1\nipfilter: 1\n{rest}");
    for found in from_guest(&filtered(""), "203.0.113.1", 443) {
        assert_eq!(found, told("ACCEPT", "policy"), "the address of the configuration is in it");
    }
    let [iptables, nftables] =
        from_guest(&filtered("[IPSET ipfilter-net0]\n10.1.0.51\n"), "203.0.113.1", 443);
    assert_eq!(
        (iptables.0, nftables),
        ("ACCEPT".to_owned(), told("DROP", "ipfilter")),
        "only iptables adds it to a set"
    );
    let unknown = host(ON, "", &files(&filtered("")));
    let ask = |address: &str| send(&unknown, Sender::Guest(101, None), to(address), 443);
    assert_eq!(ask("203.0.113.1"), told("DROP", "ipfilter"), "no address is known, and none may be used");
    assert_eq!(ask("fe80::1"), told("ACCEPT", "policy"), "but the link-local one");
    let exposure = unknown.reach(0);
    let departure = exposure.journey(Sender::Guest(101, None), to("fe80::1"), TCP, 443).unwrap().part;
    assert_eq!(departure.sources.to_string(), "fe80::be24:11ff:fe00:2");
}

#[test]
fn a_set_for_the_filter_works_without_the_option_under_iptables_only() {
    let own = "[OPTIONS]\nenable: 1\n[IPSET ipfilter-net0]\n10.9.9.9\n";
    let host_of = |node: &str| host(ON, node, &files(own));
    let ask = |host: &Host| send(host, Sender::Guest(101, None), to("203.0.113.1"), 443);
    let found = host_of("")
        .reach(0)
        .journey(Sender::Guest(101, None), to("203.0.113.1"), TCP, 443)
        .unwrap()
        .part
        .sources;
    assert_eq!(found.to_string(), "10.9.9.9");
    assert_eq!(ask(&host_of("[OPTIONS]\nnftables: 1\n")), told("ACCEPT", "policy"));
    let nft = host_of("[OPTIONS]\nnftables: 1\n");
    let found =
        nft.reach(0).journey(Sender::Guest(101, None), to("203.0.113.1"), TCP, 443).unwrap().part.sources;
    assert!(found.contains("10.9.9.8".parse().unwrap()));
}

#[test]
fn what_a_guest_sends_to_the_node_or_another_guest_passes_the_rules_of_both() {
    let own = "[OPTIONS]\nenable: 1\n[RULES]\nOUT DROP -p tcp -dport 22\nIN ACCEPT -p tcp -dport 80\n";
    for node in ["", "[OPTIONS]\nnftables: 1\n"] {
        let open = host(&cluster("[RULES]\nIN ACCEPT -source 10.1.0.50\n"), node, &files(own));
        let node = Receiver::Target(Target::Node);
        assert_eq!(send(&open, Sender::Guest(100, None), node, 22), told("DROP", "4"));
        assert_eq!(send(&open, Sender::Guest(100, None), node, 111).0, "ACCEPT");
        let other = Receiver::Target(Target::Guest(101, None));
        assert_eq!(send(&open, Sender::Guest(100, None), other, 80), told("ACCEPT", "5"));
        assert_eq!(send(&open, Sender::Guest(100, None), other, 81), told("DROP", "policy"));
    }
}

#[test]
fn the_node_sends_by_its_own_rules_and_reaches_the_local_network_under_iptables() {
    let strict = cluster("policy_out: DROP\n[RULES]\nOUT DNS(ACCEPT)\nOUT ACCEPT -i vmbr1\nIN ACCEPT\n");
    let ask = |node: &str, address: &str, port| {
        let host = host(&strict, node, &[NFT]);
        send(&host, Sender::Node, to(address), port)
    };
    let nft = "[OPTIONS]\nnftables: 1\n";
    for node in ["", nft] {
        assert_eq!(ask(node, "203.0.113.1", 53), told("ACCEPT", "5"));
        assert_eq!(ask(node, "203.0.113.1", 443), told("DROP", "policy"));
        assert_eq!(ask(node, "10.1.9.9", 443), told("ACCEPT", "6"), "what goes out there");
    }
    assert_eq!(ask("", "192.0.2.77", 8006), told("ACCEPT", "local-network"));
    assert_eq!(ask(nft, "192.0.2.77", 8006), told("DROP", "policy"));
    let off = host(&strict, "[OPTIONS]\nenable: 0\n", &[]);
    assert_eq!(send(&off, Sender::Node, to("203.0.113.1"), 443), told("ACCEPT", "node-firewall-off"));
    let node = host(&strict, "", &[]);
    assert_eq!(send(&node, Sender::Node, Receiver::Target(Target::Node), 8006), told("ACCEPT", "loopback"));
}

#[test]
fn a_virtual_network_decides_about_what_its_guests_send() {
    let running = r#"{"zones": {"ids": {"z2": {"type": "vlan"}}}, "vnets": {"ids": {"v2": {"zone": "z2"}}}}"#;
    let vnet = "[OPTIONS]\nenable: 1\n[RULES]\nFORWARD DROP -dest 203.0.113.0/24\n";
    let all = [
        ("/etc/pve/nodes/pve1/lxc/100.conf", "net0: name=eth0,bridge=v2,ip=10.1.0.50/16\n"),
        ("/etc/pve/sdn/.running-config", running),
        ("/etc/pve/sdn/firewall/v2.fw", vnet),
        NFT,
    ];
    let nft = host(ON, "[OPTIONS]\nnftables: 1\n", &all);
    assert_eq!(send(&nft, Sender::Guest(100, None), to("203.0.113.1"), 443), told("DROP", "4"));
    assert_eq!(send(&nft, Sender::Guest(100, None), to("198.51.100.1"), 443).0, "ACCEPT");
    let iptables = host(ON, "", &all);
    assert_eq!(
        send(&iptables, Sender::Guest(100, None), to("203.0.113.1"), 443),
        told("ACCEPT", "nic-unfiltered")
    );
}

#[test]
fn one_end_is_the_node_or_a_guest() {
    let reach_of = host(ON, "", &files(""));
    let reach = reach_of.reach(0);
    let stranger = Sender::Address("203.0.113.1".parse().unwrap());
    assert!(reach.journey(stranger, to("203.0.113.2"), TCP, 80).is_err());
    assert!(reach.journey(Sender::Guest(999, None), to("203.0.113.2"), TCP, 80).is_err());
    assert!(reach.journey(Sender::Guest(100, Some(3)), to("203.0.113.2"), TCP, 80).is_err());
}

#[test]
fn without_the_configuration_of_a_guest_nothing_is_known_of_what_it_sends() {
    let mut tree = Tree::default();
    for (path, text) in [
        ("/etc/pve/.members", "{\"nodename\": \"pve1\", \"version\": 0}\n"),
        ("/etc/network/interfaces", INTERFACES),
        ("/etc/pve/firewall/cluster.fw", ON),
        ("/etc/pve/nodes/pve1/host.fw", ""),
    ] {
        tree.insert(path, Node::file(text));
    }
    let conf = Node::file("net0: x\n").failing(crate::files::TroubleKind::Denied);
    tree.insert("/etc/pve/nodes/pve1/qemu-server/100.conf", conf);
    let host = Host::new(Files::memory(tree), None, Some(Release::Pve9));
    assert_eq!(send(&host, Sender::Guest(100, None), to("203.0.113.1"), 443).0, "UNKNOWN");
}
