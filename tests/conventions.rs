//! Rules about the repository itself.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::indexing_slicing,
    reason = "tests read the sources"
)]

mod support;

use std::fs;
use std::path::PathBuf;

/// The flow: a module uses only what stands left of it. `catalogue` and `checks` share a place: the table names
/// the judging functions.
const FLOW: [&[&str]; 11] = [
    &["files"],
    &["live"],
    &["formats"],
    &["host"],
    &["outcome"],
    &["catalogue", "checks"],
    &["engine"],
    &["policy"],
    &["report"],
    &["show"],
    &["cli"],
];

/// What is pure data and may be used from everywhere.
const FREE: &str = "catalogue::schema";

fn sources() -> Vec<(String, String)> {
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in walkdir::WalkDir::new(support::repository("src")).sort_by_file_name() {
        let path = entry.unwrap().into_path();
        if path.extension().is_some_and(|end| end == "rs") {
            files.push(path);
        }
    }
    let root = support::repository("src");
    let named = |path: PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(&path).unwrap())
    };
    files.into_iter().map(named).collect()
}

fn place(module: &str) -> Option<usize> {
    FLOW.iter().position(|names| names.contains(&module))
}

#[test]
fn every_module_uses_only_what_stands_left_of_it() {
    let mut wrong = Vec::new();
    for (name, text) in sources() {
        let module = name.split(['/', '.']).next().unwrap();
        let Some(own) = place(module) else {
            assert!(matches!(module, "lib" | "main"), "{name} has no place in the flow");
            continue;
        };
        for (number, line) in text.lines().enumerate() {
            let Some((_, used)) = line.split_once("crate::") else { continue };
            if used.starts_with(FREE) || line.trim_start().starts_with("//") {
                continue;
            }
            let used = used.split([':', ';', '(', ',', ' ']).next().unwrap();
            if place(used).is_some_and(|place| place > own) {
                wrong.push(format!("src/{name}:{}: `{module}` uses `{used}`", number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_source_is_unfinished() {
    for (name, text) in sources() {
        for word in ["todo!(", "unimplemented!(", concat!("TO", "DO"), concat!("FIX", "ME")] {
            assert!(!text.contains(word), "src/{name} contains {word}");
        }
    }
}

#[test]
fn main_stays_small() {
    let main = fs::read_to_string(support::repository("src/main.rs")).unwrap();
    assert!(main.lines().count() < 40);
}

#[test]
fn formats_touch_no_file_system() {
    for (name, text) in sources().into_iter().filter(|(name, _)| name.starts_with("formats/")) {
        for word in ["crate::files", "crate::live", "std::fs", "std::process", "std::net::Tcp"] {
            assert!(!text.contains(word), "src/{name} contains {word}");
        }
    }
}
