use std::io::Write;

use lz4_flex::frame::{FrameEncoder, FrameInfo};
use miniz_oxide::deflate::compress_to_vec;
use proptest::prelude::*;

use super::*;
use crate::files::{Files, Node, Tree};

const SECURITY: &str =
    "/var/lib/apt/lists/security.debian.org_debian-security_dists_trixie-security_main_binary-amd64_Packages";
const SECURITY_RELEASE: &str =
    "/var/lib/apt/lists/security.debian.org_debian-security_dists_trixie-security_InRelease";
const MAIN: &str = "/var/lib/apt/lists/deb.debian.org_debian_dists_trixie_main_binary-amd64_Packages";

const LIST: &str = "Package: a\nVersion: 2\nArchitecture: amd64\n\n";

/// `LIST` packed by `xz -6` and `zstd -19`.
const XZ: &str = "fd377a585a000004e6d6b4460200210116000000742fe5a301002a5061636b6167653a20610a56657273696f6e3a20320a4172636869746563747572653a20616d6436340a0a0000721d8e12f58029570001432bad506e571fb6f37d010000000004595a";
const ZST: &str = "28b52ffd242b5901005061636b6167653a20610a56657273696f6e3a20320a4172636869746563747572653a20616d6436340a0a96971035";

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.chars().map(|c| u8::try_from(c.to_digit(16).unwrap()).unwrap()).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn gz(text: &[u8]) -> Vec<u8> {
    let mut packed = vec![0x1f, 0x8b, 8, 8, 0, 0, 0, 0, 0, 3, b'n', 0];
    packed.extend(compress_to_vec(text, 6));
    packed.extend([0; 4]);
    packed.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
    packed
}

fn lz4(text: &[u8], checksum: bool) -> Vec<u8> {
    let info = FrameInfo::new().content_checksum(checksum);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// Every packing with an example.
fn packings(text: &str) -> Vec<(&'static str, Vec<u8>)> {
    let bytes = text.as_bytes();
    vec![
        (".gz", gz(bytes)),
        (".lz4", lz4(bytes, false)),
        (".lz4", lz4(bytes, true)),
        (".xz", unhex(XZ)),
        (".zst", unhex(ZST)),
    ]
}

/// A host with the packages a and b in version 1, and Debian's security updates for a source.
fn tree() -> Tree {
    let mut tree = Tree::default();
    let status = ["a", "b"].map(|name| {
        format!("Package: {name}\nStatus: install ok installed\nVersion: 1\nArchitecture: amd64\n\n")
    });
    tree.insert("/var/lib/dpkg/status", Node::file(status.concat()));
    tree.insert("/etc/os-release", Node::file("VERSION_ID=\"13\"\nVERSION_CODENAME=trixie\n"));
    let source = "deb http://security.debian.org/debian-security trixie-security main\n";
    tree.insert("/etc/apt/sources.list", Node::file(source));
    let release = "Origin: Debian\nLabel: Debian-Security\nSuite: stable-security\nCodename: trixie-security\nDate: Fri, 20 Nov 2026 00:12:42 UTC\nArchitectures: amd64\n";
    tree.insert(SECURITY_RELEASE, Node::file(release));
    tree.insert(SECURITY, Node::file(LIST));
    tree
}

fn told(tree: Tree) -> Fact<Updates> {
    let host = Host::new(Files::memory(tree), None, None);
    host.updates().clone()
}

fn names(fact: &Fact<Updates>) -> Vec<&str> {
    fact.value.as_ref().unwrap().upgradable.iter().map(|update| update.package.as_str()).collect()
}

/// What is doubtful about the list of security updates.
fn doubts(fact: &Fact<Updates>) -> Vec<&str> {
    let about_list = |doubt: &&Doubt| doubt.path.starts_with(SECURITY);
    fact.doubts.iter().filter(about_list).map(|doubt| doubt.what.as_str()).collect()
}

/// The host with one list in the place of the security list.
fn with_list(ending: &str, bytes: impl Into<Vec<u8>>) -> Fact<Updates> {
    let mut tree = tree();
    tree.remove(SECURITY);
    tree.insert(&format!("{SECURITY}{ending}"), Node::file(bytes));
    told(tree)
}

#[test]
fn an_update_of_security_is_told_with_its_versions() {
    let fact = told(tree());
    let updates = fact.value.as_ref().unwrap();
    let [update] = &updates.upgradable[..] else { panic!("{updates:?}") };
    assert_eq!(
        (update.package.as_str(), update.installed.as_str(), update.candidate.as_str()),
        ("a", "1", "2")
    );
    assert!(update.security && !update.held);
    assert_eq!(updates.foreign.iter().map(|foreign| foreign.package.as_str()).collect::<Vec<_>>(), ["b"]);
    let noon: Timestamp = "2026-11-20T12:12:42Z".parse().unwrap();
    assert_eq!(updates.lists_age_hours(noon), Some(12));
    assert_eq!(updates.lists_age_hours("2026-11-19T00:00:00Z".parse().unwrap()), None);
    let only_apt: Vec<_> =
        fact.doubts.iter().filter(|doubt| !doubt.what.contains("version of apt")).collect();
    assert!(only_apt.is_empty(), "{only_apt:?}");
}

#[test]
fn without_lists_nothing_is_known() {
    let mut tree = tree();
    tree.remove(SECURITY);
    assert!(matches!(told(tree).value, Err(Stop::Unknown(_))));
}

#[test]
fn a_source_whose_list_was_never_fetched_is_a_doubt() {
    let mut tree = tree();
    let sources = "deb http://security.debian.org/debian-security trixie-security main\ndeb http://deb.debian.org/debian trixie main\n";
    tree.insert("/etc/apt/sources.list", Node::file(sources));
    let fact = told(tree);
    assert_eq!(names(&fact), ["a"]);
    assert!(fact.doubts.iter().any(|doubt| doubt.path == MAIN && doubt.what.contains("never fetched")));
}

#[test]
fn an_archive_that_has_no_such_list_leaves_no_doubt() {
    let mut tree = tree();
    let sources = "deb http://security.debian.org/debian-security trixie-security main contrib\n";
    tree.insert("/etc/apt/sources.list", Node::file(sources));
    let release = |table: &str| {
        format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nOrigin: Debian\nLabel: Debian-Security\nArchitectures: amd64\nSHA256:\n 00 {} main/binary-amd64/Packages\n{table}-----BEGIN PGP SIGNATURE-----\n",
            LIST.len()
        )
    };
    tree.insert(SECURITY_RELEASE, Node::file(release("")));
    let states = |fact: Fact<Updates>| {
        fact.value.unwrap().lists.into_iter().map(|list| list.state).collect::<Vec<_>>()
    };
    let none = State::NotOffered;
    assert_eq!(states(told(tree.clone())), [State::Read, none.clone(), none.clone(), none.clone()]);
    tree.insert(SECURITY_RELEASE, Node::file(release(" 00 9 contrib/binary-amd64/Packages\n")));
    assert_eq!(states(told(tree.clone())), [State::Read, none.clone(), State::Missing, none.clone()]);
    // What is cut off may have named it.
    tree.insert(SECURITY_RELEASE, Node::file(release("").replace("-----BEGIN PGP SIGNATURE-----\n", "")));
    let states = states(told(tree));
    assert!(matches!(&states[0], State::Damaged(what) if what.contains("Release file that was cut short")));
    assert_eq!(states[1..], [none.clone(), State::Missing, none]);
}

#[test]
fn a_list_whose_size_nobody_tells_is_a_doubt() {
    let release = |table: &str| {
        format!(
            "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nOrigin: Debian\nLabel: Debian-Security\nArchitectures: amd64\n{table}-----BEGIN PGP SIGNATURE-----\n"
        )
    };
    for table in ["", "SHA256:\n 00 9 contrib/binary-amd64/Packages\n"] {
        let mut tree = tree();
        tree.insert(SECURITY_RELEASE, Node::file(release(table)));
        assert!(doubts(&told(tree)).iter().any(|doubt| doubt.contains("not named by its Release file")));
    }
}

#[test]
fn packages_of_another_architecture_are_a_doubt() {
    let fact = with_list("", "Package: a\nVersion: 2\nArchitecture: arm64\n\n");
    assert_eq!(doubts(&fact), ["has packages of another architecture"]);
}

#[test]
fn more_versions_than_anybody_has_are_a_doubt() {
    let version = |n: u32| format!("Package: a\nVersion: {n}\nArchitecture: amd64\n\n");
    let fact = with_list("", (0..6000).map(version).collect::<String>());
    assert_eq!(doubts(&fact), ["has more versions of packages than are looked at here"]);
    assert_eq!(fact.value.unwrap().upgradable[0].candidate, "1999");
}

#[test]
fn the_age_is_that_of_the_oldest_list_with_security_updates() {
    let mut tree = tree();
    let sources = "deb http://security.debian.org/debian-security trixie-security main\ndeb http://deb.debian.org/debian trixie main\n";
    tree.insert("/etc/apt/sources.list", Node::file(sources));
    tree.insert(MAIN, Node::file(LIST));
    for (date, hours) in [("Sat, 21 Nov 2026", 12), ("Thu, 19 Nov 2026", 12)] {
        let release = format!("Origin: Debian\nLabel: Debian\nCodename: trixie\nDate: {date} 00:12:42 UTC\n");
        tree.insert("/var/lib/apt/lists/deb.debian.org_debian_dists_trixie_InRelease", Node::file(release));
        let updates = told(tree.clone()).value.unwrap();
        assert_eq!(updates.lists_age_hours("2026-11-20T12:12:42Z".parse().unwrap()), Some(hours), "{date}");
        assert!(updates.oldest_list().unwrap().is_security());
    }
}

#[test]
fn packed_lists_are_read() {
    for (ending, bytes) in packings(LIST) {
        let fact = with_list(ending, bytes);
        assert_eq!(names(&fact), ["a"], "{ending}");
        assert!(doubts(&fact).is_empty(), "{ending} {:?}", doubts(&fact));
    }
    let two_members = [gz(LIST.as_bytes()), gz(b"Package: b\nVersion: 2\n\n")].concat();
    assert_eq!(names(&with_list(".gz", two_members)), ["a", "b"]);
}

#[test]
fn long_packed_lists_are_read_whole() {
    let filler = |n: u32| format!("Package: p{n}\nVersion: {n}\nDescription: {}\n\n", "x ".repeat(40));
    let text: String = (0..20_000).map(filler).chain([LIST.to_owned()]).collect();
    for (ending, bytes) in
        [(".gz", gz(text.as_bytes())), (".lz4", lz4(text.as_bytes(), false)), ("", text.into_bytes())]
    {
        let fact = with_list(ending, bytes);
        assert_eq!(names(&fact), ["a"], "{ending}");
        assert!(doubts(&fact).is_empty(), "{ending} {:?}", doubts(&fact));
        assert_eq!(fact.value.unwrap().lists[0].versions, 20_001);
    }
}

#[test]
fn a_packed_list_that_was_cut_short_anywhere_is_a_doubt() {
    for (ending, bytes) in packings(LIST) {
        for length in 0..bytes.len() {
            let fact = with_list(ending, &bytes[..length]);
            assert_eq!(doubts(&fact).len(), 1, "{ending} {length} of {}", bytes.len());
        }
    }
}

#[test]
fn a_plain_list_that_was_cut_short_is_a_doubt() {
    assert_eq!(
        doubts(&with_list("", "Package: a\nVersion: 2\nArch")),
        ["was cut short: its last line has no end"]
    );
    let mut tree = tree();
    let table = format!(
        "Origin: Debian\nLabel: Debian-Security\nSHA256:\n 00 {} main/binary-amd64/Packages\n",
        LIST.len() + 1
    );
    tree.insert(SECURITY_RELEASE, Node::file(table));
    assert!(doubts(&told(tree))[0].contains("it was cut short or is of another day"));
}

#[test]
fn a_lost_separator_hides_no_package() {
    for separator in ["", " \n"] {
        let fact =
            with_list("", format!("Package: other\nVersion: 1\nArchitecture: amd64\n{separator}{LIST}"));
        assert_eq!(names(&fact), ["a"], "{separator:?}");
        assert_eq!(doubts(&fact), ["has two packages in one stanza: apt takes the last"]);
    }
}

#[test]
fn what_is_no_list_is_a_doubt() {
    for (ending, bytes) in [
        ("", gz(LIST.as_bytes())),
        (".gz", LIST.into()),
        (".lz4", LIST.into()),
        (".xz", LIST.into()),
        (".zst", LIST.into()),
        (".bz2", LIST.into()),
        ("", b"<html>\n\n</html>\n".to_vec()),
    ] {
        let fact = with_list(ending, bytes);
        assert_eq!(doubts(&fact).len(), 1, "{ending} {:?}", fact.doubts);
        assert!(names(&fact).is_empty());
    }
}

#[test]
fn a_line_without_end_is_given_up() {
    let endless = format!("{LIST}Package: b\nDescription: {}\n\n{LIST}", "x".repeat(3 << 20));
    let fact = with_list("", endless);
    assert_eq!(names(&fact), ["a"]);
    assert!(doubts(&fact)[0].contains("a stanza of more than"));
}

#[test]
fn a_list_that_cannot_be_read_is_a_doubt() {
    let mut tree = tree();
    tree.insert(SECURITY, Node::fifo());
    assert!(matches!(told(tree).value, Err(Stop::Unknown(_))));
}

#[test]
fn a_status_file_cut_short_is_a_doubt() {
    let mut tree = tree();
    tree.insert(
        "/var/lib/dpkg/status",
        Node::file("Package: a\nStatus: install ok installed\nVersion: 1\nArchi"),
    );
    let fact = told(tree);
    assert!(fact.doubts.iter().any(|doubt| doubt.path == DPKG_STATUS && doubt.what.contains("cut short")));
}

#[test]
fn what_makes_apt_refuse_makes_it_unknown() {
    for (path, text) in [
        ("/etc/apt/sources.list", "deb http://x\n"),
        ("/etc/apt/apt.conf", "APT::Default-Release \"sid\";\n"),
        ("/etc/apt/apt.conf", "A \"1;\n"),
        ("/etc/apt/preferences", "Package: a\nPin: release a=b\n\n"),
    ] {
        let mut tree = tree();
        tree.insert(path, Node::file(text));
        assert!(matches!(told(tree).value, Err(Stop::Unknown(_))), "{path}");
    }
}

#[test]
fn a_fix_that_a_pin_keeps_away_is_told() {
    let mut tree = tree();
    let pin = "Package: a\nPin: release l=Debian-Security\nPin-Priority: -1\n";
    tree.insert("/etc/apt/preferences", Node::file(pin));
    let updates = told(tree).value.unwrap();
    assert!(updates.upgradable.is_empty());
    assert_eq!((updates.kept_back[0].package.as_str(), updates.kept_back[0].fix.as_str()), ("a", "2"));
}

#[test]
fn held_packages_are_told() {
    let mut tree = tree();
    let status = "Package: a\nStatus: hold ok installed\nVersion: 1\nArchitecture: amd64\n\n";
    tree.insert("/var/lib/dpkg/status", Node::file(status));
    assert!(told(tree).value.unwrap().upgradable[0].held);
}

#[test]
fn settings_that_lead_elsewhere_are_a_doubt() {
    let mut tree = tree();
    tree.insert("/etc/apt/apt.conf", Node::file("Dir::State::lists \"/srv/lists\";\n"));
    assert!(told(tree).doubts.iter().any(|doubt| doubt.what.contains("other files")));
}

#[test]
fn settings_that_change_the_lists_are_a_doubt() {
    for conf in [
        "Acquire::IndexTargets::deb::Packages::MetaKey \"x\";\n",
        "Dir::Ignore-Files-Silently { \"security\\.list$\"; };\n",
    ] {
        let mut tree = tree();
        tree.insert("/etc/apt/apt.conf", Node::file(conf));
        assert!(told(tree).doubts.iter().any(|doubt| doubt.what.contains("other lists")), "{conf}");
    }
}

#[test]
fn a_source_that_asks_for_no_packages_has_no_list() {
    for option in ["target=Sources", "target-=Packages"] {
        let mut tree = tree();
        let source =
            format!("deb [{option}] http://security.debian.org/debian-security trixie-security main\n");
        tree.insert("/etc/apt/sources.list", Node::file(source));
        assert!(matches!(told(tree).value, Err(Stop::Unknown(_))), "{option}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn damaged_packing_never_panics(which in 0_usize..5, at in 0_usize..200, byte: u8, more in prop::collection::vec(any::<u8>(), 0..40)) {
        let (ending, mut bytes) = packings(LIST).swap_remove(which);
        let length = bytes.len();
        bytes[at % length] = byte;
        bytes.extend(more);
        let _ = with_list(ending, bytes);
    }
}
