//! Sockets that wait for the network and that nobody asked for.

use std::collections::BTreeMap;

use crate::catalogue::Severity;
use crate::checks::{Judged, Look};
use crate::host::network::Socket;
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// Services that give more than they should to whoever reaches them.
const DANGEROUS: [(&str, &str, Severity); 15] = [
    ("tcp/21", "FTP, with passwords in clear text", Severity::High),
    ("tcp/23", "telnet, with passwords in clear text", Severity::High),
    ("tcp/512", "rexec, with passwords in clear text", Severity::High),
    ("tcp/513", "rlogin, which trusts addresses", Severity::High),
    ("tcp/514", "rsh or syslog, which trust addresses", Severity::High),
    ("udp/69", "TFTP, which asks for no password", Severity::High),
    ("tcp/873", "rsync, which may ask for no password", Severity::Medium),
    ("tcp/2049", "NFS", Severity::Medium),
    ("tcp/2375", "the interface of Docker, root for whoever reaches it", Severity::Critical),
    ("tcp/2379", "etcd, which may ask for no password", Severity::High),
    ("tcp/3260", "an iSCSI target", Severity::Medium),
    ("tcp/6379", "Redis, which asks for no password by default", Severity::High),
    ("tcp/11211", "memcached, which asks for no password", Severity::High),
    ("udp/161", "SNMP", Severity::Medium),
    ("udp/11211", "memcached, which asks for no password", Severity::High),
];

pub(crate) fn unexpected_listener(look: &Look<'_>) -> Judged {
    look.take(look.host.cluster_files())?;
    let sockets = look.take(look.host.sockets())?;
    let expected = look.list("expected");
    let mut open: BTreeMap<(&str, u16), Vec<&Socket>> = BTreeMap::new();
    for socket in sockets.iter().filter(|socket| is_open(socket)) {
        open.entry((socket.protocol, socket.listener.port)).or_default().push(socket);
    }
    if open.is_empty() {
        return look.one(Subject::node(), Judgement::pass("nothing waits for the network"));
    }
    look.each(
        open,
        |((protocol, port), _)| Subject::new(SubjectKind::Service, format!("{protocol}/{port}")),
        |_, ((protocol, port), sockets)| Ok(judge(protocol, *port, sockets, &expected)),
    )
}

fn is_open(socket: &Socket) -> bool {
    socket.is_open() && !socket.may_be_client()
}

fn judge(protocol: &str, port: u16, sockets: &[&Socket], expected: &[String]) -> Judgement {
    let seen = sockets.iter().map(|socket| {
        let observed = format!("{} port {port}, user {}", socket.listener.address, socket.listener.uid);
        Evidence::at(socket.path, socket.listener.line).observed(observed)
    });
    if expected.iter().any(|known| covers(known, protocol, port)) {
        return Judgement::pass(format!("{protocol} port {port} is one of those expected")).with_all(seen);
    }
    let id = format!("{protocol}/{port}");
    match DANGEROUS.iter().find(|(known, ..)| *known == id) {
        Some((_, what, severity)) => {
            Judgement::fail(format!("{protocol} port {port} waits for the network: {what}"))
                .severity(*severity)
        }
        None => Judgement::fail(format!("{protocol} port {port} waits for the network and is not expected")),
    }
    .with_all(seen)
}

/// Whether `tcp/22` or `tcp/5900-5999` names the port.
fn covers(known: &str, protocol: &str, port: u16) -> bool {
    let Some((named, ports)) = known.split_once('/') else { return false };
    let (first, last) = ports.split_once('-').unwrap_or((ports, ports));
    let bounds = first.parse::<u16>().ok().zip(last.parse::<u16>().ok());
    named == protocol && bounds.is_some_and(|(first, last)| (first..=last).contains(&port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_ranges_are_named() {
        assert!(covers("tcp/22", "tcp", 22) && covers("tcp/5900-5999", "tcp", 5950));
        assert!(!covers("tcp/22", "udp", 22) && !covers("22", "tcp", 22) && !covers("tcp/x", "tcp", 22));
    }
}
