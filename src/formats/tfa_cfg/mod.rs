//! `/etc/pve/priv/tfa.cfg`: second factors.
//!
//! Follows `TfaConfig` in proxmox-rs `proxmox-tfa/src/api/` and `parse_old_config` in proxmox-perl-rs
//! `pve-rs/src/bindings/tfa.rs`: the text is JSON, or else one line per user in the format of Proxmox VE 6. It
//! is read as a whole or not at all. No secret is kept and nothing of the text is ever quoted.

mod json;
mod old;
mod otp;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::user_cfg::names::is_user_id;
use super::{Issue, Parsed, shown};

/// Everything tfa.cfg says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TfaCfg {
    /// Whether upstream can read the file. If not, every login that looks up second factors fails.
    pub readable: bool,
    /// Whether the file still has the format of Proxmox VE 6.
    pub old_format: bool,
    /// Second factors by user id.
    pub users: BTreeMap<String, TfaUser>,
}

/// The second factors of one user.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TfaUser {
    /// Everything but recovery codes, in the order TOTP, U2F, `WebAuthn`, Yubico.
    pub factors: Vec<TfaFactor>,
    /// Recovery codes. With none left they still ask for a code nobody has.
    pub recovery: Option<Recovery>,
    /// Too many wrong TOTP codes: none is taken until a recovery code is used or somebody unlocks the user.
    pub totp_locked: bool,
    /// No second factor is taken until then, in seconds since the epoch. Upstream drops a time in the past.
    pub tfa_locked_until: Option<i64>,
}

/// One second factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TfaFactor {
    /// What it is.
    pub kind: TfaKind,
    /// Id in the API; `v1-entry` for all of the old format.
    pub id: String,
    /// When it was set up, in seconds since the epoch; 0 in the old format.
    pub created: i64,
    /// Whether it is in use; the default of the file is that it is.
    pub enabled: bool,
}

/// Kinds of second factors other than recovery codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TfaKind {
    /// Time-based one-time password.
    Totp,
    /// U2F token; works only with `u2f` in datacenter.cfg.
    U2f,
    /// `WebAuthn` token; works only with `webauthn` in datacenter.cfg.
    Webauthn,
    /// Yubico OTP; works only in a realm with `tfa: type=yubico`.
    Yubico,
}

/// Recovery codes of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// Codes that were set up.
    pub codes: usize,
    /// Codes not used yet.
    pub codes_left: usize,
    /// When they were set up, in seconds since the epoch.
    pub created: i64,
}

impl TfaUser {
    /// Whether an enabled factor of this kind is there.
    pub fn has(&self, kind: TfaKind) -> bool {
        self.factors.iter().any(|factor| factor.enabled && factor.kind == kind)
    }
}

/// Reads tfa.cfg. An empty text, also that of a missing file, is a readable file without users.
pub fn parse(text: &str) -> Parsed<TfaCfg> {
    let (users, old_format) = match json::parse(text) {
        Ok(users) => (users, false),
        Err(json_line) => match old::parse(text) {
            Ok(users) => (users, true),
            Err(old_line) => return unreadable(text, json_line, old_line),
        },
    };
    let mut cfg = TfaCfg { readable: true, old_format: old_format && !users.is_empty(), users };
    let issues = drop_invalid_users(&mut cfg);
    Parsed { value: cfg, issues }
}

fn unreadable(text: &str, json_line: u32, old_line: u32) -> Parsed<TfaCfg> {
    let line = if text.trim_start().starts_with('{') { json_line } else { old_line };
    let what =
        "the file is neither valid JSON with known keys nor in the old format: upstream reads none of it";
    Parsed {
        value: TfaCfg { readable: false, old_format: false, users: BTreeMap::new() },
        issues: vec![Issue::new(line, what)],
    }
}

/// Upstream drops the entries of user ids that cannot exist. Their lines are not known.
fn drop_invalid_users(cfg: &mut TfaCfg) -> Vec<Issue> {
    let mut issues = Vec::new();
    cfg.users.retain(|id, _| {
        let valid = is_user_id(id);
        if !valid {
            issues.push(Issue::new(
                1,
                format!("second factors of the invalid user id {} are ignored", shown(id)),
            ));
        }
        valid
    });
    issues
}
