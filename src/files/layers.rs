//! A folder as the root, and proposed files laid over it.

use std::collections::BTreeMap;
use std::path::Path;

use super::root::Root;
use super::{Answer, Entry, Kind, Meta, TroubleKind};

/// What is read: the root, and over it, if somebody wants to know what they would change, proposed files. A proposed
/// file stands in the place of the one of the same path, or of the one a link there leads to; nothing can be taken
/// away. Links among the proposed files are not followed.
#[derive(Clone)]
pub(super) struct Layers {
    base: Root,
    over: Option<Root>,
}

impl Layers {
    pub(super) fn of(dir: &Path) -> Result<Self, String> {
        Ok(Self { base: Root::open(dir)?, over: None })
    }

    pub(super) fn lay_over(&mut self, dir: &Path) -> Result<(), String> {
        self.over = Some(Root::open(dir)?);
        Ok(())
    }

    pub(super) fn read(&self, path: &str, limit: u64) -> Answer<Vec<u8>> {
        match self.proposed(path) {
            Some((over, path, Kind::File)) => over.read(&path, limit),
            Some((_, _, Kind::Link | Kind::Other)) => Err(TroubleKind::NotAFile),
            Some((_, _, Kind::Folder)) | None => self.base.read(path, limit),
        }
    }

    pub(super) fn list(&self, path: &str) -> Answer<Vec<Entry>> {
        let below = self.base.list(path);
        let Some((over, place, Kind::Folder)) = self.proposed(path) else { return below };
        let proposed = over.list(&place)?;
        match below {
            Ok(below) => {
                let mut names: BTreeMap<String, Kind> =
                    below.into_iter().map(|entry| (entry.name, entry.kind)).collect();
                names.extend(proposed.into_iter().map(|entry| (entry.name, entry.kind)));
                Ok(names.into_iter().map(|(name, kind)| Entry { name, kind }).collect())
            }
            Err(TroubleKind::Missing) => Ok(proposed),
            Err(other) => Err(other),
        }
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
        let direct = self.over.as_ref().and_then(|over| over.kind(path).ok());
        match direct {
            Some(Kind::File | Kind::Other | Kind::Link) => Err(TroubleKind::NotAFile),
            Some(Kind::Folder) | None => self.base.link(path),
        }
    }

    /// The proposed thing at this path: where it is among the proposed, and what it is.
    fn proposed(&self, path: &str) -> Option<(&Root, String, Kind)> {
        let over = self.over.as_ref()?;
        let real = |path: String| over.kind(&path).ok().map(|kind| (over, path, kind));
        real(path.to_owned()).or_else(|| self.base.real_path(path).filter(|real| real != path).and_then(real))
    }
}
