//! Checks of the certificates and of the encryption of the web interface.

mod names;
mod renewal;
mod strength;
mod tls;

pub(crate) use names::{name_mismatch, not_issued_by_cluster_authority, not_trusted_by_browsers};
pub(crate) use renewal::{
    acme_not_renewing, cluster_authority_expires, expired, expires_soon, renewal_timer_off, renewed_by_hand,
};
pub(crate) use strength::{
    custom_certificate_without_key, private_key_readable, private_key_with_certificate, weak_key,
    weak_signature,
};
pub(crate) use tls::{tls_1_3_off, weak_ciphers, weak_key_exchange_parameters};

use super::{Judged, Look};
use crate::formats::pem_subject::Certificate;
use crate::host::Stop;
use crate::host::certificates::{NodeCertificates, Served};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// A node as what is judged.
fn subject(node: &NodeCertificates) -> Subject {
    Subject::new(SubjectKind::Node, &node.node).on(&node.node)
}

/// Judges the certificate that each node of the cluster shows.
fn each_shown<'h>(
    look: &Look<'h>,
    judge: impl Fn(&Look<'h>, &'h NodeCertificates, &'h Served, &'h Certificate) -> Result<Judgement, Stop>,
) -> Judged {
    look.each(
        look.take(look.host.certificates())?,
        |node| subject(node),
        |look, node| {
            let served = look.take(&node.served)?;
            judge(look, node, served, served.own()?)
        },
    )
}

/// Where a certificate stands.
fn place(served: &Served, certificate: &Certificate) -> Evidence {
    Evidence::at(&served.path, certificate.line)
}
