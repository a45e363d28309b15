//! `[OPTIONS]` of proxmox-firewall: unknown keys are passed over, values that do not fit refuse the configuration.

use std::collections::BTreeMap;

use super::{File, Refused};
use crate::formats::firewall::{Level, Verdict};
use crate::formats::{Located, shown};

/// The options of a file, as written.
#[derive(Debug, Default)]
pub(super) struct Options(BTreeMap<String, Located<String>>);

/// What the value of an option has to be.
enum Kind {
    Bool,
    Number,
    LogLevel,
    Verdict,
    RateLimit,
}

fn kind(level: Level, key: &str) -> Option<Kind> {
    Some(match (level, key) {
        (Level::Datacenter, "log_ratelimit") => Kind::RateLimit,
        (Level::Datacenter | Level::Guest, "policy_in" | "policy_out" | "policy_forward")
        | (Level::Vnet, "policy_forward") => Kind::Verdict,
        (_, "enable")
        | (Level::Datacenter, "ebtables")
        | (
            Level::Node,
            "nftables"
            | "log_nf_conntrack"
            | "ndp"
            | "nf_conntrack_allow_invalid"
            | "nosmurfs"
            | "protection_synflood"
            | "tcpflags",
        )
        | (Level::Guest, "dhcp" | "ipfilter" | "ndp" | "radv" | "macfilter") => Kind::Bool,
        (
            Level::Node,
            "nf_conntrack_max"
            | "nf_conntrack_tcp_timeout_established"
            | "nf_conntrack_tcp_timeout_syn_recv"
            | "protection_synflood_burst"
            | "protection_synflood_rate",
        ) => Kind::Number,
        (Level::Node | Level::Guest, "log_level_in" | "log_level_out")
        | (Level::Node, "log_level_forward" | "smurf_log_level" | "tcp_flags_log_level")
        | (Level::Vnet, "log_level_forward") => Kind::LogLevel,
        _ => return None,
    })
}

/// A truth value, in any case.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

pub(super) fn is_log_level(text: &str) -> bool {
    const LEVELS: [&str; 10] =
        ["nolog", "emerg", "alert", "crit", "err", "warn", "warning", "notice", "info", "debug"];
    LEVELS.contains(&text)
}

pub(super) fn verdict(text: &str) -> Option<Verdict> {
    Verdict::find(&text.to_ascii_uppercase())
}

fn is_rate_limit(text: &str) -> bool {
    let number = |text: &str| text.parse::<i64>().is_ok();
    text.split(',').all(|element| match element.split_once('=') {
        None => truth(element).is_some(),
        Some(("enable", value)) => truth(value).is_some(),
        Some(("burst", value)) => number(value),
        Some(("rate", value)) => match value.split_once('/') {
            None => number(value),
            Some((rate, unit)) => number(rate) && matches!(unit, "second" | "minute" | "hour" | "day"),
        },
        Some(_) => false,
    })
}

impl Options {
    pub(super) fn read(&mut self, number: u32, line: &str) -> Result<(), String> {
        let (key, value) = line.split_once(':').ok_or_else(|| format!("{} is no option", shown(line)))?;
        let value = Located::new(value.trim().to_owned(), number);
        match self.0.insert(key.trim().to_owned(), value) {
            Some(_) => Err(format!("the option {} is there twice", shown(key.trim()))),
            None => Ok(()),
        }
    }

    pub(super) fn finish(&self, level: Level, file: &mut File) -> Result<(), Refused> {
        for (key, value) in &self.0 {
            let Some(kind) = kind(level, key) else { continue };
            let text = value.value.as_str();
            let fits = match kind {
                Kind::Bool => truth(text).is_some(),
                Kind::Number => text.parse::<i64>().is_ok(),
                Kind::LogLevel => is_log_level(text),
                Kind::Verdict => verdict(text).is_some(),
                Kind::RateLimit => is_rate_limit(text),
            };
            if !fits {
                let what = format!("{} is no value for the option {}", shown(text), shown(key));
                return Err(Refused { line: value.line, what });
            }
        }
        let get = |key: &str| self.0.get(key);
        file.enable = get("enable").and_then(|value| Some(Located::new(truth(&value.value)?, value.line)));
        let policy =
            |key: &str| get(key).and_then(|value| Some(Located::new(verdict(&value.value)?, value.line)));
        file.policy_in = policy("policy_in");
        file.policy_out = policy("policy_out");
        file.policy_forward = policy("policy_forward");
        file.nftables = get("nftables").and_then(|value| truth(&value.value));
        let helpers =
            get("nf_conntrack_helpers").filter(|value| level == Level::Node && !value.value.is_empty());
        file.helpers = helpers
            .map(|value| Located::new(value.value.split(',').map(str::to_owned).collect(), value.line));
        file.dhcp = get("dhcp").and_then(|value| truth(&value.value));
        file.ipfilter =
            get("ipfilter").and_then(|value| Some(Located::new(truth(&value.value)?, value.line)));
        Ok(())
    }
}
