//! Cipher lists as the real OpenSSL reads them, where it is installed.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::print_stderr,
    reason = "tests start programs and stop at the first surprise"
)]

use std::collections::BTreeSet;
use std::process::Command;

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use pve_audit::formats::openssl_ciphers;

/// What `openssl ciphers -s` prints; `None` where the program is missing or refuses the list.
fn real(list: &str) -> Option<BTreeSet<String>> {
    let output = Command::new("openssl").args(["ciphers", "-s", list]).output().ok()?;
    let text = String::from_utf8(output.stdout).unwrap();
    let left_out = |suite: &&str| !["TLS_", "PSK", "SRP"].iter().any(|word| suite.contains(word));
    output.status.success().then(|| text.trim().split(':').filter(left_out).map(str::to_owned).collect())
}

fn ours(list: &str) -> BTreeSet<String> {
    openssl_ciphers::read(list).suites.into_iter().map(str::to_owned).collect()
}

fn is_openssl_3() -> bool {
    let version = Command::new("openssl").arg("version").output();
    version.is_ok_and(|output| output.stdout.starts_with(b"OpenSSL 3"))
}

const WORDS: [&str; 45] = [
    "ALL",
    "HIGH",
    "COMPLEMENTOFALL",
    "COMPLEMENTOFDEFAULT",
    "eNULL",
    "NULL",
    "kRSA",
    "RSA",
    "kDHE",
    "kEDH",
    "DH",
    "DHE",
    "EDH",
    "ECDH",
    "kECDHE",
    "ECDHE",
    "EECDH",
    "aRSA",
    "aDSS",
    "DSS",
    "aECDSA",
    "ECDSA",
    "aNULL",
    "ADH",
    "AECDH",
    "AES",
    "AES128",
    "AES256",
    "AESGCM",
    "AESCCM",
    "AESCCM8",
    "CAMELLIA",
    "CAMELLIA256",
    "CHACHA20",
    "ARIA",
    "MD5",
    "SHA",
    "SHA1",
    "SHA256",
    "SHA384",
    "TLSv1.2",
    "SSLv3",
    "AES256-SHA",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "3DES",
];

#[test]
fn the_real_program_accepts_the_same_suites() {
    if !is_openssl_3() {
        eprintln!("skipped: there is no OpenSSL 3 here");
        return;
    }
    let element =
        ("(!|-|\\+|)", prop::sample::select(&WORDS[..]), prop::option::of(prop::sample::select(&WORDS[..])));
    let element = element.prop_map(|(sign, one, other)| match other {
        Some(other) => format!("{sign}{one}+{other}"),
        None => format!("{sign}{one}"),
    });
    let list = (prop::bool::ANY, prop::collection::vec(element, 0..5), 0_u8..=3);
    let mut runner = TestRunner::new(Config { cases: 200, failure_persistence: None, ..Config::default() });
    let result = runner.run(&list, |(default, elements, level)| {
        let start = if default { "DEFAULT".to_owned() } else { "AESGCM".to_owned() };
        let list = format!("{start}:{}:@SECLEVEL={level}", elements.join(":"));
        if let Some(real) = real(&list) {
            prop_assert_eq!(ours(&list), real, "{}", list);
        }
        Ok(())
    });
    assert_eq!(result, Ok(()));
}
