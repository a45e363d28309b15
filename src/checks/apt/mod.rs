//! Where packages come from and whether apt can trust it.

mod coverage;
mod hygiene;
mod preference;
mod subscription;
mod trust;

pub(crate) use coverage::{
    configuration_unreadable, debian_security_missing, proxmox_source_missing, sources_unreadable,
    suite_mismatch,
};
pub(crate) use hygiene::{
    ceph_source_mismatch, common_keyring_unknown, dpkg_safety_overridden, duplicate_source,
    firmware_component_missing, proxmox_source_without_tls,
};
pub(crate) use preference::{default_release_blocks_security, pin_blocks_security};
pub(crate) use subscription::{
    enterprise_and_no_subscription_mixed, enterprise_without_subscription, test_repository_enabled,
};
pub(crate) use trust::{
    credentials_in_readable_file, setup_writable_by_others, third_party_without_signed_by,
    tls_verification_off, unsigned_source_trusted, validity_date_not_checked,
};

use std::collections::{BTreeMap, BTreeSet};

use super::Look;
use crate::formats::apt_conf::{Setting, Tree};
use crate::formats::apt_sources::Entry;
use crate::host::Stop;
use crate::host::apt::{AptSources, Source};
use crate::outcome::{Evidence, Subject, SubjectKind};

/// Sources that are judged as one thing.
struct Group<'h> {
    /// What they have in common; the id of the subject.
    id: String,
    /// At least one.
    sources: Vec<&'h Source>,
}

impl Group<'_> {
    fn subject(&self) -> Subject {
        Subject::new(SubjectKind::Repository, &self.id)
    }

    /// The lines the sources stand on.
    fn evidence(&self, key: &str) -> Vec<Evidence> {
        let places: BTreeSet<(&str, u32)> =
            self.sources.iter().map(|source| (source.path.as_str(), source.entry.line)).collect();
        places.into_iter().map(|(path, line)| Evidence::at(path, line).key(key).observed(&self.id)).collect()
    }
}

/// Sources with the same `id`, sorted by it.
fn groups<'h>(sources: impl Iterator<Item = &'h Source>, id: fn(&Entry) -> String) -> Vec<Group<'h>> {
    let mut groups: BTreeMap<String, Vec<&Source>> = BTreeMap::new();
    for source in sources {
        groups.entry(id(&source.entry)).or_default().push(source);
    }
    groups.into_iter().map(|(id, sources)| Group { id, sources }).collect()
}

/// `<uri> <suite>`: one archive for apt.
fn archive(entry: &Entry) -> String {
    format!("{} {}", entry.uri.trim_end_matches('/'), entry.suite)
}

/// `<uri> <suite> <component>`.
fn repository(entry: &Entry) -> String {
    match &entry.component {
        Some(component) => format!("{} {component}", archive(entry)),
        None => archive(entry),
    }
}

/// Whether it brings packages that are installed, not sources to build.
pub(super) fn is_binary(source: &Source) -> bool {
    source.entry.brings_packages()
}

/// Whether it is asked for packages of the architecture this system is made of.
pub(super) fn is_native(source: &Source, sources: &AptSources) -> bool {
    source.entry.architectures.resolve(std::slice::from_ref(&sources.native)).contains(&sources.native)
}

/// Programs that install packages. What is set below `Binary::<name>` counts for one of them instead.
const BINARIES: [&str; 3] = ["apt-get", "apt", "unattended-upgrade"];

/// Every setting of that name: the common one and those for single programs.
fn candidates<'h>(tree: &'h Tree, name: &str) -> impl Iterator<Item = &'h Setting> {
    let names = BINARIES.map(|binary| format!("Binary::{binary}::{name}"));
    tree.find(name).into_iter().chain(names.into_iter().filter_map(|name| tree.find(&name)))
}

/// The name of the Debian release that is installed.
pub(super) fn codename<'h>(look: &Look<'h>) -> Result<&'h str, Stop> {
    let os = look.take(look.host.os())?;
    if os.id.is_empty() {
        return Err(Stop::unknown("/etc/os-release", "does not say which system this is"));
    }
    if os.id != "debian" {
        return Err(Stop::not_applicable("this is not Debian"));
    }
    if os.version_codename.is_empty() {
        return Err(Stop::unknown("/etc/os-release", "does not name the Debian release"));
    }
    Ok(&os.version_codename)
}
