//! Power that the name of a role does not tell.

use std::collections::{BTreeMap, BTreeSet};

use super::super::{Judged, Look};
use super::grants;
use crate::formats::user_cfg::{AclSubject, UserCfg};
use crate::host::Stop;
use crate::host::access::power::{Power, Powers, Rank};
use crate::outcome::{Judgement, Subject, SubjectKind};

/// The rules of those who are known to administer: by their role, or for they are root.
const OPENLY: [&str; 2] = ["every-privilege", "root"];

/// Somebody whose power is judged: a group stands for everybody in it.
type Holder<'a> = (SubjectKind, &'a Power);

/// Everybody ACL entries are for, groups as their bare members, and the users whom several groups together give more
/// than any does alone. Whoever does not exist is left to the check of dangling entries.
fn holders<'a>(cfg: &'a UserCfg, powers: &'a Powers) -> Vec<Holder<'a>> {
    let subjects: BTreeSet<&AclSubject> =
        cfg.acl.iter().filter(|entry| !entry.dangling).map(|entry| &entry.subject).collect();
    let named = subjects.iter().filter_map(|subject| {
        Some(match subject {
            AclSubject::User(id) => (SubjectKind::User, powers.of(id)?),
            AclSubject::Token(id) => (SubjectKind::Token, powers.of(id)?),
            AclSubject::Group(name) => (SubjectKind::Group, powers.of_member(name)?),
        })
    });
    let by_groups = best_of_groups(cfg, powers).into_iter().filter_map(|(id, rank)| {
        let power = powers.of(id).filter(|power| power.rank > rank)?;
        (!subjects.contains(&AclSubject::User(id.to_owned()))).then_some((SubjectKind::User, power))
    });
    named.chain(by_groups).collect()
}

/// The most that one of the groups of each user gives by itself.
fn best_of_groups<'a>(cfg: &'a UserCfg, powers: &Powers) -> BTreeMap<&'a str, Rank> {
    let mut best: BTreeMap<&str, Rank> = BTreeMap::new();
    for (name, group) in &cfg.groups {
        let rank = powers.of_member(name).map_or(Rank::Nothing, |power| power.rank);
        for id in group.members.iter().filter(|id| cfg.users.contains_key(*id)) {
            let so_far = best.entry(id).or_insert(rank);
            *so_far = rank.max(*so_far);
        }
    }
    best
}

fn of_holder((kind, power): &Holder<'_>) -> Subject {
    Subject::new(*kind, &power.id)
}

/// Judges every holder of rights.
fn each_holder(look: &Look<'_>, judge: impl Fn(&Powers, &Power) -> Judgement) -> Judged {
    let cfg = look.take(look.host.access())?;
    let powers = look.take(look.host.powers())?;
    let all = holders(cfg, powers);
    if all.is_empty() {
        return Err(Stop::not_applicable("no ACL gives anybody anything"));
    }
    look.each(all, of_holder, |_, (_, power)| Ok(judge(powers, power).with_all(grants(power))))
}

/// `access/hidden-administrator`
pub(crate) fn hidden_administrator(look: &Look<'_>) -> Judged {
    each_holder(look, |powers, power| {
        let ways = power.root_ways();
        let openly = ways.iter().any(|way| OPENLY.contains(&way.rule.id));
        let Some(first) = ways.first() else { return Judgement::pass("has no way to full power or to root") };
        if openly {
            return Judgement::pass("administers by the name of the role");
        }
        let chain = powers.chain(power, first).join(" → ");
        let more = match ways.len() {
            1 => String::new(),
            2 => ", and there is one more way".to_owned(),
            more => format!(", and there are {} more ways", more - 1),
        };
        Judgement::fail(format!("can become root without a role that says so: {chain}{more}"))
    })
}

/// `access/strong-right-of-non-administrator`
pub(crate) fn strong_right_of_non_administrator(look: &Look<'_>) -> Judged {
    each_holder(look, |powers, power| match power.rank {
        Rank::Strong => Judgement::fail(format!("is one step from administering: {}", powers.why(power))),
        Rank::HostRoot | Rank::Administrator => Judgement::pass("administers, which other checks judge"),
        _ => Judgement::pass(format!("{}, which is no step to the host", power.rank.words())),
    })
}
