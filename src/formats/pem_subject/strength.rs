//! What a certificate holds its subject and its issuer with: key, signature, names.

use std::net::IpAddr;

use x509_cert::certificate::TbsCertificate;
use x509_cert::der::asn1::{AnyRef, UintRef};
use x509_cert::der::oid::ObjectIdentifier;
use x509_cert::der::{Decode, Reader, SliceReader, Tag, Tagged};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

/// The kind of a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA.
    Rsa,
    /// An elliptic curve.
    Curve,
    /// DSA, which TLS libraries have given up.
    Dsa,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Its kind; `None` for one that is not known here.
    pub kind: Option<KeyKind>,
    /// Its size in bits; `None` where it was not understood.
    pub bits: Option<u32>,
}

/// The hash of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureHash {
    /// MD2, MD4 or MD5: collisions are made at will.
    Md5,
    /// SHA-1: collisions can be bought.
    Sha1,
    /// SHA-2, SHA-3, or a scheme with a hash of its own (Ed25519, Ed448).
    Strong,
}

const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}

const RSA: ObjectIdentifier = oid("1.2.840.113549.1.1.1");
const RSA_PSS: ObjectIdentifier = oid("1.2.840.113549.1.1.10");
const DSA: ObjectIdentifier = oid("1.2.840.10040.4.1");
const EC: ObjectIdentifier = oid("1.2.840.10045.2.1");
const ED25519: ObjectIdentifier = oid("1.3.101.112");
const ED448: ObjectIdentifier = oid("1.3.101.113");
const SUBJECT_ALT_NAME: ObjectIdentifier = oid("2.5.29.17");

/// Named curves and their sizes.
const CURVES: [(ObjectIdentifier, u32); 9] = [
    (oid("1.2.840.10045.3.1.1"), 192),
    (oid("1.3.132.0.33"), 224),
    (oid("1.2.840.10045.3.1.7"), 256),
    (oid("1.3.132.0.10"), 256),
    (oid("1.3.132.0.34"), 384),
    (oid("1.3.132.0.35"), 521),
    (oid("1.3.36.3.3.2.8.1.1.7"), 256),
    (oid("1.3.36.3.3.2.8.1.1.11"), 384),
    (oid("1.3.36.3.3.2.8.1.1.13"), 512),
];

/// Signatures with the hash they are made with.
const SIGNATURES: [(ObjectIdentifier, SignatureHash); 19] = [
    (oid("1.2.840.113549.1.1.2"), SignatureHash::Md5),
    (oid("1.2.840.113549.1.1.3"), SignatureHash::Md5),
    (oid("1.2.840.113549.1.1.4"), SignatureHash::Md5),
    (oid("1.2.840.113549.1.1.5"), SignatureHash::Sha1),
    (oid("1.3.14.3.2.29"), SignatureHash::Sha1),
    (oid("1.2.840.10045.4.1"), SignatureHash::Sha1),
    (oid("1.2.840.10040.4.3"), SignatureHash::Sha1),
    (oid("1.2.840.113549.1.1.14"), SignatureHash::Strong),
    (oid("1.2.840.113549.1.1.11"), SignatureHash::Strong),
    (oid("1.2.840.113549.1.1.12"), SignatureHash::Strong),
    (oid("1.2.840.113549.1.1.13"), SignatureHash::Strong),
    (oid("1.2.840.10045.4.3.1"), SignatureHash::Strong),
    (oid("1.2.840.10045.4.3.2"), SignatureHash::Strong),
    (oid("1.2.840.10045.4.3.3"), SignatureHash::Strong),
    (oid("1.2.840.10045.4.3.4"), SignatureHash::Strong),
    (oid("2.16.840.1.101.3.4.3.1"), SignatureHash::Strong),
    (oid("2.16.840.1.101.3.4.3.2"), SignatureHash::Strong),
    (ED25519, SignatureHash::Strong),
    (ED448, SignatureHash::Strong),
];

/// Size of the key of Ed25519 and of Ed448 in bits.
const ED25519_BITS: u32 = 255;
const ED448_BITS: u32 = 448;

pub(super) fn public_key(info: &SubjectPublicKeyInfoOwned) -> PublicKey {
    let algorithm = info.algorithm.oid;
    let parameters = info.algorithm.parameters.as_ref();
    let (kind, bits) = match algorithm {
        _ if algorithm == RSA || algorithm == RSA_PSS => {
            (Some(KeyKind::Rsa), first_integer_bits(info.subject_public_key.raw_bytes()))
        }
        _ if algorithm == EC => {
            let curve = parameters.and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
            let known = CURVES.iter().find(|(oid, _)| Some(*oid) == curve);
            (Some(KeyKind::Curve), known.map(|(_, bits)| *bits))
        }
        _ if algorithm == ED25519 => (Some(KeyKind::Curve), Some(ED25519_BITS)),
        _ if algorithm == ED448 => (Some(KeyKind::Curve), Some(ED448_BITS)),
        _ if algorithm == DSA => (Some(KeyKind::Dsa), None),
        _ => (None, None),
    };
    PublicKey { kind, bits }
}

/// The size of the first integer of a sequence: of the modulus in an RSA key (RFC 8017, `RSAPublicKey`), of the prime
/// in parameters of a key exchange (PKCS #3, `DHParameter`).
pub(super) fn first_integer_bits(der: &[u8]) -> Option<u32> {
    let any = AnyRef::from_der(der).ok().filter(|any| any.tag() == Tag::Sequence)?;
    let first: UintRef<'_> = SliceReader::new(any.value()).ok()?.decode().ok()?;
    let bytes = first.as_bytes();
    let top = bytes.first()?;
    u32::try_from(bytes.len()).ok()?.checked_mul(8)?.checked_sub(top.leading_zeros())
}

pub(super) fn signature_hash(algorithm: &AlgorithmIdentifierOwned) -> Option<SignatureHash> {
    SIGNATURES.iter().find(|(oid, _)| *oid == algorithm.oid).map(|(_, hash)| *hash)
}

/// The names and addresses in the extension `subjectAltName`. `None` where it is there and not understood.
pub(super) fn alternative_names(inner: &TbsCertificate) -> Option<(Vec<String>, Vec<IpAddr>)> {
    let extensions = inner.extensions().map(Vec::as_slice).unwrap_or_default();
    let Some(found) = extensions.iter().find(|extension| extension.extn_id == SUBJECT_ALT_NAME) else {
        return Some((Vec::new(), Vec::new()));
    };
    let names = SubjectAltName::from_der(found.extn_value.as_bytes()).ok()?;
    let mut dns = Vec::new();
    let mut addresses = Vec::new();
    for name in names.0 {
        match name {
            GeneralName::DnsName(name) => dns.push(name.as_str().to_ascii_lowercase()),
            GeneralName::IpAddress(bytes) => addresses.push(address(bytes.as_bytes())?),
            _ => {}
        }
    }
    Some((dns, addresses))
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

/// Whether a name of a certificate stands for `host`: the same, or `*` in the place of the first label (RFC 6125).
pub fn stands_for(pattern: &str, host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    match pattern.strip_prefix("*.") {
        Some(rest) => host.split_once('.').is_some_and(|(label, parent)| !label.is_empty() && parent == rest),
        None => pattern == host,
    }
}
