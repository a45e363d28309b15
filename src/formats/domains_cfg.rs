//! Authentication realms: `/etc/pve/domains.cfg`.
//!
//! Follows `parse_config` of pve-access-control's `PVE::Auth::Plugin` and the options of `PVE::Auth::{PAM, PVE, LDAP,
//! AD, OpenId}`. The realms `pam` and `pve` exist without the file. Booleans are those of section configs: `verify yes`
//! is dropped, and the default is not to verify.

use std::collections::BTreeMap;

use super::jobs_cfg::{remove_vanished, vanished};
use super::property_string::{Kind, Properties, Schema, key};
use super::release::Release::{self, Pve7, Pve8, Pve9};
use super::section_config::{self, Fate, Header, Property, Section, SectionType, Table, one};
use super::{Issue, Parsed, verify};

/// The realms of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DomainsConfig {
    /// The realms upstream ends up with, by name.
    pub realms: BTreeMap<String, Realm>,
    /// The realms that stand in the file and that upstream does not use.
    pub lost: Vec<LostRealm>,
}

impl DomainsConfig {
    /// Drops the options about groups, as the first packages of release 8 do, which do not know them.
    pub fn drop_groups_of_providers(&mut self) {
        for realm in self.realms.values_mut() {
            if let RealmKind::OpenId(openid) = &mut realm.kind {
                openid.groups_claim = None;
                openid.creates_groups = false;
                openid.overwrites_groups = false;
            }
        }
    }
}

/// A realm that stands in the file and that upstream does not use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostRealm {
    /// The type in the header, lower-case.
    pub kind: String,
    /// The name.
    pub name: String,
    /// Line of the header, counted from 1.
    pub line: u32,
    /// Why.
    pub fate: Fate,
}

/// A realm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realm {
    /// The name.
    pub name: String,
    /// Line of the header, or `None` if the realm does not stand in the file.
    pub line: Option<u32>,
    /// Whether it asks to be the default; if several do, upstream picks any one of them.
    pub is_default: bool,
    /// The second factor it enforces.
    pub second_factor: Option<SecondFactor>,
    /// How it authenticates.
    pub kind: RealmKind,
    /// Lines of the properties upstream takes over, by name.
    pub lines: BTreeMap<&'static str, u32>,
    /// Lines of the properties upstream drops, by name. Of one it takes over this is a repetition.
    pub dropped: BTreeMap<String, u32>,
}

impl Realm {
    /// A realm that exists without the file: `None` for any but `pam` and `pve`.
    pub fn built_in(name: &str) -> Option<Self> {
        let kind = match name {
            "pam" => RealmKind::Pam,
            "pve" => RealmKind::Pve,
            _ => return None,
        };
        Some(Self {
            name: name.to_owned(),
            line: None,
            is_default: false,
            second_factor: None,
            kind,
            lines: BTreeMap::new(),
            dropped: BTreeMap::new(),
        })
    }
}

/// How a realm authenticates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RealmKind {
    /// By the PAM of each node.
    Pam,
    /// By the password file of Proxmox VE.
    Pve,
    /// By an LDAP server.
    Ldap(Directory),
    /// By an Active Directory server.
    ActiveDirectory(Directory),
    /// By an `OpenID` Connect provider.
    OpenId(OpenId),
}

/// A second factor a realm enforces for everybody in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondFactor {
    /// Line in the file, counted from 1.
    pub line: u32,
    /// What it is.
    pub kind: SecondFactorKind,
}

/// The kinds of second factor a realm can enforce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecondFactorKind {
    /// One-time passwords.
    Oath,
    /// Yubico one-time passwords.
    Yubico {
        /// Whether the API key, a secret, stands in the file.
        has_key: bool,
    },
}

/// How the connection to a directory server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Not at all: passwords cross the network in clear text.
    Ldap,
    /// TLS from the start.
    Ldaps,
    /// TLS after a `STARTTLS`.
    StartTls,
}

/// The settings of a directory server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// The servers, the fallback last.
    pub servers: Vec<String>,
    /// The port, if it is not that of the mode.
    pub port: Option<u16>,
    /// How the connection is protected: `mode`, else LDAPS if `secure`, else not at all.
    pub mode: Mode,
    /// Whether `mode` is given.
    pub mode_is_given: bool,
    /// Whether the certificate of the server is checked; upstream's default is no, even with TLS.
    pub verify: bool,
    /// The TLS version asked for; upstream's default is `tlsv1_2`.
    pub tls_version: Option<String>,
    /// The certificate authorities trusted, a file or folder; used only with `verify`.
    pub ca_path: Option<String>,
    /// The client certificate; used only with `verify`.
    pub client_certificate: Option<String>,
    /// Where users are searched.
    pub base_dn: Option<String>,
    /// Whether searches are made as somebody; without it they are anonymous.
    pub has_bind_dn: bool,
    /// The domain users log in to (Active Directory).
    pub domain: Option<String>,
    /// Whether user names differ by case; upstream's default is yes.
    pub case_sensitive: bool,
    /// Whether the bind password, a secret, stands in the file.
    pub has_inline_password: bool,
    /// The defaults for synchronising users and groups.
    pub sync: SyncDefaults,
}

/// How users and groups of a directory are synchronised when the job does not say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SyncDefaults {
    /// `users`, `groups` or `both`.
    pub scope: Option<String>,
    /// Whether new users are enabled; upstream's default is yes.
    pub enables_new: Option<bool>,
    /// What is removed with a user who left; absent means nothing.
    pub remove_vanished: Option<Vec<String>>,
    /// The old forms `full` and `purge` of the same.
    pub has_old_removal: bool,
}

/// The settings of an `OpenID` Connect provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenId {
    /// The address of the provider. User names and passwords inside are left out.
    pub issuer_url: String,
    /// Whether that address is unprotected (`http://`).
    pub issuer_is_clear_text: bool,
    /// The client id.
    pub client_id: String,
    /// Whether the client key, a secret, stands in the file, which the web server can read.
    pub has_client_key: bool,
    /// Whether unknown users are created, enabled, at their first login; upstream's default is no.
    pub creates_users: bool,
    /// The claim that names the user; upstream's default is the subject.
    pub username_claim: Option<String>,
    /// The claim that lists groups.
    pub groups_claim: Option<String>,
    /// Whether unknown groups are created; upstream's default is no.
    pub creates_groups: bool,
    /// Whether all other groups of the user are taken away; upstream's default is no.
    pub overwrites_groups: bool,
    /// Further audiences accepted.
    pub audiences: Vec<String>,
}

static SECOND_FACTOR: Schema = Schema {
    keys: &[&[
        key("type", Kind::OneOf(&["yubico", "oath"])).required(),
        key("id", Kind::Text),
        key("key", Kind::Text).secret(),
        key("url", Kind::Text).secret(),
        key("digits", Kind::Integer { min: 6, max: 8 }),
        key("step", Kind::Integer { min: 10, max: i64::MAX }),
    ]],
};

static SYNC: Schema = Schema {
    keys: &[&[
        key("scope", Kind::OneOf(&["users", "groups", "both"])),
        key("remove-vanished", Kind::Checked(remove_vanished)),
        key("enable-new", Kind::Boolean),
        key("full", Kind::Boolean),
        key("purge", Kind::Boolean),
    ]],
};

const COMMON: &[Property] = &[one(key("default", Kind::Boolean)), one(key("comment", Kind::Text))];

const ENFORCED: &[Property] = &[one(key("tfa", Kind::Properties(&SECOND_FACTOR)))];

const DIRECTORY: &[Property] = &[
    one(key("server1", Kind::Checked(verify::address)).required()),
    one(key("server2", Kind::Checked(verify::address))),
    one(key("bind_dn", Kind::Text)),
    one(key("password", Kind::Text).secret()),
    one(key("port", Kind::Integer { min: 1, max: 65535 })),
    one(key("secure", Kind::Boolean)),
    one(key("sslversion", Kind::OneOf(&["tlsv1", "tlsv1_1", "tlsv1_2", "tlsv1_3"]))),
    one(key("verify", Kind::Boolean)),
    one(key("capath", Kind::Text)),
    one(key("cert", Kind::Text)),
    one(key("certkey", Kind::Text)),
    one(key("filter", Kind::Text)),
    one(key("sync_attributes", Kind::Text)),
    one(key("user_classes", Kind::Text)),
    one(key("group_dn", Kind::Text)),
    one(key("group_name_attr", Kind::Text)),
    one(key("group_filter", Kind::Text)),
    one(key("group_classes", Kind::Text)),
    one(key("sync-defaults-options", Kind::Properties(&SYNC))),
    one(key("mode", Kind::OneOf(&["ldap", "ldaps", "ldap+starttls"]))),
    one(key("case-sensitive", Kind::Boolean)),
];

const LDAP: &[Property] =
    &[one(key("base_dn", Kind::Text).required()), one(key("user_attr", Kind::Text).required())];

const ACTIVE_DIRECTORY: &[Property] = &[
    one(key("domain", Kind::Checked(|text| !text.contains(super::perl::is_space))).required()),
    one(key("base_dn", Kind::Text)),
    one(key("user_attr", Kind::Text)),
];

const OPENID: &[Property] = &[
    one(key("issuer-url", Kind::Text).required()),
    one(key("client-id", Kind::Text).required()),
    one(key("client-key", Kind::Text).secret()),
    one(key("autocreate", Kind::Boolean)),
    one(key("username-claim", Kind::Text)),
    one(key("groups-claim", Kind::Text).since(Pve8)),
    one(key("groups-autocreate", Kind::Boolean).since(Pve8)),
    one(key("groups-overwrite", Kind::Boolean).since(Pve8)),
    one(key("prompt", Kind::Text)),
    one(key("scopes", Kind::Text)),
    one(key("acr-values", Kind::Text)),
    one(key("query-userinfo", Kind::Boolean).since(Pve8)),
    one(key("audiences", Kind::Text).since(Pve9)),
];

const fn kind(name: &'static str, properties: &'static [&'static [Property]]) -> SectionType {
    SectionType { name, properties, since: Pve7, until: Pve9 }
}

const TABLE: Table = Table {
    header: Header::AnyCaseTypeAndId,
    id: verify::realm,
    types: &[
        kind("pam", &[COMMON, ENFORCED]),
        kind("pve", &[COMMON, ENFORCED]),
        kind("ldap", &[COMMON, ENFORCED, DIRECTORY, LDAP]),
        kind("ad", &[COMMON, ENFORCED, DIRECTORY, ACTIVE_DIRECTORY]),
        kind("openid", &[COMMON, OPENID]),
    ],
};

/// The realms that exist without the file.
pub const BUILT_IN: [&str; 2] = ["pam", "pve"];

/// Reads the realms as `release` does.
pub fn parse(text: &str, release: Release) -> Parsed<DomainsConfig> {
    let Parsed { value: sections, mut issues } = section_config::parse(text, &TABLE, release);
    let mut realms: BTreeMap<String, Realm> =
        sections.effective().map(|section| (section.id.clone(), realm(section))).collect();
    for realm in BUILT_IN.iter().filter_map(|name| Realm::built_in(name)) {
        realms.entry(realm.name.clone()).or_insert(realm);
    }
    let mut defaults: Vec<u32> =
        realms.values().filter(|realm| realm.is_default).filter_map(|realm| realm.line).collect();
    defaults.sort_unstable();
    issues.extend(
        defaults
            .iter()
            .skip(1)
            .map(|line| Issue::new(*line, "another realm is the default too, upstream picks any one")),
    );
    issues.sort();
    let lost = |section: &Section| LostRealm {
        kind: section.kind.clone(),
        name: section.id.clone(),
        line: section.line,
        fate: section.fate.clone(),
    };
    let lost = sections.lost().map(lost).collect();
    Parsed { value: DomainsConfig { realms, lost }, issues }
}

fn realm(section: &Section) -> Realm {
    // Upstream forces the type of the two built-in realms, whatever their header says.
    let kind = match (section.id.as_str(), section.kind.as_str()) {
        ("pam", _) | (_, "pam") => RealmKind::Pam,
        ("pve", _) | (_, "pve") => RealmKind::Pve,
        (_, "ldap") => RealmKind::Ldap(directory(section)),
        (_, "ad") => RealmKind::ActiveDirectory(directory(section)),
        _ => RealmKind::OpenId(open_id(section)),
    };
    Realm {
        name: section.id.clone(),
        line: Some(section.line),
        is_default: section.flag("default").unwrap_or(false),
        second_factor: second_factor(section),
        kind,
        lines: section.entries.iter().map(|entry| (entry.name, entry.line)).collect(),
        dropped: section.dropped.iter().map(|each| (each.name.clone(), each.line)).collect(),
    }
}

fn second_factor(section: &Section) -> Option<SecondFactor> {
    let parts = section.properties("tfa")?;
    let kind = match parts.get("type")? {
        "yubico" => SecondFactorKind::Yubico { has_key: parts.has("key") },
        _ => SecondFactorKind::Oath,
    };
    Some(SecondFactor { line: section.line_of("tfa")?, kind })
}

fn directory(section: &Section) -> Directory {
    let text = |name| section.text(name).map(str::to_owned);
    let mode = match section.text("mode") {
        Some("ldaps") => Mode::Ldaps,
        Some("ldap+starttls") => Mode::StartTls,
        None if section.flag("secure") == Some(true) => Mode::Ldaps,
        _ => Mode::Ldap,
    };
    Directory {
        servers: ["server1", "server2"].into_iter().filter_map(text).collect(),
        port: section.text("port").and_then(|port| port.parse().ok()),
        mode,
        mode_is_given: section.has("mode"),
        verify: section.flag("verify").unwrap_or(false),
        tls_version: text("sslversion"),
        ca_path: text("capath"),
        client_certificate: text("cert"),
        base_dn: text("base_dn"),
        has_bind_dn: section.has("bind_dn"),
        domain: text("domain"),
        case_sensitive: section.flag("case-sensitive").unwrap_or(true),
        has_inline_password: section.has("password"),
        sync: section.properties("sync-defaults-options").map(sync_defaults).unwrap_or_default(),
    }
}

fn sync_defaults(parts: &Properties) -> SyncDefaults {
    SyncDefaults {
        scope: parts.get("scope").map(str::to_owned),
        enables_new: parts.flag("enable-new"),
        remove_vanished: parts.get("remove-vanished").map(vanished),
        has_old_removal: [parts.flag("full"), parts.flag("purge")].contains(&Some(true)),
    }
}

fn open_id(section: &Section) -> OpenId {
    let text = |name| section.text(name).map(str::to_owned);
    let url = section.text("issuer-url").unwrap_or_default();
    let audiences = section.text("audiences").map(super::perl::split_list).unwrap_or_default();
    OpenId {
        issuer_url: without_credentials(url),
        issuer_is_clear_text: url.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("http://")),
        client_id: text("client-id").unwrap_or_default(),
        has_client_key: section.has("client-key"),
        creates_users: section.flag("autocreate").unwrap_or(false),
        username_claim: text("username-claim"),
        groups_claim: text("groups-claim"),
        creates_groups: section.flag("groups-autocreate").unwrap_or(false),
        overwrites_groups: section.flag("groups-overwrite").unwrap_or(false),
        audiences: audiences.into_iter().map(str::to_owned).collect(),
    }
}

/// `scheme://user:password@host/path?query` without user, password and query.
fn without_credentials(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else {
        return url.rsplit('@').next().unwrap_or_default().to_owned();
    };
    let (authority, path) =
        rest.split_once('/').map_or((rest, None), |(authority, path)| (authority, Some(path)));
    let host = authority.rsplit('@').next().unwrap_or_default();
    path.map_or_else(|| format!("{scheme}://{host}"), |path| format!("{scheme}://{host}/{path}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Parsed<DomainsConfig> {
        parse(text, Pve9)
    }

    fn ldap(properties: &str) -> Directory {
        let text = format!("ldap: corp\n\tbase_dn ou=x\n\tserver1 a\n\tuser_attr uid\n{properties}");
        match read(&text).value.realms.remove("corp").unwrap().kind {
            RealmKind::Ldap(directory) => directory,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_built_in_realms_exist_without_the_file() {
        let parsed = read("");
        let kinds: Vec<_> =
            parsed.value.realms.into_iter().map(|(name, realm)| (name, realm.kind, realm.line)).collect();
        assert_eq!(
            kinds,
            [("pam".to_owned(), RealmKind::Pam, None), ("pve".to_owned(), RealmKind::Pve, None)]
        );
    }

    #[test]
    fn the_built_in_realms_keep_their_type() {
        let parsed = read("openid: pve\n\tissuer-url https://x\n\tclient-id a\n");
        assert_eq!(parsed.value.realms["pve"].kind, RealmKind::Pve);
    }

    #[test]
    fn a_directory_is_in_clear_text_and_unverified_unless_it_says_otherwise() {
        let plain = ldap("");
        assert_eq!((plain.mode, plain.mode_is_given, plain.verify), (Mode::Ldap, false, false));
        assert!(!plain.has_bind_dn && plain.case_sensitive);
        assert_eq!(ldap("\tsecure 1\n").mode, Mode::Ldaps);
        assert_eq!(ldap("\tsecure 1\n\tmode ldap\n").mode, Mode::Ldap);
        assert_eq!(ldap("\tmode ldap+starttls\n\tverify 1\n").mode, Mode::StartTls);
        assert_eq!(ldap("\tmode nonsense\n").mode, Mode::Ldap);
    }

    #[test]
    fn a_word_does_not_switch_verification_on() {
        assert!(!ldap("\tverify yes\n").verify && ldap("\tverify\n").verify);
    }

    #[test]
    fn the_lines_of_properties_are_kept_also_of_dropped_ones() {
        let mut parsed = read("openid: sso\n\tissuer-url https://x\n\tclient-id a\n\tautocreate yes\n");
        let sso = parsed.value.realms.remove("sso").unwrap();
        assert_eq!(sso.lines, BTreeMap::from([("issuer-url", 2), ("client-id", 3)]));
        assert_eq!(sso.dropped, BTreeMap::from([("autocreate".to_owned(), 4)]));
    }

    #[test]
    fn a_server_is_an_address_or_a_name_and_nothing_else() {
        let servers = |line: &str| ldap(&format!("\t{line}\n")).servers;
        for server in ["192.0.2.1", "2001:db8::1", "ldap.example.com"] {
            assert_eq!(servers(&format!("server2 {server}")), ["a", server]);
        }
        for server in ["admin:SECRET@ldap", "ldaps://ldap", "[2001:db8::1]", "ldap:636", "ldap."] {
            assert_eq!(servers(&format!("server2 {server}")), ["a"], "{server}");
        }
        let parsed = read("ldap: corp\n\tbase_dn ou=x\n\tserver1 admin:SECRET@ldap\n\tuser_attr uid\n");
        assert!(!parsed.value.realms.contains_key("corp"));
        assert!(!parsed.issues.is_empty() && !format!("{parsed:?}").contains("SECRET"));
    }

    #[test]
    fn a_realm_without_a_required_property_is_lost() {
        let parsed = read("ldap: corp\n\tserver1 a\n");
        assert!(!parsed.value.realms.contains_key("corp"));
        assert_eq!(parsed.value.lost[0].fate, Fate::Missing("base_dn"));
    }

    #[test]
    fn a_second_factor_is_enforced_only_if_it_is_well_formed() {
        let factor =
            |tfa: &str| read(&format!("pve: pve\n\ttfa {tfa}\n")).value.realms["pve"].second_factor.clone();
        assert_eq!(factor("type=oath,step=30,digits=6").unwrap().kind, SecondFactorKind::Oath);
        let yubico = factor("type=yubico,id=1,key=canary").unwrap();
        assert_eq!((yubico.kind, yubico.line), (SecondFactorKind::Yubico { has_key: true }, 2));
        assert_eq!(factor("type=oath,digits=9"), None);
        assert_eq!(factor("oath"), None);
    }

    #[test]
    fn openid_settings_have_upstream_defaults_and_keep_no_secret() {
        let parsed = read(
            "openid: sso\n\tclient-id pve\n\tissuer-url HTTP://u:canary@sso.example.com/realms/x?k=canary\n\
             \tclient-key canary\n\tautocreate 1\n",
        );
        let RealmKind::OpenId(openid) = &parsed.value.realms["sso"].kind else { panic!("openid") };
        assert_eq!(openid.issuer_url, "HTTP://sso.example.com/realms/x");
        assert!(openid.issuer_is_clear_text && openid.has_client_key && openid.creates_users);
        assert!(!openid.creates_groups && !openid.overwrites_groups);
        assert!(!format!("{parsed:?}").contains("canary"));
    }

    #[test]
    fn a_password_in_the_file_is_a_fact() {
        assert!(ldap("\tpassword canary\n").has_inline_password);
        assert!(!format!("{:?}", ldap("\tpassword canary\n")).contains("canary"));
    }

    #[test]
    fn two_defaults_have_an_issue() {
        assert_eq!(read("pam: pam\n\tdefault 1\n\npve: pve\n\tdefault 1\n").issues.len(), 1);
    }

    #[test]
    fn sync_defaults_are_read() {
        let sync = ldap("\tsync-defaults-options scope=both,remove-vanished=acl;entry,enable-new=0\n").sync;
        assert_eq!(sync.scope.as_deref(), Some("both"));
        assert_eq!(sync.enables_new, Some(false));
        assert_eq!(sync.remove_vanished.unwrap(), ["acl", "entry"]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn parsing_never_panics_and_the_built_in_realms_stay(
            lines in prop::collection::vec("((ldap|pve|ad): [a-z]{2,4}|\t(mode|tfa|verify|server1) .{0,9}|.{0,9}|)", 0..10),
        ) {
            let realms = read(&lines.join("\n")).value.realms;
            prop_assert!(realms.contains_key("pam") && realms.contains_key("pve"));
        }
    }
}
