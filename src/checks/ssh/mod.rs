//! Checks of the SSH server.

mod cluster;
mod host_keys;
mod keys;
mod login;
mod settings;

pub(crate) use cluster::hardening_breaks_the_cluster;
pub(crate) use host_keys::{
    host_key_not_known_to_the_cluster, host_key_of_two_nodes, host_key_readable, host_key_weak, weak_moduli,
};
pub(crate) use keys::{
    keys_from_elsewhere, root_key_of_removed_node, root_key_of_unknown_owner,
    root_key_restriction_without_effect, root_key_weak, root_keys_not_shared, root_keys_writable,
};
pub(crate) use login::{empty_passwords, password_authentication, root_login_with_password};
pub(crate) use settings::{
    configuration_writable, dead_sessions_stay, no_list_of_users, options_beside_the_configuration,
    root_login_from_everywhere, setting_swallowed_by_match, too_many_unauthenticated_connections,
};

use std::collections::BTreeMap;

use super::{Judged, Look};
use crate::formats::sshd::{Overridden, Source, may_hold_secret};
use crate::host::sshd::Sshd;
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// Most pieces of evidence of one finding.
const MOST_EVIDENCE: usize = 10;

/// Key exchanges that a quantum computer does not break, in every release that has them.
const POST_QUANTUM: [&str; 3] =
    ["mlkem768x25519-sha256", "sntrup761x25519-sha512", "sntrup761x25519-sha512@openssh.com"];

/// Where a value of a setting stands.
pub(super) fn evidence(sshd: &Sshd, setting: &str, source: &Source, observed: &str) -> Evidence {
    let (path, line) = sshd.place(source);
    let evidence = match line {
        Some(line) => Evidence::at(path, line),
        None => Evidence::of(path),
    };
    let origin = match source {
        Source::Default => " (default)",
        Source::CommandLine => " (option sshd is started with)",
        Source::File { .. } => "",
    };
    evidence.key(setting).observed(format!("{observed}{origin}"))
}

/// `ssh/configuration-invalid`
pub(crate) fn configuration_invalid(look: &Look<'_>) -> Judged {
    let sshd = look.take(look.host.sshd())?;
    let stopping: Vec<_> = sshd.config.problems.iter().filter(|problem| problem.stops).collect();
    let judgement = match stopping.as_slice() {
        [] => Judgement::pass("sshd starts with this configuration").with(Evidence::of(&sshd.path)),
        [first, ..] => {
            let doubt = sshd.doubt_of(first);
            let summary = format!("sshd does not start with this configuration: {doubt}");
            let found = stopping.iter().take(MOST_EVIDENCE).map(|problem| {
                let (path, line) = sshd.place(&problem.source);
                line.map_or_else(|| Evidence::of(path), |line| Evidence::at(path, line))
                    .observed(&problem.what)
            });
            let judged = if sshd.release_is_known {
                Judgement::fail(summary)
            } else {
                Judgement::unknown(format!("{summary}, if its release is the assumed one"))
            };
            judged.with_all(found)
        }
    };
    look.one(Subject::node(), judgement)
}

/// `ssh/drop-in-without-effect`
pub(crate) fn drop_in_without_effect(look: &Look<'_>) -> Judged {
    let sshd = look.take(look.host.sshd())?;
    let config = sshd.in_force()?;
    let mut late_lines: BTreeMap<&str, Vec<&Overridden>> = BTreeMap::new();
    for line in &config.overridden {
        if let Source::File { path, .. } = &line.source {
            late_lines.entry(path).or_default().push(line);
        }
    }
    look.each(
        &sshd.drop_ins,
        |path| Subject::new(SubjectKind::File, path.as_str()),
        |_, path| {
            if !sshd.files.contains(*path) {
                return Ok(Judgement::fail(format!(
                    "sshd does not read this file: {} does not include it",
                    sshd.path
                ))
                .with(Evidence::of(path.as_str()))
                .with(
                    Evidence::of(&sshd.path).key("include").expected("Include /etc/ssh/sshd_config.d/*.conf"),
                ));
            }
            let late = late_lines.get(path.as_str()).map(Vec::as_slice).unwrap_or_default();
            let Some(first) = late.first() else {
                return Ok(Judgement::pass("no setting of this file comes too late"));
            };
            let found = late.iter().take(MOST_EVIDENCE).map(|line| {
                let values =
                    if may_hold_secret(line.keyword) { String::new() } else { line.values.join(", ") };
                evidence(sshd, line.keyword, &line.source, &values)
                    .expected(format!("the value in {}, which was read before", told(sshd, &line.by)))
            });
            Ok(Judgement::fail(format!(
                "{} in this file has no effect: {} set it before and the first value counts",
                first.keyword,
                told(sshd, &first.by)
            ))
            .with_all(found))
        },
    )
}

fn told(sshd: &Sshd, source: &Source) -> String {
    match sshd.place(source) {
        (path, Some(line)) => format!("{path}:{line}"),
        (path, None) => path.to_owned(),
    }
}

/// `ssh/no-post-quantum-key-exchange`
pub(crate) fn no_post_quantum_key_exchange(look: &Look<'_>) -> Judged {
    let sshd = look.take(look.host.sshd())?;
    let config = sshd.in_force()?;
    sshd.doubts_about(&["kexalgorithms"]).for_each(|doubt| look.doubt(doubt));
    let offered = config.values_of("kexalgorithms");
    let names: Vec<&str> = offered.iter().map(|value| value.text.as_str()).collect();
    let good: Vec<&str> = names.iter().copied().filter(|name| POST_QUANTUM.contains(name)).collect();
    let source = config.value_of("kexalgorithms").map_or(&Source::Default, |value| &value.source);
    let judgement = Judgement::fail_if(
        good.is_empty(),
        "no key exchange that sshd offers withstands a quantum computer",
        format!("sshd offers {}", good.join(", ")),
    );
    let found = evidence(sshd, "kexalgorithms", source, &names.join(","));
    look.one(Subject::new(SubjectKind::Setting, "kexalgorithms"), judgement.with(found))
}
