//! A tree in memory, for the cases of the catalogue: contents, modes, owners, links and read errors without
//! root and without a disk.

use std::collections::BTreeMap;

use super::{Answer, Entry, Kind, Meta, TroubleKind};

/// The kernel's limit on links in one lookup.
pub(super) const MAX_LINKS: u32 = 40;

/// What stands at a path of a [`Tree`].
#[derive(Debug, Clone)]
pub struct Node {
    content: Content,
    mode: Option<u32>,
    uid: u32,
    gid: u32,
    modified: i64,
    error: Option<TroubleKind>,
}

#[derive(Debug, Clone)]
enum Content {
    File(Vec<u8>),
    Folder,
    Link(String),
    Other,
}

impl Node {
    fn of(content: Content) -> Self {
        Self { content, mode: None, uid: 0, gid: 0, modified: 0, error: None }
    }

    /// A regular file, 0644 root:root.
    pub fn file(bytes: impl Into<Vec<u8>>) -> Self {
        Self::of(Content::File(bytes.into()))
    }

    /// A folder, 0755 root:root.
    pub fn folder() -> Self {
        Self::of(Content::Folder)
    }

    /// A symbolic link to `target`.
    pub fn link(target: impl Into<String>) -> Self {
        Self::of(Content::Link(target.into()))
    }

    /// A FIFO.
    pub fn fifo() -> Self {
        Self::of(Content::Other)
    }

    /// The same with permission bits `mode`.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = Some(mode);
        self
    }

    /// The same with an owner.
    #[must_use]
    pub fn owner(mut self, uid: u32, gid: u32) -> Self {
        (self.uid, self.gid) = (uid, gid);
        self
    }

    /// The same with a time of the last change, seconds since 1970.
    #[must_use]
    pub fn modified(mut self, seconds: i64) -> Self {
        self.modified = seconds;
        self
    }

    /// The same with the permission bits and the owner of another node.
    #[must_use]
    pub fn owned_as(mut self, other: &Self) -> Self {
        self.mode = other.mode;
        self.owner(other.uid, other.gid)
    }

    /// The same, but every access ends with `error`.
    #[must_use]
    pub fn failing(mut self, error: TroubleKind) -> Self {
        self.error = Some(error);
        self
    }

    /// The bytes, if it is a regular file.
    pub fn bytes(&self) -> Option<&[u8]> {
        match &self.content {
            Content::File(bytes) => Some(bytes),
            _ => None,
        }
    }

    fn kind(&self) -> Kind {
        match self.content {
            Content::File(_) => Kind::File,
            Content::Folder => Kind::Folder,
            Content::Link(_) => Kind::Link,
            Content::Other => Kind::Other,
        }
    }

    fn meta(&self) -> Meta {
        let default = if self.kind() == Kind::Folder { 0o755 } else { 0o644 };
        let size = self.bytes().map_or(0, <[u8]>::len) as u64;
        let mode = self.mode.unwrap_or(default);
        Meta { kind: self.kind(), mode, uid: self.uid, gid: self.gid, size, modified: self.modified }
    }
}

/// A file system in memory. Folders above a node exist without being named.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    nodes: BTreeMap<String, Node>,
}

impl Tree {
    /// Puts `node` at the absolute `path`, in the place of what stood there. `/` is the root itself.
    pub fn insert(&mut self, path: &str, node: Node) {
        self.nodes.insert(path.strip_suffix('/').unwrap_or(path).to_owned(), node);
    }

    /// Removes what stands at exactly `path`.
    pub fn remove(&mut self, path: &str) {
        self.nodes.remove(path);
    }

    /// Every path with what stands there.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &Node)> {
        self.nodes.iter().map(|(path, node)| (path.as_str(), node))
    }

    /// Puts every node of another tree in the place of what stands there.
    pub(super) fn extend(&mut self, other: Self) {
        self.nodes.extend(other.nodes);
    }

    /// What stands at `path`, a link at its end not followed.
    pub(super) fn kind(&self, path: &str) -> Answer<Kind> {
        match self.link(path) {
            Ok(_) => Ok(Kind::Link),
            Err(TroubleKind::NotAFile) => self.stat(path).map(|meta| meta.kind),
            Err(other) => Err(other),
        }
    }

    /// Where `path` leads when every link is followed, whether or not something is there.
    pub(super) fn real_path(&self, path: &str) -> Option<String> {
        self.real(path, MAX_LINKS).ok()
    }

    pub(super) fn read(&self, path: &str, limit: u64) -> Answer<Vec<u8>> {
        match self.at(path)?.map(|node| &node.content) {
            Some(Content::File(bytes)) if bytes.len() as u64 > limit => Err(TroubleKind::TooLarge { limit }),
            Some(Content::File(bytes)) => Ok(bytes.clone()),
            _ => Err(TroubleKind::NotAFile),
        }
    }

    pub(super) fn stat(&self, path: &str) -> Answer<Meta> {
        Ok(self.at(path)?.map_or_else(|| Node::folder().meta(), Node::meta))
    }

    pub(super) fn link(&self, path: &str) -> Answer<String> {
        let (folder, name) = path.rsplit_once('/').ok_or(TroubleKind::Missing)?;
        let real = format!("{}/{name}", self.real(folder, MAX_LINKS)?);
        match self.nodes.get(&real).map(|node| (&node.error, &node.content)) {
            Some((Some(error), _)) => Err(error.clone()),
            Some((None, Content::Link(target))) => Ok(target.clone()),
            Some(_) => Err(TroubleKind::NotAFile),
            None => self.at(path).and(Err(TroubleKind::NotAFile)),
        }
    }

    pub(super) fn list(&self, path: &str) -> Answer<Vec<Entry>> {
        if self.at(path)?.is_some_and(|node| node.kind() != Kind::Folder) {
            return Err(TroubleKind::NotAFile);
        }
        let prefix = format!("{}/", self.real(path, MAX_LINKS)?);
        let mut entries: BTreeMap<&str, Kind> = BTreeMap::new();
        for (inner, node) in self.nodes.range(prefix.clone()..) {
            let Some(rest) = inner.strip_prefix(&prefix) else { break };
            match rest.split_once('/') {
                Some((folder, _)) => entries.insert(folder, Kind::Folder),
                None => entries.insert(rest, node.kind()),
            };
        }
        Ok(entries.into_iter().map(|(name, kind)| Entry { name: name.to_owned(), kind }).collect())
    }

    /// The node at `path`, links followed; `None` for a folder that only has nodes below it.
    fn at(&self, path: &str) -> Answer<Option<&Node>> {
        let real = self.real(path, MAX_LINKS)?;
        if let Some(node) = self.nodes.get(&real) {
            return node.error.clone().map_or(Ok(Some(node)), Err);
        }
        let prefix = format!("{real}/");
        let implied =
            self.nodes.range(prefix.clone()..).next().is_some_and(|(key, _)| key.starts_with(&prefix));
        if real.is_empty() || implied { Ok(None) } else { Err(TroubleKind::Missing) }
    }

    /// The path with every link in it followed; `..` stops at the root. Empty for the root itself.
    fn real(&self, path: &str, links_left: u32) -> Answer<String> {
        let mut done: Vec<&str> = Vec::new();
        let mut rest = path.split('/');
        while let Some(part) = rest.next() {
            match part {
                "" | "." => continue,
                ".." => {
                    done.pop();
                    continue;
                }
                name => done.push(name),
            }
            let here = format!("/{}", done.join("/"));
            let Some(node) = self.nodes.get(&here) else { continue };
            if let Some(error) = &node.error
                && !matches!(node.content, Content::File(_))
            {
                return Err(error.clone());
            }
            if let Content::Link(target) = &node.content {
                let Some(links_left) = links_left.checked_sub(1) else {
                    return Err(TroubleKind::Io(nix::errno::Errno::ELOOP));
                };
                done.pop();
                let base =
                    if target.starts_with('/') { String::new() } else { format!("/{}", done.join("/")) };
                let tail: Vec<&str> = rest.collect();
                return self.real(&format!("{base}/{target}/{}", tail.join("/")), links_left);
            }
        }
        Ok(done.iter().fold(String::new(), |path, part| path + "/" + part))
    }
}
