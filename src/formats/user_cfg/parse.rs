//! The lines of user.cfg, one after the other.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::acl_path::{is_api_path, normalise};
use super::names::{ROOT, is_plain_name, is_pool_name, is_storage_id, is_user_id, split_token_id};
use super::text::{Fields, digits, has_new_white_space, is_true, list, list_with_new_white_space, trim};
use super::{AclEntry, AclSubject, Group, Keys, Pool, Role, Token, User, UserCfg, codes, roles};
use crate::formats::release::Release;
use crate::formats::{Issue, Parsed, bytes, numbered, shown};

/// Most ACL entries that are read. A line grants each of its roles to each of its subjects, so a small file
/// could otherwise ask for a table of any size.
pub const ACL_LIMIT: usize = 200_000;

/// The rules user.cfg is read by, as far as they differ between releases and between the packages of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// The release.
    pub release: Release,
    /// Whether pools nest: from libpve-access-control 8.0.7 on.
    pub nested_pools: bool,
    /// Whether lists are split inside some letters as well: from libpve-common-perl 9.1.17 on. Nothing if that is
    /// not known.
    pub splits_letters: Option<bool>,
}

impl Rules {
    /// The rules of the last packages of a release; whether those of release 9 split letters is left open, because
    /// the first ones do not.
    pub fn of(release: Release) -> Self {
        let splits_letters = if release < Release::Pve9 { Some(false) } else { None };
        Self { release, nested_pools: release >= Release::Pve8, splits_letters }
    }
}

/// Reads user.cfg by the rules of `release`. An empty text, also that of a missing file, gives `root@pam` and
/// nothing else. What is no UTF-8 in the file comes by [`crate::formats::bytes::text`].
pub fn parse(text: &str, release: Release) -> Parsed<UserCfg> {
    parse_by(text, Rules::of(release))
}

/// As [`parse`], by the rules of certain packages.
pub fn parse_by(text: &str, rules: Rules) -> Parsed<UserCfg> {
    let mut reader = Reader::new(rules);
    for (number, line) in numbered(text) {
        let line = trim(line);
        if !line.is_empty() {
            reader.line = number;
            reader.read(line);
        }
    }
    reader.finish()
}

/// Roles on one path for one subject.
type AclKey = (String, AclSubject, String);

struct Reader {
    rules: Rules,
    cfg: UserCfg,
    acl: BTreeMap<AclKey, (bool, u32)>,
    vm_pools: BTreeMap<u64, String>,
    /// Pools that so far only a nested one has brought into being.
    implied_pools: BTreeSet<String>,
    issues: Vec<Issue>,
    line: u32,
}

impl Reader {
    fn new(rules: Rules) -> Self {
        let root = User { enable: true, line: None, ..User::empty(0) };
        let cfg = UserCfg {
            release: rules.release,
            users: BTreeMap::from([(ROOT.to_owned(), root)]),
            groups: BTreeMap::new(),
            pools: BTreeMap::new(),
            roles: BTreeMap::new(),
            acl: Vec::new(),
            remarks: Vec::new(),
            memberships: BTreeMap::new(),
        };
        Self {
            rules,
            cfg,
            acl: BTreeMap::new(),
            vm_pools: BTreeMap::new(),
            implied_pools: BTreeSet::new(),
            issues: Vec::new(),
            line: 0,
        }
    }

    fn issue(&mut self, code: &'static str, what: impl Into<String>) {
        self.issues.push(Issue::coded(self.line, code, what));
    }

    fn remark(&mut self, code: &'static str, what: impl Into<String>) {
        self.cfg.remarks.push(Issue::coded(self.line, code, what));
    }

    fn read(&mut self, line: &str) {
        let (kind, fields) = Fields::split(line);
        let known_fields = match kind {
            "user" => {
                self.user(&fields);
                8
            }
            "token" => {
                self.token(&fields);
                4
            }
            "group" => {
                self.group(&fields);
                3
            }
            "pool" => {
                self.pool(&fields);
                4
            }
            "role" => {
                self.role(&fields);
                2
            }
            "acl" => {
                self.acl(&fields);
                4
            }
            // Not quoted: it may be a misspelt user line.
            _ => return self.issue(codes::UNKNOWN_LINE, "unknown kind of line is ignored"),
        };
        if fields.any_after(known_fields) {
            self.issue(
                codes::SURPLUS_FIELDS,
                format!("fields after number {known_fields} of a {kind} line are ignored"),
            );
        }
    }

    fn user(&mut self, fields: &Fields<'_>) {
        let id = fields.get(1);
        if !is_user_id(id) {
            return self.issue(codes::INVALID_USER, "user with an invalid user id is ignored");
        }
        let Some(expire) = seconds(fields.get(3)) else {
            return self.issue(
                codes::INVALID_EXPIRY,
                format!("user {} is ignored: his expiry is not a number", shown(id)),
            );
        };
        if id.chars().any(|c| bytes::byte_of(c).is_some()) {
            self.remark(codes::NOT_UTF_8, format!("user id {} is no UTF-8", shown(id)));
        }
        let user = User {
            enable: is_true(fields.get(2)),
            expire,
            first_name: fields.text(4),
            last_name: fields.text(5),
            // Neither decoded nor dropped when it is `0`.
            email: Some(fields.get(6)).filter(|email| !email.is_empty()).map(ToOwned::to_owned),
            comment: fields.text(7),
            keys: Keys::classify(fields.get(8)),
            ..User::empty(self.line)
        };
        let replaced = self.cfg.users.insert(id.to_owned(), user);
        if replaced.is_some_and(|old| old.line.is_some() || !old.tokens.is_empty()) {
            self.issue(
                codes::DUPLICATE_USER,
                format!("line for user {} replaces what stands above, also his tokens", shown(id)),
            );
        }
    }

    fn token(&mut self, fields: &Fields<'_>) {
        let id = fields.get(1);
        let Some((user, name)) = split_token_id(id) else {
            // Not quoted: somebody may have written the secret of the token behind its id.
            return self.issue(codes::INVALID_TOKEN, "token with an invalid id is ignored");
        };
        let Some(expire) = seconds(fields.get(2)) else {
            return self.issue(
                codes::INVALID_EXPIRY,
                format!("token {} is ignored: its expiry is not a number", shown(id)),
            );
        };
        let line = self.line;
        let Some(owner) = self.cfg.users.get_mut(user) else {
            return self.issue(
                codes::TOKEN_WITHOUT_USER,
                format!("token {} is ignored: its user is not on a line above", shown(id)),
            );
        };
        let comment = owner.tokens.get_mut(name).map(|old| old.comment.take());
        let is_repeated = comment.is_some();
        let token = Token {
            expire,
            privsep: is_true(fields.get(3)),
            comment: fields.text(4).or(comment.flatten()),
            line,
        };
        owner.tokens.insert(name.to_owned(), token);
        if is_repeated {
            let what = format!("line for token {} overwrites all but the comment of one above", shown(id));
            self.remark(codes::DUPLICATE_TOKEN, what);
        }
    }

    fn group(&mut self, fields: &Fields<'_>) {
        let name = fields.get(1);
        if !is_plain_name(name) {
            return self.issue(
                codes::INVALID_GROUP,
                format!("group with the invalid name {} is ignored", shown(name)),
            );
        }
        let old = self.cfg.groups.remove(name);
        if old.is_some() {
            self.remark(codes::DUPLICATE_GROUP, format!("line for group {} adds to one above", shown(name)));
        }
        let line = self.line;
        let mut group = old.unwrap_or_else(|| Group { members: BTreeSet::new(), comment: None, line });
        group.comment = fields.text(3).or(group.comment);
        for member in self.list(fields.get(2)) {
            if !is_user_id(&member) {
                // Not quoted here and in ACLs, as with tokens.
                self.issue(codes::INVALID_MEMBER, "invalid user id in a group is ignored");
                continue;
            }
            if let Some(user) = self.cfg.users.get_mut(&*member) {
                user.noted_groups.insert(name.to_owned());
            } else {
                let what = format!(
                    "user {} in group {} is not on a line above: he is kept as a member",
                    shown(&member),
                    shown(name)
                );
                self.remark(codes::UNKNOWN_MEMBER, what);
            }
            group.members.insert(member.into_owned());
        }
        self.cfg.groups.insert(name.to_owned(), group);
    }

    fn pool(&mut self, fields: &Fields<'_>) {
        let name = fields.get(1);
        let is_nested_too_early = name.contains('/') && !self.rules.nested_pools;
        if is_nested_too_early || !is_pool_name(name, self.cfg.release) {
            return self.issue(
                codes::INVALID_POOL,
                format!("pool with the invalid name {} is ignored", shown(name)),
            );
        }
        if self.cfg.pools.contains_key(name) && !self.implied_pools.remove(name) {
            self.remark(codes::DUPLICATE_POOL, format!("line for pool {} adds to one above", shown(name)));
        }
        self.link_pool(name);
        let comment = fields.text(2);
        let vms = self.pool_vms(name, fields.get(3));
        let storages = self.pool_storages(fields.get(4));
        let pool = self.pool_entry(name);
        pool.comment = comment.or(pool.comment.take());
        pool.vms.extend(vms);
        pool.storages.extend(storages);
    }

    fn pool_entry(&mut self, name: &str) -> &mut Pool {
        let line = self.line;
        self.cfg.pools.entry(name.to_owned()).or_insert_with(|| Pool {
            comment: None,
            vms: BTreeSet::new(),
            storages: BTreeSet::new(),
            parent: None,
            children: BTreeSet::new(),
            line,
        })
    }

    /// Brings the ancestors of a nested pool into being and links them.
    fn link_pool(&mut self, name: &str) {
        let mut current = name;
        while let Some((parent, _)) = current.rsplit_once('/') {
            self.pool_entry(current).parent = Some(parent.to_owned());
            if !self.cfg.pools.contains_key(parent) {
                self.implied_pools.insert(parent.to_owned());
            }
            self.pool_entry(parent).children.insert(current.to_owned());
            current = parent;
        }
    }

    fn pool_vms(&mut self, pool: &str, field: &str) -> Vec<u64> {
        let mut vms = Vec::new();
        for item in self.list(field) {
            let Some(vm) = digits(&item) else {
                self.issue(
                    codes::INVALID_GUEST,
                    format!("invalid guest id {} in a pool is ignored", shown(&item)),
                );
                continue;
            };
            if let Some(first) = self.vm_pools.get(&vm) {
                let what = format!("guest {vm} is already in pool {}: this mention is ignored", shown(first));
                self.issue(codes::DUPLICATE_GUEST, what);
                continue;
            }
            self.vm_pools.insert(vm, pool.to_owned());
            vms.push(vm);
        }
        vms
    }

    fn pool_storages(&mut self, field: &str) -> Vec<String> {
        let mut storages = Vec::new();
        for item in self.list(field) {
            if is_storage_id(&item) {
                storages.push(item.into_owned());
            } else {
                self.issue(
                    codes::INVALID_STORAGE,
                    format!("invalid storage {} in a pool is ignored", shown(&item)),
                );
            }
        }
        storages
    }

    fn role(&mut self, fields: &Fields<'_>) {
        let name = fields.get(1);
        if !is_plain_name(name) {
            return self.issue(
                codes::INVALID_ROLE,
                format!("role with the invalid name {} is ignored", shown(name)),
            );
        }
        let release = self.cfg.release;
        let line = self.line;
        let items = self.list(fields.get(2));
        let builtin = roles::is_builtin(name, release);
        if builtin {
            self.remark(codes::BUILTIN_ROLE, format!("line extends the built-in role {name}"));
        } else if self.cfg.roles.contains_key(name) {
            self.remark(codes::DUPLICATE_ROLE, format!("line for role {} adds to one above", shown(name)));
        }
        let role = self.cfg.roles.entry(name.to_owned()).or_insert_with(|| Role {
            privileges: BTreeSet::new(),
            unknown: BTreeSet::new(),
            builtin,
            line,
        });
        let mut unknown = Vec::new();
        for item in items {
            match roles::privilege(&item, release) {
                Some(privilege) => {
                    role.privileges.insert(privilege);
                }
                None if role.unknown.insert(item.clone().into_owned()) => unknown.push(item),
                None => {}
            }
        }
        for item in unknown {
            let what =
                format!("privilege {} is none of {release} and is ignored, the role is kept", shown(&item));
            self.remark(codes::UNKNOWN_PRIVILEGE, what);
        }
    }

    fn acl(&mut self, fields: &Fields<'_>) {
        let propagate = is_true(fields.get(1));
        let Some(path) = normalise(fields.get(2)) else {
            return self.issue(
                codes::INVALID_PATH,
                format!("ACL on the invalid path {} is ignored", shown(fields.get(2))),
            );
        };
        let roles = self.acl_roles(fields.get(4));
        // Upstream does not look at the subjects of a line without a usable role.
        let subjects = if roles.is_empty() { BTreeSet::new() } else { self.acl_subjects(fields.get(3)) };
        if !subjects.is_empty() && !is_api_path(&path, self.cfg.release) {
            let what = format!("ACL on {}, a path that nothing checks", shown(&path));
            self.remark(codes::DEAD_PATH, what);
        }
        if subjects.contains(&AclSubject::User(ROOT.to_owned())) {
            self.remark(codes::ACL_FOR_ROOT, format!("ACL for {ROOT}, to whom no ACL applies"));
        }
        let mut is_contradicting = false;
        for subject in &subjects {
            for role in &roles {
                let key = (path.clone(), subject.clone(), role.clone().into_owned());
                if self.acl.len() >= ACL_LIMIT && !self.acl.contains_key(&key) {
                    return self.issue(
                        codes::TOO_MANY_ENTRIES,
                        format!("more than {ACL_LIMIT} ACL entries: the rest of this line is not read"),
                    );
                }
                let old = self.acl.insert(key, (propagate, self.line));
                is_contradicting |= old.is_some_and(|(old, _)| old != propagate);
            }
        }
        if is_contradicting {
            let what = "entry that stands above with another propagation: this one counts";
            self.remark(codes::CONTRADICTING_ACL, what);
        }
    }

    fn acl_roles<'a>(&mut self, field: &'a str) -> BTreeSet<Cow<'a, str>> {
        let mut known = BTreeSet::new();
        for item in self.list(field) {
            if self.is_role(&item) {
                known.insert(item);
            } else if is_plain_name(&item) {
                self.issue(
                    codes::UNKNOWN_ROLE,
                    format!("role {} of an ACL is not on a line above and is ignored", shown(&item)),
                );
            } else {
                self.issue(codes::INVALID_ACL_ROLE, "invalid role name in an ACL is ignored");
            }
        }
        known
    }

    fn is_role(&self, name: &str) -> bool {
        self.cfg.roles.contains_key(name) || roles::is_builtin(name, self.cfg.release)
    }

    fn acl_subjects(&mut self, field: &str) -> BTreeSet<AclSubject> {
        let mut subjects = BTreeSet::new();
        for item in self.list(field) {
            match subject(&item) {
                Some(AclSubject::Token(id)) if self.cfg.token(&id).is_none() => {
                    self.issue(
                        codes::UNKNOWN_TOKEN,
                        format!("token {} of an ACL is not on a line above and is ignored", shown(&id)),
                    );
                }
                Some(subject) => {
                    subjects.insert(subject);
                }
                None => {
                    self.issue(
                        codes::INVALID_SUBJECT,
                        "what is no user, group or token in an ACL is ignored",
                    );
                }
            }
        }
        subjects
    }

    fn list<'a>(&mut self, field: &'a str) -> Vec<Cow<'a, str>> {
        match self.rules.splits_letters {
            Some(true) => return list_with_new_white_space(field),
            None if has_new_white_space(field) => {
                let what = "list with a letter that pve-common from 9.1.17 on splits into pieces: read as before that";
                self.issue(codes::SPLIT_LETTER, what);
            }
            _ => {}
        }
        list(field)
    }

    fn finish(mut self) -> Parsed<UserCfg> {
        let entries = std::mem::take(&mut self.acl);
        let cfg = &self.cfg;
        let acl = entries.into_iter().map(|((path, subject, role), (propagate, line))| {
            let dangling = match &subject {
                AclSubject::User(id) => !cfg.users.contains_key(id),
                AclSubject::Group(name) => !cfg.groups.contains_key(name),
                AclSubject::Token(id) => cfg.token(id).is_none(),
            };
            AclEntry { path, subject, role, propagate, dangling, line }
        });
        let acl = acl.collect();
        self.cfg.acl = acl;
        self.remark_dangling();
        for (name, group) in &self.cfg.groups {
            for member in &group.members {
                self.cfg.memberships.entry(member.clone()).or_default().push(name.clone());
            }
        }
        Parsed { value: self.cfg, issues: self.issues }
    }
}

impl Reader {
    /// Remarks every dangling subject once per line.
    fn remark_dangling(&mut self) {
        let dangling = self.cfg.acl.iter().filter(|entry| entry.dangling);
        let found: BTreeSet<(u32, &AclSubject)> =
            dangling.map(|entry| (entry.line, &entry.subject)).collect();
        let remark = |(line, subject): (u32, &AclSubject)| {
            let what = match subject {
                AclSubject::User(id) => {
                    format!("ACL for {}, a user who does not exist: it waits for him", shown(id))
                }
                AclSubject::Group(name) => {
                    format!("ACL for {}, a group that does not exist: it waits for it", shown(name))
                }
                AclSubject::Token(id) => {
                    format!("ACL for {}, a token that no longer exists: it waits for it", shown(id))
                }
            };
            Issue::coded(line, codes::DANGLING_SUBJECT, what)
        };
        let found: Vec<Issue> = found.into_iter().map(remark).collect();
        self.cfg.remarks.extend(found);
        self.cfg.remarks.sort_by_key(|remark| remark.line);
    }
}

/// Who an item of an ACL names, whether or not it exists. What follows an `@` but is no group name may still
/// be a user id.
fn subject(item: &str) -> Option<AclSubject> {
    if let Some(group) = item.strip_prefix('@').filter(|group| is_plain_name(group)) {
        return Some(AclSubject::Group(group.to_owned()));
    }
    if is_user_id(item) {
        return Some(AclSubject::User(item.to_owned()));
    }
    split_token_id(item).map(|_| AclSubject::Token(item.to_owned()))
}

/// Seconds since the epoch; empty and `0` are never.
fn seconds(field: &str) -> Option<u64> {
    if is_true(field) { digits(field) } else { Some(0) }
}

impl User {
    fn empty(line: u32) -> Self {
        Self {
            enable: false,
            expire: 0,
            first_name: None,
            last_name: None,
            email: None,
            comment: None,
            keys: Keys::None,
            tokens: BTreeMap::new(),
            noted_groups: BTreeSet::new(),
            line: Some(line),
        }
    }
}

impl Keys {
    fn classify(field: &str) -> Self {
        if !is_true(field) {
            Self::None
        } else if field == "x" || field.starts_with("x!") {
            Self::Marker
        } else {
            Self::LegacySecret
        }
    }
}
