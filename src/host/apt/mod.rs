//! apt: where packages come from, how apt is set up, what is preferred, which passwords it has.

pub mod priority;
pub mod repository;
mod settings;
mod sources;

use std::cell::OnceCell;
use std::collections::BTreeSet;

use super::{Doubt, Fact, Gather, Host, Stop};
use crate::files::{Kind, Meta};
use crate::formats::apt_auth::{self, Machine};
use crate::formats::apt_match::names_no_field;
use crate::formats::apt_preferences::{self, Pin, Record};
use crate::formats::apt_sources::{AptVersion, Entry, Key, SignedBy};
use crate::formats::release_file::{self, ReleaseFile};

pub use settings::AptConf;
pub use sources::{AptSources, Source};

/// Where apt is set up.
const FOLDER: &str = "/etc/apt";

/// Where apt keeps what it has fetched.
const LISTS: &str = "/var/lib/apt/lists";

/// The file apt reads before those of [`AUTH_PARTS`].
const AUTH: &str = "/etc/apt/auth.conf";

/// The folder Proxmox VE writes the subscription's user and password into.
const AUTH_PARTS: &str = "/etc/apt/auth.conf.d";

const PREFERENCES: &str = "/etc/apt/preferences";

const PREFERENCES_PARTS: &str = "/etc/apt/preferences.d";

/// A path of [`Host::apt_guarded_paths`] with its inode facts; none for a keyring that a source names and that is not
/// there.
pub type Guarded = (String, Option<Meta>);

/// Files, and folders whose content is not looked at, that must be root's alone.
const GUARDED: [&str; 5] =
    [FOLDER, "/etc/apt/sources.list", "/etc/apt/apt.conf", PREFERENCES, "/etc/apt/trusted.gpg"];

/// Folders whose content must be root's alone as well.
const GUARDED_FOLDERS: [&str; 5] = [
    "/etc/apt/sources.list.d",
    "/etc/apt/apt.conf.d",
    PREFERENCES_PARTS,
    "/etc/apt/trusted.gpg.d",
    "/etc/apt/keyrings",
];

#[derive(Default)]
pub(super) struct Facts {
    sources: OnceCell<Fact<AptSources>>,
    conf: OnceCell<Fact<AptConf>>,
    preferences: OnceCell<Fact<Preferences>>,
    auth: OnceCell<Fact<Vec<Auth>>>,
    secrets: OnceCell<Fact<Vec<SecretFile>>>,
    guarded: OnceCell<Fact<Vec<Guarded>>>,
}

/// All pins, in the order in which apt tries them.
#[derive(Debug, Clone, Default)]
pub struct Preferences {
    /// Every record with its file.
    pub records: Vec<(String, Record)>,
    /// What makes apt refuse to choose versions.
    pub error: Option<Doubt>,
}

/// User and password for an archive; the texts themselves are not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Auth {
    /// Which archive.
    pub machine: Machine,
    /// The file.
    pub path: String,
}

/// A file of apt's that holds a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFile {
    /// The file.
    pub path: String,
    /// First line that holds one.
    pub line: u32,
    /// Permission bits.
    pub mode: u32,
}

impl Host {
    /// Which apt reads the files: by its package, else by the release given or found, else by os-release. The
    /// doubt says that nothing tells; then the newest one is taken.
    fn apt_version(&self) -> (AptVersion, Option<Doubt>) {
        /// Proxmox VE 7 is built on Debian 11, and so on.
        const DEBIAN_IS_AHEAD_BY: u32 = 4;
        if let Ok(Some(version)) = self.package_version("apt") {
            return (AptVersion::of_package(version), None);
        }
        if let Ok(release) = self.release() {
            return (AptVersion::of_debian(u32::from(release.major()) + DEBIAN_IS_AHEAD_BY), None);
        }
        let os = self.os().value.as_ref().ok();
        match os.and_then(|os| os.version_id.parse().ok()) {
            Some(major) => (AptVersion::of_debian(major), None),
            None => (
                AptVersion::V3_0,
                Some(Doubt::about("/var/lib/dpkg/status", "does not tell the version of apt; taken as 3.0")),
            ),
        }
    }

    /// The package sources as apt merges them: `/etc/apt/sources.list`, then `/etc/apt/sources.list.d`. Either may
    /// be missing, not both.
    pub fn apt_sources(&self) -> &Fact<AptSources> {
        self.apt.sources.get_or_init(|| self.read_apt_sources())
    }

    /// apt's configuration: `/etc/apt/apt.conf.d`, then `/etc/apt/apt.conf`. A missing file sets nothing.
    pub fn apt_conf(&self) -> &Fact<AptConf> {
        self.apt.conf.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                self.apt_folder()?;
                Ok(settings::read(gather))
            })
        })
    }

    /// Where this folder is missing nothing of apt was read, and nothing is a default.
    fn apt_folder(&self) -> Result<(), Stop> {
        Ok(self.files.stat(FOLDER).map(|_| ())?)
    }

    /// The pins: `/etc/apt/preferences`, then `/etc/apt/preferences.d`. A missing file pins nothing.
    pub fn apt_preferences(&self) -> &Fact<Preferences> {
        self.apt.preferences.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                self.apt_folder()?;
                let (version, doubt) = self.apt_version();
                if let Some(doubt) = doubt {
                    gather.doubt(doubt);
                }
                let mut all = Preferences::default();
                for path in
                    parts(gather, PREFERENCES, PREFERENCES_PARTS, apt_preferences::is_preferences_file)
                {
                    let Some(text) = gather.part(&path) else { continue };
                    let file = gather.parsed(&path, apt_preferences::parse(&text, version));
                    let error = file.error.map(|issue| Doubt::at(&path, issue.line, issue.what));
                    all.error = all.error.or(error);
                    let is_void = |record: &Record| match &record.pin {
                        Pin::Release(data) => version == AptVersion::V2_2 && names_no_field(data),
                        _ => false,
                    };
                    let records = file.records.into_iter().filter(|record| !is_void(record));
                    all.records.extend(records.map(|record| (path.clone(), record)));
                }
                Ok(all)
            })
        })
    }

    /// The archives apt has a user and a password for: `/etc/apt/auth.conf`, then `/etc/apt/auth.conf.d`.
    pub fn apt_auth(&self) -> &Fact<Vec<Auth>> {
        self.apt.auth.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                self.apt_folder()?;
                let mut all = Vec::new();
                for path in parts(gather, AUTH, AUTH_PARTS, apt_auth::is_auth_file) {
                    let Some(text) = gather.part(&path) else { continue };
                    let machines = gather.parsed(&path, apt_auth::parse(&text));
                    all.extend(machines.into_iter().map(|machine| Auth { machine, path: path.clone() }));
                }
                Ok(all)
            })
        })
    }

    /// The files of apt's that hold a password, with their modes.
    pub fn apt_secret_files(&self) -> &Fact<Vec<SecretFile>> {
        self.apt.secrets.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let mut places: Vec<(String, u32)> = Vec::new();
                let sources = gather.take(self.apt_sources())?;
                let entries = sources.all.iter().filter(|source| source.entry.credentials);
                places.extend(entries.map(|source| (source.path.clone(), source.entry.line)));
                places.extend(gather.take(self.apt_conf())?.credentials.iter().cloned());
                let auth = gather.take(self.apt_auth())?.iter().filter(|auth| auth.machine.password);
                places.extend(auth.map(|auth| (auth.path.clone(), auth.machine.line)));
                places.sort();
                places.dedup_by(|later, first| later.0 == first.0);
                let mut files = Vec::new();
                for (path, line) in places {
                    match self.files.stat(&path) {
                        Ok(meta) => files.push(SecretFile { path, line, mode: meta.mode }),
                        Err(trouble) => gather.doubt(trouble),
                    }
                }
                Ok(files)
            })
        })
    }

    /// What decides which packages root installs: sources, settings, pins and keys, with the folders they lie in.
    pub fn apt_guarded_paths(&self) -> &Fact<Vec<Guarded>> {
        self.apt.guarded.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                self.apt_folder()?;
                let mut paths: BTreeSet<String> = GUARDED.iter().map(|path| (*path).to_owned()).collect();
                for folder in GUARDED_FOLDERS {
                    let names = gather.folder(folder).into_iter();
                    paths.extend(names.map(|entry| format!("{folder}/{}", entry.name)));
                    paths.insert(folder.to_owned());
                }
                let mut keyrings = BTreeSet::new();
                for source in gather.take(self.apt_sources())?.used() {
                    if let Some(SignedBy::Keys(keys)) = &source.entry.signed_by {
                        let files = keys.iter().filter(|key| matches!(key, Key::File(_)));
                        keyrings.extend(files.map(|key| key.text().to_owned()));
                    }
                }
                let mut found = Vec::new();
                for path in paths.union(&keyrings) {
                    match self.files.stat(path) {
                        Ok(meta) => found.push((path.clone(), Some(meta))),
                        Err(trouble) if trouble.is_missing() => {
                            found.extend(keyrings.contains(path).then(|| (path.clone(), None)));
                        }
                        Err(trouble) => gather.doubt(trouble),
                    }
                }
                Ok(found)
            })
        })
    }

    /// What the archive of a source said about itself when its lists were last fetched; `None` where they never
    /// were.
    pub fn apt_release_file(&self, entry: &Entry) -> Fact<Option<ReleaseFile>> {
        Fact::gather(&self.files, |gather| {
            for name in ["InRelease", "Release"] {
                let path = format!("{LISTS}/{}", entry.list_file(name));
                if let Some(text) = gather.optional(&path)? {
                    return Ok(Some(gather.parsed(&path, release_file::parse(&text))));
                }
            }
            Ok(None)
        })
    }
}

/// `main`, then the files of `folder` whose names apt takes, in byte order. Folders are left out; a link may lead
/// to a file.
fn parts(gather: &mut Gather<'_>, main: &str, folder: &str, is_part: fn(&str) -> bool) -> Vec<String> {
    let mut paths = vec![main.to_owned()];
    paths.extend(folder_parts(gather, folder, is_part));
    paths
}

fn folder_parts(gather: &mut Gather<'_>, folder: &str, is_part: fn(&str) -> bool) -> Vec<String> {
    let entries = gather.folder(folder).into_iter();
    let files = entries.filter(|entry| entry.kind != Kind::Folder && is_part(&entry.name));
    files.map(|entry| format!("{folder}/{}", entry.name)).collect()
}

#[cfg(test)]
mod tests;
