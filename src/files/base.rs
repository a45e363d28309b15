//! The root, and mounted on it the files of the cluster where a tree has them in a database.

use std::io::{Cursor, Read};
use std::sync::Arc;

use super::memory::MAX_LINKS;
use super::root::Root;
use super::{Answer, CLUSTER_FILES, Entry, Kind, Meta, Tree, TroubleKind};

/// A folder as the root, and what is mounted on `/etc/pve` in it.
#[derive(Clone)]
pub(super) struct Base {
    root: Root,
    cluster: Option<Arc<Tree>>,
}

impl Base {
    pub(super) fn of(root: Root) -> Self {
        Self { root, cluster: None }
    }

    pub(super) fn mount(&mut self, cluster: Tree) {
        self.cluster = Some(Arc::new(cluster));
    }

    pub(super) fn read(&self, path: &str, limit: u64) -> Answer<Vec<u8>> {
        self.ask(path, |root, path| root.read(path, limit), |tree, path| tree.read(path, limit))
    }

    /// As [`Root::piecewise`]; what is mounted is in memory already.
    pub(super) fn piecewise(&self, path: &str) -> Answer<Box<dyn Read + Send>> {
        self.ask(path, Root::piecewise, |tree, path| {
            let bytes = tree.read(path, u64::MAX)?;
            Ok(Box::new(Cursor::new(bytes)) as Box<dyn Read + Send>)
        })
    }

    pub(super) fn list(&self, path: &str) -> Answer<Vec<Entry>> {
        self.ask(path, Root::list, Tree::list)
    }

    pub(super) fn stat(&self, path: &str) -> Answer<Meta> {
        self.ask(path, Root::stat, Tree::stat)
    }

    pub(super) fn link(&self, path: &str) -> Answer<String> {
        self.ask(path, Root::link, Tree::link)
    }

    /// What stands at `path`, a link not followed.
    pub(super) fn kind(&self, path: &str) -> Answer<Kind> {
        self.ask(path, Root::kind, Tree::kind)
    }

    /// As [`Root::real_path`].
    pub(super) fn real_path(&self, path: &str) -> Option<String> {
        match self.cluster.as_ref().zip(self.inside(path)) {
            Some((tree, inside)) => tree.real_path(&inside),
            None => self.root.real_path(path),
        }
    }

    /// Asks the mounted tree about what is in it, and the root about everything else.
    fn ask<T>(
        &self,
        path: &str,
        root: impl Fn(&Root, &str) -> Answer<T>,
        mounted: impl Fn(&Tree, &str) -> Answer<T>,
    ) -> Answer<T> {
        let Some(tree) = &self.cluster else { return root(&self.root, path) };
        if is_inside(path) {
            return mounted(tree, path);
        }
        match root(&self.root, path) {
            // To the kernel a link that leads to the mount point ends in an empty folder.
            Err(TroubleKind::Missing) => {
                self.inside(path).map_or(Err(TroubleKind::Missing), |inside| mounted(tree, &inside))
            }
            answer => answer,
        }
    }

    /// The path in the mounted tree that `path` leads to by the links of the root.
    fn inside(&self, path: &str) -> Option<String> {
        let mut done = String::new();
        let mut rest: Vec<String> = parts(path);
        let mut links_left = MAX_LINKS;
        while let Some(part) = rest.pop() {
            if part == ".." {
                done.truncate(done.rfind('/').unwrap_or(0));
                continue;
            }
            let here = format!("{done}/{part}");
            if here == CLUSTER_FILES {
                let whole = rest.into_iter().rev().fold(here, |path, part| path + "/" + &part);
                return Some(whole).filter(|path| is_inside(path));
            }
            match self.root.link(&here) {
                Ok(target) => {
                    links_left = links_left.checked_sub(1)?;
                    if target.starts_with('/') {
                        done.clear();
                    }
                    rest.extend(parts(&target));
                }
                Err(_) => done = here,
            }
        }
        None
    }
}

/// The names in a path, the first one last.
fn parts(path: &str) -> Vec<String> {
    path.split('/').rev().filter(|part| !matches!(*part, "" | ".")).map(str::to_owned).collect()
}

/// Whether a path is in the mounted tree as it is written. One that climbs may end anywhere.
fn is_inside(path: &str) -> bool {
    let rest = path.strip_prefix(CLUSTER_FILES);
    rest.is_some_and(|rest| (rest.is_empty() || rest.starts_with('/')) && !rest.contains("/.."))
}
