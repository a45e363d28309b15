use proptest::prelude::*;

use super::*;

fn tree(text: &str) -> Tree {
    let mut tree = Tree::default();
    let parsed = parse(text);
    assert_eq!(parsed.value.error, None, "{text}");
    tree.apply("a.conf", &parsed.value, &mut |_| Vec::new());
    tree
}

fn value<'a>(tree: &'a Tree, name: &str) -> &'a str {
    tree.find(name).map_or("-", |setting| setting.value.as_str())
}

fn values(tree: &Tree, name: &str) -> Vec<String> {
    tree.list(name).into_iter().map(|setting| setting.value.clone()).collect()
}

#[test]
fn scopes_and_colons_say_the_same_and_case_does_not_count() {
    let tree = tree("APT { Get { AllowUnauthenticated \"true\"; }; };\napt::GET::Other \"x\";\n");
    assert_eq!(tree.switch("APT::Get::AllowUnauthenticated"), Some(true));
    assert_eq!(value(&tree, "APT::Get::other"), "x");
}

#[test]
fn the_last_value_wins_and_remembers_its_line() {
    let tree = tree("A \"1\";\na \"2\";\n");
    let setting = tree.find("A").unwrap();
    assert_eq!((setting.value.as_str(), &*setting.file, setting.line), ("2", "a.conf", 2));
}

#[test]
fn lists_grow_by_double_colons_and_by_bare_values_in_a_scope() {
    let tree = tree("DPkg::Options { \"--force-confdef\"; \"--force-all\"; };\nDPkg::Options:: \"--x\";\n");
    assert_eq!(values(&tree, "DPkg::Options"), ["--force-confdef", "--force-all", "--x"]);
}

#[test]
fn clear_forgets_the_value_and_everything_below() {
    let tree = tree("A \"1\"; A::B \"2\"; A:: \"3\"; C \"4\";\n#clear A;\nA:: \"5\";\n");
    assert_eq!(value(&tree, "A"), "-");
    assert_eq!(value(&tree, "A::B"), "-");
    assert_eq!(values(&tree, "A"), ["5"]);
    assert_eq!(value(&tree, "C"), "4");
}

#[test]
fn comments_come_in_three_kinds() {
    let tree = tree(
        "A \"1//2#3/*4*/\"; // x\n# B \"2\";\n/* C \"3\";\nD \"4\"; */ E /* x */ \"5\";\nF \"6\"; # y\n",
    );
    assert_eq!(value(&tree, "A"), "1//2#3/*4*/");
    assert_eq!(value(&tree, "E"), "5");
    assert_eq!(value(&tree, "F"), "6");
    for gone in ["B", "C", "D"] {
        assert_eq!(value(&tree, gone), "-", "{gone}");
    }
}

#[test]
fn a_statement_may_span_lines_and_values_may_lack_quotes() {
    let tree = tree("A\n  \"1\"\n;\nB 2;\nC \"a\" \"b\";\n");
    assert_eq!((value(&tree, "A"), value(&tree, "B"), value(&tree, "C")), ("1", "2", "a b"));
}

#[test]
fn percent_is_decoded_in_names_and_bare_values_only() {
    let tree = tree("A%42 \"%41\"; C %41; L { \"%41\"; };");
    assert_eq!((value(&tree, "AB"), value(&tree, "C")), ("%41", "A"));
    assert_eq!(values(&tree, "L"), ["A"]);
}

#[test]
fn includes_are_data_and_are_applied_in_place() {
    let parsed = parse("A \"1\";\n#include \"/x.conf\";\nB \"1\";\n");
    assert_eq!(parsed.value.directives[1], (2, Directive::Include("/x.conf".to_owned())));
    let mut tree = Tree::default();
    tree.apply("a", &parsed.value, &mut |path| vec![(path.to_owned(), parse("A \"2\"; B \"2\";").value)]);
    assert_eq!((value(&tree, "A"), value(&tree, "B")), ("2", "1"));
    assert_eq!(&*tree.find("A").unwrap().file, "/x.conf");
}

#[test]
fn a_file_that_includes_itself_ends() {
    let conf = parse("A:: \"1\";\n#include \"a\";\n").value;
    let mut tree = Tree::default();
    tree.apply("a", &conf, &mut |_| vec![("a".to_owned(), conf.clone())]);
    assert_eq!(values(&tree, "A").len(), 11);
}

#[test]
fn syntax_errors_stop_the_reading_and_fail_every_command() {
    for (text, line) in [
        ("A \"1\";\n{ };\n", 2),
        ("A \"1\" \"2\" x;\n", 1),
        ("A \"1\"\n", 1),
        ("A { #clear B; };\n", 1),
        ("#clear;\n", 1),
        ("#clear A;\n#include B;\n#includes C;\n", 3),
        ("A \"1;\n", 1),
    ] {
        let parsed = parse(text);
        assert_eq!(parsed.value.error.as_ref().map(|issue| issue.line), Some(line), "{text:?}");
        assert_eq!(parsed.issues.last(), parsed.value.error.as_ref());
    }
}

#[test]
fn open_and_surplus_braces_are_no_errors() {
    assert_eq!(value(&tree("A { B \"1\";"), "A::B"), "1");
    assert_eq!(value(&tree("}; } B \"1\";"), "B"), "1");
}

#[test]
fn a_password_in_a_proxy_is_a_fact_and_nothing_more() {
    let parsed = parse("Acquire::http::Proxy \"http://user:SECRET@proxy:3128/\";");
    assert!(!format!("{parsed:?}").contains("SECRET"));
    let mut tree = Tree::default();
    tree.apply("a", &parsed.value, &mut |_| Vec::new());
    let proxy = tree.find("acquire::http::proxy").unwrap();
    assert_eq!((proxy.value.as_str(), proxy.credentials), ("http://proxy:3128/", true));
    assert!(
        !format!("{:?}", parse("Acquire { http { Proxy \"user:SECRET@proxy\"; }; };")).contains("SECRET")
    );
}

#[test]
fn an_endless_name_is_cut_with_an_issue() {
    let parsed = parse(&"a{".repeat(100_000));
    assert!(parsed.value.error.is_none());
    assert_eq!(parsed.issues.len(), 1);
}

#[test]
fn switches_and_numbers_are_read_like_apt_does() {
    let tree = tree("A yes; B maybe; C 0x10; D \"7 days\"; E \"\";");
    assert_eq!([tree.switch("A"), tree.switch("B"), tree.switch("E")], [Some(true), None, None]);
    assert_eq!([tree.number("C"), tree.number("D"), tree.number("A")], [Some(16), Some(7), None]);
}

#[test]
fn part_names_have_the_suffix_conf_or_none() {
    for good in ["20auto-upgrades", "99local.conf", "a.b.conf"] {
        assert!(is_conf_file(good), "{good}");
    }
    for bad in ["99local.bak", "20x.dpkg-old", "x~", ".conf", "a b", "a.", "a.CONF"] {
        assert!(!is_conf_file(bad), "{bad}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn never_panics(text in "(A|\"|::|[{};#/* \n%4]|#clear ){0,30}|\\PC{0,30}") {
        let parsed = parse(&text);
        let mut tree = Tree::default();
        tree.apply("a", &parsed.value, &mut |_| Vec::new());
        let _ = tree.dump();
    }
}
