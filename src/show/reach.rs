//! `pve-audit show reach`: who reaches the node and its guests, and which line decides.

mod live;
mod question;
mod service;

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::IpAddr;
use std::rc::Rc;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Value, json};

use self::live::Live;
use super::{Refusal, issues};
use crate::formats::firewall::address::{Cidr, Family};
use crate::host::firewall::Backend;
use crate::host::firewall::cover::{AddressSet, Identity};
use crate::host::firewall::reach::{Exposure, LOOPBACK, Outcome, Part, Place, Reach, TCP, UDP};
use crate::host::firewall::service::Service;
use crate::host::{Doubt, Host, Stop};
use crate::report::{clean, clean_whole};

pub use self::question::{Question, answer, port, receiver, sender};

/// Most networks of a set that are shown in the table.
const MOST_NETWORKS: usize = 4;

/// Most networks of a set that are listed for machines; how many there are besides is told.
const MOST_LISTED: usize = 12;

/// Ports of the node: protocol, first and last port.
const NODE_PORTS: [(u16, u16, u16); 11] = [
    (TCP, 8006, 8006),
    (TCP, 22, 22),
    (TCP, 3128, 3128),
    (TCP, 5900, 5999),
    (TCP, 60_000, 60_050),
    (TCP, 111, 111),
    (UDP, 111, 111),
    (TCP, 85, 85),
    (UDP, 5404, 5404),
    (UDP, 5405, 5405),
    (UDP, 5406, 5412),
];

/// Ports of a guest that are named even if no rule tells them from others.
const GUEST_PORTS: [u16; 4] = [22, 80, 443, 3389];

/// Most sets whose look is remembered.
const MOST_REMEMBERED: usize = 1_000;

fn backend(reach: &Reach<'_>) -> Value {
    match reach.backend() {
        Ok(Backend::Iptables) => json!("iptables"),
        Ok(Backend::Nftables) => json!("nftables"),
        Err(_) => Value::Null,
    }
}

fn place_text(place: &Place<'_>) -> String {
    let mut text = String::new();
    write_place(&mut text, place);
    text
}

/// Writing to a string cannot fail.
fn write_place(text: &mut String, place: &Place<'_>) {
    let _ = match (place.implicit, place.path, place.line) {
        (Some(name), Some(path), Some(line)) => write!(text, "{name} ({path}:{line})"),
        (Some(name), Some(path), None) => write!(text, "{name} ({path})"),
        (Some(name), None, _) => write!(text, "{name}"),
        (None, Some(path), Some(line)) => write!(text, "{path}:{line}"),
        (None, path, _) => write!(text, "{}", path.unwrap_or_default()),
    };
    if let Some((path, line)) = place.call {
        let _ = write!(text, ", called from {path}:{line}");
    }
    if let Some(name) = place.interface {
        let _ = write!(text, ", through {name}");
    }
}

/// Writes the table of everything, target by target: all of it can be too much to hold.
///
/// # Errors
/// Why there is nothing to show, or that it cannot be written.
pub(super) fn write(host: &Host, now: i64, as_json: bool, out: &mut dyn Write) -> Result<(), Refusal> {
    host.cluster_files().value.as_ref().map_err(|stop| Refusal::Unknown(words(stop)))?;
    let reach = host.reach(now);
    let table = Table { host, reach: &reach, looks: RefCell::default() };
    let written = if as_json { table.json(out) } else { table.text(out) };
    written.map_err(Refusal::NotWritten)
}

fn words(stop: &Stop) -> String {
    match stop {
        Stop::Unknown(doubt) => doubt.to_string(),
        Stop::NotApplicable(why) => why.clone(),
    }
}

/// Ports that share what becomes of their packets.
struct Row<'h> {
    ports: String,
    exposure: Exposure<'h>,
    /// Who waits for them on the running node; none if that is not known.
    live: Option<Vec<(IpAddr, u16)>>,
    /// The service behind them, if its own restrictions are known.
    service: Option<Service<'h>>,
}

/// How a set looks.
struct Look {
    networks: Vec<String>,
    more: usize,
    class: &'static str,
    text: String,
}

struct Table<'t, 'h> {
    host: &'h Host,
    reach: &'t Reach<'h>,
    looks: RefCell<BTreeMap<Identity, (AddressSet, Rc<Look>)>>,
}

/// A target of the table for machines.
#[derive(Serialize)]
struct ShownTarget<'a> {
    target: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    ports: Vec<ShownRow<'a>>,
}

#[derive(Serialize)]
struct ShownRow<'a> {
    port: &'a str,
    filtering: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    listening: Option<Vec<Listening>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<service::ShownService<'a>>,
    sources: Vec<ShownPart<'a>>,
}

/// A socket of the running node.
#[derive(Serialize)]
struct Listening {
    address: IpAddr,
    port: u16,
}

#[derive(Serialize)]
struct ShownPart<'a> {
    #[serde(flatten)]
    look: ShownLook,
    verdict: &'static str,
    rule: ShownRule<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<ShownLine<'a>>,
}

struct ShownLook(Rc<Look>);

impl Serialize for ShownLook {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(3))?;
        map.serialize_entry("networks", &self.0.networks)?;
        map.serialize_entry("more_networks", &self.0.more)?;
        map.serialize_entry("class", self.0.class)?;
        map.end()
    }
}

#[derive(Serialize)]
struct ShownLine<'a> {
    path: Cow<'a, str>,
    line: Option<u32>,
}

#[derive(Serialize)]
struct ShownRule<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    implicit: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    called_from: Option<ShownLine<'a>>,
}

/// What a place is for machines: the rule, and the line that makes upstream add a rule without one.
fn shown_place<'a>(place: &Place<'a>) -> (ShownRule<'a>, Option<ShownLine<'a>>) {
    let own = place.implicit.is_none();
    let rule = ShownRule {
        implicit: place.implicit,
        path: place.path.filter(|_| own).map(harmless),
        line: place.line.filter(|_| own),
        interface: place.interface.map(harmless),
        called_from: place.call.map(|(path, line)| ShownLine { path: harmless(path), line: Some(line) }),
    };
    let because =
        place.path.filter(|_| !own).map(|path| ShownLine { path: harmless(path), line: place.line });
    (rule, because)
}

/// A text without characters that drive a terminal.
fn harmless(text: &str) -> Cow<'_, str> {
    let plain = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if plain { Cow::Borrowed(text) } else { Cow::Owned(super::harmless_text(text)) }
}

impl<'h> Table<'_, 'h> {
    fn text(&self, out: &mut dyn Write) -> io::Result<()> {
        let reach = self.reach;
        writeln!(out, "backend  {}", backend(reach).as_str().unwrap_or("unknown"))?;
        if let Some(refusal) = reach.load_failed() {
            let line = refusal.line.map(|line| format!(":{line}")).unwrap_or_default();
            writeln!(out, "{}", clean(&format!("not loaded  {}{line}: {}", refusal.path, refusal.what)))?;
        }
        self.each(|name, rows| match rows {
            Ok(rows) => {
                let mut text = format!("{name}\n");
                for row in rows {
                    self.lines(row, &mut text);
                }
                let is_plain = |byte: u8| byte == b'\n' || byte == b' ' || byte.is_ascii_graphic();
                if text.bytes().all(is_plain) {
                    return out.write_all(text.as_bytes());
                }
                text.lines().try_for_each(|line| writeln!(out, "{}", clean_whole(line)))
            }
            Err(why) => writeln!(out, "{name}\n  {}", clean(why)),
        })?;
        if let Some(leak) = reach.mark_leak() {
            let line = format!("every packet of a filtered guest to the node: ACCEPT {}", place_text(&leak));
            writeln!(out, "{}", clean(&line))?;
        }
        let elsewhere = self.elsewhere();
        if elsewhere > 0 {
            writeln!(out, "guests on other nodes, filtered there: {elsewhere}")?;
        }
        for issue in issues(&self.doubts()) {
            writeln!(out, "{}", clean(&format!("issue  {issue}")))?;
        }
        Ok(())
    }

    fn json(&self, out: &mut dyn Write) -> io::Result<()> {
        let reach = self.reach;
        let leak = reach.mark_leak().and_then(|leak| shown_place(&leak).1);
        write!(out, "{{\n\"backend\": {},\n", backend(reach))?;
        write!(out, "\"load_failed\": {},\n\"mark_leak\": ", reach.load_failed().is_some())?;
        serde_json::to_writer(&mut *out, &leak)?;
        write!(out, ",\n\"targets\": [")?;
        let mut first = true;
        self.each(|name, rows| {
            let target = ShownTarget {
                target: name.to_owned(),
                why: rows.as_ref().err().map(|why| super::harmless_text(why)),
                ports: rows.unwrap_or_default().iter().map(|row| self.shown_row(row)).collect(),
            };
            write!(out, "{}", if std::mem::take(&mut first) { "\n" } else { ",\n" })?;
            Ok(serde_json::to_writer(&mut *out, &target)?)
        })?;
        write!(out, "\n],\n\"guests_on_other_nodes\": {},\n\"issues\": ", self.elsewhere())?;
        let issues = super::harmless(&json!(issues(&self.doubts())));
        serde_json::to_writer_pretty(&mut *out, &issues)?;
        writeln!(out, "\n}}")
    }

    /// The node, then every guest of it: its rows or why there are none.
    fn each(
        &self,
        mut show: impl FnMut(&str, Result<&[Row<'h>], &String>) -> io::Result<()>,
    ) -> io::Result<()> {
        let ssh = ssh_ports(self.host);
        let usual = NODE_PORTS.into_iter().filter(|(_, first, _)| *first != 22 || ssh.contains(&22));
        let more = ssh.iter().filter(|port| **port != 22).map(|port| (TCP, *port, *port));
        let mut wanted: Vec<(u16, u16, u16)> = usual.chain(more).collect();
        let live = Live::of(self.host);
        wanted.extend(live.others(&wanted));
        let rows = wanted.into_iter().flat_map(|(protocol, first, last)| {
            let found = self.reach.served(protocol, (first, last)).into_iter();
            let live = &live;
            found.map(move |served| Row {
                live: live.on(protocol, &served.ports),
                ports: ports_text(protocol, &served.ports, &[]),
                exposure: served.exposure,
                service: served.service,
            })
        });
        show("node", Ok(&rows.collect::<Vec<_>>()))?;
        if let Err(stop) = &self.host.guests().value {
            show("guests", Err(&words(stop)))?;
        }
        for guest in self.reach.guests() {
            let name = format!("guest/{}", guest.vmid);
            match self.reach.chains_of(guest, None) {
                Ok(chains) => {
                    let of = |protocol, named: &'static [u16]| {
                        let found = chains.exposures(protocol, self.reach).into_iter();
                        found.map(move |(ports, exposure)| Row {
                            ports: ports_text(protocol, &ports, named),
                            exposure,
                            live: None,
                            service: None,
                        })
                    };
                    show(&name, Ok(&of(TCP, &GUEST_PORTS).chain(of(UDP, &[])).collect::<Vec<_>>()))?;
                }
                Err(why) => show(&name, Err(&why))?,
            }
        }
        Ok(())
    }

    fn elsewhere(&self) -> usize {
        let all = self.host.guests().value.as_ref().map_or(0, |guests| guests.all.len());
        all.saturating_sub(self.reach.guests().count())
    }

    fn doubts(&self) -> Vec<Doubt> {
        let mut all = self.reach.doubts();
        for port in
            NODE_PORTS.into_iter().filter(|(protocol, ..)| *protocol == TCP).map(|(_, first, _)| first)
        {
            all.extend(self.host.service_on(TCP, port).into_iter().flat_map(|service| service.doubts));
        }
        all.extend(self.host.guests().doubts.iter().cloned());
        for guest in self.reach.guests() {
            all.extend(self.reach.doubts_of(guest));
        }
        all.sort();
        all.dedup();
        all
    }

    fn look(&self, set: &AddressSet) -> Rc<Look> {
        let mut looks = self.looks.borrow_mut();
        if let Some((_, look)) = looks.get(&set.identity()) {
            return Rc::clone(look);
        }
        let (some, more) = set.first_networks(MOST_LISTED);
        let networks = some.iter().map(ToString::to_string).collect();
        let look = Rc::new(Look { networks, more, class: class(set), text: networks_text(set) });
        if looks.len() >= MOST_REMEMBERED {
            // Those that cost most stay.
            let large = |set: &AddressSet| set.pieces() > MOST_LISTED;
            let most = looks.values().filter(|(set, _)| large(set)).count() * 2 > MOST_REMEMBERED;
            looks.retain(|_, (set, _)| large(set) && !most);
        }
        looks.insert(set.identity(), (set.clone(), Rc::clone(&look)));
        look
    }

    fn shown_row<'r>(&self, row: &'r Row<'h>) -> ShownRow<'r> {
        let part = |part: &'r Part<'h>| {
            let (rule, because) = shown_place(&part.place);
            let why = match &part.outcome {
                Outcome::Unknown { why, .. } => Some(super::harmless_text(why)),
                _ => None,
            };
            let look = ShownLook(self.look(&part.sources));
            ShownPart { look, verdict: part.outcome.name(), rule, why, because }
        };
        let sources = row.exposure.parts.iter().map(part).collect();
        let listening = row.live.as_ref().map(|waiting| {
            waiting.iter().map(|(address, port)| Listening { address: *address, port: *port }).collect()
        });
        let service = row.service.as_ref().and_then(service::shown);
        ShownRow { port: &row.ports, filtering: row.exposure.filtering, listening, service, sources }
    }

    fn lines(&self, row: &Row<'h>, text: &mut String) {
        let exposure = &row.exposure;
        let outside = exposure.parts.iter().filter(|part| part.place.implicit != Some(LOOPBACK));
        for (index, part) in outside.enumerate() {
            let name = if index == 0 { row.ports.as_str() } else { "" };
            let look = self.look(&exposure.rounded(&part.sources));
            let verdict = part.outcome.name();
            let _ = write!(text, "  {name:<16} {verdict:<8} {:<44} ", look.text);
            write_place(text, &part.place);
            if let Some(words) = row.service.as_ref().filter(|_| index == 0).and_then(service::words) {
                let _ = write!(text, "; {words}");
            }
            if let Some(waiting) = row.live.as_ref().filter(|_| index == 0) {
                let _ = write!(text, "; {}", live::words(waiting));
            }
            text.push('\n');
            if let Outcome::Unknown { why, .. } = &part.outcome {
                let _ = writeln!(text, "  {:<16} {:<8} {why}", "", "");
            }
        }
    }
}

/// `tcp/22,80,5900-5999`; the ports that no rule names, which are most of all, are `other`, behind those of them that
/// are named nevertheless.
fn ports_text(protocol: u16, ports: &[(u16, u16)], named: &[u16]) -> String {
    let count: u32 = ports.iter().map(|(first, last)| u32::from(*last) - u32::from(*first) + 1).sum();
    let range = |(first, last): &(u16, u16)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    let words: Vec<String> = if count > u32::from(u16::MAX) / 2 {
        let holds = |port: &&u16| ports.iter().any(|(first, last)| (first..=last).contains(port));
        named.iter().filter(holds).map(ToString::to_string).chain(["other".to_owned()]).collect()
    } else {
        ports.iter().map(range).collect()
    };
    format!("{}/{}", if protocol == TCP { "tcp" } else { "udp" }, words.join(","))
}

/// The ports sshd listens on.
fn ssh_ports(host: &Host) -> BTreeSet<u16> {
    let settings = host.sshd().value.as_ref().map(|sshd| sshd.config.settings()).unwrap_or_default();
    let ports = settings.get("port").into_iter().flatten().filter_map(|port| port.parse().ok());
    let ports: BTreeSet<u16> = ports.collect();
    if ports.is_empty() { BTreeSet::from([22]) } else { ports }
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

/// A set in a few words: what is missing to all of a family if that is shorter.
fn networks_text(set: &AddressSet) -> String {
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
