//! Which host this is: operating system, packages, Proxmox VE release, names and keys.

use std::cell::OnceCell;

use sha2::{Digest, Sha256};

use super::{Doubt, Fact, Gather, Host, Stop};
use crate::formats::dpkg_status::{self, Status};
use crate::formats::os_release::{self, OsRelease};
use crate::formats::proc_version;
use crate::formats::release::Release;

/// Where dpkg keeps what is installed.
pub const DPKG_STATUS: &str = "/var/lib/dpkg/status";

/// dpkg's journal: what it does is noted here in numbered files, which it merges into the status file at its end.
const DPKG_UPDATES: &str = "/var/lib/dpkg/updates";

/// Code of a doubt about packages because dpkg did not come to its end.
pub const DPKG_INTERRUPTED: &str = "dpkg-interrupted";

/// The package database of a full desktop is about 8 MB; a node has half a megabyte.
const DPKG_STATUS_LIMIT: u64 = 64 * 1024 * 1024;

/// The package whose version is the version of Proxmox VE.
const PVE_MANAGER: &str = "pve-manager";

#[derive(Default)]
pub(super) struct Facts {
    os: OnceCell<Fact<OsRelease>>,
    packages: OnceCell<Fact<Status>>,
    kernel: OnceCell<Option<String>>,
    node_name: OnceCell<Option<String>>,
    uid: OnceCell<Option<String>>,
}

impl Host {
    /// `/etc/os-release`, or `/usr/lib/os-release` where that is missing (os-release(5)).
    pub fn os(&self) -> &Fact<OsRelease> {
        self.identity.os.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                for path in ["/etc/os-release", "/usr/lib/os-release"] {
                    if let Some(text) = gather.optional(path)? {
                        return Ok(gather.parsed(path, os_release::parse(&text)));
                    }
                }
                Err(Stop::unknown("/etc/os-release", "is missing"))
            })
        })
    }

    /// What dpkg has installed.
    pub fn packages(&self) -> &Fact<Status> {
        self.identity.packages.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let text = self.files.text_up_to(DPKG_STATUS, DPKG_STATUS_LIMIT)?;
                if text.trim().is_empty() {
                    return Err(Stop::unknown(DPKG_STATUS, "is empty"));
                }
                if !text.ends_with('\n') {
                    gather.doubt(Doubt::about(
                        DPKG_STATUS,
                        "may have been cut short: its last line has no end",
                    ));
                }
                let entries = gather.folder(DPKG_UPDATES);
                let is_number = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
                if let Some(entry) = entries.into_iter().find(|entry| is_number(&entry.name)) {
                    let what = "is of a dpkg that was interrupted, and what it did is not in the status file: run `dpkg --configure -a`";
                    let path = format!("{DPKG_UPDATES}/{}", entry.name);
                    gather.doubt(Doubt::about(&path, what).coded(DPKG_INTERRUPTED));
                }
                Ok(gather.parsed(DPKG_STATUS, dpkg_status::parse(&text)))
            })
        })
    }

    /// The version of an installed package; `None` where it is not installed.
    ///
    /// # Errors
    /// Where the package database cannot be read.
    pub fn package_version(&self, name: &str) -> Result<Option<&str>, Stop> {
        let packages = self.packages().value.as_ref().map_err(Clone::clone)?;
        Ok(packages.present(name).and_then(|package| package.present_version()))
    }

    /// The version of Proxmox VE (of the package pve-manager).
    pub fn pve_version(&self) -> Option<String> {
        self.package_version(PVE_MANAGER).ok().flatten().map(str::to_owned)
    }

    /// Whether this is a Proxmox VE node: pve-manager is installed, or the cluster file system has content.
    /// `None` where neither could be read.
    pub fn is_proxmox(&self) -> Option<bool> {
        if self.pve_version().is_some() {
            return Some(true);
        }
        match &self.cluster_files().value {
            Ok(()) => Some(true),
            Err(Stop::NotApplicable(_)) => Some(false),
            Err(Stop::Unknown(_)) => None,
        }
    }

    /// The release of Proxmox VE: of `--assume-pve`, else of the package pve-manager.
    ///
    /// # Errors
    /// Not applicable where this is no Proxmox VE node; unknown where the release cannot be told.
    pub fn release(&self) -> Result<Release, Stop> {
        self.release.get_or_init(|| self.find_release()).clone()
    }

    fn find_release(&self) -> Result<Release, Stop> {
        if let Some(release) = self.assumed {
            return Ok(release);
        }
        if let Some(version) = self.pve_version() {
            let major = version.split('.').next().and_then(|major| major.parse().ok());
            return major.and_then(Release::from_major).ok_or_else(|| {
                Stop::unknown(DPKG_STATUS, format!("names Proxmox VE {version}; only 7, 8 and 9 are known"))
            });
        }
        self.cluster_files().value.clone()?;
        Err(Stop::unknown(DPKG_STATUS, "does not tell the release of Proxmox VE; use --assume-pve"))
    }

    /// The release whose file formats are used to read: where it cannot be told, those of the newest. What depends
    /// on the release must ask [`Host::release`].
    pub fn format_release(&self) -> Release {
        self.release().unwrap_or(Release::Pve9)
    }

    /// As [`Host::format_release`], for a file whose meaning differs between the releases: not to know the release is a
    /// doubt about what was read.
    pub(super) fn release_to_read(&self, gather: &mut Gather<'_>) -> Release {
        if let Err(Stop::Unknown(doubt)) = self.release() {
            gather.doubt(doubt);
        }
        self.format_release()
    }

    /// The release of the running kernel; `None` in a tree without `/proc`.
    pub fn running_kernel(&self) -> Option<String> {
        self.identity.kernel.get_or_init(|| self.find_running_kernel()).clone()
    }

    fn find_running_kernel(&self) -> Option<String> {
        if let Some(live) = &self.live {
            return Some(live.kernel_release.clone());
        }
        if let Ok(text) = self.files.text("/proc/sys/kernel/osrelease") {
            return Some(text.trim().to_owned()).filter(|release| !release.is_empty());
        }
        let text = self.files.text("/proc/version").ok()?;
        proc_version::parse(&text).value.release
    }

    /// The Debian version of the running kernel's package, as `/proc/version` or the kernel release tells it.
    pub fn running_kernel_version(&self) -> Option<String> {
        let told = self
            .files
            .text("/proc/version")
            .ok()
            .and_then(|text| proc_version::parse(&text).value.package_version);
        told.or_else(|| proc_version::package_version_of(&self.running_kernel()?))
    }

    /// The node name: of the cluster file system, of its `local` link, of the running kernel, of `/etc/hostname`.
    pub fn node_name(&self) -> Option<String> {
        self.identity.node_name.get_or_init(|| self.find_node_name()).clone()
    }

    fn find_node_name(&self) -> Option<String> {
        let members = self.members().value.as_ref().ok().and_then(|members| members.nodename.clone());
        let linked = || {
            let target = self.files.link("/etc/pve/local").ok()?;
            target.strip_prefix("nodes/").map(str::to_owned)
        };
        let running = || self.live.as_ref().map(|live| live.nodename.clone());
        let written = || self.files.text("/etc/hostname").ok().map(|text| text.trim().to_owned());
        let name = members.or_else(linked).or_else(running).or_else(written)?;
        // Proxmox VE uses the part before the first dot (PVE::INotify::nodename).
        name.split('.').next().filter(|short| !short.is_empty()).map(str::to_owned)
    }

    /// Identity of the host: a keyed hash of its machine id, which machine-id(5) wants kept confidential.
    pub fn uid(&self) -> Option<String> {
        self.identity.uid.get_or_init(|| self.find_uid()).clone()
    }

    fn find_uid(&self) -> Option<String> {
        let text = self.files.text("/etc/machine-id").ok()?;
        let id = text.trim();
        if id.len() != 32 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let digest = Sha256::digest(format!("pve-audit host|{id}"));
        Some(digest.iter().take(16).fold(String::new(), |hex, byte| format!("{hex}{byte:02x}")))
    }
}
