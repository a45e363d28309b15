//! Whom a certificate names, and who says so.

use std::collections::BTreeSet;

use super::{each_shown, place, subject};
use crate::checks::{Judged, Look};
use crate::formats::pem_subject::Certificate;
use crate::host::Stop;
use crate::host::certificates::{NodeCertificates, ROOT_CA};
use crate::outcome::{Evidence, Judgement};

pub(crate) fn name_mismatch(look: &Look<'_>) -> Judged {
    each_shown(look, |look, node, served, certificate| {
        if !certificate.names_are_known {
            return Err(Stop::unknown(&served.path, "holds names that were not understood"));
        }
        let mut wanted: BTreeSet<String> = [node.node.to_ascii_lowercase()].into();
        if node.is_local {
            wanted.extend(look.take(look.host.own_names())?.iter().cloned());
        }
        // What the administrator orders a certificate for is a name of the node.
        let (_, config) = look.take(&node.config)?;
        wanted.extend(config.domains.keys().cloned());
        let addresses = look.host.addresses_of(&node.node);
        let named = wanted.iter().any(|name| certificate.is_for(name))
            || certificate.addresses.iter().any(|address| addresses.contains(address))
            || begins_with_node(certificate, &node.node);
        let observed = names_of(certificate);
        if named {
            return Ok(Judgement::pass("the certificate is for this node")
                .with(place(served, certificate).observed(observed)));
        }
        if !node.is_local && certificate.dns_names.iter().any(|name| name.starts_with("*.")) {
            return Err(Stop::unknown(
                &served.path,
                "is for all names of a domain: only the node itself tells its own",
            ));
        }
        let wanted: Vec<String> = wanted.into_iter().collect();
        let evidence = place(served, certificate).observed(observed).expected(wanted.join(", "));
        Ok(Judgement::fail("the certificate is for other names than the node's: browsers warn of it")
            .with(evidence))
    })
}

/// Whether a name of the certificate is the node's in a domain that only name servers know of.
fn begins_with_node(certificate: &Certificate, node: &str) -> bool {
    let names = certificate.dns_names.iter().chain(certificate.subject.common_name.as_ref());
    names.filter_map(|name| name.split('.').next()).any(|first| first.eq_ignore_ascii_case(node))
}

/// What a certificate is for.
fn names_of(certificate: &Certificate) -> String {
    let names = certificate.dns_names.iter().cloned();
    let addresses = certificate.addresses.iter().map(ToString::to_string);
    let mut all: Vec<String> = names.chain(addresses).collect();
    if all.is_empty() {
        all.extend(certificate.subject.common_name.clone());
    }
    all.join(", ")
}

pub(crate) fn not_trusted_by_browsers(look: &Look<'_>) -> Judged {
    each_shown(look, |_, _, served, certificate| {
        let issuer = certificate.issuer.common_name.as_deref().unwrap_or("an authority without a name");
        let evidence = place(served, certificate).key("issuer").observed(issuer);
        Ok(if certificate.self_issued {
            Judgement::fail("the certificate vouches for itself")
        } else if certificate.issuer.cluster_uuid().is_some() {
            Judgement::fail("the certificate is issued by the cluster itself, which no browser knows")
        } else {
            Judgement::pass(format!("the certificate is issued by {issuer}"))
        }
        .with(evidence))
    })
}

pub(crate) fn not_issued_by_cluster_authority(look: &Look<'_>) -> Judged {
    let root = look.take(look.host.root_ca())?;
    let root = root.certificates.first().ok_or_else(|| Stop::unknown(ROOT_CA, "holds no certificate"))?;
    look.each(
        look.take(look.host.certificates())?,
        |node: &&NodeCertificates| subject(node),
        |look, node| {
            let (path, pem) = look.take(&node.standard)?;
            let none = || Stop::unknown(path, "holds no certificate that could be read");
            let own = pem.certificates.first().ok_or_else(none)?;
            let evidence = Evidence::at(path, own.line)
                .key("issuer")
                .observed(own.issuer.organizational_unit.clone().unwrap_or_default())
                .expected(root.subject.organizational_unit.clone().unwrap_or_default());
            Ok(if own.issuer == root.subject {
                Judgement::pass("the node's certificate is issued by the authority of the cluster")
            } else {
                Judgement::fail("the node's own certificate is not issued by the authority of the cluster: it is never renewed")
            }
            .with(evidence))
        },
    )
}
