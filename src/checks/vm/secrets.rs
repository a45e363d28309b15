//! Secrets that a configuration keeps: passwords, memory.

use crate::formats::guest::Password;
use crate::formats::guest::qemu::{QemuConfig, QemuSection};
use crate::outcome::{Evidence, Judgement};

/// Every section that can hold a password, with what to call it.
fn sections(config: &QemuConfig) -> impl Iterator<Item = (&str, &QemuSection)> {
    let pending = config.pending.iter().map(|pending| ("pending", &pending.section));
    let cloudinit = config.cloudinit.iter().map(|section| ("special:cloudinit", section));
    let snapshots = config.snapshots.iter().map(|(name, section)| (name.as_str(), section));
    std::iter::once(("", &config.current)).chain(pending).chain(cloudinit).chain(snapshots)
}

fn passwords(path: &str, config: &QemuConfig, wanted: fn(&Password) -> bool) -> Vec<Evidence> {
    let seen = |(name, section): (&str, &QemuSection)| {
        let password = section.password.as_ref().filter(|password| wanted(&password.value))?;
        let kind = match password.value {
            Password::Clear => "clear text".to_owned(),
            Password::Hashed(scheme) => format!("hash of scheme {scheme}"),
        };
        let place = if name.is_empty() { String::new() } else { format!(" in section {name}") };
        Some(Evidence::at(path, password.line).key("cipassword").observed(format!("{kind}{place}")))
    };
    sections(config).filter_map(seen).collect()
}

/// The password for cloud-init stands in the file as it is typed.
pub(super) fn clear_text_password(path: &str, config: &QemuConfig) -> Judgement {
    let places = passwords(path, config, |password| *password == Password::Clear);
    if places.is_empty() {
        return Judgement::pass("no password for cloud-init is kept in clear text");
    }
    let only_snapshots = config.current.password.as_ref().is_none_or(|now| now.value != Password::Clear);
    let what = if only_snapshots {
        "the password for cloud-init is gone from the configuration and still in clear text in another section"
    } else {
        "the password for cloud-init is kept in clear text"
    };
    Judgement::fail(what).with_all(places.into_iter().map(|place| place.expected("SSH keys, or a hash")))
}

/// The hash of the password for cloud-init stays after the first start needed it.
pub(super) fn password_hash_kept(path: &str, config: &QemuConfig) -> Judgement {
    let places = passwords(path, config, |password| *password != Password::Clear);
    if places.is_empty() {
        return Judgement::pass("no hash of a password for cloud-init is kept");
    }
    Judgement::fail("the hash of a password for cloud-init is kept").with_all(places)
}

/// A snapshot keeps the memory of the guest.
pub(super) fn memory_kept_in_snapshot(path: &str, config: &QemuConfig) -> Judgement {
    let kept: Vec<_> = config.snapshot_facts().into_iter().filter(|snapshot| snapshot.has_memory).collect();
    if kept.is_empty() {
        return Judgement::pass("no snapshot keeps memory");
    }
    let number = kept.len();
    let noun = if number == 1 { "snapshot keeps" } else { "snapshots keep" };
    let seen = |snapshot: &crate::formats::guest::Snapshot| {
        Evidence::at(path, snapshot.line).key("vmstate").observed(format!("snapshot {}", snapshot.name))
    };
    Judgement::fail(format!("{number} {noun} the memory of the guest with every key in it"))
        .with_all(kept.iter().map(seen))
}
