//! Every case of every check, and what every check file must have.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod support;

use std::collections::BTreeSet;

use pve_audit::catalogue::schema::{CaseFile, ExpectedFile};
use pve_audit::catalogue::{Area, CATALOGUE};
use support::case::{check_files, problem};

#[test]
fn every_case_ends_as_it_expects() {
    let mut problems = Vec::new();
    let mut executed = 0;
    for (id, _, file) in check_files() {
        for case in &file.case {
            executed += 1;
            problems.extend(problem(&id, case));
        }
    }
    assert!(problems.is_empty(), "{} of {executed} cases:\n{}", problems.len(), problems.join("\n"));
    assert!(executed >= 150, "only {executed} cases");
}

#[test]
fn the_table_has_exactly_the_files() {
    let files: Vec<String> = check_files().into_iter().map(|(id, ..)| id).collect();
    let table: Vec<&str> = CATALOGUE.iter().map(|check| check.id).collect();
    assert_eq!(table, files);
}

#[test]
fn every_check_has_a_pass_a_fail_and_an_unknown_case() {
    for (id, path, file) in check_files() {
        let verdicts: BTreeSet<&str> = file.case.iter().flat_map(verdicts).collect();
        for wanted in ["pass", "fail", "unknown"] {
            assert!(verdicts.contains(wanted), "{id} has no {wanted} case ({})", path.display());
        }
        if file.when.pve.is_some() {
            assert!(verdicts.contains("not-applicable"), "{id} has `when` but no not-applicable case");
        }
    }
}

fn verdicts(case: &CaseFile) -> Vec<&str> {
    match &case.expect {
        ExpectedFile::Check(verdict) => vec![verdict],
        ExpectedFile::Subjects(subjects) => subjects.values().map(String::as_str).collect(),
    }
}

#[test]
fn case_names_are_unique_and_references_are_https() {
    for (id, _, file) in check_files() {
        let names: BTreeSet<&str> = file.case.iter().map(|case| case.name.as_str()).collect();
        assert_eq!(names.len(), file.case.len(), "{id} has two cases of one name");
        for link in &file.references {
            assert!(link.starts_with("https://"), "{id}: {link}");
        }
    }
}

#[test]
fn no_area_is_empty() {
    let areas: BTreeSet<Area> = CATALOGUE.iter().map(|check| check.area).collect();
    assert_eq!(areas.len(), 9, "{areas:?}");
}
