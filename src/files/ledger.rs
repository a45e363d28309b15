//! The record of every access, for the report's list of inputs.

use std::collections::BTreeMap;

use super::TroubleKind;

/// How an access ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputOutcome {
    /// The inode or the link was looked at.
    Examined,
    /// The folder was listed whole.
    Listed {
        /// How many names it has.
        entries: u64,
    },
    /// The file was read whole.
    Read {
        /// Its size.
        bytes: u64,
    },
    /// It could not be read.
    Trouble(TroubleKind),
}

impl InputOutcome {
    /// A trouble tells more than a success, and reading tells more than looking.
    fn rank(&self) -> u8 {
        match self {
            Self::Examined => 0,
            Self::Listed { .. } => 1,
            Self::Read { .. } => 2,
            Self::Trouble(TroubleKind::Missing) => 3,
            Self::Trouble(_) => 4,
        }
    }
}

/// One path that was accessed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The path as the audited host sees it.
    pub path: String,
    /// How it ended.
    pub outcome: InputOutcome,
}

#[derive(Debug, Default)]
pub(super) struct Ledger {
    entries: BTreeMap<String, InputOutcome>,
}

impl Ledger {
    pub(super) fn record(&mut self, path: &str, outcome: InputOutcome) {
        match self.entries.get_mut(path) {
            Some(known) if known.rank() < outcome.rank() => *known = outcome,
            Some(_) => {}
            None => {
                self.entries.insert(path.to_owned(), outcome);
            }
        }
    }

    /// Takes back what was recorded of `path`: it is another one now.
    pub(super) fn forget(&mut self, path: &str) {
        self.entries.remove(path);
    }

    pub(super) fn inputs(&self) -> Vec<Input> {
        self.entries
            .iter()
            .map(|(path, outcome)| Input { path: path.clone(), outcome: outcome.clone() })
            .collect()
    }
}
