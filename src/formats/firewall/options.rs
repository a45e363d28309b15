//! The options of a firewall file, with upstream's defaults.
//!
//! Follows `parse_clusterfw_option`, `parse_hostfw_option`, `parse_vmfw_option` and `parse_vnetfw_option` of
//! `PVE/Firewall.pm`: a line that does not fit is dropped, the last that fits wins.

use super::{Firewall, Level, Verdict, is_space, lose_blanks};
use crate::formats::release::Release;
use crate::formats::{Located, numbered, shown};

/// `enable` of cluster.fw when it is not set: the firewall is off.
pub const DATACENTER_ENABLE: u64 = 0;
/// `enable` of host.fw when it is not set, also when there is no host.fw: the node is filtered.
pub const NODE_ENABLE: u64 = 1;
/// `enable` of a guest's file when it is not set.
pub const GUEST_ENABLE: u64 = 0;
/// `enable` of a vnet's file when it is not set.
pub const VNET_ENABLE: u64 = 0;
/// Seconds for which an `enable` in cluster.fw that is a Unix time keeps the firewall on.
pub const TEMPORARY_ENABLE: u64 = 60;
/// `policy_in` when it is not set.
pub const POLICY_IN: Verdict = Verdict::Drop;
/// `policy_out` when it is not set.
pub const POLICY_OUT: Verdict = Verdict::Accept;
/// `policy_forward` when it is not set (nftables only).
pub const POLICY_FORWARD: Verdict = Verdict::Accept;
/// Any log level when it is not set.
pub const LOG_LEVEL: LogLevel = LogLevel::Nolog;
/// `ebtables` of cluster.fw when it is not set.
pub const EBTABLES: bool = true;
/// `nosmurfs` of host.fw when it is not set: smurfs are filtered.
pub const NOSMURFS: bool = true;
/// `tcpflags` of host.fw when it is not set.
pub const TCPFLAGS: bool = false;
/// `ndp` when it is not set.
pub const NDP: bool = true;
/// `nftables` of host.fw when it is not set.
pub const NFTABLES: bool = false;
/// `nf_conntrack_allow_invalid` of host.fw when it is not set.
pub const ALLOW_INVALID: bool = false;
/// `log_nf_conntrack` of host.fw when it is not set.
pub const LOG_CONNTRACK: bool = false;
/// `protection_synflood` of host.fw when it is not set.
pub const SYNFLOOD: bool = false;
/// `protection_synflood_rate` when it is not set or 0: packets per second and source.
pub const SYNFLOOD_RATE: u64 = 200;
/// `protection_synflood_burst` when it is not set or 0: packets.
pub const SYNFLOOD_BURST: u64 = 1000;
/// `nf_conntrack_max` when it is not set: connections.
pub const CONNTRACK_MAX: u64 = 262_144;
/// `nf_conntrack_tcp_timeout_established` when it is not set: seconds.
pub const CONNTRACK_ESTABLISHED: u64 = 432_000;
/// `macfilter` of a guest when it is not set.
pub const MACFILTER: bool = true;
/// `dhcp` of a guest when it is not set: allowed, although the schema says 0.
pub const DHCP: bool = true;
/// `radv` of a guest when it is not set: router advertisements of the guest are dropped.
pub const RADV: bool = false;
/// `ipfilter` of a guest when it is not set.
pub const IPFILTER: bool = false;
/// The rate limit of log messages when it is not set.
pub const LOG_RATELIMIT: RateLimit = RateLimit { enable: true, burst: 5, rate: 1, per: Per::Second };

/// Connection tracking helpers that `nf_conntrack_helpers` may name.
pub const HELPERS: [&str; 9] = ["amanda", "ftp", "irc", "netbios-ns", "pptp", "sane", "sip", "snmp", "tftp"];

/// A log level; `nolog` writes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Nothing is logged.
    Nolog,
    /// Severity 0.
    Emerg,
    /// Severity 1.
    Alert,
    /// Severity 2.
    Crit,
    /// Severity 3.
    Err,
    /// Severity 4.
    Warning,
    /// Severity 5.
    Notice,
    /// Severity 6.
    Info,
    /// Severity 7.
    Debug,
}

impl LogLevel {
    /// The levels by name, in the order upstream's expression tries them.
    pub(super) const NAMES: [(&'static str, Self); 9] = [
        ("emerg", Self::Emerg),
        ("alert", Self::Alert),
        ("crit", Self::Crit),
        ("err", Self::Err),
        ("warning", Self::Warning),
        ("notice", Self::Notice),
        ("info", Self::Info),
        ("debug", Self::Debug),
        ("nolog", Self::Nolog),
    ];

    fn find(name: &str) -> Option<Self> {
        let (_, level) = Self::NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(*level)
    }
}

/// The unit of a log rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// `/second`.
    Second,
    /// `/minute`.
    Minute,
    /// `/hour`.
    Hour,
    /// `/day`.
    Day,
}

/// `log_ratelimit`: how many messages are let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// Whether messages are limited at all.
    pub enable: bool,
    /// Messages that are always logged before the rate applies.
    pub burst: u64,
    /// Messages per unit.
    pub rate: u64,
    /// The unit.
    pub per: Per,
}

/// The options of a file that upstream takes, each with the line that wins. Levels and units are those of upstream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(
    missing_docs,
    reason = "the fields carry upstream's option names; the constants above say what unset means"
)]
pub struct Options {
    /// 0 or 1; in cluster.fw a larger number is the Unix time of a temporary enable.
    pub enable: Option<Located<u64>>,
    pub policy_in: Option<Located<Verdict>>,
    pub policy_out: Option<Located<Verdict>>,
    pub policy_forward: Option<Located<Verdict>>,
    pub log_level_in: Option<Located<LogLevel>>,
    pub log_level_out: Option<Located<LogLevel>>,
    pub log_level_forward: Option<Located<LogLevel>>,
    pub tcp_flags_log_level: Option<Located<LogLevel>>,
    pub smurf_log_level: Option<Located<LogLevel>>,
    pub ebtables: Option<Located<bool>>,
    /// None inside: the text does not follow the format, and upstream loads no rules at all.
    pub log_ratelimit: Option<Located<Option<RateLimit>>>,
    pub nosmurfs: Option<Located<bool>>,
    pub tcpflags: Option<Located<bool>>,
    pub ndp: Option<Located<bool>>,
    pub nftables: Option<Located<bool>>,
    pub log_nf_conntrack: Option<Located<bool>>,
    pub nf_conntrack_allow_invalid: Option<Located<bool>>,
    pub nf_conntrack_helpers: Option<Located<Vec<String>>>,
    pub nf_conntrack_max: Option<Located<u64>>,
    pub nf_conntrack_tcp_timeout_established: Option<Located<u64>>,
    pub nf_conntrack_tcp_timeout_syn_recv: Option<Located<u64>>,
    pub protection_synflood: Option<Located<bool>>,
    pub protection_synflood_rate: Option<Located<u64>>,
    pub protection_synflood_burst: Option<Located<u64>>,
    /// Read by upstream, used nowhere.
    pub protection_limit: Option<Located<u64>>,
    pub dhcp: Option<Located<bool>>,
    pub radv: Option<Located<bool>>,
    pub macfilter: Option<Located<bool>>,
    pub ipfilter: Option<Located<bool>>,
    pub ips: Option<Located<bool>>,
    pub ips_queues: Option<Located<String>>,
    pub layer2_protocols: Option<Located<String>>,
}

/// An option's value with upstream's default.
fn effective<T: Copy>(option: Option<&Located<T>>, default: T) -> T {
    option.map_or(default, |located| located.value)
}

impl Firewall {
    /// Whether this level is switched on at `now` (Unix time): [`TEMPORARY_ENABLE`] limits a time in cluster.fw.
    pub fn is_enabled(&self, now: i64) -> bool {
        let default = match self.level {
            Level::Datacenter => DATACENTER_ENABLE,
            Level::Node => NODE_ENABLE,
            Level::Guest => GUEST_ENABLE,
            Level::Vnet => VNET_ENABLE,
        };
        let value = effective(self.options.enable.as_ref(), default);
        if self.level == Level::Datacenter && value > 1 {
            let value = i64::try_from(value).unwrap_or(i64::MAX);
            return now.saturating_sub(value) <= TEMPORARY_ENABLE.cast_signed();
        }
        value != 0
    }

    /// What happens to inbound packets no rule decides.
    pub fn policy_in(&self) -> Verdict {
        effective(self.options.policy_in.as_ref(), POLICY_IN)
    }

    /// What happens to outbound packets no rule decides.
    pub fn policy_out(&self) -> Verdict {
        effective(self.options.policy_out.as_ref(), POLICY_OUT)
    }

    /// What happens to forwarded packets no rule decides; only the nftables backend obeys.
    pub fn policy_forward(&self) -> Verdict {
        effective(self.options.policy_forward.as_ref(), POLICY_FORWARD)
    }

    /// The level at which dropped inbound packets are logged.
    pub fn log_level_in(&self) -> LogLevel {
        effective(self.options.log_level_in.as_ref(), LOG_LEVEL)
    }

    /// The level at which dropped outbound packets are logged.
    pub fn log_level_out(&self) -> LogLevel {
        effective(self.options.log_level_out.as_ref(), LOG_LEVEL)
    }

    /// The limit of log messages; none if the option is broken and nothing loads.
    pub fn log_ratelimit(&self) -> Option<RateLimit> {
        effective(self.options.log_ratelimit.as_ref(), Some(LOG_RATELIMIT))
    }

    /// Whether MAC, ARP and layer 2 filters of guests work (cluster.fw).
    pub fn ebtables(&self) -> bool {
        effective(self.options.ebtables.as_ref(), EBTABLES)
    }

    /// Whether smurfs are filtered (host.fw).
    pub fn nosmurfs(&self) -> bool {
        effective(self.options.nosmurfs.as_ref(), NOSMURFS)
    }

    /// Whether illegal combinations of TCP flags are filtered (host.fw).
    pub fn tcpflags(&self) -> bool {
        effective(self.options.tcpflags.as_ref(), TCPFLAGS)
    }

    /// Whether neighbour discovery is let through (host.fw, guest).
    pub fn ndp(&self) -> bool {
        effective(self.options.ndp.as_ref(), NDP)
    }

    /// Whether the nftables backend is asked for (host.fw).
    pub fn nftables(&self) -> bool {
        effective(self.options.nftables.as_ref(), NFTABLES)
    }

    /// Whether packets without a valid connection are forwarded (host.fw).
    pub fn nf_conntrack_allow_invalid(&self) -> bool {
        effective(self.options.nf_conntrack_allow_invalid.as_ref(), ALLOW_INVALID)
    }

    /// Whether connections are logged (host.fw).
    pub fn log_nf_conntrack(&self) -> bool {
        effective(self.options.log_nf_conntrack.as_ref(), LOG_CONNTRACK)
    }

    /// Whether connection attempts are limited per source (host.fw).
    pub fn protection_synflood(&self) -> bool {
        effective(self.options.protection_synflood.as_ref(), SYNFLOOD)
    }

    /// Whether packets must carry the guest's MAC address.
    pub fn macfilter(&self) -> bool {
        effective(self.options.macfilter.as_ref(), MACFILTER)
    }

    /// Whether DHCP of the guest is let through.
    pub fn dhcp(&self) -> bool {
        effective(self.options.dhcp.as_ref(), DHCP)
    }

    /// Whether the guest may send router advertisements.
    pub fn radv(&self) -> bool {
        effective(self.options.radv.as_ref(), RADV)
    }

    /// Whether the guest may only use its own addresses.
    pub fn ipfilter(&self) -> bool {
        effective(self.options.ipfilter.as_ref(), IPFILTER)
    }
}

/// Reads one line of `[OPTIONS]`; an error says why upstream drops it.
pub(super) fn read(
    options: &mut Options,
    level: Level,
    release: Release,
    number: u32,
    line: &str,
) -> Result<(), String> {
    let (key, value) = line.split_once(':').ok_or_else(|| format!("{} is no option", shown(line)))?;
    let value = Value { text: lose_blanks(value), number };
    let name = key.to_ascii_lowercase();
    let known = match level {
        Level::Datacenter => read_datacenter(options, release, (key, &name), &value),
        Level::Node => read_node(options, release, &name, &value),
        Level::Guest => read_guest(options, &name, &value),
        Level::Vnet => read_vnet(options, &name, &value),
    };
    known?.then_some(()).ok_or_else(|| format!("{} is no option of this file", shown(key)))
}

/// Values of `enable` that a person writes to switch something on; only numbers have this effect.
const MEANT_AS_ON: [&str; 5] = ["yes", "true", "on", "enable", "enabled"];

/// The lines on which somebody meant to switch a firewall on, with the value as written: whatever the section, the
/// ends of lines, marks before the first line, and the separator.
pub fn meant_to_enable(text: &str) -> Vec<Located<String>> {
    let mut found = Vec::new();
    for (number, line) in numbered(text) {
        let line = lose_blanks(line.trim_start_matches('\u{feff}'));
        let Some((key, rest)) = line.split_once(|c: char| c == ':' || c == '=' || is_space(c)) else {
            continue;
        };
        let value = rest.trim_start_matches(|c: char| c == ':' || c == '=' || is_space(c));
        let value = value.split(is_space).next().unwrap_or_default().trim_matches(['"', '\'']);
        let on = MEANT_AS_ON.iter().any(|word| value.eq_ignore_ascii_case(word))
            || value.parse::<u64>().is_ok_and(|number| number > 0);
        if key.eq_ignore_ascii_case("enable") && on {
            found.push(Located::new(value.to_owned(), number));
        }
    }
    found
}

/// Key of a line of options, for naming a dropped one: lower-cased, without blanks.
pub(super) fn key_of(line: &str) -> String {
    let key = line.split([':', '=']).next().unwrap_or(line);
    lose_blanks(key).to_ascii_lowercase()
}

/// Each reader answers whether it knows the option.
type Known = Result<bool, String>;

fn read_datacenter(options: &mut Options, release: Release, key: (&str, &str), value: &Value<'_>) -> Known {
    let (written, name) = key;
    match name {
        "enable" => value.number(&mut options.enable),
        "ebtables" => value.flag(&mut options.ebtables),
        "policy_in" => value.policy(&mut options.policy_in),
        "policy_out" => value.policy(&mut options.policy_out),
        "policy_forward" if release >= Release::Pve8 => value.policy(&mut options.policy_forward),
        // Upstream's only option whose name must be in lower case.
        "log_ratelimit" if written == name => {
            let text = value.word()?;
            value.set(&mut options.log_ratelimit, parse_rate_limit(text, release))
        }
        _ => Ok(false),
    }
}

fn read_node(options: &mut Options, release: Release, name: &str, value: &Value<'_>) -> Known {
    let nftables = release >= Release::Pve8;
    match name {
        "enable" => value.flag_number(&mut options.enable),
        "nosmurfs" => value.flag(&mut options.nosmurfs),
        "tcpflags" => value.flag(&mut options.tcpflags),
        "ndp" => value.flag(&mut options.ndp),
        "log_nf_conntrack" => value.flag(&mut options.log_nf_conntrack),
        "nf_conntrack_allow_invalid" => value.flag(&mut options.nf_conntrack_allow_invalid),
        "protection_synflood" => value.flag(&mut options.protection_synflood),
        "nftables" if nftables => value.flag(&mut options.nftables),
        "log_level_in" => value.level(&mut options.log_level_in),
        "log_level_out" => value.level(&mut options.log_level_out),
        "log_level_forward" if nftables => value.level(&mut options.log_level_forward),
        "tcp_flags_log_level" => value.level(&mut options.tcp_flags_log_level),
        "smurf_log_level" => value.level(&mut options.smurf_log_level),
        "nf_conntrack_helpers" => {
            let helpers = parse_helpers(value.word()?)?;
            value.set(&mut options.nf_conntrack_helpers, helpers)
        }
        "nf_conntrack_max" => value.number(&mut options.nf_conntrack_max),
        "nf_conntrack_tcp_timeout_established" => {
            value.number(&mut options.nf_conntrack_tcp_timeout_established)
        }
        "nf_conntrack_tcp_timeout_syn_recv" => value.number(&mut options.nf_conntrack_tcp_timeout_syn_recv),
        "protection_synflood_rate" => value.number(&mut options.protection_synflood_rate),
        "protection_synflood_burst" => value.number(&mut options.protection_synflood_burst),
        "protection_limit" => value.number(&mut options.protection_limit),
        _ => Ok(false),
    }
}

fn read_guest(options: &mut Options, name: &str, value: &Value<'_>) -> Known {
    match name {
        "enable" => value.flag_number(&mut options.enable),
        "dhcp" => value.flag(&mut options.dhcp),
        "ndp" => value.flag(&mut options.ndp),
        "radv" => value.flag(&mut options.radv),
        "macfilter" => value.flag(&mut options.macfilter),
        "ipfilter" => value.flag(&mut options.ipfilter),
        "ips" => value.flag(&mut options.ips),
        "log_level_in" => value.level(&mut options.log_level_in),
        "log_level_out" => value.level(&mut options.log_level_out),
        "policy_in" => value.policy(&mut options.policy_in),
        "policy_out" => value.policy(&mut options.policy_out),
        "ips_queues" => {
            let text = value.word()?;
            let mut parts = text.splitn(2, ':');
            let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            if !parts.all(digits) {
                return Err(format!("{} is no queue and no range of queues", shown(text)));
            }
            value.set(&mut options.ips_queues, text.to_owned())
        }
        "layer2_protocols" => {
            let text = value.word()?.to_owned();
            value.set(&mut options.layer2_protocols, text)
        }
        _ => Ok(false),
    }
}

fn read_vnet(options: &mut Options, name: &str, value: &Value<'_>) -> Known {
    match name {
        "enable" => value.number(&mut options.enable),
        "policy_forward" if !value.text.eq_ignore_ascii_case("REJECT") => {
            value.policy(&mut options.policy_forward)
        }
        "log_level_forward" if !value.text.is_empty() => value.level(&mut options.log_level_forward),
        "policy_forward" | "log_level_forward" => Err(format!("{} is not allowed here", shown(value.text))),
        _ => Ok(false),
    }
}

/// The text behind the colon, without blanks around it.
struct Value<'a> {
    text: &'a str,
    number: u32,
}

impl Value<'_> {
    #[expect(clippy::unnecessary_wraps, reason = "every reader of a value ends in the same type")]
    fn set<T>(&self, option: &mut Option<Located<T>>, value: T) -> Known {
        *option = Some(Located::new(value, self.number));
        Ok(true)
    }

    fn flag(&self, option: &mut Option<Located<bool>>) -> Known {
        match self.text {
            "0" => self.set(option, false),
            "1" => self.set(option, true),
            other => Err(format!("{} is neither 0 nor 1", shown(other))),
        }
    }

    fn flag_number(&self, option: &mut Option<Located<u64>>) -> Known {
        match self.text {
            "0" => self.set(option, 0),
            "1" => self.set(option, 1),
            other => Err(format!("{} is neither 0 nor 1", shown(other))),
        }
    }

    fn number(&self, option: &mut Option<Located<u64>>) -> Known {
        if self.text.is_empty() || !self.text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("{} is no number", shown(self.text)));
        }
        self.set(option, self.text.parse().unwrap_or(u64::MAX))
    }

    fn policy(&self, option: &mut Option<Located<Verdict>>) -> Known {
        match Verdict::find(&self.text.to_ascii_uppercase()) {
            Some(verdict) => self.set(option, verdict),
            None => Err(format!("{} is none of ACCEPT, DROP, REJECT", shown(self.text))),
        }
    }

    fn level(&self, option: &mut Option<Located<LogLevel>>) -> Known {
        if self.text.is_empty() {
            return self.set(option, LogLevel::Nolog);
        }
        match LogLevel::find(self.text) {
            Some(level) => self.set(option, level),
            None => Err(format!("{} is no log level", shown(self.text))),
        }
    }

    /// The text if it is one word.
    fn word(&self) -> Result<&str, String> {
        if self.text.is_empty() || self.text.contains(is_space) {
            return Err(format!("{} is not one word", shown(self.text)));
        }
        Ok(self.text)
    }
}

fn parse_helpers(text: &str) -> Result<Vec<String>, String> {
    let text = text.to_ascii_lowercase();
    let helpers: Vec<String> = text.split(',').map(str::to_owned).collect();
    match helpers.iter().find(|helper| !HELPERS.contains(&helper.as_str())) {
        Some(unknown) => Err(format!("{} is no connection tracking helper", shown(unknown))),
        None => Ok(helpers),
    }
}

/// `log_ratelimit` as `parse_property_string` and the schema take it; none if they refuse it.
fn parse_rate_limit(text: &str, release: Release) -> Option<RateLimit> {
    let (mut enable, mut rate, mut burst) = (None, None, None);
    let mut bare = false;
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (key, value) = match part.split_once('=') {
            Some(("", _) | (_, "")) => return None,
            Some(pair) => pair,
            None if bare || enable == Some(true) => return None,
            None => {
                bare = true;
                // Releases before 9 take the words for yes and no only behind a key.
                enable = Some(if release >= Release::Pve9 { parse_boolean(part)? } else { parse_bit(part)? });
                continue;
            }
        };
        match key {
            "enable" if enable.is_none() => enable = Some(parse_boolean(value)?),
            "rate" if rate.is_none() => rate = Some(parse_rate(value)?),
            "burst" if burst.is_none() => burst = Some(parse_burst(value)?),
            _ => return None,
        }
    }
    let (rate, per) = rate.unwrap_or((LOG_RATELIMIT.rate, LOG_RATELIMIT.per));
    // A burst of 0 is not handed to iptables, whose own default is the same as upstream's.
    let burst = burst.filter(|burst| *burst > 0).unwrap_or(LOG_RATELIMIT.burst);
    // `enable` is not optional in the schema.
    Some(RateLimit { enable: enable?, burst, rate, per })
}

fn parse_bit(text: &str) -> Option<bool> {
    match text {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

fn parse_boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "on" | "yes" | "true" => Some(true),
        "0" | "off" | "no" | "false" => Some(false),
        _ => None,
    }
}

fn parse_rate(text: &str) -> Option<(u64, Per)> {
    let (rate, per) = text.split_once('/')?;
    let per = match per {
        "second" => Per::Second,
        "minute" => Per::Minute,
        "hour" => Per::Hour,
        "day" => Per::Day,
        _ => return None,
    };
    let valid = !rate.starts_with('0') && !rate.is_empty() && rate.bytes().all(|byte| byte.is_ascii_digit());
    valid.then(|| (rate.parse().unwrap_or(u64::MAX), per))
}

fn parse_burst(text: &str) -> Option<u64> {
    let negative = text.starts_with('-');
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let burst = digits.parse().unwrap_or(u64::MAX);
    (!negative || burst == 0).then_some(burst)
}
