//! The reading of `sshd_config` held against the real sshd: every text here goes through `sshd -T`, too.
//!
//! The installed `/usr/sbin/sshd` is asked when it is one of the supported releases; on Debian 12 that is 9.2p1.
//! `SSHD_ORACLE_ROOTS` may name more Debian trees (separated by colons, entered with `chroot`, so as root).
//! Without any sshd the tests say so and pass, unless `CI` is set.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the test writes files for another program and starts it, says when it was skipped, and may fail"
)]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use proptest::prelude::*;
use pve_audit::formats::sshd::{CommandLine, Effective, Included, Read, Version, evaluate_with};
use tempfile::TempDir;

/// A real sshd.
struct Oracle {
    /// The tree it lives in, `/` for the installed one.
    root: PathBuf,
    version: Version,
    /// A folder inside the tree for files.
    folder: TempDir,
}

impl Oracle {
    /// Every sshd there is.
    fn all() -> Vec<Self> {
        let extra = std::env::var("SSHD_ORACLE_ROOTS").unwrap_or_default();
        let roots = std::iter::once("/").chain(extra.split(':').filter(|root| !root.is_empty()));
        let all: Vec<Self> = roots.filter_map(|root| Self::at(Path::new(root))).collect();
        if all.is_empty() {
            assert!(std::env::var_os("CI").is_none(), "no supported sshd is installed");
            eprintln!("skipped: no supported sshd is installed");
        }
        all
    }

    fn at(root: &Path) -> Option<Self> {
        if !root.join("usr/sbin/sshd").exists() {
            return None;
        }
        // An unknown option makes every release print its version.
        let output = command(root, "/usr/sbin/sshd").arg("-?").output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        let release = text.split("OpenSSH_").nth(1)?.split([' ', ',']).next()?.to_owned();
        let version = Version::from_package(&release)?;
        let folder = tempfile::Builder::new().prefix("sshd-oracle").tempdir_in(root.join("tmp")).unwrap();
        // Privilege separation wants this folder, which the service unit makes otherwise.
        if std::fs::create_dir_all(root.join("run/sshd")).is_err() {
            eprintln!("skipped: sshd in {} cannot be asked without root", root.display());
            return None;
        }
        let oracle = Self { root: root.to_owned(), version, folder };
        let key = oracle.folder.path().join("key");
        let made =
            Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key).status();
        assert!(made.unwrap().success());
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        Some(oracle)
    }

    /// The path of a file in the folder, as sshd sees it.
    fn inside(&self, name: &str) -> String {
        let path = self.folder.path().join(name);
        Path::new("/").join(path.strip_prefix(&self.root).unwrap()).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    /// The lines of `sshd -T`, or what it complains about.
    fn asked(&self, options: &[String]) -> Result<Vec<String>, String> {
        // A `Match LocalPort` makes `-T` fail unless the port is given.
        let output = command(&self.root, "/usr/sbin/sshd")
            .args(["-T", "-C", "lport=1", "-f", &self.inside("config")])
            .args(options)
            .output()
            .unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut lines: Vec<String> = text.lines().map(normal).collect();
        lines.sort();
        Ok(lines)
    }

    /// Compares both readings of `text`, which may include the files by `{dir}/name`.
    fn compare(&self, text: &str, files: &[(&str, &str)], options: &[&str]) -> Effective {
        let folder = self.inside("");
        let folder = folder.trim_end_matches('/');
        let placed = |text: &str| text.replace("{dir}", folder);
        let included: BTreeMap<String, String> =
            files.iter().map(|(name, text)| (self.inside(name), placed(text))).collect();
        for entry in std::fs::read_dir(self.folder.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|end| end == "conf") {
                std::fs::remove_file(path).unwrap();
            }
        }
        for (name, text) in files {
            self.write(name, &placed(text));
        }
        let text = placed(text);
        self.write("config", &text);
        let mut words = vec!["-h".to_owned(), self.inside("key")];
        words.extend(options.iter().map(|word| (*word).to_owned()));

        let said = self.asked(&words);
        let command_line = CommandLine::from_words(&words);
        let mut include = |pattern: &str| found(pattern, &included);
        let ours = evaluate_with(&command_line, &self.inside("config"), &text, self.version, &mut include);

        let context = format!("{:?} reads\n{text}\nwith {files:?} and {options:?}", self.version);
        match said {
            Err(complaint) => {
                // A name that sshd looks up may or may not be known to it: we do not decide that.
                let open = ours.problems.iter().any(|problem| problem.what.contains("looked up"));
                assert!(open || !ours.valid(), "{context}\nsshd refuses it: {complaint}");
            }
            Ok(lines) => {
                let stops: Vec<_> = ours.problems.iter().filter(|problem| problem.stops).collect();
                assert!(stops.is_empty(), "{context}\nsshd takes it, we say {stops:?}");
                pretty_compare(&printed(&ours), &lines, &context);
            }
        }
        ours
    }
}

/// `program` in the tree `root`, in the working directory the daemon has.
fn command(root: &Path, program: &str) -> Command {
    let mut command = if root == Path::new("/") {
        Command::new(program)
    } else {
        let mut command = Command::new("chroot");
        command.arg(root).arg(program);
        command
    };
    command.current_dir("/");
    command
}

/// The files a pattern with at most one `*` in its last part finds.
fn found(pattern: &str, files: &BTreeMap<String, String>) -> Vec<Included> {
    let (front, back) = pattern.split_once('*').unwrap_or((pattern, ""));
    let hit = |path: &str| {
        if pattern.contains('*') {
            path.strip_prefix(front).is_some_and(|rest| rest.ends_with(back) && !rest.contains('/'))
        } else {
            path == pattern
        }
    };
    let hits = files.iter().filter(|(path, _)| hit(path));
    hits.map(|(path, text)| Included { path: path.clone(), read: Read::Text(text.clone()) }).collect()
}

/// One line of `-T`, without the value of an environment variable.
fn normal(line: &str) -> String {
    let line = line.trim_end();
    match line.split_once(' ') {
        Some(("setenv", rest)) => {
            format!("setenv {}", rest.split('=').next().unwrap_or(rest)).trim_end().to_owned()
        }
        Some((name @ ("hostkey" | "hostcertificate"), "(null)")) => format!("{name} none"),
        _ => line.to_owned(),
    }
}

/// Our settings as `-T` would print them.
fn printed(ours: &Effective) -> Vec<String> {
    let mut lines = ours.lines();
    lines.sort();
    lines
}

fn pretty_compare(ours: &[String], theirs: &[String], context: &str) {
    let only_ours: Vec<_> = ours.iter().filter(|line| !theirs.contains(line)).collect();
    let only_theirs: Vec<_> = theirs.iter().filter(|line| !ours.contains(line)).collect();
    assert!(ours == theirs, "{context}\nonly we say {only_ours:#?}\nonly sshd says {only_theirs:#?}");
}

/// Keywords with values that are worth a try, good and bad.
const LINES: &[(&str, &[&str])] = &[
    ("AcceptEnv", &["LANG LC_*", "A=B", "\"\"", "'X Y' Z"]),
    ("AddressFamily", &["any", "INET", "inet6", "ipv4"]),
    ("AllowAgentForwarding", &["no", "yes"]),
    ("AllowGroups", &["wheel staff", "\"domain users\"", "a \"\" b"]),
    ("AllowStreamLocalForwarding", &["all", "local", "no"]),
    ("AllowTcpForwarding", &["all", "remote", "LOCAL", "maybe"]),
    ("AllowUsers", &["root anna", "root@10.0.0.0/8", "root@10.0.0.1/8", "root@*.example", "a@"]),
    ("AuthenticationMethods", &["any", "publickey,password publickey", "publickey any", "any any", "bogus"]),
    ("AuthenticationMethods", &["hostbased", "keyboard-interactive:pam", "none", "publickey,"]),
    ("AuthorizedKeysCommand", &["/usr/bin/x \"%u\" # y", "none", "relative", "NONE"]),
    ("AuthorizedKeysCommandUser", &["nobody", "%u"]),
    ("AuthorizedKeysFile", &["/etc/keys/%u .ssh/k", "~/k \"a b\"", "none", "''"]),
    ("AuthorizedPrincipalsCommand", &["/usr/bin/p", "none"]),
    ("AuthorizedPrincipalsCommandUser", &["nobody"]),
    ("AuthorizedPrincipalsFile", &["~/.p", "NONE", "/p/%u"]),
    ("Banner", &["/etc/issue", "none", "rel/ative", "=x", "~", "~//b", "\"/a b\""]),
    ("CASignatureAlgorithms", &["+ssh-rsa", "-rsa*", "ssh-ed25519", "+ssh-rsa-cert-v01@openssh.com"]),
    ("ChallengeResponseAuthentication", &["no", "yes"]),
    ("ChannelTimeout", &["session=5m", "none", "session=1 none", "none x=1", "=5", "*=0 x11=1h"]),
    ("ChrootDirectory", &["/srv/%u", "none", "NONE"]),
    (
        "Ciphers",
        &["aes128-ctr", "+aes128-cbc", "-*cbc,*gcm*", "^aes256-ctr,3des-cbc", "aes*", "-*", "aes128-ctr,"],
    ),
    ("ClientAliveCountMax", &["0", "3x", "2147483648", " 5"]),
    ("ClientAliveInterval", &["15m", "1h30", "0", "-1", "+5", "60000000w"]),
    ("Compression", &["delayed", "no", "YES"]),
    ("DebianBanner", &["no"]),
    ("DenyUsers", &["guest"]),
    ("DenyGroups", &["guests"]),
    ("DisableForwarding", &["yes"]),
    ("DSAAuthentication", &["no"]),
    ("ExposeAuthInfo", &["yes"]),
    ("FingerprintHash", &["md5", "SHA256", "sha3"]),
    ("ForceCommand", &["internal-sftp -l INFO", "none", "echo \"a # b\"", "echo 'x", "NONE # x"]),
    ("GatewayPorts", &["clientspecified", "yes"]),
    ("GSSAPIAuthentication", &["yes"]),
    ("GSSAPIKexAlgorithms", &["gss-group14-sha256-", "gss-x-", "gss-gex-sha1-abc,gss-nistp256-sha256-"]),
    ("HostbasedAcceptedAlgorithms", &["+ssh-rsa", "ssh-*", "!ssh-rsa"]),
    ("HostbasedAcceptedKeyTypes", &["+ssh-dss", "RSA", "-*"]),
    ("HostbasedAuthentication", &["yes"]),
    ("HostCertificate", &["/c", "none"]),
    ("HostKey", &["/etc/ssh/k1", "none", "rel"]),
    ("HostKeyAgent", &["SSH_AUTH_SOCK", "none"]),
    ("HostKeyAlgorithms", &["ssh-ed25519,rsa-sha2-512", "+ssh-rsa", "^rsa-sha2-512", "null", "bogus"]),
    ("IgnoreRhosts", &["shosts-only", "no"]),
    ("IPQoS", &["ef", "lowdelay throughput", "0x10", "300", "none cs1", "8 010", "le 4", "AF21"]),
    ("KbdInteractiveAuthentication", &["no", "yes"]),
    ("KeepAlive", &["no"]),
    (
        "KexAlgorithms",
        &["curve25519-sha256", "-*nistp*", "+diffie-hellman-group1-sha1", "^sntrup761x25519-sha512"],
    ),
    ("KexAlgorithms", &["gss-gex-sha1-", "+mlkem768x25519-sha256", "-curve*,!curve25519-sha256"]),
    ("KeyRegenerationInterval", &["1h", "x y z"]),
    (
        "ListenAddress",
        &["0.0.0.0", "10.0.0.1:2222", "[::1]:22", "::1", "127.1", "1.2.3.4/22", "[::1", "a::b:99999"],
    ),
    ("ListenAddress", &["10.0.0.1:0", "\"10.0.0.2\"", "10.0.0.1:22x", "::1.2.3.4"]),
    ("LoginGraceTime", &["0", "30", "2m", "1m 30s", "\"1m 30s\"", "5y"]),
    ("LogLevel", &["VERBOSE", "quiet", "debug1", "LOUD"]),
    ("LogVerbose", &["kex.c:*:1000", "none", "a none", "none a", "\"\""]),
    ("MACs", &["hmac-sha2-256", "-hmac-sha1*", "+hmac-md5", "umac-64@openssh.com,"]),
    ("MaxAuthTries", &["3", "3#x", "3 #x", "six"]),
    ("MaxSessions", &["2", ""]),
    ("MaxStartups", &["5", "10:30:60", "10:30", "60:30:10", "0", "10:0:60", "5x", "10:30:100junk", "-5"]),
    ("ModuliFile", &["/m", "none"]),
    ("PAMServiceName", &["other"]),
    ("PasswordAuthentication", &["no", "yes", "No", "\"no\"", "= no", "'no'"]),
    ("PermitEmptyPasswords", &["yes"]),
    ("PermitListen", &["8080 localhost:80", "any", "none", "any 80", "*:*", "x"]),
    ("PermitOpen", &["host:80 [::1]:*", "none", "any", "host", "a/b:1", "80 any", "\"\" x"]),
    (
        "PermitRootLogin",
        &["prohibit-password", "yes", "NO", "forced-commands-only", "yes # c", "yes x", "without-password"],
    ),
    ("PermitTTY", &["no"]),
    ("PermitTunnel", &["point-to-point", "YES", "ethernet", "yes"]),
    ("PermitUserEnvironment", &["No", "no", "yes", "LANG,LC_*"]),
    ("PermitUserRC", &["no"]),
    ("PerSourceMaxStartups", &["5", "none", "None"]),
    ("PerSourceNetBlockSize", &["24:56", "33:1", "24:129", "32:128x"]),
    (
        "PerSourcePenalties",
        &["no", "crash:2m authfail:1", "yes", "max:1h no", "overflow:deny-all", "noauth:x", "no min:1"],
    ),
    ("PerSourcePenaltyExemptList", &["10.0.0.0/8,::1", "10.0.0.1/8", "none"]),
    ("PidFile", &["none", "/x", "x"]),
    ("Port", &["22", "2222", "0", "65536", "ssh", "22x"]),
    ("PrintLastLog", &["no"]),
    ("PrintMotd", &["no"]),
    ("Protocol", &["2", "1,2 x"]),
    ("PubkeyAcceptedAlgorithms", &["+ssh-rsa", "^ssh-ed25519", "-ecdsa*", "rsa", "ssh-rsa,,bogus", "!*"]),
    ("PubkeyAcceptedKeyTypes", &["+ssh-rsa", "ssh-dss", "-*nistp*"]),
    ("PubkeyAuthentication", &["no", "yes"]),
    ("PubkeyAuthOptions", &["touch-required", "verify-required touch-required", "none", "maybe"]),
    ("RDomain", &["none", "x"]),
    ("RefuseConnection", &["yes"]),
    ("RekeyLimit", &["1G 1h", "default none", "512M", "10", "1.5K 90", "-1", "K", "1G x", "0"]),
    ("RequiredRSASize", &["2048"]),
    ("RevokedKeys", &["/etc/ssh/revoked", "none"]),
    ("RSAAuthentication", &["yes"]),
    ("SecurityKeyProvider", &["internal", "INTERNAL", "lib.so", "none"]),
    ("ServerKeyBits", &["768"]),
    ("SetEnv", &["A=1 B=2", "A=1 A=2", "A", "\"C=x y\" D="]),
    ("SkeyAuthentication", &["no"]),
    ("SshdSessionPath", &["/x"]),
    ("StreamLocalBindMask", &["0077", "888", "0", "07778", "1000"]),
    ("StreamLocalBindUnlink", &["yes"]),
    ("StrictModes", &["no"]),
    ("Subsystem", &["sftp internal-sftp", "sftp /x -l \"a b\"", "x", "other 'q\\z' ''"]),
    ("SyslogFacility", &["authpriv", "LOCAL7", "kern"]),
    ("TCPKeepAlive", &["no"]),
    ("TrustedUserCAKeys", &["/ca", "None"]),
    ("UnusedConnectionTimeout", &["5m", "none", "0", "NONE"]),
    ("UseDNS", &["yes"]),
    ("UsePAM", &["yes", "no"]),
    ("UsePrivilegeSeparation", &["sandbox"]),
    ("VersionAddendum", &["none", "x # y", "\"x y\"", "a b"]),
    ("X11DisplayOffset", &["0"]),
    ("X11Forwarding", &["yes", "no"]),
    ("X11UseLocalhost", &["no"]),
    ("XAuthLocation", &["none", "/x"]),
    ("NoSuchKeyword", &["x"]),
];

/// Match lines, good and bad.
const MATCHES: &[&str] = &[
    "all",
    "All # comment",
    "all user root",
    "user root",
    "User=root",
    "User root,!anna Address 10.0.0.0/8",
    "address 10.0.0.1/8",
    "Address *",
    "LocalPort 22",
    "LocalPort x!",
    "group wheel",
    "host *.example",
    "localaddress ::/0",
    "rdomain x",
    "invalid-user",
    "version OpenSSH_10.*",
    "version OpenSSH_10.* all",
    "user \"\"",
    "user",
    "exec true",
    "user root # comment",
    "\"all\"",
];

#[test]
fn an_empty_file_gives_the_compiled_defaults() {
    for oracle in Oracle::all() {
        oracle.compare("", &[], &[]);
    }
}

#[test]
fn the_file_debian_ships_reads_the_same() {
    let text = "Include {dir}/*.conf\nKbdInteractiveAuthentication no\nUsePAM yes\nX11Forwarding yes\nPrintMotd no\n\
                AcceptEnv LANG LC_*\nSubsystem\tsftp\t/usr/lib/openssh/sftp-server\n";
    for oracle in Oracle::all() {
        oracle.compare(
            text,
            &[("10-a.conf", "PermitRootLogin no\n"), ("9-b.conf", "PermitRootLogin yes\n")],
            &[],
        );
        oracle.compare(text, &[], &[]);
    }
}

#[test]
fn every_keyword_alone_reads_the_same() {
    for oracle in Oracle::all() {
        for (keyword, values) in LINES {
            for value in *values {
                oracle.compare(&format!("{keyword} {value}\n"), &[], &[]);
            }
        }
    }
}

#[test]
fn every_keyword_set_twice_reads_the_same() {
    for oracle in Oracle::all() {
        for (keyword, values) in LINES {
            for pair in values.windows(2) {
                oracle.compare(&format!("{keyword} {}\n{keyword} {}\n", pair[0], pair[1]), &[], &[]);
                oracle.compare(&format!("{keyword} {}\n{keyword} {}\n", pair[1], pair[0]), &[], &[]);
            }
        }
    }
}

#[test]
fn every_keyword_in_a_match_block_reads_the_same() {
    for oracle in Oracle::all() {
        for (keyword, values) in LINES {
            let value = values[0];
            let last = values[values.len() - 1];
            oracle.compare(&format!("Match user x\n{keyword} {value}\n"), &[], &[]);
            oracle.compare(&format!("{keyword} {last}\nMatch all\n{keyword} {value}\n"), &[], &[]);
        }
        for criteria in MATCHES {
            oracle.compare(&format!("PermitRootLogin no\nMatch {criteria}\nPermitRootLogin yes\n"), &[], &[]);
        }
    }
}

#[test]
fn oddly_written_lines_read_the_same() {
    let texts = [
        "PermitRootLogin=no\n",
        "PermitRootLogin = no\n",
        "PermitRootLogin == no\n",
        "=PermitRootLogin no\n",
        "\"PermitRootLogin\" no\n",
        "\"PermitRootLogin no\n",
        "PermitRootLogin \"no\n",
        "PermitRootLogin no\r\n",
        "PermitRootLogin no \x0c\n",
        "PermitRootLogin\x0cno\n",
        "\x0c\n",
        "\u{feff}PermitRootLogin no\n",
        "PermitRootLogin no",
        "PermitRootLogin\n",
        "PermitRootLogin \\\nno\n",
        "  \t PermitRootLogin\t\tno\n",
        "Banner /a#b\n",
        "Banner \"/a #b\"\n",
        "Banner /a\\ b\n",
        "Banner '/a b' #c\n",
        "AllowUsers a \"b\nPermitRootLogin no\n",
        "AllowUsers # nobody\n",
        "Port 22\0x\n PermitRootLogin no\nUsePAM yes\n",
        "#Port 23\n # x\nPort 24 # y\n",
        "ForceCommand = x\n",
        "ForceCommand \"\" x\n",
        "Include\n",
        "Include \"\"\n",
        "Include ~/sshd-oracle-none\n",
        "Include /nonexistent/*\n",
        "VersionAddendum a\rb\n",
        "Subsystem a x\nMatch user y\nSubsystem a z\n",
        "AuthorizedPrincipalsCommand /a\nAuthorizedPrincipalsCommandUser u\nAuthorizedPrincipalsCommand /b\n",
        "AuthorizedKeysCommand /a\nAuthorizedKeysCommandUser u\nAuthorizedPrincipalsCommand /b\n",
        "AuthenticationMethods publickey\nMatch user x\nAuthenticationMethods any\n",
        "AuthenticationMethods password\nPasswordAuthentication no\n",
        "PermitUserEnvironment no\nMatch all\nPermitUserEnvironment LANG\n",
        "Match all\nPort 2222\nMatch user x\nPermitRootLogin yes\nMatch all\nPort 2223\n",
        "AddressFamily inet\nListenAddress ::1\n",
        "AddressFamily inet6\nListenAddress 10.0.0.1\n",
        "ListenAddress 10.0.0.1\nPort 1\nPort 2\nListenAddress ::1\n",
        "MaxStartups 5:50:60\nMaxStartups 7\n",
    ];
    for oracle in Oracle::all() {
        for text in texts {
            oracle.compare(text, &[], &[]);
        }
    }
}

#[test]
fn includes_and_match_blocks_nest_the_same() {
    let cases: &[(&str, &[(&str, &str)])] = &[
        ("Match user x\nInclude {dir}/a.conf\nUsePAM yes\n", &[("a.conf", "PermitRootLogin yes\n")]),
        ("Match user x\nInclude {dir}/a.conf\n", &[("a.conf", "Match all\nPermitRootLogin yes\n")]),
        ("Match user x\nInclude {dir}/a.conf\n", &[("a.conf", "Match all\nUsePAM yes\n")]),
        ("Match user x\nInclude {dir}/a.conf\n", &[("a.conf", "UsePAM yes\n")]),
        ("Include {dir}/a.conf\nUsePAM yes\n", &[("a.conf", "Match user x\nPermitRootLogin yes\n")]),
        ("Include {dir}/a.conf\nPermitRootLogin no\n", &[("a.conf", "Match all\nPermitRootLogin yes\n")]),
        (
            "Match all\nInclude {dir}/a.conf {dir}/b.conf\nX11Forwarding yes\n",
            &[
                ("a.conf", "Match user x\nPermitRootLogin yes\n"),
                ("b.conf", "PermitRootLogin no\nUsePAM yes\n"),
            ],
        ),
        (
            "PasswordAuthentication yes\nMatch all\nPasswordAuthentication no\nInclude {dir}/a.conf\nAllowUsers c\n",
            &[("a.conf", "AllowUsers a b\nMatch all\nAllowUsers d\n")],
        ),
        ("Include {dir}/a.conf\n", &[("a.conf", "Include {dir}/a.conf\n")]),
        (
            "Include {dir}/a.conf {dir}/a.conf\n",
            &[("a.conf", "AllowUsers a\nInclude {dir}/b*\n"), ("b.conf", "Port 1")],
        ),
        ("Include \"{dir}/a b.conf\"\n", &[("a b.conf", "PermitRootLogin no\n")]),
        (
            "Include {dir}/*.conf\n",
            &[("Z.conf", "Port 1\n"), ("a.conf", "Port 2\n"), ("10.conf", "Port 3\n")],
        ),
    ];
    for oracle in Oracle::all() {
        for (text, files) in cases {
            oracle.compare(text, files, &[]);
        }
    }
}

#[test]
fn options_of_the_command_line_read_the_same() {
    let text =
        "Port 22\nPermitRootLogin yes\nAllowUsers a\nMaxStartups 5\nLogLevel VERBOSE\nAddressFamily any\n";
    let cases: &[&[&str]] = &[
        &["-p", "2222"],
        &["-p2222", "-p", "2223"],
        &["-p", "0"],
        &["-o", "Port=2222"],
        &["-o", "PermitRootLogin no", "-oPermitRootLogin=yes"],
        &["-o", "AllowUsers b", "-o", "MaxStartups=9"],
        &["-o", "Include /x"],
        &["-o", "Match all"],
        &["-o", "Bogus x"],
        &["-o", "PermitRootLogin"],
        &["-4"],
        &["-6", "-q"],
        &["-g", "5m"],
        &["-g", "x"],
        &["-c", "/cert"],
        &["-u0", "-k", "9", "-b", "5"],
        &["-o", "UsePAM yes # x"],
    ];
    for oracle in Oracle::all() {
        for options in cases {
            oracle.compare(text, &[], options);
        }
    }
}

/// A line with a keyword, a value and a way of writing.
fn line() -> impl Strategy<Value = String> {
    let known = (0..LINES.len(), any::<prop::sample::Index>(), 0..12_u8).prop_map(|(at, value, style)| {
        let (keyword, values) = LINES[at];
        let value = value.get(values);
        match style {
            0 => format!("{keyword}={value}"),
            1 => format!("  {}\t{value}  ", keyword.to_lowercase()),
            2 => format!("{} {value} # note", keyword.to_uppercase()),
            3 => format!("#{keyword} {value}"),
            4 => format!("{keyword} \"{value}\""),
            _ => format!("{keyword} {value}"),
        }
    });
    let good = (0..LINES.len()).prop_map(|at| format!("{} {}", LINES[at].0, LINES[at].1[0]));
    let block = prop::sample::select(MATCHES).prop_map(|criteria| format!("Match {criteria}"));
    let include = Just("Include {dir}/*.conf".to_owned());
    let soup =
        ("(Banner|ForceCommand|AllowUsers|PermitOpen|SetEnv|Match)", "[ab \\\\\"'=#,!*:@/0-9\t]{0,12}")
            .prop_map(|(keyword, rest)| format!("{keyword} {rest}"));
    prop_oneof![10 => good, 4 => known, 2 => block, 1 => include, 1 => soup]
}

/// Lines of one file; `deep` files include nothing.
fn file(deep: bool) -> impl Strategy<Value = String> {
    prop::collection::vec(line(), 0..6).prop_map(move |lines| {
        let kept = lines.into_iter().filter(|line| !deep || !line.starts_with("Include"));
        kept.collect::<Vec<_>>().join("\n")
    })
}

#[test]
fn made_up_files_read_the_same() {
    let oracles = Oracle::all();
    let config = ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(text in file(false), first in file(true), second in file(true))| {
        for oracle in &oracles {
            oracle.compare(&text, &[("a.conf", &first), ("b.conf", &second)], &[]);
        }
    });
}
