//! The hosts that cases are laid over: small, healthy, nothing on them but what every such host has.

use pve_audit::files::{Node, Tree};

/// What differs between the releases.
struct Versions {
    codename: &'static str,
    debian: &'static str,
    apt: &'static str,
    openssh: &'static str,
    packages: &'static [(&'static str, &'static str)],
}

const DEBIAN_13: Versions = Versions {
    codename: "trixie",
    debian: "13",
    apt: "3.0.3",
    openssh: "1:10.0p1-7+deb13u3",
    packages: &[("systemd", "257.9-1~deb13u1"), ("dpkg", "1.22.21")],
};

const PVE_9: Versions = Versions {
    packages: &[
        ("systemd", "257.9-1~deb13u1"),
        ("dpkg", "1.22.21"),
        ("pve-manager", "9.2.11"),
        ("libpve-access-control", "9.1.1"),
        ("pve-firewall", "6.0.4"),
        ("qemu-server", "9.2.6"),
        ("pve-container", "6.1.13"),
        ("libpve-rs-perl", "0.12.0"),
        ("proxmox-kernel-7.0.14-14-pve-signed", "7.0.14-14"),
    ],
    ..DEBIAN_13
};

const PVE_8: Versions = Versions {
    codename: "bookworm",
    debian: "12",
    apt: "2.6.1",
    openssh: "1:9.2p1-2+deb12u10",
    packages: &[
        ("systemd", "252.39-1~deb12u1"),
        ("pve-manager", "8.4.21"),
        ("libpve-access-control", "8.2.3"),
        ("pve-firewall", "5.1.2"),
        ("qemu-server", "8.4.10"),
        ("pve-container", "5.3.5"),
        ("proxmox-kernel-6.8.12-43-pve-signed", "6.8.12-43"),
    ],
};

const PVE_7: Versions = Versions {
    codename: "bullseye",
    debian: "11",
    apt: "2.2.4",
    openssh: "1:8.4p1-5+deb11u7",
    packages: &[
        ("systemd", "247.3-7+deb11u7"),
        ("pve-manager", "7.4-20"),
        ("libpve-access-control", "7.4.3"),
        ("pve-firewall", "4.3-5"),
        ("qemu-server", "7.4-7"),
        ("pve-container", "4.4-7"),
        ("pve-kernel-5.15.158-2-pve", "5.15.158-2"),
    ],
};

/// The host of this name: `pve9`, `pve8`, `pve7`, `debian13` or `nothing`.
pub fn host(name: &str) -> Tree {
    match name {
        "pve9" => proxmox(&PVE_9),
        "pve8" => proxmox(&PVE_8),
        "pve7" => proxmox(&PVE_7),
        "debian13" => debian(&DEBIAN_13),
        "nothing" => Tree::default(),
        other => panic!("there is no base host `{other}`"),
    }
}

fn debian(versions: &Versions) -> Tree {
    let Versions { codename, debian, .. } = versions;
    let mut tree = Tree::default();
    let mut file = |path: &str, text: String| tree.insert(path, Node::file(text));
    let os = format!("ID=debian\nVERSION_ID=\"{debian}\"\nVERSION_CODENAME={codename}\n");
    file("/etc/os-release", os);
    file("/etc/hostname", "pve1\n".to_owned());
    file("/etc/hosts", "127.0.0.1 localhost\n192.0.2.10 pve1.example.com pve1\n".to_owned());
    file("/etc/machine-id", "0123456789abcdef0123456789abcdef\n".to_owned());
    file(
        "/etc/passwd",
        "root:x:0:0:root:/root:/bin/bash\nsshd:x:100:65534::/run/sshd:/usr/sbin/nologin\n".to_owned(),
    );
    file("/etc/group", "root:x:0:\nshadow:x:42:\n".to_owned());
    file("/etc/ssh/sshd_config", SSHD_CONFIG.to_owned());
    file("/etc/fstab", "/dev/pve/root / ext4 errors=remount-ro 0 1\n".to_owned());
    file("/var/lib/dpkg/status", dpkg_status(versions));
    file(
        "/etc/apt/sources.list",
        format!(
            "deb http://deb.debian.org/debian {codename} main contrib\n\
             deb http://deb.debian.org/debian {codename}-updates main contrib\n\
             deb http://security.debian.org/debian-security {codename}-security main contrib\n"
        ),
    );
    let shadow = "root:$y$j9T$AAAAAAAAAAAAAAAAAAAAAA$BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB:20000:0:99999:7:::\nsshd:!:20000::::::\n";
    tree.insert("/etc/shadow", Node::file(shadow).mode(0o640).owner(0, 42));
    tree
}

fn proxmox(versions: &Versions) -> Tree {
    let codename = versions.codename;
    let mut tree = debian(versions);
    let mut file = |path: &str, text: &str| tree.insert(path, Node::file(text).mode(0o640).owner(0, 33));
    file("/etc/pve/.members", "{\n\"nodename\": \"pve1\",\n\"version\": 0\n}\n");
    file("/etc/pve/user.cfg", "user:root@pam:1:0:::root@example.com::\n");
    file("/etc/pve/datacenter.cfg", "keyboard: en-us\n");
    file(
        "/etc/pve/storage.cfg",
        "dir: local\n\tpath /var/lib/vz\n\tcontent iso,vztmpl,backup\n\nlvmthin: local-lvm\n\tthinpool data\n\tvgname pve\n\tcontent rootdir,images\n\n",
    );
    file(
        "/etc/apt/sources.list.d/proxmox.list",
        &format!("deb http://download.proxmox.com/debian/pve {codename} pve-no-subscription\n"),
    );
    file("/etc/pve/pve-root-ca.pem", include_str!("root-ca.pem"));
    file("/etc/pve/nodes/pve1/pve-ssl.pem", include_str!("node.pem"));
    file("/etc/network/interfaces", INTERFACES);
    for folder in ["qemu-server", "lxc"] {
        tree.insert(&format!("/etc/pve/nodes/pve1/{folder}"), Node::folder());
    }
    tree.insert("/etc/pve/local", Node::link("nodes/pve1"));
    tree.insert("/etc/pve/qemu-server", Node::link("nodes/pve1/qemu-server"));
    tree.insert("/etc/pve/lxc", Node::link("nodes/pve1/lxc"));
    tree.insert("/etc/pve/priv", Node::folder().mode(0o700));
    tree
}

fn dpkg_status(versions: &Versions) -> String {
    let common = [("apt", versions.apt), ("openssh-server", versions.openssh)];
    common.iter().chain(versions.packages).fold(String::new(), |status, (name, version)| {
        status
            + &format!(
                "Package: {name}\nStatus: install ok installed\nArchitecture: amd64\nVersion: {version}\n\n"
            )
    })
}

/// What the installer writes.
const INTERFACES: &str = "auto lo\niface lo inet loopback\n\niface eno1 inet manual\n\nauto vmbr0\n\
                          iface vmbr0 inet static\n\taddress 192.0.2.10/24\n\tgateway 192.0.2.1\n\
                          \tbridge-ports eno1\n\tbridge-stp off\n\tbridge-fd 0\n\n\
                          source /etc/network/interfaces.d/*\n";

/// What Debian ships, without the comments.
const SSHD_CONFIG: &str = "Include /etc/ssh/sshd_config.d/*.conf\nKbdInteractiveAuthentication no\nUsePAM yes\n\
                           X11Forwarding yes\nPrintMotd no\nAcceptEnv LANG LC_*\n\
                           Subsystem sftp /usr/lib/openssh/sftp-server\n";
