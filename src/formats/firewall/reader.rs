//! Lines into sections: `generic_fw_config_parser` of `PVE/Firewall.pm`, and what its generator then leaves out.

use std::collections::{BTreeMap, BTreeSet};

use super::address::{self, Family, Reference};
use super::names::Names;
use super::rule::{self, Direction, Rule, Target};
use super::{
    Alias, Broken, Firewall, Group, IpSet, LONGEST_GROUP, LONGEST_SET, Level, Lost, LostKind, Member,
    MemberAddress, is_name, is_space, load, lose_blanks, options, split_comment, verify,
};
use crate::formats::release::Release;
use crate::formats::{Issue, Parsed, numbered, shown};

/// Reads a firewall file, see [`super::parse`].
pub(super) fn read(
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
            Section::Set(name) => self.read_member(number, line, &name.clone()),
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
        let word =
            line.trim_start_matches(['\u{feff}', '[']).split([']', ' ', '\t']).next().unwrap_or_default();
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
                let group = Group { comment, line, ..Group::default() };
                self.out.groups.insert(name.clone(), group).map(|old| (old.line, name.clone()))
            }
            Section::Set(name) => {
                self.members.clear();
                let set = IpSet { members: Vec::new(), whole: Vec::new(), comment, line };
                self.out.sets.insert(name.clone(), set).map(|old| (old.line, name.clone()))
            }
            _ => None,
        };
        if let Some((old, name)) = replaced {
            self.lose(
                old,
                LostKind::Block(name),
                true,
                format!("the block of the same name on line {line} counts"),
            );
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

    fn read_member(&mut self, number: u32, line: &str, set: &str) -> Result<(), String> {
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
        let is_whole =
            text.rsplit_once('/').is_some_and(|(_, prefix)| prefix.bytes().all(|byte| byte == b'0'));
        if let Some(block) = self.out.sets.get_mut(set) {
            let comment = comment.filter(|text| !text.is_empty());
            let member = Member { what, nomatch, comment, line: number };
            if is_whole { block.whole.push(member) } else { block.members.push(member) }
        }
        if is_whole {
            return Err("a set cannot hold a network of prefix length 0".to_owned());
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
            let all = std::mem::take(&mut group.rules);
            let broken = |rule: &&Rule| rule.enabled && self.unresolved(rule).is_some();
            let broken: Vec<&Rule> = all.iter().filter(broken).collect();
            group.broken_in = first_broken(&broken, Direction::In);
            group.broken_out = first_broken(&broken, Direction::Out);
            group.rules = self.keep_resolved(all, Some(name), &BTreeMap::new());
        }
        self.out.rules = rules;
        self.out.groups = groups;
    }

    /// Why the generator leaves a rule out although the parser takes it.
    fn unresolved(&self, rule: &Rule) -> Option<String> {
        rule.generator_error.clone().or_else(|| self.names().unresolved(rule))
    }

    fn keep_resolved(
        &mut self,
        rules: Vec<Rule>,
        group: Option<&String>,
        groups: &BTreeMap<String, Group>,
    ) -> Vec<Rule> {
        let mut kept = Vec::with_capacity(rules.len());
        for rule in rules {
            if let Some(mut why) = self.unresolved(&rule) {
                if group.is_some() && rule.enabled {
                    why.push_str(
                        ", and the first call of the security group and the rest of it are lost with it",
                    );
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
                let what = format!(
                    "the set {} comes from the virtual networks and is not in these files",
                    shown(&name)
                );
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

/// The first rule of this direction among those of a security group that the generator gives up at.
fn first_broken(broken: &[&Rule], direction: Direction) -> Broken {
    let first = |family: Family| {
        let generated = |rule: &&&Rule| {
            let rows = !matches!(&rule.target, Target::Macro(known, _) if known.rows(family).is_empty());
            rule.direction == direction && rule.family.is_none_or(|only| only == family) && rows
        };
        broken.iter().filter(generated).map(|rule| rule.line).min()
    };
    Broken { v4: first(Family::V4), v6: first(Family::V6) }
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
