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
pub mod network;
pub mod nft;
pub mod options;
pub mod port;
mod reader;
pub mod rule;
pub mod services;
mod verify;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::address::{Cidr, Family, Reference};
use self::options::Options;
use self::rule::{Direction, Rule};
use crate::formats::Parsed;
use crate::formats::release::Release;

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
    /// Networks of prefix length 0, in order: the iptables backend skips them, nftables takes them.
    pub whole: Vec<Member>,
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
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Its rules, in order.
    pub rules: Vec<Rule>,
    /// The comment behind the header.
    pub comment: Option<String>,
    /// Line of the header, counted from 1.
    pub line: u32,
    /// The first `IN` rule at which upstream gives up generating the group: what follows is lost too, the first call
    /// of the group is left out, and every call for packets on the way out.
    pub broken_in: Broken,
    /// The same for `OUT` rules, of which the chain for packets on the way in is complete: only the first call is left
    /// out.
    pub broken_out: Broken,
}

/// Lines of a security group at which upstream gives up: it generates each family by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Broken {
    /// While it generates the rules for IPv4.
    pub v4: Option<u32>,
    /// While it generates those for IPv6.
    pub v6: Option<u32>,
}

impl Broken {
    /// The line for this family.
    pub fn of(self, family: Family) -> Option<u32> {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }

    /// Whether a family is concerned.
    pub fn is_any(self) -> bool {
        self.v4.is_some() || self.v6.is_some()
    }
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
/// filtered, later the rules of before stay. The tools are those of the iptables backend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LoadFailure {
    /// Line in the file, counted from 1.
    pub line: u32,
    /// What the tools refuse.
    pub what: String,
    /// What is not loaded.
    pub unloaded: Unloaded,
    /// Whether the nftables backend refuses it, too.
    pub nftables: bool,
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
pub fn parse(text: &str, level: Level, release: Release, datacenter: Option<&Firewall>) -> Parsed<Firewall> {
    reader::read(text, level, release, datacenter)
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
