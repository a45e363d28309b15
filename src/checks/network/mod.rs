//! Checks of the network besides the firewall: bridges, packets, listening sockets, the proxies, the software-defined
//! network, other firewalls.

mod bridges;
mod forwards;
mod listeners;
mod packets;
mod proxy;
mod rivals;
mod sdn;

pub(crate) use bridges::{
    guest_reaches_every_vlan, node_address_shared_with_guests, router_advertisements_of_guests_accepted,
};
pub(crate) use forwards::port_forward_to_management_port;
pub(crate) use listeners::unexpected_listener;
pub(crate) use packets::{
    bridge_filter_off, node_forwards_packets, redirects_accepted, redirects_sent, reverse_path_filter_off,
};
pub(crate) use proxy::{proxy_access_list_without_effect, proxy_settings_refused, proxy_trusts_any_header};
pub(crate) use rivals::competing_firewall;
pub(crate) use sdn::{
    sdn_change_not_applied, sdn_guests_not_isolated, sdn_overlay_in_clear_text, sdn_secret_over_http,
    sdn_secret_readable,
};

/// How many pieces of evidence of one kind a finding carries; its summary tells how many there are.
const MOST_EVIDENCE: usize = 20;

/// How many names a summary carries.
const MOST_NAMES: usize = 5;

/// `1, 2, 3 and 4 more`.
fn some_of<T: ToString>(all: &[T]) -> String {
    let some: Vec<String> = all.iter().take(MOST_NAMES).map(T::to_string).collect();
    match all.len().saturating_sub(MOST_NAMES) {
        0 => some.join(", "),
        more => format!("{} and {more} more", some.join(", ")),
    }
}

/// `guest 1` or `guests 1, 2`.
pub(super) fn guests_named(all: &[u32]) -> String {
    let noun = if all.len() == 1 { "guest" } else { "guests" };
    format!("{noun} {}", some_of(all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_names_the_first_few() {
        assert_eq!(guests_named(&[100]), "guest 100");
        assert_eq!(guests_named(&[1, 2, 3, 4, 5, 6, 7]), "guests 1, 2, 3, 4, 5 and 2 more");
    }
}
