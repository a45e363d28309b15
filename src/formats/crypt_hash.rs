//! What the password field of passwd, shadow and priv/shadow.cfg says, without the hash.
//!
//! Follows crypt(5) of libxcrypt and `verify_pwd_hash` of Linux-PAM `modules/pam_unix/passverify.c`.

/// What a password field holds. The text itself is a secret and is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PasswordField {
    /// Empty: no password is asked for where PAM has `nullok`.
    Empty,
    /// Starts with `!`, as `passwd -l` and `usermod -L` leave it: no password fits.
    Locked,
    /// Anything else that is no hash, usually `*`: no password fits.
    NoLogin,
    /// A hash.
    Hash {
        /// How it is made.
        scheme: HashScheme,
        /// Rounds, where `$5$` and `$6$` name them; [`SHA_ROUNDS_DEFAULT`] otherwise.
        rounds: Option<u32>,
    },
}

/// Rounds of `$5$` and `$6$` hashes that do not name any.
pub const SHA_ROUNDS_DEFAULT: u32 = 5000;

/// How a password hash is made, in the names of crypt(5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HashScheme {
    /// `$y$`, the default of Debian 11 and later.
    Yescrypt,
    /// `$gy$`.
    GostYescrypt,
    /// `$7$`.
    Scrypt,
    /// `$2b$`, and `$2a$`, `$2x$`, `$2y$`.
    Bcrypt,
    /// `$6$`.
    Sha512Crypt,
    /// `$5$`, what Proxmox VE writes itself.
    Sha256Crypt,
    /// `$sha1$`.
    Sha1Crypt,
    /// `$md5$` or `$md5,`.
    SunMd5,
    /// `$1$`.
    Md5Crypt,
    /// `$3$`.
    NtHash,
    /// `_`: DES with a longer password and a configurable number of rounds.
    BsdiCrypt,
    /// Traditional DES, 13 characters and more.
    Des,
    /// Starts with `$` but names no scheme known here.
    Unknown,
}

/// Prefixes in the order they are tried.
const PREFIXES: &[(&str, HashScheme)] = &[
    ("$y$", HashScheme::Yescrypt),
    ("$gy$", HashScheme::GostYescrypt),
    ("$7$", HashScheme::Scrypt),
    ("$2a$", HashScheme::Bcrypt),
    ("$2b$", HashScheme::Bcrypt),
    ("$2x$", HashScheme::Bcrypt),
    ("$2y$", HashScheme::Bcrypt),
    ("$6$", HashScheme::Sha512Crypt),
    ("$5$", HashScheme::Sha256Crypt),
    ("$sha1", HashScheme::Sha1Crypt),
    ("$md5", HashScheme::SunMd5),
    ("$1$", HashScheme::Md5Crypt),
    ("$3$", HashScheme::NtHash),
    ("$", HashScheme::Unknown),
    ("_", HashScheme::BsdiCrypt),
];

/// Characters of a DES hash, salt included. More may follow: PAM also takes the longer hashes of bigcrypt and
/// drops what HP-UX appends.
const DES_LENGTH: usize = 13;

impl PasswordField {
    /// Classifies the text of a password field.
    pub fn classify(field: &str) -> Self {
        if field.is_empty() {
            return Self::Empty;
        }
        if field.starts_with('!') {
            return Self::Locked;
        }
        match PREFIXES.iter().find(|(prefix, _)| field.starts_with(prefix)) {
            Some((prefix, scheme)) => Self::Hash { scheme: *scheme, rounds: scheme.rounds(field, prefix) },
            None if is_des(field) => Self::Hash { scheme: HashScheme::Des, rounds: None },
            None => Self::NoLogin,
        }
    }

    /// Whether some password fits (an empty one included).
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Empty | Self::Hash { .. })
    }
}

impl HashScheme {
    /// The name crypt(5) gives the scheme.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Yescrypt => "yescrypt",
            Self::GostYescrypt => "gost-yescrypt",
            Self::Scrypt => "scrypt",
            Self::Bcrypt => "bcrypt",
            Self::Sha512Crypt => "sha512crypt",
            Self::Sha256Crypt => "sha256crypt",
            Self::Sha1Crypt => "sha1crypt",
            Self::SunMd5 => "SunMD5",
            Self::Md5Crypt => "md5crypt",
            Self::NtHash => "NT",
            Self::BsdiCrypt => "bsdicrypt",
            Self::Des => "descrypt",
            Self::Unknown => "unknown",
        }
    }

    fn rounds(self, field: &str, prefix: &str) -> Option<u32> {
        if !matches!(self, Self::Sha512Crypt | Self::Sha256Crypt) {
            return None;
        }
        let named = field.strip_prefix(prefix).and_then(|rest| rest.strip_prefix("rounds="));
        let number = named.and_then(|rest| rest.split_once('$')).and_then(|(number, _)| number.parse().ok());
        Some(number.unwrap_or(SHA_ROUNDS_DEFAULT))
    }
}

fn is_des(field: &str) -> bool {
    let legal = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/');
    field.chars().take_while(legal).take(DES_LENGTH).count() == DES_LENGTH
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheme(field: &str) -> Option<HashScheme> {
        match PasswordField::classify(field) {
            PasswordField::Hash { scheme, .. } => Some(scheme),
            _ => None,
        }
    }

    #[test]
    fn an_empty_field_needs_no_password() {
        assert_eq!(PasswordField::classify(""), PasswordField::Empty);
        assert!(PasswordField::Empty.is_usable());
    }

    #[test]
    fn an_exclamation_mark_locks_also_in_front_of_a_hash() {
        for field in ["!", "!!", "!*", "!$6$abc$def"] {
            assert_eq!(PasswordField::classify(field), PasswordField::Locked, "{field}");
        }
        assert!(!PasswordField::Locked.is_usable());
    }

    #[test]
    fn what_is_no_hash_fits_no_password() {
        for field in ["*", "x", "*NP*", "*$6$abc$def", "abcdefghijkl", "abcdefghijkl!"] {
            assert_eq!(PasswordField::classify(field), PasswordField::NoLogin, "{field}");
        }
    }

    #[test]
    fn every_scheme_is_known_by_its_prefix() {
        let table = [
            ("$y$j9T$abc$def", HashScheme::Yescrypt),
            ("$gy$j9T$abc$def", HashScheme::GostYescrypt),
            ("$7$CU..../....abc$def", HashScheme::Scrypt),
            ("$2b$12$abc", HashScheme::Bcrypt),
            ("$2y$12$abc", HashScheme::Bcrypt),
            ("$6$abc$def", HashScheme::Sha512Crypt),
            ("$5$abc$def", HashScheme::Sha256Crypt),
            ("$sha1$40000$abc$def", HashScheme::Sha1Crypt),
            ("$md5,rounds=904$abc$$def", HashScheme::SunMd5),
            ("$1$abc$def", HashScheme::Md5Crypt),
            ("$3$$8846f7eaee8fb117", HashScheme::NtHash),
            ("_J9..abcdabcdefghijk", HashScheme::BsdiCrypt),
            ("ab1./cdefghij", HashScheme::Des),
            ("ab1./cdefghij,M.aB", HashScheme::Des),
            ("$argon2id$v=19$abc", HashScheme::Unknown),
        ];
        for (field, wanted) in table {
            assert_eq!(scheme(field), Some(wanted), "{field}");
        }
    }

    #[test]
    fn rounds_are_read_where_sha_hashes_name_them() {
        let rounds = |field| match PasswordField::classify(field) {
            PasswordField::Hash { rounds, .. } => rounds,
            _ => None,
        };
        assert_eq!(rounds("$6$rounds=1000$abc$def"), Some(1000));
        assert_eq!(rounds("$5$abc$def"), Some(SHA_ROUNDS_DEFAULT));
        assert_eq!(rounds("$y$j9T$abc$def"), None);
    }
}
