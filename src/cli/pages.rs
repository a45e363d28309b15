//! Pages about the catalogue: the list of checks, one check.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use crate::catalogue::{CATALOGUE, Check, Parameter, Value};
use crate::report::text::severity_word;

/// Every check.
pub(super) fn checks(as_json: bool) -> String {
    if as_json {
        return pretty(&CATALOGUE.iter().map(as_value).collect());
    }
    let width = CATALOGUE.iter().map(|check| check.id.len()).max().unwrap_or(0);
    CATALOGUE.iter().fold(String::new(), |mut out, check| {
        let _ = writeln!(out, "{:<width$}  {:<8}  {}", check.id, severity_word(check.severity), check.title);
        out
    })
}

/// One check, with everything that is known about it.
pub(super) fn explain(check: &Check, as_json: bool) -> String {
    if as_json {
        return pretty(&as_value(check));
    }
    let area = format!("{:?}", check.area).to_lowercase();
    let scope = format!("{:?}", check.scope).to_lowercase();
    let mut out = format!("{}\n{}\n\n", check.id, check.title);
    let _ = writeln!(out, "severity {} · area {area} · scope {scope}", severity_word(check.severity));
    for (heading, text) in
        [("Why", check.rationale), ("Fix", check.remediation), ("Exceptions", check.exceptions)]
    {
        let _ = write!(out, "\n{heading}\n{text}\n");
    }
    if !check.parameters.is_empty() {
        out.push_str("\nParameters\n");
        for parameter in check.parameters {
            let _ = writeln!(out, "{} = {}  {}", parameter.name, default(parameter), parameter.about);
        }
    }
    if !check.mappings.is_empty() {
        out.push_str("\nAsked for by\n");
        for (framework, controls) in check.mappings {
            let _ = writeln!(out, "{framework}: {}", controls.join(", "));
        }
    }
    if !check.references.is_empty() {
        let _ = write!(out, "\nReferences\n{}\n", check.references.join("\n"));
    }
    out
}

fn default(parameter: &Parameter) -> Json {
    match parameter.default {
        Value::Flag(flag) => json!(flag),
        Value::Number(number) => json!(number),
        Value::Text(text) => json!(text),
        Value::List(list) => json!(list),
    }
}

fn as_value(check: &Check) -> Json {
    let parameters: Json = check
        .parameters
        .iter()
        .map(|parameter| json!({"name": parameter.name, "default": default(parameter), "about": parameter.about}))
        .collect();
    let mappings: serde_json::Map<String, Json> =
        check.mappings.iter().map(|(framework, list)| ((*framework).to_owned(), json!(list))).collect();
    json!({
        "id": check.id,
        "title": check.title,
        "severity": check.severity,
        "area": check.area,
        "scope": check.scope,
        "profiles": check.profiles,
        "rationale": check.rationale,
        "remediation": check.remediation,
        "exceptions": check.exceptions,
        "references": check.references,
        "parameters": parameters,
        "mappings": mappings,
    })
}

fn pretty(value: &Json) -> String {
    // A value of strings, numbers and lists cannot fail to print.
    serde_json::to_string_pretty(value).map(|text| text + "\n").unwrap_or_default()
}
