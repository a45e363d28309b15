//! What all files together set.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{ConfFile, Directive};
use crate::formats::apt_text;

/// A value and where it was set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The value; user and password of a URL are removed.
    pub value: String,
    /// A URL in the value held a user or a password.
    pub credentials: bool,
    /// The file, as named to [`Tree::apply`].
    pub file: Arc<str>,
    /// Line in that file, counted from 1.
    pub line: u32,
}

/// apt's configuration tree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tree {
    root: Node,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Node {
    tag: String,
    setting: Option<Setting>,
    children: Vec<Node>,
    /// Place of every named child, by its name in lower case; list items have no name.
    index: BTreeMap<String, usize>,
}

impl Node {
    fn child(&self, tag: &str) -> Option<&Node> {
        self.index.get(&tag.to_ascii_lowercase()).and_then(|at| self.children.get(*at))
    }

    /// The child of that name, made when missing; without a name a new list item.
    fn child_or_new(&mut self, tag: &str) -> Option<&mut Node> {
        let known = self.index.get(&tag.to_ascii_lowercase()).copied();
        let at = known.unwrap_or(self.children.len());
        if known.is_none() {
            self.children.push(Node { tag: tag.to_owned(), ..Node::default() });
            if !tag.is_empty() {
                self.index.insert(tag.to_ascii_lowercase(), at);
            }
        }
        self.children.get_mut(at)
    }

    /// Everything below, named with the `scope` this node makes (none for the root).
    fn dump(&self, scope: Option<&str>, into: &mut Vec<(String, String)>) {
        for child in &self.children {
            let name = scope.map_or_else(|| child.tag.clone(), |scope| format!("{scope}::{}", child.tag));
            let value = child.setting.as_ref().map(|setting| setting.value.clone());
            into.push((name.clone(), value.unwrap_or_default()));
            child.dump(Some(&name), into);
        }
    }
}

impl Tree {
    /// Applies the directives of one file in order. `include` is called for every `#include` with its path; what
    /// it returns is applied at that place, each file under its own name. apt allows ten levels.
    pub fn apply(
        &mut self,
        file: &str,
        conf: &ConfFile,
        include: &mut dyn FnMut(&str) -> Vec<(String, ConfFile)>,
    ) {
        const DEEPEST_INCLUDE: u32 = 10;
        self.apply_at(file, conf, include, DEEPEST_INCLUDE);
    }

    fn apply_at(
        &mut self,
        file: &str,
        conf: &ConfFile,
        include: &mut dyn FnMut(&str) -> Vec<(String, ConfFile)>,
        levels: u32,
    ) {
        let file: Arc<str> = Arc::from(file);
        for (line, directive) in &conf.directives {
            match directive {
                Directive::Set { name, value, credentials } => {
                    let setting = Setting {
                        value: value.clone(),
                        credentials: *credentials,
                        file: Arc::clone(&file),
                        line: *line,
                    };
                    self.set(name, setting);
                }
                Directive::Clear(name) => self.clear(name),
                Directive::Include(path) => {
                    let Some(levels) = levels.checked_sub(1) else { continue };
                    for (name, included) in include(path) {
                        self.apply_at(&name, &included, include, levels);
                    }
                }
            }
        }
    }

    /// The first setting of that name or below it.
    pub fn first_below(&self, name: &str) -> Option<&Setting> {
        let node = tags(name).into_iter().try_fold(&self.root, |node, tag| node.child(tag))?;
        let mut waiting = vec![node];
        while let Some(node) = waiting.pop() {
            if node.setting.is_some() {
                return node.setting.as_ref();
            }
            waiting.extend(node.children.iter().rev());
        }
        None
    }

    fn set(&mut self, name: &str, setting: Setting) {
        let mut node = Some(&mut self.root);
        for tag in tags(name) {
            node = node.and_then(|node| node.child_or_new(tag));
        }
        if let Some(node) = node {
            node.setting = Some(setting);
        }
    }

    fn clear(&mut self, name: &str) {
        let mut node = &mut self.root;
        for tag in tags(name) {
            let at = node.index.get(&tag.to_ascii_lowercase()).copied();
            let Some(child) = at.and_then(|at| node.children.get_mut(at)) else { return };
            node = child;
        }
        node.setting = None;
        node.children.clear();
        node.index.clear();
    }

    fn node(&self, name: &str) -> Option<&Node> {
        tags(name).into_iter().try_fold(&self.root, |node, tag| node.child(tag))
    }

    /// The setting of `name` (in any case), unless it is empty: apt then takes its default.
    pub fn find(&self, name: &str) -> Option<&Setting> {
        self.node(name)?.setting.as_ref().filter(|setting| !setting.value.is_empty())
    }

    /// `name` as a switch; `None` when unset or no boolean: apt then takes its default.
    pub fn switch(&self, name: &str) -> Option<bool> {
        self.find(name).and_then(|setting| apt_text::boolean(&setting.value))
    }

    /// `name` as a number (decimal, `0x…` or `0…` octal; text after it does not count); `None` when unset or no
    /// number: apt then takes its default.
    pub fn number(&self, name: &str) -> Option<i64> {
        let (value, consumed) = apt_text::number(&self.find(name)?.value, 0);
        (consumed > 0).then_some(value)
    }

    /// The values below `name`: list items and named ones alike, empty values left out. A value of `name` itself
    /// hides them and is split at commas where apt reads the option as a list; see [`Tree::find`] for it.
    pub fn list(&self, name: &str) -> Vec<&Setting> {
        let children = self.node(name).map_or(&[][..], |node| &node.children);
        children
            .iter()
            .filter_map(|child| child.setting.as_ref())
            .filter(|setting| !setting.value.is_empty())
            .collect()
    }

    /// The names directly below `name`, as written first; list items have none.
    pub fn names(&self, name: &str) -> Vec<&str> {
        let children = self.node(name).map_or(&[][..], |node| &node.children);
        children.iter().map(|child| child.tag.as_str()).filter(|tag| !tag.is_empty()).collect()
    }

    /// Every name with its value, in the order of `apt-config dump`.
    pub fn dump(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        self.root.dump(None, &mut all);
        all
    }
}

/// A name split at `::` as apt does it: the character after a `::` never starts another one.
fn tags(name: &str) -> Vec<&str> {
    let bytes = name.as_bytes();
    let mut tags = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at + 2 <= bytes.len() {
        if bytes.get(at..at + 2) == Some(b"::") {
            tags.push(name.get(start..at).unwrap_or_default());
            at += 2;
            start = at;
        }
        at += 1;
    }
    tags.push(name.get(start..).unwrap_or_default());
    tags
}
