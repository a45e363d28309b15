//! The sockets of the running kernel: `/proc/net/tcp`, `tcp6`, `udp` and `udp6`.
//!
//! Follows `proc_net(5)` and the kernel's `net/ipv4/tcp_ipv4.c` (`get_tcp4_sock`): addresses are words in the byte order
//! of the processor (little-endian on every machine Proxmox VE runs on), ports are big-endian.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Issue, Parsed, numbered};

/// State of a TCP socket that waits for connections (`TCP_LISTEN`).
const LISTEN: u8 = 0x0a;

/// State of a UDP socket that is bound and not connected (`TCP_CLOSE`).
const UNCONNECTED: u8 = 0x07;

/// A socket that waits for whoever comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// Where it waits; the unspecified address is all of them.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// The user it belongs to.
    pub uid: u32,
    /// Line in the file, counted from 1.
    pub line: u32,
}

/// Reads the listening sockets of one file; `udp` tells the protocol.
pub fn parse(text: &str, udp: bool) -> Parsed<Vec<Listener>> {
    let mut parsed = Parsed::<Vec<Listener>>::default();
    let wanted = if udp { UNCONNECTED } else { LISTEN };
    for (line, content) in numbered(text).skip(1) {
        let mut words = content.split_whitespace().skip(1);
        let (local, _, state) = (words.next(), words.next(), words.next());
        // Behind the state: queues, timer, retransmissions, then the user.
        let uid = words.nth(3).and_then(|uid| uid.parse().ok());
        let state = state.and_then(|state| u8::from_str_radix(state, 16).ok());
        match (local.and_then(socket), state, uid) {
            (Some(_), Some(state), _) if state != wanted => {}
            (Some((address, port)), Some(_), Some(uid)) => {
                parsed.value.push(Listener { address, port, uid, line });
            }
            _ => parsed.issues.push(Issue::new(line, "not a socket")),
        }
    }
    parsed
}

fn socket(text: &str) -> Option<(IpAddr, u16)> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    Some((to_address(address)?, port))
}

fn to_address(text: &str) -> Option<IpAddr> {
    let word = |text: &str| u32::from_str_radix(text, 16).ok().map(u32::to_le_bytes);
    if !text.is_ascii() {
        return None;
    }
    match text.len() {
        8 => word(text).map(|bytes| Ipv4Addr::from(bytes).into()),
        32 => {
            let mut bytes = [0_u8; 16];
            for (at, out) in bytes.chunks_mut(4).enumerate() {
                out.copy_from_slice(&word(text.get(at * 8..at * 8 + 8)?)?);
            }
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    #[test]
    fn listening_sockets_are_told_from_connected_ones() {
        let text = format!(
            "{HEAD}   0: 00000000:1F46 00000000:0000 0A 00000000:00000000 00:00000000 00000000    33        0 1564 1 0 100 0 0 10 0\n   \
             1: 0100007F:0055 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0\n   \
             2: 0A0200C0:1F46 640200C0:C001 01 00000000:00000000 00:00000000 00000000    33        0 2 1 0 20 4 0 10 -1\n"
        );
        let parsed = parse(&text, false);
        assert_eq!(parsed.issues, []);
        let seen: Vec<String> = parsed
            .value
            .iter()
            .map(|one| format!("{}:{} {} {}", one.address, one.port, one.uid, one.line))
            .collect();
        assert_eq!(seen, ["0.0.0.0:8006 33 2", "127.0.0.1:85 0 3"]);
    }

    #[test]
    fn ipv6_addresses_are_four_words() {
        let text = format!(
            "{HEAD} 0: 00000000000000000000000001000000:0016 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 1 1 0\n \
             1: B80D0120000000000000000010000000:006F 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 1 1 0\n \
             2: 0000000000000000FFFF00000100007F:0050 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 1 1 0\n"
        );
        let seen: Vec<String> = parse(&text, false).value.iter().map(|one| one.address.to_string()).collect();
        assert_eq!(seen, ["::1", "2001:db8::10", "127.0.0.1"]);
    }

    #[test]
    fn a_udp_socket_that_is_not_connected_waits_for_everybody() {
        let text = format!(
            "{HEAD} 40: 00000000:006F 00000000:0000 07 0:0 00:0 0 0 0 1 2 0 0\n 41: 0A0200C0:0044 010200C0:0043 01 0:0 00:0 0 0 0 1 2 0 0\n"
        );
        assert_eq!(parse(&text, true).value.len(), 1);
    }

    #[test]
    fn what_is_no_socket_is_an_issue() {
        assert_eq!(parse(&format!("{HEAD} 0: xyz\n\n"), false).issues.len(), 2);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn any_text_is_read(text in ".{0,200}", udp in any::<bool>()) {
            let _ = parse(&format!("{HEAD}{text}"), udp);
        }
    }
}
