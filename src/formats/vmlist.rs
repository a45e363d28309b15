//! `/etc/pve/.vmlist`: all guests of the cluster, as pmxcfs knows them.
//!
//! Follows `proxmox/pve-cluster:src/pmxcfs/status.c` (`cfs_create_vmlist_msg`): JSON with `version` and `ids`, a
//! map from VMID to node, type and version.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Issue, Parsed};

/// Kind of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Virtual machine (`qemu`).
    Qemu,
    /// Container (`lxc`).
    Lxc,
}

/// One guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guest {
    /// Node that holds the configuration.
    pub node: String,
    /// Kind of guest.
    pub kind: Kind,
}

/// The guests by VMID.
pub type Vmlist = BTreeMap<u32, Guest>;

/// Reads the text of `/etc/pve/.vmlist`.
pub fn parse(text: &str) -> Parsed<Vmlist> {
    let mut parsed = Parsed::<Vmlist>::default();
    let root: Value = match serde_json::from_str(text) {
        Ok(root) => root,
        Err(error) => {
            parsed.issues.push(not_json(&error));
            return parsed;
        }
    };
    // Without guests pmxcfs writes the version alone (src/pmxcfs/status.c, `cfs_create_vmlist_msg`).
    if root.get("ids").is_none() && root.get("version").is_some_and(Value::is_u64) {
        return parsed;
    }
    let Some(ids) = root.get("ids").and_then(Value::as_object) else {
        parsed.issues.push(Issue::new(1, "no map `ids`, the list of guests is not known"));
        return parsed;
    };
    for (vmid, entry) in ids {
        match (vmid.parse(), guest(entry)) {
            (Ok(vmid), Some(guest)) => drop(parsed.value.insert(vmid, guest)),
            _ => parsed.issues.push(Issue::new(1, "a guest of `ids` has no VMID, node or known type")),
        }
    }
    parsed
}

fn guest(entry: &Value) -> Option<Guest> {
    let kind = match entry.get("type")?.as_str()? {
        "qemu" => Kind::Qemu,
        "lxc" => Kind::Lxc,
        _ => return None,
    };
    Some(Guest { node: entry.get("node")?.as_str()?.to_owned(), kind })
}

/// The issue for a text that is no JSON, on the line where reading it failed.
pub(super) fn not_json(error: &serde_json::Error) -> Issue {
    let line = u32::try_from(error.line()).unwrap_or(u32::MAX).max(1);
    Issue::new(line, "not JSON, nothing of the file is known")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_pmxcfs_is_read() {
        let text = "{\n\"version\": 10,\n\"ids\": {\n\
                    \"100\": { \"node\": \"pvec1\", \"type\": \"qemu\", \"version\": 10 },\n\
                    \"120\": { \"node\": \"pvec3\", \"type\": \"lxc\", \"version\": 8 }}\n\n}\n";
        let parsed = parse(text);
        assert_eq!(parsed.issues, []);
        assert_eq!(parsed.value[&100], Guest { node: "pvec1".to_owned(), kind: Kind::Qemu });
        assert_eq!(parsed.value[&120].kind, Kind::Lxc);
    }

    #[test]
    fn a_node_without_guests_has_an_empty_list() {
        assert_eq!(parse("{\n\"version\": 1\n\n}\n"), Parsed::default());
        assert_eq!(parse("{\n\"version\": 1,\n\"ids\": {\n}\n\n}\n"), Parsed::default());
    }

    #[test]
    fn a_cut_text_and_a_missing_map_are_issues() {
        assert_eq!(parse("{\n\"version\": 10,\n\"ids\": {\n").issues[0].line, 4);
        assert_eq!(parse("").issues[0].line, 1);
        assert_eq!(parse("[]").issues.len(), 1);
        assert_eq!(parse("{\"version\": 1, \"ids\": 7}").issues.len(), 1);
    }

    #[test]
    fn one_bad_guest_leaves_the_others() {
        let text = r#"{"ids":{"x":{"node":"a","type":"lxc"},"101":{"node":"a","type":"openvz"},"102":{"node":"a","type":"lxc"}}}"#;
        let parsed = parse(text);
        assert_eq!(parsed.issues.len(), 2);
        assert_eq!(parsed.value.keys().copied().collect::<Vec<_>>(), [102]);
    }

    #[test]
    fn deep_nesting_is_refused_without_harm() {
        assert_eq!(parse(&"[".repeat(100_000)).issues.len(), 1);
    }
}
