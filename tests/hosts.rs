//! Whole hosts: the report of each is compared with a golden file, validated against the published schema and
//! searched for secrets; a hostile host ends with everything named; damage to any input never hides a finding.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests read files and stop at the first surprise"
)]

mod support;

use std::collections::{BTreeMap, BTreeSet};

use pve_audit::catalogue::Severity;
use pve_audit::files::{Files, InputOutcome, Node, Tree, TroubleKind};
use pve_audit::host::Host;
use pve_audit::outcome::Verdict;
use pve_audit::policy::Policy;
use pve_audit::report::text::Style;
use pve_audit::report::{self, Report};
use support::{audit_tree, golden, hostile, load_tree, now, repository};

const HOSTS: [&str; 5] = ["pve9-fresh", "pve9-hardened", "pve8-cluster", "pve7-node", "debian13-plain"];

fn host_tree(name: &str) -> Tree {
    load_tree(&repository(&format!("tests/hosts/{name}")))
}

fn json(report: &Report) -> String {
    let mut out = Vec::new();
    report::json::write(report, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn text(report: &Report) -> String {
    let mut out = Vec::new();
    report::text::write(report, Style { colour: false, verbose: true }, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn the_report_of_every_host_is_the_golden_one() {
    for name in HOSTS {
        let report = audit_tree(host_tree(name), None);
        // Who runs the test is no property of the host.
        let who = format!("\"euid\": {}", report.run.euid);
        golden(
            &repository(&format!("tests/reports/{name}.json")),
            &json(&report).replace(&who, "\"euid\": 0"),
        );
        let lines: String = text(&report).lines().filter(|line| !line.starts_with("not run as root")).fold(
            String::new(),
            |mut out, line| {
                out.push_str(line);
                out.push('\n');
                out
            },
        );
        golden(&repository(&format!("tests/reports/{name}.txt")), &lines);
    }
}

#[test]
fn every_report_is_valid_against_the_published_schema() {
    let schema = std::fs::read_to_string(repository("docs/report.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&serde_json::from_str(&schema).unwrap()).unwrap();
    let mut reports: Vec<Report> = HOSTS.iter().map(|name| audit_tree(host_tree(name), None)).collect();
    reports.push(audit_tree(Tree::default(), None));
    let dir = tempfile::tempdir().unwrap();
    hostile::build(dir.path());
    reports.push(audit_disk(dir.path()));
    for report in &reports {
        let value: serde_json::Value = serde_json::from_str(&json(report)).unwrap();
        let errors: Vec<String> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
    let broken = serde_json::json!({"schema_version": 1});
    assert!(!validator.is_valid(&broken), "the schema accepts anything");
}

#[test]
fn a_hardened_node_has_no_finding_above_low() {
    let report = audit_tree(host_tree("pve9-hardened"), None);
    let above: Vec<String> = report
        .findings
        .iter()
        .filter(|finding| finding.severity > Severity::Low)
        .map(|finding| format!("{} {}: {}", finding.check, finding.subject.id, finding.message))
        .collect();
    assert!(above.is_empty(), "{}", above.join("\n"));
}

#[test]
fn of_the_four_people_of_the_access_model_only_bob_has_the_power() {
    let report = audit_tree(host_tree("pve8-cluster"), None);
    let of = |user: &str| {
        let found = report.findings.iter().filter(|finding| finding.subject.id == user);
        found.map(|finding| finding.check).collect::<Vec<_>>()
    };
    assert!(of("bob@pve").contains(&"access/administrator-without-second-factor"), "{:?}", of("bob@pve"));
    for user in ["betty@pve", "jim@pve", "nancy@pve"] {
        assert!(!of(user).iter().any(|check| check.contains("administrator")), "{user}: {:?}", of(user));
    }
}

#[test]
fn zero_subjects_examined_is_never_a_pass() {
    for name in HOSTS {
        for check in audit_tree(host_tree(name), None).checks {
            let judged = check.verdict != Verdict::Pass || check.subjects.examined > 0;
            assert!(judged, "{name}: {} passes on nothing", check.id);
        }
    }
}

/// Every place a secret stands in in the included hosts holds this word.
const CANARY: &str = "dummy";

#[test]
fn no_secret_reaches_any_output() {
    for name in HOSTS {
        let tree = host_tree(name);
        let holding = tree.nodes().filter(|(_, node)| {
            node.bytes().is_some_and(|bytes| String::from_utf8_lossy(bytes).to_lowercase().contains(CANARY))
        });
        let planted = holding.count();
        let report = audit_tree(tree.clone(), None);
        let host = Host::new(Files::memory(tree), None, None);
        let shown = pve_audit::show::every(&host, now());
        let printed = format!("{}{}{shown}", json(&report), text(&report));
        let leak = printed.lines().find(|line| line.to_lowercase().contains(CANARY));
        assert_eq!(leak, None, "{name} leaks");
        assert!(planted > 0 || name == "pve9-fresh", "{name} has no canary");
    }
}

fn audit_disk(root: &std::path::Path) -> Report {
    let host = Host::new(Files::below(root).unwrap(), None, None);
    let policy = Policy::default();
    pve_audit::audit(
        &host,
        &policy.selected(&pve_audit::catalogue::built_in()).unwrap(),
        &policy,
        now(),
        Some("hostile"),
    )
}

#[test]
fn a_hostile_host_ends_with_every_trouble_named() {
    for seed in [None, Some(1), Some(2), Some(3)] {
        let dir = tempfile::tempdir().unwrap();
        match seed {
            None => hostile::build(dir.path()),
            Some(seed) => hostile::build_variant(dir.path(), seed),
        }
        let host = Host::new(Files::below(dir.path()).unwrap(), None, None);
        let policy = Policy::default();
        let report = pve_audit::audit(
            &host,
            &policy.selected(&pve_audit::catalogue::built_in()).unwrap(),
            &policy,
            now(),
            Some("hostile"),
        );
        assert!(matches!(report.run.exit_code, 1 | 3), "{seed:?}");
        assert!(!report.run.complete);
        let output = json(&report) + &text(&report);
        assert!(!output.contains("internal error"), "{seed:?}: a check panicked");
        let harmful = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
        assert!(!output.contains(harmful), "{seed:?}: a control character reached the output");
        // A path that could not be read is told among the inputs, under its name.
        let told: BTreeSet<&str> = report.inputs.iter().map(|input| input.path.as_str()).collect();
        for input in host.files.inputs() {
            if matches!(input.outcome, InputOutcome::Trouble(_)) {
                assert!(told.contains(report::clean(&input.path).as_str()), "{seed:?}: {}", input.path);
            }
        }
    }
}

#[test]
fn unreadable_inputs_never_hide_a_finding_of_a_whole_host() {
    for name in ["pve8-cluster", "pve7-node", "pve9-fresh"] {
        let whole = host_tree(name);
        let before = audit_tree(whole.clone(), None);
        let read: Vec<String> = before
            .inputs
            .iter()
            .filter(|input| input.bytes.is_some())
            .map(|input| input.path.clone())
            .collect();
        for path in read {
            for kind in [TroubleKind::Denied, TroubleKind::NotUtf8, TroubleKind::TimedOut] {
                let mut damaged = whole.clone();
                damaged.insert(&path, Node::file("").failing(kind.clone()));
                let after = audit_tree(damaged, None);
                let verdicts: BTreeMap<&str, Verdict> =
                    after.checks.iter().map(|check| (check.id, check.verdict)).collect();
                for check in before.checks.iter().filter(|check| check.verdict == Verdict::Fail) {
                    let now = verdicts.get(check.id);
                    assert_ne!(
                        now,
                        Some(&Verdict::Pass),
                        "{name}: {path} {}: {} passes",
                        kind.name(),
                        check.id
                    );
                }
            }
        }
    }
}
