//! How strong keys and signatures are, and who can read the keys.

use super::{each_shown, place, subject};
use crate::checks::{Judged, Look};
use crate::formats::pem_subject::{Certificate, KeyKind, PemFile, SignatureHash};
use crate::host::certificates::{NodeCertificates, ROOT_CA, TLS_KEY_FILE};
use crate::host::proxy::PROXY_DEFAULT;
use crate::host::{Fact, Stop};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// The smallest RSA key that is not weak, in bits.
const RSA_BITS: u32 = 2048;

/// The same for elliptic curves.
const CURVE_BITS: u32 = 224;

/// The group of pveproxy, which must read the key.
const WWW_DATA: u32 = 33;

/// Where permissions are what the cluster file system makes them.
const CLUSTER_FILES: &str = "/etc/pve/";

pub(crate) fn weak_key(look: &Look<'_>) -> Judged {
    each_shown(look, |_, _, served, certificate| {
        let key = &certificate.key;
        let unknown = || Stop::unknown(&served.path, "holds a key of a kind that is not known");
        let kind = key.kind.ok_or_else(unknown)?;
        let name = match kind {
            KeyKind::Rsa => "RSA",
            KeyKind::Curve => "an elliptic curve",
            KeyKind::Dsa => "DSA",
        };
        let least = match kind {
            KeyKind::Rsa => RSA_BITS,
            KeyKind::Curve => CURVE_BITS,
            KeyKind::Dsa => {
                return Ok(Judgement::fail(
                    "the key of the web interface is of the kind DSA, which TLS has given up",
                )
                .with(place(served, certificate).key("public key").observed(name)));
            }
        };
        let bits = key.bits.ok_or_else(unknown)?;
        let evidence = place(served, certificate)
            .key("public key")
            .observed(format!("{bits} bits of {name}"))
            .expected(format!("at least {least} bits"));
        Ok(if bits < least {
            Judgement::fail(format!("the key of the web interface has only {bits} bits of {name}"))
        } else {
            Judgement::pass(format!("the key of the web interface has {bits} bits of {name}"))
        }
        .with(evidence))
    })
}

pub(crate) fn weak_signature(look: &Look<'_>) -> Judged {
    each_shown(look, |_, _, served, _| {
        // A root vouches for itself: nobody looks at its signature.
        let signed: Vec<&Certificate> = served
            .chain
            .iter()
            .enumerate()
            .filter(|(at, one)| *at == 0 || !one.self_issued)
            .map(|(_, one)| one)
            .collect();
        let weak = signed.iter().find_map(|one| match one.signature_hash {
            Some(SignatureHash::Md5) => Some((one, "MD5")),
            Some(SignatureHash::Sha1) => Some((one, "SHA-1")),
            _ => None,
        });
        if let Some((certificate, hash)) = weak {
            let evidence = place(served, certificate).key("signature").observed(hash).expected("SHA-256");
            return Ok(Judgement::fail(format!("a certificate of the web interface is signed with {hash}"))
                .with(evidence));
        }
        if let Some(strange) = signed.iter().find(|one| one.signature_hash.is_none()) {
            return Ok(Judgement::unknown("a certificate is signed in a way that is not known")
                .with(place(served, strange)));
        }
        Ok(Judgement::pass("the certificates of the web interface are signed with strong hashes"))
    })
}

pub(crate) fn custom_certificate_without_key(look: &Look<'_>) -> Judged {
    let all = look.take(look.host.certificates())?;
    let has_custom = |node: &&NodeCertificates| node.custom.value.as_ref().map_or(true, Option::is_some);
    look.each(
        all.iter().filter(has_custom),
        |node| subject(node),
        |look, node| {
            let Some(custom) = look.take(&node.custom)? else {
                return Ok(Judgement::pass("there is no certificate of the administrator's"));
            };
            let evidence = Evidence::of(&custom.key_path).key("key of").observed(&custom.path);
            Ok(match custom.has_key {
                Some(true) => Judgement::pass("the certificate has its key beside it"),
                Some(false) => Judgement::fail(
                    "the certificate of the administrator's has no key: the node shows that of the cluster instead",
                ),
                None => Judgement::unknown("only the node itself tells where it looks for the key"),
            }
            .with(evidence))
        },
    )
}

pub(crate) fn private_key_with_certificate(look: &Look<'_>) -> Judged {
    let root = look.host.root_ca();
    look.take(look.host.cluster_files())?;
    let all = look.take(look.host.certificates())?;
    let mut files: Vec<(String, &Fact<PemFile>)> = vec![(ROOT_CA.to_owned(), root)];
    let own: Vec<(String, Fact<PemFile>)> = all.iter().flat_map(files_of).collect();
    files.extend(own.iter().map(|(path, fact)| (path.clone(), fact)));
    look.each(
        files,
        |(path, _)| Subject::new(SubjectKind::File, path),
        |look, (path, fact)| {
            let pem = look.own(Fact { value: fact.value.clone(), doubts: fact.doubts.clone() })?;
            Ok(match pem.private_key_line {
                Some(line) => {
                    Judgement::fail("a private key stands in a file of certificates").at(path, line)
                }
                None if pem.certificates.is_empty() => {
                    Judgement::unknown("the file holds no certificate that could be read")
                        .with(Evidence::of(path))
                }
                None => Judgement::pass("no private key stands in the file"),
            })
        },
    )
}

/// The files of certificates of a node.
fn files_of(node: &NodeCertificates) -> Vec<(String, Fact<PemFile>)> {
    let mut files = Vec::new();
    let standard = &node.standard;
    let path = format!("/etc/pve/nodes/{}/pve-ssl.pem", node.node);
    let value = standard.value.as_ref().map(|(_, pem)| pem.clone()).map_err(Clone::clone);
    files.push((path, Fact { value, doubts: standard.doubts.clone() }));
    let path = format!("/etc/pve/nodes/{}/pveproxy-ssl.pem", node.node);
    match &node.custom.value {
        Ok(None) => {}
        Ok(Some(custom)) => {
            files.push((path, Fact { value: Ok(custom.pem.clone()), doubts: node.custom.doubts.clone() }));
        }
        Err(stop) => files.push((path, Fact { value: Err(stop.clone()), doubts: Vec::new() })),
    }
    files
}

pub(crate) fn private_key_readable(look: &Look<'_>) -> Judged {
    let none = || {
        Stop::not_applicable("the key of the web interface is in the cluster file system, which guards it")
    };
    let settings = look.take(look.host.proxy())?.as_ref().ok_or_else(none)?;
    let setting = settings.settings.get(TLS_KEY_FILE).ok_or_else(none)?;
    let path = setting.value.as_str();
    if path.starts_with(CLUSTER_FILES) {
        return Err(none());
    }
    let meta = look.host.files.stat(path)?;
    let named = Evidence::at(PROXY_DEFAULT, setting.line).key(TLS_KEY_FILE).observed(path);
    let mode =
        Evidence::of(path).key("mode").observed(format!("{:04o}", meta.mode)).expected("0640, root:www-data");
    let others = meta.mode & 0o007 != 0;
    let group = meta.mode & 0o070 != 0 && !matches!(meta.gid, 0 | WWW_DATA);
    let writable = meta.mode & 0o020 != 0 && meta.gid != 0;
    let judgement = if others {
        Judgement::fail("everybody on the node can read the key of the web interface").with(mode)
    } else if group || writable {
        let gid =
            Evidence::of(path).key("group").observed(meta.gid.to_string()).expected(WWW_DATA.to_string());
        Judgement::fail("a group that needs it not can read or change the key of the web interface")
            .with(mode)
            .with(gid)
    } else if !matches!(meta.uid, 0 | WWW_DATA) {
        let owner = Evidence::of(path).key("owner").observed(meta.uid.to_string()).expected("0");
        Judgement::fail("somebody else than root owns the key of the web interface").with(owner)
    } else {
        Judgement::pass("only root and pveproxy read the key of the web interface").with(mode)
    };
    look.one(Subject::new(SubjectKind::File, path), judgement.with(named))
}
