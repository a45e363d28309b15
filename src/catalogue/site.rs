//! Checks a site adds: advisories that are newer than the program.

use super::{Advisory, Assertion, Check, Evaluate, Fixed, StopGap, When, find};
use crate::catalogue::schema::{AdvisoryFile, AssertFile, CheckFile, FixedFile};
use crate::formats::release::Release;

/// Reads the advisory of this name, in the grammar of the files in `checks/advisories`. One of the program that a table
/// judges can be replaced by a newer edition; one that takes code cannot.
///
/// # Errors
/// What is wrong with it, in one sentence that starts in lower case.
pub fn read(name: &str, text: &str) -> Result<CheckFile, String> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err("its name has something else than letters, digits and hyphens before the end".to_owned());
    }
    let own = find(&id(name));
    if own.is_some_and(|own| !matches!(own.evaluate, Evaluate::Assert(Assertion::Advisory(_)))) {
        return Err("has the name of a check of the program that is more than a table".to_owned());
    }
    let mut file: CheckFile = toml::from_str(text).map_err(|error| one_line(&error.to_string()))?;
    file.fill_in();
    file.proofread()?;
    if !matches!(file.assert, Some(AssertFile::Advisory(_))) {
        return Err("is no advisory: `[assert]` needs `kind = \"advisory\"`".to_owned());
    }
    if !file.parameters.is_empty() || file.when.pve.is_some() {
        return Err("an advisory has neither parameters nor `[when]`".to_owned());
    }
    Ok(file)
}

/// The id of the check that an advisory of this name is.
pub fn id(name: &str) -> String {
    format!("advisories/{name}")
}

/// The day an advisory was published.
pub fn published(file: &CheckFile) -> Option<&str> {
    match &file.assert {
        Some(AssertFile::Advisory(advisory)) => Some(&advisory.published),
        _ => None,
    }
}

/// The check that an advisory is. It lives as long as the program, which judges each of them once: what it says is
/// leaked on purpose.
pub fn check(name: &str, file: CheckFile) -> Option<&'static Check> {
    let Some(AssertFile::Advisory(advisory)) = file.assert else { return None };
    let mappings = file.mappings.into_iter().map(|(framework, controls)| (text(framework), texts(controls)));
    let check = Check {
        id: text(id(name)),
        title: text(file.title),
        severity: file.severity,
        area: file.area,
        scope: file.scope,
        profiles: list(file.profiles),
        rationale: text(file.rationale),
        remediation: text(file.remediation),
        exceptions: text(file.exceptions),
        references: texts(file.references),
        mappings: list(mappings.collect()),
        parameters: &[],
        when: When { pve: None },
        evaluate: Evaluate::Assert(Box::leak(Box::new(Assertion::Advisory(advisory_of(advisory))))),
    };
    Some(Box::leak(Box::new(check)))
}

fn advisory_of(file: AdvisoryFile) -> Advisory {
    let stop_gap = file.stop_gap.map(|gap| StopGap {
        path: text(gap.path),
        contains: text(gap.contains),
        times: gap.times,
    });
    Advisory {
        id: text(file.id),
        published: text(file.published),
        cve: texts(file.cve),
        exploited: text(file.exploited),
        fixed: list(file.fixed.into_iter().filter_map(fixed_of).collect()),
        series_without_fix: texts(file.series_without_fix),
        needs_nested: file.needs_nested,
        needs_modules: texts(file.needs_modules),
        stop_gap,
    }
}

/// The release was looked at when the file was read.
fn fixed_of(file: FixedFile) -> Option<Fixed> {
    let release = Release::from_major(file.pve)?;
    Some(Fixed {
        package: text(file.package),
        release,
        version: text(file.version),
        since: file.since.map(text),
    })
}

fn text(text: impl AsRef<str>) -> &'static str {
    Box::leak(text.as_ref().trim().to_owned().into_boxed_str())
}

fn texts(all: Vec<String>) -> &'static [&'static str] {
    list(all.into_iter().map(text).collect())
}

fn list<T>(all: Vec<T>) -> &'static [T] {
    Box::leak(all.into_boxed_slice())
}

/// The message of the TOML reader without its drawing of the line.
fn one_line(message: &str) -> String {
    let mut lines = message.lines();
    let place = lines.next().unwrap_or_default().trim_start_matches("TOML parse error at ");
    let what = lines.filter(|line| !line.contains('|')).map(str::trim).find(|line| !line.is_empty());
    format!("{place}: {}", what.unwrap_or("is no TOML"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADVISORY: &str = "title = \"Guests do what they like\"\nseverity = \"high\"\narea = \"support\"\nscope = \"node\"\n\
        profiles = [\"baseline\"]\nrationale = \"It is bad.\"\n[assert]\nkind = \"advisory\"\nid = \"PSA-2027-00001-1\"\n\
        published = \"2027-01-01\"\n[[assert.fixed]]\npackage = \"qemu-server\"\npve = 9\nversion = \"9.9.9\"\n";

    #[test]
    fn an_advisory_becomes_a_check_with_the_words_of_its_kind() {
        let check = check("new", read("new", ADVISORY).unwrap()).unwrap();
        assert_eq!(check.id, "advisories/new");
        assert!(check.remediation.contains("apt update"));
        let Evaluate::Assert(Assertion::Advisory(advisory)) = check.evaluate else { panic!("no advisory") };
        assert_eq!(advisory.fixed[0].version, "9.9.9");
        assert_eq!(advisory.fixed[0].release, Release::Pve9);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_said_with_its_place() {
        let wrong = |from: &str, to: &str| read("new", &ADVISORY.replace(from, to)).unwrap_err();
        assert_eq!(wrong("pve = 9", "pve = 5"), "`pve` is 5; write 7, 8 or 9");
        assert_eq!(wrong("2027-01-01", "soon"), "`published` is a day, such as 2026-08-17");
        assert!(wrong("severity =", "severty =").starts_with("line 2, column 1: unknown field `severty`"));
        assert_eq!(wrong("they like", "\\u001b[31m"), "`title` has a control character");
        assert_eq!(wrong("9.9.9", "9\\u0007"), "`assert` has a control character");
        let named = |name: &str| read(name, ADVISORY).unwrap_err();
        assert!(named("psa-2026-00043-1").starts_with("has the name of a check"));
        assert!(named("a b").starts_with("its name"));
        assert!(read("psa-2026-00042-1", ADVISORY).is_ok(), "a newer edition");
        assert!(wrong("kind = \"advisory\"", "kind = \"mount\"").contains("line"));
        assert!(read("new", "no toml").unwrap_err().starts_with("line 1"));
        let mount = "title = \"x\"\nseverity = \"low\"\narea = \"support\"\nscope = \"node\"\nprofiles = [\"baseline\"]\n\
            rationale = \"x\"\nremediation = \"x\"\nexceptions = \"x\"\n[assert]\nkind = \"mount\"\npath = \"/\"\noptions = []\n";
        assert!(read("new", mount).unwrap_err().starts_with("is no advisory"));
    }
}
