//! Which kernels are installed, which one runs, which one the boot loader is told to keep, and the processor.

use super::{Fact, Host, Stop};
use crate::formats::cpuinfo::{self, CpuInfo};
use crate::formats::debian_version::compare;
use crate::formats::dpkg_status::{Package, Status};
use crate::formats::proc_version::{self, ProcVersion};

/// Where `proxmox-boot-tool kernel pin` writes the kernel to boot until it is unpinned.
const BOOT_PIN: &str = "/etc/kernel/proxmox-boot-pin";

/// Where it writes the kernel to boot once.
const NEXT_BOOT_PIN: &str = "/etc/kernel/next-boot-pin";

/// Where it writes the pin on hosts that boot with GRUB from no ESP of its own.
const GRUB_PIN: &str = "/etc/default/grub.d/proxmox-kernel-pin.cfg";

const VERSION: &str = "/proc/version";

const CPUINFO: &str = "/proc/cpuinfo";

/// What stands before the release in the names of kernel packages: Proxmox VE 8 and later, earlier, Debian.
const PREFIXES: [&str; 3] = ["proxmox-kernel-", "pve-kernel-", "linux-image-"];

/// What may stand behind it.
const SUFFIXES: [&str; 2] = ["-signed", "-unsigned"];

/// The end of the releases of Proxmox's kernels.
const PROXMOX: &str = "-pve";

/// An installed kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel<'h> {
    /// Its release, as `uname -r` gives it.
    pub release: &'h str,
    /// The version of its package.
    pub version: &'h str,
    /// Line of the package in dpkg's status file.
    pub line: u32,
}

impl Kernel<'_> {
    /// Whether Proxmox built it.
    pub fn is_proxmox(&self) -> bool {
        is_proxmox_release(self.release)
    }
}

/// Whether Proxmox built the kernel of this release.
pub fn is_proxmox_release(release: &str) -> bool {
    release.ends_with(PROXMOX)
}

/// The kernels that are installed, oldest first.
pub fn installed(packages: &Status) -> Vec<Kernel<'_>> {
    let mut kernels: Vec<Kernel<'_>> = packages.all_present().filter_map(kernel).collect();
    kernels.sort_by(|a, b| compare(a.version, b.version));
    kernels
}

/// A package with an image. The packages that follow a series (`proxmox-kernel-6.8`, `linux-image-amd64`) and those
/// with debug symbols have none.
fn kernel(package: &Package) -> Option<Kernel<'_>> {
    let rest = PREFIXES.iter().find_map(|prefix| package.name.strip_prefix(prefix))?;
    let release = SUFFIXES.iter().find_map(|suffix| rest.strip_suffix(suffix)).unwrap_or(rest);
    let numbered = release.starts_with(|first: char| first.is_ascii_digit());
    let debian = package.name.starts_with("linux-image-") && release.contains('-');
    let image = is_proxmox_release(release) || (debian && !release.ends_with("-dbg"));
    let version = package.present_version().filter(|_| numbered && image)?;
    Some(Kernel { release, version, line: package.line })
}

/// The first release of a Proxmox kernel in a text, such as the name of an entry in GRUB's menu.
fn release_in(text: &str) -> Option<&str> {
    let words = text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '>' | '='));
    // GRUB's names have the release behind `gnulinux-` and before the id of the file system.
    let mut releases = words.filter_map(|word| {
        let start = word.char_indices().find(|(at, c)| {
            let before = at.checked_sub(1).and_then(|at| word.as_bytes().get(at));
            c.is_ascii_digit() && matches!(before, None | Some(b'-'))
        })?;
        let rest = word.get(start.0..)?;
        rest.get(..rest.find(PROXMOX)?.saturating_add(PROXMOX.len()))
    });
    releases.next()
}

impl Host {
    /// The kernel the boot loader is told to keep; `None` where it takes the newest, upstream's default.
    pub fn pinned_kernel(&self) -> Fact<Option<String>> {
        Fact::gather(&self.files, |gather| {
            let text = gather.optional(BOOT_PIN)?;
            Ok(text.map(|text| text.trim().to_owned()).filter(|release| !release.is_empty()))
        })
    }

    /// Every file that tells the boot loader which kernel to start, with the release it names; the name is empty where
    /// none is found in it.
    pub fn kernel_pins(&self) -> Fact<Vec<(&'static str, String)>> {
        Fact::gather(&self.files, |gather| {
            let mut pins = Vec::new();
            for path in [BOOT_PIN, NEXT_BOOT_PIN, GRUB_PIN] {
                let Some(text) = gather.optional(path)? else { continue };
                let text = text.lines().filter(|line| !line.trim_start().starts_with('#'));
                let text: String = text.flat_map(|line| [line, "\n"]).collect();
                if !text.trim().is_empty() {
                    pins.push((path, release_in(&text).unwrap_or_default().to_owned()));
                }
            }
            Ok(pins)
        })
    }

    /// What the running kernel says about its build; `None` in a tree without `/proc`.
    pub fn running_build(&self) -> Fact<Option<ProcVersion>> {
        Fact::gather(&self.files, |gather| {
            let Some(text) = gather.optional(VERSION)? else { return Ok(None) };
            Ok(Some(gather.parsed(VERSION, proc_version::parse(&text))))
        })
    }

    /// The processor of the running host.
    pub fn processor(&self) -> Fact<CpuInfo> {
        Fact::gather(&self.files, |gather| match gather.optional(CPUINFO)? {
            Some(text) => Ok(gather.parsed(CPUINFO, cpuinfo::parse(&text))),
            None => Err(Stop::unknown(CPUINFO, "is missing: run on the live host")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::dpkg_status::parse;

    #[test]
    fn the_release_is_found_in_what_grub_calls_a_kernel() {
        assert_eq!(release_in("6.8.12-18-pve\n"), Some("6.8.12-18-pve"));
        let grub = "GRUB_DEFAULT=\"gnulinux-advanced-1e2d>gnulinux-6.8.12-18-pve-advanced-1e2d\"\n";
        assert_eq!(release_in(grub), Some("6.8.12-18-pve"));
        assert_eq!(release_in("6.8.12-1"), None);
    }

    #[test]
    fn only_packages_with_an_image_are_kernels() {
        let names = [
            ("proxmox-kernel-6.8", "6.8.12-18"),
            ("proxmox-kernel-6.8.12-18-pve-signed", "6.8.12-18"),
            ("proxmox-kernel-6.14.11-9-bpo12-pve", "6.14.11-9~bpo12+1"),
            ("proxmox-kernel-6.8.12-18-pve-dbgsym", "6.8.12-18"),
            ("proxmox-kernel-helper", "9.0.4"),
            ("pve-kernel-5.15.102-1-pve", "5.15.102-1"),
            ("pve-kernel-5.15", "7.4-1"),
            ("linux-image-amd64", "6.12.48-1"),
            ("linux-image-6.12.48+deb13-amd64", "6.12.48-1"),
            ("linux-image-6.12.48+deb13-amd64-dbg", "6.12.48-1"),
        ];
        let text = names.iter().fold(String::new(), |text, (name, version)| {
            text + &format!("Package: {name}\nStatus: install ok installed\nVersion: {version}\n\n")
        });
        let packages = parse(&text).value;
        let releases: Vec<&str> = installed(&packages).into_iter().map(|kernel| kernel.release).collect();
        assert_eq!(
            releases,
            ["5.15.102-1-pve", "6.8.12-18-pve", "6.12.48+deb13-amd64", "6.14.11-9-bpo12-pve"]
        );
    }
}
