//! Access control and authentication: who there is, who may do what, and how they prove who they are.

pub mod effective;
pub mod power;
pub mod second_factor;

use std::cell::OnceCell;

use jiff::Timestamp;

use super::identity::DPKG_STATUS;
use super::{Doubt, Fact, Gather, Host, Stop};
use crate::files::Text;
use crate::formats::crypt_hash::PasswordField;
use crate::formats::debian_version::older;
use crate::formats::domains_cfg::{self, DomainsConfig, Realm};
use crate::formats::passwd::{self, Passwd, PasswdPassword};
use crate::formats::release::Release;
use crate::formats::shadow::{self, Shadow};
use crate::formats::shadow_cfg::{self, ShadowCfg};
use crate::formats::tfa_cfg::{self, TfaCfg};
use crate::formats::token_cfg::{self, TokenCfg};
use crate::formats::user_cfg::{self, AclSubject, Rules, Token, User, UserCfg};
use power::{Powers, Surroundings};

/// Users, groups, tokens, roles and ACLs.
pub const USER_CFG: &str = "/etc/pve/user.cfg";

/// Realms.
pub const DOMAINS_CFG: &str = "/etc/pve/domains.cfg";

/// Second factors.
pub const TFA_CFG: &str = "/etc/pve/priv/tfa.cfg";

/// Secrets of API tokens.
pub const TOKEN_CFG: &str = "/etc/pve/priv/token.cfg";

/// Passwords of the realm `pve`.
pub const SHADOW_CFG: &str = "/etc/pve/priv/shadow.cfg";

/// The local accounts.
pub const PASSWD: &str = "/etc/passwd";

/// Passwords of the local accounts.
pub const SHADOW: &str = "/etc/shadow";

/// The package that lets people log in.
const ACCESS_CONTROL: &str = "libpve-access-control";

/// Its first version that looks at second factors whatever the field `keys` of user.cfg says, and refuses a login
/// where the realm demands one and the user has none.
const FACTORS_BY_THEMSELVES: &str = "8.0.4";

/// Its first version that takes groups from providers of logins; older ones drop the options.
const GROUPS_OF_PROVIDERS: &str = "8.2.1";

/// Where the passwords lie with which realms bind to their directory servers, the folder of old releases last.
pub const BIND_PASSWORDS: [&str; 2] = ["/etc/pve/priv/realm", "/etc/pve/priv/ldap"];

/// The end of the name of such a file; before it stands the realm.
const BIND_PASSWORD_END: &str = ".pw";

/// Its first version in which pools nest.
const NESTED_POOLS: &str = "8.0.7";

/// The package whose functions split the lists of user.cfg.
const COMMON: &str = "libpve-common-perl";

/// Its first version that splits them inside some letters.
const SPLITS_LETTERS: &str = "9.1.17";

/// The folder only root sees, on every node with a cluster file system.
const PRIVATE: &str = "/etc/pve/priv";

#[derive(Default)]
pub(super) struct Facts {
    user_cfg: OnceCell<Fact<UserCfg>>,
    powers: OnceCell<Fact<Powers>>,
    realms: OnceCell<Fact<DomainsConfig>>,
    login_rules: OnceCell<Fact<Release>>,
    tfa: OnceCell<Fact<TfaCfg>>,
    token_secrets: OnceCell<Fact<Option<TokenCfg>>>,
    pve_passwords: OnceCell<Fact<Option<ShadowCfg>>>,
    bind_passwords: OnceCell<Fact<Vec<BindPassword>>>,
    passwd: OnceCell<Fact<Passwd>>,
    shadow: OnceCell<Fact<Shadow>>,
    root_password: OnceCell<Fact<RootPassword>>,
}

/// Whether somebody can log in, as far as his entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// He can.
    Active,
    /// The account is disabled.
    Disabled,
    /// It has expired.
    Expired,
}

impl Standing {
    /// Of a user at this time.
    pub fn of_user(user: &User, now: Timestamp) -> Self {
        if !user.enable {
            Self::Disabled
        } else if is_expired(user.expire, now) {
            Self::Expired
        } else {
            Self::Active
        }
    }

    /// Of a token at this time: its owner counts as well (`verify_token`).
    pub fn of_token(token: &Token, owner: &User, now: Timestamp) -> Self {
        match Self::of_user(owner, now) {
            Self::Active if is_expired(token.expire, now) => Self::Expired,
            standing => standing,
        }
    }
}

/// Whether an expiry in seconds since the epoch has passed; 0 is never (`check_user_enabled`).
fn is_expired(expire: u64, now: Timestamp) -> bool {
    expire != 0 && u64::try_from(now.as_second()).is_ok_and(|now| expire < now)
}

/// A file with the password with which a realm binds to its directory server. It is never read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BindPassword {
    /// The realm it is named after.
    pub realm: String,
    /// The file.
    pub path: String,
    /// Whether it lies where old releases kept it; upstream still reads it if there is none in the new place.
    pub in_old_place: bool,
}

/// The password of root, or of another local account, on this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootPassword {
    /// What the field holds.
    pub password: PasswordField,
    /// The file it stands in.
    pub path: &'static str,
    /// Line in that file, counted from 1.
    pub line: u32,
}

/// The realm of this name; `None` if there is none, so that nobody in it can log in.
///
/// # Errors
/// No realm stands in the file, where upstream writes the built-in ones with the first other: it has lost its content.
pub fn realm_of<'c>(cfg: &'c DomainsConfig, name: &str) -> Result<Option<&'c Realm>, Stop> {
    let realm = cfg.realms.get(name);
    if realm.is_none() && cfg.realms.values().all(|realm| realm.line.is_none()) {
        return Err(Stop::unknown(DOMAINS_CFG, format!("is missing or has lost the realm {name}")));
    }
    Ok(realm)
}

impl Host {
    /// `/etc/pve/user.cfg`. Every node has one from its installation on, so a missing or empty one is not the empty
    /// one upstream would take it for.
    pub fn access(&self) -> &Fact<UserCfg> {
        self.access.user_cfg.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                gather.take(self.cluster_files())?;
                let text = gather.required_bytes(USER_CFG)?;
                Ok(gather.parsed(USER_CFG, user_cfg::parse_by(&text, self.user_cfg_rules())))
            })
        })
    }

    /// The rules user.cfg is read by: those of the installed packages, or of the last ones of the release where these
    /// are not known.
    fn user_cfg_rules(&self) -> Rules {
        let rules = Rules::of(self.format_release());
        let version = |package| self.package_version(package).ok().flatten();
        let nests = |version| !older(version, NESTED_POOLS);
        let splits = |version| !older(version, SPLITS_LETTERS);
        Rules {
            nested_pools: rules.nested_pools && version(ACCESS_CONTROL).is_none_or(nests),
            splits_letters: rules.splits_letters.or_else(|| version(COMMON).map(splits)),
            ..rules
        }
    }

    /// What everybody can come to, by the rules of [`power::rules`].
    pub fn powers(&self) -> &Fact<Powers> {
        self.access.powers.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let cfg = gather.take(self.access())?;
                // Privileges and roles differ between the releases.
                self.release()?;
                let powers = self.powers_in(cfg);
                if powers.depends_on_realms() {
                    gather.heed(self.realms());
                }
                Ok(powers)
            })
        })
    }

    fn powers_in(&self, cfg: &UserCfg) -> Powers {
        let cluster = self.cluster();
        let nodes = cluster.as_ref().map(|cluster| cluster.nodes.as_slice());
        let realms = self.realms().value.as_ref().ok();
        power::find(cfg, Surroundings { nodes, realms })
    }

    /// What users and tokens could come to if ACLs gave nothing to groups.
    pub fn powers_without_groups(&self, cfg: &UserCfg) -> Powers {
        let mut cfg = cfg.clone();
        cfg.acl.retain(|entry| !matches!(entry.subject, AclSubject::Group(_)));
        self.powers_in(&cfg)
    }

    /// `/etc/pve/domains.cfg`. Without the file there are the realms `pam` and `pve`, with nothing set; upstream
    /// never writes an empty one.
    pub fn realms(&self) -> &Fact<DomainsConfig> {
        self.access.realms.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                gather.take(self.cluster_files())?;
                let text = gather.optional(DOMAINS_CFG)?;
                if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
                    gather.doubt(Doubt::about(DOMAINS_CFG, "is empty: its content may have been lost"));
                }
                let text = text.as_deref().unwrap_or_default();
                let mut realms = gather.parsed(DOMAINS_CFG, domains_cfg::parse(text, self.format_release()));
                let version = self.package_version(ACCESS_CONTROL).ok().flatten();
                if version.is_some_and(|version| older(version, GROUPS_OF_PROVIDERS)) {
                    realms.drop_groups_of_providers();
                }
                Ok(realms)
            })
        })
    }

    /// The release by whose rules a login asks for second factors: the first packages of release 8 still have those
    /// of release 7.
    pub fn login_rules(&self) -> &Fact<Release> {
        self.access.login_rules.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let release = self.release()?;
                if release != Release::Pve8 {
                    return Ok(release);
                }
                let version = self.package_version(ACCESS_CONTROL).ok().flatten();
                // Who says that this is release 8, for a copy without packages, means one that is kept up to date.
                if self.assumed.is_none() {
                    gather.take(self.packages())?;
                    if version.is_none() {
                        let what = format!("does not tell the version of {ACCESS_CONTROL}");
                        gather.doubt(Doubt::about(DPKG_STATUS, what));
                    }
                }
                let is_early = version.is_some_and(|version| older(version, FACTORS_BY_THEMSELVES));
                Ok(if is_early { Release::Pve7 } else { release })
            })
        })
    }

    /// `/etc/pve/priv/tfa.cfg`. Without the file nobody has enrolled a second factor.
    pub fn tfa(&self) -> &Fact<TfaCfg> {
        self.access.tfa.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let text = self.private(gather, TFA_CFG)?;
                let text = text.as_deref().unwrap_or_default();
                Ok(gather.parsed(TFA_CFG, tfa_cfg::parse(text)))
            })
        })
    }

    /// `/etc/pve/priv/token.cfg`: which tokens have a secret. `None` without the file: it comes with the first token.
    pub fn token_secrets(&self) -> &Fact<Option<TokenCfg>> {
        self.access.token_secrets.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let Some(text) = self.private(gather, TOKEN_CFG)? else { return Ok(None) };
                Ok(Some(gather.parsed(TOKEN_CFG, token_cfg::parse(&text))))
            })
        })
    }

    /// `/etc/pve/priv/shadow.cfg`: the passwords of the realm `pve`. `None` without the file: it comes with the first
    /// password.
    pub fn pve_passwords(&self) -> &Fact<Option<ShadowCfg>> {
        self.access.pve_passwords.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let Some(text) = self.private(gather, SHADOW_CFG)? else { return Ok(None) };
                Ok(Some(gather.parsed(SHADOW_CFG, shadow_cfg::parse(&text))))
            })
        })
    }

    /// Which realms have a bind password, by the names of the files (`get_cred_file` in `PVE::Auth::LDAP`). A missing
    /// folder is an empty one.
    pub fn bind_passwords(&self) -> &Fact<Vec<BindPassword>> {
        self.access.bind_passwords.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                gather.take(self.cluster_files())?;
                self.files.list(PRIVATE)?;
                let mut found = Vec::new();
                for (folder, in_old_place) in BIND_PASSWORDS.iter().zip([false, true]) {
                    for entry in gather.folder(folder) {
                        let Some(realm) = entry.name.strip_suffix(BIND_PASSWORD_END) else { continue };
                        let path = format!("{folder}/{}", entry.name);
                        found.push(BindPassword { realm: realm.to_owned(), path, in_old_place });
                    }
                }
                Ok(found)
            })
        })
    }

    /// A file below `/etc/pve/priv`; `None` if it is missing from a folder that can be seen. Upstream never leaves an
    /// empty one.
    fn private(&self, gather: &mut Gather<'_>, path: &str) -> Result<Option<Text>, Stop> {
        gather.take(self.cluster_files())?;
        let text = gather.optional(path)?;
        match &text {
            None => {
                self.files.list(PRIVATE)?;
            }
            Some(text) if text.trim().is_empty() => {
                gather.doubt(Doubt::about(path, "is empty: its content may have been lost"));
            }
            Some(_) => {}
        }
        Ok(text)
    }

    /// `/etc/passwd`, which every Debian has.
    pub fn passwd(&self) -> &Fact<Passwd> {
        self.access.passwd.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let text = gather.required(PASSWD)?;
                Ok(gather.parsed(PASSWD, passwd::parse(&text)))
            })
        })
    }

    /// `/etc/shadow`, which every Debian has.
    pub fn shadow(&self) -> &Fact<Shadow> {
        self.access.shadow.get_or_init(|| {
            Fact::gather(&self.files, |gather| {
                let text = gather.required(SHADOW)?;
                Ok(gather.parsed(SHADOW, shadow::parse(&text)))
            })
        })
    }

    /// The password of root: that of `/etc/passwd` if a hash stands there, else that of `/etc/shadow`.
    pub fn root_password(&self) -> &Fact<RootPassword> {
        self.access.root_password.get_or_init(|| self.password_of("root"))
    }

    /// The password of a local account, from the same places.
    pub fn password_of(&self, name: &str) -> Fact<RootPassword> {
        Fact::gather(&self.files, |gather| {
            let missing = |path| Stop::unknown(path, format!("has no entry for {name}"));
            let account = gather.take(self.passwd())?.by_name(name).ok_or_else(|| missing(PASSWD))?;
            if let PasswdPassword::Here(password) = account.password {
                return Ok(RootPassword { password, path: PASSWD, line: account.line });
            }
            let entry = gather.take(self.shadow())?.by_name(name).ok_or_else(|| missing(SHADOW))?;
            Ok(RootPassword { password: entry.password, path: SHADOW, line: entry.line })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::{Files, Node, Tree};

    fn host(user_cfg: &[u8], release: Release, packages: &[(&str, &str)]) -> Host {
        let mut tree = Tree::default();
        tree.insert(USER_CFG, Node::file(user_cfg));
        let package = |(name, version): &(&str, &str)| {
            format!(
                "Package: {name}\nStatus: install ok installed\nArchitecture: all\nVersion: {version}\n\n"
            )
        };
        if !packages.is_empty() {
            let status: String = packages.iter().map(package).collect();
            tree.insert(DPKG_STATUS, Node::file(status));
        }
        Host::new(Files::memory(tree), None, Some(release))
    }

    #[test]
    fn a_user_cfg_that_is_no_utf_8_is_used_all_the_same() {
        let host = host(b"user:a@pve:1:0::::caf\xe9::\nuser:j\xf6rg@pve:1:\n", Release::Pve9, &[]);
        let fact = host.access();
        assert_eq!(fact.doubts, []);
        assert_eq!(fact.value.as_ref().unwrap().users.len(), 3);
    }

    #[test]
    fn whether_pools_nest_and_lists_split_letters_is_told_by_the_packages() {
        let rules = |release, packages: &[(&str, &str)]| host(b"\n", release, packages).user_cfg_rules();
        let nests = |release, packages: &[(&str, &str)]| rules(release, packages).nested_pools;
        assert!(!nests(Release::Pve8, &[(ACCESS_CONTROL, "8.0.5")]));
        assert!(nests(Release::Pve8, &[(ACCESS_CONTROL, "8.0.7")]));
        assert!(nests(Release::Pve8, &[]));
        assert!(!nests(Release::Pve7, &[(ACCESS_CONTROL, "7.4.3")]));
        let splits = |release, packages: &[(&str, &str)]| rules(release, packages).splits_letters;
        assert_eq!(splits(Release::Pve9, &[(COMMON, "9.1.17")]), Some(true));
        assert_eq!(splits(Release::Pve9, &[(COMMON, "9.1.2")]), Some(false));
        assert_eq!(splits(Release::Pve9, &[]), None);
        assert_eq!(splits(Release::Pve8, &[]), Some(false));
    }
}
