//! The format of Proxmox VE 6: lines `USER:TYPE:BASE64(JSON)`, one per user.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::otp::{base32_bytes, base64_bytes, is_base64, is_base64_url_unpadded};
use super::{TfaFactor, TfaKind, TfaUser};
use crate::formats::numbered;

/// The id upstream gives every entry of this format.
const ENTRY_ID: &str = "v1-entry";
/// Characters of a key that is base32 without saying so.
const BASE32_KEY_LENGTH: usize = 16;
/// Characters of a key that is hexadecimal without saying so.
const HEX_KEY_LENGTH: usize = 40;

/// The users, or the first line that makes the file unreadable. A second line for a user replaces the first.
pub(super) fn parse(text: &str) -> Result<BTreeMap<String, TfaUser>, u32> {
    let mut users = BTreeMap::new();
    for (number, line) in numbered(text) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (user, kind, count) = entry(line).ok_or(number)?;
        let factor = TfaFactor { kind, id: ENTRY_ID.to_owned(), created: 0, enabled: true };
        users.insert(user.to_owned(), TfaUser { factors: vec![factor; count], ..TfaUser::default() });
    }
    Ok(users)
}

/// User, kind and number of the factors of a line.
fn entry(line: &str) -> Option<(&str, TfaKind, usize)> {
    let mut parts = line.splitn(3, ':');
    let (user, kind, data) = (parts.next()?, parts.next()?, parts.next()?);
    let Ok(Value::Object(data)) = serde_json::from_slice(&base64_bytes(data)?) else { return None };
    match kind {
        "u2f" => Some((user, TfaKind::U2f, u2f(&data)?)),
        "oath" => Some((user, TfaKind::Totp, oath(&data)?)),
        "yubico" => Some((user, TfaKind::Yubico, keys(&data)?.count())),
        _ => None,
    }
}

/// One, or none while the registration was never finished.
fn u2f(data: &Map<String, Value>) -> Option<usize> {
    if data.contains_key("challenge") {
        return Some(0);
    }
    let good = is_base64_url_unpadded(data.get("keyHandle")?.as_str()?)
        && is_base64(data.get("publicKey")?.as_str()?)
        && data.len() == 2;
    good.then_some(1)
}

/// One for each key.
fn oath(data: &Map<String, Value>) -> Option<usize> {
    let config = data.get("config")?.as_object()?;
    let good = config.iter().all(|(key, value)| match key.as_str() {
        // Upstream panics at zero.
        "step" => number(value).is_some_and(|step| step > 0),
        "digits" => number(value).is_some_and(|digits| u8::try_from(digits).is_ok()),
        _ => false,
    });
    (good && keys(data)?.all(is_oath_key)).then_some(keys(data)?.count())
}

/// Perl may have written a number as a string.
fn number(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    }
}

fn keys(data: &Map<String, Value>) -> Option<impl Iterator<Item = &str>> {
    let list = data.get("keys")?.as_str()?;
    Some(list.split([',', ';', ' ']).map(str::trim_ascii).filter(|key| !key.is_empty()))
}

fn is_oath_key(key: &str) -> bool {
    let is_hex = |key: &str| key.len().is_multiple_of(2) && key.chars().all(|c| c.is_ascii_hexdigit());
    if let Some(key) = key.strip_prefix("v2-0x") {
        is_hex(key)
    } else if let Some(key) = key.strip_prefix("v2-") {
        base32_bytes(key).is_some()
    } else if key.len() == BASE32_KEY_LENGTH {
        base32_bytes(key).is_some()
    } else {
        key.len() == HEX_KEY_LENGTH && is_hex(key)
    }
}
