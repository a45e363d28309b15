//! The settings as `sshd -T` prints them (`dump_config` in servconf.c).

use std::collections::BTreeMap;

use super::address::{numeric_host, with_port};
use super::algorithms::{Family, selected};
use super::keywords::{Kind, algorithm_settings, find};
use super::options::{Options, PENALTIES_ON, renamed};
use super::read::part;
use super::state::Problems;
use super::{Effective, Source, Value, Version, defaults};
use crate::formats::shown;

/// The settings in the order in which `-T` prints them, the same in all three versions.
const ORDER: [&str; 107] = [
    "port",
    "addressfamily",
    "listenaddress",
    "usepam",
    "pamservicename",
    "logingracetime",
    "x11displayoffset",
    "maxauthtries",
    "maxsessions",
    "clientaliveinterval",
    "clientalivecountmax",
    "requiredrsasize",
    "streamlocalbindmask",
    "unusedconnectiontimeout",
    "permitrootlogin",
    "ignorerhosts",
    "ignoreuserknownhosts",
    "hostbasedauthentication",
    "hostbasedusesnamefrompacketonly",
    "pubkeyauthentication",
    "kerberosauthentication",
    "kerberosorlocalpasswd",
    "kerberosticketcleanup",
    "gssapiauthentication",
    "gssapicleanupcredentials",
    "gssapikeyexchange",
    "gssapistrictacceptorcheck",
    "gssapistorecredentialsonrekey",
    "gssapikexalgorithms",
    "passwordauthentication",
    "kbdinteractiveauthentication",
    "challengeresponseauthentication",
    "printmotd",
    "printlastlog",
    "x11forwarding",
    "x11uselocalhost",
    "permittty",
    "permituserrc",
    "strictmodes",
    "tcpkeepalive",
    "permitemptypasswords",
    "compression",
    "gatewayports",
    "usedns",
    "allowtcpforwarding",
    "allowagentforwarding",
    "disableforwarding",
    "allowstreamlocalforwarding",
    "streamlocalbindunlink",
    "fingerprinthash",
    "exposeauthinfo",
    "refuseconnection",
    "debianbanner",
    "pidfile",
    "modulifile",
    "xauthlocation",
    "ciphers",
    "macs",
    "banner",
    "forcecommand",
    "chrootdirectory",
    "trustedusercakeys",
    "revokedkeys",
    "securitykeyprovider",
    "authorizedprincipalsfile",
    "versionaddendum",
    "authorizedkeyscommand",
    "authorizedkeyscommanduser",
    "authorizedprincipalscommand",
    "authorizedprincipalscommanduser",
    "hostkeyagent",
    "kexalgorithms",
    "casignaturealgorithms",
    "hostbasedacceptedalgorithms",
    "hostbasedacceptedkeytypes",
    "hostkeyalgorithms",
    "pubkeyacceptedalgorithms",
    "pubkeyacceptedkeytypes",
    "sshdsessionpath",
    "sshdauthpath",
    "persourcepenaltyexemptlist",
    "loglevel",
    "syslogfacility",
    "authorizedkeysfile",
    "hostkey",
    "hostcertificate",
    "allowusers",
    "denyusers",
    "allowgroups",
    "denygroups",
    "acceptenv",
    "setenv",
    "authenticationmethods",
    "logverbose",
    "channeltimeout",
    "subsystem",
    "maxstartups",
    "persourcemaxstartups",
    "persourcenetblocksize",
    "permittunnel",
    "ipqos",
    "rekeylimit",
    "permitopen",
    "permitlisten",
    "permituserenvironment",
    "pubkeyauthoptions",
    "persourcepenalties",
];
/// Settings that `-T` prints on one line with blanks between the values.
const BLANKS: [&str; 10] = [
    "authenticationmethods",
    "authorizedkeysfile",
    "channeltimeout",
    "ipqos",
    "logverbose",
    "permitlisten",
    "permitopen",
    "persourcepenalties",
    "pubkeyauthoptions",
    "rekeylimit",
];
/// Settings that `-T` prints on one line with commas between the values.
const COMMAS: [&str; 10] = [
    "casignaturealgorithms",
    "ciphers",
    "gssapikexalgorithms",
    "hostbasedacceptedalgorithms",
    "hostbasedacceptedkeytypes",
    "hostkeyalgorithms",
    "kexalgorithms",
    "macs",
    "pubkeyacceptedalgorithms",
    "pubkeyacceptedkeytypes",
];

/// The lines of `-T`, in its order. Before 10.0 it leaves out Debian's own `DebianBanner`.
pub(super) fn lines(effective: &Effective) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, values) in ORDER.iter().filter_map(|name| effective.values.get_key_value(name)) {
        let texts = || values.iter().map(|value| value.text.as_str());
        if *name == "debianbanner" && effective.version != Version::V10_0 {
            continue;
        }
        if BLANKS.contains(name) {
            lines.push(format!("{name} {}", texts().collect::<Vec<_>>().join(" ")));
        } else if COMMAS.contains(name) {
            lines.push(format!("{name} {}", texts().collect::<Vec<_>>().join(",")));
        } else {
            lines.extend(texts().map(|text| format!("{name} {text}").trim_end().to_owned()));
        }
    }
    lines
}

/// The written algorithm list of a setting and its family.
pub(super) fn written<'o>(options: &'o Options, setting: &str) -> Option<(Family, &'o Value)> {
    match find(setting, options.version)?.kind {
        Kind::Algorithms(family) => options.text(setting).map(|value| (family, value)),
        _ => None,
    }
}

/// Every setting as `sshd -T` prints it.
pub(super) fn printed(options: &Options, listening: Vec<Value>) -> BTreeMap<&'static str, Vec<Value>> {
    let version = options.version;
    let mut values = BTreeMap::new();
    for (setting, default) in defaults::all(version) {
        values.insert(setting, default.iter().map(|text| fallback(text)).collect());
    }
    for (setting, set) in
        options.set.iter().filter(|(setting, set)| !setting.contains(' ') && !set.is_empty())
    {
        values.insert(setting, set.clone());
    }
    for setting in algorithm_settings(version) {
        let list = written(options, setting.name).map(|(_, value)| value.clone());
        let list = list.unwrap_or_else(|| fallback(""));
        let names = selected(&list.text, setting.family, version).unwrap_or_default();
        values.insert(setting.name, names.iter().map(|name| renamed(&list, name)).collect());
    }
    if let Some(list) = options.text("gssapikexalgorithms") {
        values.insert("gssapikexalgorithms", list.text.split(',').map(|name| renamed(list, name)).collect());
    }
    values.insert("listenaddress", listening);
    let [begin, rate, full] = defaults::STARTUPS;
    let startups = [("maxstartups", begin), (part::STARTUPS_RATE, rate), (part::STARTUPS_FULL, full)];
    values.insert("maxstartups", vec![joined(options, &startups)]);
    let [bytes, time] = defaults::REKEY;
    let rekey = [("rekeylimit", bytes), (part::REKEY_TIME, time)];
    values.insert("rekeylimit", rekey.map(|part| joined(options, &[part])).to_vec());
    if let Some(names) = options.text(part::ENVIRONMENT_NAMES) {
        values.insert("permituserenvironment", vec![names.clone()]);
    }
    if version == Version::V10_0 {
        values.insert("persourcepenalties", penalties(options));
    }
    values
}

fn fallback(text: &str) -> Value {
    Value { text: text.to_owned(), source: Source::Default }
}

/// Parts of a setting with colons between them, placed where the first part that is set stands.
fn joined(options: &Options, parts: &[(&str, &str)]) -> Value {
    let texts: Vec<&str> = parts
        .iter()
        .map(|(part, default)| options.text(part).map_or(*default, |value| value.text.as_str()))
        .collect();
    let source = parts.iter().find_map(|(part, _)| options.text(part)).map(|value| value.source.clone());
    Value { text: texts.join(":"), source: source.unwrap_or(Source::Default) }
}

fn penalties(options: &Options) -> Vec<Value> {
    if let Some(off) = options.text(PENALTIES_ON).filter(|value| value.text == "no") {
        return vec![off.clone()];
    }
    let part = |(name, default): &(&str, &str)| {
        let set = options.penalties.get(*name).cloned();
        let set = set.or_else(|| {
            let mode = options.penalties.get("overflow").filter(|_| *name == "overflow6")?;
            let (_, mode_text) = mode.text.split_once(':')?;
            Some(renamed(mode, format!("overflow6:{mode_text}")))
        });
        set.unwrap_or_else(|| fallback(&format!("{name}:{default}")))
    };
    defaults::PENALTIES.iter().map(part).collect()
}

/// The addresses sshd listens on, as `-T` prints them.
pub(super) fn listen_addresses(options: &Options, problems: &mut Problems) -> Vec<Value> {
    let default = [Value { text: defaults::PORT.to_owned(), source: Source::Default }];
    let ports = options.set.get("port").filter(|ports| !ports.is_empty()).map_or(&default[..], Vec::as_slice);
    let family = options.text("addressfamily").map_or("any", |value| value.text.as_str());
    if options.listen.is_empty() {
        let wildcards: &[&str] = match family {
            "inet" => &["0.0.0.0"],
            "inet6" => &["[::]"],
            _ => &["[::]", "0.0.0.0"],
        };
        let every = |port: &Value| {
            let values: Vec<Value> =
                wildcards.iter().map(|host| renamed(port, format!("{host}:{}", port.text))).collect();
            values
        };
        return ports.iter().flat_map(every).collect();
    }
    let mut all = Vec::new();
    for (values, source) in &options.listen {
        let (Some(host), given) = (values.first(), values.get(1)) else { continue };
        // The resolver takes it for no host at all, and without AI_PASSIVE that is the host itself.
        if host == "*" {
            let loopback = [("127.0.0.1", "inet6"), ("[::1]", "inet")];
            let given =
                given.map(|port| renamed(&Value { text: String::new(), source: source.clone() }, port));
            for port in given.as_ref().map_or(ports, std::slice::from_ref) {
                let fitting = loopback.iter().filter(|(_, other)| *other != family);
                all.extend(fitting.map(|(host, _)| Value {
                    text: format!("{host}:{}", port.text),
                    source: source.clone(),
                }));
            }
            continue;
        }
        let address = numeric_host(host);
        let wrong = match address {
            Some(address) => {
                (family == "inet" && address.is_ipv6()) || (family == "inet6" && address.is_ipv4())
            }
            None => !is_host_name(host),
        };
        if wrong {
            let what = format!("{} is no address to listen on, sshd does not start", shown(host));
            problems.add(source, what, true);
        } else if address.is_none() {
            let what = format!("the host name {} to listen on is looked up when sshd starts", shown(host));
            problems.leave_open(source, what, "listenaddress");
        }
        let mut push = |port: &str| {
            let text = address.map_or_else(|| format!("{host}:{port}"), |address| with_port(address, port));
            all.push(Value { text, source: source.clone() });
        };
        match given {
            Some(port) => push(port),
            None => ports.iter().for_each(|port| push(&port.text)),
        }
    }
    all
}

/// Whether a name server could know `text`.
fn is_host_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '%'))
}
