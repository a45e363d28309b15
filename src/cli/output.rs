//! Writes a file whole or not at all: a new file beside it, flushed to the disk, then renamed over it.
#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the report is the one thing that is written, and it is written here"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Writes `path` with what `fill` writes. The old file stays whole until the new one is complete; a symbolic link
/// is refused, for whoever placed it would choose what is overwritten.
pub(super) fn write(path: &Path, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), String> {
    let say = |what: &str, error: &io::Error| format!("cannot {what} {}: {error}", path.display());
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_symlink() => {
            return Err(format!("{} is a symbolic link: name the file itself", path.display()));
        }
        Ok(found) if !found.is_file() => return Err(format!("{} is not a regular file", path.display())),
        _ => {}
    }
    let name = path.file_name().ok_or_else(|| format!("{} names no file", path.display()))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut fresh_name = std::ffi::OsString::from(".");
    fresh_name.push(name);
    fresh_name.push(format!(".{}.new", std::process::id()));
    let fresh = folder.join(fresh_name);
    // A report tells an attacker where to go: only its owner may read it until he decides otherwise.
    let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh);
    let opened = opened.map_err(|error| say("write", &error))?;
    let result =
        fill_and_flush(opened, fill).and_then(|()| fs::rename(&fresh, path)).and_then(|()| sync(folder));
    result.map_err(|error| {
        // Best effort: the message below is what matters.
        let _ = fs::remove_file(&fresh);
        say("write", &error)
    })
}

fn fill_and_flush(target: File, fill: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut buffered = BufWriter::new(target);
    fill(&mut buffered)?;
    buffered.flush()?;
    buffered.get_ref().sync_all()
}

fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
