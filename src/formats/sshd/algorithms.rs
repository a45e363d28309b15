//! Algorithm lists: what each version knows, offers by default, and makes of `+`, `-` and `^`
//! (myproposal.h, cipher.c, mac.c, kex.c, sshkey.c; `kex_assemble_names`).

use std::collections::BTreeSet;

use super::Version;
use super::address::{Verdict, matches_list};

/// The kinds of algorithm list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// `Ciphers`.
    Ciphers,
    /// `MACs`.
    Macs,
    /// `KexAlgorithms`.
    Kex,
    /// `HostKeyAlgorithms`, `PubkeyAcceptedAlgorithms`, `HostbasedAcceptedAlgorithms`.
    Keys,
    /// `CASignatureAlgorithms`.
    Signatures,
}

type Names = &'static [&'static str];

/// Ciphers in 8.4, in `ssh -Q` order.
const CIPHERS_8_4: Names = &[
    "3des-cbc",
    "aes128-cbc",
    "aes192-cbc",
    "aes256-cbc",
    "rijndael-cbc@lysator.liu.se",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
];
/// Ciphers from 8.5 on.
const CIPHERS: Names = &[
    "3des-cbc",
    "aes128-cbc",
    "aes192-cbc",
    "aes256-cbc",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
];
/// `KEX_SERVER_ENCRYPT` before 10.0.
const DEFAULT_CIPHERS: Names = &[
    "chacha20-poly1305@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
];
/// `KEX_SERVER_ENCRYPT` in 10.0: GCM moved before CTR.
const DEFAULT_CIPHERS_10_0: Names = &[
    "chacha20-poly1305@openssh.com",
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "aes128-ctr",
    "aes192-ctr",
    "aes256-ctr",
];
/// MACs, the same in all three versions.
const MACS: Names = &[
    "hmac-sha1",
    "hmac-sha1-96",
    "hmac-sha2-256",
    "hmac-sha2-512",
    "hmac-md5",
    "hmac-md5-96",
    "umac-64@openssh.com",
    "umac-128@openssh.com",
    "hmac-sha1-etm@openssh.com",
    "hmac-sha1-96-etm@openssh.com",
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-md5-etm@openssh.com",
    "hmac-md5-96-etm@openssh.com",
    "umac-64-etm@openssh.com",
    "umac-128-etm@openssh.com",
];
/// `KEX_SERVER_MAC`, the same in all three versions.
const DEFAULT_MACS: Names = &[
    "umac-64-etm@openssh.com",
    "umac-128-etm@openssh.com",
    "hmac-sha2-256-etm@openssh.com",
    "hmac-sha2-512-etm@openssh.com",
    "hmac-sha1-etm@openssh.com",
    "umac-64@openssh.com",
    "umac-128@openssh.com",
    "hmac-sha2-256",
    "hmac-sha2-512",
    "hmac-sha1",
];
/// Key exchanges of all three versions.
const KEX: Names = &[
    "diffie-hellman-group1-sha1",
    "diffie-hellman-group14-sha1",
    "diffie-hellman-group14-sha256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group-exchange-sha1",
    "diffie-hellman-group-exchange-sha256",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
];
/// Key exchanges of 8.4 only.
const KEX_8_4: Names = &["sntrup4591761x25519-sha512@tinyssh.org"];
/// Key exchanges added in 9.2 (the name without `@` by Debian's backport).
const KEX_9_2: Names = &["sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com"];
/// Key exchanges added in 10.0.
const KEX_10_0: Names = &["mlkem768x25519-sha256"];
/// The part of `KEX_SERVER_KEX` that all three versions share.
const DEFAULT_KEX: Names = &[
    "curve25519-sha256",
    "curve25519-sha256@libssh.org",
    "ecdh-sha2-nistp256",
    "ecdh-sha2-nistp384",
    "ecdh-sha2-nistp521",
];
/// The end of `KEX_SERVER_KEX` before 10.0, where finite-field Diffie-Hellman left the server's default.
const DEFAULT_KEX_DH: Names = &[
    "diffie-hellman-group-exchange-sha256",
    "diffie-hellman-group16-sha512",
    "diffie-hellman-group18-sha512",
    "diffie-hellman-group14-sha256",
];
/// GSSAPI key exchanges of Debian's patch: a name is known when it begins with one of these.
const GSS_KEX: Names = &[
    "gss-gex-sha1-",
    "gss-group1-sha1-",
    "gss-group14-sha1-",
    "gss-group14-sha256-",
    "gss-group16-sha512-",
    "gss-nistp256-sha256-",
    "gss-curve25519-sha256-",
];
/// `GSS_KEX_DEFAULT_KEX` of Debian's patch.
pub(super) const DEFAULT_GSS_KEX: Names = &[
    "gss-group14-sha256-",
    "gss-group16-sha512-",
    "gss-nistp256-sha256-",
    "gss-curve25519-sha256-",
    "gss-group14-sha1-",
    "gss-gex-sha1-",
];
/// Key and signature algorithms of 8.4, in `ssh -Q key-sig` order.
const KEYS_8_4: Names = &[
    "ssh-ed25519",
    "ssh-ed25519-cert-v01@openssh.com",
    "sk-ssh-ed25519@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "ssh-rsa",
    "rsa-sha2-256",
    "rsa-sha2-512",
    "ssh-dss",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa-cert-v01@openssh.com",
    "rsa-sha2-256-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
    "ssh-dss-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
];
/// Key and signature algorithms from 8.5 on, up to the RSA ones.
const KEYS_ELLIPTIC: Names = &[
    "ssh-ed25519",
    "ssh-ed25519-cert-v01@openssh.com",
    "sk-ssh-ed25519@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "webauthn-sk-ecdsa-sha2-nistp256@openssh.com",
];
/// DSA, compiled out in 10.0.
const KEYS_DSA: Names = &["ssh-dss", "ssh-dss-cert-v01@openssh.com"];
/// RSA from 8.5 on.
const KEYS_RSA: Names = &[
    "ssh-rsa",
    "ssh-rsa-cert-v01@openssh.com",
    "rsa-sha2-256",
    "rsa-sha2-256-cert-v01@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-512-cert-v01@openssh.com",
];
/// `KEX_DEFAULT_PK_ALG` of 8.4, the last to accept SHA-1 signatures of RSA keys.
const DEFAULT_KEYS_8_4: Names = &[
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ssh-ed25519-cert-v01@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
    "rsa-sha2-256-cert-v01@openssh.com",
    "ssh-rsa-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-rsa",
];
/// `KEX_DEFAULT_PK_ALG` of 9.2 and 10.0.
const DEFAULT_KEYS: Names = &[
    "ssh-ed25519-cert-v01@openssh.com",
    "ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "ecdsa-sha2-nistp384-cert-v01@openssh.com",
    "ecdsa-sha2-nistp521-cert-v01@openssh.com",
    "sk-ssh-ed25519-cert-v01@openssh.com",
    "sk-ecdsa-sha2-nistp256-cert-v01@openssh.com",
    "rsa-sha2-512-cert-v01@openssh.com",
    "rsa-sha2-256-cert-v01@openssh.com",
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
];
/// `SSH_ALLOWED_CA_SIGALGS` of 8.4.
const DEFAULT_SIGNATURES_8_4: Names = &[
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-ed25519",
    "sk-ssh-ed25519@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
];
/// `SSH_ALLOWED_CA_SIGALGS` of 9.2 and 10.0.
const DEFAULT_SIGNATURES: Names = &[
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "rsa-sha2-512",
    "rsa-sha2-256",
];
/// A key type of the GSSAPI patch: a valid name that is in no list.
const NULL_KEY: &str = "null";
/// Short names of plain key types that 8.4 and 9.2 take for valid, though they select nothing.
const SHORT_KEYS: Names = &["ed25519", "ed25519-sk", "ecdsa", "ecdsa-sk", "dsa", "rsa"];
/// What marks a certificate's algorithm.
const CERTIFICATE: &str = "-cert-v01@openssh.com";

/// Every algorithm of `family` that `version` implements, in its own order.
fn known(family: Family, version: Version) -> Vec<&'static str> {
    let parts: &[Names] = match (family, version) {
        (Family::Ciphers, Version::V8_4) => &[CIPHERS_8_4],
        (Family::Ciphers, _) => &[CIPHERS],
        (Family::Macs, _) => &[MACS],
        (Family::Kex, Version::V8_4) => &[KEX, KEX_8_4],
        (Family::Kex, Version::V9_2) => &[KEX, KEX_9_2],
        (Family::Kex, Version::V10_0) => &[KEX, KEX_9_2, KEX_10_0],
        (Family::Keys | Family::Signatures, Version::V8_4) => &[KEYS_8_4],
        (Family::Keys | Family::Signatures, Version::V9_2) => &[KEYS_ELLIPTIC, KEYS_DSA, KEYS_RSA],
        (Family::Keys | Family::Signatures, Version::V10_0) => &[KEYS_ELLIPTIC, KEYS_RSA],
    };
    let all = parts.iter().copied().flatten().copied();
    all.filter(|name| family != Family::Signatures || !name.ends_with(CERTIFICATE)).collect()
}

/// The algorithms of `family` that `version` offers when nothing is configured, in order of preference.
pub(super) fn defaults(family: Family, version: Version) -> Vec<&'static str> {
    let parts: &[Names] = match (family, version) {
        (Family::Ciphers, Version::V10_0) => &[DEFAULT_CIPHERS_10_0],
        (Family::Ciphers, _) => &[DEFAULT_CIPHERS],
        (Family::Macs, _) => &[DEFAULT_MACS],
        (Family::Kex, Version::V8_4) => &[DEFAULT_KEX, DEFAULT_KEX_DH],
        (Family::Kex, Version::V9_2) => &[KEX_9_2, DEFAULT_KEX, DEFAULT_KEX_DH],
        (Family::Kex, Version::V10_0) => &[KEX_10_0, KEX_9_2, DEFAULT_KEX],
        (Family::Keys, Version::V8_4) => &[DEFAULT_KEYS_8_4],
        (Family::Keys, _) => &[DEFAULT_KEYS],
        (Family::Signatures, Version::V8_4) => &[DEFAULT_SIGNATURES_8_4],
        (Family::Signatures, _) => &[DEFAULT_SIGNATURES],
    };
    parts.iter().copied().flatten().copied().collect()
}

/// The entries up to the first empty one: upstream's loops stop there.
fn entries(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').take_while(|entry| !entry.is_empty())
}

/// The first entry of a written list that sshd does not take, `Some("")` for an empty list; `None` when the list
/// is fine. A list that removes (`-`) is never checked, and entries behind an empty one are not either.
pub(super) fn refused(written: &str, family: Family, version: Version) -> Option<String> {
    if written.starts_with('-') {
        return None;
    }
    let list = written.strip_prefix(['+', '^']).unwrap_or(written);
    if list.is_empty() {
        return Some(String::new());
    }
    let known = known(if family == Family::Signatures { Family::Keys } else { family }, version);
    let accepted = |entry: &str| match family {
        Family::Ciphers | Family::Macs => known.contains(&entry),
        Family::Kex => known.contains(&entry) || is_gss_kex(entry),
        Family::Keys => is_key(entry, &known, version),
        Family::Signatures => {
            let certificate = known.contains(&entry) && entry.ends_with(CERTIFICATE);
            is_key(entry, &known, version) && !(certificate && version == Version::V10_0)
        }
    };
    entries(list).find(|entry| !accepted(entry)).map(str::to_owned)
}

/// A key algorithm's name, or a pattern that touches one, even by negation (`sshkey_names_valid2`).
fn is_key(entry: &str, known: &[&str], version: Version) -> bool {
    let short = version != Version::V10_0 && SHORT_KEYS.iter().any(|short| short.eq_ignore_ascii_case(entry));
    let null = entry == NULL_KEY || (version != Version::V10_0 && entry.eq_ignore_ascii_case(NULL_KEY));
    short || null || known.iter().chain([&NULL_KEY]).any(|name| matches_list(name, entry) != Verdict::No)
}

/// A key exchange of the GSSAPI patch.
fn is_gss_kex(entry: &str) -> bool {
    GSS_KEX.iter().any(|name| entry.starts_with(name))
}

/// The first entry of `GSSAPIKexAlgorithms` that sshd does not take.
pub(super) fn refused_gss(written: &str) -> Option<String> {
    if written.is_empty() {
        return Some(String::new());
    }
    entries(written).find(|entry| !is_gss_kex(entry)).map(str::to_owned)
}

/// Why a list that passed [`refused`] still stops sshd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It has an entry after `!`, which is not supported here.
    Negation,
    /// It selects no algorithm.
    Empty,
}

/// The algorithms a written list selects, in order of preference.
///
/// A list that removes everything counts as not written: the second evaluation puts the default back.
pub(super) fn selected(written: &str, family: Family, version: Version) -> Result<Vec<String>, Unusable> {
    let default = defaults(family, version);
    let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    if written.is_empty() {
        return Ok(owned(&default));
    }
    if let Some(removed) = written.strip_prefix('-') {
        let left: Vec<&str> =
            default.iter().copied().filter(|name| matches_list(name, removed) != Verdict::Yes).collect();
        return Ok(owned(if left.is_empty() { &default } else { &left }));
    }
    let patterns: Vec<&str> = match (written.strip_prefix('+'), written.strip_prefix('^')) {
        (Some(added), _) => default.iter().copied().chain(entries(added)).collect(),
        (_, Some(first)) => first.split(',').chain(default.iter().copied()).collect(),
        _ => written.split(',').collect(),
    };
    let known = known(family, version);
    let mut taken = BTreeSet::new();
    let mut selected = Vec::new();
    for pattern in patterns {
        if pattern.starts_with('!') {
            return Err(Unusable::Negation);
        }
        let matching = known.iter().filter(|name| matches_list(name, pattern) == Verdict::Yes);
        selected.extend(matching.filter(|name| taken.insert(**name)).map(|name| (*name).to_owned()));
    }
    if selected.is_empty() { Err(Unusable::Empty) } else { Ok(selected) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_implemented() {
        let families = [Family::Ciphers, Family::Macs, Family::Kex, Family::Keys, Family::Signatures];
        for version in Version::ALL {
            for family in families {
                let known = known(family, version);
                assert!(defaults(family, version).iter().all(|name| known.contains(name)), "{family:?}");
            }
        }
    }

    #[test]
    fn a_plus_appends_what_is_not_there_yet() {
        let list = selected("+ssh-rsa,ssh-ed25519", Family::Keys, Version::V9_2).unwrap();
        assert_eq!(list.len(), DEFAULT_KEYS.len() + 1);
        assert_eq!(list.last().map(String::as_str), Some("ssh-rsa"));
    }

    #[test]
    fn a_caret_puts_first_and_a_minus_removes_by_pattern() {
        let first = selected("^aes256-ctr", Family::Ciphers, Version::V9_2).unwrap();
        assert_eq!((first.len(), first[0].as_str()), (6, "aes256-ctr"));
        let less = selected("-*-ctr,nothing", Family::Ciphers, Version::V9_2).unwrap();
        assert_eq!(
            less,
            ["chacha20-poly1305@openssh.com", "aes128-gcm@openssh.com", "aes256-gcm@openssh.com"]
        );
    }

    #[test]
    fn removing_everything_brings_the_default_back() {
        let list = selected("-*", Family::Macs, Version::V10_0).unwrap();
        assert_eq!(list, DEFAULT_MACS);
    }

    #[test]
    fn ssh_dss_is_unknown_in_10_0_only() {
        assert_eq!(refused("+ssh-dss", Family::Keys, Version::V9_2), None);
        assert_eq!(refused("+ssh-dss", Family::Keys, Version::V10_0).as_deref(), Some("ssh-dss"));
        assert_eq!(refused("-ssh-dss", Family::Keys, Version::V10_0), None);
    }

    #[test]
    fn patterns_are_for_key_algorithms_only() {
        assert_eq!(refused("ssh-*", Family::Keys, Version::V10_0), None);
        assert_eq!(refused("aes*", Family::Ciphers, Version::V10_0).as_deref(), Some("aes*"));
        assert_eq!(selected("!ssh-rsa", Family::Keys, Version::V9_2), Err(Unusable::Negation));
    }

    #[test]
    fn a_short_key_name_is_valid_and_selects_nothing() {
        assert_eq!(refused("RSA", Family::Keys, Version::V9_2), None);
        assert_eq!(selected("RSA", Family::Keys, Version::V9_2), Err(Unusable::Empty));
        assert_eq!(refused("RSA", Family::Keys, Version::V10_0).as_deref(), Some("RSA"));
    }

    #[test]
    fn entries_behind_an_empty_one_are_not_checked() {
        assert_eq!(refused("aes128-ctr,,bogus", Family::Ciphers, Version::V9_2), None);
        assert_eq!(selected("aes128-ctr,,bogus", Family::Ciphers, Version::V9_2).unwrap(), ["aes128-ctr"]);
    }
}
