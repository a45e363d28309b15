//! `/etc/pve/.members`: the nodes of the cluster, as pmxcfs knows them.
//!
//! Follows `proxmox/pve-cluster:src/pmxcfs/status.c` (`cfs_create_memberlist_msg`): JSON with `nodename` and
//! `version`, and in a cluster `cluster` and `nodelist`.

use std::collections::BTreeMap;

use serde_json::Value;

use super::vmlist::not_json;
use super::{Issue, Parsed};

/// What `.members` says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Members {
    /// Name of the node the file was read on.
    pub nodename: Option<String>,
    /// The cluster; `None` on a node that is in none.
    pub cluster: Option<Cluster>,
    /// Nodes by name; empty on a node that is in no cluster.
    pub nodes: BTreeMap<String, Node>,
}

/// The cluster as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// Name of the cluster.
    pub name: String,
    /// `config_version` of the corosync.conf in use.
    pub config_version: Option<u64>,
    /// Number of nodes.
    pub nodes: Option<u64>,
    /// Whether this node sees a quorate cluster; without quorum `/etc/pve` is read-only.
    pub quorate: bool,
}

/// One node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Node id of corosync.
    pub id: Option<u64>,
    /// Whether the node is online.
    pub online: bool,
    /// Address of the node as it last reported it; absent for a node never seen.
    pub ip: Option<String>,
}

/// Reads the text of `/etc/pve/.members`.
pub fn parse(text: &str) -> Parsed<Members> {
    let mut parsed = Parsed::<Members>::default();
    let root: Value = match serde_json::from_str(text) {
        Ok(root) => root,
        Err(error) => {
            parsed.issues.push(not_json(&error));
            return parsed;
        }
    };
    parsed.value.nodename = root.get("nodename").and_then(Value::as_str).map(str::to_owned);
    if parsed.value.nodename.is_none() {
        parsed.issues.push(Issue::new(1, "no `nodename`, the name of this node is not known"));
    }
    if let Some(cluster) = root.get("cluster") {
        parsed.value.cluster = cluster_of(cluster);
        if parsed.value.cluster.is_none() {
            parsed.issues.push(Issue::new(1, "`cluster` has no name or `quorate`, its state is not known"));
        }
    }
    match root.get("nodelist").map(Value::as_object) {
        None if root.get("cluster").is_none() => {}
        Some(Some(nodes)) => read_nodes(nodes, &mut parsed),
        _ => parsed.issues.push(Issue::new(1, "no map `nodelist`, the nodes are not known")),
    }
    parsed
}

fn read_nodes(nodes: &serde_json::Map<String, Value>, parsed: &mut Parsed<Members>) {
    for (name, entry) in nodes {
        let Some(online) = entry.get("online").and_then(flag) else {
            parsed.issues.push(Issue::new(1, "a node of `nodelist` has no `online`"));
            continue;
        };
        let id = entry.get("id").and_then(Value::as_u64);
        let ip = entry.get("ip").and_then(Value::as_str).map(str::to_owned);
        parsed.value.nodes.insert(name.clone(), Node { id, online, ip });
    }
}

fn cluster_of(value: &Value) -> Option<Cluster> {
    Some(Cluster {
        name: value.get("name")?.as_str()?.to_owned(),
        config_version: value.get("version").and_then(Value::as_u64),
        nodes: value.get("nodes").and_then(Value::as_u64),
        quorate: flag(value.get("quorate")?)?,
    })
}

fn flag(value: &Value) -> Option<bool> {
    value.as_u64().map(|number| number != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: &str = r#"{
"nodename": "pvec1",
"version": 13,
"cluster": { "name": "lab", "version": 3, "nodes": 2, "quorate": 1 },
"nodelist": {
  "pvec1": { "id": 1, "online": 1, "ip": "192.0.2.21"},
  "pvec2": { "id": 2, "online": 0}
  }
}
"#;

    #[test]
    fn a_cluster_is_read() {
        let parsed = parse(CLUSTER);
        assert_eq!(parsed.issues, []);
        let cluster = parsed.value.cluster.unwrap();
        assert_eq!((cluster.name.as_str(), cluster.config_version, cluster.quorate), ("lab", Some(3), true));
        assert_eq!(parsed.value.nodes["pvec1"].ip.as_deref(), Some("192.0.2.21"));
        assert_eq!(
            (parsed.value.nodes["pvec2"].online, parsed.value.nodes["pvec2"].ip.clone()),
            (false, None)
        );
    }

    #[test]
    fn a_node_alone_has_no_cluster() {
        let parsed = parse("{\n\"nodename\": \"pve9lab\",\n\"version\": 0\n}\n");
        assert_eq!(parsed.issues, []);
        assert_eq!(parsed.value.nodename.as_deref(), Some("pve9lab"));
        assert_eq!((parsed.value.cluster, parsed.value.nodes.len()), (None, 0));
    }

    #[test]
    fn lost_quorum_is_seen() {
        let parsed = parse(&CLUSTER.replace("\"quorate\": 1", "\"quorate\": 0"));
        assert!(!parsed.value.cluster.unwrap().quorate);
    }

    #[test]
    fn anything_missing_is_an_issue_and_not_a_guess() {
        assert_eq!(parse("").issues.len(), 1);
        assert_eq!(parse("{}").issues.len(), 1);
        assert_eq!(parse(r#"{"nodename":"a","cluster":{"name":"x"},"nodelist":{}}"#).issues.len(), 1);
        assert_eq!(parse(r#"{"nodename":"a","cluster":{"name":"x","quorate":1}}"#).issues.len(), 1);
        let parsed = parse(&CLUSTER.replace("\"online\": 0", "\"online\": \"?\""));
        assert_eq!((parsed.issues.len(), parsed.value.nodes.len()), (1, 1));
    }
}
