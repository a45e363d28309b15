//! What a virtual machine can trust: its boot, its memory, its console.

use crate::catalogue::Severity;
use crate::formats::guest::qemu::QemuSection;
use crate::outcome::{Evidence, Judgement};

/// Secure Boot needs UEFI, variables of the larger type with keys in them, and on x86 a machine with SMM: for i440fx
/// Proxmox VE loads a firmware whose variables the guest's kernel can write.
pub(super) fn secure_boot_not_possible(path: &str, vm: &QemuSection) -> Judgement {
    if vm.text("arch").is_some_and(|arch| arch != "x86_64") {
        return Judgement::pass("the machine is no x86 one, whose firmware Proxmox VE decides");
    }
    let Some(evidence) = missing_for_secure_boot(path, vm) else {
        return Judgement::pass("Secure Boot is possible: UEFI with enrolled keys on a q35 machine");
    };
    let what = match evidence.key.as_deref() {
        Some("bios") => "the firmware is a BIOS, which checks no signature",
        Some("machine") => "the guest's kernel can write the variables of Secure Boot",
        _ => "there are no keys for Secure Boot",
    };
    // Windows 11 is made for it, and its installation asks for it.
    let severity = if vm.text("ostype") == Some("win11") { Severity::Medium } else { Severity::Low };
    Judgement::fail(what).severity(severity).with(evidence)
}

fn missing_for_secure_boot(path: &str, vm: &QemuSection) -> Option<Evidence> {
    let at = |key: &str| {
        vm.line_of(key).map_or_else(|| Evidence::of(path), |line| Evidence::at(path, line)).key(key)
    };
    if !vm.has_uefi() {
        let seen = vm.text("bios").unwrap_or("not set, which means seabios");
        return Some(at("bios").observed(seen).expected("ovmf"));
    }
    let expected = "efitype=4m,pre-enrolled-keys=1";
    let Some(disk) = vm.properties("efidisk0") else {
        return Some(
            at("efidisk0").observed("not set: the variables are lost at every stop").expected(expected),
        );
    };
    // Upstream's defaults: efitype 2m, pre-enrolled-keys 0.
    if disk.get("efitype") != Some("4m") || !disk.flag("pre-enrolled-keys").unwrap_or(false) {
        let (kind, keys) =
            (disk.get("efitype").unwrap_or("2m"), disk.flag("pre-enrolled-keys").unwrap_or(false));
        let seen = format!("efitype={kind},pre-enrolled-keys={}", u8::from(keys));
        return Some(at("efidisk0").observed(seen).expected(expected));
    }
    let machine = vm.properties("machine").and_then(|machine| machine.get("type")).unwrap_or("pc");
    if machine.contains("q35") { None } else { Some(at("machine").observed(machine).expected("q35")) }
}

/// Hardware virtualisation is off.
pub(super) fn software_emulation(path: &str, vm: &QemuSection) -> Judgement {
    match (vm.flag("kvm"), vm.line_of("kvm")) {
        (Some(false), Some(line)) => Judgement::fail("the processor is emulated by QEMU instead of KVM")
            .with(Evidence::at(path, line).key("kvm").observed("0").expected("1")),
        _ => Judgement::pass("KVM is on"),
    }
}

/// The memory is encrypted, and the node may still read it.
pub(super) fn encrypted_memory_readable(path: &str, vm: &QemuSection) -> Judgement {
    let (Some(sev), Some(line)) = (vm.properties("amd-sev"), vm.line_of("amd-sev")) else {
        return Judgement::pass("no encryption of memory is asked for");
    };
    let kind = sev.get("type").unwrap_or_default();
    let mut missing = Vec::new();
    if !sev.flag("no-debug").unwrap_or(false) {
        missing.push("no-debug=1");
    }
    // Newer generations know no shared keys.
    if kind != "snp" && !sev.flag("no-key-sharing").unwrap_or(false) {
        missing.push("no-key-sharing=1");
    }
    if missing.is_empty() {
        return Judgement::pass("the policy of the encrypted memory keeps the node out").at(path, line);
    }
    Judgement::fail("the policy of the encrypted memory lets the node read it")
        .severity(Severity::Medium)
        .with(
            Evidence::at(path, line)
                .key("amd-sev")
                .observed(format!("type={kind}"))
                .expected(missing.join(",")),
        )
}

/// Files or the clipboard go between the guest and whoever opens the console.
pub(super) fn console_shares_data(path: &str, vm: &QemuSection) -> Judgement {
    let mut places = Vec::new();
    let mut look_at = |option: &str, key: &str, is_bad: fn(&str) -> bool| {
        let value = vm.properties(option).and_then(|parts| parts.get(key)).filter(|value| is_bad(value));
        if let (Some(value), Some(line)) = (value, vm.line_of(option)) {
            places.push(Evidence::at(path, line).key(option).observed(format!("{key}={value}")));
        }
    };
    look_at("spice_enhancements", "foldersharing", |value| value == "1");
    look_at("vga", "clipboard", |value| value == "vnc");
    if places.is_empty() {
        return Judgement::pass("the console shares neither folders nor the VNC clipboard");
    }
    Judgement::fail("the console carries files or the clipboard between the guest and its viewer")
        .with_all(places)
}
