//! Words that text and report share.

use jiff::Timestamp;

use super::rights::{Except, Member, Reach, Right};
use crate::formats::user_cfg::{AclEntry, AclSubject};

/// A time in seconds since the epoch as RFC 3339; 0 is never.
pub(super) fn time(seconds: u64) -> Option<String> {
    if seconds == 0 {
        return None;
    }
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    // Later than the year 9999: the number itself.
    Some(time.map_or_else(|| seconds.to_string(), |time| time.to_string()))
}

/// How an ACL entry comes to somebody: nothing to say of his own.
pub(super) fn through(entry: &AclEntry) -> String {
    match &entry.subject {
        AclSubject::Group(group) => format!("through the group {group}, line {}", entry.line),
        AclSubject::User(_) | AclSubject::Token(_) => format!("line {}", entry.line),
    }
}

/// What a right holds on.
pub(super) fn object(right: &Right<'_>) -> String {
    let path = &right.entry.path;
    match right.reach {
        Reach::Whole => path.clone(),
        Reach::Alone => format!("{path} alone"),
        Reach::Below => format!("everything below {path}"),
    }
}

/// Where a right does not hold.
pub(super) fn except(except: &Except<'_>) -> String {
    match except {
        Except::Path(path) => (*path).to_owned(),
        Except::Alone(path) => format!("{path} alone"),
        Except::Below(path) => format!("everything below {path}"),
        Except::MembersOf(pool) => format!("the members of the pool {pool}"),
    }
}

/// The paths of members, at most `limit` of them.
pub(super) fn members(members: &[Member<'_>], limit: usize) -> String {
    some(members.iter().map(|member| member.path()), members.len(), limit)
}

/// The first texts, joined, and how many more there are.
pub(super) fn some(texts: impl Iterator<Item = String>, count: usize, limit: usize) -> String {
    let shown: Vec<String> = texts.take(limit).collect();
    let more = count.saturating_sub(shown.len());
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    shown.join(", ") + &more
}
