//! One rule of the file each: bytes, fields, lists, order, what is kept and what is dropped.

use super::*;

#[test]
fn every_byte_of_a_list_counts_where_new_packages_split_inside_letters() {
    let by = |splits_letters| {
        let text =
            "role:R:VM.Audit:\nuser:à@pve:1:\ngroup:admins:root@pam:\nacl:1:/:joe\u{a0}@admins,à@pve:R:\n";
        parse_by(text, Rules { splits_letters, ..Rules::of(Pve9) })
    };
    let whole = ["/ joe\u{a0}@admins? R 1", "/ à@pve R 1"];
    assert_eq!(
        (acl(&by(Some(false)).value), by(Some(false)).issues),
        (whole.map(str::to_owned).to_vec(), vec![])
    );
    // The tail of an id reads as a group.
    assert_eq!(acl(&by(Some(true)).value), ["/ @admins R 1", "/ @pve? R 1"]);
    let unknown = by(None);
    assert_eq!(acl(&unknown.value), whole);
    assert!(unknown.issues.iter().any(|issue| issue.code == codes::SPLIT_LETTER));
}

#[test]
fn pools_do_not_nest_before_8_0_7() {
    let early = Rules { nested_pools: false, ..Rules::of(Pve8) };
    let parsed = parse_by("pool:a/b::100:\npool:c::101:\n", early);
    assert_eq!(
        parsed.issues.iter().map(|issue| (issue.line, issue.code)).collect::<Vec<_>>(),
        [(1, codes::INVALID_POOL)]
    );
    assert_eq!(parsed.value.pools.keys().collect::<Vec<_>>(), ["c"]);
}

#[test]
fn users_whose_names_differ_in_a_byte_that_is_no_utf_8_are_two() {
    let text =
        bytes::text(b"user:j\xf6rg@pve:1:\nuser:j\xfcrg@pve:1:::::caf\xe9:\nacl:1:/:j\xf6rg@pve:PVEAdmin:\n");
    let parsed = read(&text);
    assert_eq!(parsed.issues, []);
    assert_eq!(parsed.value.users.len(), 3);
    let entry = &parsed.value.acl[0];
    assert_eq!(entry.subject, AclSubject::User(bytes::text(b"j\xf6rg@pve").into_owned()));
    assert!(!entry.dangling);
    let other = &parsed.value.users[&*bytes::text(b"j\xfcrg@pve")];
    assert_eq!(other.comment.as_deref(), Some("caf\u{fffd}"));
}

#[test]
fn a_line_ends_at_lf_only_and_the_last_needs_none() {
    let cfg = clean("user:a@pve:1:\r\nuser:b@pve:1:");
    assert!(cfg.users.contains_key("a@pve") && cfg.users.contains_key("b@pve"));
    // A lone CR is white space inside the line: `user` is its expiry.
    assert_eq!(issue_codes("user:a@pve:1:\ruser:b@pve:1:\n"), [(1, codes::INVALID_EXPIRY)]);
}

#[test]
fn white_space_beyond_ascii_is_part_of_a_field() {
    let cfg = clean("user:\u{2003}a@pve:1:\nuser:b@pve:\u{2003}0:\n");
    assert!(cfg.users.contains_key("\u{2003}a@pve"));
    assert!(cfg.users["b@pve"].enable, "what is not exactly 0 is true");
}

#[test]
fn trailing_empty_fields_vanish_and_missing_ones_are_as_empty() {
    assert_eq!(clean("group:g:::::::\n").groups, clean("group:g\n").groups);
    assert_eq!(clean("user:a@pve:1\n").users, clean("user:a@pve:1:0:::::::::::\n").users);
}

#[test]
fn comments_of_users_tokens_groups_and_pools_are_decoded() {
    let cfg = clean(
        "user:a@pve:1:0:%C3%84:%41b::100%25 %zz:\ntoken:a@pve!tt:0:1:a%3Ab:\ngroup:g::c%25:\npool:p:d%3Ae:\n",
    );
    let user = &cfg.users["a@pve"];
    assert_eq!((user.first_name.as_deref(), user.last_name.as_deref()), (Some("Ä"), Some("Ab")));
    assert_eq!(user.comment.as_deref(), Some("100% %zz"));
    assert_eq!(user.tokens["tt"].comment.as_deref(), Some("a:b"));
    assert_eq!(cfg.groups["g"].comment.as_deref(), Some("c%"));
    assert_eq!(cfg.pools["p"].comment.as_deref(), Some("d:e"));
}

#[test]
fn every_flag_but_nothing_and_0_is_true() {
    for (flag, truth) in
        [("", false), ("0", false), ("00", true), ("0.0", true), ("no", true), ("false", true), ("-1", true)]
    {
        let cfg = clean(&format!(
            "user:a@pve:{flag}:\ntoken:root@pam!tt:0:{flag}:\ngroup:g:\nacl:{flag}:/:@g:PVEAdmin:\n"
        ));
        assert_eq!(cfg.users["a@pve"].enable, truth, "{flag}");
        assert_eq!(cfg.token("root@pam!tt").unwrap().privsep, truth, "{flag}");
        assert_eq!(cfg.acl[0].propagate, truth, "{flag}");
    }
}

#[test]
fn an_acl_is_the_product_of_its_subjects_and_roles() {
    let cfg = clean("user:a@pve:1:\ngroup:g:\nacl:1:/vms:a@pve;@g:PVEAdmin PVEAuditor:\n");
    assert_eq!(
        acl(&cfg),
        ["/vms a@pve PVEAdmin 1", "/vms a@pve PVEAuditor 1", "/vms @g PVEAdmin 1", "/vms @g PVEAuditor 1"]
    );
}

#[test]
fn one_bad_item_of_a_list_drops_no_other() {
    let parsed = read(
        "group:g:joe,root@pam:\npool:p::x,100:1,local:\nrole:R:VM.Foo,VM.Audit:\nacl:1:/:joe,@g:Gone,R:\n",
    );
    assert_eq!(issue_lines(&parsed), [1, 2, 2, 4, 4]);
    let cfg = parsed.value;
    assert!(cfg.groups["g"].members.contains("root@pam"));
    assert_eq!((cfg.pools["p"].vms.len(), cfg.pools["p"].storages.len()), (1, 1));
    assert_eq!(cfg.roles["R"].privileges, BTreeSet::from(["VM.Audit"]));
    assert_eq!(acl(&cfg), ["/ @g R 1"]);
}

#[test]
fn pools_groups_and_users_may_stand_below_the_acl() {
    let cfg = clean("acl:1:/pool/p:@g,a@pve:PVEAdmin:\nuser:a@pve:1:\ngroup:g:a@pve:\npool:p::100:\n");
    assert!(cfg.acl.iter().all(|entry| !entry.dangling));
    assert_eq!(cfg.groups_of("a@pve").collect::<Vec<_>>(), ["g"]);
}

#[test]
fn an_acl_on_a_path_the_api_does_not_know_is_kept() {
    assert_eq!(acl(&clean("group:g:\nacl:1:/pools/x:@g:PVEAdmin:\n")), ["/pools/x @g PVEAdmin 1"]);
    assert_eq!(remark_codes("group:g:\nacl:1:/sdn/vnets/v:@g:PVEAdmin:\n"), [(2, codes::DEAD_PATH)]);
    let by_7 = parse("group:g:\nacl:1:/sdn/vnets/v:@g:PVEAdmin:\n", Pve7).value;
    assert_eq!(by_7.remarks, []);
}

#[test]
fn a_pool_with_a_slash_needs_three_parts_at_most_and_none_empty() {
    for bad in ["a/b/c/d", "a//b", "/a", "a/"] {
        assert_eq!(issue_codes(&format!("pool:{bad}::100:")), [(1, codes::INVALID_POOL)], "{bad}");
    }
}

#[test]
fn a_guest_id_in_a_pool_has_no_lower_bound() {
    assert_eq!(clean("pool:p::0,7,00100:\n").pools["p"].vms, BTreeSet::from([0, 7, 100]));
}

#[test]
fn a_custom_role_may_carry_the_prefix_of_built_in_ones() {
    let cfg = clean("role:PVECustom:Sys.Modify:\nacl:1:/:root@pam:PVECustom:\n");
    assert!(!cfg.roles["PVECustom"].builtin);
    assert_eq!(acl(&cfg), ["/ root@pam PVECustom 1"]);
}

#[test]
fn an_empty_role_line_for_a_built_in_role_takes_nothing_away() {
    let cfg = clean("role:PVEAuditor::\n");
    assert_eq!(cfg.role_privileges("PVEAuditor"), roles::builtin("PVEAuditor", Pve9));
}
