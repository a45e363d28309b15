//! Who reaches the node.

use std::collections::BTreeSet;

use super::{Filter, MOST_EVIDENCE, filtered_node, shown_set, switched_on};
use crate::catalogue::Severity;
use crate::checks::{Judged, Look};
use crate::formats::firewall::{Firewall, Verdict};
use crate::host::firewall::cover::{AddressSet, Reach as Extent};
use crate::host::firewall::exposure::{BLACKLIST, LOCAL_NETWORK, MANAGEMENT, management};
use crate::host::firewall::reach::{Exposure, LOOPBACK, Outcome, Part, Reach, Served, TCP, UDP};
use crate::host::firewall::service::{ACCESS_LIST, LISTEN_ADDRESS, Service as Own, Setting};
use crate::host::firewall::{Backend, File};
use crate::host::{Doubt, Stop};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// A service of the node that only administrators need.
struct Service {
    id: &'static str,
    name: &'static str,
    protocol: u16,
    first: u16,
    last: u16,
    severity: Severity,
}

const SERVICES: [Service; 4] = [
    Service { id: "tcp/22", name: "ssh", protocol: TCP, first: 22, last: 22, severity: Severity::High },
    Service {
        id: "tcp/3128",
        name: "the SPICE proxy",
        protocol: TCP,
        first: 3128,
        last: 3128,
        severity: Severity::Medium,
    },
    Service {
        id: "tcp/5900-5999",
        name: "consoles of guests",
        protocol: TCP,
        first: 5900,
        last: 5999,
        severity: Severity::Medium,
    },
    Service {
        id: "tcp/8006",
        name: "the web interface",
        protocol: TCP,
        first: 8006,
        last: 8006,
        severity: Severity::High,
    },
];

/// Services between nodes, and services that nobody asked for.
const INTERNAL: [Service; 5] = [
    Service {
        id: "tcp/111",
        name: "rpcbind",
        protocol: TCP,
        first: 111,
        last: 111,
        severity: Severity::Medium,
    },
    Service {
        id: "udp/111",
        name: "rpcbind",
        protocol: UDP,
        first: 111,
        last: 111,
        severity: Severity::Medium,
    },
    Service { id: "tcp/85", name: "pvedaemon", protocol: TCP, first: 85, last: 85, severity: Severity::Low },
    Service {
        id: "tcp/60000-60050",
        name: "migration of guests",
        protocol: TCP,
        first: 60_000,
        last: 60_050,
        severity: Severity::Medium,
    },
    Service {
        id: "udp/5404-5412",
        name: "corosync",
        protocol: UDP,
        first: 5404,
        last: 5412,
        severity: Severity::Medium,
    },
];

/// The routes of the kernel.
const ROUTES: &str = "/proc/net/route";

/// Ports that every node listens on, for the question whether a list of denials closes them.
const LISTENING: [u16; 5] = [22, 111, 3128, 5900, 8006];

pub(crate) fn management_port_open_to_anywhere(look: &Look<'_>) -> Judged {
    let filter = filtered_node(look)?;
    let reach = look.host.reach(look.now.as_second());
    let subject = |service: &&Service| Subject::new(SubjectKind::Service, service.id).named(service.name);
    look.each(&SERVICES, subject, |look, service| {
        Ok(with_sockets(look, judge_service(look, &filter, &reach, service), service))
    })
}

pub(crate) fn internal_port_open_to_anywhere(look: &Look<'_>) -> Judged {
    let filter = filtered_node(look)?;
    let clustered = match look.take(look.host.corosync()) {
        Ok(_) => true,
        Err(Stop::NotApplicable(_)) => false,
        Err(Stop::Unknown(doubt)) => {
            look.doubt(doubt);
            true
        }
    };
    let reach = look.host.reach(look.now.as_second());
    let subject = |service: &&Service| Subject::new(SubjectKind::Service, service.id).named(service.name);
    look.each(&INTERNAL, subject, |look, service| {
        let judgement = with_sockets(look, judge_service(look, &filter, &reach, service), service);
        // On a node without a cluster nothing listens there yet.
        let idle =
            !clustered && service.name == "corosync" && judgement.verdict == crate::outcome::Verdict::Fail;
        Ok(if idle { judgement.severity(Severity::Info) } else { judgement })
    })
}

/// A fail with the sockets that wait there; where the running node has none, it weighs less. Nothing here makes a pass.
fn with_sockets(look: &Look<'_>, judgement: Judgement, service: &Service) -> Judgement {
    if judgement.verdict != crate::outcome::Verdict::Fail {
        return judgement;
    }
    let fact = look.host.sockets();
    let Ok(sockets) = &fact.value else { return judgement };
    let protocol = if service.protocol == UDP { "udp" } else { "tcp" };
    let waiting = sockets.iter().filter(|socket| {
        let port = socket.listener.port;
        socket.is_open() && socket.protocol == protocol && (service.first..=service.last).contains(&port)
    });
    let evidence = waiting.take(MOST_EVIDENCE).map(|socket| {
        let observed = format!("{} port {} waits for packets", socket.listener.address, socket.listener.port);
        Evidence::at(socket.path, socket.listener.line).observed(observed)
    });
    let evidence: Vec<Evidence> = evidence.collect();
    // Consoles and migrations wait only while somebody uses them.
    let lasting = service.first == service.last;
    if evidence.is_empty() && lasting && fact.doubts.is_empty() {
        let summary = format!("{}, although nothing waits there now", judgement.summary);
        return Judgement { summary, ..judgement }.severity(Severity::Low);
    }
    judgement.with_all(evidence)
}

fn judge_service(look: &Look<'_>, filter: &Filter<'_>, reach: &Reach<'_>, service: &Service) -> Judgement {
    let mut unsure = false;
    let mut kept_out = None;
    for served in reach.served(service.protocol, (service.first, service.last)) {
        let exposure = &served.exposure;
        let of = |wanted: &dyn Fn(&&Part<'_>) -> bool| {
            exposure
                .parts
                .iter()
                .filter(wanted)
                .fold(AddressSet::empty(), |all, part| all.union(&part.sources))
        };
        let open = of(&|part| opens(part));
        if open.reach() == Extent::Anywhere {
            for doubt in served.service.iter().flat_map(|own| own.doubts.clone()) {
                look.doubt(doubt);
            }
            return exposed(filter, service, &served, &open);
        }
        // That the local network of a tree is not known is told elsewhere; it is not the Internet.
        let may = |part: &&Part<'_>| {
            matches!(part.outcome, Outcome::Unknown { .. }) && part.place.implicit != Some("management-set")
        };
        unsure |= open.union(&of(&may)).reach() == Extent::Anywhere;
        let refused =
            of(&|part| part.place.implicit.is_some_and(|name| [LISTEN_ADDRESS, ACCESS_LIST].contains(&name)));
        if refused.reach() == Extent::Anywhere {
            kept_out = served.service.map(|own| (own, open));
        }
    }
    let name = service.name;
    if unsure {
        return Judgement::unknown(format!(
            "rules for an interface, a destination or a set outside of the firewall files decide who reaches {name}"
        ));
    }
    if let Some((own, open)) = kept_out {
        let whom = if open.is_empty() { "nobody else".to_owned() } else { shown_set(&open) };
        let summary = format!(
            "the firewall lets everybody reach {name}, but {} does not answer everybody: of those, {whom}",
            own.name
        );
        return Judgement::pass(summary).with_all(own_settings(&own));
    }
    Judgement::pass(format!("the firewall does not let everybody reach {name}"))
}

/// The settings that narrow who reaches a service, with what each of them does.
fn own_settings(own: &Own<'_>) -> Vec<Evidence> {
    let listening = own.addresses.iter().map(|one| one.address.to_string()).collect::<Vec<_>>().join(", ");
    let seen = |setting: Setting<'_>| {
        let refused = own.limits.iter().filter(|limit| limit.setting == setting);
        let refused = refused.fold(AddressSet::empty(), |all, limit| all.union(&limit.refused));
        let listens = own.addresses.iter().any(|one| one.setting == setting);
        let observed = match (listens, refused.is_empty()) {
            (true, true) => format!("{} listens on {listening}", own.name),
            (true, false) => {
                format!("{} listens on {listening}: nothing from {}", own.name, shown_set(&refused))
            }
            (false, _) => format!("{} refuses {}", own.name, shown_set(&refused)),
        };
        let evidence = match setting.line {
            Some(line) => Evidence::at(setting.path, line),
            None => Evidence::of(setting.path),
        };
        evidence.key(setting.key).observed(observed)
    };
    own.settings().into_iter().take(MOST_EVIDENCE).map(seen).collect()
}

/// The service listens on addresses of the node that the Internet does not route, and on no others.
fn is_hidden(own: &Own<'_>) -> bool {
    let public = AddressSet::public();
    let hidden = |address: std::net::IpAddr| !address.is_unspecified() && !public.contains(address);
    !own.addresses.is_empty() && own.addresses.iter().all(|one| hidden(one.address))
}

/// Whether these sources get in, if only through an interface.
fn opens(part: &Part<'_>) -> bool {
    match part.outcome {
        Outcome::Accept => part.place.implicit != Some(LOOPBACK),
        Outcome::Unknown { perhaps, .. } => {
            perhaps == Some(Verdict::Accept) && part.place.interface.is_some()
        }
        Outcome::Drop | Outcome::Reject => false,
    }
}

fn exposed(filter: &Filter<'_>, service: &Service, served: &Served<'_>, open: &AddressSet) -> Judgement {
    let exposure = &served.exposure;
    let from = shown_set(&exposure.rounded(open));
    let whole = served.ports == [(service.first, service.last)];
    let some = if whole { String::new() } else { format!(" (ports {})", shown_ports(&served.ports)) };
    let own = served.service.as_ref().filter(|own| own.is_narrowed());
    let keys = own.map(|own| own.settings().into_iter().map(|setting| setting.key).collect::<BTreeSet<_>>());
    let narrowed = keys.map(|keys| keys.into_iter().collect::<Vec<_>>().join(" and "));
    let narrowed = narrowed.map(|keys| format!(", which {keys} narrows")).unwrap_or_default();
    let summary = format!("the firewall lets {from} reach {}{some}{narrowed}", service.name);
    let severity = match (own.is_some_and(is_hidden), service.severity) {
        (true, Severity::High) => Severity::Medium,
        (true, Severity::Medium) => Severity::Low,
        (_, severity) => severity,
    };
    let public = |part: &&Part<'_>| opens(part) && part.sources.reach() >= Extent::Public;
    let openings = exposure.parts.iter().filter(public).take(MOST_EVIDENCE);
    let evidence = openings.flat_map(|part| evidence_of(filter, exposure, part));
    let own = own.map(own_settings).unwrap_or_default();
    Judgement::fail(summary).severity(severity).with_all(evidence).with_all(own)
}

/// `22, 5900-5999`.
fn shown_ports(ports: &[(u16, u16)]) -> String {
    let one = |(first, last): &(u16, u16)| {
        if first == last { first.to_string() } else { format!("{first}-{last}") }
    };
    ports.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn evidence_of(filter: &Filter<'_>, exposure: &Exposure<'_>, part: &Part<'_>) -> Vec<Evidence> {
    let datacenter = filter.datacenter;
    let place = part.place;
    let through = place.interface.map(|name| format!(" through {name}")).unwrap_or_default();
    let observed = format!("accepts {}{through}", shown_set(&exposure.rounded(&part.sources)));
    let at = |path: &str, line: Option<u32>| {
        line.map_or_else(|| Evidence::of(path), |line| Evidence::at(path, line))
    };
    match place.implicit {
        Some("management-set") => management_lines(&datacenter.firewall)
            .map(|line| Evidence::at(&datacenter.path, line).key(MANAGEMENT).observed(&observed))
            .collect(),
        Some("policy") => vec![policy_evidence(datacenter)],
        // Only the nftables backend opens these ports to others than the nodes of the cluster.
        Some("corosync") => {
            let asked = filter.node.firewall.options.nftables.as_ref();
            let asked = asked.map(|option| Evidence::at(&filter.node.path, option.line).key("nftables"));
            asked.map(|evidence| evidence.observed("1")).into_iter().collect()
        }
        Some(name) => {
            place.path.map(|path| at(path, place.line).key(name).observed(observed)).into_iter().collect()
        }
        None => {
            let rule = place.path.map(|path| at(path, place.line).observed(observed));
            let call = place.call.map(|(path, line)| {
                Evidence::at(path, line).observed("calls the security group of the rule")
            });
            rule.into_iter().chain(call).collect()
        }
    }
}

/// Where the addresses are defined that reach the node without a rule.
fn management_lines(datacenter: &Firewall) -> impl Iterator<Item = u32> {
    let set = datacenter.sets.get(MANAGEMENT).map(|set| set.line);
    set.into_iter().chain(datacenter.aliases.get(LOCAL_NETWORK).map(|alias| alias.line))
}

fn policy_evidence(datacenter: &File) -> Evidence {
    let evidence = match &datacenter.firewall.options.policy_in {
        Some(option) => Evidence::at(&datacenter.path, option.line),
        None => Evidence::of(&datacenter.path),
    };
    evidence.key("policy_in").observed("ACCEPT").expected("DROP")
}

pub(crate) fn input_policy_accepts(look: &Look<'_>) -> Judged {
    let datacenter = switched_on(look)?;
    if datacenter.firewall.policy_in() != Verdict::Accept {
        let policy = format!("{:?}", datacenter.firewall.policy_in()).to_uppercase();
        return look.one(
            Subject::cluster(),
            Judgement::pass(format!("what no rule accepts on the way to a node meets {policy}")),
        );
    }
    let reach = look.host.reach(look.now.as_second());
    let is_closed =
        |port| reach.of_cluster(port).is_ok_and(|exposure| exposure.accepted().reach() < Extent::Anywhere);
    let closed = LISTENING.into_iter().all(is_closed);
    let judgement = if closed {
        Judgement::fail("the policy accepts what no rule drops; rules close the ports every node listens on")
            .severity(Severity::Medium)
    } else {
        Judgement::fail("the policy accepts every packet to the nodes that no rule drops")
    };
    look.one(Subject::cluster(), judgement.with(policy_evidence(datacenter)))
}

pub(crate) fn management_set_too_wide(look: &Look<'_>) -> Judged {
    let datacenter = switched_on(look)?;
    let firewall = &datacenter.firewall;
    let has_whole = firewall.sets.get(MANAGEMENT).is_some_and(|set| !set.whole.is_empty());
    let mut backend = Backend::Iptables;
    if has_whole {
        look.take(look.host.node_firewall())?;
        backend = *look.take(look.host.firewall_backend())?;
    }
    let set = management(firewall, backend);
    if set.is_empty() && management_lines(firewall).next().is_none() {
        return Err(Stop::not_applicable(
            "neither a set `management` nor an alias `local_network` is defined",
        ));
    }
    let judgement = if set.reach() == Extent::Anywhere {
        let summary = format!("the management ports of every node accept {}", shown_set(&set));
        let lines = wide_members(firewall, backend).into_iter().take(MOST_EVIDENCE);
        let evidence =
            lines.map(|(line, what)| Evidence::at(&datacenter.path, line).key(MANAGEMENT).observed(what));
        Judgement::fail(summary).with_all(evidence)
    } else {
        Judgement::pass("the management ports do not accept the Internet through the set `management`")
    };
    look.one(Subject::cluster(), judgement)
}

/// The public members of the set, with their lines.
fn wide_members(firewall: &Firewall, backend: Backend) -> Vec<(u32, String)> {
    let names = crate::formats::firewall::names::Names::of(firewall, None);
    let set = firewall.sets.get(MANAGEMENT);
    let members = set.map(|set| names.members(set)).unwrap_or_default();
    let local = firewall.aliases.get(LOCAL_NETWORK).map(|alias| (alias.cidr, false, alias.line));
    let all = members.into_iter().chain(local).filter(|(_, nomatch, _)| !nomatch);
    let public = all.filter(|(cidr, ..)| AddressSet::network(*cidr).reach() >= Extent::Public);
    let whole = set.into_iter().flat_map(|set| &set.whole).filter(|_| backend == Backend::Nftables);
    let whole = whole.map(|member| (member.line, "every address of a family".to_owned()));
    let mut found: Vec<_> = public.map(|(cidr, _, line)| (line, cidr.to_string())).chain(whole).collect();
    found.sort();
    found
}

pub(crate) fn blacklist_without_effect(look: &Look<'_>) -> Judged {
    let Filter { datacenter, backend, node } = filtered_node(look)?;
    let Some(set) = datacenter.firewall.sets.get(BLACKLIST) else {
        return Err(Stop::not_applicable("no set `blacklist` is defined"));
    };
    let members = set.members.len() + set.whole.len();
    let judgement = if backend == Backend::Nftables && members > 0 {
        let asked = node.firewall.options.nftables.as_ref();
        let asked = asked.map(|option| Evidence::at(&node.path, option.line).key("nftables").observed("1"));
        Judgement::fail("the nftables backend does not look at the set `blacklist`: nobody in it is dropped")
            .with(Evidence::at(&datacenter.path, set.line).key(BLACKLIST))
            .with_all(asked)
    } else if backend == Backend::Nftables {
        Judgement::pass("the set `blacklist` is empty")
    } else {
        Judgement::pass("the members of the set `blacklist` are dropped before every rule")
    };
    look.one(Subject::node(), judgement)
}

pub(crate) fn local_network_too_wide(look: &Look<'_>) -> Judged {
    /// A private network with a shorter prefix than this is more than one network of administrators.
    const WIDE_V4: u32 = 16;
    const WIDE_V6: u32 = 64;
    /// Most public addresses that may all be the administrator's own.
    const OWN_V4: u32 = 29;
    const OWN_V6: u32 = 64;
    let filter = filtered_node(look)?;
    let reach = look.host.reach(look.now.as_second());
    let local = match reach.local_network() {
        Ok(local) => local,
        Err(why) => return Err(Stop::unknown(&filter.node.path, why)),
    };
    for doubt in reach.doubts() {
        look.doubt(doubt);
    }
    if local.pinned.is_none() && !local.from_kernel {
        // Not every route stands in a file.
        look.doubt(Doubt::about(
            ROUTES,
            "is not in this tree: the first route that contains the address decides",
        ));
    }
    let shown = shown_set(&local.networks);
    let shorter = |set: &AddressSet, v4: u32, v6: u32| {
        set.networks().iter().any(|cidr| cidr.prefix < if cidr.address.is_ipv4() { v4 } else { v6 })
    };
    // What upstream takes where no route contains the address of the node: nobody outside is in it.
    let outside = local.networks.subtract(&AddressSet::loopback());
    let public = outside.intersect(&AddressSet::public());
    let judgement = if shorter(&public, OWN_V4, OWN_V6) {
        Judgement::fail(format!(
            "the local network is public: everybody in {shown} reaches the management ports"
        ))
    } else if local.pinned.is_none() && !local.connected.is_empty() && !local.connected.covers(&outside) {
        Judgement::fail(format!(
            "a route makes {shown} the local network, which is wider than the networks of this node, {}",
            shown_set(&local.connected)
        ))
    } else if shorter(&outside, WIDE_V4, WIDE_V6) {
        let summary = format!("the local network is {shown}: all of it reaches the management ports");
        Judgement::fail(summary).severity(Severity::Medium)
    } else {
        Judgement::pass(format!("the local network is {shown}"))
    };
    let evidence = match local.pinned {
        Some((path, line)) => Evidence::at(path, line),
        None => Evidence::of(&filter.datacenter.path),
    };
    let origin = if local.pinned.is_some() { "" } else { " (derived from addresses and routes)" };
    look.one(
        Subject::node(),
        judgement.with(evidence.key(LOCAL_NETWORK).observed(format!("{shown}{origin}"))),
    )
}

pub(crate) fn denial_of_management_without_effect(look: &Look<'_>) -> Judged {
    let filter = filtered_node(look)?;
    if filter.backend == Backend::Iptables {
        return Err(Stop::not_applicable("the iptables backend looks at rules before the set `management`"));
    }
    let reach = look.host.reach(look.now.as_second());
    if reach.load_failed().is_some() {
        return Err(Stop::not_applicable("no rule is loaded"));
    }
    for doubt in reach.doubts() {
        look.doubt(doubt);
    }
    let vain = reach.denied_in_vain();
    let judgement = if vain.is_empty() {
        Judgement::pass("no rule denies what the set `management` lets in before it")
    } else {
        let evidence = vain.iter().take(MOST_EVIDENCE).filter_map(|place| {
            Some(Evidence::at(place.path?, place.line?).observed("does not concern the set `management`"))
        });
        let many = super::counted(vain.len(), "rule");
        let verb = if vain.len() == 1 { "denies" } else { "deny" };
        Judgement::fail(format!(
            "{many} {verb} management ports to sources that the nftables backend lets in before any rule"
        ))
        .with_all(evidence)
    };
    look.one(Subject::node(), judgement)
}

pub(crate) fn security_group_opens_node_to_guests(look: &Look<'_>) -> Judged {
    let filter = filtered_node(look)?;
    if filter.backend == Backend::Nftables {
        return Err(Stop::not_applicable("the nftables backend marks no packets"));
    }
    let guests = look.take(look.host.guests())?;
    let files = look.take(look.host.guest_firewalls())?;
    for guest in guests.all.iter().filter(|guest| guest.is_local(look.host)) {
        // Whether a guest is filtered hangs on both of its files.
        if let (Err(Stop::Unknown(doubt)), _) | (_, Some(Err(Stop::Unknown(doubt)))) =
            (look.take(&guest.config), files.get(&guest.vmid).map(|fact| look.take(fact)))
        {
            look.doubt(doubt);
        }
    }
    let reach = look.host.reach(look.now.as_second());
    let judgement = match reach.mark_leak() {
        Some(place) => {
            let evidence = place.path.zip(place.line).map(|(path, line)| Evidence::at(path, line));
            let on = place.interface.unwrap_or_default();
            Judgement::fail(format!(
                "behind the call of a security group for {on}, every packet of a filtered guest on another bridge to \
                 this node is accepted"
            ))
            .with_all(evidence.map(|evidence| evidence.key("-i").observed(on)))
        }
        None => Judgement::pass("no call of a security group lets packets of filtered guests in"),
    };
    look.one(Subject::node(), judgement)
}
