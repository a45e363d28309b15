//! Public keys of ssh: one key, `authorized_keys`, and files with host keys.
//!
//! Follows sshkey.c (`sshkey_read`), auth2-pubkeyfile.c (`auth_check_authkey_line`), auth-options.c
//! (`sshauthopt_parse`) and hostfile.c of OpenSSH. Of a key only its kind, its size and its fingerprint are kept, of an
//! option only what bears on who can use the key.

mod authorized_keys;

use base64ct::{Base64, Base64Unpadded, Encoding as _};
use sha2::{Digest as _, Sha256};

pub use authorized_keys::{AuthorizedKey, AuthorizedKeys, parse as parse_authorized_keys};

/// What the name of a certificate ends with.
const CERTIFICATE: &str = "-cert-v01@openssh.com";

/// Bits of an Ed25519 key.
const ED25519_BITS: u32 = 256;

/// What kind of key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `ssh-rsa`.
    Rsa,
    /// `ssh-dss`, which no sshd since 7.0 accepts by default and 10.0 does not know.
    Dsa,
    /// `ecdsa-sha2-nistp…`.
    Ecdsa,
    /// `ssh-ed25519`.
    Ed25519,
    /// `sk-ssh-ed25519@openssh.com`, `sk-ecdsa-…`: in a token that wants to be touched.
    Token,
}

impl Kind {
    /// The name people use.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rsa => "RSA",
            Self::Dsa => "DSA",
            Self::Ecdsa => "ECDSA",
            Self::Ed25519 => "Ed25519",
            Self::Token => "security token",
        }
    }
}

/// A public key, without the key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PublicKey {
    /// What it is.
    pub kind: Kind,
    /// Its size.
    pub bits: u32,
    /// `SHA256:…`, as `ssh-keygen -l` prints it.
    pub fingerprint: String,
}

impl PublicKey {
    /// The key of a type and its base64 text; `None` where sshd finds no key in them.
    pub fn read(name: &str, blob: &str) -> Option<Self> {
        let bytes = Base64::decode_vec(blob).ok()?;
        let mut rest = bytes.as_slice();
        let inner = string(&mut rest)?;
        if inner != name.as_bytes() {
            return None;
        }
        let plain = name.strip_suffix(CERTIFICATE);
        if plain.is_some() {
            // The nonce of a certificate stands before the key.
            string(&mut rest)?;
        }
        let (kind, bits) = match plain.unwrap_or(name) {
            "ssh-rsa" => {
                string(&mut rest)?;
                (Kind::Rsa, bits(string(&mut rest)?))
            }
            "ssh-dss" => (Kind::Dsa, bits(string(&mut rest)?)),
            "ssh-ed25519" => (Kind::Ed25519, string(&mut rest).map(|_| ED25519_BITS)?),
            "sk-ssh-ed25519" | "sk-ssh-ed25519@openssh.com" => (Kind::Token, ED25519_BITS),
            "sk-ecdsa-sha2-nistp256" | "sk-ecdsa-sha2-nistp256@openssh.com" => (Kind::Token, 256),
            "ecdsa-sha2-nistp256" => (Kind::Ecdsa, 256),
            "ecdsa-sha2-nistp384" => (Kind::Ecdsa, 384),
            "ecdsa-sha2-nistp521" => (Kind::Ecdsa, 521),
            _ => return None,
        };
        let digest = Base64Unpadded::encode_string(&Sha256::digest(&bytes));
        Some(Self { kind, bits, fingerprint: format!("SHA256:{digest}") })
    }

    /// The key in a `.pub` file: type, base64 text, comment.
    pub fn in_file(text: &str) -> Option<Self> {
        let mut words = text.lines().find(|line| !line.trim().is_empty())?.split([' ', '\t']);
        Self::read(words.next()?, words.next()?)
    }

    /// `RSA 4096`.
    pub fn told(&self) -> String {
        format!("{} {}", self.kind.name(), self.bits)
    }
}

/// A string with its length before it.
fn string<'b>(rest: &mut &'b [u8]) -> Option<&'b [u8]> {
    let (length, after) = rest.split_at_checked(4)?;
    let length = u32::from_be_bytes(length.try_into().ok()?);
    let (text, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
    *rest = after;
    Some(text)
}

/// Bits of a number in as many bytes as it takes.
fn bits(number: &[u8]) -> u32 {
    let number: &[u8] = match number.iter().position(|byte| *byte != 0) {
        Some(first) => number.get(first..).unwrap_or_default(),
        None => &[],
    };
    let unused = number.first().map_or(0, |byte| byte.leading_zeros());
    u32::try_from(number.len()).map_or(u32::MAX, |bytes| bytes.saturating_mul(8)).saturating_sub(unused)
}

/// The host keys of a `known_hosts` file, without the marked ones (`@revoked`, `@cert-authority`): what each is known
/// for, as written, and the key.
pub fn host_keys(text: &str) -> Vec<(String, PublicKey)> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with(['#', '@']));
    let key = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let names = words.next()?.to_owned();
        PublicKey::read(words.next()?, words.next()?).map(|key| (names, key))
    };
    lines.filter_map(key).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A key of this type with this many bits, of zeros and ones.
    pub(crate) fn made_up(name: &str, bits: usize, seed: u8) -> String {
        let mut blob = Vec::new();
        let mut put = |bytes: &[u8]| {
            blob.extend(u32::try_from(bytes.len()).unwrap().to_be_bytes());
            blob.extend(bytes);
        };
        put(name.as_bytes());
        let mut number = vec![seed; bits.div_ceil(8)];
        number[0] = 0x80;
        match name {
            "ssh-rsa" => {
                put(&[1, 0, 1]);
                number.insert(0, 0);
                put(&number);
            }
            "ssh-dss" => put(&number),
            _ => put(&[seed; 32]),
        }
        format!("{name} {}", Base64::encode_string(&blob))
    }

    #[test]
    fn kinds_and_sizes_come_from_the_key_itself() {
        let told = |text: &str| PublicKey::in_file(text).map(|key| key.told());
        assert_eq!(told(&made_up("ssh-rsa", 2048, 1)).as_deref(), Some("RSA 2048"));
        assert_eq!(told(&made_up("ssh-rsa", 3072, 1)).as_deref(), Some("RSA 3072"));
        assert_eq!(told(&made_up("ssh-dss", 1024, 1)).as_deref(), Some("DSA 1024"));
        assert_eq!(told(&made_up("ssh-ed25519", 256, 1)).as_deref(), Some("Ed25519 256"));
    }

    #[test]
    fn the_fingerprint_is_that_of_ssh_keygen() {
        let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDX7prxI9ZSxXw0yMhr6XnyDAIqEAqX3mGlaRMyDaeC6 x@y\n";
        let key = PublicKey::in_file(key).unwrap();
        assert_eq!(key.fingerprint, "SHA256:d2L4dblmXUC6qx0qEKmW6sMarPZf+kZlHs9IPVKXWTU");
    }

    #[test]
    fn a_key_of_another_type_than_it_says_is_none() {
        let text = made_up("ssh-ed25519", 256, 1);
        let (_, blob) = text.split_once(' ').unwrap();
        assert_eq!(PublicKey::read("ssh-rsa", blob), None);
        for broken in ["", "AAAA", "AAAAC3NzaC1lZDI1NTE5", "%%%%", "/////w=="] {
            assert_eq!(PublicKey::read("ssh-ed25519", broken), None, "{broken}");
        }
    }

    #[test]
    fn host_keys_come_with_their_names_and_without_marked_ones() {
        let key = made_up("ssh-rsa", 4096, 7);
        let text = format!("# x\npve1 {key}\n@revoked pve2 {key}\npve3,192.0.2.3 {key} c\nbroken\n");
        let names: Vec<String> = host_keys(&text).into_iter().map(|(names, _)| names).collect();
        assert_eq!(names, ["pve1", "pve3,192.0.2.3"]);
    }
}
