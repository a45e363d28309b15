//! Property strings of `datacenter.cfg`: `PVE::JSONSchema::parse_property_string` for the formats used there.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// What a value must look like.
#[derive(Clone, Copy)]
pub(super) enum Check {
    /// Anything.
    Text,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// 1/0, on/off, yes/no, true/false in any case.
    Boolean,
    /// An address with a prefix length of at least 8.
    Cidr,
}

/// One sub-key of a format.
#[derive(Clone, Copy)]
pub(super) struct Property {
    name: &'static str,
    check: Check,
    bare: bool,
    required: bool,
}

impl Property {
    pub(super) const fn new(name: &'static str, check: Check) -> Self {
        Self { name, check, bare: false, required: false }
    }

    /// A word without `=` is the value of this sub-key (`default_key`).
    pub(super) const fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    /// Upstream's schema does not mark it as optional.
    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }
}

/// Reads `text`; the error says why upstream refuses all of it, without quoting it.
pub(super) fn parse(format: &[Property], text: &str) -> Result<BTreeMap<&'static str, String>, String> {
    let mut values = BTreeMap::new();
    for part in text.split(',').filter(|part| !part.trim().is_empty()) {
        let (property, value) = match part.split_once('=') {
            Some((name, value)) if !name.is_empty() && !value.is_empty() => {
                let property = format.iter().find(|property| property.name == name);
                (property.ok_or("has an unknown sub-key")?, value)
            }
            Some(_) => return Err("has a sub-key without name or value".to_owned()),
            None => {
                let property = format.iter().find(|property| property.bare);
                (property.ok_or("has a word without a sub-key")?, part)
            }
        };
        if !fits(property.check, value) {
            return Err(format!("has a wrong value for `{}`", property.name));
        }
        if values.insert(property.name, value.to_owned()).is_some() {
            return Err(format!("has `{}` twice", property.name));
        }
    }
    match format.iter().find(|property| property.required && !values.contains_key(property.name)) {
        Some(missing) => Err(format!("has no `{}`", missing.name)),
        None => Ok(values),
    }
}

fn fits(check: Check, value: &str) -> bool {
    match check {
        Check::Text => true,
        Check::OneOf(words) => words.contains(&value),
        Check::Boolean => boolean(value).is_some(),
        Check::Cidr => is_cidr(value),
    }
}

/// Shortest prefix `pve_verify_cidr` accepts.
const SHORTEST_PREFIX: u8 = 8;

fn is_cidr(value: &str) -> bool {
    let Some((address, prefix)) = value.split_once('/') else { return false };
    let (Ok(address), Ok(prefix)) = (address.parse::<IpAddr>(), prefix.parse::<u8>()) else { return false };
    let longest = if address.is_ipv4() { 32 } else { 128 };
    (SHORTEST_PREFIX..=longest).contains(&prefix)
}

/// `PVE::JSONSchema::parse_boolean`.
pub(super) fn boolean(value: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(value));
    if is(&["1", "on", "yes", "true"]) {
        Some(true)
    } else if is(&["0", "off", "no", "false"]) {
        Some(false)
    } else {
        None
    }
}
