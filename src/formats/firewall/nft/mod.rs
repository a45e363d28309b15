//! The same files as the nftables backend reads them: proxmox-firewall 1.2.3.
//!
//! Follows proxmox-ve-config's `firewall/common.rs`, `types/*.rs` and `cluster.rs`, `host.rs`, `guest.rs`. Unlike
//! pve-firewall it refuses the whole configuration for one thing it does not understand, disabled rules included; it
//! resolves names when the whole file is read, and keeps the case of groups and sets.

mod options;
mod rule;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::options::Options;
pub use self::rule::{Address, Ports, Rule, Target};
use super::address::{Cidr, Scope};
use super::{Level, Verdict};
use crate::formats::{Located, numbered, shown};

/// Why the configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Line in the file, counted from 1.
    pub line: u32,
    /// What is wrong.
    pub what: String,
}

/// A name of an alias or a set: the scope and the name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    /// The scope written before it.
    pub scope: Option<Scope>,
    /// The name: lower-cased for an alias, as written for a set.
    pub name: String,
}

/// A member of a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// A network or the name of an alias.
    pub what: Result<Cidr, Name>,
    /// `!`
    pub nomatch: bool,
    /// Line in the file, counted from 1.
    pub line: u32,
}

/// A firewall file as proxmox-firewall uses it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct File {
    /// `enable`; none if it is not set.
    pub enable: Option<Located<bool>>,
    /// `policy_in`; none if it is not set.
    pub policy_in: Option<Located<Verdict>>,
    /// `policy_out`; none if it is not set.
    pub policy_out: Option<Located<Verdict>>,
    /// `policy_forward`; none if it is not set.
    pub policy_forward: Option<Located<Verdict>>,
    /// `nftables` of host.fw; none if it is not set.
    pub nftables: Option<bool>,
    /// `nf_conntrack_helpers` of host.fw, as written; none if it is not set.
    pub helpers: Option<Located<Vec<String>>>,
    /// `dhcp` of a guest; none if it is not set.
    pub dhcp: Option<bool>,
    /// `ipfilter` of a guest; none if it is not set.
    pub ipfilter: Option<Located<bool>>,
    /// Aliases by lower-cased name.
    pub aliases: BTreeMap<String, Cidr>,
    /// Sets by name, with the line of the header.
    pub sets: BTreeMap<String, (u32, Vec<Member>)>,
    /// Security groups by name.
    pub groups: BTreeMap<String, Vec<Rule>>,
    /// The rules, disabled ones too, in order.
    pub rules: Vec<Rule>,
}

impl File {
    /// Whether `enable` is set and true, as cluster.fw, guests and virtual networks need it.
    pub fn is_on(&self) -> bool {
        self.enable.as_ref().is_some_and(|enable| enable.value)
    }
}

/// Reads a firewall file.
///
/// # Errors
/// What makes proxmox-firewall refuse the whole configuration.
pub fn parse(text: &str, level: Level) -> Result<File, Refused> {
    let mut reader =
        Reader { level, section: Section::None, file: File::default(), options: Options::default() };
    let mut last = 1;
    for (line, content) in numbered(text) {
        last = line;
        reader.line(line, content).map_err(|what| Refused { line, what })?;
    }
    reader.close().map_err(|what| Refused { line: last, what })?;
    reader.options.finish(level, &mut reader.file)?;
    Ok(reader.file)
}

enum Section {
    None,
    Options,
    Aliases,
    Rules,
    Set(String, u32, Vec<Member>),
    Group(String, Vec<Rule>),
}

struct Reader {
    level: Level,
    section: Section,
    file: File,
    options: Options,
}

impl Reader {
    fn line(&mut self, number: u32, content: &str) -> Result<(), String> {
        let line = content.trim();
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        let is = |name: &str| line.eq_ignore_ascii_case(name);
        if is("[options]") {
            return self.begin(Section::Options);
        }
        if is("[aliases]") {
            return self.begin(Section::Aliases);
        }
        if is("[rules]") {
            return self.begin(Section::Rules);
        }
        if let Some(tail) = line.strip_prefix("[IPSET") {
            let name = section_name(tail)?;
            if !self.level.has_names() {
                return Err("this file may not hold sets".to_owned());
            }
            return self.begin(Section::Set(name, number, Vec::new()));
        }
        if let Some(tail) = line.strip_prefix("[group") {
            let name = section_name(tail)?;
            return self.begin(Section::Group(name, Vec::new()));
        }
        if line.starts_with('[') {
            return Err(format!("{} is no section", shown(line)));
        }
        self.content(number, line)
    }

    fn begin(&mut self, next: Section) -> Result<(), String> {
        match std::mem::replace(&mut self.section, next) {
            Section::Set(name, line, members) => match self.file.sets.insert(name.clone(), (line, members)) {
                Some(_) => Err(format!("the set {} is there twice", shown(&name))),
                None => Ok(()),
            },
            Section::Group(name, rules) => match self.file.groups.insert(name.clone(), rules) {
                Some(_) => Err(format!("the security group {} is there twice", shown(&name))),
                None => Ok(()),
            },
            _ => Ok(()),
        }
    }

    fn content(&mut self, number: u32, line: &str) -> Result<(), String> {
        match &mut self.section {
            Section::None => Err(format!("{} stands in no section", shown(line))),
            Section::Options => self.options.read(number, line),
            Section::Aliases => {
                let (name, cidr) = alias(line)?;
                match self.file.aliases.insert(name.clone(), cidr) {
                    Some(_) => Err(format!("the alias {} is there twice", shown(&name))),
                    None => Ok(()),
                }
            }
            Section::Rules => {
                let rule = rule::parse(line, number)?;
                rule.check_place(self.level)?;
                self.file.rules.push(rule);
                Ok(())
            }
            Section::Set(_, _, members) => {
                members.push(member(line, number)?);
                Ok(())
            }
            Section::Group(_, rules) => {
                rules.push(rule::parse(line, number)?);
                Ok(())
            }
        }
    }

    fn close(&mut self) -> Result<(), String> {
        self.begin(Section::None)?;
        let refused = |what: &str| Err(format!("this file may not hold {what}"));
        if self.level != Level::Datacenter && !self.file.groups.is_empty() {
            return refused("security groups");
        }
        if !self.level.has_names() && !self.file.aliases.is_empty() {
            return refused("aliases");
        }
        Ok(())
    }
}

/// A letter, then letters, digits, `-` and `_`, and what follows.
pub(super) fn take_name(text: &str) -> Option<(&str, &str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end)?;
    name.starts_with(|c: char| c.is_ascii_alphabetic()).then_some((name, rest))
}

/// Everything up to white space, and what follows behind it.
pub(super) fn take_word(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| c.is_ascii_whitespace()).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end)?;
    (!word.is_empty()).then(|| (word, rest.trim_start()))
}

/// ` NAME] # comment`
fn section_name(tail: &str) -> Result<String, String> {
    let wrong = || "the header of the section is not complete".to_owned();
    if !tail.starts_with(|c: char| c.is_ascii_whitespace()) {
        return Err(wrong());
    }
    let (name, rest) = take_name(tail.trim_start()).ok_or_else(wrong)?;
    let rest = rest.strip_prefix(']').ok_or_else(wrong)?.trim_start();
    if rest.is_empty() || rest.starts_with('#') {
        Ok(name.to_owned())
    } else {
        Err(format!("{} stands behind the header", shown(rest)))
    }
}

fn only_comment(rest: &str) -> Result<(), String> {
    let rest = rest.trim_start();
    if rest.is_empty() || rest.starts_with('#') {
        Ok(())
    } else {
        Err(format!("{} stands behind the value", shown(rest)))
    }
}

/// An address with or without a possible prefix length.
pub(in crate::formats::firewall) fn cidr(text: &str) -> Option<Cidr> {
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address.parse().ok()?, Some(prefix.parse().ok()?)),
        None => (text.parse().ok()?, None),
    };
    let host = Cidr::host(address);
    Some(Cidr { prefix: prefix.unwrap_or(host.prefix), ..host }).filter(|cidr| cidr.is_possible())
}

/// `[dc/|guest/]NAME`
pub(super) fn alias_name(text: &str) -> Option<Name> {
    let (scope, name) = match text.split_once('/') {
        Some(("dc", name)) if !name.is_empty() => (Some(Scope::Datacenter), name),
        Some(("guest", name)) if !name.is_empty() => (Some(Scope::Guest), name),
        _ => (None, take_name(text).filter(|(_, rest)| rest.is_empty())?.0),
    };
    Some(Name { scope, name: name.to_ascii_lowercase() })
}

fn alias(line: &str) -> Result<(String, Cidr), String> {
    let (name, rest) = take_name(line).ok_or("a name is needed")?;
    let (value, rest) = take_word(rest.trim_start()).ok_or("an address is needed")?;
    let cidr = cidr(value).ok_or_else(|| format!("{} is no address and no network", shown(value)))?;
    only_comment(rest)?;
    Ok((name.to_ascii_lowercase(), cidr))
}

fn member(line: &str, number: u32) -> Result<Member, String> {
    let (nomatch, rest) = match line.strip_prefix('!') {
        Some(rest) => (true, rest),
        None => (false, line),
    };
    let (word, rest) = take_word(rest.trim_start()).ok_or("an address is needed")?;
    let what = match cidr(word) {
        Some(cidr) => Ok(cidr),
        None => Err(alias_name(word).ok_or_else(|| format!("{} is no address and no alias", shown(word)))?),
    };
    only_comment(rest)?;
    Ok(Member { what, nomatch, line: number })
}
