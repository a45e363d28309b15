//! `corosync.conf`: `/etc/pve/corosync.conf` and its local copy `/etc/corosync/corosync.conf`.
//!
//! Follows `corosync:exec/coroparse.c` (`parse_section`) for the text and `corosync:exec/totemconfig.c`
//! (`totem_get_crypto`) for the encryption, as of corosync 3.1, the release of Proxmox VE 7 to 9. Corosync
//! refuses a whole file for one bad line; what stands on the other lines is returned all the same.

use std::collections::BTreeMap;

use super::{Issue, Located, Parsed, numbered, shown};

/// Cipher without `secauth` and `crypto_cipher` (corosync.conf(5); builds that allow no clear text differ).
pub const DEFAULT_CIPHER: &str = "none";
/// Hash without `secauth` and `crypto_hash`.
pub const DEFAULT_HASH: &str = "none";
/// Cipher that `secauth: on` means.
pub const SECAUTH_CIPHER: &str = "aes256";
/// Hash that `secauth: on` means.
pub const SECAUTH_HASH: &str = "sha256";
/// Ciphers corosync knows.
pub const CIPHERS: [&str; 4] = ["none", "aes256", "aes192", "aes128"];
/// Hashes corosync knows.
pub const HASHES: [&str; 6] = ["none", "md5", "sha1", "sha256", "sha384", "sha512"];
/// `config_version` without the key.
pub const DEFAULT_CONFIG_VERSION: u64 = 0;
/// Links a knet cluster can have, so `ring0_addr` to `ring7_addr` (corosync `INTERFACE_MAX`).
pub const LINKS: u8 = 8;
/// Longest line in bytes without its newline (a buffer of 512 with newline and NUL).
const LINE_LIMIT: usize = 510;
/// Deepest nesting this reader follows; corosync's own schema has four levels.
const DEPTH_LIMIT: usize = 16;

/// How the nodes talk to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// `knet`, the default: several links, encryption possible.
    #[default]
    Knet,
    /// `udpu`: one link, never encrypted.
    Udpu,
    /// `udp`: one link, never encrypted.
    Udp,
    /// Any other value: corosync does not start.
    Invalid,
}

/// The encryption in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Crypto {
    /// One of [`CIPHERS`].
    pub cipher: &'static str,
    /// One of [`HASHES`].
    pub hash: &'static str,
    /// The settings contradict each other (a cipher without a hash, encryption without knet, an unknown name),
    /// so corosync does not start, or keeps the settings it runs with.
    pub refused: bool,
}

/// The section `totem`; absent keys are `None`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Totem {
    /// `secauth`: only the exact value `on` switches encryption on.
    pub secauth: Option<Located<String>>,
    /// `crypto_cipher`
    pub crypto_cipher: Option<Located<String>>,
    /// `crypto_hash`
    pub crypto_hash: Option<Located<String>>,
    /// `transport`
    pub transport: Option<Located<String>>,
    /// `version`: of the protocol, 2.
    pub version: Option<Located<u32>>,
    /// `config_version`: raised with every change; compare the two copies.
    pub config_version: Option<Located<u64>>,
    /// `cluster_name`
    pub cluster_name: Option<Located<String>>,
    /// `ip_version`
    pub ip_version: Option<Located<String>>,
    /// `link_mode`: `passive` by default.
    pub link_mode: Option<Located<String>>,
    /// `keyfile`: `/etc/corosync/authkey` by default.
    pub keyfile: Option<Located<String>>,
    /// Line of `key`: the shared key itself stands in the file. The key is not kept.
    pub key_line: Option<u32>,
    /// Link numbers of the `interface` sections (`linknumber`, or the old `ringnumber`), with the line of the section.
    pub interfaces: Vec<Located<Option<u8>>>,
}

/// One `nodelist.node`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    /// `name`
    pub name: Option<Located<String>>,
    /// `nodeid`
    pub nodeid: Option<Located<u32>>,
    /// `quorum_votes`: 1 by default.
    pub quorum_votes: Option<Located<u32>>,
    /// `ringN_addr` by link number.
    pub addresses: BTreeMap<u8, Located<String>>,
    /// Line of the section, counted from 1.
    pub line: u32,
}

/// The section `quorum`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Quorum {
    /// `provider`: `corosync_votequorum` in every Proxmox cluster.
    pub provider: Option<Located<String>>,
    /// `device.model`: a `QDevice` is set up (`net`).
    pub device_model: Option<Located<String>>,
    /// `expected_votes`
    pub expected_votes: Option<Located<u32>>,
    /// `two_node`: 1 lets one of two nodes be quorate.
    pub two_node: Option<Located<String>>,
}

/// What the file says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CorosyncConf {
    /// Section `totem`.
    pub totem: Totem,
    /// Sections `nodelist.node`, in order.
    pub nodes: Vec<Node>,
    /// Section `quorum`.
    pub quorum: Quorum,
}

impl CorosyncConf {
    /// Number of links: the highest number of `ringN_addr` addresses any node has.
    pub fn links(&self) -> usize {
        self.nodes.iter().map(|node| node.addresses.len()).max().unwrap_or(0)
    }
}

impl Totem {
    /// The transport in force.
    pub fn effective_transport(&self) -> Transport {
        match self.transport.as_ref().map(|transport| transport.value.as_str()) {
            None | Some("knet") => Transport::Knet,
            Some("udpu") => Transport::Udpu,
            Some("udp") => Transport::Udp,
            Some(_) => Transport::Invalid,
        }
    }

    /// The `config_version` in force.
    pub fn effective_config_version(&self) -> u64 {
        self.config_version.as_ref().map_or(DEFAULT_CONFIG_VERSION, |version| version.value)
    }

    /// The encryption in force: defaults, then `secauth`, then `crypto_cipher` and `crypto_hash` one by one;
    /// none at all without knet.
    pub fn crypto(&self) -> Crypto {
        let (mut cipher, mut hash) = (DEFAULT_CIPHER, DEFAULT_HASH);
        if self.secauth.as_ref().is_some_and(|secauth| secauth.value == "on") {
            (cipher, hash) = (SECAUTH_CIPHER, SECAUTH_HASH);
        }
        let mut refused = false;
        for (setting, names, target) in
            [(&self.crypto_cipher, &CIPHERS[..], &mut cipher), (&self.crypto_hash, &HASHES[..], &mut hash)]
        {
            let Some(setting) = setting else { continue };
            match names.iter().find(|name| **name == setting.value) {
                Some(name) => *target = name,
                None => refused = true,
            }
        }
        refused |= cipher != "none" && hash == "none";
        match self.effective_transport() {
            Transport::Knet => Crypto { cipher, hash, refused },
            transport => {
                refused |= cipher != "none" || hash != "none" || transport == Transport::Invalid;
                Crypto { cipher: "none", hash: "none", refused }
            }
        }
    }
}

/// Reads the text of a `corosync.conf`.
pub fn parse(text: &str) -> Parsed<CorosyncConf> {
    let mut reader = Reader::default();
    for (line, content) in numbered(text) {
        if let Err(what) = reader.line(content, line) {
            reader.parsed.issues.push(Issue::new(line, format!("{what}; corosync refuses the whole file")));
        }
    }
    if !reader.path.is_empty() {
        let line = u32::try_from(numbered(text).count()).unwrap_or(u32::MAX);
        reader
            .parsed
            .issues
            .push(Issue::new(line, "a closing brace is missing; corosync refuses the whole file"));
    }
    reader.parsed
}

#[derive(Default)]
struct Reader {
    /// Names of the open sections.
    path: Vec<String>,
    parsed: Parsed<CorosyncConf>,
}

const BLANKS: [char; 2] = [' ', '\t'];

impl Reader {
    fn line(&mut self, content: &str, line: u32) -> Result<(), String> {
        if content.len() > LINE_LIMIT {
            return Err("the line is too long".to_owned());
        }
        let content = content.strip_suffix('\r').unwrap_or(content).trim_matches(BLANKS);
        if content.is_empty() || content.starts_with('#') {
            return Ok(());
        }
        // The order counts: a line with a brace opens a section even if it also has a colon.
        if let Some((name, after)) = content.split_once('{') {
            return self.open(name, after, line);
        }
        if let Some((key, value)) = content.split_once(':') {
            let key = key.trim_matches(BLANKS);
            if key.is_empty() {
                return Err("a key has no name".to_owned());
            }
            return self.item(key, value.trim_matches(BLANKS), line);
        }
        if content != "}" {
            return Err("the line is neither a section nor `key: value`".to_owned());
        }
        self.path.pop().map(|_| ()).ok_or_else(|| "a closing brace without a section".to_owned())
    }

    fn open(&mut self, name: &str, after: &str, line: u32) -> Result<(), String> {
        // `remove_whitespace` also takes colons and braces at the end away.
        let name = name.trim_start_matches(BLANKS).trim_end_matches([' ', '\t', ':', '{']);
        if self.path.len() >= DEPTH_LIMIT {
            return Err("sections are nested too deeply".to_owned());
        }
        self.path.push(name.to_owned());
        match self.section().as_str() {
            "nodelist.node" => self.parsed.value.nodes.push(Node { line, ..Node::default() }),
            "totem.interface" => self.parsed.value.totem.interfaces.push(Located::new(None, line)),
            _ => {}
        }
        if name.is_empty() {
            return Err("a section has no name".to_owned());
        }
        if after.trim_matches(BLANKS).is_empty() {
            Ok(())
        } else {
            Err("text behind an opening brace".to_owned())
        }
    }

    fn section(&self) -> String {
        self.path.join(".")
    }

    fn item(&mut self, key: &str, value: &str, line: u32) -> Result<(), String> {
        let text = || Some(Located::new(value.to_owned(), line));
        let section = self.section();
        // The map of corosync has flat names, so `totem.secauth: on` outside of a section means the same.
        let full = if section.is_empty() { key.to_owned() } else { format!("{section}.{key}") };
        let conf = &mut self.parsed.value;
        match full.as_str() {
            "totem.secauth" => conf.totem.secauth = text(),
            "totem.crypto_cipher" => {
                conf.totem.crypto_cipher = text();
                known(key, value, &CIPHERS)?;
            }
            "totem.crypto_hash" => {
                conf.totem.crypto_hash = text();
                known(key, value, &HASHES)?;
            }
            "totem.transport" => {
                conf.totem.transport = text();
                known(key, value, &["knet", "udpu", "udp"])?;
            }
            "totem.version" => conf.totem.version = Some(Located::new(number(key, value)?, line)),
            "totem.config_version" => {
                conf.totem.config_version = Some(Located::new(number(key, value)?, line));
            }
            "totem.cluster_name" => conf.totem.cluster_name = text(),
            "totem.ip_version" => conf.totem.ip_version = text(),
            "totem.link_mode" => conf.totem.link_mode = text(),
            "totem.keyfile" => conf.totem.keyfile = text(),
            "totem.key" => conf.totem.key_line = Some(line),
            "quorum.provider" => conf.quorum.provider = text(),
            "quorum.device.model" => conf.quorum.device_model = text(),
            "quorum.two_node" => conf.quorum.two_node = text(),
            "quorum.expected_votes" => {
                conf.quorum.expected_votes = Some(Located::new(number(key, value)?, line));
            }
            "totem.interface.linknumber" | "totem.interface.ringnumber" => {
                let number = number::<u8>(key, value)?;
                if let Some(interface) = conf.totem.interfaces.last_mut() {
                    interface.value = Some(number);
                }
            }
            _ => {
                if let (Some(key), Some(node)) = (full.strip_prefix("nodelist.node."), conf.nodes.last_mut())
                {
                    return node_item(node, key, value, line);
                }
            }
        }
        Ok(())
    }
}

fn node_item(node: &mut Node, key: &str, value: &str, line: u32) -> Result<(), String> {
    match key {
        "name" => node.name = Some(Located::new(value.to_owned(), line)),
        "nodeid" => node.nodeid = Some(Located::new(number(key, value)?, line)),
        "quorum_votes" => node.quorum_votes = Some(Located::new(number(key, value)?, line)),
        _ => {
            let ring = key.strip_prefix("ring").and_then(|rest| rest.strip_suffix("_addr"));
            if let Some(number) =
                ring.and_then(|number| number.parse::<u8>().ok()).filter(|number| *number < LINKS)
            {
                node.addresses.insert(number, Located::new(value.to_owned(), line));
            }
        }
    }
    Ok(())
}

fn known(key: &str, value: &str, names: &[&str]) -> Result<(), String> {
    if names.contains(&value) {
        Ok(())
    } else {
        Err(format!("`{key}` has the unknown value {}", shown(value)))
    }
}

fn number<T: std::str::FromStr>(key: &str, value: &str) -> Result<T, String> {
    value.parse().map_err(|_| format!("`{}` is not a number in range", key.rsplit('.').next().unwrap_or(key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PVE: &str = "logging {\n  debug: off\n  to_syslog: yes\n}\n\nnodelist {\n  node {\n    name: pvec1\n    nodeid: 1\n\
        \x20   quorum_votes: 1\n    ring0_addr: 192.0.2.21\n    ring1_addr: 2001:db8::21\n  }\n  node {\n    name: pvec2\n\
        \x20   nodeid: 2\n    ring0_addr: 192.0.2.22\n  }\n}\n\nquorum {\n  provider: corosync_votequorum\n}\n\n\
        totem {\n  cluster_name: lab\n  config_version: 3\n  interface {\n    linknumber: 0\n  }\n  ip_version: ipv4-6\n\
        \x20 link_mode: passive\n  secauth: on\n  version: 2\n}\n";

    fn totem(body: &str) -> Totem {
        parse(&format!("totem {{\n{body}\n}}\n")).value.totem
    }

    fn crypto(body: &str) -> (&'static str, &'static str, bool) {
        let crypto = totem(body).crypto();
        (crypto.cipher, crypto.hash, crypto.refused)
    }

    #[test]
    fn what_proxmox_writes_is_read_whole() {
        let parsed = parse(PVE);
        assert_eq!(parsed.issues, []);
        let conf = parsed.value;
        assert_eq!(conf.totem.cluster_name.as_ref().unwrap().value, "lab");
        assert_eq!(conf.totem.effective_config_version(), 3);
        assert_eq!(conf.totem.interfaces[0].value, Some(0));
        assert_eq!(conf.nodes.len(), 2);
        assert_eq!(conf.nodes[0].addresses[&1].value, "2001:db8::21");
        assert_eq!((conf.nodes[1].line, conf.nodes[1].nodeid.as_ref().unwrap().value), (14, 2));
        assert_eq!(conf.links(), 2);
        assert_eq!(conf.totem.crypto(), Crypto { cipher: "aes256", hash: "sha256", refused: false });
        assert_eq!(conf.quorum.provider.unwrap().value, "corosync_votequorum");
    }

    #[test]
    fn without_any_setting_nothing_is_encrypted() {
        assert_eq!(crypto("version: 2"), ("none", "none", false));
    }

    #[test]
    fn secauth_is_on_only_with_the_exact_word() {
        assert_eq!(crypto("secauth: on"), ("aes256", "sha256", false));
        for value in ["On", "yes", "1", "off", ""] {
            assert_eq!(crypto(&format!("secauth: {value}")), ("none", "none", false), "{value}");
        }
    }

    #[test]
    fn cipher_and_hash_override_secauth_one_by_one() {
        assert_eq!(crypto("secauth: on\ncrypto_cipher: none"), ("none", "sha256", false));
        assert_eq!(crypto("secauth: on\ncrypto_hash: md5"), ("aes256", "md5", false));
        assert_eq!(
            crypto("secauth: off\ncrypto_cipher: aes128\ncrypto_hash: sha1"),
            ("aes128", "sha1", false)
        );
        assert_eq!(crypto("crypto_hash: sha512\nsecauth: off"), ("none", "sha512", false));
    }

    #[test]
    fn a_cipher_without_a_hash_is_refused() {
        assert_eq!(crypto("crypto_cipher: aes256"), ("aes256", "none", true));
        assert_eq!(crypto("secauth: on\ncrypto_hash: none"), ("aes256", "none", true));
    }

    #[test]
    fn without_knet_there_is_no_encryption_and_asking_for_it_is_refused() {
        assert_eq!(crypto("transport: udpu"), ("none", "none", false));
        assert_eq!(crypto("transport: udp\nsecauth: on"), ("none", "none", true));
        assert_eq!(crypto("transport: knet\nsecauth: on"), ("aes256", "sha256", false));
        assert_eq!(totem("transport: rdma").effective_transport(), Transport::Invalid);
    }

    #[test]
    fn an_unknown_cipher_or_number_makes_corosync_refuse_the_file() {
        let parsed = parse("totem {\n  crypto_cipher: 3des\n  config_version: x\n  version: 2\n}\n");
        assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [2, 3]);
        assert!(parsed.value.totem.crypto().refused);
        assert_eq!(parsed.value.totem.version.unwrap().value, 2);
    }

    #[test]
    fn the_last_of_two_keys_and_of_two_sections_counts() {
        let parsed = parse("totem {\n secauth: on\n secauth: off\n}\ntotem {\n cluster_name: b\n}\n");
        assert_eq!(parsed.value.totem.secauth.unwrap(), Located::new("off".to_owned(), 3));
        assert_eq!(parsed.value.totem.cluster_name.unwrap().value, "b");
    }

    #[test]
    fn a_key_with_its_full_path_needs_no_section() {
        assert_eq!(parse("totem.secauth: on\n").value.totem.crypto().cipher, "aes256");
    }

    #[test]
    fn a_trailing_comment_is_part_of_the_value() {
        assert_eq!(crypto("secauth: on # really"), ("none", "none", false));
    }

    #[test]
    fn bad_structure_is_an_issue_and_the_rest_is_read() {
        let text = "}\ntotem { secauth: on\nsecauth: on\n}\nnonsense\n: x\n{\n}\ntotem {\n";
        let parsed = parse(text);
        assert_eq!(parsed.issues.iter().map(|issue| issue.line).collect::<Vec<_>>(), [1, 2, 5, 6, 7, 9]);
        assert_eq!(parsed.value.totem.secauth.unwrap().line, 3);
        assert_eq!(parse(&format!("# {}\n", "x".repeat(600))).issues.len(), 1);
    }

    #[test]
    fn a_key_kept_in_the_file_never_leaves() {
        let parsed = parse("totem {\n  key: hunter2hunter2\n}\n");
        assert_eq!(parsed.value.totem.key_line, Some(2));
        assert!(!format!("{parsed:?}").contains("hunter2"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn never_panics_on_any_text(text in "(totem|node|nodelist|interface|ring1_addr| |\\{|\\}|:|\n|#|ä|7){0,40}") {
            parse(&text);
        }

        #[test]
        fn encryption_is_never_reported_without_being_asked_for(
            secauth in "(on|off|On|yes)?", cipher in "(none|aes256|aes128|des)?", transport in "(knet|udp|udpu)?"
        ) {
            let mut body = String::new();
            for (key, value) in [("secauth", &secauth), ("crypto_cipher", &cipher), ("transport", &transport)] {
                if !value.is_empty() {
                    body.extend([key, ": ", value, "\n"]);
                }
            }
            let found = totem(&body).crypto();
            let asked = (secauth == "on" && cipher != "none") || cipher.starts_with("aes");
            let knet = transport.is_empty() || transport == "knet";
            prop_assert_eq!(found.cipher != "none", asked && knet);
        }
    }
}
