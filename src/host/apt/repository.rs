//! Whose archive a source names: told by host, path, suite and component, never by guessing from a file name.
//!
//! The names of Proxmox's archives are those of `proxmox/proxmox:proxmox-apt/src/repositories/standard.rs` and of
//! the package repositories chapter of the Proxmox VE documentation.

use crate::formats::apt_sources::{Entry, Uri};

/// The Debian releases by name, oldest first, with their major version.
pub const CODENAMES: [(&str, u32); 8] = [
    ("jessie", 8),
    ("stretch", 9),
    ("buster", 10),
    ("bullseye", 11),
    ("bookworm", 12),
    ("trixie", 13),
    ("forky", 14),
    ("duke", 15),
];

/// Suites whose content becomes another release from one day to the next.
pub const RELEASED_BY_ROLE: [&str; 3] = ["stable", "oldstable", "oldoldstable"];

/// Suites that are no release.
pub const UNRELEASED: [&str; 5] = ["testing", "unstable", "sid", "experimental", "rc-buggy"];

/// The components of Debian.
const DEBIAN_COMPONENTS: [&str; 4] = ["main", "contrib", "non-free", "non-free-firmware"];

/// The last Debian release whose security suite is `<name>/updates`; later ones have `<name>-security`.
const LAST_WITH_UPDATES_PATH: u32 = 10;

/// Which part of Debian.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The release itself.
    Main,
    /// Security updates.
    Security,
    /// Updates between point releases.
    Updates,
    /// Newer packages rebuilt for the release.
    Backports,
    /// Candidates for the next point release.
    ProposedUpdates,
    /// Something else.
    Other,
}

/// Which of Proxmox's products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Product {
    /// Proxmox VE.
    Pve,
    /// Proxmox's builds of Ceph.
    Ceph,
    /// Proxmox Backup Server, Mail Gateway, development files.
    Other,
}

impl Product {
    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pve => "Proxmox VE",
            Self::Ceph => "Ceph",
            Self::Other => "another Proxmox product",
        }
    }
}

/// Which of Proxmox's repositories of a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Channel {
    /// For subscribers, tested most.
    Enterprise,
    /// For everybody.
    NoSubscription,
    /// For testers.
    Test,
}

/// Whose archive it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Vendor {
    /// Debian.
    Debian(Part),
    /// Proxmox.
    Proxmox(Product, Channel),
    /// Somebody else.
    Other,
}

/// What a source names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Repository {
    /// Whose archive it is.
    pub vendor: Vendor,
    /// It comes from a host of that vendor. A mirror is told by its shape only.
    pub official: bool,
}

impl Repository {
    /// Classifies a source.
    pub fn of(entry: &Entry) -> Self {
        let uri = Uri::parse(&entry.uri);
        let component = entry.component.as_deref().unwrap_or_default();
        let host = uri.host.to_ascii_lowercase();
        if let Some((product, channel)) = proxmox(&host, &uri.path, component) {
            return Self {
                vendor: Vendor::Proxmox(product, channel),
                official: is_below(&host, "proxmox.com"),
            };
        }
        let official = is_below(&host, "debian.org");
        let vendor =
            debian(official, &uri.path, &entry.suite, component).map_or(Vendor::Other, Vendor::Debian);
        Self { vendor, official: official && vendor != Vendor::Other }
    }
}

/// The text before the first `-` or `/`: `trixie` of `trixie-security`.
pub fn base_suite(suite: &str) -> &str {
    suite.split(['-', '/']).next().unwrap_or(suite)
}

/// The major version of a Debian release.
pub fn debian_major(codename: &str) -> Option<u32> {
    CODENAMES.iter().find(|(name, _)| *name == codename).map(|(_, major)| *major)
}

/// The release of Ceph that a source is for, as its path names it: `squid` of `…/debian/ceph-squid`.
pub fn ceph_release(entry: &Entry) -> Option<String> {
    let path = Uri::parse(&entry.uri).path;
    let last = path.rsplit('/').find(|segment| !segment.is_empty())?;
    last.strip_prefix("ceph-").map(str::to_owned)
}

fn is_below(host: &str, domain: &str) -> bool {
    host.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// A mirror is told by its component, for nobody else uses these names; Ceph's are common words and need the path.
fn proxmox(host: &str, path: &str, component: &str) -> Option<(Product, Channel)> {
    let official = is_below(host, "proxmox.com");
    let last = path.rsplit('/').find(|segment| !segment.is_empty()).unwrap_or_default();
    let word = ["pve", "pbs", "pmg", "pdm"].into_iter().find_map(|product| {
        let rest = component.strip_prefix(product)?;
        Some((product, rest.strip_prefix('-').unwrap_or(rest)))
    });
    if let Some((product, channel)) = word.and_then(|(product, rest)| Some((product, channel(rest)?))) {
        let product = if product == "pve" { Product::Pve } else { Product::Other };
        return Some((product, channel));
    }
    if last.starts_with("ceph-") {
        // Up to Proxmox VE 7 the public archive of Ceph had the component `main`.
        let public = (official && component == "main").then_some(Channel::NoSubscription);
        return Some((Product::Ceph, channel(component).or(public)?));
    }
    if !official {
        return None;
    }
    let host_channel =
        if host.starts_with("enterprise.") { Channel::Enterprise } else { Channel::NoSubscription };
    // A component of Proxmox VE that is not known is none: it must not pass for one that brings updates.
    Some((Product::Other, host_channel))
}

fn channel(word: &str) -> Option<Channel> {
    match word {
        "enterprise" => Some(Channel::Enterprise),
        "no-subscription" => Some(Channel::NoSubscription),
        "test" => Some(Channel::Test),
        _ => None,
    }
}

fn debian(official: bool, path: &str, suite: &str, component: &str) -> Option<Part> {
    let base = base_suite(suite);
    let part = part(base, suite.strip_prefix(base).unwrap_or_default());
    if official {
        return Some(part);
    }
    let named = debian_major(base).is_some();
    let known = named || RELEASED_BY_ROLE.contains(&base) || UNRELEASED.contains(&base);
    // Many use `stable` or `trixie` for their own archives: the suites beside a release are Debian's alone, the
    // release itself also needs a path that names Debian.
    let shaped = match part {
        Part::Main => named && path.split('/').any(|segment| segment.starts_with("debian")),
        Part::Other => false,
        _ => known,
    };
    (shaped && DEBIAN_COMPONENTS.contains(&component)).then_some(part)
}

fn part(base: &str, rest: &str) -> Part {
    match rest {
        "" => Part::Main,
        "-security" => Part::Security,
        "/updates" if debian_major(base).is_some_and(|major| major <= LAST_WITH_UPDATES_PATH) => {
            Part::Security
        }
        "-updates" => Part::Updates,
        "-backports" | "-backports-sloppy" => Part::Backports,
        "-proposed-updates" => Part::ProposedUpdates,
        _ => Part::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::apt_sources::{AptVersion, Context, Kind, parse};

    fn repository(line: &str) -> Repository {
        let context = Context { version: AptVersion::V3_0, native: "amd64" };
        let parsed = parse(&format!("deb {line}\n"), Kind::OneLine, &context);
        Repository::of(&parsed.value.entries[0])
    }

    fn check(cases: &[(&str, Vendor, bool)]) {
        for (line, vendor, official) in cases {
            assert_eq!(repository(line), Repository { vendor: *vendor, official: *official }, "{line}");
        }
    }

    #[test]
    fn debian_is_told_by_its_hosts() {
        check(&[
            ("http://deb.debian.org/debian trixie main", Vendor::Debian(Part::Main), true),
            ("http://deb.debian.org/debian trixie-updates main", Vendor::Debian(Part::Updates), true),
            ("http://ftp.de.debian.org/debian/ trixie-backports main", Vendor::Debian(Part::Backports), true),
            (
                "http://security.debian.org/debian-security trixie-security main",
                Vendor::Debian(Part::Security),
                true,
            ),
            ("http://security.debian.org/ buster/updates main", Vendor::Debian(Part::Security), true),
            ("http://security.debian.org/ bullseye/updates main", Vendor::Debian(Part::Other), true),
            ("http://deb.debian.org/debian sid main", Vendor::Debian(Part::Main), true),
            (
                "http://deb.debian.org/debian trixie-proposed-updates main",
                Vendor::Debian(Part::ProposedUpdates),
                true,
            ),
        ]);
    }

    #[test]
    fn a_mirror_of_debian_is_told_by_its_shape() {
        check(&[
            ("http://mirror.example.com/debian trixie main", Vendor::Debian(Part::Main), false),
            ("http://cache:3142/deb.debian.org/debian trixie contrib", Vendor::Debian(Part::Main), false),
            ("file:/srv/mirror trixie-security main", Vendor::Debian(Part::Security), false),
            ("https://m.example.com/x stable-security main", Vendor::Debian(Part::Security), false),
        ]);
    }

    #[test]
    fn other_archives_are_not_taken_for_debian() {
        check(&[
            ("https://download.docker.com/linux/debian trixie stable", Vendor::Other, false),
            ("https://packages.example.com/oss/deb stable main", Vendor::Other, false),
            ("https://packages.example.com/debian stable main", Vendor::Other, false),
            ("https://pkg.example.org/debian-stable binary/", Vendor::Other, false),
            ("https://notdebian.org/debian trixie x", Vendor::Other, false),
            ("https://download.ceph.com/debian-squid trixie x", Vendor::Other, false),
        ]);
    }

    #[test]
    fn proxmox_is_told_by_host_path_and_component() {
        use Channel::{Enterprise, NoSubscription, Test};
        use Product::{Ceph, Other, Pve};
        check(&[
            (
                "https://enterprise.proxmox.com/debian/pve trixie pve-enterprise",
                Vendor::Proxmox(Pve, Enterprise),
                true,
            ),
            (
                "http://download.proxmox.com/debian/pve trixie pve-no-subscription",
                Vendor::Proxmox(Pve, NoSubscription),
                true,
            ),
            ("http://download.proxmox.com/debian/pve trixie pve-test", Vendor::Proxmox(Pve, Test), true),
            ("http://download.proxmox.com/debian/pve bookworm pvetest", Vendor::Proxmox(Pve, Test), true),
            ("http://download.proxmox.com/debian/ceph-squid trixie test", Vendor::Proxmox(Ceph, Test), true),
            (
                "http://download.proxmox.com/debian/ceph-pacific bullseye main",
                Vendor::Proxmox(Ceph, NoSubscription),
                true,
            ),
            (
                "https://enterprise.proxmox.com/debian/ceph-reef bookworm enterprise",
                Vendor::Proxmox(Ceph, Enterprise),
                true,
            ),
            (
                "http://download.proxmox.com/debian/pbs trixie pbs-no-subscription",
                Vendor::Proxmox(Other, NoSubscription),
                true,
            ),
            ("http://download.proxmox.com/debian/pbs trixie pbstest", Vendor::Proxmox(Other, Test), true),
            (
                "http://download.proxmox.com/debian/pve trixie pve-no-subscripton",
                Vendor::Proxmox(Other, NoSubscription),
                true,
            ),
            (
                "http://download.proxmox.com/debian/devel trixie main",
                Vendor::Proxmox(Other, NoSubscription),
                true,
            ),
        ]);
    }

    #[test]
    fn a_mirror_of_proxmox_is_told_by_its_component() {
        check(&[
            (
                "file:/mnt/pom/pve trixie pve-enterprise",
                Vendor::Proxmox(Product::Pve, Channel::Enterprise),
                false,
            ),
            (
                "http://m.example.com/ceph-squid trixie no-subscription",
                Vendor::Proxmox(Product::Ceph, Channel::NoSubscription),
                false,
            ),
            ("http://m.example.com/ceph-squid trixie main", Vendor::Other, false),
            ("http://m.example.com/x trixie enterprise", Vendor::Other, false),
            ("http://notproxmox.com/debian/pve trixie main", Vendor::Debian(Part::Main), false),
        ]);
    }

    #[test]
    fn the_base_of_a_suite_ends_at_the_first_dash_or_slash() {
        for (suite, base) in
            [("trixie", "trixie"), ("trixie-security", "trixie"), ("buster/updates", "buster"), ("./", ".")]
        {
            assert_eq!(base_suite(suite), base);
        }
    }
}
