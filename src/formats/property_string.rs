//! Property strings: `default,key=value,key=value`, the small grammar inside many Proxmox VE options.
//!
//! Follows `parse_property_string`, `check_object` and `check_prop` of pve-common's `PVE::JSONSchema`. One bad
//! element refuses the whole string: a typo inside `net0` takes the whole network device away.
//!
//! A [`Refusal`] names only keys of the schema, never text of the value: some property strings hold secrets.

use std::collections::BTreeMap;
use std::fmt;

use super::perl;
use super::release::Release;

/// What values a key takes, as a JSON schema of upstream says.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// 1, on, yes, true or 0, off, no, false in a property string; only 1 and 0 in a section config.
    Boolean,
    /// A whole number with an optional sign, between the bounds.
    Integer {
        /// Smallest value allowed.
        min: i64,
        /// Largest value allowed.
        max: i64,
    },
    /// A decimal number, between the bounds.
    Number {
        /// Smallest value allowed.
        min: i64,
        /// Largest value allowed.
        max: i64,
    },
    /// Any text.
    Text,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Text a named format or pattern of upstream accepts.
    Checked(fn(&str) -> bool),
    /// A property string of its own.
    Properties(&'static Schema),
    /// Another name of the given key.
    Alias(&'static str),
    /// `model=value`, short for two keys: the key itself becomes the value of `name`, its value that of `value`.
    NameAndValue {
        /// The key that takes this key's name as its value.
        name: &'static str,
        /// The key that takes this key's value.
        value: &'static str,
    },
}

/// A whole number without bounds.
pub const INTEGER: Kind = Kind::Integer { min: i64::MIN, max: i64::MAX };
/// A whole number that is not negative.
pub const UNSIGNED: Kind = Kind::Integer { min: 0, max: i64::MAX };
/// A decimal number that is not negative.
pub const NUMBER: Kind = Kind::Number { min: 0, max: i64::MAX };

/// One key a schema knows.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The name before the `=`.
    pub name: &'static str,
    /// The values it takes.
    pub kind: Kind,
    /// Whether an element without `=` is the value of this key.
    pub is_default: bool,
    /// Whether the value is refused without this key.
    pub is_required: bool,
    /// Whether its value is a secret that is never kept.
    pub is_secret: bool,
    /// The first release that knows it.
    pub since: Release,
    /// The last release that knows it.
    pub until: Release,
}

/// An optional key that every release knows.
pub const fn key(name: &'static str, kind: Kind) -> Key {
    Key {
        name,
        kind,
        is_default: false,
        is_required: false,
        is_secret: false,
        since: Release::Pve7,
        until: Release::Pve9,
    }
}

impl Key {
    /// The same key, taking the elements without `=`.
    #[must_use]
    pub const fn default_key(mut self) -> Self {
        self.is_default = true;
        self
    }

    /// The same key, without which the value is refused.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.is_required = true;
        self
    }

    /// The same key, with a value that is never kept.
    #[must_use]
    pub const fn secret(mut self) -> Self {
        self.is_secret = true;
        self
    }

    /// The same key, unknown before `release`.
    #[must_use]
    pub const fn since(mut self, release: Release) -> Self {
        self.since = release;
        self
    }

    /// The same key, unknown after `release`.
    #[must_use]
    pub const fn until(mut self, release: Release) -> Self {
        self.until = release;
        self
    }

    /// Whether `release` knows this key.
    pub fn known_to(&self, release: Release) -> bool {
        self.since <= release && release <= self.until
    }
}

/// The keys of one kind of property string, in groups so that related kinds share them.
#[derive(Debug, Clone, Copy)]
pub struct Schema {
    /// The groups of keys; a name stands in at most one of them.
    pub keys: &'static [&'static [Key]],
}

impl Schema {
    /// The keys `release` knows.
    pub fn keys(&self, release: Release) -> impl Iterator<Item = &'static Key> {
        self.keys.iter().flat_map(|group| group.iter()).filter(move |key| key.known_to(release))
    }

    fn find(&self, name: &str, release: Release) -> Option<&'static Key> {
        self.keys(release).find(|key| key.name == name)
    }
}

/// What a property string says: aliases resolved, booleans written `1` and `0`, values of secret keys left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Properties {
    /// Sorted by key. Not a map: there are many of these, and each holds a handful of pairs.
    values: Vec<(&'static str, String)>,
}

impl Properties {
    /// The value of `key`. A secret key has the empty text.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str())
    }

    /// Whether `key` is given at all.
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The value of a boolean key.
    pub fn flag(&self, key: &str) -> Option<bool> {
        self.get(key).map(perl::is_true)
    }

    /// The value of a key that holds a whole number, if it is one and fits.
    pub fn number(&self, key: &str) -> Option<u64> {
        self.get(key)?.parse().ok()
    }

    /// The items of a `;` list; no items if the key is not given.
    pub fn list(&self, key: &str) -> Vec<&str> {
        self.get(key)
            .map(|text| text.split(';').filter(|item| !item.is_empty()).collect())
            .unwrap_or_default()
    }

    /// The keys that are given, in order of their names.
    pub fn keys(&self) -> impl Iterator<Item = &'static str> {
        self.values.iter().map(|(key, _)| *key)
    }
}

/// Why upstream refuses a whole property string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A key is given twice, or once by itself and once through an alias.
    Duplicate(&'static str),
    /// A key is not in the schema.
    UnknownKey,
    /// An element has an `=` but nothing before or after it.
    MissingKey,
    /// An element has no `=` and the schema has no default key.
    NoDefaultKey,
    /// The value of this key is not one it takes.
    BadValue(&'static str),
    /// This key must be given and is not.
    Missing(&'static str),
}

impl fmt::Display for Refusal {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Duplicate(key) => write!(out, "`{key}` is given twice"),
            Self::UnknownKey => out.write_str("a key is unknown"),
            Self::MissingKey => out.write_str("an element has nothing before or after its `=`"),
            Self::NoDefaultKey => out.write_str("an element has no key"),
            Self::BadValue(key) => write!(out, "`{key}` has a bad value"),
            Self::Missing(key) => write!(out, "`{key}` is missing"),
        }
    }
}

/// Reads `text` by `schema` as `release` does, or says why upstream refuses it.
pub fn parse(schema: &'static Schema, text: &str, release: Release) -> Result<Properties, Refusal> {
    let mut reader = Reader { schema, release, values: BTreeMap::new(), default_seen: None };
    for part in text.split(',').filter(|part| !perl::is_blank(part)) {
        reader.element(part)?;
    }
    reader.finish()
}

struct Reader {
    schema: &'static Schema,
    release: Release,
    values: BTreeMap<&'static str, String>,
    default_seen: Option<&'static str>,
}

impl Reader {
    fn element(&mut self, part: &str) -> Result<(), Refusal> {
        match part.split_once('=') {
            Some((name, value)) if !name.is_empty() && !value.is_empty() => self.pair(name, value),
            Some(_) => Err(Refusal::MissingKey),
            None => self.bare(part),
        }
    }

    fn pair(&mut self, name: &str, value: &str) -> Result<(), Refusal> {
        let key = self.schema.find(name, self.release).ok_or(Refusal::UnknownKey)?;
        match key.kind {
            Kind::Alias(target) => {
                let target = self.schema.find(target, self.release).ok_or(Refusal::UnknownKey)?;
                self.put(target, value)
            }
            Kind::NameAndValue { name: model, value: target } => {
                self.put_text(model, key.name)?;
                self.put_text(target, value)
            }
            _ => self.put(key, value),
        }
    }

    /// An element without `=` belongs to the default key. Upstream asks whether that key already has a *true*
    /// value, so `enabled=0,1` is no duplicate: the bare 1 wins.
    fn bare(&mut self, part: &str) -> Result<(), Refusal> {
        if let Some(seen) = self.default_seen {
            return Err(Refusal::Duplicate(seen));
        }
        let key = self.schema.keys(self.release).find(|key| key.is_default).ok_or(Refusal::NoDefaultKey)?;
        self.default_seen = Some(key.name);
        if self.values.get(key.name).is_some_and(|value| perl::is_true(value)) {
            return Err(Refusal::Duplicate(key.name));
        }
        self.values.remove(key.name);
        self.put(key, part)
    }

    fn put(&mut self, key: &Key, value: &str) -> Result<(), Refusal> {
        match (key.kind, perl::boolean_word(value)) {
            (Kind::Boolean, Some(flag)) => self.put_text(key.name, if flag { "1" } else { "0" }),
            _ => self.put_text(key.name, value),
        }
    }

    fn put_text(&mut self, name: &'static str, value: &str) -> Result<(), Refusal> {
        if self.values.contains_key(name) {
            return Err(Refusal::Duplicate(name));
        }
        self.values.insert(name, value.to_owned());
        Ok(())
    }

    fn finish(mut self) -> Result<Properties, Refusal> {
        for key in self.schema.keys(self.release) {
            match self.values.get_mut(key.name) {
                Some(value) if !accepts(key.kind, value, self.release) => {
                    return Err(Refusal::BadValue(key.name));
                }
                Some(value) if key.is_secret => value.clear(),
                None if key.is_required => return Err(Refusal::Missing(key.name)),
                _ => {}
            }
        }
        Ok(Properties { values: self.values.into_iter().collect() })
    }
}

/// Whether `check_prop` takes `value` for `kind`: the strict check after words such as `on` became 1.
pub fn accepts(kind: Kind, value: &str, release: Release) -> bool {
    match kind {
        Kind::Boolean => matches!(value, "0" | "1"),
        Kind::Integer { min, max } => is_integer(value) && is_between(value, min, max),
        Kind::Number { min, max } => is_number(value) && is_between(value, min, max),
        Kind::Text | Kind::Alias(_) | Kind::NameAndValue { .. } => true,
        Kind::OneOf(words) => words.contains(&value),
        Kind::Checked(check) => check(value),
        Kind::Properties(schema) => parse(schema, value, release).is_ok(),
    }
}

fn without_sign(value: &str) -> &str {
    value.strip_prefix(['+', '-']).unwrap_or(value)
}

fn is_integer(value: &str) -> bool {
    perl::is_digits(without_sign(value))
}

/// `[+-]? (digits | digits. | .digits | digits.digits) ([eE] [+-]? digits)?`
fn is_number(value: &str) -> bool {
    let (mantissa, exponent) = match without_sign(value).split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (without_sign(value), None),
    };
    let mantissa_fits = match mantissa.split_once('.') {
        Some((whole, part)) => {
            [whole, part].iter().all(|digits| digits.is_empty() || perl::is_digits(digits))
        }
        None => true,
    };
    let has_digits = mantissa.bytes().any(|byte| byte.is_ascii_digit());
    let mantissa_fits = mantissa_fits && has_digits && (mantissa.contains('.') || perl::is_digits(mantissa));
    mantissa_fits && exponent.is_none_or(is_integer)
}

#[expect(clippy::cast_precision_loss, reason = "upstream compares as floating point too")]
fn is_between(value: &str, min: i64, max: i64) -> bool {
    value.parse::<f64>().is_ok_and(|number| min as f64 <= number && number <= max as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    static INNER: Schema = Schema { keys: &[&[key("a", UNSIGNED)]] };
    static DISK: Schema = Schema {
        keys: &[
            &[
                key("file", Kind::Text).default_key().required(),
                key("volume", Kind::Alias("file")),
                key("backup", Kind::Boolean),
                key("queues", Kind::Integer { min: 2, max: 64 }),
                key("rate", NUMBER),
                key("media", Kind::OneOf(&["cdrom", "disk"])),
            ],
            &[key("cyls", INTEGER).until(Release::Pve8), key("new", Kind::Text).since(Release::Pve9)],
            &[key("key", Kind::Text).secret()],
        ],
    };
    static NIC: Schema = Schema {
        keys: &[&[
            key("model", Kind::OneOf(&["virtio", "e1000"])).default_key().required(),
            key("macaddr", Kind::Text),
            key("virtio", Kind::NameAndValue { name: "model", value: "macaddr" }),
            key("e1000", Kind::NameAndValue { name: "model", value: "macaddr" }),
            key("firewall", Kind::Boolean),
        ]],
    };
    static AGENT: Schema = Schema { keys: &[&[key("enabled", Kind::Boolean).default_key()]] };
    static NO_DEFAULT: Schema = Schema { keys: &[&[key("nesting", Kind::Boolean)]] };

    fn disk(text: &str) -> Result<Properties, Refusal> {
        parse(&DISK, text, Release::Pve9)
    }

    #[test]
    fn a_bare_element_is_the_default_key_wherever_it_stands() {
        assert_eq!(disk("local:1/x,backup=1").unwrap().get("file"), Some("local:1/x"));
        assert_eq!(disk("backup=1,local:1/x").unwrap().get("file"), Some("local:1/x"));
        assert_eq!(parse(&NO_DEFAULT, "nesting", Release::Pve9), Err(Refusal::NoDefaultKey));
    }

    #[test]
    fn empty_elements_are_skipped() {
        assert_eq!(disk("x,, ,backup=1,").unwrap().flag("backup"), Some(true));
    }

    #[test]
    fn boolean_words_are_normalised_and_others_refuse_the_value() {
        for (word, expected) in [("yes", "1"), ("ON", "1"), ("False", "0"), ("0", "0")] {
            assert_eq!(disk(&format!("x,backup={word}")).unwrap().get("backup"), Some(expected));
        }
        assert_eq!(disk("x,backup=maybe"), Err(Refusal::BadValue("backup")));
    }

    #[test]
    fn a_duplicate_key_refuses_the_value_even_through_an_alias() {
        assert_eq!(disk("x,backup=1,backup=1"), Err(Refusal::Duplicate("backup")));
        assert_eq!(disk("x,y"), Err(Refusal::Duplicate("file")));
        assert_eq!(disk("file=x,volume=y"), Err(Refusal::Duplicate("file")));
        assert_eq!(disk("x,file=y"), Err(Refusal::Duplicate("file")));
    }

    #[test]
    fn a_bare_element_replaces_a_default_key_that_is_false() {
        let agent = |text| parse(&AGENT, text, Release::Pve9);
        assert_eq!(agent("enabled=0,1").unwrap().flag("enabled"), Some(true));
        assert_eq!(agent("enabled=1,0"), Err(Refusal::Duplicate("enabled")));
        assert_eq!(agent("1,enabled=0"), Err(Refusal::Duplicate("enabled")));
    }

    #[test]
    fn unknown_keys_refuse_the_value_and_blanks_belong_to_the_key() {
        assert_eq!(disk("x,typo=1"), Err(Refusal::UnknownKey));
        assert_eq!(disk("x, backup=1"), Err(Refusal::UnknownKey));
    }

    #[test]
    fn an_element_needs_something_on_both_sides_of_its_equals_sign() {
        assert_eq!(disk("x,backup="), Err(Refusal::MissingKey));
        assert_eq!(disk("x,=1"), Err(Refusal::MissingKey));
    }

    #[test]
    fn a_required_key_must_be_there() {
        assert_eq!(disk("backup=1"), Err(Refusal::Missing("file")));
        assert_eq!(disk(""), Err(Refusal::Missing("file")));
    }

    #[test]
    fn a_model_may_be_the_key_of_the_address() {
        let nic = |text| parse(&NIC, text, Release::Pve9).unwrap();
        assert_eq!(nic("virtio=AA:BB").get("model"), Some("virtio"));
        assert_eq!(nic("virtio=AA:BB"), nic("model=virtio,macaddr=AA:BB"));
        assert_eq!(nic("e1000,firewall=1").get("model"), Some("e1000"));
        assert_eq!(parse(&NIC, "virtio=A,e1000=B", Release::Pve9), Err(Refusal::Duplicate("model")));
    }

    #[test]
    fn keys_come_and_go_with_releases() {
        assert!(parse(&DISK, "x,cyls=1", Release::Pve8).is_ok());
        assert_eq!(disk("x,cyls=1"), Err(Refusal::UnknownKey));
        assert_eq!(parse(&DISK, "x,new=1", Release::Pve7), Err(Refusal::UnknownKey));
    }

    #[test]
    fn numbers_are_bounded() {
        assert!(disk("x,queues=2").is_ok() && disk("x,rate=1.5").is_ok() && disk("x,rate=.5e1").is_ok());
        for bad in
            ["queues=1", "queues=65", "queues=2.0", "queues=", "rate=1.2.3", "rate=.", "rate=-1", "rate=e1"]
        {
            assert!(disk(&format!("x,{bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_value_of_a_secret_key_is_not_kept() {
        let properties = disk("x,key=hunter2").unwrap();
        assert!(properties.has("key"));
        assert!(!format!("{properties:?}").contains("hunter2"));
    }

    #[test]
    fn nested_property_strings_are_checked() {
        assert!(accepts(Kind::Properties(&INNER), "a=1", Release::Pve9));
        assert!(!accepts(Kind::Properties(&INNER), "b=1", Release::Pve9));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn parsing_never_panics(text in ".{0,60}") {
            let _ = parse(&DISK, &text, Release::Pve9);
            let _ = parse(&NIC, &text, Release::Pve7);
        }

        #[test]
        fn what_is_written_is_read_back(
            file in "[a-z]{1,5}:[0-9]{1,3}", backup in any::<bool>(), queues in 2_u8..=64, reverse in any::<bool>(),
        ) {
            let mut parts = [file.clone(), format!("backup={backup}"), format!("queues={queues}")];
            if reverse {
                parts.reverse();
            }
            let read = disk(&parts.join(",")).unwrap();
            prop_assert_eq!(read.get("file"), Some(file.as_str()));
            prop_assert_eq!(read.flag("backup"), Some(backup));
            prop_assert_eq!(read.number("queues"), Some(u64::from(queues)));
        }
    }
}
