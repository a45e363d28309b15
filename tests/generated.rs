//! Generated files are up to date: `BLESS=1 cargo test` writes them, a plain run compares.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests stop at the first surprise")]

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use pve_audit::catalogue::schema::{CaseFile, CheckFile, ExpectedFile, FileCase};
use pve_audit::catalogue::{CATALOGUE, Check};
use pve_audit::report::text::severity_word;
use support::case::check_files;
use support::{golden, repository};

const HEAD: &str =
    "<!-- Generated from checks/ by `BLESS=1 cargo test --test generated`; do not edit. -->\n\n";

#[test]
fn the_check_reference_is_up_to_date() {
    let files: BTreeMap<String, CheckFile> =
        check_files().into_iter().map(|(id, _, file)| (id, file)).collect();
    let mut index = format!(
        "{HEAD}# Checks\n\n{} checks. Each has a page with why, fix, exceptions and examples.\n\n",
        CATALOGUE.len()
    );
    index.push_str("| check | severity | area | the bad thing |\n| --- | --- | --- | --- |\n");
    let mut pages: BTreeMap<&str, String> = BTreeMap::new();
    for check in CATALOGUE {
        let (folder, slug) = check.id.split_once('/').unwrap();
        let severity = severity_word(check.severity);
        let area = format!("{:?}", check.area).to_lowercase();
        writeln!(index, "| [{}]({folder}.md#{slug}) | {severity} | {area} | {} |", check.id, check.title)
            .unwrap();
        let page = pages.entry(folder).or_insert_with(|| format!("{HEAD}# {folder}\n"));
        page.push_str(&section(check, slug, &files[check.id]));
    }
    golden(&repository("docs/checks/README.md"), &index);
    for (folder, page) in pages {
        golden(&repository(&format!("docs/checks/{folder}.md")), &page);
    }
}

fn section(check: &Check, slug: &str, file: &CheckFile) -> String {
    let mut out = format!("\n## {slug}\n\n**{}**\n\n", check.title);
    let area = format!("{:?}", check.area).to_lowercase();
    let scope = format!("{:?}", check.scope).to_lowercase();
    let severity = severity_word(check.severity);
    writeln!(out, "`{}` · severity {severity} · area {area} · scope {scope}", check.id).unwrap();
    writeln!(out, "\n### Why\n\n{}", check.rationale).unwrap();
    writeln!(out, "\n### Fix\n\n{}", markdown(check.remediation)).unwrap();
    writeln!(out, "\n### Exceptions\n\n{}", check.exceptions).unwrap();
    for parameter in check.parameters {
        writeln!(
            out,
            "\nParameter `{}`: {} (default `{:?}`).",
            parameter.name, parameter.about, parameter.default
        )
        .unwrap();
    }
    if !check.mappings.is_empty() {
        out.push_str("\n### Asked for by\n\n");
        for (framework, controls) in check.mappings {
            writeln!(out, "- {framework}: {}", controls.join(", ")).unwrap();
        }
    }
    if !check.references.is_empty() {
        out.push_str("\n### References\n\n");
        check.references.iter().for_each(|link| writeln!(out, "- <{link}>").unwrap());
    }
    out.push_str("\n### Examples\n\n");
    file.case.iter().for_each(|case| example(&mut out, case));
    out
}

/// Indented command lines become code blocks.
fn markdown(text: &str) -> String {
    let mut out = String::new();
    let mut code = false;
    for line in text.lines() {
        let is_code = line.starts_with("  ");
        if is_code != code {
            out.push_str(if is_code { "\n```\n" } else { "```\n\n" });
            code = is_code;
        }
        out.push_str(line.strip_prefix("  ").unwrap_or(line));
        out.push('\n');
    }
    if code {
        out.push_str("```\n");
    }
    out.trim_end().to_owned()
}

fn example(out: &mut String, case: &CaseFile) {
    let expected = match &case.expect {
        ExpectedFile::Check(verdict) => verdict.clone(),
        ExpectedFile::Subjects(subjects) => {
            subjects.iter().map(|(id, verdict)| format!("`{id}` {verdict}")).collect::<Vec<_>>().join(", ")
        }
    };
    let host = case.host.as_deref().map(|host| format!(" on {host}")).unwrap_or_default();
    writeln!(out, "- {}{host}: **{expected}**", case.name).unwrap();
    for (path, file) in &case.files {
        if let FileCase::Text(text) = file {
            writeln!(out, "\n  `{path}`\n\n  ```").unwrap();
            text.lines().for_each(|line| writeln!(out, "{}", format!("  {line}").trim_end()).unwrap());
            out.push_str("  ```\n\n");
        }
    }
}
