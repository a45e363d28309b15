//! What a login with a password asks for besides the password.
//!
//! Follows `user_get_tfa` and `authenticate_2nd_new` in pve-access-control `src/PVE/AccessControl.pm` and
//! `TfaUserChallengeData`/`authentication_challenge` in proxmox-rs `proxmox-tfa/src/api/mod.rs`.

use std::collections::BTreeMap;

use super::{Stop, TFA_CFG};
use crate::formats::datacenter_cfg::DatacenterCfg;
use crate::formats::release::Release;
use crate::formats::tfa_cfg::{TfaCfg, TfaKind, TfaUser};
use crate::formats::user_cfg::Keys;

/// First release that asks for what tfa.cfg holds whatever the field `keys` of user.cfg says (8.0.4).
const KEYS_IGNORED_FROM: Release = Release::Pve8;

/// What a user's login with a password asks for besides the password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecondFactor {
    /// One of these, each enabled and usable.
    Asked(Vec<TfaKind>),
    /// A recovery code, and nothing else is enrolled.
    RecoveryOnly {
        /// Codes not used yet; with none left nobody passes.
        codes_left: usize,
    },
    /// Nothing: factors are enrolled, but release 7 only looks at them if the field `keys` of user.cfg is set.
    NotAsked,
    /// Only tokens that need a setting of datacenter.cfg that is not there. Builds of libpve-rs-perl before
    /// proxmox-tfa 6.0.5 then take the password alone, later ones refuse the login.
    NotUsable(Vec<TfaKind>),
    /// The key of an old release in user.cfg, which counts only where the realm sets `tfa`.
    LegacyKey,
    /// Nothing: every factor that is enrolled is switched off.
    Disabled,
    /// Nothing is enrolled.
    None,
}

impl SecondFactor {
    /// Name for machines.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Asked(_) => "asked",
            Self::RecoveryOnly { .. } => "recovery-only",
            Self::NotAsked => "not-asked",
            Self::NotUsable(_) => "not-usable",
            Self::LegacyKey => "legacy-key",
            Self::Disabled => "disabled",
            Self::None => "none",
        }
    }

    /// The kinds of factors it is about, recovery codes not among them.
    pub fn kinds(&self) -> &[TfaKind] {
        match self {
            Self::Asked(kinds) | Self::NotUsable(kinds) => kinds,
            _ => &[],
        }
    }
}

/// The name people know a kind by.
pub fn kind_name(kind: TfaKind) -> &'static str {
    match kind {
        TfaKind::Totp => "TOTP",
        TfaKind::U2f => "U2F",
        TfaKind::Webauthn => "WebAuthn",
        TfaKind::Yubico => "Yubico",
    }
}

/// The names people know these kinds by, joined.
pub fn kind_names(kinds: &[TfaKind]) -> String {
    kinds.iter().map(|kind| kind_name(*kind)).collect::<Vec<_>>().join(", ")
}

/// The kinds of tokens datacenter.cfg makes usable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tokens {
    /// `webauthn` names a relying party and its id.
    pub webauthn: bool,
    /// `u2f` names an application id.
    pub u2f: bool,
}

impl Tokens {
    /// What `cfg` makes usable: upstream refuses settings that lack these parts (`configure_u2f_and_wa`).
    pub fn of(cfg: &DatacenterCfg) -> Self {
        let webauthn = cfg.webauthn.as_ref().map(|setting| &setting.value);
        Self {
            webauthn: webauthn.is_some_and(|setting| setting.rp.is_some() && setting.id.is_some()),
            u2f: cfg.u2f.as_ref().is_some_and(|setting| setting.value.appid.is_some()),
        }
    }

    fn allow(self, kind: TfaKind) -> bool {
        match kind {
            TfaKind::Totp | TfaKind::Yubico => true,
            TfaKind::Webauthn => self.webauthn,
            TfaKind::U2f => self.u2f,
        }
    }
}

/// What the login of a user asks for: `enrolled` is his part of tfa.cfg, `keys` what user.cfg has in that field.
pub fn judge(enrolled: Option<&TfaUser>, keys: Keys, tokens: Tokens, release: Release) -> SecondFactor {
    let nobody = TfaUser::default();
    let enrolled = enrolled.unwrap_or(&nobody);
    let mut enabled: Vec<TfaKind> =
        enrolled.factors.iter().filter(|factor| factor.enabled).map(|factor| factor.kind).collect();
    enabled.sort_unstable();
    enabled.dedup();
    let usable: Vec<TfaKind> = enabled.iter().copied().filter(|kind| tokens.allow(*kind)).collect();
    let challenged = !usable.is_empty() || enrolled.recovery.is_some();
    if challenged && keys == Keys::None && release < KEYS_IGNORED_FROM {
        return SecondFactor::NotAsked;
    }
    match enrolled.recovery {
        _ if !usable.is_empty() => SecondFactor::Asked(usable),
        Some(recovery) => SecondFactor::RecoveryOnly { codes_left: recovery.codes_left },
        None if keys == Keys::LegacySecret => SecondFactor::LegacyKey,
        None if !enabled.is_empty() => SecondFactor::NotUsable(enabled),
        None if !enrolled.factors.is_empty() => SecondFactor::Disabled,
        None => SecondFactor::None,
    }
}

/// Whether what this user has enrolled depends on datacenter.cfg.
pub fn needs_tokens(enrolled: Option<&TfaUser>) -> bool {
    enrolled.is_some_and(|user| user.has(TfaKind::Webauthn) || user.has(TfaKind::U2f))
}

/// The users of tfa.cfg, if upstream can read the file.
///
/// # Errors
/// It cannot: what a login asks for is then not known, for logins that look it up fail.
pub fn users(tfa: &TfaCfg) -> Result<&BTreeMap<String, TfaUser>, Stop> {
    let what = "cannot be read by Proxmox VE either: logins that look up second factors fail";
    if tfa.readable { Ok(&tfa.users) } else { Err(Stop::unknown(TFA_CFG, what)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::release::Release::{Pve7, Pve8, Pve9};
    use crate::formats::tfa_cfg::{Recovery, TfaFactor};
    use crate::formats::{Located, datacenter_cfg};

    const NOTHING: Tokens = Tokens { webauthn: false, u2f: false };
    const BOTH: Tokens = Tokens { webauthn: true, u2f: true };

    fn user(factors: &[(TfaKind, bool)], codes_left: Option<usize>) -> TfaUser {
        let factor = |(kind, enabled): &(TfaKind, bool)| TfaFactor {
            kind: *kind,
            id: "x".to_owned(),
            created: 0,
            enabled: *enabled,
        };
        TfaUser {
            factors: factors.iter().map(factor).collect(),
            recovery: codes_left.map(|codes_left| Recovery { codes: 10, codes_left, created: 0 }),
            ..TfaUser::default()
        }
    }

    #[test]
    fn from_release_8_on_what_is_enrolled_is_asked_for_whatever_keys_says() {
        let alice = user(&[(TfaKind::Totp, true)], Some(3));
        for release in [Pve8, Pve9] {
            for keys in [Keys::None, Keys::Marker, Keys::LegacySecret] {
                let asked = judge(Some(&alice), keys, NOTHING, release);
                assert_eq!(asked, SecondFactor::Asked(vec![TfaKind::Totp]));
            }
        }
    }

    #[test]
    fn release_7_asks_nobody_whose_field_keys_is_empty() {
        let alice = user(&[(TfaKind::Totp, true)], None);
        assert_eq!(judge(Some(&alice), Keys::None, NOTHING, Pve7), SecondFactor::NotAsked);
        assert_eq!(judge(Some(&user(&[], Some(1))), Keys::None, NOTHING, Pve7), SecondFactor::NotAsked);
        let asked = judge(Some(&alice), Keys::Marker, NOTHING, Pve7);
        assert_eq!(asked, SecondFactor::Asked(vec![TfaKind::Totp]));
    }

    #[test]
    fn tokens_without_their_setting_are_not_asked_for() {
        let alice = user(&[(TfaKind::Webauthn, true), (TfaKind::U2f, true)], None);
        assert_eq!(
            judge(Some(&alice), Keys::Marker, NOTHING, Pve9),
            SecondFactor::NotUsable(vec![TfaKind::U2f, TfaKind::Webauthn])
        );
        let webauthn_only = Tokens { webauthn: true, u2f: false };
        let asked = judge(Some(&alice), Keys::Marker, webauthn_only, Pve9);
        assert_eq!(asked, SecondFactor::Asked(vec![TfaKind::Webauthn]));
        assert_eq!(judge(Some(&alice), Keys::Marker, BOTH, Pve9).kinds().len(), 2);
    }

    #[test]
    fn recovery_codes_are_asked_for_even_when_none_is_left() {
        let spent = user(&[(TfaKind::Totp, false)], Some(0));
        let asked = judge(Some(&spent), Keys::None, NOTHING, Pve9);
        assert_eq!(asked, SecondFactor::RecoveryOnly { codes_left: 0 });
    }

    #[test]
    fn a_disabled_factor_is_none_and_an_old_key_depends_on_the_realm() {
        let off = user(&[(TfaKind::Totp, false)], None);
        assert_eq!(judge(Some(&off), Keys::Marker, BOTH, Pve9), SecondFactor::Disabled);
        assert_eq!(judge(None, Keys::Marker, BOTH, Pve9), SecondFactor::None);
        assert_eq!(judge(None, Keys::LegacySecret, BOTH, Pve9), SecondFactor::LegacyKey);
    }

    #[test]
    fn webauthn_needs_a_party_and_its_id_and_u2f_an_application() {
        let read = |text: &str| Tokens::of(&datacenter_cfg::parse(text).value);
        assert_eq!(read("webauthn: rp=lab,id=pve.example.com\n"), Tokens { webauthn: true, u2f: false });
        assert_eq!(read("webauthn: id=pve.example.com\nu2f: origin=https://a\n"), NOTHING);
        assert_eq!(read("u2f: appid=https://a\n"), Tokens { webauthn: false, u2f: true });
        let empty = DatacenterCfg {
            webauthn: Some(Located::new(datacenter_cfg::Webauthn::default(), 1)),
            ..DatacenterCfg::default()
        };
        assert_eq!(Tokens::of(&empty), NOTHING);
    }
}
