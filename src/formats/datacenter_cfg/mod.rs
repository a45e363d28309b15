//! `/etc/pve/datacenter.cfg`.
//!
//! Follows `proxmox/pve-cluster:src/PVE/DataCenterConfig.pm` (`parse_datacenter_config`) and
//! `proxmox/pve-common:src/PVE/JSONSchema.pm` (`parse_config`, `parse_property_string`): `key: value`, the last line
//! of a key counts, and a key that is unknown or whose value does not fit the schema is dropped with a warning,
//! also when an earlier line of it was fine. Lines starting with `#` are the description and never settings.

mod property;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::escapes::without_credential;
use super::{Issue, Located, Parsed, numbered};
use property::{Check, Property};

/// Type of migration and replication without a setting: through SSH.
pub const DEFAULT_TRANSFER: Transfer = Transfer::Secure;
/// `allow-subdomains` of `webauthn` without a setting.
pub const DEFAULT_ALLOW_SUBDOMAINS: bool = true;
/// `user-allow` of `user-tag-access` without a setting.
pub const DEFAULT_USER_ALLOW: &str = "free";
/// `package-updates` of `notify` without a setting.
pub const DEFAULT_PACKAGE_UPDATES: &str = "auto";
/// `shutdown_policy` of `ha` without a setting.
pub const DEFAULT_SHUTDOWN_POLICY: &str = "conditional";
/// `fencing` without a setting.
pub const DEFAULT_FENCING: &str = "watchdog";

/// Keys of the schema (pve-cluster 9.1) that are kept as text.
///
/// Values of these keys are not validated here, except `fencing`.
pub const PLAIN_KEYS: [&str; 14] = [
    "bwlimit",
    "console",
    "crs",
    "description",
    "email_from",
    "fencing",
    "keyboard",
    "language",
    "location",
    "mac_prefix",
    "max_workers",
    "next-id",
    "registered-tags",
    "tag-style",
];

/// How guest memory and disks travel between nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transfer {
    /// Through an SSH tunnel.
    Secure,
    /// In clear text.
    Insecure,
}

/// `migration` or `replication`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferSetting {
    /// `type`
    pub transfer: Transfer,
    /// `network`, a CIDR.
    pub network: Option<String>,
}

/// `http_proxy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpProxy {
    /// The URL without user and password.
    pub url: String,
    /// The URL holds a user and password, readable by www-data. They are not kept.
    pub credential: bool,
}

/// `webauthn`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Webauthn {
    /// `rp`: name of the relying party.
    pub rp: Option<String>,
    /// `id`: domain of the relying party.
    pub id: Option<String>,
    /// `origin`: URL of the web interface.
    pub origin: Option<String>,
    /// `allow-subdomains`; [`DEFAULT_ALLOW_SUBDOMAINS`] when absent.
    pub allow_subdomains: bool,
}

/// `u2f`, superseded by `webauthn`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct U2f {
    /// `appid`
    pub appid: Option<String>,
    /// `origin`
    pub origin: Option<String>,
}

/// What upstream uses of the file. `None` means absent, or dropped with an issue.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct DatacenterCfg {
    /// `migration`
    pub migration: Option<Located<TransferSetting>>,
    /// `migration_unsecure`, the old form; loses to `migration`.
    pub migration_unsecure: Option<Located<bool>>,
    /// `replication` (since 2025; older releases drop the key).
    pub replication: Option<Located<TransferSetting>>,
    /// `http_proxy`
    pub http_proxy: Option<Located<HttpProxy>>,
    /// `webauthn`
    pub webauthn: Option<Located<Webauthn>>,
    /// `u2f`
    pub u2f: Option<Located<U2f>>,
    /// `user-allow` of `user-tag-access`: none, list, existing, free.
    pub user_allow: Option<Located<String>>,
    /// `package-updates` of `notify`: auto, always, never.
    pub package_updates: Option<Located<String>>,
    /// `shutdown_policy` of `ha`: freeze, failover, conditional, migrate.
    pub shutdown_policy: Option<Located<String>>,
    /// Line of a non-empty `consent-text` (8.4 and later): a banner is shown before login.
    pub consent_text_line: Option<u32>,
    /// Lines that start with `#`: the description in the web interface.
    pub description_lines: u32,
    /// The other known keys as text.
    pub plain: BTreeMap<&'static str, Located<String>>,
}

impl DatacenterCfg {
    /// How migration travels: `migration`, else `migration_unsecure`, else [`DEFAULT_TRANSFER`].
    pub fn effective_migration(&self) -> Transfer {
        match (&self.migration, &self.migration_unsecure) {
            (Some(migration), _) => migration.value.transfer,
            (None, Some(Located { value: true, .. })) => Transfer::Insecure,
            (None, Some(Located { value: false, .. })) => Transfer::Secure,
            (None, None) => DEFAULT_TRANSFER,
        }
    }
}

const TRANSFER: [Property; 2] = [
    Property::new("type", Check::OneOf(&["secure", "insecure"])).bare().required(),
    Property::new("network", Check::Cidr),
];
const WEBAUTHN: [Property; 4] = [
    Property::new("rp", Check::Text),
    Property::new("origin", Check::Text),
    Property::new("id", Check::Text),
    Property::new("allow-subdomains", Check::Boolean),
];
const U2F: [Property; 2] = [Property::new("appid", Check::Text), Property::new("origin", Check::Text)];
const TAG_ACCESS: [Property; 2] = [
    Property::new("user-allow", Check::OneOf(&["none", "list", "existing", "free"])),
    Property::new("user-allow-list", Check::Text),
];
const NOTIFY: [Property; 6] = [
    Property::new("package-updates", Check::OneOf(&["auto", "always", "never"])),
    Property::new("target-package-updates", Check::Text),
    Property::new("fencing", Check::OneOf(&["always", "never"])),
    Property::new("target-fencing", Check::Text),
    Property::new("replication", Check::OneOf(&["always", "never"])),
    Property::new("target-replication", Check::Text),
];
const HA: [Property; 1] =
    [Property::new("shutdown_policy", Check::OneOf(&["freeze", "failover", "conditional", "migrate"]))];

/// Reads the text of `datacenter.cfg`. Issues never quote a line: `http_proxy` may hold a password.
pub fn parse(text: &str) -> Parsed<DatacenterCfg> {
    let mut parsed = Parsed::<DatacenterCfg>::default();
    let mut last: BTreeMap<&str, (u32, &str)> = BTreeMap::new();
    for (line, content) in numbered(text) {
        parsed.value.description_lines += u32::from(content.starts_with('#'));
        let content = content.trim_matches(is_perl_space);
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        match content.split_once(':') {
            Some((key, value)) if !key.is_empty() && !key.contains(is_perl_space) => {
                last.insert(key, (line, value.trim_start_matches(is_perl_space)));
            }
            _ => parsed.issues.push(Issue::new(line, "not `key: value`; the line is ignored")),
        }
    }
    for (key, (line, value)) in last {
        if let Err(what) = set(key, value, line, &mut parsed.value) {
            parsed.issues.push(Issue::new(line, what));
        }
    }
    parsed.issues.sort();
    parsed
}

/// Perl's `\s` for ASCII.
fn is_perl_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

fn set(key: &str, value: &str, line: u32, cfg: &mut DatacenterCfg) -> Result<(), String> {
    let properties = |format: &[Property]| {
        property::parse(format, value).map_err(|what| format!("`{key}` {what}; the key is dropped"))
    };
    match key {
        "migration" => cfg.migration = Some(Located::new(transfer(&properties(&TRANSFER)?), line)),
        "replication" => cfg.replication = Some(Located::new(transfer(&properties(&TRANSFER)?), line)),
        "migration_unsecure" => {
            let value =
                property::boolean(value).ok_or("`migration_unsecure` is no boolean; the key is dropped")?;
            cfg.migration_unsecure = Some(Located::new(value, line));
        }
        "http_proxy" => {
            if !value.starts_with("http://") {
                return Err("`http_proxy` does not start with http://; the key is dropped".to_owned());
            }
            let (url, credential) = without_credential(value);
            cfg.http_proxy = Some(Located::new(HttpProxy { url, credential }, line));
        }
        "webauthn" => cfg.webauthn = Some(Located::new(webauthn(properties(&WEBAUTHN)?), line)),
        "u2f" => {
            let mut values = properties(&U2F)?;
            let u2f = U2f { appid: values.remove("appid"), origin: values.remove("origin") };
            cfg.u2f = Some(Located::new(u2f, line));
        }
        "user-tag-access" => cfg.user_allow = located(properties(&TAG_ACCESS)?.remove("user-allow"), line),
        "notify" => cfg.package_updates = located(properties(&NOTIFY)?.remove("package-updates"), line),
        "ha" => cfg.shutdown_policy = located(properties(&HA)?.remove("shutdown_policy"), line),
        "consent-text" => cfg.consent_text_line = (!value.is_empty()).then_some(line),
        "fencing" if !["watchdog", "hardware", "both"].contains(&value) => {
            return Err("`fencing` has an unknown value; the key is dropped".to_owned());
        }
        _ => {
            let known = PLAIN_KEYS.iter().find(|known| **known == key);
            let known = known.ok_or("unknown key; it is dropped")?;
            cfg.plain.insert(known, Located::new(value.to_owned(), line));
        }
    }
    Ok(())
}

fn located(value: Option<String>, line: u32) -> Option<Located<String>> {
    value.map(|value| Located::new(value, line))
}

fn transfer(values: &BTreeMap<&'static str, String>) -> TransferSetting {
    let insecure = values.get("type").is_some_and(|kind| kind == "insecure");
    TransferSetting {
        transfer: if insecure { Transfer::Insecure } else { Transfer::Secure },
        network: values.get("network").cloned(),
    }
}

fn webauthn(mut values: BTreeMap<&'static str, String>) -> Webauthn {
    let allow_subdomains = values.get("allow-subdomains").and_then(|value| property::boolean(value));
    let origin = values.remove("origin").map(|origin| without_credential(&origin).0);
    Webauthn {
        rp: values.remove("rp"),
        id: values.remove("id"),
        origin,
        allow_subdomains: allow_subdomains.unwrap_or(DEFAULT_ALLOW_SUBDOMAINS),
    }
}
