//! Stanzas with `Types`, `URIs`, `Suites` and `Components`.
//!
//! Follows apt `apt-pkg/sourcelist.cc` (`ParseFileDeb822`, `Type::ParseStanza`).
//!
//! The manual page lists `Allow-Insecure`, `Allow-Weak`, `Allow-Downgrade-To-Insecure` and `InRelease-Path` as
//! fields too, but apt up to 3.0 has no such fields: they are ignored like any unknown one.

use super::options::Options;
use super::{ARCH, Context, Entries, Entry, Parsed, SourceFile, SourceType, Trouble, one_line, uri};
use crate::formats::apt_text::{boolean, words};
use crate::formats::tag_file::{self, Comments, Stanza};
use crate::formats::{Issue, apt_text::AptVersion};

/// Fields that are lists, with the option of the same meaning.
const LISTS: [(&str, &str); 6] = [
    ("Architectures", "arch"),
    ("Architectures-Add", "arch+"),
    ("Architectures-Remove", "arch-"),
    ("Targets", "target"),
    ("Targets-Add", "target+"),
    ("Targets-Remove", "target-"),
];
/// Fields that are single values, with the option of the same meaning.
const VALUES: [(&str, &str); 7] = [
    ("Trusted", "trusted"),
    ("Check-Valid-Until", "check-valid-until"),
    ("Valid-Until-Min", "valid-until-min"),
    ("Valid-Until-Max", "valid-until-max"),
    ("Check-Date", "check-date"),
    ("Date-Max-Future", "date-max-future"),
    ("Signed-By", "signed-by"),
];
/// Fields that make entries; the same field twice in a stanza loses the first one.
const MAKERS: [&str; 5] = ["Types", "URIs", "Suites", "Components", "Enabled"];

pub(super) fn parse(text: &str, context: &Context<'_>) -> Parsed<SourceFile> {
    let file = tag_file::parse(text, Comments::Skipped);
    let mut parsed = Parsed { value: SourceFile::default(), issues: file.issues };
    let mut into = Entries::default();
    let mut fatal = file.value.fatal;
    for stanza in &file.value.stanzas {
        report_repeated(stanza, &mut parsed.issues);
        let before = into.list.len();
        if let Err(trouble) = entries(stanza, context, &mut into) {
            parsed.stop(stanza.line(), &trouble);
            fatal = None;
            break;
        }
        let new = into.list.get(before..).unwrap_or_default();
        if new.iter().any(|entry| entry.enabled && entry.snapshot.is_some()) {
            parsed.issues.push(Issue::new(stanza.line(), one_line::SNAPSHOT));
        }
    }
    parsed.value.entries = into.list;
    parsed.value.unreadable = parsed.value.unreadable.or(fatal);
    parsed
}

fn report_repeated(stanza: &Stanza, issues: &mut Vec<Issue>) {
    let names = MAKERS.iter().chain(LISTS.iter().chain(&VALUES).map(|(name, _)| name));
    for name in names {
        let mut same = stanza.fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name));
        if let (Some(_), Some(second)) = (same.next(), same.next()) {
            issues.push(Issue::new(
                second.line,
                format!("`{name}` again in the same stanza: apt takes only the last one"),
            ));
        }
    }
}

fn options(stanza: &Stanza, version: AptVersion) -> Options {
    let mut options = Options::default();
    for (field, name) in LISTS {
        if let Some(field) = stanza.get(field) {
            options.set(name, words(&field.value).collect::<Vec<_>>().join(","));
        }
    }
    let snapshot = (version == AptVersion::V3_0).then_some(("Snapshot", "snapshot"));
    for (field, name) in VALUES.into_iter().chain(snapshot) {
        if let Some(field) = stanza.get(field) {
            options.set(name, field.value.clone());
        }
    }
    options
}

/// Adds the entries of one stanza, by type, URI, suite and component.
fn entries(stanza: &Stanza, context: &Context<'_>, into: &mut Entries) -> Result<(), Trouble> {
    let types = stanza.get("Types").ok_or("a stanza without Types")?;
    let switch = stanza.get("Enabled").filter(|field| !field.value.is_empty());
    let enabled = switch.and_then(|field| boolean(&field.value)) != Some(false);
    let options = options(stanza, context.version);
    for word in words(&types.value) {
        let source_type = SourceType::of(word).ok_or("a type is neither deb nor deb-src")?;
        match expand(stanza, source_type, &options, context, enabled, into) {
            // apt looks no further into a disabled stanza; what can be understood is still shown
            Err(Trouble::Refused(_)) if !enabled => {}
            outcome => outcome?,
        }
    }
    Ok(())
}

fn expand(
    stanza: &Stanza,
    source_type: SourceType,
    options: &Options,
    context: &Context<'_>,
    enabled: bool,
    into: &mut Entries,
) -> Result<(), Trouble> {
    let list = |name: &str| words(stanza.text(name)).collect::<Vec<_>>();
    let (uris, suites, components) = (list("URIs"), list("Suites"), list("Components"));
    if uris.is_empty() {
        return Err("a stanza without URIs".into());
    }
    if suites.is_empty() {
        return Err("a stanza without Suites".into());
    }
    let entry = options.entry(source_type, stanza.line(), context);
    for uri in uris {
        let (uri, credentials) =
            uri::fixed(uri, context.native, context.version).ok_or("a URI has no scheme")?;
        for suite in &suites {
            let suite = suite.replace(ARCH, context.native);
            let exact = suite.ends_with('/');
            match (exact, components.is_empty()) {
                (true, false) => return Err("an exact path (a suite ending in `/`) with Components".into()),
                (false, true) => return Err("a stanza without Components".into()),
                _ => {}
            }
            let entry = entry.clone().ok_or(one_line::BAD_SIGNED_BY)?;
            let entry = Entry { uri: uri.clone(), credentials, suite, enabled, ..entry };
            if exact {
                into.push(entry)?;
                continue;
            }
            for component in &components {
                into.push(Entry { component: Some((*component).to_owned()), ..entry.clone() })?;
            }
        }
    }
    Ok(())
}
