//! What a login with a password asks for besides the password.
//!
//! Follows `user_get_tfa` and `authenticate_2nd_new` in pve-access-control `src/PVE/AccessControl.pm` and
//! `TfaUserChallengeData`/`authentication_challenge` in proxmox-rs `proxmox-tfa/src/api/mod.rs`.

use std::collections::BTreeMap;

use super::{Stop, TFA_CFG};
use crate::formats::datacenter_cfg::{DatacenterCfg, Webauthn};
use crate::formats::domains_cfg::{Realm, RealmKind, SecondFactorKind};
use crate::formats::release::Release;
use crate::formats::tfa_cfg::{TfaCfg, TfaKind, TfaUser};
use crate::formats::user_cfg::Keys;

/// First release that asks for what tfa.cfg holds whatever the field `keys` of user.cfg says, and that refuses a login
/// where the realm demands a factor and the user has none (8.0.4).
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
    /// The key of an old release in user.cfg, which the realm demands. If it is malformed, release 8 refuses the
    /// login; release 7 may take the password alone.
    LegacyKey,
    /// The realm demands a factor, and the user has none that counts there: the login is refused.
    Refused,
    /// Nothing, nor a password: an `OpenID` Connect provider tells who it is, and may ask for whatever it likes.
    Provider,
    /// There is no such realm: the login is refused.
    NoRealm,
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
            Self::Refused => "refused",
            Self::Provider => "provider",
            Self::NoRealm => "no-realm",
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
    /// What `cfg` makes usable: upstream refuses settings that lack these parts (`configure_u2f_and_wa`), and a
    /// `WebAuthn` setting whose origin is no address. Without an origin it takes the name the browser asked for.
    pub fn of(cfg: &DatacenterCfg) -> Self {
        let usable = |setting: &Webauthn| {
            setting.rp.is_some() && setting.id.is_some() && setting.origin.as_deref().is_none_or(is_address)
        };
        Self {
            webauthn: cfg.webauthn.as_ref().is_some_and(|setting| usable(&setting.value)),
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

/// Whether upstream takes this for a URL: it begins with a scheme, and after `http` and `https` comes a host.
fn is_address(origin: &str) -> bool {
    let Some((scheme, rest)) = origin.trim().split_once(':') else { return false };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'));
    let is_web = ["http", "https"].iter().any(|web| scheme.eq_ignore_ascii_case(web));
    let has_host = rest.trim_start_matches(['/', '\\']).starts_with(|c| !matches!(c, ':' | '?' | '#'));
    is_scheme && (!is_web || has_host)
}

/// What the login of a user asks for: `enrolled` is his part of tfa.cfg, `keys` what user.cfg has in that field,
/// `realm` his realm if there is one.
pub fn judge(
    enrolled: Option<&TfaUser>,
    keys: Keys,
    tokens: Tokens,
    realm: Option<&Realm>,
    release: Release,
) -> SecondFactor {
    let demanded = match realm {
        None => return SecondFactor::NoRealm,
        Some(Realm { kind: RealmKind::OpenId(_), .. }) => return SecondFactor::Provider,
        Some(realm) => realm.second_factor.as_ref().map(|factor| factor.kind),
    };
    let nobody = TfaUser::default();
    let enrolled = enrolled.unwrap_or(&nobody);
    let mut enabled: Vec<TfaKind> =
        enrolled.factors.iter().filter(|factor| factor.enabled).map(|factor| factor.kind).collect();
    enabled.sort_unstable();
    enabled.dedup();
    let mut usable: Vec<TfaKind> = enabled.iter().copied().filter(|kind| tokens.allow(*kind)).collect();
    let challenged = !usable.is_empty() || enrolled.recovery.is_some();
    if release < KEYS_IGNORED_FROM && keys == Keys::None {
        match demanded {
            Some(_) => return SecondFactor::Refused,
            None if challenged => return SecondFactor::NotAsked,
            None => {}
        }
    }
    // Old keys mean nothing where the realm does not say what they are.
    let has_old_key = demanded.is_some() && keys == Keys::LegacySecret;
    let demanded = demanded.filter(|kind| {
        // Release 7 forgets what the realm demands of a user for whom it finds no challenge.
        let always = matches!(kind, SecondFactorKind::Yubico { .. }) && !enrolled.factors.is_empty();
        release >= KEYS_IGNORED_FROM || challenged || always
    });
    usable.retain(|kind| demanded.is_none_or(|demanded| fits(*kind, demanded)));
    match enrolled.recovery {
        _ if !usable.is_empty() => SecondFactor::Asked(usable),
        Some(recovery) => SecondFactor::RecoveryOnly { codes_left: recovery.codes_left },
        None if has_old_key => SecondFactor::LegacyKey,
        None if demanded.is_some() => SecondFactor::Refused,
        None if !enabled.is_empty() => SecondFactor::NotUsable(enabled),
        None if !enrolled.factors.is_empty() => SecondFactor::Disabled,
        None => SecondFactor::None,
    }
}

/// Whether a factor is one the realm demands; recovery codes always are.
fn fits(kind: TfaKind, demanded: SecondFactorKind) -> bool {
    match demanded {
        SecondFactorKind::Oath => kind == TfaKind::Totp,
        SecondFactorKind::Yubico { .. } => kind == TfaKind::Yubico,
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
    use crate::formats::domains_cfg;
    use crate::formats::release::Release::{Pve7, Pve8, Pve9};
    use crate::formats::tfa_cfg::{Recovery, TfaFactor};
    use crate::formats::{Located, datacenter_cfg};

    const NOTHING: Tokens = Tokens { webauthn: false, u2f: false };
    const BOTH: Tokens = Tokens { webauthn: true, u2f: true };

    /// In a realm that demands nothing.
    fn free(enrolled: Option<&TfaUser>, keys: Keys, tokens: Tokens, release: Release) -> SecondFactor {
        judge(enrolled, keys, tokens, Realm::built_in("pve").as_ref(), release)
    }

    /// In the realm `pve` with this setting of `tfa`.
    fn demanded(tfa: &str, enrolled: Option<&TfaUser>, keys: Keys, release: Release) -> SecondFactor {
        let realms = domains_cfg::parse(&format!("pve: pve\n\ttfa type={tfa}\n"), release).value.realms;
        judge(enrolled, keys, BOTH, realms.get("pve"), release)
    }

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
                let asked = free(Some(&alice), keys, NOTHING, release);
                assert_eq!(asked, SecondFactor::Asked(vec![TfaKind::Totp]));
            }
        }
    }

    #[test]
    fn release_7_asks_nobody_whose_field_keys_is_empty() {
        let alice = user(&[(TfaKind::Totp, true)], None);
        assert_eq!(free(Some(&alice), Keys::None, NOTHING, Pve7), SecondFactor::NotAsked);
        assert_eq!(free(Some(&user(&[], Some(1))), Keys::None, NOTHING, Pve7), SecondFactor::NotAsked);
        let asked = free(Some(&alice), Keys::Marker, NOTHING, Pve7);
        assert_eq!(asked, SecondFactor::Asked(vec![TfaKind::Totp]));
    }

    #[test]
    fn tokens_without_their_setting_are_not_asked_for() {
        let alice = user(&[(TfaKind::Webauthn, true), (TfaKind::U2f, true)], None);
        assert_eq!(
            free(Some(&alice), Keys::Marker, NOTHING, Pve9),
            SecondFactor::NotUsable(vec![TfaKind::U2f, TfaKind::Webauthn])
        );
        let webauthn_only = Tokens { webauthn: true, u2f: false };
        let asked = free(Some(&alice), Keys::Marker, webauthn_only, Pve9);
        assert_eq!(asked, SecondFactor::Asked(vec![TfaKind::Webauthn]));
        assert_eq!(free(Some(&alice), Keys::Marker, BOTH, Pve9).kinds().len(), 2);
    }

    #[test]
    fn recovery_codes_are_asked_for_even_when_none_is_left() {
        let spent = user(&[(TfaKind::Totp, false)], Some(0));
        let asked = free(Some(&spent), Keys::None, NOTHING, Pve9);
        assert_eq!(asked, SecondFactor::RecoveryOnly { codes_left: 0 });
    }

    #[test]
    fn a_disabled_factor_is_none_and_an_old_key_means_nothing_where_the_realm_demands_none() {
        let off = user(&[(TfaKind::Totp, false)], None);
        assert_eq!(free(Some(&off), Keys::Marker, BOTH, Pve9), SecondFactor::Disabled);
        assert_eq!(free(None, Keys::Marker, BOTH, Pve9), SecondFactor::None);
        assert_eq!(free(None, Keys::LegacySecret, BOTH, Pve9), SecondFactor::None);
    }

    #[test]
    fn a_realm_that_demands_a_factor_refuses_whoever_has_none_of_that_kind() {
        let off = user(&[(TfaKind::Totp, false)], None);
        let webauthn = user(&[(TfaKind::Webauthn, true)], None);
        for release in [Pve8, Pve9] {
            for tfa in ["oath", "yubico"] {
                for enrolled in [None, Some(&off), Some(&webauthn)] {
                    for keys in [Keys::None, Keys::Marker] {
                        assert_eq!(demanded(tfa, enrolled, keys, release), SecondFactor::Refused);
                    }
                }
            }
        }
        let both = user(&[(TfaKind::Totp, true), (TfaKind::Yubico, true)], Some(1));
        let kinds = |tfa| demanded(tfa, Some(&both), Keys::None, Pve9);
        assert_eq!(kinds("oath"), SecondFactor::Asked(vec![TfaKind::Totp]));
        assert_eq!(kinds("yubico"), SecondFactor::Asked(vec![TfaKind::Yubico]));
        let codes = user(&[(TfaKind::Webauthn, true)], Some(1));
        let recovery = SecondFactor::RecoveryOnly { codes_left: 1 };
        assert_eq!(demanded("oath", Some(&codes), Keys::None, Pve9), recovery);
    }

    #[test]
    fn release_7_refuses_only_whose_field_keys_is_empty() {
        let off = user(&[(TfaKind::Totp, false)], None);
        for enrolled in [None, Some(&off)] {
            assert_eq!(demanded("oath", enrolled, Keys::None, Pve7), SecondFactor::Refused);
        }
        assert_eq!(demanded("oath", Some(&off), Keys::Marker, Pve7), SecondFactor::Disabled);
        assert_eq!(demanded("yubico", Some(&off), Keys::Marker, Pve7), SecondFactor::Refused);
        for tfa in ["oath", "yubico"] {
            assert_eq!(demanded(tfa, None, Keys::Marker, Pve7), SecondFactor::None);
        }
        let webauthn = user(&[(TfaKind::Webauthn, true)], None);
        assert_eq!(demanded("oath", Some(&webauthn), Keys::Marker, Pve7), SecondFactor::Refused);
    }

    #[test]
    fn an_old_key_counts_where_the_realm_demands_it() {
        for release in [Pve7, Pve8, Pve9] {
            for tfa in ["oath", "yubico"] {
                let factor = demanded(tfa, None, Keys::LegacySecret, release);
                assert_eq!(factor, SecondFactor::LegacyKey);
            }
        }
    }

    #[test]
    fn an_openid_provider_is_asked_instead_whatever_is_enrolled_here() {
        let text = "openid: sso\n\tissuer-url https://x\n\tclient-id a\n";
        let realms = domains_cfg::parse(text, Pve9).value.realms;
        let alice = user(&[(TfaKind::Totp, true)], None);
        let of = |name| judge(Some(&alice), Keys::Marker, BOTH, realms.get(name), Pve9);
        assert_eq!(of("sso"), SecondFactor::Provider);
        assert_eq!(of("corp"), SecondFactor::NoRealm);
    }

    #[test]
    fn webauthn_needs_a_party_its_id_and_no_broken_origin_and_u2f_an_application() {
        let read = |text: &str| Tokens::of(&datacenter_cfg::parse(text).value);
        assert_eq!(read("webauthn: rp=lab,id=pve.example.com\n"), Tokens { webauthn: true, u2f: false });
        assert_eq!(read("webauthn: id=pve.example.com\nu2f: origin=https://a\n"), NOTHING);
        assert_eq!(read("u2f: appid=https://a\n"), Tokens { webauthn: false, u2f: true });
        for broken in ["pve.example.com", "https://", "//pve.example.com", "1https://pve"] {
            assert_eq!(read(&format!("webauthn: rp=lab,id=a,origin={broken}\n")), NOTHING, "{broken}");
        }
        let good = read("webauthn: rp=lab,id=a,origin=https://pve.example.com:8006\n");
        assert!(good.webauthn && !good.u2f);
        let empty = DatacenterCfg {
            webauthn: Some(Located::new(Webauthn::default(), 1)),
            ..DatacenterCfg::default()
        };
        assert_eq!(Tokens::of(&empty), NOTHING);
    }
}
