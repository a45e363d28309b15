use super::*;
use proptest::prelude::*;

use crate::formats::release::Release;
use crate::formats::user_cfg::{AclEntry, AclSubject, parse};

const USERS: &str = "user:a@pve:1:\nuser:b@pve:1:\ntoken:a@pve!all:0:0:\ntoken:a@pve!sep:0:1:\n\
                     token:root@pam!all:0:0:\ntoken:root@pam!sep:0:1:\n\
                     group:g:a@pve:\ngroup:h:a@pve,b@pve,ghost@pve:\n\
                     role:One:Sys.Audit:\nrole:Two:VM.Audit,Sys.Audit:\nrole:Empty::\n";

/// Privileges of `id` on `path` as `Name` or, without propagation, `Name-`, after [`USERS`] and these lines.
fn may(lines: &str, id: &str, path: &str) -> String {
    let cfg = parse(&format!("{USERS}{lines}"), Release::Pve9);
    assert_eq!(cfg.issues, []);
    let privileges = Effective::new(&cfg.value).privileges(id, path);
    let shown: Vec<_> =
        privileges.iter().map(|(name, flag)| format!("{name}{}", if *flag { "" } else { "-" })).collect();
    shown.join(" ")
}

#[test]
fn root_has_every_privilege_whatever_the_acl_says() {
    let cfg = parse("user:root@pam:0:\nacl:1:/:root@pam:NoAccess:\n", Release::Pve8).value;
    let privileges = Effective::new(&cfg).privileges("root@pam", "/vms/100");
    assert_eq!(privileges.len(), 42);
    assert!(privileges.values().all(|propagate| *propagate));
}

#[test]
fn a_deeper_level_replaces_and_never_adds() {
    let lines = "acl:1:/:a@pve:Administrator:\nacl:1:/vms:@g:One:\n";
    assert_eq!(may(lines, "a@pve", "/vms/100"), "Sys.Audit");
    assert_eq!(may(lines, "a@pve", "/nodes/n").split(' ').count(), 47);
}

#[test]
fn an_own_entry_beats_groups_on_its_level() {
    assert_eq!(may("acl:1:/:a@pve:One:\nacl:1:/:@g:Two:\n", "a@pve", "/vms"), "Sys.Audit");
}

#[test]
fn groups_of_one_level_are_merged() {
    assert_eq!(may("acl:1:/:@g:One:\nacl:0:/:@h:Two:\n", "a@pve", "/"), "Sys.Audit VM.Audit-");
}

#[test]
fn an_entry_without_propagation_counts_on_its_own_path_only() {
    let lines = "acl:0:/vms:a@pve:Two:\nacl:1:/vms:@g:One:\n";
    assert_eq!(may(lines, "a@pve", "/vms"), "Sys.Audit- VM.Audit-");
    assert_eq!(may(lines, "a@pve", "/vms/100"), "Sys.Audit");
    assert_eq!(may("acl:0:/:a@pve:Two:\n", "a@pve", "/vms"), "");
}

#[test]
fn no_access_wipes_the_other_roles_of_its_level() {
    assert_eq!(may("acl:1:/:a@pve:Two,NoAccess:\n", "a@pve", "/vms"), "");
    assert_eq!(
        may("acl:1:/:a@pve:NoAccess:\nacl:1:/vms:a@pve:Two:\n", "a@pve", "/vms"),
        "Sys.Audit VM.Audit"
    );
}

/// The lines of the ACL that give `id` the privilege on `path`, counted after [`USERS`].
fn lines_of(lines: &str, id: &str, path: &str, privilege: &str) -> Vec<u32> {
    let cfg = parse(&format!("{USERS}{lines}"), Release::Pve9).value;
    let before = u32::try_from(USERS.lines().count()).unwrap();
    let effective = Effective::new(&cfg);
    effective.grants(id, path, Some(privilege)).into_iter().map(|entry| entry.line - before).collect()
}

#[test]
fn the_lines_a_privilege_comes_from_are_named() {
    let acl = "acl:1:/:@g:Two:\nacl:1:/:@h:One:\nacl:1:/vms:a@pve:One:\nacl:0:/vms:@h:Two:\n";
    assert_eq!(lines_of(acl, "a@pve", "/nodes/n", "Sys.Audit"), [1, 2]);
    assert_eq!(lines_of(acl, "a@pve", "/nodes/n", "VM.Audit"), [1]);
    assert_eq!(lines_of(acl, "a@pve", "/vms/100", "Sys.Audit"), [3]);
    assert_eq!(lines_of(acl, "b@pve", "/vms", "Sys.Audit"), [4]);
    assert_eq!(lines_of(acl, "b@pve", "/vms/100", "Sys.Audit"), [2]);
    assert_eq!(lines_of(acl, "a@pve!all", "/nodes", "VM.Audit"), [1]);
    assert_eq!(lines_of(acl, "a@pve!sep", "/nodes", "VM.Audit"), [] as [u32; 0]);
    assert_eq!(lines_of(acl, "root@pam", "/", "VM.Audit"), [] as [u32; 0]);
}

#[test]
fn an_extended_no_access_grants() {
    assert_eq!(may("role:NoAccess:Sys.Modify:\nacl:1:/:a@pve:Two,NoAccess:\n", "a@pve", "/"), "Sys.Modify");
}

#[test]
fn an_empty_role_overrides_on_its_level_but_does_not_block_pools() {
    let lines = "pool:p::100:\nacl:1:/:a@pve:Two:\nacl:1:/vms:a@pve:Empty:\nacl:1:/pool/p:a@pve:One:\n";
    assert_eq!(may(lines, "a@pve", "/vms/101"), "");
    assert_eq!(may(lines, "a@pve", "/vms/100"), "Sys.Audit-");
}

#[test]
fn a_pool_grants_on_its_guests_and_storages_without_propagation() {
    let lines = "pool:p::100:local:\nacl:1:/pool/p:@h:Two:\n";
    assert_eq!(may(lines, "b@pve", "/vms/100"), "Sys.Audit- VM.Audit-");
    assert_eq!(may(lines, "b@pve", "/storage/local"), "Sys.Audit- VM.Audit-");
    assert_eq!(may(lines, "b@pve", "/vms"), "");
    assert_eq!(may(lines, "b@pve", "/pool/p"), "Sys.Audit VM.Audit");
}

#[test]
fn no_access_on_either_side_beats_a_pool() {
    let pool = "pool:p::100:\nacl:1:/pool/p:a@pve:Two:\nacl:1:/vms:a@pve:NoAccess:\n";
    assert_eq!(may(pool, "a@pve", "/vms/100"), "");
    let guest = "pool:p::100:\nacl:1:/pool/p:a@pve:NoAccess:\nacl:1:/vms:a@pve:Two:\n";
    assert_eq!(may(guest, "a@pve", "/vms/100"), "");
}

#[test]
fn a_storage_in_two_pools_gets_both_unless_one_says_no_access() {
    let pools = "pool:p:::local:\npool:q:::local:\n";
    let both = format!("{pools}acl:1:/pool/p:a@pve:One:\nacl:1:/pool/q:a@pve:Two:\n");
    assert_eq!(may(&both, "a@pve", "/storage/local"), "Sys.Audit- VM.Audit-");
    let none = format!("{pools}acl:1:/pool/p:a@pve:One:\nacl:1:/pool/q:a@pve:NoAccess:\n");
    assert_eq!(may(&none, "a@pve", "/storage/local"), "");
}

#[test]
fn a_nested_pool_inherits_through_propagation_only() {
    let pools = "pool:p/q::100:\n";
    assert_eq!(may(&format!("{pools}acl:1:/pool/p:a@pve:One:\n"), "a@pve", "/vms/100"), "Sys.Audit-");
    assert_eq!(may(&format!("{pools}acl:0:/pool/p:a@pve:One:\n"), "a@pve", "/vms/100"), "");
}

#[test]
fn a_token_without_separation_has_what_its_owner_has() {
    let lines = "acl:1:/:a@pve:Two:\nacl:1:/:a@pve!all:NoAccess:\n";
    assert_eq!(may(lines, "a@pve!all", "/vms"), "Sys.Audit VM.Audit");
    assert_eq!(may("", "root@pam!all", "/").split(' ').count(), 47);
}

#[test]
fn a_separated_token_has_what_both_it_and_its_owner_have() {
    assert_eq!(may("acl:1:/:a@pve:Two:\n", "a@pve!sep", "/"), "");
    assert_eq!(may("acl:1:/:a@pve:One:\nacl:1:/:a@pve!sep:Two:\n", "a@pve!sep", "/"), "Sys.Audit");
    assert_eq!(may("acl:1:/:a@pve:One:\nacl:0:/:a@pve!sep:Two:\n", "a@pve!sep", "/"), "Sys.Audit-");
    assert_eq!(may("acl:1:/:root@pam!sep:One:\n", "root@pam!sep", "/"), "Sys.Audit");
    assert_eq!(may("", "root@pam!sep", "/"), "");
}

#[test]
fn tokens_are_in_no_group_and_unknown_tokens_have_nothing() {
    assert_eq!(may("acl:1:/:a@pve,@g:Two:\n", "a@pve!sep", "/"), "");
    assert_eq!(may("acl:1:/:a@pve:Two:\n", "a@pve!none", "/"), "");
}

#[test]
fn a_user_without_a_line_already_has_what_acls_and_groups_give_him() {
    assert_eq!(may("acl:1:/:ghost@pve:One:\n", "ghost@pve", "/"), "Sys.Audit");
    assert_eq!(may("acl:1:/:@h:One:\n", "ghost@pve", "/"), "Sys.Audit");
    assert_eq!(may("acl:1:/:@h:One:\n", "not a user", "/"), "");
}

#[test]
fn a_group_without_a_line_has_no_members() {
    assert_eq!(may("acl:1:/:@gone:One:\n", "a@pve", "/"), "");
}

#[test]
fn a_disabled_user_keeps_his_computed_privileges() {
    assert_eq!(may("user:c@pve:0:1:\nacl:1:/:c@pve:One:\n", "c@pve", "/"), "Sys.Audit");
}

#[test]
fn the_roles_behind_the_privileges_can_be_asked_for() {
    let text = format!("{USERS}acl:1:/:@g:One:\nacl:0:/:@h:Two:\nacl:1:/:a@pve!sep:Empty:\n");
    let cfg = parse(&text, Release::Pve9).value;
    let effective = Effective::new(&cfg);
    assert_eq!(effective.roles("a@pve", "/"), Roles::from([("One", true), ("Two", false)]));
    assert_eq!(effective.roles("a@pve!sep", "/"), Roles::from([("Empty", true)]));
    assert!(effective.has("a@pve", "/vms", "Sys.Audit") && !effective.has("a@pve", "/vms", "VM.Audit"));
    assert_eq!(
        effective.ids(),
        ["a@pve", "a@pve!all", "a@pve!sep", "b@pve", "root@pam", "root@pam!all", "root@pam!sep"]
    );
}

#[test]
fn a_deeper_entry_of_a_group_beats_a_shallower_one_of_his_own() {
    let lines = "acl:1:/vms:a@pve:Two:\nacl:1:/vms/100:@g:One:\n";
    assert_eq!(may(lines, "a@pve", "/vms/100"), "Sys.Audit");
    assert_eq!(may(lines, "a@pve", "/vms/101"), "Sys.Audit VM.Audit");
}

#[test]
fn a_pool_counts_on_exactly_the_path_of_its_member() {
    let lines = "pool:p::100:local:\nacl:1:/pool/p:a@pve:One:\n";
    for path in ["/vms/100/x", "/vms/0100", "/storage/local/x", "/nodes/100", "/vms/101"] {
        assert_eq!(may(lines, "a@pve", path), "", "{path}");
    }
}

#[test]
fn a_role_held_already_keeps_its_propagation_where_a_pool_brings_it_too() {
    let lines = "pool:p::100:\nacl:1:/pool/p:a@pve:One:\nacl:1:/vms:a@pve:One:\n";
    assert_eq!(may(lines, "a@pve", "/vms/100"), "Sys.Audit");
}

#[test]
fn a_guest_of_a_nested_pool_is_no_member_of_the_outer_one() {
    let lines = "pool:p/q::100:\nacl:0:/pool/p:a@pve:Two:\nacl:1:/pool/p/q:a@pve:One:\n";
    assert_eq!(may(lines, "a@pve", "/vms/100"), "Sys.Audit-");
}

#[test]
fn a_token_has_the_roles_of_its_pools_as_a_user_has() {
    let lines = "pool:p::100:\nacl:1:/pool/p:a@pve!sep,@g:Two:\n";
    assert_eq!(may(lines, "a@pve!sep", "/vms/100"), "Sys.Audit- VM.Audit-");
}

#[test]
fn an_entry_on_a_dead_path_counts_there_and_below_and_nowhere_else() {
    let lines = "acl:1:/pools/x:a@pve:One:\n";
    assert_eq!(may(lines, "a@pve", "/pools/x/y"), "Sys.Audit");
    assert_eq!(may(lines, "a@pve", "/pool/x"), "");
}

/// The privileges of `id` on `path` whose propagation is decided by chance.
fn by_chance(lines: &str, id: &str, path: &str) -> String {
    let cfg = parse(&format!("{USERS}{lines}"), Release::Pve9).value;
    Effective::new(&cfg).ambiguous(id, path).into_iter().collect::<Vec<_>>().join(" ")
}

#[test]
fn propagation_is_ambiguous_where_two_groups_give_one_role_with_and_without_it() {
    let differ = "acl:1:/vms:@g:One:\nacl:0:/vms:@h:One:\n";
    assert_eq!(by_chance(differ, "a@pve", "/vms"), "Sys.Audit");
    assert_eq!(may(differ, "a@pve", "/vms"), "Sys.Audit");
    // Only one of the groups, only one flag, only one of them counts below, an entry of his own.
    assert_eq!(by_chance(differ, "b@pve", "/vms"), "");
    assert_eq!(by_chance("acl:1:/vms:@g,@h:One:\n", "a@pve", "/vms"), "");
    assert_eq!(by_chance(differ, "a@pve", "/vms/100"), "");
    assert_eq!(by_chance(&format!("{differ}acl:0:/vms:a@pve:One:\n"), "a@pve", "/vms"), "");
    assert_eq!(by_chance(differ, "root@pam", "/vms"), "");
}

#[test]
fn propagation_is_not_ambiguous_where_another_role_brings_it_for_certain() {
    let differ = "acl:1:/:@g:Two:\nacl:0:/:@h:Two:\n";
    assert_eq!(by_chance(differ, "a@pve", "/"), "Sys.Audit VM.Audit");
    assert_eq!(by_chance(&format!("{differ}acl:1:/:@h:One:\n"), "a@pve", "/"), "VM.Audit");
    assert_eq!(by_chance(&format!("{differ}acl:0:/:@h:One:\n"), "a@pve", "/"), "Sys.Audit VM.Audit");
}

#[test]
fn propagation_is_not_ambiguous_where_each_order_of_the_groups_brings_it_through_one_of_two_roles() {
    // g last: Two without, One with; h last: the other way round.
    let crossed = "acl:1:/:@g:One:\nacl:0:/:@g:Two:\nacl:0:/:@h:One:\nacl:1:/:@h:Two:\n";
    assert_eq!(by_chance(crossed, "a@pve", "/"), "VM.Audit");
}

#[test]
fn propagation_of_a_token_is_ambiguous_where_that_of_its_owner_is_and_its_own_does_not_forbid_it() {
    let differ = "acl:1:/:@g:Two:\nacl:0:/:@h:Two:\n";
    assert_eq!(by_chance(differ, "a@pve!all", "/"), "Sys.Audit VM.Audit");
    assert_eq!(by_chance(&format!("{differ}acl:1:/:a@pve!sep:One:\n"), "a@pve!sep", "/"), "Sys.Audit");
    assert_eq!(by_chance(&format!("{differ}acl:0:/:a@pve!sep:One:\n"), "a@pve!sep", "/"), "");
}

#[test]
fn propagation_that_no_access_wipes_is_not_ambiguous() {
    let differ = "acl:1:/vms/100:@g:Two:\nacl:0:/vms/100:@h:Two:\n";
    assert_eq!(by_chance(&format!("{differ}acl:1:/vms/100:@h:NoAccess:\n"), "a@pve", "/vms/100"), "");
    let pool = format!("pool:p::100:\n{differ}acl:1:/pool/p:a@pve:NoAccess:\n");
    assert_eq!(by_chance(&pool, "a@pve", "/vms/100"), "");
    // A pool adds without propagation, which settles nothing.
    let pool = format!("pool:p::100:\n{differ}acl:1:/pool/p:a@pve:One:\n");
    assert_eq!(by_chance(&pool, "a@pve", "/vms/100"), "Sys.Audit VM.Audit");
}

#[test]
fn propagation_of_an_extended_no_access_can_be_ambiguous() {
    let lines = "role:NoAccess:Sys.Audit:\nacl:1:/:@g:NoAccess,Two:\nacl:0:/:@h:NoAccess:\n";
    assert_eq!(by_chance(lines, "a@pve", "/"), "Sys.Audit");
    assert_eq!(may("acl:1:/:@g:NoAccess,Two:\n", "a@pve", "/"), "");
}

#[test]
fn a_very_deep_path_is_resolved() {
    let path = "/a".repeat(100_000);
    assert_eq!(may(&format!("acl:1:{path}:a@pve:One:\n"), "a@pve", &path), "Sys.Audit");
}

/// A second reading of the rules, straight from the list of entries and without any index.
mod naive {
    use super::*;

    fn levels(path: &str) -> Vec<String> {
        let mut levels = vec!["/".to_owned()];
        if path != "/" {
            let ends = path.char_indices().filter(|(at, c)| *c == '/' && *at > 0).map(|(at, _)| at);
            levels.extend(ends.chain([path.len()]).map(|end| path.get(..end).unwrap().to_owned()));
        }
        levels
    }

    fn usable(cfg: &UserCfg, level: &str, last: bool, subject: &AclSubject) -> Vec<(String, bool)> {
        let wanted =
            |entry: &&AclEntry| entry.path == level && entry.subject == *subject && (last || entry.propagate);
        cfg.acl.iter().filter(wanted).map(|entry| (entry.role.clone(), entry.propagate)).collect()
    }

    fn roles(cfg: &UserCfg, subject: &AclSubject, path: &str) -> Vec<(String, bool)> {
        let mut current = Vec::new();
        for level in levels(path) {
            let last = level == path;
            let mut here = usable(cfg, &level, last, subject);
            if let (AclSubject::User(id), true) = (subject, here.is_empty()) {
                let mine = cfg.groups.iter().filter(|(_, group)| group.members.contains(id));
                here = mine
                    .flat_map(|(name, _)| usable(cfg, &level, last, &AclSubject::Group(name.clone())))
                    .collect();
            }
            if !here.is_empty() {
                current = here;
            }
        }
        let wiped: Vec<_> = current.iter().filter(|(role, _)| role == "NoAccess").cloned().collect();
        if wiped.is_empty() { current } else { wiped }
    }

    fn with_pools(cfg: &UserCfg, subject: &AclSubject, path: &str) -> Vec<(String, bool)> {
        let mut own = roles(cfg, subject, path);
        let is_no_access = |roles: &[(String, bool)]| roles.iter().any(|(role, _)| role == "NoAccess");
        let member = |pool: &crate::formats::user_cfg::Pool| {
            pool.vms.iter().any(|vm| path == format!("/vms/{vm}"))
                || pool.storages.iter().any(|storage| path == format!("/storage/{storage}"))
        };
        let pools = cfg.pools.iter().filter(|(_, pool)| member(pool));
        let lent: Vec<_> =
            pools.flat_map(|(name, _)| roles(cfg, subject, &format!("/pool/{name}"))).collect();
        if is_no_access(&own) {
            return own;
        }
        if is_no_access(&lent) {
            return vec![("NoAccess".to_owned(), false)];
        }
        for (role, _) in lent {
            if own.iter().all(|(held, _)| *held != role) {
                own.push((role, false));
            }
        }
        own
    }

    fn privileges_of(cfg: &UserCfg, roles: Vec<(String, bool)>) -> BTreeMap<String, bool> {
        let mut all = BTreeMap::new();
        for (role, flag) in roles {
            for privilege in cfg.role_privileges(&role).unwrap_or_default() {
                let before = all.get(privilege).copied().unwrap_or(false);
                all.insert(privilege.to_owned(), before || flag);
            }
        }
        all
    }

    pub(super) fn effective(cfg: &UserCfg, id: &str, path: &str) -> BTreeMap<String, bool> {
        if id == "root@pam" {
            return privileges_of(cfg, vec![("Administrator".to_owned(), true)]);
        }
        let Some((user, token)) = id.split_once('!') else {
            return privileges_of(cfg, with_pools(cfg, &AclSubject::User(id.to_owned()), path));
        };
        let Some(entry) = cfg.users.get(user).and_then(|user| user.tokens.get(token)) else {
            return BTreeMap::new();
        };
        let owner = effective(cfg, user, path);
        if !entry.privsep {
            return owner;
        }
        let own = privileges_of(cfg, with_pools(cfg, &AclSubject::Token(id.to_owned()), path));
        if user == "root@pam" {
            return own;
        }
        own.into_iter()
            .filter(|(name, _)| owner.contains_key(name))
            .map(|(name, flag)| (name.clone(), flag && owner[&name]))
            .collect()
    }
}

const SUBJECTS: [&str; 8] =
    ["a@pve", "b@pve", "ghost@pve", "a@pve!sep", "root@pam!sep", "@g", "@h", "a@pve!all"];
const ROLES: [&str; 6] = ["One", "Two", "Empty", "NoAccess", "PVEAuditor", "PVEVMUser"];
const PATHS: [&str; 12] = [
    "/",
    "/vms",
    "/vms/100",
    "/vms/101",
    "/storage",
    "/storage/local",
    "/pool",
    "/pool/p",
    "/pool/p/q",
    "/pool/r",
    "/nodes",
    "/vms/100/x",
];

fn acl_line() -> impl Strategy<Value = String> {
    let pick = |from: &'static [&'static str]| prop::sample::select(from);
    (any::<bool>(), pick(&PATHS), pick(&SUBJECTS), pick(&ROLES))
        .prop_map(|(flag, path, subject, role)| format!("acl:{}:{path}:{subject}:{role}:\n", u8::from(flag)))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn agrees_with_a_second_reading_of_the_rules(
        lines in prop::collection::vec(acl_line(), 0..14),
        members in prop::collection::vec(any::<bool>(), 6),
    ) {
        let on = |at: usize, text: &'static str| if members[at] { text } else { "" };
        let pools = format!(
            "pool:p::{}:{}:\npool:p/q::{}:{}:\npool:r::{}:{}:\n",
            on(0, "100"), on(1, "local"), on(2, "101"), on(3, "local"), on(4, "102"), on(5, "local"),
        );
        let cfg = parse(&format!("{USERS}{pools}{}", lines.concat()), Release::Pve9).value;
        let effective = Effective::new(&cfg);
        for id in ["a@pve", "b@pve", "ghost@pve", "a@pve!sep", "a@pve!all", "root@pam", "root@pam!sep", "x@pve!no"] {
            for path in PATHS {
                let ours: BTreeMap<_, _> =
                    effective.privileges(id, path).into_iter().map(|(name, flag)| (name.to_owned(), flag)).collect();
                prop_assert_eq!(&ours, &naive::effective(&cfg, id, path), "{} on {}", id, path);
                // Every privilege an ACL gives can be traced to its lines, and no other.
                let traced = |name: &str| !effective.grants(id, path, Some(name)).is_empty();
                for name in ours.keys().filter(|_| id != "root@pam" && id != "root@pam!all") {
                    prop_assert!(traced(name), "{} of {} on {}", name, id, path);
                }
                if !id.contains('!') {
                    prop_assert_eq!(traced("VM.Audit") || id == "root@pam", ours.contains_key("VM.Audit"));
                }
            }
        }
    }
}
