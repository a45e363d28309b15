//! What a service of the node refuses by itself, behind the firewall: sources that are not on its list, and packets to
//! addresses it does not listen on.
//!
//! pveproxy and spiceproxy read the same file (`PVE/Service/pveproxy.pm` and `spiceproxy.pm` of `proxmox/pve-manager`:
//! `read_proxy_config`, `create_reusable_socket`). What cannot be read of it restricts nothing and is a doubt.

use std::net::IpAddr;

use super::cover::AddressSet;
use super::reach::TCP;
use crate::formats::firewall::address::Family;
use crate::formats::proxy_default::{Policy, Proxy};
use crate::host::proxy::{self, PROXY_DEFAULT};
use crate::host::sshd::Sshd;
use crate::host::{Doubt, Host, Stop};

/// The web interface.
const PVEPROXY: u16 = 8006;
/// The SPICE proxy.
const SPICEPROXY: u16 = 3128;

/// The port of sshd where its configuration cannot be read.
const SSH: u16 = 22;

/// The name of what refuses sources because the service listens elsewhere.
pub const LISTEN_ADDRESS: &str = "listen-address";
/// The name of what refuses sources because of the lists of the service.
pub const ACCESS_LIST: &str = "access-list";

/// A service of the node.
#[derive(Debug, Clone, Default)]
pub struct Service<'h> {
    /// The daemon.
    pub name: &'static str,
    /// The addresses it listens on; none among them if it is all of them.
    pub addresses: Vec<Listening<'h>>,
    /// Whom it refuses, and the lines that say so.
    pub limits: Vec<Limit<'h>>,
    /// Why it may refuse more.
    pub doubts: Vec<Doubt>,
}

/// An address a service listens on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listening<'h> {
    /// The address; the unspecified one is every address of its family.
    pub address: IpAddr,
    /// The setting that names it, and where.
    pub setting: Setting<'h>,
}

/// A setting of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting<'h> {
    /// Its name.
    pub key: &'static str,
    /// The file.
    pub path: &'h str,
    /// The line; none for an option the service is started with.
    pub line: Option<u32>,
}

/// Sources that a setting makes the service refuse.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limit<'h> {
    /// [`LISTEN_ADDRESS`] or [`ACCESS_LIST`].
    pub kind: &'static str,
    /// The sources.
    pub refused: AddressSet,
    /// The setting.
    pub setting: Setting<'h>,
}

/// Who can send to a socket bound to this address: only the node itself to a loopback address, and nobody of the other
/// family. `dual`: the socket of the unspecified IPv6 address serves both families.
pub fn heard(address: IpAddr, dual: bool) -> AddressSet {
    match address {
        _ if address.is_loopback() => {
            AddressSet::loopback().intersect(&AddressSet::family(Family::of(address)))
        }
        IpAddr::V6(address) if address.is_unspecified() && dual => AddressSet::everything(),
        _ => AddressSet::family(Family::of(address)),
    }
}

impl<'h> Service<'h> {
    /// Whether it listens on some addresses of this family and not on all of them.
    pub fn only_on(&self, family: Family) -> Option<Vec<IpAddr>> {
        let of = self.addresses.iter().map(|one| one.address);
        let own: Vec<IpAddr> = of.filter(|address| Family::of(*address) == family).collect();
        let some = !self.addresses.is_empty() && own.iter().all(|address| !address.is_unspecified());
        some.then_some(own)
    }

    /// Whether anything narrows who reaches it.
    pub fn is_narrowed(&self) -> bool {
        !self.limits.is_empty() || !self.addresses.is_empty()
    }

    /// The settings that narrow it, each once.
    pub fn settings(&self) -> Vec<Setting<'h>> {
        let listening = self.addresses.iter().map(|one| one.setting);
        let limits = self.limits.iter().map(|limit| limit.setting);
        listening.chain(limits).fold(Vec::new(), |mut all, setting| {
            if !all.contains(&setting) {
                all.push(setting);
            }
            all
        })
    }

    /// Takes the addresses for those it listens on, unless it listens on all. A socket of the running node on another
    /// address is one of a daemon that was not restarted since: then the addresses say nothing.
    fn listens(&mut self, host: &Host, port: u16, listening: Vec<Listening<'h>>, dual: bool) {
        let named = |address: &IpAddr| listening.iter().any(|one| one.address == *address);
        let both = |address: &IpAddr| address.is_ipv6() && dual;
        let all = Family::BOTH.iter().all(|family| {
            let whole = |one: &Listening<'_>| {
                one.address.is_unspecified() && (Family::of(one.address) == *family || both(&one.address))
            };
            listening.iter().any(whole)
        });
        let sockets = host.sockets().value.as_ref().map(Vec::as_slice).unwrap_or_default();
        let mut waiting = sockets.iter().filter(|one| one.protocol == "tcp" && one.listener.port == port);
        let elsewhere = waiting.any(|socket| {
            let address = socket.listener.address.to_canonical();
            let covered = listening
                .iter()
                .any(|one| one.address.is_unspecified() && heard(one.address, dual).contains(address));
            !named(&address) && (address.is_unspecified() || !covered) && !address.is_loopback()
        });
        let Some(first) = listening.first().filter(|_| !all && !elsewhere) else { return };
        let heard = listening
            .iter()
            .fold(AddressSet::empty(), |heard_by, one| heard_by.union(&heard(one.address, dual)));
        let refused = AddressSet::everything().subtract(&heard);
        if !refused.is_empty() {
            self.limits.push(Limit { kind: LISTEN_ADDRESS, refused, setting: first.setting });
        }
        self.addresses = listening;
    }
}

impl Host {
    /// The service that waits on this port of the node, if it is one whose own restrictions are known.
    pub fn service_on(&self, protocol: u16, port: u16) -> Option<Service<'_>> {
        match port {
            _ if protocol != TCP => None,
            PVEPROXY => Some(self.proxy_service("pveproxy", port)),
            SPICEPROXY => Some(self.proxy_service("spiceproxy", port)),
            _ => self.ssh_service(port),
        }
    }

    fn proxy_service(&self, name: &'static str, port: u16) -> Service<'_> {
        let mut service = Service { name, ..Service::default() };
        let fact = self.proxy();
        service.doubts.extend(fact.doubts.iter().filter(|doubt| doubt.path == PROXY_DEFAULT).cloned());
        match &fact.value {
            Ok(Some(_)) if !service.doubts.is_empty() => {}
            Ok(Some(proxy)) => service.read_proxy(self, port, proxy),
            Err(Stop::Unknown(doubt)) => service.doubts.push(doubt.clone()),
            Ok(None) | Err(Stop::NotApplicable(_)) => {}
        }
        service
    }

    fn ssh_service(&self, port: u16) -> Option<Service<'_>> {
        let fact = self.sshd();
        let mut service = Service { name: "sshd", doubts: fact.doubts.clone(), ..Service::default() };
        let sshd = match &fact.value {
            Ok(sshd) => sshd,
            Err(Stop::Unknown(doubt)) if port == SSH => {
                service.doubts.push(doubt.clone());
                return Some(service);
            }
            Err(_) => return None,
        };
        let listening = match listening(sshd) {
            Ok(listening) => listening,
            Err(doubt) => {
                service.doubts.push(doubt);
                return (port == SSH).then_some(service);
            }
        };
        let here = listening.into_iter().filter(|(_, own)| *own == port).map(|(one, _)| one);
        let here: Vec<Listening<'_>> = here.collect();
        if here.is_empty() {
            return None;
        }
        // What is in doubt may be another address.
        if service.doubts.is_empty() {
            service.listens(self, port, here, false);
        }
        Some(service)
    }
}

impl<'h> Service<'h> {
    fn read_proxy(&mut self, host: &'h Host, port: u16, proxy: &Proxy) {
        let setting = |key, line| Setting { key, path: PROXY_DEFAULT, line: Some(line) };
        if let Some(listen) = &proxy.listen_ip {
            match proxy::listen_address(proxy) {
                Some(address) => {
                    let one = Listening { address, setting: setting("LISTEN_IP", listen.line) };
                    self.listens(host, port, vec![one], true);
                }
                None => self.doubts.push(Doubt {
                    line: Some(listen.line),
                    ..Doubt::about(
                        PROXY_DEFAULT,
                        "names no address to listen on but a host, which is looked up",
                    )
                }),
            }
        }
        let (allowed, denied) = proxy::lists(proxy);
        let mut refuse = |refused: AddressSet, key, line: Option<u32>| {
            if let Some(line) = line.filter(|_| !refused.is_empty()) {
                self.limits.push(Limit { kind: ACCESS_LIST, refused, setting: setting(key, line) });
            }
        };
        refuse(denied.subtract(&allowed), "DENY_FROM", proxy.deny_from.as_ref().map(|list| list.line));
        // What neither or both of the lists match.
        if let Some(policy) = proxy.policy.as_ref().filter(|policy| policy.value == Policy::Deny) {
            let decided = allowed.union(&denied).subtract(&allowed.intersect(&denied));
            refuse(AddressSet::everything().subtract(&decided), "POLICY", Some(policy.line));
        }
    }
}

/// The addresses and ports sshd listens on.
fn listening(sshd: &Sshd) -> Result<Vec<(Listening<'_>, u16)>, Doubt> {
    if let Some(socket) = &sshd.socket {
        let (path, line) = &socket.place;
        let setting = Setting { key: "ListenStream", path, line: *line };
        let doubt = || Doubt { line: *line, ..Doubt::about(path, "names an address that is not understood") };
        let mut all = Vec::new();
        // A path or an address of a virtual machine is none of the network.
        for text in socket.listens.iter().filter(|text| !text.starts_with(['/', '@', 'v'])) {
            let every = [IpAddr::from([0; 4]), IpAddr::from([0; 16])];
            match (text.parse().ok(), address_and_port(text)) {
                (Some(port), _) => all.extend(every.map(|address| (Listening { address, setting }, port))),
                (None, Some((address, port))) => all.push((Listening { address, setting }, port)),
                (None, None) => return Err(doubt()),
            }
        }
        return Ok(all);
    }
    let config = sshd.in_force().map_err(|stop| match stop {
        Stop::Unknown(doubt) => doubt,
        Stop::NotApplicable(why) => Doubt::about(&sshd.path, why),
    })?;
    if let Some(doubt) = sshd.doubts_about(&["listenaddress", "addressfamily", "port"]).next() {
        return Err(doubt);
    }
    let family = config.value_of("addressfamily").filter(|family| family.text != "any");
    let mut all = Vec::new();
    for value in config.values_of("listenaddress") {
        let doubt = || {
            let (path, line) = sshd.place(&value.source);
            Doubt { line, ..Doubt::about(path, "names an address to listen on that is not understood") }
        };
        let (address, port) = address_and_port(&value.text).ok_or_else(doubt)?;
        // Without a `ListenAddress` it is the family that leaves some out.
        let by_family = family.filter(|_| address.is_unspecified());
        let (key, source) = match by_family {
            Some(family) => ("AddressFamily", &family.source),
            None => ("ListenAddress", &value.source),
        };
        let (path, line) = sshd.place(source);
        all.push((Listening { address, setting: Setting { key, path, line } }, port));
    }
    Ok(all)
}

/// `192.0.2.1:22` or `[2001:db8::1]:22`.
fn address_and_port(text: &str) -> Option<(IpAddr, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Some((host.parse::<IpAddr>().ok()?.to_canonical(), port.parse().ok()?))
}
