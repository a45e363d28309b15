//! How bad a weakness is: by what the person it belongs to can do.

use super::super::Look;
use crate::catalogue::Severity;
use crate::formats::user_cfg::AclSubject;
use crate::formats::user_cfg::names::split_user_id;
use crate::host::access::Standing;
use crate::outcome::Judgement;

/// How bad it is if somebody else acts as this user. `None` where nobody's power is known: the severity of the check
/// then stands.
pub(super) fn weight(look: &Look<'_>, id: &str) -> Option<Severity> {
    Some(look.host.powers().value.as_ref().ok()?.rank(id).severity())
}

/// How bad it is if somebody is put into any of the groups that the provider of a realm fills, whose names end in
/// `-REALM`. A group that is not there counts if the realm creates groups.
pub(super) fn weight_of_groups(look: &Look<'_>, realm: &str, creates_groups: bool) -> Option<Severity> {
    let cfg = look.host.access().value.as_ref().ok()?;
    let powers = look.host.powers().value.as_ref().ok()?;
    let end = format!("-{realm}");
    let groups = cfg.acl.iter().filter_map(|entry| match &entry.subject {
        AclSubject::Group(name) => Some(name),
        _ => None,
    });
    let filled = groups
        .filter(|name| name.ends_with(&end) && (creates_groups || cfg.groups.contains_key(*name)))
        .filter_map(|name| powers.of_member(name));
    Some(filled.map(|power| power.rank.severity()).max().unwrap_or(Severity::Info))
}

/// How bad it is if somebody else acts as any active user of this realm, or as the strongest of them.
pub(super) fn weight_of_realm(look: &Look<'_>, realm: &str) -> Option<Severity> {
    let cfg = look.host.access().value.as_ref().ok()?;
    let active = cfg.users.iter().filter(|(_, user)| Standing::of_user(user, look.now) == Standing::Active);
    let here = active.filter(|(id, _)| split_user_id(id).is_some_and(|(_, name)| name == realm));
    let weights: Option<Vec<Severity>> = here.map(|(id, _)| weight(look, id)).collect();
    Some(weights?.into_iter().max().unwrap_or(Severity::Info))
}

/// `judgement` with this weight, held between `least` and `most`.
pub(super) fn weighed(
    judgement: Judgement,
    weight: Option<Severity>,
    least: Severity,
    most: Severity,
) -> Judgement {
    match weight {
        Some(weight) => judgement.severity(weight.clamp(least, most)),
        None => judgement,
    }
}
