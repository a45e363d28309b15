//! Checks of the firewall.

mod backends;
mod exposure;
mod files;
mod guests;
mod rules;
mod state;

use crate::checks::Look;
use crate::formats::firewall::address::{Cidr, Family};
use crate::formats::firewall::rule::Rule;
use crate::host::firewall::cover::AddressSet;
use crate::host::firewall::{Backend, CLUSTER_FW, File};
use crate::host::guests::{Guest, GuestConfig};
use crate::host::{Fact, Stop};

pub(crate) use backends::line_read_otherwise_by_nftables;
pub(crate) use exposure::{
    blacklist_without_effect, denial_of_management_without_effect, input_policy_accepts,
    internal_port_open_to_anywhere, local_network_too_wide, management_port_open_to_anywhere,
    management_set_too_wide, security_group_opens_node_to_guests,
};
pub(crate) use files::{
    forward_rules_without_effect, port_zero_matches_every_port, rule_ignored_by_proxmox,
    ruleset_does_not_load,
};
pub(crate) use guests::{
    guest_address_not_checked, guest_input_policy_accepts, guest_management_port_open_to_anywhere,
    guest_may_pose_as_another, guest_nic_unfiltered,
};
pub(crate) use rules::{
    firewall_file_of_no_guest, node_lets_odd_packets_in, rule_accepts_everything, rule_for_missing_interface,
};
pub(crate) use state::{datacenter_firewall_off, drops_not_logged, node_firewall_off, service_not_enabled};

/// How many pieces of evidence of one kind a finding carries; its summary tells how many there are.
const MOST_EVIDENCE: usize = 20;

/// How many networks of a set are shown.
const MOST_NETWORKS: usize = 8;

/// cluster.fw, if it switches the firewall on: else nothing of the firewall has an effect.
fn switched_on<'h>(look: &Look<'h>) -> Result<&'h File, Stop> {
    let datacenter = look.take(look.host.datacenter_firewall())?;
    if datacenter.firewall.is_enabled(look.now.as_second()) {
        Ok(datacenter)
    } else {
        Err(Stop::not_applicable("the firewall of the datacenter is off"))
    }
}

/// What filters the packets to this node.
struct Filter<'h> {
    datacenter: &'h File,
    node: &'h File,
    backend: Backend,
}

/// The same, if the node is filtered.
fn filtered_node<'h>(look: &Look<'h>) -> Result<Filter<'h>, Stop> {
    let datacenter = switched_on(look)?;
    let node = look.take(look.host.node_firewall())?;
    if !node.firewall.is_enabled(look.now.as_second()) {
        return Err(Stop::not_applicable("the firewall of this node is off"));
    }
    let backend = *look.take(look.host.firewall_backend())?;
    heed_units(look);
    Ok(Filter { datacenter, node, backend })
}

/// Where nothing loads the rules, what they say is no reason to pass.
fn heed_units(look: &Look<'_>) {
    for doubt in look.host.firewall_not_started() {
        look.doubt(doubt);
    }
}

/// A file with rules.
struct RuleFile<'h> {
    path: String,
    fact: &'h Fact<File>,
    guest: Option<&'h Guest>,
}

impl<'h> RuleFile<'h> {
    fn take(&self, look: &Look<'h>) -> Result<&'h File, Stop> {
        // The doubts about cluster.fw weigh on every file already.
        if self.path == CLUSTER_FW {
            self.fact.value.as_ref().map_err(Clone::clone)
        } else {
            look.take(self.fact)
        }
    }
}

/// The files that hold rules: of the datacenter, of this node and of the guests; only of those on this node, if
/// `local`.
fn rule_files<'h>(look: &Look<'h>, local: bool) -> Vec<RuleFile<'h>> {
    let host = look.host;
    let node = host.node_name().unwrap_or_default();
    let mut all = vec![
        RuleFile { path: CLUSTER_FW.to_owned(), fact: host.datacenter_firewall(), guest: None },
        RuleFile { path: format!("/etc/pve/nodes/{node}/host.fw"), fact: host.node_firewall(), guest: None },
    ];
    match (look.take(host.guests()), look.take(host.guest_firewalls())) {
        (Ok(guests), Ok(files)) => {
            let wanted = guests.all.iter().filter(|guest| !local || guest.is_local(host));
            all.extend(wanted.filter_map(|guest| {
                let path = format!("/etc/pve/firewall/{}.fw", guest.vmid);
                Some(RuleFile { path, fact: files.get(&guest.vmid)?, guest: Some(guest) })
            }));
        }
        (Err(Stop::Unknown(doubt)), _) | (_, Err(Stop::Unknown(doubt))) => look.doubt(doubt),
        _ => {}
    }
    all.retain(|file| file.fact.value.as_ref().map_or(true, |file| file.exists));
    all
}

/// A virtual network card.
struct Card {
    option: String,
    line: u32,
    filtered: bool,
    unplugged: bool,
}

fn cards(config: &GuestConfig) -> Vec<Card> {
    match config {
        GuestConfig::Vm(config) => {
            let cards = config.current.nics().into_iter();
            cards
                .map(|nic| Card {
                    option: nic.option,
                    line: nic.line,
                    filtered: nic.firewall,
                    unplugged: nic.link_down,
                })
                .collect()
        }
        GuestConfig::Container(config) => {
            let cards = config.current.nics().into_iter();
            cards
                .map(|nic| Card {
                    option: nic.option,
                    line: nic.line,
                    filtered: nic.firewall,
                    unplugged: nic.link_down,
                })
                .collect()
        }
    }
}

/// The networks of a set; of many, what is missing to all of a family if that is less, else the first few.
pub(super) fn shown_set(set: &AddressSet) -> String {
    let mut shown = Vec::new();
    for family in Family::BOTH {
        let whole = AddressSet::family(family);
        let networks = set.intersect(&whole).networks();
        let missing = whole.subtract(set).networks();
        if networks.len() > MOST_NETWORKS && missing.len() < networks.len() {
            shown.push(format!("{whole} except {}", first_few(&missing)));
        } else if !networks.is_empty() {
            shown.push(first_few(&networks));
        }
    }
    shown.join(", ")
}

fn first_few(networks: &[Cidr]) -> String {
    let some: Vec<String> = networks.iter().take(MOST_NETWORKS).map(ToString::to_string).collect();
    match networks.len().saturating_sub(MOST_NETWORKS) {
        0 => some.join(", "),
        more => format!("{} and {more} more", some.join(", ")),
    }
}

/// `one line` or `3 lines`.
fn counted(number: usize, noun: &str) -> String {
    if number == 1 { format!("one {noun}") } else { format!("{number} {noun}s") }
}

/// All rules of a file, those of its security groups too.
fn all_rules(file: &File) -> impl Iterator<Item = &Rule> {
    let groups = file.firewall.groups.values().flat_map(|group| &group.rules);
    file.firewall.rules.iter().chain(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_with_few_holes_is_shown_by_its_holes() {
        let network = |text: &str| AddressSet::network(Cidr { address: text.parse().unwrap(), prefix: 24 });
        let all = AddressSet::everything();
        assert_eq!(shown_set(&all), "0.0.0.0/0, ::/0");
        let hole = all.subtract(&network("203.0.113.0"));
        assert_eq!(shown_set(&hole), "0.0.0.0/0 except 203.0.113.0/24, ::/0");
        let many = (0..20_u8).fold(AddressSet::empty(), |set, n| set.union(&network(&format!("10.{n}.2.0"))));
        assert!(shown_set(&many).ends_with("10.7.2.0/24 and 12 more"), "{}", shown_set(&many));
        assert_eq!(shown_set(&AddressSet::empty()), "");
    }
}
