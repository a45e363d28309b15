//! Which Match blocks a connection meets and what it is allowed (`match_cfg_line` in servconf.c, `allowed_user` in
//! auth.c, `match_user` in match.c), as far as the connection is known.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::address::{Verdict, address_listed, matches, matches_list};
use super::walk::RELEASE;
use super::{Attribute, BlockSetting, Criterion, Effective, MatchBlock, Source};

/// Most Match lines about unknown things that are followed one by one.
const MOST_OPEN: usize = 64;

/// What is known of a connection; `None` is not known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Connection<'c> {
    /// The name of an existing user.
    pub user: Option<&'c str>,
    /// The names of all groups of this user.
    pub groups: Option<&'c BTreeSet<String>>,
    /// The client's address.
    pub address: Option<IpAddr>,
    /// Whether sshd looks up the client's name (`UseDNS`); if not, the address stands for it.
    pub resolved: bool,
}

/// Whether a connection meets something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Met {
    /// It does not.
    No,
    /// That depends on what is not known of it.
    Open,
    /// It does.
    Yes,
}

impl From<bool> for Met {
    fn from(met: bool) -> Self {
        if met { Self::Yes } else { Self::No }
    }
}

impl From<Verdict> for Met {
    fn from(verdict: Verdict) -> Self {
        Self::from(verdict == Verdict::Yes)
    }
}

/// The list meets everything: `*`, and nothing is refused.
fn is_everything(list: &str) -> bool {
    let mut entries = list.split(',');
    entries.clone().all(|entry| !entry.starts_with('!')) && entries.any(|entry| entry == "*")
}

/// Both address families as a whole.
fn is_every_address(list: &str) -> bool {
    let has = |network: &str| list.split(',').any(|entry| entry == network);
    is_everything(list) || (!list.contains('!') && has("0.0.0.0/0") && has("::/0"))
}

impl Connection<'_> {
    fn meets(&self, criterion: &Criterion, effective: &Effective) -> Met {
        let list = criterion.argument.as_str();
        let unknown = |everything: bool| if everything { Met::Yes } else { Met::Open };
        match criterion.attribute {
            Attribute::All => Met::Yes,
            Attribute::Version => match matches_list(RELEASE, list) {
                Verdict::Yes => Met::Yes,
                _ if list.to_ascii_lowercase().contains("debian") => Met::Open,
                _ => Met::No,
            },
            Attribute::InvalidUser => self.user.map_or(Met::Open, |_| Met::No),
            Attribute::User => {
                self.user.map_or(unknown(is_everything(list)), |user| matches_list(user, list).into())
            }
            Attribute::Group => self.in_groups(list),
            Attribute::Address => self.address.map_or(unknown(is_every_address(list)), |address| {
                address_listed(address, list, effective.version).into()
            }),
            Attribute::Host => match self.address {
                Some(address) if !self.resolved => matches_list(&address.to_string(), list).into(),
                _ => unknown(is_everything(list)),
            },
            Attribute::LocalAddress => unknown(is_every_address(list)),
            Attribute::LocalPort | Attribute::RDomain => Met::Open,
        }
    }

    /// `ga_match_pattern_list`: a group that is refused counts more than one that is wanted.
    fn in_groups(&self, list: &str) -> Met {
        let Some(groups) = self.groups else {
            return if is_everything(list) { Met::Yes } else { Met::Open };
        };
        let verdicts = || groups.iter().map(|group| matches_list(group, list));
        let refused = verdicts().any(|verdict| verdict == Verdict::Negated);
        Met::from(!refused && verdicts().any(|verdict| verdict == Verdict::Yes))
    }
}

/// Whether `AllowUsers` or `DenyUsers` with these patterns names the user of the connection.
pub fn user_listed(patterns: &[&str], connection: &Connection<'_>, effective: &Effective) -> Met {
    let one = |pattern: &&str| {
        let (user_pattern, hosts) = match pattern.split_once('@') {
            Some((user, hosts)) => (user, Some(hosts)),
            None => (*pattern, None),
        };
        let user = match connection.user {
            Some(user) => Met::from(matches(user, user_pattern)),
            None if user_pattern == "*" => Met::Yes,
            None => Met::Open,
        };
        user.min(hosts.map_or(Met::Yes, |hosts| from_hosts(hosts, connection, effective)))
    };
    patterns.iter().map(one).max().unwrap_or(Met::No)
}

/// `match_host_and_ip`.
fn from_hosts(hosts: &str, connection: &Connection<'_>, effective: &Effective) -> Met {
    match connection.address {
        None if is_every_address(hosts) => Met::Yes,
        None => Met::Open,
        Some(address) => match address_listed(address, hosts, effective.version) {
            Verdict::Yes => Met::Yes,
            Verdict::No if connection.resolved => Met::Open,
            Verdict::No | Verdict::Negated => Met::No,
        },
    }
}

/// Whether `AllowGroups` or `DenyGroups` with these patterns names a group of the user of the connection.
pub fn group_listed(patterns: &[&str], connection: &Connection<'_>) -> Met {
    let Some(groups) = connection.groups else {
        let everything = patterns.contains(&"*");
        return if everything { Met::Yes } else { Met::from(!patterns.is_empty()).min(Met::Open) };
    };
    groups.iter().any(|group| patterns.iter().any(|pattern| matches(group, pattern))).into()
}

/// The ways sshd may be set for a connection that is only partly known.
#[derive(Debug, Clone)]
pub struct Situations<'e> {
    effective: &'e Effective,
    /// Blocks that apply whatever the rest of the connection is.
    always: BTreeSet<usize>,
    /// Blocks that may apply, one group for Match lines of the same criteria: with those they stand in.
    open: Vec<(usize, BTreeSet<usize>)>,
}

/// One way sshd may be set.
#[derive(Debug, Clone)]
pub struct Situation<'e> {
    effective: &'e Effective,
    blocks: BTreeSet<usize>,
    /// The Match block whose criteria the connection must meet; `None` for a connection that meets none of those
    /// that are open.
    pub condition: Option<&'e MatchBlock>,
}

impl Effective {
    /// The ways sshd may be set for connections of this kind; `None` where there are too many to follow.
    pub fn situations(&self, connection: &Connection<'_>) -> Option<Situations<'_>> {
        let mut met: Vec<Met> = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let own = block.criteria.iter().map(|criterion| connection.meets(criterion, self)).min();
            let outer = block.within.and_then(|index| met.get(index).copied()).unwrap_or(Met::Yes);
            met.push(own.unwrap_or(Met::Open).min(outer));
        }
        let with = |wanted: Met| {
            let met = met.iter().enumerate().filter(move |(_, one)| **one == wanted);
            met.map(|(index, _)| index)
        };
        let mut groups: BTreeMap<Vec<(Attribute, &str)>, BTreeSet<usize>> = BTreeMap::new();
        for index in with(Met::Open) {
            groups.entry(self.condition(index, &met)).or_default().insert(index);
        }
        if groups.len() > MOST_OPEN {
            return None;
        }
        let open = groups.values().filter_map(|group| {
            let first = *group.first()?;
            let mut blocks = group.clone();
            for index in group {
                blocks.extend(self.outer(*index).filter(|outer| met.get(*outer) == Some(&Met::Open)));
            }
            Some((first, blocks))
        });
        Some(Situations { effective: self, always: with(Met::Yes).collect(), open: open.collect() })
    }

    /// The blocks around a block, innermost first.
    fn outer(&self, index: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.blocks.get(index).and_then(|block| block.within), |outer| {
            self.blocks.get(*outer)?.within
        })
    }

    /// All criteria a connection must meet for a block, those of the blocks around it with them.
    fn condition(&self, index: usize, met: &[Met]) -> Vec<(Attribute, &str)> {
        let chain = std::iter::once(index).chain(self.outer(index));
        let open = chain.filter(|index| met.get(*index) == Some(&Met::Open));
        let criteria = open.filter_map(|index| self.blocks.get(index)).flat_map(|block| &block.criteria);
        let mut all: Vec<_> =
            criteria.map(|criterion| (criterion.attribute, criterion.argument.as_str())).collect();
        all.sort_unstable();
        all.dedup();
        all
    }
}

impl<'e> Situations<'e> {
    /// The situation of a connection that meets none of the open criteria, then one for each of them. Connections
    /// that meet several of them at once are not among these: see [`Situations::candidates`].
    pub fn each(&self) -> impl Iterator<Item = Situation<'e>> {
        let effective = self.effective;
        let base = Situation { effective, blocks: self.always.clone(), condition: None };
        let open = self.open.iter().map(move |(first, blocks)| Situation {
            effective,
            blocks: self.always.union(blocks).copied().collect(),
            condition: effective.blocks.get(*first),
        });
        std::iter::once(base).chain(open)
    }

    /// Every list of values `keyword` may have in any situation, mixed ones included.
    pub fn candidates(&self, keyword: &str) -> Vec<Vec<&'e str>> {
        let mut all: Vec<Vec<&str>> = self.each().map(|situation| situation.values(keyword)).collect();
        if adds_up(keyword) && self.open.len() > 1 {
            // Several blocks together may list more than each of them does.
            all.push(all.iter().skip(1).flatten().copied().collect());
        }
        all.sort();
        all.dedup();
        all
    }
}

/// Settings whose lines add up.
fn adds_up(keyword: &str) -> bool {
    const LISTS: [&str; 5] = ["acceptenv", "allowgroups", "allowusers", "denygroups", "denyusers"];
    LISTS.contains(&keyword)
}

impl<'e> Situation<'e> {
    /// All criteria the connection must meet, those of the blocks around the one of the condition with them; none
    /// where there is no condition.
    pub fn criteria(&self) -> impl Iterator<Item = &'e Criterion> {
        let effective = self.effective;
        let around = |block: &&'e MatchBlock| block.within.and_then(|outer| effective.blocks.get(outer));
        let blocks = std::iter::successors(self.condition, move |block| around(block));
        blocks.flat_map(|block| &block.criteria)
    }

    /// The lines of Match blocks that count for `keyword`: the first, or all where lines add up.
    fn lines(&self, keyword: &str) -> Vec<&'e BlockSetting> {
        let Some(setting) = self.effective.setting(keyword) else { return Vec::new() };
        let blocks = self.blocks.iter().filter_map(|index| self.effective.blocks.get(*index));
        let mut lines: Vec<_> =
            blocks.flat_map(|block| &block.settings).filter(|line| line.keyword == setting).collect();
        lines.sort_by_key(|line| line.order);
        if !adds_up(setting) {
            lines.truncate(1);
        }
        lines
    }

    /// The values of `keyword`.
    pub fn values(&self, keyword: &str) -> Vec<&'e str> {
        let lines = self.lines(keyword);
        if lines.is_empty() {
            return self.effective.values_of(keyword).iter().map(|value| value.text.as_str()).collect();
        }
        lines.iter().flat_map(|line| &line.values).map(String::as_str).collect()
    }

    /// The first value of `keyword`, which is the only one for most; empty if there is none.
    pub fn value(&self, keyword: &str) -> &'e str {
        self.values(keyword).first().copied().unwrap_or_default()
    }

    /// Where the first value of `keyword` stands.
    pub fn source(&self, keyword: &str) -> &'e Source {
        let line = self.lines(keyword).first().map(|line| &line.source);
        let outside = || self.effective.value_of(keyword).map(|value| &value.source);
        line.or_else(outside).unwrap_or(&Source::Default)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{MAIN_FILE, Version, evaluate};
    use super::*;

    fn effective(text: &str) -> Effective {
        let effective = evaluate(MAIN_FILE, text, Version::V10_0, &mut |_| Vec::new());
        assert!(effective.valid(), "{:?}", effective.problems);
        effective
    }

    fn root() -> Connection<'static> {
        Connection { user: Some("root"), ..Connection::default() }
    }

    fn logins(text: &str, connection: &Connection<'_>) -> Vec<String> {
        let effective = effective(text);
        let situations = effective.situations(connection).unwrap();
        situations.each().map(|situation| situation.value("permitrootlogin").to_owned()).collect()
    }

    #[test]
    fn a_block_about_the_user_is_decided_and_one_about_the_address_is_open() {
        let text = "PermitRootLogin yes\nMatch User root\nPermitRootLogin no\nMatch Address 10.0.0.0/8\nPermitRootLogin yes\n";
        assert_eq!(logins(text, &root()), ["no", "no"], "the first matching block wins");
        let text =
            "Match User anna,!root\nPermitRootLogin yes\nMatch Address 10.0.0.0/8\nPermitRootLogin no\n";
        assert_eq!(logins(text, &root()), ["without-password", "no"]);
        let near = Connection { address: Some("10.1.2.3".parse().unwrap()), ..root() };
        assert_eq!(logins(text, &near), ["no"]);
        let far = Connection { address: Some("192.0.2.1".parse().unwrap()), ..root() };
        assert_eq!(logins(text, &far), ["without-password"]);
    }

    #[test]
    fn what_meets_everybody_is_not_open() {
        for criteria in ["Address *", "User *", "Address 0.0.0.0/0,::/0", "Host *", "all"] {
            let text = format!("Match {criteria}\nPermitRootLogin no\n");
            assert_eq!(logins(&text, &root()), ["no"], "{criteria}");
        }
        assert_eq!(logins("Match Address *,!10.0.0.0/8\nPermitRootLogin no\n", &root()).len(), 2);
    }

    #[test]
    fn all_criteria_of_a_line_must_be_met() {
        let text = "Match User anna Address *\nPermitRootLogin yes\n";
        assert_eq!(logins(text, &root()), ["without-password"]);
    }

    #[test]
    fn blocks_of_the_same_criteria_apply_together() {
        let text =
            "Match Address 10.0.0.0/8\nX11Forwarding yes\nMatch address 10.0.0.0/8\nPermitRootLogin yes\n";
        assert_eq!(logins(text, &root()), ["without-password", "yes"]);
    }

    #[test]
    fn lists_of_several_blocks_add_up_and_replace_the_global_one() {
        let text = "AllowUsers eve\nMatch User root\nAllowUsers anna\nMatch Group *\nAllowUsers bob\n";
        let effective = effective(text);
        let situations = effective.situations(&root()).unwrap();
        let base = situations.each().next().unwrap();
        assert_eq!(base.values("allowusers"), ["anna", "bob"]);
    }

    #[test]
    fn groups_that_are_refused_count_more() {
        let groups: BTreeSet<String> = ["root", "staff"].map(str::to_owned).into();
        let connection = Connection { groups: Some(&groups), ..root() };
        assert_eq!(connection.in_groups("staff,!root"), Met::No);
        assert_eq!(connection.in_groups("staff"), Met::Yes);
        assert_eq!(root().in_groups("staff"), Met::Open);
        assert_eq!(group_listed(&["st*"], &connection), Met::Yes);
        assert_eq!(group_listed(&["wheel"], &connection), Met::No);
        assert_eq!(group_listed(&[], &root()), Met::No);
        assert_eq!(group_listed(&["x"], &root()), Met::Open);
    }

    #[test]
    fn a_user_pattern_may_ask_for_a_host() {
        let effective = effective("");
        let listed = |pattern, connection: &Connection<'_>| user_listed(&[pattern], connection, &effective);
        assert_eq!(listed("r*t", &root()), Met::Yes);
        assert_eq!(listed("anna", &root()), Met::No);
        assert_eq!(listed("root@10.0.0.0/8", &root()), Met::Open);
        let near = Connection { address: Some("10.1.2.3".parse().unwrap()), ..root() };
        assert_eq!(listed("root@10.0.0.0/8", &near), Met::Yes);
        assert_eq!(listed("root@*.example", &near), Met::No);
        assert_eq!(listed("root@*.example", &Connection { resolved: true, ..near }), Met::Open);
        assert_eq!(user_listed(&[], &root(), &effective), Met::No);
    }

    #[test]
    fn too_many_open_lines_are_not_followed() {
        let text = (0..=MOST_OPEN)
            .fold(String::new(), |text, number| text + &format!("Match User u{number}\nX11Forwarding no\n"));
        assert!(effective(&text).situations(&Connection::default()).is_none());
        assert!(effective(&text).situations(&root()).is_some());
    }

    #[test]
    fn candidates_hold_every_value() {
        let effective =
            effective("Match Address 10.0.0.0/8\nPermitRootLogin yes\nMatch Host a\nPermitRootLogin no\n");
        let situations = effective.situations(&root()).unwrap();
        assert_eq!(situations.candidates("permitrootlogin"), [["no"], ["without-password"], ["yes"]]);
    }
}
