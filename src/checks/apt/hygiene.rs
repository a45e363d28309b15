//! What makes updates go wrong, or trusts more than it needs.

use super::{Group, archive, codename, groups, is_binary, repository};
use crate::checks::{Judged, Look};
use crate::files::{Kind, Meta};
use crate::formats::apt_sources::Uri;
use crate::host::Stop;
use crate::host::apt::repository::{Part, Product, Repository, Vendor, ceph_release, debian_major};
use crate::host::identity::DPKG_STATUS;
use crate::outcome::{Evidence, Judgement, Subject, SubjectKind};

/// `apt/duplicate-source`
pub(crate) fn duplicate_source(look: &Look<'_>) -> Judged {
    let sources = look.take(look.host.apt_sources())?;
    let subject = |group: &Group<'_>| group.subject();
    let binary = sources.used().filter(|source| is_binary(source));
    look.each(groups(binary, repository), subject, |_, group| {
        let judgement = Judgement::fail_if(
            group.sources.len() > 1,
            format!("it is configured {} times: to switch one line off changes nothing", group.sources.len()),
            "it is configured once",
        );
        Ok(judgement.with_all(group.evidence("source")))
    })
}

/// `apt/proxmox-source-without-tls`
pub(crate) fn proxmox_source_without_tls(look: &Look<'_>) -> Judged {
    let sources = look.take(look.host.apt_sources())?;
    let proxmox = sources.used().filter(|source| {
        matches!(Repository::of(&source.entry).vendor, Vendor::Proxmox(..)) && is_binary(source)
    });
    look.each(groups(proxmox, archive), Group::subject, |_, group| {
        let plain = |uri: &str| Uri::parse(uri).access.trim_start_matches("mirror+") == "http";
        let bad = group.sources.iter().any(|source| plain(&source.entry.uri));
        let judgement = Judgement::fail_if(
            bad,
            "what is fetched, and when, can be read on the way; whether it is genuine is told by its signature",
            "nobody on the way reads along",
        );
        Ok(judgement.with_all(group.evidence("URIs")))
    })
}

/// The daemons of Ceph: a node without them only talks to a cluster.
const CEPH: [&str; 4] = ["ceph-mon", "ceph-mgr", "ceph-osd", "ceph-mds"];

/// Releases of Ceph by the major number of their versions.
const CEPH_RELEASES: [(&str, u32); 6] =
    [("octopus", 15), ("pacific", 16), ("quincy", 17), ("reef", 18), ("squid", 19), ("tentacle", 20)];

/// `apt/ceph-source-mismatch`
pub(crate) fn ceph_source_mismatch(look: &Look<'_>) -> Judged {
    let packages = look.take(look.host.packages())?;
    let Some(daemon) = CEPH.iter().find_map(|name| packages.present(name)) else {
        return Err(Stop::not_applicable("no daemon of Ceph is installed"));
    };
    let unknown = || Stop::unknown(DPKG_STATUS, "has a version of Ceph that is not known here");
    let version = daemon.present_version().unwrap_or_default();
    let major = version.split_once(':').map_or(version, |(_, rest)| rest).split('.').next();
    let major: u32 = major.and_then(|major| major.parse().ok()).ok_or_else(unknown)?;
    let (installed, _) = CEPH_RELEASES.iter().find(|(_, number)| *number == major).ok_or_else(unknown)?;
    let fact = look.host.apt_sources();
    let sources = look.take(fact)?;
    let ceph = sources.used().filter(|source| {
        is_binary(source) && matches!(Repository::of(&source.entry).vendor, Vendor::Proxmox(Product::Ceph, _))
    });
    let ceph: Vec<_> = ceph.collect();
    let place = Evidence::at(DPKG_STATUS, daemon.line).key(&daemon.name).observed(version);
    if ceph.is_empty() {
        if let Some(doubt) = sources.unreadable.as_ref().or(sources.incomplete.as_ref()) {
            return Err(Stop::Unknown(doubt.clone()));
        }
        let summary = format!("Ceph {installed} is installed and no source brings updates for it");
        return look.one(Subject::node(), Judgement::fail(summary).with(place));
    }
    look.each(groups(ceph.into_iter(), repository), Group::subject, |_, group| {
        let named = group.sources.first().and_then(|source| ceph_release(&source.entry));
        let judgement = Judgement::fail_if(
            named.as_deref() != Some(*installed),
            format!("it is of Ceph {}, and {installed} is installed", named.as_deref().unwrap_or("?")),
            format!("it is of the installed Ceph {installed}"),
        );
        Ok(judgement.with(place.clone()).with_all(group.evidence("URIs")))
    })
}

/// What dpkg is made to do against its better judgement.
const FORCED: [(&str, &str); 12] = [
    ("all", "dpkg goes on whatever is wrong"),
    ("bad-verify", "dpkg installs packages whose signature is bad"),
    ("overwrite", "a package may replace files of another"),
    ("overwrite-dir", "a package may replace folders of another by files"),
    ("overwrite-diverted", "a package may replace files that were diverted"),
    ("depends", "dependencies are no matter"),
    ("depends-version", "versions of dependencies are no matter"),
    ("breaks", "packages that break each other are installed"),
    ("conflicts", "packages that conflict are installed"),
    ("remove-essential", "essential packages may be removed"),
    ("remove-protected", "protected packages may be removed"),
    ("architecture", "packages of any architecture are installed"),
];

/// `apt/dpkg-safety-overridden`
pub(crate) fn dpkg_safety_overridden(look: &Look<'_>) -> Judged {
    const NAME: &str = "DPkg::Options";
    let tree = &look.take(look.host.apt_conf())?.tree;
    for setting in tree.list(NAME) {
        let Some(list) = setting.value.trim().strip_prefix("--force-") else { continue };
        let bad = list.split(',').find_map(|thing| FORCED.iter().find(|(name, _)| *name == thing.trim()));
        if let Some((_, what)) = bad {
            let evidence = Evidence::at(&*setting.file, setting.line).key(NAME).observed(&setting.value);
            return look.one(Subject::node(), Judgement::fail(*what).with(evidence));
        }
    }
    look.one(Subject::node(), Judgement::pass("apt makes dpkg override none of its checks"))
}

/// The keys in this file and in this folder may sign for every source that names no key.
const KEYRING: &str = "/etc/apt/trusted.gpg";
const KEYRINGS: &str = "/etc/apt/trusted.gpg.d/";

/// The keyrings that packages of Debian and Proxmox, and Proxmox's installer, put there.
const KNOWN: [&str; 4] =
    ["debian-archive-", "proxmox-release-", "proxmox-archive-keyring", "proxmox-ve-release-"];

/// `apt/common-keyring-unknown`
pub(crate) fn common_keyring_unknown(look: &Look<'_>) -> Judged {
    let sources = look.take(look.host.apt_sources())?;
    let open = sources.used().filter(|source| source.entry.signed_by.is_none()).count();
    let is_keyring = |path: &str, meta: &Meta| {
        let name = path.strip_prefix(KEYRINGS);
        let name = name.filter(|name| name.strip_suffix(".gpg").or(name.strip_suffix(".asc")).is_some());
        (path == KEYRING || name.is_some()) && (meta.size > 0 || meta.kind != Kind::File)
    };
    let paths = look.take(look.host.apt_guarded_paths())?.iter();
    let keyrings = paths
        .filter_map(|(path, meta)| meta.filter(|meta| is_keyring(path, meta)).map(|meta| (path, meta.kind)));
    let keyrings: Vec<(&String, Kind)> = keyrings.collect();
    if keyrings.is_empty() {
        return look.one(Subject::node(), Judgement::pass("no key may sign for every source"));
    }
    let subject = |(path, _): &(&String, Kind)| Subject::new(SubjectKind::File, path.as_str());
    look.each(keyrings, subject, |_, (path, kind)| {
        if *kind != Kind::File {
            return Err(Stop::unknown(path, "is no file: whether it is a keyring is not known"));
        }
        let name = path.strip_prefix(KEYRINGS).unwrap_or_default();
        let known = KNOWN.iter().any(|start| name.starts_with(start));
        let judgement = if known {
            Judgement::pass("its name is that of a keyring of Debian or Proxmox")
        } else if open == 0 {
            Judgement::pass("every source names its own key: it signs for none")
        } else {
            Judgement::fail(format!("its keys may sign for {open} sources that name no key of their own"))
        };
        Ok(judgement.with(Evidence::of(path.as_str())))
    })
}

/// `apt/firmware-component-missing`
pub(crate) fn firmware_component_missing(look: &Look<'_>) -> Judged {
    /// Since this release firmware has a component of its own.
    const BOOKWORM: u32 = 12;
    let codename = codename(look)?;
    let processor = look.own(look.host.processor())?;
    if processor.virtual_machine {
        return Err(Stop::not_applicable("this is a virtual machine: its hypervisor has the firmware"));
    }
    let fact = look.host.apt_sources();
    let sources = look.take(fact)?;
    let component = match debian_major(codename) {
        Some(major) if major < BOOKWORM => "non-free",
        _ => "non-free-firmware",
    };
    let found = sources.used().find(|source| {
        let debian = matches!(Repository::of(&source.entry).vendor, Vendor::Debian(Part::Main));
        debian && is_binary(source) && source.entry.component.as_deref() == Some(component)
    });
    if let Some(source) = found {
        let judgement = Judgement::pass(format!("{component} is among the components"));
        return look.one(Subject::node(), judgement.at(&source.path, source.entry.line));
    }
    if let Some(doubt) = sources.unreadable.as_ref().or(sources.incomplete.as_ref()) {
        return Err(Stop::Unknown(doubt.clone()));
    }
    let summary =
        format!("no source of Debian has the component {component}: microcode and firmware get no updates");
    look.one(Subject::node(), Judgement::fail(summary).with(Evidence::of("/etc/apt/sources.list")))
}
