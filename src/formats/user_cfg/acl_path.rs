//! Paths of ACL entries.
//!
//! Follows `normalize_path`, `find_acl_tree_node` and `check_path` in pve-access-control
//! `src/PVE/AccessControl.pm`.

use super::names::{is_pool_name, is_word};
use crate::formats::release::Release;

/// Smallest guest id the API accepts in a path, by its number of digits.
const VMID_MIN_DIGITS: usize = 3;
/// Most digits of a VLAN tag in a path.
const VLAN_MAX_DIGITS: usize = 4;

/// The path an ACL line with this path text takes effect on, or nothing if upstream refuses it.
///
/// Runs of `/` collapse, one trailing `/` goes, a leading `/` comes. A component `0` is false in Perl and is
/// skipped when the entry is stored, so `/vms/0` takes effect on `/vms`, and `/0` on `/`.
pub fn normalise(text: &str) -> Option<String> {
    if text.is_empty() || text == "0" || !text.chars().all(|c| is_word(c) || c == '/') {
        return None;
    }
    let mut path = String::with_capacity(text.len().saturating_add(1));
    for part in text.split('/').filter(|part| !part.is_empty() && *part != "0") {
        path.push('/');
        path.push_str(part);
    }
    if path.is_empty() {
        path.push('/');
    }
    Some(path)
}

/// Whether the API of `release` accepts an ACL on this (normalised) path. An entry on any other path can only
/// come from an editor; it is kept, but no API call checks that path.
pub fn is_api_path(path: &str, release: Release) -> bool {
    let Some(rest) = path.strip_prefix('/') else { return false };
    let parts: Vec<&str> = if rest.is_empty() { Vec::new() } else { rest.split('/').collect() };
    let word = |part: &str| !part.is_empty() && part.chars().all(is_word);
    match parts.as_slice() {
        [] | ["access" | "nodes" | "pool" | "sdn" | "storage" | "vms"] | ["access", "groups" | "realm"] => {
            true
        }
        ["access", "groups" | "realm", name] | ["nodes" | "storage", name] => word(name),
        ["pool", ..] => {
            rest.split_once('/').is_some_and(|(_, pool)| pool == "0" || is_pool_name(pool, release))
        }
        ["vms", id] => is_number(id) && id.len() >= VMID_MIN_DIGITS,
        ["sdn", rest @ ..] => is_sdn_path(rest, release),
        ["mapping", rest @ ..] => {
            release >= Release::Pve8 && rest.len() <= 2 && rest.iter().all(|part| word(part))
        }
        _ => false,
    }
}

fn is_sdn_path(parts: &[&str], release: Release) -> bool {
    let word = |part: &str| !part.is_empty() && part.chars().all(is_word);
    let alnum = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric());
    let since = |kind: &str| match kind {
        "zones" => Some(Release::Pve7),
        "controllers" | "dns" | "ipams" => Some(Release::Pve8),
        "fabrics" | "prefix-lists" | "route-maps" => Some(Release::Pve9),
        _ => None,
    };
    match parts {
        ["vnets", vnet] => release == Release::Pve7 && word(vnet),
        [kind, ..] if since(kind).is_none_or(|first| release < first) => false,
        [_] => true,
        ["zones", zone] => word(zone),
        ["zones", zone, vnet] => word(zone) && word(vnet),
        ["zones", zone, vnet, vlan] => {
            word(zone) && word(vnet) && is_number(vlan) && vlan.len() <= VLAN_MAX_DIGITS
        }
        ["controllers", id] => !id.is_empty() && id.chars().all(|c| is_word(c) && c != '.'),
        [_, id] => alnum(id),
        _ => false,
    }
}

/// Digits without a leading zero.
fn is_number(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('0') && text.chars().all(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(text: &str) -> String {
        normalise(text).unwrap_or_else(|| "refused".to_owned())
    }

    #[test]
    fn slashes_are_tidied() {
        assert_eq!(normal("/"), "/");
        assert_eq!(normal("vms/100"), "/vms/100");
        assert_eq!(normal("//vms///100/"), "/vms/100");
        assert_eq!(normal("///"), "/");
    }

    #[test]
    fn an_empty_path_and_other_characters_are_refused() {
        for bad in ["", "0", "/a b", "/a@b", "/ä", "/*"] {
            assert_eq!(normalise(bad), None, "{bad}");
        }
    }

    #[test]
    fn dots_are_ordinary_components() {
        assert_eq!(normal("/vms/../access"), "/vms/../access");
    }

    #[test]
    fn a_component_0_takes_the_entry_one_level_up() {
        assert_eq!(normal("/vms/0"), "/vms");
        assert_eq!(normal("/0"), "/");
        assert_eq!(normal("0/"), "/");
        assert_eq!(normal("/pool/0/a"), "/pool/a");
        assert_eq!(normal("/vms/00"), "/vms/00");
    }

    #[test]
    fn the_api_accepts_the_common_paths_in_every_release() {
        let paths = "/ /access /access/groups /access/groups/g /access/realm /access/realm/r /nodes /nodes/n \
                     /pool /pool/p /storage /storage/s /vms /vms/100 /sdn /sdn/zones /sdn/zones/z \
                     /sdn/zones/z/v /sdn/zones/z/v/1 /sdn/zones/z/v/9999";
        for path in paths.split_whitespace() {
            assert!(Release::ALL.into_iter().all(|release| is_api_path(path, release)), "{path}");
        }
    }

    #[test]
    fn frequent_misspellings_are_not_paths_of_the_api() {
        let paths = "/access/realms/x /access/users /pools/x /node/x /vm/x /users /vms/99 /vms/0100 /vms/100/x \
                     /sdn/zones/z/v/0 /sdn/zones/z/v/10000 /sdn/zones/z/v/1/x /mapping/pci/a/b /sdn/x \
                     /nodes/n/x /pool/a//b vms";
        for path in paths.split_whitespace() {
            assert!(!Release::ALL.into_iter().any(|release| is_api_path(path, release)), "{path}");
        }
    }

    #[test]
    fn some_paths_came_and_went_with_the_releases() {
        let known = |path: &str| Release::ALL.map(|release| is_api_path(path, release));
        assert_eq!(known("/sdn/vnets/v"), [true, false, false]);
        for path in
            ["/mapping", "/mapping/pci", "/mapping/pci/gpu", "/sdn/dns/d", "/sdn/ipams", "/pool/a/b/c"]
        {
            assert_eq!(known(path), [false, true, true], "{path}");
        }
        for path in ["/sdn/fabrics/f", "/sdn/prefix-lists", "/sdn/route-maps/m"] {
            assert_eq!(known(path), [false, false, true], "{path}");
        }
    }
}
