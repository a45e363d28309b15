//! `pve-audit show reach`: who reaches the node and its guests, and which line decides.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::IpAddr;

use serde_json::{Value, json};

use super::{Shown, issues};
use crate::formats::firewall::address::{Cidr, Family};
use crate::host::Host;
use crate::host::firewall::Backend;
use crate::host::firewall::cover::AddressSet;
use crate::host::firewall::reach::{Exposure, LOOPBACK, Outcome, Part, Place, Reach, TCP, Target, UDP};

/// Most networks of a set that are shown in the table.
const MOST_NETWORKS: usize = 4;

/// Most networks of a set that are listed for machines; how many there are besides is told.
const MOST_LISTED: usize = 12;

/// Ports of the node: name, protocol, first and last port. Of a range the first port stands for all, unless rules
/// tell the others apart.
const NODE_PORTS: [(&str, u16, u16); 11] = [
    ("tcp/8006", TCP, 8006),
    ("tcp/22", TCP, 22),
    ("tcp/3128", TCP, 3128),
    ("tcp/5900-5999", TCP, 5900),
    ("tcp/60000-60050", TCP, 60_000),
    ("tcp/111", TCP, 111),
    ("udp/111", UDP, 111),
    ("tcp/85", TCP, 85),
    ("udp/5404", UDP, 5404),
    ("udp/5405", UDP, 5405),
    ("udp/5406-5412", UDP, 5406),
];

/// Ports that are asked of every guest, with those that its rules name.
const GUEST_PORTS: [u16; 4] = [22, 80, 443, 3389];

/// Most ports of a guest that are shown.
const MOST_GUEST_PORTS: usize = 16;

/// A question about one packet.
#[derive(Debug, Clone)]
pub struct Question {
    /// Who sends it.
    pub from: IpAddr,
    /// Where it goes to.
    pub to: Target,
    /// Protocol number.
    pub protocol: u16,
    /// Destination port.
    pub port: u16,
}

/// Reads `node`, `guest/ID` or `guest/ID/netN`.
///
/// # Errors
/// What is expected.
pub fn target(text: &str) -> Result<Target, String> {
    let wrong = || "expected node, guest/ID or guest/ID/netN".to_owned();
    let Some(rest) = text.strip_prefix("guest/") else {
        return if text == "node" { Ok(Target::Node) } else { Err(wrong()) };
    };
    let (vmid, card) = match rest.split_once("/net") {
        Some((vmid, card)) => (vmid, Some(card.parse().map_err(|_| wrong())?)),
        None => (rest, None),
    };
    Ok(Target::Guest(vmid.parse().map_err(|_| wrong())?, card))
}

/// Reads `tcp/8006` or `udp/53`.
///
/// # Errors
/// What is expected.
pub fn port(text: &str) -> Result<(u16, u16), String> {
    let wrong = || "expected tcp/PORT or udp/PORT".to_owned();
    let (protocol, number) = text.split_once('/').ok_or_else(wrong)?;
    let protocol = match protocol {
        "tcp" => TCP,
        "udp" => UDP,
        _ => return Err(wrong()),
    };
    let number: u16 = number.parse().map_err(|_| wrong())?;
    if number == 0 { Err(wrong()) } else { Ok((protocol, number)) }
}

fn backend(reach: &Reach<'_>) -> Value {
    match reach.backend() {
        Ok(Backend::Iptables) => json!("iptables"),
        Ok(Backend::Nftables) => json!("nftables"),
        Err(_) => Value::Null,
    }
}

fn place(place: &Place<'_>) -> Value {
    let mut rule = serde_json::Map::new();
    let mut put = |key: &str, value: Option<Value>| {
        if let Some(value) = value {
            rule.insert(key.to_owned(), value);
        }
    };
    put("implicit", place.implicit.map(|name| json!(name)));
    put("path", place.path.filter(|_| place.implicit.is_none()).map(|path| json!(path)));
    put("line", place.line.filter(|_| place.implicit.is_none()).map(|line| json!(line)));
    put("interface", place.interface.map(|name| json!(name)));
    put("called_from", place.call.map(|(path, line)| json!({ "path": path, "line": line })));
    Value::Object(rule)
}

/// The line that makes upstream add a rule without one.
fn because(place: &Place<'_>) -> Option<Value> {
    place.implicit?;
    Some(json!({ "path": place.path?, "line": place.line }))
}

fn place_text(place: &Place<'_>) -> String {
    let file = match (place.path, place.line) {
        (Some(path), Some(line)) => Some(format!("{path}:{line}")),
        (Some(path), None) => Some(path.to_owned()),
        _ => None,
    };
    let mut text = match (place.implicit, file) {
        (Some(name), Some(file)) => format!("{name} ({file})"),
        (Some(name), None) => name.to_owned(),
        (None, file) => file.unwrap_or_default(),
    };
    if let Some((path, line)) = place.call {
        let _ = write!(text, ", called from {path}:{line}");
    }
    if let Some(name) = place.interface {
        let _ = write!(text, ", through {name}");
    }
    text
}

/// Answers one question.
///
/// # Errors
/// If there is no such guest or network card.
pub fn answer(host: &Host, question: &Question, now: i64) -> Result<Shown, String> {
    let reach = host.reach(now);
    let exposure = reach.exposure(question.to, question.protocol, question.port)?;
    let part = exposure.of(question.from).ok_or("the source is no address")?;
    let why = match &part.outcome {
        Outcome::Unknown { why, .. } => Some(why.to_string()),
        _ => None,
    };
    let refusal = reach.load_failed();
    let mut json = json!({
        "backend": backend(&reach),
        "filtering": exposure.filtering,
        "load_failed": refusal.is_some(),
        "verdict": part.outcome.name(),
        "rule": place(&part.place),
        "issues": issues(&reach.doubts()),
    });
    let mut text = format!("{}  {}\n", part.outcome.name(), place_text(&part.place));
    let map = json.as_object_mut();
    if let Some(map) = map {
        let why = why.as_ref().map(|why| ("why".to_owned(), json!(why)));
        let because = because(&part.place).map(|because| ("because".to_owned(), because));
        map.extend(why.into_iter().chain(because));
    }
    if let Some(why) = &why {
        let _ = writeln!(text, "why: {why}");
    }
    if let Some(refusal) = refusal {
        let _ = writeln!(text, "the ruleset is not loaded: {}", refusal.what);
    }
    Ok(Shown { json, text })
}

/// The table of everything.
pub(super) fn shown(host: &Host, now: i64) -> Result<Shown, String> {
    host.cluster_files().value.as_ref().map_err(|stop| match stop {
        crate::host::Stop::Unknown(doubt) => doubt.to_string(),
        crate::host::Stop::NotApplicable(why) => why.clone(),
    })?;
    let reach = host.reach(now);
    let mut targets = Vec::new();
    let mut text = String::new();
    let mut add = |name: &str, rows: Vec<(String, Exposure<'_>)>| {
        let _ = writeln!(text, "{name}");
        let rows: Vec<Value> = rows
            .into_iter()
            .map(|(port, exposure)| {
                text += &lines(&port, &exposure);
                json!({ "port": port, "filtering": exposure.filtering, "sources": parts(&exposure) })
            })
            .collect();
        targets.push(json!({ "target": name, "ports": rows }));
    };
    let ssh = ssh_ports(host);
    let mut node = Vec::new();
    for (name, protocol, number) in
        NODE_PORTS.into_iter().filter(|(name, ..)| *name != "tcp/22" || ssh.contains(&22))
    {
        node.push((name.to_owned(), reach.exposure(Target::Node, protocol, number)?));
    }
    for port in ssh.iter().filter(|port| **port != 22) {
        node.push((format!("tcp/{port}"), reach.exposure(Target::Node, TCP, *port)?));
    }
    add("node", node);
    for guest in reach.guests() {
        let Ok(chains) = reach.guest_chains(guest.vmid, None) else { continue };
        let ports = guest_ports(host, guest.vmid).into_iter();
        let name = |protocol| if protocol == TCP { "tcp" } else { "udp" };
        let rows = ports.map(|(protocol, port)| {
            (format!("{}/{port}", name(protocol)), chains.exposure(protocol, port, &reach))
        });
        add(&format!("guest/{}", guest.vmid), rows.collect());
    }
    let refusal = reach.load_failed();
    let leak = reach.mark_leak();
    if let Some(leak) = &leak {
        let _ = writeln!(text, "every packet of a filtered guest to the node: ACCEPT {}", place_text(leak));
    }
    let json = json!({
        "backend": backend(&reach),
        "load_failed": refusal.is_some(),
        "mark_leak": leak.as_ref().and_then(because),
        "targets": targets,
        "issues": issues(&reach.doubts()),
    });
    let name = backend(&reach);
    let mut head = format!("backend  {}\n", name.as_str().unwrap_or("unknown"));
    if let Some(refusal) = refusal {
        let line = refusal.line.map(|line| format!(":{line}")).unwrap_or_default();
        let _ = writeln!(head, "not loaded  {}{line}: {}", refusal.path, refusal.what);
    }
    Ok(Shown { json, text: head + &text })
}

/// The ports sshd listens on.
fn ssh_ports(host: &Host) -> BTreeSet<u16> {
    let settings = host.sshd().value.as_ref().map(|sshd| sshd.config.settings()).unwrap_or_default();
    let ports = settings.get("port").into_iter().flatten().filter_map(|port| port.parse().ok());
    let ports: BTreeSet<u16> = ports.collect();
    if ports.is_empty() { BTreeSet::from([22]) } else { ports }
}

/// The ports of a guest that are shown: the usual ones and the first ones its rules name.
fn guest_ports(host: &Host, vmid: u32) -> BTreeSet<(u16, u16)> {
    let mut ports: BTreeSet<(u16, u16)> = GUEST_PORTS.into_iter().map(|port| (TCP, port)).collect();
    let files = host.guest_firewalls().value.as_ref().ok();
    let file = files.and_then(|files| files.get(&vmid)?.value.as_ref().ok());
    for rule in file.into_iter().flat_map(|file| &file.firewall.rules).filter(|rule| rule.enabled) {
        let protocol = rule.protocol.as_deref().and_then(crate::formats::firewall::port::protocol_number);
        let first = rule.dport.as_ref().and_then(|ports| ports.ranges.first()).map(|(first, _)| *first);
        if let (Some(protocol @ (TCP | UDP)), Some(port)) = (protocol, first)
            && ports.len() < MOST_GUEST_PORTS
        {
            ports.insert((protocol, port));
        }
    }
    ports
}

fn parts(exposure: &Exposure<'_>) -> Vec<Value> {
    let part = |part: &Part<'_>| {
        let (some, more) = part.sources.first_networks(MOST_LISTED);
        let networks: Vec<String> = some.iter().map(ToString::to_string).collect();
        let mut shown = json!({
            "networks": networks,
            "more_networks": more,
            "class": class(&part.sources),
            "verdict": part.outcome.name(),
            "rule": place(&part.place),
        });
        if let Some(map) = shown.as_object_mut() {
            if let Outcome::Unknown { why, .. } = &part.outcome {
                map.insert("why".to_owned(), json!(why.as_ref()));
            }
            map.extend(because(&part.place).map(|because| ("because".to_owned(), because)));
        }
        shown
    };
    exposure.parts.iter().map(part).collect()
}

/// How far a set of sources reaches, in one word.
fn class(set: &AddressSet) -> &'static str {
    use crate::host::firewall::cover::Reach;
    match set.reach() {
        Reach::Nobody => "nobody",
        Reach::Loopback => "loopback",
        Reach::Private => "private",
        Reach::Public => "public",
        Reach::Anywhere => "anywhere",
    }
}

fn lines(port: &str, exposure: &Exposure<'_>) -> String {
    let mut text = String::new();
    let outside = exposure.parts.iter().filter(|part| part.place.implicit != Some(LOOPBACK));
    for (index, part) in outside.enumerate() {
        let name = if index == 0 { port } else { "" };
        let from = networks(&exposure.rounded(&part.sources));
        let _ =
            writeln!(text, "  {name:<16} {:<8} {from:<44} {}", part.outcome.name(), place_text(&part.place));
        if let Outcome::Unknown { why, .. } = &part.outcome {
            let _ = writeln!(text, "  {:<16} {:<8} {why}", "", "");
        }
    }
    text
}

/// A set in a few words: what is missing to all of a family if that is shorter.
fn networks(set: &AddressSet) -> String {
    let few = |(some, more): (Vec<Cidr>, usize)| {
        let some: Vec<String> = some.iter().map(ToString::to_string).collect();
        if more == 0 { some.join(", ") } else { format!("{} and {more} more", some.join(", ")) }
    };
    let mut shown = Vec::new();
    for family in Family::BOTH {
        let whole = AddressSet::family(family);
        let own = set.intersect(&whole);
        // What is missing to a set of many pieces falls in as many.
        let missing = if own.pieces() > MOST_LISTED { AddressSet::empty() } else { whole.subtract(set) };
        let (own, missing) = (own.first_networks(MOST_NETWORKS), missing.first_networks(MOST_NETWORKS));
        if own.1 > 0 && !missing.0.is_empty() && missing.0.len() + missing.1 < own.0.len() + own.1 {
            shown.push(format!("{whole} except {}", few(missing)));
        } else if !own.0.is_empty() {
            shown.push(few(own));
        }
    }
    shown.join(", ")
}
