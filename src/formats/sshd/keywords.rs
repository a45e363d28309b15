//! The keywords of `sshd_config`, by version (`keywords[]` in servconf.c with Debian's patches, built with PAM,
//! Kerberos and GSSAPI, without AFS).

use super::Version;
use super::Version::{V8_4, V9_2, V10_0};
use super::algorithms::Family;

/// One spelling of a keyword.
#[derive(Debug, Clone, Copy)]
pub(super) struct Keyword {
    /// The spelling, in lower case.
    pub(super) name: &'static str,
    /// The setting it fills, named as `sshd -T` prints it.
    pub(super) setting: &'static str,
    /// How its arguments are read.
    pub(super) kind: Kind,
    /// Whether it may stand in a Match block.
    pub(super) in_match: bool,
    from: Version,
    to: Version,
}

/// A closed set of values: what may be written, and what `sshd -T` prints for it.
pub(super) type Choices = &'static [(&'static str, &'static str)];

/// How the arguments of a keyword are read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// One of a few words, in any case.
    Choice(Choices),
    /// One of a few words, in exactly this case.
    ExactChoice(Choices),
    /// A number from 0 to 2147483647.
    Count,
    /// `PerSourceMaxStartups`: a number or `none`; until 9.2 the last one wins.
    SourceStartups,
    /// A time.
    Seconds,
    /// `UnusedConnectionTimeout`: a time that the first wins, or `none` that overrides what was before.
    UnusedTimeout,
    /// A path, made absolute.
    File,
    /// A path in which only `~` is expanded.
    TildeFile,
    /// A word taken as it is.
    Word,
    /// `HostKeyAgent`: a path or `SSH_AUTH_SOCK`.
    Agent,
    /// `SecurityKeyProvider`: a path or `internal`.
    KeyProvider,
    /// `HostKey`, `HostCertificate`: paths that add up.
    Files,
    /// An algorithm list.
    Algorithms(Family),
    /// `GSSAPIKexAlgorithms`.
    GssKex,
    /// `PubkeyAuthOptions`.
    PubkeyOptions,
    /// `PermitUserEnvironment`.
    UserEnvironment,
    /// `RekeyLimit`.
    Rekey,
    /// `AllowUsers`, `DenyUsers`: patterns that add up.
    Users,
    /// `AllowGroups`, `DenyGroups`: patterns that add up.
    Groups,
    /// `AcceptEnv`: names that add up.
    AcceptEnv,
    /// `SetEnv`: assignments, the first line wins.
    SetEnv,
    /// `AuthorizedKeysFile`.
    KeysFiles,
    /// `AuthenticationMethods`.
    Methods,
    /// `PermitOpen`, or `PermitListen` where a bare port is allowed.
    Forward {
        /// Whether a port may stand alone.
        bare_port: bool,
    },
    /// `LogVerbose`.
    LogVerbose,
    /// `ChannelTimeout`.
    ChannelTimeout,
    /// `Subsystem`.
    Subsystem,
    /// `MaxStartups`.
    MaxStartups,
    /// `PerSourceNetBlockSize`.
    NetBlock,
    /// `PerSourcePenalties`.
    Penalties,
    /// `PerSourcePenaltyExemptList`.
    PenaltyExempt,
    /// `ForceCommand`: the rest of the line.
    ForceCommand,
    /// `AuthorizedKeysCommand`, `AuthorizedPrincipalsCommand`: the rest of the line, an absolute path or `none`.
    Command,
    /// `VersionAddendum`: the rest of the line.
    Addendum,
    /// `StreamLocalBindMask`: the last one wins.
    Mask,
    /// `FingerprintHash`: the last one wins.
    Digest,
    /// `IPQoS`: the last one wins.
    Quality,
    /// `Port`.
    Port,
    /// `ListenAddress`.
    Listen,
    /// `RDomain`, which no Debian build supports.
    RoutingDomain,
    /// `Include`.
    Include,
    /// `Match`.
    Match,
    /// Known, but without effect; the log says so.
    Ignored,
}

/// `yes` and `no`.
const FLAG: Choices = &[("yes", "yes"), ("no", "no")];
/// `AddressFamily`.
const FAMILIES: Choices = &[("inet", "inet"), ("inet6", "inet6"), ("any", "any")];
/// `PermitRootLogin`: the two names of one value print as the older.
const ROOT_LOGIN: Choices = &[
    ("without-password", "without-password"),
    ("prohibit-password", "without-password"),
    ("forced-commands-only", "forced-commands-only"),
    ("yes", "yes"),
    ("no", "no"),
];
/// `Compression`: `delayed` has been the only kind since 7.4.
const COMPRESSION: Choices = &[("yes", "yes"), ("delayed", "yes"), ("no", "no")];
/// `GatewayPorts`.
const GATEWAY_PORTS: Choices = &[("clientspecified", "clientspecified"), ("yes", "yes"), ("no", "no")];
/// `AllowTcpForwarding`, `AllowStreamLocalForwarding`.
const FORWARDING: Choices =
    &[("yes", "yes"), ("all", "yes"), ("no", "no"), ("remote", "remote"), ("local", "local")];
/// `IgnoreRhosts`.
const RHOSTS: Choices = &[("yes", "yes"), ("no", "no"), ("shosts-only", "shosts-only")];
/// `PermitTunnel`.
const TUNNEL: Choices =
    &[("no", "no"), ("point-to-point", "point-to-point"), ("ethernet", "ethernet"), ("yes", "yes")];
/// `LogLevel`.
const LEVELS: Choices = &[
    ("silent", "SILENT"),
    ("quiet", "SILENT"),
    ("fatal", "FATAL"),
    ("error", "ERROR"),
    ("info", "INFO"),
    ("verbose", "VERBOSE"),
    ("debug", "DEBUG"),
    ("debug1", "DEBUG"),
    ("debug2", "DEBUG2"),
    ("debug3", "DEBUG3"),
];
/// `SyslogFacility`.
const FACILITIES: Choices = &[
    ("daemon", "DAEMON"),
    ("user", "USER"),
    ("auth", "AUTH"),
    ("authpriv", "AUTHPRIV"),
    ("local0", "LOCAL0"),
    ("local1", "LOCAL1"),
    ("local2", "LOCAL2"),
    ("local3", "LOCAL3"),
    ("local4", "LOCAL4"),
    ("local5", "LOCAL5"),
    ("local6", "LOCAL6"),
    ("local7", "LOCAL7"),
];
/// `FingerprintHash`.
pub(super) const DIGESTS: Choices =
    &[("md5", "MD5"), ("sha1", "SHA1"), ("sha256", "SHA256"), ("sha384", "SHA384"), ("sha512", "SHA512")];

/// A keyword of every version that only counts outside Match blocks.
const fn global(name: &'static str, kind: Kind) -> Keyword {
    Keyword { name, setting: name, kind, in_match: false, from: V8_4, to: V10_0 }
}

/// A keyword of every version that may stand in Match blocks too.
const fn anywhere(name: &'static str, kind: Kind) -> Keyword {
    Keyword { in_match: true, ..global(name, kind) }
}

/// A keyword that fills no setting.
const fn ignored(name: &'static str, in_match: bool) -> Keyword {
    Keyword { in_match, ..global(name, Kind::Ignored) }
}

impl Keyword {
    /// Another spelling of `setting`.
    const fn fills(self, setting: &'static str) -> Self {
        Self { setting, ..self }
    }

    /// Known from `version` on.
    const fn since(self, version: Version) -> Self {
        Self { from: version, ..self }
    }

    /// Known up to and including `version`.
    const fn until(self, version: Version) -> Self {
        Self { to: version, ..self }
    }
}

/// Every keyword.
const KEYWORDS: &[Keyword] = &[
    anywhere("acceptenv", Kind::AcceptEnv),
    global("addressfamily", Kind::Choice(FAMILIES)),
    anywhere("allowagentforwarding", Kind::Choice(FLAG)),
    anywhere("allowgroups", Kind::Groups),
    anywhere("allowstreamlocalforwarding", Kind::Choice(FORWARDING)),
    anywhere("allowtcpforwarding", Kind::Choice(FORWARDING)),
    anywhere("allowusers", Kind::Users),
    anywhere("authenticationmethods", Kind::Methods),
    anywhere("authorizedkeyscommand", Kind::Command),
    anywhere("authorizedkeyscommanduser", Kind::Word),
    anywhere("authorizedkeysfile", Kind::KeysFiles),
    anywhere("authorizedprincipalscommand", Kind::Command),
    anywhere("authorizedprincipalscommanduser", Kind::Word),
    anywhere("authorizedprincipalsfile", Kind::TildeFile),
    anywhere("banner", Kind::File),
    anywhere("casignaturealgorithms", Kind::Algorithms(Family::Signatures)),
    global("challengeresponseauthentication", Kind::Choice(FLAG)).until(V8_4),
    anywhere("challengeresponseauthentication", Kind::Choice(FLAG))
        .fills("kbdinteractiveauthentication")
        .since(V9_2),
    anywhere("channeltimeout", Kind::ChannelTimeout).since(V9_2),
    anywhere("chrootdirectory", Kind::Word),
    global("ciphers", Kind::Algorithms(Family::Ciphers)),
    anywhere("clientalivecountmax", Kind::Count),
    anywhere("clientaliveinterval", Kind::Seconds),
    global("compression", Kind::Choice(COMPRESSION)),
    global("debianbanner", Kind::Choice(FLAG)),
    anywhere("denygroups", Kind::Groups),
    anywhere("denyusers", Kind::Users),
    anywhere("disableforwarding", Kind::Choice(FLAG)),
    global("dsaauthentication", Kind::Choice(FLAG)).fills("pubkeyauthentication"),
    anywhere("exposeauthinfo", Kind::Choice(FLAG)),
    global("fingerprinthash", Kind::Digest),
    anywhere("forcecommand", Kind::ForceCommand),
    anywhere("gatewayports", Kind::Choice(GATEWAY_PORTS)),
    anywhere("gssapiauthentication", Kind::Choice(FLAG)),
    global("gssapicleanupcredentials", Kind::Choice(FLAG)),
    global("gssapicleanupcreds", Kind::Choice(FLAG)).fills("gssapicleanupcredentials"),
    global("gssapikexalgorithms", Kind::GssKex),
    global("gssapikeyexchange", Kind::Choice(FLAG)),
    global("gssapistorecredentialsonrekey", Kind::Choice(FLAG)),
    global("gssapistrictacceptorcheck", Kind::Choice(FLAG)),
    anywhere("hostbasedacceptedalgorithms", Kind::Algorithms(Family::Keys)).since(V9_2),
    anywhere("hostbasedacceptedkeytypes", Kind::Algorithms(Family::Keys)).until(V8_4),
    anywhere("hostbasedacceptedkeytypes", Kind::Algorithms(Family::Keys))
        .fills("hostbasedacceptedalgorithms")
        .since(V9_2),
    anywhere("hostbasedauthentication", Kind::Choice(FLAG)),
    anywhere("hostbasedusesnamefrompacketonly", Kind::Choice(FLAG)),
    global("hostcertificate", Kind::Files),
    global("hostdsakey", Kind::Files).fills("hostkey"),
    global("hostkey", Kind::Files),
    global("hostkeyagent", Kind::Agent),
    global("hostkeyalgorithms", Kind::Algorithms(Family::Keys)),
    anywhere("ignorerhosts", Kind::Choice(RHOSTS)),
    global("ignoreuserknownhosts", Kind::Choice(FLAG)),
    anywhere("include", Kind::Include),
    anywhere("ipqos", Kind::Quality),
    anywhere("kbdinteractiveauthentication", Kind::Choice(FLAG)),
    global("keepalive", Kind::Choice(FLAG)).fills("tcpkeepalive"),
    anywhere("kerberosauthentication", Kind::Choice(FLAG)),
    global("kerberosorlocalpasswd", Kind::Choice(FLAG)),
    global("kerberosticketcleanup", Kind::Choice(FLAG)),
    global("kexalgorithms", Kind::Algorithms(Family::Kex)),
    global("listenaddress", Kind::Listen),
    global("logingracetime", Kind::Seconds),
    anywhere("loglevel", Kind::Choice(LEVELS)),
    anywhere("logverbose", Kind::LogVerbose).since(V9_2),
    global("macs", Kind::Algorithms(Family::Macs)),
    anywhere("match", Kind::Match),
    anywhere("maxauthtries", Kind::Count),
    anywhere("maxsessions", Kind::Count),
    global("maxstartups", Kind::MaxStartups),
    global("modulifile", Kind::File).since(V9_2),
    anywhere("pamservicename", Kind::Word).since(V10_0),
    anywhere("passwordauthentication", Kind::Choice(FLAG)),
    anywhere("permitemptypasswords", Kind::Choice(FLAG)),
    anywhere("permitlisten", Kind::Forward { bare_port: true }),
    anywhere("permitopen", Kind::Forward { bare_port: false }),
    anywhere("permitrootlogin", Kind::Choice(ROOT_LOGIN)),
    anywhere("permittty", Kind::Choice(FLAG)),
    anywhere("permittunnel", Kind::ExactChoice(TUNNEL)),
    global("permituserenvironment", Kind::UserEnvironment),
    anywhere("permituserrc", Kind::Choice(FLAG)),
    global("persourcemaxstartups", Kind::SourceStartups).since(V9_2),
    global("persourcenetblocksize", Kind::NetBlock).since(V9_2),
    global("persourcepenalties", Kind::Penalties).since(V10_0),
    global("persourcepenaltyexemptlist", Kind::PenaltyExempt).since(V10_0),
    global("pidfile", Kind::File),
    global("port", Kind::Port),
    global("printlastlog", Kind::Choice(FLAG)),
    global("printmotd", Kind::Choice(FLAG)),
    anywhere("pubkeyacceptedalgorithms", Kind::Algorithms(Family::Keys)).since(V9_2),
    anywhere("pubkeyacceptedkeytypes", Kind::Algorithms(Family::Keys)).until(V8_4),
    anywhere("pubkeyacceptedkeytypes", Kind::Algorithms(Family::Keys))
        .fills("pubkeyacceptedalgorithms")
        .since(V9_2),
    anywhere("pubkeyauthentication", Kind::Choice(FLAG)),
    anywhere("pubkeyauthoptions", Kind::PubkeyOptions),
    anywhere("rdomain", Kind::RoutingDomain),
    anywhere("refuseconnection", Kind::Choice(FLAG)).since(V10_0),
    anywhere("rekeylimit", Kind::Rekey),
    anywhere("requiredrsasize", Kind::Count).since(V9_2),
    anywhere("revokedkeys", Kind::File),
    global("securitykeyprovider", Kind::KeyProvider),
    anywhere("setenv", Kind::SetEnv),
    anywhere("skeyauthentication", Kind::Choice(FLAG)).fills("kbdinteractiveauthentication").since(V9_2),
    global("sshdauthpath", Kind::File).since(V10_0),
    global("sshdsessionpath", Kind::File).since(V10_0),
    anywhere("streamlocalbindmask", Kind::Mask),
    anywhere("streamlocalbindunlink", Kind::Choice(FLAG)),
    global("strictmodes", Kind::Choice(FLAG)),
    global("subsystem", Kind::Subsystem).until(V9_2),
    anywhere("subsystem", Kind::Subsystem).since(V10_0),
    global("syslogfacility", Kind::Choice(FACILITIES)),
    global("tcpkeepalive", Kind::Choice(FLAG)),
    anywhere("trustedusercakeys", Kind::File),
    anywhere("unusedconnectiontimeout", Kind::UnusedTimeout).since(V9_2),
    global("usedns", Kind::Choice(FLAG)),
    global("usepam", Kind::Choice(FLAG)),
    global("versionaddendum", Kind::Addendum),
    anywhere("x11displayoffset", Kind::Count),
    anywhere("x11forwarding", Kind::Choice(FLAG)),
    anywhere("x11uselocalhost", Kind::Choice(FLAG)),
    global("xauthlocation", Kind::File),
    // Known without effect: deprecated, ignored, or not built in.
    ignored("afstokenpassing", false),
    ignored("authorizedkeysfile2", true),
    ignored("checkmail", false),
    ignored("gssapiusesessioncredcache", false),
    ignored("gssusesessionccache", false),
    ignored("kerberosgetafstoken", false),
    ignored("kerberostgtpassing", false),
    ignored("keyregenerationinterval", false),
    ignored("pamauthenticationviakbdint", false),
    ignored("permitblacklistedkeys", false),
    ignored("protocol", false),
    ignored("reversemappingcheck", false),
    ignored("rhostsauthentication", false),
    ignored("rhostsrsaauthentication", true),
    ignored("rsaauthentication", true),
    ignored("serverkeybits", false),
    ignored("skeyauthentication", false).until(V8_4),
    ignored("uselogin", false),
    ignored("useprivilegeseparation", false),
    ignored("verifyreversemapping", false),
];

/// The keyword `name` (in any case) of `version`.
pub(super) fn find(name: &str, version: Version) -> Option<&'static Keyword> {
    KEYWORDS.iter().find(|keyword| {
        keyword.from <= version && version <= keyword.to && keyword.name.eq_ignore_ascii_case(name)
    })
}

/// The setting a keyword of any version fills in `version`: older spellings find the newer setting and the other
/// way round. `None` when `version` has nothing of the kind.
pub(super) fn setting_of(name: &str, version: Version) -> Option<&'static str> {
    if let Some(keyword) = find(name, version) {
        return Some(keyword.setting);
    }
    let newer = Version::ALL.iter().rev().find_map(|other| find(name, *other))?.setting;
    KEYWORDS
        .iter()
        .find(|keyword| keyword.setting == newer && find(keyword.name, version).is_some())
        .and_then(|keyword| find(keyword.name, version))
        .filter(|keyword| !matches!(keyword.kind, Kind::Ignored))
        .map(|keyword| keyword.setting)
}

/// A setting that is an algorithm list.
pub(super) struct AlgorithmSetting {
    /// Its name.
    pub(super) name: &'static str,
    /// What it selects from.
    pub(super) family: Family,
}

/// The algorithm lists of `version`.
pub(super) fn algorithm_settings(version: Version) -> impl Iterator<Item = AlgorithmSetting> {
    KEYWORDS
        .iter()
        .filter(move |keyword| {
            keyword.from <= version && version <= keyword.to && keyword.name == keyword.setting
        })
        .filter_map(|keyword| match keyword.kind {
            Kind::Algorithms(family) => Some(AlgorithmSetting { name: keyword.setting, family }),
            _ => None,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_spelling_means_two_things_in_one_version() {
        for version in Version::ALL {
            for keyword in KEYWORDS {
                let same = |other: &&Keyword| {
                    other.name == keyword.name && other.from <= version && version <= other.to
                };
                assert!(KEYWORDS.iter().filter(same).count() <= 1, "{} in {version:?}", keyword.name);
            }
        }
    }

    #[test]
    fn a_setting_is_found_under_the_names_of_other_versions() {
        assert_eq!(setting_of("PubkeyAcceptedAlgorithms", V8_4), Some("pubkeyacceptedkeytypes"));
        assert_eq!(setting_of("pubkeyacceptedkeytypes", V10_0), Some("pubkeyacceptedalgorithms"));
        assert_eq!(setting_of("challengeresponseauthentication", V9_2), Some("kbdinteractiveauthentication"));
        assert_eq!(
            setting_of("challengeresponseauthentication", V8_4),
            Some("challengeresponseauthentication")
        );
        assert_eq!(setting_of("requiredrsasize", V8_4), None);
        assert_eq!(setting_of("nothing", V9_2), None);
    }
}
