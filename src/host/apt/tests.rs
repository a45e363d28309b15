use super::priority::{By, DEFAULT_RELEASE, priority};
use super::*;
use crate::files::{Files, Node, Tree, TroubleKind};
use crate::formats::apt_match::Archive;
use crate::formats::release::Release;

fn tree(files: &[(&str, &str)]) -> Tree {
    let mut tree = Tree::default();
    for (path, text) in files {
        tree.insert(path, Node::file(*text));
    }
    tree
}

fn host(files: &[(&str, &str)], assumed: Option<Release>) -> Host {
    Host::new(Files::memory(tree(files)), None, assumed)
}

fn read(files: &[(&str, &str)]) -> (AptSources, Vec<Doubt>) {
    let host = host(files, Some(Release::Pve9));
    let fact = host.apt_sources();
    (fact.value.clone().unwrap(), fact.doubts.clone())
}

fn suites(sources: &AptSources) -> Vec<&str> {
    sources.all.iter().map(|source| source.entry.suite.as_str()).collect()
}

#[test]
fn sources_are_read_in_the_order_of_apt() {
    let (sources, doubts) = read(&[
        ("/etc/apt/sources.list.d/b.list", "deb http://h/ 4 main\n"),
        ("/etc/apt/sources.list.d/B.sources", "Types: deb\nURIs: http://h/\nSuites: 2\nComponents: main\n"),
        ("/etc/apt/sources.list.d/a.list", "deb http://h/ 3 main\n"),
        ("/etc/apt/sources.list", "deb http://h/ 1 main\n"),
    ]);
    assert_eq!(suites(&sources), ["1", "2", "3", "4"]);
    assert_eq!(doubts, []);
    assert_eq!(sources.all[3].path, "/etc/apt/sources.list.d/b.list");
}

#[test]
fn files_with_names_apt_does_not_take_are_not_read() {
    let (sources, doubts) = read(&[
        ("/etc/apt/sources.list", "deb http://h/ 1 main\n"),
        ("/etc/apt/sources.list.d/a.list.save", "nonsense\n"),
        ("/etc/apt/sources.list.d/a b.list", "nonsense\n"),
        ("/etc/apt/sources.list.d/.a.list", "nonsense\n"),
        ("/etc/apt/sources.list.d/folder.list/x.list", "nonsense\n"),
    ]);
    assert_eq!(suites(&sources), ["1"]);
    assert_eq!((doubts, sources.unreadable), (vec![], None));
}

#[test]
fn a_link_is_followed_and_a_dangling_one_is_no_file() {
    let mut tree = tree(&[("/srv/x", "deb http://h/ 1 main\n"), ("/etc/apt/sources.list", "")]);
    tree.insert("/etc/apt/sources.list.d/a.list", Node::link("/srv/x"));
    tree.insert("/etc/apt/sources.list.d/b.list", Node::link("/srv/gone"));
    let host = Host::new(Files::memory(tree), None, Some(Release::Pve9));
    assert_eq!(suites(host.apt_sources().value.as_ref().unwrap()), ["1"]);
    assert_eq!(host.apt_sources().doubts, []);
}

#[test]
fn one_bad_line_makes_the_complete_list_unreadable() {
    let (sources, doubts) = read(&[
        ("/etc/apt/sources.list", "deb http://h/ 1 main\n"),
        ("/etc/apt/sources.list.d/a.list", "# fine\ndeb http://h/ 2\n"),
    ]);
    let refused = sources.unreadable.unwrap();
    assert_eq!((refused.path.as_str(), refused.line), ("/etc/apt/sources.list.d/a.list", Some(2)));
    assert!(doubts.contains(&refused));
    assert_eq!(sources.all.len(), 1, "what was understood is kept");
}

#[test]
fn keys_that_differ_for_one_archive_are_fatal_before_apt_3() {
    let files = [
        ("/etc/apt/sources.list", "deb [signed-by=/k] http://h/debian trixie main\n"),
        ("/etc/apt/sources.list.d/x.list", "\ndeb http://h/debian trixie contrib\n"),
    ];
    let (sources, _) = read(&files);
    assert_eq!(sources.unreadable, None);
    let host = host(&files, Some(Release::Pve8));
    let refused = host.apt_sources().value.clone().unwrap().unreadable.unwrap();
    assert_eq!((refused.path.as_str(), refused.line), ("/etc/apt/sources.list.d/x.list", Some(2)));
    assert!(refused.what.starts_with("signed-by differs"));
}

#[test]
fn the_package_apt_tells_the_version_before_anything_else() {
    let status = "Package: apt\nStatus: install ok installed\nVersion: 2.6.1\nArchitecture: arm64\n\n";
    let files =
        [("/var/lib/dpkg/status", status), ("/etc/apt/sources.list", "deb http://h/$(ARCH) trixie main\n")];
    let host = host(&files, Some(Release::Pve9));
    assert_eq!(host.apt_version().0, AptVersion::V2_6);
    assert_eq!(host.apt_sources().value.as_ref().unwrap().all[0].entry.uri, "http://h/arm64/");
}

#[test]
fn without_any_source_file_nothing_is_known() {
    assert!(matches!(host(&[], None).apt_sources().value, Err(Stop::Unknown(_))));
    let (sources, _) = read(&[("/etc/apt/sources.list", "")]);
    assert_eq!(sources.all, [], "an empty list is a list");
}

#[test]
fn a_file_that_cannot_be_read_leaves_the_others_and_a_doubt() {
    let mut tree = tree(&[("/etc/apt/sources.list", "deb http://h/ 1 main\n")]);
    tree.insert("/etc/apt/sources.list.d/a.list", Node::file("").failing(TroubleKind::Denied));
    let host = Host::new(Files::memory(tree), None, Some(Release::Pve9));
    let fact = host.apt_sources();
    assert_eq!(fact.value.as_ref().unwrap().all.len(), 1);
    assert_eq!(fact.value.as_ref().unwrap().incomplete, fact.doubts.first().cloned());
    assert_eq!(fact.doubts.len(), 1);
}

#[test]
fn sources_elsewhere_are_a_doubt() {
    let (_, doubts) = read(&[
        ("/etc/apt/sources.list", "deb http://h/ 1 main\n"),
        ("/etc/apt/apt.conf.d/99x", "\nDir::Etc::SourceParts \"/dev/null\";\n"),
    ]);
    assert_eq!(doubts.len(), 1);
    assert_eq!((doubts[0].path.as_str(), doubts[0].line), ("/etc/apt/apt.conf.d/99x", Some(2)));
}

#[test]
fn the_last_setting_wins_and_apt_conf_is_last() {
    let host = host(
        &[
            ("/etc/apt/apt.conf.d/10a", "A \"1\"; B \"1\";\n"),
            ("/etc/apt/apt.conf.d/9z.conf", "B \"2\"; C \"1\";\n"),
            ("/etc/apt/apt.conf.d/99.bak", "A \"wrong\";\n"),
            ("/etc/apt/apt.conf", "C \"2\"; Acquire::http::Proxy \"http://u:SECRET@p/\";\n"),
        ],
        None,
    );
    let conf = host.apt_conf().value.as_ref().unwrap();
    let value = |name| conf.tree.find(name).unwrap().value.clone();
    assert_eq!([value("a"), value("B"), value("C")], ["1", "2", "2"]);
    assert_eq!(conf.credentials, [("/etc/apt/apt.conf".to_owned(), 1)]);
    assert!(!format!("{conf:?}").contains("SECRET"));
}

#[test]
fn includes_are_followed_and_missing_ones_are_errors() {
    let host_of = |target: &str| {
        let conf = format!("#include \"{target}\";\n");
        host(
            &[
                ("/etc/apt/apt.conf", conf.as_str()),
                ("/srv/a/1", "A \"1\";\n"),
                ("/srv/a/2.bak", "A \"2\";\n"),
            ],
            None,
        )
    };
    let conf = |host: &Host| host.apt_conf().value.clone().unwrap();
    for target in ["/srv/a/", "/srv/a/1"] {
        let host = host_of(target);
        assert_eq!(conf(&host).tree.find("A").unwrap().value, "1", "{target}");
        assert_eq!(conf(&host).error, None);
    }
    let missing = host_of("/srv/b");
    assert_eq!(conf(&missing).error.unwrap().path, "/etc/apt/apt.conf");
    assert_eq!(missing.apt_conf().doubts.len(), 1);
}

#[test]
fn a_syntax_error_is_kept_as_an_error_and_a_doubt() {
    let host = host(&[("/etc/apt/apt.conf.d/1", "A \"1\";\n{\n")], None);
    let conf = host.apt_conf().value.as_ref().unwrap();
    assert_eq!(conf.error.as_ref().unwrap().line, Some(2));
    assert_eq!(host.apt_conf().doubts.len(), 1);
}

#[test]
fn the_first_general_record_counts_and_default_release_comes_before_all() {
    let archive =
        Archive { origin: "Debian".to_owned(), codename: "trixie".to_owned(), ..Archive::default() };
    let value = |conf: &str, pins: &str| {
        let host = host(&[("/etc/apt/apt.conf", conf), ("/etc/apt/preferences", pins)], None);
        let conf = host.apt_conf().value.clone().unwrap();
        let preferences = host.apt_preferences().value.clone().unwrap();
        priority(&archive, conf.tree.find(DEFAULT_RELEASE), &preferences).unwrap()
    };
    let pins = "Package: bash\nPin: release n=trixie\nPin-Priority: 1\n\nPackage: *\nPin: release o=Debian\nPin-Priority: 200\n\nPackage: *\nPin: release n=trixie\nPin-Priority: 300\n";
    let pinned = value("", pins);
    assert_eq!((pinned.value, pinned.by), (200, By::Pin("/etc/apt/preferences".to_owned(), 5)));
    assert_eq!(value("APT::Default-Release \"trixie\";\n", pins).value, 990);
    assert_eq!(value("APT::Default-Release \"forky\";\n", "").value, 500);
    assert_eq!(value("", "Package: *\nPin: release *\nPin-Priority: never\n").value, i16::MIN);
}

#[test]
fn passwords_are_found_with_the_mode_of_their_file() {
    let mut tree = tree(&[("/etc/apt/sources.list", "deb http://h/ 1 main\n")]);
    let line = "deb https://u:SECRET@h/ 1 main\n";
    tree.insert("/etc/apt/sources.list.d/a.list", Node::file(format!("{line}{line}")).mode(0o600));
    tree.insert(
        "/etc/apt/auth.conf.d/pve.conf",
        Node::file("machine h\nlogin a password SECRET\n").mode(0o644),
    );
    let host = Host::new(Files::memory(tree), None, Some(Release::Pve9));
    let files = host.apt_secret_files().value.clone().unwrap();
    let seen: Vec<_> = files.iter().map(|file| (file.path.as_str(), file.line, file.mode)).collect();
    assert_eq!(
        seen,
        [("/etc/apt/auth.conf.d/pve.conf", 1, 0o644), ("/etc/apt/sources.list.d/a.list", 1, 0o600)]
    );
}
