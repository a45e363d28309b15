//! OpenSSL cipher lists, for TLS up to 1.2.
//!
//! Follows OpenSSL 3 `ssl/ssl_ciph.c` (`ssl_cipher_process_rulestr`, `cipher_aliases`) and `ssl/ssl_cert.c`
//! (`ssl_security_default_callback`), as Debian builds it: suites of `weak-ssl-ciphers` such as RC4 and 3DES do not
//! exist. Suites with pre-shared keys or SRP are left out: no program without such secrets offers them.

use std::collections::BTreeSet;

/// The suites, by which everything else about them is told.
pub const SUITES: [&str; 89] = [
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "DHE-DSS-AES256-GCM-SHA384",
    "DHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "DHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES256-CCM8",
    "ECDHE-ECDSA-AES256-CCM",
    "DHE-RSA-AES256-CCM8",
    "DHE-RSA-AES256-CCM",
    "ECDHE-ECDSA-ARIA256-GCM-SHA384",
    "ECDHE-ARIA256-GCM-SHA384",
    "DHE-DSS-ARIA256-GCM-SHA384",
    "DHE-RSA-ARIA256-GCM-SHA384",
    "ADH-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "DHE-DSS-AES128-GCM-SHA256",
    "DHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES128-CCM8",
    "ECDHE-ECDSA-AES128-CCM",
    "DHE-RSA-AES128-CCM8",
    "DHE-RSA-AES128-CCM",
    "ECDHE-ECDSA-ARIA128-GCM-SHA256",
    "ECDHE-ARIA128-GCM-SHA256",
    "DHE-DSS-ARIA128-GCM-SHA256",
    "DHE-RSA-ARIA128-GCM-SHA256",
    "ADH-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-SHA384",
    "ECDHE-RSA-AES256-SHA384",
    "DHE-RSA-AES256-SHA256",
    "DHE-DSS-AES256-SHA256",
    "ECDHE-ECDSA-CAMELLIA256-SHA384",
    "ECDHE-RSA-CAMELLIA256-SHA384",
    "DHE-RSA-CAMELLIA256-SHA256",
    "DHE-DSS-CAMELLIA256-SHA256",
    "ADH-AES256-SHA256",
    "ADH-CAMELLIA256-SHA256",
    "ECDHE-ECDSA-AES128-SHA256",
    "ECDHE-RSA-AES128-SHA256",
    "DHE-RSA-AES128-SHA256",
    "DHE-DSS-AES128-SHA256",
    "ECDHE-ECDSA-CAMELLIA128-SHA256",
    "ECDHE-RSA-CAMELLIA128-SHA256",
    "DHE-RSA-CAMELLIA128-SHA256",
    "DHE-DSS-CAMELLIA128-SHA256",
    "ADH-AES128-SHA256",
    "ADH-CAMELLIA128-SHA256",
    "ECDHE-ECDSA-AES256-SHA",
    "ECDHE-RSA-AES256-SHA",
    "DHE-RSA-AES256-SHA",
    "DHE-DSS-AES256-SHA",
    "DHE-RSA-CAMELLIA256-SHA",
    "DHE-DSS-CAMELLIA256-SHA",
    "AECDH-AES256-SHA",
    "ADH-AES256-SHA",
    "ADH-CAMELLIA256-SHA",
    "ECDHE-ECDSA-AES128-SHA",
    "ECDHE-RSA-AES128-SHA",
    "DHE-RSA-AES128-SHA",
    "DHE-DSS-AES128-SHA",
    "DHE-RSA-CAMELLIA128-SHA",
    "DHE-DSS-CAMELLIA128-SHA",
    "AECDH-AES128-SHA",
    "ADH-AES128-SHA",
    "ADH-CAMELLIA128-SHA",
    "AES256-GCM-SHA384",
    "AES256-CCM8",
    "AES256-CCM",
    "ARIA256-GCM-SHA384",
    "AES128-GCM-SHA256",
    "AES128-CCM8",
    "AES128-CCM",
    "ARIA128-GCM-SHA256",
    "AES256-SHA256",
    "CAMELLIA256-SHA256",
    "AES128-SHA256",
    "CAMELLIA128-SHA256",
    "AES256-SHA",
    "CAMELLIA256-SHA",
    "AES128-SHA",
    "CAMELLIA128-SHA",
    "ECDHE-ECDSA-NULL-SHA",
    "ECDHE-RSA-NULL-SHA",
    "AECDH-NULL-SHA",
    "NULL-SHA256",
    "NULL-SHA",
    "NULL-MD5",
];

/// The security level Debian builds OpenSSL with.
pub const DEFAULT_LEVEL: u8 = 2;

/// Aliases whose members are not listed here.
const NOT_FOLLOWED: [&str; 5] = ["FIPS", "SUITEB128", "SUITEB128C2", "SUITEB128ONLY", "SUITEB192"];

/// What a cipher list comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ciphers {
    /// The suites a server with the list accepts.
    pub suites: BTreeSet<&'static str>,
    /// The security level in force.
    pub level: u8,
    /// A word of the list is known to OpenSSL and not followed here.
    pub uncertain: bool,
}

/// How keys are exchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exchange {
    Rsa,
    FiniteField,
    Curve,
}

/// How the server proves who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    Rsa,
    Dss,
    Ecdsa,
    Nothing,
}

fn exchange(suite: &str) -> Exchange {
    match suite.split('-').next() {
        Some("ECDHE" | "AECDH") => Exchange::Curve,
        Some("DHE" | "ADH") => Exchange::FiniteField,
        _ => Exchange::Rsa,
    }
}

fn proof(suite: &str) -> Proof {
    let mut words = suite.split('-');
    match (words.next(), words.next()) {
        (Some("ADH" | "AECDH"), _) => Proof::Nothing,
        (_, Some("ECDSA")) => Proof::Ecdsa,
        (_, Some("DSS")) => Proof::Dss,
        _ => Proof::Rsa,
    }
}

fn has_word(suite: &str, word: &str) -> bool {
    suite.split('-').any(|each| each == word)
}

fn begins_with(suite: &str, word: &str) -> bool {
    suite.split('-').any(|each| each.starts_with(word))
}

/// Whether the suite is authenticated encryption, for which the last word is no check sum.
fn is_aead(suite: &str) -> bool {
    has_word(suite, "GCM") || begins_with(suite, "CCM") || has_word(suite, "CHACHA20")
}

fn check_sum(suite: &str) -> Option<&str> {
    if is_aead(suite) { None } else { suite.rsplit('-').next() }
}

/// Whether the server need not prove who it is, or nothing is encrypted, or MD5 guards the content.
pub fn is_broken(suite: &str) -> bool {
    proof(suite) == Proof::Nothing || has_word(suite, "NULL") || check_sum(suite) == Some("MD5")
}

/// Whether what was recorded stays secret when the key of the server is stolen later.
pub fn is_forward_secret(suite: &str) -> bool {
    exchange(suite) != Exchange::Rsa
}

/// Whether SHA-1 guards the content, in the mode of encryption that padding attacks are made on.
pub fn has_sha1(suite: &str) -> bool {
    check_sum(suite) == Some("SHA")
}

/// The members of an alias.
fn is_in(alias: &str, suite: &str) -> Option<bool> {
    let (exchange, proof, sum) = (exchange(suite), proof(suite), check_sum(suite));
    let anonymous = proof == Proof::Nothing;
    let null = has_word(suite, "NULL");
    let is_aes = begins_with(suite, "AES");
    let is_cbc = !is_aead(suite) && !null;
    let is_new = is_aead(suite) || matches!(sum, Some("SHA256" | "SHA384"));
    Some(match alias {
        "ALL" | "HIGH" => !null,
        "COMPLEMENTOFALL" | "eNULL" | "NULL" => null,
        "COMPLEMENTOFDEFAULT" => {
            !null
                && (anonymous
                    || proof == Proof::Dss
                    || begins_with(suite, "CCM")
                    || begins_with(suite, "ARIA")
                    || begins_with(suite, "CAMELLIA"))
        }
        "kRSA" | "RSA" => exchange == Exchange::Rsa,
        "kEDH" | "kDHE" | "DH" => exchange == Exchange::FiniteField,
        "EDH" | "DHE" => exchange == Exchange::FiniteField && !anonymous,
        "kEECDH" | "kECDHE" | "ECDH" => exchange == Exchange::Curve,
        "EECDH" | "ECDHE" => exchange == Exchange::Curve && !anonymous,
        "aRSA" => proof == Proof::Rsa,
        "aDSS" | "DSS" => proof == Proof::Dss,
        "aECDSA" | "ECDSA" => proof == Proof::Ecdsa,
        "aNULL" => anonymous,
        "ADH" => exchange == Exchange::FiniteField && anonymous,
        "AECDH" => exchange == Exchange::Curve && anonymous,
        "AES" => is_aes,
        "AES128" | "AES256" => is_aes && begins_with(suite, alias),
        "AESGCM" => is_aes && has_word(suite, "GCM"),
        "AESCCM" => begins_with(suite, "CCM"),
        "AESCCM8" => has_word(suite, "CCM8"),
        "CAMELLIA" | "CAMELLIA128" | "CAMELLIA256" | "CHACHA20" | "ARIA" | "ARIA128" | "ARIA256" => {
            begins_with(suite, alias)
        }
        "ARIAGCM" => begins_with(suite, "ARIA"),
        "CBC" => is_cbc,
        "MD5" => sum == Some("MD5"),
        "SHA" | "SHA1" => sum == Some("SHA"),
        "SHA256" | "SHA384" => sum == Some(alias),
        "TLSv1.2" => is_new,
        "TLSv1" | "TLSv1.0" => !is_new && exchange == Exchange::Curve,
        "SSLv3" => !is_new && exchange != Exchange::Curve,
        _ if SUITES.contains(&alias) => suite == alias,
        _ => return None,
    })
}

/// The suites a server accepts with this list, at Debian's security level unless the list sets its own.
pub fn read(list: &str) -> Ciphers {
    let mut reader =
        Reader { found: BTreeSet::new(), banned: BTreeSet::new(), level: DEFAULT_LEVEL, uncertain: false };
    let mut list = list;
    if let Some(rest) = list.strip_prefix("DEFAULT") {
        for element in ["ALL", "!COMPLEMENTOFDEFAULT", "!eNULL"] {
            reader.element(element);
        }
        list = rest;
    }
    for element in list.split([':', ' ', ';', ',']).filter(|element| !element.is_empty()) {
        reader.element(element);
    }
    let Reader { found, level, uncertain, .. } = reader;
    let suites = found.into_iter().filter(|suite| is_allowed(suite, level)).collect();
    Ciphers { suites, level, uncertain }
}

/// Whether a security level lets a suite be used.
fn is_allowed(suite: &str, level: u8) -> bool {
    match level {
        0 => true,
        1 | 2 => !is_broken(suite),
        3 => !is_broken(suite) && is_forward_secret(suite),
        _ => !is_broken(suite) && is_forward_secret(suite) && !has_sha1(suite) && !suite.contains("128"),
    }
}

struct Reader {
    found: BTreeSet<&'static str>,
    banned: BTreeSet<&'static str>,
    level: u8,
    uncertain: bool,
}

impl Reader {
    fn element(&mut self, element: &str) {
        let (sign, words) = match element.split_at_checked(1) {
            Some((sign @ ("!" | "-" | "+" | "@"), words)) => (sign, words),
            _ => ("", element),
        };
        if sign == "@" {
            let level = words.strip_prefix("SECLEVEL=").and_then(|level| level.parse().ok());
            self.level = level.filter(|level| *level <= 5).unwrap_or(self.level);
            return;
        }
        let mut words: Vec<&str> = words.split('+').collect();
        // The first word for a strength overwrites what was said about the default before it (`ssl_cipher_process_rulestr`).
        if let Some(place) = words.iter().position(|word| *word == "HIGH") {
            let behind = words.split_off(place);
            words.retain(|word| *word != "COMPLEMENTOFDEFAULT");
            words.extend(behind);
        }
        self.uncertain |= words.iter().any(|word| NOT_FOLLOWED.contains(word));
        let fits = |suite: &&&str| words.iter().all(|word| is_in(word, suite) == Some(true));
        let members: Vec<&'static str> = SUITES.iter().filter(fits).copied().collect();
        match sign {
            "!" => {
                self.banned.extend(&members);
                self.found.retain(|suite| !members.contains(suite));
            }
            "-" => self.found.retain(|suite| !members.contains(suite)),
            // Only changes the order.
            "+" => {}
            _ => self.found.extend(members.iter().filter(|suite| !self.banned.contains(*suite))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_strength_overwrites_what_was_said_about_the_default_before_it() {
        let count = |list: &str| read(&format!("{list}:@SECLEVEL=0")).suites.len();
        assert_eq!(count("COMPLEMENTOFDEFAULT+HIGH"), count("HIGH"));
        assert_eq!(count("HIGH+COMPLEMENTOFDEFAULT"), count("COMPLEMENTOFDEFAULT"));
    }

    #[test]
    fn a_suite_that_was_banned_never_comes_back_and_a_removed_one_may() {
        let banned = read("ALL:!kRSA:AES256-SHA");
        assert!(!banned.suites.contains("AES256-SHA"));
        let removed = read("ALL:-kRSA:AES256-SHA");
        assert!(removed.suites.contains("AES256-SHA") && !removed.suites.contains("AES128-SHA"));
    }

    #[test]
    fn the_security_level_takes_anonymous_suites_away() {
        assert!(!read("ALL").suites.iter().any(|suite| is_broken(suite)));
        assert!(read("ALL:@SECLEVEL=0").suites.contains("ADH-AES256-SHA"));
        assert!(read("ALL:eNULL:@SECLEVEL=0").suites.contains("NULL-MD5"));
    }

    #[test]
    fn unknown_words_add_nothing_and_words_not_followed_are_told() {
        let unknown = read("RC4-SHA:NOTHING");
        assert!(unknown.suites.is_empty() && !unknown.uncertain);
        assert!(read("FIPS").uncertain);
    }

    #[test]
    fn a_combination_means_both() {
        let both = read("ECDHE+AESGCM");
        assert_eq!(both.suites.len(), 4);
        assert!(both.suites.iter().all(|suite| is_forward_secret(suite) && !has_sha1(suite)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn any_list_is_read(list in "[A-Za-z0-9:+!@=-]{0,60}") {
            let _ = read(&list);
        }
    }
}
