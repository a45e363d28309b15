//! Executes the `[[case]]` tables of the check files.

use std::collections::BTreeMap;
use std::path::PathBuf;

use nix::errno::Errno;
use pve_audit::catalogue::schema::{
    AssertFile, CaseFile, CheckFile, ExpectedFile, FileCase, NodeCase, ValueFile,
};
use pve_audit::catalogue::{Check, find};
use pve_audit::checks::Setting;
use pve_audit::engine::{self, Outcome};
use pve_audit::files::{Files, Node, Tree, TroubleKind};
use pve_audit::host::Host;

use super::{advisories, base, repository};

/// Every check file of the repository with its id.
pub fn check_files() -> Vec<(String, PathBuf, CheckFile)> {
    let mut files = Vec::new();
    for entry in walkdir::WalkDir::new(repository("checks")).sort_by_file_name() {
        let path = entry.unwrap().into_path();
        if path.extension().is_none_or(|end| end != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let mut file: CheckFile =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if let Some(AssertFile::Advisory(advisory)) = &file.assert {
            file.case.extend(advisories::cases(advisory));
        }
        let folder = path.parent().unwrap().file_name().unwrap().to_str().unwrap();
        let id = format!("{folder}/{}", path.file_stem().unwrap().to_str().unwrap());
        files.push((id, path, file));
    }
    files
}

/// The host of a case in memory.
pub fn tree(case: &CaseFile) -> Tree {
    let mut tree = base::host(case.host.as_deref().unwrap_or("pve9"));
    for (path, file) in &case.files {
        match file {
            FileCase::Text(text) => tree.insert(path, Node::file(text.as_str())),
            FileCase::Node(node) if node.kind.as_deref() == Some("absent") => tree.remove(path),
            FileCase::Node(node) => tree.insert(path, node_of(node)),
        }
    }
    tree
}

fn node_of(case: &NodeCase) -> Node {
    let mut node = match (case.kind.as_deref(), &case.link) {
        (Some("folder"), _) => Node::folder(),
        (Some("fifo"), _) => Node::fifo(),
        (Some(other), _) => panic!("there is no kind `{other}`"),
        (None, Some(target)) => Node::link(target.as_str()),
        (None, None) => Node::file(case.text.clone().unwrap_or_default()),
    };
    if let Some(mode) = &case.mode {
        node = node.mode(u32::from_str_radix(mode, 8).unwrap());
    }
    node = node.owner(case.uid.unwrap_or(0), case.gid.unwrap_or(0));
    match case.error.as_deref() {
        None => node,
        Some(name) => node.failing(trouble(name)),
    }
}

pub fn trouble(name: &str) -> TroubleKind {
    match name {
        "denied" => TroubleKind::Denied,
        "too_large" => TroubleKind::TooLarge { limit: 1 },
        "not_utf8" => TroubleKind::NotUtf8,
        "timed_out" => TroubleKind::TimedOut,
        "io_error" => TroubleKind::Io(Errno::EIO),
        other => panic!("there is no error `{other}`"),
    }
}

/// Runs one check on a tree as a case wants it.
pub fn run_on(check: &'static Check, case: &CaseFile, tree: Tree) -> Outcome {
    run_and_list(check, case, tree).0
}

/// As [`run_on`], with the paths that were accessed.
pub fn run_and_list(check: &'static Check, case: &CaseFile, tree: Tree) -> (Outcome, Vec<String>) {
    let now = case.now.as_deref().unwrap_or(super::NOW).parse().unwrap();
    let settings = case.parameters.iter().map(|(name, value)| {
        assert!(
            check.parameters.iter().any(|parameter| parameter.name == name),
            "{} has no parameter `{name}`",
            check.id
        );
        (name.clone(), setting(value))
    });
    let settings: Vec<_> = settings.collect();
    let host = Host::new(Files::memory(tree), None, None);
    let outcome = engine::run(&host, now, check, &settings);
    (outcome, host.files.inputs().into_iter().map(|input| input.path).collect())
}

fn setting(value: &ValueFile) -> Setting {
    match value {
        ValueFile::Flag(flag) => Setting::Flag(*flag),
        ValueFile::Number(number) => Setting::Number(*number),
        ValueFile::Text(text) => Setting::Text(text.clone()),
        ValueFile::List(list) => Setting::List(list.clone()),
    }
}

/// What is wrong with the outcome of a case, if anything.
pub fn problem(id: &str, case: &CaseFile) -> Option<String> {
    let check = find(id)?;
    let outcome = run_on(check, case, tree(case));
    let told = || {
        let subjects = outcome.subjects.iter().map(|one| {
            format!("\n    {:?} {} {}: {}", one.subject.kind, one.subject.id, one.verdict.name(), one.summary)
        });
        let reason = outcome.reason.as_deref().unwrap_or_default();
        format!("{} {reason}{}", outcome.verdict.name(), subjects.collect::<String>())
    };
    match &case.expect {
        ExpectedFile::Check(verdict) if outcome.verdict.name() == verdict => None,
        ExpectedFile::Check(verdict) => {
            Some(format!("{id}: {}: expected {verdict}, got {}", case.name, told()))
        }
        ExpectedFile::Subjects(expected) => {
            let actual: BTreeMap<&str, &str> =
                outcome.subjects.iter().map(|one| (one.subject.id.as_str(), one.verdict.name())).collect();
            let wrong = expected.iter().any(|(subject, verdict)| match actual.get(subject.as_str()) {
                Some(actual) => actual != verdict,
                None => verdict != "absent",
            });
            wrong.then(|| format!("{id}: {}: expected {expected:?}, got {}", case.name, told()))
        }
    }
}
