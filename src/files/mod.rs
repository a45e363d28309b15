//! The only door to the file system.
//!
//! Every path is absolute as the audited host sees it (`/etc/pve/user.cfg`) and is resolved below the root
//! the door was opened on: absolute links, `..` and `/proc` magic links cannot leave it. Only regular files
//! are read (a device or a FIFO is never opened), every read is bounded in size and time, and every access is
//! recorded in a ledger that ends up in the report.
//!
//! Missing, denied, not a file, too large, not UTF-8, timed out and I/O error are seven different things.

mod base;
mod budget;
mod guard;
mod layers;
mod ledger;
mod memory;
mod root;
mod stream;
mod trouble;

use std::cell::RefCell;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

pub use ledger::{Input, InputOutcome};
pub use memory::{Node, Tree};
pub use trouble::{Trouble, TroubleKind};

use budget::Budget;
use guard::Guard;
use ledger::Ledger;
use stream::Stream;

/// Largest file that is read unless the source has a limit of its own: no configuration file of Debian comes near it.
pub const DEFAULT_LIMIT: u64 = 4 * 1024 * 1024;

/// Largest file below `/etc/pve`: pmxcfs refuses more (`MEMDB_MAX_FILE_SIZE`).
pub const CLUSTER_LIMIT: u64 = 1024 * 1024;

/// How many bytes the whole run may read before every further read ends as too large: the memory of a node is its
/// guests'. A cluster of thousands of guests needs some tens of megabytes.
pub const RUN_BUDGET: u64 = 256 * 1024 * 1024;

/// Largest folder that is listed, in entries.
pub const FOLDER_LIMIT: usize = 100_000;

/// How long the whole run may take before every further access ends as timed out.
pub const RUN_DEADLINE: Duration = Duration::from_mins(1);

/// How long one access to a file system that may hang (`/etc/pve`) may take.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A regular file.
    File,
    /// A folder.
    Folder,
    /// A symbolic link (only where links are not followed).
    Link,
    /// A device, FIFO or socket.
    Other,
}

/// The inode facts of a path, links followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// What it is.
    pub kind: Kind,
    /// Permission bits, `0o7777` at most.
    pub mode: u32,
    /// Owning user id.
    pub uid: u32,
    /// Owning group id.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
    /// Time of the last content change, seconds since 1970.
    pub modified: i64,
}

/// One name in a folder.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// The name, without the folder. Names that are not UTF-8 appear with replacement characters.
    pub name: String,
    /// What it is, links not followed.
    pub kind: Kind,
}

/// The mount point of the cluster file system.
pub const CLUSTER_FILES: &str = "/etc/pve";

/// What the files of the cluster were made of, where the cluster file system itself is not mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterSource {
    /// The file they were made of.
    pub path: String,
    /// What makes its content doubtful: sentences without a full stop about the file.
    pub doubts: Vec<String>,
}

/// The text of a file.
pub type Text = Arc<str>;

type Answer<T> = Result<T, TroubleKind>;

/// The path without `.`, `..` and doubled slashes.
pub fn normalised(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            name => parts.push(name),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Where the link at `path` leads that points to `target`, which counts from the link's folder unless it is absolute.
pub fn leads_to(path: &str, target: &str) -> String {
    match path.rsplit_once('/') {
        Some((folder, _)) if !target.starts_with('/') => normalised(&format!("{folder}/{target}")),
        _ => normalised(target),
    }
}

/// Whether `path` lies in `folder`, at any depth.
pub fn lies_in(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
}

enum Backend {
    Root(layers::Layers),
    Memory(Tree),
}

/// The door: opened once per run, on a folder or on a tree in memory.
pub struct Files {
    backend: Backend,
    guard: Guard,
    budget: Budget,
    ledger: RefCell<Ledger>,
    cluster: Option<ClusterSource>,
}

impl Files {
    /// Opens the door on `dir`, which becomes `/`.
    ///
    /// # Errors
    /// When the folder cannot be opened, or the kernel lacks `openat2` (Linux 5.6).
    pub fn below(dir: &Path) -> Result<Self, String> {
        Ok(Self::new(Backend::Root(layers::Layers::of(dir)?)))
    }

    /// The same door with the files of `dir` laid over the root: each stands in the place of the file of the same
    /// path. A tree in memory takes none.
    ///
    /// # Errors
    /// When the folder cannot be opened.
    pub fn lay_over(&mut self, dir: &Path) -> Result<(), String> {
        match &mut self.backend {
            Backend::Root(layers) => layers.lay_over(dir),
            Backend::Memory(_) => Err("nothing can be laid over a tree in memory".to_owned()),
        }
    }

    /// A door on a tree in memory.
    pub fn memory(tree: Tree) -> Self {
        Self::new(Backend::Memory(tree))
    }

    fn new(backend: Backend) -> Self {
        Self {
            backend,
            guard: Guard::new(PATIENCE, RUN_DEADLINE),
            budget: Budget::default(),
            ledger: RefCell::default(),
            cluster: None,
        }
    }

    /// Mounts `tree` on [`CLUSTER_FILES`]; its paths are those of the audited host. What was there before is hidden.
    /// Proposed files are laid over it only if that is done after this.
    pub fn mount_cluster_files(&mut self, tree: Tree, source: ClusterSource) {
        match &mut self.backend {
            Backend::Root(layers) => layers.mount(tree),
            Backend::Memory(whole) => whole.extend(tree),
        }
        self.ledger.get_mut().forget(CLUSTER_FILES);
        self.cluster = Some(source);
    }

    /// What the files of the cluster were made of; `None` where they are files below the root.
    pub fn cluster_source(&self) -> Option<&ClusterSource> {
        self.cluster.as_ref()
    }

    /// The text of the regular file at `path`, at most [`DEFAULT_LIMIT`] bytes of UTF-8.
    pub fn text(&self, path: &str) -> Result<Text, Trouble> {
        self.text_up_to(path, DEFAULT_LIMIT)
    }

    /// The text of the regular file at `path`, at most `limit` bytes of UTF-8.
    pub fn text_up_to(&self, path: &str, limit: u64) -> Result<Text, Trouble> {
        let answer = self.answer(path, limit);
        self.finish_read(path, answer)
    }

    fn answer(&self, path: &str, limit: u64) -> Answer<Vec<u8>> {
        match &self.backend {
            Backend::Memory(tree) => self.budget.spend(path, limit, |limit| tree.read(path, limit)),
            Backend::Root(root) => {
                let (root, budget, owned) = (root.clone(), self.budget.clone(), path.to_owned());
                self.guard.run(path, move || budget.spend(&owned, limit, |limit| root.read(&owned, limit)))
            }
        }
    }

    /// The bytes of the regular file at `path`, at most [`DEFAULT_LIMIT`]: for what upstream does not read as text.
    pub fn bytes(&self, path: &str) -> Result<Vec<u8>, Trouble> {
        self.bytes_up_to(path, DEFAULT_LIMIT)
    }

    /// As [`Files::bytes`], at most `limit` bytes.
    pub fn bytes_up_to(&self, path: &str, limit: u64) -> Result<Vec<u8>, Trouble> {
        let answer = self.answer(path, limit);
        self.finish(path, answer, |bytes| InputOutcome::Read { bytes: bytes.len() as u64 })
    }

    /// Hands the regular file at `path` to `take` piece by piece, at most `limit` bytes of it: for files that are too
    /// large to be held. They do not count towards [`RUN_BUDGET`], which is about memory. Only opening is guarded
    /// against file systems that hang: not for what may lie on a share.
    pub fn stream<T>(
        &self,
        path: &str,
        limit: u64,
        take: impl FnOnce(&mut dyn Read) -> T,
    ) -> Result<T, Trouble> {
        let opened: Answer<Box<dyn Read + Send>> = match &self.backend {
            Backend::Memory(tree) => {
                tree.read(path, u64::MAX).map(|bytes| Box::new(std::io::Cursor::new(bytes)) as _)
            }
            Backend::Root(root) => {
                let (root, owned) = (root.clone(), path.to_owned());
                self.guard.run(path, move || root.piecewise(&owned))
            }
        };
        let answer = opened.and_then(|file| {
            let mut stream = Stream::new(file, limit, self.guard.end());
            let value = take(&mut stream);
            stream.trouble.map_or(Ok((value, stream.read)), Err)
        });
        self.finish(path, answer, |(_, bytes)| InputOutcome::Read { bytes: *bytes }).map(|(value, _)| value)
    }

    /// The texts of many files, read side by side: an access to `/etc/pve` is a round trip to a daemon, and
    /// eight in flight are five to seven times faster than one.
    pub fn texts(&self, paths: &[String]) -> Vec<Result<Text, Trouble>> {
        let answers: Vec<Answer<Vec<u8>>> = match &self.backend {
            Backend::Memory(tree) => {
                let read =
                    |path: &String| self.budget.spend(path, DEFAULT_LIMIT, |limit| tree.read(path, limit));
                paths.iter().map(read).collect()
            }
            Backend::Root(root) => {
                let context = (root.clone(), self.budget.clone());
                self.guard.run_all(paths, &context, |(root, budget), path| {
                    budget.spend(path, DEFAULT_LIMIT, |limit| root.read(path, limit))
                })
            }
        };
        paths.iter().zip(answers).map(|(path, answer)| self.finish_read(path, answer)).collect()
    }

    fn finish_read(&self, path: &str, answer: Answer<Vec<u8>>) -> Result<Text, Trouble> {
        let decoded = answer.and_then(|bytes| String::from_utf8(bytes).map_err(|_| TroubleKind::NotUtf8));
        let outcome = match &decoded {
            Ok(text) => InputOutcome::Read { bytes: text.len() as u64 },
            Err(kind) => InputOutcome::Trouble(kind.clone()),
        };
        self.ledger.borrow_mut().record(path, outcome);
        decoded.map(Arc::from).map_err(|kind| Trouble::new(path, kind))
    }

    /// The names in the folder `path`, sorted by their bytes.
    pub fn list(&self, path: &str) -> Result<Vec<Entry>, Trouble> {
        let answer = match &self.backend {
            Backend::Memory(tree) => tree.list(path),
            Backend::Root(root) => {
                let (root, owned) = (root.clone(), path.to_owned());
                self.guard.run(path, move || root.list(&owned))
            }
        };
        self.finish(path, answer, |entries| InputOutcome::Listed { entries: entries.len() as u64 })
    }

    /// The inode facts of `path`, links followed.
    pub fn stat(&self, path: &str) -> Result<Meta, Trouble> {
        let answer = match &self.backend {
            Backend::Memory(tree) => tree.stat(path),
            Backend::Root(root) => {
                let (root, owned) = (root.clone(), path.to_owned());
                self.guard.run(path, move || root.stat(&owned))
            }
        };
        self.finish(path, answer, |_| InputOutcome::Examined)
    }

    /// Where the symbolic link `path` points, as it is written.
    pub fn link(&self, path: &str) -> Result<String, Trouble> {
        let answer = match &self.backend {
            Backend::Memory(tree) => tree.link(path),
            Backend::Root(root) => {
                let (root, owned) = (root.clone(), path.to_owned());
                self.guard.run(path, move || root.link(&owned))
            }
        };
        // That something is no link is an answer, not a trouble of the input.
        if answer == Err(TroubleKind::NotAFile) {
            self.ledger.borrow_mut().record(path, InputOutcome::Examined);
            return Err(Trouble::new(path, TroubleKind::NotAFile));
        }
        self.finish(path, answer, |_| InputOutcome::Examined)
    }

    fn finish<T>(
        &self,
        path: &str,
        answer: Answer<T>,
        outcome: impl Fn(&T) -> InputOutcome,
    ) -> Result<T, Trouble> {
        let entry = match &answer {
            Ok(value) => outcome(value),
            Err(kind) => InputOutcome::Trouble(kind.clone()),
        };
        self.ledger.borrow_mut().record(path, entry);
        answer.map_err(|kind| Trouble::new(path, kind))
    }

    /// Everything that was accessed so far, sorted by path.
    pub fn inputs(&self) -> Vec<Input> {
        self.ledger.borrow().inputs()
    }
}
