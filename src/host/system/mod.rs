//! The Debian system underneath: kernel, modules, mounts, units, journal.

pub mod boot;
pub mod cpu;
pub mod journal;
pub mod modules;
pub mod mounts;
pub mod units;

use std::cell::OnceCell;
use std::collections::BTreeSet;

use super::{Fact, Host, Stop};
use crate::formats::fstab;
use crate::formats::sysctl_conf;

use boot::CommandLine;
use cpu::Vulnerability;
use journal::Journal;
use modules::{KernelModules, Modprobe};
use mounts::Mounts;
use units::Units;

#[derive(Default)]
pub(super) struct Facts {
    cmdline: OnceCell<Fact<CommandLine>>,
    modprobe: OnceCell<Fact<Modprobe>>,
    loaded: OnceCell<Fact<Option<BTreeSet<String>>>>,
    kernel_modules: OnceCell<Fact<KernelModules>>,
    mounts: OnceCell<Fact<Option<Mounts>>>,
    fstab: OnceCell<Fact<Vec<fstab::Entry>>>,
    units: OnceCell<Fact<Units>>,
    journal: OnceCell<Fact<Journal>>,
    vulnerabilities: OnceCell<Fact<Vec<Vulnerability>>>,
}

impl Host {
    /// A parameter of the running kernel as its path and value, by its name in the writing of sysctl(8). A kernel
    /// without it is not applicable; a tree without `/proc/sys` is unknown, for files only say what was wanted.
    pub fn sysctl(&self, key: &str) -> Fact<(String, String)> {
        Fact::gather(&self.files, |gather| {
            let path = format!("/proc/sys/{}", sysctl_conf::normalize(key));
            let Some(text) = gather.optional(&path)? else {
                self.files.stat("/proc/sys/kernel").map_err(|_| {
                    Stop::unknown(
                        &path,
                        "is missing: the value of the running kernel is needed; run on the live host",
                    )
                })?;
                return Err(Stop::not_applicable(format!("this kernel has no {key}")));
            };
            if text.trim().is_empty() {
                return Err(Stop::unknown(&path, "is empty"));
            }
            Ok((path, text.split_whitespace().collect::<Vec<_>>().join(" ")))
        })
    }

    /// A parameter of a loaded or built-in module, such as `enabled` of `apparmor`; `None` where there is none: the
    /// module is not there, or this is a tree.
    pub fn module_parameter(&self, module: &str, name: &str) -> Fact<Option<(String, String)>> {
        Fact::gather(&self.files, |gather| {
            let path = format!("/sys/module/{module}/parameters/{name}");
            let text = gather.optional(&path)?;
            Ok(text.map(|text| (path, text.trim().to_owned())))
        })
    }

    /// The command line of the running kernel, or of a tree what its boot loader is told.
    pub fn command_line(&self) -> &Fact<CommandLine> {
        self.system.cmdline.get_or_init(|| Fact::gather(&self.files, boot::read))
    }

    /// The weaknesses of the processor as the running kernel tells them. A tree is unknown.
    pub fn cpu_vulnerabilities(&self) -> &Fact<Vec<Vulnerability>> {
        self.system.vulnerabilities.get_or_init(|| Fact::gather(&self.files, cpu::read))
    }

    /// Everything modprobe reads. One of its folders is on every host: without any, nothing was read.
    pub fn modprobe(&self) -> &Fact<Modprobe> {
        self.system.modprobe.get_or_init(|| Fact::gather(&self.files, modules::modprobe))
    }

    /// The loaded modules, with `_` for `-`; `None` in a tree without `/proc/modules`.
    pub fn loaded_modules(&self) -> &Fact<Option<BTreeSet<String>>> {
        self.system.loaded.get_or_init(|| Fact::gather(&self.files, modules::loaded))
    }

    /// The modules that come with the running kernel. Unknown in a tree, where none runs.
    pub fn kernel_modules(&self) -> &Fact<KernelModules> {
        self.system.kernel_modules.get_or_init(|| {
            Fact::gather(&self.files, |gather| modules::of_kernel(gather, self.running_kernel().as_deref()))
        })
    }

    /// The mounts of the running host; `None` in a tree without `/proc`.
    pub fn mounts(&self) -> &Fact<Option<Mounts>> {
        self.system.mounts.get_or_init(|| Fact::gather(&self.files, mounts::read))
    }

    /// `/etc/fstab`; a missing one mounts nothing.
    pub fn fstab(&self) -> &Fact<Vec<fstab::Entry>> {
        self.system.fstab.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let Some(text) = gather.optional(mounts::FSTAB)? else { return Ok(Vec::new()) };
                Ok(gather.parsed(mounts::FSTAB, fstab::parse(&text)))
            })
        })
    }

    /// The units that start at boot. Links are the truth: presets only count at the first boot. A host without
    /// `/etc/systemd/system` is unknown, for there is none.
    pub fn units(&self) -> &Fact<Units> {
        self.system.units.get_or_init(|| Fact::gather(&self.files, units::read))
    }

    /// What journald is told.
    pub fn journal(&self) -> &Fact<Journal> {
        self.system.journal.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let journal = journal::read(gather)?;
                if journal.files.is_empty() {
                    self.defaults_hold(gather, journal::JOURNALD_CONF);
                }
                Ok(journal)
            })
        })
    }
}

/// Whether the name ends with `.end`, exactly: file systems of Linux know no other case.
pub(super) fn has_end(name: &str, end: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(stem, last)| !stem.is_empty() && last == end)
}

#[cfg(test)]
mod tests {
    use crate::files::{Files, Node, Tree, TroubleKind};
    use crate::host::{Host, Stop};

    fn host(files: &[(&str, Node)]) -> Host {
        let mut tree = Tree::default();
        for (path, node) in files {
            tree.insert(path, node.clone());
        }
        Host::new(Files::memory(tree), None, None)
    }

    #[test]
    fn a_kernel_parameter_is_found_in_both_writings_of_its_name() {
        let host = host(&[("/proc/sys/net/ipv4/conf/eth0.10/rp_filter", Node::file("1\n"))]);
        for key in ["net/ipv4/conf/eth0.10/rp_filter", "net.ipv4.conf.eth0/10.rp_filter"] {
            assert_eq!(host.sysctl(key).value.map(|(_, value)| value), Ok("1".to_owned()), "{key}");
        }
    }

    #[test]
    fn several_values_of_a_kernel_parameter_are_told_apart_by_one_blank() {
        let host = host(&[("/proc/sys/net/ipv4/ip_local_port_range", Node::file("32768\t60999\n"))]);
        let value = host.sysctl("net.ipv4.ip_local_port_range").value.map(|(_, value)| value);
        assert_eq!(value, Ok("32768 60999".to_owned()));
    }

    #[test]
    fn a_missing_parameter_is_not_applicable_where_the_kernel_shows_others() {
        let running = host(&[("/proc/sys/kernel/osrelease", Node::file("6.17.2-1-pve\n"))]);
        assert!(matches!(running.sysctl("net.ipv6.x").value, Err(Stop::NotApplicable(_))));
        assert!(matches!(host(&[]).sysctl("net.ipv6.x").value, Err(Stop::Unknown(_))));
    }

    #[test]
    fn an_empty_cut_or_unreadable_parameter_never_counts_as_read() {
        let path = "/proc/sys/kernel/kptr_restrict";
        assert!(matches!(
            host(&[(path, Node::file(""))]).sysctl("kernel.kptr_restrict").value,
            Err(Stop::Unknown(_))
        ));
        assert_eq!(host(&[(path, Node::file("1"))]).sysctl("kernel.kptr_restrict").doubts.len(), 1);
        let denied = Node::file("1\n").failing(TroubleKind::Denied);
        assert!(matches!(
            host(&[(path, denied)]).sysctl("kernel.kptr_restrict").value,
            Err(Stop::Unknown(_))
        ));
    }
}
