//! The files an `Include` pattern finds: glob(3) over the door, every file read once.

use std::collections::{BTreeMap, BTreeSet};

use crate::files::{Entry, Kind, Text, TroubleKind};
use crate::formats::glob_pattern::Pattern;
use crate::formats::sshd::{Included, Read};
use crate::host::Gather;

/// Most folders that are listed and files that are read for all patterns together; sshd itself has no limit.
const MOST_STEPS: usize = 4_096;

/// Most bytes that are read for all patterns together; sshd itself has no limit.
const MOST_BYTES: usize = 16 << 20;

/// What is said of a file that was not read because of the limits.
const TOO_MUCH: &str = "too many files or too many bytes are included";

/// What an administrator links to for a file without content.
const NOTHING: &str = "/dev/null";

/// Expands patterns, keeping what was read.
pub(super) struct Includes<'g, 'f> {
    gather: &'g mut Gather<'f>,
    read: BTreeMap<String, Read>,
    listed: BTreeMap<String, Result<Vec<Entry>, TroubleKind>>,
    steps: usize,
    bytes: usize,
}

impl<'g, 'f> Includes<'g, 'f> {
    /// For the main file `path` with this `text`.
    pub(super) fn new(gather: &'g mut Gather<'f>, path: &str, text: &Text) -> Self {
        let read = BTreeMap::from([(path.to_owned(), Read::Text(text.to_string()))]);
        Self { gather, read, listed: BTreeMap::new(), steps: MOST_STEPS, bytes: MOST_BYTES }
    }

    /// Every file that was read.
    pub(super) fn files(self) -> BTreeSet<String> {
        let texts = self.read.into_iter().filter(|(_, read)| matches!(read, Read::Text(_)));
        texts.map(|(path, _)| path).collect()
    }

    /// The files the absolute `pattern` finds, in byte order of their paths.
    pub(super) fn expand(&mut self, pattern: &str) -> Vec<Included> {
        let parts: Vec<Pattern> =
            pattern.split('/').filter(|part| !part.is_empty()).map(Pattern::new).collect();
        let Some((last, folders)) = parts.split_last() else { return Vec::new() };
        let mut unread = Vec::new();
        let mut bases = vec![String::new()];
        for part in folders {
            bases = self.step(&bases, part, false, &mut unread);
        }
        let mut paths = self.step(&bases, last, true, &mut unread);
        paths.sort();
        let mut found: Vec<Included> =
            paths.into_iter().filter_map(|path| self.file(path, last.literal().is_some())).collect();
        found.extend(unread);
        found
    }

    /// What `part` finds in each of `bases`.
    fn step(
        &mut self,
        bases: &[String],
        part: &Pattern,
        last: bool,
        unread: &mut Vec<Included>,
    ) -> Vec<String> {
        if let Some(name) = part.literal() {
            return bases.iter().map(|base| format!("{base}/{name}")).collect();
        }
        let mut paths = Vec::new();
        for base in bases {
            let folder = if base.is_empty() { "/" } else { base };
            match self.list(folder) {
                Ok(entries) => {
                    let fitting = entries
                        .iter()
                        .filter(|entry| (last || entry.kind != Kind::File) && part.matches(&entry.name));
                    paths.extend(fitting.map(|entry| format!("{base}/{}", entry.name)));
                }
                // glob(3) passes over what is no folder.
                Err(TroubleKind::Missing | TroubleKind::NotAFile) => {}
                Err(kind) => {
                    unread.push(Included { path: folder.to_owned(), read: Read::Unread(kind.to_string()) });
                }
            }
        }
        paths
    }

    fn list(&mut self, folder: &str) -> Result<Vec<Entry>, TroubleKind> {
        if let Some(known) = self.listed.get(folder) {
            return known.clone();
        }
        let Some(steps) = self.steps.checked_sub(1) else {
            return Err(TroubleKind::TooLarge { limit: MOST_STEPS as u64 });
        };
        self.steps = steps;
        let answer = self.gather.files().list(folder).map_err(|trouble| trouble.kind);
        self.listed.insert(folder.to_owned(), answer.clone());
        answer
    }

    /// The file at `path`; `None` where a path without wildcards leads to nothing, which sshd passes over.
    fn file(&mut self, path: String, spelled_out: bool) -> Option<Included> {
        let read = match self.read.get(&path) {
            Some(read) => read.clone(),
            None => {
                let read = self.look(&path);
                self.read.insert(path.clone(), read.clone());
                read
            }
        };
        // glob(3) finds a link whether it leads somewhere or not.
        let nothing = spelled_out && read == Read::Missing && self.gather.files().link(&path).is_err();
        (!nothing).then_some(Included { path, read })
    }

    fn look(&mut self, path: &str) -> Read {
        let Some(steps) = self.steps.checked_sub(1).filter(|_| self.bytes > 0) else {
            return Read::Unread(TOO_MUCH.to_owned());
        };
        self.steps = steps;
        if path.contains(char::REPLACEMENT_CHARACTER) {
            return Read::Unread("its name is not UTF-8".to_owned());
        }
        let files = self.gather.files();
        match files.text(path) {
            Ok(text) => {
                self.bytes = self.bytes.saturating_sub(text.len());
                let text = self.gather.part_of(path, Ok(text));
                Read::Text(text.map(|text| text.to_string()).unwrap_or_default())
            }
            Err(trouble) => match trouble.kind {
                TroubleKind::Missing | TroubleKind::NotAFile
                    if files.link(path).is_ok_and(|target| target == NOTHING) =>
                {
                    Read::Text(String::new())
                }
                TroubleKind::Missing => Read::Missing,
                TroubleKind::NotAFile if files.stat(path).is_ok_and(|meta| meta.kind == Kind::Folder) => {
                    Read::Text(String::new())
                }
                kind => Read::Unread(kind.to_string()),
            },
        }
    }
}
