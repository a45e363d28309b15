//! What the running kernel says about the weaknesses of the processor.

use std::collections::BTreeSet;

use crate::files::Kind;
use crate::host::{Doubt, Gather, Stop};

/// One file per known weakness.
pub const VULNERABILITIES: &str = "/sys/devices/system/cpu/vulnerabilities";

/// The weaknesses every kernel of Proxmox VE 7 to 9 has a file for (the last one came with Linux 5.8), affected or
/// not: one that is not there was not read.
pub const ALWAYS_TOLD: [&str; 9] = [
    "itlb_multihit",
    "l1tf",
    "mds",
    "meltdown",
    "spec_store_bypass",
    "spectre_v1",
    "spectre_v2",
    "srbds",
    "tsx_async_abort",
];

/// One weakness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vulnerability {
    /// The kernel's name for it.
    pub name: String,
    /// What the kernel says, or why that could not be read.
    pub status: Result<String, Doubt>,
}

impl Vulnerability {
    /// The file of this weakness.
    pub fn path(&self) -> String {
        format!("{VULNERABILITIES}/{}", self.name)
    }
}

/// What a status line means. The texts are those of linux `arch/x86/kernel/cpu/bugs.c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// `Not affected`, or `Mitigation: …` without a part that says otherwise.
    Fine,
    /// `Mitigation: …` with a part that is `Vulnerable`, such as `BHI: Vulnerable`.
    Partly,
    /// `Vulnerable…`, `KVM: Vulnerable`, `Processor vulnerable`.
    Open,
    /// Anything else, such as `Unknown: …`.
    NotTold,
}

/// Reads a status line. `SMT vulnerable` is about threads of one core and told by [`leaks_between_threads`].
pub fn standing(status: &str) -> Standing {
    let opens = ["Vulnerable", "KVM: Vulnerable", "Processor vulnerable"];
    if opens.iter().any(|open| status.starts_with(open)) {
        return Standing::Open;
    }
    if status == "Not affected" {
        return Standing::Fine;
    }
    if !status.starts_with("Mitigation") && !status.starts_with("KVM: Mitigation") {
        return Standing::NotTold;
    }
    if status.contains("Vulnerable") { Standing::Partly } else { Standing::Fine }
}

/// Whether the status line says that threads of one core can read each other's data.
pub fn leaks_between_threads(status: &str) -> bool {
    status.contains("SMT vulnerable")
}

pub(super) fn read(gather: &mut Gather<'_>) -> Result<Vec<Vulnerability>, Stop> {
    let entries = match gather.files().list(VULNERABILITIES) {
        Ok(entries) => entries,
        Err(trouble) if trouble.is_missing() => {
            return Err(Stop::unknown(
                VULNERABILITIES,
                "is missing: only the running kernel knows its processor; run on the live host",
            ));
        }
        Err(trouble) => return Err(trouble.into()),
    };
    let mut names: BTreeSet<String> = ALWAYS_TOLD.iter().map(|name| (*name).to_owned()).collect();
    names.extend(entries.into_iter().filter(|entry| entry.kind != Kind::Folder).map(|entry| entry.name));
    Ok(names.into_iter().map(|name| vulnerability(gather, name)).collect())
}

fn vulnerability(gather: &Gather<'_>, name: String) -> Vulnerability {
    let path = format!("{VULNERABILITIES}/{name}");
    let status = match gather.files().text(&path) {
        Ok(text) if text.trim().is_empty() || !text.ends_with('\n') => {
            Err(Doubt::about(&path, "is empty or cut short"))
        }
        Ok(text) => Ok(text.trim().to_owned()),
        Err(trouble) => Err(trouble.into()),
    };
    Vulnerability { name, status }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Files, Node, Tree};
    use crate::host::Fact;

    #[test]
    fn status_lines_of_real_kernels_are_told_apart() {
        for (status, expected) in [
            ("Not affected", Standing::Fine),
            ("Mitigation: PTI", Standing::Fine),
            ("Mitigation: Clear CPU buffers; SMT vulnerable", Standing::Fine),
            ("KVM: Mitigation: VMX disabled", Standing::Fine),
            ("KVM: Mitigation: Split huge pages", Standing::Fine),
            ("KVM: Vulnerable", Standing::Open),
            ("Processor vulnerable", Standing::Open),
            ("Vulnerable", Standing::Open),
            ("Vulnerable: Clear CPU buffers attempted, no microcode; SMT Host state unknown", Standing::Open),
            ("Vulnerable: Safe RET, no microcode", Standing::Open),
            (
                "Mitigation: Enhanced / Automatic IBRS; IBPB: conditional; PBRSB-eIBRS: SW sequence; BHI: Vulnerable",
                Standing::Partly,
            ),
            ("Unknown: Dependent on hypervisor status", Standing::NotTold),
            ("", Standing::NotTold),
        ] {
            assert_eq!(standing(status), expected, "{status}");
        }
    }

    #[test]
    fn leaks_between_threads_are_told_inside_a_mitigation() {
        assert!(leaks_between_threads("Mitigation: Clear CPU buffers; SMT vulnerable"));
        assert!(!leaks_between_threads("Mitigation: Clear CPU buffers; SMT disabled"));
        assert!(!leaks_between_threads("Mitigation: Clear CPU buffers; SMT Host state unknown"));
    }

    #[test]
    fn a_weakness_every_kernel_tells_is_unknown_when_its_file_is_not_there() {
        let mut tree = Tree::default();
        tree.insert(&format!("{VULNERABILITIES}/mds"), Node::file("Not affected\n"));
        tree.insert(&format!("{VULNERABILITIES}/new_one"), Node::file("Vulnerable\n"));
        let fact = Fact::gather(&Files::memory(tree), read);
        let told = fact.value.unwrap();
        assert_eq!(told.len(), ALWAYS_TOLD.len() + 1);
        assert_eq!(told.iter().filter(|one| one.status.is_ok()).count(), 2);
    }

    #[test]
    fn without_the_folder_nothing_is_known() {
        let fact = Fact::gather(&Files::memory(Tree::default()), read);
        assert!(matches!(fact.value, Err(Stop::Unknown(_))));
    }
}
