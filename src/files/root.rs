//! The door on a real folder: `openat2` confined to it.
#![expect(clippy::disallowed_types, reason = "this is the door: the one module that opens files")]

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use nix::dir::{Dir, Type};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, open, openat, openat2, readlinkat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};

use super::{Answer, Entry, FOLDER_LIMIT, Kind, Meta, TroubleKind};

/// First read of a file in `/proc` or `/sys`: the kernel allocates and clears what is asked for.
const KERNEL_BUFFER: usize = 4 * 1024;

/// A path lookup can race with a rename and is then asked for again (openat2(2), EAGAIN).
const LOOKUP_TRIES: u32 = 16;

/// A folder that is `/` for everything read through it.
#[derive(Clone)]
pub(super) struct Root {
    folder: Arc<OwnedFd>,
}

impl Root {
    pub(super) fn open(dir: &Path) -> Result<Self, String> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let folder = open(dir, flags, Mode::empty())
            .map_err(|errno| format!("cannot open the root folder {}: {}", dir.display(), errno.desc()))?;
        let root = Self { folder: Arc::new(folder) };
        match root.resolve("/", OFlag::O_PATH) {
            Ok(_) => Ok(root),
            Err(Errno::ENOSYS) => Err("this kernel has no openat2 (Linux 5.6 or newer is needed)".to_owned()),
            Err(errno) => Err(format!("cannot look below {}: {}", dir.display(), errno.desc())),
        }
    }

    fn resolve(&self, path: &str, flags: OFlag) -> Result<OwnedFd, Errno> {
        let how = OpenHow::new()
            .flags(flags | OFlag::O_CLOEXEC)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        for _ in 1..LOOKUP_TRIES {
            match openat2(self.folder.as_fd(), path, how) {
                Err(Errno::EAGAIN | Errno::EINTR) => {}
                answer => return answer,
            }
        }
        openat2(self.folder.as_fd(), path, how)
    }

    pub(super) fn stat(&self, path: &str) -> Answer<Meta> {
        let place = self.resolve(path, OFlag::O_PATH)?;
        Ok(meta(&fstat(&place)?))
    }

    /// What stands at `path`, a link not followed.
    pub(super) fn kind(&self, path: &str) -> Answer<Kind> {
        let place = self.resolve(path, OFlag::O_PATH | OFlag::O_NOFOLLOW)?;
        Ok(meta(&fstat(&place)?).kind)
    }

    /// Where `path` leads when every link is followed, as the root names it; for what is missing, where it would be.
    /// `None` where the kernel does not tell (no `/proc`).
    pub(super) fn real_path(&self, path: &str) -> Option<String> {
        let (place, name) = if let Ok(place) = self.resolve(path, OFlag::O_PATH) {
            (place, None)
        } else {
            let (folder, name) = path.rsplit_once('/')?;
            let folder = if folder.is_empty() { "/" } else { folder };
            (self.resolve(folder, OFlag::O_PATH).ok()?, Some(name))
        };
        let told = |fd: &OwnedFd| readlinkat(AT_FDCWD, format!("/proc/self/fd/{}", fd.as_raw_fd()).as_str());
        let whole = told(&place).ok()?.into_string().ok()?;
        let root = told(&self.folder).ok()?.into_string().ok()?;
        let inside = whole.strip_prefix(root.trim_end_matches('/'))?;
        match name {
            None if inside.is_empty() => Some("/".to_owned()),
            None => Some(inside.to_owned()),
            Some(name) => Some(format!("{}/{name}", inside.trim_end_matches('/'))),
        }
    }

    pub(super) fn link(&self, path: &str) -> Answer<String> {
        let place = self.resolve(path, OFlag::O_PATH | OFlag::O_NOFOLLOW)?;
        if meta(&fstat(&place)?).kind != Kind::Link {
            return Err(TroubleKind::NotAFile);
        }
        let target = readlinkat(&place, "")?;
        target.into_string().map_err(|_| TroubleKind::NotUtf8)
    }

    pub(super) fn read(&self, path: &str, limit: u64) -> Answer<Vec<u8>> {
        let (file, facts) = self.regular(path, limit)?;
        read_whole(file, &Plan::new(path, facts.size), limit)
    }

    pub(super) fn piecewise(&self, path: &str) -> Answer<Box<dyn Read + Send>> {
        Ok(Box::new(self.regular(path, u64::MAX)?.0))
    }

    /// The path is resolved without opening anything, and only a regular file is then opened: opening a device
    /// node can act on the device (a watchdog would reset the node).
    fn regular(&self, path: &str, limit: u64) -> Answer<(File, Meta)> {
        let place = self.resolve(path, OFlag::O_PATH)?;
        let facts = meta(&fstat(&place)?);
        if facts.kind != Kind::File {
            return Err(TroubleKind::NotAFile);
        }
        if facts.size > limit {
            return Err(TroubleKind::TooLarge { limit });
        }
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOCTTY | OFlag::O_NONBLOCK;
        let file = reopen(&place, flags).or_else(|errno| match errno {
            // No /proc: the path is looked up again, and the kind of what was opened is checked again.
            Errno::ENOENT => self.resolve(path, flags),
            other => Err(other),
        })?;
        if meta(&fstat(&file)?).kind != Kind::File {
            return Err(TroubleKind::NotAFile);
        }
        Ok((File::from(file), facts))
    }

    pub(super) fn list(&self, path: &str) -> Answer<Vec<Entry>> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NONBLOCK;
        let folder = match self.resolve(path, flags) {
            Err(Errno::ENOTDIR) => return self.stat(path).and(Err(TroubleKind::NotAFile)),
            answer => answer?,
        };
        let mut dir = Dir::from_fd(folder)?;
        let mut entries = Vec::new();
        for item in dir.iter() {
            let item = item?;
            let name = item.file_name().to_string_lossy().into_owned();
            if name == "." || name == ".." {
                continue;
            }
            if entries.len() == FOLDER_LIMIT {
                return Err(TroubleKind::TooLarge { limit: FOLDER_LIMIT as u64 });
            }
            let kind = match item.file_type() {
                Some(Type::File) => Kind::File,
                Some(Type::Directory) => Kind::Folder,
                Some(Type::Symlink) => Kind::Link,
                Some(_) => Kind::Other,
                // pmxcfs leaves the kind of links and dot files open.
                None => self.kind_of_entry(&format!("{path}/{name}")),
            };
            entries.push(Entry { name, kind });
        }
        entries.sort();
        Ok(entries)
    }

    fn kind_of_entry(&self, path: &str) -> Kind {
        let place = self.resolve(path, OFlag::O_PATH | OFlag::O_NOFOLLOW);
        place.and_then(|fd| fstat(&fd)).map_or(Kind::Other, |stat| meta(&stat).kind)
    }
}

/// Opens the inode behind an `O_PATH` descriptor for reading: no second path lookup, so nothing to race with.
fn reopen(place: &OwnedFd, flags: OFlag) -> Result<OwnedFd, Errno> {
    let magic = format!("/proc/self/fd/{}", place.as_raw_fd());
    openat(AT_FDCWD, magic.as_str(), flags, Mode::empty())
}

/// How a file is best read, by the file system it is on.
struct Plan {
    buffer: usize,
    short_read_is_the_end: bool,
}

impl Plan {
    fn new(path: &str, size: u64) -> Self {
        // pmxcfs copies the whole file per request, and a short read is its end: one read of a byte more than the
        // size is one round trip. (A larger buffer only costs memory to clear: 128 KiB tripled the system time.)
        let short_read_is_the_end = path.starts_with("/etc/pve/");
        let kernel = path.starts_with("/proc/") || path.starts_with("/sys/");
        let known = usize::try_from(size).unwrap_or(0).saturating_add(1);
        let buffer = if kernel || size == 0 { KERNEL_BUFFER } else { known };
        Self { buffer, short_read_is_the_end }
    }
}

fn read_whole(mut file: File, plan: &Plan, limit: u64) -> Answer<Vec<u8>> {
    let limit_bytes = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut bytes = Vec::new();
    let mut filled = 0;
    loop {
        if bytes.len() == filled {
            bytes.resize(filled + plan.buffer.max(KERNEL_BUFFER), 0);
        }
        let room = bytes.get_mut(filled..).unwrap_or_default();
        let asked = room.len();
        let got = match file.read(room) {
            Ok(got) => got,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(TroubleKind::from(errno_of(&error))),
        };
        filled += got;
        if filled > limit_bytes {
            return Err(TroubleKind::TooLarge { limit });
        }
        if got == 0 || (plan.short_read_is_the_end && got < asked) {
            bytes.truncate(filled);
            bytes.shrink_to_fit();
            return Ok(bytes);
        }
    }
}

pub(super) fn errno_of(error: &std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

fn meta(stat: &FileStat) -> Meta {
    let format = SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits());
    let kind = match format {
        SFlag::S_IFREG => Kind::File,
        SFlag::S_IFDIR => Kind::Folder,
        SFlag::S_IFLNK => Kind::Link,
        _ => Kind::Other,
    };
    Meta {
        kind,
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified: stat.st_mtime,
    }
}

impl From<std::io::Error> for TroubleKind {
    fn from(error: std::io::Error) -> Self {
        Self::from(errno_of(&error))
    }
}
