//! Turns `checks/<folder>/<slug>.toml` into the static table `catalogue::CATALOGUE`.
//!
//! A check with `[assert]` becomes an assertion; a check without it names the function
//! `crate::checks::<folder>::<slug>`, so a missing function does not compile and a function without a file is
//! dead code. Mistakes in a file are build errors that name the file.
#![allow(clippy::disallowed_methods, clippy::print_stdout, reason = "a build script reads files and prints")]

#[allow(dead_code, unreachable_pub, reason = "shared with the library, where all of it is used")]
#[path = "src/catalogue/schema.rs"]
mod schema;

use std::path::Path;

use schema::{AdvisoryFile, AssertFile, CheckFile, ExpectFile, MissingFile, ParameterFile, ValueFile};

/// What is compiled in the place of a catalogue that could not be made.
const BROKEN: &str = "compile_error!(\"the catalogue is broken\"); pub static CATALOGUE: &[Check] = &[];";

fn main() {
    println!("cargo::rerun-if-changed=checks");
    println!("cargo::rerun-if-changed=src/catalogue/schema.rs");
    let mut table =
        String::from("/// Every built-in check, sorted by id.\npub static CATALOGUE: &[Check] = &[\n");
    let mut broken = false;
    for path in check_files() {
        match entry(&path) {
            Ok(entry) => table.push_str(&entry),
            Err(message) => {
                broken = true;
                println!("cargo::error={}: {}", path.display(), message.trim().replace('\n', " | "));
            }
        }
    }
    table.push_str("];\n");
    if broken {
        BROKEN.clone_into(&mut table);
    }
    let out = std::env::var("OUT_DIR").unwrap_or_default();
    if let Err(error) = std::fs::write(Path::new(&out).join("catalogue.rs"), table) {
        println!("cargo::error=cannot write the catalogue: {error}");
    }
}

fn check_files() -> Vec<std::path::PathBuf> {
    let walk = walkdir::WalkDir::new("checks").sort_by_file_name();
    let files = walk.into_iter().filter_map(Result::ok).map(walkdir::DirEntry::into_path);
    let mut paths: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    paths.sort();
    paths
}

fn entry(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let mut check: CheckFile = toml::from_str(&text).map_err(|error| error.to_string())?;
    check.fill_in();
    let parts: Vec<String> = path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let [_, folder, file] = parts.as_slice() else {
        return Err("a check stands at checks/<folder>/<slug>.toml".to_owned());
    };
    let slug = file.trim_end_matches(".toml");
    let slug_is_fine =
        |part: &str| part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if !slug_is_fine(slug) || !slug_is_fine(folder) {
        return Err("folder and slug are lower-case words joined by hyphens".to_owned());
    }
    check.proofread()?;
    let evaluate = match &check.assert {
        Some(assertion) => format!("Evaluate::Assert(&{})", assertion_literal(assertion)?),
        None => {
            format!("Evaluate::Code(crate::checks::{}::{})", folder.replace('-', "_"), slug.replace('-', "_"))
        }
    };
    Ok(format!(
        "Check {{ id: {:?}, title: {:?}, severity: Severity::{:?}, area: Area::{:?}, scope: Scope::{:?}, \
         profiles: &[{}], rationale: {:?}, remediation: {:?}, exceptions: {:?}, references: &{:?}, mappings: &[{}], \
         parameters: &[{}], when: When {{ pve: {} }}, evaluate: {evaluate} }},\n",
        format!("{folder}/{slug}"),
        check.title,
        check.severity,
        check.area,
        check.scope,
        joined(check.profiles.iter().map(|profile| format!("Profile::{profile:?}"))),
        check.rationale.trim(),
        check.remediation.trim(),
        check.exceptions.trim(),
        check.references,
        joined(check.mappings.iter().map(|(key, list)| format!("({key:?}, &{list:?})"))),
        parameters_literal(&check)?,
        when_literal(check.when.pve.as_deref())?,
    ))
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

fn parameters_literal(check: &CheckFile) -> Result<String, String> {
    check.parameters.iter().map(|(name, parameter)| parameter_literal(name, parameter)).collect()
}

fn parameter_literal(name: &str, parameter: &ParameterFile) -> Result<String, String> {
    let ParameterFile { default, about, min, max } = parameter;
    let value = match default {
        ValueFile::Flag(flag) => format!("Value::Flag({flag})"),
        ValueFile::Number(number) => {
            if min.is_some_and(|min| *number < min) || max.is_some_and(|max| *number > max) {
                return Err(format!("the default of `{name}` is outside its bounds"));
            }
            format!("Value::Number({number})")
        }
        ValueFile::Text(text) => format!("Value::Text({text:?})"),
        ValueFile::List(list) => format!("Value::List(&{list:?})"),
    };
    Ok(format!(
        "Parameter {{ name: {name:?}, default: {value}, about: {about:?}, min: {min:?}, max: {max:?} }},"
    ))
}

/// `>=8`, `<=8`, `<9`, `>7`, `=8` as the first and the last release.
fn when_literal(pve: Option<&str>) -> Result<String, String> {
    let Some(text) = pve else { return Ok("None".to_owned()) };
    let digits = text.trim_start_matches(['<', '>', '=']);
    let wrong = || format!("`when.pve` is {text:?}; write for example \">=8\", \"<9\" or \"=7\"");
    let release: u8 = digits.parse().map_err(|_| wrong())?;
    let (first, last) = match text.strip_suffix(digits).unwrap_or_default() {
        ">=" => (release, 9),
        ">" => (release + 1, 9),
        "<=" => (7, release),
        "<" => (7, release - 1),
        "=" => (release, release),
        _ => return Err(wrong()),
    };
    if !(7..=9).contains(&first) || !(7..=9).contains(&last) || first > last {
        return Err(wrong());
    }
    Ok(format!("Some((Release::Pve{first}, Release::Pve{last}))"))
}

fn assertion_literal(assertion: &AssertFile) -> Result<String, String> {
    Ok(match assertion {
        AssertFile::Sysctl(a) => {
            format!("Assertion::Sysctl {{ key: {:?}, expect: {} }}", a.key, expect_literal(&a.expect)?)
        }
        AssertFile::Sshd(a) => {
            let keyword = a.keyword.to_ascii_lowercase();
            format!("Assertion::Sshd {{ keyword: {keyword:?}, expect: {} }}", expect_literal(&a.expect)?)
        }
        AssertFile::File(a) => {
            let mode = a.mode_at_most.as_deref().map(octal).transpose()?;
            let gid = a.gid.clone().unwrap_or_default();
            let missing = match a.missing {
                MissingFile::Pass => "Pass",
                MissingFile::Fail => "Fail",
                MissingFile::NotApplicable => "NotApplicable",
                MissingFile::Unknown => "Unknown",
            };
            format!(
                "Assertion::File {{ path: {:?}, mode_at_most: {mode:?}, uid: {:?}, gid: &{gid:?}, \
                 missing: Missing::{missing} }}",
                a.path, a.uid
            )
        }
        AssertFile::Package(a) => {
            if !a.units.is_empty() && (a.units.len() != a.any_of.len() || !a.installed) {
                return Err("`units` names one unit for each package that must be installed".to_owned());
            }
            format!(
                "Assertion::Package {{ any_of: &{:?}, installed: {}, units: &{:?} }}",
                a.any_of, a.installed, a.units
            )
        }
        AssertFile::Unit(a) => {
            format!(
                "Assertion::Unit {{ name: {:?}, also: &{:?}, package: {:?}, enabled: {} }}",
                a.name, a.also, a.package, a.enabled
            )
        }
        AssertFile::Mount(a) => {
            format!("Assertion::Mount {{ path: {:?}, options: &{:?} }}", a.path, a.options)
        }
        AssertFile::KernelArgument(a) => {
            format!(
                "Assertion::KernelArgument {{ name: {:?}, bad_values: &{:?}, good_values: &{:?} }}",
                a.name, a.bad_values, a.good_values
            )
        }
        AssertFile::Module(a) => format!("Assertion::Module {{ names: &{:?} }}", a.names),
        AssertFile::Option(a) => format!(
            "Assertion::Option {{ path: {:?}, key: {:?}, separator: {:?}, default: {:?}, also: &{:?}, \
             package: {:?}, expect: {} }}",
            a.path,
            a.key,
            a.separator,
            a.default,
            a.also.iter().collect::<Vec<_>>(),
            a.package,
            expect_literal(&a.expect)?
        ),
        AssertFile::Advisory(a) => advisory_literal(a),
    })
}

fn advisory_literal(advisory: &AdvisoryFile) -> String {
    let fixed = advisory.fixed.iter().map(|fixed| {
        format!(
            "Fixed {{ package: {:?}, release: Release::Pve{}, version: {:?}, since: {:?} }}",
            fixed.package, fixed.pve, fixed.version, fixed.since
        )
    });
    let stop_gap = advisory.stop_gap.as_ref().map_or("None".to_owned(), |gap| {
        format!(
            "Some(StopGap {{ path: {:?}, contains: {:?}, times: {} }})",
            gap.path, gap.contains, gap.times
        )
    });
    format!(
        "Assertion::Advisory(Advisory {{ id: {:?}, published: {:?}, cve: &{:?}, exploited: {:?}, fixed: &[{}], \
         series_without_fix: &{:?}, needs_nested: {}, needs_modules: &{:?}, stop_gap: {stop_gap} }})",
        advisory.id,
        advisory.published,
        advisory.cve,
        advisory.exploited,
        joined(fixed),
        advisory.series_without_fix,
        advisory.needs_nested,
        advisory.needs_modules,
    )
}

fn octal(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8).map_err(|_| format!("`{text}` is not an octal mode"))
}

fn expect_literal(expect: &ExpectFile) -> Result<String, String> {
    let ExpectFile { one_of, none_of, at_least, at_most } = expect;
    if one_of.is_none() && none_of.is_none() && at_least.is_none() && at_most.is_none() {
        return Err("`expect` says nothing: a check that cannot fail".to_owned());
    }
    let list =
        |words: &Option<Vec<String>>| words.as_ref().map_or("None".to_owned(), |w| format!("Some(&{w:?})"));
    Ok(format!(
        "Expect {{ one_of: {}, none_of: {}, at_least: {at_least:?}, at_most: {at_most:?} }}",
        list(one_of),
        list(none_of)
    ))
}
