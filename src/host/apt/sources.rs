//! The merged source list.

use super::{Doubt, Fact, Gather, Host, Stop, folder_parts};
use crate::formats::apt_sources::{self, AptVersion, Context, Entry, Kind};

const LIST: &str = "/etc/apt/sources.list";

const PARTS: &str = "/etc/apt/sources.list.d";

/// Settings that make apt look for its sources elsewhere.
const ELSEWHERE: [&str; 5] = ["Dir", "Dir::Etc", "Dir::Etc::sourcelist", "Dir::Etc::sourceparts", "RootDir"];

/// A source and its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// What it says.
    pub entry: Entry,
    /// Where it stands.
    pub path: String,
}

/// The package sources.
#[derive(Debug, Clone, Default)]
pub struct AptSources {
    /// Every source in apt's order, those switched off among them.
    pub all: Vec<Source>,
    /// Why apt refuses the complete list and no package can be updated; also among the doubts.
    pub unreadable: Option<Doubt>,
    /// `APT::Architecture`, such as `amd64`.
    pub native: String,
    /// What may hide a source from this list, if anything.
    pub incomplete: Option<Doubt>,
}

impl AptSources {
    /// The sources that are switched on.
    pub fn used(&self) -> impl Iterator<Item = &Source> {
        self.all.iter().filter(|source| source.entry.enabled)
    }
}

impl Host {
    pub(super) fn read_apt_sources(&self) -> Fact<AptSources> {
        Fact::gather(&self.files, |gather| {
            let (version, doubt) = self.apt_version();
            let listed = Fact::gather(&self.files, |gather| self.read_source_files(gather, version));
            let mut sources = gather.take(&listed)?.clone();
            sources.incomplete = listed.doubts.first().cloned();
            if let Some(doubt) = doubt {
                gather.doubt(doubt);
            }
            let conf = gather.take(self.apt_conf())?;
            for setting in ELSEWHERE.iter().filter_map(|name| conf.tree.find(name)) {
                let what = "makes apt read its sources elsewhere: they are not looked at";
                gather.doubt(Doubt::at(&setting.file, setting.line, what));
            }
            Ok(sources)
        })
    }

    fn read_source_files(&self, gather: &mut Gather<'_>, version: AptVersion) -> Result<AptSources, Stop> {
        let missing = |path| self.files.stat(path).is_err_and(|trouble| trouble.is_missing());
        if missing(LIST) && missing(PARTS) {
            return Err(Stop::unknown("/etc/apt", "has neither sources.list nor sources.list.d"));
        }
        let native = self.native_architecture();
        let context = Context { version, native: &native };
        let mut paths = vec![(LIST.to_owned(), Kind::OneLine)];
        let is_part = |name: &str| apt_sources::is_source_file(name).is_some();
        for path in folder_parts(gather, PARTS, is_part) {
            let name = path.rsplit('/').next().unwrap_or_default();
            let kind = apt_sources::is_source_file(name).unwrap_or(Kind::OneLine);
            paths.push((path, kind));
        }
        let mut sources = AptSources { native: native.clone(), ..AptSources::default() };
        for (path, kind) in paths {
            let Some(text) = gather.part(&path) else { continue };
            let file = gather.parsed(&path, apt_sources::parse(&text, kind, &context));
            let refused = file.unreadable.map(|issue| Doubt::at(&path, issue.line, issue.what));
            sources.unreadable = sources.unreadable.or(refused);
            sources.all.extend(file.entries.into_iter().map(|entry| Source { entry, path: path.clone() }));
        }
        if sources.unreadable.is_none() {
            sources.unreadable = conflict(&sources.all, version);
            sources.unreadable.iter().for_each(|doubt| gather.doubt(doubt.clone()));
        }
        Ok(sources)
    }

    /// `APT::Architecture`: that of the package apt.
    fn native_architecture(&self) -> String {
        /// The only architecture Proxmox VE is built for by its makers.
        const USUAL: &str = "amd64";
        let packages = self.packages().value.as_ref().ok();
        let apt = packages.and_then(|packages| packages.present("apt"));
        let architecture = apt.map(|apt| apt.architecture.as_str());
        architecture.filter(|name| !matches!(*name, "" | "all")).unwrap_or(USUAL).to_owned()
    }
}

/// The first contradiction between two sources of one archive.
fn conflict(all: &[Source], version: AptVersion) -> Option<Doubt> {
    let conflict = apt_sources::conflict(all.iter().map(|source| &source.entry), version)?;
    let source = all.get(conflict.entry)?;
    let option = conflict.option;
    let what = format!(
        "{option} differs from an earlier source of the same archive and suite: apt refuses the complete source list"
    );
    Some(Doubt::at(&source.path, source.entry.line, what))
}
