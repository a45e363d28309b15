//! Which lists the configured sources have, and what is in them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::reading;
use super::unpack::{ENDINGS, Packing};
use crate::formats::apt_match::Archive;
use crate::formats::apt_sources::{Entry, Uri};
use crate::formats::package_list::Stanza;
use crate::formats::release_file::{DEFAULT_PIN, ReleaseFile};
use crate::host::apt::repository::{Part, Repository, Vendor};
use crate::host::apt::{AptSources, Source};
use crate::host::{Doubt, Gather, Host};

/// Where apt keeps what it has fetched.
pub const LISTS: &str = "/var/lib/apt/lists";

/// Architecture of packages that are for all of them.
const ALL: &str = "all";

/// `Origin` and `Label` of the archives with security updates of Debian: its own, and that of Freexian for releases
/// Debian has given up.
const SECURITY: [(&str, &str); 2] = [("Debian", "Debian-Security"), ("Freexian", "ELTS")];

/// Whether a list could be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It was read whole.
    Read,
    /// It was read, and not all of it was understood.
    Damaged(String),
    /// It is not there: it was never fetched.
    Missing,
    /// It is not there, and the archive says that it has none.
    NotOffered,
    /// It cannot be read.
    Unreadable(String),
}

/// A package list of a configured source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// The file; without the ending of a compression where it is missing.
    pub path: String,
    /// Whether it could be read.
    pub state: State,
    /// The source that asks for it.
    pub source: Source,
    /// What the archive says about itself.
    pub archive: Archive,
    /// The archive's Release file is there.
    pub has_release_file: bool,
    /// The priority of its versions without any pin.
    pub default_pin: i16,
    /// When the archive was made.
    pub date: Option<Timestamp>,
    /// When its Release file expires.
    pub valid_until: Option<Timestamp>,
    /// How many versions of packages it has.
    pub versions: u64,
}

impl List {
    /// Whether it has what apt goes by.
    pub fn was_read(&self) -> bool {
        matches!(self.state, State::Read | State::Damaged(_))
    }

    /// Whether it brings security updates of Debian: the archive itself says so, or the source is named so.
    pub fn is_security(&self) -> bool {
        self.says_security() || named_security(self)
    }

    fn says_security(&self) -> bool {
        SECURITY.contains(&(self.archive.origin.as_str(), self.archive.label.as_str()))
    }

    /// The source as people write it.
    pub fn source_text(&self) -> String {
        let entry = &self.source.entry;
        let component = entry.component.as_deref().map(|name| format!(" {name}")).unwrap_or_default();
        format!("{} {}{component}", entry.uri, entry.suite)
    }
}

/// What a list is asked for by a source.
struct Target<'s> {
    source: &'s Source,
    /// Below the folder of the Release file.
    path: String,
    architecture: String,
}

/// The lists of all sources in apt's order, each once.
fn targets<'s>(sources: &'s AptSources, architectures: &[String]) -> Vec<Target<'s>> {
    let mut seen = BTreeSet::new();
    let mut targets = Vec::new();
    for source in sources.used().filter(|source| source.entry.brings_packages()) {
        let asked = source.entry.architectures.resolve(architectures);
        let mut add = |path: String, architecture: &str| {
            if seen.insert(source.entry.list_file(&path)) {
                targets.push(Target { source, path, architecture: architecture.to_owned() });
            }
        };
        match &source.entry.component {
            // An exact path has one list for all architectures that are asked for.
            None if asked.is_empty() => {}
            None => add("Packages".to_owned(), ""),
            Some(component) => {
                for architecture in &asked {
                    add(format!("{component}/binary-{architecture}/Packages"), architecture);
                }
            }
        }
    }
    targets
}

/// Reads every list; `each` is called with the number of the list, and says whether it could take the version.
pub(super) fn read(
    host: &Host,
    gather: &mut Gather<'_>,
    sources: &AptSources,
    architectures: &[String],
    wanted: &dyn Fn(&str) -> bool,
    each: &mut dyn FnMut(usize, &Stanza<'_>) -> bool,
) -> Vec<List> {
    let names: BTreeSet<String> = gather.folder(LISTS).into_iter().map(|entry| entry.name).collect();
    let mut releases: BTreeMap<String, Option<ReleaseFile>> = BTreeMap::new();
    let mut lists: Vec<List> = Vec::new();
    for target in targets(sources, architectures) {
        let entry = &target.source.entry;
        let release =
            releases.entry(entry.release_uri()).or_insert_with(|| take_release(host, gather, entry)).clone();
        let name = entry.list_file(&target.path);
        let found = ENDINGS.iter().find(|(ending, _)| names.contains(&format!("{name}{ending}")));
        let mut list = list(&target, release.as_ref());
        if let Some((ending, packing)) = found {
            list.path = format!("{LISTS}/{name}{ending}");
            let number = lists.len();
            let size = release.as_ref().and_then(|release| release.lists.get(&target.path)).copied();
            let mut damage = None;
            let mut hand_over = |stanza: &Stanza<'_>| {
                let what = if is_foreign(stanza, &target.architecture) {
                    "has packages of another architecture"
                } else if each(number, stanza) {
                    return;
                } else {
                    "has more versions of packages than are looked at here"
                };
                damage.get_or_insert(what);
            };
            read_one(host, &mut list, *packing, size, wanted, &mut hand_over);
            let unchecked = release.as_ref().and_then(|release| unchecked(release, size, &list));
            if let (State::Read, Some(what)) = (&list.state, damage.or(unchecked)) {
                list.state = State::Damaged(what.to_owned());
            }
        } else {
            list.path = format!("{LISTS}/{name}");
            list.state = absence(&target, release.as_ref());
        }
        if let Some(doubt) = doubt(&list) {
            gather.doubt(doubt);
        }
        lists.push(list);
    }
    lists
}

fn take_release(host: &Host, gather: &mut Gather<'_>, entry: &Entry) -> Option<ReleaseFile> {
    let fact = host.apt_release_file(entry);
    gather.heed(&fact);
    fact.value.ok().flatten()
}

fn list(target: &Target<'_>, release: Option<&ReleaseFile>) -> List {
    let entry = &target.source.entry;
    let text = |get: fn(&ReleaseFile) -> &String| release.map(get).cloned().unwrap_or_default();
    let archive = Archive {
        origin: text(|release| &release.origin),
        label: text(|release| &release.label),
        suites: vec![text(|release| &release.suite)],
        codename: text(|release| &release.codename),
        version: text(|release| &release.version),
        has_point_releases: false,
        component: entry.component.clone().unwrap_or_default(),
        architecture: Some(target.architecture.clone()),
        host: Uri::parse(&entry.uri).host,
        is_status_file: false,
    };
    List {
        path: String::new(),
        state: State::Missing,
        source: target.source.clone(),
        archive,
        has_release_file: release.is_some(),
        default_pin: release.map_or(DEFAULT_PIN, ReleaseFile::default_pin),
        date: release.and_then(ReleaseFile::date),
        valid_until: release.and_then(ReleaseFile::valid_until),
        versions: 0,
    }
}

fn read_one(
    host: &Host,
    list: &mut List,
    packing: Packing,
    size: Option<u64>,
    wanted: &dyn Fn(&str) -> bool,
    each: &mut dyn FnMut(&Stanza<'_>),
) {
    match reading::read(&host.files, &list.path, packing, wanted, each) {
        Ok(content) => {
            list.versions = content.stanzas;
            let differs = size.filter(|size| *size != content.bytes).map(|size| {
                format!(
                    "has {} bytes and its Release file says {size}: it was cut short or is of another day",
                    content.bytes
                )
            });
            // apt keeps empty lists of archives that have none; they say so.
            let empty = (content.bytes == 0 && size != Some(0))
                .then(|| "is empty, and its Release file does not say so".to_owned());
            list.state = content.damage.or(differs).or(empty).map_or(State::Read, State::Damaged);
        }
        Err(trouble) => list.state = State::Unreadable(trouble.kind.to_string()),
    }
}

/// Whether a version is not for the architecture of its list. An exact path has one list for all of them.
fn is_foreign(stanza: &Stanza<'_>, architecture: &str) -> bool {
    !architecture.is_empty() && !["", ALL, architecture].contains(&stanza.architecture)
}

/// Why the size of a list that was read cannot be compared, where it should be possible.
fn unchecked(release: &ReleaseFile, size: Option<u64>, list: &List) -> Option<&'static str> {
    if release.clearsigned && !release.whole {
        return Some("has a Release file that was cut short: whether the list is whole is not known");
    }
    // Some archives of others only name packed lists.
    let tells_sizes = !release.lists.is_empty() || (release.clearsigned && list.is_security());
    (tells_sizes && size.is_none())
        .then_some("is not named by its Release file: whether it is whole is not known")
}

/// Why a list is not there. Only a Release file that is known to be whole can say that the archive has none.
fn absence(target: &Target<'_>, release: Option<&ReleaseFile>) -> State {
    let Some(release) = release else {
        // Without a Release file nothing was fetched: the lists of real architectures say so.
        return if target.architecture == ALL { State::NotOffered } else { State::Missing };
    };
    let size = release.lists.get(&target.path).copied();
    let unsupported = |architecture: &str| {
        let supported = &release.architectures;
        !supported.is_empty() && !supported.iter().any(|name| name == architecture)
    };
    let all_elsewhere =
        target.architecture == ALL && (release.all_in_every_list || unsupported(ALL) || size.is_none());
    let told_to_have_none = release.whole && !release.lists.is_empty() && size.is_none();
    // Of an empty list nothing is missing.
    if all_elsewhere || told_to_have_none || size == Some(0) { State::NotOffered } else { State::Missing }
}

fn named_security(list: &List) -> bool {
    Repository::of(&list.source.entry).vendor == Vendor::Debian(Part::Security)
}

fn doubt(list: &List) -> Option<Doubt> {
    let what = match &list.state {
        State::Read if !list.has_release_file => {
            "has no Release file beside it: whether it brings security updates is not known".to_owned()
        }
        State::Read if named_security(list) && !list.says_security() => {
            "is named as Debian's security archive, and its Release file does not say that it is".to_owned()
        }
        State::Read | State::NotOffered => return None,
        State::Damaged(what) | State::Unreadable(what) => what.clone(),
        State::Missing => "is missing: the list of a configured source was never fetched".to_owned(),
    };
    Some(Doubt::about(&list.path, what))
}
