//! The Debian system underneath: kernel parameters, command line, modules, mounts, units.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use super::{Fact, Gather, Host, Stop};
use crate::files::Kind;
use crate::formats::fstab;
use crate::formats::kernel_cmdline::{self, Argument};
use crate::formats::modprobe_conf;
use crate::formats::mountinfo::{self, MountTable};
use crate::formats::proc_modules;

/// Where modprobe looks, the first folder winning for files of one name (modprobe.d(5)).
const MODPROBE_FOLDERS: [&str; 4] =
    ["/etc/modprobe.d", "/run/modprobe.d", "/usr/local/lib/modprobe.d", "/lib/modprobe.d"];

/// The mount table of the init process: inside a sandboxed unit the auditor's own table shows everything read-only.
const MOUNT_TABLES: [&str; 2] = ["/proc/1/mountinfo", "/proc/self/mountinfo"];

/// Where an administrator's enablement of units lies (systemd.unit(5)).
const UNIT_FOLDER: &str = "/etc/systemd/system";

#[derive(Default)]
pub(super) struct Facts {
    cmdline: OnceCell<Fact<CommandLine>>,
    modprobe: OnceCell<Fact<Modprobe>>,
    loaded: OnceCell<Fact<Option<BTreeSet<String>>>>,
    mounts: OnceCell<Fact<Option<MountTable>>>,
    fstab: OnceCell<Fact<Vec<fstab::Entry>>>,
    units: OnceCell<Fact<Units>>,
}

/// The kernel command line.
#[derive(Debug, Clone, Default)]
pub struct CommandLine {
    /// Its arguments, in order.
    pub arguments: Vec<(&'static str, Argument)>,
    /// Whether it is that of the running kernel; else it is only what is configured for the next boot.
    pub running: bool,
}

/// What modprobe is told about modules.
#[derive(Debug, Clone, Default)]
pub struct Modprobe {
    /// `install` lines, in the order in which modprobe reads them, with their file.
    pub installs: Vec<(String, modprobe_conf::Entry)>,
}

impl Modprobe {
    /// The line that keeps the module from being loaded. kmod uses the first `install` line of a module.
    pub fn blocker(&self, module: &str) -> Option<(&str, u32)> {
        let (path, entry) = self.installs.iter().find(|(_, entry)| entry.is_for(module))?;
        entry.blocks().then_some((path.as_str(), entry.line))
    }
}

/// Which units start at boot, by the links of `systemctl enable` and `systemctl mask`.
#[derive(Debug, Clone, Default)]
pub struct Units {
    /// Enabled units with the link that enables them.
    pub enabled: BTreeMap<String, String>,
    /// Masked units.
    pub masked: BTreeSet<String>,
}

impl Host {
    /// A parameter of the running kernel, by its name with dots. A kernel without it is not applicable; a tree
    /// without `/proc/sys` is unknown, for files only say what was wanted.
    pub fn sysctl(&self, key: &str) -> Fact<(String, String)> {
        Fact::gather(&self.files, |_| {
            let path = format!("/proc/sys/{}", key.replace('.', "/"));
            match self.files.text(&path) {
                Ok(text) => Ok((path, text.split_whitespace().collect::<Vec<_>>().join(" "))),
                Err(trouble) if trouble.is_missing() && self.files.stat("/proc/sys/kernel").is_ok() => {
                    Err(Stop::not_applicable(format!("this kernel has no {key}")))
                }
                Err(trouble) if trouble.is_missing() => Err(Stop::unknown(
                    &path,
                    "is missing: the value of the running kernel is needed; run on the live host",
                )),
                Err(trouble) => Err(trouble.into()),
            }
        })
    }

    /// The command line of the running kernel, or of a tree what its boot loader is told.
    pub fn command_line(&self) -> &Fact<CommandLine> {
        self.system.cmdline.get_or_init(|| Fact::gather(&self.files, read_command_line))
    }

    /// Everything modprobe reads. A folder that is missing says nothing.
    pub fn modprobe(&self) -> &Fact<Modprobe> {
        self.system.modprobe.get_or_init(|| Fact::gather(&self.files, |gather| Ok(read_modprobe(gather))))
    }

    /// The loaded modules, with `_` for `-`; `None` in a tree without `/proc/modules`.
    pub fn loaded_modules(&self) -> &Fact<Option<BTreeSet<String>>> {
        self.system.loaded.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let path = "/proc/modules";
                let Some(text) = gather.optional(path)? else { return Ok(None) };
                let modules = gather.parsed(path, proc_modules::parse(&text));
                Ok(Some(modules.into_iter().map(|module| module.name.replace('-', "_")).collect()))
            })
        })
    }

    /// The mounts of the running host; `None` in a tree without `/proc`.
    pub fn mounts(&self) -> &Fact<Option<MountTable>> {
        self.system.mounts.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                for path in MOUNT_TABLES {
                    if let Some(text) = gather.optional(path)? {
                        return Ok(Some(gather.parsed(path, mountinfo::parse(&text))));
                    }
                }
                Ok(None)
            })
        })
    }

    /// `/etc/fstab`; a missing one mounts nothing.
    pub fn fstab(&self) -> &Fact<Vec<fstab::Entry>> {
        self.system.fstab.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let path = "/etc/fstab";
                let Some(text) = gather.optional(path)? else { return Ok(Vec::new()) };
                Ok(gather.parsed(path, fstab::parse(&text)))
            })
        })
    }

    /// The units that start at boot. Links are the truth: presets only count at the first boot.
    pub fn units(&self) -> &Fact<Units> {
        self.system.units.get_or_init(|| Fact::gather(&self.files, |gather| Ok(read_units(gather))))
    }
}

fn read_command_line(gather: &mut Gather<'_>) -> Result<CommandLine, Stop> {
    if let Some(text) = gather.optional("/proc/cmdline")? {
        let parsed = gather.parsed("/proc/cmdline", kernel_cmdline::parse(&text));
        let arguments = parsed.arguments.into_iter().map(|argument| ("/proc/cmdline", argument)).collect();
        return Ok(CommandLine { arguments, running: true });
    }
    let mut line = CommandLine::default();
    if let Some(text) = gather.part("/etc/kernel/cmdline") {
        let parsed = gather.parsed("/etc/kernel/cmdline", kernel_cmdline::parse(&text));
        line.arguments.extend(parsed.arguments.into_iter().map(|argument| ("/etc/kernel/cmdline", argument)));
    }
    if let Some(text) = gather.part("/etc/default/grub") {
        line.arguments
            .extend(grub_arguments(&text).into_iter().map(|argument| ("/etc/default/grub", argument)));
    }
    Ok(line)
}

/// The arguments in `GRUB_CMDLINE_LINUX` and `GRUB_CMDLINE_LINUX_DEFAULT`. The file is shell, so this is an
/// observation, never a complete reading.
fn grub_arguments(text: &str) -> Vec<Argument> {
    let mut arguments = Vec::new();
    for (number, line) in crate::formats::numbered(text) {
        let Some((key, value)) = line.trim().split_once('=') else { continue };
        if matches!(key, "GRUB_CMDLINE_LINUX" | "GRUB_CMDLINE_LINUX_DEFAULT") {
            let value = value.trim().trim_matches(['"', '\'']);
            let found = kernel_cmdline::parse(value).value.arguments;
            arguments.extend(found.into_iter().map(|argument| Argument { line: number, ..argument }));
        }
    }
    arguments
}

/// Files of all folders sorted by name, the first folder winning for files of one name (modprobe.d(5)).
fn read_modprobe(gather: &mut Gather<'_>) -> Modprobe {
    let mut files: BTreeMap<String, String> = BTreeMap::new();
    for folder in MODPROBE_FOLDERS {
        for entry in gather.folder(folder) {
            let path = format!("{folder}/{}", entry.name);
            if entry.kind != Kind::Folder && has_end(&entry.name, "conf") {
                files.entry(entry.name).or_insert(path);
            }
        }
    }
    let mut modprobe = Modprobe::default();
    for path in files.into_values() {
        let Some(text) = gather.part(&path) else { continue };
        let conf = gather.parsed(&path, modprobe_conf::parse(&text));
        modprobe.installs.extend(conf.installs.into_iter().map(|entry| (path.clone(), entry)));
    }
    modprobe
}

/// Whether the name ends with `.end`, exactly: file systems of Linux know no other case.
fn has_end(name: &str, end: &str) -> bool {
    name.rsplit_once('.').is_some_and(|(stem, last)| !stem.is_empty() && last == end)
}

fn read_units(gather: &mut Gather<'_>) -> Units {
    let mut units = Units::default();
    for entry in gather.folder(UNIT_FOLDER) {
        let path = format!("{UNIT_FOLDER}/{}", entry.name);
        let wants = has_end(&entry.name, "wants") || has_end(&entry.name, "requires");
        if wants {
            for unit in gather.folder(&path) {
                units.enabled.entry(unit.name.clone()).or_insert_with(|| format!("{path}/{}", unit.name));
            }
        } else if entry.kind == Kind::Link {
            match gather.files().link(&path) {
                Ok(target) if target == "/dev/null" => {
                    units.masked.insert(entry.name);
                }
                // Any other link is an alias: the unit it names starts under this name too.
                Ok(target) => {
                    let real = target.rsplit('/').next().unwrap_or_default().to_owned();
                    units.enabled.entry(real).or_insert_with(|| path.clone());
                    units.enabled.entry(entry.name).or_insert(path);
                }
                Err(trouble) => gather.doubt(trouble),
            }
        }
    }
    for masked in &units.masked {
        units.enabled.remove(masked);
    }
    units
}
