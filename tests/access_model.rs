//! A second, deliberately naive reading of user.cfg and of Proxmox VE's permissions, against which the parser and
//! the resolution are held on random configurations.
//!
//! It is written from the description of the file and of the algorithm, with strings, lists and nested loops, and
//! shares nothing with the program: not the parser, not the tables of privileges and roles.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that fails may panic"
)]

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use pve_audit::formats::release::Release;
use pve_audit::formats::user_cfg::{self, UserCfg};
use pve_audit::host::access::effective::Effective;

/// The privileges of each release, by hand.
mod table {
    use super::Release;

    const EVERYWHERE: &str = "Permissions.Modify Datastore.Allocate Datastore.AllocateSpace \
        Datastore.AllocateTemplate Datastore.Audit Group.Allocate Pool.Allocate Pool.Audit Realm.Allocate \
        Realm.AllocateUser SDN.Allocate SDN.Audit SDN.Use Sys.Audit Sys.Console Sys.Incoming Sys.Modify \
        Sys.PowerMgmt Sys.Syslog User.Modify VM.Allocate VM.Audit VM.Backup VM.Clone VM.Console VM.Migrate \
        VM.PowerMgmt VM.Snapshot VM.Snapshot.Rollback VM.Config.CDROM VM.Config.CPU VM.Config.Cloudinit \
        VM.Config.Disk VM.Config.HWType VM.Config.Memory VM.Config.Network VM.Config.Options";
    const FROM_8: &str = "Mapping.Audit Mapping.Modify Mapping.Use Sys.AccessNetwork";
    const FROM_9: &str = "VM.GuestAgent.Audit VM.GuestAgent.FileRead VM.GuestAgent.FileWrite \
        VM.GuestAgent.FileSystemMgmt VM.GuestAgent.Unrestricted VM.Replicate";

    pub(super) fn privileges(release: Release) -> Vec<&'static str> {
        let rest = match release {
            Release::Pve7 => vec!["VM.Monitor"],
            Release::Pve8 => vec!["VM.Monitor", FROM_8],
            Release::Pve9 => vec![FROM_8, FROM_9],
        };
        let all = std::iter::once(EVERYWHERE).chain(rest);
        all.flat_map(str::split_whitespace).collect()
    }

    pub(super) const NAMES: [&str; 17] = [
        "NoAccess",
        "Administrator",
        "PVEAdmin",
        "PVESysAdmin",
        "PVEUserAdmin",
        "PVEVMAdmin",
        "PVEVMUser",
        "PVETemplateUser",
        "PVEDatastoreAdmin",
        "PVEDatastoreUser",
        "PVEPoolAdmin",
        "PVEPoolUser",
        "PVESDNAdmin",
        "PVESDNUser",
        "PVEMappingAdmin",
        "PVEMappingUser",
        "PVEAuditor",
    ];

    pub(super) fn role(name: &str, release: Release) -> Option<Vec<&'static str>> {
        let all = privileges(release);
        let named = |list: &str| all.iter().copied().filter(|p| list.split(' ').any(|q| q == *p)).collect();
        let except = |list: &str| all.iter().copied().filter(|p| list.split(' ').all(|q| q != *p)).collect();
        let old = release == Release::Pve7;
        Some(match name {
            "NoAccess" => vec![],
            "Administrator" => all.clone(),
            "PVEAdmin" if old => except("Sys.Incoming Sys.Modify Sys.PowerMgmt Realm.Allocate"),
            "PVEAdmin" => except(
                "Permissions.Modify Realm.Allocate Mapping.Modify Sys.AccessNetwork Sys.Incoming Sys.Modify \
                 Sys.PowerMgmt",
            ),
            "PVESysAdmin" if old => named("Sys.Audit Sys.Console Sys.Syslog Permissions.Modify"),
            "PVESysAdmin" => named("Sys.Audit Sys.Console Sys.Syslog"),
            "PVEUserAdmin" => named("Group.Allocate Realm.AllocateUser User.Modify"),
            "PVEVMAdmin" => all.iter().copied().filter(|p| p.starts_with("VM.")).collect(),
            // What a release does not know is not named by it.
            "PVEVMUser" => named(
                "VM.Audit VM.Backup VM.Console VM.PowerMgmt VM.Config.CDROM VM.Config.Cloudinit \
                 VM.GuestAgent.Audit VM.GuestAgent.FileRead VM.GuestAgent.FileSystemMgmt VM.GuestAgent.FileWrite",
            ),
            "PVETemplateUser" => named("VM.Audit VM.Clone"),
            "PVEDatastoreAdmin" => {
                named("Datastore.Allocate Datastore.AllocateSpace Datastore.AllocateTemplate Datastore.Audit")
            }
            "PVEDatastoreUser" => named("Datastore.AllocateSpace Datastore.Audit"),
            "PVEPoolAdmin" => named("Pool.Allocate Pool.Audit"),
            "PVEPoolUser" => named("Pool.Audit"),
            "PVESDNAdmin" => named("SDN.Allocate SDN.Audit SDN.Use"),
            "PVESDNUser" => named("SDN.Audit SDN.Use"),
            "PVEMappingAdmin" if !old => named("Mapping.Audit Mapping.Modify Mapping.Use"),
            "PVEMappingUser" if !old => named("Mapping.Audit Mapping.Use"),
            "PVEAuditor" => named(
                "Datastore.Audit Pool.Audit SDN.Audit Sys.Audit VM.Audit Mapping.Audit VM.GuestAgent.Audit",
            ),
            _ => return None,
        })
    }
}

/// Expiry and privilege separation of tokens, by name.
type Tokens = BTreeMap<String, (u64, bool)>;

/// What a user.cfg says.
#[derive(Default)]
struct Model {
    /// User id, whether enabled, expiry, and his tokens.
    users: BTreeMap<String, (bool, u64, Tokens)>,
    groups: BTreeMap<String, Vec<String>>,
    /// Pools with the ACL paths of their members.
    pools: BTreeMap<String, Vec<String>>,
    roles: BTreeMap<String, Vec<String>>,
    /// Path, subject as written, role; the last of equal ones counts.
    acl: Vec<(String, String, String, bool)>,
}

const SPACE: [char; 6] = [' ', '\t', '\n', '\x0b', '\x0c', '\r'];

fn truth(field: &str) -> bool {
    !field.is_empty() && field != "0"
}

fn only(text: &str, more: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

fn number(field: &str) -> Option<u64> {
    if !truth(field) {
        return Some(0);
    }
    if field.chars().all(|c| "0123456789".contains(c)) { field.parse().ok() } else { None }
}

fn plain(name: &str) -> bool {
    // The check hands the name back, and `0` is false in Perl.
    only(name, "._-") && name != "0"
}

fn realm(name: &str) -> bool {
    only(name, "._-") && name.len() > 1 && name.as_bytes()[0].is_ascii_alphabetic()
}

/// Whether `id` is some name and a realm.
fn name_at_realm(id: &str) -> bool {
    match id.rfind('@') {
        Some(at) => {
            let (name, rest) = (&id[..at], &id[at + 1..]);
            !name.is_empty()
                && !name.contains(SPACE)
                && !name.contains(':')
                && !name.contains('/')
                && realm(rest)
        }
        None => false,
    }
}

fn user(id: &str) -> bool {
    id.len() >= 3 && id.len() <= 64 && name_at_realm(id)
}

fn token(id: &str) -> Option<(&str, &str)> {
    let at = id.rfind('!')?;
    let (owner, name) = (&id[..at], &id[at + 1..]);
    (name_at_realm(owner) && realm(name)).then_some((owner, name))
}

fn pool(name: &str, release: Release) -> bool {
    if release == Release::Pve7 {
        return plain(name);
    }
    let parts: Vec<&str> = name.split('/').collect();
    name != "0" && parts.len() <= 3 && parts.iter().all(|part| only(part, "._-"))
}

fn storage(name: &str) -> bool {
    let bytes = name.as_bytes();
    only(name, "._-")
        && bytes.len() > 1
        && bytes[0].is_ascii_alphabetic()
        && bytes[bytes.len() - 1].is_ascii_alphanumeric()
}

fn list(field: &str) -> Vec<String> {
    if field.contains('\0') {
        let mut items: Vec<String> = field.split('\0').map(str::to_owned).collect();
        while items.last().is_some_and(String::is_empty) {
            items.pop();
        }
        return items;
    }
    let spaced: String =
        field.chars().map(|c| if SPACE.contains(&c) || c == ';' { ',' } else { c }).collect();
    spaced.split(',').filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// The path an ACL line takes effect on. A part `0` is false in Perl, and is left out when the entry is stored.
fn acl_path(text: &str) -> Option<String> {
    if !truth(text) || !only(text, "._-/") {
        return None;
    }
    let parts: Vec<&str> = text.split('/').filter(|part| truth(part)).collect();
    Some(format!("/{}", parts.join("/")))
}

impl Model {
    fn read(text: &str, release: Release) -> Self {
        let mut model = Self::default();
        model.users.insert("root@pam".to_owned(), (true, 0, BTreeMap::new()));
        for name in table::NAMES {
            if let Some(privileges) = table::role(name, release) {
                model.roles.insert(name.to_owned(), privileges.into_iter().map(str::to_owned).collect());
            }
        }
        for line in text.split('\n') {
            let line = line.trim_matches(SPACE);
            let mut fields: Vec<&str> = line.split(':').map(|field| field.trim_matches(SPACE)).collect();
            fields.resize(12, "");
            match fields[0] {
                "user" => model.user(&fields[1..]),
                "token" => model.token(&fields[1..]),
                "group" => model.group(&fields[1..]),
                "pool" => model.pool(&fields[1..], release),
                "role" => model.role(&fields[1..], release),
                "acl" => model.acl(&fields[1..]),
                _ => {}
            }
        }
        model
    }

    fn user(&mut self, fields: &[&str]) {
        if let (true, Some(expire)) = (user(fields[0]), number(fields[2])) {
            self.users.insert(fields[0].to_owned(), (truth(fields[1]), expire, BTreeMap::new()));
        }
    }

    fn token(&mut self, fields: &[&str]) {
        if let (Some((owner, name)), Some(expire)) = (token(fields[0]), number(fields[1]))
            && let Some((_, _, tokens)) = self.users.get_mut(owner)
        {
            tokens.insert(name.to_owned(), (expire, truth(fields[2])));
        }
    }

    fn group(&mut self, fields: &[&str]) {
        if plain(fields[0]) {
            let members = self.groups.entry(fields[0].to_owned()).or_default();
            members.extend(list(fields[1]).into_iter().filter(|member| user(member)));
        }
    }

    fn pool(&mut self, fields: &[&str], release: Release) {
        let name = fields[0];
        if !pool(name, release) {
            return;
        }
        for (at, _) in name.match_indices('/') {
            self.pools.entry(name[..at].to_owned()).or_default();
        }
        self.pools.entry(name.to_owned()).or_default();
        for item in list(fields[2]) {
            if item.is_empty() || !item.chars().all(|c| c.is_ascii_digit()) {
                continue;
            }
            let path = format!("/vms/{}", item.parse::<u64>().unwrap());
            if self.pools.values().all(|members| !members.contains(&path)) {
                self.pools.get_mut(name).unwrap().push(path);
            }
        }
        for item in list(fields[3]) {
            if storage(&item) {
                self.pools.get_mut(name).unwrap().push(format!("/storage/{item}"));
            }
        }
    }

    fn role(&mut self, fields: &[&str], release: Release) {
        if plain(fields[0]) {
            let known = table::privileges(release);
            let role = self.roles.entry(fields[0].to_owned()).or_default();
            role.extend(list(fields[1]).into_iter().filter(|item| known.contains(&item.as_str())));
        }
    }

    fn acl(&mut self, fields: &[&str]) {
        let Some(path) = acl_path(fields[1]) else { return };
        for role in list(fields[3]) {
            if !plain(&role) || !self.roles.contains_key(&role) {
                continue;
            }
            for subject in list(fields[2]) {
                let is_group = subject.starts_with('@') && plain(&subject[1..]);
                if is_group || user(&subject) || self.token_exists(&subject) {
                    self.acl.push((path.clone(), subject, role.clone(), truth(fields[0])));
                }
            }
        }
    }

    fn token_exists(&self, id: &str) -> bool {
        token(id).is_some_and(|(owner, name)| {
            self.users.get(owner).is_some_and(|(_, _, tokens)| tokens.contains_key(name))
        })
    }

    /// `acl[path][subject]`, restricted to what counts.
    fn usable(&self, level: &str, subject: &str, last: bool) -> BTreeMap<String, bool> {
        let mut roles = BTreeMap::new();
        for (path, who, role, propagate) in &self.acl {
            if path == level && who == subject {
                roles.insert(role.clone(), *propagate);
            }
        }
        roles.retain(|_, propagate| last || *propagate);
        roles
    }

    /// ROLES; `order` is the order in which upstream happens to come by the groups.
    fn roles(&self, subject: &str, path: &str, order: &[String]) -> BTreeMap<String, bool> {
        let mut levels = vec!["/".to_owned()];
        for (at, _) in path.match_indices('/').filter(|(at, _)| *at > 0) {
            levels.push(path[..at].to_owned());
        }
        if path != "/" {
            levels.push(path.to_owned());
        }
        let mut current = BTreeMap::new();
        for level in &levels {
            let last = level == path;
            let own = self.usable(level, subject, last);
            if !own.is_empty() {
                current = own;
                continue;
            }
            if user(subject) {
                let mut merged = BTreeMap::new();
                for group in order.iter().filter(|group| self.groups[*group].iter().any(|m| m == subject)) {
                    merged.extend(self.usable(level, &format!("@{group}"), last));
                }
                if !merged.is_empty() {
                    current = merged;
                }
            }
        }
        if let Some(propagate) = current.get("NoAccess") {
            return BTreeMap::from([("NoAccess".to_owned(), *propagate)]);
        }
        current
    }

    fn with_pools(&self, subject: &str, path: &str, order: &[String]) -> BTreeMap<String, bool> {
        let mut roles = self.roles(subject, path, order);
        let mut lent = BTreeMap::new();
        for (name, members) in &self.pools {
            if members.iter().any(|member| member == path) {
                lent.extend(self.roles(subject, &format!("/pool/{name}"), order));
            }
        }
        if !lent.is_empty() && !roles.contains_key("NoAccess") {
            if lent.contains_key("NoAccess") {
                return BTreeMap::from([("NoAccess".to_owned(), false)]);
            }
            for role in lent.into_keys() {
                roles.entry(role).or_insert(false);
            }
        }
        roles
    }

    fn privileges(&self, roles: &BTreeMap<String, bool>) -> BTreeMap<String, bool> {
        let mut all = BTreeMap::new();
        for (role, propagate) in roles {
            for privilege in &self.roles[role] {
                let flag = all.get(privilege).copied().unwrap_or(false) || *propagate;
                all.insert(privilege.clone(), flag);
            }
        }
        all
    }

    fn effective(&self, id: &str, path: &str, order: &[String]) -> BTreeMap<String, bool> {
        if id == "root@pam" {
            return self.roles["Administrator"].iter().map(|privilege| (privilege.clone(), true)).collect();
        }
        if let Some((owner, name)) = token(id) {
            let Some((_, privsep)) = self.users.get(owner).and_then(|(_, _, tokens)| tokens.get(name)) else {
                return BTreeMap::new();
            };
            if !privsep {
                return self.effective(owner, path, order);
            }
            let own = self.privileges(&self.with_pools(id, path, order));
            if owner == "root@pam" {
                return own;
            }
            let owners = self.effective(owner, path, order);
            let both = own.into_iter().filter(|(name, _)| owners.contains_key(name));
            return both.map(|(name, flag)| (name.clone(), flag && owners[&name])).collect();
        }
        if user(id) { self.privileges(&self.with_pools(id, path, order)) } else { BTreeMap::new() }
    }

    /// The outcomes for every order of the groups.
    fn outcomes(&self, id: &str, path: &str) -> Vec<BTreeMap<String, bool>> {
        let names: Vec<String> = self.groups.keys().cloned().collect();
        // Unless groups give one role on one path with both flags their order plays no part.
        let of_groups = || self.acl.iter().filter(|(_, who, _, _)| who.starts_with('@'));
        let differ = of_groups()
            .any(|one| of_groups().any(|other| (&one.0, &one.2) == (&other.0, &other.2) && one.3 != other.3));
        let orders = if differ { orders(&names) } else { vec![names] };
        orders.iter().map(|order| self.effective(id, path, order)).collect()
    }
}

/// Every order of these names.
fn orders(names: &[String]) -> Vec<Vec<String>> {
    if names.is_empty() {
        return vec![Vec::new()];
    }
    let mut all = Vec::new();
    for (at, first) in names.iter().enumerate() {
        let rest: Vec<String> = [&names[..at], &names[at + 1..]].concat();
        for mut order in orders(&rest) {
            order.insert(0, first.clone());
            all.push(order);
        }
    }
    all
}

const USERS: [&str; 7] = ["a@pve", "b@pve", "we!rd@pve", "@joe@pve", "x@y.z@ldap", "ghost@pve", "root@pam"];
const TOKENS: [&str; 7] =
    ["a@pve!ci", "a@pve!full", "b@pve!ci", "we!rd@pve!ci", "root@pam!ci", "root@pam!full", "ghost@pve!ci"];
const NO_IDS: [&str; 8] = ["joe", "a@p", "a@1pve", "@pve", "a/b@pve", "a@pve!c", "a@pve!1c", "a@pve!ci!"];
const GROUPS: [&str; 3] = ["g", "h", "G.1-_"];
const POOLS: [&str; 10] = ["p", "p/q", "p/q/r", "s", "0/p", "p/0", "p/q/r/s", "p//q", "/p", "0"];
const ROLES: [&str; 9] = [
    "One",
    "Two",
    "Empty",
    "NoAccess",
    "PVEAuditor",
    "PVEVMUser",
    "PVEMappingUser",
    "PVEAdmin",
    "Administrator",
];
const PRIVILEGES: [&str; 14] = [
    "VM.Audit",
    "VM.Console",
    "VM.Monitor",
    "VM.GuestAgent.Audit",
    "VM.Replicate",
    "Mapping.Use",
    "SDN.Use",
    "Sys.AccessNetwork",
    "Sys.Audit",
    "Permissions.Modify",
    "User.Modify",
    "VM.Foo",
    "vm.audit",
    "0",
];
const PATHS: [&str; 14] = [
    "/",
    "/vms",
    "/vms/100",
    "/vms/101",
    "/storage",
    "/storage/local",
    "/storage/nfs-1",
    "/pool",
    "/pool/p",
    "/pool/p/q",
    "/pool/s",
    "/access",
    "/access/groups/g",
    "/nodes/n",
];
const ODD_PATHS: [&str; 10] =
    ["//vms///100/", "vms/101", "/vms/0", "/0", "0", "", "/a b", "/pool/p/0", "/vms/../vms", "///"];
const SEPARATORS: [&str; 7] = [",", ";", " ", ", ", ",,", "\t;", "\0"];
const FLAGS: [&str; 8] = ["1", "1", "1", "0", "0", "", "00", "no"];
const TEXTS: [&str; 7] = ["", "text", "a%3Ab", "%zz", "Größe", "0", "# no comment"];
const NUMBERS: [&str; 7] = ["", "0", "0", "1700000000", "00", "soon", "-1"];

fn pick(from: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(from).prop_map(str::to_owned)
}

/// Mostly one of the first, seldom one of the second.
fn mostly(good: &'static [&'static str], bad: &'static [&'static str]) -> BoxedStrategy<String> {
    prop_oneof![12 => pick(good), 1 => pick(bad)].boxed()
}

/// A list in the file's manner: separators in any mix, sometimes in front and at the end as well.
fn items(item: BoxedStrategy<String>, most: usize) -> BoxedStrategy<String> {
    let separator = prop_oneof![6 => Just(",".to_owned()), 1 => pick(&SEPARATORS)];
    let frame = prop_oneof![8 => Just(""), 1 => Just(","), 1 => Just(" ;")];
    (prop::collection::vec(item, 0..most), separator, frame)
        .prop_map(|(list, separator, frame)| format!("{frame}{}{frame}", list.join(&separator)))
        .boxed()
}

fn line() -> BoxedStrategy<String> {
    let known = || mostly(&USERS, &NO_IDS);
    let group = || mostly(&GROUPS, &["0", "a b", "", "a/b"]);
    let role = || mostly(&ROLES, &["Gone", "0", "a/b", ""]);
    let users = (known(), pick(&FLAGS), pick(&NUMBERS), pick(&TEXTS), pick(&TEXTS)).prop_map(
        |(id, flag, expire, name, comment)| format!("user:{id}:{flag}:{expire}:{name}:::{comment}:x:"),
    );
    let tokens = (mostly(&TOKENS, &NO_IDS), pick(&NUMBERS), pick(&FLAGS))
        .prop_map(|(id, expire, privsep)| format!("token:{id}:{expire}:{privsep}:why:"));
    let groups = (group(), items(known(), 4)).prop_map(|(name, list)| format!("group:{name}:{list}:c:"));
    let pools = (
        prop::sample::select(&POOLS[..]),
        items(mostly(&["100", "101", "0101", "102"], &["x", "-1", "0", "1e3"]), 3),
        items(mostly(&["local", "nfs-1"], &["a", "1x", "lo-"]), 3),
    )
        .prop_map(|(name, vms, storages)| format!("pool:{name}:c:{vms}:{storages}:"));
    let roles =
        (role(), items(pick(&PRIVILEGES).boxed(), 4)).prop_map(|(name, list)| format!("role:{name}:{list}:"));
    let subject = prop_oneof![
        4 => pick(&USERS),
        3 => pick(&TOKENS),
        5 => pick(&GROUPS).prop_map(|name| format!("@{name}")),
        1 => mostly(&["@gone", "@0", "@a/b", "@"], &NO_IDS),
    ]
    .boxed();
    let path = mostly(&PATHS, &ODD_PATHS);
    let acl = (pick(&FLAGS), path, items(subject, 3), items(role(), 3))
        .prop_map(|(flag, path, subjects, roles)| format!("acl:{flag}:{path}:{subjects}:{roles}:"));
    let noise = prop::sample::select(vec!["", "# acl", ":", "acl", "User:a@pve:1:", " \t", "role", "::::"]);
    let line = prop_oneof![
        3 => users, 3 => tokens, 4 => groups, 3 => pools, 3 => roles, 12 => acl, 1 => noise.prop_map(str::to_owned)
    ];
    // White space around a field or a line is nothing.
    let padded = |(line, place): (String, usize)| match place {
        0 => format!("  {line}\r"),
        1 => line.replace(':', " :\t"),
        _ => line,
    };
    (line, 0_usize..12).prop_map(padded).boxed()
}

/// A file: some lines that most configurations have, in their order, and random ones among them in any order.
fn text() -> impl Strategy<Value = String> {
    const USUAL: [&str; 10] = [
        "user:a@pve:1:",
        "user:b@pve:1:0:",
        "user:we!rd@pve:1:",
        "token:a@pve!ci:0:1:",
        "token:a@pve!full:0:0:",
        "token:root@pam!ci:0:1:",
        "group:g:a@pve,b@pve:",
        "group:h:a@pve:",
        "role:One:Sys.Audit:",
        "role:Two:VM.Audit,Sys.Audit:",
    ];
    let usual = USUAL.map(|line| prop::bool::weighted(0.8).prop_map(move |on| if on { line } else { "" }));
    let usual = usual.into_iter().collect::<Vec<_>>();
    let more = prop::collection::vec((line(), 0_usize..3), 0..24);
    (usual, more).prop_map(|(usual, more)| {
        let mut lines: Vec<String> =
            usual.into_iter().filter(|line| !line.is_empty()).map(str::to_owned).collect();
        for (line, place) in more {
            if place == 0 { lines.insert(lines.len() / 2, line) } else { lines.push(line) }
        }
        lines.join("\n") + "\n"
    })
}

/// Who the file defines, as the model and the program see it.
fn same_people(model: &Model, cfg: &UserCfg) -> bool {
    let theirs =
        model.users.iter().map(|(id, (enable, expire, tokens))| (id, *enable, *expire, tokens.clone()));
    let ours = cfg.users.iter().map(|(id, user)| {
        let tokens = user.tokens.iter().map(|(name, token)| (name.clone(), (token.expire, token.privsep)));
        (id, user.enable, user.expire, tokens.collect::<Tokens>())
    });
    theirs.eq(ours) && model.groups.keys().eq(cfg.groups.keys()) && model.pools.keys().eq(cfg.pools.keys())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn the_naive_model_agrees_on_every_privilege_and_flag(text in text()) {
        for release in Release::ALL {
            let model = Model::read(&text, release);
            let cfg = user_cfg::parse(&text, release).value;
            prop_assert!(same_people(&model, &cfg), "{} by {}", text, release);
            let effective = Effective::new(&cfg);
            for id in USERS.into_iter().chain(TOKENS).chain(["joe", "a@pve!c"]) {
                for path in PATHS.into_iter().chain(["/vms/102", "/pool/p/q/r", "/pool/p/0", "/vms/0"]) {
                    compare(&model, &effective, id, path).map_err(|wrong| {
                        TestCaseError::fail(format!("{wrong}, {id} on {path} by {release} in\n{text}"))
                    })?;
                }
            }
        }
    }

    #[test]
    fn the_naive_model_agrees_on_which_flags_are_left_to_chance(entries in prop::collection::vec(group_entry(), 1..9)) {
        let text = format!("{THREE_GROUPS}{}", entries.concat());
        let model = Model::read(&text, Release::Pve9);
        let cfg = user_cfg::parse(&text, Release::Pve9).value;
        let effective = Effective::new(&cfg);
        for id in ["a@pve", "b@pve", "a@pve!ci", "a@pve!full"] {
            for path in ["/vms/100", "/vms"] {
                compare(&model, &effective, id, path)
                    .map_err(|wrong| TestCaseError::fail(format!("{wrong}, {id} on {path} in\n{text}")))?;
            }
        }
    }
}

/// Three groups of one user and roles that overlap.
const THREE_GROUPS: &str = "user:a@pve:1:\nuser:b@pve:1:\ntoken:a@pve!ci:0:1:\ntoken:a@pve!full:0:0:\n\
    group:g:a@pve:\ngroup:h:a@pve,b@pve:\ngroup:i:a@pve:\npool:p::100:\nrole:One:Sys.Audit,VM.Audit:\n\
    role:Two:VM.Audit,VM.Console:\nrole:Three:VM.Console,Sys.Audit:\nacl:1:/vms/100:a@pve!ci:One,Three:\n";

fn group_entry() -> impl Strategy<Value = String> {
    let flag = prop::bool::ANY.prop_map(u8::from);
    let path = prop_oneof![8 => Just("/vms/100"), 1 => Just("/vms"), 1 => Just("/pool/p")];
    let role = prop_oneof![12 => pick(&["One", "Two", "Three"]), 1 => pick(&["NoAccess"])];
    (flag, path, pick(&["g", "h", "i"]), role)
        .prop_map(|(flag, path, group, role)| format!("acl:{flag}:{path}:@{group}:{role}:\n"))
}

/// What the program says about one id on one path against what the model finds for every order of the groups.
fn compare(model: &Model, effective: &Effective<'_>, id: &str, path: &str) -> Result<(), String> {
    let outcomes = model.outcomes(id, path);
    let ours = effective.privileges(id, path);
    for outcome in &outcomes {
        if !outcome.keys().eq(ours.keys()) {
            return Err(format!("{ours:?} is not {outcome:?}"));
        }
    }
    let mut by_chance = BTreeSet::new();
    for (name, flag) in &ours {
        let can_be = |flag: bool| outcomes.iter().any(|outcome| outcome[*name] == flag);
        if can_be(true) && can_be(false) {
            by_chance.insert(*name);
        }
        // Where it is left to chance the wider one is shown.
        if *flag != can_be(true) || !effective.has(id, path, name) {
            return Err(format!("{name} does not propagate as it should"));
        }
    }
    let said = effective.ambiguous(id, path);
    if said == by_chance { Ok(()) } else { Err(format!("{said:?} said, {by_chance:?} left to chance")) }
}

#[test]
fn the_tables_agree() {
    for release in Release::ALL {
        let theirs: BTreeSet<&str> = table::privileges(release).into_iter().collect();
        assert_eq!(user_cfg::roles::privileges(release), theirs);
        for name in table::NAMES {
            let theirs = table::role(name, release).map(|role| role.into_iter().collect::<BTreeSet<_>>());
            assert_eq!(user_cfg::roles::builtin(name, release), theirs, "{name} of {release}");
        }
        let known = table::NAMES.iter().filter(|name| table::role(name, release).is_some());
        assert_eq!(user_cfg::roles::builtin_roles(release), known.copied().collect());
    }
}
