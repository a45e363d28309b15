use proptest::prelude::*;

use super::lxc::{self, HostId, IdMap, LxcConfig, MountIds};
use super::qemu::{self, QemuConfig, UsbDevice};
use super::*;
use crate::formats::Parsed;
use crate::formats::release::Release::{self, Pve7, Pve8, Pve9};

fn vm(text: &str) -> Parsed<QemuConfig> {
    qemu::parse(text, Pve9)
}

fn ct(text: &str) -> Parsed<LxcConfig> {
    lxc::parse(text, Pve9)
}

fn issue_lines<T>(parsed: &Parsed<T>) -> Vec<u32> {
    parsed.issues.iter().map(|issue| issue.line).collect()
}

#[test]
fn only_a_plain_number_and_conf_is_a_guest() {
    assert_eq!(is_guest_file_name("100.conf"), Some(100));
    assert_eq!(is_guest_file_name("999999999.conf"), Some(999_999_999));
    for name in [
        "0100.conf",
        "0.conf",
        ".conf",
        "100.conf.bak",
        "100.conf.tmp.12",
        "cpu.conf",
        "100",
        "100.CONF",
        "+1.conf",
        "1e2.conf",
        "99999999999.conf",
        " 100.conf",
    ] {
        assert_eq!(is_guest_file_name(name), None, "{name}");
    }
}

mod virtual_machines {
    use super::*;

    #[test]
    fn the_last_of_several_options_wins() {
        let parsed = vm("protection: 1\nprotection: 0\n");
        assert!(!parsed.value.current.is_protected());
        assert_eq!(parsed.value.current.line_of("protection"), Some(2));
        assert_eq!(parsed.issues, []);
    }

    #[test]
    fn a_bad_value_is_dropped_and_an_earlier_good_one_stays() {
        let parsed = vm("protection: maybe\n");
        assert!(!parsed.value.current.is_protected());
        assert_eq!(parsed.value.current.refused, [Refused { option: "protection".to_owned(), line: 1 }]);
        let parsed = vm("protection: 1\nprotection: maybe\n");
        assert!(parsed.value.current.is_protected());
        assert_eq!(issue_lines(&parsed), [2]);
    }

    #[test]
    fn a_typo_takes_the_whole_network_device_away() {
        let parsed = vm("net0: virtio=BC:24:11:99:95:24,bridge=vmbr0,frewall=1\n");
        assert_eq!(parsed.value.current.nics(), []);
        assert_eq!(issue_lines(&parsed), [1]);
    }

    #[test]
    fn booleans_are_words_in_any_case() {
        for (word, expected) in
            [("1", true), ("On", true), ("YES", true), ("true", true), ("off", false), ("No", false)]
        {
            assert_eq!(
                vm(&format!("onboot: {word}\n")).value.current.flag("onboot"),
                Some(expected),
                "{word}"
            );
        }
    }

    #[test]
    fn leading_white_space_and_capitals_make_a_line_meaningless() {
        let parsed = vm(" protection: 1\nProtection: 1\nprotection 1\n\t\n");
        assert!(!parsed.value.current.is_protected());
        assert_eq!(issue_lines(&parsed), [1, 2, 3]);
    }

    #[test]
    fn crlf_line_ends_are_tolerated() {
        let parsed = vm("protection: 1\r\n\r\n[PENDING]\r\nonboot: 1\r\n");
        assert_eq!(parsed.issues, []);
        assert!(parsed.value.current.is_protected() && parsed.value.pending.is_some());
    }

    #[test]
    fn enums_are_not_checked_when_a_file_is_loaded() {
        let parsed = vm("bios: nonsense\nlock: nonsense\nserial0: nonsense\n");
        assert_eq!(parsed.issues, []);
        assert_eq!(parsed.value.current.text("bios"), Some("nonsense"));
    }

    #[test]
    fn a_description_is_never_read_as_options() {
        let parsed =
            vm("#args%3A -monitor stdio\n#[x]\n#protection: 1\ndescription: protection: 1\nonboot: 1\n");
        assert_eq!(parsed.issues, []);
        assert!(parsed.value.current.has_description);
        assert_eq!(parsed.value.current.options.keys().collect::<Vec<_>>(), ["onboot"]);
        assert!(parsed.value.snapshots.is_empty());
    }

    #[test]
    fn pending_snapshots_and_special_sections_stand_apart() {
        let parsed = vm("name: a\ncipassword: canary\n[pending]\nname: b\ndelete: net0,!scsi1\n\
             [before-upgrade]\n#snap\nname: c\ncipassword: canary\nsnaptime: 5\nvmstate: local:100/x\n\
             [special:cloudinit]\nname: d\nnonsense: canary\n[special:fleecing]\nfleecing-images: a:b\n");
        let config = &parsed.value;
        assert_eq!(parsed.issues, []);
        assert_eq!(config.current.name().unwrap().value, "a");
        let pending = config.pending.as_ref().unwrap();
        assert_eq!((pending.section.line, pending.section.text("name")), (3, Some("b")));
        let force: Vec<_> = pending.deletions.iter().map(|each| (each.option.as_str(), each.force)).collect();
        assert_eq!(force, [("net0", false), ("scsi1", true)]);
        assert!(config.has_fleecing_section);
        assert_eq!(config.cloudinit.as_ref().unwrap().text("name"), Some("d"));
        let [snapshot] = config.snapshot_facts().try_into().unwrap();
        assert_eq!(
            (snapshot.name.as_str(), snapshot.line, snapshot.taken_at),
            ("before-upgrade", 6, Some(5))
        );
        assert!(snapshot.has_memory);
        assert_eq!(snapshot.password, Some(Password::Clear));
    }

    #[test]
    fn an_unknown_section_is_skipped_by_9_and_8_but_overwrites_the_section_before_on_7() {
        let text = "protection: 1\n[my snap]\nprotection: 0\nargs: -s\n";
        for (release, protected, lines) in
            [(Pve9, true, vec![2]), (Pve8, true, vec![2]), (Pve7, false, vec![2])]
        {
            let parsed = qemu::parse(text, release);
            assert_eq!(parsed.value.current.is_protected(), protected, "{release}");
            assert_eq!(parsed.value.current.arguments.is_none(), protected, "{release}");
            assert_eq!(issue_lines(&parsed), lines, "{release}");
        }
    }

    #[test]
    fn the_pending_section_of_containers_is_an_unknown_one() {
        let parsed = vm("[pve:pending]\nonboot: 1\n");
        assert_eq!((parsed.value.pending, parsed.issues.len()), (None, 1));
    }

    #[test]
    fn the_fleecing_section_is_unknown_to_7() {
        let parsed = qemu::parse("protection: 1\n[special:fleecing]\nprotection: 0\n", Pve7);
        assert!(!parsed.value.current.is_protected());
    }

    #[test]
    fn of_a_section_that_stands_twice_the_last_counts() {
        let parsed =
            vm("[snap]\nonboot: 1\nname: a\n[snap]\nname: b\n[PENDING]\nname: c\n[PENDING]\nonboot: 1\n");
        assert_eq!(parsed.value.snapshots["snap"].text("name"), Some("b"));
        assert_eq!(parsed.value.snapshots["snap"].flag("onboot"), None);
        assert_eq!(parsed.value.pending.unwrap().section.text("name"), None);
        assert_eq!(issue_lines(&vm("[snap]\n[snap]\n")), [2]);
    }

    #[test]
    fn a_snapshot_name_has_two_characters_or_more() {
        assert!(vm("[ab]\n").value.snapshots.contains_key("ab"));
        assert!(vm("[a]\n").value.snapshots.is_empty());
    }

    #[test]
    fn a_line_that_ends_like_a_snapshot_state_is_nothing_else() {
        let parsed = vm("protection: 1 snapstate: delete\n");
        assert!(!parsed.value.current.is_protected());
        assert_eq!(issue_lines(&parsed), [1]);
        assert_eq!(vm("[snap]\nsnapstate: prepare\n").issues, []);
    }

    #[test]
    fn deletions_have_no_meaning_outside_pending_changes() {
        assert_eq!(issue_lines(&vm("delete: net0\n")), [1]);
    }

    #[test]
    fn arguments_are_facts_without_text() {
        let parsed = vm("args: -vnc 0.0.0.0:1,password=canary -device x\n");
        let arguments = parsed.value.current.arguments.as_ref().unwrap();
        assert_eq!(arguments.risky.iter().copied().collect::<Vec<_>>(), ["-vnc"]);
        assert_eq!((arguments.line, arguments.length), (1, 40));
        assert!(!format!("{parsed:?}").contains("canary"));
        assert!(vm("args: \n").value.current.arguments.unwrap().is_blank());
        assert_eq!(issue_lines(&vm("args:\n")), [1]);
    }

    #[test]
    fn a_password_is_a_fact_without_text() {
        let password = |text: &str| {
            let parsed = vm(&format!("cipassword: {text}\n"));
            assert!(!format!("{parsed:?}").contains("canary"));
            parsed.value.current.password.unwrap().value
        };
        assert_eq!(password("canary"), Password::Clear);
        assert_eq!(password("$5$salt$canary"), Password::Hashed("5"));
        assert_eq!(password("\"$6$salt$canary\""), Password::Hashed("6"), "quotes are stripped");
    }

    #[test]
    fn a_hyphen_in_an_option_name_is_unknown_to_7() {
        let text = "amd-sev: es,no-debug=1\n";
        assert!(
            qemu::parse(text, Pve8).value.current.properties("amd-sev").unwrap().flag("no-debug").unwrap()
        );
        assert!(qemu::parse(text, Pve7).value.current.options.is_empty());
        assert_eq!(issue_lines(&qemu::parse(text, Pve7)), [1]);
    }

    #[test]
    fn disk_geometry_is_accepted_by_7_and_8_and_takes_the_drive_away_on_9() {
        let text = "ide0: local:1/x,cyls=5,heads=6,secs=7\n";
        let count = |release| qemu::parse(text, release).value.current.disks().len();
        assert_eq!([Pve7, Pve8, Pve9].map(count), [1, 1, 0]);
    }

    #[test]
    fn the_cdrom_option_is_another_name_of_ide2() {
        let parsed = vm("cdrom: local:iso/x.iso,media=cdrom\nide2: none,media=cdrom\n");
        let disks = parsed.value.current.disks();
        assert_eq!((disks.len(), disks[0].option.as_str(), &disks[0].source), (1, "ide2", &Source::Empty));
    }

    #[test]
    fn network_devices_are_typed() {
        let nics = vm("net1: virtio,bridge=vmbr1,tag=20,trunks=10;20-30,link_down=1\n\
             net0: e1000=BC:24:11:99:95:24,bridge=vmbr0,firewall=1\n")
        .value
        .current
        .nics();
        let [first, second] = nics.as_slice() else { panic!("two devices") };
        assert_eq!(
            (first.option.as_str(), first.model.as_deref(), first.firewall),
            ("net0", Some("e1000"), true)
        );
        assert_eq!((second.line, second.tag, second.firewall, second.link_down), (1, Some(20), false, true));
        assert_eq!(second.trunks, ["10", "20-30"]);
        assert_eq!(vm("net0: virtio\n").value.current.nics()[0].bridge, None);
    }

    #[test]
    fn disks_say_where_they_are_and_whether_a_backup_holds_them() {
        let text = "scsi0: local:100/vm-100-disk-0.raw,size=1G\nscsi1: file=/dev/sdb\nsata0: /srv/x.raw,backup=no\n\
            ide2: local:103/vm-103-cloudinit.qcow2,media=cdrom\nide0: cdrom,media=cdrom\nefidisk0: local:1/e,efitype=4m\n\
            tpmstate0: local:1/t,version=v2.0\nunused0: local:1/u\n";
        let disks = vm(text).value.current.disks();
        let held: Vec<_> =
            disks.iter().filter(|disk| disk.in_backup).map(|disk| disk.option.as_str()).collect();
        assert_eq!(held, ["scsi0", "scsi1", "tpmstate0"]);
        let find = |name: &str| disks.iter().find(|disk| disk.option == name).unwrap();
        assert_eq!(find("scsi0").source.storage(), Some("local"));
        assert_eq!(find("scsi1").source, Source::Device("/dev/sdb".to_owned()));
        assert_eq!(find("sata0").source.host_path(), Some("/srv/x.raw"));
        assert!(find("ide2").cloudinit && find("ide2").cdrom);
        assert_eq!(find("ide0").source, Source::HostDrive);
        assert_eq!(find("efidisk0").properties.get("efitype"), Some("4m"));
        let with_uefi = vm(&format!("bios: ovmf\n{text}")).value.current.disks();
        assert!(with_uefi.iter().any(|disk| disk.option == "efidisk0" && disk.in_backup));
    }

    #[test]
    fn host_hardware_is_typed() {
        let current = vm(
            "hostpci0: 0000:00:02,,legacy-igd=1\nhostpci1: mapping=gpu,romfile=x.rom\nusb0: host=1234:5678\n\
             usb1: spice\nusb2: mapping=key\nserial0: socket\nserial1: /dev/ttyS0\nparallel0: /dev/parport0\n\
             virtiofs0: share,cache=always\nivshmem: size=1\n",
        )
        .value
        .current;
        let pci = current.host_pci();
        assert_eq!(
            (pci[0].addresses.as_slice(), pci[0].mapping.as_deref()),
            (["0000:00:02".to_owned()].as_slice(), None)
        );
        assert_eq!((pci[1].mapping.as_deref(), pci[1].rom_file.as_deref()), (Some("gpu"), Some("x.rom")));
        let usb: Vec<_> = current.usb().into_iter().map(|usb| usb.device).collect();
        let expected =
            [UsbDevice::Host("1234:5678".to_owned()), UsbDevice::Spice, UsbDevice::Mapping("key".to_owned())];
        assert_eq!(usb, expected);
        let serial: Vec<_> = current.serial().into_iter().map(|port| port.device).collect();
        assert_eq!(serial, [None, Some("/dev/ttyS0".to_owned())]);
        assert_eq!(current.parallel()[0].device, "/dev/parport0");
        assert_eq!(current.virtiofs()[0].mapping, "share");
        assert!(current.has_shared_memory());
    }

    #[test]
    fn simple_facts_have_upstream_defaults() {
        let nothing = vm("").value.current;
        assert!(!nothing.agent_enabled() && !nothing.is_template() && !nothing.starts_on_boot());
        let some = vm(
            "agent: enabled=1\ntemplate: 1\nonboot: yes\ntags: prod;web\nhookscript: local:snippets/x.sh\n\
             boot: order=scsi0;net0\n",
        )
        .value
        .current;
        assert!(some.agent_enabled() && some.is_template() && some.starts_on_boot());
        assert_eq!(some.tags().into_iter().map(|tag| tag.value).collect::<Vec<_>>(), ["prod", "web"]);
        assert_eq!(some.hookscript().unwrap(), Located::new("local:snippets/x.sh".to_owned(), 5));
        assert_eq!(some.boot().unwrap().order, ["scsi0", "net0"]);
    }
}

mod containers {
    use super::*;

    fn root(text: &str) -> HostId {
        ct(text).value.current.host_uid_of_root()
    }

    #[test]
    fn a_container_without_the_option_is_privileged_in_every_release() {
        for release in [Pve7, Pve8, Pve9] {
            assert!(lxc::parse("features: keyctl=1\n", release).value.current.is_privileged());
        }
        assert_eq!(root("unprivileged: 1\n"), HostId::Id(100_000));
        assert_eq!(root("unprivileged: 0\n"), HostId::Id(0));
        assert_eq!(root("unprivileged: 1\nunprivileged: off\n"), HostId::Id(0));
    }

    #[test]
    fn a_bad_value_is_kept_and_true() {
        for text in ["unprivileged: maybe\n", "unprivileged: 00\n", "unprivileged: \n"] {
            let parsed = ct(text);
            assert_eq!(parsed.value.current.host_uid_of_root(), HostId::Id(100_000), "{text:?}");
            assert!(!parsed.value.current.options["unprivileged"].well_formed);
            assert_eq!(issue_lines(&parsed), [1]);
        }
    }

    #[test]
    fn a_map_makes_a_user_namespace_and_decides_who_root_is() {
        assert_eq!(root("lxc.idmap: u 0 100000 65536\n"), HostId::Id(100_000));
        assert_eq!(root("unprivileged: 1\nlxc.idmap = u 0 0 65536\n"), HostId::Id(0));
        assert_eq!(root("lxc.idmap: u 0 100000 1000\nlxc.idmap: u 1000 1000 1\n"), HostId::Id(100_000));
        assert_eq!(root("lxc.idmap: g 0 0 65536\nlxc.idmap: u 0 7 1\n"), HostId::Id(7));
        assert_eq!(root("lxc.idmap: u 1 1 5\n"), HostId::Unmapped);
        assert_eq!(root("lxc.idmap: u 0 0 0\n"), HostId::Unmapped);
        assert_eq!(root("unprivileged: 1\nlxc.idmap: u 0 x 5\n"), HostId::Unreadable);
        assert_eq!(
            root("lxc.id_map: u 0 100000 65536\n"),
            HostId::Id(0),
            "the old name is no map for upstream"
        );
        assert_eq!(ct("unprivileged: 1\n").value.current.id_map(), IdMap::Default);
    }

    #[test]
    fn an_upper_case_pending_section_is_a_snapshot() {
        let parsed =
            ct("unprivileged: 1\n[PENDING]\nunprivileged: 0\n[pve:pending]\nonboot: 1\ndelete: mp0\n");
        assert!(parsed.value.snapshots.contains_key("PENDING"));
        assert!(!parsed.value.current.is_privileged());
        assert_eq!(parsed.value.pending.unwrap().deletions[0].option, "mp0");
        assert_eq!(parsed.issues, []);
    }

    #[test]
    fn an_unknown_section_overwrites_the_section_before_in_every_release() {
        for release in [Pve7, Pve8, Pve9] {
            let parsed = lxc::parse("unprivileged: 1\n[my snap]\nunprivileged: 0\n", release);
            assert!(parsed.value.current.is_privileged());
            assert_eq!(issue_lines(&parsed), [2]);
        }
    }

    #[test]
    fn unknown_options_are_kept_with_an_issue() {
        let parsed = ct("nonsense: x\nfoo-bar: y\n");
        assert_eq!(parsed.value.current.text("nonsense"), Some(""), "its text is not kept");
        assert_eq!(issue_lines(&parsed), [1, 2], "a name with a hyphen is no option at all");
        assert_eq!(parsed.value.current.options.len(), 1);
    }

    #[test]
    fn raw_keys_pile_up_in_order_and_the_last_profile_wins() {
        let current = ct("lxc.apparmor.profile: generated\nlxc.cap.drop: sys_time\nlxc.cap.drop: \n\
             lxc.apparmor.profile = unconfined\n")
        .value
        .current;
        let profile = current.apparmor_profile().unwrap();
        assert_eq!((profile.value.as_str(), profile.line), ("unconfined", 4));
        assert_eq!(current.dropped_capabilities().map(|raw| raw.line).collect::<Vec<_>>(), [2, 3]);
        assert!(current.clears_dropped_capabilities());
        assert_eq!(current.raw.len(), 4);
    }

    #[test]
    fn raw_keys_upstream_does_not_allow_are_dropped() {
        let parsed = ct("lxc.rootfs.path: /\nlxc.namespace.share.net: 1\nlxc.cgroup.devices.allow: a\n");
        assert_eq!(issue_lines(&parsed), [1, 2, 3]);
        assert_eq!(parsed.value.current.refused.len(), 2);
        assert!(parsed.value.current.allowed_devices()[0].is_old);
    }

    #[test]
    fn devices_and_mounts_added_by_hand_are_typed() {
        let current = ct("lxc.cgroup2.devices.allow: a\n\
             lxc.mount.entry: /dev/dri dev/dri none bind,optional,create=dir\n\
             lxc.mount.entry: //nas/x mnt/x cifs username=u,password=canary,ro 0 0\n")
        .value
        .current;
        let rules = current.allowed_devices();
        assert_eq!((rules[0].value.as_str(), rules[0].is_old), ("a", false));
        let [bind, share] = current.mount_entries().try_into().unwrap();
        assert!(bind.is_bind() && !bind.is_read_only());
        assert_eq!((bind.source.as_str(), bind.target.as_str()), ("/dev/dri", "dev/dri"));
        assert!(!share.is_bind() && share.is_read_only());
        assert_eq!(share.file_system, "cifs");
        assert!(!format!("{current:?}").contains("canary"));
    }

    #[test]
    fn environment_values_are_never_kept() {
        let text = "lxc.environment: A_TOKEN=canary\nlxc.environment.runtime: B=canary\nenv: C=canary\0D=\n[snap]\nlxc.environment: E=canary\n";
        let parsed = ct(text);
        let names: Vec<_> = parsed
            .value
            .current
            .environment
            .iter()
            .map(|each| (each.name.as_str(), each.has_value))
            .collect();
        assert_eq!(names, [("A_TOKEN", true), ("B", true), ("C", true), ("D", false)]);
        assert_eq!(parsed.value.snapshot_facts()[0].environment_variables, 1);
        assert!(!format!("{parsed:?}").contains("canary"));
        let old = lxc::parse("lxc.environment.runtime: B=canary\n", Pve8);
        assert!(old.value.current.environment.is_empty(), "unknown before Proxmox VE 9");
    }

    #[test]
    fn mount_points_are_volumes_devices_or_paths_of_the_node() {
        let current = ct("rootfs: local:200/vm-200-disk-0.raw,size=1G\nmp0: /srv/share,mp=/share,ro=1\n\
             mp1: local:1/x,mp=/data,backup=1\nmp2: /dev/sdb1,mp=/disk,backup=1\nmp3: local:1/y,mp=/y\n\
             mp4: /srv,mp=/s,idmap=passthrough\nmp5: /srv,mp=/s,idmap=u:0:0:1;g:5:6:7,mountoptions=nosuid;nodev\n")
        .value
        .current;
        assert!(current.root_file_system().unwrap().in_backup);
        let points = current.mount_points();
        assert_eq!(
            points.iter().map(|point| point.in_backup).collect::<Vec<_>>(),
            [false, true, false, false, false, false]
        );
        assert_eq!(
            points.iter().map(MountPoint::is_bind).collect::<Vec<_>>(),
            [true, false, false, false, true, true]
        );
        assert!(points[0].read_only && points[0].target == "/share");
        assert_eq!(points[2].source, Source::Device("/dev/sdb1".to_owned()));
        assert_eq!(points[4].ids, MountIds::Passthrough);
        assert!(points[5].ids.touches_root() && !points[0].ids.touches_root());
        assert_eq!(points[5].mount_options, ["nosuid", "nodev"]);
    }

    use super::lxc::MountPoint;

    #[test]
    fn a_mount_point_with_a_climbing_path_is_malformed() {
        let parsed = ct("mp0: /srv/../etc,mp=/x\n");
        assert_eq!(parsed.value.current.mount_points(), []);
        assert_eq!(issue_lines(&parsed), [1]);
    }

    #[test]
    fn devices_and_features_are_typed() {
        let text = "dev0: /dev/dri/renderD128,gid=104,mode=0666,deny-write=1\nfeatures: nesting=1,mount=nfs;cifs,fuse=1\n\
            net0: name=eth0,bridge=vmbr0,firewall=1,tag=5,trunks=1;2\ncmode: shell\n";
        let current = ct(text).value.current;
        let device = &current.devices()[0];
        assert_eq!((device.gid, device.mode.as_deref(), device.deny_write), (Some(104), Some("0666"), true));
        let features = current.features();
        assert!(features.nesting && features.fuse && !features.keyctl);
        assert_eq!(
            (features.mount.as_slice(), features.line),
            (["nfs".to_owned(), "cifs".to_owned()].as_slice(), 2)
        );
        let nic = &current.nics()[0];
        assert_eq!((nic.bridge.as_deref(), nic.tag, nic.firewall), (Some("vmbr0"), Some(5), true));
        assert!(current.console_is_a_shell());
        assert!(lxc::parse(text, Pve7).value.current.devices().is_empty(), "devN came with Proxmox VE 8");
    }
}

/// Lines that are well-formed options of a virtual machine and of a container alike.
fn option_lines() -> impl Strategy<Value = Vec<String>> {
    let line = prop_oneof![
        "(onboot|protection|template): (0|1|yes|no)",
        "memory: [1-9][0-9]{2,3}",
        "tags: [a-z]{1,5}",
        Just("hookscript: local:snippets/x".to_owned()),
        Just("unused0: local:1/x".to_owned()),
    ];
    prop::collection::vec(line, 0..8)
}

/// What a naive reader makes of such lines.
fn model(lines: &[String]) -> std::collections::BTreeMap<String, String> {
    let pair = |line: &String| {
        let (name, value) = line.split_once(": ").unwrap();
        let value = match value {
            "yes" => "1",
            "no" => "0",
            other => other,
        };
        (name.to_owned(), value.to_owned())
    };
    lines.iter().map(pair).collect()
}

fn texts(
    options: &std::collections::BTreeMap<String, GuestOption>,
) -> std::collections::BTreeMap<String, String> {
    options.iter().map(|(name, option)| (name.clone(), option.text.clone())).collect()
}

const RELEASES: [Release; 3] = [Pve7, Pve8, Pve9];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn parsing_never_panics(text in "[\\[\\]a-z:, =#\r\n0-2]{0,80}", any in ".{0,60}") {
        for release in RELEASES {
            for text in [&text, &any] {
                let machine = qemu::parse(text, release).value;
                let _ = (machine.current.disks(), machine.current.nics(), machine.snapshot_facts());
                let container = lxc::parse(text, release).value;
                let _ = (container.current.mount_points(), container.current.host_uid_of_root());
            }
        }
    }

    #[test]
    fn well_formed_options_are_read_as_a_naive_reader_does(lines in option_lines()) {
        let text = lines.join("\n");
        for release in RELEASES {
            let machine = qemu::parse(&text, release);
            prop_assert_eq!(&machine.issues, &[]);
            prop_assert_eq!(texts(&machine.value.current.options), model(&lines));
            let container = lxc::parse(&text, release);
            prop_assert_eq!(&container.issues, &[]);
            prop_assert_eq!(texts(&container.value.current.options), model(&lines));
        }
    }

    #[test]
    fn a_garbage_line_never_takes_an_option_away_without_an_issue(
        lines in option_lines(), garbage in "[ -~]{1,20}", at in 0_usize..9,
    ) {
        let mut changed = lines.clone();
        changed.insert(at.min(lines.len()), garbage.clone());
        let (before, after) = (lines.join("\n"), changed.join("\n"));
        // A section header that is understood moves what follows, with full right.
        prop_assume!(!garbage.starts_with('['));
        for release in RELEASES {
            let old = qemu::parse(&before, release).value.current;
            let new = qemu::parse(&after, release);
            let gone = old.options.keys().any(|name| !new.value.current.options.contains_key(name));
            prop_assert!(!gone || !new.issues.is_empty());
            let old = lxc::parse(&before, release).value.current;
            let new = lxc::parse(&after, release);
            let gone = old.options.keys().any(|name| !new.value.current.options.contains_key(name));
            prop_assert!(!gone || !new.issues.is_empty());
        }
    }

    #[test]
    fn every_line_is_kept_refused_or_has_an_issue(line in "[a-z#\\[]{1,6}[0-9]?:? ?[a-z0-9,=]{0,8}") {
        let parsed = qemu::parse(&line, Pve9);
        let current = &parsed.value.current;
        let understood = !current.options.is_empty() || current.has_description || line.starts_with('[');
        prop_assert!(understood || line.starts_with("snapstate:") || !parsed.issues.is_empty(), "{}", line);
    }

    #[test]
    fn secrets_never_leave_a_guest_parser(
        name in "(cipassword|args|description|sshkeys|env|lxc.environment|lxc.environment.runtime|nonsense)",
        separator in "(: |:|=| = | )", release in prop::sample::select(&RELEASES[..]),
    ) {
        let line = format!("{name}{separator}A=canary\n#canary\n");
        let text = format!("{line}[snap]\n{line}[PENDING]\n{line}[pve:pending]\n{line}[special:cloudinit]\ncipassword: canary\n");
        let machine = format!("{:?}", qemu::parse(&text, release));
        prop_assert!(!machine.contains("canary"), "{}", machine);
        let container = format!("{:?}", lxc::parse(&text, release));
        prop_assert!(!container.contains("canary"), "{}", container);
    }
}
