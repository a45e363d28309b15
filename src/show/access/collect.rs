//! What is known about access control: everybody, and what he may do.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use jiff::Timestamp;

use super::rights::{Grant, Ledger, Levels, Right};
use crate::formats::domains_cfg::DomainsConfig;
use crate::formats::release::Release;
use crate::formats::tfa_cfg::{TfaKind, TfaUser};
use crate::formats::token_cfg::TokenCfg;
use crate::formats::user_cfg::names::{ROOT, split_token_id, split_user_id};
use crate::formats::user_cfg::{Token, User, UserCfg};
use crate::host::access::effective::{Effective, Privileges};
use crate::host::access::power::{Power, Powers};
use crate::host::access::second_factor::{SecondFactor, Tokens, judge, needs_tokens, users};
use crate::host::access::{Standing, USER_CFG, realm_of};
use crate::host::{Doubt, Fact, Host, Stop};

/// The access control of a host.
pub(super) struct Access<'h> {
    pub(super) host: &'h Host,
    pub(super) now: Timestamp,
    pub(super) cfg: &'h UserCfg,
    pub(super) effective: Effective<'h>,
    pub(super) ledger: Ledger<'h>,
    /// `None` where they could not be read.
    pub(super) realms: Option<&'h DomainsConfig>,
    /// Users and tokens that exist, by id. A token stands behind its owner.
    pub(super) identities: BTreeMap<String, Identity<'h>>,
    /// Users that do not exist and hold rights all the same, by id.
    pub(super) missing: BTreeMap<String, Identity<'h>>,
    /// When user.cfg was changed last, if that can be told.
    pub(super) changed: Option<Timestamp>,
    pub(super) doubts: Vec<Doubt>,
    powers: &'h Powers,
    /// The release by whose rules a login asks for second factors.
    rules: Release,
    tfa: Option<&'h BTreeMap<String, TfaUser>>,
    usable: Option<Tokens>,
    secrets: Option<&'h Option<TokenCfg>>,
}

/// A user or token.
pub(super) struct Identity<'h> {
    pub(super) id: String,
    /// `None` for a user who does not exist.
    pub(super) user: Option<&'h User>,
    /// The token, if it is one, and its owner.
    pub(super) token: Option<(&'h str, &'h Token)>,
}

/// What somebody may do.
pub(super) enum Holds<'h> {
    /// Everything everywhere, for he is root@pam.
    Everything,
    /// What another user may.
    AllOf(&'h str),
    /// By ACL entries; a token only as far as its owner, who is named, has the same.
    Rights(Rc<[Right<'h>]>, Option<&'h str>),
}

impl Identity<'_> {
    /// What kind it is, for machines.
    pub(super) fn kind(&self) -> &'static str {
        if self.token.is_some() { "token" } else { "user" }
    }

    /// Whether it can be used, in one word.
    pub(super) fn status(&self, now: Timestamp) -> &'static str {
        let standing = match (self.user, self.token) {
            (None, _) => return "missing",
            (Some(user), None) => Standing::of_user(user, now),
            (Some(user), Some((_, token))) => Standing::of_token(token, user, now),
        };
        match standing {
            Standing::Active => "active",
            Standing::Disabled => "disabled",
            Standing::Expired => "expired",
        }
    }

    /// The realm of the user or of the owner.
    pub(super) fn realm(&self) -> &str {
        let user = self.token.map_or(self.id.as_str(), |(owner, _)| owner);
        user.rsplit_once('@').map(|(_, realm)| realm).unwrap_or_default()
    }
}

/// Reads everything there is.
///
/// # Errors
/// Why there is nothing to show.
pub(super) fn collect(host: &Host, now: Timestamp) -> Result<Access<'_>, Stop> {
    let mut doubts = Vec::new();
    let cfg = take(host.access(), &mut doubts)?;
    // Privileges and roles differ between the releases.
    host.release()?;
    let tfa = take(host.tfa(), &mut doubts).ok().and_then(|tfa| users(tfa).ok());
    let needs_tokens = tfa.is_some_and(|users| users.values().any(|user| needs_tokens(Some(user))));
    let datacenter = if needs_tokens { take(host.datacenter(), &mut doubts).ok() } else { None };
    let modified = host.files.stat(USER_CFG).ok().map(|meta| meta.modified);
    let ledger = Ledger::of(cfg);
    let access = Access {
        host,
        now,
        cfg,
        effective: Effective::new(cfg),
        identities: identities(cfg),
        missing: missing(cfg, &ledger),
        ledger,
        realms: take(host.realms(), &mut doubts).ok(),
        changed: modified.and_then(|seconds| Timestamp::from_second(seconds).ok()),
        powers: take(host.powers(), &mut doubts)?,
        rules: *take(host.login_rules(), &mut doubts)?,
        tfa,
        usable: datacenter.map(Tokens::of),
        secrets: take(host.token_secrets(), &mut doubts).ok(),
        doubts: Vec::new(),
    };
    doubts.sort();
    doubts.dedup();
    Ok(Access { doubts, ..access })
}

/// The value of a fact; its doubts, and why there is no value, are kept.
pub(super) fn take<'h, T>(fact: &'h Fact<T>, doubts: &mut Vec<Doubt>) -> Result<&'h T, Stop> {
    doubts.extend(fact.doubts.iter().cloned());
    if let Err(Stop::Unknown(doubt)) = &fact.value {
        doubts.push(doubt.clone());
    }
    fact.value.as_ref().map_err(Clone::clone)
}

fn identities(cfg: &UserCfg) -> BTreeMap<String, Identity<'_>> {
    let mut all = BTreeMap::new();
    for (id, user) in &cfg.users {
        all.insert(id.clone(), Identity { id: id.clone(), user: Some(user), token: None });
        for (name, token) in &user.tokens {
            let token_id = format!("{id}!{name}");
            all.insert(
                token_id.clone(),
                Identity { id: token_id, user: Some(user), token: Some((id, token)) },
            );
        }
    }
    all
}

/// Users an ACL names, itself or by a group, and who do not exist.
fn missing<'h>(cfg: &'h UserCfg, ledger: &Ledger<'h>) -> BTreeMap<String, Identity<'h>> {
    let members = cfg.groups.values().flat_map(|group| group.members.iter().map(String::as_str));
    let unknown = ledger
        .named()
        .chain(members)
        .filter(|id| split_token_id(id).is_none() && !cfg.users.contains_key(*id));
    let mut all = BTreeMap::new();
    for id in unknown {
        if !all.contains_key(id) && !ledger.rights_of_user(id).is_empty() {
            all.insert(id.to_owned(), Identity { id: id.to_owned(), user: None, token: None });
        }
    }
    all
}

impl<'h> Access<'h> {
    /// Everybody who exists, and whoever would have rights if he did.
    pub(super) fn everybody(&self) -> impl Iterator<Item = &Identity<'h>> {
        self.identities.values().chain(self.missing.values())
    }

    /// What somebody may do, in the words of the ACL.
    pub(super) fn holds(&self, identity: &Identity<'h>) -> Holds<'h> {
        match identity.token {
            None if identity.id == ROOT => Holds::Everything,
            None => Holds::Rights(self.ledger.rights_of_user(&identity.id), None),
            Some((owner, token)) if !token.privsep => Holds::AllOf(owner),
            Some((owner, _)) => {
                let rights = self.ledger.rights(&self.ledger.of_token(&identity.id)).into();
                Holds::Rights(rights, Some(owner).filter(|owner| *owner != ROOT))
            }
        }
    }

    /// The ACL entries whose roles somebody has on a path, before a token is held to its owner's. None for whoever
    /// has every privilege as root@pam does.
    pub(super) fn grants(&self, identity: &Identity<'h>, path: &str) -> Vec<Grant<'h>> {
        self.ledger.on(&self.levels(identity), path)
    }

    /// What the ACL says about whoever's entries count.
    pub(super) fn levels(&self, identity: &Identity<'h>) -> Levels<'h> {
        match identity.token {
            Some((_, token)) if token.privsep => self.ledger.of_token(&identity.id),
            Some((owner, _)) => self.levels_of_user(owner),
            None => self.levels_of_user(&identity.id),
        }
    }

    /// The paths of the ACL entries that have a part in what somebody may do.
    pub(super) fn paths_about(&self, identity: &Identity<'h>) -> BTreeSet<&'h str> {
        let owner = identity.token.map(|(owner, _)| self.levels_of_user(owner));
        let own = self.levels(identity);
        own.paths().chain(owner.iter().flat_map(Levels::paths)).collect()
    }

    fn levels_of_user(&self, user: &str) -> Levels<'h> {
        if user == ROOT { Levels::default() } else { self.ledger.of_user(user) }
    }

    /// The privileges somebody has on a path.
    pub(super) fn privileges(&self, identity: &Identity<'h>, path: &str) -> Privileges {
        self.effective.privileges(&identity.id, path)
    }

    /// Whether anything of a token's right is left where its owner has it too.
    pub(super) fn is_in_effect(&self, identity: &Identity<'h>, right: &Right<'h>) -> bool {
        let Some((owner, _)) = identity.token else { return true };
        let role = self.cfg.role_privileges(&right.entry.role).unwrap_or_default();
        let top = right.entry.path.as_str();
        let is_below =
            |path: &&str| top == "/" || path.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'));
        let (own, owners) = (self.levels(identity), self.levels_of_user(owner));
        let named = own.paths().chain(owners.paths()).filter(is_below).map(str::to_owned);
        let lent = self.ledger.rights_of_user(owner);
        let members = right.members.values().chain(lent.iter().flat_map(|right| right.members.values()));
        let members = members.flatten().map(|member| member.path());
        // What neither has a word about.
        let other = format!("{}/*", top.trim_end_matches('/'));
        let mut places = [top.to_owned(), other].into_iter().chain(named).chain(members);
        places
            .any(|path| self.effective.privileges(&identity.id, &path).keys().any(|name| role.contains(name)))
    }

    /// Somebody's second factor; `None` where it is not known.
    pub(super) fn second_factor(&self, id: &str) -> Option<SecondFactor> {
        let user = self.cfg.users.get(id)?;
        let enrolled = self.tfa?.get(id);
        let tokens = if needs_tokens(enrolled) { self.usable? } else { Tokens::default() };
        let (_, realm) = split_user_id(id)?;
        let realm = realm_of(self.realms?, realm).ok()?;
        Some(judge(enrolled, user.keys, tokens, realm, self.rules))
    }

    /// The second factor in one word: for machines, and for tables.
    pub(super) fn factor_word(&self, identity: &Identity<'h>) -> Option<&'static str> {
        if identity.token.is_some() || identity.user.is_none() {
            return Some("not-applicable");
        }
        self.second_factor(&identity.id).map(|factor| factor_word(&factor))
    }

    /// Whether priv/token.cfg has a secret for a token; `None` where that could not be read.
    pub(super) fn has_secret(&self, token: &str) -> Option<bool> {
        let has = |cfg: &TokenCfg| cfg.contains_key(token);
        self.secrets.map(|secrets| secrets.as_ref().is_some_and(has))
    }

    /// Whether somebody has full power or root on a node, or can take it.
    pub(super) fn is_administrator(&self, id: &str) -> bool {
        self.powers.of(id).is_some_and(Power::is_root_equivalent)
    }

    /// The ways to full power or root on a node, each with its steps.
    pub(super) fn root_paths(&self, id: &str) -> Vec<Vec<String>> {
        let Some(power) = self.powers.of(id) else { return Vec::new() };
        power.root_ways().into_iter().map(|way| self.powers.chain(power, way)).collect()
    }

    /// Everybody who has full power or root on a node, or can take it.
    pub(super) fn administrators(&self) -> impl Iterator<Item = &str> {
        self.powers.administrators().map(|power| power.id.as_str())
    }
}

/// A second factor in one word: the strongest a login takes, or why it takes none.
fn factor_word(factor: &SecondFactor) -> &'static str {
    match factor {
        SecondFactor::Asked(kinds) => strongest(kinds),
        SecondFactor::RecoveryOnly { .. } => "recovery",
        other => other.name(),
    }
}

/// The kind that is hardest to take from its owner.
fn strongest(kinds: &[TfaKind]) -> &'static str {
    let names = [
        (TfaKind::Webauthn, "webauthn"),
        (TfaKind::U2f, "u2f"),
        (TfaKind::Yubico, "yubico"),
        (TfaKind::Totp, "totp"),
    ];
    names.into_iter().find(|(kind, _)| kinds.contains(kind)).map_or("none", |(_, name)| name)
}
