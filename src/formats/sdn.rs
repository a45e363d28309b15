//! The software-defined network: `/etc/pve/sdn/{zones,vnets,subnets}.cfg`, what is applied of them
//! (`/etc/pve/sdn/.running-config`), and the services it talks to (`ipams.cfg`, `dns.cfg`).
//!
//! Follows pve-network's `PVE::Network::SDN` (`compile_running_cfg`), its `ZonePlugin`s, `VnetPlugin`, `SubnetPlugin`,
//! `Ipams::*` and `Dns::PowerdnsPlugin`. What the nodes do is what is applied; the files are what was wanted last.
//!
//! Tokens and keys of services are never kept.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use super::property_string::{Kind, key};
use super::release::Release::{self, Pve7, Pve9};
use super::section_config::{self, Header, Property, Section, SectionType, Table, Value, one};
use super::{Issue, Parsed};

/// A zone, a virtual network or a subnet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Object {
    /// The type of a zone (`simple`, `vlan`, `vxlan`, …), else `vnet` or `subnet`.
    pub kind: String,
    /// Its properties; lists are sorted and joined by commas.
    pub values: BTreeMap<String, String>,
    /// Line in the file, counted from 1; `None` for what is applied.
    pub line: Option<u32>,
}

impl Object {
    /// A property.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// A boolean property.
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name).is_some_and(super::perl::is_true)
    }
}

/// Objects by their ids.
pub type Objects = BTreeMap<String, Object>;

/// What the nodes were last told.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Applied {
    /// Zones.
    pub zones: Objects,
    /// Virtual networks.
    pub vnets: Objects,
    /// Subnets.
    pub subnets: Objects,
}

/// A service outside that the network is told to: an IPAM or a name server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its id.
    pub id: String,
    /// `netbox`, `phpipam` or `powerdns`.
    pub kind: String,
    /// Scheme and host of its URL: no path, no user, no password.
    pub url: Option<String>,
    /// Whether the URL holds a user name or a password.
    pub has_credential: bool,
    /// The property that holds its secret, with its line.
    pub secret: Option<(String, u32)>,
    /// Whether its certificate is known by its fingerprint.
    pub has_fingerprint: bool,
    /// Line of the URL, else of the section, counted from 1.
    pub line: u32,
}

const fn text(name: &'static str) -> Property {
    one(key(name, Kind::Text))
}

const ZONE: &[Property] = &[
    text("nodes"),
    text("mtu"),
    text("dns"),
    text("reversedns"),
    text("dnszone"),
    text("ipam"),
    text("dhcp"),
    text("bridge"),
    text("bridge-disable-mac-learning"),
    text("tag"),
    text("vlan-protocol"),
    text("peers"),
    text("vxlan-port"),
    text("fabric"),
    text("vrf-vxlan"),
    text("controller"),
    text("exitnodes"),
    text("exitnodes-local-routing"),
    text("exitnodes-primary"),
    text("advertise-subnets"),
    text("disable-arp-nd-suppression"),
    text("rt-import"),
    text("mac"),
    text("dp-id"),
    text("secondary-controllers"),
];

const VNET: &[Property] = &[
    one(key("zone", Kind::Text).required()),
    text("type"),
    text("tag"),
    text("alias"),
    text("vlanaware"),
    text("isolate-ports"),
];

const SUBNET: &[Property] = &[
    one(key("vnet", Kind::Text).required()),
    text("gateway"),
    text("snat"),
    text("dnszoneprefix"),
    section_config::many(key("dhcp-range", Kind::Text)),
    text("dhcp-dns-server"),
];

const SERVICE: &[Property] = &[
    text("url"),
    one(key("token", Kind::Text).secret()),
    one(key("key", Kind::Text).secret()),
    text("fingerprint"),
    text("section"),
    text("ttl"),
    text("reversemaskv6"),
    text("reversev6mask"),
];

const fn kind(name: &'static str, properties: &'static [&'static [Property]]) -> SectionType {
    SectionType { name, properties, since: Pve7, until: Pve9 }
}

fn any_id(_: &str) -> bool {
    true
}

const ZONES: Table = Table {
    header: Header::AnyCaseTypeAndId,
    id: any_id,
    types: &[
        kind("simple", &[ZONE]),
        kind("vlan", &[ZONE]),
        kind("qinq", &[ZONE]),
        kind("vxlan", &[ZONE]),
        kind("evpn", &[ZONE]),
        kind("faucet", &[ZONE]),
    ],
};

const VNETS: Table = Table { header: Header::TypeAndId, id: any_id, types: &[kind("vnet", &[VNET])] };

const SUBNETS: Table = Table { header: Header::TypeAndId, id: any_id, types: &[kind("subnet", &[SUBNET])] };

const SERVICES: Table = Table {
    header: Header::AnyCaseTypeAndId,
    id: any_id,
    types: &[
        kind("pve", &[SERVICE]),
        kind("netbox", &[SERVICE]),
        kind("phpipam", &[SERVICE]),
        kind("powerdns", &[SERVICE]),
    ],
};

/// Reads `zones.cfg`.
pub fn zones(text: &str, release: Release) -> Parsed<Objects> {
    objects(text, &ZONES, release)
}

/// Reads `vnets.cfg`.
pub fn vnets(text: &str, release: Release) -> Parsed<Objects> {
    objects(text, &VNETS, release)
}

/// Reads `subnets.cfg`.
pub fn subnets(text: &str, release: Release) -> Parsed<Objects> {
    objects(text, &SUBNETS, release)
}

fn objects(text: &str, table: &Table, release: Release) -> Parsed<Objects> {
    let Parsed { value, issues } = section_config::parse(text, table, release);
    let object = |section: &Section| {
        let mut values: BTreeMap<String, String> = BTreeMap::new();
        for entry in &section.entries {
            if let Value::Text(text) = &entry.value {
                let one = if is_list(entry.name) { sorted_list(text) } else { text.clone() };
                let value = values.entry(entry.name.to_owned()).or_default();
                if !value.is_empty() {
                    value.push(';');
                }
                value.push_str(&one);
            }
        }
        (section.id.clone(), Object { kind: section.kind.clone(), values, line: Some(section.line) })
    };
    Parsed { value: value.effective().map(object).collect(), issues }
}

/// Properties that upstream keeps as sets of words.
fn is_list(name: &str) -> bool {
    matches!(name, "nodes" | "exitnodes")
}

fn sorted_list(text: &str) -> String {
    let mut words = super::perl::split_list(text);
    words.sort_unstable();
    words.join(",")
}

/// Reads `ipams.cfg` or `dns.cfg`.
pub fn services(text: &str, release: Release) -> Parsed<Vec<Service>> {
    let Parsed { value, issues } = section_config::parse(text, &SERVICES, release);
    let outside = value.effective().filter(|section| section.kind != "pve");
    Parsed { value: outside.map(service).collect(), issues }
}

fn service(section: &Section) -> Service {
    let (url, has_credential) = match section.text("url") {
        Some(url) => {
            let (url, credential) = place(url);
            (Some(url), credential)
        }
        None => (None, false),
    };
    let secret = section.secrets().into_iter().next();
    Service {
        id: section.id.clone(),
        kind: section.kind.clone(),
        url,
        has_credential,
        secret: secret.map(|secret| (secret.name, secret.line)),
        has_fingerprint: section.has("fingerprint"),
        line: section.line_of("url").unwrap_or(section.line),
    }
}

/// Scheme and host of a URL, and whether it names a user.
fn place(url: &str) -> (String, bool) {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (credential, host) = match authority.rsplit_once('@') {
        Some((_, host)) => (true, host),
        None => (false, authority),
    };
    (format!("{}://{host}", scheme.to_ascii_lowercase()), credential)
}

/// Reads `.running-config`.
pub fn applied(text: &str) -> Parsed<Applied> {
    let json: Json = match serde_json::from_str(text) {
        Ok(json) => json,
        Err(error) => {
            let line = u32::try_from(error.line()).unwrap_or(u32::MAX).max(1);
            let issues = vec![Issue::new(line, "not JSON: what is applied is not known")];
            return Parsed { value: Applied::default(), issues };
        }
    };
    let mut issues = Vec::new();
    if !json.is_object() {
        issues.push(Issue::new(1, "not an object: what is applied is not known"));
    }
    let mut part = |name: &str, kind: &str| {
        let ids = json.get(name).and_then(|part| part.get("ids"));
        match ids {
            None | Some(Json::Null) => Objects::new(),
            Some(Json::Object(ids)) => ids.iter().map(|(id, one)| (id.clone(), running(one, kind))).collect(),
            Some(_) => {
                issues.push(Issue::new(1, format!("`{name}` is not understood")));
                Objects::new()
            }
        }
    };
    let value = Applied {
        zones: part("zones", ""),
        vnets: part("vnets", "vnet"),
        subnets: part("subnets", "subnet"),
    };
    Parsed { value, issues }
}

fn running(json: &Json, kind: &str) -> Object {
    let mut object = Object { kind: kind.to_owned(), ..Object::default() };
    for (name, value) in json.as_object().into_iter().flatten() {
        let value = match value {
            Json::Null => continue,
            Json::String(text) if is_list(name) => sorted_list(text),
            Json::String(text) => text.clone(),
            Json::Bool(flag) => if *flag { "1" } else { "0" }.to_owned(),
            Json::Number(number) => number.to_string(),
            Json::Array(items) => items.iter().filter_map(Json::as_str).collect::<Vec<_>>().join(";"),
            Json::Object(words) => words.keys().map(String::as_str).collect::<Vec<_>>().join(","),
        };
        if name == "type" {
            if kind.is_empty() {
                object.kind = value;
            }
        } else {
            object.values.insert(name.clone(), value);
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_applied_compares_with_what_is_wanted() {
        let zone = zones("simple: z1\n\tnodes b,a\n\tipam pve\n\n", Pve9);
        let running = applied(
            "{\"version\":1,\"zones\":{\"ids\":{\"z1\":{\"type\":\"simple\",\"ipam\":\"pve\",\"nodes\":{\"a\":1,\"b\":1}}}},\
             \"vnets\":{\"ids\":{\"v1\":{\"type\":\"vnet\",\"zone\":\"z1\",\"tag\":10,\"isolate-ports\":1}}},\"subnets\":{\"ids\":{}}}",
        );
        assert_eq!((zone.issues.len(), running.issues.len()), (0, 0));
        assert_eq!(zone.value["z1"].values, running.value.zones["z1"].values);
        assert_eq!(running.value.zones["z1"].kind, "simple");
        assert!(running.value.vnets["v1"].is_on("isolate-ports"));
        let vnet = vnets("vnet: v1\n\tzone z1\n\ttag 10\n\tisolate-ports 1\n\n", Pve9).value;
        assert_eq!(vnet["v1"].values, running.value.vnets["v1"].values);
    }

    #[test]
    fn the_secret_of_a_service_is_seen_and_not_kept() {
        let text = "netbox: nb1\n\turl http://user:geheim1@192.0.2.5:8000/api\n\ttoken geheim2\n\n\
                    phpipam: ip1\n\turl https://ipam.example.com/api/app\n\ttoken geheim3\n\tsection 1\n\tfingerprint AA:BB\n\n\
                    pve: pve\n\n";
        let parsed = services(text, Pve9);
        assert!(!format!("{parsed:?}").contains("geheim"));
        let [netbox, phpipam] = parsed.value.as_slice() else { panic!("{parsed:?}") };
        assert_eq!(netbox.url.as_deref(), Some("http://192.0.2.5:8000"));
        assert!(netbox.has_credential && !netbox.has_fingerprint);
        assert_eq!(netbox.secret, Some(("token".to_owned(), 3)));
        assert!(phpipam.has_fingerprint && !phpipam.has_credential);
    }

    #[test]
    fn a_service_may_have_a_key_instead() {
        let text = "powerdns: dns1\n\turl https://192.0.2.6:8081/api\n\tkey geheim\n\tttl 60\n\n";
        let parsed = services(text, Pve9);
        assert_eq!(parsed.issues, []);
        assert_eq!(parsed.value[0].secret, Some(("key".to_owned(), 3)));
    }

    #[test]
    fn what_is_no_json_is_an_issue() {
        assert_eq!(applied("{").issues.len(), 1);
        assert_eq!(applied("[]").issues.len(), 1);
        assert_eq!(applied("{\"vnets\":{\"ids\":7}}").issues.len(), 1);
        assert_eq!(applied("{}").issues, []);
    }

    #[test]
    fn ranges_of_a_subnet_are_a_list() {
        let text = "subnet: z1-10.0.0.0-24\n\tvnet v1\n\tdhcp-range start-address=10.0.0.10,end-address=10.0.0.20\n\t\
                    dhcp-range start-address=10.0.0.30,end-address=10.0.0.40\n\n";
        let value = subnets(text, Pve9).value;
        assert_eq!(
            value["z1-10.0.0.0-24"].get("dhcp-range").map(|ranges| ranges.matches(';').count()),
            Some(1)
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn any_text_is_read(text in "(vnet: |simple: |netbox: |\t|url |token |[a-z{}\":\n]){0,30}") {
            let _ = (vnets(&text, Pve9), zones(&text, Pve9), services(&text, Pve9), applied(&text));
        }
    }
}
