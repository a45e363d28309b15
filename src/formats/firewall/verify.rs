//! Whether upstream takes the parameters of a rule: `verify_rule`, `$apply_macro` and the refusals of
//! `ipt_rule_to_cmds` in `PVE/Firewall.pm`.
//!
//! Perl takes the text `0` for false, so a parameter with that value passes unchecked and, with few exceptions,
//! matches nothing later.

use super::address::{self, Address, Family, Reference, Scope};
use super::macros::{self, Macro};
use super::names;
use super::port::{self, PortText, Ports};
use super::rule::{Direction, Parameter, Raw, Rule, Target};
use super::{Firewall, Level, Verdict, is_name};
use crate::formats::release::Release;
use crate::formats::shown;

/// Longest interface name the kernel takes, in characters.
pub(super) const LONGEST_INTERFACE: usize = 15;

/// Where a rule stands, and what is known at that place.
pub(super) struct Place<'a> {
    pub(super) level: Level,
    pub(super) in_group: bool,
    pub(super) release: Release,
    /// cluster.fw; the file itself if it is that, as far as it is read.
    pub(super) datacenter: &'a Firewall,
    /// The file itself, as far as it is read.
    pub(super) own: &'a Firewall,
    pub(super) line: u32,
}

/// A parameter whose text is not `0`.
fn truthy(text: Option<&str>) -> Option<&str> {
    text.filter(|text| *text != "0")
}

/// Reads the words of a rule; an error says why upstream skips the rule.
pub(super) fn verify(raw: &Raw<'_>, place: &Place<'_>) -> Result<Rule, String> {
    let direction = check_direction(raw, place)?;
    let target = check_target(raw, direction)?;
    let interface = truthy(raw.interface);
    interface.map_or(Ok(()), |name| check_interface(name, place))?;
    let mut family = FamilyOfRule(None);
    let protocol = truthy(raw.protocol);
    if let Some(name) = protocol {
        check_protocol(name, &mut family)?;
    }
    let icmp = protocol.is_some_and(port::is_icmp);
    let dport = truthy(raw.dport).map(|text| check_dport(text, protocol, icmp)).transpose()?;
    check_icmp_type(raw, protocol, icmp)?;
    let sport = truthy(raw.sport).map(|text| check_sport(text, protocol)).transpose()?;
    let mut refused = None;
    let source = check_address(raw.source, place, &mut family, &mut refused)?;
    let dest = check_address(raw.dest, place, &mut family, &mut refused)?;
    if let Target::Macro(known, _) = &target {
        check_macro(known, raw, family.0)?;
    }
    let settled = |ports: Ports| protocol.map_or(ports.clone(), |protocol| ports.settled(protocol));
    let dport = match dport {
        Some(PortText::Ports(ports)) if !icmp => Some(settled(ports)),
        _ => None,
    };
    let mut rule = Rule {
        line: place.line,
        enabled: raw.enabled,
        direction,
        interface: interface.map(str::to_owned),
        protocol: protocol.map(str::to_owned),
        source,
        dest,
        dport,
        sport: sport.map(settled),
        icmp_type: raw.icmp_type.or(raw.dport).filter(|_| icmp).map(str::to_owned),
        log: raw.log,
        comment: raw.comment.clone().filter(|text| !text.is_empty()),
        family: family.0,
        zeros: zeros(raw, icmp),
        refused,
        generator_error: generator_error(raw, &target, direction, family.0),
        target,
    };
    rule.refused = rule.refused.take().or_else(|| refused_ports(&rule));
    Ok(rule)
}

fn check_direction(raw: &Raw<'_>, place: &Place<'_>) -> Result<Direction, String> {
    let direction = Direction::find(raw.direction)
        .filter(|direction| *direction != Direction::Forward || place.release >= Release::Pve8)
        .ok_or_else(|| format!("{} is no direction", shown(raw.direction)))?;
    let allowed = match (direction, place.level) {
        (Direction::Group, _) if place.in_group => false,
        (Direction::In | Direction::Out, level) => level != Level::Vnet,
        (Direction::Forward, level) => level != Level::Guest,
        (Direction::Group, _) => true,
    };
    if !allowed {
        return Err(format!("{} is not allowed here", shown(raw.direction)));
    }
    Ok(direction)
}

fn check_target(raw: &Raw<'_>, direction: Direction) -> Result<Target, String> {
    if direction == Direction::Group {
        return if is_name(raw.action) {
            Ok(Target::Group(raw.action.to_owned()))
        } else {
            Err(format!("{} is no name of a security group", shown(raw.action)))
        };
    }
    let verdict = Verdict::find(raw.action)
        .ok_or_else(|| format!("{} is none of ACCEPT, DROP, REJECT and no macro", shown(raw.action)))?;
    if direction == Direction::Forward && verdict == Verdict::Reject {
        return Err("forwarded packets cannot be rejected".to_owned());
    }
    match raw.macro_name {
        None => Ok(Target::Verdict(verdict)),
        Some(name) => macros::find(name)
            .map(|known| Target::Macro(known, verdict))
            .ok_or_else(|| format!("there is no macro {}", shown(name))),
    }
}

/// `pve_verify_iface`: a letter, 1 to 20 letters, digits or `_`, then perhaps `:N` or `.N`. For guests `netN`.
fn check_interface(name: &str, place: &Place<'_>) -> Result<(), String> {
    const LONGEST: usize = 21;
    if place.in_group || place.level == Level::Vnet {
        return Err("`-i` is not allowed here".to_owned());
    }
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (base, suffix) = match name.split_once([':', '.']) {
        Some((base, suffix)) => (base, Some(suffix)),
        None => (name, None),
    };
    let first = base.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    let rest = base.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !first || !rest || !(2..=LONGEST).contains(&base.len()) || !suffix.is_none_or(is_digits) {
        return Err(format!("{} is no name of an interface", shown(name)));
    }
    if place.level == Level::Guest && !name.strip_prefix("net").is_some_and(is_digits) {
        return Err(format!("{} is not `net` and a number, as guests need it", shown(name)));
    }
    Ok(())
}

/// The family a rule is bound to so far.
struct FamilyOfRule(Option<Family>);

impl FamilyOfRule {
    fn bind(&mut self, family: Option<Family>) -> Result<(), String> {
        if let (Some(old), Some(new)) = (self.0, family)
            && old != new
        {
            return Err("IPv4 and IPv6 are mixed".to_owned());
        }
        self.0 = self.0.or(family);
        Ok(())
    }
}

fn check_protocol(name: &str, family: &mut FamilyOfRule) -> Result<(), String> {
    if !port::is_protocol(name) {
        return Err(format!("{} is no protocol", shown(name)));
    }
    match name {
        "icmp" => family.bind(Some(Family::V4)),
        "icmpv6" | "ipv6-icmp" => family.bind(Some(Family::V6)),
        _ => Ok(()),
    }
}

fn check_dport(text: &str, protocol: Option<&str>, icmp: bool) -> Result<PortText, String> {
    let ports = port::parse(text, icmp)?;
    need_ports("-dport", protocol, icmp)?;
    Ok(ports)
}

fn check_sport(text: &str, protocol: Option<&str>) -> Result<Ports, String> {
    let ports = match port::parse(text, false)? {
        PortText::Ports(ports) => ports,
        PortText::IcmpTypes => return Err("an ICMP type is no source port".to_owned()),
    };
    need_ports("-sport", protocol, false)?;
    Ok(ports)
}

fn need_ports(flag: &str, protocol: Option<&str>, icmp: bool) -> Result<(), String> {
    match protocol {
        None => Err(format!("`{flag}` needs a protocol")),
        Some(name) if icmp || port::has_ports(name) => Ok(()),
        Some(name) => Err(format!("the protocol {} has no ports", shown(name))),
    }
}

fn check_icmp_type(raw: &Raw<'_>, protocol: Option<&str>, icmp: bool) -> Result<(), String> {
    let Some(name) = truthy(raw.icmp_type) else { return Ok(()) };
    if !icmp {
        return Err("`-icmp-type` needs an ICMP protocol".to_owned());
    }
    if truthy(raw.dport).is_some() {
        return Err("`-icmp-type` and `-dport` exclude each other".to_owned());
    }
    let family = if protocol == Some("icmp") { Family::V4 } else { Family::V6 };
    if port::is_icmp_type(name, family) {
        Ok(())
    } else {
        Err(format!("{} is no name of an ICMP type of this protocol", shown(name)))
    }
}

fn check_address(
    text: Option<&str>,
    place: &Place<'_>,
    family: &mut FamilyOfRule,
    refused: &mut Option<String>,
) -> Result<Option<Address>, String> {
    let Some(text) = truthy(text) else { return Ok(None) };
    let parsed = address::parse(text, place.release >= Release::Pve8)?;
    family.bind(parsed.family)?;
    *refused = refused.take().or(parsed.refused);
    match &parsed.address {
        Address::Set(name) => check_set(name, place)?,
        Address::Alias(name) => family.bind(check_alias(name, place)?)?,
        _ => {}
    }
    Ok(Some(parsed.address))
}

/// The parser's check of a set: it looks in every file and ignores the scope.
fn check_set(name: &Reference, place: &Place<'_>) -> Result<(), String> {
    let known = [place.datacenter, place.own].iter().any(|file| file.sets.contains_key(&name.name));
    if known || (place.release >= Release::Pve8 && names::is_network_set(name)) {
        return Ok(());
    }
    let why = if name.name != name.name.to_ascii_lowercase() {
        ": names of sets are in lower case"
    } else if name.name == "management" {
        ": the built-in one does not count"
    } else {
        ""
    };
    Err(format!("no set {} is defined above{why}", shown(&name.to_string())))
}

/// The parser's check of an alias: it looks in every file and ignores the scope, except for the family.
fn check_alias(name: &Reference, place: &Place<'_>) -> Result<Option<Family>, String> {
    let own =
        place.own.aliases.get(&name.name).filter(|_| !place.in_group || place.level == Level::Datacenter);
    let datacenter = place.datacenter.aliases.get(&name.name);
    if own.is_none() && datacenter.is_none() {
        let why = if name.name == "local_network" { ": the built-in one does not count" } else { "" };
        return Err(format!("no alias {} is defined above{why}", shown(&name.to_string())));
    }
    let own = own.filter(|_| name.scope != Some(Scope::Datacenter) && !place.in_group);
    let datacenter = datacenter.filter(|_| name.scope != Some(Scope::Guest));
    Ok(own.or(datacenter).map(|alias| alias.cidr.family()))
}

/// A parameter may repeat what the macro says, not contradict it.
fn check_macro(known: &Macro, raw: &Raw<'_>, family: Option<Family>) -> Result<(), String> {
    for row in known.rows_to_verify(family) {
        let pairs = [
            ("-p", raw.protocol, row.protocol),
            ("-dport", raw.dport, row.dport),
            ("-sport", raw.sport, row.sport),
        ];
        for (flag, written, fixed) in pairs {
            if !fixed.is_empty() && written.is_some_and(|written| written != fixed) {
                return Err(format!("`{flag}` contradicts the macro {}, which has `{fixed}`", known.name));
            }
        }
    }
    Ok(())
}

/// The parameters with the value `0` that match nothing.
fn zeros(raw: &Raw<'_>, icmp: bool) -> Vec<Parameter> {
    let zero = |text: Option<&str>| text == Some("0");
    let all = [
        (Parameter::Interface, zero(raw.interface)),
        (Parameter::Protocol, zero(raw.protocol)),
        (Parameter::Source, zero(raw.source)),
        (Parameter::Dest, zero(raw.dest)),
        // For ICMP protocols the value is a type, and the type 0 is matched.
        (Parameter::Dport, zero(raw.dport) && !icmp),
        (Parameter::Sport, zero(raw.sport)),
        (Parameter::IcmpType, zero(raw.icmp_type) && !icmp),
    ];
    all.into_iter().filter(|(_, is_zero)| *is_zero).map(|(parameter, _)| parameter).collect()
}

/// Why the generator leaves out a rule that the parser takes (`ipt_rule_to_cmds`).
fn generator_error(
    raw: &Raw<'_>,
    target: &Target,
    direction: Direction,
    family: Option<Family>,
) -> Option<String> {
    match (direction, target) {
        (Direction::In | Direction::Out, Target::Macro(known, _)) => {
            let rows = known.rows_to_verify(family).iter();
            rows.map(|row| {
                let dport = if row.dport.is_empty() { raw.dport } else { Some(row.dport) };
                command_error(Some(row.protocol), dport, raw.icmp_type)
            })
            .find_map(|error| error)
        }
        (Direction::In | Direction::Out, _) => command_error(truthy(raw.protocol), raw.dport, raw.icmp_type),
        _ => None,
    }
}

fn command_error(protocol: Option<&str>, dport: Option<&str>, icmp_type: Option<&str>) -> Option<String> {
    const LARGEST_ICMP_TYPE: u32 = 255;
    let protocol = protocol?;
    if icmp_type.is_some() && !port::is_icmp(protocol) {
        return Some("`-icmp-type` needs an ICMP protocol".to_owned());
    }
    let dport = dport?;
    let family = match protocol {
        "icmp" => Family::V4,
        "icmpv6" => Family::V6,
        _ if port::has_ports(protocol) => return None,
        _ => return Some(format!("the protocol {} has no ports", shown(protocol))),
    };
    let is_number = dport.bytes().all(|byte| byte.is_ascii_digit());
    let valid = match dport.parse::<u32>() {
        Ok(number) if is_number => number <= LARGEST_ICMP_TYPE,
        _ => port::is_icmp_type(dport, family),
    };
    (!valid).then(|| format!("{} is no ICMP type of this protocol", shown(dport)))
}

/// Why iptables refuses the ports of a rule.
fn refused_ports(rule: &Rule) -> Option<String> {
    let protocol = rule.protocol.as_deref()?;
    rule.dport.iter().chain(&rule.sport).find_map(|ports| ports.refused(protocol))
}
