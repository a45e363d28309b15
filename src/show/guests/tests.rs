use super::*;
use crate::files::{Files, Node, Tree, TroubleKind};

fn host() -> Host {
    let mut tree = Tree::default();
    let mut file = |path: &str, text: &str| tree.insert(path, Node::file(text));
    file("/etc/hostname", "a\n");
    file(
        "/etc/pve/nodes/a/qemu-server/100.conf",
        "agent: 1\nargs: -monitor stdio -name hunter2\ncipassword: hunter2\nmemory: 512\nname: web\n\
         net0: virtio=BC:24:11:00:00:01,bridge=vmbr0,tag=20,firewall=1\nscsi0: local-lvm:vm-100-disk-0,size=8G\n\
         \n[PENDING]\ndelete: args\nmemory: 1024\n\n[before]\nmemory: 512\nsnaptime: 1790000000\nvmstate: local:x\n",
    );
    file(
        "/etc/pve/nodes/b/lxc/101.conf",
        "features: nesting=1,mount=nfs\nhostname: db\nmp0: /srv/x,mp=/x,ro=1\ntypo\n\
         lxc.environment.runtime: TOKEN=hunter2\n",
    );
    tree.insert("/etc/pve/nodes/b/lxc/102.conf", Node::file("x").failing(TroubleKind::Denied));
    Host::new(Files::memory(tree), None, Some(crate::formats::release::Release::Pve9))
}

#[test]
fn every_guest_has_an_entry_with_what_it_is_given() {
    let shown = shown(&host()).unwrap();
    let guests = shown.json["guests"].as_array().unwrap();
    assert_eq!(guests.len(), 3);
    let (vm, ct, lost) = (&guests[0], &guests[1], &guests[2]);
    assert_eq!(vm["local"], true);
    assert_eq!(vm["networks"][0]["tag"], 20);
    assert_eq!(vm["risky_arguments"][0], "-monitor");
    assert_eq!(vm["cloud_init_password"], "clear");
    assert_eq!(vm["pending_removal"][0], "args");
    assert_eq!(vm["snapshots"]["with_memory"], 1);
    assert_eq!(vm["snapshots"]["oldest"], "2026-09-21T14:13:20Z");
    assert_eq!(ct["privileged"], true);
    assert_eq!(ct["binds"][0]["read_only"], true);
    assert_eq!(ct["features"].as_array().unwrap().len(), 2);
    assert_eq!(ct["issues"].as_array().unwrap().len(), 1);
    assert_eq!(lost["privileged"], serde_json::Value::Null);
    assert!(lost["unknown"].is_string());
}

#[test]
fn no_secret_is_shown() {
    let shown = shown(&host()).unwrap();
    for text in [shown.print(true), shown.print(false)] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_host_without_proxmox_says_so() {
    let host = Host::new(Files::memory(Tree::default()), None, None);
    assert!(shown(&host).is_err());
}
