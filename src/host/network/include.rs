//! The files `/etc/network/interfaces` pulls in.

use std::collections::BTreeSet;

use super::{INTERFACES, Interface, Interfaces};
use crate::files::Kind;
use crate::formats::glob_pattern::Pattern;
use crate::formats::interfaces::{self, Item};
use crate::host::{Doubt, Gather, Stop};

/// Most files that are read: a file that pulls in itself ends here.
const FILE_LIMIT: usize = 1000;

pub(super) fn read(gather: &mut Gather<'_>) -> Result<Interfaces, Stop> {
    let text = gather.required(INTERFACES)?;
    let mut reader = Reader { gather, interfaces: Interfaces::default(), seen: BTreeSet::new() };
    reader.seen.insert(INTERFACES.to_owned());
    reader.file(INTERFACES, &text);
    Ok(reader.interfaces)
}

struct Reader<'g, 'f> {
    gather: &'g mut Gather<'f>,
    interfaces: Interfaces,
    /// Files already read. ifupdown2 reads a file that is named twice again, which says nothing new.
    seen: BTreeSet<String>,
}

impl Reader<'_, '_> {
    fn file(&mut self, path: &str, text: &str) {
        for item in self.gather.parsed(path, interfaces::parse(text)) {
            match item {
                Item::Stanza(stanza) => {
                    let name = stanza.name.clone();
                    let interface = self.interfaces.all.entry(name.clone()).or_default();
                    interface.name = name;
                    Interface::add(interface, stanza, path);
                }
                Item::Source { pattern, line } => {
                    for found in self.expand(&absolute(&pattern, path), line, path) {
                        self.named(&found);
                    }
                }
                Item::SourceDirectory { pattern, line } => {
                    for folder in self.expand(&absolute(&pattern, path), line, path) {
                        self.folder(&folder);
                    }
                }
                Item::Auto(_) => {}
            }
        }
    }

    fn named(&mut self, path: &str) {
        if self.gather.files().stat(path).is_ok_and(|meta| meta.kind == Kind::Folder) {
            // ifupdown2 cannot open a folder, warns and goes on.
            return;
        }
        if self.seen.len() >= FILE_LIMIT {
            self.gather.doubt(Doubt::about(path, "is one file too many and is not read"));
            return;
        }
        if self.seen.insert(path.to_owned())
            && let Some(text) = self.gather.part(path)
        {
            self.file(path, &text);
        }
    }

    /// ifupdown2 takes every file of a source directory, whatever its name.
    fn folder(&mut self, folder: &str) {
        for entry in self.gather.folder(folder) {
            if entry.kind != Kind::Folder {
                self.named(&format!("{folder}/{}", entry.name));
            }
        }
    }

    /// The paths a pattern stands for, sorted. A name without a wildcard stands for itself, there or not.
    fn expand(&mut self, pattern: &str, line: u32, path: &str) -> Vec<String> {
        let mut bases = vec![String::new()];
        let parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
        if parts.contains(&"..") {
            self.gather.doubt(Doubt::at(path, line, "names files by way of `..`, which is not followed"));
            return Vec::new();
        }
        for (at, part) in parts.iter().enumerate() {
            let last = at + 1 == parts.len();
            let matcher = Pattern::new(part);
            let mut next = Vec::new();
            for base in &bases {
                if let Some(name) = matcher.literal() {
                    next.push(format!("{base}/{name}"));
                    continue;
                }
                let folder = if base.is_empty() { "/" } else { base };
                let entries = self.gather.folder(folder);
                let fits = |kind: Kind, name: &str| matcher.matches(name) && (last || kind != Kind::File);
                let fitting = entries.iter().filter(|entry| fits(entry.kind, &entry.name));
                next.extend(fitting.map(|entry| format!("{base}/{}", entry.name)));
            }
            bases = next;
        }
        bases.sort();
        bases
    }
}

fn absolute(pattern: &str, path: &str) -> String {
    if pattern.starts_with('/') {
        return pattern.to_owned();
    }
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{folder}/{pattern}")
}
