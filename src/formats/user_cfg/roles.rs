//! Privileges and built-in roles of each release.
//!
//! Follows `create_roles` in pve-access-control `src/PVE/AccessControl.pm` (7.4.3, 8.2.3, 9.1.1): every
//! privilege belongs to a category and a tier, and the `PVE*` roles are derived from those.

use std::collections::BTreeSet;

use crate::formats::release::Release;

/// The built-in role without privileges, which wipes every other role of its path.
pub const NO_ACCESS: &str = "NoAccess";
/// The built-in role with every privilege of the release.
pub const ADMINISTRATOR: &str = "Administrator";

/// What a privilege is about; upstream's word, as it stands in the names of the derived roles.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Category {
    Vm,
    Sys,
    Datastore,
    Sdn,
    User,
    Pool,
    Mapping,
    /// Permissions.Modify from 8.0 on: in no derived role.
    Ungrouped,
}

/// Who gets a privilege: each tier is contained in the roles of the tiers above it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tier {
    /// In `PVE<Category>User`, `PVE<Category>Admin`, `PVEAdmin` and `PVEAuditor`.
    Audit,
    /// In `PVE<Category>User`, `PVE<Category>Admin` and `PVEAdmin`.
    User,
    /// In `PVE<Category>Admin` and `PVEAdmin`.
    Admin,
    /// In `Administrator` only.
    Root,
}

use Category::{Datastore, Mapping, Pool, Sdn, Sys, Ungrouped, User, Vm};
use Release::{Pve7, Pve8, Pve9};
use Tier::{Admin, Audit, Root};

/// One privilege: name, category, tier, first and last release that know it.
struct Row(&'static str, Category, Tier, Release, Release);

/// Every privilege of every release.
const ROWS: &[Row] = &[
    Row("Datastore.Allocate", Datastore, Admin, Pve7, Pve9),
    Row("Datastore.AllocateSpace", Datastore, Tier::User, Pve7, Pve9),
    Row("Datastore.AllocateTemplate", Datastore, Admin, Pve7, Pve9),
    Row("Datastore.Audit", Datastore, Audit, Pve7, Pve9),
    Row("Group.Allocate", User, Admin, Pve7, Pve9),
    Row("Mapping.Audit", Mapping, Audit, Pve8, Pve9),
    Row("Mapping.Modify", Mapping, Admin, Pve8, Pve9),
    Row("Mapping.Use", Mapping, Tier::User, Pve8, Pve9),
    // Release 7 hands it out with PVESysAdmin and PVEAdmin.
    Row("Permissions.Modify", Sys, Admin, Pve7, Pve7),
    Row("Permissions.Modify", Ungrouped, Root, Pve8, Pve9),
    Row("Pool.Allocate", Pool, Admin, Pve7, Pve9),
    Row("Pool.Audit", Pool, Audit, Pve7, Pve9),
    Row("Realm.Allocate", User, Root, Pve7, Pve9),
    Row("Realm.AllocateUser", User, Admin, Pve7, Pve9),
    Row("SDN.Allocate", Sdn, Admin, Pve7, Pve9),
    Row("SDN.Audit", Sdn, Audit, Pve7, Pve9),
    Row("SDN.Use", Sdn, Tier::User, Pve7, Pve9),
    Row("Sys.AccessNetwork", Sys, Root, Pve8, Pve9),
    Row("Sys.Audit", Sys, Audit, Pve7, Pve9),
    Row("Sys.Console", Sys, Admin, Pve7, Pve9),
    Row("Sys.Incoming", Sys, Root, Pve7, Pve9),
    Row("Sys.Modify", Sys, Root, Pve7, Pve9),
    Row("Sys.PowerMgmt", Sys, Root, Pve7, Pve9),
    Row("Sys.Syslog", Sys, Admin, Pve7, Pve9),
    Row("User.Modify", User, Admin, Pve7, Pve9),
    Row("VM.Allocate", Vm, Admin, Pve7, Pve9),
    Row("VM.Audit", Vm, Audit, Pve7, Pve9),
    Row("VM.Backup", Vm, Tier::User, Pve7, Pve9),
    Row("VM.Clone", Vm, Admin, Pve7, Pve9),
    Row("VM.Config.CDROM", Vm, Tier::User, Pve7, Pve9),
    Row("VM.Config.CPU", Vm, Admin, Pve7, Pve9),
    Row("VM.Config.Cloudinit", Vm, Tier::User, Pve7, Pve9),
    Row("VM.Config.Disk", Vm, Admin, Pve7, Pve9),
    Row("VM.Config.HWType", Vm, Admin, Pve7, Pve9),
    Row("VM.Config.Memory", Vm, Admin, Pve7, Pve9),
    Row("VM.Config.Network", Vm, Admin, Pve7, Pve9),
    Row("VM.Config.Options", Vm, Admin, Pve7, Pve9),
    Row("VM.Console", Vm, Tier::User, Pve7, Pve9),
    Row("VM.GuestAgent.Audit", Vm, Audit, Pve9, Pve9),
    Row("VM.GuestAgent.FileRead", Vm, Tier::User, Pve9, Pve9),
    Row("VM.GuestAgent.FileSystemMgmt", Vm, Tier::User, Pve9, Pve9),
    Row("VM.GuestAgent.FileWrite", Vm, Tier::User, Pve9, Pve9),
    Row("VM.GuestAgent.Unrestricted", Vm, Admin, Pve9, Pve9),
    Row("VM.Migrate", Vm, Admin, Pve7, Pve9),
    Row("VM.Monitor", Vm, Admin, Pve7, Pve8),
    Row("VM.PowerMgmt", Vm, Tier::User, Pve7, Pve9),
    Row("VM.Replicate", Vm, Admin, Pve9, Pve9),
    Row("VM.Snapshot", Vm, Admin, Pve7, Pve9),
    Row("VM.Snapshot.Rollback", Vm, Admin, Pve7, Pve9),
];

/// Built-in roles derived from a category: name, category, highest tier contained.
const DERIVED: &[(&str, Category, Tier)] = &[
    ("PVEDatastoreAdmin", Datastore, Admin),
    ("PVEDatastoreUser", Datastore, Tier::User),
    ("PVEMappingAdmin", Mapping, Admin),
    ("PVEMappingUser", Mapping, Tier::User),
    ("PVEPoolAdmin", Pool, Admin),
    ("PVEPoolUser", Pool, Tier::User),
    ("PVESDNAdmin", Sdn, Admin),
    ("PVESDNUser", Sdn, Tier::User),
    ("PVESysAdmin", Sys, Admin),
    ("PVEUserAdmin", User, Admin),
    ("PVEVMAdmin", Vm, Admin),
    ("PVEVMUser", Vm, Tier::User),
];

/// Built-in roles that are not derived from one category.
const OTHERS: &[&str] = &[ADMINISTRATOR, NO_ACCESS, "PVEAdmin", "PVEAuditor", "PVETemplateUser"];

/// From this release on `PVEAdmin` lacks Mapping.Modify although its tier would bring it.
const PVE_ADMIN_WITHOUT_MAPPING_MODIFY: Release = Pve8;

fn rows(release: Release) -> impl Iterator<Item = &'static Row> {
    ROWS.iter().filter(move |row| row.3 <= release && release <= row.4)
}

/// Every privilege `release` knows.
pub fn privileges(release: Release) -> BTreeSet<&'static str> {
    rows(release).map(|row| row.0).collect()
}

/// `name` as the privilege of that name, if `release` knows it.
pub fn privilege(name: &str, release: Release) -> Option<&'static str> {
    rows(release).map(|row| row.0).find(|known| *known == name)
}

/// Whether any release knows a privilege of this name: tells a privilege that is gone or yet to come from a
/// misspelt one.
pub fn is_privilege_of_some_release(name: &str) -> bool {
    ROWS.iter().any(|row| row.0 == name)
}

/// The names of the built-in roles of `release`.
pub fn builtin_roles(release: Release) -> BTreeSet<&'static str> {
    let derived = DERIVED.iter().map(|(name, ..)| *name);
    derived.chain(OTHERS.iter().copied()).filter(|name| is_builtin(name, release)).collect()
}

/// Whether `release` ships a role of this name.
pub fn is_builtin(name: &str, release: Release) -> bool {
    builtin(name, release).is_some()
}

/// The privileges the built-in role `name` has in `release` as shipped, or nothing if it ships no such role.
pub fn builtin(name: &str, release: Release) -> Option<BTreeSet<&'static str>> {
    let of =
        |wanted: &dyn Fn(&Row) -> bool| rows(release).filter(|row| wanted(row)).map(|row| row.0).collect();
    match name {
        NO_ACCESS => Some(BTreeSet::new()),
        ADMINISTRATOR => Some(privileges(release)),
        "PVEAdmin" => {
            let mut set: BTreeSet<_> = of(&|row| row.2 <= Admin);
            if release >= PVE_ADMIN_WITHOUT_MAPPING_MODIFY {
                set.remove("Mapping.Modify");
            }
            Some(set)
        }
        "PVEAuditor" => Some(of(&|row| row.2 == Audit)),
        "PVETemplateUser" => Some(of(&|row| row.0 == "VM.Audit" || row.0 == "VM.Clone")),
        _ => {
            let (_, category, tier) = DERIVED.iter().find(|(derived, ..)| *derived == name)?;
            let set: BTreeSet<_> = of(&|row| row.1 == *category && row.2 <= *tier);
            // A category without privileges (Mapping before 8.0) has no roles.
            (!set.is_empty()).then_some(set)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minus(release: Release, gone: &[&str]) -> BTreeSet<&'static str> {
        privileges(release).into_iter().filter(|name| !gone.contains(name)).collect()
    }

    fn has(name: &str, release: Release, wanted: &[&str]) {
        let set: Vec<_> = builtin(name, release).unwrap().into_iter().collect();
        assert_eq!(set, wanted, "{name} in {release}");
    }

    #[test]
    fn release_7_has_38_privileges() {
        assert_eq!(privileges(Pve7).len(), 38);
    }

    #[test]
    fn release_8_has_42_privileges() {
        assert_eq!(privileges(Pve8).len(), 42);
    }

    #[test]
    fn release_9_has_47_privileges() {
        assert_eq!(privileges(Pve9).len(), 47);
    }

    #[test]
    fn the_mapping_roles_came_with_release_8() {
        assert_eq!(builtin_roles(Pve7).len(), 15);
        assert_eq!(builtin_roles(Pve8).len(), 17);
        assert_eq!(builtin_roles(Pve9), builtin_roles(Pve8));
        assert!(!is_builtin("PVEMappingUser", Pve7));
        has("PVEMappingUser", Pve8, &["Mapping.Audit", "Mapping.Use"]);
        has("PVEMappingAdmin", Pve9, &["Mapping.Audit", "Mapping.Modify", "Mapping.Use"]);
    }

    #[test]
    fn vm_monitor_is_gone_in_release_9() {
        assert_eq!(privilege("VM.Monitor", Pve8), Some("VM.Monitor"));
        assert_eq!(privilege("VM.Monitor", Pve9), None);
        assert!(is_privilege_of_some_release("VM.Monitor"));
        assert!(!is_privilege_of_some_release("VM.Moniter"));
    }

    #[test]
    fn administrator_has_everything_and_no_access_nothing() {
        for release in Release::ALL {
            assert_eq!(builtin(ADMINISTRATOR, release), Some(privileges(release)));
            assert_eq!(builtin(NO_ACCESS, release), Some(BTreeSet::new()));
        }
    }

    #[test]
    fn pve_admin_of_release_7_may_modify_permissions() {
        let gone = ["Sys.Incoming", "Sys.Modify", "Sys.PowerMgmt", "Realm.Allocate"];
        assert_eq!(builtin("PVEAdmin", Pve7), Some(minus(Pve7, &gone)));
        has("PVESysAdmin", Pve7, &["Permissions.Modify", "Sys.Audit", "Sys.Console", "Sys.Syslog"]);
    }

    #[test]
    fn pve_admin_from_release_8_may_not_modify_permissions_or_mappings() {
        let gone = [
            "Permissions.Modify",
            "Realm.Allocate",
            "Mapping.Modify",
            "Sys.AccessNetwork",
            "Sys.Incoming",
            "Sys.Modify",
            "Sys.PowerMgmt",
        ];
        for release in [Pve8, Pve9] {
            assert_eq!(builtin("PVEAdmin", release), Some(minus(release, &gone)));
            has("PVESysAdmin", release, &["Sys.Audit", "Sys.Console", "Sys.Syslog"]);
        }
    }

    #[test]
    fn a_vm_user_of_release_9_writes_files_inside_guests() {
        let old =
            ["VM.Audit", "VM.Backup", "VM.Config.CDROM", "VM.Config.Cloudinit", "VM.Console", "VM.PowerMgmt"];
        has("PVEVMUser", Pve7, &old);
        has("PVEVMUser", Pve8, &old);
        assert!(builtin("PVEVMUser", Pve9).unwrap().contains("VM.GuestAgent.FileWrite"));
        assert!(!builtin("PVEVMUser", Pve9).unwrap().contains("VM.GuestAgent.Unrestricted"));
        assert_eq!(builtin("PVEVMUser", Pve9).unwrap().len(), 10);
    }

    #[test]
    fn a_vm_admin_has_every_vm_privilege() {
        for release in Release::ALL {
            let vm: BTreeSet<_> =
                privileges(release).into_iter().filter(|name| name.starts_with("VM.")).collect();
            assert_eq!(builtin("PVEVMAdmin", release), Some(vm));
        }
    }

    #[test]
    fn the_small_roles_are_the_same_in_every_release() {
        for release in Release::ALL {
            has("PVEUserAdmin", release, &["Group.Allocate", "Realm.AllocateUser", "User.Modify"]);
            has("PVETemplateUser", release, &["VM.Audit", "VM.Clone"]);
            has("PVEDatastoreUser", release, &["Datastore.AllocateSpace", "Datastore.Audit"]);
            has("PVEPoolAdmin", release, &["Pool.Allocate", "Pool.Audit"]);
            has("PVEPoolUser", release, &["Pool.Audit"]);
            has("PVESDNAdmin", release, &["SDN.Allocate", "SDN.Audit", "SDN.Use"]);
            has("PVESDNUser", release, &["SDN.Audit", "SDN.Use"]);
            assert_eq!(builtin("PVEDatastoreAdmin", release).unwrap().len(), 4);
            assert!(!is_builtin("PVEUserUser", release) && !is_builtin("PVESysUser", release));
        }
    }

    #[test]
    fn the_auditor_grows_with_the_releases() {
        let old = ["Datastore.Audit", "Pool.Audit", "SDN.Audit", "Sys.Audit", "VM.Audit"];
        has("PVEAuditor", Pve7, &old);
        assert!(builtin("PVEAuditor", Pve8).unwrap().contains("Mapping.Audit"));
        assert_eq!(builtin("PVEAuditor", Pve9).unwrap().len(), 7);
    }
}
