//! The door to the file system on a real folder: nothing leads out of it, and every trouble has its name.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stderr,
    reason = "tests prepare files and stop at the first surprise"
)]

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};

use nix::sys::stat::Mode;
use nix::unistd::{Uid, mkfifo};
use pve_audit::files::{DEFAULT_LIMIT, Files, InputOutcome, Kind, TroubleKind};
use tempfile::TempDir;

struct Place {
    dir: TempDir,
    files: Files,
}

fn place(prepare: impl FnOnce(&std::path::Path)) -> Place {
    let dir = TempDir::new().unwrap();
    fs::create_dir_all(dir.path().join("root/etc/ssh")).unwrap();
    prepare(&dir.path().join("root"));
    let files = Files::below(&dir.path().join("root")).unwrap();
    Place { dir, files }
}

fn kind(place: &Place, path: &str) -> TroubleKind {
    place.files.text(path).unwrap_err().kind
}

#[test]
fn a_file_is_read_whole_and_an_absolute_link_stays_inside_the_root() {
    let place = place(|root| {
        fs::write(root.join("etc/real"), "x".repeat(300_000)).unwrap();
        symlink("/etc/real", root.join("etc/link")).unwrap();
        symlink("../real", root.join("etc/ssh/up")).unwrap();
    });
    assert_eq!(place.files.text("/etc/real").unwrap().len(), 300_000);
    assert_eq!(place.files.text("/etc/link").unwrap().len(), 300_000);
    assert_eq!(place.files.text("/etc/ssh/up").unwrap().len(), 300_000);
    assert_eq!(place.files.link("/etc/link").unwrap(), "/etc/real");
    assert_eq!(place.files.stat("/etc/link").unwrap().kind, Kind::File);
}

#[test]
fn no_link_leads_out_of_the_root() {
    let place = place(|root| {
        fs::write(root.parent().unwrap().join("secret"), "secret").unwrap();
        let outside = root.parent().unwrap().join("secret");
        symlink("../../../../../../../../secret", root.join("etc/up")).unwrap();
        symlink("../../secret", root.join("etc/near")).unwrap();
        symlink(outside, root.join("etc/absolute")).unwrap();
        symlink("/proc/self/root/etc/passwd", root.join("etc/magic")).unwrap();
    });
    for path in ["/etc/up", "/etc/near", "/etc/absolute", "/etc/magic", "/../secret", "/etc/../../secret"] {
        assert_eq!(kind(&place, path), TroubleKind::Missing, "{path}");
    }
    assert!(fs::read(place.dir.path().join("secret")).is_ok());
}

#[test]
fn every_trouble_has_its_own_name() {
    let place = place(|root| {
        mkfifo(&root.join("etc/fifo"), Mode::S_IRUSR).unwrap();
        fs::create_dir(root.join("etc/folder")).unwrap();
        File::create(root.join("etc/large")).unwrap().set_len(DEFAULT_LIMIT + 1).unwrap();
        fs::write(root.join("etc/bytes"), [0xff, 0xfe]).unwrap();
        symlink("loop", root.join("etc/loop")).unwrap();
        symlink("nowhere", root.join("etc/dangling")).unwrap();
        fs::write(root.join("etc/closed"), "x").unwrap();
        fs::set_permissions(root.join("etc/closed"), fs::Permissions::from_mode(0o000)).unwrap();
    });
    assert_eq!(kind(&place, "/etc/none"), TroubleKind::Missing);
    assert_eq!(kind(&place, "/etc/bytes/below"), TroubleKind::Missing);
    assert_eq!(kind(&place, "/etc/dangling"), TroubleKind::Missing);
    assert_eq!(kind(&place, "/etc/fifo"), TroubleKind::NotAFile);
    assert_eq!(kind(&place, "/etc/folder"), TroubleKind::NotAFile);
    assert_eq!(kind(&place, "/etc/large"), TroubleKind::TooLarge { limit: DEFAULT_LIMIT });
    assert_eq!(kind(&place, "/etc/bytes"), TroubleKind::NotUtf8);
    assert!(matches!(kind(&place, "/etc/loop"), TroubleKind::Io(nix::errno::Errno::ELOOP)));
    if Uid::effective().is_root() {
        eprintln!("run as root: a file of mode 0000 is readable, the denied read is not tried");
        assert!(place.files.text("/etc/closed").is_ok());
    } else {
        assert_eq!(kind(&place, "/etc/closed"), TroubleKind::Denied);
    }
}

#[test]
fn a_device_is_never_opened() {
    let files = Files::below("/".as_ref()).unwrap();
    assert_eq!(files.text("/dev/null").unwrap_err().kind, TroubleKind::NotAFile);
    assert_eq!(files.stat("/dev/null").unwrap().kind, Kind::Other);
}

#[test]
fn a_folder_is_listed_sorted_with_the_kinds_of_its_entries() {
    let place = place(|root| {
        for name in ["b", "a", "Z", "10-x", "9-x"] {
            fs::write(root.join("etc/ssh").join(name), "").unwrap();
        }
        symlink("a", root.join("etc/ssh/link")).unwrap();
        fs::create_dir(root.join("etc/ssh/folder")).unwrap();
    });
    let entries = place.files.list("/etc/ssh").unwrap();
    let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
    assert_eq!(names, ["10-x", "9-x", "Z", "a", "b", "folder", "link"]);
    assert_eq!(entries[5].kind, Kind::Folder);
    assert_eq!(entries[6].kind, Kind::Link);
    assert_eq!(place.files.list("/etc/none").unwrap_err().kind, TroubleKind::Missing);
    assert_eq!(place.files.list("/etc/ssh/a").unwrap_err().kind, TroubleKind::NotAFile);
}

#[test]
fn files_of_the_kernel_and_many_small_files_are_read_whole() {
    let files = Files::below("/".as_ref()).unwrap();
    assert!(files.text("/proc/self/status").is_err() || files.text("/proc/self/status").unwrap().len() > 100);
    assert!(files.text("/proc/cpuinfo").unwrap().contains("processor"));
    let place = place(|root| {
        fs::create_dir_all(root.join("etc/pve/nodes")).unwrap();
        for n in 0..500 {
            fs::write(root.join(format!("etc/pve/nodes/{n}.conf")), format!("name: {n}\n")).unwrap();
        }
    });
    let paths: Vec<String> = (0..501).map(|n| format!("/etc/pve/nodes/{n}.conf")).collect();
    let texts = place.files.texts(&paths);
    for (n, text) in texts.iter().take(500).enumerate() {
        assert_eq!(&**text.as_ref().unwrap(), format!("name: {n}\n"));
    }
    assert!(texts[500].as_ref().unwrap_err().is_missing());
}

#[test]
fn every_access_is_in_the_ledger_with_its_outcome() {
    let place = place(|root| fs::write(root.join("etc/real"), "abc").unwrap());
    let _ = place.files.text("/etc/real");
    let _ = place.files.stat("/etc/real");
    let _ = place.files.text("/etc/none");
    let _ = place.files.list("/etc");
    let inputs = place.files.inputs();
    let outcome =
        |path: &str| inputs.iter().find(|input| input.path == path).map(|input| input.outcome.clone());
    assert_eq!(outcome("/etc/real"), Some(InputOutcome::Read { bytes: 3 }));
    assert_eq!(outcome("/etc/none"), Some(InputOutcome::Trouble(TroubleKind::Missing)));
    assert_eq!(outcome("/etc"), Some(InputOutcome::Listed { entries: 2 }));
    assert_eq!(inputs.len(), 3);
}

#[test]
fn proposed_files_stand_in_the_place_of_those_of_the_root() {
    let mut place = place(|root| {
        fs::create_dir_all(root.join("etc/pve/nodes/n1")).unwrap();
        symlink("nodes/n1", root.join("etc/pve/local")).unwrap();
        fs::write(root.join("etc/pve/user.cfg"), "old").unwrap();
        fs::set_permissions(root.join("etc/pve/user.cfg"), fs::Permissions::from_mode(0o640)).unwrap();
        fs::write(root.join("etc/pve/nodes/n1/host.fw"), "old").unwrap();
        fs::write(root.join("etc/pve/kept.cfg"), "kept").unwrap();
        let over = root.parent().unwrap().join("over/etc/pve");
        fs::create_dir_all(over.join("nodes/n1")).unwrap();
        fs::write(over.join("user.cfg"), "proposed").unwrap();
        fs::write(over.join("nodes/n1/host.fw"), "proposed").unwrap();
        fs::write(over.join("nodes/n1/more.fw"), "proposed").unwrap();
        symlink("/etc/passwd", over.join("kept.cfg")).unwrap();
    });
    let over = place.dir.path().join("over");
    place.files.lay_over(&over).unwrap();
    let read = |path: &str| place.files.text(path).unwrap().to_string();
    assert_eq!(read("/etc/pve/user.cfg"), "proposed");
    // Links of the root lead to proposed files as well, also to new ones.
    assert_eq!(read("/etc/pve/local/host.fw"), "proposed");
    assert_eq!(read("/etc/pve/local/more.fw"), "proposed");
    let facts = place.files.stat("/etc/pve/user.cfg").unwrap();
    assert_eq!((facts.mode, facts.size), (0o640, 8));
    let names: Vec<_> =
        place.files.list("/etc/pve/nodes/n1").unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["host.fw", "more.fw"]);
    assert_eq!(place.files.link("/etc/pve/local").unwrap(), "nodes/n1");
    // A proposed link is not followed.
    assert_eq!(kind(&place, "/etc/pve/kept.cfg"), TroubleKind::NotAFile);
    assert!(place.files.lay_over(&over.join("missing")).is_err());
}

#[test]
fn what_is_proposed_under_a_linked_name_stands_at_the_path_the_link_leads_to() {
    let mut place = place(|root| {
        fs::create_dir_all(root.join("etc/pve/nodes/n1/qemu-server")).unwrap();
        symlink("nodes/n1", root.join("etc/pve/local")).unwrap();
        symlink("nodes/n1/qemu-server", root.join("etc/pve/qemu-server")).unwrap();
        fs::write(root.join("etc/pve/nodes/n1/qemu-server/100.conf"), "old").unwrap();
        fs::write(root.join("etc/pve/nodes/n1/host.fw"), "old").unwrap();
        fs::write(root.join("etc/pve/nodes/n1/config"), "old").unwrap();
        fs::create_dir_all(root.join("etc/units")).unwrap();
        fs::create_dir_all(root.join("dev")).unwrap();
        mkfifo(&root.join("dev/null"), Mode::S_IRUSR).unwrap();
        for masked in ["a", "b"] {
            symlink("/dev/null", root.join("etc/units").join(masked)).unwrap();
        }
        let over = root.parent().unwrap().join("over/etc");
        fs::create_dir_all(over.join("pve/qemu-server")).unwrap();
        fs::create_dir_all(over.join("pve/local/more")).unwrap();
        fs::create_dir_all(over.join("units")).unwrap();
        fs::write(over.join("pve/qemu-server/100.conf"), "proposed").unwrap();
        fs::write(over.join("pve/qemu-server/101.conf"), "new").unwrap();
        fs::write(over.join("pve/local/host.fw"), "proposed").unwrap();
        fs::write(over.join("pve/local/more/deep"), "new").unwrap();
        fs::write(over.join("units/a"), "proposed").unwrap();
    });
    let over = place.dir.path().join("over");
    place.files.lay_over(&over).unwrap();
    let read = |path: &str| place.files.text(path).unwrap().to_string();
    for folder in ["/etc/pve/nodes/n1", "/etc/pve/local"] {
        assert_eq!(read(&format!("{folder}/qemu-server/100.conf")), "proposed");
        assert_eq!(read(&format!("{folder}/qemu-server/101.conf")), "new");
        assert_eq!(read(&format!("{folder}/host.fw")), "proposed");
        assert_eq!(read(&format!("{folder}/config")), "old");
        assert_eq!(read(&format!("{folder}/more/deep")), "new");
    }
    assert_eq!(read("/etc/pve/qemu-server/100.conf"), "proposed");
    let names = |path: &str| -> Vec<String> {
        place.files.list(path).unwrap().into_iter().map(|entry| entry.name).collect()
    };
    assert_eq!(names("/etc/pve/nodes/n1"), ["config", "host.fw", "more", "qemu-server"]);
    assert_eq!(names("/etc/pve/nodes/n1/qemu-server"), ["100.conf", "101.conf"]);
    assert_eq!(names("/etc/pve/local/qemu-server"), ["100.conf", "101.conf"]);
    assert_eq!(names("/etc/pve/nodes/n1/more"), ["deep"]);
    assert_eq!(names("/etc/pve/nodes"), ["n1"]);
    assert_eq!(place.files.stat("/etc/pve/nodes/n1/qemu-server/100.conf").unwrap().size, 8);
    // A masked unit is given content; the other one, masked by the same device, is not.
    assert_eq!(read("/etc/units/a"), "proposed");
    assert_eq!(kind(&place, "/etc/units/b"), TroubleKind::NotAFile);
}

#[test]
fn a_whole_file_system_cannot_be_laid_over() {
    let mut place = place(|root| {
        let over = root.parent().unwrap().join("over");
        for folder in 0..11 {
            fs::create_dir_all(over.join(folder.to_string())).unwrap();
        }
        for n in 0..20_000 {
            fs::write(over.join(format!("{}/{n}", n % 11)), "").unwrap();
        }
    });
    let over = place.dir.path().join("over");
    let message = place.files.lay_over(&over).unwrap_err();
    assert!(message.contains("more than 20000"), "{message}");
}
