//! Folders of the nodes that may be shared with virtual machines: `/etc/pve/mapping/directory.cfg`.
//!
//! Follows pve-guest-common's `PVE::Mapping::Dir`: one section per mapping, with one `map` per node.

use super::Parsed;
use super::property_string::{Kind, Schema, key};
use super::release::Release::{self, Pve8, Pve9};
use super::section_config::{self, Header, Property, SectionType, Table, Value, many, one};
use super::verify;

/// A folder of one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MappedFolder {
    /// The id of the mapping.
    pub id: String,
    /// Line in the file, counted from 1.
    pub line: u32,
    /// The node.
    pub node: String,
    /// The absolute path.
    pub path: String,
}

static MAP: Schema = Schema {
    keys: &[&[
        key("node", Kind::Checked(verify::node_name)).required(),
        key("path", Kind::Checked(is_absolute)).required(),
    ]],
};

const PROPERTIES: &[Property] =
    &[one(key("description", Kind::Text)), many(key("map", Kind::Properties(&MAP)).required())];

const TABLE: Table = Table {
    header: Header::Id("dir"),
    id: verify::config_id,
    types: &[SectionType { name: "dir", properties: &[PROPERTIES], since: Pve8, until: Pve9 }],
};

fn is_absolute(text: &str) -> bool {
    text.starts_with('/')
}

/// Reads the text of `directory.cfg`: the folders of all mappings and nodes, in file order.
pub fn parse(text: &str, release: Release) -> Parsed<Vec<MappedFolder>> {
    let Parsed { value: sections, issues } = section_config::parse(text, &TABLE, release);
    let mut folders = Vec::new();
    for section in sections.effective() {
        for entry in section.entries.iter().filter(|entry| entry.name == "map") {
            let Value::Properties(map) = &entry.value else { continue };
            let text = |key| map.get(key).unwrap_or_default().to_owned();
            let (id, line) = (section.id.clone(), entry.line);
            folders.push(MappedFolder { id, line, node: text("node"), path: text("path") });
        }
    }
    Parsed { value: folders, issues }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_has_a_folder_per_node() {
        let text = "share\n\tdescription x\n\tmap node=a,path=/srv/a\n\tmap node=b,path=/etc\n\nother\n\tmap node=a\n";
        let Parsed { value, issues } = parse(text, Pve9);
        let seen: Vec<_> =
            value.iter().map(|each| (each.id.as_str(), each.node.as_str(), each.path.as_str())).collect();
        assert_eq!(seen, [("share", "a", "/srv/a"), ("share", "b", "/etc")]);
        assert!(!issues.is_empty());
    }
}
