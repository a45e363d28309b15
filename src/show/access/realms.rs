//! The realms, their secrets as facts only.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::formats::domains_cfg::{
    Directory, DomainsConfig, Mode, OpenId, Realm, RealmKind, SecondFactorKind,
};

/// What a realm without `sslversion` uses.
const TLS_DEFAULT: &str = "tlsv1_2";

#[derive(Serialize)]
pub(super) struct ShownRealm {
    #[serde(rename = "type")]
    kind: &'static str,
    default: bool,
    second_factor: Option<ShownDemand>,
    #[serde(skip_serializing_if = "Option::is_none")]
    directory: Option<ShownDirectory>,
    #[serde(skip_serializing_if = "Option::is_none")]
    openid: Option<ShownOpenId>,
    /// `null` for a realm that does not stand in domains.cfg.
    line: Option<u32>,
}

/// The second factor a realm demands.
#[derive(Serialize)]
struct ShownDemand {
    kind: &'static str,
    /// Whether the API key of the Yubico service stands in domains.cfg.
    has_api_key: bool,
}

#[derive(Serialize)]
struct ShownDirectory {
    servers: Vec<String>,
    port: Option<u16>,
    mode: &'static str,
    verify: bool,
    /// `null` without TLS.
    tls_version: Option<String>,
    ca_path: Option<String>,
    base_dn: Option<String>,
    domain: Option<String>,
    anonymous: bool,
    case_sensitive: bool,
    has_password_in_file: bool,
    sync_enables_new: bool,
    sync_removes_vanished: Vec<String>,
}

#[derive(Serialize)]
struct ShownOpenId {
    issuer_url: String,
    client_id: String,
    has_client_key: bool,
    creates_users: bool,
    username_claim: Option<String>,
    groups_claim: Option<String>,
    creates_groups: bool,
    overwrites_groups: bool,
    audiences: Vec<String>,
}

/// The realms by name.
pub(super) fn realms(cfg: &DomainsConfig) -> BTreeMap<String, ShownRealm> {
    cfg.realms.iter().map(|(name, realm)| (name.clone(), ShownRealm::of(realm))).collect()
}

impl ShownRealm {
    fn of(realm: &Realm) -> Self {
        let demand = realm.second_factor.as_ref().map(|factor| match factor.kind {
            SecondFactorKind::Oath => ShownDemand { kind: "oath", has_api_key: false },
            SecondFactorKind::Yubico { has_key } => ShownDemand { kind: "yubico", has_api_key: has_key },
        });
        let (kind, directory, openid) = match &realm.kind {
            RealmKind::Pam => ("pam", None, None),
            RealmKind::Pve => ("pve", None, None),
            RealmKind::Ldap(directory) => ("ldap", Some(ShownDirectory::of(directory)), None),
            RealmKind::ActiveDirectory(directory) => ("ad", Some(ShownDirectory::of(directory)), None),
            RealmKind::OpenId(openid) => ("openid", None, Some(ShownOpenId::of(openid))),
        };
        Self { kind, default: realm.is_default, second_factor: demand, directory, openid, line: realm.line }
    }

    /// For people.
    pub(super) fn words(&self) -> String {
        let mut words = vec![self.kind.to_owned()];
        if let Some(directory) = &self.directory {
            words.extend(directory.words());
        }
        if let Some(openid) = &self.openid {
            words.push(openid.issuer_url.clone());
            words.extend(openid.creates_users.then(|| "creates users".to_owned()));
            words.extend(openid.groups_claim.as_ref().map(|claim| format!("groups by claim {claim}")));
        }
        words.extend(self.second_factor.as_ref().map(|factor| format!("demands {}", factor.kind)));
        words.extend(self.default.then(|| "default".to_owned()));
        words.join(", ")
    }
}

impl ShownDirectory {
    fn of(directory: &Directory) -> Self {
        let mode = match directory.mode {
            Mode::Ldap => "ldap",
            Mode::Ldaps => "ldaps",
            Mode::StartTls => "ldap+starttls",
        };
        let tls_version = || directory.tls_version.clone().unwrap_or_else(|| TLS_DEFAULT.to_owned());
        Self {
            servers: directory.servers.clone(),
            port: directory.port,
            mode,
            verify: directory.verify,
            tls_version: (directory.mode != Mode::Ldap).then(tls_version),
            ca_path: directory.ca_path.clone(),
            base_dn: directory.base_dn.clone(),
            domain: directory.domain.clone(),
            anonymous: !directory.has_bind_dn,
            case_sensitive: directory.case_sensitive,
            has_password_in_file: directory.has_inline_password,
            sync_enables_new: directory.sync.enables_new.unwrap_or(true),
            sync_removes_vanished: directory.sync.remove_vanished.clone().unwrap_or_default(),
        }
    }

    fn words(&self) -> Vec<String> {
        let security = match &self.tls_version {
            None => "in clear text".to_owned(),
            Some(version) if self.verify => format!("{version}, certificate verified"),
            Some(version) => format!("{version}, certificate not verified"),
        };
        vec![format!("{} by {}", self.servers.join(" and "), self.mode), security]
    }
}

impl ShownOpenId {
    fn of(openid: &OpenId) -> Self {
        Self {
            issuer_url: openid.issuer_url.clone(),
            client_id: openid.client_id.clone(),
            has_client_key: openid.has_client_key,
            creates_users: openid.creates_users,
            username_claim: openid.username_claim.clone(),
            groups_claim: openid.groups_claim.clone(),
            creates_groups: openid.creates_groups,
            overwrites_groups: openid.overwrites_groups,
            audiences: openid.audiences.clone(),
        }
    }
}
