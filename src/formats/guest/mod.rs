//! Guest configuration files: `nodes/NODE/qemu-server/VMID.conf` and `nodes/NODE/lxc/VMID.conf`.
//!
//! The two grammars look alike and differ where it matters, so each has a module that follows its own upstream
//! parser: [`qemu`] and [`lxc`]. This module holds what they share.
//!
//! A guest file is readable by the web server and may hold secrets: the password for cloud-init, environment
//! values, tokens on the QEMU command line, free text in the description. None of these leaves the parsers.

pub mod lxc;
mod lxc_options;
mod lxc_view;
mod options;
pub mod qemu;
mod qemu_options;
mod qemu_view;
mod secrets;
#[cfg(test)]
mod tests;
mod text;

use super::property_string::Properties;
use super::{Located, perl};

pub use secrets::{Arguments, Password};

/// The guest id a file name stands for, or `None` if the file is no guest.
///
/// Follows the cluster file system (pve-cluster, `memdb.c`): a decimal number without leading zero, then exactly
/// `.conf`. `100.conf.bak`, `0100.conf`, `100.conf.tmp.1` and `cpu.conf` are no guests.
pub fn is_guest_file_name(name: &str) -> Option<u32> {
    let number = name.strip_suffix(".conf")?;
    if number.starts_with('0') || !perl::is_digits(number) {
        return None;
    }
    number.parse().ok()
}

/// One option of a guest, as upstream holds it after loading the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestOption {
    /// The value; booleans are `1` or `0`. Empty for options whose value is a secret or free text.
    pub text: String,
    /// The value taken apart, if the option is a property string and well-formed.
    pub properties: Option<Properties>,
    /// Whether the value passed upstream's check. Only containers keep a value that did not.
    pub well_formed: bool,
    /// Line in the file, counted from 1.
    pub line: u32,
}

/// An option that stands in the file and that upstream does not take over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The name of the option.
    pub option: String,
    /// Line in the file, counted from 1.
    pub line: u32,
}

/// Facts about one snapshot of a guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The name, as typed in the section header.
    pub name: String,
    /// Line of the section header.
    pub line: u32,
    /// When it was taken, in seconds since 1970.
    pub taken_at: Option<u64>,
    /// Whether it keeps the guest's memory, with every key and password that was in it.
    pub has_memory: bool,
    /// Whether it keeps a password for cloud-init, and how.
    pub password: Option<Password>,
    /// How many environment variables it keeps.
    pub environment_variables: usize,
}

/// An option to remove, from `delete:` in the pending section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deletion {
    /// The name of the option.
    pub option: String,
    /// Whether it is marked `!` (removed even if its volume is in use).
    pub force: bool,
}

/// The items of a pending `delete:` line.
fn deletions(text: &str) -> Vec<Deletion> {
    let item = |item: &str| match item.strip_prefix('!') {
        Some(option) => Deletion { option: option.to_owned(), force: true },
        None => Deletion { option: item.to_owned(), force: false },
    };
    perl::split_list(text).into_iter().map(item).collect()
}

/// The tags of a guest: untrusted text.
fn tags(option: Option<&GuestOption>) -> Vec<Located<String>> {
    let Some(option) = option else { return Vec::new() };
    perl::split_list(&option.text).into_iter().map(|tag| Located::new(tag.to_owned(), option.line)).collect()
}

/// Where a disk or mount point takes its data from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// A volume of a storage.
    Volume {
        /// The storage id.
        storage: String,
        /// The rest of the volume id.
        volume: String,
    },
    /// An absolute path that starts with `/dev/`: a device of the host.
    Device(String),
    /// Any other absolute path: a file or folder of the host.
    Path(String),
    /// An empty drive (`none`).
    Empty,
    /// The host's own optical drive (`cdrom`).
    HostDrive,
    /// Text of another form; upstream fails when the guest starts.
    Other(String),
}

impl Source {
    /// What `text`, the `file` or `volume` of a disk or mount point, stands for.
    pub fn of(text: &str) -> Self {
        match text {
            "none" => Self::Empty,
            "cdrom" => Self::HostDrive,
            _ if text.starts_with("/dev/") => Self::Device(text.to_owned()),
            _ if text.starts_with('/') => Self::Path(text.to_owned()),
            _ => match text.split_once(':') {
                Some((storage, volume)) if super::verify::volume_id(text) => {
                    Self::Volume { storage: storage.to_owned(), volume: volume.to_owned() }
                }
                _ => Self::Other(text.to_owned()),
            },
        }
    }

    /// The storage the volume is on.
    pub fn storage(&self) -> Option<&str> {
        match self {
            Self::Volume { storage, .. } => Some(storage),
            _ => None,
        }
    }

    /// The absolute path on the host, of a device or of anything else.
    pub fn host_path(&self) -> Option<&str> {
        match self {
            Self::Device(path) | Self::Path(path) => Some(path),
            _ => None,
        }
    }
}
