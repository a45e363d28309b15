//! The JSON format. The types mirror upstream's, so that the same texts are refused: an unknown key of a user
//! or a factor makes the file unreadable, one of the file, of a key or of the recovery codes does not.
//!
//! Secrets are checked for their form where upstream does so, and dropped at once.

use std::collections::BTreeMap;
use std::marker::PhantomData;

use serde::Deserialize;
use serde::de::{Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::otp::{is_base64, is_base64_url, is_totp_uri};
use super::{Recovery, TfaFactor, TfaKind, TfaUser};

/// The users of a JSON text, or the line at which it cannot be read.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, TfaUser>, u32> {
    let file: File =
        serde_json::from_str(text).map_err(|error| u32::try_from(error.line()).unwrap_or(u32::MAX).max(1))?;
    Ok(file.users.into_iter().map(|(id, user)| (id, user.facts())).collect())
}

#[derive(Deserialize)]
struct File {
    #[serde(rename = "u2f")]
    _u2f: Option<U2fConfig>,
    #[serde(rename = "webauthn")]
    _webauthn: Option<WebauthnConfig>,
    #[serde(default)]
    users: BTreeMap<String, User>,
}

/// Left over from Proxmox Backup Server; ignored, but it must have the right form.
#[derive(Deserialize)]
struct U2fConfig {
    #[serde(rename = "appid")]
    _appid: Text,
    #[serde(rename = "origin")]
    _origin: Option<Text>,
}

/// As [`U2fConfig`]. Whether the origin is a URL is not checked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WebauthnConfig {
    #[serde(rename = "rp")]
    _rp: Text,
    #[serde(rename = "origin")]
    _origin: Option<Text>,
    #[serde(rename = "id")]
    _id: Text,
    #[serde(rename = "allow-subdomains")]
    _allow_subdomains: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct User {
    #[serde(default)]
    totp: Vec<Entry<Totp>>,
    #[serde(default)]
    u2f: Vec<Entry<U2f>>,
    #[serde(default)]
    webauthn: Vec<Entry<Webauthn>>,
    #[serde(default)]
    recovery: Option<RecoveryCodes>,
    #[serde(default)]
    yubico: Vec<Entry<Text>>,
    #[serde(default)]
    totp_locked: bool,
    #[serde(default)]
    tfa_locked_until: Option<i64>,
}

impl User {
    fn facts(self) -> TfaUser {
        let mut factors = Vec::new();
        factors.extend(self.totp.into_iter().map(|entry| entry.facts(TfaKind::Totp)));
        factors.extend(self.u2f.into_iter().map(|entry| entry.facts(TfaKind::U2f)));
        factors.extend(self.webauthn.into_iter().map(|entry| entry.facts(TfaKind::Webauthn)));
        factors.extend(self.yubico.into_iter().map(|entry| entry.facts(TfaKind::Yubico)));
        TfaUser {
            factors,
            recovery: self.recovery.map(|codes| codes.facts()),
            totp_locked: self.totp_locked,
            tfa_locked_until: self.tfa_locked_until,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry<T> {
    #[serde(flatten)]
    info: Info,
    #[serde(rename = "entry")]
    _entry: T,
}

#[derive(Deserialize)]
struct Info {
    id: String,
    #[serde(default, rename = "description")]
    _description: Text,
    created: i64,
    #[serde(default = "enabled")]
    enable: bool,
}

const fn enabled() -> bool {
    true
}

impl<T> Entry<T> {
    fn facts(self, kind: TfaKind) -> TfaFactor {
        TfaFactor { kind, id: self.info.id, created: self.info.created, enabled: self.info.enable }
    }
}

#[derive(Deserialize)]
struct RecoveryCodes {
    #[serde(rename = "secret")]
    _secret: Text,
    entries: Vec<Option<Text>>,
    created: i64,
}

impl RecoveryCodes {
    fn facts(&self) -> Recovery {
        let codes_left = self.entries.iter().flatten().count();
        Recovery { codes: self.entries.len(), codes_left, created: self.created }
    }
}

#[derive(Deserialize)]
struct U2f {
    #[serde(rename = "key")]
    _key: U2fKey,
    #[serde(rename = "public-key")]
    _public_key: Checked<Base64>,
    #[serde(default, rename = "certificate")]
    _certificate: Checked<Base64>,
}

#[derive(Deserialize)]
struct U2fKey {
    #[serde(rename = "keyHandle")]
    _key_handle: Checked<Base64Url>,
    #[serde(rename = "version")]
    _version: Text,
}

/// The inner form of the id and the key is not checked, only that they are there.
#[derive(Deserialize)]
struct Webauthn {
    #[serde(rename = "cred_id")]
    _cred_id: IgnoredAny,
    #[serde(rename = "cred")]
    _cred: IgnoredAny,
    #[serde(rename = "counter")]
    _counter: u32,
    #[serde(default, rename = "backup_eligible")]
    _backup_eligible: bool,
    #[serde(default, rename = "backup_state")]
    _backup_state: bool,
}

/// A URI, or an object of the URI and the last used counter.
struct Totp;

impl<'de> Deserialize<'de> for Totp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TotpVisitor)
    }
}

struct TotpVisitor;

impl<'de> Visitor<'de> for TotpVisitor {
    type Value = Totp;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a TOTP entry")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Totp, E> {
        if is_totp_uri(text) { Ok(Totp) } else { Err(E::custom("not a TOTP URI")) }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Totp, A::Error> {
        let mut uri: Option<Checked<TotpUri>> = None;
        let mut last_count: Option<i64> = None;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "totp" if uri.is_none() => uri = Some(map.next_value()?),
                "last-count" if last_count.is_none() => last_count = Some(map.next_value()?),
                _ => return Err(A::Error::custom("unknown or repeated key")),
            }
        }
        uri.map(|_| Totp).ok_or_else(|| A::Error::missing_field("totp"))
    }
}

/// The form a secret text must have.
trait Form {
    fn fits(text: &str) -> bool;
}

struct AnyText;
struct TotpUri;
struct Base64;
struct Base64Url;

impl Form for AnyText {
    fn fits(_: &str) -> bool {
        true
    }
}

impl Form for TotpUri {
    fn fits(text: &str) -> bool {
        is_totp_uri(text)
    }
}

impl Form for Base64 {
    fn fits(text: &str) -> bool {
        is_base64(text)
    }
}

impl Form for Base64Url {
    fn fits(text: &str) -> bool {
        is_base64_url(text)
    }
}

/// A text that was there and had the right form. The text itself is gone.
struct Checked<F>(PhantomData<F>);

/// Any text.
type Text = Checked<AnyText>;

impl<F> Default for Checked<F> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<'de, F: Form> Deserialize<'de> for Checked<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if F::fits(&text) { Ok(Self(PhantomData)) } else { Err(D::Error::custom("bad form")) }
    }
}
