//! The options of a container, the property strings among them, and the raw keys it may pass to LXC.
//!
//! Follows `$confdesc`, `$valid_lxc_conf_keys` and `$deprecated_lxc_conf_keys` of pve-container's `PVE::LXC::Config`.

use super::options::{Check, OptionRule, family, plain};
use crate::formats::perl;
use crate::formats::property_string::{Key, Kind, NUMBER, Schema, UNSIGNED, key};
use crate::formats::release::Release::{self, Pve8, Pve9};
use crate::formats::verify;

/// The options of a container.
pub(super) static OPTIONS: &[OptionRule] = &[
    plain("arch", Check::Text),
    plain("cmode", Check::Text),
    plain("console", Check::Boolean),
    plain("cores", Check::Integer),
    plain("cpulimit", Check::Number),
    plain("cpuunits", Check::Integer),
    plain("debug", Check::Boolean),
    plain("description", Check::Text),
    plain("entrypoint", Check::Text).since(Pve9),
    plain("env", Check::Text).since(Pve9),
    plain("features", Check::Properties(&FEATURES)),
    plain("hookscript", Check::Format(verify::volume_id)),
    plain("hostname", Check::Format(verify::dns_name)),
    plain("lock", Check::Text),
    plain("memory", Check::Integer),
    plain("nameserver", Check::Text),
    plain("onboot", Check::Boolean),
    plain("ostype", Check::Text),
    plain("parent", Check::Format(verify::config_id)),
    plain("protection", Check::Boolean),
    plain("rootfs", Check::Properties(&ROOTFS)),
    plain("searchdomain", Check::Text),
    plain("snaptime", Check::Integer),
    plain("startup", Check::Text),
    plain("swap", Check::Integer),
    plain("tags", Check::Format(verify::tag_list)),
    plain("template", Check::Boolean),
    plain("timezone", Check::Text),
    plain("tty", Check::Integer),
    plain("unprivileged", Check::Boolean),
    family("dev", 256, Check::Properties(&DEVICE)).since(Pve8),
    family("mp", 256, Check::Properties(&MOUNT_POINT)),
    family("net", 32, Check::Properties(&NET)),
    family("unused", 256, Check::Properties(&UNUSED)),
];

static FEATURES: Schema = Schema {
    keys: &[&[
        key("mount", Kind::Checked(file_systems)),
        key("nesting", Kind::Boolean),
        key("keyctl", Kind::Boolean),
        key("fuse", Kind::Boolean),
        key("mknod", Kind::Boolean),
        key("force_rw_sys", Kind::Boolean),
    ]],
};

const VOLUME: &[Key] = &[
    key("volume", Kind::Checked(inner_path)).default_key().required(),
    key("size", Kind::Checked(verify::disk_size)),
    key("acl", Kind::Boolean),
    key("mountoptions", Kind::Checked(mount_options)),
    key("idmap", Kind::Checked(mount_idmap)).since(Pve9),
    key("ro", Kind::Boolean),
    key("quota", Kind::Boolean),
    key("replicate", Kind::Boolean),
    key("shared", Kind::Boolean),
];

static ROOTFS: Schema = Schema { keys: &[VOLUME] };
static MOUNT_POINT: Schema = Schema {
    keys: &[
        VOLUME,
        &[
            key("backup", Kind::Boolean),
            key("mp", Kind::Checked(inner_path)).required(),
            key("keepattrs", Kind::Boolean).since(Pve9),
        ],
    ],
};
static UNUSED: Schema =
    Schema { keys: &[&[key("volume", Kind::Checked(verify::volume_id)).default_key().required()]] };
static DEVICE: Schema = Schema {
    keys: &[&[
        key("path", Kind::Checked(device_path)).default_key(),
        key("mode", Kind::Checked(device_mode)),
        key("uid", UNSIGNED),
        key("gid", UNSIGNED),
        key("deny-write", Kind::Boolean),
    ]],
};
static NET: Schema = Schema {
    keys: &[&[
        key("name", Kind::Checked(verify::interface_name)).required(),
        key("type", Kind::OneOf(&["veth"])),
        key("bridge", Kind::Checked(verify::interface_name)),
        key("hwaddr", Kind::Checked(verify::mac_address)),
        key("mtu", Kind::Integer { min: 64, max: 65535 }),
        key("ip", Kind::Text),
        key("gw", Kind::Text),
        key("ip6", Kind::Text),
        key("gw6", Kind::Text),
        key("firewall", Kind::Boolean),
        key("tag", Kind::Integer { min: 1, max: 4094 }),
        key("trunks", Kind::Checked(vlan_list)),
        key("rate", NUMBER),
        key("link_down", Kind::Boolean),
        key("host-managed", Kind::Boolean).since(Pve9),
    ]],
};

/// Containers take single VLANs only.
fn vlan_list(text: &str) -> bool {
    verify::vlan_ranges(text) && !text.contains('-')
}

/// `[a-zA-Z0-9_; ]+`
fn file_systems(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|each| perl::is_word(each) || matches!(each, ';' | ' '))
}

fn mount_options(text: &str) -> bool {
    let is_option =
        |option: &str| matches!(option, "discard" | "lazytime" | "noatime" | "nodev" | "noexec" | "nosuid");
    text.split(';').all(is_option)
}

/// `pve-lxc-mp-string`: no `.` or `..` as a part after a slash, no `../` at the start.
fn inner_path(text: &str) -> bool {
    !text.starts_with("../") && text.split('/').skip(1).all(|part| !matches!(part, "." | ".."))
}

fn device_path(text: &str) -> bool {
    text.starts_with("/dev/") && inner_path(text)
}

fn device_mode(text: &str) -> bool {
    text.len() == 4 && text.starts_with('0') && text.bytes().all(|each| (b'0'..=b'7').contains(&each))
}

/// `passthrough` or entries `u:container:disk:length`, separated by `;`.
fn mount_idmap(text: &str) -> bool {
    let is_entry = |entry: &str| match entry.split(':').collect::<Vec<_>>().as_slice() {
        ["u" | "g", container, disk, length] => {
            [container, disk, length].into_iter().all(|part| perl::is_digits(part))
                && !length.starts_with('0')
        }
        _ => false,
    };
    text == "passthrough" || text.split(';').all(is_entry)
}

/// What upstream does with a raw `lxc.*` key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RawRule {
    /// It goes into the configuration LXC reads.
    Passed,
    /// It goes there too, under a name LXC gave up long ago: LXC refuses to start the container.
    Renamed,
    /// It is a control group setting of the old hierarchy, which LXC ignores on a current node.
    OldControlGroup,
    /// Upstream generates this one itself and refuses it.
    Refused,
    /// Upstream does not know it and drops it.
    Unknown,
}

const PASSED: [&str; 61] = [
    "lxc.apparmor.allow_incomplete",
    "lxc.apparmor.allow_nesting",
    "lxc.apparmor.profile",
    "lxc.apparmor.raw",
    "lxc.arch",
    "lxc.autodev",
    "lxc.cap.drop",
    "lxc.cap.keep",
    "lxc.console.logfile",
    "lxc.console.path",
    "lxc.devtty.dir",
    "lxc.environment",
    "lxc.group",
    "lxc.hook.autodev",
    "lxc.hook.clone",
    "lxc.hook.destroy",
    "lxc.hook.mount",
    "lxc.hook.post-stop",
    "lxc.hook.pre-mount",
    "lxc.hook.pre-start",
    "lxc.hook.start",
    "lxc.hook.stop",
    "lxc.hook.version",
    "lxc.idmap",
    "lxc.include",
    "lxc.init.cmd",
    "lxc.kmsg",
    "lxc.log.file",
    "lxc.log.level",
    "lxc.mount.auto",
    "lxc.mount.entry",
    "lxc.mount.fstab",
    "lxc.pty.max",
    "lxc.rootfs.mount",
    "lxc.seccomp.notify.cookie",
    "lxc.seccomp.notify.proxy",
    "lxc.seccomp.profile",
    "lxc.selinux.context",
    "lxc.signal.halt",
    "lxc.signal.reboot",
    "lxc.signal.stop",
    "lxc.start.auto",
    "lxc.start.delay",
    "lxc.start.order",
    "lxc.sysctl.fs.mqueue",
    "lxc.sysctl.kernel.msgmax",
    "lxc.sysctl.kernel.msgmnb",
    "lxc.sysctl.kernel.msgmni",
    "lxc.sysctl.kernel.sem",
    "lxc.sysctl.kernel.shm_rmid_forced",
    "lxc.sysctl.kernel.shmall",
    "lxc.sysctl.kernel.shmmax",
    "lxc.sysctl.kernel.shmmni",
    "lxc.tty.max",
    "lxc.uts.name",
    // From here on Proxmox VE 9 only, see PASSED_SINCE_9.
    "lxc.environment.hooks",
    "lxc.environment.runtime",
    "lxc.init.cwd",
    "lxc.init.gid",
    "lxc.init.groups",
    "lxc.init.uid",
];

const PASSED_SINCE_9: [&str; 6] = [
    "lxc.environment.hooks",
    "lxc.environment.runtime",
    "lxc.init.cwd",
    "lxc.init.gid",
    "lxc.init.groups",
    "lxc.init.uid",
];

const RENAMED: [&str; 29] = [
    "lxc.aa_allow_incomplete",
    "lxc.aa_profile",
    "lxc.console",
    "lxc.devttydir",
    "lxc.haltsignal",
    "lxc.id_map",
    "lxc.init_cmd",
    "lxc.logfile",
    "lxc.loglevel",
    "lxc.mount",
    "lxc.network.flags",
    "lxc.network.hwaddr",
    "lxc.network.ipv4",
    "lxc.network.ipv4.gateway",
    "lxc.network.ipv6",
    "lxc.network.ipv6.gateway",
    "lxc.network.link",
    "lxc.network.mtu",
    "lxc.network.name",
    "lxc.network.script.down",
    "lxc.network.script.up",
    "lxc.network.type",
    "lxc.pts",
    "lxc.rebootsignal",
    "lxc.se_context",
    "lxc.seccomp",
    "lxc.stopsignal",
    "lxc.tty",
    "lxc.utsname",
];

/// What `release` does with raw key `name`.
pub(super) fn raw_rule(name: &str, release: Release) -> RawRule {
    if name.starts_with("lxc.limit.") || RENAMED.contains(&name) {
        return RawRule::Renamed;
    }
    if matches!(name, "lxc.rootfs.path" | "lxc.rootfs.options") {
        return RawRule::Refused;
    }
    if name.starts_with("lxc.cgroup.") {
        return RawRule::OldControlGroup;
    }
    let open = ["lxc.cgroup2.", "lxc.prlimit.", "lxc.net."].iter().any(|prefix| name.starts_with(prefix));
    let too_new = release < Pve9 && PASSED_SINCE_9.contains(&name);
    if open || (PASSED.contains(&name) && !too_new) { RawRule::Passed } else { RawRule::Unknown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_keys_follow_the_allow_list() {
        assert_eq!(raw_rule("lxc.cap.drop", Release::Pve7), RawRule::Passed);
        assert_eq!(raw_rule("lxc.cgroup2.devices.allow", Pve9), RawRule::Passed);
        assert_eq!(raw_rule("lxc.net.0.type", Pve9), RawRule::Passed);
        assert_eq!(raw_rule("lxc.cgroup.devices.allow", Pve9), RawRule::OldControlGroup);
        assert_eq!(raw_rule("lxc.aa_profile", Pve9), RawRule::Renamed);
        assert_eq!(raw_rule("lxc.rootfs.path", Pve9), RawRule::Refused);
        assert_eq!(raw_rule("lxc.namespace.share.net", Pve9), RawRule::Unknown);
        assert_eq!(raw_rule("lxc.init.uid", Pve8), RawRule::Unknown);
        assert_eq!(raw_rule("lxc.init.uid", Pve9), RawRule::Passed);
    }

    #[test]
    fn paths_have_no_dot_parts_after_a_slash() {
        assert!(inner_path("/srv/x") && inner_path("local:1/x") && inner_path("/a..b/.c"));
        for bad in ["../x", "/a/../b", "/a/./b", "/a/..", "/a/."] {
            assert!(!inner_path(bad), "{bad}");
        }
        assert!(device_path("/dev/dri/card0") && !device_path("/devx") && !device_path("/dev/../etc"));
    }

    #[test]
    fn maps_of_mount_points_follow_their_pattern() {
        assert!(mount_idmap("passthrough") && mount_idmap("u:0:0:1;g:5:6:10"));
        assert!(!mount_idmap("u:0:0:0") && !mount_idmap("x:0:0:1") && !mount_idmap("u:0:0:1;"));
        assert!(device_mode("0660") && !device_mode("660") && !device_mode("0888"));
    }
}
