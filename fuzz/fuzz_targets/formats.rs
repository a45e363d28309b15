//! Every parser: whatever the bytes, it returns. The first byte picks the format, the second release and version.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pve_audit::formats::apt_sources::{self, Context};
use pve_audit::formats::apt_text::AptVersion;
use pve_audit::formats::firewall::{self, Level};
use pve_audit::formats::release::Release;
use pve_audit::formats::sshd::{self, Included, Read, Version};
use pve_audit::formats::tag_file::Comments;
use pve_audit::formats::{
    apt_conf, apt_preferences, corosync_conf, crypttab, datacenter_cfg, debian_version, dm_uuid, domains_cfg,
    dpkg_status, fstab, group, guest, jobs_cfg, kernel_cmdline, lvm_backup, members, modprobe_conf, mount_options,
    mountinfo, os_release, passwd, pem_subject, proc_modules, proc_swaps, proc_version, proxy_default, release_file,
    shadow, shadow_cfg, storage_cfg, sysctl_conf, systemd_conf, tag_file, tfa_cfg, token_cfg, user_cfg, vmlist,
    vzdump_conf, vzdump_cron,
};

fuzz_target!(|data: &[u8]| {
    let [format, version, rest @ ..] = data else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let pick = usize::from(*version) % 3;
    let release = Release::ALL[pick];
    let apt = [AptVersion::V2_2, AptVersion::V2_6, AptVersion::V3_0][pick];
    match format % 43 {
        0 => drop(user_cfg::parse(text, release)),
        1 => drop(tfa_cfg::parse(text)),
        2 => drop(token_cfg::parse(text)),
        3 => drop(shadow_cfg::parse(text)),
        4 => drop(shadow::parse(text)),
        5 => drop(passwd::parse(text)),
        6 => drop(group::parse(text)),
        7 => drop(domains_cfg::parse(text, release)),
        8 => drop(storage_cfg::parse(text, release)),
        9 => drop(jobs_cfg::parse(text, release)),
        10 => drop(vzdump_conf::parse(text, release)),
        11 => drop(vzdump_cron::parse(text, release)),
        12 => drop(guest::qemu::parse(text, release)),
        13 => drop(guest::lxc::parse(text, release)),
        14 => firewall_files(text, release, Level::Datacenter),
        15 => firewall_files(text, release, Level::Node),
        16 => firewall_files(text, release, Level::Guest),
        17 => firewall_files(text, release, Level::Vnet),
        18 => sshd_config(text, [Version::V8_4, Version::V9_2, Version::V10_0][pick]),
        19 => drop(apt_sources::parse(text, apt_sources::Kind::OneLine, &Context { version: apt, native: "amd64" })),
        20 => drop(apt_sources::parse(text, apt_sources::Kind::Deb822, &Context { version: apt, native: "amd64" })),
        21 => drop(apt_conf::parse(text)),
        22 => drop(apt_preferences::parse(text, apt)),
        23 => drop(release_file::parse(text)),
        24 => drop(tag_file::parse(text, Comments::Skipped)),
        25 => drop(dpkg_status::parse(text)),
        26 => drop(os_release::parse(text)),
        27 => versions(text),
        28 => drop(corosync_conf::parse(text).value.totem.crypto()),
        29 => drop(datacenter_cfg::parse(text)),
        30 => drop(crypttab::parse(text)),
        31 => drop(fstab::parse(text)),
        32 => drop(mountinfo::parse(text).value.covering("/var/lib/vz")),
        33 => drop((mount_options::parse(text), dm_uuid::classify(text))),
        34 => drop(proc_swaps::parse(text)),
        35 => drop(lvm_backup::parse(text)),
        36 => drop(kernel_cmdline::parse(text)),
        37 => drop((sysctl_conf::parse(text), systemd_conf::merge(&[("a", text), ("b", text)]))),
        38 => drop((modprobe_conf::parse(text), proc_modules::parse(text))),
        39 => drop(members::parse(text)),
        40 => drop(vmlist::parse(text)),
        41 => drop(pem_subject::parse(text)),
        _ => drop((proxy_default::parse(text), proc_version::parse(text))),
    }
});

fn firewall_files(text: &str, release: Release, level: Level) {
    let datacenter = firewall::parse(text, Level::Datacenter, release, None).value;
    drop(firewall::parse(text, level, release, Some(&datacenter)));
}

fn sshd_config(text: &str, version: Version) {
    let included = |path: &str| vec![Included { path: path.to_owned(), read: Read::Text(text.to_owned()) }];
    drop(sshd::evaluate(sshd::MAIN_FILE, text, version, &mut |pattern| included(pattern)).settings());
}

fn versions(text: &str) {
    if let Some((left, right)) = text.split_once('\n') {
        assert_eq!(debian_version::compare(left, right), debian_version::compare(right, left).reverse());
    }
}
