//! One question about one packet.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{backend, place_text};
use crate::host::Host;
use crate::host::firewall::reach::{Journey, Outcome, Place, Receiver, Sender, TCP, Target, UDP};
use crate::show::{Shown, issues};

/// A question about one packet.
#[derive(Debug, Clone)]
pub struct Question {
    /// Who sends it.
    pub from: Sender,
    /// Where it goes to.
    pub to: Receiver,
    /// Protocol number.
    pub protocol: u16,
    /// Destination port.
    pub port: u16,
}

/// Reads `node`, `guest/ID` or `guest/ID/netN`.
fn target(text: &str) -> Result<Target, String> {
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

/// Reads an address, `node`, `guest/ID` or `guest/ID/netN`: who sends.
///
/// # Errors
/// What is expected.
pub fn sender(text: &str) -> Result<Sender, String> {
    if let Ok(address) = text.parse() {
        return Ok(Sender::Address(address));
    }
    match target(text) {
        Ok(Target::Node) => Ok(Sender::Node),
        Ok(Target::Guest(vmid, card)) => Ok(Sender::Guest(vmid, card)),
        Err(_) => Err("expected an address, node, guest/ID or guest/ID/netN".to_owned()),
    }
}

/// The same of whom it goes to.
///
/// # Errors
/// What is expected.
pub fn receiver(text: &str) -> Result<Receiver, String> {
    Ok(match sender(text)? {
        Sender::Address(address) => Receiver::Address(address),
        Sender::Node => Receiver::Target(Target::Node),
        Sender::Guest(vmid, card) => Receiver::Target(Target::Guest(vmid, card)),
    })
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

/// Whether the question is about this guest.
fn from_or_to(question: &Question, vmid: u32) -> bool {
    matches!(question.from, Sender::Guest(own, _) if own == vmid)
        || matches!(question.to, Receiver::Target(Target::Guest(own, _)) if own == vmid)
}

/// Answers one question.
///
/// # Errors
/// If there is no such guest or network card.
pub fn answer(host: &Host, question: &Question, now: i64) -> Result<Shown, String> {
    let reach = host.reach(now);
    let Question { from, to, protocol, port } = *question;
    let Journey { filtering, part } = reach.journey(from, to, protocol, port)?;
    let why = match &part.outcome {
        Outcome::Unknown { why, .. } => Some(why.to_string()),
        _ => None,
    };
    let refusal = reach.load_failed();
    let asked = |vmid| from_or_to(question, vmid);
    let mut doubts = reach.doubts();
    doubts.extend(reach.guests().filter(|guest| asked(guest.vmid)).flat_map(|guest| reach.doubts_of(guest)));
    let mut json = json!({
        "backend": backend(&reach),
        "filtering": filtering,
        "load_failed": refusal.is_some(),
        "verdict": part.outcome.name(),
        "rule": place(&part.place),
        "issues": issues(&doubts),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Files, Node, Tree};
    use crate::formats::release::Release;

    #[test]
    fn both_ends_are_read() {
        assert_eq!(sender("192.0.2.1"), Ok(Sender::Address("192.0.2.1".parse().unwrap())));
        assert_eq!(sender("guest/100/net1"), Ok(Sender::Guest(100, Some(1))));
        assert_eq!(receiver("node"), Ok(Receiver::Target(Target::Node)));
        assert_eq!(receiver("guest/100"), Ok(Receiver::Target(Target::Guest(100, None))));
        for wrong in ["", "guest/", "guest/x", "guest/1/eth0", "192.0.2.0/24", "Node"] {
            assert!(sender(wrong).is_err() && receiver(wrong).is_err(), "{wrong}");
        }
        assert_eq!(port("udp/53"), Ok((UDP, 53)));
        assert!(port("tcp/0").is_err() && port("53").is_err());
    }

    #[test]
    fn the_answer_names_the_line_that_decides_about_what_a_guest_sends() {
        let mut tree = Tree::default();
        for (path, text) in [
            ("/etc/pve/.members", "{\"nodename\": \"pve1\", \"version\": 0}\n"),
            ("/etc/pve/firewall/cluster.fw", "[OPTIONS]\nenable: 1\n"),
            ("/etc/pve/nodes/pve1/host.fw", "[OPTIONS]\n"),
            ("/etc/pve/nodes/pve1/lxc/100.conf", "net0: name=eth0,bridge=vmbr0,firewall=1,ip=10.1.0.5/24\n"),
            ("/etc/pve/firewall/100.fw", "[OPTIONS]\nenable: 1\n[RULES]\nOUT DROP -p tcp -dport 25\n"),
        ] {
            tree.insert(path, Node::file(text));
        }
        let host = Host::new(Files::memory(tree), None, Some(Release::Pve9));
        let from = sender("guest/100").unwrap();
        let ask = |to: &str, port| {
            let to = receiver(to).unwrap();
            answer(&host, &Question { from, to, protocol: TCP, port }, 0)
        };
        let shown = ask("203.0.113.1", 25).unwrap();
        assert_eq!(shown.json["verdict"], "DROP");
        assert_eq!(shown.json["rule"], json!({ "path": "/etc/pve/firewall/100.fw", "line": 4 }));
        assert_eq!(ask("203.0.113.1", 26).unwrap().json["rule"]["implicit"], "policy");
        assert!(ask("guest/999", 25).is_err());
    }

    #[test]
    fn the_lines_that_a_guest_lost_are_told_whether_it_sends_or_is_sent_to() {
        let mut tree = Tree::default();
        for (path, text) in [
            ("/etc/pve/.members", "{\"nodename\": \"pve1\", \"version\": 0}\n"),
            ("/etc/pve/firewall/cluster.fw", "[OPTIONS]\nenable: 1\n"),
            ("/etc/pve/nodes/pve1/host.fw", "[OPTIONS]\n"),
            ("/etc/pve/nodes/pve1/lxc/100.conf", "net0: name=eth0,bridge=vmbr0,firewall=1,ip=10.1.0.5/24\n"),
            ("/etc/pve/firewall/100.fw", "[OPTIONS]\nenable: 1\n[RULES]\nIN ACEPT -p tcp -dport 25\n"),
        ] {
            tree.insert(path, Node::file(text));
        }
        let host = Host::new(Files::memory(tree), None, Some(Release::Pve9));
        let told = |from: &str, to: &str| {
            let (from, to) = (sender(from).unwrap(), receiver(to).unwrap());
            let shown = answer(&host, &Question { from, to, protocol: TCP, port: 25 }, 0).unwrap();
            shown.json["issues"].to_string().contains("100.fw")
        };
        assert!(told("203.0.113.1", "guest/100") && told("guest/100", "203.0.113.1"));
        assert!(!told("203.0.113.1", "node"));
    }
}
