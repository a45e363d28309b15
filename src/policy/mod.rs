//! What the site wants: which checks run, and from which severity on a finding counts.

use regex::Regex;

use crate::catalogue::{Check, Severity, closest};
use crate::engine::Settings;

/// What the site wants.
pub struct Policy {
    /// Globs of the checks that run; empty for all.
    pub only: Vec<String>,
    /// Globs of the checks that do not run.
    pub skip: Vec<String>,
    /// Findings from this severity on make exit code 1.
    pub fail_on: Severity,
}

impl Default for Policy {
    fn default() -> Self {
        Self { only: Vec::new(), skip: Vec::new(), fail_on: Severity::High }
    }
}

impl Policy {
    /// Those of these checks that run, sorted by id.
    ///
    /// # Errors
    /// A glob that matches no check is a mistake, and is said with the closest id.
    pub fn selected(&self, all: &[&'static Check]) -> Result<Vec<&'static Check>, String> {
        let globs = |globs: &[String], option| -> Result<Vec<Regex>, String> {
            globs.iter().map(|glob| matching(glob, option, all)).collect()
        };
        let (only, skip) = (globs(&self.only, "--only")?, globs(&self.skip, "--skip")?);
        let wanted = |check: &Check| {
            (only.is_empty() || only.iter().any(|glob| glob.is_match(check.id)))
                && !skip.iter().any(|glob| glob.is_match(check.id))
        };
        let selected: Vec<_> = all.iter().copied().filter(|check| wanted(check)).collect();
        if selected.is_empty() {
            return Err("--only and --skip leave no check to run".to_owned());
        }
        Ok(selected)
    }

    /// The parameters the site has set for a check.
    pub fn settings(&self, _check: &Check) -> Settings {
        Settings::new()
    }

    /// The exit code of a run with findings of these severities.
    pub fn exit_code(&self, mut findings: impl Iterator<Item = Severity>, complete: bool) -> u8 {
        if findings.any(|severity| severity >= self.fail_on) {
            1
        } else if complete {
            0
        } else {
            3
        }
    }
}

/// `*` stands for any text (slashes too), `?` for one character.
fn matching(glob: &str, option: &str, all: &[&Check]) -> Result<Regex, String> {
    let pattern: String = glob
        .chars()
        .map(|c| match c {
            '*' => ".*".to_owned(),
            '?' => ".".to_owned(),
            other => regex::escape(&other.to_string()),
        })
        .collect();
    let regex = Regex::new(&format!("^{pattern}$")).map_err(|_| format!("{option} `{glob}` is too long"))?;
    if all.iter().any(|check| regex.is_match(check.id)) {
        return Ok(regex);
    }
    let hint = closest(glob).map(|id| format!("; did you mean `{id}`?")).unwrap_or_default();
    Err(format!("{option} `{glob}` matches no check{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::built_in;

    #[test]
    fn findings_at_the_threshold_win_over_unknowns_which_win_over_clean() {
        let policy = Policy::default();
        assert_eq!(policy.exit_code([Severity::High].into_iter(), false), 1);
        assert_eq!(policy.exit_code([Severity::Medium].into_iter(), false), 3);
        assert_eq!(policy.exit_code([Severity::Medium].into_iter(), true), 0);
    }

    #[test]
    fn a_glob_that_matches_nothing_is_a_mistake() {
        let policy = Policy { only: vec!["no/such-*".to_owned()], ..Policy::default() };
        assert!(policy.selected(&built_in()).is_err_and(|message| message.contains("matches no check")));
        let all = Policy { skip: vec!["*".to_owned()], ..Policy::default() };
        assert!(all.selected(&built_in()).is_err());
    }
}
