use std::fmt::Write as _;

use proptest::prelude::*;

use super::*;
use crate::formats::Parsed;
use crate::formats::property_string::{Kind, key};

const TABLE: Table = Table {
    header: Header::AnyCaseTypeAndId,
    id: crate::formats::verify::storage_id,
    types: &[
        SectionType {
            name: "dir",
            properties: &[&[
                one(key("path", Kind::Text).required()),
                one(key("disable", Kind::Boolean)),
                one(key("port", Kind::Integer { min: 1, max: 65535 })),
                many(key("map", Kind::Text)),
                one(key("password", Kind::Text).secret()),
            ]],
            since: Release::Pve7,
            until: Release::Pve9,
        },
        SectionType {
            name: "gluster",
            properties: &[&[one(key("server", Kind::Text))]],
            since: Release::Pve7,
            until: Release::Pve8,
        },
    ],
};

fn read(text: &str) -> Parsed<Sections> {
    parse(text, &TABLE, Release::Pve9)
}

fn ids(parsed: &Parsed<Sections>) -> Vec<&str> {
    parsed.value.effective().map(|section| section.id.as_str()).collect()
}

#[test]
fn sections_and_properties_have_their_lines() {
    let parsed = read("# top\n\ndir: one\n\tpath /a\n  port 5\n\ndir: two\n path /b\n");
    assert_eq!(parsed.issues, []);
    assert_eq!(ids(&parsed), ["one", "two"]);
    let one = parsed.value.effective().next().unwrap();
    assert_eq!((one.line, one.line_of("path"), one.text("path")), (3, Some(4), Some("/a")));
    assert_eq!(one.number("port"), Some(5));
}

#[test]
fn only_an_empty_line_ends_a_section() {
    let parsed = read("dir: one\n path /a\ndir: two\n disable\n");
    assert_eq!(ids(&parsed), ["one"]);
    assert_eq!(parsed.value.effective().next().unwrap().flag("disable"), Some(true));
    assert_eq!(parsed.value.sections[0].swallowed, [3]);
    assert_eq!(parsed.issues.len(), 1);

    let parsed = read("dir: one\n path /a\n \ndir: two\n path /b\n");
    assert_eq!(ids(&parsed), ["one"]);
    assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [3, 4, 5]);
}

#[test]
fn a_file_with_crlf_line_ends_collapses_to_its_first_section() {
    let parsed = read("dir: one\r\n\tpath /a\r\n\r\ndir: two\r\n\tpath /b\r\n\tdisable 1\r\n");
    assert_eq!(ids(&parsed), ["one"]);
    let one = parsed.value.effective().next().unwrap();
    assert_eq!(one.text("path"), Some("/a"));
    assert_eq!(one.flag("disable"), Some(true));
}

#[test]
fn a_lone_zero_ends_a_section_like_an_empty_line() {
    assert_eq!(ids(&read("dir: one\n path /a\n0\ndir: two\n path /b\n")), ["one", "two"]);
}

#[test]
fn comments_do_not_end_a_section() {
    assert_eq!(read("dir: one\n# x\n  # y\n path /a\n").value.sections[0].text("path"), Some("/a"));
}

#[test]
fn booleans_are_one_zero_or_the_bare_name() {
    let flag = |text: &str| {
        let parsed = read(&format!("dir: one\n path /a\n disable{text}\n"));
        (parsed.value.sections[0].flag("disable"), parsed.issues.len())
    };
    assert_eq!(flag(""), (Some(true), 0));
    assert_eq!(flag(" 1"), (Some(true), 0));
    assert_eq!(flag(" 0"), (Some(false), 0));
    for word in ["yes", "on", "true", "no", "off", "false", "01"] {
        assert_eq!(flag(&format!(" {word}")), (None, 1), "{word}");
    }
}

#[test]
fn of_a_repeated_property_the_first_accepted_value_counts() {
    let parsed = read("dir: one\n path /a\n path /b\n port x\n port 5\n map a\n map b\n");
    let one = &parsed.value.sections[0];
    assert_eq!(one.text("path"), Some("/a"));
    assert_eq!(one.number("port"), Some(5));
    assert_eq!(one.texts("map").collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [3, 4]);
}

#[test]
fn a_section_of_an_unknown_type_is_skipped() {
    let parsed = read("foo: one\n path /a\n my_password x\n\ngluster: two\n server a\n");
    assert_eq!(ids(&parsed), Vec::<&str>::new());
    assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [1, 5]);
    assert_eq!(parsed.value.sections[0].secrets()[0].line, 3);
    assert_eq!(ids(&parse("gluster: two\n server a\n", &TABLE, Release::Pve8)), ["two"]);
}

#[test]
fn a_section_without_a_required_property_is_lost_and_takes_its_predecessor_along() {
    let parsed = read("dir: one\n path /a\n\ndir: one\n disable\n");
    assert_eq!(ids(&parsed), Vec::<&str>::new());
    assert_eq!(parsed.value.lost().count(), 1);
    let parsed = read("dir: one\n path /a\n\nfoo: one\n path /b\n");
    assert_eq!(ids(&parsed), ["one"], "a skipped section replaces nothing");
}

#[test]
fn of_several_sections_with_one_id_the_last_counts() {
    let parsed = read("dir: one\n path /a\n\ndir: one\n path /b\n");
    assert_eq!(parsed.value.effective().next().unwrap().text("path"), Some("/b"));
    assert_eq!(parsed.value.effective().count(), 1);
}

#[test]
fn a_malformed_id_skips_the_section() {
    let parsed = read("dir: x\n path /a\n");
    assert_eq!(parsed.value.sections[0].fate, Fate::InvalidId);
}

#[test]
fn secrets_are_not_kept() {
    let parsed = read(
        "dir: one\n path /a\n password canary\n api_token canary\n bare_key\n encryption-fingerprint canary\n",
    );
    let names: Vec<_> = parsed.value.sections[0].secrets().into_iter().map(|secret| secret.name).collect();
    assert_eq!(names, ["password", "api_token"]);
    assert!(!format!("{parsed:?}").contains("canary"));
}

#[test]
fn a_secret_written_like_a_header_is_not_kept_as_an_id() {
    for header in
        ["password: canary", "api_password:canary", "encryption-key: canary", "token-value:  ca:nary"]
    {
        let parsed = read(&format!("dir: one\n path /a\n\n{header}\n username x\nfoo: two\n"));
        assert_eq!(parsed.value.lost().map(|section| section.id.as_str()).collect::<Vec<_>>(), ["line 4"]);
        assert!(!format!("{parsed:?}").contains("nary"), "{parsed:?}");
    }
}

#[test]
fn a_bare_id_is_a_header_where_types_are_left_out() {
    let table = Table { header: Header::Id("dir"), ..TABLE };
    let parsed = parse("gpu\n\tpath /a\n\nusb stick\n", &table, Release::Pve9);
    assert_eq!(ids(&parsed), ["gpu"]);
    assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [4]);
}

/// A naive model: blocks of lines between empty lines.
fn model(blocks: &[(u8, Option<u8>)]) -> (String, BTreeMap<String, bool>) {
    let mut text = String::new();
    let mut expected = BTreeMap::new();
    for (id, disable) in blocks {
        let id = format!("s{id}");
        writeln!(text, "dir: {id}\n\tpath /{id}").unwrap();
        if let Some(flag) = disable {
            writeln!(text, "\tdisable {flag}").unwrap();
        }
        text += "\n";
        expected.insert(id, *disable == Some(1));
    }
    (text, expected)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn parsing_never_panics(text in "[ \t\r\n#:a-c01]{0,80}", any in "\\PC{0,60}") {
        let _ = read(&text);
        let _ = read(&any);
    }

    #[test]
    fn well_formed_files_are_read_as_a_naive_reader_does(
        blocks in prop::collection::vec((0_u8..5, prop::option::of(0_u8..3)), 0..8),
    ) {
        let (text, expected) = model(&blocks);
        let parsed = read(&text);
        let found: BTreeMap<_, _> = parsed.value.effective()
            .map(|section| (section.id.clone(), section.flag("disable").unwrap_or(false))).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_line_that_changes_nothing_visible_has_an_issue_or_is_a_comment(
        at in 0_usize..8, line in "[ -~]{1,12}",
    ) {
        let clean = ["dir: one", " path /a", " port 5", "", "dir: two", " path /b", " disable", ""];
        let mut lines = clean.to_vec();
        lines.insert(at, &line);
        let (before, after) = (read(&clean.join("\n")), read(&lines.join("\n")));
        let kept = |parsed: &Parsed<Sections>| parsed.value.effective().map(|s| s.entries.len()).sum::<usize>();
        prop_assert!(kept(&after) >= kept(&before) || !after.issues.is_empty());
    }
}
