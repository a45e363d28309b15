//! What sshd does where nothing is configured (`fill_default_server_options` in servconf.c, with Debian's patches).
//!
//! The file Debian ships sets some of these itself (`UsePAM yes`, `X11Forwarding yes`, …): that is configuration,
//! and gone where an administrator replaced the file. Algorithm lists have their defaults in `algorithms`.

use super::Version;
use super::Version::{V8_4, V9_2, V10_0};

/// `SSH_DEFAULT_PORT`.
pub(super) const PORT: &str = "22";
/// `MaxStartups`: connections from which on some are refused, the percentage refused, connections from which on
/// all are.
pub(super) const STARTUPS: [&str; 3] = ["10", "30", "100"];
/// `RekeyLimit`: bytes (0: the cipher's own limit) and seconds (0: never).
pub(super) const REKEY: [&str; 2] = ["0", "0"];
/// `PerSourcePenalties`, as printed; `overflow6` is `overflow` where only that is set.
pub(super) const PENALTIES: [(&str, &str); 11] = [
    ("crash", "90"),
    ("authfail", "5"),
    ("noauth", "1"),
    ("grace-exceeded", "10"),
    ("refuseconnection", "10"),
    ("max", "600"),
    ("min", "15"),
    ("max-sources4", "65536"),
    ("max-sources6", "65536"),
    ("overflow", "permissive"),
    ("overflow6", "permissive"),
];

/// A setting's default in a range of versions.
struct Default {
    setting: &'static str,
    values: &'static [&'static str],
    from: Version,
    to: Version,
}

const fn always(setting: &'static str, values: &'static [&'static str]) -> Default {
    Default { setting, values, from: V8_4, to: V10_0 }
}

impl Default {
    const fn since(self, version: Version) -> Self {
        Self { from: version, ..self }
    }

    const fn until(self, version: Version) -> Self {
        Self { to: version, ..self }
    }
}

/// Every default but those that other constants hold.
const DEFAULTS: &[Default] = &[
    always("addressfamily", &["any"]),
    always("allowagentforwarding", &["yes"]),
    always("allowstreamlocalforwarding", &["yes"]),
    always("allowtcpforwarding", &["yes"]),
    always("authenticationmethods", &["any"]),
    always("authorizedkeyscommand", &["none"]),
    always("authorizedkeyscommanduser", &["none"]),
    always("authorizedkeysfile", &[".ssh/authorized_keys", ".ssh/authorized_keys2"]),
    always("authorizedprincipalscommand", &["none"]),
    always("authorizedprincipalscommanduser", &["none"]),
    always("authorizedprincipalsfile", &["none"]),
    always("banner", &["none"]),
    always("challengeresponseauthentication", &["yes"]).until(V8_4),
    always("channeltimeout", &["none"]).since(V10_0),
    always("chrootdirectory", &["none"]),
    always("clientalivecountmax", &["3"]),
    always("clientaliveinterval", &["0"]),
    always("compression", &["yes"]),
    always("debianbanner", &["yes"]),
    always("disableforwarding", &["no"]),
    always("exposeauthinfo", &["no"]),
    always("fingerprinthash", &["SHA256"]),
    always("forcecommand", &["none"]),
    always("gatewayports", &["no"]),
    always("gssapiauthentication", &["no"]),
    always("gssapicleanupcredentials", &["yes"]),
    always("gssapikexalgorithms", super::algorithms::DEFAULT_GSS_KEX),
    always("gssapikeyexchange", &["no"]),
    always("gssapistorecredentialsonrekey", &["no"]),
    always("gssapistrictacceptorcheck", &["yes"]),
    always("hostbasedauthentication", &["no"]),
    always("hostbasedusesnamefrompacketonly", &["no"]),
    always(
        "hostkey",
        &["/etc/ssh/ssh_host_rsa_key", "/etc/ssh/ssh_host_ecdsa_key", "/etc/ssh/ssh_host_ed25519_key"],
    ),
    always("hostkeyagent", &["none"]),
    always("ignorerhosts", &["yes"]),
    always("ignoreuserknownhosts", &["no"]),
    // Debian keeps the old classes until 9.2 (patch restore-dscp-old-values), 10.0 has upstream's.
    always("ipqos", &["lowdelay", "throughput"]).until(V9_2),
    always("ipqos", &["ef", "cs1"]).since(V10_0),
    // In 8.4 `ChallengeResponseAuthentication`, on by default, switches this on.
    always("kbdinteractiveauthentication", &["no"]).until(V8_4),
    always("kbdinteractiveauthentication", &["yes"]).since(V9_2),
    always("kerberosauthentication", &["no"]),
    always("kerberosorlocalpasswd", &["yes"]),
    always("kerberosticketcleanup", &["yes"]),
    always("logingracetime", &["120"]),
    always("loglevel", &["INFO"]),
    always("maxauthtries", &["6"]),
    always("maxsessions", &["10"]),
    always("modulifile", &["/etc/ssh/moduli"]).since(V9_2),
    always("pamservicename", &["sshd"]).since(V10_0),
    always("passwordauthentication", &["yes"]),
    always("permitemptypasswords", &["no"]),
    always("permitlisten", &["any"]),
    always("permitopen", &["any"]),
    always("permitrootlogin", &["without-password"]),
    always("permittty", &["yes"]),
    always("permittunnel", &["no"]),
    always("permituserenvironment", &["no"]),
    always("permituserrc", &["yes"]),
    always("persourcemaxstartups", &["none"]).since(V9_2),
    always("persourcenetblocksize", &["32:128"]).since(V9_2),
    always("persourcepenaltyexemptlist", &["none"]).since(V10_0),
    always("pidfile", &["/run/sshd.pid"]),
    always("port", &[PORT]),
    always("printlastlog", &["yes"]),
    always("printmotd", &["yes"]),
    always("pubkeyauthentication", &["yes"]),
    always("pubkeyauthoptions", &["none"]),
    always("refuseconnection", &["no"]).since(V10_0),
    always("requiredrsasize", &["1024"]).since(V9_2),
    always("revokedkeys", &["none"]),
    always("securitykeyprovider", &["internal"]),
    always("sshdauthpath", &["/usr/lib/openssh/sshd-auth"]).since(V10_0),
    always("sshdsessionpath", &["/usr/lib/openssh/sshd-session"]).since(V10_0),
    always("streamlocalbindmask", &["0177"]),
    always("streamlocalbindunlink", &["no"]),
    always("strictmodes", &["yes"]),
    always("syslogfacility", &["AUTH"]),
    always("tcpkeepalive", &["yes"]),
    always("trustedusercakeys", &["none"]),
    always("unusedconnectiontimeout", &["none"]).since(V9_2),
    always("usedns", &["no"]),
    always("usepam", &["no"]),
    always("versionaddendum", &["none"]),
    always("x11displayoffset", &["10"]),
    always("x11forwarding", &["no"]),
    always("x11uselocalhost", &["yes"]),
    always("xauthlocation", &["/usr/bin/xauth"]),
];

/// The settings with a default in `version`, and that default.
pub(super) fn all(version: Version) -> impl Iterator<Item = (&'static str, &'static [&'static str])> {
    DEFAULTS
        .iter()
        .filter(move |default| default.from <= version && version <= default.to)
        .map(|default| (default.setting, default.values))
}
