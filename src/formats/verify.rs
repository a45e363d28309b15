//! Named formats of pve-common's `PVE::JSONSchema` and pve-storage's `PVE::Storage` that decide whether an option
//! that matters is kept. Each is the `pve_verify_*` function of the same name.

use super::perl;

/// `pve-configid`: two or more letters, digits, `_`, `-`, starting with a letter.
pub(crate) fn config_id(text: &str) -> bool {
    let mut rest = text.chars();
    rest.next().is_some_and(|first| first.is_ascii_alphabetic())
        && text.len() >= 2
        && rest.all(|each| perl::is_word(each) || each == '-')
}

/// `pve-storage-id`: two or more letters, digits, `_`, `-`, `.`, starting with a letter, ending with a letter or digit.
pub(crate) fn storage_id(text: &str) -> bool {
    text.len() >= 2
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.ends_with(|last: char| last.is_ascii_alphanumeric())
        && text.chars().all(|each| perl::is_word(each) || matches!(each, '-' | '.'))
}

/// `pve-volume-id`: a storage id, a colon, something.
pub(crate) fn volume_id(text: &str) -> bool {
    text.split_once(':').is_some_and(|(storage, volume)| storage_id(storage) && !volume.is_empty())
}

/// `pve-volume-id-or-qm-path`: `none`, `cdrom`, an absolute path or a volume id.
pub(crate) fn volume_id_or_path(text: &str) -> bool {
    matches!(text, "none" | "cdrom") || text.starts_with('/') || volume_id(text)
}

/// `disk-size`: a number and an optional unit K, M, G, T, each with an optional `iB`.
pub(crate) fn disk_size(text: &str) -> bool {
    let text = text.strip_suffix("iB").filter(|rest| rest.ends_with(['K', 'M', 'G', 'T'])).unwrap_or(text);
    decimal(text.strip_suffix(['K', 'M', 'G', 'T']).unwrap_or(text))
}

/// `\d+(\.\d+)?`
pub(crate) fn decimal(text: &str) -> bool {
    match text.split_once('.') {
        Some((whole, part)) => perl::is_digits(whole) && perl::is_digits(part),
        None => perl::is_digits(text),
    }
}

/// `mac-addr`: six hexadecimal octets of a unicast address.
pub(crate) fn mac_address(text: &str) -> bool {
    let octets: Vec<&str> = text.split(':').collect();
    let is_octet = |octet: &&str| octet.len() == 2 && octet.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_unicast = |octet: &str| octet.ends_with(['0', '2', '4', '6', '8', 'a', 'c', 'e', 'A', 'C', 'E']);
    octets.len() == 6 && octets.iter().all(is_octet) && octets.first().is_some_and(|first| is_unicast(first))
}

/// `[-_.\w\d]+`, the name of a bridge or of a network device in a container.
pub(crate) fn interface_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|each| perl::is_word(each) || matches!(each, '-' | '.'))
}

/// `dns-name`: dot-separated labels of letters, digits and inner hyphens.
pub(crate) fn dns_name(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.split('.').all(is_label)
}

/// `address`: an IP address or a `dns-name`.
pub(crate) fn address(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok() || dns_name(text)
}

/// `pve-tag-list`: tags of letters, digits, `_`, `-`, `+`, `.`, starting with a letter, a digit or `_`.
pub(crate) fn tag_list(text: &str) -> bool {
    let is_tag = |tag: &str| {
        tag.starts_with(perl::is_word) && tag.chars().all(|each| perl::is_word(each) || "-+.".contains(each))
    };
    perl::split_list(text).into_iter().all(is_tag)
}

/// `pve-node`: letters, digits and inner hyphens, not starting or ending with a hyphen.
pub(crate) fn node_name(text: &str) -> bool {
    dns_name(text) && !text.contains('.')
}

/// `pve-vmid`: a number from 100 to 999999999 without leading zero.
pub(crate) fn vmid(text: &str) -> bool {
    (3..=9).contains(&text.len()) && perl::is_digits(text) && !text.starts_with('0')
}

/// `pve-vmid-list`: one bad entry makes the whole list bad.
pub(crate) fn vmid_list(text: &str) -> bool {
    perl::split_list(text).into_iter().all(vmid)
}

/// `realm`: two or more letters, digits, `.`, `-`, `_`, starting with a letter.
pub(crate) fn realm(text: &str) -> bool {
    text.len() >= 2
        && text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.chars().all(|each| perl::is_word(each) || matches!(each, '-' | '.'))
}

/// A `;` list of VLAN ids or ranges of them.
pub(crate) fn vlan_ranges(text: &str) -> bool {
    let is_range = |item: &str| match item.split_once('-') {
        Some((from, to)) => perl::is_digits(from) && perl::is_digits(to),
        None => perl::is_digits(item),
    };
    text.split(';').all(is_range)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_their_patterns() {
        assert!(
            config_id("ab") && config_id("a-1_B") && !config_id("a") && !config_id("1a") && !config_id("a.b")
        );
        assert!(storage_id("local-lvm") && storage_id("a.b") && !storage_id("a") && !storage_id("ab-"));
        assert!(volume_id("local:100/x") && !volume_id("x") && !volume_id("local:") && !volume_id("/a:b"));
        assert!(volume_id_or_path("none") && volume_id_or_path("/dev/sda") && !volume_id_or_path("disk.raw"));
        assert!(vmid("100") && vmid("999999999") && !vmid("0100") && !vmid("99") && !vmid("1000000000"));
        assert!(vmid_list("100, 101;102") && !vmid_list("100,0101"));
        assert!(realm("my-realm.1") && !realm("a") && !realm("1a"));
        assert!(node_name("pve1") && !node_name("pve1.example.com") && !node_name("-a"));
    }

    #[test]
    fn sizes_have_one_unit_at_most() {
        for good in ["1", "1.5G", "528K", "1TiB", "4M"] {
            assert!(disk_size(good), "{good}");
        }
        for bad in ["", "G", "1g", "1GB", "1iB", ".5G", "1KK"] {
            assert!(!disk_size(bad), "{bad}");
        }
    }

    #[test]
    fn network_names_and_addresses_follow_their_patterns() {
        assert!(
            mac_address("BC:24:11:99:95:24") && !mac_address("BD:24:11:99:95:24") && !mac_address("BC:24")
        );
        assert!(interface_name("vmbr0.5") && !interface_name("") && !interface_name("a b"));
        assert!(vlan_ranges("10;20-30") && !vlan_ranges("10;") && !vlan_ranges("a"));
        assert!(dns_name("a-b.example") && !dns_name("-a") && !dns_name("a..b") && !dns_name("a_b"));
        assert!(tag_list("prod;web+1") && !tag_list("-x"));
    }
}
