mod code_cases;
mod sentences;

use super::*;
use proptest::prelude::*;

use crate::formats::{Parsed, bytes};
use Release::{Pve7, Pve8, Pve9};

fn read(text: &str) -> Parsed<UserCfg> {
    parse(text, Pve9)
}

/// The value of a text without issues.
fn clean(text: &str) -> UserCfg {
    let parsed = read(text);
    assert_eq!(parsed.issues, []);
    parsed.value
}

/// The lines with issues.
fn issue_lines(parsed: &Parsed<UserCfg>) -> Vec<u32> {
    parsed.issues.iter().map(|issue| issue.line).collect()
}

/// The ACL as `path subject role propagate`, `?` marking what dangles.
fn acl(cfg: &UserCfg) -> Vec<String> {
    let line = |entry: &AclEntry| {
        let subject = match &entry.subject {
            AclSubject::User(id) | AclSubject::Token(id) => id.clone(),
            AclSubject::Group(name) => format!("@{name}"),
        };
        let mark = if entry.dangling { "?" } else { "" };
        format!("{} {subject}{mark} {} {}", entry.path, entry.role, u8::from(entry.propagate))
    };
    cfg.acl.iter().map(line).collect()
}

/// Line and code of every issue.
fn issue_codes(text: &str) -> Vec<(u32, &'static str)> {
    read(text).issues.iter().map(|issue| (issue.line, issue.code)).collect()
}

/// Line and code of every remark.
fn remark_codes(text: &str) -> Vec<(u32, &'static str)> {
    read(text).value.remarks.iter().map(|remark| (remark.line, remark.code)).collect()
}

#[test]
fn a_missing_file_has_root_and_nothing_else() {
    let cfg = clean("");
    assert_eq!(cfg.users.keys().collect::<Vec<_>>(), ["root@pam"]);
    let root = &cfg.users["root@pam"];
    assert!(root.enable && root.expire == 0 && root.line.is_none());
    assert!(cfg.groups.is_empty() && cfg.pools.is_empty() && cfg.roles.is_empty() && cfg.acl.is_empty());
}

#[test]
fn a_file_of_white_space_is_an_empty_file() {
    assert_eq!(clean(" \n\t\r\n\n"), clean(""));
}

#[test]
fn a_written_file_is_read_whole() {
    let cfg = clean(
        "user:alice@pve:1:0:Al:M%C3%BCller:a@example.com:x%3Ay:x:\ntoken:alice@pve!ci:1577836800:1:note:\n\n\
         group:admins:alice@pve:Cluster admins:\n\npool:prod:P:100,101:local:\n\nrole:Mon:Sys.Audit,VM.Audit:\n\n\
         acl:1:/:@admins:Administrator,Mon:\nacl:0:/vms/100:alice@pve,alice@pve!ci:NoAccess:\n",
    );
    let alice = &cfg.users["alice@pve"];
    assert!(alice.enable);
    assert_eq!(alice.last_name.as_deref(), Some("Müller"));
    assert_eq!(alice.email.as_deref(), Some("a@example.com"));
    assert_eq!(alice.comment.as_deref(), Some("x:y"));
    assert_eq!((alice.keys, alice.line), (Keys::Marker, Some(1)));
    let token = cfg.token("alice@pve!ci").unwrap();
    assert_eq!((token.expire, token.privsep, token.line), (1_577_836_800, true, 2));
    assert!(cfg.groups["admins"].members.contains("alice@pve"));
    assert!(alice.noted_groups.contains("admins"));
    assert_eq!(cfg.pools["prod"].vms, BTreeSet::from([100, 101]));
    assert_eq!(cfg.pools["prod"].storages, BTreeSet::from(["local".to_owned()]));
    assert_eq!(cfg.roles["Mon"].privileges, BTreeSet::from(["Sys.Audit", "VM.Audit"]));
    assert_eq!(
        acl(&cfg),
        [
            "/ @admins Administrator 1",
            "/ @admins Mon 1",
            "/vms/100 alice@pve NoAccess 0",
            "/vms/100 alice@pve!ci NoAccess 0"
        ]
    );
}

#[test]
fn there_are_no_comments_and_the_kind_is_case_sensitive() {
    let parsed = read("# user:a@pve:1:\nUser:a@pve:1:\n:\nuser :a@pve:1:\n");
    assert_eq!(issue_lines(&parsed), [1, 2, 3]);
    assert!(parsed.value.users.contains_key("a@pve"));
}

#[test]
fn white_space_around_lines_and_fields_does_not_matter() {
    let cfg = clean("\u{b} user : a@pve\t: 1 : 0 \u{c}: : : : c :\r\n");
    assert!(cfg.users["a@pve"].enable);
    assert_eq!(cfg.users["a@pve"].comment.as_deref(), Some("c"));
}

#[test]
fn a_user_line_without_the_enable_field_disables_the_user() {
    let cfg = clean("user:a@pve:\nuser:b@pve:0:\nuser:c@pve:00:\nuser:d@pve:no:\n");
    let enabled: Vec<_> =
        cfg.users.iter().filter(|(_, user)| user.enable).map(|(id, _)| id.as_str()).collect();
    assert_eq!(enabled, ["c@pve", "d@pve", "root@pam"]);
}

#[test]
fn a_line_for_root_may_disable_him() {
    let root = &clean("user:root@pam:0:\n").users["root@pam"];
    assert!(!root.enable);
    assert_eq!(root.line, Some(1));
}

#[test]
fn an_expiry_that_is_no_number_drops_the_line() {
    let parsed = read("user:a@pve:1:soon:\nuser:b@pve:1:007:\nuser:c@pve:1:-1:\ntoken:b@pve!tt:x:1:\n");
    assert_eq!(issue_lines(&parsed), [1, 3, 4]);
    assert_eq!(parsed.value.users["b@pve"].expire, 7);
    assert!(!parsed.value.users.contains_key("a@pve"));
    assert!(parsed.value.token("b@pve!tt").is_none());
}

#[test]
fn text_that_is_0_is_unset_but_an_email_is_kept_and_not_decoded() {
    let cfg = clean("user:a@pve:1:0:0:0:0:0:0:\nuser:b@pve:1:0:::a%40b:::\n");
    let user = &cfg.users["a@pve"];
    assert_eq!((&user.first_name, &user.last_name, &user.comment), (&None, &None, &None));
    assert_eq!(user.email.as_deref(), Some("0"));
    assert_eq!(user.keys, Keys::None);
    assert_eq!(cfg.users["b@pve"].email.as_deref(), Some("a%40b"));
}

#[test]
fn key_material_is_told_from_the_marker_and_never_kept() {
    let cfg = clean(
        "user:a@pve:1::::::JBSWY3DPEHPK3PXP:\nuser:b@pve:1::::::x!oath:\nuser:c@pve:1::::::v2-0xCANARY:\nuser:d@pve:1::::::xy:\n",
    );
    let keys = |id: &str| cfg.users[id].keys;
    assert_eq!(keys("a@pve"), Keys::LegacySecret);
    assert_eq!(keys("b@pve"), Keys::Marker);
    assert_eq!(keys("c@pve"), Keys::LegacySecret);
    assert_eq!(keys("d@pve"), Keys::LegacySecret);
    let everything = format!("{cfg:?}");
    assert!(!everything.contains("JBSWY3DP") && !everything.contains("CANARY"));
}

#[test]
fn no_issue_quotes_key_material() {
    let text = "usr:a@pve:1::::::CANARY:\nuser:CANARY:1:\nCANARY\nuser:a@pve:1:CANARY:\nuser:a@pve:1:::::::CANARY:\n";
    let parsed = read(text);
    assert_eq!(issue_lines(&parsed), [1, 2, 3, 4, 5]);
    assert!(!format!("{parsed:?}").contains("CANARY"));
}

#[test]
fn a_raw_colon_in_a_comment_shifts_the_fields_and_surplus_is_reported() {
    let parsed = read("user:a@pve:1:0::::see https://x:x:\ngroup:g::a:b:\n");
    assert_eq!(issue_lines(&parsed), [1, 2]);
    assert_eq!(parsed.value.users["a@pve"].comment.as_deref(), Some("see https"));
    assert_eq!(parsed.value.users["a@pve"].keys, Keys::LegacySecret);
}

#[test]
fn a_second_line_for_a_user_replaces_him_and_his_tokens() {
    let parsed = read(
        "user:a@pve:1:\ntoken:a@pve!one::1:\ngroup:g:a@pve:\nacl:1:/:a@pve!one:PVEAdmin:\nuser:a@pve:0:\ntoken:a@pve!two:\n",
    );
    assert_eq!(issue_lines(&parsed), [5]);
    let user = &parsed.value.users["a@pve"];
    assert!(!user.enable && user.noted_groups.is_empty());
    assert_eq!(user.tokens.keys().collect::<Vec<_>>(), ["two"]);
    assert!(parsed.value.groups["g"].members.contains("a@pve"));
    assert_eq!(acl(&parsed.value), ["/ a@pve!one? PVEAdmin 1"]);
}

#[test]
fn a_line_for_root_drops_his_tokens_above_it() {
    let parsed = read("token:root@pam!tt:\nuser:root@pam:1:\n");
    assert_eq!(issue_lines(&parsed), [2]);
    assert!(parsed.value.users["root@pam"].tokens.is_empty());
}

#[test]
fn a_token_without_the_privsep_field_has_every_right_of_its_owner() {
    let cfg = clean("token:root@pam!aa:\ntoken:root@pam!bb:0:1:\ntoken:root@pam!cc:0:0:full:\n");
    let privsep = |id: &str| cfg.token(id).unwrap().privsep;
    assert!(!privsep("root@pam!aa") && privsep("root@pam!bb") && !privsep("root@pam!cc"));
}

#[test]
fn a_repeated_token_line_overwrites_all_but_the_comment() {
    let cfg = clean("token:root@pam!aa:5:1:why:\ntoken:root@pam!aa:::\n");
    let token = cfg.token("root@pam!aa").unwrap();
    assert_eq!((token.expire, token.privsep, token.line), (0, false, 2));
    assert_eq!(token.comment.as_deref(), Some("why"));
}

#[test]
fn a_token_above_its_user_is_dropped() {
    let parsed = read("token:a@pve!one:\nuser:a@pve:1:\ntoken:a@pve!x:\ntoken:a@pve:\n");
    assert_eq!(issue_lines(&parsed), [1, 3, 4]);
    assert!(parsed.value.users["a@pve"].tokens.is_empty());
}

#[test]
fn an_unknown_member_stays_in_the_group() {
    let parsed = read("group:g:late@pve ghost@pve,,bad;root@pam:\nuser:late@pve:1:\n");
    assert_eq!(issue_lines(&parsed), [1]);
    let cfg = parsed.value;
    let members: Vec<_> = cfg.groups["g"].members.iter().collect();
    assert_eq!(members, ["ghost@pve", "late@pve", "root@pam"]);
    assert!(cfg.users["late@pve"].noted_groups.is_empty());
    assert!(cfg.users["root@pam"].noted_groups.contains("g"));
    assert_eq!(cfg.groups_of("ghost@pve").collect::<Vec<_>>(), ["g"]);
}

#[test]
fn repeated_group_lines_union_their_members() {
    let cfg = clean("group:g:root@pam:one:\nuser:a@pve:1:\ngroup:g:a@pve:0:\n");
    assert_eq!(cfg.groups["g"].members.len(), 2);
    assert_eq!(cfg.groups["g"].comment.as_deref(), Some("one"));
    assert_eq!(cfg.groups["g"].line, 1);
}

#[test]
fn names_with_other_characters_drop_the_line() {
    let parsed = read("group:a b:\ngroup:0:\nrole:r/s:\npool:p!:\ngroup::\nrole:\npool\n");
    assert_eq!(issue_lines(&parsed), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(parsed.value, clean(""));
}

#[test]
fn a_privilege_the_release_does_not_know_is_kept_as_a_name() {
    let text = "role:Old:VM.Monitor,VM.Audit,VM.Moniter:\n";
    let role = &parse(text, Pve8).value.roles["Old"];
    assert_eq!(role.privileges, BTreeSet::from(["VM.Audit", "VM.Monitor"]));
    let role = &clean(text).roles["Old"];
    assert_eq!(role.privileges, BTreeSet::from(["VM.Audit"]));
    assert_eq!(role.unknown, BTreeSet::from(["VM.Moniter".to_owned(), "VM.Monitor".to_owned()]));
    assert!(!role.builtin);
}

#[test]
fn a_role_line_extends_a_built_in_role() {
    let cfg = clean("role:PVEAuditor:Permissions.Modify:\nrole:NoAccess:Sys.Modify:\nrole:Empty::\n");
    assert!(cfg.roles["PVEAuditor"].builtin);
    let auditor = cfg.role_privileges("PVEAuditor").unwrap();
    assert!(auditor.contains("Permissions.Modify") && auditor.contains("VM.Audit"));
    assert_eq!(cfg.role_privileges("NoAccess"), Some(BTreeSet::from(["Sys.Modify"])));
    assert_eq!(cfg.role_privileges("Empty"), Some(BTreeSet::new()));
    assert_eq!(cfg.role_privileges("PVEAdmin"), roles::builtin("PVEAdmin", Pve9));
    assert_eq!(cfg.role_privileges("None"), None);
}

#[test]
fn whether_a_role_is_built_in_depends_on_the_release() {
    let text = "role:PVEMappingUser:Sys.Audit:\n";
    assert!(!parse(text, Pve7).value.roles["PVEMappingUser"].builtin);
    assert!(parse(text, Pve8).value.roles["PVEMappingUser"].builtin);
}

#[test]
fn an_acl_sees_only_roles_and_tokens_above_it() {
    let parsed = read(
        "acl:1:/:root@pam:Late,PVEAdmin:\nrole:Late:\nuser:a@pve:1:\nacl:1:/:a@pve!tt:Late:\ntoken:a@pve!tt:\nacl:1:/x:a@pve!tt:Late:\n",
    );
    assert_eq!(issue_lines(&parsed), [1, 4]);
    assert_eq!(acl(&parsed.value), ["/ root@pam PVEAdmin 1", "/x a@pve!tt Late 1"]);
}

#[test]
fn an_acl_for_somebody_who_does_not_exist_is_kept_as_dangling() {
    let cfg = clean("acl:1:/:@gone,ghost@pve,late@pve,@late:PVEAdmin:\nuser:late@pve:\ngroup:late:\n");
    assert_eq!(
        acl(&cfg),
        ["/ ghost@pve? PVEAdmin 1", "/ late@pve PVEAdmin 1", "/ @gone? PVEAdmin 1", "/ @late PVEAdmin 1"]
    );
}

#[test]
fn the_last_of_equal_entries_says_whether_to_propagate() {
    let cfg = clean("acl:1:/vms:root@pam:PVEAdmin:\nacl::vms/:root@pam:PVEAdmin:\n");
    assert_eq!(acl(&cfg), ["/vms root@pam PVEAdmin 0"]);
    assert_eq!(cfg.acl[0].line, 2);
}

#[test]
fn an_entry_on_a_path_ending_in_0_takes_effect_one_level_up() {
    let cfg = clean("acl:1:/0:root@pam:PVEAdmin:\nacl:1:/vms/0:root@pam:PVEAdmin:\n");
    assert_eq!(acl(&cfg), ["/ root@pam PVEAdmin 1", "/vms root@pam PVEAdmin 1"]);
}

#[test]
fn bad_paths_and_subjects_are_dropped() {
    let parsed = read(
        "acl:1::root@pam:PVEAdmin:\nacl:1:0:root@pam:PVEAdmin:\nacl:1:/a b:root@pam:PVEAdmin:\nacl:1:/:@0,joe,@a/b:PVEAdmin:\nacl:1:/:root@pam:0,a/b:\n",
    );
    assert_eq!(issue_lines(&parsed), [1, 2, 3, 4, 4, 4, 5, 5]);
    assert!(parsed.value.acl.is_empty());
}

#[test]
fn what_follows_an_at_sign_may_be_a_user() {
    assert_eq!(acl(&clean("acl:1:/:@joe@pve:PVEAdmin:\n")), ["/ @joe@pve? PVEAdmin 1"]);
    let cfg = clean("acl:1:/:@joe@pve:PVEAdmin:\n");
    assert_eq!(cfg.acl[0].subject, AclSubject::User("@joe@pve".to_owned()));
}

#[test]
fn nested_pools_bring_their_ancestors_from_release_8() {
    let text = "pool:a/b/c:deep:0101,x:local,1bad:\npool:a:top:\n";
    let parsed = parse(text, Pve8);
    assert_eq!(issue_lines(&parsed), [1, 1]);
    let pools = &parsed.value.pools;
    assert_eq!(pools.keys().collect::<Vec<_>>(), ["a", "a/b", "a/b/c"]);
    assert_eq!(pools["a/b/c"].parent.as_deref(), Some("a/b"));
    assert_eq!(pools["a"].children, BTreeSet::from(["a/b".to_owned()]));
    assert_eq!(pools["a/b/c"].vms, BTreeSet::from([101]));
    assert!(pools["a"].vms.is_empty() && pools["a/b"].vms.is_empty());
    assert_eq!(pools["a"].comment.as_deref(), Some("top"));

    let old = parse(text, Pve7);
    assert_eq!(issue_lines(&old), [1]);
    assert_eq!(old.value.pools.keys().collect::<Vec<_>>(), ["a"]);
}

#[test]
fn a_guest_is_in_the_first_pool_only_but_a_storage_in_several() {
    let parsed = read("pool:a::100,100:local:\npool:b::100,101:local:\n");
    assert_eq!(issue_lines(&parsed), [1, 2]);
    assert_eq!(parsed.value.pools["a"].vms, BTreeSet::from([100]));
    assert_eq!(parsed.value.pools["b"].vms, BTreeSet::from([101]));
    assert_eq!(parsed.value.pools["a"].storages, parsed.value.pools["b"].storages);
}

#[test]
fn letters_that_new_releases_split_at_are_an_issue_from_release_9() {
    let text = "user:à@pve:1:\ngroup:g:à@pve:\n";
    assert_eq!(parse(text, Pve8).issues, []);
    assert_eq!(issue_lines(&read(text)), [2]);
}

#[test]
fn the_size_of_the_acl_is_bounded() {
    use std::fmt::Write as _;
    let mut text = String::new();
    let mut all = String::new();
    for number in 0..500 {
        writeln!(text, "role:r{number}:").unwrap();
        write!(all, "r{number},").unwrap();
    }
    let subjects = all.replace('r', "@r");
    writeln!(text, "acl:1:/:{subjects}:{all}:").unwrap();
    let parsed = read(&text);
    assert_eq!(parsed.value.acl.len(), ACL_LIMIT);
    assert_eq!(issue_lines(&parsed), [501]);
}

/// Pieces of lines, chosen so that random texts get somewhere.
fn line() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "user", "token", "group", "role", "acl", "pool", "a@pve", "a@pve!tt", "@g", "g", "r", "PVEAdmin",
        "VM.Audit", "/", "/vms/100", "100", "0", "1", "", " ", ",", "%c3", "x", "\0", "à", "a/b",
    ]);
    prop::collection::vec(piece, 0..9).prop_map(|pieces| pieces.join(":"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_text_is_read(text in "\\PC{0,200}") {
        for release in Release::ALL {
            let parsed = parse(&text, release);
            prop_assert!(parsed.value.users.contains_key("root@pam"));
        }
    }

    #[test]
    fn what_is_read_is_sound(lines in prop::collection::vec(line(), 0..30)) {
        let text = lines.join("\n");
        let count = u32::try_from(lines.len()).unwrap();
        for release in [Pve7, Pve9] {
            let parsed = parse(&text, release);
            prop_assert!(parsed.issues.is_sorted_by_key(|issue| issue.line));
            prop_assert!(parsed.issues.iter().all(|issue| (1..=count).contains(&issue.line)));
            let cfg = &parsed.value;
            prop_assert!(cfg.users.keys().all(|id| names::is_user_id(id)));
            prop_assert!(cfg.acl.iter().all(|entry| cfg.role_privileges(&entry.role).is_some()));
            prop_assert!(cfg.acl.iter().all(|entry| acl_path::normalise(&entry.path).as_ref() == Some(&entry.path)));
            let vms: Vec<_> = cfg.pools.values().flat_map(|pool| &pool.vms).collect();
            prop_assert_eq!(vms.iter().collect::<BTreeSet<_>>().len(), vms.len());
            for pool in cfg.pools.values() {
                prop_assert!(pool.parent.iter().chain(&pool.children).all(|name| cfg.pools.contains_key(name)));
            }
        }
    }

    #[test]
    fn white_space_at_the_ends_of_fields_changes_nothing(lines in prop::collection::vec(line(), 0..20)) {
        let text = lines.join("\n");
        let loose = text.replace(':', "\t: ").replace('\n', " \r\n  ");
        prop_assert_eq!(read(&text), read(&loose));
    }
}

#[test]
fn what_may_be_the_secret_of_a_token_is_not_quoted() {
    let secret = "0b5c1d2e-1111-4222-8333-444455556666";
    for line in [
        format!("token:root@pam!ci={secret}:0:0::"),
        format!("group:ab:root@pam!ci={secret}::"),
        format!("acl:1:/:root@pam!ci={secret}:Administrator:"),
        format!("acl:1:/:root@pam:ci={secret}:"),
    ] {
        let parsed = parse(&line, Pve9);
        assert_eq!(parsed.issues.len(), 1, "{line}");
        assert!(!parsed.issues.iter().any(|issue| issue.what.contains(secret)), "{line}");
    }
}
