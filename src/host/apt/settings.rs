//! The merged configuration.

use super::{Doubt, Gather, folder_parts};
use crate::formats::apt_conf::{self, ConfFile, Directive, Tree};

const MAIN: &str = "/etc/apt/apt.conf";

const PARTS: &str = "/etc/apt/apt.conf.d";

/// apt's configuration. What the environment variable `APT_CONFIG` or an option of one command sets is not part of
/// it.
#[derive(Debug, Clone, Default)]
pub struct AptConf {
    /// What all files together set.
    pub tree: Tree,
    /// What makes every apt command fail; also among the doubts.
    pub error: Option<Doubt>,
    /// File and line of every URL with user or password, overwritten ones among them.
    pub credentials: Vec<(String, u32)>,
}

/// Reads `/etc/apt/apt.conf.d` in byte order, then `/etc/apt/apt.conf`.
pub(super) fn read(gather: &mut Gather<'_>) -> AptConf {
    let mut paths = folder_parts(gather, PARTS, apt_conf::is_conf_file);
    paths.push(MAIN.to_owned());
    let mut tree = Tree::default();
    let mut reader = Reader { gather, error: None, credentials: Vec::new() };
    for path in paths {
        if let Some(file) = reader.file(&path) {
            tree.apply(&path, &file, &mut |target| reader.include(&path, target));
        }
    }
    AptConf { tree, error: reader.error, credentials: reader.credentials }
}

struct Reader<'g, 'f> {
    gather: &'g mut Gather<'f>,
    error: Option<Doubt>,
    credentials: Vec<(String, u32)>,
}

impl Reader<'_, '_> {
    fn file(&mut self, path: &str) -> Option<ConfFile> {
        let text = self.gather.part(path)?;
        let file = self.gather.parsed(path, apt_conf::parse(&text));
        if let (None, Some(issue)) = (&self.error, &file.error) {
            self.error = Some(Doubt::at(path, issue.line, issue.what.as_str()));
        }
        for (line, directive) in &file.directives {
            if matches!(directive, Directive::Set { credentials: true, .. }) {
                self.credentials.push((path.to_owned(), *line));
            }
        }
        Some(file)
    }

    /// What an `#include` in `path` brings. A missing file makes apt fail.
    fn include(&mut self, path: &str, target: &str) -> Vec<(String, ConfFile)> {
        if !target.starts_with('/') {
            self.gather.doubt(Doubt::about(path, "includes a file by a relative path: it is not read"));
            return Vec::new();
        }
        let paths = match target.strip_suffix('/') {
            Some(folder) => folder_parts(self.gather, folder, apt_conf::is_conf_file),
            None => vec![target.to_owned()],
        };
        let mut files = Vec::new();
        for included in paths {
            if let Some(file) = self.file(&included) {
                files.push((included, file));
                continue;
            }
            let doubt = Doubt::about(path, "includes a file that cannot be read: every apt command fails");
            self.gather.doubt(doubt.clone());
            self.error.get_or_insert(doubt);
        }
        files
    }
}
