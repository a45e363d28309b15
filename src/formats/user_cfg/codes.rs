//! What kinds of issues and remarks user.cfg can have, for machines. The codes never change their meaning.

/// A line of no known kind (comments are such lines too): dropped.
pub const UNKNOWN_LINE: &str = "unknown-line";
/// Fields behind the last one of the kind of line, as a raw `:` in free text makes them: ignored.
pub const SURPLUS_FIELDS: &str = "surplus-fields";
/// A user line with an id that is none: dropped.
pub const INVALID_USER: &str = "invalid-user";
/// A second line for a user: it replaces what stands above, tokens included.
pub const DUPLICATE_USER: &str = "duplicate-user";
/// An expiry of a user or token that is no number: the line is dropped.
pub const INVALID_EXPIRY: &str = "invalid-expiry";
/// A token line with an id that is none: dropped.
pub const INVALID_TOKEN: &str = "invalid-token";
/// A token line whose user is not on a line above: dropped.
pub const TOKEN_WITHOUT_USER: &str = "token-without-user";
/// A group line with a name that is none: dropped.
pub const INVALID_GROUP: &str = "invalid-group";
/// What is no user id in the member list of a group: dropped.
pub const INVALID_MEMBER: &str = "invalid-member";
/// A pool line with a name the release does not take: dropped.
pub const INVALID_POOL: &str = "invalid-pool";
/// What is no guest id in the guest list of a pool: dropped.
pub const INVALID_GUEST: &str = "invalid-guest";
/// A guest that is in a pool already: this mention is dropped.
pub const DUPLICATE_GUEST: &str = "duplicate-guest";
/// What is no storage id in the storage list of a pool: dropped.
pub const INVALID_STORAGE: &str = "invalid-storage";
/// A role line with a name that is none: dropped.
pub const INVALID_ROLE: &str = "invalid-role";
/// An ACL line on a path that is none: dropped.
pub const INVALID_PATH: &str = "invalid-path";
/// What is no role name in the role list of an ACL: dropped.
pub const INVALID_ACL_ROLE: &str = "invalid-acl-role";
/// A role in an ACL that no line above defines: dropped.
pub const UNKNOWN_ROLE: &str = "unknown-role";
/// What is no user, group or token in the subject list of an ACL: dropped.
pub const INVALID_SUBJECT: &str = "invalid-subject";
/// A token in an ACL that no line above defines: dropped.
pub const UNKNOWN_TOKEN: &str = "unknown-token";
/// More ACL entries than are read here: the rest is not read.
pub const TOO_MANY_ENTRIES: &str = "too-many-acl-entries";
/// A list that newer versions of pve-common split inside a letter.
pub const SPLIT_LETTER: &str = "split-letter";

/// Remark: a member of a group that has no user line: kept, and a member as soon as somebody creates the user.
pub const UNKNOWN_MEMBER: &str = "unknown-member";
/// Remark: an ACL for a user, group or token without a line: kept, and effective as soon as somebody creates it.
pub const DANGLING_SUBJECT: &str = "dangling-subject";
/// Remark: an ACL for `root@pam`, to whom no ACL applies.
pub const ACL_FOR_ROOT: &str = "acl-for-root";
/// Remark: an ACL on a path that no API call checks.
pub const DEAD_PATH: &str = "dead-path";
/// Remark: the same subject has the same role on the same path twice with different propagation: the last counts.
pub const CONTRADICTING_ACL: &str = "contradicting-acl";
/// Remark: a privilege the release does not know: dropped, the role is kept.
pub const UNKNOWN_PRIVILEGE: &str = "unknown-privilege";
/// Remark: a role line that extends a built-in role. The API never writes that.
pub const BUILTIN_ROLE: &str = "builtin-role-extended";
/// Remark: a user id with bytes that are no UTF-8. It is told apart from every other.
pub const NOT_UTF_8: &str = "not-utf-8";
/// Remark: a second line for a token: merged, the last expiry and privilege separation count.
pub const DUPLICATE_TOKEN: &str = "duplicate-token";
/// Remark: a second line for a group: the members are united.
pub const DUPLICATE_GROUP: &str = "duplicate-group";
/// Remark: a second line for a pool: the guests and storages are united.
pub const DUPLICATE_POOL: &str = "duplicate-pool";
/// Remark: a second line for a role: the privileges are united.
pub const DUPLICATE_ROLE: &str = "duplicate-role";

/// Every code of a dropped or doubtful place, which a pass must not rest on.
pub const ISSUES: [&str; 21] = [
    UNKNOWN_LINE,
    SURPLUS_FIELDS,
    INVALID_USER,
    DUPLICATE_USER,
    INVALID_EXPIRY,
    INVALID_TOKEN,
    TOKEN_WITHOUT_USER,
    INVALID_GROUP,
    INVALID_MEMBER,
    INVALID_POOL,
    INVALID_GUEST,
    DUPLICATE_GUEST,
    INVALID_STORAGE,
    INVALID_ROLE,
    INVALID_PATH,
    INVALID_ACL_ROLE,
    UNKNOWN_ROLE,
    INVALID_SUBJECT,
    UNKNOWN_TOKEN,
    TOO_MANY_ENTRIES,
    SPLIT_LETTER,
];

/// Every code of a place that is suspicious but means exactly one thing.
pub const REMARKS: [&str; 12] = [
    NOT_UTF_8,
    UNKNOWN_MEMBER,
    DANGLING_SUBJECT,
    ACL_FOR_ROOT,
    DEAD_PATH,
    CONTRADICTING_ACL,
    UNKNOWN_PRIVILEGE,
    BUILTIN_ROLE,
    DUPLICATE_TOKEN,
    DUPLICATE_GROUP,
    DUPLICATE_POOL,
    DUPLICATE_ROLE,
];
