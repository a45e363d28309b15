use proptest::prelude::*;

use super::*;

const PVE9: Context<'_> = Context { version: AptVersion::V3_0, native: "amd64" };
const PVE8: Context<'_> = Context { version: AptVersion::V2_6, native: "amd64" };
const PVE7: Context<'_> = Context { version: AptVersion::V2_2, native: "amd64" };

fn list(text: &str) -> SourceFile {
    parse(text, Kind::OneLine, &PVE8).value
}

fn stanzas(text: &str) -> SourceFile {
    parse(text, Kind::Deb822, &PVE8).value
}

fn shown(file: &SourceFile) -> Vec<String> {
    let show = |entry: &Entry| {
        let component = entry.component.as_deref().unwrap_or("-");
        format!("{} {} {} {component}", entry.source_type.word(), entry.uri, entry.suite)
    };
    file.entries.iter().map(show).collect()
}

fn unreadable(files: &[&str], kind: Kind) {
    for text in files {
        let parsed = parse(text, kind, &PVE8);
        let refused = parsed.value.unreadable.unwrap_or_else(|| panic!("apt refuses {text:?}"));
        assert!(parsed.issues.contains(&refused), "{text:?}");
    }
}

#[test]
fn a_line_makes_one_entry_per_component() {
    let file =
        list("deb http://deb.debian.org/debian bookworm main contrib # both\n\ndeb-src http://h/x y z\n");
    assert_eq!(
        shown(&file),
        [
            "deb http://deb.debian.org/debian/ bookworm main",
            "deb http://deb.debian.org/debian/ bookworm contrib",
            "deb-src http://h/x/ y z"
        ]
    );
    assert_eq!(file.entries.iter().map(|entry| entry.line).collect::<Vec<_>>(), [1, 1, 3]);
}

#[test]
fn a_stanza_makes_every_combination() {
    let file = stanzas(
        "Types: deb deb-src\nURIs: http://a\n http://b\n# no\n\thttp://c\nSuites: s\nComponents: m n\n",
    );
    assert_eq!(file.entries.len(), 12);
    assert_eq!(shown(&file)[0], "deb http://a/ s m");
    assert_eq!(shown(&file)[11], "deb-src http://c/ s n");
}

#[test]
fn options_stand_in_brackets_separated_by_blanks() {
    let file = list("deb [ arch=amd64,i386 trusted=yes signed-by=/k.gpg check-date=no zzz=1 ] http://h s c");
    let entry = &file.entries[0];
    assert_eq!(entry.architectures.set, Some(vec!["amd64".to_owned(), "i386".to_owned()]));
    assert_eq!((entry.trusted, entry.check_date, entry.check_valid_until), (Some(true), Some(false), None));
    assert_eq!(entry.signed_by, Some(SignedBy::Keys(vec![Key::File("/k.gpg".to_owned())])));
}

#[test]
fn architectures_are_added_and_removed() {
    let file =
        list("deb [arch+=i386,amd64 arch-=amd64] http://h s c\ndeb [arch=i386 arch-=all] http://h s c");
    let configured = ["amd64".to_owned()];
    assert_eq!(file.entries[0].architectures.resolve(&configured), ["i386", "all"]);
    assert_eq!(file.entries[1].architectures.resolve(&configured), ["i386"]);
    let file = stanzas("Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nArchitectures-Add: i386\n");
    assert_eq!(file.entries[0].architectures.resolve(&configured), ["amd64", "i386", "all"]);
}

#[test]
fn a_comment_starts_anywhere_outside_brackets_even_glued_to_a_word() {
    assert_eq!(shown(&list("deb http://h s a#b c")), ["deb http://h/ s a"]);
    assert_eq!(shown(&list("deb [x=#y] http://h s a")), ["deb http://h/ s a"]);
}

#[test]
fn in_a_stanza_a_hash_inside_a_line_is_text() {
    let file = stanzas("Types: deb\nURIs: http://h\nSuites: s\nComponents: main # x\n");
    assert_eq!(shown(&file), ["deb http://h/ s main", "deb http://h/ s #", "deb http://h/ s x"]);
}

#[test]
fn words_may_be_quoted_and_escaped() {
    assert_eq!(shown(&list("deb \"http://h/a b\" s%41 \"c\"d")), ["deb http://h/a b/ sA cd"]);
}

#[test]
fn the_architecture_is_substituted_in_uris_exact_paths_and_deb822_suites_only() {
    let file = list("deb http://h/$(ARCH) s$(ARCH) c\ndeb http://h s$(ARCH)/");
    assert_eq!(shown(&file), ["deb http://h/amd64/ s$(ARCH) c", "deb http://h/ samd64/ -"]);
    let file = stanzas("Types: deb\nURIs: http://h\nSuites: s$(ARCH)\nComponents: c\n");
    assert_eq!(shown(&file), ["deb http://h/ samd64 c"]);
}

#[test]
fn bad_lines_make_the_complete_list_unreadable() {
    let bad = [
        "deb",
        "deb http://h",
        "deb http://h s",
        "deb /srv s c",
        "deb http://h s/ c",
        "rpm http://h s c",
        "DEB http://h s c",
        "deb [arch] http://h s c",
        "deb [a= ] http://h s c",
        "deb [=a ] http://h s c",
        "deb [arch=amd64 http://h s c",
        "deb [arch=amd64]http://h s c",
        "deb [signed-by=relative.gpg] http://h s c",
        "deb \"http://h s c",
        "deb\rhttp://h s c",
        "\u{feff}deb http://h s c",
    ];
    unreadable(&bad, Kind::OneLine);
}

#[test]
fn reading_stops_at_the_error() {
    let parsed = parse("deb http://h s c\nx\ndeb http://i s c\n", Kind::OneLine, &PVE8);
    assert_eq!(shown(&parsed.value), ["deb http://h/ s c"]);
    assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [2]);
}

#[test]
fn bad_stanzas_make_the_complete_list_unreadable() {
    let bad = [
        "URIs: http://h\nSuites: s\nComponents: c\n",
        "Types: deb\nSuites: s\nComponents: c\n",
        "Types: deb\nURIs: http://h\nComponents: c\n",
        "Types: deb\nURIs: http://h\nSuites: s\n",
        "Types: deb\nURIs: /srv\nSuites: s\nComponents: c\n",
        "Types: deb\nURIs: http://h\nSuites: s/\nComponents: c\n",
        "Types: deb rpm\nURIs: http://h\nSuites: s\nComponents: c\n",
        "Types: rpm\nEnabled: no\n",
        "Enabled: no\n",
        "\u{feff}Types: deb\nURIs: http://h\nSuites: s\nComponents: c\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\n\nstray text\n",
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nSigned-By: x\n",
    ];
    unreadable(&bad, Kind::Deb822);
}

#[test]
fn only_a_clear_no_disables_a_stanza() {
    let with = |value: &str| {
        stanzas(&format!("Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nEnabled: {value}\n")).entries
            [0]
        .enabled
    };
    for no in ["no", "false", "off", "without", "disable", "0", "NO", "\n no"] {
        assert!(!with(no), "{no:?}");
    }
    for yes in ["", "yes", "maybe", "nope", "2", "\n\tno"] {
        assert!(with(yes), "{yes:?}");
    }
}

#[test]
fn a_disabled_stanza_is_not_checked_further() {
    let file = stanzas("Types: deb\nEnabled: no\nSuites: s\n");
    assert_eq!(file, SourceFile::default());
}

#[test]
fn the_same_field_twice_takes_the_last_and_is_an_issue() {
    let parsed =
        parse("Types: deb\nURIs: http://h\nSuites: s\nsuites: t\nComponents: c\n", Kind::Deb822, &PVE8);
    assert_eq!(shown(&parsed.value), ["deb http://h/ t c"]);
    assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [4]);
}

#[test]
fn a_line_of_blanks_loses_the_first_repository() {
    let text = "Types: deb\nURIs: http://a\nSuites: s\nComponents: c\n \nTypes: deb\nURIs: http://b\nSuites: s\nComponents: c\n";
    let parsed = parse(text, Kind::Deb822, &PVE8);
    assert_eq!(shown(&parsed.value), ["deb http://b/ s c"]);
    assert!(!parsed.issues.is_empty());
}

#[test]
fn deb822_has_no_fields_for_allow_insecure_and_its_kin() {
    let file = stanzas(
        "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nAllow-Insecure: yes\nInRelease-Path: x\nTrusted:\n",
    );
    let entry = &file.entries[0];
    assert_eq!((entry.allow_insecure, entry.inrelease_path.as_deref()), (None, None));
    assert_eq!(entry.trusted, Some(false), "an empty switch is a no");
}

#[test]
fn a_key_block_in_the_file_needs_a_newer_apt_than_debian_11() {
    let text = "Types: deb\nURIs: http://h\nSuites: s\nComponents: c\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n -----END PGP PUBLIC KEY BLOCK-----\n";
    assert!(parse(text, Kind::Deb822, &PVE7).value.unreadable.is_some());
    let file = parse(text, Kind::Deb822, &PVE8).value;
    let Some(SignedBy::Inline(digest)) = &file.entries[0].signed_by else { panic!("{file:?}") };
    let spaced = text.replace(" abc", "    abc  ");
    assert_eq!(
        stanzas(&spaced).entries[0].signed_by,
        Some(SignedBy::Inline(digest.clone())),
        "blanks do not count"
    );
    assert!(!format!("{file:?}").contains("abc"));
}

#[test]
fn fingerprints_are_forty_digits_with_an_optional_bang() {
    let print = "0123456789abcdef0123456789ABCDEF01234567";
    let keys = |value: &str| list(&format!("deb [signed-by={value}] http://h s c")).entries.first().cloned();
    let upper = print.to_ascii_uppercase();
    let expected = vec![Key::Fingerprint(upper.clone()), Key::Fingerprint(upper + "!")];
    assert_eq!(keys(&format!("{print},{print}!")).unwrap().signed_by, Some(SignedBy::Keys(expected)));
    assert!(keys("0123").is_none());
}

#[test]
fn a_password_in_a_uri_is_a_fact_and_nothing_more() {
    let texts = ["deb https://user:SECRET@h/x s c", "deb [a=b] https://SECRET@h/x s c"];
    for text in texts {
        for context in [PVE7, PVE8, PVE9] {
            let parsed = parse(text, Kind::OneLine, &context);
            assert!(parsed.value.entries[0].credentials);
            assert_eq!(parsed.value.entries[0].uri, "https://h/x/");
            assert!(!format!("{parsed:?}").contains("SECRET"));
        }
    }
}

#[test]
fn a_snapshot_is_a_doubt_since_apt_3() {
    let text = "deb [snapshot=20260101T000000Z] http://h s c";
    assert!(parse(text, Kind::OneLine, &PVE8).issues.is_empty());
    assert_eq!(parse(text, Kind::OneLine, &PVE9).issues.len(), 1);
    assert!(parse("deb [snapshot=no] http://h s c", Kind::OneLine, &PVE9).issues.is_empty());
}

#[test]
fn sources_of_one_archive_must_not_contradict() {
    let found = |first: &str, second: &str, version| {
        let file = list(&format!("deb {first} http://h s c\ndeb {second} https://u:p@h/ s d"));
        assert_eq!(file.entries.len(), 2);
        conflict(&file.entries, version).map(|found| found.option)
    };
    let old = AptVersion::V2_6;
    assert_eq!(found("", "", old), None);
    assert_eq!(found("[trusted=yes]", "", old), Some("trusted"));
    assert_eq!(found("", "[check-date=no]", old), Some("check-date"));
    assert_eq!(found("[allow-weak=yes]", "", old), Some("allow-weak"));
    assert_eq!(found("[allow-weak=no]", "", old), None);
    assert_eq!(found("", "[signed-by=/k]", old), None, "taken over");
    assert_eq!(found("[signed-by=/k]", "", old), Some("signed-by"));
    assert_eq!(found("[signed-by=/k]", "", AptVersion::V3_0), None);
    assert_eq!(found("[signed-by=/k]", "[signed-by=/l]", AptVersion::V3_0), Some("signed-by"));
    assert_eq!(found("", "[valid-until-max=5]", old), None);
    assert_eq!(found("[valid-until-max=5]", "", old), Some("valid-until-max"));
}

#[test]
fn a_stanza_that_would_make_billions_of_entries_is_cut_with_an_issue() {
    let many = |word: &str| [" ", word].concat().repeat(400);
    let text =
        format!("Types: deb\nURIs:{}\nSuites:{}\nComponents:{}\n", many("http://h"), many("s"), many("c"));
    let parsed = parse(&text, Kind::Deb822, &PVE9);
    assert!(parsed.value.unreadable.is_none());
    assert_eq!(parsed.issues.len(), 1);
    assert!(parsed.value.entries.len() < 100_000);
}

#[test]
fn list_files_are_named_after_the_entry() {
    let file = list("deb https://enterprise.proxmox.com/debian/pve bookworm pve-enterprise");
    assert_eq!(
        file.entries[0].list_file("pve-enterprise/binary-amd64/Packages"),
        "enterprise.proxmox.com_debian_pve_dists_bookworm_pve-enterprise_binary-amd64_Packages"
    );
}

#[test]
fn names_decide_the_format() {
    assert_eq!(is_source_file("debian.sources"), Some(Kind::Deb822));
    assert_eq!(is_source_file("pve-enterprise.list"), Some(Kind::OneLine));
    assert_eq!(is_source_file("a:b.list"), Some(Kind::OneLine));
    assert_eq!(is_source_file("pve-enterprise.list.save"), None);
    assert_eq!(is_source_file(".hidden.list"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn never_panics(text in "(deb |[ \\[\\]=\"#%/:a\n\r\t]){0,30}|(Types: deb\n|URIs: a:b\n|Suites: [a/ ]{0,3}\n|[ \nA:#]){0,12}|\\PC{0,30}") {
        for kind in [Kind::OneLine, Kind::Deb822] {
            for context in [PVE7, PVE8, PVE9] {
                let parsed = parse(&text, kind, &context);
                let _ = conflict(&parsed.value.entries, context.version);
            }
        }
    }
}
