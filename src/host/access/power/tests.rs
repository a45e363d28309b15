use super::*;
use crate::catalogue::schema::Severity::{Critical, High, Info, Low, Medium};
use crate::formats::domains_cfg;
use crate::formats::release::Release::{self, Pve7, Pve8, Pve9};
use crate::formats::user_cfg::names::ROOT;
use crate::formats::user_cfg::parse;

const USERS: &str = "user:a@pve:1:\nuser:b@pve:1:\nuser:c@pve:1:\ntoken:a@pve!all:0:0:\ntoken:a@pve!sep:0:1:\n\
                     token:root@pam!all:0:0:\ntoken:root@pam!sep:0:1:\ngroup:admins:a@pve:\ngroup:ops:b@pve:\n\
                     group:spare::\nrole:Perm:Permissions.Modify:\nrole:Sys:Sys.Modify:\nrole:Users:User.Modify:\n\
                     role:Make:Realm.AllocateUser:\nrole:Realm:Realm.Allocate:\nrole:Group:Group.Allocate:\n";

const REALMS: &str = "openid: sso\n\tissuer-url https://x\n\tclient-id y\n\nldap: dir\n\tserver1 x\n\tbase_dn dc=x\n\tuser_attr uid\n";

struct Read {
    powers: Powers,
}

fn read(lines: &str, release: Release) -> Read {
    let cfg = parse(&format!("{USERS}{lines}"), release);
    let realms = domains_cfg::parse(REALMS, release).value;
    let nodes = ["n1".to_owned(), "n2".to_owned()];
    let surroundings = Surroundings { nodes: Some(&nodes), realms: Some(&realms) };
    Read { powers: find(&cfg.value, surroundings) }
}

impl Read {
    /// The ids of the rules that lead to full power or to root.
    fn root(&self, id: &str) -> Vec<&'static str> {
        let power = self.powers.of(id).unwrap();
        assert_eq!(power.is_root_equivalent(), !power.root_ways().is_empty());
        power.root_ways().into_iter().map(|way| way.rule.id).collect()
    }

    /// The ids of all rules.
    fn all(&self, id: &str) -> Vec<&'static str> {
        self.powers.of(id).unwrap().ways().into_iter().map(|way| way.rule.id).collect()
    }

    fn chain(&self, id: &str) -> String {
        let power = self.powers.of(id).unwrap();
        self.powers.chain(power, power.ways()[0]).join(" → ")
    }

    fn administrators(&self) -> Vec<&str> {
        self.powers.administrators().map(|power| power.id.as_str()).collect()
    }
}

/// Who has power beside `root@pam` and his token.
fn others(lines: &str, release: Release) -> Vec<String> {
    let read = read(lines, release);
    let all = read.administrators();
    assert!(all.contains(&ROOT) && all.contains(&"root@pam!all"));
    all.into_iter().filter(|id| *id != ROOT && *id != "root@pam!all").map(str::to_owned).collect()
}

#[test]
fn root_and_his_token_without_separation_administer_and_nobody_else_by_default() {
    assert_eq!(others("", Pve9), [] as [&str; 0]);
    let found = read("", Pve9);
    assert_eq!(found.root(ROOT), ["root"]);
    let token = found.powers.of("root@pam!all").unwrap();
    assert_eq!(found.powers.why(token), "has every right of root@pam");
    assert_eq!(found.powers.rank("root@pam!sep"), Rank::Nothing);
    assert_eq!(found.powers.rank("nobody@pve"), Rank::Nothing);
}

#[test]
fn administrator_on_the_root_path_is_one_way_and_reaches_tokens_without_separation() {
    let found = read("acl:1:/:@admins:Administrator:\n", Pve9);
    assert_eq!(found.administrators(), ["a@pve", "a@pve!all", ROOT, "root@pam!all"]);
    assert_eq!(found.root("a@pve"), ["every-privilege"]);
    assert_eq!(
        found.powers.why(found.powers.of("a@pve").unwrap()),
        "has full power: every privilege on / (Administrator on / through the group admins)"
    );
    assert!(found.powers.of("a@pve!all").unwrap().through_owner);
}

#[test]
fn whoever_changes_permissions_users_or_roles_above_everybody_administers() {
    for (lines, rule) in [
        ("acl:0:/:b@pve:Perm:\n", "modifies-permissions"),
        ("acl:0:/access:b@pve:Perm:\n", "modifies-permissions-of-access"),
        ("acl:0:/access/groups:b@pve:Perm:\n", "modifies-permissions-of-groups"),
        ("acl:0:/access/groups:b@pve:Users:\n", "modifies-users"),
        ("acl:0:/access:b@pve:Sys:\n", "modifies-roles"),
    ] {
        let found = read(lines, Pve8);
        assert_eq!(found.root("b@pve"), [rule]);
        assert_eq!(found.powers.rank("b@pve"), Rank::Administrator);
    }
    assert_eq!(others("acl:0:/access:b@pve:Users:\n", Pve9), [] as [&str; 0]);
}

#[test]
fn user_administrators_and_pve_admins_take_a_token_of_root() {
    let found = read("acl:1:/access:b@pve:PVEUserAdmin:\nacl:1:/:c@pve:PVEAdmin:\n", Pve9);
    assert_eq!(
        found.chain("b@pve"),
        "user b@pve → User.Modify on /access/groups (PVEUserAdmin on /access) → can create a token of root@pam"
    );
    assert_eq!(found.root("c@pve"), ["modifies-users", "defines-storage-and-restores"]);
    let old = read("acl:1:/:c@pve:PVEAdmin:\n", Pve7);
    assert!(old.root("c@pve").starts_with(&["modifies-permissions"]));
}

#[test]
fn a_terraform_role_with_sys_modify_is_an_administrator() {
    let lines = "role:terraform:Sys.Modify,VM.Allocate:\nacl:1:/:b@pve:terraform:\n";
    let found = read(lines, Pve9);
    assert_eq!(found.root("b@pve"), ["modifies-roles", "modifies-node", "modifies-datacenter"]);
    assert_eq!(
        found.chain("b@pve"),
        "user b@pve → Sys.Modify on /access (terraform on /) → can add any privilege to his own role"
    );
}

#[test]
fn whoever_changes_a_group_with_somebody_powerful_in_it_acts_as_him_also_in_turns() {
    let lines = "acl:1:/:@admins:Administrator:\nacl:1:/access/groups/admins:@ops:Users:\nacl:1:/access/groups/ops:c@pve:Users:\n";
    let found = read(lines, Pve9);
    assert_eq!(found.root("b@pve"), ["modifies-an-administrator"]);
    assert_eq!(
        found.chain("c@pve"),
        "user c@pve → User.Modify on /access/groups/ops (Users on /access/groups/ops) → can create a token of b@pve → \
         User.Modify on /access/groups/admins (Users on /access/groups/admins through the group ops) → can create a \
         token of a@pve → every privilege on / (Administrator on / through the group admins) → has full power"
    );
}

#[test]
fn changing_the_permissions_of_a_group_is_changing_its_users() {
    let lines = "acl:1:/:@admins:Administrator:\nacl:1:/access/groups/admins:c@pve:Perm:\n";
    let found = read(lines, Pve9);
    assert_eq!(found.root("c@pve"), ["modifies-an-administrator"]);
    assert!(
        found
            .chain("c@pve")
            .contains("which he can give himself with Permissions.Modify on /access/groups/admins")
    );
}

#[test]
fn a_user_moves_himself_into_a_powerful_group_without_members_if_he_changes_both() {
    let power = "acl:1:/:@spare:Administrator:\nacl:1:/access/groups/spare:b@pve:Users:\n";
    assert_eq!(others(power, Pve9), [] as [&str; 0]);
    let both = format!("{power}acl:1:/access/groups/ops:b@pve:Users:\n");
    assert_eq!(read(&both, Pve9).root("b@pve"), ["joins-a-powerful-group"]);
    // His own entry on / would still beat that of the group.
    let blocked = format!("{both}acl:1:/:b@pve:PVEAuditor:\n");
    assert_eq!(others(&blocked, Pve9), [] as [&str; 0]);
}

#[test]
fn a_new_user_in_a_powerful_group_needs_the_realm_as_well() {
    let power = "acl:1:/:@spare:Administrator:\nacl:1:/access/groups/spare:b@pve:Users:\n";
    let found = read(&format!("{power}acl:1:/access/realm/pve:b@pve:Make:\n"), Pve9);
    assert_eq!(found.root("b@pve"), ["creates-a-member-of-a-powerful-group"]);
    let gone = read(&format!("{power}acl:1:/access/realm/gone:b@pve:Make:\n"), Pve9);
    assert_eq!(gone.root("b@pve"), [] as [&str; 0]);
}

#[test]
fn a_group_that_does_not_exist_but_has_power_is_created_by_whoever_may() {
    let lines = "acl:1:/:@later:Administrator:\nacl:1:/access/groups/later:b@pve:Users:\nacl:1:/access/realm:b@pve:Make:\n";
    assert_eq!(read(lines, Pve9).root("b@pve"), [] as [&str; 0]);
    let found = read(&format!("{lines}acl:0:/access/groups:b@pve:Group:\n"), Pve9);
    assert_eq!(found.root("b@pve"), ["creates-a-group-that-has-power"]);
    assert_eq!(found.powers.of_member("later").unwrap().rank, Rank::Administrator);
}

#[test]
fn a_user_who_does_not_exist_but_has_power_is_created_by_whoever_may() {
    let lines = "acl:1:/:ghost@pve:Administrator:\nacl:1:/access/realm/pve:b@pve:Make:\n";
    assert_eq!(others(lines, Pve9), ["ghost@pve"]);
    let found = read(&format!("{lines}acl:1:/access/groups/ops:b@pve:Users:\n"), Pve9);
    assert_eq!(found.root("b@pve"), ["creates-a-user-who-has-power"]);
}

#[test]
fn whoever_changes_realms_becomes_anybody_a_directory_or_provider_lets_in() {
    let lines = "acl:1:/access/realm:b@pve:Realm:\n";
    assert_eq!(read(lines, Pve9).powers.rank("b@pve"), Rank::Strong);
    let user = "user:x@dir:1:\nacl:1:/:x@dir:Administrator:\n";
    assert_eq!(read(&format!("{lines}{user}"), Pve9).root("b@pve"), ["points-a-realm-elsewhere"]);
    let local = "user:x@pve:1:\nacl:1:/:x@pve:Administrator:\n";
    assert_eq!(read(&format!("{lines}{local}"), Pve9).root("b@pve"), [] as [&str; 0]);
    let ghost = "acl:1:/:x@gone:Administrator:\n";
    assert_eq!(read(&format!("{lines}{ghost}"), Pve9).root("b@pve"), ["creates-a-realm-for-a-name"]);
    let claimed = "group:admins-new::\nacl:1:/:@admins-new:Administrator:\n";
    assert_eq!(read(&format!("{lines}{claimed}"), Pve9).root("b@pve"), ["claims-a-powerful-group"]);
    assert_eq!(read(&format!("{lines}{claimed}"), Pve7).root("b@pve"), [] as [&str; 0]);
}

#[test]
fn root_on_a_node_is_a_class_of_its_own() {
    let found = read("acl:1:/nodes/n2:b@pve:Sys:\nacl:1:/nodes/gone:c@pve:Sys:\n", Pve9);
    assert_eq!(found.root("b@pve"), ["modifies-node"]);
    assert_eq!(found.powers.rank("b@pve"), Rank::HostRoot);
    assert_eq!(found.powers.rank("c@pve"), Rank::User);
    let storage = "acl:1:/storage:b@pve:PVEDatastoreAdmin:\nacl:1:/pool/p:b@pve:PVEVMAdmin:\npool:p::100:\n";
    assert_eq!(read(storage, Pve9).root("b@pve"), ["defines-storage-and-restores"]);
    let one = "acl:1:/storage/s:b@pve:PVEDatastoreAdmin:\nacl:1:/vms:b@pve:PVEVMAdmin:\n";
    assert_eq!(read(one, Pve9).root("b@pve"), [] as [&str; 0]);
}

#[test]
fn mappings_of_folders_and_devices_reach_the_node() {
    let lines = "acl:1:/mapping:b@pve:PVEMappingAdmin:\nacl:1:/vms/100:b@pve:PVEVMAdmin:\n";
    assert_eq!(read(lines, Pve9).root("b@pve"), ["maps-folder", "maps-pci-device"]);
    // The disk and the power of different guests do not add up.
    let apart = "role:D:VM.Config.Disk:\nrole:P:VM.PowerMgmt:\nacl:1:/mapping/dir:b@pve:PVEMappingAdmin:\n\
                 acl:1:/vms/100:b@pve:D:\nacl:1:/vms/101:b@pve:P:\n";
    assert_eq!(read(apart, Pve9).root("b@pve"), [] as [&str; 0]);
    assert!(read(lines, Pve8).all("b@pve").contains(&"maps-usb-device"));
}

#[test]
fn the_permissions_of_storages_are_those_of_a_storage_administrator() {
    let lines = "acl:0:/storage:b@pve:Perm:\nacl:1:/vms:b@pve:PVEVMAdmin:\n";
    assert_eq!(read(lines, Pve9).root("b@pve"), ["defines-storage-and-restores"]);
}

#[test]
fn in_release_7_allocation_of_a_guest_or_storage_gives_any_role_there() {
    let lines = "acl:1:/pool/p:b@pve:PVEPoolAdmin:\npool:p::100:\n";
    assert!(read(lines, Pve7).all("b@pve").contains(&"gives-any-role-on-a-pool"));
    assert_eq!(read(lines, Pve7).powers.rank("b@pve"), Rank::Strong);
    assert_eq!(read(lines, Pve8).powers.rank("b@pve"), Rank::User);
}

#[test]
fn guests_are_controlled_directly_and_through_pools() {
    for lines in ["acl:1:/vms/100:b@pve:PVEVMUser:\n", "pool:p::100:\nacl:1:/pool/p:b@pve:PVEVMUser:\n"] {
        let found = read(lines, Pve9);
        assert_eq!(found.powers.rank("b@pve"), Rank::Guests);
        assert!(found.all("b@pve").contains(&"writes-guest-files"));
        assert!(!read(lines, Pve8).all("b@pve").contains(&"writes-guest-files"));
    }
    // Through a pool although /vms says otherwise.
    let over = "pool:p::100:\nacl:1:/:b@pve:PVEVMUser:\nacl:1:/vms:b@pve:PVEAuditor:\n";
    assert_eq!(read(over, Pve9).powers.rank("b@pve"), Rank::Guests);
    let wiped = "pool:p::100:\nacl:1:/pool/p:b@pve:PVEVMUser:\nacl:1:/vms:b@pve:NoAccess:\n";
    assert_ne!(read(wiped, Pve9).powers.rank("b@pve"), Rank::Guests);
}

#[test]
fn a_separated_token_has_the_power_that_it_and_its_owner_have() {
    let lines = "acl:1:/:a@pve!sep:Administrator:\n";
    assert_eq!(read(lines, Pve9).powers.rank("a@pve!sep"), Rank::Nothing);
    let both = read(&format!("{lines}acl:1:/access:a@pve:PVEUserAdmin:\n"), Pve9);
    assert_eq!(both.root("a@pve!sep"), ["modifies-users"]);
    let root = read("acl:1:/:root@pam!sep:PVEAuditor:\n", Pve9);
    assert_eq!(root.powers.rank("root@pam!sep"), Rank::Auditor);
}

#[test]
fn ranks_go_from_nothing_to_administrator_and_weigh_accordingly() {
    let rank = |lines: &str| read(lines, Pve9).powers.rank("b@pve");
    assert_eq!(rank(""), Rank::Nothing);
    assert_eq!(rank("acl:1:/:b@pve:NoAccess:\n"), Rank::Nothing);
    assert_eq!(rank("acl:1:/:b@pve:PVEAuditor:\n"), Rank::Auditor);
    assert_eq!(rank("acl:1:/storage/s:b@pve:PVEDatastoreUser:\n"), Rank::User);
    assert_eq!(rank("acl:1:/sdn:b@pve:PVESDNAdmin:\n"), Rank::Strong);
    let severities: Vec<_> = [Rank::Nothing, Rank::Auditor, Rank::Guests, Rank::Strong, Rank::HostRoot]
        .map(Rank::severity)
        .into_iter()
        .collect();
    assert_eq!(severities, [Info, Low, Medium, High, Critical]);
}

#[test]
fn every_rule_has_a_name_of_its_own_a_sentence_and_a_source() {
    let mut seen = BTreeSet::new();
    let mut last = "";
    for rule in rules::all() {
        assert!(seen.insert(rule.id) || rule.id == last, "{}", rule.id);
        last = rule.id;
        assert!(
            !rule.then.is_empty() && !rule.then.ends_with('.') && rule.source.contains(".pm"),
            "{}",
            rule.id
        );
        let known = |name: &&str| crate::formats::user_cfg::roles::is_privilege_of_some_release(name);
        assert!(rule.needs.iter().all(|need| need.all.iter().all(known)), "{}", rule.id);
    }
}

#[test]
fn an_entry_that_counts_on_the_groups_alone_leaves_each_group_to_those_above() {
    let lines = "acl:1:/:@admins:Administrator:\nacl:1:/access:b@pve:PVEUserAdmin:\n";
    for role in ["PVEAuditor", "NoAccess"] {
        let found = read(&format!("{lines}acl:0:/access/groups:b@pve:{role}:\n"), Pve9);
        assert_eq!(found.root("b@pve"), ["modifies-an-administrator"], "{role}");
        let gone = read(&format!("{lines}acl:1:/access/groups:b@pve:{role}:\n"), Pve9);
        assert_eq!(gone.root("b@pve"), [] as [&str; 0], "{role}");
    }
}

const MAPS: &str = "role:Map:Mapping.Modify,Mapping.Use:\nacl:1:/mapping/dir:b@pve:Map:\n";

#[test]
fn a_pool_is_judged_by_the_guests_that_could_be_created_in_it() {
    for pools in [
        "pool:lab:::\nacl:1:/pool/lab:b@pve:PVEVMAdmin:\n",
        "pool:aaa:::\npool:lab::100:\nacl:1:/pool:b@pve:PVEVMAdmin:\n",
        "pool:lab::100:\npool:zzz:::\nacl:1:/pool:b@pve:PVEVMAdmin:\n",
        "pool:a/b:::\nacl:1:/pool/a:b@pve:PVEVMAdmin:\n",
    ] {
        let found = read(&format!("{MAPS}{pools}"), Pve9);
        assert_eq!(found.root("b@pve"), ["maps-folder"], "{pools}");
    }
    let looks = "pool:lab:::\nacl:1:/pool/lab:b@pve:PVEVMUser:\n";
    assert_eq!(read(&format!("{MAPS}{looks}"), Pve9).root("b@pve"), [] as [&str; 0]);
}

#[test]
fn pools_within_pools_are_pools() {
    let lines = "pool:a/b:::\nacl:1:/storage:b@pve:PVEDatastoreAdmin:\nacl:1:/pool/a/b:b@pve:PVEVMAdmin:\n";
    assert_eq!(read(lines, Pve9).root("b@pve"), ["defines-storage-and-restores"]);
}

#[test]
fn permissions_of_all_pools_without_propagation_are_enough_for_one() {
    let lines = format!("{MAPS}pool:lab::100:\nrole:PM:Permissions.Modify:\nacl:0:/pool:b@pve:PM:\n");
    assert_eq!(read(&lines, Pve9).root("b@pve"), ["maps-folder"]);
}

#[test]
fn a_realm_that_is_gone_can_be_set_up_again() {
    let lines = "acl:1:/access/realm:b@pve:Realm:\nuser:x@gone:1:0::::::\nacl:1:/:x@gone:Administrator:\n";
    assert_eq!(read(lines, Pve9).root("b@pve"), ["points-a-realm-elsewhere"]);
}

#[test]
fn in_release_7_a_storage_may_come_from_a_pool() {
    let lines = "pool:lab:::local:\nacl:1:/pool/lab:b@pve:PVEDatastoreAdmin:\n";
    assert!(read(lines, Pve7).all("b@pve").contains(&"gives-any-role-on-a-storage"));
}

#[test]
fn rights_over_two_mappings_do_not_add_up() {
    let lines = "role:MM:Mapping.Modify:\nrole:MU:Mapping.Use:\nacl:1:/mapping/dir/aa:b@pve:MM:\n\
                 acl:1:/mapping/dir/bb:b@pve:MU:\nacl:1:/vms/100:b@pve:PVEVMAdmin:\n";
    assert_eq!(read(lines, Pve9).root("b@pve"), [] as [&str; 0]);
    let one = "role:Map:Mapping.Modify,Mapping.Use:\nacl:1:/mapping/dir/aa:b@pve:Map:\nacl:1:/vms/100:b@pve:PVEVMAdmin:\n";
    assert_eq!(read(one, Pve9).root("b@pve"), ["maps-folder"]);
}

#[test]
fn permissions_of_a_path_that_nothing_looks_at_are_none() {
    let lines = "role:PM:Permissions.Modify:\nacl:1:/foo/bar:b@pve:PM:\n";
    assert_eq!(read(lines, Pve9).all("b@pve"), [] as [&str; 0]);
}

#[test]
fn rights_below_an_entry_that_counts_on_its_own_path_alone_are_rights() {
    let lines = "acl:1:/storage:@ops:PVEDatastoreUser:\nacl:0:/storage:b@pve:NoAccess:\n";
    assert_eq!(read(lines, Pve9).powers.rank("b@pve"), Rank::User);
}

/// Files that made the search slow: many who may change many, and nobody of them powerful.
#[test]
fn many_candidates_and_members_are_looked_at_once() {
    let many = |prefix: &str| (0..2_000).map(|n| format!("{prefix}{n}@pve")).collect::<Vec<_>>();
    let users = |ids: &[String]| ids.iter().fold(String::new(), |text, id| text + "user:" + id + ":1:\n");
    let (all, others) = (many("u"), many("o"));
    let big = all.join(",");
    let moved = format!(
        "{}group:BIG:{big}:\nacl:1:/:@spare:Administrator:\nacl:1:/:{big}:NoAccess:\n\
         acl:1:/access/groups/spare:@BIG:PVEUserAdmin:\nacl:1:/access/groups/BIG:@BIG:PVEUserAdmin:\n",
        users(&all)
    );
    let watched = format!(
        "{}{}group:AD:{big}:\ngroup:OB:{}:\nacl:1:/:@AD:Administrator:\nacl:1:/access/groups/AD:@OB:PVEAuditor:\n",
        users(&all),
        users(&others),
        others.join(",")
    );
    assert_eq!(others_count(&moved), 0);
    assert_eq!(others_count(&watched), 2_000);
}

fn others_count(lines: &str) -> usize {
    read(lines, Pve9).administrators().len() - 2
}
