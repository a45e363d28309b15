//! What sshd makes of its configuration on this host: which release reads it, the options it is started with, the
//! files it includes.

mod include;
mod service;
#[cfg(test)]
mod tests;

use std::cell::OnceCell;
use std::collections::BTreeSet;

use super::access::PASSWD;
use super::identity::DPKG_STATUS;
use super::{Doubt, Fact, Gather, Host, Stop};
use crate::formats::group;
use crate::formats::release::Release;
use crate::formats::sshd::{self, Effective, Problem, Source, Version};

use include::Includes;
pub use service::Socket;

/// The package of the daemon.
const PACKAGE: &str = "openssh-server";

/// The program of the package, a trace of it where the package database does not know it.
const PROGRAM: &str = "/usr/sbin/sshd";

/// The folder Debian's `sshd_config` includes.
const DROP_INS: &str = "/etc/ssh/sshd_config.d";

/// The local groups.
const GROUP: &str = "/etc/group";

#[derive(Default)]
pub(super) struct Facts {
    sshd: OnceCell<Fact<Sshd>>,
    root_groups: OnceCell<Fact<BTreeSet<String>>>,
}

/// The configuration of sshd.
#[derive(Debug, Clone)]
pub struct Sshd {
    /// The main file.
    pub path: String,
    /// The file the options come from that sshd is started with.
    pub options_path: String,
    /// What sshd makes of both.
    pub config: Effective,
    /// The main file and every file it includes.
    pub files: BTreeSet<String>,
    /// The files in [`DROP_INS`] that are meant to be read: `*.conf`.
    pub drop_ins: Vec<String>,
    /// Whether the release of sshd is one whose reading is known, and installed.
    pub release_is_known: bool,
    /// What systemd listens on for sshd; then no `Port` and no `ListenAddress` counts.
    pub socket: Option<Socket>,
}

impl Sshd {
    /// The settings in force.
    ///
    /// # Errors
    /// Where sshd refuses the configuration (a running daemon then still uses an older one), and where a part of it was
    /// not read (any setting may stand there).
    pub fn in_force(&self) -> Result<&Effective, Stop> {
        if let Some(problem) = self.config.problems.iter().find(|problem| problem.stops) {
            let mut doubt = self.doubt_of(problem);
            doubt.what += "; a running daemon still uses what was there before";
            return Err(Stop::Unknown(doubt));
        }
        if !self.config.complete {
            let unread = self.config.problems.iter().find(|problem| problem.setting.is_none());
            let doubt = unread.map(|problem| self.doubt_of(problem));
            let unsaid = || Doubt::about(&self.path, "includes what was not read");
            return Err(Stop::Unknown(doubt.unwrap_or_else(unsaid)));
        }
        Ok(&self.config)
    }

    /// What leaves the value of one of `keywords` open.
    pub fn doubts_about<'s>(&'s self, keywords: &'s [&'s str]) -> impl Iterator<Item = Doubt> + 's {
        let wanted = |problem: &&Problem| {
            problem.setting.is_some_and(|setting| {
                keywords.iter().any(|keyword| self.config.setting(keyword) == Some(setting))
            })
        };
        self.config.problems.iter().filter(wanted).map(|problem| self.doubt_of(problem))
    }

    /// A problem, with its place.
    pub fn doubt_of(&self, problem: &Problem) -> Doubt {
        let (path, line) = self.place(&problem.source);
        Doubt { line, ..Doubt::about(path, problem.what.clone()) }
    }

    /// File and line of a source; sshd's own defaults have the main file, where another value would stand.
    pub fn place<'s>(&'s self, source: &'s Source) -> (&'s str, Option<u32>) {
        match source {
            Source::Default => (&self.path, None),
            Source::CommandLine => (&self.options_path, None),
            Source::File { path, line } => (path, Some(*line)),
        }
    }
}

impl Host {
    /// The configuration of sshd, with everything it includes and the options it is started with. Where
    /// openssh-server is installed and its `sshd_config` is missing, sshd does not start: that is unknown, not the
    /// defaults.
    pub fn sshd(&self) -> &Fact<Sshd> {
        let nothing = sshd::Specification::default();
        self.sshd.sshd.get_or_init(|| Fact::gather(&self.files, |gather| self.read_sshd(gather, &nothing)))
    }

    /// The same for one connection, with the groups its user has here: the Match blocks it meets count.
    pub fn sshd_for(&self, connection: &sshd::Specification) -> Fact<Sshd> {
        Fact::gather(&self.files, |gather| {
            let mut connection = connection.clone();
            if let Some(user) = connection.user.as_deref().filter(|_| connection.groups.is_none()) {
                match self.groups_of(gather, user) {
                    Ok(groups) => connection.groups = groups,
                    Err(Stop::Unknown(doubt)) => gather.doubt(doubt),
                    Err(stop @ Stop::NotApplicable(_)) => return Err(stop),
                }
            }
            self.read_sshd(gather, &connection)
        })
    }

    fn read_sshd(&self, gather: &mut Gather<'_>, connection: &sshd::Specification) -> Result<Sshd, Stop> {
        let (version, release_is_known) = self.sshd_version(gather)?;
        let service = service::read(gather);
        let path = match &service.command_line.config {
            None => sshd::MAIN_FILE.to_owned(),
            // The daemon's working directory is `/`.
            Some(path) if path.starts_with('/') => path.clone(),
            Some(path) => format!("/{path}"),
        };
        let text = gather.optional(&path)?.ok_or_else(|| self.no_main_file(&path))?;
        if text.trim().is_empty() {
            gather.doubt(Doubt::about(&path, "is empty: its content may have been lost"));
        }
        let mut includes = Includes::new(gather, &path, &text);
        let mut include = |pattern: &str| includes.expand(pattern);
        let config =
            sshd::evaluate_with(&service.command_line, connection, &path, &text, version, &mut include);
        let files = includes.files();
        let sshd = Sshd {
            options_path: service.path,
            socket: service.socket,
            files,
            drop_ins: drop_ins(gather),
            path,
            config,
            release_is_known,
        };
        for problem in &sshd.config.problems {
            if !problem.stops && problem.setting.is_none() {
                gather.doubt(sshd.doubt_of(problem));
            }
        }
        Ok(sshd)
    }

    /// What a missing main file means.
    fn no_main_file(&self, path: &str) -> Stop {
        match self.package_version(PACKAGE) {
            Ok(Some(_)) => Stop::unknown(path, "is missing: sshd does not start without it"),
            _ => Stop::unknown(
                path,
                format!("is missing, and {DPKG_STATUS} does not tell whether there is an sshd"),
            ),
        }
    }

    /// The release that reads the configuration, and whether that is sure.
    fn sshd_version(&self, gather: &mut Gather<'_>) -> Result<(Version, bool), Stop> {
        let unsure = match self.package_version(PACKAGE) {
            Ok(Some(version)) => match Version::from_package(version) {
                Some(version) => return Ok((version, true)),
                None => Doubt::about(
                    DPKG_STATUS,
                    format!("names {PACKAGE} {version}, whose reading of sshd_config is not known"),
                ),
            },
            Ok(None) => {
                if self.has_no_sshd()? {
                    gather.take(self.packages())?;
                    return Err(Stop::not_applicable(format!("{PACKAGE} is not installed")));
                }
                Doubt::about(DPKG_STATUS, format!("does not know {PACKAGE}, whose configuration is there"))
            }
            Err(Stop::Unknown(doubt)) => doubt,
            Err(stop @ Stop::NotApplicable(_)) => return Err(stop),
        };
        // Without the package the release of the operating system is the next best to tell; an option of the
        // administrator is as good as the package.
        let assumed = self.assumed().and_then(|release| Version::from_pve(u32::from(release.major())));
        if let Some(version) = assumed {
            return Ok((version, true));
        }
        gather.doubt(unsure);
        let debian = self.os().value.as_ref().ok().and_then(|os| os.version_id.parse().ok());
        let newest = || Version::from_pve(u32::from(Release::Pve9.major()));
        let version = debian.and_then(Version::from_debian).or_else(newest).unwrap_or(Version::V10_0);
        Ok((version, false))
    }

    /// Whether the readable package database tells truly that there is no sshd: nothing of it is left, or it was
    /// removed and left its configuration behind.
    fn has_no_sshd(&self) -> Result<bool, Stop> {
        let is_missing = |path| match self.files.stat(path) {
            Ok(_) => Ok(false),
            Err(trouble) if trouble.is_missing() => Ok(true),
            Err(trouble) => Err(Stop::from(trouble)),
        };
        let removed = self.packages().value.as_ref().is_ok_and(|packages| !packages.of(PACKAGE).is_empty());
        Ok(is_missing(PROGRAM)? && (removed || is_missing(sshd::MAIN_FILE)?))
    }

    /// The names of all groups of root.
    pub fn root_groups(&self) -> &Fact<BTreeSet<String>> {
        self.sshd.root_groups.get_or_init(|| self.groups_of_account("root"))
    }

    /// The names of all groups of an account.
    pub fn groups_of_account(&self, name: &str) -> Fact<BTreeSet<String>> {
        Fact::gather(&self.files, |gather| {
            let groups = self.groups_of(gather, name)?;
            groups.ok_or_else(|| Stop::unknown(PASSWD, format!("has no entry for {name}")))
        })
    }

    /// The names of all groups of a user; `None` for one who is not in passwd.
    fn groups_of(&self, gather: &mut Gather<'_>, user: &str) -> Result<Option<BTreeSet<String>>, Stop> {
        let passwd = gather.take(self.passwd())?;
        let Some(account) = passwd.by_name(user) else { return Ok(None) };
        let text = gather.required(GROUP)?;
        let groups = gather.parsed(GROUP, group::parse(&text));
        let own = groups.by_gid(account.gid).map(|group| group.name.clone());
        let member = groups.entries.iter().filter(|group| group.members.iter().any(|name| name == user));
        Ok(Some(member.map(|group| group.name.clone()).chain(own).collect()))
    }
}

/// The files the administrator put where Debian's configuration includes them.
fn drop_ins(gather: &mut Gather<'_>) -> Vec<String> {
    let entries = gather.folder(DROP_INS);
    let names = entries.into_iter().map(|entry| entry.name);
    let meant = names
        .filter(|name| !name.starts_with('.') && name.rsplit_once('.').is_some_and(|(_, end)| end == "conf"));
    meant.map(|name| format!("{DROP_INS}/{name}")).collect()
}
