//! Why a path could not be read.

use std::fmt;
use std::sync::Arc;

use nix::errno::Errno;

/// Why a path could not be read. Each kind leads to a different next step for the reader of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TroubleKind {
    /// There is nothing of that name (or a link that leads nowhere).
    Missing,
    /// The permission was denied.
    Denied,
    /// It is there, but it is a folder, a device, a FIFO or a socket.
    NotAFile,
    /// It is larger than the limit, in bytes or (for a folder) entries.
    TooLarge {
        /// The limit that was passed.
        limit: u64,
    },
    /// Its bytes are not UTF-8.
    NotUtf8,
    /// The access did not come back in time.
    TimedOut,
    /// Any other error of the kernel.
    Io(Errno),
    /// It is made of another file, which cannot be used: the path of that file and why, one sentence.
    Source(Arc<str>),
}

impl TroubleKind {
    /// Name for machines: `missing`, `denied`, `not_a_file`, `too_large`, `not_utf8`, `timed_out`, `io_error`,
    /// `source_error`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Denied => "denied",
            Self::NotAFile => "not_a_file",
            Self::TooLarge { .. } => "too_large",
            Self::NotUtf8 => "not_utf8",
            Self::TimedOut => "timed_out",
            Self::Io(_) => "io_error",
            Self::Source(_) => "source_error",
        }
    }
}

impl From<Errno> for TroubleKind {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::ENOENT | Errno::ENOTDIR => Self::Missing,
            Errno::EACCES | Errno::EPERM => Self::Denied,
            Errno::EISDIR => Self::NotAFile,
            other => Self::Io(other),
        }
    }
}

impl fmt::Display for TroubleKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "is missing"),
            Self::Denied => write!(f, "cannot be read: permission denied (run as root)"),
            Self::NotAFile => write!(f, "is not a regular file"),
            Self::TooLarge { limit } => write!(f, "is larger than the limit of {limit}"),
            Self::NotUtf8 => write!(f, "is not UTF-8 text"),
            Self::TimedOut => write!(f, "did not answer in time (is its file system hung?)"),
            Self::Io(Errno::ENOTCONN) => {
                write!(f, "cannot be read: the cluster file system has died (ENOTCONN)")
            }
            Self::Io(errno) => write!(f, "cannot be read: {} ({errno:?})", errno.desc()),
            Self::Source(why) => write!(f, "cannot be read: {why}"),
        }
    }
}

/// A path with the reason why it could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// The path as the audited host sees it.
    pub path: String,
    /// The reason.
    pub kind: TroubleKind,
}

impl Trouble {
    /// `path` could not be read because of `kind`.
    pub fn new(path: &str, kind: TroubleKind) -> Self {
        Self { path: path.to_owned(), kind }
    }

    /// Whether there simply is no such file.
    pub fn is_missing(&self) -> bool {
        self.kind == TroubleKind::Missing
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path, self.kind)
    }
}
