use super::*;
use crate::formats::release::Release::{self, Pve7, Pve8, Pve9};
use crate::formats::user_cfg::parse;
use proptest::prelude::*;

fn cfg(lines: &str, release: Release) -> UserCfg {
    let users = "user:a@pve:1:\nuser:b@pve:1:\ntoken:a@pve!all:0:0:\ntoken:a@pve!sep:0:1:\ntoken:root@pam!all:0:0:\n\
                 token:root@pam!sep:0:1:\ngroup:admins:a@pve:\nrole:Perm:Permissions.Modify:\nrole:Sys:Sys.Modify:\n";
    let parsed = parse(&format!("{users}{lines}"), release);
    assert_eq!(parsed.issues, []);
    parsed.value
}

/// Everybody but `root@pam` and his token, with the ids of the rules.
fn others(lines: &str, release: Release) -> Vec<(String, Vec<&'static str>)> {
    let found = find(&cfg(lines, release));
    assert!(found.contains_key(ROOT) && found.contains_key("root@pam!all"));
    let mut others = Vec::new();
    for (id, one) in found.into_iter().filter(|(id, _)| id != ROOT && id != "root@pam!all") {
        others.push((id, one.reasons.iter().map(|reason| reason.rule.id).collect()));
    }
    others
}

fn one(id: &str, rules: &[&'static str]) -> (String, Vec<&'static str>) {
    (id.to_owned(), rules.to_vec())
}

#[test]
fn root_and_his_token_without_separation_administer_and_nobody_else_by_default() {
    assert_eq!(others("", Pve9), []);
    let found = find(&cfg("", Pve9));
    assert_eq!(found[ROOT].reasons[0].rule, &IS_ROOT);
    assert_eq!(found["root@pam!all"].why(), "has every right of root@pam");
    assert!(found[ROOT].why().starts_with("is root@pam"));
}

#[test]
fn administrator_on_the_root_path_is_one_reason_and_reaches_tokens_without_separation() {
    let lines = "acl:1:/:@admins:Administrator:\n";
    assert_eq!(
        others(lines, Pve9),
        [one("a@pve", &["every-privilege"]), one("a@pve!all", &["every-privilege"])]
    );
    let found = find(&cfg(lines, Pve9));
    assert_eq!(found["a@pve"].why(), "has every privilege on / as Administrator through the group admins");
    assert_eq!(found["a@pve"].grants()[0].line, 10);
    assert!(found["a@pve!all"].through_owner);
}

#[test]
fn without_propagation_the_root_path_alone_is_enough() {
    assert_eq!(others("acl:0:/:b@pve:Administrator:\n", Pve9), [one("b@pve", &["every-privilege"])]);
}

#[test]
fn a_deeper_level_that_takes_the_privileges_away_does_not_help_on_the_root_path() {
    let lines = "acl:1:/:b@pve:Administrator:\nacl:1:/access:b@pve:NoAccess:\n";
    assert_eq!(others(lines, Pve9), [one("b@pve", &["every-privilege"])]);
}

#[test]
fn whoever_modifies_permissions_administers() {
    assert_eq!(
        others("acl:1:/:b@pve:Perm:\n", Pve9),
        [one(
            "b@pve",
            &["modifies-permissions", "modifies-permissions-of-access", "modifies-permissions-of-groups"]
        )]
    );
    let groups = "acl:1:/access/groups:b@pve:Perm:\n";
    assert_eq!(others(groups, Pve9), [one("b@pve", &["modifies-permissions-of-groups"])]);
    assert_eq!(others("acl:0:/:b@pve:Perm:\n", Pve9), [one("b@pve", &["modifies-permissions"])]);
    assert_eq!(
        others("acl:0:/access:b@pve:Perm:\n", Pve9),
        [one("b@pve", &["modifies-permissions-of-access"])]
    );
    assert_eq!(others("acl:1:/vms:b@pve:Perm:\n", Pve9), []);
}

#[test]
fn a_user_administrator_of_all_groups_administers() {
    for path in ["/access", "/access/groups"] {
        let lines = format!("acl:1:{path}:b@pve:PVEUserAdmin:\n");
        assert_eq!(others(&lines, Pve8), [one("b@pve", &["modifies-users"])], "{path}");
    }
    for lines in ["acl:0:/access:b@pve:PVEUserAdmin:\n", "acl:1:/access/groups/g:b@pve:PVEUserAdmin:\n"] {
        assert_eq!(others(lines, Pve8), [], "{lines}");
    }
}

#[test]
fn pve_admin_on_the_root_path_administers_in_every_release() {
    let lines = "acl:1:/:b@pve:PVEAdmin:\n";
    assert_eq!(
        others(lines, Pve7),
        [one(
            "b@pve",
            &[
                "modifies-permissions",
                "modifies-permissions-of-access",
                "modifies-permissions-of-groups",
                "modifies-users"
            ]
        )]
    );
    assert_eq!(others(lines, Pve9), [one("b@pve", &["modifies-users"])]);
}

#[test]
fn several_ways_to_full_power_are_counted() {
    let found = find(&cfg("acl:1:/:b@pve:PVEAdmin:\n", Pve7));
    assert_eq!(
        found["b@pve"].why(),
        "may give any role to anybody on / (Permissions.Modify) as PVEAdmin by an ACL of his own, and has 3 more ways \
         to full power"
    );
    assert_eq!(found["b@pve"].grants().len(), 1);
}

#[test]
fn whoever_may_change_an_administrator_administers_and_so_on() {
    let lines = "user:c@pve:1:\ngroup:others:b@pve:\nacl:1:/:a@pve:Administrator:\n\
                 acl:1:/access/groups/admins:b@pve:PVEUserAdmin:\nacl:1:/access/groups/others:c@pve:PVEUserAdmin:\n";
    let found = find(&cfg(lines, Pve9));
    assert_eq!(
        found["b@pve"].why(),
        "may make a token of a@pve, an administrator (User.Modify), as PVEUserAdmin by an ACL of his own"
    );
    assert_eq!(found["c@pve"].reasons[0].over.as_deref(), Some("b@pve"));
    assert_eq!(others("acl:1:/access/groups/admins:b@pve:PVEUserAdmin:\n", Pve9), []);
    let root = "group:top:root@pam:\nacl:1:/access/groups/top:b@pve:PVEUserAdmin:\n";
    assert_eq!(others(root, Pve9), [one("b@pve", &["modifies-an-administrator"])]);
}

#[test]
fn whoever_modifies_roles_administers() {
    assert_eq!(others("acl:1:/:b@pve:Sys:\n", Pve9), [one("b@pve", &["modifies-roles"])]);
    assert_eq!(others("acl:0:/:b@pve:Sys:\n", Pve9), []);
    assert_eq!(others("acl:1:/nodes:b@pve:Sys:\n", Pve9), []);
}

#[test]
fn a_separated_token_administers_only_with_an_acl_of_its_own_and_its_owners_rights() {
    assert_eq!(others("acl:1:/:a@pve!sep:Administrator:\n", Pve9), []);
    let lines = "acl:1:/:a@pve!sep,a@pve:Administrator:\n";
    assert_eq!(others(lines, Pve9).len(), 3);
    assert_eq!(
        others("acl:1:/:root@pam!sep:Administrator:\n", Pve9),
        [one("root@pam!sep", &["every-privilege"])]
    );
    let found = find(&cfg(lines, Pve9));
    assert_eq!(found["a@pve!sep"].why(), "has every privilege on / as Administrator by an ACL of its own");
}

#[test]
fn the_power_of_one_entry_is_that_of_the_strongest_rule() {
    let power = |line: &str| {
        let cfg = cfg(line, Pve9);
        power_of(&cfg, &cfg.acl[0]).map(|rule| rule.id)
    };
    assert_eq!(power("acl:1:/:@gone:Administrator:\n"), Some("every-privilege"));
    assert_eq!(power("acl:1:/:@gone:Sys:\n"), Some("modifies-roles"));
    assert_eq!(power("acl:0:/:@gone:Sys:\n"), None);
    assert_eq!(power("acl:1:/access:@gone:PVEUserAdmin:\n"), Some("modifies-users"));
    assert_eq!(power("acl:1:/acc:@gone:PVEUserAdmin:\n"), None);
    assert_eq!(power("acl:1:/vms:@gone:Administrator:\n"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn an_entry_for_a_lone_subject_is_as_powerful_as_its_holder(
        propagate in any::<bool>(),
        path in prop::sample::select(vec!["/", "/access", "/access/groups", "/access/groups/g", "/vms"]),
        role in prop::sample::select(vec!["Administrator", "PVEAdmin", "PVEUserAdmin", "Perm", "Sys", "PVEAuditor", "NoAccess"]),
        release in prop::sample::select(Release::ALL.to_vec()),
    ) {
        let cfg = cfg(&format!("acl:{}:{path}:b@pve:{role}:\n", u8::from(propagate)), release);
        let holder = of(&cfg, &Effective::new(&cfg), "b@pve");
        let rule = holder.map(|holder| holder.reasons[0].rule.id);
        prop_assert_eq!(power_of(&cfg, &cfg.acl[0]).map(|rule| rule.id), rule);
    }
}
