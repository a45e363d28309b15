//! One line of `[RULES]` or of a security group (`parse_fw_rule` of `PVE/Firewall.pm`).

use super::address::{Address, Family};
use super::macros::Macro;
use super::names::{Found, Names};
use super::options::LogLevel;
use super::port::Ports;
use super::{LostKind, Verdict, is_space, split_comment};
use crate::formats::shown;

/// A rule that upstream takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Line in the file, counted from 1.
    pub line: u32,
    /// False if the rule is marked with `|`.
    pub enabled: bool,
    /// Which packets it looks at.
    pub direction: Direction,
    /// What it does.
    pub target: Target,
    /// `-i`: an interface of the node, or `netN` of a guest.
    pub interface: Option<String>,
    /// `-p`: the protocol as written; a macro brings its own.
    pub protocol: Option<String>,
    /// `-source`.
    pub source: Option<Address>,
    /// `-dest`.
    pub dest: Option<Address>,
    /// `-dport`, unless it is an ICMP type.
    pub dport: Option<Ports>,
    /// `-sport`.
    pub sport: Option<Ports>,
    /// `-icmp-type`, or the ICMP type that stands in `-dport`.
    pub icmp_type: Option<String>,
    /// `-log`.
    pub log: Option<LogLevel>,
    /// The comment behind the rule.
    pub comment: Option<String>,
    /// The only family the rule is generated for; none for both.
    pub family: Option<Family>,
    /// Parameters whose value is `0`, which Perl takes for no value: the rule matches as if they were not there
    /// (iptables; nftables takes a port of 0).
    pub zeros: Vec<Parameter>,
    /// What iptables refuses to load of the rule.
    pub(super) refused: Option<String>,
    /// Why the generator leaves the rule out although the parser takes it; never in a finished result.
    pub(super) generator_error: Option<String>,
}

/// Which packets a rule looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// Towards the node or guest.
    In,
    /// From the node or guest.
    Out,
    /// Through the node; only nftables obeys.
    Forward,
    /// All that the security group looks at.
    Group,
}

impl Direction {
    pub(super) fn find(word: &str) -> Option<Self> {
        match word.to_ascii_lowercase().as_str() {
            "in" => Some(Self::In),
            "out" => Some(Self::Out),
            "forward" => Some(Self::Forward),
            "group" => Some(Self::Group),
            _ => None,
        }
    }
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Decides about the packets it matches.
    Verdict(Verdict),
    /// Decides about the packets the macro describes.
    Macro(&'static Macro, Verdict),
    /// Calls the security group of this name, spelled as written.
    Group(String),
}

impl Target {
    /// What happens to matching packets; none for a call of a group.
    pub fn verdict(&self) -> Option<Verdict> {
        match self {
            Self::Verdict(verdict) | Self::Macro(_, verdict) => Some(*verdict),
            Self::Group(_) => None,
        }
    }

    /// The security group that is called.
    pub fn group(&self) -> Option<&str> {
        match self {
            Self::Group(name) => Some(name),
            _ => None,
        }
    }
}

/// A parameter of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Parameter {
    /// `-i`.
    Interface,
    /// `-p`.
    Protocol,
    /// `-source`.
    Source,
    /// `-dest`.
    Dest,
    /// `-dport`.
    Dport,
    /// `-sport`.
    Sport,
    /// `-icmp-type`.
    IcmpType,
}

impl Rule {
    /// Source and destination, as far as they are given.
    pub fn addresses(&self) -> impl Iterator<Item = &Address> {
        self.source.iter().chain(&self.dest)
    }

    /// The first of its sets that comes from the software-defined network.
    pub(super) fn names_network_set(&self, names: &Names<'_>) -> Option<String> {
        self.addresses().find_map(|address| match address {
            Address::Set(name) => match names.set(name) {
                Some(Found::Network) => Some(name.to_string()),
                _ => None,
            },
            _ => None,
        })
    }
}

/// A rule cut into its words.
#[derive(Debug, Default)]
pub(super) struct Raw<'a> {
    pub(super) enabled: bool,
    pub(super) direction: &'a str,
    pub(super) action: &'a str,
    pub(super) macro_name: Option<&'a str>,
    pub(super) interface: Option<&'a str>,
    pub(super) protocol: Option<&'a str>,
    pub(super) dport: Option<&'a str>,
    pub(super) sport: Option<&'a str>,
    pub(super) source: Option<&'a str>,
    pub(super) dest: Option<&'a str>,
    pub(super) log: Option<LogLevel>,
    pub(super) icmp_type: Option<&'a str>,
    pub(super) comment: Option<String>,
}

/// Cuts a line into words; an error says why upstream cannot.
pub(super) fn split(line: &str) -> Result<Raw<'_>, String> {
    let (text, comment) = split_comment(line);
    let (text, enabled) = match text.strip_prefix('|') {
        Some(rest) => (rest, false),
        None => (text, true),
    };
    let (direction, rest) = take_word(text).ok_or("the line does not begin with a direction")?;
    let (action, mut rest) = take_word(rest).ok_or("a direction and an action are needed")?;
    let mut raw = Raw { enabled, direction, action, comment, ..Raw::default() };
    if matches!(Direction::find(direction), Some(Direction::In | Direction::Out | Direction::Forward)) {
        (raw.macro_name, raw.action) = split_macro(action);
    }
    let is_group = Direction::find(direction) == Some(Direction::Group);
    while !rest.is_empty() {
        rest = take_parameter(rest, &mut raw, is_group)
            .ok_or_else(|| format!("{} cannot be read; {}", shown(rest), hint(rest, is_group)))?;
    }
    Ok(raw)
}

fn hint(rest: &str, is_group: bool) -> &'static str {
    if is_group {
        "a call of a security group takes only `-i`"
    } else if rest.starts_with('-') {
        "a parameter, exactly one blank and a value are needed"
    } else {
        "parameters begin with `-`"
    }
}

/// `Macro(ACTION)`: the macro and the action.
fn split_macro(action: &str) -> (Option<&str>, &str) {
    let parts = action.strip_suffix(')').and_then(|text| text.rsplit_once('('));
    match parts {
        Some((name, verdict)) if !name.is_empty() && Verdict::find(verdict).is_some() => {
            (Some(name), verdict)
        }
        _ => (None, action),
    }
}

/// The word at the start of the text and what follows the white space behind it.
fn take_word(text: &str) -> Option<(&str, &str)> {
    let end = text.find(is_space).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end)?;
    (!word.is_empty()).then(|| (word, rest.trim_start_matches(is_space)))
}

/// Takes one parameter off the start of the text; of repeated ones the last counts.
fn take_parameter<'a>(text: &'a str, raw: &mut Raw<'a>, is_group: bool) -> Option<&'a str> {
    let (flag, value) = text.split_once(' ')?;
    let name = match flag {
        "-i" => "i",
        _ if is_group => return None,
        "-p" => "proto",
        _ => flag.strip_prefix("--").or_else(|| flag.strip_prefix('-'))?,
    };
    if name == "log" {
        let (level, rest) =
            LogLevel::NAMES.iter().find_map(|(known, level)| Some((*level, value.strip_prefix(known)?)))?;
        raw.log = Some(level);
        return Some(rest.trim_start_matches(is_space));
    }
    let (word, rest) = take_word(value)?;
    let place = match name {
        // `--i` is none of upstream's forms.
        "i" if flag == "-i" => &mut raw.interface,
        "proto" => &mut raw.protocol,
        "dport" => &mut raw.dport,
        "sport" => &mut raw.sport,
        "source" => &mut raw.source,
        "dest" => &mut raw.dest,
        "icmp-type" => &mut raw.icmp_type,
        _ => return None,
    };
    *place = Some(word);
    Some(rest)
}

/// What a line that is no rule was meant to be, and whether it was meant to be enabled.
pub(super) fn guess(line: &str, group: Option<String>) -> (LostKind, bool) {
    let (text, _) = split_comment(line);
    let enabled = !text.starts_with('|');
    let mut words = text.trim_start_matches('|').split_whitespace();
    let direction = words.next().and_then(Direction::find);
    let action = words.next().unwrap_or_default().to_ascii_uppercase();
    let verdict = Verdict::find(&action).or_else(|| Verdict::find(split_macro(&action).1));
    (LostKind::Rule { group, direction, verdict }, enabled)
}
