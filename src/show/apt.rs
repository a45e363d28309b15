//! The package sources as apt uses them.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Shown, issues};
use crate::formats::apt_sources::{Entry, Key, SignedBy};
use crate::host::apt::{AptSources, Source};
use crate::host::{Host, Stop};

/// Lays out the merged source list; sources that are switched off are left out.
pub(super) fn shown(host: &Host) -> Result<Shown, String> {
    let fact = host.apt_sources();
    let sources = fact.value.as_ref().map_err(|stop| match stop {
        Stop::Unknown(doubt) => doubt.to_string(),
        Stop::NotApplicable(why) => why.clone(),
    })?;
    let issues = issues(&fact.doubts);
    let entries: Vec<Value> = sources.used().map(|source| as_value(source, sources)).collect();
    let mut text = String::new();
    if sources.unreadable.is_some() {
        text.push_str("apt refuses this list; what could be understood of it:\n");
    }
    for source in sources.used() {
        let _ = writeln!(text, "{}", line(source, sources));
    }
    for issue in &issues {
        let _ = writeln!(text, "! {issue}");
    }
    let json = json!({"readable": sources.unreadable.is_none(), "entries": entries, "issues": issues});
    Ok(Shown { json, text })
}

fn as_value(source: &Source, sources: &AptSources) -> Value {
    let entry = &source.entry;
    json!({
        "type": entry.source_type.word(),
        "uri": entry.uri,
        "suite": entry.suite,
        "component": entry.component,
        "architectures": architectures(entry, sources),
        "trusted": entry.trusted,
        "signed_by": signed_by(entry),
        "path": source.path,
        "line": entry.line,
    })
}

/// The architectures the source asks for by itself; empty where it takes those of the host.
fn architectures(entry: &Entry, sources: &AptSources) -> Vec<String> {
    let asked = &entry.architectures;
    if asked.set.is_none() && asked.add.is_empty() && asked.remove.is_empty() {
        return Vec::new();
    }
    let mut list = asked.resolve(std::slice::from_ref(&sources.native));
    list.retain(|name| name != "all");
    list
}

/// Keyring files and fingerprints, joined as apt writes them; a key block by its digest.
fn signed_by(entry: &Entry) -> Option<String> {
    Some(match entry.signed_by.as_ref()? {
        SignedBy::Keys(keys) => keys.iter().map(Key::text).collect::<Vec<_>>().join(","),
        SignedBy::Inline(digest) => format!("key block, sha256 {digest}"),
    })
}

/// One source in the one-line writing, with its place.
fn line(source: &Source, sources: &AptSources) -> String {
    let entry = &source.entry;
    let mut options = Vec::new();
    let architectures = architectures(entry, sources);
    if !architectures.is_empty() {
        options.push(format!("arch={}", architectures.join(",")));
    }
    if let Some(trusted) = entry.trusted {
        options.push(format!("trusted={}", if trusted { "yes" } else { "no" }));
    }
    options.extend(signed_by(entry).map(|keys| format!("signed-by={keys}")));
    let options = if options.is_empty() { String::new() } else { format!("[{}] ", options.join(" ")) };
    let component = entry.component.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
    format!(
        "{} {options}{} {}{component}  ({}:{})",
        entry.source_type.word(),
        entry.uri,
        entry.suite,
        source.path,
        entry.line
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Files, Node, Tree};
    use crate::formats::release::Release;

    fn shown_of(text: &str) -> Shown {
        let mut tree = Tree::default();
        tree.insert("/etc/apt/sources.list", Node::file(text));
        shown(&Host::new(Files::memory(tree), None, Some(Release::Pve9))).unwrap()
    }

    #[test]
    fn every_component_is_an_entry_with_exactly_these_keys() {
        let shown = shown_of(
            "deb [arch=amd64,i386 trusted=yes signed-by=/a.gpg] https://u:SECRET@h/debian trixie main contrib\ndeb-src http://h/x ./\n",
        );
        let entry = |component: &str| {
            json!({"type": "deb", "uri": "https://h/debian/", "suite": "trixie", "component": component,
                   "architectures": ["amd64", "i386"], "trusted": true, "signed_by": "/a.gpg",
                   "path": "/etc/apt/sources.list", "line": 1})
        };
        let exact = json!({"type": "deb-src", "uri": "http://h/x/", "suite": "./", "component": null,
                           "architectures": [], "trusted": null, "signed_by": null,
                           "path": "/etc/apt/sources.list", "line": 2});
        assert_eq!(
            shown.json,
            json!({"readable": true, "entries": [entry("main"), entry("contrib"), exact], "issues": []})
        );
        assert!(!shown.text.contains("SECRET"));
        assert_eq!(
            shown.text.lines().next(),
            Some(
                "deb [arch=amd64,i386 trusted=yes signed-by=/a.gpg] https://h/debian/ trixie main  (/etc/apt/sources.list:1)"
            )
        );
    }

    #[test]
    fn a_refused_list_says_why() {
        let shown = shown_of("deb http://h/ trixie main\ndeb http://h/ trixie\n");
        assert_eq!(shown.json["readable"], json!(false));
        assert_eq!(shown.json["issues"][0]["line"], json!(2));
        assert!(shown.text.starts_with("apt refuses this list"));
    }
}
