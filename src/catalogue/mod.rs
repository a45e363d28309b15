//! What a check is: metadata, prose, parameters, assertion. The table itself is made by `build.rs` from
//! `checks/<area>/<slug>.toml` and names the judging functions, so the compiler proves that every check has its
//! function and every function its check.

pub mod schema;
pub mod site;

use crate::checks::{Judged, Look};
use crate::formats::release::Release;

pub use schema::{Area, MissingFile as Missing, Profile, Scope, Severity};

/// One check.
pub struct Check {
    /// `<folder>/<slug>`, for ever.
    pub id: &'static str,
    /// Names the bad thing.
    pub title: &'static str,
    /// Severity of a finding unless the judgement says otherwise.
    pub severity: Severity,
    /// The area it counts in.
    pub area: Area,
    /// Whose property is judged.
    pub scope: Scope,
    /// The profiles it belongs to.
    pub profiles: &'static [Profile],
    /// Why an attacker cares.
    pub rationale: &'static str,
    /// What to do, and what it could break.
    pub remediation: &'static str,
    /// When this is fine.
    pub exceptions: &'static str,
    /// Links for further reading.
    pub references: &'static [&'static str],
    /// Framework and control number.
    pub mappings: &'static [(&'static str, &'static [&'static str])],
    /// What a site can set.
    pub parameters: &'static [Parameter],
    /// Where it applies.
    pub when: When,
    /// How it is judged.
    pub evaluate: Evaluate,
}

/// A value a site can set.
#[derive(Debug)]
pub struct Parameter {
    /// Its name.
    pub name: &'static str,
    /// Its default; the type is the parameter's type.
    pub default: Value,
    /// What it means, with its unit.
    pub about: &'static str,
    /// Smallest number.
    pub min: Option<i64>,
    /// Largest number.
    pub max: Option<i64>,
}

/// The default value of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Value {
    /// A switch.
    Flag(bool),
    /// A number.
    Number(i64),
    /// A word or a sentence.
    Text(&'static str),
    /// A list of words.
    List(&'static [&'static str]),
}

/// Where a check applies.
#[derive(Debug, Clone, Copy)]
pub struct When {
    /// First and last release of Proxmox VE it applies to, if it depends on the release.
    pub pve: Option<(Release, Release)>,
}

/// How a check is judged.
#[derive(Clone, Copy)]
pub enum Evaluate {
    /// By the function of its name in `crate::checks`.
    Code(fn(&Look<'_>) -> Judged),
    /// By an assertion kind.
    Assert(&'static Assertion),
}

/// What must hold, for checks that need no code. See [`schema`] for the meaning of each field.
#[expect(missing_docs, reason = "the fields are documented where they are written: in `schema`")]
#[derive(Debug)]
pub enum Assertion {
    Sysctl {
        key: &'static str,
        expect: Expect,
    },
    File {
        path: &'static str,
        mode_at_most: Option<u32>,
        uid: Option<u32>,
        gid: &'static [u32],
        missing: Missing,
    },
    Sshd {
        keyword: &'static str,
        expect: Expect,
    },
    Package {
        any_of: &'static [&'static str],
        installed: bool,
        units: &'static [&'static str],
    },
    Unit {
        name: &'static str,
        also: &'static [&'static str],
        package: &'static str,
        enabled: bool,
    },
    Mount {
        path: &'static str,
        options: &'static [&'static str],
    },
    KernelArgument {
        name: &'static str,
        bad_values: &'static [&'static str],
        good_values: &'static [&'static str],
    },
    Module {
        names: &'static [&'static str],
    },
    Option {
        path: &'static str,
        key: &'static str,
        separator: char,
        default: &'static str,
        also: &'static [(&'static str, &'static str)],
        package: &'static str,
        expect: Expect,
    },
    Advisory(Advisory),
}

/// A published flaw. See [`schema::AdvisoryFile`] for the meaning of each field.
#[expect(missing_docs, reason = "the fields are documented where they are written: in `schema`")]
#[derive(Debug)]
pub struct Advisory {
    pub id: &'static str,
    pub published: &'static str,
    pub cve: &'static [&'static str],
    pub exploited: &'static str,
    pub fixed: &'static [Fixed],
    pub series_without_fix: &'static [&'static str],
    pub needs_nested: bool,
    pub needs_modules: &'static [&'static str],
    pub stop_gap: Option<StopGap>,
}

/// The first version of a package with a fix.
#[expect(missing_docs, reason = "the fields are documented where they are written: in `schema`")]
#[derive(Debug)]
pub struct Fixed {
    pub package: &'static str,
    pub release: Release,
    pub version: &'static str,
    pub since: Option<&'static str>,
}

/// How a stop-gap is recognised.
#[expect(missing_docs, reason = "the fields are documented where they are written: in `schema`")]
#[derive(Debug)]
pub struct StopGap {
    pub path: &'static str,
    pub contains: &'static str,
    pub times: usize,
}

/// What a value must be. Every given part must hold; a single `$name` in a list stands for a parameter.
#[expect(missing_docs, reason = "the fields are documented where they are written: in `schema`")]
#[derive(Debug, Clone, Copy)]
pub struct Expect {
    pub one_of: Option<&'static [&'static str]>,
    pub none_of: Option<&'static [&'static str]>,
    pub at_least: Option<i64>,
    pub at_most: Option<i64>,
}

include!(concat!(env!("OUT_DIR"), "/catalogue.rs"));

/// The checks of the program itself, sorted by id.
pub fn built_in() -> Vec<&'static Check> {
    CATALOGUE.iter().collect()
}

/// These checks and those of the program, sorted by id; where two have one id, the first counts.
pub fn with_built_in(mut checks: Vec<&'static Check>) -> Vec<&'static Check> {
    checks.extend(CATALOGUE);
    checks.sort_by_key(|check| check.id);
    checks.dedup_by_key(|check| check.id);
    checks
}

/// The check with this id.
pub fn find(id: &str) -> Option<&'static Check> {
    CATALOGUE.iter().find(|check| check.id == id)
}

/// The id of the catalogue closest to `id`, for a message.
pub fn closest(id: &str) -> Option<&'static str> {
    CATALOGUE.iter().map(|check| (distance(id, check.id), check.id)).min().map(|(_, id)| id)
}

/// Levenshtein distance.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.chars().enumerate() {
        let mut diagonal = i;
        let mut previous = i + 1;
        let mut next = vec![previous];
        for (b, above) in right.iter().zip(row.iter().skip(1)) {
            let cost = if a == *b { diagonal } else { 1 + diagonal.min(*above).min(previous) };
            diagonal = *above;
            previous = cost;
            next.push(cost);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_id_is_found_in_spite_of_a_typo() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        for check in CATALOGUE {
            assert_eq!(closest(&check.id.replacen('e', "", 1)), Some(check.id));
        }
    }
}
