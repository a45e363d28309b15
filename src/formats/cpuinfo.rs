//! `/proc/cpuinfo`: who made the processor, and whether it is a virtual one.
//!
//! Follows Linux `arch/x86/kernel/cpu/proc.c` (`show_cpuinfo`): `key<tab>: value` lines, one block per processor.
//! Only the first processor is looked at; x86 hosts do not mix them.

use super::{Issue, Parsed, numbered};

/// The first processor.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CpuInfo {
    /// `vendor_id`: `GenuineIntel`, `AuthenticAMD`; empty on other architectures than x86.
    pub vendor: String,
    /// The flag `hypervisor`: the host is itself a guest.
    pub virtual_machine: bool,
    /// Line of the vendor, counted from 1; 0 without one.
    pub vendor_line: u32,
}

/// Reads the text of `/proc/cpuinfo`.
pub fn parse(text: &str) -> Parsed<CpuInfo> {
    let mut parsed = Parsed::<CpuInfo>::default();
    let mut flags = false;
    for (number, line) in numbered(text).take_while(|(_, line)| !line.is_empty()) {
        let Some((key, value)) = line.split_once(':') else {
            parsed.issues.push(Issue::new(number, "not a line of /proc/cpuinfo: it is skipped"));
            continue;
        };
        match key.trim_end() {
            "vendor_id" => {
                value.trim().clone_into(&mut parsed.value.vendor);
                parsed.value.vendor_line = number;
            }
            "flags" => {
                flags = true;
                parsed.value.virtual_machine =
                    value.split_ascii_whitespace().any(|flag| flag == "hypervisor");
            }
            _ => {}
        }
    }
    if !parsed.value.vendor.is_empty() && !flags {
        parsed.issues.push(Issue::new(1, "the flags of the processor are missing"));
    }
    parsed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_processor_tells_vendor_and_virtualisation() {
        let text = "processor\t: 0\nvendor_id\t: GenuineIntel\nflags\t\t: fpu vmx hypervisor\n\nprocessor\t: 1\nvendor_id\t: x\n";
        let parsed = parse(text);
        assert_eq!(parsed.issues, []);
        assert_eq!(
            parsed.value,
            CpuInfo { vendor: "GenuineIntel".to_owned(), virtual_machine: true, vendor_line: 2 }
        );
        assert!(!parse(&text.replace(" hypervisor", " hypervisor_x")).value.virtual_machine);
    }

    #[test]
    fn other_architectures_have_no_vendor() {
        let parsed = parse("processor\t: 0\nBogoMIPS\t: 50.00\n");
        assert_eq!(parsed.value, CpuInfo::default());
        assert_eq!(parsed.issues, []);
    }

    #[test]
    fn missing_flags_and_strange_lines_are_issues() {
        assert_eq!(parse("vendor_id : x\n").issues.len(), 1);
        assert_eq!(parse("what\nflags : a\n").issues.len(), 1);
    }
}
