//! The cases of an advisory follow from its table: the first fixed version and one just below it, for every package.

use std::collections::BTreeMap;

use pve_audit::catalogue::schema::{
    AdvisoryFile, CaseFile, ExpectedFile, FileCase, FixedFile, NodeCase, kernel_series,
};

const STATUS: &str = "/var/lib/dpkg/status";

/// The cases of every row of the table, and those of what it does not say.
pub fn cases(advisory: &AdvisoryFile) -> Vec<CaseFile> {
    let mut cases = Vec::new();
    for fixed in &advisory.fixed {
        if kernel_series(&fixed.package).is_some() {
            cases.push(kernel_case(fixed.pve, &fixed.version, "pass"));
            cases
                .extend(build_before(&fixed.version).map(|version| kernel_case(fixed.pve, &version, "fail")));
        } else {
            cases.push(package_case(fixed, &fixed.version, "pass"));
            cases.push(package_case(fixed, &format!("{}~", fixed.version), "fail"));
        }
        cases.extend(fixed.since.iter().map(|since| package_case(fixed, &format!("{since}~"), "pass")));
    }
    for series in &advisory.series_without_fix {
        cases.push(kernel_case(9, &format!("{series}.1-1"), "fail"));
    }
    if advisory.fixed.iter().any(|fixed| kernel_series(&fixed.package).is_some()) {
        cases.push(kernel_case(9, "99.1.1-1", "unknown"));
    }
    let unreadable = FileCase::Node(NodeCase { error: Some("denied".to_owned()), ..NodeCase::default() });
    let files = BTreeMap::from([(STATUS.to_owned(), unreadable)]);
    cases.push(case(
        "the package database cannot be read".to_owned(),
        ExpectedFile::Check("unknown".to_owned()),
        9,
        files,
    ));
    cases
}

/// The build before this one: `6.8.12-24` for `6.8.12-25`. None before a series as a whole, such as `7.0`.
fn build_before(version: &str) -> Option<String> {
    let (start, rest) = version.split_once('-')?;
    let (build, end) = rest.split_at(rest.find('~').unwrap_or(rest.len()));
    let build: u32 = build.parse().unwrap();
    Some(format!("{start}-{}{end}", build.checked_sub(1).unwrap()))
}

fn case(name: String, expect: ExpectedFile, pve: u8, files: BTreeMap<String, FileCase>) -> CaseFile {
    CaseFile { name, expect, host: Some(format!("pve{pve}")), now: None, parameters: BTreeMap::new(), files }
}

fn package_case(fixed: &FixedFile, version: &str, verdict: &str) -> CaseFile {
    let manager = match fixed.pve {
        7 => "7.4-20",
        8 => "8.4.21",
        _ => "9.2.11",
    };
    let entry = |package: &str, version: &str| {
        format!("Package: {package}\nStatus: install ok installed\nArchitecture: all\nVersion: {version}\n\n")
    };
    let mut status = entry(&fixed.package, version);
    if fixed.package != "pve-manager" {
        status.push_str(&entry("pve-manager", manager));
    }
    let files = BTreeMap::from([(STATUS.to_owned(), FileCase::Text(status))]);
    let expect = BTreeMap::from([(fixed.package.clone(), verdict.to_owned())]);
    let name = format!("{} {version} on Proxmox VE {}", fixed.package, fixed.pve);
    case(name, ExpectedFile::Subjects(expect), fixed.pve, files)
}

/// A running kernel whose package has this version; guests may run guests.
fn kernel_case(pve: u8, version: &str, verdict: &str) -> CaseFile {
    let release = match version.split_once("~bpo12") {
        Some((version, _)) => format!("{version}-bpo12-pve"),
        None => format!("{version}-pve"),
    };
    let text = format!(
        "Linux version {release} (build@proxmox) (gcc (Debian 14.2.0-19) 14.2.0, GNU ld 2.44) \
         #1 SMP PREEMPT_DYNAMIC PMX {version} (2026-08-01T10:00Z)\n"
    );
    let file = |path: &str, text: String| (path.to_owned(), FileCase::Text(text));
    let files = BTreeMap::from([
        file("/proc/version", text),
        file("/proc/sys/kernel/osrelease", format!("{release}\n")),
        file("/sys/module/kvm_intel/parameters/nested", "Y\n".to_owned()),
    ]);
    let expect = BTreeMap::from([("proxmox-kernel".to_owned(), verdict.to_owned())]);
    case(format!("kernel {version} on Proxmox VE {pve}"), ExpectedFile::Subjects(expect), pve, files)
}
