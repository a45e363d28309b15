//! The grammar of a check file, shared by the build script (built-in checks) and the test harness (cases).
//!
//! Unknown keys and wrong types are errors with file and line: a misspelt key must never weaken a check.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What an attacker gains, from context to full control.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Context, never counted against the host.
    Info,
    /// Hardening.
    Low,
    /// A barrier is weakened; a second flaw is needed.
    Medium,
    /// One realistic step from critical, an exposed secret, or unrecoverable loss.
    High,
    /// Unauthenticated, guest-to-host or tenant-to-Administrator now.
    Critical,
}

/// The nine security areas; every check belongs to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Area {
    /// Isolation of guests from the host and from each other.
    Isolation,
    /// Access control and authentication.
    Access,
    /// Network security.
    Network,
    /// Encryption and data protection.
    Encryption,
    /// Patch management.
    Patching,
    /// Monitoring and logging.
    Monitoring,
    /// Backup and disaster recovery.
    Backup,
    /// Compliance and auditing.
    Compliance,
    /// Support and advisories.
    Support,
}

/// Whose property is judged: decides what a fingerprint is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// The cluster's shared configuration: the same finding on every node.
    Cluster,
    /// One node.
    Node,
    /// One guest, wherever it runs.
    Guest,
}

/// How far a site wants to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Every node should pass.
    Baseline,
    /// On top of baseline, for high demands.
    Strict,
}

/// One check file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckFile {
    /// Names the bad thing, at most 100 characters.
    pub title: String,
    /// Default severity of a finding.
    pub severity: Severity,
    /// The area it counts in.
    pub area: Area,
    /// Whose property is judged.
    pub scope: Scope,
    /// The profiles it belongs to.
    pub profiles: Vec<Profile>,
    /// Why an attacker cares.
    pub rationale: String,
    /// What to do, and what it could break. An advisory has one of its kind if it says nothing.
    #[serde(default)]
    pub remediation: String,
    /// When this is fine. An advisory has one of its kind if it says nothing.
    #[serde(default)]
    pub exceptions: String,
    /// Links for further reading.
    #[serde(default)]
    pub references: Vec<String>,
    /// Control numbers by framework.
    #[serde(default)]
    pub mappings: BTreeMap<String, Vec<String>>,
    /// What a site can set.
    #[serde(default)]
    pub parameters: BTreeMap<String, ParameterFile>,
    /// Where it applies.
    #[serde(default)]
    pub when: WhenFile,
    /// What must hold, if no code is needed.
    pub assert: Option<AssertFile>,
    /// Examples, executed by the tests and printed in the documentation.
    #[serde(default)]
    pub case: Vec<CaseFile>,
}

/// A value a site can set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterFile {
    /// The default; its type is the parameter's type.
    pub default: ValueFile,
    /// What it means, with its unit.
    pub about: String,
    /// Smallest number.
    pub min: Option<i64>,
    /// Largest number.
    pub max: Option<i64>,
}

/// The value of a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum ValueFile {
    /// A switch.
    Flag(bool),
    /// A number.
    Number(i64),
    /// A word or a sentence.
    Text(String),
    /// A list of words.
    List(Vec<String>),
}

/// Where a check applies; not met is not-applicable.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhenFile {
    /// Proxmox VE releases, such as `>=8`, `<9` or `=7`.
    pub pve: Option<String>,
}

/// What must hold, for checks that need no code.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AssertFile {
    /// A kernel parameter of the running kernel.
    Sysctl(SysctlFile),
    /// Existence, mode and owner of a file.
    File(FileFile),
    /// An effective sshd setting.
    Sshd(SshdFile),
    /// An installed Debian package.
    Package(PackageFile),
    /// The enablement of a systemd unit.
    Unit(UnitFile),
    /// The options of a mount.
    Mount(MountFile),
    /// An argument of the kernel command line.
    KernelArgument(KernelArgumentFile),
    /// A kernel module that must not be loadable.
    Module(ModuleFile),
    /// A key in a file of `key separator value` lines.
    Option(OptionFile),
    /// A published flaw and the packages with the fix.
    Advisory(AdvisoryFile),
}

/// What a value must be. Every given part must hold.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectFile {
    /// One of these words; a single `$name` stands for the parameter of that name.
    pub one_of: Option<Vec<String>>,
    /// None of these words; a single `$name` stands for the parameter of that name.
    pub none_of: Option<Vec<String>>,
    /// A number not below this.
    pub at_least: Option<i64>,
    /// A number not above this.
    pub at_most: Option<i64>,
}

/// `kind = "sysctl"`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SysctlFile {
    /// The key with dots, such as `kernel.kptr_restrict`.
    pub key: String,
    /// What its value must be.
    pub expect: ExpectFile,
}

/// `kind = "file"`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileFile {
    /// Absolute path.
    pub path: String,
    /// Permission bits that may be set, in octal, such as `0640`.
    pub mode_at_most: Option<String>,
    /// The owning user id.
    pub uid: Option<u32>,
    /// The owning group ids that are fine.
    pub gid: Option<Vec<u32>>,
    /// What a missing file means: `pass`, `fail`, `not_applicable`, or `unknown` where every host has it.
    pub missing: MissingFile,
}

/// What it means that a file is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingFile {
    /// As it should be.
    Pass,
    /// The bad thing.
    Fail,
    /// The feature is not there.
    NotApplicable,
    /// Every host has it: it was lost or left out.
    Unknown,
}

/// `kind = "sshd"`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshdFile {
    /// The keyword, in any case.
    pub keyword: String,
    /// What each of its values must be, in the words of `sshd -T`.
    pub expect: ExpectFile,
}

/// `kind = "package"`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageFile {
    /// One of these must be (or none of these may be) installed.
    pub any_of: Vec<String>,
    /// Whether it must be installed (true) or absent (false).
    pub installed: bool,
    /// The unit of each package in the same order: one of those installed must start at boot as well.
    #[serde(default)]
    pub units: Vec<String>,
}

/// `kind = "unit"`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnitFile {
    /// The unit, with its suffix.
    pub name: String,
    /// Units that start it as well, such as its socket: none of them may start at boot, or one of all must.
    #[serde(default)]
    pub also: Vec<String>,
    /// The package it comes from: not installed is not-applicable.
    pub package: String,
    /// Whether it must be started at boot (true) or must not (false).
    pub enabled: bool,
}

/// `kind = "mount"`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MountFile {
    /// The mount point.
    pub path: String,
    /// Options that must be set.
    pub options: Vec<String>,
}

/// `kind = "kernel_argument"`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KernelArgumentFile {
    /// The argument, without `=`.
    pub name: String,
    /// Values that are bad, the last use counting; an empty list means that any use of it is.
    pub bad_values: Vec<String>,
    /// Values that are fine; if given, any other that is not bad either is unknown.
    #[serde(default)]
    pub good_values: Vec<String>,
}

/// `kind = "module"`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModuleFile {
    /// The modules that must be neither loaded nor loadable.
    pub names: Vec<String>,
}

/// `kind = "option"`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptionFile {
    /// Absolute path.
    pub path: String,
    /// The key.
    pub key: String,
    /// What stands between key and value; a blank stands for any blanks and tabs.
    pub separator: char,
    /// What upstream uses when the key or the file is missing.
    pub default: String,
    /// Further keys of the same meaning, with their defaults.
    #[serde(default)]
    pub also: BTreeMap<String, String>,
    /// The package that reads the file: not installed is not-applicable.
    #[serde(default)]
    pub package: String,
    /// What its value must be.
    pub expect: ExpectFile,
}

/// `kind = "advisory"`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdvisoryFile {
    /// The number Proxmox gave it, such as `PSA-2026-00042-1`; a name of its own if that is not known.
    pub id: String,
    /// The day it was published, `YYYY-MM-DD`.
    pub published: String,
    /// CVE numbers.
    #[serde(default)]
    pub cve: Vec<String>,
    /// What is known of its use by attackers, such as `exploited in the wild`.
    #[serde(default)]
    pub exploited: String,
    /// The first version with the fix, by package and release.
    pub fixed: Vec<FixedFile>,
    /// Series of the kernel that never got the fix, such as `6.14`.
    #[serde(default)]
    pub series_without_fix: Vec<String>,
    /// Whether only guests that may run guests themselves can use it.
    #[serde(default)]
    pub needs_nested: bool,
    /// Kernel modules all of which it takes: it is closed where one of them cannot be loaded.
    #[serde(default)]
    pub needs_modules: Vec<String>,
    /// Words that a file has with a stop-gap in place.
    pub stop_gap: Option<StopGapFile>,
}

/// The first version of a package with a fix.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FixedFile {
    /// The package; `proxmox-kernel-<series>` stands for the running kernel of that series.
    pub package: String,
    /// The release of Proxmox VE.
    pub pve: u8,
    /// The first version with the fix.
    pub version: String,
    /// The first version with the flaw; every older one if it is not given.
    pub since: Option<String>,
}

/// How a stop-gap is recognised.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopGapFile {
    /// Absolute path of a text file.
    pub path: String,
    /// The words.
    pub contains: String,
    /// How often they stand there then.
    pub times: usize,
}

/// What to do about a flaw of a package.
const UPDATE: &str = "\
Update the node and let the services take the new code:
  apt update && apt dist-upgrade
  systemctl reload-or-restart pvedaemon pveproxy
Guests keep running. A virtual machine uses a new pve-qemu-kvm from its next start or migration to an updated node on.";

/// What to do about a flaw of the kernel.
const REBOOT: &str = "\
Install the newest kernel of the release and start it; until the reboot the old one runs:
  apt update && apt dist-upgrade
  proxmox-boot-tool kernel list
Migrate or shut down the guests of the node first, one node after the other, so that the cluster keeps its quorum, then
  reboot
A pinned kernel stays in use: proxmox-boot-tool kernel unpin. A series that gets no builds any more must be left:
install proxmox-default-kernel.";

impl CheckFile {
    /// Gives an advisory the words that all of its kind share where it has none of its own.
    pub fn fill_in(&mut self) {
        let Some(AssertFile::Advisory(advisory)) = &self.assert else { return };
        if self.remediation.is_empty() {
            let of_kernel = advisory.fixed.iter().any(|fixed| is_kernel(&fixed.package));
            if of_kernel { REBOOT } else { UPDATE }.clone_into(&mut self.remediation);
        }
        if self.exceptions.is_empty() {
            "None: what nobody can reach today somebody can tomorrow.".clone_into(&mut self.exceptions);
        }
    }

    /// What is wrong with the texts.
    ///
    /// # Errors
    /// The first thing that is, in one sentence.
    pub fn proofread(&self) -> Result<(), String> {
        let parts = [
            ("title", &self.title),
            ("rationale", &self.rationale),
            ("remediation", &self.remediation),
            ("exceptions", &self.exceptions),
        ];
        for (name, text) in parts {
            if text.trim().is_empty() {
                return Err(format!("`{name}` is empty"));
            }
            if text.chars().any(|c| c.is_control() && c != '\n') {
                return Err(format!("`{name}` has a control character"));
            }
        }
        if self.title.contains('\n') {
            return Err("`title` is one line".to_owned());
        }
        if self.title.chars().count() > 100 || self.title.trim_end().ends_with('.') {
            return Err("`title` is at most 100 characters and has no full stop".to_owned());
        }
        if self.profiles.is_empty() {
            return Err("`profiles` is empty".to_owned());
        }
        match &self.assert {
            Some(AssertFile::Advisory(advisory)) => advisory.proofread(),
            _ => Ok(()),
        }
    }
}

impl AdvisoryFile {
    fn proofread(&self) -> Result<(), String> {
        let digits = |part: Option<&str>, length| {
            part.is_some_and(|part| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let mut day = self.published.split('-');
        if !(digits(day.next(), 4) && digits(day.next(), 2) && digits(day.next(), 2) && day.next().is_none())
        {
            return Err("`published` is a day, such as 2026-08-17".to_owned());
        }
        if self.id.is_empty() || self.fixed.is_empty() {
            return Err("an advisory has an `id` and at least one `fixed`".to_owned());
        }
        let words = [&self.id, &self.exploited].into_iter().chain(&self.cve).chain(&self.series_without_fix);
        let modules =
            self.needs_modules.iter().chain(self.stop_gap.iter().flat_map(|gap| [&gap.path, &gap.contains]));
        let versions = self.fixed.iter().flat_map(|fixed| {
            [Some(&fixed.package), Some(&fixed.version), fixed.since.as_ref()].into_iter().flatten()
        });
        if words.chain(modules).chain(versions).any(|text| text.chars().any(char::is_control)) {
            return Err("`assert` has a control character".to_owned());
        }
        for fixed in &self.fixed {
            if !(7..=9).contains(&fixed.pve) {
                return Err(format!("`pve` is {}; write 7, 8 or 9", fixed.pve));
            }
            let starts_with_digit = |version: &str| version.starts_with(|first: char| first.is_ascii_digit());
            if !starts_with_digit(&fixed.version)
                || fixed.since.as_deref().is_some_and(|since| !starts_with_digit(since))
            {
                return Err(format!("a version of {} starts with no digit", fixed.package));
            }
        }
        Ok(())
    }
}

/// Whether a package is a series of the kernel.
pub fn is_kernel(package: &str) -> bool {
    kernel_series(package).is_some()
}

/// The series of the kernel that a package of this name follows.
pub fn kernel_series(package: &str) -> Option<&str> {
    let series = package.strip_prefix("proxmox-kernel-").or_else(|| package.strip_prefix("pve-kernel-"))?;
    series.starts_with(|first: char| first.is_ascii_digit()).then_some(series)
}

/// One example of a check.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CaseFile {
    /// A sentence.
    pub name: String,
    /// The verdict of the check, or of its subjects by their id.
    pub expect: ExpectedFile,
    /// The host it is laid over: `pve9` (default), `pve8`, `pve7`, `debian13` or `nothing`.
    #[serde(default)]
    pub host: Option<String>,
    /// The clock, RFC 3339.
    pub now: Option<String>,
    /// Parameters set by the site.
    #[serde(default)]
    pub parameters: BTreeMap<String, ValueFile>,
    /// Files by path.
    #[serde(default)]
    pub files: BTreeMap<String, FileCase>,
}

/// What a case expects.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum ExpectedFile {
    /// Of the whole check.
    Check(String),
    /// Of subjects, by id.
    Subjects(BTreeMap<String, String>),
}

/// A file of a case: its text, or a table.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum FileCase {
    /// A regular file, 0644 root:root.
    Text(String),
    /// Anything else.
    Node(NodeCase),
}

/// A file of a case with more than a text.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeCase {
    /// Its text.
    pub text: Option<String>,
    /// Target, if it is a link.
    pub link: Option<String>,
    /// `folder`, `fifo` or `absent` (nothing there although the base host has it).
    pub kind: Option<String>,
    /// Octal mode.
    pub mode: Option<String>,
    /// Owning user id.
    pub uid: Option<u32>,
    /// Owning group id.
    pub gid: Option<u32>,
    /// How reading it ends: `denied`, `too_large`, `not_utf8`, `timed_out` or `io_error`.
    pub error: Option<String>,
}
