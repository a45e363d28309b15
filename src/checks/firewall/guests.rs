//! Whether guests are filtered, and how.

use std::collections::BTreeMap;

use super::{Card, MOST_EVIDENCE, cards, counted, switched_on};
use crate::catalogue::Severity;
use crate::checks::{Judged, Look};
use crate::formats::firewall::Verdict;
use crate::host::Stop;
use crate::host::firewall::cover::AddressSet;
use crate::host::firewall::{Backend, File};
use crate::host::guests::{Guest, GuestConfig};
use crate::outcome::{Evidence, Judgement};

/// What is known about a guest and its filter.
struct Seen<'h> {
    guest: &'h Guest,
    file: &'h File,
    cards: Vec<Card>,
}

impl Seen<'_> {
    /// Whether the guest's own firewall is on.
    fn is_on(&self, look: &Look<'_>) -> bool {
        self.file.firewall.is_enabled(look.now.as_second())
    }

    /// Nothing to judge unless the firewall filters a card of this guest.
    fn filtered(&self, look: &Look<'_>) -> Result<(), Stop> {
        if !self.is_on(look) {
            Err(Stop::not_applicable("the firewall of this guest is off"))
        } else if !self.cards.iter().any(|card| card.filtered) {
            Err(Stop::not_applicable("no network card of this guest is filtered"))
        } else {
            Ok(())
        }
    }
}

/// Judges every guest with a network card, templates apart: these never run.
fn each_guest<'h>(
    look: &Look<'h>,
    judge: impl Fn(&Look<'h>, &Seen<'h>) -> Result<Judgement, Stop>,
) -> Judged {
    let guests = look.take(look.host.guests())?;
    let files = look.take(look.host.guest_firewalls())?;
    let all = guests.all.iter().filter(|guest| !guest.is_template());
    look.each(
        all,
        |guest| guest.subject(),
        |look, guest| {
            let cards = cards(look.take(&guest.config)?);
            if cards.is_empty() {
                return Err(Stop::not_applicable("this guest has no network card"));
            }
            let fact = files.get(&guest.vmid).ok_or_else(|| Stop::unknown(&guest.path, "was not read"))?;
            judge(look, &Seen { guest, file: look.take(fact)?, cards })
        },
    )
}

pub(crate) fn guest_nic_unfiltered(look: &Look<'_>) -> Judged {
    switched_on(look)?;
    each_guest(look, |look, seen| {
        let plugged: Vec<&Card> = seen.cards.iter().filter(|card| !card.unplugged).collect();
        if plugged.is_empty() {
            return Ok(Judgement::pass("every network card is unplugged"));
        }
        if !seen.is_on(look) {
            return Ok(guest_off(seen, &plugged));
        }
        let bare: Vec<&&Card> = plugged.iter().filter(|card| !card.filtered).collect();
        if bare.is_empty() {
            return Ok(Judgement::pass("every network card is filtered"));
        }
        let summary = format!(
            "the firewall of this guest is on, but {} without `firewall=1` is not filtered",
            counted(bare.len(), "network card")
        );
        let evidence = bare.into_iter().take(MOST_EVIDENCE).map(|card| {
            let evidence = Evidence::at(&seen.guest.path, card.line).key(&card.option);
            evidence.observed("no firewall=1").expected("firewall=1")
        });
        Ok(Judgement::fail(summary).with_all(evidence))
    })
}

/// The guest's own firewall is off: nothing of it is filtered, which is worse if somebody meant it to be.
fn guest_off(seen: &Seen<'_>, plugged: &[&Card]) -> Judgement {
    let file = seen.file;
    if let Some(meant) = file.lost_enable() {
        let lost = file.firewall.lost.iter().find(|lost| lost.line == meant.line);
        let why = lost.map_or("the line has no effect", |lost| lost.why.as_str());
        let summary =
            format!("the firewall of this guest is off although line {} says `enable`: {why}", meant.line);
        let evidence = Evidence::at(&file.path, meant.line).key("enable").observed(&meant.value);
        return Judgement::fail(summary).with(evidence.expected("1"));
    }
    let ticked = plugged.iter().filter(|card| card.filtered).count();
    let flags = match ticked {
        0 => String::new(),
        ticked => format!("; `firewall=1` on {} has no effect", counted(ticked, "network card")),
    };
    let evidence = match &file.firewall.options.enable {
        Some(option) => Evidence::at(&file.path, option.line).observed("0"),
        None if file.exists => Evidence::of(&file.path).observed("0 (not set)"),
        None => Evidence::of(&file.path).observed("0 (no file)"),
    };
    Judgement::fail(format!("the firewall of this guest is off{flags}"))
        .severity(Severity::Low)
        .with(evidence.key("enable").expected("1"))
}

pub(crate) fn guest_input_policy_accepts(look: &Look<'_>) -> Judged {
    switched_on(look)?;
    each_guest(look, |look, seen| {
        seen.filtered(look)?;
        let firewall = &seen.file.firewall;
        let evidence = match &firewall.options.policy_in {
            Some(option) => Evidence::at(&seen.file.path, option.line),
            None => Evidence::of(&seen.file.path),
        };
        let accepts = firewall.policy_in() == Verdict::Accept;
        let judgement = Judgement::fail_if(
            accepts,
            "the firewall of this guest accepts everything that no rule drops",
            "what no rule accepts on the way to this guest is dropped",
        );
        let observed = if accepts { "ACCEPT" } else { "DROP or REJECT" };
        Ok(judgement.with(evidence.key("policy_in").observed(observed)))
    })
}

pub(crate) fn guest_may_pose_as_another(look: &Look<'_>) -> Judged {
    let datacenter = switched_on(look)?;
    let ebtables_off = datacenter.firewall.options.ebtables.as_ref().filter(|option| !option.value);
    let mut backend = Backend::Nftables;
    if ebtables_off.is_some() {
        look.take(look.host.node_firewall())?;
        backend = *look.take(look.host.firewall_backend())?;
    }
    // The nftables backend does not use the option.
    let ebtables_off = ebtables_off.filter(|_| backend == Backend::Iptables);
    each_guest(look, |look, seen| {
        seen.filtered(look)?;
        let options = &seen.file.firewall.options;
        let path = &seen.file.path;
        let mut found = Vec::new();
        if let Some(option) = options.macfilter.as_ref().filter(|option| !option.value) {
            let evidence = Evidence::at(path, option.line).key("macfilter").observed("0").expected("1");
            found.push(("send with the MAC address of another", evidence));
        }
        if let Some(option) = ebtables_off {
            let evidence = Evidence::at(&datacenter.path, option.line).key("ebtables").observed("0");
            found.push(("send ARP that nothing checks", evidence.expected("1")));
        }
        if let Some(option) = options.radv.as_ref().filter(|option| option.value) {
            let evidence = Evidence::at(path, option.line).key("radv").observed("1").expected("0");
            found.push(("announce itself as IPv6 router", evidence));
        }
        if found.is_empty() {
            return Ok(Judgement::pass("the firewall checks whom this guest pretends to be"));
        }
        let what: Vec<&str> = found.iter().map(|(what, _)| *what).collect();
        let summary = format!("the firewall lets this guest {}", what.join(" and "));
        Ok(Judgement::fail(summary).with_all(found.into_iter().map(|(_, evidence)| evidence)))
    })
}

/// Services of a guest that administrators or machines use, and that everybody tries.
const OF_ADMINISTRATORS: [(u16, &str); 20] = [
    (22, "ssh"),
    (23, "telnet"),
    (135, "RPC of Windows"),
    (139, "NetBIOS"),
    (445, "SMB"),
    (1433, "SQL Server"),
    (2375, "Docker"),
    (2379, "etcd"),
    (3306, "MySQL"),
    (3389, "Remote Desktop"),
    (5432, "PostgreSQL"),
    (5900, "VNC"),
    (5985, "WinRM"),
    (5986, "WinRM"),
    (6379, "Redis"),
    (6443, "Kubernetes"),
    (9200, "Elasticsearch"),
    (10_000, "Webmin"),
    (10_250, "Kubernetes"),
    (27_017, "MongoDB"),
];

/// What a line lets in.
#[derive(Default)]
struct Opening {
    ports: Vec<u16>,
    sources: AddressSet,
}

pub(crate) fn guest_management_port_open_to_anywhere(look: &Look<'_>) -> Judged {
    use crate::host::firewall::cover::Reach as Extent;
    use crate::host::firewall::reach::{Outcome, TCP};
    switched_on(look)?;
    look.take(look.host.node_firewall())?;
    look.take(look.host.firewall_backend())?;
    super::heed_units(look);
    let reach = look.host.reach(look.now.as_second());
    each_guest(look, |look, seen| {
        if !seen.guest.is_local(look.host) {
            return Err(Stop::not_applicable("the guest is on another node"));
        }
        seen.filtered(look)?;
        let chains = reach.chains_of(seen.guest, None).map_err(|why| Stop::unknown(&seen.guest.path, why))?;
        let (mut open, mut unsure) = (Vec::new(), None);
        // A line that opens many ports is one piece of evidence.
        let mut places: BTreeMap<(&str, Option<u32>), Opening> = BTreeMap::new();
        for (port, name) in OF_ADMINISTRATORS {
            let exposure = chains.exposure(TCP, port, &reach);
            if exposure.accepted().reach() < Extent::Anywhere {
                if exposure.accepted().union(&exposure.unsure()).reach() == Extent::Anywhere {
                    unsure.get_or_insert(port);
                }
                continue;
            }
            open.push(format!("{port} ({name})"));
            let opening = exposure
                .parts
                .iter()
                .filter(|part| part.outcome == Outcome::Accept && part.sources.reach() >= Extent::Public);
            for part in opening {
                let Some(path) = part.place.path else { continue };
                let opening = places.entry((path, part.place.line)).or_default();
                opening.ports.push(port);
                opening.sources = opening.sources.union(&part.sources);
            }
        }
        if !open.is_empty() {
            let summary = format!(
                "everybody reaches {} of this guest: {}",
                counted(open.len(), "port"),
                open.join(", ")
            );
            let evidence = places.into_iter().map(|((path, line), Opening { mut ports, sources })| {
                ports.dedup();
                let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
                let at = line.map_or_else(|| Evidence::of(path), |line| Evidence::at(path, line));
                let key = format!("tcp/{}", ports.join(","));
                at.key(key).observed(format!("accepts {}", super::shown_set(&sources)))
            });
            return Ok(Judgement::fail(summary).with_all(evidence.take(MOST_EVIDENCE)));
        }
        Ok(match unsure {
            Some(port) => {
                Judgement::unknown(format!("it cannot be told who reaches the port {port} of this guest"))
            }
            None => Judgement::pass("the firewall lets nobody but some reach the ports administrators use"),
        })
    })
}

pub(crate) fn guest_address_not_checked(look: &Look<'_>) -> Judged {
    switched_on(look)?;
    look.take(look.host.node_firewall())?;
    // The nftables backend looks at a set `ipfilter-netN` only with the option.
    let sets_count = *look.take(look.host.firewall_backend())? == Backend::Iptables;
    each_guest(look, |look, seen| {
        seen.filtered(look)?;
        let firewall = &seen.file.firewall;
        let known = addresses(look.take(&seen.guest.config)?);
        let filtered = seen.cards.iter().filter(|card| card.filtered);
        let bare: Vec<(&Card, &String)> = filtered
            .filter_map(|card| Some((card, known.get(&card.option)?)))
            .filter(|(card, _)| {
                !sets_count || !firewall.sets.contains_key(&format!("ipfilter-{}", card.option))
            })
            .collect();
        if known.is_empty() {
            return Err(Stop::not_applicable("the configuration of this guest gives no address"));
        }
        let on = firewall.options.ipfilter.as_ref().is_some_and(|option| option.value);
        if on || bare.is_empty() {
            return Ok(Judgement::pass("packets of this guest with another source address are dropped"));
        }
        let summary = format!(
            "this guest may send from any address although that of {} is known",
            counted(bare.len(), "network card")
        );
        let option = match &firewall.options.ipfilter {
            Some(option) => Evidence::at(&seen.file.path, option.line).observed("0"),
            None => Evidence::of(&seen.file.path).observed("0 (not set)"),
        };
        let cards = bare.into_iter().take(MOST_EVIDENCE).map(|(card, address)| {
            Evidence::at(&seen.guest.path, card.line).key(&card.option).observed(address)
        });
        Ok(Judgement::fail(summary).with(option.key("ipfilter").expected("1")).with_all(cards))
    })
}

/// The addresses that the configuration gives to network cards, by card.
fn addresses(config: &GuestConfig) -> BTreeMap<String, String> {
    match config {
        GuestConfig::Container(config) => {
            let cards = config.current.nics().into_iter().filter(|card| !card.addresses.is_empty());
            let text = |card: &[std::net::IpAddr]| {
                card.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            };
            cards.map(|card| (card.option.clone(), text(&card.addresses))).collect()
        }
        GuestConfig::Vm(config) => {
            let of = |card: crate::formats::guest::qemu::Nic| {
                let number = card.option.strip_prefix("net")?;
                let given = config.current.text(&format!("ipconfig{number}"))?;
                let fixed = given.split(',').filter_map(|part| part.split_once('='));
                let fixed = fixed.filter(|(key, value)| {
                    matches!(*key, "ip" | "ip6") && !matches!(*value, "dhcp" | "auto" | "manual")
                });
                let fixed: Vec<&str> = fixed.map(|(_, value)| value).collect();
                (!fixed.is_empty()).then(|| (card.option.clone(), fixed.join(", ")))
            };
            config.current.nics().into_iter().filter_map(of).collect()
        }
    }
}
