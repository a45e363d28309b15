//! Every case of every check, and what every check file must have.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests stop at the first surprise")]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use pve_audit::catalogue::schema::{CaseFile, ExpectedFile};
use pve_audit::catalogue::{Area, CATALOGUE};
use pve_audit::formats::sshd::{MAIN_FILE, Version, evaluate};
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

/// The file that remediations of sshd's settings put their lines in.
const DROP_IN: &str = "# /etc/ssh/sshd_config.d/10-hardening.conf";

/// The lines a remediation puts into [`DROP_IN`].
fn drop_in(remediation: &str) -> String {
    let mut inside = false;
    let lines = remediation.lines().filter(|line| {
        inside = line.starts_with("  ") && (inside || line.trim() == DROP_IN);
        inside
    });
    lines.fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn what_remediations_put_into_one_file_of_sshd_stands_there_together() {
    let lists = ["Ciphers", "HostKeyAlgorithms", "KexAlgorithms", "MACs", "PubkeyAcceptedAlgorithms"];
    let mut all = String::new();
    let mut texts: BTreeMap<&str, Vec<(String, String, String)>> = BTreeMap::new();
    for (id, _, file) in check_files() {
        let text = drop_in(&file.remediation);
        for line in text.lines() {
            if let Some(list) = lists.iter().find(|list| line.trim().starts_with(&format!("{list} "))) {
                let told = (id.clone(), line.trim().to_owned(), file.remediation.clone());
                texts.entry(list).or_default().push(told);
            }
        }
        // Whatever follows is for every connection: this may not stand in a Match block.
        all.extend([text.as_str(), "MaxStartups 10:30:60\n"]);
    }
    let effective = evaluate(MAIN_FILE, &all, Version::V10_0, &mut |_| Vec::new());
    assert!(effective.valid(), "{:?}", effective.problems);
    assert!(texts.contains_key("MACs") && texts.contains_key("Ciphers"), "{texts:?}");
    for same in texts.values().filter(|same| same.len() > 1) {
        for (id, _, remediation) in same {
            let others = same.iter().filter(|(other, ..)| other != id);
            for (other, ..) in others {
                assert!(remediation.contains(other), "{id} does not say what becomes of the line of {other}");
            }
        }
    }
}
