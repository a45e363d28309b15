//! Classes of paths on which everybody has the same, and runs of classes on which one user has.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::Kind;
use crate::formats::user_cfg::UserCfg;

/// The first class of each run of classes with the same answer, and the number of that answer; `None` is no privilege.
pub(super) type Runs = Vec<(usize, Option<usize>)>;

/// Paths on which everybody has the same. The first fields are what decides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Class {
    /// The deepest path at or above them that the ACL has entries on, by its place; `None` if there is none.
    level: Option<usize>,
    /// The pools they are in, by place.
    pools: Vec<usize>,
    /// Whether that level is the path itself.
    is_named: bool,
    kind: Kind,
}

/// Paths by what decides about them, in the order of that.
#[derive(Debug)]
pub(super) struct Classes {
    /// Each with one of its paths.
    all: Vec<(Class, String)>,
    /// How many paths the classes before each one have, by kind.
    counts: Vec<BTreeMap<Kind, usize>>,
    /// Every path the ACL has entries on.
    levels: Places,
    /// The ACL paths of the pools.
    pools: Places,
}

/// Paths in the order of the tree: what is below a path follows it.
#[derive(Debug)]
struct Places(Vec<String>);

/// Sorts the classes for one user after another.
pub(super) struct Sorter<'c> {
    classes: &'c Classes,
    /// Which of the paths that are about the user is the deepest at or above each level.
    levels: Vec<Mark>,
    /// And above each pool.
    pools: Vec<Mark>,
}

/// The path that decides, by number, 0 for none, and whether it is the very one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Mark {
    number: usize,
    is_itself: bool,
}

/// What decides for one user about a class.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Sign {
    level: Mark,
    pools: Lent,
}

/// What pools lend: those about which the same decides lend the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Lent {
    Nothing,
    By(Mark),
    Several(BTreeSet<Mark>),
}

impl Classes {
    /// Puts paths into classes. Gives every path with the place of its class, too, in the order of the paths.
    pub(super) fn of(cfg: &UserCfg, kinds: BTreeMap<String, Kind>) -> (Self, Vec<(String, usize)>) {
        let levels = Places::of(cfg.acl.iter().map(|entry| entry.path.as_str()));
        let names: Vec<String> = cfg.pools.keys().map(|name| format!("/pool/{name}")).collect();
        let places = Places::of(names.iter().map(String::as_str));
        let members = pools(cfg);
        let mut found: BTreeMap<Class, Vec<String>> = BTreeMap::new();
        for (path, kind) in kinds {
            let level = levels.deepest(&path);
            let pools = members.get(&path).into_iter().flatten();
            let class = Class {
                level: level.map(|(place, _)| place),
                pools: pools.filter_map(|pool| places.find(&format!("/pool/{pool}"))).collect(),
                is_named: level.is_some_and(|(_, is_itself)| is_itself),
                kind,
            };
            found.entry(class).or_default().push(path);
        }
        let mut new = Self { all: Vec::new(), counts: Vec::new(), levels, pools: places };
        let mut by_path = Vec::new();
        let mut before: BTreeMap<Kind, usize> = BTreeMap::new();
        for (place, (class, paths)) in found.into_iter().enumerate() {
            new.counts.push(before.clone());
            *before.entry(class.kind).or_default() += paths.len();
            new.all.push((class, paths.first().cloned().unwrap_or_default()));
            by_path.extend(paths.into_iter().map(|path| (path, place)));
        }
        new.counts.push(before);
        by_path.sort();
        (new, by_path)
    }

    /// The kind of the paths of a class.
    pub(super) fn kind(&self, place: usize) -> Option<Kind> {
        self.all.get(place).map(|(class, _)| class.kind)
    }

    /// The answer for every class on which there is one.
    pub(super) fn spread(&self, runs: &Runs) -> Vec<Option<usize>> {
        let mut by_class = Vec::with_capacity(self.all.len());
        for (range, answer) in self.ranges(runs) {
            by_class.resize(range.end, answer);
        }
        by_class
    }

    /// How many paths of each kind have which answer.
    pub(super) fn counted(&self, runs: &Runs) -> Vec<(Kind, usize, usize)> {
        let mut counted = Vec::new();
        for (range, answer) in self.ranges(runs) {
            let (Some(answer), Some(before), Some(after)) =
                (answer, self.counts.get(range.start), self.counts.get(range.end))
            else {
                continue;
            };
            for (kind, count) in after {
                let count = count.saturating_sub(before.get(kind).copied().unwrap_or_default());
                counted.push((*kind, count, answer));
            }
        }
        counted
    }

    fn ranges(&self, runs: &Runs) -> impl Iterator<Item = (Range<usize>, Option<usize>)> {
        let ends = runs.iter().skip(1).map(|(start, _)| *start).chain([self.all.len()]);
        runs.iter().zip(ends).map(|((start, answer), end)| (*start..end, *answer))
    }

    pub(super) fn sorter(&self) -> Sorter<'_> {
        let marks = |places: &Places| vec![Mark::default(); places.0.len()];
        Sorter { classes: self, levels: marks(&self.levels), pools: marks(&self.pools) }
    }
}

impl Sorter<'_> {
    /// Runs of classes on which somebody has the same, when the ACL has entries about him on these paths alone.
    /// `answer` is asked for the path of one class of each sort.
    pub(super) fn runs(
        &mut self,
        about: &BTreeSet<&str>,
        mut answer: impl FnMut(&str) -> Option<usize>,
    ) -> Runs {
        self.mark(about);
        let mut runs = Runs::new();
        let mut answers: BTreeMap<Sign, Option<usize>> = BTreeMap::new();
        let mut last: Option<(Sign, Option<usize>)> = None;
        for (place, (class, path)) in self.classes.all.iter().enumerate() {
            let sign = self.sign(class);
            if last.as_ref().is_some_and(|(before, _)| *before == sign) {
                continue;
            }
            let held = *answers.entry(sign.clone()).or_insert_with(|| answer(path));
            if last.as_ref().is_none_or(|(_, before)| *before != held) {
                runs.push((place, held));
            }
            last = Some((sign, held));
        }
        self.unmark(about);
        runs
    }

    fn sign(&self, class: &Class) -> Sign {
        let mark = |marks: &[Mark], place: usize| marks.get(place).copied().unwrap_or_default();
        let mut level = class.level.map(|place| mark(&self.levels, place)).unwrap_or_default();
        level.is_itself &= class.is_named;
        let pools = match class.pools.as_slice() {
            [] => Lent::Nothing,
            [pool] => Lent::By(mark(&self.pools, *pool)),
            several => Lent::Several(several.iter().map(|pool| mark(&self.pools, *pool)).collect()),
        };
        Sign { level, pools }
    }

    fn mark(&mut self, about: &BTreeSet<&str>) {
        // What is deeper comes later and covers what is above it.
        for (number, path) in (1..).zip(about) {
            for (places, marks) in self.tables() {
                let at = places.find(path);
                for place in places.within(path) {
                    if let Some(mark) = marks.get_mut(place) {
                        *mark = Mark { number, is_itself: Some(place) == at };
                    }
                }
            }
        }
    }

    fn unmark(&mut self, about: &BTreeSet<&str>) {
        for path in about {
            for (places, marks) in self.tables() {
                marks
                    .get_mut(places.within(path))
                    .into_iter()
                    .flatten()
                    .for_each(|mark| *mark = Mark::default());
            }
        }
    }

    fn tables(&mut self) -> [(&Places, &mut Vec<Mark>); 2] {
        [(&self.classes.levels, &mut self.levels), (&self.classes.pools, &mut self.pools)]
    }
}

impl Places {
    fn of<'p>(paths: impl Iterator<Item = &'p str>) -> Self {
        let sorted: BTreeSet<String> = paths.map(in_tree).collect();
        Self(sorted.into_iter().collect())
    }

    fn find(&self, path: &str) -> Option<usize> {
        self.0.binary_search(&in_tree(path)).ok()
    }

    /// The places of a path and of those below it.
    fn within(&self, path: &str) -> Range<usize> {
        let top = in_tree(path);
        let start = self.0.partition_point(|other| *other < top);
        // What is below continues with the mark of a slash, and that is followed by the first letter.
        let behind = top + "\u{1}";
        start..self.0.partition_point(|other| *other < behind)
    }

    /// The longest prefix of a path that is there, and whether it is the path itself.
    fn deepest(&self, path: &str) -> Option<(usize, bool)> {
        let mut prefix = path;
        loop {
            if let Some(place) = self.find(prefix) {
                return Some((place, prefix == path));
            }
            prefix = match prefix.rsplit_once('/') {
                _ if prefix == "/" => return None,
                Some((above, _)) if !above.is_empty() => above,
                _ => "/",
            };
        }
    }
}

/// A path written so that sorting keeps what is below it right behind it: no letter of a path sorts before the mark of
/// a slash. `/` is above all others.
fn in_tree(path: &str) -> String {
    if path == "/" { String::new() } else { path.replace('/', "\0") }
}

/// The pools of guests and storages, by path.
pub(super) fn pools(cfg: &UserCfg) -> BTreeMap<String, Vec<&str>> {
    let mut pools: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (name, pool) in &cfg.pools {
        let guests = pool.vms.iter().map(|vmid| format!("/vms/{vmid}"));
        let storages = pool.storages.iter().map(|id| format!("/storage/{id}"));
        for path in guests.chain(storages) {
            pools.entry(path).or_default().push(name);
        }
    }
    pools
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_below_a_path_follows_it_and_nothing_else_does() {
        let paths = ["/", "/vms", "/vms-old", "/vms/100", "/vms/100/x", "/vms.x", "/a"];
        let places = Places::of(paths.into_iter());
        let within = |path: &str| -> Vec<String> {
            places.0[places.within(path)].iter().map(|path| path.replace('\0', "/")).collect()
        };
        assert_eq!(within("/vms"), ["/vms", "/vms/100", "/vms/100/x"]);
        assert_eq!(within("/vms/100"), ["/vms/100", "/vms/100/x"]);
        assert_eq!(within("/").len(), 7);
        assert_eq!(within("/vms/1"), [""; 0]);
        assert_eq!(places.deepest("/vms/7/x").map(|(_, is_itself)| is_itself), Some(false));
        assert_eq!(places.deepest("/vms/100"), places.find("/vms/100").map(|place| (place, true)));
        assert_eq!(Places::of(["/a"].into_iter()).deepest("/b"), None);
    }
}
