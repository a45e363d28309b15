//! Certificates in PEM text: whose they are, who issued them, until when they hold, with which keys.
//!
//! Follows what `proxmox/pve-cluster:src/PVE/Cluster/Setup.pm` (`gen_pveca_cert`, `gen_pve_node_cert`) writes: the
//! root CA of a cluster has the subject `CN=Proxmox Virtual Environment, OU=<uuid>, O=PVE Cluster Manager CA`, and
//! its node certificates name that subject as their issuer. Decoding is the `x509-cert` crate's.

use base64ct::{Base64, Encoding};
use jiff::Timestamp;
use x509_cert::Certificate as X509;
use x509_cert::der::Decode;
use x509_cert::der::Tag;
use x509_cert::der::Tagged;
use x509_cert::der::oid::ObjectIdentifier;

mod strength;

use std::net::IpAddr;

use super::{Issue, Parsed, numbered, shown};
pub use strength::{KeyKind, PublicKey, SignatureHash, stands_for};

/// Most certificates read from one file; a served chain has two or three.
const CERTIFICATE_LIMIT: usize = 32;
/// Longest base64 text of one certificate in bytes.
const BODY_LIMIT: usize = 128 * 1024;
/// Labels of parameters of a key exchange, as PKCS #3 and as X9.42 write them: both begin with the prime.
const DH_LABELS: [&str; 2] = ["DH PARAMETERS", "X9.42 DH PARAMETERS"];
/// Most lines read of a block of parameters.
const BODY_LINES: usize = 1000;
/// Common name of the root CA Proxmox makes.
pub const PVE_CA_COMMON_NAME: &str = "Proxmox Virtual Environment";
/// Organization of the root CA Proxmox makes.
pub const PVE_CA_ORGANIZATION: &str = "PVE Cluster Manager CA";

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const ORGANIZATIONAL_UNIT: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.11");

/// What one file holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PemFile {
    /// Certificates in the order of the file; a served chain starts with the server's own.
    pub certificates: Vec<Certificate>,
    /// Line of the first private key in the file. The key is not kept.
    pub private_key_line: Option<u32>,
}

/// One certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Whose certificate this is.
    pub subject: Name,
    /// Who issued it.
    pub issuer: Name,
    /// Valid from.
    pub not_before: Timestamp,
    /// Valid until.
    pub not_after: Timestamp,
    /// Subject and issuer are the same name.
    pub self_issued: bool,
    /// The key it is for.
    pub key: PublicKey,
    /// The hash of the issuer's signature; `None` for a scheme that is not known here.
    pub signature_hash: Option<SignatureHash>,
    /// The host names it is for, in lower case; the common name counts only where there is none.
    pub dns_names: Vec<String>,
    /// The addresses it is for.
    pub addresses: Vec<IpAddr>,
    /// Whether everything in the names above was understood.
    pub names_are_known: bool,
    /// Line of `BEGIN CERTIFICATE`, counted from 1.
    pub line: u32,
}

impl Certificate {
    /// Whether a client that asks for `host` takes it.
    pub fn is_for(&self, host: &str) -> bool {
        let common = self.subject.common_name.as_deref().filter(|_| self.dns_names.is_empty());
        let common = common.map(str::to_ascii_lowercase);
        let mut names = self.dns_names.iter().map(String::as_str).chain(common.as_deref());
        names.any(|name| stands_for(name, host))
    }
}

/// The attributes of a distinguished name that matter here, each the first of its kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Name {
    /// `CN`
    pub common_name: Option<String>,
    /// `O`
    pub organization: Option<String>,
    /// `OU`
    pub organizational_unit: Option<String>,
}

impl Name {
    /// The UUID of the cluster, if this is the name of the root CA that Proxmox makes.
    pub fn cluster_uuid(&self) -> Option<&str> {
        let is_ca = self.common_name.as_deref() == Some(PVE_CA_COMMON_NAME)
            && self.organization.as_deref() == Some(PVE_CA_ORGANIZATION);
        self.organizational_unit.as_deref().filter(|unit| is_ca && is_uuid(unit))
    }
}

fn is_uuid(text: &str) -> bool {
    let dash = |at| matches!(at, 8 | 13 | 18 | 23);
    let fits = |(at, byte): (usize, u8)| if dash(at) { byte == b'-' } else { byte.is_ascii_hexdigit() };
    text.len() == 36 && text.bytes().enumerate().all(fits)
}

/// Reads all certificates of a PEM text. Text between the blocks is ignored, as OpenSSL does.
pub fn parse(text: &str) -> Parsed<PemFile> {
    let mut parsed = Parsed::<PemFile>::default();
    let mut open: Option<(u32, String)> = None;
    let mut label = None;
    for (line, content) in numbered(text) {
        let content = content.trim();
        match (label, boundary(content, "BEGIN"), boundary(content, "END")) {
            (None, Some(begun), _) => {
                label = Some(begun);
                if begun.ends_with("PRIVATE KEY") {
                    parsed.value.private_key_line.get_or_insert(line);
                }
                open = is_certificate(begun).then(|| (line, String::new()));
            }
            (Some(begun), _, Some(ended)) if begun == ended => {
                label = None;
                if let Some((line, body)) = open.take() {
                    finish(&body, line, &mut parsed);
                }
            }
            (None, None, Some(ended)) => {
                let what =
                    format!("the end of a block {} without its begin, which is not read", shown(ended));
                parsed.issues.push(Issue::new(line, what));
            }
            _ => {
                if let Some((_, body)) = open.as_mut().filter(|(_, body)| body.len() <= BODY_LIMIT) {
                    body.push_str(content);
                }
            }
        }
    }
    if let Some((line, _)) = open {
        parsed.issues.push(Issue::new(line, "the certificate has no end line and cannot be used"));
    }
    parsed
}

/// The size of the prime in the first block of parameters of a key exchange, in bits.
pub fn prime_bits(text: &str) -> Option<u32> {
    let begins = |line: &str| boundary(line, "BEGIN").is_some_and(|label| DH_LABELS.contains(&label));
    let mut lines = text.lines().map(str::trim).skip_while(|line| !begins(line));
    lines.next()?;
    let body: String = lines.take_while(|line| boundary(line, "END").is_none()).take(BODY_LINES).collect();
    strength::first_integer_bits(&Base64::decode_vec(&body).ok()?)
}

fn is_certificate(label: &str) -> bool {
    matches!(label, "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE")
}

/// The label of a line `-----BEGIN LABEL-----`.
fn boundary<'a>(content: &'a str, word: &str) -> Option<&'a str> {
    let inner = content.strip_prefix("-----")?.strip_suffix("-----")?;
    inner.strip_prefix(word)?.strip_prefix(' ')
}

fn finish(body: &str, line: u32, parsed: &mut Parsed<PemFile>) {
    if parsed.value.certificates.len() >= CERTIFICATE_LIMIT {
        parsed.issues.push(Issue::new(line, "too many certificates in one file, this one is not read"));
        return;
    }
    match certificate(body, line) {
        Ok(certificate) => parsed.value.certificates.push(certificate),
        Err(what) => parsed.issues.push(Issue::new(line, what)),
    }
}

fn certificate(body: &str, line: u32) -> Result<Certificate, &'static str> {
    if body.len() > BODY_LIMIT {
        return Err("the certificate is too large, it is not read");
    }
    let der = Base64::decode_vec(body).map_err(|_| "the certificate is not base64 and cannot be used")?;
    let x509 = X509::from_der(&der).map_err(|_| "the certificate is not X.509 and cannot be used")?;
    let inner = x509.tbs_certificate();
    let time = |time: &x509_cert::time::Time| {
        let seconds = i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
        // A certificate without end has the year 9999, a little beyond what a timestamp can hold.
        Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
    };
    let names = strength::alternative_names(inner);
    let names_are_known = names.is_some();
    let (dns_names, addresses) = names.unwrap_or_default();
    Ok(Certificate {
        subject: name(inner.subject()),
        issuer: name(inner.issuer()),
        not_before: time(&inner.validity().not_before),
        not_after: time(&inner.validity().not_after),
        self_issued: inner.subject() == inner.issuer(),
        key: strength::public_key(inner.subject_public_key_info()),
        signature_hash: strength::signature_hash(x509.signature_algorithm()),
        dns_names,
        addresses,
        names_are_known,
        line,
    })
}

fn name(name: &x509_cert::name::Name) -> Name {
    let first =
        |kind| name.iter().find(|attribute| attribute.oid == kind).and_then(|found| text(&found.value));
    Name {
        common_name: first(COMMON_NAME),
        organization: first(ORGANIZATION),
        organizational_unit: first(ORGANIZATIONAL_UNIT),
    }
}

/// The text of a string attribute; `None` for the outdated wide encodings.
fn text(value: &x509_cert::der::Any) -> Option<String> {
    let plain =
        matches!(value.tag(), Tag::Utf8String | Tag::PrintableString | Tag::Ia5String | Tag::TeletexString);
    let bytes = plain.then(|| value.value().to_vec())?;
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ROOT_CA: &str = "\
-----BEGIN CERTIFICATE-----
MIIB1DCCAXoCAQEwCgYIKoZIzj0EAwIwdjEkMCIGA1UEAwwbUHJveG1veCBWaXJ0
dWFsIEVudmlyb25tZW50MS0wKwYDVQQLDCQwZTVmM2E1Mi03ZDBiLTRhMzUtOWYw
Yy0yZjRiNWE3YzFkMTExHzAdBgNVBAoMFlBWRSBDbHVzdGVyIE1hbmFnZXIgQ0Ew
HhcNMjQwMTAxMDAwMDAwWhcNMzQwMTAxMDAwMDAwWjB2MSQwIgYDVQQDDBtQcm94
bW94IFZpcnR1YWwgRW52aXJvbm1lbnQxLTArBgNVBAsMJDBlNWYzYTUyLTdkMGIt
NGEzNS05ZjBjLTJmNGI1YTdjMWQxMTEfMB0GA1UECgwWUFZFIENsdXN0ZXIgTWFu
YWdlciBDQTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABAeStPM2FqBcW+v7IBER
WDJflAQRkjwgWdn+ZIP99Nyt8JkjeBLtXO+taE1HN7JnBID8tG9p8Drcbkfk6BoV
z9gwCgYIKoZIzj0EAwIDSAAwRQIhAJHu8UifPIVvMJ7aQkBLNql+bYMP0y8hUV6u
SBopOahIAiBc/Evyuubg1QGeauLDc8gIsDvsC/ZPT0Dg0DPklANtuw==
-----END CERTIFICATE-----
";

    const NODE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBuTCCAWACAQIwCgYIKoZIzj0EAwIwdjEkMCIGA1UEAwwbUHJveG1veCBWaXJ0
dWFsIEVudmlyb25tZW50MS0wKwYDVQQLDCQwZTVmM2E1Mi03ZDBiLTRhMzUtOWYw
Yy0yZjRiNWE3YzFkMTExHzAdBgNVBAoMFlBWRSBDbHVzdGVyIE1hbmFnZXIgQ0Ew
HhcNMjQwMTAxMDAwMDAwWhcNMjYwMTAxMDAwMDAwWjBcMRkwFwYDVQQLDBBQVkUg
Q2x1c3RlciBOb2RlMSQwIgYDVQQKDBtQcm94bW94IFZpcnR1YWwgRW52aXJvbm1l
bnQxGTAXBgNVBAMMEHB2ZTEuZXhhbXBsZS5jb20wWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAS5xcyXcdPtQ/xx5/qk2vZHWu6nXbuy3d2Tm2R31lRCN//qDCI6ev07
QbZ4wg9LzFYCwnUGcFvlFdXclc4UfWQFMAoGCCqGSM49BAMCA0cAMEQCIHn8FMC2
T0eSClzp4QyDe/EORZkr1NW/3fcNo2vh+zlYAiAcTuwNNIXdzJe/fxKjdDgXonbJ
FYtcCE2ZiRZH70bVGQ==
-----END CERTIFICATE-----
";

    const ENDLESS: &str = "\
-----BEGIN CERTIFICATE-----
MIIBvTCCAWICAQMwCgYIKoZIzj0EAwIwdjEkMCIGA1UEAwwbUHJveG1veCBWaXJ0
dWFsIEVudmlyb25tZW50MS0wKwYDVQQLDCQwZTVmM2E1Mi03ZDBiLTRhMzUtOWYw
Yy0yZjRiNWE3YzFkMTExHzAdBgNVBAoMFlBWRSBDbHVzdGVyIE1hbmFnZXIgQ0Ew
IBcNMjQwMTAxMDAwMDAwWhgPOTk5OTEyMzEyMzU5NTlaMFwxGTAXBgNVBAsMEFBW
RSBDbHVzdGVyIE5vZGUxJDAiBgNVBAoMG1Byb3htb3ggVmlydHVhbCBFbnZpcm9u
bWVudDEZMBcGA1UEAwwQcHZlMS5leGFtcGxlLmNvbTBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABLnFzJdx0+1D/HHn+qTa9kda7qddu7Ld3ZObZHfWVEI3/+oMIjp6
/TtBtnjCD0vMVgLCdQZwW+UV1dyVzhR9ZAUwCgYIKoZIzj0EAwIDSQAwRgIhAOnR
1VtUFuYYPikl1BlPYQSGRf0w2/L/GGfI06CUkGcEAiEAgp04BME9Y1k8NlUXpVqt
K35HwVd7V/7jMFiYpnThAc8=
-----END CERTIFICATE-----
";

    #[test]
    fn the_root_ca_of_a_cluster_names_the_cluster() {
        let parsed = parse(ROOT_CA);
        assert_eq!(parsed.issues, []);
        let ca = &parsed.value.certificates[0];
        assert_eq!(ca.subject.cluster_uuid(), Some("0e5f3a52-7d0b-4a35-9f0c-2f4b5a7c1d11"));
        assert!(ca.self_issued);
        assert_eq!(ca.not_before.to_string(), "2024-01-01T00:00:00Z");
        assert_eq!(ca.not_after.to_string(), "2034-01-01T00:00:00Z");
    }

    #[test]
    fn a_node_certificate_names_the_cluster_as_its_issuer() {
        let chain = format!("subject=some text\n{NODE}{ROOT_CA}");
        let parsed = parse(&chain);
        assert_eq!(parsed.issues, []);
        let node = &parsed.value.certificates[0];
        assert_eq!(node.subject.common_name.as_deref(), Some("pve1.example.com"));
        assert_eq!(node.subject.cluster_uuid(), None);
        assert_eq!(node.issuer.cluster_uuid(), Some("0e5f3a52-7d0b-4a35-9f0c-2f4b5a7c1d11"));
        assert!(!node.self_issued);
        assert_eq!((node.line, parsed.value.certificates.len()), (2, 2));
    }

    #[test]
    fn a_date_after_2049_and_the_date_without_end_are_read() {
        let certificates = parse(ENDLESS).value.certificates;
        assert_eq!(certificates[0].not_after, Timestamp::MAX);
    }

    #[test]
    fn only_the_exact_name_of_the_ca_counts() {
        let mut name = parse(ROOT_CA).value.certificates[0].subject.clone();
        name.organization = Some("Example".to_owned());
        assert_eq!(name.cluster_uuid(), None);
        assert!(!is_uuid("0e5f3a52-7d0b-4a35-9f0c-2f4b5a7c1d1g"));
    }

    #[test]
    fn a_private_key_in_the_file_is_seen_and_not_kept() {
        let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        let parsed = parse(&format!("{key}{NODE}"));
        assert_eq!(parsed.value.private_key_line, Some(1));
        assert_eq!(parsed.value.certificates.len(), 1);
        assert!(!format!("{parsed:?}").contains("c2VjcmV0"));
    }

    #[test]
    fn cut_and_broken_certificates_are_issues() {
        let cut = ROOT_CA.lines().take(4).collect::<Vec<_>>().join("\n");
        assert_eq!(parse(&cut).issues[0].line, 1);
        assert_eq!(parse("-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n").issues.len(), 1);
        assert_eq!(parse("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").issues.len(), 1);
        assert_eq!(parse("").value, PemFile::default());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn a_changed_byte_never_panics(at in 0_usize..2000, byte in 0_u8..=255) {
            let body: String = NODE.lines().filter(|line| !line.starts_with('-')).collect();
            let mut der = Base64::decode_vec(&body).unwrap();
            let at = at % der.len();
            der[at] = byte;
            let text = Base64::encode_string(&der);
            let parsed = parse(&format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n"));
            prop_assert_eq!(parsed.value.certificates.len() + parsed.issues.len(), 1);
        }
    }
}
