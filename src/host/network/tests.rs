use super::*;
use crate::files::{Files, Node, Tree};

fn host(files: &[(&str, &str)]) -> Host {
    let mut tree = Tree::default();
    for (path, text) in files {
        tree.insert(path, Node::file(*text));
    }
    Host::new(Files::memory(tree), None, None)
}

fn names(host: &Host) -> Vec<String> {
    host.interfaces().value.as_ref().unwrap().all.keys().cloned().collect()
}

#[test]
fn files_are_pulled_in_by_pattern_by_folder_and_by_a_relative_name() {
    let host = host(&[
        (
            INTERFACES,
            "source /etc/network/interfaces.d/*\nsource-directory more.d\nsource one\niface lo inet loopback\n",
        ),
        ("/etc/network/interfaces.d/sdn", "iface vnet1\n\taddress 10.0.0.1/24\n\tbridge_ports none\n"),
        ("/etc/network/interfaces.d/.hidden", "iface hidden\n"),
        ("/etc/network/interfaces.d/folder/x", "iface x\n"),
        ("/etc/network/more.d/any.name", "iface a\n"),
        ("/etc/network/one", "iface b\n\tmtu 1500\nsource one\n"),
    ]);
    assert_eq!(names(&host), ["a", "b", "lo", "vnet1"]);
    assert_eq!(host.interfaces().doubts, []);
    let interfaces = host.interfaces().value.as_ref().unwrap();
    let vnet = &interfaces.all["vnet1"];
    assert!(vnet.is_bridge() && !vnet.has_ports());
    assert_eq!(vnet.addresses(), [("10.0.0.1/24", "/etc/network/interfaces.d/sdn", 2)]);
}

#[test]
fn without_the_file_nothing_is_known() {
    assert!(matches!(host(&[]).interfaces().value, Err(Stop::Unknown(_))));
}

#[test]
fn the_bridge_of_a_vlan_interface_is_found_in_all_writings() {
    let bridge = "iface vmbr0 inet manual\n\tbridge-ports eno1\n\tbridge-vlan-aware yes\n";
    for (stanza, vlan) in [
        ("iface vmbr0.10 inet static\n\taddress 10.0.0.1/24\n", Some(10)),
        ("iface vlan20 inet static\n\taddress 10.0.0.1/24\n\tvlan-raw-device vmbr0\n", Some(20)),
        ("iface mgmt inet dhcp\n\tvlan-id 30\n\tvlan_raw_device vmbr0\n", Some(30)),
    ] {
        let host = host(&[(INTERFACES, &format!("{bridge}{stanza}"))]);
        let interfaces = host.interfaces().value.as_ref().unwrap();
        let segments: Vec<Segment> = interfaces.on_bridges().map(|(_, segment)| segment).collect();
        assert_eq!(segments, [Segment { bridge: "vmbr0".to_owned(), vlan }], "{stanza}");
    }
    let other =
        host(&[(INTERFACES, "iface eno1.10 inet static\n\taddress 10.0.0.1/24\niface eno1 inet manual\n")]);
    assert_eq!(other.interfaces().value.as_ref().unwrap().on_bridges().count(), 0);
}

/// Bridge, tag, trunks, VLAN of the node's interface, reached.
type Case<'a> = (&'a Interface, Option<u16>, &'a [&'a str], Option<u16>, bool);

#[test]
fn what_a_card_reaches_depends_on_bridge_tag_and_trunks() {
    let bridge = |text: &str| {
        let host = host(&[(INTERFACES, text)]);
        host.interfaces().value.as_ref().unwrap().all["vmbr0"].clone()
    };
    let plain = bridge("iface vmbr0\n\tbridge-ports eno1\n");
    let aware = bridge("iface vmbr0\n\tbridge-ports eno1\n\tbridge-vlan-aware yes\n");
    let switch = bridge("iface vmbr0\n\tovs_type OVSBridge\n\tovs_ports eno1\n");
    let nic = |tag, trunks: &[&str]| guests::Nic {
        option: "net0".to_owned(),
        line: 1,
        bridge: "vmbr0".to_owned(),
        tag,
        trunks: trunks.iter().map(|trunk| (*trunk).to_owned()).collect(),
        firewall: false,
    };
    let on = |vlan| Segment { bridge: "vmbr0".to_owned(), vlan };
    let cases: [Case<'_>; 16] = [
        (&plain, None, &[], None, true),
        (&plain, None, &[], Some(10), true),
        (&plain, Some(10), &[], None, false),
        (&plain, Some(10), &[], Some(10), false),
        (&aware, None, &[], None, true),
        (&aware, None, &[], Some(10), true),
        (&aware, Some(10), &[], None, false),
        (&aware, Some(1), &[], None, true),
        (&aware, Some(10), &[], Some(10), true),
        (&aware, None, &["20-30"], Some(10), false),
        (&aware, None, &["5", "10-12"], Some(11), true),
        (&aware, Some(20), &["10"], Some(10), true),
        (&aware, None, &["20"], None, true),
        (&switch, None, &[], Some(10), true),
        (&switch, Some(10), &[], None, false),
        (&switch, None, &["10"], Some(10), true),
    ];
    for (bridge, tag, trunks, vlan, expected) in cases {
        assert_eq!(nic(tag, trunks).reaches(&on(vlan), bridge), expected, "{tag:?} {trunks:?} {vlan:?}");
    }
}

#[test]
fn a_software_defined_network_is_none_without_its_files() {
    assert!(matches!(host(&[("/etc/pve/storage.cfg", "\n")]).sdn().value, Err(Stop::NotApplicable(_))));
    let wanted = host(&[(sdn::VNETS_CFG, "vnet: v1\n\tzone z1\n\n")]);
    let value = wanted.sdn().value.as_ref().unwrap();
    assert!(value.vnets.contains_key("v1") && value.applied.is_none());
    let broken = host(&[(sdn::VNETS_CFG, "vnet: v1\n\tzone z1\n\n"), (sdn::RUNNING_CONFIG, "{\"vnets\":")]);
    assert!(matches!(broken.sdn().value, Err(Stop::Unknown(_))));
}

#[test]
fn the_sockets_of_a_tree_are_unknown() {
    assert!(matches!(host(&[]).sockets().value, Err(Stop::Unknown(_))));
    let head = "  sl  local_address rem_address   st\n";
    let some = host(&[("/proc/net/tcp", head), ("/proc/net/udp", head)]);
    assert_eq!((&some.sockets().value, some.sockets().doubts.len()), (&Ok(Vec::new()), 2));
}
