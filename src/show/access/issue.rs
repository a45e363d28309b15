//! What is wrong with the files, or was left out: with a code for machines.

use serde::Serialize;

use crate::host::Doubt;

/// Code of the issue that says which paths are left out for size.
pub(super) const PATHS_LEFT_OUT: &str = "paths-left-out";

/// An issue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(super) struct Issue {
    pub(super) path: String,
    pub(super) line: Option<u32>,
    pub(super) code: &'static str,
    pub(super) message: String,
}

impl Issue {
    /// About a whole file.
    pub(super) fn new(path: &str, code: &'static str, message: String) -> Self {
        Self { path: path.to_owned(), line: None, code, message }
    }

    /// What is doubtful about a fact.
    pub(super) fn of(doubt: &Doubt) -> Self {
        let code = if doubt.line.is_some() { "not-understood" } else { "not-known" };
        Self { path: doubt.path.clone(), line: doubt.line, code, message: doubt.what.clone() }
    }

    /// For people.
    pub(super) fn words(&self) -> String {
        match self.line {
            Some(line) => format!("{}:{line}: {}", self.path, self.message),
            None => format!("{} {}", self.path, self.message),
        }
    }
}
