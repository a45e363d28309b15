//! Whether apt can tell a genuine package from any other, and keeps its passwords.

use std::collections::BTreeSet;

use super::{BINARIES, Group, archive, candidates, groups};
use crate::catalogue::Severity;
use crate::checks::{Judged, Look};
use crate::files::Kind;
use crate::formats::apt_conf::{Setting, Tree};
use crate::formats::apt_sources::{Entry, Key, SignedBy, Uri};
use crate::formats::apt_text;
use crate::host::Stop;
use crate::host::apt::repository::{Repository, Vendor};
use crate::host::apt::{Guarded, Source};
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// A switch of apt's that gives up a protection.
struct Switch {
    name: &'static str,
    /// The value that gives it up.
    bad: bool,
    what: &'static str,
    severity: Severity,
}

/// Switches that let unsigned packages in. Upstream's default is `false` for each.
const UNSIGNED: [Switch; 4] = [
    Switch {
        name: "APT::Get::AllowUnauthenticated",
        bad: true,
        what: "apt-get installs packages without a valid signature",
        severity: Severity::High,
    },
    Switch {
        name: "Acquire::AllowInsecureRepositories",
        bad: true,
        what: "apt takes archives without a valid signature",
        severity: Severity::High,
    },
    Switch {
        name: "Acquire::AllowDowngradeToInsecureRepositories",
        bad: true,
        what: "apt takes an archive that has lost its signature",
        severity: Severity::High,
    },
    Switch {
        name: "Acquire::AllowWeakRepositories",
        bad: true,
        what: "apt takes archives whose signature rests on a broken hash",
        severity: Severity::Medium,
    },
];

/// Switches that let old archives in. Upstream's default is `true` for each.
const DATES: [Switch; 2] = [
    Switch {
        name: "Acquire::Check-Valid-Until",
        bad: false,
        what: "apt takes archives that have expired",
        severity: Severity::Medium,
    },
    Switch {
        name: "Acquire::Check-Date",
        bad: false,
        what: "apt takes archives from the future",
        severity: Severity::Medium,
    },
];

fn switch_judgement(tree: &Tree, switch: &Switch) -> Judgement {
    let is_bad = |setting: &&Setting| apt_text::boolean(&setting.value) == Some(switch.bad);
    let worst = candidates(tree, switch.name).find(is_bad);
    let Some(setting) = worst.or_else(|| candidates(tree, switch.name).next()) else {
        return Judgement::pass(format!("{} has upstream's default", switch.name));
    };
    let evidence = Evidence::at(&*setting.file, setting.line).key(switch.name).observed(&setting.value);
    let expected = if switch.bad { "false" } else { "true" };
    let judgement = if worst.is_some() {
        Judgement::fail(switch.what).severity(switch.severity)
    } else {
        Judgement::pass(format!("{} is as upstream wants it", switch.name))
    };
    judgement.with(evidence.expected(expected))
}

fn switches(look: &Look<'_>, switches: &'static [Switch]) -> Judged {
    let conf = look.take(look.host.apt_conf())?;
    let subject = |switch: &&Switch| Subject::new(SubjectKind::Setting, switch.name);
    look.each(switches, subject, |_, switch| Ok(switch_judgement(&conf.tree, switch)))
}

/// An option of a source that gives up a protection, and what that means.
type Weakness = (&'static str, &'static str, Severity);

fn unsigned_option(entry: &Entry) -> Option<Weakness> {
    if entry.trusted == Some(true) {
        // Who can change a local folder of root's is root; the network is everybody.
        let local = matches!(Uri::parse(&entry.uri).access.as_str(), "file" | "copy" | "cdrom");
        let severity = if local { Severity::Medium } else { Severity::High };
        return Some(("trusted", "its packages are installed whether they are signed or not", severity));
    }
    let yes = |option: Option<bool>| option == Some(true);
    if yes(entry.allow_insecure) {
        return Some(("allow-insecure", "apt takes it without a valid signature", Severity::High));
    }
    if yes(entry.allow_downgrade_to_insecure) {
        let what = "apt takes it after it has lost its signature";
        return Some(("allow-downgrade-to-insecure", what, Severity::High));
    }
    let what = "apt takes it with a signature that rests on a broken hash";
    yes(entry.allow_weak).then_some(("allow-weak", what, Severity::Medium))
}

fn date_option(entry: &Entry) -> Option<Weakness> {
    if entry.check_valid_until == Some(false) {
        return Some(("check-valid-until", "apt takes it after it has expired", Severity::Medium));
    }
    let what = "apt takes it with a date in the future";
    (entry.check_date == Some(false)).then_some(("check-date", what, Severity::Medium))
}

fn options(look: &Look<'_>, option: fn(&Entry) -> Option<Weakness>, fine: &str) -> Judged {
    let sources = look.take(look.host.apt_sources())?;
    look.each(groups(sources.used(), archive), Group::subject, |_, group| {
        Ok(match group.sources.iter().find_map(|source| option(&source.entry)) {
            Some((key, what, severity)) => {
                Judgement::fail(what).severity(severity).with_all(group.evidence(key))
            }
            None => Judgement::pass(fine).with_all(group.evidence("options")),
        })
    })
}

/// `apt/unsigned-source-trusted`
pub(crate) fn unsigned_source_trusted(look: &Look<'_>) -> Judged {
    let mut tally = switches(look, &UNSIGNED)?;
    tally.counted.extend(options(look, unsigned_option, "its signature is asked for")?.counted);
    Ok(tally)
}

/// `apt/validity-date-not-checked`
pub(crate) fn validity_date_not_checked(look: &Look<'_>) -> Judged {
    let mut tally = switches(look, &DATES)?;
    tally.counted.extend(options(look, date_option, "its dates are checked")?.counted);
    Ok(tally)
}

/// `apt/tls-verification-off`
pub(crate) fn tls_verification_off(look: &Look<'_>) -> Judged {
    const SCOPE: &str = "Acquire::https";
    const OPTIONS: [(&str, &str); 2] = [
        ("Verify-Peer", "apt takes any certificate from the server"),
        ("Verify-Host", "apt takes the certificate of another server"),
    ];
    let tree = &look.take(look.host.apt_conf())?.tree;
    let mut names: BTreeSet<(String, &str)> =
        OPTIONS.iter().map(|(name, what)| (format!("{SCOPE}::{name}"), *what)).collect();
    let of_binaries = BINARIES.map(|binary| format!("Binary::{binary}::{SCOPE}"));
    let scopes = std::iter::once(SCOPE).chain(of_binaries.iter().map(String::as_str));
    for host in scopes.flat_map(|scope| tree.names(scope)) {
        let of_host = OPTIONS.map(|(name, what)| (format!("{SCOPE}::{host}::{name}"), what));
        names.extend(of_host.into_iter().filter(|(name, _)| candidates(tree, name).next().is_some()));
    }
    let subject = |(name, _): &(String, &str)| Subject::new(SubjectKind::Setting, name);
    look.each(names, subject, |_, (name, what)| {
        let is_off = |setting: &&Setting| apt_text::boolean(&setting.value) == Some(false);
        let worst = candidates(tree, name).find(is_off);
        let Some(setting) = worst.or_else(|| candidates(tree, name).next()) else {
            return Ok(Judgement::pass("it has upstream's default: the certificate is checked"));
        };
        let evidence = Evidence::at(&*setting.file, setting.line).key(name).observed(&setting.value);
        Ok(Judgement::fail_if(worst.is_some(), *what, "the certificate is checked")
            .with(evidence.expected("true")))
    })
}

/// `apt/third-party-without-signed-by`
pub(crate) fn third_party_without_signed_by(look: &Look<'_>) -> Judged {
    let sources = look.take(look.host.apt_sources())?;
    // A key set for one source of an archive is the key of the archive.
    let release = |source: &Source| source.entry.list_file("Release");
    let keyed: BTreeSet<String> =
        sources.used().filter(|source| has_own_key(&source.entry)).map(release).collect();
    let foreign = sources.used().filter(|source| {
        let repository = Repository::of(&source.entry);
        let known = repository.official || matches!(repository.vendor, Vendor::Proxmox(..));
        !known && source.entry.trusted != Some(true)
    });
    look.each(groups(foreign, archive), Group::subject, |look, group| {
        let judgement = match group.sources.first() {
            Some(source) if !keyed.contains(&release(source)) => keyless(look, source)?,
            _ => Judgement::pass("only its own keys are accepted for it"),
        };
        Ok(judgement.with_all(group.evidence("signed-by")))
    })
}

/// Where apt looks for keys that may sign for every source without one of its own.
const COMMON_KEYRINGS: [&str; 2] = ["/etc/apt/trusted.gpg", "/etc/apt/trusted.gpg.d/"];

/// Whether the source names a key, and all of them lie outside of the common keyring.
fn has_own_key(entry: &Entry) -> bool {
    entry.signed_by.is_some() && !has_common_key(entry) && !has_fingerprints_only(entry)
}

/// Without the file of a keyring apt takes the keys of these fingerprints from the common keyring, where they may sign
/// for every source without one of its own.
fn has_fingerprints_only(entry: &Entry) -> bool {
    let is_file = |key: &Key| matches!(key, Key::File(_));
    matches!(&entry.signed_by, Some(SignedBy::Keys(keys)) if !keys.iter().any(is_file))
}

fn has_common_key(entry: &Entry) -> bool {
    let [file, folder] = COMMON_KEYRINGS;
    let is_common = |key: &Key| {
        let path = key.text();
        matches!(key, Key::File(_)) && (path == file || path.starts_with(folder))
    };
    matches!(&entry.signed_by, Some(SignedBy::Keys(keys)) if keys.iter().any(is_common))
}

/// A source that every key in apt's common keyring may sign for. For a mirror of Debian that is as it should be;
/// whether it is one, only its Release file tells.
fn keyless(look: &Look<'_>, source: &Source) -> Result<Judgement, Stop> {
    const BAD: &str =
        "no signed-by: its key lies in the common keyring and may sign for Debian and Proxmox as well";
    if has_common_key(&source.entry) {
        let bad = "signed-by names a key of the common keyring: it may sign for Debian and Proxmox as well";
        return Ok(Judgement::fail(bad));
    }
    let bad = if has_fingerprints_only(&source.entry) {
        "signed-by names a fingerprint alone: the key lies in the common keyring and may sign for Debian and Proxmox as well"
    } else {
        BAD
    };
    if Repository::of(&source.entry).vendor == Vendor::Other {
        return Ok(Judgement::fail(bad));
    }
    Ok(match look.own(look.host.apt_release_file(&source.entry))? {
        Some(release) if release.origin == "Debian" => Judgement::pass("it is a mirror of Debian"),
        Some(_) => Judgement::fail(bad),
        None => Judgement::unknown(
            "no signed-by, and whether it is a mirror of Debian is not known: its lists were never fetched",
        ),
    })
}

/// `apt/setup-writable-by-others`
pub(crate) fn setup_writable_by_others(look: &Look<'_>) -> Judged {
    /// Writable by the group, and by everybody.
    const GROUP_WRITES: u32 = 0o020;
    const OTHERS_WRITE: u32 = 0o002;
    let paths = look.take(look.host.apt_guarded_paths())?;
    let subject = |(path, _): &&Guarded| Subject::new(SubjectKind::File, path);
    look.each(paths, subject, |_, (path, meta)| {
        let Some(meta) = meta else {
            return Err(Stop::unknown(path, "is missing although a source names it as its key"));
        };
        let who = if meta.mode & OTHERS_WRITE != 0 {
            Some("everybody may change it".to_owned())
        } else if meta.uid != 0 {
            Some(format!("it belongs to the user with the id {}", meta.uid))
        } else if meta.mode & GROUP_WRITES != 0 && meta.gid != 0 {
            Some(format!("the group with the id {} may change it", meta.gid))
        } else {
            None
        };
        let observed = format!("{:04o} {}:{}", meta.mode, meta.uid, meta.gid);
        let expected = if meta.kind == Kind::Folder { "0755 0:0" } else { "0644 0:0" };
        let evidence = Evidence::of(path).key("mode and owner").observed(observed).expected(expected);
        let judgement = who.map_or_else(|| Judgement::pass("only root may change it"), Judgement::fail);
        Ok(judgement.with(evidence))
    })
}

/// `apt/credentials-in-readable-file`
pub(crate) fn credentials_in_readable_file(look: &Look<'_>) -> Judged {
    /// Readable by everybody.
    const OTHERS_READ: u32 = 0o004;
    let files = look.take(look.host.apt_secret_files())?;
    if files.is_empty() {
        return Err(Stop::not_applicable("no file of apt's holds a password"));
    }
    look.each(
        files,
        |file| Subject::new(SubjectKind::File, &file.path),
        |_, file| {
            let bad = file.mode & OTHERS_READ != 0;
            let evidence =
                Evidence::at(&file.path, file.line).key("mode").observed(format!("{:04o}", file.mode));
            let judgement = Judgement::fail_if(
                bad,
                "holds a password and every process on the node may read it",
                "holds a password and is not open to everybody",
            );
            Ok(judgement.with(evidence.expected("0600")))
        },
    )
}
