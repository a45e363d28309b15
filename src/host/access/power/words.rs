//! Powers in words.

use super::{Held, Over, Power, Powers, Way};
use crate::formats::user_cfg::names::ROOT;
use crate::formats::user_cfg::{AclEntry, AclSubject};

/// The most steps of a chain that are told: more do not make it clearer.
const STEPS: usize = 8;

impl Powers {
    /// How a way leads there, step by step, such as `token alice@pve!ci`, `User.Modify on /access/groups
    /// (PVEUserAdmin on /access)`, `can create a token of root@pam`.
    pub fn chain(&self, power: &Power, way: &Way) -> Vec<String> {
        let kind = if power.owner.is_some() { "token" } else { "user" };
        let mut steps = vec![format!("{kind} {}", power.id)];
        if power.through_owner {
            steps.push(format!("has every right of {}", power.owner.as_deref().unwrap_or_default()));
        }
        // Everybody knows what root can do.
        if power.owner.as_deref() == Some(ROOT) && power.through_owner {
            return steps;
        }
        self.append(way, &mut steps);
        steps
    }

    fn append(&self, way: &Way, steps: &mut Vec<String>) {
        let mut way = way;
        while steps.len() < STEPS {
            steps.extend(held(way));
            steps.push(then(way));
            let Some(next) = way.over.as_ref().and_then(|over| self.best(over)) else { return };
            way = next;
        }
    }

    /// The way to tell of whoever a way leads over; none for `root@pam`, of whom everybody knows.
    fn best(&self, over: &Over) -> Option<&Way> {
        let power = match over {
            Over::User(id) if id == ROOT => return None,
            Over::User(id) => self.of(id)?,
            Over::Group(name) => self.of_member(name)?,
        };
        power.ways().into_iter().next()
    }

    /// Why somebody has the power he has, as one part of a sentence, such as "can create a token of root@pam:
    /// User.Modify on /access/groups (`PVEUserAdmin` on /access)", and how many more ways there are.
    pub fn why(&self, power: &Power) -> String {
        let ways = if power.is_root_equivalent() { power.root_ways() } else { power.ways() };
        let Some(first) = ways.first() else { return power.rank.words().to_owned() };
        let mut words = String::new();
        if power.through_owner {
            let owner = power.owner.as_deref().unwrap_or_default();
            if owner == ROOT {
                return format!("has every right of {ROOT}");
            }
            words = format!("has every right of {owner}, who ");
        }
        words.push_str(&then(first));
        if let Some(held) = held(first) {
            words.extend([": ", &held]);
        }
        match ways.len() {
            1 => words,
            2 => format!("{words}, and has one more way to power"),
            more => format!("{words}, and has {} more ways to power", more - 1),
        }
    }
}

/// What the holder can do.
fn then(way: &Way) -> String {
    let name = match &way.over {
        Some(Over::User(id)) => id,
        Some(Over::Group(name)) => name,
        None => "",
    };
    way.rule.then.replace("{}", name)
}

/// What he holds for it; nothing for `root@pam`.
fn held(way: &Way) -> Option<String> {
    let words: Vec<String> = way.held.iter().map(one_held).collect();
    (!words.is_empty()).then(|| words.join(" and "))
}

fn one_held(held: &Held) -> String {
    let privileges =
        if held.privileges.is_empty() { "every privilege".to_owned() } else { held.privileges.join(" and ") };
    let from = held.grants.first().map(|entry| grant(entry)).unwrap_or_default();
    match &held.by_changing {
        None => format!("{privileges} on {}{from}", held.path),
        Some((modifier, path)) => {
            format!(
                "{privileges} on {}, which he can give himself with {modifier} on {path}{from}",
                held.path
            )
        }
    }
}

fn grant(entry: &AclEntry) -> String {
    let through = match &entry.subject {
        AclSubject::User(_) | AclSubject::Token(_) => String::new(),
        AclSubject::Group(group) => format!(" through the group {group}"),
    };
    format!(" ({} on {}{through})", entry.role, entry.path)
}
