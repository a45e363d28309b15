//! The firewall files: `/etc/pve/firewall/cluster.fw`, `nodes/NODE/host.fw`, `firewall/VMID.fw`, `sdn/firewall/VNET.fw`.
//!
//! Follows `generic_fw_config_parser` of pve-firewall's `PVE/Firewall.pm`, which decides for the nftables backend
//! too whether anything is filtered. What its parser or its generator drops without a word is not in the result: it is in
//! [`Firewall::lost`], and an issue says why. A token that passes the parser but makes `ipset restore` or
//! `iptables-restore` refuse the whole ruleset is a [`LoadFailure`].
//!
//! Two tables of the host are taken as Debian ships them, not read: `/etc/services` and `/etc/protocols`.

pub mod address;
mod load;
pub mod macros;
pub mod names;
pub mod options;
pub mod port;
pub mod rule;
pub mod services;
mod verify;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use self::address::{Cidr, Family, Reference};
use self::names::Names;
use self::options::Options;
use self::rule::{Direction, Rule};
use crate::formats::release::Release;
use crate::formats::{Issue, Parsed, numbered, shown};

/// Longest name of a security group, in characters.
pub const LONGEST_GROUP: usize = 18;
/// Longest name of a set, in characters.
pub const LONGEST_SET: usize = 64;

/// Which of the four kinds of firewall file a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// `cluster.fw`: rules for all nodes, names for everybody.
    #[default]
    Datacenter,
    /// `host.fw`: rules for one node.
    Node,
    /// `VMID.fw`: rules for one guest.
    Guest,
    /// `VNET.fw`: rules for forwarding in a virtual network, obeyed by nftables only.
    Vnet,
}

impl Level {
    /// Whether aliases and sets may stand in the file.
    fn has_names(self) -> bool {
        matches!(self, Self::Datacenter | Self::Guest)
    }
}

/// What happens to a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// Let through.
    Accept,
    /// Discarded.
    Drop,
    /// Discarded with an answer.
    Reject,
}

impl Verdict {
    /// The verdict of that name, in capitals as rules need it.
    fn find(name: &str) -> Option<Self> {
        match name {
            "ACCEPT" => Some(Self::Accept),
            "DROP" => Some(Self::Drop),
            "REJECT" => Some(Self::Reject),
            _ => None,
        }
    }
}

/// A firewall file as upstream uses it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Firewall {
    /// The kind of file.
    pub level: Level,
    /// The options that are set.
    pub options: Options,
    /// Aliases by lower-cased name; the last definition wins.
    pub aliases: BTreeMap<String, Alias>,
    /// Sets by lower-cased name; the last block wins.
    pub sets: BTreeMap<String, IpSet>,
    /// Security groups by lower-cased name; the last block wins.
    pub groups: BTreeMap<String, Group>,
    /// The rules that have an effect or would have one if they were enabled, in order.
    pub rules: Vec<Rule>,
    /// Everything that stands in the file and has no effect, in line order.
    pub lost: Vec<Lost>,
    /// Everything that keeps the iptables backend from loading its ruleset, in line order.
    pub load_failures: Vec<LoadFailure>,
}

/// A name for an address or network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// The name as written.
    pub name: String,
    /// What it stands for.
    pub cidr: Cidr,
    /// The comment behind it.
    pub comment: Option<String>,
    /// Line in the file, counted from 1.
    pub line: u32,
}

/// A set of networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpSet {
    /// The members that upstream takes, in order.
    pub members: Vec<Member>,
    /// The comment behind the header.
    pub comment: Option<String>,
    /// Line of the header, counted from 1.
    pub line: u32,
}

/// One member of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// What it covers.
    pub what: MemberAddress,
    /// `!`: the network is taken out of a wider one. The most specific member decides.
    pub nomatch: bool,
    /// The comment behind it.
    pub comment: Option<String>,
    /// Line in the file, counted from 1.
    pub line: u32,
}

/// What a member of a set covers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberAddress {
    /// An address or network.
    Network(Cidr),
    /// What the alias stands for.
    Alias(Reference),
}

/// A security group: rules that other rule lists call by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its rules, in order.
    pub rules: Vec<Rule>,
    /// The comment behind the header.
    pub comment: Option<String>,
    /// Line of the header, counted from 1.
    pub line: u32,
    /// Line of the first `IN` rule at which upstream gives up generating the group's inbound chain: what follows
    /// is lost too, and the first call of the group is left out.
    pub broken_in: Option<u32>,
    /// The same for `OUT` rules.
    pub broken_out: Option<u32>,
}

/// Something that stands in the file and has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lost {
    /// Line in the file, counted from 1.
    pub line: u32,
    /// What it is or was meant to be.
    pub what: LostKind,
    /// False for a rule that is disabled anyway.
    pub enabled: bool,
    /// Why it has no effect.
    pub why: String,
}

/// What has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LostKind {
    /// A line in brackets that is no section header here.
    Header,
    /// A line before the first section, or below a refused header.
    NoSection,
    /// An option of this name.
    Option(String),
    /// An alias of this name.
    Alias(String),
    /// A member of this set.
    Member(String),
    /// A set or security group of this name that a later one replaces.
    Block(String),
    /// A rule, as far as it can be recognised.
    Rule {
        /// The security group it stands in.
        group: Option<String>,
        /// Its direction.
        direction: Option<Direction>,
        /// What it was meant to do to packets.
        verdict: Option<Verdict>,
    },
}

/// A place that passes upstream's parser and makes the kernel tools refuse the ruleset: after boot nothing is
/// filtered, later the rules of before stay.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoadFailure {
    /// Line in the file, counted from 1.
    pub line: u32,
    /// What the tools refuse.
    pub what: String,
    /// What is not loaded.
    pub unloaded: Unloaded,
    /// Set if this matters only when an enabled rule calls this security group.
    pub group: Option<String>,
}

/// What a load failure keeps from being loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unloaded {
    /// All rules.
    Everything,
    /// The rules for IPv6 only: those for IPv4 are loaded before.
    Ipv6,
}

/// Reads a firewall file. `datacenter` is cluster.fw, in which node, guest and vnet files look names up; none
/// stands for a missing cluster.fw.
pub fn parse(
    text: &str,
    level: Level,
    release: Release,
    datacenter: Option<&Firewall>,
) -> Parsed<Firewall> {
    let mut reader = Reader {
        release,
        datacenter: datacenter.filter(|_| level != Level::Datacenter),
        section: Section::None,
        members: BTreeSet::new(),
        out: Firewall { level, ..Firewall::default() },
        issues: Vec::new(),
    };
    if level == Level::Vnet && release < Release::Pve8 && !text.trim().is_empty() {
        reader.issue(1, format!("{release} knows no firewall of vnets: the file is not read"));
    }
    for (number, line) in numbered(text) {
        reader.read_line(number, line.trim_matches([' ', '\t']));
    }
    reader.finish()
}

/// White space of Perl's `\s` in a byte string.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// `text` without white space around it.
fn lose_blanks(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Whether the text is a name as groups, sets and aliases need it: a letter, then at least one more of
/// letters, digits, `-` and `_`.
fn is_name(text: &str) -> bool {
    let mut chars = text.bytes();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic())
        && text.len() > 1
        && chars.all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Cuts the comment off at the first `#`; the comment without blanks around it.
fn split_comment(line: &str) -> (&str, Option<String>) {
    match line.split_once('#') {
        Some((rest, comment)) => (rest, Some(lose_blanks(comment).to_owned())),
        None => (line, None),
    }
}

/// The section that lines belong to.
enum Section {
    None,
    Options,
    Aliases,
    Rules,
    Group(String),
    Set(String),
}

/// What a line in brackets turned out to be.
enum Header {
    /// A section begins.
    Begins(Section, Option<String>),
    /// A header that is refused: the lines below it belong to no section.
    Refused(String),
    /// No header: content of the section above.
    No,
}

struct Reader<'a> {
    release: Release,
    datacenter: Option<&'a Firewall>,
    section: Section,
    /// The members of the current set as upstream compares them: by text.
    members: BTreeSet<String>,
    out: Firewall,
    issues: Vec<Issue>,
}

impl Reader<'_> {
    fn issue(&mut self, line: u32, what: String) {
        self.issues.push(Issue::new(line, what));
    }

    /// Records something without effect, with an issue.
    fn lose(&mut self, line: u32, what: LostKind, enabled: bool, why: String) {
        let noun = match &what {
            LostKind::Header => "no section begins here".to_owned(),
            LostKind::NoSection => "the line is skipped".to_owned(),
            LostKind::Option(name) => format!("the option {} is dropped", shown(name)),
            LostKind::Alias(name) => format!("the alias {} is dropped", shown(name)),
            LostKind::Member(set) => format!("the member of the set {} is skipped", shown(set)),
            LostKind::Block(name) => format!("the block {} is replaced", shown(name)),
            LostKind::Rule { .. } if enabled => "the rule is skipped".to_owned(),
            LostKind::Rule { .. } => "the disabled rule would be skipped".to_owned(),
        };
        self.issue(line, format!("{noun}: {why}"));
        self.out.lost.push(Lost { line, what, enabled, why });
    }

    fn read_line(&mut self, number: u32, line: &str) {
        if line.starts_with('#') || lose_blanks(line).is_empty() {
            return;
        }
        match self.header(line) {
            Header::Begins(section, comment) => return self.begin(number, section, comment),
            Header::Refused(why) => {
                self.section = Section::None;
                let why = format!("{why}, and the lines below it are skipped");
                return self.lose(number, LostKind::Header, true, why);
            }
            Header::No => {}
        }
        let content = match &self.section {
            Section::None => Err("it stands in no section".to_owned()),
            Section::Options => self.read_option(number, line),
            Section::Aliases => self.read_alias(number, line),
            Section::Rules => self.read_rule(number, line, None),
            Section::Group(name) => self.read_rule(number, line, Some(name.clone())),
            Section::Set(name) => self.read_member(number, line, name.clone()),
        };
        if let Err(why) = content {
            self.lose_content(number, line, why);
        }
    }

    /// Records a line that its section refuses.
    fn lose_content(&mut self, number: u32, line: &str, why: String) {
        if looks_like_header(line) {
            let then = match self.section {
                Section::None => "the lines below it stand in no section",
                _ => "the lines below it belong to the section above",
            };
            return self.lose(number, LostKind::Header, true, format!("{}, so {then}", self.no_header(line)));
        }
        let (what, enabled) = match &self.section {
            Section::None => (LostKind::NoSection, true),
            Section::Options => (LostKind::Option(options::key_of(line)), true),
            Section::Aliases => {
                let name = line.split(is_space).next().unwrap_or(line);
                (LostKind::Alias(name.to_owned()), true)
            }
            Section::Set(name) => (LostKind::Member(name.clone()), true),
            Section::Rules => rule::guess(line, None),
            Section::Group(name) => rule::guess(line, Some(name.clone())),
        };
        self.lose(number, what, enabled, why);
    }

    /// Why a line in brackets is no header.
    fn no_header(&self, line: &str) -> String {
        let word = line.trim_start_matches(['\u{feff}', '[']).split([']', ' ', '\t']).next().unwrap_or_default();
        let plain = ["options", "aliases", "rules"].iter().any(|name| word.eq_ignore_ascii_case(name));
        let level = self.out.level;
        if line.starts_with('\u{feff}') {
            "a byte order mark stands before the header".to_owned()
        } else if line.ends_with('\r') {
            "a carriage return ends the line".to_owned()
        } else if word.eq_ignore_ascii_case("aliases") && !level.has_names() {
            "this file may not hold aliases".to_owned()
        } else if plain {
            "nothing may stand beside the header".to_owned()
        } else if word.eq_ignore_ascii_case("ipset") && !level.has_names() {
            "this file may not hold sets".to_owned()
        } else if word.eq_ignore_ascii_case("group") && level != Level::Datacenter {
            "only cluster.fw may hold security groups".to_owned()
        } else {
            format!("{} is no section header", shown(line))
        }
    }

    fn header(&self, line: &str) -> Header {
        let level = self.out.level;
        let is = |text: &str| line.eq_ignore_ascii_case(text);
        if is("[options]") {
            return Header::Begins(Section::Options, None);
        }
        if is("[rules]") {
            return Header::Begins(Section::Rules, None);
        }
        if is("[aliases]") && level.has_names() {
            return Header::Begins(Section::Aliases, None);
        }
        if let Some((name, comment)) = named_header(line, "[group").filter(|_| level == Level::Datacenter) {
            return match check_name(&name, LONGEST_GROUP) {
                Ok(()) => Header::Begins(Section::Group(name), comment),
                Err(why) => Header::Refused(format!("{} {why}", shown(&name))),
            };
        }
        if let Some((name, comment)) = named_header(line, "[ipset").filter(|_| level.has_names()) {
            return match check_name(&name, LONGEST_SET) {
                Ok(()) => Header::Begins(Section::Set(name), comment),
                Err(why) => Header::Refused(format!("{} {why}", shown(&name))),
            };
        }
        Header::No
    }

    fn begin(&mut self, line: u32, section: Section, comment: Option<String>) {
        let replaced = match &section {
            Section::Group(name) => {
                let group = Group { rules: Vec::new(), comment, line, broken_in: None, broken_out: None };
                self.out.groups.insert(name.clone(), group).map(|old| (old.line, name.clone()))
            }
            Section::Set(name) => {
                self.members.clear();
                let set = IpSet { members: Vec::new(), comment, line };
                self.out.sets.insert(name.clone(), set).map(|old| (old.line, name.clone()))
            }
            _ => None,
        };
        if let Some((old, name)) = replaced {
            self.lose(old, LostKind::Block(name), true, format!("the block of the same name on line {line} counts"));
        }
        self.section = section;
    }

    fn read_option(&mut self, number: u32, line: &str) -> Result<(), String> {
        options::read(&mut self.out.options, self.out.level, self.release, number, line)
    }

    fn read_alias(&mut self, number: u32, line: &str) -> Result<(), String> {
        let (definition, comment) = split_comment(line);
        let definition = if comment.is_some() { definition.trim_end_matches(is_space) } else { definition };
        let (name, value) = definition
            .split_once(is_space)
            .filter(|(name, value)| !name.is_empty() && !value.is_empty() && !value.contains(is_space))
            .ok_or("a name and an address with exactly one blank between them are needed")?;
        let cidr = address::parse_network(value)
            .ok_or_else(|| format!("{} is no address and no network", shown(value)))?;
        let comment = comment.filter(|text| !text.is_empty());
        let alias = Alias { name: name.to_owned(), cidr, comment, line: number };
        self.out.aliases.insert(name.to_ascii_lowercase(), alias);
        Ok(())
    }

    fn read_member(&mut self, number: u32, line: &str, set: String) -> Result<(), String> {
        let (text, comment) = split_comment(line);
        let text = text.trim_end_matches(is_space);
        let (text, nomatch) = match text.strip_prefix('!').map(|rest| rest.trim_start_matches(is_space)) {
            Some(rest) if !rest.is_empty() => (rest, true),
            _ => (text, false),
        };
        if text.is_empty() || text.contains(is_space) {
            return Err("one address, network or alias is needed".to_owned());
        }
        let (what, key) = self.member_address(text)?;
        if !self.members.insert(key) {
            return Err(format!("{} stands in the set already", shown(text)));
        }
        // Upstream looks at the text: `/00` too.
        if text.rsplit_once('/').is_some_and(|(_, prefix)| prefix.bytes().all(|byte| byte == b'0')) {
            return Err("a set cannot hold a network of prefix length 0".to_owned());
        }
        if let Some(block) = self.out.sets.get_mut(&set) {
            let comment = comment.filter(|text| !text.is_empty());
            block.members.push(Member { what, nomatch, comment, line: number });
        }
        Ok(())
    }

    /// The address of a member, with the text upstream compares it by. A text that is refused is remembered
    /// too, as upstream does.
    fn member_address(&mut self, text: &str) -> Result<(MemberAddress, String), String> {
        if let Some(reference) = address::parse_alias_reference(text) {
            if self.alias_above(&reference).is_some() {
                return Ok((MemberAddress::Alias(reference), text.to_owned()));
            }
            self.members.insert(text.to_owned());
            return Err(format!("no alias {} is defined above", shown(text)));
        }
        let Some(cidr) = address::parse_network(text) else {
            self.members.insert(text.to_owned());
            return Err(format!("{} is no address, network or alias", shown(text)));
        };
        let whole = if cidr.family() == Family::V4 { "/32" } else { "/128" };
        let key = text.strip_suffix(whole).unwrap_or(text);
        Ok((MemberAddress::Network(cidr), key.to_owned()))
    }

    /// The alias as far as it is known at this line, by upstream's `resolve_alias`.
    fn alias_above(&self, reference: &Reference) -> Option<&Alias> {
        if self.out.level == Level::Datacenter {
            // The file is its own datacenter and its own guest while it is parsed.
            return self.out.aliases.get(&reference.name);
        }
        Names { datacenter: self.datacenter, own: Some(&self.out) }.alias(reference)
    }

    fn read_rule(&mut self, number: u32, line: &str, group: Option<String>) -> Result<(), String> {
        let raw = rule::split(line)?;
        let place = verify::Place {
            level: self.out.level,
            in_group: group.is_some(),
            release: self.release,
            datacenter: self.datacenter.unwrap_or(&self.out),
            own: &self.out,
            line: number,
        };
        let rule = verify::verify(&raw, &place)?;
        match group {
            None => self.out.rules.push(rule),
            Some(name) => {
                if let Some(block) = self.out.groups.get_mut(&name) {
                    block.rules.push(rule);
                }
            }
        }
        Ok(())
    }

    /// What is only known at the end of the file: which names resolve, and what the kernel tools refuse.
    fn finish(mut self) -> Parsed<Firewall> {
        self.drop_unresolved_members();
        self.drop_unresolved_rules();
        self.out.load_failures = load::failures(&self.out, self.datacenter);
        self.out.lost.sort_by_key(|lost| lost.line);
        self.issues.sort();
        Parsed { value: self.out, issues: self.issues }
    }

    /// Drops the members that the generator drops: `guest/` in cluster.fw.
    fn drop_unresolved_members(&mut self) {
        let mut sets = std::mem::take(&mut self.out.sets);
        let mut dropped = Vec::new();
        for (name, set) in &mut sets {
            set.members.retain(|member| {
                let keep = match &member.what {
                    MemberAddress::Network(_) => true,
                    MemberAddress::Alias(reference) => self.names().alias(reference).is_some(),
                };
                if !keep {
                    dropped.push((member.line, name.clone()));
                }
                keep
            });
        }
        self.out.sets = sets;
        for (line, set) in dropped {
            let why = "the scope of the alias does not lead to one".to_owned();
            self.lose(line, LostKind::Member(set), true, why);
        }
    }

    /// Where the generator looks the names of this file's rules up.
    fn names(&self) -> Names<'_> {
        Names::of(&self.out, self.datacenter)
    }

    /// Drops the rules whose names pass the parser but not the generator, and notes calls of missing groups.
    fn drop_unresolved_rules(&mut self) {
        let rules = std::mem::take(&mut self.out.rules);
        let mut groups = std::mem::take(&mut self.out.groups);
        let rules = self.keep_resolved(rules, None, &groups);
        for (name, group) in &mut groups {
            let before = self.out.lost.len();
            let kept = self.keep_resolved(std::mem::take(&mut group.rules), Some(name), &BTreeMap::new());
            group.rules = kept;
            let broken = self.out.lost.get(before..).unwrap_or_default();
            group.broken_in = first_broken(broken, Direction::In);
            group.broken_out = first_broken(broken, Direction::Out);
        }
        self.out.rules = rules;
        self.out.groups = groups;
    }

    fn keep_resolved(
        &mut self,
        rules: Vec<Rule>,
        group: Option<&String>,
        groups: &BTreeMap<String, Group>,
    ) -> Vec<Rule> {
        let mut kept = Vec::with_capacity(rules.len());
        for rule in rules {
            let unresolved = rule.generator_error.clone().or_else(|| self.names().unresolved(&rule));
            if let Some(mut why) = unresolved {
                if group.is_some() && rule.enabled {
                    why.push_str(", and the rest of the security group is lost with it");
                }
                let what = LostKind::Rule {
                    group: group.cloned(),
                    direction: Some(rule.direction),
                    verdict: rule.target.verdict(),
                };
                self.lose(rule.line, what, rule.enabled, why);
                continue;
            }
            if let Some(name) = rule.names_network_set(&self.names()) {
                let what = format!("the set {} comes from the virtual networks and is not in these files", shown(&name));
                self.issue(rule.line, what);
            }
            if let Some(name) = rule.target.group() {
                let known = self.datacenter.map_or(groups, |datacenter| &datacenter.groups);
                if !known.contains_key(name) {
                    let what = "does not exist: iptables gets an empty chain, nftables loads nothing";
                    self.issue(rule.line, format!("the security group {} {what}", shown(name)));
                }
            }
            kept.push(rule);
        }
        kept
    }
}

/// The first enabled rule of this direction among what a security group lost.
fn first_broken(lost: &[Lost], broken: Direction) -> Option<u32> {
    let of_direction = |lost: &&Lost| match lost.what {
        LostKind::Rule { direction, .. } => direction == Some(broken) && lost.enabled,
        _ => false,
    };
    lost.iter().filter(of_direction).map(|lost| lost.line).min()
}

fn looks_like_header(line: &str) -> bool {
    line.trim_start_matches('\u{feff}').starts_with('[')
}

/// `[group NAME] # comment` and `[IPSET NAME] # comment`: the lower-cased name and the comment.
fn named_header(line: &str, start: &str) -> Option<(String, Option<String>)> {
    let (head, rest) = line.split_at_checked(start.len())?;
    if !head.eq_ignore_ascii_case(start) {
        return None;
    }
    let body = rest.trim_start_matches(is_space);
    if body.len() == rest.len() {
        return None;
    }
    let word = body.split(is_space).next().unwrap_or(body);
    let after_word = body.get(word.len()..).unwrap_or_default();
    // The name reaches to the last bracket behind which only a comment stands.
    for (end, _) in word.rmatch_indices(']') {
        let name = word.get(..end).filter(|name| !name.is_empty())?;
        let in_word = word.get(end + 1..).unwrap_or_default();
        let tail = if in_word.is_empty() { lose_blanks(after_word) } else { in_word };
        let comment = match tail.strip_prefix('#') {
            Some(comment) if in_word.is_empty() => Some(comment.to_owned()),
            Some(comment) => Some(format!("{comment}{after_word}")),
            None if tail.is_empty() => None,
            None => continue,
        };
        let comment = comment.map(|text| lose_blanks(&text).to_owned()).filter(|text| !text.is_empty());
        return Some((name.to_ascii_lowercase(), comment));
    }
    None
}

fn check_name(name: &str, longest: usize) -> Result<(), String> {
    if name.len() > longest {
        Err(format!("is longer than {longest} characters"))
    } else if is_name(name) {
        Ok(())
    } else {
        Err("is no valid name".to_owned())
    }
}
