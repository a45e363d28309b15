//! One rule as proxmox-firewall reads it (`types/rule.rs`, `types/rule_match.rs`).

use std::net::IpAddr;

use super::options::{is_log_level, verdict};
use super::{Name, alias_name, cidr, take_name, take_word};
use crate::formats::firewall::address::{Family, Scope, to_number};
use crate::formats::firewall::rule::Direction;
use crate::formats::firewall::{Level, Verdict, port, services};
use crate::formats::shown;

/// A rule.
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
    /// `-i`
    pub interface: Option<String>,
    /// `-p`: the protocol as written. Without one, ports are passed over.
    pub protocol: Option<String>,
    /// `-source`
    pub source: Option<Address>,
    /// `-dest`
    pub dest: Option<Address>,
    /// `-dport`; none for all.
    pub dport: Option<Ports>,
    /// `-sport`; none for all.
    pub sport: Option<Ports>,
}

/// What a rule does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// Decides about the packets it matches.
    Verdict(Verdict),
    /// Decides about the packets the macro of this name describes.
    Macro(String, Verdict),
    /// Calls the security group of this name.
    Group(String),
}

/// Source or destination of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Ranges of addresses of one family, both ends included.
    List(Family, Vec<(IpAddr, IpAddr)>),
    /// A set.
    Set(Name),
    /// An alias.
    Alias(Name),
}

/// Ports of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ports {
    /// First and last port of each element.
    pub ranges: Vec<(u16, u16)>,
    /// A name that only `/etc/services` of the host can tell, if there is one.
    pub unknown: Option<String>,
}

impl Rule {
    /// Whether the rule may stand in a file of this level.
    pub(super) fn check_place(&self, level: Level) -> Result<(), String> {
        let allowed = match (self.direction, level) {
            (Direction::Group, _) => true,
            (Direction::In | Direction::Out, level) => level != Level::Vnet,
            (Direction::Forward, level) => level != Level::Guest,
        };
        if !allowed {
            return Err("rules of this direction are not allowed here".to_owned());
        }
        let is_card =
            |name: &String| name.strip_prefix("net").is_some_and(|number| number.parse::<u16>().is_ok());
        match &self.interface {
            Some(name) if level == Level::Guest && !is_card(name) => {
                Err(format!("{} is not `net` and a number, as guests need it", shown(name)))
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn parse(line: &str, number: u32) -> Result<Rule, String> {
    let text = match line.split_once('#') {
        Some((text, comment)) if !comment.is_empty() => text.trim(),
        _ => line.trim(),
    };
    let (enabled, text) = match text.strip_prefix('|') {
        Some(rest) => (false, rest.trim_start()),
        None => (true, text),
    };
    let (word, rest) = take_name(text).ok_or("the line does not begin with a direction")?;
    let (direction, target, rest) = if text.starts_with("GROUP") {
        if word != "GROUP" {
            return Err(format!("{} is no direction", shown(word)));
        }
        let (name, rest) = take_name(rest.trim()).ok_or("the name of a security group is needed")?;
        (Direction::Group, Target::Group(name.to_owned()), rest)
    } else {
        let direction = Direction::find(word)
            .filter(|direction| *direction != Direction::Group)
            .ok_or_else(|| format!("{} is no direction", shown(word)))?;
        let (target, rest) = action(rest.trim_start())?;
        (direction, target, rest)
    };
    let mut rule = Rule {
        line: number,
        enabled,
        direction,
        target,
        interface: None,
        protocol: None,
        source: None,
        dest: None,
        dport: None,
        sport: None,
    };
    parameters(&mut rule, rest)?;
    Ok(rule)
}

fn action(text: &str) -> Result<(Target, &str), String> {
    let known = |word: &str| verdict(word).ok_or_else(|| format!("{} is no verdict", shown(word)));
    let (word, rest) = take_name(text).ok_or("a verdict or macro is needed")?;
    let Some(inner) = rest.strip_prefix('(') else { return Ok((Target::Verdict(known(word)?), rest)) };
    let (inner, rest) = take_name(inner).ok_or("a verdict is needed")?;
    let rest = rest.strip_prefix(')').ok_or("a bracket is not closed")?;
    Ok((Target::Macro(word.to_owned(), known(inner)?), rest))
}

/// `-name value` or `--name value`, each once.
fn parameters<'a>(rule: &mut Rule, mut rest: &'a str) -> Result<(), String> {
    let mut seen: Vec<(&str, &'a str)> = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            break;
        }
        let text = rest.strip_prefix('-').ok_or_else(|| format!("{} is no parameter", shown(rest)))?;
        let text = text.strip_prefix('-').unwrap_or(text);
        let (name, text) = take_name(text).ok_or("a parameter is needed")?;
        let (value, text) =
            take_word(text.trim_start()).ok_or_else(|| format!("{} has no value", shown(name)))?;
        let name = match name {
            "p" | "proto" => "proto",
            "i" | "iface" => "iface",
            "dport" | "sport" | "source" | "dest" | "log" | "icmp-type" => name,
            _ => return Err(format!("{} is no parameter", shown(name))),
        };
        if seen.iter().any(|(known, _)| *known == name) {
            return Err(format!("the parameter {} is there twice", shown(name)));
        }
        seen.push((name, value));
        rest = text;
    }
    let get = |name: &str| seen.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
    rule.interface = get("iface").map(str::to_owned);
    if rule.direction == Direction::Group {
        return if seen.iter().any(|(name, _)| *name != "iface") {
            Err("a call of a security group takes only an interface".to_owned())
        } else {
            Ok(())
        };
    }
    if let Some(level) = get("log").filter(|level| !is_log_level(level)) {
        return Err(format!("{} is no log level", shown(level)));
    }
    if get("dport").is_some() && get("icmp-type").is_some() {
        return Err("`-dport` and `-icmp-type` exclude each other".to_owned());
    }
    rule.source = get("source").map(address).transpose()?;
    rule.dest = get("dest").map(address).transpose()?;
    if let (Some(Address::List(from, _)), Some(Address::List(to, _))) = (&rule.source, &rule.dest)
        && from != to
    {
        return Err("source and destination are of different families".to_owned());
    }
    protocol(rule, &get)
}

fn protocol<'a>(rule: &mut Rule, get: &dyn Fn(&str) -> Option<&'a str>) -> Result<(), String> {
    let Some(name) = get("proto") else { return Ok(()) };
    rule.protocol = Some(name.to_owned());
    if port::has_ports(name) {
        rule.sport = get("sport").map(ports).transpose()?;
        rule.dport = get("dport").map(ports).transpose()?;
    } else if matches!(name, "icmp" | "1" | "icmpv6" | "ipv6-icmp" | "58")
        && let Some(kind) = get("icmp-type")
    {
        let family = if matches!(name, "icmp" | "1") { Family::V4 } else { Family::V6 };
        let is_number = kind.parse::<u8>().is_ok();
        if !is_number && !kind.eq_ignore_ascii_case("any") && !port::is_icmp_type(kind, family) {
            return Err(format!("{} is no ICMP type", shown(kind)));
        }
    }
    Ok(())
}

fn ports(text: &str) -> Result<Ports, String> {
    let mut read = Ports::default();
    for element in text.split(',') {
        let mut port = |text: &str| match (text.parse(), services::find(text)) {
            (Ok(number), _) => Ok(number),
            (_, Some(service)) => Ok(service.port),
            _ if take_name(text).is_some_and(|(_, rest)| rest.is_empty()) => {
                read.unknown = Some(text.to_owned());
                Ok(0)
            }
            _ => Err(format!("{} is no port", shown(text))),
        };
        let (first, last) = element.split_once(':').unwrap_or((element, element));
        let (first, last) = (port(first)?, port(last)?);
        if first > last && read.unknown.is_none() {
            return Err(format!("the port range {} runs backwards", shown(element)));
        }
        read.ranges.push((first, last));
    }
    Ok(read)
}

fn address(text: &str) -> Result<Address, String> {
    if let Some(list) = list(text) {
        return Ok(list);
    }
    if let Some(name) = text.strip_prefix('+').and_then(set_name) {
        return Ok(Address::Set(name));
    }
    alias_name(text).map(Address::Alias).ok_or_else(|| format!("{} is no address", shown(text)))
}

fn set_name(text: &str) -> Option<Name> {
    let (scope, name) = match text.split_once('/') {
        Some(("dc", name)) if !name.is_empty() => (Some(Scope::Datacenter), name),
        Some(("guest", name)) if !name.is_empty() => (Some(Scope::Guest), name),
        Some(("sdn", name)) if !name.is_empty() => (Some(Scope::Sdn), name),
        _ => (None, take_name(text).filter(|(_, rest)| rest.is_empty())?.0),
    };
    Some(Name { scope, name: name.to_owned() })
}

/// A list of networks and ranges of one family.
fn list(text: &str) -> Option<Address> {
    let mut all = Vec::new();
    for element in text.split(',') {
        let range = match (cidr(element), element.split_once('-')) {
            (Some(network), _) => network.ends()?,
            (None, Some((first, last))) => (first.parse().ok()?, last.parse().ok()?),
            (None, None) => return None,
        };
        all.push(range);
    }
    let family = Family::of(all.first()?.0);
    let fits = |(first, last): &(IpAddr, IpAddr)| {
        Family::of(*first) == family && Family::of(*last) == family && to_number(*first) <= to_number(*last)
    };
    all.iter().all(fits).then_some(Address::List(family, all))
}
