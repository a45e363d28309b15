//! The sockets of the running node that wait for packets.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::host::Host;
use crate::host::firewall::reach::{TCP, UDP};

/// The addresses on which somebody waits, by protocol and port; none in a tree, where nothing runs.
pub(super) struct Live(Option<BTreeMap<(u16, u16), Vec<IpAddr>>>);

impl Live {
    pub(super) fn of(host: &Host) -> Self {
        let sockets = host.sockets();
        // What could not be read of the tables may be a socket.
        let whole = sockets.value.as_ref().ok().filter(|_| sockets.doubts.is_empty());
        let Some(all) = whole else { return Self(None) };
        let mut found: BTreeMap<(u16, u16), Vec<IpAddr>> = BTreeMap::new();
        for socket in all.iter().filter(|socket| !socket.may_be_client()) {
            let protocol = if socket.protocol == "udp" { UDP } else { TCP };
            found.entry((protocol, socket.listener.port)).or_default().push(socket.listener.address);
        }
        for addresses in found.values_mut() {
            addresses.sort_unstable();
            addresses.dedup();
        }
        Self(Some(found))
    }

    /// The ports besides `known` on which somebody waits for others than the node itself.
    pub(super) fn others(&self, known: &[(u16, u16, u16)]) -> Vec<(u16, u16, u16)> {
        let is_known = |protocol: u16, port: u16| {
            known.iter().any(|(own, first, last)| *own == protocol && (*first..=*last).contains(&port))
        };
        let open = self
            .0
            .iter()
            .flatten()
            .filter(|(_, addresses)| addresses.iter().any(|address| !address.is_loopback()));
        let open = open.filter(|((protocol, port), _)| !is_known(*protocol, *port));
        open.map(|((protocol, port), _)| (*protocol, *port, *port)).collect()
    }

    /// Who waits on these ports: addresses and port; none if that is not known.
    pub(super) fn on(&self, protocol: u16, ports: &[(u16, u16)]) -> Option<Vec<(IpAddr, u16)>> {
        let all = self.0.as_ref()?;
        let ranges = ports.iter().flat_map(|(first, last)| all.range((protocol, *first)..=(protocol, *last)));
        Some(
            ranges
                .flat_map(|((_, port), addresses)| addresses.iter().map(|address| (*address, *port)))
                .collect(),
        )
    }
}

/// The same for people: where, or that nobody does.
pub(super) fn words(waiting: &[(IpAddr, u16)]) -> String {
    /// Most sockets that are listed.
    const MOST: usize = 4;
    if waiting.is_empty() {
        return "nobody listens".to_owned();
    }
    let one = |(address, port): &(IpAddr, u16)| match address {
        IpAddr::V6(address) => format!("[{address}]:{port}"),
        IpAddr::V4(address) => format!("{address}:{port}"),
    };
    let some: Vec<String> = waiting.iter().take(MOST).map(one).collect();
    let more = waiting.len().saturating_sub(MOST);
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    format!("listens on {}{more}", some.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Files, Node, Tree};

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn live(tcp: &str, udp: &str) -> Live {
        let mut tree = Tree::default();
        for (path, lines) in
            [("/proc/net/tcp", tcp), ("/proc/net/tcp6", ""), ("/proc/net/udp", udp), ("/proc/net/udp6", "")]
        {
            tree.insert(path, Node::file(format!("{HEAD}{lines}")));
        }
        Live::of(&Host::new(Files::memory(tree), None, None))
    }

    fn line(socket: &str, state: &str) -> String {
        format!("   0: {socket} 00000000:0000 {state} 0:0 00:0 0 0 0 1 1 0\n")
    }

    #[test]
    fn sockets_are_told_for_the_ports_of_a_row_and_others_get_one_of_their_own() {
        let tcp = [line("00000000:006F", "0A"), line("0100007F:0055", "0A"), line("0A0200C0:1F90", "0A")];
        let live = live(&tcp.concat(), &line("00000000:C000", "07"));
        assert_eq!(words(&live.on(TCP, &[(100, 120)]).unwrap()), "listens on 0.0.0.0:111");
        assert_eq!(words(&live.on(TCP, &[(85, 85)]).unwrap()), "listens on 127.0.0.1:85");
        assert_eq!(words(&live.on(UDP, &[(111, 111)]).unwrap()), "nobody listens");
        let others = live.others(&[(TCP, 111, 111)]);
        assert_eq!(others, [(TCP, 8080, 8080)], "neither what the node says to itself nor ports of clients");
    }

    #[test]
    fn without_whole_tables_nothing_is_said() {
        let host = Host::new(Files::memory(Tree::default()), None, None);
        assert_eq!(Live::of(&host).on(TCP, &[(22, 22)]), None);
        assert_eq!(live(&line("what", "0A"), "").on(TCP, &[(22, 22)]), None);
    }
}
