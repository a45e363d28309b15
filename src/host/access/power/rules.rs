//! The rules of escalation as data: which privileges on which paths let their holder do what the role does not say.
//!
//! Each was read in the source it names. That somebody is disabled or expired is no part of a rule: it is decided when
//! he logs in.

use std::ops::RangeInclusive;

use crate::catalogue::schema::Severity;
use crate::formats::release::Release::{self, Pve7, Pve8, Pve9};

/// What a rule leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Something that is less than the others: a step.
    Step,
    /// Full control of a guest, or of its data.
    Guests,
    /// Root on a node, and so everything the cluster keeps.
    HostRoot,
    /// Every privilege everywhere, or the account of anybody who has them.
    Administrator,
}

/// Where privileges are needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Exactly this path.
    At(&'static str),
    /// Any path one step below this one.
    Below(&'static str),
    /// Any guest, through its pool as well.
    Guest,
    /// Any node there is.
    Node,
    /// Any path of his own ACL entries.
    Anywhere,
}

/// Privileges that are needed together on one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need {
    /// All of these; empty for every privilege of the release.
    pub all: &'static [&'static str],
    /// On one path of any of these places.
    pub on: &'static [Place],
}

/// A way to more than the role says.
#[derive(Debug, PartialEq, Eq)]
pub struct Rule {
    /// Name for machines; it never changes. Rules of one name are several ways to the same and stand together.
    pub id: &'static str,
    /// What it leads to.
    pub class: Class,
    /// What an attacker gains.
    pub severity: Severity,
    /// Releases in which it works.
    pub releases: RangeInclusive<Release>,
    /// All of these are needed.
    pub needs: &'static [Need],
    /// What the holder can do: completes the sentence "the user …". Where somebody's name belongs, it stands as `{}`.
    pub then: &'static str,
    /// Where upstream allows it.
    pub source: &'static str,
}

const fn need(all: &'static [&'static str], on: &'static [Place]) -> Need {
    Need { all, on }
}

/// Where a new guest can be created: by its number or in a pool.
const NEW_GUEST: &[Place] = &[Place::Guest, Place::Below("/pool")];

/// The rule that `root@pam` meets, and nobody else.
pub static IS_ROOT: Rule = Rule {
    id: "root",
    class: Class::Administrator,
    severity: Severity::Critical,
    releases: Pve7..=Pve9,
    needs: &[],
    then: "is root@pam, who has every privilege everywhere whatever the ACLs say",
    source: "pve-access-control src/PVE/RPCEnvironment.pm permissions",
};

/// The rules that need nothing but privileges. Whoever meets the first meets the next as well, so that one then stands
/// alone.
pub static DIRECT: &[Rule] = &[
    Rule {
        id: "every-privilege",
        class: Class::Administrator,
        severity: Severity::Critical,
        releases: Pve7..=Pve9,
        needs: &[need(&[], &[Place::At("/")])],
        then: "has full power",
        source: "pve-access-control src/PVE/AccessControl.pm create_roles",
    },
    Rule {
        id: "modifies-permissions",
        class: Class::Administrator,
        severity: Severity::Critical,
        releases: Pve7..=Pve9,
        needs: &[need(&["Permissions.Modify"], &[Place::At("/")])],
        then: "can give any role to anybody on /",
        source: "pve-access-control src/PVE/API2/ACL.pm update_acl",
    },
    Rule {
        id: "modifies-permissions-of-access",
        class: Class::Administrator,
        severity: Severity::Critical,
        releases: Pve7..=Pve9,
        needs: &[need(&["Permissions.Modify"], &[Place::At("/access")])],
        then: "can give himself any role on /access and with it create a token of root@pam",
        source: "pve-access-control src/PVE/API2/ACL.pm update_acl",
    },
    Rule {
        id: "modifies-permissions-of-groups",
        class: Class::Administrator,
        severity: Severity::Critical,
        releases: Pve7..=Pve9,
        needs: &[need(&["Permissions.Modify"], &[Place::At("/access/groups")])],
        then: "can give himself any role on /access/groups and with it create a token of root@pam",
        source: "pve-access-control src/PVE/API2/ACL.pm update_acl",
    },
    Rule {
        id: "modifies-users",
        class: Class::Administrator,
        severity: Severity::Critical,
        releases: Pve7..=Pve9,
        needs: &[need(&["User.Modify"], &[Place::At("/access/groups")])],
        then: "can create a token of root@pam",
        source: "pve-access-control src/PVE/API2/User.pm generate_token",
    },
    Rule {
        id: "modifies-roles",
        class: Class::Administrator,
        severity: Severity::Critical,
        releases: Pve7..=Pve9,
        needs: &[need(&["Sys.Modify"], &[Place::At("/access")])],
        then: "can add any privilege to his own role",
        source: "pve-access-control src/PVE/API2/Role.pm update_role",
    },
    Rule {
        id: "modifies-node",
        class: Class::HostRoot,
        severity: Severity::Critical,
        releases: Pve7..=Pve9,
        needs: &[need(&["Sys.Modify"], &[Place::Node])],
        then: "can change the network, names, services, certificate and repositories of the node",
        source: "pve-manager PVE/API2/{Network,Nodes,Services,Certificates,APT}.pm",
    },
    Rule {
        id: "modifies-datacenter",
        class: Class::HostRoot,
        severity: Severity::Critical,
        releases: Pve7..=Pve9,
        needs: &[need(&["Sys.Modify"], &[Place::At("/")])],
        then: "can change the datacenter's options, backup jobs, disks, Ceph and firewall",
        source: "pve-manager PVE/API2/{Cluster,Backup,Disks,Ceph}.pm",
    },
    Rule {
        id: "defines-storage-and-restores",
        class: Class::HostRoot,
        severity: Severity::Critical,
        releases: Pve7..=Pve9,
        needs: &[need(&["Datastore.Allocate"], &[Place::At("/storage")]), need(&["VM.Allocate"], NEW_GUEST)],
        then: "can define a storage of his own and restore a prepared guest from it, whose configuration may run \
               programs on the node as root",
        source: "pve-storage src/PVE/API2/Storage/Config.pm create, qemu-server src/PVE/API2/Qemu.pm create_vm",
    },
    Rule {
        id: "maps-folder",
        class: Class::HostRoot,
        severity: Severity::Critical,
        // The mapping itself came with 8.4.
        releases: Pve8..=Pve9,
        needs: &[
            need(&["Mapping.Modify"], &[Place::At("/mapping/dir")]),
            need(&["Mapping.Use"], &[Place::Below("/mapping/dir")]),
            need(&["VM.Config.Disk", "VM.PowerMgmt"], &[Place::Guest]),
        ],
        then: "can map a folder of the node, such as /etc, into a guest and write it as root (from 8.4 on)",
        source: "qemu-server src/PVE/QemuServer/Virtiofs.pm, pve-manager PVE/API2/Cluster/Mapping/Dir.pm",
    },
    Rule {
        id: "maps-folder",
        class: Class::HostRoot,
        severity: Severity::Critical,
        // The mapping itself came with 8.4.
        releases: Pve8..=Pve9,
        needs: &[
            need(&["Mapping.Modify", "Mapping.Use"], &[Place::Below("/mapping/dir")]),
            need(&["VM.Config.Disk", "VM.PowerMgmt"], &[Place::Guest]),
        ],
        then: "can map a folder of the node, such as /etc, into a guest and write it as root (from 8.4 on)",
        source: "qemu-server src/PVE/QemuServer/Virtiofs.pm, pve-manager PVE/API2/Cluster/Mapping/Dir.pm",
    },
    Rule {
        id: "maps-pci-device",
        class: Class::HostRoot,
        severity: Severity::Critical,
        releases: Pve8..=Pve9,
        needs: &[
            need(&["Mapping.Modify"], &[Place::At("/mapping/pci")]),
            need(&["Mapping.Use"], &[Place::Below("/mapping/pci")]),
            need(&["VM.Config.HWType"], &[Place::Guest]),
        ],
        then: "can map any PCI device of the node, a disk controller too, and pass it to a guest",
        source: "pve-manager PVE/API2/Cluster/Mapping/PCI.pm, qemu-server src/PVE/API2/Qemu.pm",
    },
    Rule {
        id: "maps-pci-device",
        class: Class::HostRoot,
        severity: Severity::Critical,
        releases: Pve8..=Pve9,
        needs: &[
            need(&["Mapping.Modify", "Mapping.Use"], &[Place::Below("/mapping/pci")]),
            need(&["VM.Config.HWType"], &[Place::Guest]),
        ],
        then: "can map any PCI device of the node, a disk controller too, and pass it to a guest",
        source: "pve-manager PVE/API2/Cluster/Mapping/PCI.pm, qemu-server src/PVE/API2/Qemu.pm",
    },
    Rule {
        id: "commands-the-monitor",
        class: Class::HostRoot,
        severity: Severity::Critical,
        releases: Pve7..=Pve8,
        needs: &[need(&["VM.Monitor"], &[Place::Guest]), need(&["Sys.Modify"], &[Place::At("/")])],
        then: "can give QEMU, which runs as root, any command of its monitor",
        source: "qemu-server src/PVE/API2/Qemu.pm monitor",
    },
    Rule {
        id: "modifies-realms",
        class: Class::Step,
        severity: Severity::High,
        releases: Pve7..=Pve9,
        needs: &[need(&["Realm.Allocate"], &[Place::At("/access/realm")])],
        then: "can point a realm at a server of his own, and switch off the second factor it demands",
        source: "pve-access-control src/PVE/API2/Domains.pm update",
    },
    Rule {
        id: "modifies-permissions-of-a-path",
        class: Class::Step,
        severity: Severity::High,
        releases: Pve7..=Pve9,
        needs: &[need(&["Permissions.Modify"], &[Place::Anywhere])],
        then: "can give any role to anybody there",
        source: "pve-access-control src/PVE/API2/ACL.pm update_acl",
    },
    Rule {
        id: "gives-any-role-on-a-guest",
        class: Class::Step,
        severity: Severity::High,
        releases: Pve7..=Pve7,
        needs: &[need(&["VM.Allocate"], &[Place::Guest])],
        then: "can give any role to anybody on the guest",
        source: "pve-access-control src/PVE/RPCEnvironment.pm check_perm_modify",
    },
    Rule {
        id: "gives-any-role-on-a-storage",
        class: Class::Step,
        severity: Severity::High,
        releases: Pve7..=Pve7,
        needs: &[need(&["Datastore.Allocate"], &[Place::Below("/storage")])],
        then: "can give any role to anybody on the storage",
        source: "pve-access-control src/PVE/RPCEnvironment.pm check_perm_modify",
    },
    Rule {
        id: "gives-any-role-on-a-pool",
        class: Class::Step,
        severity: Severity::High,
        releases: Pve7..=Pve7,
        needs: &[need(&["Pool.Allocate"], &[Place::Below("/pool")])],
        then: "can give any role to anybody on the pool",
        source: "pve-access-control src/PVE/RPCEnvironment.pm check_perm_modify",
    },
    Rule {
        id: "creates-privileged-containers",
        class: Class::Step,
        severity: Severity::High,
        releases: Pve7..=Pve8,
        needs: &[need(&["VM.Allocate"], NEW_GUEST)],
        then: "can create privileged containers, whose root is close to that of the node",
        source: "pve-container src/PVE/API2/LXC.pm create_vm",
    },
    Rule {
        id: "maps-usb-device",
        class: Class::Step,
        severity: Severity::High,
        releases: Pve8..=Pve9,
        needs: &[
            need(&["Mapping.Modify"], &[Place::At("/mapping/usb")]),
            need(&["Mapping.Use"], &[Place::Below("/mapping/usb")]),
            need(&["VM.Config.HWType"], &[Place::Guest]),
        ],
        then: "can map any USB device of the node, a disk or a key too, and pass it to a guest",
        source: "pve-manager PVE/API2/Cluster/Mapping/USB.pm, qemu-server src/PVE/API2/Qemu.pm",
    },
    Rule {
        id: "maps-usb-device",
        class: Class::Step,
        severity: Severity::High,
        releases: Pve8..=Pve9,
        needs: &[
            need(&["Mapping.Modify", "Mapping.Use"], &[Place::Below("/mapping/usb")]),
            need(&["VM.Config.HWType"], &[Place::Guest]),
        ],
        then: "can map any USB device of the node, a disk or a key too, and pass it to a guest",
        source: "pve-manager PVE/API2/Cluster/Mapping/USB.pm, qemu-server src/PVE/API2/Qemu.pm",
    },
    Rule {
        id: "modifies-the-network",
        class: Class::Step,
        severity: Severity::High,
        releases: Pve7..=Pve9,
        needs: &[need(&["SDN.Allocate"], &[Place::At("/sdn")])],
        then: "can rewrite and apply the network of the cluster",
        source: "pve-network src/PVE/API2/Network/SDN.pm reload",
    },
    Rule {
        id: "modifies-groups",
        class: Class::Step,
        severity: Severity::Medium,
        releases: Pve7..=Pve9,
        needs: &[need(&["Group.Allocate"], &[Place::At("/access/groups")])],
        then: "can delete groups, and with them the rights of administrators",
        source: "pve-access-control src/PVE/API2/Group.pm delete_group",
    },
    Rule {
        id: "modifies-users-of-a-group",
        class: Class::Step,
        severity: Severity::Medium,
        releases: Pve7..=Pve9,
        needs: &[need(&["User.Modify"], &[Place::Below("/access/groups")])],
        then: "can act as any user of the group, through a token of his",
        source: "pve-access-control src/PVE/API2/User.pm generate_token",
    },
    Rule {
        id: "creates-users",
        class: Class::Step,
        severity: Severity::Low,
        releases: Pve7..=Pve9,
        needs: &[need(&["Realm.AllocateUser"], &[Place::Below("/access/realm")])],
        then: "can create users of the realm, in groups whose users he can change",
        source: "pve-access-control src/PVE/API2/User.pm create_user",
    },
    Rule {
        id: "logs-in-on-the-node",
        class: Class::Step,
        severity: Severity::Medium,
        releases: Pve7..=Pve9,
        needs: &[need(&["Sys.Console"], &[Place::Node])],
        then: "gets a login prompt of the node in the browser",
        source: "pve-manager PVE/API2/Nodes.pm termproxy",
    },
    Rule {
        id: "takes-guests-in",
        class: Class::Step,
        severity: Severity::Medium,
        releases: Pve7..=Pve9,
        needs: &[need(&["Sys.Incoming"], &[Place::At("/")]), need(&["VM.Allocate"], NEW_GUEST)],
        then: "can bring in a running guest from another cluster, with a device state of his making",
        source: "qemu-server src/PVE/API2/Qemu.pm mtunnel",
    },
    Rule {
        id: "fetches-addresses",
        class: Class::Step,
        severity: Severity::Medium,
        releases: Pve8..=Pve9,
        needs: &[
            need(&["Sys.AccessNetwork"], &[Place::Node]),
            need(&["Datastore.AllocateTemplate"], &[Place::Below("/storage")]),
        ],
        then: "can make the node fetch any address it reaches",
        source: "pve-storage src/PVE/API2/Storage/Status.pm download_url",
    },
    Rule {
        id: "calls-webhooks",
        class: Class::Step,
        severity: Severity::Medium,
        releases: Pve8..=Pve9,
        needs: &[need(&["Mapping.Modify"], &[Place::At("/mapping/notifications")])],
        then: "can send notifications, which tell of the cluster, to any address the node reaches",
        source: "pve-manager PVE/API2/Cluster/Notifications.pm",
    },
    Rule {
        id: "stops-the-node",
        class: Class::Step,
        severity: Severity::Medium,
        releases: Pve7..=Pve9,
        needs: &[need(&["Sys.PowerMgmt"], &[Place::Node])],
        then: "can restart and stop the node",
        source: "pve-manager PVE/API2/Nodes.pm node_cmd",
    },
    Rule {
        id: "moves-guests-between-pools",
        class: Class::Step,
        severity: Severity::Medium,
        releases: Pve8..=Pve9,
        needs: &[need(&["Pool.Allocate"], &[Place::Below("/pool")])],
        then: "can change which guests belong to the pool, and so who controls them",
        source: "pve-manager PVE/API2/Pool.pm update_pool",
    },
    Rule {
        id: "reads-logs",
        class: Class::Step,
        severity: Severity::Low,
        releases: Pve7..=Pve9,
        needs: &[need(&["Sys.Syslog"], &[Place::Node])],
        then: "can read the logs of the node",
        source: "pve-manager PVE/API2/Nodes.pm syslog",
    },
];

/// The rules of whoever may do something to a guest that gives him the guest, or its data.
pub static ON_GUESTS: &[Rule] = &[
    guest(
        "uses-the-console",
        &[Need { all: &["VM.Console"], on: GUEST }],
        Pve7..=Pve9,
        "can use the guest's console, which may be a root shell of a container",
        "pve-container src/PVE/LXC.pm get_console_command",
    ),
    guest(
        "sets-cloud-init",
        &[Need { all: &["VM.Config.Cloudinit"], on: GUEST }],
        Pve7..=Pve9,
        "can set the guest's password and SSH keys",
        "qemu-server src/PVE/API2/Qemu.pm check_vm_modify_config_perm",
    ),
    guest(
        "boots-another-disc",
        &[Need { all: &["VM.Config.CDROM", "VM.PowerMgmt"], on: GUEST }],
        Pve7..=Pve9,
        "can start the guest from another disc",
        "qemu-server src/PVE/API2/Qemu.pm check_vm_modify_config_perm",
    ),
    guest(
        "changes-disks",
        &[Need { all: &["VM.Config.Disk"], on: GUEST }],
        Pve7..=Pve9,
        "can change the guest's disks",
        "qemu-server src/PVE/API2/Qemu.pm check_vm_modify_config_perm",
    ),
    guest(
        "writes-guest-files",
        &[Need { all: &["VM.GuestAgent.FileWrite"], on: GUEST }],
        Pve9..=Pve9,
        "can write files inside the guest through its agent",
        "qemu-server src/PVE/API2/Qemu/Agent.pm file-write",
    ),
    guest(
        "reads-guest-files",
        &[Need { all: &["VM.GuestAgent.FileRead"], on: GUEST }],
        Pve9..=Pve9,
        "can read files inside the guest through its agent",
        "qemu-server src/PVE/API2/Qemu/Agent.pm file-read",
    ),
    guest(
        "commands-the-guest-agent",
        &[Need { all: &["VM.GuestAgent.Unrestricted"], on: GUEST }],
        Pve9..=Pve9,
        "can run programs inside the guest through its agent",
        "qemu-server src/PVE/API2/Qemu/Agent.pm exec",
    ),
    guest(
        "commands-the-guest",
        &[Need { all: &["VM.Monitor"], on: GUEST }],
        Pve7..=Pve8,
        "can run programs inside the guest through its agent",
        "qemu-server src/PVE/API2/Qemu/Agent.pm exec",
    ),
    guest(
        "copies-guests",
        &[Need { all: &["VM.Clone", "VM.Allocate"], on: GUEST }],
        Pve7..=Pve9,
        "can copy the guest with its data",
        "qemu-server src/PVE/API2/Qemu.pm clone_vm",
    ),
    guest(
        "restores-over-the-guest",
        &[Need { all: &["VM.Backup"], on: GUEST }],
        Pve7..=Pve9,
        "can save the guest with its data, and restore another archive over it",
        "qemu-server src/PVE/API2/Qemu.pm create_vm",
    ),
    guest(
        "rolls-back",
        &[Need { all: &["VM.Snapshot.Rollback"], on: GUEST }],
        Pve7..=Pve9,
        "can take the guest back to an earlier state",
        "qemu-server src/PVE/API2/Qemu.pm rollback",
    ),
    guest(
        "moves-guests",
        &[Need { all: &["VM.Migrate"], on: GUEST }],
        Pve7..=Pve9,
        "can move the guest to another node",
        "qemu-server src/PVE/API2/Qemu.pm migrate_vm",
    ),
    guest(
        "replicates-guests",
        &[Need { all: &["VM.Replicate"], on: GUEST }],
        Pve9..=Pve9,
        "can send the guest's disks to other nodes",
        "pve-manager PVE/API2/ReplicationConfig.pm create",
    ),
];

/// Any guest.
const GUEST: &[Place] = &[Place::Guest];

const fn guest(
    id: &'static str,
    needs: &'static [Need],
    releases: RangeInclusive<Release>,
    then: &'static str,
    source: &'static str,
) -> Rule {
    Rule { id, class: Class::Guests, severity: Severity::Medium, releases, needs, then, source }
}

/// The rules that take over somebody who has power already. `{}` stands for him, or for the group.
macro_rules! over {
    ($name:ident, $id:literal, $about:literal, $releases:expr, $then:literal, $source:literal) => {
        #[doc = $about]
        pub static $name: Rule = Rule {
            id: $id,
            class: Class::Step,
            severity: Severity::Critical,
            releases: $releases,
            needs: &[],
            then: $then,
            source: $source,
        };
    };
}

over!(
    TAKES_A_MEMBER,
    "modifies-an-administrator",
    "User.Modify on a group with somebody powerful in it.",
    Pve7..=Pve9,
    "can create a token of {}",
    "pve-access-control src/PVE/API2/User.pm generate_token"
);
over!(
    JOINS_A_GROUP,
    "joins-a-powerful-group",
    "User.Modify on a powerful group and on a group of somebody who can be moved into it.",
    Pve7..=Pve9,
    "can put a user he controls into the group {}",
    "pve-access-control src/PVE/API2/User.pm update_user"
);
over!(
    CREATES_A_MEMBER,
    "creates-a-member-of-a-powerful-group",
    "User.Modify on a powerful group and Realm.AllocateUser on a realm.",
    Pve7..=Pve9,
    "can create a user in the group {}",
    "pve-access-control src/PVE/API2/User.pm create_user"
);
over!(
    CREATES_A_GROUP,
    "creates-a-group-that-has-power",
    "Group.Allocate, and User.Modify on a group that does not exist but holds power.",
    Pve7..=Pve9,
    "can create the group {} and put a user of his into it",
    "pve-access-control src/PVE/API2/Group.pm create_group"
);
over!(
    CREATES_A_USER,
    "creates-a-user-who-has-power",
    "Realm.AllocateUser on the realm of a user who does not exist but holds power.",
    Pve7..=Pve9,
    "can create the user {}, who does not exist but has rights",
    "pve-access-control src/PVE/API2/User.pm create_user"
);
over!(
    POINTS_A_REALM_ELSEWHERE,
    "points-a-realm-elsewhere",
    "Realm.Allocate, and somebody powerful whom a directory server or provider lets in.",
    Pve7..=Pve9,
    "can set up the realm of {} with a server of his own and log in as that user",
    "pve-access-control src/PVE/API2/Domains.pm update"
);
over!(
    CREATES_A_REALM,
    "creates-a-realm-for-a-name",
    "Realm.Allocate, and a powerful user who does not exist in a realm that can be made up.",
    Pve7..=Pve9,
    "can set up a realm that lets him in as {}, who does not exist but has rights",
    "pve-access-control src/PVE/API2/OpenId.pm login"
);
over!(
    CLAIMS_A_GROUP,
    "claims-a-powerful-group",
    "Realm.Allocate, and a powerful group whose name ends like one a provider may put people into.",
    // The claims of groups came with 8.2.1.
    Pve8..=Pve9,
    "can set up an OpenID Connect realm that puts him into the group {}",
    "pve-access-control src/PVE/API2/OpenId.pm login"
);

/// Every rule there is.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    let over = [
        &TAKES_A_MEMBER,
        &JOINS_A_GROUP,
        &CREATES_A_MEMBER,
        &CREATES_A_GROUP,
        &CREATES_A_USER,
        &POINTS_A_REALM_ELSEWHERE,
        &CREATES_A_REALM,
        &CLAIMS_A_GROUP,
    ];
    std::iter::once(&IS_ROOT).chain(DIRECT).chain(ON_GUESTS).chain(over)
}
