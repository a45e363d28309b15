//! The forms of the secrets in tfa.cfg, checked as upstream does when it reads them.
//!
//! Follows `FromStr for Totp` in proxmox-rs `proxmox-tfa/src/totp.rs` and the decoders it uses.

use base64ct::{Base64Unpadded, Base64UrlUnpadded, Encoding};

use crate::formats::percent;

/// What every TOTP URI starts with.
const TOTP_PREFIX: &str = "otpauth://totp/";
/// Characters of padding that a base32 text may end with.
const BASE32_PADDING_MAX: usize = 6;

/// Whether upstream accepts this TOTP URI.
pub(super) fn is_totp_uri(uri: &str) -> bool {
    let Some((_, query)) = uri.strip_prefix(TOTP_PREFIX).and_then(|rest| rest.split_once('?')) else {
        return false;
    };
    let mut has_secret = false;
    for parameter in query.split('&') {
        let Some((key, value)) = parameter.split_once('=') else { return false };
        let (Some(key), value) = (decode(key), decode(value)) else { return false };
        let good = match (key.as_str(), value) {
            // The issuer may be broken UTF-8.
            ("issuer", _) => true,
            ("secret", Some(value)) => {
                // The last one counts.
                base32_bytes(&value).inspect(|bytes| has_secret = *bytes > 0).is_some()
            }
            ("digits", Some(value)) => value.parse::<u8>().is_ok(),
            ("algorithm", Some(value)) => {
                matches!(value.to_lowercase().as_str(), "sha1" | "sha256" | "sha512")
            }
            ("period", Some(value)) => value.parse::<usize>().is_ok(),
            _ => false,
        };
        if !good {
            return false;
        }
    }
    has_secret
}

/// Whether this is base64 with the standard alphabet, padded, partly padded or not.
pub(super) fn is_base64(text: &str) -> bool {
    unpadded(text).is_some_and(|text| Base64Unpadded::decode_vec(text).is_ok())
}

/// Whether this is base64 with the alphabet for URLs, padded, partly padded or not.
pub(super) fn is_base64_url(text: &str) -> bool {
    unpadded(text).is_some_and(|text| Base64UrlUnpadded::decode_vec(text).is_ok())
}

/// Whether this is base64 with the alphabet for URLs and without padding.
pub(super) fn is_base64_url_unpadded(text: &str) -> bool {
    Base64UrlUnpadded::decode_vec(text).is_ok()
}

/// The bytes of a base64 text, padded, partly padded or not.
pub(super) fn base64_bytes(text: &str) -> Option<Vec<u8>> {
    Base64Unpadded::decode_vec(unpadded(text)?).ok()
}

/// `text` without its padding, if there is not too much of it.
fn unpadded(text: &str) -> Option<&str> {
    let body = text.trim_end_matches('=');
    let padding = text.len().checked_sub(body.len())?;
    let allowed = match body.len() % 4 {
        2 => 2,
        3 => 1,
        _ => 0,
    };
    (padding <= allowed).then_some(body)
}

/// How many bytes a base32 text holds; nothing if it is none. Both cases of letters are taken.
pub(super) fn base32_bytes(text: &str) -> Option<usize> {
    let body = text.trim_end_matches('=');
    let padding = text.len().checked_sub(body.len())?;
    let legal = |c: char| c.is_ascii_alphabetic() || matches!(c, '2'..='7');
    let good = body.chars().all(legal) && padding <= BASE32_PADDING_MAX;
    good.then_some(body.len().checked_mul(5)? / 8)
}

fn decode(text: &str) -> Option<String> {
    String::from_utf8(percent::decode(text)).ok()
}
