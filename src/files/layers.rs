//! What is read: a folder as the root, with the files of the cluster, and proposed files laid over it.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use super::base::Base;
use super::root::Root;
use super::{Answer, Entry, Kind, Meta, Tree, TroubleKind};

/// Most files and folders among the proposed. A cluster of thousands of guests has some thousands.
const PROPOSED_LIMIT: usize = 20_000;

/// Longest path the kernel takes (`PATH_MAX`): longer ones lead nowhere.
const PATH_LIMIT: usize = 4096;

/// What is read: the root, and over it, if somebody wants to know what they would change, proposed files. A proposed
/// file stands in the place of the one of the same path, or of the one a link there leads to; nothing can be taken
/// away. Links among the proposed files are not followed.
#[derive(Clone)]
pub(super) struct Layers {
    base: Base,
    over: Option<Over>,
}

#[derive(Clone)]
struct Over {
    root: Root,
    aliases: Arc<Aliases>,
}

/// What is proposed below a link of the root (`/etc/pve/local/…`), by the path the link leads to: where it is among
/// the proposed, and what it is. Of two for the same path the first by name counts.
type Aliases = BTreeMap<String, (String, Kind)>;

impl Layers {
    pub(super) fn of(dir: &Path) -> Result<Self, String> {
        Ok(Self { base: Base::of(Root::open(dir)?), over: None })
    }

    pub(super) fn mount(&mut self, cluster: Tree) {
        self.base.mount(cluster);
    }

    pub(super) fn lay_over(&mut self, dir: &Path) -> Result<(), String> {
        let root = Root::open(dir)?;
        let aliases = Arc::new(aliases(&self.base, &root)?);
        self.over = Some(Over { root, aliases });
        Ok(())
    }

    pub(super) fn read(&self, path: &str, limit: u64) -> Answer<Vec<u8>> {
        match self.proposed(path) {
            Some((over, path, Kind::File)) => over.read(&path, limit),
            Some((_, _, Kind::Link | Kind::Other)) => Err(TroubleKind::NotAFile),
            Some((_, _, Kind::Folder)) | None => self.base.read(path, limit),
        }
    }

    pub(super) fn piecewise(&self, path: &str) -> Answer<Box<dyn Read + Send>> {
        match self.proposed(path) {
            Some((over, path, Kind::File)) => over.piecewise(&path),
            Some((_, _, Kind::Link | Kind::Other)) => Err(TroubleKind::NotAFile),
            Some((_, _, Kind::Folder)) | None => self.base.piecewise(path),
        }
    }

    pub(super) fn list(&self, path: &str) -> Answer<Vec<Entry>> {
        let below = self.base.list(path);
        let Some(over) = &self.over else { return below };
        let mut proposed = self.aliases_in(over, path);
        let folder = self.proposed(path).filter(|(_, _, kind)| *kind == Kind::Folder);
        if let Some((over, place, _)) = folder {
            proposed.extend(over.list(&place)?.into_iter().map(|entry| (entry.name, entry.kind)));
        } else if proposed.is_empty() {
            return below;
        }
        let mut names = match below {
            Ok(below) => below.into_iter().map(|entry| (entry.name, entry.kind)).collect(),
            Err(TroubleKind::Missing) => BTreeMap::new(),
            Err(other) => return Err(other),
        };
        names.extend(proposed);
        Ok(names.into_iter().map(|(name, kind)| Entry { name, kind }).collect())
    }

    /// The names proposed for this folder under another path.
    fn aliases_in(&self, over: &Over, path: &str) -> BTreeMap<String, Kind> {
        let folder = real(&self.base, path).unwrap_or_else(|| path.to_owned());
        let inside = format!("{}/", folder.trim_end_matches('/'));
        let below = over.aliases.range(inside.clone()..);
        below
            .map_while(|(path, (_, kind))| Some((path.strip_prefix(&inside)?, *kind)))
            .filter(|(name, _)| !name.contains('/'))
            .map(|(name, kind)| (name.to_owned(), kind))
            .collect()
    }

    /// A proposed file keeps the permissions and the owner of the one it stands for: those of the proposal say
    /// nothing.
    pub(super) fn stat(&self, path: &str) -> Answer<Meta> {
        let below = self.base.stat(path);
        let Some((over, place, kind)) = self.proposed(path) else { return below };
        if kind == Kind::Folder && below.is_ok() {
            return below;
        }
        let new = over.stat(&place)?;
        Ok(below.map_or(new, |old| Meta { kind: new.kind, size: new.size, modified: new.modified, ..old }))
    }

    pub(super) fn link(&self, path: &str) -> Answer<String> {
        let direct = self.over.as_ref().and_then(|over| over.root.kind(path).ok());
        match direct {
            Some(Kind::File | Kind::Other | Kind::Link) => Err(TroubleKind::NotAFile),
            Some(Kind::Folder) | None => self.base.link(path),
        }
    }

    /// The proposed thing at this path: where it is among the proposed, and what it is.
    fn proposed(&self, path: &str) -> Option<(&Root, String, Kind)> {
        let over = self.over.as_ref()?;
        let at = |path: &str| over.root.kind(path).ok().map(|kind| (path.to_owned(), kind));
        let there = |(place, kind)| (&over.root, place, kind);
        if let Some(found) = at(path) {
            return Some(there(found));
        }
        let led = real(&self.base, path);
        let led = led.as_deref().unwrap_or(path);
        at(led).or_else(|| over.aliases.get(led).cloned()).map(there)
    }
}

/// Where `path` leads in the root; what is missing keeps its name below the last folder that is there.
fn real(base: &Base, path: &str) -> Option<String> {
    if path.len() > PATH_LIMIT {
        return None;
    }
    let mut folder = path;
    loop {
        if let Some(real) = base.real_path(folder) {
            let rest = path.strip_prefix(folder)?;
            return Some(if rest.is_empty() {
                real
            } else {
                format!("{}{rest}", real.trim_end_matches('/'))
            });
        }
        folder = folder.rsplit_once('/').map(|(up, _)| up).filter(|up| !up.is_empty())?;
    }
}

/// Walks the proposed files once, following no link among them.
fn aliases(base: &Base, over: &Root) -> Result<Aliases, String> {
    let mut found = Aliases::new();
    let mut seen: usize = 0;
    let mut folders = vec![(String::new(), String::new())];
    while let Some((place, leads_to)) = folders.pop() {
        let entries = match over.list(if place.is_empty() { "/" } else { &place }) {
            Ok(entries) => entries,
            Err(TroubleKind::Missing) => continue,
            Err(TroubleKind::TooLarge { .. }) => return Err(too_many()),
            Err(kind) => return Err(format!("cannot list the proposed folder {place}: it {kind}")),
        };
        for Entry { name, kind } in entries {
            seen += 1;
            if seen > PROPOSED_LIMIT {
                return Err(too_many());
            }
            let path = format!("{place}/{name}");
            let target = child(base, &leads_to, &name, kind);
            if target != path {
                let here = (path.clone(), kind);
                found
                    .entry(target.clone())
                    .and_modify(|first| *first = here.clone().min(first.clone()))
                    .or_insert(here);
            }
            if kind == Kind::Folder {
                folders.push((path, target));
            }
        }
    }
    Ok(found)
}

/// Where a proposed thing stands in the root. A link there is followed to what is of the same kind only: a masked
/// unit leads to `/dev/null`, which no proposal changes.
fn child(base: &Base, folder: &str, name: &str, kind: Kind) -> String {
    let path = format!("{folder}/{name}");
    let leads_to = base.real_path(&path).filter(|real| base.kind(real) == Ok(kind));
    leads_to.unwrap_or(path)
}

fn too_many() -> String {
    format!(
        "there are more than {PROPOSED_LIMIT} proposed files and folders: lay over only what is to change"
    )
}
