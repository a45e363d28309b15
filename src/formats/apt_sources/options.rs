//! Options of a source: the words in brackets or the deb822 fields of the same meaning.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{AptVersion, Context, Entry, SourceType};
use crate::formats::apt_text::{self, boolean, is_space, split};

/// Line that starts a key block inside `Signed-By`.
const KEY_BLOCK: &str = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
/// The target that is the list of packages.
const PACKAGES: &str = "Packages";
/// Hex digits of a fingerprint.
const FINGERPRINT: usize = 40;

/// Which architectures a source is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Architectures {
    /// `arch=` or `Architectures`: these instead of the configured ones.
    pub set: Option<Vec<String>>,
    /// `arch+=` or `Architectures-Add`: these too.
    pub add: Vec<String>,
    /// `arch-=` or `Architectures-Remove`: these not.
    pub remove: Vec<String>,
}

impl Architectures {
    /// The architectures asked for on a host with `configured` ones (native first, then foreign). `all` is always
    /// among them unless it is removed.
    pub fn resolve(&self, configured: &[String]) -> Vec<String> {
        let mut list = self.set.clone().unwrap_or_else(|| configured.to_vec());
        for name in &self.add {
            if !list.contains(name) {
                list.push(name.clone());
            }
        }
        list.retain(|name| !self.remove.contains(name));
        let all = "all".to_owned();
        if !list.contains(&all) && !self.remove.contains(&all) {
            list.push(all);
        }
        list
    }
}

/// One key of `signed-by`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// A keyring file, by absolute path.
    File(String),
    /// A fingerprint in upper case; `!` at the end means this very subkey.
    Fingerprint(String),
}

impl Key {
    /// The path or the fingerprint.
    pub fn text(&self) -> &str {
        match self {
            Self::File(text) | Self::Fingerprint(text) => text,
        }
    }
}

/// The value of `signed-by`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedBy {
    /// Keyring files and fingerprints, in their order.
    Keys(Vec<Key>),
    /// A key block in the file itself (apt 2.3.10 and later), as the SHA-256 of its normalized text in hex.
    Inline(String),
}

impl SignedBy {
    /// Bytes the value takes, roughly.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Inline(digest) => digest.len(),
            Self::Keys(keys) => keys.iter().map(|key| key.text().len() + size_of::<Key>()).sum(),
        }
    }

    /// apt's `NormalizeSignedBy`; `None` for a value apt refuses.
    fn parse(text: &str, version: AptVersion) -> Option<Self> {
        if version != AptVersion::V2_2 && text.contains(KEY_BLOCK) {
            return Some(Self::Inline(digest(text)));
        }
        let words = text.split(|c: char| c == ',' || u8::try_from(c).is_ok_and(is_space));
        let keys: Option<Vec<Key>> = words.filter(|word| !word.is_empty()).map(key).collect();
        keys.filter(|keys| !keys.is_empty()).map(Self::Keys)
    }
}

fn key(word: &str) -> Option<Key> {
    if word.starts_with('/') {
        return Some(Key::File(word.to_owned()));
    }
    let digits = word.strip_suffix('!').unwrap_or(word);
    let good = digits.len() == FINGERPRINT && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    good.then(|| Key::Fingerprint(word.to_ascii_uppercase()))
}

/// Digest of a key block whose lines are stripped and whose `.` lines are empty, as apt compares it.
fn digest(text: &str) -> String {
    let body = text.strip_suffix('\n').unwrap_or(text);
    let mut hash = Sha256::new();
    for line in body.split('\n') {
        let line = apt_text::trim(line);
        hash.update(if line == "." { "" } else { line });
        hash.update("\n");
    }
    hash.finalize().iter().flat_map(|byte| apt_text::hex(*byte)).collect()
}

/// Options by their one-line names; a name given twice keeps its last value.
#[derive(Debug, Clone, Default)]
pub(super) struct Options(BTreeMap<String, String>);

impl Options {
    pub(super) fn set(&mut self, name: &str, value: String) {
        self.0.insert(name.to_owned(), value);
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn list(&self, name: &str) -> Option<Vec<String>> {
        self.get(name).map(|text| split(text, ','))
    }

    /// A switch whose unknown words leave apt's configuration in charge.
    fn switch(&self, name: &str) -> Option<bool> {
        self.get(name).and_then(boolean)
    }

    /// A switch whose unknown words mean no.
    fn strict(&self, name: &str) -> Option<bool> {
        self.get(name).map(|text| boolean(text).unwrap_or(false))
    }

    fn seconds(&self, name: &str) -> u64 {
        self.get(name).map_or(0, |text| u64::try_from(apt_text::number(text, 10).0).unwrap_or(u64::MAX))
    }

    /// Whether the list of packages is asked for: `target` names others instead, `target-` takes it away.
    fn targets_packages(&self) -> bool {
        let has = |name: &str| self.list(name).map(|list| list.iter().any(|target| target == PACKAGES));
        (has("target").unwrap_or(true) || has("target+") == Some(true)) && has("target-") != Some(true)
    }

    /// An entry with these options and everything else still empty; `None` when `signed-by` is refused.
    pub(super) fn entry(&self, source_type: SourceType, line: u32, context: &Context<'_>) -> Option<Entry> {
        let signed_by = match self.get("signed-by") {
            None | Some("") => None,
            Some(text) => Some(SignedBy::parse(text, context.version)?),
        };
        let snapshot = self.get("snapshot").filter(|text| boolean(text) != Some(false));
        Some(Entry {
            source_type,
            uri: String::new(),
            credentials: false,
            suite: String::new(),
            component: None,
            architectures: Architectures {
                set: self.list("arch"),
                add: self.list("arch+").unwrap_or_default(),
                remove: self.list("arch-").unwrap_or_default(),
            },
            targets_packages: self.targets_packages(),
            trusted: self.strict("trusted"),
            signed_by,
            allow_insecure: self.switch("allow-insecure"),
            allow_weak: self.switch("allow-weak"),
            allow_downgrade_to_insecure: self.switch("allow-downgrade-to-insecure"),
            check_valid_until: self.strict("check-valid-until"),
            check_date: self.strict("check-date"),
            valid_until_min: self.seconds("valid-until-min"),
            valid_until_max: self.seconds("valid-until-max"),
            date_max_future: self.seconds("date-max-future"),
            inrelease_path: self.get("inrelease-path").map(str::to_owned),
            snapshot: snapshot.filter(|_| context.version == AptVersion::V3_0).map(str::to_owned),
            enabled: true,
            line,
        })
    }
}
